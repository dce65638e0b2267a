//! What the congestion controller is told, and when.
//!
//! *Owns* the order of the calls and what they carry: after an ACK the episodes first, the delivered
//! data last, so that growth never precedes a cut; before a transmission counts as in flight, that it
//! leaves. *Does not* detect anything: `ack`, `recovery`, `commit` and `on_timer` do, and call this.

use core::time::Duration;

use crate::base::Instant;

use super::congestion::parts::{PrrAck, window_rate};
use super::congestion::{
    AckSample, Choice, CongestionEvent, CongestionKind, Cx, LossCause, LostEvent, Pacing, Phase,
    SendEvent, Start, initial_window,
};
use super::connection::Connection;
use super::gate::SendLimit;
use super::recovery::{self, AckEffect};

// As much as a super-segment holds.
const MOST_QUANTUM: u32 = 64 << 10;

impl Connection {
    /// Sets the window once the segment size is known.
    pub(super) fn start_congestion(&mut self, now: Instant, syn_retransmits: u32) {
        let mut cx = self.cx(now);
        cx.initial_cwnd = initial_window(cx.smss, syn_retransmits);
        let mut begin = Start::new(self.controller_seed());
        begin.syn_retransmits = syn_retransmits;
        self.congestion.start(&cx, &begin);
        self.set_pace();
    }

    /// Another controller takes over; the window and the episode go on.
    pub(super) fn change_congestion(&mut self, now: Instant, choice: &Choice) {
        let cx = self.cx(now);
        self.congestion.replace(choice, &cx, self.controller_seed());
        self.set_pace();
    }

    /// Of this connection alone, and the same in a replay: what the stack's seed made of it.
    fn controller_seed(&self) -> u64 {
        u64::from(self.snd.iss.get()) << 32 | u64::from(self.setup.ts_offset)
    }

    /// What the controller is told with every call. The phase is the one that the call finds.
    pub(super) fn cx(&self, now: Instant) -> Cx {
        let smss = self.smss();
        Cx {
            srtt: self.rtt.srtt(),
            latest_rtt: self.rtt.latest(),
            path_min_rtt: self.rtt.min(),
            inflight: self.scoreboard.pipe(),
            delivered: self.sampler.delivered(),
            lost: self.sampler.lost(),
            delivered_ce: self.sampler.delivered_ce(),
            cwnd_limited: self.gate.is_cwnd_limited(),
            app_limited: self.sampler.is_app_limited(),
            rwnd_limited: self.gate.last == SendLimit::ReceiveWindow,
            phase: self.phase(),
            sack_ok: self.sack,
            reordering_seen: self.recovery.rack.is_reordering_seen(),
            ..Cx::new(now, smss)
        }
    }

    /// A full segment had `before` bytes of text.
    pub(super) fn tell_mtu(&mut self, now: Instant, before: u32) {
        let cx = self.cx(now);
        self.congestion.on_mtu_change(&cx, before);
        self.set_pace();
    }

    /// The episode, as the controller and the user know it.
    pub(super) fn phase(&self) -> Phase {
        match self.recovery.phase {
            recovery::Phase::Open if self.is_reducing() => Phase::Reduction,
            recovery::Phase::Open if self.scoreboard.sacked() > 0 => Phase::Disorder,
            recovery::Phase::Open => Phase::Open,
            recovery::Phase::Recovery { .. } => Phase::Recovery,
            recovery::Phase::Loss { .. } => Phase::Loss,
        }
    }

    /// An ACK delivered something, whose rate sample is finished.
    pub(super) fn tell_ack(&mut self, now: Instant, sample: &AckSample) {
        let cx = self.cx(now);
        self.congestion.on_ack(&cx, sample);
        self.set_pace();
    }

    /// The last step of an ACK: what a reduction lets leave. `prior` was in flight before the ACK, and
    /// `found` before the first one that it is to answer for.
    pub(super) fn glide(&mut self, effect: &AckEffect, newly_lost: u32, [prior, found]: [u32; 2]) {
        if !self.congestion.glides() {
            return;
        }
        let inflight = self.scoreboard.pipe();
        let delivered = if self.sack {
            effect.delivered.bytes + (found - prior)
        } else {
            // RFC 9937 §6: duplicates tell of segments, and partial ACKs take back what they told:
            // what is in flight no more, and is not lost, arrived.
            found.saturating_sub(inflight.saturating_add(newly_lost))
        };
        let mut ack = PrrAck::new(delivered, inflight);
        ack.una_advanced = effect.acked > 0;
        ack.newly_lost = newly_lost > 0;
        let smss = self.smss();
        self.congestion.glide(&ack, smss);
    }

