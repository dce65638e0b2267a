//! The stack below TCP, driven by hand: frames made here, virtual time, a device that records.

#![allow(clippy::cast_possible_truncation)]

mod addresses;
mod any_port;
mod anycast;
mod dhcp;
mod echo;
mod forwarding;
mod fragments;
mod groups;
mod hosts;
mod ingress;
mod labels;
mod leaving;
mod link_local_v4;
mod listening;
mod narrow;
mod neighbours;
mod nonces;
mod packet_socket;
mod ping;
mod poll_ready;
mod raw;
mod reconfigure;
mod redirects;
mod removal;
mod routers;
mod rules;
mod send_info;
mod sharing;
mod side_channels;
mod tcp;
mod transmit;
mod udp;
mod unsummed;
mod vlans;
mod wiring;
mod within;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::*;
use crate::base::{DropReason, MacAddr, Protocol, Seed};
use crate::device::{
    Capabilities, DeviceDrop, DeviceError, Medium, Receive, RxBatch, Sent, Transmit,
};
use crate::ipv6::icmp::Message as Icmpv6;
use crate::ipv6::ndp::Message;
use crate::link::ethernet::{self, EtherType};
use crate::link::{RxFrame, RxMeta, TxFrame, TxMeta};
use crate::{arp, ipv4, ipv6};

pub(super) const OUR_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
pub(super) const PEER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);
pub(super) const OTHER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 3]);
pub(super) const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(super) const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(super) const OURS6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
pub(super) const PEER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// A device that records what it took, and is full when told so.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) frames: Vec<(Vec<u8>, TxMeta)>,
    /// Frames that it takes before it is full; `None`: any number.
    pub(super) room: Option<usize>,
    pub(super) drops: Option<DeviceDrop>,
}

impl Transmit for Recorder {
    fn transmit(&mut self, _: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if let Some(reason) = self.drops {
            return Ok(Sent::Dropped(reason));
        }
        if let Some(room) = &mut self.room {
            if *room == 0 {
                return Ok(Sent::Full);
            }
            *room -= 1;
        }
        self.frames.push((frame.to_vec(), frame.meta));
        Ok(Sent::Taken)
    }
}

/// The frames that the stack receives next.
#[derive(Debug, Default)]
pub(super) struct Coming(VecDeque<RxFrame>);

impl Receive for Coming {
    fn receive(&mut self, _: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let count = self.0.len().min(batch.room());
        self.0.drain(..count).for_each(|frame| batch.push(frame));
        Ok(count)
    }
}

/// A sent frame, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) dst: MacAddr,
    pub(super) kind: EtherType,
    /// From the network header on.
    pub(super) packet: Vec<u8>,
    pub(super) meta: TxMeta,
}

impl Seen {
    pub(super) fn arp(&self) -> arp::Packet {
        assert_eq!(self.kind, EtherType::ARP, "{self:?}");
        arp::Packet::parse(&self.packet).unwrap()
    }

    pub(super) fn v4(&self) -> (ipv4::Fields, &[u8]) {
        assert_eq!(self.kind, EtherType::IPV4, "{self:?}");
        let (header, payload) = ipv4::Header::parse(&self.packet).unwrap();
        (header.fields(), payload)
    }

    pub(super) fn v6(&self) -> (ipv6::Fields, &[u8]) {
        assert_eq!(self.kind, EtherType::IPV6, "{self:?}");
        let (header, payload) = ipv6::Header::parse(&self.packet).unwrap();
        (header.fields(), payload)
    }

    pub(super) fn icmp6(&self) -> (ipv6::Fields, Icmpv6<'_>) {
        let (fields, payload) = self.v6();
        (
            fields,
            Icmpv6::parse(payload, fields.src, fields.dst).unwrap(),
        )
    }
}

/// A stack with one interface and a port.
pub(super) struct Rig {
    pub(super) stack: Stack,
    pub(super) on: InterfaceId,
    pub(super) now: Instant,
    port: Port<Coming, Recorder>,
    /// What was told while time passed, and nobody asked for yet.
    told: VecDeque<Event>,
    medium: Medium,
}

impl Rig {
    /// One Ethernet interface with 10.0.0.1/24 and fd00::1/64, duplicate detection off, announced.
    pub(super) fn new() -> Self {
        Self::with(|config| config)
    }

    pub(super) fn with(change: impl FnOnce(InterfaceConfig) -> InterfaceConfig) -> Self {
        let config = Config::new(Seed::from_number(1));
        Self::announced(config, change(both_families()))
    }

    /// The same interface under a stack that is set otherwise.
    pub(super) fn configured(config: Config) -> Self {
        Self::announced(config, both_families())
    }

