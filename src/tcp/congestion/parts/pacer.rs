//! The pacer: when the next byte may leave at a given rate.
//!
//! *Owns* the schedule of one connection, in nanoseconds, with its remainder, so that the rate is
//! exact over any time. *Does not* arm timers or cut segments: it says how much may leave now, or when.
//!
//! A driver wakes late, and what it slept over is made good at once: up to the larger of a millisecond
//! of the rate and two quanta leave at one moment, no more. On a local path a millisecond is more than
//! a window, and the pacer does nothing.

use core::time::Duration;

use crate::base::Instant;

const NANOS_PER_SEC: u128 = 1_000_000_000;
// What a late wake-up makes good: drivers wake within this time.
const CREDIT: Duration = Duration::from_millis(1);
/// Below it a window that idles for a round trip costs less than the pieces do that it is cut into (a local
/// path): what the pacer makes good is about a window.
pub(crate) const LOCAL_RTT: Duration = Duration::from_millis(2);
// A super-segment leaves as one piece wherever it is handed over; so may a window of one.
const UNPACED_WINDOW: u32 = 64 << 10;
// A window that doubles in each round trip, smoothly, is sent at 2 ln 2 = 1.386 of itself in it: less slows it down,
// more comes as a burst, to a queue that may be short (BBR's Startup: 4 ln 2 of what is delivered).
const DOUBLING_PERCENT: u128 = 150;
// As Linux: room to probe for more.
const STEADY_PERCENT: u128 = 120;
// As Linux's fq: below it a rate is meant to be none, and a division by it to be avoided.
const MIN_RATE: u64 = 1;

/// When the bytes of one connection may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Pacer {
    /// Bytes per second; `None`: no pacing.
    rate: Option<u64>,
    /// When the next byte is due.
    due: Instant,
    /// The most bytes that leave in one piece.
    quantum: u32,
    /// Nanoseconds times the rate that `due` is short of: below one nanosecond.
    remainder: u64,
}

impl Pacer {
    /// Sets the rate in bytes per second, `None` for none, and the quantum in bytes. What is due stays
    /// due: a rate is for what leaves from now on.
    pub fn set(&mut self, rate: Option<u64>, quantum: u32) {
        let rate = rate.map(|rate| rate.max(MIN_RATE));
        if rate != self.rate {
            self.remainder = 0;
        }
        self.rate = rate;
        self.quantum = quantum.max(1);
    }

    /// The rate in bytes per second.
    pub const fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// The most bytes that leave in one piece; `u32::MAX` without a rate.
    pub const fn quantum(&self) -> u32 {
        match self.rate {
            Some(_) => self.quantum,
            None => u32::MAX,
        }
    }

    /// Bytes that may leave now in one piece: 0, or up to the quantum. The piece may be cut shorter,
    /// and asked for again.
    pub fn allowance(&self, now: Instant) -> u32 {
        match self.rate {
            Some(_) if self.due > now => 0,
            _ => self.quantum(),
        }
    }

    /// When something may leave, if not now.
    pub fn wait(&self, now: Instant) -> Option<Instant> {
        (self.rate.is_some() && self.due > now).then_some(self.due)
    }

    /// When a piece handed over at `now` departs: at its place in the schedule, never in the past.
    pub fn departure(&self, now: Instant) -> Instant {
        match self.rate {
            Some(_) => self.due.max(now),
            None => now,
        }
    }

    /// `bytes` left at `now`: the next ones are due when these have gone at the rate.
    pub fn on_send(&mut self, now: Instant, bytes: u32) {
        let Some(rate) = self.rate else {
            self.due = now;
            return;
        };
        let earliest = Instant::from_nanos(
            now.as_nanos()
                .saturating_sub(self.credit_nanos(rate, bytes)),
        );
        if self.due < earliest {
            self.due = earliest;
            self.remainder = 0;
        }
        let rate = u128::from(rate);
        let scaled = u128::from(bytes) * NANOS_PER_SEC + u128::from(self.remainder);
        let nanos = u64::try_from(scaled / rate).unwrap_or(u64::MAX);
        // The remainder is below the rate, which is 64 bits.
        self.remainder = u64::try_from(scaled % rate).unwrap_or(0);
        self.due = self.due + Duration::from_nanos(nanos);
    }

    /// How far the schedule may lie in the past when a piece of `bytes` leaves, so that it and what
    /// follows at the same moment are no more than the larger of [`CREDIT`] and two quanta.
    fn credit_nanos(&self, rate: u64, bytes: u32) -> u64 {
        let nanos = |bytes: u64| {
            u64::try_from(u128::from(bytes) * NANOS_PER_SEC / u128::from(rate)).unwrap_or(u64::MAX)
        };
        let credit = u64::try_from(CREDIT.as_nanos()).unwrap_or(u64::MAX);
        let most = credit.max(nanos(2 * u64::from(self.quantum)));
        // The last piece of a burst leaves when it is just due, and is one quantum itself.
        most.saturating_sub(nanos(u64::from(self.quantum.max(bytes))))
    }
}

