//! What a server's answer does.
//!
//! RFC 2131 §4.3.1 Table 3 (what answers hold), §4.4 (who takes which); RFC 6842 §3. *Owns* the checks of an answer, in
//! one order. Invariant: nothing changes before all of them have passed, but for the counters.

use core::net::Ipv4Addr;

use super::client::Client;
use super::exchange::{Exchange, Phase};
use super::lease::{Lease, server_of};
use super::message::{ETHERNET, Message, MessageType, Operation};
use super::news::LossReason;
use super::options::code;
use super::refusal::Refusal;
use crate::base::Instant;

/// What the REQUEST that is out asks for.
struct Asked {
    address: Ipv4Addr,
    /// The server that may answer; `None`: any.
    server: Option<Ipv4Addr>,
    /// When the lease begins that an answer grants.
    sent: Instant,
}

impl Client {
    /// Takes the payload of a UDP datagram that came from port 67 to port 68.
    ///
    /// # Errors
    /// [`Refusal`] when it is no answer to what was asked; it is counted, and nothing else has
    /// happened but what the time does ([`handle_timeout`](Self::handle_timeout)): there may be messages and events.
    pub fn handle_datagram(&mut self, now: Instant, payload: &[u8]) -> Result<(), Refusal> {
        self.advance(now);
        self.counters.received = self.counters.received.saturating_add(1);
        let outcome = self.take(now, payload);
        if let Err(reason) = outcome {
            self.counters.refused.count(reason);
        }
        outcome
    }

    fn take(&mut self, now: Instant, payload: &[u8]) -> Result<(), Refusal> {
        if payload.len() > usize::from(self.config.mtu) {
            return Err(Refusal::TooLong);
        }
        let message = Message::parse(payload).map_err(|_| Refusal::Malformed)?;
        self.check_ours(&message)?;
        match message.kind() {
            Some(MessageType::OFFER) => self.on_offer(now, &message),
            Some(MessageType::ACK) => self.on_ack(now, &message),
            Some(MessageType::NAK) => self.on_nak(now, &message),
            _ => Err(Refusal::OtherKind),
        }
    }

    /// Is it an answer to this client's question?
    fn check_ours(&self, message: &Message<'_>) -> Result<(), Refusal> {
        if message.operation() != Operation::REPLY {
            return Err(Refusal::NotReply);
        }
        let exchange = self.exchange().filter(|exchange| exchange.sent > 0);
        let exchange = exchange.ok_or(Refusal::Unexpected)?;
        // RFC 2131 §4.4.1: an answer whose xid is another is dropped in silence.
        if message.xid() != exchange.xid {
            return Err(Refusal::OtherExchange);
        }
        let mac = self.config.mac.octets();
        if message.hardware_type() != ETHERNET || message.chaddr() != mac {
            return Err(Refusal::OtherHardware);
        }
        // RFC 6842 §3: one that is there and another's means that the answer is another's.
        let client_id = message.option(code::CLIENT_ID);
        if client_id.is_some_and(|id| *id != *self.client_id.as_bytes()) {
            return Err(Refusal::OtherClient);
        }
        Ok(())
    }

    /// RFC 2131 §4.4.1: the first offer that will do is taken.
    fn on_offer(&mut self, now: Instant, message: &Message<'_>) -> Result<(), Refusal> {
        let Phase::Selecting { exchange, hint } = &self.phase else {
            return Err(Refusal::OtherKind);
        };
        // Read whole, that an offer is not asked for whose ACK would be refused.
        let (lease, _) = Lease::read(message, None, &self.config, &mut self.random)?;
        self.counters.offers = self.counters.offers.saturating_add(1);
        self.phase = Phase::Requesting {
            exchange: exchange.follow(now),
            address: lease.address,
            server: lease.server,
            hint: *hint,
        };
        Ok(())
    }

    fn on_ack(&mut self, now: Instant, message: &Message<'_>) -> Result<(), Refusal> {
        let asked = self.asked().ok_or(Refusal::OtherKind)?;
        let held = self.held.as_ref().map(|held| &held.lease);
        let (lease, ignored) = Lease::read(message, held, &self.config, &mut self.random)?;
        asked.check_server(lease.server)?;
        if lease.address != asked.address {
            return Err(Refusal::Address);
        }
        // RFC 2131 §4.4.1: the lease runs from when the REQUEST was sent.
        if lease
            .lease_time
            .is_some_and(|time| asked.sent + time <= now)
        {
            return Err(Refusal::LeaseTime);
        }
        self.counters.acks = self.counters.acks.saturating_add(1);
        self.counters.options_ignored = self.counters.options_ignored.saturating_add(ignored);
        self.bind(asked.sent, lease);
        Ok(())
    }

    fn on_nak(&mut self, now: Instant, message: &Message<'_>) -> Result<(), Refusal> {
        let asked = self.asked().ok_or(Refusal::OtherKind)?;
        let server = server_of(message)?;
        asked.check_server(server)?;
        self.counters.naks = self.counters.naks.saturating_add(1);
        if self.lose(LossReason::Refused).is_none() {
            self.news.on_refused(asked.address, server);
        }
        self.on_refused(now);
        Ok(())
    }

    /// Has it asked something that was not answered yet? What comes meanwhile may be for it, and nothing else is.
    pub fn awaits_answer(&self) -> bool {
        self.exchange().is_some_and(|exchange| exchange.sent > 0)
    }

    /// The question that is out.
    fn exchange(&self) -> Option<&Exchange> {
        match &self.phase {
            Phase::Stopped | Phase::Waiting { .. } | Phase::Bound => None,
            Phase::Selecting { exchange, .. }
            | Phase::Requesting { exchange, .. }
            | Phase::Rebooting { exchange, .. }
            | Phase::Renewing { exchange }
            | Phase::Rebinding { exchange } => Some(exchange),
        }
    }

    fn asked(&self) -> Option<Asked> {
        let sent = self.exchange()?.first_sent?;
        let (address, server) = match self.phase {
            Phase::Requesting {
                address, server, ..
            } => (address, Some(server)),
            Phase::Rebooting { address, .. } => (address, None),
            Phase::Renewing { .. } => self.lease().map(|held| (held.address, Some(held.server)))?,
            Phase::Rebinding { .. } => self.lease().map(|held| (held.address, None))?,
            _ => return None,
        };
        Some(Asked {
            address,
            server,
            sent,
        })
    }
}

impl Asked {
    fn check_server(&self, server: Ipv4Addr) -> Result<(), Refusal> {
        if self.server.is_some_and(|asked| asked != server) {
            return Err(Refusal::OtherServer);
        }
        Ok(())
    }
}
