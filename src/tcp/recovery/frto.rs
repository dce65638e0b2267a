//! F-RTO: does what comes after a time-out answer what left before it (RFC 5682 §2.1, §3.1, §4)?
//!
//! *Owns* where the test of the last time-out stands, and what may leave while it runs. *Does not* restore
//! anything: `undo` does, with this as evidence.
//! Nothing but the first segment is sent again until the test is over, so that what is acknowledged and
//! left once can only have arrived late. Without SACK the same holds of what SND.UNA passes.

use super::{AckEffect, Phase};
use crate::base::Instant;
use crate::tcp::congestion::EpisodeKind;
use crate::tcp::connection::Connection;
use crate::tcp::gate::SendLimit;
use crate::tcp::options::Options;
use crate::tcp::plan::{Frame, Plan};
use crate::tcp::seq::SeqNum;

// RFC 5682 §3.1 (2b): segments of new text that leave to see what they bring about.
const PROBES: u32 = 2;

/// Where the test of a time-out stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Frto {
    /// None runs: what is lost is sent again.
    #[default]
    Off,
    /// Step 2: the first segment leaves again, and SND.UNA has not moved.
    Repaired,
    /// Step 3: new text leaves, and the next ACK decides.
    Probing { from: SeqNum },
}

impl Connection {
    /// A time-out expired. Not in a recovery that ran already, where what is acknowledged may be what that
    /// sent again; but when the same segment's time is over once more.
    pub(super) fn begin_frto(&mut self, first: bool) {
        let episode = self.recovery.episode.as_deref();
        let repeated = !first && episode.is_some_and(|e| e.kind() == EpisodeKind::Loss);
        let may = self.recovery.phase == Phase::Open || repeated;
        self.recovery.frto = if may && self.state.is_synchronized() {
            Frto::Repaired
        } else {
            Frto::Off
        };
    }

    /// Numbers below which what left once left before the time-out that is tested.
    pub(in crate::tcp) fn frto_point(&self) -> Option<SeqNum> {
        match (self.recovery.frto, self.recovery.phase) {
            (Frto::Off, _) => None,
            (_, Phase::Loss { point }) => Some(point),
            _ => None,
        }
    }

    /// An ACK came: returns whether it shows that the time-out was for nothing.
    pub(super) fn is_frto_spurious(&mut self, effect: &AckEffect) -> bool {
        let Some(point) = self.frto_point() else {
            return false;
        };
        let originals = effect.delivered.originals > 0;
        let (next, spurious) = match self.recovery.frto {
            // As Linux: what is reported before the first segment's answer came late (its answer would
            // have moved SND.UNA).
            Frto::Repaired if effect.acked == 0 => (Frto::Repaired, originals),
            Frto::Repaired
                if self.snd.una.before(point) && self.may_send_new() && !self.path.is_tried() =>
            {
                (Frto::Probing { from: self.snd.nxt }, false)
            }
            // Step 2 (a), or nothing new to send: conventional. So when a smaller segment was tried: what is at the front
            // shows whether its size was why.
            Frto::Repaired => (Frto::Off, false),
            // Step 3 (a) and (b). SND.UNA beyond the point proves as much: nothing else was sent again.
            Frto::Probing { .. } if effect.delivered.bytes > 0 || effect.pure_duplicate => {
                let beyond = self.scoreboard.is_reported_beyond(point);
                (Frto::Off, originals && !beyond)
            }
            same => (same, false),
        };
        self.recovery.frto = next;
        spurious
    }

    fn may_send_new(&self) -> bool {
        self.snd.unsent() > 0 && self.state.sends_text() && self.snd.usable() > 0
    }

    /// Step 2 (b): up to two segments of new text instead of what is taken for lost. `Ok(None)`: no test
    /// stands in the way. If cwnd or the peer's window takes none, the repair goes on.
    pub(in crate::tcp) fn plan_frto(
        &mut self,
        now: Instant,
        options: &Options,
        frame: Frame,
    ) -> Result<Option<Plan>, SendLimit> {
        let Frto::Probing { from } = self.recovery.frto else {
            return Ok(None);
        };
        let end = from + PROBES * frame.size;
        let segs = end.past(self.snd.nxt) / frame.size;
        if segs == 0 {
            return Err(SendLimit::Congestion);
        }
        let most = frame.most.min(segs * frame.size);
        match self.plan_new(now, options, Frame { most, ..frame }) {
            Ok(plan) => Ok(Some(plan)),
            Err(limit) if self.snd.nxt.after(from) => Err(limit),
            Err(_) => {
                self.recovery.frto = Frto::Off;
                Ok(None)
            }
        }
    }
}
