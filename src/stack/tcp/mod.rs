//! TCP in the stack: the tables of connections, listeners and records, and what joins them to the
//! demultiplexer, the timers, the events and the way out.
//!
//! RFC 9293 §3.10. *Owns* which data exists for a connection: a listener, a small half-open record,
//! a boxed connection, a small TIME-WAIT record. *Does not* know TCP's rules: `crate::tcp` does.

mod api;
mod bare;
#[cfg(test)]
mod black_hole_tests;
#[cfg(test)]
mod budget_tests;
mod by_peer;
mod charge;
mod connect;
mod cookie;
mod error;
mod establish;
mod farewells;
mod fast_open;
#[cfg(test)]
mod fast_open_tests;
mod fin_waits;
mod follow;
mod gone;
#[cfg(test)]
mod gone_tests;
#[cfg(test)]
mod hostile_tests;
mod icmp;
#[cfg(test)]
mod leaving_tests;
mod listen;
mod listen_options;
mod listener;
mod numbers;
#[cfg(test)]
mod path_tests;
mod receive;
#[cfg(test)]
mod regression_tests;
mod requests;
#[cfg(test)]
mod requests_tests;
#[cfg(test)]
mod reuse_tests;
mod send;
mod settings;
#[cfg(test)]
mod share_tests;
mod shared_options;
mod sizes;
#[cfg(test)]
mod tests;
mod time_waits;
mod warm;
#[cfg(test)]
mod warm_tests;

use core::net::SocketAddr;
use core::num::NonZeroU16;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

pub use error::{AcceptError, ConnectError, ListenError};
pub use listen_options::ListenOptions;
pub use requests::{AdmitError, ConnectRequest, Refusal, RequestCall};

use super::Stack;
use super::config::TimeWaitReuse;
use super::endpoint::endpoint;
use super::event::{Readiness, SocketId};
use super::ids::{Id, InterfaceId, ListenerId, RawId, Slab, StaleId, TcpId};
use super::net::Net;
use super::packet::{Flow, Label, Manner, Waiter};
use super::path::Path;
use super::tcp_flows::{TcpEntry, TcpFlows};
use super::tuple::Tuple;
use super::wheel::TimerKey;
use crate::base::{Instant, Seed};
use crate::tcp::{
    COOKIE_LIFE, Connection, Cookies, HalfOpen, IsnGenerator, Signals, State, TcpOptions, TimeWait,
};
use farewells::Farewells;
use fast_open::{FastOpens, FastQueue};
use fin_waits::FinWaits;
use requests::Holding;
use shared_options::SharedOptions;
use sizes::{default_mss, headers_of, path_mss};
use time_waits::{Name, Previous, TimeWaits};
use warm::{Lines, Standing};

/// A connection and its place in the stack.
#[derive(Debug)]
struct Slot {
    /// Has the ports of its name.
    connection: Box<Connection>,
    /// Has the addresses of its name.
    path: Path,
    /// Does the demultiplexer lead here? Not after the last segment that concerns it.
    reachable: bool,
    /// Is it deaf to what comes in on other interfaces than its path's?
    held: bool,
    standing: Standing,
    /// What it is charged of the stack's memory.
    charged: usize,
    /// Does it stand in the line of writers that wait for memory?
    waits_for_memory: bool,
}

/// A half-open record and its place.
#[derive(Debug)]
struct HalfOpenSlot {
    record: HalfOpen,
    tuple: Tuple,
    on: InterfaceId,
    listener: ListenerId,
    /// The TIME-WAIT that its SYN ended, and that goes on if the SYN was an old duplicate.
    previous: Option<Box<Previous>>,
}

/// A listener and those it has not handed out.
#[derive(Debug)]
struct Listener {
    local: SocketAddr,
    /// The only interface that it hears.
    on: Option<InterfaceId>,
    options: Arc<TcpOptions>,
    backlog: usize,
    /// Complete connections that may wait here: the backlog, or what a host's channel has room for.
    room: usize,
    half_open: usize,
    /// Is a SYN past the backlog answered with a cookie?
    syn_cookies: bool,
    /// When the last cookie left.
    cookie_sent: Option<Instant>,
    complete: VecDeque<TcpId>,
    /// None without fast open.
    fast: Option<Box<FastQueue>>,
    /// None where SYNs are answered as they come.
    holding: Option<Box<Holding>>,
}

