use super::*;

const STEPS: Steps = [1240, 536, 512];
const MOST: u16 = 1460;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn said(sure: u16) -> PathMss {
    PathMss { sure, most: MOST }
}

fn size(sure: u16) -> PathSize {
    PathSize::new(at(0), said(sure), MtuProbing::BlackHole, &STEPS)
}

fn seq(n: u32) -> SeqNum {
    SeqNum::new(u32::MAX - 700) + n
}

/// A time-out of a full segment which left at this time.
fn time_out(path: &mut PathSize, retries: u8, left: u64) -> Option<(u16, u16)> {
    path.on_time_out(retries, (MOST.into(), at(left)), &STEPS)
}

fn probe(size: u16) -> Probe {
    Probe {
        seq: seq(0),
        len: size.into(),
        size,
    }
}

/// Covers: PMT-18. A smaller one that got through makes the next time-out of a larger one proof; before that none is.
#[test]
fn a_smaller_one_that_gets_through_shows_a_black_hole() {
    let mut path = size(MOST);
    assert_eq!(time_out(&mut path, 1, 0), None);
    assert!(!path.is_in_doubt());
    assert_eq!(time_out(&mut path, 2, 200), None);
    assert_eq!(path.trial(), Some(1240));
    path.on_front_sent(at(600), seq(1228));
    assert_eq!(path.trial(), None, "once");
    path.look_at_trial(seq(1000), 0);
    assert_eq!(time_out(&mut path, 1, 650), None, "no answer yet");
    path.look_at_trial(seq(1228), 1240);
    assert_eq!(time_out(&mut path, 1, 599), None, "it left before that");
    let shown = time_out(&mut path, 1, 600);
    assert_eq!(shown, Some((1240, MOST)));
    path.fall_back(at(900), (1240, MOST));
    assert_eq!((path.mss(), path.most()), (1240, MOST));
    assert_eq!(path.take_news(), Some(Found::Narrow(1240)));
    assert_eq!(path.take_news(), None);
}

/// One of 1280 bytes first, then one of 576, then the least; of what the path did carry after two time-outs more.
#[test]
fn each_time_out_tries_a_smaller_one() {
    let mut path = size(MOST);
    for (retries, tried) in [(2, 1240), (3, 536), (4, 512), (5, 512)] {
        assert_eq!(time_out(&mut path, retries, 0), None);
        assert_eq!(path.trial(), Some(tried), "{retries}");
    }
    path.on_front_sent(at(1), seq(500));
    path.look_at_trial(seq(500), 512);
    assert_eq!(
        time_out(&mut path, 1, 1),
        Some((512, MOST)),
        "over all that was lost"
    );

    let mut proven = size(MOST);
    proven.on_delivered(MOST.into());
    for (retries, tried) in [(2, None), (3, None), (4, Some(1240)), (5, Some(536))] {
        assert_eq!(time_out(&mut proven, retries, 0), None);
        assert_eq!(proven.trial(), tried, "{retries}");
    }
    // What is as small already is tried no smaller.
    let mut small = size(MOST);
    assert_eq!(small.on_time_out(2, (1000, at(0)), &STEPS), None);
    assert!(!small.is_in_doubt());
}

/// A larger one that is delivered ends the doubt, wherever it stands.
#[test]
fn a_full_one_that_arrives_ends_the_doubt() {
    for arrived in [false, true] {
        let mut path = size(MOST);
        time_out(&mut path, 2, 0);
        path.on_front_sent(at(0), seq(1228));
        if arrived {
            path.look_at_trial(seq(1228), 1240);
        }
        path.look_at_trial(seq(1228), 1241);
        assert!(!path.is_in_doubt());
        assert_eq!(time_out(&mut path, 1, 3), None);
    }
}

