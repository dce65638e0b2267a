//! What a connection counts.
//!
//! *Owns* the counts that `info` tells, and which of them the stack's counters have taken over. An idle
//! connection keeps them too: what takes a timer, or a limit, to happen is counted in 32 bits.

use super::isn::low;

/// Counts that `info` tells.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub(crate) struct Stats {
    pub(crate) segs_in: u64,
    pub(crate) segs_out: u64,
    pub(crate) bytes_acked: u64,
    pub(crate) bytes_received: u64,
    pub(crate) retransmits: u64,
    pub(crate) fast_retransmits: u32,
    pub(crate) timeouts: u32,
    pub(crate) challenge_acks: u32,
    pub(crate) window_probes: u32,
    pub(crate) keepalives: u32,
    pub(crate) black_holes: u32,
    pub(crate) mtu_probes: u32,
    /// The sum of what is in `told`.
    told_sum: u32,
    // What few segments count.
    pub(crate) reordering: u64,
    pub(crate) bytes_retransmitted: u64,
    pub(crate) tail_probes: u32,
    pub(crate) undos: u32,
    /// What the stack's counters have taken over, modulo 2^32.
    told: Tally,
}

/// Counts that the stack sums over all connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) retransmits: u32,
    pub(crate) fast_retransmits: u32,
    pub(crate) timeouts: u32,
    pub(crate) challenge_acks: u32,
    pub(crate) window_probes: u32,
    pub(crate) keepalives: u32,
    pub(crate) black_holes: u32,
    pub(crate) mtu_probes: u32,
}

impl Stats {
    /// What was counted since the last call, if anything was: of most packets it is nothing.
    #[inline]
    pub(crate) fn drain(&mut self) -> Option<Tally> {
        // Each count only grows, and by little between two calls: the sum moves when one of them does.
        let sum = low(self.retransmits)
            .wrapping_add(self.fast_retransmits)
            .wrapping_add(self.timeouts)
            .wrapping_add(self.challenge_acks)
            .wrapping_add(self.window_probes)
            .wrapping_add(self.keepalives)
            .wrapping_add(self.black_holes)
            .wrapping_add(self.mtu_probes);
        (sum != self.told_sum).then(|| self.tell(sum))
    }

    #[cold]
    fn tell(&mut self, sum: u32) -> Tally {
        self.told_sum = sum;
        let all = Tally {
            retransmits: low(self.retransmits),
            fast_retransmits: self.fast_retransmits,
            timeouts: self.timeouts,
            challenge_acks: self.challenge_acks,
            window_probes: self.window_probes,
            keepalives: self.keepalives,
            black_holes: self.black_holes,
            mtu_probes: self.mtu_probes,
        };
        let told = core::mem::replace(&mut self.told, all);
        Tally {
            retransmits: all.retransmits.wrapping_sub(told.retransmits),
            fast_retransmits: all.fast_retransmits.wrapping_sub(told.fast_retransmits),
            timeouts: all.timeouts.wrapping_sub(told.timeouts),
            challenge_acks: all.challenge_acks.wrapping_sub(told.challenge_acks),
            window_probes: all.window_probes.wrapping_sub(told.window_probes),
            keepalives: all.keepalives.wrapping_sub(told.keepalives),
            black_holes: all.black_holes.wrapping_sub(told.black_holes),
            mtu_probes: all.mtu_probes.wrapping_sub(told.mtu_probes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was told is not told again, whichever of the counts moved, and across the wrap of 32 bits.
    #[test]
    fn each_count_is_told_once() {
        let bumps: [fn(&mut Stats); 8] = [
            |stats| stats.retransmits += 1,
            |stats| stats.fast_retransmits += 1,
            |stats| stats.timeouts += 1,
            |stats| stats.challenge_acks += 1,
            |stats| stats.window_probes += 1,
            |stats| stats.keepalives += 1,
            |stats| stats.black_holes += 1,
            |stats| stats.mtu_probes += 1,
        ];
        let mut stats = Stats {
            retransmits: u64::from(u32::MAX),
            ..Stats::default()
        };
        assert_eq!(stats.drain().map(|told| told.retransmits), Some(u32::MAX));
        for (n, bump) in bumps.iter().enumerate() {
            stats.segs_out += 1;
            assert_eq!(stats.drain(), None);
            bump(&mut stats);
            let told = stats.drain();
            let counts = told.map(|t| {
                let first = [t.retransmits, t.fast_retransmits, t.timeouts];
                let second = [t.challenge_acks, t.window_probes, t.keepalives];
                [&first[..], &second, &[t.black_holes, t.mtu_probes]].concat()
            });
            let mut expected = vec![0; 8];
            expected[n] = 1;
            assert_eq!(counts, Some(expected));
        }
    }
}
