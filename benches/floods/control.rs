//! Floods of what keeps a network going: fragments, advertisements of routers, redirects, leases, queries for groups.
//!
//! *Owns* the messages below their IP headers, by the RFCs' tables. *Does not* frame them: that is
//! [`Attacker`]'s.

use std::net::{Ipv4Addr, Ipv6Addr};

use netloom::base::checksum::checksum;
use netloom::base::{MacAddr, Protocol};
use netloom::link::ethernet::EtherType;
use netloom::{ipv4, ipv6, udp};

use super::{ADDRESS, Attacker, MAC, low, on_link};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr::new([0x33, 0x33, 0, 0, 0, 1]);
/// The text of a fragment.
const PIECE: usize = 1000;

impl Attacker {
    /// First pieces of datagrams that never become whole, each fourth contradicted by a second one.
    pub(super) fn next_fragment(&mut self) -> &[u8] {
        self.turn += 1;
        let second = self.turn.is_multiple_of(4);
        if !second {
            self.piece = self.random();
        }
        let (src, dst) = (on_link(self.piece), *self.target.listener.ip());
        let mut fields = ipv4::Fields::new(src, dst, Protocol::UDP);
        fields.id = low(self.piece) as u16;
        fields.dont_fragment = false;
        fields.more_fragments = true;
        fields.fragment_offset = if second { (PIECE / 8 - 1) as u16 } else { 0 };
        self.start(self.target.mac, MAC, EtherType::IPV4);
        let mut head = [0; 20];
        fields.emit(PIECE, &mut head);
        self.frame.extend(head);
        self.frame.extend([0x5a; PIECE]);
        &self.frame
    }

    /// Routers that nobody knows, each with a prefix, a route and a DNS server (RFC 4861 §4.2, RFC 4191 §2.3, RFC 8106
    /// §5.1).
    pub(super) fn next_advertisement(&mut self) -> &[u8] {
        let word = self.random();
        let mac = self.stranger();
        let router = link_local(word);
        let prefix = Ipv6Addr::new(
            0xfd00,
            low(word) as u16,
            low(word >> 16) as u16,
            0,
            0,
            0,
            0,
            0,
        );
        let mut message = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08];
        message.extend([0; 8]);
        message.extend([3, 4, 64, 0xc0]);
        message.extend(3600u32.to_be_bytes());
        message.extend(1800u32.to_be_bytes());
        message.extend([0; 4]);
        message.extend(prefix.octets());
        message.extend([24, 3, 48, 0x08]);
        message.extend(3600u32.to_be_bytes());
        message.extend(prefix.octets());
        message.extend([25, 3, 0, 0]);
        message.extend(3600u32.to_be_bytes());
        message.extend(router.octets());
        self.icmp6((router, mac), (ALL_NODES, ALL_NODES_MAC), &[], message)
    }

    /// In the name of the gateway, for hosts far away, to stations that do not exist (RFC 792, RFC 1122 §3.2.2.2).
    pub(super) fn next_redirect(&mut self) -> &[u8] {
        let word = self.random();
        let far = Ipv4Addr::from(0x0b00_0000 | low(word) & 0x00ff_ffff);
        let mut quoted = [0; 20];
        let ours = *self.target.listener.ip();
        ipv4::Fields::new(ours, far, Protocol::TCP).emit(1000, &mut quoted);
        let mut message = vec![5, 1, 0, 0];
        message.extend(on_link(word).octets());
        message.extend(quoted);
        message.extend(self.target.listener.port().to_be_bytes());
        message.extend([0; 6]);
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ip(*self.target.peer.ip(), Protocol::ICMP, &message)
    }

    /// Acknowledgements of leases that nobody asked for (RFC 2131 §2).
    pub(super) fn next_lease(&mut self) -> &[u8] {
        let word = self.random();
        let dst = *self.target.listener.ip();
        let mut message = vec![2, 1, 6, 0];
        message.extend(low(word).to_be_bytes());
        message.extend([0; 8]);
        message.extend(on_link(word).octets());
        message.extend([0; 8]);
        message.extend(self.target.mac.octets());
        message.resize(236, 0);
        message.extend([99, 130, 83, 99, 53, 1, 5, 51, 4, 0, 0, 14, 16, 54, 4]);
        message.extend(ADDRESS.octets());
        message.push(255);
        let mut datagram = vec![0; 8];
        let mut fields = udp::Fields::default();
        (fields.src_port, fields.dst_port) = (67, 68);
        fields.emit(message.len(), &mut datagram);
        datagram.extend(message);
        let sum = ipv4::pseudo_sum(ADDRESS, dst, Protocol::UDP, datagram.len())
            .bytes(&datagram)
            .finish();
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        self.ip(ADDRESS, Protocol::UDP, &datagram)
    }

    /// Queries of MLDv2, every other for one group, with delays at random (RFC 3810 §5.1).
    pub(super) fn next_query(&mut self) -> &[u8] {
        let word = self.random();
        let mac = self.stranger();
        let mut message = vec![130, 0, 0, 0];
        message.extend((low(word >> 8) as u16).to_be_bytes());
        message.extend([0; 2]);
        let mut group = [0; 16];
        if word.is_multiple_of(2) {
            group[..2].copy_from_slice(&[0xff, 0x02]);
            group[8..].copy_from_slice(&word.to_be_bytes());
        }
        message.extend(group);
        message.extend([2, 125, 0, 0]);
        // Hop-by-hop options with Router Alert (RFC 2711 §2.1).
        let alert = [Protocol::ICMPV6.0, 0, 5, 2, 0, 0, 1, 0];
        let from = (link_local(word), mac);
        self.icmp6(from, (ALL_NODES, ALL_NODES_MAC), &alert, message)
    }

    /// An ICMPv6 message with its checksum, behind hop-by-hop options if there are any.
    pub(super) fn icmp6(
        &mut self,
        (src, src_mac): (Ipv6Addr, MacAddr),
        (dst, dst_mac): (Ipv6Addr, MacAddr),
        options: &[u8],
        mut message: Vec<u8>,
    ) -> &[u8] {
        let sum = ipv6::pseudo_sum(src, dst, Protocol::ICMPV6, message.len())
            .bytes(&message)
            .finish();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.start(dst_mac, src_mac, EtherType::IPV6);
        let next = match options {
            [] => Protocol::ICMPV6,
            _ => Protocol::HOP_BY_HOP,
        };
        let mut fields = ipv6::Fields::new(src, dst, next);
        fields.hop_limit = if options.is_empty() { 255 } else { 1 };
        let mut head = [0; 40];
        fields.emit(options.len() + message.len(), &mut head);
        self.frame.extend(head);
        self.frame.extend(options);
        self.frame.extend(message);
        &self.frame
    }
}

fn link_local(word: u64) -> Ipv6Addr {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&[0xfe, 0x80]);
    bytes[8..].copy_from_slice(&(word | 0x1000).to_be_bytes());
    Ipv6Addr::from(bytes)
}
