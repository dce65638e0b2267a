//! What one drain of an interface writes: frames on the wire, whoever cuts super-segments into them.

use core::time::Duration;

use super::tests::{Link, SERVER, Wire};
use crate::base::Instant;
use crate::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use crate::link::{RxFrame, SegmentKinds, TxFrame};
use crate::stack::{ListenOptions, More, TcpId};
use crate::tcp::TcpOptions;

const BUDGET: usize = 128;

fn capabilities(mtu: usize, cut_in_software: SegmentKinds) -> Capabilities {
    Capabilities {
        cut_in_software,
        ..Capabilities::full(Medium::Ip, mtu)
    }
}

/// Bytes of text in a frame, and the frames on the wire that it is.
fn measure(frame: &RxFrame) -> (usize, usize) {
    let header = usize::from(frame.data[32] >> 4) * 4;
    let text = frame.data.len() - 20 - header;
    let frames = frame
        .meta
        .segment_size
        .map_or(1, |size| text.div_ceil(usize::from(size.get())));
    (text, frames)
}

/// Connections with windows of about a mebibyte and as much to send.
fn busy(capabilities: &Capabilities, connections: usize) -> Link {
    let mut link = Link::with(capabilities, |config| config.transmit_budget(BUDGET));
    let options = TcpOptions::default()
        .send_buffer(4 << 20)
        .recv_buffer_max(8 << 20);
    let server = SERVER.parse().unwrap();
    let listener = link.ends[0]
        .stack
        .tcp_listen(server, ListenOptions::new(options.clone()))
        .unwrap();
    let text = vec![7; 1 << 20];
    let mut clients = Vec::new();
    for _ in 0..connections {
        let client = link.ends[1]
            .stack
            .tcp_connect(link.now, server, None, options.clone())
            .unwrap();
        link.settle();
        let accepted = link.ends[0].stack.tcp_accept(link.now, listener).unwrap();
        // The windows open.
        for _ in 0..40 {
            write(&mut link, client, &text);
            // All of a flight is out before the first of it arrives, or it would be no longer than a drain.
            link.ends[1].send(link.now);
            link.settle();
            let stack = &mut link.ends[0].stack;
            while stack.tcp_read_chunk(link.now, accepted, usize::MAX).is_ok() {}
            link.pass(Duration::from_millis(1));
        }
        clients.push(client);
    }
    for client in clients {
        write(&mut link, client, &text);
    }
    link
}

fn write(link: &mut Link, id: TcpId, text: &[u8]) {
    let stack = &mut link.ends[1].stack;
    assert_eq!(stack.tcp_write(link.now, id, text).unwrap(), text.len());
}

/// What each drain sent until nothing was left: bytes of text, frames on the wire, super-segments.
fn drains(link: &mut Link) -> Vec<(usize, usize, usize)> {
    let end = &mut link.ends[1];
    let mut all = Vec::new();
    loop {
        let progress = end
            .stack
            .poll_transmit(link.now, end.on, &mut end.out)
            .unwrap();
        assert_eq!(progress.sent, end.out.len());
        let sizes: Vec<_> = end.out.take().into_iter().map(|f| measure(&f)).collect();
        let text = sizes.iter().map(|size| size.0).sum();
        let frames = sizes.iter().map(|size| size.1).sum();
        all.push((text, frames, sizes.len()));
        if progress.more == More::Idle {
            return all;
        }
    }
}

/// 64 super-segments that software cuts were 2,900 frames in one hold of a host's lock.
#[test]
fn a_drain_is_bounded_in_frames_where_software_cuts() {
    let all = SegmentKinds::all();
    for (mtu, least) in [(1500, 900_000), (128, 40_000)] {
        let mut link = busy(&capabilities(mtu, all), 1);
        let drains = drains(&mut link);
        let text: usize = drains.iter().map(|drain| drain.0).sum();
        assert!(text >= least, "mtu {mtu}: a window of {text}");
        for &(_, frames, supers) in &drains {
            assert!(frames <= BUDGET, "mtu {mtu}: {frames} frames in a drain");
            assert!(supers <= 4, "mtu {mtu}: cut for nothing into {supers}");
        }
        let (_, full) = drains.split_last().unwrap();
        assert!(full.iter().all(|drain| drain.1 == BUDGET), "{drains:?}");
    }
}

/// Nor does it take longer where the device cuts: the same bytes in fewer drains.
#[test]
fn a_device_that_cuts_takes_a_mebibyte_in_a_drain() {
    let none = SegmentKinds::empty();
    let mut link = busy(&capabilities(1500, none), 1);
    let drains = drains(&mut link);
    let text: Vec<usize> = drains.iter().map(|drain| drain.0).collect();
    assert!(text[0] > 15 * 65_000 && drains.len() <= 2, "{text:?}");
}

/// The budget is smaller than four super-segments: the first in line does not use it up.
#[test]
fn connections_share_a_drain_where_software_cuts() {
    let all = SegmentKinds::all();
    let mut link = busy(&capabilities(1500, all), 2);
    let end = &mut link.ends[1];
    let on = end.on;
    end.stack.poll_transmit(link.now, on, &mut end.out).unwrap();
    let mut ports: Vec<_> = end
        .out
        .take()
        .iter()
        .map(|f| [f.data[20], f.data[21]])
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 2);
}

/// A device with room for so many frames.
struct Narrow<'a>(&'a mut Wire, usize);

impl Transmit for Narrow<'_> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let Some(left) = self.1.checked_sub(1) else {
            return Ok(Sent::Full);
        };
        self.1 = left;
        self.0.transmit(now, frame)
    }
}

/// Whose turn it is does not depend on how often the device was full: each of three connections would hold the
/// line until its window is used up.
#[test]
fn a_device_with_little_room_is_shared_by_turns() {
    let order = |room: usize| {
        let mut link = Link::over(&Capabilities::plain(Medium::Ip, 1500));
        let server = SERVER.parse().unwrap();
        let options = ListenOptions::default();
        link.ends[0].stack.tcp_listen(server, options).unwrap();
        let clients = [(); 3].map(|()| {
            let stack = &mut link.ends[1].stack;
            stack.tcp_connect(link.now, server, None, TcpOptions::default())
        });
        link.settle();
        for client in clients {
            write(&mut link, client.unwrap(), &[7; 20_000]);
        }
        let end = &mut link.ends[1];
        let mut ports = Vec::new();
        while end.stack.wants_transmit(end.on) {
            let mut out = Narrow(&mut end.out, room);
            end.stack.poll_transmit(link.now, end.on, &mut out).unwrap();
            ports.extend(end.out.take().iter().map(|frame| frame.data[21]));
        }
        ports
    };
    let free = order(usize::MAX);
    let turns: Vec<_> = free.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
    // The first window of each: ten segments.
    assert_eq!(turns, [4, 4, 4, 4, 4, 4, 2, 2, 2]);
    for room in 1..8 {
        assert_eq!(order(room), free, "room for {room}");
    }
}
