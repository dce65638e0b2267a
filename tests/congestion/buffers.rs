//! Send buffers that grow: what a path needs is kept, and no more.

use core::net::IpAddr;

use netloom::base::Cidr;
use netloom::sim::{Cx, HostConfig, HostId, Network, PortConfig};
use netloom::stack::{Config, ListenOptions};

use super::path::*;

const SEC: Duration = Duration::from_secs(1);

/// What 200 Mbit/s at 100 ms carry in two seconds, in percent of what they could.
fn long_path(options: TcpOptions) -> (u64, TcpInfo) {
    let mut flow = Flow::new(1, wires(200, 100, 2_500_000), options);
    flow.run(3 * SEC);
    let bytes = flow.run(2 * SEC);
    (bytes * 100 / (2 * 25_000_000 * 1448 / 1514), flow.info())
}

/// 2 MiB are 168 Mbit/s at 100 ms, whatever the window.
/// What 2 MiB fill at any rate that there is.
#[test]
fn a_local_path_needs_no_more() {
    let mut flow = Flow::new(1, wires(1000, 1, 5_000_000), TcpOptions::default());
    flow.run(2 * SEC);
    let info = flow.info();
    assert!(info.cwnd > 2 << 20, "{info:?}");
    assert_eq!(info.snd_buffer, 2 << 20);
}

#[test]
fn a_long_fast_path_is_filled() {
    let (share, info) = long_path(TcpOptions::default().congestion(Choice::Cubic));
    assert!(share >= 95, "{share} %, {info:?}");
    assert!(info.snd_buffer > 2 << 20 && info.snd_buffer <= 16 << 20);
    let fixed = TcpOptions::default()
        .congestion(Choice::Cubic)
        .send_buffer(2 << 20);
    let (share, info) = long_path(fixed);
    assert!(share < 86, "{share} %, {info:?}");
    assert_eq!(info.snd_buffer, 2 << 20);
}

/// A model's rate goes on through the recovery that ends Startup: of a window behind the first hole, and of one that
/// left until it was filled, nothing was given back.
#[test]
fn a_model_does_not_wait_for_its_buffer_in_a_recovery() {
    let from_100_kb = TcpOptions::default().send_buffer_initial(100_000);
    for choice in [Choice::Bbr, Choice::Bbr3] {
        let bytes = |options: TcpOptions| {
            let wires = wires(20, 100, 250_000);
            let mut flow = Flow::new(1, wires, options.congestion(choice.clone()));
            let bytes = flow.run(3 * SEC);
            assert!(flow.info().retransmits > 0, "{choice}");
            bytes
        };
        let (grown, fixed) = (
            bytes(from_100_kb.clone()),
            bytes(TcpOptions::default().send_buffer(8 << 20)),
        );
        assert!(grown * 100 >= fixed * 97, "{choice}: {grown} of {fixed}");
    }
}

/// A sender and a receiver at 20 Mbit/s and 100 ms, and a buffer of 100 to 2000 kB.
struct Small {
    network: Network,
    left: HostId,
    right: HostId,
    bulk: AppId<Bulk>,
}

impl Small {
    /// With so much memory for the sender's sockets, and this receive window.
    fn new(memory: usize, window: usize) -> Self {
        let mut network = Network::new(1);
        let tune = move |config: Config| config.socket_memory(memory);
        let left = network.add_host(HostConfig::new("left").stack(tune));
        let right = network.add_host("right");
        let port = |at: IpAddr| PortConfig::new().address(Cidr::new(at, 24).unwrap());
        let ends = (left.port(port(Pair::LEFT)), right.port(port(Pair::RIGHT)));
        let wires = wires(20, 100, 250_000);
        network.link(ends.0, ends.1, wires).unwrap();
        let to = SocketAddr::new(Pair::RIGHT, 9);
        let read = TcpOptions::default()
            .recv_buffer_initial(window)
            .recv_buffer_max(window);
        network.add_app(right, Sink::new(to).options(ListenOptions::new(read)));
        let options = TcpOptions::default()
            .send_buffer_initial(100_000)
            .send_buffer_max(2_000_000);
        let bulk = network.add_app(left, Bulk::new(to).options(options));
        Self {
            network,
            left,
            right,
            bulk,
        }
    }

    fn run(&mut self, millis: u64) -> TcpInfo {
        let time = Duration::from_millis(millis);
        self.network.run_for(time).unwrap();
        let id = self.network.app(self.bulk).id().unwrap();
        self.network.stack(self.left).tcp_info(id).unwrap()
    }

    fn written(&self) -> u64 {
        self.network.app(self.bulk).written()
    }

    fn set_options(&mut self, options: TcpOptions) {
        let id = self.network.app(self.bulk).id().unwrap();
        let set = |cx: &mut Cx<'_>| cx.tcp_set_options(id, options);
        self.network.call(self.left, set).unwrap();
    }
}

const PLENTY: usize = 256 << 20;

#[test]
fn a_buffer_grows_with_the_window_alone() {
    let mut grows = Small::new(PLENTY, 4 << 20);
    let info = grows.run(5000);
    assert!(info.bytes_acked > 9_000_000, "{info:?}");
    assert!((500_000..=2_000_000).contains(&info.snd_buffer), "{info:?}");
    // Where the peer's window is what stops the sender, what cwnd came to before it did.
    let info = Small::new(PLENTY, 90_000).run(3000);
    let most = 2 * 2 * 90_000;
    assert!(info.cwnd > 90_000 && info.snd_buffer <= most, "{info:?}");
    // Not at all while half of the stack's memory is used: here by one whose peer never reads.
    let mut short = Small::new(1_000_000, 4 << 20);
    let to = SocketAddr::new(Pair::RIGHT, 8);
    let tiny = TcpOptions::default().recv_buffer_initial(2000);
    let listen = |cx: &mut Cx<'_>| cx.tcp_listen(to, ListenOptions::new(tiny));
    short.network.call(short.right, listen).unwrap();
    let holds = |cx: &mut Cx<'_>| {
        let id = cx.tcp_connect(to, TcpOptions::default().send_buffer(1 << 19));
        cx.tcp_write(id.unwrap(), &[7; 1 << 19])
    };
    assert_eq!(short.network.call(short.left, holds), Ok(1 << 19));
    let info = short.run(2000);
    assert_eq!(info.snd_buffer, 100_000, "{info:?}");
}

/// No ACK comes that would tell the writer.
#[test]
fn a_writer_that_waits_is_told_of_a_larger_buffer_at_once() {
    let mut flow = Small::new(PLENTY, 4 << 20);
    flow.run(50);
    assert_eq!(flow.written(), 100_000);
    flow.set_options(TcpOptions::default().send_buffer(300_000));
    flow.run(0);
    assert_eq!(flow.written(), 100_000, "the handshake will tell");
    // A round trip for the neighbour, and one for the handshake.
    flow.run(170);
    assert_eq!(flow.written(), 300_000);
    flow.set_options(TcpOptions::default().send_buffer(500_000));
    flow.run(0);
    assert_eq!(flow.written(), 500_000);
}
