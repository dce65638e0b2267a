//! What a stack is told about one interface.
//!
//! *Owns* the settings, and that only what can work passes. Defaults that are choices name their source.
//! *Does not* hold what becomes of them: `interface` does; nor the words for what cannot: `error` does.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use super::error::ConfigError;
use crate::base::{Cidr, Key, MacAddr};
use crate::device::{Capabilities, Medium};
use crate::link::MAX_IP_LEN;
use crate::stack::address::{PROBE_NUM, PROBE_UNIT, can_be_ours};
use crate::stack::dhcp::DhcpOptions;
use crate::stack::ids::InterfaceId;
use crate::stack::ip::{ForwardOptions, NatOptions};

/// What the stack is told about one interface.
#[derive(Clone, Debug)]
pub struct InterfaceConfig {
    pub(crate) capabilities: Capabilities,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) vlan: Option<u16>,
    pub(crate) addresses: Vec<Cidr>,
    pub(crate) routes: Vec<(Cidr, Option<IpAddr>)>,
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) dad_transmits: u8,
    pub(crate) dad_delay: Duration,
    pub(crate) probe_v4: bool,
    pub(crate) acd_probes: u8,
    pub(crate) acd_unit: Duration,
    pub(crate) link_local: bool,
    pub(crate) link_local_v4: bool,
    pub(crate) stable_link_local: bool,
    pub(crate) stable_secret: Option<Key>,
    pub(crate) router_discovery: bool,
    pub(crate) autonomous_addresses: bool,
    pub(crate) temporary_addresses: bool,
    pub(crate) accept_redirects: bool,
    pub(crate) accept_foreign: bool,
    pub(crate) unreachables: bool,
    pub(crate) windows_together: Option<usize>,
    pub(crate) report_own_groups: bool,
    pub(crate) dhcp: Option<DhcpOptions>,
    pub(crate) forwarding: Option<ForwardOptions>,
    pub(crate) nat: Option<NatOptions>,
    pub(crate) over: Option<InterfaceId>,
    pub(crate) vlan_priority: u8,
    pub(crate) optimistic_dad: bool,
    pub(crate) tell_routers: bool,
    pub(crate) vlan_priorities: Option<[u8; 64]>,
}

impl InterfaceConfig {
    /// An interface over a device with these capabilities, without an address. Of a larger MTU, no
    /// more than 65,535 bytes are used: the most that a length in an IPv4 header tells (RFC 791 §3.1).
    pub fn new(capabilities: &Capabilities) -> Self {
        Self {
            capabilities: tellable(capabilities),
            mac: None,
            vlan: None,
            addresses: Vec::new(),
            routes: Vec::new(),
            gateways: Vec::new(),
            dad_transmits: 1,
            dad_delay: Duration::ZERO,
            probe_v4: false,
            acd_probes: PROBE_NUM,
            acd_unit: PROBE_UNIT,
            link_local: true,
            link_local_v4: false,
            stable_link_local: false,
            stable_secret: None,
            router_discovery: false,
            autonomous_addresses: true,
            temporary_addresses: false,
            accept_redirects: true,
            accept_foreign: false,
            unreachables: true,
            windows_together: None,
            report_own_groups: true,
            dhcp: None,
            forwarding: None,
            nat: None,
            over: None,
            vlan_priority: 0,
            optimistic_dad: false,
            tell_routers: false,
            vlan_priorities: None,
        }
    }

    /// The same over a device that has these capabilities instead.
    #[must_use]
    pub fn capabilities(self, capabilities: &Capabilities) -> Self {
        Self {
            capabilities: tellable(capabilities),
            ..self
        }
    }

    /// Its MAC address (default: locally administered, from the seed).
    #[must_use]
    pub fn mac(self, mac: MacAddr) -> Self {
        Self {
            mac: Some(mac),
            ..self
        }
    }

    /// One more address, with the prefix that is on the link.
    #[must_use]
    pub fn address(mut self, address: Cidr) -> Self {
        self.addresses.push(address);
        self
    }

