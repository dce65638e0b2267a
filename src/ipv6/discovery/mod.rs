//! What routers say on one link, and what follows from it, as a value.
//!
//! RFC 4861 §6.3 (routers, prefixes, parameters), RFC 4191 (preferences, routes), RFC 4862 §5.5 and RFC 7217, RFC 8981
//! (addresses), RFC 8106 (DNS), RFC 7559 (asking). *Owns* what was said and for how long it holds. *Does not* send,
//! nor own the addresses and routes that are in use: what is to change is told in [`Action`]s, which whoever
//! calls takes out. Invariants: each list is bounded, and what holds is never evicted by what is new; what one
//! router says takes nothing from what another said (RFC 4861 §6.3.4).
//!
//! | file | owns |
//! |---|---|
//! | `solicit` | when routers are asked for |
//! | `routers` | default routers, and the routes that they tell of |
//! | `prefixes` | which prefixes are on the link |
//! | `formed` | the addresses that are made, and their lifetimes |
//! | `identifier` | their interface identifiers |
//! | `dns` | the servers and search domains of DNS |
//! | `words` | what is told, and what is to be done |

mod dns;
mod formed;
mod identifier;
mod prefixes;
mod routers;
mod solicit;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use formed::Kind;
pub(crate) use identifier::Identifiers;
pub(crate) use routers::Router;
pub(crate) use words::{Action, Advertisement, Parameters, Settings, TooMany};

use core::net::Ipv6Addr;
use core::time::Duration;
use std::collections::VecDeque;

use super::ndp::{NdpOption, Options, Preference, RouterFlags};
use crate::base::{Instant, Tokens};
use dns::Dns;
use formed::Formed;
use prefixes::Prefixes;
use routers::Routers;
use solicit::Solicitor;

/// Advertisements that are looked at in a burst: sixteen routers may each answer, and speak for themselves.
pub(crate) const ADVERT_BURST: u64 = 64;
/// The time that earns the next one: sixteen a second. RFC 4861 §6.2.6: a router sends one in 3 s to all.
const ADVERT_COST: u64 = 1_000_000_000 / 16;
/// Less than this no router is believed of the hop limit: with 1 nothing would leave the link (our choice).
const LEAST_HOP_LIMIT: u8 = 32;
/// Within what the times of a router are heeded, in milliseconds: the longest is RFC 4861 §6.2.1's, and the others are
/// our choice, for with less nobody could answer in time, and with more nobody would be found.
const REACHABLE_MS: (u32, u32) = (1000, 3_600_000);
const RETRANS_MS: (u32, u32) = (100, 10_000);
/// RFC 8200 §5.
const LEAST_MTU: u32 = 1280;
/// TEMP_IDGEN_RETRIES, RFC 8981 §3.8.
const TEMP_IDGEN_RETRIES: u32 = 3;
/// RetransTimer, RFC 4861 §10.
const RETRANS_TIMER: Duration = Duration::from_secs(1);

/// The actions that were not taken out yet.
type Actions = VecDeque<Action>;

/// What is known of one link.
#[derive(Debug)]
pub(crate) struct Discovery {
    settings: Settings,
    identifiers: Identifiers,
    solicitor: Solicitor,
    routers: Routers,
    prefixes: Prefixes,
    formed: Formed,
    dns: Dns,
    parameters: Parameters,
    flags: RouterFlags,
    /// For those who are sent to, and for all others: strangers keep no router from being heard.
    known: Tokens,
    strangers: Tokens,
    is_up: bool,
    /// The link came up, and may be another one: the first router to speak tells.
    landing: bool,
    /// What was said and found no room.
    refused: u64,
    actions: Actions,
}

impl Discovery {
    pub(crate) fn new(now: Instant, settings: Settings, identifiers: Identifiers) -> Self {
        let mut discovery = Self {
            settings,
            identifiers,
            solicitor: Solicitor::default(),
            routers: Routers::default(),
            prefixes: Prefixes::default(),
            formed: Formed::default(),
            dns: Dns::default(),
            parameters: Parameters::default(),
            flags: RouterFlags::empty(),
            known: Tokens::default(),
            strangers: Tokens::default(),
            is_up: true,
            landing: false,
            refused: 0,
            actions: Actions::new(),
        };
        if settings.link_local {
            let Self {
                formed,
                identifiers,
                actions,
                ..
            } = &mut discovery;
            formed.form_link_local(identifiers, actions);
        }
        discovery.ask(now);
        discovery
    }

