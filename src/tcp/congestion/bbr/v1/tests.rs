use super::super::tests::{self, SEC, near};
use super::*;
use crate::tcp::congestion::event::Phase;
use crate::tcp::congestion::test_path::{SMSS, TestPath};

const STARTUP: i128 = 0;
const PROBE_BW: i128 = 2;
const PROBE_RTT: i128 = 3;

fn path(mbit: u64, rtt_millis: u64) -> TestPath {
    tests::path(Bbr::new(), mbit, rtt_millis)
}

#[test]
fn it_finds_the_rate_and_the_round_trip_and_keeps_the_queue_short() {
    for (mbit, rtt) in [(10, 40), (100, 20), (1, 200)] {
        let mut path = path(mbit, rtt);
        path.run_until("state", PROBE_BW, 30 * Duration::from_millis(rtt));
        path.run(2 * SEC);
        assert!(
            near(path.get("max_bw"), path.rate, 2),
            "{}",
            path.get("max_bw")
        );
        let min_rtt = path.get("min_rtt_ns");
        // The first packet waits for its own transmission.
        assert!(near(min_rtt, rtt * 1_000_000, 10), "{min_rtt}");
        path.max_queue = 0;
        let bytes = path.run(4 * SEC);
        assert!(
            bytes * 100 >= 4 * path.rate * 94,
            "{mbit} Mbit/s: {bytes} bytes"
        );
        let most = path.bdp() / 2 + u64::from(8 * SMSS);
        assert!(
            path.max_queue <= most,
            "{mbit}: a queue of {}",
            path.max_queue
        );
    }
}

#[test]
fn startup_doubles_each_round_and_drain_follows() {
    let mut path = path(100, 100);
    let mut states = Vec::new();
    let end = path.now + 3 * SEC;
    while path.step(end) {
        let state = path.get("state");
        if states.last() != Some(&state) {
            states.push(state);
        }
    }
    assert_eq!(states, [STARTUP, 1, PROBE_BW]);
    assert!(
        path.max_queue <= 2 * path.bdp(),
        "known: up to two BDP at the start"
    );
}

/// Its answer to random loss is none: B1's plateau, in small.
#[test]
fn random_loss_costs_what_is_lost() {
    for percent in [1, 5] {
        let mut path = path(10, 40);
        path.loss = percent * 10_000;
        path.run(3 * SEC);
        let bytes = path.run(10 * SEC);
        let most = 10 * path.rate * (100 - percent) / 100;
        assert!(bytes * 100 >= most * 90, "{percent} %: {bytes} of {most}");
    }
}

/// m21, m22: what fell is learned, and what rose.
#[test]
fn m21_a_rate_that_halves_is_learned_and_one_that_doubles() {
    let mut path = path(10, 40);
    path.run(3 * SEC);
    path.rate /= 2;
    // Ten rounds, and they are as long as the queue that was built makes them.
    path.run(3 * SEC);
    assert!(
        near(path.get("max_bw"), path.rate, 5),
        "{}",
        path.get("max_bw")
    );
    path.rate *= 4;
    path.run(4 * SEC);
    assert!(
        near(path.get("max_bw"), path.rate, 5),
        "{}",
        path.get("max_bw")
    );
}

/// m23: ProbeRTT comes after 10 s, with four segments for 200 ms, and ends.
#[test]
fn m23_probe_rtt_ends_and_the_window_comes_back() {
    let mut path = path(10, 40);
    path.run(9 * SEC);
    path.run_until("state", PROBE_RTT, 3 * SEC);
    let began = path.now;
    path.run_until("cwnd", i128::from(4 * SMSS), SEC);
    path.run_until("state", PROBE_BW, SEC);
    let lasted = path.now.since(began);
    assert!((200..400).contains(&lasted.as_millis()), "{lasted:?}");
    assert!(path.get("cwnd") > i128::from(path.bdp()));
    assert!(
        near(path.get("max_bw"), path.rate, 3),
        "what was sent slowly says nothing"
    );
}

/// m28: an application that writes little does not end Startup, nor lower the estimate.
#[test]
fn m28_an_application_that_pauses_changes_no_estimate() {
    let mut path = path(10, 40);
    path.run(3 * SEC);
    let before = path.get("max_bw");
    for _ in 0..20 {
        path.writing = false;
        path.run(SEC / 10);
        path.writing = true;
        for _ in 0..3 {
            path.step(path.now + SEC);
        }
    }
    assert!(near(path.get("max_bw"), u64::try_from(before).unwrap(), 1));
}

#[test]
fn recovery_conserves_for_a_round_and_the_window_comes_back() {
    let mut path = path(10, 40);
    path.run(3 * SEC);
    let before = path.get("cwnd");
    let cx = path.cx();
    let event = CongestionEvent::new(CongestionKind::EnterRecovery, path.inflight);
    assert_eq!(path.control.on_congestion(&cx, &event), Response::Direct);
    assert_eq!(path.get("cwnd"), i128::from(path.inflight + SMSS));
    path.control.on_recovery_exit(&cx, EpisodeKind::Recovery);
    assert_eq!(path.get("cwnd"), before);
    // No ACK told anything new in between, and the next one finds no recovery to begin.
    path.control.on_ack(&cx, &AckSample::new(SMSS));
    assert!(path.get("cwnd") >= before, "{}", path.get("cwnd"));
}

