//! The transmission control block: what a connection is, and what its user asks of it.
//!
//! *Owns* the fields and the user's calls (RFC 9293 §3.10.1 to §3.10.6). *Does not* parse, emit or
//! look anything up: `on_segment`, `ack`, `plan` and `on_timer` are the other halves of this type.

use core::time::Duration;
use std::net::Shutdown;
use std::sync::Arc;

use bitflags::bitflags;
use bytes::Bytes;

use crate::base::Instant;

use super::congestion::{CongestionControl, Cx, Reno, initial_window};
use super::error::{ReadError, TcpFailure, WriteError};
use super::info::TcpInfo;
use super::receive::Receive;
use super::recovery::Recovery;
use super::rtt::Rtt;
use super::sampler::DeliverySampler;
use super::scoreboard::Scoreboard;
use super::segment::Segment;
use super::send::{Fin, Send};
use super::seq::{SeqNum, WindowScale};
use super::settings::TcpOptions;
use super::state::{Event, State};
use super::timers::{Timer, Timers};

// A floor for what a peer may ask for (r13 in docs/regressions.md; Linux's tcp_min_snd_mss).
pub(crate) const MIN_MSS: u16 = 48;

bitflags! {
    /// What happened that the user may want to know.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub(crate) struct Signals: u8 {
        const CONNECTED = 1;
        const READABLE = 2;
        const WRITABLE = 4;
        const CLOSED = 8;
        const FAILED = 16;
    }
}

/// What a connection is made with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    pub(crate) iss: SeqNum,
    pub(crate) ts_offset: u32,
    /// Text and option bytes of the largest segment that the path's MTU holds.
    pub(crate) path_mss: u16,
    /// What RFC 9293 §3.7.1 MUST-15 assumes of a peer that sends no MSS option.
    pub(crate) default_mss: u16,
    pub(crate) options: Arc<TcpOptions>,
}

impl Setup {
    /// The MSS option that we send, bounded by the user's setting. A path below the floor wins:
    /// what exceeds the MTU never arrives.
    pub(crate) fn advertised_mss(&self) -> u16 {
        self.path_mss.min(self.options.mss_limit())
    }

    pub(crate) fn receive(&self) -> Receive {
        Receive::new(
            self.options.recv_buffer_initial,
            self.options.recv_buffer_max,
            u32::from(self.advertised_mss()),
        )
    }
}

/// A RST to send, by RFC 9293 §3.5.2's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reset {
    pub(crate) seq: SeqNum,
    pub(crate) ack: Option<SeqNum>,
}

/// Counts that `info` tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) segs_out: u64,
    pub(crate) segs_in: u64,
    pub(crate) bytes_acked: u64,
    pub(crate) bytes_received: u64,
    pub(crate) retransmits: u64,
    pub(crate) bytes_retransmitted: u64,
    pub(crate) fast_retransmits: u64,
    pub(crate) timeouts: u64,
    pub(crate) challenge_acks: u64,
    pub(crate) window_probes: u64,
    pub(crate) keepalives: u64,
    pub(crate) reordering: u64,
    /// What the stack's counters have taken over.
    told: Tally,
}

/// Counts that the stack sums over all connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) retransmits: u64,
    pub(crate) fast_retransmits: u64,
    pub(crate) timeouts: u64,
    pub(crate) challenge_acks: u64,
    pub(crate) window_probes: u64,
    pub(crate) keepalives: u64,
}

