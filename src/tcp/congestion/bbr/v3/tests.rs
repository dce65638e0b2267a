use super::super::tests::{self, SEC, near};
use super::*;
use crate::tcp::congestion::event::UndoEvidence;
use crate::tcp::congestion::parts::TxStamp;
use crate::tcp::congestion::test_path::{SMSS, TestPath};

const STARTUP: i128 = 0;
const DRAIN: i128 = 1;
const DOWN: i128 = 2;
const CRUISE: i128 = 3;
const REFILL: i128 = 4;
const UP: i128 = 5;
const PROBE_RTT: i128 = 6;

fn path(mbit: u64, rtt_millis: u64) -> TestPath {
    tests::path(Bbr3::new(), mbit, rtt_millis)
}

fn cx() -> Cx {
    Cx::new(Instant::from_millis(5000), SMSS)
}

/// A controller that has found 10 Mbit/s and 40 ms, as a value.
fn found() -> Bbr3 {
    let mut bbr = Bbr3::new();
    bbr.start(&cx(), &Start::new(3));
    bbr.probe_rtt.min_rtt = Some(Duration::from_millis(40));
    bbr.model.max_bw.update(1_250_000);
    bbr.model.full.reached = true;
    bbr.state = State::Cruise;
    bbr.cwnd = 100_000;
    bbr
}

#[test]
fn gains_and_bounds_are_the_drafts() {
    // State, pacing, window, and what bounds it of 100,000 long-term and 90,000 short-term.
    let rows = [
        (State::Startup, 2770, 2000, u32::MAX),
        (State::Drain, 500, 2000, 90_000),
        (State::Down, 900, 2000, 90_000),
        (State::Cruise, 1000, 2000, 85_000),
        (State::Refill, 1000, 2000, 100_000),
        (State::Up, 1250, 2250, 100_000),
        (State::ProbeRtt, 1000, 500, 85_000),
    ];
    for (state, pacing, window, bound) in rows {
        assert_eq!((state.pacing_gain(), state.cwnd_gain()), (pacing, window));
        let mut bbr = found();
        bbr.state = state;
        bbr.model.infl_lt = Some(100_000);
        bbr.model.infl_st = Some(90_000);
        bbr.cwnd = 1_000_000;
        bbr.model.max_bw.update(1_000_000_000);
        bbr.set_cwnd(&cx(), 0);
        assert_eq!(bbr.cwnd, bound.min(1_000_000), "{state:?}");
    }
}

/// m18: 85 % is used and 15 % is free, not the other way round.
#[test]
fn m18_headroom_is_fifteen_percent() {
    let mut bbr = found();
    for (bound, used) in [(100_000, 85_000), (8000, 8000 - SMSS), (5000, 4 * SMSS)] {
        bbr.model.infl_lt = Some(bound);
        assert_eq!(bbr.headroom(&cx()), used);
    }
}

#[test]
fn it_goes_round_its_states_and_finds_the_path() {
    for (mbit, rtt) in [(4, 72), (10, 40), (100, 20)] {
        let mut path = path(mbit, rtt);
        let mut states = Vec::new();
        let end = path.now + 8 * SEC;
        while path.step(end) {
            let state = path.get("state");
            if states.last() != Some(&state) {
                states.push(state);
            }
        }
        // Drained is drained: DOWN after Drain lasts no time.
        let expected = [STARTUP, DRAIN, CRUISE, REFILL, UP, DOWN, CRUISE];
        assert_eq!(states[..7], expected, "{mbit} Mbit/s, {rtt} ms");
        assert!(
            near(path.get("max_bw"), path.rate, 2),
            "{}",
            path.get("max_bw")
        );
        let min_rtt = path.get("min_rtt_ns");
        assert!(near(min_rtt, rtt * 1_000_000, 10), "{min_rtt}");
        let bytes = path.run(10 * SEC);
        assert!(bytes * 100 >= 10 * path.rate * 94, "{mbit} Mbit/s: {bytes}");
    }
}

