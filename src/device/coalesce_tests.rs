use proptest::prelude::*;

use super::super::layout::samples::Tcp;
use super::super::{Pair, Sent, Transmit};
use super::*;
use crate::link::{TxFrame, TxMeta};

const AT: Instant = Instant::from_millis(3);

/// What comes out when these frames went in as one batch.
fn through(medium: Medium, frames: &[Vec<u8>]) -> Vec<RxFrame> {
    let (a, b) = Pair::new(Capabilities::plain(medium, 65_000), 1000);
    let ((_rx, mut tx), (mut rx, _tx)) = (a.split(), Coalesce::new(b).split());
    for frame in frames {
        let frame = TxFrame::new(frame, &[], TxMeta::PLAIN);
        assert_eq!(tx.transmit(AT, &frame).unwrap(), Sent::Taken);
    }
    let mut batch = RxBatch::new(1000);
    rx.receive(AT, &mut batch).unwrap();
    batch.drain().collect()
}

/// Consecutive segments of `size` bytes.
fn segments(medium: Medium, v6: bool, text: &[u8], size: usize) -> Vec<Tcp> {
    let mut seq = u32::MAX - 2000;
    let mut list = Vec::new();
    for part in text.chunks(size) {
        let mut tcp = Tcp::new(medium, v6, part);
        tcp.seq = seq;
        tcp.options = [&[1, 1, 8, 10][..], &[9; 8]].concat();
        seq = seq.wrapping_add(u32::try_from(part.len()).unwrap());
        list.push(tcp);
    }
    list
}

fn frames(list: &[Tcp]) -> Vec<Vec<u8>> {
    list.iter().map(Tcp::frame).collect()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 253).unwrap()).collect()
}

#[test]
fn consecutive_segments_become_one() {
    for (medium, v6) in [(Medium::Ethernet, false), (Medium::Ip, true)] {
        let text = text(10_500);
        let mut list = segments(medium, v6, &text, 1000);
        list.last_mut().unwrap().flags = ACK | PSH | FIN;
        let merged = through(medium, &frames(&list));
        assert_eq!(merged.len(), 1);
        // But for the checksum it is what one long segment would have been.
        let mut whole = segments(medium, v6, &text, 20_000).remove(0);
        whole.flags = ACK | PSH | FIN;
        let mut whole = whole.frame();
        let layout = Layout::of(medium, &whole).unwrap();
        let field = layout.l4 + 16;
        let got = merged[0].data[field..field + 2].to_vec();
        whole[field..field + 2].copy_from_slice(&got);
        assert_eq!(merged[0].data[..], whole[..]);
        let meta = RxMeta::new(AT)
            .with_checksum(RxChecksum::Verified)
            .with_segment_size(NonZeroU16::new(1000));
        assert_eq!(merged[0].meta, meta);
    }
}

/// Two-way traffic: ACKs without text of one flow end the runs of no other, but their own.
#[test]
fn what_is_not_merged_ends_the_runs_of_its_own_flow_only() {
    for (medium, v6) in [(Medium::Ethernet, false), (Medium::Ip, true)] {
        let text = segments(medium, v6, &text(4000), 1000);
        let mut ack = Tcp::new(medium, v6, b"");
        ack.ack += 1000;
        let own = ack.frame();
        let mut other = own.clone();
        let port = Layout::of(medium, &own).unwrap().l4;
        other[port] ^= 1;
        let mut unknown = own.clone();
        // A protocol without ports.
        let protocol = medium.link_header() + if v6 { 6 } else { 9 };
        unknown[protocol] = 253;
        let lens = |between: &[u8]| -> Vec<usize> {
            let text = frames(&text);
            let mut all = Vec::new();
            for frame in text {
                all.extend([frame, between.to_vec()]);
            }
            let out = through(medium, &all);
            out.iter().map(|frame| frame.data.len()).collect()
        };
        let (one, four) = (text[0].frame().len(), text[0].frame().len() + 3000);
        let between = own.len();
        assert_eq!(lens(&other), [four, between, between, between, between]);
        for between in [own, unknown] {
            assert_eq!(lens(&between), [one, between.len()].repeat(4));
        }
    }
}

