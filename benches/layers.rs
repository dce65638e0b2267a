//! Where a packet's nanoseconds go, layer by layer: `cargo bench --bench layers`.
//!
//! `parse/..` times the readers alone. `small/..` is one turn of a 1-byte ping-pong and `super/..` a
//! segment of 64 KiB, each call into the stack by itself, over many connections in turn, so that a
//! clock is read once per hundred calls. `device/..` times the system calls on a TAP device in a
//! network namespace of its own; without the rights for that it is left out.
//! `LAYERS_TURNS=N` runs N turns of `small/..` on 256 connections, or `LAYERS_CONNS=M`, and times nothing,
//! for profilers: more than 64 give their buffers up and take them again in each turn. With `LAYERS_OUT=N` a turn
//! is a byte sent and the ACK of the one sent N before it; `ack/..` are those rows.

#![allow(clippy::cast_possible_truncation)]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::time::{Duration, Instant as Clock};

use criterion::{Criterion, criterion_group, criterion_main};
use netloom::base::checksum::checksum;
use netloom::base::{Instant, MacAddr, Protocol, Seed};
use netloom::bytes::Bytes;
use netloom::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use netloom::link::{EtherType, PartialChecksum, RxChecksum, RxFrame, RxMeta, TxFrame, ethernet};
use netloom::stack::{
    Config, InterfaceConfig, InterfaceId, ListenOptions, More, SocketId, Stack, TcpId,
};
use netloom::{arp, ipv4, tcp};

const STACK: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
const PEER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const MSS: usize = 1448;
/// The text of a super-segment: as many whole segments as fit.
const SUPER: usize = 44 * MSS;
/// From the Ethernet header to the text: timestamps are on.
const HEADERS: usize = 14 + 20 + 32;

/// The stack's time between turns: a whole run stays below what a neighbour is reachable for.
const TURN: Duration = Duration::from_micros(1);

/// One connection, seen from the peer.
struct Conn {
    id: TcpId,
    port: u16,
    /// The peer's next number, and the stack's.
    theirs: u32,
    ours: u32,
}

/// A stack with open connections to one peer.
struct World {
    stack: Stack,
    on: InterfaceId,
    mac: MacAddr,
    conns: Vec<Conn>,
    now: Instant,
}

impl World {
    fn new(conns: u16) -> Self {
        let capabilities = Capabilities::full(Medium::Ethernet, 1500);
        let address = "10.7.0.2/24".parse().expect("an address");
        let interface = InterfaceConfig::new(&capabilities)
            .address(address)
            .report_own_groups(false);
        let mut stack = Stack::new(Config::new(Seed::from_number(1)));
        let on = stack
            .add_interface(Instant::ZERO, interface)
            .expect("an interface");
        let mac = stack.mac(on).expect("Ethernet");
        let listen = ListenOptions::new(tcp::TcpOptions::default().nodelay(true));
        let at = (STACK, 7).into();
        stack.tcp_listen(at, listen).expect("a free port");
        let mut world = Self {
            stack,
            on,
            mac,
            conns: Vec::new(),
            now: Instant::from_nanos(1_000_000_000),
        };
        world.ask_for_the_mac();
        for n in 0..conns {
            world.open(40_000 + n);
        }
        world
    }

    /// An ARP request, from which the stack learns the peer's address.
    fn ask_for_the_mac(&mut self) {
        let mut frame = vec![0; 64];
        let mac = MacAddr::new([0xff; 6]);
        let at = ethernet::Fields::new(mac, PEER_MAC, EtherType::ARP).emit(&mut frame);
        let len = arp::Packet::request(PEER_MAC, PEER, STACK).emit(&mut frame[at..]);
        frame.truncate(at + len);
        self.hand_in(RxFrame::new(frame.into(), RxMeta::new(self.now)));
        self.send(&mut Collect::default());
    }

