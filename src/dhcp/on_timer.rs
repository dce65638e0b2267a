//! What the time does: leases end, phases end, questions have gone unanswered often enough.
//!
//! RFC 2131 §3.1 (5), §3.2 (4), §4.4.5. *Owns* the order in which deadlines are looked at: the end of a lease first.

use super::client::Client;
use super::exchange::{Exchange, Phase};
use super::news::LossReason;
use crate::base::Instant;

impl Client {
    /// Does what is due at `now`. A call that is not due does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and [`poll_transmit`](Self::poll_transmit) next;
    /// `None` when only a command or a datagram can change anything.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.parting.is_some() {
            return Some(Instant::ZERO); // it waits to leave
        }
        let held = self.held.as_ref();
        let held_until = held.map_or(Instant::FAR_FUTURE, |held| held.expires_at);
        let rebind_at = held.map_or(Instant::FAR_FUTURE, |held| held.rebind_at);
        let probing = held.is_some_and(|held| held.probing);
        let next = match &self.phase {
            // They wait for their address.
            Phase::Renewing { .. } if probing => rebind_at,
            Phase::Rebinding { .. } if probing => Instant::FAR_FUTURE,
            Phase::Stopped => Instant::FAR_FUTURE,
            Phase::Waiting { until, .. } => *until,
            Phase::Selecting { exchange, .. }
            | Phase::Requesting { exchange, .. }
            | Phase::Rebooting { exchange, .. }
            | Phase::Rebinding { exchange } => exchange.next,
            Phase::Bound => held.map_or(Instant::FAR_FUTURE, |held| held.renew_at),
            Phase::Renewing { exchange } => exchange.next.min(rebind_at),
        };
        Some(next.min(held_until)).filter(|&next| next < Instant::FAR_FUTURE)
    }

    /// Brings the client to `now`; every entry does this first, so that nothing is done with a lease that is over.
    pub(super) fn advance(&mut self, now: Instant) {
        // RFC 2131 §4.4.5: at the end of its lease a client stops using the address, and begins anew.
        let over = self.held.as_ref().filter(|held| held.expires_at <= now);
        if let Some(address) = over.map(|held| held.lease.address) {
            self.lose(LossReason::Expired);
            self.search(now, Some(address));
        }
        if let Phase::Waiting { until, .. } = self.phase
            && until <= now
        {
            self.search(now, None);
        }
        self.give_up(now);
        self.extend(now);
    }

    /// REQUESTs that nobody has answered.
    fn give_up(&mut self, now: Instant) {
        let tried = |exchange: &Exchange, tries| exchange.sent >= tries && exchange.is_due(now);
        match self.phase.clone() {
            // RFC 2131 §3.1 (5): the user is told, and all begins anew.
            Phase::Requesting {
                exchange,
                address,
                server,
                hint,
            } if tried(&exchange, self.config.request_tries) => {
                self.news.on_unanswered(address, server);
                self.search_on(now, &exchange, hint);
            }
            Phase::Rebooting { exchange, address }
                if tried(&exchange, self.config.reboot_tries) =>
            {
                // RFC 2131 §3.2 (4): what is left of the lease MAY be used. It is not: on another link, whose servers say
                // nothing of an address that they do not know (§4.3.2), it would be used for all that time.
                self.lose(LossReason::Unconfirmed);
                self.search_on(now, &exchange, Some(address));
            }
            _ => {}
        }
    }

    /// T1 and T2.
    fn extend(&mut self, now: Instant) {
        let Some(held) = &self.held else { return };
        match &self.phase {
            Phase::Renewing { exchange } if held.rebind_at <= now => {
                let exchange = exchange.go_on(now, &mut self.random);
                self.phase = Phase::Rebinding { exchange };
            }
            Phase::Bound if held.rebind_at <= now => {
                let exchange = Exchange::new(now, &mut self.random);
                self.phase = Phase::Rebinding { exchange };
            }
            Phase::Bound if held.renew_at <= now => {
                let exchange = Exchange::new(now, &mut self.random);
                self.phase = Phase::Renewing { exchange };
            }
            _ => {}
        }
    }
}
