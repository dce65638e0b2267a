//! A user's command as a value: what a journal of a stack keeps of its users.
//!
//! *Owns* one variant for each call by which a user changes a stack; a test holds them against the
//! public methods. *Does not* keep what a call returned: that is an [`Outcome`].

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::num::NonZeroU16;
use core::time::Duration;
use std::net::Shutdown;

use bytes::Bytes;

use super::payload::ZEROS;
use super::{
    AddressOptions, FilterMode, InterfaceId, ListenOptions, ListenerId, MulticastOptions, Outcome,
    PacketOptions, PacketSocketId, Payload, PingId, PingOptions, RawOptions, RawSocketId,
    Readiness, RequestCall, SendInfo, SocketId, Stack, TcpId, Tell, UdpId, UdpOptions,
};
use crate::base::{Cidr, Instant, MacAddr};
use crate::link::ethernet::EtherType;
use crate::tcp::TcpOptions;

/// The most bytes that one call of TCP's writes, reads or peeks at: what a journal keeps of a call is bounded, and so
/// is what it takes to make it again.
pub(crate) const MOST_AT_ONCE: usize = 64 << 20;

/// A call of a stack.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Call {
    /// [`Stack::tcp_connect`]: to, from.
    TcpConnect(SocketAddr, Option<SocketAddr>, TcpOptions),
    /// [`Stack::tcp_connect_on`]: by, to, from.
    TcpConnectOn(InterfaceId, SocketAddr, Option<SocketAddr>, TcpOptions),
    /// [`Stack::tcp_listen`].
    TcpListen(SocketAddr, ListenOptions),
    /// [`Stack::tcp_accept`].
    TcpAccept(ListenerId),
    /// [`Stack::tcp_listener_room`].
    TcpListenerRoom(ListenerId, usize),
    /// About a request that is held.
    Request(RequestCall),
    /// [`Stack::tcp_listener_close`].
    TcpListenerClose(ListenerId),
    /// [`Stack::tcp_write`].
    TcpWrite(TcpId, Payload),
    /// [`Stack::tcp_write_chunk`].
    TcpWriteChunk(TcpId, Payload),
    /// [`Stack::tcp_write_urgent`].
    TcpWriteUrgent(TcpId, Payload),
    /// [`Stack::tcp_read`]: the length of the buffer.
    TcpRead(TcpId, usize),
    /// [`Stack::tcp_read_chunk`]: at most so many bytes.
    TcpReadChunk(TcpId, usize),
    /// [`Stack::tcp_peek`]: the length of the buffer.
    TcpPeek(TcpId, usize),
    /// [`Stack::tcp_urgent`].
    TcpUrgent(TcpId),
    /// [`Stack::poll_ready`].
    PollReady(SocketId, Readiness),
    /// [`Stack::tcp_shutdown`].
    TcpShutdown(TcpId, Shutdown),
    /// [`Stack::tcp_set_options`].
    TcpSetOptions(TcpId, TcpOptions),
    /// [`Stack::tcp_close`].
    TcpClose(TcpId),
    /// [`Stack::tcp_abort`].
    TcpAbort(TcpId),
    /// [`Stack::tcp_abort_all`].
    TcpAbortAll,
    /// [`Stack::udp_bind`].
    UdpBind(SocketAddr, UdpOptions),
    /// [`Stack::udp_connect`].
    UdpConnect(UdpId, SocketAddr),
    /// [`Stack::udp_send_to`].
    UdpSendTo(UdpId, Option<SocketAddr>, Payload),
    /// [`Stack::udp_send_chunk`].
    UdpSendChunk(UdpId, Option<SocketAddr>, Payload),
    /// [`Stack::udp_send_segmented`].
    UdpSendSegmented(UdpId, Option<SocketAddr>, Payload, NonZeroU16),
    /// [`Stack::udp_send_with`].
    UdpSendWith(
        UdpId,
        Option<SocketAddr>,
        Payload,
        Option<NonZeroU16>,
        SendInfo,
    ),
    /// [`Stack::udp_recv`].
    UdpRecv(UdpId),
    /// [`Stack::udp_close`].
    UdpClose(UdpId),
    /// [`Stack::udp_join`]: group, on, source.
    UdpJoin(UdpId, IpAddr, Option<InterfaceId>, Option<IpAddr>),
    /// [`Stack::udp_leave`]: group, on, source.
    UdpLeave(UdpId, IpAddr, Option<InterfaceId>, Option<IpAddr>),
    /// [`Stack::udp_block`]: group, on, source.
    UdpBlock(UdpId, IpAddr, Option<InterfaceId>, IpAddr),
    /// [`Stack::udp_unblock`]: group, on, source.
    UdpUnblock(UdpId, IpAddr, Option<InterfaceId>, IpAddr),
    /// [`Stack::udp_set_filter`]: group, on, mode, sources.
    UdpSetFilter(UdpId, IpAddr, Option<InterfaceId>, FilterMode, Vec<IpAddr>),
    /// [`Stack::udp_set_multicast`].
    UdpSetMulticast(UdpId, MulticastOptions),
    /// [`Stack::udp_set_broadcast`]: may it?
    UdpSetBroadcast(UdpId, bool),
    /// [`Stack::udp_set_flow_label`].
    UdpSetFlowLabel(UdpId, Option<u32>),
    /// [`Stack::ping_open`].
    PingOpen(PingOptions),
    /// [`Stack::ping_send`]: to, over, number, payload.
    PingSend(PingId, IpAddr, Option<InterfaceId>, u16, Bytes),
    /// [`Stack::ping_send_with`]: to, number, payload.
    PingSendWith(PingId, IpAddr, u16, Bytes, SendInfo),
    /// [`Stack::ping_recv`].
    PingRecv(PingId),
    /// [`Stack::ping_close`].
    PingClose(PingId),
    /// [`Stack::raw_open`].
    RawOpen(RawOptions),
    /// [`Stack::raw_send`]: to, packet.
    RawSend(RawSocketId, Option<IpAddr>, Bytes, SendInfo),
    /// [`Stack::raw_recv`].
    RawRecv(RawSocketId),
    /// [`Stack::raw_close`].
    RawClose(RawSocketId),
    /// [`Stack::packet_open`].
    PacketOpen(PacketOptions),
    /// [`Stack::packet_send`]: to, type, payload.
    PacketSend(PacketSocketId, MacAddr, u16, Bytes),
    /// [`Stack::packet_recv`].
    PacketRecv(PacketSocketId),
    /// [`Stack::packet_close`].
    PacketClose(PacketSocketId),
    /// [`Stack::charge_outside`].
    ChargeOutside(usize),
    /// [`Stack::add_address`].
    AddAddress(InterfaceId, Cidr, AddressOptions),
    /// [`Stack::remove_address`].
    RemoveAddress(InterfaceId, IpAddr),
    /// [`Stack::set_lifetimes`]: preferred, valid.
    SetLifetimes(InterfaceId, IpAddr, Option<Duration>, Option<Duration>),
    /// [`Stack::add_route`]: to, over.
    AddRoute(InterfaceId, Cidr, Option<IpAddr>),
    /// [`Stack::remove_route`]: to, over.
    RemoveRoute(InterfaceId, Cidr, Option<IpAddr>),
    /// [`Stack::add_gateway`].
    AddGateway(InterfaceId, IpAddr),
    /// [`Stack::remove_gateway`].
    RemoveGateway(InterfaceId, IpAddr),
    /// [`Stack::set_link`]: up?
    SetLink(InterfaceId, bool),
    /// [`Stack::set_mtu`].
    SetMtu(InterfaceId, usize),
    /// [`Stack::remove_interface`].
    RemoveInterface(InterfaceId),
    /// [`Stack::poll_change`]; where it had nothing to tell, it is left out.
    PollChange,
    /// [`Stack::dhcp_release`].
    DhcpRelease(InterfaceId),
    /// [`Stack::dhcp_start`]: with this address of an earlier lease.
    DhcpStart(InterfaceId, Option<Ipv4Addr>),
}

