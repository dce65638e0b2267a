//! Round trips counted by what was delivered (draft-ietf-ccwg-bbr, "Round Trip Counting").
//!
//! *Owns* the count. *Does not* time anything: a round is over when data that was sent after it
//! began is delivered.

/// Counts packet-timed round trips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RoundCounter {
    next_delivered: u64,
    count: u64,
    started: bool,
}

impl RoundCounter {
    /// Rounds so far.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Did the latest ACK start a round?
    pub const fn started(&self) -> bool {
        self.started
    }

    /// An ACK came. `prior_delivered` is what the connection had delivered when the data left that the
    /// ACK's rate sample is based on, `None` without a sample; `delivered` is what it has delivered
    /// now. Returns whether a round starts with it.
    pub fn on_ack(&mut self, prior_delivered: Option<u64>, delivered: u64) -> bool {
        self.started = prior_delivered.is_some_and(|prior| prior >= self.next_delivered);
        if self.started {
            self.next_delivered = delivered;
            self.count += 1;
        }
        self.started
    }

    /// A new round begins now, whatever is left of the one before it; it is not counted.
    pub fn restart(&mut self, delivered: u64) {
        self.next_delivered = delivered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_ends_with_what_was_sent_after_its_start() {
        let mut round = RoundCounter::default();
        // m26: the first flight has delivered nothing before it, and counts all the same.
        assert!(round.on_ack(Some(0), 1000));
        assert!(!round.on_ack(Some(0), 2000), "the same flight");
        assert!(!round.on_ack(Some(999), 3000));
        assert!(round.on_ack(Some(1000), 4000));
        assert_eq!(round.count(), 2);
        assert!(
            !round.on_ack(None, 5000),
            "without a sample nothing is known"
        );
        assert!(!round.started());
        round.restart(9000);
        assert!(!round.on_ack(Some(8999), 9500));
        assert!(round.on_ack(Some(9000), 9600));
    }

    /// m29: counters of 32 bits stop the rounds at 4.3 GB.
    #[test]
    fn m29_rounds_go_on_beyond_four_gigabytes() {
        let mut round = RoundCounter::default();
        let mut delivered = u64::from(u32::MAX) - 1500;
        round.restart(delivered);
        for count in 1..=4 {
            // What left when a little more was delivered than when the round began.
            let prior = delivered + 900;
            delivered += 1000;
            assert!(round.on_ack(Some(prior), delivered), "round {count}");
            assert_eq!(round.count(), count);
        }
        assert!(delivered > u64::from(u32::MAX));
    }
}
