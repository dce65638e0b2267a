//! The accounting of a connection, recounted by brute force in debug builds: each octet sent is in
//! exactly one place.
//!
//! *Owns* the assertions that span several parts. *Does not* run in release builds.

use super::connection::Connection;
use super::isn::low;
use super::state::State;
use super::timers::Timer;

impl Connection {
    /// Recounts everything, after each segment, time-out and call that may have changed it.
    pub(super) fn check(&self) {
        self.snd.queue.check();
        self.rcv.check();
        // Until the ACK of a passive OPEN's SYN is processed, the half-open record has it.
        let opening = self.state == State::SynRcvd && self.scoreboard.is_empty();
        if !opening {
            self.scoreboard.check_range(self.snd.una, self.snd.nxt);
            self.check_delivered();
        }
        let window = self.congestion.output().cwnd;
        assert!(window >= self.smss(), "cwnd of {window} is below a segment");
        // RFC 6298 §5 (5.1), (5.2).
        assert_eq!(
            self.timers.is_armed(Timer::Loss),
            !self.scoreboard.is_empty(),
            "the retransmission timer runs while something is outstanding"
        );
    }

    /// `sent = delivered + lost + in flight`: with the records a partition of what is outstanding,
    /// what was delivered is what is acknowledged or reported.
    fn check_delivered(&self) {
        let acked = self.snd.una.get().wrapping_sub(self.snd.iss.get());
        let known = acked.wrapping_add(self.scoreboard.sacked());
        let beyond = low(self.sampler.delivered())
            .wrapping_sub(known)
            .cast_signed();
        // The SYN of a passive OPEN had no record. What a peer reported and then threw away is
        // delivered twice (RFC 2018 §8).
        assert!(
            beyond >= -1,
            "{known} octets are known, {beyond} more were delivered"
        );
        assert!(
            self.sack || beyond <= 0,
            "{beyond} octets were delivered twice"
        );
    }
}
