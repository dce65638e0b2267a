//! netloom: a userspace TCP/IP stack.

pub mod arp;
pub mod base;
pub mod capture;
pub mod device;
pub mod ipv4;
pub mod ipv6;
pub mod link;
pub mod stack;
pub mod tcp;
pub mod udp;

pub use bytes;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
pub mod host;
