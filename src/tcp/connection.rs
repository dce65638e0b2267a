//! The transmission control block (RFC 9293 §3.3.1): what a connection is, and how one begins.
//!
//! *Owns* the fields, what was negotiated for them, and the limit of challenge ACKs. *Does not* parse,
//! emit or look anything up: `user`, `on_segment`, `ack`, `plan`, `emit`, `commit` and `on_timer` are
//! the other parts of this type.

use core::time::Duration;
use std::sync::Arc;

use bitflags::bitflags;

use crate::base::Instant;

use super::congestion::Controller;
use super::congestion::parts::{DeliverySampler, Pacer};
use super::error::TcpFailure;
use super::gate::Gate;
use super::info::TcpInfo;
use super::opening::Opening;
use super::path_size::{MtuProbing, PathMss, PathSize, Steps};
use super::persist::Persist;
use super::quick::QuickAcks;
use super::rare::Rare;
use super::read_queue::Reach;
use super::receive::{Receive, window_scale};
use super::recovery::Recovery;
use super::rtt::Rtt;
use super::scoreboard::Scoreboard;
use super::send::Send;
use super::send_buffer::SendBuffer;
use super::seq::{SeqNum, WindowScale};
use super::settings::TcpOptions;
use super::state::{Event, State};
use super::stats::Stats;
use super::timers::Timers;

// A floor for what a peer may ask for (r13 in docs/regressions.md; Linux's tcp_min_snd_mss).
pub(crate) const MIN_MSS: u16 = 48;

bitflags! {
    /// What happened that the user may want to know: the bits of the stack's `Readiness`, less what a listener has.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub(crate) struct Signals: u8 {
        const READABLE = 1;
        const WRITABLE = 1 << 1;
        const CONNECTED = 1 << 2;
        const CLOSED = 1 << 4;
        const FAILED = 1 << 5;
        const URGENT = 1 << 6;
    }
}

/// What a connection is made with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    pub(crate) iss: SeqNum,
    pub(crate) ts_offset: u32,
    /// Text and option bytes of the largest segment that the interface's MTU holds.
    pub(crate) link_mss: u16,
    /// The MSS that the peer told; until then, and of one that tells none, what RFC 9293 §3.7.1 MUST-15 assumes.
    pub(crate) peer_mss: u16,
    /// Sizes to fall back to where larger ones do not get through.
    pub(crate) steps: Steps,
    pub(crate) options: Arc<TcpOptions>,
}

impl Setup {
    /// The MSS option that we send, bounded by the user's setting. A link below the floor wins:
    /// what exceeds the MTU never arrives. It is the MTU less the fixed headers (RFC 9293 §3.7.1 MUST-67,
    /// RFC 8200 §8.3).
    pub(crate) fn advertised_mss(&self) -> u16 {
        self.link_mss.min(self.options.mss_limit())
    }

    pub(crate) fn receive(&self) -> Receive {
        Receive::new(
            self.options.recv_buffer_initial,
            self.options.recv_buffer_max,
            window_scale(&self.options),
            u32::from(self.advertised_mss()),
        )
    }
}

/// A moment in both streams, as offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offsets {
    received: u64,
    written: u64,
}

