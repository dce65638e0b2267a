//! netloom: a userspace TCP/IP stack.

#![cfg_attr(test, allow(clippy::cast_possible_truncation))]

pub mod arp;
pub mod base;
pub mod capture;
pub mod decode;
pub mod device;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
pub mod host;
pub mod ipv4;
pub mod ipv6;
pub mod link;
pub mod stack;
pub mod tcp;
pub mod udp;

pub use bytes;
pub use crossbeam_channel;

pub use base::{Cidr, Instant, MacAddr, Seed};
pub use stack::{
    Config, Event, InterfaceConfig, InterfaceId, ListenerId, PingId, Readiness, SocketId, Stack,
    TcpId, UdpId,
};
