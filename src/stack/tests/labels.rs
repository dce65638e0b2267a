//! Labels of IPv6 flows.

use super::*;
use crate::ipv6::extension::FRAGMENT_LEN;
use crate::tcp::TcpOptions;

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
