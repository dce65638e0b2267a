//! A segment left: numbers, records and timers follow (RFC 9293 §3.7, RFC 6298 §5 (5.1)).
//!
//! *Owns* everything that changes because something was sent. *Does not* choose nor write: see `plan`
//! and `emit`.

use crate::base::Instant;

use super::congestion::parts::Departure;
use super::connection::Connection;
use super::header::Flags;
use super::on_timer::DELAYED_ACK;
use super::plan::{Plan, What};
use super::records::{Mark, Place, Record};
use super::recovery::Phase;
use super::send::Fin;
use super::state::Event;
use super::timers::Timer;
use super::window::Carried;

impl Connection {
    /// The device took the frame, or lost it as a wire would.
    pub(crate) fn commit(&mut self, now: Instant, plan: &Plan) {
        let segs = plan.segs();
        self.stats.segs_out += u64::from(segs);
        if plan.flags.contains(Flags::SYN) {
            self.on_syn_left(plan.flags);
        }
        match plan.what {
            What::Syn => {
                self.note_fast_text(plan.text);
                self.commit_new(now, &Plan { text: 0, ..*plan });
            }
            What::New => {
                self.stats.window_probes += u32::from(self.persist.is_due());
                self.commit_new(now, plan);
            }
            What::Again { place } => self.commit_again(now, place, plan, segs),
            What::KeepAlive => {
                self.keepalive_due = false;
                self.stats.keepalives += 1;
            }
            What::Ack => {}
        }
        if plan.flags.contains(Flags::ACK) {
            let carried = match plan.what {
                What::Ack => Carried::Nothing {
                    room: self.sack_room(),
                },
                _ => Carried::Text {
                    blocks: plan.options.sack.len(),
                },
            };
            if self.rcv.ack_is_owed() {
                self.quick.on_ack_sent();
            }
            let told = if plan.flags.contains(Flags::SYN) {
                // RFC 7323 §2.2: never scaled.
                u32::from(plan.window)
            } else {
                self.rcv.scale.bytes(plan.window)
            };
            self.rcv.on_ack_sent(told, plan.edge, carried);
            self.timers.stop(Timer::DelayedAck);
        }
    }

    fn commit_new(&mut self, now: Instant, plan: &Plan) {
        self.tell_send(now, plan.text, 0);
        if plan.text > 0 {
            self.quick.on_own_text(now, DELAYED_ACK);
        }
        let leaving = Departure::new(now, plan.len(), self.scoreboard.pipe());
        let stamp = self.sampler.on_send(&leaving);
        self.scoreboard.push(Record {
            seq: plan.seq,
            len: plan.len(),
            syn: plan.flags.contains(Flags::SYN),
            fin: plan.flags.contains(Flags::FIN),
            mark: Mark::InFlight,
            transmissions: 1,
            segs: plan.segs(),
            segment: plan.size,
            options: plan.option_bytes(),
            stamp,
        });
        self.snd.nxt = self.snd.nxt + plan.len();
        if plan.ect {
            self.on_cwr_left();
        }
        if !plan.text.is_multiple_of(u32::from(plan.size.get())) {
            self.snd.small_end = self.snd.nxt;
        }
        if plan.flags.contains(Flags::FIN) {
            self.snd.fin = Fin::Sent;
            self.transit(Event::SndFin);
        }
        self.note_flight();
        self.persist.on_sent();
        self.timers.stop(Timer::Persist);
        self.arm_rto(now);
        self.note_probe_sent(false);
        self.schedule_probe(now);
        if self.path.is_in_doubt() {
            self.note_size_probe(plan);
        }
    }

    fn commit_again(&mut self, now: Instant, place: Place, plan: &Plan, segs: u32) {
        let attempt = self
            .scoreboard
            .get(place)
            .map_or(1, |record| record.transmissions);
        self.tell_send(now, plan.text, attempt);
        let mut leaving = Departure::new(now, plan.len(), self.scoreboard.pipe());
        leaving.attempt = attempt;
        let stamp = self.sampler.on_send(&leaving);
        let wire = (plan.size, plan.option_bytes());
        self.scoreboard
            .on_retransmit(place, plan.len(), wire, stamp);
        self.note_flight();
        self.recovery.force_first = false;
        if self.recovery.phase != Phase::Open
            && let Some(episode) = &mut self.recovery.episode
        {
            episode.on_sent_again(now, plan.len(), plan.seq + plan.len());
        }
        self.stats.retransmits += u64::from(segs);
        self.stats.bytes_retransmitted += u64::from(plan.text);
        if place.is_front() {
            // RFC 6298 §5: never again within an RTO of its last transmission. What is behind the
            // front restarts nothing, or a front that is lost again would wait for all of it.
            self.stop_rto();
            self.path.on_front_sent(now, plan.seq + plan.len());
        }
        self.arm_rto(now);
        self.note_probe_sent(true);
    }

    /// RFC 6298 §5 (5.1): the timer runs whenever something is outstanding. With the window closed
    /// it is the probe's (RFC 9293 §3.8.6.1 SHLD-29, SHLD-30).
    fn arm_rto(&mut self, now: Instant) {
        let backoff = self.persist.backoff().max(self.rtt.backoff());
        let rto = self.rtt.rto_nanos_backed_off(backoff);
        self.arm_rto_if_idle(now.plus_nanos(rto));
    }
}