/// B3's and B4's numbers, of the controller alone.
#[test]
fn startup_ends_three_rounds_after_the_last_growth_without_loss() {
    let mut path = path(4, 72);
    path.buffer = 2 * path.bdp();
    path.run_until("state", DRAIN, 2 * SEC);
    let lasted = path.now.since(Instant::from_millis(1000));
    assert!((500..1500).contains(&lasted.as_millis()), "{lasted:?}");
    assert!(
        path.queue() * 100 >= path.bdp() * 90,
        "{} queued",
        path.queue()
    );
    path.run_until("state", CRUISE, SEC);
    assert!(u64::from(path.inflight) <= path.bdp() + u64::from(6 * SMSS));
    assert_eq!(path.lost_packets, 0);
}

/// B5's numbers, of the controller alone: a queue of half a BDP overflows, and Startup heeds it.
#[test]
fn startup_ends_by_loss_in_a_short_queue() {
    let mut path = path(4, 72);
    path.buffer = path.bdp() / 2;
    path.run_until("full_reached", 1, 3 * SEC);
    assert!(path.get("infl_lt") > 0, "a bound is known");
    let bytes = path.run(20 * SEC);
    assert!(bytes * 100 >= 20 * path.rate * 85, "{bytes}");
    let packets = path.sampler.delivered() / u64::from(SMSS);
    assert!(
        path.lost_packets * 100 <= packets * 5,
        "{} of {packets}",
        path.lost_packets
    );
}

#[test]
fn random_loss_below_the_threshold_costs_little() {
    // B1d's shares; a probe after one that lost too much stops at the bound, which costs some at 1 %.
    for (loss, percent) in [(1000, 92), (5000, 87), (10_000, 82)] {
        let mut path = path(10, 40);
        path.loss = loss;
        path.run(3 * SEC);
        let bytes = path.run(20 * SEC);
        assert!(
            bytes * 100 >= 20 * path.rate * percent,
            "{loss} of a million: {bytes}"
        );
    }
}

/// m20: the filter is of cycles: a rate that fell is not forgotten within rounds, but in two cycles.
#[test]
fn m20_bandwidth_is_remembered_by_cycles() {
    let mut path = path(10, 40);
    path.run(6 * SEC);
    path.rate /= 2;
    let before = path.get("max_bw");
    path.run(SEC / 4);
    assert_eq!(path.get("max_bw"), before, "within rounds");
    path.run(12 * SEC);
    assert!(
        near(path.get("max_bw"), path.rate, 6),
        "{}",
        path.get("max_bw")
    );
}

/// A15 in small: ten times the rate is found by doubling.
#[test]
fn a_rate_that_rises_tenfold_is_found() {
    let mut path = path(10, 40);
    path.run(6 * SEC);
    path.rate *= 10;
    path.run(8 * SEC);
    assert!(
        near(path.get("max_bw"), path.rate, 5),
        "{}",
        path.get("max_bw")
    );
}

/// m23 and B22's dip: every five seconds, for 200 to 260 ms.
#[test]
fn m23_probe_rtt_ends_and_the_window_comes_back() {
    let mut path = path(10, 40);
    let mut dips = Vec::new();
    for _ in 0..3 {
        path.run_until("state", PROBE_RTT, 7 * SEC);
        let began = path.now;
        path.run_until("state", CRUISE, SEC);
        dips.push((began, path.now.since(began)));
        assert!(
            path.get("cwnd") >= i128::from(path.bdp()),
            "{}",
            path.get("cwnd")
        );
    }
    for pair in dips.windows(2) {
        let apart = pair[1].0.since(pair[0].0).as_millis();
        assert!((4900..5600).contains(&apart), "{apart} ms apart");
    }
    assert!(
        dips.iter()
            .all(|(_, took)| (200..320).contains(&took.as_millis())),
        "{dips:?}"
    );
    assert!(
        near(path.get("max_bw"), path.rate, 2),
        "what was sent slowly says nothing"
    );
}

