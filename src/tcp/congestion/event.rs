//! What a controller is told, and what it answers.
//!
//! *Owns* the types of the calls. All lengths are bytes, all rates bytes per second. They may grow:
//! each is made by its `new`, and its fields are set afterwards.

use core::time::Duration;

use crate::base::Instant;

use super::initial_window;
use super::parts::{RateSample, TxStamp};

/// Which episode the sender is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Phase {
    /// Nothing is missing as far as is known.
    #[default]
    Open,
    /// Something came out of order; nothing is taken for lost yet.
    Disorder,
    /// The window is being reduced for a congestion mark (RFC 3168); nothing is missing (Linux's CWR).
    Reduction,
    /// Fast recovery: something was lost, and is being sent again.
    Recovery,
    /// The repair after a retransmission time-out.
    Loss,
}

impl Phase {
    /// Is something that was lost being sent again?
    pub const fn repairs(self) -> bool {
        matches!(self, Self::Recovery | Self::Loss)
    }
}

/// What the core knows at the moment of a call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Cx {
    /// The time; of an ACK, when it arrived.
    pub now: Instant,
    /// Text bytes of a full segment: RFC 5681's SMSS.
    pub smss: u32,
    /// The window a connection starts with: RFC 6928's IW.
    pub initial_cwnd: u32,
    /// RFC 6298's SRTT; `None` before the first sample.
    pub srtt: Option<Duration>,
    /// The latest round-trip sample.
    pub latest_rtt: Option<Duration>,
    /// The path's shortest round trip as the core knows it.
    pub path_min_rtt: Option<Duration>,
    /// Sent and believed to be in the network.
    pub inflight: u32,
    /// Delivered since the connection began.
    pub delivered: u64,
    /// Taken for lost since the connection began; what is taken for lost twice counts twice.
    pub lost: u64,
    /// Delivered with a congestion mark since the connection began.
    pub delivered_ce: u64,
    /// Did the window stop the sender in this round trip?
    pub cwnd_limited: bool,
    /// Had the application nothing more to send?
    pub app_limited: bool,
    /// Did the peer's window stop the sender?
    pub rwnd_limited: bool,
    /// The episode.
    pub phase: Phase,
    /// Is SACK on?
    pub sack_ok: bool,
    /// Did something come that had been overtaken on its way (RFC 8985 §6.2 step 3)? Then what is delivered in front of a
    /// hole is no sign of a loss yet.
    pub reordering_seen: bool,
}

impl Cx {
    /// A connection that has just begun, at `now`, with segments of `smss` bytes and SACK.
    pub fn new(now: Instant, smss: u32) -> Self {
        Self {
            now,
            smss,
            initial_cwnd: initial_window(smss, 0),
            srtt: None,
            latest_rtt: None,
            path_min_rtt: None,
            inflight: 0,
            delivered: 0,
            lost: 0,
            delivered_ce: 0,
            cwnd_limited: false,
            app_limited: false,
            rwnd_limited: false,
            phase: Phase::Open,
            sack_ok: true,
            reordering_seen: false,
        }
    }
}

/// With what a controller begins.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Start {
    /// For what the controller draws at random; of the connection alone, and the same in a replay.
    pub seed: u64,
    /// What the controller before this one allowed, on a connection that lives already.
    pub inherited: Option<Output>,
    /// How often the SYN or its answer had to be sent again; the initial window knows.
    pub syn_retransmits: u32,
}

impl Start {
    /// A new connection.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            inherited: None,
            syn_retransmits: 0,
        }
    }
}

/// A transmission is about to leave; [`Cx::inflight`] does not hold it yet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SendEvent {
    /// Its text.
    pub bytes: u32,
    /// How often it left before: 0 for new text.
    pub attempt: u8,
    /// In flight before it; 0 and `app_limited`, and [nothing to repair](Phase::repairs): the sender was idle.
    pub inflight_before: u32,
    /// Had the application nothing more to send before this?
    pub app_limited: bool,
    /// Is it a tail loss probe?
    pub tlp: bool,
}

impl SendEvent {
    /// New text.
    pub const fn new(bytes: u32, inflight_before: u32) -> Self {
        Self {
            bytes,
            attempt: 0,
            inflight_before,
            app_limited: false,
            tlp: false,
        }
    }
}

/// What told that something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossCause {
    /// RACK: what was sent later was delivered.
    Rack,
    /// Three duplicate ACKs, or a partial ACK, without SACK.
    DupThresh,
    /// The retransmission timer.
    Rto,
    /// What was sent again is lost again.
    LostRetransmit,
}

/// A record was newly taken for lost.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LostEvent {
    /// What it remembers of its transmission.
    pub stamp: TxStamp,
    /// Its text.
    pub bytes: u32,
    /// What told it.
    pub cause: LossCause,
    /// Is it not adjacent to the record marked before it in this pass? Then it is a loss of its own.
    pub starts_new_gap: bool,
    /// Is it the first record marked by this ACK, or timer?
    pub first_in_pass: bool,
}

impl LostEvent {
    /// A record found by RACK, the first of its pass.
    pub const fn new(stamp: TxStamp, bytes: u32) -> Self {
        Self {
            stamp,
            bytes,
            cause: LossCause::Rack,
            starts_new_gap: true,
            first_in_pass: true,
        }
    }
}

