//! The path of UDP datagrams through the stack: in from an interface, out to one, errors about them.
//!
//! RFC 768, RFC 1122 §4.1.3, RFC 8085 §5.2. *Owns* no queue: sockets do. The user's calls are in `calls`.

use core::net::{IpAddr, SocketAddr};

use bytes::{Buf, Bytes};

use super::Around;
use super::checksum::{check_checksum, read};
use super::ends::{flow_of, route_for, scope_for};
use super::options::DontFragment;
use super::socket::{RecvError, UdpSocket};
use super::waiting::{Datagram, Pending};
use crate::base::{DropReason, Instant, Protocol};
use crate::device::{DeviceError, Transmit};
use crate::link::{SegmentKind, Segmentation};
use crate::stack::Stack;
use crate::stack::counters::Counters;
use crate::stack::endpoint::endpoint;
use crate::stack::event::{Events, Readiness, SocketId};
use crate::stack::icmp::{Complaint, IcmpError, IcmpErrorKind};
use crate::stack::ids::{InterfaceId, UdpId};
use crate::stack::ip::{self, Outbound};
use crate::stack::net::Net;
use crate::stack::packet::{Delivery, Fragmenting, Inbound, Summed, Waiter};
use crate::stack::path::{Route, TooBig};
use crate::stack::slices::{Slices, join};
use crate::stack::transmit::{FrameBudget, SenderTurn};
use crate::stack::tuple::{SocketKey, Tuple};
use crate::udp;

/// Frames that one socket sends before the next has its turn.
const TURN: usize = 8;

impl Stack {
    /// A datagram came in.
    pub(in crate::stack) fn handle_udp(&mut self, packet: &Inbound) -> Result<(), DropReason> {
        let (header, data, summed) = read(packet)?;
        let data = packet.segment.slice_ref(data).into();
        self.deliver_udp(packet, &header, (data, summed))
    }

    /// A datagram came in fragments: `pieces` are what they brought, the UDP header in the first of them.
    pub(in crate::stack) fn handle_udp_in_pieces(
        &mut self,
        packet: &Inbound,
        mut pieces: Vec<Bytes>,
    ) -> Result<(), DropReason> {
        let (header, _) =
            udp::Header::parse_quoted(&packet.segment).map_err(|_| DropReason::UdpMalformed)?;
        let length = usize::from(header.length());
        let came: usize = pieces.iter().map(Bytes::len).sum();
        if length < udp::HEADER_LEN || length > came {
            return Err(DropReason::UdpMalformed);
        }
        // What lies beyond the Length is left out.
        let mut left = length;
        pieces.retain_mut(|piece| {
            piece.truncate(left);
            left -= piece.len();
            !piece.is_empty()
        });
        let summed = check_checksum(packet, &header, |pseudo| pseudo.slices(&pieces))?;
        if let Some(first) = pieces.first_mut() {
            first.advance(udp::HEADER_LEN.min(first.len()));
        }
        // The first piece may bring the header alone.
        if pieces.len() > 1 && pieces[0].is_empty() {
            pieces.remove(0);
        }
        // Small pieces cost more than their bytes.
        let data = if length < pieces.len().saturating_mul(self.config.copy_below) {
            join(&pieces).into()
        } else {
            Slices::new(pieces)
        };
        self.deliver_udp(packet, &header, (data, summed))
    }

    /// Gives a datagram to its socket.
    fn deliver_udp(
        &mut self,
        packet: &Inbound,
        header: &udp::Header<'_>,
        (data, summed): (Slices, Summed),
    ) -> Result<(), DropReason> {
        let (from_port, to_port) = (header.src_port(), header.dst_port());
        if !packet.unicast {
            return self.deliver_udp_to_many(packet, (from_port, to_port), (data, summed));
        }
        let local = (packet.dst, to_port);
        let tuple = Tuple::new(packet.on, local, (packet.src, from_port));
        let table = &self.demux.udp;
        let id = table.taker(packet.on, &tuple);
        let copy_below = self.config.copy_below;
        let (sockets, mut around) = self.all_udp_and_around();
        let found = id.and_then(|id| Some((id, sockets.get_mut(id)?)));
        // A connected socket takes its flow only, as Linux's do: nothing that its peer sent to another
        // of our addresses.
        let found = found.filter(|(_, socket)| {
            socket.connected.is_none_or(|flow| flow == tuple) && socket.hears_on(packet.on)
        });
        let Some((id, socket)) = found else {
            // RFC 6936 §4 (5). Nobody is told: what nothing covers may never have been sent there.
            if summed == Summed::No {
                return Err(DropReason::UdpChecksum);
            }
            // RFC 1122 §4.1.3.1.
            around.net.complain(packet, Complaint::Port);
            return Err(DropReason::UdpNoSocket);
        };
        if !socket.takes_summed(summed) {
            return Err(DropReason::UdpChecksum);
        }
        let from = endpoint(packet.on, packet.src, from_port);
        socket.accept(id, packet, (data, from, to_port), copy_below, &mut around)
    }

