//! What a hostile neighbour sends: each flood, frame by frame, with right checksums.
//!
//! Shared by the bench, the kernel tier and the scenarios. *Owns* the frames and the one connection
//! that some floods need, which is opened by the rules so that its numbers are known. *Does not*
//! own a device: frames go out of [`Attacker::next`] and come into [`Attacker::heard`].

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use netloom::base::checksum::checksum;
use netloom::base::{MacAddr, Protocol};
use netloom::link::ethernet::{self, EtherType};
use netloom::tcp::{Fields, Flags, Header, Options};
use netloom::{arp, ipv4, udp};

#[path = "control.rs"]
mod control;

/// A kind of flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// SYNs from everywhere, one in eight from the link.
    Syn,
    /// ARP requests by stations that do not exist.
    Arp,
    /// The same in IPv6.
    Solicit,
    /// RSTs in the name of the live flow.
    Rst,
    /// ACKs in the name of the live flow, with numbers and timestamps at random.
    Ack,
    /// Single bytes out of order, on a connection of the attacker's.
    OneByte,
    /// Text out of order that overlaps, on a connection of the attacker's.
    Overlap,
    /// SACK blocks at random, on a connection that has much to send to the attacker.
    Sack,
    /// ICMP errors that quote the live flow.
    Icmp,
    /// Datagrams to ports that nobody listens on.
    Udp,
    /// Pieces of datagrams that never become whole.
    Fragments,
    /// Advertisements of routers that nobody knows.
    Routers,
    /// Redirects in the name of the gateway.
    Redirects,
    /// Leases that nobody asked for.
    Leases,
    /// Queries for multicast groups.
    Queries,
}

/// Whom it is against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) mac: MacAddr,
    /// Where the target listens; [`Flood::Sack`] wants a source of bytes there.
    pub(crate) listener: SocketAddrV4,
    pub(crate) v6: Ipv6Addr,
    /// The far end of the live flow.
    pub(crate) peer: SocketAddrV4,
}

/// The attacker's own station, within 10.0.0.0/8.
const MAC: MacAddr = MacAddr::new([0x02, 0xba, 0xd0, 0, 0, 1]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 66, 6, 6);
const PORT: u16 = 6666;
/// Its initial number.
const ISS: u32 = 1_000_000;
/// The window told in a SYN-ACK, all of which may be used out of order.
const WINDOW: u32 = 65_535;
/// What the target may have sent at most.
const SENT: u32 = 2 << 20;

pub(crate) struct Attacker {
    target: Target,
    random: u64,
    /// The target's initial number, once it answered.
    iss: Option<u32>,
    /// What names the last datagram in pieces, and how many pieces there were.
    piece: u64,
    turn: u64,
    frame: Vec<u8>,
}

