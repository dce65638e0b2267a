//! The look at all sockets whether they still have their addresses.
//!
//! An address that is taken away may be that of a million connections, and no call is as long as that takes: they are
//! looked at a few at a time, by a timer, slot by slot. *Owns* how far that has come. *Does not* judge: each table does. Invariants: each
//! socket that was there when its address went is looked at, unless that address has come back before; a step costs the
//! same however many there are.
//!
//! Nothing depends on how soon: what would leave from such an address is dropped, what comes for it is not ours, and a call that
//! asks is told, all from the moment it went.

use crate::base::Instant;
use crate::stack::Stack;
use crate::stack::net::Net;
use crate::stack::wheel::TimerKey;

/// Slots that are looked at for each timer that might have fired instead.
const SLOTS_A_STEP: usize = 16;

/// Slots that are looked at within the call that takes an address away: for few sockets that is all.
const SLOTS_AT_ONCE: usize = 1024;

/// The tables of sockets, in the order of the look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stack) enum Table {
    Connections,
    HalfOpen,
    TimeWait,
    FinWait,
    Farewells,
    Listeners,
    Udp,
    /// Raw and packet ones.
    Raw,
    /// Who stands in line at interfaces that were taken away.
    Lines,
}

impl Table {
    const fn next(self) -> Option<Self> {
        Some(match self {
            Self::Connections => Self::HalfOpen,
            Self::HalfOpen => Self::TimeWait,
            Self::TimeWait => Self::FinWait,
            Self::FinWait => Self::Farewells,
            Self::Farewells => Self::Listeners,
            Self::Listeners => Self::Udp,
            Self::Udp => Self::Raw,
            Self::Raw => Self::Lines,
            Self::Lines => return None,
        })
    }
}

/// How far the look has come.
#[derive(Debug, Default)]
pub(in crate::stack) struct Sweep {
    /// The next table and slot; `None`: nothing is looked for.
    at: Option<(Table, usize)>,
    /// Another address went meanwhile: all are looked at once more.
    again: bool,
}

impl Sweep {
    fn begin(&mut self) {
        match self.at {
            None | Some((Table::Connections, 0)) => self.at = Some((Table::Connections, 0)),
            Some(_) => self.again = true,
        }
    }

    /// This table has no more slots.
    fn end_table(&mut self, table: Table) {
        self.at = table.next().map(|table| (table, 0));
        if self.at.is_none() && core::mem::take(&mut self.again) {
            self.at = Some((Table::Connections, 0));
        }
    }
}

impl Net {
    /// An address went: who had it is looked for.
    pub(in crate::stack) fn sweep_sockets(&mut self, now: Instant) {
        self.sweep.begin();
        self.timers.set(TimerKey::Sweep, Some(now));
    }
}

impl Stack {
    /// Looks at a few sockets; each sixteen take one off `steps`.
    pub(in crate::stack) fn sweep_timeout(&mut self, now: Instant, steps: &mut usize) {
        // Its own timer has paid for the first ones.
        self.sweep(now, SLOTS_A_STEP);
        while *steps > 0 && self.net.sweep.at.is_some() {
            *steps -= 1;
            self.sweep(now, SLOTS_A_STEP);
        }
        let more = self.net.sweep.at.map(|_| now);
        self.net.timers.set(TimerKey::Sweep, more);
    }

    /// The same within a call.
    pub(super) fn sweep_at_once(&mut self, now: Instant) {
        self.sweep(now, SLOTS_AT_ONCE);
        let more = self.net.sweep.at.map(|_| now);
        self.net.timers.set(TimerKey::Sweep, more);
    }

    fn sweep(&mut self, now: Instant, slots: usize) {
        for _ in 0..slots {
            let Some((table, index)) = self.net.sweep.at else {
                return;
            };
            let there = match table {
                Table::Udp => self.udp_sweep(index),
                Table::Raw => self.raw_sweep(index) | self.packet_sweep(index),
                Table::Lines if self.dismiss_one(now, index) => continue,
                Table::Lines => index < self.net.interfaces.len(),
                tcp => self.tcp_sweep(now, tcp, index),
            };
            if there {
                self.net.sweep.at = Some((table, index + 1));
            } else {
                self.net.sweep.end_table(table);
            }
        }
    }
}
