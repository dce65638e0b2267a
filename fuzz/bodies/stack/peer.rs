//! The wire beside the stack's target: it checks every frame that leaves, remembers each flow, and
//! makes the frames that go back.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use netloom::base::{Protocol, checksum};
use netloom::bytes::Bytes;
use netloom::decode::{Decoder, Link};
use netloom::device::{
    Capabilities, DeviceDrop, DeviceError, Medium, Receive, RxBatch, Sent, Transmit,
};
use netloom::dhcp::{CLIENT_PORT, Message, SERVER_PORT};
use netloom::ipv6::ndp;
use netloom::link::{EtherType, RxChecksum, RxFrame, RxMeta, TxFrame, ethernet};
use netloom::{Instant, MacAddr, arp, ipv4, ipv6, tcp, udp};

use super::super::wire::{self, ACK, PEER, SYN, URG};

/// Both streams repeat themselves after this, longer than any text.
const PERIOD: usize = 1 << 16;

static STREAM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let byte = |at: usize| {
        u32::try_from(at % PERIOD)
            .expect("small")
            .wrapping_mul(0x9e37_79b9)
    };
    (0..2 * PERIOD)
        .map(|at| byte(at).to_be_bytes()[0])
        .collect()
});

/// The peer's stream from this sequence number on.
pub fn inbound(seq: u32, len: usize) -> &'static [u8] {
    let at = usize::try_from(seq).expect("32 bits") % PERIOD;
    &STREAM[at..at + len]
}

/// The stack's stream from this offset on.
pub fn outbound(offset: u64, len: usize) -> &'static [u8] {
    let at = usize::try_from(offset).expect("64 bits") % PERIOD;
    &STREAM[at..at + len]
}

/// A TCP flow as it looks from the wire.
#[derive(Clone, Debug)]
pub struct Flow {
    pub on: usize,
    pub ours: SocketAddr,
    pub theirs: SocketAddr,
    /// The first number that the stack chose.
    pub iss: Option<u32>,
    /// The number after the last segment that the stack sent.
    pub next_seq: u32,
    /// What the stack acknowledged last.
    pub ack: u32,
    /// The clock value that it sent last.
    pub clock: u32,
    /// Did it agree to timestamps?
    pub timestamps: bool,
    /// The first numbers that the peer sent.
    pub isns: Vec<u32>,
    /// Bytes that the stack's user wrote.
    pub written: u64,
}

/// The far side of all interfaces.
pub struct Peer {
    pub capabilities: Vec<Capabilities>,
    /// Which of them are VLANs of the first, and which are there still.
    pub vlans: Vec<Option<u16>>,
    pub there: Vec<bool>,
    /// The last fast-open cookie that the stack gave.
    pub cookie: Option<Vec<u8>>,
    /// Frames with a tag.
    pub tagged: u64,
    pub flows: Vec<Flow>,
    /// What the stack has not received yet, by the interface that it goes to.
    pub coming: Vec<VecDeque<RxFrame>>,
    /// What has come of a datagram in fragments, headers of the first and all, by interface.
    open: Vec<Vec<u8>>,
    pub answering: bool,
    /// The last message of a DHCP client.
    pub dhcp: Option<Vec<u8>>,
    /// The frames that the stack sent last, from IP on.
    pub last: Vec<(usize, Vec<u8>)>,
    /// Does the stack pass packets on that are not its own?
    passes: bool,
    /// Was the stack given a packet whose checksum may be wrong? What a NAT passes on keeps the fault, which is for its receiver to find
    /// (RFC 1624: the sum is changed by what changed), and looks like the stack's own.
    pub damaged: bool,
    /// How many frames are to be refused or dropped next.
    pub full: u8,
    pub dropping: u8,
    pub sent: u64,
    /// Frames that were put on their way to the stack.
    pub fed: u64,
    pub digest: u64,
    traced: bool,
}

