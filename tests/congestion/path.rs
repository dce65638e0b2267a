//! A sender, a receiver, and the simulated path between them.

pub(crate) use core::net::SocketAddr;
pub(crate) use core::time::Duration;

pub(crate) use netloom::Instant;
pub(crate) use netloom::device::{QueueLimit, WireConfig};
pub(crate) use netloom::sim::{AppId, Bulk, Pair, Sink};
pub(crate) use netloom::tcp::congestion::Choice;
pub(crate) use netloom::tcp::{TcpInfo, TcpOptions};

/// A sender and a receiver, and the path between them.
pub(crate) struct Flow {
    pub(crate) pair: Pair,
    pub(crate) bulk: AppId<Bulk>,
    pub(crate) sink: AppId<Sink>,
}

impl Flow {
    pub(crate) fn new(seed: u64, wires: (WireConfig, WireConfig), options: TcpOptions) -> Self {
        let mut pair = Pair::new(seed, wires).unwrap();
        let to = SocketAddr::new(Pair::RIGHT, 9);
        let sink = pair.network.add_app(pair.right, Sink::new(to));
        let bulk = Bulk::new(to).options(options);
        let bulk = pair.network.add_app(pair.left, bulk);
        Self { pair, bulk, sink }
    }

    /// Runs for so long; returns the bytes that arrived.
    pub(crate) fn run(&mut self, time: Duration) -> u64 {
        let before = self.pair.network.app(self.sink).bytes();
        self.pair.network.run_for(time).unwrap();
        self.pair.network.app(self.sink).bytes() - before
    }

    pub(crate) fn info(&self) -> TcpInfo {
        let network = &self.pair.network;
        let id = network.app(self.bulk).id().unwrap();
        network.stack(self.pair.left).tcp_info(id).unwrap()
    }

    /// Another controller takes over.
    pub(crate) fn change(&mut self, choice: Choice) {
        let id = self.pair.network.app(self.bulk).id().unwrap();
        self.pair.network.call(self.pair.left, |cx| {
            cx.tcp_set_options(id, TcpOptions::default().congestion(choice))
                .unwrap();
        });
    }
}

pub(crate) fn using(choice: Choice) -> TcpOptions {
    TcpOptions::default()
        .congestion(choice)
        .send_buffer(8 << 20)
}

/// A path of so many Mbit/s and this round trip there and back, with a queue of `queue` bytes.
pub(crate) fn wires(mbit: u64, rtt_millis: u64, queue: u64) -> (WireConfig, WireConfig) {
    let delay = Duration::from_millis(rtt_millis) / 2;
    let wire = WireConfig::perfect().rate(mbit * 1_000_000).delay(delay);
    let forth = wire
        .clone()
        .queue(QueueLimit::Bytes(usize::try_from(queue).unwrap()));
    (forth, wire)
}

/// The time as an instant of the network.
pub(crate) fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}
