//! Loss and the episodes it starts: who detects it (RFC 8985 §9.2: by time or by counting, never by both), and
//! in what order what follows happens.
//!
//! *Owns* the phase, the recovery point and the count of duplicate ACKs. *Does not* set a window: the
//! controller hears of episodes and answers. A mechanism has a file: `rack` (with SACK), `newreno`
//! (without), `tlp` (tails) and `ack_delay` (how long a peer may hold the ACK of a single segment), `frto` (was the
//! time-out one?), `undo` (what was for nothing), and the `timer` that they share with the time-out.

mod ack_delay;
mod frto;
mod newreno;
mod rack;
mod timer;
mod tlp;
mod undo;

pub(crate) use frto::Frto;
pub(crate) use rack::{Path, Rack};
pub(crate) use timer::{Early, LossTimer};
pub(crate) use tlp::Tlp;
pub(crate) use undo::Episode;
use undo::Walks;

use super::congestion::{CongestionKind, EpisodeKind, LossCause};
use super::connection::Connection;
use super::delivery::{Delivered, Echo};
use super::records::Mark;
use super::seq::SeqNum;
use crate::base::Instant;

/// Which episode runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// Nothing is missing as far as is known.
    #[default]
    Open,
    /// Fast recovery, until SND.UNA reaches the point.
    Recovery { point: SeqNum },
    /// The repair after a time-out, until SND.UNA reaches the point.
    Loss { point: SeqNum },
}

#[derive(Clone, Debug, Default)]
#[repr(C)]
pub(crate) struct Recovery {
    pub(crate) phase: Phase,
    /// Whether the last time-out was one.
    pub(crate) frto: Frto,
    pub(crate) tlp: Tlp,
    timer: LossTimer,
    dup_acks: u32,
    walks: Walks,
    /// The last one, in which something may prove to be for nothing.
    pub(crate) episode: Option<Box<Episode>>,
    /// Where the last episode ended (RFC 6582 §3.2's recover), until SND.UNA is beyond it.
    recover: Option<SeqNum>,
    pub(crate) rack: Rack,
    /// FlightSize when the first duplicate came, so without limited transmit (RFC 5681 §3.2 (2)).
    flight_size: Option<u32>,
    /// The first retransmission of an episode, or of a time-out, leaves whatever the windows say.
    pub(crate) force_first: bool,
}

impl Recovery {
    /// Nothing was sent, and the first number will be `iss`.
    pub(crate) fn new(iss: SeqNum) -> Self {
        Self {
            walks: Walks::new(iss),
            ..Self::default()
        }
    }

    /// Does no episode run, is none that did open to doubt, and no probe unanswered?
    pub(crate) fn is_at_rest(&self) -> bool {
        self.phase == Phase::Open && self.episode.is_none() && self.tlp.is_answered()
    }
}

/// What an ACK did to the sending side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckEffect {
    pub(crate) at: Instant,
    pub(crate) ack: SeqNum,
    pub(crate) delivered: Delivered,
    /// Octets that SND.UNA moved.
    pub(crate) acked: u32,
    /// Is it a duplicate ACK by RFC 5681 §2, or RFC 6675 §2 with SACK?
    pub(crate) duplicate: bool,
    /// Is it one that tells nothing at all: no SACK, no text, no other window? Something may be outstanding, or not.
    pub(crate) pure_duplicate: bool,
    /// The timestamp of ours that it brings back.
    pub(crate) echo: Option<Echo>,
    /// Text that came twice (RFC 2883 §4).
    pub(crate) dsack: Option<(SeqNum, SeqNum)>,
    /// It echoes a congestion mark.
    pub(crate) ece: bool,
}

impl Connection {
    /// Detects loss, starts and ends episodes; what was delivered is told to the controller
    /// afterwards, so that growth never precedes a cut. Returns the octets newly marked lost.
    pub(crate) fn on_ack_effect(&mut self, now: Instant, effect: &AckEffect) -> u32 {
        // What is missing behind a reduction that is over was not answered for by it.
        self.exit_reduction_if_passed(now);
        if effect.duplicate {
            let flight_size = self.flight_size(self.gate.stopped.outstanding);
            self.recovery.flight_size.get_or_insert(flight_size);
            self.recovery.dup_acks += 1;
        } else if effect.acked > 0 {
            self.recovery.flight_size = None;
            self.recovery.dup_acks = 0;
        }
        if effect.acked > 0 {
            self.recovery.rack.on_una(self.snd.una);
            self.recovery.walks.on_una(self.snd.una);
            self.recovery.recover = self.recovery.recover.filter(|&at| at == self.snd.una);
        }
        self.on_probe_answer(now, effect);
        let overtaken = self.is_rack_refuted(effect);
        self.look_for_undo(now, effect);
        if overtaken {
            self.recovery.rack.on_reordering();
        }
        let newly_lost = if self.sack {
            self.update_rack(effect);
            self.detect_by_time(effect.at)
        } else {
            self.detect_loss_without_sack(effect)
        };
        self.on_newly_lost(now, newly_lost);
        let passed = self.exit_if_passed(now);
        self.look_beyond_point(now, passed);
        self.on_ack_with_ecn(now, effect);
        newly_lost
    }

