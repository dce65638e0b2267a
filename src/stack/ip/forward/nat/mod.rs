//! Translation of IPv4 addresses and ports, where packets of other hosts leave by an interface that is told so.
//!
//! RFC 3022, RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP), RFC 7857. *Owns* who an outside port belongs to, and what becomes of a packet on its
//! way through. *Does not* judge whether it may go on (`judge`), nor cut or send it. Invariants: what our own sockets have of the outside address
//! is theirs; state is made by what leaves alone; a packet costs a few keyed look-ups, and its payload is not touched.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the settings |
//! | `table` | mappings and sessions, their bounds |
//! | `ports` | which ports are free |
//! | `session` | how far a connection has come, and how long it is remembered |
//! | `edit` | other ends in a packet's headers, and its checksums |
//! | `errors` | ICMP errors, and what they quote |
//! | `outward` | what leaves |
//! | `inward` | what comes back, and what goes from inside to inside by the outside address |

mod edit;
mod errors;
mod inward;
mod options;
mod outward;
mod ports;
mod session;
mod table;
#[cfg(test)]
mod tests;

pub(super) use edit::{Edit, QUERY_LEN};
pub(crate) use options::StaticForward;
pub use options::{NatFilter, NatOptions};
pub(crate) use session::Lives as NatLives;
pub(in crate::stack) use table::{Kind as NatKind, Nat};

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use super::packet::Packet;
use crate::base::{Instant, Protocol};
use crate::link::layout::{Layout, word};
use crate::stack::Stack;
use crate::stack::demux::Demux;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::{ConfigError, InterfaceConfig};
use crate::stack::net::Net;
use crate::stack::ping::Pings;
use crate::stack::tuple::Tuple;
use crate::stack::wheel::TimerKey;
use table::{Kind, Said};

/// What sockets of ours have.
#[derive(Clone, Copy, Debug)]
pub(in crate::stack) struct Own<'a> {
    pub(in crate::stack) demux: &'a Demux,
    pub(in crate::stack) pings: &'a Pings,
}

impl Own<'_> {
    /// Is a socket of ours bound to this port?
    fn claims(&self, kind: Kind, port: u16) -> bool {
        match kind {
            Kind::Tcp => self.demux.tcp.is_claimed(port),
            Kind::Udp => self.demux.udp.is_claimed(port),
            Kind::Query => self.pings.is_claimed(port),
        }
    }

    /// Is it a packet of a connection of ours, whose listener may be gone?
    fn has_flow(
        &self,
        on: InterfaceId,
        kind: Kind,
        own: SocketAddrV4,
        remote: SocketAddrV4,
    ) -> bool {
        let end = |end: SocketAddrV4| (IpAddr::V4(*end.ip()), end.port());
        let tuple = || Tuple::new(on, end(own), end(remote));
        kind == Kind::Tcp && self.demux.tcp.flows.candidate(&tuple()).is_some()
    }
}

/// Reads the ends of what can be translated, and finds where its headers lie. Of ICMP's messages those of these types.
fn read(packet: &mut Packet, queries: &[u8]) -> Option<Said> {
    let (IpAddr::V4(src), IpAddr::V4(dst)) = packet.ends else {
        return None;
    };
    let l4 = packet.header_len;
    let (kind, ports, flags) = match Protocol(*packet.data.get(9)?) {
        Protocol::TCP | Protocol::UDP => {
            let layout = packet.layout.or_else(|| Layout::behind(0, &packet.data))?;
            packet.layout = Some(layout);
            let ports = (word(&packet.data, l4)?, word(&packet.data, l4 + 2)?);
            match layout.protocol == Protocol::TCP.0 {
                true => (Kind::Tcp, ports, *packet.data.get(l4 + 13)?),
                false => (Kind::Udp, ports, 0),
            }
        }
        Protocol::ICMP if packet.data.len() >= l4 + QUERY_LEN && !packet.partial => {
            if !queries.contains(&packet.data[l4]) {
                return None;
            }
            let id = word(&packet.data, l4 + 4)?;
            (Kind::Query, (id, id), 0)
        }
        _ => return None,
    };
    let edit = packet.edit.as_ref();
    let (new_src, new_dst) = edit.map_or((None, None), |edit| (edit.src, edit.dst));
    Some(Said {
        kind,
        src: new_src.unwrap_or_else(|| SocketAddrV4::new(src, ports.0)),
        dst: new_dst.unwrap_or_else(|| SocketAddrV4::new(dst, ports.1)),
        flags,
    })
}

