//! RACK: what was sent well before something that arrived is lost (RFC 8985 §3.3.2, §4, §6).
//!
//! *Owns* the transmission that was delivered and left last, its round trip, and how much reordering is
//! borne. *Does not* mark (`scoreboard`), start episodes (`recovery`) nor run a timer.

use core::time::Duration;

use crate::base::Instant;
use crate::tcp::scoreboard::DUP_THRESH;
use crate::tcp::seq::SeqNum;
use crate::tcp::times::Sent;

// RFC 8985 §6.2 step 4: recoveries without a D-SACK until the window shrinks again.
const PERSIST: u8 = 16;

/// What the size of the reordering window depends on beside RACK's own state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// The shortest round trip of the last minutes.
    pub(crate) min_rtt: Option<Duration>,
    pub(crate) srtt: Option<Duration>,
    /// Is an episode of recovery, of either kind, running?
    pub(crate) in_recovery: bool,
    /// Wire segments that the peer reported.
    pub(crate) sacked_segs: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Rack {
    /// Of what was delivered, that which left last.
    newest: Option<Sent>,
    /// Its round trip, in nanoseconds.
    rtt: u64,
    reordering_seen: bool,
    /// The reordering window, in quarters of the shortest round trip.
    steps: u8,
    /// Recoveries until `steps` is one again.
    persist: u8,
    /// SND.NXT at the D-SACK that last widened the window: once per round trip is enough.
    round: Option<SeqNum>,
}

impl Default for Rack {
    fn default() -> Self {
        Self {
            newest: None,
            rtt: 0,
            reordering_seen: false,
            steps: 1,
            persist: 0,
            round: None,
        }
    }
}

impl Rack {
    /// Of what was delivered, that which left last.
    pub(crate) fn newest(&self) -> Option<Sent> {
        self.newest
    }

    /// RFC 8985 §6.2 step 2: something was delivered `at` this time, of which `sent` left last.
    pub(crate) fn on_delivered(&mut self, at: Instant, sent: Sent) {
        if self.newest.is_none_or(|newest| sent.is_after(&newest)) {
            self.newest = Some(sent);
            // "Less than a tick" is no proof that the same instant's transmissions overtook each other.
            self.rtt = at.nanos_since(sent.at).max(1);
        }
    }

    /// What seemed to answer what left again from `first` on was the answer to what left before.
    pub(crate) fn on_refuted(&mut self, first: Instant) {
        self.newest = self.newest.filter(|newest| newest.at < first);
    }

    /// Step 3: what was sent once came behind what was sent after it.
    pub(crate) fn on_reordering(&mut self) {
        self.reordering_seen = true;
    }

    pub(crate) fn is_reordering_seen(&self) -> bool {
        self.reordering_seen
    }

    /// Step 4: a D-SACK came: something was sent again although the first copy arrived.
    pub(crate) fn on_dsack(&mut self, una: SeqNum, nxt: SeqNum) {
        if self.round.is_some_and(|round| una.before(round)) {
            return;
        }
        self.round = Some(nxt);
        self.steps = self.steps.saturating_add(1);
        self.persist = PERSIST;
    }

