//! Advertisements judged, in virtual time, without a stack.

mod addresses;
mod lists;

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use super::*;
use crate::base::Cidr;
use crate::base::Seed;
use crate::ipv6::ndp::PrefixInformation;

const HOUR: u32 = 3600;
const FOREVER: u32 = u32::MAX;

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// One advertisement in the making.
#[derive(Clone, Debug)]
struct Advert {
    from: Ipv6Addr,
    hop_limit: u8,
    flags: u8,
    lifetime: u16,
    times: (u32, u32),
    options: Vec<u8>,
}

/// Of a router that is none by default, and says nothing else.
fn advert(from: &str) -> Advert {
    Advert {
        from: v6(from),
        hop_limit: 0,
        flags: 0,
        lifetime: 0,
        times: (0, 0),
        options: Vec::new(),
    }
}

impl Advert {
    fn lifetime(self, lifetime: u16) -> Self {
        Self { lifetime, ..self }
    }

    fn preference(self, preference: Preference) -> Self {
        let bits = match preference {
            Preference::Medium => 0,
            Preference::High => 1,
            Preference::Reserved => 2,
            Preference::Low => 3,
        };
        let flags = self.flags | bits << 3;
        Self { flags, ..self }
    }

    fn option(mut self, option: &NdpOption<'_>) -> Self {
        option.emit(&mut self.options);
        self
    }

    /// A prefix with its flags, "LA" for both, and its valid and preferred lifetimes.
    fn prefix(self, prefix: &str, flags: &str, valid: u32, preferred: u32) -> Self {
        let cidr = cidr(prefix);
        let IpAddr::V6(address) = cidr.address() else {
            panic!("{prefix}");
        };
        self.option(&NdpOption::PrefixInformation(PrefixInformation {
            prefix_len: cidr.prefix(),
            on_link: flags.contains('L'),
            autonomous: flags.contains('A'),
            valid_lifetime: valid,
            preferred_lifetime: preferred,
            prefix: address,
        }))
    }

    fn route(self, prefix: &str, preference: Preference, lifetime: u32) -> Self {
        let cidr = cidr(prefix);
        let IpAddr::V6(prefix) = cidr.address() else {
            panic!("{prefix}");
        };
        self.option(&NdpOption::RouteInformation {
            prefix_len: cidr.prefix(),
            preference,
            lifetime,
            prefix,
        })
    }

    fn servers(self, lifetime: u32, servers: &[&str]) -> Self {
        let servers: Vec<_> = servers.iter().map(|s| v6(s).octets()).collect();
        let servers = &servers[..];
        self.option(&NdpOption::RecursiveDns { lifetime, servers })
    }

    fn domains(self, lifetime: u32, domains: &[u8]) -> Self {
        // Shorter options are none of this kind.
        let padded = domains.len().max(8);
        let mut domains = domains.to_vec();
        domains.resize(padded, 0);
        let domains = &domains[..];
        self.option(&NdpOption::DnsSearchList { lifetime, domains })
    }
}

/// What is known of a link, and what followed.
struct Link {
    discovery: Discovery,
    now: Instant,
}

const SETTINGS: Settings = Settings {
    routers: true,
    addresses: true,
    temporary: false,
    link_local: false,
    dad_transmits: 1,
    mtu: 1500,
};

impl Link {
    fn new() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: Settings) -> Self {
        let identifiers = Identifiers::new(&Seed::from_number(1), None, 1);
        let now = Instant::from_millis(1000);
        Self {
            discovery: Discovery::new(now, settings, identifiers),
            now,
        }
    }

    fn actions(&mut self) -> Vec<Action> {
        core::iter::from_fn(|| self.discovery.poll_action()).collect()
    }

    /// Takes an advertisement, in a second of its own; what follows from it.
    fn hear(&mut self, advert: &Advert) -> Vec<Action> {
        self.now = self.now + Duration::from_secs(1);
        let heard = self.discovery.on_advertisement(
            self.now,
            advert.from,
            &Advertisement {
                hop_limit: advert.hop_limit,
                flags: RouterFlags::from_bits_retain(advert.flags),
                lifetime: advert.lifetime,
                reachable_time: advert.times.0,
                retrans_timer: advert.times.1,
                options: Options::new(&advert.options),
            },
        );
        assert_eq!(heard, Ok(()));
        self.actions()
    }

    /// Lets time pass, with a call whenever one is due; what followed, and when. Questions leave at once.
    fn advance(&mut self, by: Duration) -> Vec<(Duration, Action)> {
        let (begin, end) = (self.now, self.now + by);
        let mut all = Vec::new();
        for _ in 0..10_000 {
            let due = self.discovery.next_due(self.now).filter(|&at| at <= end);
            let Some(at) = due else {
                self.now = end;
                return all;
            };
            assert!(at > self.now || all.is_empty(), "busy at {at:?}: {all:?}");
            self.now = self.now.max(at);
            self.discovery.on_timeout(self.now);
            for action in self.actions() {
                if action == Action::Solicit {
                    self.discovery.solicited(self.now);
                }
                all.push((self.now.since(begin), action));
            }
        }
        panic!("it never ends: {:?}", all.last());
    }

    fn secs(&mut self, secs: u32) -> Vec<Action> {
        let told = self.advance(Duration::from_secs(secs.into()));
        let others = told.into_iter().map(|(_, action)| action);
        others.filter(|action| *action != Action::Solicit).collect()
    }
}

fn add(to: &str, via: Option<&str>, preference: Preference) -> Action {
    let (to, via) = (cidr(to), via.map(v6));
    Action::AddRoute {
        to,
        via,
        preference,
    }
}

fn remove(to: &str, via: Option<&str>) -> Action {
    let (to, via) = (cidr(to), via.map(v6));
    Action::RemoveRoute { to, via }
}

/// The addresses that are to be used, how they are made and when they end.
fn formed(actions: &[Action]) -> Vec<(Ipv6Addr, Kind, Instant, Instant)> {
    let all = actions.iter().filter_map(|action| match *action {
        Action::Form {
            cidr,
            kind,
            preferred,
            valid,
        } => {
            let IpAddr::V6(address) = cidr.address() else {
                panic!("{cidr}");
            };
            assert_eq!(cidr.prefix(), 64);
            Some((address, kind, preferred, valid))
        }
        _ => None,
    });
    all.collect()
}
