//! Timestamps of the peer: which is echoed, and which shows an old duplicate (RFC 7323 §4.3, §5).
//!
//! *Owns* TS.Recent. *Does not* measure: the echoes of our own timestamps are `rtt`'s.

use core::time::Duration;

use crate::base::{DropReason, Instant};

use super::receive::Receive;
use super::segment::{Control, Segment};
use super::seq::SeqNum;

// RFC 7323 §5.5: TS.Recent is not used after 24 days without a segment.
const TS_RECENT_LIFE: Duration = Duration::from_secs(24 * 24 * 3600);

// Ticks of the peer's clock that text may be older than TS.Recent: Linux's TCP_PAWS_WINDOW. What left a tick
// before a retransmission of RCV.NXT that overtook it is no old duplicate; a path that reorders by milliseconds
// would lose with each retransmission what was close behind it. No clock ticks so rarely that numbers wrap
// within one (RFC 7323 §5.4).
const PAWS_SLACK: u32 = 1;

/// The timestamp to echo: TS.Recent and when it came (RFC 7323 §4.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct TsRecent {
    val: u32,
    at: Instant,
}

impl Receive {
    /// RFC 7323 §5.3 (R1): an older timestamp than the last is an old duplicate. RST is exempt.
    pub(crate) fn check_timestamp(&mut self, seg: &Segment) -> Result<(), DropReason> {
        if seg.control == Control::Rst {
            return Ok(());
        }
        let Some(recent) = self.ts_recent else {
            return Ok(());
        };
        let Some((val, _)) = seg.options.timestamps else {
            // RFC 7323 §3.2: a segment without the option that was agreed on is dropped; but a SYN
            // may be a rebooted peer's, and gets its challenge ACK (RFC 5961 §4.2).
            // Keep-alives of some stacks carry no options, and Linux answers them.
            return match seg.control {
                Control::Syn => Ok(()),
                _ if seg.is_keep_alive(self.nxt) => Ok(()),
                _ => Err(DropReason::TcpNoTimestamp),
            };
        };
        let fresh = seg.at.since(recent.at) < TS_RECENT_LIFE;
        if fresh && (SeqNum::new(val) + PAWS_SLACK).before(SeqNum::new(recent.val)) {
            return Err(DropReason::TcpPaws);
        }
        Ok(())
    }

    /// RFC 7323 §4.3 (2): remembers the timestamp of the segment that the next ACK is due to.
    pub(crate) fn update_timestamp(&mut self, seg: &Segment) {
        let (Some(recent), Some((val, _))) = (&mut self.ts_recent, seg.options.timestamps) else {
            return;
        };
        let newer = !SeqNum::new(val).before(SeqNum::new(recent.val))
            || seg.at.since(recent.at) >= TS_RECENT_LIFE;
        if newer && !seg.seq.after(self.last_ack_sent) {
            *recent = TsRecent { val, at: seg.at };
        }
    }

    /// Timestamps were agreed on, this was the first.
    pub(crate) fn start_timestamps(&mut self, val: u32, at: Instant) {
        self.ts_recent = Some(TsRecent { val, at });
    }

    /// The TSval to echo; `None` when timestamps are off.
    pub(crate) fn ts_recent(&self) -> Option<u32> {
        self.ts_recent.map(|recent| recent.val)
    }
}
