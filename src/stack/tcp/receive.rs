//! A segment's way from IP to its connection, record or listener (RFC 9293 §3.10.7).

use core::num::NonZeroU16;

use bytes::{Buf, Bytes};

use super::follow::Around;
use super::listen::tuple_of;
use super::time_waits::{Name, Previous};
use super::{Listener, Owner, Slot};
use crate::base::Protocol;
use crate::base::{DropReason, Instant};
use crate::link::RxChecksum;
use crate::stack::Stack;
use crate::stack::ids::{InterfaceId, TcpId};
use crate::stack::packet::{Inbound, Manner};
use crate::stack::tcp_flows::TcpEntry;
use crate::stack::tuple::Tuple;
use crate::tcp::{
    Bare, Control, Header, Marks, Options, Outcome, Reset, Segment, SeqNum, State, TimeWaitStep,
    refusal,
};
use crate::{ipv4, ipv6};
use core::net::IpAddr;
use core::ops::ControlFlow;

impl Stack {
    pub(in crate::stack) fn handle_tcp(&mut self, now: Instant, packet: &mut Inbound) {
        if let Err(reason) = self.take_segment(now, packet) {
            self.net.counters.drops.count(reason);
        }
    }

    fn take_segment(&mut self, now: Instant, packet: &mut Inbound) -> Result<(), DropReason> {
        let seg = parse(packet)?;
        let packet = &*packet;
        let tuple = tuple_of(packet);
        match self.tcp.owner(&self.demux.tcp.flows, &tuple) {
            Some(Owner::Connection(id)) if seg.control == Control::Syn => {
                self.on_answer_to_syn(now, id, packet, &seg)
            }
            Some(Owner::Connection(id)) => {
                self.on_connection(now, id, (packet.on, packet.ttl), &seg)
            }
            Some(Owner::HalfOpen(raw)) => self.on_half_open(now, raw, packet, &seg),
            Some(Owner::TimeWait(index)) => self.on_time_wait(now, index, packet, &seg),
            Some(Owner::FinWait(raw)) => self.on_fin_wait(now, raw, &seg),
            None => self.on_no_flow(now, packet, &seg, &tuple, None),
        }
    }

    /// A segment without a flow: a listener's, or nobody's (RFC 9293 §3.10.7.1).
    fn on_no_flow(
        &mut self,
        now: Instant,
        packet: &Inbound,
        seg: &Segment,
        tuple: &Tuple,
        previous: Option<Previous>,
    ) -> Result<(), DropReason> {
        match self.demux.tcp.listener(packet.on, tuple) {
            Some(listener) => self.on_listen(now, listener, packet, seg, previous),
            None => {
                self.refuse(packet, seg);
                Err(DropReason::TcpNoSocket)
            }
        }
    }

    /// Answers with a RST, unless the segment is one.
    pub(super) fn refuse(&mut self, packet: &Inbound, seg: &Segment) {
        let Some(reset) = refusal(seg) else { return };
        let tuple = tuple_of(packet);
        if let Some(flow) = self.answer_flow(&tuple, packet.on, Manner::default()) {
            self.queue_reset(packet.on, &flow, &tuple, reset);
        }
    }

