//! What must hold for the segments that leave, whatever arrives.
//!
//! *Owns* the numbers of each connection as an onlooker sees them. It sits above the wire, so it
//! sees what the stacks sent, not what got through. Invariants: acknowledgements never run back,
//! the right edge of a window never moves left (by less than a unit when it is rounded down,
//! RFC 7323 §2.4), nothing is sent further beyond the peer's window than a probe is; whoever
//! gets text or a FIN says something soon (RFC 9293 §3.8.6.3 MUST-40), what comes again included: the
//! ACK was lost, and its sender sends into silence (r38).

use core::time::Duration;
use std::collections::HashMap;

use netloom::Instant;

use netloom::tcp::{Flags, Header, Options};

#[derive(Clone, Copy, Debug, Default)]
struct Half {
    /// Its initial number, and the shift that it offered.
    syn: Option<(u32, Option<u8>)>,
    /// The highest acknowledgement.
    ack: Option<u32>,
    /// The right edge of its window.
    edge: Option<u32>,
    /// The end of what it sent.
    end: u32,
    /// The number after its FIN, once it sent one.
    fin: Option<u32>,
    /// Since when it has not answered what came.
    owes: Option<Instant>,
}

// An ACK is delayed by 40 ms; a device that is full is tried again after microseconds.
const ANSWER_TAKES: Duration = Duration::from_millis(50);

/// Sees every frame that both ends send.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    /// By the ports of end 0 and end 1.
    flows: HashMap<(u16, u16), [Half; 2]>,
    /// Does something take the window scale out of SYNs?
    unscaled: bool,
}

/// How far `a` is ahead of `b`.
fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

impl Monitor {
    pub(crate) fn new(unscaled: bool) -> Self {
        Self {
            unscaled,
            ..Self::default()
        }
    }

    /// Connections in which an end's sequence numbers wrapped.
    pub(crate) fn wraps(&self) -> u64 {
        let wrapped = |half: &Half| half.syn.is_some_and(|(iss, _)| half.end < iss);
        let halves = self.flows.values().flatten();
        halves.filter(|half| wrapped(half)).count() as u64
    }

    fn flow(&mut self, from: usize, header: &Header<'_>) -> &mut [Half; 2] {
        let mut ports = (header.src_port(), header.dst_port());
        if from == 1 {
            ports = (ports.1, ports.0);
        }
        self.flows.entry(ports).or_default()
    }

    /// End `to` takes in a segment with `text` bytes: text and FINs are owed an ACK.
    pub(crate) fn on_arrival(&mut self, now: Instant, to: usize, header: &Header<'_>, text: usize) {
        let flags = header.flags();
        let len = text as u32 + u32::from(flags.contains(Flags::FIN));
        let flow = self.flow(1 - to, header);
        if flags.contains(Flags::RST) {
            flow[to].owes = None;
        }
        // Its FIN is acknowledged, and it acknowledged the peer's: it may be gone (LAST-ACK), and the
        // peer has all that he sent.
        let said_all = flow[to].fin.is_some() && flow[to].fin == Some(header.ack());
        if said_all && flow[to].ack.is_some() && flow[to].ack == flow[1 - to].fin {
            flow[to].owes = None;
        }
        if flags.intersects(Flags::SYN | Flags::RST) || len == 0 {
            return;
        }
        let (Some((iss, _)), Some(_)) = (flow[1 - to].syn, flow[to].ack) else {
            return;
        };
        // Not of an earlier connection between the same ports.
        if ahead(header.seq(), iss) > 0 {
            flow[to].owes.get_or_insert(now);
        }
    }

    /// Has everybody said what they owed?
    pub(crate) fn check_answers(&self, now: Instant) {
        for (ports, halves) in &self.flows {
            for (end, half) in halves.iter().enumerate() {
                let since = half.owes.unwrap_or(now);
                assert!(
                    now.since(since) <= ANSWER_TAKES,
                    "end {end} of {ports:?} has not answered what came at {since:?}"
                );
            }
        }
    }

    /// End `from` sends a segment with `text` bytes.
    pub(crate) fn on_segment(&mut self, from: usize, header: &Header<'_>, text: usize) {
        let (flags, unscaled) = (header.flags(), self.unscaled);
        let flow = self.flow(from, header);
        flow[from].owes = None;
        if flags.contains(Flags::RST) {
            return;
        }
        if flags.contains(Flags::SYN) {
            return on_syn(flow, from, header);
        }
        let len = text as u32 + u32::from(flags.contains(Flags::FIN));
        if flags.contains(Flags::FIN) {
            flow[from].fin = Some(header.seq().wrapping_add(len));
        }
        check_numbers(flow, from, header.seq(), len);
        check_promise(flow, from, header, unscaled);
    }
}

fn on_syn(flow: &mut [Half; 2], from: usize, header: &Header<'_>) {
    let answers = header.flags().contains(Flags::ACK);
    if flow[from].syn.is_none_or(|(iss, _)| iss != header.seq()) {
        let scale = Options::parse(header.options_bytes()).window_scale;
        flow[from] = Half {
            // An old SYN that comes late is answered as if it were new; who sent it lives in the
            // connection that it opened then.
            edge: flow[from].edge.filter(|_| answers),
            syn: Some((header.seq(), scale)),
            end: header.seq().wrapping_add(1),
            ..Half::default()
        };
        flow[1 - from].ack = None;
        if !answers {
            flow[1 - from].edge = None;
        }
    }
    if answers {
        let edge = header.ack().wrapping_add(u32::from(header.window()));
        flow[from].edge.get_or_insert(edge);
    }
}

/// What takes `len` numbers stays in the peer's window, but for a probe.
fn check_numbers(flow: &mut [Half; 2], from: usize, seq: u32, len: u32) {
    let end = seq.wrapping_add(len);
    if let Some(edge) = flow[1 - from].edge
        && len > 0
    {
        let beyond = ahead(end, edge);
        assert!(
            beyond <= 1,
            "end {from} sends {len} octets from {seq}, {beyond} beyond the window"
        );
    }
    if ahead(end, flow[from].end) > 0 {
        flow[from].end = end;
    }
}

/// Neither the acknowledgement nor the window's edge is taken back.
fn check_promise(flow: &mut [Half; 2], from: usize, header: &Header<'_>, unscaled: bool) {
    let peer = flow[1 - from];
    let half = &mut flow[from];
    let (Some((_, own)), Some((peer_iss, theirs))) = (half.syn, peer.syn) else {
        return;
    };
    // An answer to a segment of an earlier connection acknowledges that one's numbers.
    let known = peer.end.wrapping_sub(peer_iss);
    if header.ack().wrapping_sub(peer_iss) > known {
        return;
    }
    if let Some(ack) = half.ack {
        let step = ahead(header.ack(), ack);
        assert!(
            step >= 0,
            "end {from} acknowledges {step} octets less than before"
        );
    }
    half.ack = Some(header.ack());
    let shift = match (own, theirs) {
        (Some(shift), Some(_)) if !unscaled => u32::from(shift),
        _ => 0,
    };
    let edge = header
        .ack()
        .wrapping_add(u32::from(header.window()) << shift);
    let step = half.edge.map_or(0, |before| ahead(edge, before));
    assert!(
        step > -(1 << shift),
        "end {from} moves its window's edge by {step}, in units of {}",
        1 << shift
    );
    if step >= 0 {
        half.edge = Some(edge);
    }
}
