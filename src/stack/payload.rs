//! What a call has to be sent: as a journal keeps it, whole or as its length.
//!
//! *Owns* the bytes that stand in for what was not kept. *Does not* know calls.

use bytes::Bytes;

/// What a user gave to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// All of it.
    Whole(Bytes),
    /// Its length: a journal that keeps no payload. Zeros stand in for it when the call is made again.
    Cut(usize),
}

impl Payload {
    /// Its length.
    pub const fn len(&self) -> usize {
        match self {
            Self::Whole(data) => data.len(),
            Self::Cut(len) => *len,
        }
    }

    /// Is it of no length?
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, or as many zeros.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Whole(data) => data.clone(),
            Self::Cut(len) if *len <= ZEROS.len() => Bytes::from_static(&ZEROS[..*len]),
            Self::Cut(len) => Bytes::from(vec![0; *len]),
        }
    }
}

pub(super) static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
