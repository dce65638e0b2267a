//! What the sender of a packet is told that goes no further.
//!
//! RFC 1812 §4.3.2, §4.3.3, RFC 4443 §2.2, §2.4, §3. *Owns* as whom and by which way it is told. *Does not* own the messages, nor
//! when to be silent: `icmp` does.

use super::judge::is_of_one_link;
use super::packet::Packet;
use crate::stack::icmp::{Cause, Complaint};
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::packet::Flow;

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
        let scope = is_of_one_link(src).then_some(from);
        // RFC 1812 §4.3.2.4, RFC 4443 §2.2 (d): as the interface by which it leaves.
        let Ok(route) = self.route(src, scope) else {
            return;
        };
        // RFC 1812 §4.3.2.7: all of a network, whichever it is, sent nothing.
        if self.interfaces[route.on.index()].groups.is_group(src) {
            return;
        }
        let flow = Flow {
            src: route.source,
            dst: src,
            next_hop: route.next_hop,
            ttl: self.ttl_to(route.on, src),
            tos: 0,
        };
        self.complain_about(&cause, (route.on, flow), complaint);
    }
}
