use core::num::NonZeroU16;

use proptest::prelude::*;

use super::super::layout::samples::Tcp;
use super::super::layout::{UDP, long, word};
use super::*;
use crate::base::checksum::checksum;
use crate::link::Segmentation;
use crate::link::cut::{CWR, FIN_PSH};

/// A device without any offload and with room for so many frames.
#[derive(Debug)]
struct Sink {
    frames: Vec<Vec<u8>>,
    room: usize,
    drop: Option<usize>,
}

impl Sink {
    fn tx(medium: Medium, room: usize) -> SegmentedTx<Self> {
        let sink = Self {
            frames: Vec::new(),
            room,
            drop: None,
        };
        SegmentedTx::new(sink, Capabilities::plain(medium, 1500))
    }
}

impl Transmit for Sink {
    fn transmit(&mut self, _now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        assert_eq!(frame.meta, TxMeta::PLAIN);
        if self.frames.len() >= self.room {
            return Ok(Sent::Full);
        }
        self.frames.push(frame.to_vec());
        if self.drop == Some(self.frames.len() - 1) {
            return Ok(Sent::Dropped(DeviceDrop::NoBuffers));
        }
        Ok(Sent::Taken)
    }
}

fn send(tx: &mut SegmentedTx<Sink>, tcp: &Tcp, slices: &[Bytes], size: u16) -> Sent {
    let mut headers = tcp.headers();
    let layout = Layout::of(tcp.medium, &headers).unwrap();
    let text: usize = slices.iter().map(Bytes::len).sum();
    put_pseudo(&mut headers, &layout, text);
    let partial = PartialChecksum {
        start: u16::try_from(layout.l4).unwrap(),
        offset: 16,
    };
    let kind = if tcp.v6 {
        SegmentKind::Tcp6
    } else {
        SegmentKind::Tcp4
    };
    let size = NonZeroU16::new(size).unwrap();
    let meta = TxMeta::offload(partial, Some(Segmentation { kind, size }));
    let frame = TxFrame::new(&headers, slices, meta);
    tx.transmit(Instant::ZERO, &frame).unwrap()
}