    /// One more default gateway; the first that is not known to be dead is used (RFC 1122 §3.3.1.2).
    #[must_use]
    pub fn gateway(mut self, gateway: IpAddr) -> Self {
        self.gateways.push(gateway);
        self
    }

    /// One more route, over a gateway or on the link.
    #[must_use]
    pub fn route(mut self, to: Cidr, via: Option<IpAddr>) -> Self {
        self.routes.push((to, via));
        self
    }

    /// DupAddrDetectTransmits (RFC 4862 §5.1, default 1): probes for each IPv6 address; 0 turns
    /// duplicate detection off.
    #[must_use]
    pub fn dad_transmits(self, probes: u8) -> Self {
        Self {
            dad_transmits: probes,
            ..self
        }
    }

    /// The upper end of the random delay before the first probe (RFC 4862 §5.4.2 asks for 1 s where
    /// many hosts start at once; default 0, because a virtual link's hosts do not).
    #[must_use]
    pub fn dad_delay(self, at_most: Duration) -> Self {
        Self {
            dad_delay: at_most,
            ..self
        }
    }

    /// Are addresses that are made of what routers say used while they are probed for (RFC 4429; default no, as Linux's
    /// `optimistic_dad`)? Before a router's link address is known none is, nor is one that is given. From such an address nobody is
    /// asked for: what it sends to who is not known goes by a router, or waits.
    #[must_use]
    pub fn optimistic_dad(self, used: bool) -> Self {
        Self {
            optimistic_dad: used,
            ..self
        }
    }

    /// Are the routers of the link told of an IPv6 address as soon as it is in use (RFC 9131 §3; default no, as Linux's `ndisc_notify`)?
    /// Three times, a second apart. Then the first packet that comes back does not wait for them to ask.
    #[must_use]
    pub fn tell_routers(self, told: bool) -> Self {
        Self {
            tell_routers: told,
            ..self
        }
    }

    /// Are IPv4 addresses that are given probed for before they are used (RFC 5227 §2.1; default no: they are
    /// announced, for a virtual link has few stations, and probing takes four to seven seconds)? What a DHCP server leases always is.
    #[must_use]
    pub fn probe_v4(self, probed: bool) -> Self {
        Self {
            probe_v4: probed,
            ..self
        }
    }

    /// PROBE_NUM (RFC 5227 §1.1, default 3): probes for each IPv4 address that is probed for; 0: none is.
    #[must_use]
    pub fn acd_probes(self, probes: u8) -> Self {
        Self {
            acd_probes: probes,
            ..self
        }
    }

    /// What the times of such probes are reckoned in (default 1 s): PROBE_WAIT and PROBE_MIN are as long,
    /// PROBE_MAX and ANNOUNCE_WAIT twice as long (RFC 5227 §1.1). A virtual link, whose stations answer at once,
    /// may do with a part of it.
    #[must_use]
    pub fn acd_unit(self, unit: Duration) -> Self {
        Self {
            acd_unit: unit,
            ..self
        }
    }

    /// Is a link-local IPv6 address formed (RFC 4862 §5.3; default yes on Ethernet, never on an IP
    /// medium or below IPv6's minimum MTU)?
    #[must_use]
    pub fn link_local(self, formed: bool) -> Self {
        Self {
            link_local: formed,
            ..self
        }
    }

    /// Does the interface choose itself an IPv4 address of 169.254.0.0/16 where it has no other (RFC 3927; default no; never on an IP
    /// medium)? It is probed for with [`acd_probes`](Self::acd_probes), and given up to a station that insists on it; another one is
    /// chosen then. With [`dhcp`](Self::dhcp) it is chosen when no server answers. When another address comes it is deprecated, and gone
    /// ten minutes later.
    #[must_use]
    pub fn link_local_v4(self, chosen: bool) -> Self {
        Self {
            link_local_v4: chosen,
            ..self
        }
    }

