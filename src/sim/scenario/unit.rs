//! Measured numbers: integers, and what they are in.
//!
//! *Owns* how they are written. *Does not* measure.

use core::fmt;

/// What a measured number is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Bits per second.
    BitsPerSec,
    /// Nanoseconds.
    Nanos,
    /// Millionths of a whole.
    Millionths,
    /// Thousandths of a full segment.
    MilliSegments,
    /// Thousandths of a full segment, each second.
    MilliSegmentsPerSec,
}

impl Unit {
    /// So much of it, to be written in the unit that readers use.
    pub const fn of(self, number: u64) -> Amount {
        Amount(number, self)
    }

    /// What is written behind the number, how many base units make one of it, and its decimals.
    const fn written(self) -> (&'static str, u64, u32) {
        match self {
            Self::Count => ("", 1, 0),
            Self::Bytes => (" B", 1, 0),
            Self::BitsPerSec => (" Mbit/s", 1_000_000, 2),
            Self::Nanos => (" ms", 1_000_000, 3),
            Self::Millionths => (" %", 10_000, 2),
            Self::MilliSegments => (" segments", 1000, 1),
            Self::MilliSegmentsPerSec => (" segments/s", 1000, 1),
        }
    }
}

/// A number with its unit; displayed rounded, as `94.53 Mbit/s` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(u64, Unit);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, unit) = *self;
        let (name, per, decimals) = unit.written();
        let shift = 10_u128.pow(decimals);
        let per = u128::from(per);
        let scaled = (u128::from(number) * shift + per / 2) / per;
        write!(f, "{}", scaled / shift)?;
        if decimals > 0 {
            let width = usize::try_from(decimals).unwrap_or(0);
            write!(f, ".{:0width$}", scaled % shift)?;
        }
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_into_the_units_that_readers_use() {
        for (number, unit, expected) in [
            (7, Unit::Count, "7"),
            (14_480, Unit::Bytes, "14480 B"),
            (94_534_999, Unit::BitsPerSec, "94.53 Mbit/s"),
            (94_995_000, Unit::BitsPerSec, "95.00 Mbit/s"),
            (1_000_500, Unit::Nanos, "1.001 ms"),
            (975_049, Unit::Millionths, "97.50 %"),
            (12_049, Unit::MilliSegments, "12.0 segments"),
            (58_950, Unit::MilliSegmentsPerSec, "59.0 segments/s"),
        ] {
            assert_eq!(unit.of(number).to_string(), expected);
        }
        let most = Unit::Nanos.of(u64::MAX).to_string();
        assert_eq!(most, "18446744073709.552 ms");
    }
}
