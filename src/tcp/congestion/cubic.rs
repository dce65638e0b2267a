//! CUBIC (RFC 9438) with HyStart++ (RFC 9406), in integers.
//!
//! The window is spread over the round trip (RFC 9438 leaves that open): a slow start that doubles in bursts overflows
//! short queues long before it fills the path, and what a recovery held back would leave as one burst behind it.
//!
//! *Owns* cwnd, ssthresh, the epoch and the Reno-friendly estimate. *Does not* know what a loss is.
//! Lengths are bytes where the RFC counts segments: C is 0.4 SMSS per cubic second.

use core::time::Duration;

use crate::base::{Instant, nanos};

use super::control::CongestionControl;
use super::event::{
    AckSample, CongestionEvent, CongestionKind, Cx, EpisodeKind, Output, Pacing, Phase, Response,
    SendEvent, Start, UndoEvent,
};
use super::parts::{AckCredit, HyStartPlusPlus, HyStartStep, MAX_CWND};

// RFC 9438 §4.6: beta_cubic = 0.7.
const BETA: (u64, u64) = (7, 10);
// RFC 9438 §4.7: (1 + beta_cubic) / 2.
const FAST_CONVERGENCE: (u64, u64) = (17, 20);
// RFC 9438 §4.3: 3 * (1 - beta) / (1 + beta) = 0.9 / 1.7.
const ALPHA: (u64, u64) = (9, 17);
// RFC 9438 §5: C = 0.4 as a fraction.
const C: (u128, u128) = (2, 5);
const MICROS_PER_SEC: u128 = 1_000_000;
const NANOS_PER_SEC: u128 = 1_000_000_000;
// W(t) is beyond any window long before this, and its cube still fits.
const MOST_MICROS: u64 = 100_000_000_000;

/// CUBIC's curve since the window last began to grow along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Epoch {
    /// RFC 9438's t: only time in which the window limited the sender counts.
    elapsed: Duration,
    k: Duration,
    w_max: u32,
    /// RFC 9438's W_est.
    w_est: u32,
    /// What W_est is short of a byte: a fraction of `17 * cwnd`.
    w_est_rest: u64,
    /// What cwnd is short of a byte: a fraction of cwnd.
    rest: u64,
}

/// What an undo restores (RFC 9438 §4.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Before {
    cwnd: u32,
    ssthresh: u32,
    w_last_max: Option<u32>,
    cwnd_prior: u32,
    epoch: Option<Epoch>,
}

/// What is known once the first slow start is over or was cut short.
#[derive(Clone, Debug)]
struct Curve {
    /// The window before the last cut, or less by fast convergence; none after a time-out, and
    /// after slow start without a loss: the curve then begins at its middle.
    w_last_max: Option<u32>,
    cwnd_prior: u32,
    epoch: Option<Epoch>,
    /// When time was last added to the epoch.
    ticked: Instant,
    /// Of the episode that runs, or the last one.
    before: Option<Before>,
}

/// One connection's CUBIC.
#[derive(Clone, Debug)]
pub struct Cubic {
    cwnd: u32,
    ssthresh: u32,
    credit: AckCredit,
    /// While the window limits the first slow start: most connections are too short or too quiet for it.
    hystart: Option<Box<HyStartPlusPlus>>,
    curve: Option<Box<Curve>>,
}

impl Default for Cubic {
    fn default() -> Self {
        Self::new()
    }
}

impl Curve {
    /// A curve that begins at its middle, `cwnd`.
    fn level(cwnd: u32, now: Instant) -> Self {
        Self {
            w_last_max: None,
            cwnd_prior: cwnd,
            epoch: None,
            ticked: now,
            before: None,
        }
    }

    /// RFC 9438 §5.8: t stands still while the window is not what limits the sender.
    fn tick(&mut self, cx: &Cx) {
        let passed = cx.now.since(self.ticked);
        self.ticked = cx.now;
        if cx.cwnd_limited
            && let Some(epoch) = &mut self.epoch
        {
            epoch.elapsed = epoch.elapsed.saturating_add(passed);
        }
    }

