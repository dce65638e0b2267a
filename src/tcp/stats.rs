//! What a connection counts.
//!
//! *Owns* the counts that `info` tells, and which of them the stack's counters have taken over.

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
    pub(crate) tail_probes: u64,
    pub(crate) undos: u64,
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
