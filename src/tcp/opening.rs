//! What a SYN asks for (RFC 9293 §3.7.1, RFC 7323, RFC 2018, RFC 3168), kept until a connection is made of it.
//!
//! *Owns* what was heard and agreed on. *Does not* answer: a half-open record does.

use crate::base::Instant;

use super::ecn::is_setup;
use super::segment::Segment;
use super::seq::{SeqNum, WindowScale};
use super::settings::TcpOptions;

/// What a half-open record learned from the peer's SYN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) irs: SeqNum,
    pub(crate) mss: Option<u16>,
    pub(crate) scale: Option<WindowScale>,
    pub(crate) sack: bool,
    pub(crate) timestamp: Option<(u32, Instant)>,
    /// It asks for ECN, and our SYN-ACK agrees.
    pub(crate) ecn: bool,
    /// A SYN-ACK that agreed has left, whatever was said since.
    pub(crate) ecn_answered: bool,
    /// The window that our SYN-ACK told.
    pub(crate) advertised: u32,
    /// How often our SYN-ACK was sent again.
    pub(crate) retransmits: u32,
    /// The ACK answers the first of them: none was lost.
    pub(crate) first_arrived: bool,
    /// From the SYN-ACK to its ACK, in nanoseconds: a second one leaves before 2^32 have passed, and
    /// makes it ambiguous (Karn), which is `None`.
    pub(crate) rtt: Option<u32>,
}

impl Opening {
    /// What a SYN says, as far as `options` agree to it.
    pub(crate) fn of_syn(seg: &Segment, advertised: u32, options: &TcpOptions) -> Self {
        let scale = seg.options.window_scale.map(WindowScale::new);
        let timestamp = seg.options.timestamps.map(|(val, _)| (val, seg.at));
        Self {
            irs: seg.seq,
            mss: seg.options.mss,
            scale: scale.filter(|_| options.window_scaling),
            sack: seg.options.sack_permitted && options.sack,
            timestamp: timestamp.filter(|_| options.timestamps),
            ecn: is_setup(seg),
            ecn_answered: false,
            advertised,
            retransmits: 0,
            first_arrived: false,
            rtt: None,
        }
    }

    /// How often our SYN-ACK was sent again because one was lost, as far as is known: what IW depends on
    /// (RFC 5681 §3.1).
    pub(crate) fn lost_handshakes(&self) -> u32 {
        if self.first_arrived {
            0
        } else {
            self.retransmits
        }
    }
}