// In this order, and `repr(C)` with the larger of its parts: with a few dozen busy connections what an exchange
// touches is more than a first-level cache holds, so it is to be few lines. What is hot lies together. What is
// not, lies at both ends and in one gap, where `rcv` begins. Inside a stretch what is touched together does.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Connection {
    pub(crate) scoreboard: Scoreboard,
    pub(crate) sampler: DeliverySampler,
    pub(crate) recovery: Recovery,
    pub(crate) rtt: Rtt,
    pub(crate) pacer: Pacer,
    pub(crate) congestion: Controller,
    pub(crate) snd: Send,
    pub(crate) quick: QuickAcks,
    pub(crate) gate: Gate,
    pub(crate) persist: Persist,
    /// When SND.UNA last moved, or something first waited (r31).
    pub(crate) last_progress: Instant,
    /// When text last left: an ACK does not end idleness (RFC 5681 §4.1).
    pub(crate) last_sent: Instant,
    pub(crate) last_heard: Instant,
    pub(crate) send_buffer: SendBuffer,
    /// ECN and urgent data, where there is any.
    pub(crate) rare: Rare,
    pub(crate) timers: Timers,
    pub(crate) setup: Setup,
    pub(crate) state: State,
    pub(crate) signals: Signals,
    pub(crate) failure: Option<TcpFailure>,
    /// What an ICMP error said since SND.UNA last moved: it ends nothing, but says why when time does.
    pub(crate) soft_error: Option<TcpFailure>,
    /// The user has let go: the stack ends the connection by itself. In FIN-WAIT-2 it goes on as a
    /// [`FinWait`](super::FinWait).
    pub(crate) orphan: bool,
    /// A writer waits although the send buffer has room.
    pub(super) short_of_memory: bool,
    pub(crate) read_armed: bool,
    pub(crate) write_armed: bool,
    pub(crate) timestamps: bool,
    pub(crate) sack: bool,
    /// The peer's SYN offered a window scale, be it one of 0 (RFC 7323 §2.2).
    pub(crate) scaling: bool,
    pub(crate) keepalive_due: bool,
    pub(crate) keepalive_probes: u8,
    /// Time-outs in a row without an answer: R2 of RFC 9293 §3.8.3.
    pub(crate) retries: u8,
    /// How large a segment gets to the peer, as far as is known.
    pub(crate) path: PathSize,
    pub(crate) rcv: Receive,
    pub(crate) stats: Stats,
    /// Challenge ACKs that may still leave in this second.
    pub(crate) challenge: ChallengeBudget,
    /// The same for answers to keep-alive and window probes.
    pub(crate) probe_answers: ChallengeBudget,
}

/// RFC 5961 §7's limit, per connection; a global one is a side channel (CVE-2016-5696).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChallengeBudget {
    /// Which one it is of, modulo 2^32.
    second: u32,
    left: u8,
}

impl ChallengeBudget {
    // RFC 5961 §7 suggests 10 in 5 seconds for all connections; this is 10 a second for one, so
    // that answers to window probes, one each 200 ms at most, are never held back (r38).
    const PER_SECOND: u8 = 10;

