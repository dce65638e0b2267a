//! `netloom send`: send bulk data as a netloom host and say how fast it went.

use std::io;
use std::net::Shutdown;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use netloom::bytes::Bytes;
use netloom::host::{Host, TcpStream};
use netloom::tcp::TcpInfo;

use crate::failure::{Failure, UNREACHABLE};
use crate::interface_args::InterfaceArgs;
use crate::output::say;
use crate::rate::Rate;
use crate::signals::{END_WITHIN, Signals};
use crate::values;
use crate::whom::End;

const BLOCK: usize = 256 << 10;
const DEFAULT_SECONDS: Duration = Duration::from_secs(5);
/// From one line to the next.
const LINE_EACH: Duration = Duration::from_secs(1);

/// Send data to a TCP port and print how fast it was taken.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// Where to: ADDR:PORT, or NAME:PORT, which needs a DNS server.
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::end)]
    to: End,
    /// Send this many bytes in all; K, M or G behind the number stands for thousands.
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = values::bytes)]
    bytes: Option<u64>,
    /// Send for this long, as in 0.5 (5 seconds when neither is given).
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    seconds: Option<Duration>,
    /// Send over this many connections at once, 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    parallel: u64,
    /// Give up when the peer takes nothing for this long.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::seconds)]
    timeout: Duration,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    args.to.check(&args.interface)?;
    let signals = Signals::block()?;
    let host = args.interface.ready_host(&signals, args.to.wanted())?;
    let outcome = signals.around(&host, || transfer(args, &host));
    host.shutdown(END_WITHIN);
    args.interface.note_capture(&host);
    outcome
}

fn transfer(args: &Args, host: &Host) -> Result<(), Failure> {
    let streams = (0..args.parallel)
        .map(|_| connect(args, host))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| Failure::peer(&args.to, &error))?;
    let mut meter = Meter::new(&streams);
    let (done, outcomes) = channel();
    let sent = thread::scope(|scope| {
        for (stream, number) in streams.iter().zip(0..) {
            let (done, goal) = (done.clone(), Goal::of(args, number));
            scope.spawn(move || {
                let sent = send(stream, goal).map_err(|error| stopped(args, stream, &error));
                // Nobody asks any more when another one has failed.
                let _ = done.send(sent);
            });
        }
        drop(done);
        let mut sent = 0;
        loop {
            let next = match outcomes.recv_timeout(meter.until_next()) {
                Ok(outcome) => outcome.map(|bytes| sent += bytes),
                Err(RecvTimeoutError::Timeout) => meter.line(&streams),
                Err(RecvTimeoutError::Disconnected) => return Ok(sent),
            };
            if let Err(failure) = next {
                streams.iter().for_each(|stream| {
                    // It ends the thread that sends, if the host has not.
                    let _ = stream.abort();
                });
                return Err(failure);
            }
        }
    })?;
    say(Rate::new(sent, meter.begun.elapsed()))?;
    summary(&streams)
        .map_err(|error| Failure::peer(&args.to, &error))
        .and_then(say)
}

fn connect(args: &Args, host: &Host) -> io::Result<TcpStream> {
    let stream = args.to.connect(host, args.timeout)?;
    stream.set_write_timeout(Some(args.timeout))?;
    stream.set_read_timeout(Some(args.timeout))?;
    Ok(stream)
}

/// What one connection sends.
#[derive(Clone, Copy)]
enum Goal {
    Bytes(u64),
    Until(Instant),
}

impl Goal {
    fn of(args: &Args, number: u64) -> Self {
        match args.bytes {
            // The first ones send the rest of the division.
            Some(bytes) => {
                let more = u64::from(number < bytes % args.parallel);
                Self::Bytes(bytes / args.parallel + more)
            }
            None => Self::Until(Instant::now() + args.seconds.unwrap_or(DEFAULT_SECONDS)),
        }
    }

    fn left(self, sent: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes - sent,
            Self::Until(then) if Instant::now() < then => BLOCK as u64,
            Self::Until(_) => 0,
        }
    }
}