impl Stats {
    /// What was counted since the last call.
    pub(crate) fn drain(&mut self) -> Tally {
        let all = Tally {
            retransmits: self.retransmits,
            fast_retransmits: self.fast_retransmits,
            timeouts: self.timeouts,
            challenge_acks: self.challenge_acks,
            window_probes: self.window_probes,
            keepalives: self.keepalives,
        };
        let told = core::mem::replace(&mut self.told, all);
        Tally {
            retransmits: all.retransmits - told.retransmits,
            fast_retransmits: all.fast_retransmits - told.fast_retransmits,
            timeouts: all.timeouts - told.timeouts,
            challenge_acks: all.challenge_acks - told.challenge_acks,
            window_probes: all.window_probes - told.window_probes,
            keepalives: all.keepalives - told.keepalives,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) state: State,
    pub(crate) setup: Setup,
    pub(crate) snd: Send,
    pub(crate) rcv: Receive,
    pub(crate) scoreboard: Scoreboard,
    pub(crate) sampler: DeliverySampler,
    pub(crate) recovery: Recovery,
    pub(crate) congestion: Box<dyn CongestionControl>,
    pub(crate) rtt: Rtt,
    pub(crate) timers: Timers,
    /// The MSS the peer told, or the default.
    pub(crate) peer_mss: u16,
    pub(crate) timestamps: bool,
    pub(crate) sack: bool,
    pub(crate) signals: Signals,
    pub(crate) read_armed: bool,
    pub(crate) write_armed: bool,
    pub(crate) failure: Option<TcpFailure>,
    /// The user has let go: the stack ends the connection by itself.
    pub(crate) orphan: bool,
    /// Time-outs in a row without an answer: R2 of RFC 9293 §3.8.3.
    pub(crate) retries: u8,
    pub(crate) keepalive_probes: u8,
    pub(crate) keepalive_due: bool,
    pub(crate) probe_due: bool,
    /// Doublings of the persist interval since the window closed.
    pub(crate) persist_backoff: u32,
    /// Sending stopped because of cwnd, with SND.NXT here.
    pub(crate) cwnd_limited_at: Option<SeqNum>,
    pub(crate) last_heard: Instant,
    /// When text last left: an ACK does not end idleness (RFC 5681 §4.1).
    pub(crate) last_sent: Instant,
    /// When SND.UNA last moved, or something first waited (r31).
    pub(crate) last_progress: Instant,
    /// Challenge ACKs and answers to unacceptable segments that may still leave in this second.
    pub(crate) challenge: ChallengeBudget,
    pub(crate) stats: Stats,
}

/// RFC 5961 §7's limit, per connection; a global one is a side channel (CVE-2016-5696).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChallengeBudget {
    second: u64,
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
        let second = now.as_nanos() / 1_000_000_000;
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
    fn new(now: Instant, setup: Setup, state: State) -> Self {
        Self {
            state,
            snd: Send::new(setup.iss),
            rcv: setup.receive(),
            scoreboard: Scoreboard::default(),
            sampler: DeliverySampler::default(),
            recovery: Recovery::default(),
            congestion: Box::new(Reno::new()),
            rtt: Rtt::new(setup.options.min_rto),
            timers: Timers::default(),
            peer_mss: setup.default_mss,
            timestamps: false,
            sack: false,
            signals: Signals::empty(),
            read_armed: true,
            write_armed: true,
            failure: None,
            orphan: false,
            retries: 0,
            keepalive_probes: 0,
            keepalive_due: false,
            probe_due: false,
            persist_backoff: 0,
            cwnd_limited_at: None,
            last_heard: now,
            last_sent: now,
            last_progress: now,
            challenge: ChallengeBudget::new(),
            stats: Stats::default(),
            setup,
        }
    }

    /// Active OPEN (RFC 9293 §3.10.1): the SYN leaves with the first `plan`.
    pub(crate) fn connect(now: Instant, setup: Setup) -> Self {
        let mut this = Self::new(now, setup, State::SynSent);
        this.start_congestion(0);
        this.settle(now);
        this
    }

    /// A passive OPEN whose SYN-ACK `ack` is about to be processed by `on_segment`.
    pub(crate) fn accept(now: Instant, setup: Setup, opening: &Opening) -> Self {
        let mut this = Self::new(now, setup, State::SynRcvd);
        this.snd.nxt = this.snd.iss + 1;
        this.negotiate(opening.mss, opening.scale, opening.sack);
        if let Some((val, at)) = opening.timestamp {
            this.timestamps = true;
            this.rcv.start_timestamps(val, at);
        }
        this.rcv.on_syn(opening.irs, opening.advertised);
        match opening.rtt {
            Some(rtt) => this.rtt.sample(rtt, 1),
            None if opening.retransmits > 0 => this.rtt.after_syn_loss(),
            None => {}
        }
        this.start_congestion(opening.retransmits);
        this.settle(now);
        this
    }

