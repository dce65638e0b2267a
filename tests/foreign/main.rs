//! Captures of other stacks, fed to ours: made in virtual time, altered as captures are, and those of `tests/pcap`.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod damage;
mod drops;
mod ends;
mod fixtures;
mod others;
mod same;
mod talk;
mod tcp;
