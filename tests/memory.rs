//! What a connection costs in memory, that a steady flow allocates nothing, and that a replay holds no file: with a counting
//! allocator, which is why these tests have a process of their own.
#![allow(unsafe_code)] // the counting allocator, and nothing else
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, RefCell};
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use core::sync::atomic::{AtomicIsize, Ordering};
use core::time::Duration;
use std::alloc::System;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use netloom::base::{DropReason, Protocol};
use netloom::bytes::Bytes;
use netloom::capture::{DifferenceClass, Fed, ForeignReplay, Recording, RecordingSettings, Replay};
use netloom::device::{
    Capabilities, Device, DeviceError, Medium, Pair, PairRx, PairTx, Receive, RxBatch, Sent,
    Transmit, WireConfig,
};
use netloom::host::Host;
use netloom::link::{PartialChecksum, RxFrame, RxMeta, SegmentKind, Segmentation, TxFrame, TxMeta};
use netloom::sim::{Bulk, HostConfig, Network, PortConfig, Sink};
use netloom::stack::{
    AddressState, ConnectError, Event, ForwardOptions, ListenOptions, ListenerId, Port, Readiness,
    SocketId, TcpId, UdpOptions,
};
use netloom::tcp::congestion::Choice;
use netloom::tcp::{Fields, Flags, Header, MemoryPressure, Options, ReadError, TcpOptions};
use netloom::{Config, Instant, InterfaceConfig, Seed, Stack};
use netloom::{ipv4, ipv6};

// --- the allocator ------------------------------------------------------------------------

struct Counting;

thread_local! {
    /// Bytes that this thread allocated, less those that it freed.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// The most that those were since it was last set.
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// Allocations by this thread, growth included.
    static CALLS: Cell<usize> = const { Cell::new(0) };
    /// Bytes of them together.
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    /// Sizes of the allocations that are being watched.
    static WATCHED: RefCell<Option<[usize; 16]>> = const { RefCell::new(None) };
}

/// Bytes that all threads allocated, less those that they freed.
static ALL_LIVE: AtomicIsize = AtomicIsize::new(0);

/// A host has threads of its own, so what it allocates is told from what others do by running alone.
static TURN: RwLock<()> = RwLock::new(());

fn beside_others() -> RwLockReadGuard<'static, ()> {
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    TURN.write().unwrap_or_else(PoisonError::into_inner)
}

fn count(grown: isize, calls: usize, size: usize) {
    ALL_LIVE.fetch_add(grown, Ordering::Relaxed);
    // A thread that ends has no counters any more.
    let live = LIVE.try_with(|live| {
        live.set(live.get() + grown);
        live.get()
    });
    let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.unwrap_or(0))));
    let before = CALLS.try_with(|all| all.replace(all.get() + calls));
    if calls > 0 && before.is_ok() {
        let _ = ALLOCATED.try_with(|all| all.set(all.get() + size));
        let _ = WATCHED.try_with(|watched| {
            if let Ok(mut watched) = watched.try_borrow_mut()
                && let Some(sizes) = watched.as_mut()
                && let Some(place) = sizes.iter_mut().find(|size| **size == 0)
            {
                *place = size;
            }
        });
    }
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(0)
}

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()), 1, layout.size());
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-signed(layout.size()), 0, 0);
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        count(signed(new) - signed(layout.size()), 1, new);
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.realloc(ptr, layout, new) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations that `work` makes in this thread, and the sizes of the first of them.
fn allocations(work: impl FnOnce()) -> (usize, Vec<usize>) {
    let before = CALLS.get();
    WATCHED.set(Some([0; 16]));
    work();
    let sizes = WATCHED.take().unwrap();
    let calls = CALLS.get() - before;
    (calls, sizes.into_iter().filter(|&size| size > 0).collect())
}

// --- a stack and a peer made by hand, joined by the in-memory pair ------------------------

const OURS: u16 = 80;
const STEP: Duration = Duration::from_micros(100);

/// One end of a connection, as its peer sees it.
#[derive(Clone, Copy)]
struct Flow {
    port: u16,
    seq: u32,
    ack: u32,
}

struct World {
    now: Instant,
    stack: Stack,
    port: Port<PairRx, PairTx>,
    listener: ListenerId,
    peer_rx: PairRx,
    peer_tx: PairTx,
    batch: RxBatch,
    addresses: [IpAddr; 2],
    texts: Bytes,
    offload: bool,
    /// What the peers' segments tell.
    window: u16,
    /// What their SYNs ask for beside that.
    syn: Flags,
    /// The MSS that they tell.
    mss: u16,
}

impl World {
    fn new(v6: bool) -> Self {
        // Room for text of 1448 bytes in both families.
        Self::with(v6, Capabilities::full(Medium::Ip, 1520))
    }

    fn with(v6: bool, capabilities: Capabilities) -> Self {
        let config = Config::new(Seed::from_number(3));
        Self::serving(v6, capabilities, config, TcpOptions::default())
    }

    /// A stack with these settings, whose listener has these.
    fn serving(v6: bool, capabilities: Capabilities, config: Config, options: TcpOptions) -> Self {
        let (a, b) = Pair::new(capabilities, 4096);
        let addresses: [IpAddr; 2] = if v6 {
            ["fd00::1", "fd00::2"]
        } else {
            ["10.0.0.1", "10.0.0.2"]
        }
        .map(|text| text.parse().unwrap());
        let now = Instant::from_millis(1000);
        let mut stack = Stack::new(config);
        let net = if v6 { "fd00::1/64" } else { "10.0.0.1/24" };
        let interface = InterfaceConfig::new(a.capabilities()).address(net.parse().unwrap());
        let on = stack.add_interface(now, interface).unwrap();
        let backlog = ListenOptions::new(options).backlog(20_000);
        let listener = stack
            .tcp_listen(SocketAddr::new(addresses[0], OURS), backlog)
            .unwrap();
        let (port, (peer_rx, peer_tx)) = (Port::new(on, a.split()), b.split());
        Self {
            now,
            stack,
            port,
            listener,
            peer_rx,
            peer_tx,
            batch: RxBatch::new(64),
            addresses,
            texts: Bytes::from(vec![7; 65_536]),
            offload: capabilities.checksum,
            window: 65_535,
            syn: Flags::SYN,
            mss: 1460,
        }
    }

    /// Everything that can happen now; what the stack sends is shown to `seen`, text length last.
    fn pump(&mut self, mut seen: impl FnMut(&Fields, u32)) {
        self.now = self.now + STEP;
        let mut user = |_: &mut Stack, _: Instant, _: Event| {};
        loop {
            let next = self.port.turn(self.now, &mut self.stack, &mut user);
            let next = next.unwrap();
            let seen_now = self.peer_rx.receive(self.now, &mut self.batch).unwrap();
            for frame in self.batch.drain() {
                let ip = if self.addresses[0].is_ipv4() { 20 } else { 40 };
                let (header, text) = Header::parse(&frame.data[ip..]).unwrap();
                seen(&header.fields(), text.len() as u32);
            }
            // A turn may send more than a batch, and the peer's queue is full while the stack has more.
            if next.received + next.sent + seen_now == 0 && !next.again {
                break;
            }
        }
    }

    /// What came is taken, and events stay.
    fn pump_quietly(&mut self) {
        let rx = self.port.rx_mut();
        rx.receive(self.now).unwrap();
        rx.deliver(self.now, &mut self.stack, |_| {});
    }

    /// The peer sends a segment; with text of more than 1448 bytes a super-segment.
    fn send(&mut self, flow: &mut Flow, flags: Flags, options: &Options, text: usize) {
        let mut fields = Fields::default();
        (fields.src_port, fields.dst_port) = (flow.port, OURS);
        (fields.seq, fields.ack, fields.flags) = (flow.seq, flow.ack, flags);
        fields.window = self.window;
        let mut header = [0; 120];
        let mut segment = [0; 60];
        let len = fields.emit(options, &mut segment);
        let whole = len + text;
        let (ip, sum) = match self.addresses {
            [IpAddr::V4(to), IpAddr::V4(from)] => (
                ipv4::Fields::new(from, to, Protocol::TCP).emit(whole, &mut header),
                ipv4::pseudo_sum(from, to, Protocol::TCP, whole),
            ),
            [IpAddr::V6(to), IpAddr::V6(from)] => (
                ipv6::Fields::new(from, to, Protocol::TCP).emit(whole, &mut header),
                ipv6::pseudo_sum(from, to, Protocol::TCP, whole),
            ),
            _ => unreachable!("one family"),
        };
        header[ip..ip + len].copy_from_slice(&segment[..len]);
        let payload = [self.texts.slice(..text)];
        let meta = if self.offload {
            let size = NonZeroU16::new(1448).filter(|size| text > size.get().into());
            let kind = match self.addresses[0] {
                IpAddr::V4(_) => SegmentKind::Tcp4,
                IpAddr::V6(_) => SegmentKind::Tcp6,
            };
            let segment = size.map(|size| Segmentation { kind, size });
            let start = ip as u16;
            TxMeta::offload(PartialChecksum { start, offset: 16 }, segment)
        } else {
            let sum = sum.bytes(&header[ip..ip + len]).bytes(&payload[0]).finish();
            header[ip + 16..ip + 18].copy_from_slice(&sum.to_be_bytes());
            TxMeta::PLAIN
        };
        let frame = TxFrame::new(&header[..ip + len], &payload, meta);
        assert_eq!(
            self.peer_tx.transmit(self.now, &frame).unwrap(),
            Sent::Taken
        );
        let controls = flags.intersection(Flags::SYN | Flags::FIN).iter().count() as u32;
        flow.seq = flow.seq.wrapping_add(text as u32 + controls);
    }

