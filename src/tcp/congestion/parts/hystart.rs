//! HyStart++ (RFC 9406): slow start left before it overflows the queue.
//!
//! *Owns* the two phases and the round trips' shortest times. *Does not* grow a window: it says how.
//!
//! Samples are counted by what an ACK stands for, one for every second segment as RFC 5681 §4.2 has
//! receivers acknowledge: of merged segments few ACKs tell a whole round trip, and with a count of
//! ACKs the first rounds would never be measured.
//!
//! What is compared with the round before is the shortest time of eight samples, and of the next eight, not that of
//! the round until now: of a paced flight the first segments find no queue, whatever the last ones do, and the
//! round's shortest time tells of a queue a round too late. Where flights leave in bursts the first samples of the next
//! one take back what the last ones of this showed.

use core::time::Duration;

// RFC 9406 §4.3.
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u32 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u32 = 5;

/// How the window grows with this ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HyStartStep {
    /// A byte for each byte: slow start goes on.
    SlowStart,
    /// A byte for four: Conservative Slow Start looks whether the queue is real.
    Conservative,
    /// Slow start is over: ssthresh is the window as it is.
    Exit,
}

impl HyStartStep {
    /// What the window may grow by for `newly_acked` bytes, before congestion avoidance.
    pub const fn growth(self, newly_acked: u32) -> u32 {
        match self {
            Self::SlowStart => newly_acked,
            Self::Conservative => newly_acked / CSS_GROWTH_DIVISOR,
            Self::Exit => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    SlowStart,
    Conservative { baseline: Duration, rounds: u32 },
    Done,
}

/// One initial slow start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HyStartPlusPlus {
    phase: Phase,
    /// The round is over when so much is delivered: all that was in flight when it began.
    round_end: Option<u64>,
    last_min: Option<Duration>,
    current_min: Option<Duration>,
    /// The shortest of the samples that wait to be looked at, `samples` in number.
    group_min: Option<Duration>,
    samples: u32,
}

impl Default for HyStartPlusPlus {
    fn default() -> Self {
        Self {
            phase: Phase::SlowStart,
            round_end: None,
            last_min: None,
            current_min: None,
            group_min: None,
            samples: 0,
        }
    }
}

impl HyStartPlusPlus {
    /// An ACK of slow start: `segments` newly acknowledged, `delivered` bytes in all, `inflight` after
    /// it, and its round-trip sample.
    pub fn on_ack(
        &mut self,
        segments: u32,
        delivered: u64,
        inflight: u32,
        rtt: Option<Duration>,
    ) -> HyStartStep {
        if self.phase == Phase::Done {
            return HyStartStep::Exit;
        }
        // RFC 9406 §4.2, to the letter: a round ends with the ACK of its last segment. What this ACK lets go
        // is left out, so rounds come to begin within flights, where these have made a queue: it is seen half a
        // round earlier than by rounds that begin with the next ACK (measured: two fifths of the losses), and
        // where it was none the next flight's start ends Conservative Slow Start.
        if self.round_end.is_none_or(|end| delivered >= end) {
            let first = self.round_end.is_none();
            self.round_end = Some(delivered + u64::from(inflight));
            if !first && self.end_round() {
                self.phase = Phase::Done;
                return HyStartStep::Exit;
            }
        }
        if let Some(rtt) = rtt {
            self.current_min = Some(shorter(self.current_min, rtt));
            self.group_min = Some(shorter(self.group_min, rtt));
            self.samples = self.samples.saturating_add((segments / 2).max(1));
            if self.samples >= N_RTT_SAMPLE {
                self.look();
            }
        }
        match self.phase {
            Phase::SlowStart => HyStartStep::SlowStart,
            Phase::Conservative { .. } => HyStartStep::Conservative,
            Phase::Done => HyStartStep::Exit,
        }
    }

    /// RFC 9406 §4.2: loss or ECN-Echo ends it for good.
    pub fn stop(&mut self) {
        self.phase = Phase::Done;
    }

    /// Is it in Conservative Slow Start?
    pub const fn is_conservative(&self) -> bool {
        matches!(self.phase, Phase::Conservative { .. })
    }

    /// RFC 9406 §4.2's cssBaselineMinRtt: what round trips took when Conservative Slow Start began.
    pub const fn baseline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Conservative { baseline, .. } => Some(baseline),
            Phase::SlowStart | Phase::Done => None,
        }
    }

    /// RFC 9406 §4.2: a new round trip; returns whether slow start ends with the one before it.
    fn end_round(&mut self) -> bool {
        self.last_min = self.current_min.take().or(self.last_min);
        self.group_min = None;
        self.samples = 0;
        if let Phase::Conservative { rounds, .. } = &mut self.phase {
            // The round in which it was entered counts, if partial.
            *rounds += 1;
            return *rounds >= CSS_ROUNDS;
        }
        false
    }

    /// RFC 9406 §4.2: compares a group of samples with the round trip before, or with where it was entered.
    fn look(&mut self) {
        self.samples = 0;
        let (Some(current), Some(last)) = (self.group_min.take(), self.last_min) else {
            return;
        };
        match self.phase {
            Phase::SlowStart => {
                let thresh = (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if current >= last.saturating_add(thresh) {
                    self.phase = Phase::Conservative {
                        baseline: current,
                        rounds: 0,
                    };
                }
            }
            // The rise was not a queue.
            Phase::Conservative { baseline, .. } if current < baseline => {
                self.phase = Phase::SlowStart;
            }
            Phase::Conservative { .. } | Phase::Done => {}
        }
    }
}

