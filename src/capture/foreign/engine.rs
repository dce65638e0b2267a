//! What is done with each captured packet: fed to the stack, or told to its application.
//!
//! *Owns* the order of things within an instant, and what is watched of each frame that the stack sends. *Does
//! not* decide whose a packet is. Bounds: turns of an instant, flows, sockets, bytes that are remembered.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Buf, Bytes};

use super::datagrams::Datagrams;
use super::flow::{Flow, Key};
use super::link::Packet;
use super::packet::{Body, Captured, Content, Icmp, Ip, read};
use super::report::{Breach, BreachKind, DifferenceClass, ForeignReport, Skipped};
use super::stream::Budget;
use super::tally::Example;
use super::world::{OTHERS, World};
use super::{SentFrame, rewrite};
use crate::base::{Instant, MacAddr};
use crate::link::ethernet::{self, EtherType};
use crate::stack::{Event, ListenerId, Readiness, SocketId, TcpId};
use crate::tcp::TcpOptions;

/// Turns of one instant, far beyond what any frame gives rise to.
const MOST_TURNS: u32 = 1_000_000;

/// What an end sent that belongs to no connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    datagrams: u64,
    echo_replies: u64,
    echo_requests: u64,
    icmp_errors: u64,
    arp_replies: u64,
    advertisements: u64,
}

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) world: World,
    pub(super) now: Instant,
    due: Option<Instant>,
    pub(super) report: ForeignReport,
    /// The captured frame that is dealt with.
    pub(super) packet: u64,
    pub(super) flows: BTreeMap<Key, Flow>,
    pub(super) ids: BTreeMap<TcpId, Key>,
    pub(super) listeners: BTreeMap<SocketAddr, ListenerId>,
    /// Flows that have ended in the capture, oldest first: they make room.
    pub(super) over: VecDeque<Key>,
    /// When acknowledgements are due that are made up.
    pub(super) agenda: BTreeSet<(Instant, Key)>,
    pub(super) budget: Budget,
    pub(super) datagrams: Datagrams,
    pub(super) tcp: TcpOptions,
    pub(super) most_flows: usize,
    /// How long a record of a connection that has ended may stay.
    records_last: Duration,
    captured: Totals,
    live: Totals,
    pub(super) sent: Vec<SentFrame>,
    pub(super) events: Vec<Event>,
}

/// What an engine is made with.
pub(super) struct Setup {
    pub(super) world: World,
    pub(super) now: Instant,
    pub(super) report: ForeignReport,
    pub(super) tcp: TcpOptions,
    pub(super) most_flows: usize,
    pub(super) memory: usize,
    /// How long a record of a connection that has ended may stay: TIME-WAIT, FIN-WAIT-2.
    pub(super) records_last: Duration,
}

impl Engine {
    pub(super) fn new(setup: Setup) -> Self {
        let mut engine = Self {
            world: setup.world,
            now: setup.now,
            due: None,
            report: setup.report,
            packet: 0,
            flows: BTreeMap::new(),
            ids: BTreeMap::new(),
            listeners: BTreeMap::new(),
            over: VecDeque::new(),
            agenda: BTreeSet::new(),
            budget: Budget::new(setup.memory),
            datagrams: Datagrams::default(),
            tcp: setup.tcp,
            most_flows: setup.most_flows,
            records_last: setup.records_last,
            captured: Totals::default(),
            live: Totals::default(),
            sent: Vec::new(),
            events: Vec::new(),
        };
        engine.settle();
        engine
    }

    // --- time -----------------------------------------------------------------------------

    /// Lets time pass up to `to`.
    pub(super) fn advance(&mut self, to: Instant) {
        loop {
            let made = self.agenda.first().map(|(at, _)| *at);
            let next = made.into_iter().chain(self.due).min();
            let Some(next) = next.filter(|&next| next <= to) else {
                break;
            };
            self.now = self.now.max(next);
            self.make_acks();
            self.settle();
        }
        self.now = self.now.max(to);
    }

