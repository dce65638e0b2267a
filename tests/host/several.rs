//! A host of several devices: sockets that all reach, packets passed on, devices that come, go and fail.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::mpsc::channel;

use netloom::capture::{Ended, Reader, RecordingSettings, Replay, ReplayEnd};
use netloom::host::Interface;
use netloom::stack::{Change, ForwardOptions, InterfaceConfig};

use super::leading::HungUp;
use super::recording::Temporary;
use super::*;

/// A host of a network, which has the router at .1.
pub(super) fn end(device: Pair, net: u8) -> Host {
    Host::builder(device)
        .address(format!("10.{net}.0.2/24").parse().unwrap())
        .address(format!("fd0{net}::2/64").parse().unwrap())
        .gateway(format!("10.{net}.0.1").parse().unwrap())
        .gateway(format!("fd0{net}::1").parse().unwrap())
        .dad_transmits(0)
        .spawn()
        .unwrap()
}

/// The router's side of a network.
pub(super) fn side(config: InterfaceConfig, net: u8) -> InterfaceConfig {
    config
        .address(format!("10.{net}.0.1/24").parse().unwrap())
        .address(format!("fd0{net}::1/64").parse().unwrap())
        .dad_transmits(0)
}

fn forwarding(config: InterfaceConfig, net: u8) -> InterfaceConfig {
    side(config, net).forwarding(ForwardOptions::new())
}

type Configured = fn(InterfaceConfig, u8) -> InterfaceConfig;

/// The one in the middle, at 10.7.0.1 and 10.8.0.1, and the ends of both networks.
fn three(
    configured: Configured,
    change: impl FnOnce(HostBuilder<Pair>) -> HostBuilder<Pair>,
) -> (Host, [Host; 2]) {
    let (left, near) = pair(Medium::Ethernet, 1500);
    let (right, far) = pair(Medium::Ip, 1500);
    let middle = Host::builder(near)
        .interface(|config| configured(config, 7))
        .attach(far, |config| configured(config, 8));
    let middle = change(middle).spawn().unwrap();
    middle.wait_ready(LONG).unwrap();
    (middle, [end(left, 7), end(right, 8)])
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// One connection, both ways.
pub(super) fn talk(from: &Host, to: &Host, at: SocketAddr) {
    let listener = to.tcp_listen(at).unwrap();
    let at = listener.local_addr().unwrap();
    let near = from.tcp_connect_timeout(at, LONG).unwrap();
    let (far, _) = listener.accept().unwrap();
    let data = pattern(300_000, 7);
    for (from, to) in [(&near, &far), (&far, &near)] {
        to.set_read_timeout(Some(LONG)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| (&*from).write_all(&data).unwrap());
            let mut heard = vec![0; data.len()];
            (&*to).read_exact(&mut heard).unwrap();
            assert!(heard == data);
        });
    }
}

#[test]
fn one_host_is_reached_over_both_and_reaches_both() {
    let (middle, ends) = three(side, |builder| builder);
    let ids: Vec<_> = middle.interfaces().iter().map(Interface::id).collect();
    assert_eq!(ids.len(), 2);
    for (net, (id, end)) in [7, 8].into_iter().zip(ids.iter().zip(&ends)) {
        for own in [format!("10.{net}.0.1:0"), format!("[fd0{net}::1]:0")] {
            talk(end, &middle, own.parse().unwrap());
        }
        for other in [format!("10.{net}.0.2:0"), format!("[fd0{net}::2]:0")] {
            talk(&middle, end, other.parse().unwrap());
        }
        let interface = middle.on(*id).unwrap();
        let own = ip(&format!("10.{net}.0.1"));
        assert!(
            interface
                .addresses()
                .iter()
                .any(|(c, _)| c.address() == own)
        );
        assert_eq!(interface.mac().is_some(), net == 7);
        // Routes say by which a packet leaves.
        middle.ping(ip(&format!("10.{net}.0.2")), LONG).unwrap();
    }
    // A socket at no address in particular hears both.
    let listener = middle.tcp_listen("0.0.0.0:77").unwrap();
    for (net, end) in [7, 8].into_iter().zip(&ends) {
        let at = (ip(&format!("10.{net}.0.1")), 77).into();
        let _stream = end.tcp_connect_timeout(at, LONG).unwrap();
        let (_, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), ip(&format!("10.{net}.0.2")));
    }
    // A strong host passes nothing on, nor does it answer for what is at another interface.
    for to in ["10.8.0.2", "10.8.0.1"] {
        let error = ends[0].ping(ip(to), SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{to}");
    }
    assert_eq!(middle.counters().packets_forwarded, 0);
}

