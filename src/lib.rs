//! netloom: a userspace TCP/IP stack.

pub mod arp;
pub mod base;
pub mod device;
pub mod ipv4;
pub mod ipv6;
pub mod link;
pub mod stack;
pub mod tcp;
pub mod udp;

pub use bytes;
pub use stack::{
    Config, Event, InterfaceConfig, InterfaceId, ListenerId, PingId, Readiness, SocketId, Stack,
    TcpId, UdpId,
};
