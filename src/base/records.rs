//! Group records and lists of sources: IGMPv3 and MLDv2 have them alike.
//!
//! RFC 3376 §4.1.1, §4.1.7, §4.2.4 to §4.2.12, RFC 3810 §5.1.3, §5.1.9, §5.2.4 to §5.2.12. *Owns* their form, for
//! addresses of either length. *Does not* know the messages around them: `igmp` and `mld` do. Invariant: reading is total.
//!
//! ```text
//! | record type, 1 | auxiliary words, 1 | sources, 2 | group | source, each | auxiliary data |
//! ```

use core::fmt;
use core::marker::PhantomData;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a group record says, RFC 3376 §4.2.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordKind(pub u8);

impl RecordKind {
    /// These sources are wanted, and no others.
    pub const IS_INCLUDE: Self = Self(1);
    /// All sources but these are wanted.
    pub const IS_EXCLUDE: Self = Self(2);
    /// From now on these are wanted, and no others: none means that the group is left.
    pub const TO_INCLUDE: Self = Self(3);
    /// From now on all but these are wanted.
    pub const TO_EXCLUDE: Self = Self(4);
    /// These are wanted too.
    pub const ALLOW: Self = Self(5);
    /// These are wanted no more.
    pub const BLOCK: Self = Self(6);

    /// Does it name what is not wanted? Then a list may be cut short (RFC 3376 §4.2.16).
    pub(crate) const fn is_exclude(self) -> bool {
        matches!(self, Self::IS_EXCLUDE | Self::TO_EXCLUDE)
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::IS_INCLUDE => "is_in",
            Self::IS_EXCLUDE => "is_ex",
            Self::TO_INCLUDE => "to_in",
            Self::TO_EXCLUDE => "to_ex",
            Self::ALLOW => "allow",
            Self::BLOCK => "block",
            Self(other) => return write!(f, "type {other}"),
        })
    }
}

/// The number that eight bits stand for: from 128 on it has an exponent of three bits and a mantissa of four.
pub const fn eight_bits(code: u8) -> u32 {
    let number = code as u32;
    if number < 0x80 {
        return number;
    }
    (number & 0x0f | 0x10) << ((number >> 4 & 7) + 3)
}

/// The number that sixteen bits stand for: from 32,768 on it has an exponent of three bits and a mantissa of twelve.
pub const fn sixteen_bits(code: u16) -> u32 {
    let number = code as u32;
    if number < 0x8000 {
        return number;
    }
    (number & 0x0fff | 0x1000) << ((number >> 12 & 7) + 3)
}

/// An address of either length.
pub trait Address: Copy + Ord + fmt::Debug + fmt::Display + Into<IpAddr> {
    /// Its bytes.
    const LEN: usize;

    /// Reads it from the front.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// Appends it.
    fn write(self, out: &mut Vec<u8>);

    /// It, when it is of this length.
    fn from_ip(ip: IpAddr) -> Option<Self>;
}

macro_rules! addresses {
    ($($type:ident, $variant:ident, $len:literal;)+) => {$(
        impl Address for $type {
            const LEN: usize = $len;

            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk::<$len>().map(|octets| Self::from(*octets))
            }

            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.octets());
            }

            fn from_ip(ip: IpAddr) -> Option<Self> {
                match ip {
                    IpAddr::$variant(address) => Some(address),
                    _ => None,
                }
            }
        }
    )+};
}

addresses! {
    Ipv4Addr, V4, 4;
    Ipv6Addr, V6, 16;
}

/// Addresses that lie one behind the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sources<'a, A> {
    bytes: &'a [u8],
    of: PhantomData<A>,
}

impl<'a, A: Address> Sources<'a, A> {
    /// The first `count` of those that `bytes` begin with, and what is behind them; `None` when there are fewer.
    pub fn parse(count: u16, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (bytes, rest) = bytes.split_at_checked(usize::from(count) * A::LEN)?;
        let of = PhantomData;
        Some((Self { bytes, of }, rest))
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.bytes.len() / A::LEN
    }

    /// Is there none?
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = A> + use<'a, A> {
        self.bytes.chunks_exact(A::LEN).filter_map(A::read)
    }

    /// As they lie.
    pub(crate) const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<A: Address> fmt::Debug for Sources<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.iter().map(|address| address.to_string());
        f.debug_list().entries(all).finish()
    }
}

/// What is reported of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<'a, A: Address> {
    /// What it says.
    pub kind: RecordKind,
    /// Of which group.
    pub group: A,
    /// Of which sources.
    pub sources: Sources<'a, A>,
    /// What nobody has a meaning for yet (RFC 3376 §4.2.10).
    pub auxiliary: &'a [u8],
}

/// Bytes before the group.
const HEAD_LEN: usize = 4;

impl<'a, A: Address> Record<'a, A> {
    /// Takes one off the front.
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[kind, words, a, b], rest) = bytes.split_first_chunk::<HEAD_LEN>()?;
        let group = A::read(rest)?;
        let count = u16::from_be_bytes([a, b]);
        let (sources, rest) = Sources::parse(count, rest.get(A::LEN..)?)?;
        let (auxiliary, rest) = rest.split_at_checked(usize::from(words) * 4)?;
        let record = Self {
            kind: RecordKind(kind),
            group,
            sources,
            auxiliary,
        };
        Some((record, rest))
    }
}

