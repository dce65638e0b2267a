//! What is dropped, by reason: a capture in `tests/pcap/drops` for each, or why there is none.
//!
//! `NETLOOM_WRITE_PCAP=1 cargo test --test foreign drops` makes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use netloom::base::checksum::{Sum, checksum};
use netloom::base::{DropReason, MacAddr};
use netloom::capture::{Fed, ForeignReplay, LinkType, Reader};
use netloom::device::{Capabilities, DeviceError, Medium, Receive, RxBatch, Sent, Transmit};
use netloom::link::{RxFrame, RxMeta, TxFrame};
use netloom::stack::{
    Event, ForwardOptions, InterfaceId, ListenOptions, NatOptions, Port, ReversePath, UdpOptions,
};
use netloom::tcp::TcpOptions;
use netloom::{Config, Instant, InterfaceConfig, Seed, Stack};

use crate::talk::{Act, LEFT, Raw, Talk, edited, write};

/// A reason to drop a packet.
struct Row {
    reason: DropReason,
    /// How its capture was made, or why there is none.
    how: &'static str,
    shown: Shown,
}

enum Shown {
    /// To a stack of its own, all frames at once.
    Frames(fn() -> Vec<Vec<u8>>, fn() -> Rig),
    /// To a stack in the place of 10.0.0.2, among the segments of a connection.
    Replay(fn() -> Vec<u8>),
    /// By no frame.
    Never,
}
use Shown::{Frames, Never, Replay};

// --- a stack ------------------------------------------------------------------------------

/// A stack whose applications do nothing, at 10.0.0.1 and fd00::1.
struct Rig {
    stack: Stack,
    on: InterfaceId,
    port: Port<Nothing, Nothing>,
    now: Instant,
}

/// A device that takes everything and has nothing.
struct Nothing;

impl Receive for Nothing {
    fn receive(&mut self, _: Instant, _: &mut RxBatch) -> Result<usize, DeviceError> {
        Ok(0)
    }
}

impl Transmit for Nothing {
    fn transmit(&mut self, _: Instant, _: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        Ok(Sent::Taken)
    }
}

impl Rig {
    fn new() -> Self {
        Self::with(|config| config, 0)
    }

    /// With these settings, and its IPv6 address tentative for so many probes.
    fn with(set: fn(Config) -> Config, probes: u8) -> Self {
        let mut stack = Stack::new(set(Config::new(Seed::from_number(1))));
        let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
            .mac(MacAddr::new(OUR_MAC))
            .address("10.0.0.1/24".parse().unwrap())
            .address("fd00::1/64".parse().unwrap())
            .dad_transmits(probes)
            .link_local(false);
        let on = stack.add_interface(Instant::ZERO, interface).unwrap();
        let mut rig = Self {
            stack,
            on,
            port: Port::new(on, (Nothing, Nothing)),
            now: Instant::ZERO,
        };
        // Its neighbour 10.0.0.2 is known.
        let hello = RxFrame::new(arp(PEER_MAC, 2, |_| {}).into(), RxMeta::new(rig.now));
        rig.stack.handle_frame(rig.now, on, hello);
        let mut nobody = |_: &mut Stack, _: Instant, _: Event| {};
        let _ = rig.port.turn(rig.now, &mut rig.stack, &mut nobody).unwrap();
        rig
    }

    /// Between 10.0.0.0/24 and 10.0.1.0/24, with a look at the way back.
    fn router() -> Self {
        Self::between(|interface| interface)
    }

    /// The same, with translation to 10.0.1.1.
    fn router_with_nat() -> Self {
        Self::between(|other| other.nat(NatOptions::new()))
    }

    /// With translation to its only address.
    fn outside() -> Self {
        let mut rig = Self::new();
        let one = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
            .mac(MacAddr::new(OUR_MAC))
            .address("10.0.0.1/24".parse().unwrap())
            .nat(NatOptions::new());
        rig.stack = Stack::new(Config::new(Seed::from_number(1)));
        rig.stack.add_interface(Instant::ZERO, one).unwrap();
        rig
    }