    /// The peer's SYN, and what it learned from the answer.
    fn half_open(&mut self, port: u16) -> Flow {
        self.half_open_from(port, 5000)
    }

    /// The same with the SYN's number.
    fn half_open_from(&mut self, port: u16, seq: u32) -> Flow {
        let mut flow = Flow { port, seq, ack: 0 };
        let mut options = Options::default();
        options.mss = Some(self.mss);
        options.sack_permitted = true;
        options.window_scale = Some(7);
        self.send(&mut flow, self.syn, &options, 0);
        self.pump(|answer, _| {
            if answer.dst_port == port {
                flow.ack = answer.seq.wrapping_add(1);
            }
        });
        flow
    }

    /// A connection that the peer opened and the user accepted.
    fn open(&mut self, port: u16) -> (TcpId, Flow) {
        let mut flow = self.half_open(port);
        self.send(&mut flow, Flags::ACK, &Options::NONE, 0);
        self.pump(|_, _| {});
        (
            self.stack.tcp_accept(self.now, self.listener).unwrap(),
            flow,
        )
    }

    /// A connection that the user opened.
    fn connect(&mut self, port: u16) -> (TcpId, Flow) {
        let to = SocketAddr::new(self.addresses[1], port);
        let from = SocketAddr::new(self.addresses[0], OURS);
        // The listener's own port, so that the peer's segments need to know one only.
        let options = TcpOptions::default();
        let id = self.stack.tcp_connect(self.now, to, Some(from), options);
        let id = id.unwrap();
        let mut flow = Flow {
            port,
            seq: 9000,
            ack: 0,
        };
        self.pump(|syn, _| flow.ack = syn.seq.wrapping_add(1));
        let mut options = Options::default();
        options.mss = Some(1460);
        options.window_scale = Some(7);
        self.send(&mut flow, Flags::SYN | Flags::ACK, &options, 0);
        self.pump(|_, _| {});
        (id, flow)
    }

    /// The peer sends text in order.
    fn text(&mut self, flow: &mut Flow, len: usize) {
        self.send(flow, Flags::ACK | Flags::PSH, &Options::NONE, len);
    }

