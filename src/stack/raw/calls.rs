//! What the user of a raw socket calls.
//!
//! RFC 3542 §3.1. *Owns* the checks of what is sent. *Does not* own queues: the socket has what came in, the interface's outbox what
//! goes out.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::options::RawOptions;
use super::socket::{RawError, RawPacket, RawSocket, pseudo_sum};
use super::{MOST, Raws};
use crate::base::Protocol;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::{InterfaceId, RawSocketId, StaleId};
use crate::stack::ip;
use crate::stack::net::Net;
use crate::stack::packet::{Flow, Fragmenting, Label, OwnedPacket, Owner};
use crate::stack::path::Route;
use crate::stack::udp::{RecvError, SendError, SendInfo};
use crate::stack::{Call, Instant, Stack};

impl Stack {
    /// Opens a raw socket, as `options` say: it hears what this host takes of a protocol, beside the stack itself, and sends what it is given.
    ///
    /// What comes for TCP, UDP and ICMP the stack answers as it would without; of another protocol its sender is not told that
    /// nobody speaks it while a socket hears the packet.
    ///
    /// # Errors
    /// [`RawError`].
    pub fn raw_open(&mut self, options: RawOptions) -> Result<RawSocketId, RawError> {
        self.note_call(None, |_| Call::RawOpen(options));
        let opened = self.open_raw(options);
        self.note_outcome(opened)
    }

    fn open_raw(&mut self, options: RawOptions) -> Result<RawSocketId, RawError> {
        let ends = [options.local, options.peer];
        if let Some(wrong) = ends
            .into_iter()
            .flatten()
            .find(|ip| ip.is_ipv6() != options.v6)
        {
            return Err(RawError::Version(wrong));
        }
        if let Some(on) = options.interface
            && self.net.interfaces.get(on.index()).is_none()
        {
            return Err(RawError::Interface(on));
        }
        if let Some(local) = options.local
            && !self.net.takes(local, options.interface)
        {
            return Err(RawError::NotOurs(local));
        }
        if let Some(at) = options.checksum
            && (!options.v6 || !at.is_multiple_of(2))
        {
            return Err(RawError::Checksum(at));
        }
        if self.raw.sockets.len() >= MOST {
            return Err(RawError::TooMany);
        }
        let id = self.raw.sockets.insert(RawSocket::new(options));
        let of = self.raw.heard.entry((options.v6, options.protocol));
        of.or_default().push(id);
        self.register_unrefused(id.into());
        Ok(id)
    }

    /// Queues a packet with this payload, or, where its socket says so, with this header and payload; `None` sends to the socket's peer,
    /// or to whom the header names. It leaves as `info` says, which a header of its own overrules but for the interface.
    ///
    /// Above the path's MTU it leaves in fragments, unless it has a header of its own.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::WouldBlock`] when the interface's outbox is full: an event tells when it has room.
    pub fn raw_send(
        &mut self,
        now: Instant,
        id: RawSocketId,
        to: Option<IpAddr>,
        data: Bytes,
        info: &SendInfo,
    ) -> Result<(), SendError> {
        self.note_call(Some(now), |_| Call::RawSend(id, to, data.clone(), *info));
        self.net.clamp(now);
        let sent = self.send_raw(id, to, data, info);
        self.note_outcome(sent)
    }

