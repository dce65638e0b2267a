//! Explicit Congestion Notification (RFC 3168): marks in place of drops.
//!
//! *Owns* what the SYNs agreed on, the receiver's duty to echo a mark until the sender has answered it, and
//! when the sender answers: once for each window, and at a window of one segment by waiting. *Does not*
//! set a window: the controller hears of marks and answers; nor write an IP header: a plan says what is ECT.
//! Invariant: a connection without ECN has none of this, and ignores all its bits.

use crate::base::Instant;

use super::congestion::{CongestionKind, EpisodeKind};
use super::connection::Connection;
use super::header::Flags;
use super::opening::Opening;
use super::plan::What;
use super::recovery::{self, AckEffect, Early};
use super::segment::{Control, Marks, Segment};
use super::seq::SeqNum;
use super::state::State;

/// Whether a connection uses ECN (RFC 3168), as Linux's `tcp_ecn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ecn {
    /// Neither asked for nor accepted (0 of `tcp_ecn`).
    Off,
    /// Accepted from a peer that asks, not asked for (2 of `tcp_ecn`).
    #[default]
    Accept,
    /// Asked for, and accepted (1 of `tcp_ecn`). A SYN that has to be sent again does not ask any more: a
    /// box on the way may drop what it does not know (RFC 3168 §6.1.1.1).
    Ask,
}

/// What a connection with ECN knows and owes. Made when it asks, or is asked; gone when the peer declines.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EcnState {
    /// One of our SYNs did not ask, or one of the peer's after our answer: RFC 3168 §6.1.1 forbids ECT from then on,
    /// but not to echo marks.
    listens_only: bool,
    /// A mark came, and no CWR after it: every ACK says so.
    echoes: bool,
    /// The window was reduced, and no new text has left since: the next one says so.
    cwr_due: bool,
    /// SND.NXT when the window was reduced last, by a mark or a loss. What is echoed until SND.UNA is
    /// beyond it is of that window, or was sent before our CWR was there.
    reduced: Option<SeqNum>,
    /// Where the reduction that a mark brought about ends, while it runs.
    reduces_to: Option<SeqNum>,
    /// Where that was when a loss ended it, and whether its CWR was still to leave: the loss may prove to be none.
    interrupted: Option<(SeqNum, bool)>,
    /// Until then nothing leaves: a window of one segment cannot be halved in any other way.
    held: Option<Instant>,
    ce_received: u64,
    ece_received: u64,
    reductions: u64,
}

impl EcnState {
    /// SND.UNA moved: a point that lies behind is forgotten, or it would look new after 2^31 octets.
    fn on_una(&mut self, una: SeqNum) {
        self.reduced = self.reduced.filter(|&point| !una.after(point));
        self.interrupted = self.interrupted.filter(|&(point, _)| una.before(point));
    }
}

/// What `info` tells of ECN.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EcnInfo {
    pub(crate) agreed: bool,
    pub(crate) ce_received: u64,
    pub(crate) ece_received: u64,
    pub(crate) reductions: u64,
}

/// Is this a SYN that asks, or a SYN-ACK that agrees (RFC 3168 §6.1.1's ECN-setup)?
pub(crate) fn is_setup(seg: &Segment) -> bool {
    let both = Marks::ECE | Marks::CWR;
    let want = if seg.ack.is_some() { Marks::ECE } else { both };
    seg.control == Control::Syn && seg.marks & both == want
}

impl Connection {
    // --- the handshake --------------------------------------------------------------------

    /// Active OPEN: RFC 3168 §6.1.1.
    pub(super) fn begin_ecn(&mut self) {
        if self.setup.options.ecn == Ecn::Ask {
            self.rare.set_ecn(Some(EcnState::default()));
        }
    }

    /// Passive OPEN. A peer that asked, then asked no more, may still have our first answer: Linux sends ECT then. Its
    /// marks are echoed.
    pub(super) fn accept_ecn(&mut self, opening: &Opening) {
        let knows = opening.ecn || opening.ecn_answered;
        self.rare.set_ecn(knows.then(|| EcnState {
            listens_only: !opening.ecn,
            ..EcnState::default()
        }));
    }

