//! What begins and ends each state.

use super::lab::*;
use netloom::device::{Chance, Displacement, Pick};

/// Startup ends when the rate has not grown by a quarter for three rounds, at a path that loses nothing.
#[test]
fn a01_startup_ends_at_a_plateau() {
    let mut lab = Lab::usual();
    let left = lab.until(3 * SEC, |look| look.state() != STARTUP);
    assert_eq!(left.state(), DRAIN);
    let grown = (lab.history.windows(2).rev())
        .find(|pair| pair[0].get("full_bw") != pair[1].get("full_bw"))
        .unwrap();
    let rounds = left.get("round") - grown[1].get("round");
    assert_eq!(rounds, 3, "rounds without growth");
    assert!(near(left.get("max_bw"), lab.text_rate(), 2));
    assert_eq!((lab.lost_frames(), left.get("infl_lt")), (0, -1));
}

/// Startup heeds loss in rounds that the application limits, where a plateau says nothing: more than 2 % lost,
/// in six places, through a round of recovery.
#[test]
fn a02_loss_ends_startup_while_the_application_limits() {
    let mut lab = Lab::limited_in_startup();
    lab.change_path(|wire| wire.loss(Chance::percent(10)));
    let left = lab.until(SEC, |look| look.state() != STARTUP);
    assert_eq!(left.state(), DRAIN);
    assert!(left.0.info.delivery_rate_app_limited);
    assert_eq!(left.get("full_now"), 0, "no plateau");
    let bound = left.get("infl_lt");
    let flight = 20_000 * 8; // Each round trip's text.
    assert!((flight * 7 / 10..2 * flight).contains(&bound), "{bound}");
}

/// A burst that an outage takes is one place, however many are lost in it; and however long it takes to find
/// them lost, where reordering has to be waited for.
#[test]
fn m24_one_burst_does_not_end_startup() {
    let mut lab = Lab::limited_in_startup();
    let late = Displacement::Time(3 * MS);
    lab.change_path(|wire| wire.reordering(Pick::every(10), late));
    lab.run(300 * MS);
    let before = lab.history.last().unwrap().0.info.retransmits;
    let now = lab.network.now();
    lab.change_path(|wire| wire.outage(now, now + 20 * MS));
    let looks = lab.run(SEC);
    assert_eq!(states(looks), [STARTUP]);
    let again = looks.last().unwrap().0.info.retransmits - before;
    assert!(again >= 20, "{again}");
}

/// What Startup queued is gone when Drain ends, which takes no three rounds.
#[test]
fn a03_drain_ends_when_the_queue_is_gone() {
    let mut lab = Lab::usual();
    let began = lab.until_state(DRAIN, 3 * SEC);
    let queued = i128::try_from(began.0.queue.unwrap().bytes).unwrap();
    assert!(queued * 10 >= lab.product() * 9, "{queued}");
    // DOWN, which follows, lasts no time: its own target is reached.
    let ended = lab.until(SEC, |look| look.state() != DRAIN);
    assert_eq!(ended.state(), CRUISE);
    let rounds = ended.get("round") - began.get("round");
    assert!(rounds <= 3, "{rounds} rounds");
    assert!(
        ended.in_flight() <= lab.product() * 101 / 100,
        "{}",
        ended.in_flight()
    );
    let before = &lab.history[lab.history.len() - 3];
    assert!(before.in_flight() + 3 * SMSS >= lab.product(), "not before");
}

/// The path becomes slower as Drain begins, and what is in flight never comes down to what the model takes
/// for the path's: Drain ends after three rounds.
#[test]
fn a04_drain_ends_after_three_rounds() {
    let (began, mut lab) = Lab::slower_in_drain();
    let ended = lab.until(3 * SEC, |look| look.state() != DRAIN);
    assert_eq!(ended.state(), DOWN);
    assert_eq!(
        ended.get("round") - began.get("round"),
        4,
        "more than three"
    );
    assert!(
        ended.in_flight() > lab.product() * 3,
        "{}",
        ended.in_flight()
    );
}

/// The same path: DOWN does not get there either, and ends by its wait of two to three seconds.
#[test]
fn a09_down_ends_by_the_wait() {
    let (_, mut lab) = Lab::slower_in_drain();
    let began = lab.until_state(DOWN, 3 * SEC);
    let ended = lab.until(4 * SEC, |look| look.state() != DOWN);
    assert_eq!(ended.state(), REFILL);
    let wait = began.get("wait_ns");
    assert!((2_000_000_000..3_000_000_000).contains(&wait), "{wait}");
    let lasted = i128::try_from(ended.at().since(began.at()).as_nanos()).unwrap();
    assert!(
        (wait..wait + 50_000_000).contains(&lasted),
        "{lasted} of {wait}"
    );
    assert!(
        ended.in_flight() > lab.product() * 3,
        "{}",
        ended.in_flight()
    );
}

