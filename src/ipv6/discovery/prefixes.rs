//! The prefixes that are on a link.
//!
//! RFC 4861 §6.3.4, RFC 5942 §4 (an address alone makes none). *Owns* the list. *Does not* say that anything is off the link: what
//! is not told to be on it is nobody's word.

use super::routers::{add, network, remove};
use super::{Action, Actions, earliest, end, is_ordinary};
use crate::base::{Cidr, Instant};
use crate::ipv6::ndp::{Preference, PrefixInformation};

/// Prefixes at most.
pub(crate) const MAX_PREFIXES: usize = 16;

/// The list, in the order in which its entries were told.
#[derive(Debug, Default)]
pub(super) struct Prefixes(Vec<(Cidr, Instant)>);

impl Prefixes {
    /// A router tells of a prefix; returns whether there was room.
    pub(super) fn on_prefix(
        &mut self,
        now: Instant,
        told: &PrefixInformation,
        out: &mut Actions,
    ) -> bool {
        // RFC 4861 §4.6.2: without L nothing is said. No link holds everything: that would have each packet asked for on it.
        let ignored = !told.on_link || told.prefix_len == 0 || !is_ordinary(told.prefix);
        let Some(prefix) = network(told.prefix, told.prefix_len).filter(|_| !ignored) else {
            return true;
        };
        let place = self.0.iter().position(|known| known.0 == prefix);
        match place {
            Some(place) if told.valid_lifetime == 0 => {
                self.0.remove(place);
                out.push_back(remove(prefix, None));
            }
            Some(place) => self.0[place].1 = end(now, told.valid_lifetime),
            None if told.valid_lifetime == 0 => {}
            None if self.0.len() >= MAX_PREFIXES => return false,
            None => {
                self.0.push((prefix, end(now, told.valid_lifetime)));
                out.push_back(add(prefix, None, Preference::Medium));
            }
        }
        true
    }

    pub(super) fn expire(&mut self, now: Instant, out: &mut Actions) {
        self.take_away(|until| until <= now, out);
    }

    pub(super) fn forget(&mut self, out: &mut Actions) {
        self.take_away(|_| true, out);
    }

    fn take_away(&mut self, goes: impl Fn(Instant) -> bool, out: &mut Actions) {
        let gone = |entry: &mut (Cidr, Instant)| goes(entry.1);
        let gone = self.0.extract_if(.., gone);
        out.extend(gone.map(|(prefix, _)| -> Action { remove(prefix, None) }));
    }

    /// When the first of them ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        earliest(self.0.iter().map(|known| known.1))
    }

    /// Is it on the link?
    pub(super) fn holds(&self, told: &PrefixInformation) -> bool {
        let prefix = network(told.prefix, told.prefix_len);
        self.0.iter().any(|known| Some(known.0) == prefix)
    }
}