/// A checksum as it is while it is partial.
fn put_pseudo(headers: &mut [u8], layout: &Layout, text: usize) {
    let len = u16::try_from(layout.payload - layout.l4 + text).unwrap();
    let pseudo = layout.pseudo_sum(headers, len).partial();
    put_word(headers, layout.l4 + layout.checksum_offset(), pseudo);
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

fn slices(payload: &[u8], cuts: &[usize]) -> Vec<Bytes> {
    let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (payload.len() + 1)).collect();
    cuts.extend([0, payload.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|w| Bytes::copy_from_slice(&payload[w[0]..w[1]]))
        .collect()
}

/// What a receiver makes of the frames: the text, after each header was checked.
fn reassemble(tcp: &Tcp, frames: &[Vec<u8>], size: usize) -> Vec<u8> {
    let mut whole = Vec::new();
    for (i, frame) in frames.iter().enumerate() {
        let layout = Layout::of(tcp.medium, frame).unwrap();
        assert_eq!(layout.end, frame.len());
        assert!(layout.checksum_is_right(frame), "segment {i}");
        let done = u32::try_from(whole.len()).unwrap();
        let seq = long(frame, layout.l4 + 4).unwrap();
        assert_eq!(seq, tcp.seq.wrapping_add(done));
        if !layout.v6 {
            assert_eq!(checksum(&frame[layout.l3..layout.l4]), 0, "segment {i}");
            let id = word(frame, layout.l3 + 4).unwrap();
            assert_eq!(id, 0xfffe_u16.wrapping_add(u16::try_from(i).unwrap()));
        }
        let (first, last) = (i == 0, i + 1 == frames.len());
        let kept = if first { 0xff } else { !CWR } & if last { 0xff } else { !FIN_PSH };
        assert_eq!(frame[layout.l4 + 13], tcp.flags & kept, "segment {i}");
        let len = frame.len() - layout.payload;
        assert!(len == size || last && len <= size);
        whole.extend_from_slice(&frame[layout.payload..]);
    }
    whole
}

proptest! {
    #[test]
    fn segments_are_whole_packets_that_join_to_the_text(
        len in 1usize..20_000, size in 1u16..3000, v6: bool, ethernet: bool, flags: u8, seq: u32,
        cuts in prop::collection::vec(0usize..20_000, 0..6), timestamps: bool,
    ) {
        prop_assume!(len / usize::from(size) < 600);
        let medium = if ethernet { Medium::Ethernet } else { Medium::Ip };
        let payload = text(len);
        let mut tcp = Tcp::new(medium, v6, &payload);
        tcp.flags = flags;
        tcp.seq = seq;
        if timestamps {
            tcp.options = [&[1, 1, 8, 10][..], &[7; 8]].concat();
        }
        let mut tx = Sink::tx(medium, usize::MAX);
        prop_assert_eq!(send(&mut tx, &tcp, &slices(&payload, &cuts), size), Sent::Taken);
        let got = reassemble(&tcp, &tx.inner.frames, usize::from(size));
        prop_assert_eq!(got, payload);
    }
}

#[test]
fn a_device_that_fills_up_half_way_gets_the_rest_first() {
    let payload = text(5000);
    let tcp = Tcp::new(Medium::Ip, false, &payload);
    let slices = slices(&payload, &[777]);
    let mut tx = Sink::tx(Medium::Ip, 0);
    assert_eq!(send(&mut tx, &tcp, &slices, 1000), Sent::Full);
    assert!(!tx.wants_room(), "a frame refused whole is the caller's");
    tx.inner.room = 2;
    assert_eq!(send(&mut tx, &tcp, &slices, 1000), Sent::Taken);
    assert!(tx.wants_room());
    assert_eq!(send(&mut tx, &tcp, &slices, 1000), Sent::Full);
    tx.inner.room = 4;
    assert_eq!(tx.poll(Instant::ZERO).unwrap(), None);
    assert!(tx.wants_room() && tx.inner.frames.len() == 4);
    tx.inner.room = 6;
    let next = TxFrame::new(b"next", &[], TxMeta::PLAIN);
    assert_eq!(tx.transmit(Instant::ZERO, &next).unwrap(), Sent::Taken);
    assert!(!tx.wants_room());
    assert_eq!(tx.inner.frames.pop().unwrap(), b"next");
    assert_eq!(reassemble(&tcp, &tx.inner.frames, 1000), payload);
}

#[test]
fn a_dropped_segment_is_said_and_the_others_go() {
    let payload = text(3000);
    let tcp = Tcp::new(Medium::Ip, true, &payload);
    let mut tx = Sink::tx(Medium::Ip, usize::MAX);
    tx.inner.drop = Some(1);
    let dropped = Sent::Dropped(DeviceDrop::NoBuffers);
    assert_eq!(send(&mut tx, &tcp, &slices(&payload, &[]), 1000), dropped);
    assert_eq!(tx.inner.frames.len(), 3);
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let tcp = Tcp::new(Medium::Ip, false, b"");
    let mut tx = Sink::tx(Medium::Ip, usize::MAX);
    let refused = Sent::Dropped(DeviceDrop::Refused);
    assert_eq!(send(&mut tx, &tcp, &[], 1000), refused, "no text");
    let size = NonZeroU16::MIN;
    let kind = SegmentKind::Tcp4;
    let partial = PartialChecksum {
        start: 30,
        offset: 9,
    };
    let meta = TxMeta::offload(partial, Some(Segmentation { kind, size }));
    let slices = [Bytes::from_static(b"x")];
    let nonsense = TxFrame::new(&[0xff; 40], &slices, meta);
    assert_eq!(tx.transmit(Instant::ZERO, &nonsense).unwrap(), refused);
    let outside = TxFrame::new(&[0; 40], &slices, TxMeta::offload(partial, None));
    assert_eq!(tx.transmit(Instant::ZERO, &outside).unwrap(), refused);
}

#[test]
fn a_partial_checksum_is_completed() {
    for v6 in [false, true] {
        let tcp = Tcp::new(Medium::Ethernet, v6, b"some text!");
        let right = tcp.frame();
        let mut headers = tcp.headers();
        let layout = Layout::of(Medium::Ethernet, &headers).unwrap();
        let len = u16::try_from(right.len() - layout.l4).unwrap();
        let pseudo = layout.pseudo_sum(&headers, len).partial();
        put_word(&mut headers, layout.l4 + 16, pseudo);
        let partial = PartialChecksum {
            start: u16::try_from(layout.l4).unwrap(),
            offset: 16,
        };
        let slices = [Bytes::from_static(b"som"), Bytes::from_static(b"e text!")];
        let frame = TxFrame::new(&headers, &slices, TxMeta::offload(partial, None));
        let mut tx = Sink::tx(Medium::Ethernet, 1);
        assert_eq!(tx.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
        assert_eq!(tx.inner.frames[0], right);
    }
}

/// What is cut has the sum of an end that the header does not name (RFC 8200 §8.1), if its sender summed that.
#[test]
fn the_senders_pseudo_sum_stays() {
    let tcp = Tcp::new(Medium::Ip, true, &text(3000));
    let mut headers = tcp.headers();
    let layout = Layout::of(Medium::Ip, &headers).unwrap();
    let mut meant = headers.clone();
    meant[39] ^= 0x55;
    put_pseudo(&mut meant, &layout, 3000);
    let field = word(&meant, layout.l4 + 16).unwrap();
    put_word(&mut headers, layout.l4 + 16, field);
    let partial = PartialChecksum {
        start: 40,
        offset: 16,
    };
    let size = NonZeroU16::new(1400).unwrap();
    let kind = SegmentKind::Tcp6;
    let meta = TxMeta::offload(partial, Some(Segmentation { kind, size }));
    let mut tx = Sink::tx(Medium::Ip, 9);
    let slices = slices(&text(3000), &[]);
    let frame = TxFrame::new(&headers, &slices, meta);
    assert_eq!(tx.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
    assert_eq!(tx.inner.frames.len(), 3);
    for frame in &mut tx.inner.frames {
        frame[39] ^= 0x55;
        let layout = Layout::of(Medium::Ip, frame).unwrap();
        assert!(layout.checksum_is_right(frame));
    }
}

#[test]
fn datagrams_have_their_own_lengths_and_checksums() {
    let mut headers = Tcp::new(Medium::Ip, true, &[0; 2480]).headers()[..40].to_vec();
    headers[6] = UDP;
    headers.extend([0x13, 0x88, 0, 53]);
    headers.extend(2508u16.to_be_bytes());
    headers.extend([0, 0]);
    put_word(&mut headers, 4, 2508);
    let layout = Layout::of(Medium::Ip, &headers).unwrap();
    put_pseudo(&mut headers, &layout, 2500);
    let meta = TxMeta::offload(
        PartialChecksum {
            start: 40,
            offset: 6,
        },
        Some(Segmentation {
            kind: SegmentKind::Udp,
            size: NonZeroU16::new(1000).unwrap(),
        }),
    );
    let payload = text(2500);
    let mut tx = Sink::tx(Medium::Ip, 9);
    let slices = slices(&payload, &[]);
    let frame = TxFrame::new(&headers, &slices, meta);
    assert_eq!(tx.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
    let mut whole = Vec::new();
    for (datagram, len) in tx.inner.frames.iter().zip([1000, 1000, 500]) {
        let layout = Layout::of(Medium::Ip, datagram).unwrap();
        assert!(layout.checksum_is_right(datagram) && layout.end == datagram.len());
        assert_eq!(word(datagram, 44), Some(len + 8));
        whole.extend_from_slice(&datagram[48..]);
    }
    assert_eq!(whole, payload);
}

#[test]
fn what_the_device_can_do_is_left_to_it() {
    let (a, b) = super::super::Pair::new(Capabilities::full(Medium::Ip, 1500), 4);
    let device = Segmented::new(a);
    assert!(device.capabilities().tso4);
    let ((_rx, mut tx), (mut rx, _tx)) = (device.split(), b.split());
    let tcp = Tcp::new(Medium::Ip, false, &text(9000));
    let headers = tcp.headers();
    let size = NonZeroU16::new(1460).unwrap();
    let kind = SegmentKind::Tcp4;
    let partial = PartialChecksum {
        start: 20,
        offset: 16,
    };
    let meta = TxMeta::offload(partial, Some(Segmentation { kind, size }));
    let slices = [Bytes::from(text(9000))];
    let frame = TxFrame::new(&headers, &slices, meta);
    assert_eq!(tx.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
    let mut batch = super::super::RxBatch::new(4);
    use super::super::Receive;
    assert_eq!(rx.receive(Instant::ZERO, &mut batch).unwrap(), 1);
    assert_eq!(batch.frames()[0].meta.segment_size, Some(size));
}