/// B11: an idle time is as good as ProbeRTT, and what follows is paced.
#[test]
fn m27_a_restart_after_idleness_is_paced_and_measures() {
    let mut path = path(4, 72);
    path.run(6 * SEC);
    let stamped = path.get("min_rtt_at_ns");
    path.writing = false;
    path.run(15 * SEC);
    path.writing = true;
    path.max_queue = 0;
    path.run(SEC / 5);
    assert_ne!(path.get("state"), PROBE_RTT);
    assert!(path.get("min_rtt_at_ns") - stamped >= 14_000_000_000);
    assert!(
        path.max_queue <= u64::from(5 * SMSS),
        "a burst of {}",
        path.max_queue
    );
    assert!(near(path.get("bw"), path.rate, 2), "{}", path.get("bw"));
    // It may probe by now, and no faster than that.
    assert!(path.get("pacing_rate") <= i128::from(path.rate * 5 / 4));
}

/// m28, B10: little bursts are flagged, change nothing, and leave no state.
#[test]
fn m28_an_application_that_pauses_changes_no_estimate() {
    let mut path = path(4, 72);
    path.run(4 * SEC);
    let before = u64::try_from(path.get("max_bw")).unwrap();
    for _ in 0..20 {
        path.writing = false;
        path.run(3 * SEC);
        path.writing = true;
        path.step(path.now + SEC);
        assert_ne!(path.get("state"), STARTUP);
    }
    assert!(near(path.get("max_bw"), before, 1));
    // A7: one that never fills the path never leaves Startup.
    let mut slow = self::path(100, 40);
    for _ in 0..100 {
        slow.writing = true;
        slow.step(slow.now + SEC);
        slow.writing = false;
        slow.run(SEC / 10);
    }
    assert_eq!(slow.get("state"), STARTUP);
}

/// m24: one overflow of many packets is one loss.
#[test]
fn m24_gaps_are_counted_not_packets() {
    let mut bbr = Bbr3::new();
    bbr.start(&cx(), &Start::new(1));
    let mut event = LostEvent::new(TxStamp::default(), SMSS);
    for n in 0..100 {
        event.starts_new_gap = n % 50 == 0;
        bbr.on_lost(&cx(), &event);
    }
    assert_eq!(bbr.model.gaps, 2);
}

/// A round's gaps are the round's: a few in each round are no full queue, however long Startup lasts.
#[test]
fn m24_gaps_of_one_round_do_not_count_in_the_next() {
    for (gaps, full) in [(STARTUP_GAPS - 1, false), (STARTUP_GAPS, true)] {
        let mut bbr = Bbr3::new();
        let mut cx = cx();
        (cx.sack_ok, cx.phase) = (true, Phase::Recovery);
        bbr.start(&cx, &Start::new(1));
        let mut event = LostEvent::new(TxStamp::default(), SMSS);
        event.starts_new_gap = true;
        for round in 1..=8 {
            for _ in 0..gaps {
                bbr.on_lost(&cx, &event);
            }
            let rate = RateSample {
                prior_delivered: cx.delivered,
                delivered: 100_000,
                rate: 100_000 << round,
                tx_in_flight: 100_000,
                lost: 10_000,
                ..RateSample::default()
            };
            cx.delivered += 100_000;
            cx.now = cx.now + Duration::from_millis(40);
            let mut sample = AckSample::new(100_000);
            sample.rate = Some(rate);
            bbr.on_ack(&cx, &sample);
        }
        assert_eq!(bbr.model.full.reached, full, "{gaps} gaps a round");
    }
}

/// m19, and where the limit was crossed: in bytes of flight, lost with the record, and its size.
#[test]
fn m19_in_flight_at_loss_does_not_underflow() {
    let rows = [
        (100_000, 3000, 1000, 99_000),
        (100_000, 3000, 3000, 97_000 + 1979),
        (1000, 1000, 3000, 0),
        (100_000, 2001, 1000, 99_000 + 998),
        (0, 5, 0, 0),
    ];
    for (inflight, lost, bytes, expected) in rows {
        let at = model::inflight_at_loss(inflight, lost, bytes);
        assert_eq!(at, expected, "{inflight} {lost} {bytes}");
    }
    assert!(!model::too_much(2000, 100_000));
    assert!(model::too_much(2001, 100_000));
    assert!(!model::too_much(0, 0));
}

