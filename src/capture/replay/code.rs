//! Values as bytes and back: numbers, addresses, lists.
//!
//! *Owns* [`Code`] and its use for types that others own. *Does not* know a recording. Numbers are little
//! endian and of fixed length; what has no greatest size is led by its length. Invariant: [`Take`] is
//! total: any bytes give a value or say why not, and nothing is allocated that they do not hold.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use core::num::NonZeroU16;
use core::ops::RangeInclusive;
use core::time::Duration;

use bytes::{Buf, Bytes};

use crate::base::{Cidr, Instant, Key, MacAddr, Protocol, Seed};
use crate::tcp::congestion::Choice;

/// A value that a recording holds.
pub(super) trait Code: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes it off the front.
    fn take(from: &mut Take) -> Result<Self, Nonsense>;
}

/// What is left of an entry's bytes.
#[derive(Debug)]
pub(super) struct Take {
    left: Bytes,
    /// What stands in for a congestion control of the user's own.
    own: Option<Choice>,
    /// How many values its lists may still have: a few bytes are a value of many.
    listed: usize,
}

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Nonsense {
    /// It ends within a value.
    #[error("it ends too early")]
    Short,
    /// More bytes than its values take.
    #[error("it goes on for {0} bytes too many")]
    Long(usize),
    /// A number that stands for nothing.
    #[error("{value} stands for no {what}")]
    Number {
        /// What it should have stood for.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// A connection used a congestion control of the user's own, and none was given.
    #[error(
        "a connection has a congestion control of its user's own, which the replay was not given"
    )]
    OwnCongestion,
    /// Lists of more values than the memory limit has room for.
    #[error("it lists {0} values, more than the memory limit has room for")]
    Many(usize),
    /// A piece that does not belong where it stands.
    #[error("it is out of place")]
    OutOfPlace,
}

impl Take {
    pub(super) const fn new(left: Bytes, own: Option<Choice>) -> Self {
        let listed = usize::MAX;
        Self { left, own, listed }
    }

    /// The same, whose lists hold no more values than so many together.
    pub(super) fn listing(self, most: usize) -> Self {
        Self {
            listed: most,
            ..self
        }
    }

    /// Everything was taken.
    pub(super) fn end(self) -> Result<(), Nonsense> {
        match self.left.len() {
            0 => Ok(()),
            more => Err(Nonsense::Long(more)),
        }
    }

    /// The next so many bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Result<Bytes, Nonsense> {
        if len > self.left.len() {
            return Err(Nonsense::Short);
        }
        Ok(self.left.split_to(len))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Nonsense> {
        let array = *self.left.first_chunk().ok_or(Nonsense::Short)?;
        self.left.advance(N);
        Ok(array)
    }
}

/// A number that stands for nothing.
pub(super) fn unknown<T>(what: &'static str, value: impl Into<u64>) -> Result<T, Nonsense> {
    let value = value.into();
    Err(Nonsense::Number { what, value })
}

macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut Take) -> Result<Self, Nonsense> {
                Ok(Self::from_le_bytes(from.array()?))
            }
        }
    )+};
}

numbers!(u8, u16, u32, u64);

/// As 64 bits, the greatest of which is the greatest here: that stands for no limit.
impl Code for usize {
    fn put(&self, out: &mut Vec<u8>) {
        let number = if *self == Self::MAX {
            u64::MAX
        } else {
            u64::try_from(*self).unwrap_or(u64::MAX)
        };
        number.put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let number = u64::take(from)?;
        Ok(Self::try_from(number).unwrap_or(Self::MAX))
    }
}

impl Code for bool {
    fn put(&self, out: &mut Vec<u8>) {
        u8::from(*self).put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            other => unknown("yes or no", other),
        }
    }
}

impl<T: Code> Code for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        bool::take(from)?.then(|| T::take(from)).transpose()
    }
}

impl<T: Code> Code for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for value in self {
            value.put(out);
        }
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        // Each takes a byte at least: the bytes bound the list.
        let len = usize::take(from)?;
        if len > from.listed && len <= from.left.len() {
            return Err(Nonsense::Many(len));
        }
        from.listed = from.listed.saturating_sub(len);
        (0..len).map(|_| T::take(from)).collect()
    }
}

