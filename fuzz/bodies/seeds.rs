//! The corpus that is committed: sound frames of each kind, and the same damaged.

/// Names and inputs, in the form that `frame.rs` reads.
pub(crate) fn frames() -> Vec<(String, Vec<u8>)> {
    let mut inputs: Vec<(String, Vec<u8>)> = sound()
        .into_iter()
        .map(|(name, frames)| (name.to_owned(), input(0, &frames)))
        .collect();
    let ip: Vec<Vec<u8>> = vec![v4(6, &tcp(SYN, 1, 0, &[2, 4, 5, 180]), &FROM4, &TO4)];
    inputs.push(("ip-medium".to_owned(), input(1, &ip)));
    inputs.extend(sessions());
    let damaged: Vec<_> = inputs
        .iter()
        .zip(1..)
        .map(|((name, input), seed)| (format!("{name}-damaged"), damage(input, seed)))
        .collect();
    inputs.extend(damaged);
    inputs
}

fn sound() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let eth4 = |protocol, body: &[u8]| ethernet(0x0800, &v4(protocol, body, &FROM4, &TO4));
    let eth6 = |next, body: &[u8]| ethernet(0x86DD, &v6(next, body, &FROM6, &TO6));
    let mss = [
        2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    let quoted = v4(17, &udp(7, b"hello"), &TO4, &FROM4);
    let fragment = {
        let mut packet = v4(17, &[7; 24], &FROM4, &TO4);
        packet[6] = 0x20; // more fragments
        packet[10..12].fill(0);
        let sum = checksum(&[&packet[..20]]);
        packet[10..12].copy_from_slice(&sum);
        packet
    };
    let options = [17, 0, 5, 2, 0, 0, 1, 0]; // hop by hop: router alert, then UDP
    vec![
        ("arp-request", vec![arp(1, [0; 6])]),
        ("arp-reply", vec![arp(2, super::frame::MAC)]),
        (
            "ping4",
            vec![eth4(1, &icmp4(8, 0, &[0, 1, 0, 1, b'h', b'i']))],
        ),
        (
            "ping6",
            vec![eth6(58, &icmp6(128, 0, &[0, 1, 0, 1, b'h', b'i']))],
        ),
        ("syn4", vec![arp(1, [0; 6]), eth4(6, &tcp(SYN, 1, 0, &mss))]),
        ("syn6", vec![eth6(6, &tcp6(SYN, 1, 0, &mss))]),
        (
            "handshake4",
            vec![
                arp(1, [0; 6]),
                eth4(6, &tcp(SYN, 1, 0, &mss)),
                eth4(6, &tcp(ACK, 2, 0x1234_5678, &[])),
                eth4(6, &tcp(ACK | FIN, 2, 0x1234_5678, &[])),
                eth4(6, &tcp(RST, 2, 0, &[])),
            ],
        ),
        (
            "tcp-christmas",
            vec![eth4(6, &tcp(0x3F, 1, 1, &[5, 10, 0, 0, 0, 1, 0, 0, 0, 2]))],
        ),
        (
            "tcp-fast-open",
            vec![eth4(6, &tcp(SYN, 1, 0, &[34, 6, 1, 2, 3, 4]))],
        ),
        ("udp4", vec![eth4(17, &udp4(7, b"hello"))]),
        ("udp4-closed", vec![eth4(17, &udp4(9999, b"hello"))]),
        ("udp6", vec![eth6(17, &udp6(7, b"hello"))]),
        (
            "icmp4-unreachable",
            vec![eth4(1, &icmp4(3, 3, &[&[0; 4][..], &quoted].concat()))],
        ),
        (
            "icmp4-too-big",
            vec![eth4(
                1,
                &icmp4(3, 4, &[&[0, 0, 5, 0][..], &quoted].concat()),
            )],
        ),
        ("icmp6-too-big", vec![eth6(58, &icmp6(2, 0, &[0; 48]))]),
        ("neighbour-solicitation", vec![solicit()]),
        ("neighbour-advertisement", vec![advertise()]),
        (
            "router-advertisement",
            vec![eth6(
                58,
                &icmp6(134, 0, &[64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]),
            )],
        ),
        ("fragment4", vec![ethernet(0x0800, &fragment)]),
        (
            "fragment6",
            vec![eth6(
                44,
                &[&[17, 0, 0, 1, 0, 0, 0, 9][..], &[7; 16]].concat(),
            )],
        ),
        (
            "hop-by-hop6",
            vec![eth6(0, &[&options[..], &udp6(7, b"x")].concat())],
        ),
        (
            "routing6",
            vec![eth6(43, &[&[59, 0, 0, 1, 0, 0, 0, 0][..]].concat())],
        ),
        (
            "vlan",
            vec![ethernet(0x8100, &[&[0, 5, 8, 0][..], &quoted].concat())],
        ),
        ("igmp", vec![eth4(2, &[0x11, 0, 0xEE, 0xFF, 0, 0, 0, 0])]),
        ("llc", vec![ethernet(0x0026, &[0x42; 38])]),
        ("runt", vec![vec![2, 0, 0]]),
    ]
}