    fn between(set: fn(InterfaceConfig) -> InterfaceConfig) -> Self {
        let mut rig = Self::new();
        let strict = ForwardOptions::new().reverse_path(ReversePath::Strict);
        let other = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1280))
            .address("10.0.1.1/24".parse().unwrap());
        let other = set(other);
        let one = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
            .mac(MacAddr::new(OUR_MAC))
            .address("10.0.0.1/24".parse().unwrap())
            .forwarding(strict);
        rig.stack = Stack::new(Config::new(Seed::from_number(1)));
        for interface in [one, other] {
            rig.stack.add_interface(Instant::ZERO, interface).unwrap();
        }
        let hello = RxFrame::new(arp(PEER_MAC, 2, |_| {}).into(), RxMeta::new(rig.now));
        rig.stack.handle_frame(rig.now, rig.on, hello);
        rig
    }

    fn udp(mut self, options: UdpOptions) -> Self {
        let any: SocketAddr = "0.0.0.0:7".parse().unwrap();
        self.stack.udp_bind(any, options).unwrap();
        self
    }

    /// With a socket that has sent a datagram of 1,000 bytes to 10.0.0.2:9.
    fn sender() -> Self {
        let mut rig = Self::new();
        let (any, to) = ("0.0.0.0:7".parse().unwrap(), "10.0.0.2:9".parse().unwrap());
        let socket = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
        let sent = rig.stack.udp_send_to(rig.now, socket, Some(to), &[0; 1000]);
        assert_eq!(sent, Ok(1000));
        rig.feed(&[], Instant::ZERO);
        rig
    }

    fn listen(mut self, set: fn(ListenOptions) -> ListenOptions) -> Self {
        let any: SocketAddr = "0.0.0.0:80".parse().unwrap();
        let options = set(ListenOptions::new(TcpOptions::default()));
        self.stack.tcp_listen(any, options).unwrap();
        self
    }

    fn feed(&mut self, file: &[u8], end: Instant) {
        for frame in Reader::new(file) {
            let frame = frame.to_rx(self.now).unwrap();
            self.stack.handle_frame(self.now, self.on, frame);
        }
        loop {
            let mut nobody = |_: &mut Stack, _: Instant, _: Event| {};
            let turned = self.port.turn(self.now, &mut self.stack, &mut nobody);
            match turned.unwrap().due {
                Some(due) if due <= end => self.now = self.now.max(due),
                _ => return,
            }
        }
    }
}

// --- frames -------------------------------------------------------------------------------

const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ALL: [u8; 6] = [0xff; 6];

fn ethernet(dst: [u8; 6], kind: u16, packet: &[u8]) -> Vec<u8> {
    [&dst[..], &PEER_MAC, &kind.to_be_bytes(), packet].concat()
}

/// From 10.0.0.2 to 10.0.0.1, altered before its header's checksum is computed.
fn four(protocol: u8, body: &[u8], alter: fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend([10, 0, 0, 2, 10, 0, 0, 1]);
    packet.extend(body);
    let len = packet.len() as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    alter(&mut packet);
    let header = usize::from(packet[0] & 15) * 4;
    let sum = checksum(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    ethernet(OUR_MAC, 0x0800, &packet)
}

/// From fd00::2 to fd00::1.
fn six(next: u8, hops: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend([next, hops]);
    for last in [2, 1] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(body);
    ethernet(OUR_MAC, 0x86dd, &packet)
}

/// Completes the checksum that lies so far behind IPv6's header.
fn summed(mut frame: Vec<u8>, offset: usize) -> Vec<u8> {
    let (next, body) = (u16::from(frame[20]), frame.len() - 54);
    let sum = Sum::new()
        .bytes(&frame[22..54])
        .word(next)
        .word(body as u16);
    let sum = sum.bytes(&frame[54..]).finish();
    frame[54 + offset..56 + offset].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// A datagram from port 9 without a checksum.
fn udp(port: u8, text: &[u8]) -> Vec<u8> {
    let len = text.len() as u8 + 8;
    [&[0, 9, 0, port, 0, len, 0, 0], text].concat()
}

fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0], rest].concat();
    let sum = checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    message
}

