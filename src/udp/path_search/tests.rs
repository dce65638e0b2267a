//! The search on paths that carry what they carry.

use core::time::Duration;

use super::*;
use crate::base::Random;

const SECOND: Duration = Duration::from_secs(1);

/// A path, and whoever sends over it.
struct Rig {
    search: PathSearch,
    now: Instant,
    /// Bytes of payload that it carries.
    carries: u16,
    /// Probes that it loses whatever their size, the next ones.
    loses: usize,
    probes: Vec<usize>,
}

impl Rig {
    fn new(config: PathSearchConfig, carries: u16) -> Self {
        let mut search = PathSearch::new(config.probe_timer(SECOND));
        assert_eq!(
            (search.next_timeout(), search.poll_probe(Instant::ZERO)),
            (None, None)
        );
        search.on_connected(Instant::ZERO);
        Self {
            search,
            now: Instant::ZERO,
            carries,
            loses: 0,
            probes: Vec::new(),
        }
    }

    /// What happens next; `false`: nothing ever does.
    fn step(&mut self) -> bool {
        let Some(at) = self.search.next_timeout() else {
            return false;
        };
        self.now = self.now.max(at);
        if let Some(size) = self.search.poll_probe(self.now) {
            self.probes.push(size);
            assert_eq!(self.search.poll_probe(self.now), None, "one at a time");
            let lost = self.loses > 0;
            self.loses = self.loses.saturating_sub(1);
            if !lost && size <= usize::from(self.carries) {
                self.search.on_ack(self.now, size);
            }
        }
        true
    }

    fn run_until(&mut self, state: PathSearchState) {
        for _ in 0..100 {
            if self.search.state() == state {
                return;
            }
            assert!(self.step());
        }
        panic!(
            "{state:?} is never reached: {:?}, {:?}",
            self.search, self.probes
        );
    }

    fn found(config: PathSearchConfig, carries: u16) -> Self {
        let mut rig = Self::new(config, carries);
        rig.run_until(PathSearchState::SearchComplete);
        rig
    }
}

/// Covers: PMT-22
#[test]
fn what_a_path_carries_is_found_in_a_few_probes() {
    for (mtu, carries, size) in [
        (1500, 1472, 1472),
        (1500, 1464, 1464),
        (1500, 1300, 1252),
        (1500, 1252, 1252),
        (1500, 1200, 1200),
        (9000, 8972, 8972),
        (9000, 1472, 1472),
        (1300, 1272, 1272),
        (576, 548, 548),
    ] {
        let rig = Rig::found(PathSearchConfig::v4(mtu), carries);
        assert_eq!(
            rig.search.size(),
            size,
            "{mtu}, {carries}: {:?}",
            rig.probes
        );
        assert!(rig.probes.len() <= 10, "{:?}", rig.probes);
        // BASE_PLPMTU first.
        assert_eq!(rig.probes[0], usize::from(mtu - 28).min(1200));
    }
    assert_eq!(
        Rig::found(PathSearchConfig::v6(1500), 1452).search.size(),
        1452
    );
    assert_eq!(
        Rig::found(PathSearchConfig::v6(1280), 1232).search.size(),
        1232
    );
    let most = PathSearchConfig::v4(9000).most(1350);
    assert_eq!(Rig::found(most, 8972).search.size(), 1350);
}

/// Covers: PMT-22
#[test]
fn the_probe_timer_is_a_second_at_least() {
    let config = PathSearchConfig::v4(1500).probe_timer(Duration::from_millis(1));
    let mut search = PathSearch::new(config);
    search.on_connected(Instant::ZERO);
    assert_eq!(search.poll_probe(Instant::ZERO), Some(1200));
    assert_eq!(search.next_timeout(), Some(Instant::from_millis(1000)));
    assert_eq!(search.poll_probe(Instant::from_millis(999)), None);
    assert_eq!(search.poll_probe(Instant::from_millis(1000)), Some(1200));
    let mut usual = PathSearch::new(PathSearchConfig::v4(1500));
    usual.on_connected(Instant::ZERO);
    assert_eq!(usual.poll_probe(Instant::ZERO), Some(1200));
    assert_eq!(usual.next_timeout(), Some(Instant::from_millis(16_000)));
}

