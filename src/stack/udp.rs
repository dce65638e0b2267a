//! UDP in the stack: the user's calls, datagrams in, datagrams out.
//!
//! RFC 768, RFC 1122 §4.1, RFC 8085 §5.2. *Owns* none of the queues: sockets do.

use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::num::NonZeroU16;

use bytes::Bytes;

use super::Stack;
use super::demux::{InUse, Tuple, is_link_local};
use super::egress::Outbound;
use super::event::{Readiness, SocketId};
use super::icmp::{Complaint, IcmpError, IcmpErrorKind};
use super::ids::{Id, InterfaceId, StaleId, UdpId};
use super::packet::{Delivery, Flow, Inbound, OwnedPacket, Waiter};
use super::ready::Ready;
use super::route::Route;
use super::tcp::TcpTurn;
use super::udp_socket::{
    BindError, ConnectUdpError, Datagram, Pending, RecvError, SendError, UdpOptions, UdpSocket,
};
use crate::base::{DropReason, Instant, Protocol};
use crate::device::{DeviceError, Transmit};
use crate::link::{MAX_IP_LEN, RxChecksum};
use crate::{ipv4, ipv6, udp};

/// Frames that one socket sends before the next has its turn.
const TURN: usize = 8;

impl Stack {
    /// Binds a UDP socket to a local address (`0.0.0.0` and `[::]`: any) and port (0: an ephemeral
    /// one, RFC 6056).
    ///
    /// # Errors
    /// [`BindError`] when the address is not ours or the port is taken.
    pub fn udp_bind(&mut self, local: SocketAddr, options: UdpOptions) -> Result<UdpId, BindError> {
        let (mut local, zone) = self.local_endpoint(local)?;
        let dual = options.dual_stack;
        if local.port() == 0 {
            let table = &self.demux.udp;
            let free = |port: NonZeroU16| {
                table.is_free(SocketAddr::new(local.ip(), port.get()), zone, dual)
            };
            let port = self.ports.pick(local.ip(), None, free);
            local.set_port(port.ok_or(BindError::NoPort)?.get());
        }
        let id = self.udp.next_id();
        self.demux
            .udp
            .bind(local, zone, dual, id)
            .map_err(|InUse| BindError::InUse(local))?;
        self.udp.insert(UdpSocket::new(local, zone, options));
        self.events.register(SocketId::Udp(id));
        Ok(id)
    }

    /// Checks that a socket may be bound to `local`, and finds its zone.
    pub(crate) fn local_endpoint(&self, local: SocketAddr) -> Result<(SocketAddr, u32), BindError> {
        let ip = local.ip();
        if ip.is_unspecified() {
            return Ok((local, 0));
        }
        let scope = scope_of(local);
        if is_link_local(ip) && scope.is_none() && self.net.interfaces.len() > 1 {
            return Err(BindError::NoScope(ip));
        }
        if !self.net.is_ours(ip, scope) && !self.net.accepts_foreign(ip, scope) {
            return Err(BindError::NotOurs(ip));
        }
        let only = InterfaceId::from_index(0);
        let zone = if is_link_local(ip) {
            scope.unwrap_or(only).scope()
        } else {
            0
        };
        Ok((with_scope(local, zone), zone))
    }

    /// Makes `remote` the socket's only peer; its ICMP errors are then told to the socket.
    ///
    /// # Errors
    /// [`ConnectUdpError`] when there is no way to it or it cannot be a peer.
    pub fn udp_connect(&mut self, id: UdpId, remote: SocketAddr) -> Result<(), ConnectUdpError> {
        let socket = self.udp.get(id).ok_or(StaleId)?;
        let local = socket.local;
        if remote.port() == 0 || !takes(socket, remote.ip()) {
            return Err(ConnectUdpError::Peer(remote));
        }
        let route = self.net.route(remote.ip(), scope_for(socket, remote))?;
        let source = source_for(local, &route);
        let to = (remote.ip(), remote.port());
        let tuple = Tuple::new(route.on, (source, local.port()), to);
        self.forget_peer(id);
        let table = &mut self.demux.udp;
        let claimed = table.insert_flow(tuple, id);
        claimed.map_err(|InUse| ConnectUdpError::InUse(remote))?;
        let socket = self.udp.get_mut(id).ok_or(StaleId)?;
        let zone = if is_link_local(remote.ip()) {
            route.on.scope()
        } else {
            0
        };
        socket.peer = Some(with_scope(remote, zone));
        socket.connected = Some(tuple);
        // What others sent before is not the peer's (std does the same).
        socket.error = None;
        Ok(())
    }

