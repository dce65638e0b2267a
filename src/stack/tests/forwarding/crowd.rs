//! More than fits: batches larger than queues, words on sizes beside other errors, links and sizes that change while something waits.

use super::segments::{partial, segment};
use super::*;
use crate::stack::UdpOptions;

/// Super-segments of 64 KiB that one read of a device brings: twice what waits for the next one.
const BATCH: usize = 64;
const TEXT: usize = 44 * 1460;

fn wide() -> Router {
    Router::with(Setting {
        device: Capabilities::full(Medium::Ethernet, 1500),
        ..Setting::default()
    })
}

impl Router {
    /// These come in on the left at once.
    fn bring(&mut self, packets: impl IntoIterator<Item = (Vec<u8>, RxMeta)>) {
        let frames = packets
            .into_iter()
            .map(|(packet, meta)| RxFrame::new(around(0, &packet).into(), meta));
        let coming = &mut self.ports[0].rx_mut().half_mut().0;
        coming.extend(frames);
    }

    fn super_segment(&self) -> (Vec<u8>, RxMeta) {
        let meta = RxMeta::new(self.now).with_checksum(RxChecksum::Partial(partial(false, 16)));
        let meta = meta.with_segment_size(NonZeroU16::new(1460));
        (segment(false, TEXT), meta)
    }

    fn turn(&mut self) -> bool {
        let mut nobody = |_: &mut Stack, _, _: Event| {};
        let next = turn_all(&mut self.ports, self.now, &mut self.stack, &mut nobody);
        next.unwrap().again
    }
}

/// Covers: FWD-17: nothing is dropped between two devices that take what they are offered, however much one of them brings.
#[test]
fn a_batch_that_is_larger_than_the_queue_is_passed_on() {
    let mut router = wide();
    let all: Vec<_> = (0..3 * BATCH).map(|_| router.super_segment()).collect();
    router.bring(all);
    let mut turns = 0;
    while router.turn() {
        turns += 1;
        assert!(turns < 200);
    }
    let counters = router.stack.counters();
    assert_eq!(counters.packets_forwarded, 3 * BATCH as u64, "{counters:?}");
    assert_eq!(router.drops(DropReason::ForwardFull), 0);
    assert_eq!(router.device(1).frames.len(), 3 * BATCH);
}

/// A device that takes nothing, or that nobody drives, holds nobody up: what is for ourselves comes in behind what is dropped.
#[test]
fn a_device_that_is_full_holds_nobody_up() {
    for driven in [true, false] {
        let mut router = wide();
        let any: SocketAddr = "0.0.0.0:7".parse().unwrap();
        let socket = router.stack.udp_bind(any, UdpOptions::new()).unwrap();
        router.device(1).room = Some(0);
        if !driven {
            router.ports.truncate(1);
        }
        let mut all: Vec<_> = (0..3 * BATCH).map(|_| router.super_segment()).collect();
        let own = udp_bytes(
            SocketAddr::from((PEER, 9)),
            SocketAddr::from((OURS, 7)),
            b"own",
        );
        let own = ip(PEER.into(), OURS.into(), Protocol::UDP, &own);
        all.push((own, RxMeta::new(router.now)));
        router.bring(all);
        for _ in 0..12 {
            router.turn();
        }
        assert!(router.stack.udp_recv(socket).is_ok(), "driven: {driven}");
        assert!(router.drops(DropReason::ForwardFull) > 0);
    }
}

/// Covers: FWD-20 (RFC 4861 §7.2.2): what waited for its neighbour goes before what came while that was asked.
#[test]
fn what_waited_is_not_overtaken() {
    let mut router = Router::alone(Setting::default());
    let packets: Vec<Vec<u8>> = (0..6).map(|n| four(&[n; 10], |_| {})).collect();
    packets[..3].iter().for_each(|packet| router.give(packet));
    assert_eq!(router.drain(1).len(), 1, "a question");
    packets[3..].iter().for_each(|packet| router.give(packet));
    let reply = arp::Packet::request(OTHER_MAC, FAR, RIGHT);
    router.receive(1, arp_frame(&reply));
    let seen = router.drain(1);
    let seen = seen.into_iter().filter(|seen| seen.kind == EtherType::IPV4);
    let seen: Vec<Vec<u8>> = seen.map(|seen| seen.packet).collect();
    let expected: Vec<Vec<u8>> = packets.iter().map(|packet| one_hop_less(packet)).collect();
    assert_eq!(seen, expected);
}

