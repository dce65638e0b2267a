//! Paths that drop what is too large and say nothing: two stacks in virtual time, and a hop between them that is silent.

use core::time::Duration;
use std::collections::VecDeque;

use super::path_tests::{every_kind, packet_len, text};
use super::regression_tests::icmp_error;
use super::tests::{Link, SERVER};
use crate::base::{Instant, Random, Seed};
use crate::device::{Capabilities, Medium};
use crate::ipv4::icmp::UnreachableCode;
use crate::link::RxFrame;
use crate::stack::TcpId;
use crate::tcp::{MtuProbing, TcpInfo, TcpOptions};

/// A path with a delay, which says nothing of what it drops.
struct Path<'a> {
    delay: Duration,
    /// Does a packet of so many bytes get through, so long after the beginning?
    carries: &'a mut dyn FnMut(Duration, usize, usize) -> bool,
    on_way: VecDeque<(Instant, usize, RxFrame)>,
}

/// What a transfer was like.
#[derive(Debug, Default)]
struct Course {
    /// The longest time without progress.
    stall: Duration,
    took: Duration,
    /// The longest packet that got through.
    longest: usize,
    dropped: usize,
    /// When the first of them were, and how long they were.
    first: Vec<(Duration, usize)>,
}

fn plain() -> Link {
    Link::over(&Capabilities::plain(Medium::Ip, 1500))
}

impl Link {
    fn info(&self, id: TcpId) -> TcpInfo {
        self.ends[1].stack.tcp_info(id).unwrap()
    }

    /// Times that a black hole was found, and probes that were sent.
    fn found(&self) -> (u64, u64) {
        let counters = self.ends[1].stack.counters();
        (counters.tcp_black_holes, counters.tcp_mtu_probes)
    }

    /// The client sends `len` bytes over the path; what does not arrive in `most` is not waited for.
    fn send_over(
        &mut self,
        (client, server): (TcpId, TcpId),
        len: usize,
        most: Duration,
        path: &mut Path<'_>,
    ) -> Course {
        let (data, began) = (text(len), self.now);
        let (mut written, mut got, mut last) = (0, 0, began);
        let mut course = Course::default();
        // To the last ACK.
        while (got < len || self.info(client).unacked > 0) && self.now.since(began) < most {
            let stack = &mut self.ends[1].stack;
            written += stack
                .tcp_write(self.now, client, &data[written..])
                .unwrap_or(0);
            let mut moved = self.give_to(path, began, &mut course);
            let stack = &mut self.ends[0].stack;
            while let Ok(chunk) = stack.tcp_read_chunk(self.now, server, 1 << 20)
                && !chunk.is_empty()
            {
                assert!(chunk[..] == data[got..got + chunk.len()]);
                got += chunk.len();
                course.stall = course.stall.max(self.now.since(last));
                (last, moved) = (self.now, true);
            }
            if !moved {
                let due = self.ends.iter().filter_map(|end| end.stack.poll_timeout());
                let arrives = path.on_way.front().map(|&(at, ..)| at);
                let next = due.chain(arrives).min().unwrap_or(began + most);
                self.now = self.now.max(next);
                for end in &mut self.ends {
                    end.stack.handle_timeout(self.now);
                }
            }
        }
        course.took = self.now.since(began);
        course
    }

    /// What both ends send goes on its way, and what arrives is handed in; did anything happen?
    fn give_to(&mut self, path: &mut Path<'_>, began: Instant, course: &mut Course) -> bool {
        let mut moved = false;
        for from in [0, 1] {
            for frame in self.swallow(from) {
                moved = true;
                let len = packet_len(&frame);
                if (path.carries)(self.now.since(began), from, len) {
                    let to = 1 - from;
                    path.on_way.push_back((self.now + path.delay, to, frame));
                    course.longest = course.longest.max(len);
                } else {
                    course.dropped += 1;
                    if course.first.len() < 40 {
                        course.first.push((self.now.since(began), len));
                    }
                }
            }
        }
        while let Some((at, to, frame)) = path.on_way.pop_front() {
            if at > self.now {
                path.on_way.push_front((at, to, frame));
                break;
            }
            moved = true;
            let end = &mut self.ends[to];
            end.stack.handle_frame(self.now, end.on, frame);
        }
        moved
    }
}

fn over(delay: Duration, carries: &mut dyn FnMut(Duration, usize, usize) -> bool) -> Path<'_> {
    Path {
        delay,
        carries,
        on_way: VecDeque::new(),
    }
}

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(600);

