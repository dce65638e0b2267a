use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::base::Seed;

const MIB: usize = 1 << 20;

fn reassembly(bytes: usize, datagrams: usize) -> Reassembly<u8> {
    let config = Config::new(Seed::from_number(1));
    Reassembly::new(
        &config
            .reassembly_bytes(bytes)
            .reassembly_datagrams(datagrams),
    )
}

fn key(sender: u8, id: u32) -> Key {
    Key {
        on: InterfaceId::from_index(0),
        src: IpAddr::from([10, 0, 0, sender]),
        dst: IpAddr::from([10, 0, 0, 1]),
        protocol: Protocol::UDP,
        id,
    }
}

/// The same over IPv6, from this address.
fn key6(src: &str, id: u32) -> Key {
    Key {
        src: src.parse().unwrap(),
        dst: "fd00::1".parse().unwrap(),
        protocol: Protocol(0),
        ..key(2, id)
    }
}

/// The byte at each place of every datagram here.
fn text(range: core::ops::Range<usize>) -> Bytes {
    let byte = |at: usize| u8::try_from(at * 7 % 251).unwrap();
    range.map(byte).collect()
}

fn piece(range: core::ops::Range<usize>, more: bool) -> Piece<u8> {
    Piece {
        offset: range.start,
        more,
        head: (range.start == 0).then_some(9),
        data: text(range),
        ecn: 0,
    }
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn whole(outcome: Taken<u8>) -> Option<Vec<u8>> {
    match outcome {
        Taken::Whole(whole) => {
            assert_eq!(whole.head, 9);
            Some(whole.pieces.concat())
        }
        Taken::Held | Taken::Dropped { .. } => None,
    }
}

fn reason(outcome: &Taken<u8>) -> Option<(DropReason, usize)> {
    match *outcome {
        Taken::Dropped { reason, pieces } => Some((reason, pieces)),
        Taken::Held | Taken::Whole(_) => None,
    }
}

/// Covers: IP4-24, IP4-29
#[test]
fn pieces_of_several_datagrams_come_together_in_any_order() {
    let mut all = reassembly(4 * MIB, 1024);
    let ranges = [0..1480, 1480..2960, 2960..3000];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        for (nth, &one) in order.iter().enumerate() {
            for id in [7, 8] {
                let range = ranges[one].clone();
                let got = whole(all.add(at(0), 0, key(2, id), piece(range, one != 2)));
                let wanted = (nth == 2).then(|| text(0..3000).to_vec());
                assert_eq!(got, wanted, "{order:?}");
            }
        }
        assert_eq!(all.held(), 0);
    }
}

/// What tells two datagrams apart: each field of the key.
#[test]
fn a_piece_joins_its_own_datagram_alone() {
    let first = key(2, 7);
    let others = [
        Key {
            on: InterfaceId::from_index(1),
            ..first
        },
        Key {
            src: IpAddr::from([10, 0, 0, 3]),
            ..first
        },
        Key {
            dst: IpAddr::from([10, 0, 0, 9]),
            ..first
        },
        Key {
            protocol: Protocol::ICMP,
            ..first
        },
        Key { id: 8, ..first },
    ];
    for other in others {
        let mut all = reassembly(4 * MIB, 1024);
        assert!(whole(all.add(at(0), 0, first, piece(0..1480, true))).is_none());
        assert!(whole(all.add(at(0), 0, other, piece(1480..2000, false))).is_none());
        assert!(whole(all.add(at(0), 0, first, piece(1480..2000, false))).is_some());
    }
}

fn other_text(range: core::ops::Range<usize>, more: bool) -> Piece<u8> {
    let data = Bytes::from(vec![0xee; range.len()]);
    Piece {
        data,
        ..piece(range, more)
    }
}

