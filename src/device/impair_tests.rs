use core::num::NonZeroU16;
use core::time::Duration;

use super::super::layout::samples::Tcp;
use super::super::{Chance, Displacement, Pair, PairRx, PairTx, QueueLimit};
use super::*;
use crate::link::{PartialChecksum, SegmentKind, Segmentation, TxMeta};

const PLAIN: TxMeta = TxMeta::PLAIN;

type Ends = ((ImpairRx<PairRx>, ImpairTx<PairTx>), (PairRx, PairTx));

/// An impaired end and the plain one that it talks to.
fn ends(seed: u64, sending: WireConfig, receiving: WireConfig, queue: usize) -> Ends {
    let (a, b) = Pair::new(Capabilities::full(Medium::Ip, 1500), queue);
    let bad = Impair::new(a, Seed::from_number(seed));
    assert!(!bad.capabilities().receives_super_segments && bad.capabilities().tso4);
    (bad.sending(sending).receiving(receiving).split(), b.split())
}

fn send(tx: &mut impl Transmit, now: Instant, bytes: &[u8]) -> Sent {
    tx.transmit(now, &TxFrame::new(bytes, &[], PLAIN)).unwrap()
}

fn take(rx: &mut impl Receive, now: Instant) -> Vec<Vec<u8>> {
    let mut batch = RxBatch::new(5000);
    rx.receive(now, &mut batch).unwrap();
    assert!(
        batch
            .frames()
            .iter()
            .all(|frame| frame.meta == RxMeta::new(now))
    );
    batch.drain().map(|frame| frame.data.to_vec()).collect()
}

/// Sends `count` numbered frames of 100 bytes at time zero and returns what arrives until `until`.
fn run(
    seed: u64,
    sending: WireConfig,
    count: u32,
    until: Instant,
) -> (Vec<Vec<u8>>, ImpairCounters) {
    let ((_rx, mut tx), (mut rx, _tx)) = ends(seed, sending, WireConfig::perfect(), 5000);
    for i in 0..count {
        let mut frame = vec![0; 96];
        frame.extend(i.to_be_bytes());
        assert_eq!(send(&mut tx, Instant::ZERO, &frame), Sent::Taken);
    }
    let mut got = take(&mut rx, Instant::ZERO);
    while let Some(due) = tx.poll(Instant::ZERO).unwrap().filter(|&due| due <= until) {
        tx.poll(due).unwrap();
        got.extend(take(&mut rx, due));
    }
    (got, tx.counters())
}

fn numbers(frames: &[Vec<u8>]) -> Vec<u32> {
    frames
        .iter()
        .map(|f| u32::from_be_bytes(f[96..].try_into().unwrap()))
        .collect()
}

