//! Echo requests that came in, answered.
//!
//! RFC 792, RFC 1122 §3.2.2.6, RFC 4443 §4.2. *Owns* the answer. *Does not* send requests: `ping` does, and hears
//! what they are answered.

use core::net::IpAddr;

use crate::base::{DropReason, Protocol};
use crate::stack::net::Net;
use crate::stack::packet::{Fragmenting, Inbound, OwnedPacket};
use crate::{ipv4, ipv6};

/// What goes back.
pub(super) enum Reply<'a> {
    V4(ipv4::icmp::Message<'a>),
    V6(ipv6::icmp::Message<'a>),
}

impl Net {
    /// RFC 1122 §3.2.2.6, RFC 4443 §4.2: the data goes back from where it lies.
    pub(super) fn echo_reply(
        &mut self,
        packet: &Inbound,
        reply: &Reply<'_>,
    ) -> Result<(), DropReason> {
        // RFC 1122 §3.2.2.6 allows to ignore an IPv4 group's echo; RFC 4443 §4.2 answers IPv6's.
        let group = !packet.unicast || !packet.link_unicast;
        if group && packet.src.is_ipv4() {
            return Err(DropReason::IcmpIgnored);
        }
        let src = packet.unicast.then_some(packet.dst);
        let with = (self.ttl, packet.tos);
        let (flow, _) = self
            .answer_flow(packet.on, (src, packet.src), with)
            .map_err(|_| DropReason::NoRoute)?;
        let mut header = [0; ipv4::icmp::HEADER_LEN];
        let (protocol, data) = match (reply, flow.src, flow.dst) {
            (Reply::V4(reply), IpAddr::V4(_), IpAddr::V4(_)) => {
                reply.emit_header(&mut header);
                (Protocol::ICMP, reply.body())
            }
            (Reply::V6(reply), IpAddr::V6(src), IpAddr::V6(dst)) => {
                reply.emit_header(src, dst, &mut header);
                (Protocol::ICMPV6, reply.body())
            }
            _ => return Err(DropReason::NoRoute),
        };
        let payload = packet.segment.slice_ref(data);
        let mut reply = OwnedPacket::new(flow, protocol, &header, payload);
        reply.fragmenting = Fragmenting::Here;
        if self.queue_packet(packet.on, reply) {
            self.counters.echo_replies_sent += 1;
        }
        Ok(())
    }
}