/// Whole connections, their acknowledgment numbers relative to what the stack sent.
fn sessions() -> Vec<(String, Vec<u8>)> {
    let segment = |flags: u8, seq: u32, text: &[u8]| {
        let body = [&tcp_plain(flags, seq, 0, &[])[..], text].concat();
        ethernet(0x0800, &v4(6, &body, &FROM4, &TO4))
    };
    let open = || vec![arp(1, [0; 6]), segment(SYN, 1, b""), segment(ACK, 2, b"")];
    let with = |rest: &[Vec<u8>]| [open(), rest.to_vec()].concat();
    let rows = [
        (
            "session-echo",
            with(&[
                segment(ACK, 2, b"hello"),
                segment(ACK, 7, b""),
                segment(ACK | FIN, 7, b""),
                segment(ACK, 8, b""),
            ]),
        ),
        (
            "session-reorder",
            with(&[
                segment(ACK, 7, b"world"),
                segment(ACK, 2, b"hello"),
                segment(ACK, 4, b"overlap"),
                segment(RST, 12, b""),
            ]),
        ),
        (
            "session-super-segment",
            with(&[
                segment(ACK, 2, &[b'x'; 350]),
                segment(ACK | FIN, 352, &[b'y'; 120]),
            ]),
        ),
        (
            "session-never-acknowledged",
            with(&[
                segment(ACK, 2, b"hello"),
                segment(SYN, 2, b""),
                segment(RST, 9, b""),
            ]),
        ),
    ];
    let flags = |name: &str| {
        if name.ends_with("super-segment") {
            0x1A
        } else {
            0x0A
        }
    };
    rows.into_iter()
        .map(|(name, frames)| (name.to_owned(), input(flags(name), &frames)))
        .collect()
}

const SYN: u8 = 2;
const RST: u8 = 4;
const FIN: u8 = 1;
const ACK: u8 = 16;
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const FROM4: [u8; 4] = [10, 7, 0, 1];
const TO4: [u8; 4] = [10, 7, 0, 2];
const FROM6: [u8; 16] = [0xFD, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const TO6: [u8; 16] = [0xFD, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

fn input(flags: u8, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut input = vec![flags];
    for frame in frames {
        input.extend(u16::try_from(frame.len()).expect("small").to_be_bytes());
        input.extend(frame);
    }
    input
}

fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    [&super::frame::MAC[..], &PEER, &kind.to_be_bytes(), body].concat()
}

fn arp(operation: u8, target: [u8; 6]) -> Vec<u8> {
    let body = [
        &[0, 1, 8, 0, 6, 4, 0, operation][..],
        &PEER,
        &FROM4,
        &target,
        &TO4,
    ]
    .concat();
    ethernet(0x0806, &body)
}

fn v4(protocol: u8, body: &[u8], from: &[u8; 4], to: &[u8; 4]) -> Vec<u8> {
    let len = u16::try_from(20 + body.len()).expect("small").to_be_bytes();
    let mut header = [
        &[0x45, 0][..],
        &len,
        &[0, 1, 0x40, 0, 64, protocol, 0, 0],
        from,
        to,
    ]
    .concat();
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum);
    [&header, body].concat()
}

fn v6(next: u8, body: &[u8], from: &[u8; 16], to: &[u8; 16]) -> Vec<u8> {
    let len = u16::try_from(body.len()).expect("small").to_be_bytes();
    [&[0x60, 0, 0, 0][..], &len, &[next, 255], from, to, body].concat()
}

