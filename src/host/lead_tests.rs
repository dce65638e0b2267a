//! Leads step by step: this thread plays whoever comes in between, another one leads.

use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::super::clock;
use super::super::devices::Places;
use super::super::error::HostError;
use super::super::lead::Until;
use super::super::open::Opened;
use super::super::roles::{Need, Part, Wake};
use super::super::shared::{Manners, Shared, Turn, Waited, Wish};
use super::super::state::{Core, Next};
use super::super::udp_queue::UdpQueue;
use super::super::waits::Waits;
use crate::base::{Instant, Seed};
use crate::device::{
    Capabilities, Device, DeviceError, HostReceive, HostTransmit, Medium, Pair, Pollable, Receive,
    RxBatch, Segmented, Sent, Transmit,
};
use crate::link::{RxFrame, RxMeta, TxFrame};
use crate::stack::{Config, InterfaceConfig, Stack, TcpId, UdpOptions};
use crate::tcp::TcpOptions;

/// Far longer than anything here takes; only a bug reaches it.
const LONG: Duration = Duration::from_secs(10);

/// What a host's threads share, without its driver; the peer's device stays open beside it.
fn shared() -> (Arc<Shared>, Pair) {
    let (shared, peer, _) = counted();
    (shared, peer)
}

/// A sending half that counts how often it was polled.
struct Counting<T>(T, Arc<AtomicU32>);

impl<T: Transmit> Transmit for Counting<T> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.0.transmit(now, frame)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.poll(now)
    }
}

impl<T: Pollable> Pollable for Counting<T> {
    fn descriptor(&self) -> std::io::Result<Arc<OwnedFd>> {
        self.0.descriptor()
    }
}

/// The same, and how often the device was polled.
fn counted() -> (Arc<Shared>, Pair, Arc<AtomicU32>) {
    let (device, peer) = Pair::new(Capabilities::full(Medium::Ip, 1500), 100);
    let (shared, polls) = over(device);
    (shared, peer, polls)
}

/// The same over a device.
fn over<D>(device: D) -> (Arc<Shared>, Arc<AtomicU32>)
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    let stack = Stack::new(Config::new(Seed::from_number(1)));
    let address = "10.7.0.1/24".parse().unwrap();
    let interface = InterfaceConfig::new(device.capabilities()).address(address);
    let offered = *device.capabilities();
    let (rx, tx) = device.split();
    let polls = Arc::new(AtomicU32::new(0));
    let tx = Counting(tx, Arc::clone(&polls));
    let manners = Manners {
        busy_poll: Duration::ZERO,
        grace: Duration::from_millis(1),
        turn_frames: 64,
    };
    let opened = Opened {
        native: offered,
        offered,
        watch: None,
        readable: rx.descriptor().unwrap(),
        writable: tx.descriptor().unwrap(),
        rx: Box::new(rx),
        tx: Box::new(tx),
    };
    let shared = Shared::new(stack, TcpOptions::default(), &manners).unwrap();
    let (mut rx, mut core) = (shared.rx.lock().unwrap(), shared.lock());
    core.attach(clock::now(), (opened, interface), 64).unwrap();
    // As the driver's first turn does.
    core.follow(clock::now(), &mut rx);
    drop((core, rx));
    (shared, polls)
}

/// A connection whose peer never answers.
fn connect(core: &mut Core) -> TcpId {
    let to = "10.7.0.2:9".parse().unwrap();
    let options = TcpOptions::default();
    core.stack
        .tcp_connect(clock::now(), to, None, options)
        .unwrap()
}

const fn wish(deadline: Option<Instant>) -> Wish {
    let sends = false;
    Wish { deadline, sends }
}

/// A thread that waits for one side, once; what it got is sent.
fn waiter(shared: &Arc<Shared>, waits: Arc<Waits>, leads: u64) -> Receiver<Waited> {
    let (done, result) = channel();
    let also = Arc::clone(shared);
    thread::spawn(move || {
        let core = also.lock();
        let (core, waited) = also.wait(core, &waits.readable, wish(None));
        drop(core);
        done.send(waited).unwrap();
    });
    until(|| shared.lock().roles.leads() == leads);
    result
}