fn ping() -> Vec<u8> {
    four(1, &icmp(8, 0, b"\0\x01\0\x01ping"), |_| {})
}

/// A header without options or text from 10.0.0.2, altered before its checksum is computed.
fn tcp(from: u8, flags: u8, alter: fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut segment = vec![0x40, from, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags];
    segment.extend([0xff, 0xff, 0, 0, 0, 0]);
    alter(&mut segment);
    let len = segment.len() as u16;
    let sum = Sum::new()
        .bytes(&[10, 0, 0, 2, 10, 0, 0, 1])
        .word(6)
        .word(len);
    let sum = sum.bytes(&segment).finish().to_be_bytes();
    segment[16..18].copy_from_slice(&sum);
    four(6, &segment, |_| {})
}

fn arp(sender_mac: [u8; 6], sender: u8, alter: fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    packet.extend(sender_mac);
    packet.extend([10, 0, 0, sender, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1]);
    alter(&mut packet);
    ethernet(ALL, 0x0806, &packet)
}

/// An error of `kind` that quotes a datagram from 10.0.0.1, port 40000, where nobody is.
fn icmp_error(kind: u8, code: u8) -> Vec<u8> {
    let quoted = four(17, &[0x9c, 0x40, 0, 9, 0, 9, 0, 0, b'x'], |packet| {
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    });
    let rest = [&[0, 0, 5, 0], &quoted[14..]].concat();
    four(1, &icmp(kind, code, &rest), |_| {})
}

// --- a connection -------------------------------------------------------------------------

/// A short connection, and behind a bare acknowledgement of the client's a copy of it, altered.
fn inserted(alter: fn(&mut Vec<u8>)) -> Vec<u8> {
    many(100, 1, |copy, _| alter(copy))
}

/// The same with many copies, behind the first that came after so many milliseconds.
fn many(after: u64, count: u32, alter: impl Fn(&mut Vec<u8>, u32)) -> Vec<u8> {
    let talk = Talk::new(
        41,
        &[(0, Act::Write(1000)), (600, Act::Shut)],
        &[
            (100, Act::Write(500)),
            (700, Act::Write(10)),
            (900, Act::Shut),
        ],
    );
    let whole = talk.captured();
    let mut frames = Vec::new();
    let _ = edited(&whole, |frame| {
        frames.push(frame);
        None
    });
    let is_bare = |frame: &Raw| {
        let bytes = &frame.data;
        bytes.len() == 66 && bytes[23] == 6 && bytes[29] == 1 && bytes[47] == 0x10
    };
    let start = frames[0].at;
    let is_late = |frame: &Raw| frame.at - start > after * 1_000_000;
    let at = frames.iter().position(|it| is_late(it) && is_bare(it));
    let at = at.unwrap();
    let copies: Vec<Raw> = (0..count)
        .map(|n| {
            let mut copy = frames[at].clone();
            alter(&mut copy.data, n);
            copy.original_len = copy.data.len();
            resummed(&mut copy.data);
            copy
        })
        .collect();
    frames.splice(at + 1..at + 1, copies);
    write(frames.into_iter())
}

/// Makes the lengths and checksums of a segment over IPv4 right.
fn resummed(frame: &mut [u8]) {
    let len = frame.len() as u16 - 14;
    frame[16..18].copy_from_slice(&len.to_be_bytes());
    frame[24..26].fill(0);
    let sum = checksum(&frame[14..34]).to_be_bytes();
    frame[24..26].copy_from_slice(&sum);
    frame[50..52].fill(0);
    let sum = Sum::new().bytes(&frame[26..34]).word(6).word(len - 20);
    let sum = sum.bytes(&frame[34..]).finish().to_be_bytes();
    frame[50..52].copy_from_slice(&sum);
}