    /// Queues a datagram, copying it; returns its length. `None` sends to the connected peer.
    ///
    /// # Errors
    /// [`SendError`]; after [`SendError::WouldBlock`] an event tells when there is room.
    pub fn udp_send_to(
        &mut self,
        now: Instant,
        id: UdpId,
        to: Option<SocketAddr>,
        data: &[u8],
    ) -> Result<usize, SendError> {
        let checked = self.check_send(now, id, to, data.len(), None)?;
        let len = data.len();
        self.enqueue(id, checked, Bytes::copy_from_slice(data), None);
        Ok(len)
    }

    /// Queues a datagram without copying it.
    ///
    /// # Errors
    /// As [`udp_send_to`](Self::udp_send_to).
    pub fn udp_send_chunk(
        &mut self,
        now: Instant,
        id: UdpId,
        to: Option<SocketAddr>,
        data: Bytes,
    ) -> Result<(), SendError> {
        let checked = self.check_send(now, id, to, data.len(), None)?;
        self.enqueue(id, checked, data, None);
        Ok(())
    }

    /// Queues datagrams of `segment` bytes each, the last maybe shorter, that lie one behind the
    /// other in `data`: one super-segment where the device can cut it (USO), else many datagrams
    /// that share the buffer.
    ///
    /// # Errors
    /// As [`udp_send_to`](Self::udp_send_to).
    pub fn udp_send_segmented(
        &mut self,
        now: Instant,
        id: UdpId,
        to: Option<SocketAddr>,
        data: Bytes,
        segment: NonZeroU16,
    ) -> Result<(), SendError> {
        let (to, route) = self.check_send(now, id, to, data.len(), Some(segment))?;
        let size = usize::from(segment.get());
        let whole = self.net.interfaces[route.on.index()].capabilities.uso;
        if data.len() <= size || whole {
            let segment = (data.len() > size).then_some(segment);
            self.enqueue(id, (to, route), data, segment);
            return Ok(());
        }
        let mut rest = data;
        while !rest.is_empty() {
            let one = rest.split_to(size.min(rest.len()));
            self.enqueue(id, (to, route), one, None);
        }
        Ok(())
    }

    /// Takes the oldest received datagram, or the error that is pending.
    ///
    /// # Errors
    /// [`RecvError`]; after [`RecvError::WouldBlock`] an event tells when there is something.
    pub fn udp_recv(&mut self, id: UdpId) -> Result<Datagram, RecvError> {
        let socket = self.udp.get_mut(id).ok_or(StaleId)?;
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        let datagram = socket.pop_recv();
        if datagram.is_none() {
            self.events.rearm(SocketId::Udp(id), Readiness::READABLE);
        }
        datagram.ok_or(RecvError::WouldBlock)
    }

    /// Closes a socket; what it had queued and not sent yet is sent all the same.
    pub fn udp_close(&mut self, id: UdpId) {
        self.forget_peer(id);
        let Some(mut socket) = self.udp.remove(id) else {
            return;
        };
        self.demux.udp.unbind(socket.local.port(), id);
        self.events.forget(SocketId::Udp(id));
        while let Some(pending) = socket.pop_send() {
            if let Ok(route) = self
                .net
                .route(pending.to.ip(), scope_for(&socket, pending.to))
            {
                let packet = owned(&socket, &route, pending, self.net.ttl);
                self.net.queue_packet(route.on, packet);
            }
        }
    }