/// Spins until another thread has got there.
fn until(reached: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !reached() {
        assert!(began.elapsed() < LONG, "it never gets there");
        thread::yield_now();
    }
}

/// The driver gets its role back, however late this thread asks for it.
fn assert_looks(shared: &Shared) {
    assert!(shared.driver.take());
    let part = shared.part_of_driver();
    assert!(matches!(part, Part::Look | Part::StepIn), "{part:?}");
}

/// The driver's first question, after which it waits for the leader only.
fn parked(shared: &Shared) {
    while shared.part_of_driver() != Part::StandBack(None) {}
    shared.driver.take();
}

#[test]
fn a_wake_up_that_an_earlier_lead_left_half_taken_hides_no_later_one() {
    let (shared, _peer) = shared();
    let waits = Arc::new(Waits::default());
    // What a lead leaves behind whose patience ends in the sleep that a wake-up ended.
    shared.leader.wake();
    let at_once = Some(Duration::ZERO);
    let rx = shared.rx.lock().unwrap();
    let sleeper = rx.sleeper().unwrap();
    let none = Places::default();
    sleeper.wait(&shared.leader, none, at_once).unwrap();
    drop(rx);
    let result = waiter(&shared, Arc::clone(&waits), 1);
    parked(&shared);
    shared.tell(&waits);
    assert_eq!(result.recv_timeout(LONG), Ok(Waited::LookAgain));
}

#[test]
fn a_lead_that_waited_for_the_receiving_half_looks_again_before_it_sleeps() {
    let (shared, _peer) = shared();
    let waits = Arc::new(Waits::default());
    // A late turn of the driver, or a lead that is to be replaced.
    let rx = shared.rx.lock().unwrap();
    let result = waiter(&shared, waits, 1);
    parked(&shared);
    shared.request_end(None);
    assert!(shared.leader.take(), "the wake-up goes to who holds `rx`");
    drop(rx);
    assert_eq!(result.recv_timeout(LONG), Ok(Waited::LookAgain));
    assert_looks(&shared);
}

#[test]
fn a_timer_armed_by_a_late_turn_bounds_the_sleep_of_a_lead_that_began_before() {
    let (shared, _peer) = shared();
    let waits = Arc::new(Waits::default());
    let rx = shared.rx.lock().unwrap();
    let _result = waiter(&shared, waits, 1);
    // The turn connects, as one may that dispatches; nobody hears of its timer.
    let due = {
        let mut core = shared.lock();
        connect(&mut core);
        core.after_call(clock::now(), false);
        core.need().due
    };
    drop(rx);
    let just_before = Need {
        due: Instant::from_nanos(due.as_nanos() - 1),
        urgent: false,
    };
    let at = Need { due, ..just_before };
    // Who leads has taken it into account when it needs no wake-up for it, but for anything earlier.
    until(|| shared.lock().roles.clone().wake_for(at) == Wake::Nobody);
    assert_eq!(
        shared.lock().roles.clone().wake_for(just_before),
        Wake::Leader
    );
    shared.request_end(None);
}

/// A thread that waits while another one leads wakes it for a timer that its call armed: who leads would look too late.
#[test]
fn who_waits_beside_a_lead_wakes_it_for_a_nearer_timer() {
    let (shared, _peer) = shared();
    let result = waiter(&shared, Arc::new(Waits::default()), 1);
    parked(&shared);
    connect(&mut shared.lock());
    let others = Arc::new(Waits::default());
    // No lead of its own.
    let beside = waiter(&shared, Arc::clone(&others), 1);
    assert_eq!(result.recv_timeout(LONG), Ok(Waited::LookAgain));
    assert!(shared.driver.take(), "nobody repeats the SYN");
    shared.tell(&others);
    assert_eq!(beside.recv_timeout(LONG), Ok(Waited::LookAgain));
}

