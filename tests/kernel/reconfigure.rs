//! A host whose interface changes while it runs, with the kernel at the other end.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use netloom::base::Cidr;
use netloom::device::Tap;
use netloom::host::Host;
use netloom::stack::{AddressOptions, AddressState, Change};

use crate::Test;
use crate::echo::kernel_ping;
use crate::link::{Link, PATIENCE, connected, eventually, kernel, kernel_connect, our_accept};
use crate::namespace::ip;

pub(crate) const TESTS: &[Test] = &[
    ("reconfigure::an_address_comes_and_goes", address),
    ("reconfigure::a_taken_ipv4_address_is_found", taken),
    ("reconfigure::a_link_that_is_down_holds_a_connection", link),
    (
        "reconfigure::a_route_and_an_mtu_change_under_a_connection",
        route,
    ),
];

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// The changes that come within the time, until this one.
fn expect(host: &Host, wanted: &Change) {
    loop {
        let change = host.changes().recv_timeout(PATIENCE);
        if change.expect("the change within the time") == *wanted {
            return;
        }
    }
}

/// What is written here comes out there.
fn talk(us: &mut (impl Read + Write), them: &mut TcpStream) {
    let mut text = [0; 5];
    us.write_all(b"hello").unwrap();
    them.read_exact(&mut text).unwrap();
    them.write_all(&text).unwrap();
    us.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");
}

/// Added: the kernel reaches it. Taken away: what used it is told at once, the kernel reaches it no more, and what uses the other
/// address goes on. r54 with a live connection, in both families.
fn address() {
    for link in [Link::TAP, Link::TUN] {
        for more in ["10.7.0.3/24", "fd07::3/64"] {
            let host = link.host();
            let more = cidr(more);
            let own: IpAddr = more.address();
            let (mut stays, mut with) = connected(&host, own.is_ipv6(), false);
            host.add_address(more, AddressOptions::new()).unwrap();
            host.wait_ready(PATIENCE).unwrap();
            expect(&host, &Change::AddressPreferred(more));
            kernel_ping(own, 1, 56).unwrap();
            let listener = host.tcp_listen((own, 0)).unwrap();
            let theirs = kernel_connect(listener.local_addr().unwrap());
            let mut us = our_accept(&listener);
            let mut them = theirs;
            talk(&mut us, &mut them);
            let udp = host.udp_bind((own, 0)).unwrap();

            std::thread::scope(|scope| {
                let reads = scope.spawn(|| us.read(&mut [0]).unwrap_err().kind());
                let accepts = scope.spawn(|| listener.accept().unwrap_err().kind());
                let receives = scope.spawn(|| udp.recv_datagram().unwrap_err().kind());
                std::thread::sleep(Duration::from_millis(50));
                host.remove_address(own).unwrap();
                for wait in [reads, accepts, receives] {
                    assert_eq!(wait.join().unwrap(), ErrorKind::AddrNotAvailable);
                }
            });
            for _ in 0..2 {
                let error = udp.recv_datagram().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
                let to = (kernel(own.is_ipv6()), 9);
                let error = udp.send_to(b"x", to).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
            }
            expect(&host, &Change::AddressGone(more));
            assert_eq!(host.counters().tcp_resets_sent, 0);
            assert!(kernel_ping(own, 2, 56).is_err());
            talk(&mut stays, &mut with);
        }
    }
}

/// The kernel has it, and answers probes; another address is free, and is used.
fn taken() {
    let tap = Tap::builder().name("nl0");
    let tap = tap.kernel_address(cidr("10.7.0.1/24")).open().unwrap();
    let host = Host::builder(tap)
        .probe_v4(true)
        .interface(|interface| interface.acd_unit(Duration::from_millis(100)))
        .address(cidr("10.7.0.1/16"))
        .spawn()
        .unwrap();
    let error = host.wait_ready(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
    let change = host.changes().recv_timeout(PATIENCE).unwrap();
    let Change::AddressDuplicate(claimed, Some(_)) = change else {
        panic!("{change:?}");
    };
    assert_eq!(claimed, cidr("10.7.0.1/16"));
    // The kernel knows of nothing: a probe says nobody's address.
    assert_eq!(ip("neigh show dev nl0 10.7.0.1"), "");
    host.remove_address(claimed.address()).unwrap();
    host.add_address(cidr("10.7.0.2/24"), AddressOptions::new())
        .unwrap();
    host.wait_ready(PATIENCE).unwrap();
    let states: Vec<_> = host
        .addresses()
        .into_iter()
        .filter(|a| a.0.address().is_ipv4())
        .collect();
    assert_eq!(states, [(cidr("10.7.0.2/24"), AddressState::Preferred)]);
    kernel_ping("10.7.0.2".parse().unwrap(), 1, 56).unwrap();
}

fn link() {
    let host = Link::TAP.host();
    let (mut us, mut them) = connected(&host, false, true);
    host.set_link(false).unwrap();
    expect(&host, &Change::LinkDown);
    us.write_all(b"held").unwrap();
    let ours = "10.7.0.2".parse().unwrap();
    assert!(kernel_ping(ours, 1, 56).is_err());
    them.set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let nothing = them.read(&mut [0; 4]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    host.set_link(true).unwrap();
    them.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = [0; 4];
    them.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"held");
    talk(&mut us, &mut them);
    kernel_ping(ours, 2, 56).unwrap();
}

/// A route that comes makes an address reachable; a narrower MTU is kept to by what is open, and a wider one used.
fn route() {
    let host = Link::TAP.host();
    ip("addr add 10.99.0.1/32 dev lo");
    let far: SocketAddr = "10.99.0.1:0".parse().unwrap();
    let listener = std::net::TcpListener::bind(far).unwrap();
    let to = listener.local_addr().unwrap();
    let error = host.tcp_connect(to).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    host.add_route(cidr("10.99.0.0/16"), Some(kernel(false)))
        .unwrap();
    let mut us = host.tcp_connect_timeout(to, PATIENCE).unwrap();
    let (mut them, _) = listener.accept().unwrap();
    talk(&mut us, &mut them);
    let mss = |host: &Host| host.connections()[0].info.snd_mss;
    let before = mss(&host);
    host.remove_address("fd07::2".parse().unwrap()).unwrap();
    eventually("the link-local address is formed", PATIENCE, || {
        host.addresses().len() == 2
    });
    for own in host.addresses() {
        if own.0.address().is_ipv6() {
            host.remove_address(own.0.address()).unwrap();
        }
    }
    host.set_mtu(600).unwrap();
    talk(&mut us, &mut them);
    eventually("its segments fit", PATIENCE, || mss(&host) <= 560);
    host.set_mtu(1500).unwrap();
    talk(&mut us, &mut them);
    eventually("its segments are as large as before", PATIENCE, || {
        mss(&host) == before
    });
    host.remove_route(cidr("10.99.0.0/16"), Some(kernel(false)))
        .unwrap();
    let error = host.tcp_connect(to).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
}
