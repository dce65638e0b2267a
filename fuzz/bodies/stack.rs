//! A whole stack: frames, time and a user's calls in any order, in virtual time.
//!
//! Input: a byte of settings, then steps: a byte that names one, then its arguments, zero when the
//! input ends. Frames are raw bytes, or segments that fit a live connection but for what the input
//! changes in them. The peer's stream holds at each sequence number what `peer::inbound` says, the
//! user's at each offset what `peer::outbound` says, so both are checked wherever they come out.
//! `NETLOOM_TRACE=1` prints the steps and the frames.

mod groups;
mod more;
mod packets;
mod peer;
mod raw;
mod requests;
mod router;
mod transit;
mod user;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use netloom::base::Protocol;
use netloom::device::{Capabilities, Medium};
use netloom::dhcp::{Builder, CLIENT_PORT, Message, MessageType, Operation, SERVER_PORT, code};
use netloom::link::{RxChecksum, RxMeta};
use netloom::stack::{
    ConnectRequest, DhcpOptions, Event, ForwardOptions, NatOptions, PacketSocketId, Port,
    RawSocketId, Readiness, turn_all,
};
use netloom::{
    Config, Instant, InterfaceConfig, InterfaceId, ListenerId, MacAddr, PingId, Seed, Stack, TcpId,
    UdpId,
};

use super::frame::MAC;
use super::wire::{self, ACK, SYN};
use peer::{Peer, Segment, Side};

/// Kinds of steps, each of which has six bytes that name it; the last four bytes name one more each.
const STEPS: u8 = 42;
const LAST: u8 = 252;
/// Steps of one input.
const MOST_STEPS: usize = 400;
/// Sockets of a kind that are open at once.
const MOST_SOCKETS: usize = 12;
/// Timers that fire until everything is over.
const MOST_TIMERS: usize = 5000;
/// Frames that may leave at once: what is written, cut to the smallest segments.
const MOST_FRAMES: u64 = 20_000;

/// Who is written to and heard from: neighbours, one of a second interface, and one behind a router.
const HOSTS: [&str; 8] = [
    "10.7.0.1",
    "fd07::1",
    "10.8.0.1",
    "192.0.2.1",
    "fd08::1",
    "2001:db8::1",
    "10.7.0.9",
    "fd07::9",
];
const PORTS: [u16; 4] = [7, 53, 1000, 0];
const LENGTHS: [usize; 8] = [0, 1, 10, 100, 536, 1460, 4000, 20_000];

/// The steps to an accepted connection: a listener, a SYN, its acknowledgment, and accept.
const OPEN: [u8; 15] = [5, 0, 0, 30, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 6];

/// What a run did: equal inputs give equal ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub sent: u64,
    /// Of all that was sent.
    pub digest: u64,
    pub accepted: u64,
    pub connected: u64,
    pub read: u64,
    pub delivered: u64,
    /// Answers of DHCP servers that granted something.
    pub leased: u64,
    /// Packets of others that were passed on.
    pub forwarded: u64,
    /// Connections that opened with text in the SYN, and frames of VLANs.
    pub opened_fast: u64,
    pub tagged: u64,
}

/// Runs the steps of `input`, then ends everything.
pub fn run(input: &[u8]) -> Outcome {
    let Some((&settings, rest)) = input.split_first() else {
        return Outcome::default();
    };
    let mut rig = Rig::new(settings);
    rig.turn();
    if settings & 0x80 != 0 {
        rig.steps(Input(&OPEN));
    }
    rig.steps(Input(rest));
    rig.end();
    rig.outcome.sent = rig.peer.sent;
    let clients = rig.on.iter().filter_map(|&on| rig.stack.dhcp_counters(on));
    rig.outcome.leased = clients.map(|client| client.acks).sum();
    rig.outcome.digest = rig.peer.digest;
    rig.outcome.opened_fast = rig.stack.counters().tcp_fast_opened;
    rig.outcome.tagged = rig.peer.tagged;
    rig.outcome.forwarded = rig.stack.counters().packets_forwarded;
    rig.outcome
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.to_vec()
    }

    /// A number around zero: mostly small ones.
    fn around(&mut self) -> u32 {
        let by = i32::from(self.byte().cast_signed());
        let scale = [1, 1, 100, 1460, 65_536, 0x100_0000][self.below(6)];
        (by * scale).cast_unsigned()
    }

    fn host(&mut self) -> IpAddr {
        HOSTS[self.below(HOSTS.len())].parse().expect("a literal")
    }

    fn port(&mut self) -> u16 {
        PORTS[self.below(PORTS.len())]
    }
}

