//! UDP both ways, super-segments, and the ICMP errors that come back.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use netloom::bytes::Bytes;
use netloom::host::{Host, UdpSocket};
use netloom::stack::{DontFragment, SendError, SendInfo, UdpOptions};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{setsockopt, sockopt};

use crate::Test;
use crate::echo::our_link_local;
use crate::link::{KERNEL_LINK_LOCAL, Link, PATIENCE, kernel, kernel_udp, ours};

pub(crate) const TESTS: &[Test] = &[
    ("udp::echo_both_ways", echo_both_ways),
    ("udp::link_local_both_ways", link_local),
    ("udp::broadcasts_both_ways", broadcasts),
    ("udp::a_port_is_shared_by_flows", shared_by_flows),
    (
        "udp::a_kernel_takes_no_datagram_without_a_checksum",
        without_checksum,
    ),
    ("udp::a_closed_port_of_the_kernels_refuses", kernel_refuses),
    ("udp::a_closed_port_of_ours_refuses", we_refuse),
    ("udp::an_absent_host_is_told", absent_host),
    ("udp::super_segments_go_out", super_segments_go_out),
    ("udp::super_segments_come_in", super_segments_come_in),
    (
        "udp::over_the_mtu_is_a_typed_error_where_nothing_is_cut",
        over_the_mtu,
    ),
];

/// What is sent to all is heard by who asked for nothing, and sent by who asked for leave.
fn broadcasts() {
    let host = Link::TAP.host();
    let us = our_udp(&host, "0.0.0.0:7007".parse().unwrap());
    let them = kernel_udp("0.0.0.0:7008".parse().unwrap());
    let all = SocketAddr::from(([10, 7, 0, 255], 7008));
    let refused = us.send_to(b"to all", all).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    us.set_broadcast(true).unwrap();
    us.send_to(b"to all", all).unwrap();
    let mut buf = [0; 64];
    let (len, from) = them.recv_from(&mut buf).unwrap();
    let our_address = SocketAddr::new(ours(false), 7007);
    assert_eq!((&buf[..len], from), (&b"to all"[..], our_address));
    them.set_broadcast(true).unwrap();
    them.send_to(b"to you", (all.ip(), 7007)).unwrap();
    let asked = us.recv_datagram().unwrap();
    assert_eq!((asked.to, asked.unicast), (all.ip(), false));
    us.reply(&asked, &Bytes::from_static(b"back")).unwrap();
    let (len, from) = them.recv_from(&mut buf).unwrap();
    assert_eq!((&buf[..len], from), (&b"back"[..], our_address));
}

/// Covers: UDP-6: what is sent without a checksum has none on the wire, whatever the device offers to fill in.
fn without_checksum() {
    for link in Link::ALL {
        let host = link.host();
        let options = UdpOptions::new().send_zero_checksum(true);
        let us = host.udp_bind_with((ours(true), 0), options).unwrap();
        let them = kernel_udp((kernel(true), 0).into());
        let to = Some(them.local_addr().unwrap());
        us.send_chunk(&Bytes::from_static(b"bare"), to).unwrap();
        let info = SendInfo::new().checksum();
        let data = Bytes::from_static(b"summed");
        us.send_with(&data, to, None, &info).unwrap();
        let mut buf = [0; 16];
        let (len, _) = them.recv_from(&mut buf).unwrap();
        assert_eq!(&buf[..len], b"summed", "{link:?}");
    }
}

