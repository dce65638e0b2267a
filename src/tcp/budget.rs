//! What a connection may do with what the stack's budget for memory leaves (`Config::socket_memory`).
//!
//! A connection is told before each call into it how short memory is. When it is short, a window, and
//! what the user may write, is a share of what is left: who holds much gets nothing more, who holds
//! little goes on, and some is always left (dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on
//! Networking 6(2), 1998). When nothing is left, a connection that holds next to nothing still has a
//! window of four segments, and as much to send, as Linux's `rcv_ssthresh` under memory pressure.
//!
//! *Owns* these rules. *Does not* count what is held: the stack does.
//! Invariants: the right edge of the window is never moved back, it stops; text that was acknowledged, or
//! reported by SACK, is kept.

use crate::base::DropReason;

use super::connection::Connection;
use super::part::Part;
use super::receive::{Arrived, Receive};
use super::seq::SeqNum;

/// What a connection may hold whatever others do: four segments, at most this, and one at least.
const LEAST: usize = 16 << 10;
/// The share of what is left that one connection may hold in one direction: an eighth.
const SHARES: usize = 8;

/// How short a stack's memory for sockets is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MemoryPressure {
    /// Less than half of it is used.
    #[default]
    None,
    /// Half of it: windows grow no more.
    Steady,
    /// Two thirds: windows and send buffers shrink to a share of what is left, idle buffers go.
    Short,
    /// All of it: new connections, and text that is not acknowledged yet, are refused.
    Full,
}

/// What the stack leaves a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) pressure: MemoryPressure,
    /// Bytes that nobody uses.
    pub(crate) left: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            pressure: MemoryPressure::None,
            left: usize::MAX,
        }
    }
}

impl Budget {
    /// The most of `limit` bytes that a connection with segments of `mss` may hold now, which holds
    /// `held` of them.
    fn share(self, limit: usize, held: usize, mss: u32) -> usize {
        let least = least(mss);
        let share = if self.pressure < MemoryPressure::Short {
            self.left.saturating_add(held)
        } else {
            self.left / SHARES
        };
        limit.min(share.max(least))
    }
}

/// What a connection with segments of this size may hold at any time.
fn least(mss: u32) -> usize {
    let segment = usize::try_from(mss).unwrap_or(LEAST);
    (4 * segment).min(LEAST).max(segment)
}

impl Receive {
    /// Bytes that the window may still promise.
    pub(super) fn free(&self) -> u32 {
        let free = self.share().saturating_sub(self.queue.len());
        u32::try_from(free).unwrap_or(u32::MAX)
    }

    /// Bytes that the window may promise with what was not read, as the budget has them.
    pub(super) fn share(&self) -> usize {
        let promise = self.promise();
        let share = self.budget.share(promise, self.queue.len(), self.mss);
        // Below a unit of the scale a window cannot be told.
        share.max(1 << self.scale.shift()).min(promise)
    }

    /// Cuts what there is no memory for off text that is about to be held; it was never here: neither
    /// acknowledged nor reported. A FIN behind it was not, either.
    /// Returns whether it is to be taken.
    pub(super) fn fit(
        &self,
        start: SeqNum,
        text: &mut Part<'_>,
        fin: bool,
        arrived: &mut Arrived,
    ) -> bool {
        let next = start == self.nxt;
        // What waits behind a gap must not keep out what closes it: the user could never read it.
        let behind = if next { 0 } else { self.assembler.len() };
        let held = self.queue.len() + behind;
        let room = least(self.mss).saturating_sub(held).max(self.budget.left);
        if text.len() <= room || (next && self.is_shut_down()) {
            return fin;
        }
        arrived.dropped = Some(DropReason::TcpMemory);
        // What follows a gap is held for longer, and helps nobody yet.
        text.truncate(if next { room } else { 0 });
        false
    }
}

impl Connection {
    /// Bytes that the user may write now: as the send buffer has room, and the budget.
    pub(crate) fn write_room(&self) -> usize {
        self.write_share().saturating_sub(self.snd.queue.len())
    }

    /// The part of the send buffer that the budget leaves.
    fn write_share(&self) -> usize {
        let buffer = self.send_buffer.limit();
        let held = self.snd.queue.len();
        self.rcv.budget.share(buffer, held, self.smss())
    }

    /// Is a writer worth waking: has it a third of the buffer (as Linux does), or of its share?
    ///
    /// A writer woken for every segment would only fall asleep again.
    pub(super) fn has_write_room(&self) -> bool {
        self.write_room() >= (self.write_share() / 3).max(1)
    }

    /// Does the user want room that the buffer has and the budget had not, when it was last looked at?
    pub(crate) fn is_short_of_memory(&self) -> bool {
        self.short_of_memory
    }

    /// The same; it is taken over by the caller.
    pub(crate) fn take_short_of_memory(&mut self) -> bool {
        core::mem::take(&mut self.short_of_memory)
    }

    /// Memory is to be had again: tells the writer that waits for it.
    pub(crate) fn on_memory_eased(&mut self) {
        self.signal_writable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_never_falls_below_four_segments() {
        let short = |left| Budget {
            pressure: MemoryPressure::Short,
            left,
        };
        for (left, limit, mss, share) in [
            (usize::MAX, 4 << 20, 1448, 4 << 20),
            (8 << 20, 4 << 20, 1448, 1 << 20),
            (8 << 20, 1000, 1448, 1000),
            (0, 4 << 20, 1448, 5792),
            (0, 4 << 20, 9000, 16 << 10),
            (0, 4 << 20, 65_000, 65_000),
        ] {
            assert_eq!(short(left).share(limit, 0, mss), share, "{left} left");
        }
        assert_eq!(Budget::default().share(100, 50, 1448), 100);
        let steady = Budget {
            pressure: MemoryPressure::Steady,
            left: 10_000,
        };
        assert_eq!(steady.share(4 << 20, 3000, 1448), 13_000);
    }
}
