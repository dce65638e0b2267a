//! Passive OPEN: listeners, half-open records, and the way to an accepted connection
//! (RFC 9293 §3.10.7.2).

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use super::fast_open::{FastQueue, FastStep};
use super::listen_options::ListenOptions;
use super::requests::Holding;
use super::time_waits::Previous;
use super::{AcceptError, HalfOpenSlot, ListenError, Listener};
use crate::base::{DropReason, Instant};
use crate::stack::demux::{ANY_PORT, Refused};
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::{Id, InterfaceId, ListenerId, RawId, TcpId};
use crate::stack::ip::NatKind;
use crate::stack::packet::{Flow, Inbound, Manner};
use crate::stack::tcp_flows::TcpEntry;
use crate::stack::tuple::Tuple;
use crate::stack::wheel::TimerKey;
use crate::stack::{Call, Stack};
use crate::tcp::{
    Bare, Control, Ecn, FastWord, HalfOpen, HalfOpenStep, Opening, Segment, SeqNum, TcpOptions,
    TimeWait, syn_window, window_scale,
};

// RFC 6298 §2 (2.1), of a listener that is gone: its half-open connections go with it.
const FIRST_WAIT: Duration = Duration::from_secs(1);

impl Stack {
    /// Listens on `local`; port 0 takes an ephemeral one.
    ///
    /// # Errors
    /// [`ListenError`], when the endpoint is taken or not ours.
    pub fn tcp_listen(
        &mut self,
        local: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        self.note_call(None, |_| Call::TcpListen(local, options.clone()));
        let listens = self.listen_on(local, options);
        self.note_outcome(listens)
    }

    fn listen_on(
        &mut self,
        local: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let ip = local.ip();
        if ip.is_multicast() {
            return Err(ListenError::GroupAddress);
        }
        let (mut local, zone) = self
            .local_endpoint(local)
            .map_err(|_| ListenError::AddressNotAvailable)?;
        let dual = options.dual_stack;
        let on = options.interface;
        // Of another link, or of none: it would hear nothing (RFC 4007 §6).
        let hears = |on: InterfaceId| {
            self.net.interfaces.get(on.index()).is_some() && (zone == 0 || zone == on.scope())
        };
        if let Some(none) = on.filter(|&on| !hears(on)) {
            return Err(ListenError::Interface(none));
        }
        if options.any_port && local.port() != ANY_PORT {
            return Err(ListenError::PortGiven);
        }
        if local.port() == 0 && !options.any_port {
            let port =
                self.demux
                    .tcp
                    .free_port(&mut self.ephemeral, (local, zone, dual), |local| {
                        self.net.is_mapped(NatKind::Tcp, local)
                    });
            local.set_port(port.ok_or(ListenError::NoPort)?.get());
        }
        if self.net.is_mapped(NatKind::Tcp, local) {
            return Err(ListenError::InUse);
        }
        let id = self.tcp.listeners.next_id();
        self.demux
            .tcp
            .bind_as((local, zone, dual), id, options.claim())
            .map_err(|refused| match refused {
                Refused::InUse => ListenError::InUse,
                Refused::Crowded => ListenError::Shared,
            })?;
        let syn_cookies = options.syn_cookies;
        let fast = FastQueue::new(options.fast_open);
        let holding = Holding::new(options.hold);
        let options = (Arc::new(options.tcp), options.backlog);
        self.tcp.listeners.insert(Listener {
            local,
            on,
            options: options.0,
            backlog: options.1,
            room: options.1,
            half_open: 0,
            syn_cookies,
            cookie_sent: None,
            complete: VecDeque::new(),
            fast,
            holding,
        });
        self.events.register(SocketId::Listener(id));
        Ok(id)
    }

    /// Takes the oldest complete connection.
    ///
    /// # Errors
    /// [`AcceptError::WouldBlock`] arms the ACCEPTABLE event again.
    pub fn tcp_accept(&mut self, now: Instant, id: ListenerId) -> Result<TcpId, AcceptError> {
        self.note_call(Some(now), |_| Call::TcpAccept(id));
        let _ = self.net.clamp(now);
        let accepted = self.take_complete(id);
        self.note_outcome(accepted)
    }

    fn take_complete(&mut self, id: ListenerId) -> Result<TcpId, AcceptError> {
        let gone = self.listener_has_lost(id);
        let listener = self.tcp.listeners.get_mut(id).ok_or(AcceptError::Stale)?;
        if gone {
            return Err(AcceptError::AddressGone);
        }
        let Some(accepted) = listener.complete.pop_front() else {
            self.events
                .rearm(SocketId::Listener(id), Readiness::ACCEPTABLE);
            return Err(AcceptError::WouldBlock);
        };
        Ok(accepted)
    }

