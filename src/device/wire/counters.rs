//! What became of the frames of a wire.
//!
//! *Owns* the counts. Invariant: each frame that was offered, and each copy, is in exactly one of those
//! that say where it ended, or still in the wire.

/// What happened to the frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireCounters {
    /// Frames offered.
    pub frames: u64,
    /// Those of them with transport text: the number that the next one will have.
    pub texts: u64,
    /// Copies that were made of them.
    pub duplicated: u64,
    /// Taken out at the far end.
    pub delivered: u64,
    /// Lost on the way by choice of the settings.
    pub lost: u64,
    /// Dropped because the queue, or the wire, was full.
    pub overflowed: u64,
    /// Dropped for want of tokens.
    pub policed: u64,
    /// Dropped above the CE threshold because they were not ECT.
    pub refused: u64,
    /// Gone in an outage.
    pub cut_off: u64,
    /// Bare ACKs in whose place a newer one passed.
    pub thinned: u64,
    /// With a flipped bit, whatever became of them.
    pub corrupted: u64,
    /// Held back so that others overtake.
    pub reordered: u64,
    /// Given the CE mark.
    pub marked: u64,
}

impl WireCounters {
    /// Every count with its name, in the order of the declaration.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Self {
            frames,
            texts,
            duplicated,
            delivered,
            lost,
            overflowed,
            policed,
            refused,
            cut_off,
            thinned,
            corrupted,
            reordered,
            marked,
        } = *self;
        [
            ("frames", frames),
            ("texts", texts),
            ("duplicated", duplicated),
            ("delivered", delivered),
            ("lost", lost),
            ("overflowed", overflowed),
            ("policed", policed),
            ("refused", refused),
            ("cut_off", cut_off),
            ("thinned", thinned),
            ("corrupted", corrupted),
            ("reordered", reordered),
            ("marked", marked),
        ]
        .into_iter()
    }
}
