//! `netloom send`: send bulk data as a netloom host and say how fast it went.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use netloom::bytes::Bytes;
use netloom::host::{Host, TcpStream};

use crate::failure::Failure;
use crate::interface_args::InterfaceArgs;
use crate::output::say;
use crate::rate::Rate;
use crate::signals::{END_WITHIN, Signals};

const PATIENCE: Duration = Duration::from_secs(30);
const BLOCK: usize = 256 << 10;
const DEFAULT_SECONDS: u64 = 5;

/// Send data to a TCP port and print how fast it was taken.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// Where to: ADDR:PORT.
    #[arg(long, value_name = "ADDR:PORT")]
    to: SocketAddr,
    /// Send this many bytes.
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    bytes: Option<u64>,
    /// Send for this long (5 seconds when neither is given).
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let signals = Signals::block()?;
    let host = args.interface.ready_host()?;
    let outcome = signals.around(&host, || transfer(args, &host));
    host.shutdown(END_WITHIN);
    args.interface.note_capture(&host);
    outcome
}

fn transfer(args: &Args, host: &Host) -> Result<(), Failure> {
    let from = |error: io::Error| Failure::peer(args.to, &error);
    let stream = host.tcp_connect_timeout(args.to, PATIENCE).map_err(from)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(from)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(from)?;
    let start = Instant::now();
    let sent = send(&stream, args, start).map_err(from)?;
    stream.shutdown(Shutdown::Write).map_err(from)?;
    drain(&stream).map_err(from)?;
    say(Rate::new(sent, start.elapsed()))?;
    let info = stream.info().map_err(from)?;
    let rtt = info.rtt.unwrap_or_default();
    say(format_args!(
        "rtt {:.1} us, {} retransmits",
        rtt.as_nanos() as f64 / 1e3,
        info.retransmits
    ))
}

fn send(stream: &TcpStream, args: &Args, start: Instant) -> io::Result<u64> {
    let block = Bytes::from(vec![b'n'; BLOCK]);
    let time = Duration::from_secs(args.seconds.unwrap_or(DEFAULT_SECONDS));
    let mut sent = 0;
    loop {
        let left = match args.bytes {
            Some(bytes) => bytes - sent,
            None if start.elapsed() < time => BLOCK as u64,
            None => 0,
        };
        if left == 0 {
            return Ok(sent);
        }
        let now = block.slice(..BLOCK.min(usize::try_from(left).unwrap_or(BLOCK)));
        sent += now.len() as u64;
        stream.write_all_chunk(now)?;
    }
}

/// Waits for the peer's end, so that everything was taken: what it says meanwhile is thrown away.
fn drain(stream: &TcpStream) -> io::Result<()> {
    while !stream.read_chunk(BLOCK)?.is_empty() {}
    Ok(())
}
