//! Two hosts and a link, in virtual time.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::*;
use crate::base::Cidr;
use crate::device::{QueueLimit, WireConfig};
use crate::sim::{Bulk, Pair, Sink, Wake};
use crate::stack::{Readiness, UdpOptions};

const PORT: u16 = 9;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn wire(bits_per_sec: u64, delay: u64) -> WireConfig {
    WireConfig::perfect()
        .rate(bits_per_sec)
        .delay(ms(delay))
        .queue(QueueLimit::Bytes(1 << 20))
}

fn bulk(seed: u64, link: WireConfig, bytes: u64) -> (Pair, AppId<Bulk>, AppId<Sink>) {
    let mut pair = Pair::new(seed, link).unwrap();
    let to = SocketAddr::new(Pair::RIGHT, PORT);
    let sink = pair.network.add_app(pair.right, Sink::new(to));
    let bulk = pair.network.add_app(pair.left, Bulk::new(to).bytes(bytes));
    (pair, bulk, sink)
}

#[test]
fn a_flow_fills_the_link_and_ends() {
    let bytes = 20_000_000;
    let (mut pair, bulk, sink) = bulk(1, wire(100_000_000, 10), bytes);
    assert!(
        pair.network
            .run_until_idle(Instant::from_millis(600_000))
            .unwrap(),
        "nothing ever ends"
    );
    let net = &pair.network;
    let bulk = net.app(bulk);
    assert_eq!(
        (bulk.written(), bulk.refused(), bulk.failure()),
        (bytes, None, None)
    );
    let sink = net.app(sink);
    assert_eq!((sink.bytes(), sink.connections()), (bytes, (1, 1)));
    let (first, last) = sink.times().unwrap();
    // 1448 of 1514 bytes are text; slow start from 10 segments takes 6 or 7 round trips of 20 ms.
    let took = last.since(first);
    assert!(took > ms(1672), "faster than the wire: {took:?}");
    assert!(took < ms(1672 + 160), "the wire was not full: {took:?}");
    for host in [pair.left, pair.right] {
        let stack = net.stack(host);
        assert_eq!(stack.tcp_open_count() + stack.tcp_time_wait_count(), 0);
    }
}

#[test]
fn equal_seeds_give_equal_runs_and_others_do_not() {
    let hash = |seed| {
        let (mut pair, ..) = bulk(seed, wire(10_000_000, 5), 300_000);
        pair.network.run_for(ms(2000)).unwrap();
        (pair.network.trace_hash(), pair.network.frames())
    };
    assert_eq!(hash(7), hash(7));
    assert_ne!(hash(7).0, hash(8).0);
}

/// Running in steps of any length, or from event to event, is the same run.
#[test]
fn how_a_run_is_cut_does_not_matter() {
    let run = |run: fn(&mut Network)| {
        let (mut pair, ..) = bulk(7, wire(10_000_000, 5), 300_000);
        run(&mut pair.network);
        (pair.network.trace_hash(), pair.network.now())
    };
    let whole = run(|net| net.run_for(ms(900)).unwrap());
    let cut = run(|net| (0..900).for_each(|_| net.run_for(ms(1)).unwrap()));
    let stepped = run(|net| {
        while net.next().is_some_and(|at| at <= Instant::from_millis(900)) {
            net.step().unwrap();
        }
        net.run_until(Instant::from_millis(900)).unwrap();
    });
    assert_eq!((whole, whole), (cut, stepped));
}

#[test]
fn an_idle_hour_costs_nothing() {
    let mut pair = Pair::new(3, wire(1_000_000, 1)).unwrap();
    pair.network.run_for(Duration::from_secs(3600)).unwrap();
    assert_eq!(pair.network.now(), Instant::from_millis(3_600_000));
    let frames = pair.network.frames();
    assert!(frames < 20, "{frames} frames of silence");
}

