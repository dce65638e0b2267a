//! A frame in a wire: what it is, and what is done to its bytes.
//!
//! RFC 3168 §5, §23.1 (the ECN field), RFC 1624 §3 (the header checksum after a change). *Owns* the
//! look at headers. Total: any bytes are some frame. *Does not* check what it reads.

use core::time::Duration;

use bytes::{Bytes, BytesMut};

use super::super::Medium;
use super::super::layout::{Layout, TCP, network_header, put_word, word};
use crate::base::{Instant, Random};

/// A frame in a wire, with what chance has decided.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) data: Bytes,
    /// When it joined the queue.
    pub(super) joined: Instant,
    /// What it takes longer than others.
    pub(super) jitter: Duration,
    pub(super) lost: bool,
    pub(super) displaced: bool,
}

/// What a wire tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// TCP or UDP with text.
    Text,
    /// A TCP segment with nothing but an ACK.
    BareAck(Layout),
    /// TCP or UDP without text.
    Empty,
    /// No TCP and no UDP, or a fragment.
    Other,
}

/// FIN, SYN, RST and ACK of the flags of a TCP header.
const CONTROL: u8 = 0x17;
const ACK: u8 = 0x10;

impl Class {
    pub(super) fn of(medium: Medium, data: &[u8]) -> Self {
        let Some(layout) = Layout::of(medium, data) else {
            return Self::Other;
        };
        if layout.end > layout.payload {
            return Self::Text;
        }
        let flags = data.get(layout.l4 + 13).copied().unwrap_or(0);
        if layout.protocol == TCP && flags & CONTROL == ACK {
            return Self::BareAck(layout);
        }
        Self::Empty
    }
}

/// The ends of a connection: family, addresses and ports, the sender's first.
pub(super) type Flow = [u8; 37];

/// The ends of the connection that a frame belongs to.
pub(super) fn flow_of(layout: &Layout, data: &[u8]) -> Option<Flow> {
    let addresses = if layout.v6 {
        layout.l3 + 8..layout.l3 + 40
    } else {
        layout.l3 + 12..layout.l3 + 20
    };
    let (addresses, ports) = (data.get(addresses)?, data.get(layout.l4..layout.l4 + 4)?);
    let mut flow = [0; 37];
    flow[0] = u8::from(layout.v6);
    flow[1..5].copy_from_slice(ports);
    flow[5..5 + addresses.len()].copy_from_slice(addresses);
    Some(flow)
}

/// What became of a frame that was to be marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is CE now.
    Set,
    /// It was CE before.
    WasSet,
    /// Its sender does not know ECN.
    NotEct,
}

/// Sets CE in the IP header, if the sender allows it.
pub(super) fn mark_ce(medium: Medium, data: &mut Bytes) -> Mark {
    let Some((l3, ecn, v6)) = ecn_of(medium, data) else {
        return Mark::NotEct;
    };
    match ecn {
        // RFC 3168 §5: 00 is no transport that knows ECN, 11 is CE.
        0 => return Mark::NotEct,
        3 => return Mark::WasSet,
        _ => {}
    }
    let mut bytes = BytesMut::from(core::mem::take(data));
    let at = if v6 { l3 } else { l3 + 10 };
    let before = word(&bytes, l3).unwrap_or(0);
    if v6 {
        bytes[l3 + 1] |= 3 << 4;
    } else {
        bytes[l3 + 1] |= 3;
        let after = word(&bytes, l3).unwrap_or(0);
        let sum = word(&bytes, at).unwrap_or(0);
        put_word(&mut bytes, at, updated(sum, before, after));
    }
    *data = bytes.freeze();
    Mark::Set
}

/// Where the IP header begins, its ECN field, and whether it is IPv6.
fn ecn_of(medium: Medium, data: &[u8]) -> Option<(usize, u8, bool)> {
    let l3 = network_header(medium, data)?;
    let first = word(data, l3)?.to_be_bytes();
    match first[0] >> 4 {
        4 if data.len() >= l3 + 20 => Some((l3, first[1] & 3, false)),
        6 if data.len() >= l3 + 40 => Some((l3, (first[1] >> 4) & 3, true)),
        _ => None,
    }
}

