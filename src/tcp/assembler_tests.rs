use super::*;
use proptest::prelude::*;

fn text(start: u64, len: usize) -> Bytes {
    (start..start + len as u64)
        .map(|at| (at % 251) as u8)
        .collect::<Vec<u8>>()
        .into()
}

proptest! {
    /// Against a naive model: a set of bytes.
    #[test]
    fn holds_what_a_set_of_bytes_would(
        offers in prop::collection::vec((1u64..200, 1usize..60), 1..60), next in 1u64..260,
    ) {
        let mut assembler = Assembler::default();
        let mut model = std::collections::BTreeSet::new();
        for (start, len) in offers {
            let offered = assembler.offer(start, &text(start, len));
            let before = model.len();
            model.extend(start..start + len as u64);
            let duplicate = model.len() == before;
            prop_assert_eq!(offered == Offered::Duplicate, duplicate);
            prop_assert_eq!(assembler.len(), model.len());
            assembler.check(0, 1000);
            let (left, right) = assembler.blocks(usize::MAX).next().unwrap();
            prop_assert!(left <= start && start + len as u64 <= right, "newest first");
            prop_assert!(!model.contains(&right) && !model.contains(&(left - 1)));
        }
        let taken = assembler.take(next).concat();
        let expected: Vec<u64> =
            (next..).take_while(|offset| model.contains(offset)).collect();
        prop_assert_eq!(taken.len(), expected.len());
        prop_assert_eq!(taken, expected.iter().map(|at| (at % 251) as u8).collect::<Vec<_>>());
        prop_assert!(assembler.runs.keys().all(|&start| start > next));
        let pieces: usize = assembler.runs.values().map(|run| run.pieces.len()).sum();
        prop_assert_eq!(assembler.pieces, pieces);
    }
}

/// CVE-2018-5390: the order that made each byte move all that was held before.
#[test]
fn r40_joining_runs_moves_the_shorter() {
    let mut assembler = Assembler::default();
    let most = Assembler::MAX_PIECES as u64;
    // From the far end to the near one, every second byte, then what is between, the same way.
    for at in (0..most / 2).rev() {
        assembler.offer(10 + 2 * at, &text(10 + 2 * at, 1));
    }
    assert_eq!(assembler.runs.len() as u64, most / 2);
    for at in (0..most / 2).rev() {
        assembler.offer(11 + 2 * at, &text(11 + 2 * at, 1));
    }
    assert_eq!((assembler.runs.len(), assembler.pieces as u64), (1, most));
    assert_eq!(assembler.take(10).concat(), text(10, most as usize));
}

#[test]
fn r40_a_text_over_many_gaps_is_bounded() {
    let mut assembler = Assembler::default();
    for at in 0..Assembler::MAX_PIECES as u64 - 1 {
        assembler.offer(10 + 2 * at, &text(10 + 2 * at, 1));
    }
    let all = text(10, 2 * Assembler::MAX_PIECES);
    assert_eq!(assembler.offer(10, &all), Offered::Held);
    assert!(assembler.pieces <= 2 * Assembler::MAX_PIECES);
    assert_eq!(assembler.offer(10_000_000, &all), Offered::Full);
    assert_eq!(assembler.take(10).concat(), all);
}

/// Gaps that are filled, nearer ones in the place of what was farthest, those filled, and so on.
#[test]
fn r40_what_fills_gaps_again_and_again_is_bounded() {
    let mut assembler = Assembler::default();
    let most = Assembler::MAX_PIECES as u64;
    for apart in (0..10).rev() {
        let from = 10 + 8 * most * apart;
        for at in (0..4 * most).map(|at| from + 2 * at) {
            assembler.offer(at, &text(at, 1));
        }
        for at in (0..8 * most).step_by(1000).map(|at| from + at) {
            assembler.offer(at, &text(at, 1000));
        }
        assert!(
            assembler.pieces <= 2 * Assembler::MAX_PIECES,
            "{}",
            assembler.pieces
        );
    }
}

