//! Leases of dnsmasq on the kernel's side of a TAP: from the first DISCOVER to the end, with what it says of routes and
//! MTU; addresses that others have, and no server at all.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant as Clock};

use netloom::base::MacAddr;
use netloom::device::Tap;
use netloom::host::{Host, HostBuilder};
use netloom::stack::{AddressState, DhcpOptions};

use crate::capture::file;
use crate::ecn::exchange;
use crate::link::{
    PATIENCE, eventually, kernel, kernel_accept, kernel_connect, kernel_listener, our_accept,
    our_connect,
};
use crate::namespace::{Case, ip};

/// Three probes, and the wait behind them, come before an address is used (RFC 5227 §1.1).
const LEASED: Duration = Duration::from_secs(20);

const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 7, 7]);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        with_dnsmasq("dhcp::a_lease_and_all_that_it_says", lease),
        with_dnsmasq("dhcp::a_renewal_leaves_connections_alone", renewal),
        with_dnsmasq("dhcp::a_kept_address_is_confirmed_or_refused", kept),
        with_dnsmasq("dhcp::an_address_that_another_has_is_declined", declined),
        with_dnsmasq("dhcp::a_router_beyond_the_subnet", router_beyond),
        Case::new("dhcp::nobody_serves", nobody),
        #[cfg(feature = "cli")]
        with_dnsmasq("dhcp::the_tool_asks_for_a_lease", tool),
    ]
}

pub(crate) fn with_dnsmasq(name: &str, test: fn()) -> Case {
    Case::with_reason(name, move || {
        let there = Command::new("dnsmasq").arg("--version").output().is_ok();
        if there {
            test();
        }
        (!there).then(|| "there is no dnsmasq (package dnsmasq-base)".to_owned())
    })
}

/// A dnsmasq that gives addresses on `nl0`, and remembers whom.
struct Dnsmasq {
    child: Child,
    leases: PathBuf,
}

impl Dnsmasq {
    /// One that gives addresses of this range for two minutes, the least that it can.
    fn start(name: &str, range: &str, more: &[&str]) -> Self {
        let leases = file(&format!("kernel-dhcp-{name}"));
        let _ = fs::remove_file(&leases);
        let mut command = Command::new("dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
        ]);
        command.args([
            "--pid-file=",
            "--port=0",
            "--interface=nl0",
            "--bind-interfaces",
        ]);
        // It would ask for three seconds whether an address is free.
        command.args(["--no-ping", "--log-facility=-", "--no-resolv", "--no-hosts"]);
        command.arg(format!("--dhcp-range={range},255.255.255.0,2m"));
        command.arg(format!("--dhcp-leasefile={}", leases.display()));
        command.args(more).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        eventually("dnsmasq serves", PATIENCE, serving);
        Self { child, leases }
    }

    /// Whom it remembers.
    fn knows(&self, address: Ipv4Addr) -> bool {
        let text = fs::read_to_string(&self.leases).unwrap_or_default();
        let words = format!(" {MAC} {address} ");
        text.lines().any(|line| line.contains(&words))
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        // Both fail when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.leases);
    }
}

/// Does anybody have UDP port 67?
pub(crate) fn serving() -> bool {
    let text = fs::read_to_string("/proc/thread-self/net/udp").unwrap();
    text.lines().any(|line| line.contains(":0043 "))
}

/// A TAP with the kernel's address on it, and no host yet.
fn tap() -> Tap {
    let tap = Tap::builder().name("nl0");
    let address = "10.7.0.1/24".parse().unwrap();
    tap.kernel_address(address).open().unwrap()
}

fn builder(tap: Tap) -> HostBuilder<Tap> {
    Host::builder(tap).mac(MAC)
}

/// The address that was leased, once it is usable.
#[track_caller]
fn leased(host: &Host) -> Ipv4Addr {
    host.wait_ready(LEASED).unwrap();
    let lease = host.lease().expect("a lease");
    let own = (lease.cidr(), AddressState::Preferred);
    assert!(host.addresses().contains(&own), "{:?}", host.addresses());
    lease.address
}