    /// Is that link-local IPv6 address made of a stable opaque identifier (RFC 7217), another one after a duplicate, instead of the MAC
    /// address (default no)? Where none is formed this says nothing.
    #[must_use]
    pub fn stable_link_local(self, opaque: bool) -> Self {
        Self {
            stable_link_local: opaque,
            ..self
        }
    }

    /// The secret of stable identifiers (RFC 7217 §5; default: from the seed). With the same one, and as an
    /// interface of the same number, a host has the same addresses on a network each time it is started, and others on each
    /// other network. Who knows it can tell them: keep it.
    #[must_use]
    pub fn stable_secret(self, secret: [u8; 16]) -> Self {
        Self {
            stable_secret: Some(Key::new(secret)),
            ..self
        }
    }

    /// Are routers asked for, and is what they say heeded (RFC 4861 §6.3; default no): default routers and other routes (RFC
    /// 4191), prefixes on the link, addresses (RFC 4862 §5.5), MTU, hop limit and times, servers of DNS (RFC 8106)? It takes an
    /// Ethernet medium, and an MTU that carries IPv6.
    #[must_use]
    pub fn router_discovery(self, heeded: bool) -> Self {
        Self {
            router_discovery: heeded,
            ..self
        }
    }

    /// Are addresses made of the prefixes that routers tell of (RFC 4862 §5.5; default yes, where there is
    /// [`router_discovery`](Self::router_discovery))? Their identifiers are stable and opaque (RFC 7217, RFC 8064 §3).
    #[must_use]
    pub fn autonomous_addresses(self, made: bool) -> Self {
        Self {
            autonomous_addresses: made,
            ..self
        }
    }

    /// Are there temporary ones beside them, which are preferred as sources (RFC 8981 §3.7; default no): another one each day, gone
    /// after two?
    #[must_use]
    pub fn temporary_addresses(self, made: bool) -> Self {
        Self {
            temporary_addresses: made,
            ..self
        }
    }

    /// Are redirects heeded (RFC 1122 §3.2.2.2, RFC 4861 §8.3; default yes): of the router in use, to a neighbour, for 10
    /// minutes?
    #[must_use]
    pub fn accept_redirects(self, heeded: bool) -> Self {
        Self {
            accept_redirects: heeded,
            ..self
        }
    }

    /// Are packets to other hosts' unicast addresses taken as ours (default no)? They are then not passed on, whatever
    /// [`forwarding`](Self::forwarding) says, and sockets may be bound to any address.
    #[must_use]
    pub fn accept_foreign(self, accepted: bool) -> Self {
        Self {
            accept_foreign: accepted,
            ..self
        }
    }

    /// Does Destination Unreachable leave by this interface, for a port or protocol that nobody takes (default yes;
    /// RFC 4443 §3.1 asks that it can be off for each interface, and it is so for IPv4 too)? Parameter
    /// Problems and other errors leave all the same; [`Config::icmp_errors_per_second`](crate::stack::Config::icmp_errors_per_second)
    /// of 0 sends none of any kind.
    #[must_use]
    pub fn unreachables(self, sent: bool) -> Self {
        Self {
            unreachables: sent,
            ..self
        }
    }

    /// The most full segments that the receive windows of all active connections promise together,
    /// as long as there are 8 for each of them (default: half of
    /// [`queue_frames`](Capabilities::queue_frames) where the device gives no super-segments, else
    /// no bound; docs/choices.md). `usize::MAX` is no bound. For a VLAN [over](Self::over) another interface that one's holds, for
    /// they have one queue.
    #[must_use]
    pub fn windows_together(self, segments: usize) -> Self {
        Self {
            windows_together: Some(segments),
            ..self
        }
    }

    /// Are routers and switches told of the groups of our own IPv6 addresses, by which neighbours ask for these (RFC 3810 §6;
    /// default yes; of 1024 at most)? A bridge that snoops on such reports passes no questions on without. Those of sockets are told
    /// in any case.
    #[must_use]
    pub fn report_own_groups(self, told: bool) -> Self {
        Self {
            report_own_groups: told,
            ..self
        }
    }

