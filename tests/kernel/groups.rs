//! Groups: datagrams to them both ways, and a bridge of the kernel's that listens to our reports.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::process::Command;
use std::thread;
use std::time::Duration;

use netloom::host::{Host, UdpSocket};
use netloom::stack::UdpOptions;
use nix::net::if_::if_nametoindex;

use crate::Test;
use crate::link::{Link, PATIENCE, eventually, kernel, kernel_udp, ours};
use crate::namespace::ip;

pub(crate) const TESTS: &[Test] = &[
    ("groups::datagrams_both_ways", both_ways),
    ("groups::several_sockets_hear_one_datagram", several),
    ("groups::named_senders", named_senders),
    ("groups::the_example_answers_and_asks", mdns),
    ("groups::a_snooping_bridge_knows_our_groups", || {
        bridge(3, 2)
    }),
    ("groups::an_older_bridge_knows_our_groups", || bridge(2, 1)),
];

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 7, 7, 7);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x707);
const PORT: u16 = 5007;

fn our_socket(host: &Host, v6: bool) -> UdpSocket {
    let any: IpAddr = if v6 { [0; 16].into() } else { [0; 4].into() };
    let options = UdpOptions::new().reuse_address(true);
    let socket = host.udp_bind_with((any, PORT), options).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn join(socket: &UdpSocket, v6: bool) {
    let joined = if v6 {
        socket.join_multicast_v6(&GROUP6, 0)
    } else {
        socket.join_multicast_v4(&GROUP, &Ipv4Addr::UNSPECIFIED)
    };
    joined.unwrap();
}

/// The group as the kernel names it: over `nl0`.
fn group_at(v6: bool) -> SocketAddr {
    if v6 {
        let index = if_nametoindex("nl0").unwrap();
        SocketAddrV6::new(GROUP6, PORT, 0, index).into()
    } else {
        (GROUP, PORT).into()
    }
}

/// Covers: UDP-16.
fn both_ways() {
    for link in [Link::TAP, Link::TUN] {
        let host = link.host();
        ip("route add 224.0.0.0/4 dev nl0");
        for v6 in [false, true] {
            let us = our_socket(&host, v6);
            join(&us, v6);
            let any: IpAddr = if v6 { [0; 16].into() } else { [0; 4].into() };
            let them = kernel_udp((any, PORT).into());
            let index = if_nametoindex("nl0").unwrap();
            let IpAddr::V4(kernel_v4) = kernel(false) else {
                panic!("no IPv4");
            };
            if v6 {
                them.join_multicast_v6(&GROUP6, index).unwrap();
                them.set_multicast_loop_v6(false).unwrap();
            } else {
                them.join_multicast_v4(&GROUP, &kernel_v4).unwrap();
                them.set_multicast_loop_v4(false).unwrap();
            }
            let mut buf = [0; 100];
            // They speak.
            them.send_to(b"from the kernel", group_at(v6)).unwrap();
            let heard = us.recv_datagram().unwrap();
            assert_eq!(heard.data, b"from the kernel");
            assert_eq!(heard.to, group_at(v6).ip());
            // We do; and hear it ourselves.
            let to = SocketAddr::new(group_at(v6).ip(), PORT);
            us.send_to(b"from us", to).unwrap();
            let (len, from) = them.recv_from(&mut buf).unwrap();
            assert_eq!(&buf[..len], b"from us");
            assert_eq!(from.port(), PORT);
            assert_eq!(us.recv_datagram().unwrap().data, b"from us");
            us.set_multicast_loop_v4(false).unwrap();
            us.send_to(b"for others", to).unwrap();
            assert_eq!(them.recv_from(&mut buf).unwrap().0, 10);
            us.set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            assert_eq!(us.recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        drop(host);
    }
}

/// Covers: UDP-16.
fn several() {
    let host = Link::TAP.host();
    ip("route add 224.0.0.0/4 dev nl0");
    let sockets = [(); 3].map(|()| our_socket(&host, false));
    sockets.iter().for_each(|socket| join(socket, false));
    let outside = our_socket(&host, false);
    let them = kernel_udp((kernel(false), 0).into());
    them.send_to(b"to all", group_at(false)).unwrap();
    for socket in &sockets {
        assert_eq!(socket.recv_datagram().unwrap().data, b"to all");
    }
    outside
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = outside.recv_datagram().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let again = sockets[0].join_multicast_v4(&GROUP, &Ipv4Addr::UNSPECIFIED);
    assert_eq!(again.unwrap_err().kind(), ErrorKind::AddrInUse);
    let IpAddr::V4(own) = ours(false) else {
        panic!("no IPv4");
    };
    sockets[0].leave_multicast_v4(&GROUP, &own).unwrap();
    let gone = sockets[0].leave_multicast_v4(&GROUP, &own);
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    let elsewhere = sockets[0].join_multicast_v4(&GROUP, &Ipv4Addr::new(10, 9, 9, 9));
    assert_eq!(elsewhere.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
}

/// Covers: IGM-21.
fn named_senders() {
    let host = Link::TAP.host();
    ip("route add 224.0.0.0/4 dev nl0");
    let (wants, other) = (our_socket(&host, false), our_socket(&host, false));
    let group = IpAddr::V4(Ipv4Addr::new(232, 7, 7, 7));
    wants.join_source(group, kernel(false), None).unwrap();
    let stranger = IpAddr::from([10, 7, 0, 99]);
    other.join_source(group, stranger, None).unwrap();
    let them = kernel_udp((kernel(false), 0).into());
    them.send_to(b"named", (group, PORT)).unwrap();
    assert_eq!(wants.recv_datagram().unwrap().data, b"named");
    other
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = other.recv_datagram().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

/// What of the example `mdns` is not its `main`.
#[path = "../../examples/mdns.rs"]
#[allow(dead_code)]
mod example;

const MDNS: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
/// `netloom.local`, type A, class IN (RFC 1035 §3.1, §4.1.2).
const ABOUT_US: &[u8] = b"\x07netloom\x05local\x00\x00\x01\x00\x01";

/// A question of this number about us.
fn question(number: u8) -> Vec<u8> {
    let header = [0, number, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], ABOUT_US].concat()
}

/// The example `mdns` against sockets of the kernel: who asks from the port is answered in the group, who asks from another
/// one alone (RFC 6762 §6.7); and what it asks itself is answered.
///
/// Covers: UDP-16.
fn mdns() {
    let host = Link::TAP.host();
    ip("route add 224.0.0.0/4 dev nl0");
    let IpAddr::V4(kernel_v4) = kernel(false) else {
        panic!("no IPv4");
    };
    let alone = kernel_udp((kernel_v4, 0).into());
    let member = kernel_udp((Ipv4Addr::UNSPECIFIED, MDNS.1).into());
    member.join_multicast_v4(&MDNS.0, &kernel_v4).unwrap();
    for socket in [&alone, &member] {
        socket.set_multicast_loop_v4(false).unwrap();
    }
    let socket = example::mdns::socket(&host).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buf = [0; 512];
    thread::scope(|scope| {
        scope.spawn(|| example::mdns::answer(&socket, [10, 7, 0, 2], Some(2)).unwrap());
        alone.send_to(&question(7), MDNS).unwrap();
        let (len, from) = alone.recv_from(&mut buf).unwrap();
        let answer = &buf[..len];
        assert_eq!(from, SocketAddr::new(ours(false), MDNS.1));
        assert_eq!(answer[..8], [0, 7, 0x84, 0, 0, 1, 0, 1]);
        assert!(answer[12..].starts_with(ABOUT_US), "the question first");
        assert!(answer.ends_with(&[0, 4, 10, 7, 0, 2]));
        member.send_to(&question(9), MDNS).unwrap();
        let (len, from) = member.recv_from(&mut buf).unwrap();
        let answer = &buf[..len];
        assert_eq!(from, SocketAddr::new(ours(false), MDNS.1));
        assert_eq!(answer[2..8], [0x84, 0, 0, 0, 0, 1], "{answer:?}");
        assert!(answer.ends_with(&[0, 4, 10, 7, 0, 2]));
    });
    // Its own answer in the group was heard by the one that gave it.
    drop(socket);
    let socket = example::mdns::socket(&host).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    thread::scope(|scope| {
        let asks = scope.spawn(|| example::mdns::ask(&socket).unwrap());
        let (len, from) = member.recv_from(&mut buf).unwrap();
        assert_eq!(from, SocketAddr::new(ours(false), MDNS.1));
        assert!(buf[..len].ends_with(ABOUT_US));
        let header = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let record = [&header[..], ABOUT_US, &[0, 0, 0, 120, 0, 4, 10, 7, 0, 1]].concat();
        member.send_to(&record, MDNS).unwrap();
        assert_eq!(asks.join().unwrap(), kernel_v4);
    });
}

/// What the bridge knows of listeners.
fn listeners() -> String {
    let output = Command::new("bridge").args(["mdb", "show"]).output();
    let output = output.expect("the `bridge` command (package iproute2) is there");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_known(group: IpAddr) -> bool {
    let group = format!(" grp {group} ");
    listeners()
        .lines()
        .any(|line| line.contains(&group) && line.contains("port nl0"))
}

/// A bridge that snoops and asks, by these versions: our groups are in its table as long as we are in them.
fn bridge(igmp: u8, mld: u8) {
    let host = Link::TAP.host();
    ip(&format!(
        "link add br0 type bridge mcast_snooping 1 mcast_querier 1 mcast_igmp_version {igmp} \
         mcast_mld_version {mld} mcast_startup_query_interval 100 mcast_query_interval 100 \
         mcast_query_response_interval 50 mcast_membership_interval 400 mcast_last_member_interval 50"
    ));
    ip("link set nl0 master br0");
    ip("addr add fe80::b/64 dev br0 nodad");
    ip("link set br0 up");
    let sockets = [false, true].map(|v6| our_socket(&host, v6));
    let groups = [IpAddr::from(GROUP), GROUP6.into()];
    let asked = |host: &Host| host.counters().group_queries_received;
    eventually("queries come", PATIENCE, || asked(&host) >= 2);
    join(&sockets[0], false);
    join(&sockets[1], true);
    for group in groups {
        eventually("the bridge hears of the group", PATIENCE, || {
            is_known(group)
        });
    }
    // Longer than it takes to be forgotten, if nothing were answered: 4 s.
    let so_far = asked(&host);
    eventually("more queries come", PATIENCE, || {
        asked(&host) >= so_far + 12
    });
    for group in groups {
        assert!(is_known(group), "{group}: {}", listeners());
    }
    drop(sockets);
    for group in groups {
        eventually("the group is left", PATIENCE, || !is_known(group));
    }
}
