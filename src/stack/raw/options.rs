//! The settings of a raw socket, all of them given when it is opened.
//!
//! RFC 3542 §3.1, §3.2. *Owns* them, with the source of each default. *Does not* heed them.

use core::net::IpAddr;

use crate::base::Protocol;
use crate::stack::ids::InterfaceId;

/// Where ICMPv6 has its checksum (RFC 4443 §2.1).
const ICMPV6_CHECKSUM: u16 = 2;

/// Which ICMP messages a socket hears, by their type: Linux's `ICMP_FILTER`, and `ICMP6_FILTER` (RFC 3542 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct IcmpFilter {
    pub(crate) low: u64,
    pub(crate) second: u64,
    pub(crate) third: u64,
    pub(crate) high: u64,
}

impl IcmpFilter {
    /// All types, as a socket hears them that sets none.
    pub const fn all() -> Self {
        let all = u64::MAX;
        Self {
            low: all,
            second: all,
            third: all,
            high: all,
        }
    }

    /// No type.
    pub const fn none() -> Self {
        Self {
            low: 0,
            second: 0,
            third: 0,
            high: 0,
        }
    }

    /// This type too.
    pub const fn pass(mut self, kind: u8) -> Self {
        *self.word_mut(kind) |= 1 << (kind % 64);
        self
    }

    /// This type not.
    pub const fn block(mut self, kind: u8) -> Self {
        *self.word_mut(kind) &= !(1 << (kind % 64));
        self
    }

    /// Are messages of this type heard?
    pub const fn passes(&self, kind: u8) -> bool {
        let word = match kind / 64 {
            0 => self.low,
            1 => self.second,
            2 => self.third,
            _ => self.high,
        };
        word >> (kind % 64) & 1 == 1
    }

    const fn word_mut(&mut self, kind: u8) -> &mut u64 {
        match kind / 64 {
            0 => &mut self.low,
            1 => &mut self.second,
            2 => &mut self.third,
            _ => &mut self.high,
        }
    }
}

impl Default for IcmpFilter {
    fn default() -> Self {
        Self::all()
    }
}

/// Settings of a raw socket: of which protocol, over which version of IP, and what of it.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct RawOptions {
    pub(crate) v6: bool,
    pub(crate) protocol: u8,
    pub(crate) header_included: bool,
    pub(crate) local: Option<IpAddr>,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) any_source: bool,
    pub(crate) broadcast: bool,
    pub(crate) ttl: Option<u8>,
    pub(crate) tos: u8,
    pub(crate) recv_buffer: usize,
    pub(crate) checksum: Option<u16>,
    pub(crate) icmp: IcmpFilter,
    pub(crate) flow_label: Option<u32>,
}

impl RawOptions {
    const fn new(v6: bool, protocol: Protocol) -> Self {
        // RFC 3542 §3.1: ICMPv6's checksum is the stack's matter, others' are the user's.
        let checksum = match protocol {
            Protocol::ICMPV6 if v6 => Some(ICMPV6_CHECKSUM),
            _ => None,
        };
        Self {
            v6,
            protocol: protocol.0,
            header_included: false,
            local: None,
            peer: None,
            interface: None,
            any_source: false,
            broadcast: false,
            ttl: None,
            tos: 0,
            recv_buffer: 212_992,
            checksum,
            icmp: IcmpFilter::all(),
            flow_label: None,
        }
    }

    /// A socket of this protocol over IPv4.
    pub const fn v4(protocol: Protocol) -> Self {
        Self::new(false, protocol)
    }

    /// A socket of this protocol over IPv6: what stands behind the extension headers. Of ICMPv6 checksums are made and
    /// verified (RFC 3542 §3.1).
    pub const fn v6(protocol: Protocol) -> Self {
        Self::new(true, protocol)
    }

