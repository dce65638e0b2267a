//! A line of the peer arrives.
//!
//! *Owns* which ends a packet has that says none, and when it begins another connection. *Does not* put
//! packets together: `inject` does.

use core::num::NonZeroU16;

use super::super::ast::{Body, Packet, Tcp, TcpOption, TcpOptionList};
use super::inject::{self, Ends, Piece};
use super::world::PEER_PORT;
use super::{Runner, Step, Stop, icmp, seen};
use crate::tcp::{Flags, State};

impl Runner {
    pub(super) fn inject(&mut self, line: u32, packet: &Packet) -> Step<()> {
        let made = |bytes: Result<Vec<u8>, String>| bytes.map_err(|error| Stop::fail(line, error));
        let shown = match &packet.body {
            Body::Tcp(tcp) => {
                self.inject_tcp(line, packet, tcp)?;
                seen::show_tcp(tcp)
            }
            Body::Udp(udp) => {
                let ends = self.ends_of(udp.ports);
                let bytes = inject::datagram(ends, &packet.ip, udp.len);
                self.world.give(made(bytes)?, None);
                format!("udp ({})", udp.len)
            }
            Body::Icmp(icmp) => {
                let ends = self.ends_of(None);
                let bytes = icmp::message(ends, &packet.ip, icmp, &self.world.numbers);
                self.world.give(made(bytes)?, None);
                format!("icmp {}", icmp.kind)
            }
            Body::Unsupported(name) => return Err(Stop::unsupported(line, name)),
        };
        self.world.note(&format!("< {shown}"));
        Ok(())
    }

    /// The peer's end and ours, for a packet of the peer.
    fn ends_of(&self, ports: Option<(u16, u16)>) -> Ends {
        let port = self.sockets.local_port();
        let port = port.unwrap_or(self.settings.bind_port);
        match (ports, self.world.flow) {
            (Some((from, to)), _) => (self.world.their_end(from), self.world.our_end(to)),
            (None, Some((ours, theirs))) => (theirs, ours),
            (None, None) => (
                self.world.their_end(self.world.peer_port),
                self.world.our_end(port),
            ),
        }
    }

    fn inject_tcp(&mut self, line: u32, packet: &Packet, tcp: &Tcp) -> Step<()> {
        let opens = tcp.flags.contains(Flags::SYN) && !tcp.flags.contains(Flags::ACK);
        if opens && tcp.ports.is_none() && self.world.is_fresh && self.world.flow.is_some() {
            // Another socket is under test: what the one before sent and no line has asked for, no line will.
            self.no_surplus(line, self.is_closed_behind)?;
            let next = self.world.peer_port.checked_add(1);
            self.world.peer_port = next.unwrap_or(PEER_PORT);
            self.world.flow = None;
        }
        let ends = self.ends_of(tcp.ports);
        let back = (ends.1, ends.0);
        if opens && self.sockets.listens_on(ends.1.port()) && self.is_over(back) {
            self.world.begin_flow(back);
            // In TIME-WAIT an old SYN is answered in the old numbers; a new one's answer brings the new.
            if !self.is_time_waiting(back) {
                self.world.numbers.on_new_flow();
            }
            self.sockets.begin_stream();
        }
        if self.world.flow.is_none() {
            self.world.begin_flow(back);
        }
        if tcp.ports.is_some() {
            self.world.named.insert(back);
        }
        // One that comes too late begins nothing.
        if tcp.flags.contains(Flags::SYN) && !self.is_synchronized(back) {
            self.world.numbers.peer_isn = tcp.seq.value;
            self.world.note_peer_syn(has_scale(tcp));
        }
        for (piece, size) in self.pieces(tcp) {
            let bytes = inject::segment(ends, &packet.ip, tcp, piece, &self.world.numbers);
            let bytes = bytes.map_err(|error| Stop::fail(line, error))?;
            self.world.give(bytes, size);
        }
        Ok(())
    }

    /// May another connection between these ends begin? Not while one is half open, or open.
    fn is_over(&self, (ours, theirs): Ends) -> bool {
        let state = self.world.stack.tcp_state_between(ours, theirs);
        matches!(state, None | Some(State::TimeWait | State::Closed))
    }

    fn is_time_waiting(&self, (ours, theirs): Ends) -> bool {
        self.world.stack.tcp_state_between(ours, theirs) == Some(State::TimeWait)
    }

    /// Has the connection between these ends agreed on numbers?
    fn is_synchronized(&self, (ours, theirs): Ends) -> bool {
        let state = self.world.stack.tcp_state_between(ours, theirs);
        !matches!(
            state,
            None | Some(
                State::Listen | State::SynSent | State::SynRcvd | State::TimeWait | State::Closed
            )
        )
    }

    /// One packet; with `--mss`, or the size of its segments, as many as the text takes.
    fn pieces(&self, tcp: &Tcp) -> Vec<(Piece, Option<NonZeroU16>)> {
        let mss = tcp.size.or(self.settings.mss);
        let Some(mss) = mss.filter(|mss| u32::from(mss.get()) < tcp.len) else {
            let whole = Piece {
                from: 0,
                len: tcp.len,
                last: true,
            };
            return vec![(whole, None)];
        };
        // As many whole segments as a packet holds.
        let size = u32::from(mss.get());
        let most = (65_000 / size).max(1) * size;
        let mut pieces = Vec::new();
        let mut from = 0;
        while from < tcp.len {
            let len = most.min(tcp.len - from);
            let last = from + len == tcp.len;
            pieces.push((Piece { from, len, last }, Some(mss).filter(|_| len > size)));
            from += len;
        }
        pieces
    }
}

fn has_scale(tcp: &Tcp) -> bool {
    match &tcp.options {
        TcpOptionList::These(list) => list
            .iter()
            .any(|option| matches!(option, TcpOption::WindowScale(_))),
        TcpOptionList::Any => false,
    }
}
