//! Connection requests that the listener's user decides about: SYNs that are held, neither answered nor refused.
//!
//! RFC 9293 §3.10.7.2. *Owns* what becomes of a SYN between its arrival and the user's word: it waits, is given up by its
//! sender, or ends with its time. *Does not* shake hands: an admitted request is a connection, which does so itself.
//! Invariant: a listener holds no more SYNs than its backlog, and each of them for no longer than it said.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::time_waits::Previous;
use super::{AcceptError, HalfOpenSlot, path_mss};
use crate::base::{DropReason, Instant, Protocol};
use crate::stack::endpoint::endpoint;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::icmp::{Cause, Complaint};
use crate::stack::ids::{Id, InterfaceId, ListenerId, RawId, RequestId, StaleId, TcpId};
use crate::stack::journal::Tell;
use crate::stack::packet::Manner;
use crate::stack::tcp_flows::TcpEntry;
use crate::stack::tuple::Tuple;
use crate::stack::wheel::TimerKey;
use crate::stack::{Call, Outcome, Stack};
use crate::tcp::{Connection, Control, Fields, Flags, Segment};
use crate::{ipv4, ipv6};

/// Somebody wants to connect, and waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectRequest {
    /// By what name it is admitted or refused.
    pub id: RequestId,
    /// Who asks.
    pub peer: SocketAddr,
    /// Whom it asks for: an address that need not be ours
    /// ([`InterfaceConfig::accept_foreign`](crate::stack::InterfaceConfig::accept_foreign)), and the port.
    pub local: SocketAddr,
    /// The interface that the SYN came in on.
    pub on: InterfaceId,
}

/// What who asked is told instead of yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// A RST, as from a port where nobody listens.
    Reset,
    /// Destination Unreachable (RFC 792, RFC 4443 §3.1): nobody takes the port.
    Port,
    /// The host does not answer.
    Host,
    /// There is no way to its network.
    Net,
    /// It is forbidden.
    Prohibited,
    /// Nothing: its SYN comes again, and is a request again.
    Silence,
}

/// Why a request cannot be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// It was admitted or refused already, its time is over, its sender gave it up, or the listener was closed.
    #[error("the request is over")]
    Stale,
    /// No way leads back to who asked.
    #[error("no route leads back to who asked")]
    NoRoute,
    /// The sockets of this stack use all memory that they may; the request waits on.
    #[error("the memory for sockets is used up (Config::socket_memory)")]
    NoMemory,
}

impl From<AdmitError> for io::Error {
    fn from(error: AdmitError) -> Self {
        let kind = match error {
            AdmitError::Stale => io::ErrorKind::NotConnected,
            AdmitError::NoRoute => io::ErrorKind::NetworkUnreachable,
            AdmitError::NoMemory => io::ErrorKind::OutOfMemory,
        };
        Self::new(kind, error)
    }
}

/// A call about requests.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RequestCall {
    /// [`Stack::tcp_request`].
    Take(ListenerId),
    /// [`Stack::tcp_admit`].
    Admit(RequestId),
    /// [`Stack::tcp_refuse`].
    Refuse(RequestId, Refusal),
}

impl RequestCall {
    /// The name of the method that it calls.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Take(_) => "tcp_request",
            Self::Admit(_) => "tcp_admit",
            Self::Refuse(..) => "tcp_refuse",
        }
    }

    /// Makes the call.
    pub(in crate::stack) fn make(self, now: Instant, stack: &mut Stack, whole: bool) -> Outcome {
        match self {
            Self::Take(listener) => stack.tcp_request(listener).tell(whole),
            Self::Admit(id) => stack.tcp_admit(now, id).tell(whole),
            Self::Refuse(id, how) => stack.tcp_refuse(now, id, how).tell(whole),
        }
    }
}

impl Tell for ConnectRequest {
    fn tell(&self, _: bool) -> Outcome {
        let Self {
            id,
            peer,
            local,
            on,
        } = self;
        Outcome::Told(format!("{id:?}: {peer} to {local} on {on:?}"))
    }
}

/// A listener's requests that nobody was told of.
#[derive(Debug)]
pub(super) struct Holding {
    /// How long a request waits.
    life: Duration,
    /// In the order in which they came; some of them may be over.
    waiting: VecDeque<RawId>,
}

impl Holding {
    pub(super) fn new(life: Option<Duration>) -> Option<Box<Self>> {
        let waiting = VecDeque::new();
        life.map(|life| Box::new(Self { life, waiting }))
    }

    /// Does any wait that is `there` still? Those that are not, at the head of the line, leave it.
    pub(super) fn has_any(&mut self, there: impl Fn(RawId) -> bool) -> bool {
        while let Some(&first) = self.waiting.front() {
            if there(first) {
                return true;
            }
            self.waiting.pop_front();
        }
        false
    }

    /// Places in its line.
    #[cfg(test)]
    pub(super) fn lined(&self) -> usize {
        self.waiting.len()
    }
}

