//! Echo requests that came in, answered.
//!
//! RFC 792, RFC 1122 §3.2.2.6, RFC 4443 §4.2. *Owns* the answer, and what comes of one that a router refused. *Does not* send requests: `ping` does, and hears
//! what they are answered.

use core::net::IpAddr;

use super::{IcmpError, IcmpErrorKind};
use crate::base::{DropReason, Protocol};
use crate::stack::ip;
use crate::stack::net::Net;
use crate::stack::packet::{Fragmenting, Inbound, Manner, OwnedPacket};
use crate::stack::path::TooBig;
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
        let src = self.answering(packet);
        let with = Manner::tos(packet.tos);
        let (flow, mtu) = self
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
        // Who asks hears nothing of a reply that a router refused, and asks no smaller: IPv4's may be cut.
        reply.fragmenting = match flow.dst {
            IpAddr::V4(_) => Fragmenting::Anywhere,
            IpAddr::V6(_) => Fragmenting::Here,
        };
        reply.mtu = self.large_replies.told(self.now, flow.dst);
        let mtu = mtu.min(reply.mtu.into());
        let all = ip::header_len(flow.dst) + header.len() + data.len();
        let refusable = reply.fragmenting.may_be_refused(flow.dst, all, mtu);
        if self.queue_packet(packet.on, reply) {
            self.counters.echo_replies_sent += 1;
            if refusable {
                let least = self.paths.least(flow.dst);
                self.large_replies.note(flow.dst, all, least);
            }
        }
        Ok(())
    }

    /// An ICMPv6 packet-too-big quotes an echo reply: the next one that leaves for there is cut.
    pub(in crate::stack) fn reply_refused(&mut self, error: &IcmpError) -> Result<(), DropReason> {
        let IcmpErrorKind::TooBig { mtu } = error.kind else {
            return Err(DropReason::IcmpUnmatched);
        };
        let (dst, quoted) = (error.quoted_dst, error.quoted_len);
        if !self.large_replies.holds(dst, quoted) {
            return Err(DropReason::IcmpUnmatched);
        }
        let route = self.route_from(error.quoted_src, dst, Some(error.on));
        let route = route.map_err(|_| DropReason::IcmpUnmatched)?;
        if self.reply_too_big((route.on, dst), TooBig { mtu, quoted }) {
            Ok(())
        } else {
            Err(DropReason::IcmpTooBig)
        }
    }
}