    /// Does what it sends begin with an IP header of its own (default no; `IP_HDRINCL`, `IPV6_HDRINCL`)? The stack fills in the
    /// length, IPv4's header checksum, and where they are zero the source and IPv4's Identification, as Linux does. It hears
    /// the same as without.
    pub const fn header_included(self, included: bool) -> Self {
        Self {
            header_included: included,
            ..self
        }
    }

    /// The only address of ours that it sends from, and hears what is sent to (default: any).
    pub const fn local(self, address: Option<IpAddr>) -> Self {
        Self {
            local: address,
            ..self
        }
    }

    /// Whom it hears alone, sends to where no other destination is given, and is told ICMP errors about (default: nobody in particular;
    /// a connected socket of Linux).
    pub const fn peer(self, address: Option<IpAddr>) -> Self {
        Self {
            peer: address,
            ..self
        }
    }

    /// The only interface that it sends by, and hears of (default: any; `SO_BINDTODEVICE`). What this host sends to itself comes in
    /// on [`InterfaceId::LOOPBACK`].
    pub const fn interface(self, on: Option<InterfaceId>) -> Self {
        Self {
            interface: on,
            ..self
        }
    }

    /// May a header of its own name a source that is no address of ours on the interface that it leaves by (default no)?
    pub const fn any_source(self, may: bool) -> Self {
        Self {
            any_source: may,
            ..self
        }
    }

    /// May it send to broadcast addresses (default no; `SO_BROADCAST`)?
    pub const fn broadcast(self, may: bool) -> Self {
        Self {
            broadcast: may,
            ..self
        }
    }

    /// TTL or hop limit of what is sent (default: the stack's, and 1 to groups, RFC 1112 §6.1); never 0.
    pub const fn ttl(self, ttl: u8) -> Self {
        let ttl = if ttl == 0 { 1 } else { ttl };
        Self {
            ttl: Some(ttl),
            ..self
        }
    }

    /// TOS or traffic class of what is sent (default 0).
    pub const fn tos(self, tos: u8) -> Self {
        Self { tos, ..self }
    }

    /// Flow label of what is sent over IPv6 (RFC 6437), of which the low 20 bits count; 0: it has none. Default none given: the stack
    /// makes one for TCP and UDP, and others have none. What brings its own header has that one's.
    pub const fn flow_label(self, label: Option<u32>) -> Self {
        Self {
            flow_label: label,
            ..self
        }
    }

    /// Bytes that may wait to be received (default 212,992, Linux's `rmem_default`); each packet is charged 128 bytes more than its
    /// payload.
    pub const fn recv_buffer(self, bytes: usize) -> Self {
        Self {
            recv_buffer: bytes,
            ..self
        }
    }

    /// Where the payload has a checksum over itself and IPv6's pseudo-header, for the stack to make and to verify, in bytes from the
    /// payload's start and even (default: nowhere, and of ICMPv6 where it has it; `IPV6_CHECKSUM`, RFC 3542 §3.1). Over IPv4 there is none.
    pub const fn checksum(self, offset: Option<u16>) -> Self {
        Self {
            checksum: offset,
            ..self
        }
    }

    /// Which messages it hears, if it is one of ICMP or ICMPv6 (default: all).
    pub const fn icmp_filter(self, filter: IcmpFilter) -> Self {
        Self {
            icmp: filter,
            ..self
        }
    }

    /// Its protocol.
    pub const fn protocol(&self) -> Protocol {
        Protocol(self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_passes_what_it_was_told() {
        let filter = IcmpFilter::none().pass(0).pass(64).pass(129).pass(255);
        for kind in 0..=255 {
            let told = matches!(kind, 0 | 64 | 129 | 255);
            assert_eq!(filter.passes(kind), told, "{kind}");
        }
        let filter = IcmpFilter::all().block(8).block(128);
        for kind in 0..=255 {
            assert_eq!(filter.passes(kind), !matches!(kind, 8 | 128), "{kind}");
        }
    }
}
