//! Proportional rate reduction (RFC 9937): a cut that is spread over the ACKs of a round trip.
//!
//! *Owns* RecoverFS, prr_delivered and prr_out of one episode. *Does not* know the scoreboard: what is
//! in flight and what an ACK delivered is told to it.

/// One episode's reduction, from the window at its start down to `target`. All numbers are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prr {
    /// RFC 9937's ssthresh.
    target: u32,
    recover_fs: u32,
    delivered: u64,
    out: u64,
}

/// What one ACK of an episode did, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PrrAck {
    /// Newly delivered: cumulatively and selectively. Without SACK a duplicate ACK delivers one SMSS,
    /// and the sum is bounded by what was outstanding (RFC 9937 §6).
    pub delivered: u32,
    /// In flight after the ACK: outstanding, less what is SACKed or lost, plus what was sent again.
    pub inflight: u32,
    /// Did SND.UNA move?
    pub una_advanced: bool,
    /// Was anything newly taken for lost?
    pub newly_lost: bool,
}

impl PrrAck {
    /// An ACK that delivered so much and left so much in flight.
    pub const fn new(delivered: u32, inflight: u32) -> Self {
        Self {
            delivered,
            inflight,
            una_advanced: false,
            newly_lost: false,
        }
    }

    /// The same, and SND.UNA moved.
    #[must_use]
    pub const fn advanced(self) -> Self {
        Self {
            una_advanced: true,
            ..self
        }
    }
}

impl Prr {
    /// An episode starts (RFC 9937 §6.1). `flight` is RecoverFS: SND.NXT - SND.UNA, less what was SACKed before the
    /// ACK that starts it.
    pub fn new(target: u32, flight: u32) -> Self {
        Self {
            target,
            // RFC 9937 §6: what is divided by is never 0. And a flight below the target is no window to shrink from: a
            // quotient above one would let go many times what was delivered (a mark on a keystroke did).
            recover_fs: flight.max(target).max(1),
            delivered: 0,
            out: 0,
        }
    }

    /// Where it ends: the window at the episode's end (RFC 9937 §6.4).
    pub const fn target(&self) -> u32 {
        self.target
    }

    /// RFC 9937 §6.2, for each ACK of the episode, the one that started it included. Returns what may
    /// be in flight until the next one.
    pub fn on_ack(&mut self, ack: &PrrAck, smss: u32) -> u32 {
        self.delivered += u64::from(ack.delivered);
        // At the target itself the proportional part still counts: the example of RFC 9937 §8 sends
        // there, where the pseudo-code's strict comparison would send one ACK later.
        let room = if ack.inflight >= self.target {
            self.proportional(smss)
        } else {
            self.slow_start_bound(ack, smss)
        };
        // The first retransmission always leaves.
        let room = if self.out == 0 && room == 0 {
            u64::from(smss)
        } else {
            room
        };
        ack.inflight
            .saturating_add(u32::try_from(room).unwrap_or(u32::MAX))
    }

    /// `bytes` left, for the first time or again.
    pub fn on_send(&mut self, bytes: u32) {
        self.out += u64::from(bytes);
    }

    /// As much of what was delivered as the window is to shrink, rounded up: to segments, as the RFC's
    /// examples count.
    fn proportional(&self, smss: u32) -> u64 {
        // Both below 2^32 for any episode that ends; 128 bits for one that does not.
        let owed = (u128::from(self.delivered) * u128::from(self.target))
            .div_ceil(u128::from(self.recover_fs));
        u64::try_from(owed)
            .ok()
            .and_then(|owed| owed.checked_next_multiple_of(u64::from(smss.max(1))))
            .unwrap_or(u64::MAX)
            .saturating_sub(self.out)
    }