    /// All that can happen now.
    pub(super) fn settle(&mut self) {
        for _ in 0..MOST_TURNS {
            let mut events = Vec::new();
            let next = match self.world.turn(self.now, &mut events) {
                Ok((next, sent)) => {
                    for (at, data) in sent {
                        self.on_sent(at, data);
                    }
                    next
                }
                Err(_) => return,
            };
            let quiet = events.is_empty() && !next.again;
            for event in events {
                self.on_event(event);
            }
            self.due = next.due;
            if quiet && self.world.is_empty() {
                return;
            }
        }
        self.breach(BreachKind::Endless, format!("{MOST_TURNS} turns"));
    }

    pub(super) fn breach(&mut self, kind: BreachKind, detail: String) {
        let (packet, at) = (self.packet, self.now);
        self.report.breach(Breach {
            packet,
            at,
            kind,
            detail,
        });
    }

    // --- the stack ------------------------------------------------------------------------

    fn on_event(&mut self, event: Event) {
        self.events.push(event);
        match event.id {
            SocketId::Listener(id) => self.accept(id),
            SocketId::Tcp(id) => {
                if let Some(&key) = self.ids.get(&id) {
                    self.serve(key);
                }
            }
            SocketId::Udp(id) if event.ready.contains(Readiness::READABLE) => {
                let count = self.datagrams.receive(&mut self.world.stack, id);
                self.report.datagrams += count;
            }
            SocketId::Ping(id) => while self.world.stack.ping_recv(id).is_ok() {},
            _ => {}
        }
    }

    /// The stack sent a frame.
    fn on_sent(&mut self, at: Instant, data: Bytes) {
        self.report.sent += 1;
        self.sent.push(SentFrame {
            at,
            data: data.clone(),
        });
        let Ok((header, _)) = ethernet::Header::parse(&data) else {
            self.breach(BreachKind::Malformed, "no Ethernet header".into());
            return;
        };
        let mut packet = Packet {
            kind: header.ether_type(),
            src: Some(header.src()),
            dst: Some(header.dst()),
            to_group: header.dst().is_multicast(),
            data: data.clone(),
            ..Packet::NONE
        };
        packet.data.advance(ethernet::HEADER_LEN);
        match read(&mut packet) {
            Content::Arp(asked) => {
                self.live.note_arp(&asked);
                self.world.answer_arp(at, &asked);
            }
            Content::Ip(ip) => {
                if !rewrite::is_right(&packet.data, &ip) {
                    let detail = format!("{} to {}: a checksum or length", ip.src, ip.dst);
                    self.breach(BreachKind::Malformed, detail);
                }
                self.live.note(&ip);
                self.on_sent_ip(at, &ip, &packet.data);
            }
            Content::Other => self.breach(BreachKind::Malformed, "neither ARP nor IP".into()),
        }
    }

    fn on_sent_ip(&mut self, at: Instant, ip: &Ip, data: &Bytes) {
        match &ip.body {
            Body::Tcp(segment) => {
                if let Some(key) = ip.ends() {
                    self.on_sent_tcp(at, key, segment, data);
                }
            }
            Body::Icmp(Icmp::Solicitation(target)) => {
                if let core::net::IpAddr::V6(from) = ip.src {
                    self.world.answer_solicitation(at, *target, from);
                }
            }
            Body::Icmp(Icmp::EchoRequest) => self.datagrams.on_request(ip, data),
            _ => {}
        }
    }

    // --- the capture ----------------------------------------------------------------------