/// Covers: PMT-14, PMT-17. Halves between what gets through and what does not, one at a time, to within 8 bytes; then rest
/// for ten minutes, and all anew.
#[test]
fn the_search_ends_near_what_the_path_carries() {
    for carries in [1240, 1241, 1300, 1372, 1452, 1459, 1460] {
        let mut path = size(MOST);
        path.fall_back(at(0), (1240, MOST));
        let (mut now, mut lost, mut sent) = (at(0), 0, 0);
        while let Some(size) = path.wanted(now, MOST, &STEPS) {
            assert!(size > path.mss() && size <= MOST, "{size}");
            path.on_probe_sent(probe(size), MOST);
            assert_eq!(path.wanted(now, MOST, &STEPS), None, "one is out");
            sent += 1;
            assert!(sent < 40, "{carries}");
            if size <= carries {
                path.on_probe_arrived(now, MOST);
                assert_eq!(path.mss(), size);
            } else {
                path.on_probe_lost(now, Duration::from_secs(1), true);
                assert_eq!(path.wanted(now, MOST, &STEPS), None, "it waits");
                now = now + Duration::from_secs(1);
                lost += 1;
            }
        }
        assert!(lost <= 18, "{carries}: {lost}");
        let near = carries - path.mss();
        // The size that failed is not tried again at once.
        assert!(near <= NEAR, "{carries}: {}", path.mss());
        if path.is_in_doubt() {
            assert_eq!(path.wanted(now + AGAIN / 2, MOST, &STEPS), None);
            assert_eq!(path.take_news(), Some(Found::Settled(path.mss())));
            // A path that is as narrow as ever loses three small steps, whatever the link.
            let (mut now, mut lost) = (now + AGAIN, 0);
            while let Some(size) = path.wanted(now, MOST, &STEPS) {
                assert_eq!(size, (path.mss() + NEAR + 1).min(MOST));
                path.on_probe_sent(probe(size), MOST);
                path.on_probe_lost(now, Duration::from_secs(1), true);
                (now, lost) = (now + Duration::from_secs(1), lost + 1);
            }
            assert_eq!(lost, 3);
            // One that became wider is searched to its end.
            now = now + AGAIN;
            let mut sent = 0;
            while let Some(size) = path.wanted(now, MOST, &STEPS) {
                path.on_probe_sent(probe(size), MOST);
                path.on_probe_arrived(now, MOST);
                sent += 1;
            }
            assert!(sent <= 10, "{carries}: {sent}");
            assert_eq!((path.mss(), path.take_news()), (MOST, Some(Found::All)));
        }
    }
}

/// What one connection finds on its way up lowers nobody; nor does what others find who saw less get through.
#[test]
fn who_saw_more_get_through_heeds_no_others() {
    let mut path = size(MOST);
    path.on_delivered(MOST.into());
    assert_eq!(path.set(at(1), said(1240), true), None);
    assert_eq!(path.mss(), MOST);
    assert_eq!(time_out(&mut path, 2, 2), None);
    assert_eq!(path.trial(), Some(1240), "two time-outs are enough");
    let mut stuck = size(MOST);
    stuck.on_delivered(MOST.into());
    stuck.doubt_proof();
    stuck.set(at(1), said(1240), true);
    assert_eq!(stuck.mss(), 1240);
    // A probe that is out when another connection tells more.
    let mut climbs = size(MOST);
    climbs.fall_back(at(0), (1240, MOST));
    climbs.on_probe_sent(probe(1350), MOST);
    climbs.set(at(1), said(1405), true);
    climbs.on_probe_arrived(at(2), MOST);
    assert_eq!(climbs.mss(), 1405);
    let always = PathSize::new(at(0), said(1396), MtuProbing::Always, &STEPS);
    assert_eq!(always.mss(), 1396);
}

/// A connection whose own bound is below the path's says nothing of what is beyond it.
#[test]
fn an_own_bound_is_none_of_the_paths() {
    let mut path = size(1300);
    let size = path.wanted(at(600_000), 1350, &STEPS).unwrap();
    path.on_probe_sent(probe(size), 1350);
    path.on_probe_arrived(at(600_000), 1350);
    assert_eq!(path.take_news(), Some(Found::Carries(size)));
    path.on_probe_sent(probe(1350), 1350);
    path.on_probe_arrived(at(600_001), 1350);
    assert_eq!(path.take_news(), Some(Found::Carries(1350)));
    assert_eq!(path.wanted(at(600_002), 1350, &STEPS), None);
}

