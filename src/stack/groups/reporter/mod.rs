//! When an interface tells routers of its groups: what has changed, what they ask for, and in the words of older ones.
//!
//! RFC 3376 §5, §7.2, RFC 3810 §6, §8.2, RFC 2236 §3, §6, RFC 2710 §4, §5. *Owns* what is still to be told, and when, of one
//! family; `older` the words of older versions, `pending` what is kept of a group. *Does not* own membership, which it is given, nor packets: `sending` makes them.
//! Invariants: what a router can make it keep is one time, and a list of [`MOST_SOURCES`] for each group that we are in; it
//! answers a query once, however often that is repeated meanwhile.

mod older;
mod pending;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::filter::Filter;
use super::members::{Group, MOST_GROUPS};
use crate::base::records::{GroupRecord, RecordKind};
use crate::base::{Instant, Random, nanos};
use pending::{Pending, is};

/// Robustness Variable, until a querier tells its own (RFC 3376 §8.1, RFC 3810 §9.1).
const ROBUSTNESS: u8 = 2;
/// Query Interval, likewise (RFC 3376 §8.2, RFC 3810 §9.2).
const QUERY_INTERVAL: Duration = Duration::from_secs(125);
/// Unsolicited Report Interval (RFC 3376 §8.11, RFC 3810 §9.11).
const UNSOLICITED: Duration = Duration::from_secs(1);
/// *Fixed*: from one answer to the next: who floods us with queries that leave no time has a hundred a second at most.
const ANSWER_INTERVAL: Duration = Duration::from_millis(10);
/// *Fixed*: sources of a group that a query asked for; more of them are a query for the group.
const MOST_SOURCES: usize = 64;
/// *Fixed*: sources of a group whose change is to be told; more of them are told as the whole list.
const MOST_CHANGES: usize = 1024;

/// The oldest version that a router on the link speaks, by which all hosts speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// IGMPv1: nobody can say that he leaves.
    One,
    /// IGMPv2, MLDv1: no sources.
    Two,
    /// IGMPv3, MLDv2.
    Full,
}

/// What a router asks.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) version: Version,
    /// An answer is to come within.
    pub(crate) max: Duration,
    /// `None`: about all groups.
    pub(crate) group: Option<IpAddr>,
    /// None: about the group.
    pub(crate) sources: Vec<IpAddr>,
    /// The querier's robustness and interval, if it tells.
    pub(crate) querier: Option<(u8, Duration)>,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// These, in one message or several.
    Records(Vec<GroupRecord>),
    /// In the words of an older version.
    Older(Version, IpAddr),
    /// IGMPv2's Leave, MLDv1's Done.
    Leave(IpAddr),
}

/// What one family of an interface has to tell.
#[derive(Debug)]
pub(super) struct Reporter {
    version: Version,
    /// How long routers of version 1 and 2 are taken to be there (RFC 3376 §7.2.1).
    older: [Option<Instant>; 2],
    robustness: u8,
    interval: Duration,
    /// When the answer to a general query is due.
    general: Option<Instant>,
    /// When changes are to be told.
    changes: Option<Instant>,
    /// The groups that have some.
    changed: BTreeSet<IpAddr>,
    /// The groups that an older router is to hear that we left.
    left: BTreeSet<IpAddr>,
    pending: BTreeMap<IpAddr, Pending>,
    /// What is due of each group.
    due: BTreeSet<(Instant, IpAddr)>,
    /// When all groups were gone through last.
    walked: Option<Instant>,
    /// No answer before.
    quiet_until: Instant,
}

impl Default for Reporter {
    fn default() -> Self {
        Self {
            version: Version::Full,
            older: [None; 2],
            robustness: ROBUSTNESS,
            interval: QUERY_INTERVAL,
            general: None,
            changes: None,
            changed: BTreeSet::new(),
            left: BTreeSet::new(),
            pending: BTreeMap::new(),
            due: BTreeSet::new(),
            walked: None,
            quiet_until: Instant::ZERO,
        }
    }
}