impl Peer {
    pub fn new(capabilities: Vec<Capabilities>, passes: bool) -> Self {
        Self {
            vlans: vec![None; capabilities.len()],
            there: vec![true; capabilities.len()],
            cookie: None,
            tagged: 0,
            coming: vec![VecDeque::new(); capabilities.len()],
            open: vec![vec![]; capabilities.len()],
            capabilities,
            flows: vec![],
            answering: true,
            dhcp: None,
            last: vec![],
            passes,
            damaged: false,
            full: 0,
            dropping: 0,
            sent: 0,
            fed: 0,
            digest: 0,
            traced: std::env::var_os("NETLOOM_TRACE").is_some(),
        }
    }

    /// The stack has one more device, or a VLAN over the first.
    pub fn add(&mut self, capabilities: Capabilities, vlan: Option<u16>) {
        self.capabilities.push(capabilities);
        self.vlans.push(vlan);
        self.there.push(true);
        self.coming.push(VecDeque::new());
        self.open.push(vec![]);
    }

    /// One has gone, and those over it; was it there?
    pub fn remove(&mut self, which: usize) -> bool {
        let was = self.there[which];
        self.there[which] = false;
        if which == 0 {
            for (vlan, there) in self.vlans.iter().zip(&mut self.there) {
                *there &= vlan.is_none();
            }
        }
        was
    }

    /// Is it a device, and there?
    pub fn has_port(&self, which: usize) -> bool {
        self.there[which] && self.vlans[which].is_none()
    }

    pub fn trace(&self, line: impl FnOnce() -> String) {
        if self.traced {
            println!("{}", line());
        }
    }

    pub fn trace_frame(&self, on: usize, way: &str, frame: &[u8]) {
        self.trace(|| {
            let link = match self.capabilities[on].medium {
                Medium::Ethernet => Link::Ethernet,
                Medium::Ip => Link::Ip,
            };
            let line = Decoder::new(link).line(frame, frame.len(), RxChecksum::Verified);
            format!("  {way} {on}: {line}")
        });
    }

    /// The flow between these, the latest that was begun.
    pub fn flow(&mut self, on: usize, ours: SocketAddr, theirs: SocketAddr) -> &mut Flow {
        let known = |flow: &Flow| flow.ours == ours && flow.theirs == theirs;
        let place = self.flows.iter().position(known).unwrap_or_else(|| {
            self.flows.push(Flow {
                on,
                ours,
                theirs,
                iss: None,
                next_seq: 0,
                ack: 0,
                clock: 0,
                timestamps: false,
                isns: vec![],
                written: 0,
            });
            self.flows.len() - 1
        });
        &mut self.flows[place]
    }

    /// A connection begins between these: whatever was there is over.
    pub fn begin(&mut self, on: usize, ours: SocketAddr, theirs: SocketAddr) {
        self.flows
            .retain(|flow| flow.ours != ours || flow.theirs != theirs);
        self.flow(on, ours, theirs);
    }

    fn on_frame(&mut self, mut on: usize, now: Instant, frame: &TxFrame<'_>) {
        let capabilities = self.capabilities[on];
        assert!(capabilities.take(frame), "{:?}", frame.meta);
        let whole = frame.to_vec();
        let mut hasher = DefaultHasher::new();
        (self.digest, &whole).hash(&mut hasher);
        self.digest = hasher.finish();
        self.trace_frame(on, "out", &whole);
        let mut at = 0;
        if capabilities.medium == Medium::Ethernet {
            let (header, _) = ethernet::Header::parse(&whole).expect("a whole header");
            at = header.len();
            if let Some(tag) = header.tag() {
                let of = |(vlan, there): (&Option<u16>, &bool)| *there && *vlan == Some(tag.id());
                let mut all = self.vlans.iter().zip(&self.there);
                on = all.position(of).expect("a vlan that is there");
                self.tagged += 1;
            }
            if header.ether_type() == EtherType::ARP {
                let packet = arp::Packet::parse(&whole[at..]).expect("a whole packet");
                self.on_arp(on, now, &packet);
                return;
            }
            if header.ether_type() == super::packets::SPOKEN {
                // Whatever a user made.
                assert_eq!(frame.meta.checksum, None);
                return;
            }
        }
        let partial = frame.meta.checksum.map(|partial| {
            let start = usize::from(partial.start) - at;
            (start, usize::from(partial.offset))
        });
        self.on_packet(on, now, &whole[at..], partial);
        if self.last.len() == 4 {
            self.last.remove(0);
        }
        self.last.push((on, whole[at..].to_vec()));
    }

