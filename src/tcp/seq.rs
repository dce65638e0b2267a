//! Sequence numbers and window scales (RFC 9293 §3.4, RFC 7323 §2).

use core::fmt;
use core::ops::{Add, Sub};

/// A sequence number: 32 bits on a circle.
///
/// There is no `Ord`, because circular order is not transitive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct SeqNum(u32);

impl SeqNum {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn get(self) -> u32 {
        self.0
    }

    /// Octets from `earlier` to `self`; negative when `self` comes first.
    pub(crate) const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// Octets from `earlier` to `self`; zero when `self` comes first.
    pub(crate) const fn past(self, earlier: Self) -> u32 {
        let distance = self.since(earlier);
        if distance < 0 {
            0
        } else {
            distance.cast_unsigned()
        }
    }

    pub(crate) const fn before(self, other: Self) -> bool {
        self.since(other) < 0
    }

    pub(crate) const fn after(self, other: Self) -> bool {
        self.since(other) > 0
    }

    /// The later of two numbers less than 2^31 apart.
    pub(crate) const fn later(self, other: Self) -> Self {
        if self.before(other) { other } else { self }
    }

    /// The earlier of two numbers less than 2^31 apart.
    pub(crate) const fn earlier(self, other: Self) -> Self {
        if self.before(other) { self } else { other }
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;

    fn add(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;

    fn sub(self, octets: u32) -> Self {
        Self(self.0.wrapping_sub(octets))
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A window scale's shift, at most 14 (RFC 7323 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct WindowScale(u8);

impl WindowScale {
    /// RFC 7323 §2.3: a shift above 14 is used as 14.
    pub(crate) const MAX: u8 = 14;

    pub(crate) const fn new(shift: u8) -> Self {
        Self(if shift > Self::MAX { Self::MAX } else { shift })
    }

    /// The smallest shift with which `window` bytes can be told in 16 bits.
    pub(crate) fn for_window(window: usize) -> Self {
        let mut shift = 0;
        while shift < Self::MAX && (window >> shift) > usize::from(u16::MAX) {
            shift += 1;
        }
        Self(shift)
    }

    pub(crate) const fn shift(self) -> u8 {
        self.0
    }

    /// Bytes for a window as read off the wire.
    pub(crate) fn bytes(self, wire: u16) -> u32 {
        u32::from(wire) << self.0
    }

    /// The window field for `bytes`, rounded down.
    pub(crate) fn wire(self, bytes: u32) -> u16 {
        u16::try_from(bytes >> self.0).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Covers: TCP-66
        #[test]
        fn distance_and_addition_are_inverses(start: u32, step in 0u32..0x8000_0000) {
            let a = SeqNum::new(start);
            let b = a + step;
            prop_assert_eq!(b.past(a), step);
            prop_assert_eq!(b - step, a);
            prop_assert_eq!(a.before(b), step > 0);
            prop_assert_eq!(b.after(a), step > 0);
            prop_assert_eq!(a.later(b), b);
            prop_assert_eq!(b.earlier(a), a);
            prop_assert_eq!(a.past(b), 0);
        }
    }

    /// Covers: TS-3
    #[test]
    fn scale_is_capped_and_fits_the_window() {
        assert_eq!(WindowScale::new(15).shift(), 14);
        assert_eq!(WindowScale::for_window(65_535).shift(), 0);
        assert_eq!(WindowScale::for_window(65_536).shift(), 1);
        assert_eq!(WindowScale::for_window(4 << 20).shift(), 7);
        assert_eq!(WindowScale::for_window(usize::MAX).shift(), 14);
        assert_eq!(
            WindowScale::new(3).wire(WindowScale::new(3).bytes(1000)),
            1000
        );
    }
}