    /// PRR-CRB, or PRR-SSRB for an ACK that shows the repair to go well.
    fn slow_start_bound(&self, ack: &PrrAck, smss: u32) -> u64 {
        let mut room = self
            .delivered
            .saturating_sub(self.out)
            .max(u64::from(ack.delivered));
        if ack.una_advanced && !ack.newly_lost {
            room += u64::from(smss);
        }
        room.min(u64::from(self.target - ack.inflight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9937 §8's first example: 20 segments, the first lost, Reno halves. In segments.
    ///
    /// Covers: PRR-3.
    #[test]
    fn p1_one_loss_glides_down_by_every_second_ack() {
        let mut prr = Prr::new(10, 20);
        // At the third duplicate: 22 sent with limited transmit, 3 SACKed, 1 lost.
        let mut inflight = 18;
        let mut windows = Vec::new();
        for ack in 3..=22 {
            let step = PrrAck::new(1, inflight);
            let window = prr.on_ack(&step, 1);
            windows.push(window);
            let sent = window - inflight;
            assert!(sent <= 1, "ACK {ack} sends {sent}");
            prr.on_send(sent);
            // The next ACK delivers one of them.
            inflight = window - 1;
        }
        assert_eq!(
            windows,
            [
                19, 18, 18, 17, 17, 16, 16, 15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 10
            ]
        );
        assert_eq!(prr.target(), 10);
    }

    /// RFC 9937 §8's second example: 15 of 20 lost. One for one, then slow start up to the target.
    ///
    /// Covers: PRR-4, PRR-5.
    #[test]
    fn p2_a_burst_of_losses_is_repaired_by_conservation() {
        let mut prr = Prr::new(10, 20);
        for _ in 0..3 {
            assert_eq!(prr.on_ack(&PrrAck::new(1, 4), 1), 5);
            prr.on_send(1);
        }
        // Retransmissions are acknowledged: one more each, until the target.
        let mut inflight = 4;
        for window in [6, 7, 8, 9, 10, 10, 10] {
            assert_eq!(prr.on_ack(&PrrAck::new(1, inflight).advanced(), 1), window);
            prr.on_send(window - inflight);
            inflight = window - 1;
        }
    }

    /// Little was in flight when it started, and more than the target when ACKs come: no more leaves than was delivered.
    #[test]
    fn a_flight_below_the_target_is_conserved() {
        for flight in [0, 1, 700] {
            let mut prr = Prr::new(1000, flight);
            let mut inflight = 5000;
            for _ in 0..5 {
                inflight -= 1000;
                let window = prr.on_ack(&PrrAck::new(1000, inflight).advanced(), 1000);
                assert_eq!(window, inflight + 1000, "a flight of {flight}");
                prr.on_send(window - inflight);
                inflight = window;
            }
        }
    }

    /// Covers: PRR-2.
    #[test]
    fn an_ack_that_delivered_nothing_lets_nothing_go() {
        let mut prr = Prr::new(50_000, 100_000);
        assert_eq!(prr.on_ack(&PrrAck::new(10_000, 80_000), 1000), 85_000);
        prr.on_send(5000);
        for _ in 0..10 {
            assert_eq!(prr.on_ack(&PrrAck::new(0, 85_000), 1000), 85_000);
        }
        assert_eq!(prr.on_ack(&PrrAck::new(2000, 83_000), 1000), 84_000);
    }

    /// Covers: PRR-6.
    #[test]
    fn the_first_retransmission_always_leaves() {
        let mut prr = Prr::new(1000, 100_000);
        assert_eq!(prr.on_ack(&PrrAck::new(0, 50_000), 1000), 51_000);
        prr.on_send(1000);
        assert_eq!(prr.on_ack(&PrrAck::new(0, 50_000), 1000), 50_000);
    }

    /// Covers: PRR-5.
    #[test]
    fn a_loss_in_the_repair_takes_the_bonus_away() {
        let mut prr = Prr::new(10_000, 20_000);
        let mut ack = PrrAck::new(1000, 4000).advanced();
        ack.newly_lost = true;
        assert_eq!(prr.on_ack(&ack, 1000), 5000);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut prr = Prr::new(u32::MAX, 0);
        for _ in 0..3 {
            let window = prr.on_ack(&PrrAck::new(u32::MAX, u32::MAX), u32::MAX);
            assert_eq!(window, u32::MAX);
            prr.on_send(u32::MAX);
        }
    }
}
