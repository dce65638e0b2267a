//! Fast open on both sides of a stack (RFC 7413): the cookies that it gives, and the servers whose cookies it has.
//!
//! *Owns* which SYN opens a connection at once, how many may be pending, and what is remembered of servers. *Does
//! not* know the option's form nor the connection's part: `tcp::fast_open` does.

use core::net::{IpAddr, SocketAddr};
use core::ops::Bound;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::listen::ends_of;
use super::{default_mss, path_mss};
use crate::base::{DropReason, Instant, Key, Seed};
use crate::stack::Stack;
use crate::stack::ids::{InterfaceId, ListenerId, TcpId};
use crate::stack::packet::Inbound;
use crate::stack::tuple::is_link_local;
use crate::tcp::{Connection, FastCookie, FastTry, FastWord, Opening, Segment, State, TimeWait};

/// How long a key is used to give cookies; they are good as long again. RFC 7413 §4.1.2: a server should change it.
const EPOCH: Duration = Duration::from_secs(24 * 3600);

/// Servers that are remembered, *fixed*.
pub(super) const MOST_SERVERS: usize = 1024;

/// How long a server is left alone for which it was for nothing, doubled with each further time: to an hour, as Linux waits
/// for a path that drops (`tcp_fastopen_blackhole_timeout_sec`).
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const MOST_DOUBLINGS: u32 = 6;

/// How long a pending connection counts that was reset (RFC 7413 §5.1): who forges SYNs gets no place back by forging RSTs.
const RESET_COUNTS: Duration = Duration::from_secs(60);

/// Pending connections that each SYN looks at, to see whether they still are.
const LOOKED_AT: usize = 4;

/// What a SYN for a listener led to.
pub(super) enum FastStep {
    /// A connection, or its failure.
    Taken(Result<(), DropReason>),
    /// An ordinary handshake, whose SYN-ACK says this beside.
    Ordinary(Option<FastWord>),
}

/// A listener's connections that SYNs with text have opened.
#[derive(Debug)]
pub(super) struct FastQueue {
    limit: usize,
    /// Those whose handshake was not over when they were last looked at.
    pending: BTreeSet<TcpId>,
    /// The last of them that was looked at.
    looked_at: Option<TcpId>,
    /// When each of those counts no more that were reset.
    resets: VecDeque<Instant>,
}

impl FastQueue {
    pub(super) fn new(limit: usize) -> Option<Box<Self>> {
        (limit > 0).then(|| {
            Box::new(Self {
                limit,
                pending: BTreeSet::new(),
                looked_at: None,
                resets: VecDeque::new(),
            })
        })
    }

    /// May one more be pending? Each that asks finds some that are not any more.
    fn has_room(&mut self, now: Instant, is_pending: impl Fn(TcpId) -> bool) -> bool {
        while self.resets.front().is_some_and(|&end| end <= now) {
            self.resets.pop_front();
        }
        for _ in 0..LOOKED_AT.min(self.pending.len()) {
            let Some(id) = self.next_pending() else {
                break;
            };
            if !is_pending(id) {
                self.pending.remove(&id);
            }
        }
        self.pending.len() + self.resets.len() < self.limit
    }

    /// The one behind that which was looked at last, round and round.
    fn next_pending(&mut self) -> Option<TcpId> {
        let behind = self.looked_at.and_then(|last| {
            let mut behind = self
                .pending
                .range((Bound::Excluded(last), Bound::Unbounded));
            behind.next()
        });
        self.looked_at = behind.or_else(|| self.pending.first()).copied();
        self.looked_at
    }

    /// A connection was reset that may be one of these, or that of a listener before.
    fn note_reset(&mut self, now: Instant, id: TcpId) {
        if self.pending.contains(&id) && self.resets.len() < self.limit {
            self.resets.push_back(now + RESET_COUNTS);
        }
    }
}

/// A server; over which link, where that is part of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Server {
    zone: u32,
    ip: IpAddr,
}

impl Server {
    pub(super) fn new(on: InterfaceId, ip: IpAddr) -> Self {
        let zone = if is_link_local(ip) { on.scope() } else { 0 };
        Self { zone, ip }
    }
}

/// What is known of a server (RFC 7413 §4.1.3).
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its place in the order of last answers.
    age: u64,
    cookie: Option<FastCookie>,
    mss: u16,
    /// Times in a row that it was for nothing.
    failures: u32,
    /// Until then it is not tried.
    until: Instant,
}

/// How a server answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) cookie: Option<FastCookie>,
    pub(super) mss: u16,
    pub(super) failed: bool,
}

/// What a stack knows for it.
#[derive(Debug)]
pub(super) struct FastOpens {
    key: Key,
    servers: BTreeMap<Server, Known>,
    ages: BTreeMap<u64, Server>,
    next_age: u64,
}

