//! What it costs to read a frame and to sum one up: `cargo bench --bench parse`.

#![allow(clippy::cast_possible_truncation)]

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use netloom::base::checksum::{Sum, checksum};
use netloom::base::{MacAddr, Protocol};
use netloom::link::{EtherType, ethernet};
use netloom::{ipv4, tcp};

const SRC: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
const DST: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);

/// An Ethernet frame of 1514 bytes: IPv4, TCP with timestamps, 1448 bytes of text.
fn full_frame() -> Vec<u8> {
    let mut options = tcp::Options::default();
    options.timestamps = Some((0x0102_0304, 0x0506_0708));
    let mut fields = tcp::Fields::default();
    (fields.src_port, fields.dst_port) = (40_000, 80);
    (fields.seq, fields.ack, fields.window) = (1, 2, 64_240);
    fields.flags = tcp::Flags::ACK;

    let mut segment = vec![0; 60];
    let header_len = fields.emit(&options, &mut segment);
    segment.truncate(header_len);
    segment.extend((0..1448).map(|n| n as u8));
    let sum = ipv4::pseudo_sum(SRC, DST, Protocol::TCP, segment.len()).bytes(&segment);
    segment[16..18].copy_from_slice(&sum.finish().to_be_bytes());

    let macs = [2, 3].map(|n| MacAddr::new([2, 0, 0, 0, 0, n]));
    let mut frame = vec![0; 34];
    ethernet::Fields::new(macs[0], macs[1], EtherType::IPV4).emit(&mut frame);
    ipv4::Fields::new(SRC, DST, Protocol::TCP).emit(segment.len(), &mut frame[14..]);
    frame.extend_from_slice(&segment);
    frame
}

/// Reads Ethernet, IPv4 and TCP with its options, as far as a connection needs them.
fn parse(frame: &[u8], verify: bool) -> Option<(tcp::Fields, tcp::Options, usize)> {
    let (_, packet) = ethernet::Header::parse(frame).ok()?;
    let (ip, segment) = ipv4::Header::parse(packet).ok()?;
    if verify {
        let pseudo = ipv4::pseudo_sum(ip.src(), ip.dst(), ip.protocol(), segment.len());
        if !pseudo.bytes(segment).is_valid() {
            return None;
        }
    }
    let (header, text) = tcp::Header::parse(segment).ok()?;
    let options = tcp::Options::parse(header.options_bytes());
    Some((header.fields(), options, text.len()))
}

fn parse_frame(c: &mut Criterion) {
    let frame = full_frame();
    assert_eq!(frame.len(), 1514);
    let text_len = parse(&frame, true).map(|(_, _, len)| len);
    assert_eq!(text_len, Some(1448), "the frame is a right one");
    let mut group = c.benchmark_group("parse/tcp4-1514");
    group.throughput(Throughput::Elements(1));
    for (name, verify) in [("checksum-off", false), ("checksum-on", true)] {
        group.bench_function(name, |b| b.iter(|| parse(black_box(&frame), verify)));
    }
    group.finish();
}

fn sums(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    for len in [64, 1460, 65_536] {
        let data: Vec<u8> = (0..len).map(|n| n as u8).collect();
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(len.to_string(), |b| b.iter(|| checksum(black_box(&data))));
    }
    // The payload of a super-segment as the sender has it: slices, the second at an odd place.
    let data = vec![0x5a; 65_483];
    let (head, tail) = data.split_at(16_383);
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("65483-in-two-slices", |b| {
        b.iter(|| Sum::new().slices(black_box(&[head, tail])).finish());
    });
    group.finish();
}

criterion_group!(benches, parse_frame, sums);
criterion_main!(benches);