    fn answer(&mut self, on: usize, now: Instant, frame: Vec<u8>) {
        self.send(on, frame, RxMeta::new(now));
    }

    /// Puts a frame on its way to the stack.
    pub fn send(&mut self, on: usize, frame: Vec<u8>, meta: RxMeta) {
        if !self.there[on] {
            return;
        }
        let (on, frame) = match self.vlans[on] {
            Some(vlan) if frame.len() >= 12 => {
                let (addresses, rest) = frame.split_at(12);
                let tag = [&[0x81, 0][..], &vlan.to_be_bytes()].concat();
                (0, [addresses, &tag, rest].concat())
            }
            Some(_) => (0, frame),
            None => (on, frame),
        };
        self.trace_frame(on, "in", &frame);
        self.coming[on].push_back(RxFrame::new(Bytes::from(frame), meta));
        self.fed += 1;
    }

    fn on_arp(&mut self, on: usize, now: Instant, packet: &arp::Packet) {
        let asked = packet.operation == arp::Operation::REQUEST && packet.sender != packet.target;
        if self.answering && asked && self.coming[on].len() < 32 && !packet.is_probe() {
            let mut body = [0; arp::PACKET_LEN];
            packet.reply(MacAddr::new(PEER)).emit(&mut body);
            self.answer(on, now, wire::ethernet(0x0806, &body));
        }
    }

    fn on_packet(
        &mut self,
        on: usize,
        now: Instant,
        packet: &[u8],
        partial: Option<(usize, usize)>,
    ) {
        if self.passes && super::transit::is_of_others(packet) {
            return;
        }
        let together;
        let packet = match self.piece(on, packet) {
            None => packet,
            Some(None) => return,
            Some(Some(whole)) => {
                together = whole;
                &together[..]
            }
        };
        let (src, dst, protocol, body, pseudo): (IpAddr, IpAddr, _, _, _);
        if packet[0] >> 4 == 4 {
            let (header, rest) = ipv4::Header::parse(packet).expect("a sound header");
            assert_eq!(header.total_len(), packet.len());
            (src, dst) = (header.src().into(), header.dst().into());
            (protocol, body) = (header.protocol(), rest);
            if header.is_fragment() {
                check_fragment(header.more_fragments(), rest, partial);
                return;
            }
            let sum = ipv4::pseudo_sum(header.src(), header.dst(), protocol, rest.len());
            let alone = matches!(protocol, Protocol::ICMP | Protocol::IGMP);
            pseudo = (!alone).then_some(sum);
        } else {
            let (header, mut rest) = ipv6::Header::parse(packet).expect("a sound header");
            assert_eq!(header.total_len(), packet.len());
            (src, dst) = (header.src().into(), header.dst().into());
            let mut next = header.next_header();
            if next == Protocol::HOP_BY_HOP {
                // What is told of groups, and nothing else.
                assert_eq!(rest[..8], ipv6::mld::HOP_BY_HOP);
                (next, rest) = (Protocol::ICMPV6, &rest[8..]);
                assert!(ipv6::mld::Message::parse(rest).is_ok());
            }
            (protocol, body) = (next, rest);
            if protocol == Protocol::FRAGMENT {
                check_fragment(rest[3] & 1 == 1, &rest[8..], partial);
                return;
            }
            let sum = ipv6::pseudo_sum(header.src(), header.dst(), protocol, rest.len());
            pseudo = Some(sum);
            if let Ok(ipv6::icmp::Message::Ndp(message)) =
                ipv6::icmp::Message::parse(body, header.src(), header.dst())
            {
                assert_eq!(message.check(&header), Ok(()));
                self.on_ndp(on, now, &header, &message);
            }
        }
        if protocol == super::raw::SPOKEN {
            // Whatever a user made.
            assert_eq!(partial, None);
            return;
        }
        let base = pseudo.unwrap_or_default();
        match partial {
            None => {
                let kept = self.passes && self.damaged;
                assert!(kept || base.bytes(body).is_valid(), "{protocol} {body:?}");
            }
            Some((start, offset)) => {
                assert_eq!(start, packet.len() - body.len());
                assert_eq!(offset, if protocol == Protocol::TCP { 16 } else { 6 });
                let field = [body[offset], body[offset + 1]];
                assert_eq!(base.partial().to_be_bytes(), field);
            }
        }
        if protocol == Protocol::TCP {
            self.on_segment(on, src, dst, body);
        } else if protocol == Protocol::UDP {
            let (header, data) = udp::Header::parse(body).expect("a sound datagram");
            if (header.src_port(), header.dst_port()) == (CLIENT_PORT, SERVER_PORT)
                && Message::parse(data).is_ok()
            {
                self.dhcp = Some(data.to_vec());
            }
        }
    }

