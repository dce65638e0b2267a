//! What must be true of two users of one connection, at every step and in the end.

use super::scenario::Scenario;
use super::user::{Actor, Outcome};
use netloom::tcp::TcpFailure;

/// The two users of a conversation.
pub(crate) struct Talk {
    pub(crate) at: usize,
    pub(crate) actors: [Actor; 2],
    /// May it fail for a reason that is none of the stack's?
    fragile: bool,
    /// May the opener find no neighbour?
    lonely: bool,
}

impl Talk {
    pub(crate) fn new(scenario: &Scenario, at: usize, actors: [Actor; 2]) -> Self {
        Self {
            at,
            actors,
            fragile: scenario.is_fragile(at),
            lonely: scenario.may_be_unreachable(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.actors.iter().all(Actor::is_done)
    }

    /// Did both read all that the other wrote?
    pub(crate) fn is_finished(&self) -> bool {
        let finished = |actor: &Actor| actor.outcome == Some(Outcome::Finished);
        self.actors.iter().all(finished)
    }

    /// The stream read is a prefix of the stream written, and equal to it at a clean end.
    pub(crate) fn check(&self) {
        for end in [0, 1] {
            let (reader, writer) = (&self.actors[end], &self.actors[1 - end]);
            assert!(
                reader.read <= writer.written,
                "more was read than written; {}",
                self.progress()
            );
            if reader.end_seen && !reader.has_stopped_reading() {
                assert!(writer.shut, "an end that nobody sent; {}", self.progress());
                assert_eq!(
                    reader.read,
                    writer.written,
                    "the stream ended early; {}",
                    self.progress()
                );
            }
            if let Some(Outcome::Failed(failure)) = reader.outcome {
                self.check_failure(failure, writer.outcome);
            }
        }
    }

    fn check_failure(&self, failure: TcpFailure, peers: Option<Outcome>) {
        const LONELY: TcpFailure = TcpFailure::HostUnreachable;
        // The peer, too, fails for it; maybe it was not told yet.
        let peers = peers.is_none_or(|outcome| outcome == Outcome::Failed(LONELY));
        let lonely = self.lonely && (failure == LONELY || peers);
        assert!(
            self.fragile || lonely,
            "it failed for no reason: {failure}; {}",
            self.progress()
        );
        assert_ne!(failure, TcpFailure::NetworkUnreachable);
    }

    /// Nothing will ever happen again, and not all are done: may that be?
    pub(crate) fn may_hang(&self) -> bool {
        // The opener found no neighbour, and its peer never heard of it.
        let alone = self
            .actors
            .iter()
            .any(|actor| matches!(actor.outcome, Some(Outcome::Failed(_))));
        self.fragile || alone
    }

    pub(crate) fn progress(&self) -> String {
        format!(
            "{}\n{}",
            self.actors[0].progress(),
            self.actors[1].progress()
        )
    }
}