/// Whose a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Connection(TcpId),
    HalfOpen(RawId),
    TimeWait(u32),
    FinWait(RawId),
}

/// TCP's tables.
#[derive(Debug)]
pub(crate) struct Tcp {
    slots: Slab<TcpId, Slot>,
    half_open: Slab<RawId, HalfOpenSlot>,
    time_wait: TimeWaits,
    fin_wait: FinWaits,
    farewells: Farewells,
    listeners: Slab<ListenerId, Listener>,
    lines: Lines,
    isn: IsnGenerator,
    cookies: Cookies,
    fast: FastOpens,
    options: SharedOptions,
    /// Connections that nobody holds any more.
    orphans: usize,
    /// Connections that the demultiplexer leads to.
    reachable: usize,
    /// The slices of the frame that is being sent; reused.
    payload: Vec<Bytes>,
}

impl Tcp {
    pub(super) fn new(seed: &Seed, reuse: TimeWaitReuse) -> Self {
        Self {
            slots: Slab::new(),
            half_open: Slab::new(),
            time_wait: TimeWaits::new(reuse),
            fin_wait: FinWaits::new(),
            farewells: Farewells::new(),
            listeners: Slab::new(),
            lines: Lines::default(),
            isn: IsnGenerator::new(seed),
            cookies: Cookies::new(seed),
            fast: FastOpens::new(seed),
            options: SharedOptions::default(),
            orphans: 0,
            reachable: 0,
            payload: Vec::new(),
        }
    }

    /// Who has this flow?
    fn owner(&self, flows: &TcpFlows, tuple: &Tuple) -> Option<Owner> {
        match flows.candidate(tuple)? {
            TcpEntry::Connection(index) => {
                let (id, slot) = self.slots.at(index)?;
                (slot.tuple() == *tuple).then_some(Owner::Connection(id))
            }
            TcpEntry::HalfOpen(index) => {
                let (raw, slot) = self.half_open.at(index)?;
                (slot.tuple == *tuple).then_some(Owner::HalfOpen(raw))
            }
            TcpEntry::TimeWait(index) => {
                let (name, _) = self.time_wait.get(index)?;
                (name.tuple == *tuple).then_some(Owner::TimeWait(index))
            }
            TcpEntry::FinWait(index) => {
                let (raw, slot) = self.fin_wait.at(index)?;
                (slot.tuple == *tuple).then_some(Owner::FinWait(raw))
            }
        }
    }

    /// How many connections there are, and how many smaller records.
    pub(super) fn census(&self) -> (usize, usize) {
        let records = self.half_open.len() + self.time_wait.len() + self.fin_wait.len();
        let others = self.farewells.len() + self.listeners.len();
        (self.slots.len(), records + others)
    }

    /// The connection that a user may name; an orphan is nobody's any more.
    fn live(&self, id: TcpId) -> Result<&Slot, StaleId> {
        self.slots
            .get(id)
            .filter(|slot| !slot.connection.orphan)
            .ok_or(StaleId)
    }
}

impl Listener {
    /// What its segments leave with.
    fn manner(&self) -> Manner {
        Manner {
            ttl: self.options.ttl_setting(),
            tos: self.options.tos_setting(),
            label: Label::asked(self.options.flow_label_setting()),
        }
    }

    /// Is there no room for another request?
    fn is_full(&self) -> bool {
        self.is_crowded() || !self.has_room()
    }

    /// Are there as many half-open requests as there may be?
    fn is_crowded(&self) -> bool {
        self.half_open >= self.backlog
    }

    /// May another complete connection wait?
    fn has_room(&self) -> bool {
        self.complete.len() < self.room
    }