/// Each peer is one socket's, and all of its datagrams are; it is answered.
fn shared_by_flows() {
    let host = Link::TAP.host();
    let at = SocketAddr::new(ours(false), 7007);
    let options = UdpOptions::new().reuse_port(true);
    let sockets = [(); 4].map(|()| host.udp_bind_with(at, options).unwrap());
    let mut taken = [0; 4];
    for _ in 0..100 {
        let them = kernel_udp((kernel(false), 0).into());
        them.connect(at).unwrap();
        let mut takers = [0; 2].into_iter().map(|_: i32| {
            them.send(b"asked").unwrap();
            let deadline = Instant::now() + PATIENCE;
            loop {
                let heard = |socket: &UdpSocket| socket.receiver().try_recv().ok();
                let found = sockets.iter().position(|socket| {
                    let asked = heard(socket);
                    let asked = asked
                        .inspect(|it| socket.reply(it, &it.data.clone().into_bytes()).unwrap());
                    asked.is_some()
                });
                if let Some(found) = found {
                    assert_eq!(them.recv(&mut [0; 64]).unwrap(), 5);
                    return found;
                }
                assert!(Instant::now() < deadline, "nobody takes it");
            }
        });
        let first = takers.next().unwrap();
        assert_eq!(takers.next(), Some(first));
        taken[first] += 1;
    }
    assert!(taken.iter().all(|&count| count > 5), "{taken:?}");
}

const FAMILIES: [bool; 2] = [false, true];

fn our_udp(host: &Host, on: SocketAddr) -> UdpSocket {
    let socket = host.udp_bind(on).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The most that one packet of 1500 bytes holds.
const fn largest(v6: bool) -> usize {
    if v6 { 1452 } else { 1472 }
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 249) as u8).collect()
}

/// Covers: UDP-2, UDP-9, UDP-15.
fn echo_both_ways() {
    for link in Link::ALL {
        let host = link.host();
        for v6 in FAMILIES {
            let us = our_udp(&host, (ours(v6), 0).into());
            let them = kernel_udp((kernel(v6), 0).into());
            let (our_address, their_address) =
                (us.local_addr().unwrap(), them.local_addr().unwrap());
            let mut buf = vec![0; 65536];
            for len in [
                0,
                1,
                2,
                511,
                largest(v6) - 1,
                largest(v6),
                // In fragments.
                largest(v6) + 1,
                60_000,
            ] {
                let text = payload(len);
                // We ask, they answer.
                assert_eq!(us.send_to(&text, their_address).unwrap(), len);
                let (got, from) = them.recv_from(&mut buf).unwrap();
                assert_eq!((&buf[..got], from), (&text[..], our_address), "{link:?}");
                them.send_to(&buf[..got], from).unwrap();
                let (got, from) = us.recv_from(&mut buf).unwrap();
                assert_eq!((&buf[..got], from), (&text[..], their_address), "{link:?}");
                // They ask, we answer.
                them.send_to(&text, our_address).unwrap();
                let asked = us.recv_datagram().unwrap();
                assert!(asked.data == text[..], "{link:?}");
                assert_eq!((asked.from, asked.to), (their_address, our_address.ip()));
                us.send_chunk(&asked.data.into_bytes(), Some(asked.from))
                    .unwrap();
                let (got, _) = them.recv_from(&mut buf).unwrap();
                assert_eq!(&buf[..got], &text[..], "{link:?}");
            }
        }
        let counters = host.counters();
        assert_eq!(
            (counters.udp_datagrams_received, counters.udp_datagrams_sent),
            (32, 32)
        );
    }
}

fn link_local() {
    let host = Link::TAP.host();
    let index = if_nametoindex("nl0").unwrap();
    let us = our_udp(&host, "[::]:9".parse().unwrap());
    let them = kernel_udp(SocketAddrV6::new(KERNEL_LINK_LOCAL, 0, 0, index).into());
    let address = our_link_local(&host).unwrap();
    let mut buf = [0; 16];
    them.send_to(b"on the link", SocketAddrV6::new(address, 9, 0, index))
        .unwrap();
    let asked = us.recv_datagram().unwrap();
    assert_eq!(asked.data, b"on the link");
    assert_eq!(asked.to, IpAddr::from(address));
    us.send_to(b"answer", asked.from).unwrap();
    let (got, from) = them.recv_from(&mut buf).unwrap();
    assert_eq!((&buf[..got], from.ip()), (&b"answer"[..], address.into()));
}