#[test]
fn a_perfect_wire_changes_nothing() {
    let (got, counters) = run(1, WireConfig::perfect(), 500, Instant::ZERO);
    assert_eq!(numbers(&got), (0..500).collect::<Vec<_>>());
    assert_eq!(
        (counters.wire.frames, counters.wire.lost, counters.dropped),
        (500, 0, 0)
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let bad = WireConfig::perfect()
        .loss(Chance::percent(10))
        .duplication(Chance::percent(5))
        .corruption(Chance::percent(5))
        .reordering(
            Chance::percent(20),
            Displacement::Time(Duration::from_millis(2)),
        )
        .delay(Duration::from_millis(10))
        .jitter(Duration::from_millis(3))
        .rate(8_000_000);
    let one = run(7, bad.clone(), 900, Instant::FAR_FUTURE);
    assert_eq!(one, run(7, bad.clone(), 900, Instant::FAR_FUTURE));
    assert_ne!(one, run(8, bad, 900, Instant::FAR_FUTURE));
    let counters = one.1.wire;
    for (what, count) in [
        ("lost", counters.lost),
        ("duplicated", counters.duplicated),
        ("corrupted", counters.corrupted),
        ("reordered", counters.reordered),
    ] {
        assert!((20..300).contains(&count), "{what} {count}");
    }
    let arrived = counters.frames - counters.lost - counters.overflowed + counters.duplicated;
    assert_eq!(one.0.len(), usize::try_from(arrived).unwrap());
}

#[test]
fn each_impairment_does_what_it_says() {
    let always = Chance::percent(100);
    let end = Instant::FAR_FUTURE;
    assert!(
        run(1, WireConfig::perfect().loss(always), 50, end)
            .0
            .is_empty()
    );
    let twice = run(1, WireConfig::perfect().duplication(always), 50, end).0;
    assert_eq!(numbers(&twice), (0..100).map(|i| i / 2).collect::<Vec<_>>());
    let flipped = run(1, WireConfig::perfect().corruption(always), 50, end).0;
    for (i, frame) in (0u32..).zip(&flipped) {
        let mut sent = vec![0; 96];
        sent.extend(i.to_be_bytes());
        let bits: u32 = frame
            .iter()
            .zip(&sent)
            .map(|(a, b)| (a ^ b).count_ones())
            .sum();
        assert_eq!(bits, 1);
    }
    let some = WireConfig::perfect().reordering(
        Chance::percent(30),
        Displacement::Time(Duration::from_millis(1)),
    );
    let mut order = numbers(&run(1, some, 50, end).0);
    assert!(!order.is_sorted());
    order.sort_unstable();
    assert_eq!(order, (0..50).collect::<Vec<_>>(), "late, not lost");
}

#[test]
fn delay_and_rate_are_kept_to_the_nanosecond() {
    let slow = WireConfig::perfect()
        .delay(Duration::from_millis(10))
        .rate(800_000);
    let ((_rx, mut tx), (mut rx, _tx)) = ends(1, slow.clone(), WireConfig::perfect(), 99);
    for _ in 0..3 {
        assert_eq!(send(&mut tx, Instant::ZERO, &[0x45; 100]), Sent::Taken);
    }
    for millis in [11, 12, 13] {
        let due = Instant::from_millis(millis);
        assert_eq!(
            tx.poll(Instant::from_nanos(due.as_nanos() - 1)).unwrap(),
            Some(due)
        );
        assert_eq!(take(&mut rx, due).len(), 0);
        let _ = tx.poll(due).unwrap();
        assert_eq!(take(&mut rx, due).len(), 1);
    }
    assert_eq!(tx.poll(Instant::FAR_FUTURE).unwrap(), None);
    let short = slow.queue(QueueLimit::Frames(10));
    let (got, counters) = run(1, short, 30, Instant::FAR_FUTURE);
    assert_eq!((got.len(), counters.wire.overflowed), (11, 19));
}

#[test]
fn received_frames_are_held_back_too() {
    let late = WireConfig::perfect().delay(Duration::from_millis(5));
    let ((mut rx, _tx), (far_rx, mut far_tx)) = ends(1, WireConfig::perfect(), late, 99);
    assert_eq!(send(&mut far_tx, Instant::ZERO, &[1; 40]), Sent::Taken);
    assert!(take(&mut rx, Instant::ZERO).is_empty());
    assert_eq!(rx.next_ready(), Some(Instant::from_millis(5)));
    drop((far_rx, far_tx));
    assert!(
        take(&mut rx, Instant::from_millis(4)).is_empty(),
        "not yet the end"
    );
    assert_eq!(take(&mut rx, Instant::from_millis(5)), [[1; 40]]);
    let mut batch = RxBatch::new(1);
    let end = rx.receive(Instant::from_millis(5), &mut batch);
    assert!(matches!(end, Err(DeviceError::Closed)));
}

/// A super-segment of 9000 bytes of text with a partial checksum.
fn super_segment(tcp: &Tcp) -> (Vec<u8>, Bytes, TxMeta) {
    let mut headers = tcp.headers();
    let layout = Layout::of(Medium::Ip, &headers).unwrap();
    let len = u16::try_from(20 + tcp.payload.len()).unwrap();
    let pseudo = layout.pseudo_sum(&headers, len).partial();
    headers[layout.l4 + 16..layout.l4 + 18].copy_from_slice(&pseudo.to_be_bytes());
    let partial = PartialChecksum {
        start: u16::try_from(layout.l4).unwrap(),
        offset: 16,
    };
    let size = NonZeroU16::new(1000).unwrap();
    let kind = SegmentKind::Tcp4;
    let meta = TxMeta::offload(partial, Some(Segmentation { kind, size }));
    (headers, Bytes::from(tcp.payload.clone()), meta)
}

#[test]
fn both_ways_only_whole_wire_frames_pass() {
    let tcp = Tcp::new(Medium::Ip, false, &[0x77; 9000]);
    let (headers, payload, meta) = super_segment(&tcp);
    let payload = [payload];
    for segment in [meta.segment, None] {
        let mut meta = meta;
        meta.segment = segment;
        let none = WireConfig::perfect();
        let (a, b) = Pair::new(Capabilities::full(Medium::Ip, 10_000), 99);
        let mut near = Impair::new(a, Seed::from_number(1)).sending(none).split();
        let mut far = b.split();
        let frame = TxFrame::new(&headers, &payload, meta);
        assert_eq!(near.1.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
        assert_eq!(far.1.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
        let sent = take(&mut far.0, Instant::ZERO);
        let received = take(&mut near.0, Instant::ZERO);
        assert_eq!(sent, received);
        assert_eq!(sent.len(), if segment.is_some() { 9 } else { 1 });
        for frame in sent {
            let layout = Layout::of(Medium::Ip, &frame).unwrap();
            assert!(layout.checksum_is_right(&frame));
        }
    }
}

#[test]
fn a_full_device_behind_loses_nothing() {
    let ((_rx, mut tx), (mut rx, _tx)) = ends(1, WireConfig::perfect(), WireConfig::perfect(), 4);
    let tcp = Tcp::new(Medium::Ip, false, &[0x77; 9000]);
    let (headers, payload, meta) = super_segment(&tcp);
    let payload = [payload];
    let frame = TxFrame::new(&headers, &payload, meta);
    assert_eq!(tx.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
    assert!(tx.wants_room());
    assert_eq!(
        tx.poll(Instant::ZERO).unwrap(),
        None,
        "room, not time, is missing"
    );
    assert_eq!(tx.transmit(Instant::ZERO, &frame).unwrap(), Sent::Full);
    let mut got = 0;
    for _ in 0..3 {
        got += take(&mut rx, Instant::ZERO).len();
        tx.poll(Instant::ZERO).unwrap();
    }
    assert_eq!(got, 9);
    assert!(!tx.wants_room());
}

#[test]
fn a_wire_is_changed_while_it_runs() {
    let (a, b) = Pair::new(Capabilities::full(Medium::Ip, 1500), 9);
    let still = || WireConfig::perfect().rate(0);
    let bad = Impair::new(a, Seed::from_number(1))
        .sending(still())
        .receiving(still());
    let control = bad.control();
    let ((mut rx, mut tx), (mut far_rx, mut far_tx)) = (bad.split(), b.split());
    let ms = Instant::from_millis;
    assert_eq!(send(&mut tx, ms(0), &[1; 40]), Sent::Taken);
    assert_eq!(send(&mut far_tx, ms(0), &[2; 40]), Sent::Taken);
    assert!(take(&mut rx, ms(0)).is_empty());
    // Who can change it makes it look, though nothing is due.
    assert_eq!(rx.next_ready(), Some(ms(1)));
    assert_eq!(tx.poll(ms(1)).unwrap(), Some(ms(2)));
    std::thread::spawn(move || {
        control.set_sending(WireConfig::perfect().loss(Chance::ALWAYS));
        control.set_sending(WireConfig::perfect());
        control.set_receiving(WireConfig::perfect());
    })
    .join()
    .unwrap();
    assert_eq!(tx.poll(ms(2)).unwrap(), None);
    assert_eq!(take(&mut far_rx, ms(2)), [[1; 40]]);
    assert_eq!(take(&mut rx, ms(2)), [[2; 40]]);
    assert_eq!(rx.next_ready(), None);
}

/// A device that never runs dry.
struct Flood(u64);

impl Receive for Flood {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let room = batch.room();
        for _ in 0..room {
            self.0 += 1;
            assert!(self.0 < 1 << 20, "one call never ends");
            batch.push(RxFrame::new(vec![0x45; 40].into(), RxMeta::new(now)));
        }
        Ok(room)
    }
}

#[test]
fn a_call_ends_though_the_device_behind_never_runs_dry() {
    let (a, _b) = Pair::new(Capabilities::full(Medium::Ip, 1500), 9);
    let slow = WireConfig::perfect().delay(Duration::from_millis(10));
    let (rx, _tx) = Impair::new(a, Seed::from_number(1)).receiving(slow).split();
    let ImpairRx { batch, line, .. } = rx;
    let (inner, behind) = (Flood(0), false);
    let mut rx = ImpairRx {
        inner,
        batch,
        behind,
        line,
    };
    let at = Instant::from_millis(3);
    assert!(take(&mut rx, at).is_empty());
    assert!(rx.inner().0 > 0);
    assert_eq!(
        rx.next_ready(),
        Some(at),
        "it is to be called again at once"
    );
    assert!(!take(&mut rx, Instant::from_millis(13)).is_empty());
}

/// Each of them is a frame on the wire, and written by itself.
#[test]
fn super_segments_cost_their_frames_whatever_the_device_behind_can_do() {
    let (a, _b) = Pair::new(Capabilities::full(Medium::Ip, 1500), 9);
    let bad = Impair::new(a, Seed::from_number(1));
    let size = NonZeroU16::new(1448).unwrap();
    for kind in [SegmentKind::Tcp4, SegmentKind::Tcp6, SegmentKind::Udp] {
        let segment = Some(Segmentation { kind, size });
        assert_eq!(bad.capabilities().cost(45 * 1448, segment), 45);
    }
}