/// Sends, and waits for the peer's end, so that everything was taken: what it says meanwhile is
/// thrown away.
fn send(stream: &TcpStream, goal: Goal) -> io::Result<u64> {
    let block = Bytes::from(vec![b'n'; BLOCK]);
    let mut sent = 0;
    loop {
        let left = goal.left(sent);
        if left == 0 {
            break;
        }
        let now = block.slice(..BLOCK.min(usize::try_from(left).unwrap_or(BLOCK)));
        sent += now.len() as u64;
        stream.write_all_chunk(now)?;
    }
    stream.shutdown(Shutdown::Write)?;
    while !stream.read_chunk(BLOCK)?.is_empty() {}
    Ok(sent)
}

/// Why a connection did not get to its end.
fn stopped(args: &Args, stream: &TcpStream, error: &io::Error) -> Failure {
    let info = stream.info().ok();
    match info.filter(|_| error.kind() == io::ErrorKind::WouldBlock) {
        Some(info) => stalled(args, &info),
        None => Failure::peer(&args.to, error),
    }
}

fn stalled(args: &Args, info: &TcpInfo) -> Failure {
    let (to, taken, time) = (&args.to, info.bytes_acked, args.timeout);
    let nothing = format!("{to}: took {taken} bytes and nothing more for {time:?}");
    if info.unacked + info.unsent == 0 {
        let cause = format_args!("{to}: took {taken} bytes and did not end within {time:?}");
        Failure::with_cure(cause, "whoever listens there should end when its peer has")
    } else if info.snd_wnd == 0 {
        Failure::with_cure(
            nothing,
            "its window is closed: does whoever listens there read?",
        )
    } else {
        Failure::with_cure(nothing, UNREACHABLE)
    }
}

/// What was taken so far, by all connections together.
struct Meter {
    begun: Instant,
    lines: u32,
    /// By connection: one that is over tells nothing any more.
    taken: Vec<u64>,
    told: u64,
}

impl Meter {
    fn new(streams: &[TcpStream]) -> Self {
        Self {
            begun: Instant::now(),
            lines: 0,
            taken: vec![0; streams.len()],
            told: 0,
        }
    }

    fn until_next(&self) -> Duration {
        let next = self.begun + LINE_EACH * (self.lines + 1);
        next.saturating_duration_since(Instant::now())
    }

    /// Prints the line of the second that is over.
    fn line(&mut self, streams: &[TcpStream]) -> Result<(), Failure> {
        for (taken, stream) in self.taken.iter_mut().zip(streams) {
            if let Ok(info) = stream.info() {
                *taken = info.bytes_acked;
            }
        }
        let taken = self.taken.iter().sum::<u64>();
        let rate = Rate::new(taken - self.told, LINE_EACH);
        self.told = taken;
        self.lines += 1;
        say(format_args!("{:>4} s: {rate}", self.lines))
    }
}

/// The round trip, in the mean of all connections, and what had to be sent again.
fn summary(streams: &[TcpStream]) -> io::Result<String> {
    let infos = streams
        .iter()
        .map(TcpStream::info)
        .collect::<io::Result<Vec<_>>>()?;
    let rtts = infos.iter().filter_map(|info| info.rtt);
    let rtt = rtts.clone().sum::<Duration>() / (rtts.count() as u32).max(1);
    let retransmits = infos.iter().map(|info| info.retransmits).sum::<u64>();
    let rtt = rtt.as_nanos() as f64 / 1e3;
    Ok(format!("rtt {rtt:.1} us, {retransmits} retransmits"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn connections_share_the_bytes() {
        let line = "x --tap t --address 10.7.0.2/24 --to 10.7.0.1:9 --bytes 11 --parallel 3";
        let args = Only::try_parse_from(line.split(' ')).unwrap().args;
        let shares = (0..3).map(|number| Goal::of(&args, number).left(0));
        assert_eq!(shares.collect::<Vec<_>>(), [4, 4, 3]);
    }
}