/// Discover to bound, and everything over it; given back at the end.
fn lease() {
    let tap = tap();
    let more = [
        "--dhcp-option=option:router,10.7.0.1",
        "--dhcp-option=option:classless-static-route,0.0.0.0/0,10.7.0.1,192.0.2.0/24,10.7.0.254",
        "--dhcp-option=option:mtu,1400",
        "--dhcp-option=option:dns-server,10.7.0.1,10.7.0.3",
        "--dhcp-option=option:domain-name,loom.example",
    ];
    let server = Dnsmasq::start("lease", "10.7.0.50,10.7.0.60", &more);
    let options = DhcpOptions::new().host_name("loom");
    let host = builder(tap).dhcp_with(options).spawn().unwrap();
    let address = leased(&host);
    assert!((50..=60).contains(&address.octets()[3]), "{address}");
    assert!(server.knows(address));
    let lease = host.lease().unwrap();
    assert_eq!(lease.server, Ipv4Addr::new(10, 7, 0, 1));
    assert_eq!(lease.lease_time, Some(Duration::from_secs(120)));
    assert_eq!((lease.prefix, lease.mtu), (24, Some(1400)));
    let servers = [Ipv4Addr::new(10, 7, 0, 1), Ipv4Addr::new(10, 7, 0, 3)];
    assert_eq!(lease.dns_servers, servers);
    assert_eq!(lease.domain.as_deref(), Some("loom.example"));
    let to = lease
        .routes
        .iter()
        .map(|r| (r.destination.to_string(), r.router));
    let routes = [
        ("0.0.0.0/0".to_owned(), Some(Ipv4Addr::new(10, 7, 0, 1))),
        (
            "192.0.2.0/24".to_owned(),
            Some(Ipv4Addr::new(10, 7, 0, 254)),
        ),
    ];
    assert_eq!(to.collect::<Vec<_>>(), routes);

    host.ping(kernel(false), PATIENCE).unwrap();
    let (listener, at) = kernel_listener(false);
    let ours = our_connect(&host, at);
    let theirs = kernel_accept(&listener);
    exchange(&ours, &theirs);
    // The MTU is that of the lease: 1400 less 52 of headers with timestamps.
    assert_eq!(ours.info().unwrap().snd_mss, 1348);
    let listener = host.tcp_listen((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let theirs = kernel_connect((address, port).into());
    exchange(&our_accept(&listener), &theirs);
    beyond(&host);

    // Not by its end, with which the interface would go, and what waits there for dnsmasq.
    host.dhcp_release().unwrap();
    eventually("the lease is given back", PATIENCE, || {
        !server.knows(address)
    });
}

/// What is beyond the link is reached over the router of the lease.
fn beyond(host: &Host) {
    ip("addr add 198.51.100.1/32 dev lo");
    host.ping("198.51.100.1".parse().unwrap(), PATIENCE)
        .unwrap();
}

/// T1 by the server's word, which is later than the address is usable; the connection, the address and all else stay.
fn renewal() {
    let tap = tap();
    let more = ["--dhcp-option=option:T1,12"];
    let _server = Dnsmasq::start("renewal", "10.7.0.50,10.7.0.60", &more);
    let host = builder(tap).dhcp().spawn().unwrap();
    let address = leased(&host);
    let acks = || host.dhcp_counters().unwrap().acks;
    let (listener, at) = kernel_listener(false);
    let ours = our_connect(&host, at);
    let theirs = kernel_accept(&listener);
    (&ours).write_all(b"before").unwrap();
    let mut text = [0; 6];
    (&theirs).read_exact(&mut text).unwrap();
    assert_eq!(&text, b"before");
    let before = acks();
    eventually("the lease is extended", LEASED, || acks() > before);
    assert_eq!(host.lease().unwrap().address, address);
    exchange(&ours, &theirs);
    let counters = host.dhcp_counters().unwrap();
    assert_eq!((counters.discovers, counters.naks), (1, 0), "{counters:?}");
}

/// One that the server remembers, and one of another network.
fn kept() {
    let server = || {
        let tap = tap();
        let more = ["--dhcp-authoritative"];
        (tap, Dnsmasq::start("kept", "10.7.0.50,10.7.0.60", &more))
    };
    let (tap, dnsmasq) = server();
    let build = |tap, previous| {
        let options = DhcpOptions::new().previous(previous);
        let builder = builder(tap).dhcp_with(options);
        builder.dhcp_release_at_end(false).spawn().unwrap()
    };
    let host = build(tap, None);
    let address = leased(&host);
    drop(host);
    assert!(dnsmasq.knows(address), "it was not given back");
    drop(dnsmasq);

    // dnsmasq has forgotten it, and is asked for an address of its range: authoritative, it agrees.
    let (tap, dnsmasq) = server();
    let host = build(tap, Some(address));
    assert_eq!(leased(&host), address);
    let counters = host.dhcp_counters().unwrap();
    assert_eq!((counters.discovers, counters.naks), (0, 0), "{counters:?}");
    drop((host, dnsmasq));

    let (tap, _dnsmasq) = server();
    let host = build(tap, Some(Ipv4Addr::new(192, 168, 9, 9)));
    assert!(leased(&host).octets()[3] >= 50);
    let counters = host.dhcp_counters().unwrap();
    assert_eq!((counters.discovers, counters.naks), (1, 1), "{counters:?}");
}

/// The kernel has the first address of the range, by an interface that dnsmasq does not look at.
fn declined() {
    let tap = tap();
    ip("addr add 10.7.0.50/32 dev lo");
    let more = ["--dhcp-sequential-ip"];
    let _server = Dnsmasq::start("declined", "10.7.0.50,10.7.0.52", &more);
    let options = DhcpOptions::new().client_with(|client| {
        client.decline_wait = Duration::from_secs(1);
        client.retransmit_first = Duration::from_secs(1);
    });
    let host = builder(tap).dhcp_with(options).spawn().unwrap();
    eventually("it is declined", PATIENCE, || {
        host.dhcp_counters().unwrap().declines == 1
    });
    assert_eq!(leased(&host), Ipv4Addr::new(10, 7, 0, 51));
    host.ping(kernel(false), PATIENCE).unwrap();
}

/// A lease of one address alone, as clouds give them.
fn router_beyond() {
    let tap = tap();
    ip("addr add 10.9.9.1/32 dev nl0");
    let more = [
        "--dhcp-option=option:netmask,255.255.255.255",
        "--dhcp-option=option:classless-static-route,10.9.9.1/32,0.0.0.0,0.0.0.0/0,10.9.9.1",
    ];
    let _server = Dnsmasq::start("beyond", "10.7.0.50,10.7.0.60", &more);
    let host = builder(tap).dhcp().spawn().unwrap();
    leased(&host);
    assert_eq!(host.lease().unwrap().prefix, 32);
    beyond(&host);
}

/// The wait ends, and says what is missing; the host goes on.
fn nobody() {
    let host = builder(tap()).dhcp().spawn().unwrap();
    let begun = Clock::now();
    let late = host.wait_ready(Duration::from_secs(2)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    assert!(late.to_string().contains("no dhcp server"), "{late}");
    assert!(begun.elapsed() < PATIENCE);
    assert!(host.lease().is_none() && host.error().is_none());
    let known = host.addresses();
    assert!(
        known.iter().all(|(cidr, _)| cidr.address().is_ipv6()),
        "{known:?}"
    );
}

/// The lease is told, used and given back.
#[cfg(feature = "cli")]
fn tool() {
    for words in [
        "tuntap add nl0 mode tap",
        "addr add 10.7.0.1/24 dev nl0",
        "link set nl0 up",
    ] {
        ip(words);
    }
    let server = Dnsmasq::start("tool", "10.7.0.50,10.7.0.50", &[]);
    let output = Command::new(env!("CARGO_BIN_EXE_netloom"))
        .args(["ping", "--tap", "nl0", "--dhcp", "-c", "1", "10.7.0.1"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let told = "netloom: 10.7.0.50/24 is leased from 10.7.0.1 for 120 s\n";
    assert_eq!(errors, told);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("1 received"), "{text}");
    let given_back = || fs::read_to_string(&server.leases).is_ok_and(|text| text.is_empty());
    eventually("the lease is given back", PATIENCE, given_back);
}