impl Attacker {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            random: 0x9e37_79b9_7f4a_7c15,
            iss: None,
            piece: 0,
            turn: 0,
            frame: Vec::with_capacity(2048),
        }
    }

    /// Has the target taken the attacker's connection?
    pub(crate) fn is_connected(&self) -> bool {
        self.iss.is_some()
    }

    /// The SYN of the attacker's connection; to be sent again until it is connected.
    pub(crate) fn syn(&mut self) -> &[u8] {
        let mut options = Options::default();
        options.mss = Some(1460);
        options.window_scale = Some(14);
        options.sack_permitted = true;
        let fields = self.own(ISS, 0, Flags::SYN);
        self.tcp(ADDRESS, &fields, &options, &[])
    }

    /// A frame from the target; says what to answer.
    pub(crate) fn heard(&mut self, frame: &[u8]) -> Option<&[u8]> {
        let (header, packet) = ethernet::Header::parse(frame).ok()?;
        if header.ether_type() == EtherType::ARP {
            let request = arp::Packet::parse(packet).ok()?;
            let asks = request.operation == arp::Operation::REQUEST && request.target == ADDRESS;
            return asks.then(|| self.arp(request.sender_mac, &request.reply(MAC)));
        }
        if header.ether_type() != EtherType::IPV4 {
            return None;
        }
        let (ip, segment) = ipv4::Header::parse(packet).ok()?;
        if ip.dst() != ADDRESS || ip.protocol() != Protocol::TCP {
            return None;
        }
        let (tcp, _) = Header::parse(segment).ok()?;
        if !tcp.flags().contains(Flags::SYN | Flags::ACK) || tcp.dst_port() != PORT {
            return None;
        }
        self.iss = Some(tcp.seq());
        let fields = self.own(ISS + 1, tcp.seq().wrapping_add(1), Flags::ACK);
        Some(self.tcp(ADDRESS, &fields, &Options::default(), &[]))
    }

    /// The next frame of a flood.
    pub(crate) fn next(&mut self, flood: Flood) -> &[u8] {
        match flood {
            Flood::Syn => self.next_syn(),
            Flood::Arp => {
                let sender = on_link(self.random());
                let mac = self.stranger();
                let request = arp::Packet::request(mac, sender, *self.target.listener.ip());
                self.arp(MacAddr::BROADCAST, &request)
            }
            Flood::Solicit => self.next_solicitation(),
            Flood::Rst => {
                let fields = self.forged(Flags::RST);
                self.tcp(*self.target.peer.ip(), &fields, &Options::default(), &[])
            }
            Flood::Ack => {
                let fields = self.forged(Flags::ACK);
                let mut options = Options::default();
                options.timestamps = Some((low(self.random()), low(self.random())));
                self.tcp(*self.target.peer.ip(), &fields, &options, &[])
            }
            Flood::OneByte => {
                let at = 2 + 2 * (low(self.random()) % (WINDOW / 2 - 2));
                self.out_of_order(at, 1)
            }
            Flood::Overlap => {
                let len = 1 + low(self.random()) % 1400;
                let at = 1 + low(self.random()) % (WINDOW - len - 1);
                self.out_of_order(at, len)
            }
            Flood::Sack => self.next_sack(),
            Flood::Icmp => self.next_icmp(),
            Flood::Udp => self.next_datagram(),
            Flood::Fragments => self.next_fragment(),
            Flood::Routers => self.next_advertisement(),
            Flood::Redirects => self.next_redirect(),
            Flood::Leases => self.next_lease(),
            Flood::Queries => self.next_query(),
        }
    }

    fn next_syn(&mut self) -> &[u8] {
        let word = self.random();
        let src = if word.is_multiple_of(8) {
            on_link(word)
        } else {
            // Neither 10.0.0.0/8 nor anything that cannot send.
            Ipv4Addr::from(0x0b00_0000 + low(word >> 8) % 0x7000_0000)
        };
        let mut fields = self.own(low(word >> 32), 0, Flags::SYN);
        fields.src_port = low(word >> 16) as u16 | 1024;
        let mut options = Options::default();
        options.mss = Some(1460);
        options.sack_permitted = true;
        options.window_scale = Some(7);
        options.timestamps = Some((low(word), 0));
        self.tcp(src, &fields, &options, &[])
    }

    fn next_solicitation(&mut self) -> &[u8] {
        let word = self.random();
        let mac = self.stranger();
        let target = self.target.v6;
        let mut bytes = target.octets();
        bytes[8..].copy_from_slice(&(word | 0x1000).to_be_bytes());
        let src = Ipv6Addr::from(bytes);
        let [.., a, b, c] = target.octets();
        let group = Ipv6Addr::new(
            0xff02,
            0,
            0,
            0,
            0,
            1,
            0xff00 | u16::from(a),
            u16::from_be_bytes([b, c]),
        );
        // RFC 4861 §4.3 with the source link-layer address option of §4.6.1.
        let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
        message.extend(target.octets());
        message.extend([1, 1]);
        message.extend(mac.octets());
        let group_mac = MacAddr::new([0x33, 0x33, 0xff, a, b, c]);
        self.icmp6((src, mac), (group, group_mac), &[], message)
    }

    fn next_sack(&mut self) -> &[u8] {
        let una = self.iss.unwrap_or(0).wrapping_add(1);
        let mut options = Options::default();
        options.sack = (0..4)
            .map(|_| {
                let left = low(self.random()) % SENT;
                let len = low(self.random()) % 20_000;
                (una.wrapping_add(left), una.wrapping_add(left + len))
            })
            .collect();
        let fields = self.own(ISS + 1, una, Flags::ACK);
        self.tcp(ADDRESS, &fields, &options, &[])
    }

    fn next_icmp(&mut self) -> &[u8] {
        let word = self.random();
        let (ours, theirs) = (self.target.listener, self.target.peer);
        // Port, host, network unreachable, prohibited; fragmentation needed; time exceeded.
        let (kind, code) = [(3, 3), (3, 1), (3, 0), (3, 13), (3, 4), (11, 0)][(word % 6) as usize];
        let mut quoted = [0; 20];
        ipv4::Fields::new(*ours.ip(), *theirs.ip(), Protocol::TCP).emit(1000, &mut quoted);
        let mut message = vec![kind, code, 0, 0, 0, 0, 0, 68];
        message.extend(quoted);
        message.extend(ours.port().to_be_bytes());
        message.extend(theirs.port().to_be_bytes());
        message.extend(low(word >> 32).to_be_bytes());
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ip(
            Ipv4Addr::from(0x0b00_0000 | low(word >> 40)),
            Protocol::ICMP,
            &message,
        )
    }

    fn next_datagram(&mut self) -> &[u8] {
        let word = self.random();
        let src = on_link(word);
        let dst = *self.target.listener.ip();
        let mut datagram = vec![0; 8];
        let mut fields = udp::Fields::default();
        fields.src_port = 7777;
        fields.dst_port = low(word >> 16) as u16 | 1;
        fields.emit(18, &mut datagram);
        datagram.extend([0x5a; 18]);
        let sum = ipv4::pseudo_sum(src, dst, Protocol::UDP, datagram.len())
            .bytes(&datagram)
            .finish();
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        self.ip(src, Protocol::UDP, &datagram)
    }

    /// Text of the attacker's connection, `at` bytes beyond the first, which is never sent.
    fn out_of_order(&mut self, at: u32, len: u32) -> &[u8] {
        let ack = self.iss.unwrap_or(0).wrapping_add(1);
        let fields = self.own(ISS + 1 + at, ack, Flags::ACK);
        let text: Vec<u8> = (at..at + len).map(|n| (n % 251) as u8).collect();
        self.tcp(ADDRESS, &fields, &Options::default(), &text)
    }

    /// The header of a segment of the attacker's connection.
    fn own(&self, seq: u32, ack: u32, flags: Flags) -> Fields {
        let mut fields = Fields::default();
        fields.src_port = PORT;
        fields.dst_port = self.target.listener.port();
        (fields.seq, fields.ack, fields.flags) = (seq, ack, flags);
        fields.window = u16::MAX;
        fields
    }

    /// The header of a segment in the name of the live flow.
    fn forged(&mut self, flags: Flags) -> Fields {
        let (seq, ack) = (low(self.random()), low(self.random()));
        let mut fields = self.own(seq, ack, flags);
        fields.src_port = self.target.peer.port();
        fields
    }

    // --- the layers -----------------------------------------------------------------------

    fn tcp(&mut self, src: Ipv4Addr, fields: &Fields, options: &Options, text: &[u8]) -> &[u8] {
        let mut segment = [0; 60 + 1460];
        let header = fields.emit(options, &mut segment);
        let len = header + text.len();
        segment[header..len].copy_from_slice(text);
        let dst = *self.target.listener.ip();
        let sum = ipv4::pseudo_sum(src, dst, Protocol::TCP, len)
            .bytes(&segment[..len])
            .finish();
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        self.ip(src, Protocol::TCP, &segment[..len])
    }

    fn ip(&mut self, src: Ipv4Addr, protocol: Protocol, payload: &[u8]) -> &[u8] {
        self.start(self.target.mac, MAC, EtherType::IPV4);
        let mut head = [0; 20];
        ipv4::Fields::new(src, *self.target.listener.ip(), protocol).emit(payload.len(), &mut head);
        self.frame.extend(head);
        self.frame.extend(payload);
        &self.frame
    }

    fn arp(&mut self, to: MacAddr, packet: &arp::Packet) -> &[u8] {
        self.start(to, packet.sender_mac, EtherType::ARP);
        let mut bytes = [0; arp::PACKET_LEN];
        packet.emit(&mut bytes);
        self.frame.extend(bytes);
        &self.frame
    }

    fn start(&mut self, dst: MacAddr, src: MacAddr, ether_type: EtherType) {
        self.frame.clear();
        self.frame.resize(ethernet::HEADER_LEN, 0);
        ethernet::Fields::new(dst, src, ether_type).emit(&mut self.frame);
    }

    fn stranger(&mut self) -> MacAddr {
        let [a, b, c, d, e, ..] = self.random().to_le_bytes();
        MacAddr::new([0x02, a, b, c, d, e])
    }

    /// Marsaglia's xorshift.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// An address in 10.128.0.0/9, where nobody is.
fn on_link(word: u64) -> Ipv4Addr {
    Ipv4Addr::from(0x0a80_0000 | (low(word >> 24) & 0x007f_ffff) | 1)
}

fn low(word: u64) -> u32 {
    word as u32
}
