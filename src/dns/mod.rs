//! A stub resolver of names as a value: names, messages and time go in; questions, deadlines and addresses come out.
//!
//! RFC 1034, RFC 1035 (the protocol), RFC 2181 (what is believed), RFC 2308 (that there is nothing is kept too), RFC 3596
//! (AAAA), RFC 5452 (forged answers), RFC 6761 (names that nobody is asked for), RFC 6891 (EDNS), RFC 7766 (TCP). *Owns*
//! whom it asks and when, what of an answer it believes, and what it keeps. *Does not* open sockets, which
//! [`names`](crate::names) does over those of a [`Stack`](crate::Stack), or encode messages, which the crate `simple-dns` does.
//! Not there: other records than A and AAAA, DNSSEC (RFC 4035), names in other scripts than ASCII (RFC 5891), multicast DNS
//! (RFC 6762), connections that carry more than one question.
//!
//! [`Resolver`] shows how it is driven.
//!
//! | file | holds |
//! |---|---|
//! | `name.rs` | [`Name`]: what a name may look like |
//! | `message.rs` | the wire: a question out, a reply in |
//! | `judge.rs` | what of a reply answers the question |
//! | `special.rs` | names that are addresses already, or that nobody is asked for |
//! | `config.rs` | whom to ask and how often |
//! | `cache.rs` | what was answered, as long as it lasts |
//! | `exchange.rs`, `course.rs` | one question at one server; its way over the servers |
//! | `lookup.rs` | what a user waits for: families, the search list |
//! | `resolver.rs`, `on_reply.rs` | the resolver: what its user calls; what a reply, and time, do |
//! | `refusal.rs` | why a reply was not taken |

mod cache;
mod config;
mod course;
mod exchange;
mod judge;
mod lookup;
mod message;
mod name;
mod on_reply;
mod refusal;
mod resolver;
mod special;
#[cfg(test)]
mod tests;

#[cfg(all(target_os = "linux", feature = "host"))] // the host's
pub(crate) use config::MAX_SERVERS;
pub use config::{Config, ConfigError};
pub use exchange::{Action, ExchangeId, Question, Transport};
pub use lookup::{Event, Families, Family, LookupError, LookupId};
pub use name::{Name, NameError};
pub use refusal::{Refusal, RefusalCounters};
pub use resolver::{Counters, Resolver};

/// The port of servers (RFC 1035 §4.2).
pub const PORT: u16 = 53;