    /// Takes the options of the peer's SYN over (RFC 9293 §3.7.1, RFC 7323 §2.2, RFC 2018 §2).
    pub(crate) fn negotiate(&mut self, mss: Option<u16>, scale: Option<WindowScale>, sack: bool) {
        self.peer_mss = mss.unwrap_or(self.setup.default_mss).max(MIN_MSS);
        self.sack = sack;
        if let Some(scale) = scale {
            self.snd.scale = scale;
        } else {
            self.rcv.scale = WindowScale::default();
            self.rcv.set_limit_max(usize::from(u16::MAX));
        }
    }

    /// Sets the window once the segment size is known.
    pub(crate) fn start_congestion(&mut self, syn_retransmits: u32) {
        let mut cx = self.cx();
        cx.initial_cwnd = initial_window(cx.smss, syn_retransmits);
        self.congestion.start(&cx);
    }

    /// What the controller is told with every call.
    pub(crate) fn cx(&self) -> Cx {
        let smss = self.smss();
        Cx {
            smss,
            initial_cwnd: initial_window(smss, 0),
            rto: self.rtt.rto(),
            cwnd_limited: self.cwnd_limited_at.is_some(),
        }
    }

    /// Text bytes of a full segment: the least of what the peer takes, the path holds and the user
    /// set, less the options that every segment carries (RFC 9293 §3.7.1 MUST-16, RFC 6691 §2).
    pub(crate) fn smss(&self) -> u32 {
        let options = if self.timestamps { 12 } else { 0 };
        let mss = self.setup.advertised_mss().min(self.peer_mss);
        u32::from(mss.saturating_sub(options).max(1))
    }

    /// Changes the state by the table.
    pub(crate) fn transit(&mut self, event: Event) {
        if let Some(next) = self.state.next(event) {
            self.state = next;
        }
    }

    // --- the user -------------------------------------------------------------------------

    /// Bytes that the send buffer still takes.
    pub(crate) fn send_room(&self) -> usize {
        self.setup
            .options
            .send_buffer
            .saturating_sub(self.snd.queue.len())
    }

    /// Checks that `write` may queue something, and arms the event when it may not now.
    fn check_writable(&mut self) -> Result<usize, WriteError> {
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        let open = matches!(
            self.state,
            State::SynSent | State::SynRcvd | State::Established | State::CloseWait
        );
        if !open || self.snd.fin != Fin::Open {
            return Err(WriteError::ShutDown);
        }
        match self.send_room() {
            0 => {
                self.write_armed = true;
                Err(WriteError::WouldBlock)
            }
            room => Ok(room),
        }
    }

    /// SEND (RFC 9293 §3.10.2) of a copy of `data`, as much as the buffer takes.
    pub(crate) fn write(&mut self, now: Instant, data: &[u8]) -> Result<usize, WriteError> {
        let room = self.check_writable()?;
        let len = room.min(data.len());
        self.note_pending(now);
        self.snd.queue.copy(&data[..len]);
        self.settle(now);
        Ok(len)
    }

    /// SEND without a copy: takes a prefix off `chunk`.
    pub(crate) fn write_chunk(
        &mut self,
        now: Instant,
        chunk: &mut Bytes,
    ) -> Result<usize, WriteError> {
        let room = self.check_writable()?;
        let len = room.min(chunk.len());
        self.note_pending(now);
        self.snd.queue.push(chunk.split_to(len));
        self.settle(now);
        Ok(len)
    }

    /// RECEIVE (RFC 9293 §3.10.3); an empty slice is the end of the stream.
    pub(crate) fn read_chunk(&mut self, max: usize) -> Result<Bytes, ReadError> {
        if max == 0 {
            return Ok(Bytes::new());
        }
        if let Some(slice) = self.rcv.read(max) {
            return Ok(slice);
        }
        self.check_readable()?;
        Ok(Bytes::new())
    }

