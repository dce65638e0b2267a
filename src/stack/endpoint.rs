//! Endpoints as users name and see them: link-local ones carry their interface (RFC 4007 §6).

use core::net::{IpAddr, SocketAddr, SocketAddrV6};

use super::ids::InterfaceId;
use super::tuple::is_link_local;

/// The scope that an address names.
pub(crate) fn scope_of(address: SocketAddr) -> Option<InterfaceId> {
    match address {
        SocketAddr::V6(a) => InterfaceId::from_scope(a.scope_id()),
        SocketAddr::V4(_) => None,
    }
}

/// The same address with this scope id, if it has one at all.
pub(crate) fn with_scope(address: SocketAddr, zone: u32) -> SocketAddr {
    match address {
        SocketAddr::V6(a) => SocketAddr::V6(SocketAddrV6::new(*a.ip(), a.port(), 0, zone)),
        SocketAddr::V4(_) => address,
    }
}

/// How a peer is shown: a link-local one with the interface that it was heard on.
pub(crate) fn endpoint(on: InterfaceId, ip: IpAddr, port: u16) -> SocketAddr {
    let zone = if is_link_local(ip) { on.scope() } else { 0 };
    with_scope(SocketAddr::new(ip, port), zone)
}
