//! UDP, ping and ICMP errors.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use netloom::base::DropReason;
use netloom::base::checksum::checksum;
use netloom::capture::{DifferenceClass as Class, Fed, ForeignReplay, Skipped};
use netloom::device::WireConfig;
use netloom::sim::{Cx, Pair, Wake};
use netloom::stack::{PingOptions, SocketId, UdpOptions};

use crate::talk::{LEFT, RIGHT, captured, edited, replay};

/// Pings both ways, questions over UDP with answers, and one to a port that is closed.
pub(crate) fn mixed() -> Vec<u8> {
    let wire = WireConfig::perfect().delay(Duration::from_millis(3));
    let mut pair = Pair::new(21, wire).unwrap();
    let at = |ip: IpAddr, port| SocketAddr::new(ip, port);
    let (asks, answers) = (at(LEFT, 5000), at(RIGHT, 53));
    pair.network
        .add_app(pair.right, move |cx: &mut Cx<'_>, wake| match wake {
            Wake::Start => {
                cx.udp_bind(answers, UdpOptions::new()).unwrap();
                cx.alarm_in(Duration::from_millis(400), 0);
            }
            Wake::Event(event) => {
                if let SocketId::Udp(id) = event.id {
                    while let Ok(question) = cx.udp_recv(id) {
                        cx.udp_send(id, Some(question.from), question.data.into_bytes())
                            .unwrap();
                    }
                }
            }
            _ => {
                let ping = cx.ping_open(PingOptions::new()).unwrap();
                cx.ping_send(ping, LEFT, None, 7, Bytes::from_static(b"back"))
                    .unwrap();
            }
        });
    pair.network
        .add_app(pair.left, move |cx: &mut Cx<'_>, wake| {
            if wake != Wake::Start {
                return;
            }
            let id = cx.udp_bind(asks, UdpOptions::new()).unwrap();
            for text in ["one", "two", "three"] {
                cx.udp_send(id, Some(answers), text.into()).unwrap();
            }
            cx.udp_send(id, Some(at(RIGHT, 9999)), "nobody".into())
                .unwrap();
            let ping = cx.ping_open(PingOptions::new()).unwrap();
            for seq in 0..3 {
                let _ = cx.ping_send(ping, RIGHT, None, seq, Bytes::from_static(b"hello"));
            }
        });
    captured(pair.network, pair.link, 0, 2000)
}

#[test]
fn datagrams_and_pings_are_as_they_were() {
    let file = mixed();
    for (fed, received) in [(LEFT, 3), (RIGHT, 3)] {
        let mut replay = ForeignReplay::new(&file[..], Fed::From(fed)).unwrap();
        let report = replay.finish();
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.datagrams, received, "{report}");
        for class in [
            Class::Datagrams,
            Class::EchoReplies,
            Class::EchoRequests,
            Class::IcmpErrors,
            Class::ArpReplies,
        ] {
            assert_eq!(report.difference(class), None, "{fed} {report}");
        }
        // The error that quotes our datagram was matched, and the replies to our pings were taken.
        let drops = &report.drops;
        assert_eq!(drops.get(DropReason::IcmpUnmatched), 0, "{report}");
        assert_eq!(drops.get(DropReason::PingUnclaimed), 0, "{report}");
    }
}

/// What a packet has behind its datagram is not read: the stack cuts it off, and so it is looked for without. Nor is it
/// summed up, where the datagram has a checksum.
#[test]
fn bytes_behind_a_datagram_are_not_its() {
    for has_sum in [true, false] {
        let mut padded = 0;
        let file = edited(&mixed(), |mut frame| {
            let data = &mut frame.data;
            if data[12..14] == [8, 0] && data[23] == 17 {
                // Four more bytes in the packet.
                data.extend(b"more");
                data[17] += 4;
                data[24..26].fill(0);
                let sum = checksum(&data[14..34]).to_be_bytes();
                data[24..26].copy_from_slice(&sum);
                if !has_sum {
                    data[40..42].fill(0);
                }
                frame.original_len += 4;
                padded += 1;
            }
            Some(frame)
        });
        assert!(padded >= 7);
        for fed in [LEFT, RIGHT] {
            let mut replay = ForeignReplay::new(&file[..], Fed::From(fed)).unwrap();
            let report = replay.finish();
            assert!(report.is_sound(), "{has_sum} {report}");
            assert_eq!(report.datagrams, 3, "{has_sum} {report}");
            assert_eq!(report.drops.get(DropReason::UdpChecksum), 0, "{report}");
            // The datagram to a closed port was answered.
            for class in [Class::Datagrams, Class::IcmpErrors] {
                assert_eq!(report.difference(class), None, "{has_sum} {fed} {report}");
            }
        }
    }
}

