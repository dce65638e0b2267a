//! Frames that come one at a time: a read that would only say that nothing waits is left out.
//!
//! Messages that are answered one by one come so, and such a read is a thirtieth of an exchange. *Owns* the guess. *Does not* read.
//! Invariant: who is wrong loses nothing: what waits is found by the next look, before which nobody sleeps for good; and the guess is
//! put to the test again and again.

/// How the last batches were.
#[derive(Debug, Default)]
pub(super) struct Singles {
    /// Batches in a row that were one frame with nothing behind it, up to [`ENOUGH`].
    seen: u8,
    /// Batches that are still taken for such without a look.
    trusted: u8,
}

/// So many in a row are no accident; as many are taken for such, then it is looked again.
const ENOUGH: u8 = 8;

impl Singles {
    /// The first frame of a batch was read: is it taken for the only one?
    pub(super) const fn is_trusted(&mut self) -> bool {
        let trusted = self.trusted > 0;
        self.trusted = self.trusted.saturating_sub(1);
        trusted
    }

    /// Nothing waited behind so many frames of a batch.
    pub(super) const fn nothing_behind(&mut self, frames: usize) {
        match frames {
            0 => {}
            1 if self.seen < ENOUGH => self.seen += 1,
            1 => self.trusted = ENOUGH,
            _ => self.seen = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_alone_are_trusted_for_eight_more() {
        let mut singles = Singles::default();
        for round in 0..3 {
            // Later, one look in nine is enough.
            for _ in 0..if round == 0 { 9 } else { 1 } {
                assert!(!singles.is_trusted());
                singles.nothing_behind(1);
            }
            for _ in 0..8 {
                assert!(singles.is_trusted(), "round {round}");
                // That nothing waits when nothing came says nothing.
                singles.nothing_behind(0);
            }
        }
        assert!(!singles.is_trusted());
        // Two at once, and all begins anew.
        singles.nothing_behind(2);
        for _ in 0..9 {
            assert!(!singles.is_trusted());
            singles.nothing_behind(1);
        }
        assert!(singles.is_trusted());
    }
}
