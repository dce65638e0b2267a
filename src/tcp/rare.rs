//! What few connections have, in one box: ECN that was agreed on, urgent data, a handshake with text.
//!
//! *Owns* the box: a connection that has nothing of this keeps one null pointer, and one look at it tells so.
//! *Does not* know what the parts mean.

use super::ecn::EcnState;
use super::fast_open::FastOpen;
use super::urgent::Urgent;

/// The parts, once there is one of them.
#[derive(Debug, Default)]
pub(crate) struct Rare(Option<Box<Parts>>);

#[derive(Debug, Default, PartialEq)]
struct Parts {
    /// None without ECN.
    ecn: Option<EcnState>,
    urgent: Urgent,
    /// Until the handshake is over.
    fast: Option<FastOpen>,
}

impl Rare {
    /// Is there none of it?
    #[inline]
    pub(super) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(super) fn ecn(&self) -> Option<&EcnState> {
        self.0.as_ref()?.ecn.as_ref()
    }

    #[inline]
    pub(super) fn ecn_mut(&mut self) -> Option<&mut EcnState> {
        self.0.as_mut()?.ecn.as_mut()
    }

    /// ECN is used from now on, or not any more.
    pub(super) fn set_ecn(&mut self, ecn: Option<EcnState>) {
        self.set(ecn, |parts, ecn| parts.ecn = ecn);
    }

    /// Part in a fast open begins, or is over.
    pub(super) fn set_fast(&mut self, fast: Option<FastOpen>) {
        self.set(fast, |parts, fast| parts.fast = fast);
    }

    /// Sets a part; the box goes when it was the last.
    fn set<T>(&mut self, part: Option<T>, set: impl FnOnce(&mut Parts, Option<T>)) {
        if self.is_none() && part.is_none() {
            return;
        }
        let parts = self.parts();
        set(parts, part);
        if *parts == Parts::default() {
            self.0 = None;
        }
    }

    pub(super) fn fast(&self) -> Option<FastOpen> {
        self.0.as_ref()?.fast
    }

    #[inline]
    pub(super) fn urgent(&self) -> Urgent {
        self.0
            .as_ref()
            .map_or_else(Urgent::default, |parts| parts.urgent)
    }

    /// Makes the box, if there is none.
    pub(super) fn urgent_mut(&mut self) -> &mut Urgent {
        &mut self.parts().urgent
    }

    fn parts(&mut self) -> &mut Parts {
        self.0.get_or_insert_default()
    }
}
