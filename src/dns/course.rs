//! A question's way over the servers.
//!
//! RFC 1035 §7.2, resolv.conf(5). *Owns* who is next, and how it ends when nobody knows.

use core::net::SocketAddr;
use std::sync::Arc;

use super::exchange::Exchange;
use super::lookup::LookupId;

/// Why a server has not answered, the worst last: of several this one is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    /// No way to it, or nobody there.
    Unreachable,
    /// It said nothing in time.
    Silent,
    /// It failed, refused, or said what makes no sense.
    Server,
}

/// A question that is under way.
#[derive(Debug)]
pub(super) struct Course {
    /// As they were when it was begun.
    servers: Arc<[SocketAddr]>,
    /// Which of them is first.
    first: usize,
    /// Servers that were asked and did not answer, each time counted.
    failed: u32,
    /// How often each is asked.
    attempts: u32,
    /// The worst so far.
    pub(super) worst: Failure,
    /// A server has not understood EDNS.
    pub(super) plain: bool,
    pub(super) exchange: Exchange,
    /// Who waits for it: none is twice in it.
    pub(super) waiting: Vec<LookupId>,
}

impl Course {
    pub(super) fn new(
        (servers, first): (Arc<[SocketAddr]>, usize),
        attempts: u32,
        exchange: Exchange,
    ) -> Self {
        Self {
            servers,
            first,
            failed: 0,
            attempts,
            worst: Failure::Unreachable,
            plain: false,
            exchange,
            waiting: Vec::new(),
        }
    }

    /// Does it go over these servers?
    pub(super) fn is_over(&self, servers: &Arc<[SocketAddr]>) -> bool {
        Arc::ptr_eq(&self.servers, servers)
    }

    /// The server that is asked has not answered: who is next?
    pub(super) fn next(&mut self, why: Failure) -> Option<SocketAddr> {
        self.worst = self.worst.max(why);
        self.failed = self.failed.saturating_add(1);
        let count = u32::try_from(self.servers.len()).ok()?;
        if self.failed >= count.saturating_mul(self.attempts) {
            return None;
        }
        let steps = usize::try_from(self.failed % count).ok()?;
        let place = (self.first + steps) % self.servers.len();
        self.servers.get(place).copied()
    }
}
