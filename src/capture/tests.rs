//! Round trips, odd files, full disks, slow disks.

#![allow(clippy::too_many_lines, clippy::type_complexity)] // tables

use std::io::{self, Write};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use pcap_file::pcapng::blocks::interface_statistics::InterfaceStatisticsOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;

use super::*;
use crate::base::Instant;
use crate::device::{
    Capabilities, Device, DeviceDrop, DeviceError, Medium, Receive, RxBatch, Sent, Transmit,
};
use crate::link::{RxFrame, RxMeta, TxFrame, TxMeta};

const EPOCH: u64 = 1_700_000_000_000_000_123;

fn settings() -> CaptureSettings {
    CaptureSettings::new(SystemTime::UNIX_EPOCH + Duration::from_nanos(EPOCH))
}

/// A file that a test can look into while a thread writes it.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<u8>>>);

impl Shelf {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read(file: &[u8]) -> (Vec<Frame>, Counts, Ended) {
    let mut reader = Reader::new(file);
    let frames = reader.by_ref().collect();
    let counts = reader.counts();
    (frames, counts, reader.ended.take().expect("it has ended"))
}

impl<R: io::Read> Reader<R> {
    /// Frames, counts and end of an odd source.
    fn drained(mut self) -> (usize, Counts, Ended) {
        let frames = self.by_ref().count();
        let counts = self.counts();
        (frames, counts, self.ended.take().expect("it has ended"))
    }
}

#[derive(Clone, Debug)]
struct Sample {
    at: u64,
    direction: Direction,
    head: Vec<u8>,
    payload: Vec<Vec<u8>>,
}

fn sample() -> impl Strategy<Value = Sample> {
    let bytes = |most| proptest::collection::vec(any::<u8>(), 0..most);
    (
        0..u64::MAX / 4,
        any::<bool>(),
        bytes(90),
        proptest::collection::vec(bytes(700), 0..4),
    )
        .prop_map(|(at, inbound, head, payload)| Sample {
            at,
            direction: if inbound {
                Direction::Inbound
            } else {
                Direction::Outbound
            },
            head,
            payload,
        })
}

fn encode(samples: &[Sample], settings: &CaptureSettings) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), settings).unwrap();
    let on = writer.interface(LinkType::RAW, "tun7").unwrap();
    for sample in samples {
        let payload: Vec<Bytes> = sample.payload.iter().cloned().map(Bytes::from).collect();
        let at = Instant::from_nanos(sample.at);
        let outcome = writer
            .frame(on, at, sample.direction, &sample.head, &payload)
            .unwrap();
        assert_eq!(outcome, Written::Kept);
    }
    writer.finish().unwrap()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        samples in proptest::collection::vec(sample(), 0..20),
        snap_len in 1u32..1000,
    ) {
        let file = encode(&samples, &settings().snap_len(snap_len));
        let (frames, counts, ended) = read(&file);
        prop_assert!(matches!(ended, Ended::Complete), "{ended}");
        prop_assert_eq!(frames.len(), samples.len());
        prop_assert_eq!((counts.skipped, counts.unreadable, counts.lost), (1, 0, 0));
        prop_assert_eq!(counts.bytes, u64::try_from(file.len()).unwrap());
        for (frame, sample) in frames.iter().zip(&samples) {
            let mut whole = sample.head.clone();
            whole.extend(sample.payload.concat());
            let original_len = whole.len();
            whole.truncate(usize::try_from(snap_len).unwrap());
            prop_assert_eq!(&frame.data[..], &whole[..]);
            prop_assert_eq!(usize::try_from(frame.original_len).unwrap(), original_len);
            prop_assert_eq!(frame.at, Some(EPOCH + sample.at));
            prop_assert_eq!(frame.direction, Some(sample.direction));
            prop_assert_eq!((frame.link, frame.interface), (LinkType::RAW, 0));
        }
    }

    /// An independent reader agrees on every block.
    #[test]
    fn another_reader_agrees(samples in proptest::collection::vec(sample(), 0..10)) {
        let file = encode(&samples, &settings());
        let mut reader = PcapNgReader::new(file.as_slice()).unwrap();
        let mut packets = 0;
        let mut statistics = 0;
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::EnhancedPacket(packet) => {
                    let at = EPOCH + samples[packets].at;
                    prop_assert_eq!(packet.timestamp, Duration::from_nanos(at));
                    packets += 1;
                }
                Block::InterfaceStatistics(_) => statistics += 1,
                _ => {}
            }
        }
        prop_assert_eq!((packets, statistics), (samples.len(), 1));
    }

    #[test]
    fn reading_is_total_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400), of in 0usize..5) {
        let mut file = MAGICS[of].to_vec();
        file.extend(bytes);
        let (frames, counts, _) = read(&file);
        prop_assert!(frames.len() <= file.len() / 16);
        prop_assert!(counts.bytes <= u64::try_from(file.len()).unwrap());
    }

    #[test]
    fn reading_is_total_on_damaged_files(
        samples in proptest::collection::vec(sample(), 1..6),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut file = encode(&samples, &settings());
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let (frames, ..) = read(&file);
        prop_assert!(frames.len() <= samples.len());
    }
}

