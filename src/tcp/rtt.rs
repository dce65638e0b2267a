//! Round-trip time and retransmission time-out (RFC 6298, RFC 9293 §3.8.1 MUST-18, RFC 7323 Appendix G).
//!
//! *Owns* SRTT, RTTVAR, RTO and its back-off, and how many samples come in a round trip. *Does not*
//! decide which ACK gives one: `ack` and `half_open` keep Karn's rule.

use core::time::Duration;

use crate::base::{Instant, nanos};

use super::congestion::parts::{LOCAL_RTT, WindowedMin};
use super::seq::SeqNum;

// RFC 6298 §5 (5.7): after a retransmitted SYN, data starts with 3 seconds.
const RTO_AFTER_SYN_LOSS: Duration = Duration::from_secs(3);
// RFC 6298 §2 (2.5): a maximum of at least 60 seconds. Linux's TCP_RTO_MAX.
const MAX_RTO: Duration = Duration::from_secs(120);
// How long the shortest round trip is remembered, in nanoseconds: a path may become longer (Linux's
// tcp_min_rtt_wlen, 300 s).
const MIN_WINDOW: u64 = 300_000_000_000;
// The clock granularity G: times are nanoseconds, but drivers wake with about this precision.
// In nanoseconds.
const GRANULARITY: u64 = 1_000_000;

/// The estimator of one connection.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Rtt {
    base_rto: u64,
    // All in nanoseconds: each ACK reckons with them, and an idle connection keeps them too. 0 is none yet: a
    // sample is one at least.
    srtt: u64,
    min_rto: u64,
    /// Expiries since the last valid sample (Karn), as a shift.
    backoff: u32,
    min: WindowedMin,
    rttvar: u64,
    latest: u64,
    round: Round,
}

/// How many samples come in a round trip: ExpectedSamples of RFC 7323 Appendix G, but counted. Its
/// formula is an ACK for every second segment; of super-segments one ACK tells 45 and more, and
/// what is divided by what never comes is never learned.
#[derive(Clone, Debug, Default)]
struct Round {
    /// SND.NXT when this round trip began: it ends when that is acknowledged.
    end: Option<SeqNum>,
    samples: u32,
    /// Samples of the round trip before.
    before: u32,
}

impl Round {
    /// Counts a sample; returns how many are expected in this round trip.
    fn on_sample(&mut self, una: SeqNum, nxt: SeqNum) -> u32 {
        if self.end.is_none_or(|end| !una.before(end)) {
            self.before = self.samples;
            self.samples = 0;
            self.end = Some(nxt);
        }
        self.samples = self.samples.saturating_add(1);
        self.before.max(self.samples)
    }
}

impl Rtt {
    /// An estimator without a sample, whose RTO is `initial` (RFC 6298 §2 (2.1)); `min_rto` is the least
    /// that RTO lies above SRTT, which keeps RFC 6298 §2 (2.4)'s floor as well.
    pub(crate) fn new(initial: Duration, min_rto: Duration) -> Self {
        Self {
            srtt: 0,
            rttvar: 0,
            latest: 0,
            min: WindowedMin::new(MIN_WINDOW),
            base_rto: reachable(initial),
            min_rto: reachable(min_rto),
            backoff: 0,
            round: Round::default(),
        }
    }

    /// Takes a sample in. `expected` is how many are expected per round trip, at least one.
    pub(crate) fn sample(&mut self, rtt: Duration, expected: u32) {
        self.take(reachable(rtt), expected);
    }

    fn take(&mut self, rtt: u64, expected: u32) {
        // A sample of zero would claim a path without delay; the clock only says "less than a tick".
        let rtt = rtt.max(1);
        self.latest = rtt;
        let expected = expected.max(1);
        if self.srtt == 0 {
            // RFC 6298 §2 (2.2).
            self.srtt = rtt;
            self.rttvar = rtt / 2;
        } else {
            // RFC 6298 §2 (2.3): RTTVAR before SRTT; alpha 1/8, beta 1/4.
            // RFC 7323 Appendix G: both divided by the samples expected in a round trip.
            let deviation = self.srtt.abs_diff(rtt);
            self.rttvar = step(self.rttvar, deviation, expected.saturating_mul(4));
            self.srtt = step(self.srtt, rtt, expected.saturating_mul(8));
        }
        // RFC 6298 §2 (2.3), with the floor of (2.4) under the variance: taken of the sum it is none
        // for a path of its length, and the next delayed ACK there is a time-out.
        let floor = self.min_rto.max(GRANULARITY);
        let rto = self.rttvar.saturating_mul(4).max(floor);
        let rto = rto.saturating_add(self.srtt);
        self.base_rto = rto.min(self.max_rto());
        self.backoff = 0;
    }

