//! The budget for the buffers of all sockets of a stack together, like Linux's `tcp_mem`.
//!
//! *Owns* the sum of what sockets hold, and the line of writers that wait for it to fall. *Does not* know
//! sockets: each is charged after every call that may have changed what it holds, in constant time.
//! Invariants: the sum is that of all charges ([`Stack::check_memory`]); a socket that is gone is charged
//! nothing; a writer stands in line once.

use core::ops::Range;
use std::collections::VecDeque;

use super::counters::Counters;
use super::ids::TcpId;
use super::{Call, Stack};
use crate::tcp::{Budget, MemoryPressure};

/// What the sockets of a stack hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryInfo {
    /// Bytes held: text, what each piece of it costs, records of what was sent, buffers kept to be
    /// filled again, and what the user [holds outside](Stack::charge_outside).
    pub used: usize,
    /// [`Config::socket_memory`](super::Config::socket_memory).
    pub limit: usize,
    /// How short it is.
    pub pressure: MemoryPressure,
    /// The most that was held.
    pub most_used: usize,
}

#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    used: usize,
    most_used: usize,
    /// How short it is with `used`: asked far more often than it changes.
    pressure: MemoryPressure,
    /// Bytes in use below which, and from which on, the pressure is another.
    band: Range<usize>,
    /// What a user holds in front of the stack.
    outside: usize,
    /// Connections whose user wanted to write and was refused for lack of memory.
    writers: VecDeque<TcpId>,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        let (pressure, band) = pressure(0, limit);
        Self {
            limit,
            used: 0,
            most_used: 0,
            pressure,
            band,
            outside: 0,
            writers: VecDeque::new(),
        }
    }

    /// What a user holds in front of the stack.
    pub(super) const fn outside(&self) -> usize {
        self.outside
    }

    /// What is left, for whoever is about to take more.
    #[inline]
    pub(super) fn budget(&self) -> Budget {
        Budget {
            pressure: self.pressure,
            left: self.limit.saturating_sub(self.used),
        }
    }

    pub(super) fn is_short(&self) -> bool {
        self.pressure >= MemoryPressure::Short
    }

    pub(super) fn is_full(&self) -> bool {
        self.pressure == MemoryPressure::Full
    }

    /// A socket that was charged `charged` holds `held` now.
    #[inline]
    pub(super) fn charge(&mut self, charged: &mut usize, held: usize, counters: &mut Counters) {
        if *charged != held {
            self.change(charged, held, counters);
        }
    }

    fn change(&mut self, charged: &mut usize, held: usize, counters: &mut Counters) {
        debug_assert!(self.used >= *charged, "what is charged is part of the sum");
        self.used = self.used.saturating_sub(*charged).saturating_add(held);
        *charged = held;
        self.most_used = self.most_used.max(self.used);
        if !self.band.contains(&self.used) {
            self.change_pressure(counters);
        }
    }

    #[cold]
    fn change_pressure(&mut self, counters: &mut Counters) {
        let before = self.pressure;
        (self.pressure, self.band) = pressure(self.used, self.limit);
        if self.pressure > before {
            counters.memory_short += u64::from(self.pressure == MemoryPressure::Short);
            counters.memory_full += u64::from(self.pressure == MemoryPressure::Full);
        }
    }

    /// A writer was refused; `live` tells who of the line is still there.
    pub(super) fn wait(&mut self, id: TcpId, most: usize, live: impl Fn(TcpId) -> bool) {
        self.writers.push_back(id);
        // Those that are gone leave when their turn comes: not while memory stays short.
        if self.writers.len() > 2 * most + 64 {
            self.writers.retain(|&id| live(id));
        }
    }

    fn info(&self) -> MemoryInfo {
        MemoryInfo {
            used: self.used,
            limit: self.limit,
            pressure: self.pressure,
            most_used: self.most_used,
        }
    }
}

/// How short memory is with `used` of `limit` bytes in use, and from where to where that holds. The
/// proportions are those of Linux's `tcp_mem`.
fn pressure(used: usize, limit: usize) -> (MemoryPressure, Range<usize>) {
    let (steady, short) = (limit / 2, limit / 3 * 2);
    if used >= limit {
        (MemoryPressure::Full, limit..usize::MAX)
    } else if used < steady {
        (MemoryPressure::None, 0..steady)
    } else if used < short {
        (MemoryPressure::Steady, steady..short)
    } else {
        (MemoryPressure::Short, short.max(steady)..limit)
    }
}

impl Stack {
    /// What all sockets together hold, and how short memory is.
    pub fn memory(&self) -> MemoryInfo {
        self.memory.info()
    }

    /// Charges what a user holds in queues of his own in front of the stack's sockets, `bytes` in all: what
    /// he took from them and nobody has used yet. A `Host` tells its datagrams. It counts
    /// from this call to the next, which replaces it; nothing here refuses it.
    pub fn charge_outside(&mut self, bytes: usize) {
        let mut charged = self.memory.outside;
        if bytes == charged {
            return;
        }
        self.note_call(None, |_| Call::ChargeOutside(bytes));
        let counters = &mut self.net.counters;
        self.memory.charge(&mut charged, bytes, counters);
        self.memory.outside = charged;
        self.note_outcome(());
    }

    /// Recounts what all sockets are charged; for tests.
    ///
    /// # Panics
    /// When the sum has drifted from what is held.
    #[doc(hidden)]
    pub fn check_memory(&self) {
        let held = self.tcp_memory()
            + self.udp_memory()
            + self.raw_memory()
            + self.packet_memory()
            + self.memory.outside;
        assert_eq!(self.memory.used, held, "bytes charged and bytes held");
    }

    /// Tells the next writer that memory is to be had again; `false` when nobody waits for it.
    pub(super) fn wake_a_writer(&mut self) -> bool {
        if self.memory.is_short() {
            return false;
        }
        let Some(id) = self.memory.writers.pop_front() else {
            return false;
        };
        self.tcp_memory_eased(id);
        true
    }
}
