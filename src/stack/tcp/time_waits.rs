//! The TIME-WAIT records of a stack, in the order in which they end.
//!
//! *Owns* the records and their one timer: all wait equally long, so the one that was put last, or
//! put back to the start, ends last, but for the few that came back from a half-open connection; and which of them may give their names to new connections. *Does not* judge
//! segments: `crate::tcp` does.
//! A record is 80 bytes with its place in the order, and no allocation of its own: many may wait.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::{BTreeMap, BTreeSet};

use super::by_peer::{Between, ByPeer};
use crate::base::Instant;
use crate::stack::config::TimeWaitReuse;
use crate::stack::ids::{InterfaceId, make_room};
use crate::stack::packet::Label;
use crate::stack::tuple::Tuple;
use crate::tcp::TimeWait;

/// A connection's name and the interface it was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) tuple: Tuple,
    pub(super) on: InterfaceId,
    pub(super) ttl: u8,
    pub(super) tos: u8,
    pub(super) label: Label,
}

/// A record that a SYN took over, and when it would have ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Previous {
    pub(super) wait: TimeWait,
    pub(super) end: Instant,
}

/// A record, or a free place.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// Both addresses, as IPv6 has them.
    local: [u8; 16],
    remote: [u8; 16],
    local_port: u16,
    remote_port: u16,
    on: InterfaceId,
    wait: TimeWait,
    v4: bool,
    ttl: u8,
    tos: u8,
    live: bool,
    /// Neighbours in the order of ends, or [`NONE`]; the next free place.
    previous: u32,
    next: u32,
    end: Instant,
}

const NONE: u32 = u32::MAX;

/// Records of one peer that are looked at for one that may give its name away.
const LOOKED_AT: usize = 16;

#[derive(Debug)]
pub(super) struct TimeWaits {
    reuse: TimeWaitReuse,
    /// Those that `reuse` speaks of.
    by_peer: ByPeer,
    records: Vec<Record>,
    /// The one that ends first, and the one that ends last.
    first: u32,
    last: u32,
    /// Those that end before one which was there already, and have no neighbours.
    aside: BTreeSet<(Instant, u32)>,
    free: u32,
    len: usize,
    /// Of those records that have one which was asked for: few do.
    labels: BTreeMap<u32, Label>,
}

impl TimeWaits {
    pub(super) fn new(reuse: TimeWaitReuse) -> Self {
        Self {
            reuse,
            by_peer: ByPeer::default(),
            records: Vec::new(),
            first: NONE,
            last: NONE,
            aside: BTreeSet::new(),
            free: NONE,
            len: 0,
            labels: BTreeMap::new(),
        }
    }

    /// May new connections take over the names of records on this interface?
    fn may_reuse(&self, on: InterfaceId) -> bool {
        match self.reuse {
            TimeWaitReuse::Off => false,
            TimeWaitReuse::Loopback => on == InterfaceId::LOOPBACK,
            TimeWaitReuse::Always => true,
        }
    }

    /// What the records between these ends are known by, if they may be reused.
    fn list_of(&self, on: InterfaceId, tuple: &Tuple) -> Option<Between> {
        self.may_reuse(on).then(|| Between::new(on, tuple))
    }

    /// May a new connection take over the name of this record, if that [ends by](Record::gives_way) `latest`?
    pub(super) fn gives_way(&self, index: u32, latest: Instant) -> bool {
        let record = self.records.get(index as usize);
        record.is_some_and(|record| self.may_reuse(record.on) && record.gives_way(latest))
    }