/// Echo and timestamp, asked and answered (RFC 792).
const QUESTIONS: &[u8] = &[8, 13];
const ANSWERS: &[u8] = &[0, 14];
const QUERIES: &[u8] = &[0, 8, 13, 14];

impl Net {
    /// Has the interface translate what leaves by it.
    pub(in crate::stack) fn begin_nat(&mut self, on: InterfaceId, config: &InterfaceConfig) {
        let Some(options) = &config.nat else { return };
        let own_ports = self.forwarding.own_ports.clone();
        let nat = Nat::new(options, own_ports, &self.seed);
        self.interfaces[on.index()].nat = Some(Box::new(nat));
    }

    fn nat(&self, on: InterfaceId) -> Option<&Nat> {
        self.interfaces[on.index()].nat.as_deref()
    }

    fn nat_mut(&mut self, on: InterfaceId) -> Option<&mut Nat> {
        self.interfaces[on.index()].nat.as_deref_mut()
    }

    /// Does any interface translate?
    pub(in crate::stack::ip) fn translates(&self) -> bool {
        self.interfaces.iter().any(|i| i.nat.is_some())
    }

    /// The interface that translates to this address, or would.
    pub(in crate::stack::ip) fn translates_to(&self, own: IpAddr) -> Option<InterfaceId> {
        let IpAddr::V4(outside) = own else {
            return None;
        };
        let translates = |&on: &InterfaceId| match self.nat(on).map(Nat::outside) {
            None => false,
            Some(Some(chosen)) => chosen == outside,
            Some(None) => {
                let addresses = &self.interfaces[on.index()].addresses;
                addresses.source(own, own) == Some(own)
            }
        };
        self.owners_of(own).find(translates)
    }

    /// Has an inside host this port of an address of ours?
    pub(in crate::stack) fn is_mapped(&self, kind: Kind, own: SocketAddr) -> bool {
        let of = |outside: Ipv4Addr| own.ip().is_unspecified() || own.ip() == outside;
        let mut nats = self.interfaces.iter().filter_map(|i| i.nat.as_deref());
        nats.any(|nat| nat.outside().is_none_or(of) && nat.is_mapped(kind, own.port()))
    }

    /// An address is not ours any more: nor is what was translated to it.
    pub(in crate::stack) fn drop_translations(&mut self, on: InterfaceId, own: IpAddr) {
        if let Some(nat) = self.nat_mut(on)
            && nat.outside().map(IpAddr::V4) == Some(own)
        {
            nat.forget_all();
        }
    }

    /// A session began or changed: when the next one ends.
    fn set_nat_timer(&mut self, on: InterfaceId) {
        let sooner = |nat: &mut Nat| core::mem::take(&mut nat.sooner);
        if self.nat_mut(on).is_some_and(sooner) {
            self.set_nat_timers();
        }
    }

    fn set_nat_timers(&mut self) {
        let nats = self.interfaces.iter().filter_map(|i| i.nat.as_deref());
        let due = nats.filter_map(Nat::deadline).min();
        self.timers.set(TimerKey::Nat, due);
    }

    /// Sessions whose time is over.
    pub(in crate::stack) fn on_nat_timeout(&mut self, now: Instant, steps: &mut usize) {
        let nats = self.interfaces.all_mut();
        for nat in nats.filter_map(|i| i.nat.as_deref_mut()) {
            nat.expire(now, steps);
            nat.sooner = false;
        }
        self.set_nat_timers();
    }
}

impl Stack {
    /// A port that is forwarded is no socket's of ours: that would hear nothing any more.
    pub(in crate::stack) fn check_forwards(
        &self,
        config: &InterfaceConfig,
    ) -> Result<(), ConfigError> {
        let forwards = config.nat.iter().flat_map(|options| &options.forwards);
        for &StaticForward {
            protocol,
            port,
            inside,
        } in forwards
        {
            let claimed = match protocol {
                Protocol::UDP => self.demux.udp.is_claimed(port),
                _ => self.demux.tcp.is_claimed(port),
            };
            if claimed {
                return Err(ConfigError::NatForward { port, inside });
            }
        }
        Ok(())
    }

    /// Ports of an interface with [NAT](crate::stack::InterfaceConfig::nat) that lead to inside hosts, those given by its configuration
    /// too, and the sessions that are remembered.
    pub fn nat_held(&self, on: InterfaceId) -> Option<(usize, usize)> {
        let interface = self.net.interfaces.get(on.index())?;
        interface.nat.as_deref().map(Nat::held)
    }
}