#[test]
fn r40_a_full_queue_drops_the_farthest() {
    let mut assembler = Assembler::default();
    for at in 0..Assembler::MAX_PIECES as u64 {
        assert_eq!(assembler.offer(1000 + 2 * at, &text(1, 1)), Offered::Held);
    }
    let farthest = 1000 + 2 * Assembler::MAX_PIECES as u64;
    assert_eq!(assembler.offer(farthest, &text(1, 1)), Offered::Full);
    assert_eq!(assembler.offer(10, &text(10, 5)), Offered::Held);
    assert_eq!(assembler.pieces, Assembler::MAX_PIECES);
    assert_eq!(assembler.take(10).concat(), text(10, 5));
}

/// One hole at the front of a gigabit and 100 ms: 8600 segments wait behind it.
#[test]
fn a_window_of_full_segments_is_held_whole() {
    for size in [536, 1448] {
        let segment = text(0, size);
        let mut assembler = Assembler::default();
        let at = |number: u64| 10 + number * size as u64;
        for number in 0..10_000 {
            let held = assembler.offer(at(number), &segment);
            assert_eq!(held, Offered::Held, "{number} of {size}");
        }
        assert_eq!((assembler.pieces, assembler.len), (10_000, 10_000 * size));
        // What they pay for is not without end.
        let most = assembler.len / TEXT_PER_PIECE;
        let beyond = at(10_000) + 1;
        let mut floods = (0..).map(|number| beyond + 2 * number).take(2 * most);
        assert!(floods.any(|at| assembler.offer(at, &text(at, 1)) == Offered::Full));
        assert!(
            assembler.pieces <= most + most / 100,
            "{}",
            assembler.pieces
        );
    }
}

/// What a peer made us hold is not walked again for each segment, however often it is cooled.
#[test]
fn cooling_again_looks_at_what_is_new_only() {
    let buffer = Bytes::from(vec![7; 2000]);
    for (size, apart, looks) in [(1, 2, 0), (1100, 1100, 4000), (1100, 2200, 4000)] {
        let mut assembler = Assembler::default();
        for n in 0..4000u64 {
            let text = buffer.slice(..size);
            assert_eq!(assembler.offer(1 + n * apart, &text), Offered::Held);
            assert!(assembler.compact(Reach::All, 1 << 20));
            assembler.cool();
        }
        assert_eq!(assembler.looked_at, looks, "{size} of each {apart}");
        assert!(buffer.is_unique() || size < COPY_BREAK);
    }
}

/// Pieces that come and go before they are cooled leave nothing behind.
#[test]
fn what_is_to_be_copied_is_bounded() {
    let buffer = Bytes::from(vec![7; 2000]);
    let mut assembler = Assembler::default();
    for n in 0..10_000u64 {
        assembler.offer(10 + n * 2000, &buffer);
        if n > 1 {
            assembler.take(10 + (n - 1) * 2000);
        }
    }
    assert!(assembler.loose.len() <= MAX_LOOSE);
    assert!(assembler.compact(Reach::Small, 1 << 20));
    assert!(buffer.is_unique());
}

#[test]
fn what_is_compacted_pins_nothing() {
    let buffer = Bytes::from(vec![7; 300_000]);
    let mut assembler = Assembler::default();
    for at in 0..10u64 {
        assembler.offer(1 + 4000 * at, &buffer.slice(0..2000));
    }
    assert!(!assembler.compact(Reach::Small, 9000) && !buffer.is_unique());
    assert!(assembler.compact(Reach::Small, 90_000) && buffer.is_unique());
    assembler.offer(2001, &buffer.slice(0..1500));
    assert!(!buffer.is_unique());
    assert!(assembler.compact(Reach::Small, 90_000) && buffer.is_unique());
    assembler.offer(100_000, &buffer.slice(0..40_000));
    assert!(assembler.compact(Reach::Small, 90_000) && !buffer.is_unique());
    assert!(assembler.compact(Reach::All, 90_000) && buffer.is_unique());
    assert_eq!(assembler.take(1).concat(), vec![7; 3500]);
}