/// Between the driver's last turn and its sleep a call disarms the timer that bounded the sleep.
#[test]
fn who_sleeps_longer_than_its_last_turn_said_is_woken_for_what_comes_between() {
    let (shared, _peer) = shared();
    let first = connect(&mut shared.lock());
    let turn = shared.turn(&mut shared.rx.lock().unwrap(), Turn::Drive);
    assert!(matches!(turn, Some(Next::Sleep { until, .. }) if until != Instant::FAR_FUTURE));
    let mut core = shared.lock();
    let now = clock::now();
    core.stack.tcp_abort(now, first);
    shared.finish(core, now);
    let next = shared.poll_device(now, None, false, &mut clock::now());
    assert!(matches!(next, Some(Next::Sleep { until, .. }) if until == Instant::FAR_FUTURE));
    // Its timer is later than the one that is gone, but nobody would look for it.
    let mut core = shared.lock();
    connect(&mut core);
    let (_, need) = core.after_call(clock::now(), false);
    assert_eq!(core.wake_for(need), Wake::Driver);
}

/// A call whose timer comes before anybody looks wakes who is to look, and one that leaves no earlier timer nobody.
#[test]
fn a_call_wakes_who_would_look_too_late() {
    let (shared, _peer) = shared();
    let turn = shared.turn(&mut shared.rx.lock().unwrap(), Turn::Drive);
    assert!(matches!(turn, Some(Next::Sleep { until, .. }) if until == Instant::FAR_FUTURE));
    assert!(!shared.driver.take());
    let mut core = shared.lock();
    connect(&mut core);
    shared.finish(core, clock::now());
    assert!(shared.driver.take(), "nobody repeats the SYN");
    // It looks, and sleeps until that timer.
    shared.turn(&mut shared.rx.lock().unwrap(), Turn::Drive);
    shared.finish(shared.lock(), clock::now());
    assert!(!shared.driver.take());
}

/// Two threads that ask and answer lead in turns, and the driver, which asks in time anyway, sleeps through that.
#[test]
fn a_lead_that_ends_wakes_no_driver_that_asks_in_time() {
    let (shared, _peer) = shared();
    let waits = Arc::new(Waits::default());
    let result = waiter(&shared, Arc::clone(&waits), 1);
    // The lead has taken the role from it.
    until(|| shared.driver.take());
    let part = shared.part_of_driver();
    assert!(matches!(part, Part::StandBack(Some(_))), "{part:?}");
    shared.tell(&waits);
    assert_eq!(result.recv_timeout(LONG), Ok(Waited::LookAgain));
    assert!(!shared.driver.take());
}

/// What a device wants after it was polled is told to who polled it: to somebody who looks.
#[test]
fn a_driver_that_looks_no_more_leaves_the_device_alone() {
    let (shared, _peer, polls) = counted();
    let _result = waiter(&shared, Arc::new(Waits::default()), 1);
    // The lead has polled, and sleeps or is about to.
    until(|| polls.load(Ordering::Relaxed) > 0);
    let before = polls.load(Ordering::Relaxed);
    // Meanwhile the driver comes from a read that found nothing.
    let next = shared.poll_device(clock::now(), None, false, &mut clock::now());
    assert!(matches!(next, Some(Next::Again)), "{next:?}");
    assert_eq!(polls.load(Ordering::Relaxed), before);
    shared.request_end(None);
}

/// A UDP socket with one datagram in the stack, which nobody has been told of.
fn unread(core: &mut Core, port: u16) -> Arc<Waits> {
    let local = (std::net::Ipv4Addr::new(10, 7, 0, 1), port).into();
    let id = core.stack.udp_bind(local, UdpOptions::default()).unwrap();
    let waits = Arc::new(Waits::default());
    let queue = UdpQueue {
        datagrams: crossbeam_channel::bounded(1).0,
        errors: crossbeam_channel::bounded(1).0,
        account: Arc::default(),
        limit: 1000,
        dropped: Arc::default(),
        gone: Arc::default(),
        waits: Arc::clone(&waits),
        flows: None,
    };
    core.sockets.add_udp(id, queue);
    let mut packet = [0; 29];
    packet[..20].copy_from_slice(&[
        0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 10, 7, 0, 2, 10, 7, 0, 1,
    ]);
    let sum: u32 = packet[..20]
        .chunks(2)
        .map(|two| u32::from(u16::from_be_bytes([two[0], two[1]])))
        .sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet[20..22].copy_from_slice(&[1, 0]);
    packet[22..24].copy_from_slice(&port.to_be_bytes());
    packet[25] = 9;
    let now = clock::now();
    let frame = RxFrame::new(Bytes::copy_from_slice(&packet), RxMeta::new(now));
    let on = core.stack.interfaces().next().unwrap();
    core.stack.handle_frame(now, on, frame);
    waits
}

