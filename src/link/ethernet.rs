//! The Ethernet II header and the 802.1Q tag.
//!
//! RFC 894, RFC 1122 §2.3.3, RFC 1042 §1 (telling lengths from types), RFC 2464, IEEE 802.1Q §9.6; the multicast
//! maps of RFC 1112 §6.4 and RFC 2464 §7. *Owns* the link header. *Does not* read 802.2 LLC or
//! SNAP, nor pad: a TAP device takes short frames. Invariant: [`Header::parse`] is total.
//!
//! ```text
//! | destination, 6 | source, 6 | [0x8100, 2 | priority 3, DEI 1, VLAN id 12] | type, 2 | payload
//! ```

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::base::MacAddr;

/// Bytes of the header without a tag.
pub const HEADER_LEN: usize = size_of::<Wire>();
/// Bytes that an 802.1Q tag adds.
pub const TAG_LEN: usize = size_of::<WireTag>();

/// What a frame carries, IANA "IEEE 802 Numbers".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4, RFC 894.
    pub const IPV4: Self = Self(0x0800);
    /// ARP, RFC 826.
    pub const ARP: Self = Self(0x0806);
    /// A customer VLAN tag, IEEE 802.1Q.
    pub const VLAN: Self = Self(0x8100);
    /// IPv6, RFC 2464 §3.
    pub const IPV6: Self = Self(0x86dd);
    /// A service VLAN tag, IEEE 802.1ad.
    pub const SERVICE_VLAN: Self = Self(0x88a8);

    /// Is it an 802.3 length rather than a type? Types begin at 0x0600 (RFC 894, IEEE 802.3 §3.2.6).
    pub const fn is_length(self) -> bool {
        self.0 < 0x0600
    }
}

impl fmt::Debug for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

impl fmt::Display for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The tag control information of an 802.1Q tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VlanTag(u16);

impl VlanTag {
    /// The tag of VLAN `id`, of which the low 12 bits count, with priority 0. Id 0 means that only
    /// the priority counts (IEEE 802.1Q table 9-2).
    pub const fn new(id: u16) -> Self {
        Self(id & 0x0fff)
    }

    /// The same with this priority code point, of which the low 3 bits count.
    #[must_use]
    pub const fn with_priority(self, priority: u8) -> Self {
        let [high, low] = self.0.to_be_bytes();
        Self(u16::from_be_bytes([(high & 0x1f) | (priority << 5), low]))
    }

    /// The VLAN's id: 0 to 4095.
    pub const fn id(self) -> u16 {
        self.0 & 0x0fff
    }

    /// The priority code point: 0 to 7.
    pub const fn priority(self) -> u8 {
        self.0.to_be_bytes()[0] >> 5
    }

    /// May the frame be dropped before others (DEI)?
    pub const fn drop_eligible(self) -> bool {
        self.0 & 0x1000 != 0
    }

    /// Reads what follows a tag's type: the tag, the next type, and the rest.
    pub fn parse(bytes: &[u8]) -> Option<(Self, EtherType, &[u8])> {
        let (wire, rest) = WireTag::ref_from_prefix(bytes).ok()?;
        Some((
            Self(wire.control.get()),
            EtherType(wire.ether_type.get()),
            rest,
        ))
    }
}

/// RFC 894, network order, no padding.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    dst: MacAddr,
    src: MacAddr,
    ether_type: U16,
}

/// What a tag puts behind its type 0x8100.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct WireTag {
    control: U16,
    ether_type: U16,
}

/// Why bytes are not an Ethernet frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The frame ends before the header, or before the tag that it announces.
    #[error("ethernet header needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that the header takes.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
}

/// A view of an Ethernet II header with at most one 802.1Q tag.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    wire: &'a Wire,
    tag: Option<(VlanTag, EtherType)>,
}