    /// A fragment, if it is one, and the packet that it completes, if it does. The fragments of a datagram come one behind the
    /// other: nothing else gets between them.
    fn piece(&mut self, on: usize, packet: &[u8]) -> Option<Option<Vec<u8>>> {
        let open = &mut self.open[on];
        let v4 = packet[0] >> 4 == 4;
        let (offset, more, start);
        if v4 {
            let (header, _) = ipv4::Header::parse(packet).expect("a sound header");
            (offset, more) = (header.fragment_offset(), header.more_fragments());
            start = 20;
        } else if packet[6] == 44 {
            let word = u16::from_be_bytes([packet[42], packet[43]]);
            (offset, more) = (usize::from(word & !7), word & 1 == 1);
            start = 48;
        } else {
            (offset, more, start) = (0, false, 40);
        }
        if offset == 0 && !more {
            open.clear();
            return None;
        }
        let data = &packet[start..];
        assert!(!more || data.len().is_multiple_of(8));
        if offset == 0 {
            open.clear();
            open.extend(&packet[..start]);
        }
        assert_eq!(open.len(), start + offset, "no gap, no overlap");
        let id = if v4 { 4..6 } else { 44..48 };
        assert_eq!(open[id.clone()], packet[id]);
        open.extend(data);
        if more {
            return Some(None);
        }
        let mut whole = core::mem::take(open);
        if !v4 {
            whole[6] = whole[40];
            whole.drain(40..48);
        }
        let len = whole.len() - if v4 { 0 } else { 40 };
        let at = if v4 { 2 } else { 4 };
        let len = u16::try_from(len).expect("64 KiB at most");
        whole[at..at + 2].copy_from_slice(&len.to_be_bytes());
        if v4 {
            whole[6..8].fill(0);
            whole[10..12].fill(0);
            let sum = wire::checksum(&[&whole[..20]]);
            whole[10..12].copy_from_slice(&sum);
        }
        Some(Some(whole))
    }

    fn on_ndp(
        &mut self,
        on: usize,
        now: Instant,
        header: &ipv6::Header<'_>,
        message: &ndp::Message<'_>,
    ) {
        let ndp::Message::NeighborSolicitation { target, .. } = *message else {
            return;
        };
        if !self.answering || header.src().is_unspecified() || self.coming[on].len() >= 32 {
            return;
        }
        let flags = ndp::NeighborFlags::SOLICITED | ndp::NeighborFlags::OVERRIDE;
        let fixed = [
            &[flags.bits(), 0, 0, 0][..],
            &target.octets(),
            &[2, 1],
            &PEER,
        ]
        .concat();
        let body = [&[136, 0, 0, 0][..], &fixed].concat();
        let packet = packet(target.into(), header.src().into(), 58, body, Some(2));
        self.answer(on, now, wire::ethernet(0x86dd, &packet));
    }

