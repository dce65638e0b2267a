//! In the words of older versions, as long as a router may be there that knows no other.
//!
//! RFC 2236 §3, §4, §6, RFC 2710 §4, §5, RFC 3376 §7.2, §8.12, RFC 3810 §8.2, §9.12. *Owns* which version is spoken, and until when.
//! *Does not* speak the newest: the reporter does.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::{
    QUERY_INTERVAL, Query, ROBUSTNESS, Reporter, Version, draw, is_reported, is_source_specific,
};
use crate::base::{Instant, Random};
use crate::stack::groups::filter::Filter;
use crate::stack::groups::members::{Group, MOST_GROUPS};

/// All groups are gone through for an older router's general query no more often.
const WALK_INTERVAL: Duration = Duration::from_millis(100);
/// Answers to a general query are spread over as much for each group at least, up to the usual time: who asks for all at once, again
/// and again, would have a thousand reports of one packet each time.
const SPREAD: Duration = Duration::from_millis(10);
/// That of the older versions (RFC 2236 §8.10, RFC 2710 §7.10); what a router of version 1 waits too (RFC 2236 §4).
const OLDER_UNSOLICITED: Duration = Duration::from_secs(10);
/// No interval of a querier's is taken for longer: it bounds how long one query of an older version counts.
const LONGEST_INTERVAL: Duration = Duration::from_secs(600);

impl Reporter {
    /// RFC 2236 §3, RFC 2710 §4: who joins says so twice, who leaves once, if nobody else has spoken since.
    pub(super) fn changed_for_older(&mut self, group: IpAddr, was_nothing: bool, is_nothing: bool) {
        // RFC 4604 §2.2.3: what older versions can say of these groups is wrong.
        if is_source_specific(group) || was_nothing == is_nothing {
            return;
        }
        if was_nothing {
            self.left.remove(&group);
            self.pending.entry(group).or_default().left = self.robustness;
            self.set_due(group, Some(Instant::ZERO));
        } else {
            let last = self.pending.get(&group).is_some_and(|p| p.last);
            self.forget(group);
            // RFC 2236 §6: a router of version 1 does not know the message.
            if last && self.version == Version::Two {
                self.left.insert(group);
                self.changes = Some(Instant::ZERO);
                if self.left.len() > MOST_GROUPS {
                    self.left.pop_first();
                }
            }
        }
    }

    /// The same when an older router is there: each group has a time of its own (RFC 2236 §3, RFC 2710 §4).
    pub(super) fn on_query_for_older(
        &mut self,
        now: Instant,
        random: &mut Random,
        query: &Query,
        groups: &BTreeMap<IpAddr, Group>,
    ) {
        // RFC 2236 §4: for a router of version 1 it is 10 s, whatever others ask.
        let max = match self.version {
            Version::One => OLDER_UNSOLICITED,
            _ => query.max,
        };
        if let Some(group) = query.group {
            if groups.contains_key(&group) {
                self.answer_older(now, random, max, group);
            }
            return;
        }
        let lately = |at: Instant| now.since(at) < WALK_INTERVAL;
        if self.walked.is_some_and(lately) {
            return;
        }
        self.walked = Some(now);
        let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        let spread = SPREAD.saturating_mul(count).min(OLDER_UNSOLICITED);
        let max = max.max(spread);
        for &group in groups.keys() {
            self.answer_older(now, random, max, group);
        }
    }

    fn answer_older(&mut self, now: Instant, random: &mut Random, max: Duration, group: IpAddr) {
        if !is_reported(group) || is_source_specific(group) {
            return;
        }
        let due = self.pending.get(&group).and_then(|pending| pending.due);
        // RFC 2236 §3: a time that is set already stays, unless it is later than is asked for.
        if due.is_none_or(|due| due > now + max) {
            self.set_due(group, Some(now + draw(random, max)));
        }
    }

    /// Another host has reported a group to an older router: that is enough (RFC 2236 §3, RFC 2710 §4).
    pub(in crate::stack::groups) fn heard_report(&mut self, group: IpAddr) {
        if self.version == Version::Full {
            return;
        }
        if let Some(pending) = self.pending.get_mut(&group).filter(|p| p.due.is_some()) {
            (pending.left, pending.last) = (0, false);
            self.set_due(group, None);
        }
    }

    /// What a query says of routers on the link.
    pub(super) fn learn(&mut self, now: Instant, query: &Query, groups: &BTreeMap<IpAddr, Group>) {
        if let Some((robustness, interval)) = query.querier {
            // RFC 3376 §4.1.6, §4.1.7: 0 is none to tell.
            self.robustness = if robustness == 0 {
                ROBUSTNESS
            } else {
                robustness
            };
            self.interval = interval.min(LONGEST_INTERVAL);
            if interval.is_zero() {
                self.interval = QUERY_INTERVAL;
            }
        }
        // RFC 3376 §8.12, RFC 3810 §9.12: Older Version Querier Present Timeout.
        let present = self.interval * u32::from(self.robustness) + query.max.min(LONGEST_INTERVAL);
        match query.version {
            Version::One => self.older[0] = Some(now + present),
            Version::Two => self.older[1] = Some(now + present),
            Version::Full => {}
        }
        self.settle_version(now, groups);
    }

    /// RFC 3376 §7.2.1, RFC 3810 §8.2.1: another version means that what was to be told is told no more.
    pub(super) fn settle_version(&mut self, now: Instant, groups: &BTreeMap<IpAddr, Group>) {
        for until in &mut self.older {
            *until = until.filter(|&until| until > now);
        }
        let version = match self.older {
            [Some(_), _] => Version::One,
            [None, Some(_)] => Version::Two,
            [None, None] => Version::Full,
        };
        if version == self.version {
            return;
        }
        let begun = self.pending.iter().filter(|(_, pending)| pending.left > 0);
        let untold: BTreeSet<IpAddr> = begun
            .map(|(&group, _)| group)
            .chain(core::mem::take(&mut self.changed))
            .collect();
        self.version = version;
        (self.general, self.changes, self.walked) = (None, None, None);
        self.left.clear();
        self.pending.clear();
        self.due.clear();
        // What nobody may have heard of is told in the other's words.
        for group in untold {
            if let Some(of) = groups.get(&group) {
                self.changed(group, &Filter::NOTHING, &of.filter);
            }
        }
    }

    /// An older version's report is on its way.
    pub(super) fn reported(&mut self, now: Instant, random: &mut Random, group: IpAddr) {
        let pending = self.pending.entry(group).or_default();
        pending.last = true;
        pending.left = pending.left.saturating_sub(1);
        if pending.left > 0 {
            self.set_due(group, Some(now + draw(random, OLDER_UNSOLICITED)));
        }
    }
}
