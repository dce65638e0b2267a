//! Labels of IPv6 flows.

use super::*;
use crate::ipv6::extension::FRAGMENT_LEN;
use crate::tcp::{Flags, TcpOptions};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Labels of all that was sent from these ports to these, in order.
fn labels(rig: &mut Rig, ends: &[(u16, u16)], len: usize) -> Vec<u32> {
    let data = Bytes::from(vec![7; len]);
    let mut all = Vec::new();
    for &(from, to) in ends {
        let local = SocketAddr::new(OURS6.into(), from);
        let to = SocketAddr::new(PEER6.into(), to);
        let id = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
        let sent = rig
            .stack
            .udp_send_chunk(rig.now, id, Some(to), data.clone());
        sent.unwrap();
        all.extend(rig.drain().iter().map(|seen| seen.v6().0.flow_label));
        rig.stack.udp_close(id);
    }
    all
}

/// Covers: IP6-30: one label for each flow, whenever it is used, of which none tells another; no label is 0.
#[test]
fn a_flow_has_one_label_and_another_flow_another() {
    let mut rig = Rig::new();
    rig.introduce();
    let ends: Vec<_> = (1..=500).map(|port| (port, 7)).collect();
    let all = labels(&mut rig, &ends, 1);
    assert_eq!(all, labels(&mut rig, &ends, 1));
    assert!(all.iter().all(|&label| label != 0 && label < 1 << 20));
    let apart: std::collections::BTreeSet<_> = all.iter().collect();
    assert!(apart.len() > 490, "{} of 500", apart.len());
    // Each of the bits is set in about half of them.
    for bit in 0..20 {
        let set = all.iter().filter(|&label| label >> bit & 1 == 1).count();
        assert!((180..320).contains(&set), "bit {bit}: {set}");
    }
    // With another key it is another.
    let mut other = Rig::configured(Config::new(Seed::from_number(2)));
    other.introduce();
    assert_ne!(labels(&mut other, &ends, 1), all);
    let mut none = Rig::configured(Config::new(Seed::from_number(1)).flow_labels(false));
    none.introduce();
    assert_eq!(labels(&mut none, &ends[..9], 1), [0; 9]);
}

/// Covers: IP6-30: fragments are of their datagram's flow.
#[test]
fn all_fragments_of_a_datagram_have_its_label() {
    let mut rig = Rig::new();
    rig.introduce();
    let whole = labels(&mut rig, &[(5, 7)], 9);
    let cut = labels(&mut rig, &[(5, 7)], 2 * (1500 - 40 - FRAGMENT_LEN));
    assert_eq!(cut, [whole[0]; 3]);
}

/// Covers: IP6-30: the segments of a connection, its SYN again and its RST too, are of one flow; what is said of ICMP is of none.
#[test]
fn all_segments_of_a_connection_have_one_label() {
    let mut rig = Rig::new();
    rig.introduce();
    let to = addr("[fd00::2]:80");
    let id = rig
        .stack
        .tcp_connect(rig.now, to, None, TcpOptions::default())
        .unwrap();
    let tcp = |rig: &mut Rig| -> Vec<u32> {
        let sent = rig.drain();
        let sent = sent.iter().filter(|seen| seen.kind == EtherType::IPV6);
        let sent = sent.map(|seen| seen.v6().0);
        let tcp = sent.filter(|fields| fields.next_header == Protocol::TCP);
        tcp.map(|fields| fields.flow_label).collect()
    };
    let first = tcp(&mut rig);
    assert_eq!(first.len(), 1);
    assert_ne!(first[0], 0);
    rig.advance(Duration::from_millis(1500));
    assert_eq!(tcp(&mut rig), first, "the SYN again");
    rig.stack.tcp_abort(rig.now, id);
    rig.drain();
    let ping = rig.stack.ping_open(PingOptions::new()).unwrap();
    rig.stack
        .ping_send(rig.now, ping, PEER6.into(), None, 1, Bytes::new())
        .unwrap();
    assert_eq!(rig.only().v6().0.flow_label, 0);
}