    /// The address that a socket is bound to; once connected, the address that it sends from.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn udp_local_addr(&self, id: UdpId) -> Result<SocketAddr, StaleId> {
        let socket = self.udp.get(id).ok_or(StaleId)?;
        let mut local = socket.local;
        if let Some(tuple) = socket.connected {
            local.set_ip(tuple.local.ip);
        }
        Ok(local)
    }

    /// The peer that a socket is connected to.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn udp_peer_addr(&self, id: UdpId) -> Result<Option<SocketAddr>, StaleId> {
        Ok(self.udp.get(id).ok_or(StaleId)?.peer)
    }

    fn forget_peer(&mut self, id: UdpId) {
        if let Some(socket) = self.udp.get_mut(id) {
            socket.peer = None;
            if let Some(tuple) = socket.connected.take() {
                self.demux.udp.remove_flow(&tuple);
            }
        }
    }

    /// May this be sent, and where does it go?
    fn check_send(
        &mut self,
        now: Instant,
        id: UdpId,
        to: Option<SocketAddr>,
        len: usize,
        segment: Option<NonZeroU16>,
    ) -> Result<(SocketAddr, Route), SendError> {
        self.net.clamp(now);
        let socket = self.udp.get_mut(id).ok_or(StaleId)?;
        if let Some(error) = socket.error.take() {
            return Err(SendError::Earlier(error));
        }
        let to = to.or(socket.peer).ok_or(SendError::NoPeer)?;
        if to.port() == 0 || !takes(socket, to.ip()) {
            return Err(SendError::To(to));
        }
        let route = self.net.route(to.ip(), scope_for(socket, to))?;
        let ip = if to.is_ipv4() {
            ipv4::MIN_HEADER_LEN
        } else {
            ipv6::HEADER_LEN
        };
        let headers = ip + udp::HEADER_LEN;
        let one = segment.map_or(len, |size| len.min(usize::from(size.get())));
        let room = route.mtu.min(MAX_IP_LEN) - headers;
        if one > room {
            return Err(SendError::TooBig {
                len: one,
                max: room,
            });
        }
        let all = MAX_IP_LEN - headers;
        if len > all {
            return Err(SendError::TooBig { len, max: all });
        }
        if socket.has_send_room(len) {
            Ok((to, route))
        } else {
            socket.blocked = true;
            self.events.rearm(SocketId::Udp(id), Readiness::WRITABLE);
            Err(SendError::WouldBlock)
        }
    }

    fn enqueue(
        &mut self,
        id: UdpId,
        (to, route): (SocketAddr, Route),
        data: Bytes,
        segment: Option<NonZeroU16>,
    ) {
        if let Some(socket) = self.udp.get_mut(id) {
            socket.push_send(Pending { to, data, segment });
            self.net.interfaces[route.on.index()]
                .ready
                .push(Ready::Udp(id.index()));
        }
    }

    /// A datagram came in.
    pub(super) fn handle_udp(&mut self, now: Instant, packet: &Inbound) -> Result<(), DropReason> {
        let _ = now;
        let (header, data) =
            udp::Header::parse(&packet.segment).map_err(|_| DropReason::UdpMalformed)?;
        check_checksum(packet, &header)?;
        let (from_port, to_port) = (header.src_port(), header.dst_port());
        let data = packet.segment.slice_ref(data);
        let local = (packet.dst, to_port);
        let tuple = Tuple::new(packet.on, local, (packet.src, from_port));
        let table = &self.demux.udp;
        let id = table
            .flow(&tuple)
            .or_else(|| table.bound(packet.on, packet.dst, to_port));
        let from = endpoint(packet.on, packet.src, from_port);
        let found = id.and_then(|id| Some((id, self.udp.get_mut(id)?)));
        // A connected socket hears its peer only; a group's datagrams go to sockets bound to any.
        let found = found.filter(|(_, socket)| socket.peer.is_none_or(|peer| peer == from));
        let Some((id, socket)) = found else {
            self.complain(packet, Complaint::Port);
            return Err(DropReason::UdpNoSocket);
        };
        let size = packet
            .segment_size
            .map_or(data.len(), |size| size.get().into());
        let mut rest = data;
        let mut full = false;
        loop {
            let one = rest.split_to(size.min(rest.len()));
            let small = one.len() < self.config.copy_below;
            let datagram = Datagram {
                data: if small {
                    Bytes::copy_from_slice(&one)
                } else {
                    one
                },
                from,
                to: packet.dst,
                ttl: packet.ttl,
                tos: packet.tos,
            };
            if socket.push_recv(datagram) {
                self.net.counters.udp_datagrams_received += 1;
            } else if full {
                self.net.counters.drops.count(DropReason::UdpBufferFull);
            } else {
                full = true;
            }
            if rest.is_empty() {
                break;
            }
        }
        self.events.raise(SocketId::Udp(id), Readiness::READABLE);
        if full {
            Err(DropReason::UdpBufferFull)
        } else {
            Ok(())
        }
    }

    /// An ICMP error quotes a datagram of ours.
    pub(super) fn udp_icmp_error(&mut self, error: &IcmpError) -> Result<(), DropReason> {
        let unmatched = DropReason::IcmpUnmatched;
        let (header, _) =
            udp::Header::parse_quoted(&error.quoted_segment).map_err(|_| unmatched)?;
        let local = (error.quoted_src, header.src_port());
        let tuple = Tuple::new(error.on, local, (error.quoted_dst, header.dst_port()));
        let table = &self.demux.udp;
        let id = table
            .flow(&tuple)
            .or_else(|| table.bound(error.on, local.0, local.1));
        let socket = id.and_then(|id| self.udp.get(id)).ok_or(unmatched)?;
        // RFC 8085 §5.2: only what was really sent may be quoted.
        let to = endpoint(error.on, error.quoted_dst, header.dst_port());
        let hears = socket
            .peer
            .map_or(socket.options.report_errors, |peer| peer == to);
        let what = match error.kind {
            IcmpErrorKind::PortUnreachable | IcmpErrorKind::ProtocolUnreachable => {
                RecvError::Refused
            }
            IcmpErrorKind::NetUnreachable => RecvError::NetworkUnreachable,
            IcmpErrorKind::HostUnreachable | IcmpErrorKind::Prohibited => {
                RecvError::HostUnreachable
            }
            IcmpErrorKind::TooBig { .. }
            | IcmpErrorKind::TimeExceeded
            | IcmpErrorKind::ParameterProblem => return Err(DropReason::IcmpIgnored),
        };
        match id {
            Some(id) if hears => self.udp_fail(id, what),
            _ => return Err(DropReason::IcmpIgnored),
        }
        Ok(())
    }

    /// Keeps an error for the socket's next call.
    pub(super) fn udp_fail(&mut self, id: UdpId, error: RecvError) {
        if let Some(socket) = self.udp.get_mut(id) {
            socket.error = Some(error);
            let ready = Readiness::READABLE | Readiness::WRITABLE;
            self.events.raise(SocketId::Udp(id), ready);
        }
    }

    /// The tentative address that the first datagram waited for is a duplicate: that one is lost.
    pub(super) fn udp_waiting_failed(&mut self, id: UdpId) {
        let Some(socket) = self.udp.get_mut(id) else {
            return;
        };
        socket.pop_send();
        let next = socket.send.front().map(|pending| pending.to);
        self.net.counters.drops.count(DropReason::IpTentative);
        self.udp_fail(id, RecvError::HostUnreachable);
        let interface = next.and_then(|to| self.net.route(to.ip(), scope_of(to)).ok());
        if let Some(route) = interface {
            self.net.wake(route.on, Waiter::Udp(id));
        }
    }

    /// Lets the socket in this slot send on `on`.
    pub(super) fn transmit_udp<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        index: u32,
        out: &mut T,
        budget: &mut usize,
    ) -> Result<TcpTurn, DeviceError> {
        let Some(id) = self.udp.id_at(index) else {
            return Ok(TcpTurn::Done);
        };
        let mut turn = TURN.min(*budget);
        loop {
            let Some(socket) = self.udp.get_mut(id) else {
                return Ok(TcpTurn::Done);
            };
            let Some(to) = socket.send.front().map(|pending| pending.to) else {
                return Ok(TcpTurn::Done);
            };
            if turn == 0 {
                return Ok(TcpTurn::More);
            }
            let route = match self.net.route(to.ip(), scope_for(socket, to)) {
                Ok(route) if route.on == on => route,
                Ok(route) => {
                    // The next one leaves elsewhere: the socket goes on in that line.
                    self.net.wake(route.on, Waiter::Udp(id));
                    return Ok(TcpTurn::Done);
                }
                Err(error) => {
                    socket.pop_send();
                    self.net.counters.drops.count(DropReason::NoRoute);
                    self.udp_fail(id, error.into());
                    continue;
                }
            };
            match self.send_first(now, id, &route, out)? {
                Delivery::Full => return Ok(TcpTurn::Full),
                Delivery::Unresolved => return Ok(TcpTurn::Waiting),
                Delivery::Taken | Delivery::Dropped => {}
            }
            turn -= 1;
            *budget -= 1;
            self.told_room(id);
        }
    }

    /// Sends the first datagram of a socket, or puts it in its neighbour's queue.
    fn send_first<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        id: UdpId,
        route: &Route,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let Some(socket) = self.udp.get_mut(id) else {
            return Ok(Delivery::Dropped);
        };
        let Some(first) = socket.send.front() else {
            return Ok(Delivery::Dropped);
        };
        let flow = flow_of(socket, route, first.to, self.net.ttl);
        let mut header = [0; udp::HEADER_LEN];
        let ports = udp::Fields::new(socket.local.port(), first.to.port());
        ports.emit(first.data.len(), &mut header);
        let packet = Outbound {
            flow: &flow,
            protocol: Protocol::UDP,
            header: &header,
            payload: core::slice::from_ref(&first.data),
            segment: first.segment,
        };
        let datagrams = first.segment.map_or(1, |size| {
            first.data.len().div_ceil(usize::from(size.get())) as u64
        });
        let delivery = self.net.send_datagram(now, route.on, id, &packet, out)?;
        if matches!(delivery, Delivery::Taken | Delivery::Dropped) {
            socket.pop_send();
            self.net.counters.udp_datagrams_sent += datagrams;
        }
        Ok(delivery)
    }

    fn told_room(&mut self, id: UdpId) {
        if let Some(socket) = self.udp.get_mut(id)
            && socket.blocked
            && socket.send_charge * 2 <= socket.options.send_buffer
        {
            socket.blocked = false;
            self.events.raise(SocketId::Udp(id), Readiness::WRITABLE);
        }
    }
}