const MAGICS: [&[u8]; 5] = [
    &[
        0x0A, 0x0D, 0x0D, 0x0A, 28, 0, 0, 0, 0x4D, 0x3C, 0x2B, 0x1A, 1, 0, 0, 0,
    ],
    &[
        0x0A, 0x0D, 0x0D, 0x0A, 0, 0, 0, 28, 0x1A, 0x2B, 0x3C, 0x4D, 0, 1, 0, 0,
    ],
    &[0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0],
    &[0xA1, 0xB2, 0x3C, 0x4D, 0, 2, 0, 4],
    &[],
];

/// Every cut of a file ends as complete between blocks, as cut elsewhere, and keeps what is whole.
#[test]
fn cut_files_say_what_is_missing() {
    let one = |byte| Sample {
        at: 5,
        direction: Direction::Inbound,
        head: vec![byte; 21],
        payload: Vec::new(),
    };
    let file = encode(&[one(1), one(2)], &settings());
    let mut complete = 0;
    let mut most = 0;
    for len in 0..=file.len() {
        let (frames, _, ended) = read(&file[..len]);
        match ended {
            Ended::Complete => complete += 1,
            Ended::Cut { at, missing } => {
                assert_eq!(at, u64::try_from(len).unwrap());
                assert!(missing > 0 && at + missing <= u64::try_from(file.len()).unwrap());
            }
            other => panic!("{len}: {other}"),
        }
        assert!(frames.len() >= most);
        most = frames.len();
    }
    // After each of: section, interface, two packets, statistics.
    assert_eq!((complete, most), (5, 2));
}

/// As many interfaces as a file may have are read, one more is nonsense: their table is memory.
#[test]
fn interfaces_are_bounded() {
    let most = 65_536;
    for (count, is_complete) in [(most, true), (most + 1, false)] {
        let mut file = section(true);
        let one = interface(true, 1, &[]);
        (0..count).for_each(|_| file.extend(&one));
        let (_, _, ended) = read(&file);
        assert_eq!(
            matches!(ended, Ended::Complete),
            is_complete,
            "{count}: {ended}"
        );
    }
}

/// A block that nobody knows is passed over; cut, it is missing like any other.
#[test]
fn an_unknown_block_that_is_cut_is_cut() {
    let mut file = section(true);
    file.extend(interface(true, 1, &[]));
    let before = file.len();
    file.extend(block(true, 0x0BAD, &[0; 64]));
    assert!(matches!(read(&file).2, Ended::Complete));
    let body = before + 8 + 64;
    for len in before + 8..body {
        let (_, _, ended) = read(&file[..len]);
        let rest = u64::try_from(body - len).unwrap();
        assert!(
            matches!(ended, Ended::Cut { missing, .. } if missing == rest),
            "{len}: {ended}"
        );
    }
}

#[test]
fn a_huge_promise_allocates_nothing_and_a_huge_skip_ends() {
    let mut file = section(true);
    file.extend(interface(true, 1, &[]));
    let mut cut = file.clone();
    cut.extend([6u32, 12 + (16 << 20)].map(u32::to_be_bytes).concat());
    let (_, _, ended) = read(&cut);
    assert!(
        matches!(ended, Ended::Cut { missing, .. } if missing == 16 << 20),
        "{ended}"
    );
    let mut endless = file.clone();
    endless.extend([0x0BAD, u32::MAX - 3].map(u32::to_be_bytes).concat());
    // An unknown block of 4 GiB is passed over, not kept, and the file after it is read.
    let (frames, counts, ended) = Reader::new(io::Read::chain(
        &endless[..],
        io::Read::take(io::repeat(0), u64::from(u32::MAX - 3) - 12),
    ))
    .drained();
    assert_eq!((frames, counts.skipped), (0, 0));
    assert!(matches!(ended, Ended::Cut { missing: 4, .. }), "{ended}");
    let (frames, _, ended) = Reader::new(io::repeat(0)).drained();
    assert_eq!(frames, 0);
    assert!(matches!(
        ended,
        Ended::Corrupt {
            what: Corrupt::Magic([0, 0, 0, 0]),
            ..
        }
    ));
}

#[test]
fn a_source_that_fails_is_told_from_one_that_ends() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable was pulled"))
        }
    }
    let file = section(false);
    let (_, _, ended) = Reader::new(io::Read::chain(&file[..], Broken)).drained();
    assert!(matches!(ended, Ended::Io { at: 28, .. }), "{ended}");
}

// Hand-made files. `big` is the byte order.