#[test]
fn what_is_passed_on_arrives() {
    let (middle, ends) = three(forwarding, |builder| builder);
    for at in ["10.8.0.2:0", "[fd08::2]:0"] {
        talk(&ends[0], &ends[1], at.parse().unwrap());
    }
    ends[1].ping(ip("10.7.0.2"), LONG).unwrap();
    ends[1].ping(ip("10.7.0.1"), LONG).unwrap();
    // Super-segments, and acknowledgements of many.
    assert!(middle.counters().packets_forwarded >= 20);
}

/// While threads of its users sleep, lead and talk, devices come and go, one after the other, more often than there are places.
#[test]
fn devices_come_and_go() {
    for grace in [Duration::ZERO, Duration::from_millis(1)] {
        let (a, b) = pair(Medium::Ethernet, 1500);
        let host = Host::builder(b).interface(|config| side(config, 7));
        let host = host.lead_grace(grace).spawn().unwrap();
        let first = end(a, 7);
        let (near, far) = {
            let listener = host.tcp_listen("10.7.0.1:7").unwrap();
            let near = first.tcp_connect_timeout("10.7.0.1:7".parse().unwrap(), LONG);
            (near.unwrap(), listener.accept().unwrap().0)
        };
        far.set_read_timeout(Some(LONG)).unwrap();
        thread::scope(|scope| {
            // It leads most of the time.
            let reader = scope.spawn(|| read_all(&far));
            for _ in 0..70 {
                let (ours, theirs) = pair(Medium::Ip, 1500);
                let interface = host.attach(ours, |config| side(config, 8)).unwrap();
                assert_eq!(host.interfaces().len(), 2);
                let second = end(theirs, 8);
                second.ping(ip("10.8.0.1"), LONG).unwrap();
                host.ping(ip("10.8.0.2"), LONG).unwrap();
                (&near).write_all(b"x").unwrap();
                host.detach(interface.id()).unwrap();
                assert!(host.on(interface.id()).is_err());
                let error = host.detach(interface.id()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound);
                let error = interface.set_mtu(1400).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound);
                // Its channel ends behind what is in it.
                assert!(interface.changes().iter().count() < 256);
                // The device is closed: the other end of the pair hears of it.
                assert!(second.wait(Some(LONG)).is_some());
            }
            near.shutdown(Shutdown::Write).unwrap();
            assert_eq!(reader.join().unwrap(), [b'x'; 70]);
        });
    }
}

