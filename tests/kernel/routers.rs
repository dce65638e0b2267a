//! Routers that speak: radvd on the link, and kernels that redirect.
//!
//! `nl0` is a port of the bridge `br0` in the test's namespace, and so are the links to two routers, each in a namespace of its own.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use netloom::base::Cidr;
use netloom::device::Tap;
use netloom::host::{Host, HostBuilder};
use netloom::stack::{AddressState, InterfaceConfig, Preference};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::capture::file;
use crate::link::{PATIENCE, eventually, kernel_accept, our_connect};
use crate::namespace::{Case, ip};
use crate::paths::Place;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        with_radvd(
            "routers::an_address_is_made_and_used",
            address_is_made_and_used,
        ),
        with_radvd("routers::of_two_routers_the_preferred_one", of_two_routers),
        with_radvd(
            "routers::what_nobody_says_again_ends",
            what_nobody_says_again_ends,
        ),
        Case::new("routers::a_kernel_redirects_ipv6", || redirected(true)),
        Case::new("routers::a_kernel_redirects_ipv4", || redirected(false)),
    ]
}

pub(crate) fn with_radvd(name: &str, test: fn()) -> Case {
    Case::with_reason(name, move || {
        let mut radvd = Command::new("radvd");
        radvd
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if radvd.status().is_err() {
            return Some("there is no radvd".to_owned());
        }
        test();
        None
    })
}

/// A router on the bridge, in a namespace of its own.
struct Router {
    place: Place,
    number: u8,
}

/// Its link-local address.
fn link_local(number: u8) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number.into()))
}

fn bridge() -> Tap {
    ip("link add br0 type bridge mcast_snooping 0");
    ip("link set br0 up");
    let tap = Tap::builder().name("nl0").open().unwrap();
    ip("link set nl0 master br0");
    ip("link set nl0 up");
    tap
}

impl Router {
    fn new(number: u8) -> Self {
        let place = Place::new();
        let port = format!("p{number}");
        let words = format!(
            "link add {port} type veth peer name r0 netns {}",
            place.thread
        );
        ip(&words);
        ip(&format!("link set {port} master br0"));
        ip(&format!("link set {port} up"));
        place.run(move || {
            for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                fs::write(format!("/proc/sys/net/{setting}"), "1").expect("a namespace's setting");
            }
            ip("link set lo up");
            ip("link set r0 addrgenmode none");
            ip("link set r0 up");
            ip(&format!("addr add fe80::{number}/64 dev r0 nodad"));
            ip(&format!("addr add fd0{number}::1/64 dev r0 nodad"));
            ip(&format!("addr add 10.7.0.{number}/24 dev r0"));
        });
        Self { place, number }
    }

    /// Begins to speak, with these words for its interface.
    fn speak(&self, words: &str) -> Radvd {
        let number = self.number;
        let path = file(&format!("radvd-{}-{number}.conf", self.place.thread));
        let text = format!(
            "interface r0 {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; {words} }};"
        );
        fs::write(&path, text).unwrap();
        let pid = path.with_extension("pid");
        let child = self.place.run(move || {
            let mut command = Command::new("radvd");
            command.args(["-n", "-m", "none", "-C"]).arg(&path);
            command.arg("-p").arg(&pid).stdin(Stdio::null());
            command.spawn().unwrap()
        });
        Radvd(child)
    }
}

/// It is ended in the end.
struct Radvd(Child);

impl Radvd {
    /// With its last words: it is no router any more.
    fn ends(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        self.0.wait().unwrap();
    }

