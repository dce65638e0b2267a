//! A user's calls about DHCP.
//!
//! RFC 2131 §3.2 (a kept address), §4.4.6 (giving back). *Owns* the calls. *Does not* hold a lease: the client does.

use core::net::Ipv4Addr;
use std::io;

use crate::base::Instant;
use crate::dhcp::{Counters, Lease};
use crate::stack::ids::InterfaceId;
use crate::stack::{Call, Stack};

/// Why a call about DHCP was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DhcpError {
    /// The interface was configured without it, or there is no such interface.
    #[error("the interface has no dhcp client: ask for one in its configuration")]
    NoClient,
}

impl From<DhcpError> for io::Error {
    fn from(error: DhcpError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

impl Stack {
    /// The lease that an interface holds, from the server's word on: its address is usable once it was probed for
    /// ([`addresses`](Self::addresses)).
    pub fn lease(&self, on: InterfaceId) -> Option<&Lease> {
        let interface = self.net.interfaces.get(on.index())?;
        interface.dhcp.as_ref()?.client.lease()
    }

    /// When that lease ends unless it is extended; `None` without one, and for one without an end.
    pub fn lease_expires_at(&self, on: InterfaceId) -> Option<Instant> {
        let interface = self.net.interfaces.get(on.index())?;
        interface.dhcp.as_ref()?.client.expires_at()
    }

    /// What an interface's DHCP client has sent, received and refused.
    pub fn dhcp_counters(&self, on: InterfaceId) -> Option<&Counters> {
        let interface = self.net.interfaces.get(on.index())?;
        Some(interface.dhcp.as_ref()?.client.counters())
    }

    /// Gives the lease back (RFC 2131 §4.4.6) and stops: the address goes at once, with what uses it. Without a lease
    /// it only stops.
    ///
    /// # Errors
    /// [`DhcpError::NoClient`].
    pub fn dhcp_release(&mut self, now: Instant, on: InterfaceId) -> Result<(), DhcpError> {
        self.note_call(Some(now), |_| Call::DhcpRelease(on));
        let now = self.net.clamp(now);
        let done = self.net.with_dhcp(now, on, |dhcp| dhcp.client.release(now));
        self.tell_notices(now);
        self.note_outcome(done.ok_or(DhcpError::NoClient))
    }

    /// Begins to look for a lease after a [`dhcp_release`](Self::dhcp_release), with the address of an earlier one if
    /// that is given (RFC 2131 §3.2, INIT-REBOOT). Does nothing while the client runs, as it does from the begin.
    ///
    /// # Errors
    /// [`DhcpError::NoClient`].
    pub fn dhcp_start(
        &mut self,
        now: Instant,
        on: InterfaceId,
        previous: Option<Ipv4Addr>,
    ) -> Result<(), DhcpError> {
        self.note_call(Some(now), |_| Call::DhcpStart(on, previous));
        let now = self.net.clamp(now);
        let done = self.net.with_dhcp(now, on, |dhcp| match previous {
            Some(address) => dhcp.client.reboot(now, address),
            None => dhcp.client.start(now),
        });
        self.tell_notices(now);
        self.note_outcome(done.ok_or(DhcpError::NoClient))
    }

    /// Does a client of this interface look for a lease in vain so far?
    pub(crate) fn awaits_lease(&self, on: InterfaceId) -> bool {
        self.runs_dhcp(on) && self.lease(on).is_none() && !self.net.has_link_local_v4(on)
    }

    /// Does a client of this interface hold a lease, or look for one?
    pub(crate) fn runs_dhcp(&self, on: InterfaceId) -> bool {
        let interface = self.net.interfaces.get(on.index());
        let dhcp = interface.and_then(|interface| interface.dhcp.as_ref());
        dhcp.is_some_and(|dhcp| dhcp.client.is_running())
    }
}
