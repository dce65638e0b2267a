//! What the user of a UDP socket calls.
//!
//! RFC 768, RFC 1122 §4.1. *Owns* none of the queues: sockets do. The datagrams pass through `datagrams`.

use core::net::SocketAddr;

use core::num::NonZeroU16;

use bytes::Bytes;

use super::Around;
use super::charges::charge;
use super::ends::{flow_of, is_broadcast, route_for, scope_for, source_for};
use super::info::SendInfo;
use super::options::{DontFragment, UdpOptions};
use super::orphans::owned;
use super::socket::{BindError, ConnectUdpError, RecvError, SendError, UdpSocket};
use super::waiting::{Datagram, Pending};
use crate::base::Instant;
use crate::link::{MAX_IP_LEN, SegmentKind};
use crate::stack::demux::{ANY_PORT, Refused};
use crate::stack::endpoint::{scope_of, with_scope};
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::{Id, InterfaceId, StaleId, UdpId};
use crate::stack::interface::Ready;
use crate::stack::ip::{self, NatKind};
use crate::stack::packet::{Flow, Fragmenting, Summed, Waiter};
use crate::stack::path::Route;
use crate::stack::tuple::{InUse, Tuple, is_link_local};
use crate::stack::{Call, Stack};
use crate::udp;

/// Datagrams in a super-segment that software cuts: a drain of the interface stops between
/// super-segments only, and nobody limits how small their datagrams are. Linux takes as many at once
/// (`UDP_MAX_SEGMENTS`).
const MOST_CUT: usize = 64;

impl Stack {
    /// Binds a UDP socket to a local address (`0.0.0.0` and `[::]`: any) and port (0: an ephemeral
    /// one, RFC 6056).
    ///
    /// # Errors
    /// [`BindError`] when the address is not ours or the port is taken.
    pub fn udp_bind(&mut self, local: SocketAddr, options: UdpOptions) -> Result<UdpId, BindError> {
        self.note_call(None, |_| Call::UdpBind(local, options));
        let bound = self.bind_udp(local, options);
        self.note_outcome(bound)
    }

    fn bind_udp(&mut self, local: SocketAddr, options: UdpOptions) -> Result<UdpId, BindError> {
        // A group is nobody's address: what is bound to one takes what comes to it.
        let (mut local, zone) = match local.ip().is_multicast() {
            true => (with_scope(local, 0), 0),
            false => self.local_endpoint(local)?,
        };
        let dual = options.dual_stack;
        if let Some(on) = options.interface
            && self.net.interfaces.get(on.index()).is_none()
        {
            return Err(BindError::Interface(on));
        }
        // Of another link: it would hear nothing (RFC 4007 §6).
        if let Some(on) = options.interface
            && zone != 0
            && zone != on.scope()
        {
            return Err(BindError::Interface(on));
        }
        if options.any_port && local.port() != ANY_PORT {
            return Err(BindError::PortGiven(local));
        }
        if local.port() == 0 && !options.any_port {
            let port =
                self.demux
                    .udp
                    .free_port(&mut self.ephemeral, (local, zone, dual), |local| {
                        self.net.is_mapped(NatKind::Udp, local)
                    });
            local.set_port(port.ok_or(BindError::NoPort)?.get());
        }
        if self.net.is_mapped(NatKind::Udp, local) {
            return Err(BindError::InUse(local));
        }
        let id = self.udp.next_id();
        self.demux
            .udp
            .bind_as((local, zone, dual), id, options.claim())
            .map_err(|refused| match refused {
                Refused::InUse => BindError::InUse(local),
                Refused::Crowded => BindError::Shared(local),
            })?;
        self.udp.insert(UdpSocket::new(local, zone, options));
        self.events.register(SocketId::Udp(id));
        Ok(id)
    }

