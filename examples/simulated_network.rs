//! A network in virtual time: two hosts, a bad link, one flow. The same seed, the same run.

use std::net::SocketAddr;
use std::time::Duration;

use netloom::device::{Chance, QueueLimit, WireConfig};
use netloom::sim::{Bulk, Pair, Sink};

fn main() -> Result<(), netloom::Report> {
    let wire = WireConfig::perfect()
        .rate(100_000_000)
        .delay(Duration::from_millis(10))
        .queue(QueueLimit::Bytes(250_000))
        .loss(Chance::per_million(100));
    let mut pair = Pair::new(7, wire)?;
    let at = SocketAddr::new(Pair::RIGHT, 9);
    let sink = pair.network.add_app(pair.right, Sink::new(at));
    pair.network.add_app(pair.left, Bulk::new(at));
    pair.network.run_for(Duration::from_secs(10))?;
    let (bytes, hash) = (pair.network.app(sink).bytes(), pair.network.trace_hash());
    println!("{bytes} bytes in ten seconds, trace {hash:016x}");
    Ok(())
}
