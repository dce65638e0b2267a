//! netloom: a userspace TCP/IP stack.

pub mod base;
pub mod capture;
pub mod device;
pub mod link;
pub mod tcp;

pub use bytes;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
pub mod host;
pub mod stack;
