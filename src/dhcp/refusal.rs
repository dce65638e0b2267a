//! Why the client did not take a datagram, and how often.
//!
//! *Owns* the closed list of reasons. Each datagram is taken, or counted under exactly one of them.

use core::fmt;

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal,)+) => {
        /// Why a datagram was not taken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum Refusal { $($(#[doc = $doc])+ #[error($text)] $name,)+ }

        impl Refusal {
            /// Every reason, in the order of the declaration.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// A stable name for logs and JSON, lower case with underscores.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

refusals! {
    /// Longer than [`Config::mtu`](super::Config::mtu), which servers were told as the longest.
    TooLong => "too_long",
    /// It does not parse.
    Malformed => "malformed",
    /// No server's message (op is not BOOTREPLY).
    NotReply => "not_reply",
    /// No answer is waited for.
    Unexpected => "unexpected",
    /// The xid is another exchange's.
    OtherExchange => "other_exchange",
    /// The link address in it is another client's.
    OtherHardware => "other_hardware",
    /// The client identifier in it is another client's (RFC 6842 §3).
    OtherClient => "other_client",
    /// No message type, or one that the phase does not wait for.
    OtherKind => "other_kind",
    /// No server identifier, or one that can be no server's: the address that it gives, say.
    NoServer => "no_server",
    /// From another server than the one that was asked.
    OtherServer => "other_server",
    /// The address is not the one that was asked for, or no host can have it.
    Address => "address",
    /// No lease time, one that is over, or one below [`Config::min_lease`](super::Config::min_lease).
    LeaseTime => "lease_time",
}

/// How often each [`Refusal`] happened.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RefusalCounters([u64; Refusal::ALL.len()]);

impl RefusalCounters {
    pub(super) fn count(&mut self, reason: Refusal) {
        let slot = &mut self.0[reason as usize];
        *slot = slot.saturating_add(1);
    }

    /// How often `reason` happened.
    pub fn get(&self, reason: Refusal) -> u64 {
        self.0[reason as usize]
    }

    /// Datagrams refused for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that happened at all, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        let all = Refusal::ALL
            .iter()
            .map(|&reason| (reason, self.get(reason)));
        all.filter(|&(_, n)| n > 0)
    }
}

impl fmt::Debug for RefusalCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.iter().map(|(reason, n)| (reason.name(), n));
        f.debug_map().entries(named).finish()
    }
}
