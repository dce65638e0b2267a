//! The command line.

use std::time::Duration;

use super::common::number;
use super::measure::Measure;
use super::rivals::{Base, Rival};

/// What the command line asked for.
pub(crate) struct Settings {
    pub(crate) samples: usize,
    pub(crate) time: Duration,
    /// Only what has this in its full title, as in `bulk, rival to kernel (cubic): smoltcp.`
    only: Option<String>,
    /// Is a host measured too whose run is recorded?
    pub(crate) record: bool,
}

impl Settings {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            samples: 7,
            time: Duration::from_millis(600),
            only: None,
            record: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match &arg[..] {
                "--samples" => settings.samples = number(&value()?)?.max(1.0) as usize,
                "--seconds" => settings.time = Duration::from_secs_f64(number(&value()?)?),
                "--only" => settings.only = Some(value()?),
                "--record" => settings.record = true,
                // Cargo's own word.
                "--bench" => {}
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        Ok(settings)
    }

    pub(crate) fn wants(&self, measure: Measure, rival: Rival) -> bool {
        let title = format!("{}: {}.", measure.title(), rival.name());
        let recorded = matches!(rival, Rival::Host(_, Base::Recorded));
        let there = self.record || !recorded;
        there && measure.suits(rival) && self.only.as_ref().is_none_or(|text| title.contains(text))
    }
}
