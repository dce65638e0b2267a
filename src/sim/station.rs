//! Who is where on an Ethernet link of a router: ARP and neighbour discovery, as far as forwarding
//! needs them.
//!
//! RFC 826; RFC 4861 §7.2. *Owns* the table of neighbours and the packets that wait for them. *Does
//! not* route, nor have a timer: who does not answer is asked again when the next packet wants him.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::arp;
use crate::base::{Instant, MacAddr, Protocol};
use crate::ipv6;
use crate::ipv6::icmp::Message as Icmpv6;
use crate::ipv6::ndp::{Message, NeighborFlags, Options};
use crate::link::ethernet::{self, EtherType};

/// A question is not asked again before this (RFC 4861 §10, RETRANS_TIMER).
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Neighbours of one port. Of those that have not answered, the one that was asked first gives way.
const MOST_NEIGHBOURS: usize = 4096;
/// Packets that wait for one of them; the oldest gives way.
const MOST_WAITING: usize = 64;

/// An Ethernet port.
#[derive(Debug)]
pub(super) struct Station {
    mac: MacAddr,
    own: Vec<IpAddr>,
    neighbours: BTreeMap<IpAddr, Neighbour>,
    /// Those that were asked for, the first first; some have answered since.
    asked: VecDeque<IpAddr>,
    /// Packets that gave way, or found no room.
    pub(super) unresolved: u64,
}

#[derive(Debug)]
enum Neighbour {
    At(MacAddr),
    Asked {
        last: Instant,
        waiting: VecDeque<Bytes>,
    },
}

impl Station {
    pub(super) const fn new(mac: MacAddr, own: Vec<IpAddr>) -> Self {
        Self {
            mac,
            own,
            neighbours: BTreeMap::new(),
            asked: VecDeque::new(),
            unresolved: 0,
        }
    }

    /// A frame has come: the IP packet in it, if it is one to be forwarded. What it causes to be sent
    /// at once is added to `out`.
    pub(super) fn hear(&mut self, frame: &Bytes, out: &mut Vec<Bytes>) -> Option<Bytes> {
        let (header, payload) = ethernet::Header::parse(frame).ok()?;
        let (to, from) = (header.dst(), header.src());
        if to != self.mac && !to.is_multicast() {
            return None;
        }
        match header.ether_type() {
            EtherType::ARP => {
                let packet = arp::Packet::parse(payload).ok()?;
                self.hear_arp(&packet, out);
                None
            }
            EtherType::IPV6 if self.hear_ndp(from, payload, out) => None,
            EtherType::IPV4 | EtherType::IPV6 if to == self.mac => Some(frame.slice_ref(payload)),
            _ => None,
        }
    }

    /// Sends a packet to a neighbour, or has it wait for his answer.
    pub(super) fn send(
        &mut self,
        now: Instant,
        (source, to): (IpAddr, IpAddr),
        packet: Bytes,
        out: &mut Vec<Bytes>,
    ) {
        if !self.has_room_for(to) {
            self.unresolved += 1;
            return;
        }
        let mut ask = false;
        let asked = &mut self.asked;
        let neighbour = self.neighbours.entry(to).or_insert_with(|| {
            ask = true;
            asked.push_back(to);
            let waiting = VecDeque::new();
            Neighbour::Asked { last: now, waiting }
        });
        match neighbour {
            Neighbour::At(mac) => out.push(frame(*mac, self.mac, ether_type(to), &packet)),
            Neighbour::Asked { last, waiting } => {
                if waiting.len() >= MOST_WAITING {
                    waiting.pop_front();
                    self.unresolved += 1;
                }
                waiting.push_back(packet);
                if ask || now.since(*last) >= ASK_AGAIN {
                    *last = now;
                    out.extend(self.question(source, to));
                }
            }
        }
    }

    fn hear_arp(&mut self, packet: &arp::Packet, out: &mut Vec<Bytes>) {
        let sender = IpAddr::V4(packet.sender);
        let to_us = self.own.contains(&IpAddr::V4(packet.target));
        // RFC 826: who is known is updated, whoever is meant; who is not is learned when we are.
        if !packet.is_probe() && (to_us || self.neighbours.contains_key(&sender)) {
            self.learn(sender, packet.sender_mac, out);
        }
        if to_us && packet.operation == arp::Operation::REQUEST {
            let mut bytes = [0; arp::PACKET_LEN];
            packet.reply(self.mac).emit(&mut bytes);
            out.push(frame(packet.sender_mac, self.mac, EtherType::ARP, &bytes));
        }
    }

