//! A client of stateless DHCPv6 as a value: replies and time go in; questions, deadlines and what was told come out.
//!
//! RFC 8415 §6.1 (stateless DHCP), §18.2.6, §18.2.10.4, §18.2.12; RFC 3646 (servers and domains of DNS). *Owns* the
//! messages' form, when is asked, and what of an answer is believed. *Does not* send, nor lease addresses: who drives it sends,
//! and routers tell of prefixes. Not there: addresses and prefixes of DHCPv6, Reconfigure, authentication.
//!
//! | file | holds |
//! |---|---|
//! | `message.rs` | the wire: [`Message`] in, [`information_request`] out |
//! | `client.rs` | [`Client`]: when it asks |
//! | `told.rs` | [`Information`]: what is believed of an answer |

mod client;
mod message;
#[cfg(test)]
mod tests;
mod told;

pub use client::{Client, Counters, Refusal};
pub(crate) use message::SERVERS;
pub use message::{
    CLIENT_PORT, DhcpOption, HEADER_LEN, Message, MessageType, OptionIter, ParseError, SERVER_PORT,
    code, information_request,
};
pub use told::{Information, MAX_DOMAINS, MAX_SERVERS};
