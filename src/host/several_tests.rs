//! Hosts of several devices, step by step: this thread plays the driver, and who leads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::super::clock;
use super::super::devices::{Closers, Offer, Places};
use super::super::open;
use super::super::shared::{Manners, Shared, Turn};
use super::super::state::{Life, Next};
use crate::base::Seed;
use crate::device::{Capabilities, Device, DeviceError, Medium, Pair, PairRx, Receive, RxBatch};
use crate::link::{RxFrame, RxMeta};
use crate::stack::{Config, DhcpOptions, InterfaceConfig, InterfaceId, Stack, UdpOptions};
use crate::tcp::TcpOptions;

/// What the threads of a host share that has these devices, without its driver.
fn over<const N: usize>(devices: [Pair; N]) -> (Arc<Shared>, [InterfaceId; N]) {
    let stack = Stack::new(Config::new(Seed::from_number(1)));
    let manners = Manners {
        busy_poll: Duration::ZERO,
        grace: Duration::from_millis(1),
        turn_frames: 64,
    };
    let shared = Shared::new(stack, TcpOptions::default(), &manners).unwrap();
    let mut net = 6;
    let ids = devices.map(|device| {
        net += 1;
        attach(&shared, device, net)
    });
    follow(&shared);
    (shared, ids)
}

/// One more device, at 10.`net`.0.1.
fn attach(shared: &Shared, device: Pair, net: u8) -> InterfaceId {
    let address = format!("10.{net}.0.1/24").parse().unwrap();
    let config = InterfaceConfig::new(device.capabilities()).address(address);
    let opened = open::open(device, None).unwrap();
    let mut core = shared.lock();
    let about = core.attach(clock::now(), (opened, config), 64).unwrap();
    about.on
}

/// What who looks does first in its turn.
fn follow(shared: &Shared) {
    let mut rx = shared.rx.lock().unwrap();
    shared.lock().follow(clock::now(), &mut rx);
}

/// A device whose queue holds so many frames, and its other end.
fn narrow(frames: usize) -> (Pair, Pair) {
    Pair::new(Capabilities::full(Medium::Ip, 1500), frames)
}

/// A way in fails behind its way out, or behind the call that took the device away: no other device is lost by that.
#[test]
fn the_failure_of_a_device_that_has_gone_is_no_news() {
    let ((a, _far_a), (b, _far_b)) = (narrow(9), narrow(9));
    let (shared, [a, b]) = over([a, b]);
    let now = clock::now();
    let mut core = shared.lock();
    for _ in 0..2 {
        core.devices.failed.push((b, DeviceError::Gone));
    }
    core.lose_failed(now);
    core.devices.failed.push((b, DeviceError::Gone));
    core.lose_failed(now);
    assert!(matches!(core.life, Life::Running), "{:?}", core.life);
    assert!(core.devices.has(a) && !core.devices.has(b));
    // The last one may be taken away, whatever its way in says after that.
    let (to, _inlet) = crossbeam_channel::bounded(1);
    assert!(core.detach(now, a, to).is_some());
    core.devices.failed.push((a, DeviceError::Closed));
    core.lose_failed(now);
    assert!(matches!(core.life, Life::Running), "{:?}", core.life);
}

/// A device is lost by a look that finds nothing, or by a user's call: what hangs on it is told by a turn, which comes at once.
#[test]
fn who_loses_a_device_outside_of_a_turn_asks_for_one() {
    let ((a, _far_a), (b, _far_b), (c, _far_c)) = (narrow(9), narrow(9), narrow(9));
    let (shared, [_, b, c]) = over([a, b, c]);
    let now = clock::now();
    let turn = shared.turn(&mut shared.rx.lock().unwrap(), Turn::Drive);
    assert!(matches!(turn, Some(Next::Sleep { .. })), "{turn:?}");
    let mut core = shared.lock();
    assert!(matches!(core.poll_idle(now, None), Next::Sleep { .. }));
    assert!(!core.after_call(now, false).1.urgent);
    core.devices.fail(&[b]);
    core.lose_failed(now);
    assert!(matches!(core.poll_idle(now, None), Next::Again));
    drop(core);
    follow(&shared);
    let mut core = shared.lock();
    core.devices.fail(&[c]);
    core.lose_failed(now);
    assert!(core.after_call(now, false).1.urgent);
}