    /// RFC 9438 §4.2 to §4.5: the window after `acked` bytes.
    fn grown(&mut self, cx: &Cx, cwnd: u32, acked: u32) -> u32 {
        let w_last_max = self.w_last_max;
        let begin = || Epoch::begin(w_last_max, cwnd, cx.smss);
        let epoch = self.epoch.get_or_insert_with(begin);
        epoch.grow_friendly(self.cwnd_prior, cwnd, acked, cx.smss);
        // RFC 9438 §4.2: W_cubic(t + RTT), between cwnd and half as much again.
        let ahead = epoch
            .elapsed
            .saturating_add(cx.srtt.unwrap_or(Duration::ZERO));
        let wide = u64::from(cwnd.max(1));
        let most = (wide * 3 / 2).min(u64::from(MAX_CWND)).max(wide);
        let target = epoch.window(ahead, cx.smss).clamp(wide, most);
        let owed = (target - wide) * u64::from(acked) + epoch.rest;
        epoch.rest = owed % wide;
        if epoch.window(epoch.elapsed, cx.smss) < u64::from(epoch.w_est) {
            // RFC 9438 §4.3: the window is that of Reno, if it is the larger.
            cwnd.max(epoch.w_est)
        } else {
            narrowed(wide + owed / wide)
        }
        .min(MAX_CWND)
    }
}

impl Cubic {
    /// A controller before its start.
    pub const fn new() -> Self {
        Self {
            cwnd: 0,
            ssthresh: u32::MAX,
            credit: AckCredit::new(),
            hystart: None,
            curve: None,
        }
    }

    fn curve(&mut self, now: Instant) -> &mut Curve {
        let cwnd = self.cwnd;
        self.curve
            .get_or_insert_with(|| Box::new(Curve::level(cwnd, now)))
    }

    fn remember(&mut self, cx: &Cx) {
        let (cwnd, ssthresh) = (self.cwnd, self.ssthresh);
        let curve = self.curve(cx.now);
        curve.before = Some(Before {
            cwnd,
            ssthresh,
            w_last_max: curve.w_last_max,
            cwnd_prior: curve.cwnd_prior,
            epoch: curve.epoch,
        });
    }

    /// RFC 9438 §4.6 and §4.7: the threshold, and what the next curve aims at. Beta counts once.
    fn reduce(&mut self, cx: &Cx, event: &CongestionEvent, floor: u32) {
        // RFC 9438 §4.6: of cwnd, where nothing but the window stops the sender (§5.8); a paced flight lags behind it.
        let used = if cx.cwnd_limited && !cx.rwnd_limited {
            self.cwnd
        } else {
            event.flight_before
        };
        self.ssthresh = scaled(used, BETA).max(floor);
        // RFC 9406 §4.2: a loss or ECN-Echo ends it.
        self.hystart = None;
        let cwnd = self.cwnd;
        let curve = self.curve(cx.now);
        curve.cwnd_prior = cwnd;
        // Fast convergence: a window that did not come back to where it was makes room.
        let gives_way = curve.w_last_max.is_some_and(|last| cwnd < last);
        curve.w_last_max = Some(if gives_way {
            scaled(cwnd, FAST_CONVERGENCE)
        } else {
            cwnd
        });
        curve.epoch = None;
    }

    /// The next ACK of congestion avoidance begins a new curve.
    fn forget_epoch(&mut self) {
        if let Some(curve) = &mut self.curve {
            curve.epoch = None;
        }
    }

    /// Grows below ssthresh; returns the bytes that are left for congestion avoidance.
    fn grow_slowly(&mut self, cx: &Cx, acked: u32, sample: &AckSample) -> u32 {
        // RFC 9406 §4.3: only the first slow start.
        let step = if self.ssthresh == u32::MAX {
            // What this ACK delivered: of what came before it in front of a hole its round trip says nothing.
            let segments = sample.newly_acked / cx.smss.max(1);
            self.hystart.get_or_insert_default().on_ack(
                segments,
                cx.delivered,
                cx.inflight,
                sample.rtt,
            )
        } else {
            HyStartStep::SlowStart
        };
        if step == HyStartStep::Exit {
            // RFC 9438 §4.10: congestion avoidance without a loss, so the curve starts here.
            self.ssthresh = self.cwnd;
            self.hystart = None;
            self.curve = Some(Box::new(Curve::level(self.cwnd, cx.now)));
            return 0;
        }
        let grows = step.growth(acked);
        let slow = grows.min(self.ssthresh.min(MAX_CWND).saturating_sub(self.cwnd));
        self.cwnd += slow;
        grows - slow
    }
}

impl Epoch {
    /// RFC 9438 §4.2: the first ACK of congestion avoidance.
    fn begin(w_last_max: Option<u32>, cwnd: u32, smss: u32) -> Self {
        let w_max = w_last_max.unwrap_or(cwnd).max(cwnd);
        Self {
            elapsed: Duration::ZERO,
            k: time_to(w_max - cwnd, smss),
            w_max,
            w_est: cwnd,
            w_est_rest: 0,
            rest: 0,
        }
    }