/// m25: 62 or 63 rounds with a window of many packets, fewer with a small one; never bytes.
#[test]
fn m25_coexistence_is_counted_in_rounds() {
    for (cwnd, bw, rounds) in [
        (1_000_000, 1_250_000_000, 63),
        (20 * SMSS, 1_250_000_000, 20),
    ] {
        let mut bbr = found();
        bbr.model.max_bw.update(bw);
        bbr.cwnd = cwnd;
        bbr.cycle.began = cx().now;
        bbr.cycle.rounds_since_up = rounds - 1;
        let ack = AckSample::new(SMSS);
        bbr.run_cycle(&cx(), &ack, &RateSample::default(), true);
        assert_eq!(bbr.state, State::Cruise);
        bbr.cycle.rounds_since_up = rounds;
        bbr.run_cycle(&cx(), &ack, &RateSample::default(), true);
        assert_eq!(bbr.state, State::Refill);
    }
}

/// Loss in UP bounds what is in flight, and an undo takes all of it back: saved once per episode.
#[test]
fn m12_an_undo_takes_back_what_the_first_loss_changed() {
    let mut bbr = found();
    bbr.state = State::Up;
    bbr.cycle.probe_sample = true;
    let before = bbr.cwnd;
    let lossy = Cx {
        lost: 5000,
        inflight: 90_000,
        ..cx()
    };
    let stamp = TxStamp {
        tx_in_flight: 100_000,
        ..TxStamp::default()
    };
    bbr.on_lost(&lossy, &LostEvent::new(stamp, SMSS));
    assert_eq!(bbr.state, State::Down);
    let bound = bbr.model.infl_lt.unwrap();
    assert!((98_000..100_000).contains(&bound), "{bound}");
    assert!(bbr.cycle.too_high);
    // The core's second call about the same episode saves nothing.
    let event = CongestionEvent::new(CongestionKind::EnterRecovery, 100_000);
    assert_eq!(bbr.on_congestion(&lossy, &event), Response::Direct);
    assert_eq!(bbr.cwnd, before, "recovery changes no window");
    let undo = UndoEvent::new(EpisodeKind::Recovery, UndoEvidence::Dsack);
    bbr.on_undo(&lossy, &undo);
    assert_eq!(bbr.model.infl_lt, None);
    assert_eq!(bbr.state, State::Refill);
    assert_eq!(bbr.cwnd, before);
}

/// A time-out bounds what is in flight in the short term, unless that was bounded already.
#[test]
fn an_undone_time_out_leaves_no_bound() {
    let mut bbr = found();
    let rto = CongestionKind::Rto {
        first: true,
        consecutive: 1,
    };
    bbr.on_congestion(&cx(), &CongestionEvent::new(rto, 50_000));
    assert_eq!(bbr.model.infl_st, Some(100_000));
    let undo = UndoEvent::new(EpisodeKind::Loss, UndoEvidence::Frto);
    bbr.on_undo(&cx(), &undo);
    assert_eq!((bbr.cwnd, bbr.model.infl_st), (100_000, None));
}

/// What a mark taught stays when the loss behind it turns out to be none; whether the loss came while the
/// core was still answering the mark, or an episode before it could still be undone. So does what a loss taught that
/// a probe made good.
#[test]
fn an_undo_leaves_what_a_mark_taught() {
    an_undo_leaves_what_was_taught_by(CongestionKind::Ecn { marked_bytes: SMSS });
    an_undo_leaves_what_was_taught_by(CongestionKind::TlpRepairedLoss);
}

