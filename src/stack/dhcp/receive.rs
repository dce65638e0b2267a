//! The client's way in: answers come before there is an address that they could be for.
//!
//! RFC 2131 §4.1: to 255.255.255.255, or to the address that is given, at the link address of the client. *Owns* which packets are the
//! client's, whatever sockets there are. *Does not* read messages: [`crate::dhcp`] does.

use core::net::{IpAddr, Ipv4Addr};

use crate::base::{DropReason, Instant, MacAddr, Protocol};
use crate::dhcp::{CLIENT_PORT, Message, SERVER_PORT};
use crate::stack::Stack;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::Interface;
use crate::stack::net::Net;
use crate::stack::packet::Inbound;
use crate::stack::udp::checked;
use crate::{ipv4, udp};

/// Is this packet the client's? All from port 67 to port 68 that is sent to all or to us; to another address only while an
/// answer is waited for, in a frame to us alone, and when it is the address that the message gives. What comes in fragments
/// is not: no answer is as long, for servers were told what the link carries (option 57).
pub(in crate::stack) fn is_for_client(
    interface: &Interface,
    header: &ipv4::Header<'_>,
    packet: &[u8],
    link_unicast: bool,
) -> bool {
    let Some(dhcp) = &interface.dhcp else {
        return false;
    };
    let plain = !header.is_fragment() && header.options_bytes().is_empty();
    if header.protocol() != Protocol::UDP || !plain {
        return false;
    }
    let segment = packet.get(header.header_len()..).unwrap_or_default();
    let Ok((udp, data)) = udp::Header::parse_quoted(segment) else {
        return false;
    };
    if (udp.src_port(), udp.dst_port()) != (SERVER_PORT, CLIENT_PORT) {
        return false;
    }
    let dst = IpAddr::V4(header.dst());
    if interface.groups.takes(dst) || interface.addresses.is_held(dst) {
        return true;
    }
    let gives = || Message::parse(data).is_ok_and(|message| message.yiaddr() == header.dst());
    link_unicast && dhcp.client.awaits_answer() && gives()
}

impl Stack {
    /// A datagram for the client came in.
    pub(in crate::stack) fn handle_dhcp(
        &mut self,
        now: Instant,
        packet: &Inbound,
    ) -> Result<(), DropReason> {
        let (_, data) = checked(packet)?;
        let from = match (packet.src, packet.link_src) {
            (IpAddr::V4(src), Some(mac)) => Some((src, mac)),
            _ => None,
        };
        self.net.hear_dhcp(now, packet.on, data, from)
    }
}

impl Net {
    fn hear_dhcp(
        &mut self,
        now: Instant,
        on: InterfaceId,
        data: &[u8],
        from: Option<(Ipv4Addr, MacAddr)>,
    ) -> Result<(), DropReason> {
        let heard = self.with_dhcp(now, on, |dhcp| {
            let heard = dhcp.client.handle_datagram(now, data);
            if heard.is_ok() {
                dhcp.server = from;
            }
            heard
        });
        match heard {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(DropReason::DhcpIgnored),
        }
    }
}