/// The rate that a window alone asks for, in bytes per second: three halves of the window in a round trip in slow
/// start, 6/5 of it afterwards (Linux's `tcp_update_pacing_rate` has twice the window, and 6/5). `None` where it may
/// leave at once: without a round trip, and of a window of at most 64 KiB.
pub fn window_rate(cwnd: u32, ssthresh: u32, inflight: u32, rtt: Option<Duration>) -> Option<u64> {
    let nanos = rtt.filter(|_| cwnd > UNPACED_WINDOW)?.as_nanos().max(1);
    let percent = if cwnd < ssthresh / 2 {
        DOUBLING_PERCENT
    } else {
        STEADY_PERCENT
    };
    let window = u128::from(cwnd.max(inflight));
    let rate = window * percent * NANOS_PER_SEC / (100 * nanos);
    Some(u64::try_from(rate).unwrap_or(u64::MAX).max(MIN_RATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u64 = 1000;

    fn at(micros: u64) -> Instant {
        Instant::from_nanos(micros * US)
    }

    /// Sends pieces as long as it may; returns the bytes.
    fn burst(pacer: &mut Pacer, now: Instant, piece: u32) -> u32 {
        let mut sent = 0;
        while pacer.allowance(now) > 0 {
            let bytes = piece.min(pacer.allowance(now));
            pacer.on_send(now, bytes);
            sent += bytes;
            assert!(sent < 1 << 24, "it never ends");
        }
        sent
    }

    #[test]
    fn the_rate_is_exact_over_time() {
        // 3 bytes are a third of a nanosecond: no piece is a whole number of them.
        for rate in [7, 999_999_937, 1_250_000, 3_000_000_000] {
            let mut pacer = Pacer::default();
            pacer.set(Some(rate), 1448);
            let mut now = Instant::from_millis(1000);
            let begin = now;
            for _ in 0..10_000 {
                pacer.on_send(now, 1448);
                now = pacer.departure(now);
            }
            let expected = u128::from(14_480_000u32) * NANOS_PER_SEC / u128::from(rate);
            let elapsed = now.since(begin).as_nanos();
            // The first pieces may have been credit.
            let credit = 1_000_000 + 2 * 1448 * NANOS_PER_SEC / u128::from(rate);
            assert!(elapsed <= expected, "{rate}: {elapsed} for {expected}");
            assert!(
                elapsed + credit >= expected,
                "{rate}: {elapsed} for {expected}"
            );
        }
    }

    #[test]
    fn a_piece_waits_for_the_one_before_it() {
        let mut pacer = Pacer::default();
        pacer.set(Some(1_000_000), 2000);
        let now = at(10_000);
        assert_eq!(
            burst(&mut pacer, now, 2000),
            4000,
            "two quanta at the start"
        );
        assert_eq!(pacer.wait(now), Some(at(12_000)));
        assert_eq!(pacer.allowance(at(11_999)), 0);
        assert_eq!(pacer.allowance(at(12_000)), 2000);
        assert_eq!(pacer.departure(at(11_000)), at(12_000));
    }

    #[test]
    fn a_late_wake_up_is_made_good_up_to_a_bound() {
        // (rate, quantum, the longest burst): a millisecond or two quanta, whichever is larger.
        let rows = [
            (1_000_000, 2896, 5792),
            (12_500_000, 12_500, 25_000),
            (1_250_000_000, 65_536, 1_250_000),
        ];
        for (rate, quantum, most) in rows {
            let mut pacer = Pacer::default();
            pacer.set(Some(rate), quantum);
            burst(&mut pacer, at(1000), quantum);
            let sent = burst(&mut pacer, at(10_000_000), quantum);
            assert!(sent <= most + quantum, "{rate}: {sent} at once");
            assert!(sent + quantum > most, "{rate}: {sent} at once");
        }
        // Half a millisecond late at 100 Mbit/s: all of it leaves.
        let mut pacer = Pacer::default();
        pacer.set(Some(12_500_000), 2500);
        burst(&mut pacer, at(1000), 2500);
        let due = pacer.wait(at(1000)).unwrap();
        let late = due + Duration::from_micros(500);
        let sent = burst(&mut pacer, late, 2500);
        assert!((6250..=6250 + 2500).contains(&sent), "{sent}");
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pacer = Pacer::default();
        for _ in 0..10 {
            assert_eq!(pacer.allowance(at(1)), u32::MAX);
            pacer.on_send(at(1), u32::MAX);
        }
        assert_eq!(pacer.wait(at(1)), None);
        pacer.set(Some(0), 0);
        assert_eq!(
            (pacer.rate(), pacer.quantum()),
            (Some(1), 1),
            "nonsense is clamped"
        );
    }

    #[test]
    fn a_window_asks_for_three_halves_or_six_fifths_of_itself() {
        let rtt = Some(Duration::from_millis(100));
        let rows = [
            (100_000, u32::MAX, 0, 1_500_000),
            (100_000, 200_000, 0, 1_200_000),
            (100_000, 200_002, 0, 1_500_000),
            (100_000, 100_000, 200_000, 2_400_000),
        ];
        for (cwnd, ssthresh, inflight, rate) in rows {
            assert_eq!(window_rate(cwnd, ssthresh, inflight, rtt), Some(rate));
        }
        let most = window_rate(u32::MAX, 0, 0, Some(Duration::ZERO));
        assert!(most.is_some_and(|rate| rate > 1 << 60));
        assert_eq!(window_rate(u32::MAX, 0, 0, Some(Duration::MAX)), Some(1));
    }

    #[test]
    fn a_small_window_is_not_paced_nor_one_without_a_round_trip() {
        let rtt = Some(Duration::from_millis(100));
        // (window, round trip, is it paced?)
        let rows = [
            (100_000, None, false),
            (65_536, rtt, false),
            (65_537, rtt, true),
        ];
        for (cwnd, rtt, paced) in rows {
            let rate = window_rate(cwnd, u32::MAX, 1 << 20, rtt);
            assert_eq!(rate.is_some(), paced, "{cwnd} bytes, {rtt:?}");
        }
    }
}
