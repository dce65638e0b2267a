//! How long a peer may hold the ACK of a single segment (RFC 8985 §7.2, TLP.max_ack_delay).
//!
//! *Owns* what a probe of a single segment waits beyond two round trips. *Does not* arm anything: `tlp` does.
//!
//! A wait that ends before the peer's delayed ACK comes costs a segment that it has, and, with a peer that sends no
//! DSACK, a window that is cut for nothing. So it is long at first, and short only for a peer that has answered single
//! segments well within the short one time after time; each probe makes it long again until the peer was prompt as often
//! anew, and proof that one was needless for good.

use core::time::Duration;

/// Any deployed receiver's delayed ACK comes sooner, or nearly so (Linux's `TCP_DELACK_MAX`).
const LONG: Duration = Duration::from_millis(200);
// Linux's TCP_DELACK_MIN, 40 ms, by its coarsest clock, whose tick is 10 ms and may be missed twice.
const SHORT: Duration = Duration::from_millis(60);
/// Answers in a row that show a peer to be prompt.
const SURE: u8 = 8;

/// What is known of the peer's delayed ACKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckDelay {
    /// So many single segments in a row were answered within the short wait.
    Watched { in_time: u8 },
    /// Enough of them were: a probe waits for the short time only.
    Prompt,
    /// It holds ACKs for longer than the short wait.
    Slow,
}

impl Default for AckDelay {
    fn default() -> Self {
        Self::Watched { in_time: 0 }
    }
}

impl AckDelay {
    /// What a probe of a single segment waits beyond two round trips.
    pub(super) const fn wait(self) -> Duration {
        match self {
            Self::Prompt => SHORT,
            Self::Watched { .. } | Self::Slow => LONG,
        }
    }

    /// Does it tell anything when a single segment is answered?
    pub(super) const fn is_watched(self) -> bool {
        matches!(self, Self::Watched { .. })
    }

    /// A single segment was answered, so long before its probe would have left.
    pub(super) fn on_answer(&mut self, left: Duration) {
        *self = match *self {
            Self::Watched { .. } if left < LONG - SHORT => Self::Slow,
            Self::Watched { in_time } if in_time + 1 >= SURE => Self::Prompt,
            Self::Watched { in_time } => Self::Watched {
                in_time: in_time + 1,
            },
            known => known,
        };
    }

    /// A probe of a single segment left: whether the segment was lost may never be known.
    pub(super) fn on_probe(&mut self) {
        if *self != Self::Slow {
            *self = Self::default();
        }
    }

    /// The probe came although the segment had.
    pub(super) fn on_needless(&mut self) {
        *self = Self::Slow;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(answers: impl IntoIterator<Item = u32>) -> AckDelay {
        let mut delay = AckDelay::default();
        for left in answers {
            delay.on_answer(left * MS);
        }
        delay
    }

    #[test]
    fn eight_answers_in_time_make_the_wait_short() {
        assert_eq!(after([140; 7]).wait(), LONG);
        assert_eq!(after([140; 8]), AckDelay::Prompt);
        assert_eq!(after([140; 300]).wait(), SHORT, "nothing is counted on");
    }

    /// One that came later than a short wait ends is proof, before the eighth and for good.
    #[test]
    fn one_late_answer_keeps_the_wait_long() {
        let mut delay = after([200, 200, 139]);
        assert_eq!(delay, AckDelay::Slow);
        (0..20).for_each(|_| delay.on_answer(200 * MS));
        delay.on_probe();
        assert_eq!(delay.wait(), LONG);
        assert!(!delay.is_watched());
    }

    /// A probe is a doubt: the count begins anew; one that was needless is proof.
    #[test]
    fn a_probe_makes_the_wait_long_until_the_peer_was_prompt_again() {
        let mut delay = after([200; 8]);
        delay.on_probe();
        assert_eq!(delay.wait(), LONG);
        (0..8).for_each(|_| delay.on_answer(200 * MS));
        assert_eq!(delay.wait(), SHORT);
        delay.on_probe();
        delay.on_needless();
        (0..8).for_each(|_| delay.on_answer(200 * MS));
        assert_eq!(delay.wait(), LONG);
    }
}
