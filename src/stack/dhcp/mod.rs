//! The DHCPv4 client of an interface, joined with the stack: what it says leaves, what it hears comes in, what it is
//! granted is used.
//!
//! RFC 2131 §4.1 (addresses and ports), §4.4; RFC 3442; RFC 5227 §2.1, §2.4 (conflicts). *Owns* when the client is
//! called, and what of a lease is in use: its address, routes and MTU. *Does not* know the protocol: [`crate::dhcp`] does; nor
//! probe: `address` does.
//!
//! Invariants: what a lease brought goes with it, and nothing else does; the client's deadline is a timer's, so that it does nothing
//! between inputs; at most two messages and five events come of one input.
//!
//! | file | owns |
//! |---|---|
//! | `options` | [`DhcpOptions`]: what an interface is told |
//! | `receive` | which packets are the client's, before sockets and before "ours?" is asked |
//! | `drive` | the client's turns: messages, events, its timer |
//! | `used` | a lease as addresses and routes of the stack |
//! | `calls` | the user's calls |

mod calls;
mod drive;
mod options;
mod receive;
mod used;

pub use calls::DhcpError;
pub use options::DhcpOptions;
pub(in crate::stack) use receive::is_for_client;

use core::net::Ipv4Addr;

use crate::base::{Instant, MacAddr, Seed};
use crate::dhcp::{Client, ConfigError};
use used::Used;

/// An interface's client.
#[derive(Debug)]
pub(crate) struct Dhcp {
    client: Client,
    options: DhcpOptions,
    /// What of the lease is in use.
    used: Option<Used>,
    /// Who sent the last answer that was taken, from which station: a lease is given back to it even when nobody
    /// waits for an ARP reply any more.
    server: Option<(Ipv4Addr, MacAddr)>,
}

impl Dhcp {
    /// The client of an interface with this MAC address and MTU; it begins at once.
    pub(in crate::stack) fn new(
        now: Instant,
        options: &DhcpOptions,
        (mac, mtu): (MacAddr, usize),
        seed: &Seed,
    ) -> Result<Self, ConfigError> {
        let mut client = Client::new(options.client(mac, mtu), *seed)?;
        match options.previous {
            Some(address) => client.reboot(now, address),
            None => client.start(now),
        }
        Ok(Self {
            client,
            options: options.clone(),
            used: None,
            server: None,
        })
    }
}
