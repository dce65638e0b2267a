//! The ARP packet for IPv4 over Ethernet.
//!
//! RFC 826 "Packet format"; RFC 5227 §2.1.1 (probe), §2.3 (announcement). *Owns* the packet.
//! *Does not* decide what is learned or answered. Invariant: [`Packet::parse`] is total.
//!
//! ```text
//! | hardware type 1 | protocol 0x0800 | 6 | 4 | operation |
//! | sender mac, 6 | sender address, 4 | target mac, 6 | target address, 4 |
//! ```

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::base::MacAddr;
use crate::link::EtherType;

/// Bytes of a packet.
pub const PACKET_LEN: usize = size_of::<Wire>();

/// ar$hrd for Ethernet.
const ETHERNET: u16 = 1;

/// RFC 826 with ar$hln 6 and ar$pln 4, network order, no padding.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    hardware: U16,
    protocol: U16,
    hardware_len: u8,
    protocol_len: u8,
    operation: U16,
    sender_mac: MacAddr,
    sender: [u8; 4],
    target_mac: MacAddr,
    target: [u8; 4],
}

/// ar$op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation(pub u16);

impl Operation {
    /// ares_op$REQUEST.
    pub const REQUEST: Self = Self(1);
    /// ares_op$REPLY.
    pub const REPLY: Self = Self(2);
}

/// Why bytes are not an ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The packet is cut.
    #[error("arp packet needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that the packet takes.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// ar$hrd or ar$hln is not Ethernet's.
    #[error("arp hardware type {hardware} with addresses of {len} bytes is not ethernet")]
    Hardware {
        /// ar$hrd.
        hardware: u16,
        /// ar$hln.
        len: u8,
    },
    /// ar$pro or ar$pln is not IPv4's.
    #[error("arp protocol 0x{protocol:04x} with addresses of {len} bytes is not ipv4")]
    Protocol {
        /// ar$pro.
        protocol: u16,
        /// ar$pln.
        len: u8,
    },
}

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet {
    /// Request, reply, or something else that the receiver ignores.
    pub operation: Operation,
    /// ar$sha.
    pub sender_mac: MacAddr,
    /// ar$spa; `0.0.0.0` in a probe.
    pub sender: Ipv4Addr,
    /// ar$tha; zero in a request.
    pub target_mac: MacAddr,
    /// ar$tpa.
    pub target: Ipv4Addr,
}

impl Packet {
    /// Asks who has `target` (RFC 826 "Packet Generation").
    pub const fn request(sender_mac: MacAddr, sender: Ipv4Addr, target: Ipv4Addr) -> Self {
        Self {
            operation: Operation::REQUEST,
            sender_mac,
            sender,
            target_mac: MacAddr::ZERO,
            target,
        }
    }

    /// Asks whether anybody uses `address`, telling nobody anything (RFC 5227 §2.1.1).
    pub const fn probe(sender_mac: MacAddr, address: Ipv4Addr) -> Self {
        Self::request(sender_mac, Ipv4Addr::UNSPECIFIED, address)
    }

    /// Says that `address` is now ours (RFC 5227 §2.3).
    pub const fn announcement(sender_mac: MacAddr, address: Ipv4Addr) -> Self {
        Self::request(sender_mac, address, address)
    }

    /// The answer to this request by its target, whose link address is `mac` (RFC 826 "Packet
    /// Reception": the fields swapped).
    #[must_use]
    pub const fn reply(&self, mac: MacAddr) -> Self {
        Self {
            operation: Operation::REPLY,
            sender_mac: mac,
            sender: self.target,
            target_mac: self.sender_mac,
            target: self.sender,
        }
    }

    /// Is it a probe (RFC 5227 §1.1)?
    pub fn is_probe(&self) -> bool {
        self.operation == Operation::REQUEST && self.sender.is_unspecified()
    }

    /// Is it an announcement (RFC 5227 §1.1)?
    pub fn is_announcement(&self) -> bool {
        self.sender == self.target && !self.sender.is_unspecified()
    }