    /// What our SYN says beside SYN and ACK. Only an answer to one that asks agrees.
    pub(super) fn ecn_of_syn(&self, what: What) -> Flags {
        match (self.rare.ecn(), self.state) {
            (Some(ecn), State::SynSent) if what == What::Syn && !ecn.listens_only => {
                Flags::ECE | Flags::CWR
            }
            // A simultaneous open: both asked.
            (Some(ecn), State::SynRcvd) if !ecn.listens_only => Flags::ECE,
            _ => Flags::empty(),
        }
    }

    /// Our SYN left.
    pub(super) fn on_syn_left(&mut self, flags: Flags) {
        if let Some(ecn) = self.rare.ecn_mut() {
            ecn.listens_only |= !flags.contains(Flags::ECE);
        }
    }

    /// The peer's SYN, with an ACK or without: one that does not ask, or agree, declines.
    pub(super) fn take_ecn_of_syn(&mut self, seg: &Segment) {
        if !is_setup(seg) {
            self.rare.set_ecn(None);
        }
    }

    /// Do we send what may be marked, and answer to what is echoed?
    fn sends_ect(&self) -> bool {
        self.rare.ecn().is_some_and(|ecn| !ecn.listens_only)
    }

    // --- the receiver ---------------------------------------------------------------------

    /// Text that is in the window arrived, with marks or without (RFC 3168 §6.1.3, §6.1.5).
    pub(super) fn take_marks(&mut self, seg: &Segment) {
        let Some(ecn) = self.rare.ecn_mut() else {
            return;
        };
        if seg.text.is_empty() || seg.control == Control::Syn {
            return;
        }
        let marks = seg.marks;
        if marks.contains(Marks::CWR) {
            ecn.echoes = false;
        }
        let news = marks.contains(Marks::CE) && !ecn.echoes;
        if marks.contains(Marks::CE) {
            // After the CWR: what carries it may be marked itself.
            ecn.echoes = true;
            ecn.ce_received += u64::from(seg.wire_segments());
        }
        if news {
            self.quick.on_mark();
        }
        if news || marks.contains(Marks::CWR) {
            // The sender's window may be a single segment: it waits for this ACK (as Linux).
            self.rcv.ack_now();
        }
    }

    /// What every segment with an ACK says of marks that came.
    pub(super) fn ecn_echo(&self) -> Flags {
        match self.rare.ecn() {
            Some(ecn) if ecn.echoes => Flags::ECE,
            _ => Flags::empty(),
        }
    }

    // --- the sender -----------------------------------------------------------------------

    /// Is this an ACK that echoes a mark? Of a SYN-ACK the bit means something else.
    pub(super) fn is_echo(&self, seg: &Segment) -> bool {
        seg.marks.contains(Marks::ECE) && seg.control != Control::Syn && self.sends_ect()
    }

    /// Is new text ECT, and does it say that the window was reduced (RFC 3168 §6.1.2)? Not what is
    /// sent again, nor probes of a shut window, nor what has no text (§6.1.4 to §6.1.6).
    pub(super) fn ecn_of_text(&self) -> (bool, Flags) {
        match self.rare.ecn() {
            Some(ecn) if !ecn.listens_only => {
                let cwr = if ecn.cwr_due {
                    Flags::CWR
                } else {
                    Flags::empty()
                };
                (true, cwr)
            }
            _ => (false, Flags::empty()),
        }
    }

    /// The CWR left.
    pub(super) fn on_cwr_left(&mut self) {
        if let Some(ecn) = self.rare.ecn_mut() {
            ecn.cwr_due = false;
            if let Some((_, due)) = &mut ecn.interrupted {
                *due = false;
            }
        }
    }

    /// An ACK of a connection with ECN, its losses found. RFC 3168 §6.1.2: a mark is answered like a loss,
    /// and either once for each window.
    pub(crate) fn on_ack_with_ecn(&mut self, now: Instant, effect: &AckEffect) {
        let una = self.snd.una;
        let Some(ecn) = self.rare.ecn_mut() else {
            return;
        };
        ecn.on_una(una);
        // A segment that arrived late says what was; and what nothing of ours can have brought about
        // says nothing.
        let answers = effect.acked > 0 || (effect.ack == una && self.snd.is_outstanding());
        if !effect.ece || !answers {
            return;
        }
        ecn.ece_received += 1;
        if ecn.reduced.is_some() {
            return;
        }
        ecn.reductions += 1;
        self.reduce_for_mark(now, effect.delivered.bytes);
    }

