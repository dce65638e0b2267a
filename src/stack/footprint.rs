//! How much memory a stack takes, about: what a replay of a file of nobody knows whom bounds.
//!
//! *Owns* the estimate, which is rather too much than too little. *Does not* bound anything: each queue has
//! a limit of its own, but the settings that these come from may be whatever a file says.

use super::Stack;
use super::interface::{Frame, InterfaceConfig, Outgoing};

/// What a connection without text, and an interface, take.
const LARGE: usize = 4 << 10;

/// What routers said of one link, at the most: 88 records and the names of 8 domains; and what a server of DHCPv6 did: 8 servers and
/// as many domains (docs/limits.md).
const DISCOVERY: usize = 16 << 10;

/// What any other record and a packet that waits take, beside the payload.
const SMALL: usize = 512;

/// What a route takes: in each of two trees a node of its own, one where it parts from its neighbour, and a table
/// with room for more of its prefix (`cargo test --test memory`).
pub(crate) const ROUTE: usize = 1408;

/// What an address takes beside the route to its network: the list, what finds it there, and a tree of sources before
/// and after its duplicate detection (`cargo test --test memory`).
const ADDRESS: usize = 1408;

/// What a DHCP client takes with a lease of one message (docs/limits.md), as the server said it and as it is used.
const CLIENT: usize = 24 << 10;

impl InterfaceConfig {
    /// About how many bytes an interface made of this takes, before anything is queued there.
    pub(crate) fn footprint(&self) -> usize {
        let routes = self.routes.len() + self.gateways.len();
        let told = if self.router_discovery { DISCOVERY } else { 0 };
        let client = self.dhcp.as_ref().map_or(0, |_| CLIENT);
        LARGE
            + told
            + client
            + addresses(self.addresses.len())
            + self::routes(routes + self.addresses.len())
    }
}

const fn routes(count: usize) -> usize {
    count.saturating_mul(ROUTE)
}

const fn addresses(count: usize) -> usize {
    count.saturating_mul(ADDRESS)
}

impl Stack {
    /// About how many bytes are held: what sockets are charged, what waits for neighbours, devices and
    /// users, and what there are records of. Walks what waits in outboxes and for pings.
    pub(crate) fn footprint(&self) -> usize {
        let neighbours = &self.net.neighbours;
        let addresses_of = self.net.interfaces.iter().map(|i| i.addresses.iter().len());
        let outboxes = self
            .net
            .interfaces
            .all()
            .flat_map(|i| i.line.outbox.waiting());
        let transit = self.net.interfaces.iter().map(|i| i.line.transit.held());
        let interfaces = self.net.interfaces.all();
        let leaving = interfaces.flat_map(|i| i.line.leaving.as_deref());
        let clients = self.net.interfaces.iter().filter(|i| i.dhcp.is_some());
        let (connections, records) = self.tcp.census();
        let large = connections.saturating_add(self.net.interfaces.len());
        let small = records
            .saturating_add(self.udp.len())
            .saturating_add(neighbours.len())
            .saturating_add(self.net.paths.narrow())
            .saturating_add(self.net.paths.redirected());
        [
            // What a user says that he holds elsewhere is not here.
            self.memory().used.saturating_sub(self.memory.outside()),
            large.saturating_mul(LARGE),
            small.saturating_mul(SMALL),
            clients.count().saturating_mul(CLIENT),
            routes(self.net.paths.routes.len()),
            addresses(addresses_of.sum()),
            neighbours.queued(),
            outboxes.map(packet).sum(),
            transit
                .map(|(packets, bytes)| packets * SMALL + bytes)
                .sum(),
            self.net.reassembly.held(),
            leaving.map(|leaving| SMALL + leaving.held()).sum(),
            self.ping_payloads().map(|len| len + SMALL).sum(),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }
}

fn packet(outgoing: &Outgoing) -> usize {
    match &outgoing.frame {
        Frame::Packet(packet) => SMALL + packet.payload.len(),
        Frame::Arp(..) => SMALL,
        Frame::Link { payload, .. } => SMALL + payload.len(),
    }
}
