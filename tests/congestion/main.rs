//! Loss recovery and congestion control, packet by packet: which segment leaves at which ACK.
//!
//! The scripts and their worlds are those of the scenario tier.

#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails; the harness has more than is used here"
)]

#[path = "../scenario/device.rs"]
mod device;
#[path = "../scenario/harness.rs"]
mod harness;
mod recovery;
#[path = "../scenario/script.rs"]
mod script;
#[path = "../scenario/world.rs"]
mod world;