    /// Checks that a socket may be bound to `local` (RFC 6724 §4: an address of ours), and finds its zone.
    pub(crate) fn local_endpoint(&self, local: SocketAddr) -> Result<(SocketAddr, u32), BindError> {
        let ip = local.ip();
        if ip.is_unspecified() {
            return Ok((local, 0));
        }
        let scope = scope_of(local);
        if is_link_local(ip) && scope.is_none() && self.net.interfaces.are_several() {
            return Err(BindError::NoScope(ip));
        }
        if !self.net.takes(ip, scope) {
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
    /// From then on the socket takes what `remote` sends to the address that it is sent from, and
    /// nothing else: no broadcasts, no groups. A connect that fails changes nothing.
    ///
    /// # Errors
    /// [`ConnectUdpError`] when there is no way to it or it cannot be a peer.
    pub fn udp_connect(&mut self, id: UdpId, remote: SocketAddr) -> Result<(), ConnectUdpError> {
        self.note_call(None, |_| Call::UdpConnect(id, remote));
        let connected = self.connect_udp(id, remote);
        self.note_outcome(connected)
    }

    fn connect_udp(&mut self, id: UdpId, remote: SocketAddr) -> Result<(), ConnectUdpError> {
        let socket = self.udp.get(id).ok_or(StaleId)?;
        let (local, own) = (socket.local, socket.source());
        if self.net.has_lost_local(local) {
            return Err(ConnectUdpError::AddressGone);
        }
        if socket.options.any_port {
            return Err(ConnectUdpError::AnyPort);
        }
        if remote.port() == 0 || !socket.takes(remote.ip()) {
            return Err(ConnectUdpError::Peer(remote));
        }
        if socket.check_interface(remote, None).is_err() {
            return Err(ConnectUdpError::Peer(remote));
        }
        let only = socket.options.interface;
        // Where it was connected to before does not count.
        let scope = scope_for(socket, remote);
        let route = self.net.route_from(own, remote.ip(), scope)?;
        if !socket.options.broadcast && is_broadcast(&self.net, &route, remote.ip()) {
            return Err(ConnectUdpError::Broadcast(remote));
        }
        let source = source_for(own, &route);
        let to = (remote.ip(), remote.port());
        let tuple = Tuple::new(route.on, (source, local.port()), to);
        if socket.connected != Some(tuple) {
            // The new claim first: a connect that fails changes nothing.
            let claimed = self.demux.udp.insert_flow(tuple, only, id);
            claimed.map_err(|InUse| ConnectUdpError::InUse(remote))?;
            self.forget_peer(id);
            self.demux.udp.set_connected(local, id);
        }
        let socket = self.udp.get_mut(id).ok_or(StaleId)?;
        let zone = if is_link_local(remote.ip()) {
            route.on.scope()
        } else {
            0
        };
        socket.peer = Some(with_scope(remote, zone));
        socket.connected = Some(tuple);
        // An error about what went elsewhere is not this peer's.
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
        self.note_call(Some(now), |keep| {
            Call::UdpSendTo(id, to, keep.datagram(data))
        });
        let sent = self.send_udp(now, id, to, data.len(), || Bytes::copy_from_slice(data));
        self.note_outcome(sent.map(|()| data.len()))
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
        self.note_call(Some(now), |keep| {
            Call::UdpSendChunk(id, to, keep.datagram_chunk(&data))
        });
        let sent = self.send_udp(now, id, to, data.len(), || data);
        self.note_outcome(sent)
    }

    fn send_udp(
        &mut self,
        now: Instant,
        id: UdpId,
        to: Option<SocketAddr>,
        len: usize,
        data: impl FnOnce() -> Bytes,
    ) -> Result<(), SendError> {
        self.net.clamp(now);
        let (socket, mut around) = self.udp_and_around(id)?;
        let way = socket.check_send(id, &mut around, to, (len, None), None)?;
        socket.enqueue(id, &mut around, way, (data(), None), None);
        Ok(())
    }

    /// Queues datagrams of `segment` bytes each, the last maybe shorter, that lie one behind the
    /// other in `data`: one super-segment where the device can cut it (USO), some where software at
    /// its edge does, else many datagrams; they share the buffer.
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
        self.note_call(Some(now), |keep| {
            Call::UdpSendSegmented(id, to, keep.datagram_chunk(&data), segment)
        });
        let sent = self.send_segmented(now, (id, to), data, Some(segment), None);
        self.note_outcome(sent)
    }

    /// The same, or one datagram, that leave as `info` says.
    pub(super) fn send_segmented(
        &mut self,
        now: Instant,
        (id, to): (UdpId, Option<SocketAddr>),
        data: Bytes,
        segment: Option<NonZeroU16>,
        info: Option<&SendInfo>,
    ) -> Result<(), SendError> {
        self.net.clamp(now);
        let (socket, mut around) = self.udp_and_around(id)?;
        let asked = (data.len(), segment);
        let (to, route) = socket.check_send(id, &mut around, to, asked, info)?;
        let Some(size) = segment else {
            socket.enqueue(id, &mut around, (to, route), (data, None), info);
            return Ok(());
        };
        let size = usize::from(size.get());
        let device = &around.net.interfaces[route.on.index()].line.capabilities;
        // What a device cuts gets checksums.
        let alone = !device.uso || socket.sums((to, info)) == Summed::No;
        let datagrams = if alone {
            1
        } else if device.cut_in_software.has(SegmentKind::Udp) {
            MOST_CUT
        } else {
            usize::MAX
        };
        let most = size.saturating_mul(datagrams);
        let mut rest = data;
        loop {
            let one = rest.split_to(most.min(rest.len()));
            let segment = segment.filter(|_| one.len() > size);
            socket.enqueue(id, &mut around, (to, route), (one, segment), info);
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Makes a call of a journal again that sends more than a packet carries: of what is refused for its
    /// length nothing else is needed.
    pub(in crate::stack) fn udp_refuse(
        &mut self,
        now: Instant,
        call: &Call,
        (id, to, len): (UdpId, Option<SocketAddr>, usize),
        segment: Option<NonZeroU16>,
        info: Option<&SendInfo>,
    ) -> Result<(), SendError> {
        debug_assert!(len > MAX_IP_LEN, "{len} bytes may be sent");
        self.note_call(Some(now), |_| call.clone());
        self.net.clamp(now);
        let refused = self.udp_and_around(id);
        let refused = refused
            .map_err(SendError::from)
            .and_then(|(socket, mut around)| {
                let checked = socket.check_send(id, &mut around, to, (len, segment), info);
                checked.map(|_| ())
            });
        self.note_outcome(refused)
    }

    /// Takes the oldest received datagram, or the error that is pending.
    ///
    /// # Errors
    /// [`RecvError`]; after [`RecvError::WouldBlock`] an event tells when there is something.
    pub fn udp_recv(&mut self, id: UdpId) -> Result<Datagram, RecvError> {
        self.note_call(None, |_| Call::UdpRecv(id));
        let received = self.take_datagram(id);
        self.note_outcome(received)
    }

    fn take_datagram(&mut self, id: UdpId) -> Result<Datagram, RecvError> {
        let (socket, mut around) = self.udp_and_around(id)?;
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        let datagram = socket.pop_recv();
        socket.charge(&mut around);
        if datagram.is_none() {
            around.events.rearm(SocketId::Udp(id), Readiness::READABLE);
            if socket.has_lost_address(around.net) {
                return Err(RecvError::AddressGone);
            }
        }
        datagram.ok_or(RecvError::WouldBlock)
    }

    /// Closes a socket; what it had queued and not sent yet is sent all the same, as far as its interface has room for it
    /// ([`Config::outbox_limit`](crate::stack::Config::outbox_limit); the rest is counted as
    /// [`DropReason::OutboxFull`](crate::base::DropReason::OutboxFull)). Who has queued more waits until it is writable again.
    pub fn udp_close(&mut self, id: UdpId) {
        self.note_call(None, |_| Call::UdpClose(id));
        self.close_udp(id);
        self.note_outcome(());
    }

    fn close_udp(&mut self, id: UdpId) {
        let Some(mut socket) = self.udp.remove(id) else {
            return;
        };
        if let Some(tuple) = socket.connected {
            self.demux.udp.remove_flow(&tuple, socket.options.interface);
        }
        self.leave_groups(id, &socket);
        let counters = &mut self.net.counters;
        self.memory.charge(&mut socket.charged, 0, counters);
        self.demux.udp.unbind(socket.local, id);
        self.events.forget(SocketId::Udp(id));
        if let Some(first) = socket.send.front()
            && let Ok(route) = route_for(&self.net, &socket, first.aim())
        {
            let Flow { src, next_hop, .. } = flow_of(&socket, &route, first.aim(), &self.net);
            self.net
                .forget_waiter(route.on, src, next_hop, Waiter::Udp(id));
        }
        while let Some(pending) = socket.pop_send() {
            if let Ok(route) = route_for(&self.net, &socket, pending.aim()) {
                let packet = owned(&socket, &route, pending, &self.net);
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
                let only = socket.options.interface;
                self.demux.udp.remove_flow(&tuple, only);
            }
        }
    }
}

impl UdpSocket {
    /// May this be sent, and where does it go?
    fn check_send(
        &mut self,
        id: UdpId,
        around: &mut Around<'_>,
        to: Option<SocketAddr>,
        (len, segment): (usize, Option<NonZeroU16>),
        info: Option<&SendInfo>,
    ) -> Result<(SocketAddr, Route), SendError> {
        if let Some(error) = self.error.take() {
            return Err(SendError::Earlier(error));
        }
        if self.has_lost_address(around.net) {
            return Err(SendError::AddressGone);
        }
        let to = to.or(self.peer).ok_or(SendError::NoPeer)?;
        if to.port() == 0 || !self.takes(to.ip()) {
            return Err(SendError::To(to));
        }
        if let Some(info) = info {
            info.check(around.net, to.ip(), scope_of(to))?;
        }
        self.check_interface(to, info)?;
        self.check_port(info)?;
        let route = route_for(around.net, self, (to, info))?;
        if !self.options.broadcast && is_broadcast(around.net, &route, to.ip()) {
            return Err(SendError::Broadcast(to.ip()));
        }
        let ip = ip::header_len(to.ip());
        let headers = ip + udp::HEADER_LEN;
        let one = segment.map_or(len, |size| len.min(usize::from(size.get())));
        let dont = self.options.dont_fragment;
        let mtu = match dont {
            // RFC 4821 §9: who probes finds out himself.
            DontFragment::Probe => around.net.interfaces[route.on.index()].mtu_to(to.ip()),
            _ => self.known_mtu(around.net.now, &route, to.ip()),
        };
        let may_be_cut = one == len && dont.fragmenting() != Fragmenting::Never;
        let room = if may_be_cut {
            ip::longest(to.ip()) - udp::HEADER_LEN
        } else {
            mtu.min(MAX_IP_LEN) - headers
        };
        if one > room {
            return Err(SendError::TooBig {
                len: one,
                max: room,
            });
        }
        let all = MAX_IP_LEN - headers;
        if len > all && len > one {
            return Err(SendError::TooBig { len, max: all });
        }
        let charge = charge(len, segment);
        if charge > self.options.send_buffer && len > one {
            let max = self.most_at_once(one);
            return Err(SendError::TooBig { len, max });
        }
        let memory = self.send.is_empty() || !around.memory.is_full();
        if self.has_send_room(charge) && memory {
            Ok((to, route))
        } else {
            self.blocked = true;
            around.events.rearm(SocketId::Udp(id), Readiness::WRITABLE);
            Err(SendError::WouldBlock)
        }
    }

    fn enqueue(
        &mut self,
        id: UdpId,
        around: &mut Around<'_>,
        (to, route): (SocketAddr, Route),
        (data, segment): (Bytes, Option<NonZeroU16>),
        info: Option<&SendInfo>,
    ) {
        self.push_send(Pending {
            to,
            data,
            segment,
            info: info.copied().map(Box::new),
        });
        self.charge(around);
        around.net.interfaces[route.on.index()]
            .line
            .ready
            .push(Ready::Udp(id.index()));
    }
}
