//! Loss detection and the episodes it starts (RFC 6675 §5, RFC 6582 §3.2, RFC 5681 §3.1).
//!
//! *Owns* the phase, the recovery point and the count of duplicate ACKs. *Does not* set a window:
//! the controller hears of episodes and answers.

use crate::base::Instant;

use super::congestion::{CongestionKind, EpisodeKind};
use super::connection::Connection;
use super::records::Mark;
use super::scoreboard::{DUP_THRESH, Delivered};
use super::seq::SeqNum;

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
pub(crate) struct Recovery {
    pub(crate) phase: Phase,
    dup_acks: u32,
    /// SND.NXT at the first duplicate: FlightSize without limited transmit (RFC 5681 §3.2 (2)).
    flight_end: Option<SeqNum>,
    /// The first retransmission of an episode, or of a time-out, leaves whatever the windows say.
    pub(crate) force_first: bool,
}

/// What an ACK did to the sending side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckEffect {
    pub(crate) delivered: Delivered,
    /// Octets that SND.UNA moved.
    pub(crate) acked: u32,
    /// Is it a duplicate ACK by RFC 5681 §2, or RFC 6675 §2 with SACK?
    pub(crate) duplicate: bool,
}

impl Connection {
    /// Detects loss, starts and ends episodes; what was delivered is told to the controller
    /// afterwards, so that growth never precedes a cut. Returns the octets newly marked lost.
    pub(crate) fn on_ack_effect(&mut self, now: Instant, effect: &AckEffect) -> u32 {
        if effect.duplicate {
            self.recovery.flight_end.get_or_insert(self.snd.nxt);
            self.recovery.dup_acks += 1;
        } else if effect.acked > 0 {
            self.recovery.flight_end = None;
            self.recovery.dup_acks = 0;
        }
        let newly_lost = self.detect_loss(effect);
        if newly_lost > 0 && self.recovery.phase == Phase::Open {
            self.enter_recovery(now);
        }
        if self.exit_if_passed(now) && self.scoreboard.lost() > 0 {
            // What is missing beyond the recovery point is a loss of its own (r44).
            self.enter_recovery(now);
        }
        newly_lost
    }

    /// Marks records lost; returns the octets newly marked.
    fn detect_loss(&mut self, effect: &AckEffect) -> u32 {
        let smss = self.smss();
        if !self.sack {
            return self.detect_loss_without_sack(effect, smss);
        }
        let marked = self.scoreboard.mark_lost_by_sack(smss);
        // RFC 6675 §5 (1): three duplicate ACKs say it too, whatever the segments' sizes.
        let by_count = self.recovery.phase == Phase::Open && self.recovery.dup_acks >= DUP_THRESH;
        if marked == 0 && by_count {
            self.scoreboard.mark_first_lost(smss)
        } else {
            marked
        }
    }

    /// NewReno (RFC 6582 §3.2): a hole per partial ACK; duplicates only open the window.
    fn detect_loss_without_sack(&mut self, effect: &AckEffect, smss: u32) -> u32 {
        if effect.duplicate && !matches!(self.recovery.phase, Phase::Loss { .. }) {
            self.scoreboard.on_dup_ack(smss);
        }
        match self.recovery.phase {
            Phase::Open if effect.acked > 0 => {
                self.scoreboard.forget_dup_acks();
                0
            }
            Phase::Open if self.recovery.dup_acks >= DUP_THRESH => {
                self.scoreboard.mark_first_lost(smss)
            }
            Phase::Recovery { point } if effect.acked > 0 && self.snd.una.before(point) => {
                self.scoreboard.on_partial_ack(effect.acked, smss);
                self.scoreboard.mark_first_lost(smss)
            }
            _ => 0,
        }
    }

    fn enter_recovery(&mut self, now: Instant) {
        let flight_end = self.recovery.flight_end.take().unwrap_or(self.snd.nxt);
        let flight_before = flight_end.past(self.snd.una);
        self.tell_congestion(now, CongestionKind::EnterRecovery, flight_before);
        self.recovery.phase = Phase::Recovery {
            point: self.snd.nxt,
        };
        self.recovery.force_first = true;
        self.stats.fast_retransmits += 1;
    }

    /// Ends the episode when SND.UNA has reached its point; returns whether it did.
    fn exit_if_passed(&mut self, now: Instant) -> bool {
        let (point, kind) = match self.recovery.phase {
            Phase::Open => return false,
            Phase::Recovery { point } => (point, EpisodeKind::Recovery),
            Phase::Loss { point } => (point, EpisodeKind::Loss),
        };
        if self.snd.una.before(point) {
            return false;
        }
        self.recovery = Recovery::default();
        self.scoreboard.forget_dup_acks();
        let cx = self.cx(now);
        self.congestion.on_recovery_exit(&cx, kind);
        true
    }

    /// RFC 2018 §8: a peer that reported what is next and never took it threw it away.
    pub(crate) fn forget_broken_sacks(&mut self) {
        if self
            .scoreboard
            .first()
            .is_some_and(|r| r.mark == Mark::Sacked)
        {
            self.scoreboard.forget_sacks();
        }
    }

    /// RFC 6298 §5 (5.4) to (5.6), RFC 5681 §3.1: the timer expired with something outstanding.
    pub(crate) fn on_rto_loss(&mut self, now: Instant) {
        let first = self.retries <= 1;
        // RFC 5681 §3.1 (4); in an episode what is lost was answered for already.
        let flight_before = match self.recovery.phase {
            Phase::Open => self.snd.nxt.past(self.snd.una),
            Phase::Recovery { .. } | Phase::Loss { .. } => self.scoreboard.pipe(),
        };
        self.forget_broken_sacks();
        self.scoreboard.mark_all_lost();
        let kind = CongestionKind::Rto {
            first,
            consecutive: u32::from(self.retries),
        };
        self.tell_congestion(now, kind, flight_before);
        self.recovery = Recovery {
            phase: Phase::Loss {
                point: self.snd.nxt,
            },
            ..Recovery::default()
        };
    }
}
