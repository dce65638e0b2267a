//! The host's side of every socket: who is told of an event, and the channels of listeners and
//! UDP sockets.
//!
//! *Owns* the tables from a stack id to its waiters or its channel. *Does not* lock: it lives
//! inside the core. The channel of a listener or a UDP socket *is* its queue (crossbeam). It is filled under the core's lock alone,
//! so that its length bounds it, and its memory is taken as it fills.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender};

use super::datagram::Account;
use super::flow_table::Flow;
use super::poll_list::PollList;
use super::shared::Shared;
use super::tcp::TcpStream;
use super::udp_flows::UdpFlow;
use super::udp_queue::UdpQueue;
use super::waits::Waits;
use crate::base::Instant;
use crate::stack::{
    AcceptError, Change, Event, InterfaceId, ListenerId, PacketSocketId, PingId, RawSocketId,
    Readiness, RecvError, SocketId, Stack, TcpId, UdpId,
};
use crate::tcp::MemoryPressure;

/// All sockets of a host that somebody holds.
pub(crate) struct Sockets {
    me: Weak<Shared>,
    streams: HashMap<TcpId, Arc<Waits>>,
    listeners: HashMap<ListenerId, AcceptQueue>,
    /// Listeners whose users decide about requests.
    requests: HashMap<ListenerId, Arc<Waits>>,
    udp: HashMap<UdpId, UdpQueue>,
    /// Those of them that have flows.
    flowing: BTreeSet<UdpId>,
    pings: HashMap<PingId, Arc<Waits>>,
    raws: HashMap<RawSocketId, Arc<Waits>>,
    packets: HashMap<PacketSocketId, Arc<Waits>>,
    /// Listeners whose channel was not empty when last looked at.
    crowded: Vec<ListenerId>,
    /// Bytes of datagrams that were handed on and that users have not let go of.
    unread: Arc<AtomicUsize>,
    /// Who hears what changes about each interface.
    changes: BTreeMap<InterfaceId, Changes>,
}

/// Where changes of an interface go.
pub(crate) struct Changes {
    sender: Sender<Change>,
    missed: Arc<AtomicU64>,
}

/// Changes that wait for the user; *fixed*, as in the stack.
const CHANGES: usize = 256;

/// The queue of one listener.
pub(crate) struct AcceptQueue {
    pub(crate) streams: Sender<TcpStream>,
    /// The most that wait in it.
    pub(crate) limit: usize,
    /// Told when it ends before the host: the address was taken away.
    pub(crate) over: Arc<AtomicBool>,
    pub(crate) waits: Arc<Waits>,
}

impl Sockets {
    pub(crate) fn new(me: Weak<Shared>) -> Self {
        Self {
            me,
            streams: HashMap::new(),
            listeners: HashMap::new(),
            requests: HashMap::new(),
            udp: HashMap::new(),
            flowing: BTreeSet::new(),
            pings: HashMap::new(),
            raws: HashMap::new(),
            packets: HashMap::new(),
            crowded: Vec::new(),
            unread: Arc::default(),
            changes: BTreeMap::new(),
        }
    }

    /// Empties the tables at the end of the host; what was in them must be told without the lock.
    pub(crate) fn take(&mut self) -> Self {
        let me = self.me.clone();
        std::mem::replace(self, Self::new(me))
    }

    /// Wakes everybody who waits on any socket; channels end with their senders, and before anybody is told.
    pub(crate) fn notify_all(self) {
        let queues = self.listeners.into_values().map(|queue| queue.waits);
        let queues = queues.chain(self.udp.into_values().flat_map(UdpQueue::into_waits));
        let others = self.streams.into_values().chain(self.pings.into_values());
        let others = others.chain(self.raws.into_values()).chain(queues);
        let others = others.chain(self.packets.into_values());
        let all: Vec<_> = others.chain(self.requests.into_values()).collect();
        for waits in all {
            waits.announce(Readiness::all());
        }
    }

    /// Makes the channel of an interface's changes, and what counts those that find no room there.
    pub(crate) fn open_changes(&mut self, on: InterfaceId) -> (Receiver<Change>, Arc<AtomicU64>) {
        let (sender, receiver) = crossbeam_channel::bounded(CHANGES);
        let missed = Arc::<AtomicU64>::default();
        let changes = Changes {
            sender,
            missed: Arc::clone(&missed),
        };
        self.changes.insert(on, changes);
        (receiver, missed)
    }

