//! The nearer way that a neighbour is told of, who sends over us what goes on to another one.
//!
//! RFC 792, RFC 1812 §4.3.3.2, §5.2.7.2; RFC 4861 §8.2, §4.5. *Owns* the message, and when it is sent. *Does not* look where the packet goes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::packet::Packet;
use crate::base::{Instant, Protocol};
use crate::ipv6::icmp::Message as Icmpv6;
use crate::ipv6::ndp::{self, Message, Options};
use crate::stack::icmp::{QUOTED_V4, may_carry_error};
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::packet::{Flow, Label, Manner, OwnedPacket};
use crate::{ipv4, ipv6};

/// For this host (RFC 1812 §4.3.3.2: none for networks are sent).
const HOST: u8 = 1;
/// RFC 4861 §4.6.3: the type of the option with the packet, and its bytes before that.
const REDIRECTED: u8 = 4;
const REDIRECTED_LEN: usize = 8;
/// RFC 4861 §4.5: the message is no longer than the minimum MTU.
const MOST_V6: usize = 1280;
/// Bytes of a redirect before its options (RFC 4861 §4.5).
const FIXED_V6: usize = 40;

/// As whom a sender is told.
#[derive(Clone, Copy, Debug)]
enum Speaker {
    V4(Flow),
    V6(Ipv6Addr),
}

impl Net {
    /// Tells the sender of a packet that leaves by the interface it came in on, if that is a neighbour.
    pub(super) fn redirect_sender(
        &mut self,
        now: Instant,
        on: InterfaceId,
        packet: &Packet,
        next_hop: IpAddr,
    ) {
        let interface = &self.interfaces[on.index()];
        let (src, dst) = packet.ends;
        let sent = interface
            .forwarding
            .is_some_and(|options| options.redirects);
        if !sent || !interface.is_ethernet() || next_hop == src {
            return;
        }
        if !self.is_on_link(on, src) || may_carry_error(src, &packet.data) {
            return;
        }
        // Who has nothing to say it as takes no turn of others'.
        let speaker = match src {
            IpAddr::V4(_) => {
                let flow = self.answer_flow(on, (None, src), Manner::default());
                flow.ok().map(|(flow, _)| Speaker::V4(flow))
            }
            IpAddr::V6(_) => self.speaker_v6(on, dst, next_hop).map(Speaker::V6),
        };
        let Some(speaker) = speaker else { return };
        // RFC 1812 §4.3.2.8, RFC 4861 §8.2: as often as errors; who does not heed it has none built.
        if !self.forwarding.redirects.allow(now, src) {
            return;
        }
        let redirect = match (speaker, src, dst, next_hop) {
            (Speaker::V4(flow), _, _, IpAddr::V4(hop)) => redirect_v4(flow, packet, hop),
            (Speaker::V6(own), IpAddr::V6(src), IpAddr::V6(dst), IpAddr::V6(hop)) => {
                self.redirect_v6((on, own), packet, (src, dst), hop)
            }
            _ => return,
        };
        if self.queue_packet(on, redirect) {
            self.counters.redirects_sent += 1;
        }
    }

    /// As whom a neighbour is told of this way (RFC 4861 §4.5): a router is known by its link-local address, and so are we.
    fn speaker_v6(&self, on: InterfaceId, dst: IpAddr, next_hop: IpAddr) -> Option<Ipv6Addr> {
        let IpAddr::V6(target) = next_hop else {
            return None;
        };
        if next_hop != dst && !target.is_unicast_link_local() {
            return None;
        }
        let addresses = &self.interfaces[on.index()].addresses;
        let all = IpAddr::V6(ipv6::ALL_NODES);
        let own = addresses.source(all, all);
        let Some(IpAddr::V6(own)) = own.filter(|&own| addresses.is_assigned(own)) else {
            return None;
        };
        own.is_unicast_link_local().then_some(own)
    }

    fn redirect_v6(
        &self,
        (on, own): (InterfaceId, Ipv6Addr),
        packet: &Packet,
        (to, destination): (Ipv6Addr, Ipv6Addr),
        target: Ipv6Addr,
    ) -> OwnedPacket {
        let mut options = Vec::new();
        if let Some(mac) = self.neighbours.mac((on, IpAddr::V6(target))) {
            options.extend(Options::target_link_address_bytes(mac));
        }
        let room = MOST_V6 - ipv6::HEADER_LEN - FIXED_V6 - options.len() - REDIRECTED_LEN;
        let quoted = packet.data.len().min(room) & !7;
        let units = u8::try_from((quoted + REDIRECTED_LEN) / 8).unwrap_or(1);
        options.extend([REDIRECTED, units, 0, 0, 0, 0, 0, 0]);
        options.extend_from_slice(&packet.data[..quoted]);
        let message = Icmpv6::Ndp(Message::Redirect {
            target,
            destination,
            options: Options::new(&options),
        });
        let mut bytes = vec![0; message.len()];
        message.emit(own, to, &mut bytes);
        let (header, rest) = bytes.split_at(FIXED_V6);
        let flow = Flow {
            src: IpAddr::V6(own),
            dst: IpAddr::V6(to),
            next_hop: IpAddr::V6(to),
            ttl: ndp::HOP_LIMIT,
            tos: 0,
            label: Label::default(),
        };
        let rest = Bytes::copy_from_slice(rest);
        OwnedPacket::new(flow, Protocol::ICMPV6, header, rest)
    }
}

fn redirect_v4(flow: Flow, packet: &Packet, hop: Ipv4Addr) -> OwnedPacket {
    use ipv4::icmp::{HEADER_LEN, Message};
    let quote = packet.data.slice(..packet.data.len().min(QUOTED_V4));
    let message = Message::Redirect {
        code: HOST,
        gateway: hop,
        quoted: &quote,
    };
    let mut header = [0; HEADER_LEN];
    message.emit_header(&mut header);
    OwnedPacket::new(flow, Protocol::ICMP, &header, quote.clone())
}
