//! The calls of a stack that a resolver's sockets are made of.
//!
//! *Owns* the list of them. *Does not* add to any: each is the stack's own, so that whoever counts or records calls sees these.

use core::net::SocketAddr;

use bytes::Bytes;

use crate::base::Instant;
use crate::stack::{
    BindError, ConnectError, ConnectUdpError, Datagram, RecvError, SendError, Stack, TcpId, UdpId,
    UdpOptions,
};
use crate::tcp::{ReadError, TcpOptions, WriteError};

/// A stack at the time that it is: [`At`], or an application's [`Cx`](crate::sim::Cx).
pub trait Calls {
    /// The time.
    fn now(&self) -> Instant;

    /// The stack, to look at.
    fn stack(&self) -> &Stack;

    /// [`Stack::udp_bind`].
    ///
    /// # Errors
    /// [`BindError`].
    fn udp_bind(&mut self, local: SocketAddr, options: UdpOptions) -> Result<UdpId, BindError>;

    /// [`Stack::udp_connect`].
    ///
    /// # Errors
    /// [`ConnectUdpError`].
    fn udp_connect(&mut self, id: UdpId, remote: SocketAddr) -> Result<(), ConnectUdpError>;

    /// [`Stack::udp_send_chunk`], to the connected peer.
    ///
    /// # Errors
    /// [`SendError`].
    fn udp_send(&mut self, id: UdpId, data: Bytes) -> Result<(), SendError>;

    /// [`Stack::udp_recv`].
    ///
    /// # Errors
    /// [`RecvError`].
    fn udp_recv(&mut self, id: UdpId) -> Result<Datagram, RecvError>;

    /// [`Stack::udp_close`].
    fn udp_close(&mut self, id: UdpId);

    /// [`Stack::tcp_connect`], from any address and port.
    ///
    /// # Errors
    /// [`ConnectError`].
    fn tcp_connect(
        &mut self,
        remote: SocketAddr,
        options: TcpOptions,
    ) -> Result<TcpId, ConnectError>;

    /// [`Stack::tcp_write_chunk`].
    ///
    /// # Errors
    /// [`WriteError`].
    fn tcp_write_chunk(&mut self, id: TcpId, chunk: &mut Bytes) -> Result<usize, WriteError>;

    /// [`Stack::tcp_read_chunk`].
    ///
    /// # Errors
    /// [`ReadError`].
    fn tcp_read_chunk(&mut self, id: TcpId, max: usize) -> Result<Bytes, ReadError>;

    /// [`Stack::tcp_close`].
    fn tcp_close(&mut self, id: TcpId);
}

/// A stack, and the time that its calls are made at.
#[derive(Debug)]
pub struct At<'a> {
    now: Instant,
    stack: &'a mut Stack,
}

impl<'a> At<'a> {
    /// This stack at this time.
    pub const fn new(now: Instant, stack: &'a mut Stack) -> Self {
        Self { now, stack }
    }
}

impl Calls for At<'_> {
    fn now(&self) -> Instant {
        self.now
    }

    fn stack(&self) -> &Stack {
        self.stack
    }

    fn udp_bind(&mut self, local: SocketAddr, options: UdpOptions) -> Result<UdpId, BindError> {
        self.stack.udp_bind(local, options)
    }

    fn udp_connect(&mut self, id: UdpId, remote: SocketAddr) -> Result<(), ConnectUdpError> {
        self.stack.udp_connect(id, remote)
    }

    fn udp_send(&mut self, id: UdpId, data: Bytes) -> Result<(), SendError> {
        self.stack.udp_send_chunk(self.now, id, None, data)
    }

    fn udp_recv(&mut self, id: UdpId) -> Result<Datagram, RecvError> {
        self.stack.udp_recv(id)
    }

    fn udp_close(&mut self, id: UdpId) {
        self.stack.udp_close(id);
    }

    fn tcp_connect(
        &mut self,
        remote: SocketAddr,
        options: TcpOptions,
    ) -> Result<TcpId, ConnectError> {
        self.stack.tcp_connect(self.now, remote, None, options)
    }

    fn tcp_write_chunk(&mut self, id: TcpId, chunk: &mut Bytes) -> Result<usize, WriteError> {
        self.stack.tcp_write_chunk(self.now, id, chunk)
    }

    fn tcp_read_chunk(&mut self, id: TcpId, max: usize) -> Result<Bytes, ReadError> {
        self.stack.tcp_read_chunk(self.now, id, max)
    }

    fn tcp_close(&mut self, id: TcpId) {
        self.stack.tcp_close(self.now, id);
    }
}