    /// May a socket have sent a datagram with these first bytes?
    pub(in crate::stack) fn udp_may_have_sent(
        &self,
        on: InterfaceId,
        (local, remote): (IpAddr, IpAddr),
        datagram: &[u8],
    ) -> bool {
        let Ok((header, _)) = udp::Header::parse_quoted(datagram) else {
            return false;
        };
        let local = (local, header.src_port());
        let tuple = Tuple::new(on, local, (remote, header.dst_port()));
        let table = &self.demux.udp;
        table.sender(on, &tuple).is_some()
    }

    /// An ICMP error quotes a datagram of ours.
    pub(in crate::stack) fn udp_icmp_error(&mut self, error: &IcmpError) -> Result<(), DropReason> {
        let unmatched = DropReason::IcmpUnmatched;
        let (header, _) =
            udp::Header::parse_quoted(&error.quoted_segment).map_err(|_| unmatched)?;
        let local = (error.quoted_src, header.src_port());
        let tuple = Tuple::new(error.on, local, (error.quoted_dst, header.dst_port()));
        let table = &self.demux.udp;
        let mut id = table.sender(error.on, &tuple);
        if let IcmpErrorKind::TooBig { .. } = error.kind {
            id = self.sender_of(error.on, &tuple, header.length(), id);
        }
        let (sockets, around) = self.all_udp_and_around();
        let found = id.and_then(|id| Some((id, sockets.get_mut(id)?)));
        let (id, socket) = found.ok_or(unmatched)?;
        let too_big = match error.kind {
            IcmpErrorKind::TooBig { mtu } => {
                let len = usize::from(header.length());
                Some(socket.too_big(around.net, error, tuple.remote, (mtu, len))?)
            }
            _ => None,
        };
        // RFC 8085 §5.2: only what was really sent may be quoted.
        let hears = socket
            .connected
            .map_or(socket.options.report_errors, |flow| flow == tuple);
        let what = match error.kind {
            IcmpErrorKind::PortUnreachable | IcmpErrorKind::ProtocolUnreachable => {
                RecvError::Refused
            }
            IcmpErrorKind::NetUnreachable => RecvError::NetworkUnreachable,
            IcmpErrorKind::HostUnreachable | IcmpErrorKind::Prohibited => {
                RecvError::HostUnreachable
            }
            IcmpErrorKind::TooBig { .. } => match too_big {
                Some(error) if hears => error,
                // Heeded all the same: what is sent there next is measured by it.
                _ => return Ok(()),
            },
            IcmpErrorKind::TimeExceeded | IcmpErrorKind::ParameterProblem => {
                return Err(DropReason::IcmpIgnored);
            }
        };
        if !hears {
            return Err(DropReason::IcmpIgnored);
        }
        socket.fail(id, what, around.events);
        Ok(())
    }

    /// Who sent a datagram of so many bytes: `taker`, or whoever shares the port with it. The path is as narrow for all of them.
    fn sender_of(
        &self,
        on: InterfaceId,
        tuple: &Tuple,
        len: u16,
        taker: Option<UdpId>,
    ) -> Option<UdpId> {
        let (local, dst) = (tuple.local, tuple.remote.ip);
        let len = ip::header_len(dst) + usize::from(len);
        let sent = |id: &UdpId| {
            let socket = self.udp.get(*id);
            socket.is_some_and(|socket| socket.large.holds(dst, len))
        };
        let others = || self.demux.udp.sharing(on, local.ip, local.port).find(sent);
        taker.filter(sent).or_else(others).or(taker)
    }

    /// Keeps an error for the socket's next call.
    pub(in crate::stack) fn udp_fail(&mut self, id: UdpId, error: RecvError) {
        if let Ok((socket, around)) = self.udp_and_around(id) {
            socket.fail(id, error, around.events);
        }
    }

