//! ICMP and ICMPv6: echo answered, errors sent within limits, errors received handed to whom they
//! quote.
//!
//! RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3.2 (sending, rate); RFC 4443 §2.4; RFC 5927 §4, RFC 6633
//! (what is believed). *Does not* know sockets.
//!
//! | file | owns |
//! |---|---|
//! | `receive` | what a message leads to |
//! | `echo` | answers to echo requests |
//! | `report` | errors received: what they say, whose packet they quote |
//! | `complain` | errors sent: about what, when not |
//! | `limit` | how many are sent |

mod complain;
mod echo;
mod limit;
mod receive;
mod report;

pub(crate) use complain::Complaint;
pub(crate) use limit::IcmpLimit;
pub(crate) use report::{IcmpError, IcmpErrorKind};

use core::net::IpAddr;

use super::ids::InterfaceId;
use super::net::Net;
use super::packet::{Flow, Inbound};

impl Net {
    /// The flow of an answer to `packet` from our address `src`, and where it leaves. RFC 4443 §2.2: what was
    /// sent to a group is answered from an address of the interface.
    pub(crate) fn reply_flow(
        &self,
        packet: &Inbound,
        src: Option<IpAddr>,
        tos: u8,
    ) -> Option<(InterfaceId, Flow, usize)> {
        let route = self.route_back(packet.on, packet.src).ok()?;
        let flow = Flow {
            src: src.unwrap_or(route.source),
            dst: packet.src,
            next_hop: route.next_hop,
            ttl: self.ttl,
            tos,
        };
        Some((route.on, flow, route.mtu))
    }
}
