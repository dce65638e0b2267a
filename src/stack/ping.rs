//! Sockets that send ICMP echo requests and hear the answers.
//!
//! RFC 792, RFC 4443 §4.1, RFC 1122 §3.2.2.6 (an application interface exists). *Owns* the sockets;
//! each has an identifier of its own, which says whose an error is. *Does not* time anything: a reply carries its arrival time.

mod options;

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::event::{Readiness, SocketId};
use super::icmp::{IcmpError, IcmpErrorKind};
use super::ids::{InterfaceId, PingId, Slab, StaleId};
use super::ip::{self, NatKind};
use super::packet::{Flow, Fragmenting, Inbound, Label, OwnedPacket, Owner};
use super::path::{LargeSent, Route, TooBig};
use super::taken::Taken;
use super::udp::{RecvError, SendError, SendInfo, is_broadcast};
use super::{Call, Stack};
use crate::base::{DropReason, Instant, KeyedState, Protocol, Random, Seed};
use crate::{ipv4, ipv6};
pub use options::PingOptions;

/// Why a ping socket cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PingError {
    /// Every identifier is in use.
    #[error("no icmp identifier is free")]
    NoIdentifier,
}

impl From<PingError> for std::io::Error {
    fn from(error: PingError) -> Self {
        Self::new(std::io::ErrorKind::AddrInUse, error)
    }
}

/// What became of an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PingOutcome {
    /// It was answered.
    Reply,
    /// It could not be delivered; the code of RFC 792's type 3 or RFC 4443's type 1.
    Unreachable {
        /// The message's code.
        code: u8,
    },
    /// Its TTL or hop limit ran out on the way.
    TimeExceeded,
    /// The neighbour that it had to go to does not answer.
    NoNeighbour,
    /// A router or the destination could not make sense of it.
    ParameterProblem,
    /// It was larger than its path carries, as a router says who is believed.
    TooBig {
        /// Bytes of data that fit from now on.
        max: usize,
    },
}

impl fmt::Display for PingOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply => f.write_str("reply"),
            Self::Unreachable { code } => write!(f, "destination unreachable (code {code})"),
            Self::TimeExceeded => f.write_str("time exceeded on the way"),
            Self::NoNeighbour => {
                f.write_str("host unreachable: its link address is not answered for")
            }
            Self::ParameterProblem => f.write_str("parameter problem"),
            Self::TooBig { max } => write!(f, "too large for the path, which carries {max} bytes"),
        }
    }
}

/// An answer to an echo request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PingReply {
    /// Who answered: the destination, or the router that reports an error.
    pub from: IpAddr,
    /// The request's sequence number.
    pub seq: u16,
    /// The data that came back; of an error, what it quotes of the request's.
    pub payload: Bytes,
    /// TTL or hop limit of the answer as it arrived, of a router's error too; 0 where none came.
    pub ttl: u8,
    /// When it arrived.
    pub at: Instant,
    /// What became of the request.
    pub outcome: PingOutcome,
}

#[derive(Debug)]
struct PingSocket {
    identifier: u16,
    options: PingOptions,
    replies: VecDeque<PingReply>,
    /// For what a packet-too-big quotes.
    large: LargeSent,
}

/// All ping sockets of a stack.
#[derive(Debug)]
pub(super) struct Pings {
    sockets: Slab<PingId, PingSocket>,
    identifiers: HashMap<u16, PingId, KeyedState>,
    /// What searches for a free identifier found taken.
    taken: Taken<()>,
    random: Random,
}

impl Pings {
    pub(super) fn new(seed: &Seed) -> Self {
        Self {
            sockets: Slab::new(),
            identifiers: HashMap::with_hasher(KeyedState::new(seed.key("ping table"))),
            taken: Taken::default(),
            random: Random::new(seed.key("ping identifier")),
        }
    }
}

impl Pings {
    /// Is it the identifier of a socket?
    pub(super) fn is_claimed(&self, identifier: u16) -> bool {
        self.identifiers.contains_key(&identifier)
    }
}