fn an_undo_leaves_what_was_taught_by(mark: CongestionKind) {
    let undo = UndoEvent::new(EpisodeKind::Recovery, UndoEvidence::Dsack);
    let lost = LostEvent::new(TxStamp::default(), SMSS);
    for phase in [Phase::Open, Phase::Reduction] {
        let mut bbr = found();
        bbr.on_lost(&cx(), &lost);
        bbr.on_congestion(&cx(), &CongestionEvent::new(mark, 100_000));
        bbr.on_too_high(&cx(), 80_000, false);
        bbr.model.bw_st = Some(900_000);
        let reducing = Cx { phase, ..cx() };
        bbr.on_lost(&reducing, &lost);
        bbr.model.bw_st = Some(600_000);
        bbr.on_undo(&reducing, &undo);
        assert_eq!(bbr.model.infl_lt, Some(80_000), "{phase:?}");
        assert_eq!(bbr.model.bw_st, Some(900_000), "{phase:?}");
    }
    // And without a loss behind it there is nothing to take back.
    let mut bbr = found();
    bbr.on_lost(&cx(), &lost);
    bbr.on_congestion(&cx(), &CongestionEvent::new(mark, 100_000));
    bbr.model.infl_lt = Some(80_000);
    bbr.on_undo(&cx(), &undo);
    assert_eq!(bbr.model.infl_lt, Some(80_000));
}

#[test]
fn an_app_limited_loss_leaves_up_and_bounds_nothing() {
    let mut bbr = found();
    bbr.state = State::Up;
    bbr.cycle.probe_sample = true;
    let stamp = TxStamp {
        tx_in_flight: 100_000,
        app_limited: true,
        ..TxStamp::default()
    };
    let lossy = Cx { lost: 5000, ..cx() };
    bbr.on_lost(&lossy, &LostEvent::new(stamp, SMSS));
    assert_eq!((bbr.state, bbr.model.infl_lt), (State::Down, None));
}

/// A14: a path shorter than a packet keeps four in flight.
#[test]
fn a_path_below_one_packet_keeps_four_in_flight() {
    let mut path = TestPath::new(Box::new(Bbr3::new()), 12_500, Duration::from_millis(1));
    path.run(30 * SEC);
    assert!(path.get("cwnd") >= i128::from(4 * SMSS));
    let bytes = path.run(20 * SEC);
    assert!(bytes * 100 >= 20 * path.rate * 90, "{bytes}");
}

/// The ACK that finds the shortest round trip to be old may tell of none (Karn), or of one that a receiver
/// waited with. The next that does is believed, or a path that became longer is learned with luck only: what
/// was is good for another five seconds when ProbeRTT ends.
#[test]
fn m22_a_longer_path_is_learned_although_the_ack_that_begins_probe_rtt_tells_none() {
    let millis = Duration::from_millis;
    for waited in [false, true] {
        let mut bbr = found();
        let mut now = cx();
        let mut sample = AckSample::new(SMSS);
        sample.rtt = Some(millis(40));
        bbr.update_min_rtt(&now, &sample);
        now.now = now.now + millis(5001);
        now.inflight = 100 * SMSS;
        sample.rtt = waited.then_some(millis(280));
        sample.rtt_ack_delayed = waited;
        bbr.update_min_rtt(&now, &sample);
        assert_eq!(bbr.state, State::ProbeRtt);
        sample.rtt_ack_delayed = false;
        // The first is believed, then shorter ones only.
        for (rtt, least) in [(82, 82), (80, 80), (90, 80)] {
            sample.rtt = Some(millis(rtt));
            bbr.update_min_rtt(&now, &sample);
            assert_eq!(bbr.probe_rtt.least, Some(millis(least)));
        }
        assert_eq!(bbr.state, State::ProbeRtt);
    }
}

fn inspected(bbr: &Bbr3, wanted: &str) -> i128 {
    let mut found = None;
    bbr.inspect(&mut |name, value| {
        if name == wanted {
            found = Some(value);
        }
    });
    found.unwrap()
}

/// In ProbeBW since just now, with so much delivered.
fn cruising(delivered: u64) -> (Bbr3, Cx) {
    let mut bbr = found();
    let cx = Cx { delivered, ..cx() };
    bbr.cycle.began = cx.now;
    bbr.model.start(&cx);
    (bbr, cx)
}

/// 50,000 bytes that left when all before them was delivered, by the rate that was found.
fn next_round(cx: &mut Cx) -> RateSample {
    let rate = RateSample {
        prior_delivered: cx.delivered,
        delivered: 50_000,
        rate: 1_250_000,
        tx_in_flight: 50_000,
        ..RateSample::default()
    };
    cx.delivered += 50_000;
    rate
}