impl Call {
    /// The name of the method that it calls.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TcpConnect(..) => "tcp_connect",
            Self::TcpConnectOn(..) => "tcp_connect_on",
            Self::TcpListen(..) => "tcp_listen",
            Self::TcpAccept(_) => "tcp_accept",
            Self::TcpListenerRoom(..) => "tcp_listener_room",
            Self::Request(call) => call.name(),
            Self::TcpListenerClose(_) => "tcp_listener_close",
            Self::TcpWrite(..) => "tcp_write",
            Self::TcpWriteChunk(..) => "tcp_write_chunk",
            Self::TcpWriteUrgent(..) => "tcp_write_urgent",
            Self::TcpRead(..) => "tcp_read",
            Self::TcpReadChunk(..) => "tcp_read_chunk",
            Self::TcpPeek(..) => "tcp_peek",
            Self::TcpUrgent(_) => "tcp_urgent",
            Self::PollReady(..) => "poll_ready",
            Self::TcpShutdown(..) => "tcp_shutdown",
            Self::TcpSetOptions(..) => "tcp_set_options",
            Self::TcpClose(_) => "tcp_close",
            Self::TcpAbort(_) => "tcp_abort",
            Self::TcpAbortAll => "tcp_abort_all",
            Self::UdpBind(..) => "udp_bind",
            Self::UdpConnect(..) => "udp_connect",
            Self::UdpSendTo(..) => "udp_send_to",
            Self::UdpSendChunk(..) => "udp_send_chunk",
            Self::UdpSendSegmented(..) => "udp_send_segmented",
            Self::UdpSendWith(..) => "udp_send_with",
            Self::UdpRecv(_) => "udp_recv",
            Self::UdpClose(_) => "udp_close",
            Self::UdpJoin(..) => "udp_join",
            Self::UdpLeave(..) => "udp_leave",
            Self::UdpBlock(..) => "udp_block",
            Self::UdpUnblock(..) => "udp_unblock",
            Self::UdpSetFilter(..) => "udp_set_filter",
            Self::UdpSetMulticast(..) => "udp_set_multicast",
            Self::UdpSetBroadcast(..) => "udp_set_broadcast",
            Self::UdpSetFlowLabel(..) => "udp_set_flow_label",
            Self::PingOpen(_) => "ping_open",
            Self::PingSend(..) => "ping_send",
            Self::PingSendWith(..) => "ping_send_with",
            Self::PingRecv(_) => "ping_recv",
            Self::PingClose(_) => "ping_close",
            Self::RawOpen(_) => "raw_open",
            Self::RawSend(..) => "raw_send",
            Self::RawRecv(_) => "raw_recv",
            Self::RawClose(_) => "raw_close",
            Self::PacketOpen(_) => "packet_open",
            Self::PacketSend(..) => "packet_send",
            Self::PacketRecv(_) => "packet_recv",
            Self::PacketClose(_) => "packet_close",
            other => other.name_of_interface(),
        }
    }

    /// Those that change an interface, or the stack.
    const fn name_of_interface(&self) -> &'static str {
        match self {
            Self::ChargeOutside(_) => "charge_outside",
            Self::AddAddress(..) => "add_address",
            Self::RemoveAddress(..) => "remove_address",
            Self::SetLifetimes(..) => "set_lifetimes",
            Self::AddRoute(..) => "add_route",
            Self::RemoveRoute(..) => "remove_route",
            Self::AddGateway(..) => "add_gateway",
            Self::RemoveGateway(..) => "remove_gateway",
            Self::SetLink(..) => "set_link",
            Self::SetMtu(..) => "set_mtu",
            Self::RemoveInterface(_) => "remove_interface",
            Self::PollChange => "poll_change",
            Self::DhcpRelease(_) => "dhcp_release",
            Self::DhcpStart(..) => "dhcp_start",
            _ => "a socket's, named elsewhere",
        }
    }

    /// Makes the call; what it returned, of payload its digest when `whole` and its length if not.
    pub fn make(&self, now: Instant, stack: &mut Stack, whole: bool) -> Outcome {
        match self {
            // None that large can be sent, and none that large need be made to be refused.
            Self::UdpSendTo(id, to, Payload::Cut(len))
            | Self::UdpSendChunk(id, to, Payload::Cut(len))
                if *len > ZEROS.len() =>
            {
                let refused = stack.udp_refuse(now, self, (*id, *to, *len), None, None);
                refused.tell(whole)
            }
            Self::UdpSendSegmented(id, to, Payload::Cut(len), segment) if *len > ZEROS.len() => {
                let refused = stack.udp_refuse(now, self, (*id, *to, *len), Some(*segment), None);
                refused.tell(whole)
            }
            Self::UdpSendWith(id, to, Payload::Cut(len), segment, info) if *len > ZEROS.len() => {
                let what = (*id, *to, *len);
                let refused = stack.udp_refuse(now, self, what, *segment, Some(info));
                refused.tell(whole)
            }
            Self::UdpBind(at, options) => stack.udp_bind(*at, *options).tell(whole),
            Self::UdpConnect(id, to) => stack.udp_connect(*id, *to).tell(whole),
            Self::UdpSendTo(id, to, data) => {
                let data = data.to_bytes();
                stack.udp_send_to(now, *id, *to, &data).tell(whole)
            }
            Self::UdpSendChunk(id, to, data) => {
                let sent = stack.udp_send_chunk(now, *id, *to, data.to_bytes());
                sent.tell(whole)
            }
            Self::UdpSendSegmented(id, to, data, segment) => {
                let sent = stack.udp_send_segmented(now, *id, *to, data.to_bytes(), *segment);
                sent.tell(whole)
            }
            Self::UdpSendWith(id, to, data, segment, info) => {
                let data = data.to_bytes();
                let sent = stack.udp_send_with(now, *id, *to, data, *segment, info);
                sent.tell(whole)
            }
            Self::UdpRecv(id) => stack.udp_recv(*id).tell(whole),
            Self::PingOpen(options) => stack.ping_open(*options).tell(whole),
            Self::PingSend(id, to, scope, seq, payload) => {
                let sent = stack.ping_send(now, *id, *to, *scope, *seq, payload.clone());
                sent.tell(whole)
            }
            Self::PingSendWith(id, to, seq, payload, info) => {
                let sent = stack.ping_send_with(now, *id, *to, *seq, payload.clone(), info);
                sent.tell(whole)
            }
            Self::PingRecv(id) => stack.ping_recv(*id).tell(whole),
            Self::DhcpRelease(on) => stack.dhcp_release(now, *on).tell(whole),
            Self::DhcpStart(on, previous) => stack.dhcp_start(now, *on, *previous).tell(whole),
            other => other.make_of_groups(now, stack, whole),
        }
    }

    /// Makes those of groups, and of raw and packet sockets.
    fn make_of_groups(&self, now: Instant, stack: &mut Stack, whole: bool) -> Outcome {
        match self {
            Self::UdpJoin(id, group, on, source) => {
                let joined = stack.udp_join(now, *id, *group, *on, *source);
                joined.tell(whole)
            }
            Self::UdpLeave(id, group, on, source) => {
                let left = stack.udp_leave(now, *id, *group, *on, *source);
                left.tell(whole)
            }
            Self::UdpBlock(id, group, on, source) => {
                let blocked = stack.udp_block(now, *id, *group, *on, *source);
                blocked.tell(whole)
            }
            Self::UdpUnblock(id, group, on, source) => {
                let unblocked = stack.udp_unblock(now, *id, *group, *on, *source);
                unblocked.tell(whole)
            }
            Self::UdpSetFilter(id, group, on, mode, sources) => {
                let set = stack.udp_set_filter(now, *id, *group, *on, *mode, sources);
                set.tell(whole)
            }
            Self::UdpSetMulticast(id, options) => {
                stack.udp_set_multicast(*id, *options).tell(whole)
            }
            Self::UdpSetBroadcast(id, may) => stack.udp_set_broadcast(*id, *may).tell(whole),
            Self::UdpSetFlowLabel(id, label) => stack.udp_set_flow_label(*id, *label).tell(whole),
            Self::RawOpen(options) => stack.raw_open(*options).tell(whole),
            Self::RawSend(id, to, data, info) => {
                let sent = stack.raw_send(now, *id, *to, data.clone(), info);
                sent.tell(whole)
            }
            Self::RawRecv(id) => stack.raw_recv(*id).tell(whole),
            Self::PacketOpen(options) => stack.packet_open(*options).tell(whole),
            Self::PacketSend(id, to, of, data) => {
                let sent = stack.packet_send(now, *id, *to, EtherType(*of), data.clone());
                sent.tell(whole)
            }
            Self::PacketRecv(id) => stack.packet_recv(*id).tell(whole),
            tcp => tcp.make_tcp(now, stack, whole),
        }
    }

    fn make_tcp(&self, now: Instant, stack: &mut Stack, whole: bool) -> Outcome {
        match self {
            Self::TcpConnect(to, from, options) => {
                let connected = stack.tcp_connect(now, *to, *from, options.clone());
                connected.tell(whole)
            }
            Self::TcpConnectOn(on, to, from, options) => {
                let connected = stack.tcp_connect_on(now, *on, *to, *from, options.clone());
                connected.tell(whole)
            }
            Self::TcpListen(at, options) => stack.tcp_listen(*at, options.clone()).tell(whole),
            Self::TcpAccept(id) => stack.tcp_accept(now, *id).tell(whole),
            Self::TcpListenerRoom(id, room) => stack.tcp_listener_room(*id, *room).tell(whole),
            Self::Request(call) => call.make(now, stack, whole),
            Self::TcpWrite(id, data) => stack.tcp_write(now, *id, &data.to_bytes()).tell(whole),
            Self::TcpWriteChunk(id, data) => {
                let mut data = data.to_bytes();
                stack.tcp_write_chunk(now, *id, &mut data).tell(whole)
            }
            Self::TcpWriteUrgent(id, data) => {
                let data = data.to_bytes();
                stack.tcp_write_urgent(now, *id, &data).tell(whole)
            }
            Self::TcpRead(id, len) => {
                let mut buf = vec![0; *len];
                let read = stack.tcp_read(now, *id, &mut buf);
                read.as_ref().map(|&read| &buf[..read]).tell(whole)
            }
            Self::TcpReadChunk(id, max) => stack.tcp_read_chunk(now, *id, *max).tell(whole),
            Self::TcpPeek(id, len) => {
                let mut buf = vec![0; *len];
                let peeked = stack.tcp_peek(*id, &mut buf);
                peeked.as_ref().map(|&peeked| &buf[..peeked]).tell(whole)
            }
            Self::TcpUrgent(id) => stack.tcp_urgent(*id).tell(whole),
            Self::TcpShutdown(id, how) => stack.tcp_shutdown(now, *id, *how).tell(whole),
            Self::TcpSetOptions(id, options) => {
                let set = stack.tcp_set_options(now, *id, options.clone());
                set.tell(whole)
            }
            other => other.make_interface(now, stack, whole),
        }
    }

    /// Makes those that change an interface.
    fn make_interface(&self, now: Instant, stack: &mut Stack, whole: bool) -> Outcome {
        match *self {
            Self::AddAddress(on, address, options) => {
                stack.add_address(now, on, address, options).tell(whole)
            }
            Self::RemoveAddress(on, address) => stack.remove_address(now, on, address).tell(whole),
            Self::SetLifetimes(on, address, preferred, valid) => {
                let set = stack.set_lifetimes(now, on, address, preferred, valid);
                set.tell(whole)
            }
            Self::AddRoute(on, to, via) => stack.add_route(now, on, to, via).tell(whole),
            Self::RemoveRoute(on, to, via) => stack.remove_route(now, on, to, via).tell(whole),
            Self::AddGateway(on, gateway) => stack.add_gateway(now, on, gateway).tell(whole),
            Self::RemoveGateway(on, gateway) => stack.remove_gateway(now, on, gateway).tell(whole),
            Self::SetLink(on, up) => stack.set_link(now, on, up).tell(whole),
            Self::SetMtu(on, mtu) => stack.set_mtu(now, on, mtu).tell(whole),
            Self::RemoveInterface(on) => stack.remove_interface(now, on).tell(whole),
            Self::PollChange => stack.poll_change().tell(whole),
            Self::PollReady(id, interest) => stack.poll_ready(id, interest).tell(whole),
            _ => self.make_silent(now, stack),
        }
    }

    /// Makes those that return nothing.
    fn make_silent(&self, now: Instant, stack: &mut Stack) -> Outcome {
        match self {
            Self::TcpListenerClose(id) => stack.tcp_listener_close(now, *id),
            Self::TcpClose(id) => stack.tcp_close(now, *id),
            Self::TcpAbort(id) => stack.tcp_abort(now, *id),
            Self::TcpAbortAll => stack.tcp_abort_all(now),
            Self::UdpClose(id) => stack.udp_close(*id),
            Self::PingClose(id) => stack.ping_close(*id),
            Self::RawClose(id) => stack.raw_close(*id),
            Self::PacketClose(id) => stack.packet_close(*id),
            Self::ChargeOutside(bytes) => stack.charge_outside(*bytes),
            _ => debug_assert!(false, "{self} is made elsewhere"),
        }
        Outcome::Done
    }
}
