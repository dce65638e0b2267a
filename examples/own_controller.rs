//! A congestion control of one's own, beside CUBIC, over a simulated path of 20 Mbit/s and 40 ms whose
//! queue holds a second: `cargo run --example own_controller`.

use std::net::SocketAddr;
use std::time::Duration;

use netloom::Report;
use netloom::device::{QueueLimit, WireConfig};
use netloom::sim::{Bulk, Pair, Sink};
use netloom::tcp::TcpOptions;
use netloom::tcp::congestion::{
    AckSample, Choice, CongestionControl, CongestionEvent, Cx, Output, Response, Start,
};

/// Grows until the round trip is a quarter longer than the path's, and gives way until it is not.
#[derive(Clone, Debug, Default)]
struct Patient {
    cwnd: u32,
    acked: u32,
}

impl CongestionControl for Patient {
    fn name(&self) -> &'static str {
        "patient"
    }

    fn start(&mut self, cx: &Cx, begin: &Start) {
        self.cwnd = begin
            .inherited
            .map_or(cx.initial_cwnd, |output| output.cwnd);
    }

    fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        self.acked += sample.newly_acked;
        // Once per window: a segment more, or an eighth less.
        if self.acked >= self.cwnd
            && let (Some(latest), Some(shortest)) = (cx.latest_rtt, cx.path_min_rtt)
        {
            self.acked = 0;
            self.cwnd = match latest > shortest * 5 / 4 {
                true => (self.cwnd - self.cwnd / 8).max(2 * cx.smss),
                false => self.cwnd + cx.smss,
            };
        }
    }

    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response {
        self.cwnd = (event.flight_before / 2).max(2 * cx.smss);
        Response::Prr { target: self.cwnd }
    }

    fn output(&self) -> Output {
        Output::window(self.cwnd, u32::MAX)
    }

    fn boxed_clone(&self) -> Box<dyn CongestionControl> {
        Box::new(self.clone())
    }
}

fn main() -> Result<(), Report> {
    let own = Choice::custom(|| Box::<Patient>::default());
    for choice in [Choice::Cubic, own] {
        let wire = WireConfig::perfect()
            .rate(20_000_000)
            .delay(Duration::from_millis(20))
            .queue(QueueLimit::Bytes(2_500_000));
        let mut pair = Pair::new(1, wire)?;
        let to = SocketAddr::new(Pair::RIGHT, 9);
        let sink = pair.network.add_app(pair.right, Sink::new(to));
        let options = TcpOptions::default().congestion(choice);
        let bulk = Bulk::new(to).options(options);
        let bulk = pair.network.add_app(pair.left, bulk);
        pair.network.run_for(Duration::from_secs(20))?;
        let network = &pair.network;
        if let Some(id) = network.app(bulk).id() {
            let info = network.stack(pair.left).tcp_info(id)?;
            println!(
                "{}: {} bytes in 20 s, round trip {:?}, window {}",
                info.congestion_control,
                network.app(sink).bytes(),
                info.rtt.unwrap_or_default(),
                info.cwnd,
            );
        }
    }
    Ok(())
}
