//! Datagrams, pings and echo replies whose path is narrower than its first link.

use core::num::NonZeroU16;

use super::leaving::{check_datagram, text, together};
use super::udp::too_big;
use super::*;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A socket for both families, and where it sends to.
const TARGETS: [(bool, &str, usize); 2] = [(false, "10.0.0.2:7", 28), (true, "[fd00::2]:7", 48)];

fn bind(rig: &mut Rig, dont: DontFragment) -> UdpId {
    let options = UdpOptions::new().dual_stack(true).dont_fragment(dont);
    rig.stack.udp_bind(addr("[::]:0"), options).unwrap()
}

fn send(rig: &mut Rig, id: UdpId, to: &str, len: usize) -> Result<usize, SendError> {
    let to = Some(addr(to));
    rig.stack.udp_send_to(rig.now, id, to, &text(len))
}

/// A rig without room for what is known of narrow paths.
fn without_room() -> Rig {
    let mut rig = Rig::configured(Config::new(Seed::from_number(1)).path_mtu_limit(0));
    rig.introduce();
    rig
}

/// An echo request from `peer` over IPv6.
fn request(peer: Ipv6Addr, data: &[u8]) -> Vec<u8> {
    let (id, seq) = (7, 9);
    let ask = Icmpv6::EchoRequest { id, seq, data };
    let mut body = vec![0; ask.len()];
    ask.emit(peer, OURS6, &mut body);
    ip_frame(peer.into(), OURS6.into(), Protocol::ICMPV6, &body)
}

/// Who asks for a large echo knows all that a quote of the reply shows: what is said of it cuts replies, and teaches
/// nobody else. RFC 8201 §4, RFC 5927 §4.
///
/// Covers: PMT-8, ATK-7
#[test]
fn r62_what_is_said_of_echo_replies_narrows_no_path() {
    let mut rig = Rig::new();
    rig.introduce();
    let data = text(1452);
    for n in 1..=40 {
        let peer = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, n);
        rig.receive(solicitation(peer, PEER_MAC, OURS6));
        rig.drain();
        rig.receive(request(peer, &data));
        let sent = rig.only().packet;
        rig.receive(too_big(true, 1300, &sent[..48]));
        // What says that it is no narrower is no news.
        rig.receive(too_big(true, 1300, &sent[..48]));
        assert_eq!(rig.drops(DropReason::IcmpTooBig), u64::from(n), "{peer}");
        rig.receive(request(peer, &data));
        let frames = rig.drain();
        assert_eq!((together(&frames, 1300).len(), frames.len()), (1, 2));
        let id = bind(&mut rig, DontFragment::On);
        let to = format!("[{peer}]:7");
        assert_eq!(send(&mut rig, id, &to, 1452), Ok(1452));
        assert_eq!(rig.only().packet.len(), 1500, "whole");
    }
    let counters = rig.stack.counters();
    let lowered = (counters.path_mtu_lowered, counters.path_mtu_full);
    assert_eq!((lowered, rig.stack.net.paths.narrow()), ((0, 0), 0));
    // And for a while.
    rig.advance(Duration::from_secs(600));
    let last = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, 40);
    rig.receive(solicitation(last, PEER_MAC, OURS6));
    rig.drain();
    rig.receive(request(last, &data));
    assert_eq!(rig.only().packet.len(), 1500);
}

/// A probe that a router refuses is told what the router says, be it more than what is known of the path: to hear that it was
/// sent. RFC 4821 §9, RFC 8899 §4.6.
///
/// Covers: PMT-20, PMT-5
#[test]
fn a_probe_hears_what_its_router_says() {
    for (v6, to, headers) in TARGETS {
        let mut rig = Rig::new();
        rig.introduce();
        let quoted = headers + 8;
        let all = 1500 - headers;
        let (plain, probe) = (
            bind(&mut rig, DontFragment::Auto),
            bind(&mut rig, DontFragment::Probe),
        );
        for id in [plain, probe] {
            rig.stack.udp_connect(id, addr(to)).unwrap();
        }
        send(&mut rig, plain, to, all).unwrap();
        let first = rig.only().packet;
        rig.receive(too_big(v6, 1300, &first[..quoted]));
        let told = |rig: &mut Rig, id| rig.stack.udp_recv(id).unwrap_err();
        let fits = |mtu: usize| RecvError::TooBig { max: mtu - headers };
        assert_eq!(told(&mut rig, plain), fits(1300), "{to}");
        send(&mut rig, probe, to, all).unwrap();
        let sent = rig.only().packet;
        assert_eq!(sent.len(), 1500);
        for (says, hears) in [(1400, 1400), (1300, 1300), (1499, 1499)] {
            rig.receive(too_big(v6, says, &sent[..quoted]));
            assert_eq!(told(&mut rig, probe), fits(hears), "{to}: {says}");
        }
        // What cannot be said of it is not.
        for says in [1500, 9000] {
            rig.receive(too_big(v6, says, &sent[..quoted]));
            assert_eq!(told(&mut rig, probe), RecvError::WouldBlock, "{to}");
        }
        // Another of the first ones was on its way, and met a wider hop: it is lost, and what is known is told.
        rig.receive(too_big(v6, 1400, &first[..quoted]));
        assert_eq!(told(&mut rig, plain), fits(1300), "{to}");
        if !v6 {
            rig.receive(too_big(v6, 0, &first[..quoted]));
            assert_eq!(
                told(&mut rig, plain),
                fits(1300),
                "a router without a number"
            );
        }
        let on = bind(&mut rig, DontFragment::On);
        let (len, max) = (all, 1300 - headers);
        let refused = Err(SendError::TooBig { len, max });
        assert_eq!(send(&mut rig, on, to, all), refused, "no wider for it");
        assert_eq!(rig.stack.counters().path_mtu_lowered, 1);
    }
}

