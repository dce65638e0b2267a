use core::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::arp;
use crate::base::checksum::Sum;
use crate::base::{MacAddr, Protocol};
use crate::ipv4::icmp as icmp4;
use crate::ipv6::{icmp as icmp6, ndp};
use crate::link::{EtherType, PartialChecksum, VlanTag, ethernet};
use crate::tcp::{self, Flags};
use crate::{ipv4, ipv6, udp};
use proptest::prelude::*;

const A: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
const A6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
const MAC_A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);
const MAC_B: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xb]);

fn line(link: Link, data: &[u8]) -> String {
    let decoder = Decoder::new(link);
    decoder
        .line(data, data.len(), RxChecksum::Unknown)
        .to_string()
}

fn ip_line(packet: &[u8]) -> String {
    line(Link::Ip, packet)
}

fn ethernet_line(ether_type: EtherType, payload: &[u8]) -> String {
    let mut frame = vec![0; 14];
    ethernet::Fields::new(MAC_B, MAC_A, ether_type).emit(&mut frame);
    frame.extend_from_slice(payload);
    line(Link::Ethernet, &frame)
}

fn ip4(protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 20];
    ipv4::Fields::new(A, B, protocol).emit(payload.len(), &mut packet);
    packet.extend_from_slice(payload);
    packet
}

fn ip6(first: Protocol, payload: &[u8]) -> Vec<u8> {
    ip6_from(A6, B6, 64, first, payload)
}

fn ip6_from(src: Ipv6Addr, dst: Ipv6Addr, hops: u8, first: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40];
    let mut fields = ipv6::Fields::new(src, dst, first);
    fields.hop_limit = hops;
    fields.emit(payload.len(), &mut packet);
    packet.extend_from_slice(payload);
    packet
}

/// Puts the checksum of a transport packet where it belongs.
fn sum_up(mut bytes: Vec<u8>, pseudo: Sum, at: usize) -> Vec<u8> {
    let sum = pseudo.bytes(&bytes).finish();
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn segment(flags: Flags, options: &tcp::Options, text: &[u8]) -> Vec<u8> {
    let fields = tcp::Fields {
        src_port: 40000,
        dst_port: 80,
        seq: 1000,
        ack: 2000,
        flags,
        window: 64240,
        urgent: 5,
    };
    let mut bytes = vec![0; 60];
    let len = fields.emit(options, &mut bytes);
    bytes.truncate(len);
    bytes.extend_from_slice(text);
    bytes
}

fn tcp4(flags: Flags, options: &tcp::Options, text: &[u8]) -> Vec<u8> {
    let bytes = segment(flags, options, text);
    let pseudo = ipv4::pseudo_sum(A, B, Protocol::TCP, bytes.len());
    ip4(Protocol::TCP, &sum_up(bytes, pseudo, tcp::CHECKSUM_OFFSET))
}

fn datagram(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    udp::Fields::new(1234, 53).emit(data.len(), &mut bytes);
    bytes.extend_from_slice(data);
    bytes
}

fn udp4(data: &[u8]) -> Vec<u8> {
    let bytes = datagram(data);
    let pseudo = ipv4::pseudo_sum(A, B, Protocol::UDP, bytes.len());
    ip4(Protocol::UDP, &sum_up(bytes, pseudo, udp::CHECKSUM_OFFSET))
}

fn udp6(data: &[u8]) -> Vec<u8> {
    let bytes = datagram(data);
    let pseudo = ipv6::pseudo_sum(A6, B6, Protocol::UDP, bytes.len());
    sum_up(bytes, pseudo, udp::CHECKSUM_OFFSET)
}

fn icmp(message: icmp4::Message<'_>) -> Vec<u8> {
    let mut bytes = vec![0; message.len()];
    message.emit(&mut bytes);
    ip4(Protocol::ICMP, &bytes)
}

fn icmp6(src: Ipv6Addr, dst: Ipv6Addr, message: icmp6::Message<'_>) -> Vec<u8> {
    let mut bytes = vec![0; message.len()];
    message.emit(src, dst, &mut bytes);
    ip6_from(src, dst, 255, Protocol::ICMPV6, &bytes)
}

#[test]
fn dump() {
    let mut n = 0;
    let mut show = |l: String| {
        n += 1;
        println!("{n}: {l}");
    };
    show(ip_line(&tcp4(
        Flags::SYN,
        &tcp::Options {
            mss: Some(1460),
            sack_permitted: true,
            timestamps: Some((1, 0)),
            window_scale: Some(7),
            ..tcp::Options::NONE
        },
        b"",
    )));
    show(ip_line(&tcp4(
        Flags::all(),
        &tcp::Options {
            sack: [(1, 2), (4, 9)].into_iter().collect(),
            ..tcp::Options::NONE
        },
        b"hello",
    )));
    show(ip_line(&tcp4(Flags::empty(), &tcp::Options::NONE, b"")));
    show(ip_line(&udp4(b"abc")));
    show(ip_line(&ip6(Protocol::UDP, &udp6(b"abc"))));
    let q = udp4(b"abc");
    show(ip_line(&icmp(icmp4::Message::DestinationUnreachable {
        code: icmp4::UnreachableCode::PORT,
        next_hop_mtu: 0,
        quoted: &q[..28],
    })));
    let q = ip6(Protocol::UDP, &udp6(b"abc"));
    show(ip_line(&icmp6(
        A6,
        B6,
        icmp6::Message::DestinationUnreachable {
            code: icmp6::UnreachableCode::PORT,
            quoted: &q[..48],
        },
    )));
    let o = ndp::Options::source_link_address_bytes(MAC_A);
    show(ip_line(&icmp6(
        A6,
        B6,
        icmp6::Message::Ndp(ndp::Message::NeighborSolicitation {
            target: B6,
            options: ndp::Options::new(&o),
        }),
    )));
    let mut p = [0; 28];
    arp::Packet::request(MAC_A, A, B).emit(&mut p);
    show(ethernet_line(EtherType::ARP, &p));
}
