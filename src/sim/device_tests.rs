//! Ports whose devices are full, lose frames, or are something of a user's.

use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;

use super::*;
use crate::base::{Cidr, DropReason};
use crate::device::{QueueLimit, Segmented, WireConfig};
use crate::sim::{AppId, Bulk, HostConfig, HostId, Network, PortConfig, Sink};

const BYTES: u64 = 300_000;

/// A flow from one host to another over ports that `tune` changes.
struct Flow {
    net: Network,
    hosts: [HostId; 2],
    sink: AppId<Sink>,
}

fn flow(tune: impl Fn(usize, PortConfig) -> PortConfig) -> Flow {
    let slow = WireConfig::perfect()
        .rate(20_000_000)
        .queue(QueueLimit::Bytes(1 << 20));
    flow_over(slow, tune)
}

fn flow_over(wire: WireConfig, tune: impl Fn(usize, PortConfig) -> PortConfig) -> Flow {
    let mut net = Network::new(5);
    let hosts = ["a", "b"].map(|name| net.add_host(HostConfig::new(name).record(true)));
    let port = |n: usize| {
        let address: Cidr = format!("10.0.0.{}/24", n + 1).parse().unwrap();
        hosts[n].port(tune(n, PortConfig::new().address(address)))
    };
    net.link(port(0), port(1), wire).unwrap();
    let to = SocketAddr::new([10, 0, 0, 2].into(), 9);
    let sink = net.add_app(hosts[1], Sink::new(to));
    net.add_app(hosts[0], Bulk::new(to).bytes(BYTES));
    let done = net.run_until_idle(Instant::from_millis(600_000));
    assert!(done.unwrap(), "nothing ever ends");
    Flow { net, hosts, sink }
}

/// Counts what the device in front of which it stands takes and refuses, and is full or loses a frame
/// itself now and then.
struct Moody<T> {
    inner: T,
    offered: u32,
    /// Of so many frames one finds it full, of so many it loses one; none when 0.
    full_each: u32,
    lost_each: u32,
    seen: Rc<Seen>,
}

#[derive(Default)]
struct Seen {
    taken: Cell<u32>,
    full: Cell<u32>,
    super_segments: Cell<u32>,
}

impl<T: Transmit> Transmit for Moody<T> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let add = |count: &Cell<u32>| count.set(count.get() + 1);
        self.offered += 1;
        let each = |n: u32| n > 0 && self.offered.is_multiple_of(n);
        let sent = if each(self.full_each) {
            Sent::Full
        } else if each(self.lost_each) {
            Sent::Dropped(DeviceDrop::NoBuffers)
        } else {
            self.inner.transmit(now, frame)?
        };
        match sent {
            Sent::Full => add(&self.seen.full),
            _ => add(&self.seen.taken),
        }
        if frame.meta.segment.is_some() {
            add(&self.seen.super_segments);
        }
        Ok(sent)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        self.inner.poll(now)
    }

    fn wants_room(&self) -> bool {
        self.inner.wants_room()
    }
}

fn moody(device: PortDevice, seen: &Rc<Seen>, (full_each, lost_each): (u32, u32)) -> PortDevice {
    let capabilities = *device.capabilities();
    let (rx, inner) = device.split();
    let seen = Rc::clone(seen);
    let tx = Moody {
        inner,
        offered: 0,
        full_each,
        lost_each,
        seen,
    };
    PortDevice::from_halves(capabilities, rx, tx)
}

/// A queue that is full empties at the same instant: it costs turns, and no time.
#[test]
fn a_short_queue_costs_turns_and_no_time() {
    let run = |queue: usize| {
        let seen: Rc<Seen> = Rc::default();
        let watch = Rc::clone(&seen);
        // The wire does not make up for a late frame.
        let wire = WireConfig::perfect().delay(Duration::from_millis(5));
        let flow = flow_over(wire, move |_, port| {
            let seen = Rc::clone(&watch);
            let port = port.offload(false).queue(queue);
            port.device_with(move |device| moody(device, &seen, (0, 0)))
        });
        let sink = flow.net.app(flow.sink);
        assert_eq!(sink.bytes(), BYTES);
        (sink.times(), seen.taken.get(), seen.full.get())
    };
    let (times, frames, full) = run(usize::MAX);
    assert_eq!(full, 0);
    let (slow_times, slow_frames, full) = run(1);
    assert_eq!((slow_times, slow_frames), (times, frames));
    assert!(full > 20, "the queue was full {full} times");
}

/// The rest of a super-segment waits in front of a queue that is full, and goes on.
#[test]
fn a_super_segment_leaves_through_a_queue_of_one_frame() {
    let flow = flow(|_, port| port.queue(1));
    assert_eq!(flow.net.app(flow.sink).bytes(), BYTES);
}

/// Frames that a device refuses or loses are offered or sent again, and the same answers make the same
/// bytes of a stack that is told them.
#[test]
fn a_device_that_is_full_by_itself_is_asked_again() {
    let seen: Rc<Seen> = Rc::default();
    let watch = Rc::clone(&seen);
    let flow = flow(move |_, port| {
        let seen = Rc::clone(&watch);
        port.device_with(move |device| moody(device, &seen, (3, 10)))
    });
    assert_eq!(flow.net.app(flow.sink).bytes(), BYTES);
    assert!(seen.full.get() > 20);
    for host in flow.hosts {
        let drops = &flow.net.stack(host).counters().drops;
        assert!(drops.get(DropReason::DeviceNoBuffers) > 0);
        let recording = flow.net.recording(host).unwrap();
        recording.twin().unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The stack believes what the wrapper says that the device can do; the last that was added is outermost.
#[test]
fn a_wrapper_stands_where_it_is_put() {
    let [inside, outside]: [Rc<Seen>; 2] = Default::default();
    let (below, above) = (Rc::clone(&inside), Rc::clone(&outside));
    let flow = flow(move |_, port| {
        let (below, above) = (Rc::clone(&below), Rc::clone(&above));
        port.offload(false)
            .device_with(move |device| moody(device, &below, (0, 0)))
            .device_with(|device| PortDevice::new(Segmented::new(device)))
            .device_with(move |device| moody(device, &above, (0, 0)))
    });
    assert_eq!(flow.net.app(flow.sink).bytes(), BYTES);
    assert_eq!(inside.super_segments.get(), 0);
    assert!(outside.super_segments.get() > 10);
    assert!(inside.taken.get() > outside.taken.get());
}