    /// Feeds a packet of the others.
    ///
    /// # Errors
    /// Why it was not fed.
    pub(super) fn feed(
        &mut self,
        captured: &Captured,
        ahead: &VecDeque<Captured>,
    ) -> Result<(), Skipped> {
        let packet = &captured.packet;
        let before = self.accounted();
        let Content::Ip(ip) = &captured.content else {
            self.give(packet, &packet.data);
            self.settle();
            return Ok(());
        };
        if packet.is_cut {
            if matches!(ip.body, Body::Cut) || ip.len < packet.data.len() {
                return Err(Skipped::Cut);
            }
            self.report.padded += 1;
        }
        match &ip.body {
            Body::Tcp(segment) if ip.transport.is_some() => {
                self.feed_tcp(captured, ip, segment, ahead)?;
            }
            Body::Udp { .. } => self.feed_udp(captured, ip, ahead),
            Body::Icmp(Icmp::Error) => {
                let mut bytes = packet.whole(ip.len).into_owned();
                let flows = &self.flows;
                rewrite::quoted(&mut bytes, ip, |from, to| flows.get(&(from, to))?.shift());
                self.give(packet, &bytes);
            }
            Body::Icmp(Icmp::EchoReply) => {
                let mut bytes = packet.whole(ip.len).into_owned();
                self.datagrams.map_reply(&mut bytes, ip);
                self.give(packet, &bytes);
            }
            _ => self.give(packet, &packet.data),
        }
        self.settle();
        self.check_counts(captured, ip, before);
        Ok(())
    }

    /// Puts it where the stack reads it, behind an Ethernet header.
    pub(super) fn give(&mut self, packet: &Packet, bytes: &[u8]) {
        self.give_merged(packet, bytes, None);
    }

    /// The same for a super-segment.
    pub(super) fn give_merged(
        &mut self,
        packet: &Packet,
        bytes: &[u8],
        segment: Option<core::num::NonZeroU16>,
    ) {
        let src = packet
            .src
            .filter(|mac| mac.is_unicast() && *mac != MacAddr::ZERO);
        let src = src.unwrap_or(OTHERS);
        let dst = match packet.dst {
            Some(group) if packet.to_group => group,
            _ => group_of(bytes, packet.kind).unwrap_or_else(|| self.world.mac()),
        };
        self.world
            .give(self.now, (src, dst), packet.kind, bytes, segment);
    }

    /// Tells the application what the captured end did.
    ///
    /// # Errors
    /// Why it could not.
    pub(super) fn expect(&mut self, captured: &Captured) -> Result<(), Skipped> {
        match &captured.content {
            Content::Arp(packet) => self.captured.note_arp(packet),
            Content::Ip(ip) => {
                self.captured.note(ip);
                match &ip.body {
                    Body::Tcp(segment) => self.expect_tcp(ip, segment, captured)?,
                    Body::Udp { ports, data } => {
                        self.send_datagram(ip, *ports, data.clone(), captured)?;
                    }
                    Body::Icmp(Icmp::EchoRequest) => self.send_ping(ip, captured)?,
                    Body::Cut => return Err(Skipped::Cut),
                    _ => {}
                }
            }
            Content::Other => {}
        }
        self.settle();
        Ok(())
    }

    /// Everything that shows that a packet was taken or dropped.
    fn accounted(&self) -> u64 {
        let counters = self.world.stack.counters();
        counters.drops.total()
            + counters.tcp_segments_received
            + counters.udp_datagrams_received
            + counters.icmp_errors_received
            + counters.echo_replies_sent
    }

    fn check_counts(&mut self, captured: &Captured, ip: &Ip, before: u64) {
        let watched = matches!(
            ip.body,
            Body::Tcp(_) | Body::Udp { .. } | Body::Icmp(Icmp::Error | Icmp::EchoRequest)
        );
        if watched && self.accounted() == before {
            let detail = format!("{} to {}", ip.src, ip.dst);
            self.breach(BreachKind::Uncounted, detail);
        }
        let whole = captured.packet.whole(ip.len);
        let udp = match &ip.body {
            Body::Udp { data, .. } => whole.get(data.clone()),
            _ => None,
        };
        let received = self.datagrams.take_received();
        if ip.transport.is_none() {
            // What became whole with a fragment lies in several packets.
            return;
        }
        for got in received {
            if udp != Some(&got[..]) {
                let detail = format!("a datagram of {} bytes from {}", got.len(), ip.src);
                self.breach(BreachKind::Received, detail);
            }
        }
    }

