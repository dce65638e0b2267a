//! Whose a captured packet is: of those that are fed, of the one whose place the stack took, or of neither.
//!
//! *Owns* the two addresses and the stack's station. *Does not* feed anything.

use core::net::IpAddr;

use super::Fed;
use super::apart::{self, Apart};
use super::packet::{Body, Captured, Content, Icmp, Ip};
use super::report::Skipped;
use super::world::OURS;
use crate::base::MacAddr;
use crate::link::EtherType;

/// Where everybody stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    /// The address that is fed; `None`: all that send to the stack's.
    theirs: Option<IpAddr>,
    /// The address whose place the stack takes.
    pub(super) ours: Option<IpAddr>,
    their_port: Option<u16>,
    our_port: Option<u16>,
    mac: Option<MacAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Theirs,
    Ours,
}

impl Sides {
    pub(super) fn new(fed: Fed) -> Self {
        let mut sides = Self {
            theirs: None,
            ours: None,
            their_port: None,
            our_port: None,
            mac: None,
        };
        match fed {
            Fed::From(address) => sides.theirs = Some(address),
            Fed::To(address) => sides.ours = Some(address),
            Fed::FromSocket(socket) => {
                sides.theirs = Some(socket.ip());
                sides.their_port = Some(socket.port());
            }
            Fed::ToSocket(socket) => {
                // Over the loopback another address stands in.
                if !socket.ip().is_loopback() {
                    sides.ours = Some(socket.ip());
                }
                sides.our_port = Some(socket.port());
            }
        }
        sides
    }

    /// How packets between two ends with one address are told apart, where a port says it.
    pub(super) fn apart(fed: Fed) -> Option<Apart> {
        match fed {
            Fed::FromSocket(socket) => Some(Apart {
                socket,
                is_fed: true,
            }),
            Fed::ToSocket(socket) => Some(Apart {
                socket,
                is_fed: false,
            }),
            _ => None,
        }
    }

    const fn names_a_port(&self) -> bool {
        self.their_port.is_some() || self.our_port.is_some()
    }

    /// The stack's station.
    pub(super) fn mac(&self) -> MacAddr {
        self.mac.unwrap_or(OURS)
    }

    /// Learns from a packet between the two where the stack stands; `false` when it says nothing of it.
    pub(super) fn learn(&mut self, captured: &Captured) -> bool {
        let Content::Ip(ip) = &captured.content else {
            return false;
        };
        let packet = &captured.packet;
        if captured.is_damaged {
            return false;
        }
        if !self.is_of_port(ip, Side::Theirs) && !self.is_of_port(ip, Side::Ours) {
            return false;
        }
        if packet.is_apart {
            let is_v6 = ip.src.is_ipv6();
            self.theirs = self.theirs.map(|_| apart::theirs(is_v6));
            self.ours = Some(apart::ours(is_v6));
        }
        if let (Some(theirs), None) = (self.theirs, self.ours) {
            // An error may come from a router on the way.
            if matches!(ip.body, Body::Icmp(Icmp::Error)) || packet.to_group {
                return false;
            }
            let other = match (ip.src == theirs, ip.dst == theirs) {
                (true, false) if self.is_of_port(ip, Side::Theirs) => ip.dst,
                (false, true) if self.is_of_port(ip, Side::Ours) => ip.src,
                _ => return false,
            };
            self.ours = is_station(other).then_some(other);
        }
        let mac = if Some(ip.src) == self.ours {
            packet.src
        } else if Some(ip.dst) == self.ours {
            packet.dst
        } else {
            return false;
        };
        self.mac = mac.filter(|mac| mac.is_unicast() && *mac != MacAddr::ZERO);
        self.ours.is_some()
    }

    /// Whose it is.
    ///
    /// # Errors
    /// Why it is nobody's.
    pub(super) fn side(&self, captured: &Captured) -> Result<Side, Skipped> {
        let ours = self.ours.ok_or(Skipped::TooEarly)?;
        let packet = &captured.packet;
        match &captured.content {
            Content::Ip(ip) => self.side_of(ip, ours, packet.to_group),
            Content::Arp(arp) => {
                let sender = IpAddr::V4(arp.sender);
                let to_us = packet.to_group || IpAddr::V4(arp.target) == ours;
                if sender == ours {
                    Ok(Side::Ours)
                } else if to_us && self.feeds(sender) {
                    Ok(Side::Theirs)
                } else {
                    Err(Skipped::Elsewhere)
                }
            }
            Content::Other => {
                // Only the link says whose it is.
                let to_us = packet.dst.is_some() && packet.dst == self.mac;
                if to_us && self.theirs.is_none() {
                    return Ok(Side::Theirs);
                }
                match packet.kind {
                    EtherType::IPV4 | EtherType::IPV6 | EtherType::ARP => Err(Skipped::Malformed),
                    _ => Err(Skipped::LinkProtocol),
                }
            }
        }
    }

    fn side_of(&self, ip: &Ip, ours: IpAddr, to_group: bool) -> Result<Side, Skipped> {
        if ip.src == ours {
            let told = self
                .theirs
                .is_none_or(|theirs| ip.dst == theirs || !is_station(ip.dst) || to_group);
            return if told && self.is_of_port(ip, Side::Ours) {
                Ok(Side::Ours)
            } else {
                Err(Skipped::Elsewhere)
            };
        }
        // A router's word on what the captured end sent counts, whoever is fed.
        let is_error = matches!(ip.body, Body::Icmp(Icmp::Error));
        let to_us = ip.dst == ours;
        let to_all = !is_station(ip.dst) || to_group;
        let is_fed = (to_us || to_all) && self.feeds(ip.src) && self.is_of_port(ip, Side::Theirs);
        if (to_us && is_error) || is_fed {
            Ok(Side::Theirs)
        } else {
            Err(Skipped::Elsewhere)
        }
    }

    fn feeds(&self, sender: IpAddr) -> bool {
        self.theirs.is_none_or(|theirs| sender == theirs)
    }

    /// Is it of the port that was named, if one was, when this side sent it? What has no ports is of none, but
    /// for errors.
    fn is_of_port(&self, ip: &Ip, side: Side) -> bool {
        if !self.names_a_port() || matches!(ip.body, Body::Icmp(Icmp::Error)) {
            return true;
        }
        let Some((from, to)) = ip.ends() else {
            return false;
        };
        let (theirs, ours) = match side {
            Side::Theirs => (from.port(), to.port()),
            Side::Ours => (to.port(), from.port()),
        };
        self.their_port.is_none_or(|port| port == theirs)
            && self.our_port.is_none_or(|port| port == ours)
    }
}

/// Can it be a station's?
pub(super) fn is_station(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(four) if four.is_broadcast());
    !(address.is_multicast() || address.is_unspecified() || broadcast)
}
