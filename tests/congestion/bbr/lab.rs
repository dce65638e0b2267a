//! A talker whose BBR is looked at after every turn, and the path before it.

pub(crate) use core::time::Duration;

pub(crate) use netloom::Instant;
use netloom::base::Cidr;
use netloom::bytes::Bytes;
pub(crate) use netloom::device::{QueueLimit, WireConfig};
pub(crate) use netloom::sim::{
    App, AppId, Cx, HostConfig, HostId, LinkId, Network, Pair, PortConfig, Row, Sampling, Sink,
    TraceId, Wake,
};
use netloom::stack::{ListenOptions, TcpId};
pub(crate) use netloom::tcp::TcpOptions;
pub(crate) use netloom::tcp::congestion::Choice;

pub(crate) const SEC: Duration = Duration::from_secs(1);
pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const US: Duration = Duration::from_micros(1);
pub(crate) const SMSS: i128 = 1448;

/// The numbers by which `inspect` tells BBRv3's states.
pub(crate) const STARTUP: i128 = 0;
pub(crate) const DRAIN: i128 = 1;
pub(crate) const DOWN: i128 = 2;
pub(crate) const CRUISE: i128 = 3;
pub(crate) const REFILL: i128 = 4;
pub(crate) const UP: i128 = 5;
pub(crate) const PROBE_RTT: i128 = 6;

/// How the application writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    /// Whatever the buffer takes.
    Bulk,
    /// So many bytes, so often; a multiple of [`TICK`].
    Pieces(usize, Duration),
    Silent,
}

/// How often the application looks at what it is to do.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// An application that may change how it writes at any time.
pub(crate) struct Talker {
    to: std::net::SocketAddr,
    options: TcpOptions,
    pub(crate) id: Option<TcpId>,
    pub(crate) mode: Mode,
    last_piece: Instant,
    /// In bulk, how much waits to be sent: what it carries in two ticks, so that it soon falls silent.
    ahead: u64,
    text: Bytes,
}

fn ahead(bits: u64) -> u64 {
    (bits / 8 / 100).max(16 << 10)
}

impl Talker {
    fn write(&mut self, cx: &mut Cx<'_>) {
        let Some(id) = self.id else { return };
        match self.mode {
            Mode::Bulk => {
                while cx
                    .tcp_info(id)
                    .is_ok_and(|info| u64::from(info.unsent) < self.ahead)
                {
                    let _ = cx.tcp_write_chunk(id, &mut self.text.slice(..8 << 10));
                }
            }
            Mode::Pieces(bytes, every) if cx.now().since(self.last_piece) >= every => {
                self.last_piece = cx.now();
                let _ = cx.tcp_write_chunk(id, &mut self.text.slice(..bytes));
            }
            Mode::Pieces(..) | Mode::Silent => {}
        }
    }
}

impl App for Talker {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start => {
                self.id = Some(cx.tcp_connect(self.to, self.options.clone()).unwrap());
                cx.alarm_in(TICK, 0);
            }
            Wake::Alarm(_) => {
                self.write(cx);
                cx.alarm_in(TICK, 0);
            }
            _ if self.mode == Mode::Bulk => self.write(cx),
            _ => {}
        }
    }
}

/// What is written down of one turn.
#[derive(Clone, Debug)]
pub(crate) struct Look(pub(crate) Row);

impl Look {
    pub(crate) fn get(&self, name: &str) -> i128 {
        let found = self.0.inspected.iter().find(|(known, _)| *known == name);
        found
            .unwrap_or_else(|| panic!("nothing is told of {name}"))
            .1
    }

    pub(crate) fn state(&self) -> i128 {
        self.get("state")
    }

    pub(crate) fn at(&self) -> Instant {
        self.0.at
    }

    pub(crate) fn in_flight(&self) -> i128 {
        i128::from(self.0.info.in_flight)
    }
}