impl FastOpens {
    pub(super) fn new(seed: &Seed) -> Self {
        Self {
            key: seed.key("tcp fast open"),
            servers: BTreeMap::new(),
            ages: BTreeMap::new(),
            next_age: 0,
        }
    }

    // --- what is given --------------------------------------------------------------------

    /// RFC 7413 §4.1.2: a MAC over the addresses, the client's before all.
    fn cookie(&self, (ours, theirs): (SocketAddr, SocketAddr), epoch: u64) -> FastCookie {
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let mut bytes = [0; 16 + 16 + 8];
        bytes[..16].copy_from_slice(&octets(theirs.ip()));
        bytes[16..32].copy_from_slice(&octets(ours.ip()));
        bytes[32..].copy_from_slice(&epoch.to_be_bytes());
        let cookie = self.key.hash(&bytes).to_be_bytes();
        FastCookie::of_eight(cookie)
    }

    fn epoch(now: Instant) -> u64 {
        now.as_nanos() / u64::try_from(EPOCH.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn give(&self, now: Instant, ends: (SocketAddr, SocketAddr)) -> FastWord {
        FastWord::Cookie(self.cookie(ends, Self::epoch(now)))
    }

    /// Is it one of this epoch or the one before?
    fn is_ours(&self, now: Instant, ends: (SocketAddr, SocketAddr), cookie: &FastCookie) -> bool {
        let epoch = Self::epoch(now);
        let of = |epoch| self.cookie(ends, epoch) == *cookie;
        of(epoch) || epoch.checked_sub(1).is_some_and(of)
    }

    // --- what was given to us -------------------------------------------------------------

    /// What a SYN to a server says, and the segment that it took, options included.
    pub(super) fn word_to(&self, now: Instant, server: Server) -> Option<(FastWord, u16)> {
        match self.servers.get(&server) {
            None => Some((FastWord::Request, 0)),
            Some(known) if now < known.until => None,
            Some(known) => {
                let word = known.cookie.map_or(FastWord::Request, FastWord::Cookie);
                Some((word, known.mss))
            }
        }
    }

    pub(super) fn note(&mut self, now: Instant, server: Server, answer: Answer) {
        let before = self.servers.remove(&server);
        if let Some(known) = before {
            self.ages.remove(&known.age);
        } else if self.servers.len() >= MOST_SERVERS
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.servers.remove(&oldest);
        }
        let failures = match before {
            _ if !answer.failed => 0,
            None => 1,
            Some(known) => known.failures.saturating_add(1),
        };
        let doublings = failures.saturating_sub(1).min(MOST_DOUBLINGS);
        let until = match failures {
            0 => now,
            _ => now + FIRST_PAUSE * (1 << doublings),
        };
        let kept = before.map(|known| (known.cookie, known.mss));
        let (cookie, mss) = match (answer.cookie, kept) {
            (Some(cookie), _) => (Some(cookie), answer.mss),
            (None, Some(kept)) => kept,
            (None, None) => (None, answer.mss),
        };
        let age = self.next_age;
        self.next_age += 1;
        let known = Known {
            age,
            cookie,
            mss,
            failures,
            until,
        };
        self.servers.insert(server, known);
        self.ages.insert(age, server);
    }
}

#[cfg(test)]
impl FastOpens {
    pub(super) fn len(&self) -> (usize, usize) {
        (self.servers.len(), self.ages.len())
    }
}

impl Stack {
    // --- as a client ----------------------------------------------------------------------

    /// A connection is about to send its SYN.
    pub(super) fn try_fast_open(
        &self,
        now: Instant,
        on: InterfaceId,
        ip: IpAddr,
        connection: &mut Connection,
    ) {
        if !connection.setup.options.fast_open {
            return;
        }
        if let Some((word, mss)) = self.tcp.fast.word_to(now, Server::new(on, ip)) {
            connection.try_fast_open(word, mss);
        }
    }

    /// A SYN for a connection: mostly the answer to its own.
    #[cold]
    pub(super) fn on_answer_to_syn(
        &mut self,
        now: Instant,
        id: TcpId,
        packet: &Inbound,
        seg: &Segment,
    ) -> Result<(), DropReason> {
        let slot = self.tcp.slots.get(id);
        let tried = slot.and_then(|slot| slot.connection.fast_try());
        let taken = self.on_connection(now, id, (packet.on, packet.ttl), seg);
        if let Some(tried) = tried {
            self.note_fast_answer(now, id, tried, (packet, seg));
        }
        taken
    }

