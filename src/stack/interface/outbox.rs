//! What the stack itself has to send over one interface, in a line for each class.
//!
//! *Owns* who gets in and whose turn it is. *Does not* send. Invariants: the classes together hold no
//! more packets than the limit and no more bytes than a fixed number, and each always finds its reserve, so that no peer silences one by what makes
//! us send of another; what waited for a neighbour has as much room again; a step costs the
//! same however long the lines are.

use core::net::IpAddr;
use std::collections::VecDeque;

use bytes::Bytes;

use crate::arp;
use crate::base::{MacAddr, Protocol};
use crate::link::ethernet::EtherType;
use crate::stack::ids::RawId;
use crate::stack::packet::{OwnedPacket, Owner};

/// Why a packet is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// We ask, or announce: without this nobody is found, and nobody finds us.
    Ask,
    /// Somebody asks for us.
    Neighbour,
    /// Echo replies and errors.
    Icmp,
    /// Segments without a connection, and what sockets leave to us.
    Transport,
    /// It waited for a neighbour that has just answered.
    Resolved,
}

impl Class {
    /// The class of a packet that is no neighbour discovery.
    pub(crate) const fn of(packet: &OwnedPacket) -> Self {
        match (packet.protocol, packet.owner) {
            (Protocol::ICMP | Protocol::ICMPV6, Owner::Stack) => Self::Icmp,
            _ => Self::Transport,
        }
    }
}

const CLASSES: usize = 5;
/// Those that the limit bounds together.
const BOUNDED: usize = Class::Resolved as usize;
/// One part in this many of each limit is each class's own.
const RESERVE: usize = 8;
/// *Fixed*: payload bytes of the classes that are bounded together, and again of what waited for neighbours. An eighth
/// is more than the longest packet.
const BYTES: usize = 2 << 20;

/// What waits.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) frame: Frame,
    /// Who counts it once it has left.
    pub(crate) asks: Option<Asks>,
}

impl Outgoing {
    /// Bytes of its payload.
    fn bytes(&self) -> usize {
        match &self.frame {
            Frame::Packet(packet) => packet.payload.len(),
            Frame::Arp(..) => 0,
            Frame::Link { payload, .. } => payload.len(),
        }
    }
}

/// A packet that lacks its link header.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Packet(OwnedPacket),
    /// An ARP packet to this station.
    Arp(MacAddr, arp::Packet),
    /// A packet socket's.
    Link {
        to: MacAddr,
        ether_type: EtherType,
        payload: Bytes,
    },
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// The entry of a neighbour.
    Neighbour(RawId),
    /// One of our addresses: a probe or an announcement.
    Address(IpAddr),
    /// Who is a router here.
    Routers,
}