#[test]
fn a_lost_probe_alone_is_no_sign_of_a_narrow_path() {
    for at in 0..8 {
        for loses in 1..3 {
            let mut rig = Rig::new(PathSearchConfig::v4(1500), 1472);
            while rig.probes.len() < at && rig.step() {}
            rig.loses = loses;
            rig.run_until(PathSearchState::SearchComplete);
            assert_eq!(rig.search.size(), 1472, "{at}, {loses}: {:?}", rig.probes);
        }
    }
    // Three in a row are one.
    let mut rig = Rig::new(PathSearchConfig::v4(1500), 1472);
    assert!(rig.step());
    rig.loses = 3;
    rig.run_until(PathSearchState::SearchComplete);
    assert_eq!(rig.search.size(), 1200);
}

#[test]
fn a_search_begins_again_after_ten_minutes() {
    let mut rig = Rig::found(PathSearchConfig::v4(1500), 1252);
    let found = rig.now;
    rig.carries = 1472;
    assert_eq!(
        rig.search.next_timeout(),
        Some(found + Duration::from_secs(600))
    );
    assert!(rig.step());
    assert_eq!(rig.search.state(), PathSearchState::Searching);
    rig.run_until(PathSearchState::SearchComplete);
    assert_eq!((rig.search.size(), rig.search.next_timeout()), (1472, None));
}

#[test]
fn a_path_that_became_narrow_is_noticed_where_it_is_confirmed() {
    let minute = Duration::from_secs(60);
    let config = PathSearchConfig::v4(1500).confirmation_timer(Some(minute));
    let mut rig = Rig::found(config, 1472);
    let count = rig.probes.len();
    assert!(rig.step() && rig.step());
    assert_eq!(rig.probes[count..], [1472, 1472]);
    rig.carries = 1300;
    let confirmed = rig.probes.len();
    while rig.probes.last() != Some(&1200) {
        assert!(rig.step());
    }
    assert_eq!(rig.probes[confirmed..], [1472, 1472, 1472, 1200]);
    rig.run_until(PathSearchState::SearchComplete);
    assert_eq!(rig.search.size(), 1252);
}

#[test]
fn a_black_hole_begins_it_anew() {
    let mut rig = Rig::found(PathSearchConfig::v4(1500), 1472);
    rig.carries = 1372;
    rig.search.on_black_hole(rig.now);
    assert_eq!(
        (rig.search.state(), rig.search.size()),
        (PathSearchState::Base, 1200)
    );
    rig.run_until(PathSearchState::SearchComplete);
    assert_eq!(rig.search.size(), 1372);
}

#[test]
fn below_the_base_the_least_is_used_until_it_is_carried() {
    let mut rig = Rig::new(PathSearchConfig::v4(1500), 600);
    rig.run_until(PathSearchState::Error);
    assert_eq!((rig.search.size(), rig.probes.len()), (548, 3));
    for _ in 0..20 {
        assert!(rig.step());
    }
    assert_eq!(rig.search.state(), PathSearchState::Error);
    assert_eq!(rig.probes.iter().max(), Some(&1200));
    rig.carries = 1472;
    rig.run_until(PathSearchState::SearchComplete);
    assert_eq!(rig.search.size(), 1472);
}

