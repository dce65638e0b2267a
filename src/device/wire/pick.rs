//! Which frames of a wire something happens to.
//!
//! *Owns* [`Pick`] and what it is made of. Probabilities are integers: the library computes without
//! floats, so that a run is the same on every machine.

use crate::base::Random;

/// How likely something is, in thousand-millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

impl Chance {
    /// It never happens.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(CERTAIN);

    /// So many times in a hundred; above 100 it always happens.
    pub const fn percent(percent: u32) -> Self {
        Self::per_billion(percent.saturating_mul(CERTAIN / 100))
    }

    /// So many times in a million.
    pub const fn per_million(millionths: u32) -> Self {
        Self::per_billion(millionths.saturating_mul(1000))
    }

    /// So many times in 10^9.
    pub const fn per_billion(times: u32) -> Self {
        Self(if times > CERTAIN { CERTAIN } else { times })
    }

    /// Is it so this time? What never happens draws nothing.
    pub(super) fn happens(self, random: &mut Random) -> bool {
        self.0 > 0 && random.below(u64::from(CERTAIN)) < u64::from(self.0)
    }
}

const CERTAIN: u32 = 1_000_000_000;

/// Losses that come in bursts: a chain of two states, in each of which frames are lost with a chance
/// of its own (E. N. Gilbert, 1960; E. O. Elliott, 1963).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct GilbertElliott {
    to_bad: Chance,
    to_good: Chance,
    in_good: Chance,
    in_bad: Chance,
}

impl GilbertElliott {
    /// Before each frame the state turns from good to bad with the chance `to_bad`, and from bad to
    /// good with `to_good`. A bad state picks every frame, a good one none, until told otherwise.
    pub const fn new(to_bad: Chance, to_good: Chance) -> Self {
        Self {
            to_bad,
            to_good,
            in_good: Chance::NEVER,
            in_bad: Chance::ALWAYS,
        }
    }

    /// Picks `share` of all frames in the long run, in bursts of `frames` on average (at least one).
    /// At most half of all frames: what leaves the good state less often than once a frame cannot
    /// pick more in short bursts.
    pub fn bursts(share: Chance, frames: u32) -> Self {
        let share = u64::from(share.0.min(CERTAIN / 2));
        let to_good = CERTAIN / frames.max(1);
        // In balance, good * to_bad = bad * to_good.
        let to_bad = share * u64::from(to_good) / (u64::from(CERTAIN) - share);
        Self::new(
            Chance(u32::try_from(to_bad).unwrap_or(CERTAIN)),
            Chance(to_good),
        )
    }

    /// The chance that a frame is picked in the good state.
    pub const fn in_good(mut self, chance: Chance) -> Self {
        self.in_good = chance;
        self
    }

    /// The chance that a frame is picked in the bad state.
    pub const fn in_bad(mut self, chance: Chance) -> Self {
        self.in_bad = chance;
        self
    }
}

/// Which frames something happens to.
///
/// Frames with transport text, that is with at least one byte behind the TCP or UDP header, are
/// numbered from 0 as they are offered, whatever becomes of them; a retransmission is a frame of its
/// own. Later fragments of a datagram carry no number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Pick(Kind);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Nothing,
    Chance(Chance),
    Bursts(GilbertElliott),
    Every(u64),
    /// Sorted ranges, the last number included.
    Numbers(Vec<(u64, u64)>),
}

impl Pick {
    /// No frame.
    pub const fn nothing() -> Self {
        Self(Kind::Nothing)
    }

    /// Each frame with this chance, whatever happened to others.
    pub const fn chance(chance: Chance) -> Self {
        Self(Kind::Chance(chance))
    }

    /// In bursts.
    pub const fn bursts(chain: GilbertElliott) -> Self {
        Self(Kind::Bursts(chain))
    }

    /// Every `nth` frame with text: the numbers n - 1, 2n - 1 and so on; for 0 none.
    pub const fn every(nth: u64) -> Self {
        Self(Kind::Every(nth))
    }