    /// Step 4: an episode of recovery ended.
    pub(crate) fn on_recovery_exit(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.steps = 1;
        }
    }

    /// SND.UNA moved: what it passed is forgotten, or it would look new after 2^31 octets.
    pub(crate) fn on_una(&mut self, una: SeqNum) {
        if self.round.is_some_and(|round| !una.before(round)) {
            self.round = None;
        }
    }

    /// How long what was overtaken may still come.
    pub(crate) fn window(&self, path: &Path) -> Duration {
        let sure = path.in_recovery || path.sacked_segs >= DUP_THRESH;
        if !self.reordering_seen && sure {
            return Duration::ZERO;
        }
        let quarter = path.min_rtt.unwrap_or(Duration::ZERO) / 4;
        let most = path.srtt.unwrap_or(Duration::MAX);
        quarter.saturating_mul(u32::from(self.steps)).min(most)
    }

    /// How old a transmission is when it is lost, if something that left after it was delivered.
    pub(crate) fn patience(&self, path: &Path) -> Duration {
        Duration::from_nanos(self.rtt).saturating_add(self.window(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn sent(at: u64, seq: u32) -> Sent {
        Sent {
            at: Instant::from_millis(at),
            seq: SeqNum::new(seq),
            end: SeqNum::new(seq) + 100,
        }
    }

    fn path() -> Path {
        Path {
            min_rtt: Some(40 * MS),
            srtt: Some(45 * MS),
            in_recovery: false,
            sacked_segs: 1,
        }
    }

    /// m01: at equal times the higher end is the later, near the wrap as well.
    #[test]
    fn m01_of_one_instant_the_higher_number_is_the_later() {
        for base in [1000, u32::MAX - 50] {
            let (low, high) = (sent(5, base), sent(5, base.wrapping_add(100)));
            assert!(high.is_after(&low) && !low.is_after(&high));
            assert!(!low.is_after(&low));
            assert!(sent(6, base).is_after(&high));
            let mut rack = Rack::default();
            rack.on_delivered(Instant::from_millis(50), high);
            rack.on_delivered(Instant::from_millis(50), low);
            assert_eq!(rack.newest(), Some(high));
        }
    }

    /// An ACK of a part of what was out does not end the round of a D-SACK: its others are of the same round.
    #[test]
    fn a_round_of_d_sacks_lasts_until_what_was_out_is_acknowledged() {
        for base in [1000, u32::MAX - 50] {
            let seq = |n| SeqNum::new(base) + n;
            let mut rack = Rack::default();
            rack.on_dsack(seq(0), seq(300));
            let once = rack.window(&path());
            rack.on_una(seq(100));
            rack.on_dsack(seq(100), seq(400));
            assert_eq!(rack.window(&path()), once);
            rack.on_una(seq(300));
            rack.on_dsack(seq(300), seq(400));
            assert!(rack.window(&path()) > once);
        }
    }

    /// Covers: RAK-2, RAK-3.
    #[test]
    fn the_window_opens_with_reordering_and_d_sacks_and_shuts_after_sixteen_recoveries() {
        let mut rack = Rack::default();
        assert_eq!(rack.window(&path()), 10 * MS);
        for sure in [
            Path {
                in_recovery: true,
                ..path()
            },
            Path {
                sacked_segs: 3,
                ..path()
            },
        ] {
            assert_eq!(Rack::default().window(&sure), Duration::ZERO);
        }
        rack.on_reordering();
        let busy = Path {
            in_recovery: true,
            sacked_segs: 9,
            ..path()
        };
        assert_eq!(rack.window(&busy), 10 * MS);
        let at = SeqNum::new;
        rack.on_dsack(at(100), at(900));
        rack.on_dsack(at(500), at(1200));
        assert_eq!(rack.window(&busy), 20 * MS, "once in a round trip");
        rack.on_una(at(900));
        rack.on_dsack(at(900), at(1500));
        assert_eq!(rack.window(&busy), 30 * MS);
        for round in 2..20 {
            rack.on_una(at(round * 1000));
            rack.on_dsack(at(round * 1000), at(round * 1000 + 500));
        }
        assert_eq!(rack.window(&busy), 45 * MS, "SRTT at most");
        for _ in 0..15 {
            rack.on_recovery_exit();
        }
        assert_eq!(rack.window(&busy), 45 * MS);
        rack.on_recovery_exit();
        assert_eq!(rack.window(&busy), 10 * MS);
    }

    /// r10: the round that a D-SACK began is over for good, however many octets ago.
    #[test]
    fn a_round_that_is_over_is_none_again_after_half_of_the_numbers() {
        let mut rack = Rack::default();
        let mut una = SeqNum::new(u32::MAX - 500);
        rack.on_dsack(una, una + 800);
        for octets in [800, 1 << 30, 1 << 30, 100] {
            una = una + octets;
            rack.on_una(una);
        }
        rack.on_dsack(una, una + 800);
        assert_eq!(rack.window(&path()), 30 * MS);
    }
}
