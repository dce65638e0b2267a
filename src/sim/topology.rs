//! Networks of a usual shape, ready for applications.
//!
//! *Owns* their addresses. *Does not* add applications.

use core::net::{IpAddr, Ipv4Addr};

use super::config::PortConfig;
use super::error::SimError;
use super::link::{LinkConfig, LinkId};
use super::network::{HostId, Network, SwitchId};
use crate::base::Cidr;
use crate::device::WireConfig;

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

/// A host of a larger shape and its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Site {
    /// The host.
    pub host: HostId,
    /// Its address.
    pub address: IpAddr,
}

impl Site {
    /// Joins a new host to a switch. All hosts of a shape are in one network of /8.
    fn new(
        network: &mut Network,
        name: String,
        [group, number]: [usize; 2],
        (switch, link): (SwitchId, LinkConfig),
    ) -> Result<Self, SimError> {
        let [_, _, high, low] = u32::try_from(number + 1).unwrap_or(u32::MAX).to_be_bytes();
        let group = u8::try_from(group).unwrap_or(u8::MAX);
        let address = IpAddr::V4(Ipv4Addr::new(10, group, high, low));
        let host = network.add_host(name.as_str());
        let port = PortConfig::new().address(Cidr::new(address, 8)?);
        network.link(host.port(port), switch.port(), link)?;
        Ok(Self { host, address })
    }
}

/// Pairs of hosts whose flows meet in one link: each left host at the left switch, each right host at
/// the right one, the bottleneck between the switches.
#[derive(Debug)]
#[non_exhaustive]
pub struct Dumbbell {
    /// The network.
    pub network: Network,
    /// The hosts on the left, 10.1.0.1 and on.
    pub left: Vec<Site>,
    /// The hosts on the right, 10.2.0.1 and on.
    pub right: Vec<Site>,
    /// The link that they share, from left to right.
    pub bottleneck: LinkId,
}

impl Dumbbell {
    /// One pair of hosts for each of `access`, the link between the left host and its switch; the right
    /// host stands right at its switch. At most 65,535 pairs.
    ///
    /// # Errors
    /// None with fewer.
    pub fn new(
        seed: u64,
        bottleneck: impl Into<LinkConfig>,
        access: impl IntoIterator<Item = impl Into<LinkConfig>>,
    ) -> Result<Self, SimError> {
        let mut network = Network::new(seed);
        let switches = ["left", "right"].map(|name| network.add_switch(name));
        let [left_switch, right_switch] = switches;
        let bottleneck = network.link(left_switch.port(), right_switch.port(), bottleneck)?;
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (number, access) in access.into_iter().enumerate() {
            let at = (left_switch, access.into());
            let name = format!("left{number}");
            left.push(Site::new(&mut network, name, [1, number], at)?);
            let at = (right_switch, WireConfig::perfect().into());
            let name = format!("right{number}");
            right.push(Site::new(&mut network, name, [2, number], at)?);
        }
        Ok(Self {
            network,
            left,
            right,
            bottleneck,
        })
    }
}

/// Hosts around one switch.
#[derive(Debug)]
#[non_exhaustive]
pub struct Star {
    /// The network.
    pub network: Network,
    /// The hosts, 10.0.0.1 and on.
    pub hosts: Vec<Site>,
    /// Their links, from each host to the switch.
    pub links: Vec<LinkId>,
}

impl Star {
    /// One host for each link. At most 65,535.
    ///
    /// # Errors
    /// None with fewer.
    pub fn new(
        seed: u64,
        links: impl IntoIterator<Item = impl Into<LinkConfig>>,
    ) -> Result<Self, SimError> {
        let mut network = Network::new(seed);
        let switch = network.add_switch("switch");
        let mut hosts = Vec::new();
        for (number, link) in links.into_iter().enumerate() {
            let at = (switch, link.into());
            let name = format!("host{number}");
            hosts.push(Site::new(&mut network, name, [0, number], at)?);
        }
        // Nothing else was linked.
        let links = (0..hosts.len()).map(LinkId).collect();
        Ok(Self {
            network,
            hosts,
            links,
        })
    }
}

/// Switches in a row: one pair of hosts whose flow crosses every hop, and one pair beside each hop.
#[derive(Debug)]
#[non_exhaustive]
pub struct ParkingLot {
    /// The network.
    pub network: Network,
    /// The pair at the two ends of the row, 10.1.0.1 and 10.2.0.1.
    pub through: [Site; 2],
    /// By hop: the pair whose flow crosses it and no other, 10.1.0.2 and 10.2.0.2 and on.
    pub cross: Vec<[Site; 2]>,
    /// The hops, each from the through pair's first host towards its second.
    pub hops: Vec<LinkId>,
}

