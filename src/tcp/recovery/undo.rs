//! Was an episode for nothing? Then what the controller changed is as it was (RFC 3522, RFC 3708).
//!
//! *Owns* the evidence: every octet that was sent again came twice (D-SACK), or everything that was sent
//! again is acknowledged by what left before the first retransmission did (timestamps), or nothing left again
//! before all of it arrived, or `frto` found it. What was taken for lost on the way is so no more; RACK looks at
//! it again, but for what a path or a window refused. *Does not* restore a window: the controller does.

use super::{AckEffect, Phase};
use crate::base::Instant;
use crate::tcp::congestion::{EpisodeKind, UndoEvent, UndoEvidence};
use crate::tcp::connection::Connection;
use crate::tcp::delivery::Echo;
use crate::tcp::segment::Segment;
use crate::tcp::seq::SeqNum;

/// Segments that are put back on their way whenever an episode was for nothing.
const FEW: u32 = 256;

/// When what was taken for lost may be put back on its way. Each segment is a step, and a peer that reports
/// and denies in turn would have all of a window walked with every other segment: many are put back once
/// for each window. What stays marked is sent again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walks {
    /// SND.UNA is here or beyond when many may be put back; it is here when none ever were.
    from: SeqNum,
}

impl Walks {
    pub(super) const fn new(iss: SeqNum) -> Self {
        Self { from: iss }
    }

    pub(super) fn on_una(&mut self, una: SeqNum) {
        self.from = self.from.later(una);
    }

    fn may(&mut self, segments: u32, una: SeqNum, nxt: SeqNum) -> bool {
        if segments <= FEW {
            return true;
        }
        let may = !self.from.after(una);
        if may {
            self.from = nxt;
        }
        may
    }
}

/// What is known of the last episode, until it is undone or another one begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Episode {
    kind: EpisodeKind,
    /// SND.UNA and SND.NXT when it began: D-SACKs of what lies elsewhere are not of it.
    from: SeqNum,
    to: SeqNum,
    /// Octets that left again in it and were not reported twice.
    again: u32,
    /// When the first of them did, and where the highest ends: what never left is no evidence.
    first: Option<Instant>,
    highest: SeqNum,
    /// Did an ACK that moved SND.UNA echo something that left later?
    doubted: bool,
    /// Was a probe of the tail out when it began? Then an ACK may be for that.
    probed: bool,
    /// Was a mark echoed since? What was reduced is right for that too, whatever else it was for (as Linux;
    /// RFC 3168 §6.1.2).
    marked: bool,
    /// When the controller last heard of it.
    told_at: Instant,
}

impl Episode {
    pub(super) fn new(
        now: Instant,
        kind: EpisodeKind,
        (from, to): (SeqNum, SeqNum),
        probed: bool,
    ) -> Self {
        Self {
            probed,
            kind,
            from,
            to,
            again: 0,
            first: None,
            highest: from,
            doubted: false,
            marked: false,
            told_at: now,
        }
    }

    /// So many octets that are missing in this one left again in the one before: the evidence about them counts, and what
    /// left before they did is older than that episode's first.
    pub(super) fn inherit(&mut self, before: &Self, again: u32) {
        self.again = self.again.saturating_add(again);
        self.first = before.first.or(self.first);
        self.highest = self.highest.later(before.highest);
        self.marked |= before.marked;
    }

    /// Something that left again at this time is lost once more: is that news? Once for what leaves between
    /// two times that the controller heard of the episode, so once a round trip.
    pub(super) fn is_worse(&mut self, now: Instant, sent_at: Instant) -> bool {
        let worse = sent_at >= self.told_at;
        if worse {
            self.told_at = now;
        }
        worse
    }

    pub(super) fn kind(&self) -> EpisodeKind {
        self.kind
    }

    /// So many octets left again, up to `end`.
    pub(crate) fn on_sent_again(&mut self, now: Instant, octets: u32, end: SeqNum) {
        self.again = self.again.saturating_add(octets);
        self.first.get_or_insert(now);
        self.highest = self.highest.later(end);
    }

    /// Is this a part of what was out when RACK took something of it for lost, and sent it again?
    pub(super) fn is_of_rack(&self, left: SeqNum, right: SeqNum) -> bool {
        self.kind == EpisodeKind::Recovery && self.first.is_some() && self.holds(left, right)
    }

    fn holds(&self, left: SeqNum, right: SeqNum) -> bool {
        !left.before(self.from) && !right.after(self.to)
    }