impl<'a> Header<'a> {
    /// Splits a frame into its header and its payload; padding stays part of the payload.
    ///
    /// Of several tags only the first belongs to the header: the type is then that of the next one.
    ///
    /// # Errors
    /// [`ParseError`] when the header or its tag is cut.
    #[inline]
    pub fn parse(frame: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let truncated = |need| ParseError::Truncated {
            need,
            have: frame.len(),
        };
        let (wire, rest) = Wire::ref_from_prefix(frame).map_err(|_| truncated(HEADER_LEN))?;
        if EtherType(wire.ether_type.get()) != EtherType::VLAN {
            return Ok((Self { wire, tag: None }, rest));
        }
        let (tag, ether_type, rest) =
            VlanTag::parse(rest).ok_or_else(|| truncated(HEADER_LEN + TAG_LEN))?;
        let tag = Some((tag, ether_type));
        Ok((Self { wire, tag }, rest))
    }

    /// The receiver's address.
    pub fn dst(&self) -> MacAddr {
        self.wire.dst
    }

    /// The sender's address.
    pub fn src(&self) -> MacAddr {
        self.wire.src
    }

    /// The 802.1Q tag.
    pub fn tag(&self) -> Option<VlanTag> {
        self.tag.map(|(tag, _)| tag)
    }

    /// What the payload is, behind the tag when there is one.
    #[inline]
    pub fn ether_type(&self) -> EtherType {
        let plain = EtherType(self.wire.ether_type.get());
        self.tag.map_or(plain, |(_, ether_type)| ether_type)
    }

    /// Bytes of the header: 14, or 18 with a tag.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        HEADER_LEN + self.tag.map_or(0, |_| TAG_LEN)
    }

    /// The same header as a value that can be changed and emitted.
    #[inline]
    pub fn fields(&self) -> Fields {
        Fields {
            dst: self.dst(),
            src: self.src(),
            tag: self.tag(),
            ether_type: self.ether_type(),
        }
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

/// What an Ethernet header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fields {
    /// The receiver's address.
    pub dst: MacAddr,
    /// The sender's address.
    pub src: MacAddr,
    /// The 802.1Q tag.
    pub tag: Option<VlanTag>,
    /// What the payload is.
    pub ether_type: EtherType,
}

impl Fields {
    /// A header without a tag.
    pub const fn new(dst: MacAddr, src: MacAddr, ether_type: EtherType) -> Self {
        Self {
            dst,
            src,
            tag: None,
            ether_type,
        }
    }

    /// Bytes that [`emit`](Self::emit) takes: 14, or 18 with a tag.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        HEADER_LEN + self.tag.map_or(0, |_| TAG_LEN)
    }

    /// Writes the header; returns how many bytes it took.
    ///
    /// # Panics
    /// When `buf` is shorter than [`len`](Self::len).
    pub fn emit(&self, buf: &mut [u8]) -> usize {
        let (head, rest) = buf.split_at_mut(HEADER_LEN);
        let outer = self.tag.map_or(self.ether_type, |_| EtherType::VLAN);
        let wire = Wire {
            dst: self.dst,
            src: self.src,
            ether_type: outer.0.into(),
        };
        head.copy_from_slice(wire.as_bytes());
        if let Some(tag) = self.tag {
            let wire = WireTag {
                control: tag.0.into(),
                ether_type: self.ether_type.0.into(),
            };
            rest[..TAG_LEN].copy_from_slice(wire.as_bytes());
        }
        self.len()
    }
}

/// The address of an IPv4 multicast group on Ethernet: 01:00:5e and the low 23 bits (RFC 1112 §6.4).
pub const fn ipv4_multicast(group: Ipv4Addr) -> MacAddr {
    let [_, b, c, d] = group.octets();
    MacAddr::new([0x01, 0x00, 0x5e, b & 0x7f, c, d])
}

/// The address of an IPv6 multicast group on Ethernet: 33:33 and the low 32 bits (RFC 2464 §7).
pub const fn ipv6_multicast(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr::new([0x33, 0x33, a, b, c, d])
}

