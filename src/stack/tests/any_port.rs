//! A UDP socket that takes every port of every address, and answers from each.

use super::*;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn rig() -> Rig {
    let mut rig = Rig::with(|config| config.accept_foreign(true));
    rig.introduce();
    rig
}

fn bind(rig: &mut Rig, local: &str) -> Result<UdpId, BindError> {
    let any = UdpOptions::new().any_port(local.ends_with(":0"));
    rig.stack.udp_bind(addr(local), any)
}

/// Who the datagram that left is from, and whom it is for.
fn ends(seen: &Seen) -> (SocketAddr, SocketAddr) {
    let (src, dst, datagram): (IpAddr, IpAddr, Vec<u8>) = if seen.kind == EtherType::IPV4 {
        let (fields, datagram) = seen.v4();
        (fields.src.into(), fields.dst.into(), datagram.to_vec())
    } else {
        let (fields, datagram) = seen.v6();
        (fields.src.into(), fields.dst.into(), datagram.to_vec())
    };
    let port = |at: usize| u16::from_be_bytes([datagram[at], datagram[at + 1]]);
    (SocketAddr::new(src, port(0)), SocketAddr::new(dst, port(2)))
}

#[test]
fn what_comes_for_any_port_is_told_and_answered_with_it() {
    let mut rig = rig();
    for (any, from, sites) in [
        (
            "0.0.0.0:0",
            "10.0.0.2:9000",
            ["192.0.2.7:53", "198.51.100.1:443", "10.0.0.1:1"],
        ),
        (
            "[::]:0",
            "[fd00::2]:9000",
            ["[2001:db8::7]:53", "[2001:db8::9]:443", "[fd00::1]:1"],
        ),
    ] {
        let id = bind(&mut rig, any).unwrap();
        for site in sites {
            rig.receive(udp_frame(from, site, b"asked"));
            let asked = rig.stack.udp_recv(id).unwrap();
            assert_eq!(SocketAddr::new(asked.to, asked.to_port), addr(site));
            assert_eq!(asked.from, addr(from));
            let (to, data) = (Some(asked.from), Bytes::from_static(b"answer"));
            let sent = rig
                .stack
                .udp_send_with(rig.now, id, to, data, None, &asked.answer());
            assert_eq!(sent, Ok(()));
            assert_eq!(ends(&rig.only()), (addr(site), addr(from)));
        }
    }
}

/// A socket of a port comes first, and is told by that port alone which it is.
#[test]
fn who_has_the_port_comes_before_who_has_every_port() {
    let mut rig = rig();
    let any = bind(&mut rig, "0.0.0.0:0").unwrap();
    let own = bind(&mut rig, "0.0.0.0:53").unwrap();
    for (site, taker) in [
        ("192.0.2.7:53", own),
        ("192.0.2.7:54", any),
        ("192.0.2.8:54", any),
    ] {
        rig.receive(udp_frame("10.0.0.2:9", site, b"x"));
        for id in [any, own] {
            assert_eq!(rig.stack.udp_recv(id).is_ok(), id == taker, "{site}");
        }
    }
    // An ephemeral port is found all the same.
    let ephemeral = UdpOptions::new();
    assert!(rig.stack.udp_bind(addr("0.0.0.0:0"), ephemeral).is_ok());
}

/// What cannot be said, and by whom.
#[test]
fn a_port_to_send_from_is_told_by_whom_it_concerns() {
    let mut rig = rig();
    let any = bind(&mut rig, "0.0.0.0:0").unwrap();
    let again = bind(&mut rig, "0.0.0.0:0");
    assert_eq!(again, Err(BindError::InUse(addr("0.0.0.0:0"))));
    let given = UdpOptions::new().any_port(true);
    let given = rig.stack.udp_bind(addr("0.0.0.0:7"), given);
    assert_eq!(given, Err(BindError::PortGiven(addr("0.0.0.0:7"))));
    let peer = addr("10.0.0.2:9");
    assert_eq!(
        rig.stack.udp_connect(any, peer),
        Err(ConnectUdpError::AnyPort)
    );
    let silent = rig.stack.udp_send_to(rig.now, any, Some(peer), b"x");
    assert_eq!(silent, Err(SendError::Port(0)));
    let own = bind(&mut rig, "0.0.0.0:53").unwrap();
    for (port, sent) in [(53, Ok(())), (54, Err(SendError::Port(54)))] {
        let data = Bytes::from_static(b"x");
        let info = SendInfo::new().port(port);
        let with = rig
            .stack
            .udp_send_with(rig.now, own, Some(peer), data, None, &info);
        assert_eq!(with, sent);
    }
    rig.drain();
    // What is queued when it is closed leaves from its port as well.
    rig.device().room = Some(0);
    let info = SendInfo::new()
        .port(4711)
        .source("192.0.2.7".parse().unwrap());
    let data = Bytes::from_static(b"x");
    let sent = rig
        .stack
        .udp_send_with(rig.now, any, Some(peer), data, None, &info);
    assert_eq!(sent, Ok(()));
    rig.stack.udp_close(any);
    rig.device().room = None;
    assert_eq!(ends(&rig.only()), (addr("192.0.2.7:4711"), peer));
}