/// Covers: IP6-21
#[test]
fn an_overlap_drops_the_datagram_and_what_is_still_to_come() {
    let first = || piece(0..1480, true);
    let second = || piece(1480..2960, true);
    let last = || piece(2960..3000, false);
    let cases = [
        ("into the one before", first(), piece(1472..2000, true)),
        ("into the one behind", second(), piece(0..1488, true)),
        ("inside another", first(), piece(8..16, true)),
        ("around another", second(), piece(8..2968, true)),
        ("shorter, at its place", first(), piece(0..800, true)),
        ("longer, at its place", first(), piece(0..1488, true)),
        (
            "another text at its place",
            first(),
            other_text(0..1480, true),
        ),
        ("behind the end", last(), piece(3000..3008, true)),
        ("another end", last(), piece(3000..3008, false)),
        ("an end before the end", last(), piece(1480..1488, false)),
        (
            "an end before what is there",
            second(),
            piece(0..1480, false),
        ),
        (
            "the end as one in the middle",
            last(),
            piece(2960..3000, true),
        ),
    ];
    for (what, held, overlap) in cases {
        let mut all = reassembly(4 * MIB, 1024);
        let key = |_, id| key6("fd00::2", id);
        assert_eq!(reason(&all.add(at(0), 0, key(2, 1), held)), None, "{what}");
        let dropped = all.add(at(1), 0, key(2, 1), overlap);
        assert_eq!(
            reason(&dropped),
            Some((DropReason::FragmentOverlap, 2)),
            "{what}"
        );
        for late in [first(), second(), last()] {
            let late = all.add(at(2), 0, key(2, 1), late);
            assert_eq!(
                reason(&late),
                Some((DropReason::FragmentOverlap, 1)),
                "{what}"
            );
        }
        assert_eq!(all.held(), DATAGRAM_COST, "{what}");
        assert!(
            all.expire(at(60))
                .is_some_and(|lost| lost.pieces == 0 && lost.head.is_none())
        );
        let anew = [first(), second(), last()].map(|piece| all.add(at(60), 0, key(2, 1), piece));
        assert!(
            anew.into_iter().any(|outcome| whole(outcome).is_some()),
            "{what}"
        );
    }
}

/// Identifications come round within the lifetime: a fragment that was lost costs its successor nothing but itself.
///
/// Covers: IP4-31
#[test]
fn an_overlap_in_ipv4_drops_what_is_there_and_poisons_no_identification() {
    let mut all = reassembly(4 * MIB, 1024);
    let parts = || {
        [
            piece(0..1480, true),
            piece(1480..2960, true),
            piece(2960..3000, false),
        ]
    };
    let [_, second, _] = parts();
    let _ = all.add(at(0), 0, key(2, 1), second);
    let dropped = all.add(at(1), 0, key(2, 1), piece(1472..2000, true));
    assert_eq!(
        reason(&dropped),
        Some((DropReason::FragmentOverlap, 2)),
        "both"
    );
    assert_eq!((all.held(), all.deadline()), (0, None));
    let anew = parts().map(|piece| all.add(at(2), 0, key(2, 1), piece));
    let [_, _, last] = anew;
    assert_eq!(whole(last).unwrap(), text(0..3000));
}

/// Covers: IP6-25
#[test]
fn an_exact_duplicate_changes_nothing() {
    let mut all = reassembly(4 * MIB, 1024);
    for again in [
        piece(1480..2960, true),
        piece(2960..3000, false),
        piece(0..8, true),
    ] {
        let copy = again.clone();
        assert_eq!(reason(&all.add(at(0), 0, key(2, 1), again)), None);
        let held = all.held();
        let dropped = all.add(at(0), 0, key(2, 1), copy);
        assert_eq!(reason(&dropped), Some((DropReason::FragmentDuplicate, 1)));
        assert_eq!(all.held(), held);
    }
    let last = all.add(at(0), 0, key(2, 1), piece(8..1480, true));
    assert_eq!(whole(last).unwrap(), text(0..3000));
}

