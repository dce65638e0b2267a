//! The sans-I/O core: frames and time go in; frames, deadlines and events come out.
//!
//! *Owns* interfaces, routes, neighbours, sockets, timers and counters.
//! *Does not* read a clock, a descriptor or an entropy source.
//!
//! The four kinds of method: `handle_*` is the world speaking, commands are the user speaking,
//! `poll_*` is drained, the rest are getters. `handle_*` and commands never emit: they make sockets
//! ready, and [`Stack::poll_transmit`] sends.
//!
//! Invariants: time never runs back; every limit is a setting of [`Config`], or a number that docs/limits.md calls fixed; no result depends on the
//! order of a hash map; the same inputs and seed give the same bytes.

mod address;
mod call;
mod call_words;
mod claims;
mod config;
mod counters;
mod demux;
mod dhcp;
mod endpoint;
mod ephemeral;
mod event;
mod footprint;
mod groups;
mod icmp;
mod ids;
mod interface;
mod ip;
mod journal;
mod link_local_v4;
mod memory;
mod neighbour;
mod net;
mod packet;
mod packet_socket;
mod path;
mod payload;
mod ping;
mod poll_ready;
mod port;
mod prefix_tree;
mod raw;
mod reconfigure;
mod router;
mod screen;
mod slices;
mod taken;
mod tcp;
mod tcp_flows;
#[cfg(test)]
mod tests;
mod transmit;
mod tuple;
mod twin;
mod udp;
mod wheel;
mod within;

pub use address::{AddressError, AddressInfo, AddressState, Origin};
pub use call::Call;
pub(crate) use call::MOST_AT_ONCE;
pub use config::{Config, TimeWaitReuse};
pub use counters::Counters;
pub use dhcp::{DhcpError, DhcpOptions};
pub use event::{Event, Readiness, SocketId};
pub(crate) use footprint::ROUTE;
pub use groups::FilterMode;
pub use ids::{
    InterfaceId, ListenerId, PacketSocketId, PingId, RawSocketId, RequestId, StaleId, TcpId, UdpId,
};
pub use interface::{ConfigError, InterfaceConfig};
pub use ip::{ForwardOptions, NatFilter, NatOptions, ReversePath};
pub(crate) use ip::{NatLives, StaticForward};
pub use journal::{Answer, Entry, Input, Journal, Offered, Outcome};
pub use memory::MemoryInfo;
pub use neighbour::{NeighbourInfo, NeighbourState};
pub use packet_socket::{LinkPacket, PacketError, PacketOptions};
pub use path::{Preference, RouteChangeError, RouteError, RouteInfo};
pub use payload::Payload;
pub use ping::{PingError, PingOptions, PingOutcome, PingReply};
pub use port::{Next, Port, PortError, PortRx, PortTx, User, turn_all};
pub use raw::{IcmpFilter, RawError, RawOptions, RawPacket};
pub use reconfigure::{AddressOptions, Change, LinkError};
pub use router::RouterInfo;
pub use slices::Slices;
pub use tcp::{
    AcceptError, AdmitError, ConnectError, ConnectRequest, ListenError, ListenOptions, Refusal,
    RequestCall,
};
pub use transmit::{More, Progress};
pub use twin::{Difference, Mismatch, Twin};
#[cfg(all(target_os = "linux", feature = "host"))] // the host's
pub(crate) use udp::charge_received;
pub use udp::{
    BindError, ConnectUdpError, Datagram, DontFragment, GroupError, MulticastOptions, RecvError,
    SendError, SendInfo, UdpOptions,
};

use core::net::IpAddr;

use crate::base::{Cidr, Instant};
use crate::link::RxFrame;
use demux::Demux;
use ephemeral::EphemeralPorts;
use event::Events;
use journal::{Scribe, Tell};
use memory::Memory;
use net::Net;
use packet::{Notice, Owner, Waiter};
use packet_socket::PacketSockets;
use ping::Pings;
use raw::Raws;
use reconfigure::Changes;
use udp::UdpSockets;
use wheel::TimerKey;

/// A TCP/IP host as a value.
#[derive(Debug)]
pub struct Stack {
    pub(crate) net: Net,
    pub(crate) demux: Demux,
    pub(crate) events: Events,
    pub(crate) ephemeral: EphemeralPorts,
    pub(crate) tcp: tcp::Tcp,
    udp: UdpSockets,
    pub(crate) memory: Memory,
    ping: Pings,
    raw: Raws,
    packets: PacketSockets,
    changes: Changes,
    /// What it is telling itself; reused.
    within: Vec<RxFrame>,
    pub(crate) config: Config,
    scribe: Scribe,
}

