//! Names, asked for at a dnsmasq in the kernel's namespace.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use netloom::base::Cidr;
use netloom::device::{Device, HostReceive, HostTransmit, Tap, Tun};
use netloom::host::Host;

use crate::link::{Link, PATIENCE, eventually};
use crate::namespace::Case;
use crate::programs::{Peer, listening, path_of};
use crate::tool::client;

/// The kernel's addresses; of no unique local prefix, for those come behind IPv4 (RFC 6724 §2.1).
const KERNEL: [&str; 2] = ["10.7.0.1", "2001:db8:7::1"];

fn kernel(v6: bool) -> IpAddr {
    KERNEL[usize::from(v6)].parse().unwrap()
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        with_dnsmasq("names::every_kind_of_answer", every_kind_of_answer),
        with_dnsmasq("names::connects_past_a_dead_address", dead_address),
        with_dnsmasq("names::the_tool_takes_names", tool),
        Case::new("names::no_server_is_there", no_server),
    ]
}

fn with_dnsmasq(name: &'static str, test: fn()) -> Case {
    Case::with_reason(name, move || {
        if path_of("dnsmasq").is_none() {
            return Some("there is no dnsmasq (package dnsmasq-base)".to_owned());
        }
        test();
        None
    })
}

/// Knows what it is given, and that there is nothing else below `test`.
fn dnsmasq(records: &[String]) -> Peer {
    let mut command = Command::new("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file",
    ]);
    command.args(["--no-resolv", "--no-hosts", "--no-poll", "--user=root"]);
    command.arg("--local=/test/").args(records);
    let peer = Peer::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    eventually("dnsmasq listens", PATIENCE, || {
        listening(false, 53) && listening(true, 53)
    });
    peer
}

fn records(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| format!("--{one}")).collect()
}

fn ips(text: &str) -> Vec<IpAddr> {
    text.split(' ').map(|one| one.parse().unwrap()).collect()
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// A host that asks this server.
fn host_on<D>(device: D, server: IpAddr) -> Host
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    let builder = Host::builder(device).dad_transmits(0).dns_server(server);
    let builder = builder.address(cidr("10.7.0.2/24"));
    let host = builder.address(cidr("2001:db8:7::2/64")).spawn().unwrap();
    host.wait_ready(PATIENCE).unwrap();
    host
}

fn host(tap: bool, server: IpAddr) -> Host {
    let (v4, v6) = (cidr("10.7.0.1/24"), cidr("2001:db8:7::1/64"));
    if tap {
        let device = Tap::builder().name("nl0").kernel_address(v4);
        host_on(device.kernel_address(v6).open().unwrap(), server)
    } else {
        let device = Tun::builder().name("nl0").kernel_address(v4);
        host_on(device.kernel_address(v6).open().unwrap(), server)
    }
}

/// A, AAAA, aliases, what is not there, and more than a datagram holds.
fn every_kind_of_answer() {
    let mut all = records(&[
        "host-record=both.test,10.7.0.1,2001:db8:7::1",
        "host-record=six.test,2001:db8:7::1",
        "cname=alias.test,other.test,both.test",
        "txt-record=text.test,nothing else",
    ]);
    all.extend((1..=200).map(|n| format!("--host-record=many.test,10.9.0.{n}")));
    let _dnsmasq = dnsmasq(&all);
    for (tap, v6) in [(true, false), (true, true), (false, false), (false, true)] {
        let host = host(tap, kernel(v6));
        for _ in 0..2 {
            for (name, wanted) in [
                ("both.test", "2001:db8:7::1 10.7.0.1"),
                ("BOTH.test.", "2001:db8:7::1 10.7.0.1"),
                ("alias.test", "2001:db8:7::1 10.7.0.1"),
                ("other.test", "2001:db8:7::1 10.7.0.1"),
                ("six.test", "2001:db8:7::1"),
            ] {
                assert_eq!(host.lookup(name).unwrap(), ips(wanted), "{name}");
            }
            for name in ["gone.test", "text.test"] {
                let error = host.lookup(name).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound, "{name}: {error}");
            }
            assert_eq!(host.lookup("many.test").unwrap().len(), 32);
        }
        let counters = host.dns_counters();
        assert!(counters.truncated >= 1, "{counters:?}");
        assert_eq!(counters.sent_tcp, counters.truncated, "{counters:?}");
        // It keeps the capitals, and nobody else answers.
        assert_eq!(counters.refused.total(), 0, "{counters:?}");
        let bad = counters.timeouts + counters.unreachable + counters.failures;
        assert_eq!(bad, 0, "{counters:?}");
        assert_eq!(host.counters().tcp_rto_fired, 0);
    }
}

