//! Probes of the path's size: one larger segment of new text now and then, whose loss alone is no congestion (RFC 4821 §7.4 to §7.6).
//!
//! *Owns* when one may leave, and what its answer or its loss means. *Does not* choose sizes (`path_size`), nor detect the
//! loss: `recovery` does, and asks here whether it counts.

use core::num::NonZeroU16;
use core::time::Duration;

use crate::base::Instant;

use super::connection::Connection;
use super::gate::SendLimit;
use super::header::Flags;
use super::options::Options;
use super::path_size::Probe;
use super::plan::{Frame, Plan};
use super::recovery::Phase;
use super::scoreboard::DUP_THRESH;

/// The least and the most time from one that was lost to the next.
const LEAST_WAIT: Duration = Duration::from_secs(1);
const MOST_WAIT: Duration = Duration::from_secs(600);

impl Connection {
    /// The most that a segment may hold, as far as both ends and the path are known.
    fn most_mss(&self) -> u16 {
        let own = self.setup.advertised_mss().min(self.setup.peer_mss);
        own.min(self.path.most())
    }

    /// The next new text as a probe, if one is wanted: there is enough behind it to show its loss (RFC 4821 §7.4), and nothing is missing.
    /// One that a window does not take yet, which is wide enough, is waited for.
    pub(super) fn plan_size_probe(
        &self,
        now: Instant,
        options: &Options,
        frame: Frame,
    ) -> Result<Option<Plan>, SendLimit> {
        if !self.path.is_in_doubt() {
            return Ok(None);
        }
        let Some(size) = self.path.wanted(now, self.most_mss(), &self.setup.steps) else {
            return Ok(None);
        };
        let board = &self.scoreboard;
        let calm = self.recovery.phase == Phase::Open && board.lost() == 0 && board.sacked() == 0;
        let option_bytes = u16::try_from(options.len()).unwrap_or(u16::MAX);
        let size = size.saturating_sub(option_bytes);
        let text = u32::from(size);
        let all = text + DUP_THRESH * frame.size;
        let room = self.cwnd_room();
        let window = room.saturating_add(board.pipe()).min(self.snd.usable());
        if !calm
            || !options.sack.is_empty()
            || text <= frame.size
            || self.snd.unsent() < all
            || window < all
        {
            return Ok(None);
        }
        if room < text {
            return Err(self.flight_limit());
        }
        let mut plan = self.new_text(text, Flags::empty(), options);
        plan.size = NonZeroU16::new(size).unwrap_or(plan.size);
        Ok(Some(plan))
    }

    /// New text left: was it a probe?
    pub(super) fn note_size_probe(&mut self, plan: &Plan) {
        if plan.size <= self.wire_size_of_text() {
            return;
        }
        let size = plan
            .size
            .get()
            .saturating_add(u16::from(plan.option_bytes()));
        let probe = Probe {
            seq: plan.seq,
            len: plan.len(),
            size,
        };
        self.path.on_probe_sent(probe, self.most_mss());
        self.stats.mtu_probes += 1;
    }

    /// An ACK delivered segments, the largest of which had this size: what does that say of the path?
    pub(super) fn look_at_sizes(&mut self, now: Instant, largest: u32) {
        self.path.look_at_trial(self.snd.una, largest);
        let arrived = |probe: Probe| !self.snd.una.before(probe.end());
        if self.path.probe().is_some_and(arrived) {
            let before = self.smss();
            self.path.on_probe_arrived(now, self.most_mss());
            // RFC 4821 §4 (PMT-13): the window stays what it is in bytes.
            self.tell_mtu(now, before);
        }
    }

    /// So many octets were newly taken for lost; returns how many of them are a sign of congestion (RFC 4821 §7.6.2): of a probe
    /// that was lost alone none are, and it leaves again in smaller segments.
    pub(super) fn excuse_size_probe(&mut self, now: Instant, marked: u32) -> u32 {
        let Some(probe) = self.path.probe().filter(|_| marked > 0) else {
            return marked;
        };
        if !self.scoreboard.is_lost_at(probe.seq) {
            return marked;
        }
        let alone = marked == probe.len && self.recovery.phase == Phase::Open;
        self.path.on_probe_lost(now, self.probe_wait(), alone);
        if !alone {
            return marked;
        }
        self.scoreboard.newly_lost.forget();
        self.persist.refuse(probe.end());
        0
    }

    /// What is out leaves again for another reason: whether the probe arrived will not be known (RFC 4821 §7.6.3, §7.6.4).
    pub(super) fn give_up_size_probe(&mut self, now: Instant) {
        if self.path.is_in_doubt() {
            self.path.on_probe_lost(now, self.probe_wait(), false);
        }
    }

    /// RFC 4821 §7.6.2 (PMT-16): a probe that is lost slows nobody down, so the next one waits as long as a flow of this window goes
    /// without a loss on a path that gives it no more: half as many round trips as it has segments.
    fn probe_wait(&self) -> Duration {
        let srtt = self.rtt.srtt().unwrap_or(LEAST_WAIT);
        let rounds = self.congestion.output().cwnd / self.smss() / 2;
        srtt.saturating_mul(rounds.max(1))
            .clamp(LEAST_WAIT, MOST_WAIT)
    }
}
