//! What an acceptable ACK does (RFC 9293 §3.10.7.4, fifth; RFC 6298 §5; RFC 7323 §4).
//!
//! *Owns* the steps from SEG.ACK to SND.UNA, the round-trip sample and the timers of the sending
//! side. *Does not* detect losses: it hands `recovery` what the ACK delivered.

use core::time::Duration;

use crate::base::Instant;

use super::congestion::AckSample;
use super::congestion::parts::Basis;
use super::connection::Connection;
use super::delivery::{Delivered, Delivery, Echo};
use super::recovery::AckEffect;
use super::sack_blocks::SackBlocks;
use super::segment::{Control, Segment};
use super::seq::SeqNum;
use super::state::{Event, State};
use super::timers::Timer;

impl Connection {
    /// Takes an ACK with SEG.ACK <= SND.NXT.
    pub(crate) fn process_ack(&mut self, now: Instant, seg: &Segment, ack: SeqNum) {
        self.gate.on_ack(self.snd.una);
        self.look_for_app_limit();
        let prior_inflight = self.scoreboard.pipe();
        // RFC 9937 §6: RecoverFS holds what is delivered from the first ACK of the episode on. All that were
        // processed since the sender stopped are one: nothing left yet in answer to any of them.
        let found = if self.congestion.glides() {
            prior_inflight
        } else {
            prior_inflight.max(self.gate.stopped.pipe)
        };
        self.gate.flight_before = found;
        let was_shut = self.snd.wnd == 0;
        let acked = if self.tells_of_no_text(seg, ack) {
            self.snd.update_window(seg, ack, false);
            0
        } else {
            self.take_delivery(seg, ack, [prior_inflight, found])
        };
        self.on_window_told(now, was_shut);
        if acked > 0 {
            self.on_una_advanced(now, seg.at);
        }
        self.expand_send_buffer();
    }

    /// Can an ACK tell nothing of our text, since none is out and no episode is open to doubt? So are all that
    /// come with a stream to a reader that answers nothing.
    fn tells_of_no_text(&self, seg: &Segment, ack: SeqNum) -> bool {
        self.scoreboard.is_empty()
            && ack == self.snd.una
            && seg.options.sack.is_empty()
            && self.recovery.is_at_rest()
            && self.rare.is_none()
            && !self.congestion.glides()
    }

    /// What an ACK delivered, and all that follows for loss and congestion; returns by how much SND.UNA moved.
    /// In flight were so many bytes before it, and before the first one that it is to answer for.
    fn take_delivery(&mut self, seg: &Segment, ack: SeqNum, [prior, found]: [u32; 2]) -> u32 {
        // On the stack once: it is large.
        let mut basis = Basis::default();
        let effect = self.take_ack(seg, ack, &mut basis);
        self.snd.update_window(seg, ack, effect.acked > 0);
        let rtt = self.on_delivery(&effect, seg);
        let matches_tlp = self.recovery.tlp.is_answered_by(effect.ack);
        let newly_lost = self.on_ack_effect(seg.at, &effect);
        if effect.delivered.bytes > 0 {
            let sample = AckSample {
                newly_lost,
                rtt,
                rtt_ack_delayed: effect.delivered.bytes <= self.smss()
                    && self.scoreboard.is_empty(),
                prior_inflight: prior,
                una_advanced: effect.acked > 0,
                matches_tlp,
                ece: effect.ece,
                newly_ce: if effect.ece {
                    effect.delivered.bytes
                } else {
                    0
                },
                rate: self.sampler.on_ack_end(&basis, self.rtt.min()),
                ..AckSample::new(effect.delivered.bytes)
            };
            self.tell_ack(seg.at, &sample);
        }
        self.glide(&effect, newly_lost, [prior, found]);
        let largest = effect.delivered.largest;
        self.path.on_delivered(largest);
        if self.path.is_in_doubt() {
            self.look_at_sizes(seg.at, largest);
        }
        effect.acked
    }

