//! A stack that is told the same does the same.

use core::net::SocketAddr;
use core::time::Duration;

use super::*;
use crate::base::Cidr;
use crate::device::{Chance, WireConfig};
use crate::sim::{Bulk, Cx, HostConfig, Network, PortConfig, Sink, Wake};
use crate::stack::{Mismatch, SocketId, UdpOptions};
use crate::tcp::TcpOptions;

fn at(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new([10, 0, 0, host].into(), port)
}

/// Two hosts of the same kind, whose link loses, reorders and corrupts.
fn run(seed: u64, offload: bool) -> [Recording; 2] {
    let mut net = Network::new(seed);
    let wire = WireConfig::perfect()
        .rate(20_000_000)
        .delay(Duration::from_millis(3))
        .jitter(Duration::from_millis(2))
        .loss(Chance::percent(1))
        .corruption(Chance::percent(1));
    let hosts = ["a", "b"].map(|name| net.add_host(HostConfig::new(name).record(true)));
    let port = |n: usize| {
        let address: Cidr = format!("10.0.0.{}/24", n + 1).parse().unwrap();
        hosts[n].port(PortConfig::new().address(address).offload(offload))
    };
    net.link(port(0), port(1), wire).unwrap();
    net.add_app(hosts[1], Sink::new(at(2, 9)));
    net.add_app(hosts[0], Bulk::new(at(2, 9)).bytes(400_000));
    // One that does everything, some of it in vain.
    let mut own = None;
    net.add_app(hosts[0], move |cx: &mut Cx<'_>, wake| match wake {
        Wake::Start => {
            let id = cx.udp_bind(at(1, 53), UdpOptions::new()).unwrap();
            let data = vec![1; 3000].into();
            let segment = 1000.try_into().unwrap();
            let _ = cx.udp_send_segmented(id, Some(at(2, 54)), data, segment);
            let id = cx.tcp_connect(at(2, 9), TcpOptions::default()).unwrap();
            cx.tcp_write(id, b"hello").unwrap();
            own = Some(id);
            cx.alarm_in(Duration::from_millis(300), 1);
        }
        Wake::Alarm(_) => {
            let id = own.unwrap();
            let _ = cx.tcp_read(id, &mut [0; 100]);
            cx.tcp_abort(id);
        }
        Wake::Event(event) => {
            if let SocketId::Udp(id) = event.id {
                let _ = cx.udp_recv(id);
            }
        }
    });
    net.run_for(Duration::from_millis(1500)).unwrap();
    hosts.map(|host| net.recording(host).unwrap())
}

#[test]
fn a_twin_offers_the_same_bytes() {
    for (seed, offload) in [(1, true), (2, false)] {
        for recording in run(seed, offload) {
            assert!(recording.frames() > 100, "{}", recording.frames());
            let twin = recording.twin();
            let twin = twin.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert!(twin.counters().iter().any(|(_, count)| count > 0));
        }
    }
}

#[test]
fn a_twin_that_is_told_something_else_is_found_out() {
    let [recording, _] = run(3, true);
    let change = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut other = recording.clone();
        change(&mut other.entries);
        other.twin().err()
    };
    assert!(change(&|_| {}).is_none());
    // A frame that never came.
    let without_frame = change(&|entries| {
        let frame = |entry: &Entry| matches!(entry, Entry::Input(Input::Frame(..)));
        let mut places = (0..entries.len()).filter(|&at| frame(&entries[at]));
        let place = places.nth(9).unwrap();
        entries.remove(place);
    });
    assert!(without_frame.is_some());
    // A call that nobody made.
    let without_call = change(&|entries| {
        let made = |entry: &Entry| match entry {
            Entry::Input(Input::Call(_, call)) => call.name() == "tcp_connect",
            _ => false,
        };
        let place = entries.iter().position(made).unwrap();
        entries.remove(place);
    });
    assert!(without_call.is_some());
    // A time that was not told.
    let without_time = change(&|entries| {
        entries.retain(|entry| !matches!(entry, Entry::Input(Input::Timeout(_))));
    });
    assert!(without_time.is_some());
    // Another seed.
    let mut other = recording.clone();
    other.config = Config::new(crate::base::Seed::from_number(99));
    let error = other.twin().unwrap_err();
    assert!(matches!(error.difference.what, Mismatch::Frame { .. }));
    assert!(error.difference.place < 10, "{error}");
}
