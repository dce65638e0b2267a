//! The transmitter of a wire and the queue before it.
//!
//! *Owns* the frames that wait, in order, the one that is being transmitted, and when that ends; the
//! tokens of the policer. *Does not* say what becomes of a frame that has left.

use std::collections::VecDeque;

use super::config::{QueueLimit, TokenBucket};
use super::frame::Frame;
use super::rate::{End, Rate, work};
use crate::base::Instant;

#[derive(Debug)]
pub(super) struct Line {
    waiting: VecDeque<Frame>,
    waiting_bytes: usize,
    sending: Option<Sending>,
    /// When the last transmission ended, and what it left of a nanosecond.
    last: End,
}

#[derive(Debug)]
struct Sending {
    frame: Frame,
    from: Instant,
    work: u128,
    end: End,
}

/// What waits to be transmitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queued {
    /// Frames.
    pub frames: usize,
    /// Bytes of them, link headers counted.
    pub bytes: usize,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            sending: None,
            last: End {
                at: Instant::ZERO,
                left: 0,
            },
        }
    }

    /// Is nothing being transmitted?
    pub(super) const fn is_idle(&self) -> bool {
        self.sending.is_none()
    }

    /// Queues a frame, or gives it back when the queue is full.
    pub(super) fn queue(&mut self, frame: Frame, limit: QueueLimit) -> Result<(), Frame> {
        let fits = match limit {
            QueueLimit::Frames(most) => self.waiting.len() < most,
            QueueLimit::Bytes(most) => self.waiting_bytes.saturating_add(frame.data.len()) <= most,
        };
        if !fits {
            return Err(frame);
        }
        self.waiting_bytes += frame.data.len();
        self.waiting.push_back(frame);
        Ok(())
    }

    /// Takes the first that waits.
    pub(super) fn next_waiting(&mut self) -> Option<Frame> {
        let frame = self.waiting.pop_front()?;
        self.waiting_bytes -= frame.data.len();
        Some(frame)
    }

    /// Begins the transmission of a frame.
    pub(super) fn begin(&mut self, now: Instant, frame: Frame, rate: &Rate) {
        let left = if self.last.at == now {
            self.last.left
        } else {
            0
        };
        let work = work(frame.data.len()).saturating_add(left);
        let end = rate.end(now, work);
        self.sending = Some(Sending {
            frame,
            from: now,
            work,
            end,
        });
    }

    /// When the transmission ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.sending.as_ref().map(|sending| sending.end.at)
    }

    /// Ends the transmission.
    pub(super) fn finish(&mut self) -> Option<Frame> {
        let sending = self.sending.take()?;
        self.last = sending.end;
        Some(sending.frame)
    }

    /// The rate changes: what is left of the frame goes on at the new one.
    pub(super) fn change(&mut self, now: Instant, old: &Rate, new: &Rate) {
        if let Some(sending) = &mut self.sending {
            sending.work -= old.done(sending.from, now, sending.work);
            sending.from = now;
            sending.end = new.end(now, sending.work);
        }
    }

    pub(super) fn queued(&self) -> Queued {
        Queued {
            frames: self.waiting.len(),
            bytes: self.waiting_bytes,
        }
    }

    /// Frames in it.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.sending.is_some())
    }
}

/// The tokens of a policer, in bits times 10^9.
#[derive(Debug)]
pub(super) struct Tokens {
    settings: TokenBucket,
    tokens: u128,
    at: Instant,
}

impl Tokens {
    pub(super) fn new(settings: TokenBucket, now: Instant) -> Self {
        let tokens = scaled(settings.burst.min(settings.depth));
        Self {
            settings,
            tokens,
            at: now,
        }
    }

    pub(super) fn settings(&self) -> TokenBucket {
        self.settings
    }

    /// Takes the tokens for a frame, if there are so many.
    pub(super) fn take(&mut self, now: Instant, bytes: usize) -> bool {
        let passed = now.as_nanos().saturating_sub(self.at.as_nanos());
        let more = u128::from(self.settings.rate) * u128::from(passed);
        self.tokens = self
            .tokens
            .saturating_add(more)
            .min(scaled(self.settings.depth));
        self.at = self.at.max(now);
        let needed = work(bytes);
        let enough = self.tokens >= needed;
        if enough {
            self.tokens -= needed;
        }
        enough
    }
}

fn scaled(bytes: u64) -> u128 {
    u128::from(bytes) * 8_000_000_000
}