/// Covers: PMT-18. Whatever the connection is like: no start waits for more than 3 seconds, all arrives, and the search ends near what
/// the path carries.
#[test]
fn no_start_over_a_black_hole_stalls_for_long() {
    for options in every_kind() {
        for (mtu, delay) in [(1280, 0), (1280, 30), (576, 0), (576, 30), (1400, 10)] {
            let mut link = plain();
            let ends = link.connected_with(&options);
            let mut carries = |_, from, len| from == 0 || len <= mtu;
            let mut path = over(delay * MS, &mut carries);
            let what = format!("{mtu}, {delay} ms, {options:?}");
            let course = link.send_over(ends, 1_000_000, LONG, &mut path);
            assert!(course.took < LONG, "{what}: {course:?}");
            assert!(course.stall <= 3000 * MS, "{what}: {course:?}");
            assert!(course.longest <= mtu);
            let (holes, probes) = link.found();
            assert!(
                (1..=2).contains(&holes) && probes > 0,
                "{what}: {holes} {probes}"
            );
            assert!(probes <= 40, "{what}: {probes}");
        }
    }
}

/// Covers: PMT-15. What is lost by its size alone cuts no window: after the fall-back neither a time-out nor an episode.
#[test]
fn a_search_slows_nobody_down() {
    for options in every_kind() {
        let mut link = plain();
        let ends = link.connected_with(&options);
        let mut carries = |_, from, len| from == 0 || len <= 1400;
        let mut path = over(10 * MS, &mut carries);
        let mut before = None;
        for _ in 0..40 {
            link.send_over(ends, 200_000, LONG, &mut path);
            let counters = link.ends[1].stack.counters();
            let episodes = (counters.tcp_rto_fired, counters.tcp_fast_retransmits);
            let info = link.info(ends.0);
            let now = (episodes, info.undos);
            if *before.get_or_insert(now) != now {
                panic!("{options:?}: {before:?}, then {now:?}");
            }
            link.now = link.now + 900 * MS;
        }
        let mtu = link.info(ends.0).snd_mss + 40 + 12 * u32::from(link.info(ends.0).timestamps);
        assert!((1392..=1400).contains(&mtu), "{mtu}, {options:?}");
        let (holes, probes) = link.found();
        assert_eq!(holes, 1);
        assert!((4..30).contains(&probes), "{probes}");
    }
}

/// An outage, at the beginning or in the middle, and a path that is dead both ways: sizes have nothing to do with it.
#[test]
fn no_outage_is_taken_for_a_black_hole() {
    for options in every_kind() {
        for (from, to) in [(0, 10_000), (0, 45_000), (100, 12_000), (100, 40_000)] {
            let mut link = plain();
            let ends = link.connected_with(&options);
            let mss = link.info(ends.0).snd_mss;
            let away = from * MS..to * MS;
            let mut carries = |at, _, _| !away.contains(&at);
            let mut path = over(20 * MS, &mut carries);
            let course = link.send_over(ends, 2_000_000, LONG, &mut path);
            assert!(course.took < LONG, "{options:?}: {course:?}");
            assert_eq!(link.found(), (0, 0), "{from} to {to}: {options:?}");
            assert_eq!(link.info(ends.0).snd_mss, mss);
        }
    }
}

/// Nor is loss at random, be it heavy.
#[test]
fn no_loss_is_taken_for_a_black_hole() {
    let kinds = every_kind();
    for seed in 0..60u64 {
        let mut random = Random::new(Seed::from_number(seed).key("black hole test"));
        let mut link = plain();
        let ends = link.connected_with(&kinds[usize::try_from(seed).unwrap() % kinds.len()]);
        let loss = [50, 100, 200][usize::try_from(seed).unwrap() % 3];
        let mut carries = |_, _, _| random.below(1000) >= loss;
        let mut path = over(10 * MS, &mut carries);
        let course = link.send_over(ends, 200_000, LONG, &mut path);
        assert_eq!(link.found().0, 0, "seed {seed}: {course:?}");
    }
}

/// Covers: PMT-9, PMT-18. What one connection found the next one begins with; and when that is old, and the path wide again, they find that
/// too.
#[test]
fn who_comes_next_begins_right() {
    let mut link = plain();
    let ends = link.connected();
    let mut carries = |_, from, len| from == 0 || len <= 1300;
    let mut path = over(5 * MS, &mut carries);
    link.send_over(ends, 20_000_000, LONG, &mut path);
    let found = link.info(ends.0).snd_mss;
    let at = SERVER.parse().unwrap();
    let connect = |link: &mut Link| {
        let options = TcpOptions::default();
        let client = link.ends[1].stack.tcp_connect(link.now, at, None, options);
        link.settle();
        client.unwrap()
    };
    let second = connect(&mut link);
    assert_eq!(link.info(second).snd_mss, found);
    let narrow = link.ends[1].stack.net.paths.narrow();
    assert_eq!(narrow, 1);
    // Nobody says anything for long.
    link.now = link.now + 2 * LONG;
    link.settle();
    assert_eq!(link.ends[1].stack.net.paths.narrow(), 0);
    let third = connect(&mut link);
    assert_eq!(link.info(third).snd_mss, 1448);
    let mut wide = |_, _, _| true;
    let mut path = over(5 * MS, &mut wide);
    let course = link.send_over(ends, 20_000_000, LONG, &mut path);
    assert_eq!((link.info(ends.0).snd_mss, course.longest), (1448, 1500));
    assert_eq!(link.ends[1].stack.net.paths.narrow(), 0);
}