/// Covers: IP4-27, IP6-16
#[test]
fn a_datagram_is_given_up_sixty_seconds_after_its_first_piece() {
    let mut all = reassembly(4 * MIB, 1024);
    assert_eq!(all.deadline(), None);
    let _ = all.add(at(1), 0, key(2, 1), piece(8..16, true));
    let _ = all.add(at(2), 0, key(2, 2), piece(0..8, true));
    let _ = all.add(at(50), 0, key(2, 1), piece(16..24, true));
    assert_eq!(all.deadline(), Some(at(61)));
    assert!(all.expire(at(60) + Duration::from_millis(999)).is_none());
    let lost = all.expire(at(61)).unwrap();
    assert_eq!((lost.head, lost.pieces), (None, 2));
    assert!(all.expire(at(61)).is_none());
    let lost = all.expire(at(62)).unwrap();
    assert_eq!((lost.head, lost.pieces), (Some(9), 1));
    assert_eq!((all.deadline(), all.held()), (None, 0));
}

/// The oldest give way; a sender who takes more than a quarter loses his own.
///
/// Covers: IP4-32
#[test]
fn who_sends_much_loses_his_own_oldest_first() {
    let mut all = reassembly(4 * MIB, 64);
    let _ = all.add(at(0), 0, key(2, 1), piece(0..1480, true));
    for id in 0..40 {
        let _ = all.add(at(1), 0, key(3, id), piece(0..1480, true));
    }
    assert_eq!(all.take_evicted(), 40 - 16);
    // The newest sixteen are complete with their ends, the oldest is not.
    let ends = |all: &mut Reassembly<u8>, id| {
        whole(all.add(at(2), 0, key(3, id), piece(1480..1488, false))).is_some()
    };
    assert!((24..40).all(|id| ends(&mut all, id)));
    assert!(!ends(&mut all, 23));
    assert!(whole(all.add(at(2), 0, key(2, 1), piece(1480..1488, false))).is_some());
}

/// All addresses of a /64 are one sender's; link-local ones are neighbours'.
#[test]
fn a_prefix_has_one_share() {
    for (net, kept, senders) in [("2001:db8:1:2", 16, 1), ("fe80", 40, 40)] {
        let mut all = reassembly(4 * MIB, 64);
        let other = key6("2001:db8:1:3::1", 1);
        let _ = all.add(at(0), 0, other, piece(0..1480, true));
        for host in 1..=40 {
            let key = key6(&format!("{net}::{host:x}"), 1);
            let _ = all.add(at(1), 0, key, piece(0..1480, true));
        }
        let held = (all.datagrams.len(), all.senders.len());
        assert_eq!(held, (kept + 1, senders + 1), "{net}");
        assert!(whole(all.add(at(2), 0, other, piece(1480..1488, false))).is_some());
    }
}

/// A quarter of few is one still.
#[test]
fn where_few_datagrams_may_wait_one_does() {
    for most in 1..8 {
        let mut all = reassembly(4 * MIB, most);
        let _ = all.add(at(0), 0, key(2, 1), piece(0..1480, true));
        let last = all.add(at(0), 0, key(2, 1), piece(1480..1488, false));
        assert!(whole(last).is_some(), "{most}");
    }
}

/// Nor does its share of bytes take a sender's only datagram: the bound of all does.
///
/// Covers: IP4-32
#[test]
fn one_datagram_may_have_all_the_bytes() {
    for (most, kept) in [(128 << 10, true), (32 << 10, false)] {
        let mut all = reassembly(most, 1024);
        let mut last = None;
        for start in (0..40_000).step_by(1480) {
            let end = 40_000.min(start + 1480);
            last = Some(all.add(at(0), 0, key(2, 1), piece(start..end, end < 40_000)));
            assert!(all.held() <= most);
        }
        assert_eq!(whole(last.unwrap()).is_some(), kept, "{most}");
    }
    // Two are several: the older one gives way.
    let mut all = reassembly(128 << 10, 1024);
    for id in [1, 2] {
        for nth in 0..12 {
            let range = nth * 1480..(nth + 1) * 1480;
            let _ = all.add(at(0), 0, key(2, id), piece(range, true));
        }
    }
    assert_eq!((all.datagrams.len(), all.take_evicted()), (1, 12));
}