    /// The user reads all there is.
    fn read(&mut self, id: TcpId) -> usize {
        let mut all = 0;
        loop {
            match self.stack.tcp_read_chunk(self.now, id, usize::MAX) {
                Ok(chunk) => all += chunk.len(),
                Err(ReadError::WouldBlock) => return all,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The peer acknowledges what the stack sends, till nothing comes any more.
    fn acknowledge(&mut self, flow: &mut Flow) {
        loop {
            let mut ack = flow.ack;
            self.pump(|seg, text| {
                let fin = u32::from(seg.flags.contains(Flags::FIN));
                let end = seg.seq.wrapping_add(text + fin);
                if seg.dst_port == flow.port && (end.wrapping_sub(ack) as i32) > 0 {
                    ack = end;
                }
            });
            if ack == flow.ack {
                return;
            }
            flow.ack = ack;
            self.send(flow, Flags::ACK, &Options::NONE, 0);
        }
    }

    /// A connection that is over but for its TIME-WAIT.
    fn end_in_time_wait(&mut self, port: u16) -> Flow {
        let (id, mut flow) = self.open(port);
        self.converse(id, &mut flow);
        self.stack.tcp_close(self.now, id);
        self.acknowledge(&mut flow);
        self.send(&mut flow, Flags::FIN | Flags::ACK, &Options::NONE, 0);
        self.pump(|_, _| {});
        flow
    }

    /// Text in both directions, all of it read and acknowledged.
    fn converse(&mut self, id: TcpId, flow: &mut Flow) {
        for len in [1448, 1448, 100, 30_000] {
            self.text(flow, len);
        }
        self.pump(|_, _| {});
        assert_eq!(self.read(id), 32_996);
        let written = self.stack.tcp_write(self.now, id, &[3; 10_000]).unwrap();
        assert_eq!(written, 10_000);
        self.acknowledge(flow);
        self.stack.tcp_write(self.now, id, b"small").unwrap();
        self.acknowledge(flow);
        let info = self.stack.tcp_info(id).unwrap();
        assert_eq!((info.unacked, info.unsent, info.unread), (0, 0, 0));
    }
}

/// The most that each of `from..=to` things cost, live bytes over all of them, `make`
/// being called with a number of its own for each. So the worst moment of each table counts.
fn worst_cost(world: &mut World, make: impl Fn(&mut World, u16)) -> usize {
    const FROM: u16 = 1000;
    const TO: u16 = 10_000;
    // Chunks of the pair and lists that are there once.
    for number in 0..200 {
        make(world, 1000 + number);
    }
    let before = LIVE.get();
    let mut worst = 0;
    for number in 1..=TO {
        make(world, 2000 + number);
        if number >= FROM {
            let cost = (LIVE.get() - before) / isize::try_from(number).unwrap();
            worst = worst.max(usize::try_from(cost).unwrap());
        }
    }
    worst
}

// --- bytes per connection -----------------------------------------------------------------

/// What BBR measures is there from the start on.
#[test]
fn an_idle_connection_with_bbr_is_below_2_5_kib() {
    let _turn = beside_others();
    for choice in [Choice::Bbr, Choice::Bbr3] {
        let capabilities = Capabilities::full(Medium::Ip, 1520);
        let config = Config::new(Seed::from_number(3));
        let options = TcpOptions::default().congestion(choice.clone());
        let mut world = World::serving(false, capabilities, config, options);
        let cost = worst_cost(&mut world, |world, port| {
            let (id, mut flow) = world.open(port);
            world.converse(id, &mut flow);
        });
        println!("idle, {choice}: {cost} bytes");
        assert!(cost < 2560, "{choice}: {cost} bytes");
    }
}

#[test]
fn an_idle_established_connection_is_below_2_kib() {
    let _turn = beside_others();
    for v6 in [false, true] {
        let mut world = World::new(v6);
        let cost = worst_cost(&mut world, |world, port| {
            let (id, mut flow) = world.open(port);
            world.converse(id, &mut flow);
        });
        println!("idle, accepted, v6 {v6}: {cost} bytes");
        assert!(cost < 2048, "accepted, v6 {v6}: {cost} bytes");
        let mut world = World::new(v6);
        world.stack.tcp_listener_close(world.now, world.listener);
        let cost = worst_cost(&mut world, |world, port| {
            let (id, mut flow) = world.connect(port);
            world.converse(id, &mut flow);
        });
        println!("idle, connected, v6 {v6}: {cost} bytes");
        assert!(cost < 2048, "connected, v6 {v6}: {cost} bytes");
    }
}

/// What a replay reckons for each that a file brings.
#[test]
fn a_route_is_below_1408_bytes_and_an_address_below_twice_that() {
    let _turn = beside_others();
    let spread = |number: u32| u128::from(number.wrapping_mul(0x9e37_79b1)) << 64 | 0xfd << 120;
    let cidr = |number: u32, len: u8| {
        let address = core::net::Ipv6Addr::from_bits(spread(number) | 1);
        netloom::base::Cidr::new(address.into(), len).unwrap()
    };
    let via: IpAddr = "fe80::1".parse().unwrap();
    let cost = |count: u32, add: &dyn Fn(InterfaceConfig, u32) -> InterfaceConfig| {
        let mut stack = Stack::new(Config::new(Seed::from_number(1)));
        let (ours, theirs) = Pair::new(Capabilities::full(Medium::Ethernet, 1500), 4096);
        let (mut theirs, _theirs_tx) = theirs.split();
        let bare = InterfaceConfig::new(ours.capabilities());
        let config = (0..count).fold(bare, add);
        let before = LIVE.get();
        let on = stack.add_interface(Instant::ZERO, config.clone()).unwrap();
        // Its addresses are probed for, and come into use.
        let mut port = Port::new(on, ours.split());
        let mut batch = RxBatch::new(64);
        let used = |stack: &Stack| {
            let mut all = stack.addresses(on);
            all.all(|(_, state)| state == AddressState::Preferred)
        };
        // So many probes have no room at once.
        for now in (0..600_000).step_by(100).map(Instant::from_millis) {
            let mut user = |_: &mut Stack, _: Instant, _: Event| {};
            while port.turn(now, &mut stack, &mut user).unwrap().again
                || theirs.receive(now, &mut batch).unwrap() > 0
            {
                batch.drain().for_each(drop);
            }
            if used(&stack) {
                break;
            }
        }
        assert!(used(&stack));
        let held = LIVE.get() - before;
        usize::try_from(held).unwrap() / usize::try_from(count).unwrap()
    };
    for count in [5_000, 9_000] {
        let route = cost(count, &|config, n| config.route(cidr(n, 128), Some(via)));
        let address = cost(count, &|config, n| config.address(cidr(n, 128)));
        println!("{count}: {route} bytes a route, {address} an address");
        assert!(route < 1408, "{count} routes: {route} bytes each");
        assert!(address < 2816, "{count} addresses: {address} bytes each");
    }
}

#[test]
fn a_half_open_connection_is_below_256_bytes() {
    let _turn = beside_others();
    for v6 in [false, true] {
        let mut world = World::new(v6);
        let cost = worst_cost(&mut world, |world, port| {
            world.half_open(port);
        });
        assert_eq!(world.stack.tcp_open_count(), 10_200);
        println!("half-open, v6 {v6}: {cost} bytes");
        assert!(cost < 256, "v6 {v6}: {cost} bytes");
    }
}

/// A request that ends a TIME-WAIT keeps what it would return to.
#[test]
fn a_half_open_connection_behind_a_time_wait_is_below_296_bytes() {
    let _turn = beside_others();
    for v6 in [false, true] {
        let mut world = World::new(v6);
        let cost = worst_cost(&mut world, |world, port| {
            let mut flow = world.end_in_time_wait(port);
            assert_eq!(world.stack.tcp_time_wait_count(), 1);
            flow = world.half_open_from(port, flow.seq.wrapping_add(100_000));
            assert_ne!(flow.ack, 0, "the request was answered");
        });
        assert_eq!(world.stack.tcp_time_wait_count(), 0);
        assert_eq!(world.stack.tcp_open_count(), 10_200);
        println!("half-open behind a TIME-WAIT, v6 {v6}: {cost} bytes");
        assert!(cost < 296, "v6 {v6}: {cost} bytes");
    }
}

#[test]
fn a_time_wait_record_is_below_128_bytes() {
    let _turn = beside_others();
    for v6 in [false, true] {
        let mut world = World::new(v6);
        let cost = worst_cost(&mut world, |world, port| {
            world.end_in_time_wait(port);
        });
        assert_eq!(world.stack.tcp_time_wait_count(), 10_200);
        assert_eq!(world.stack.tcp_open_count(), 0);
        println!("TIME-WAIT, v6 {v6}: {cost} bytes");
        assert!(cost < 128, "v6 {v6}: {cost} bytes");
    }
}

#[test]
fn a_fin_wait_record_is_below_160_bytes() {
    let _turn = beside_others();
    for v6 in [false, true] {
        let mut world = World::new(v6);
        let cost = worst_cost(&mut world, |world, port| {
            let (id, mut flow) = world.open(port);
            world.converse(id, &mut flow);
            world.stack.tcp_close(world.now, id);
            world.acknowledge(&mut flow);
        });
        assert_eq!(world.stack.tcp_open_count(), 10_200);
        println!("FIN-WAIT-2, v6 {v6}: {cost} bytes");
        assert!(cost < 160, "v6 {v6}: {cost} bytes");
    }
}

/// A connection that owes a RST holds none of its buffers: a record, and its places in the tables.
#[test]
fn a_connection_that_owes_a_reset_is_below_400_bytes() {
    let _turn = beside_others();
    for v6 in [false, true] {
        let mut world = World::new(v6);
        let before = LIVE.get();
        let ids: Vec<_> = (0..10_000).map(|n| world.open(2000 + n).0).collect();
        for &id in &ids {
            world.stack.tcp_abort(world.now, id);
        }
        assert_eq!(world.stack.tcp_owed_resets(), 10_000);
        let cost = (LIVE.get() - before) / 10_000;
        let mut told = 0;
        world.pump(|seg, _| told += usize::from(seg.flags.contains(Flags::RST)));
        assert_eq!((told, world.stack.tcp_owed_resets()), (10_000, 0));
        println!("owed RST, v6 {v6}: {cost} bytes");
        assert!(cost < 400, "v6 {v6}: {cost} bytes");
    }
}

/// A device without offload, and one with.
fn devices() -> [(bool, Capabilities); 2] {
    let [plain, full] = [Capabilities::plain, Capabilities::full];
    [
        (false, plain(Medium::Ip, 1520)),
        (true, full(Medium::Ip, 1520)),
    ]
}

/// The smallest pieces with a gap before each, more than may be held.
#[test]
fn a_piece_out_of_order_is_below_300_bytes() {
    const PIECES: isize = 4096;
    let _turn = beside_others();
    for (offload, capabilities) in devices() {
        let config = Config::new(Seed::from_number(3));
        let mut world = World::serving(false, capabilities, config, TcpOptions::default());
        let (id, mut flow) = world.open(2000);
        (0..3000).for_each(|_| world.text(&mut flow, 1));
        world.pump(|_, _| {});
        assert_eq!(world.read(id), 3000);
        let (before, from) = (LIVE.get(), flow.seq);
        let mut most = 0;
        for number in 0..6000 {
            flow.seq = from + 1 + 2 * number;
            world.text(&mut flow, 1);
            world.pump(|_, _| {});
            most = most.max(LIVE.get() - before);
        }
        println!("offload {offload}: {} bytes for each piece", most / PIECES);
        assert!(most > 64 * PIECES, "{most} bytes: they are held");
        assert!(most <= 300 * PIECES, "{most} bytes");
        // What fills the first gap is taken, and what it leads to.
        flow.seq = from;
        world.text(&mut flow, 1);
        world.pump(|_, _| {});
        assert_eq!(world.read(id), 2);
    }
}

/// Who reports every second segment of the smallest there are, and pieces of the others, makes no more records than
/// there are segments, each with its note that it was taken for lost.
#[test]
fn what_was_sent_in_the_smallest_segments_is_bounded() {
    const ROOM: usize = 1 << 20;
    const MSS: u32 = 48;
    let _turn = beside_others();
    for (offload, capabilities) in devices() {
        let options = TcpOptions::default().congestion(Choice::Reno);
        let options = options.send_buffer_initial(ROOM).send_buffer_max(ROOM);
        let config = Config::new(Seed::from_number(3));
        let mut world = World::serving(false, capabilities, config, options);
        world.mss = MSS as u16;
        let (id, mut flow) = world.open(2000);
        let before = LIVE.get();
        let text = vec![3; ROOM];
        // The window grows until all that may be written is in flight.
        for _ in 0..20 {
            let _ = world.stack.tcp_write(world.now, id, &text).unwrap();
            world.acknowledge(&mut flow);
        }
        let written = world.stack.tcp_write(world.now, id, &text).unwrap();
        assert_eq!(written, ROOM);
        world.pump(|_, _| {});
        assert_eq!(world.stack.tcp_info(id).unwrap().unsent, 0);
        let segments = ROOM as u32 / MSS;
        // Every second one, with edges in the middle of those before and behind; then pieces of 1500 of the others.
        let whole = (0..segments / 2 - 1).map(|pair| (MSS * (2 * pair + 1) - 7, MSS + 20));
        let piece = |number: u32| (MSS * 2 * (number / 6) + 2 + 7 * (number % 6), 3);
        let blocks: Vec<_> = whole.chain((0..9000).map(piece)).collect();
        let mut most = 0;
        for three in blocks.chunks(3) {
            let mut options = Options::default();
            for &(at, len) in three {
                assert!(options.sack.push(flow.ack + at, flow.ack + at + len));
            }
            world.send(&mut flow, Flags::ACK, &options, 0);
            world.pump(|_, _| {});
            most = most.max(LIVE.get() - before);
        }
        let segments = isize::try_from(segments).unwrap();
        let beside = most - isize::try_from(ROOM).unwrap();
        let each = beside / segments;
        println!("offload {offload}: {each} bytes beside each of {segments} segments");
        assert!(each >= 80, "{each}: a record for each segment");
        // 210 for a record, 64 for its note, and a chunk that is being filled.
        let bound = segments * (210 + 64) + (256 << 10);
        assert!(
            beside <= bound,
            "{beside} bytes beside the text, {each} each"
        );
    }
}

/// A stack at 10.0.0.1/8 and frames from whoever is asked to send one.
struct Link {
    now: Instant,
    stack: Stack,
    port: Port<PairRx, PairTx>,
    others: (PairRx, PairTx),
    batch: RxBatch,
    medium: Medium,
}

impl Link {
    fn new(medium: Medium, config: Config) -> Self {
        let (ours, theirs) = Pair::new(Capabilities::full(medium, 1500), 4096);
        let mut stack = Stack::new(config);
        let interface = InterfaceConfig::new(ours.capabilities()).link_local(false);
        let interface = interface.address("10.0.0.1/8".parse().unwrap());
        let now = Instant::from_millis(1000);
        let on = stack.add_interface(now, interface).unwrap();
        let mut link = Self {
            now,
            stack,
            port: Port::new(on, ours.split()),
            others: theirs.split(),
            batch: RxBatch::new(64),
            medium,
        };
        // The address is announced twice.
        for _ in 0..4 {
            link.turn();
            link.now = link.now + Duration::from_secs(1);
        }
        link
    }

    /// Offers a frame to the stack, which sends nothing yet.
    fn offer(&mut self, frame: &[u8]) {
        let frame = TxFrame::new(frame, &[], TxMeta::PLAIN);
        let sent = self.others.1.transmit(self.now, &frame);
        assert_eq!(sent.unwrap(), Sent::Taken);
        let rx = self.port.rx_mut();
        rx.receive(self.now).unwrap();
        rx.deliver(self.now, &mut self.stack, |_| {});
    }

    /// The stack sends all it has; how many frames.
    fn turn(&mut self) -> usize {
        let mut count = 0;
        let mut user = |_: &mut Stack, _: Instant, _: Event| {};
        loop {
            let next = self.port.turn(self.now, &mut self.stack, &mut user);
            let seen = self.others.0.receive(self.now, &mut self.batch).unwrap();
            self.batch.drain().for_each(drop);
            count += seen;
            if seen == 0 && !next.unwrap().again {
                return count;
            }
        }
    }

    /// Somebody's question for our MAC address.
    fn ask(&mut self, from: u32) {
        let [_, b, c, d] = from.to_be_bytes();
        let mac = netloom::MacAddr::new([2, 1, 0, b, c, d]);
        let asks = netloom::arp::Packet::request(mac, [10, b, c, d].into(), [10, 0, 0, 1].into());
        let mut frame = [0; 42];
        let kind = netloom::link::EtherType::ARP;
        let all = netloom::MacAddr::BROADCAST;
        let at = netloom::link::ethernet::Fields::new(all, mac, kind).emit(&mut frame);
        let _ = asks.emit(&mut frame[at..]);
        self.offer(&frame);
    }

    /// Somebody's datagram of one byte, to this port of ours.
    fn datagram(&mut self, from: u32, to_port: u16) {
        assert_eq!(self.medium, Medium::Ip);
        let [_, b, c, d] = from.to_be_bytes();
        let (src, dst) = ([10, b, c, d].into(), [10, 0, 0, 1].into());
        let mut frame = [0; 29];
        let at = ipv4::Fields::new(src, dst, Protocol::UDP).emit(9, &mut frame);
        // Over IPv4 it needs no checksum.
        let _ = netloom::udp::Fields::new(9, to_port).emit(1, &mut frame[at..]);
        self.offer(&frame);
    }
}

/// Whoever is told of a closed port has a bucket, as many as there are places; twice the room in a table that has
/// just doubled.
#[test]
fn limits_of_icmp_errors_are_below_800_kib() {
    let _turn = beside_others();
    let config = Config::new(Seed::from_number(1)).icmp_errors_per_second(u32::MAX);
    let mut link = Link::new(Medium::Ip, config);
    // Tables and chunks that are there once.
    for _ in 0..300 {
        link.datagram(2, 7);
        link.turn();
    }
    let before = LIVE.get();
    let (mut told, mut most) = (0, 0);
    for from in 3..12_000 {
        link.datagram(from, 7);
        told += link.turn();
        most = most.max(LIVE.get() - before);
    }
    println!("{told} errors: {most} bytes");
    assert!((8190..=8192).contains(&told), "{told} errors");
    assert!(most < 800 << 10, "{most} bytes");
}

/// What a socket is charged for a datagram is no less than what that holds, the smallest included, in both queues.
#[test]
fn datagrams_hold_no_more_than_they_are_charged() {
    let _turn = beside_others();
    const QUEUE: usize = 212_992;
    let mut link = Link::new(Medium::Ip, Config::new(Seed::from_number(1)));
    let any = "0.0.0.0:7".parse().unwrap();
    let id = link.stack.udp_bind(any, UdpOptions::new()).unwrap();
    (0..300).for_each(|_| link.datagram(2, 8));
    link.turn();
    let before = LIVE.get();
    let mut held = 0;
    while link.stack.counters().drops.get(DropReason::UdpBufferFull) == 0 {
        link.datagram(2, 7);
        held += 1;
    }
    let received = usize::try_from(LIVE.get() - before).unwrap();
    println!("{held} datagrams received: {received} bytes");
    assert!(held > QUEUE / 130, "{held} datagrams");
    assert!(received <= QUEUE, "{received} bytes");
    let before = LIVE.get();
    let (mut held, to) = (0, Some("10.0.0.2:9".parse().unwrap()));
    while link.stack.udp_send_to(link.now, id, to, b"x").is_ok() {
        held += 1;
    }
    let sent = usize::try_from(LIVE.get() - before).unwrap();
    println!("{held} datagrams to be sent: {sent} bytes");
    assert!(held > QUEUE / 130, "{held} datagrams");
    assert!(sent <= QUEUE, "{sent} bytes");
}

/// What fragments are charged is no less than what they hold: whole frames, the smallest pieces, first ones with what an
/// error would quote, and a sender each, up to the bound of them all.
#[test]
fn fragments_hold_no_more_than_they_are_charged() {
    let _turn = beside_others();
    const MOST: usize = 1 << 20;
    for (len, first, of_one) in [
        (1480, true, 1),
        (1480, false, 1),
        (8, true, 1),
        (8, false, 1),
        (8, false, 200),
        (1016, false, 60),
        (1024, false, 60),
    ] {
        let config = Config::new(Seed::from_number(1)).reassembly_bytes(MOST);
        let mut link = Link::new(Medium::Ip, config);
        (0..300).for_each(|_| link.datagram(2, 8));
        link.turn();
        let before = LIVE.get();
        let mut most = 0;
        for nth in 0..4000_u32 {
            let [_, b, c, d] = (nth / of_one + 5).to_be_bytes();
            let mut frame = vec![0; 20 + len];
            let (src, dst) = ([10, b, c, d].into(), [10, 0, 0, 1].into());
            let mut fields = ipv4::Fields::new(src, dst, Protocol::UDP);
            (fields.dont_fragment, fields.more_fragments) = (false, true);
            let place = nth % of_one + u32::from(!first);
            fields.fragment_offset = place as u16 * (len / 8) as u16;
            let _ = fields.emit(len, &mut frame);
            link.offer(&frame);
            most = most.max(LIVE.get() - before);
        }
        println!("{len} bytes, {of_one} pieces of each: {most}");
        // The chunks that the last pieces lie in, before they are copied; the device keeps them to be filled again.
        let pinned = if len < 1024 { 0 } else { (4 * 256) << 10 };
        assert!(most <= signed(MOST + pinned), "{most} bytes");
        link.now = link.now + Duration::from_secs(61);
        link.turn();
        (0..300).for_each(|_| link.datagram(2, 8));
        let left = LIVE.get() - before;
        assert!(left < signed(pinned + (32 << 10)), "{left} bytes are left");
    }
}

/// Everybody asks, and the device takes nothing.
#[test]
fn answers_that_wait_to_be_sent_are_below_400_bytes() {
    let _turn = beside_others();
    const LIMIT: isize = 256;
    let mut link = Link::new(Medium::Ethernet, Config::new(Seed::from_number(1)));
    // The table of neighbours is full before, and so are the chunks of the pair.
    for from in 2..2000 {
        link.ask(from);
        link.turn();
    }
    let before = LIVE.get();
    (2000..4000).for_each(|from| link.ask(from));
    let held = LIVE.get() - before;
    let waited = isize::try_from(link.turn()).unwrap();
    println!("{waited} answers: {held} bytes");
    // What questions and errors may not lose their places to.
    assert_eq!(waited, LIMIT - 3 * 32);
    assert!(held <= 400 * waited, "{held} bytes");
}

/// A user that sends to everybody on a link where nobody answers.
#[test]
fn packets_that_wait_for_neighbours_are_below_200_bytes() {
    let _turn = beside_others();
    let mut link = Link::new(Medium::Ethernet, Config::new(Seed::from_number(1)));
    let any = "0.0.0.0:7".parse().unwrap();
    let id = link.stack.udp_bind(any, UdpOptions::new()).unwrap();
    // What the socket and the pair have once.
    for _ in 0..2000 {
        link.ask(2);
        link.turn();
    }
    let before = LIVE.get();
    let mut most = 0;
    for round in 0..20u32 {
        // Twice as many as may be unresolved.
        for to in 0..1024u32 {
            let [_, b, c, d] = (to + 256).to_be_bytes();
            let to = SocketAddr::from(([10, b, c, d], 9));
            let sent = link.stack.udp_send_to(link.now, id, Some(to), &[3; 16]);
            // One whose neighbour had no room is told of it later.
            assert!(sent.is_ok() || round > 0, "{sent:?}");
            link.turn();
        }
        most = most.max(LIVE.get() - before);
    }
    // Sixteen and their data for each of 512, beside the table of neighbours.
    let (packets, table) = (512 * 16, 320 * 1024);
    println!("{} bytes for each of {packets} packets", most / packets);
    assert!(most > packets * 64, "{most} bytes: they wait");
    assert!(most <= packets * (200 + 16) + table, "{most} bytes");
}

/// A table full of neighbours, each of which asked for us.
#[test]
fn a_neighbour_is_below_320_bytes() {
    let _turn = beside_others();
    let mut link = Link::new(Medium::Ethernet, Config::new(Seed::from_number(1)));
    let ask = |link: &mut Link, from| {
        link.ask(from);
        link.turn();
    };
    // Chunks of the pair: one station asks again and again.
    (0..2000).for_each(|_| ask(&mut link, 2));
    let before = LIVE.get();
    (3..1026).for_each(|from| ask(&mut link, from));
    let full = LIVE.get() - before;
    println!("a neighbour: {} bytes", full / 1023);
    assert!(full > 64 * 1023, "the table is full");
    assert!(full < 320 * 1023, "{} bytes each", full / 1023);
    // More of them, and the table is as it was.
    (1026..5000).for_each(|from| ask(&mut link, from));
    let later = LIVE.get() - before;
    assert!(later < 320 * 1023, "{later} bytes, and {full} before");
}

/// Narrow paths, as many as are remembered, and the packets by which one socket knows what it sent.
#[test]
fn a_narrow_path_is_below_300_bytes() {
    let _turn = beside_others();
    let mut link = Link::new(Medium::Ip, Config::new(Seed::from_number(1)));
    let any = "0.0.0.0:7".parse().unwrap();
    let id = link.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let large = Bytes::from(vec![0; 1400]);
    let refused = |link: &mut Link, to: u32| {
        let [_, b, c, d] = to.to_be_bytes();
        let to = SocketAddr::from(([10, b, c, d], 9));
        let (stack, now) = (&mut link.stack, link.now);
        stack
            .udp_send_chunk(now, id, Some(to), large.clone())
            .unwrap();
        link.turn();
        // Fragmentation needed, by a link of 1300 bytes: about the header of what has just left.
        let mut message = [0; 36];
        message[..8].copy_from_slice(&[3, 4, 0, 0, 0, 0, 0x05, 0x14]);
        let (ours, theirs) = ([10, 0, 0, 1].into(), [10, b, c, d].into());
        let quoted = ipv4::Fields::new(ours, theirs, Protocol::UDP);
        let at = 8 + quoted.emit(1408, &mut message[8..]);
        let _ = netloom::udp::Fields::new(7, 9).emit(1400, &mut message[at..]);
        let sum = netloom::base::checksum::checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut frame = [0; 56];
        let router = ipv4::Fields::new([10, 0, 0, 2].into(), ours, Protocol::ICMP);
        let at = router.emit(message.len(), &mut frame);
        frame[at..].copy_from_slice(&message);
        link.offer(&frame);
    };
    // Chunks of the pair, and what the socket remembers: to those whose path cannot be remembered later.
    (0..2000).for_each(|_| link.datagram(3, 8));
    link.turn();
    let before = LIVE.get();
    (3..1027).for_each(|to| refused(&mut link, to));
    let counters = link.stack.counters();
    assert_eq!(
        [counters.path_mtu_lowered, counters.path_mtu_full],
        [1024, 0]
    );
    let full = LIVE.get() - before;
    println!("a narrow path: {} bytes", full / 1024);
    assert!(full > 40 * 1024 && full < 300 * 1024, "{full} bytes");
    // There is no room for more, and none of those goes.
    (1027..3000).for_each(|to| refused(&mut link, to));
    assert_eq!(link.stack.counters().path_mtu_full, 1973);
    assert!(
        LIVE.get() - before < 300 * 1024,
        "{} bytes",
        LIVE.get() - before
    );
    // Ten minutes later all of it is given back, but for the tables' room.
    link.now = link.now + Duration::from_secs(601);
    for _ in 0..10 {
        link.turn();
    }
    let large = "10.0.0.9:9".parse().unwrap();
    let sent = link
        .stack
        .udp_send_to(link.now, id, Some(large), &[0; 1400]);
    assert_eq!(sent, Ok(1400));
}

// --- what unread text pins ----------------------------------------------------------------

/// What one unread segment costs in each of 500 connections, a chunk's worth of other traffic
/// between any two of them.
fn pinned(v6: bool, in_order: bool, size: impl Fn(u16) -> usize) -> isize {
    let mut world = World::new(v6);
    let (busy, mut busy_flow) = world.open(999);
    let mut flows: Vec<_> = (0..500).map(|n| world.open(1000 + n)).collect();
    let mut others = |world: &mut World| {
        for _ in 0..4 {
            world.text(&mut busy_flow, 64_000);
            world.pump(|_, _| {});
            assert_eq!(world.read(busy), 64_000);
        }
    };
    others(&mut world);
    let before = LIVE.get();
    for ((_, flow), n) in flows.iter_mut().zip(0..) {
        if !in_order {
            flow.seq = flow.seq.wrapping_add(10);
        }
        world.text(flow, size(n));
        world.pump(|_, _| {});
        others(&mut world);
    }
    let cost = (LIVE.get() - before) / 500;
    for ((id, flow), n) in flows.iter_mut().zip(0..) {
        if !in_order {
            let end = flow.seq;
            flow.seq = end.wrapping_sub(size(n) as u32 + 10);
            world.text(flow, 10);
            world.pump(|_, _| {});
        }
        let extra = if in_order { 0 } else { 10 };
        assert_eq!(world.read(*id), size(n) + extra);
    }
    cost
}

#[test]
fn an_unread_segment_pins_less_than_8_kib() {
    let _turn = beside_others();
    let every = |n: u16| 1 + usize::from(n) * 1447 / 499;
    for (what, size) in [
        ("every size", &every as &dyn Fn(u16) -> usize),
        ("1", &|_| 1),
        ("1023", &|_| 1023),
        ("1024", &|_| 1024),
        ("1448", &|_| 1448),
    ] {
        for (v6, in_order) in [(false, true), (true, true), (false, false)] {
            let cost = pinned(v6, in_order, size);
            println!("pinned by {what}, v6 {v6}, in order {in_order}: {cost} bytes");
            assert!(cost < 8192, "{what}, v6 {v6}: {cost} bytes");
        }
    }
}

/// A chunk's worth of traffic on a connection whose user reads it.
fn others(world: &mut World, id: TcpId, flow: &mut Flow) {
    for _ in 0..4 {
        world.text(flow, 64_000);
        world.pump(|_, _| {});
        assert_eq!(world.read(id), 64_000);
    }
}

/// An echo whose peer sends and does not read: what it wrote back waits for the peer's window.
#[test]
fn text_that_waits_to_be_sent_pins_no_more_than_it_is() {
    let _turn = beside_others();
    for (size, count) in [(1100, 500), (1448, 500), (40_000, 50)] {
        let mut world = World::new(false);
        let (busy, mut busy_flow) = world.open(999);
        world.window = 0;
        let (id, mut flow) = world.open(1000);
        world.window = 65_535;
        others(&mut world, busy, &mut busy_flow);
        let before = LIVE.get();
        for _ in 0..count {
            world.window = 0;
            world.text(&mut flow, size);
            world.pump(|_, _| {});
            let mut chunk = world
                .stack
                .tcp_read_chunk(world.now, id, usize::MAX)
                .unwrap();
            let written = world.stack.tcp_write_chunk(world.now, id, &mut chunk);
            assert_eq!(written.unwrap(), size);
            drop(chunk);
            world.window = 65_535;
            others(&mut world, busy, &mut busy_flow);
        }
        let text = size * count;
        // Large slices are copied within 16 MiB of frames, which half as much again may pin.
        let pinned = if size < 32_768 { 2 << 20 } else { 24 << 20 };
        let cost = usize::try_from(LIVE.get() - before).unwrap();
        println!("{text} bytes to be sent, {size} each: {cost} bytes");
        assert!(cost < 2 * text + pinned, "{cost} bytes for {text}");
    }
}

/// A user that keeps slices: beyond the bound of the receive buffer they cost what they are.
#[test]
fn slices_that_a_user_keeps_are_bounded() {
    const COUNT: usize = 600;
    let _turn = beside_others();
    let mut world = World::new(false);
    let (busy, mut busy_flow) = world.open(999);
    let (id, mut flow) = world.open(1000);
    others(&mut world, busy, &mut busy_flow);
    let before = LIVE.get();
    let mut kept = Vec::new();
    for _ in 0..COUNT {
        world.text(&mut flow, 1100);
        world.pump(|_, _| {});
        kept.push(
            world
                .stack
                .tcp_read_chunk(world.now, id, usize::MAX)
                .unwrap(),
        );
        others(&mut world, busy, &mut busy_flow);
    }
    let cost = LIVE.get() - before;
    println!("{COUNT} slices of 1100 bytes kept by the user: {cost} bytes");
    assert!(cost < 36 << 20, "{cost} bytes");
    assert!(kept.iter().all(|slice| slice[..] == [7; 1100]));
    // What came back is used again, and nothing is copied any more.
    drop(kept);
    for _ in 0..10 {
        others(&mut world, busy, &mut busy_flow);
    }
    let (calls, sizes) = allocations(|| others(&mut world, busy, &mut busy_flow));
    assert_eq!(calls, 0, "{sizes:?}");
}

/// Idle connections that hold large slices do not make everybody's frames be copied for ever.
#[test]
fn idle_connections_do_not_use_the_receive_buffer_up() {
    let _turn = beside_others();
    let mut world = World::new(false);
    let (busy, mut busy_flow) = world.open(999);
    for n in 0..64 {
        let (_, mut flow) = world.open(1000 + n);
        for _ in 0..3 {
            world.text(&mut flow, 33_000);
            world.pump(|_, _| {});
            others(&mut world, busy, &mut busy_flow);
        }
    }
    let pinned = LIVE.get();
    println!("64 connections with 99,000 unread bytes: {pinned} bytes");
    let (calls, sizes) = allocations(|| others(&mut world, busy, &mut busy_flow));
    assert_eq!(calls, 0, "{sizes:?}");
}

// --- the budget of a stack ----------------------------------------------------------------

/// A user that writes back what it reads, and a peer that knows how much was taken.
struct Echo {
    id: TcpId,
    flow: Flow,
    first: u32,
    /// Read, and not written yet.
    kept: Bytes,
}

impl Echo {
    fn open(world: &mut World, port: u16) -> Option<Self> {
        let flow = world.half_open(port);
        let mut flow = (flow.ack != 0).then_some(flow)?;
        world.send(&mut flow, Flags::ACK, &Options::NONE, 0);
        world.pump(|_, _| {});
        let id = world.stack.tcp_accept(world.now, world.listener).unwrap();
        let (first, kept) = (flow.seq, Bytes::new());
        Some(Self {
            id,
            flow,
            first,
            kept,
        })
    }

    /// What the user can: reads and writes till one of them blocks. Bytes written.
    fn work(&mut self, world: &mut World) -> usize {
        let mut all = 0;
        loop {
            if self.kept.is_empty() {
                let read = world.stack.tcp_read_chunk(world.now, self.id, usize::MAX);
                let Ok(chunk) = read else { return all };
                self.kept = chunk;
            }
            let written = world
                .stack
                .tcp_write_chunk(world.now, self.id, &mut self.kept);
            let Ok(written) = written else { return all };
            all += written;
        }
    }

    /// The peer sends a burst that fits the window; bytes of it that were taken.
    fn feed(&mut self, world: &mut World, most: usize) -> usize {
        let before = world.stack.tcp_info(self.id).unwrap();
        let room = before.rcv_wnd as usize;
        world.text(&mut self.flow, room.min(most).min(60_000));
        world.pump(|_, _| {});
        let after = world.stack.tcp_info(self.id).unwrap();
        self.flow.seq = self.first.wrapping_add(after.bytes_received as u32);
        (after.bytes_received - before.bytes_received) as usize
    }

    /// The peer sends till nothing more is taken, and reads nothing.
    fn fill(&mut self, world: &mut World) {
        while self.feed(world, usize::MAX) > 0 || self.work(world) > 0 {}
    }

    /// There and back, all of it; turns that it took.
    fn converse(&mut self, world: &mut World, bytes: usize) -> usize {
        let (mut sent, mut back) = (0, 0);
        for turn in 0..10_000 {
            sent += self.feed(world, bytes - sent);
            back += self.work(world);
            world.acknowledge(&mut self.flow);
            if (sent, back) == (bytes, bytes) {
                return turn;
            }
        }
        panic!("{sent} of {bytes} bytes came, {back} went back");
    }

    fn end(mut self, world: &mut World) {
        world.send(&mut self.flow, Flags::RST, &Options::NONE, 0);
        world.pump(|_, _| {});
        world.stack.tcp_close(world.now, self.id);
    }
}

/// All memory is used: neither a peer's SYN nor a connection of the user's is taken.
fn nobody_new_is_let_in(world: &mut World) {
    assert!(Echo::open(world, 800).is_none());
    let to = SocketAddr::new(world.addresses[1], 80);
    let options = TcpOptions::default();
    let connect = world.stack.tcp_connect(world.now, to, None, options);
    assert_eq!(connect, Err(ConnectError::NoMemory));
}

#[test]
fn filled_echoes_stay_within_the_budget_of_the_stack() {
    const GOOD: u16 = 8;
    let _turn = beside_others();
    for (count, limit) in [(100, 64 << 20), (4096, 32 << 20), (100, 1 << 20)] {
        let config = Config::new(Seed::from_number(3)).socket_memory(limit);
        let full = Capabilities::full(Medium::Ip, 1520);
        let mut world = World::serving(false, full, config, TcpOptions::default());
        let mut good: Vec<_> = (0..GOOD)
            .map(|n| Echo::open(&mut world, 900 + n).unwrap())
            .collect();
        let quiet: usize = good
            .iter_mut()
            .map(|e| e.converse(&mut world, 200_000))
            .sum();
        let before = LIVE.get();
        world.window = 0;
        let mut bad: Vec<_> = (0..count)
            .map(|n| Echo::open(&mut world, 1000 + n).unwrap())
            .collect();
        for _ in 0..2 {
            for echo in &mut bad {
                echo.fill(&mut world);
            }
        }
        world.stack.check_memory();
        let memory = world.stack.memory();
        let held = usize::try_from(LIVE.get() - before).unwrap();
        println!(
            "{} echoes filled, {limit} allowed: {memory:?}, {held} bytes",
            bad.len()
        );
        assert!(memory.most_used <= limit + bad.len() * 20 * 1024 + (1 << 20));
        // Beside it: what users have in hand, the receive buffer, and the connections themselves.
        let kept: usize = bad.iter().map(|echo| echo.kept.len()).sum();
        let beside = kept + (33 << 20) + bad.len() * 2048;
        assert!(held < memory.used + memory.used / 8 + beside);
        // Those that behave go on, in more turns if must be.
        world.window = 65_535;
        let busy: usize = good
            .iter_mut()
            .map(|e| e.converse(&mut world, 200_000))
            .sum();
        println!("turns of those that behave: {quiet} before, {busy} now");
        assert!(busy <= 60 * quiet.max(8), "{busy} turns");
        if memory.pressure == MemoryPressure::Full {
            nobody_new_is_let_in(&mut world);
        }
        // When they are gone, everything is as before.
        for echo in bad {
            echo.end(&mut world);
        }
        let calm: usize = good
            .iter_mut()
            .map(|e| e.converse(&mut world, 200_000))
            .sum();
        assert!(calm <= 2 * quiet + 8, "{calm} turns");
        for echo in good {
            echo.end(&mut world);
        }
        world.stack.check_memory();
        assert_eq!(world.stack.memory().used, 0);
    }
}

/// Writers that memory was refused are told when there is some, each once, the first first.
#[test]
fn writers_that_were_refused_are_told_when_memory_is_to_be_had() {
    let _turn = beside_others();
    let config = Config::new(Seed::from_number(3)).socket_memory(1 << 20);
    let full = Capabilities::full(Medium::Ip, 1520);
    let mut world = World::serving(false, full, config, TcpOptions::default());
    world.window = 0;
    let mut ends: Vec<_> = (0..30).map(|n| world.open(1000 + n)).collect();
    let data = vec![9; 100_000];
    let mut refused = Vec::new();
    for (id, _) in &ends {
        while world.stack.tcp_write(world.now, *id, &data).is_ok() {}
        let info = world.stack.tcp_info(*id).unwrap();
        if info.unacked + info.unsent < 2 << 20 {
            refused.push(*id);
        }
    }
    let told = |world: &mut World| -> Vec<TcpId> {
        let mut told = Vec::new();
        while let Some(event) = world.stack.poll_event() {
            if let SocketId::Tcp(id) = event.id
                && event.ready.contains(Readiness::WRITABLE)
            {
                told.push(id);
            }
        }
        told
    };
    assert_eq!(refused.len(), 30);
    assert!(world.stack.counters().tcp_writes_short_of_memory >= 30);
    assert_eq!(told(&mut world), [], "memory is short");
    // One that holds much goes away.
    let (first, mut flow) = ends.remove(0);
    world.send(&mut flow, Flags::RST, &Options::NONE, 0);
    world.pump_quietly();
    world.stack.tcp_close(world.now, first);
    let woken = told(&mut world);
    assert_eq!(
        woken[..],
        refused[1..],
        "each once, in the order of their refusals"
    );
    for (id, _) in &ends {
        let written = world.stack.tcp_write(world.now, *id, &data[..1]);
        assert_eq!(written, Ok(1));
    }
    world.stack.check_memory();
}

/// Rounds of connections, each with text in both directions: what stays when they are gone is the
/// tables' room, and it does not grow.
#[test]
fn rounds_of_connections_leave_the_tables_room_only() {
    const COUNT: u16 = 2000;
    let _turn = beside_others();
    let mut world = World::new(false);
    let round = |world: &mut World| {
        let mut ends: Vec<_> = (0..COUNT).map(|n| world.open(1000 + n)).collect();
        for (id, flow) in &mut ends {
            world.converse(*id, flow);
        }
        for (id, flow) in &mut ends {
            world.stack.tcp_close(world.now, *id);
            world.acknowledge(flow);
            world.send(flow, Flags::FIN | Flags::ACK, &Options::NONE, 0);
            world.pump(|_, _| {});
        }
        drop(ends);
        world.now = world.now + Duration::from_secs(120);
        world.pump(|_, _| {});
        assert_eq!(world.stack.memory().used, 0);
        LIVE.get()
    };
    // The pair's chunks and lists that are there once.
    let (id, mut flow) = world.open(999);
    world.converse(id, &mut flow);
    world.stack.tcp_abort(world.now, id);
    world.pump(|_, _| {});
    let before = LIVE.get();
    let first = round(&mut world) - before;
    let cost = first / isize::try_from(COUNT).unwrap();
    println!("what a connection that is gone leaves: {cost} bytes");
    assert!(cost < 512, "{cost} bytes");
    for _ in 0..2 {
        let again = round(&mut world) - before;
        assert!(again <= first + first / 8, "{first} bytes, then {again}");
    }
}

// --- what is held is not moved ------------------------------------------------------------

/// Seventy connections, so that each gives up what an idle one does not need with each segment, and
/// what they hold stays: in order and unread, or behind a gap.
#[test]
fn a_segment_costs_the_same_however_much_is_held() {
    const ROUNDS: usize = 320;
    let _turn = beside_others();
    for (size, gap) in [(1100, 0), (1100, 1), (1, 1)] {
        let options = TcpOptions::default().recv_buffer_initial(4 << 20);
        let config = Config::new(Seed::from_number(3));
        let full = Capabilities::full(Medium::Ip, 1520);
        let mut world = World::serving(false, full, config, options);
        let mut flows: Vec<_> = (0..70).map(|n| world.open(1000 + n).1).collect();
        let mut run = |rounds: usize| {
            for _ in 0..rounds {
                for flow in &mut flows {
                    flow.seq = flow.seq.wrapping_add(gap);
                    world.text(flow, size);
                }
                world.pump(|_, _| {});
            }
        };
        run(ROUNDS);
        let before = ALLOCATED.get();
        run(ROUNDS / 8);
        let cost = (ALLOCATED.get() - before) / (70 * ROUNDS / 8);
        println!("a segment of {size} bytes, {gap} apart, behind {ROUNDS}: {cost} bytes");
        assert!(cost < 4096, "{size} bytes, {gap} apart: {cost} bytes");
    }
}

/// What was unread when a connection became idle takes its buffers along when it is read.
#[test]
fn a_connection_that_cooled_unread_is_below_2_kib_once_it_is_read() {
    let _turn = beside_others();
    let mut world = World::new(false);
    let (busy, mut busy_flow) = world.open(999);
    let mut number = 1000;
    let mut round = |world: &mut World| {
        let mut ends: Vec<_> = (0..500).map(|n| world.open(number + n)).collect();
        number += 500;
        for (_, flow) in &mut ends {
            world.text(flow, 100);
            world.pump(|_, _| {});
        }
        for _ in 0..40 {
            world.text(&mut busy_flow, 64_000);
            world.pump(|_, _| {});
            world.read(busy);
        }
        for (id, _) in &ends {
            assert_eq!(world.read(*id), 100);
        }
        // The last delayed ACKs leave.
        world.now = world.now + Duration::from_secs(1);
        world.pump(|_, _| {});
    };
    round(&mut world);
    let before = LIVE.get();
    round(&mut world);
    let cost = (LIVE.get() - before) / 500;
    println!("cooled with unread text, then read: {cost} bytes");
    assert!(cost < 2048, "{cost} bytes");
}

// --- allocations --------------------------------------------------------------------------

const SEGMENTS: usize = 10_000;

#[test]
fn receiving_allocates_nothing() {
    let _turn = beside_others();
    let full = Capabilities::full(Medium::Ip, 1500);
    let plain = Capabilities::plain(Medium::Ip, 1500);
    for (text, capabilities) in [
        (1, full),
        (100, plain),
        (1000, full),
        (1448, full),
        (1448, plain),
        (64_000, full),
    ] {
        let mut world = World::with(false, capabilities);
        let (id, mut flow) = world.open(1000);
        let mut run = |segments: usize| {
            // A window's worth at most: it starts with 64 KiB.
            let burst = (60_000 / text).clamp(1, 32);
            for _ in 0..segments / burst {
                for _ in 0..burst {
                    world.text(&mut flow, text);
                }
                world.pump(|_, _| {});
                assert_eq!(world.read(id), burst * text);
            }
        };
        run(SEGMENTS);
        let (calls, sizes) = allocations(|| run(SEGMENTS));
        assert_eq!(calls, 0, "texts of {text}: {sizes:?}");
    }
}

#[test]
fn sending_allocates_nothing() {
    let _turn = beside_others();
    let full = Capabilities::full(Medium::Ip, 1500);
    let plain = Capabilities::plain(Medium::Ip, 1500);
    for (write, chunks, capabilities) in [
        (1, false, full),
        (700, false, full),
        (1448, false, plain),
        (20_000, true, plain),
        (60_000, false, full),
        (60_000, true, full),
        (4000, true, full),
    ] {
        let mut world = World::with(false, capabilities);
        let (id, mut flow) = world.open(1000);
        let data = vec![9; write];
        let chunk = Bytes::from(data.clone());
        let mut run = |writes: usize| {
            for _ in 0..writes {
                let written = if chunks {
                    world
                        .stack
                        .tcp_write_chunk(world.now, id, &mut chunk.clone())
                } else {
                    world.stack.tcp_write(world.now, id, &data)
                };
                assert_eq!(written.unwrap(), write);
                world.acknowledge(&mut flow);
            }
        };
        run(SEGMENTS / 2);
        let (calls, sizes) = allocations(|| run(SEGMENTS));
        assert_eq!(calls, 0, "writes of {write}, chunks {chunks}: {sizes:?}");
    }
}

/// A packet that is passed on is copied nowhere, and leaves in memory that is there.
#[test]
fn passing_on_allocates_nothing() {
    let _turn = beside_others();
    let now = Instant::from_millis(1);
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let [left, right] = [7u8, 8].map(|net| {
        let device = Capabilities::plain(Medium::Ip, 1500);
        let own = format!("10.{net}.0.2/24").parse().unwrap();
        let config = InterfaceConfig::new(&device).address(own);
        let config = config.forwarding(ForwardOptions::new());
        stack.add_interface(now, config).unwrap()
    });
    let fields = ipv4::Fields::new([10, 7, 0, 1].into(), [10, 8, 0, 1].into(), Protocol::UDP);
    let mut frame = vec![0; 1500];
    fields.emit(1480, &mut frame);
    let frame = Bytes::from(frame);
    let (device, _) = Pair::new(Capabilities::plain(Medium::Ip, 1500), 1);
    let mut port = Port::new(right, (device.split().0, Void));
    let mut pass_on = |packets: u64| {
        for _ in 0..packets / 16 {
            for _ in 0..16 {
                let frame = RxFrame::new(frame.clone(), RxMeta::new(now));
                stack.handle_frame(now, left, frame);
            }
            let tx = port.tx_mut();
            tx.send(now, &mut stack, usize::MAX).unwrap();
        }
        stack.counters().packets_forwarded
    };
    assert_eq!(pass_on(160), 160);
    let mut passed = 0;
    let (calls, sizes) = allocations(|| passed = pass_on(10_000));
    assert_eq!((passed, calls), (10_160, 0), "{sizes:?}");
}

/// Takes all, and forgets it.
struct Void;

impl Transmit for Void {
    fn transmit(&mut self, _: Instant, _: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        Ok(Sent::Taken)
    }
}

/// A full send buffer, the peer acknowledging one burst after another.
#[test]
fn sending_from_a_full_buffer_allocates_nothing() {
    let _turn = beside_others();
    let mut world = World::new(false);
    let (id, mut flow) = world.open(1000);
    let data = vec![9; 100_000];
    let mut run = |rounds: usize| {
        for _ in 0..rounds {
            while world.stack.tcp_write(world.now, id, &data).is_ok() {}
            let mut ack = flow.ack;
            world.pump(|seg, text| ack = seg.seq.wrapping_add(text));
            flow.ack = ack;
            world.send(&mut flow, Flags::ACK, &Options::NONE, 0);
        }
    };
    run(2000);
    let (calls, sizes) = allocations(|| run(2000));
    assert_eq!(calls, 0, "{sizes:?}");
}

/// What befalls a flow, once in 20 flights.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    None,
    /// A mark is echoed until CWR comes.
    Mark,
    /// The first segment does not arrive, and is reported missing.
    Loss,
}

impl World {
    /// Sends a flight of eight segments of the wire until it is acknowledged; in `trouble`, if any.
    fn flight(&mut self, id: TcpId, flow: &mut Flow, trouble: Trouble) {
        let written = self.stack.tcp_write(self.now, id, &[9; 8 * 1448]);
        assert_eq!(written.unwrap(), 8 * 1448);
        let (hole, mut top) = (flow.ack, flow.ack);
        let mut to_drop = trouble == Trouble::Loss;
        let mut marked = trouble == Trouble::Mark;
        for _ in 0..10_000 {
            let (mut next, mut came) = (flow.ack, false);
            self.pump(|seg, text| {
                let end = seg.seq.wrapping_add(text);
                marked &= !seg.flags.contains(Flags::CWR);
                if text == 0 || (seg.seq == hole && core::mem::take(&mut to_drop)) {
                    return;
                }
                came = true;
                if end.wrapping_sub(top) as i32 > 0 {
                    top = end;
                }
                if seg.seq == next {
                    // One hole at most, and this closes it.
                    next = if next == hole { top } else { end };
                }
            });
            flow.ack = next;
            if came {
                let mut options = Options::NONE;
                if top != next {
                    options.sack.push(next.wrapping_add(1448), top);
                }
                let echo = if marked { Flags::ECE } else { Flags::empty() };
                self.send(flow, Flags::ACK | echo, &options, 0);
                self.pump_quietly();
            }
            let info = self.stack.tcp_info(id).unwrap();
            if info.unacked == 0 && info.unsent == 0 {
                return;
            }
        }
        panic!("{trouble:?}: the flight is not over");
    }
}

/// Neither a controller's measuring nor its answer to a mark takes memory; an episode of loss takes what its
/// undoing needs and its reduction, and gives both back.
#[test]
fn no_controller_allocates_in_a_steady_flow() {
    let _turn = beside_others();
    let choices = [Choice::Reno, Choice::Cubic, Choice::Bbr, Choice::Bbr3];
    for choice in choices {
        for (trouble, most) in [(Trouble::None, 0), (Trouble::Mark, 1), (Trouble::Loss, 2)] {
            let options = TcpOptions::default().congestion(choice.clone());
            let config = Config::new(Seed::from_number(3));
            let capabilities = Capabilities::plain(Medium::Ip, 1500);
            let mut world = World::serving(false, capabilities, config, options);
            world.syn = Flags::SYN | Flags::ECE | Flags::CWR;
            let (id, mut flow) = world.open(1000);
            let mut run = |episodes: usize| {
                for _ in 0..episodes {
                    world.flight(id, &mut flow, trouble);
                    for _ in 0..19 {
                        world.flight(id, &mut flow, Trouble::None);
                    }
                }
            };
            run(50);
            let before = LIVE.get();
            let (calls, sizes) = allocations(|| run(100));
            let grown = LIVE.get() - before;
            assert!(
                calls <= 100 * most,
                "{choice}, {trouble:?}: {calls}, {sizes:?}"
            );
            assert!(
                grown < 1024,
                "{choice}, {trouble:?}: {grown} bytes are kept"
            );
            let info = world.stack.tcp_info(id).unwrap();
            let seen = match trouble {
                Trouble::None => 150,
                Trouble::Mark => info.ece_received,
                Trouble::Loss => world.stack.counters().tcp_fast_retransmits,
            };
            assert!(seen >= 140, "{choice}, {trouble:?}: {seen} episodes of 150");
        }
    }
}

// --- replays ------------------------------------------------------------------------------

/// The most bytes that this thread held at once for `work`.
fn peak(work: impl FnOnce()) -> isize {
    let before = LIVE.get();
    PEAK.set(before);
    work();
    PEAK.get() - before
}

/// A capture that nobody holds: its records come one by one.
struct Made<I> {
    records: I,
    now: Vec<u8>,
    read: usize,
}

impl<I: Iterator<Item = Vec<u8>>> Read for Made<I> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.read == self.now.len() {
            (self.now, self.read) = (self.records.next().unwrap_or_default(), 0);
        }
        let len = buf.len().min(self.now.len() - self.read);
        buf[..len].copy_from_slice(&self.now[self.read..self.read + len]);
        self.read += len;
        Ok(len)
    }
}

