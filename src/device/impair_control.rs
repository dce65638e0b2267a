//! Changes to the wires of a device that runs.
//!
//! *Owns* what was asked for and not yet done. *Does not* wake anybody: a half looks whenever it is
//! called, and asks to be called soon while it holds frames.

use core::time::Duration;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::WireConfig;

/// Changes what the wires of an [`Impair`](super::Impair) do while it runs, from any thread.
///
/// A change takes effect when the half is used next. While frames are in its wire that is within a
/// millisecond, though none of them is due; otherwise with the next frame. The last of several
/// changes holds.
#[derive(Clone, Debug)]
pub struct ImpairControl {
    pub(super) sending: Arc<Wanted>,
    pub(super) receiving: Arc<Wanted>,
}

impl ImpairControl {
    /// What happens from now on to the frames that are sent.
    pub fn set_sending(&self, config: WireConfig) {
        self.sending.set(config);
    }

    /// What happens from now on to the frames that are received.
    pub fn set_receiving(&self, config: WireConfig) {
        self.receiving.set(config);
    }
}

/// What somebody wants a wire to do.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// So that a half which asks for each frame takes no lock.
    changed: AtomicBool,
    config: Mutex<Option<WireConfig>>,
}

/// How often a half that holds frames looks.
const LOOK: Duration = Duration::from_millis(1);

impl Wanted {
    fn set(&self, config: WireConfig) {
        let mut slot = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(config);
        self.changed.store(true, Ordering::Release);
    }

    /// What is wanted, once.
    pub(super) fn take(&self) -> Option<WireConfig> {
        if !self.changed.load(Ordering::Acquire) {
            return None;
        }
        let mut slot = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.store(false, Ordering::Release);
        slot.take()
    }

    /// How long a half that holds frames may wait: for ever when nobody can want anything.
    pub(super) fn patience(self: &Arc<Self>) -> Option<Duration> {
        (Arc::strong_count(self) > 1).then_some(LOOK)
    }
}
