//! The two ends of a flow, as the key that finds its owner.
//!
//! *Owns* what is part of the key: keys of link-local addresses hold the interface (RFC 4007 §6). *Does not*
//! know owners: `demux` and `tcp_flows` do.

use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use super::ids::InterfaceId;

/// Both ends of a flow; `zone` is the interface's number when an address is link-local, else 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuple {
    pub(crate) local: SocketKey,
    pub(crate) remote: SocketKey,
    zone: u32,
}

/// Each segment has its tuple hashed: in as few words as it fits in. The two families differ in how
/// many there are, and their number is part of the hash.
impl Hash for Tuple {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (local, remote) = (self.local, self.remote);
        let words = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        if let (IpAddr::V4(local), IpAddr::V4(remote)) = (local.ip, remote.ip) {
            state.write_u64(words(local.to_bits(), remote.to_bits()));
        } else {
            for address in [local.ip, remote.ip] {
                let [high, low] = halves(address);
                state.write_u64(high);
                state.write_u64(low);
            }
        }
        let ports = u32::from(local.port) << 16 | u32::from(remote.port);
        state.write_u64(words(ports, self.zone));
    }
}

fn halves(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    };
    let low = bits & u128::from(u64::MAX);
    [bits >> 64, low].map(|half| u64::try_from(half).unwrap_or(u64::MAX))
}

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SocketKey {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
}

impl Tuple {
    /// The tuple of a flow over the interface `on`.
    pub(crate) fn new(on: InterfaceId, local: (IpAddr, u16), remote: (IpAddr, u16)) -> Self {
        let scoped = is_link_local(local.0) || is_link_local(remote.0);
        let key = |(ip, port)| SocketKey { ip, port };
        Self {
            local: key(local),
            remote: key(remote),
            zone: if scoped { on.scope() } else { 0 },
        }
    }
}

impl Tuple {
    /// The interface, of a flow with a link-local end.
    pub(crate) fn scope(&self) -> Option<InterfaceId> {
        InterfaceId::from_scope(self.zone)
    }
}

/// Is it an address that means something on one link only (`fe80::/10`, RFC 4291 §2.5.6)?
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(a) if a.is_unicast_link_local())
}

/// Something else has this endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InUse;
