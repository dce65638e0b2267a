//! What stands at the ends of links.
//!
//! *Owns* the kinds and what they have in common. *Does not* know wires.

use core::time::Duration;

use bytes::Bytes;

use super::host::Host;
use super::relay::Relay;
use super::router::Router;
use super::switch::Switch;
use crate::base::Instant;
use crate::stack::PortError;

/// A host, a router, a switch or a relay, with its name.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Host(Box<Host>),
    Relay(Relay),
    Router(Router),
    Switch(Switch),
}

impl Node {
    /// A frame has come to a port.
    pub(super) fn arrive(&mut self, port: usize, frame: Bytes) {
        match &mut self.kind {
            Kind::Host(host) => host.arrive(port, frame),
            Kind::Relay(relay) => relay.arrive(port, frame),
            Kind::Router(router) => router.arrive(port, frame),
            Kind::Switch(switch) => switch.arrive(port, frame),
        }
    }

    /// How much later than at once a frame that came wakes it; `None` when one before it does.
    pub(super) fn call(&mut self) -> Option<Duration> {
        match &mut self.kind {
            Kind::Host(host) => host.call(),
            Kind::Relay(_) | Kind::Router(_) | Kind::Switch(_) => Some(Duration::ZERO),
        }
    }

    /// Does all that is to be done now; returns when there is something to do again.
    pub(super) fn turn(&mut self, now: Instant) -> Result<Option<Instant>, PortError> {
        match &mut self.kind {
            Kind::Host(host) => host.turn(now),
            Kind::Relay(relay) => {
                relay.turn(now);
                Ok(None)
            }
            Kind::Router(router) => {
                router.turn(now);
                Ok(None)
            }
            Kind::Switch(switch) => {
                switch.turn(now);
                Ok(None)
            }
        }
    }

    /// Gives away, in order, what the last turn sent over each port.
    pub(super) fn drain_sent(&mut self, take: impl FnMut(usize, Bytes)) {
        match &mut self.kind {
            Kind::Host(host) => host.drain_sent(take),
            Kind::Relay(relay) => relay.drain_sent(take),
            Kind::Router(router) => router.drain_sent(take),
            Kind::Switch(switch) => switch.drain_sent(take),
        }
    }
}