    /// Its IPv4 address, routes and MTU come from a DHCP server (RFC 2131; default no), beside what is given here. An
    /// address that is granted is probed for before it is used (RFC 5227 §2.1). On an interface with a client no socket
    /// hears what comes from port 67 to port 68.
    #[must_use]
    pub fn dhcp(self, options: DhcpOptions) -> Self {
        Self {
            dhcp: Some(options),
            ..self
        }
    }

    /// Are packets that come in here and are for other hosts passed on, by whatever interface their route says (RFC 1812, RFC 8200
    /// §3; default no: RFC 1122 §3.3.1)? What comes in for an address of another interface is then ours as well. Nobody else is
    /// told that there is a router: it sends no router advertisements.
    #[must_use]
    pub fn forwarding(self, options: ForwardOptions) -> Self {
        Self {
            forwarding: Some(options),
            ..self
        }
    }

    /// What leaves here of other hosts over IPv4, and came in by another interface, gets the address of this one and a port of it, and what comes
    /// for that port goes back (RFC 4787, RFC 5382, RFC 5508; default no). [`forwarding`](Self::forwarding) is a matter of the interfaces
    /// that the others come in by: with it here too, hosts outside may speak to those inside by their own addresses. Ports are from
    /// 1024 on, but for those that our own sockets are given ([`Config::ephemeral_ports`](crate::stack::Config::ephemeral_ports)).
    #[must_use]
    pub fn nat(self, options: NatOptions) -> Self {
        Self {
            nat: Some(options),
            ..self
        }
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let mtu = self.capabilities.mtu;
        if mtu < MIN_MTU {
            return Err(ConfigError::Mtu { mtu });
        }
        if let Some(mac) = self.mac
            && !mac.is_unicast()
        {
            return Err(ConfigError::Mac(mac));
        }
        if let Some(vlan) = self.vlan
            && (!(1..=4094).contains(&vlan) || self.capabilities.medium != Medium::Ethernet)
        {
            return Err(ConfigError::Vlan(vlan));
        }
        self.check_priorities()?;
        if self.router_discovery && !self.speaks_of_routers() {
            return Err(ConfigError::RouterDiscovery { mtu });
        }
        if let Some(dhcp) = &self.dhcp {
            if self.capabilities.medium != Medium::Ethernet {
                return Err(ConfigError::DhcpMedium);
            }
            dhcp.check(mtu).map_err(ConfigError::Dhcp)?;
        }
        if let Some(nat) = &self.nat {
            nat.check()?;
        }
        let mut seen = BTreeSet::new();
        for &cidr in &self.addresses {
            let ip = cidr.address();
            if !can_be_ours(cidr) {
                return Err(ConfigError::Address(cidr));
            }
            if ip.is_ipv6() && mtu < MIN_MTU_V6 {
                return Err(ConfigError::AddressMtu { address: cidr, mtu });
            }
            if !seen.insert(ip) {
                return Err(ConfigError::AddressTwice(cidr));
            }
        }
        // RFC 1122 §3.3.1: a router is another host.
        let mut taken = seen;
        let broadcasts = self.addresses.iter().filter_map(|cidr| cidr.broadcasts());
        taken.extend(broadcasts.flatten().map(IpAddr::V4));
        let vias = self.routes.iter().filter_map(|&(_, via)| via);
        for via in self.gateways.iter().copied().chain(vias) {
            if via.is_unspecified() || is_group(via) || taken.contains(&via) {
                return Err(ConfigError::Gateway(via));
            }
        }
        let mixed = |&&(to, via): &&(Cidr, Option<IpAddr>)| {
            via.is_some_and(|via| via.is_ipv4() != to.address().is_ipv4())
        };
        match self.routes.iter().find(mixed) {
            Some(&(to, _)) => Err(ConfigError::Family(to)),
            None => Ok(()),
        }
    }
}

/// The least MTU of an IPv4 link (RFC 791 §3.2).
pub(crate) const MIN_MTU: usize = 68;
/// The least MTU of an IPv6 link (RFC 8200 §5).
pub(crate) const MIN_MTU_V6: usize = 1280;