/// Where one recovery ends with the ACK that shows the next loss, the window goes on as it is; a loss that a later ACK
/// shows starts from what is in flight.
#[test]
fn a_recovery_that_follows_another_at_once_goes_on() {
    let event = CongestionEvent::new(CongestionKind::EnterRecovery, 100_000);
    for at_once in [true, false] {
        let mut path = path(10, 40);
        path.run(3 * SEC);
        let usual = path.get("cwnd");
        let mut cx = path.cx();
        path.control.on_congestion(&cx, &event);
        let mut round = AckSample::new(10 * SMSS);
        let rate = RateSample {
            prior_delivered: cx.delivered,
            ..RateSample::default()
        };
        (round.rate, cx.phase) = (Some(rate), Phase::Recovery);
        path.control.on_ack(&cx, &round);
        path.control.on_ack(&cx, &round);
        let grown = path.get("cwnd");
        assert!(grown > i128::from(path.inflight + 10 * SMSS));
        path.control.on_recovery_exit(&cx, EpisodeKind::Recovery);
        assert_eq!(path.get("cwnd"), usual.max(grown));
        cx.phase = Phase::Open;
        if !at_once {
            path.control.on_ack(&cx, &AckSample::new(SMSS));
        }
        path.control.on_congestion(&cx, &event);
        let again = i128::from(path.inflight + SMSS);
        assert_eq!(path.get("cwnd"), if at_once { grown } else { again });
        // And what was there before both comes back.
        path.control.on_recovery_exit(&cx, EpisodeKind::Recovery);
        assert!(path.get("cwnd") >= usual);
    }
}

/// m16, m27: a restart after idleness is paced at the estimate.
#[test]
fn m27_a_restart_after_idleness_is_paced() {
    let mut path = path(10, 40);
    path.run(3 * SEC);
    path.writing = false;
    path.run(15 * SEC);
    assert_eq!(path.inflight, 0);
    path.writing = true;
    path.max_queue = 0;
    path.run(SEC / 20);
    assert_ne!(
        path.get("state"),
        PROBE_RTT,
        "an idle path was measured by idling"
    );
    assert!(near(path.get("pacing_rate"), path.rate, 3));
    assert!(
        path.max_queue <= u64::from(4 * SMSS),
        "a burst of {}",
        path.max_queue
    );
}

/// For the detector of policers a time-out ends a round: eight of them, of which each found half of what left lost,
/// are two intervals at one rate.
#[test]
fn a_time_out_ends_a_round_of_the_policers_intervals() {
    let mut path = path(10, 40);
    path.run(3 * SEC);
    let mut cx = path.cx();
    // The latest ACK began no round.
    let mut sample = AckSample::new(SMSS);
    sample.rate = Some(RateSample {
        prior_delivered: 0,
        ..RateSample::default()
    });
    path.control.on_ack(&cx, &sample);
    let kind = |consecutive| CongestionKind::Rto {
        first: consecutive == 1,
        consecutive,
    };
    for consecutive in 1..=8 {
        assert_eq!(path.get("held_bw"), 0, "before time-out {consecutive}");
        cx.now = cx.now + SEC;
        cx.delivered += 100_000;
        cx.lost += 50_000;
        let event = CongestionEvent::new(kind(consecutive), 10 * SMSS);
        path.control.on_congestion(&cx, &event);
    }
    assert_eq!(path.get("held_bw"), 100_000);
}

/// The time of ProbeRTT begins when in-flight is low, however long that takes.
#[test]
fn m23_probe_rtt_counts_from_when_in_flight_is_low() {
    let mut bbr = Bbr::new();
    let mut cx = Cx::new(Instant::from_millis(5000), SMSS);
    bbr.start(&cx, &Start::new(3));
    bbr.full_reached = true;
    cx.now = cx.now + 11 * SEC;
    let ack = AckSample::new(SMSS);
    for round in 0..20 {
        cx.inflight = if round < 10 { 4 * SMSS + 1 } else { 4 * SMSS };
        cx.now = cx.now + Duration::from_millis(40);
        cx.delivered += 50_000;
        bbr.rounds.on_ack(Some(cx.delivered - 50_000), cx.delivered);
        bbr.update_min_rtt(&cx, &ack);
        // 200 ms and no less: with the sixth ACK behind the first.
        assert_eq!(bbr.state == State::ProbeRtt, round < 16, "{round}");
    }
    // And a round of what left since then, however long it takes.
    cx.now = cx.now + 11 * SEC;
    cx.inflight = 100 * SMSS;
    bbr.update_min_rtt(&cx, &ack);
    let entered = cx.delivered;
    cx.delivered += 50_000;
    cx.inflight = 0;
    bbr.update_min_rtt(&cx, &ack);
    for (prior, ends) in [(entered, false), (cx.delivered, true)] {
        cx.now = cx.now + SEC;
        cx.delivered += 50_000;
        bbr.rounds.on_ack(Some(prior), cx.delivered);
        bbr.update_min_rtt(&cx, &ack);
        assert_eq!(bbr.state != State::ProbeRtt, ends);
    }
}

/// m22: what was measured before this controller began holds for ten seconds from then on.
#[test]
fn m22_what_is_inherited_is_of_the_time_that_it_begins() {
    for (later, state) in [(9, State::Startup), (11, State::ProbeRtt)] {
        let mut bbr = Bbr::new();
        let mut cx = Cx::new(Instant::ZERO + 60 * SEC, SMSS);
        cx.path_min_rtt = Some(Duration::from_millis(40));
        bbr.start(&cx, &Start::new(3));
        cx.now = cx.now + later * SEC;
        cx.inflight = 100 * SMSS;
        bbr.update_min_rtt(&cx, &AckSample::new(SMSS));
        assert_eq!(bbr.state, state, "{later} s");
    }
}