    /// Our port of a record between the ends of `tuple`, whatever port that names, which a new connection may take:
    /// `is_fit` itself, and it [gives way](Record::gives_way).
    pub(super) fn reusable(
        &self,
        on: InterfaceId,
        tuple: &Tuple,
        latest: Instant,
        is_fit: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let between = self.list_of(on, tuple)?;
        let records = self.by_peer.of(&between).take(LOOKED_AT);
        let mut records = records.filter_map(|index| self.records.get(index as usize));
        let fit = |record: &&Record| record.gives_way(latest) && is_fit(record.local_port);
        records.find(fit).map(|record| record.local_port)
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The most records that were there at a time.
    pub(super) const fn places(&self) -> usize {
        self.records.len()
    }

    /// Adds a record that ends at `end`; returns its slot.
    pub(super) fn insert(&mut self, name: &Name, wait: TimeWait, end: Instant) -> u32 {
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let Tuple { local, remote, .. } = name.tuple;
        let record = Record {
            local: octets(local.ip),
            remote: octets(remote.ip),
            local_port: local.port,
            remote_port: remote.port,
            on: name.on,
            wait,
            v4: local.ip.is_ipv4(),
            ttl: name.ttl,
            tos: name.tos,
            live: true,
            previous: NONE,
            next: NONE,
            end,
        };
        let index = if self.free == NONE {
            make_room(&mut self.records, 1);
            self.records.push(record);
            u32::try_from(self.records.len() - 1).unwrap_or(NONE)
        } else {
            let index = self.free;
            self.free = self.at(index).next;
            *self.at(index) = record;
            index
        };
        if name.label.given().is_some() {
            self.labels.insert(index, name.label);
        }
        self.len += 1;
        self.link(index);
        if let Some(between) = self.list_of(name.on, &name.tuple) {
            self.by_peer.push(between, index);
        }
        index
    }

    /// The record in a slot, and its name.
    pub(super) fn get(&self, index: u32) -> Option<(Name, TimeWait)> {
        let record = self.records.get(index as usize)?;
        record.live.then(|| (self.name(index, record), record.wait))
    }

    /// What the record judges by has changed.
    pub(super) fn update(&mut self, index: u32, wait: TimeWait) {
        self.at(index).wait = wait;
    }

    /// The record waits anew, till `end`.
    pub(super) fn restart(&mut self, index: u32, end: Instant) {
        self.unlink(index);
        self.at(index).end = end;
        self.link(index);
        if let Some((name, _)) = self.get(index)
            && let Some(between) = self.list_of(name.on, &name.tuple)
        {
            self.by_peer.remove(&between, index);
            self.by_peer.push(between, index);
        }
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, index: u32) -> Option<(Name, TimeWait)> {
        let found = self.get(index)?;
        self.unlink(index);
        if let Some(between) = self.list_of(found.0.on, &found.0.tuple) {
            self.by_peer.remove(&between, index);
        }
        self.labels.remove(&index);
        let free = self.free;
        let record = self.at(index);
        record.live = false;
        record.next = free;
        self.free = index;
        self.len -= 1;
        Some(found)
    }

    /// The slot of the record that ends first, and when it does.
    pub(super) fn first(&self) -> Option<(u32, Instant)> {
        let listed = self.records.get(self.first as usize);
        let listed = listed.map(|record| (record.end, self.first));
        let first = listed.into_iter().chain(self.aside.first().copied()).min();
        first.map(|(end, index)| (index, end))
    }

    /// When a record ends.
    pub(super) fn end_of(&self, index: u32) -> Option<Instant> {
        let record = self.records.get(index as usize)?;
        record.live.then_some(record.end)
    }

    fn name(&self, index: u32, record: &Record) -> Name {
        Name {
            tuple: record.tuple(),
            on: record.on,
            ttl: record.ttl,
            tos: record.tos,
            label: self.labels.get(&index).copied().unwrap_or_default(),
        }
    }

    fn at(&mut self, index: u32) -> &mut Record {
        &mut self.records[index as usize]
    }

    fn link(&mut self, index: u32) {
        let end = self.at(index).end;
        let before = self.records.get(self.last as usize);
        if before.is_some_and(|record| end < record.end) {
            self.aside.insert((end, index));
            return;
        }
        let last = core::mem::replace(&mut self.last, index);
        let record = self.at(index);
        (record.previous, record.next) = (last, NONE);
        if last == NONE {
            self.first = index;
        } else {
            self.at(last).next = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Record {
            previous,
            next,
            end,
            ..
        } = *self.at(index);
        if self.aside.remove(&(end, index)) {
            return;
        }
        if previous == NONE {
            self.first = next;
        } else {
            self.at(previous).next = next;
        }
        if next == NONE {
            self.last = previous;
        } else {
            self.at(next).previous = previous;
        }
    }
}

impl Record {
    /// It had timestamps, so that what is old is told from what is new (RFC 6191, RFC 7323 §5), and it ends by `latest`, so
    /// that it has waited long enough.
    fn gives_way(&self, latest: Instant) -> bool {
        self.live && self.wait.has_timestamps() && self.end <= latest
    }

    fn tuple(&self) -> Tuple {
        let ip = |octets: [u8; 16]| {
            let v6 = Ipv6Addr::from(octets);
            match v6.to_ipv4_mapped() {
                Some(v4) if self.v4 => IpAddr::V4(v4),
                _ => IpAddr::V6(v6),
            }
        };
        let local = (ip(self.local), self.local_port);
        let remote = (ip(self.remote), self.remote_port);
        Tuple::new(self.on, local, remote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(number: u16, v4: bool) -> Name {
        let ip: [IpAddr; 2] = if v4 {
            ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()]
        } else {
            ["fe80::1".parse().unwrap(), "fe80::2".parse().unwrap()]
        };
        let on = InterfaceId::from_index(3);
        Name {
            tuple: Tuple::new(on, (ip[0], number), (ip[1], 80)),
            on,
            ttl: 64,
            tos: 1,
            label: Label::asked(Some(u32::from(number))),
        }
    }

    /// With an eighth of room to grow and 30 bytes at most in the table of flows, below 128.
    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Record>() <= 80, "{}", size_of::<Record>());
    }

    proptest! {
        #[test]
        fn equals_a_list_in_order(steps in prop::collection::vec((0u8..5, 0usize..9), 1..100)) {
            let mut waits = TimeWaits::new(TimeWaitReuse::Always);
            let mut model: Vec<(u32, Name, Instant)> = Vec::new();
            for (now, (step, pick)) in steps.into_iter().enumerate() {
                let at = Instant::from_millis(now as u64 / 2);
                let number = u16::try_from(now).unwrap();
                match step {
                    0 | 1 => {
                        let name = name(number, step == 0);
                        model.push((waits.insert(&name, TimeWait::default(), at), name, at));
                    }
                    // One that comes back, and ends before others.
                    4 => {
                        let name = name(number, true);
                        let end = Instant::from_millis((now as u64 / 2).saturating_sub(pick as u64));
                        model.push((waits.insert(&name, TimeWait::default(), end), name, end));
                    }
                    2 if !model.is_empty() => {
                        let (index, name, _) = model.remove(pick % model.len());
                        waits.restart(index, at);
                        model.push((index, name, at));
                    }
                    _ if !model.is_empty() => {
                        let (index, name, _) = model.remove(pick % model.len());
                        prop_assert_eq!(waits.remove(index).map(|(name, _)| name), Some(name));
                        prop_assert!(waits.remove(index).is_none());
                    }
                    _ => {}
                }
                prop_assert_eq!(waits.len(), model.len());
                let first = waits.first();
                prop_assert_eq!(first.map(|first| first.1), model.iter().map(|m| m.2).min());
                prop_assert!(first.is_none_or(|(index, end)| model.iter().any(|m| (m.0, m.2) == (index, end))));
                for (index, name, end) in &model {
                    prop_assert_eq!(waits.end_of(*index), Some(*end));
                    prop_assert_eq!(waits.get(*index).map(|(name, _)| name), Some(*name));
                }
            }
        }
    }
}
