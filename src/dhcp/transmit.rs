//! Which message is due, what is in it, and where it goes.
//!
//! RFC 2131 §4.1 (addresses), §4.4.1 Table 5 (fields and options), §4.4.4 (broadcast or not). *Owns* what is written.
//! *Does not* send: [`Transmit`] says what a UDP socket, or whoever writes the headers, shall do.

use core::net::Ipv4Addr;

use super::builder::Builder;
use super::client::Client;
use super::exchange::{Phase, xid};
use super::lease::Lease;
use super::message::{MessageType, Operation};
use super::options::code;
use crate::base::Instant;

/// A message to send, from port 68 to port 67.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// The payload of the UDP datagram.
    pub payload: Vec<u8>,
    /// The source address: unspecified as long as there is no lease, and while one is confirmed after the link came up,
    /// whatever other addresses there are.
    pub source: Ipv4Addr,
    /// The server, or 255.255.255.255: then a broadcast of the link too.
    pub destination: Ipv4Addr,
}

impl Client {
    /// The next message to send at `now`; to be asked until it has none. What extends a lease waits until
    /// [`poll_event`](Self::poll_event) has told of its address.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.advance(now);
        if let Some(parting) = self.parting.take() {
            return Some(parting);
        }
        self.note_silence(now);
        // It would leave from an address that the user has not added, or not probed for.
        let waits = self.news.is_bound_untold() || self.held.as_ref().is_some_and(|h| h.probing);
        let Self {
            phase,
            config,
            random,
            ..
        } = self;
        let ends = self.held.as_ref().map(|h| (h.rebind_at, h.expires_at));
        let (rebind_at, expires_at) = ends.unwrap_or((now, now));
        match phase {
            Phase::Stopped | Phase::Waiting { .. } | Phase::Bound => return None,
            Phase::Selecting { exchange, .. }
            | Phase::Requesting { exchange, .. }
            | Phase::Rebooting { exchange, .. }
            | Phase::Renewing { exchange }
            | Phase::Rebinding { exchange }
                if !exchange.is_due(now) =>
            {
                return None;
            }
            Phase::Renewing { .. } | Phase::Rebinding { .. } if waits => return None,
            // RFC 2131 §4.4.1: the REQUEST has the secs of the DISCOVER that was answered.
            Phase::Requesting { exchange, .. } => exchange.on_sent(now, config, random),
            Phase::Selecting { exchange, .. } | Phase::Rebooting { exchange, .. } => {
                exchange.secs = exchange.secs_at(now);
                exchange.on_sent(now, config, random);
            }
            Phase::Renewing { exchange } => {
                exchange.secs = exchange.secs_at(now);
                exchange.on_renewal_sent(now, rebind_at, config, random);
            }
            Phase::Rebinding { exchange } => {
                exchange.secs = exchange.secs_at(now);
                exchange.on_renewal_sent(now, expires_at, config, random);
            }
        }
        self.question()
    }

    /// The message of this phase, as RFC 2131 §4.4.1 Table 5 and §4.3.2 say.
    fn question(&mut self) -> Option<Transmit> {
        let held = self.lease().map(|lease| (lease.address, lease.server));
        let question = match self.phase {
            Phase::Stopped | Phase::Waiting { .. } | Phase::Bound => return None,
            Phase::Selecting { ref exchange, hint } => {
                let discover = self.ask(MessageType::DISCOVER, exchange.xid, exchange.secs);
                let discover = discover.broadcast(self.config.broadcast);
                to_all(match hint {
                    Some(address) => discover.address(code::REQUESTED_ADDRESS, address),
                    None => discover,
                })
            }
            Phase::Requesting {
                ref exchange,
                address,
                server,
                ..
            } => to_all(
                self.ask(MessageType::REQUEST, exchange.xid, exchange.secs)
                    .broadcast(self.config.broadcast)
                    .address(code::REQUESTED_ADDRESS, address)
                    .address(code::SERVER_ID, server),
            ),
            Phase::Rebooting {
                ref exchange,
                address,
            } => to_all(
                self.ask(MessageType::REQUEST, exchange.xid, exchange.secs)
                    .broadcast(self.config.broadcast)
                    .address(code::REQUESTED_ADDRESS, address),
            ),
            Phase::Renewing { ref exchange } => {
                let (address, server) = held?;
                let request = self.ask(MessageType::REQUEST, exchange.xid, exchange.secs);
                to(request.ciaddr(address), address, server)
            }
            Phase::Rebinding { ref exchange } => {
                let (address, _) = held?;
                let request = self.ask(MessageType::REQUEST, exchange.xid, exchange.secs);
                to(request.ciaddr(address), address, Ipv4Addr::BROADCAST)
            }
        };
        let sent = match self.phase {
            Phase::Selecting { .. } => &mut self.counters.discovers,
            _ => &mut self.counters.requests,
        };
        *sent = sent.saturating_add(1);
        Some(question)
    }

    /// DHCPDECLINE, to all: the address is not to be used, and so not as a source (RFC 2131 §4.4.4).
    pub(super) fn decline(&mut self, lease: &Lease) -> Transmit {
        self.counters.declines = self.counters.declines.saturating_add(1);
        let xid = xid(&mut self.random);
        let message = self.message(MessageType::DECLINE, xid);
        to_all(
            message
                .address(code::REQUESTED_ADDRESS, lease.address)
                .address(code::SERVER_ID, lease.server),
        )
    }

    /// DHCPRELEASE, to the server (RFC 2131 §4.4.4).
    pub(super) fn give_back(&mut self, lease: &Lease) -> Transmit {
        self.counters.releases = self.counters.releases.saturating_add(1);
        let xid = xid(&mut self.random);
        let message = self.message(MessageType::RELEASE, xid);
        let message = message
            .ciaddr(lease.address)
            .address(code::SERVER_ID, lease.server);
        to(message, lease.address, lease.server)
    }

    /// A DISCOVER or a REQUEST. RFC 2131 §4.4.1: what the one asks for the other does too.
    fn ask(&self, kind: MessageType, xid: u32, secs: u16) -> Builder {
        let message = self
            .message(kind, xid)
            .secs(secs)
            .option(code::PARAMETER_REQUEST, &self.config.requested())
            .option(code::MAX_MESSAGE, &self.config.mtu.to_be_bytes());
        match &self.config.host_name {
            Some(name) => message.option(code::HOST_NAME, name.as_bytes()),
            None => message,
        }
    }

    /// What all messages have. RFC 4361 §6.1: the client identifier is in each.
    fn message(&self, kind: MessageType, xid: u32) -> Builder {
        Builder::new(Operation::REQUEST, kind, xid, self.config.mac)
            .option(code::CLIENT_ID, self.client_id.as_bytes())
    }

    /// The user hears once in a search that nobody answers.
    fn note_silence(&mut self, now: Instant) {
        if let Phase::Selecting { exchange, .. } = &self.phase
            && exchange.is_due(now)
            && exchange.sent == self.config.request_tries
        {
            self.news.on_no_server();
        }
    }
}

/// Before there is an address (RFC 2131 §4.1).
fn to_all(message: Builder) -> Transmit {
    to(message, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST)
}

fn to(message: Builder, source: Ipv4Addr, destination: Ipv4Addr) -> Transmit {
    Transmit {
        payload: message.finish(),
        source,
        destination,
    }
}