    /// The announcements of the address are tested on their own.
    fn announced(config: Config, interface: InterfaceConfig) -> Self {
        let mut rig = Self::bare(config, interface);
        rig.advance(Duration::from_secs(3));
        rig.drain();
        rig
    }

    pub(super) fn bare(config: Config, interface: InterfaceConfig) -> Self {
        let medium = interface.capabilities.medium;
        let mut stack = Stack::new(config);
        let now = Instant::from_millis(1000);
        let on = stack.add_interface(now, interface).unwrap();
        Self {
            stack,
            on,
            now,
            port: Port::new(on, (Coming::default(), Recorder::default())),
            told: VecDeque::new(),
            medium,
        }
    }

    /// The device that takes what the stack sends.
    pub(super) fn device(&mut self) -> &mut Recorder {
        self.port.tx_mut().half_mut()
    }

    /// Lets time pass, with a turn whenever one is due; what is sent stays with the device.
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.turn().filter(|&at| at <= end) {
            self.now = at;
        }
        self.now = end;
    }

    /// Turns until nothing is left to do at once; when the next one is due.
    fn turn(&mut self) -> Option<Instant> {
        for _ in 0..1000 {
            let told = &mut self.told;
            let mut user = |_: &mut Stack, _, event| told.push_back(event);
            let next = self.port.turn(self.now, &mut self.stack, &mut user);
            let next = next.unwrap();
            if !next.again {
                let due = next.due;
                assert!(due.is_none_or(|at| at > self.now), "r32: {due:?} is over");
                return due;
            }
        }
        panic!("r32: busy loop at {:?}", self.now);
    }

    /// The oldest event that was not asked for yet.
    pub(super) fn event(&mut self) -> Option<Event> {
        self.told.pop_front().or_else(|| self.stack.poll_event())
    }

    /// Lets the stack send all that it has.
    pub(super) fn poll(&mut self) {
        let tx = self.port.tx_mut();
        tx.send(self.now, &mut self.stack, usize::MAX).unwrap();
    }

    /// The same, one budget of it.
    pub(super) fn send_once(&mut self) -> Progress {
        let tx = self.port.tx_mut();
        tx.send(self.now, &mut self.stack, 1).unwrap()
    }

    /// What the device took since the last call.
    pub(super) fn drain(&mut self) -> Vec<Seen> {
        self.poll();
        let frames = core::mem::take(&mut self.device().frames);
        let ethernet = self.medium == Medium::Ethernet;
        let apart = |(frame, meta): (Vec<u8>, TxMeta)| {
            if !ethernet {
                let kind = if frame[0] >> 4 == 4 {
                    EtherType::IPV4
                } else {
                    EtherType::IPV6
                };
                let (dst, packet) = (MacAddr::ZERO, frame);
                return Seen {
                    dst,
                    kind,
                    packet,
                    meta,
                };
            }
            let (header, packet) = ethernet::Header::parse(&frame).unwrap();
            assert_eq!(header.src(), OUR_MAC);
            Seen {
                dst: header.dst(),
                kind: header.ether_type(),
                packet: packet.to_vec(),
                meta,
            }
        };
        frames.into_iter().map(apart).collect()
    }

    /// The only frame that was sent.
    pub(super) fn only(&mut self) -> Seen {
        let mut frames = self.drain();
        assert_eq!(frames.len(), 1, "{frames:?}");
        frames.remove(0)
    }

    /// How often each address was asked for since the last look; all that was sent is such questions.
    pub(super) fn asked(&mut self) -> BTreeMap<IpAddr, usize> {
        let mut asked = BTreeMap::new();
        for frame in self.drain() {
            let about = if frame.kind == EtherType::ARP {
                IpAddr::V4(frame.arp().target)
            } else {
                match frame.icmp6().1 {
                    Icmpv6::Ndp(Message::NeighborSolicitation { target, .. }) => target.into(),
                    other => panic!("{other:?}"),
                }
            };
            *asked.entry(about).or_insert(0) += 1;
        }
        asked
    }

    pub(super) fn receive(&mut self, frame: Vec<u8>) {
        self.receive_with(frame, RxMeta::new(self.now));
    }

    /// The same with what the device knows of it.
    pub(super) fn receive_with(&mut self, frame: impl Into<Bytes>, meta: RxMeta) {
        let rx = self.port.rx_mut();
        let frame = RxFrame::new(frame.into(), meta);
        rx.half_mut().0.push_back(frame);
        assert_eq!(rx.receive(self.now).unwrap(), 1);
        rx.deliver(self.now, &mut self.stack, |_| {});
    }

    pub(super) fn drops(&self, reason: DropReason) -> u64 {
        self.stack.counters().drops.get(reason)
    }

    /// Tells the stack who the peer is, v4 and v6, as if it had asked for us.
    pub(super) fn introduce(&mut self) {
        self.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
        self.receive(solicitation(PEER6, PEER_MAC, OURS6));
        self.drain();
    }
}

