//! TCP over Ethernet: what neighbour resolution does to it, and whom it never answers.

use super::*;
use crate::tcp::{Fields, Flags, Header, Options, State, TcpFailure, TcpOptions};

const REMOTE: &str = "10.0.0.2:80";

pub(super) fn segment(
    from: SocketAddr,
    to: SocketAddr,
    seq: u32,
    ack: u32,
    flags: Flags,
) -> Vec<u8> {
    let fields = Fields {
        src_port: from.port(),
        dst_port: to.port(),
        seq,
        ack,
        flags,
        window: 10_000,
        urgent: 0,
    };
    let mut bytes = [0; 60];
    let len = fields.emit(&Options::NONE, &mut bytes);
    let mut bytes = bytes[..len].to_vec();
    let pseudo = match (from.ip(), to.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::pseudo_sum(src, dst, Protocol::TCP, len),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6::pseudo_sum(src, dst, Protocol::TCP, len),
        _ => panic!("families differ"),
    };
    let sum = pseudo.bytes(&bytes).finish();
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    bytes
}

pub(super) fn frame(from: &str, to: &str, seq: u32, ack: u32, flags: Flags) -> Vec<u8> {
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let bytes = segment(from, to, seq, ack, flags);
    ip_frame(from.ip(), to.ip(), Protocol::TCP, &bytes)
}

fn connect(rig: &mut Rig, to: &str, options: TcpOptions) -> TcpId {
    let local = Some("10.0.0.1:5000".parse().unwrap());
    let to = to.parse().unwrap();
    rig.stack.tcp_connect(rig.now, to, local, options).unwrap()
}

fn fields(seen: &Seen) -> (Fields, Vec<u8>) {
    let (header, text) = Header::parse(seen.v4().1).unwrap();
    (header.fields(), text.to_vec())
}

fn answer(rig: &mut Rig, request: &Seen, mac: MacAddr) {
    rig.receive(arp_frame(&request.arp().reply(mac)));
}

/// An established connection to a neighbour that is known.
fn established(rig: &mut Rig) -> (TcpId, u32) {
    rig.introduce();
    let id = connect(rig, REMOTE, TcpOptions::default());
    let iss = fields(&rig.only()).0.seq;
    let flags = Flags::SYN | Flags::ACK;
    rig.receive(frame(REMOTE, "10.0.0.1:5000", 900, iss + 1, flags));
    assert_eq!(fields(&rig.only()).0.ack, 901);
    (id, iss + 1)
}

fn state(rig: &Rig, id: TcpId) -> State {
    rig.stack.tcp_info(id).unwrap().state
}

/// Our SYN waits for the neighbour when the peer's comes: nothing underflows, one SYN-ACK leaves.
#[test]
fn r02_a_syn_held_back_by_resolution_and_a_bare_syn() {
    for size in [0, 1, 65_535, 1 << 20] {
        let mut rig = Rig::new();
        let options = TcpOptions::default()
            .recv_buffer_initial(size)
            .recv_buffer_max(size);
        let id = connect(&mut rig, REMOTE, options);
        let request = rig.only();
        rig.receive(frame(REMOTE, "10.0.0.1:5000", 900, 0, Flags::SYN));
        assert!(rig.drain().is_empty(), "still nobody knows the way");
        assert_eq!(state(&rig, id), State::SynRcvd);
        answer(&mut rig, &request, PEER_MAC);
        let (syn_ack, _) = fields(&rig.only());
        assert_eq!((syn_ack.flags, syn_ack.ack), (Flags::SYN | Flags::ACK, 901));
        // A limit of 0 counts as one byte.
        assert_eq!(usize::from(syn_ack.window), size.clamp(1, 65_535));
        let ack = syn_ack.seq + 1;
        rig.receive(frame(REMOTE, "10.0.0.1:5000", 901, ack, Flags::ACK));
        assert_eq!(state(&rig, id), State::Established);
        rig.stack.tcp_write(rig.now, id, b"text").unwrap();
        let (first, text) = fields(&rig.only());
        assert_eq!((first.seq, &text[..]), (ack, &b"text"[..]));
    }
}

