//! What datagrams that wait are charged.
//!
//! *Owns* the reckoning. *Does not* keep any account: each socket does.

use core::num::NonZeroU16;

use crate::stack::slices::Slices;

/// Bytes that each queued datagram is charged beside its data: the queue's own memory.
pub(in crate::stack) const OVERHEAD: usize = 128;

/// What `len` bytes of data are charged in a queue: as one datagram, or as those of a super-segment.
pub(super) fn charge(len: usize, segment: Option<NonZeroU16>) -> usize {
    let datagrams = segment.map_or(1, |size| len.div_ceil(usize::from(size.get())).max(1));
    len.saturating_add(datagrams.saturating_mul(OVERHEAD))
}

/// What a datagram that was received is charged: the list of its slices too, when it came in fragments.
pub(crate) fn charge_received(data: &Slices) -> usize {
    charge(data.len(), None) + data.list_bytes()
}