/// Fills in the checksum at `at` over a pseudo-header and the body.
fn summed(mut body: Vec<u8>, at: usize, pseudo: &[&[u8]], protocol: u8) -> Vec<u8> {
    let len = u16::try_from(body.len()).expect("small").to_be_bytes();
    let tail = [0, 0, 0, protocol];
    let sum = {
        let parts: Vec<&[u8]> = pseudo
            .iter()
            .copied()
            .chain([&len[..], &tail, &body])
            .collect();
        checksum(&parts)
    };
    body[at..at + 2].copy_from_slice(&sum);
    body
}

fn tcp_plain(flags: u8, seq: u32, ack: u32, options: &[u8]) -> Vec<u8> {
    let mut options = options.to_vec();
    options.resize(options.len().next_multiple_of(4), 0);
    let words = u8::try_from(5 + options.len() / 4).expect("at most 15");
    let fixed = [
        &[0x80, 0, 0, 7][..],
        &seq.to_be_bytes(),
        &ack.to_be_bytes(),
        &[words << 4, flags, 0xFF, 0xFF, 0, 0, 0, 0],
    ];
    [&fixed.concat()[..], &options].concat()
}

fn tcp(flags: u8, seq: u32, ack: u32, options: &[u8]) -> Vec<u8> {
    summed(tcp_plain(flags, seq, ack, options), 16, &[&FROM4, &TO4], 6)
}

fn tcp6(flags: u8, seq: u32, ack: u32, options: &[u8]) -> Vec<u8> {
    summed(tcp_plain(flags, seq, ack, options), 16, &[&FROM6, &TO6], 6)
}

fn udp(port: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + data.len()).expect("small").to_be_bytes();
    [&[0x80, 0][..], &port.to_be_bytes(), &len, &[0, 0], data].concat()
}

fn udp4(port: u16, data: &[u8]) -> Vec<u8> {
    summed(udp(port, data), 6, &[&FROM4, &TO4], 17)
}

fn udp6(port: u16, data: &[u8]) -> Vec<u8> {
    summed(udp(port, data), 6, &[&FROM6, &TO6], 17)
}

fn icmp4(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut body = [&[kind, code, 0, 0][..], rest].concat();
    let sum = checksum(&[&body]);
    body[2..4].copy_from_slice(&sum);
    body
}

fn icmp6(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    icmp6_to(kind, code, rest, &TO6)
}

fn icmp6_to(kind: u8, code: u8, rest: &[u8], to: &[u8; 16]) -> Vec<u8> {
    summed(
        [&[kind, code, 0, 0][..], rest].concat(),
        2,
        &[&FROM6, to],
        58,
    )
}

fn solicit() -> Vec<u8> {
    let group = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0, 0, 2];
    let body = icmp6_to(
        135,
        0,
        &[&[0; 4][..], &TO6, &[1, 1], &PEER].concat(),
        &group,
    );
    let mut frame = ethernet(0x86DD, &v6(58, &body, &FROM6, &group));
    frame[..6].copy_from_slice(&[0x33, 0x33, 0xFF, 0, 0, 2]);
    frame
}

fn advertise() -> Vec<u8> {
    let body = icmp6(
        136,
        0,
        &[&[0x60, 0, 0, 0][..], &FROM6, &[2, 1], &PEER].concat(),
    );
    ethernet(0x86DD, &v6(58, &body, &FROM6, &TO6))
}

/// The Internet checksum over parts of even length but the last (RFC 1071 §1).
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let bytes = parts.concat();
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    (!u16::try_from(sum).expect("folded")).to_be_bytes()
}

/// Flips a few bytes after the first frame's length, always the same ones.
fn damage(input: &[u8], seed: u32) -> Vec<u8> {
    let mut damaged = input.to_vec();
    let mut state = seed.wrapping_mul(0x9E37_79B9);
    for _ in 0..3 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let span = u32::try_from(damaged.len() - 3).expect("small");
        let at = 3 + usize::try_from((state >> 8) % span).expect("small");
        damaged[at] ^= 1 << (state >> 29);
    }
    damaged
}
