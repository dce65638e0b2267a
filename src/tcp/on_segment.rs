//! SEGMENT ARRIVES (RFC 9293 §3.10.7.3 and §3.10.7.4), check by check in the RFC's order.
//!
//! *Owns* the order of the checks and what each failure owes the peer. *Does not* look connections
//! up, and sends nothing: what is owed is noted, and `plan` sends it.

use core::ops::ControlFlow;

use crate::base::{DropReason, Instant};

use super::connection::{Connection, Signals};
use super::error::TcpFailure;
use super::opening::Opening;
use super::reset::{Reset, refusal};
use super::segment::{Control, Marks, Segment};
use super::seq::SeqNum;
use super::state::{Event, State};
use super::timers::Timer;

/// Why the processing of a segment stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was not taken; an ACK may be owed.
    Dropped(DropReason),
    /// It ended the connection.
    Reset,
    /// It is refused with this RST, and not taken.
    Refused(Reset),
}

type Step = ControlFlow<Outcome>;

fn drop_segment<T>(reason: DropReason) -> ControlFlow<Outcome, T> {
    ControlFlow::Break(Outcome::Dropped(reason))
}

impl Connection {
    /// Takes a segment that was found to belong to this connection.
    pub(crate) fn on_segment(&mut self, now: Instant, seg: &Segment) -> Step {
        self.stats.segs_in += u64::from(seg.wire_segments());
        let step = match self.state {
            State::Closed | State::Listen | State::TimeWait => {
                drop_segment(DropReason::TcpNoSocket)
            }
            State::SynSent => self.on_syn_sent(now, seg),
            _ => self.on_synchronized(now, seg),
        };
        self.arm_timers(now);
        step
    }

    /// RFC 9293 §3.10.7.4. The third check (security) is not implemented.
    fn on_synchronized(&mut self, now: Instant, seg: &Segment) -> Step {
        self.check_timestamp(now, seg)?; // PAWS, RFC 7323 §5.3 (R1)
        self.check_sequence(now, seg)?; // first
        self.check_rst(now, seg)?; // second
        self.check_syn(now, seg)?; // fourth
        let ack = self.check_ack(now, seg)?; // fifth
        // RFC 7323 §5.3 (R3), and only now: a forged segment must not move TS.Recent.
        self.rcv.update_timestamp(seg);
        self.note_heard(seg);
        self.process_ack(now, seg, ack);
        if self.state == State::Closed || self.state == State::TimeWait {
            return Step::Continue(());
        }
        if seg.marks.contains(Marks::URG) {
            self.take_urgent(seg); // sixth
        }
        self.process_text(seg) // seventh and eighth
    }

    fn check_timestamp(&mut self, now: Instant, seg: &Segment) -> Step {
        let Err(reason) = self.rcv.check_timestamp(seg) else {
            return Step::Continue(());
        };
        if reason == DropReason::TcpPaws {
            // RFC 7323 §5.3 (R1): an ACK in reply. Text that overtook its retransmission is reported.
            self.rcv.note_unacceptable(seg);
            self.answer_unacceptable(now, seg);
        }
        drop_segment(reason)
    }

    /// First: is it in the window? RFC 9293 §3.10.7.4.
    fn check_sequence(&mut self, now: Instant, seg: &Segment) -> Step {
        if self.rcv.is_acceptable(seg) {
            return Step::Continue(());
        }
        if seg.control != Control::Rst {
            self.rcv.note_unacceptable(seg);
            self.answer_unacceptable(now, seg);
            // r06, and "SACK on an old ACK": what it acknowledges counts, though its text is old.
            if let Some(ack) = seg.ack
                && seg.control != Control::Syn
                && self.state != State::SynRcvd
                && self.rcv.is_near(seg.seq)
                && self.ack_is_plausible(ack)
            {
                self.note_heard(seg);
                self.process_ack(now, seg, ack);
            }
        }
        drop_segment(DropReason::TcpOutOfWindow)
    }

    /// RFC 9293 §3.10.7.4: "an acknowledgment should be sent in reply" to what is not acceptable.
    fn answer_unacceptable(&mut self, now: Instant, seg: &Segment) {
        if seg.len() > 0 && seg.control != Control::Syn {
            // Text or a FIN, sent again because our ACK was lost: nothing that others sent may hold
            // its answer back (r38). An ACK has neither, so two ends never go on for ever (r39).
            self.rcv.ack_now();
        } else if seg.control == Control::None && self.rcv.is_near(seg.seq) {
            // r38: what keep-alive and window probes without a byte of garbage look like (RFC 9293
            // §3.8.4) has a budget of its own.
            if self.probe_answers.take(now) {
                self.rcv.ack_now();
            }
        } else {
            self.challenge(now);
        }
    }

