//! Labels of IPv6 flows, by which routers spread them over paths without looking for ports.
//!
//! RFC 6437 §3, RFC 6438. *Owns* how one is made. *Does not* keep any: what has the same ends has the same one, whoever sends it,
//! so all of a connection's segments do, from its SYN to the last word in TIME-WAIT. Which one a user asks for instead his socket keeps.

use core::hash::BuildHasher;
use core::net::IpAddr;

use crate::base::{KeyedState, Protocol};
use crate::stack::config::Config;
use crate::stack::ids::InterfaceId;
use crate::stack::packet::Flow;
use crate::stack::tuple::Tuple;

/// The 20 bits of the field.
const BITS: u64 = 0x000f_ffff;

/// What labels are made with; `None`: none are.
#[derive(Debug)]
pub(crate) struct Labels(Option<KeyedState>);

impl Labels {
    pub(crate) fn new(config: &Config) -> Self {
        let key = config.seed.key("flow labels");
        Self(config.flow_labels.then(|| KeyedState::new(key)))
    }

    /// The label of a packet that begins with this transport header: the one that is asked for; else 0 where it has no ports, or is no
    /// IPv6 packet.
    #[inline]
    pub(super) fn of(
        &self,
        on: InterfaceId,
        flow: &Flow,
        protocol: Protocol,
        header: &[u8],
    ) -> u32 {
        if let Some(asked) = flow.label.given() {
            return asked;
        }
        match (&self.0, flow.src, protocol) {
            (Some(keyed), IpAddr::V6(_), Protocol::TCP | Protocol::UDP) => {
                label(keyed, on, flow, protocol, header)
            }
            _ => 0,
        }
    }
}

// RFC 6437 §3: of the five that make a flow, uniform, hard to predict, and not 0, which means none.
fn label(
    keyed: &KeyedState,
    on: InterfaceId,
    flow: &Flow,
    protocol: Protocol,
    header: &[u8],
) -> u32 {
    let &[a, b, c, d, ..] = header else {
        return 0;
    };
    let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let tuple = Tuple::new(on, (flow.src, from), (flow.dst, to));
    let hash = keyed.hash_one((tuple, protocol.0));
    u32::try_from(hash & BITS).unwrap_or(0).max(1)
}