    /// RFC 8985 §6.2 steps 2 to 4.
    fn update_rack(&mut self, effect: &AckEffect) {
        let rack = &mut self.recovery.rack;
        if let Some(sent) = effect.delivered.newest {
            rack.on_delivered(effect.at, sent);
        }
        if effect.delivered.reordered > 0 {
            rack.on_reordering();
        }
        if effect.dsack.is_some() {
            rack.on_dsack(self.snd.una, self.snd.nxt);
        }
    }

    /// Did something come twice that RACK took for lost? Then it had been overtaken, without timestamps too.
    fn is_rack_refuted(&self, effect: &AckEffect) -> bool {
        let twice = effect.dsack.filter(|_| self.sack);
        let episode = self.recovery.episode.as_ref();
        twice.is_some_and(|(left, right)| episode.is_some_and(|e| e.is_of_rack(left, right)))
    }

    /// RFC 8985 §6.2 step 5: marks what is lost by now, and arms the timer for what is not yet. Returns
    /// the octets newly marked.
    fn detect_by_time(&mut self, now: Instant) -> u32 {
        let Some(newest) = self.recovery.rack.newest() else {
            return 0;
        };
        if !self.scoreboard.may_be_overtaken(&newest) {
            self.stop_early(Early::Reorder);
            return 0;
        }
        let patience = self.patience();
        let (marked, wait) = self.scoreboard.mark_lost_before(&newest, now, patience);
        match wait {
            Some(at) => self.arm_early(Early::Reorder, at),
            None => self.stop_early(Early::Reorder),
        }
        self.excuse_size_probe(now, marked)
    }

    fn patience(&self) -> core::time::Duration {
        self.recovery.rack.patience(&Path {
            min_rtt: self.rtt.min(),
            srtt: self.rtt.srtt(),
            in_recovery: self.recovery.phase != Phase::Open,
            sacked_segs: self.scoreboard.sacked_segs(),
        })
    }

    /// An episode starts with the first loss outside of one.
    fn on_newly_lost(&mut self, now: Instant, octets: u32) {
        let cause = if self.sack {
            LossCause::Rack
        } else {
            LossCause::DupThresh
        };
        let again = self.tell_lost(now, cause);
        match self.recovery.phase {
            Phase::Open if octets > 0 => self.enter_recovery(now),
            Phase::Recovery { .. } => self.look_for_further_loss(now, again),
            _ => {}
        }
    }

    /// RFC 5681 §4.3: what was sent again `at` this time is lost once more, which is a second indication of
    /// congestion; the controller hears of it once a round trip.
    fn look_for_further_loss(&mut self, now: Instant, at: Option<Instant>) {
        let episode = self.recovery.episode.as_deref_mut();
        if let (Some(episode), Some(at)) = (episode, at)
            && episode.is_worse(now, at)
        {
            let flight_before = self.gate.stopped.pipe;
            self.tell_congestion(now, CongestionKind::FurtherLossInRecovery, flight_before);
        }
    }

    /// What comes before the time-out is due: returns whether it was that.
    pub(crate) fn on_early(&mut self, now: Instant) -> bool {
        match self.take_due_early(now) {
            None => return false,
            Some(Early::Reorder) => {
                let marked = self.detect_by_time(now);
                self.on_newly_lost(now, marked);
            }
            Some(Early::Probe) => self.on_probe_time_out(now),
        }
        true
    }

    fn enter_recovery(&mut self, now: Instant) {
        self.give_up_size_probe(now);
        // Where duplicates let the window grow, the flight grows with it.
        let grows = self.recovery.rack.is_reordering_seen();
        let flight_size = self.recovery.flight_size.take().filter(|_| !grows);
        let flight_before =
            flight_size.unwrap_or_else(|| self.flight_size(self.gate.stopped.outstanding));
        self.begin_episode(now, EpisodeKind::Recovery);
        self.tell_congestion(now, CongestionKind::EnterRecovery, flight_before);
        self.note_reduced_for_loss();
        self.recovery.phase = Phase::Recovery {
            point: self.snd.nxt,
        };
        self.recovery.force_first = self.scoreboard.lost() > 0;
        self.recovery.tlp.give_up();
        self.stop_early(Early::Probe);
        self.stats.fast_retransmits += 1;
    }