    fn on_segment(&mut self, on: usize, src: IpAddr, dst: IpAddr, body: &[u8]) {
        let (header, text) = tcp::Header::parse(body).expect("a sound segment");
        let flags = header.flags();
        if flags.contains(tcp::Flags::RST) {
            return; // of a closed port, maybe: it says nothing of a flow
        }
        if self.passes && super::transit::is_of_nat(header.src_port()) {
            return;
        }
        let ours = SocketAddr::new(src, header.src_port());
        let theirs = SocketAddr::new(dst, header.dst_port());
        let seq = header.seq();
        // RFC 7413 §2.1: kind 34, of at least six bytes where it has a cookie.
        let options = header.options_bytes();
        let cookie = options.windows(2).position(|w| w[0] == 34 && w[1] >= 6);
        if let Some(at) = cookie.filter(|_| flags.contains(tcp::Flags::SYN | tcp::Flags::ACK)) {
            let len = usize::from(options[at + 1]) - 2;
            let given = options.get(at + 2..at + 2 + len);
            self.cookie = given.map(<[u8]>::to_vec);
        }
        let flow = self.flow(on, ours, theirs);
        flow.on = on;
        if flags.contains(tcp::Flags::SYN) {
            if flow.iss.is_some_and(|iss| iss != seq) {
                flow.written = 0; // another connection, accepted later
            }
            flow.iss = Some(seq);
            assert!(text.is_empty() || cookie.is_some());
        }
        if flags.contains(tcp::Flags::ACK) {
            flow.ack = header.ack();
        }
        let control =
            u32::from(flags.contains(tcp::Flags::SYN)) + u32::from(flags.contains(tcp::Flags::FIN));
        let len = u32::try_from(text.len()).expect("at most 64 KiB");
        flow.next_seq = seq.wrapping_add(len).wrapping_add(control);
        let options = tcp::Options::parse(header.options_bytes());
        flow.clock = options.timestamps.map_or(flow.clock, |(clock, _)| clock);
        if flags.contains(tcp::Flags::SYN) {
            flow.timestamps = options.timestamps.is_some();
        }
        let Some(iss) = flow.iss else { return };
        let first = seq.wrapping_add(u32::from(flags.contains(tcp::Flags::SYN)));
        let offset = u64::from(first.wrapping_sub(iss).wrapping_sub(1));
        if !text.is_empty() {
            let end = offset + u64::from(len);
            assert!(end <= flow.written, "{end} bytes of {} sent", flow.written);
            assert!(text == outbound(offset, text.len()), "sent at {offset}");
        }
    }
}

/// One interface's side of the peer: both halves of its device.
#[derive(Clone, Copy)]
pub struct Side<'a, 'b> {
    pub peer: &'a RefCell<&'b mut Peer>,
    pub on: usize,
}

impl Receive for Side<'_, '_> {
    fn receive(&mut self, _: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let coming = &mut self.peer.borrow_mut().coming[self.on];
        let count = coming.len().min(batch.room());
        coming.drain(..count).for_each(|frame| batch.push(frame));
        Ok(count)
    }
}

impl Transmit for Side<'_, '_> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let mut peer = self.peer.borrow_mut();
        if peer.full > 0 {
            peer.full -= 1;
            return Ok(Sent::Full);
        }
        peer.on_frame(self.on, now, frame);
        if peer.dropping > 0 {
            peer.dropping -= 1;
            return Ok(Sent::Dropped(DeviceDrop::NoBuffers));
        }
        peer.sent += 1;
        Ok(Sent::Taken)
    }
}

/// An IP packet between these, its checksum at `field` of the body.
pub fn packet(
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    body: Vec<u8>,
    field: Option<usize>,
) -> Vec<u8> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let (src, dst) = (src.octets(), dst.octets());
            let body = match field {
                Some(at) if protocol == 1 => wire::put_checksum(body, at),
                Some(at) => wire::summed(body, at, &[&src, &dst], protocol),
                None => body,
            };
            wire::v4(protocol, &body, &src, &dst)
        }
        (src, dst) => {
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            let (src, dst) = (octets(src), octets(dst));
            let body = match field {
                Some(at) => wire::summed(body, at, &[&src, &dst], protocol),
                None => body,
            };
            wire::v6(protocol, &body, &src, &dst)
        }
    }
}