    /// The interface has gone: its channel ends, behind what is in it.
    pub(crate) fn close_changes(&mut self, on: InterfaceId) {
        self.changes.remove(&on);
    }

    /// Passes on what has changed; was there anything?
    pub(crate) fn tell_changes(&self, stack: &mut Stack, after: &mut After) -> bool {
        let mut any = false;
        while let Some((on, change)) = stack.poll_change() {
            any = true;
            let Some(Changes { sender, missed }) = self.changes.get(&on) else {
                continue;
            };
            if sender.try_send(change).is_err() {
                missed.fetch_add(1, Ordering::Relaxed);
            }
            after.queued = true;
        }
        any
    }

    pub(crate) fn add_stream(&mut self, id: TcpId) -> Arc<Waits> {
        let waits = Arc::new(Waits::default());
        self.streams.insert(id, Arc::clone(&waits));
        waits
    }

    /// Tells `waits` of one more connection.
    #[cfg_attr(not(feature = "dns"), expect(dead_code, reason = "for names"))]
    pub(crate) fn share_stream(&mut self, id: TcpId, waits: &Arc<Waits>) {
        self.streams.insert(id, Arc::clone(waits));
    }

    pub(crate) fn remove_stream(&mut self, id: TcpId) {
        self.streams.remove(&id);
    }

    pub(crate) fn add_listener(&mut self, id: ListenerId, queue: AcceptQueue) {
        self.listeners.insert(id, queue);
    }

    /// Does it wait for connections still? Not after its end, or its host's.
    pub(crate) fn has_listener(&self, id: ListenerId) -> bool {
        self.listeners.contains_key(&id)
    }

    pub(crate) fn remove_listener(&mut self, id: ListenerId) {
        self.listeners.remove(&id);
        self.crowded.retain(|&other| other != id);
    }

    /// Closes them all; who waits on one is to be told.
    pub(crate) fn close_listeners(&mut self, stack: &mut Stack, now: Instant) -> Vec<Arc<Waits>> {
        self.crowded.clear();
        let queues = self.listeners.drain().map(|(id, queue)| (id, queue.waits));
        let all = queues.chain(self.requests.drain());
        all.map(|(id, waits)| {
            stack.tcp_listener_close(now, id);
            waits
        })
        .collect()
    }

    pub(crate) fn add_requests(&mut self, id: ListenerId) -> Arc<Waits> {
        let waits = Arc::new(Waits::default());
        self.requests.insert(id, Arc::clone(&waits));
        waits
    }

    pub(crate) fn remove_requests(&mut self, id: ListenerId) {
        self.requests.remove(&id);
    }

    pub(crate) fn add_udp(&mut self, id: UdpId, queue: UdpQueue) {
        if queue.flows.is_some() {
            self.flowing.insert(id);
        }
        self.udp.insert(id, queue);
    }

    /// What one more socket's datagrams are charged to.
    pub(crate) fn udp_account(&self) -> Arc<Account> {
        Account::within(&self.unread)
    }

    /// Tells the stack what its datagrams hold that users have; users let go of them at any time,
    /// without a word.
    pub(crate) fn charge_unread(&self, stack: &mut Stack) {
        stack.charge_outside(self.unread.load(Ordering::Relaxed));
    }

    /// What a table of flows charges their datagrams to.
    pub(crate) const fn unread(&self) -> &Arc<AtomicUsize> {
        &self.unread
    }

    pub(crate) fn remove_flow(&mut self, id: UdpId, flow: &Arc<Flow>) {
        if let Some(flows) = self.udp.get_mut(&id).and_then(|queue| queue.flows.as_mut()) {
            flows.table.remove(flow);
        }
    }