#[test]
fn closures_are_applications_and_alarms_come_in_order() {
    let mut pair = Pair::new(3, wire(1_000_000, 1)).unwrap();
    let log = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let told = std::rc::Rc::clone(&log);
    pair.network
        .add_app(pair.left, move |cx: &mut Cx<'_>, wake| {
            if wake == Wake::Start {
                cx.alarm(Instant::from_millis(5), 1);
                cx.alarm(Instant::from_millis(3), 2);
                cx.alarm(Instant::from_millis(5), 3);
                cx.alarm(Instant::ZERO, 4);
            }
            told.borrow_mut().push((cx.now(), wake));
        });
    pair.network.run_for(ms(10)).unwrap();
    let at = Instant::from_millis;
    let expected = [
        (at(0), Wake::Start),
        (at(0), Wake::Alarm(4)),
        (at(3), Wake::Alarm(2)),
        (at(5), Wake::Alarm(1)),
        (at(5), Wake::Alarm(3)),
    ];
    assert_eq!(*log.borrow(), expected);
}

#[test]
fn an_alarm_that_is_always_now_ends_the_run_with_an_error() {
    let mut pair = Pair::new(3, wire(1_000_000, 1)).unwrap();
    pair.network
        .add_app(pair.left, |cx: &mut Cx<'_>, _| cx.alarm(cx.now(), 0));
    let error = pair.network.run_for(ms(10)).unwrap_err();
    assert!(matches!(error, SimError::Stuck { at, .. } if at == Instant::ZERO));
}

/// Each application is told of its own sockets.
#[test]
fn events_go_to_the_owner() {
    let mut pair = Pair::new(3, wire(1_000_000, 1)).unwrap();
    let bind = |port| {
        let at = SocketAddr::new(Pair::RIGHT, port);
        let mut got = Vec::new();
        move |cx: &mut Cx<'_>, wake| match wake {
            Wake::Start => {
                cx.udp_bind(at, UdpOptions::new()).unwrap();
            }
            Wake::Event(event) if event.ready.contains(Readiness::READABLE) => {
                let crate::stack::SocketId::Udp(id) = event.id else {
                    panic!("{event:?}");
                };
                while let Ok(datagram) = cx.udp_recv(id) {
                    let data = datagram.data.into_bytes();
                    got.push(data[0]);
                    assert_eq!(u16::from(data[0]), at.port());
                    let _ = cx.udp_send(id, Some(datagram.from), data);
                }
            }
            Wake::Event(_) | Wake::Alarm(_) => {}
        }
    };
    pair.network.add_app(pair.right, bind(7));
    pair.network.add_app(pair.right, bind(8));
    let id = pair.network.call(pair.left, |cx| {
        let id = cx.udp_bind(SocketAddr::new(Pair::LEFT, 0), UdpOptions::new());
        let id = id.unwrap();
        for port in [8, 7] {
            let to = SocketAddr::new(Pair::RIGHT, port);
            let data = Bytes::from(vec![u8::try_from(port).unwrap(); 20]);
            cx.udp_send(id, Some(to), data).unwrap();
        }
        id
    });
    pair.network.run_for(ms(100)).unwrap();
    let back: Vec<u8> = pair.network.call(pair.left, |cx| {
        core::iter::from_fn(|| cx.udp_recv(id).ok().map(|d| d.data.into_bytes()[0])).collect()
    });
    assert_eq!(back, [8, 7]);
}

#[test]
fn a_partition_opens_and_closes_at_its_times() {
    let (mut pair, _, sink) = bulk(5, wire(10_000_000, 5), 100_000_000);
    // What waited in the queue, a megabyte at most, still arrives.
    let (from, to) = (Instant::from_millis(1000), Instant::from_millis(3000));
    pair.network.partition(&[pair.link], from, to);
    pair.network.run_until(from + ms(900)).unwrap();
    let before = pair.network.app(sink).bytes();
    pair.network.run_until(to).unwrap();
    assert!(before > 500_000, "{before}");
    assert_eq!(pair.network.app(sink).bytes(), before);
    assert!(pair.network.lost_to_cuts(pair.link.forth()) > 0);
    pair.network.run_for(Duration::from_secs(3)).unwrap();
    assert!(pair.network.app(sink).bytes() > before);
}

