//! A router: static routes, the longest prefix first, one hop less.
//!
//! RFC 1812 §4.3.2.8, §5.2, §5.3.1; RFC 8200 §3; RFC 4443 §2.4, §3.1, §3.3. *Owns* the table of routes, and the ICMP errors
//! about packets that go no further, as many as are allowed. *Does not* fragment, answer for itself (pings end
//! here), nor take time: its links do.

use core::net::IpAddr;

use bytes::{Bytes, BytesMut};

use super::error::SimError;
use super::network::{FOREIGN, Network, RouterId};
use super::node::Kind;
use super::station::Station;
use crate::base::checksum::update;
use crate::base::{Cidr, Instant, MacAddr, Protocol, Tokens};
use crate::device::Medium;
use crate::{ipv4, ipv6};

/// RFC 1812 §4.3.2.3: an ICMPv4 error is at most this long, IP header included.
const MAX_ERROR_V4: usize = 576;
/// RFC 4443 §2.4 (c): an ICMPv6 error is at most the minimum MTU.
const MAX_ERROR_V6: usize = 1280;
/// RFC 4443 §2.4 (f): what it recommends for a small device, as a rate and at once.
const ERRORS_PER_SECOND: u32 = 10;
const SECOND_NANOS: u64 = 1_000_000_000;

/// The settings of a router's port: Ethernet, unless told otherwise, and no address yet.
#[derive(Clone, Debug)]
#[must_use]
pub struct RouterPort {
    medium: Medium,
    addresses: Vec<Cidr>,
}

impl RouterPort {
    /// A port without an address.
    pub const fn new() -> Self {
        Self {
            medium: Medium::Ethernet,
            addresses: Vec::new(),
        }
    }

    /// Adds an address of the router's, whose prefix is on the link.
    pub fn address(mut self, address: Cidr) -> Self {
        self.addresses.push(address);
        self
    }

    /// What frames start with: an Ethernet header, or the IP header. Both ends of a link must agree.
    pub fn medium(self, medium: Medium) -> Self {
        Self { medium, ..self }
    }

    pub(super) const fn medium_setting(&self) -> Medium {
        self.medium
    }
}

impl Default for RouterPort {
    fn default() -> Self {
        Self::new()
    }
}

/// What a router did with packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterCounters {
    /// Sent on, or waiting for a neighbour.
    pub forwarded: u64,
    /// Dropped at their last hop: the sender is told.
    pub expired: u64,
    /// Dropped for want of a route: the sender is told.
    pub no_route: u64,
    /// Of these two, those whose sender was not told: there had been as many errors as are allowed
    /// ([`Network::set_router_errors`]).
    pub untold: u64,
    /// Dropped because too many waited for a neighbour that had not answered.
    pub unresolved: u64,
    /// Dropped because they were no whole IP packets.
    pub malformed: u64,
    /// Not forwarded: for the router itself, for a group, or from nobody.
    pub not_forwarded: u64,
}

/// A router.
#[derive(Debug)]
pub(super) struct Router {
    ports: Vec<Port>,
    routes: Vec<Route>,
    arrived: Vec<(usize, Bytes)>,
    sent: Vec<(usize, Bytes)>,
    counters: RouterCounters,
    /// ICMP errors a second, and as many at once.
    errors_per_second: u32,
    errors: Tokens,
    /// Frames of one step, reused.
    out: Vec<Bytes>,
}

#[derive(Debug)]
struct Port {
    addresses: Vec<Cidr>,
    /// `None` on a medium without link addresses.
    station: Option<Station>,
}

#[derive(Clone, Copy, Debug)]
struct Route {
    to: Cidr,
    port: usize,
    /// `None`: the destination is on the link.
    via: Option<IpAddr>,
}

/// Why a packet goes no further.
#[derive(Clone, Copy)]
enum Why {
    Expired,
    NoRoute,
}

impl Network {
    /// Adds a router without a port or a route; it knows what is on its links.
    pub fn add_router(&mut self, name: impl Into<String>) -> RouterId {
        RouterId(self.add_node(name.into(), Kind::Router(Router::default())))
    }

    /// Adds a static route to a router: packets to `to` go over its neighbour `via`, unless a longer
    /// prefix says otherwise.
    ///
    /// # Errors
    /// [`SimError::Via`] when `via` is on no link that the router has so far, or of the other family.
    pub fn add_route(&mut self, router: RouterId, to: Cidr, via: IpAddr) -> Result<(), SimError> {
        self.router_mut(router).add_route(to, via)
    }

    /// How many ICMP errors a router sends in a second, and at once, of both families together and whoever
    /// they are for (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)). Default 10; 0 sends none.
    pub fn set_router_errors(&mut self, router: RouterId, per_second: u32) {
        self.router_mut(router).errors_per_second = per_second;
    }

    /// What a router did so far.
    ///
    /// # Panics
    /// When the id is another network's.
    pub fn router_counters(&self, router: RouterId) -> RouterCounters {
        match &self.nodes[router.0].kind {
            Kind::Router(router) => router.counters(),
            _ => unreachable!("{FOREIGN}"),
        }
    }