/// Adds to the number that lies there.
fn add(frame: &mut [u8], at: usize, more: u32) {
    let number: [u8; 4] = frame[at..at + 4].try_into().unwrap();
    let sum = u32::from_be_bytes(number).wrapping_add(more);
    frame[at..at + 4].copy_from_slice(&sum.to_be_bytes());
}

const SEQ: usize = 38;
const ACK: usize = 42;
const FLAGS: usize = 47;
const TSVAL: usize = 58;

// --- the table ----------------------------------------------------------------------------

macro_rules! rows {
    ($($reason:ident: $how:literal, $shown:expr;)+) => {
        &[$(Row { reason: DropReason::$reason, how: $how, shown: $shown },)+]
    };
}

const ROWS: &[Row] = rows! {
    LinkMalformed: "ten bytes", Frames(|| vec![ping()[..10].to_vec()], Rig::new);
    LinkProtocol: "LLDP", Frames(|| vec![ethernet(OUR_MAC, 0x88cc, &[0; 46])], Rig::new);
    LinkNotOurs: "a ping to another station's MAC address", Frames(
        || {
            let mut frame = ping();
            frame[5] = 9;
            vec![frame]
        },
        Rig::new,
    );
    LinkDown: "a user sets the link down, and no frame does", Never;
    ArpMalformed: "a request whose hardware addresses are eight bytes long",
        Frames(|| vec![arp(PEER_MAC, 2, |packet| packet[4] = 8)], Rig::new);
    ArpIgnored: "our own request, come back", Frames(|| vec![arp(OUR_MAC, 1, |_| {})], Rig::new);
    Ipv4Malformed: "a total length beyond the end", Frames(
        || vec![four(17, &udp(7, b"x"), |packet| packet[3] = 200)],
        Rig::new,
    );
    Ipv4Checksum: "a TTL that was altered on the way", Frames(
        || {
            let mut frame = ping();
            frame[22] = 63;
            vec![frame]
        },
        Rig::new,
    );
    Ipv4SourceRoute: "a loose source route", Frames(
        || {
            vec![four(17, &udp(7, b"x"), |packet| {
                packet[0] = 0x47;
                packet.splice(20..20, [0x83, 7, 4, 10, 0, 0, 9, 0]);
                packet[3] += 8;
            })]
        },
        Rig::new,
    );
    Ipv6Malformed: "a payload length beyond the end", Frames(
        || {
            let mut frame = six(17, 64, &udp(7, b"x"));
            frame[19] = 200;
            vec![frame]
        },
        Rig::new,
    );
    Ipv6Option: "an unknown option that asks for the packet to be discarded", Frames(
        || vec![six(0, 64, &[&[17, 0, 0x5e, 4, 0, 0, 0, 0], &udp(7, b"x")[..]].concat())],
        Rig::new,
    );
    IpSource: "a datagram from a group", Frames(
        || vec![four(17, &udp(7, b"x"), |packet| packet[12..16].copy_from_slice(&[224, 0, 0, 1]))],
        Rig::new,
    );
    IpNotOurs: "a datagram to another address at our MAC address", Frames(
        || vec![four(17, &udp(7, b"x"), |packet| packet[19] = 9)],
        Rig::new,
    );
    IpLinkBroadcast: "a datagram to our address in a broadcast frame", Frames(
        || {
            let mut frame = four(17, &udp(7, b"x"), |_| {});
            frame[..6].copy_from_slice(&ALL);
            vec![frame]
        },
        Rig::new,
    );
    IpTentative: "a datagram to an address that is still probed for",
        Frames(|| vec![summed(six(17, 64, &udp(7, b"x")), 6)], || Rig::with(|config| config, 1));
    IpDuplicate: "a packet waits to leave while its address is probed for anew: no frame starts that", Never;
    IpSourceGone: "a user takes the address away, and no frame does", Never;
    ForwardExpired: "a ping for a host behind a router, at its last hop", Frames(
        || vec![four(1, &icmp(8, 0, b"\0\x01\0\x01ping"), |packet| {
            (packet[8], packet[18], packet[19]) = (1, 1, 9);
        })],
        Rig::router,
    );
    ForwardTooBig: "a datagram that must not be cut, longer than the link", Frames(
        || vec![four(17, &[0; 1300], |packet| {
            (packet[6], packet[18], packet[19]) = (0x40, 1, 9);
        })],
        Rig::router,
    );
    ForwardRefused: "a ping for a link-local address", Frames(
        || vec![four(1, &icmp(8, 0, b"\0\x01\0\x01ping"), |packet| {
            packet[16..20].copy_from_slice(&[169, 254, 1, 1]);
        })],
        Rig::router,
    );
    ForwardReversePath: "a ping from a host of the other side", Frames(
        || vec![four(1, &icmp(8, 0, b"\0\x01\0\x01ping"), |packet| {
            (packet[14], packet[18], packet[19]) = (1, 1, 9);
        })],
        Rig::router,
    );
    ForwardFull: "a full device is another's, and no frame makes it", Never;
    NatProtocol: "a packet of GRE that would leave by an interface with NAT", Frames(
        || vec![four(47, &[0; 8], |packet| (packet[18], packet[19]) = (1, 9))],
        Rig::router_with_nat,
    );
    NatFull: "all sessions are established connections, and no frames of one side establish any", Never;
    NatUnsolicited: "a SYN for a port that an inside host might have", Frames(
        || vec![tcp(5, 0x02, |segment| (segment[2], segment[3]) = (4, 0))],
        Rig::outside,
    );
    FragmentDuplicate: "a datagram's first fragment, twice, and its last", Frames(
        || {
            let first = four(17, &udp(7, &[0; 8])[..8], |packet| packet[6] = 0x20);
            vec![first.clone(), first, four(17, &[0; 8], |packet| packet[7] = 1)]
        },
        || Rig::new().udp(UdpOptions::new()),
    );
    FragmentOverlap: "two fragments at one place, with other text", Frames(
        || [1, 2].map(|byte| four(17, &[byte; 8], |packet| packet[7] = 1)).into(),
        Rig::new,
    );
    FragmentLimit: "a fragment, and no room for any", Frames(
        || vec![four(17, &[0; 8], |packet| packet[7] = 1)],
        || Rig::with(|config| config.reassembly_datagrams(0), 0),
    );
    FragmentTimeout: "a datagram's last fragment",
        Frames(|| vec![four(17, &[0; 8], |packet| packet[7] = 1)], Rig::new);
    FragmentEcn: "a fragment that met congestion, and one that has no room to say so", Frames(
        || {
            let marked: fn(&mut Vec<u8>) = |packet| (packet[1], packet[6]) = (3, 0x20);
            vec![four(17, &udp(7, b""), marked), four(17, &[0; 8], |packet| packet[7] = 1)]
        },
        Rig::new,
    );
    IpProtocol: "SCTP", Frames(|| vec![four(132, &[0; 12], |_| {})], Rig::new);
    IcmpMalformed: "four bytes of an echo request", Frames(|| vec![four(1, &icmp(8, 0, &[]), |_| {})], Rig::new);
    IcmpChecksum: "an echo request whose text was altered on the way", Frames(
        || {
            let mut frame = ping();
            frame[44] ^= 1;
            vec![frame]
        },
        Rig::new,
    );
    IcmpIgnored: "a timestamp request", Frames(|| vec![four(1, &icmp(13, 0, &[0; 16]), |_| {})], Rig::new);
    IcmpUnmatched: "a port unreachable that quotes a datagram of nobody's",
        Frames(|| vec![icmp_error(3, 3)], Rig::new);
    IcmpTooBig: "fragmentation needed for a datagram that we sent, by a link that holds it", Frames(
        || {
            let mut quoted = four(17, &[0, 7, 0, 9, 0x03, 0xf0, 0, 0], |packet| {
                packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
            });
            // 1,000 bytes of data, of which the quote has none.
            quoted[16..18].copy_from_slice(&[0x04, 0x04]);
            // With DF: without, nobody refuses a packet for its size.
            quoted[20] = 0x40;
            quoted[24..26].fill(0);
            let sum = checksum(&quoted[14..34]).to_be_bytes();
            quoted[24..26].copy_from_slice(&sum);
            let rest = [&[0, 0, 0x05, 0xdc], &quoted[14..]].concat();
            vec![four(1, &icmp(3, 4, &rest), |_| {})]
        },
        Rig::sender,
    );
    RedirectRefused: "a redirect of a code that there is not", Frames(|| vec![icmp_error(5, 9)], Rig::new);
    RouterFlood: "it takes more advertisements at once than are looked at", Never;
    IgmpMalformed: "four bytes of a report", Frames(|| vec![four(2, &icmp(0x16, 0, &[]), |_| {})], Rig::new);
    IgmpIgnored: "a Leave message, which is for routers", Frames(
        || vec![four(2, &icmp(0x17, 0, &[224, 0, 0, 251]), |_| {})],
        Rig::new,
    );
    NdpInvalid: "a solicitation that came over a router: its hop limit is 64", Frames(
        || {
            let target = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
            vec![summed(six(58, 64, &[&[135, 0, 0, 0, 0, 0, 0, 0][..], &target].concat()), 2)]
        },
        Rig::new,
    );
    UdpMalformed: "a length of four", Frames(
        || vec![four(17, &udp(7, b"x"), |packet| packet[25] = 4)],
        Rig::new,
    );
    UdpChecksum: "over IPv6 without a checksum", Frames(|| vec![six(17, 64, &udp(7, b"x"))], Rig::new);
    DhcpIgnored: "it takes a client of the stack's own that waits for an answer", Never;
    UdpNoSocket: "to a port where nobody is", Frames(|| vec![four(17, &udp(7, b"x"), |_| {})], Rig::new);
    UdpBufferFull: "two datagrams, and room for one", Frames(
        || vec![four(17, &udp(7, &[0; 100]), |_| {}); 2],
        || Rig::new().udp(UdpOptions::new().recv_buffer(1)),
    );
    PingUnclaimed: "an echo reply that nobody asked for",
        Frames(|| vec![four(1, &icmp(0, 0, b"\0\x01\0\x01pong"), |_| {})], Rig::new);
    TcpMalformed: "a header of four words", Frames(|| vec![tcp(1, 2, |it| it[12] = 0x40)], Rig::new);
    TcpChecksum: "a SYN whose number was altered on the way", Frames(
        || {
            let mut frame = tcp(1, 2, |_| {});
            frame[41] ^= 1;
            vec![frame]
        },
        || Rig::new().listen(|options| options),
    );
    TcpNoSocket: "a SYN to a port where nobody listens", Frames(|| vec![tcp(1, 2, |_| {})], Rig::new);
    TcpBadSyn: "a SYN to everybody", Frames(
        || {
            let mut frame = tcp(1, 2, |_| {});
            frame[30..34].fill(255);
            resummed(&mut frame);
            vec![frame]
        },
        || Rig::new().listen(|options| options),
    );
    TcpBacklogFull: "three SYNs, and a backlog of one without cookies", Frames(
        || (1..=3).map(|port| tcp(port, 2, |_| {})).collect(),
        || Rig::new().listen(|options| options.backlog(1).syn_cookies(false)),
    );
    TcpOutOfWindow: "a keep-alive", Replay(|| inserted(|it| add(it, SEQ, u32::MAX)));
    TcpPaws: "a timestamp from long ago", Replay(|| inserted(|it| add(it, TSVAL, 0xfff0_0000)));
    TcpNoTimestamp: "a segment without the timestamp that was agreed on",
        Replay(|| inserted(|it| it[56..66].fill(1)));
    TcpBadAck: "an acknowledgement of what is still to be sent in 1.25 GiB",
        Replay(|| inserted(|it| add(it, ACK, 0x5000_0000)));
    TcpBadRst: "a RST within the window, and not at its beginning", Replay(|| {
        inserted(|it| {
            it[FLAGS] = 4;
            add(it, SEQ, 100);
        })
    });
    TcpUnexpectedSyn: "a SYN in the middle", Replay(|| inserted(|it| it[FLAGS] = 2));
    TcpNoAck: "a segment without ACK", Replay(|| inserted(|it| it[FLAGS] = 0));
    TcpTextRefused: "text behind a FIN", Replay(|| many(700, 1, |it, _| it.push(b'x')));
    TcpReassemblyFull: "4,100 segments of one byte, each with a hole before it", Replay(|| {
        many(100, 4100, |it, n| {
            add(it, SEQ, 2 * n + 1);
            it.push(b'x');
        })
    });
    TcpMemory: "a SYN, and a datagram before it that uses up the memory for sockets", Frames(
        || vec![four(17, &udp(7, b"x"), |_| {}), tcp(1, 2, |_| {})],
        || {
            let rig = Rig::with(|config| config.socket_memory(1), 0);
            rig.listen(|options| options).udp(UdpOptions::new())
        },
    );
    TcpTooFar: "a SYN that has no 255 hops left, as the listener asks for", Frames(
        || vec![tcp(1, 2, |_| {})],
        || Rig::new().listen(|_| ListenOptions::new(TcpOptions::default().min_ttl(255))),
    );
    UdpMemory: "datagrams, and next to no memory for sockets", Frames(
        || vec![four(17, &udp(7, &[0; 200]), |_| {}); 4],
        || Rig::with(|config| config.socket_memory(1), 0).udp(UdpOptions::new()),
    );
    NeighbourUnresolved: "a ping from a station that answers no ARP", Frames(
        || vec![four(1, &icmp(8, 0, b"\0\x01\0\x01ping"), |packet| packet[15] = 3)],
        Rig::new,
    );
    NoRoute: "a ping from afar, and no gateway", Frames(
        || {
            vec![four(1, &icmp(8, 0, b"\0\x01\0\x01ping"), |packet| {
                packet[12..16].copy_from_slice(&[192, 0, 2, 1]);
            })]
        },
        Rig::new,
    );
    RateLimited: "200 datagrams to a closed port at once", Frames(
        || vec![four(17, &udp(7, b"x"), |_| {}); 200],
        Rig::new,
    );
    OutboxFull: "three pings at once, and room for one answer", Frames(
        || vec![ping(); 3],
        || Rig::with(|config| config.outbox_limit(1), 0),
    );
    DeviceNoBuffers: "the device says so, and no frame makes it", Never;
    DeviceLinkDown: "the device says so, and no frame makes it", Never;
    DeviceRefused: "the device says so, and no frame makes it", Never;
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pcap/drops")
}