fn shorter(min: Option<Duration>, sample: Duration) -> Duration {
    min.map_or(sample, |min| min.min(sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Runs rounds of `acks` ACKs with `segments` segments each, all with the same time.
    struct Rounds {
        hystart: HyStartPlusPlus,
        delivered: u64,
        acks: u32,
        segments: u32,
    }

    impl Rounds {
        fn new(acks: u32, segments: u32) -> Self {
            Self {
                hystart: HyStartPlusPlus::default(),
                delivered: 0,
                acks,
                segments,
            }
        }

        /// The steps of one round trip.
        fn run(&mut self, rtt: Duration) -> Vec<HyStartStep> {
            self.run_some(self.acks, rtt)
        }

        /// The steps of `count` ACKs of a round trip.
        fn run_some(&mut self, count: u32, rtt: Duration) -> Vec<HyStartStep> {
            let bytes = self.acks * self.segments * 1000;
            (0..count)
                .map(|_| {
                    self.delivered += u64::from(self.segments) * 1000;
                    self.hystart
                        .on_ack(self.segments, self.delivered, bytes, Some(rtt))
                })
                .collect()
        }
    }

    /// Covers: HYS-1, HYS-2.
    #[test]
    fn a_round_trip_that_grew_by_an_eighth_enters_conservative_slow_start() {
        // (last, current, enters): the eighth is clamped between 4 and 16 ms.
        let rows = [
            (8, 11, false),
            (8, 12, true),
            (100, 112, false),
            (100, 113, true),
            (400, 415, false),
            (400, 416, true),
        ];
        for (last, current, enters) in rows {
            let mut rounds = Rounds::new(10, 2);
            rounds.run(MS(last));
            let steps = rounds.run(MS(current));
            assert_eq!(
                steps[6],
                HyStartStep::SlowStart,
                "{last} {current}: too few samples"
            );
            assert_eq!(
                rounds.hystart.is_conservative(),
                enters,
                "{last} to {current} ms"
            );
        }
    }

    /// Covers: HYS-1, HYS-3, HYS-4.
    #[test]
    fn five_rounds_end_it_and_a_shorter_one_takes_it_back() {
        let mut rounds = Rounds::new(10, 2);
        rounds.run(MS(100));
        rounds.run(MS(120));
        assert!(rounds.hystart.is_conservative());
        assert_eq!(rounds.hystart.baseline(), Some(MS(120)));
        rounds.run(MS(100));
        assert_eq!(rounds.hystart.baseline(), None);
        assert!(!rounds.hystart.is_conservative(), "the rise was no queue");
        rounds.run(MS(120));
        for _ in 0..4 {
            let steps = rounds.run(MS(125));
            assert!(
                steps.iter().all(|s| *s == HyStartStep::Conservative),
                "{steps:?}"
            );
        }
        assert_eq!(
            rounds.run(MS(125))[0],
            HyStartStep::Exit,
            "the partial round counts"
        );
    }

    /// A queue that a paced flight makes: the round's first samples know nothing of it.
    ///
    /// Covers: HYS-2.
    #[test]
    fn a_queue_that_grows_within_a_round_is_seen_in_it() {
        let mut rounds = Rounds::new(32, 2);
        rounds.run(MS(100));
        rounds.run_some(8, MS(100));
        rounds.run_some(8, MS(112));
        assert!(!rounds.hystart.is_conservative(), "12 ms are no eighth");
        rounds.run_some(7, MS(113));
        assert!(!rounds.hystart.is_conservative(), "too few samples");
        rounds.run_some(1, MS(113));
        assert_eq!(rounds.hystart.baseline(), Some(MS(113)));
        rounds.run_some(8, MS(114));
        assert!(rounds.hystart.is_conservative());
        // The next flight's first samples find none: it was a burst.
        rounds.run_some(8, MS(100));
        assert!(!rounds.hystart.is_conservative());
    }

    /// An ACK for 45 segments: three of them are a round trip, and it is measured all the same.
    #[test]
    fn merged_segments_are_enough_samples() {
        let mut rounds = Rounds::new(3, 45);
        rounds.run(MS(100));
        rounds.run(MS(120));
        assert!(rounds.hystart.is_conservative());
    }

    /// Covers: HYS-3, HYS-5.
    #[test]
    fn growth_is_a_quarter_in_the_conservative_phase() {
        assert_eq!(HyStartStep::SlowStart.growth(8000), 8000);
        assert_eq!(HyStartStep::Conservative.growth(8000), 2000);
        assert_eq!(HyStartStep::Exit.growth(8000), 0);
    }

    /// Covers: HYS-4.
    #[test]
    fn a_loss_ends_it_for_good() {
        let mut rounds = Rounds::new(10, 2);
        rounds.hystart.stop();
        assert!(rounds.run(MS(10)).iter().all(|s| *s == HyStartStep::Exit));
    }
}