    pub(super) fn add_router_port(&mut self, id: RouterId, config: RouterPort) -> usize {
        let node = id.0;
        let router = self.router_mut(id);
        // Locally administered, and no other router's (IEEE 802 §8.4).
        let [.., a, b, c] = node.to_be_bytes();
        let [.., port] = router.ports.len().to_be_bytes();
        router.add_port(config, MacAddr::new([2, b'R', a, b, c, port]))
    }

    fn router_mut(&mut self, id: RouterId) -> &mut Router {
        match &mut self.nodes[id.0].kind {
            Kind::Router(router) => router,
            _ => unreachable!("{FOREIGN}"),
        }
    }
}

impl Default for Router {
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            routes: Vec::new(),
            arrived: Vec::new(),
            sent: Vec::new(),
            counters: RouterCounters::default(),
            errors_per_second: ERRORS_PER_SECOND,
            errors: Tokens::default(),
            out: Vec::new(),
        }
    }
}

impl Router {
    /// Adds a port; returns its number. The prefixes of its addresses are on its link.
    pub(super) fn add_port(&mut self, config: RouterPort, mac: MacAddr) -> usize {
        let RouterPort { medium, addresses } = config;
        let port = self.ports.len();
        let on_link = |&to| Route {
            to,
            port,
            via: None,
        };
        self.routes.extend(addresses.iter().map(on_link));
        let own = addresses.iter().map(|cidr| cidr.address()).collect();
        let station = (medium == Medium::Ethernet).then(|| Station::new(mac, own));
        self.ports.push(Port { addresses, station });
        port
    }

    /// Adds a route over a neighbour.
    pub(super) fn add_route(&mut self, to: Cidr, via: IpAddr) -> Result<(), SimError> {
        let on_link = self.routes.iter().filter(|route| route.via.is_none());
        let next = on_link.filter(|route| route.to.contains(via));
        let next = next.max_by_key(|route| route.to.prefix());
        let same_family = to.address().is_ipv4() == via.is_ipv4();
        let port = match next {
            Some(route) if same_family => route.port,
            _ => return Err(SimError::Via { to, via }),
        };
        let via = Some(via);
        self.routes.push(Route { to, port, via });
        Ok(())
    }

    pub(super) fn counters(&self) -> RouterCounters {
        let stations = self.ports.iter().filter_map(|port| port.station.as_ref());
        RouterCounters {
            unresolved: stations.map(|station| station.unresolved).sum(),
            ..self.counters
        }
    }

    /// A frame has come to a port.
    pub(super) fn arrive(&mut self, port: usize, frame: Bytes) {
        self.arrived.push((port, frame));
    }

    /// Forwards what arrived.
    pub(super) fn turn(&mut self, now: Instant) {
        for (from, frame) in core::mem::take(&mut self.arrived) {
            let packet = match &mut self.ports[from].station {
                None => Some(frame),
                Some(station) => {
                    let packet = station.hear(&frame, &mut self.out);
                    self.sent
                        .extend(self.out.drain(..).map(|frame| (from, frame)));
                    packet
                }
            };
            if let Some(packet) = packet {
                self.forward(now, from, packet);
            }
        }
    }

    /// Gives away what the last turn sent.
    pub(super) fn drain_sent(&mut self, mut take: impl FnMut(usize, Bytes)) {
        for (port, frame) in self.sent.drain(..) {
            take(port, frame);
        }
    }

    fn forward(&mut self, now: Instant, from: usize, packet: Bytes) {
        let Some(facts) = Facts::of(&packet) else {
            self.counters.malformed += 1;
            return;
        };
        if !is_host(facts.src) || !is_host(facts.dst) || self.is_own(facts.dst) {
            self.counters.not_forwarded += 1;
            return;
        }
        let packet = packet.slice(..facts.len);
        if facts.hops <= 1 {
            self.counters.expired += 1;
            self.complain(now, from, (&packet, facts), Why::Expired);
        } else if self.send(now, facts.dst, || one_hop_less(&packet)) {
            self.counters.forwarded += 1;
        } else {
            self.counters.no_route += 1;
            self.complain(now, from, (&packet, facts), Why::NoRoute);
        }
    }

    /// Sends a packet towards `dst`; is there a route?
    fn send(&mut self, now: Instant, dst: IpAddr, packet: impl FnOnce() -> Bytes) -> bool {
        let routes = self.routes.iter().filter(|route| route.to.contains(dst));
        let Some(&route) = routes.max_by_key(|route| route.to.prefix()) else {
            return false;
        };
        let next_hop = route.via.unwrap_or(dst);
        let Port { addresses, station } = &mut self.ports[route.port];
        match station {
            None => self.sent.push((route.port, packet())),
            Some(station) => {
                let source = addresses.iter().find(|own| own.contains(next_hop));
                let source = source.map_or(next_hop, |own| own.address());
                station.send(now, (source, next_hop), packet(), &mut self.out);
                let out = self.out.drain(..);
                self.sent.extend(out.map(|frame| (route.port, frame)));
            }
        }
        true
    }

