//! What is remembered of one transmission, and what the marks of several come to.
//!
//! *Owns* how a record is cut in two. *Does not* know its neighbours: `records` does.

use core::num::NonZeroU16;

use super::congestion::parts::TxStamp;
use super::seq::SeqNum;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Sent once and not heard of.
    InFlight,
    /// Reported by a SACK block.
    Sacked,
    /// Taken for lost, and due to be sent again.
    Lost,
    /// Sent again after it was lost.
    Retransmitted,
}

/// One transmission: a range of sequence numbers, up to a super-segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) seq: SeqNum,
    /// SYN, text and FIN, in sequence numbers.
    pub(crate) len: u32,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) mark: Mark,
    /// How often any part of it was sent.
    pub(crate) transmissions: u8,
    /// Wire segments that hold it.
    pub(crate) segs: u32,
    /// The text bytes of a wire segment it left in: SACK splits it only there.
    pub(crate) segment: NonZeroU16,
    /// Option bytes in each of them.
    pub(crate) options: u8,
    pub(crate) stamp: TxStamp,
}

impl Record {
    pub(crate) fn end(&self) -> SeqNum {
        self.seq + self.len
    }

    pub(crate) fn text_len(&self) -> u32 {
        self.len - u32::from(self.syn) - u32::from(self.fin)
    }

    /// Text and option bytes of its largest wire segment.
    pub(crate) fn wire_size(&self) -> u32 {
        self.text_len().min(self.segment.get().into()) + u32::from(self.options)
    }

    /// Cuts the record after `at` octets; returns the rest.
    pub(super) fn split_off(&mut self, at: u32) -> Self {
        debug_assert!(at > 0 && at < self.len);
        let segs = at.div_ceil(u32::from(self.segment.get())).min(self.segs);
        let rest = Self {
            seq: self.seq + at,
            len: self.len - at,
            segs: (self.segs - segs).max(1),
            syn: false,
            ..*self
        };
        self.len = at;
        self.segs = segs;
        self.fin = false;
        rest
    }
}

/// Octets by mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) sacked: u32,
    /// Wire segments of what is reported.
    pub(super) sacked_segs: u32,
    pub(super) lost: u32,
    pub(super) retransmitted: u32,
}

impl Sums {
    pub(super) fn of(record: &Record) -> Self {
        match record.mark {
            Mark::Sacked => Self {
                sacked: record.len,
                sacked_segs: record.segs,
                ..Self::default()
            },
            Mark::Lost => Self {
                lost: record.len,
                ..Self::default()
            },
            Mark::Retransmitted => Self {
                retransmitted: record.len,
                ..Self::default()
            },
            Mark::InFlight => Self::default(),
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.sacked += more.sacked;
        self.sacked_segs += more.sacked_segs;
        self.lost += more.lost;
        self.retransmitted += more.retransmitted;
    }

    pub(super) fn take(&mut self, less: Self) {
        self.sacked -= less.sacked;
        self.sacked_segs -= less.sacked_segs;
        self.lost -= less.lost;
        self.retransmitted -= less.retransmitted;
    }
}