/// The neighbour goes, its entry with it, and comes back: nothing is lost, no timer stands still.
#[test]
fn r29_a_neighbour_that_goes_and_comes_back() {
    let mut rig = Rig::new();
    let (id, una) = established(&mut rig);
    rig.stack.tcp_write(rig.now, id, b"hello").unwrap();
    // Retransmissions and probes to a station that is not there, then ARP for it.
    rig.advance(Duration::from_secs(80));
    assert_eq!(state(&rig, id), State::Established);
    let entry = rig.stack.net.neighbours.state((rig.on, PEER.into()));
    assert_eq!(entry, None);
    rig.drain();
    rig.stack.tcp_write(rig.now, id, b", world").unwrap();
    let mut text = Vec::new();
    for _ in 0..200 {
        for seen in rig.drain() {
            if seen.kind == EtherType::ARP {
                answer(&mut rig, &seen, PEER_MAC);
            } else {
                let (fields, bytes) = fields(&seen);
                let at = fields.seq.wrapping_sub(una) as usize;
                text.truncate(at);
                text.extend_from_slice(&bytes);
                let ack = una + text.len() as u32;
                rig.receive(frame(REMOTE, "10.0.0.1:5000", 901, ack, Flags::ACK));
            }
        }
        rig.advance(Duration::from_secs(1));
    }
    assert_eq!(text, b"hello, world");
    assert_eq!(rig.stack.tcp_info(id).unwrap().in_flight, 0);
}

/// r60 for connections: one dead neighbour holds up no other, and its own is told.
#[test]
fn r60_a_connection_to_a_dead_neighbour_blocks_no_other() {
    let mut rig = Rig::new();
    rig.introduce();
    let dead = connect(&mut rig, "10.0.0.99:80", TcpOptions::default());
    let late = connect(&mut rig, "10.0.0.98:80", TcpOptions::default());
    let requests = rig.drain();
    assert_eq!(requests.len(), 2);
    let alive = connect(&mut rig, REMOTE, TcpOptions::default());
    let syn = rig.only();
    assert_eq!((syn.dst, fields(&syn).0.flags), (PEER_MAC, Flags::SYN));
    let of_late = requests
        .iter()
        .find(|r| r.arp().target == Ipv4Addr::new(10, 0, 0, 98));
    answer(&mut rig, of_late.unwrap(), OTHER_MAC);
    let syn = rig.only();
    assert_eq!((syn.dst, fields(&syn).0.flags), (OTHER_MAC, Flags::SYN));
    rig.advance(Duration::from_secs(4));
    let failure = |id| rig.stack.tcp_failure(id).unwrap();
    assert_eq!(failure(dead), Some(TcpFailure::HostUnreachable));
    assert_eq!((failure(late), failure(alive)), (None, None));
}

