//! Bytes over time, for people.

use std::fmt;
use std::time::Duration;

/// An amount moved in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    bytes: u64,
    time: Duration,
}

impl Rate {
    pub(crate) const fn new(bytes: u64, time: Duration) -> Self {
        Self { bytes, time }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64().max(1e-9);
        let bits = self.bytes as f64 * 8.0 / seconds;
        let (scaled, unit) = match bits {
            b if b >= 1e9 => (b / 1e9, "Gbit/s"),
            b if b >= 1e6 => (b / 1e6, "Mbit/s"),
            b => (b / 1e3, "kbit/s"),
        };
        write!(
            f,
            "{} bytes in {seconds:.3} s, {scaled:.2} {unit}",
            self.bytes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_the_size() {
        let rate = |bytes| Rate::new(bytes, Duration::from_secs(2)).to_string();
        assert_eq!(rate(1000), "1000 bytes in 2.000 s, 4.00 kbit/s");
        assert_eq!(rate(1_000_000), "1000000 bytes in 2.000 s, 4.00 Mbit/s");
        assert_eq!(
            rate(5_000_000_000),
            "5000000000 bytes in 2.000 s, 20.00 Gbit/s"
        );
        assert!(Rate::new(1, Duration::ZERO).to_string().contains("Gbit/s"));
    }
}