/// One datagram, and the label that it left with.
fn sent(rig: &mut Rig, id: UdpId, info: &SendInfo) -> u32 {
    let (to, data) = (Some(addr("[fd00::2]:7")), Bytes::from_static(b"x"));
    let sent = rig.stack.udp_send_with(rig.now, id, to, data, None, info);
    sent.unwrap();
    rig.only().v6().0.flow_label
}

/// Covers: IP6-30: who wants another label has it, of a socket or of one packet; 0 is none.
#[test]
fn a_socket_has_the_label_that_it_asks_for() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().flow_label(Some(0xfff1_2345));
    let local = addr("[fd00::1]:5");
    let id = rig.stack.udp_bind(local, options).unwrap();
    assert_eq!(rig.stack.udp_flow_label(id), Ok(Some(0x1_2345)));
    let plain = SendInfo::new();
    assert_eq!(sent(&mut rig, id, &plain), 0x1_2345);
    assert_eq!(sent(&mut rig, id, &plain.flow_label(0)), 0);
    assert_eq!(sent(&mut rig, id, &plain.flow_label(0x10_0007)), 7);
    rig.stack.udp_set_flow_label(id, None).unwrap();
    let own = sent(&mut rig, id, &plain);
    assert!(own != 0 && own != 0x1_2345, "the stack's own: {own:x}");
    assert_eq!(labels(&mut rig, &[(6, 7)], 1).len(), 1);
    rig.stack.udp_set_flow_label(id, Some(0)).unwrap();
    assert_eq!(sent(&mut rig, id, &plain), 0);
    rig.stack.udp_close(id);
    assert_eq!(rig.stack.udp_set_flow_label(id, None), Err(StaleId));
    // What is ICMP's, and what is nobody's.
    let options = PingOptions::new().flow_label(Some(9));
    let ping = rig.stack.ping_open(options).unwrap();
    let to = PEER6.into();
    let asked = |rig: &mut Rig, info: &SendInfo| {
        let sent = rig
            .stack
            .ping_send_with(rig.now, ping, to, 1, Bytes::new(), info);
        sent.unwrap();
        rig.only().v6().0.flow_label
    };
    assert_eq!(asked(&mut rig, &plain), 9);
    assert_eq!(asked(&mut rig, &plain.flow_label(8)), 8);
    let options = RawOptions::v6(Protocol(89)).flow_label(Some(3));
    let raw = rig.stack.raw_open(options).unwrap();
    for (info, label) in [(plain, 3), (plain.flow_label(2), 2)] {
        let data = Bytes::from_static(b"hello");
        let sent = rig.stack.raw_send(rig.now, raw, Some(to), data, &info);
        sent.unwrap();
        assert_eq!(rig.only().v6().0.flow_label, label);
    }
}

/// A segment from the peer, and the labels of what answers it.
fn answers(rig: &mut Rig, seq: u32, ack: u32, flags: Flags) -> Vec<(Flags, u32, u32)> {
    let (from, to) = ("[fd00::2]:9000", "[fd00::1]:80");
    rig.receive(tcp::frame(from, to, seq, ack, flags));
    said(rig)
}

/// Flags, sequence number and label of what is sent.
fn said(rig: &mut Rig) -> Vec<(Flags, u32, u32)> {
    let sent = rig.drain();
    let sent = sent.iter().map(|seen| {
        let (fields, data) = seen.v6();
        let (header, _) = crate::tcp::Header::parse(data).unwrap();
        let segment = header.fields();
        (segment.flags, segment.seq, fields.flow_label)
    });
    sent.collect()
}

