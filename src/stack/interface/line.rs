//! The way out over one device: what the device can do, and who waits for it.
//!
//! *Owns* whether it is up, the outbox, the ready list and whose turn it is, the line of owed RSTs, what is passed on, and what of the device's queue a connection may fill. *Does not* talk to the device: `poll_transmit` does.
//! Nothing here knows of addresses: what is bounded for a device is bounded here, whatever sends over it.

use std::collections::VecDeque;

use super::InterfaceConfig;
use super::outbox::Outbox;
use super::ready::ReadyList;
use super::share::QueueShare;
use crate::device::Capabilities;
use crate::stack::event::SocketId;
use crate::stack::ids::RawId;
use crate::stack::ip::{Leaving, TransitQueue};

/// What a turn costs at least, in small frames: as many as a UDP socket sends in one.
const TURN: usize = 8;

/// A device as senders see it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) capabilities: Capabilities,
    /// The device's own MTU: what is used of it may be less.
    device_mtu: usize,
    /// Does anything leave, and come in? It and what it stands on, if it is a VLAN's, are up.
    up: bool,
    set_up: bool,
    below_up: bool,
    /// The queue that text waits in, where its length matters.
    pub(crate) share: Option<QueueShare>,
    pub(crate) ready: ReadyList,
    /// RSTs that connections owe which are gone, in the order of their turns.
    pub(crate) farewells: VecDeque<RawId>,
    pub(crate) outbox: Outbox,
    /// Sockets that the outbox had no room for, in the order of their refusals, each once.
    pub(in crate::stack) refused: VecDeque<SocketId>,
    /// What is passed on from other interfaces.
    pub(in crate::stack) transit: TransitQueue,
    /// What the device had no room for of a datagram in fragments: it is next, before all others.
    pub(in crate::stack) leaving: Option<Box<Leaving>>,
    /// What the outbox has had, in small frames, that sockets which wait have not had since: the next turns are theirs.
    ahead: usize,
}

impl Line {
    pub(super) fn new(config: &InterfaceConfig, outbox_limit: usize) -> Self {
        Self {
            capabilities: config.capabilities,
            device_mtu: config.capabilities.mtu,
            up: true,
            set_up: true,
            below_up: true,
            // That of a VLAN is that of the interface whose device it shares.
            share: match config.over {
                None => config.shared_segments().map(QueueShare::new),
                Some(_) => None,
            },
            ready: ReadyList::default(),
            farewells: VecDeque::new(),
            outbox: Outbox::new(outbox_limit),
            refused: VecDeque::new(),
            transit: TransitQueue::default(),
            leaving: None,
            ahead: 0,
        }
    }

    /// Is there anything to send? Not while the link is down: it stays.
    pub(crate) fn wants_transmit(&self) -> bool {
        self.up && (!self.outbox.is_empty() || !self.ready.is_empty() || self.leaving.is_some())
    }

    /// Who waited has been told: the place of an interface that was taken away keeps nothing of what stood there.
    pub(in crate::stack) fn forget_ready(&mut self) {
        self.ready = ReadyList::default();
    }

    /// Nothing waits any more but who is to be told.
    pub(super) fn empty(&mut self) {
        self.share = None;
        self.farewells = VecDeque::new();
        self.outbox = Outbox::new(0);
        self.transit = TransitQueue::default();
        self.leaving = None;
        self.ahead = 0;
    }

    /// Is the link up?
    pub(crate) const fn is_up(&self) -> bool {
        self.up
    }

    /// Its user says whether it is up; did it become otherwise by that?
    pub(in crate::stack) const fn set_up(&mut self, up: bool) -> bool {
        self.set_up = up;
        self.settle()
    }

    /// The same of the interface whose device it shares.
    pub(in crate::stack) const fn set_below_up(&mut self, up: bool) -> bool {
        self.below_up = up;
        self.settle()
    }

    const fn settle(&mut self) -> bool {
        let up = self.set_up && self.below_up;
        let changed = self.up != up;
        self.up = up;
        changed
    }

    /// The device is another interface's, which carries that much.
    pub(in crate::stack) const fn set_device_mtu(&mut self, mtu: usize) {
        self.device_mtu = mtu;
    }

    /// The most that packets may have here.
    pub(in crate::stack) const fn device_mtu(&self) -> usize {
        self.device_mtu
    }

    /// Is it the outbox's turn? It and the sockets take turns, while both have something. But what waited for a neighbour
    /// goes first: it is older than what its sockets have now, and no more than a neighbour's queue holds.
    pub(crate) fn is_turn_of_outbox(&self) -> bool {
        let others = self.ahead == 0 || self.ready.is_empty();
        !self.outbox.is_empty() && (others || self.outbox.holds_resolved())
    }

    /// The next of those whom the outbox refused that is to be told of room, if `told` were before it: as many at once as may find
    /// some, and all when nobody who was told has used it.
    pub(in crate::stack) fn next_refused(&mut self, told: usize) -> Option<SocketId> {
        let may = self.outbox.is_empty()
            || (self.outbox.is_half_free() && told < (self.outbox.limit() / 2).max(1));
        if may { self.refused.pop_front() } else { None }
    }

    /// The outbox had a turn that cost so much. One packet may go in many fragments: the sockets that wait have as many turns
    /// as that is worth, while a flood of them comes.
    pub(crate) fn outbox_had(&mut self, cost: usize) {
        self.ahead = if self.ready.is_empty() {
            0
        } else {
            cost.max(TURN)
        };
    }

    /// A socket had a turn.
    pub(crate) const fn socket_had(&mut self) {
        self.ahead = self.ahead.saturating_sub(TURN);
    }
}