/// A connection that the user holds, and what was read of it.
struct Stream {
    id: TcpId,
    ours: SocketAddr,
    theirs: SocketAddr,
    read: u32,
    /// What its peer may have begun with.
    isns: Option<Vec<u32>>,
    shut: bool,
}

struct Rig {
    stack: Stack,
    on: Vec<InterfaceId>,
    peer: Peer,
    now: Instant,
    /// When the next turn is due.
    due: Option<Instant>,
    small: bool,
    /// Somebody else than the peer spoke: what is read is anyone's.
    tainted: bool,
    streams: Vec<Stream>,
    listeners: Vec<ListenerId>,
    udps: Vec<UdpId>,
    pings: Vec<PingId>,
    raws: Vec<(RawSocketId, raw::Speaks)>,
    /// With the place of their interfaces.
    packets: Vec<(PacketSocketId, usize)>,
    /// Who waits for an answer, or did.
    requests: Vec<ConnectRequest>,
    outcome: Outcome,
}

impl Rig {
    /// Settings: bit 0, an IP medium; bit 1, a second interface; bit 2, no offload; bit 3, a small
    /// MTU; bit 4, small buffers; bit 5, small limits of the stack; bit 6, duplicate detection, routers that
    /// are listened to, and on Ethernet a DHCP client; bit 7, one connection is open to begin with. With bits 1 and 3 packets for
    /// others are passed on.
    fn new(settings: u8) -> Self {
        let bit = |n: u8| settings >> n & 1 == 1;
        let now = Instant::from_millis(1000);
        let mut config = Config::new(Seed::new([7; 32]));
        if bit(5) {
            config = config
                .neighbour_limit(8)
                .neighbour_queue(1)
                .outbox_limit(2)
                .transmit_budget(2)
                .time_wait_limit(1)
                .reassembly_bytes(20_000)
                .reassembly_datagrams(8);
        }
        let mut stack = Stack::new(config);
        let mtu = if bit(3) { 1280 } else { 1500 };
        let of = |medium| match bit(2) {
            true => Capabilities::plain(medium, mtu),
            false => Capabilities::full(medium, mtu),
        };
        let first = if bit(0) { Medium::Ip } else { Medium::Ethernet };
        let mut capabilities = vec![of(first)];
        if bit(1) {
            capabilities.push(of(Medium::Ip));
        }
        let mut on = vec![];
        for (n, capabilities) in capabilities.iter().enumerate() {
            let mut interface = InterfaceConfig::new(capabilities)
                .mac(MacAddr::new(MAC))
                // Seeds count the frames that are their own.
                .report_own_groups(false)
                .dad_transmits(u8::from(bit(6)));
            if bit(6) && capabilities.medium == Medium::Ethernet {
                interface = interface.router_discovery(true).temporary_addresses(true);
            }
            for address in [
                format!("10.{}.0.2/24", 7 + n),
                format!("fd0{}::2/64", 7 + n),
            ] {
                interface = interface.address(address.parse().expect("sound"));
            }
            if bit(6) && capabilities.medium == Medium::Ethernet {
                interface = interface.dhcp(DhcpOptions::new());
            }
            if bit(1) && bit(3) {
                interface = interface.forwarding(ForwardOptions::new());
                if n == 1 && bit(6) {
                    let inside = "10.7.0.1:7".parse().expect("a literal");
                    let options = NatOptions::new()
                        .sessions(8)
                        .forward(Protocol::UDP, 7, inside);
                    interface = interface.nat(options);
                }
            }
            if n == 0 {
                for gateway in ["10.7.0.1", "fd07::1"] {
                    interface = interface.gateway(gateway.parse().expect("a literal"));
                }
            }
            on.push(stack.add_interface(now, interface).expect("sound"));
        }
        Self {
            stack,
            on,
            peer: Peer::new(capabilities, bit(1) && bit(3)),
            now,
            due: None,
            small: bit(4),
            tainted: false,
            streams: vec![],
            listeners: vec![],
            udps: vec![],
            pings: vec![],
            raws: vec![],
            packets: vec![],
            requests: vec![],
            outcome: Outcome::default(),
        }
    }