    /// Text came twice; returns whether that was the last of what left again.
    fn on_dsack(&mut self, left: SeqNum, right: SeqNum) -> bool {
        if !self.holds(left, right) || self.again == 0 {
            return false;
        }
        self.again = self.again.saturating_sub(right.past(left));
        self.again == 0
    }

    /// SND.UNA moved to `una` with this echo; returns whether all that left again was answered by what left
    /// before. What is still missing behind that is an episode of its own.
    fn on_advance(&mut self, una: SeqNum, echo: Option<Echo>) -> bool {
        let Some(first) = self.first else {
            return false;
        };
        self.doubted |= echo.is_none_or(|echo| !echo.is_before(first));
        !self.doubted && !una.before(self.highest)
    }

    /// Nothing is lost any more; returns whether nothing left again either: all of it was late, and came before
    /// the sender had its turn (as Linux's `tcp_packet_delayed`). What an undo before it left marked, because it was
    /// too much to put back, starts an episode of its own, of which the same holds.
    fn is_void(&self, lost: u32) -> bool {
        let of_loss = matches!(self.kind, EpisodeKind::Recovery | EpisodeKind::Loss);
        of_loss && lost == 0 && self.first.is_none() && !self.probed
    }
}

impl Connection {
    /// Does the answer to our SYN echo the first one, although it was sent again?
    pub(in crate::tcp) fn is_first_syn_echoed(&self, seg: &Segment) -> bool {
        let again_at = self.recovery.episode.as_ref().and_then(|e| e.first);
        let echo = self.echo(seg);
        again_at.is_some_and(|at| echo.is_some_and(|echo| echo.is_before(at)))
    }

    /// The handshake is over: its time-outs are none of the controller's, which starts now.
    pub(in crate::tcp) fn forget_syn_episode(&mut self) {
        if self.recovery.phase != Phase::Open {
            self.leave_episode();
        }
        self.recovery.episode = None;
    }

    /// Does this ACK show that the last episode was for nothing? Then it is over, if it still runs: a loss
    /// that shows later is another one, and is answered for.
    pub(super) fn look_for_undo(&mut self, now: Instant, effect: &AckEffect) {
        let spurious = self.is_frto_spurious(effect);
        let Some(episode) = &mut self.recovery.episode else {
            return;
        };
        episode.marked |= effect.ece;
        let in_episode = self.recovery.phase != Phase::Open;
        let evidence = if effect.dsack.is_some_and(|(l, r)| episode.on_dsack(l, r)) {
            UndoEvidence::Dsack
        } else if in_episode && effect.acked > 0 && episode.on_advance(self.snd.una, effect.echo) {
            UndoEvidence::Timestamp
        } else if in_episode && episode.is_void(self.scoreboard.lost()) {
            UndoEvidence::NothingSent
        } else if spurious {
            if let Some(first) = episode.first {
                self.recovery.rack.on_refuted(first);
            }
            UndoEvidence::Frto
        } else {
            return;
        };
        let (event, marked) = (UndoEvent::new(episode.kind, evidence), episode.marked);
        self.recovery.episode = None;
        let segments = self.scoreboard.lost().div_ceil(self.smss());
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        // What the path or a window refused is not on its way, whatever else was.
        let refused = self.persist.is_refused(una);
        if in_episode && !refused && self.recovery.walks.may(segments, una, nxt) {
            self.scoreboard.unmark_lost();
        }
        if marked {
            // What was taken for lost is not sent again for nothing; the window stays as it is.
            if in_episode {
                self.exit(now, event.episode);
            }
            return;
        }
        self.stats.undos += 1;
        self.forget_reduction();
        let cx = self.cx(now);
        self.congestion.on_undo(&cx, &event);
        if in_episode {
            self.leave_episode();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_put_back_once_a_window_and_few_always() {
        let at = |octets: u32| SeqNum::new(u32::MAX - 5000) + octets;
        let mut walks = Walks::new(at(0));
        assert!(walks.may(FEW + 1, at(0), at(9000)));
        for una in [0, 1, 8999] {
            walks.on_una(at(una));
            assert!(!walks.may(FEW + 1, at(una), at(9000)), "{una}");
            assert!(walks.may(FEW, at(una), at(9000)));
        }
        walks.on_una(at(9000));
        assert!(walks.may(FEW + 1, at(9000), at(20_000)));
        // Numbers that went round since.
        walks.on_una(at(20_000) + (1 << 30));
        walks.on_una(at(20_000) + (3 << 29));
        walks.on_una(at(20_000) + (1 << 31) + 5);
        assert!(walks.may(FEW + 1, at(20_000) + (1 << 31) + 5, at(0)));
    }
}
