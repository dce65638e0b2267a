//! A network in virtual time: hosts that are real stacks, links, one seed and one clock.
//!
//! *Owns* the order of what happens. *Does not* have a clock, a thread or entropy of its own: the same
//! calls and the same seed give the same run, and an idle hour costs nothing.
//!
//! | file | owns |
//! |---|---|
//! | `network.rs` | [`Network`]: parts, clock, order, hash |
//! | `link.rs` | [`LinkId`], [`WireId`], [`LinkConfig`]; both directions of a link |
//! | `config.rs`, `error.rs` | [`HostConfig`], [`PortConfig`]; [`SimError`] |
//! | `node.rs`, `switch.rs` | what stands at the ends of links; an Ethernet switch |
//! | `relay.rs` | a node that is a closure: a middlebox, a peer that lies |
//! | `router.rs`, `station.rs` | a router with static routes; its neighbours on Ethernet |
//! | `host.rs`, `office.rs`, `device.rs` | a host's turn, its applications' tables, its ports' devices: [`PortDevice`] |
//! | `app.rs`, `cx.rs` | [`App`], and what one may do: [`Cx`] |
//! | `names.rs` | a resolver in an application (feature `dns`) |
//! | `apps.rs` | [`Bulk`], [`Sink`] |
//! | `observe.rs`, `trace.rs`, `fields.rs` | rows of connections and queues: [`Row`], [`Sampling`] |
//! | `recording.rs` | all that a stack was told, and its twin: [`Recording`] |
//! | `tap.rs` | a pcapng of a link |
//! | `plot/` | a picture of rows: [`Plot`] |
//! | [`scenario`] | experiments that anybody can repeat |
//! | `topology.rs` | networks of a usual shape: [`Pair`], [`Dumbbell`], [`Star`], [`ParkingLot`] |
//! | `agenda.rs` | who is next |
//!
//! # Order
//! At equal times what was asked for with [`Network::at`] happens first, then wires deliver, then nodes
//! have their turns, each in the order in which they were added. A host's turn: starts and alarms of its applications, then
//! what [`turn_all`](crate::stack::turn_all) does: frames of all its ports, timers, events, what its stack sends. All of it takes no time.

mod agenda;
mod app;
mod apps;
mod config;
mod cx;
mod device;
mod error;
mod fields;
#[cfg(test)]
mod forwarding_tests;
mod host;
mod link;
#[cfg(feature = "dns")]
mod names;
mod network;
mod node;
mod observe;
mod office;
mod plot;
mod recording;
mod relay;
mod router;
pub mod scenario;
mod station;
mod switch;
mod tap;
mod topology;
mod trace;

pub use app::{App, AppId, Wake};
pub use apps::{Bulk, Sink};
pub use config::{HostConfig, PortConfig};
pub use cx::Cx;
pub use device::PortDevice;
pub use error::SimError;
pub use fields::Value;
pub use link::{LinkConfig, LinkId, WireId};
pub use network::{End, HostId, Network, RouterId, SwitchId};
pub use plot::Plot;
pub use recording::{Recording, TwinError};
pub use relay::RelayId;
pub use router::{RouterCounters, RouterPort};
pub use topology::{Dumbbell, Pair, ParkingLot, Site, Star};
pub use trace::{Row, Sampling, TraceId, write_csv, write_json_lines};
