//! Why an interface cannot be made.
//!
//! *Owns* the words. *Does not* judge: `config` does.

use core::net::{IpAddr, SocketAddrV4};

use super::config::MIN_MTU_V6;
use crate::base::{Cidr, MacAddr};
use crate::dhcp;
use crate::stack::ids::InterfaceId;

/// Why an interface cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The MTU carries no IPv4 packet (RFC 791 §3.2).
    #[error("mtu {mtu} is below 68")]
    Mtu {
        /// The MTU given, in bytes.
        mtu: usize,
    },
    /// A group or the zero address as the station's own.
    #[error("{0} is not a station's mac address")]
    Mac(MacAddr),
    /// A VLAN number out of range, or on a medium without Ethernet headers.
    #[error("vlan {0} is not within 1 to 4094, or the device has no ethernet headers")]
    Vlan(u16),
    /// A priority of frames out of range.
    #[error("the vlan priority {0} is not within 0 to 7")]
    VlanPriority(u8),
    /// There is no such interface to share the device of, or it has none of its own.
    #[error("{0:?} has no device that a vlan could share")]
    VlanOver(InterfaceId),
    /// Another interface of this device has the VLAN.
    #[error("another interface of the device has vlan {0}")]
    VlanTaken(u16),
    /// As many interfaces share one device as may.
    #[error("{0} vlans share the device already")]
    TooManyVlans(usize),
    /// Loopback, multicast, broadcast or unspecified.
    #[error(
        "{0} cannot be an interface's address: it is a loopback, group or broadcast address, or nobody's; give a host's"
    )]
    Address(Cidr),
    /// An IPv6 address on a link whose MTU carries no IPv6 (RFC 8200 §5).
    #[error("{address} needs an MTU of at least {MIN_MTU_V6}, the device has {mtu}")]
    AddressMtu {
        /// The address given.
        address: Cidr,
        /// The device's MTU, in bytes.
        mtu: usize,
    },
    /// The same address twice.
    #[error("{0} is given twice")]
    AddressTwice(Cidr),
    /// A gateway that cannot be a router's address: a group, a broadcast address, or our own.
    #[error(
        "{0} cannot be a gateway: it is our own, a group's or nobody's address; give a router's"
    )]
    Gateway(IpAddr),
    /// A route whose gateway is of the other family.
    #[error("the gateway of the route to {0} is of the other address family")]
    Family(Cidr),
    /// Routers to be asked for on a medium without Ethernet headers, or on a link whose MTU carries no IPv6.
    #[error(
        "router discovery needs ethernet frames and an MTU of at least {MIN_MTU_V6}, the device has {mtu}: give addresses and gateways"
    )]
    RouterDiscovery {
        /// The device's MTU, in bytes.
        mtu: usize,
    },
    /// A DHCP client on a medium without link addresses, by which servers know it.
    #[error("dhcp needs ethernet headers, which the device has not; use a tap")]
    DhcpMedium,
    /// The DHCP client cannot keep to its settings.
    #[error("dhcp: {0}")]
    Dhcp(#[source] dhcp::ConfigError),
    /// A port that NAT cannot forward: of neither TCP nor UDP, given twice, from a port that a socket of ours has,
    /// or from or to nobody's.
    #[error(
        "port {port} cannot be forwarded to {inside}: a port of TCP or UDP leads to one host's port, is given once, and is no socket's of ours"
    )]
    NatForward {
        /// The port outside.
        port: u16,
        /// Where it was to lead.
        inside: SocketAddrV4,
    },
    /// More interfaces than ids.
    #[error("there are {0} interfaces already")]
    TooMany(usize),
    /// As many devices as a host takes.
    #[error("the host has {0} devices already, and takes no more")]
    TooManyDevices(usize),
}

impl From<ConfigError> for std::io::Error {
    fn from(error: ConfigError) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}