    /// Reads a packet; what follows it is padding.
    ///
    /// # Errors
    /// [`ParseError`] when it is cut, or not about IPv4 over Ethernet.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let (wire, _) = Wire::ref_from_prefix(bytes).map_err(|_| ParseError::Truncated {
            need: PACKET_LEN,
            have: bytes.len(),
        })?;
        let (hardware, protocol) = (wire.hardware.get(), wire.protocol.get());
        if (hardware, wire.hardware_len) != (ETHERNET, 6) {
            let len = wire.hardware_len;
            return Err(ParseError::Hardware { hardware, len });
        }
        if (protocol, wire.protocol_len) != (EtherType::IPV4.0, 4) {
            let len = wire.protocol_len;
            return Err(ParseError::Protocol { protocol, len });
        }
        Ok(Self {
            operation: Operation(wire.operation.get()),
            sender_mac: wire.sender_mac,
            sender: wire.sender.into(),
            target_mac: wire.target_mac,
            target: wire.target.into(),
        })
    }

    /// Writes the packet; returns how many bytes it took, [`PACKET_LEN`].
    ///
    /// # Panics
    /// When `buf` is shorter than that.
    pub fn emit(&self, buf: &mut [u8]) -> usize {
        let wire = Wire {
            hardware: ETHERNET.into(),
            protocol: EtherType::IPV4.0.into(),
            hardware_len: 6,
            protocol_len: 4,
            operation: self.operation.0.into(),
            sender_mac: self.sender_mac,
            sender: self.sender.octets(),
            target_mac: self.target_mac,
            target: self.target.octets(),
        };
        buf[..PACKET_LEN].copy_from_slice(wire.as_bytes());
        PACKET_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const IP: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);

    /// Covers: ACD-2, ACD-7, ARP-4, ARP-6.
    #[test]
    fn constructors() {
        let probe = Packet::probe(MAC, IP);
        assert_eq!((probe.sender, probe.target), (Ipv4Addr::UNSPECIFIED, IP));
        assert_eq!((probe.sender_mac, probe.target_mac), (MAC, MacAddr::ZERO));
        assert!(probe.is_probe() && !probe.is_announcement());
        let announcement = Packet::announcement(MAC, IP);
        assert_eq!((announcement.sender, announcement.target), (IP, IP));
        assert!(announcement.is_announcement() && !announcement.is_probe());
        let peer = Ipv4Addr::new(10, 7, 0, 1);
        let peer_mac = MacAddr::new([2, 0, 0, 0, 0, 9]);
        let reply = Packet::request(peer_mac, peer, IP).reply(MAC);
        assert_eq!((reply.sender_mac, reply.sender), (MAC, IP));
        assert_eq!((reply.target_mac, reply.target), (peer_mac, peer));
        assert_eq!(reply.operation, Operation::REPLY);
    }

    #[test]
    fn the_bytes_of_a_request() {
        let mut bytes = [0; PACKET_LEN];
        Packet::request(MAC, IP, Ipv4Addr::new(10, 7, 0, 1)).emit(&mut bytes);
        let expected = [
            0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 7, 0, 2, 0, 0, 0, 0, 0, 0, 10, 7, 0, 1,
        ];
        assert_eq!(bytes, expected);
    }

    /// Covers: ARP-1.
    #[test]
    fn r61_other_kinds_and_short_packets_are_refused() {
        let mut good = [0; PACKET_LEN];
        Packet::probe(MAC, IP).emit(&mut good);
        for (at, value, error) in [
            (
                1,
                6,
                ParseError::Hardware {
                    hardware: 6,
                    len: 6,
                },
            ),
            (
                4,
                8,
                ParseError::Hardware {
                    hardware: 1,
                    len: 8,
                },
            ),
            (
                4,
                0,
                ParseError::Hardware {
                    hardware: 1,
                    len: 0,
                },
            ),
            (
                3,
                1,
                ParseError::Protocol {
                    protocol: 0x0801,
                    len: 4,
                },
            ),
            (
                5,
                16,
                ParseError::Protocol {
                    protocol: 0x0800,
                    len: 16,
                },
            ),
        ] {
            let mut bytes = good;
            bytes[at] = value;
            assert_eq!(Packet::parse(&bytes), Err(error));
        }
        for have in 0..PACKET_LEN {
            let error = ParseError::Truncated { need: 28, have };
            assert_eq!(Packet::parse(&good[..have]), Err(error));
        }
    }

    proptest! {
        #[test]
        fn what_is_emitted_parses_to_the_same(
            operation: u16, macs: ([u8; 6], [u8; 6]), sender: [u8; 4], target: [u8; 4],
        ) {
            let packet = Packet {
                operation: Operation(operation),
                sender_mac: MacAddr::new(macs.0),
                sender: sender.into(),
                target_mac: MacAddr::new(macs.1),
                target: target.into(),
            };
            let mut bytes = [0; 46];
            prop_assert_eq!(packet.emit(&mut bytes), PACKET_LEN);
            prop_assert_eq!(Packet::parse(&bytes), Ok(packet));
        }

        #[test]
        fn any_bytes_parse_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Packet::parse(&bytes);
        }
    }
}