/// Those of which nothing more is taken go first, whoever is older; no index remembers one that is gone.
#[test]
fn what_is_spoiled_gives_way_first() {
    for own in [true, false] {
        let most = if own { 16 } else { 4 };
        let mut all = reassembly(4 * MIB, most);
        let from = |n: u32| key6(&format!("fd0{}::2", if own { 0 } else { n }), n);
        for n in 1..=3 {
            let _ = all.add(at(0), 0, from(n), piece(0..1480, true));
        }
        let spoilt = all.add(at(0), 0, from(2), piece(8..16, true));
        assert_eq!(reason(&spoilt), Some((DropReason::FragmentOverlap, 2)));
        for n in 4..=5 {
            let _ = all.add(at(0), 0, from(n), piece(0..1480, true));
        }
        assert_eq!(all.take_evicted(), 0, "it had no pieces");
        assert!(!all.datagrams.contains_key(&from(2)) && all.datagrams.contains_key(&from(1)));
        assert!(all.spoiled.is_empty() && all.spoiled_by_sender.is_empty());
        let again = all.add(at(1), 0, from(1), piece(8..16, true));
        assert!(reason(&again).is_some() && all.spoiled.len() == 1);
        while all.expire(at(70)).is_some() {}
        assert!(all.spoiled.is_empty() && all.spoiled_by_sender.is_empty());
    }
}

/// In IPv4 the next datagram may have the same Identification: 257 pieces shut it no more than two that overlap.
#[test]
fn too_many_pieces_in_ipv4_poison_no_identification() {
    let mut all = reassembly(4 * MIB, 1024);
    for nth in 0..=PIECES {
        let _ = all.add(at(0), 0, key(2, 1), piece(nth * 8..nth * 8 + 8, true));
    }
    let _ = all.add(at(0), 0, key(2, 1), piece(0..1480, true));
    let last = all.add(at(0), 0, key(2, 1), piece(1480..1488, false));
    assert!(whole(last).is_some());
}

#[test]
fn of_many_senders_the_oldest_datagram_gives_way() {
    let mut all = reassembly(4 * MIB, 64);
    for sender in 0..100 {
        let _ = all.add(at(0), 0, key(sender, 1), piece(0..1480, true));
    }
    assert_eq!((all.take_evicted(), all.datagrams.len()), (36, 64));
    assert!(whole(all.add(at(2), 0, key(99, 1), piece(1480..1488, false))).is_some());
    assert!(whole(all.add(at(2), 0, key(0, 1), piece(1480..1488, false))).is_none());
}

#[test]
fn bytes_are_bounded_with_what_holding_them_costs() {
    let mut all = reassembly(MIB, 1 << 20);
    for id in 0..10_000_u32 {
        let sender = u8::try_from(id % 200).unwrap();
        let _ = all.add(at(0), 0, key(sender, id), piece(0..8, true));
        assert!(all.held() <= MIB);
    }
    assert!(all.held() > MIB * 9 / 10);
    while all.expire(at(60)).is_some() {}
    assert_eq!(
        (all.held(), all.senders.len(), all.by_sender.len()),
        (0, 0, 0)
    );
}

/// Tiny pieces: a datagram of more than any link makes.
#[test]
fn a_datagram_has_so_many_pieces() {
    let mut all = reassembly(4 * MIB, 1024);
    for nth in 0..PIECES {
        let outcome = all.add(at(0), 0, key(2, 1), piece(nth * 8..nth * 8 + 8, true));
        assert_eq!(reason(&outcome), None);
    }
    let beyond = all.add(at(0), 0, key(2, 1), piece(PIECES * 8..PIECES * 8 + 8, true));
    assert_eq!(
        reason(&beyond),
        Some((DropReason::FragmentLimit, PIECES + 1))
    );
}