    /// Was it neighbour discovery?
    fn hear_ndp(&mut self, from: MacAddr, packet: &[u8], out: &mut Vec<Bytes>) -> bool {
        let Ok((header, payload)) = ipv6::Header::parse(packet) else {
            return false;
        };
        if header.next_header() != Protocol::ICMPV6 {
            return false;
        }
        let Ok(Icmpv6::Ndp(message)) = Icmpv6::parse(payload, header.src(), header.dst()) else {
            return false;
        };
        if message.check(&header).is_err() {
            return true;
        }
        match message {
            Message::NeighborSolicitation { target, options }
                if self.own.contains(&IpAddr::V6(target)) =>
            {
                let mac = options.source_link_address();
                if let Some(mac) = mac
                    && !header.src().is_unspecified()
                {
                    self.learn(IpAddr::V6(header.src()), mac, out);
                }
                out.push(self.answer(target, header.src(), mac.unwrap_or(from)));
            }
            Message::NeighborAdvertisement {
                target, options, ..
            } if self.neighbours.contains_key(&IpAddr::V6(target)) => {
                if let Some(mac) = options.target_link_address() {
                    self.learn(IpAddr::V6(target), mac, out);
                }
            }
            _ => {}
        }
        true
    }

    /// `address` is at `mac`: what waited for it leaves.
    fn learn(&mut self, address: IpAddr, mac: MacAddr, out: &mut Vec<Bytes>) {
        if !mac.is_unicast() || !self.has_room_for(address) {
            return;
        }
        let before = self.neighbours.insert(address, Neighbour::At(mac));
        if let Some(Neighbour::Asked { waiting, .. }) = before {
            let kind = ether_type(address);
            out.extend(
                waiting
                    .iter()
                    .map(|packet| frame(mac, self.mac, kind, packet)),
            );
        }
    }

    /// Is this neighbour known, or is there room for one more? A scan of addresses that nobody has
    /// does not keep out those that somebody has.
    fn has_room_for(&mut self, address: IpAddr) -> bool {
        if self.neighbours.contains_key(&address) {
            return true;
        }
        while self.neighbours.len() >= MOST_NEIGHBOURS {
            let Some(first) = self.asked.pop_front() else {
                return false;
            };
            if let Some(Neighbour::Asked { waiting, .. }) = self.neighbours.get(&first) {
                self.unresolved += u64::try_from(waiting.len()).unwrap_or(u64::MAX);
                self.neighbours.remove(&first);
            }
        }
        true
    }

    /// Who has `to`?
    fn question(&self, source: IpAddr, to: IpAddr) -> Option<Bytes> {
        match (source, to) {
            (IpAddr::V4(source), IpAddr::V4(to)) => {
                let mut bytes = [0; arp::PACKET_LEN];
                arp::Packet::request(self.mac, source, to).emit(&mut bytes);
                let all = MacAddr::BROADCAST;
                Some(frame(all, self.mac, EtherType::ARP, &bytes))
            }
            (IpAddr::V6(source), IpAddr::V6(target)) => {
                let own = Options::source_link_address_bytes(self.mac);
                let options = Options::new(&own);
                let group = ipv6::solicited_node(target);
                let message = Message::NeighborSolicitation { target, options };
                let to = ethernet::ipv6_multicast(group);
                Some(self.ndp((source, group), message, to))
            }
            _ => None,
        }
    }

    /// RFC 4861 §7.2.4: we have `target`, and are a router.
    fn answer(&self, target: Ipv6Addr, asks: Ipv6Addr, mac: MacAddr) -> Bytes {
        let own = Options::target_link_address_bytes(self.mac);
        let options = Options::new(&own);
        let (to, mac, flags) = if asks.is_unspecified() {
            let all = ipv6::ALL_NODES;
            (all, ethernet::ipv6_multicast(all), NeighborFlags::empty())
        } else {
            (asks, mac, NeighborFlags::SOLICITED)
        };
        let message = Message::NeighborAdvertisement {
            flags: flags | NeighborFlags::ROUTER | NeighborFlags::OVERRIDE,
            target,
            options,
        };
        self.ndp((target, to), message, mac)
    }

    fn ndp(&self, (src, dst): (Ipv6Addr, Ipv6Addr), message: Message<'_>, to: MacAddr) -> Bytes {
        let message = Icmpv6::Ndp(message);
        let mut fields = ipv6::Fields::new(src, dst, Protocol::ICMPV6);
        fields.hop_limit = 255;
        let mut packet = vec![0; ipv6::HEADER_LEN + message.len()];
        let at = fields.emit(message.len(), &mut packet);
        message.emit(src, dst, &mut packet[at..]);
        frame(to, self.mac, EtherType::IPV6, &packet)
    }
}

const fn ether_type(to: IpAddr) -> EtherType {
    match to {
        IpAddr::V4(_) => EtherType::IPV4,
        IpAddr::V6(_) => EtherType::IPV6,
    }
}

fn frame(to: MacAddr, from: MacAddr, ether_type: EtherType, payload: &[u8]) -> Bytes {
    let fields = ethernet::Fields::new(to, from, ether_type);
    let mut frame = BytesMut::zeroed(fields.len());
    fields.emit(&mut frame);
    frame.extend_from_slice(payload);
    frame.freeze()
}
