//! Why the resolver did not take a message, and how often.
//!
//! RFC 5452 §9 is what most of them are for. *Owns* the closed list of reasons. Each message is taken, or counted under exactly one of them.

use core::fmt;

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal,)+) => {
        /// Why a message was not taken.
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
    /// The exchange is over, or never was.
    Unexpected => "unexpected",
    /// From another address or port than the one that was asked.
    OtherServer => "other_server",
    /// It does not parse.
    Malformed => "malformed",
    /// No reply to a query.
    NotReply => "not_reply",
    /// Its number is not that of the question.
    OtherId => "other_id",
    /// It repeats another question, none, or several.
    OtherQuestion => "other_question",
    /// It repeats the question with other capitals: its server does not keep them, or it is forged.
    OtherCase => "other_case",
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

    /// Messages refused for any reason.
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
