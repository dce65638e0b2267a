//! netloom: a TCP/IP stack in userspace over TAP and TUN.
//!
//! Two ways in. [`host::Host`] couples a stack with a device, a clock and a driver thread, and gives
//! handles in the shape of `std::net`. [`Stack`] is the same stack as a value: frames and time go in;
//! frames, deadlines and events come out.
//!
//! ```no_run
//! # #[cfg(all(target_os = "linux", feature = "host"))]
//! # fn main() -> Result<(), netloom::Report> {
//! use netloom::{device::Tap, host::Host};
//!
//! let tap = Tap::builder().name("nl0").kernel_address("10.7.0.1/24".parse()?).open()?;
//! let host = Host::builder(tap).address("10.7.0.2/24".parse()?).spawn()?;
//! let stream = host.tcp_connect("10.7.0.1:80")?;
//! println!("{:?}", stream.info()?);
//! # Ok(())
//! # }
//! # #[cfg(not(all(target_os = "linux", feature = "host")))]
//! # fn main() {}
//! ```
//!
//! # The map
//! Imports point one way, and `tests/architecture.rs` holds the table:
//! `host, sim, drill -> stack -> tcp, udp, ipv4, ipv6, dhcp, dhcp6, arp, link -> base`; `stack` names the traits of `device`.
//!
//! | module | holds |
//! |---|---|
//! | [`base`] | time, checksums, addresses, drop reasons, keys |
//! | [`link`] | frames with their offload metadata, the Ethernet header |
//! | [`arp`], [`ipv4`], [`ipv6`], [`udp`], [`tcp`] | wire formats, and TCP's state machine |
//! | [`stack`] | interfaces, neighbours, routes, sockets, timers: the sans-I/O core |
//! | [`device`] | the device traits, TAP, TUN, the in-memory pair, wrappers |
//! | [`capture`] | pcapng out, pcap and pcapng in |
//! | [`decode`] | one line per packet |
//! | [`dhcp`] | a DHCPv4 client as a value, which an interface may have ([`InterfaceConfig::dhcp`]) |
//! | [`dhcp6`] | a client of stateless DHCPv6 as a value, which an interface has that heeds routers |
//! | `dns`, `names` | a resolver of names as a value; the same over a stack's sockets, and connecting by name (feature `dns`) |
//! | `host` | the driver thread and the blocking handles (Linux, feature `host`) |
//! | [`sim`] | networks of stacks in virtual time |
//! | [`drill`] | scripts in packetdrill's notation |
//!
//! A cookbook of what people build on it: [`guide`].
//!
//! # Limits
//! Every table that a peer can make grow is bounded, by a setting of [`Config`], [`stack::ListenOptions`],
//! [`tcp::TcpOptions`], [`stack::UdpOptions`] or [`stack::PingOptions`], or by a fixed number; `docs/limits.md` lists them
//! with their defaults and what they are in bytes. Connections that were accepted are bounded by who accepts them.
//!
//! # Features
//! `host`, on by default, is what needs an operating system: `host`, and the TAP and TUN devices, on Linux. Without it the sans-I/O core
//! builds anywhere, with neither nix nor crossbeam nor getrandom. `dns` adds the resolver of names; `tokio` and `futures-io` give the
//! streams of a host the traits of asynchronous runtimes, which it needs none of; `cli` builds the tool `netloom` and has `host` and `dns`.

#![cfg_attr(test, allow(clippy::cast_possible_truncation))]

pub mod arp;
pub mod base;
pub mod capture;
pub mod decode;
pub mod device;
pub mod dhcp;
pub mod dhcp6;
#[cfg(feature = "dns")]
pub mod dns;
pub mod drill;
pub mod guide;
#[cfg(all(target_os = "linux", feature = "host"))]
pub mod host;
pub mod ipv4;
pub mod ipv6;
pub mod link;
#[cfg(feature = "dns")]
pub mod names;
pub mod sim;
pub mod stack;
pub mod tcp;
pub mod udp;

pub use bytes;
#[cfg(all(target_os = "linux", feature = "host"))]
pub use crossbeam_channel;

pub use base::{Cidr, Instant, MacAddr, Report, Seed};
pub use stack::{
    Config, Event, InterfaceConfig, InterfaceId, ListenerId, PingId, Readiness, SocketId, Stack,
    TcpId, UdpId,
};

/// The README's example, compiled as a test.
#[cfg(all(doctest, target_os = "linux", feature = "host"))]
#[doc = include_str!("../README.md")]
struct Readme;