    /// Moves SND.UNA and the scoreboard.
    fn take_ack(&mut self, seg: &Segment, ack: SeqNum, basis: &mut Basis) -> AckEffect {
        let old_wnd = self.snd.wnd;
        let acked = ack.past(self.snd.una);
        let dsack = dsack_of(&seg.options.sack, ack).filter(|_| self.sack);
        let echo = self.echo(seg);
        let mut delivery = Delivery {
            at: seg.at,
            echo,
            min_rtt: self.rtt.min_nanos(),
            timed_out: self.frto_point(),
            sampler: &mut self.sampler,
            basis,
            delivered: Delivered::default(),
        };
        if acked > 0 {
            self.scoreboard.ack_to(ack, &mut delivery);
        }
        if self.sack && !seg.options.sack.is_empty() {
            self.scoreboard.apply_sack(seg.options.sack, &mut delivery);
        }
        let delivered = delivery.delivered;
        let ece = self.is_echo(seg);
        if ece {
            self.sampler.on_marked(delivered.bytes);
        }
        if acked > 0 {
            let released = self.snd.queue.start();
            let fin_acked = self.snd.advance(ack);
            self.stats.bytes_acked += self.snd.queue.start() - released;
            if fin_acked {
                self.on_fin_acked();
            }
        }
        if delivered.reordered > 0 {
            self.stats.reordering += u64::from(delivered.reordered);
        }
        let same_window = self.snd.scale.bytes(seg.wnd) == old_wnd;
        // RFC 5681 §2, (a) to (e); RFC 6675 §2 with SACK.
        let bare = seg.len() == 0 && seg.control == Control::None && ack == self.snd.una;
        let outstanding = !self.scoreboard.is_empty();
        let pure = acked == 0 && bare && same_window;
        AckEffect {
            at: seg.at,
            ack,
            delivered,
            acked,
            duplicate: if self.sack {
                acked == 0 && outstanding && delivered.bytes > 0
            } else {
                outstanding && pure
            },
            echo,
            pure_duplicate: pure && seg.options.sack.is_empty(),
            dsack,
            ece,
        }
    }

    /// Our timestamp that an ACK brings back, to tell which transmission it answers.
    pub(super) fn echo(&self, seg: &Segment) -> Option<Echo> {
        let stamps = seg.options.timestamps.filter(|_| self.timestamps);
        stamps.map(|(_, ecr)| Echo {
            ecr,
            offset: self.setup.ts_offset,
        })
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
            // A batch has one time of arrival: what "arrived" before it left says nothing.
            Some(sent_at) if !effect.delivered.ambiguous && seg.at < sent_at => {}
            Some(sent_at) if !effect.delivered.ambiguous => {
                let rtt = seg.at.nanos_since(sent_at);
                self.rtt.sample_of_record(seg.at, rtt, una, nxt);
                self.recovery.tlp.on_rtt();
                return Some(Duration::from_nanos(rtt));
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
            self.recovery.tlp.on_rtt();
        }
    }

    /// SND.UNA moved, by an ACK that arrived at `at`: RFC 6298 §5 (5.2), (5.3), and the writer may go on.
    fn on_una_advanced(&mut self, now: Instant, at: Instant) {
        self.retries = 0;
        self.persist.on_answer();
        self.persist.on_una(self.snd.una);
        self.soft_error = None;
        self.last_progress = now;
        self.timers.stop(Timer::UserTimeout);
        if self.scoreboard.is_empty() {
            self.look_at_ack_delay(at);
            self.stop_loss_timer();
        } else {
            self.restart_rto(now.plus_nanos(self.rtt.rto_nanos()));
            self.schedule_probe(now);
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

/// The range that came twice: a first block below the ACK that it came with, or within the second (RFC 2883 §4, §5).
fn dsack_of(blocks: &SackBlocks, ack: SeqNum) -> Option<(SeqNum, SeqNum)> {
    let mut blocks = blocks
        .iter()
        .map(|(left, right)| (SeqNum::new(left), SeqNum::new(right)));
    let (left, right) = blocks.next()?;
    if !left.before(right) {
        return None;
    }
    let below = left.before(ack) && !right.after(ack);
    let within = blocks
        .next()
        .is_some_and(|(l, r)| !left.before(l) && !right.after(r));
    (below || within).then_some((left, right))
}