fn n16(big: bool, number: u16) -> Vec<u8> {
    if big {
        number.to_be_bytes().to_vec()
    } else {
        number.to_le_bytes().to_vec()
    }
}

fn n32(big: bool, number: u32) -> Vec<u8> {
    if big {
        number.to_be_bytes().to_vec()
    } else {
        number.to_le_bytes().to_vec()
    }
}

fn block(big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = n32(big, u32::try_from(body.len()).unwrap() + 12);
    [n32(big, kind), len.clone(), body, len].concat()
}

fn section(big: bool) -> Vec<u8> {
    let body = [
        n32(big, 0x1A2B_3C4D),
        n16(big, 1),
        n16(big, 0),
        vec![0xFF; 8],
    ]
    .concat();
    block(big, 0x0A0D_0D0A, &body)
}

fn opt(big: bool, code: u16, value: &[u8]) -> Vec<u8> {
    let mut option = [
        n16(big, code),
        n16(big, u16::try_from(value.len()).unwrap()),
    ]
    .concat();
    option.extend(value);
    option.resize(option.len().next_multiple_of(4), 0);
    option
}

fn interface(big: bool, link: u16, options: &[u8]) -> Vec<u8> {
    let body = [n16(big, link), n16(big, 0), n32(big, 0), options.to_vec()].concat();
    block(big, 1, &body)
}

fn enhanced(big: bool, on: u32, ticks: u64, data: &[u8], options: &[u8]) -> Vec<u8> {
    let len = n32(big, u32::try_from(data.len()).unwrap());
    let mut padded = data.to_vec();
    padded.resize(data.len().next_multiple_of(4), 0);
    let [high, low] = [ticks >> 32, ticks & 0xFFFF_FFFF].map(|half| u32::try_from(half).unwrap());
    let body = [
        n32(big, on),
        n32(big, high),
        n32(big, low),
        len.clone(),
        len,
        padded,
        options.to_vec(),
    ];
    block(big, 6, &body.concat())
}

fn pcap(big: bool, magic: u32, minor: u16, records: &[[u32; 4]]) -> Vec<u8> {
    let mut file = [n32(big, magic), n16(big, 2), n16(big, minor), vec![0; 8]].concat();
    file.extend([n32(big, 262_144), n32(big, 0x2400_0001)].concat());
    for record in records {
        file.extend(record.map(|number| n32(big, number)).concat());
        if magic == 0xA1B2_CD34 {
            file.extend([0xEE; 8]);
        }
        file.extend(vec![7; usize::try_from(record[2].min(record[3])).unwrap()]);
    }
    file
}

#[test]
fn odd_records_end_or_are_passed_over() {
    let with = |rest: Vec<u8>| [section(false), interface(false, 1, &[]), rest].concat();
    let packet = enhanced(false, 0, 1, &[1; 20], &[]);
    let mut liar = packet.clone();
    liar[20] = 200; // captured length beyond the block
    let mut trailer = packet.clone();
    *trailer.last_mut().unwrap() = 1;
    let length = |total: u32| [n32(false, 6), n32(false, total)].concat();
    let corrupt = |what| Some(what);
    let rows: &[(&str, Vec<u8>, usize, u64, Option<Corrupt>)] = &[
        (
            "unknown interface",
            with([enhanced(false, 1, 1, &[1], &[]), packet.clone()].concat()),
            1,
            1,
            None,
        ),
        (
            "length beyond the block",
            with([liar, packet.clone()].concat()),
            1,
            1,
            None,
        ),
        (
            "a body of nothing",
            with([block(false, 6, &[]), packet.clone()].concat()),
            1,
            1,
            None,
        ),
        (
            "option beyond the block",
            with(enhanced(false, 0, 1, &[1], &[2, 0, 9, 0])),
            1,
            0,
            None,
        ),
        (
            "simple packet without interface",
            [section(false), block(false, 3, &[0; 8])].concat(),
            0,
            1,
            None,
        ),
        (
            "trailer",
            with(trailer),
            0,
            0,
            corrupt(Corrupt::Trailer {
                before: 52,
                after: 52 & 0xFF_FFFF | 1 << 24,
            }),
        ),
        (
            "zero length",
            with(length(0)),
            0,
            0,
            corrupt(Corrupt::BlockLength(0)),
        ),
        (
            "odd length",
            with(length(33)),
            0,
            0,
            corrupt(Corrupt::BlockLength(33)),
        ),
        (
            "too long",
            with(length(0xFFFF_FFFC)),
            0,
            0,
            corrupt(Corrupt::TooLong {
                len: 0xFFFF_FFF0,
                limit: 16 << 20,
            }),
        ),
        (
            "short interface",
            with(block(false, 1, &[0; 4])),
            0,
            0,
            corrupt(Corrupt::BlockLength(16)),
        ),
        (
            "gzip",
            vec![0x1F, 0x8B, 8, 0, 0, 0],
            0,
            0,
            corrupt(Corrupt::Magic([0x1F, 0x8B, 8, 0])),
        ),
        (
            "pcap 3",
            [n32(true, 0xA1B2_C3D4), n16(true, 3), vec![0; 18]].concat(),
            0,
            0,
            corrupt(Corrupt::Version { major: 3, minor: 0 }),
        ),
        (
            "long pcap record",
            pcap(true, 0xA1B2_C3D4, 4, &[[0, 0, u32::MAX, 0]]),
            0,
            0,
            corrupt(Corrupt::TooLong {
                len: u64::from(u32::MAX),
                limit: 16 << 20,
            }),
        ),
        (
            "byte order",
            block(false, 0x0A0D_0D0A, &[0; 16]),
            0,
            0,
            corrupt(Corrupt::ByteOrder(0)),
        ),
    ];
    for (name, file, frames, unreadable, what) in rows {
        let (seen, counts, ended) = read(file);
        assert_eq!(
            (seen.len(), counts.unreadable),
            (*frames, *unreadable),
            "{name}"
        );
        match (what, ended) {
            (None, Ended::Complete) => {}
            (Some(expected), Ended::Corrupt { what, .. }) => assert_eq!(what, *expected, "{name}"),
            (_, ended) => panic!("{name}: {ended}"),
        }
    }
}

