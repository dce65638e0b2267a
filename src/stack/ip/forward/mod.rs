//! Packets that are for other hosts, passed on.
//!
//! RFC 1812 §4.2, §4.3, §5.2, §5.3; RFC 8200 §3; RFC 4443 §3; RFC 4861 §8.2; RFC 2644; RFC 3704. *Owns* what a router does to
//! a packet between two interfaces. *Does not* route (`path` does), resolve (`neighbour`) nor answer for ourselves.
//! Invariants: nothing here is reached by a packet that is ours; a packet costs two look-ups of routes at most; what waits is
//! bounded for each interface, and in the neighbours' queues; payload is not copied but for a neighbour that is not known.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the settings of an interface |
//! | `judge` | whether a packet goes on, and where to |
//! | `packet` | a packet as it came, and how it is to leave |
//! | `pieces` | IPv4 packets that are cut on their way |
//! | `queue` | what waits for the device |
//! | `send` | the turn to send, and neighbours that are not known |
//! | `errors` | what its sender is told |
//! | `redirect` | the nearer way that its sender is told of |

mod errors;
mod judge;
mod options;
mod packet;
mod pieces;
mod queue;
mod redirect;
mod send;

pub use options::{ForwardOptions, ReversePath};
pub(in crate::stack) use queue::Queue as TransitQueue;

use crate::stack::config::Config;
use crate::stack::icmp::IcmpLimit;

/// What all interfaces share to pass packets on.
#[derive(Debug)]
pub(in crate::stack) struct Forwarding {
    /// How often a neighbour is told of a nearer way: what it does not heed is no reason to tell it less of errors.
    redirects: IcmpLimit,
    /// The headers of a frame, reused.
    headers: Vec<u8>,
}

impl Forwarding {
    pub(in crate::stack) fn new(config: &Config) -> Self {
        Self {
            redirects: IcmpLimit::new(config),
            headers: Vec::new(),
        }
    }
}
