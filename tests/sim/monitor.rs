//! What must hold for the segments that leave, whatever arrives.
//!
//! *Owns* the numbers of each connection as an onlooker sees them. It sits above the wire, so it
//! sees what the stacks sent, not what got through. Invariants: acknowledgements never run back,
//! the right edge of a window never moves left (by less than a unit when it is rounded down,
//! RFC 7323 §2.4), nothing is sent further beyond the peer's window than a probe is; whoever
//! gets text or a FIN says something soon (RFC 9293 §3.8.6.3 MUST-40), what comes again included: the
//! ACK was lost, and its sender sends into silence (r38). The bits of ECN are only where RFC 3168 allows
//! them, and only once the peer asked or agreed. What is reported by SACK is judged in `reports`, how many answers
//! leave in `answers`.

use core::time::Duration;
use std::collections::HashMap;

use netloom::Instant;

use netloom::tcp::{Ecn, Flags, Header, Options};

use super::answers::Answers;
use super::draw::PLENTY;
use super::reports::Reports;
use super::scenario::{Conversation, Offload, Scenario};

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
    /// Did it reset?
    reset: bool,
    /// Did a SYN of the peer's ask for ECN, or agree? Did a mark come?
    ecn_heard: bool,
    ce_heard: bool,
}

/// What was seen of ECN, in segments.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    ect: u64,
    ce: u64,
    ece: u64,
    cwr: u64,
}

// RFC 3168 §5.
const ECT0: u8 = 2;
const CE: u8 = 3;

// The least that anybody's segments are cut to: what is left of the least MTU that is drawn.
const LEAST_MSS: u64 = 32;

// An ACK is delayed by 40 ms; a device that is full is tried again after microseconds.
const ANSWER_TAKES: Duration = Duration::from_millis(50);

/// Sees every frame that both ends send.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    /// By the ports of end 0 and end 1.
    flows: HashMap<(u16, u16), [Half; 2]>,
    /// Does something take the window scale out of SYNs?
    unscaled: bool,
    /// Do listeners send cookies?
    cookies: bool,
    /// What the ends were told.
    ecn: [Ecn; 2],
    marks: Marks,
    /// Do both ends keep whatever comes beyond a hole?
    keeps: bool,
    reports: Reports,
    answers: Answers,
    /// Frames with text that each end sent.
    pub(crate) text_frames: [u64; 2],
    /// May one frame that end n gets be several segments?
    merged: [bool; 2],
}

/// How far `a` is ahead of `b`.
pub(crate) fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

/// The ports of end 0 and end 1 in a segment that `from` sends.
fn ports(from: usize, header: &Header<'_>) -> (u16, u16) {
    match from {
        0 => (header.src_port(), header.dst_port()),
        _ => (header.dst_port(), header.src_port()),
    }
}