    /// A router speaks, whose message was checked (RFC 4861 §6.1.2).
    ///
    /// # Errors
    /// [`TooMany`]: it was not looked at.
    pub(crate) fn on_advertisement(
        &mut self,
        now: Instant,
        from: Ipv6Addr,
        advert: &Advertisement<'_>,
    ) -> Result<(), TooMany> {
        let tokens = if self.routers.knows(from) {
            &mut self.known
        } else {
            &mut self.strangers
        };
        if !tokens.has_token(now, ADVERT_COST, ADVERT_BURST) {
            return Err(TooMany);
        }
        tokens.charge(now, ADVERT_COST, 1);
        self.expire(now);
        if core::mem::take(&mut self.landing) && !self.is_known(from, advert.options) {
            self.forget_all();
        }
        self.flags = advert.flags & (RouterFlags::MANAGED | RouterFlags::OTHER);
        self.take_parameters(advert);
        let (lifetime, preference) = default_route(advert);
        let Self {
            routers, actions, ..
        } = self;
        if !routers.on_default(now, from, (lifetime, preference), actions) {
            self.refused += 1;
        }
        // RFC 4861 §6.3.7, RFC 7559 §2: who says that it is no default router is no answer.
        if lifetime > 0 {
            self.solicitor.stop();
        }
        for option in advert.options {
            self.on_option(now, from, option);
        }
        if !self.flags.is_empty() {
            self.actions.push_back(Action::AskServers);
        }
        self.after(now);
        Ok(())
    }

    /// What is due at `now`.
    pub(crate) fn on_timeout(&mut self, now: Instant) {
        self.expire(now);
        self.after(now);
        if self.solicitor.on_timeout(now) {
            self.actions.push_back(Action::Solicit);
        }
    }

