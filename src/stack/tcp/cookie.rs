//! A listener past its backlog: SYN cookies out, and the connections that they bring back
//! (RFC 4987 §3.6).
//!
//! *Owns* when a cookie is made and when one is believed. *Does not* know its form: `tcp::cookie`
//! does. A cookie's SYN-ACK is never sent again: what nothing remembers has no timer. Those that were
//! redeemed are remembered, and have one.

use std::sync::Arc;

use super::listen::ends_of;
use super::{Owner, default_mss};
use crate::base::{DropReason, Instant};
use crate::stack::Stack;
use crate::stack::ids::ListenerId;
use crate::stack::packet::Inbound;
use crate::stack::wheel::TimerKey;
use crate::tcp::{Control, Opening, Segment, TcpOptions, cookie_stamp, syn_window};

impl Stack {
    /// RFC 4987 §3.6: a SYN-ACK that nothing here remembers, and that is never sent again.
    pub(super) fn answer_with_cookie(
        &mut self,
        now: Instant,
        listener: ListenerId,
        packet: &Inbound,
        mut opening: Opening,
        options: &TcpOptions,
    ) -> Result<(), DropReason> {
        let mss = opening.mss.unwrap_or_else(|| default_mss(packet.dst));
        let ends = ends_of(packet);
        let iss = self.tcp.cookies.make(now, ends, &mut opening, mss);
        let (mut slot, flow) = self.request(listener, packet, opening, iss, options)?;
        let mut bare = slot.record.answer(now);
        if let Some((val, _)) = &mut bare.options.timestamps {
            *val = cookie_stamp(*val, &opening);
        }
        self.queue_bare(slot.on, &flow, &slot.tuple, &bare);
        self.net.counters.tcp_cookies_sent += 1;
        Ok(())
    }

    /// The ACK of a SYN-ACK that nothing remembers makes the connection; `None` when it brings no
    /// cookie of ours, or none is out.
    pub(super) fn redeem(
        &mut self,
        now: Instant,
        id: ListenerId,
        packet: &Inbound,
        seg: &Segment,
    ) -> Option<Result<(), DropReason>> {
        let listener = self.tcp.listeners.get(id)?;
        if !listener.expects_cookies(now) || !matches!(seg.control, Control::None | Control::Fin) {
            return None;
        }
        let has_room = listener.has_room();
        let options = Arc::clone(&listener.options);
        let advertised = u32::from(syn_window(&options));
        let ends = ends_of(packet);
        let Some((iss, opening)) = self.tcp.cookies.check(now, ends, seg, advertised) else {
            self.net.counters.tcp_cookies_failed += 1;
            // Text that is not the first may follow a cookie that was lost, or found no room: the
            // peer sends that again, unless a RST ends it all. A bare ACK is refused as ever.
            return (seg.len() > 0).then_some(Err(DropReason::TcpBadAck));
        };
        if !has_room {
            // The peer sends it again, when it brings text.
            return Some(Err(DropReason::TcpBacklogFull));
        }
        let (slot, flow) = match self.request(id, packet, opening, iss, &options) {
            Ok(requested) => requested,
            Err(reason) => return Some(Err(reason)),
        };
        if let Some(Owner::HalfOpen(raw)) = self.tcp.owner(&self.demux.tcp.flows, &slot.tuple) {
            // Its SYN came again when there was room; it is the cookie that was acknowledged.
            self.end_half_open(raw);
        }
        let irs = slot.record.opening.irs;
        self.tcp.cookies.note_redeemed(now, iss, irs);
        self.set_cookies_timer();
        self.net.counters.tcp_cookies_accepted += 1;
        Some(self.establish(now, slot, flow, options, seg))
    }

    /// An epoch is over: what is remembered of cookies that are no good any more is given back.
    pub(in crate::stack) fn tcp_cookies_timeout(&mut self, now: Instant) {
        self.tcp.cookies.forget_old(now);
        self.set_cookies_timer();
    }

    fn set_cookies_timer(&mut self) {
        let due = self.tcp.cookies.next_due();
        self.net.timers.set(TimerKey::Cookies, due);
    }
}
