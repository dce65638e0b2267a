//! Where there is no descriptor to wait on: the flag of an in-memory pair that nobody sees.

/// Takes the place of the Linux signal.
#[derive(Debug)]
pub(super) struct Signal;

impl Signal {
    pub(super) const fn readable() -> Self {
        Self
    }

    pub(super) const fn blocked() -> Self {
        Self
    }

    pub(super) const fn set(&mut self, _set: bool) {}
}