    /// Looks at what would be read.
    pub(crate) fn peek(&mut self, buf: &mut [u8]) -> Result<usize, ReadError> {
        if self.rcv.unread() == 0 && !buf.is_empty() {
            self.check_readable()?;
        }
        Ok(self.rcv.peek(buf))
    }

    /// Nothing is unread: is that the end, a failure, or just not yet?
    fn check_readable(&mut self) -> Result<(), ReadError> {
        if self.rcv.is_finished() || self.rcv.is_shut_down() {
            return Ok(());
        }
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        self.read_armed = true;
        match self.state {
            State::Closed => Err(ReadError::NotConnected),
            _ => Err(ReadError::WouldBlock),
        }
    }

    /// CLOSE of one direction or both (RFC 9293 §3.10.4, §3.6.1).
    pub(crate) fn shutdown(&mut self, now: Instant, how: Shutdown) {
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.rcv.shutdown();
            self.signal_readable();
        }
        if matches!(how, Shutdown::Write | Shutdown::Both) && self.snd.fin == Fin::Open {
            self.note_pending(now);
            self.snd.fin = Fin::Queued;
        }
        self.settle(now);
    }

    /// CLOSE for good: returns the RST to send when the connection ends at once instead
    /// (RFC 9293 §3.6.1 SHLD-3: unread data; SO_LINGER of zero).
    pub(crate) fn close(&mut self, now: Instant) -> Option<Reset> {
        self.orphan = true;
        let unread = self.rcv.unread() > 0;
        let linger = self.setup.options.linger;
        if self.state == State::SynSent || unread || linger.is_some_and(|time| time.is_zero()) {
            return self.abort();
        }
        if let Some(time) = linger {
            self.timers.arm(Timer::Orphan, now + time);
        } else if self.state == State::FinWait2 {
            self.timers
                .arm(Timer::Orphan, now + self.setup.options.fin_timeout);
        }
        self.shutdown(now, Shutdown::Write);
        None
    }

    /// ABORT (RFC 9293 §3.10.5): ends the connection and returns the RST that the peer is owed.
    pub(crate) fn abort(&mut self) -> Option<Reset> {
        let reset = self.reset();
        self.fail(TcpFailure::Aborted, Event::Abort);
        reset
    }

    /// The RST of an ABORT: in the synchronized states and in SYN-RECEIVED, unless both FINs have
    /// passed.
    pub(crate) fn reset(&self) -> Option<Reset> {
        let owed = matches!(
            self.state,
            State::SynRcvd
                | State::Established
                | State::FinWait1
                | State::FinWait2
                | State::CloseWait
                | State::Closing
                | State::LastAck
        );
        owed.then_some(Reset {
            seq: self.snd.nxt,
            ack: Some(self.rcv.nxt),
        })
    }

    /// Ends the connection: the user's calls say why from now on.
    pub(crate) fn fail(&mut self, failure: TcpFailure, event: Event) {
        self.transit(event);
        self.state = State::Closed;
        self.failure = Some(failure);
        self.timers.stop_all();
        self.signals |= Signals::FAILED | Signals::CLOSED | Signals::READABLE | Signals::WRITABLE;
    }

    /// An attempt to connect ends without an answer from the peer's TCP.
    pub(crate) fn refuse_opening(&mut self, failure: TcpFailure) {
        self.fail(failure, Event::GaveUp);
    }

    /// Is an ACK due with the next turn?
    pub(crate) fn owes_ack(&self) -> bool {
        self.rcv.wants_ack(self.setup.options.delayed_ack)
    }

    /// Is an ACK owed at all, now or later? It is taken over by the caller.
    pub(crate) fn take_owed_ack(&mut self) -> bool {
        self.rcv.take_owed_ack()
    }

    /// Both FINs have passed and been acknowledged.
    pub(crate) fn finish(&mut self) {
        self.timers.stop_all();
        self.signals |= Signals::CLOSED;
    }

    /// Changes the settings of a live connection.
    pub(crate) fn set_options(&mut self, now: Instant, options: TcpOptions) {
        self.rtt.set_min_rto(options.min_rto);
        if options.recv_buffer_max != self.setup.options.recv_buffer_max {
            self.rcv.set_limit_max(options.recv_buffer_max);
        }
        if options.keepalive != self.setup.options.keepalive {
            self.keepalive_probes = 0;
            self.timers.stop(Timer::KeepAlive);
        }
        if options.user_timeout != self.setup.options.user_timeout {
            self.timers.stop(Timer::UserTimeout);
        }
        self.setup.options = Arc::new(options);
        self.settle(now);
    }

    pub(crate) fn signal_readable(&mut self) {
        if self.read_armed {
            self.read_armed = false;
            self.signals |= Signals::READABLE;
        }
    }

    /// Tells a writer that waits, once a third of the buffer is free (as Linux does): a writer
    /// woken for every segment would only fall asleep again.
    pub(crate) fn signal_writable(&mut self) {
        if self.write_armed && self.send_room() >= self.setup.options.send_buffer / 3 {
            self.write_armed = false;
            self.signals |= Signals::WRITABLE;
        }
    }

    /// Something new is about to wait for the peer: the user time-out counts from here.
    fn note_pending(&mut self, now: Instant) {
        if !self.snd.is_pending() {
            self.last_progress = now;
        }
    }

    // --- getters --------------------------------------------------------------------------

    /// TCP_INFO.
    pub(crate) fn info(&self) -> TcpInfo {
        let output = self.congestion.output();
        let bytes = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (delivery_rate, delivery_rate_app_limited) = self
            .sampler
            .rate()
            .map_or((None, false), |(rate, limited)| (Some(rate), limited));
        TcpInfo {
            state: self.state,
            failure: self.failure,
            congestion_control: self.congestion.name(),
            rtt: self.rtt.srtt(),
            rttvar: self.rtt.rttvar(),
            latest_rtt: self.rtt.latest(),
            min_rtt: self.rtt.min(),
            rto: self.rtt.rto(),
            backoff: self.rtt.backoff(),
            cwnd: output.cwnd,
            ssthresh: output.ssthresh,
            in_flight: self.scoreboard.pipe(),
            unacked: self.snd.nxt.past(self.snd.una),
            sacked: self.scoreboard.sacked(),
            lost: self.scoreboard.lost(),
            unsent: self.snd.unsent(),
            unread: bytes(self.rcv.unread()),
            snd_mss: self.smss(),
            rcv_mss: u32::from(self.setup.advertised_mss()),
            snd_wnd: self.snd.wnd,
            rcv_wnd: self.rcv.wnd(),
            rcv_buffer: bytes(self.rcv.limit()),
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
            retries: self.retries,
            reordering: self.stats.reordering,
            delivered: self.sampler.delivered(),
            delivery_rate,
            delivery_rate_app_limited,
        }
    }
}

/// What a half-open record learned from the peer's SYN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) irs: SeqNum,
    pub(crate) mss: Option<u16>,
    pub(crate) scale: Option<WindowScale>,
    pub(crate) sack: bool,
    pub(crate) timestamp: Option<(u32, Instant)>,
    /// The window that our SYN-ACK told.
    pub(crate) advertised: u32,
    /// How often our SYN-ACK was sent again.
    pub(crate) retransmits: u32,
    /// From the SYN-ACK to its ACK; `None` when it is ambiguous (Karn).
    pub(crate) rtt: Option<Duration>,
}

impl Opening {
    /// What a SYN says.
    pub(crate) fn of_syn(seg: &Segment, advertised: u32) -> Self {
        Self {
            irs: seg.seq,
            mss: seg.options.mss,
            scale: seg.options.window_scale.map(WindowScale::new),
            sack: seg.options.sack_permitted,
            timestamp: seg.options.timestamps.map(|(val, _)| (val, seg.at)),
            advertised,
            retransmits: 0,
            rtt: None,
        }
    }
}
