//! A driver that is a task, as those who wake it see it.
//!
//! *Owns* that a turn is asked for once. *Does not* drive.

use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "tokio")]
use std::task::{Context, Poll};

use super::news::News;

/// A driver that is a task, if there is one.
#[derive(Debug, Default)]
pub(crate) struct DriverTask {
    /// Is it?
    runs: AtomicBool,
    asked: AtomicBool,
    news: News,
}

impl DriverTask {
    pub(crate) fn runs(&self) -> bool {
        self.runs.load(Ordering::Relaxed)
    }

    /// Has it take a turn; never under the core's lock.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.news.tell();
        self.news.wake();
    }

    /// Was it asked for a turn?
    pub(crate) fn take(&self) -> bool {
        self.runs() && self.asked.swap(false, Ordering::SeqCst)
    }
}

#[cfg(feature = "tokio")]
impl DriverTask {
    /// From here on it is.
    pub(crate) fn begin(&self) {
        self.runs.store(true, Ordering::SeqCst);
    }

    /// Pending until it is asked.
    pub(crate) fn poll_asked(&self, cx: &Context<'_>) -> Poll<()> {
        let asked = || self.asked.load(Ordering::SeqCst).then_some(());
        self.news.poll(cx, asked)
    }
}
