//! Bytes to send.

/// Bytes of a write; no multiple of any segment size.
pub(crate) const BLOCK: usize = 256 << 10;

/// Pseudo-random blocks, each with a number of its own, `left` bytes in all.
pub(crate) struct Source {
    left: u64,
    number: u64,
    block: Vec<u8>,
}

impl Source {
    pub(crate) fn new(left: u64) -> Self {
        Self::with_seed(0x2545_f491_4f6c_dd1d, left)
    }

    /// The same with other bytes; the seed is not zero.
    pub(crate) fn with_seed(seed: u64, left: u64) -> Self {
        let mut word = seed;
        let mut block = Vec::with_capacity(BLOCK);
        while block.len() < BLOCK {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            block.extend(word.to_le_bytes());
        }
        Self {
            left,
            number: 0,
            block,
        }
    }

    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        let len = self.left.min(BLOCK as u64) as usize;
        self.left -= len as u64;
        self.number += 1;
        self.block[..8].copy_from_slice(&self.number.to_le_bytes());
        (len > 0).then(|| &self.block[..len])
    }
}
