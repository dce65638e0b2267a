//! Two countings of the same sequence numbers, or timestamps, a constant apart.
//!
//! A script has numbers of its own, and so has a capture of another stack: what it says of a connection is
//! true of ours behind a shift. *Owns* the distance and its two directions. *Does not* know which numbers
//! count: who maps a segment does.

/// How far the numbers on our wire lie from those that somebody else wrote down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Shift(u32);

impl Shift {
    /// The one that makes `live` of `told`.
    pub(crate) const fn between(told: u32, live: u32) -> Self {
        Self(live.wrapping_sub(told))
    }

    /// What the wire has for a number that was told.
    pub(crate) const fn to_live(self, told: u32) -> u32 {
        told.wrapping_add(self.0)
    }

    /// What would have been told of a number on the wire.
    pub(crate) const fn to_told(self, live: u32) -> u32 {
        live.wrapping_sub(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn there_and_back(told: u32, live: u32, number: u32) {
            let shift = Shift::between(told, live);
            prop_assert_eq!(shift.to_live(told), live);
            prop_assert_eq!(shift.to_told(shift.to_live(number)), number);
            prop_assert_eq!(shift.to_live(number).wrapping_sub(live), number.wrapping_sub(told));
            prop_assert_eq!(Shift::default().to_live(number), number);
        }
    }
}
