//! A received segment after its flags and numbers were checked (RFC 9293 §3.1).
//!
//! *Owns* [`Segment`], [`Control`] and [`Marks`]: illegal combinations of flags are gone here.
//! *Does not* know a connection.

use core::num::NonZeroU16;

use bitflags::bitflags;
use bytes::Bytes;

use crate::base::Instant;

use super::header::Flags;
use super::options::Options;
use super::seq::SeqNum;

/// The one control that a segment carries besides its ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    None,
    Syn,
    Fin,
    Rst,
}

impl Control {
    /// A RST beats everything else, and a SYN a FIN: that is not acknowledged, so it comes again. A
    /// listener takes no such SYN at all.
    pub(crate) fn from_flags(flags: Flags) -> Self {
        if flags.contains(Flags::RST) {
            Self::Rst
        } else if flags.contains(Flags::SYN) {
            Self::Syn
        } else if flags.contains(Flags::FIN) {
            Self::Fin
        } else {
            Self::None
        }
    }

    /// The sequence space that the control takes.
    pub(crate) const fn len(self) -> u32 {
        match self {
            Self::Syn | Self::Fin => 1,
            Self::None | Self::Rst => 0,
        }
    }
}

bitflags! {
    /// What a segment says about congestion, two bits of TCP's header and one of IP's (RFC 3168 §5, §6.1), and
    /// whether its urgent pointer counts. The bits of TCP's header in its order.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub(crate) struct Marks: u8 {
        /// The urgent pointer counts.
        const URG = 1;
        /// ECN-Echo.
        const ECE = 2;
        /// Congestion window reduced.
        const CWR = 4;
        /// Congestion experienced: a router's.
        const CE = 8;
    }
}

// Where the three of TCP's header lie there.
const FIRST_MARK: u32 = Flags::URG.bits().trailing_zeros();

impl Marks {
    /// Of TCP's flags, and the octet that was Type of Service or is Traffic Class.
    pub(crate) fn new(flags: Flags, tos: u8) -> Self {
        let [_, low] = (flags.bits() >> FIRST_MARK).to_be_bytes();
        let mut marks = Self::from_bits_retain(low & 7);
        // RFC 3168 §5: 11; 01 and 10 are ECT.
        marks.set(Self::CE, tos & 3 == 3);
        marks
    }
}

/// A received segment, or super-segment: SEG.SEQ and so on.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) seq: SeqNum,
    /// SEG.ACK when the ACK bit is set.
    pub(crate) ack: Option<SeqNum>,
    pub(crate) control: Control,
    /// SEG.WND as on the wire, not scaled.
    pub(crate) wnd: u16,
    pub(crate) options: Options,
    pub(crate) marks: Marks,
    /// SEG.UP, from SEG.SEQ on: the octet after the last urgent one. It counts with [`Marks::URG`].
    pub(crate) urgent: u16,
    pub(crate) text: Bytes,
    /// Bytes of each wire segment merged into this one.
    pub(crate) segment_size: Option<NonZeroU16>,
    /// When it arrived: what RTTs are measured with.
    pub(crate) at: Instant,
}

impl Segment {
    /// SEG.LEN: text and control, in sequence numbers.
    pub(crate) fn len(&self) -> u32 {
        self.text_len() + self.control.len()
    }

    pub(crate) fn text_len(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }

    /// The sequence number of the first text byte: a SYN comes before it.
    pub(crate) fn text_seq(&self) -> SeqNum {
        if self.control == Control::Syn {
            self.seq + 1
        } else {
            self.seq
        }
    }

    /// The number after the last one this segment takes.
    pub(crate) fn end(&self) -> SeqNum {
        self.seq + self.len()
    }

    /// Wire segments that were merged into this one.
    pub(crate) fn wire_segments(&self) -> u32 {
        self.text_len().div_ceil(self.wire_text().max(1)).max(1)
    }

    /// RFC 9293 §3.8.4: is SEG.SEQ the number before RCV.NXT, with a byte of garbage or without?
    pub(crate) fn is_keep_alive(&self, nxt: SeqNum) -> bool {
        self.control == Control::None && self.seq == nxt - 1 && self.text_len() <= 1
    }

    /// Text bytes of one wire segment.
    pub(crate) fn wire_text(&self) -> u32 {
        self.segment_size
            .map_or_else(|| self.text_len(), |size| u32::from(size.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_out_of_flags() {
        for bits in 0..0x1000 {
            let flags = Flags::from_bits_retain(bits);
            for tos in 0..4 {
                let marks = Marks::new(flags, tos);
                let each = [
                    (Marks::URG, flags.contains(Flags::URG)),
                    (Marks::ECE, flags.contains(Flags::ECE)),
                    (Marks::CWR, flags.contains(Flags::CWR)),
                    (Marks::CE, tos == 3),
                ];
                for (mark, set) in each {
                    assert_eq!(marks.contains(mark), set, "{mark:?} of {flags:?}, {tos}");
                }
                assert_eq!(marks, Marks::from_bits_truncate(marks.bits()));
            }
        }
    }

    #[test]
    fn controls_out_of_flags() {
        for (flags, control) in [
            (Flags::ACK, Control::None),
            (Flags::empty(), Control::None),
            (Flags::SYN, Control::Syn),
            (Flags::FIN | Flags::ACK, Control::Fin),
            (Flags::RST | Flags::SYN, Control::Rst),
            (Flags::RST | Flags::FIN, Control::Rst),
            (Flags::SYN | Flags::FIN, Control::Syn),
        ] {
            assert_eq!(Control::from_flags(flags), control, "{flags:?}");
        }
    }
}