    fn reduce_for_mark(&mut self, now: Instant, marked_bytes: u32) {
        let flight = self.flight_size(self.gate.stopped.outstanding);
        let smallest = self.congestion.output().cwnd <= self.smss();
        self.tell_congestion(now, CongestionKind::Ecn { marked_bytes }, flight);
        self.note_reduced();
        let point = self.snd.nxt;
        let rto = self.rtt.rto();
        if let Some(ecn) = self.rare.ecn_mut() {
            ecn.reduces_to = Some(point);
            if smallest {
                // RFC 3168 §6.1.2: at a window of one segment the retransmission timer is reset, and the
                // next one leaves when it expires.
                ecn.held = Some(now + rto);
            }
        }
        if smallest && !self.scoreboard.is_empty() {
            self.restart_rto(now + rto);
            self.stop_early(Early::Probe);
        }
    }

    /// The window was reduced, for whatever reason: marks of what is out now are answered for, and the
    /// next new text says so.
    pub(crate) fn note_reduced(&mut self) {
        let point = self.snd.nxt;
        if let Some(ecn) = self.rare.ecn_mut() {
            ecn.cwr_due = !ecn.listens_only;
            ecn.reduced = Some(point);
        }
    }

    /// An episode of loss begins, or worsens: a reduction that runs ends with it.
    pub(crate) fn note_reduced_for_loss(&mut self) {
        if let Some(ecn) = self.rare.ecn_mut()
            && let Some(point) = ecn.reduces_to.take()
        {
            ecn.interrupted = Some((point, ecn.cwr_due));
        }
        self.note_reduced();
    }

    /// Was the window reduced for a mark on what is still out? Then a loss among it is answered for.
    pub(crate) fn is_reducing(&self) -> bool {
        self.rare.ecn().is_some_and(|e| e.reduces_to.is_some())
    }

    /// The reduction that a loss brought about was for nothing: what is echoed counts again, and one for a mark
    /// that the loss interrupted goes on.
    pub(crate) fn forget_reduction(&mut self) {
        if let Some(ecn) = self.rare.ecn_mut() {
            let interrupted = ecn.interrupted.take();
            ecn.reduces_to = interrupted.map(|(point, _)| point);
            ecn.reduced = ecn.reduces_to;
            ecn.cwr_due = interrupted.is_some_and(|(_, due)| due);
        }
    }

    /// An ACK, before its losses are found.
    pub(crate) fn exit_reduction_if_passed(&mut self, now: Instant) {
        let una = self.snd.una;
        let Some(ecn) = self.rare.ecn_mut() else {
            return;
        };
        if ecn.reduces_to.is_none_or(|point| una.before(point)) {
            return;
        }
        ecn.reduces_to = None;
        if self.recovery.phase == recovery::Phase::Open {
            let cx = self.cx(now);
            self.congestion
                .on_recovery_exit(&cx, EpisodeKind::Reduction);
        }
    }

    /// Until when must text wait, if it must: for its pace, or for a mark at a window of one segment?
    pub(super) fn departure_wait(&self, now: Instant) -> Option<Instant> {
        self.pacer.wait(now).max(self.held_for_mark(now))
    }

    fn held_for_mark(&self, now: Instant) -> Option<Instant> {
        let held = self.rare.ecn().and_then(|ecn| ecn.held);
        held.filter(|&at| at > now)
    }

    /// Is nothing to leave yet, not even a probe, because a window of one segment was marked?
    pub(crate) fn is_held_for_mark(&self, now: Instant) -> bool {
        self.held_for_mark(now).is_some()
    }

    pub(super) fn ecn_info(&self) -> EcnInfo {
        self.rare
            .ecn()
            .map_or_else(EcnInfo::default, |ecn| EcnInfo {
                agreed: !ecn.listens_only && self.state != State::SynSent,
                ce_received: ecn.ce_received,
                ece_received: ecn.ece_received,
                reductions: ecn.reductions,
            })
    }
}
