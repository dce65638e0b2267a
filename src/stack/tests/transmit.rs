//! Draining an interface: budget, a full device, a device that drops.

use core::num::NonZeroU16;

use super::*;
use crate::link::SegmentKinds;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// r29, r37: whatever is to be sent, a device that is full at any point loses nothing.
#[test]
fn r29_full_at_any_point_loses_nothing() {
    let script = |rig: &mut Rig| {
        let id = rig
            .stack
            .udp_bind(addr("0.0.0.0:5"), UdpOptions::new())
            .unwrap();
        for n in 0..3u8 {
            rig.stack
                .udp_send_to(rig.now, id, Some(addr("10.0.0.2:7")), &[n])
                .unwrap();
            rig.stack
                .udp_send_to(rig.now, id, Some(addr("10.0.0.77:7")), &[n])
                .unwrap();
        }
        rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:99", b"closed"));
        rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
        rig.receive(solicitation(PEER6, PEER_MAC, OURS6));
    };
    let packets = |seen: Vec<Seen>| seen.into_iter().map(|s| s.packet).collect::<Vec<_>>();
    let mut free = Rig::new();
    free.introduce();
    script(&mut free);
    let expected = packets(free.drain());
    assert!(expected.len() > 6, "{}", expected.len());
    for room in 0..expected.len() {
        let mut rig = Rig::new();
        rig.introduce();
        script(&mut rig);
        rig.device().room = Some(room);
        let progress = rig.send_once();
        assert_eq!(progress.more, More::DeviceFull);
        assert!(rig.stack.wants_transmit(rig.on));
        rig.device().room = None;
        assert_eq!(packets(rig.drain()), expected, "room for {room}");
    }
}

#[test]
fn the_budget_bounds_a_turn_and_nothing_is_left_behind() {
    let config = Config::new(Seed::from_number(1)).transmit_budget(4);
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500))
        .address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(config, interface);
    let id = rig
        .stack
        .udp_bind(addr("0.0.0.0:5"), UdpOptions::new())
        .unwrap();
    for n in 0..10u8 {
        rig.stack
            .udp_send_to(rig.now, id, Some(addr("10.0.0.2:7")), &[n])
            .unwrap();
    }
    let mut turns = Vec::new();
    loop {
        let progress = rig.send_once();
        turns.push((progress.sent, progress.more));
        if progress.more == More::Idle {
            break;
        }
    }
    assert_eq!(
        turns,
        [(4, More::Budget), (4, More::Budget), (2, More::Idle)]
    );
    assert!(!rig.stack.wants_transmit(rig.on));
}

/// A turn without a frame is work too: that of a socket which is gone, or may not send yet.
#[test]
fn turns_for_nothing_are_bounded_too() {
    let config = Config::new(Seed::from_number(1)).transmit_budget(4);
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500))
        .address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(config, interface);
    let to = Some(addr("10.0.0.2:7"));
    let bind = |rig: &mut Rig| {
        let id = rig.stack.udp_bind(addr("0.0.0.0:0"), UdpOptions::new());
        id.unwrap()
    };
    let ids: Vec<_> = (0..10).map(|_| bind(&mut rig)).collect();
    for id in ids {
        rig.stack.udp_send_to(rig.now, id, to, &[0]).unwrap();
        // Its place in line stays, and its datagram leaves with those of the stack.
        rig.stack.udp_close(id);
    }
    let mut turns = Vec::new();
    while turns.last().is_none_or(|(_, more)| *more == More::Budget) {
        let progress = rig.send_once();
        turns.push((progress.sent, progress.more));
    }
    let mut expected = [(2, More::Budget); 5];
    expected[4].1 = More::Idle;
    assert_eq!(turns, expected);
}

