//! Networks of a usual shape, ready for applications.
//!
//! *Owns* their addresses. *Does not* add applications.

use core::net::{IpAddr, Ipv4Addr};

use super::config::PortConfig;
use super::error::SimError;
use super::link::{LinkConfig, LinkId};
use super::network::{HostId, Network};
use crate::base::Cidr;

/// Two hosts and the link between them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pair {
    /// The network.
    pub network: Network,
    /// The first host, at [`Pair::LEFT`].
    pub left: HostId,
    /// The second host, at [`Pair::RIGHT`].
    pub right: HostId,
    /// The link, from left to right.
    pub link: LinkId,
}

impl Pair {
    /// The address of the first host.
    pub const LEFT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    /// The address of the second host.
    pub const RIGHT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    /// Two hosts `left` and `right` with the defaults, and this link between them.
    ///
    /// # Errors
    /// None with the default ports.
    pub fn new(seed: u64, link: impl Into<LinkConfig>) -> Result<Self, SimError> {
        Self::with(seed, link, [PortConfig::new(), PortConfig::new()])
    }

    /// The same with these ports; addresses of /24 are added to them.
    ///
    /// # Errors
    /// [`SimError`] when the ports cannot work, or not together.
    pub fn with(
        seed: u64,
        link: impl Into<LinkConfig>,
        [left_port, right_port]: [PortConfig; 2],
    ) -> Result<Self, SimError> {
        let mut network = Network::new(seed);
        let left = network.add_host("left");
        let right = network.add_host("right");
        let link = network.link(
            left.port(left_port.address(in_24(Self::LEFT)?)),
            right.port(right_port.address(in_24(Self::RIGHT)?)),
            link,
        )?;
        Ok(Self {
            network,
            left,
            right,
            link,
        })
    }
}

fn in_24(address: IpAddr) -> Result<Cidr, SimError> {
    Ok(Cidr::new(address, 24)?)
}