/// A path that becomes narrower than what it did carry: that takes longer to be sure of, and is found all the same.
#[test]
fn a_path_that_becomes_a_black_hole_is_found() {
    let mut link = plain();
    let ends = link.connected();
    let mut carries = |at: Duration, from, len| from == 0 || len <= 1300 || at < 150 * MS;
    let mut path = over(10 * MS, &mut carries);
    let course = link.send_over(ends, 10_000_000, LONG, &mut path);
    assert!(
        course.took < LONG && course.stall < Duration::from_secs(10),
        "{course:?}"
    );
    assert_eq!(link.found().0, 1);
}

/// Covers: PMT-19. Who always looks begins with packets of 1280 bytes and grows; who never does waits for ever.
#[test]
fn the_setting_is_heeded() {
    let of = |probing| TcpOptions::default().mtu_probing(probing);
    let mut link = plain();
    let ends = link.connected_with(&of(MtuProbing::Always));
    assert_eq!(link.info(ends.0).snd_mss, 1240 - 12);
    let mut wide = |_, _, _| true;
    let course = link.send_over(ends, 2_000_000, LONG, &mut over(5 * MS, &mut wide));
    assert_eq!((course.longest, link.info(ends.0).snd_mss), (1500, 1448));
    let (holes, probes) = link.found();
    assert!(holes == 0 && (4..=6).contains(&probes), "{probes}");

    let mut link = plain();
    let ends = link.connected_with(&of(MtuProbing::Off));
    let mut carries = |_, from, len| from == 0 || len <= 1300;
    let course = link.send_over(ends, 100_000, LONG, &mut over(5 * MS, &mut carries));
    assert!(course.took >= LONG && link.found() == (0, 0), "{course:?}");
}

/// Covers: PMT-14, PMT-16. One at a time, larger than what is in use and no larger than what may be; after one that was lost the next waits.
#[test]
fn one_probe_is_out_at_a_time_and_waits_after_a_loss() {
    let mut link = plain();
    let ends = link.connected();
    let mut probes: Vec<Duration> = Vec::new();
    let mut carries = |at, from, len| {
        let probe = from == 1 && at > Duration::from_secs(3) && len > 1300;
        if probe {
            probes.push(at);
        }
        from == 0 || len <= 1300
    };
    link.send_over(ends, 60_000_000, LONG, &mut over(10 * MS, &mut carries));
    assert!(probes.len() >= 3, "{probes:?}");
    for pair in probes.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(1), "{probes:?}");
    }
}

/// A router that does speak, of a probe, is believed: nothing above that is tried.
#[test]
fn a_word_about_a_probe_bounds_the_search() {
    let mut link = plain();
    let (client, server) =
        link.connected_with(&TcpOptions::default().mtu_probing(MtuProbing::Always));
    let mut sizes = Vec::new();
    let mut quoted = None;
    for _ in 0..400 {
        link.write(1, client, &text(10_000));
        for frame in link.swallow(1) {
            let len = packet_len(&frame);
            sizes.push(len);
            if len > 1333 {
                quoted = Some(frame.data.clone());
            } else {
                let end = &mut link.ends[0];
                end.stack.handle_frame(link.now, end.on, frame);
            }
        }
        if let Some(quoted) = quoted.take() {
            icmp_error(
                &mut link,
                UnreachableCode::FRAGMENTATION_NEEDED,
                1333,
                &quoted,
            );
        }
        let now = link.now;
        let stack = &mut link.ends[0].stack;
        while stack
            .tcp_read_chunk(now, server, 1 << 20)
            .is_ok_and(|chunk| !chunk.is_empty())
        {}
        for frame in link.swallow(0) {
            let end = &mut link.ends[1];
            end.stack.handle_frame(link.now, end.on, frame);
        }
        link.now = link.now + MS;
        for end in &mut link.ends {
            end.stack.handle_timeout(link.now);
        }
    }
    let above = sizes.iter().filter(|&&len| len > 1333).count();
    assert_eq!(above, 1, "{sizes:?}");
    assert_eq!(link.info(client).snd_mss + 52, 1333);
    let counters = link.ends[1].stack.counters();
    assert_eq!(
        (counters.tcp_rto_fired, counters.tcp_fast_retransmits),
        (0, 0)
    );
}
