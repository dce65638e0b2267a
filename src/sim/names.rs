//! A resolver in an application of a simulated host.
//!
//! *Owns* nothing: its sockets are the application's.

use core::net::SocketAddr;

use bytes::Bytes;

use super::cx::Cx;
use crate::base::Instant;
use crate::names::Calls;
use crate::stack::{
    BindError, ConnectError, ConnectUdpError, Datagram, RecvError, SendError, Stack, TcpId, UdpId,
    UdpOptions,
};
use crate::tcp::{ReadError, TcpOptions, WriteError};

impl Calls for Cx<'_> {
    fn now(&self) -> Instant {
        self.now
    }

    fn stack(&self) -> &Stack {
        self.stack
    }

    fn udp_bind(&mut self, local: SocketAddr, options: UdpOptions) -> Result<UdpId, BindError> {
        self.udp_bind(local, options)
    }

    fn udp_connect(&mut self, id: UdpId, remote: SocketAddr) -> Result<(), ConnectUdpError> {
        self.udp_connect(id, remote)
    }

    fn udp_send(&mut self, id: UdpId, data: Bytes) -> Result<(), SendError> {
        self.udp_send(id, None, data)
    }

    fn udp_recv(&mut self, id: UdpId) -> Result<Datagram, RecvError> {
        self.udp_recv(id)
    }

    fn udp_close(&mut self, id: UdpId) {
        self.udp_close(id);
    }

    fn tcp_connect(
        &mut self,
        remote: SocketAddr,
        options: TcpOptions,
    ) -> Result<TcpId, ConnectError> {
        self.tcp_connect(remote, options)
    }

    fn tcp_write_chunk(&mut self, id: TcpId, chunk: &mut Bytes) -> Result<usize, WriteError> {
        self.tcp_write_chunk(id, chunk)
    }

    fn tcp_read_chunk(&mut self, id: TcpId, max: usize) -> Result<Bytes, ReadError> {
        self.tcp_read_chunk(id, max)
    }

    fn tcp_close(&mut self, id: TcpId) {
        self.tcp_close(id);
    }
}
