//! What it costs to read a frame and to sum one up, beside smoltcp and etherparse:
//! `cargo bench --bench parse`.

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

/// What a connection needs of a frame.
struct Read {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    fields: tcp::Fields,
    options: tcp::Options,
    text_len: usize,
}

/// Reads Ethernet, IPv4 (its checksum always verified) and TCP with its options.
fn netloom(frame: &[u8], verify: bool) -> Option<Read> {
    let (link, packet) = ethernet::Header::parse(frame).ok()?;
    if link.ether_type() != EtherType::IPV4 {
        return None;
    }
    let (ip, segment) = ipv4::Header::parse(packet).ok()?;
    let (src, dst) = (ip.src(), ip.dst());
    if verify {
        let pseudo = ipv4::pseudo_sum(src, dst, ip.protocol(), segment.len());
        if !pseudo.bytes(segment).is_valid() {
            return None;
        }
    }
    let (header, text) = tcp::Header::parse(segment).ok()?;
    Some(Read {
        src,
        dst,
        fields: header.fields(),
        options: tcp::Options::parse(header.options_bytes()),
        text_len: text.len(),
    })
}

/// The same by smoltcp: checked parse and `Repr` of each layer.
mod smol {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        EthernetFrame, EthernetProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, TcpRepr,
    };

    pub(crate) fn parse<'a>(
        frame: &'a [u8],
        checksums: &ChecksumCapabilities,
    ) -> Option<(Ipv4Repr, TcpRepr<'a>)> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        let ip = Ipv4Repr::parse(&packet, checksums).ok()?;
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        let (src, dst) = (ip.src_addr.into(), ip.dst_addr.into());
        let tcp = TcpRepr::parse(&segment, &src, &dst, checksums).ok()?;
        Some((ip, tcp))
    }
}

/// The same by etherparse: sliced, then the TCP header as a value with its timestamps.
mod ether {
    use etherparse::{NetSlice, SlicedPacket, TcpHeader, TcpOptionElement, TransportSlice};

    pub(crate) struct Read {
        pub(crate) addresses: ([u8; 4], [u8; 4]),
        pub(crate) tcp: TcpHeader,
        pub(crate) timestamps: Option<(u32, u32)>,
        pub(crate) text_len: usize,
    }

    pub(crate) fn parse(frame: &[u8], verify: bool) -> Option<Read> {
        let packet = SlicedPacket::from_ethernet(frame).ok()?;
        let Some(NetSlice::Ipv4(ip)) = packet.net else {
            return None;
        };
        let Some(TransportSlice::Tcp(segment)) = packet.transport else {
            return None;
        };
        let header = ip.header();
        let (src, dst) = (header.source(), header.destination());
        if verify {
            let ip_sum = header.to_header().calc_header_checksum();
            let sum = segment.calc_checksum_ipv4(src, dst).ok()?;
            if ip_sum != header.header_checksum() || sum != segment.checksum() {
                return None;
            }
        }
        let timestamps = segment.options_iterator().find_map(|option| match option {
            Ok(TcpOptionElement::Timestamp(val, ecr)) => Some((val, ecr)),
            _ => None,
        });
        Some(Read {
            addresses: (src, dst),
            tcp: segment.to_header(),
            timestamps,
            text_len: segment.payload().len(),
        })
    }
}

/// All three read the same.
fn check(frame: &[u8]) {
    let ours = netloom(frame, true).expect("the frame is a right one");
    assert_eq!((ours.src, ours.dst, ours.text_len), (SRC, DST, 1448));
    let (ip, tcp) = smol::parse(frame, &Default::default()).expect("smoltcp reads it");
    assert_eq!((ip.src_addr, ip.dst_addr), (ours.src, ours.dst));
    assert_eq!(tcp.payload.len(), ours.text_len);
    assert_eq!(tcp.src_port, ours.fields.src_port);
    assert!(tcp.timestamp.is_some());
    let other = ether::parse(frame, true).expect("etherparse reads it");
    assert_eq!(other.addresses, (ours.src.octets(), ours.dst.octets()));
    assert_eq!(other.tcp.sequence_number, ours.fields.seq);
    assert_eq!(other.timestamps, ours.options.timestamps);
    assert_eq!(other.text_len, ours.text_len);
}

fn parse_frame(c: &mut Criterion) {
    let frame = full_frame();
    assert_eq!(frame.len(), 1514);
    check(&frame);
    for (name, verify) in [("checksum-off", false), ("checksum-on", true)] {
        let mut group = c.benchmark_group(format!("parse/tcp4-1514/{name}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("netloom", |b| b.iter(|| netloom(black_box(&frame), verify)));
        let checksums = if verify {
            smoltcp::phy::ChecksumCapabilities::default()
        } else {
            smoltcp::phy::ChecksumCapabilities::ignored()
        };
        group.bench_function("smoltcp", |b| {
            b.iter(|| smol::parse(black_box(&frame), &checksums));
        });
        group.bench_function("etherparse", |b| {
            b.iter(|| ether::parse(black_box(&frame), verify));
        });
        group.finish();
    }
}

fn sums(c: &mut Criterion) {
    for len in [64, 1460, 65_536] {
        let data: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let mut group = c.benchmark_group(format!("checksum/{len}"));
        group.throughput(Throughput::BytesDecimal(len as u64));
        group.bench_function("netloom", |b| b.iter(|| checksum(black_box(&data))));
        group.bench_function("smoltcp", |b| {
            b.iter(|| smoltcp::wire::checksum::data(black_box(&data)));
        });
        group.finish();
    }
    // The payload of a super-segment as the sender has it: slices, the second at an odd place.
    let data = vec![0x5a; 65_483];
    let (head, tail) = data.split_at(16_383);
    let mut group = c.benchmark_group("checksum/65483-in-two-slices");
    group.throughput(Throughput::BytesDecimal(data.len() as u64));
    group.bench_function("netloom", |b| {
        b.iter(|| Sum::new().slices(black_box(&[head, tail])).finish());
    });
    group.finish();
}

criterion_group!(benches, parse_frame, sums);
criterion_main!(benches);
