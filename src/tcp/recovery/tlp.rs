//! The tail loss probe: when no ACK comes, one more segment asks for it (RFC 8985 §7).
//!
//! *Owns* when a probe leaves, which segment it is, and what its answer means. *Does not* mark anything
//! lost: the SACK that the probe brings about does, through `rack`.

use core::time::Duration;

use super::ack_delay::AckDelay;
use super::timer::Early;
use super::{AckEffect, Phase};
use crate::base::{Instant, nanos};
use crate::tcp::congestion::CongestionKind;
use crate::tcp::connection::Connection;
use crate::tcp::header::Flags;
use crate::tcp::options::Options;
use crate::tcp::plan::{Frame, Plan, What};
use crate::tcp::records::Mark;
use crate::tcp::send::Fin;
use crate::tcp::seq::SeqNum;

// RFC 8985 §7.2: PTO without a measured round trip.
const BLIND: Duration = Duration::from_secs(1);
// Linux's TCP_TIMEOUT_MIN is two ticks, 2 ms at the least. On a local path two round trips are less than a
// receiver's wake-up takes, and a sender would wake for its timer with every write.
const LEAST: Duration = Duration::from_millis(2);

/// Where probing stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tlp {
    /// The end of what was out when the probe left (TLP.end_seq).
    end: Option<SeqNum>,
    /// The probe was text that had left before (TLP.is_retrans).
    again: bool,
    /// The time is over: a probe is to leave with the next turn.
    due: bool,
    /// A round trip was measured since the last probe left: one probe per measurement.
    measured: bool,
    /// What the probe that is armed, or was last, is of.
    flight: Flight,
    /// The last probe that left was.
    was_of_one: bool,
    /// What the peer's delayed ACK adds to the wait of such a one.
    ack_delay: AckDelay,
}

/// What is out when a probe is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    Several,
    /// One segment, whose ACK a peer may hold.
    One,
    /// Several, no more than one of full size together: an ACK may be held for the first of them since before the last
    /// one left, and tells nothing of how long.
    Small,
}

impl Default for Tlp {
    fn default() -> Self {
        Self {
            end: None,
            again: false,
            due: false,
            measured: true,
            flight: Flight::Several,
            was_of_one: false,
            ack_delay: AckDelay::default(),
        }
    }
}

impl Tlp {
    pub(crate) fn on_rtt(&mut self) {
        self.measured = true;
    }

    /// Does an ACK of everything below `ack` answer the probe?
    pub(crate) fn is_answered_by(&self, ack: SeqNum) -> bool {
        self.end.is_some_and(|end| !ack.before(end))
    }

    /// Is no probe out that was not answered?
    pub(crate) const fn is_answered(&self) -> bool {
        self.end.is_none()
    }

    /// Is it the probe that leaves next?
    pub(crate) fn is_due(&self) -> bool {
        self.due
    }

    /// Is a probe unanswered that was text which had left before?
    pub(crate) const fn is_out_again(&self) -> bool {
        self.end.is_some() && self.again
    }

    /// An episode began: what is missing is known without the probe.
    pub(crate) fn give_up(&mut self) {
        (self.end, self.due) = (None, false);
    }
}

impl Connection {
    /// RFC 8985 §7.2: something new left, or SND.UNA moved.
    pub(crate) fn schedule_probe(&mut self, now: Instant) {
        if self.is_early_armed(Early::Reorder) {
            return;
        }
        let tlp = &self.recovery.tlp;
        let may = self.sack
            && self.recovery.phase == Phase::Open
            && self.state.is_synchronized()
            && self.scoreboard.sacked() == 0
            && self.scoreboard.lost() == 0
            && !self.scoreboard.is_empty()
            && !self.is_window_shut()
            && !self.is_held_for_mark(now)
            && tlp.end.is_none()
            && tlp.measured;
        if may {
            let flight = self.flight();
            self.recovery.tlp.flight = flight;
            self.arm_early(Early::Probe, now.plus_nanos(self.probe_time_out(flight)));
        } else {
            self.stop_early(Early::Probe);
        }
    }

    /// RFC 8985 §7.2 (`TLP_calc_PTO`); in nanoseconds; the loss timer bounds it by the time-out.
    fn probe_time_out(&self, flight: Flight) -> u64 {
        let Some(srtt) = self.rtt.srtt_nanos() else {
            return nanos(BLIND);
        };
        let wait = match flight {
            Flight::One | Flight::Small => nanos(self.recovery.tlp.ack_delay.wait()),
            Flight::Several => 0,
        };
        let twice = srtt.saturating_mul(2);
        twice.max(nanos(LEAST)).saturating_add(wait)
    }

    fn flight(&self) -> Flight {
        if self.snd.nxt.past(self.snd.una) > self.smss() {
            Flight::Several
        } else if self.scoreboard.is_one() {
            Flight::One
        } else {
            Flight::Small
        }
    }