/// Why an episode starts or worsens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CongestionKind {
    /// Loss was detected outside an episode.
    EnterRecovery,
    /// A retransmission was lost too (RFC 5681 §4.3): at most once a round trip. The controllers of this
    /// crate ignore it.
    FurtherLossInRecovery,
    /// The retransmission timer expired.
    Rto {
        /// For this segment for the first time (RFC 5681 §3.1).
        first: bool,
        /// How often in a row, this one included.
        consecutive: u32,
    },
    /// The peer echoed congestion marks (RFC 3168): at most once a round trip.
    Ecn {
        /// Newly acknowledged bytes that carried one, as far as is known.
        marked_bytes: u32,
    },
    /// A tail loss probe repaired a loss, and nothing else showed it (RFC 8985 §7.4).
    TlpRepairedLoss,
}

/// An episode starts or worsens.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CongestionEvent {
    /// Why.
    pub kind: CongestionKind,
    /// In flight before the ACK, or the time-out, that told it: RFC 5681's FlightSize.
    pub flight_before: u32,
    /// The window before it.
    pub cwnd_before: u32,
    /// Was the window reduced for a mark on what is still out? A loss among it is no reason to reduce it
    /// again, nor the threshold (RFC 3168 §6.1.2); a time-out still sets the window back.
    pub reduced: bool,
}

impl CongestionEvent {
    /// An event told with so much in flight, and the window as large.
    pub const fn new(kind: CongestionKind, flight_before: u32) -> Self {
        Self {
            kind,
            flight_before,
            cwnd_before: flight_before,
            reduced: false,
        }
    }
}

/// What the controller wants done about a [`CongestionEvent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// The core glides what may leave down to `target` bytes, by proportional rate reduction, and ends
    /// there. [`Output::cwnd`] counts again when the episode is over; to
    /// [`TlpRepairedLoss`](CongestionKind::TlpRepairedLoss), which starts none, the answer is [`Direct`](Self::Direct).
    Prr {
        /// The window at the end.
        target: u32,
    },
    /// [`Output::cwnd`] counts from now on.
    Direct,
    /// Nothing changes.
    Ignore,
}

/// Which episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EpisodeKind {
    /// Fast recovery.
    Recovery,
    /// The repair after a time-out.
    Loss,
    /// The reduction after congestion marks.
    Reduction,
}

/// What an ACK moved.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AckSample {
    /// Newly acknowledged, cumulatively and selectively.
    pub newly_acked: u32,
    /// Newly taken for lost.
    pub newly_lost: u32,
    /// Newly acknowledged with a congestion mark.
    pub newly_ce: u32,
    /// Did the ACK carry ECN-Echo?
    pub ece: bool,
    /// The round trip of the most recently sent record of this ACK; none when it was sent more than
    /// once and nothing tells which was acknowledged (Karn).
    pub rtt: Option<Duration>,
    /// Does it acknowledge a single last segment? Then the receiver may have waited before it did.
    pub rtt_ack_delayed: bool,
    /// In flight before the ACK.
    pub prior_inflight: u32,
    /// Did SND.UNA move?
    pub una_advanced: bool,
    /// Does it answer the tail loss probe?
    pub matches_tlp: bool,
    /// The delivery rate, when the ACK tells one.
    pub rate: Option<RateSample>,
}

impl AckSample {
    /// An ACK that moved SND.UNA over `newly_acked` bytes.
    pub const fn new(newly_acked: u32) -> Self {
        Self {
            newly_acked,
            newly_lost: 0,
            newly_ce: 0,
            ece: false,
            rtt: None,
            rtt_ack_delayed: false,
            prior_inflight: newly_acked,
            una_advanced: true,
            matches_tlp: false,
            rate: None,
        }
    }
}

/// What shows that an episode was for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UndoEvidence {
    /// Every retransmission of the episode was reported as a duplicate (RFC 2883, RFC 3708).
    Dsack,
    /// The peer echoed a timestamp older than the first retransmission (RFC 3522).
    Timestamp,
    /// Forward RTO-recovery (RFC 5682).
    Frto,
    /// All that was taken for lost arrived before anything of it left again.
    NothingSent,
}

/// An episode was for nothing: what it changed is to be as it was.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UndoEvent {
    /// Which episode.
    pub episode: EpisodeKind,
    /// What shows it.
    pub evidence: UndoEvidence,
}

impl UndoEvent {
    /// An episode, and what shows that it was for nothing.
    pub const fn new(episode: EpisodeKind, evidence: UndoEvidence) -> Self {
        Self { episode, evidence }
    }
}

/// How fast what the window allows may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pacing {
    /// At once.
    #[default]
    Off,
    /// Spread over the round trip, a little faster than the window; on a local path, and while the window is small, at
    /// once ([`window_rate`](super::parts::window_rate)).
    FromWindow,
    /// At so many bytes per second.
    Rate(u64),
}

/// What the controller allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// What may be in flight.
    pub cwnd: u32,
    /// The slow-start threshold; `u32::MAX` where there is none yet, or never.
    pub ssthresh: u32,
    /// How fast it may leave.
    pub pacing: Pacing,
    /// The most that leaves in one piece; `None`: the core decides.
    pub send_quantum: Option<u32>,
}

impl Output {
    /// A window without pacing.
    pub const fn window(cwnd: u32, ssthresh: u32) -> Self {
        Self {
            cwnd,
            ssthresh,
            pacing: Pacing::Off,
            send_quantum: None,
        }
    }

    /// The same, paced.
    #[must_use]
    pub const fn paced(self, pacing: Pacing) -> Self {
        Self { pacing, ..self }
    }

    /// The same, in pieces of at most `bytes`.
    #[must_use]
    pub const fn quantum(self, bytes: u32) -> Self {
        Self {
            send_quantum: Some(bytes),
            ..self
        }
    }
}
