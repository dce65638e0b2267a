//! Data that lies in one place, or in several.
//!
//! *Owns* what came in, as it was received: nothing is copied to bring it together until somebody asks. Two are equal when
//! their bytes are, wherever these lie.

use core::fmt;

use bytes::{Bytes, BytesMut};

/// The data of a datagram: one slice as a rule, several when it came in fragments.
#[derive(Clone)]
pub struct Slices(Lies);

/// As large as one slice: there is one of these for each datagram that waits.
#[derive(Clone)]
enum Lies {
    Together(Bytes),
    Apart(Box<[Bytes]>),
}

impl Slices {
    /// These slices, one behind the other.
    pub(crate) fn new(mut slices: Vec<Bytes>) -> Self {
        match (slices.len(), slices.pop()) {
            (1, Some(only)) => only.into(),
            (_, last) => {
                slices.extend(last);
                Self(Lies::Apart(slices.into_boxed_slice()))
            }
        }
    }

    /// Bytes in all of them.
    pub fn len(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }

    /// Is there not one byte?
    pub fn is_empty(&self) -> bool {
        self.iter().all(Bytes::is_empty)
    }

    /// The slices, in order.
    pub fn iter(&self) -> core::slice::Iter<'_, Bytes> {
        match &self.0 {
            Lies::Together(one) => core::slice::from_ref(one),
            Lies::Apart(all) => all,
        }
        .iter()
    }

    /// The only slice.
    pub(crate) fn together(self) -> Result<Bytes, Self> {
        match self.0 {
            Lies::Together(one) => Ok(one),
            Lies::Apart(_) => Err(self),
        }
    }

    /// All of it in one slice, copied if it lies in several.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Lies::Together(one) => one,
            Lies::Apart(all) => join(&all),
        }
    }

    /// Copies as much as fits to the beginning of `to`; returns how many bytes that is.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let mut at = 0;
        for slice in self.iter() {
            let len = slice.len().min(to.len() - at);
            to[at..at + len].copy_from_slice(&slice[..len]);
            at += len;
        }
        at
    }

    /// Bytes that the list of slices takes beside this value.
    pub(crate) fn list_bytes(&self) -> usize {
        match &self.0 {
            Lies::Together(_) => 0,
            Lies::Apart(all) => size_of_val::<[Bytes]>(all),
        }
    }
}

impl<'a> IntoIterator for &'a Slices {
    type Item = &'a Bytes;
    type IntoIter = core::slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A copy of all, in one slice.
pub(crate) fn join(slices: &[Bytes]) -> Bytes {
    let len = slices.iter().map(Bytes::len).sum();
    let mut whole = BytesMut::with_capacity(len);
    slices
        .iter()
        .for_each(|slice| whole.extend_from_slice(slice));
    whole.freeze()
}

impl Default for Slices {
    fn default() -> Self {
        Bytes::new().into()
    }
}

impl From<Bytes> for Slices {
    fn from(one: Bytes) -> Self {
        Self(Lies::Together(one))
    }
}

impl PartialEq<[u8]> for Slices {
    fn eq(&self, other: &[u8]) -> bool {
        let mut left = other;
        let starts = self.iter().all(|slice| {
            let rest = left.strip_prefix(&slice[..]);
            rest.inspect(|rest| left = rest).is_some()
        });
        starts && left.is_empty()
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Slices {
    fn eq(&self, other: &&[u8; N]) -> bool {
        *self == other[..]
    }
}

impl PartialEq for Slices {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |slices: &Self| slices.iter().flatten().copied().collect::<Vec<_>>();
        match (&self.0, &other.0) {
            (_, Lies::Together(one)) => *self == one[..],
            (Lies::Together(one), _) => *other == one[..],
            _ => bytes(self) == bytes(other),
        }
    }
}

impl Eq for Slices {}

impl fmt::Debug for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &'static [u8], at: usize) -> Slices {
        let (first, rest) = text.split_at(at);
        Slices::new(vec![Bytes::from_static(first), Bytes::from_static(rest)])
    }

    #[test]
    fn where_it_is_cut_changes_nothing() {
        let whole = Slices::from(Bytes::from_static(b"fragments"));
        for at in 0..=9 {
            let parts = cut(b"fragments", at);
            assert_eq!((parts.len(), parts.iter().count()), (9, 2));
            assert_eq!(parts, whole);
            assert_eq!(whole, parts);
            assert_eq!(parts, cut(b"fragments", 4));
            assert!(parts == b"fragments" && parts != b"fragment"[..]);
            assert!(parts != b"fragments."[..] && parts != b"fraGments");
            assert!(parts != cut(b"fragment", 3) && !parts.is_empty());
            let mut room = [b'-'; 12];
            assert_eq!(
                (parts.copy_to(&mut room[..4]), &room[..5]),
                (4, &b"frag-"[..])
            );
            assert_eq!((parts.copy_to(&mut room), &room), (9, b"fragments---"));
            assert_eq!(parts.into_bytes(), b"fragments"[..]);
        }
        assert!(Slices::default().is_empty() && Slices::new(Vec::new()).is_empty());
    }

    #[test]
    fn one_slice_is_not_copied_and_takes_no_more_than_itself() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        let at = bytes.as_ptr();
        let slices = Slices::new(vec![bytes]);
        assert_eq!((slices.iter().count(), slices.list_bytes()), (1, 0));
        assert_eq!(slices.into_bytes().as_ptr(), at);
        assert_eq!(size_of::<Slices>(), size_of::<Bytes>());
    }
}