fn file_of(row: &Row) -> Vec<u8> {
    match row.shown {
        Frames(made, _) => write(made().into_iter().enumerate().map(|(n, data)| Raw {
            at: 1_600_000_000_000_000_000 + n as u64 * 1_000_000,
            link: LinkType::ETHERNET,
            interface: 0,
            original_len: data.len(),
            data,
        })),
        Replay(made) => made(),
        Never => unreachable!(),
    }
}

/// Each reason has its capture, or stands in the table with why not; and each is dropped for that reason alone.
#[test]
fn each_reason_has_its_capture() {
    let told: Vec<DropReason> = ROWS.iter().map(|row| row.reason).collect();
    assert_eq!(told, DropReason::ALL, "in this order");
    let mut wrong = Vec::new();
    for row in ROWS {
        if matches!(row.shown, Never) {
            continue;
        }
        let path = folder().join(format!("{}.pcap", row.reason));
        if std::env::var_os("NETLOOM_WRITE_PCAP").is_some() {
            fs::write(&path, file_of(row)).unwrap();
        }
        let file = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", row.reason));
        let drops = match row.shown {
            Frames(_, rig) => {
                let mut rig = rig();
                // A neighbour that never answers is given up by then; fragments take longer.
                let end = match row.reason {
                    DropReason::FragmentTimeout => 61_000,
                    _ => 5000,
                };
                rig.feed(&file, Instant::from_millis(end));
                rig.stack.counters().drops.clone()
            }
            _ => {
                let mut replay = ForeignReplay::new(&file[..], Fed::From(LEFT)).unwrap();
                let report = replay.finish();
                assert!(report.is_sound(), "{}: {report}", row.reason);
                report.drops
            }
        };
        let told = drops.get(row.reason);
        // Each error that is not sent belongs to a datagram that was dropped for a reason of its own.
        let beside = match row.reason {
            DropReason::RateLimited => drops.get(DropReason::UdpNoSocket),
            _ => 0,
        };
        if told == 0 || drops.total() > told + beside {
            wrong.push(format!("{}: {drops:?}", row.reason));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Those that take no setting of the stack's to be dropped.
const ANYWHERE: [DropReason; 16] = [
    DropReason::Ipv4Malformed,
    DropReason::Ipv4Checksum,
    DropReason::Ipv4SourceRoute,
    DropReason::IpSource,
    DropReason::IpLinkBroadcast,
    DropReason::FragmentDuplicate,
    DropReason::IpProtocol,
    DropReason::IcmpMalformed,
    DropReason::IcmpChecksum,
    DropReason::IcmpIgnored,
    DropReason::IcmpUnmatched,
    DropReason::UdpMalformed,
    DropReason::PingUnclaimed,
    DropReason::TcpMalformed,
    DropReason::TcpChecksum,
    DropReason::TcpBadSyn,
];

/// Each in the place of one who is sent to: whatever comes, it is accounted for.
#[test]
fn whatever_is_dropped_is_accounted_for() {
    for row in ROWS.iter().filter(|row| !matches!(row.shown, Never)) {
        let file = fs::read(folder().join(format!("{}.pcap", row.reason))).unwrap();
        let report = ForeignReplay::new(&file[..], Fed::To(LEFT))
            .unwrap()
            .finish();
        assert!(report.is_sound(), "{}: {report}", row.reason);
        let told = report.fed + report.expected + report.skipped_total();
        assert_eq!(report.frames, told, "{}: {report}", row.reason);
        if ANYWHERE.contains(&row.reason) {
            assert_eq!(report.drops.get(row.reason), 1, "{}: {report}", row.reason);
        }
        // What an end can never have been sent is not made up for it.
        assert!(report.made_up.bytes < 10_000, "{}: {report}", row.reason);
    }
}

/// The README says of each how it was made, and there is no file besides.
#[test]
fn captures_of_drops_are_explained() {
    let readme = fs::read_to_string(folder().join("../README.md")).unwrap();
    let mut files = BTreeSet::new();
    for row in ROWS {
        let file = match row.shown {
            Never => "none".to_owned(),
            _ => format!("`drops/{}.pcap`", row.reason),
        };
        let line = format!("| `{}` | {file} | {} |", row.reason, row.how);
        assert!(readme.lines().any(|it| it == line), "lacks: {line}");
        files.insert(format!("{}.pcap", row.reason));
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(files.contains(&name), "{name}");
    }
}