/// RFC 8305 against the kernel: nobody has the address that is tried first.
fn dead_address() {
    let _dnsmasq = dnsmasq(&records(&["host-record=eyes.test,10.7.0.1,2001:db8:7::99"]));
    for tap in [true, false] {
        let host = host(tap, kernel(false));
        let listener = TcpListener::bind((kernel(false), 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let begun = Instant::now();
        let mut stream = host.tcp_connect_host("eyes.test", at.port()).unwrap();
        let took = begun.elapsed();
        assert_eq!(stream.peer_addr().unwrap(), at);
        assert!(took < Duration::from_secs(3), "{took:?}");
        stream.write_all(b"hello").unwrap();
        let mut got = [0; 5];
        listener.accept().unwrap().0.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hello");
    }
}

/// The kernel says that nobody is there, and nothing is waited for.
fn no_server() {
    for v6 in [false, true] {
        let host = host(true, kernel(v6));
        let begun = Instant::now();
        let error = host.lookup("www.test").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostUnreachable, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{error}");
        assert!(host.dns_counters().unreachable >= 2);
    }
}

fn tool() {
    let _dnsmasq = dnsmasq(&records(&["host-record=web.test,10.7.0.1,fd07::1"]));
    let any: SocketAddr = "[::]:0".parse().unwrap();
    let listener = TcpListener::bind(any).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        let mut request = [0; 1000];
        let len = stream.read(&mut request).unwrap();
        let answer = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        stream.write_all(answer).unwrap();
        (String::from_utf8_lossy(&request[..len]).into_owned(), from)
    });
    let url = format!("http://web.test:{port}/page");
    let (status, text, errors) = client(Link::TAP, "get", &["--dns", "10.7.0.1", "--url", &url]);
    assert!(status.success() && text == "hello", "{text} {errors}");
    let (request, from) = server.join().unwrap();
    assert!(
        request.contains(&format!("Host: web.test:{port}\r\n")),
        "{request}"
    );
    // IPv4's comes first, as unique local addresses stand behind it, unless its answer is 50 ms behind the other's (RFC 8305 §3),
    // which a busy machine may bring about. The order is shown in virtual time.
    let from = from.ip().to_canonical().to_string();
    assert!(["10.7.0.2", "fd07::2"].contains(&from.as_str()), "{from}");
    let ask = ["--dns", "10.7.0.1", "web.test", "-c", "1"];
    let (status, text, errors) = client(Link::TAP, "ping", &ask);
    assert!(status.success(), "{errors}");
    assert!(text.contains("PING web.test (10.7.0.1) 56"), "{text}");
    let ask = ["--dns", "10.7.0.1", "gone.test"];
    let (status, _, errors) = client(Link::TAP, "ping", &ask);
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.contains("gone.test: there is no such name; is the name right"),
        "{errors}"
    );
    let to = ["--to", "gone.test:9", "--bytes", "1", "--dns", "fd07::1"];
    let (status, _, errors) = client(Link::TUN, "send", &to);
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.contains("gone.test:9: there is no such name"),
        "{errors}"
    );
}
