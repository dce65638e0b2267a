//! How much faster than real time a simulated flow runs, on one core: `cargo bench --bench virtual_time`.
//!
//! One flow over a link of 100 Mbit/s and 40 ms with a queue of one bandwidth-delay product, ports with and
//! without segmentation offload. Processor time is counted, so that a busy machine does not matter. The goal is 50
//! times.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::net::SocketAddr;
use std::time::Duration;

use netloom::device::{QueueLimit, WireConfig};
use netloom::sim::{Bulk, Pair, PortConfig, Sink};

const GOAL: f64 = 50.0;

fn main() {
    let length = std::env::var("VIRTUAL_SECONDS");
    let length = length.map_or(30, |seconds| seconds.parse().unwrap());
    let length = Duration::from_secs(length);
    for (name, offload, merge) in [
        ("offload", true, false),
        ("no offload", false, false),
        ("offload, merging", true, true),
    ] {
        let wire = WireConfig::perfect()
            .rate(100_000_000)
            .delay(Duration::from_millis(20))
            .queue(QueueLimit::Bytes(500_000));
        let port = || PortConfig::new().offload(offload).merge(merge);
        let mut pair = Pair::with(1, wire, [port(), port()]).unwrap();
        let at = SocketAddr::new(Pair::RIGHT, 9);
        let sink = pair.network.add_app(pair.right, Sink::new(at));
        pair.network.add_app(pair.left, Bulk::new(at));
        let begin = clock();
        pair.network.run_for(length).unwrap();
        let took = clock().saturating_sub(begin);
        let times = length.as_secs_f64() / took.as_secs_f64();
        let net = &pair.network;
        let rate = net.app(sink).bytes() as f64 * 8e-6 / length.as_secs_f64();
        let each = took.as_nanos() as f64 / net.frames() as f64;
        let verdict = if times >= GOAL { "" } else { ", MISSED" };
        println!(
            "{name}: {times:.0} times real time (goal {GOAL}{verdict}), {rate:.1} Mbit/s, {} frames, \
             {each:.0} ns each, trace {:016x}",
            net.frames(),
            net.trace_hash(),
        );
    }
}

/// Processor time of this thread.
#[cfg(target_os = "linux")]
fn clock() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(micros.try_into().unwrap())
}

#[cfg(not(target_os = "linux"))]
fn clock() -> Duration {
    static BEGIN: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    BEGIN.elapsed()
}