    /// Is there a connection to accept, or a request? `None` of a listener that is gone.
    pub(in crate::stack) fn listener_ready(&mut self, id: ListenerId) -> Option<Readiness> {
        let gone = self.listener_has_lost(id);
        let listener = self.tcp.listeners.get_mut(id)?;
        let half_open = &self.tcp.half_open;
        let asked = listener.holding.as_mut();
        let asked = asked.is_some_and(|all| all.has_any(|raw| half_open.get(raw).is_some()));
        let ready = gone || asked || !listener.complete.is_empty();
        Some(Readiness::ACCEPTABLE & Readiness::all_if(ready))
    }

    /// Closes a listener: connections that were not accepted are reset, half-open ones too (RFC 9293
    /// §3.10.5), accepted ones go on (r51).
    pub fn tcp_listener_close(&mut self, now: Instant, id: ListenerId) {
        self.note_call(Some(now), |_| Call::TcpListenerClose(id));
        let now = self.net.clamp(now);
        self.close_listener(now, id);
        self.note_outcome(());
    }

    fn close_listener(&mut self, now: Instant, id: ListenerId) {
        let Some(listener) = self.tcp.listeners.get(id) else {
            return;
        };
        self.reset_half_open(listener.half_open, |slot| slot.listener == id);
        let Some(listener) = self.tcp.listeners.remove(id) else {
            return;
        };
        self.events.forget(SocketId::Listener(id));
        self.demux.tcp.unbind(listener.local, id);
        for connection in listener.complete {
            self.abort_tcp(now, connection);
        }
    }

    /// RFC 9293 §3.10.7.2: a segment for a listener.
    pub(super) fn on_listen(
        &mut self,
        now: Instant,
        id: ListenerId,
        packet: &Inbound,
        seg: &Segment,
        previous: Option<Previous>,
    ) -> Result<(), DropReason> {
        self.check_way(id, packet)?;
        match (seg.control, seg.ack) {
            // First: a RST is ignored. Second: an ACK is refused. Third: a SYN is taken.
            (Control::Rst, _) => return Err(DropReason::TcpBadRst),
            (_, Some(_)) => {
                if let Some(redeemed) = self.redeem(now, id, packet, seg) {
                    return redeemed;
                }
                self.refuse(packet, seg);
                return Err(DropReason::TcpNoSocket);
            }
            // A SYN that ends what it begins is no request (as in Linux).
            (Control::Syn, None) if packet.fin => {
                return Err(DropReason::TcpMalformed);
            }
            (Control::Syn, None) => {}
            _ => return Err(DropReason::TcpNoAck),
        }
        if self.has_no_memory() {
            // The peer asks again.
            return Err(DropReason::TcpMemory);
        }
        let Some(listener) = self.tcp.listeners.get_mut(id) else {
            return Err(DropReason::TcpNoSocket);
        };
        let crowded = listener.is_crowded();
        let holds = listener.holding.is_some();
        if !listener.has_room() || (crowded && (holds || !listener.syn_cookies)) {
            return Err(DropReason::TcpBacklogFull);
        }
        let options = Arc::clone(&listener.options);
        let mut opening = Opening::of_syn(seg, u32::from(syn_window(&options)), &options);
        opening.ecn &= options.ecn_setting() != Ecn::Off;
        if crowded {
            listener.cookie_sent = Some(now);
            return self.answer_with_cookie(now, id, packet, opening, &options);
        }
        let waited = previous.as_ref().map(|previous| &previous.wait);
        if holds {
            let iss = self.first_number(now, packet, waited);
            let (slot, _) = self.request(id, packet, opening, iss, &options)?;
            return self.hold(now, slot, previous);
        }
        let given = match self.open_fast(now, id, (packet, seg), &opening, waited) {
            FastStep::Taken(taken) => return taken,
            FastStep::Ordinary(given) => given,
        };
        let iss = self.first_number(now, packet, waited);
        let (mut slot, flow) = self.request(id, packet, opening, iss, &options)?;
        slot.previous = previous.map(Box::new);
        self.begin_half_open(now, slot, &flow, given);
        Ok(())
    }

    fn first_number(&self, now: Instant, packet: &Inbound, previous: Option<&TimeWait>) -> SeqNum {
        let floor = previous.map(TimeWait::iss_floor);
        self.initial_number(now, ends_of(packet), floor)
    }

