use super::*;
use crate::tcp::congestion::event::{EpisodeKind, UndoEvidence};

const SMSS: u32 = 1448;
const RTT: Duration = Duration::from_millis(100);

/// A path without a queue: what is sent is acknowledged one round trip later, a segment at a time.
struct Path {
    cubic: Cubic,
    cx: Cx,
    rtt: Duration,
}

impl Path {
    fn new(segments: u32) -> Self {
        let cx = Cx {
            cwnd_limited: true,
            srtt: Some(RTT),
            ..Cx::new(Instant::from_millis(1000), SMSS)
        };
        let mut cubic = Cubic::new();
        let begin = Start {
            inherited: Some(Output::window(segments * SMSS, segments * SMSS)),
            ..Start::default()
        };
        cubic.start(&cx, &begin);
        Self {
            cubic,
            cx,
            rtt: RTT,
        }
    }

    fn cwnd(&self) -> u32 {
        self.cubic.output().cwnd
    }

    /// cwnd and ssthresh.
    fn window(&self) -> (u32, u32) {
        let output = self.cubic.output();
        (output.cwnd, output.ssthresh)
    }

    fn curve(&self) -> &Curve {
        self.cubic.curve.as_deref().unwrap()
    }

    fn epoch(&self) -> Epoch {
        self.curve().epoch.unwrap()
    }

    fn event(&mut self, kind: CongestionKind) -> Response {
        let event = CongestionEvent::new(kind, self.cwnd());
        self.cubic.on_congestion(&self.cx, &event)
    }

    /// One loss, and the recovery from it.
    fn lose(&mut self) {
        let response = self.event(CongestionKind::EnterRecovery);
        assert_eq!(
            response,
            Response::Prr {
                target: self.cwnd()
            }
        );
        self.cubic.on_recovery_exit(&self.cx, EpisodeKind::Recovery);
    }

    fn ack(&mut self, bytes: u32) {
        self.cx.delivered += u64::from(bytes);
        self.cx.inflight = self.cwnd();
        let sample = AckSample {
            rtt: Some(self.rtt),
            ..AckSample::new(bytes)
        };
        self.cubic.on_ack(&self.cx, &sample);
    }

