//! The blocks of a SACK option, as a value (RFC 2018 §3).
//!
//! *Owns* up to four blocks and their order. *Does not* judge them: `scoreboard` does, and `owed` says which
//! are reported.

use core::fmt;

/// The most SACK blocks that fit into 40 bytes of options.
const MAX_SACK_BLOCKS: usize = 4;

/// Up to four SACK blocks: left edge, right edge (RFC 2018 §3), in the order of the option.
#[derive(Clone, Copy, Default)]
pub struct SackBlocks {
    blocks: [(u32, u32); MAX_SACK_BLOCKS],
    len: u8,
}

impl SackBlocks {
    /// No blocks.
    pub const NONE: Self = Self {
        blocks: [(0, 0); MAX_SACK_BLOCKS],
        len: 0,
    };

    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let (pairs, rest) = data.as_chunks::<8>();
        let fits = rest.is_empty() && (1..=MAX_SACK_BLOCKS).contains(&pairs.len());
        fits.then(|| pairs.iter().map(pair).collect())
    }

    /// Adds a block at the end; `false` when four are there already.
    pub fn push(&mut self, left: u32, right: u32) -> bool {
        let slot = self.blocks.get_mut(usize::from(self.len));
        let fits = slot.is_some();
        if let Some(slot) = slot {
            *slot = (left, right);
            self.len += 1;
        }
        fits
    }

    /// How many blocks there are.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The blocks, (left edge, right edge).
    pub fn as_slice(&self) -> &[(u32, u32)] {
        &self.blocks[..self.len()]
    }

    /// The blocks one by one, (left edge, right edge).
    pub fn iter(&self) -> SackIter<'_> {
        self.as_slice().iter().copied()
    }
}

/// Goes through [`SackBlocks`].
pub type SackIter<'a> = core::iter::Copied<core::slice::Iter<'a, (u32, u32)>>;

impl PartialEq for SackBlocks {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SackBlocks {}

impl fmt::Debug for SackBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<(u32, u32)> for SackBlocks {
    /// The first four pairs.
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(pairs: I) -> Self {
        let mut blocks = Self::NONE;
        for (left, right) in pairs.into_iter().take(MAX_SACK_BLOCKS) {
            blocks.push(left, right);
        }
        blocks
    }
}

impl<'a> IntoIterator for &'a SackBlocks {
    type Item = (u32, u32);
    type IntoIter = SackIter<'a>;

    fn into_iter(self) -> SackIter<'a> {
        self.iter()
    }
}

/// Two 32-bit numbers in network order.
pub(super) fn pair(bytes: &[u8; 8]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = *bytes;
    (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    )
}
