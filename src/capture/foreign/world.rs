//! The stack of a replay, its one link, and virtual time.
//!
//! *Owns* the stack, what is to be read and what was sent; it answers what the stack asks about neighbours, as the
//! capture may lack it. *Does not* know the capture. The link is Ethernet, whatever was captured on.

use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::{Cidr, Instant, MacAddr, Protocol};
use crate::device::{Capabilities, DeviceError, Medium, Receive, RxBatch, Sent, Transmit};
use crate::ipv6::ndp::{self, NdpOption, NeighborFlags};
use crate::link::ethernet::{self, EtherType};
use crate::link::{RxFrame, RxMeta, TxFrame};
use crate::stack::{Event, InterfaceConfig, InterfaceId, Next, Port, Stack};
use crate::{arp, ipv6};

/// The station of everybody else, when the capture does not say its address.
pub(super) const OTHERS: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);
/// The stack's, likewise.
pub(super) const OURS: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

/// Frames that are to be read.
#[derive(Debug, Default)]
pub(super) struct Inbox(VecDeque<RxFrame>);

impl Receive for Inbox {
    fn receive(&mut self, _: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let count = batch.room().min(self.0.len());
        self.0.drain(..count).for_each(|frame| batch.push(frame));
        Ok(count)
    }
}

/// Frames that were sent.
#[derive(Debug, Default)]
pub(super) struct Outbox(Vec<(Instant, Bytes)>);

impl Transmit for Outbox {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.0.push((now, Bytes::from(frame.to_vec())));
        Ok(Sent::Taken)
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) stack: Stack,
    pub(super) on: InterfaceId,
    port: Port<Inbox, Outbox>,
    mac: MacAddr,
}

impl World {
    /// A stack with these addresses on one interface, everybody else a neighbour.
    ///
    /// # Errors
    /// Why an address cannot be a station's.
    pub(super) fn new(
        mut stack: Stack,
        at: Instant,
        mac: MacAddr,
        mtu: usize,
        addresses: &[IpAddr],
    ) -> Result<Self, String> {
        let mut capabilities = Capabilities::plain(Medium::Ethernet, mtu);
        capabilities.receives_super_segments = true;
        let mut config = InterfaceConfig::new(&capabilities)
            .mac(mac)
            .dad_transmits(0)
            .link_local(false);
        for &address in addresses {
            let whole = if address.is_ipv6() { 128 } else { 32 };
            let unspecified: IpAddr = match address {
                IpAddr::V4(_) => core::net::Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let cidr =
                |address, prefix| Cidr::new(address, prefix).map_err(|error| error.to_string());
            config = config
                .address(cidr(address, whole)?)
                .route(cidr(unspecified, 0)?, None);
        }
        let added = stack.add_interface(at, config);
        let on = added.map_err(|error| error.to_string())?;
        Ok(Self {
            stack,
            on,
            port: Port::new(on, (Inbox::default(), Outbox::default())),
            mac,
        })
    }

    /// Puts an Ethernet header in front of a packet, and the frame where the stack reads it.
    pub(super) fn give(
        &mut self,
        at: Instant,
        (src, dst): (MacAddr, MacAddr),
        kind: EtherType,
        packet: &[u8],
        segment: Option<core::num::NonZeroU16>,
    ) {
        let mut frame = vec![0; ethernet::HEADER_LEN];
        let _ = ethernet::Fields::new(dst, src, kind).emit(&mut frame);
        frame.extend_from_slice(packet);
        let meta = RxMeta::new(at).with_segment_size(segment);
        let inbox = self.port.rx_mut().half_mut();
        inbox.0.push_back(RxFrame::new(frame.into(), meta));
    }

    /// The same for a packet of IP that was for the stack alone.
    pub(super) fn give_ip(
        &mut self,
        at: Instant,
        packet: &[u8],
        segment: Option<core::num::NonZeroU16>,
    ) {
        let kind = match packet.first().map(|byte| byte >> 4) {
            Some(6) => EtherType::IPV6,
            _ => EtherType::IPV4,
        };
        self.give(at, (OTHERS, self.mac), kind, packet, segment);
    }

    pub(super) const fn mac(&self) -> MacAddr {
        self.mac
    }

    /// One turn: what comes after it, what became ready, and what was sent.
    ///
    /// # Errors
    /// None that this device has.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        events: &mut Vec<Event>,
    ) -> Result<(Next, Vec<(Instant, Bytes)>), DeviceError> {
        let mut user = |_: &mut Stack, _: Instant, event: Event| events.push(event);
        let next = self.port.turn(now, &mut self.stack, &mut user)?;
        let sent = core::mem::take(&mut self.port.tx_mut().half_mut().0);
        Ok((next, sent))
    }

    /// Is there nothing to be read?
    pub(super) fn is_empty(&mut self) -> bool {
        self.port.rx_mut().half_mut().0.is_empty()
    }

    /// Tells the stack where a neighbour is that it asks for.
    pub(super) fn answer_arp(&mut self, now: Instant, asked: &arp::Packet) {
        let own = asked.is_announcement() || asked.is_probe();
        if asked.operation != arp::Operation::REQUEST || own {
            return;
        }
        let mut packet = [0; arp::PACKET_LEN];
        let _ = asked.reply(OTHERS).emit(&mut packet);
        self.give(now, (OTHERS, self.mac), EtherType::ARP, &packet, None);
    }

    /// The same for IPv6; `to` asked.
    pub(super) fn answer_solicitation(&mut self, now: Instant, target: Ipv6Addr, to: Ipv6Addr) {
        if to.is_unspecified() {
            return;
        }
        let mut options = Vec::new();
        NdpOption::TargetLinkAddress(OTHERS).emit(&mut options);
        let told = ipv6::icmp::Message::Ndp(ndp::Message::NeighborAdvertisement {
            flags: NeighborFlags::SOLICITED | NeighborFlags::OVERRIDE,
            target,
            options: ndp::Options::new(&options),
        });
        let mut body = vec![0; told.len()];
        let _ = told.emit(target, to, &mut body);
        let mut fields = ipv6::Fields::new(target, to, Protocol::ICMPV6);
        fields.hop_limit = ndp::HOP_LIMIT;
        let mut packet = vec![0; ipv6::HEADER_LEN];
        let _ = fields.emit(body.len(), &mut packet);
        packet.extend_from_slice(&body);
        self.give(now, (OTHERS, self.mac), EtherType::IPV6, &packet, None);
    }

    /// An end as the stack names it: a link-local address with its interface.
    pub(super) fn scoped(&self, end: SocketAddr) -> SocketAddr {
        match end {
            SocketAddr::V6(six) if six.ip().is_unicast_link_local() => {
                SocketAddrV6::new(*six.ip(), six.port(), 0, self.on.scope()).into()
            }
            end => end,
        }
    }
}

/// An end without the interface of a link-local address.
pub(super) fn plain(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip(), end.port())
}