    /// RFC 9438 §4.3, with alpha 1 once the Reno flow would be back at the window of the cut.
    fn grow_friendly(&mut self, cwnd_prior: u32, cwnd: u32, acked: u32, smss: u32) {
        let (num, den) = if self.w_est >= cwnd_prior {
            (1, 1)
        } else {
            ALPHA
        };
        // In 17ths throughout, so that a change of alpha loses nothing.
        let whole = ALPHA.1 * u64::from(cwnd.max(1));
        let per_byte = u64::from(smss) * num * (ALPHA.1 / den);
        let grown = u64::from(acked) * per_byte + self.w_est_rest;
        let w_est = self.w_est.saturating_add(narrowed(grown / whole));
        self.w_est = w_est.min(MAX_CWND);
        self.w_est_rest = grown % whole;
    }

    /// RFC 9438 §4.2, figure 1: W_cubic(t) = C * (t - K)^3 + W_max.
    fn window(&self, t: Duration, smss: u32) -> u64 {
        let away = t.abs_diff(self.k);
        let micros = u128::from(micros(away));
        let cube = micros * micros * micros * C.0 * u128::from(smss);
        let bytes = cube / (C.1 * MICROS_PER_SEC * MICROS_PER_SEC * MICROS_PER_SEC);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let w_max = u64::from(self.w_max);
        if t >= self.k {
            w_max.saturating_add(bytes)
        } else {
            w_max.saturating_sub(bytes)
        }
    }
}

