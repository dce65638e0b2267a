//! Packets for others in the stack's target: what comes in on one interface and may leave by another.

use std::net::IpAddr;
use std::num::NonZeroU16;

use netloom::link::{RxChecksum, RxMeta};
use netloom::{ipv4, ipv6};

use super::super::wire;
use super::{Input, LENGTHS, PORTS, Rig, peer};

/// Addresses that a frame of our own may come from. What a server or router gave looks like another's, and is looked at less.
const OURS: [&str; 4] = ["10.7.0.2", "10.8.0.2", "fd07::2", "fd08::2"];

impl Rig {
    /// A packet from a host to a host, with any hops, of any length, whole or a fragment, merged or not.
    pub(super) fn transit(&mut self, input: &mut Input<'_>) {
        let on = input.below(self.on.len());
        let (src, dst) = (input.host(), input.host());
        let (hops, flags) = (input.byte(), input.byte());
        let len = LENGTHS[input.below(LENGTHS.len())].min(usize::from(u16::MAX) / 2);
        let mut body = vec![0x9c, 0x40, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0];
        body.extend([0; 4]);
        body.resize(20 + len, flags);
        if src.is_ipv4() != dst.is_ipv4() {
            return;
        }
        let mut packet = peer::packet(src, dst, 6, body, Some(16));
        match packet[0] >> 4 {
            4 => {
                packet[8] = hops;
                let offset = if flags & 8 == 0 { 0 } else { hops };
                packet[6] = (flags & 1) << 6 ^ 0x40 | (flags & 2) << 4;
                packet[7] = offset;
                packet[10..12].fill(0);
                let sum = wire::checksum(&[&packet[..20]]);
                packet[10..12].copy_from_slice(&sum);
            }
            _ => packet[7] = hops,
        }
        let size = NonZeroU16::new(u16::from(flags >> 4) * 100);
        let meta = RxMeta::new(self.now).with_segment_size(size);
        let meta = match flags & 4 {
            0 => meta,
            _ => meta.with_checksum(RxChecksum::Verified),
        };
        self.feed(on, &packet, meta);
    }
}

/// Is this a port that a NAT gives its inside hosts? Neither a user's nor one of those that our own sockets are given.
pub(super) fn is_of_nat(port: u16) -> bool {
    port >= 1024 && !(32_768..61_000).contains(&port) && !PORTS.contains(&port)
}

/// Is this frame passed on? Then all that can be said of it is that its header is sound, and that there are hops left.
pub(super) fn is_of_others(packet: &[u8]) -> bool {
    let src = match packet[0] >> 4 {
        4 => {
            let (header, _) = ipv4::Header::parse(packet).expect("a sound header");
            assert!(header.ttl() > 0 && header.total_len() == packet.len());
            IpAddr::V4(header.src())
        }
        _ => {
            let (header, _) = ipv6::Header::parse(packet).expect("a sound header");
            assert!(header.hop_limit() > 0 && header.total_len() == packet.len());
            IpAddr::V6(header.src())
        }
    };
    let of_link = match src {
        IpAddr::V4(src) => src.is_unspecified(),
        IpAddr::V6(src) => src.is_unspecified() || src.is_unicast_link_local(),
    };
    !of_link
        && !OURS
            .iter()
            .any(|ours| src == ours.parse::<IpAddr>().expect("a literal"))
}
