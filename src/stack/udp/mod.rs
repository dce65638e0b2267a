//! UDP in the stack.
//!
//! RFC 768, RFC 1122 §4.1, RFC 8085 §5.2. *Owns* the sockets and their queues. *Does not* choose ways: `path` does.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the settings of a socket |
//! | `socket` | a socket, its queues, and the errors of its calls |
//! | `calls` | the user's calls |
//! | `info` | how one datagram leaves, where its socket's way is not wanted |
//! | `waiting` | datagrams that wait to be read and to be sent |
//! | `charges` | what datagrams that wait are charged |
//! | `checksum` | what must have one, and whether it is right |
//! | `datagrams` | datagrams in and out, and errors about them |
//! | `ends` | between which addresses a socket speaks |
//! | `gone` | sockets whose address was taken away |
//! | `multicast` | how a socket sends to groups, and the errors of being in them |
//! | `groups` | the calls by which a socket is in groups |
//! | `to_many` | datagrams that several sockets hear |
//! | `orphans` | datagrams that wait without their socket |
//! | `ready` | what a socket could do now |

mod calls;
mod charges;
mod checksum;
mod datagrams;
mod ends;
mod gone;
mod groups;
mod info;
mod multicast;
mod options;
mod orphans;
mod ready;
mod socket;
mod to_many;
mod waiting;

#[cfg(test)]
pub(super) use charges::OVERHEAD;
#[cfg(all(target_os = "linux", feature = "host"))] // the host's
pub(crate) use charges::charge_received;
pub(super) use checksum::checked;
pub(super) use ends::is_broadcast;
pub use info::SendInfo;
pub use multicast::{GroupError, MulticastOptions};
pub use options::{DontFragment, UdpOptions};
pub(super) use orphans::split_first;
pub(super) use socket::UdpSockets;
pub use socket::{BindError, ConnectUdpError, RecvError, SendError};
pub(super) use to_many::Looped;
pub use waiting::Datagram;

use super::Stack;
use super::event::Events;
use super::ids::{StaleId, UdpId};
use super::memory::Memory;
use super::net::Net;
use socket::UdpSocket;

/// The parts of a stack that a call into a socket may concern beside its slot: a socket is looked up once
/// for each call, then its slot is passed with these.
struct Around<'a> {
    net: &'a mut Net,
    events: &'a mut Events,
    memory: &'a mut Memory,
}

impl Stack {
    /// All sockets, and what is around them.
    fn all_udp_and_around(&mut self) -> (&mut UdpSockets, Around<'_>) {
        let around = Around {
            net: &mut self.net,
            events: &mut self.events,
            memory: &mut self.memory,
        };
        (&mut self.udp, around)
    }

    /// The socket that a user names.
    fn udp_and_around(&mut self, id: UdpId) -> Result<(&mut UdpSocket, Around<'_>), StaleId> {
        let (sockets, around) = self.all_udp_and_around();
        Ok((sockets.get_mut(id).ok_or(StaleId)?, around))
    }
}
