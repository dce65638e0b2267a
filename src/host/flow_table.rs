//! The flows of one UDP socket: whose a datagram is, and how long nobody spoke.
//!
//! *Owns* the bounds: flows, datagrams and bytes that wait in each, the time that one may be silent. *Does not* lock, wake, or make handles.
//! Invariant: a datagram costs the same however many flows there are, but for a logarithm when one begins or ends. A flow that
//! spoke keeps its place in the order of ends until that comes, and is put behind then.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::datagram::{Account, Datagram};
use super::waits::Waits;
use crate::base::Instant;

/// Who sends, and whom to.
pub(crate) type Ends = (SocketAddr, SocketAddr);

/// What bounds the flows of a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) flows: usize,
    pub(crate) datagrams: usize,
    pub(crate) bytes: usize,
    pub(crate) idle: Duration,
}

/// What a flow's handle and its table share.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) ends: Ends,
    pub(crate) waits: Arc<Waits>,
    /// Nanoseconds since the epoch of the host's clock.
    spoke: AtomicU64,
    dropped: AtomicUsize,
    over: AtomicBool,
}

impl Flow {
    /// Somebody spoke: from now on it may be silent as long as any.
    pub(crate) fn speak(&self, now: Instant) {
        self.spoke.fetch_max(now.as_nanos(), Ordering::Relaxed);
    }

    fn spoke(&self) -> Instant {
        Instant::from_nanos(self.spoke.load(Ordering::Relaxed))
    }

    /// Has it ended? What came before is in its queue.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Datagrams that found no room in it.
    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// What became of a datagram.
#[derive(Debug)]
pub(crate) enum Pushed {
    /// It is in the queue of this flow, or was dropped for want of room there.
    Known(Arc<Flow>),
    /// It is the first of this one.
    New(Arc<Flow>, Receiver<Datagram>),
    /// There are as many flows as may be.
    Full,
}

#[derive(Debug)]
struct Entry {
    flow: Arc<Flow>,
    datagrams: Sender<Datagram>,
    account: Arc<Account>,
    place: Place,
}

/// When a flow may end, and how many began before it.
type Place = (Instant, u64);

/// The flows of a socket.
#[derive(Debug)]
pub(crate) struct FlowTable {
    bounds: Bounds,
    flows: HashMap<Ends, Entry>,
    order: BTreeMap<Place, Ends>,
    begun: u64,
    /// What every flow of the host is charged to.
    all: Arc<AtomicUsize>,
}

impl FlowTable {
    pub(crate) fn new(bounds: Bounds, all: &Arc<AtomicUsize>) -> Self {
        Self {
            bounds,
            all: Arc::clone(all),
            flows: HashMap::new(),
            order: BTreeMap::new(),
            begun: 0,
        }
    }

    /// Takes a datagram. While the memory for all sockets is `full` no flow begins, and one takes a datagram into an empty queue only:
    /// who keeps up has one.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        datagram: crate::stack::Datagram,
        full: bool,
    ) -> Pushed {
        let to = SocketAddr::new(datagram.to, datagram.to_port);
        let ends = (datagram.from, to);
        if let Some(entry) = self.flows.get(&ends) {
            entry.flow.speak(now);
            if full && !entry.datagrams.is_empty() {
                entry.flow.dropped.fetch_add(1, Ordering::Relaxed);
            } else {
                entry.push(datagram, &self.bounds);
            }
            return Pushed::Known(Arc::clone(&entry.flow));
        }
        if full || self.flows.len() >= self.bounds.flows {
            return Pushed::Full;
        }
        let flow = Arc::new(Flow {
            ends,
            waits: Arc::default(),
            spoke: AtomicU64::new(now.as_nanos()),
            dropped: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let (datagrams, receiver) = crossbeam_channel::unbounded();
        self.begun += 1;
        let place = (now + self.bounds.idle, self.begun);
        let entry = Entry {
            flow: Arc::clone(&flow),
            datagrams,
            account: Account::within(&self.all),
            place,
        };
        entry.push(datagram, &self.bounds);
        self.order.insert(place, ends);
        self.flows.insert(ends, entry);
        Pushed::New(flow, receiver)
    }

    /// Forgets a flow whose handle is gone, unless there is another of the same ends by now.
    pub(crate) fn remove(&mut self, flow: &Arc<Flow>) {
        let known = self.flows.get(&flow.ends);
        if known.is_some_and(|entry| Arc::ptr_eq(&entry.flow, flow))
            && let Some(entry) = self.flows.remove(&flow.ends)
        {
            self.order.remove(&entry.place);
        }
    }

    /// When the next flow may end.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.order.first_key_value().map(|(place, _)| place.0)
    }

    /// Ends the next one that was silent for too long, if there is any now.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Arc<Flow>> {
        while let Some(first) = self.order.first_entry()
            && first.key().0 <= now
        {
            let ((_, number), ends) = first.remove_entry();
            let entry = self.flows.get_mut(&ends)?;
            let end = entry.flow.spoke() + self.bounds.idle;
            if end <= now {
                let flow = self.flows.remove(&ends)?.flow;
                flow.over.store(true, Ordering::Relaxed);
                return Some(flow);
            }
            entry.place = (end, number);
            self.order.insert(entry.place, ends);
        }
        None
    }

    /// All of them, who are to be told that the socket has ended.
    pub(crate) fn into_flows(self) -> impl Iterator<Item = Arc<Flow>> {
        self.flows.into_values().map(|entry| entry.flow)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        assert_eq!(self.flows.len(), self.order.len());
        self.flows.len()
    }
}

