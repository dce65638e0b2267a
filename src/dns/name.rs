//! Names of hosts.
//!
//! RFC 1035 §2.3, RFC 1123 §2.1. *Owns* what a name may look like. *Does not* know which ones exist.
//! Invariants: at most 253 bytes, as its wire form has 255; no case, no dot at the end, no empty label.

use core::fmt;
use core::str::FromStr;

/// The most bytes of a name as text (RFC 1035 §2.3.4: 255 on the wire, where two more frame it).
const MAX_LEN: usize = 253;
/// The most bytes of a label (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// The name of a host, whole: labels of letters, digits, hyphens and underscores, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a text is no name of a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is empty, or a dot alone.
    #[error("the name is empty")]
    Empty,
    /// Two dots, or one at the beginning.
    #[error("a label of the name is empty")]
    EmptyLabel,
    /// It is longer than 253 bytes.
    #[error("the name has {len} bytes, 253 at most")]
    TooLong {
        /// Its bytes.
        len: usize,
    },
    /// A label is longer than 63 bytes.
    #[error("a label of the name has {len} bytes, 63 at most")]
    LabelTooLong {
        /// Its bytes.
        len: usize,
    },
    /// Neither a letter, a digit, a hyphen, an underscore nor a dot. Other scripts are written as in `xn--bcher-kva`.
    #[error("no name has {0:?} in it")]
    Character(char),
    /// The last label is a number, as in an address that is none (RFC 1123 §2.1: a name is told from an address by it).
    #[error("neither an address nor a name: it ends in a number")]
    Number,
}

impl Name {
    /// Without a dot at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The dots between its labels.
    pub(super) fn dots(&self) -> usize {
        self.0.bytes().filter(|&byte| byte == b'.').count()
    }

    /// This name within `domain`, if that is not too long.
    pub(super) fn within(&self, domain: &Self) -> Option<Self> {
        let whole = format!("{}.{}", self.0, domain.0);
        (whole.len() <= MAX_LEN).then(|| Self(whole.into()))
    }

    /// Is it `domain`, or below it? The root has no labels.
    pub(super) fn is_in(&self, domain: &str) -> bool {
        let Some(before) = self.0.strip_suffix(domain) else {
            return false;
        };
        before.is_empty() || domain.is_empty() || before.ends_with('.')
    }

    /// A name as its labels came; `None` when it can be no host's.
    pub(super) fn of_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut text = String::new();
        for label in labels {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(
                core::str::from_utf8(label)
                    .ok()
                    .filter(|l| !l.contains('.'))?,
            );
        }
        check(&text).ok()?;
        text.make_ascii_lowercase();
        Some(Self(text.into()))
    }
}

/// A dot at the end is left out. That it makes a name absolute is up to who asks ([`Resolver::lookup`](super::Resolver::lookup)).
impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        check(text)?;
        let last = text.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NameError::Number);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(other) = text.chars().find(|c| !fits(c)) {
        return Err(NameError::Character(other));
    }
    if text.len() > MAX_LEN {
        return Err(NameError::TooLong { len: text.len() });
    }
    for label in text.split('.') {
        match label.len() {
            0 => return Err(NameError::EmptyLabel),
            1..=MAX_LABEL => {}
            len => return Err(NameError::LabelTooLong { len }),
        }
    }
    Ok(())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// Covers: DNS-2, DNS-17.
    #[test]
    fn names_and_what_is_none() {
        assert_eq!(name("Example.ORG.").as_str(), "example.org");
        assert_eq!(name("_dns.a-1").as_str(), "_dns.a-1");
        assert_eq!(name(&"a.".repeat(126)).as_str().len(), 251);
        let (long, longer) = ("a".repeat(64), "a.".repeat(128));
        for (text, why) in [
            ("", NameError::Empty),
            (".", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a..", NameError::EmptyLabel),
            ("a b", NameError::Character(' ')),
            ("bücher.example", NameError::Character('ü')),
            ("a\\.b", NameError::Character('\\')),
            (long.as_str(), NameError::LabelTooLong { len: 64 }),
            (longer.as_str(), NameError::TooLong { len: 255 }),
            ("10.7.0", NameError::Number),
            ("10.7.0.256", NameError::Number),
        ] {
            assert_eq!(text.parse::<Name>(), Err(why), "{text}");
        }
    }

    #[test]
    fn domains_hold_names() {
        for (inner, domain, holds) in [
            ("a.example.org", "example.org", true),
            ("example.org", "example.org", true),
            ("badexample.org", "example.org", false),
            ("org", "example.org", false),
            ("a.b", "", true),
        ] {
            assert_eq!(name(inner).is_in(domain), holds, "{inner} in {domain}");
        }
        let long = name(&"a.".repeat(125));
        assert_eq!(name("b").within(&name("c.d")), Some(name("b.c.d")));
        assert_eq!(
            name("bb").within(&long).map(|n| n.as_str().len()),
            Some(252)
        );
        assert_eq!(name("bbbb").within(&long), None);
    }

    #[test]
    fn labels_that_no_host_has() {
        let of = |labels: &[&[u8]]| Name::of_labels(labels.iter().copied());
        assert_eq!(of(&[b"WWW", b"Example"]), Some(name("www.example")));
        let none: [&[&[u8]]; 4] = [&[], &[b"a.b", b"c"], &[b"\xff"], &[b"a b"]];
        for labels in none {
            assert_eq!(of(labels), None, "{labels:?}");
        }
        assert!(of(&[b"1"]).is_some(), "as an alias' name it may stand");
    }
}
