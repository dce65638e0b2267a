//! A user's command as a value: what a recording of a stack's inputs keeps of its users.
//!
//! *Owns* one variant for each call by which a user of sockets changes a stack. *Does not* keep what it
//! returned: a stack that is given the same inputs returns the same.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use std::net::Shutdown;

use bytes::Bytes;

use super::{
    InterfaceId, ListenOptions, ListenerId, PingId, PingOptions, Stack, TcpId, UdpId, UdpOptions,
};
use crate::base::Instant;
use crate::tcp::TcpOptions;

/// A call of a stack.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Call {
    /// [`Stack::tcp_connect`]: to, from.
    TcpConnect(SocketAddr, Option<SocketAddr>, TcpOptions),
    /// [`Stack::tcp_listen`].
    TcpListen(SocketAddr, ListenOptions),
    /// [`Stack::tcp_accept`].
    TcpAccept(ListenerId),
    /// [`Stack::tcp_listener_close`].
    TcpListenerClose(ListenerId),
    /// [`Stack::tcp_write`].
    TcpWrite(TcpId, Bytes),
    /// [`Stack::tcp_write_chunk`].
    TcpWriteChunk(TcpId, Bytes),
    /// [`Stack::tcp_read`]: the length of the buffer.
    TcpRead(TcpId, usize),
    /// [`Stack::tcp_read_chunk`]: at most so many bytes.
    TcpReadChunk(TcpId, usize),
    /// [`Stack::tcp_peek`]: the length of the buffer.
    TcpPeek(TcpId, usize),
    /// [`Stack::tcp_shutdown`].
    TcpShutdown(TcpId, Shutdown),
    /// [`Stack::tcp_set_options`].
    TcpSetOptions(TcpId, TcpOptions),
    /// [`Stack::tcp_close`].
    TcpClose(TcpId),
    /// [`Stack::tcp_abort`].
    TcpAbort(TcpId),
    /// [`Stack::udp_bind`].
    UdpBind(SocketAddr, UdpOptions),
    /// [`Stack::udp_connect`].
    UdpConnect(UdpId, SocketAddr),
    /// [`Stack::udp_send_chunk`].
    UdpSend(UdpId, Option<SocketAddr>, Bytes),
    /// [`Stack::udp_send_segmented`].
    UdpSendSegmented(UdpId, Option<SocketAddr>, Bytes, NonZeroU16),
    /// [`Stack::udp_recv`].
    UdpRecv(UdpId),
    /// [`Stack::udp_close`].
    UdpClose(UdpId),
    /// [`Stack::ping_open`].
    PingOpen(PingOptions),
    /// [`Stack::ping_send`]: to, over, number, payload.
    PingSend(PingId, IpAddr, Option<InterfaceId>, u16, Bytes),
    /// [`Stack::ping_recv`].
    PingRecv(PingId),
    /// [`Stack::ping_close`].
    PingClose(PingId),
}

impl Call {
    /// Makes the call; what it returns was told when it was recorded.
    pub fn make(&self, now: Instant, stack: &mut Stack) {
        if !self.make_tcp(now, stack) {
            self.make_other(now, stack);
        }
    }

    fn make_tcp(&self, now: Instant, stack: &mut Stack) -> bool {
        match self.clone() {
            Self::TcpConnect(to, from, options) => {
                let _ = stack.tcp_connect(now, to, from, options);
            }
            Self::TcpListen(at, options) => {
                let _ = stack.tcp_listen(at, options);
            }
            Self::TcpAccept(id) => {
                let _ = stack.tcp_accept(now, id);
            }
            Self::TcpListenerClose(id) => stack.tcp_listener_close(now, id),
            Self::TcpWrite(id, data) => {
                let _ = stack.tcp_write(now, id, &data);
            }
            Self::TcpWriteChunk(id, mut data) => {
                let _ = stack.tcp_write_chunk(now, id, &mut data);
            }
            Self::TcpRead(id, len) => {
                let _ = stack.tcp_read(now, id, &mut vec![0; len]);
            }
            Self::TcpReadChunk(id, max) => {
                let _ = stack.tcp_read_chunk(now, id, max);
            }
            Self::TcpPeek(id, len) => {
                let _ = stack.tcp_peek(id, &mut vec![0; len]);
            }
            Self::TcpShutdown(id, how) => {
                let _ = stack.tcp_shutdown(now, id, how);
            }
            Self::TcpSetOptions(id, options) => {
                let _ = stack.tcp_set_options(now, id, options);
            }
            Self::TcpClose(id) => stack.tcp_close(now, id),
            Self::TcpAbort(id) => stack.tcp_abort(now, id),
            _ => return false,
        }
        true
    }

    fn make_other(&self, now: Instant, stack: &mut Stack) {
        match self.clone() {
            Self::UdpBind(at, options) => {
                let _ = stack.udp_bind(at, options);
            }
            Self::UdpConnect(id, to) => {
                let _ = stack.udp_connect(id, to);
            }
            Self::UdpSend(id, to, data) => {
                let _ = stack.udp_send_chunk(now, id, to, data);
            }
            Self::UdpSendSegmented(id, to, data, segment) => {
                let _ = stack.udp_send_segmented(now, id, to, data, segment);
            }
            Self::UdpRecv(id) => {
                let _ = stack.udp_recv(id);
            }
            Self::UdpClose(id) => stack.udp_close(id),
            Self::PingOpen(options) => {
                let _ = stack.ping_open(options);
            }
            Self::PingSend(id, to, scope, seq, payload) => {
                let _ = stack.ping_send(now, id, to, scope, seq, payload);
            }
            Self::PingRecv(id) => {
                let _ = stack.ping_recv(id);
            }
            Self::PingClose(id) => stack.ping_close(id),
            _ => {}
        }
    }
}
