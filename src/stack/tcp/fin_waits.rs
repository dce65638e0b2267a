//! FIN-WAIT-2 without a user, as small records: what a peer that never closes can make us keep.
//!
//! RFC 9293 §3.6.1; Linux's TIME-WAIT sockets in the substate FIN-WAIT-2. *Owns* the records' way from
//! a connection to TIME-WAIT, or to their end. *Does not* judge segments: `crate::tcp` does.
//! They are no orphans, whose number is small because each has buffers; they are as many as there may
//! be TIME-WAIT records, and beyond that a connection ends with its last acknowledgment.

use std::collections::BTreeMap;

use super::HalfOpenSlot;
use super::Listener;
use super::time_waits::{Name, Previous};
use crate::base::{DropReason, Instant};
use crate::stack::Stack;
use crate::stack::ids::{Id, InterfaceId, RawId, Slab, TcpId};
use crate::stack::packet::Label;
use crate::stack::tcp_flows::TcpEntry;
use crate::stack::tuple::Tuple;
use crate::stack::wheel::TimerKey;
use crate::tcp::{FinWait, FinWaitStep, Segment};

/// A record and its place.
#[derive(Debug)]
pub(super) struct FinWaitSlot {
    pub(super) tuple: Tuple,
    pub(super) on: InterfaceId,
    ttl: u8,
    tos: u8,
    record: FinWait,
}

/// All records.
#[derive(Debug)]
pub(super) struct FinWaits {
    slots: Slab<RawId, FinWaitSlot>,
    /// Of those that have a label which was asked for: few do.
    labels: BTreeMap<u32, Label>,
}