    fn send_raw(
        &mut self,
        id: RawSocketId,
        to: Option<IpAddr>,
        data: Bytes,
        info: &SendInfo,
    ) -> Result<(), SendError> {
        let socket = self.raw.sockets.get_mut(id).ok_or(StaleId)?;
        let (options, net) = (socket.options, &mut self.net);
        if let Some(error) = socket.error.take() {
            return Err(SendError::Earlier(error));
        }
        if socket.has_lost_address(net) {
            return Err(SendError::AddressGone);
        }
        if options.header_included {
            let packet = options.whole(net, id, to, &data, info)?;
            return self.queue_raw(id, packet);
        }
        let to = to.or(options.peer).ok_or(SendError::NoPeer)?;
        let (flow, route) = options.flow_to(net, to, info)?;
        let (len, max) = (data.len(), ip::longest(to));
        if len > max {
            return Err(SendError::TooBig { len, max });
        }
        let payload = options.summed(&flow, data)?;
        let mut packet = OwnedPacket::new(flow, options.protocol(), &[], payload);
        packet.owner = Owner::Raw(id);
        // Nobody says of an IPv4 packet without DF that it is too large: no socket need hear of that.
        packet.fragmenting = match to {
            IpAddr::V4(_) => Fragmenting::Anywhere,
            IpAddr::V6(_) => Fragmenting::Here,
        };
        packet.mtu = socket.large.told(net.now, to);
        let mtu = route.mtu.min(packet.mtu.into());
        let all = ip::header_len(to) + len;
        let refusable = packet.fragmenting.may_be_refused(to, all, mtu);
        self.queue_raw(id, (route.on, packet))?;
        if refusable && let Some(socket) = self.raw.sockets.get_mut(id) {
            socket.large.note(to, all, self.net.paths.least(to));
        }
        Ok(())
    }

    fn queue_raw(
        &mut self,
        id: RawSocketId,
        (on, packet): (InterfaceId, OwnedPacket),
    ) -> Result<(), SendError> {
        if !self.net.queue_packet(on, packet) {
            self.refuse_for_now(on, id.into());
            return Err(SendError::WouldBlock);
        }
        self.net.counters.raw_packets_sent += 1;
        Ok(())
    }

    /// Takes the oldest packet, or the error that is pending.
    ///
    /// # Errors
    /// [`RecvError`]; after [`RecvError::WouldBlock`] an event tells when there is something.
    pub fn raw_recv(&mut self, id: RawSocketId) -> Result<RawPacket, RecvError> {
        self.note_call(None, |_| Call::RawRecv(id));
        let received = self.take_raw(id);
        self.note_outcome(received)
    }

    fn take_raw(&mut self, id: RawSocketId) -> Result<RawPacket, RecvError> {
        let socket = self.raw.sockets.get_mut(id).ok_or(StaleId)?;
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        let packet = socket.pop();
        let (held, counters) = (socket.held(), &mut self.net.counters);
        self.memory.charge(&mut socket.charged, held, counters);
        if packet.is_none() {
            self.events.rearm(SocketId::Raw(id), Readiness::READABLE);
            if socket.has_lost_address(&self.net) {
                return Err(RecvError::AddressGone);
            }
        }
        packet.ok_or(RecvError::WouldBlock)
    }

    /// What it could do now; `None` of a socket that is gone.
    pub(in crate::stack) fn raw_ready(&self, id: RawSocketId) -> Option<Readiness> {
        let socket = self.raw.sockets.get(id)?;
        let has_error = socket.error.is_some();
        let mut ready =
            self.unrefused(id.into()) | (Readiness::WRITABLE & Readiness::all_if(has_error));
        let something = !socket.is_empty() || socket.has_lost_address(&self.net);
        ready.set(Readiness::READABLE, has_error || something);
        Some(ready)
    }

    /// How many packets a socket lost because its queue was full.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn raw_dropped(&self, id: RawSocketId) -> Result<u64, StaleId> {
        let socket = self.raw.sockets.get(id).ok_or(StaleId)?;
        Ok(socket.dropped)
    }

    /// Closes a socket; what it has sent leaves all the same.
    pub fn raw_close(&mut self, id: RawSocketId) {
        self.note_call(None, |_| Call::RawClose(id));
        if let Some(mut socket) = self.raw.sockets.remove(id) {
            let counters = &mut self.net.counters;
            self.memory.charge(&mut socket.charged, 0, counters);
            self.raw.deafen(id, &socket.options);
            self.forget_refused(id.into());
        }
        self.note_outcome(());
    }

    /// What all sockets are charged, recounted from what they hold.
    pub(in crate::stack) fn raw_memory(&self) -> usize {
        let sockets = self.raw.sockets.iter();
        sockets
            .map(|(_, socket)| {
                assert_eq!(socket.charged, socket.held(), "a socket's charge");
                socket.charged
            })
            .sum()
    }

    /// Looks at one slot; `false` beyond the last. Whoever waits there is told to ask.
    pub(in crate::stack) fn raw_sweep(&mut self, index: usize) -> bool {
        let slot = u32::try_from(index).unwrap_or(u32::MAX);
        if let Some((id, socket)) = self.raw.sockets.at(slot)
            && socket.has_lost_address(&self.net)
        {
            let told = Readiness::READABLE;
            self.events.raise(SocketId::Raw(id), told);
        }
        index < self.raw.sockets.places()
    }
}

