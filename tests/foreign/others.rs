//! UDP, ping, ICMP errors, broadcasts, extension headers, and what is dropped for each reason.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use netloom::base::DropReason;
use netloom::capture::{DifferenceClass as Class, Fed, ForeignReplay, LinkType};
use netloom::device::WireConfig;
use netloom::sim::{Cx, Pair, Wake};
use netloom::stack::{PingOptions, SocketId, UdpOptions};

use crate::talk::{LEFT, RIGHT, Raw, captured, edited, write};

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

/// Frames to 10.0.0.1 that are each dropped for one reason.
#[allow(clippy::too_many_lines)] // a table
pub(crate) fn drops() -> (Vec<u8>, Vec<DropReason>) {
    let whole = mixed();
    let mut sample = None;
    let _ = edited(&whole, |frame| {
        let to_left = frame.data[12..14] == [8, 0] && frame.data[33] == 1 && frame.data[23] == 17;
        if to_left && sample.is_none() {
            sample = Some(frame.clone());
        }
        None
    });
    let good = sample.unwrap();
    // What is altered, and whether the IP header's checksum is made right again.
    type Alter = fn(&mut Vec<u8>);
    let rows: [(DropReason, bool, Alter); 12] = [
        (DropReason::UdpChecksum, true, |f| f[42] ^= 1),
        (DropReason::UdpNoSocket, true, |f| {
            // To everybody, at a port that nobody has.
            f[0..6].fill(0xff);
            f[30..34].fill(0xff);
            f[36..38].fill(9);
            f[40..42].fill(0);
        }),
        (DropReason::Ipv4Checksum, false, |f| f[24] ^= 1),
        (DropReason::IpProtocol, true, |f| f[23] = 132),
        (DropReason::IpFragment, true, |f| f[20] = 0x20),
        (DropReason::IpNotOurs, true, |f| {
            f[0..6].copy_from_slice(&[1, 0, 0x5e, 1, 2, 3]);
            f[30..34].copy_from_slice(&[224, 1, 2, 3]);
        }),
        (DropReason::IpLinkBroadcast, true, |f| f[0..6].fill(0xff)),
        (DropReason::IpSource, true, |f| {
            f[26..30].copy_from_slice(&[224, 0, 0, 1])
        }),
        (DropReason::Ipv4Malformed, true, |f| {
            f.extend([0; 20]);
            f[17] = 200;
        }),
        (DropReason::IcmpMalformed, true, |f| {
            f[23] = 1;
            f[17] = 22;
        }),
        (DropReason::IcmpChecksum, true, |f| {
            f[23] = 1;
            f[34] = 8;
        }),
        (DropReason::TcpChecksum, true, |f| {
            f[23] = 6;
            f.resize(54, 0);
            f[17] = 40;
            f[46] = 0x10;
        }),
    ];
    let mut reasons = Vec::new();
    let frames: Vec<Raw> = rows
        .into_iter()
        .enumerate()
        .map(|(n, (reason, right, alter))| {
            reasons.push(reason);
            let mut frame = good.clone();
            frame.at += n as u64 * 1_000_000;
            alter(&mut frame.data);
            frame.original_len = frame.data.len();
            if right {
                frame.data[24..26].fill(0);
                let sum = netloom::base::checksum::checksum(&frame.data[14..34]);
                frame.data[24..26].copy_from_slice(&sum.to_be_bytes());
            }
            frame
        })
        .collect();
    assert!(frames.iter().all(|frame| frame.link == LinkType::ETHERNET));
    (write(frames.into_iter()), reasons)
}

/// One drop for each, counted under its own reason.
#[test]
fn what_is_dropped_is_counted_by_reason() {
    let (file, reasons) = drops();
    let mut replay = ForeignReplay::new(&file[..], Fed::To(LEFT)).unwrap();
    let report = replay.finish();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.fed, reasons.len() as u64, "{report}");
    for reason in reasons {
        assert_eq!(report.drops.get(reason), 1, "{reason} {report}");
    }
}
