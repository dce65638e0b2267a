//! What `main` returns, so that an error is printed for people.

use core::error::Error;
use core::fmt;

/// Any error, for `main` to return: its `Debug`, which is what the standard library prints then, is
/// the message of the error, and below it those of its causes that it does not tell itself.
///
/// ```no_run
/// # #[cfg(all(target_os = "linux", feature = "host"))]
/// fn main() -> Result<(), netloom::Report> {
///     let tap = netloom::device::Tap::builder().name("nl0").open()?;
///     Ok(())
/// }
/// // Error: to make the interface nl0 needs the right CAP_NET_ADMIN: `sudo setcap ...
/// # #[cfg(not(all(target_os = "linux", feature = "host")))]
/// # fn main() {}
/// ```
///
/// It is no [`Error`] itself, as everything that is one becomes one of these by `?`.
pub struct Report(Box<dyn Error + Send + Sync>);

impl Report {
    /// The error that was reported.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Report {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Most messages end with that of their source.
            if !told.contains(&text) {
                write!(f, "\n  because: {text}")?;
                told = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("the plan failed: {0}")]
        Told(#[source] std::io::Error),
        #[error("the plan failed")]
        Hidden(#[source] std::io::Error),
    }

    #[test]
    fn causes_are_told_once() {
        let source = || std::io::Error::other("no room");
        let told = Report::from(Failure::Told(source()));
        assert_eq!(format!("{told:?}"), "the plan failed: no room");
        let hidden = Report::from(Failure::Hidden(source()));
        let text = "the plan failed\n  because: no room";
        assert_eq!(
            (format!("{hidden:?}"), hidden.to_string()),
            (text.to_owned(), text.to_owned())
        );
        assert!(hidden.error().is::<Failure>());
    }

    #[test]
    fn whatever_main_meets_becomes_one() {
        fn parse(text: &str) -> Result<crate::base::Cidr, Report> {
            Ok(text.parse()?)
        }
        let report = parse("10.7.0.2").unwrap_err();
        let text = "`10.7.0.2` is not ADDRESS/LENGTH, as in 10.7.0.2/24 or fd00::2/64";
        assert_eq!(format!("{report:?}"), text);
    }
}
