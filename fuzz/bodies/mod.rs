//! What the fuzz targets run, one module per target: any bytes in, and a panic when something does
//! not hold. `wire` builds packets, `seeds` the first corpus of each target.

pub mod adversary;
pub mod arp;
pub mod capture;
pub mod coalesce;
pub mod decode;
pub mod dhcp;
pub mod dhcp6;
#[cfg(target_os = "linux")] // smoltcp is a rival of the benches, which are for Linux
pub mod differential;
#[cfg(feature = "dns")]
pub mod dns;
pub mod drill;
pub mod ethernet;
pub mod foreign;
pub mod frame;
pub mod groups;
pub mod icmpv4;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod ndp;
pub mod replay;
pub mod seeds;
pub mod stack;
pub mod tcp;
pub mod udp;
pub mod virtio;
pub mod wire;

/// What the device's file in `virtio` calls `crate::link`.
pub use netloom::link;
