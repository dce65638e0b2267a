//! How much of what a user writes is kept: it grows as the path needs it (Linux's `tcp_sndbuf_expand`).
//!
//! What was sent is kept until it is acknowledged, so a buffer bounds what is in flight: 2 MiB are
//! 168 Mbit/s at a round trip of 100 ms. A buffer of twice the congestion window is enough: one window is
//! in flight, another is written meanwhile, and through a recovery, when nothing is acknowledged
//! cumulatively, as much more leaves; a controller that keeps its rate meanwhile sends a window more. Where the peer's window is what stops the sender nothing grows; nor
//! on a local path, whose window grows into every queue, beyond what fills it.
//!
//! *Owns* the limit. *Does not* count what is written (`send_queue`) or know the stack's memory (`budget`).
//! Invariants: it grows only when it was what stopped the sender, and its user waits; it never exceeds
//! [`TcpOptions::send_buffer_max`]. The limit costs nothing: what was acknowledged is given back, and when the stack's
//! memory is short a user may write a share only, whatever stands here.

use super::budget::MemoryPressure;
use super::congestion::Pacing;
use super::connection::Connection;
use super::gate::SendLimit;
use super::settings::TcpOptions;

/// Windows that the buffer holds: Linux's `tcp_sndbuf_expand`, where CUBIC's 1.7 for what a recovery sends
/// is rounded up.
const WINDOWS: usize = 2;

/// The same for a controller that sets its own rate and goes on at it through a recovery (Linux's
/// `bbr_sndbuf_expand`): what is behind a hole, what left until it was found and filled, and what is written.
const WINDOWS_AT_A_RATE: usize = 3;

/// What fills a local path. A larger buffer is written and read beyond the processor's caches: a quarter of
/// the rate without segmentation offload (docs/choices.md).
const LOCAL_MAX: usize = 2 << 20;

/// The most bytes that may wait to be sent or acknowledged, now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendBuffer {
    limit: usize,
}

impl SendBuffer {
    pub(crate) fn new(options: &TcpOptions) -> Self {
        let limit = options.send_buffer_initial.min(options.send_buffer_max);
        Self { limit }
    }

    pub(crate) const fn limit(self) -> usize {
        self.limit
    }

    /// The user changed the settings: what was grown stays, within them. Says whether there is more room.
    pub(crate) fn set(&mut self, options: &TcpOptions) -> bool {
        let before = self.limit;
        let grown = before.max(options.send_buffer_initial);
        self.limit = grown.min(options.send_buffer_max);
        self.limit > before
    }

    /// Grows to `bytes`, `max` at most; says whether it did.
    fn grow(&mut self, bytes: usize, max: usize) -> bool {
        let grown = bytes.min(max);
        let grows = grown > self.limit;
        if grows {
            self.limit = grown;
        }
        grows
    }
}

impl Connection {
    /// An ACK was processed: grows the buffer if its user waits for room while the windows would take more
    /// than it holds. Only while the stack's memory is plentiful, as windows.
    pub(super) fn expand_send_buffer(&mut self) {
        // All that was written had left when the sender stopped, or all but the end of a segment.
        let all_left = matches!(self.gate.last, SendLimit::Nothing | SendLimit::SmallSegment);
        let plenty = self.rcv.budget.pressure == MemoryPressure::None;
        if !(self.write_armed && all_left && plenty) {
            return;
        }
        let cwnd = usize::try_from(self.congestion.window()).unwrap_or(usize::MAX);
        let max = self.setup.options.send_buffer_max;
        let max = if self.rtt.is_far() {
            max
        } else {
            max.min(LOCAL_MAX)
        };
        let windows = match self.congestion.output().pacing {
            Pacing::Rate(_) => WINDOWS_AT_A_RATE,
            _ => WINDOWS,
        };
        if self.send_buffer.grow(cwnd.saturating_mul(windows), max) {
            self.signal_writable();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(initial: usize, max: usize) -> TcpOptions {
        TcpOptions::default()
            .send_buffer_initial(initial)
            .send_buffer_max(max)
    }

    #[test]
    fn it_lies_within_its_settings() {
        assert_eq!(SendBuffer::new(&options(100, 50)).limit(), 50);
        let mut buffer = SendBuffer::new(&options(100, 1000));
        assert!(!buffer.grow(90, 1000), "it does not shrink with the window");
        assert!(buffer.grow(400, 1000));
        assert!(buffer.grow(2000, 1000) && buffer.limit() == 1000);
        assert!(!buffer.grow(2000, 1000));
        // What was grown stays, and a bound is one at once.
        assert!(!buffer.set(&options(200, 2000)) && buffer.limit() == 1000);
        assert!(buffer.set(&options(1500, 2000)) && buffer.limit() == 1500);
        let fixed = TcpOptions::default().send_buffer(300);
        assert!(!buffer.set(&fixed) && buffer.limit() == 300);
    }
}