/// One Ethernet interface with 10.0.0.1/24 and fd00::1/64, duplicate detection off.
fn both_families() -> InterfaceConfig {
    InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .report_own_groups(false)
        .dad_transmits(0)
        .link_local(false)
        .address("10.0.0.1/24".parse().unwrap())
        .address("fd00::1/64".parse().unwrap())
}

pub(super) fn eth(dst: MacAddr, src: MacAddr, kind: EtherType, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ethernet::HEADER_LEN];
    ethernet::Fields::new(dst, src, kind).emit(&mut frame);
    frame.extend_from_slice(packet);
    frame
}

pub(super) fn arp_frame(packet: &arp::Packet) -> Vec<u8> {
    let mut bytes = vec![0; arp::PACKET_LEN];
    packet.emit(&mut bytes);
    let dst = if packet.operation == arp::Operation::REPLY {
        packet.target_mac
    } else {
        MacAddr::BROADCAST
    };
    eth(dst, packet.sender_mac, EtherType::ARP, &bytes)
}

/// An IP packet around a transport packet.
pub(super) fn ip(src: IpAddr, dst: IpAddr, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 60];
    let len = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            ipv4::Fields::new(src, dst, protocol).emit(payload.len(), &mut packet)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            ipv6::Fields::new(src, dst, protocol).emit(payload.len(), &mut packet)
        }
        _ => panic!("families differ"),
    };
    packet.truncate(len);
    packet.extend_from_slice(payload);
    packet
}

/// The same in a frame from the peer to us.
pub(super) fn ip_frame(src: IpAddr, dst: IpAddr, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let kind = if dst.is_ipv4() {
        EtherType::IPV4
    } else {
        EtherType::IPV6
    };
    eth(OUR_MAC, PEER_MAC, kind, &ip(src, dst, protocol, payload))
}

/// A UDP datagram with its checksum.
pub(super) fn udp_bytes(from: SocketAddr, to: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; crate::udp::HEADER_LEN];
    crate::udp::Fields::new(from.port(), to.port()).emit(data.len(), &mut datagram);
    datagram.extend_from_slice(data);
    let len = datagram.len();
    let pseudo = match (from.ip(), to.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::pseudo_sum(src, dst, Protocol::UDP, len),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6::pseudo_sum(src, dst, Protocol::UDP, len),
        _ => panic!("families differ"),
    };
    let field = crate::udp::checksum_field(pseudo.bytes(&datagram));
    datagram[6..8].copy_from_slice(&field.to_be_bytes());
    datagram
}

pub(super) fn udp_frame(from: &str, to: &str, data: &[u8]) -> Vec<u8> {
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    ip_frame(
        from.ip(),
        to.ip(),
        Protocol::UDP,
        &udp_bytes(from, to, data),
    )
}

/// A neighbour discovery message from `mac`, hop limit 255.
pub(super) fn ndp_frame(
    mac: MacAddr,
    src: Ipv6Addr,
    dst: Ipv6Addr,
    message: Message<'_>,
) -> Vec<u8> {
    let message = Icmpv6::Ndp(message);
    let mut body = vec![0; message.len()];
    message.emit(src, dst, &mut body);
    let mut fields = ipv6::Fields::new(src, dst, Protocol::ICMPV6);
    fields.hop_limit = 255;
    let mut packet = vec![0; ipv6::HEADER_LEN];
    fields.emit(body.len(), &mut packet);
    packet.extend_from_slice(&body);
    let to = if dst.is_multicast() {
        ethernet::ipv6_multicast(dst)
    } else {
        OUR_MAC
    };
    eth(to, mac, EtherType::IPV6, &packet)
}

pub(super) fn solicitation(src: Ipv6Addr, mac: MacAddr, target: Ipv6Addr) -> Vec<u8> {
    let own = ipv6::ndp::Options::source_link_address_bytes(mac);
    let options = if src.is_unspecified() {
        &[][..]
    } else {
        &own[..]
    };
    let options = ipv6::ndp::Options::new(options);
    let message = Message::NeighborSolicitation { target, options };
    ndp_frame(mac, src, ipv6::solicited_node(target), message)
}

pub(super) fn advertisement(
    flags: ipv6::ndp::NeighborFlags,
    mac: MacAddr,
    target: Ipv6Addr,
    dst: Ipv6Addr,
) -> Vec<u8> {
    let own = ipv6::ndp::Options::target_link_address_bytes(mac);
    let options = ipv6::ndp::Options::new(&own);
    let message = Message::NeighborAdvertisement {
        flags,
        target,
        options,
    };
    ndp_frame(mac, target, dst, message)
}