/// The experiment: everything that happened is in `history`.
pub(crate) struct Lab {
    pub(crate) network: Network,
    pub(crate) link: LinkId,
    pub(crate) talker: AppId<Talker>,
    sink: AppId<Sink>,
    trace: TraceId,
    pub(crate) history: Vec<Look>,
    /// Of the path: bits per second, and the round trip.
    pub(crate) bits: u64,
    pub(crate) rtt: Duration,
    forth: WireConfig,
}

/// A path, there and back.
pub(crate) fn path(bits: u64, rtt: Duration, queue: usize) -> (WireConfig, WireConfig) {
    let wire = WireConfig::perfect().rate(bits).delay(rtt / 2);
    let forth = wire.clone().queue(QueueLimit::Bytes(queue));
    (forth, wire)
}

impl Lab {
    /// 10 Mbit/s and 40 ms: a product of 33 segments.
    pub(crate) fn usual() -> Self {
        Self::new(1, 10_000_000, 40 * MS, Mode::Bulk)
    }

    /// With a queue that never overflows.
    pub(crate) fn new(seed: u64, bits: u64, rtt: Duration, mode: Mode) -> Self {
        Self::over(seed, (bits, rtt), path(bits, rtt, 64 << 20), mode)
    }

    pub(crate) fn over(
        seed: u64,
        (bits, rtt): (u64, Duration),
        (forth, back): (WireConfig, WireConfig),
        mode: Mode,
    ) -> Self {
        Self::with(seed, (bits, rtt), (forth, back), mode, Choice::Bbr3)
    }

    pub(crate) fn with(
        seed: u64,
        (bits, rtt): (u64, Duration),
        (forth, back): (WireConfig, WireConfig),
        mode: Mode,
        choice: Choice,
    ) -> Self {
        let pair = Pair::new(seed, (forth.clone(), back)).unwrap();
        let parts = (pair.network, pair.left, pair.right, pair.link);
        Self::in_network(parts, (bits, rtt), forth, mode, choice)
    }

    /// Both hosts wake up to so much later than they should.
    pub(crate) fn late(bits: u64, rtt: Duration, below: Duration, choice: Choice) -> Self {
        let product = u128::from(bits) * rtt.as_nanos() / 8_000_000_000;
        let queue = usize::try_from(product).unwrap().max(64 << 10);
        let (forth, back) = path(bits, rtt, queue);
        let mut network = Network::new(1);
        let [left, right] =
            ["left", "right"].map(|name| network.add_host(HostConfig::new(name).wakes_late(below)));
        let [at_left, at_right] = [Pair::LEFT, Pair::RIGHT]
            .map(|address| PortConfig::new().address(Cidr::new(address, 24).unwrap()));
        let link = network
            .link(
                left.port(at_left),
                right.port(at_right),
                (forth.clone(), back),
            )
            .unwrap();
        let parts = (network, left, right, link);
        Self::in_network(parts, (bits, rtt), forth, Mode::Bulk, choice)
    }

    fn in_network(
        (mut network, left, right, link): (Network, HostId, HostId, LinkId),
        (bits, rtt): (u64, Duration),
        forth: WireConfig,
        mode: Mode,
        choice: Choice,
    ) -> Self {
        let to = std::net::SocketAddr::new(Pair::RIGHT, 9);
        let receiver = TcpOptions::default()
            .recv_buffer_max(64 << 20)
            .recv_buffer_initial(16 << 20);
        let sink = Sink::new(to).options(ListenOptions::new(receiver));
        let sink = network.add_app(right, sink);
        let options = TcpOptions::default()
            .congestion(choice)
            .send_buffer(8 << 20);
        let talker = Talker {
            to,
            options,
            id: None,
            mode,
            last_piece: Instant::ZERO,
            ahead: ahead(bits),
            text: Bytes::from(vec![0x42; 64 << 10]),
        };
        let talker = network.add_app(left, talker);
        let queue = Some(link.forth());
        let trace = network.trace(left, Sampling::EachTurn, queue);
        Self {
            network,
            link,
            talker,
            sink,
            trace,
            history: Vec::new(),
            bits,
            rtt,
            forth,
        }
    }