impl FinWaits {
    pub(super) const fn new() -> Self {
        Self {
            slots: Slab::new(),
            labels: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn places(&self) -> usize {
        self.slots.places()
    }

    /// The record in a slot.
    pub(super) fn at(&self, index: u32) -> Option<(RawId, &FinWaitSlot)> {
        self.slots.at(index)
    }

    fn insert(&mut self, name: &Name, record: FinWait) -> RawId {
        let &Name {
            tuple,
            on,
            ttl,
            tos,
            label,
        } = name;
        let raw = self.slots.insert(FinWaitSlot {
            tuple,
            on,
            ttl,
            tos,
            record,
        });
        if label.given().is_some() {
            self.labels.insert(raw.index(), label);
        }
        raw
    }

    /// What a record's segments leave with, and what judges those that come.
    fn get_mut(&mut self, raw: RawId) -> Option<(Name, &mut FinWait)> {
        let label = self.labels.get(&raw.index()).copied();
        let slot = self.slots.get_mut(raw)?;
        Some((slot.name(label), &mut slot.record))
    }

    fn remove(&mut self, raw: RawId) -> Option<(Name, FinWait)> {
        let slot = self.slots.remove(raw)?;
        let label = self.labels.remove(&raw.index());
        Some((slot.name(label), slot.record))
    }
}

impl FinWaitSlot {
    fn name(&self, label: Option<Label>) -> Name {
        Name {
            tuple: self.tuple,
            on: self.on,
            ttl: self.ttl,
            tos: self.tos,
            label: label.unwrap_or_default(),
        }
    }
}

impl Stack {
    /// FIN-WAIT-2 of a connection that its user gave up goes on as a record.
    pub(super) fn enter_fin_wait(&mut self, now: Instant, id: TcpId) {
        let Some(slot) = self.tcp.slots.get_mut(id) else {
            return;
        };
        let record = FinWait::of(&slot.connection);
        let owes = slot.connection.take_owed_ack();
        let end = now + slot.connection.setup.options.fin_timeout_setting();
        let name = Name::of(slot);
        self.end_tcp(id);
        if owes {
            self.answer_in_time_wait(&name, &record.ack(now));
        }
        if self.tcp.fin_wait.len() >= self.config.time_wait_limit {
            self.net.counters.tcp_time_wait_full += 1;
            return;
        }
        let raw = self.tcp.fin_wait.insert(&name, record);
        let entry = TcpEntry::FinWait(raw.index());
        let free = self.demux.tcp.flows.insert(&name.tuple, entry);
        debug_assert!(free.is_ok(), "the connection gave its name up");
        let timer = TimerKey::FinWait(raw.index());
        self.net.timers.set(timer, Some(end));
    }

    /// A segment for such a record.
    pub(super) fn on_fin_wait(
        &mut self,
        now: Instant,
        raw: RawId,
        seg: &Segment,
    ) -> Result<(), DropReason> {
        let Some((name, own)) = self.tcp.fin_wait.get_mut(raw) else {
            return Err(DropReason::TcpNoSocket);
        };
        match own.on_segment(seg) {
            FinWaitStep::Taken => Ok(()),
            FinWaitStep::Finished(record) => {
                self.remove_fin_wait(raw);
                let end = now + self.config.time_wait;
                self.begin_time_wait(end, &name, record, None);
                self.answer_in_time_wait(&name, &record.ack(now));
                Ok(())
            }
            FinWaitStep::Refused(reset) => {
                self.end_fin_wait(raw);
                self.say_farewell(name, reset);
                Err(DropReason::TcpTextRefused)
            }
            FinWaitStep::Reset => {
                self.net.counters.tcp_resets_received += 1;
                self.end_fin_wait(raw);
                Ok(())
            }
            FinWaitStep::Answer(reason) => {
                let ack = own.ack(now);
                self.answer_in_time_wait(&name, &ack);
                Err(reason)
            }
            FinWaitStep::Dropped(reason) => Err(reason),
        }
    }

    /// The peer's FIN has not come: quietly, as everything was acknowledged.
    pub(in crate::stack) fn tcp_fin_wait_timeout(&mut self, index: u32) {
        if let Some((raw, _)) = self.tcp.fin_wait.at(index) {
            self.end_fin_wait(raw);
        }
    }

    /// Resets them all.
    pub(super) fn reset_fin_waits(&mut self) {
        let all = self.tcp.fin_wait.slots.iter();
        let all: Vec<_> = all.map(|(raw, _)| raw).collect();
        for raw in all {
            if let Some((name, record)) = self.end_fin_wait(raw) {
                self.say_farewell(name, record.reset());
            }
        }
    }

    /// Removes one that is not followed by TIME-WAIT.
    pub(super) fn end_fin_wait(&mut self, raw: RawId) -> Option<(Name, FinWait)> {
        let (name, record) = self.remove_fin_wait(raw)?;
        self.note_end(&name.tuple, record.snd_nxt());
        Some((name, record))
    }

    fn remove_fin_wait(&mut self, raw: RawId) -> Option<(Name, FinWait)> {
        let (name, record) = self.tcp.fin_wait.remove(raw)?;
        self.net.timers.set(TimerKey::FinWait(raw.index()), None);
        let entry = TcpEntry::FinWait(raw.index());
        self.demux.tcp.remove_flow(&name.tuple, entry);
        Some((name, record))
    }

    /// RFC 9293 §3.6.1 MAY-2 (2): the SYN that ended TIME-WAIT was an old duplicate, for its SYN-ACK
    /// was reset. Of any other half-open connection nothing stays.
    pub(super) fn return_to_time_wait(&mut self, now: Instant, raw: RawId) {
        if let Some(slot) = self.end_half_open(raw)
            && let Some(previous) = &slot.previous
        {
            self.go_on_waiting(now, &self.name_of_half(&slot), previous);
        }
    }

    /// The TIME-WAIT that a SYN had ended goes on until it would have been over: who sends SYNs and resets them does not put that off.
    pub(super) fn go_on_waiting(&mut self, now: Instant, name: &Name, previous: &Previous) {
        let Previous { wait, end } = *previous;
        if now < end {
            self.begin_time_wait(end, name, wait, None);
        }
    }

    /// What a half-open connection's segments leave with.
    pub(super) fn name_of_half(&self, slot: &HalfOpenSlot) -> Name {
        let listener = self.tcp.listeners.get(slot.listener);
        let asked = listener.map(Listener::manner).unwrap_or_default();
        let by_default = || self.net.ttl_to(slot.on, slot.tuple.remote.ip);
        Name {
            tuple: slot.tuple,
            on: slot.on,
            ttl: asked.ttl.unwrap_or_else(by_default),
            tos: asked.tos,
            label: asked.label,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With its timer and its flow below 192 bytes.
    #[test]
    fn a_record_is_small() {
        assert!(
            size_of::<FinWaitSlot>() <= 80,
            "{}",
            size_of::<FinWaitSlot>()
        );
    }
}