/// The scope that an address names.
pub(super) fn scope_of(address: SocketAddr) -> Option<InterfaceId> {
    match address {
        SocketAddr::V6(a) => InterfaceId::from_scope(a.scope_id()),
        SocketAddr::V4(_) => None,
    }
}

/// The same address with this scope id, if it has one at all.
pub(super) fn with_scope(address: SocketAddr, zone: u32) -> SocketAddr {
    match address {
        SocketAddr::V6(a) => SocketAddr::V6(SocketAddrV6::new(*a.ip(), a.port(), 0, zone)),
        SocketAddr::V4(_) => address,
    }
}

/// How a peer is shown: a link-local one with the interface that it was heard on.
pub(crate) fn endpoint(on: InterfaceId, ip: IpAddr, port: u16) -> SocketAddr {
    let zone = if is_link_local(ip) { on.scope() } else { 0 };
    with_scope(SocketAddr::new(ip, port), zone)
}

/// Does the socket speak to addresses of this family, and of no mapped form?
fn takes(socket: &UdpSocket, ip: IpAddr) -> bool {
    let mapped = |a: Ipv6Addr| a.to_ipv4_mapped().is_some();
    match (socket.local.ip(), ip) {
        (IpAddr::V4(_), IpAddr::V4(_)) => true,
        (IpAddr::V6(_), IpAddr::V6(to)) => !mapped(to),
        (IpAddr::V6(own), IpAddr::V4(_)) => own.is_unspecified() && socket.options.dual_stack,
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    }
}