/// Covers: UDP-8, IC4-9, IC6-11.
fn kernel_refuses() {
    for link in [Link::TAP, Link::TUN] {
        let host = link.host();
        for v6 in FAMILIES {
            let us = our_udp(&host, (ours(v6), 0).into());
            us.connect((kernel(v6), 9)).unwrap();
            us.send(b"anybody there").unwrap();
            let refused = us.recv_datagram().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
            // Told once; the socket lives.
            us.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let nothing = us.recv_datagram().unwrap_err();
            assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(host.counters().icmp_errors_received, 2);
    }
}

/// Covers: UDP-7, IC4-8, IC6-8.
fn we_refuse() {
    for link in [Link::TAP, Link::TUN] {
        let host = link.host();
        for v6 in FAMILIES {
            let them = kernel_udp((kernel(v6), 0).into());
            them.connect((ours(v6), 9)).unwrap();
            them.send(b"anybody there").unwrap();
            let refused = them.recv(&mut [0]).unwrap_err();
            assert_eq!(
                refused.kind(),
                ErrorKind::ConnectionRefused,
                "{link:?} {refused}"
            );
        }
        assert_eq!(host.counters().icmp_errors_sent, 2);
    }
}

fn absent_host() {
    let host = Link::TAP.host();
    for to in ["10.7.0.99:9", "[fd07::99]:9"] {
        let to: SocketAddr = to.parse().unwrap();
        let us = our_udp(&host, (ours(to.is_ipv6()), 0).into());
        us.connect(to).unwrap();
        us.send(b"anybody there").unwrap();
        let error = us.recv_datagram().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostUnreachable, "{to}: {error}");
    }
}

/// One call, one frame where the device cuts; the kernel's socket gets each datagram by itself.
fn super_segments_go_out() {
    for link in Link::ALL {
        let host = link.host();
        for v6 in FAMILIES {
            let us = our_udp(&host, (ours(v6), 0).into());
            let them = kernel_udp((kernel(v6), 0).into());
            let to = Some(them.local_addr().unwrap());
            for (len, segment) in [(40_001, 1000), (1000, 1000), (900, 1000), (64_000, 1400)] {
                let whole = Bytes::from(payload(len));
                let size = NonZeroU16::new(segment).unwrap();
                us.send_segmented(&whole, size, to).unwrap();
                let mut buf = vec![0; 65536];
                for expected in whole.chunks(usize::from(segment)) {
                    let (got, from) = them.recv_from(&mut buf).unwrap();
                    assert!(&buf[..got] == expected, "{link:?} {len}/{segment}: {got}");
                    assert_eq!(from, us.local_addr().unwrap());
                }
            }
        }
    }
}

/// The kernel sends super-segments (UDP_SEGMENT); we get each datagram by itself.
fn super_segments_come_in() {
    for link in Link::ALL {
        let host = link.host();
        for v6 in FAMILIES {
            let us = our_udp(&host, (ours(v6), 0).into());
            let them = kernel_udp((kernel(v6), 0).into());
            setsockopt(&them, sockopt::UdpGsoSegment, &1000).unwrap();
            let whole = payload(40_001);
            them.send_to(&whole, us.local_addr().unwrap()).unwrap();
            for expected in whole.chunks(1000) {
                let datagram = us.recv_datagram().unwrap();
                assert!(datagram.data == *expected, "{link:?}");
            }
            assert_eq!(us.dropped(), 0);
        }
    }
}

fn over_the_mtu() {
    let host = Link::TAP.host();
    for v6 in FAMILIES {
        let options = UdpOptions::new().dont_fragment(DontFragment::On);
        let us = host.udp_bind_with((ours(v6), 0), options).unwrap();
        let to = (kernel(v6), 9).into();
        let max = largest(v6);
        let error = us.send_to(&payload(max + 1), to).unwrap_err();
        let typed = error.get_ref().and_then(|inner| inner.downcast_ref());
        let expected = SendError::TooBig { len: max + 1, max };
        assert_eq!(typed, Some(&expected), "{error}");
        let size = NonZeroU16::new(max as u16 + 1).unwrap();
        let whole = Bytes::from(payload(5000));
        assert!(us.send_segmented(&whole, size, Some(to)).is_err());
        // The socket is none the worse for it.
        us.send_to(&payload(max), to).unwrap();
    }
    assert_eq!(host.counters().udp_datagrams_sent, 2);
}