impl Monitor {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            unscaled: scenario.stripped.window_scale,
            cookies: scenario.cookies,
            merged: [0, 1]
                .map(|end| scenario.coalesce[end] || scenario.offloads[1 - end] == Offload::Full),
            ecn: scenario.tcp.each_ref().map(|end| end.ecn),
            keeps: scenario.memory == [PLENTY; 2]
                // In a small buffer what keeps a piece counts more than the piece.
                && scenario.tcp.iter().all(|tcp| tcp.recv_initial >= 64 << 10)
                && !scenario.conversations.iter().any(Conversation::retunes)
                && !scenario.is_corrupting()
                && !scenario.stripped.sack
                && !scenario.stripped.window_scale,
            ..Self::default()
        }
    }

    /// Connections in which an end's sequence numbers wrapped.
    pub(crate) fn wraps(&self) -> u64 {
        let wrapped = |half: &Half| half.syn.is_some_and(|(iss, _)| half.end < iss);
        let halves = self.flows.values().flatten();
        halves.filter(|half| wrapped(half)).count() as u64
    }

    /// Segments that could be marked, that came marked, that echoed marks and that answered them.
    pub(crate) fn marks(&self) -> [(&'static str, u64); 4] {
        let Marks { ect, ce, ece, cwr } = self.marks;
        [
            ("ECN: segments that may be marked", ect),
            ("ECN: marks that came", ce),
            ("ECN: echoes", ece),
            ("ECN: answers", cwr),
        ]
    }

    /// Answers and errors that were counted, SACK blocks that were checked, and ACKs that had to have one.
    pub(crate) fn reported(&self) -> [(&'static str, u64); 5] {
        [
            ("ACKs that tell nothing new", self.answers.repeated),
            ("RSTs", self.answers.resets),
            ("ICMP errors", self.answers.errors_sent),
            ("SACK: blocks", self.reports.blocks),
            (
                "SACK: bare ACKs below a hole",
                self.reports.acks_with_a_hole,
            ),
        ]
    }

    fn flow(&mut self, from: usize, header: &Header<'_>) -> &mut [Half; 2] {
        self.flows.entry(ports(from, header)).or_default()
    }

    /// End `to` takes in a segment with `text` bytes: text and FINs are owed an ACK.
    pub(crate) fn on_arrival(
        &mut self,
        now: Instant,
        to: usize,
        header: &Header<'_>,
        text: usize,
        ecn: u8,
    ) {
        let flags = header.flags();
        let len = text as u32 + u32::from(flags.contains(Flags::FIN));
        self.marks.ce += u64::from(ecn == CE);
        // No peer's segments have less text than this, but for its last one.
        let segments = if self.merged[to] {
            1 + text as u64 / LEAST_MSS
        } else {
            1
        };
        let asked = (ports(1 - to, header), to);
        self.answers.on_arrival(asked, flags, segments);
        let cookies = self.cookies;
        let flow = self.flow(1 - to, header);
        flow[to].ecn_heard |= flags.contains(Flags::SYN | Flags::ECE);
        flow[to].ce_heard |= ecn == CE;
        if flags.contains(Flags::RST) {
            flow[to].owes = None;
        }
        // Its FIN is acknowledged, and it acknowledged the peer's: it may be gone (LAST-ACK), and the
        // peer has all that he sent.
        let said_all = flow[to].fin.is_some() && flow[to].fin == Some(header.ack());
        if said_all && flow[to].ack.is_some() && flow[to].ack == flow[1 - to].fin {
            flow[to].owes = None;
        }
        if flags.intersects(Flags::SYN | Flags::RST) {
            return;
        }
        if let Some((iss, _)) = flow[1 - to].syn {
            let end = header.seq().wrapping_add(len);
            let room = flow[to].edge.is_some_and(|edge| ahead(end, edge) <= 0);
            let way = (ports(1 - to, header), to, iss);
            let lens = (len, text as u32);
            self.reports.on_arrival(way, header, lens, room);
        }
        if len == 0 {
            return;
        }
        let flow = self.flow(1 - to, header);
        // What comes late from a connection that is gone may bring its cookie again, and whom the backlog has
        // no room for is told nothing.
        if cookies && flow[to].reset {
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

    /// End `from` sends an ICMP error.
    pub(crate) fn on_error(&mut self, now: Instant, from: usize) {
        self.answers.on_error(now, from);
    }

    /// End `from` sends a segment with `text` bytes.
    pub(crate) fn on_segment(&mut self, from: usize, header: &Header<'_>, text: usize, ecn: u8) {
        let (flags, unscaled) = (header.flags(), self.unscaled);
        self.text_frames[from] += u64::from(text > 0);
        self.check_ecn(from, header, text, ecn);
        let asked = (ports(from, header), from);
        let flow = self.flow(from, header);
        flow[from].owes = None;
        if flags.contains(Flags::RST) {
            flow[from].reset = true;
            return self.answers.on_reset(asked);
        }
        if flags.contains(Flags::SYN) {
            self.answers.on_syn(asked, header.seq());
            let flow = self.flow(from, header);
            on_syn(flow, from, header);
            let way = (ports(from, header), from, header.seq());
            return self.reports.on_syn(way, header);
        }
        let len = text as u32 + u32::from(flags.contains(Flags::FIN));
        if flags.contains(Flags::FIN) {
            flow[from].fin = Some(header.seq().wrapping_add(len));
        }
        check_numbers(flow, from, header.seq(), len);
        let before = flow[from];
        check_promise(flow, from, header, unscaled);
        let told = |half: &Half| (half.ack, half.edge);
        // What begins below its end is a probe, and the first ACK answers a SYN.
        let is_probe = header.seq() != flow[from].end;
        if len == 0 && !is_probe && before.ack.is_some() && told(&before) == told(&flow[from]) {
            self.answers.on_repeated(asked, header);
        }
        let flow = self.flow(from, header);
        if let [Some((own, _)), Some((theirs, _))] = [flow[from].syn, flow[1 - from].syn] {
            let way = (ports(from, header), from, theirs);
            // Whose user has closed it keeps nothing that nobody will read.
            let open = flow[from].fin.is_none();
            self.reports
                .check(way, own, header, (text, self.keeps && open));
        }
    }
}

impl Monitor {
    /// RFC 3168 §6.1: who may ask and agree; what may be marked is new text in the peer's window (§6.1.4 to
    /// §6.1.6), a mark is echoed by who got one, and CWR is on new text.
    fn check_ecn(&mut self, from: usize, header: &Header<'_>, text: usize, ecn: u8) {
        let (flags, allowed) = (header.flags(), self.ecn[from]);
        let flow = self.flow(from, header);
        let (half, peer) = (flow[from], flow[1 - from]);
        let end = header.seq().wrapping_add(text as u32);
        let fits = peer.edge.is_none_or(|edge| ahead(end, edge) <= 0);
        let is_new = text > 0 && ahead(header.seq(), half.end) >= 0;
        let (ece, cwr) = (flags.contains(Flags::ECE), flags.contains(Flags::CWR));
        let at = header.seq();
        if ecn > 0 {
            assert_eq!(ecn, ECT0, "end {from} marks {at} itself");
            let may = !flags.contains(Flags::SYN) && half.ecn_heard && allowed != Ecn::Off;
            assert!(may, "end {from} sends {at} with ECT, unasked");
            assert!(
                is_new && fits,
                "end {from} sends {at} with ECT, {text} octets: no new text"
            );
        }
        if flags.contains(Flags::SYN) {
            let may = match flags.contains(Flags::ACK) {
                true => allowed != Ecn::Off && half.ecn_heard && !cwr,
                false => allowed == Ecn::Ask && cwr,
            };
            assert!(
                may || !(ece || cwr),
                "end {from} sends {flags:?} with {allowed:?}"
            );
            return;
        }
        assert!(half.ce_heard || !ece, "end {from} echoes no mark with {at}");
        assert!(
            is_new || !cwr,
            "end {from} answers marks with {at}, no new text"
        );
        self.marks.ect += u64::from(ecn > 0);
        self.marks.ece += u64::from(ece);
        self.marks.cwr += u64::from(cwr);
    }
}

fn on_syn(flow: &mut [Half; 2], from: usize, header: &Header<'_>) {
    let answers = header.flags().contains(Flags::ACK);
    let was_reset = flow.iter().any(|half| half.reset);
    if flow[from].syn.is_none_or(|(iss, _)| iss != header.seq()) {
        let scale = Options::parse(header.options_bytes()).window_scale;
        flow[from] = Half {
            // An old SYN that comes late is answered as if it were new; who sent it lives in the
            // connection that it opened then. Who has reset it, or was reset, promised nothing.
            edge: flow[from].edge.filter(|_| answers && !was_reset),
            syn: Some((header.seq(), scale)),
            end: header.seq().wrapping_add(1),
            // Of the SYN that this one answers, or of an earlier connection: no less is known.
            ecn_heard: flow[from].ecn_heard,
            ce_heard: flow[from].ce_heard,
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