/// What waits long keeps no chunk of 256 KiB from being used again.
#[test]
fn what_waits_is_copied_when_much_has_come_since() {
    let mut all = reassembly(4 * MIB, 1024);
    let chunk = Bytes::from(vec![1; 256 << 10]);
    let long = Piece {
        data: chunk.slice(0..1480),
        ..piece(0..1480, true)
    };
    let _ = all.add(at(0), 1000, key(2, 1), long);
    let pinned =
        |all: &Reassembly<u8>| all.datagrams[&key(2, 1)].pieces.first().as_ptr() == chunk.as_ptr();
    all.unpin(1000 + PINNED - 1);
    assert!(pinned(&all));
    all.unpin(1000 + PINNED);
    assert!(!pinned(&all));
    assert!(all.pinning.is_empty());
}

#[test]
fn the_mark_of_one_is_the_mark_of_all() {
    // RFC 3168 §5.3: by the fields of three pieces.
    let cases = [
        ([0, 0, 0], Some(0)),
        ([2, 2, 2], Some(2)),
        ([1, 1, 1], Some(1)),
        ([2, 3, 2], Some(3)),
        ([3, 1, 2], Some(3)),
        ([0, 2, 2], Some(0)),
        ([0, 3, 0], None),
        ([2, 3, 0], None),
    ];
    for (fields, wanted) in cases {
        let mut all = reassembly(4 * MIB, 1024);
        let ranges = [0..1480, 1480..2960, 2960..3000];
        let mut last = None;
        for ((ecn, range), more) in fields.into_iter().zip(ranges).zip([true, true, false]) {
            let piece = Piece {
                ecn,
                ..piece(range, more)
            };
            last = Some(all.add(at(0), 0, key(2, 1), piece));
        }
        match (last.unwrap(), wanted) {
            (Taken::Whole(whole), Some(ecn)) => assert_eq!(whole.ecn, ecn, "{fields:?}"),
            (outcome, None) => {
                assert_eq!(
                    reason(&outcome),
                    Some((DropReason::FragmentEcn, 3)),
                    "{fields:?}"
                );
            }
            (outcome, Some(_)) => panic!("{fields:?}: {outcome:?}"),
        }
    }
}

/// The naive one: a map from each byte to its value, and the pieces that came.
#[derive(Default)]
struct Naive {
    bytes: BTreeMap<usize, u8>,
    came: Vec<(usize, usize, bool)>,
    end: Option<usize>,
    spoiled: bool,
}

impl Naive {
    fn add(&mut self, start: usize, end: usize, more: bool) -> Option<bool> {
        if self.spoiled {
            return None;
        }
        if self.came.contains(&(start, end, more)) {
            return None;
        }
        let taken = (start..end).any(|at| self.bytes.contains_key(&at));
        let beyond = self.end.is_some_and(|known| end > known || !more);
        let short = !more && self.bytes.keys().any(|&at| at >= end);
        if taken || beyond || short {
            self.spoiled = true;
            return None;
        }
        self.came.push((start, end, more));
        self.bytes.extend((start..end).map(|at| (at, 0)));
        if !more {
            self.end = Some(end);
        }
        Some(self.end == Some(self.bytes.len()))
    }
}

proptest! {
    /// Pieces cut anywhere, twice, in any order: what a map of bytes says.
    #[test]
    fn pieces_are_what_a_map_of_bytes_is(
        mut units in proptest::collection::vec((0..12_usize, 1..5_usize, any::<bool>()), 1..20),
        shuffled in any::<bool>(),
    ) {
        if !shuffled {
            units.sort_unstable();
        }
        let mut all = reassembly(4 * MIB, 1024);
        let mut naive = Naive::default();
        for (start, len, last) in units {
            let (start, end, more) = (start * 8, (start + len) * 8, !last || start < 8);
            let outcome = all.add(at(0), 0, key6("fd00::2", 1), piece(start..end, more));
            match naive.add(start, end, more) {
                None => prop_assert!(reason(&outcome).is_some()),
                Some(false) => prop_assert!(matches!(outcome, Taken::Held)),
                Some(true) => {
                    prop_assert_eq!(whole(outcome), Some(text(0..end_of(&naive)).to_vec()));
                    break;
                }
            }
        }
    }
}

fn end_of(naive: &Naive) -> usize {
    naive.bytes.len()
}
