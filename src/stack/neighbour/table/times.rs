//! How long neighbours count as reachable, and how long an answer takes, on each interface.
//!
//! RFC 4861 §6.3.2, §10. *Owns* what holds where no router says anything, and what is drawn. *Does not* know entries. A look costs
//! an index: each ACK of new data comes here.

use core::time::Duration;

use crate::base::{Instant, Random};
use crate::stack::ids::InterfaceId;

/// RETRANS_TIMER, RFC 4861 §10; also ARP-9's one request per second.
pub(crate) const RETRANS_TIMER: Duration = Duration::from_secs(1);
/// How long what was drawn holds: the "few hours" of RFC 4861 §6.3.2.
const DRAWN: Duration = Duration::from_secs(2 * 3600);

/// The times of all interfaces.
#[derive(Debug)]
pub(super) struct Times {
    random: Random,
    /// What holds where no router says anything; each reachable time is 0.5 to 1.5 times this (RFC 4861 §6.3.2).
    untold: Of,
    /// By the interface's place.
    all: Vec<Of>,
}

#[derive(Clone, Copy, Debug)]
struct Of {
    /// BaseReachableTime.
    base: Duration,
    retrans: Duration,
    /// ReachableTime, and when it is drawn anew.
    reachable: (Duration, Instant),
}

/// None was drawn yet.
const UNDRAWN: (Duration, Instant) = (Duration::ZERO, Instant::ZERO);

impl Times {
    pub(super) const fn new(random: Random, base: Duration) -> Self {
        let untold = Of {
            base,
            retrans: RETRANS_TIMER,
            reachable: UNDRAWN,
        };
        let all = Vec::new();
        Self {
            random,
            untold,
            all,
        }
    }

    /// As a router says; `None`: it does not.
    pub(super) fn set(
        &mut self,
        on: InterfaceId,
        reachable: Option<Duration>,
        retrans: Option<Duration>,
    ) {
        let untold = self.untold.base;
        let of = self.of(on);
        of.retrans = retrans.unwrap_or(RETRANS_TIMER);
        let base = reachable.unwrap_or(untold);
        // RFC 4861 §6.3.4: drawn anew when it is another.
        if of.base != base {
            (of.base, of.reachable) = (base, UNDRAWN);
        }
    }

    /// RetransTimer.
    pub(super) fn retrans(&self, on: InterfaceId) -> Duration {
        self.all.get(on.index()).unwrap_or(&self.untold).retrans
    }

    /// ReachableTime.
    #[inline]
    pub(super) fn reachable(&mut self, now: Instant, on: InterfaceId) -> Duration {
        match self.all.get(on.index()) {
            Some(of) if now < of.reachable.1 => of.reachable.0,
            _ => self.drawn(now, on),
        }
    }

    #[cold]
    fn drawn(&mut self, now: Instant, on: InterfaceId) -> Duration {
        // RFC 4861 §6.3.2: uniformly between MIN_RANDOM_FACTOR and MAX_RANDOM_FACTOR, and again every few hours.
        let base = self.of(on).base;
        let millis = u64::try_from(base.as_millis()).unwrap_or(u64::MAX);
        let drawn = Duration::from_millis(millis / 2 + self.random.below(millis));
        self.of(on).reachable = (drawn, now + DRAWN);
        drawn
    }

    fn of(&mut self, on: InterfaceId) -> &mut Of {
        if self.all.len() <= on.index() {
            self.all.resize(on.index() + 1, self.untold);
        }
        &mut self.all[on.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    /// Covers: NDP-13 (0.5 to 1.5 times what was told, drawn anew every few hours, and when another is told).
    #[test]
    fn a_reachable_time_is_drawn_and_holds_for_a_while() {
        let on = InterfaceId::from_index;
        let random = Random::new(Seed::from_number(1).key("test"));
        let mut times = Times::new(random, Duration::from_secs(30));
        let at = |secs| Instant::ZERO + Duration::from_secs(secs);
        let secs = |time: Duration| time.as_secs_f64();
        let first = times.reachable(at(1), on(1));
        assert!((15.0..45.0).contains(&secs(first)), "{first:?}");
        assert_eq!(times.reachable(at(7200), on(1)), first);
        assert_ne!(times.reachable(at(7201), on(1)), first);
        assert_ne!(times.reachable(at(1), on(0)), first, "another interface");
        times.set(
            on(1),
            Some(Duration::from_secs(600)),
            Some(Duration::from_secs(3)),
        );
        let told = times.reachable(at(7202), on(1));
        assert!((300.0..900.0).contains(&secs(told)), "{told:?}");
        assert_eq!(times.retrans(on(1)), Duration::from_secs(3));
        times.set(on(1), Some(Duration::from_secs(600)), None);
        assert_eq!(
            times.reachable(at(7203), on(1)),
            told,
            "the same is told again"
        );
        assert_eq!(
            (times.retrans(on(1)), times.retrans(on(7))),
            (RETRANS_TIMER, RETRANS_TIMER)
        );
    }
}