    /// When a flow may have been silent for too long.
    pub(crate) fn due(&self) -> Instant {
        let queues = self.flowing.iter().filter_map(|id| self.udp.get(id));
        let due = queues.filter_map(|queue| queue.flows.as_ref()?.table.due());
        due.min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Ends flows that were.
    pub(crate) fn handle_timeout(&mut self, now: Instant, after: &mut After) {
        for id in &self.flowing {
            let flows = self.udp.get_mut(id).and_then(|queue| queue.flows.as_mut());
            let Some(flows) = flows else { continue };
            while let Some(flow) = flows.table.expire(now) {
                after.queued = true;
                after.notify(&flow.waits, Readiness::READABLE);
            }
        }
    }

    /// Does it hear still? Not after its end, or its host's.
    pub(crate) fn has_udp(&self, id: UdpId) -> bool {
        self.udp.contains_key(&id)
    }

    pub(crate) fn remove_udp(&mut self, id: UdpId) {
        self.flowing.remove(&id);
        self.udp.remove(&id);
    }

    pub(crate) fn add_ping(&mut self, id: PingId) -> Arc<Waits> {
        let waits = Arc::new(Waits::default());
        self.pings.insert(id, Arc::clone(&waits));
        waits
    }

    pub(crate) fn remove_ping(&mut self, id: PingId) {
        self.pings.remove(&id);
    }

    pub(crate) fn add_raw(&mut self, id: RawSocketId) -> Arc<Waits> {
        let waits = Arc::new(Waits::default());
        self.raws.insert(id, Arc::clone(&waits));
        waits
    }

    pub(crate) fn remove_raw(&mut self, id: RawSocketId) {
        self.raws.remove(&id);
    }

    pub(crate) fn add_packet(&mut self, id: PacketSocketId) -> Arc<Waits> {
        let waits = Arc::new(Waits::default());
        self.packets.insert(id, Arc::clone(&waits));
        waits
    }

    pub(crate) fn remove_packet(&mut self, id: PacketSocketId) {
        self.packets.remove(&id);
    }

    /// Passes an event on to whoever waits for it.
    pub(crate) fn on_event(
        &mut self,
        stack: &mut Stack,
        now: Instant,
        event: Event,
        after: &mut After,
    ) {
        match event.id {
            SocketId::Tcp(id) => {
                let Some(waits) = self.streams.get(&id) else {
                    return;
                };
                if event.ready.contains(Readiness::CONNECTED) {
                    waits.set_connected();
                }
                if event
                    .ready
                    .intersects(Readiness::FAILED | Readiness::CLOSED)
                {
                    waits.set_failed();
                }
                after.notify(waits, event.ready);
            }
            SocketId::Listener(id) => match self.requests.get(&id) {
                Some(waits) => after.notify(waits, event.ready),
                None => self.accept(stack, now, id, after),
            },
            SocketId::Udp(id) => self.receive(stack, now, (id, event.ready), after),
            SocketId::Ping(id) => {
                if let Some(waits) = self.pings.get(&id) {
                    after.notify(waits, event.ready);
                }
            }
            SocketId::Raw(id) => {
                if let Some(waits) = self.raws.get(&id) {
                    after.notify(waits, event.ready);
                }
            }
            SocketId::Packet(id) => {
                if let Some(waits) = self.packets.get(&id) {
                    after.notify(waits, event.ready);
                }
            }
        }
    }

    /// Tells the stack how much room the listeners' channels have by now: users empty them without
    /// a word. Called before frames are handled.
    pub(crate) fn refresh_rooms(&mut self, stack: &mut Stack) {
        let listeners = &self.listeners;
        self.crowded.retain(|id| {
            let waiting = listeners.get(id).map(|queue| queue.set_room(stack, *id));
            waiting.is_some_and(|waiting| waiting > 0)
        });
    }

    /// Moves connections into the listener's channel. It has room: the stack completes no handshake
    /// when it was told that there is none.
    fn accept(&mut self, stack: &mut Stack, now: Instant, id: ListenerId, after: &mut After) {
        let (Some(queue), Some(shared)) = (self.listeners.get(&id), self.me.upgrade()) else {
            return;
        };
        let gone = loop {
            let accepted = match stack.tcp_accept(now, id) {
                Ok(accepted) => accepted,
                Err(error) => break error == AcceptError::AddressGone,
            };
            let waits = Arc::new(Waits::default());
            let stream = TcpStream::new(Arc::clone(&shared), accepted, stack, Arc::clone(&waits));
            self.streams.insert(accepted, waits);
            if let Err(stream) = queue.push(stream) {
                // The receiver is gone: dropping the handle closes the connection, but it takes
                // the lock that is held here.
                after.garbage.push(stream);
            }
        };
        after.queued = true;
        let waits = Arc::clone(&queue.waits);
        if gone {
            // Its channel ends with it; the listener itself goes with its handle.
            queue.over.store(true, Ordering::Relaxed);
            self.remove_listener(id);
        } else {
            queue.set_room(stack, id);
            if !self.crowded.contains(&id) {
                self.crowded.push(id);
            }
        }
        // Who looks at the channel finds what there is to be told.
        after.notify(&waits, Readiness::ACCEPTABLE);
    }

    /// Moves datagrams into the socket's channel; what has no room there is lost and counted, as
    /// a kernel does with a full receive buffer.
    fn receive(
        &mut self,
        stack: &mut Stack,
        now: Instant,
        (id, news): (UdpId, Readiness),
        after: &mut After,
    ) {
        let Some(queue) = self.udp.get_mut(&id) else {
            return;
        };
        loop {
            match stack.udp_recv(id) {
                // Who keeps up has an empty queue, which always takes one.
                Ok(_) if !queue.datagrams.is_empty() && is_full(stack) => queue.note_dropped(),
                Ok(datagram) => {
                    match &mut queue.flows {
                        Some(flows) => flows.take(now, datagram, is_full(stack), after),
                        None => queue.push(datagram),
                    }
                    stack.charge_outside(self.unread.load(Ordering::Relaxed));
                }
                Err(RecvError::WouldBlock) => break,
                Err(error) => {
                    let gone = error == RecvError::AddressGone;
                    queue.gone.fetch_or(gone, Ordering::Relaxed);
                    let over = matches!(error, RecvError::Stale(_) | RecvError::AddressGone);
                    // One error pending is enough.
                    let _ = queue.errors.try_send(error.into());
                    if over {
                        break;
                    }
                }
            }
        }
        after.queued = true;
        after.notify(&queue.waits, news);
    }
}

fn is_full(stack: &Stack) -> bool {
    stack.memory().pressure == MemoryPressure::Full
}

impl AcceptQueue {
    /// Gives it back when there is no room, or nobody to take it.
    fn push(&self, stream: TcpStream) -> Result<(), TcpStream> {
        if self.streams.len() >= self.limit {
            return Err(stream);
        }
        self.streams
            .send(stream)
            .map_err(crossbeam_channel::SendError::into_inner)
    }

