//! IPv4 options, read one by one.
//!
//! RFC 791 §3.1 "Options". *Owns* the options' form. *Does not* interpret any: `stack` judges them. Invariant: reading is total.

/// Option types that tools name, IANA "IP Option Numbers".
pub mod kind {
    /// End of option list.
    pub const END: u8 = 0;
    /// No operation.
    pub const NOP: u8 = 1;
    /// Record route.
    pub const RECORD_ROUTE: u8 = 7;
    /// Internet timestamp.
    pub const TIMESTAMP: u8 = 68;
    /// Loose source route.
    pub const LOOSE_SOURCE_ROUTE: u8 = 131;
    /// Strict source route.
    pub const STRICT_SOURCE_ROUTE: u8 = 137;
    /// Router alert, RFC 2113.
    pub const ROUTER_ALERT: u8 = 148;
}

/// One IPv4 option; end-of-list and no-operation are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ipv4Option<'a> {
    /// The type octet.
    pub kind: u8,
    /// What follows the length octet.
    pub data: &'a [u8],
}

/// Goes through the options of one header.
#[derive(Clone, Debug)]
pub struct OptionIter<'a> {
    rest: &'a [u8],
    /// Bytes of all options.
    len: usize,
    malformed_at: Option<usize>,
}

impl<'a> OptionIter<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            len: bytes.len(),
            malformed_at: None,
        }
    }

    /// Did the iteration end at a length that cannot be (0, 1, or beyond the header)?
    pub fn malformed(&self) -> bool {
        self.malformed_at.is_some()
    }

    /// Where that length stands, from the first option on; the option's type when it has none.
    pub fn malformed_at(&self) -> Option<usize> {
        self.malformed_at
    }
}

impl<'a> Iterator for OptionIter<'a> {
    type Item = Ipv4Option<'a>;

    fn next(&mut self) -> Option<Ipv4Option<'a>> {
        loop {
            match *self.rest {
                [] | [kind::END, ..] => {
                    self.rest = &[];
                    return None;
                }
                [kind::NOP, ref rest @ ..] => self.rest = rest,
                [kind, ref tail @ ..] => {
                    let option = tail.split_first().and_then(|(&len, data)| {
                        let (data, rest) =
                            data.split_at_checked(usize::from(len).checked_sub(2)?)?;
                        Some((Ipv4Option { kind, data }, rest))
                    });
                    if option.is_none() {
                        let at = self.len - self.rest.len();
                        self.malformed_at = Some(if tail.is_empty() { at } else { at + 1 });
                    }
                    let (option, rest) = option.unzip();
                    self.rest = rest.unwrap_or_default();
                    return option;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Covers: IP4-18, IP4-20.
    #[test]
    fn r61_lists_and_illegal_lengths() {
        let option = |kind, data| Ipv4Option { kind, data };
        let rows: &[(&[u8], &[Ipv4Option<'_>], Option<usize>)] = &[
            (&[], &[], None),
            (&[1, 1, 1, 0, 7, 0], &[], None),
            (&[148, 4, 0, 0], &[option(148, &[0, 0])], None),
            (
                &[1, 77, 2, 9, 3, 5],
                &[option(77, &[]), option(9, &[5])],
                None,
            ),
            (&[77, 2, 7, 0, 9], &[option(77, &[])], Some(3)),
            (&[77, 2, 7, 1], &[option(77, &[])], Some(3)),
            (&[77, 2, 7], &[option(77, &[])], Some(2)),
            (&[77, 2, 7, 3], &[option(77, &[])], Some(3)),
        ];
        for (bytes, options, malformed) in rows {
            let mut iter = OptionIter::new(bytes);
            assert_eq!(iter.by_ref().collect::<Vec<_>>(), *options, "{bytes:?}");
            assert_eq!(iter.malformed_at(), *malformed, "{bytes:?}");
            assert_eq!(iter.malformed(), malformed.is_some());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(OptionIter::new(&bytes).count() * 2 <= bytes.len());
        }
    }
}
