//! Where TCP is in a frame, and what a middlebox does to SYNs and to the ECN field.

use netloom::base::checksum;
use netloom::tcp::{Flags, Header};

use super::scenario::{Bleach, Stripped};

/// Where the TCP header begins in a frame of the stacks' own making.
pub(crate) fn tcp_at(ethernet: bool, frame: &[u8]) -> Option<usize> {
    const TCP: u8 = 6;
    let ip = if ethernet { 14 } else { 0 };
    let ether_type = ethernet.then(|| (frame.get(12), frame.get(13)));
    let first = *frame.get(ip)?;
    let (at, protocol) = match (first >> 4, ether_type) {
        (4, None | Some((Some(8), Some(0)))) => {
            (ip + usize::from(first & 15) * 4, *frame.get(ip + 9)?)
        }
        (6, None | Some((Some(0x86), Some(0xdd)))) => (ip + 40, *frame.get(ip + 6)?),
        _ => return None,
    };
    (protocol == TCP && frame.len() >= at + 20).then_some(at)
}

/// Is it an ICMP error of the stacks' own making?
pub(crate) fn is_icmp_error(ethernet: bool, frame: &[u8]) -> bool {
    const ICMP: u8 = 1;
    const ICMPV6: u8 = 58;
    let ip = if ethernet { 14 } else { 0 };
    let Some(first) = frame.get(ip) else {
        return false;
    };
    let (protocol, at) = match first >> 4 {
        4 => (ip + 9, ip + usize::from(first & 15) * 4),
        6 => (ip + 6, ip + 40),
        _ => return false,
    };
    match (first >> 4, frame.get(protocol), frame.get(at)) {
        // Unreachable, time exceeded, parameter problem (RFC 792).
        (4, Some(&ICMP), Some(kind)) => [3, 11, 12].contains(kind),
        // RFC 4443 §2.1.
        (6, Some(&ICMPV6), Some(kind)) => *kind < 128,
        _ => false,
    }
}

/// The TCP header of a frame, if there is one.
pub(crate) fn tcp_of(ethernet: bool, frame: &[u8]) -> Option<Header<'_>> {
    let at = tcp_at(ethernet, frame)?;
    Header::parse(&frame[at..]).ok().map(|(header, _)| header)
}

/// Is it a SYN that asks for ECN (RFC 3168 §6.1.1)?
pub(crate) fn asks_for_ecn(ethernet: bool, headers: &[u8]) -> bool {
    let asks = Flags::SYN | Flags::ECE | Flags::CWR;
    tcp_of(ethernet, headers).is_some_and(|header| header.flags() == asks)
}

/// The ECN field of an IP header in front of TCP; zero when there is none.
pub(crate) fn ecn_of(ethernet: bool, frame: &[u8]) -> u8 {
    if tcp_at(ethernet, frame).is_none() {
        return 0;
    }
    let ip = if ethernet { 14 } else { 0 };
    let byte = frame[ip + 1];
    3 & if frame[ip] >> 4 == 6 { byte >> 4 } else { byte }
}

/// The frame with another ECN field, when `how` changes it.
pub(crate) fn bleach(ethernet: bool, frame: &[u8], how: Bleach) -> Option<Vec<u8>> {
    const CE: u8 = 3;
    const ECT0: u8 = 2;
    let old = ecn_of(ethernet, frame);
    let new = match how {
        Bleach::Field => 0,
        Bleach::Marks if old == CE => ECT0,
        Bleach::Nothing | Bleach::Marks => old,
    };
    if new == old {
        return None;
    }
    let ip = if ethernet { 14 } else { 0 };
    let mut changed = frame.to_vec();
    if frame[ip] >> 4 == 6 {
        changed[ip + 1] ^= (old ^ new) << 4;
    } else {
        changed[ip + 1] ^= old ^ new;
        let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let sum = word(frame, ip + 10);
        let sum = checksum::update(sum, word(frame, ip), word(&changed, ip));
        changed[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
    }
    Some(changed)
}

/// The frame's headers without what is in question, when it is a SYN.
/// `clears`: that it asks for ECN, or agrees. `whole`: its checksum is complete.
pub(crate) fn strip(
    ethernet: bool,
    headers: &[u8],
    (what, clears): (Stripped, bool),
    whole: bool,
) -> Option<Vec<u8>> {
    const NOP: u8 = 1;
    if what == Stripped::default() && !clears {
        return None;
    }
    let header = tcp_of(ethernet, headers)?;
    if !header.flags().contains(Flags::SYN) {
        return None;
    }
    let at = tcp_at(ethernet, headers)?;
    let end = at + header.len();
    let mut changed = headers.to_vec();
    if clears {
        const ECE_AND_CWR: u8 = 0xc0;
        changed[at + 13] &= !ECE_AND_CWR;
    }
    let mut option = at + 20;
    while option < end {
        let len = match changed[option] {
            0 => break,
            NOP => 1,
            _ => usize::from(changed[option + 1]).max(2),
        };
        let goes = match changed[option] {
            2 => what.mss,
            3 => what.window_scale,
            4 => what.sack,
            8 => what.timestamps,
            _ => false,
        };
        if goes {
            changed[option..(option + len).min(end)].fill(NOP);
        }
        option += len;
    }
    if whole {
        let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let mut sum = word(headers, at + 16);
        for place in (at + 12..end).step_by(2).filter(|&place| place != at + 16) {
            sum = checksum::update(sum, word(headers, place), word(&changed, place));
        }
        changed[at + 16..at + 18].copy_from_slice(&sum.to_be_bytes());
    }
    Some(changed)
}
