//! IPv6: header, extension headers, ICMPv6, neighbour and listener discovery, what routers say.
//!
//! RFC 8200, RFC 4443 (ICMPv6), RFC 4861 (NDP), RFC 3810 (MLD), RFC 4291 (addresses), RFC 4862 (addresses without a server).

pub(crate) mod discovery;
pub mod extension;
mod header;
pub mod icmp;
pub mod mld;
pub mod ndp;

pub use header::{Fields, HEADER_LEN, Header, ParseError, pseudo_sum};

use core::net::Ipv6Addr;

/// ff02::1, every node on the link (RFC 4291 §2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// ff02::2, every router on the link (RFC 4291 §2.7.1).
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// The solicited-node multicast address of `address`: ff02::1:ff00:0 and its low 24 bits (RFC 4291
/// §2.7.1; r64).
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    let low = u16::from_be_bytes([b, c]);
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | a as u16, low)
}

/// The link-local address with this interface identifier (RFC 4291 §2.5.6).
pub const fn link_local(interface_id: [u8; 8]) -> Ipv6Addr {
    let low = u64::from_be_bytes(interface_id);
    Ipv6Addr::from_bits((0xfe80 << 112) | low as u128)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: ETH-10, NDP-40. r64: all 24 bits.
    #[test]
    fn r64_derived_addresses() {
        let address: Ipv6Addr = "2001:db8::1234:56ab:cdef".parse().unwrap();
        assert_eq!(solicited_node(address).to_string(), "ff02::1:ffab:cdef");
        let local = link_local([0, 0, 0, 0xff, 0xfe, 0, 0, 0xa]);
        assert_eq!(local.to_string(), "fe80::ff:fe00:a");
    }
}