impl Stack {
    /// A stack without interfaces.
    pub fn new(config: Config) -> Self {
        Self {
            net: Net::new(&config),
            demux: Demux::new(&config.seed),
            events: Events::default(),
            ephemeral: EphemeralPorts::new(&config.seed, config.ephemeral_ports.clone()),
            tcp: tcp::Tcp::new(&config.seed, config.time_wait_reuse),
            udp: UdpSockets::default(),
            memory: Memory::new(config.socket_memory),
            ping: Pings::new(&config.seed),
            raw: Raws::new(),
            packets: PacketSockets::new(),
            changes: Changes::default(),
            within: Vec::new(),
            config,
            scribe: Scribe::default(),
        }
    }

    /// Adds an interface; its addresses begin to be announced or probed for.
    ///
    /// # Errors
    /// [`ConfigError`] when an address, route, gateway, MAC address, VLAN or the MTU cannot work.
    #[expect(clippy::needless_pass_by_value, reason = "a configuration is used up")]
    pub fn add_interface(
        &mut self,
        now: Instant,
        config: InterfaceConfig,
    ) -> Result<InterfaceId, ConfigError> {
        self.note(|| Input::Interface(now, Box::new(config.clone())));
        let now = self.net.clamp(now);
        let added = self.check_forwards(&config);
        let added = added.and_then(|()| self.net.add_interface(now, &config));
        if let (Ok(on), Some(options)) = (added, &config.dhcp) {
            self.net.begin_dhcp(now, on, options, &self.config.seed);
        }
        if config.over.is_some() {
            // That its device is down comes before what is told of it next.
            self.tell_notices(now);
        }
        self.note_outcome(added)
    }

