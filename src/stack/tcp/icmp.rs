//! ICMP errors that quote a segment of ours (RFC 9293 §3.9.2.2, RFC 5927).

use core::net::IpAddr;

use super::{Owner, Slot, headers_of};
use crate::base::{DropReason, Instant};
use crate::stack::Stack;
use crate::stack::icmp::{IcmpError, IcmpErrorKind};
use crate::stack::ids::{InterfaceId, RawId, TcpId};
use crate::stack::net::Net;
use crate::stack::path::TooBig;
use crate::stack::tuple::Tuple;
use crate::tcp::{SeqNum, State, TcpFailure};

impl Stack {
    /// RFC 5927 §4: the quoted segment must be one that may be in the network now.
    pub(in crate::stack) fn tcp_icmp_error(
        &mut self,
        now: Instant,
        error: &IcmpError,
    ) -> Result<(), DropReason> {
        let seq = quoted_seq(error).ok_or(DropReason::IcmpUnmatched)?;
        let id = match self.quoted(error) {
            Some(Owner::Connection(id)) => id,
            Some(Owner::HalfOpen(raw)) => return self.half_open_icmp_error(raw, seq, error),
            _ => return Err(DropReason::IcmpUnmatched),
        };
        let Some(slot) = self.tcp.slots.get_mut(id) else {
            return Err(DropReason::IcmpUnmatched);
        };
        // RFC 5082 §3, §6.1: of errors too.
        if error.ttl < slot.connection.setup.options.min_ttl_setting() {
            return Err(DropReason::TcpTooFar);
        }
        // RFC 5927 §4.1 (ATK-1): SND.UNA <= SEQ < SND.NXT.
        let snd = &slot.connection.snd;
        if seq.before(snd.una) || !seq.before(snd.nxt) {
            return Err(DropReason::IcmpUnmatched);
        }
        if let IcmpErrorKind::TooBig { mtu } = error.kind {
            // RFC 8201 §4 (PMT-8): what is out at that number, with its headers, did not fit; a quote that says more of
            // itself is no better a proof.
            let size = slot.connection.scoreboard.wire_size_at(seq);
            let size = size.ok_or(DropReason::IcmpUnmatched)?;
            let most = headers_of(error.quoted_dst) + size + slot.connection.fast_len();
            // Of what left in larger segments before, a router that says no number says nothing of these.
            if mtu == 0 && error.quoted_len > most {
                return Err(DropReason::IcmpTooBig);
            }
            let quoted = error.quoted_len.min(most);
            return self.tcp_too_big(now, id, TooBig { mtu, quoted });
        }
        let Some(failure) = hard_failure(slot, error.kind) else {
            // Soft (RFC 9293 §3.9.2.2 MUST-56), or hard in a synchronized state, where RFC 5927
            // §5.2 treats it as soft: retransmission goes on, and who asks is told (SHLD-25).
            slot.connection.soft_error = told(error.kind).or(slot.connection.soft_error);
            return Ok(());
        };
        slot.connection.refuse_opening(failure);
        self.net.counters.tcp_connect_failed += 1;
        self.after_tcp(now, id);
        Ok(())
    }

    /// RFC 1191 §3, RFC 8201 §4: a segment of this connection, which is out, did not fit on its way.
    fn tcp_too_big(&mut self, now: Instant, id: TcpId, told: TooBig) -> Result<(), DropReason> {
        let (slots, mut around) = self.slots_and_around();
        let Some(slot) = slots.get_mut(id) else {
            return Err(DropReason::IcmpUnmatched);
        };
        if !slot.hears_as_others_did(now, id, told, around.net) {
            let narrow = around.net.path_too_big(&mut slot.path, told);
            narrow.ok_or(DropReason::IcmpTooBig)?;
            if around.net.paths.is_current(&slot.path) {
                slot.fit_to_path(now);
            } else {
                slot.renew_path(now, id, around.net);
            }
        }
        let rest = slot.follow(id, &mut around);
        self.finish(now, id, &rest);
        Ok(())
    }