    fn steps(&mut self, mut input: Input<'_>) {
        for _ in 0..MOST_STEPS {
            if input.0.is_empty() {
                break;
            }
            let step = match input.byte() {
                last @ LAST.. => last - LAST + STEPS,
                step => step % STEPS,
            };
            self.peer.trace(|| format!("{:?} step {step}", self.now));
            self.step(step, &mut input);
            self.turn();
        }
    }

    fn step(&mut self, step: u8, input: &mut Input<'_>) {
        match step {
            0 => self.raw(input),
            1 => self.mirror(input),
            2 => self.pass(Duration::from_millis(1 << (input.byte() % 24))),
            3 => {
                self.now = self.now.max(self.due.unwrap_or(self.now));
            }
            4 => self.connect(input),
            5 => self.listen(input),
            6 => self.accept(),
            7 | 8 => self.write(step == 8, input),
            9 | 10 => self.read(step == 10, input),
            11 => self.peek(input),
            12 => self.shutdown(input),
            13 | 14 => self.close(step == 14, input),
            15 => self.set_options(input),
            16..=20 => self.udp(step, input),
            21..=23 => self.ping(step, input),
            24 => self.listener(input),
            25 => self.peer.full = input.byte() % 32,
            26 => self.peer.dropping = input.byte() % 8,
            27 => self.peer.answering = input.byte().is_multiple_of(2),
            28 => self.icmp(input),
            29 => self.datagram(input),
            30 | 31 => self.knock(input),
            33 => self.dhcp(input),
            34 => self.of_groups(input),
            35 => self.router(input),
            36 => self.transit(input),
            37 => self.interface(input),
            38 => self.listen_otherwise(input),
            39 => self.connect_otherwise(input),
            40 => self.knock_fast(input),
            41 => self.answer_fast(input),
            42 => self.packet_socket(input),
            43 => self.listen_for_all(input),
            44 => self.requests(input),
            45 => self.any_udp(input),
            _ => self.segment(input),
        }
    }

    fn pass(&mut self, by: Duration) {
        self.now = self.now + by;
    }

    /// Turns, until nothing is left to do at once; and what must hold.
    fn turn(&mut self) {
        let (sent, mut events) = (self.peer.sent, BTreeMap::new());
        let peer = RefCell::new(&mut self.peer);
        let side = |n| Side { peer: &peer, on: n };
        let peer_now = peer.borrow();
        let devices: Vec<_> = self.on.iter().enumerate().collect();
        let on = devices.into_iter().filter(|(n, _)| peer_now.has_port(*n));
        let mut ports: Vec<_> = on
            .map(|(n, on)| Port::new(*on, (side(n), side(n))))
            .collect();
        drop(peer_now);
        for turns in 1.. {
            let mut user = |_: &mut Stack, _, event: Event| {
                // The user does nothing meanwhile: what was told is not told again.
                let told = events.entry(event.id).or_insert(Readiness::empty());
                assert!(!event.ready.is_empty() && !told.intersects(event.ready));
                *told |= event.ready;
            };
            let next = turn_all(&mut ports, self.now, &mut self.stack, &mut user);
            let next = next.expect("no error");
            let sent = peer.borrow().sent - sent;
            assert!(sent < MOST_FRAMES, "{sent} frames at once");
            assert!(turns < MOST_FRAMES, "{turns} turns, and there is more");
            let due = next.due;
            assert!(
                next.again || due.is_none_or(|at| at > self.now),
                "{due:?} is over at {:?}",
                self.now
            );
            self.due = due;
            if !next.again && peer.borrow().coming.iter().all(VecDeque::is_empty) {
                break;
            }
        }
        let sockets = self.stack.tcp_connections().count()
            + self.listeners.len()
            + self.udps.len()
            + self.pings.len()
            + self.raws.len()
            + self.packets.len();
        assert!(events.len() <= sockets, "{events:?} of {sockets} sockets");
        self.check_bounds();
    }