/// Each class of RFC 8899 §4.6.2.
///
/// Covers: PMT-21
#[test]
fn what_a_router_says_is_probed_and_not_believed() {
    let probing = |carries| {
        let mut rig = Rig::new(PathSearchConfig::v4(1500), carries);
        assert!(rig.step());
        let probed = rig.search.poll_probe(rig.now).unwrap();
        assert!(probed > 1372, "{probed}");
        (rig, probed)
    };
    // Between the size in use and what was probed: it is the next probe, and no more.
    let (mut rig, _) = probing(1300);
    assert!(rig.search.on_packet_too_big(rig.now, 1300));
    assert_eq!(rig.search.size(), 1200);
    rig.run_until(PathSearchState::SearchComplete);
    assert_eq!((rig.search.size(), rig.probes.last()), (1300, Some(&1300)));
    // It was not true.
    let (mut rig, _) = probing(1252);
    assert!(rig.search.on_packet_too_big(rig.now, 1300));
    rig.run_until(PathSearchState::SearchComplete);
    assert_eq!(rig.search.size(), 1252);
    // The size in use: the search is over.
    let (mut rig, _) = probing(1200);
    assert!(rig.search.on_packet_too_big(rig.now, 1200));
    assert!(rig.search.is_complete());
    // Less: BASE_PLPMTU at once, then what was told.
    let mut rig = Rig::found(PathSearchConfig::v4(1500), 1472);
    (rig.carries, rig.probes) = (1320, Vec::new());
    assert!(rig.search.on_packet_too_big(rig.now, 1320));
    assert_eq!(rig.search.size(), 1200);
    rig.run_until(PathSearchState::SearchComplete);
    assert_eq!(
        (rig.search.size(), &rig.probes[..]),
        (1320, &[1200, 1320][..])
    );
    // Below BASE_PLPMTU.
    let mut rig = Rig::found(PathSearchConfig::v4(1500), 1472);
    assert!(rig.search.on_packet_too_big(rig.now, 600));
    assert_eq!(
        (rig.search.state(), rig.search.size()),
        (PathSearchState::Error, 548)
    );
    // What cannot be.
    let (mut rig, probed) = probing(1472);
    let before = format!("{:?}", rig.search);
    for told in [0, 67, 547, probed, probed + 1, 65_535, 70_000] {
        assert!(!rig.search.on_packet_too_big(rig.now, told), "{told}");
    }
    assert_eq!(format!("{:?}", rig.search), before);
    let mut search = PathSearch::new(PathSearchConfig::v4(1500));
    assert!(!search.on_packet_too_big(Instant::ZERO, 1000));
}

#[test]
fn an_end_that_is_gone_is_begun_with_anew() {
    let mut rig = Rig::found(PathSearchConfig::v4(1500), 1472);
    rig.search.on_connected(rig.now);
    assert!(rig.search.is_complete(), "it was connected");
    rig.search.on_disconnected();
    assert_eq!((rig.search.size(), rig.search.next_timeout()), (1200, None));
    rig.search.on_ack(rig.now, 1472);
    assert_eq!(rig.search.size(), 1200);
}

/// Whatever is acknowledged, lost and told: no size is used that was not acknowledged since the search began, and it never stops for good
/// below the largest.
#[test]
fn no_size_is_used_that_nobody_acknowledged() {
    for seed in 0..2000 {
        let mut random = Random::new(crate::base::Seed::from_number(seed).key("search"));
        let mut draw = |below: u32| u16::try_from(random.below(below.into())).unwrap();
        let confirm = (draw(2) == 0).then_some(SECOND * 30);
        let config = PathSearchConfig::v4(1500).confirmation_timer(confirm);
        let mut rig = Rig::new(config, 1472);
        let mut acked = vec![548, 1200];
        for _ in 0..200 {
            match draw(12) {
                0 => rig.carries = 500 + draw(1000),
                1 => rig.loses = draw(4).into(),
                2 => rig.search.on_black_hole(rig.now),
                3 => drop(rig.search.on_packet_too_big(rig.now, draw(1600).into())),
                // An end that says what it never got.
                4 => rig.search.on_ack(rig.now, 1473 + usize::from(draw(60_000))),
                _ => {
                    let before = rig.probes.len();
                    let is_over = rig.search.is_complete() && rig.search.size() == 1472;
                    assert!(rig.step() || is_over, "seed {seed}: {:?}", rig.search);
                    let carried = |size: &&usize| **size <= rig.carries.into();
                    acked.extend(rig.probes[before..].iter().filter(carried));
                }
            }
            let size = rig.search.size();
            assert!(acked.contains(&size), "seed {seed}: {size} of {acked:?}");
        }
    }
}
