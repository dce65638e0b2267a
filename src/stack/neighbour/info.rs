//! What a user is told of neighbours.
//!
//! RFC 4861 §7.3.2. *Owns* the words for it. *Does not* change anything: to ask is not to use.

use core::fmt;
use core::net::IpAddr;

use super::table::State;
use crate::base::{Instant, MacAddr};
use crate::stack::Stack;
use crate::stack::ids::InterfaceId;

/// How sure it is that a neighbour has its MAC address (RFC 4861 §7.3.2), of both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NeighbourState {
    /// It is asked for, and has not answered.
    Incomplete,
    /// It answered a short while ago.
    Reachable,
    /// It may have gone: the next packet finds out.
    Stale,
    /// A packet went there, and a sign of life is waited for.
    Delay,
    /// It is asked whether it is still there.
    Probe,
}

impl NeighbourState {
    /// Its name, as RFC 4861 and ip-neighbour(8) have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "INCOMPLETE",
            Self::Reachable => "REACHABLE",
            Self::Stale => "STALE",
            Self::Delay => "DELAY",
            Self::Probe => "PROBE",
        }
    }
}

impl fmt::Display for NeighbourState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A neighbour of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeighbourInfo {
    /// The interface on whose link it is.
    pub on: InterfaceId,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC address; `None` while nobody has told it.
    pub mac: Option<MacAddr>,
    /// How sure that is.
    pub state: NeighbourState,
}

impl Stack {
    /// The neighbours on an interface's link that were spoken to, or spoke, as they stand at `now`, in no particular order.
    pub fn neighbours(
        &self,
        now: Instant,
        on: InterfaceId,
    ) -> impl Iterator<Item = NeighbourInfo> + '_ {
        let now = now.max(self.net.now);
        let all = self.net.neighbours.entries();
        let here = all.filter(move |((of, _), ..)| *of == on);
        here.map(move |((on, address), state, mac)| {
            let state = match state {
                State::Incomplete { .. } => NeighbourState::Incomplete,
                // The table looks at the time when it is asked.
                State::Reachable { until } if until <= now => NeighbourState::Stale,
                State::Reachable { .. } => NeighbourState::Reachable,
                State::Stale => NeighbourState::Stale,
                State::Delay => NeighbourState::Delay,
                State::Probe { .. } => NeighbourState::Probe,
            };
            let known = state != NeighbourState::Incomplete;
            NeighbourInfo {
                on,
                address,
                mac: known.then_some(mac),
                state,
            }
        })
    }
}