    /// The tentative address that the first datagram waited for is a duplicate: that one is lost.
    pub(in crate::stack) fn udp_waiting_failed(&mut self, id: UdpId) {
        let Ok((socket, mut around)) = self.udp_and_around(id) else {
            return;
        };
        socket.pop_send();
        around.net.counters.drops.count(DropReason::IpTentative);
        let mut way_on = None;
        while let Some(next) = socket.send.front() {
            match route_for(around.net, socket, next.aim()) {
                Ok(route) => {
                    way_on = Some(route.on);
                    break;
                }
                // No line would ever give it a turn.
                Err(_) => {
                    socket.pop_send();
                    around.net.counters.drops.count(DropReason::NoRoute);
                }
            }
        }
        socket.charge(&mut around);
        socket.fail(id, RecvError::HostUnreachable, around.events);
        if let Some(on) = way_on {
            around.net.wake(on, Waiter::Udp(id));
        }
    }

    /// Lets the socket in this slot send on `on`.
    pub(in crate::stack) fn transmit_udp<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        index: u32,
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<SenderTurn, DeviceError> {
        let (sockets, mut around) = self.all_udp_and_around();
        match sockets.at_mut(index) {
            Some((id, socket)) => socket.turn(now, (id, on), &mut around, out, budget),
            None => Ok(SenderTurn::Done),
        }
    }

    /// What all sockets are charged, recounted from what they hold.
    pub(in crate::stack) fn udp_memory(&self) -> usize {
        let sockets = self.udp.iter();
        sockets
            .map(|(_, socket)| {
                assert_eq!(socket.charged, socket.held(), "a socket's charge");
                socket.charged
            })
            .sum()
    }
}

impl UdpSocket {
    /// Queues what a packet brought, each datagram of a merged one for itself.
    pub(super) fn take(
        &mut self,
        packet: &Inbound,
        (data, from, to_port): (Slices, SocketAddr, u16),
        copy_below: usize,
        counters: &mut Counters,
    ) -> Result<(), DropReason> {
        let mut push = |data| {
            let pushed = self.push_recv(Datagram {
                data,
                from,
                // RFC 1122 §4.1.3.5.
                to: packet.dst,
                to_port,
                on: packet.on,
                unicast: packet.unicast,
                ttl: packet.ttl,
                tos: packet.tos,
                flow_label: packet.label,
            });
            counters.udp_datagrams_received += u64::from(pushed);
            pushed
        };
        let mut rest = match data.together() {
            Ok(one) => one,
            Err(pieces) => return push(pieces).then_some(()).ok_or(DropReason::UdpBufferFull),
        };
        let size = packet
            .segment_size
            .map_or(rest.len(), |size| size.get().into());
        let mut full = false;
        loop {
            let one = rest.split_to(size.min(rest.len()));
            let small = one.len() < copy_below;
            let taken = push(if small {
                Bytes::copy_from_slice(&one).into()
            } else {
                one.into()
            });
            if !taken && full {
                counters.drops.count(DropReason::UdpBufferFull);
            }
            full |= !taken;
            if rest.is_empty() {
                break;
            }
        }
        if full {
            Err(DropReason::UdpBufferFull)
        } else {
            Ok(())
        }
    }

    /// A router says that a datagram of `len` bytes, header and all, was too large on its way to `to`.
    fn too_big(
        &mut self,
        net: &mut Net,
        error: &IcmpError,
        to: SocketKey,
        (mtu, len): (usize, usize),
    ) -> Result<RecvError, DropReason> {
        let (dst, ip) = (to.ip, ip::header_len(to.ip));
        if !self.large.holds(dst, ip + len) {
            return Err(DropReason::IcmpUnmatched);
        }
        let to = endpoint(error.on, dst, to.port);
        // It left by the interface that has its source, which may be none of the socket's.
        let route = net.route_from(error.quoted_src, dst, scope_for(self, to));
        let route = route.map_err(|_| DropReason::IcmpUnmatched)?;
        let quoted = error.quoted_len.min(ip + len);
        let told = TooBig { mtu, quoted };
        let probes = self.options.dont_fragment == DontFragment::Probe;
        let mtu = net.datagram_too_big((route.on, dst), told, &mut self.large, probes);
        let mtu = usize::from(mtu.ok_or(DropReason::IcmpTooBig)?);
        let max = mtu - ip - udp::HEADER_LEN;
        Ok(RecvError::TooBig { max })
    }

    /// Keeps an error for its next call.
    fn fail(&mut self, id: UdpId, error: RecvError, events: &mut Events) {
        self.error = Some(error);
        let ready = Readiness::READABLE | Readiness::WRITABLE;
        events.raise(SocketId::Udp(id), ready);
    }