    /// Does what is due at `now`, a bounded number of timers ([`Config::timer_budget`]): while more is
    /// due, [`poll_timeout`](Self::poll_timeout) is not later than `now`, and the caller comes again
    /// when it has received and sent. A call that is not due does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.note(|| Input::Timeout(now));
        let now = self.net.clamp(now);
        let mut steps = self.config.timer_budget;
        while let Some(key) = self.net.timers.next_expired(now, &mut steps) {
            match key {
                TimerKey::Tcp(index) => self.tcp_timeout(now, index),
                TimerKey::HalfOpen(index) => self.tcp_half_open_timeout(now, index),
                TimerKey::TimeWait => self.tcp_time_wait_timeout(now, &mut steps),
                TimerKey::FinWait(index) => self.tcp_fin_wait_timeout(index),
                TimerKey::Farewells => self.farewells_timeout(now, &mut steps),
                TimerKey::Cookies => self.tcp_cookies_timeout(now),
                TimerKey::Reassembly => self.reassembly_timeout(now, &mut steps),
                TimerKey::Paths => self.net.on_paths_timeout(now, &mut steps),
                TimerKey::Dhcp(index) => {
                    let on = InterfaceId::from_index(index as usize);
                    self.net.on_dhcp_timeout(now, on);
                }
                TimerKey::Nat => self.net.on_nat_timeout(now, &mut steps),
                TimerKey::Neighbour(index) => self.net.on_neighbour_timeout(now, index),
                TimerKey::Interface(index) => {
                    let on = InterfaceId::from_index(index as usize);
                    // Its own timer has paid for one.
                    steps += 1;
                    self.net.on_interface_timeout(now, on, &mut steps);
                }
                TimerKey::Sweep => self.sweep_timeout(now, &mut steps),
                TimerKey::Router(index) => {
                    let on = InterfaceId::from_index(index as usize);
                    self.net.on_router_timeout(now, on);
                }
                TimerKey::Groups(index) => {
                    let on = InterfaceId::from_index(index as usize);
                    self.net.on_groups_timeout(now, on);
                }
            }
        }
        self.deliver_within(now);
        self.tell_notices(now);
    }

    /// The oldest event that was not told yet.
    pub fn poll_event(&mut self) -> Option<Event> {
        let (mut woken, waiting) = (false, self.events.waiting());
        let event = loop {
            let event = self.events.poll();
            // Each writer that memory was refused is told once, and pays for that with its refusal.
            if event.is_some() || !self.wake_a_writer() {
                break event;
            }
            woken = true;
        };
        // A place that was left by who is gone, and is given up now, is nobody's after this.
        if event.is_some() || woken || self.events.waiting() < waiting {
            self.note(|| Input::Event(event));
        }
        event
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; maybe earlier than there
    /// is anything to do, never later. What waits to be sent is told by
    /// [`wants_transmit`](Self::wants_transmit), not here.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.speaks_to_itself() {
            return Some(self.net.now);
        }
        self.net.timers.next_deadline()
    }

    /// Has [`poll_transmit`](Self::poll_transmit) anything to do on this interface?
    pub fn wants_transmit(&self, on: InterfaceId) -> bool {
        self.speaks_to_itself() || self.has_for(on)
    }

    /// Does anything wait to leave by this interface, or by one that shares its device?
    fn has_for(&self, on: InterfaceId) -> bool {
        self.net.interfaces.want_transmit(on)
    }

    /// What was counted so far.
    pub const fn counters(&self) -> &Counters {
        &self.net.counters
    }

    /// The interfaces, in the order in which they were added.
    pub fn interfaces(&self) -> impl Iterator<Item = InterfaceId> + '_ {
        self.net.interfaces.iter().map(|interface| interface.id)
    }

    /// The addresses of an interface and how far each has come.
    pub fn addresses(&self, on: InterfaceId) -> impl Iterator<Item = (Cidr, AddressState)> + '_ {
        let interface = self.net.interfaces.get(on.index()).into_iter();
        interface.flat_map(|i| i.addresses.iter().map(|a| (a.cidr, a.state)))
    }

    /// Those of them that its configuration gave: all but the link-local one that was formed.
    pub fn given_addresses(
        &self,
        on: InterfaceId,
    ) -> impl Iterator<Item = (Cidr, AddressState)> + '_ {
        let interface = self.net.interfaces.get(on.index()).into_iter();
        let all = interface.flat_map(|i| i.addresses.iter());
        let given = all.filter(|a| a.origin == Origin::Given);
        given.map(|a| (a.cidr, a.state))
    }

    /// The addresses of an interface that another station was seen to claim, and the MAC address of
    /// the first that did; each address once, in the order in which it happened.
    ///
    /// An IPv6 address that was claimed while it was tentative is not used. One that is in use stays so:
    /// an IPv4 one is announced again, every 10 s at most (RFC 5227 §2.4 (c)), for a host whose
    /// address others were told of has no better one.
    pub fn conflicts(
        &self,
        on: InterfaceId,
    ) -> impl Iterator<Item = (IpAddr, Option<crate::base::MacAddr>)> + '_ {
        let interface = self.net.interfaces.get(on.index()).into_iter();
        interface.flat_map(|i| i.addresses.disputes())
    }

    /// How many [`conflicts`](Self::conflicts) there are, without a walk.
    pub fn conflict_count(&self, on: InterfaceId) -> usize {
        let interface = self.net.interfaces.get(on.index());
        interface.map_or(0, |i| i.addresses.disputes().len())
    }

    /// The MAC address of an interface; `None` on an IP medium.
    pub fn mac(&self, on: InterfaceId) -> Option<crate::base::MacAddr> {
        let interface = self.net.interfaces.get(on.index())?;
        interface.is_ethernet().then_some(interface.mac)
    }

    /// Is duplicate detection over for all addresses of this interface, that of its DHCP lease included, and is there one
    /// where a DHCP server is to give it, or where routers are [to tell of it](Self::awaits_router)? Where both are, one of
    /// them is enough: there may be no more than one, and nobody knows how long to wait for the other.
    pub fn is_ready(&self, on: InterfaceId) -> bool {
        let interface = self.net.interfaces.get(on.index());
        !self.awaits_address(on) && interface.is_none_or(|i| i.addresses.are_settled())
    }

    /// The interface and the source address that packets to `to` would take.
    pub fn resolve_route(&self, to: IpAddr) -> Option<(InterfaceId, IpAddr)> {
        let route = self.net.route(to, None).ok()?;
        Some((route.on, route.source))
    }

    /// Tells the sockets what the layers below found out.
    #[inline]
    pub(crate) fn tell_notices(&mut self, now: Instant) {
        if !self.net.notices.is_empty() {
            self.tell_all_notices(now);
        }
    }

    #[cold]
    fn tell_all_notices(&mut self, now: Instant) {
        while let Some(notice) = self.net.notices.pop_front() {
            match notice {
                Notice::Failed(Waiter::Tcp(id)) => self.tcp_neighbour_failed(now, id),
                Notice::Failed(Waiter::Udp(id)) => self.udp_waiting_failed(id),
                Notice::Failed(Waiter::Farewell(id)) => self.farewell_failed(id),
                Notice::Unreachable(Owner::Udp(id), _) => {
                    self.udp_fail(id, RecvError::HostUnreachable);
                }
                Notice::Unreachable(Owner::Ping(id, seq), to) => {
                    self.ping_unreachable(now, id, seq, to);
                }
                Notice::Unreachable(Owner::Raw(id) | Owner::Whole(id), to) => {
                    self.raw_unreachable(id, to);
                }
                Notice::Unreachable(Owner::Stack | Owner::Parting | Owner::Transit(_), _) => {}
                Notice::Address(news) => self.on_address_news(now, news),
                Notice::Change(on, change) => self.changes.tell(on, change),
                Notice::Looped => self.deliver_looped(),
            }
        }
    }
}