/// Covers: FWD-13: other errors of the same host do not silence those about sizes, by which it finds its paths, and one destination's not those of
/// others.
#[test]
fn words_on_sizes_have_a_limit_of_their_own() {
    let mut router = narrow(1280);
    for _ in 0..20 {
        router.give(&four(b"text", |fields| fields.ttl = 1));
    }
    assert_eq!(router.drain(0).len(), 6);
    for n in 0..30 {
        let host = if n < 10 { 2 } else { 90 + n };
        router.give(&four(&[7; 1400], |fields| {
            fields.dst = [10, 1, 0, host].into()
        }));
    }
    let words = router.drain(0);
    let too_big = |seen: &Seen| seen.v4().1[..2] == [3, 4];
    assert_eq!(words.len(), 30);
    assert!(words.iter().all(too_big));
    // They have one, as all errors do.
    (0..200).for_each(|_| router.give(&four(&[7; 1400], |_| {})));
    let rest = router.drain(0).len();
    assert!((10..=34).contains(&rest), "{rest}");
    router.advance(Duration::from_secs(1));
    (0..200).for_each(|_| router.give(&four(&[7; 1400], |_| {})));
    let again = router.drain(0).len();
    assert!((30..=50).contains(&again), "{again}");
    let config = Config::new(Seed::from_number(1)).icmp_errors_per_peer(0);
    let mut silent = Router::with(Setting {
        config,
        device: Capabilities::plain(Medium::Ethernet, 1280),
        ..Setting::default()
    });
    silent.give(&four(&[7; 1400], |_| {}));
    assert!(silent.drain(0).is_empty());
}

/// docs/limits.md: none stays when the link goes down, and nobody else's room with it.
#[test]
fn what_waits_for_a_neighbour_goes_with_its_link() {
    let mut router = Router::alone(Setting::default());
    (0..5).for_each(|n| router.give(&four(&[n; 10], |_| {})));
    router.drain(1);
    let on = router.on[1];
    router.stack.set_link(router.now, on, false).unwrap();
    assert_eq!(router.drops(DropReason::DeviceLinkDown), 5);
    assert_eq!(router.stack.net.neighbours.queued(), 0);
    router.advance(Duration::from_secs(3600));
    router.stack.set_link(router.now, on, true).unwrap();
    router.drain(1);
    let reply = arp::Packet::request(OTHER_MAC, FAR, RIGHT);
    router.receive(1, arp_frame(&reply));
    let late = router.drain(1);
    assert!(
        late.iter().all(|seen| seen.kind == EtherType::ARP),
        "{late:?}"
    );
}

/// Covers: FWD-20: however many wait for silent hosts, one packet waits for each of the others.
#[test]
fn each_neighbour_keeps_its_last_packet() {
    let config = Config::new(Seed::from_number(1)).neighbour_queue_bytes(20_000);
    let mut router = Router::alone(Setting {
        config,
        ..Setting::default()
    });
    let to = |host: u8, text: &[u8]| four(text, |fields| fields.dst = [10, 1, 0, host].into());
    for host in 10..40 {
        (0..16).for_each(|_| router.give(&to(host, &[1; 900])));
        router.drain(1);
    }
    let packet = to(2, &[9; 1000]);
    router.give(&packet);
    router.drain(1);
    let reply = arp::Packet::request(OTHER_MAC, FAR, RIGHT);
    router.receive(1, arp_frame(&reply));
    let seen = router.drain(1);
    assert!(seen.iter().any(|seen| seen.packet == one_hop_less(&packet)));
}

/// Covers: FWD-13: a link that carries less than it did when a packet began to wait is no reason to cut what may not be cut.
#[test]
fn what_waited_too_long_to_fit_is_told_of() {
    for v6 in [false, true] {
        let mut router = Router::alone(Setting::default());
        router.introduce(0, PEER_MAC, PEER, PEER6);
        let packet = match v6 {
            false => four(&[7; 1400], |_| {}),
            true => six(&[7; 1400], |_| {}),
        };
        router.give(&packet);
        router.drain(1);
        let on = router.on[1];
        router.stack.set_mtu(router.now, on, 1280).unwrap();
        router.introduce(1, OTHER_MAC, FAR, FAR6);
        assert_eq!(router.stack.counters().packets_forwarded, 0);
        assert_eq!(router.drops(DropReason::ForwardTooBig), 1);
        let (kind, code) = match v6 {
            false => (router.error4().0, 3),
            true => (router.error6().0, 2),
        };
        assert_eq!(kind, code);
    }
}

/// What is passed on spends as a connection does: its super-segments leave our own packets their half.
#[test]
fn super_segments_take_turns_as_well() {
    let mut router = wide();
    router.device(1).room = Some(0);
    for _ in 0..30 {
        let (packet, meta) = router.super_segment();
        router.receive_with(0, around(0, &packet), meta);
    }
    let any: SocketAddr = "0.0.0.0:7".parse().unwrap();
    let socket = router.stack.udp_bind(any, UdpOptions::new()).unwrap();
    for _ in 0..60 {
        let to = Some(SocketAddr::from((FAR, 9)));
        router
            .stack
            .udp_send_to(router.now, socket, to, b"own")
            .unwrap();
    }
    router.device(1).room = None;
    let tx = router.ports[1].tx_mut();
    tx.send(router.now, &mut router.stack, 1).unwrap();
    let frames = core::mem::take(&mut router.device(1).frames);
    let own = frames
        .iter()
        .filter(|(frame, _)| frame[26..30] == RIGHT.octets());
    let own = own.count();
    assert!(
        own >= 16 && frames.len() - own >= 8,
        "{own} of {}",
        frames.len()
    );
}