#[test]
fn events_that_a_waiting_thread_passes_on_reach_the_leader_too() {
    let (shared, _peer) = shared();
    let one = Arc::new(Waits::default());
    let result = waiter(&shared, Arc::clone(&one), 1);
    parked(&shared);
    let mut core = shared.lock();
    let two = unread(&mut core, 2000);
    // It is told itself, so it neither sleeps nor leads.
    let (core, waited) = shared.wait(core, &two.readable, wish(Some(clock::now() + LONG)));
    drop(core);
    assert_eq!((two.readable.told(), waited), (1, Waited::LookAgain));
    assert_eq!(result.recv_timeout(LONG), Ok(Waited::LookAgain));
}

#[test]
fn a_shutdown_with_nothing_to_wait_for_ends_a_lead_whatever_it_sleeps_for() {
    let (shared, _peer) = shared();
    let result = waiter(&shared, Arc::new(Waits::default()), 1);
    parked(&shared);
    // It looks again long before the deadline, but long after now.
    let soon = clock::now() + LONG;
    shared.lock().roles.sleeps_until(true, soon);
    shared.request_end(Some(soon + LONG));
    assert_eq!(result.recv_timeout(LONG / 2), Ok(Waited::LookAgain));
    assert_looks(&shared);
}

/// A device that panics as it reads leaves frames behind that nobody may handle.
#[test]
fn nobody_leads_after_a_panic_with_the_receiving_half() {
    let (shared, _peer) = shared();
    let also = Arc::clone(&shared);
    let panicked = thread::spawn(move || {
        let _rx = also.rx.lock().unwrap();
        panic!("the bug of this test");
    });
    assert!(panicked.join().is_err());
    let until = Until {
        ready: &|| false,
        deadline: None,
        sends: false,
    };
    assert!(shared.try_lead(shared.lock(), &until).is_err());
    assert!(matches!(shared.error(), Some(HostError::Panicked)));
}

/// One hold of the core's lock is bounded by frames on the wire: without offload, 64 super-segments
/// that a user's call sent were as many as 2,900 of them, and others waited all that time.
#[test]
fn a_hold_of_the_lock_writes_a_bounded_number_of_frames_without_offload() {
    const DATAGRAMS: usize = 41;
    const SUPERS: usize = 64;
    // The budget, and what the last super-segment may overdraw it by.
    const ROUND: usize = 128 + DATAGRAMS - 1;
    let plain = Capabilities::plain(Medium::Ip, 1500);
    let (device, peer) = Pair::new(plain, 100_000);
    let (shared, _) = over(Segmented::new(device));
    let (mut rx, _tx) = peer.split();
    let mut written = || {
        let mut batch = RxBatch::new(100_000);
        rx.receive(clock::now(), &mut batch).unwrap()
    };
    let mut core = shared.lock();
    let local = "10.7.0.1:7".parse().unwrap();
    let options = UdpOptions::new().send_buffer(64 << 20);
    let id = core.stack.udp_bind(local, options).unwrap();
    let size = NonZeroU16::new(1472).unwrap();
    for _ in 0..SUPERS {
        let data = Bytes::from(vec![0; DATAGRAMS * 1472]);
        let to = Some("10.7.0.2:7".parse().unwrap());
        core.stack
            .udp_send_segmented(clock::now(), id, to, data, size)
            .unwrap();
    }
    let (_, need) = core.after_call(clock::now(), false);
    assert!(need.urgent, "the rest is for who looks");
    drop(core);
    let call = written();
    assert!((129..=2 * ROUND).contains(&call), "{call} frames in a call");
    let mut all = call;
    loop {
        let next = shared.turn(&mut shared.rx.lock().unwrap(), Turn::Drive);
        let turn = written();
        assert!(turn <= ROUND, "{turn} frames in a turn");
        all += turn;
        match next {
            Some(Next::Again) => assert!(turn >= 128, "{turn} frames in a turn"),
            _ => break,
        }
    }
    assert_eq!(all, SUPERS * DATAGRAMS);
}
