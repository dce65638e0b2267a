//! Ends that a packet gets instead of its own, written into its headers.
//!
//! RFC 1624 §3, RFC 3022 §4.1 to §4.3, RFC 768 (no checksum stays none). *Owns* where they stand, and the checksums over them, which are
//! changed by the difference alone: what was wrong stays wrong, and payload is not read. *Does not* choose ends.

use core::net::SocketAddrV4;

use super::table::Kind;
use crate::base::checksum::update;
use crate::link::layout::{put_word, word};

/// Where IPv4 has its header's checksum and its addresses.
const CHECKSUM: usize = 10;
const SRC: usize = 12;
const DST: usize = 16;

/// What changes.
#[derive(Clone, Copy, Debug)]
pub(in crate::stack::ip::forward) struct Edit {
    pub(super) kind: Kind,
    pub(super) src: Option<SocketAddrV4>,
    pub(super) dst: Option<SocketAddrV4>,
}

/// Bytes of a query's header (RFC 792).
pub(in crate::stack::ip::forward) const QUERY_LEN: usize = 8;

impl Edit {
    pub(super) const fn src(kind: Kind, src: SocketAddrV4) -> Self {
        let (src, dst) = (Some(src), None);
        Self { kind, src, dst }
    }

    pub(super) const fn dst(kind: Kind, dst: SocketAddrV4) -> Self {
        let (src, dst) = (None, Some(dst));
        Self { kind, src, dst }
    }

    pub(in crate::stack::ip::forward) const fn ends(
        self,
    ) -> (Option<SocketAddrV4>, Option<SocketAddrV4>) {
        (self.src, self.dst)
    }

    /// Both.
    pub(in crate::stack::ip::forward) fn and(self, other: Self) -> Self {
        Self {
            kind: self.kind,
            src: other.src.or(self.src),
            dst: other.dst.or(self.dst),
        }
    }

    /// Where ports, or the identifier, and the checksum stand in the transport's header.
    const fn places(self) -> (usize, usize, usize) {
        match self.kind {
            Kind::Tcp => (0, 2, 16),
            Kind::Udp => (0, 2, 6),
            Kind::Query => (4, 4, 2),
        }
    }

    /// Writes them into a packet, or as much of one as is there, whose transport header begins at `l4`. A `partial` checksum has the sum of the
    /// pseudo-header alone, as it is.
    pub(in crate::stack::ip::forward) fn apply(&self, bytes: &mut [u8], l4: usize, partial: bool) {
        let (src_at, dst_at, sum_at) = self.places();
        let field = l4 + sum_at;
        let there = word(bytes, field);
        let none = self.kind == Kind::Udp && !partial && there == Some(0);
        let mut sum = there.filter(|_| !none);
        let mut change = |bytes: &mut [u8], at: usize, new: u16, pseudo: bool| {
            let Some(old) = word(bytes, at) else { return };
            put_word(bytes, at, new);
            if pseudo && let Some(header) = word(bytes, CHECKSUM) {
                put_word(bytes, CHECKSUM, update(header, old, new));
            }
            let counts = match self.kind {
                // RFC 792: there is no pseudo-header.
                Kind::Query => !pseudo,
                _ => pseudo || !partial,
            };
            if counts && let Some(before) = sum {
                sum = Some(match partial {
                    true => !update(!before, old, new),
                    false => update(before, old, new),
                });
            }
        };
        for (end, address_at, port_at) in [(self.src, SRC, src_at), (self.dst, DST, dst_at)] {
            let Some(end) = end else { continue };
            let [a, b, c, d] = end.ip().octets();
            change(bytes, address_at, u16::from_be_bytes([a, b]), true);
            change(bytes, address_at + 2, u16::from_be_bytes([c, d]), true);
            change(bytes, l4 + port_at, end.port(), false);
        }
        if let Some(sum) = sum {
            let all_ones = self.kind == Kind::Udp && !partial && sum == 0;
            put_word(bytes, field, if all_ones { 0xffff } else { sum });
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::base::checksum::{Sum, checksum};
    use proptest::prelude::*;

    const fn protocol(kind: Kind) -> u8 {
        match kind {
            Kind::Tcp => 6,
            Kind::Udp => 17,
            Kind::Query => 1,
        }
    }

    fn packet(kind: Kind, src: SocketAddrV4, dst: SocketAddrV4, text: &[u8]) -> Vec<u8> {
        let len = if kind == Kind::Tcp { 20 } else { 8 };
        let mut l4 = vec![0; len];
        let mut sum = Sum::new();
        if kind == Kind::Query {
            l4[0] = 8;
            put_word(&mut l4, 4, src.port());
        } else {
            put_word(&mut l4, 0, src.port());
            put_word(&mut l4, 2, dst.port());
            let all = u16::try_from(len + text.len()).unwrap();
            sum = sum.bytes(&src.ip().octets()).bytes(&dst.ip().octets());
            sum = sum.word(u16::from(protocol(kind))).word(all);
        }
        let at = match kind {
            Kind::Tcp => 16,
            Kind::Udp => 6,
            Kind::Query => 2,
        };
        let field = match sum.bytes(&l4).bytes(text).finish() {
            0 if kind == Kind::Udp => 0xffff,
            sum => sum,
        };
        put_word(&mut l4, at, field);
        let mut packet = vec![0; 20];
        packet[0] = 0x45;
        packet[8] = 64;
        packet[9] = protocol(kind);
        let total = u16::try_from(20 + len + text.len()).unwrap();
        put_word(&mut packet, 2, total);
        packet[SRC..SRC + 4].copy_from_slice(&src.ip().octets());
        packet[DST..DST + 4].copy_from_slice(&dst.ip().octets());
        let header = checksum(&packet);
        put_word(&mut packet, CHECKSUM, header);
        packet.extend(l4);
        packet.extend(text);
        packet
    }

    proptest! {
        /// Covers: NAT-2 (the checksums of any packet are right after it, as if it had been made so).
        #[test]
        fn equals_a_packet_made_with_these_ends(
            kind in 0..3u8, ends: [(u32, u16); 4], both: bool,
            text in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let kind = [Kind::Tcp, Kind::Udp, Kind::Query][usize::from(kind)];
            let end = |(a, port): (u32, u16)| SocketAddrV4::new(Ipv4Addr::from_bits(a), port);
            let [src, dst, new_src, mut new_dst] = ends.map(end);
            if kind == Kind::Query {
                new_dst.set_port(new_src.port());
            }
            let mut bytes = packet(kind, src, dst, &text);
            let edit = Edit { kind, src: Some(new_src), dst: both.then_some(new_dst) };
            edit.apply(&mut bytes, 20, false);
            let dst = if both { new_dst } else { dst };
            prop_assert_eq!(bytes, packet(kind, new_src, dst, &text));
        }
    }

    /// Covers: NAT-2 (RFC 768: no checksum stays none).
    #[test]
    fn no_checksum_stays_none() {
        let end = |port| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), port);
        let mut bytes = packet(Kind::Udp, end(1), end(2), b"text");
        put_word(&mut bytes, 26, 0);
        Edit::src(Kind::Udp, end(9)).apply(&mut bytes, 20, false);
        assert_eq!(word(&bytes, 26), Some(0));
    }
}
