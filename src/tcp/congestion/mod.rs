//! Congestion control: what a controller hears and says.
//!
//! *Owns* the trait and its events. *Does not* detect losses, count what is in flight or time
//! anything: the core does, and the controller answers with a window. Reno is the only one yet.
//!
//! The trait stays inside the crate until it has a second user.

mod bbr;
pub mod control;
mod cubic;
pub mod event;
pub mod parts;
mod reno;
#[cfg(test)]
mod test_path;

use core::fmt;
use core::time::Duration;

pub use bbr::Bbr;
pub use cubic::Cubic;
pub(crate) use reno::Reno;

/// What the core knows at the moment of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cx {
    /// Text bytes of a full segment.
    pub(crate) smss: u32,
    /// The window a connection starts with, in bytes.
    pub(crate) initial_cwnd: u32,
    /// RTO, back-off included.
    pub(crate) rto: Duration,
    /// Did the window stop the sender in this round?
    pub(crate) cwnd_limited: bool,
}

/// A transmission is about to leave; `inflight_before` does not hold it yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendEvent {
    pub(crate) inflight_before: u32,
    /// Since the transmission before this one.
    pub(crate) idle: Duration,
}

/// Why an episode starts or worsens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CongestionKind {
    /// Loss was detected outside recovery.
    EnterRecovery,
    /// The retransmission timer expired.
    Rto {
        /// For this segment for the first time (RFC 5681 §3.1).
        first: bool,
    },
}

/// An episode starts or worsens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CongestionEvent {
    pub(crate) kind: CongestionKind,
    /// In flight before the ACK, or the time-out, that told it.
    pub(crate) flight_before: u32,
}

/// What the controller wants done about a [`CongestionEvent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// Glide the window down to `target` bytes and end there. Until proportional rate reduction
    /// comes the window is there at once (RFC 6675 §5 (4.2)).
    Prr { target: u32 },
    /// Use [`Output::cwnd`] from now on.
    Direct,
}

/// Which episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpisodeKind {
    /// Fast recovery.
    Recovery,
    /// The repair after a time-out.
    Loss,
}

/// What an ACK moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckSample {
    /// Bytes newly acknowledged, cumulatively or selectively.
    pub(crate) newly_acked: u32,
    /// Did SND.UNA move?
    pub(crate) una_advanced: bool,
    /// Is the sender in fast recovery?
    pub(crate) in_recovery: bool,
}

/// What the controller allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// Bytes that may be in flight.
    pub(crate) cwnd: u32,
    pub(crate) ssthresh: u32,
}

/// A pure state machine that owns cwnd and ssthresh and nothing else.
pub(crate) trait CongestionControl: Send + fmt::Debug {
    /// After the handshake.
    fn start(&mut self, cx: &Cx);
    /// Before in-flight grows.
    fn on_send(&mut self, _cx: &Cx, _event: &SendEvent) {}
    /// Once an episode starts or worsens, never once per duplicate ACK.
    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response;
    /// Once per ACK that moved anything.
    fn on_ack(&mut self, cx: &Cx, sample: &AckSample);
    /// The recovery point was passed.
    fn on_recovery_exit(&mut self, _cx: &Cx, _kind: EpisodeKind) {}
    /// What is allowed now.
    fn output(&self) -> Output;
    /// The algorithm's name, as Linux writes it.
    fn name(&self) -> &'static str;
}

/// IW by RFC 6928 §2: `min(10 * SMSS, max(2 * SMSS, 14600))`, or one SMSS after the SYN or its
/// answer had to be sent more than once again.
pub(crate) fn initial_window(smss: u32, syn_retransmits: u32) -> u32 {
    if syn_retransmits > 1 {
        smss
    } else {
        (10 * smss).min((2 * smss).max(14_600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: CC-2, CC-3
    #[test]
    fn initial_windows() {
        for (smss, window) in [(536, 5360), (1448, 14_480), (2190, 14_600), (9000, 18_000)] {
            assert_eq!(initial_window(smss, 0), window);
            assert_eq!(initial_window(smss, 1), window);
            assert_eq!(initial_window(smss, 2), smss);
        }
    }
}