/// UP ends when three rounds at a higher rate delivered no quarter more.
#[test]
fn a05_up_ends_at_a_plateau() {
    let mut lab = Lab::usual();
    let began = lab.until_state(UP, 5 * SEC);
    let ended = lab.until(SEC, |look| look.state() != UP);
    assert_eq!(ended.state(), DOWN);
    assert_eq!(ended.get("round") - began.get("round"), 3);
    assert_eq!((lab.lost_frames(), ended.get("infl_lt")), (0, -1));
    assert_eq!(ended.get("too_high"), 0);
    let gain = began.get("pacing_rate") * 1000 / began.get("max_bw");
    assert!((1230..=1240).contains(&gain), "{gain}");
}

/// More than 2 % lost ends UP, whoever limits; but nothing is learned of the path that was not filled.
#[test]
fn a06_loss_ends_up_while_the_application_limits() {
    let mut lab = Lab::limited_in_up();
    lab.change_path(|wire| wire.loss(Chance::percent(20)));
    let began = lab.history.last().unwrap().clone();
    let ended = lab.until(SEC, |look| look.state() != UP);
    // Less than the path holds is in flight: DOWN has nothing to do.
    assert_eq!((ended.state(), ended.get("too_high")), (CRUISE, 1));
    assert!(ended.get("round") - began.get("round") <= 3);
    assert_eq!(ended.get("infl_lt"), -1);
}

/// Without loss it stays in Startup, and in UP, for as long as the application limits it; only ProbeRTT comes
/// between.
#[test]
fn a07_an_application_that_limits_ends_neither_startup_nor_up() {
    let mut lab = Lab::limited_in_startup();
    let looks = lab.run(12 * SEC);
    assert_eq!(
        states(looks),
        [STARTUP, PROBE_RTT, STARTUP, PROBE_RTT, STARTUP]
    );
    assert!(looks.last().unwrap().get("round") - looks[0].get("round") >= 200);

    let mut lab = Lab::limited_in_up();
    let began = lab.history.last().unwrap().clone();
    let ended = lab.until(6 * SEC, |look| look.state() != UP);
    assert_eq!(ended.state(), PROBE_RTT, "nothing else");
    assert!(ended.get("round") - began.get("round") >= 10);
    assert!(
        near(ended.get("max_bw"), lab.text_rate(), 2),
        "m28: it forgets nothing"
    );
}

/// DOWN ends when in flight is what the path holds.
#[test]
fn a08_down_ends_when_the_queue_is_gone() {
    let mut lab = Lab::usual();
    let began = lab.until_state_again(DOWN, 5 * SEC);
    let ended = lab.until(2 * SEC, |look| look.state() != DOWN);
    assert_eq!(ended.state(), CRUISE);
    assert!(
        began.in_flight() > lab.product() * 3 / 2,
        "{}",
        began.in_flight()
    );
    assert!(ended.in_flight() <= lab.product(), "{}", ended.in_flight());
    let before = &lab.history[lab.history.len() - 3];
    assert!(before.in_flight() + 3 * SMSS >= lab.product(), "not before");
    let lasted = ended.at().since(began.at());
    assert!(lasted < 2 * SEC, "{lasted:?}");
}

/// Every five seconds half of what fills the path, for 200 ms and a round; then all as it was.
#[test]
fn a10_probe_rtt_holds_the_flight_low_and_ends() {
    let mut lab = Lab::usual();
    let began = lab.until_state(PROBE_RTT, 6 * SEC);
    let before = lab.history[lab.history.len() - 2].clone();
    assert!((5000..5200).contains(&began.at().since(Instant::ZERO).as_millis()));
    assert!(
        near(began.get("cwnd"), lab.product() / 2, 2),
        "{}",
        began.get("cwnd")
    );
    let low = lab.until(SEC, |look| look.in_flight() <= look.get("cwnd"));
    let ended = lab.until(SEC, |look| look.state() != PROBE_RTT);
    assert_eq!(ended.state(), CRUISE);
    let held = ended.at().since(low.at());
    assert!((200..260).contains(&held.as_millis()), "{held:?}");
    assert!(
        ended.get("cwnd") >= before.get("cwnd"),
        "{}",
        ended.get("cwnd")
    );
    assert_eq!((ended.get("bw_st"), ended.get("infl_st")), (-1, -1));
    assert_eq!(ended.get("max_bw"), before.get("max_bw"), "m28");
    // m23: again and again.
    let next = lab.until_state(PROBE_RTT, 6 * SEC);
    let apart = next.at().since(began.at());
    assert!((5000..5500).contains(&apart.as_millis()), "{apart:?}");
    lab.until_state(CRUISE, SEC);
}

