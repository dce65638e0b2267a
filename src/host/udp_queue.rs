//! Where the datagrams of a UDP socket go: its channel, or its flows.
//!
//! *Owns* the bounds of the channel, and that a flow's first datagram makes its handle. *Does not* part them: `flow_table` does. Filled under
//! the core's lock alone, so that a channel's length bounds it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender};

use super::datagram::{Account, Datagram};
use super::flow_table::{FlowTable, Pushed};
use super::sockets::After;
use super::udp::WeakSocket;
use super::udp_flows::UdpFlow;
use super::waits::Waits;
use crate::base::Instant;
use crate::stack::Readiness;

/// Datagrams that a socket's channel holds, whatever their size: with the byte limit, the same as a Linux socket holds of small ones
/// (`net.core.rmem_default` over its 768 bytes each).
const QUEUE_DATAGRAMS: usize = 1024;

/// What a socket may be asked for without its handle.
pub(super) struct Queues {
    pub(super) datagrams: Receiver<Datagram>,
    pub(super) errors: Receiver<io::Error>,
    pub(super) peeked: Receiver<Datagram>,
}

impl Queues {
    pub(super) fn datagram(&self) -> bool {
        !self.datagrams.is_empty() || !self.peeked.is_empty()
    }

    pub(super) fn error(&self) -> bool {
        !self.errors.is_empty()
    }
}

/// The queue of one UDP socket.
pub(crate) struct UdpQueue {
    pub(crate) datagrams: Sender<Datagram>,
    /// One pending error, as a socket's `so_error` is one.
    pub(crate) errors: Sender<io::Error>,
    /// Bytes in the channel, and of datagrams that the user still holds.
    pub(crate) account: Arc<Account>,
    /// The most that may be charged to it.
    pub(crate) limit: usize,
    pub(crate) dropped: Arc<AtomicUsize>,
    /// Did the stack say that the socket's address is gone? It may have come back since.
    pub(crate) gone: Arc<AtomicBool>,
    pub(crate) waits: Arc<Waits>,
    /// Where datagrams go in its place, one by one.
    pub(crate) flows: Option<Flows>,
}

/// The flows of a socket, and where new ones go.
pub(crate) struct Flows {
    pub(crate) table: FlowTable,
    pub(crate) begun: Sender<UdpFlow>,
    pub(crate) socket: WeakSocket,
    /// First datagrams of flows that there was no room for.
    pub(crate) refused: Arc<AtomicUsize>,
    /// Who waits for new ones.
    pub(crate) waits: Arc<Waits>,
}

impl UdpQueue {
    pub(crate) fn push(&self, datagram: crate::stack::Datagram) {
        let charged = Datagram::charged(datagram, &self.account);
        let room = self.account.charged() <= self.limit && self.datagrams.len() < QUEUE_DATAGRAMS;
        if !room || self.datagrams.send(charged).is_err() {
            self.note_dropped();
        }
    }

    pub(super) fn note_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Whom it is to be told that the socket has ended, all that they wait on with it.
    pub(super) fn into_waits(self) -> Vec<Arc<Waits>> {
        let mut all = vec![self.waits];
        if let Some(flows) = self.flows {
            all.push(flows.waits);
            all.extend(flows.table.into_flows().map(|flow| Arc::clone(&flow.waits)));
        }
        all
    }
}

impl Flows {
    /// Puts a datagram where it belongs, and tells who waits there.
    pub(super) fn take(
        &mut self,
        now: Instant,
        datagram: crate::stack::Datagram,
        full: bool,
        after: &mut After,
    ) {
        let answer = (datagram.answer(), datagram.on);
        let (flow, receiver) = match self.table.push(now, datagram, full) {
            Pushed::Known(flow) => return after.notify(&flow.waits, Readiness::READABLE),
            Pushed::New(flow, receiver) => (flow, receiver),
            Pushed::Full => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        let begun = match self.socket.upgrade() {
            Some(socket) => {
                let flow = UdpFlow::new(socket, Arc::clone(&flow), receiver, answer);
                self.begun.send(flow).map_err(|unsent| unsent.0)
            }
            None => return self.table.remove(&flow),
        };
        match begun {
            Ok(()) => after.notify(&self.waits, Readiness::READABLE),
            Err(stray) => {
                // Nobody takes new ones any more; dropping the handle takes the lock that is held here.
                self.refused.fetch_add(1, Ordering::Relaxed);
                self.table.remove(&flow);
                after.discard(stray);
            }
        }
    }
}
