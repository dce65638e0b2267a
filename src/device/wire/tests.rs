use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::layout::samples::Tcp;
use super::*;

const TAIL: usize = 4;

fn ns(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn wire(config: WireConfig) -> Wire {
    Wire::new(Medium::Ip, config, Seed::from_number(3), "test")
}

/// A TCP segment of `len` bytes on the wire, at least 44, with a number at its end.
fn text(number: u32, len: usize) -> Bytes {
    let mut payload = vec![0; len - 40 - TAIL];
    payload.extend(number.to_be_bytes());
    Tcp::new(Medium::Ip, false, &payload).frame().into()
}

fn number(frame: &Bytes) -> u32 {
    u32::from_be_bytes(frame[frame.len() - TAIL..].try_into().unwrap())
}

/// A bare ACK of a connection, of 40 bytes.
fn ack(port: u8, number: u32) -> Bytes {
    let mut tcp = Tcp::new(Medium::Ip, false, b"");
    tcp.ack = number;
    let mut frame = tcp.frame();
    frame[21] = port;
    frame.into()
}

fn acked(frame: &Bytes) -> u32 {
    u32::from_be_bytes(frame[28..32].try_into().unwrap())
}

/// All that comes out, each with its time.
fn drain(wire: &mut Wire) -> Vec<(Instant, Bytes)> {
    let mut got = Vec::new();
    while let Some(due) = wire.next_due() {
        got.extend(wire.take_due(due));
    }
    got
}

/// The times and numbers of all that comes out.
fn arrivals(wire: &mut Wire) -> Vec<(Instant, u32)> {
    let numbered = |(at, frame)| (at, number(&frame));
    drain(wire).into_iter().map(numbered).collect()
}

/// Offers 100 frames of 1000 bytes at one time, and returns the numbers in the order of arrival.
fn order(config: WireConfig) -> (Vec<u32>, WireCounters) {
    let mut wire = wire(config);
    for number in 0..100 {
        wire.offer(Instant::ZERO, text(number, 1000));
    }
    let got = arrivals(&mut wire);
    assert!(got.is_sorted_by_key(|(at, _)| *at));
    (
        got.into_iter().map(|(_, number)| number).collect(),
        wire.counters(),
    )
}

fn except(gone: &[u32]) -> Vec<u32> {
    (0..100).filter(|number| !gone.contains(number)).collect()
}

#[test]
fn a_perfect_wire_is_there_at_once() {
    let mut wire = wire(WireConfig::perfect());
    wire.offer(ms(5), text(1, 50));
    assert_eq!(wire.next_due(), Some(ms(5)));
    assert_eq!(
        wire.take_due(ms(9)).unwrap().0,
        ms(5),
        "when it came, not when it was asked for"
    );
    assert_eq!((wire.take_due(ms(9)), wire.next_due()), (None, None));
}

#[test]
fn frames_leave_one_after_the_other_and_propagate_together() {
    // 1000 bytes take a third of a millisecond and a bit.
    let config = WireConfig::perfect().rate(24_000_000).delay(millis(10));
    let mut wire = wire(config);
    for number in 0..3000 {
        wire.offer(Instant::ZERO, text(number, 1000));
        assert!(wire.queued(Instant::ZERO).frames <= 1000);
    }
    let got = arrivals(&mut wire);
    assert_eq!(wire.counters().overflowed, 1999);
    assert_eq!(got.len(), 1001, "one on the line, a thousand behind it");
    for (place, (at, number)) in (1u64..).zip(&got) {
        assert_eq!(u64::from(*number), place - 1);
        let exact = u128::from(place) * 8_000_000_000_000 / 24_000_000;
        assert_eq!(u128::from(at.as_nanos()), exact + 10_000_000);
    }
}

#[test]
fn only_what_waits_for_the_line_counts() {
    let config = WireConfig::perfect().rate(8_000_000).delay(millis(50));
    let mut wire = wire(config.queue(QueueLimit::Bytes(2500)));
    for number in 0..4 {
        wire.offer(Instant::ZERO, text(number, 1000));
    }
    let queued = |frames, bytes| Queued { frames, bytes };
    assert_eq!(wire.queued(Instant::ZERO), queued(2, 2000));
    assert_eq!((wire.counters().overflowed, wire.held()), (1, 3));
    assert_eq!(wire.queued(ns(999_999)), queued(2, 2000));
    assert_eq!(wire.queued(ms(1)), queued(1, 1000), "the first has left");
    assert_eq!(wire.queued(ms(2)), queued(0, 0));
    wire.offer(ms(2), text(9, 500));
    assert_eq!(wire.queued(ms(2)), queued(1, 500));
    let got = arrivals(&mut wire);
    assert_eq!(
        got,
        [(ms(51), 0), (ms(52), 1), (ms(53), 2), (ns(53_500_000), 9)]
    );
}

#[test]
fn without_a_queue_one_at_a_time_passes() {
    for limit in [QueueLimit::Bytes(0), QueueLimit::Frames(0)] {
        let mut wire = wire(WireConfig::perfect().rate(8_000_000).queue(limit));
        for (at, number) in [(0, 0), (999_999, 1), (1_000_000, 2), (5_000_000, 3)] {
            wire.offer(ns(at), text(number, 1000));
        }
        assert_eq!(arrivals(&mut wire), [(ms(1), 0), (ms(2), 2), (ms(6), 3)]);
    }
}

#[test]
fn what_the_wire_holds_is_bounded() {
    let mut wire = wire(WireConfig::perfect().delay(millis(9)).capacity(5));
    for number in 0..9 {
        wire.offer(Instant::ZERO, text(number, 50));
    }
    assert_eq!((wire.held(), wire.counters().overflowed), (5, 4));
    assert_eq!(arrivals(&mut wire).len(), 5);
}

#[test]
fn a_rate_step_and_a_change_do_the_same() {
    let slow = WireConfig::perfect().rate(8_000_000).delay(millis(1));
    let fast = slow.clone().rate(80_000_000);
    let mut steps = wire(slow.clone().rate_from(ns(1_500_000), 80_000_000));
    let mut changed = wire(slow.clone());
    let mut same = wire(slow.clone());
    for wire in [&mut steps, &mut changed, &mut same] {
        for number in 0..4 {
            wire.offer(Instant::ZERO, text(number, 1000));
        }
    }
    same.set(ns(1_500_000), slow.clone());
    changed.set(ns(1_500_000), fast);
    let expected = [2_000_000, 2_550_000, 2_650_000, 2_750_000].map(ns);
    let times = |wire| arrivals(wire).iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(times(&mut steps), expected);
    assert_eq!(times(&mut changed), expected);
    assert_eq!(times(&mut same), [2, 3, 4, 5].map(ms));
}

#[test]
fn a_line_that_stands_still_keeps_its_queue() {
    let mut wire = wire(WireConfig::perfect().rate(0).delay(millis(3)));
    wire.offer(Instant::ZERO, text(0, 1000));
    wire.offer(Instant::ZERO, text(1, 1000));
    assert_eq!(wire.next_due(), None);
    assert_eq!(wire.take_due(ms(1_000_000)), None);
    wire.set(ms(2_000_000), WireConfig::perfect());
    assert_eq!(
        arrivals(&mut wire),
        [(ms(2_000_000), 0), (ms(2_000_000), 1)]
    );
}

#[test]
fn a_shorter_way_lets_nobody_overtake() {
    let mut wire = wire(WireConfig::perfect().delay(millis(30)));
    wire.offer(ms(0), text(0, 50));
    wire.set(ms(1), WireConfig::perfect().delay(millis(3)));
    wire.offer(ms(1), text(1, 50));
    wire.offer(ms(40), text(2, 50));
    assert_eq!(arrivals(&mut wire), [(ms(30), 0), (ms(30), 1), (ms(43), 2)]);
}

#[test]
fn what_is_named_is_lost_and_nothing_else() {
    let (got, counters) = order(WireConfig::perfect().loss(Pick::numbers([0, 2, 3, 99])));
    assert_eq!(got, except(&[0, 2, 3, 99]));
    assert_eq!((counters.lost, counters.texts), (4, 100));
    let (got, _) = order(WireConfig::perfect().loss(Pick::every(25)));
    assert_eq!(got, except(&[24, 49, 74, 99]));
    // What carries no text has no number.
    let mut wire = wire(WireConfig::perfect().loss(Pick::numbers([1])));
    for frame in [ack(1, 1), text(0, 50), ack(1, 2), text(1, 50), ack(1, 3)] {
        wire.offer(Instant::ZERO, frame);
    }
    assert_eq!((drain(&mut wire).len(), wire.counters().lost), (4, 1));
}

#[test]
fn a_lost_frame_has_used_the_line() {
    let config = WireConfig::perfect()
        .rate(8_000_000)
        .loss(Pick::numbers([0]));
    let mut wire = wire(config);
    wire.offer(Instant::ZERO, text(0, 1000));
    wire.offer(Instant::ZERO, text(1, 1000));
    assert_eq!(arrivals(&mut wire), [(ms(2), 1)]);
}

#[test]
fn a_displaced_frame_is_overtaken_by_so_many() {
    let by = |frames, at_most| Displacement::Frames { frames, at_most };
    let some = Pick::numbers([4, 20]);
    let config = WireConfig::perfect().rate(8_000_000).delay(millis(20));
    let (got, counters) = order(config.clone().reordering(some.clone(), by(3, millis(9))));
    assert_eq!(got[..10], [0, 1, 2, 3, 5, 6, 7, 4, 8, 9]);
    assert_eq!(got[18..25], [18, 19, 21, 22, 23, 20, 24]);
    assert_eq!((got.len(), counters.reordered), (100, 2));
    // The last ones wait in vain, but not for ever.
    let last = config
        .clone()
        .reordering(Pick::numbers([98]), by(3, millis(9)));
    let mut wire = wire(last);
    for number in 0..100 {
        wire.offer(Instant::ZERO, text(number, 1000));
    }
    let got = arrivals(&mut wire);
    assert_eq!(got[98..], [(ms(120), 99), (ms(128), 98)]);
    let neighbours = config.reordering(Pick::numbers([4, 5]), by(2, millis(9)));
    assert_eq!(order(neighbours).0[..9], [0, 1, 2, 3, 6, 7, 4, 5, 8]);
}

#[test]
fn no_displaced_frame_waits_longer_than_it_may() {
    let by = |at_most| Displacement::Frames { frames: 3, at_most };
    let config = WireConfig::perfect().rate(8_000_000).delay(millis(20));
    let late = |at_most| {
        config
            .clone()
            .reordering(Pick::numbers([1, 2]), by(at_most))
    };
    // The frame that passes it as the third has left by then, but has not arrived.
    let mut wire = wire(late(millis(1)));
    (0..9).for_each(|number| wire.offer(Instant::ZERO, text(number, 1000)));
    let got = arrivals(&mut wire);
    assert_eq!(
        got[1..5],
        [(ms(23), 1), (ms(24), 3), (ms(24), 2), (ms(25), 4)]
    );
    // Nor does it go on before one that was displaced earlier.
    let mut wire = self::wire(late(millis(30)));
    (0..2).for_each(|number| wire.offer(Instant::ZERO, text(number, 1000)));
    wire.set(ms(2), late(Duration::ZERO));
    wire.offer(ms(2), text(2, 1000));
    assert_eq!(arrivals(&mut wire), [(ms(21), 0), (ms(52), 1), (ms(52), 2)]);
}

#[test]
fn a_copy_is_not_lost_with_its_original() {
    let first = || Pick::numbers([0]);
    let mut wire = wire(WireConfig::perfect().loss(first()).duplication(first()));
    wire.offer(Instant::ZERO, text(0, 100));
    assert_eq!((arrivals(&mut wire).len(), wire.counters().lost), (1, 1));
}

#[test]
fn a_frame_falls_behind_by_a_time() {
    let by = Displacement::Time(millis(3));
    let config = WireConfig::perfect().rate(8_000_000);
    let (got, _) = order(config.reordering(Pick::numbers([4]), by));
    // It leaves in the fifth millisecond and comes in the eighth, with number 7 and before it: it
    // left earlier.
    assert_eq!(got[..10], [0, 1, 2, 3, 5, 6, 4, 7, 8, 9]);
}

#[test]
fn jitter_overtakes_or_does_not() {
    let config = WireConfig::perfect().rate(80_000_000).delay(millis(1));
    let spread = |got: &[(Instant, u32)]| {
        let late = |(at, number): &(Instant, u32)| {
            at.as_nanos() - 1_000_000 - u64::from(number + 1) * 100_000
        };
        let late: BTreeSet<_> = got.iter().map(late).collect();
        (*late.first().unwrap(), *late.last().unwrap())
    };
    for (config, overtakes) in [
        (config.clone().jitter(millis(3)), true),
        (config.jitter_in_order(millis(3)), false),
    ] {
        let mut wire = wire(config);
        for number in 0..500 {
            wire.offer(Instant::ZERO, text(number, 1000));
        }
        let got = arrivals(&mut wire);
        assert_eq!(got.len(), 500);
        assert!(got.is_sorted_by_key(|(at, _)| *at));
        assert_eq!(!got.is_sorted_by_key(|(_, number)| *number), overtakes);
        let (least, most) = spread(&got);
        assert!(
            least < 1_500_000 && (2_900_000..3_000_000).contains(&most),
            "{least} {most}"
        );
    }
}

#[test]
fn an_outage_takes_what_leaves_in_it() {
    let config = WireConfig::perfect().rate(8_000_000).delay(millis(20));
    let (got, counters) = order(config.outage(ms(3), ms(6)).outage(ms(90), ms(91)));
    assert_eq!(got, except(&[2, 3, 4, 89]));
    assert_eq!(counters.cut_off, 4);
}

#[test]
fn a_policer_lets_the_burst_and_then_the_rate_through() {
    // 2500 bytes at first, then 1000 bytes in 1 ms, at most 3000.
    let bucket = TokenBucket::new(8_000_000, 2500, 3000);
    let mut wire = wire(WireConfig::perfect().token_bucket(bucket));
    let offer = |wire: &mut Wire, at: Instant, count: u32| {
        let before = wire.counters().policed;
        (0..count).for_each(|number| wire.offer(at, text(number, 1000)));
        u64::from(count) - (wire.counters().policed - before)
    };
    assert_eq!(offer(&mut wire, ms(0), 5), 2);
    assert_eq!(offer(&mut wire, ns(499_999), 5), 0);
    assert_eq!(offer(&mut wire, ns(500_000), 5), 1);
    assert_eq!(offer(&mut wire, ms(100), 5), 3, "the depth");
    assert_eq!(arrivals(&mut wire).len(), 6);
    wire.set(ms(101), WireConfig::perfect());
    assert_eq!(offer(&mut wire, ms(101), 50), 50);
}

fn with_ecn(frame: &Bytes, ecn: u8) -> Bytes {
    let mut frame = frame.to_vec();
    frame[1] |= ecn;
    frame.into()
}

#[test]
fn what_waits_too_long_is_marked_or_dropped() {
    let config = WireConfig::perfect().rate(8_000_000).ce_above(millis(2));
    for (pass, refused) in [(false, 2), (true, 0)] {
        let mut wire = wire(config.clone().pass_not_ect(pass));
        for number in 0..9 {
            wire.offer(
                ms(100),
                with_ecn(&text(number, 1000), [2, 1, 0][number as usize % 3]),
            );
        }
        let got = drain(&mut wire);
        let counters = wire.counters();
        assert_eq!(counters.refused, refused);
        // The third waits for exactly 2 ms, which is not above it.
        let ce: Vec<u32> = got
            .iter()
            .filter(|(_, f)| f[1] & 3 == 3)
            .map(|(_, f)| number(f))
            .collect();
        assert_eq!((ce, counters.marked), (vec![3, 4, 6, 7], 4));
        assert_eq!(got.len(), if pass { 9 } else { 7 });
    }
}

/// What was held back before it came to the queue has not waited in it.
#[test]
fn the_wait_that_marks_begins_with_the_queue() {
    let aggregation = AckAggregation::new(400, millis(50));
    let config = WireConfig::perfect().rate(8_000_000).ce_above(millis(2));
    let mut wire = wire(config.ack_aggregation(aggregation));
    for number in 0..10 {
        wire.offer(ms(number.into()), with_ecn(&ack(1, number), 2));
    }
    // Together 0.4 ms of the line, when the first has been here for nine.
    assert_eq!((drain(&mut wire).len(), wire.counters().marked), (10, 0));
}

#[test]
fn named_frames_are_marked_if_they_may_be() {
    let mut wire = wire(WireConfig::perfect().marking(Pick::numbers([1, 2])));
    for number in 0..4 {
        wire.offer(
            Instant::ZERO,
            with_ecn(&text(number, 50), if number == 2 { 0 } else { 2 }),
        );
    }
    let ecn: Vec<u8> = drain(&mut wire)
        .iter()
        .map(|(_, frame)| frame[1] & 3)
        .collect();
    assert_eq!((ecn, wire.counters().marked), (vec![2, 3, 0, 2], 1));
}

#[test]
fn of_bare_acks_every_nth_passes_and_the_newest() {
    let thinning = AckThinning::every(3, millis(10));
    let mut wire = wire(WireConfig::perfect().ack_thinning(thinning));
    for number in 0..7 {
        wire.offer(ms(u64::from(number)), ack(1, number));
        wire.offer(ms(u64::from(number)), ack(2, 100 + number));
    }
    let got: Vec<_> = drain(&mut wire)
        .iter()
        .map(|(at, f)| (*at, acked(f)))
        .collect();
    let expected = [
        (ms(2), 2),
        (ms(2), 102),
        (ms(5), 5),
        (ms(5), 105),
        (ms(16), 6),
        (ms(16), 106),
    ];
    assert_eq!(got, expected);
    assert_eq!((wire.counters().thinned, wire.held()), (8, 0));
}

#[test]
fn one_ack_passes_in_each_interval() {
    let mut wire = wire(WireConfig::perfect().ack_thinning(AckThinning::one_per(millis(10))));
    for number in 0..25 {
        wire.offer(ms(u64::from(number)), ack(1, number));
    }
    let got: Vec<_> = drain(&mut wire)
        .iter()
        .map(|(at, f)| (*at, acked(f)))
        .collect();
    // The one that comes as an interval ends begins the next.
    assert_eq!(got, [(ms(10), 9), (ms(20), 19), (ms(30), 24)]);
}

/// The time that an ACK is kept is that of the settings when it came, and none overtakes another of
/// its connection.
#[test]
fn thinning_is_changed_while_acks_are_held() {
    let within = |time| WireConfig::perfect().ack_thinning(AckThinning::one_per(millis(time)));
    let mut wire = wire(within(100));
    wire.offer(ms(0), ack(1, 1));
    wire.set(ms(1), within(5));
    wire.offer(ms(1), ack(2, 2));
    assert_eq!(wire.next_due(), Some(ms(6)));
    wire.offer(ms(7), ack(3, 3));
    wire.set(ms(8), WireConfig::perfect());
    wire.offer(ms(9), ack(1, 4));
    wire.offer(ms(10), ack(3, 5));
    let got = drain(&mut wire);
    let got: Vec<_> = got.iter().map(|(at, f)| (*at, acked(f))).collect();
    let expected = [(ms(6), 2), (ms(9), 1), (ms(9), 4), (ms(10), 3), (ms(10), 5)];
    assert_eq!(got, expected);
    assert_eq!((wire.counters().thinned, wire.held()), (0, 0));
}

/// What passes costs nothing more, though an ACK of another connection is kept for long.
#[test]
fn thinning_keeps_no_more_than_it_holds() {
    let thinning = AckThinning::every(2, millis(60_000));
    let mut wire = wire(WireConfig::perfect().ack_thinning(thinning));
    wire.offer(ms(0), ack(1, 0));
    for number in 0..1000 {
        wire.offer(ms(1), ack(2, number));
    }
    assert_eq!(wire.thinner.len(), 1);
    assert_eq!(wire.thinner.order_len(), 1);
}

#[test]
fn text_takes_the_acks_before_it_along() {
    let held = WireConfig::perfect()
        .ack_thinning(AckThinning::every(3, millis(10)))
        .ack_aggregation(AckAggregation::new(1000, millis(50)));
    let mut wire = wire(held);
    wire.offer(ms(0), ack(1, 1));
    wire.offer(ms(1), ack(1, 2));
    assert_eq!(wire.take_due(ms(1)), None);
    let mut own = text(7, 100).to_vec();
    own[21] = 1;
    wire.offer(ms(2), own.into());
    let got = drain(&mut wire);
    assert_eq!((got[0].0, acked(&got[0].1)), (ms(2), 2));
    assert_eq!((got[1].0, number(&got[1].1)), (ms(2), 7));
    assert_eq!((got.len(), wire.held()), (2, 0));
}

#[test]
fn bare_acks_come_in_bursts() {
    let aggregation = AckAggregation::new(400, millis(50));
    let mut wire = wire(WireConfig::perfect().ack_aggregation(aggregation));
    for number in 0..25 {
        wire.offer(ms(u64::from(number)), ack(1, number));
    }
    let got: Vec<_> = drain(&mut wire)
        .iter()
        .map(|(at, f)| (*at, acked(f)))
        .collect();
    let expected: Vec<_> = (0..25)
        .map(|n| (ms([9, 19, 70][n as usize / 10]), n))
        .collect();
    assert_eq!(got, expected);
}

#[test]
fn a_copy_follows_and_a_flipped_bit_is_one() {
    let config = WireConfig::perfect()
        .rate(8_000_000)
        .duplication(Pick::numbers([0]));
    let mut wire = wire(config.corruption(Pick::numbers([1])));
    let sent: Vec<_> = (0..3).map(|n| text(n, 1000)).collect();
    sent.iter()
        .for_each(|frame| wire.offer(Instant::ZERO, frame.clone()));
    let got = drain(&mut wire);
    assert_eq!(
        got.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [1, 2, 3, 4].map(ms)
    );
    let flipped =
        |a: &Bytes, b: &Bytes| -> u32 { a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum() };
    let bits: Vec<_> = [0, 0, 1, 2]
        .iter()
        .zip(&got)
        .map(|(&s, g)| flipped(&sent[s], &g.1))
        .collect();
    assert_eq!(bits, [0, 0, 1, 0]);
    assert_eq!(
        (wire.counters().corrupted, wire.counters().duplicated),
        (1, 1)
    );
}

/// Any settings at all, drawn.
fn configs() -> impl Strategy<Value = WireConfig> {
    filters(fates(lines()))
}

fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

/// Line, queue and way.
fn lines() -> impl Strategy<Value = WireConfig> {
    let rates = (
        prop::option::of(1_000_000u64..100_000_000),
        prop::option::of((0u64..3_000_000, 0u64..100_000_000)),
    );
    let limits = prop_oneof![
        (0usize..40).prop_map(QueueLimit::Frames),
        (0usize..20_000).prop_map(QueueLimit::Bytes),
    ];
    let way = (0u64..3_000_000, 0u64..2_000_000, any::<bool>());
    (rates, limits, way).prop_map(|((rate, step), limit, (delay, jitter, overtakes))| {
        let mut config = WireConfig::perfect().delay(nanos(delay)).queue(limit);
        config = if overtakes {
            config.jitter(nanos(jitter))
        } else {
            config.jitter_in_order(nanos(jitter))
        };
        if let Some(rate) = rate {
            config = config.rate(rate);
        }
        match step {
            Some((at, rate)) => config.rate_from(ns(at), rate),
            None => config,
        }
    })
}

/// With what chance does.
fn fates(configs: impl Strategy<Value = WireConfig>) -> impl Strategy<Value = WireConfig> {
    let by = prop_oneof![
        (0u64..2_000_000).prop_map(|by| Displacement::Time(nanos(by))),
        (0u32..6, 0u64..2_000_000).prop_map(|(frames, at_most)| Displacement::Frames {
            frames,
            at_most: nanos(at_most),
        }),
    ];
    let chance = || (0u32..30).prop_map(Chance::percent);
    (configs, chance(), chance(), chance(), chance(), by).prop_map(
        |(config, loss, twice, bits, late, by)| {
            config
                .loss(Pick::bursts(GilbertElliott::bursts(loss, 3)))
                .duplication(twice)
                .corruption(bits)
                .reordering(late, by)
        },
    )
}

/// With what takes, holds and marks.
fn filters(configs: impl Strategy<Value = WireConfig>) -> impl Strategy<Value = WireConfig> {
    let time = || 1u64..900_000;
    (
        configs,
        prop::option::of((1u32..5, time())),
        prop::option::of((1usize..900, time())),
        prop::option::of((1_000_000u64..50_000_000, 0u64..9000, 0u64..9000)),
        prop::option::of((0u64..3_000_000, 0u64..3_000_000)),
        prop::option::of(time()),
    )
        .prop_map(|(mut config, thin, burst, bucket, out, ce)| {
            if let Some((every, within)) = thin {
                config = config.ack_thinning(AckThinning::every(every, nanos(within)));
            }
            if let Some((bytes, time)) = burst {
                config = config.ack_aggregation(AckAggregation::new(bytes, nanos(time)));
            }
            if let Some((rate, burst, depth)) = bucket {
                config = config.token_bucket(TokenBucket::new(rate, burst, depth));
            }
            if let Some((from, to)) = out {
                config = config.outage(ns(from), ns(to));
            }
            match ce {
                Some(above) => config.ce_above(nanos(above)),
                None => config,
            }
        })
}

/// What is offered: after how long, whether it is an ACK, and of what length.
fn offers() -> impl Strategy<Value = Vec<(u64, bool, usize)>> {
    prop::collection::vec((0u64..200_000, any::<bool>(), 50usize..1500), 1..60)
}

fn offered(number: u32, is_ack: bool, len: usize) -> Bytes {
    let port = u8::try_from(number % 3).unwrap();
    let frame = if is_ack {
        ack(port, number)
    } else {
        text(number, len)
    };
    with_ecn(&frame, port)
}

fn check_conservation(wire: &Wire) {
    let c = wire.counters();
    let ended = c.delivered + c.lost + c.overflowed + c.policed + c.refused + c.cut_off + c.thinned;
    let held = u64::try_from(wire.held()).unwrap();
    assert_eq!(c.frames + c.duplicated, ended + held, "{c:?}");
}

/// Long after all that `configs` can hold back.
const END: Instant = Instant::from_millis(3_600_000);

proptest! {
    /// However often a wire is asked, the same frames come out at the same times.
    #[test]
    fn when_it_is_asked_does_not_matter(config in configs(), change in configs(), offers in offers()) {
        let (mut asked, mut left) = (wire(config.clone()), wire(config));
        let (mut got, mut now, mut number) = (Vec::new(), Instant::ZERO, 0);
        for (gap, is_ack, len) in offers {
            let next = now + Duration::from_nanos(gap);
            while let Some(due) = asked.next_due().filter(|&due| due <= next) {
                if due > now {
                    let before = ns(due.as_nanos() - 1);
                    prop_assert_eq!(asked.take_due(before), None, "before {:?}", due);
                }
                now = due.max(now);
                let frame = asked.take_due(due);
                prop_assert!(frame.is_some() || asked.next_due() != Some(due), "no progress");
                got.extend(frame);
                check_conservation(&asked);
            }
            now = next;
            for wire in [&mut asked, &mut left] {
                if number == 25 {
                    wire.set(now, change.clone());
                }
                wire.offer(now, offered(number, is_ack, len));
                check_conservation(wire);
            }
            number += 1;
        }
        got.extend(core::iter::from_fn(|| asked.take_due(END)));
        let lazy: Vec<_> = core::iter::from_fn(|| left.take_due(END)).collect();
        prop_assert_eq!(asked.counters(), left.counters());
        prop_assert!(lazy.is_sorted_by_key(|(at, _)| *at));
        prop_assert_eq!(got, lazy);
        prop_assert_eq!(asked.queued(END), left.queued(END));
    }

    /// Against the sums of a queue that anybody would write down.
    #[test]
    fn a_queue_is_that_of_a_naive_model(
        rate in 1_000_000u64..1_000_000_000,
        limit in 0usize..20_000,
        offers in offers(),
    ) {
        let config = WireConfig::perfect().rate(rate).queue(QueueLimit::Bytes(limit));
        let mut wire = wire(config.delay(millis(1)));
        let mut model: Vec<(u128, u128, usize)> = Vec::new();
        let (mut now, mut expected) = (Instant::ZERO, Vec::new());
        let scale = u128::from(rate);
        for (number, (gap, _, len)) in (0..).zip(offers) {
            now = now + Duration::from_nanos(gap);
            wire.offer(now, text(number, len));
            // In units of nanoseconds divided by the rate.
            let at = u128::from(now.as_nanos()) * scale;
            let waits: usize = model.iter().filter(|m| m.0 / scale > at / scale).map(|m| m.2).sum();
            let busy = model.last().map_or(0, |m| m.1);
            let begins = busy.max(at);
            if busy / scale > at / scale && waits + len > limit {
                continue;
            }
            let begins = if busy / scale == at / scale { busy.max(at) } else { begins };
            model.push((begins, begins + len as u128 * 8_000_000_000, len));
            expected.push(number);
        }
        let got = arrivals(&mut wire);
        prop_assert_eq!(got.iter().map(|(_, number)| *number).collect::<Vec<_>>(), expected);
        for (got, model) in got.iter().zip(&model) {
            let exact = u64::try_from(model.1 / scale).unwrap() + 1_000_000;
            prop_assert_eq!(got.0.as_nanos(), exact);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_outcome_and_another_one_another() {
    let run = |seed, label| {
        let config = WireConfig::perfect()
            .loss(Chance::percent(10))
            .jitter(millis(2))
            .corruption(Chance::percent(5));
        let mut wire = Wire::new(Medium::Ip, config, Seed::from_number(seed), label);
        (0..200).for_each(|number| wire.offer(Instant::ZERO, text(number, 60)));
        drain(&mut wire)
    };
    assert_eq!(run(1, "a"), run(1, "a"));
    assert_ne!(run(1, "a"), run(2, "a"));
    assert_ne!(run(1, "a"), run(1, "b"));
}