/// The records of a report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Records<'a, A> {
    count: u16,
    bytes: &'a [u8],
    of: PhantomData<A>,
}

impl<'a, A: Address> Records<'a, A> {
    /// A report's, that says how many there are. Whether they are all there is found by reading them.
    pub(crate) const fn new(count: u16, bytes: &'a [u8]) -> Self {
        Self {
            count,
            bytes,
            of: PhantomData,
        }
    }

    /// How many there should be.
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// Each of them, up to one that the message ends in.
    pub fn iter(&self) -> impl Iterator<Item = Record<'a, A>> + use<'a, A> {
        let mut rest = self.bytes;
        (0..self.count).map_while(move |_| {
            let record;
            (record, rest) = Record::parse(rest)?;
            Some(record)
        })
    }
}

impl<A: Address> fmt::Debug for Records<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A record that is to be sent, of either family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupRecord {
    pub(crate) kind: RecordKind,
    pub(crate) group: IpAddr,
    pub(crate) sources: Vec<IpAddr>,
}

impl GroupRecord {
    /// Bytes of one with so many sources.
    pub(crate) const fn len(group: IpAddr, sources: usize) -> usize {
        let address = match group {
            IpAddr::V4(_) => <Ipv4Addr as Address>::LEN,
            IpAddr::V6(_) => <Ipv6Addr as Address>::LEN,
        };
        HEAD_LEN + address + sources * address
    }

    /// Appends it, without auxiliary data (RFC 3376 §4.2.10).
    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        let count = u16::try_from(self.sources.len()).unwrap_or(u16::MAX);
        let [a, b] = count.to_be_bytes();
        out.extend_from_slice(&[self.kind.0, 0, a, b]);
        let sources = self.sources.iter().take(usize::from(count));
        for address in core::iter::once(&self.group).chain(sources) {
            match address {
                IpAddr::V4(address) => address.write(out),
                IpAddr::V6(address) => address.write(out),
            }
        }
    }
}

impl<A: Address> From<Record<'_, A>> for GroupRecord {
    fn from(record: Record<'_, A>) -> Self {
        Self {
            kind: record.kind,
            group: record.group.into(),
            sources: record.sources.iter().map(Into::into).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Covers: IGM-10, MLD-6 (RFC 3376 §4.1.1, §4.1.7; RFC 3810 §5.1.3, §5.1.9).
    #[test]
    fn codes_with_an_exponent() {
        for (code, number) in [
            (0, 0),
            (1, 1),
            (127, 127),
            (128, 128),
            (143, 248),
            (255, 31_744),
        ] {
            assert_eq!(eight_bits(code), number, "{code}");
        }
        for (code, number) in [
            (0, 0),
            (10_000, 10_000),
            (32_767, 32_767),
            (0x8000, 32_768),
            (0xffff, 8_387_584),
        ] {
            assert_eq!(sixteen_bits(code), number, "{code}");
        }
    }

    /// Covers: IGM-13, MLD-10 (none is sent; what came is passed over).
    #[test]
    fn auxiliary_data_is_passed_over() {
        let mut bytes = vec![5, 2, 0, 1, 224, 1, 1, 1, 10, 0, 0, 9];
        bytes.extend([0xee; 8]);
        bytes.extend([6, 0, 0, 0, 224, 1, 1, 2]);
        let records: Records<'_, Ipv4Addr> = Records::new(2, &bytes);
        let read: Vec<GroupRecord> = records.iter().map(Into::into).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].kind, RecordKind::BLOCK);
        assert_eq!(read[1].group, IpAddr::from([224, 1, 1, 2]));
        let mut out = Vec::new();
        read[0].emit(&mut out);
        assert_eq!(out, [5, 0, 0, 1, 224, 1, 1, 1, 10, 0, 0, 9]);
        assert_eq!(out.len(), GroupRecord::len(read[0].group, 1));
    }

    /// r61: a list that ends early gives what is there.
    #[test]
    fn r61_records_that_are_cut() {
        let whole = [5, 1, 0, 1, 224, 1, 1, 1, 10, 0, 0, 9, 1, 2, 3, 4];
        for len in 0..whole.len() {
            let records: Records<'_, Ipv4Addr> = Records::new(1, &whole[..len]);
            assert_eq!(records.iter().count(), 0, "{len}");
        }
        let records: Records<'_, Ipv4Addr> = Records::new(9, &whole);
        assert_eq!((records.count(), records.iter().count()), (9, 1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            records in prop::collection::vec(
                (any::<u8>(), any::<u128>(), prop::collection::vec(any::<u128>(), 0..5)), 0..5),
        ) {
            let address = |bits: u128| IpAddr::V6(Ipv6Addr::from_bits(bits));
            let records: Vec<GroupRecord> = records
                .into_iter()
                .map(|(kind, group, sources)| GroupRecord {
                    kind: RecordKind(kind),
                    group: address(group),
                    sources: sources.into_iter().map(address).collect(),
                })
                .collect();
            let mut bytes = Vec::new();
            let mut len = 0;
            for record in &records {
                record.emit(&mut bytes);
                len += GroupRecord::len(record.group, record.sources.len());
            }
            prop_assert_eq!(bytes.len(), len);
            let count = u16::try_from(records.len()).unwrap();
            let read: Records<'_, Ipv6Addr> = Records::new(count, &bytes);
            let read: Vec<GroupRecord> = read.iter().map(Into::into).collect();
            prop_assert_eq!(read, records);
        }
    }
}