impl Raws {
    /// A socket hears its protocol no more.
    fn deafen(&mut self, id: RawSocketId, options: &RawOptions) {
        let of = (options.v6, options.protocol);
        if let Some(ids) = self.heard.get_mut(&of) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.heard.remove(&of);
            }
        }
    }
}

impl RawOptions {
    /// The way to `to`, and what stands in the header of a packet that leaves by it.
    pub(super) fn flow_to(
        &self,
        net: &Net,
        to: IpAddr,
        info: &SendInfo,
    ) -> Result<(Flow, Route), SendError> {
        let route = self.route_to(net, to, info)?;
        let hops = || match to.is_multicast() {
            true => 1,
            false => net.ttl_to(route.on, to),
        };
        let flow = Flow {
            src: info.source.or(self.local).unwrap_or(route.source),
            dst: to,
            next_hop: route.next_hop,
            ttl: info.ttl.or(self.ttl).unwrap_or_else(hops),
            tos: info.tos.unwrap_or(self.tos),
            label: info.label_or(Label::asked(self.flow_label)),
        };
        Ok((flow, route))
    }

    fn route_to(&self, net: &Net, to: IpAddr, info: &SendInfo) -> Result<Route, SendError> {
        if to.is_ipv6() != self.v6 {
            return Err(SendError::To(SocketAddr::new(to, 0)));
        }
        info.check(net, to, self.interface)?;
        let scope: Option<InterfaceId> = info.interface.or(self.interface);
        let route = match info.source.or(self.local) {
            Some(source) => net.route_from(source, to, scope)?,
            None => net.route(to, scope)?,
        };
        info.check_source(net, route.on, (None, to))?;
        self.check_broadcast(net, route.on, to)?;
        Ok(route)
    }

    /// May the socket send to `to` on this interface, if that is everybody?
    pub(super) fn check_broadcast(
        &self,
        net: &Net,
        on: InterfaceId,
        to: IpAddr,
    ) -> Result<(), SendError> {
        let groups = &net.interfaces[on.index()].groups;
        let broadcast = matches!(to, IpAddr::V4(a) if a.is_broadcast() || groups.is_broadcast(a));
        if broadcast && !self.broadcast {
            return Err(SendError::Broadcast(to));
        }
        Ok(())
    }

    /// The payload with its checksum, if the socket has the stack make one (RFC 3542 §3.1).
    fn summed(&self, flow: &Flow, data: Bytes) -> Result<Bytes, SendError> {
        let Some(at) = self.checksum.map(usize::from) else {
            return Ok(data);
        };
        let mut filled = data.to_vec();
        let Some(field) = filled.get_mut(at..at + 2) else {
            let why = "it ends before its checksum";
            return Err(SendError::Malformed { why });
        };
        field.fill(0);
        let protocol = self.protocol();
        let pseudo = pseudo_sum(flow.src, flow.dst, protocol, data.len());
        let sum = pseudo.bytes(&filled).finish();
        // RFC 8200 §8.1: over IPv6 a UDP checksum of 0 is none.
        let sum = if sum == 0 && protocol == Protocol::UDP {
            0xffff
        } else {
            sum
        };
        filled[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        Ok(filled.into())
    }
}
