//! Each controller over a path, through whole stacks: that it fills it, and what it costs.

use netloom::device::{Chance, Pick};

use super::path::*;

const SEC: Duration = Duration::from_secs(1);

/// Bytes of text that a path of so many Mbit/s carries in a time: 1448 of 1514 are text.
fn capacity(mbit: u64, time: Duration) -> u64 {
    mbit * 125_000 * 1448 / 1514 * u64::try_from(time.as_millis()).unwrap() / 1000
}

#[test]
fn each_fills_a_path() {
    for choice in Choice::NAMED {
        // A queue of one bandwidth-delay product.
        let mut flow = Flow::new(1, wires(20, 40, 100_000), using(choice.clone()));
        flow.run(2 * SEC);
        let bytes = flow.run(2 * SEC);
        let most = capacity(20, 2 * SEC);
        assert!(bytes * 100 >= most * 88, "{choice}: {bytes} of {most}");
    }
}

/// A model keeps the queue short where a window fills it.
#[test]
fn a_model_keeps_the_queue_short() {
    for choice in [Choice::Bbr, Choice::Bbr3] {
        let mut flow = Flow::new(1, wires(20, 40, 1 << 20), using(choice.clone()));
        flow.run(3 * SEC);
        let bytes = flow.run(SEC);
        assert!(bytes * 100 >= capacity(20, SEC) * 90, "{choice}: {bytes}");
        let srtt = flow.info().rtt.unwrap();
        assert!(srtt <= Duration::from_millis(60), "{choice}: {srtt:?}");
        assert!(flow.info().pacing_rate.is_some());
    }
}

/// B1's and B1d's statement in small: random loss stops windows, and a model only loses what is lost.
#[test]
fn random_loss_stops_windows_and_not_models() {
    let lossy = |choice: Choice| {
        let (forth, back) = wires(20, 40, 200_000);
        let forth = forth.loss(Pick::from(Chance::percent(1)));
        let mut flow = Flow::new(7, (forth, back), using(choice));
        flow.run(2 * SEC);
        flow.run(3 * SEC) * 100 / capacity(20, 3 * SEC)
    };
    let (cubic, bbr, bbr3) = (
        lossy(Choice::Cubic),
        lossy(Choice::Bbr),
        lossy(Choice::Bbr3),
    );
    assert!(bbr >= 85, "bbr {bbr} %");
    assert!(bbr3 >= 60, "bbr3 {bbr3} %");
    assert!(cubic < bbr3 && cubic < 50, "cubic {cubic} %, bbr3 {bbr3} %");
}

/// Where packets overtake each other, what was sent again in a recovery is no loss of its own when that ends: CUBIC
/// would cut in each round.
#[test]
fn jitter_cuts_no_window_twice() {
    let rates: Vec<u64> = (1..=60)
        .map(|seed| {
            let (forth, back) = wires(10, 100, 125_000);
            let forth = forth.jitter(Duration::from_millis(15));
            let mut flow = Flow::new(seed, (forth, back), using(Choice::Cubic));
            flow.run(10 * SEC) * 100 / capacity(10, 10 * SEC)
        })
        .collect();
    let mean = rates.iter().sum::<u64>() / 60;
    assert!(mean >= 80, "by seed, in percent: {rates:?}");
}

/// What jitter costs Reno is what its receiver refuses: a segment that a retransmission of the front overtook is older
/// than TS.Recent (RFC 7323 §5.3), is lost for that, behind the recovery point too, and asks for another cut. Without
/// timestamps each seed keeps nine tenths of the line, or nearly.
#[test]
fn without_timestamps_jitter_costs_little() {
    let rates: Vec<u64> = (1..=5)
        .map(|seed| {
            let (forth, back) = wires(10, 100, 125_000);
            let forth = forth.jitter(Duration::from_millis(15));
            let options = using(Choice::Reno).timestamps(false);
            let mut flow = Flow::new(seed, (forth, back), options);
            flow.run(10 * SEC) * 100 / capacity(10, 10 * SEC)
        })
        .collect();
    let least = rates.iter().min();
    assert!(least >= Some(&88), "by seed, in percent: {rates:?}");
}

/// Equal seeds, equal runs, whatever a controller draws; another seed, another run.
#[test]
fn runs_are_repeatable() {
    for choice in Choice::NAMED {
        let hash = |seed| {
            let (forth, back) = wires(4, 20, 15_000);
            let forth = forth.loss(Pick::from(Chance::percent(1)));
            let mut flow = Flow::new(seed, (forth, back), using(choice.clone()));
            flow.run(2 * SEC);
            flow.pair.network.trace_hash()
        };
        assert_eq!(hash(3), hash(3), "{choice}");
        assert_ne!(hash(3), hash(4), "{choice}");
    }
}

/// CUBIC's window is spread over the round trip, but on a local path, and while it is small.
#[test]
fn cubic_paces_what_a_short_queue_would_not_hold() {
    // (round trip in ms, run for so many ms, is it paced?): ten segments are 14 kB, and double each round trip.
    for (rtt, millis, paced) in [(1, 500, false), (40, 150, false), (40, 500, true)] {
        let mut flow = Flow::new(1, wires(1000, rtt, 5_000_000), using(Choice::Cubic));
        flow.run(Duration::from_millis(millis));
        let info = flow.info();
        assert_eq!(info.pacing_rate.is_some(), paced, "{rtt} ms: {info:?}");
    }
}