/// UDP super-segments count too, by their frames or by their bytes; software never gets more than 64
/// datagrams in one.
#[test]
fn the_budget_counts_the_datagrams_of_a_super_segment() {
    for (software, expected) in [(true, vec![4; 4]), (false, vec![2])] {
        let full = Capabilities::full(Medium::Ip, 1500);
        let capabilities = Capabilities {
            cut_in_software: if software {
                SegmentKinds::UDP
            } else {
                SegmentKinds::empty()
            },
            ..full
        };
        let config = Config::new(Seed::from_number(1)).transmit_budget(200);
        let interface = InterfaceConfig::new(&capabilities).address("10.0.0.1/24".parse().unwrap());
        let mut rig = Rig::bare(config, interface);
        let options = UdpOptions::new().send_buffer(1 << 20);
        let id = rig.stack.udp_bind(addr("0.0.0.0:5"), options).unwrap();
        for _ in 0..2 {
            // 480 datagrams: seven super-segments of 64, and one of 32.
            let data = Bytes::from(vec![0; 48_000]);
            let size = NonZeroU16::new(100).unwrap();
            rig.stack
                .udp_send_segmented(rig.now, id, Some(addr("10.0.0.2:7")), data, size)
                .unwrap();
        }
        let mut sent = Vec::new();
        let mut more = More::Budget;
        while more == More::Budget {
            let progress = rig.send_once();
            sent.push(progress.sent);
            more = progress.more;
        }
        assert_eq!(sent, expected, "software: {software}");
        let bytes: usize = rig.device().frames.iter().map(|f| f.0.len() - 28).sum();
        assert_eq!(bytes, 96_000);
        let datagrams = rig.stack.counters().udp_datagrams_sent;
        assert_eq!(datagrams, 960);
    }
}

/// Two sockets and the stack's own packets take turns.
#[test]
fn nobody_starves() {
    let config = Config::new(Seed::from_number(1)).transmit_budget(24);
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500))
        .address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(config, interface);
    for port in [5, 6] {
        let local = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        let id = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
        for _ in 0..50 {
            rig.stack
                .udp_send_to(rig.now, id, Some(addr("10.0.0.2:7")), &[0])
                .unwrap();
        }
    }
    let ping = rig.stack.ping_open(PingOptions::new()).unwrap();
    for seq in 0..50 {
        rig.stack
            .ping_send(rig.now, ping, PEER.into(), None, seq, Bytes::new())
            .unwrap();
    }
    rig.send_once();
    let frames = core::mem::take(&mut rig.device().frames);
    let from = |port: u8| {
        frames
            .iter()
            .filter(|(f, _)| f[9] == 17 && f[21] == port)
            .count()
    };
    let pings = frames.iter().filter(|(f, _)| f[9] == 1).count();
    assert!(
        from(5) > 0 && from(6) > 0 && pings > 0,
        "{} {} {pings}",
        from(5),
        from(6)
    );
}

/// A packet of the stack's own that goes in many fragments costs as many turns as it is worth: a flood of large echo requests
/// leaves the sockets at least as many frames.
#[test]
fn what_goes_in_many_fragments_is_paid_with_turns() {
    let order = |room: usize| {
        // No turn is cut short by a budget.
        let config = Config::new(Seed::from_number(1)).transmit_budget(10_000);
        let mut rig = Rig::configured(config);
        rig.introduce();
        rig.device().room = Some(0);
        let ping = rig.stack.ping_open(PingOptions::new()).unwrap();
        for seq in 0..4 {
            let data = Bytes::from(vec![1; 60_000]);
            rig.stack
                .ping_send(rig.now, ping, PEER.into(), None, seq, data)
                .unwrap();
        }
        for port in [5, 6] {
            let local = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            let options = UdpOptions::new().send_buffer(1 << 20);
            let id = rig.stack.udp_bind(local, options).unwrap();
            for _ in 0..200 {
                rig.stack
                    .udp_send_to(rig.now, id, Some(addr("10.0.0.2:7")), &[0])
                    .unwrap();
            }
        }
        let mut kinds = Vec::new();
        while rig.stack.wants_transmit(rig.on) {
            rig.device().room = Some(room);
            kinds.extend(rig.drain().iter().map(|seen| seen.packet[9]));
        }
        kinds
    };
    let free = order(usize::MAX);
    // 41 fragments each, and six turns of eight in between.
    let runs: Vec<_> = free
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()))
        .collect();
    let pair = [(1, 41), (17, 48)];
    assert_eq!(runs[..6], [pair, pair, pair].concat(), "{runs:?}");
    for room in [1, 7, 50] {
        assert_eq!(order(room), free, "room for {room}");
    }
}

