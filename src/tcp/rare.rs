//! What few connections have, in one box: ECN that was agreed on, urgent data.
//!
//! *Owns* the box: a connection that has nothing of this keeps one null pointer, and one look at it tells so.
//! *Does not* know what the parts mean.

use super::ecn::EcnState;
use super::urgent::Urgent;

/// The parts, once there is one of them.
#[derive(Debug, Default)]
pub(crate) struct Rare(Option<Box<Parts>>);

#[derive(Debug, Default)]
struct Parts {
    /// None without ECN.
    ecn: Option<EcnState>,
    urgent: Urgent,
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
        if self.is_none() && ecn.is_none() {
            return;
        }
        let parts = self.parts();
        parts.ecn = ecn;
        if parts.ecn.is_none() && parts.urgent == Urgent::default() {
            self.0 = None;
        }
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
