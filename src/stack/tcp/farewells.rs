//! RSTs that connections owe their peers when they are gone: each waits until the device took it.
//!
//! RFC 9293 §3.10.5. A record of a RST takes the place of a connection with its buffers, and holds no
//! name: a new connection may have that at once. *Owns* the records, and when they are given up.
//! *Does not* answer segments that belong to nobody: those are refused through the outbox, and come
//! again when that is full.
//!
//! There are as many as there were connections, and records of them, at one time, at most. A record ends when its RST has
//! left, when no route or no neighbour leads to the peer, or, with a device that takes nothing, after
//! the time of TIME-WAIT, a second at least.

use core::net::IpAddr;
use core::time::Duration;

use super::time_waits::Name;
use super::{HalfOpenSlot, Slot};
use crate::base::{DropReason, Instant, Protocol};
use crate::device::{DeviceError, Transmit};
use crate::stack::Stack;
use crate::stack::ids::{InterfaceId, RawId, Slab, TcpId};
use crate::stack::ip::Outbound;
use crate::stack::packet::{Delivery, Fragmenting, Manner, Summed, Waiter};
use crate::stack::transmit::{FrameBudget, SenderTurn};
use crate::stack::wheel::TimerKey;
use crate::tcp::Reset;

// Frames before others have their turn; as many as a connection's.
const TURN: usize = 4;

// Without TIME-WAIT, too, a device may be full for a moment.
const LEAST_LIFE: Duration = Duration::from_secs(1);

/// A RST, and where it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Farewell {
    name: Name,
    reset: Reset,
    /// When it is given up.
    until: Instant,
    /// Its gateway died, and it waits for another.
    rerouted: bool,
}

impl Farewell {
    /// The address that it is to leave from.
    pub(super) const fn local(&self) -> IpAddr {
        self.name.tuple.local.ip
    }

    pub(super) const fn on(&self) -> InterfaceId {
        self.name.on
    }
}

/// All of them; the lines are the interfaces'.
pub(super) type Farewells = Slab<RawId, Farewell>;

impl Stack {
    /// Queues the RST that a connection owes its peer as it ends.
    pub(super) fn owe_reset(&mut self, id: TcpId, reset: Option<Reset>) {
        let Some(reset) = reset else { return };
        let Some(slot) = self.tcp.slots.get(id) else {
            return;
        };
        if slot.reachable {
            self.say_farewell(Name::of(slot), reset);
        }
    }

    /// Queues the RST of what had this name.
    pub(super) fn say_farewell(&mut self, name: Name, reset: Reset) {
        // A device that takes nothing must not make us remember more than there ever was.
        let tcp = &self.tcp;
        let most = tcp.slots.places() + tcp.half_open.places() + tcp.fin_wait.places();
        if self.tcp.farewells.len() >= most {
            self.net.counters.drops.count(DropReason::OutboxFull);
            return;
        }
        let first = self.tcp.farewells.len() == 0;
        let until = self.net.now + self.farewell_life();
        let farewell = Farewell {
            name,
            reset,
            until,
            rerouted: false,
        };
        let id = self.tcp.farewells.insert(farewell);
        self.net.wake(name.on, Waiter::Farewell(id));
        if first {
            self.net.timers.set(TimerKey::Farewells, Some(until));
        }
    }

    /// Resets the `count` half-open connections that are meant. One walk, for a call that comes once.
    pub(super) fn reset_half_open(
        &mut self,
        count: usize,
        is_meant: impl Fn(&HalfOpenSlot) -> bool,
    ) {
        let all = self.tcp.half_open.iter();
        let meant = all.filter(|(_, slot)| is_meant(slot)).map(|(raw, _)| raw);
        let meant: Vec<_> = meant.take(count).collect();
        for raw in meant {
            if let Some(slot) = self.end_half_open(raw) {
                self.say_farewell(self.name_of_half(&slot), slot.record.reset());
            }
        }
    }

    /// Lets a few RSTs leave.
    pub(in crate::stack) fn transmit_farewells<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<SenderTurn, DeviceError> {
        let most = TURN.saturating_sub(budget.turn().frames);
        for _ in 0..most.min(budget.left()) {
            let line = &mut self.net.interfaces[on.index()].line.farewells;
            let Some(&id) = line.front() else {
                return Ok(SenderTurn::Done);
            };
            let delivery = self.transmit_farewell(now, on, id, out)?;
            if delivery == Delivery::Full {
                return Ok(SenderTurn::Full);
            }
            self.net.interfaces[on.index()].line.farewells.pop_front();
            if delivery != Delivery::Unresolved {
                // Else its neighbour, or its address, puts it in line again.
                self.remove_farewell(id);
                budget.spend(1);
            }
        }
        Ok(SenderTurn::More)
    }

