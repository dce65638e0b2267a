//! BBR: congestion control by a model of the path, versions 1 and 3.
//!
//! *Owns* both controllers and what they share: the product of rate and time, and how far ACKs come in
//! clumps. *Does not* measure rates: the core's sampler does.

mod aggregation;
mod policer;
mod v1;
mod v3;

use core::time::Duration;

pub use v1::Bbr;
pub use v3::Bbr3;

use aggregation::Aggregation;
use policer::Policer;

/// A gain, in thousandths: all that BBR names are exact.
type Gain = u32;
const UNIT: Gain = 1000;
const NANOS_PER_SEC: u128 = 1_000_000_000;
// Both versions pace 1 % below the estimate, so that a queue drains that nobody meant.
const MARGIN_PERCENT: u128 = 1;
// Both never go below four segments, or delayed ACKs would stop the clock.
const MIN_SEGMENTS: u32 = 4;
// Linux's limit of a super-segment: what leaves in one piece is never more.
const MOST_QUANTUM: u32 = 64 << 10;
// Beyond any window, and sums of a few of it still fit.
const MOST_PRODUCT: u64 = 1 << 60;

/// Bytes of `rate` in `time`, times `gain`.
fn product(rate: u64, time: Duration, gain: Gain) -> u64 {
    let bytes = u128::from(rate) * time.as_nanos() / NANOS_PER_SEC * u128::from(gain);
    u64::try_from(bytes / u128::from(UNIT))
        .unwrap_or(u64::MAX)
        .min(MOST_PRODUCT)
}

/// The pacing rate for an estimate: `gain` times it, less the margin, never 0.
fn pacing_rate(rate: u64, gain: Gain) -> u64 {
    let scaled = u128::from(rate) * u128::from(gain) * (100 - MARGIN_PERCENT);
    u64::try_from(scaled / (100 * u128::from(UNIT)))
        .unwrap_or(u64::MAX)
        .max(1)
}

/// The rate that sends `bytes` in `time`, times `gain`.
fn rate_of(bytes: u32, time: Duration, gain: Gain) -> u64 {
    let scaled = u128::from(bytes) * NANOS_PER_SEC * u128::from(gain);
    u64::try_from(scaled / (time.as_nanos().max(1) * u128::from(UNIT)))
        .unwrap_or(u64::MAX)
        .max(1)
}

/// What leaves in one piece at a pacing rate: a millisecond of it, and two segments at least.
fn quantum(rate: u64, smss: u32) -> u32 {
    let milli = u32::try_from(rate / 1000).unwrap_or(u32::MAX);
    let least = smss.saturating_mul(2);
    milli.clamp(least, MOST_QUANTUM.max(least))
}

/// Random numbers of one connection: splitmix64.
#[derive(Clone, Copy, Debug)]
struct Random(u64);

impl Random {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// As many bytes as fit a window.
fn narrowed(bytes: u64) -> u32 {
    u32::try_from(bytes)
        .unwrap_or(u32::MAX)
        .min(super::parts::MAX_CWND)
}

/// Nanoseconds for [`inspect`](super::control::CongestionControl::inspect).
fn nanos(time: Option<Duration>) -> i128 {
    time.map_or(-1, |time| i128::try_from(time.as_nanos()).unwrap_or(-1))
}

#[cfg(test)]
mod tests;