/// The header of a pcap of raw IP, nanoseconds, little endian.
fn pcap_header() -> Vec<u8> {
    let words = [0xa1b2_3c4du32, 0x0004_0002, 0, 0, 262_144, 101];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A segment of 10.0.0.1's, whose number is beyond 1000, or of 10.0.0.2's, beyond 5000.
fn record(
    nanos: u64,
    from: u8,
    port: u16,
    flags: Flags,
    (seq, ack): (u32, u32),
    text: usize,
) -> Vec<u8> {
    let mut fields = Fields::default();
    (fields.src_port, fields.dst_port) = if from == 1 { (port, 80) } else { (80, port) };
    (fields.flags, fields.seq, fields.ack, fields.window) = (flags, seq, ack, 60_000);
    let mut segment = vec![b'x'; 20 + text];
    let _ = fields.emit(&Options::NONE, &mut segment);
    let (src, dst) = ([10, 0, 0, from].into(), [10, 0, 0, 3 - from].into());
    let sum = ipv4::pseudo_sum(src, dst, Protocol::TCP, segment.len());
    let sum = sum.bytes(&segment).finish().to_be_bytes();
    segment[16..18].copy_from_slice(&sum);
    let mut packet = vec![0; 20];
    let _ = ipv4::Fields::new(src, dst, Protocol::TCP).emit(segment.len(), &mut packet);
    packet.extend(segment);
    let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let len = packet.len() as u32;
    let head = [seconds as u32, nanos as u32, len, len];
    let mut record: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
    record.extend(packet);
    record
}

/// Connections one after the other, each of which sends so many segments of 1000 bytes, a millisecond apart.
fn connections(count: u64, segments: u32) -> impl Iterator<Item = Vec<u8>> {
    let all = (0..count).flat_map(move |n| {
        let start = n * u64::from(segments + 10) * 1_000_000;
        let port = 1024 + (n % 50_000) as u16;
        let (syn, ack, fin) = (Flags::SYN, Flags::ACK, Flags::FIN | Flags::ACK);
        let at = move |step: u32| start + u64::from(step) * 1_000_000;
        let end = 1001 + 1000 * segments;
        let opening = [
            record(at(0), 1, port, syn, (1000, 0), 0),
            record(at(1), 2, port, syn | ack, (5000, 1001), 0),
            record(at(2), 1, port, ack, (1001, 5001), 0),
        ];
        let text = (0..segments).flat_map(move |n| {
            let seq = 1001 + 1000 * n;
            [
                record(at(3 + n), 1, port, ack, (seq, 5001), 1000),
                record(at(3 + n), 2, port, ack, (5001, seq + 1000), 0),
            ]
        });
        let closing = [
            record(at(4 + segments), 1, port, fin, (end, 5001), 0),
            record(at(5 + segments), 2, port, fin, (5001, end + 1), 0),
            record(at(6 + segments), 1, port, ack, (end + 1, 5002), 0),
        ];
        opening.into_iter().chain(text).chain(closing)
    });
    core::iter::once(pcap_header()).chain(all)
}

/// A capture of others is read once and not kept, however many connections are in it and however much they say, from
/// either side.
#[test]
fn a_foreign_capture_is_not_held() {
    let _turn = beside_others();
    for from in [1, 2] {
        let held = |count, segments| {
            peak(|| {
                let made = Made {
                    records: connections(count, segments),
                    now: Vec::new(),
                    read: 0,
                };
                let fed = Fed::From([10, 0, 0, from].into());
                let replay = ForeignReplay::new(made, fed).unwrap();
                let report = replay.most_flows(16).finish();
                assert!(report.is_sound(), "{report}");
                assert_eq!(report.flows, count, "{report}");
                let text = report.difference(DifferenceClass::Text);
                assert_eq!(text, None, "{report}");
            })
        };
        let many = [40, 400].map(|count| held(count, 5));
        let long = [500, 5000].map(|segments| held(1, segments));
        println!("from {from}: {many:?} of many, {long:?} of one");
        for [few, more] in [many, long] {
            assert!(more < few + few / 4, "from {from}: {few}, then {more}");
        }
    }
}

/// Nor is a name that is opened and reset for ever.
#[test]
fn a_foreign_name_that_comes_again_is_not_held() {
    let _turn = beside_others();
    let held = [500, 5000].map(|count| {
        let all = (0..count).flat_map(|n| {
            let (at, seq) = (u64::from(n) * 1_000_000, n * 100_000);
            [
                record(at, 1, 1024, Flags::SYN, (seq, 0), 0),
                record(at + 1000, 1, 1024, Flags::RST, (seq + 1, 0), 0),
            ]
        });
        peak(|| {
            let made = Made {
                records: core::iter::once(pcap_header()).chain(all),
                now: Vec::new(),
                read: 0,
            };
            let fed = Fed::From([10, 0, 0, 1].into());
            let replay = ForeignReplay::new(made, fed).unwrap();
            let report = replay.most_flows(16).finish();
            assert!(report.is_sound(), "{report}");
            assert_eq!(report.flows, u64::from(count), "{report}");
        })
    });
    assert!(held[1] < held[0] + held[0] / 4, "{held:?}");
}

/// A recording is read once and not kept.
#[test]
fn a_recording_is_not_held() {
    let _turn = beside_others();
    let held = [500_000, 5_000_000].map(|bytes| {
        let file = recorded(bytes);
        assert!(file.len() as u64 > bytes);
        let mut replay = None;
        let held = peak(|| {
            let end = replay.insert(Replay::new(&file[..]).unwrap()).run();
            assert!(end.is_ok(), "{:?}", end.err());
        });
        println!("{} bytes recorded, {held} held", file.len());
        held
    });
    assert!(held[1] < held[0] + held[0] / 4, "{held:?}");
}

/// A file that outlives who writes it.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The recording of a simulated host that receives so many bytes.
fn recorded(bytes: u64) -> Vec<u8> {
    let file = Shared::default();
    let mut net = Network::new(7);
    let wire = WireConfig::perfect()
        .rate(100_000_000)
        .delay(Duration::from_millis(1));
    let sends = net.add_host(HostConfig::new("sends"));
    let own = file.clone();
    let receives = net.add_host(HostConfig::new("receives").journal(move |config| {
        let settings = RecordingSettings::new(std::time::UNIX_EPOCH).queue(1 << 30);
        Box::new(Recording::start(own, config, &settings).unwrap())
    }));
    let port = |n: u8| PortConfig::new().address(format!("10.0.0.{n}/24").parse().unwrap());
    net.link(sends.port(port(1)), receives.port(port(2)), wire)
        .unwrap();
    let at = SocketAddr::new([10, 0, 0, 2].into(), 9);
    net.add_app(receives, Sink::new(at));
    net.add_app(sends, Bulk::new(at).bytes(bytes));
    net.run_for(Duration::from_secs(3)).unwrap();
    drop(net);
    core::mem::take(&mut file.0.lock().unwrap())
}

// --- through a host -----------------------------------------------------------------------

fn hosts() -> (Host, Host) {
    let (a, b) = Pair::new(Capabilities::full(Medium::Ip, 1500), 1000);
    let spawn = |device: Pair, address: &str| {
        let builder = Host::builder(device).address(address.parse().unwrap());
        builder.spawn().unwrap()
    };
    (spawn(a, "10.1.0.1/24"), spawn(b, "10.1.0.2/24"))
}

#[test]
fn a_hosts_idle_connection_is_below_2_kib() {
    const COUNT: usize = 300;
    const ROUNDS: usize = 5;
    let _turn = alone();
    let (server, client) = hosts();
    let listener = server.tcp_listen("10.1.0.1:80").unwrap();
    let mut ends = Vec::with_capacity(ROUNDS * COUNT + 100);
    let mut open = |count: usize| {
        let before = ALL_LIVE.load(Ordering::Relaxed);
        for _ in 0..count {
            let mut near = client.tcp_connect("10.1.0.1:80").unwrap();
            let (mut far, _) = listener.accept().unwrap();
            near.write_all(&[1; 3000]).unwrap();
            far.read_exact(&mut [0; 3000]).unwrap();
            far.write_all(&[1; 3000]).unwrap();
            near.read_exact(&mut [0; 3000]).unwrap();
            ends.push((near, far));
        }
        (ALL_LIVE.load(Ordering::Relaxed) - before) / isize::try_from(2 * count).unwrap()
    };
    open(100);
    // A chunk of the device's comes or goes with one of these rounds, and is no connection's.
    let mut costs = [(); ROUNDS].map(|()| open(COUNT));
    costs.sort_unstable();
    let cost = costs[ROUNDS / 2];
    println!("a host's idle connection: {cost} bytes, of {costs:?}");
    assert!(cost < 2048, "{cost} bytes");
}

/// Queues take memory as they fill: those of servers that nobody asks are empty.
#[test]
fn idle_listeners_and_udp_sockets_are_small() {
    const COUNT: u16 = 1000;
    let _turn = alone();
    let (server, _client) = hosts();
    let before = ALL_LIVE.load(Ordering::Relaxed);
    let listeners: Vec<_> = (1..=COUNT)
        .map(|port| server.tcp_listen(("10.1.0.1", port)).unwrap())
        .collect();
    let each = (ALL_LIVE.load(Ordering::Relaxed) - before) / isize::try_from(COUNT).unwrap();
    let before = ALL_LIVE.load(Ordering::Relaxed);
    let sockets: Vec<_> = (1..=COUNT)
        .map(|port| server.udp_bind(("10.1.0.1", port)).unwrap())
        .collect();
    let of_udp = (ALL_LIVE.load(Ordering::Relaxed) - before) / isize::try_from(COUNT).unwrap();
    println!("an idle listener: {each} bytes; an idle UDP socket: {of_udp} bytes");
    assert!(each < 4096, "{each} bytes");
    assert!(of_udp < 4096, "{of_udp} bytes");
    drop((listeners, sockets));
}