impl Reporter {
    /// When [`on_timeout`](Self::on_timeout) is to be called; [`Instant::ZERO`] is at once.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let [one, two] = self.older;
        let due = self.due.first().map(|&(at, _)| at);
        let answer = [self.general, due].into_iter().flatten().min();
        let answer = answer.map(|at| at.max(self.quiet_until));
        let all = [self.changes, answer, one, two];
        all.into_iter().flatten().min()
    }

    /// What is wanted of a group is another thing from now on.
    pub(super) fn changed(&mut self, group: IpAddr, old: &Filter, new: &Filter) {
        if !is_reported(group) || old == new {
            return;
        }
        if self.version != Version::Full {
            return self.changed_for_older(group, old.is_nothing(), new.is_nothing());
        }
        if new.is_nothing() {
            // Nobody is left to answer for: who comes and goes leaves nothing behind.
            self.set_due(group, None);
        }
        let pending = self.pending.entry(group).or_default();
        if new.is_nothing() {
            pending.asked.clear();
        }
        if old.mode == new.mode {
            let changed = old.sources.symmetric_difference(&new.sources);
            let robustness = self.robustness;
            pending.sources.extend(changed.map(|&s| (s, robustness)));
        } else {
            // RFC 3376 §5.1: the whole list tells of each source.
            pending.sources.clear();
            pending.modes = self.robustness;
        }
        if pending.sources.len() > MOST_CHANGES {
            pending.sources.clear();
            pending.modes = self.robustness;
        }
        self.tell_soon(group);
    }

    fn tell_soon(&mut self, group: IpAddr) {
        self.changed.insert(group);
        self.changes = Some(Instant::ZERO);
        // Those that were left wait here too, and who comes and goes fills no more than this.
        if self.changed.len() > 2 * MOST_GROUPS
            && let Some(first) = self.changed.pop_first()
        {
            self.forget(first);
        }
    }

    /// All of it is told as if it were new: the link was away, or what was told came from nobody (RFC 3810 §5.2.13).
    pub(super) fn tell_all(&mut self, groups: &BTreeMap<IpAddr, Group>) {
        for (&group, of) in groups {
            self.changed(group, &Filter::NOTHING, &of.filter);
        }
    }

    /// A router asks.
    pub(super) fn on_query(
        &mut self,
        now: Instant,
        random: &mut Random,
        query: &Query,
        groups: &BTreeMap<IpAddr, Group>,
    ) {
        self.learn(now, query, groups);
        if self.version != Version::Full {
            return self.on_query_for_older(now, random, query, groups);
        }
        let at = now + draw(random, query.max);
        // RFC 3376 §5.2 (1): what comes sooner answers this too.
        if self.general.is_some_and(|general| general <= at) {
            return;
        }
        let Some(group) = query.group else {
            self.general = Some(at); // (2)
            return;
        };
        if !is_reported(group) || !groups.contains_key(&group) {
            return;
        }
        let pending = self.pending.entry(group).or_default();
        let of_group = pending.due.is_some() && pending.asked.is_empty();
        if of_group || query.sources.is_empty() {
            pending.asked.clear(); // (4)
        } else {
            pending.asked.extend(&query.sources); // (3), (5)
            if pending.asked.len() > MOST_SOURCES {
                pending.asked.clear();
            }
        }
        let at = pending.due.map_or(at, |due| due.min(at));
        self.set_due(group, Some(at));
    }

    /// What is to be sent now.
    pub(super) fn on_timeout(
        &mut self,
        now: Instant,
        random: &mut Random,
        groups: &BTreeMap<IpAddr, Group>,
    ) -> Vec<Report> {
        self.settle_version(now, groups);
        let mut reports = Vec::new();
        if self.changes.is_some_and(|at| at <= now) {
            let left = core::mem::take(&mut self.left);
            reports.extend(left.into_iter().map(Report::Leave));
            let records = self.tell_changes(groups);
            if !records.is_empty() {
                reports.push(Report::Records(records));
            }
            let again = !self.changed.is_empty();
            self.changes = again.then(|| now + draw(random, UNSOLICITED));
        }
        if now >= self.quiet_until {
            self.answer_all_due(now, random, groups, &mut reports);
        }
        reports
    }

    fn answer_all_due(
        &mut self,
        now: Instant,
        random: &mut Random,
        groups: &BTreeMap<IpAddr, Group>,
        reports: &mut Vec<Report>,
    ) {
        let mut answers = Vec::new();
        if self.general.is_some_and(|at| at <= now) {
            self.general = None;
            let all = groups.iter().filter(|(group, _)| is_reported(**group));
            answers.extend(all.map(|(&group, of)| is(group, &of.filter)));
        }
        while let Some(&(at, group)) = self.due.first()
            && at <= now
        {
            self.set_due(group, None);
            if self.version == Version::Full {
                answers.extend(self.answer(group, groups));
            } else {
                reports.push(Report::Older(self.version, group));
                self.reported(now, random, group);
            }
        }
        if !answers.is_empty() {
            self.quiet_until = now + ANSWER_INTERVAL;
            reports.push(Report::Records(answers));
        }
    }

    /// State-change records (RFC 3376 §5.1, RFC 3810 §6.1), each told once more.
    fn tell_changes(&mut self, groups: &BTreeMap<IpAddr, Group>) -> Vec<GroupRecord> {
        let nothing = Filter::NOTHING;
        let mut records = Vec::new();
        for group in core::mem::take(&mut self.changed) {
            let filter = groups.get(&group).map_or(&nothing, |of| &of.filter);
            let Some(pending) = self.pending.get_mut(&group) else {
                continue;
            };
            if pending.tell(group, filter, &mut records) {
                self.changed.insert(group);
            } else {
                self.forget_idle(group);
            }
        }
        records
    }

    /// The answer to a query about a group, or about sources of it (RFC 3376 §5.2, RFC 3810 §6.3).
    fn answer(&mut self, group: IpAddr, groups: &BTreeMap<IpAddr, Group>) -> Option<GroupRecord> {
        let asked = self
            .pending
            .get_mut(&group)
            .map(|p| core::mem::take(&mut p.asked));
        self.forget_idle(group);
        let filter = &groups.get(&group)?.filter;
        let asked = asked.unwrap_or_default();
        if asked.is_empty() {
            return Some(is(group, filter));
        }
        let sources: Vec<IpAddr> = asked.into_iter().filter(|&s| filter.admits(s)).collect();
        (!sources.is_empty()).then_some(GroupRecord {
            kind: RecordKind::IS_INCLUDE,
            group,
            sources,
        })
    }

    fn set_due(&mut self, group: IpAddr, due: Option<Instant>) {
        let pending = self.pending.entry(group).or_default();
        if let Some(old) = pending.due {
            self.due.remove(&(old, group));
        }
        pending.due = due;
        self.due.extend(due.map(|at| (at, group)));
    }

    /// Nothing is to be told of a group any more.
    fn forget(&mut self, group: IpAddr) {
        if let Some(Pending { due: Some(at), .. }) = self.pending.remove(&group) {
            self.due.remove(&(at, group));
        }
    }

    fn forget_idle(&mut self, group: IpAddr) {
        if self.pending.get(&group).is_some_and(Pending::is_idle) {
            self.pending.remove(&group);
        }
    }
}

/// A time from 0 to `max`, both included.
fn draw(random: &mut Random, max: Duration) -> Duration {
    Duration::from_nanos(random.below(nanos(max).saturating_add(1)))
}

/// Are routers told of the group at all? Each host is in 224.0.0.1 and ff02::1 (RFC 3376 §6, RFC 3810 §6), and groups of
/// scope 0 and 1 do not leave it.
fn is_reported(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group != crate::ipv4::igmp::ALL_SYSTEMS,
        IpAddr::V6(group) => group != crate::ipv6::ALL_NODES && group.octets()[1] & 0x0f > 1,
    }
}

/// Is it one of those that have no members but of senders: 232/8, ff3x::/32 (RFC 4607 §1)?
pub(crate) fn is_source_specific(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets()[0] == 232,
        IpAddr::V6(group) => {
            let [first, second, ..] = group.segments();
            first & 0xfff0 == 0xff30 && second == 0
        }
    }
}

#[cfg(test)]
mod tests;
