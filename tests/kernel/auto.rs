//! A host that finds out everything by itself: routers and DHCP together, and DNS servers by both, from a dnsmasq on the
//! kernel's side of a TAP.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netloom::base::MacAddr;
use netloom::device::Tap;
use netloom::host::Host;
use netloom::stack::AddressState;

use crate::capture::file;
use crate::dhcp::{serving, with_dnsmasq};
use crate::link::{PATIENCE, eventually, kernel_accept};
use crate::namespace::Case;
#[cfg(feature = "dns")]
use crate::routers::with_radvd;

/// Probes for a leased address take seven seconds, and dnsmasq's first advertisement some more.
const SOON: Duration = Duration::from_secs(25);

const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 7, 7]);

const V4: &str = "--dhcp-range=10.7.0.50,10.7.0.60,255.255.255.0,2m";
const V6: [&str; 2] = ["--enable-ra", "--dhcp-range=fd07::,ra-only,64,10m"];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        with_dnsmasq("auto::both_families_and_names", both_families),
        with_dnsmasq("auto::one_family_is_enough", one_family),
        #[cfg(feature = "dns")]
        with_both("auto::a_server_of_dhcpv6_alone_tells_of_dns", by_dhcpv6),
        #[cfg(feature = "dns")]
        with_radvd("auto::no_server_of_dhcpv6_is_no_harm", no_dhcpv6),
        #[cfg(feature = "cli")]
        with_dnsmasq("auto::the_tool_needs_no_address", tool),
    ]
}

/// One that takes a radvd too.
#[cfg(feature = "dns")]
fn with_both(name: &str, test: fn()) -> Case {
    let there = Command::new("dnsmasq").arg("--version").output().is_ok();
    if there {
        with_radvd(name, test)
    } else {
        with_dnsmasq(name, test)
    }
}

/// A dnsmasq on all interfaces, with names.
struct Dnsmasq(Child);

impl Dnsmasq {
    fn start(name: &str, more: &[&str]) -> Self {
        let leases = file(&format!("kernel-auto-{name}"));
        let _ = std::fs::remove_file(&leases);
        let mut command = Command::new("dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
        ]);
        command.args([
            "--pid-file=",
            "--no-ping",
            "--log-facility=-",
            "--no-resolv",
        ]);
        command.args(["--no-hosts", "--no-poll", "--local=/test/"]);
        command.arg("--host-record=web.test,10.7.0.1,fd07::1");
        command.arg(format!("--dhcp-leasefile={}", leases.display()));
        command.args(more).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let dnsmasq = Self(command.spawn().unwrap());
        eventually("dnsmasq listens", PATIENCE, || {
            listening(53) && (!more.contains(&V4) || serving())
        });
        dnsmasq
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        // Both fail when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Is anybody listening on this TCP port of IPv4?
fn listening(port: u16) -> bool {
    let text = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    text.lines()
        .any(|line| line.contains(&format!(":{port:04X} 00000000:0000 0A")))
}

fn tap() -> Tap {
    let tap = Tap::builder().name("nl0");
    let tap = tap.kernel_address("10.7.0.1/24".parse().unwrap());
    tap.kernel_address("fd07::1/64".parse().unwrap())
        .open()
        .unwrap()
}

/// Has it an address that is in use, of this family and of more than the link?
fn has(host: &Host, v6: bool) -> bool {
    let all = host.addresses().into_iter();
    let used = all.filter(|(_, state)| *state == AddressState::Preferred);
    let mut wide = used.map(|(cidr, _)| cidr.address());
    wide.any(|ip| match ip {
        IpAddr::V4(_) => !v6,
        IpAddr::V6(ip) => v6 && !ip.is_unicast_link_local(),
    })
}

fn both_families() {
    let tap = tap();
    let _dnsmasq = Dnsmasq::start("both", &[V4, V6[0], V6[1]]);
    let host = Host::builder(tap).mac(MAC).auto().spawn().unwrap();
    host.wait_ready(SOON).unwrap();
    assert!(has(&host, false) || has(&host, true));
    eventually("both families", SOON, || {
        has(&host, false) && has(&host, true)
    });
    for to in ["10.7.0.1", "fd07::1"] {
        host.ping(to.parse().unwrap(), PATIENCE).unwrap();
    }
    #[cfg(feature = "dns")]
    names(&host);
}

/// The lease's server, and the one of the router, know a name; what is given back is asked no more.
#[cfg(feature = "dns")]
fn names(host: &Host) {
    let leased: SocketAddr = "10.7.0.1:53".parse().unwrap();
    eventually("both servers", SOON, || host.dns_servers().len() == 2);
    let servers = host.dns_servers();
    assert!(servers[0] == leased && servers[1].is_ipv6(), "{servers:?}");
    let found = host.lookup("web.test").unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut stream = host.tcp_connect_host("web.test", port).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut got = [0; 5];
    kernel_accept(&listener).read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
    host.dhcp_release().unwrap();
    eventually("one is left", PATIENCE, || {
        host.dns_servers() == servers[1..]
    });
    // It alone is asked, of another name.
    let gone = host.lookup("gone.test").unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::NotFound, "{gone}");
    // What the user says stands in place of what the network does, until he has nothing to say.
    let own: IpAddr = "10.9.9.9".parse().unwrap();
    host.set_dns_servers(&[own]).unwrap();
    assert_eq!(host.dns_servers(), [SocketAddr::new(own, 53)]);
    host.set_dns_servers(&[]).unwrap();
    assert_eq!(host.dns_servers(), servers[1..]);
}