/// Covers: TCP-55, IP4-6, ADR-1, ADR-4 (MUST-55, MUST-57; r49)
#[test]
fn r49_syns_from_and_to_whom_no_connection_can_be_with() {
    let mut rig = Rig::new();
    for at in ["0.0.0.0:80", "[::]:80"] {
        let options = ListenOptions::default();
        rig.stack.tcp_listen(at.parse().unwrap(), options).unwrap();
    }
    rig.introduce();
    let ours = ["10.0.0.1:80", "[fd00::1]:80"];
    for (from, to) in ["10.0.0.2:9", "[fd00::2]:9"].into_iter().zip(ours) {
        rig.receive(frame(from, to, 1, 0, Flags::SYN));
        assert_eq!(rig.drain().len(), 1, "an honest one is answered");
    }
    let honest = rig.stack.tcp_open_count();
    #[rustfmt::skip]
    let pairs = [
        ("0.0.0.0:9", ours[0]), ("127.0.0.1:9", ours[0]), ("224.0.0.1:9", ours[0]),
        ("255.255.255.255:9", ours[0]), ("10.0.0.255:9", ours[0]), ("10.0.0.0:9", ours[0]),
        ("10.0.0.1:9", ours[0]), ("10.0.0.1:80", ours[0]),
        ("[::]:9", ours[1]), ("[::1]:9", ours[1]), ("[ff02::1]:9", ours[1]),
        ("[fd00::1]:9", ours[1]), ("[fd00::1]:80", ours[1]), ("[::ffff:10.0.0.2]:9", ours[1]),
        ("10.0.0.2:9", "255.255.255.255:80"), ("10.0.0.2:9", "10.0.0.255:80"),
        ("10.0.0.2:9", "10.0.0.0:80"), ("10.0.0.2:9", "224.0.0.1:80"),
        ("[fd00::2]:9", "[ff02::1]:80"), ("[fd00::2]:9", "[ff02::1:ff00:1]:80"),
    ];
    for (from, to) in pairs {
        for flags in [Flags::SYN, Flags::ACK, Flags::FIN] {
            let before = rig.stack.counters().drops.total();
            rig.receive(frame(from, to, 1, 1, flags));
            assert_eq!(
                rig.stack.counters().drops.total(),
                before + 1,
                "{from} {to}"
            );
            assert!(rig.drain().is_empty(), "{from} {to} {flags:?}");
        }
    }
    // To us, but everybody heard it.
    for (from, to) in ["10.0.0.2:19", "[fd00::2]:19"].into_iter().zip(ours) {
        let mut everybody = frame(from, to, 1, 0, Flags::SYN);
        everybody[..6].fill(0xff);
        rig.receive(everybody);
        assert!(rig.drain().is_empty());
    }
    assert_eq!(rig.stack.tcp_open_count(), honest);
}

/// A RST that is owed waits for its neighbour, and no longer than for its failure.
#[test]
fn a_reset_waits_for_its_neighbour_and_ends_with_it() {
    for answers in [true, false] {
        let mut rig = Rig::new();
        let (id, _) = established(&mut rig);
        // The neighbour falls silent, and is forgotten.
        rig.stack.tcp_write(rig.now, id, b"hello?").unwrap();
        rig.advance(Duration::from_secs(100));
        rig.stack.tcp_abort(rig.now, id);
        let request = rig
            .drain()
            .into_iter()
            .rfind(|seen| seen.kind == EtherType::ARP)
            .expect("the RST asks for its neighbour");
        assert_eq!(request.dst, MacAddr::BROADCAST);
        if answers {
            answer(&mut rig, &request, OTHER_MAC);
            let reset = rig.only();
            assert_eq!(reset.dst, OTHER_MAC);
            assert_eq!(fields(&reset).0.flags, Flags::RST | Flags::ACK);
        } else {
            let before = rig.drops(DropReason::NeighbourUnresolved);
            rig.advance(Duration::from_secs(4));
            let dropped = rig.drops(DropReason::NeighbourUnresolved) - before;
            assert_eq!(dropped, 1, "the RST");
            rig.drain();
        }
        rig.advance(Duration::from_secs(120));
        assert!(rig.drain().is_empty());
        assert_eq!(rig.stack.tcp_owed_resets(), 0);
        assert_eq!(rig.stack.poll_timeout(), None);
    }
}

/// The same frame with this TTL.
fn from_afar(frame: &[u8], ttl: u8) -> Vec<u8> {
    let (header, payload) = ipv4::Header::parse(&frame[ethernet::HEADER_LEN..]).unwrap();
    let mut fields = header.fields();
    fields.ttl = ttl;
    let mut packet = vec![0; 60];
    let len = fields.emit(payload.len(), &mut packet);
    packet.truncate(len);
    packet.extend_from_slice(payload);
    eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &packet)
}