/// A loss around the end of ProbeRTT bounds what follows by what that is found to deliver, not by the half
/// that ProbeRTT let go.
#[test]
fn what_probe_rtt_held_back_bounds_nothing() {
    let mut lab = Lab::usual();
    lab.until_state(PROBE_RTT, 6 * SEC);
    let ended = lab.until_state(CRUISE, SEC).at();
    let mut bounded = 0;
    for before_end in [50, 40, 30, 20, 10, 0] {
        let mut lab = Lab::usual();
        let gone = Instant::from_nanos(ended.as_nanos() - before_end * 1_000_000);
        // Half the product is sent in half the time: it may hit a pause.
        lab.change_path(|wire| wire.outage(gone, gone + 8 * MS));
        lab.until(6 * SEC, |look| look.at() >= ended);
        lab.run(250 * MS);
        let last = lab.history.last().unwrap();
        assert_eq!(last.state(), CRUISE, "{before_end}");
        let (found, bw) = (last.get("max_bw"), last.get("bw"));
        assert!(
            near(bw, found, 5),
            "{bw} of {found}, {before_end} ms before"
        );
        bounded += i32::from(last.get("bw_st") > 0);
    }
    assert!(bounded >= 3, "a loss counts all the same: {bounded}");
}

/// An idle time showed the path empty: nothing has to be drained for that.
#[test]
fn a11_no_probe_rtt_after_an_idle_time() {
    let mut lab = Lab::usual();
    lab.run(4 * SEC);
    lab.speak(Mode::Silent);
    lab.run(15 * SEC);
    let stamped = lab.history.last().unwrap().get("min_rtt_at_ns");
    lab.speak(Mode::Bulk);
    let looks = lab.run(2 * SEC).to_vec();
    assert!(!states(&looks).contains(&PROBE_RTT), "{:?}", states(&looks));
    assert!(looks.last().unwrap().get("min_rtt_at_ns") - stamped >= 14_000_000_000);
    // m16, m27: and what follows it is no burst.
    let burst = looks
        .iter()
        .take_while(|look| look.at().since(looks[0].at()) < 40 * MS);
    let queued = burst
        .map(|look| look.0.queue.unwrap().frames)
        .max()
        .unwrap();
    assert!(queued <= 6, "{queued} frames at once");
}

/// What is found lost by a time-out was not in flight, but its sender was not idle: its next transmission ends no ProbeRTT,
/// and brings no window back onto a path that just lost all.
#[test]
fn a_time_out_in_probe_rtt_is_no_idle_time() {
    for (choice, probe_rtt) in [(Choice::Bbr, 3), (Choice::Bbr3, PROBE_RTT)] {
        let talk = Mode::Pieces(1000, 5 * MS);
        let (forth, back) = path(10_000_000, 40 * MS, 1 << 20);
        let mut lab = Lab::with(1, (10_000_000, 40 * MS), (forth, back), talk, choice);
        lab.until_state(probe_rtt, 11 * SEC);
        lab.until(SEC, |look| look.in_flight() <= look.get("cwnd"));
        let used = lab.history.iter().map(|look| look.get("cwnd")).max();
        let gone = lab.network.now();
        lab.change_path(|wire| wire.outage(gone, gone + 4 * SEC));
        lab.speak(Mode::Silent);
        let looks = lab.run(3 * SEC).to_vec();
        let last = &looks.last().unwrap().0.info;
        assert!(last.retries >= 3 && last.unsent == 0, "{last:?}");
        let tried = looks.iter().filter(|look| look.0.info.retries > 0);
        let most = tried.map(|look| look.get("cwnd")).max();
        assert!(used >= Some(10 * SMSS) && most <= Some(SMSS), "{most:?}");
    }
}

/// ProbeRTT that came in Startup, since the application limits, goes back to it.
#[test]
fn a20_probe_rtt_goes_back_to_startup() {
    let mut lab = Lab::limited_in_startup();
    let began = lab.until_state(PROBE_RTT, 6 * SEC);
    let before = lab.history[lab.history.len() - 2].clone();
    let ended = lab.until(SEC, |look| look.state() != PROBE_RTT);
    assert_eq!((ended.state(), ended.get("full_reached")), (STARTUP, 0));
    let lasted = ended.at().since(began.at());
    assert!((200..320).contains(&lasted.as_millis()), "{lasted:?}");
    assert!(
        ended.get("cwnd") >= before.get("cwnd"),
        "{}",
        ended.get("cwnd")
    );
}

