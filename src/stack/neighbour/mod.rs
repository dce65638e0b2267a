//! Neighbours, of both families: who has an address on a link, and whether it still answers.
//!
//! RFC 826, RFC 5227, RFC 4861 §7, RFC 4862 §5.4, RFC 6583 §7. *Does not* choose next hops: routes do.
//!
//! | file | owns |
//! |---|---|
//! | `table` | the entries, their states, what waits for them, and its bounds |
//! | `messages` | what the table is told, and what it wants done |
//! | `asking` | what it wants done, done |
//! | `info` | what a user is told of them |
//! | `arp`, `ndp` | the packets: what they say, and what they are answered |

mod arp;
mod asking;
mod info;
mod messages;
mod ndp;
mod table;

pub use info::{NeighbourInfo, NeighbourState};
pub(crate) use messages::{Effect, Heard, Lookup, NeighbourKey};
#[cfg(test)]
pub(crate) use table::State;
pub(crate) use table::{Need, Neighbours, RETRANS_TIMER};