    /// All that was out is acknowledged, by an ACK that arrived at `at`: when that was one segment, how long did it
    /// take?
    pub(crate) fn look_at_ack_delay(&mut self, at: Instant) {
        let tlp = &mut self.recovery.tlp;
        if tlp.flight == Flight::One
            && tlp.ack_delay.is_watched()
            && let Some(due) = self.recovery.timer.when(Early::Probe)
        {
            tlp.ack_delay.on_answer(due.since(at));
        }
    }

    /// The time is over: the probe leaves with the next turn, and the time-out counts from here. A
    /// window that takes none leaves the time-out alone.
    pub(super) fn on_probe_time_out(&mut self, now: Instant) {
        let edge = self.snd.una + self.snd.wnd;
        let new = self.snd.unsent().min(self.smss());
        let takes_new = new > 0 && self.state.sends_text() && self.snd.usable() >= new;
        if !takes_new && self.snd.nxt.after(edge) {
            return;
        }
        if self
            .path
            .probe()
            .is_some_and(|probe| probe.end() == self.snd.nxt)
        {
            self.give_up_size_probe(now);
        }
        self.recovery.tlp.due = true;
        self.restart_rto(now + self.rtt.rto());
        self.scoreboard.split_last();
    }

    /// RFC 8985 §7.3: one segment of new text, whatever cwnd says, or the last one again.
    pub(in crate::tcp) fn plan_tail_probe(
        &mut self,
        options: &Options,
        frame: Frame,
    ) -> Option<Plan> {
        let tlp = &mut self.recovery.tlp;
        if !tlp.due {
            return None;
        }
        let plan = if self.recovery.phase == Phase::Open && self.scoreboard.lost() == 0 {
            let new = self.plan_new_probe(options, frame);
            new.or_else(|| self.plan_last_again(options, frame))
        } else {
            None
        };
        self.recovery.tlp.due = plan.is_some();
        plan
    }

    fn plan_new_probe(&self, options: &Options, frame: Frame) -> Option<Plan> {
        let unsent = self.snd.unsent();
        let text = unsent.min(frame.size);
        let all = text == unsent;
        if text == 0 || !self.state.sends_text() || self.snd.usable() < text {
            return None;
        }
        let mut flags = Flags::empty();
        if all {
            flags |= Flags::PSH;
        }
        if all && self.snd.fin == Fin::Queued && self.snd.usable() > text {
            flags |= Flags::FIN;
        }
        Some(self.new_text(text, flags, options))
    }

    fn plan_last_again(&self, options: &Options, frame: Frame) -> Option<Plan> {
        let place = self.scoreboard.last_place()?;
        let record = *self.scoreboard.get(place)?;
        let beyond = record.end().after(self.snd.una + self.snd.wnd);
        if record.syn || beyond || record.mark == Mark::Sacked {
            return None;
        }
        let text = record.text_len().min(frame.size);
        let mut flags = Flags::empty();
        if record.fin && text == record.text_len() {
            flags |= Flags::FIN;
        }
        if text > 0 && self.snd.unsent() == 0 {
            flags |= Flags::PSH;
        }
        Some(self.segment(What::Again { place }, record.seq, text, flags, options))
    }

    /// A segment with numbers of its own left: was it the probe? `again`: it had left before.
    pub(crate) fn note_probe_sent(&mut self, again: bool) {
        let tlp = &mut self.recovery.tlp;
        if !core::mem::replace(&mut tlp.due, false) {
            return;
        }
        tlp.end = Some(self.snd.nxt);
        tlp.again = again;
        tlp.measured = false;
        tlp.was_of_one = tlp.flight != Flight::Several;
        if tlp.was_of_one {
            tlp.ack_delay.on_probe();
        }
        self.stats.tail_probes += 1;
    }

    /// RFC 8985 §7.4.2 (`TLP_process_ack`): did the probe repair a loss that nothing else told of?
    pub(super) fn on_probe_answer(&mut self, now: Instant, effect: &AckEffect) {
        let tlp = self.recovery.tlp;
        let Some(end) = tlp.end else { return };
        if effect.ack.before(end) {
            return;
        }
        let told_twice = effect.dsack.is_some_and(|(_, right)| right == end);
        let repaired = tlp.again && effect.ack.after(end) && !told_twice;
        let came_twice = told_twice || effect.pure_duplicate;
        if !tlp.again || came_twice || repaired {
            self.recovery.tlp.end = None;
        }
        if tlp.again && tlp.was_of_one && came_twice {
            self.recovery.tlp.ack_delay.on_needless();
        }
        if repaired && self.recovery.phase == Phase::Open {
            let flight = self.flight_size(self.gate.stopped.outstanding);
            // What may show the last episode to be for nothing says nothing of this loss.
            self.recovery.episode = None;
            self.tell_congestion(now, CongestionKind::TlpRepairedLoss, flight);
            // In a mark's reduction that was answered for: marks from here on are of another window.
            if !self.is_reducing() {
                self.note_reduced();
            }
        }
    }
}
