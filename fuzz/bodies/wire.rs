//! Packets by hand: the peer's side of the seeds and of the stack's target. Nothing here is the
//! library's own code, or a mistake in that would not show.

use super::frame::MAC;

pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const FIN: u8 = 1;
pub const ACK: u8 = 16;
pub const URG: u8 = 32;
pub const PEER: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const FROM4: [u8; 4] = [10, 7, 0, 1];
pub const TO4: [u8; 4] = [10, 7, 0, 2];
pub const FROM6: [u8; 16] = [0xFD, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub const TO6: [u8; 16] = [0xFD, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

pub fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    [&MAC[..], &PEER, &kind.to_be_bytes(), body].concat()
}

pub fn arp(operation: u8, target: [u8; 6]) -> Vec<u8> {
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

pub fn v4(protocol: u8, body: &[u8], from: &[u8; 4], to: &[u8; 4]) -> Vec<u8> {
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

pub fn v6(next: u8, body: &[u8], from: &[u8; 16], to: &[u8; 16]) -> Vec<u8> {
    let len = u16::try_from(body.len()).expect("small").to_be_bytes();
    [&[0x60, 0, 0, 0][..], &len, &[next, 255], from, to, body].concat()
}

/// Fills in the checksum at `at` over a pseudo-header and the body.
pub fn summed(mut body: Vec<u8>, at: usize, pseudo: &[&[u8]], protocol: u8) -> Vec<u8> {
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

pub fn tcp_plain(flags: u8, seq: u32, ack: u32, options: &[u8]) -> Vec<u8> {
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

pub fn tcp(flags: u8, seq: u32, ack: u32, options: &[u8]) -> Vec<u8> {
    summed(tcp_plain(flags, seq, ack, options), 16, &[&FROM4, &TO4], 6)
}

pub fn tcp6(flags: u8, seq: u32, ack: u32, options: &[u8]) -> Vec<u8> {
    summed(tcp_plain(flags, seq, ack, options), 16, &[&FROM6, &TO6], 6)
}

pub fn udp(port: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + data.len()).expect("small").to_be_bytes();
    [&[0x80, 0][..], &port.to_be_bytes(), &len, &[0, 0], data].concat()
}

pub fn udp4(port: u16, data: &[u8]) -> Vec<u8> {
    summed(udp(port, data), 6, &[&FROM4, &TO4], 17)
}

pub fn udp6(port: u16, data: &[u8]) -> Vec<u8> {
    summed(udp(port, data), 6, &[&FROM6, &TO6], 17)
}

pub fn icmp4(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut body = [&[kind, code, 0, 0][..], rest].concat();
    let sum = checksum(&[&body]);
    body[2..4].copy_from_slice(&sum);
    body
}

pub fn icmp6(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    icmp6_to(kind, code, rest, &TO6)
}

pub fn icmp6_to(kind: u8, code: u8, rest: &[u8], to: &[u8; 16]) -> Vec<u8> {
    summed(
        [&[kind, code, 0, 0][..], rest].concat(),
        2,
        &[&FROM6, to],
        58,
    )
}

pub fn solicit() -> Vec<u8> {
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

pub fn advertise() -> Vec<u8> {
    let body = icmp6(
        136,
        0,
        &[&[0x60, 0, 0, 0][..], &FROM6, &[2, 1], &PEER].concat(),
    );
    ethernet(0x86DD, &v6(58, &body, &FROM6, &TO6))
}

/// The Internet checksum over parts of even length but the last (RFC 1071 §1).
///
/// Eight words at a time: each comparison of a loop costs as much as a call where libFuzzer watches them.
pub fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let bytes = parts.concat();
    let (eights, rest) = bytes.as_chunks::<16>();
    let word = |a: u8, b: u8| u64::from(u16::from_be_bytes([a, b]));
    let eight = |&[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]: &[u8; 16]| {
        let first = word(a, b) + word(c, d) + word(e, f) + word(g, h);
        first + word(i, j) + word(k, l) + word(m, n) + word(o, p)
    };
    let eights: u64 = eights.iter().map(eight).sum();
    let pairs = rest.chunks(2);
    let pair = |pair: &[u8]| word(pair[0], pair.get(1).copied().unwrap_or(0));
    let mut sum = eights + pairs.map(pair).sum::<u64>();
    while sum >> 16 != 0 {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    (!u16::try_from(sum).expect("folded")).to_be_bytes()
}

/// Does `part` lie within `whole`, byte for byte in the same place?
pub fn inside(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    part.is_empty() || (whole.start <= part.start && part.end <= whole.end)
}

/// Fills in the checksum at `at` over the body alone.
pub fn put_checksum(mut body: Vec<u8>, at: usize) -> Vec<u8> {
    body[at..at + 2].fill(0);
    let sum = checksum(&[&body]);
    body[at..at + 2].copy_from_slice(&sum);
    body
}
