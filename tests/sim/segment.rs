//! Where TCP is in a frame, and what a middlebox does to the options of a SYN.

use netloom::base::checksum;
use netloom::tcp::{Flags, Header};

use super::scenario::Stripped;

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

/// The TCP header of a frame, if there is one.
pub(crate) fn tcp_of(ethernet: bool, frame: &[u8]) -> Option<Header<'_>> {
    let at = tcp_at(ethernet, frame)?;
    Header::parse(&frame[at..]).ok().map(|(header, _)| header)
}

/// The frame's headers without the options in question, when it is a SYN that has some.
/// `whole`: its checksum is complete.
pub(crate) fn strip(
    ethernet: bool,
    headers: &[u8],
    what: Stripped,
    whole: bool,
) -> Option<Vec<u8>> {
    const NOP: u8 = 1;
    if what == Stripped::default() {
        return None;
    }
    let header = tcp_of(ethernet, headers)?;
    if !header.flags().contains(Flags::SYN) {
        return None;
    }
    let at = tcp_at(ethernet, headers)?;
    let end = at + header.len();
    let mut changed = headers.to_vec();
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
        for place in (at + 20..end).step_by(2) {
            sum = checksum::update(sum, word(headers, place), word(&changed, place));
        }
        changed[at + 16..at + 18].copy_from_slice(&sum.to_be_bytes());
    }
    Some(changed)
}