/// One is there, and nobody waits for the other.
fn one_family() {
    for v6 in [false, true] {
        let tap = tap();
        let dnsmasq = match v6 {
            false => Dnsmasq::start("v4", &[V4]),
            true => Dnsmasq::start("v6", &V6),
        };
        let host = Host::builder(tap).mac(MAC).auto().spawn().unwrap();
        host.wait_ready(SOON).unwrap();
        assert!(has(&host, v6) && !has(&host, !v6), "{:?}", host.addresses());
        let kernel: IpAddr = if v6 {
            "fd07::1".parse().unwrap()
        } else {
            Ipv4Addr::new(10, 7, 0, 1).into()
        };
        host.ping(kernel, PATIENCE).unwrap();
        drop((host, dnsmasq));
    }
}

/// A radvd on `nl0` that tells of a prefix, and that all else comes by DHCPv6.
#[cfg(feature = "dns")]
fn radvd() -> Dnsmasq {
    std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").expect("a namespace's setting");
    let path = file("kernel-auto-radvd.conf");
    let words = "interface nl0 { AdvSendAdvert on; AdvOtherConfigFlag on; \
        MinRtrAdvInterval 3; MaxRtrAdvInterval 4; prefix fd07::/64 { AdvOnLink on; AdvAutonomous on; }; };";
    std::fs::write(&path, words).unwrap();
    let mut command = Command::new("radvd");
    command.args(["-n", "-m", "none", "-C"]).arg(&path);
    command.arg("-p").arg(path.with_extension("pid"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    // It is ended as a dnsmasq is.
    Dnsmasq(command.stderr(Stdio::null()).spawn().unwrap())
}

/// Covers: D6-10: nobody else tells of a server of DNS.
#[cfg(feature = "dns")]
fn by_dhcpv6() {
    let tap = tap();
    let stateless = "--dhcp-range=fd07::,static,64";
    let server = "--dhcp-option=option6:dns-server,[fd07::1]";
    let domain = "--dhcp-option=option6:domain-search,lab.test";
    let _dnsmasq = Dnsmasq::start("dhcpv6", &[stateless, server, domain]);
    let _radvd = radvd();
    let host = Host::builder(tap).mac(MAC).router_discovery();
    let host = host.spawn().unwrap();
    host.wait_ready(SOON).unwrap();
    eventually("a server of DNS", SOON, || !host.dns_servers().is_empty());
    let expected: IpAddr = "fd07::1".parse().unwrap();
    assert_eq!(host.dns_servers(), [SocketAddr::new(expected, 53)]);
    assert_eq!(host.told_dns_domains(), ["lab.test"]);
    let found = host.lookup("web.test").unwrap();
    assert!(found.contains(&expected), "{found:?}");
}

/// Covers: D6-10: routers say that there is a server, and there is none.
#[cfg(feature = "dns")]
fn no_dhcpv6() {
    let tap = tap();
    let _radvd = radvd();
    let host = Host::builder(tap).mac(MAC).router_discovery();
    let host = host.spawn().unwrap();
    host.wait_ready(SOON).unwrap();
    let kernel: IpAddr = "fd07::1".parse().unwrap();
    host.ping(kernel, PATIENCE).unwrap();
    assert!(host.dns_servers().is_empty() && host.told_dns_servers().is_empty());
}

/// `netloom get http://name/` with nothing but the link.
#[cfg(feature = "cli")]
fn tool() {
    for words in [
        "tuntap add nl0 mode tap",
        "addr add 10.7.0.1/24 dev nl0",
        "addr add fd07::1/64 dev nl0 nodad",
        "link set nl0 up",
    ] {
        crate::namespace::ip(words);
    }
    let _dnsmasq = Dnsmasq::start("tool", &[V4, V6[0], V6[1]]);
    let listener = TcpListener::bind("[::]:80").unwrap();
    let server = std::thread::spawn(move || {
        let mut stream = kernel_accept(&listener);
        let mut request = [0; 1000];
        let len = stream.read(&mut request).unwrap();
        let answer = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        stream.write_all(answer).unwrap();
        String::from_utf8_lossy(&request[..len]).into_owned()
    });
    let netloom = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netloom"));
        command.args(args).args(["--tap", "nl0", "--auto"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status, text(output.stdout), text(output.stderr))
    };
    let (status, text, errors) = netloom(&["get", "--url", "http://web.test/"]);
    assert!(status.success() && text == "hello", "{text} {errors}");
    assert!(server.join().unwrap().contains("Host: web.test\r\n"));
    // An address of its family is waited for, whichever comes first.
    for (to, told) in [
        ("10.7.0.1", "is leased from 10.7.0.1 for 120 s\n"),
        ("fd07::1", "is made of what routers say\n"),
    ] {
        let (status, text, errors) = netloom(&["ping", to, "-c", "1"]);
        assert!(
            status.success() && text.contains("1 received"),
            "{text} {errors}"
        );
        assert!(errors.contains(told), "{errors}");
    }
}