    /// Lets the stack complete as many connections as the channel has room for; returns how many wait
    /// in the channel.
    fn set_room(&self, stack: &mut Stack, id: ListenerId) -> usize {
        let waiting = self.streams.len();
        // A listener that was closed has nothing to complete.
        let _ = stack.tcp_listener_room(id, self.limit.saturating_sub(waiting));
        waiting
    }
}

/// What must wait until the core is unlocked.
#[derive(Default)]
pub(crate) struct After {
    /// The first who is to be woken: mostly there is no other, and a list would be allocated.
    first: Option<(Arc<Waits>, Readiness)>,
    others: Vec<(Arc<Waits>, Readiness)>,
    /// Pollers that somebody sleeps on, each once in a row.
    pollers: Vec<Arc<PollList>>,
    garbage: Vec<TcpStream>,
    strays: Vec<UdpFlow>,
    /// Something went into a channel, or onto a poller's list.
    queued: bool,
}

impl After {
    /// A handle that nobody takes is dropped without the lock.
    pub(super) fn discard(&mut self, stray: UdpFlow) {
        self.strays.push(stray);
    }

    /// This has come true.
    pub(super) fn notify(&mut self, waits: &Arc<Waits>, news: Readiness) {
        waits.tell(news);
        if let Some(poller) = waits.tell_poller(news) {
            let known = self.pollers.last();
            if known.is_none_or(|known| !Arc::ptr_eq(known, &poller)) {
                self.pollers.push(poller);
            }
        }
        if waits.is_awaited(news) {
            let waits = (Arc::clone(waits), news);
            match self.first {
                None => self.first = Some(waits),
                Some(_) => self.others.push(waits),
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
            && self.pollers.is_empty()
            && self.garbage.is_empty()
            && self.strays.is_empty()
    }

    /// Was there something for anybody who waits, or may wait, on a channel?
    pub(crate) fn served(&self) -> bool {
        self.queued || !self.is_empty()
    }

    pub(crate) fn run(self) {
        for (waits, news) in self.first.iter().chain(&self.others) {
            waits.notify(*news);
        }
        for poller in &self.pollers {
            poller.signal();
        }
    }
}
