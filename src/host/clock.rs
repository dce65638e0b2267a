//! The one clock of the process: a monotonic epoch that all its hosts share, and its wall time.

use std::sync::OnceLock;
use std::time::SystemTime;

use crate::base::Instant;

/// Now, in nanoseconds since the first use of the clock.
pub(crate) fn now() -> Instant {
    let nanos = epoch().0.elapsed().as_nanos();
    Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// What the wall clock showed at [`Instant::ZERO`].
pub(crate) fn wall_of_epoch() -> SystemTime {
    epoch().1
}

fn epoch() -> &'static (std::time::Instant, SystemTime) {
    static EPOCH: OnceLock<(std::time::Instant, SystemTime)> = OnceLock::new();
    EPOCH.get_or_init(|| (std::time::Instant::now(), SystemTime::now()))
}
