//! FIN-WAIT-2 without a user, as small records: what a peer that never closes can make us keep.
//!
//! RFC 9293 §3.6.1; Linux's TIME-WAIT sockets in the substate FIN-WAIT-2. *Owns* the records' way from
//! a connection to TIME-WAIT, or to their end. *Does not* judge segments: `crate::tcp` does.
//! They are no orphans, whose number is small because each has buffers; they are as many as there may
//! be TIME-WAIT records, and beyond that a connection ends with its last acknowledgment.

use super::HalfOpenSlot;
use super::Listener;
use super::time_waits::Name;
use crate::base::{DropReason, Instant};
use crate::stack::Stack;
use crate::stack::ids::{Id, RawId, TcpId};
use crate::stack::tcp_flows::TcpEntry;
use crate::stack::wheel::TimerKey;
use crate::tcp::{FinWait, FinWaitStep, Segment};

/// A record and its place.
#[derive(Debug)]
pub(super) struct FinWaitSlot {
    pub(super) name: Name,
    record: FinWait,
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
        let raw = self.tcp.fin_wait.insert(FinWaitSlot { name, record });
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
        let Some(slot) = self.tcp.fin_wait.get_mut(raw) else {
            return Err(DropReason::TcpNoSocket);
        };
        let name = slot.name;
        match slot.record.on_segment(seg) {
            FinWaitStep::Taken => Ok(()),
            FinWaitStep::Finished(record) => {
                self.remove_fin_wait(raw);
                self.begin_time_wait(now, &name, record, None);
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
                let ack = slot.record.ack(now);
                self.answer_in_time_wait(&name, &ack);
                Err(reason)
            }
            FinWaitStep::Dropped(reason) => Err(reason),
        }
    }

    /// The peer's FIN has not come: quietly, as everything was acknowledged.
    pub(in crate::stack) fn tcp_fin_wait_timeout(&mut self, index: u32) {
        if let Some(raw) = self.tcp.fin_wait.id_at(index) {
            self.end_fin_wait(raw);
        }
    }

    /// Resets them all.
    pub(super) fn reset_fin_waits(&mut self) {
        let all: Vec<_> = self.tcp.fin_wait.iter().map(|(raw, _)| raw).collect();
        for raw in all {
            if let Some(slot) = self.end_fin_wait(raw) {
                self.say_farewell(slot.name, slot.record.reset());
            }
        }
    }

    /// Removes one that is not followed by TIME-WAIT.
    pub(super) fn end_fin_wait(&mut self, raw: RawId) -> Option<FinWaitSlot> {
        let slot = self.remove_fin_wait(raw)?;
        self.note_end(&slot.name.tuple, slot.record.snd_nxt());
        Some(slot)
    }

    fn remove_fin_wait(&mut self, raw: RawId) -> Option<FinWaitSlot> {
        let slot = self.tcp.fin_wait.remove(raw)?;
        self.net.timers.set(TimerKey::FinWait(raw.index()), None);
        let entry = TcpEntry::FinWait(raw.index());
        self.demux.tcp.remove_flow(&slot.name.tuple, entry);
        Some(slot)
    }

    /// RFC 9293 §3.6.1 MAY-2 (2): the SYN that ended TIME-WAIT was an old duplicate, for its SYN-ACK
    /// was reset. Of any other half-open connection nothing stays.
    pub(super) fn return_to_time_wait(&mut self, now: Instant, raw: RawId) {
        if let Some(slot) = self.end_half_open(raw)
            && let Some(previous) = &slot.previous
        {
            self.begin_time_wait(now, &self.name_of_half(&slot), **previous, None);
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
