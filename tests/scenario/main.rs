//! One stack and a scripted peer, packet by packet in virtual time.
//!
//! Each script runs over IPv4, over IPv6, and with both initial sequence numbers just below the
//! wrap (r10). The notation is described in `script.rs`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

#[path = "../../benches/floods/attack.rs"]
mod attack;
mod closing;
mod cookies;
mod data;
mod device;
mod duplicates;
mod floods;
mod harness;
mod limits;
mod opening;
mod options;
mod quick_acks;
mod recovery;
mod regressions;
mod script;
mod security;
#[allow(dead_code, reason = "half of the files begin in the other way")]
mod sessions;
mod timers;
mod windows;
mod world;