/// What a client says that has no address yet, and a server's answers to everybody (RFC 2131 §3.1, §4.1): two questions
/// from 0.0.0.0 to 255.255.255.255, each answered with a broadcast; then one from its address, answered to that alone, and
/// one more broadcast of the server's. The texts are no DHCP.
pub(crate) fn broadcasts() -> Vec<u8> {
    let wire = WireConfig::perfect().delay(Duration::from_millis(3));
    let mut pair = Pair::new(22, wire).unwrap();
    let at = |ip: IpAddr, port| SocketAddr::new(ip, port);
    let (any, all) = (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
    pair.network
        .add_app(pair.right, move |cx: &mut Cx<'_>, wake| match wake {
            Wake::Start => {
                let options = UdpOptions::new().broadcast(true);
                cx.udp_bind(at(any, 67), options).unwrap();
            }
            Wake::Event(event) => {
                let SocketId::Udp(id) = event.id else { return };
                while let Ok(question) = cx.udp_recv(id) {
                    assert_eq!(question.to, IpAddr::from(Ipv4Addr::BROADCAST));
                    if question.data == b"inform" {
                        let answer = "to you".into();
                        cx.udp_send(id, Some(question.from), answer).unwrap();
                    }
                    cx.udp_send(id, Some(at(all, 68)), "to all".into()).unwrap();
                }
            }
            _ => {}
        });
    let mut socket = None;
    pair.network
        .add_app(pair.left, move |cx: &mut Cx<'_>, wake| match wake {
            Wake::Start => {
                let options = UdpOptions::new().broadcast(true);
                socket = cx.udp_bind(at(any, 68), options).ok();
                for token in 0..3 {
                    cx.alarm_in(Duration::from_millis(100 * (token + 1)), token);
                }
            }
            Wake::Alarm(token) => {
                let text = ["discover", "request", "inform"][token as usize];
                cx.udp_send(socket.unwrap(), Some(at(all, 67)), text.into())
                    .unwrap();
            }
            _ => {}
        });
    let mut told = 0;
    edited(&captured(pair.network, pair.link, 0, 2000), |mut frame| {
        let ip = &mut frame.data[14..];
        let is_question = frame_is_udp_to(ip, 67);
        told += u32::from(is_question);
        if is_question && told <= 2 {
            // It has no address yet: both checksums lose what it gave (RFC 1624).
            for (from, sum) in [(12, 10), (14, 10), (12, 26), (14, 26)] {
                let word = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
                let (sum_now, gone) = (word(sum), word(from));
                let (new, carry) = sum_now.overflowing_add(gone);
                ip[sum..sum + 2].copy_from_slice(&(new + u16::from(carry)).to_be_bytes());
            }
            ip[12..16].fill(0);
        }
        Some(frame)
    })
}

fn frame_is_udp_to(ip: &[u8], port: u16) -> bool {
    ip[0] == 0x45 && ip[9] == 17 && ip[22..24] == port.to_be_bytes()
}

#[test]
fn broadcasts_are_for_those_who_listen() {
    let file = broadcasts();
    // In the place of the server: who has no address yet can have sent nothing to a stack.
    let report = replay(&file, Fed::To(RIGHT));
    assert_eq!(report.datagrams, 1, "{report}");
    assert_eq!(report.drops.get(DropReason::IpSource), 2, "{report}");
    assert_eq!(report.drops.get(DropReason::UdpNoSocket), 0, "{report}");
    assert_eq!(report.drops.get(DropReason::UdpChecksum), 0, "{report}");
    // In the place of the client, whose port is known once it has sent from its address. What it sent before is nobody's,
    // and fed like what others send to all.
    let report = replay(&file, Fed::To(LEFT));
    assert_eq!(report.datagrams, 2, "{report}");
    assert_eq!(report.drops.get(DropReason::UdpNoSocket), 2, "{report}");
    assert_eq!(report.drops.get(DropReason::IpSource), 2, "{report}");
    // Where one host alone is fed it is between others.
    let report = replay(&file, Fed::From(RIGHT));
    assert_eq!(report.datagrams, 2, "{report}");
    assert_eq!(report.drops.get(DropReason::IpSource), 0, "{report}");
    assert!(
        report.skipped.get(&Skipped::Elsewhere) >= Some(&2),
        "{report}"
    );
    for fed in [
        Fed::To(RIGHT),
        Fed::To(LEFT),
        Fed::From(LEFT),
        Fed::From(RIGHT),
    ] {
        let report = replay(&file, fed);
        // Nothing is said to a broadcast (RFC 1122 §3.2.2).
        for class in [Class::Datagrams, Class::IcmpErrors] {
            assert_eq!(report.difference(class), None, "{fed:?} {report}");
        }
    }
}
