//! Quick ACKs: a peer that begins, or begins again, learns at once that its text came.
//!
//! A sender starts with a small window, and one that is not a whole number of double segments leaves
//! its last ACK to the delay of RFC 9293 §3.8.6.3: 40 ms in which nothing moves. Linux answers it
//! with ACKs that do not wait (`tcp_enter_quickack_mode`, pingpong mode).
//! *Owns* which ACKs need not wait. *Does not* make any due: in-order text does, in `receive`.

use core::time::Duration;

use crate::base::{Instant, nanos};

/// The quick ACKs of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct QuickAcks {
    /// ACKs that still leave at once.
    left: u8,
    /// Our text answers the peer's: the ACK rides on it, and one of its own would be a packet more.
    answered: bool,
    /// When text last came.
    heard: Option<Instant>,
}

impl QuickAcks {
    /// Text came in order. After `idle` nanoseconds, and for the first, `most` ACKs are quick.
    pub(crate) fn on_text(&mut self, at: Instant, idle: u64, most: u8) {
        if self.heard.is_none_or(|heard| at.nanos_since(heard) > idle) {
            self.left = most;
            self.answered = false;
        }
        self.heard = Some(at);
    }

    /// A congestion mark came after none: its ACK and the next one do not wait, nor for text to ride on, as the sender's window may
    /// soon be small (Linux's `tcp_enter_quickack_mode` with 2).
    pub(crate) fn on_mark(&mut self) {
        self.left = self.left.max(2);
        self.answered = false;
    }

    /// Text of ours leaves, as an answer if it is within the `delay` that an ACK waits.
    pub(crate) fn on_own_text(&mut self, now: Instant, delay: Duration) {
        let delay = nanos(delay);
        self.answered |= self
            .heard
            .is_some_and(|heard| now.nanos_since(heard) < delay);
    }

    /// An ACK waited in vain for text to ride on.
    pub(crate) fn on_delay_over(&mut self) {
        self.answered = false;
    }

    /// An ACK that was owed left.
    pub(crate) fn on_ack_sent(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Does an ACK leave at once now?
    pub(crate) fn is_due(&self) -> bool {
        self.left > 0 && !self.answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_acks_after_a_mark_do_not_wait() {
        let mut quick = QuickAcks::default();
        quick.on_own_text(Instant::from_millis(1), Duration::from_millis(40));
        quick.on_mark();
        quick.on_ack_sent();
        assert!(quick.is_due());
        quick.on_ack_sent();
        assert!(!quick.is_due());
    }

    /// A connection that answers is quick again once it was idle: what came of answers before says nothing of a
    /// stream that begins now.
    #[test]
    fn answers_before_an_idle_time_are_forgotten() {
        let delay = Duration::from_millis(40);
        let idle = 200_000_000;
        let mut quick = QuickAcks::default();
        let at = Instant::from_millis;
        quick.on_text(at(1000), idle, 16);
        assert!(quick.is_due());
        quick.on_own_text(at(1001), delay);
        assert!(!quick.is_due(), "the ACK rides on the answer");
        quick.on_text(at(1100), idle, 16);
        assert!(!quick.is_due());
        quick.on_text(at(1301), idle, 16);
        assert!(quick.is_due());
        // Text that leaves later than an ACK may wait answers nothing.
        quick.on_own_text(at(1341), delay);
        assert!(quick.is_due());
    }
}