/// Over which interface: the one that the destination names, else the socket's own.
fn scope_for(socket: &UdpSocket, to: SocketAddr) -> Option<InterfaceId> {
    let link_local = is_link_local(to.ip());
    scope_of(to).or_else(|| {
        link_local
            .then(|| InterfaceId::from_scope(socket.zone))
            .flatten()
    })
}

/// The address that a socket bound to `local` sends from on `route` (RFC 1122 §3.3.4.2).
fn source_for(local: SocketAddr, route: &Route) -> IpAddr {
    if local.ip().is_unspecified() {
        route.source
    } else {
        local.ip()
    }
}

fn flow_of(socket: &UdpSocket, route: &Route, to: SocketAddr, ttl: u8) -> Flow {
    let connected = socket.connected.filter(|_| socket.peer == Some(to));
    Flow {
        src: connected.map_or_else(|| source_for(socket.local, route), |t| t.local.ip),
        dst: to.ip(),
        next_hop: route.next_hop,
        ttl: socket.options.ttl.unwrap_or(ttl),
        tos: socket.options.tos,
    }
}

/// A datagram that outlives its socket.
fn owned(socket: &UdpSocket, route: &Route, pending: Pending, ttl: u8) -> OwnedPacket {
    let flow = flow_of(socket, route, pending.to, ttl);
    let mut header = [0; udp::HEADER_LEN];
    udp::Fields::new(socket.local.port(), pending.to.port()).emit(pending.data.len(), &mut header);
    let mut packet = OwnedPacket::new(flow, Protocol::UDP, &header, pending.data);
    packet.segment = pending.segment;
    packet
}

/// RFC 768, RFC 1122 §4.1.3.4; RFC 8200 §8.1: over IPv6 there must be one.
fn check_checksum(packet: &Inbound, header: &udp::Header<'_>) -> Result<(), DropReason> {
    if packet.checksum != RxChecksum::Unknown {
        return Ok(());
    }
    let len = usize::from(header.length());
    let pseudo = match (packet.src, packet.dst) {
        (IpAddr::V4(_), IpAddr::V4(_)) if header.checksum() == 0 => return Ok(()),
        (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::pseudo_sum(src, dst, Protocol::UDP, len),
        (IpAddr::V6(src), IpAddr::V6(dst)) if header.checksum() != 0 => {
            ipv6::pseudo_sum(src, dst, Protocol::UDP, len)
        }
        _ => return Err(DropReason::UdpChecksum),
    };
    let bytes = packet.segment.get(..len).unwrap_or(&packet.segment);
    if pseudo.bytes(bytes).is_valid() {
        Ok(())
    } else {
        Err(DropReason::UdpChecksum)
    }
}