    /// Sends a few datagrams.
    fn turn<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        (id, on): (UdpId, InterfaceId),
        around: &mut Around<'_>,
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<SenderTurn, DeviceError> {
        loop {
            let Some(first) = self.send.front() else {
                return Ok(SenderTurn::Done);
            };
            if budget.turn().cost >= TURN || budget.is_used_up() {
                return Ok(SenderTurn::More);
            }
            let route = match route_for(around.net, self, first.aim()) {
                Ok(mut route) if route.on == on => {
                    route.mtu = self.known_mtu(now, &route, first.to.ip());
                    route
                }
                Ok(route) => {
                    // The next one leaves elsewhere: the socket goes on in that line.
                    around.net.wake(route.on, Waiter::Udp(id));
                    return Ok(SenderTurn::Done);
                }
                Err(error) => {
                    self.pop_send();
                    self.charge(around);
                    around.net.counters.drops.count(DropReason::NoRoute);
                    budget.spend(1);
                    // Without its address each call says why.
                    if !self.has_lost_address(around.net) {
                        self.fail(id, error.into(), around.events);
                    }
                    continue;
                }
            };
            let fragmenting = self.options.dont_fragment.fragmenting();
            let (dst, one) = (first.to.ip(), first.one());
            let len = ip::header_len(dst) + udp::HEADER_LEN + one;
            let uso = around.net.interfaces[on.index()].line.capabilities.uso;
            let narrow = len > route.mtu && fragmenting != Fragmenting::Never;
            if first.segment.is_some() && (narrow || !uso) {
                // The way is another since they were queued, or became narrower: each leaves for itself, in fragments perhaps.
                self.split_first();
                continue;
            }
            let before = around.net.counters.fragments_sent;
            match self.offer(now, id, &route, first, around.net, out)? {
                Delivery::Full => return Ok(SenderTurn::Full),
                Delivery::Unresolved => return Ok(SenderTurn::Waiting),
                Delivery::Taken | Delivery::Dropped => {}
            }
            self.loop_back(now, &route, first, around.net);
            let paths = &around.net.paths;
            if fragmenting.may_be_refused(dst, len, route.mtu) {
                self.large.note(dst, len, paths.least(dst));
            }
            let kind = SegmentKind::Udp;
            let segment = first.segment.map(|size| Segmentation { kind, size });
            let device = &around.net.interfaces[on.index()].line.capabilities;
            // Each fragment is a frame.
            let cost = device.cost(first.data.len(), segment);
            let fragments = around.net.fragments_since(before);
            budget.spend(cost.max(fragments));
            around.net.counters.udp_datagrams_sent += first.datagrams();
            self.pop_send();
            self.told_room(id, around);
            if fragments > 0 && around.net.is_leaving(on) {
                return Ok(SenderTurn::Full);
            }
        }
    }

    /// Offers a datagram to the device, or puts it in its neighbour's queue.
    fn offer<T: Transmit + ?Sized>(
        &self,
        now: Instant,
        id: UdpId,
        route: &Route,
        pending: &Pending,
        net: &mut Net,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let flow = flow_of(self, route, pending.aim(), net);
        let mut header = [0; udp::HEADER_LEN];
        let port = self.port_of(pending.info.as_deref());
        let ports = udp::Fields::new(port, pending.to.port());
        ports.emit(pending.data.len(), &mut header);
        let packet = Outbound {
            flow: &flow,
            protocol: Protocol::UDP,
            header: &header,
            payload: core::slice::from_ref(&pending.data),
            segment: pending.segment,
            fragmenting: self.options.dont_fragment.fragmenting(),
            summed: self.sums(pending.aim()),
            mtu: u16::try_from(route.mtu).unwrap_or(u16::MAX),
            ect: false,
        };
        net.send_datagram(now, route.on, id, &packet, out)
    }

    /// Charges what its queues hold now.
    pub(super) fn charge(&mut self, around: &mut Around<'_>) {
        let held = self.held();
        let counters = &mut around.net.counters;
        around.memory.charge(&mut self.charged, held, counters);
    }

    fn told_room(&mut self, id: UdpId, around: &mut Around<'_>) {
        self.charge(around);
        if self.blocked && self.send_charge * 2 <= self.options.send_buffer {
            self.blocked = false;
            around.events.raise(SocketId::Udp(id), Readiness::WRITABLE);
        }
    }
}