/// The modified EUI-64 interface identifier of a station (RFC 2464 §4).
pub const fn eui64(mac: MacAddr) -> [u8; 8] {
    let [a, b, c, d, e, f] = mac.octets();
    [a ^ 0x02, b, c, 0xff, 0xfe, d, e, f]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);
    const B: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xb]);

    /// Covers: ETH-1.
    #[test]
    fn types_and_lengths_are_told_apart() {
        for (value, is_length) in [
            (0, true),
            (39, true),
            (1500, true),
            (0x05ff, true),
            (0x0600, false),
            (0x0800, false),
            (0x0806, false),
            (0x86dd, false),
        ] {
            let mut frame = [0; 16];
            Fields::new(A, B, EtherType(value)).emit(&mut frame);
            let (header, payload) = Header::parse(&frame).unwrap();
            assert_eq!((header.dst(), header.src()), (A, B));
            assert_eq!(header.ether_type(), EtherType(value));
            assert_eq!(header.ether_type().is_length(), is_length, "{value}");
            assert_eq!(payload.len(), 2);
        }
    }

    #[test]
    fn a_tag_is_part_of_the_header() {
        let mut fields = Fields::new(A, B, EtherType::IPV4);
        fields.tag = Some(VlanTag::new(0xf064).with_priority(5));
        let mut frame = [0; 20];
        assert_eq!(fields.emit(&mut frame), 18);
        assert_eq!(frame[12..18], [0x81, 0, 0xa0, 0x64, 0x08, 0]);
        let (header, payload) = Header::parse(&frame).unwrap();
        let tag = header.tag().unwrap();
        assert_eq!((tag.id(), tag.priority()), (100, 5));
        assert!(!tag.drop_eligible());
        assert_eq!(header.ether_type(), EtherType::IPV4);
        assert_eq!((header.len(), payload.len()), (18, 2));
    }

    /// r61: frames that end inside the header or the tag.
    #[test]
    fn r61_short_frames() {
        let mut frame = [0; 18];
        Fields::new(A, B, EtherType::VLAN).emit(&mut frame);
        for have in 0..18 {
            let need = if have < 14 { 14 } else { 18 };
            let error = Header::parse(&frame[..have]).map(|_| ()).err();
            assert_eq!(error, Some(ParseError::Truncated { need, have }));
        }
        assert!(Header::parse(&frame).is_ok());
    }

    /// Covers: ETH-8, ETH-9, ETH-10.
    #[test]
    fn derived_addresses() {
        let v4 = ipv4_multicast(Ipv4Addr::new(239, 0x81, 2, 3));
        assert_eq!(v4, MacAddr::new([1, 0, 0x5e, 1, 2, 3]));
        let v6 = ipv6_multicast("ff02::1:ff00:2a".parse().unwrap());
        assert_eq!(v6, MacAddr::new([0x33, 0x33, 0xff, 0, 0, 0x2a]));
        let v6 = ipv6_multicast("ff02::102:304".parse().unwrap());
        assert_eq!(v6, MacAddr::new([0x33, 0x33, 1, 2, 3, 4]), "32 bits");
        assert_eq!(eui64(A), [0, 0, 0, 0xff, 0xfe, 0, 0, 0xa]);
    }

    proptest! {
        #[test]
        fn what_is_emitted_parses_to_the_same(
            dst: [u8; 6], src: [u8; 6], ether_type: u16, tag: Option<u16>,
            payload in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let tag = tag.map(VlanTag);
            prop_assume!(tag.is_some() || ether_type != 0x8100);
            let (dst, src) = (MacAddr::new(dst), MacAddr::new(src));
            let fields = Fields { dst, src, tag, ether_type: EtherType(ether_type) };
            let mut frame = vec![0; fields.len()];
            prop_assert_eq!(fields.emit(&mut frame), fields.len());
            frame.extend_from_slice(&payload);
            let (header, rest) = Header::parse(&frame).unwrap();
            prop_assert_eq!(header.fields(), fields);
            prop_assert_eq!(rest, payload);
        }

        #[test]
        fn any_bytes_parse_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..30)) {
            if let Ok((header, payload)) = Header::parse(&bytes) {
                prop_assert_eq!(header.len() + payload.len(), bytes.len());
            }
        }
    }
}
