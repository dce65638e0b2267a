//! Loss without SACK: duplicate ACKs are counted, a partial ACK tells the next hole (RFC 6582).
//!
//! *Owns* what duplicates and partial ACKs mean to a peer without SACK. *Does not* hear of them from one
//! with SACK: that is `rack`'s.

use super::{AckEffect, Phase};
use crate::tcp::connection::Connection;
use crate::tcp::scoreboard::DUP_THRESH;

impl Connection {
    /// A hole per partial ACK; duplicates only open the window. Returns the octets newly marked lost.
    pub(super) fn detect_loss_without_sack(&mut self, effect: &AckEffect) -> u32 {
        let smss = self.smss();
        if effect.duplicate && !matches!(self.recovery.phase, Phase::Loss { .. }) {
            self.scoreboard.on_dup_ack(smss);
        }
        match self.recovery.phase {
            Phase::Open if effect.acked > 0 => {
                self.scoreboard.forget_dup_acks();
                0
            }
            Phase::Open if self.recovery.dup_acks >= DUP_THRESH && self.is_beyond_recover() => {
                let probe = self.path.probe().filter(|probe| probe.seq == self.snd.una);
                let first = probe.map_or(smss, |probe| probe.len);
                let marked = self.scoreboard.mark_first_lost(first);
                self.excuse_size_probe(effect.at, marked)
            }
            Phase::Recovery { point } if effect.acked > 0 && self.snd.una.before(point) => {
                self.scoreboard.on_partial_ack(effect.acked, smss);
                // RFC 6582 §3.2 step 3: the next hole is sent again, whatever cwnd says.
                self.recovery.force_first = true;
                self.scoreboard.mark_first_lost(smss)
            }
            _ => 0,
        }
    }

    /// RFC 6582 §3.2 step 1: duplicates at the point where the last episode ended may be answers to
    /// what that sent for nothing.
    fn is_beyond_recover(&self) -> bool {
        self.recovery.recover != Some(self.snd.una)
    }
}
