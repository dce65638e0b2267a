//! The link, the clock and the two ends.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use netloom::decode::{Decoder, Link};
use netloom::device::{
    Capabilities, Chance, Device, DeviceError, Impair, Impairment, Medium, Pair, Receive, RxBatch,
    Sent, Transmit,
};
use netloom::link::{RxChecksum, TxFrame};
use netloom::tcp::TcpOptions;
use netloom::{Config, Instant, InterfaceConfig, InterfaceId, Seed, Stack};

use super::app::App;

/// splitmix64: enough for choices, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x6a09_e667_f3bc_c909)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// The sending half of a device that is full now and then, and a record of what left.
struct Fickle {
    inner: Box<dyn Transmit>,
    rng: Rng,
    full_percent: u64,
    /// It said full, and would take a frame a little later.
    said_full: bool,
    frames: u64,
    digest: DefaultHasher,
    /// Prints what leaves: `NETLOOM_TRACE` is set.
    trace: bool,
}

impl Transmit for Fickle {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if self.full_percent > 0 && self.rng.chance(self.full_percent) {
            self.said_full = true;
            return Ok(Sent::Full);
        }
        let sent = self.inner.transmit(now, frame)?;
        if self.trace && sent != Sent::Full {
            let whole = frame.to_vec();
            let line = Decoder::new(Link::Ip).line(&whole, whole.len(), RxChecksum::Verified);
            println!("{now:?} {line} {:?} {sent:?}", frame.meta.segment);
        }
        if sent == Sent::Taken {
            self.frames += 1;
            (now, frame.to_vec()).hash(&mut self.digest);
        }
        Ok(sent)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        self.inner.poll(now)
    }
}

struct End {
    stack: Stack,
    on: InterfaceId,
    app: App,
    rx: Box<dyn Receive>,
    tx: Fickle,
    /// When the sending half wants to be polled again.
    tx_due: Option<Instant>,
}

pub(crate) struct World {
    now: Instant,
    ends: [End; 2],
}

// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(4 * 3600);
// Beyond it, something turns without moving.
const TURNS: u64 = 2_000_000;

impl World {
    /// A link, buffers, streams and users drawn from `seed`.
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let v6 = rng.chance(40);
        let mtu = match (rng.below(4), v6) {
            (0, false) => 576,
            (0 | 1, true) => 1280,
            (1, false) => 68 + rng.below(1000) as usize,
            (2, _) => 1500,
            _ => 1280 + rng.below(65_535 - 1280) as usize,
        };
        let capabilities = if rng.chance(60) {
            Capabilities::full(Medium::Ip, mtu)
        } else {
            Capabilities::plain(Medium::Ip, mtu)
        };
        let queue = rng.pick(&[2, 10, 1000]);
        let start = Instant::from_nanos(rng.next() >> 8);
        let (a, b) = Pair::new(capabilities, queue);
        let direct = rng.chance(25);
        // Stop-and-wait over a bad link takes time, not insight.
        let [(first, small), (second, smaller)] = [options(&mut rng), options(&mut rng)];
        let smallest = small.min(smaller).min(mtu as u64);
        let most = (smallest * 300).min(400_000);
        let lengths = [
            rng.below(most),
            if rng.chance(30) { 0 } else { rng.below(most) },
        ];
        let mut ends = [(a, 0u64), (b, 1)].map(|(device, who)| {
            let (to_send, expected) = (lengths[who as usize], lengths[1 - who as usize]);
            let rests = rng.pick(&[0, 0, 1000, 200_000]);
            let app = App::new(who, rng.next(), to_send, expected, rests);
            let full_percent = rng.pick(&[0, 0, 10, 50]);
            let tx_rng = Rng::new(rng.next());
            let stack_seed = Seed::from_number(rng.next());
            if direct {
                return end(device, v6, start, stack_seed, app, (tx_rng, full_percent));
            }
            let impaired =
                Impair::new(device, Seed::from_number(rng.next())).sending(impairment(&mut rng));
            end(impaired, v6, start, stack_seed, app, (tx_rng, full_percent))
        });
        let server: SocketAddr = if v6 { "[fd00::1]:80" } else { "10.0.0.1:80" }
            .parse()
            .unwrap();
        let [a, b] = &mut ends;
        a.app.listen(&mut a.stack, server, first);
        b.app.connect(start, &mut b.stack, server, second);
        Self { now: start, ends }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn frames(&self) -> u64 {
        self.ends.iter().map(|end| end.tx.frames).sum()
    }

    pub(crate) fn digest(&self) -> [u64; 2] {
        [0, 1].map(|n| self.ends[n].tx.digest.finish())
    }

    /// Runs until both users are done.
    pub(crate) fn run(&mut self) {
        let start = self.now;
        let mut turns = 0;
        while !self.ends.iter().all(|end| end.app.done) {
            self.turn();
            turns += 1;
            assert!(turns < TURNS, "it only turns; {}", self.progress());
            assert!(
                self.now.since(start) < LONGEST,
                "too slow; {}",
                self.progress()
            );
        }
    }

    /// Everything that can happen now, then on to the next deadline.
    fn turn(&mut self) {
        let mut moved = false;
        for end in &mut self.ends {
            moved |= end.work(self.now);
        }
        if moved {
            return;
        }
        let next = self.ends.iter().filter_map(|end| end.next(self.now)).min();
        let Some(next) = next else {
            panic!("nothing will ever happen again; {}", self.progress());
        };
        // A deadline that is not in the future would stop the clock (r32).
        self.now = self.now.max(next).max(self.now + Duration::from_nanos(1));
        for end in &mut self.ends {
            if end.stack.poll_timeout().is_some_and(|at| at <= self.now) {
                end.stack.handle_timeout(self.now);
            }
        }
    }

