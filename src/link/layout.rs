//! Where the headers of a packet lie, for who cuts and joins packets or passes them on.
//!
//! RFC 791 §3.1, RFC 8200 §4, RFC 9293 §3.1, RFC 768. *Owns* offsets only. *Does not* validate: the
//! stack parses what it takes. Total: any bytes give a layout or `None`.

use crate::base::checksum::Sum;

/// Protocol number of TCP.
pub(crate) const TCP: u8 = 6;
/// Protocol number of UDP.
pub(crate) const UDP: u8 = 17;

/// Offsets in a frame that carries TCP or UDP, from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The IP header.
    pub(crate) l3: usize,
    /// The transport header.
    pub(crate) l4: usize,
    /// The transport payload.
    pub(crate) payload: usize,
    /// Where the IP packet ends by its own length; link padding may follow.
    pub(crate) end: usize,
    /// [`TCP`] or [`UDP`].
    pub(crate) protocol: u8,
    /// IPv6 rather than IPv4?
    pub(crate) v6: bool,
}

impl Layout {
    /// The layout of a packet that begins at `l3`, of which at least the headers are there; `None` when it is not TCP or
    /// UDP over IP, is a fragment, or is cut inside its headers.
    pub(crate) fn behind(l3: usize, bytes: &[u8]) -> Option<Self> {
        let (l4, end, protocol, v6) = match bytes.get(l3)? >> 4 {
            4 => Self::v4(bytes, l3)?,
            6 => Self::v6(bytes, l3)?,
            _ => return None,
        };
        let header = match protocol {
            TCP => usize::from(bytes.get(l4 + 12)? >> 4) * 4,
            UDP => 8,
            _ => return None,
        };
        let payload = l4 + header;
        let sound = header >= 8 && payload <= end && payload <= bytes.len();
        (sound && (protocol == UDP || header >= 20)).then_some(Self {
            l3,
            l4,
            payload,
            end,
            protocol,
            v6,
        })
    }

    fn v4(bytes: &[u8], l3: usize) -> Option<(usize, usize, u8, bool)> {
        let header = usize::from(bytes[l3] & 0xf) * 4;
        let fragment = word(bytes, l3 + 6)? & 0x3fff;
        let end = l3 + usize::from(word(bytes, l3 + 2)?);
        let protocol = *bytes.get(l3 + 9)?;
        (header >= 20 && fragment == 0).then_some((l3 + header, end, protocol, false))
    }

    fn v6(bytes: &[u8], l3: usize) -> Option<(usize, usize, u8, bool)> {
        let end = l3 + 40 + usize::from(word(bytes, l3 + 4)?);
        let mut next = *bytes.get(l3 + 6)?;
        let mut at = l3 + 40;
        // Hop-by-hop, routing and destination options share one form (RFC 8200 §4.3, §4.4, §4.6).
        while matches!(next, 0 | 43 | 60) {
            next = *bytes.get(at)?;
            at += 8 + 8 * usize::from(*bytes.get(at + 1)?);
        }
        Some((at, end, next, true))
    }

    /// Where the checksum field lies, from the transport header on.
    pub(crate) const fn checksum_offset(&self) -> usize {
        if self.protocol == TCP { 16 } else { 6 }
    }

    /// The pseudo-header's sum for `len` bytes of transport header and payload (RFC 9293 §3.1,
    /// RFC 8200 §8.1; a routing header's final destination is not looked for).
    pub(crate) fn pseudo_sum(&self, bytes: &[u8], len: u16) -> Sum {
        let addresses = if self.v6 {
            self.l3 + 8..self.l3 + 40
        } else {
            self.l3 + 12..self.l3 + 20
        };
        Sum::new()
            .bytes(&bytes[addresses])
            .word(u16::from(self.protocol))
            .word(len)
    }

    /// Is the transport checksum of a whole frame right? A UDP checksum of zero over IPv4 is none at
    /// all (RFC 768) and not right.
    pub(crate) fn checksum_is_right(&self, bytes: &[u8]) -> bool {
        let (Some(transport), Ok(len)) = (
            bytes.get(self.l4..self.end),
            u16::try_from(self.end - self.l4),
        ) else {
            return false;
        };
        let field = word(transport, self.checksum_offset());
        let there = self.protocol == TCP || field != Some(0);
        there && self.pseudo_sum(bytes, len).bytes(transport).is_valid()
    }
}

/// The 16-bit word at `at`.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*two))
}

/// The 32-bit word at `at`.
pub(crate) fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*four))
}

/// Writes the 16-bit word at `at`.
pub(crate) fn put_word(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// A checksum as it goes on the wire: zero is sent as all ones, its other form, for UDP's sake
/// (RFC 768: zero means none).
pub(crate) fn on_the_wire(sum: Sum) -> u16 {
    match sum.finish() {
        0 => 0xffff,
        sum => sum,
    }
}
