//! Whose packets: ends that have one address, ports that tell them apart, and addresses that a NAT made.

use std::net::{IpAddr, SocketAddr};

use netloom::base::DropReason;
use netloom::base::checksum::{Sum, checksum};
use netloom::capture::{
    DifferenceClass as Class, Fed, ForeignError, ForeignReplay, ForeignReport, Skipped,
};

use crate::others::mixed;
use crate::talk::{Act, LEFT, RIGHT, Raw, Talk, edited, replay, write};

/// Where the addresses of a frame lie, and its transport, when it is of IP.
fn places(frame: &[u8]) -> Option<(usize, usize, usize, u8)> {
    match frame[12..14] {
        [8, 0] => Some((26, 4, 34, frame[23])),
        [0x86, 0xdd] => Some((22, 16, 54, frame[20])),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> IpAddr {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).unwrap().into(),
        _ => <[u8; 16]>::try_from(bytes).unwrap().into(),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

/// The frame with other ends, in what an ICMP error quotes too. Checksums are right again, or partial.
fn between(
    mut frame: Raw,
    map: &dyn Fn(SocketAddr) -> SocketAddr,
    is_partial: bool,
) -> Option<Raw> {
    let data = &mut frame.data;
    let (at, len, transport, protocol) = places(data)?;
    let change = |data: &mut [u8], at: usize, transport: usize, has_ports: bool| {
        for (end, port) in [(at, transport), (at + len, transport + 2)] {
            let number = u16::from_be_bytes([data[port], data[port + 1]]);
            let number = if has_ports { number } else { 0 };
            let new = map(SocketAddr::new(address(&data[end..end + len]), number));
            data[end..end + len].copy_from_slice(&octets(new.ip()));
            if has_ports {
                data[port..port + 2].copy_from_slice(&new.port().to_be_bytes());
            }
        }
    };
    change(data, at, transport, matches!(protocol, 6 | 17));
    if protocol == 1 && data[transport] == 3 {
        change(data, transport + 8 + 12, transport + 28, true);
    }
    if len == 4 {
        data[24..26].fill(0);
        let sum = checksum(&data[14..34]).to_be_bytes();
        data[24..26].copy_from_slice(&sum);
    }
    let offset = match protocol {
        6 => 16,
        17 => 6,
        1 => 2,
        _ => return Some(frame),
    };
    data[transport + offset..transport + offset + 2].fill(0);
    let mut sum = Sum::new();
    if protocol != 1 {
        let whole = (data.len() - transport) as u16;
        sum = sum
            .bytes(&data[at..at + 2 * len])
            .word(protocol.into())
            .word(whole);
    }
    let sum = match is_partial && protocol != 1 {
        true => sum.partial(),
        false => sum.bytes(&data[transport..]).finish(),
    };
    data[transport + offset..transport + offset + 2].copy_from_slice(&sum.to_be_bytes());
    Some(frame)
}

fn talk(six: bool) -> Talk {
    let mut talk = Talk::new(
        51,
        &[(0, Act::Write(30_000)), (900, Act::Shut)],
        &[(100, Act::Write(20_000)), (1000, Act::Shut)],
    );
    talk.six = six;
    talk
}

const STREAMS: [Class; 5] = [
    Class::Answer,
    Class::Handshake,
    Class::Text,
    Class::Acknowledged,
    Class::End,
];

fn same(report: &ForeignReport, classes: &[Class]) {
    for &class in classes {
        assert_eq!(report.difference(class), None, "{report}");
    }
}

/// Both ends have one address: a port says whose a packet is, in both roles, whether checksums were completed or
/// not, as on the loopback they never are.
#[test]
fn one_address_at_both_ends() {
    for (ip, is_partial) in [
        ("127.0.0.1", true),
        ("::1", true),
        ("10.0.0.1", false),
        ("fd00::9", true),
    ] {
        let ip: IpAddr = ip.parse().unwrap();
        let whole = talk(ip.is_ipv6()).captured();
        let map = |end: SocketAddr| SocketAddr::new(ip, end.port());
        let file = edited(&whole, |mut frame| {
            frame.data[..12].fill(0);
            let of_both = places(&frame.data).is_some_and(|(.., protocol)| protocol == 6);
            of_both.then(|| between(frame, &map, is_partial)).flatten()
        });
        let [client, server] = [40_000, 80].map(|port| SocketAddr::new(ip, port));
        for fed in [
            Fed::FromSocket(client),
            Fed::FromSocket(server),
            Fed::ToSocket(client),
            Fed::ToSocket(server),
        ] {
            let report = replay(&file, fed);
            assert_eq!((report.flows, report.drops.total()), (1, 0), "{report}");
            assert_eq!(report.skipped_total(), 0);
            same(&report, &STREAMS);
        }
        let other = Fed::FromSocket(SocketAddr::new(ip, 9));
        assert_eq!(replay(&file, other).flows, 0);
        // Without a port nobody knows.
        match ForeignReplay::new(&file[..], Fed::From(ip)) {
            Ok(mut replay) => {
                let report = replay.finish();
                assert_eq!(report.skipped[&Skipped::OneAddress], report.frames);
            }
            Err(error) => assert!(matches!(error, ForeignError::Loopback(told) if told == ip)),
        }
        assert!(!ip.is_loopback() || ForeignReplay::new(&file[..], Fed::To(ip)).is_err());
    }
}

/// Datagrams over the loopback, and the error that one of them met.
#[test]
fn datagrams_over_the_loopback() {
    let ip: IpAddr = [127, 0, 0, 1].into();
    let map = |end: SocketAddr| SocketAddr::new(ip, end.port());
    let file = edited(&mixed(), |frame| {
        let is_four = frame.data[12..14] == [8, 0];
        is_four.then(|| between(frame, &map, true)).flatten()
    });
    for fed in [
        Fed::ToSocket(SocketAddr::new(ip, 5000)),
        Fed::FromSocket(SocketAddr::new(ip, 5000)),
    ] {
        let report = replay(&file, fed);
        assert_eq!(report.datagrams, 3, "{report}");
        same(&report, &[Class::Datagrams, Class::IcmpErrors]);
        assert_eq!(report.drops.get(DropReason::IcmpUnmatched), 0, "{report}");
        // Nobody knows who pinged whom.
        assert!(report.skipped[&Skipped::OneAddress] > 0);
    }
}

/// Two connections from one address, as behind a NAT: a port chooses one of them.
#[test]
fn one_port_of_many() {
    let whole = talk(false).captured();
    let mut frames = Vec::new();
    let _ = edited(&whole, |frame| {
        let twin = |end: SocketAddr| match end.port() {
            40_000 => SocketAddr::new(end.ip(), 40_001),
            _ => end,
        };
        let is_tcp = places(&frame.data).is_some_and(|(.., protocol)| protocol == 6);
        frames.push(frame.clone());
        frames.extend(between(frame, &twin, false).filter(|_| is_tcp));
        None
    });
    let file = write(frames.into_iter());
    assert_eq!(replay(&file, Fed::From(LEFT)).flows, 2);
    for port in [40_000, 40_001] {
        for fed in [
            Fed::FromSocket(SocketAddr::new(LEFT, port)),
            Fed::ToSocket(SocketAddr::new(LEFT, port)),
        ] {
            let report = replay(&file, fed);
            assert_eq!(report.flows, 1, "{report}");
            assert!(report.skipped[&Skipped::Elsewhere] > 30, "{report}");
            same(&report, &STREAMS);
        }
    }
}

/// Captured between two NATs, on a NAT itself (each packet twice), and where only one way was translated.
#[test]
fn both_sides_behind_nat() {
    let whole = talk(false).captured();
    let outside = [[203, 0, 113, 1], [198, 51, 100, 2]].map(IpAddr::from);
    let nat = |end: SocketAddr| match end.ip() {
        ip if ip == LEFT => SocketAddr::new(outside[0], end.port().wrapping_add(7)),
        ip if ip == RIGHT => SocketAddr::new(outside[1], end.port()),
        _ => end,
    };
    let between_nats = edited(&whole, |frame| between(frame, &nat, false));
    for fed in [
        Fed::From(outside[0]),
        Fed::From(outside[1]),
        Fed::To(outside[1]),
    ] {
        let report = replay(&between_nats, fed);
        assert_eq!(report.flows, 1);
        same(&report, &STREAMS);
    }
    let mut frames = Vec::new();
    let _ = edited(&whole, |frame| {
        frames.push(frame.clone());
        frames.extend(between(frame, &nat, false));
        None
    });
    let on_a_nat = write(frames.into_iter());
    for fed in [LEFT, RIGHT, outside[0], outside[1]] {
        let report = replay(&on_a_nat, Fed::From(fed));
        assert_eq!(report.flows, 1, "{report}");
        assert!(report.skipped[&Skipped::Elsewhere] > 50, "{report}");
        same(&report, &STREAMS);
    }
    // What the server sends goes to the outer address, what it gets comes from the inner one.
    let one_way = edited(&whole, |frame| {
        let from_right = places(&frame.data).is_some_and(|(at, ..)| frame.data[at + 3] == 2);
        let kept = from_right.then(|| frame.clone());
        kept.map_or_else(|| Some(frame), |frame| between(frame, &nat, false))
    });
    for fed in [
        Fed::From(LEFT),
        Fed::To(RIGHT),
        Fed::To(outside[0]),
        Fed::From(outside[1]),
    ] {
        let report = replay(&one_way, fed);
        assert!(report.fed > 10, "{report}");
    }
}