    /// A segment for a connection that came in on `on` with `ttl`, and everything that follows.
    pub(super) fn on_connection(
        &mut self,
        now: Instant,
        id: TcpId,
        (on, ttl): (InterfaceId, u8),
        seg: &Segment,
    ) -> Result<(), DropReason> {
        let (slots, mut around) = self.slots_and_around();
        let Some(slot) = slots.get_mut(id) else {
            return Err(DropReason::TcpNoSocket);
        };
        if slot.held && slot.path.on != on {
            return Err(DropReason::TcpNoSocket);
        }
        // RFC 5082 §3.
        if ttl < slot.connection.setup.options.min_ttl_setting() {
            return Err(DropReason::TcpTooFar);
        }
        let result = match slot.take_segment(now, seg, &mut around) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(Outcome::Dropped(reason)) => Err(reason),
            ControlFlow::Break(Outcome::Reset) => {
                around.net.counters.tcp_resets_received += 1;
                if slot.connection.is_fast() {
                    self.note_fast_reset(now, id);
                    self.after_tcp(now, id);
                    return Ok(());
                }
                Ok(())
            }
            ControlFlow::Break(Outcome::Refused(reset)) => {
                let reason = self.on_refused(id, reset);
                self.after_tcp(now, id);
                return Err(reason);
            }
        };
        let rest = slot.follow(id, &mut around);
        self.finish(now, id, &rest);
        result
    }

    /// A connection refused a segment: with its last one, or as no segment of its peer's.
    fn on_refused(&mut self, id: TcpId, reset: Reset) -> DropReason {
        let Some(slot) = self.tcp.slots.get(id) else {
            return DropReason::TcpNoSocket;
        };
        if slot.connection.state == State::Closed {
            self.owe_reset(id, Some(reset));
            return DropReason::TcpTextRefused;
        }
        let (path, tuple) = (slot.path, slot.tuple());
        self.queue_reset(path.on, &path.flow, &tuple, reset);
        DropReason::TcpBadAck
    }

    fn on_time_wait(
        &mut self,
        now: Instant,
        index: u32,
        packet: &Inbound,
        seg: &Segment,
    ) -> Result<(), DropReason> {
        let Some((name, mut record)) = self.tcp.time_wait.get(index) else {
            return Err(DropReason::TcpNoSocket);
        };
        let before = record;
        let step = record.on_segment(seg);
        if record != before {
            self.tcp.time_wait.update(index, record);
        }
        match step {
            TimeWaitStep::Restart => {
                let end = now + self.config.time_wait;
                self.tcp.time_wait.restart(index, end);
                self.set_time_wait_timer();
                self.answer_in_time_wait(&name, &record.ack(now));
                Ok(())
            }
            TimeWaitStep::Answer(reason) => {
                self.answer_in_time_wait(&name, &record.ack(now));
                Err(reason)
            }
            TimeWaitStep::Reuse => {
                // Only a listener with room may take the name over; else the record answers as ever.
                let full = self.has_no_memory();
                let listener = self
                    .demux
                    .tcp
                    .listener(packet.on, &name.tuple)
                    .and_then(|id| self.tcp.listeners.get(id));
                if full || listener.is_none_or(Listener::is_full) {
                    self.answer_in_time_wait(&name, &record.ack(now));
                    return Err(DropReason::TcpUnexpectedSyn);
                }
                // What is refused has changed nothing: the record ends when it would have (only a FIN may put that off).
                let entry = TcpEntry::TimeWait(index);
                self.demux.tcp.remove_flow(&name.tuple, entry);
                let end = self.tcp.time_wait.end_of(index).unwrap_or(now);
                let previous = Previous { wait: record, end };
                let taken = self.on_no_flow(now, packet, seg, &name.tuple, Some(previous));
                if taken.is_err() {
                    let free = self.demux.tcp.flows.insert(&name.tuple, entry);
                    debug_assert!(free.is_ok(), "what is refused takes no name");
                } else {
                    self.tcp.time_wait.remove(index);
                }
                taken
            }
            TimeWaitStep::Dropped(reason) => Err(reason),
        }
    }

    pub(super) fn answer_in_time_wait(&mut self, name: &Name, bare: &Bare) {
        if let Some(flow) = self.answer_flow(&name.tuple, name.on, name.manner()) {
            self.queue_bare(name.on, &flow, &name.tuple, bare);
        }
    }
}

impl Slot {
    /// Hands the connection a segment, with what concerns the layers below.
    fn take_segment(
        &mut self,
        now: Instant,
        seg: &Segment,
        around: &mut Around<'_>,
    ) -> ControlFlow<Outcome> {
        let connection = &mut self.connection;
        if !seg.text.is_empty() {
            let segs = seg.text_len().div_ceil(seg.wire_text());
            around.net.share_queue(self.path.on, segs, connection);
        }
        connection.rcv.budget = around.memory.budget();
        let una = connection.snd.una;
        let step = connection.on_segment(now, seg);
        if connection.snd.una != una {
            // RFC 4861 §7.3.1: forward progress.
            around
                .net
                .confirm(now, self.path.on, self.path.flow.next_hop);
        }
        step
    }
}

/// Reads the header, checks the checksum, and takes the text out of the packet.
fn parse(packet: &mut Inbound) -> Result<Segment, DropReason> {
    if packet.checksum == RxChecksum::Unknown && !checksum_is_right(packet) {
        return Err(DropReason::TcpChecksum);
    }
    let (header, _) = Header::parse(&packet.segment).map_err(|_| DropReason::TcpMalformed)?;
    let ports = (header.src_port(), header.dst_port());
    if NonZeroU16::new(ports.0).is_none() || NonZeroU16::new(ports.1).is_none() {
        return Err(DropReason::TcpMalformed);
    }
    let flags = header.flags();
    let control = Control::from_flags(flags);
    let len = header.len();
    packet.ports = ports;
    packet.fin = flags.contains(crate::tcp::Flags::FIN);
    let mut seg = Segment {
        seq: SeqNum::new(header.seq()),
        ack: flags
            .contains(crate::tcp::Flags::ACK)
            .then(|| SeqNum::new(header.ack())),
        control,
        wnd: header.window(),
        options: Options::parse(header.options_bytes()),
        marks: Marks::new(flags, packet.tos),
        urgent: header.urgent(),
        text: Bytes::new(),
        segment_size: packet.segment_size,
        at: packet.at,
    };
    // RFC 9293 §3.5.3 SHLD-2: text on a RST says why, to people; it takes no numbers.
    match control {
        Control::Rst => {}
        // Its options are read again, by who needs one that no other segment has.
        Control::Syn => seg.text = packet.segment.slice(len..),
        Control::Fin | Control::None => {
            seg.text = core::mem::take(&mut packet.segment);
            seg.text.advance(len);
        }
    }
    Ok(seg)
}

/// RFC 9293 §3.1 MUST-3.
fn checksum_is_right(packet: &Inbound) -> bool {
    let len = packet.segment.len();
    let pseudo = match (packet.src, packet.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::pseudo_sum(src, dst, Protocol::TCP, len),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6::pseudo_sum(src, dst, Protocol::TCP, len),
        _ => return false,
    };
    pseudo.bytes(&packet.segment).is_valid()
}