impl ParkingLot {
    /// A row with these hops, at most 65,534; hosts stand right at their switches.
    ///
    /// # Errors
    /// None with fewer.
    pub fn new(
        seed: u64,
        hops: impl IntoIterator<Item = impl Into<LinkConfig>>,
    ) -> Result<Self, SimError> {
        let mut network = Network::new(seed);
        let mut switches = vec![network.add_switch("switch0")];
        let mut links = Vec::new();
        for hop in hops {
            let next = network.add_switch(format!("switch{}", switches.len()));
            let last = switches[switches.len() - 1];
            links.push(network.link(last.port(), next.port(), hop)?);
            switches.push(next);
        }
        let mut pair = |number: usize, from: SwitchId, to: SwitchId| {
            let mut site = |side: &str, group, switch| {
                let at = (switch, WireConfig::perfect().into());
                let name = format!("{side}{number}");
                Site::new(&mut network, name, [group, number], at)
            };
            Ok::<_, SimError>([site("left", 1, from)?, site("right", 2, to)?])
        };
        let through = pair(0, switches[0], switches[switches.len() - 1])?;
        let cross = switches.windows(2).zip(1..);
        let cross = cross.map(|(hop, number)| pair(number, hop[0], hop[1]));
        let cross = cross.collect::<Result<_, _>>()?;
        Ok(Self {
            network,
            through,
            cross,
            hops: links,
        })
    }
}

fn in_24(address: IpAddr) -> Result<Cidr, SimError> {
    Ok(Cidr::new(address, 24)?)
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;
    use core::time::Duration;

    use super::*;
    use crate::device::QueueLimit;
    use crate::sim::{AppId, Bulk, Sink};

    fn wire(bits_per_sec: u64, millis: u64) -> WireConfig {
        WireConfig::perfect()
            .rate(bits_per_sec)
            .delay(Duration::from_millis(millis))
            .queue(QueueLimit::Bytes(60_000))
    }

    fn flow(network: &mut Network, from: Site, to: Site) -> AppId<Sink> {
        let at = SocketAddr::new(to.address, 9);
        let sink = network.add_app(to.host, Sink::new(at));
        network.add_app(from.host, Bulk::new(at));
        sink
    }

    #[test]
    fn flows_share_the_bottleneck_of_a_dumbbell() {
        let access = [5, 10, 15].map(|millis| wire(100_000_000, millis));
        let mut dumbbell = Dumbbell::new(1, wire(10_000_000, 5), access).unwrap();
        let net = &mut dumbbell.network;
        let pairs: Vec<_> = dumbbell.left.iter().zip(&dumbbell.right).collect();
        let sinks: Vec<_> = pairs.iter().map(|(a, b)| flow(net, **a, **b)).collect();
        net.run_for(Duration::from_secs(5)).unwrap();
        let bytes: Vec<_> = sinks.iter().map(|&sink| net.app(sink).bytes()).collect();
        assert!(bytes.iter().all(|&n| n > 200_000), "{bytes:?}");
        let all: u64 = bytes.iter().sum();
        // 10 Mbit/s for 5 s carry 5,978,000 bytes of text.
        assert!((4_000_000..5_978_000).contains(&all), "{bytes:?}");
        let counters = net.wire_counters(dumbbell.bottleneck.forth());
        assert!(counters.overflowed > 0, "{counters:?}");
    }

    #[test]
    fn every_host_of_a_star_reaches_every_other() {
        let mut star = Star::new(1, [1, 2, 3].map(|millis| wire(10_000_000, millis))).unwrap();
        assert_eq!(star.links.len(), 3);
        let [a, b, c] = [0, 1, 2].map(|n| star.hosts[n]);
        let sinks = [(a, b), (b, c), (c, a)].map(|(x, y)| flow(&mut star.network, x, y));
        star.network.run_for(Duration::from_secs(1)).unwrap();
        for sink in sinks {
            assert!(star.network.app(sink).bytes() > 300_000);
        }
    }

    #[test]
    fn a_flow_through_a_parking_lot_meets_one_at_each_hop() {
        let hops = [wire(10_000_000, 5), wire(10_000_000, 5)];
        let mut lot = ParkingLot::new(1, hops).unwrap();
        let net = &mut lot.network;
        let through = flow(net, lot.through[0], lot.through[1]);
        let cross: Vec<_> = lot.cross.iter().map(|[a, b]| flow(net, *a, *b)).collect();
        net.run_for(Duration::from_secs(5)).unwrap();
        let through = net.app(through).bytes();
        assert!(through > 100_000, "{through}");
        for sink in cross {
            let cross = net.app(sink).bytes();
            assert!(cross > through, "{cross} beside {through}");
        }
    }
}