/// Who slept on what has gone names it by a place that is another's by now.
#[test]
fn a_device_in_the_place_of_one_that_is_lost_stays() {
    let ((a, _far_a), (b, _far_b), (c, _far_c)) = (narrow(9), narrow(9), narrow(9));
    let (shared, [_, b]) = over([a, b]);
    let sleeper = Arc::clone(shared.rx.lock().unwrap().sleeper().unwrap());
    let mut places = Places::default();
    places.insert(places.free().unwrap());
    let second = places.free().unwrap();
    let mut places = Places::default();
    places.insert(second);
    assert_eq!(sleeper.interfaces(places), [b]);
    let (to, _inlet) = crossbeam_channel::bounded(1);
    assert!(shared.lock().detach(clock::now(), b, to).is_some());
    let c = attach(&shared, c, 9);
    shared.lose(&sleeper.interfaces(places));
    assert!(shared.lock().devices.has(c));
}

/// The other end of one reads no more: that is nobody's business but of who sends over it.
#[test]
fn a_device_that_stays_full_costs_the_calls_and_leads_over_another_nothing() {
    let ((a, far_a), (b, _far_b)) = (narrow(2), narrow(100));
    let (shared, _) = over([a, b]);
    let socket = {
        let mut core = shared.lock();
        let at = "0.0.0.0:7".parse().unwrap();
        let options = UdpOptions::default();
        core.stack.udp_bind(at, options).unwrap()
    };
    let send = |to: &str| {
        let now = clock::now();
        let mut core = shared.lock();
        let to = Some(to.parse().unwrap());
        core.stack.udp_send_to(now, socket, to, b"x").unwrap();
        core.after_call(now, false).1.urgent
    };
    let over_a: Vec<bool> = (0..4).map(|_| send("10.7.0.2:9")).collect();
    assert_eq!(over_a, [false, false, true, false], "it became full once");
    let turn = || shared.turn(&mut shared.rx.lock().unwrap(), Turn::Drive);
    let Some(Next::Sleep { full, .. }) = turn() else {
        panic!("a full device is waited for");
    };
    assert!(!full.is_empty());
    for _ in 0..10 {
        assert!(!send("10.8.0.2:9"));
        let mut core = shared.lock();
        let (id, _, next) = core.begin_lead().unwrap();
        // Who leads waits for its room, and no lead that ends wakes the driver for it.
        let waits = matches!(next, Next::Sleep { full: also, .. } if also == full);
        assert!(waits, "{next:?}");
        assert!(!core.need().urgent);
        core.end_lead(id, clock::now(), false);
    }
    // It has room again: what waited leaves.
    let (mut rx, _tx) = far_a.split();
    let mut batch = RxBatch::new(9);
    let mut read = || {
        rx.receive(clock::now(), &mut batch).unwrap();
        batch.drain().count()
    };
    assert_eq!(read(), 2);
    assert!(matches!(turn(), Some(Next::Sleep { full, .. }) if full.is_empty()));
    assert_eq!(read(), 2);
}