    /// An answer to a SYN did not arrive, and will not: the request is forgotten. Nobody is told, and
    /// its SYN may come again.
    fn half_open_icmp_error(
        &mut self,
        raw: RawId,
        seq: SeqNum,
        error: &IcmpError,
    ) -> Result<(), DropReason> {
        let slot = self.tcp.half_open.get(raw);
        let slot = slot.filter(|slot| slot.record.iss == seq);
        let listener = slot.ok_or(DropReason::IcmpUnmatched)?.listener;
        self.check_hops(listener, error.ttl)?;
        if ends_opening(error.kind).is_some() {
            self.end_half_open(raw);
        }
        Ok(())
    }

    fn quoted(&self, error: &IcmpError) -> Option<Owner> {
        let ends = (error.quoted_src, error.quoted_dst);
        self.quoted_owner(error.on, ends, &error.quoted_segment)
    }

    fn quoted_owner(
        &self,
        on: InterfaceId,
        (local, remote): (IpAddr, IpAddr),
        segment: &[u8],
    ) -> Option<Owner> {
        let word = |at: usize| {
            let bytes = segment.get(at..at + 2)?;
            Some(u16::from_be_bytes([bytes[0], bytes[1]]))
        };
        let tuple = Tuple::new(on, (local, word(0)?), (remote, word(2)?));
        self.tcp.owner(&self.demux.tcp.flows, &tuple)
    }

    /// May a connection have sent a segment with these first bytes, with text or without, as late as now?
    pub(in crate::stack) fn tcp_may_have_sent(
        &self,
        on: InterfaceId,
        ends: (IpAddr, IpAddr),
        segment: &[u8],
    ) -> bool {
        let (Some(owner), Some(seq)) = (self.quoted_owner(on, ends, segment), seq_of(segment))
        else {
            return false;
        };
        match owner {
            Owner::Connection(id) => self.tcp.slots.get(id).is_some_and(|slot| {
                let snd = &slot.connection.snd;
                !seq.before(snd.una) && !snd.nxt.before(seq)
            }),
            Owner::HalfOpen(raw) => {
                let slot = self.tcp.half_open.get(raw);
                slot.is_some_and(|slot| slot.record.iss == seq)
            }
            _ => false,
        }
    }
}

impl Slot {
    /// Was this told to others who use the path, since it had its last turn? Then it is no word of its own (RFC 8201 §5.2).
    fn hears_as_others_did(
        &mut self,
        now: Instant,
        id: TcpId,
        told: TooBig,
        net: &mut Net,
    ) -> bool {
        if net.paths.is_current(&self.path) {
            return false;
        }
        let before = self.path.most();
        self.renew_path(now, id, net);
        let current = self.path.most();
        current < before && (told.mtu == 0 || told.mtu >= current)
    }
}

fn quoted_seq(error: &IcmpError) -> Option<SeqNum> {
    seq_of(&error.quoted_segment)
}

fn seq_of(segment: &[u8]) -> Option<SeqNum> {
    let bytes: [u8; 4] = segment.get(4..8)?.try_into().ok()?;
    Some(SeqNum::new(u32::from_be_bytes(bytes)))
}

/// What ends an attempt to connect (RFC 5927 §5.2, ATK-4). An administrative prohibition, a host
/// or a network out of reach end it too, as in Linux: waiting three minutes helps nobody.
fn hard_failure(slot: &Slot, kind: IcmpErrorKind) -> Option<TcpFailure> {
    if slot.connection.state != State::SynSent {
        return None;
    }
    ends_opening(kind)
}

fn ends_opening(kind: IcmpErrorKind) -> Option<TcpFailure> {
    match kind {
        IcmpErrorKind::PortUnreachable | IcmpErrorKind::ProtocolUnreachable => {
            Some(TcpFailure::Refused)
        }
        IcmpErrorKind::Prohibited | IcmpErrorKind::HostUnreachable => {
            Some(TcpFailure::HostUnreachable)
        }
        IcmpErrorKind::NetUnreachable => Some(TcpFailure::NetworkUnreachable),
        _ => None,
    }
}

/// What a soft error says to people, as Linux has it; a packet that was too large says nothing.
fn told(kind: IcmpErrorKind) -> Option<TcpFailure> {
    match kind {
        IcmpErrorKind::TooBig { .. } => None,
        IcmpErrorKind::TimeExceeded | IcmpErrorKind::ParameterProblem => {
            Some(TcpFailure::HostUnreachable)
        }
        kind => ends_opening(kind),
    }
}
