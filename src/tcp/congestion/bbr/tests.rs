//! What holds for both versions, and what the tests of each begin with.

use core::time::Duration;

use super::*;
use crate::base::Instant;
use crate::tcp::congestion::event::{UndoEvent, UndoEvidence};
use crate::tcp::congestion::parts::{MAX_CWND, RateSample};
use crate::tcp::congestion::test_path::{SMSS, TestPath};
use crate::tcp::congestion::{
    AckSample, CongestionControl, CongestionEvent, CongestionKind, Cx, EpisodeKind, Start,
};

pub(super) const SEC: Duration = Duration::from_secs(1);

/// A path of so many Mbit/s and milliseconds, and this controller on it.
pub(super) fn path(
    control: impl CongestionControl + 'static,
    mbit: u64,
    rtt_millis: u64,
) -> TestPath {
    over(Box::new(control), mbit, rtt_millis)
}

fn over(control: Box<dyn CongestionControl>, mbit: u64, rtt_millis: u64) -> TestPath {
    TestPath::new(control, mbit * 125_000, Duration::from_millis(rtt_millis))
}

fn both() -> [Box<dyn CongestionControl>; 2] {
    [Box::new(Bbr::new()), Box::new(Bbr3::new())]
}

/// Within so many percent.
pub(super) fn near(value: i128, expected: u64, percent: i128) -> bool {
    let expected = i128::from(expected);
    (value - expected).abs() * 100 <= expected * percent
}

/// A rate that was measured over a nanosecond, and then a round trip of minutes.
#[test]
fn absurd_samples_do_not_overflow() {
    for mut controller in both() {
        let mut cx = Cx::new(Instant::ZERO, 1448);
        cx.initial_cwnd = 14_480;
        controller.start(&cx, &Start::new(7));
        for round in 0..200 {
            cx.now = cx.now + Duration::from_secs(60);
            cx.delivered += 14_480;
            let mut rate = RateSample::default();
            (rate.rate, rate.delivered) = (u64::MAX, 14_480);
            rate.prior_delivered = cx.delivered - 14_480;
            let mut sample = AckSample::new(14_480);
            sample.rate = Some(rate);
            sample.rtt = Some(Duration::from_secs(100 + round));
            controller.on_ack(&cx, &sample);
            assert!(controller.output().cwnd <= MAX_CWND);
        }
    }
}

#[test]
fn m22_a_longer_path_is_learned() {
    for control in both() {
        let mut path = over(control, 10, 40);
        path.run(3 * SEC);
        path.rtt = Duration::from_millis(80);
        path.run(25 * SEC);
        let min_rtt = path.get("min_rtt_ns");
        assert!(near(min_rtt, 80_000_000, 10), "{min_rtt}");
    }
}

#[test]
fn a_time_out_starts_from_what_is_in_flight_and_an_undo_takes_it_back() {
    for control in both() {
        let mut path = over(control, 10, 40);
        path.run(3 * SEC);
        let before = path.get("cwnd");
        let cx = Cx {
            inflight: 0,
            ..path.cx()
        };
        let rto = CongestionKind::Rto {
            first: true,
            consecutive: 1,
        };
        let event = CongestionEvent::new(rto, path.inflight);
        path.control.on_congestion(&cx, &event);
        assert_eq!(path.get("cwnd"), i128::from(SMSS));
        let undo = UndoEvent::new(EpisodeKind::Loss, UndoEvidence::Frto);
        path.control.on_undo(&cx, &undo);
        assert_eq!(path.get("cwnd"), before);
    }
}

#[test]
fn equal_seeds_answer_equally() {
    let run = |version: usize| {
        let [one, three] = both();
        let mut path = over(if version == 1 { one } else { three }, 10, 40);
        path.loss = 10_000;
        path.run(9 * SEC);
        let allowed = (path.get("pacing_rate"), path.get("cwnd"));
        (path.sampler.delivered(), allowed)
    };
    assert_eq!(run(1), run(1));
    assert_eq!(run(3), run(3));
}
