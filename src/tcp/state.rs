//! The states and the one table that changes them (RFC 9293 §3.3.2, Figure 5).

use core::fmt;

/// A connection's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// No connection.
    Closed,
    /// Waiting for a connection request.
    Listen,
    /// Our SYN is out.
    SynSent,
    /// Both SYNs are out, ours is not acknowledged.
    SynRcvd,
    /// Data flows both ways.
    Established,
    /// Our FIN is out, not acknowledged.
    FinWait1,
    /// Our FIN is acknowledged, the peer's has not come.
    FinWait2,
    /// The peer's FIN has come, ours has not gone.
    CloseWait,
    /// Both FINs are out, ours is not acknowledged, ours went first.
    Closing,
    /// Both FINs are out, ours is not acknowledged, the peer's came first.
    LastAck,
    /// All is acknowledged; old duplicates may still come.
    TimeWait,
}

/// What can change a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    RcvSyn,
    RcvSynAck,
    RcvAckOfSyn,
    RcvFin,
    RcvAckOfFin,
    RcvRst,
    SndFin,
    Abort,
    GaveUp,
    TwoMslExpired,
}

impl State {
    /// Every state, in RFC 9293's order.
    pub const ALL: &[Self] = &[
        Self::Closed,
        Self::Listen,
        Self::SynSent,
        Self::SynRcvd,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// The state after `event`; `None`: the event cannot happen in this state.
    ///
    /// Listeners outlive their children, so Figure 5's return to LISTEN is not a transition here. What
    /// ends FIN-WAIT-2 of a connection without a user is not either: it is a record by then.
    pub(crate) const fn next(self, event: Event) -> Option<Self> {
        use Event as E;
        Some(match (self, event) {
            (Self::SynSent, E::RcvSyn) => Self::SynRcvd, // simultaneous open, MUST-10
            (Self::SynSent, E::RcvSynAck) | (Self::SynRcvd, E::RcvAckOfSyn) => Self::Established,
            (Self::SynRcvd | Self::Established, E::SndFin) => Self::FinWait1,
            (Self::CloseWait, E::SndFin) => Self::LastAck,
            (Self::SynRcvd | Self::Established, E::RcvFin) => Self::CloseWait,
            (Self::FinWait1, E::RcvFin) => Self::Closing,
            (Self::FinWait1, E::RcvAckOfFin) => Self::FinWait2,
            (Self::FinWait2, E::RcvFin) | (Self::Closing, E::RcvAckOfFin) => Self::TimeWait,
            (Self::LastAck, E::RcvAckOfFin) | (Self::TimeWait, E::TwoMslExpired) => Self::Closed,
            (Self::Closed | Self::Listen, _) | (Self::TimeWait, E::RcvRst) => return None, // RFC 1337
            (_, E::RcvRst | E::Abort | E::GaveUp) => Self::Closed,
            _ => return None,
        })
    }

    /// Have both ends agreed on the initial numbers? (RFC 9293 §3.5.2, "synchronized")
    pub const fn is_synchronized(self) -> bool {
        !matches!(
            self,
            Self::Closed | Self::Listen | Self::SynSent | Self::SynRcvd
        )
    }

    /// May the peer still send text?
    pub(crate) const fn takes_text(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// May new text and the FIN leave? (SYN-RECEIVED queues: RFC 9293 §3.10.2)
    pub(crate) const fn sends_text(self) -> bool {
        matches!(self, Self::Established | Self::CloseWait)
    }

    /// The name as RFC 9293 writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynRcvd => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const EVENTS: [Event; 10] = [
        Event::RcvSyn,
        Event::RcvSynAck,
        Event::RcvAckOfSyn,
        Event::RcvFin,
        Event::RcvAckOfFin,
        Event::RcvRst,
        Event::SndFin,
        Event::Abort,
        Event::GaveUp,
        Event::TwoMslExpired,
    ];

    /// Covers: TCP-65
    ///
    /// The whole machine as a DOT graph beside the code: reviewers read the graph.
    #[test]
    fn the_machine_is_the_committed_one() {
        let mut dot = String::from("digraph tcp {\n");
        for &state in State::ALL {
            for event in EVENTS {
                if let Some(next) = state.next(event) {
                    writeln!(dot, "  \"{state}\" -> \"{next}\" [label=\"{event:?}\"];").unwrap();
                }
            }
        }
        dot.push_str("}\n");
        assert_eq!(
            dot,
            include_str!("state.dot"),
            "src/tcp/state.dot differs; now:\n{dot}"
        );
    }

    #[test]
    fn closed_and_listen_never_move() {
        for event in [Event::RcvSyn, Event::RcvFin, Event::SndFin, Event::RcvRst] {
            assert_eq!(State::Closed.next(event), None);
            assert_eq!(State::Listen.next(event), None);
        }
    }
}
