//! Slow start and congestion avoidance by bytes (RFC 5681 §3.1, RFC 3465).
//!
//! *Owns* Reno's growth and the credit of what was delivered out of order. *Does not* cut.

/// The most that any window of this crate grows to: what 30 bits can tell is all that a peer's window
/// ever allows (RFC 7323 §2.3), and sums of two never overflow.
pub(in crate::tcp::congestion) const MAX_CWND: u32 = 1 << 30;

/// Reno's growth: a byte for each byte below ssthresh, a segment for each window above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RenoGrowth {
    /// Bytes acknowledged in congestion avoidance that have not become a segment yet.
    acked: u32,
}

impl RenoGrowth {
    /// Nothing counted yet.
    pub const fn new() -> Self {
        Self { acked: 0 }
    }

    /// The window after `newly_acked` bytes, all of `cwnd`, `ssthresh`, `smss` and the answer in
    /// bytes.
    ///
    /// Slow start doubles whatever one ACK stands for, as Linux's: RFC 3465 §2.3's limit of two
    /// segments an ACK is made for receivers that acknowledge every second one, and of merged
    /// segments one ACK tells 45.
    #[must_use]
    pub fn grown(&mut self, cwnd: u32, ssthresh: u32, newly_acked: u32, smss: u32) -> u32 {
        if cwnd < ssthresh {
            let most = ssthresh - cwnd;
            let slow = newly_acked.min(most);
            // What is left of this ACK belongs to the phase after it.
            let after = cwnd.saturating_add(slow);
            return self.avoided(after, newly_acked - slow, smss).min(MAX_CWND);
        }
        self.avoided(cwnd, newly_acked, smss).min(MAX_CWND)
    }

    /// Forgets what was counted towards the next segment: the window changed otherwise.
    pub fn reset(&mut self) {
        self.acked = 0;
    }

    /// RFC 5681 §3.1: one SMSS for every window of bytes acknowledged.
    fn avoided(&mut self, mut cwnd: u32, newly_acked: u32, smss: u32) -> u32 {
        if newly_acked == 0 {
            return cwnd;
        }
        self.acked = self.acked.saturating_add(newly_acked);
        // One window at a time; an ACK tells two at most, because more was not in flight.
        while self.acked >= cwnd.max(1) && cwnd < MAX_CWND {
            self.acked -= cwnd.max(1);
            cwnd = cwnd.saturating_add(smss.max(1));
        }
        if cwnd >= MAX_CWND {
            self.acked = 0;
        }
        cwnd
    }
}

/// What was delivered out of order, to be counted when SND.UNA moves, or at once where reordering is known.
///
/// RFC 3042 §2 forbids growth by duplicate ACKs. What they delivered is no less delivered: when the
/// hole turns out to be reordering it counts, or a path that reorders one packet in a thousand would
/// grow windows at a fraction of its speed. Where packets overtake each other there is a hole most of the time,
/// and a duplicate is no sign of a loss: what waited until each is filled would lengthen a round trip by as much
/// as packets are late (Linux's `tcp_may_raise_cwnd`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AckCredit {
    pending: u32,
}

impl AckCredit {
    /// Nothing delivered out of order.
    pub const fn new() -> Self {
        Self { pending: 0 }
    }

    /// Bytes that may grow the window now. `counts`: SND.UNA moved, or reordering was seen
    /// ([`Cx::reordering_seen`](crate::tcp::congestion::Cx::reordering_seen)). `grows` is false in recovery, which ends with the
    /// window it wants, and when the window did not limit the sender (RFC 7661 §4.4).
    #[must_use]
    pub fn take(&mut self, newly_acked: u32, counts: bool, grows: bool) -> u32 {
        if !grows {
            self.pending = 0;
            return 0;
        }
        self.pending = self.pending.saturating_add(newly_acked);
        if counts {
            core::mem::take(&mut self.pending)
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMSS: u32 = 1000;

    /// Covers: CC-4
    #[test]
    fn slow_start_counts_bytes_and_doubles_whatever_an_ack_stands_for() {
        let mut growth = RenoGrowth::default();
        assert_eq!(growth.grown(10_000, u32::MAX, 700, SMSS), 10_700);
        assert_eq!(growth.grown(64_000, u32::MAX, 64_000, SMSS), 128_000);
    }

    /// Covers: CC-4
    #[test]
    fn what_passes_ssthresh_is_counted_as_avoidance() {
        let mut growth = RenoGrowth::default();
        assert_eq!(growth.grown(9000, 10_000, 11_000, SMSS), 11_000);
        let mut pieces = RenoGrowth::default();
        let mut cwnd = 9000;
        for _ in 0..11 {
            cwnd = pieces.grown(cwnd, 10_000, SMSS, SMSS);
        }
        assert_eq!(cwnd, 11_000, "however many ACKs tell it");
        assert_eq!(pieces, growth);
    }

    /// Covers: CC-5
    #[test]
    fn avoidance_adds_one_segment_a_window() {
        let mut growth = RenoGrowth::default();
        let mut cwnd = 10_000;
        for _ in 0..9 {
            cwnd = growth.grown(cwnd, 0, SMSS, SMSS);
            assert_eq!(cwnd, 10_000);
        }
        assert_eq!(growth.grown(cwnd, 0, SMSS, SMSS), 11_000);
    }

    #[test]
    fn no_window_overflows() {
        let mut growth = RenoGrowth::default();
        assert_eq!(
            growth.grown(u32::MAX, u32::MAX, u32::MAX, u32::MAX),
            MAX_CWND
        );
        assert_eq!(growth.grown(MAX_CWND, 0, u32::MAX, 1), MAX_CWND);
        assert_eq!(growth.grown(0, 0, 5, 0), 3, "nonsense ends");
    }

    #[test]
    fn what_came_out_of_order_counts_once_the_hole_is_filled() {
        let mut credit = AckCredit::default();
        assert_eq!(credit.take(3000, false, true), 0);
        assert_eq!(credit.take(1000, true, true), 4000);
        assert_eq!(credit.take(3000, false, true), 0);
        assert_eq!(credit.take(3000, false, false), 0, "it was a loss");
        assert_eq!(credit.take(1000, true, true), 1000);
    }
}