/// Is it a multicast address, or IPv4's limited broadcast?
pub(crate) fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_multicast() || a.is_broadcast(),
        IpAddr::V6(a) => a.is_multicast(),
    }
}

/// The same, with an MTU whose packets' lengths a header can tell.
fn tellable(capabilities: &Capabilities) -> Capabilities {
    Capabilities {
        mtu: capabilities.mtu.min(MAX_IP_LEN),
        ..*capabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(medium: Medium, mtu: usize) -> InterfaceConfig {
        InterfaceConfig::new(&Capabilities::plain(medium, mtu))
    }

    /// Covers: IP6-28 (no IPv6 over a smaller MTU).
    #[test]
    fn what_cannot_work_is_refused() {
        let base = || with(Medium::Ethernet, 1500);
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let good = base()
            .address(cidr("10.0.0.1/24"))
            .address(cidr("fd00::1/64"))
            .gateway(ip("10.0.0.254"))
            .vlan(4094);
        assert_eq!(good.check(), Ok(()));
        assert_eq!(
            with(Medium::Ip, 67).check(),
            Err(ConfigError::Mtu { mtu: 67 })
        );
        let group = MacAddr::BROADCAST;
        assert_eq!(base().mac(group).check(), Err(ConfigError::Mac(group)));
        for vlan in [0, 4095] {
            assert_eq!(base().vlan(vlan).check(), Err(ConfigError::Vlan(vlan)));
        }
        for no_routers in [with(Medium::Ip, 1500), with(Medium::Ethernet, 1279)] {
            let mtu = no_routers.capabilities.mtu;
            let refused = no_routers.router_discovery(true).check();
            assert_eq!(refused, Err(ConfigError::RouterDiscovery { mtu }));
        }
        let on_ip = with(Medium::Ip, 1500).vlan(1);
        assert_eq!(on_ip.check(), Err(ConfigError::Vlan(1)));
        for text in [
            "127.0.0.1/8",
            "0.0.0.0/0",
            "224.0.0.1/4",
            "255.255.255.255/32",
            "10.0.0.255/24",
            "::/0",
            "::1/128",
            "ff02::1/16",
        ] {
            let refused = base().address(cidr(text)).check();
            assert_eq!(refused, Err(ConfigError::Address(cidr(text))), "{text}");
        }
        let small = with(Medium::Ip, 1279).address(cidr("fd00::1/64"));
        let error = small.check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "fd00::1/64 needs an MTU of at least 1280, the device has 1279"
        );
        let twice = base()
            .address(cidr("10.0.0.1/24"))
            .address(cidr("10.0.0.1/16"));
        assert_eq!(
            twice.check(),
            Err(ConfigError::AddressTwice(cidr("10.0.0.1/16")))
        );
        let bad = base().gateway(ip("ff02::2"));
        assert_eq!(bad.check(), Err(ConfigError::Gateway(ip("ff02::2"))));
        let mixed = base().route(cidr("10.1.0.0/16"), Some(ip("fd00::1")));
        assert_eq!(mixed.check(), Err(ConfigError::Family(cidr("10.1.0.0/16"))));
    }

    /// RFC 1122 §3.3.1: a router is another host.
    #[test]
    fn a_gateway_is_nobody_of_ours() {
        for (address, via, to) in [
            ("10.0.0.1/24", "10.0.0.1", "10.7.0.0/16"),
            ("10.0.0.1/24", "10.0.0.255", "10.7.0.0/16"),
            ("10.0.0.1/24", "10.0.0.0", "10.7.0.0/16"),
            ("fd00::1/64", "fd00::1", "fd07::/64"),
        ] {
            let via: IpAddr = via.parse().unwrap();
            let own = || with(Medium::Ethernet, 1500).address(address.parse().unwrap());
            let refused = Err(ConfigError::Gateway(via));
            assert_eq!(own().gateway(via).check(), refused);
            let route = own().route(to.parse().unwrap(), Some(via));
            assert_eq!(route.check(), refused);
        }
    }
}
