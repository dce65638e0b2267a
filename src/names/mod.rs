//! Names over a stack: a resolver's questions by the sockets of a [`Stack`](crate::Stack), and connecting to what they come to.
//!
//! RFC 6724 §6 (which address first), RFC 8305 (not only the first). *Owns* the sockets of questions, the order of addresses and of attempts.
//! *Does not* have a clock or a thread: a `Host` drives it, an application of [`sim`](crate::sim), or whoever drives a
//! stack by hand. All it does are calls of the stack, so a recording of one holds them.
//!
//! | file | holds |
//! |---|---|
//! | `calls.rs` | [`Calls`]: the calls of a stack that it makes; [`At`]: a stack at a time |
//! | `service.rs` | [`Names`]: a resolver and its sockets |
//! | `order.rs` | [`sorted`]: the order of addresses |
//! | `race.rs` | [`Race`]: connecting to the first that answers |

mod calls;
mod order;
mod race;
mod service;
#[cfg(test)]
mod tests;

pub use calls::{At, Calls};
pub use order::sorted;
pub use race::Race;
pub use service::Names;