    // --- the end --------------------------------------------------------------------------

    /// Ends everything, and looks what is left.
    pub(super) fn finish(&mut self, tail: Duration) {
        self.advance(self.now + tail);
        for key in self.flows.keys().copied().collect::<Vec<_>>() {
            self.retire(key);
        }
        self.compare_totals();
        for (_, id) in core::mem::take(&mut self.listeners) {
            self.world.stack.tcp_listener_close(self.now, id);
        }
        self.datagrams.close(&mut self.world.stack);
        self.world.stack.tcp_abort_all(self.now);
        self.settle();
        self.advance(self.now + FORGOTTEN + self.records_last);
        let stack = &self.world.stack;
        let left = [
            ("connections", stack.tcp_open_count()),
            ("records of TIME-WAIT", stack.tcp_time_wait_count()),
            ("bytes for sockets", stack.memory().used),
            ("bytes of fragments", stack.net.reassembly.held()),
            ("remembered bytes", self.budget.used()),
        ];
        for (what, count) in left {
            if count > 0 {
                self.breach(BreachKind::Growth, format!("{count} {what}"));
            }
        }
        self.report.drops = self.world.stack.counters().drops.clone();
    }

    fn compare_totals(&mut self) {
        use DifferenceClass as Class;
        let (captured, live) = (self.captured, self.live);
        let totals = [
            (Class::Datagrams, captured.datagrams, live.datagrams),
            (Class::EchoReplies, captured.echo_replies, live.echo_replies),
            (
                Class::EchoRequests,
                captured.echo_requests,
                live.echo_requests,
            ),
            (Class::IcmpErrors, captured.icmp_errors, live.icmp_errors),
            (Class::ArpReplies, captured.arp_replies, live.arp_replies),
            (
                Class::Advertisements,
                captured.advertisements,
                live.advertisements,
            ),
        ];
        for (class, expected, got) in totals {
            if expected != got {
                let (expected, got) = (expected.to_string(), got.to_string());
                let example = Example {
                    class,
                    expected,
                    got,
                };
                self.report.differs("", example);
            }
        }
    }
}

/// After so long, and TIME-WAIT or FIN-WAIT-2, nothing of a connection that was given up is left.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// The link address of a group, when it is to one that a packet goes.
fn group_of(bytes: &[u8], kind: EtherType) -> Option<MacAddr> {
    match kind {
        EtherType::IPV4 => {
            let dst = core::net::Ipv4Addr::from(*bytes.get(16..)?.first_chunk::<4>()?);
            if dst.is_broadcast() {
                return Some(MacAddr::BROADCAST);
            }
            dst.is_multicast().then(|| ethernet::ipv4_multicast(dst))
        }
        EtherType::IPV6 => {
            let dst = core::net::Ipv6Addr::from(*bytes.get(24..)?.first_chunk::<16>()?);
            dst.is_multicast().then(|| ethernet::ipv6_multicast(dst))
        }
        EtherType::ARP => Some(MacAddr::BROADCAST),
        _ => None,
    }
}

pub(super) const fn is_link_local(address: core::net::IpAddr) -> bool {
    match address {
        core::net::IpAddr::V6(six) => six.is_unicast_link_local() || six.is_multicast(),
        core::net::IpAddr::V4(_) => false,
    }
}

impl Totals {
    fn note_arp(&mut self, packet: &crate::arp::Packet) {
        self.arp_replies += u64::from(packet.operation == crate::arp::Operation::REPLY);
    }

    fn note(&mut self, ip: &Ip) {
        match &ip.body {
            Body::Udp { .. } => self.datagrams += 1,
            Body::Icmp(Icmp::EchoReply) => self.echo_replies += 1,
            Body::Icmp(Icmp::EchoRequest) => self.echo_requests += 1,
            Body::Icmp(Icmp::Error) => self.icmp_errors += 1,
            Body::Icmp(Icmp::Advertisement) => self.advertisements += 1,
            _ => {}
        }
    }
}