    fn check_bounds(&self) {
        self.check_told();
        let counters = self.stack.counters();
        assert_eq!(counters.rx_frames, self.peer.fed);
        assert_eq!(counters.tx_frames, self.peer.sent);
        assert!(counters.drops.total() <= counters.rx_frames + 2 * self.peer.sent + 1000);
        for stream in &self.streams {
            let info = self.stack.tcp_info(stream.id).expect("it is held");
            let unsent = info.unsent + info.unacked;
            let (most_unread, most_unsent) = if self.small {
                (100_000, 10_000)
            } else {
                (6 << 20, 3 << 20)
            };
            assert!(info.unread <= most_unread, "{info:?}");
            let announced = info.unread + info.rcv_wnd + 65_536;
            assert!(info.urgent <= announced, "{info:?}");
            assert!(unsent <= most_unsent, "{info:?}");
            assert!(info.sacked + info.lost <= info.unacked + 2, "{info:?}");
        }
    }

    fn feed_frame(&mut self, on: usize, frame: Vec<u8>, meta: RxMeta) {
        self.peer.send(on, frame, meta);
    }

    /// Feeds an IP packet, behind a link header where there is one.
    fn feed(&mut self, on: usize, packet: &[u8], meta: RxMeta) {
        let ethernet = self.peer.capabilities[on].medium == Medium::Ethernet;
        let frame = match (ethernet, packet[0] >> 4) {
            (false, _) => packet.to_vec(),
            (true, 4) => wire::ethernet(0x0800, packet),
            (true, _) => wire::ethernet(0x86dd, packet),
        };
        self.feed_frame(on, frame, meta);
    }

    /// Which of our addresses a host speaks to, and where it comes in.
    fn near(&self, host: IpAddr) -> (usize, IpAddr) {
        let route = self.stack.resolve_route(host);
        route.map_or_else(
            || {
                let ours = if host.is_ipv4() {
                    "10.7.0.2"
                } else {
                    "fd07::2"
                };
                (0, ours.parse().expect("a literal"))
            },
            |(on, source)| {
                let place = self.on.iter().position(|id| *id == on);
                (place.expect("one of ours"), source)
            },
        )
    }

    // Frames.

    /// The peer's clock, for timestamps.
    fn millis(&self) -> u32 {
        u32::try_from(self.now.as_nanos() / 1_000_000 % (1 << 32)).expect("taken modulo")
    }

    fn raw(&mut self, input: &mut Input<'_>) {
        let on = input.below(self.on.len());
        let flags = input.byte();
        let segment = NonZeroU16::new(u16::from(flags >> 4) * 100);
        let meta = RxMeta::new(self.now).with_segment_size(segment);
        let meta = match flags & 1 {
            0 => meta,
            _ => meta.with_checksum(RxChecksum::Verified),
        };
        self.peer.damaged = true;
        self.tainted = true;
        let frame = input.bytes();
        self.feed_frame(on, frame, meta);
    }

    /// A frame that the stack sent comes back, with a byte changed maybe.
    fn mirror(&mut self, input: &mut Input<'_>) {
        let which = input.below(self.peer.last.len());
        let (at, by, flags) = (input.byte(), input.byte(), input.byte());
        let Some((on, packet)) = self.peer.last.get(which).cloned() else {
            return;
        };
        let mut back = match flags & 1 {
            0 => peer::mirrored(&packet),
            _ => packet,
        };
        if let Some(byte) = back.get_mut(usize::from(at)) {
            *byte ^= by;
        }
        let meta = RxMeta::new(self.now);
        let meta = match flags & 2 {
            0 => meta.with_checksum(RxChecksum::Verified),
            _ => meta,
        };
        self.peer.damaged |= by != 0;
        self.tainted = true;
        self.feed(on, &back, meta);
    }

