//! What an application may do while it is woken: the calls of its host's stack, alarms, chance.
//!
//! *Owns* the one way by which anything but frames and time reaches a simulated host's stack.
//! *Does not* add to the calls: each is the stack's own, at the time that it is.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use core::time::Duration;
use std::net::Shutdown;

use bytes::Bytes;

use super::office::Office;
use crate::base::{Instant, MacAddr};
use crate::link::ethernet::EtherType;
use crate::stack::{
    AcceptError, BindError, ConnectError, ConnectUdpError, Datagram, InterfaceId, LinkPacket,
    ListenError, ListenOptions, ListenerId, PacketError, PacketOptions, PacketSocketId, PingError,
    PingId, PingOptions, PingReply, RawError, RawOptions, RawPacket, RawSocketId, RecvError,
    SendError, SendInfo, SocketId, Stack, StaleId, TcpId, UdpId, UdpOptions,
};
use crate::tcp::{ReadError, TcpInfo, TcpOptions, WriteError};

/// An application's view of its host, for as long as it is woken.
///
/// The calls are those of [`Stack`], under the same names and with the same errors, without the time,
/// which is [`now`](Self::now).
#[derive(Debug)]
pub struct Cx<'a> {
    pub(super) now: Instant,
    pub(super) stack: &'a mut Stack,
    pub(super) office: &'a mut Office,
    /// Who calls; `None` is nobody's application.
    pub(super) app: Option<usize>,
}

impl<'a> Cx<'a> {
    /// Nobody's view.
    pub(super) const fn of(now: Instant, stack: &'a mut Stack, office: &'a mut Office) -> Self {
        Self {
            now,
            stack,
            office,
            app: None,
        }
    }

    /// The network's time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The host's stack, to look at.
    pub const fn stack(&self) -> &Stack {
        self.stack
    }

    /// Wakes this application at that time, with this token, in the order of times, then of the calls.
    /// A time that has passed is now. An alarm is not taken back: one that is stale by then is known by its token.
    pub fn alarm(&mut self, at: Instant, token: u64) {
        if let Some(app) = self.app {
            self.office.alarm(at.max(self.now), app, token);
        }
    }

    /// The same, after a time from now.
    pub fn alarm_in(&mut self, after: Duration, token: u64) {
        self.alarm(self.now + after, token);
    }

    /// A number below `bound` (0 when that is 0), from the network's seed and this host's number.
    pub fn random(&mut self, bound: u64) -> u64 {
        self.office.random(bound)
    }

    // --- TCP --------------------------------------------------------------------------------------

    /// [`Stack::tcp_connect`], from any address and port.
    ///
    /// # Errors
    /// [`ConnectError`], when it cannot even be tried.
    pub fn tcp_connect(
        &mut self,
        remote: SocketAddr,
        options: TcpOptions,
    ) -> Result<TcpId, ConnectError> {
        self.tcp_connect_from(remote, None, options)
    }

    /// [`Stack::tcp_connect`].
    ///
    /// # Errors
    /// [`ConnectError`], when it cannot even be tried.
    pub fn tcp_connect_from(
        &mut self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
        options: TcpOptions,
    ) -> Result<TcpId, ConnectError> {
        let id = self.stack.tcp_connect(self.now, remote, local, options)?;
        self.own(SocketId::Tcp(id));
        Ok(id)
    }

    /// [`Stack::tcp_listen`].
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn tcp_listen(
        &mut self,
        local: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let id = self.stack.tcp_listen(local, options)?;
        self.own(SocketId::Listener(id));
        Ok(id)
    }

    /// [`Stack::tcp_accept`].
    ///
    /// # Errors
    /// [`AcceptError`].
    pub fn tcp_accept(&mut self, id: ListenerId) -> Result<TcpId, AcceptError> {
        let id = self.stack.tcp_accept(self.now, id)?;
        self.own(SocketId::Tcp(id));
        Ok(id)
    }

    /// [`Stack::tcp_listener_close`].
    pub fn tcp_listener_close(&mut self, id: ListenerId) {
        self.stack.tcp_listener_close(self.now, id);
        self.office.disown(SocketId::Listener(id));
    }