    fn is_own(&self, address: IpAddr) -> bool {
        let mut all = self.ports.iter().flat_map(|port| &port.addresses);
        all.any(|own| own.address() == address)
    }

    /// Tells the sender of a packet why it goes no further (RFC 1812 §4.3.2.4: by the address of the
    /// port that it came in by).
    fn complain(&mut self, now: Instant, from: usize, (packet, facts): (&Bytes, Facts), why: Why) {
        let own = self.ports[from].addresses.iter();
        let own = own.map(|own| own.address());
        let Some(own) = own.clone().find(|own| own.is_ipv4() == facts.src.is_ipv4()) else {
            return;
        };
        if !facts.may_be_told {
            return;
        }
        if !self.may_complain(now) {
            self.counters.untold += 1;
            return;
        }
        let error = match (own, facts.src) {
            (IpAddr::V4(own), IpAddr::V4(to)) => {
                let quoted = &packet[..packet.len().min(MAX_ERROR_V4 - 20 - 8)];
                let message = match why {
                    Why::Expired => ipv4::icmp::Message::TimeExceeded {
                        code: ipv4::icmp::TimeExceededCode::TRANSIT,
                        quoted,
                    },
                    Why::NoRoute => ipv4::icmp::Message::DestinationUnreachable {
                        code: ipv4::icmp::UnreachableCode::NET,
                        next_hop_mtu: 0,
                        quoted,
                    },
                };
                let mut error = vec![0; ipv4::MIN_HEADER_LEN + message.len()];
                let fields = ipv4::Fields::new(own, to, Protocol::ICMP);
                let at = fields.emit(message.len(), &mut error);
                message.emit(&mut error[at..]);
                error
            }
            (IpAddr::V6(own), IpAddr::V6(to)) => {
                let quoted = &packet[..packet.len().min(MAX_ERROR_V6 - 40 - 8)];
                let message = match why {
                    Why::Expired => ipv6::icmp::Message::TimeExceeded {
                        code: ipv6::icmp::TimeExceededCode::HOP_LIMIT,
                        quoted,
                    },
                    Why::NoRoute => ipv6::icmp::Message::DestinationUnreachable {
                        code: ipv6::icmp::UnreachableCode::NO_ROUTE,
                        quoted,
                    },
                };
                let mut error = vec![0; ipv6::HEADER_LEN + message.len()];
                let fields = ipv6::Fields::new(own, to, Protocol::ICMPV6);
                let at = fields.emit(message.len(), &mut error);
                message.emit(own, to, &mut error[at..]);
                error
            }
            _ => return,
        };
        self.send(now, facts.src, || error.into());
    }

    /// Takes a token for an ICMP error, if there is one.
    fn may_complain(&mut self, now: Instant) -> bool {
        let burst = u64::from(self.errors_per_second);
        let Some(cost) = SECOND_NANOS.checked_div(burst) else {
            return false;
        };
        let may = self.errors.has_token(now, cost, burst);
        if may {
            self.errors.charge(now, cost, 1);
        }
        may
    }
}

/// What forwarding asks of a packet.
#[derive(Clone, Copy)]
struct Facts {
    src: IpAddr,
    dst: IpAddr,
    hops: u8,
    len: usize,
    /// May its sender be told of an error (RFC 1812 §4.3.2.7, RFC 4443 §2.4 (e))?
    may_be_told: bool,
}

impl Facts {
    fn of(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => {
                let (header, payload) = ipv4::Header::parse(packet).ok()?;
                let error = header.protocol() == Protocol::ICMP
                    && payload
                        .first()
                        .is_none_or(|kind| matches!(kind, 3 | 4 | 5 | 11 | 12));
                Some(Self {
                    src: IpAddr::V4(header.src()),
                    dst: IpAddr::V4(header.dst()),
                    hops: header.ttl(),
                    len: header.total_len(),
                    may_be_told: !error && header.fragment_offset() == 0,
                })
            }
            6 => {
                let (header, payload) = ipv6::Header::parse(packet).ok()?;
                let error = header.next_header() == Protocol::ICMPV6
                    && payload.first().is_none_or(|&kind| kind < 128);
                Some(Self {
                    src: IpAddr::V6(header.src()),
                    dst: IpAddr::V6(header.dst()),
                    hops: header.hop_limit(),
                    len: header.total_len(),
                    may_be_told: !error,
                })
            }
            _ => None,
        }
    }
}

/// Can it be one host's address beyond this link?
fn is_host(address: IpAddr) -> bool {
    let link = match address {
        IpAddr::V4(a) => a.is_broadcast() || a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    };
    !(link || address.is_multicast() || address.is_unspecified() || address.is_loopback())
}

/// The packet with its TTL or Hop Limit one less.
fn one_hop_less(packet: &[u8]) -> Bytes {
    let mut packet = BytesMut::from(packet);
    if packet[0] >> 4 == 4 {
        let word = |packet: &[u8], at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        let before = word(&packet, 8);
        packet[8] -= 1;
        let sum = update(word(&packet, 10), before, word(&packet, 8));
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        packet[7] -= 1;
    }
    packet.freeze()
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