    fn open(&mut self, port: u16) {
        let mut options = tcp::Options::default();
        options.mss = Some(1460);
        options.window_scale = Some(10);
        options.sack_permitted = true;
        options.timestamps = Some((1, 0));
        let syn = self.frame(port, tcp::Flags::SYN, (0, 0), &options, 0);
        self.hand_in(syn);
        let mut sent = Collect::default();
        self.send(&mut sent);
        let (_, ours) = *sent.0.last().expect("a SYN-ACK");
        let ack = self.data(port, (1, ours), 0);
        self.hand_in(ack);
        while let Some(event) = self.stack.poll_event() {
            if let SocketId::Listener(listener) = event.id {
                while let Ok(id) = self.stack.tcp_accept(self.now, listener) {
                    self.conns.push(Conn {
                        id,
                        port,
                        theirs: 1,
                        ours,
                    });
                }
            }
        }
    }

    fn hand_in(&mut self, frame: RxFrame) {
        self.stack.handle_frame(self.now, self.on, frame);
    }

    /// Sends everything.
    fn send(&mut self, out: &mut impl Transmit) {
        loop {
            let progress = self.stack.poll_transmit(self.now, self.on, out);
            if progress.expect("it cannot fail").more == More::Idle {
                break;
            }
        }
    }

    /// A segment of an open connection with timestamps and this much text.
    fn data(&self, port: u16, numbers: (u32, u32), len: usize) -> RxFrame {
        let mut options = tcp::Options::default();
        options.timestamps = Some(((self.now.as_nanos() / 1_000_000) as u32, 0));
        self.frame(port, tcp::Flags::ACK, numbers, &options, len)
    }

    fn frame(
        &self,
        port: u16,
        flags: tcp::Flags,
        (seq, ack): (u32, u32),
        options: &tcp::Options,
        len: usize,
    ) -> RxFrame {
        let mut fields = tcp::Fields::default();
        (fields.src_port, fields.dst_port) = (port, 7);
        (fields.seq, fields.ack, fields.flags) = (seq, ack, flags);
        fields.window = u16::MAX;
        let mut frame = vec![b'x'; 14 + 20 + 60];
        ethernet::Fields::new(self.mac, PEER_MAC, EtherType::IPV4).emit(&mut frame);
        let header = fields.emit(options, &mut frame[34..]);
        frame.resize(34 + header + len, b'x');
        ipv4::Fields::new(PEER, STACK, Protocol::TCP).emit(header + len, &mut frame[14..]);
        let pseudo = ipv4::pseudo_sum(PEER, STACK, Protocol::TCP, header + len);
        let mut meta = RxMeta::new(self.now);
        if len <= MSS {
            let sum = pseudo.bytes(&frame[34..]).finish();
            frame[50..52].copy_from_slice(&sum.to_be_bytes());
        } else {
            // As a kernel's sender leaves it.
            frame[50..52].copy_from_slice(&pseudo.partial().to_be_bytes());
            let partial = PartialChecksum {
                start: 34,
                offset: 16,
            };
            meta = meta
                .with_checksum(RxChecksum::Partial(partial))
                .with_segment_size(NonZeroU16::new(MSS as u16));
        }
        RxFrame::new(frame.into(), meta)
    }

    /// One turn of all connections (not inlined, so that profilers find it): `len` bytes come, are read, and `answer` bytes go back.
    #[inline(never)]
    fn turn(&mut self, len: usize, answer: &Bytes) -> Spent {
        self.now = self.now + TURN;
        let frames = |world: &Self, len| -> Vec<RxFrame> {
            let all = world.conns.iter();
            all.map(|c| world.data(c.port, (c.theirs, c.ours), len))
                .collect()
        };
        let mut spent = Spent::default();
        if len > 0 {
            let frames = frames(self, len);
            spent.handle_frame = timed(|| frames.into_iter().for_each(|f| self.hand_in(f)));
            spent.read = timed(|| self.read_all());
            self.conns.iter_mut().for_each(|c| c.theirs += len as u32);
        }
        if answer.is_empty() {
            let mut null = Null::default();
            spent.poll_transmit = timed(|| self.send(&mut null));
            assert_eq!(null.frames, self.conns.len(), "an ACK each");
            return spent;
        }
        spent.write = timed(|| {
            for conn in &self.conns {
                let mut data = answer.clone();
                let written = self.stack.tcp_write_chunk(self.now, conn.id, &mut data);
                written.expect("there is room");
            }
        });
        let mut null = Null::default();
        spent.poll_transmit = timed(|| self.send(&mut null));
        assert_eq!(null.frames, self.conns.len(), "a segment each");
        let sent = answer.len() as u32;
        self.conns
            .iter_mut()
            .for_each(|c| c.ours = c.ours.wrapping_add(sent));
        if len == 0 {
            let acks = frames(self, 0);
            spent.handle_ack = timed(|| acks.into_iter().for_each(|f| self.hand_in(f)));
            while self.stack.poll_event().is_some() {}
        }
        self.stack.handle_timeout(self.now);
        spent
    }

