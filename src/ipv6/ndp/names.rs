//! The names of a DNS search list option.
//!
//! RFC 8106 §5.2, RFC 1035 §2.3.4, §3.1 (without compression), RFC 1123 §2.1. *Owns* how they are read. *Does not* keep them. Invariants: reading
//! is total; a name is one that a host may have, in the form that people write it in, without a dot at its end.

/// Bytes of a label, RFC 1035 §2.3.4.
const MAX_LABEL: usize = 63;
/// Characters of a name with the dots between its labels, RFC 1035 §2.3.4.
const MAX_NAME: usize = 253;

/// The names of [`NdpOption::DnsSearchList`](super::NdpOption::DnsSearchList), up to the first that is none.
#[derive(Clone, Debug)]
pub struct SearchDomains<'a>(&'a [u8]);

impl<'a> SearchDomains<'a> {
    /// Those in the option's bytes.
    pub const fn new(domains: &'a [u8]) -> Self {
        Self(domains)
    }
}

impl Iterator for SearchDomains<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut rest = core::mem::take(&mut self.0);
        loop {
            let (&len, behind) = rest.split_first()?;
            if len == 0 {
                // Zeros fill the option up.
                self.0 = behind;
                return Some(name).filter(|name| !name.is_empty());
            }
            let (label, behind) = behind.split_at_checked(usize::from(len))?;
            if label.len() > MAX_LABEL || !label.iter().all(is_ordinary) {
                return None;
            }
            if !name.is_empty() {
                name.push('.');
            }
            name.extend(label.iter().copied().map(char::from));
            if name.len() > MAX_NAME {
                return None;
            }
            rest = behind;
        }
    }
}

/// May a host's or domain's name have it? RFC 1123 §2.1, and the underscore of RFC 2782: what is more goes into files and onto
/// screens of people who trust it.
const fn is_ordinary(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(bytes: &[u8]) -> Vec<String> {
        SearchDomains::new(bytes).collect()
    }

    /// Covers: NDP-20 (no compression).
    #[test]
    fn a_search_list_is_read_up_to_what_is_no_name() {
        let long = [&[63; 1][..], &[b'a'; 63]].concat();
        let most = [&long[..], &long, &long, &[61], &[b'b'; 61], &[0]].concat();
        let more = [&long[..], &long, &long, &[62], &[b'b'; 62], &[0]].concat();
        #[rustfmt::skip]
        let rows: [(&[u8], &[&str], &str); 9] = [
            (b"\x03lab\x00", &["lab"], "one"),
            (b"\x03lab\x07example\x00\x02ex\x00\x00\x00", &["lab.example", "ex"], "two, and zeros"),
            (b"\x03lab\x00\x02ex", &["lab"], "the second is cut"),
            (b"\x03lab\xc0\x00\x02ex\x00", &[], "a compressed one, and nothing behind it"),
            (b"\x03lab\x00\x40aaaa", &["lab"], "a label that is too long"),
            (b"\x03l b\x00\x02ex\x00", &[], "no name's byte"),
            (b"\x04a\x1b[0\x00", &[], "a terminal's"),
            (b"\x00\x00\x00", &[], "zeros"),
            (b"", &[], "nothing"),
        ];
        for (bytes, expected, why) in rows {
            assert_eq!(names(bytes), expected, "{why}");
        }
        // A length above 63 is none, whatever bytes follow: RFC 1035 §4.1.4 has pointers there.
        for len in [64, 0x80, 0xc0] {
            let label = [&[len][..], &vec![b'a'; usize::from(len)], &[0]].concat();
            assert_eq!(names(&label), [""; 0], "{len}");
        }
        assert_eq!(names(&most)[0].len(), 253);
        assert_eq!(names(&more), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn any_bytes_give_names_that_may_be_some(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            for name in names(&bytes) {
                prop_assert!(!name.is_empty() && name.len() <= MAX_NAME);
                prop_assert!(name.bytes().all(|byte| byte == b'.' || is_ordinary(&byte)));
            }
        }
    }
}