/// It hears of its end, and has its addresses no more.
#[test]
fn what_used_an_interface_that_goes_fails() {
    let (middle, ends) = three(side, |builder| builder);
    let listener = ends[1].tcp_listen("10.8.0.2:7").unwrap();
    let to = listener.local_addr().unwrap();
    let stream = middle.tcp_connect_timeout(to, LONG).unwrap();
    let second = middle.interfaces()[1].clone();
    let (done, heard) = channel();
    thread::scope(|scope| {
        scope.spawn(|| done.send((&stream).read(&mut [0; 1]).unwrap_err()).unwrap());
        middle.detach(second.id()).unwrap();
        let error = heard.recv_timeout(LONG).unwrap();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{error}");
    });
    let error = middle.tcp_connect_timeout(to, LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{error}");
    talk(&middle, &ends[0], "10.7.0.2:0".parse().unwrap());
}

/// One of several fails, and the host goes on; the last one ends it.
#[test]
fn the_last_device_that_fails_ends_the_host() {
    let (middle, ends) = three(side, |builder| builder);
    let [left, right] = ends;
    let second = middle.interfaces()[1].clone();
    drop(right);
    // It ends with its interface.
    for change in second.changes() {
        assert!(!matches!(change, Change::LinkUp));
    }
    assert_eq!(middle.interfaces().len(), 1);
    talk(&middle, &left, "10.7.0.2:0".parse().unwrap());
    assert!(middle.error().is_none());
    drop(left);
    let why = middle.wait(Some(LONG)).unwrap();
    assert!(matches!(why, HostError::Device(_)), "{why}");
}

/// Its descriptor says so, and no read.
#[test]
fn a_device_that_only_reports_trouble_goes_alone() {
    for grace in [Duration::ZERO, Duration::from_millis(1)] {
        let ((a, left), (b, _right)) = (pair(Medium::Ip, 1500), pair(Medium::Ip, 1500));
        let host = Host::builder(a).interface(|config| side(config, 7));
        let host = host.lead_grace(grace).spawn().unwrap();
        let left = end(left, 7);
        let second = host.attach(HungUp(b), |config| side(config, 8)).unwrap();
        second.changes().iter().for_each(drop);
        assert_eq!(host.interfaces().len(), 1);
        talk(&host, &left, "10.7.0.2:0".parse().unwrap());
    }
}

/// Each of both is full most of the time, and each is written as soon as it has room.
#[test]
fn bulk_over_both_through_queues_of_four_frames() {
    let narrow = || Pair::new(Capabilities::full(Medium::Ip, 1500), 4);
    let ((left, a), (right, b)) = (narrow(), narrow());
    let host = Host::builder(a)
        .interface(|config| side(config, 7))
        .attach(b, |config| side(config, 8))
        .spawn()
        .unwrap();
    let ends = [end(left, 7), end(right, 8)];
    thread::scope(|scope| {
        for (net, end) in [7, 8].into_iter().zip(&ends) {
            let host = &host;
            scope.spawn(move || {
                for _ in 0..10 {
                    talk(host, end, format!("10.{net}.0.2:0").parse().unwrap());
                    talk(end, host, format!("10.{net}.0.1:0").parse().unwrap());
                }
            });
        }
    });
}

#[test]
fn a_host_has_64_devices_at_most() {
    let mut far = Vec::new();
    let mut device = || {
        let (a, b) = pair(Medium::Ip, 1500);
        far.push(b);
        a
    };
    let host = Host::builder(device()).spawn().unwrap();
    for _ in 1..64 {
        host.attach(device(), |config| config).unwrap();
    }
    let error = host.attach(device(), |config| config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let last = host.interfaces()[63].id();
    host.detach(last).unwrap();
    host.attach(device(), |config| config).unwrap();
}

/// A host without any device waits for one.
#[test]
fn the_last_device_may_be_taken_away() {
    let (a, _far) = pair(Medium::Ip, 1500);
    let host = Host::builder(a).interface(|config| side(config, 7));
    let host = host.spawn().unwrap();
    let first = host.interfaces()[0].id();
    host.detach(first).unwrap();
    let error = host.set_mtu(1400).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let (a, b) = pair(Medium::Ip, 1500);
    host.attach(a, |config| side(config, 8)).unwrap();
    talk(&host, &end(b, 8), "10.8.0.2:0".parse().unwrap());
}

/// One file has the frames of all, each with its interface.
#[test]
fn a_capture_has_the_frames_of_all_devices() {
    let file = Temporary::new("several-capture");
    let (middle, ends) = three(forwarding, |builder| builder.capture(&file.0));
    ends[0].ping(ip("10.8.0.2"), LONG).unwrap();
    let (a, b) = pair(Medium::Ethernet, 1500);
    middle.attach(a, |config| forwarding(config, 9)).unwrap();
    end(b, 9).ping(ip("10.7.0.2"), LONG).unwrap();
    let watch = middle.capture().unwrap().clone();
    drop(middle);
    assert!(watch.wait().is_none());
    let mut reader = Reader::new(std::fs::File::open(&file.0).unwrap());
    let frames: Vec<_> = reader.by_ref().collect();
    assert!(matches!(reader.ended(), Some(Ended::Complete)));
    let seen: BTreeSet<_> = frames.iter().map(|frame| frame.interface).collect();
    assert_eq!(seen, BTreeSet::from([0, 1, 2]));
    // A ping of 84 bytes, through: in by one, out by the other.
    let pings = |interface| {
        let len = if interface == 1 { 84 } else { 98 };
        let all = frames.iter().filter(|frame| frame.interface == interface);
        all.filter(|frame| frame.data.len() == len).count()
    };
    assert!(
        pings(0) >= 4 && pings(1) == 2 && pings(2) == 2,
        "{frames:?}"
    );
    assert_eq!(watch.stats().written, frames.len() as u64);
}

#[test]
fn a_host_of_several_devices_replays() {
    let file = Temporary::new("several-recording");
    let settings = RecordingSettings::new(std::time::UNIX_EPOCH).queue(1 << 30);
    let (middle, ends) = three(forwarding, |builder| builder.record_with(&file.0, settings));
    talk(&ends[0], &ends[1], "10.8.0.2:0".parse().unwrap());
    talk(&middle, &ends[1], "10.8.0.2:0".parse().unwrap());
    let (a, b) = pair(Medium::Ethernet, 1500);
    let third = middle.attach(a, |config| forwarding(config, 9)).unwrap();
    let last = end(b, 9);
    talk(&last, &ends[0], "10.7.0.2:0".parse().unwrap());
    middle.detach(third.id()).unwrap();
    talk(&middle, &ends[0], "10.7.0.2:0".parse().unwrap());
    middle.shutdown(LONG);
    let watch = middle.recording().unwrap();
    assert_eq!((watch.wait(), watch.stats().lost), (None, 0));
    let mut replay = Replay::open(&file.0).unwrap();
    let end = replay.run().unwrap_or_else(|found| panic!("{found}"));
    assert!(matches!(end, ReplayEnd::Complete), "{end}");
    assert!(replay.stack().counters().packets_forwarded >= 20);
}

/// A host with 10.9.0.x, and 10.7.0.x and 10.8.0.x in VLANs that it begins with.
fn with_vlans(device: Pair, last: u8) -> Host {
    let config = |net: u8| {
        move |config: InterfaceConfig| {
            let own = format!("10.{net}.0.{last}/24").parse().unwrap();
            config.address(own).dad_transmits(0)
        }
    };
    let host = Host::builder(device)
        .interface(config(9))
        .vlan(10, config(7))
        .vlan(20, config(8))
        .spawn()
        .unwrap();
    host.wait_ready(LONG).unwrap();
    host
}

#[test]
fn a_host_begins_with_its_vlans_and_tcp_may_be_of_one() {
    let (left, right) = pair(Medium::Ethernet, 1500);
    let hosts = [with_vlans(left, 1), with_vlans(right, 2)];
    for net in [7, 8, 9] {
        let at = format!("10.{net}.0.2:0").parse().unwrap();
        talk(&hosts[0], &hosts[1], at);
    }
    let ids = |host: &Host| -> Vec<_> { host.interfaces().iter().map(Interface::id).collect() };
    let (near, far) = (ids(&hosts[0]), ids(&hosts[1]));
    assert_eq!(near.len(), 3);
    let of = ListenOptions::default().interface(Some(far[1]));
    let listener = hosts[1].tcp_listen_with("0.0.0.0:77", of).unwrap();
    let connect = |to: &str, by: usize| {
        let options = ConnectOptions::new().timeout(LONG).interface(near[by]);
        hosts[0].tcp_connect_with(to, &options)
    };
    connect("10.7.0.2:77", 1).unwrap();
    let (_, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), ip("10.7.0.1"));
    for (to, by, kind) in [
        ("10.8.0.2:77", 2, ErrorKind::ConnectionRefused),
        ("10.7.0.2:77", 2, ErrorKind::NetworkUnreachable),
    ] {
        assert_eq!(connect(to, by).unwrap_err().kind(), kind, "{to}");
    }
    let twice = Host::builder(pair(Medium::Ethernet, 1500).0);
    let twice = twice.vlan(10, |config| config).vlan(10, |config| config);
    assert!(twice.spawn().is_err());
}
