//! The combinations of the kernel matrix, and the few of them that hold every pair.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use netloom::device::Medium;

/// What varies.
pub(crate) const FACTORS: usize = 7;
const FAMILY: usize = 0;
const MEDIUM: usize = 1;
const OFFLOAD: usize = 2;
const CONGESTION: usize = 3;
const MTU: usize = 4;
const DIRECTION: usize = 5;
const LOSS: usize = 6;

const CONGESTIONS: [&str; 3] = ["reno", "cubic", "bbr"];
const MTUS: usize = 4;
const DIRECTIONS: [Direction; 3] = [Direction::Send, Direction::Receive, Direction::Both];
/// Frames lost of a thousand, each way.
const LOSSES: [u32; 3] = [0, 1, 10];

/// The levels of [`LOSSES`] that lose nothing.
pub(crate) const CLEAN: Range<usize> = 0..1;
/// Those that lose something.
pub(crate) const LOSSY: Range<usize> = 1..LOSSES.len();

/// Who sends, seen from netloom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Send,
    Receive,
    Both,
}

/// One combination: a level of every factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Combo {
    levels: [usize; FACTORS],
}

impl Combo {
    /// All that have one of these levels of loss.
    pub(crate) fn all(losses: Range<usize>) -> Vec<Self> {
        let mut all = vec![Self {
            levels: [0; FACTORS],
        }];
        for (factor, range) in ranges(losses).into_iter().enumerate() {
            let with = |combo: Self| {
                range.clone().map(move |level| {
                    let mut levels = combo.levels;
                    levels[factor] = level;
                    Self { levels }
                })
            };
            all = all.into_iter().flat_map(with).collect();
        }
        all
    }

    /// Few of them that hold every pair of levels of two factors: in turn the one that holds most of
    /// the pairs still missing, and among those the one whose levels were chosen least.
    pub(crate) fn covering(losses: Range<usize>) -> Vec<Self> {
        let all = Self::all(losses);
        let mut missing: BTreeSet<Pair> = all.iter().flat_map(|combo| combo.pairs()).collect();
        let mut chosen = Vec::new();
        while !missing.is_empty() {
            let gain = |combo: &Self| combo.pairs().filter(|p| missing.contains(p)).count();
            let shared = |combo: &Self| -> usize {
                let distances = chosen.iter().map(|other| combo.distance(other));
                distances.map(|distance| FACTORS - distance).sum()
            };
            let merit = |combo: &&Self| (gain(combo), Reverse(shared(combo)));
            let best = *all
                .iter()
                .max_by_key(merit)
                .expect("pairs come from combos");
            best.pairs().for_each(|pair| {
                missing.remove(&pair);
            });
            chosen.push(best);
        }
        chosen
    }

    fn pairs(&self) -> impl Iterator<Item = Pair> {
        let levels = self.levels;
        (0..FACTORS).flat_map(move |b| (0..b).map(move |a| ((a, levels[a]), (b, levels[b]))))
    }

    /// In how many factors the two differ.
    pub(crate) fn distance(&self, other: &Self) -> usize {
        let levels = self.levels.iter().zip(&other.levels);
        levels.filter(|(a, b)| a != b).count()
    }

    /// A number of its own.
    pub(crate) fn number(&self) -> u64 {
        self.levels
            .iter()
            .fold(1, |all, &level| all * 4 + level as u64)
    }

    pub(crate) const fn v6(&self) -> bool {
        self.levels[FAMILY] == 1
    }

    pub(crate) const fn medium(&self) -> Medium {
        match self.levels[MEDIUM] {
            0 => Medium::Ethernet,
            _ => Medium::Ip,
        }
    }

    pub(crate) const fn offload(&self) -> bool {
        self.levels[OFFLOAD] == 0
    }

    /// The kernel's congestion control.
    pub(crate) const fn congestion(&self) -> &'static str {
        CONGESTIONS[self.levels[CONGESTION]]
    }

    /// The least of the family, two usual ones, the most of the device.
    pub(crate) fn mtu(&self) -> u32 {
        let least = if self.v6() { 1280 } else { 576 };
        let most = match self.medium() {
            // The driver counts its header into the 65,535 bytes.
            Medium::Ethernet => 65_521,
            Medium::Ip => 65_535,
        };
        let mtus: [u32; MTUS] = [least, 1500, 9000, most];
        mtus[self.levels[MTU]]
    }

    pub(crate) const fn direction(&self) -> Direction {
        DIRECTIONS[self.levels[DIRECTION]]
    }

    /// Frames lost of a thousand, each way.
    pub(crate) const fn loss(&self) -> u32 {
        LOSSES[self.levels[LOSS]]
    }
}

/// Two factors, the lower one first, each with a level.
type Pair = ((usize, usize), (usize, usize));

fn ranges(losses: Range<usize>) -> [Range<usize>; FACTORS] {
    let directions = DIRECTIONS.len();
    [
        0..2,
        0..2,
        0..2,
        0..CONGESTIONS.len(),
        0..MTUS,
        0..directions,
        losses,
    ]
}

impl fmt::Display for Combo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.v6() { "v6" } else { "v4" };
        let medium = match self.medium() {
            Medium::Ethernet => "tap",
            Medium::Ip => "tun",
        };
        let offload = if self.offload() { "offload" } else { "plain" };
        let direction = match self.direction() {
            Direction::Send => "sends",
            Direction::Receive => "receives",
            Direction::Both => "both",
        };
        let (congestion, mtu) = (self.congestion(), self.mtu());
        write!(
            f,
            "{family} {medium} {offload} {congestion} {mtu} {direction}"
        )?;
        match self.loss() {
            0 => Ok(()),
            loss => write!(f, " loss {}.{}%", loss / 10, loss % 10),
        }
    }
}

/// Every pair of levels of two factors is held, by no more combinations than a hand would choose, the
/// same ones each time; and a shorter list holds less.
pub(crate) fn every_pair_is_covered() {
    assert_eq!(Combo::all(CLEAN).len(), 288);
    assert_eq!(Combo::all(LOSSY).len(), 576);
    for losses in [CLEAN, LOSSY] {
        let chosen = Combo::covering(losses.clone());
        assert_eq!(chosen, Combo::covering(losses.clone()));
        // 4 MTUs and 3 congestion controls make 12 pairs.
        assert!((12..=16).contains(&chosen.len()), "{}", chosen.len());
        assert_eq!(uncovered(&chosen, losses.clone()), None);
        let shorter = &chosen[..chosen.len() - 1];
        assert_ne!(uncovered(shorter, losses), None);
    }
}

/// A pair that none of them holds.
fn uncovered(chosen: &[Combo], losses: Range<usize>) -> Option<Pair> {
    let ranges = ranges(losses);
    for (b, of_b) in ranges.iter().enumerate() {
        for (a, of_a) in ranges[..b].iter().enumerate() {
            for (x, y) in of_a.clone().flat_map(|x| of_b.clone().map(move |y| (x, y))) {
                let holds = |combo: &Combo| combo.levels[a] == x && combo.levels[b] == y;
                if !chosen.iter().any(holds) {
                    return Some(((a, x), (b, y)));
                }
            }
        }
    }
    None
}