    /// Records were newly taken for lost: the sampler counts them, and the controller hears of each,
    /// before any episode that they start. Returns when the last of them left that had been lost before.
    pub(super) fn tell_lost(&mut self, now: Instant, cause: LossCause) -> Option<Instant> {
        if self.scoreboard.newly_lost.is_empty() {
            return None;
        }
        let told = self.scoreboard.newly_lost.take();
        let mut again = None;
        let mut cx = self.cx(now);
        let mut end = None;
        for lost in &told {
            self.sampler.on_lost(lost.len);
            cx.lost = self.sampler.lost();
            let event = LostEvent {
                cause: match cause {
                    LossCause::Rto => cause,
                    _ if lost.stamp.attempt > 0 => LossCause::LostRetransmit,
                    _ => cause,
                },
                starts_new_gap: end != Some(lost.seq),
                first_in_pass: end.is_none(),
                ..LostEvent::new(lost.stamp, lost.len)
            };
            end = Some(lost.seq + lost.len);
            if lost.stamp.attempt > 0 {
                again = again.max(Some(lost.stamp.sent_at));
            }
            self.congestion.on_lost(&cx, &event);
        }
        self.scoreboard.newly_lost.put_back(told);
        self.set_pace();
        again
    }

    /// An episode starts or worsens, which found so much in flight.
    pub(super) fn tell_congestion(&mut self, now: Instant, kind: CongestionKind, flight: u32) {
        let event = CongestionEvent {
            cwnd_before: self.congestion.output().cwnd,
            reduced: self.is_reducing(),
            ..CongestionEvent::new(kind, flight)
        };
        let cx = self.cx(now);
        self.congestion
            .on_congestion(&cx, &event, self.gate.flight_before);
        self.set_pace();
    }

    /// A transmission leaves, and does not count as in flight yet (m16).
    pub(super) fn tell_send(&mut self, now: Instant, text: u32, attempt: u8) {
        if self.congestion.hears_sends() {
            let event = SendEvent {
                attempt,
                tlp: self.recovery.tlp.is_due(),
                app_limited: self.sampler.is_app_limited(),
                ..SendEvent::new(text, self.scoreboard.pipe())
            };
            let cx = self.cx(now);
            self.congestion.on_send(&cx, &event);
        }
        self.congestion.on_sent(text);
        self.set_pace();
        self.pacer.on_send(now, text);
        self.last_sent = now;
    }

    /// Over what a window is spread: SRTT, or the latest round trip where that is shorter, since behind a cut the queue
    /// empties sooner than the mean tells, and the line would idle. None on a local path, whatever its queue.
    fn pacing_rtt(&self) -> Option<Duration> {
        let srtt = self.rtt.srtt().filter(|_| self.rtt.is_far())?;
        Some(self.rtt.latest().map_or(srtt, |latest| srtt.min(latest)))
    }

    /// The pacer follows what the controller says: without pacing, and of a window on a local path, that is nothing.
    #[inline]
    fn set_pace(&mut self) {
        let none = match self.congestion.output().pacing {
            Pacing::Off => true,
            Pacing::FromWindow => !self.rtt.is_far(),
            Pacing::Rate(_) => false,
        };
        if !none || self.pacer.rate().is_some() {
            self.set_pace_anew();
        }
    }

    #[inline(never)]
    fn set_pace_anew(&mut self) {
        let output = self.congestion.output();
        let smss = self.smss();
        let rate = match output.pacing {
            Pacing::Off => None,
            Pacing::FromWindow => {
                let inflight = self.scoreboard.pipe();
                let (cwnd, ssthresh) = (output.cwnd, output.ssthresh);
                let rate = window_rate(cwnd, ssthresh, inflight, self.pacing_rtt());
                // A peer whose echoes lie makes hours of a round trip: as little as a controller may ask for.
                rate.map(|rate| rate.max(u64::from(smss)))
            }
            Pacing::Rate(rate) => Some(rate),
        };
        if rate.is_none() && self.pacer.rate().is_none() {
            return;
        }
        let quantum = output
            .send_quantum
            .unwrap_or_else(|| default_quantum(rate, smss));
        self.pacer.set(rate, quantum);
    }

    /// After an idle time the controller is asked before the plan is made: its window bounds the first
    /// super-segment (RFC 5681 §4.1, r47).
    pub(super) fn restart_after_idle(&mut self, now: Instant) {
        let idle = now.nanos_since(self.last_sent);
        if idle > self.rtt.rto_nanos() && self.scoreboard.is_empty() && self.snd.unsent() > 0 {
            let cx = self.cx(now);
            let idle = Duration::from_nanos(idle);
            self.congestion.on_restart(&cx, idle);
        }
    }
}

/// A millisecond of the rate, two segments at least and a super-segment at most, as Linux's
/// `tcp_tso_autosize`.
fn default_quantum(rate: Option<u64>, smss: u32) -> u32 {
    let least = smss.saturating_mul(2);
    let milli = rate.map_or(MOST_QUANTUM, |rate| {
        u32::try_from(rate / 1000).unwrap_or(u32::MAX)
    });
    milli.clamp(least, MOST_QUANTUM.max(least))
}