    fn begin_episode(&mut self, now: Instant, kind: EpisodeKind) {
        let probed = self.recovery.tlp.is_out_again();
        let episode = Episode::new(now, kind, (self.snd.una, self.snd.nxt), probed);
        self.recovery.episode = Some(Box::new(episode));
    }

    /// What is missing beyond the recovery point, or was when an episode was undone, is a loss of its own (r44). It left
    /// after the window had been cut, and so asks for another cut whether it was sent again in that episode or not
    /// (RFC 6675 §5: IsLost of the octet after HighACK; Linux's `tcp_time_to_recover`). A controller that begins each
    /// recovery with what is in flight would begin anew with the next loss instead, on lossy paths once a round trip.
    fn look_beyond_point(&mut self, now: Instant, passed: bool) {
        if self.recovery.phase != Phase::Open || self.persist.is_refused(self.snd.una) {
            return;
        }
        // Without SACK nothing beyond the point is known, and what was sent again lies below it. Where packets overtake
        // each other it may have been late: each round of a jittery path would be another loss.
        let overtakes = self.recovery.rack.is_reordering_seen();
        let again = if passed && self.sack && !overtakes {
            self.scoreboard.retransmitted()
        } else {
            0
        };
        if self.scoreboard.lost() == 0 && again == 0 {
            return;
        }
        let before = self.recovery.episode.take().filter(|_| again > 0);
        self.enter_recovery(now);
        if let (Some(episode), Some(before)) = (&mut self.recovery.episode, before) {
            episode.inherit(&before, again);
        }
    }

    /// Ends the episode when SND.UNA has reached its point; returns whether it has.
    fn exit_if_passed(&mut self, now: Instant) -> bool {
        let (point, kind) = match self.recovery.phase {
            Phase::Open => return false,
            Phase::Recovery { point } => (point, EpisodeKind::Recovery),
            Phase::Loss { point } => (point, EpisodeKind::Loss),
        };
        if self.snd.una.before(point) {
            return false;
        }
        self.exit(now, kind);
        self.recovery.recover = Some(point).filter(|&at| at == self.snd.una);
        true
    }

    fn exit(&mut self, now: Instant, kind: EpisodeKind) {
        self.leave_episode();
        let cx = self.cx(now);
        self.congestion.on_recovery_exit(&cx, kind);
    }

    fn leave_episode(&mut self) {
        self.recovery.phase = Phase::Open;
        self.recovery.dup_acks = 0;
        self.recovery.flight_size = None;
        self.recovery.force_first = false;
        self.recovery.frto = Frto::Off;
        self.recovery.rack.on_recovery_exit();
        self.scoreboard.forget_dup_acks();
        self.gate.on_episode_end();
    }

    /// RFC 6298 §5 (5.4) to (5.6), RFC 5681 §3.1: the timer expired with something outstanding.
    pub(crate) fn on_rto_loss(&mut self, now: Instant) {
        // Of a time-out that was undone nothing stands, whether SND.UNA moved since or not.
        let first = self.retries <= 1 || self.recovery.phase == Phase::Open;
        // RFC 5681 §3.1 (4); in an episode what is lost was answered for already.
        let flight_before = match self.recovery.phase {
            Phase::Open => self.flight_size(self.snd.nxt.past(self.snd.una)),
            Phase::Recovery { .. } | Phase::Loss { .. } => self.gate.stopped.pipe,
        };
        let reneged = self
            .scoreboard
            .first()
            .is_some_and(|record| record.mark == Mark::Sacked);
        if !self.sack || reneged {
            // RFC 2018 §8: a peer that reported what is next and never took it threw it away.
            self.scoreboard.forget_sacks();
            self.scoreboard.mark_all_lost();
        } else {
            // RFC 8985 §6.3: the first, and what is older than anything on the way can be.
            self.scoreboard.mark_front_lost();
            self.scoreboard.mark_old_lost(now, self.patience());
        }
        self.begin_frto(first);
        if self.recovery.phase == Phase::Open {
            self.begin_episode(now, EpisodeKind::Loss);
        }
        if reneged {
            // What such a peer reports twice, or late, proves nothing.
            self.recovery.episode = None;
            self.recovery.frto = Frto::Off;
        }
        self.tell_lost(now, LossCause::Rto);
        let kind = CongestionKind::Rto {
            first,
            consecutive: u32::from(self.retries),
        };
        self.tell_congestion(now, kind, flight_before);
        self.note_reduced_for_loss();
        self.recovery.phase = Phase::Loss {
            point: self.snd.nxt,
        };
        self.recovery.dup_acks = 0;
        self.recovery.flight_size = None;
        self.recovery.tlp.give_up();
    }
}