    /// A request is answered, with a cookie for the next time where one is `given`.
    fn begin_half_open(
        &mut self,
        now: Instant,
        slot: HalfOpenSlot,
        flow: &Flow,
        given: Option<FastWord>,
    ) {
        let id = slot.listener;
        let tuple = slot.tuple;
        let raw = self.tcp.half_open.insert(slot);
        let entry = TcpEntry::HalfOpen(raw.index());
        let free = self.demux.tcp.flows.insert(&tuple, entry);
        debug_assert!(free.is_ok(), "a segment for a listener has no flow");
        if let Some(listener) = self.tcp.listeners.get_mut(id) {
            listener.half_open += 1;
        }
        self.answer_over(now, raw, Some(flow), given);
    }

    /// What a SYN asks for, and the way back to who asks.
    pub(super) fn request(
        &self,
        listener: ListenerId,
        packet: &Inbound,
        opening: Opening,
        iss: SeqNum,
        options: &TcpOptions,
    ) -> Result<(HalfOpenSlot, Flow), DropReason> {
        let (tuple, on) = (tuple_of(packet), packet.on);
        let flow = self.answer_flow(&tuple, on, self.manner_of(listener));
        let flow = flow.ok_or(DropReason::NoRoute)?;
        let ends = ends_of(packet);
        let record = HalfOpen::new(
            opening,
            iss,
            self.tcp.isn.timestamp_offset(ends.0, ends.1),
            window_scale(options),
            self.net.link_mss(on, packet.dst).min(options.mss_limit()),
        );
        let slot = HalfOpenSlot {
            record,
            tuple,
            on,
            listener,
            previous: None,
        };
        Ok((slot, flow))
    }

    /// Sends the SYN-ACK again and waits for its ACK.
    fn answer_half_open(&mut self, now: Instant, raw: RawId) {
        let flow = self.half_open_flow(raw).map(|(flow, ..)| flow);
        // RFC 7413 §4.1.3: what comes again may have been dropped for its option.
        self.answer_over(now, raw, flow.as_ref(), None);
    }

    /// Sends the SYN-ACK, if there is a way, and waits for its ACK.
    fn answer_over(
        &mut self,
        now: Instant,
        raw: RawId,
        flow: Option<&Flow>,
        given: Option<FastWord>,
    ) {
        let Some(slot) = self.tcp.half_open.get_mut(raw) else {
            return;
        };
        let (tuple, on) = (slot.tuple, slot.on);
        let bare = slot.record.answer(now);
        let listener = self.tcp.listeners.get(slot.listener);
        let first = listener.map_or(FIRST_WAIT, |listener| listener.options.initial_rto_used());
        let deadline = now + slot.record.wait(first);
        self.net
            .timers
            .set(TimerKey::HalfOpen(raw.index()), Some(deadline));
        if let Some(flow) = flow {
            self.queue_bare_with(on, flow, &tuple, &bare, given);
        }
    }

    /// Queues a segment of a half-open connection.
    fn send_half_open(&mut self, raw: RawId, bare: &Bare) {
        if let Some((flow, tuple, on)) = self.half_open_flow(raw) {
            self.queue_bare(on, &flow, &tuple, bare);
        }
    }

    /// Where a half-open connection's segments go. Found anew each time, to keep the record small.
    pub(super) fn half_open_flow(&self, raw: RawId) -> Option<(Flow, Tuple, InterfaceId)> {
        let slot = self.tcp.half_open.get(raw)?;
        let asked = self.manner_of(slot.listener);
        let flow = self.answer_flow(&slot.tuple, slot.on, asked)?;
        Some((flow, slot.tuple, slot.on))
    }

    fn manner_of(&self, listener: ListenerId) -> Manner {
        let listener = self.tcp.listeners.get(listener);
        listener.map(Listener::manner).unwrap_or_default()
    }

    pub(in crate::stack) fn tcp_half_open_timeout(&mut self, now: Instant, index: u32) {
        let Some(raw) = self.tcp.half_open.id_at(index) else {
            return;
        };
        let Some(slot) = self.tcp.half_open.get_mut(raw) else {
            return;
        };
        if slot.record.held {
            return self.expire_request(now, raw);
        }
        let limit = self
            .tcp
            .listeners
            .get(slot.listener)
            .map(|listener| listener.options.syn_retry_limit());
        if limit.is_some_and(|limit| slot.record.retry(limit)) {
            self.net.counters.tcp_retransmits += 1;
            self.answer_half_open(now, raw);
        } else {
            self.end_half_open(raw);
        }
    }

    pub(super) fn remove_half_open(&mut self, raw: RawId) -> Option<HalfOpenSlot> {
        let slot = self.tcp.half_open.remove(raw)?;
        self.net.timers.set(TimerKey::HalfOpen(raw.index()), None);
        let entry = TcpEntry::HalfOpen(raw.index());
        self.demux.tcp.remove_flow(&slot.tuple, entry);
        if let Some(listener) = self.tcp.listeners.get_mut(slot.listener) {
            listener.half_open -= 1;
        }
        Some(slot)
    }