/// A smaller one that got through long ago says nothing of why a large one is lost now.
#[test]
fn what_got_through_long_ago_shows_nothing() {
    let mut path = size(MOST);
    time_out(&mut path, 2, 0);
    path.on_front_sent(at(1000), seq(1228));
    path.look_at_trial(seq(1228), 1240);
    assert_eq!(time_out(&mut path, 1, 121_000), None);
    assert_eq!(time_out(&mut path, 2, 121_000), None);
    assert_eq!(path.trial(), Some(1240), "anew");
}

/// What reaches the most ends the search, and the stack is told so.
#[test]
fn the_most_is_no_finding() {
    let mut path = size(MOST);
    path.fall_back(at(0), (1240, MOST + 1));
    path.on_probe_sent(probe(MOST), MOST);
    path.on_probe_arrived(at(1), MOST);
    assert_eq!((path.mss(), path.take_news()), (MOST, Some(Found::All)));
    assert!(!path.is_in_doubt());
}

/// Only probes that were lost alone say something of a size, and three do.
#[test]
fn a_size_is_too_large_after_three_isolated_losses() {
    let mut path = size(MOST);
    path.fall_back(at(0), (1240, MOST));
    let first = path.wanted(at(0), MOST, &STEPS).unwrap();
    let mut now = at(0);
    for alone in [true, false, true, false, true] {
        assert_eq!(path.wanted(now, MOST, &STEPS), Some(first));
        path.on_probe_sent(probe(first), MOST);
        path.on_probe_lost(now, Duration::from_secs(1), alone);
        now = now + Duration::from_secs(1);
    }
    assert!(path.wanted(now, MOST, &STEPS).unwrap() < first);
}

/// Of jumbo frames what most paths carry is tried before halves are.
#[test]
fn ethernets_size_comes_first() {
    let (most, wide) = (
        8960,
        PathMss {
            sure: 8960,
            most: 8960,
        },
    );
    let mut path = PathSize::new(at(0), wide, MtuProbing::BlackHole, &STEPS);
    path.fall_back(at(0), (1240, most));
    assert_eq!(path.wanted(at(0), most, &STEPS), Some(1460));
}

/// What the stack says: found by others it holds at once and is searched later; a router's word bounds what is tried.
#[test]
fn what_the_stack_says_bounds_both() {
    let mut path = size(1300);
    assert_eq!((path.mss(), path.is_in_doubt()), (1300, true));
    assert_eq!(path.wanted(at(1), MOST, &STEPS), None);
    assert!(path.wanted(at(600_000), MOST, &STEPS).is_some());
    // Another found more, or less.
    for sure in [1400, 1240] {
        assert_eq!(path.set(at(2), said(sure), true), None);
        assert_eq!(path.mss(), sure);
    }
    // Nobody remembers: what was found stays until a probe says otherwise.
    path.set(at(3), said(MOST), true);
    assert_eq!(path.mss(), 1240);
    let size = path.wanted(at(600_000), MOST, &STEPS).unwrap();
    path.on_probe_sent(probe(size), MOST);
    let told = PathMss {
        sure: 1300,
        most: 1300,
    };
    assert_eq!(path.set(at(4), told, true), Some(probe(size)), "refused");
    assert_eq!((path.mss(), path.probe()), (1240, None));
    let told = PathMss {
        sure: 1200,
        most: 1200,
    };
    path.set(at(5), told, true);
    assert_eq!((path.mss(), path.is_in_doubt()), (1200, false));
}

/// With the setting off what is known is heeded, and nothing is tried; always, the search begins with the connection.
#[test]
fn the_setting_says_what_is_tried() {
    let of = |probing| PathSize::new(at(0), said(1300), probing, &STEPS);
    let mut off = of(MtuProbing::Off);
    assert_eq!((off.mss(), off.is_in_doubt()), (1300, false));
    off.set(at(1), said(MOST), false);
    assert_eq!(off.mss(), MOST);
    let always = PathSize::new(at(0), said(MOST), MtuProbing::Always, &STEPS);
    assert_eq!(always.mss(), 1240);
    assert!(always.wanted(at(0), MOST, &STEPS).is_some());
}