    /// What the stacks still hold once the users are gone: nothing, after TIME-WAIT.
    pub(crate) fn check_end(&mut self) {
        let mut turns = 0;
        let busy = |end: &End| end.stack.tcp_open_count() + end.stack.tcp_time_wait_count() > 0;
        while self.ends.iter().any(busy) {
            self.turn();
            turns += 1;
            assert!(
                turns < TURNS,
                "a connection never ends; {}",
                self.progress()
            );
        }
        for end in &mut self.ends {
            end.stack.handle_timeout(self.now);
            assert_eq!(end.stack.poll_timeout(), None, "a timer of nothing");
            assert_eq!(end.stack.tcp_connections().count(), 0);
        }
    }

    fn progress(&self) -> String {
        let of = |end: &End| {
            let info = end.app.id().map(|id| end.stack.tcp_info(id));
            format!(
                "{}\n  wants transmit {}, next timeout {:?}\n  {info:?}\n  {:?}",
                end.app.progress(),
                end.stack.wants_transmit(end.on),
                end.stack.poll_timeout(),
                end.stack.counters(),
            )
        };
        format!(
            "at {:?}\n{}\n{}",
            self.now,
            of(&self.ends[0]),
            of(&self.ends[1])
        )
    }
}

impl End {
    /// Receives, lets the user work, sends; returns whether anything moved.
    fn work(&mut self, now: Instant) -> bool {
        let mut batch = RxBatch::new(64);
        self.rx.receive(now, &mut batch).unwrap();
        let mut moved = !batch.is_empty();
        for frame in batch.drain() {
            self.stack.handle_frame(now, self.on, frame);
        }
        moved |= self.app.step(now, &mut self.stack);
        // What was due is on the other end's side now.
        moved |= self.tx_due.is_some_and(|due| due <= now);
        self.tx_due = self.tx.poll(now).unwrap();
        self.tx.said_full = false;
        if self.stack.wants_transmit(self.on) {
            let progress = self
                .stack
                .poll_transmit(now, self.on, &mut self.tx)
                .unwrap();
            moved |= progress.sent > 0;
            self.tx_due = self.tx.poll(now).unwrap();
        }
        if self.tx.said_full || self.stack.wants_transmit(self.on) {
            // Writable again, soon.
            let soon = now + Duration::from_micros(20);
            self.tx_due = Some(self.tx_due.map_or(soon, |due| due.min(soon)));
        }
        moved
    }

    fn next(&self, now: Instant) -> Option<Instant> {
        let rest = self.app.rests_until;
        let rest = (!self.app.done && rest > now).then_some(rest);
        [
            self.stack.poll_timeout(),
            self.rx.next_ready(),
            self.tx_due,
            rest,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

fn end<D: Device>(
    device: D,
    v6: bool,
    start: Instant,
    seed: Seed,
    app: App,
    (rng, full_percent): (Rng, u64),
) -> End
where
    D::Rx: 'static,
    D::Tx: 'static,
{
    let who = app.who();
    let address = if v6 {
        format!("fd00::{}/64", who + 1)
    } else {
        format!("10.0.0.{}/24", who + 1)
    };
    let config = InterfaceConfig::new(device.capabilities())
        .link_local(false)
        .address(address.parse().unwrap());
    let mut stack = Stack::new(Config::new(seed));
    let on = stack.add_interface(start, config).unwrap();
    let (rx, tx) = device.split();
    End {
        stack,
        on,
        app,
        rx: Box::new(rx),
        tx: Fickle {
            inner: Box::new(tx),
            rng,
            full_percent,
            said_full: false,
            frames: 0,
            digest: DefaultHasher::new(),
            trace: std::env::var_os("NETLOOM_TRACE").is_some(),
        },
        tx_due: None,
    }
}

fn impairment(rng: &mut Rng) -> Impairment {
    let chance = |percent: u64| Chance::percent(percent as u32);
    let by = Duration::from_micros(rng.below(60_000));
    let mut wire = Impairment::none()
        .loss(chance(rng.pick(&[0, 0, 1, 5, 12])))
        .duplication(chance(rng.pick(&[0, 0, 2, 20])))
        .corruption(chance(rng.pick(&[0, 0, 1, 5])))
        .reordering(chance(rng.pick(&[0, 0, 5, 30])), by)
        .delay(Duration::from_micros(rng.below(80_000)))
        .jitter(Duration::from_micros(rng.pick(&[0, 0, 100, 20_000])));
    if rng.chance(30) {
        wire = wire
            .rate(100_000 + rng.below(100_000_000))
            .limit(20 + rng.below(1000) as usize);
    }
    wire
}

/// Settings, and the smallest buffer or segment among them.
fn options(rng: &mut Rng) -> (TcpOptions, u64) {
    let mut smallest = u64::MAX;
    let default = TcpOptions::default();
    let mut options = default.nodelay(rng.chance(50)).delayed_ack(rng.chance(70));
    if rng.chance(50) {
        let bytes = 1 + rng.below(30_000);
        smallest = smallest.min(bytes);
        options = options.send_buffer(bytes as usize);
    }
    if rng.chance(50) {
        let scale = rng.pick(&[2000, 100_000, 300_000]);
        let most = 1 + rng.below(scale) as usize;
        smallest = smallest.min(most as u64 / 2 + 1);
        options = options
            .recv_buffer_max(most)
            .recv_buffer_initial(most / 2 + 1);
    }
    if rng.chance(20) {
        options = options.mss(Some(rng.below(3000) as u16));
        smallest = smallest.min(48);
    }
    (options, smallest)
}