/// RFC 1624 §3: HC' = ~(~HC + ~m + m').
fn updated(sum: u16, before: u16, after: u16) -> u16 {
    let mut total = u32::from(!sum) + u32::from(!before) + u32::from(after);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !u16::try_from(total).unwrap_or(u16::MAX)
}

/// Flips one bit behind the link header.
pub(super) fn flip_a_bit(medium: Medium, data: &[u8], random: &mut Random) -> Bytes {
    let mut copy = BytesMut::from(data);
    let from = medium.link_header().min(data.len());
    let bits = (data.len() - from) * 8;
    let at = random.below(u64::try_from(bits).unwrap_or(u64::MAX));
    let at = usize::try_from(at).unwrap_or(0);
    if let Some(byte) = copy.get_mut(from + at / 8) {
        *byte ^= 1 << (at % 8);
    }
    copy.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::layout::samples::Tcp;
    use super::*;
    use crate::base::checksum::checksum;

    const MEDIA: [Medium; 2] = [Medium::Ethernet, Medium::Ip];

    #[test]
    fn text_and_bare_acks_are_told_apart() {
        for medium in MEDIA {
            for v6 in [false, true] {
                let class = |payload: &[u8], flags, padding| {
                    let mut tcp = Tcp::new(medium, v6, payload);
                    tcp.flags = flags;
                    let mut frame = tcp.frame();
                    frame.resize(frame.len() + padding, 0);
                    Class::of(medium, &frame)
                };
                assert_eq!(class(b"x", 0x10, 0), Class::Text);
                assert!(
                    matches!(class(b"", 0x10, 6), Class::BareAck(_)),
                    "padding is no text"
                );
                assert!(matches!(class(b"", 0x58, 0), Class::BareAck(_)), "PSH, ECE");
                for flags in [0x02, 0x12, 0x11, 0x14, 0x04, 0] {
                    assert_eq!(class(b"", flags, 0), Class::Empty, "{flags:#x}");
                }
            }
            assert_eq!(Class::of(medium, &[0x45; 10]), Class::Other);
        }
    }

    #[test]
    fn a_mark_leaves_the_checksum_right() {
        for medium in MEDIA {
            for v6 in [false, true] {
                for ecn in 0..4 {
                    let mut frame = Tcp::new(medium, v6, b"text").frame();
                    let l3 = medium.link_header();
                    if v6 {
                        frame[l3 + 1] |= ecn << 4;
                    } else {
                        frame[l3 + 1] |= ecn;
                        put_word(&mut frame, l3 + 10, 0);
                        let sum = checksum(&frame[l3..l3 + 20]);
                        put_word(&mut frame, l3 + 10, sum);
                    }
                    let mut data = Bytes::from(frame.clone());
                    let shared = data.clone();
                    let expected = [Mark::NotEct, Mark::Set, Mark::Set, Mark::WasSet];
                    assert_eq!(mark_ce(medium, &mut data), expected[usize::from(ecn)]);
                    assert_eq!(shared, frame, "the caller's bytes stay");
                    assert_eq!(
                        ecn_of(medium, &data).unwrap().1,
                        if ecn == 0 { 0 } else { 3 }
                    );
                    assert!(v6 || checksum(&data[l3..l3 + 20]) == 0);
                    let layout = Layout::of(medium, &data).unwrap();
                    assert!(layout.checksum_is_right(&data));
                }
            }
        }
    }

    #[test]
    fn flows_are_the_ends() {
        let flow = |v6, seq| {
            let mut tcp = Tcp::new(Medium::Ip, v6, b"");
            tcp.seq = seq;
            let frame = tcp.frame();
            let layout = Layout::of(Medium::Ip, &frame).unwrap();
            let mut other = frame.clone();
            other[layout.l4 + 3] ^= 1;
            assert_ne!(flow_of(&layout, &frame), flow_of(&layout, &other));
            flow_of(&layout, &frame).unwrap()
        };
        assert_eq!(flow(false, 1), flow(false, 2));
        assert_ne!(flow(false, 1), flow(true, 1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_some_frame(bytes in prop::collection::vec(any::<u8>(), 0..90)) {
            for medium in MEDIA {
                let _ = Class::of(medium, &bytes);
                let mut data = Bytes::from(bytes.clone());
                let _ = mark_ce(medium, &mut data);
                prop_assert_eq!(data.len(), bytes.len());
            }
        }
    }
}