    /// RFC 9293 §3.10.7.4 in SYN-RECEIVED.
    pub(super) fn on_half_open(
        &mut self,
        now: Instant,
        raw: RawId,
        packet: &Inbound,
        seg: &Segment,
    ) -> Result<(), DropReason> {
        let listener = self.tcp.half_open.get(raw).map(|slot| slot.listener);
        if let Some(listener) = listener {
            self.check_way(listener, packet)?;
        }
        let Some(slot) = self.tcp.half_open.get_mut(raw) else {
            return Err(DropReason::TcpNoSocket);
        };
        if slot.record.held {
            return self.on_held(now, raw, seg);
        }
        match slot.record.on_segment(seg) {
            HalfOpenStep::Confirmed => self.complete(now, raw, packet, seg),
            HalfOpenStep::Answer => {
                self.answer_again(now, raw);
                Ok(())
            }
            HalfOpenStep::Reset => {
                self.net.counters.tcp_resets_received += 1;
                self.return_to_time_wait(now, raw);
                Ok(())
            }
            HalfOpenStep::Refused(reset) => {
                let listener = slot.listener;
                if let Some(redeemed) = self.redeem(now, listener, packet, seg) {
                    return redeemed;
                }
                if let Some((flow, tuple, on)) = self.half_open_flow(raw) {
                    self.queue_reset(on, &flow, &tuple, reset);
                }
                Err(DropReason::TcpBadAck)
            }
            HalfOpenStep::Challenge(reason) => {
                let ack = slot.record.ack(now);
                self.net.counters.tcp_challenge_acks += 1;
                self.send_half_open(raw, &ack);
                Err(reason)
            }
            HalfOpenStep::Dropped(reason) => Err(reason),
        }
    }

    /// The SYN came again: the SYN-ACK too, its timer as it was.
    fn answer_again(&mut self, now: Instant, raw: RawId) {
        let Some(slot) = self.tcp.half_open.get_mut(raw) else {
            return;
        };
        slot.record.note_repeat();
        let bare = slot.record.answer(now);
        self.send_half_open(raw, &bare);
    }

    /// Our SYN is acknowledged: the record becomes a connection, which takes the segment.
    fn complete(
        &mut self,
        now: Instant,
        raw: RawId,
        packet: &Inbound,
        seg: &Segment,
    ) -> Result<(), DropReason> {
        let Some(half) = self.tcp.half_open.get(raw) else {
            return Err(DropReason::TcpNoSocket);
        };
        let Some(listener) = self.tcp.listeners.get_mut(half.listener) else {
            self.end_half_open(raw);
            self.refuse(packet, seg);
            return Err(DropReason::TcpNoSocket);
        };
        if !listener.has_room() {
            // The peer sends it again; the record waits.
            return Err(DropReason::TcpBacklogFull);
        }
        let options = Arc::clone(&listener.options);
        let Some((flow, ..)) = self.half_open_flow(raw) else {
            return Err(DropReason::NoRoute);
        };
        let Some(half) = self.remove_half_open(raw) else {
            return Err(DropReason::TcpNoSocket);
        };
        self.establish(now, half, flow, options, seg)
    }

    /// Does it come by the listener's interface, and from as near as it asks for?
    fn check_way(&self, listener: ListenerId, packet: &Inbound) -> Result<(), DropReason> {
        let own = self.tcp.listeners.get(listener).and_then(|l| l.on);
        if own.is_some_and(|own| own != packet.on) {
            return Err(DropReason::TcpNoSocket);
        }
        self.check_hops(listener, packet.ttl)
    }

    /// RFC 5082 §3: does it come from as near as the listener asks for?
    pub(super) fn check_hops(&self, listener: ListenerId, ttl: u8) -> Result<(), DropReason> {
        let listener = self.tcp.listeners.get(listener);
        let least = listener.map_or(0, |listener| listener.options.min_ttl_setting());
        if ttl < least {
            return Err(DropReason::TcpTooFar);
        }
        Ok(())
    }
}

/// Our end and the peer's, of a segment that was parsed.
pub(super) fn ends_of(packet: &Inbound) -> (SocketAddr, SocketAddr) {
    let (theirs, ours) = packet.ports;
    (
        SocketAddr::new(packet.dst, ours),
        SocketAddr::new(packet.src, theirs),
    )
}

/// The flow that a segment belongs to which was parsed.
pub(super) fn tuple_of(packet: &Inbound) -> Tuple {
    let (theirs, ours) = packet.ports;
    Tuple::new(packet.on, (packet.dst, ours), (packet.src, theirs))
}
