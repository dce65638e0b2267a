//! A node of the user's own: what comes in at a port is given to a closure, which says what leaves.
//!
//! *Owns* its ports. *Does not* look into frames: a NAT, a firewall, a hub, a peer that lies are closures.

use core::fmt;

use bytes::Bytes;

use super::network::{End, EndKind, Network};
use super::node::Kind;
use crate::base::Instant;
use crate::device::Medium;

/// What leaves, and at which ports, when a frame comes in at one.
type Act = Box<dyn FnMut(Instant, usize, Bytes) -> Vec<(usize, Bytes)>>;

/// A relay of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RelayId {
    node: usize,
    medium: Medium,
}

impl RelayId {
    /// One end of a link: a new port of this relay.
    pub const fn port(self) -> End {
        End(EndKind::Relay(self))
    }

    pub(super) const fn medium(self) -> Medium {
        self.medium
    }
}

/// A relay.
pub(super) struct Relay {
    ports: usize,
    act: Act,
    arrived: Vec<(usize, Bytes)>,
    sent: Vec<(usize, Bytes)>,
}

impl Network {
    /// Adds a node that does what `act` says: given the time, the port at which a frame came in and the frame, it returns
    /// what leaves in answer, each with its port. Ports are numbered from 0 on, in the order of
    /// their links; what is sent to another leads nowhere. `medium` says what frames start with on all of them.
    ///
    /// ```
    /// use netloom::device::{Medium, WireConfig};
    /// use netloom::sim::{HostConfig, Network, PortConfig};
    ///
    /// let mut network = Network::new(1);
    /// let [left, right] = ["left", "right"].map(|name| network.add_host(name));
    /// // Passes all on but every tenth frame.
    /// let mut count = 0;
    /// let relay = network.add_relay("lossy", Medium::Ethernet, move |_now, port, frame| {
    ///     count += 1;
    ///     if count % 10 == 0 { vec![] } else { vec![(1 - port, frame)] }
    /// });
    /// for host in [left, right] {
    ///     let port = host.port(PortConfig::new());
    ///     network.link(port, relay.port(), WireConfig::perfect()).expect("ports that work");
    /// }
    /// ```
    pub fn add_relay(
        &mut self,
        name: impl Into<String>,
        medium: Medium,
        act: impl FnMut(Instant, usize, Bytes) -> Vec<(usize, Bytes)> + 'static,
    ) -> RelayId {
        let relay = Relay {
            ports: 0,
            act: Box::new(act),
            arrived: Vec::new(),
            sent: Vec::new(),
        };
        let node = self.add_node(name.into(), Kind::Relay(relay));
        RelayId { node, medium }
    }

    pub(super) fn add_relay_port(&mut self, id: RelayId) -> (usize, usize) {
        match &mut self.nodes[id.node].kind {
            Kind::Relay(relay) => (id.node, relay.add_port()),
            _ => unreachable!("{}", super::network::FOREIGN),
        }
    }
}

impl Relay {
    const fn add_port(&mut self) -> usize {
        self.ports += 1;
        self.ports - 1
    }

    /// A frame has come to a port.
    pub(super) fn arrive(&mut self, port: usize, frame: Bytes) {
        self.arrived.push((port, frame));
    }

    /// Asks what is to be done with what arrived.
    pub(super) fn turn(&mut self, now: Instant) {
        for (port, frame) in self.arrived.drain(..) {
            self.sent.extend((self.act)(now, port, frame));
        }
    }

    /// Gives away what the last turn sent.
    pub(super) fn drain_sent(&mut self, mut take: impl FnMut(usize, Bytes)) {
        for (port, frame) in self.sent.drain(..) {
            take(port, frame);
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::WireConfig;
    use crate::sim::{HostId, PortConfig};

    /// Between two hosts, a relay that doubles what comes from the first, answers the second itself, and
    /// sends to a port that is not there: in the order in which it said so.
    #[test]
    fn a_relay_does_what_it_is_told() {
        let mut network = Network::new(1);
        let hosts: [HostId; 2] = ["a", "b"].map(|name| network.add_host(name));
        let relay = network.add_relay("relay", Medium::Ip, |_, port, frame| match port {
            0 => vec![(1, frame.clone()), (7, frame.clone()), (1, frame)],
            _ => vec![(1, frame)],
        });
        for (n, host) in hosts.into_iter().enumerate() {
            let address = format!("10.0.0.{}/24", n + 1).parse().unwrap();
            let port = PortConfig::new().medium(Medium::Ip).address(address);
            network
                .link(host.port(port), relay.port(), WireConfig::perfect())
                .unwrap();
        }
        network.run_for(core::time::Duration::from_secs(5)).unwrap();
        let received = |network: &Network, host| network.stack(host).counters().rx_frames;
        let before = hosts.map(|host| received(&network, host));
        network.call(hosts[0], |cx| {
            let any = "0.0.0.0:5".parse().unwrap();
            let id = cx.udp_bind(any, crate::stack::UdpOptions::new()).unwrap();
            let to = Some("10.0.0.2:6".parse().unwrap());
            cx.udp_send(id, to, Bytes::from_static(b"x")).unwrap();
        });
        network.run_for(core::time::Duration::from_secs(5)).unwrap();
        // Twice the datagram, and the second host's own answer to each of both comes back to it.
        let after = hosts.map(|host| received(&network, host));
        assert_eq!((after[0] - before[0], after[1] - before[1]), (0, 4));
        assert!(format!("{network:?}").contains("relay"));
    }
}