/// A server's word to who asked with this transaction, for 10.9.0.9, within VLAN 10.
fn dhcp_answer(kind: u8, discover: &[u8]) -> Vec<u8> {
    // IEEE 802.1Q, RFC 791 §3.1, RFC 768, RFC 2131 §2; a UDP checksum of zero is none.
    let mut bootp = vec![2, 1, 6, 0];
    bootp.extend(&discover[50..54]);
    bootp.extend([0, 0, 0x80, 0, 0, 0, 0, 0, 10, 9, 0, 9]);
    bootp.extend([0; 8]);
    bootp.extend(&discover[74..90]);
    bootp.extend([0; 192]);
    bootp.extend([99, 130, 83, 99, 53, 1, kind, 54, 4, 10, 9, 0, 1]);
    bootp.extend([51, 4, 0, 0, 0x0e, 0x10, 1, 4, 255, 255, 255, 0, 255]);
    let len = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
    let (udp, ip) = (len(bootp.len() + 8), len(bootp.len() + 28));
    let mut header = [
        0x45, 0, ip[0], ip[1], 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 0, 1, 255, 255, 255, 255,
    ];
    let words = header
        .chunks(2)
        .map(|two| u32::from(u16::from_be_bytes([two[0], two[1]])));
    let sum: u32 = words.sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [[0xff; 6], [2, 0, 0, 0, 0, 0x99]].concat();
    frame.extend([0x81, 0, 0, 10, 8, 0]);
    frame.extend(header);
    frame.extend([0, 67, 0, 68, udp[0], udp[1], 0, 0]);
    frame.extend(bootp);
    frame
}

/// The kinds of DHCP messages of VLAN 10 that were sent, with their frames.
fn dhcp_sent(rx: &mut PairRx) -> Vec<(u8, Vec<u8>)> {
    let mut batch = RxBatch::new(64);
    rx.receive(clock::now(), &mut batch).unwrap();
    let frames = batch.drain().map(|frame| frame.data.to_vec());
    let of_ten = frames.filter(|frame| frame[12..16] == [0x81, 0, 0, 10]);
    let dhcp = of_ten.filter(|frame| frame.len() > 288 && frame[40..42] == [0, 67]);
    // The type comes first (option 53 behind the cookie).
    dhcp.map(|frame| (frame[288], frame)).collect()
}

/// What goes with a device gives its lease back as well.
#[test]
fn the_lease_of_a_vlan_is_given_back_before_its_device_goes() {
    let (a, far) = Pair::new(Capabilities::plain(Medium::Ethernet, 1500), 1000);
    let native = *a.capabilities();
    let (shared, [on]) = over([a]);
    let (mut rx, _tx) = far.split();
    let mut now = clock::now();
    let mut core = shared.lock();
    let config = InterfaceConfig::new(&native).vlan(10).over(on);
    let config = config.dhcp(DhcpOptions::new());
    let vlan = core.add_vlan(now, config, native).unwrap().on;
    let (mut steps, mut asked) = (0, Vec::new());
    while core.stack.lease(vlan).is_none() || steps < 100 {
        steps += 1;
        assert!(steps < 1000, "no lease: {asked:?}");
        now = now + Duration::from_millis(200);
        core.stack.handle_timeout(now);
        let core = &mut *core;
        core.devices.send(now, &mut core.stack, 1, Offer::All);
        for (kind, frame) in dhcp_sent(&mut rx) {
            asked.push(kind);
            // DISCOVER: OFFER; REQUEST: ACK.
            let answer = dhcp_answer(if kind == 1 { 2 } else { 5 }, &frame);
            let frame = RxFrame::new(answer.into(), RxMeta::new(now));
            core.stack.handle_frame(now, on, frame);
        }
    }
    assert_eq!(asked, [1, 3]);
    let (to, _inlet) = crossbeam_channel::bounded(1);
    assert!(core.detach(now, on, to).is_some());
    let given_back: Vec<_> = dhcp_sent(&mut rx).iter().map(|&(kind, _)| kind).collect();
    assert_eq!(given_back, [7]);
}

/// Whoever ends a host has its devices closed when that is over.
#[test]
fn closers_are_waited_for() {
    let closers = Closers::default();
    let (open, gate) = channel::<()>();
    let closed = Arc::new(AtomicBool::new(false));
    let also = Arc::clone(&closed);
    closers.run(move || {
        let _ = gate.recv(); // the other end dropped: open for good
        also.store(true, Ordering::Relaxed);
    });
    drop(open);
    closers.join();
    assert!(closed.load(Ordering::Relaxed));
}