    /// May an ACK bring a cookie of ours back?
    fn expects_cookies(&self, now: Instant) -> bool {
        self.cookie_sent
            .is_some_and(|sent| now.since(sent) < COOKIE_LIFE)
    }
}

impl Slot {
    /// The name that the demultiplexer has it by.
    #[inline]
    fn tuple(&self) -> Tuple {
        let (Path { on, flow, .. }, setup) = (&self.path, &self.connection.setup);
        let (local, remote) = (setup.local_port, setup.remote_port);
        Tuple::new(*on, (flow.src, local), (flow.dst, remote))
    }

    /// The demultiplexer leads here no more, and it waits for no neighbour.
    fn leave(&mut self, net: &mut Net, id: TcpId) {
        self.reachable = false;
        let Flow { src, next_hop, .. } = self.path.flow;
        net.forget_waiter(self.path.on, src, next_hop, Waiter::Tcp(id));
    }

    fn local(&self) -> SocketAddr {
        let port = self.connection.setup.local_port;
        endpoint(self.path.on, self.path.flow.src, port)
    }

    fn remote(&self) -> SocketAddr {
        let port = self.connection.setup.remote_port;
        endpoint(self.path.on, self.path.flow.dst, port)
    }
}

impl Stack {
    /// Gives a connection its slot, its way from the demultiplexer and its events. Nobody else has its tuple:
    /// whoever calls has looked.
    fn enter(&mut self, mut connection: Box<Connection>, path: Path) -> TcpId {
        self.net.begin_in_queue(path.on, &mut connection);
        let slot = Slot {
            connection,
            path,
            reachable: true,
            held: false,
            standing: Standing::default(),
            charged: 0,
            waits_for_memory: false,
        };
        let tuple = slot.tuple();
        let id = self.tcp.slots.insert(slot);
        let entry = TcpEntry::Connection(id.index());
        let free = self.demux.tcp.flows.insert(&tuple, entry);
        debug_assert!(free.is_ok(), "the tuple is free");
        self.events.register(SocketId::Tcp(id));
        self.tcp.reachable += 1;
        id
    }

    /// CLOSED: nothing reaches the connection any more; its user may still read, and ask why.
    fn end_tcp(&mut self, id: TcpId) {
        self.net.timers.set(TimerKey::Tcp(id.index()), None);
        self.unlink_tcp(id);
        self.free_if_orphan(id);
    }

    /// TIME-WAIT goes on as a record; what was not read stays with the connection (r15).
    fn enter_time_wait(&mut self, now: Instant, id: TcpId) {
        let Some(slot) = self.tcp.slots.get_mut(id) else {
            return;
        };
        if slot.reachable {
            slot.leave(&mut self.net, id);
            self.tcp.reachable -= 1;
            let record = TimeWait::of(&slot.connection);
            let owes = slot.connection.take_owed_ack();
            let (tuple, path) = (slot.tuple(), slot.path);
            let name = Name::of(slot);
            let end = now + self.config.time_wait;
            // What its user still holds is CLOSED from then on.
            let timer = TimerKey::Tcp(id.index());
            self.net.timers.set(timer, Some(end));
            let before = TcpEntry::Connection(id.index());
            self.begin_time_wait(end, &name, record, Some(before));
            if owes {
                self.queue_bare(path.on, &path.flow, &tuple, &record.ack(now));
            }
        }
        self.free_if_orphan(id);
    }

    /// A name waits until `end`: that of `before`, or one that is free.
    fn begin_time_wait(
        &mut self,
        end: Instant,
        name: &Name,
        record: TimeWait,
        before: Option<TcpEntry>,
    ) {
        let table = &mut self.demux.tcp;
        if self.tcp.time_wait.len() >= self.config.time_wait_limit {
            self.net.counters.tcp_time_wait_full += 1;
            if let Some(before) = before {
                table.remove_flow(&name.tuple, before);
            }
            self.note_end(&name.tuple, record.snd_nxt());
            return;
        }
        let entry = TcpEntry::TimeWait(self.tcp.time_wait.insert(name, record, end));
        match before {
            Some(before) => table.flows.replace(&name.tuple, before, entry),
            None => {
                let free = table.flows.insert(&name.tuple, entry);
                debug_assert!(free.is_ok(), "its last owner gave the name up");
            }
        }
        self.set_time_wait_timer();
    }