    const fn new() -> Self {
        Self {
            second: 0,
            left: Self::PER_SECOND,
        }
    }

    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let seconds = now.as_nanos() / 1_000_000_000;
        let second = u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or(0);
        if second != self.second {
            *self = Self {
                second,
                left: Self::PER_SECOND,
            };
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

impl Connection {
    fn new(now: Instant, setup: Setup, said: PathMss, state: State) -> Self {
        Self {
            state,
            snd: Send::new(setup.iss),
            rcv: setup.receive(),
            scoreboard: Scoreboard::default(),
            sampler: DeliverySampler::default(),
            recovery: Recovery::new(setup.iss),
            congestion: Controller::new(&setup.options.congestion),
            pacer: Pacer::default(),
            send_buffer: SendBuffer::new(&setup.options),
            rtt: Rtt::new(setup.options.initial_rto_used(), setup.options.min_rto),
            timers: Timers::default(),
            path: PathSize::new(now, said, setup.options.mtu_probing, &setup.steps),
            timestamps: false,
            sack: false,
            scaling: false,
            signals: Signals::empty(),
            read_armed: true,
            write_armed: true,
            short_of_memory: false,
            failure: None,
            soft_error: None,
            orphan: false,
            retries: 0,
            keepalive_probes: 0,
            keepalive_due: false,
            persist: Persist::default(),
            gate: Gate::default(),
            rare: Rare::default(),
            last_heard: now,
            last_sent: now,
            last_progress: now,
            challenge: ChallengeBudget::new(),
            probe_answers: ChallengeBudget::new(),
            quick: QuickAcks::default(),
            stats: Stats::default(),
            setup,
        }
    }

    /// Active OPEN (RFC 9293 §3.10.1): the SYN leaves with the first `plan`.
    pub(crate) fn connect(now: Instant, setup: Setup, said: PathMss) -> Self {
        let mut this = Self::new(now, setup, said, State::SynSent);
        this.begin_ecn();
        this.start_congestion(now, 0);
        this.arm_timers(now);
        this
    }

    /// A passive OPEN whose SYN-ACK `ack` is about to be processed by `on_segment`.
    pub(crate) fn accept(now: Instant, setup: Setup, said: PathMss, opening: &Opening) -> Self {
        let mut this = Self::new(now, setup, said, State::SynRcvd);
        this.snd.nxt = this.snd.iss + 1;
        this.accept_ecn(opening);
        this.negotiate(opening.mss, opening.scale, opening.sack);
        if let Some((val, at)) = opening.timestamp {
            this.timestamps = true;
            this.rcv.start_timestamps(val, at);
        }
        this.rcv.on_syn(opening.irs, opening.advertised);
        match opening.rtt {
            Some(nanos) => {
                this.rtt.sample_min(now, nanos.into());
                this.rtt.sample(Duration::from_nanos(nanos.into()), 1);
            }
            None if opening.retransmits > 0 => this.rtt.after_syn_loss(),
            None => {}
        }
        this.start_congestion(now, opening.lost_handshakes());
        this.arm_timers(now);
        this
    }

    /// Takes the options of the peer's SYN over (RFC 9293 §3.7.1, RFC 7323 §2.2, RFC 2018 §2).
    pub(crate) fn negotiate(&mut self, mss: Option<u16>, scale: Option<WindowScale>, sack: bool) {
        self.setup.peer_mss = mss.unwrap_or(self.setup.peer_mss).max(MIN_MSS);
        self.sack = sack;
        self.rcv.owed.set_sack(sack);
        self.scaling = scale.is_some();
        if let Some(scale) = scale {
            self.snd.scale = scale;
        } else {
            self.rcv.scale = WindowScale::default();
            let most = self.setup.options.recv_buffer_max;
            self.rcv.set_limit_max(most.min(usize::from(u16::MAX)));
        }
    }

    /// Text and option bytes of the largest segment: the least of what the peer takes, the path holds and the
    /// user set (RFC 9293 §3.7.1 MUST-16).
    pub(super) fn send_mss(&self) -> u16 {
        let own = self.setup.advertised_mss().min(self.path.mss());
        own.min(self.setup.peer_mss)
    }

    /// Text bytes of a full segment, which has the options that all carry (RFC 6691 §2).
    pub(crate) fn smss(&self) -> u32 {
        let options = if self.timestamps { 12 } else { 0 };
        u32::from(self.send_mss().saturating_sub(options).max(1))
    }

    /// The largest segment that gets to the peer has another size. What is out and larger was dropped, or will be:
    /// it is cut anew and leaves again at once, and is no sign of congestion (RFC 1191 §6.4, RFC 8201 §5.4). The
    /// window stays what it is in bytes (RFC 4821 §4); the timers run as they did. RFC 7323 §5.7: needed where
    /// timestamps are, for what leaves again is not fragmented either.
    pub(crate) fn set_path(&mut self, now: Instant, said: PathMss) {
        let (before, carried) = (self.smss(), self.path.mss());
        let probes = self.setup.options.mtu_probing != MtuProbing::Off;
        if self.retries > 0 {
            self.path.doubt_proof();
        }
        // A probe that a router refused is no loss either.
        let mut cut = self.path.set(now, said, probes).is_some();
        if self.path.mss() < carried {
            self.note_fast_too_big();
        }
        let size = self.smss();
        if size < before {
            self.give_up_size_probe(now);
            cut = true;
        }
        if cut && self.cut_anew() {
            self.persist.refuse(self.snd.nxt);
            // What it probed with is among that.
            self.recovery.tlp.give_up();
        }
        if size != before {
            self.tell_mtu(now, before);
        }
    }

    /// What is out in larger segments than the path carries is to leave again; returns whether there is anything.
    pub(super) fn cut_anew(&mut self) -> bool {
        let (mss, size) = (self.send_mss(), self.wire_size_of_text());
        self.scoreboard.cut_anew(mss, size)
    }

    /// Changes the state by the table.
    pub(crate) fn transit(&mut self, event: Event) {
        if let Some(next) = self.state.next(event) {
            self.state = next;
        }
    }

    /// Gives back the memory that an idle connection does not need: buffers of empty queues, room for
    /// more. A busy one makes them again, once.
    pub(crate) fn cool(&mut self) {
        self.snd.queue.cool();
        self.scoreboard.cool();
        self.rcv.queue.cool();
        self.rcv.assembler.cool();
    }

    /// Where the streams stand: what is below was there before, whichever way it goes.
    pub(crate) fn offsets(&self) -> Offsets {
        Offsets {
            received: self.rcv.offset,
            written: self.snd.queue.end(),
        }
    }

    /// Copies what was there before `then`, and is not worth the memory of others that it pins, or all
    /// that pins any; about `budget` bytes in each direction, and says whether that was all.
    pub(crate) fn compact(&mut self, then: Offsets, reach: Reach, budget: usize) -> bool {
        self.rcv.compact(then.received, reach, budget)
            && self.snd.queue.compact(then.written, reach, budget)
    }

    /// Bytes of memory that its queues keep beside the connection itself.
    pub(crate) fn held(&self) -> usize {
        self.held_unread() + self.rcv.assembler.held() + self.held_out()
    }

    /// Those of what is there to be read.
    pub(crate) fn held_unread(&self) -> usize {
        self.rcv.queue.held()
    }

    /// Those of what was written.
    pub(crate) fn held_written(&self) -> usize {
        self.snd.queue.held()
    }

    /// Those of the sending side.
    pub(crate) fn held_out(&self) -> usize {
        self.held_written() + self.scoreboard.held()
    }

    /// May it hold text that `compact` is for?
    pub(crate) fn pins(&self, reach: Reach) -> bool {
        self.rcv.queue.pins(reach) || self.rcv.assembler.pins(reach) || self.snd.queue.pins(reach)
    }

    /// Is there anything that may pin at all? The usual answer is no, and is had at once.
    pub(crate) fn may_pin(&self) -> bool {
        self.rcv.queue.has_slices() || !self.rcv.assembler.is_empty() || self.snd.queue.was_given()
    }

    // --- getters --------------------------------------------------------------------------

    /// TCP_INFO.
    pub(crate) fn info(&self) -> TcpInfo {
        let output = self.congestion.output();
        let ecn = self.ecn_info();
        let bytes = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let rate = self.sampler.rate();
        TcpInfo {
            state: self.state,
            failure: self.failure,
            soft_error: self.soft_error,
            congestion_control: self.congestion.name(),
            phase: self.phase(),
            pacing_rate: self.pacer.rate(),
            congestion_clamped: self.congestion.clamped(),
            rtt: self.rtt.srtt(),
            rttvar: self.rtt.rttvar(),
            latest_rtt: self.rtt.latest(),
            min_rtt: self.rtt.min(),
            rto: self.rtt.rto(),
            backoff: self.rtt.backoff(),
            cwnd: self.congestion.window(),
            ssthresh: output.ssthresh,
            in_flight: self.scoreboard.pipe(),
            unacked: self.snd.nxt.past(self.snd.una),
            sacked: self.scoreboard.sacked(),
            lost: self.scoreboard.lost(),
            retransmitted: self.scoreboard.retransmitted(),
            unsent: self.snd.unsent(),
            unread: bytes(self.rcv.unread()),
            urgent: bytes(self.urgent_left()),
            snd_mss: self.smss(),
            rcv_mss: u32::from(self.setup.advertised_mss()),
            snd_wnd: self.snd.wnd,
            rcv_wnd: self.rcv.wnd(),
            rcv_buffer: bytes(self.rcv.limit()),
            snd_buffer: bytes(self.send_buffer.limit()),
            memory: self.held() as u64,
            snd_wscale: self.snd.scale.shift(),
            rcv_wscale: self.rcv.scale.shift(),
            timestamps: self.timestamps,
            sack: self.sack,
            segs_out: self.stats.segs_out,
            segs_in: self.stats.segs_in,
            bytes_acked: self.stats.bytes_acked,
            bytes_received: self.stats.bytes_received,
            retransmits: self.stats.retransmits,
            bytes_retransmitted: self.stats.bytes_retransmitted,
            retries: self.retries.max(self.persist.retries()),
            send_limit: self.gate.last,
            reordering: self.stats.reordering,
            tail_probes: self.stats.tail_probes.into(),
            undos: self.stats.undos.into(),
            ecn: ecn.agreed,
            ce_received: ecn.ce_received,
            ece_received: ecn.ece_received,
            ecn_reductions: ecn.reductions,
            delivered_ce: self.sampler.delivered_ce(),
            delivered: self.sampler.delivered(),
            delivery_rate: rate.map(|(rate, _)| rate),
            delivery_rate_app_limited: rate.is_some_and(|(_, limited)| limited),
        }
    }
}