    /// A SYN from a host to a port of ours.
    fn knock(&mut self, input: &mut Input<'_>) {
        let (host, port) = (input.host(), input.port());
        let from = 40_000 + u16::from(input.byte() % 8);
        let isn = input.around();
        let shape = input.byte();
        let millis = self.millis();
        let (on, ours) = self.near(host);
        let flow = self
            .peer
            .flow(on, SocketAddr::new(ours, port), SocketAddr::new(host, from));
        let mss = [0x00, 0x30, 0x02, 0x18, 0x05, 0xb4, 0xff, 0xff];
        let at = usize::from(shape & 3) * 2;
        let mut options = vec![2, 4, mss[at], mss[at + 1]];
        if shape & 4 == 0 {
            options.extend([4, 2, 8, 10]);
            options.extend(millis.to_be_bytes());
            options.extend([0; 4]);
        }
        if shape & 8 == 0 {
            options.extend([1, 3, 3, shape >> 4]);
        }
        let packet = flow.packet(&Segment {
            flags: SYN,
            seq: isn,
            window: 65_535,
            options,
            ..Segment::default()
        });
        self.feed(on, &packet, RxMeta::new(self.now));
    }

    /// What a server says to the last message of the client, with any options behind its own: with arguments of zero the answer
    /// that RFC 2131 has for it.
    fn dhcp(&mut self, input: &mut Input<'_>) {
        let (kind, shape, address) = (input.byte(), input.byte(), input.byte());
        let more = input.bytes();
        let Some(asked) = self.peer.dhcp.clone() else {
            return;
        };
        let asked = Message::parse(&asked).expect("a client's message");
        let right = match asked.kind() {
            Some(MessageType::DISCOVER) => MessageType::OFFER,
            _ => MessageType::ACK,
        };
        let kinds = [right, MessageType::NAK, MessageType::ACK, MessageType(kind)];
        let given = Ipv4Addr::new(10, 7, address % 2, 50 + address / 2);
        let server = Ipv4Addr::new(10, 7, 0, 1);
        let answer = Builder::new(
            Operation::REPLY,
            kinds[usize::from(kind) % 4],
            asked.xid(),
            MacAddr::new(MAC),
        )
        .yiaddr(given)
        .address(code::SERVER_ID, server)
        .number(code::LEASE_TIME, 20 << (shape >> 4))
        .address(code::ROUTERS, server);
        let mut answer = answer.finish();
        let end = answer.iter().rposition(|&byte| byte == code::END);
        let at = end.expect("it has one");
        answer.splice(at..at, more);
        let mut body = wire::udp(CLIENT_PORT, &answer);
        body[..2].copy_from_slice(&SERVER_PORT.to_be_bytes());
        let to = if shape & 1 == 0 {
            given
        } else {
            Ipv4Addr::BROADCAST
        };
        let packet = peer::packet(server.into(), to.into(), 17, body, Some(6));
        self.feed(0, &packet, RxMeta::new(self.now));
    }

    /// A segment of a live flow: with arguments of zero the next one in order, else next to it.
    fn segment(&mut self, input: &mut Input<'_>) {
        let which = input.below(self.peer.flows.len());
        let flags = input.byte() ^ ACK;
        let shape = input.byte();
        let bit = |n: u8| shape >> n & 1 == 1;
        let millis = self.millis();
        let Some(flow) = self.peer.flows.get_mut(which) else {
            return;
        };
        let mut segment = Segment {
            flags,
            seq: flow.ack,
            ack: flow.next_seq,
            window: 65_535,
            options: vec![],
            len: LENGTHS[usize::from(shape & 7)],
        };
        if bit(3) {
            segment.seq = segment.seq.wrapping_add(input.around());
        }
        if bit(4) {
            segment.ack = segment.ack.wrapping_add(input.around());
        }
        if bit(5) {
            segment.window = input.word();
        }
        let (mut clock, mut echo) = (millis, flow.clock);
        let mut stamped = flow.timestamps;
        if bit(6) {
            stamped ^= input.byte() & 1 == 1;
            clock = clock.wrapping_add(input.around());
            echo = echo.wrapping_add(input.around());
        }
        if stamped {
            segment.options.extend([1, 1, 8, 10]);
            segment.options.extend(clock.to_be_bytes());
            segment.options.extend(echo.to_be_bytes());
        }
        if bit(7) {
            let (left, right) = (input.around(), input.around());
            segment.options.extend([1, 1, 5, 10]);
            for edge in [left, right] {
                let edge = segment.ack.wrapping_add(edge);
                segment.options.extend(edge.to_be_bytes());
            }
        }
        let meta = RxMeta::new(self.now);
        let meta = meta.with_segment_size(match segment.len {
            0..=1460 => None,
            _ => NonZeroU16::new(1000),
        });
        let (on, packet) = (flow.on, flow.packet(&segment));
        self.feed(on, &packet, meta);
    }