/// A device that has room for a few frames at a time changes nothing in whose turn it is: the rest of a turn is
/// what its owner has left of it, not a new one.
#[test]
fn a_full_device_gives_nobody_another_turn() {
    let order = |room: usize| {
        let mut rig = Rig::new();
        rig.introduce();
        for port in [5, 6] {
            let local = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            let id = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
            for _ in 0..30 {
                rig.stack
                    .udp_send_to(rig.now, id, Some(addr("10.0.0.2:7")), &[0])
                    .unwrap();
            }
        }
        let mut ports = Vec::new();
        while rig.stack.wants_transmit(rig.on) {
            rig.device().room = Some(room);
            ports.extend(rig.drain().iter().map(|seen| seen.packet[21]));
        }
        ports
    };
    let free = order(usize::MAX);
    assert_eq!(free.len(), 60);
    assert!(free[..8] == [5; 8] && free[8..16] == [6; 8], "{free:?}");
    for room in 1..10 {
        assert_eq!(order(room), free, "room for {room}");
    }
}

/// r66: what the device drops is counted, and the stack goes on.
#[test]
fn r66_a_device_that_drops_is_counted() {
    let rows = [
        (DeviceDrop::NoBuffers, DropReason::DeviceNoBuffers),
        (DeviceDrop::LinkDown, DropReason::DeviceLinkDown),
        (DeviceDrop::Refused, DropReason::DeviceRefused),
    ];
    for (drop, reason) in rows {
        let mut rig = Rig::new();
        rig.introduce();
        let id = rig
            .stack
            .udp_bind(addr("0.0.0.0:5"), UdpOptions::new())
            .unwrap();
        rig.device().drops = Some(drop);
        rig.stack
            .udp_send_to(rig.now, id, Some(addr("10.0.0.2:7")), b"lost")
            .unwrap();
        assert!(rig.drain().is_empty());
        assert_eq!(rig.drops(reason), 1);
        assert!(!rig.stack.wants_transmit(rig.on));
        rig.device().drops = None;
        rig.stack
            .udp_send_to(rig.now, id, Some(addr("10.0.0.2:7")), b"kept")
            .unwrap();
        assert!(rig.only().packet.ends_with(b"kept"));
    }
}

/// The stack's own answers are bounded, too.
#[test]
fn a_full_outbox_counts() {
    let mut rig = Rig::new();
    rig.introduce();
    for _ in 0..300 {
        rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    }
    // An eighth is kept for each of three other classes.
    assert_eq!(rig.drops(DropReason::OutboxFull), 300 - 160);
    assert_eq!(rig.drain().len(), 160);
}

/// In bytes as well: what waits holds 2 MiB, and as much again where neighbours answered, whatever each holds.
#[test]
fn the_outbox_is_bounded_in_bytes() {
    let mut rig = Rig::new();
    rig.introduce();
    rig.device().room = Some(0);
    let ping = rig.stack.ping_open(PingOptions::new()).unwrap();
    let mut taken = 0;
    let ask = |rig: &mut Rig, len: usize| {
        let data = Bytes::from(vec![1; len]);
        let sent = rig
            .stack
            .ping_send(rig.now, ping, PEER.into(), None, 1, data);
        sent.is_ok()
    };
    while ask(&mut rig, 60_000) {
        taken += 60_000;
    }
    assert!((1 << 20..2 << 20).contains(&taken), "{taken}");
    // What others have to say still finds room, and what is small.
    rig.receive(ping_from(PEER));
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    assert_eq!(
        rig.drops(DropReason::OutboxFull),
        1,
        "the ping that was refused"
    );
    rig.device().room = None;
    rig.drain();
    assert!(ask(&mut rig, 60_000));
}