    fn unlink_tcp(&mut self, id: TcpId) {
        if let Some(slot) = self.tcp.slots.get_mut(id)
            && slot.reachable
        {
            slot.leave(&mut self.net, id);
            self.tcp.reachable -= 1;
            let entry = TcpEntry::Connection(id.index());
            let (tuple, nxt) = (slot.tuple(), slot.connection.snd.nxt);
            self.demux.tcp.remove_flow(&tuple, entry);
            self.note_end(&tuple, nxt);
        }
    }

    fn free_if_orphan(&mut self, id: TcpId) {
        if self
            .tcp
            .slots
            .get(id)
            .is_some_and(|slot| slot.connection.orphan)
        {
            self.net.timers.set(TimerKey::Tcp(id.index()), None);
            if let Some(mut slot) = self.tcp.slots.remove(id) {
                let counters = &mut self.net.counters;
                self.memory.charge(&mut slot.charged, 0, counters);
            }
            self.tcp.orphans -= 1;
        }
    }

    // --- timers ---------------------------------------------------------------------------

    pub(super) fn tcp_timeout(&mut self, now: Instant, index: u32) {
        let (slots, mut around) = self.slots_and_around();
        let Some((id, slot)) = slots.at_mut(index) else {
            return;
        };
        if slot.connection.state == State::TimeWait {
            slot.connection.on_two_msl();
            return;
        }
        let reset = slot.connection.on_timeout(now);
        if slot.connection.failure.is_some() {
            around.net.counters.tcp_timed_out += 1;
        }
        if reset.is_some() {
            self.owe_reset(id, reset);
            return self.after_tcp(now, id);
        }
        let rest = slot.follow(id, &mut around);
        self.finish(now, id, &rest);
    }

    /// The records that have waited long enough are forgotten, as many as there are `steps`.
    pub(super) fn tcp_time_wait_timeout(&mut self, now: Instant, steps: &mut usize) {
        while *steps > 0
            && let Some((index, end)) = self.tcp.time_wait.first()
            && end <= now
        {
            *steps -= 1;
            self.remove_time_wait(index);
        }
        self.set_time_wait_timer();
    }

    fn set_time_wait_timer(&mut self) {
        let first = self.tcp.time_wait.first().map(|(_, end)| end);
        self.net.timers.set(TimerKey::TimeWait, first);
    }

    fn remove_time_wait(&mut self, index: u32) -> Option<TimeWait> {
        let (name, record) = self.tcp.time_wait.remove(index)?;
        let entry = TcpEntry::TimeWait(index);
        self.demux.tcp.remove_flow(&name.tuple, entry);
        Some(record)
    }

    /// Where the answers of a record without a connection go, by the routes of now.
    fn answer_flow(&self, tuple: &Tuple, on: InterfaceId, asked: Manner) -> Option<Flow> {
        let ends = (Some(tuple.local.ip), tuple.remote.ip);
        let found = self.net.answer_flow(on, ends, asked).ok()?;
        Some(found.0)
    }
}

fn readiness(signals: Signals) -> Readiness {
    Readiness::from_bits_truncate(signals.bits())
}

// They have the same bits.
const _: () = {
    let pairs = [
        (Signals::READABLE, Readiness::READABLE),
        (Signals::WRITABLE, Readiness::WRITABLE),
        (Signals::CONNECTED, Readiness::CONNECTED),
        (Signals::CLOSED, Readiness::CLOSED),
        (Signals::FAILED, Readiness::FAILED),
        (Signals::URGENT, Readiness::URGENT),
    ];
    let mut at = 0;
    while at < pairs.len() {
        assert!(pairs[at].0.bits() == pairs[at].1.bits());
        at += 1;
    }
};

/// The size that a segment is cut by, when there is more than one in a frame.
type Cut = Option<NonZeroU16>;
