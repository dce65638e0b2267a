//! A DHCPv4 client as a value: datagrams and time go in; messages, deadlines and events come out.
//!
//! RFC 2131 (the protocol), RFC 2132 (options), RFC 3396 (long options), RFC 3442 (classless routes), RFC 4361
//! (client identifiers), RFC 6842 (the client identifier in answers), RFC 5227 (what a conflict is). *Owns* the
//! messages' form, what is asked for and when, what of an answer is believed, and how long a lease is held.
//! *Does not* send, look for conflicts, or change an interface: who drives it does that. Not there: DHCPINFORM,
//! authentication (RFC 3118) and with it DHCPFORCERENEW, rapid commit (RFC 4039).
//!
//! [`Client`] shows how it is driven.
//!
//! | file | holds |
//! |---|---|
//! | `message.rs`, `options.rs`, `builder.rs` | the wire: [`Message`] in, [`Builder`] out |
//! | `config.rs` | what is asked for and how often |
//! | `lease.rs` | what a server's answer grants |
//! | `refusal.rs` | why an answer was not taken |
//! | `client.rs` | the client: commands, getters, changes of its phase |
//! | `exchange.rs` | the phases of RFC 2131's Figure 5, and when a message is sent again |
//! | `on_message.rs`, `on_timer.rs` | what an answer, and time, do |
//! | `transmit.rs` | which message is due, and what is in it |
//! | `news.rs` | what the user has not heard yet |

mod builder;
mod client;
mod config;
mod exchange;
mod lease;
mod message;
mod news;
mod on_message;
mod on_timer;
mod options;
mod refusal;
#[cfg(test)]
mod tests;
mod transmit;

pub use builder::{Builder, MIN_LEN};
pub use client::{Client, Counters};
pub use config::{ClientId, ClientIdError, Config, ConfigError};
pub use lease::{Lease, Route};
pub use message::{
    CLIENT_PORT, FIXED_LEN, Message, MessageType, Operation, ParseError, SERVER_PORT,
};
pub use news::{Event, LossReason};
pub use options::{DhcpOption, OptionIter, code};
pub use refusal::{Refusal, RefusalCounters};
pub use transmit::Transmit;