/// Links carry frames of one MTU whatever the ports can do, and the user sees the same bytes.
#[test]
fn ports_with_and_without_offload_put_the_same_on_the_wire() {
    for (offload, merge) in [(false, false), (false, true), (true, true)] {
        let port = || PortConfig::new().offload(offload).merge(merge);
        let mut pair = Pair::with(4, wire(10_000_000, 5), [port(), port()]).unwrap();
        let to = SocketAddr::new(Pair::RIGHT, PORT);
        let sink = pair.network.add_app(pair.right, Sink::new(to));
        pair.network
            .add_app(pair.left, Bulk::new(to).bytes(500_000));
        pair.network.run_for(ms(2000)).unwrap();
        assert_eq!(pair.network.app(sink).bytes(), 500_000);
        let frames = pair.network.frames();
        assert!(frames > 500_000 / 1448, "{frames} frames");
    }
}

#[test]
fn ends_of_different_mediums_are_not_joined() {
    let ports = [PortConfig::new(), PortConfig::new().medium(Medium::Ip)];
    let error = Pair::with(4, WireConfig::perfect(), ports).unwrap_err();
    assert!(matches!(
        error,
        SimError::Mediums(Medium::Ethernet, Medium::Ip)
    ));
}

#[test]
fn a_change_that_is_asked_for_at_once_each_time_ends_the_run_with_an_error() {
    fn again(network: &mut Network) {
        network.at(network.now(), again);
    }
    let mut network = Network::new(1);
    network.at(Instant::from_millis(2), again);
    let error = network.run_for(ms(10)).unwrap_err();
    assert!(matches!(error, SimError::Stuck { at, .. } if at == Instant::from_millis(2)));
}

/// A change may run the network itself, and ask for others.
#[test]
fn changes_within_changes_keep_their_order() {
    let mut network = Network::new(1);
    let log = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let note = |what: u8| {
        let log = std::rc::Rc::clone(&log);
        move |network: &mut Network| log.borrow_mut().push((network.now(), what))
    };
    let (first, inner, second, late) = (note(1), note(2), note(3), note(4));
    network.at(Instant::from_millis(1), move |network| {
        first(network);
        network.at(Instant::ZERO, inner);
        network.run_for(ms(3)).unwrap();
    });
    network.at(Instant::from_millis(1), second);
    network.at(Instant::from_millis(2), late);
    network.run_for(ms(2)).unwrap();
    let at = Instant::from_millis;
    let expected = [(at(1), 1), (at(1), 3), (at(1), 2), (at(2), 4)];
    assert_eq!(*log.borrow(), expected);
    assert_eq!(network.now(), at(4), "time never runs back");
}

/// Its port stays, without a link; those that come after it have their own.
#[test]
fn a_link_that_came_to_nothing_leaves_the_next_alone() {
    let mut network = Network::new(1);
    let hosts = ["left", "right"].map(|name| network.add_host(name));
    let [left, right] = hosts;
    let port = |address: IpAddr| PortConfig::new().address(Cidr::new(address, 24).unwrap());
    let bad = PortConfig::new().mtu(20);
    let elsewhere = "10.9.0.1".parse().unwrap();
    let error = network.link(
        left.port(port(elsewhere)),
        right.port(bad),
        WireConfig::perfect(),
    );
    assert!(matches!(error, Err(SimError::Port(_))), "{error:?}");
    let ends = (left.port(port(Pair::LEFT)), right.port(port(Pair::RIGHT)));
    network.link(ends.0, ends.1, wire(10_000_000, 1)).unwrap();
    let to = SocketAddr::new(Pair::RIGHT, PORT);
    let sink = network.add_app(right, Sink::new(to));
    network.add_app(left, Bulk::new(to).bytes(1000));
    network.run_for(ms(100)).unwrap();
    assert_eq!(network.app(sink).bytes(), 1000);
}

#[test]
fn a_link_is_whole_when_all_that_cut_it_is_over() {
    let mut pair = Pair::new(1, wire(10_000_000, 1)).unwrap();
    let (net, link, at) = (&mut pair.network, pair.link, Instant::from_millis);
    net.partition(&[link], at(10), at(30));
    net.partition(&[link], at(20), at(40));
    // One that ends before it begins is none.
    net.partition(&[link], at(9), at(8));
    net.at(at(35), move |net| net.cut(link, true));
    net.at(at(50), move |net| net.cut(link, false));
    // A datagram to nobody a millisecond: each is asked about or answered.
    let from = SocketAddr::new(Pair::LEFT, 0);
    let id = net.call(pair.left, |cx| {
        cx.udp_bind(from, UdpOptions::new()).unwrap()
    });
    let mut whole = Vec::new();
    for millis in 1..60 {
        net.run_until(at(millis)).unwrap();
        let lost = net.lost_to_cuts(link.forth());
        net.call(pair.left, |cx| {
            let to = Some(SocketAddr::new(Pair::RIGHT, PORT));
            let _ = cx.udp_send(id, to, Bytes::from_static(b"x"));
        });
        net.run_for(Duration::ZERO).unwrap();
        if net.lost_to_cuts(link.forth()) == lost {
            whole.push(millis);
        }
    }
    let expected: Vec<u64> = (1..10).chain(50..60).collect();
    assert_eq!(whole, expected);
}