/// The lines.
#[derive(Debug)]
pub(crate) struct Outbox {
    lines: [VecDeque<Outgoing>; CLASSES],
    /// The lines that are not empty, a bit each.
    occupied: u8,
    /// Packets in the lines that the limit bounds together.
    held: usize,
    /// Payload bytes in each line.
    bytes: [usize; CLASSES],
    limit: usize,
    /// The line that comes next.
    turn: usize,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            lines: Default::default(),
            occupied: 0,
            held: 0,
            bytes: [0; CLASSES],
            limit,
            turn: 0,
        }
    }

    /// Puts a packet last in its line if there is room; says whether there was.
    pub(crate) fn push(&mut self, class: Class, outgoing: Outgoing) -> bool {
        let bytes = outgoing.bytes();
        let room = self.has_room(class) && self.has_room_for(class, bytes);
        if room {
            self.bytes[class as usize] += bytes;
            self.lines[class as usize].push_back(outgoing);
            self.occupied |= 1 << class as u8;
            self.held += usize::from(class != Class::Resolved);
        }
        room
    }

    fn has_room(&self, class: Class) -> bool {
        if class == Class::Resolved {
            return self.lines[class as usize].len() < self.limit;
        }
        // What the others have, or may still claim: with no reserve touched, as a rule.
        let reserve = self.limit / RESERVE;
        if self.held + (BOUNDED - 1) * reserve < self.limit {
            return true;
        }
        let taken = |(at, line): (usize, &VecDeque<_>)| {
            let own = at == class as usize;
            line.len().max(if own { 0 } else { reserve })
        };
        let bounded = self.lines[..BOUNDED].iter();
        bounded.enumerate().map(taken).sum::<usize>() < self.limit
    }

    /// The same of so many bytes more.
    fn has_room_for(&self, class: Class, bytes: usize) -> bool {
        let own = class as usize;
        let after = self.bytes[own] + bytes;
        if class == Class::Resolved {
            return after <= BYTES;
        }
        let others = (0..BOUNDED).filter(|&at| at != own);
        let claimed = others.map(|at| self.bytes[at].max(BYTES / RESERVE));
        after + claimed.sum::<usize>() <= BYTES
    }

    /// Is half of what the classes share free? Then each has room for more than one packet, whoever sends it.
    pub(crate) fn is_half_free(&self) -> bool {
        let bytes: usize = self.bytes[..BOUNDED].iter().sum();
        self.held * 2 <= self.limit && bytes * 2 <= BYTES
    }

    /// The most packets that the classes hold together.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// Does anything wait that waited for a neighbour before?
    #[inline]
    pub(crate) const fn holds_resolved(&self) -> bool {
        self.occupied >> Class::Resolved as u8 & 1 == 1
    }

    /// All that waits.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Outgoing> {
        self.lines.iter().flatten()
    }

    /// The line whose turn it is: it has something.
    #[inline]
    fn line_in_turn(&self) -> Option<usize> {
        let later = self.occupied >> self.turn << self.turn;
        let line = if later == 0 { self.occupied } else { later };
        (line != 0).then_some(line.trailing_zeros() as usize)
    }

    /// The first of the line whose turn it is, which it stays until that is gone.
    pub(crate) fn first(&mut self) -> Option<&Outgoing> {
        self.turn = self.line_in_turn()?;
        self.lines[self.turn].front()
    }

    /// What [`first`](Self::first) gave has left; the next line's turn comes.
    pub(crate) fn drop_first(&mut self) {
        drop(self.take_from(self.turn));
    }

    /// Takes the first of a line; the next line's turn comes.
    #[inline]
    fn take_from(&mut self, at: usize) -> Option<Outgoing> {
        let outgoing = self.lines[at].pop_front();
        self.bytes[at] -= outgoing.as_ref().map_or(0, Outgoing::bytes);
        self.held -= usize::from(at < BOUNDED && outgoing.is_some());
        if self.lines[at].is_empty() {
            self.occupied &= !(1 << at);
        }
        self.turn = if at + 1 < CLASSES { at + 1 } else { 0 };
        outgoing
    }

    /// The first of the line whose turn it is, taken away; the next line's turn comes after it.
    pub(crate) fn pop(&mut self) -> Option<(Place, Outgoing)> {
        let at = self.line_in_turn()?;
        Some((Place(at), self.take_from(at)?))
    }

    /// Back to where it was: the device is full.
    pub(crate) fn put_back(&mut self, Place(at): Place, outgoing: Outgoing) {
        self.bytes[at] += outgoing.bytes();
        self.lines[at].push_front(outgoing);
        self.occupied |= 1 << at;
        self.held += usize::from(at < BOUNDED);
        self.turn = at;
    }
}