/// A packet in fragments of so many bytes of payload.
pub fn fragments(packet: &[u8], id: u8, size: usize) -> Vec<Vec<u8>> {
    let v4 = packet[0] >> 4 == 4;
    let (header, body) = packet.split_at(if v4 { 20 } else { 40 });
    let count = body.len().div_ceil(size);
    let chunks = body.chunks(size).enumerate();
    let one = |(nth, data): (usize, &[u8])| {
        let more = u16::from(nth + 1 < count);
        let offset = u16::try_from(nth * size).expect("64 KiB at most");
        let mut header = header.to_vec();
        if v4 {
            let len = u16::try_from(20 + data.len()).expect("64 KiB at most");
            header[2..4].copy_from_slice(&len.to_be_bytes());
            header[5] = id;
            header[6..8].copy_from_slice(&((more << 13) | (offset / 8)).to_be_bytes());
            header[10..12].fill(0);
            return [wire::put_checksum(header, 10), data.to_vec()].concat();
        }
        let len = u16::try_from(8 + data.len()).expect("64 KiB at most");
        header[4..6].copy_from_slice(&len.to_be_bytes());
        let next = core::mem::replace(&mut header[6], 44);
        let [a, b] = (offset | more).to_be_bytes();
        [&header[..], &[next, 0, a, b, 0, 0, 0, id], data].concat()
    };
    chunks.map(one).collect()
}

/// What the peer says in one segment.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    pub options: Vec<u8>,
    pub len: usize,
}

impl Flow {
    /// The packet with this segment from the peer; its text is what the peer's stream has there.
    pub fn packet(&mut self, segment: &Segment) -> Vec<u8> {
        if segment.flags & SYN != 0 {
            self.isns.push(segment.seq);
            if segment.flags & ACK == 0 {
                self.ack = segment.seq.wrapping_add(1);
            }
        }
        let mut options = segment.options.clone();
        options.resize(options.len().next_multiple_of(4).min(40), 0);
        let words = u8::try_from(5 + options.len() / 4).expect("at most 15");
        let first = segment
            .seq
            .wrapping_add(u32::from(segment.flags & SYN != 0));
        let text = inbound(first, segment.len);
        // With URG, its pointer.
        let urgent = match segment.flags & URG {
            0 => 0,
            _ => segment.window,
        };
        let body = [
            &self.theirs.port().to_be_bytes()[..],
            &self.ours.port().to_be_bytes(),
            &segment.seq.to_be_bytes(),
            &segment.ack.to_be_bytes(),
            &[words << 4, segment.flags],
            &segment.window.to_be_bytes(),
            &[0; 2],
            &urgent.to_be_bytes(),
            &options,
            text,
        ]
        .concat();
        packet(self.theirs.ip(), self.ours.ip(), 6, body, Some(16))
    }
}

/// A packet of the stack's that comes back: addresses and ports swapped, which no checksum notices; a
/// request as its reply.
pub fn mirrored(packet: &[u8]) -> Vec<u8> {
    let mut back = packet.to_vec();
    let (addresses, len, header) = match packet[0] >> 4 {
        4 => (12, 4, usize::from(packet[0] & 0xf) * 4),
        _ => (8, 16, 40),
    };
    let (src, dst) = back[addresses..addresses + 2 * len].split_at_mut(len);
    src.swap_with_slice(dst);
    let protocol = if len == 4 { packet[9] } else { packet[6] };
    if matches!(protocol, 6 | 17) && back.len() >= header + 4 {
        back[header..header + 4].rotate_left(2);
    }
    let reply = match (protocol, back.get(header)) {
        (1, Some(8)) => 0,
        (58, Some(128)) => 129,
        _ => return back,
    };
    let word = |at: usize| u16::from_be_bytes([back[at], back[at + 1]]);
    let (old, sum) = (word(header), word(header + 2));
    let new = old & 0xff | u16::from(reply) << 8;
    let sum = checksum::update(sum, old, new).to_be_bytes();
    back[header] = reply;
    back[header + 2..header + 4].copy_from_slice(&sum);
    back
}

/// Nothing of a fragment is a transport's: no device completes its checksum. All but the last hold units of 8.
fn check_fragment(more: bool, data: &[u8], partial: Option<(usize, usize)>) {
    assert_eq!(partial, None);
    assert!(!data.is_empty() && (!more || data.len().is_multiple_of(8)));
}
