//! The servers and search domains of DNS that routers tell of.
//!
//! RFC 8106 §5.1, §5.2, §5.3.1. *Owns* both lists. *Does not* ask anybody for a name.

use core::net::Ipv6Addr;

use super::{Action, Actions, earliest, end};
use crate::base::Instant;
use crate::ipv6::ndp::SearchDomains;

/// Servers at most (RFC 8106 §6.1 asks for three).
pub(crate) const MAX_SERVERS: usize = 8;
/// Search domains at most.
pub(crate) const MAX_DOMAINS: usize = 8;

/// The lists, each in the order in which its entries were told.
#[derive(Debug, Default)]
pub(super) struct Dns {
    servers: Vec<(Ipv6Addr, Instant)>,
    domains: Vec<(String, Instant)>,
}

impl Dns {
    /// Servers for so many seconds; returns whether there was room for all.
    pub(super) fn on_servers(
        &mut self,
        now: Instant,
        lifetime: u32,
        servers: &[[u8; 16]],
        out: &mut Actions,
    ) -> bool {
        let servers = servers.iter().map(|&server| Ipv6Addr::from(server));
        let able = servers.filter(|server| {
            let nobody = server.is_unspecified() || server.is_loopback();
            !nobody && !server.is_multicast() && server.to_ipv4_mapped().is_none()
        });
        let same = |known: &Ipv6Addr, told: &Ipv6Addr| known == told;
        let list = (&mut self.servers, MAX_SERVERS);
        take(list, able, (lifetime, end(now, lifetime)), same, out)
    }

    /// Search domains for so many seconds; returns whether there was room for all.
    pub(super) fn on_domains(
        &mut self,
        now: Instant,
        lifetime: u32,
        domains: &[u8],
        out: &mut Actions,
    ) -> bool {
        // RFC 1035 §2.3.3: in whatever case.
        let same = |known: &String, told: &String| known.eq_ignore_ascii_case(told);
        let list = (&mut self.domains, MAX_DOMAINS);
        let names = SearchDomains::new(domains);
        take(list, names, (lifetime, end(now, lifetime)), same, out)
    }

    pub(super) fn expire(&mut self, now: Instant, out: &mut Actions) {
        self.keep(|until| until > now, out);
    }

    pub(super) fn forget(&mut self, out: &mut Actions) {
        self.keep(|_| false, out);
    }

    fn keep(&mut self, stays: impl Fn(Instant) -> bool, out: &mut Actions) {
        let before = self.servers.len() + self.domains.len();
        self.servers.retain(|known| stays(known.1));
        self.domains.retain(|known| stays(known.1));
        if before != self.servers.len() + self.domains.len() {
            out.push_back(Action::Dns);
        }
    }

    /// When the first of them ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let servers = self.servers.iter().map(|known| known.1);
        earliest(servers.chain(self.domains.iter().map(|known| known.1)))
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.servers.iter().map(|known| known.0)
    }

    pub(super) fn domains(&self) -> impl Iterator<Item = &str> + '_ {
        self.domains.iter().map(|known| known.0.as_str())
    }
}

/// Takes what was told into a list of at most `most`; returns whether there was room for all.
fn take<T>(
    (list, most): (&mut Vec<(T, Instant)>, usize),
    told: impl Iterator<Item = T>,
    (lifetime, until): (u32, Instant),
    same: impl Fn(&T, &T) -> bool,
    out: &mut Actions,
) -> bool {
    let (mut changed, mut room) = (false, true);
    for value in told {
        let place = list.iter().position(|known| same(&known.0, &value));
        match place {
            // RFC 8106 §5.1: no longer to be used.
            Some(place) if lifetime == 0 => {
                list.remove(place);
                changed = true;
            }
            Some(place) => list[place].1 = until,
            None if lifetime == 0 => {}
            None if list.len() >= most => room = false,
            None => {
                list.push((value, until));
                changed = true;
            }
        }
    }
    if changed {
        out.push_back(Action::Dns);
    }
    room
}