impl Entry {
    fn push(&self, datagram: crate::stack::Datagram, bounds: &Bounds) {
        let charged = Datagram::charged(datagram, &self.account);
        let few = self.datagrams.len() < bounds.datagrams;
        let room = few && self.account.charged() <= bounds.bytes;
        if !room || self.datagrams.send(charged).is_err() {
            self.flow.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use bytes::Bytes;

    use super::*;
    use crate::stack::InterfaceId;

    const BOUNDS: Bounds = Bounds {
        flows: 4,
        datagrams: 3,
        bytes: 4000,
        idle: Duration::from_secs(10),
    };

    fn datagram(from: u16, to: u16, len: usize) -> crate::stack::Datagram {
        crate::stack::Datagram {
            data: Bytes::from(vec![7; len]).into(),
            from: SocketAddr::from(([10, 0, 0, 2], from)),
            to: IpAddr::from([10, 0, 0, 1]),
            to_port: to,
            on: InterfaceId::LOOPBACK,
            unicast: true,
            ttl: 64,
            tos: 0,
            flow_label: 0,
        }
    }

    fn table() -> FlowTable {
        FlowTable::new(BOUNDS, &Arc::default())
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(1000 * seconds)
    }

    fn begin(table: &mut FlowTable, now: Instant, from: u16) -> (Arc<Flow>, Receiver<Datagram>) {
        match table.push(now, datagram(from, 9, 10), false) {
            Pushed::New(flow, receiver) => (flow, receiver),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_pair_of_ends_has_its_own() {
        let mut table = table();
        let (flow, one) = begin(&mut table, at(1), 1);
        assert_eq!((flow.ends.0.port(), flow.ends.1.port()), (1, 9));
        let (_two, two) = begin(&mut table, at(1), 2);
        // Another destination of the same peer's.
        let other = table.push(at(1), datagram(1, 10, 10), false);
        assert!(matches!(other, Pushed::New(..)));
        let again = table.push(at(1), datagram(1, 9, 10), false);
        assert!(matches!(again, Pushed::Known(known) if Arc::ptr_eq(&known, &flow)));
        assert_eq!((one.len(), two.len(), table.len()), (2, 1, 3));
    }

    #[test]
    fn flows_datagrams_and_bytes_are_bounded_and_counted() {
        let mut table = table();
        let (flow, one) = begin(&mut table, at(1), 1);
        for _ in 0..5 {
            drop(table.push(at(1), datagram(1, 9, 10), false));
        }
        assert_eq!((one.len(), flow.dropped()), (3, 3));
        let (large, receiver) = begin(&mut table, at(1), 2);
        for _ in 0..2 {
            drop(table.push(at(1), datagram(2, 9, 3000), false));
        }
        assert_eq!((receiver.len(), large.dropped()), (2, 1));
        // What a user has let go of is room again.
        while receiver.try_recv().is_ok() {}
        drop(table.push(at(1), datagram(2, 9, 3000), false));
        assert_eq!(receiver.len(), 1);
        let _others = [3, 4].map(|port| begin(&mut table, at(1), port));
        let full = table.push(at(1), datagram(5, 9, 10), false);
        assert!(matches!(full, Pushed::Full));
        assert_eq!(table.len(), 4);
    }

    /// A flow that holds the memory of all keeps nobody from being served who reads what comes.
    #[test]
    fn who_keeps_up_has_its_datagrams_while_memory_is_full() {
        let mut table = table();
        let (slow, held) = begin(&mut table, at(1), 1);
        let (quick, taken) = begin(&mut table, at(1), 2);
        assert!(taken.try_recv().is_ok());
        for _ in 0..5 {
            drop(table.push(at(1), datagram(1, 9, 10), true));
            drop(table.push(at(1), datagram(2, 9, 10), true));
            assert!(taken.try_recv().is_ok());
        }
        assert_eq!((held.len(), slow.dropped(), quick.dropped()), (1, 5, 0));
        let new = table.push(at(1), datagram(3, 9, 10), true);
        assert!(matches!(new, Pushed::Full));
    }

    #[test]
    fn who_is_silent_ends_and_who_speaks_goes_on() {
        let mut table = table();
        let (quiet, ended) = begin(&mut table, at(0), 1);
        let (sends, _two) = begin(&mut table, at(1), 2);
        let (_hears, _three) = begin(&mut table, at(2), 3);
        assert_eq!(table.due(), Some(at(10)));
        assert!(table.expire(at(9)).is_none());
        sends.speak(at(8));
        drop(table.push(at(9), datagram(3, 9, 10), false));
        let gone = table.expire(at(15)).unwrap();
        assert!(Arc::ptr_eq(&gone, &quiet));
        assert!(table.expire(at(15)).is_none());
        // What came is read first.
        assert!(ended.try_recv().is_ok() && ended.recv().is_err());
        assert_eq!((table.len(), table.due()), (2, Some(at(18))));
        // A clock that is behind takes nothing back.
        sends.speak(at(3));
        assert!(table.expire(at(17)).is_none());
        assert!(table.expire(at(18)).is_some());
    }

    #[test]
    fn a_handle_that_is_gone_takes_only_its_own_flow_along() {
        let mut table = table();
        let (old, _one) = begin(&mut table, at(0), 1);
        assert!(table.expire(at(10)).is_some());
        let (new, _two) = begin(&mut table, at(11), 1);
        table.remove(&old);
        assert_eq!(table.len(), 1);
        table.remove(&new);
        table.remove(&new);
        assert_eq!((table.len(), table.due()), (0, None));
    }
}
