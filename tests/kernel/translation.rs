//! A stack that translates addresses, between two kernels: what leaves to the right comes from 10.8.0.1.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;

use netloom::base::Protocol;
use netloom::stack::NatOptions;

use crate::forwarding::{Between, exchange, told, with};
use crate::link::{PATIENCE, eventually, kernel_accept, kernel_connect};
use crate::namespace::Case;
use crate::paths::Place;
use crate::programs::{Peer, listening};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        with(&["ping"], "translation::pings_come_back", pings_come_back),
        with(
            &["traceroute"],
            "translation::a_hop_is_told_of",
            hop_is_told_of,
        ),
        Case::new("translation::tcp_is_from_outside", tcp_is_from_outside),
        Case::new("translation::udp_comes_back", udp_comes_back),
        Case::new("translation::a_port_is_forwarded", port_is_forwarded),
        with(
            &["iperf3"],
            "translation::iperf_goes_through",
            iperf_goes_through,
        ),
    ]
}

fn outside(offload: bool) -> Between {
    Between::with(offload, 1500, Some(NatOptions::new()))
}

/// Nobody outside knows the way to those inside.
fn hide(between: &Between) {
    between
        .right
        .run(|| crate::namespace::ip("route del default"));
}

/// In fragments too, both ways.
fn pings_come_back() {
    let between = outside(true);
    hide(&between);
    for to in [
        "ping -c 3 -i 0.2 -W 5 10.8.0.2",
        "ping -c 2 -i 0.2 -W 5 -s 4000 10.8.0.2",
        "ping -c 2 -i 0.2 -W 5 10.8.0.1",
    ] {
        told(&between.left, to);
    }
    let stack = between.end();
    assert!(stack.counters().packets_translated >= 10);
    assert!(stack.counters().datagrams_reassembled >= 4);
}

/// By UDP, whose last answer is an ICMP error about what was translated.
fn hop_is_told_of() {
    let between = outside(true);
    hide(&between);
    let text = told(&between.left, "traceroute -n -q 1 -w 2 10.8.0.2");
    let hops: Vec<&str> = text.lines().skip(1).collect();
    assert!(hops.len() == 2 && hops[0].contains("10.7.0.1"), "{text}");
    assert!(hops[1].contains("10.8.0.2"), "{text}");
    drop(between.end());
}

fn tcp_is_from_outside() {
    for offload in [true, false] {
        Place::new().run(move || {
            let between = outside(offload);
            hide(&between);
            let at: SocketAddr = "10.8.0.2:0".parse().unwrap();
            let listener = between.right.run(move || TcpListener::bind(at).unwrap());
            let to = listener.local_addr().unwrap();
            let left = between.left.run(move || kernel_connect(to));
            let right = kernel_accept(&listener);
            assert_eq!(right.peer_addr().unwrap().ip().to_string(), "10.8.0.1");
            exchange(&left, &right, 20_000_000);
            let counters = between.end().counters().clone();
            assert!(counters.packets_translated > 500, "{counters:?}");
            assert_eq!(counters.packets_cut, 0, "super-segments stay whole");
        });
    }
}

/// From one port, whoever it is sent to; large ones in fragments.
fn udp_comes_back() {
    let between = outside(true);
    hide(&between);
    let far = between
        .right
        .run(|| [5301, 5302].map(|port| UdpSocket::bind(("10.8.0.2", port)).unwrap()));
    let near = between
        .left
        .run(|| UdpSocket::bind("10.7.0.2:4001").unwrap());
    let mut buffer = [0; 9000];
    let mut seen = Vec::new();
    for (far, len) in far.iter().zip([100, 8000]) {
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        near.set_read_timeout(Some(PATIENCE)).unwrap();
        near.send_to(&vec![7; len], far.local_addr().unwrap())
            .unwrap();
        let (got, from) = far.recv_from(&mut buffer).unwrap();
        assert!(got == len && buffer[..got].iter().all(|&byte| byte == 7));
        far.send_to(&buffer[..got], from).unwrap();
        assert_eq!(near.recv(&mut buffer).unwrap(), len);
        seen.push(from);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(
        (seen[0].ip().to_string(), seen[0].port() % 2),
        ("10.8.0.1".to_owned(), 1)
    );
    drop(between.end());
}

/// From outside, and from inside by the outside address.
fn port_is_forwarded() {
    let inside = "10.7.0.2:8080".parse().unwrap();
    let nat = NatOptions::new().forward(Protocol::TCP, 80, inside);
    let between = Between::with(true, 1500, Some(nat));
    hide(&between);
    let listener = between
        .left
        .run(|| TcpListener::bind("10.7.0.2:8080").unwrap());
    let to: SocketAddr = "10.8.0.1:80".parse().unwrap();
    for (place, from) in [(&between.left, "10.8.0.1"), (&between.right, "10.8.0.2")] {
        let mut client = place.run(move || kernel_connect(to));
        let mut server = kernel_accept(&listener);
        assert_eq!(server.peer_addr().unwrap().ip().to_string(), from);
        client.write_all(b"question").unwrap();
        let mut got = [0; 8];
        server.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"question");
    }
    drop(between.end());
}

/// TCP of several flows both ways, and UDP back.
fn iperf_goes_through() {
    let between = outside(true);
    hide(&between);
    for words in [
        "iperf3 -c 10.8.0.2 -P 4 -t 2 --bidir",
        "iperf3 -c 10.8.0.2 -u -b 50M -R -t 1",
    ] {
        let server = between.right.run(|| {
            let mut server = Command::new("iperf3");
            server.args(["-s", "-1", "-B", "10.8.0.2"]);
            server.stdout(std::process::Stdio::null()).spawn().unwrap()
        });
        let server = Peer::of(server);
        eventually("iperf3 listens", PATIENCE, || {
            between.right.run(|| listening(false, 5201))
        });
        told(&between.left, words);
        server.end();
    }
    drop(between.end());
}
