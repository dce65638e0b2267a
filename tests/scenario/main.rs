//! One stack and a scripted peer, packet by packet in virtual time.
//!
//! Each script runs over IPv4, over IPv6, over a device with offload, and with both initial sequence
//! numbers just below the wrap (r10). The notation is that of docs/scripts.md; `sessions.rs` begins them.

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
mod limits;
mod opening;
mod options;
mod quick_acks;
mod recovery;
mod regressions;
mod security;
mod sessions;
mod timers;
mod urgent;
mod windows;