impl Stack {
    /// Opens a socket that sends echo requests.
    ///
    /// # Errors
    /// [`PingError`] when 65,536 are open.
    pub fn ping_open(&mut self, options: PingOptions) -> Result<PingId, PingError> {
        self.note_call(None, |_| Call::PingOpen(options));
        let opened = self.open_ping(options);
        self.note_outcome(opened)
    }

    fn open_ping(&mut self, options: PingOptions) -> Result<PingId, PingError> {
        let first = u16::try_from(self.ping.random.below(1 << 16)).unwrap_or(0);
        let owned = &self.ping.identifiers;
        // Nor is it an inside host's.
        let mapped = |identifier| {
            let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, identifier));
            self.net.is_mapped(NatKind::Query, any)
        };
        let free = |identifier| !owned.contains_key(&identifier) && !mapped(identifier);
        let found = self.ping.taken.search((), &(0..=u16::MAX), first, free);
        let identifier = found.ok_or(PingError::NoIdentifier)?;
        let id = self.ping.sockets.insert(PingSocket {
            identifier,
            options,
            replies: VecDeque::new(),
            large: LargeSent::default(),
        });
        self.ping.identifiers.insert(identifier, id);
        self.register_unrefused(id.into());
        Ok(id)
    }

    /// Queues an echo request. `scope` names the interface of a link-local destination.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::WouldBlock`] when the interface's outbox is full: an event tells when it has room.
    pub fn ping_send(
        &mut self,
        now: Instant,
        id: PingId,
        to: IpAddr,
        scope: Option<InterfaceId>,
        seq: u16,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.note_call(Some(now), |_| {
            Call::PingSend(id, to, scope, seq, payload.clone())
        });
        self.net.clamp(now);
        let sent = self.send_ping(id, (to, scope), seq, payload, None);
        self.note_outcome(sent)
    }

    /// The same, that leaves as `info` says: with other hops than the one before it, say, which those answer where they run out
    /// ([`PingOutcome::TimeExceeded`]).
    ///
    /// # Errors
    /// As [`ping_send`](Self::ping_send); [`SendError::Interface`], and [`RouteError::Source`](super::RouteError::Source) when the
    /// source is no address of the interface that leads there.
    pub fn ping_send_with(
        &mut self,
        now: Instant,
        id: PingId,
        to: IpAddr,
        seq: u16,
        payload: Bytes,
        info: &SendInfo,
    ) -> Result<(), SendError> {
        self.note_call(Some(now), |_| {
            Call::PingSendWith(id, to, seq, payload.clone(), *info)
        });
        self.net.clamp(now);
        let sent = self.send_ping(id, (to, info.interface), seq, payload, Some(info));
        self.note_outcome(sent)
    }

    /// The flow of a request: from whom, over which interface, and how large it may be.
    fn request_flow(
        &self,
        (to, scope): (IpAddr, Option<InterfaceId>),
        options: &PingOptions,
        info: Option<&SendInfo>,
    ) -> Result<(Flow, Route), SendError> {
        let info = info.copied().unwrap_or_default();
        info.check(&self.net, to, scope)?;
        let route = match info.source {
            Some(source) => self.net.route_from(source, to, scope)?,
            None => self.net.route(to, scope)?,
        };
        info.check_source(&self.net, route.on, (None, to))?;
        if !options.broadcast && is_broadcast(&self.net, &route, to) {
            return Err(SendError::Broadcast(to));
        }
        let ttl = info.ttl.or(options.ttl);
        // RFC 1112 §6.1: to groups 1.
        let hops = || match to.is_multicast() {
            true => 1,
            false => self.net.ttl_to(route.on, to),
        };
        let flow = Flow {
            src: info.source.unwrap_or(route.source),
            dst: to,
            next_hop: route.next_hop,
            ttl: ttl.unwrap_or_else(hops),
            tos: info.tos.unwrap_or(0),
            label: info.label_or(Label::asked(options.flow_label)),
        };
        Ok((flow, route))
    }

    fn send_ping(
        &mut self,
        id: PingId,
        (to, scope): (IpAddr, Option<InterfaceId>),
        seq: u16,
        payload: Bytes,
        info: Option<&SendInfo>,
    ) -> Result<(), SendError> {
        let socket = self.ping.sockets.get(id).ok_or(StaleId)?;
        let (flow, route) = self.request_flow((to, scope), &socket.options, info)?;
        let max = ip::longest(to) - ipv4::icmp::HEADER_LEN;
        let len = payload.len();
        if len > max {
            return Err(SendError::TooBig { len, max });
        }
        let data = &payload[..];
        let ident = socket.identifier;
        let mut header = [0; 8];
        let protocol = match (flow.src, flow.dst) {
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let message = ipv6::icmp::Message::EchoRequest {
                    id: ident,
                    seq,
                    data,
                };
                message.emit_header(src, dst, &mut header);
                Protocol::ICMPV6
            }
            _ => {
                let message = ipv4::icmp::Message::EchoRequest {
                    id: ident,
                    seq,
                    data,
                };
                message.emit_header(&mut header);
                Protocol::ICMP
            }
        };
        let mut packet = OwnedPacket::new(flow, protocol, &header, payload);
        packet.owner = Owner::Ping(id, seq);
        packet.fragmenting = Fragmenting::Here;
        packet.mtu = socket.large.told(self.net.now, to);
        let mtu = route.mtu.min(packet.mtu.into());
        if !self.net.queue_packet(route.on, packet) {
            self.refuse_for_now(route.on, id.into());
            return Err(SendError::WouldBlock);
        }
        self.net.counters.echo_requests_sent += 1;
        if let Some(socket) = self.ping.sockets.get_mut(id) {
            let all = ip::header_len(to) + ipv4::icmp::HEADER_LEN + len;
            if Fragmenting::Here.may_be_refused(to, all, mtu) {
                socket.large.note(to, all, self.net.paths.least(to));
            }
        }
        Ok(())
    }

    /// Takes the oldest answer.
    ///
    /// # Errors
    /// [`RecvError::WouldBlock`] when there is none; an event tells of the next.
    pub fn ping_recv(&mut self, id: PingId) -> Result<PingReply, RecvError> {
        self.note_call(None, |_| Call::PingRecv(id));
        let reply = self.take_reply(id);
        self.note_outcome(reply)
    }

    fn take_reply(&mut self, id: PingId) -> Result<PingReply, RecvError> {
        let socket = self.ping.sockets.get_mut(id).ok_or(StaleId)?;
        let reply = socket.replies.pop_front();
        if reply.is_none() {
            self.events.rearm(SocketId::Ping(id), Readiness::READABLE);
        }
        reply.ok_or(RecvError::WouldBlock)
    }

    /// What it could do now; `None` of a socket that is gone.
    pub(super) fn ping_ready(&self, id: PingId) -> Option<Readiness> {
        let socket = self.ping.sockets.get(id)?;
        let mut ready = self.unrefused(id.into());
        ready.set(Readiness::READABLE, !socket.replies.is_empty());
        Some(ready)
    }

    /// Closes a socket.
    pub fn ping_close(&mut self, id: PingId) {
        self.note_call(None, |_| Call::PingClose(id));
        if let Some(socket) = self.ping.sockets.remove(id) {
            self.ping.identifiers.remove(&socket.identifier);
            self.ping.taken.released(socket.identifier);
            self.forget_refused(id.into());
        }
        self.note_outcome(());
    }

    /// How long the payload of each answer is that waits for its user; 0 for each socket.
    pub(super) fn ping_payloads(&self) -> impl Iterator<Item = usize> {
        let sockets = self.ping.sockets.iter();
        sockets.flat_map(|(_, socket)| {
            let replies = socket.replies.iter().map(|reply| reply.payload.len());
            replies.chain([0])
        })
    }

    /// An echo reply came in.
    pub(super) fn handle_echo_reply(
        &mut self,
        packet: &Inbound,
        identifier: u16,
        seq: u16,
        data: &[u8],
    ) -> Result<(), DropReason> {
        let id = self.ping.identifiers.get(&identifier);
        let id = *id.ok_or(DropReason::PingUnclaimed)?;
        let small = data.len() < self.config.copy_below;
        let payload = if small {
            Bytes::copy_from_slice(data)
        } else {
            packet.segment.slice_ref(data)
        };
        let reply = PingReply {
            from: packet.src,
            seq,
            payload,
            ttl: packet.ttl,
            at: packet.at,
            outcome: PingOutcome::Reply,
        };
        self.ping_deliver(id, reply)
    }

    /// May a ping socket have sent a request with these first bytes?
    pub(super) fn ping_may_have_sent(&self, request: &[u8]) -> bool {
        matches!(request, &[8, 0, _, _, a, b, ..]
            if self.ping.identifiers.contains_key(&u16::from_be_bytes([a, b])))
    }

    /// An ICMP error quotes an echo request of ours.
    pub(super) fn ping_icmp_error(&mut self, error: &IcmpError) -> Result<(), DropReason> {
        let segment = &error.quoted_segment[..];
        let request = if error.quoted_src.is_ipv4() { 8 } else { 128 };
        let &[kind, 0, _, _, a, b, c, d, ..] = segment else {
            return Err(DropReason::IcmpUnmatched);
        };
        let id = self.ping.identifiers.get(&u16::from_be_bytes([a, b]));
        let (Some(&id), true) = (id, kind == request) else {
            return Err(DropReason::IcmpUnmatched);
        };
        let outcome = self.ping_outcome(id, error)?;
        let reply = PingReply {
            from: error.from,
            seq: u16::from_be_bytes([c, d]),
            payload: Bytes::copy_from_slice(&segment[8..]),
            ttl: error.ttl,
            at: error.at,
            outcome,
        };
        self.ping_deliver(id, reply)
    }

    /// What an error makes of the request of this socket that it quotes.
    fn ping_outcome(&mut self, id: PingId, error: &IcmpError) -> Result<PingOutcome, DropReason> {
        let mtu = match error.kind {
            IcmpErrorKind::TimeExceeded => return Ok(PingOutcome::TimeExceeded),
            IcmpErrorKind::ParameterProblem => return Ok(PingOutcome::ParameterProblem),
            IcmpErrorKind::TooBig { mtu } => mtu,
            _ => return Ok(PingOutcome::Unreachable { code: error.code }),
        };
        let (dst, quoted) = (error.quoted_dst, error.quoted_len);
        let socket = self.ping.sockets.get_mut(id);
        let socket = socket.filter(|socket| socket.large.holds(dst, quoted));
        let large = &mut socket.ok_or(DropReason::IcmpUnmatched)?.large;
        // By which interface it left is not remembered: by that of its source, which has the address.
        let route = self.net.route_from(error.quoted_src, dst, Some(error.on));
        let route = route.map_err(|_| DropReason::IcmpUnmatched)?;
        let told = TooBig { mtu, quoted };
        let way = (route.on, dst);
        let mtu = self.net.datagram_too_big(way, told, large, false);
        let mtu = usize::from(mtu.ok_or(DropReason::IcmpTooBig)?);
        let max = mtu - ip::header_len(dst) - ipv4::icmp::HEADER_LEN;
        Ok(PingOutcome::TooBig { max })
    }

    /// The neighbour that a request had to go to does not answer.
    pub(super) fn ping_unreachable(&mut self, now: Instant, id: PingId, seq: u16, to: IpAddr) {
        let reply = PingReply {
            from: to,
            seq,
            payload: Bytes::new(),
            ttl: 0,
            at: now,
            outcome: PingOutcome::NoNeighbour,
        };
        if let Err(reason) = self.ping_deliver(id, reply) {
            self.net.counters.drops.count(reason);
        }
    }

    fn ping_deliver(&mut self, id: PingId, reply: PingReply) -> Result<(), DropReason> {
        let socket = self.ping.sockets.get_mut(id);
        let socket = socket.ok_or(DropReason::PingUnclaimed)?;
        if socket.replies.len() >= socket.options.queue {
            return Err(DropReason::PingUnclaimed);
        }
        socket.replies.push_back(reply);
        self.events.raise(SocketId::Ping(id), Readiness::READABLE);
        Ok(())
    }
}
