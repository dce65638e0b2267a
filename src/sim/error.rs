//! Why a network cannot be built or cannot run on.

use core::net::IpAddr;

use crate::base::{Cidr, CidrError, Instant};
use crate::device::Medium;
use crate::stack::{ConfigError, PortError};

/// Why a network cannot be built or cannot run on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A port's settings cannot work.
    #[error("a port's settings cannot work: {0}")]
    Port(#[from] ConfigError),
    /// An address's prefix cannot be.
    #[error(transparent)]
    Address(#[from] CidrError),
    /// The two ends of a link take different frames.
    #[error("one end of the link takes {0:?} frames, the other {1:?} frames")]
    Mediums(Medium, Medium),
    /// A router's route is over a neighbour that is on no link of it, or of the other family.
    #[error("no link of the router leads to {via}, over which {to} is to be reached")]
    Via {
        /// Where the route leads.
        to: Cidr,
        /// The neighbour.
        via: IpAddr,
    },
    /// A device of a host failed.
    #[error("a simulated device failed: {0}")]
    Device(#[from] PortError),
    /// A million things happened, frames that arrived or turns, and time does not pass: links without rate and delay carry a
    /// flow without end, or applications that answer each other, in no time; or alarms are asked for at
    /// once again and again.
    #[error(
        "{turns} things happened at {at:?} and time does not pass: does every link have a rate or a delay?"
    )]
    Stuck {
        /// The time that does not pass.
        at: Instant,
        /// What happened at it.
        turns: u32,
    },
}