/// A probe that lost too much sets the bound. The next one stops when so much is in flight and waits for what
/// comes of it; when nothing was lost by that, it is followed by one beyond the bound at once.
#[test]
fn a21_after_loss_in_up_the_next_probe_stops_at_the_bound() {
    let bits = 10_000_000;
    let mut lab = Lab::over(1, (bits, 40 * MS), path(bits, 40 * MS, 30_000), Mode::Bulk);
    lab.until(20 * SEC, |look| look.state() == UP);
    let lossy = lab.until(20 * SEC, |look| {
        look.state() == DOWN && look.get("too_high") == 1
    });
    let bound = lossy.get("infl_lt");
    assert!(
        (lab.product()..2 * lab.product()).contains(&bound),
        "{bound}"
    );
    let again = lab.until_state(UP, 20 * SEC);
    assert_eq!(again.get("too_high"), 1);
    let (lost, bound) = (lab.lost_frames(), again.get("infl_lt"));
    let stopped = lab.until(SEC, |look| look.state() != UP);
    assert_eq!((stopped.state(), stopped.get("precautionary")), (DOWN, 1));
    assert_eq!(stopped.get("too_high"), 0);
    assert_eq!((lab.lost_frames(), stopped.get("infl_lt")), (lost, bound));
    let next = lab.until_state(REFILL, SEC);
    assert!(next.get("round") - stopped.get("round") <= 2, "at once");
    lab.until_state(UP, SEC);
    lab.until(SEC, |look| {
        look.get("infl_lt") > bound || look.get("too_high") == 1
    });
}

/// m18: what loss taught is used to 85 % while it cruises: 15 % is left free, not 85.
#[test]
fn m18_cruise_leaves_a_seventh_of_the_bound_free() {
    let bits = 10_000_000;
    let mut lab = Lab::over(1, (bits, 40 * MS), path(bits, 40 * MS, 10_000), Mode::Bulk);
    lab.until(20 * SEC, |look| {
        look.state() == CRUISE && look.get("infl_lt") > 0
    });
    let looks = lab.run(500 * MS);
    let last = looks
        .iter()
        .rev()
        .find(|look| look.state() == CRUISE)
        .unwrap();
    let (bound, cwnd) = (last.get("infl_lt"), last.get("cwnd"));
    assert_eq!(cwnd, bound - bound * 15 / 100, "of {bound}");
}

/// m25: it probes as often as Reno's saw-tooth would return: after as many rounds as the path holds packets.
#[test]
fn m25_it_probes_after_as_many_rounds_as_packets() {
    let mut lab = Lab::usual();
    lab.until_state_again(DOWN, 5 * SEC);
    lab.until_state(REFILL, 5 * SEC);
    let before = &lab.history[lab.history.len() - 2];
    let packets = before.get("max_bw") * before.get("min_rtt_ns") / 1_000_000_000 / SMSS;
    let rounds = before.get("rounds_since_up");
    assert!(
        (packets - 1..=packets).contains(&rounds),
        "{rounds} for {packets} packets"
    );
}

/// REFILL takes a round, whoever limits; the UP that follows has nothing to learn.
#[test]
fn a22_the_application_begins_to_limit_in_refill() {
    let mut lab = Lab::usual();
    let began = lab.until_state(REFILL, 5 * SEC);
    lab.speak(Mode::Pieces(3000, 5 * MS));
    let up = lab.until(SEC, |look| look.state() != REFILL);
    assert_eq!((up.state(), up.get("round") - began.get("round")), (UP, 1));
    lab.run(300 * MS);
    let looks = lab.run(SEC);
    assert_eq!(states(looks), [UP]);
    let max_bw = looks.last().unwrap().get("max_bw");
    assert!(near(max_bw, lab.text_rate(), 2), "{max_bw}");
}

impl Lab {
    /// 100 Mbit/s and 40 ms, and an application that writes 32 Mbit/s: approached by doubling, so that what
    /// waits never fills a round.
    fn limited_in_startup() -> Self {
        let mut lab = Self::new(1, 100_000_000, 40 * MS, Mode::Pieces(1250, 5 * MS));
        for bytes in [2500, 5000, 10_000, 20_000] {
            lab.run(300 * MS);
            lab.speak(Mode::Pieces(bytes, 5 * MS));
        }
        lab.run(500 * MS);
        assert_eq!(states(&lab.history), [STARTUP]);
        lab
    }

    /// The usual path, found, and an application that writes two thirds of it; in UP.
    fn limited_in_up() -> Self {
        let mut lab = Self::usual();
        lab.until_state(CRUISE, 3 * SEC);
        lab.speak(Mode::Pieces(4000, 5 * MS));
        lab.until_state(UP, 5 * SEC);
        lab.run(100 * MS);
        assert_eq!(lab.history.last().unwrap().state(), UP);
        lab
    }

    /// The usual path, of half the rate from when Drain began.
    fn slower_in_drain() -> (Look, Self) {
        let mut lab = Self::usual();
        let began = lab.until_state(DRAIN, 3 * SEC);
        lab.set_rate(5_000_000);
        // In its terms: the product that it knows.
        (began, lab)
    }
}
