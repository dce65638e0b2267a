//! Whose a captured packet is: of those that are fed, of the one whose place the stack took, or of neither.
//!
//! *Owns* the two addresses and the stack's station. *Does not* feed anything.

use core::net::IpAddr;

use super::Fed;
use super::packet::{Body, Captured, Content, Icmp, Ip};
use super::report::Skipped;
use super::world::OURS;
use crate::base::MacAddr;
use crate::link::EtherType;

/// Where everybody stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    fed: Fed,
    /// The address whose place the stack takes.
    pub(super) ours: Option<IpAddr>,
    mac: Option<MacAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Theirs,
    Ours,
}

impl Sides {
    pub(super) const fn new(fed: Fed) -> Self {
        let ours = match fed {
            Fed::To(address) => Some(address),
            Fed::From(_) => None,
        };
        Self {
            fed,
            ours,
            mac: None,
        }
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
        if let (Fed::From(theirs), None) = (self.fed, self.ours) {
            // An error may come from a router on the way.
            if matches!(ip.body, Body::Icmp(Icmp::Error)) || packet.to_group {
                return false;
            }
            let other = match (ip.src == theirs, ip.dst == theirs) {
                (true, false) => ip.dst,
                (false, true) => ip.src,
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
                if to_us && matches!(self.fed, Fed::To(_)) {
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
        if ip.src == ours && ip.dst == ours {
            return Err(Skipped::Elsewhere);
        }
        if ip.src == ours {
            let told = match self.fed {
                Fed::From(theirs) => ip.dst == theirs || !is_station(ip.dst) || to_group,
                Fed::To(_) => true,
            };
            return if told {
                Ok(Side::Ours)
            } else {
                Err(Skipped::Elsewhere)
            };
        }
        // A router's word on what the captured end sent counts, whoever is fed.
        let is_error = matches!(ip.body, Body::Icmp(Icmp::Error));
        let to_us = ip.dst == ours;
        let to_all = !is_station(ip.dst) || to_group;
        if (to_us && is_error) || ((to_us || to_all) && self.feeds(ip.src)) {
            Ok(Side::Theirs)
        } else {
            Err(Skipped::Elsewhere)
        }
    }

    fn feeds(&self, sender: IpAddr) -> bool {
        match self.fed {
            Fed::From(theirs) => sender == theirs,
            Fed::To(_) => true,
        }
    }
}

/// Can it be a station's?
pub(super) fn is_station(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(four) if four.is_broadcast());
    !(address.is_multicast() || address.is_unspecified() || broadcast)
}