/// Every resolution and offset gives a time, saturated at both ends.
#[test]
fn clocks_never_overflow() {
    let offsets = [0, i64::MAX, i64::MIN, -1];
    for resolution in 0..=255u8 {
        for offset in offsets {
            let options = [
                opt(false, 9, &[resolution]),
                opt(false, 14, &offset.to_le_bytes()),
            ]
            .concat();
            let mut file = [section(false), interface(false, 1, &options)].concat();
            file.extend(enhanced(false, 0, u64::MAX, &[], &[]));
            let (frames, ..) = read(&file);
            let at = frames[0].at.unwrap();
            match (resolution, offset) {
                (9, 0) | (0, 0..) => assert_eq!(at, u64::MAX),
                (3..=9, i64::MIN) => assert_eq!(at, 0),
                (0xFF, 0) => assert_eq!(at, 0),
                _ => {}
            }
        }
    }
}

#[test]
fn pcap_of_every_kind() {
    for big in [false, true] {
        for (magic, nanos) in [(0xA1B2_C3D4, 9_000), (0xA1B2_3C4D, 9), (0xA1B2_CD34, 9_000)] {
            let file = pcap(big, magic, 4, &[[3, 9, 5, 60], [4, 0, 0, 0]]);
            let (frames, counts, ended) = read(&file);
            assert!(matches!(ended, Ended::Complete), "{ended}");
            assert_eq!(frames[0].at, Some(3_000_000_000 + nanos));
            assert_eq!(
                (frames[0].original_len, &frames[0].data[..]),
                (60, &[7; 5][..])
            );
            assert_eq!(
                (frames[0].link, frames[0].is_cut()),
                (LinkType::ETHERNET, true)
            );
            assert_eq!((counts.frames, counts.cut_frames), (2, 1));
        }
    }
    let (frames, ..) = read(&pcap(false, 0xA1B2_C3D4, 2, &[[0, 0, 60, 5]]));
    assert_eq!(
        (frames[0].data.len(), frames[0].original_len),
        (5, 60),
        "old order of lengths"
    );
}

#[test]
fn pcapng_of_several_sections_orders_and_clocks() {
    let mut file = Vec::new();
    for big in [true, false] {
        file.extend(section(big));
        file.extend(interface(big, 1, &[])); // microseconds
        file.extend(interface(big, 101, &opt(big, 9, &[3]))); // milliseconds
        let offset = if big {
            100i64.to_be_bytes()
        } else {
            100i64.to_le_bytes()
        };
        let binary = [
            opt(big, 9, &[0x80 | 20]),
            opt(big, 14, &offset),
            opt(big, 0, &[]),
        ]
        .concat();
        file.extend(interface(big, 113, &binary)); // 2^-20 s, 100 s later
        file.extend(block(big, 0x0BAD, &[1, 2, 3, 4])); // unknown
        file.extend(enhanced(
            big,
            0,
            1_000_001,
            &[1; 3],
            &opt(big, 2, &n32(big, 0xFFFF_FFF1)),
        ));
        file.extend(enhanced(big, 1, 1_001, &[2; 4], &opt(big, 2, &n32(big, 2))));
        file.extend(enhanced(big, 2, 3 << 19, &[], &[]));
        file.extend(block(big, 3, &[n32(big, 2), vec![9, 9]].concat())); // simple
        let old = [
            n16(big, 1),
            n16(big, 40),
            n32(big, 0),
            n32(big, 7),
            n32(big, 1),
            n32(big, 1),
            vec![5],
        ];
        file.extend(block(big, 2, &old.concat()));
    }
    let (frames, counts, ended) = read(&file);
    assert!(matches!(ended, Ended::Complete), "{ended}");
    assert_eq!(
        (counts.frames, counts.skipped, counts.unreadable),
        (10, 2, 0)
    );
    assert_eq!(counts.lost, 80);
    for frames in frames.chunks(5) {
        let of = |frame: &Frame| (frame.link.0, frame.at, frame.direction, frame.data.to_vec());
        let seen: Vec<_> = frames.iter().map(of).collect();
        assert_eq!(
            seen,
            [
                (1, Some(1_000_001_000), Some(Direction::Inbound), vec![1; 3]),
                (
                    101,
                    Some(1_001_000_000),
                    Some(Direction::Outbound),
                    vec![2; 4]
                ),
                (113, Some(101_500_000_000), None, vec![]),
                (1, None, None, vec![9, 9]),
                (101, Some(7_000_000), None, vec![5]),
            ]
        );
    }
}

