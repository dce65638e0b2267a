//! UDP and ping: the sockets that the captured end had, as its packets show.
//!
//! *Owns* which ports are bound and which identifier a ping has. *Does not* compare counts.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::Range;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::engine::Engine;
use super::packet::{Body, Captured, Content, Icmp, Ip};
use super::report::Skipped;
use super::rewrite;
use crate::stack::{PingId, PingOptions, Stack, UdpId, UdpOptions};

#[derive(Debug, Default)]
pub(super) struct Datagrams {
    /// By port, and whether it is of IPv6.
    bound: BTreeMap<(bool, u16), UdpId>,
    /// Captured identifiers: the socket that stands for each, and its own identifier once it has sent.
    pings: BTreeMap<(bool, u16), Ping>,
    /// Whose request is about to leave.
    sending: Option<(bool, u16)>,
    /// What sockets received since it was asked last.
    received: Vec<Bytes>,
}

#[derive(Debug)]
struct Ping {
    id: PingId,
    live: Option<u16>,
}

impl Datagrams {
    /// Takes what a socket has; how many datagrams.
    pub(super) fn receive(&mut self, stack: &mut Stack, id: UdpId) -> u64 {
        let mut count = 0;
        while let Ok(datagram) = stack.udp_recv(id) {
            self.received.push(datagram.data.into_bytes());
            count += 1;
        }
        count
    }

    pub(super) fn take_received(&mut self) -> Vec<Bytes> {
        core::mem::take(&mut self.received)
    }

    pub(super) fn close(&mut self, stack: &mut Stack) {
        for (_, id) in core::mem::take(&mut self.bound) {
            stack.udp_close(id);
        }
        for (_, ping) in core::mem::take(&mut self.pings) {
            stack.ping_close(ping.id);
        }
    }

    /// The stack sent an echo request: now its identifier is known.
    pub(super) fn on_request(&mut self, ip: &Ip, data: &[u8]) {
        let ping = self.sending.and_then(|key| self.pings.get_mut(&key));
        if let (Some(ping), Some(live)) = (ping, echo_id(ip, data)) {
            ping.live = Some(live);
        }
    }

    /// A reply to a ping of the captured end's.
    pub(super) fn map_reply(&self, packet: &mut [u8], ip: &Ip) {
        let told = echo_id(ip, packet);
        let ping = told.and_then(|told| self.pings.get(&(ip.src.is_ipv6(), told)));
        if let Some(live) = ping.and_then(|ping| ping.live) {
            rewrite::echo_id(packet, ip, live);
        }
    }
}

/// The identifier of an echo request or reply.
fn echo_id(ip: &Ip, data: &[u8]) -> Option<u16> {
    let start = ip.transport.as_ref()?.1.start;
    Some(u16::from_be_bytes(*data.get(start + 4..)?.first_chunk()?))
}

impl Engine {
    /// Feeds a datagram of theirs: to a socket, unless the captured end had none.
    pub(super) fn feed_udp(&mut self, captured: &Captured, ip: &Ip, ahead: &VecDeque<Captured>) {
        let mut bytes = captured.packet.whole(ip.len).into_owned();
        let is_cut = captured.packet.is_cut;
        if let Body::Udp { ports, .. } = &ip.body
            && !captured.is_damaged
            && !captured.packet.to_group
            && !ip.dst.is_multicast()
            && ports.1 != 0
            && !is_refused(ahead, ip)
        {
            let _ = self.bind(ip.dst.is_ipv6(), ports.1);
        }
        rewrite::datagram(&mut bytes, ip, is_cut);
        self.give(&captured.packet, &bytes);
    }

    fn bind(&mut self, six: bool, port: u16) -> Result<UdpId, Skipped> {
        if let Some(&id) = self.datagrams.bound.get(&(six, port)) {
            return Ok(id);
        }
        if self.datagrams.bound.len() >= self.most_flows {
            return Err(Skipped::TooManyFlows);
        }
        let any: IpAddr = if six {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        let options = UdpOptions::new().dual_stack(false).broadcast(true);
        let local = SocketAddr::new(any, port);
        let id = self.world.stack.udp_bind(local, options);
        let id = id.map_err(|_| Skipped::Refused)?;
        self.datagrams.bound.insert((six, port), id);
        Ok(id)
    }

    /// Sends what the captured end sent.
    pub(super) fn send_datagram(
        &mut self,
        ip: &Ip,
        ports: (u16, u16),
        data: Range<usize>,
        captured: &Captured,
    ) -> Result<(), Skipped> {
        if ports.0 == 0 {
            return Err(Skipped::Refused);
        }
        let id = self.bind(ip.src.is_ipv6(), ports.0)?;
        let bytes = Bytes::from(captured.packet.whole(ip.len).into_owned());
        let data = bytes.slice(data.start.min(bytes.len())..data.end.min(bytes.len()));
        let to = self.world.scoped(SocketAddr::new(ip.dst, ports.1));
        let stack = &mut self.world.stack;
        let sent = stack.udp_send_chunk(self.now, id, Some(to), data);
        sent.map(|_| ()).map_err(|_| Skipped::Refused)
    }

    /// Pings whom the captured end pinged.
    pub(super) fn send_ping(&mut self, ip: &Ip, captured: &Captured) -> Result<(), Skipped> {
        let bytes = Bytes::from(captured.packet.whole(ip.len).into_owned());
        let start = ip.transport.as_ref().map_or(0, |(_, range)| range.start);
        let (Some(told), Some(seq)) = (
            echo_id(ip, &bytes),
            bytes.get(start + 6..).and_then(<[u8]>::first_chunk),
        ) else {
            return Err(Skipped::Cut);
        };
        let key = (ip.src.is_ipv6(), told);
        let stack = &mut self.world.stack;
        let id = match self.datagrams.pings.get(&key) {
            Some(ping) => ping.id,
            None if self.datagrams.pings.len() >= self.most_flows => {
                return Err(Skipped::TooManyFlows);
            }
            None => {
                let opened = stack.ping_open(PingOptions::new());
                let id = opened.map_err(|_| Skipped::Refused)?;
                self.datagrams.pings.insert(key, Ping { id, live: None });
                id
            }
        };
        let scope = super::engine::is_link_local(ip.dst).then_some(self.world.on);
        let payload = bytes.slice((start + 8).min(bytes.len())..);
        let seq = u16::from_be_bytes(*seq);
        let sent = stack.ping_send(self.now, id, ip.dst, scope, seq, payload);
        sent.map_err(|_| Skipped::Refused)?;
        self.datagrams.sending = Some(key);
        self.settle();
        self.datagrams.sending = None;
        Ok(())
    }
}

/// Did the captured end answer this datagram with an ICMP error, as far as frames were read ahead?
fn is_refused(ahead: &VecDeque<Captured>, datagram: &Ip) -> bool {
    ahead.iter().any(|captured| {
        let Content::Ip(ip) = &captured.content else {
            return false;
        };
        let (Body::Icmp(Icmp::Error), Some((_, range))) = (&ip.body, &ip.transport) else {
            return false;
        };
        // What is quoted begins with the header that was refused, and ends with the ports.
        let quote = captured.packet.data.get(range.start + 8..range.end);
        let quoted = quote.and_then(rewrite::quoted_ends);
        (ip.src, ip.dst) == (datagram.dst, datagram.src)
            && datagram.ends().is_some()
            && quoted.map(|(ends, _, _)| ends) == datagram.ends()
    })
}