    /// Runs for so long; returns what was seen meanwhile.
    pub(crate) fn run(&mut self, time: Duration) -> &[Look] {
        let from = self.history.len();
        self.network.run_for(time).unwrap();
        self.take_rows();
        &self.history[from..]
    }

    fn take_rows(&mut self) {
        let rows = self.network.take_rows(self.trace);
        let known = rows.into_iter().filter(|row| !row.inspected.is_empty());
        self.history.extend(known.map(Look));
    }

    /// Runs until a turn is as wanted.
    #[track_caller]
    pub(crate) fn until(&mut self, at_most: Duration, wanted: impl Fn(&Look) -> bool) -> Look {
        let end = self.network.now() + at_most;
        loop {
            let from = self.history.len();
            self.take_rows();
            if let Some(look) = self.history[from..].iter().find(|look| wanted(look)) {
                return look.clone();
            }
            let next = self.network.step().unwrap();
            if next.is_none_or(|next| next > end) {
                panic!("not in {at_most:?}; {}", self.tail());
            }
        }
    }

    /// The states so far and the last look, for a test that fails.
    pub(crate) fn tail(&self) -> String {
        let last = self.history.last().unwrap();
        let (states, info) = (states(&self.history), &last.0.info);
        format!(
            "{:?}, {states:?}, {:?}, {info:?}",
            last.at(),
            last.0.inspected
        )
    }

    /// Runs until it is in this state.
    #[track_caller]
    pub(crate) fn until_state(&mut self, state: i128, at_most: Duration) -> Look {
        self.until(at_most, |look| look.state() == state)
    }

    /// Runs until it is in this state, having been in another one.
    #[track_caller]
    pub(crate) fn until_state_again(&mut self, state: i128, at_most: Duration) -> Look {
        self.until(at_most, |look| look.state() != state);
        self.until_state(state, at_most)
    }

    /// Has the application write otherwise, within a tick.
    pub(crate) fn speak(&mut self, mode: Mode) {
        self.network.app_mut(self.talker).mode = mode;
    }

    /// The path there is another one from now on.
    pub(crate) fn change_path(&mut self, change: impl FnOnce(WireConfig) -> WireConfig) {
        let wire = self.link.forth();
        let config = change(self.forth.clone());
        self.network.set_wire(wire, config);
    }

    pub(crate) fn set_rate(&mut self, bits: u64) {
        self.bits = bits;
        let talker = self.network.app_mut(self.talker);
        talker.ahead = talker.ahead.max(ahead(bits));
        self.forth = self.forth.clone().rate(bits);
        let forth = self.forth.clone();
        self.network.set_wire(self.link.forth(), forth);
    }

    pub(crate) fn received(&self) -> u64 {
        self.network.app(self.sink).bytes()
    }

    /// Text that the path carries, in bytes each second: 1448 of 1514.
    pub(crate) fn text_rate(&self) -> i128 {
        i128::from(self.bits / 8) * SMSS / 1514
    }

    /// Text on the way in a round trip without a queue.
    pub(crate) fn product(&self) -> i128 {
        self.text_rate() * i128::try_from(self.rtt.as_nanos()).unwrap() / 1_000_000_000
    }

    pub(crate) fn lost_frames(&self) -> u64 {
        let wire = self.network.wire_counters(self.link.forth());
        wire.lost + wire.overflowed + wire.policed
    }
}

/// The states in the order of the time, each once in a row.
pub(crate) fn states(looks: &[Look]) -> Vec<i128> {
    let mut states: Vec<i128> = looks.iter().map(Look::state).collect();
    states.dedup();
    states
}

/// Within so many percent.
pub(crate) fn near(value: i128, expected: i128, percent: i128) -> bool {
    (value - expected).abs() * 100 <= expected * percent
}
