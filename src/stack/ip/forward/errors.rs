//! What the sender of a packet is told that goes no further.
//!
//! RFC 1812 §4.3.2, §4.3.3, RFC 4443 §2.2, §2.4, §3. *Owns* as whom and by which way it is told. *Does not* own the messages, nor
//! when to be silent: `icmp` does.

use core::net::IpAddr;

use super::judge::is_of_one_link;
use super::packet::Packet;
use crate::stack::icmp::{Cause, Complaint};
use crate::stack::ids::InterfaceId;
use crate::stack::interface::Interface;
use crate::stack::net::Net;
use crate::stack::packet::{Flow, Label};
use crate::stack::path::RouteError;

/// RFC 1812 §4.3.2.5: the precedence of errors.
const INTERNETWORK_CONTROL: u8 = 6 << 5;
/// *Fixed*: interfaces that are asked for an address to tell a sender from.
const MOST_ASKED: usize = 64;

impl Net {
    /// Tells the sender of a packet that came in on `from`, by the way that leads to it.
    pub(super) fn complain_in_transit(
        &mut self,
        from: InterfaceId,
        packet: &Packet,
        complaint: Complaint,
    ) {
        let src = packet.sender();
        let cause = Cause {
            on: from,
            src,
            quote: &packet.data,
        };
        let Some((on, next_hop, source)) = self.way_back(from, src) else {
            return;
        };
        // RFC 1812 §4.3.2.7: all of a network, whichever it is, sent nothing.
        if self.interfaces[on.index()].groups.is_group(src) {
            return;
        }
        let flow = Flow {
            src: source,
            dst: src,
            next_hop,
            ttl: self.ttl_to(on, src),
            // RFC 1812 §4.3.2.5.
            tos: if src.is_ipv4() {
                INTERNETWORK_CONTROL
            } else {
                0
            },
            label: Label::default(),
        };
        self.complain_about(&cause, (on, flow), complaint);
    }

    /// The way to the sender of what came in on `from`, and as whom it is told.
    fn way_back(&self, from: InterfaceId, to: IpAddr) -> Option<(InterfaceId, IpAddr, IpAddr)> {
        let scope = is_of_one_link(to).then_some(from);
        // RFC 1812 §4.3.2.4, RFC 4443 §2.2 (d): as the interface by which it leaves.
        let (on, next_hop, own) = match self.route(to, scope) {
            Ok(route) => (route.on, route.next_hop, Some(route.source)),
            Err(RouteError::NoSource(_)) => {
                let (on, next_hop) = self.paths.routes.lookup(self.now, to, scope)?;
                (on, next_hop, None)
            }
            Err(_) => return None,
        };
        if scope.is_some() || own.is_some_and(|own| !is_of_one_link(own)) {
            return Some((on, next_hop, own?));
        }
        // RFC 6724 §4, RFC 1812 §2.2.7: on a link that has none of its own, as another one, for nobody beyond it hears who is of that link
        // alone (RFC 4291 §2.5.6).
        let of = |interface: &Interface| {
            let own = interface.addresses.source(to, next_hop)?;
            let spoken = interface.addresses.is_assigned(own) && !is_of_one_link(own);
            spoken.then_some(own)
        };
        let others = || self.interfaces.iter().take(MOST_ASKED).find_map(of);
        let other = of(&self.interfaces[from.index()]).or_else(others);
        Some((on, next_hop, other.or(own)?))
    }
}