/// RFC 5082 §3: who asks for 255 hops is reached by neighbours alone, as a listener and as a connection.
#[test]
fn segments_from_too_far_away_do_nothing() {
    let mut rig = Rig::new();
    rig.introduce();
    let near = TcpOptions::default().min_ttl(255);
    let at = "10.0.0.1:80".parse().unwrap();
    let options = ListenOptions::new(near.clone());
    let listener = rig.stack.tcp_listen(at, options).unwrap();
    let peer = "10.0.0.2:4000";
    let syn = frame(peer, "10.0.0.1:80", 900, 0, Flags::SYN);
    rig.receive(from_afar(&syn, 254));
    assert!(rig.drain().is_empty());
    rig.receive(from_afar(&syn, 255));
    let (answer, _) = fields(&rig.only());
    let ack = frame(peer, "10.0.0.1:80", 901, answer.seq + 1, Flags::ACK);
    rig.receive(from_afar(&ack, 254));
    assert!(rig.stack.tcp_accept(rig.now, listener).is_err());
    rig.receive(from_afar(&ack, 255));
    let id = rig.stack.tcp_accept(rig.now, listener).unwrap();
    let reset = frame(peer, "10.0.0.1:80", 901, 0, Flags::RST);
    rig.receive(from_afar(&reset, 254));
    assert_eq!(state(&rig, id), State::Established);
    assert_eq!(rig.drops(DropReason::TcpTooFar), 3);
    // As one opens it, and changed later.
    let id = connect(&mut rig, REMOTE, near);
    let iss = fields(&rig.only()).0.seq;
    let flags = Flags::SYN | Flags::ACK;
    let answer = frame(REMOTE, "10.0.0.1:5000", 900, iss + 1, flags);
    rig.receive(from_afar(&answer, 64));
    assert_eq!(state(&rig, id), State::SynSent);
    let options = TcpOptions::default().min_ttl(60);
    rig.stack.tcp_set_options(rig.now, id, options).unwrap();
    rig.receive(from_afar(&answer, 64));
    assert_eq!(state(&rig, id), State::Established);
    assert_eq!(rig.drops(DropReason::TcpTooFar), 4);
}

/// The error that says that nobody takes the port of this packet of ours, with this TTL.
fn refusal(quoted: &Seen, ttl: u8) -> Vec<u8> {
    let error = ipv4::icmp::Message::DestinationUnreachable {
        code: ipv4::icmp::UnreachableCode::PORT,
        next_hop_mtu: 0,
        quoted: &quoted.packet,
    };
    let mut body = vec![0; error.len()];
    error.emit(&mut body);
    let frame = ip_frame(PEER.into(), OURS.into(), Protocol::ICMP, &body);
    from_afar(&frame, ttl)
}

/// RFC 5082 §6.1: nor do errors, whatever hops they quote.
#[test]
fn errors_from_too_far_away_do_nothing() {
    let mut rig = Rig::new();
    rig.introduce();
    let near = TcpOptions::default().min_ttl(255).ttl(255);
    let id = connect(&mut rig, REMOTE, near.clone());
    let syn = rig.only();
    rig.receive(refusal(&syn, 254));
    assert_eq!(state(&rig, id), State::SynSent);
    rig.receive(refusal(&syn, 255));
    assert!(rig.stack.tcp_info(id).is_err() || state(&rig, id) == State::Closed);
    // Of a half-open one.
    let at = "10.0.0.1:80".parse().unwrap();
    let options = ListenOptions::new(near);
    let listener = rig.stack.tcp_listen(at, options).unwrap();
    let syn = frame("10.0.0.2:4000", "10.0.0.1:80", 900, 0, Flags::SYN);
    rig.receive(from_afar(&syn, 255));
    let answer = rig.only();
    rig.receive(refusal(&answer, 254));
    let seq = fields(&answer).0.seq + 1;
    let ack = frame("10.0.0.2:4000", "10.0.0.1:80", 901, seq, Flags::ACK);
    rig.receive(from_afar(&ack, 255));
    assert!(rig.stack.tcp_accept(rig.now, listener).is_ok());
    assert_eq!(rig.drops(DropReason::TcpTooFar), 2);
}