    /// Second: RFC 5961 §3.2. Only a RST exactly at RCV.NXT ends the connection.
    fn check_rst(&mut self, now: Instant, seg: &Segment) -> Step {
        if seg.control != Control::Rst {
            return Step::Continue(());
        }
        if seg.seq != self.rcv.nxt {
            self.challenge(now);
            return drop_segment(DropReason::TcpBadRst);
        }
        match self.state {
            State::SynRcvd if !self.is_fast() => self.fail(TcpFailure::Refused, Event::RcvRst),
            State::Closing | State::LastAck => {
                // Both FINs have been seen: nothing is lost by it.
                self.transit(Event::RcvRst);
                self.finish();
            }
            _ => self.fail(TcpFailure::Reset, Event::RcvRst),
        }
        Step::Break(Outcome::Reset)
    }

    /// Fourth: RFC 5961 §4.2. A SYN never resets a synchronized connection.
    fn check_syn(&mut self, now: Instant, seg: &Segment) -> Step {
        if seg.control != Control::Syn {
            return Step::Continue(());
        }
        self.challenge(now);
        drop_segment(DropReason::TcpUnexpectedSyn)
    }

    /// Fifth: the ACK bit, and RFC 5961 §5.2's bounds.
    fn check_ack(&mut self, now: Instant, seg: &Segment) -> ControlFlow<Outcome, SeqNum> {
        let Some(ack) = seg.ack else {
            return drop_segment(DropReason::TcpNoAck);
        };
        if self.state == State::SynRcvd {
            if !ack.after(self.snd.una) || ack.after(self.snd.nxt) {
                return ControlFlow::Break(Outcome::Refused(Reset {
                    seq: ack,
                    ack: None,
                    stamp: self.stamp(),
                }));
            }
            self.on_established(seg);
        }
        if self.ack_is_plausible(ack) {
            return ControlFlow::Continue(ack);
        }
        if seg.len() > 0 {
            // Text that was overtaken by more than a window of ACKs: it comes again, and its sender
            // must learn where we are, whatever used the challenges up (r38).
            self.rcv.ack_now();
        } else {
            self.challenge(now);
        }
        drop_segment(DropReason::TcpBadAck)
    }

    /// RFC 5961 §5.2: `SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT`.
    fn ack_is_plausible(&self, ack: SeqNum) -> bool {
        let oldest = self.snd.una - self.snd.max_wnd;
        !ack.before(oldest) && !ack.after(self.snd.nxt)
    }

    /// Our SYN is acknowledged in SYN-RECEIVED.
    fn on_established(&mut self, seg: &Segment) {
        if self.retries > 0 && !self.is_fast() {
            // A simultaneous open whose SYN was lost: no time-out of a SYN is the path's.
            self.start_after_syn(seg);
        }
        self.end_fast_open();
        self.transit(Event::RcvAckOfSyn);
        self.snd.start_window(seg, true);
        self.signals |= Signals::CONNECTED;
        self.signal_writable();
    }

    /// Seventh and eighth: text, then FIN.
    fn process_text(&mut self, seg: &Segment) -> Step {
        if seg.len() == 0 {
            return Step::Continue(());
        }
        if !self.state.takes_text() {
            // r17: nothing follows a FIN. A repeated FIN is acknowledged.
            self.rcv.ack_now();
            return if seg.text.is_empty() {
                Step::Continue(())
            } else {
                drop_segment(DropReason::TcpTextRefused)
            };
        }
        let end = seg.text_seq() + seg.text_len();
        if self.orphan && seg.text_len() > 0 && end.after(self.rcv.nxt) {
            // RFC 9293 §3.6.1 SHLD-3: text after CLOSE is lost, and the peer must know.
            let reset = self.reset_now();
            self.fail(TcpFailure::Aborted, Event::Abort);
            return Step::Break(Outcome::Refused(reset));
        }
        self.take_marks(seg);
        let before = self.rcv.nxt;
        let arrived = self.rcv.take(seg);
        if self.rcv.nxt != before {
            let most = self.setup.options.quick_acks;
            self.quick.on_text(seg.at, self.rtt.rto_nanos(), most);
        }
        self.stats.bytes_received += u64::from(self.rcv.nxt.past(before) - u32::from(arrived.fin));
        if arrived.readable {
            self.signal_readable();
        }
        if arrived.fin {
            self.on_fin();
        }
        arrived.dropped.map_or(Step::Continue(()), drop_segment)
    }

