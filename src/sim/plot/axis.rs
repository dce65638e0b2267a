//! Axes: how much they span, where their ticks stand and what is written there.
//!
//! *Owns* units and rounding, in integers. *Does not* draw.

/// What an axis measures, in its base unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Bytes.
    Bytes,
    /// Nanoseconds.
    Time,
}

impl Quantity {
    /// Its units with what each has of the base unit, smallest first, each a thousand of the one before.
    const fn units(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Bytes => &[
                ("B", 1),
                ("kB", 1_000),
                ("MB", 1_000_000),
                ("GB", 1_000_000_000),
            ],
            Self::Time => &[
                ("ns", 1),
                ("µs", 1_000),
                ("ms", 1_000_000),
                ("s", 1_000_000_000),
            ],
        }
    }
}

/// One axis, from a least value to a greatest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    least: u64,
    greatest: u64,
    step: u64,
    unit: (&'static str, u64),
}

impl Axis {
    /// An axis of exactly this span, with at most `ticks` steps between ticks.
    pub(super) fn exact(quantity: Quantity, least: u64, greatest: u64, ticks: u64) -> Self {
        let greatest = greatest.max(least.saturating_add(1));
        let step = round_step((greatest - least).div_ceil(ticks.max(1)));
        let units = quantity.units();
        // The largest unit that the axis reaches and of which a step is at least a tenth, so that no
        // label has more than one decimal.
        let fits = |unit: &&(&str, u64)| greatest >= unit.1 && step >= unit.1.div_ceil(10);
        let unit = units.iter().rev().find(fits);
        Self {
            least,
            greatest,
            step,
            unit: unit.copied().unwrap_or(units[0]),
        }
    }

    /// An axis from 0 that reaches to the first tick at or above `greatest`.
    pub(super) fn from_zero(quantity: Quantity, greatest: u64, ticks: u64) -> Self {
        let exact = Self::exact(quantity, 0, greatest, ticks);
        let greatest = exact.greatest.div_ceil(exact.step);
        Self {
            greatest: greatest.saturating_mul(exact.step),
            ..exact
        }
    }

    /// The name of its unit.
    pub(super) const fn unit(&self) -> &'static str {
        self.unit.0
    }

    /// Where ticks stand, with their labels in the axis's unit.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (u64, String)> + '_ {
        let first = self.least.div_ceil(self.step);
        (first..=self.greatest / self.step).map(|number| {
            let at = number * self.step;
            (at, self.label(at))
        })
    }

    fn label(&self, at: u64) -> String {
        let (whole, rest) = (at / self.unit.1, at % self.unit.1);
        // A step is a tenth at least, or a whole number of base units.
        match u128::from(rest) * 10 / u128::from(self.unit.1) {
            0 => whole.to_string(),
            tenths => format!("{whole}.{tenths}"),
        }
    }

    /// Where `value` lies on a length: 0 at the least, `length` at the greatest, no further.
    pub(super) fn place(&self, value: u64, length: u32) -> u32 {
        let along = u128::from(value.clamp(self.least, self.greatest) - self.least);
        let span = u128::from(self.greatest - self.least);
        let at = (along * u128::from(length) + span / 2) / span;
        u32::try_from(at).unwrap_or(length)
    }
}

/// The least of 1, 2, 5, 10, 20, 50 and so on that is not below `least`.
fn round_step(least: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for digit in [1, 2, 5] {
            match power.checked_mul(digit) {
                Some(step) if step < least => {}
                Some(step) => return step,
                None => return u64::MAX,
            }
        }
        match power.checked_mul(10) {
            Some(next) => power = next,
            None => return u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_in_a_unit_that_fits() {
        for (quantity, greatest, unit, expected) in [
            (Quantity::Time, 10_000_000_000, "s", "0 2 4 6 8 10"),
            (Quantity::Time, 1_200_000_000, "s", "0 0.5 1 1.5"),
            (Quantity::Time, 43_000_000, "ms", "0 10 20 30 40 50"),
            (Quantity::Bytes, 250_000, "kB", "0 50 100 150 200 250"),
            (Quantity::Bytes, 480_000, "kB", "0 100 200 300 400 500"),
            (Quantity::Bytes, 118_000_000, "MB", "0 50 100 150"),
            (Quantity::Bytes, 3, "B", "0 1 2 3"),
            (Quantity::Bytes, 0, "B", "0 1"),
            (
                Quantity::Bytes,
                9_000_000_000_000,
                "GB",
                "0 2000 4000 6000 8000 10000",
            ),
        ] {
            let axis = Axis::from_zero(quantity, greatest, 5);
            assert_eq!(
                (axis.unit(), labels(&axis).join(" ")),
                (unit, expected.to_owned())
            );
        }
        let cut = Axis::exact(Quantity::Time, 1_300_000_000, 2_100_000_000, 4);
        assert_eq!(labels(&cut), ["1.4", "1.6", "1.8", "2"]);
    }

    #[test]
    fn places_reach_from_end_to_end_and_no_further() {
        let axis = Axis::exact(Quantity::Bytes, 100, 300, 4);
        let places = [0, 100, 200, 300, u64::MAX].map(|value| axis.place(value, 800));
        assert_eq!(places, [0, 0, 400, 800, 800]);
    }

    #[test]
    fn the_largest_numbers_have_an_axis_too() {
        for quantity in [Quantity::Bytes, Quantity::Time] {
            let axis = Axis::from_zero(quantity, u64::MAX, 5);
            assert!(axis.ticks().count() <= 6);
            assert_eq!(axis.place(u64::MAX, 800), 800);
        }
    }
}