#[test]
fn what_differs_is_not_merged() {
    let list = segments(Medium::Ip, false, &text(2000), 1000);
    let differing: [fn(&mut Tcp); 8] = [
        |tcp| tcp.seq += 1,
        |tcp| tcp.ack += 1,
        |tcp| tcp.flags |= 0x80,
        |tcp| tcp.flags |= 0x02,
        |tcp| tcp.flags |= 0x20,
        |tcp| tcp.options[9] += 1,
        |tcp| tcp.options.truncate(0),
        |tcp| tcp.payload.push(1),
    ];
    for (i, change) in differing.into_iter().enumerate() {
        let mut list = list.clone();
        change(&mut list[1]);
        let expected = frames(&list);
        let got: Vec<Vec<u8>> = through(Medium::Ip, &expected)
            .iter()
            .map(|frame| frame.data.to_vec())
            .collect();
        assert_eq!(got, expected, "change {i}");
    }
}

/// RFC 3168 §6.1.3: a receiver tells which segments came marked. Merged with one that came unmarked it could
/// not, whichever of the two bits the super-segment had; and whoever echoes marks tells of them from one
/// segment on.
#[test]
fn segments_of_different_ecn_bits_are_kept_apart() {
    const CE: u8 = 3;
    const ECT0: u8 = 2;
    const ECT1: u8 = 1;
    let fields = [ECT0, ECT0, CE, CE, CE, ECT0, 0, 0, ECT1, ECT1];
    let runs = [
        (ECT0, 2000),
        (CE, 3000),
        (ECT0, 1000),
        (0, 2000),
        (ECT1, 2000),
    ];
    for (medium, v6) in [
        (Medium::Ethernet, false),
        (Medium::Ethernet, true),
        (Medium::Ip, false),
        (Medium::Ip, true),
    ] {
        let list = segments(medium, v6, &text(10_000), 1000);
        let l3 = medium.link_header();
        let mut frames = frames(&list);
        for (frame, field) in frames.iter_mut().zip(fields) {
            if v6 {
                frame[l3 + 1] |= field << 4;
            } else {
                frame[l3 + 1] |= field;
                put_word(frame, l3 + 10, 0);
                let sum = checksum(&frame[l3..l3 + 20]);
                put_word(frame, l3 + 10, sum);
            }
        }
        let got: Vec<(u8, usize)> = through(medium, &frames)
            .iter()
            .map(|frame| {
                let layout = Layout::of(medium, &frame.data).unwrap();
                let byte = frame.data[l3 + 1];
                let field = if v6 { byte >> 4 } else { byte } & 3;
                (field, layout.end - layout.payload)
            })
            .collect();
        assert_eq!(got, runs, "{medium:?}, IPv6: {v6}");

        let mut list = list;
        list[3..6].iter_mut().for_each(|tcp| tcp.flags |= ECE);
        let got: Vec<(bool, usize)> = through(medium, &self::frames(&list))
            .iter()
            .map(|frame| {
                let layout = Layout::of(medium, &frame.data).unwrap();
                let flags = frame.data[layout.l4 + 13];
                (flags & ECE > 0, layout.end - layout.payload)
            })
            .collect();
        let echoes = [(false, 3000), (true, 3000), (false, 4000)];
        assert_eq!(got, echoes, "{medium:?}, IPv6: {v6}");
    }
}

#[test]
fn ip_fields_and_window_count_too() {
    let list = segments(Medium::Ip, false, &text(2000), 1000);
    for (byte, checksummed) in [(1, false), (8, false), (34, true)] {
        let mut frames = frames(&list);
        frames[1][byte] ^= 3;
        put_word(&mut frames[1], 10, 0);
        let sum = checksum(&frames[1][..20]);
        put_word(&mut frames[1], 10, sum);
        if checksummed {
            let layout = Layout::of(Medium::Ip, &frames[1]).unwrap();
            put_word(&mut frames[1], 36, 0);
            let len = u16::try_from(frames[1].len() - 20).unwrap();
            let sum = layout.pseudo_sum(&frames[1], len).bytes(&frames[1][20..]);
            put_word(&mut frames[1], 36, sum.finish());
        }
        assert_eq!(through(Medium::Ip, &frames).len(), 2, "byte {byte}");
    }
}

