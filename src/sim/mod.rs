//! A network in virtual time: hosts that are real stacks, links, one seed and one clock.
//!
//! *Owns* the order of what happens. *Does not* have a clock, a thread or entropy of its own: the same
//! calls and the same seed give the same run, and an idle hour costs nothing.
//!
//! | file | owns |
//! |---|---|
//! | `network.rs` | [`Network`]: parts, clock, order, hash |
//! | `config.rs` | [`HostConfig`], [`PortConfig`] |
//! | `host.rs`, `office.rs`, `device.rs` | a host's turn, its applications' tables, its ports' devices |
//! | `app.rs`, `cx.rs` | [`App`], and what one may do: [`Cx`] |
//! | `apps.rs` | [`Bulk`], [`Sink`] |
//! | `topology.rs` | networks of a usual shape: [`Pair`] |
//! | `agenda.rs`, `digest.rs` | who is next; the hash of what happened |
//!
//! # Order
//! At equal times what was asked for with [`Network::at`] happens first, then wires deliver, then nodes
//! have their turns, each in the order in which they were added. A host's turn: frames of all its ports, timers,
//! applications (starts, alarms, events), then what its stack sends. All of it takes no time.

mod agenda;
mod app;
mod apps;
mod config;
mod cx;
mod device;
mod digest;
mod error;
mod host;
mod line;
mod network;
mod office;
mod topology;

pub use app::{App, AppId, Wake};
pub use apps::{Bulk, Sink};
pub use config::{HostConfig, PortConfig};
pub use cx::Cx;
pub use error::SimError;
pub use line::WireConfig;
pub use network::{End, HostId, LinkConfig, LinkId, Network, WireId};
pub use topology::Pair;