// The recording side.

/// Gives one frame and takes frames as it is told.
struct Scripted {
    capabilities: Capabilities,
    outcomes: Vec<Sent>,
}

impl Device for Scripted {
    type Rx = ScriptedRx;
    type Tx = ScriptedTx;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn split(self) -> (ScriptedRx, ScriptedTx) {
        (ScriptedRx, ScriptedTx(self.outcomes))
    }
}

struct ScriptedRx;

impl Receive for ScriptedRx {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let data = Bytes::from(vec![0xAA; 1000]);
        batch.push(RxFrame::new(data, RxMeta::new(now)));
        Ok(1)
    }
}

struct ScriptedTx(Vec<Sent>);

impl Transmit for ScriptedTx {
    fn transmit(&mut self, _: Instant, _: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.0.pop().ok_or(DeviceError::Gone)
    }
}

#[test]
fn a_captured_device_records_what_was_sent_and_received() {
    let shelf = Shelf::default();
    let recorder =
        Recorder::start(shelf.clone(), Medium::Ethernet, &settings().snap_len(500)).unwrap();
    let watch = recorder.watch();
    let device = Scripted {
        capabilities: Capabilities::plain(Medium::Ethernet, 1500),
        outcomes: vec![Sent::Dropped(DeviceDrop::LinkDown), Sent::Taken, Sent::Full],
    };
    let (mut rx, mut tx) = Capture::new(device, recorder).split();
    let payload = [Bytes::from(vec![2; 40]), Bytes::from(vec![3; 600])];
    let frame = TxFrame::new(&[1; 54], &payload, TxMeta::PLAIN);
    let at = Instant::from_millis;
    assert_eq!(tx.transmit(at(1), &frame).unwrap(), Sent::Full);
    assert_eq!(tx.transmit(at(2), &frame).unwrap(), Sent::Taken);
    let mut batch = RxBatch::new(4);
    assert_eq!(rx.receive(at(3), &mut batch).unwrap(), 1);
    let refused = tx
        .transmit(at(4), &TxFrame::new(&[9; 60], &[], TxMeta::PLAIN))
        .unwrap();
    assert_eq!(refused, Sent::Dropped(DeviceDrop::LinkDown));
    assert!(tx.transmit(at(5), &frame).is_err());
    drop((rx, tx)); // the last recorder: the file is complete

    let file = shelf.bytes();
    let (frames, counts, ended) = read(&file);
    assert!(matches!(ended, Ended::Complete), "{ended}");
    assert_eq!((counts.frames, counts.cut_frames), (3, 2));
    let seen: Vec<_> = frames
        .iter()
        .map(|f| {
            (
                f.at.unwrap() - EPOCH,
                f.direction.unwrap(),
                f.data.len(),
                f.original_len,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (2_000_000, Direction::Outbound, 500, 694),
            (3_000_000, Direction::Inbound, 500, 1000),
            (4_000_000, Direction::Outbound, 60, 60),
        ]
    );
    assert_eq!(
        &frames[0].data[..96],
        &[&[1; 54][..], &[2; 40], &[3; 2]].concat()[..]
    );
    let comment = b"not sent: the link is down";
    assert!(file.windows(comment.len()).any(|part| part == comment));
    let stats = watch.stats();
    assert_eq!((stats.seen, stats.written, stats.cut), (3, 3, 2));
    assert!(watch.failure().is_none());
}

/// Gives the writer thread `frames` frames of `len` bytes each.
fn feed(recorder: &Recorder, frames: u64, len: usize) {
    let headers = vec![7; len];
    for number in 0..frames {
        let frame = TxFrame::new(&headers, &[], TxMeta::PLAIN);
        recorder.sent(Instant::from_nanos(number), &frame, Sent::Taken);
    }
}

fn assert_balanced(stats: &CaptureStats) {
    let lost = stats.lost_queue + stats.lost_limit + stats.lost_error;
    assert_eq!(stats.seen, stats.written + lost, "{stats:?}");
}

/// A full disk ends the capture, not the traffic.
#[test]
fn a_full_disk_ends_the_capture_and_nothing_else() {
    struct Disk(usize, Shelf);
    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = bytes.len().min(self.0);
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= room;
            self.1.write(&bytes[..room])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let shelf = Shelf::default();
    let recorder = Recorder::start(Disk(100_000, shelf.clone()), Medium::Ip, &settings()).unwrap();
    let watch = recorder.watch();
    while watch.failure().is_none() {
        feed(&recorder, 10, 1000);
        std::thread::yield_now();
    }
    feed(&recorder, 10, 1000);
    drop(recorder);
    let stats = watch.stats();
    assert_balanced(&stats);
    assert!(stats.lost_error >= 10 && stats.written <= 100, "{stats:?}");
    assert_eq!(watch.failure().unwrap().kind(), io::ErrorKind::StorageFull);
    let (frames, _, ended) = read(&shelf.bytes());
    assert!(matches!(ended, Ended::Cut { .. }), "{ended}");
    assert!(u64::try_from(frames.len()).unwrap() >= stats.written);
}

/// A sink that panics ends the capture too, for those who wait for that.
#[test]
fn a_sink_that_panics_ends_the_capture() {
    struct Trap(u32);
    impl Write for Trap {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            // The section header and the interface are written before there is a thread.
            assert!(self.0 <= 2, "the bug of this test");
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let recorder = Recorder::start(Trap(0), Medium::Ip, &settings()).unwrap();
    let watch = recorder.watch();
    feed(&recorder, 1, 1000);
    let (done, ended) = mpsc::channel();
    let waiter = watch.clone();
    std::thread::spawn(move || done.send(waiter.wait().map(io::Error::kind)));
    let told = ended.recv_timeout(Duration::from_secs(20));
    assert_eq!(told, Ok(Some(io::ErrorKind::Other)));
    feed(&recorder, 5, 1000);
    drop(recorder);
    assert_balanced(&watch.stats());
    assert_eq!(watch.stats().lost_error, 6);
}

/// A disk that waits until the test lets it go on.
struct Gate(mpsc::Receiver<()>, Shelf);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv(); // the other end dropped: open for good
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_disk_loses_frames_that_the_file_counts() {
    for by_bytes in [false, true] {
        let (open, gate) = mpsc::channel();
        let shelf = Shelf::default();
        let limits = if by_bytes {
            (10_000, 5000)
        } else {
            (5, 1 << 20)
        };
        open.send(()).unwrap(); // the section header
        open.send(()).unwrap(); // the interface
        let settings = settings().queue(limits.0, limits.1);
        let recorder = Recorder::start(Gate(gate, shelf.clone()), Medium::Ip, &settings).unwrap();
        let watch = recorder.watch();
        feed(&recorder, 200, 1000);
        let early = watch.stats();
        assert!(early.lost_queue >= 100, "{early:?}");
        drop(open);
        // Now that the disk goes on, a frame gets through and reports the gap before it.
        while watch.stats().written + watch.stats().lost_queue < 200 {
            std::thread::yield_now();
        }
        feed(&recorder, 1, 1000);
        drop(recorder);
        let stats = watch.stats();
        assert_balanced(&stats);
        let (frames, counts, ended) = read(&shelf.bytes());
        assert!(matches!(ended, Ended::Complete), "{ended}");
        assert_eq!(u64::try_from(frames.len()).unwrap(), stats.written);
        assert_eq!(counts.lost, stats.lost_queue, "{stats:?}");
    }
}

#[test]
fn the_size_limit_leaves_a_whole_file() {
    let shelf = Shelf::default();
    let settings = settings().size_limit(Some(10_000)).snap_len(192);
    let recorder = Recorder::start(shelf.clone(), Medium::Ip, &settings).unwrap();
    let watch = recorder.watch();
    feed(&recorder, 200, 1400);
    while !watch.is_full() {
        std::thread::yield_now();
    }
    feed(&recorder, 3, 10);
    drop(recorder);
    let stats = watch.stats();
    assert_balanced(&stats);
    let file = shelf.bytes();
    assert!(file.len() <= 10_000 && file.len() > 8_000, "{}", file.len());
    let (frames, counts, ended) = read(&file);
    assert!(matches!(ended, Ended::Complete), "{ended}");
    assert_eq!(
        (counts.frames, counts.cut_frames),
        (stats.written, stats.written)
    );
    assert!(frames.iter().all(|frame| frame.data.len() == 192));
    let said = format!("{} left out over the size limit", stats.lost_limit);
    assert!(
        file.windows(said.len()).any(|part| part == said.as_bytes()),
        "{said}"
    );
}

/// What the statistics block of a file's only interface says: seen, lost, and until when.
fn statistics(file: &[u8]) -> (u64, u64, u64) {
    statistics_of_all(file)[0]
}

/// The same of each interface.
fn statistics_of_all(file: &[u8]) -> Vec<(u64, u64, u64)> {
    let mut reader = PcapNgReader::new(file).unwrap();
    let mut all = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::InterfaceStatistics(block) = block.unwrap() {
            let (mut seen, mut lost, mut until) = (0, 0, 0);
            for option in &block.options {
                match option {
                    InterfaceStatisticsOption::IsbIfRecv(n) => seen = *n,
                    InterfaceStatisticsOption::IsbOsDrop(n) => lost = *n,
                    // The upper half comes first (pcapng §4.6), which that reader does not know.
                    InterfaceStatisticsOption::IsbEndTime(at) => until = at.rotate_left(32),
                    _ => {}
                }
            }
            all.push((seen, lost, until));
        }
    }
    all
}

/// What the limit leaves out is seen and not kept, whoever writes.
#[test]
fn statistics_count_what_the_size_limit_leaves_out() {
    let settings = settings().size_limit(Some(2000));
    let mut writer = Writer::new(Vec::new(), &settings).unwrap();
    let on = writer.interface(LinkType::RAW, "tun7").unwrap();
    let (mut kept, mut left_out) = (0, 0);
    for n in 0..20 {
        let at = Instant::from_nanos(n);
        let written = writer.frame(on, at, Direction::Inbound, &[0x45; 400], &[]);
        match written.unwrap() {
            Written::Kept => kept += 1,
            Written::OverLimit => left_out += 1,
        }
    }
    assert!(kept > 0 && left_out > 0, "{kept} {left_out}");
    let (seen, lost, until) = statistics(&writer.finish().unwrap());
    assert_eq!((seen, lost), (kept + left_out, left_out));
    assert_eq!(until, EPOCH + 19);
}

/// An interface that comes when the file is full is none of its, and it stays whole.
#[test]
fn an_interface_beyond_the_size_limit_is_left_out() {
    for limit in 400..1600 {
        let limited = settings().size_limit(Some(limit));
        let mut writer = Writer::new(Vec::new(), &limited).unwrap();
        let mut kept = 0;
        for n in 0..4u8 {
            let on = writer.interface(LinkType::RAW, "tun7").unwrap();
            let written = writer.frame(on, Instant::ZERO, Direction::Inbound, &[n; 40], &[]);
            kept += usize::from(written.unwrap() == Written::Kept);
        }
        let file = writer.finish().unwrap();
        let (frames, _, ended) = read(&file);
        assert!(matches!(ended, Ended::Complete), "{limit}: {ended}");
        assert_eq!(frames.len(), kept, "{limit}");
        // The first is there in any case.
        let least = if kept == 0 { 512 } else { 0 };
        assert!(
            file.len() as u64 <= limit.max(least),
            "{limit}: {}",
            file.len()
        );
    }
}

/// Frames of several interfaces in one file, in the order in which they were recorded.
#[test]
fn a_recorder_has_several_interfaces() {
    let shelf = Shelf::default();
    let first = Recorder::start(shelf.clone(), Medium::Ethernet, &settings()).unwrap();
    let watch = first.watch();
    let second = first.interface(Medium::Ip);
    let third = second.interface(Medium::Ethernet);
    for (n, recorder) in [&third, &first, &second, &third].into_iter().enumerate() {
        feed(recorder, 1, 40 + n);
    }
    drop((first, second));
    assert!(!watch.is_full());
    drop(third);
    let file = shelf.bytes();
    let (frames, _, ended) = read(&file);
    assert!(matches!(ended, Ended::Complete), "{ended}");
    let seen: Vec<_> = frames
        .iter()
        .map(|f| (f.interface, f.data.len(), f.link))
        .collect();
    let (ethernet, raw) = (LinkType::ETHERNET, LinkType::RAW);
    let expected = [
        (2, 40, ethernet),
        (0, 41, ethernet),
        (1, 42, raw),
        (2, 43, ethernet),
    ];
    assert_eq!(seen, expected);
    for name in [&b"netloom-2"[..], b"netloom-3"] {
        assert!(file.windows(name.len()).any(|part| part == name));
    }
    assert_eq!(watch.stats().written, 4);
}

/// The losses of each, as pcapng has it (§4.3, epb_dropcount; §4.6): what one interface lost is none of another's.
#[test]
fn each_interface_of_a_recorder_has_its_own_losses() {
    let (open, gate) = mpsc::channel();
    let shelf = Shelf::default();
    let settings = settings().queue(2, 1 << 20);
    // The section header, and two interfaces.
    (0..3).for_each(|_| open.send(()).unwrap());
    let first = Recorder::start(Gate(gate, shelf.clone()), Medium::Ip, &settings).unwrap();
    let watch = first.watch();
    let second = first.interface(Medium::Ip);
    feed(&second, 200, 1000);
    let lost = watch.stats().lost_queue;
    assert!(lost >= 100, "{lost}");
    drop(open);
    while watch.stats().written + lost < 200 {
        std::thread::yield_now();
    }
    feed(&first, 1, 1000);
    drop((first, second));
    let all: Vec<_> = statistics_of_all(&shelf.bytes())
        .iter()
        .map(|&(seen, lost, _)| (seen, lost))
        .collect();
    assert_eq!(all, [(1, 0), (200, lost)]);
}

#[test]
fn each_interface_of_a_recorder_counts_what_the_size_limit_leaves_out() {
    let shelf = Shelf::default();
    let settings = settings().size_limit(Some(10_000)).snap_len(192);
    let first = Recorder::start(shelf.clone(), Medium::Ip, &settings).unwrap();
    let watch = first.watch();
    let second = first.interface(Medium::Ip);
    feed(&first, 1, 1400);
    feed(&second, 200, 1400);
    while !watch.is_full() {
        std::thread::yield_now();
    }
    feed(&second, 3, 10);
    drop((first, second));
    let stats = watch.stats();
    let lost = stats.lost_limit + stats.lost_queue;
    let all: Vec<_> = statistics_of_all(&shelf.bytes())
        .iter()
        .map(|&(seen, lost, _)| (seen, lost))
        .collect();
    assert_eq!(all, [(1, 0), (203, lost)]);
}

/// What a queue lost in front of a frame is counted with it.
#[test]
fn statistics_count_what_was_lost_before() {
    let mut writer = Writer::new(Vec::new(), &settings()).unwrap();
    let on = writer.interface(LinkType::RAW, "tun7").unwrap();
    for lost_before in [0, 3, 4] {
        let packet = writer::Packet {
            at: Instant::ZERO,
            direction: None,
            head: &[0x45; 40],
            rest: &[],
            original_len: 40,
            lost_before,
            comment: None,
        };
        assert_eq!(writer.packet(on, &packet).unwrap(), Written::Kept);
    }
    let (seen, lost, _) = statistics(&writer.finish().unwrap());
    assert_eq!((seen, lost), (3 + 7, 7));
}

#[test]
fn settings_survive_odd_values() {
    let before_unix = CaptureSettings::new(SystemTime::UNIX_EPOCH - Duration::from_secs(5));
    let file = encode(&[], &before_unix.snap_len(0).name("x".repeat(70_000)));
    let (_, _, ended) = read(&file);
    assert!(matches!(ended, Ended::Complete), "{ended}");
    let error = Recorder::create("/nonexistent/x.pcapng", Medium::Ip, &settings()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot create the capture \"/nonexistent/x.pcapng\": ")
    );
}