/// Covers: IP6-30: all that a connection says has the label that it was given, from the SYN-ACK to the last word in TIME-WAIT.
#[test]
fn a_connection_has_the_label_that_its_listener_asks_for() {
    const LABEL: u32 = 0xa_bcde;
    let mut rig = Rig::new();
    rig.introduce();
    let options = TcpOptions::default().flow_label(Some(LABEL));
    assert_eq!(options.flow_label_setting(), Some(LABEL));
    let options = ListenOptions::new(options);
    let listener = rig.stack.tcp_listen(addr("[fd00::1]:80"), options).unwrap();
    let opened = answers(&mut rig, 1, 0, Flags::SYN);
    let &[(flags, iss, LABEL)] = &opened[..] else {
        panic!("{opened:?}")
    };
    assert_eq!(flags, Flags::SYN | Flags::ACK);
    let again = answers(&mut rig, 1, 0, Flags::SYN);
    assert_eq!(again, opened, "it comes again");
    assert_eq!(answers(&mut rig, 2, iss + 1, Flags::ACK), []);
    let id = rig.stack.tcp_accept(rig.now, listener).unwrap();
    rig.stack.tcp_write(rig.now, id, b"text").unwrap();
    assert_eq!(said(&mut rig)[0].2, LABEL);
    // Another from now on.
    let options = rig.stack.tcp_options(id).unwrap().clone();
    let options = options.flow_label(Some(5));
    rig.stack.tcp_set_options(rig.now, id, options).unwrap();
    rig.stack.tcp_close(rig.now, id);
    assert_eq!(said(&mut rig)[0].2, 5);
    let fin = Flags::FIN | Flags::ACK;
    let ended = answers(&mut rig, 2, iss + 6, fin);
    assert_eq!(ended.len(), 1, "TIME-WAIT: {ended:?}");
    assert_eq!(ended[0].2, 5);
    let last = answers(&mut rig, 2, iss + 6, fin);
    assert_eq!(last.iter().map(|said| said.2).collect::<Vec<_>>(), [5]);
}

/// Covers: IP6-30: nor is it lost where a connection whose user has left is but a record.
#[test]
fn a_connection_without_a_user_keeps_its_label() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = TcpOptions::default().flow_label(Some(9));
    let options = ListenOptions::new(options);
    let listener = rig.stack.tcp_listen(addr("[fd00::1]:80"), options).unwrap();
    let iss = answers(&mut rig, 1, 0, Flags::SYN)[0].1;
    answers(&mut rig, 2, iss + 1, Flags::ACK);
    let id = rig.stack.tcp_accept(rig.now, listener).unwrap();
    rig.stack.tcp_close(rig.now, id);
    assert_eq!(said(&mut rig)[0].2, 9);
    // FIN-WAIT-2, and TIME-WAIT after it.
    assert_eq!(answers(&mut rig, 2, iss + 2, Flags::ACK), []);
    let fin = Flags::FIN | Flags::ACK;
    for _ in 0..2 {
        let ended = answers(&mut rig, 2, iss + 2, fin);
        assert_eq!(ended.iter().map(|said| said.2).collect::<Vec<_>>(), [9]);
    }
}

/// What came with a label is told with it.
#[test]
fn the_label_of_what_came_is_told() {
    let mut rig = Rig::new();
    let bound = |rig: &mut Rig, local| rig.stack.udp_bind(addr(local), UdpOptions::new()).unwrap();
    let (four, six) = (bound(&mut rig, "0.0.0.0:7"), bound(&mut rig, "[::]:7"));
    let raw = rig.stack.raw_open(RawOptions::v6(Protocol::UDP)).unwrap();
    let mut frame = udp_frame("[fd00::2]:9", "[fd00::1]:7", b"x");
    let at = ethernet::HEADER_LEN;
    frame[at + 1..at + 4].copy_from_slice(&[0xf1, 0x23, 0x45]);
    rig.receive(frame);
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"x"));
    assert_eq!(rig.stack.udp_recv(six).unwrap().flow_label, 0x1_2345);
    assert_eq!(rig.stack.raw_recv(raw).unwrap().flow_label, 0x1_2345);
    assert_eq!(rig.stack.udp_recv(four).unwrap().flow_label, 0);
}