fn ping_from(peer: Ipv4Addr) -> Vec<u8> {
    let mut echo = vec![8, 0, 0, 0, 0, 1, 0, 1];
    let sum = crate::base::checksum::checksum(&echo);
    echo[2..4].copy_from_slice(&sum.to_be_bytes());
    ip_frame(peer.into(), OURS.into(), Protocol::ICMP, &echo)
}

/// Whatever pings wait for a full device: who asks for us is answered, and whom we ask is asked.
#[test]
fn pings_do_not_silence_neighbour_discovery() {
    let mut rig = Rig::new();
    rig.introduce();
    rig.device().room = Some(0);
    for _ in 0..1000 {
        rig.receive(ping_from(PEER));
    }
    assert!(rig.drops(DropReason::OutboxFull) > 700);
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    rig.receive(solicitation(PEER6, PEER_MAC, OURS6));
    let id = rig.stack.udp_bind(addr("0.0.0.0:0"), UdpOptions::new());
    let to = Some(addr("10.0.0.9:7"));
    rig.stack
        .udp_send_to(rig.now, id.unwrap(), to, b"x")
        .unwrap();
    // Each class within its first turns, not behind all the pings.
    rig.device().room = Some(8);
    let first = rig.drain();
    let kinds = |kind| first.iter().filter(|f| f.kind == kind).count();
    assert_eq!(
        (kinds(EtherType::ARP), kinds(EtherType::IPV6)),
        (2, 1),
        "{first:?}"
    );
}

/// Resolved neighbours do not make the outbox grow while the device takes nothing.
#[test]
fn what_waited_for_neighbours_is_bounded_too() {
    let mut rig = Rig::with(|config| config.address("10.1.0.1/16".parse().unwrap()));
    let id = rig.stack.udp_bind(addr("0.0.0.0:0"), UdpOptions::new());
    let id = id.unwrap();
    for host in 0..100u8 {
        let to = SocketAddr::new(Ipv4Addr::new(10, 1, 1, host).into(), 7);
        for n in 0..8 {
            rig.stack.udp_send_to(rig.now, id, Some(to), &[n]).unwrap();
            rig.poll();
        }
    }
    let asked = rig.drain();
    rig.device().room = Some(0);
    for request in asked {
        rig.receive(arp_frame(&request.arp().reply(PEER_MAC)));
    }
    assert_eq!(rig.drops(DropReason::OutboxFull), 800 - 256);
    rig.device().room = None;
    assert_eq!(rig.drain().len(), 256);
}

/// The same inputs and the same seed give the same bytes.
#[test]
fn runs_repeat() {
    let run = || {
        let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
            .dad_delay(Duration::from_secs(1))
            .address("10.0.0.1/24".parse().unwrap());
        let mut stack = Stack::new(Config::new(Seed::from_number(3)));
        let mut now = Instant::from_millis(1);
        let on = stack.add_interface(now, interface).unwrap();
        for n in 0..20u8 {
            let id = stack
                .udp_bind(addr("0.0.0.0:0"), UdpOptions::new())
                .unwrap();
            let to = SocketAddr::new(Ipv4Addr::new(10, 0, 0, 100 + n).into(), 7);
            stack.udp_send_to(now, id, Some(to), &[n]).unwrap();
        }
        let mut port = Port::new(on, (Coming::default(), Recorder::default()));
        for _ in 0..100 {
            let mut nobody = |_: &mut Stack, _, _| {};
            let next = port.turn(now, &mut stack, &mut nobody).unwrap();
            let Some(due) = next.due else { break };
            now = due.max(now);
        }
        let device = port.tx_mut().half_mut();
        core::mem::take(&mut device.frames)
    };
    let first = run();
    assert!(first.len() > 60, "{}", first.len());
    assert_eq!(first, run());
}