    /// [`Stack::tcp_write`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn tcp_write(&mut self, id: TcpId, data: &[u8]) -> Result<usize, WriteError> {
        self.stack.tcp_write(self.now, id, data)
    }

    /// [`Stack::tcp_write_chunk`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn tcp_write_chunk(&mut self, id: TcpId, chunk: &mut Bytes) -> Result<usize, WriteError> {
        self.stack.tcp_write_chunk(self.now, id, chunk)
    }

    /// [`Stack::tcp_read`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn tcp_read(&mut self, id: TcpId, buf: &mut [u8]) -> Result<usize, ReadError> {
        self.stack.tcp_read(self.now, id, buf)
    }

    /// [`Stack::tcp_read_chunk`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn tcp_read_chunk(&mut self, id: TcpId, max: usize) -> Result<Bytes, ReadError> {
        self.stack.tcp_read_chunk(self.now, id, max)
    }

    /// [`Stack::tcp_peek`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn tcp_peek(&mut self, id: TcpId, buf: &mut [u8]) -> Result<usize, ReadError> {
        self.stack.tcp_peek(id, buf)
    }

    /// [`Stack::tcp_shutdown`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn tcp_shutdown(&mut self, id: TcpId, how: Shutdown) -> Result<(), WriteError> {
        self.stack.tcp_shutdown(self.now, id, how)
    }

    /// [`Stack::tcp_set_options`].
    ///
    /// # Errors
    /// [`StaleId`].
    pub fn tcp_set_options(&mut self, id: TcpId, options: TcpOptions) -> Result<(), StaleId> {
        self.stack.tcp_set_options(self.now, id, options)
    }

    /// [`Stack::tcp_close`].
    pub fn tcp_close(&mut self, id: TcpId) {
        self.stack.tcp_close(self.now, id);
        self.office.disown(SocketId::Tcp(id));
    }

    /// [`Stack::tcp_abort`].
    pub fn tcp_abort(&mut self, id: TcpId) {
        self.stack.tcp_abort(self.now, id);
        self.office.disown(SocketId::Tcp(id));
    }

    /// [`Stack::tcp_info`].
    ///
    /// # Errors
    /// [`StaleId`].
    pub fn tcp_info(&self, id: TcpId) -> Result<TcpInfo, StaleId> {
        self.stack.tcp_info(id)
    }

    // --- UDP --------------------------------------------------------------------------------------

    /// [`Stack::udp_bind`].
    ///
    /// # Errors
    /// [`BindError`].
    pub fn udp_bind(&mut self, local: SocketAddr, options: UdpOptions) -> Result<UdpId, BindError> {
        let id = self.stack.udp_bind(local, options)?;
        self.own(SocketId::Udp(id));
        Ok(id)
    }

    /// [`Stack::udp_connect`].
    ///
    /// # Errors
    /// [`ConnectUdpError`].
    pub fn udp_connect(&mut self, id: UdpId, remote: SocketAddr) -> Result<(), ConnectUdpError> {
        self.stack.udp_connect(id, remote)
    }

    /// [`Stack::udp_send_chunk`].
    ///
    /// # Errors
    /// [`SendError`].
    pub fn udp_send(
        &mut self,
        id: UdpId,
        to: Option<SocketAddr>,
        data: Bytes,
    ) -> Result<(), SendError> {
        self.stack.udp_send_chunk(self.now, id, to, data)
    }

    /// [`Stack::udp_send_segmented`].
    ///
    /// # Errors
    /// [`SendError`].
    pub fn udp_send_segmented(
        &mut self,
        id: UdpId,
        to: Option<SocketAddr>,
        data: Bytes,
        segment: NonZeroU16,
    ) -> Result<(), SendError> {
        self.stack
            .udp_send_segmented(self.now, id, to, data, segment)
    }

    /// [`Stack::udp_send_with`].
    ///
    /// # Errors
    /// [`SendError`].
    pub fn udp_send_with(
        &mut self,
        id: UdpId,
        to: Option<SocketAddr>,
        data: Bytes,
        segment: Option<NonZeroU16>,
        info: &SendInfo,
    ) -> Result<(), SendError> {
        self.stack
            .udp_send_with(self.now, id, to, data, segment, info)
    }

    /// [`Stack::udp_recv`].
    ///
    /// # Errors
    /// [`RecvError`].
    pub fn udp_recv(&mut self, id: UdpId) -> Result<Datagram, RecvError> {
        self.stack.udp_recv(id)
    }

    /// [`Stack::udp_close`].
    pub fn udp_close(&mut self, id: UdpId) {
        self.stack.udp_close(id);
        self.office.disown(SocketId::Udp(id));
    }

    // --- ICMP echo --------------------------------------------------------------------------------

    /// [`Stack::ping_open`].
    ///
    /// # Errors
    /// [`PingError`].
    pub fn ping_open(&mut self, options: PingOptions) -> Result<PingId, PingError> {
        let id = self.stack.ping_open(options)?;
        self.own(SocketId::Ping(id));
        Ok(id)
    }

    /// [`Stack::ping_send`].
    ///
    /// # Errors
    /// [`SendError`].
    pub fn ping_send(
        &mut self,
        id: PingId,
        to: IpAddr,
        scope: Option<InterfaceId>,
        seq: u16,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.stack.ping_send(self.now, id, to, scope, seq, payload)
    }

    /// [`Stack::ping_recv`].
    ///
    /// # Errors
    /// [`RecvError`].
    pub fn ping_recv(&mut self, id: PingId) -> Result<PingReply, RecvError> {
        self.stack.ping_recv(id)
    }

    /// [`Stack::ping_close`].
    pub fn ping_close(&mut self, id: PingId) {
        self.stack.ping_close(id);
        self.office.disown(SocketId::Ping(id));
    }

    // --- raw sockets ------------------------------------------------------------------------------

    /// [`Stack::raw_open`].
    ///
    /// # Errors
    /// [`RawError`].
    pub fn raw_open(&mut self, options: RawOptions) -> Result<RawSocketId, RawError> {
        let id = self.stack.raw_open(options)?;
        self.own(SocketId::Raw(id));
        Ok(id)
    }

    /// [`Stack::raw_send`].
    ///
    /// # Errors
    /// [`SendError`].
    pub fn raw_send(
        &mut self,
        id: RawSocketId,
        to: Option<IpAddr>,
        data: Bytes,
        info: &SendInfo,
    ) -> Result<(), SendError> {
        self.stack.raw_send(self.now, id, to, data, info)
    }

    /// [`Stack::raw_recv`].
    ///
    /// # Errors
    /// [`RecvError`].
    pub fn raw_recv(&mut self, id: RawSocketId) -> Result<RawPacket, RecvError> {
        self.stack.raw_recv(id)
    }

    /// [`Stack::raw_close`].
    pub fn raw_close(&mut self, id: RawSocketId) {
        self.stack.raw_close(id);
        self.office.disown(SocketId::Raw(id));
    }

    /// [`Stack::packet_open`].
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn packet_open(&mut self, options: PacketOptions) -> Result<PacketSocketId, PacketError> {
        let id = self.stack.packet_open(options)?;
        self.own(SocketId::Packet(id));
        Ok(id)
    }

    /// [`Stack::packet_send`].
    ///
    /// # Errors
    /// [`SendError`].
    pub fn packet_send(
        &mut self,
        id: PacketSocketId,
        to: MacAddr,
        ether_type: EtherType,
        data: Bytes,
    ) -> Result<(), SendError> {
        self.stack.packet_send(self.now, id, to, ether_type, data)
    }

    /// [`Stack::packet_recv`].
    ///
    /// # Errors
    /// [`RecvError`].
    pub fn packet_recv(&mut self, id: PacketSocketId) -> Result<LinkPacket, RecvError> {
        self.stack.packet_recv(id)
    }

    /// [`Stack::packet_close`].
    pub fn packet_close(&mut self, id: PacketSocketId) {
        self.stack.packet_close(id);
        self.office.disown(SocketId::Packet(id));
    }

    fn own(&mut self, id: SocketId) {
        if let Some(app) = self.app {
            self.office.own(id, app);
        }
    }
}
