//! Loss recovery and congestion control, through packets.
//!
//! | file | owns |
//! |---|---|
//! | `app_limited.rs` | when a sender is found to have had nothing to send |
//! | `buffers.rs` | send buffers that grow |
//! | `single.rs` | how long a lost single segment waits for its probe |
//! | `sweep.rs` | what the bench beside Linux keeps |
//! | `replies.rs` | short replies over a path that loses |
//! | `recovery.rs` | which segment leaves at which ACK; scripts begin as those of the scenario tier do |
//! | `bbr/` | BBRv3's states, through a path that is changed under it |
//! | `ecn.rs` | what ECN does in the handshake, at the receiver and at the sender |
//! | `contract.rs` | what a controller is told, in which order; what its answers may do |
//! | `frto.rs` | time-outs that were none |
//! | `flows.rs` | each controller over a simulated path (`path.rs`) |
//! | `hostile.rs` | receivers that lie, beside an honest one |
//! | `catalogue.rs`, `table.rs` | each short scenario of the library; the table of all their results |

#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails; `sessions.rs` has more than is used here"
)]

mod app_limited;
mod bbr;
mod buffers;
mod catalogue;
mod contract;
mod ecn;
mod flows;
mod frto;
mod hostile;
mod path;
mod recovery;
mod replies;
#[path = "../scenario/sessions.rs"]
mod sessions;
mod single;
mod sweep;
mod table;