    /// An ICMP error about a packet that the stack sent.
    fn icmp(&mut self, input: &mut Input<'_>) {
        let which = input.below(self.peer.last.len());
        let (kind, code, value) = (input.byte(), input.byte() % 16, input.word());
        let cut = usize::from(input.byte());
        let Some((on, packet)) = self.peer.last.get(which) else {
            return;
        };
        let quoted = &packet[..packet.len().min(64 + cut)];
        let rest = [&[0, 0][..], &value.to_be_bytes()].concat();
        let v4 = packet[0] >> 4 == 4;
        let kind = match v4 {
            true => [3, 11, 12, 5, 4][usize::from(kind) % 5],
            false => 1 + kind % 4,
        };
        let (from, to): (IpAddr, IpAddr) = if v4 {
            let ours = <[u8; 4]>::try_from(&packet[12..16]).expect("four");
            (HOSTS[0].parse().expect("a literal"), ours.into())
        } else {
            let ours = <[u8; 16]>::try_from(&packet[8..24]).expect("sixteen");
            (HOSTS[1].parse().expect("a literal"), ours.into())
        };
        let body = [&[kind, code, 0, 0][..], &rest, quoted].concat();
        let packet = peer::packet(from, to, if v4 { 1 } else { 58 }, body, Some(2));
        let on = *on;
        self.feed(on, &packet, RxMeta::new(self.now));
    }

    /// A datagram or an echo request from a host, whole or in some of its fragments.
    fn datagram(&mut self, input: &mut Input<'_>) {
        let (host, port, shape) = (input.host(), input.port(), input.byte());
        let len = LENGTHS[usize::from(shape & 7)].min(1400);
        let (on, ours) = self.near(host);
        let text = vec![0x42; len];
        let packet = if shape & 8 == 0 {
            let mut body = wire::udp(port, &text);
            body[..2].copy_from_slice(&PORTS[usize::from(shape >> 4 & 3)].to_be_bytes());
            peer::packet(host, ours, 17, body, Some(6))
        } else {
            let (kind, protocol) = if host.is_ipv4() { (8, 1) } else { (128, 58) };
            let body = [&[kind, 0, 0, 0, 0, 1, 0, shape][..], &text].concat();
            peer::packet(host, ours, protocol, body, Some(2))
        };
        if shape & 0xc0 == 0 {
            return self.feed(on, &packet, RxMeta::new(self.now));
        }
        let (id, size, which, by) = (input.byte(), input.byte(), input.byte(), input.byte());
        let mut pieces = peer::fragments(&packet, id & 3, (usize::from(size) + 1) * 8);
        if shape & 0x40 == 0 {
            pieces.reverse();
        }
        for (nth, mut piece) in pieces.into_iter().enumerate() {
            // With arguments of zero all of them come, as they are.
            let changed = nth < 8 && which >> nth & 1 == 1;
            if changed && by == 0 {
                continue;
            }
            if let (true, Some(byte)) = (changed, piece.get_mut(usize::from(by))) {
                *byte ^= size | 1;
            }
            self.feed(on, &piece, RxMeta::new(self.now));
        }
    }
}