/// A batch is read with the time from before it, and frames are sent meanwhile: the order is that of
/// the events, and the times follow it.
#[test]
fn frames_are_written_in_the_order_of_recording_and_times_do_not_run_back() {
    let file = Shelf::default();
    let recorder = Recorder::start(file.clone(), Medium::Ip, &settings()).unwrap();
    for (number, nanos) in [5, 20, 10, 30, 25].into_iter().enumerate() {
        let meta = RxMeta::new(Instant::from_nanos(nanos));
        let data = vec![u8::try_from(number).unwrap(); 20];
        recorder.received(&RxFrame::new(data.into(), meta));
    }
    drop(recorder);
    let (frames, _, ended) = read(&file.bytes());
    assert!(matches!(ended, Ended::Complete), "{ended:?}");
    let times: Vec<_> = frames.iter().map(|frame| frame.at).collect();
    let first = times[0].unwrap();
    let since: Vec<_> = times.iter().map(|at| at.unwrap() - first).collect();
    assert_eq!(since, [0, 15, 15, 25, 25]);
    let order: Vec<_> = frames.iter().map(|frame| frame.data[0]).collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
}

/// Where others may write, a link in the place of the file leads nowhere.
#[cfg(unix)]
#[test]
fn only_a_new_file_follows_no_link() {
    let folder = std::env::temp_dir().join(format!("netloom-only-new-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (target, link) = (folder.join("target"), folder.join("link"));
    std::fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let only_new = settings().only_new(true);
    for path in [&link, &target] {
        let error = Recorder::create(path, Medium::Ip, &only_new).unwrap_err();
        let kind = io::Error::from(error).kind();
        assert_eq!(kind, io::ErrorKind::AlreadyExists);
    }
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    let fresh = folder.join("fresh");
    drop(Recorder::create(&fresh, Medium::Ip, &only_new).unwrap());
    assert!(std::fs::metadata(&fresh).unwrap().len() > 0);
    // By a name that the user chose a capture goes where that leads.
    drop(Recorder::create(&link, Medium::Ip, &settings()).unwrap());
    assert!(
        std::fs::read(&target)
            .unwrap()
            .starts_with(b"\x0a\x0d\x0d\x0a")
    );
    std::fs::remove_dir_all(&folder).unwrap();
}