    fn note_fast_answer(
        &mut self,
        now: Instant,
        id: TcpId,
        tried: FastTry,
        (packet, seg): (&Inbound, &Segment),
    ) {
        let Some(slot) = self.tcp.slots.get(id) else {
            return;
        };
        let answered = matches!(slot.connection.state, State::Established | State::CloseWait);
        let Some(ack) = seg.ack.filter(|_| answered) else {
            return;
        };
        let cookie = match FastWord::of(&packet.segment) {
            Some(FastWord::Cookie(cookie)) => Some(cookie),
            _ => None,
        };
        let taken = tried.text > 0 && ack.after(slot.connection.snd.iss + 1);
        let mss = seg.options.mss.unwrap_or_else(|| default_mss(packet.src));
        // Where the SYN had to come again without the option, the first one was dropped for it, as far as is known. A
        // server that leaves text to be sent again may be full.
        let failed = tried.again || (tried.request && cookie.is_none());
        let counters = &mut self.net.counters;
        counters.tcp_fast_taken += u64::from(taken);
        counters.tcp_fast_missed += u64::from(failed || (tried.text > 0 && !taken));
        let answer = Answer {
            cookie,
            mss,
            failed,
        };
        let server = Server::new(packet.on, packet.src);
        self.tcp.fast.note(now, server, answer);
    }

    // --- as a server ----------------------------------------------------------------------

    /// RFC 7413 §4.2.2: a SYN with a good cookie and text opens a connection at once; else the handshake is an ordinary
    /// one, and who asks, or has a cookie that is not good, is given one.
    pub(super) fn open_fast(
        &mut self,
        now: Instant,
        id: ListenerId,
        (packet, seg): (&Inbound, &Segment),
        opening: &Opening,
        previous: Option<&TimeWait>,
    ) -> FastStep {
        let ordinary = FastStep::Ordinary(None);
        let listener = self.tcp.listeners.get_mut(id);
        let Some(queue) = listener.and_then(|listener| listener.fast.as_mut()) else {
            return ordinary;
        };
        let ends = ends_of(packet);
        let cookie = match FastWord::of(&packet.segment) {
            None => return ordinary,
            Some(FastWord::Request) => {
                return FastStep::Ordinary(Some(self.tcp.fast.give(now, ends)));
            }
            Some(FastWord::Cookie(cookie)) => cookie,
        };
        if !self.tcp.fast.is_ours(now, ends, &cookie) {
            self.net.counters.tcp_fast_cookies_failed += u64::from(!seg.text.is_empty());
            return FastStep::Ordinary(Some(self.tcp.fast.give(now, ends)));
        }
        if seg.text.is_empty() || previous.is_some() {
            return ordinary;
        }
        let slots = &self.tcp.slots;
        let is_pending = |id| {
            let slot = slots.get(id);
            slot.is_some_and(|slot| slot.connection.state == State::SynRcvd)
        };
        if !queue.has_room(now, is_pending) {
            self.net.counters.tcp_fast_full += 1;
            return ordinary;
        }
        FastStep::Taken(self.take_fast(now, id, (packet, seg), opening))
    }

    fn take_fast(
        &mut self,
        now: Instant,
        id: ListenerId,
        (packet, seg): (&Inbound, &Segment),
        opening: &Opening,
    ) -> Result<(), DropReason> {
        let Some(listener) = self.tcp.listeners.get(id) else {
            return Err(DropReason::TcpNoSocket);
        };
        let options = Arc::clone(&listener.options);
        let iss = self.initial_number(now, ends_of(packet), None);
        let (half, flow) = self.request(id, packet, *opening, iss, &options)?;
        let path = self.net.path(half.on, flow);
        let setup = self.setup_of(&half, &flow, options);
        let connection = Connection::accept_fast(now, setup, path_mss(&path), (opening, seg));
        let connection_id = self.enter(Box::new(connection), path);
        self.net.counters.tcp_fast_opened += 1;
        let listener = self.tcp.listeners.get_mut(id);
        if let Some(queue) = listener.and_then(|listener| listener.fast.as_mut()) {
            queue.pending.insert(connection_id);
        }
        self.hand_out(id, connection_id);
        let (slots, mut around) = self.slots_and_around();
        if let Some(slot) = slots.get_mut(connection_id) {
            around
                .net
                .share_queue(slot.path.on, 1, &mut slot.connection);
            slot.connection.rcv.budget = around.memory.budget();
            slot.connection.take_fast_text(now, seg);
            let rest = slot.follow(connection_id, &mut around);
            self.finish(now, connection_id, &rest);
        }
        Ok(())
    }

    /// One that was pending is reset: it counts for a while.
    #[cold]
    pub(super) fn note_fast_reset(&mut self, now: Instant, id: TcpId) {
        let Some(slot) = self.tcp.slots.get(id) else {
            return;
        };
        let (on, tuple) = (slot.path.on, slot.tuple());
        let Some(listener) = self.demux.tcp.listener(on, &tuple) else {
            return;
        };
        let listener = self.tcp.listeners.get_mut(listener);
        if let Some(queue) = listener.and_then(|listener| listener.fast.as_mut()) {
            queue.note_reset(now, id);
        }
    }
}