    /// Eighth: the peer's FIN, and everything before it, is there.
    fn on_fin(&mut self) {
        self.transit(Event::RcvFin);
        self.read_armed = true;
        self.signal_readable();
        if self.state == State::TimeWait {
            self.finish();
        }
    }

    /// An ACK that RFC 5961 §7 limits: the answer to what may be an attack, or to another answer.
    pub(crate) fn challenge(&mut self, now: Instant) {
        if self.challenge.take(now) {
            self.stats.challenge_acks += 1;
            self.rcv.ack_now();
        }
    }

    /// The peer lives: keep-alive starts anew.
    fn note_heard(&mut self, seg: &Segment) {
        self.last_heard = seg.at;
        self.keepalive_probes = 0;
        self.keepalive_due = false;
        if let Some(keepalive) = self.setup.options.keepalive {
            self.timers
                .arm(Timer::KeepAlive, seg.at + keepalive.idle_used());
        }
    }

    // --- SYN-SENT -------------------------------------------------------------------------

    /// RFC 9293 §3.10.7.3.
    fn on_syn_sent(&mut self, now: Instant, seg: &Segment) -> Step {
        // First: the ACK bit.
        let acceptable = seg
            .ack
            .is_some_and(|ack| ack.after(self.snd.iss) && self.answers_syn(ack));
        if seg.ack.is_some() && !acceptable {
            return match refusal(seg) {
                Some(reset) => Step::Break(Outcome::Refused(reset)),
                None => drop_segment(DropReason::TcpBadRst),
            };
        }
        // Second: the RST bit.
        if seg.control == Control::Rst {
            if !acceptable {
                return drop_segment(DropReason::TcpBadRst);
            }
            self.fail(TcpFailure::Refused, Event::RcvRst);
            return Step::Break(Outcome::Reset);
        }
        // Fourth: the SYN bit.
        if seg.control != Control::Syn {
            return drop_segment(DropReason::TcpNoAck);
        }
        self.take_syn(seg);
        if let Some(ack) = seg.ack {
            self.transit(Event::RcvSynAck);
            self.snd.start_window(seg, false);
            self.note_heard(seg);
            self.take_fast_answer(ack);
            self.process_ack(now, seg, ack);
            self.signals |= Signals::CONNECTED;
            self.signal_writable();
            self.rcv.ack_now();
            if seg.marks.contains(Marks::URG) {
                self.take_urgent(seg);
            }
            return self.process_text(seg);
        }
        // Simultaneous open (MUST-10): our SYN goes again, with an ACK.
        self.end_fast_open();
        self.transit(Event::RcvSyn);
        self.snd.start_window(seg, false);
        self.scoreboard.mark_all_lost();
        self.scoreboard.newly_lost.forget();
        if self.scoreboard.is_empty() {
            self.rcv.ack_now();
        }
        Step::Continue(())
    }

    /// The peer's SYN: numbers and options.
    fn take_syn(&mut self, seg: &Segment) {
        let told = u32::from(self.rcv.own_syn_window());
        let opening = Opening::of_syn(seg, told, &self.setup.options);
        self.take_ecn_of_syn(seg);
        self.negotiate(opening.mss, opening.scale, opening.sack);
        if let Some((val, at)) = opening.timestamp {
            self.timestamps = true;
            self.rcv.start_timestamps(val, at);
        }
        self.rcv.on_syn(opening.irs, opening.advertised);
        self.start_after_syn(seg);
    }

    /// The handshake is over as far as this segment tells, which answers a SYN of ours or crosses it.
    fn start_after_syn(&mut self, seg: &Segment) {
        if self.retries > 0 {
            self.rtt.after_syn_loss();
        }
        // RFC 5681 §3.1: a SYN that was lost makes IW smaller; one that was answered late does not.
        let lost = if self.is_first_syn_echoed(seg) {
            0
        } else {
            self.retries
        };
        self.forget_syn_episode();
        self.start_congestion(seg.at, u32::from(lost));
    }
}