    /// One round trip of single segments, or of a few together when the window is very large.
    fn round(&mut self) {
        let segments = self.cwnd() / SMSS;
        let together = segments.div_ceil(4000);
        for _ in 0..segments / together {
            self.cx.now = self.cx.now + RTT / (segments / together);
            self.ack(SMSS * together);
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.cx.now + time;
        while self.cx.now < end {
            self.round();
        }
    }
}

/// Within so many percent.
fn near(value: u64, expected: u64, percent: u64) -> bool {
    value.abs_diff(expected) * 100 <= expected * percent
}

/// The table of C3: where the curve is level, and how high it is there and as far beyond.
///
/// Covers: CUB-1, CUB-4.
#[test]
fn c3_the_curve_after_one_loss() {
    for (segments, k_millis) in [(33u32, 2914), (100, 4217), (833, 8550), (8333, 18_420)] {
        let mut path = Path::new(segments);
        path.lose();
        assert!(near(
            path.cwnd().into(),
            u64::from(segments * SMSS) * 7 / 10,
            1
        ));
        path.round();
        let epoch = path.epoch();
        let k = u64::try_from(epoch.k.as_millis()).unwrap();
        assert!(near(k, k_millis, 2), "{segments}: K is {k} ms");
        let left = epoch.k - epoch.elapsed;
        path.run(left);
        let at_k = u64::from(path.cwnd());
        let w = u64::from(segments * SMSS);
        path.run(epoch.k);
        let at_2k = u64::from(path.cwnd());
        if segments == 33 {
            // The Reno-friendly region is above the curve.
            assert!(at_k > w && at_2k > w * 13 / 10, "{at_k} {at_2k}");
        } else {
            assert!(near(at_k, w, 3), "{segments}: {at_k} at K");
            assert!(near(at_2k, w * 13 / 10, 3), "{segments}: {at_2k} at 2K");
        }
    }
}

/// m08: a cut of 30 % applied twice leaves 49.
///
/// Covers: CUB-5.
#[test]
fn m08_beta_is_applied_once() {
    let mut path = Path::new(100);
    path.lose();
    assert_eq!(path.cwnd(), 100 * SMSS * 7 / 10);
    path.round();
    assert!(path.cwnd() >= 100 * SMSS * 7 / 10);
}

/// m09: near its middle the curve grows by less than a byte per ACK, and by bytes per round trip.
///
/// Covers: CUB-1.
#[test]
fn m09_growth_below_a_byte_per_ack_is_not_lost() {
    let mut path = Path::new(3000);
    path.lose();
    path.round();
    let epoch = path.epoch();
    path.run(epoch.k - epoch.elapsed);
    let before = path.cwnd();
    path.run(Duration::from_secs(2));
    let grown = path.cwnd() - before;
    // 0.4 segments/s^3 for two seconds is 3.2 segments.
    assert!((2 * SMSS..6 * SMSS).contains(&grown), "{grown}");
    // What an ACK leaves over counts with the next one: the window is on its curve, not behind it by as much as
    // makes a byte per ACK, which is two segments here.
    let epoch = path.epoch();
    let curve = epoch.window(epoch.elapsed, SMSS);
    let behind = curve.abs_diff(u64::from(path.cwnd()));
    assert!(behind < u64::from(SMSS) / 2, "{behind}");
}

/// m09: an epoch of hours does not overflow.
///
/// Covers: CUB-3.
#[test]
fn m09_a_long_epoch_is_only_long() {
    let mut path = Path::new(100);
    path.lose();
    path.round();
    path.cx.now = path.cx.now + Duration::from_secs(1_000_000);
    path.ack(SMSS);
    let grown = path.cwnd();
    assert!(
        grown <= 71 * SMSS * 3 / 2,
        "half a window per round trip at most: {grown}"
    );
    // And no less: a cube that wrapped, or was cut, is far below. Of the microseconds of three it fills 64 bits.
    for seconds in [3, 10, 1000, 50_000] {
        let epoch = path.epoch();
        let at = epoch.k + Duration::from_secs(seconds);
        let expected = seconds.pow(3) * 2 * u64::from(SMSS) / 5 + u64::from(epoch.w_max);
        assert!(near(epoch.window(at, SMSS), expected, 1), "{seconds} s");
    }
    for _ in 0..40 {
        path.round();
        path.cx.now = path.cx.now + Duration::from_secs(1_000_000_000);
    }
    assert!(path.cwnd() <= MAX_CWND);
}

/// m11: the curve does not go on while nothing is sent.
///
/// Covers: CUB-2.
#[test]
fn m11_an_idle_time_is_no_time_of_the_curve() {
    let mut path = Path::new(100);
    path.lose();
    path.run(Duration::from_secs(2));
    let (before, t) = (path.cwnd(), path.epoch().elapsed);
    path.cx.now = path.cx.now + Duration::from_secs(20);
    let cx = path.cx;
    assert!(path.cubic.hears_sends());
    path.cubic.on_send(&cx, &SendEvent::new(SMSS, 0));
    path.round();
    let after = path.epoch().elapsed;
    assert!(after - t <= 2 * RTT, "{:?}", after - t);
    assert!(
        path.cwnd() - before <= 3 * SMSS,
        "a burst of {}",
        path.cwnd() - before
    );
    // Nor while the application is what limits the sender.
    path.cx.cwnd_limited = false;
    path.run(Duration::from_secs(20));
    let limited = path.epoch().elapsed;
    assert_eq!(limited, after);
}

/// m12: an undo restores the curve too, and m10 not without evidence.
///
/// Covers: CUB-8.
#[test]
fn m12_an_undo_restores_the_window_and_the_curve() {
    let mut path = Path::new(100);
    path.lose();
    path.run(Duration::from_secs(3));
    let (cubic, cwnd) = (path.cubic.clone(), path.cwnd());
    let curve = path.curve().clone();
    path.lose();
    assert_eq!(path.cwnd(), cwnd / 10 * 7 + cwnd % 10 * 7 / 10);
    let cx = path.cx;
    let undo = UndoEvent::new(EpisodeKind::Recovery, UndoEvidence::Dsack);
    path.cubic.on_undo(&cx, &undo);
    assert_eq!(path.cwnd(), cwnd);
    assert_eq!(path.curve().epoch, curve.epoch);
    assert_eq!(path.curve().w_last_max, curve.w_last_max);
    assert_eq!(path.cubic.output(), cubic.output());
    assert_eq!(path.curve().cwnd_prior, curve.cwnd_prior);
    // Once: there is nothing left to undo.
    path.lose();
    path.cubic.curve.as_mut().unwrap().before = None;
    let cut = path.cwnd();
    path.cubic.on_undo(&cx, &undo);
    assert_eq!(path.cwnd(), cut);
}

#[test]
fn an_undo_never_lowers_the_window() {
    let mut path = Path::new(100);
    path.lose();
    path.run(Duration::from_secs(9));
    let grown = path.cwnd();
    assert!(grown > 100 * SMSS);
    let cx = path.cx;
    let undo = UndoEvent::new(EpisodeKind::Recovery, UndoEvidence::Dsack);
    path.cubic.on_undo(&cx, &undo);
    assert_eq!(path.cwnd(), grown);
}

/// RFC 9438 §4.7: a second loss below the first one's window makes room for others.
///
/// Covers: CUB-6.
#[test]
fn fast_convergence_gives_way() {
    let mut path = Path::new(100);
    path.lose();
    assert_eq!(path.curve().w_last_max, Some(100 * SMSS));
    path.run(Duration::from_secs(2));
    let cwnd = path.cwnd();
    assert!(cwnd < 100 * SMSS);
    path.lose();
    assert_eq!(path.curve().w_last_max, Some(scaled(cwnd, (85, 100))));
}

/// RFC 9438 §4.8: after a time-out the curve starts at its middle.
///
/// Covers: CUB-7.
#[test]
fn a_time_out_starts_from_one_segment_and_the_middle_of_the_curve() {
    let mut path = Path::new(100);
    let rto = CongestionKind::Rto {
        first: true,
        consecutive: 1,
    };
    assert_eq!(path.event(rto), Response::Direct);
    assert_eq!(path.window(), (SMSS, 70 * SMSS));
    let again = CongestionKind::Rto {
        first: false,
        consecutive: 2,
    };
    path.event(again);
    assert_eq!(path.window(), (SMSS, 70 * SMSS));
    path.cx.phase = Phase::Loss;
    for _ in 0..8 {
        path.round();
    }
    let epoch = path.epoch();
    assert_eq!(epoch.k, Duration::ZERO);
    assert!(near(epoch.w_max.into(), 70 * u64::from(SMSS), 2));
}

/// Covers: CUB-5 (the floor).
#[test]
fn what_is_lost_by_a_mark_may_leave_one_segment_and_by_a_loss_two() {
    let mut path = Path::new(2);
    path.event(CongestionKind::EnterRecovery);
    assert_eq!(path.cwnd(), 2 * SMSS);
    let mut path = Path::new(1);
    path.event(CongestionKind::Ecn { marked_bytes: SMSS });
    assert_eq!(path.cwnd(), SMSS);
}

/// The first slow start ends before a loss when the round trip grows (RFC 9406).
///
/// Covers: CUB-9.
#[test]
fn hystart_leaves_slow_start_without_a_loss() {
    let mut path = Path::new(10);
    path.cubic = Cubic::new();
    let cx = path.cx;
    path.cubic.start(&cx, &Start::new(1));
    for _ in 0..3 {
        path.round();
    }
    assert_eq!(path.cwnd(), 80 * SMSS, "it doubles");
    path.rtt = RTT + Duration::from_millis(20);
    for _ in 0..6 {
        path.round();
    }
    let out = path.cubic.output();
    assert!(
        out.ssthresh < u32::MAX && out.cwnd >= out.ssthresh,
        "{out:?}"
    );
    assert_eq!(path.epoch().k, Duration::ZERO);
}

#[test]
fn nothing_grows_by_duplicates_in_recovery_or_unused() {
    let mut path = Path::new(100);
    let cwnd = path.cwnd();
    path.cx.phase = Phase::Recovery;
    path.round();
    path.cx.phase = Phase::Open;
    path.cx.cwnd_limited = false;
    path.round();
    path.cx.cwnd_limited = true;
    let cx = path.cx;
    let duplicate = AckSample {
        una_advanced: false,
        ..AckSample::new(SMSS)
    };
    for _ in 0..100 {
        path.cubic.on_ack(&cx, &duplicate);
    }
    assert_eq!(path.cwnd(), cwnd);
}

#[test]
fn cube_roots_are_exact() {
    for root in [0u128, 1, 2, 3, 999, 1 << 20, 2_642_245, (1 << 42) - 1] {
        let cube = root * root * root;
        assert_eq!(u128::from(cube_root(cube)), root);
        if cube > 0 {
            assert_eq!(u128::from(cube_root(cube - 1)), root - 1);
        }
        assert_eq!(
            u128::from(cube_root(cube + 1)),
            if root == 0 { 1 } else { root }
        );
    }
    let most = u128::from(cube_root(u128::MAX));
    assert!(most.pow(3) > u128::MAX / 2);
}

/// The round trip of what fills a hole is one sample, however much came in front of the hole before it: there it
/// was late, and eight such samples would be a queue.
#[test]
fn what_came_late_is_one_sample_of_the_round_trip() {
    let mut path = Path::new(10);
    path.cubic = Cubic::new();
    let cx = path.cx;
    path.cubic.start(&cx, &Start::new(1));
    for _ in 0..3 {
        path.round();
    }
    for _ in 0..7 {
        let in_front = AckSample {
            una_advanced: false,
            rtt: Some(RTT),
            ..AckSample::new(6 * SMSS)
        };
        path.cubic.on_ack(&path.cx, &in_front);
        let late = AckSample {
            rtt: Some(RTT * 5 / 4),
            ..AckSample::new(SMSS)
        };
        let before = path.cwnd();
        path.cubic.on_ack(&path.cx, &late);
        assert_eq!(path.cwnd(), before + 7 * SMSS, "it goes on doubling");
    }
}

/// What tells nothing yet is not held: most connections never leave their initial window.
///
/// Covers: HYS-6.
#[test]
fn a_connection_that_never_filled_its_window_holds_no_curve() {
    let mut path = Path::new(10);
    path.cubic = Cubic::new();
    let mut cx = path.cx;
    path.cubic.start(&cx, &Start::new(1));
    path.cx.cwnd_limited = false;
    path.round();
    assert!(path.cubic.curve.is_none() && path.cubic.hystart.is_none());
    path.cx.cwnd_limited = true;
    path.round();
    assert!(path.cubic.curve.is_none() && path.cubic.hystart.is_some());
    path.lose();
    assert!(path.cubic.curve.is_some() && path.cubic.hystart.is_none());
    cx.now = path.cx.now;
    path.cubic.start(&cx, &Start::new(2));
    assert!(path.cubic.curve.is_none());
}

/// An undo of what was no loss gives the first slow start back: it goes on, and still ends by HyStart++.
#[test]
fn an_undo_gives_slow_start_back() {
    let mut path = Path::new(10);
    path.cubic = Cubic::new();
    let cx = path.cx;
    path.cubic.start(&cx, &Start::new(1));
    path.round();
    path.lose();
    let undo = UndoEvent::new(EpisodeKind::Recovery, UndoEvidence::Dsack);
    path.cubic.on_undo(&cx, &undo);
    assert_eq!(path.window(), (20 * SMSS, u32::MAX));
    path.round();
    path.round();
    assert_eq!(path.window(), (80 * SMSS, u32::MAX));
    path.rtt = RTT + Duration::from_millis(20);
    for _ in 0..6 {
        path.round();
    }
    assert!(path.cubic.output().ssthresh < u32::MAX);
}

/// Who takes over in an episode from a controller without a threshold keeps the window that it found.
#[test]
fn the_end_of_anothers_episode_leaves_the_window() {
    let mut path = Path::new(10);
    let cx = path.cx;
    let begin = Start {
        inherited: Some(Output::window(20 * SMSS, u32::MAX)),
        ..Start::default()
    };
    path.cubic.start(&cx, &begin);
    path.cubic.on_recovery_exit(&cx, EpisodeKind::Recovery);
    assert_eq!(path.window(), (20 * SMSS, u32::MAX));
}