    /// Sends bytes one by one which nothing acknowledges: a record each. From then on the peer's ACKs are so
    /// far behind.
    fn leave_out(&mut self, records: usize, byte: &Bytes) {
        for _ in 0..records {
            for conn in &self.conns {
                let mut data = byte.clone();
                let written = self.stack.tcp_write_chunk(self.now, conn.id, &mut data);
                written.expect("there is room");
            }
            self.send(&mut Null::default());
        }
    }

    fn read_all(&mut self) {
        while let Some(event) = self.stack.poll_event() {
            if let SocketId::Tcp(id) = event.id {
                while let Ok(chunk) = self.stack.tcp_read_chunk(self.now, id, usize::MAX) {
                    black_box(chunk);
                }
            }
        }
    }

    /// Sends until every congestion window takes a super-segment at once.
    fn open_windows(&mut self, answer: &Bytes) {
        for _ in 0..8 {
            for n in 0..self.conns.len() {
                let mut data = answer.clone();
                let written = self
                    .stack
                    .tcp_write_chunk(self.now, self.conns[n].id, &mut data);
                written.expect("there is room");
            }
            loop {
                self.now = self.now + TURN;
                let mut sent = Collect::default();
                self.send(&mut sent);
                if sent.0.is_empty() {
                    break;
                }
                for (port, next) in sent.0 {
                    let at = usize::from(port - 40_000);
                    self.conns[at].ours = next;
                    let ack = self.data(port, (self.conns[at].theirs, next), 0);
                    self.hand_in(ack);
                }
            }
            while self.stack.poll_event().is_some() {}
        }
    }
}

/// The time that each call took, for all connections together.
#[derive(Clone, Copy, Default)]
struct Spent {
    handle_frame: Duration,
    read: Duration,
    write: Duration,
    poll_transmit: Duration,
    handle_ack: Duration,
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Clock::now();
    work();
    start.elapsed()
}

/// Takes everything.
#[derive(Default)]
struct Null {
    frames: usize,
}

impl Transmit for Null {
    fn transmit(&mut self, _: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        black_box(frame);
        self.frames += 1;
        Ok(Sent::Taken)
    }
}

/// Takes everything and notes each TCP segment's receiver and the number behind it.
#[derive(Default)]
struct Collect(Vec<(u16, u32)>);

impl Transmit for Collect {
    fn transmit(&mut self, _: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let whole = frame.to_vec();
        let (link, packet) = ethernet::Header::parse(&whole).expect("Ethernet");
        if link.ether_type() == EtherType::IPV4 {
            // A super-segment's lengths are right as well.
            let (_, segment) = ipv4::Header::parse(packet).expect("IPv4");
            let (header, text) = tcp::Header::parse(segment).expect("TCP");
            let syn = u32::from(header.flags().contains(tcp::Flags::SYN));
            let next = header.seq().wrapping_add(text.len() as u32 + syn);
            self.0.push((header.dst_port(), next));
        }
        Ok(Sent::Taken)
    }
}

/// Records that are out when the ACK of the first comes: the two rows are to be alike, by a factor of two at most.
/// All of them fit the initial window.
const OUT: [(usize, &str); 2] = [(10, "ack/10-out"), (10_000, "ack/10000-out")];