impl<A: Code, B: Code> Code for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

impl Code for Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let len = usize::take(from)?;
        from.bytes(len)
    }
}

impl Code for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(Self::from_utf8_lossy(&<Bytes as Code>::take(from)?).into_owned())
    }
}

impl Code for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_secs().put(out);
        self.subsec_nanos().put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let (secs, nanos) = <(u64, u32)>::take(from)?;
        if nanos >= 1_000_000_000 {
            return unknown("part of a second", nanos);
        }
        Ok(Self::new(secs, nanos))
    }
}

impl Code for Instant {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_nanos().put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        match u64::take(from)? {
            // 292 years after the epoch nobody was yet. From there a deadline would be one that never comes.
            nanos if nanos > u64::MAX / 2 => unknown("time", nanos),
            nanos => Ok(Self::from_nanos(nanos)),
        }
    }
}

impl Code for NonZeroU16 {
    fn put(&self, out: &mut Vec<u8>) {
        self.get().put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Self::new(u16::take(from)?).map_or_else(|| unknown("size", 0_u8), Ok)
    }
}

impl Code for RangeInclusive<u16> {
    fn put(&self, out: &mut Vec<u8>) {
        (*self.start(), *self.end()).put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let (start, end) = Code::take(from)?;
        Ok(start..=end)
    }
}

impl Code for Ipv4Addr {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.octets());
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(Self::from(from.array::<4>()?))
    }
}

impl Code for Ipv6Addr {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.octets());
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(Self::from(from.array::<16>()?))
    }
}

impl Code for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(v4) => {
                4_u8.put(out);
                v4.put(out);
            }
            Self::V6(v6) => {
                6_u8.put(out);
                v6.put(out);
            }
        }
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        match u8::take(from)? {
            4 => Ok(Ipv4Addr::take(from)?.into()),
            6 => Ok(Ipv6Addr::take(from)?.into()),
            other => unknown("address family", other),
        }
    }
}

impl Code for SocketAddr {
    fn put(&self, out: &mut Vec<u8>) {
        self.ip().put(out);
        self.port().put(out);
        if let Self::V6(v6) = self {
            (v6.flowinfo(), v6.scope_id()).put(out);
        }
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let (ip, port) = Code::take(from)?;
        Ok(match ip {
            IpAddr::V4(_) => Self::new(ip, port),
            IpAddr::V6(v6) => {
                let (flow, scope) = Code::take(from)?;
                SocketAddrV6::new(v6, port, flow, scope).into()
            }
        })
    }
}

impl Code for SocketAddrV4 {
    fn put(&self, out: &mut Vec<u8>) {
        self.ip().put(out);
        self.port().put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(Self::new(Code::take(from)?, Code::take(from)?))
    }
}

impl Code for Protocol {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Code::take(from).map(Self)
    }
}

impl Code for Cidr {
    fn put(&self, out: &mut Vec<u8>) {
        (self.address(), self.prefix()).put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let (address, prefix) = Code::take(from)?;
        Self::new(address, prefix).or_else(|_| unknown("prefix length", prefix))
    }
}

impl Code for MacAddr {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.octets());
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(Self::new(from.array()?))
    }
}

impl Code for [u8; 64] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        from.array()
    }
}

impl Code for Seed {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes());
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(Self::new(from.array()?))
    }
}

impl Code for Key {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes());
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(Self::new(from.array()?))
    }
}

/// By its name, which stays when others are added.
impl Code for Choice {
    fn put(&self, out: &mut Vec<u8>) {
        self.name().to_owned().put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let name = String::take(from)?;
        match name.parse() {
            Ok(choice) => Ok(choice),
            Err(_) => from.own.clone().ok_or(Nonsense::OwnCongestion),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any later and the deadlines reckoned from it are none.
    #[test]
    fn a_time_that_nobody_was_at_is_nonsense() {
        for (nanos, is_one) in [(0, true), (u64::MAX / 2, true), (u64::MAX / 2 + 1, false)] {
            let mut bytes = Vec::new();
            Instant::from_nanos(nanos).put(&mut bytes);
            let taken = Instant::take(&mut Take::new(bytes.into(), None));
            assert_eq!(taken.is_ok(), is_one, "{nanos}: {taken:?}");
        }
    }
}