    /// The frames with text that have these numbers.
    pub fn numbers(numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        let mut sorted = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        ranges.sort_unstable();
        for (first, last) in ranges {
            match sorted.last_mut() {
                Some((_, end)) if first <= *end => *end = last.max(*end),
                _ => sorted.push((first, last)),
            }
        }
        Self(Kind::Numbers(sorted))
    }

    /// Does it happen to this frame? `number` is its place among those with text; `bad` is the state
    /// of the chain.
    pub(super) fn picks(&self, number: Option<u64>, bad: &mut bool, random: &mut Random) -> bool {
        match &self.0 {
            Kind::Nothing => false,
            Kind::Chance(chance) => chance.happens(random),
            Kind::Bursts(chain) => {
                let turn = if *bad { chain.to_good } else { chain.to_bad };
                *bad ^= turn.happens(random);
                let chance = if *bad { chain.in_bad } else { chain.in_good };
                chance.happens(random)
            }
            Kind::Every(nth) => number.is_some_and(|number| *nth > 0 && (number % nth) == nth - 1),
            Kind::Numbers(ranges) => number.is_some_and(|number| {
                let at = ranges.partition_point(|&(_, last)| last < number);
                ranges.get(at).is_some_and(|&(first, _)| first <= number)
            }),
        }
    }
}

impl From<Chance> for Pick {
    fn from(chance: Chance) -> Self {
        Self::chance(chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    /// The numbers below `count` that are picked.
    fn picked(pick: &Pick, count: u64) -> Vec<u64> {
        let mut random = Random::new(Seed::from_number(5).key("picks"));
        let mut bad = false;
        (0..count)
            .filter(|&number| pick.picks(Some(number), &mut bad, &mut random))
            .collect()
    }

    #[test]
    fn numbers_and_periods_pick_exactly() {
        assert_eq!(picked(&Pick::every(4), 13), [3, 7, 11]);
        assert_eq!(picked(&Pick::every(1), 3), [0, 1, 2]);
        assert!(picked(&Pick::every(0), 9).is_empty());
        assert!(picked(&Pick::nothing(), 9).is_empty());
        let some = Pick::numbers([11, 1, 2, 3, 2].into_iter().chain(14..17));
        assert_eq!(picked(&some, 99), [1, 2, 3, 11, 14, 15, 16]);
        assert_eq!(picked(&Pick::numbers(0..1_000_000), 3), [0, 1, 2]);
        let (mut bad, mut random) = (false, Random::new(Seed::from_number(1).key("none")));
        for pick in [Pick::every(1), Pick::numbers(0..9)] {
            assert!(
                !pick.picks(None, &mut bad, &mut random),
                "no text, no number"
            );
        }
    }

    #[test]
    fn chances_are_kept_down_to_the_rare_ones() {
        let share = |chance: Chance, of| picked(&chance.into(), of).len();
        assert_eq!(share(Chance::ALWAYS, 50), 50);
        assert_eq!(share(Chance::percent(900), 50), 50);
        assert_eq!(share(Chance::NEVER, 50), 0);
        assert!((850..1150).contains(&share(Chance::percent(1), 100_000)));
        assert!((70..130).contains(&share(Chance::per_million(1000), 100_000)));
        assert!((1..25).contains(&share(Chance::per_billion(100_000), 100_000)));
    }

    #[test]
    fn bursts_have_their_share_and_their_length() {
        let got = picked(
            &Pick::bursts(GilbertElliott::bursts(Chance::percent(2), 5)),
            200_000,
        );
        let bursts = 1 + got.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert!((3400..4600).contains(&got.len()), "{}", got.len());
        assert!(
            (430..570).contains(&(got.len() * 100 / bursts)),
            "{}",
            got.len() * 100 / bursts
        );
        let mild = GilbertElliott::new(Chance::ALWAYS, Chance::NEVER).in_bad(Chance::percent(50));
        assert!((400..600).contains(&picked(&Pick::bursts(mild), 1000).len()));
        let good = GilbertElliott::new(Chance::NEVER, Chance::NEVER).in_good(Chance::percent(50));
        assert!((400..600).contains(&picked(&Pick::bursts(good), 1000).len()));
    }
}
