//! Congestion control: what a controller hears and says, and the controllers.
//!
//! A controller is a pure state machine behind [`CongestionControl`]: it is told what happened and
//! answers with a window, a rate and how to get there. The core counts what is in flight, detects
//! losses, measures and paces; it never asks which algorithm it talks to. [`Choice`] names the ones
//! that are here and takes a user's own.
//!
//! Reno (RFC 5681), CUBIC (RFC 9438) with HyStart++ (RFC 9406), BBR versions 1 and 3. Integers only:
//! the same calls give the same answers on every machine.
//!
//! *Owns* the trait, its events, the controllers and the [`parts`] they share. *Does not* know
//! connections, segments or clocks.

mod bbr;
mod choice;
mod control;
mod controller;
mod cubic;
mod event;
pub mod parts;
mod reno;
#[cfg(test)]
mod test_path;

pub use bbr::{Bbr, Bbr3};
pub use choice::{Choice, Maker, UnknownChoice};
pub use control::CongestionControl;
pub use cubic::Cubic;
pub use event::{
    AckSample, CongestionEvent, CongestionKind, Cx, EpisodeKind, LossCause, LostEvent, Output,
    Pacing, Phase, Response, SendEvent, Start, UndoEvent, UndoEvidence,
};
pub use reno::Reno;

pub(crate) use controller::Controller;

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
    fn i2_initial_windows() {
        for (smss, window) in [(536, 5360), (1448, 14_480), (2190, 14_600), (9000, 18_000)] {
            assert_eq!(initial_window(smss, 0), window);
            assert_eq!(initial_window(smss, 1), window);
            assert_eq!(initial_window(smss, 2), smss);
        }
    }
}