    /// Takes in the sample of a record that was sent once, in nanoseconds, which says how short the path is as well.
    pub(crate) fn sample_of_record(&mut self, at: Instant, rtt: u64, una: SeqNum, nxt: SeqNum) {
        self.sample_min(at, rtt);
        self.sample_of_ack(rtt, una, nxt);
    }

    /// A round trip that was measured to the nanosecond, not by the clock of timestamps.
    pub(crate) fn sample_min(&mut self, at: Instant, rtt: u64) {
        self.min.update(at.as_nanos(), rtt.max(1));
    }

    /// Takes in the sample that an ACK brings, in nanoseconds; `una` and `nxt` are as it leaves them.
    pub(crate) fn sample_of_ack(&mut self, rtt: u64, una: SeqNum, nxt: SeqNum) {
        let expected = self.round.on_sample(una, nxt);
        self.take(rtt, expected);
    }

    /// RFC 6298 §5 (5.5): the timer expired, twice the time next.
    pub(crate) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(16);
    }

    /// RFC 6298 §5 (5.7): the handshake is over, and our SYN had to be sent again.
    pub(crate) fn after_syn_loss(&mut self) {
        if self.srtt == 0 {
            self.base_rto = self.base_rto.max(nanos(RTO_AFTER_SYN_LOSS));
            self.backoff = 0;
        }
    }

    /// RTO, back-off included.
    pub(crate) fn rto(&self) -> Duration {
        self.rto_backed_off(self.backoff)
    }

    /// RTO doubled `times` times, at most the maximum.
    pub(crate) fn rto_backed_off(&self, times: u32) -> Duration {
        Duration::from_nanos(self.rto_nanos_backed_off(times))
    }

    /// RTO, back-off included, in nanoseconds.
    pub(crate) fn rto_nanos(&self) -> u64 {
        self.rto_nanos_backed_off(self.backoff)
    }

    /// RTO doubled `times` times, at most the maximum, in nanoseconds.
    pub(crate) fn rto_nanos_backed_off(&self, times: u32) -> u64 {
        let rto = self.base_rto.saturating_mul(1 << times.min(16));
        rto.min(self.max_rto())
    }

    pub(crate) fn backoff(&self) -> u32 {
        self.backoff
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        (self.srtt > 0).then(|| Duration::from_nanos(self.srtt))
    }

    /// SRTT in nanoseconds.
    pub(crate) fn srtt_nanos(&self) -> Option<u64> {
        (self.srtt > 0).then_some(self.srtt)
    }

    pub(crate) fn rttvar(&self) -> Duration {
        Duration::from_nanos(self.rttvar)
    }

    pub(crate) fn latest(&self) -> Option<Duration> {
        (self.latest > 0).then(|| Duration::from_nanos(self.latest))
    }

    /// The shortest round trip of the last five minutes.
    pub(crate) fn min(&self) -> Option<Duration> {
        self.min_nanos().map(Duration::from_nanos)
    }

    /// The same in nanoseconds.
    pub(crate) fn min_nanos(&self) -> Option<u64> {
        let min = self.min.get();
        (min < u64::MAX).then_some(min)
    }

    /// Is the path known to be longer than a local one, whatever its queue?
    pub(crate) fn is_far(&self) -> bool {
        self.min_nanos().is_some_and(|min| min >= nanos(LOCAL_RTT))
    }

    /// The longest RTO, in nanoseconds: a user's least one goes before it.
    fn max_rto(&self) -> u64 {
        nanos(MAX_RTO).max(self.min_rto)
    }

    /// Sets the floor; takes effect with the next sample.
    pub(crate) fn set_min_rto(&mut self, min_rto: Duration) {
        self.min_rto = reachable(min_rto);
    }
}