/// A loss that a tail probe made good, and a mark, are losses of their round: what it delivered bounds the next.
#[test]
fn a_repaired_loss_and_a_mark_bound_what_follows_their_round() {
    let mark = CongestionKind::Ecn { marked_bytes: SMSS };
    for kind in [None, Some(CongestionKind::TlpRepairedLoss), Some(mark)] {
        let (mut bbr, mut cx) = cruising(100_000);
        if let Some(kind) = kind {
            let answer = bbr.on_congestion(&cx, &CongestionEvent::new(kind, 50_000));
            assert_eq!(answer, Response::Ignore);
        }
        assert_eq!(bbr.model.gaps, u32::from(kind.is_some()), "{kind:?}");
        let rate = RateSample {
            rate: 1_000_000,
            ..next_round(&mut cx)
        };
        let mut ack = AckSample::new(SMSS);
        ack.rate = Some(rate);
        bbr.on_ack(&cx, &ack);
        // More than 0.7 of the rate, and less than 0.7 of the window.
        let bounds = (kind.map(|_| 1_000_000), kind.map(|_| 70_000));
        assert_eq!((bbr.model.bw_st, bbr.model.infl_st), bounds, "{kind:?}");
    }
}

/// What the last probe found too much stops the next one, once; and behind one that stopped for it there is
/// another at once, which has none behind it.
#[test]
fn a_probe_that_stops_at_the_old_bound_has_one_more_behind_it() {
    for reached in [true, false] {
        let (mut bbr, mut cx) = cruising(1_000_000);
        bbr.state = State::Up;
        bbr.cycle.too_high = true;
        bbr.model.infl_lt = Some(60_000);
        bbr.model.full.now = !reached;
        let mut ack = AckSample::new(SMSS);
        ack.prior_inflight = if reached { 60_000 } else { 40_000 };
        bbr.run_cycle(&cx, &ack, &RateSample::default(), false);
        assert_eq!(bbr.state, State::Down);
        assert!(!bbr.cycle.too_high, "{reached}");
        assert_eq!(inspected(&bbr, "precautionary"), i128::from(reached));
        ack.prior_inflight = 0;
        let mut round = |bbr: &mut Bbr3, full| {
            let rate = next_round(&mut cx);
            assert!(bbr.model.update_round(&cx, &rate));
            bbr.model.full.now = full;
            bbr.run_cycle(&cx, &ack, &rate, false);
            bbr.state
        };
        if reached {
            assert_eq!(round(&mut bbr, false), State::Refill);
            assert_eq!(round(&mut bbr, false), State::Up);
            assert_eq!(round(&mut bbr, true), State::Down);
        }
        assert_eq!(round(&mut bbr, false), State::Cruise, "{reached}");
    }
}

/// Once the pipe was full, what is acknowledged opens the window up to the model's product, and a larger one is cut.
#[test]
fn the_window_is_the_models_product_once_the_pipe_was_full() {
    for (before, after) in [(60_000, 80_000), (90_000, 100_000), (150_000, 100_000)] {
        let mut bbr = found();
        (bbr.quantum, bbr.cwnd) = (SMSS, before);
        bbr.set_cwnd(&cx(), 20_000);
        assert_eq!(bbr.cwnd, after, "{before}");
    }
    // Before, it is not cut, and opens as long as it is below.
    for (before, after) in [(90_000, 110_000), (150_000, 150_000)] {
        let (mut bbr, cx) = cruising(1_000_000);
        bbr.model.full.reached = false;
        bbr.state = State::Startup;
        (bbr.quantum, bbr.cwnd) = (SMSS, before);
        bbr.set_cwnd(&cx, 20_000);
        assert_eq!(bbr.cwnd, after, "{before}");
    }
}

