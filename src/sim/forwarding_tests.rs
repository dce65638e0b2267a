//! Hosts that speak over a host which passes their packets on, in virtual time.

use core::net::SocketAddr;
use core::time::Duration;

use super::HostId;
use crate::base::{DropReason, Instant};
use crate::device::{QueueLimit, WireConfig};
use crate::sim::{Bulk, Network, PortConfig, Sink};
use crate::stack::{ForwardOptions, InterfaceConfig};

/// A network of two hosts and what stands between them.
struct Way {
    network: Network,
    left: HostId,
    middle: HostId,
    right: HostId,
}

/// What the ports of a run are like.
#[derive(Clone, Copy)]
struct Kind {
    v6: bool,
    /// MTU of the second link, at the middle and at its far end.
    mtu: usize,
    far_mtu: usize,
    /// Do devices cut and merge?
    offload: bool,
}

fn ip(kind: Kind, net: u8, host: u8) -> String {
    match kind.v6 {
        true => format!("fd0{net}::{host}"),
        false => format!("10.{net}.0.{host}"),
    }
}

fn port(kind: Kind, net: u8, host: u8) -> PortConfig {
    let prefix = if kind.v6 { 64 } else { 24 };
    let address = format!("{}/{prefix}", ip(kind, net, host));
    PortConfig::new()
        .address(address.parse().unwrap())
        .offload(kind.offload)
        .merge(kind.offload)
        .interface_with(|interface| interface.dad_transmits(0))
}

fn way(kind: Kind) -> Way {
    let forwards = |interface: InterfaceConfig| interface.forwarding(ForwardOptions::new());
    let wire = WireConfig::perfect()
        .rate(100_000_000)
        .delay(Duration::from_millis(1))
        .queue(QueueLimit::Bytes(1 << 20));
    let gateway = |net| ip(kind, net, 1).parse().unwrap();
    let mut network = Network::new(7);
    let [left, middle, right] = ["left", "middle", "right"].map(|name| network.add_host(name));
    let near = left.port(port(kind, 1, 2).gateway(gateway(1)));
    let here = middle.port(port(kind, 1, 1).interface_with(forwards));
    network.link(near, here, wire.clone()).unwrap();
    let there = middle.port(port(kind, 2, 1).mtu(kind.mtu).interface_with(forwards));
    let far = right.port(port(kind, 2, 2).mtu(kind.far_mtu).gateway(gateway(2)));
    network.link(there, far, wire).unwrap();
    Way {
        network,
        left,
        middle,
        right,
    }
}

/// TCP both ways, both families, through links of 1500 and 1280 bytes, with super-segments and without.
#[test]
fn connections_go_through_a_stack_that_passes_them_on() {
    let bytes = 3_000_000;
    for v6 in [false, true] {
        for mtu in [1500, 1280] {
            for offload in [false, true] {
                for back in [false, true] {
                    let kind = Kind {
                        v6,
                        mtu,
                        far_mtu: mtu,
                        offload,
                    };
                    transfer(kind, back, bytes);
                }
            }
        }
    }
}

fn transfer(kind: Kind, back: bool, bytes: u64) {
    let mut way = way(kind);
    let (from, to, net) = match back {
        true => (way.right, way.left, 1),
        false => (way.left, way.right, 2),
    };
    let at = SocketAddr::new(ip(kind, net, 2).parse().unwrap(), 80);
    let network = &mut way.network;
    let sink = network.add_app(to, Sink::new(at));
    let bulk = network.add_app(from, Bulk::new(at).bytes(bytes));
    network.run_until(Instant::from_millis(10_000)).unwrap();
    let name = format!("{} {} {} {back}", kind.v6, kind.mtu, kind.offload);
    let (bulk, sink) = (network.app(bulk), network.app(sink));
    assert_eq!((bulk.written(), bulk.failure()), (bytes, None), "{name}");
    assert_eq!(sink.bytes(), bytes, "{name}");
    let (first, last) = sink.times().unwrap();
    // 0.24 s at the rate of the wire, and slow start.
    assert!(last.since(first) < Duration::from_millis(600), "{name}");
    let counters = network.stack(way.middle).counters();
    assert!(counters.packets_forwarded > 100, "{name}");
    assert_eq!(
        counters.packets_cut, 0,
        "{name}: what is too long is told of"
    );
    let told = counters.drops.get(DropReason::ForwardTooBig) > 0;
    // The MSS of the narrow end is heard of by both.
    assert!(!told, "{name}: {:?}", counters.drops);
}

/// A path that is narrow beyond the router: its sender is told, and the rest goes on.
#[test]
fn a_narrow_link_in_the_middle_is_told_of() {
    for v6 in [false, true] {
        let kind = Kind {
            v6,
            mtu: 1300,
            far_mtu: 1500,
            offload: true,
        };
        let mut way = way(kind);
        let at = SocketAddr::new(ip(kind, 2, 2).parse().unwrap(), 80);
        let sink = way.network.add_app(way.right, Sink::new(at));
        let bulk = Bulk::new(at).bytes(1_000_000);
        let bulk = way.network.add_app(way.left, bulk);
        way.network.run_until(Instant::from_millis(5000)).unwrap();
        assert_eq!(way.network.app(bulk).failure(), None);
        assert_eq!(way.network.app(sink).bytes(), 1_000_000);
        let counters = way.network.stack(way.middle).counters();
        assert!(counters.drops.get(DropReason::ForwardTooBig) > 0);
        assert_eq!(way.network.stack(way.left).counters().path_mtu_lowered, 1);
    }
}