/// The timestamp clock of RFC 7323 §5.4: one tick a millisecond, from a keyed offset.
pub(crate) fn timestamp(now: Instant, offset: u32) -> u32 {
    let millis = now.as_nanos() / 1_000_000;
    // The clock wraps every 49 days, as RFC 7323 §5.4 wants it to.
    offset.wrapping_add(super::isn::low(millis))
}

/// The nanoseconds that a timestamp echo took to come back; `None` when it is no past tick of ours.
pub(crate) fn echo_rtt(now: Instant, offset: u32, ecr: u32) -> Option<u64> {
    let ticks = timestamp(now, offset).wrapping_sub(ecr);
    // A tick of zero says "below a millisecond"; half of one is the unbiased guess.
    (ticks < 1 << 24).then(|| match ticks {
        0 => 500_000,
        n => u64::from(n) * 1_000_000,
    })
}

/// `from` moved by 1/`parts` of the way to `to`.
fn step(from: u64, to: u64, parts: u32) -> u64 {
    if to >= from {
        from + (to - from) / u64::from(parts)
    } else {
        from - (from - to) / u64::from(parts)
    }
}

/// A time as nanoseconds, at most 146 years: what lies further ahead of a clock is no time, and a timer set to it
/// does not run.
fn reachable(time: Duration) -> u64 {
    nanos(time).min(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn estimator(min_rto: Duration) -> Rtt {
        Rtt::new(1000 * MS, min_rto)
    }

    /// Covers: RTO-1, RTO-2
    #[test]
    fn first_and_second_sample_by_the_book() {
        let mut rtt = estimator(Duration::ZERO);
        assert_eq!(rtt.rto(), Duration::from_secs(1));
        rtt.sample(100 * MS, 1);
        assert_eq!(
            (rtt.srtt(), rtt.rttvar(), rtt.rto()),
            (Some(100 * MS), 50 * MS, 300 * MS)
        );
        rtt.sample(180 * MS, 1);
        // RTTVAR = 3/4 * 50 + 1/4 * 80 = 57.5; SRTT = 7/8 * 100 + 1/8 * 180 = 110.
        assert_eq!(rtt.srtt(), Some(110 * MS));
        assert_eq!(rtt.rttvar(), Duration::from_micros(57_500));
        assert_eq!(rtt.rto(), 340 * MS);
    }

    /// Covers: RTO-3, RTO-4, RTO-8 (floor, ceiling and doubling; r28: no overflow)
    #[test]
    fn r28_back_off_doubles_up_to_the_maximum_and_a_sample_ends_it() {
        let mut rtt = estimator(200 * MS);
        rtt.sample(MS, 1);
        assert_eq!(rtt.rto(), 201 * MS);
        rtt.back_off();
        assert_eq!(rtt.rto(), 402 * MS);
        for _ in 0..100 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(), Duration::from_secs(120));
        rtt.sample(MS, 1);
        assert_eq!(rtt.rto(), 201 * MS);
    }

    /// A time-out that no clock reaches is a timer that does not run.
    #[test]
    fn a_time_out_without_end_has_one() {
        let mut rtt = Rtt::new(Duration::MAX, Duration::MAX);
        let now = Instant::from_nanos(u64::MAX / 2);
        for sampled in [false, true] {
            if sampled {
                rtt.sample(Duration::MAX, 1);
            }
            for _ in 0..20 {
                rtt.back_off();
                assert!((now + rtt.rto()).as_nanos() < u64::MAX, "{:?}", rtt.rto());
            }
        }
    }

    /// Covers: RTO-3 (a path longer than the floor keeps room for a delayed ACK, however steady)
    #[test]
    fn a_steady_path_keeps_the_floor_above_its_round_trip() {
        for path in [MS, 160 * MS, 250 * MS, 900 * MS] {
            let mut rtt = estimator(200 * MS);
            for _ in 0..30 {
                rtt.sample(path, 1);
            }
            assert_eq!(rtt.rto(), path + 200 * MS);
        }
    }

    /// The first time-out is the user's, the three seconds after a lost SYN are the least.
    #[test]
    fn the_first_time_out_is_a_setting() {
        let mut rtt = Rtt::new(300 * MS, 200 * MS);
        assert_eq!((rtt.rto(), rtt.rto_backed_off(2)), (300 * MS, 1200 * MS));
        rtt.after_syn_loss();
        assert_eq!(rtt.rto(), 3000 * MS);
        let mut slow = Rtt::new(5000 * MS, 200 * MS);
        slow.after_syn_loss();
        assert_eq!(slow.rto(), 5000 * MS);
    }

    /// Covers: RTO-8 (SYN loss)
    #[test]
    fn a_lost_syn_starts_data_with_three_seconds() {
        let mut rtt = estimator(200 * MS);
        rtt.back_off();
        rtt.after_syn_loss();
        assert_eq!(rtt.rto(), Duration::from_secs(3));
    }

    #[test]
    fn r28_microseconds_and_seconds_are_both_measured() {
        for sample in [Duration::from_nanos(900), Duration::from_secs(5)] {
            let mut rtt = estimator(200 * MS);
            for _ in 0..40 {
                rtt.sample(sample, 1);
            }
            assert_eq!(rtt.srtt(), Some(sample));
        }
    }

    #[test]
    fn r28_no_sample_overflows() {
        let samples = [Duration::ZERO, MS, Duration::from_secs(3), Duration::MAX];
        for first in samples {
            for second in samples {
                for expected in [0, 1, u32::MAX / 8 + 1, u32::MAX] {
                    let mut rtt = estimator(200 * MS);
                    for sample in [first, second, first] {
                        rtt.sample(sample, expected);
                        rtt.back_off();
                        let rto = rtt.rto();
                        assert!(rto >= 400 * MS && rto <= MAX_RTO, "{rto:?}");
                    }
                }
            }
        }
    }

    /// One ACK stands for 45 segments: a bad first sample is forgotten in rounds, not in segments.
    #[test]
    fn a_bad_first_sample_is_outlived() {
        let mut rtt = estimator(200 * MS);
        rtt.sample(1001 * MS, 1);
        let mut una = SeqNum::new(u32::MAX - 1000);
        for round in 0..40 {
            let nxt = una + 65_160;
            rtt.sample_of_ack(nanos(MS), nxt, nxt);
            una = nxt;
            assert!(
                round < 25 || rtt.rto() < 500 * MS,
                "{round} {:?}",
                rtt.rto()
            );
        }
        assert!(rtt.rto() < 220 * MS, "{:?}", rtt.rto());
    }

    /// Covers: RTO-2 (RFC 7323 Appendix G: history is kept for as many round trips, however many
    /// samples there are in one)
    #[test]
    fn many_samples_of_a_round_trip_count_as_one() {
        let after = |acks: u32| {
            let mut rtt = estimator(Duration::ZERO);
            rtt.sample(100 * MS, 1);
            let mut una = SeqNum::new(0);
            for round in 0..10 {
                let end = una + 64_000;
                for ack in 1..=acks {
                    // A steady stream: as much leaves as is acknowledged.
                    let acked = 64_000 / acks * ack;
                    let sample = if round < 2 { 100 * MS } else { 200 * MS };
                    rtt.sample_of_ack(nanos(sample), una + acked, end + acked);
                }
                una = end;
            }
            rtt.srtt().unwrap_or_default()
        };
        let one = after(1);
        for acks in [2, 4, 16, 32] {
            let many = after(acks);
            assert!(many.abs_diff(one) < 4 * MS, "{acks}: {many:?}, {one:?}");
        }
    }

    /// A floor above the maximum is the user's word.
    #[test]
    fn r28_a_floor_that_is_never_reached_backs_off_to_itself() {
        let longest = Duration::from_nanos(u64::MAX / 4); // what the latest time there is has ahead of it
        let mut rtt = estimator(Duration::MAX);
        rtt.sample(MS, 1);
        rtt.back_off();
        assert_eq!(rtt.rto(), longest);
    }

    #[test]
    fn timestamps_wrap_and_echoes_are_checked() {
        let at = Instant::from_millis(u64::from(u32::MAX) + 5);
        assert_eq!(timestamp(at, 0), 4);
        assert_eq!(echo_rtt(at, 0, u32::MAX - 5), Some(10_000_000));
        assert_eq!(echo_rtt(at, 0, 4), Some(500_000));
        assert_eq!(echo_rtt(at, 0, 5), None, "an echo from the future");
    }
}