    /// When that is to be called, after `now`.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let deadlines = [
            self.solicitor.due(),
            self.routers.next_end(),
            self.prefixes.next_end(),
            self.formed.next_due(now, self.advance()),
            self.dns.next_end(),
        ];
        let due = deadlines.into_iter().flatten().min();
        due.filter(|&at| at != Instant::FAR_FUTURE)
    }

    /// What is to be done next; call until `None`.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The question for routers has left.
    pub(crate) fn solicited(&mut self, now: Instant) {
        self.solicitor
            .on_sent(now, |bound| self.identifiers.below(bound));
    }

    /// It found no room: it is tried again.
    pub(crate) fn not_solicited(&mut self, now: Instant) {
        self.solicitor.again_at(now + RETRANS_TIMER);
    }

    /// Another station has this address (RFC 4862 §5.4.5): another is made a few times; returns whether it was one of ours.
    pub(crate) fn on_duplicate(&mut self, now: Instant, address: Ipv6Addr) -> bool {
        let Self {
            formed,
            identifiers,
            actions,
            ..
        } = self;
        formed.on_duplicate(now, address, identifiers, actions)
    }

    /// This address is not to be had, for it is ours already or there is no room: no other is tried.
    pub(crate) fn on_refused(&mut self, address: Ipv6Addr) {
        self.refused += 1;
        self.formed.give_up(address);
    }

    /// This address is in use no more, whoever said so: no other is made in its place.
    pub(crate) fn on_gone(&mut self, address: Ipv6Addr) {
        self.formed.give_up(address);
    }

    /// A neighbour says of itself that it is no router (RFC 4861 §7.2.5).
    pub(crate) fn on_no_router(&mut self, now: Instant, address: Ipv6Addr) {
        self.routers.remove(address, &mut self.actions);
        self.after(now);
    }

    /// The link is up again, and may be another one (RFC 4861 §6.3.7).
    pub(crate) fn on_link_up(&mut self, now: Instant) {
        (self.is_up, self.landing) = (true, true);
        self.ask(now);
    }

    /// Nobody is asked while it is down.
    pub(crate) fn on_link_down(&mut self) {
        self.is_up = false;
        self.solicitor.stop();
    }

    /// The link's own MTU is another.
    pub(crate) fn set_mtu(&mut self, mtu: u32) {
        self.settings.mtu = mtu;
    }

    /// Are addresses made of what routers say?
    pub(crate) const fn makes_addresses(&self) -> bool {
        self.settings.routers && self.settings.addresses
    }

    /// Are routers listened to?
    pub(crate) const fn listens(&self) -> bool {
        self.settings.routers
    }

    /// Does any packet go over it: as a default router, or for a prefix?
    pub(crate) fn is_router(&self, address: Ipv6Addr) -> bool {
        self.routers.knows(address)
    }

    /// The default routers.
    pub(crate) fn routers(&self) -> impl Iterator<Item = Router> + '_ {
        self.routers.iter()
    }

    /// Recursive servers, in the order in which they were told.
    pub(crate) fn dns_servers(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.dns.servers()
    }

    /// Search domains, in the order in which they were told.
    pub(crate) fn dns_domains(&self) -> impl Iterator<Item = &str> + '_ {
        self.dns.domains()
    }

    /// M and O of the last advertisement.
    pub(crate) const fn flags(&self) -> RouterFlags {
        self.flags
    }

    /// What was said and found no room since the last call.
    pub(crate) fn take_refused(&mut self) -> u64 {
        core::mem::take(&mut self.refused)
    }

    fn ask(&mut self, now: Instant) {
        if self.settings.routers && self.is_up {
            let identifiers = &mut self.identifiers;
            self.solicitor.start(now, |bound| identifiers.below(bound));
        }
    }

    /// REGEN_ADVANCE, RFC 8981 §3.8.
    fn advance(&self) -> Duration {
        let retrans = self.parameters.retrans.unwrap_or(RETRANS_TIMER);
        let tries = TEMP_IDGEN_RETRIES * u32::from(self.settings.dad_transmits);
        Duration::from_secs(2) + retrans * tries
    }

    /// RFC 4861 §6.3.4: what is unspecified stays as it was.
    fn take_parameters(&mut self, advert: &Advertisement<'_>) {
        let mut told = self.parameters;
        if advert.hop_limit >= LEAST_HOP_LIMIT {
            told.hop_limit = Some(advert.hop_limit);
        }
        let within = |millis: u32, (least, most): (u32, u32)| {
            let millis = millis.clamp(least, most);
            Some(Duration::from_millis(millis.into()))
        };
        if advert.reachable_time != 0 {
            told.reachable = within(advert.reachable_time, REACHABLE_MS);
        }
        if advert.retrans_timer != 0 {
            told.retrans = within(advert.retrans_timer, RETRANS_MS);
        }
        for option in advert.options {
            // RFC 2464 §2: a link carries no more than it does, whoever says so.
            if let NdpOption::Mtu(mtu) = option
                && (LEAST_MTU..=self.settings.mtu).contains(&mtu)
            {
                told.mtu = u16::try_from(mtu).ok();
            }
        }
        self.set_parameters(told);
    }

    fn set_parameters(&mut self, parameters: Parameters) {
        if parameters != self.parameters {
            self.parameters = parameters;
            self.actions.push_back(Action::Link(parameters));
        }
    }

    fn on_option(&mut self, now: Instant, from: Ipv6Addr, option: NdpOption<'_>) {
        let Self {
            settings,
            identifiers,
            routers,
            prefixes,
            formed,
            dns,
            actions,
            ..
        } = self;
        let kept = match option {
            NdpOption::PrefixInformation(told) => {
                let kept = prefixes.on_prefix(now, &told, actions);
                let forms = settings.addresses;
                let kept = kept & (!forms || formed.on_prefix(now, &told, identifiers, actions));
                // RFC 6724 §5, rule 5.5.
                if routers.is_default(from) && formed.is_of(&told) {
                    actions.push_back(Action::Tells {
                        router: from,
                        prefix: told.prefix,
                        still: told.valid_lifetime > 0,
                    });
                }
                kept
            }
            NdpOption::RouteInformation {
                prefix_len,
                preference,
                lifetime,
                prefix,
            } => routers.on_route(
                now,
                (from, prefix, prefix_len),
                (lifetime, preference),
                actions,
            ),
            NdpOption::RecursiveDns { lifetime, servers } => {
                dns.on_servers(now, lifetime, servers, actions)
            }
            NdpOption::DnsSearchList { lifetime, domains } => {
                dns.on_domains(now, lifetime, domains, actions)
            }
            _ => true,
        };
        self.refused += u64::from(!kept);
    }

    /// What no longer holds goes.
    fn expire(&mut self, now: Instant) {
        let actions = &mut self.actions;
        self.routers.expire(now, actions);
        self.prefixes.expire(now, actions);
        self.formed.expire(now);
        self.dns.expire(now, actions);
    }

    /// What follows from what holds now.
    fn after(&mut self, now: Instant) {
        let advance = self.advance();
        let Self {
            formed,
            identifiers,
            actions,
            ..
        } = self;
        formed.retry(now, identifiers, actions);
        if self.settings.temporary && !formed.renew_temporary(now, advance, identifiers, actions) {
            self.refused += 1;
        }
        // Nobody says anything of a link whose last router has gone: it is asked for (our choice).
        if self.routers.is_empty() && !self.solicitor.is_asking() {
            self.ask(now);
        }
    }

    /// Does this come from the link that we were on: is a prefix known of which it tells? If it tells of none the router is to
    /// be known, whose link-local address says less: each link may have an fe80::1.
    fn is_known(&self, from: Ipv6Addr, options: Options<'_>) -> bool {
        let prefixes = options.iter().filter_map(|option| match option {
            NdpOption::PrefixInformation(told) => Some(told),
            _ => None,
        });
        let known = prefixes.map(|told| self.prefixes.holds(&told) || self.formed.holds(&told));
        known
            .reduce(|a, b| a || b)
            .unwrap_or_else(|| self.routers.is_default(from))
    }

    /// Another link: nothing of what was said holds (RFC 8981 §3.6).
    fn forget_all(&mut self) {
        let actions = &mut self.actions;
        self.routers.forget(actions);
        self.prefixes.forget(actions);
        self.formed.forget(actions);
        self.dns.forget(actions);
        self.set_parameters(Parameters::default());
        self.actions.push_back(Action::OtherLink);
    }
}

