//! RSTs: what they carry, and the one that answers a segment without a connection.
//!
//! RFC 9293 §3.5.2, §3.10.5; RFC 7323 §3.2. *Owns* the numbers. *Does not* decide who is reset, nor
//! send.

use crate::base::Instant;

use super::half_open::Bare;
use super::header::Flags;
use super::options::Options;
use super::rtt::timestamp;
use super::segment::{Control, Segment};
use super::seq::SeqNum;

/// A RST to send, by RFC 9293 §3.5.2's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reset {
    pub(crate) seq: SeqNum,
    pub(crate) ack: Option<SeqNum>,
    /// Of a connection that has timestamps.
    pub(crate) stamp: Option<Stamp>,
}

/// What a connection's timestamps are made of when it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) offset: u32,
    /// TS.Recent.
    pub(crate) recent: u32,
}

impl Reset {
    /// The segment, when it leaves now.
    pub(crate) fn bare(&self, now: Instant) -> Bare {
        let mut flags = Flags::RST;
        flags.set(Flags::ACK, self.ack.is_some());
        Bare {
            seq: self.seq,
            ack: self.ack,
            flags,
            window: 0,
            // RFC 7323 §3.2: a RST should carry the option that was agreed on, and echo nothing without
            // an ACK.
            options: Options {
                timestamps: self.stamp.map(|stamp| {
                    let echo = self.ack.map_or(0, |_| stamp.recent);
                    (timestamp(now, stamp.offset), echo)
                }),
                ..Options::NONE
            },
        }
    }
}

/// RFC 9293 §3.5.2: the RST that answers a segment without a connection; none for a RST.
pub(crate) fn refusal(seg: &Segment) -> Option<Reset> {
    let reset = |seq, ack| Reset {
        seq,
        ack,
        stamp: None,
    };
    match (seg.control, seg.ack) {
        (Control::Rst, _) => None,
        (_, Some(ack)) => Some(reset(ack, None)),
        (_, None) => Some(reset(SeqNum::new(0), Some(seg.end()))),
    }
}
