//! UDP, ping and ICMP errors.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use netloom::base::DropReason;
use netloom::base::checksum::checksum;
use netloom::capture::{DifferenceClass as Class, Fed, ForeignReplay};
use netloom::device::WireConfig;
use netloom::sim::{Cx, Pair, Wake};
use netloom::stack::{PingOptions, SocketId, UdpOptions};

use crate::talk::{LEFT, RIGHT, captured, edited};

/// Pings both ways, questions over UDP with answers, one to a port that is closed, and a broadcast.
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
                        cx.udp_send(id, Some(question.from), question.data).unwrap();
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

/// What a packet has behind its datagram is not read: the stack cuts it off, and so it is looked for without.
#[test]
fn bytes_behind_a_datagram_are_not_its() {
    let mut padded = 0;
    let file = edited(&mixed(), |mut frame| {
        let data = &mut frame.data;
        if data[12..14] == [8, 0] && data[23] == 17 {
            // Four more bytes in the packet, and no checksum.
            data.extend(b"more");
            data[17] += 4;
            data[24..26].fill(0);
            let sum = checksum(&data[14..34]).to_be_bytes();
            data[24..26].copy_from_slice(&sum);
            data[40..42].fill(0);
            frame.original_len += 4;
            padded += 1;
        }
        Some(frame)
    });
    assert!(padded >= 7);
    for fed in [LEFT, RIGHT] {
        let mut replay = ForeignReplay::new(&file[..], Fed::From(fed)).unwrap();
        let report = replay.finish();
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.datagrams, 3, "{report}");
    }
}