/// A round of losses ends with what left behind it, as any round does: not with each ACK.
#[test]
fn a_round_of_losses_is_a_round() {
    let (mut bbr, mut cx) = cruising(100_000);
    let first = next_round(&mut cx);
    let second = next_round(&mut cx);
    for (rate, starts) in [(first, true), (first, false), (second, false)] {
        bbr.model.update_latest(&cx, &rate, false);
        assert_eq!(bbr.model.loss_round_start, starts);
    }
    let rate = next_round(&mut cx);
    bbr.model.update_latest(&cx, &rate, true);
    assert!(!bbr.model.loss_round_start, "held back by ProbeRTT");
    bbr.model.update_latest(&cx, &rate, false);
    assert!(bbr.model.loss_round_start);
}

/// What a probe had in flight is no floor for what is cut behind it.
#[test]
fn behind_a_probe_what_it_delivered_is_forgotten() {
    let (mut bbr, mut cx) = cruising(100_000);
    bbr.state = State::Up;
    let probe = RateSample {
        rate: 1_400_000,
        delivered: 95_000,
        ..next_round(&mut cx)
    };
    bbr.model.update_latest(&cx, &probe, false);
    bbr.enter_down(&cx);
    let event = LostEvent::new(TxStamp::default(), SMSS);
    bbr.on_lost(&cx, &event);
    let rate = RateSample {
        rate: 1_000_000,
        ..next_round(&mut cx)
    };
    bbr.model.update_latest(&cx, &rate, false);
    bbr.model.bound_short_term(false, 100_000);
    let bounds = (bbr.model.bw_st, bbr.model.infl_st);
    assert_eq!(bounds, (Some(1_000_000), Some(70_000)));
}

/// m22: what was measured before this controller began holds for as long as what it measures: ten seconds, also
/// when nothing comes for half of that.
#[test]
fn m22_what_is_inherited_is_of_the_time_that_it_begins() {
    let at = |seconds: u64| Instant::from_millis(1000 * seconds);
    for (later, kept, state) in [
        (4, true, State::Startup),
        (6, true, State::ProbeRtt),
        (11, false, State::ProbeRtt),
    ] {
        let mut bbr = Bbr3::new();
        let mut cx = Cx {
            path_min_rtt: Some(Duration::from_millis(40)),
            ..Cx::new(at(60), SMSS)
        };
        bbr.start(&cx, &Start::new(3));
        cx.now = at(60 + later);
        cx.inflight = 100 * SMSS;
        let mut ack = AckSample::new(SMSS);
        ack.rtt = Some(Duration::from_millis(80));
        bbr.update_min_rtt(&cx, &ack);
        let millis = if kept { 40 } else { 80 };
        let known = bbr.probe_rtt.min_rtt;
        assert_eq!(known, Some(Duration::from_millis(millis)), "{later} s");
        assert_eq!(bbr.state, state, "{later} s");
    }
}

/// A round of a state is of what left in it.
#[test]
fn each_state_that_counts_rounds_begins_one() {
    type Enter = fn(&mut Bbr3, &Cx);
    let up: Enter = |bbr, cx| {
        bbr.state = State::Refill;
        assert!(bbr.model.rounds.started());
        let ack = AckSample::new(SMSS);
        bbr.run_cycle(cx, &ack, &RateSample::default(), false);
    };
    let probe_rtt: Enter = |bbr, cx| {
        let ack = AckSample::new(SMSS);
        let cx = Cx {
            now: cx.now + Duration::from_secs(6),
            ..*cx
        };
        bbr.update_min_rtt(&cx, &ack);
    };
    let states: [(State, Enter); 4] = [
        (State::Down, Bbr3::enter_down),
        (State::Refill, Bbr3::enter_refill),
        (State::Up, up),
        (State::ProbeRtt, probe_rtt),
    ];
    for (state, enter) in states {
        let (mut bbr, mut cx) = cruising(100_000);
        let rate = next_round(&mut cx);
        assert!(bbr.model.update_round(&cx, &rate));
        // Of the next round a part is delivered.
        let under_way = next_round(&mut cx);
        cx.inflight = 100 * SMSS;
        enter(&mut bbr, &cx);
        assert_eq!(bbr.state, state);
        let began = cx.delivered;
        assert!(!bbr.model.update_round(&cx, &under_way), "{state:?}");
        let rate = next_round(&mut cx);
        assert_eq!(rate.prior_delivered, began);
        assert!(bbr.model.update_round(&cx, &rate), "{state:?}");
    }
}

