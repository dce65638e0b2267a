//! What an acceptable ACK does (RFC 9293 §3.10.7.4, fifth; RFC 6298 §5; RFC 7323 §4).
//!
//! *Owns* the steps from SEG.ACK to SND.UNA, the round-trip sample and the timers of the sending
//! side. *Does not* detect losses: it hands `recovery` what the ACK delivered.

use core::time::Duration;

use crate::base::Instant;

use super::congestion::AckSample;
use super::connection::Connection;
use super::recovery::AckEffect;
use super::scoreboard::Delivered;
use super::segment::{Control, Segment};
use super::seq::SeqNum;
use super::state::{Event, State};
use super::timers::Timer;

impl Connection {
    /// Takes an ACK with SEG.ACK <= SND.NXT.
    pub(crate) fn process_ack(&mut self, now: Instant, seg: &Segment, ack: SeqNum) {
        self.gate.on_ack(self.snd.una);
        let prior_inflight = self.scoreboard.pipe();
        let effect = self.take_ack(seg, ack);
        let was_shut = self.snd.wnd == 0;
        self.snd.update_window(seg, ack, effect.acked > 0);
        let rtt = self.on_delivery(&effect, seg);
        let newly_lost = self.on_ack_effect(seg.at, &effect);
        if effect.delivered.bytes > 0 {
            let sample = AckSample {
                newly_lost,
                rtt,
                prior_inflight,
                una_advanced: effect.acked > 0,
                ..AckSample::new(effect.delivered.bytes)
            };
            self.tell_ack(seg.at, sample);
        }
        self.on_window_told(now, was_shut);
        if effect.acked > 0 {
            self.on_una_advanced(now);
        }
    }

    /// Moves SND.UNA and the scoreboard.
    fn take_ack(&mut self, seg: &Segment, ack: SeqNum) -> AckEffect {
        let old_wnd = self.snd.wnd;
        let acked = ack.past(self.snd.una);
        let mut delivered = Delivered::default();
        if acked > 0 {
            delivered = self.scoreboard.ack_to(seg.at, ack, &mut self.sampler);
            let released = self.snd.queue.start();
            let fin_acked = self.snd.advance(ack);
            self.stats.bytes_acked += self.snd.queue.start() - released;
            if fin_acked {
                self.on_fin_acked();
            }
        }
        if self.sack && !seg.options.sack.is_empty() {
            let more = self
                .scoreboard
                .apply_sack(seg.at, seg.options.sack, &mut self.sampler);
            delivered = merge(delivered, more);
        }
        self.stats.reordering += u64::from(delivered.reordered);
        let same_window = self.snd.scale.bytes(seg.wnd) == old_wnd;
        // RFC 5681 §2, (a) to (e); RFC 6675 §2 with SACK.
        let bare = seg.len() == 0 && seg.control == Control::None && ack == self.snd.una;
        let duplicate = acked == 0
            && !self.scoreboard.is_empty()
            && if self.sack {
                delivered.bytes > 0
            } else {
                bare && same_window
            };
        AckEffect {
            delivered,
            acked,
            duplicate,
        }
    }

    /// The round-trip sample: from a record sent once (Karn), else from the timestamp echo. Returns the
    /// former: an echo is too coarse for a controller.
    fn on_delivery(&mut self, effect: &AckEffect, seg: &Segment) -> Option<Duration> {
        if effect.delivered.bytes == 0 {
            return None;
        }
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        // A listener may echo the first SYN in its answer to the second (Linux does): Karn's rule
        // holds for a SYN, timestamps or not.
        let acks_syn = una - effect.acked == self.snd.iss;
        match effect.delivered.sent_at {
            Some(sent_at) if !effect.delivered.ambiguous => {
                let rtt = seg.at.since(sent_at);
                self.rtt.sample_of_ack(rtt, una, nxt);
                return Some(rtt);
            }
            // RFC 7323 §4.1: only an ACK that moves the left edge.
            _ if effect.acked > 0 && !acks_syn => self.sample_echo(seg),
            _ => {}
        }
        None
    }

    fn sample_echo(&mut self, seg: &Segment) {
        let echo = if self.timestamps {
            seg.options.timestamps
        } else {
            None
        };
        let Some((_, ecr)) = echo else { return };
        if let Some(rtt) = super::rtt::echo_rtt(seg.at, self.setup.ts_offset, ecr) {
            self.rtt.sample_of_ack(rtt, self.snd.una, self.snd.nxt);
        }
    }

    /// SND.UNA moved: RFC 6298 §5 (5.2), (5.3), and the writer may go on.
    fn on_una_advanced(&mut self, now: Instant) {
        self.retries = 0;
        self.persist.on_answer();
        self.soft_error = None;
        self.last_progress = now;
        self.timers.stop(Timer::UserTimeout);
        if self.scoreboard.is_empty() {
            self.timers.stop(Timer::Rto);
        } else {
            self.timers.arm(Timer::Rto, now + self.rtt.rto());
        }
        self.signal_writable();
    }

    /// Our FIN is acknowledged.
    fn on_fin_acked(&mut self) {
        self.transit(Event::RcvAckOfFin);
        if matches!(self.state, State::TimeWait | State::Closed) {
            self.finish();
        }
    }
}

fn merge(a: Delivered, b: Delivered) -> Delivered {
    Delivered {
        bytes: a.bytes + b.bytes,
        sent_at: a.sent_at.max(b.sent_at),
        ambiguous: a.ambiguous || b.ambiguous,
        reordered: a.reordered + b.reordered,
    }
}
