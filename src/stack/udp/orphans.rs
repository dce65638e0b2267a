//! Datagrams that wait without their socket: it was closed, or it goes on while a neighbour is asked for.
//!
//! *Owns* how they are made, and what becomes of a super-segment for whom the path has become too narrow. *Does not* keep them:
//! the interface's outbox and the neighbours' queues do.

use super::ends::flow_of;
use super::socket::UdpSocket;
use super::waiting::Pending;
use crate::base::Protocol;
use crate::stack::ip;
use crate::stack::net::Net;
use crate::stack::packet::{Fragmenting, HeaderBytes, OwnedPacket};
use crate::stack::path::Route;
use crate::udp;

/// A datagram that outlives its socket.
pub(super) fn owned(socket: &UdpSocket, route: &Route, pending: Pending, net: &Net) -> OwnedPacket {
    let flow = flow_of(socket, route, pending.aim(), net);
    let summed = socket.sums(pending.aim());
    let mut header = [0; udp::HEADER_LEN];
    let port = socket.port_of(pending.info.as_deref());
    udp::Fields::new(port, pending.to.port()).emit(pending.data.len(), &mut header);
    let mut packet = OwnedPacket::new(flow, Protocol::UDP, &header, pending.data);
    packet.segment = pending.segment;
    packet.fragmenting = socket.options.dont_fragment.fragmenting();
    packet.summed = summed;
    packet.mtu = socket.large.told(net.now, pending.to.ip());
    packet
}

/// Makes `packet` the first datagram of the super-segment that it is, when its datagrams are above `mtu` by now and may be cut:
/// each leaves in fragments of its own. Gives what it was, and what is left of that.
pub(in crate::stack) fn split_first(
    packet: &mut OwnedPacket,
    mtu: usize,
) -> Option<(OwnedPacket, OwnedPacket)> {
    let size = usize::from(packet.segment?.get());
    let all = ip::header_len(packet.flow.dst) + udp::HEADER_LEN + size;
    let fits = all <= mtu || packet.fragmenting == Fragmenting::Never;
    if fits || size >= packet.payload.len() {
        return None;
    }
    let whole = packet.clone();
    let mut rest = packet.clone();
    packet.payload = rest.payload.split_to(size);
    packet.segment = None;
    rest.segment = rest.segment.filter(|_| rest.payload.len() > size);
    for part in [packet, &mut rest] {
        let (ports, _) = udp::Header::parse_quoted(part.header.as_slice()).ok()?;
        let mut header = [0; udp::HEADER_LEN];
        udp::Fields::new(ports.src_port(), ports.dst_port()).emit(part.payload.len(), &mut header);
        part.header = HeaderBytes::new(&header);
    }
    Some((whole, rest))
}