/// A call of a turn.
type Part = (&'static str, fn(&Spent) -> Duration);

/// Times the parts of a turn: the nanoseconds that one connection takes, least, median and most of 21
/// samples of 20 ms. (Not by criterion, which would run every turn once more for each part.)
fn parts(world: &mut World, (len, answer): (usize, &Bytes), parts: &[Part]) {
    let mut samples = vec![Vec::new(); parts.len()];
    for _ in 0..21 {
        let mut sums = vec![Duration::ZERO; parts.len()];
        let mut segments = 0;
        let start = Clock::now();
        while start.elapsed() < Duration::from_millis(20) {
            let spent = world.turn(len, answer);
            for (sum, (_, of)) in sums.iter_mut().zip(parts) {
                *sum += of(&spent);
            }
            segments += world.conns.len();
        }
        for (samples, sum) in samples.iter_mut().zip(sums) {
            samples.push(sum.as_secs_f64() * 1e9 / segments as f64);
        }
    }
    for (samples, (name, _)) in samples.iter_mut().zip(parts) {
        samples.sort_unstable_by(f64::total_cmp);
        let [least, median, most] = [0, 10, 20].map(|at| samples[at]);
        println!("{name:<23} time:   [{least:.1} ns {median:.1} ns {most:.1} ns]");
    }
}

fn parsers(c: &mut Criterion) {
    let world = World::new(1);
    let frame = world.data(40_000, (1, 1), 1).data;
    c.bench_function("parse/ethernet", |b| {
        b.iter(|| ethernet::Header::parse(black_box(&frame)));
    });
    c.bench_function("parse/ipv4", |b| {
        b.iter(|| ipv4::Header::parse(black_box(&frame[14..])));
    });
    c.bench_function("parse/tcp-and-options", |b| {
        b.iter(|| {
            let (header, text) = tcp::Header::parse(black_box(&frame[34..])).ok()?;
            let options = tcp::Options::parse(header.options_bytes());
            Some((header.fields(), options, text.len()))
        });
    });
    c.bench_function("parse/checksum-of-33-bytes", |b| {
        b.iter(|| checksum(black_box(&frame[34..])));
    });
    let text = vec![0x5a; SUPER + 32];
    c.bench_function("parse/checksum-of-64-KiB", |b| {
        b.iter(|| checksum(black_box(&text)));
    });
}

fn stack(_: &mut Criterion) {
    let byte = Bytes::from_static(b"x");
    // For profilers, which want nothing but turns.
    if let Some(turns) = std::env::var("LAYERS_TURNS")
        .ok()
        .and_then(|n| n.parse().ok())
    {
        let conns = std::env::var("LAYERS_CONNS").ok();
        let conns = conns.and_then(|n| n.parse().ok()).unwrap_or(256);
        let mut world = World::new(conns);
        let out = std::env::var("LAYERS_OUT").ok();
        let len = match out.and_then(|n| n.parse().ok()) {
            Some(out) => {
                world.leave_out(out, &byte);
                0
            }
            None => 1,
        };
        for _ in 0..turns {
            world.turn(len, &byte);
        }
        return;
    }
    parts(
        &mut World::new(256),
        (1, &byte),
        &[
            ("small/handle_frame", |spent| spent.handle_frame),
            ("small/event-and-read", |spent| spent.read),
            ("small/write", |spent| spent.write),
            ("small/poll_transmit", |spent| spent.poll_transmit),
        ],
    );
    for (records, name) in OUT {
        let mut world = World::new(1);
        world.leave_out(records, &byte);
        parts(&mut world, (0, &byte), &[(name, |spent| spent.handle_ack)]);
    }
    parts(
        &mut World::new(16),
        (SUPER, &Bytes::new()),
        &[
            ("super-in/handle_frame", |spent| spent.handle_frame),
            ("super-in/event-and-read", |spent| spent.read),
            ("super-in/poll_transmit", |spent| spent.poll_transmit),
        ],
    );
    let text = Bytes::from(vec![0x5a; SUPER]);
    let mut world = World::new(16);
    world.open_windows(&text);
    parts(
        &mut world,
        (0, &text),
        &[
            ("super-out/write", |spent| spent.write),
            ("super-out/poll_transmit", |spent| spent.poll_transmit),
            ("super-out/handle_ack", |spent| spent.handle_ack),
        ],
    );
}

#[cfg(all(target_os = "linux", feature = "host"))]
mod device {
    //! The system calls.

    use std::error::Error;
    use std::net::UdpSocket;
    use std::process::Command;

    use netloom::device::{Device, Receive, RxBatch, Tap, TunTapRx};
    use netloom::link::{SegmentKind, Segmentation, TxMeta};
    use nix::sched::{CloneFlags, unshare};
    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;

    /// Frames that wait in the device's queue before reads are timed.
    const QUEUED: usize = 64;

    pub(crate) fn calls(c: &mut Criterion) {
        if let Err(error) = try_calls(c) {
            println!("device/.. left out: {error}");
        }
    }

    fn try_calls(c: &mut Criterion) -> Result<(), Box<dyn Error>> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let tap = Tap::builder()
            .name("nl0")
            .kernel_address("10.7.0.1/24".parse()?)
            .open()?;
        let words = "neigh add 10.7.0.2 lladdr 02:00:00:00:00:02 dev nl0 nud permanent";
        Command::new("ip").args(words.split(' ')).status()?;
        let (mut rx, mut tx) = tap.split();

        // To a MAC address that is not the kernel's: dropped as soon as it is in.
        let world = World::new(1);
        let small = world.data(40_000, (1, 1), 1).data;
        let whole = world.data(40_000, (1, 1), SUPER).data;
        let checksum = PartialChecksum {
            start: 34,
            offset: 16,
        };
        let kind = SegmentKind::Tcp4;
        let size = NonZeroU16::new(MSS as u16).ok_or("zero")?;
        let cut = TxMeta::offload(checksum, Some(Segmentation { kind, size }));
        for (name, frame, meta) in [
            ("device/write-small", small, TxMeta::PLAIN),
            ("device/write-super", whole, cut),
        ] {
            let (headers, payload) = (&frame[..HEADERS], [frame.slice(HEADERS..)]);
            let frame = TxFrame::new(headers, &payload, meta);
            c.bench_function(name, |b| {
                b.iter(|| tx.transmit(Instant::ZERO, black_box(&frame)));
            });
        }

        let socket = UdpSocket::bind("10.7.0.1:0")?;
        socket.connect("10.7.0.2:9")?;
        reads(c, "device/read-small", &mut rx, &|| socket.send(b"x"));
        setsockopt(&socket, sockopt::UdpGsoSegment, &(MSS as i32))?;
        let text = vec![0; SUPER];
        reads(c, "device/read-super", &mut rx, &|| socket.send(&text));
        let mut batch = RxBatch::new(1);
        c.bench_function("device/read-nothing", |b| {
            b.iter(|| {
                let received = rx.receive(Instant::ZERO, &mut batch);
                batch.drain().for_each(drop);
                received
            });
        });
        Ok(())
    }

    fn reads(
        c: &mut Criterion,
        name: &str,
        rx: &mut TunTapRx,
        send: &dyn Fn() -> std::io::Result<usize>,
    ) {
        let mut batch = RxBatch::new(QUEUED);
        let mut read = || {
            let received = rx.receive(Instant::ZERO, &mut batch).expect("it stays");
            batch.drain().for_each(drop);
            received
        };
        c.bench_function(name, |b| {
            b.iter_custom(|iters| {
                let (mut spent, mut frames) = (Duration::ZERO, 0);
                while frames < iters {
                    while read() > 0 {}
                    for _ in 0..QUEUED {
                        send().expect("the queue has room");
                    }
                    let mut received = 0;
                    spent += timed(|| received = read());
                    frames += received as u64;
                }
                spent.mul_f64(iters as f64 / frames as f64)
            });
        });
    }
}

#[cfg(not(all(target_os = "linux", feature = "host")))]
mod device {
    pub(crate) fn calls(_: &mut super::Criterion) {
        println!("device/.. left out: it needs Linux");
    }
}

criterion_group!(benches, parsers, stack, device::calls);
criterion_main!(benches);