/// The time of ProbeRTT begins when in-flight is low, however long that takes.
#[test]
fn m23_probe_rtt_counts_from_when_in_flight_is_low() {
    let (mut bbr, mut cx) = cruising(100_000);
    cx.now = cx.now + Duration::from_secs(6);
    let ack = AckSample::new(SMSS);
    for round in 0..20 {
        cx.inflight = if round < 10 { 25_001 } else { 25_000 };
        cx.now = cx.now + Duration::from_millis(40);
        let rate = next_round(&mut cx);
        bbr.model.update_round(&cx, &rate);
        bbr.update_min_rtt(&cx, &ack);
        // 200 ms and no less: with the sixth ACK behind the first.
        assert_eq!(bbr.state == State::ProbeRtt, round < 16, "{round}");
    }
    // And a round of what left since then, however long it takes.
    let (mut bbr, mut cx) = cruising(100_000);
    cx.now = cx.now + Duration::from_secs(6);
    cx.inflight = 100 * SMSS;
    bbr.update_min_rtt(&cx, &ack);
    let before = next_round(&mut cx);
    cx.inflight = 0;
    bbr.update_min_rtt(&cx, &ack);
    for (rate, ends) in [(before, false), (next_round(&mut cx), true)] {
        cx.now = cx.now + Duration::from_secs(1);
        bbr.model.update_round(&cx, &rate);
        bbr.update_min_rtt(&cx, &ack);
        assert_eq!(bbr.state != State::ProbeRtt, ends);
    }
}

/// Behind ProbeRTT a cycle begins, in its second part and without the bounds of what was lost before.
#[test]
fn probe_rtt_ends_in_a_cycle_of_its_own() {
    let (mut bbr, mut cx) = cruising(100_000);
    (bbr.model.bw_st, bbr.model.infl_st) = (Some(1), Some(1));
    bbr.model.infl_latest = 95_000;
    cx.now = cx.now + Duration::from_secs(6);
    let ack = AckSample::new(SMSS);
    bbr.update_min_rtt(&cx, &ack);
    assert_eq!(bbr.state, State::ProbeRtt);
    while bbr.state == State::ProbeRtt {
        let rate = next_round(&mut cx);
        cx.now = cx.now + Duration::from_millis(100);
        bbr.model.update_round(&cx, &rate);
        bbr.update_min_rtt(&cx, &ack);
    }
    assert_eq!((bbr.state, bbr.cycle.began), (State::Cruise, cx.now));
    assert_eq!((bbr.model.bw_st, bbr.model.infl_st), (None, None));
    assert_eq!(bbr.model.infl_latest, 0);
}

/// Startup that goes on remembers clumps as Startup does: for a round.
#[test]
fn an_undone_end_of_startup_shortens_the_memory_again() {
    for undone in [true, false] {
        let (mut bbr, mut cx) = cruising(100_000);
        bbr.state = State::Startup;
        bbr.on_lost(&cx, &LostEvent::new(TxStamp::default(), SMSS));
        bbr.note_left(State::Startup);
        bbr.leave_startup();
        assert_eq!(bbr.state, State::Drain);
        if undone {
            let undo = UndoEvent::new(EpisodeKind::Recovery, UndoEvidence::Dsack);
            bbr.on_undo(&cx, &undo);
            assert_eq!((bbr.state, bbr.model.full.reached), (State::Startup, false));
        }
        for clump in [30_000, 100, 100, 100] {
            let rate = next_round(&mut cx);
            cx.now = cx.now + Duration::from_millis(40);
            bbr.model.update_round(&cx, &rate);
            bbr.model.aggregate(&cx, clump, 1_250_000, 100_000);
        }
        let known = bbr.model.aggregation.extra(u64::MAX, None);
        assert_eq!(known, if undone { 100 } else { 30_000 });
    }
}