    /// Without a word.
    fn dies(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Radvd {
    fn drop(&mut self) {
        // Both fail when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn host(tap: Tap, change: impl FnOnce(InterfaceConfig) -> InterfaceConfig) -> Host {
    let builder: HostBuilder<Tap> = Host::builder(tap);
    builder.interface(change).spawn().unwrap()
}

/// The addresses of a network, and their states.
fn in_network(host: &Host, network: &str) -> Vec<(IpAddr, AddressState)> {
    let network: Cidr = network.parse().unwrap();
    let all = host.addresses().into_iter();
    let all = all.map(|(cidr, state)| (cidr.address(), state));
    all.filter(|(address, _)| network.contains(*address))
        .collect()
}

fn is_preferred(host: &Host, network: &str) -> bool {
    matches!(
        in_network(host, network)[..],
        [(_, AddressState::Preferred)]
    )
}

/// The kernel answers a connection of ours.
fn exchange_with(host: &Host, at: &Place, address: IpAddr) -> IpAddr {
    let listener = at.run(move || TcpListener::bind((address, 0)).unwrap());
    let ours = our_connect(host, listener.local_addr().unwrap());
    let theirs = kernel_accept(&listener);
    crate::ecn::exchange(&ours, &theirs);
    ours.local_addr().unwrap().ip()
}

/// Covers: NDP-10, NDP-14, NDP-20, SLA-9: all of it by radvd's words; and lifetimes of zero when it ends.
fn address_is_made_and_used() {
    let tap = bridge();
    let router = Router::new(1);
    // What is behind it: another address of its.
    router.place.run(|| {
        ip("addr add fd99::1/128 dev lo");
    });
    let radvd = router.speak(
        "AdvDefaultLifetime 60; AdvLinkMTU 1400; AdvCurHopLimit 77; AdvRetransTimer 500; \
         prefix fd01::/64 { AdvOnLink on; AdvAutonomous on; }; \
         RDNSS fd01::53 { AdvRDNSSLifetime 60; }; DNSSL lab.example { AdvDNSSLLifetime 60; };",
    );
    let host = Host::builder(tap).router_discovery().spawn().unwrap();
    host.wait_ready(PATIENCE).unwrap();
    let [(address, _)] = in_network(&host, "fd01::/64")[..] else {
        panic!("{:?}", host.addresses());
    };
    let routers = host.routers();
    assert_eq!(routers.len(), 1, "{routers:?}");
    assert_eq!(routers[0].address, link_local(1));
    assert_eq!(
        host.told_dns_servers(),
        ["fd01::53".parse::<Ipv6Addr>().unwrap()]
    );
    assert_eq!(host.told_dns_domains(), ["lab.example"]);
    // On the link, and beyond the router.
    for far in ["fd01::1", "fd99::1"] {
        let from = exchange_with(&host, &router.place, far.parse().unwrap());
        assert_eq!(from, address, "{far}");
    }
    radvd.ends();
    eventually("it is no router any more", PATIENCE, || {
        host.routers().is_empty()
    });
    let beyond = host.tcp_connect_timeout("[fd99::1]:9".parse().unwrap(), PATIENCE);
    let error = beyond.unwrap_err();
    assert_eq!(
        error.kind(),
        std::io::ErrorKind::NetworkUnreachable,
        "{error}"
    );
}

/// RFC 4191 §2.2, §2.3 with two kernels: by preference, by a route of its own, and over the other one when it has gone.
fn of_two_routers() {
    let tap = bridge();
    let (low, high) = (Router::new(1), Router::new(2));
    for router in [&low, &high] {
        router.place.run(|| {
            ip("addr add fd99::1/128 dev lo");
            ip("addr add fd98::1/128 dev lo");
        });
    }
    let said = "prefix fd01::/64 { AdvOnLink on; AdvAutonomous on; };";
    let first = format!(
        "AdvDefaultLifetime 60; AdvDefaultPreference low; {said} \
         route fd98::/64 {{ AdvRoutePreference medium; AdvRouteLifetime 60; }};"
    );
    let second = "AdvDefaultLifetime 60; AdvDefaultPreference high;";
    // Who sends from the address must be found by both.
    high.place.run(|| ip("route add fd01::/64 dev r0"));
    let _first = low.speak(&first);
    let second = high.speak(second);
    let host = host(tap, |config| config.router_discovery(true));
    eventually("both routers, and an address", PATIENCE, || {
        host.routers().len() == 2 && is_preferred(&host, "fd01::/64")
    });
    let preference = |number| {
        let all = host.routers();
        let router = all.iter().find(|r| r.address == link_local(number));
        router.map(|router| router.preference)
    };
    assert_eq!(preference(1), Some(Preference::Low));
    assert_eq!(preference(2), Some(Preference::High));
    exchange_with(&host, &high.place, "fd99::1".parse().unwrap());
    exchange_with(&host, &low.place, "fd98::1".parse().unwrap());
    second.ends();
    eventually("one is left", PATIENCE, || host.routers().len() == 1);
    exchange_with(&host, &low.place, "fd99::1".parse().unwrap());
}

/// Covers: SLA-11, SLA-12: the lifetimes run out once radvd is killed: deprecated, then gone.
fn what_nobody_says_again_ends() {
    let tap = bridge();
    let router = Router::new(1);
    let radvd = router.speak(
        "AdvDefaultLifetime 12; \
         prefix fd01::/64 { AdvOnLink on; AdvAutonomous on; AdvPreferredLifetime 6; AdvValidLifetime 12; };",
    );
    let host = host(tap, |config| {
        config.router_discovery(true).temporary_addresses(true)
    });
    let states = || {
        let all = in_network(&host, "fd01::/64").into_iter();
        all.map(|(_, state)| state).collect::<Vec<_>>()
    };
    eventually("two addresses", PATIENCE, || {
        states() == [AddressState::Preferred; 2]
    });
    let from = exchange_with(&host, &router.place, "fd01::1".parse().unwrap());
    // RFC 6724 §5, rule 7: the second one, which is temporary.
    assert_eq!(from, in_network(&host, "fd01::/64")[1].0);
    radvd.dies();
    eventually("they are deprecated", PATIENCE, || {
        states() == [AddressState::Deprecated; 2]
    });
    exchange_with(&host, &router.place, "fd01::1".parse().unwrap());
    eventually("they are gone", PATIENCE, || states().is_empty());
    eventually("and so is the router", PATIENCE, || {
        host.routers().is_empty()
    });
    sleep(Duration::from_millis(10));
    assert!(
        host.tcp_connect_timeout("[fd01::1]:9".parse().unwrap(), PATIENCE)
            .is_err()
    );
}

/// Covers: NDP-38, IC4-12: the first router has the route over the second one, and says so; what follows goes there.
fn redirected(v6: bool) {
    let tap = bridge();
    let (first, second) = (Router::new(1), Router::new(2));
    first.place.run(move || {
        if v6 {
            ip("route add fd99::/64 via fe80::2 dev r0");
        } else {
            ip("route add 10.9.0.0/24 via 10.7.0.2");
        }
        for setting in ["all", "r0"] {
            let path = format!("/proc/sys/net/ipv4/conf/{setting}/send_redirects");
            fs::write(path, "1").expect("a namespace's setting");
        }
    });
    second.place.run(|| {
        ip("addr add fd99::1/128 dev lo");
        ip("addr add 10.9.0.1/32 dev lo");
    });
    let host = host(tap, |config| {
        config
            .dad_transmits(0)
            .address("10.7.0.9/24".parse().unwrap())
            .address("fd07::9/64".parse().unwrap())
            .gateway("10.7.0.1".parse().unwrap())
            .gateway(link_local(1))
    });
    second.place.run(|| ip("route add fd07::/64 dev r0"));
    first.place.run(|| ip("route add fd07::/64 dev r0"));
    host.wait_ready(PATIENCE).unwrap();
    let far: IpAddr = if v6 { "fd99::1" } else { "10.9.0.1" }.parse().unwrap();
    eventually("a redirect is followed", PATIENCE, || {
        host.ping(far, PATIENCE).unwrap();
        host.counters().redirects_followed == 1
    });
    // The first router leads nowhere any more, and nobody asks it.
    first.place.run(|| ip("link set r0 down"));
    exchange_with(&host, &second.place, far);
}