impl Stack {
    /// Takes the oldest request of a listener that holds them ([`ListenOptions::hold`](super::ListenOptions::hold)). Until
    /// [`tcp_admit`](Self::tcp_admit) or [`tcp_refuse`](Self::tcp_refuse) answers it, it waits on, as long as that said.
    ///
    /// # Errors
    /// [`AcceptError::WouldBlock`] arms the ACCEPTABLE event again.
    pub fn tcp_request(&mut self, id: ListenerId) -> Result<ConnectRequest, AcceptError> {
        self.note_call(None, |_| Call::Request(RequestCall::Take(id)));
        let taken = self.take_request(id);
        self.note_outcome(taken)
    }

    fn take_request(&mut self, id: ListenerId) -> Result<ConnectRequest, AcceptError> {
        let gone = self.listener_has_lost(id);
        let listener = self.tcp.listeners.get_mut(id).ok_or(AcceptError::Stale)?;
        if gone {
            return Err(AcceptError::AddressGone);
        }
        let waiting = listener.holding.as_mut().map(|all| &mut all.waiting);
        for raw in waiting
            .into_iter()
            .flat_map(|all| core::iter::from_fn(|| all.pop_front()))
        {
            let Some(slot) = self.tcp.half_open.get(raw) else {
                continue;
            };
            let Tuple { local, remote, .. } = slot.tuple;
            return Ok(ConnectRequest {
                id: RequestId::from_raw(raw),
                peer: endpoint(slot.on, remote.ip, remote.port),
                local: endpoint(slot.on, local.ip, local.port),
                on: slot.on,
            });
        }
        self.events
            .rearm(SocketId::Listener(id), Readiness::ACCEPTABLE);
        Err(AcceptError::WouldBlock)
    }

    /// Answers a request with a SYN-ACK; CONNECTED or FAILED tells how the handshake went on. What is written before it is over
    /// is sent then. The connection has the options of its listener.
    ///
    /// # Errors
    /// [`AdmitError`]; after [`AdmitError::NoMemory`] and [`AdmitError::NoRoute`] the request waits on.
    pub fn tcp_admit(&mut self, now: Instant, id: RequestId) -> Result<TcpId, AdmitError> {
        self.note_call(Some(now), |_| Call::Request(RequestCall::Admit(id)));
        let now = self.net.clamp(now);
        let admitted = self.admit(now, id.raw());
        self.note_outcome(admitted)
    }

    fn admit(&mut self, now: Instant, raw: RawId) -> Result<TcpId, AdmitError> {
        let held = self.tcp.half_open.get(raw).filter(|slot| slot.record.held);
        let listener = held.ok_or(AdmitError::Stale)?.listener;
        let listener = self.tcp.listeners.get(listener).ok_or(AdmitError::Stale)?;
        let options = Arc::clone(&listener.options);
        if self.has_no_memory() {
            self.net.counters.tcp_connects_short_of_memory += 1;
            return Err(AdmitError::NoMemory);
        }
        let (flow, ..) = self.half_open_flow(raw).ok_or(AdmitError::NoRoute)?;
        let half = self.remove_half_open(raw).ok_or(AdmitError::Stale)?;
        let path = self.net.path(half.on, flow);
        let setup = self.setup_of(&half, &flow, options);
        let connection = Connection::accept_held(now, setup, path_mss(&path), &half.record.opening);
        let id = self.enter(Box::new(connection), path);
        self.net.counters.tcp_requests_admitted += 1;
        self.after_tcp(now, id);
        Ok(id)
    }

    /// Refuses a request. An ICMP message says so where the interface and the limits let one leave
    /// ([`InterfaceConfig::unreachables`](crate::stack::InterfaceConfig::unreachables),
    /// [`Config::icmp_errors_per_second`](crate::stack::Config::icmp_errors_per_second)); else it is silence.
    ///
    /// # Errors
    /// [`StaleId`] when it is over.
    pub fn tcp_refuse(&mut self, now: Instant, id: RequestId, how: Refusal) -> Result<(), StaleId> {
        self.note_call(Some(now), |_| Call::Request(RequestCall::Refuse(id, how)));
        let now = self.net.clamp(now);
        let refused = self.refuse_request(now, id.raw(), how);
        self.note_outcome(refused)
    }

    fn refuse_request(&mut self, now: Instant, raw: RawId, how: Refusal) -> Result<(), StaleId> {
        let held = self.tcp.half_open.get(raw).filter(|slot| slot.record.held);
        let slot = held.ok_or(StaleId)?;
        let complaint = match how {
            Refusal::Silence => None,
            Refusal::Reset => {
                self.say_farewell(self.name_of_half(slot), slot.record.reset());
                None
            }
            Refusal::Port => Some(Complaint::Port),
            Refusal::Host => Some(Complaint::Host),
            Refusal::Net => Some(Complaint::NoRoute),
            Refusal::Prohibited => Some(Complaint::Prohibited),
        };
        if let Some(complaint) = complaint {
            self.complain_of_request(raw, complaint);
        }
        self.net.counters.tcp_requests_refused += 1;
        self.forget_request(now, raw);
        Ok(())
    }