    fn transmit_farewell<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        id: RawId,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let Some(&Farewell { name, reset, .. }) = self.tcp.farewells.get(id) else {
            return Ok(Delivery::Dropped);
        };
        let Some(flow) = self.answer_flow(&name.tuple, name.on, name.manner()) else {
            self.net.counters.drops.count(DropReason::NoRoute);
            return Ok(Delivery::Dropped);
        };
        let (header, len) = super::bare::bare_header(&name.tuple, &reset.bare(now));
        let packet = Outbound {
            fragmenting: Fragmenting::Never,
            summed: Summed::Yes,
            mtu: u16::MAX,
            flow: &flow,
            protocol: Protocol::TCP,
            header: &header[..len],
            payload: &[],
            segment: None,
            ect: false,
        };
        let delivery = self.net.send(now, on, Waiter::Farewell(id), &packet, out)?;
        if delivery == Delivery::Taken {
            self.net.counters.tcp_segments_sent += 1;
            self.net.counters.tcp_resets_sent += 1;
        }
        Ok(delivery)
    }

    /// Its neighbour does not answer, or its address is a duplicate. Once it may leave over another
    /// gateway, as what its connection sends would (RFC 1122 §3.3.1.4).
    pub(in crate::stack) fn farewell_failed(&mut self, id: RawId) {
        let Some(&Farewell { name, rerouted, .. }) = self.tcp.farewells.get(id) else {
            return;
        };
        let on = name.on;
        let flow = self.answer_flow(&name.tuple, on, name.manner());
        let now = self.net.now;
        let lives = |gateway| !self.net.paths.routes.is_dead(now, on, gateway);
        if !rerouted && flow.is_some_and(|f| f.next_hop != f.dst && lives(f.next_hop)) {
            if let Some(farewell) = self.tcp.farewells.get_mut(id) {
                farewell.rerouted = true;
            }
            self.net.wake(on, Waiter::Farewell(id));
            return;
        }
        if self.remove_farewell(id) {
            let drops = &mut self.net.counters.drops;
            drops.count(DropReason::NeighbourUnresolved);
        }
    }

    /// How long a RST waits for a device that takes nothing.
    fn farewell_life(&self) -> Duration {
        self.config.time_wait.max(LEAST_LIFE)
    }

    pub(super) fn remove_farewell(&mut self, id: RawId) -> bool {
        let was_there = self.tcp.farewells.remove(id).is_some();
        if self.tcp.farewells.len() == 0 {
            self.net.timers.set(TimerKey::Farewells, None);
        }
        was_there
    }

    /// The oldest have waited for the device long enough. Those that wait for a neighbour end with it.
    pub(in crate::stack) fn farewells_timeout(&mut self, now: Instant, steps: &mut usize) {
        let mut next: Option<Instant> = None;
        for interface in self.net.interfaces.all_mut() {
            while let Some(&id) = interface.line.farewells.front() {
                let until = self.tcp.farewells.get(id).map(|farewell| farewell.until);
                if let Some(until) = until.filter(|&until| until > now || *steps == 0) {
                    next = Some(next.map_or(until, |next| next.min(until)));
                    break;
                }
                interface.line.farewells.pop_front();
                *steps = steps.saturating_sub(1);
                if self.tcp.farewells.remove(id).is_some() {
                    self.net.counters.drops.count(DropReason::OutboxFull);
                }
            }
        }
        if next.is_none() && self.tcp.farewells.len() > 0 {
            // All wait for neighbours, and may yet come back to their lines.
            next = Some(now + self.farewell_life());
        }
        self.net.timers.set(TimerKey::Farewells, next);
    }
}

impl Name {
    pub(super) fn of(slot: &Slot) -> Self {
        Self {
            tuple: slot.tuple(),
            on: slot.path.on,
            ttl: slot.path.flow.ttl,
            tos: slot.path.flow.tos,
            label: slot.path.flow.label,
        }
    }

    /// How its segments leave.
    pub(super) const fn manner(&self) -> Manner {
        Manner {
            ttl: Some(self.ttl),
            tos: self.tos,
            label: self.label,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a hundred thousand resets at once cost is this and a place in line.
    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Farewell>() <= 96, "{}", size_of::<Farewell>());
    }
}