/// The line that a packet was taken from.
#[derive(Debug)]
pub(crate) struct Place(usize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Random, Seed};
    use crate::stack::packet::{Flow, Label};
    use core::net::Ipv4Addr;

    fn some() -> Outgoing {
        let ip = Ipv4Addr::UNSPECIFIED;
        Outgoing {
            frame: Frame::Arp(MacAddr::ZERO, arp::Packet::probe(MacAddr::ZERO, ip)),
            asks: None,
        }
    }

    const ALL: [Class; CLASSES] = [
        Class::Ask,
        Class::Neighbour,
        Class::Icmp,
        Class::Transport,
        Class::Resolved,
    ];

    /// Whoever fills the outbox first: each class finds its reserve, and all keep the limit.
    #[test]
    fn each_class_has_its_reserve_and_all_the_limit() {
        for first in ALL {
            let mut outbox = Outbox::new(256);
            let mut held = [0; CLASSES];
            let order = core::iter::once(first).chain(ALL);
            for class in order {
                while outbox.push(class, some()) {
                    held[class as usize] += 1;
                }
                assert!(held[class as usize] >= 32, "{class:?} after {first:?}");
            }
            assert_eq!(held[..4].iter().sum::<usize>(), 256, "{first:?}");
            assert_eq!(held[4], 256);
        }
    }

    #[test]
    fn the_classes_take_turns() {
        let mut outbox = Outbox::new(64);
        for class in [Class::Icmp, Class::Icmp, Class::Icmp, Class::Ask] {
            assert!(outbox.push(class, some()));
        }
        let mut taken = Vec::new();
        while let Some((Place(at), _)) = outbox.pop() {
            taken.push(at);
        }
        assert_eq!(taken, [0, 2, 2, 2]);
        assert!(outbox.push(Class::Ask, some()));
        let (place, outgoing) = outbox.pop().unwrap();
        outbox.put_back(place, outgoing);
        assert!(outbox.push(Class::Icmp, some()));
        assert_eq!(outbox.pop().unwrap().0.0, 0, "still its turn");
        // What is looked at stays first, whoever comes while the device is full.
        assert!(outbox.push(Class::Transport, some()));
        assert!(outbox.first().is_some());
        assert_eq!(outbox.turn, 2);
        assert!(outbox.push(Class::Neighbour, some()));
        outbox.drop_first();
        assert_eq!(outbox.turn, 3);
        let rest = core::iter::from_fn(|| outbox.pop()).map(|(Place(at), _)| at);
        assert_eq!(rest.collect::<Vec<_>>(), [3, 1]);
        assert!(outbox.first().is_none());
    }

    /// Whatever came, went and was put back: what is counted is what is there, and no class lacks its reserve.
    #[test]
    fn what_is_counted_is_what_is_there() {
        const LIMIT: usize = 64;
        let mut outbox = Outbox::new(LIMIT);
        let mut random = Random::new(Seed::from_number(7).key("test"));
        let mut fullest = 0;
        for _ in 0..20_000 {
            match random.below(9) {
                0..5 => {
                    let at = usize::try_from(random.below(5)).unwrap();
                    let has_its_own = outbox.lines[at].len() < LIMIT / RESERVE;
                    assert!(outbox.push(ALL[at], some()) || !has_its_own);
                }
                5 => {
                    if let Some((place, outgoing)) = outbox.pop() {
                        outbox.put_back(place, outgoing);
                    }
                }
                6 if outbox.first().is_some() => outbox.drop_first(),
                _ => drop(outbox.pop()),
            }
            let held = outbox.lines.each_ref().map(VecDeque::len);
            let bounded = held[..BOUNDED].iter().sum();
            assert_eq!(outbox.held, bounded);
            assert!(bounded <= LIMIT);
            fullest = fullest.max(bounded);
            for (at, held) in held.into_iter().enumerate() {
                assert_eq!(outbox.occupied >> at & 1 == 1, held > 0, "line {at}");
            }
        }
        assert_eq!(fullest, LIMIT);
    }

    /// Whoever fills it with the longest packets first: each class finds its reserve of bytes, and all keep their bound.
    #[test]
    fn each_class_has_its_bytes_and_all_their_bound() {
        let long = || {
            let ip = Ipv4Addr::UNSPECIFIED.into();
            let flow = Flow {
                src: ip,
                dst: ip,
                next_hop: ip,
                ttl: 64,
                tos: 0,
                label: Label::default(),
            };
            let payload = Bytes::from_static(&[0; 65_507]);
            Outgoing {
                frame: Frame::Packet(OwnedPacket::new(flow, Protocol::ICMP, &[], payload)),
                asks: None,
            }
        };
        for first in ALL {
            let mut outbox = Outbox::new(1 << 20);
            let mut held = [0; CLASSES];
            for class in core::iter::once(first).chain(ALL) {
                while outbox.push(class, long()) {
                    held[class as usize] += 1;
                }
                assert!(held[class as usize] >= 4, "{class:?} after {first:?}");
                assert!(outbox.push(class, some()), "what has no payload");
            }
            let bounded = held[..4].iter().sum::<usize>() * 65_507;
            assert!(bounded <= BYTES && bounded > BYTES / 2, "{bounded}");
            assert_eq!(held[4], BYTES / 65_507);
            while outbox.pop().is_some() {}
            assert_eq!(outbox.bytes, [0; CLASSES]);
        }
    }

    /// docs/limits.md
    #[test]
    fn what_one_costs() {
        assert!(size_of::<Outgoing>() <= 200);
    }

    /// The least that a user can set: one packet of whatever class.
    #[test]
    fn a_limit_of_one_holds_one() {
        let mut outbox = Outbox::new(1);
        assert!(outbox.push(Class::Icmp, some()));
        assert!(!outbox.push(Class::Ask, some()));
        assert!(!outbox.is_empty());
    }
}
