//! Which congestion control a connection uses.
//!
//! *Owns* the choice, as options can hold and compare it. *Does not* run anything.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use super::control::CongestionControl;
use super::{Bbr, Bbr3, Cubic, Reno};

/// A congestion control to choose.
///
/// ```
/// use netloom::tcp::congestion::{Choice, Reno};
///
/// assert_eq!("reno".parse(), Ok(Choice::Reno));
/// let own = Choice::custom(|| Box::new(Reno::new()));
/// assert_eq!(own, own.clone());
/// assert_ne!(own, Choice::Reno);
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Choice {
    /// Reno (RFC 5681).
    Reno,
    /// CUBIC with HyStart++ (RFC 9438, RFC 9406).
    #[default]
    Cubic,
    /// BBR version 1, which does not answer to loss.
    Bbr,
    /// BBR version 3.
    Bbr3,
    /// The user's own.
    Custom(Maker),
}

/// Makes a user's own controllers, one for each connection.
#[derive(Clone)]
pub struct Maker(Arc<dyn Fn() -> Box<dyn CongestionControl> + Send + Sync>);

/// A name that is none of those that [`Choice`] knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown congestion control {name}, one of {}", Choice::names())]
pub struct UnknownChoice {
    name: String,
}

impl Choice {
    /// A user's own controller: `make` is called once for each connection that uses it.
    pub fn custom(make: impl Fn() -> Box<dyn CongestionControl> + Send + Sync + 'static) -> Self {
        Self::Custom(Maker(Arc::new(make)))
    }

    /// All that have a name of their own.
    pub const NAMED: [Self; 4] = [Self::Reno, Self::Cubic, Self::Bbr, Self::Bbr3];

    /// The name, as Linux writes it; `custom` for a user's own.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reno => "reno",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            Self::Bbr3 => "bbr3",
            Self::Custom(_) => "custom",
        }
    }

    fn names() -> String {
        Self::NAMED.map(|choice| choice.name()).join(", ")
    }

    pub(crate) fn make(&self) -> Box<dyn CongestionControl> {
        match self {
            Self::Reno => Box::new(Reno::new()),
            Self::Cubic => Box::new(Cubic::new()),
            Self::Bbr => Box::new(Bbr::new()),
            Self::Bbr3 => Box::new(Bbr3::new()),
            Self::Custom(Maker(make)) => make(),
        }
    }
}

impl FromStr for Choice {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<Self, UnknownChoice> {
        let known = Self::NAMED.into_iter().find(|choice| choice.name() == name);
        known.ok_or_else(|| UnknownChoice {
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Maker")
    }
}

/// A user's own is equal to its copies only.
impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Custom(Maker(a)), Self::Custom(Maker(b))) => Arc::ptr_eq(a, b),
            _ => self.name() == other.name(),
        }
    }
}

impl Eq for Choice {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_controllers() {
        for choice in Choice::NAMED {
            assert_eq!(choice.name().parse(), Ok(choice.clone()));
            assert_eq!(choice.make().name(), choice.name());
            assert_eq!(choice.make().boxed_clone().name(), choice.name());
        }
        let error = "Reno".parse::<Choice>().unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("Reno, one of reno, cubic, bbr, bbr3")
        );
        assert!("custom".parse::<Choice>().is_err());
    }

    #[test]
    fn a_users_own_is_equal_to_its_copies_only() {
        let own = Choice::custom(|| Box::new(Reno::new()));
        let other = Choice::custom(|| Box::new(Reno::new()));
        assert_eq!(own, own.clone());
        assert_ne!(own, other);
        assert_ne!(own, Choice::Reno);
        assert_eq!(own.make().name(), "reno");
    }
}