impl CongestionControl for Cubic {
    fn name(&self) -> &'static str {
        "cubic"
    }

    fn start(&mut self, cx: &Cx, begin: &Start) {
        *self = Self::new();
        self.cwnd = cx.initial_cwnd;
        if let Some(output) = begin.inherited {
            self.cwnd = output.cwnd.clamp(cx.smss, MAX_CWND);
            self.ssthresh = output.ssthresh;
        }
    }

    fn on_restart(&mut self, cx: &Cx, _idle: Duration) {
        // RFC 5681 §4.1, and RFC 7661 §4.4.3's threshold: what was used is soon used again.
        self.ssthresh = self.ssthresh.max(scaled(self.cwnd, (3, 4)));
        self.cwnd = self.cwnd.min(cx.initial_cwnd);
        self.forget_epoch();
    }

    fn hears_sends(&self) -> bool {
        // Without a curve there is nothing that an idle time would not be of.
        self.curve.is_some()
    }

    fn on_send(&mut self, cx: &Cx, event: &SendEvent) {
        if event.inflight_before == 0
            && let Some(curve) = &mut self.curve
        {
            // RFC 9438 §4.2: an idle time is no time of the curve.
            curve.ticked = cx.now;
        }
    }

    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response {
        self.credit = AckCredit::default();
        match event.kind {
            // RFC 3168 §6.1.2: once for each window, and the reduction goes on.
            CongestionKind::EnterRecovery | CongestionKind::TlpRepairedLoss if event.reduced => {
                Response::Ignore
            }
            CongestionKind::EnterRecovery => {
                self.remember(cx);
                self.reduce(cx, event, 2 * cx.smss);
                self.cwnd = self.ssthresh;
                Response::Prr { target: self.cwnd }
            }
            // RFC 5681 §4.3 asks for a second cut; as Linux, which finds lost retransmissions by RACK, none.
            CongestionKind::FurtherLossInRecovery => Response::Ignore,
            // RFC 3168 §6.1.2: as for a loss, but down to one segment.
            CongestionKind::Ecn { .. } => {
                self.reduce(cx, event, cx.smss);
                self.curve(cx.now).before = None;
                self.cwnd = self.ssthresh;
                Response::Prr { target: self.cwnd }
            }
            CongestionKind::TlpRepairedLoss => {
                self.remember(cx);
                self.reduce(cx, event, 2 * cx.smss);
                self.cwnd = self.ssthresh;
                Response::Direct
            }
            CongestionKind::Rto { first, .. } => {
                if first {
                    let known = self.curve.as_ref().is_some_and(|it| it.before.is_some());
                    if matches!(cx.phase, Phase::Open | Phase::Disorder) || !known {
                        self.remember(cx);
                    }
                    if !event.reduced {
                        self.reduce(cx, event, 2 * cx.smss);
                    }
                }
                // RFC 9438 §4.8: the next curve starts at its middle.
                self.curve(cx.now).w_last_max = None;
                self.forget_epoch();
                self.cwnd = cx.smss;
                Response::Direct
            }
        }
    }

    fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        if let Some(curve) = &mut self.curve {
            curve.tick(cx);
        }
        let reduces = matches!(cx.phase, Phase::Recovery | Phase::Reduction);
        let grows = !reduces && cx.cwnd_limited && self.cwnd < MAX_CWND;
        let counts = sample.una_advanced || cx.reordering_seen;
        let mut acked = self.credit.take(sample.newly_acked, counts, grows);
        if acked > 0 && self.cwnd < self.ssthresh {
            acked = self.grow_slowly(cx, acked, sample);
        }
        if acked > 0 {
            let cwnd = self.cwnd;
            self.cwnd = self.curve(cx.now).grown(cx, cwnd, acked);
        }
    }

    fn on_recovery_exit(&mut self, cx: &Cx, _kind: EpisodeKind) {
        // The window is where the cut left it, or another controller did.
        if let Some(curve) = &mut self.curve {
            curve.ticked = cx.now;
        }
    }

    fn on_undo(&mut self, cx: &Cx, _event: &UndoEvent) {
        // RFC 9438 §4.9.2: all of it, or nothing when the window is not smaller than it was. Of the first
        // slow start only the measurement of round trips begins anew.
        if let Some(curve) = self.curve.as_mut()
            && let Some(before) = curve.before.take()
            && self.cwnd < before.cwnd
        {
            self.cwnd = before.cwnd;
            self.ssthresh = before.ssthresh;
            curve.w_last_max = before.w_last_max;
            curve.cwnd_prior = before.cwnd_prior;
            curve.epoch = before.epoch;
            curve.ticked = cx.now;
        }
    }

    fn on_mtu_change(&mut self, _cx: &Cx, _old: u32, _new: u32) {
        // The curve is of segments.
        self.forget_epoch();
    }

    fn output(&self) -> Output {
        Output::window(self.cwnd, self.ssthresh).paced(Pacing::FromWindow)
    }

    fn boxed_clone(&self) -> Box<dyn CongestionControl> {
        Box::new(self.clone())
    }

    fn inspect(&self, visit: &mut dyn FnMut(&'static str, i128)) {
        visit("cwnd", i128::from(self.cwnd));
        visit("ssthresh", i128::from(self.ssthresh));
        let baseline = self.hystart.as_ref().and_then(|it| it.baseline());
        visit("css", i128::from(baseline.is_some()));
        if let Some(baseline) = baseline {
            visit("css_baseline_ns", i128::from(nanos(baseline)));
        }
        let Some(curve) = &self.curve else { return };
        visit("cwnd_prior", i128::from(curve.cwnd_prior));
        if let Some(epoch) = &curve.epoch {
            visit("t_ns", i128::from(nanos(epoch.elapsed)));
            visit("k_ns", i128::from(nanos(epoch.k)));
            visit("w_max", i128::from(epoch.w_max));
            visit("w_est", i128::from(epoch.w_est));
        }
    }
}

/// RFC 9438 §4.2: K = cbrt(bytes / C), for C in bytes.
fn time_to(bytes: u32, smss: u32) -> Duration {
    let cubic_nanos = NANOS_PER_SEC * NANOS_PER_SEC * NANOS_PER_SEC;
    let cube = u128::from(bytes) * cubic_nanos / (C.0 * u128::from(smss.max(1))) * C.1;
    Duration::from_nanos(cube_root(cube))
}

/// The largest number whose cube is at most `cube`.
fn cube_root(cube: u128) -> u64 {
    if cube == 0 {
        return 0;
    }
    // Newton from above: at least the root, and below 2^43.
    let mut root = 1u128 << (128 - cube.leading_zeros()).div_ceil(3);
    loop {
        let next = (2 * root + cube / (root * root)) / 3;
        if next >= root {
            break;
        }
        root = next;
    }
    u64::try_from(root).unwrap_or(u64::MAX)
}

fn scaled(bytes: u32, (num, den): (u64, u64)) -> u32 {
    narrowed(u64::from(bytes) * num / den)
}

fn narrowed(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros())
        .unwrap_or(u64::MAX)
        .min(MOST_MICROS)
}

#[cfg(test)]
#[path = "cubic_tests.rs"]
mod tests;