/// For how many seconds the sender is a default router, and how much it is preferred.
///
/// RFC 4191 §3.1: what a route to everywhere says stands above the header's words. §2.2: a preference that is
/// reserved is medium.
fn default_route(advert: &Advertisement<'_>) -> (u32, Preference) {
    let header = (u32::from(advert.lifetime), advert.flags.preference());
    let told = advert.options.iter().filter_map(|option| match option {
        NdpOption::RouteInformation {
            prefix_len: 0,
            preference,
            lifetime,
            ..
        } if preference != Preference::Reserved => Some((lifetime, preference)),
        _ => None,
    });
    match told.last().unwrap_or(header) {
        (lifetime, Preference::Reserved) => (lifetime, Preference::Medium),
        known => known,
    }
}

/// When a lifetime of so many seconds ends; all ones: never (RFC 4861 §4.6.2).
fn end(now: Instant, seconds: u32) -> Instant {
    if seconds == u32::MAX {
        Instant::FAR_FUTURE
    } else {
        now + Duration::from_secs(seconds.into())
    }
}

/// The earliest of these that comes at all.
fn earliest(ends: impl Iterator<Item = Instant>) -> Option<Instant> {
    ends.filter(|&end| end != Instant::FAR_FUTURE).min()
}

/// May a prefix be one of hosts beyond a router, or of the link? Link-local ones and groups are what they are whatever
/// is said of them.
fn is_ordinary(prefix: Ipv6Addr) -> bool {
    !prefix.is_unicast_link_local() && !prefix.is_multicast()
}
