//! Between which addresses a socket speaks: which it takes, which it sends from, and by which way.
//!
//! RFC 1122 §3.3.4.2, RFC 4007 §6. *Owns* the choice for each datagram. *Does not* know routes: `path` does.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::socket::UdpSocket;
use super::waiting::Aim;
use crate::stack::endpoint::scope_of;
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::packet::{Flow, Label, Summed};
use crate::stack::path::{Route, RouteError};
use crate::stack::tuple::{Tuple, is_link_local};

impl UdpSocket {
    /// Does it speak to addresses of this family, and of no mapped form?
    pub(super) fn takes(&self, ip: IpAddr) -> bool {
        let mapped = |a: Ipv6Addr| a.to_ipv4_mapped().is_some();
        match (self.local.ip(), ip) {
            (IpAddr::V4(_), IpAddr::V4(_)) => true,
            (IpAddr::V6(_), IpAddr::V6(to)) => !mapped(to),
            (IpAddr::V6(own), IpAddr::V4(_)) => own.is_unspecified() && self.options.dual_stack,
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }

    /// Has what it sends so a checksum (RFC 8200 §8.1)?
    pub(super) fn sums(&self, (to, info): Aim<'_>) -> Summed {
        let asked = info.is_some_and(|info| info.checksum);
        match self.options.send_zero_checksum && to.is_ipv6() && !asked {
            true => Summed::No,
            false => Summed::Yes,
        }
    }

    /// Does it take what comes with a checksum, or without one where there should be one?
    pub(super) const fn takes_summed(&self, summed: Summed) -> bool {
        matches!(summed, Summed::Yes) || self.options.take_zero_checksum
    }

    /// Does it take what comes in on this interface?
    pub(super) fn hears_on(&self, on: InterfaceId) -> bool {
        self.options.interface.is_none_or(|own| own == on)
    }

    /// The address that it sends from; any will do for one that is bound to none, or to a group.
    pub(super) const fn source(&self) -> IpAddr {
        match self.local.ip() {
            IpAddr::V4(a) if a.is_multicast() => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(a) if a.is_multicast() => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            own => own,
        }
    }
}

/// The way from a socket to `to`: to its peer by the interface that has the address it connected with, but as `info` asks.
pub(super) fn route_for(
    net: &Net,
    socket: &UdpSocket,
    (to, info): Aim<'_>,
) -> Result<Route, RouteError> {
    let own = || peer_flow(socket, to).map_or_else(|| socket.source(), |flow| flow.local.ip);
    let Some(info) = info else {
        return net.route_from(own(), to.ip(), scope_for(socket, to));
    };
    let scope = info.interface.or_else(|| scope_for(socket, to));
    let own = own();
    let route = net.route_from(info.source.unwrap_or(own), to.ip(), scope)?;
    info.check_source(net, route.on, (Some(own), to.ip()))?;
    Ok(route)
}

/// The flow to its peer, if `to` is that.
fn peer_flow(socket: &UdpSocket, to: SocketAddr) -> Option<Tuple> {
    socket.connected.filter(|_| socket.peer == Some(to))
}

/// Over which interface: the one that the destination names, else the socket's own.
pub(super) fn scope_for(socket: &UdpSocket, to: SocketAddr) -> Option<InterfaceId> {
    let own = || InterfaceId::from_scope(socket.zone);
    socket
        .options
        .interface
        .or_else(|| scope_of(to))
        .or_else(|| match to.ip() {
            group if group.is_multicast() => socket.options.multicast.interface.or_else(own),
            ip if is_link_local(ip) => own(),
            _ => None,
        })
}

/// Is it a broadcast address of the link that it is sent to by?
pub(in crate::stack) fn is_broadcast(net: &Net, route: &Route, to: IpAddr) -> bool {
    let groups = &net.interfaces[route.on.index()].groups;
    matches!(to, IpAddr::V4(a) if a.is_broadcast() || groups.is_broadcast(a))
}

/// The address that a socket which is bound to `own` sends from on `route` (RFC 1122 §3.3.4.2).
pub(super) fn source_for(own: IpAddr, route: &Route) -> IpAddr {
    if own.is_unspecified() {
        route.source
    } else {
        own
    }
}

pub(super) fn flow_of(socket: &UdpSocket, route: &Route, (to, info): Aim<'_>, net: &Net) -> Flow {
    let connected = peer_flow(socket, to);
    let options = &socket.options;
    let ttl = match to.ip().is_multicast() {
        true => options.multicast.ttl,
        false => options.ttl.unwrap_or_else(|| net.ttl_to(route.on, to.ip())),
    };
    let mut flow = Flow {
        src: connected.map_or_else(|| source_for(socket.source(), route), |t| t.local.ip),
        dst: to.ip(),
        next_hop: route.next_hop,
        ttl,
        tos: options.tos,
        label: Label::asked(options.flow_label),
    };
    if let Some(info) = info {
        flow.src = info.source.unwrap_or(flow.src);
        flow.ttl = info.ttl.unwrap_or(flow.ttl);
        flow.tos = info.tos.unwrap_or(flow.tos);
        flow.label = info.label_or(flow.label);
    }
    flow
}