    fn complain_of_request(&mut self, raw: RawId, complaint: Complaint) {
        let Some(slot) = self.tcp.half_open.get(raw) else {
            return;
        };
        let (on, Tuple { local, remote, .. }) = (slot.on, slot.tuple);
        // The host itself speaks of its ports alone.
        let speaks = (complaint == Complaint::Port).then_some(local.ip);
        let ends = (speaks, remote.ip);
        let Ok((flow, _)) = self.net.answer_flow(on, ends, Manner::default()) else {
            return;
        };
        let quote = quote_of(slot);
        let (src, quote) = (remote.ip, &quote);
        let cause = Cause { on, src, quote };
        self.net.complain_about(&cause, (on, flow), complaint);
    }

    /// The listener was made to hold requests: the SYN is one, and waits.
    pub(super) fn hold(
        &mut self,
        now: Instant,
        mut slot: HalfOpenSlot,
        previous: Option<Previous>,
    ) -> Result<(), DropReason> {
        slot.record.held = true;
        slot.previous = previous.map(Box::new);
        let (id, tuple) = (slot.listener, slot.tuple);
        let listener = self.tcp.listeners.get_mut(id);
        let listener = listener.ok_or(DropReason::TcpNoSocket)?;
        let holding = listener.holding.as_mut();
        let holding = holding.ok_or(DropReason::TcpNoSocket)?;
        let raw = self.tcp.half_open.insert(slot);
        listener.half_open += 1;
        // Those that are over and nobody came for.
        if holding.waiting.len() >= listener.backlog.saturating_mul(2) {
            let half_open = &self.tcp.half_open;
            holding.waiting.retain(|&raw| half_open.get(raw).is_some());
        }
        holding.waiting.push_back(raw);
        let end = now + holding.life;
        let entry = TcpEntry::HalfOpen(raw.index());
        let free = self.demux.tcp.flows.insert(&tuple, entry);
        debug_assert!(free.is_ok(), "a segment for a listener has no flow");
        let timer = TimerKey::HalfOpen(raw.index());
        self.net.timers.set(timer, Some(end));
        self.net.counters.tcp_requests_held += 1;
        self.events
            .raise(SocketId::Listener(id), Readiness::ACCEPTABLE);
        Ok(())
    }

    /// A segment of who asked, and was not answered.
    pub(super) fn on_held(
        &mut self,
        now: Instant,
        raw: RawId,
        seg: &Segment,
    ) -> Result<(), DropReason> {
        let Some(slot) = self.tcp.half_open.get_mut(raw) else {
            return Err(DropReason::TcpNoSocket);
        };
        let irs = slot.record.opening.irs;
        match (seg.control, seg.ack) {
            // Its clock goes on, and the answer echoes the latest.
            (Control::Syn, None) if seg.seq == irs => {
                let _ = slot.record.on_segment(seg);
                Ok(())
            }
            (Control::Syn, _) => Err(DropReason::TcpUnexpectedSyn),
            (Control::Rst, _) if seg.seq == irs + 1 => {
                self.net.counters.tcp_resets_received += 1;
                self.forget_request(now, raw);
                Ok(())
            }
            (Control::Rst, _) => Err(DropReason::TcpBadRst),
            // Nothing was said that it could acknowledge.
            (_, Some(_)) => Err(DropReason::TcpBadAck),
            (_, None) => Err(DropReason::TcpNoAck),
        }
    }

    /// Its time is over.
    pub(super) fn expire_request(&mut self, now: Instant, raw: RawId) {
        self.net.counters.tcp_requests_expired += 1;
        self.forget_request(now, raw);
    }

    /// Of a request nothing stays, but the TIME-WAIT that its SYN would have ended.
    fn forget_request(&mut self, now: Instant, raw: RawId) {
        if let Some(slot) = self.remove_half_open(raw)
            && let Some(previous) = &slot.previous
        {
            self.go_on_waiting(now, &self.name_of_half(&slot), previous);
        }
    }

    /// Requests that wait for their listeners' users.
    pub fn tcp_held_count(&self) -> usize {
        let all = self.tcp.listeners.iter();
        let holding = all.filter(|(_, listener)| listener.holding.is_some());
        holding.map(|(_, listener)| listener.half_open).sum()
    }
}

/// The SYN of a request, as far as it is remembered: its ends and its number, which are what an error is told by (RFC 5927 §4).
fn quote_of(slot: &HalfOpenSlot) -> Bytes {
    const TCP: usize = 20;
    let Tuple { local, remote, .. } = slot.tuple;
    let fields = Fields {
        src_port: remote.port,
        dst_port: local.port,
        seq: slot.record.opening.irs.get(),
        flags: Flags::SYN,
        ..Fields::default()
    };
    let mut packet = vec![0; ipv6::HEADER_LEN + TCP];
    let len = match (remote.ip, local.ip) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let head = ipv4::Fields::new(src, dst, Protocol::TCP);
            head.emit(TCP, &mut packet)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let head = ipv6::Fields::new(src, dst, Protocol::TCP);
            head.emit(TCP, &mut packet)
        }
        _ => return Bytes::new(),
    };
    let mut header = [0; 60];
    let _ = fields.emit(&crate::tcp::Options::NONE, &mut header);
    packet.truncate(len);
    packet.extend_from_slice(&header[..TCP]);
    packet.into()
}