/// The same of IPv6: traffic class, flow label, hop limit; and its next header, which no checksum of its own guards.
#[test]
fn ipv6_fields_and_window_count_too() {
    let list = segments(Medium::Ip, true, &text(2000), 1000);
    for (byte, bit, same) in [
        (0, 0x08, false),
        (1, 0x10, false),
        (1, 0x01, false),
        (2, 0x80, false),
        (3, 0x01, false),
        (7, 0x01, false),
        (40 + 14, 0x01, false),
        // Nothing changes.
        (0, 0, true),
    ] {
        let mut frames = frames(&list);
        frames[1][byte] ^= bit;
        let layout = Layout::of(Medium::Ip, &frames[1]).unwrap();
        put_word(&mut frames[1], 40 + 16, 0);
        let len = u16::try_from(frames[1].len() - 40).unwrap();
        let sum = layout.pseudo_sum(&frames[1], len).bytes(&frames[1][40..]);
        put_word(&mut frames[1], 40 + 16, sum.finish());
        let merged = through(Medium::Ip, &frames).len();
        assert_eq!(merged == 1, same, "byte {byte}, bit {bit:#x}");
    }
}

#[test]
fn a_wrong_checksum_is_never_merged_or_called_right() {
    for byte in [2, 3, 11, 15, 33, 60] {
        let mut frames = frames(&segments(Medium::Ip, false, &text(3000), 1000));
        frames[1][byte] ^= 0x40;
        let bad = frames[1].clone();
        let got = through(Medium::Ip, &frames);
        let kept = got.iter().find(|frame| frame.data[..] == bad[..]).unwrap();
        assert_eq!(kept.meta.checksum, RxChecksum::Unknown, "byte {byte}");
    }
}

#[test]
fn connections_are_merged_side_by_side_and_padding_is_left_out() {
    let text = text(6000);
    let one = segments(Medium::Ethernet, false, &text, 1000);
    let two = segments(Medium::Ethernet, true, &text, 1000);
    let mut mixed = Vec::new();
    for (a, b) in one.iter().zip(&two) {
        let mut padded = a.frame();
        padded.extend([0; 6]);
        mixed.extend([padded, b.frame()]);
    }
    let got = through(Medium::Ethernet, &mixed);
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].data.len(), 14 + 20 + 32 + 6000);
    assert_eq!(got[1].data.len(), 14 + 40 + 32 + 6000);
}

#[test]
fn a_super_segment_stays_below_64_kib() {
    let list = segments(Medium::Ip, false, &text(90_000), 1448);
    let got = through(Medium::Ip, &frames(&list));
    assert!(got.iter().all(|frame| frame.data.len() <= MAX_IP_LEN));
    assert!(got.len() <= 3, "{}", got.len());
}

proptest! {
    /// Whatever is cut, reordered or doubled on the way, the text of each frame stays at its place and each
    /// connection's frames stay in order.
    #[test]
    fn merging_keeps_text_and_order(
        picks in prop::collection::vec((0usize..20, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let text = text(4000);
        let list = segments(Medium::Ip, false, &text, 200);
        let mut sent = Vec::new();
        let mut places = Vec::new();
        for (pick, push, bare) in picks {
            let mut tcp = list[pick].clone();
            if push { tcp.flags |= PSH; }
            if bare { tcp.payload.clear(); }
            places.extend((0..tcp.payload.len()).map(|i| pick * 200 + i));
            sent.push(tcp.frame());
        }
        let mut got = Vec::new();
        for frame in through(Medium::Ip, &sent) {
            let layout = Layout::of(Medium::Ip, &frame.data).unwrap();
            let seq = long(&frame.data, layout.l4 + 4).unwrap();
            let start = usize::try_from(seq.wrapping_sub(list[0].seq)).unwrap();
            let body = &frame.data[layout.payload..layout.end];
            prop_assert_eq!(body, &text[start..start + body.len()]);
            got.extend(start..start + body.len());
        }
        prop_assert_eq!(got, places);
    }
}