/// Where there is no room for what a router says the socket that was told heeds it alone, for as long as all would.
///
/// Covers: PMT-2, PMT-7
#[test]
fn who_is_told_of_a_path_that_is_not_remembered_heeds_it_alone() {
    use DontFragment::{Auto, Off, On};
    for (v6, to, headers) in TARGETS {
        for dont in [Auto, Off, On] {
            if (v6, dont) == (false, Off) {
                continue;
            }
            let mut rig = without_room();
            let (id, other) = (bind(&mut rig, dont), bind(&mut rig, dont));
            let all = 1500 - headers;
            send(&mut rig, id, to, all).unwrap();
            let sent = rig.only().packet;
            rig.receive(too_big(v6, 1300, &sent[..headers + 8]));
            assert_eq!(rig.stack.net.paths.narrow(), 0);
            assert_eq!(rig.stack.counters().path_mtu_full, 1);
            let (len, max) = (all, 1300 - headers);
            if dont == On {
                let refused = Err(SendError::TooBig { len, max });
                assert_eq!(send(&mut rig, id, to, all), refused, "{to}");
            } else {
                send(&mut rig, id, to, all).unwrap();
                let frames = rig.drain();
                assert_eq!(frames.len(), 2, "{to} {dont:?}");
                check_datagram(&together(&frames, 1300)[0], &text(all));
            }
            send(&mut rig, other, to, all).unwrap();
            assert_eq!(rig.only().packet.len(), 1500, "it was not told");
            rig.advance(Duration::from_secs(600));
            rig.introduce();
            send(&mut rig, id, to, all).unwrap();
            assert_eq!(rig.only().packet.len(), 1500, "{to} {dont:?}");
        }
    }
}

/// What such a socket leaves behind, and a ping.
#[test]
fn what_was_told_alone_holds_for_closed_sockets_and_pings() {
    for (v6, to, headers) in TARGETS {
        let mut rig = without_room();
        let id = bind(&mut rig, DontFragment::Auto);
        let all = 1500 - headers;
        send(&mut rig, id, to, all).unwrap();
        let sent = rig.only().packet;
        rig.receive(too_big(v6, 1300, &sent[..headers + 8]));
        rig.device().room = Some(0);
        send(&mut rig, id, to, all).unwrap();
        rig.stack.udp_close(id);
        rig.device().room = None;
        check_datagram(&together(&rig.drain(), 1300)[0], &text(all));

        let id = rig.stack.ping_open(PingOptions::new()).unwrap();
        let ping = |rig: &mut Rig| {
            let (to, data) = (addr(to).ip(), Bytes::from(text(all)));
            rig.stack.ping_send(rig.now, id, to, None, 1, data).unwrap();
            rig.drain()
        };
        let sent = ping(&mut rig).remove(0).packet;
        assert_eq!(sent.len(), 1500);
        rig.receive(too_big(v6, 1300, &sent[..headers]));
        let max = 1300 - headers;
        let told = rig.stack.ping_recv(id).unwrap().outcome;
        assert_eq!(told, PingOutcome::TooBig { max });
        let frames = ping(&mut rig);
        assert_eq!((together(&frames, 1300).len(), frames.len()), (1, 2));
    }
}

/// A device that takes super-segments of UDP.
fn offloading() -> Rig {
    let capabilities = Capabilities::full(Medium::Ethernet, 1500);
    let mut rig = Rig::with(|config| config.capabilities(&capabilities));
    rig.introduce();
    rig
}

/// Datagrams that were queued as one super-segment while their path was wide leave in fragments when it is narrow, each by
/// itself: not whole with DF, to be refused. RFC 8201 §5.2.
///
/// Covers: PMT-9
#[test]
fn a_super_segment_is_taken_apart_when_its_path_becomes_narrow() {
    for (v6, to, headers) in TARGETS {
        for closed in [false, true] {
            let mut rig = offloading();
            let one = 1500 - headers;
            let before = bind(&mut rig, DontFragment::Auto);
            send(&mut rig, before, to, one).unwrap();
            let sent = rig.only().packet;
            let options = UdpOptions::new().dual_stack(true).send_buffer(1 << 20);
            let id = rig.stack.udp_bind(addr("[::]:0"), options).unwrap();
            rig.device().room = Some(0);
            let (data, size) = (text(one * 4 + 100), NonZeroU16::new(one as u16).unwrap());
            let (to, all) = (Some(addr(to)), Bytes::from(data.clone()));
            let queued = rig.stack.udp_send_segmented(rig.now, id, to, all, size);
            assert_eq!(queued, Ok(()));
            rig.poll();
            if closed {
                rig.stack.udp_close(id);
            }
            rig.receive(too_big(v6, 1300, &sent[..headers + 8]));
            // However full the device is now and then.
            let mut frames = Vec::new();
            while rig.stack.wants_transmit(rig.on) {
                rig.device().room = Some(1);
                frames.extend(rig.drain());
            }
            let whole = together(&frames, 1300);
            assert_eq!(whole.len(), 5);
            for (piece, text) in whole.iter().zip(data.chunks(one)) {
                assert!(piece.data[8..] == *text, "{to:?}, closed: {closed}");
            }
            assert_eq!(rig.stack.memory().used, 0);
        }
    }
}