/// What no wire has is not taken for an MTU, and does not fail in the middle of a run.
#[test]
fn a_port_of_any_mtu_works_or_is_refused() {
    for mtu in [1280, 9000, 65_535, 65_536, 70_000, 1 << 20, usize::MAX] {
        for offload in [false, true] {
            let port = || PortConfig::new().mtu(mtu).offload(offload);
            let ports = [port(), port()];
            let mut pair = Pair::with(1, wire(1_000_000_000, 1), ports).unwrap();
            let to = SocketAddr::new(Pair::RIGHT, PORT);
            let sink = pair.network.add_app(pair.right, Sink::new(to));
            pair.network
                .add_app(pair.left, Bulk::new(to).bytes(1_000_000));
            pair.network.run_for(ms(1000)).unwrap();
            let got = pair.network.app(sink).bytes();
            assert_eq!(got, 1_000_000, "MTU {mtu}, offload {offload}");
        }
    }
}

/// A flow without end over a link that takes no time is told soon, not when a million turns of many
/// frames each are over.
#[test]
fn an_endless_flow_that_takes_no_time_ends_the_run_with_an_error() {
    let mut pair = Pair::new(1, WireConfig::perfect()).unwrap();
    pair.network.most_at_once = 10_000;
    let to = SocketAddr::new(Pair::RIGHT, PORT);
    pair.network.add_app(pair.right, Sink::new(to));
    pair.network.add_app(pair.left, Bulk::new(to));
    let error = pair.network.run_for(ms(10)).unwrap_err();
    assert!(matches!(error, SimError::Stuck { at, .. } if at == Instant::ZERO));
    let frames = pair.network.frames();
    // One round of the flow more at most.
    assert!((5_000..20_000).contains(&frames), "{frames} frames");
}

/// What comes while it oversleeps does not wake it sooner.
#[test]
fn a_host_that_wakes_late_does_so_however_much_comes() {
    let mut network = Network::new(1);
    let left = network.add_host("left");
    let right = network.add_host(HostConfig::new("right").wakes_late(ms(10)));
    let [at_left, at_right] = [Pair::LEFT, Pair::RIGHT]
        .map(|address| PortConfig::new().address(Cidr::new(address, 24).unwrap()));
    network
        .link(
            left.port(at_left),
            right.port(at_right),
            wire(100_000_000, 1),
        )
        .unwrap();
    let any = "0.0.0.0:9".parse().unwrap();
    let to = SocketAddr::new(Pair::RIGHT, PORT);
    let mut id = None;
    network.add_app(left, move |cx: &mut Cx<'_>, _| {
        let id = *id.get_or_insert_with(|| cx.udp_bind(any, UdpOptions::new()).unwrap());
        cx.udp_send(id, Some(to), Bytes::from_static(b"x")).unwrap();
        cx.alarm_in(Duration::from_micros(100), 0);
    });
    let trace = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let told = std::rc::Rc::clone(&trace);
    let mut id = None;
    network.add_app(right, move |cx: &mut Cx<'_>, wake| {
        if wake == Wake::Start {
            id = Some(cx.udp_bind(any, UdpOptions::new()).unwrap());
        }
        while id.is_some_and(|id| cx.udp_recv(id).is_ok()) {
            told.borrow_mut().push(cx.now());
        }
    });
    network.run_for(ms(2000)).unwrap();
    let mut times = trace.take();
    let all = times.len();
    assert!(all > 19_000, "{all} datagrams");
    // Five milliseconds in the mean, fifty datagrams.
    times.dedup();
    let mean = all / times.len();
    assert!((45..=55).contains(&mean), "{mean} datagrams in a turn");
}
