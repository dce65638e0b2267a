//! The measurements: what the client, a kernel socket, does and counts.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use crate::kernel::congestion;
use crate::machine::{CLIENT_CPU, RIVAL_CPU, Spent, pin};
use crate::rivals::{BLOCK, READ, Rival, Service};

/// No read or write of the client waits longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the command line asked for.
pub(crate) struct Settings {
    pub(crate) samples: usize,
    pub(crate) time: Duration,
    /// Only what has this in its full title, as in `bulk, rival to kernel (..): smoltcp.`
    only: Option<String>,
    pub(crate) client_cpu: usize,
}

impl Settings {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            samples: 3,
            time: Duration::from_secs(1),
            only: None,
            client_cpu: CLIENT_CPU,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match &arg[..] {
                "--samples" => settings.samples = number(&value()?)?.max(1.0) as usize,
                "--seconds" => settings.time = Duration::from_secs_f64(number(&value()?)?),
                "--only" => settings.only = Some(value()?),
                "--same-cpu" => settings.client_cpu = RIVAL_CPU,
                // Cargo's own word.
                "--bench" => {}
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        Ok(settings)
    }

    fn wants(&self, measure: Measure, rival: &Rival) -> bool {
        let title = format!("{}: {}.", measure.title(), rival.name);
        measure.suits(rival) && self.only.as_ref().is_none_or(|text| title.contains(text))
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|&n: &f64| n > 0.0 && n < 1e6);
    number.ok_or_else(|| format!("{text} is no positive number"))
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// Bulk from the client, with this congestion control.
    Receive(&'static str),
    /// Bulk to the client; a kernel's sender gets this congestion control.
    Send(&'static str),
    /// One byte there and back.
    PingPong,
    /// Connect, and reset at once.
    Connections,
}

impl Measure {
    pub(crate) const ALL: [Self; 6] = [
        Self::Receive("cubic"),
        Self::Send("cubic"),
        Self::Receive("bbr"),
        Self::Send("bbr"),
        Self::PingPong,
        Self::Connections,
    ];

    pub(crate) fn title(self) -> String {
        match self {
            Self::Receive(name) => format!("bulk, kernel ({name}) to rival"),
            Self::Send("cubic") => "bulk, rival to kernel (a kernel rival: cubic)".to_owned(),
            Self::Send(name) => format!("bulk, rival to kernel, {name}"),
            Self::PingPong => "ping-pong of 1 byte".to_owned(),
            Self::Connections => "connect and reset".to_owned(),
        }
    }

    pub(crate) const fn is_bulk(self) -> bool {
        matches!(self, Self::Receive(_) | Self::Send(_))
    }

    /// Only a kernel can be told its sender's congestion control.
    fn suits(self, rival: &Rival) -> bool {
        rival.is_kernel || self != Self::Send("bbr")
    }

    const fn service(self) -> Service {
        match self {
            Self::Receive(_) => Service::Discard,
            Self::Send(_) => Service::Source,
            Self::PingPong | Self::Connections => Service::Echo,
        }
    }
}

/// One sample: a rate or a median time, and what it cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Gbit/s, microseconds, or connections per second.
    pub(crate) value: f64,
    /// The 99th percentile of the times.
    pub(crate) p99: f64,
    /// Processor seconds per GiB: the client's thread, and everything else.
    pub(crate) cost: (f64, f64),
}

/// All samples of a measurement of a rival, by its number.
pub(crate) type Table = BTreeMap<(Measure, usize), Vec<Sample>>;

/// Takes all samples, one of each at a time.
pub(crate) fn run(settings: &Settings, rivals: &[Rival]) -> Result<Table, String> {
    let mut table = Table::new();
    thread::scope(|scope| {
        let client = scope.spawn(|| -> Result<(), String> {
            pin(settings.client_cpu).map_err(|errno| format!("cannot pin a thread: {errno}"))?;
            for _ in 0..settings.samples {
                for measure in Measure::ALL {
                    for (number, rival) in rivals.iter().enumerate() {
                        if !settings.wants(measure, rival) {
                            continue;
                        }
                        let title = measure.title();
                        match sample(measure, rival, settings.time) {
                            Ok(sample) => table.entry((measure, number)).or_default().push(sample),
                            Err(error) => println!("{title}, {}: {error}", rival.name),
                        }
                    }
                }
            }
            Ok(())
        });
        client.join().map_err(|_| "the client panicked")?
    })?;
    Ok(table)
}

fn sample(measure: Measure, rival: &Rival, time: Duration) -> io::Result<Sample> {
    let connect = || TcpStream::connect(rival.endpoint(measure.service()));
    let before = Spent::now()?;
    let start = Instant::now();
    let mut sample = Sample {
        value: 0.0,
        p99: 0.0,
        cost: (0.0, 0.0),
    };
    match measure {
        Measure::Receive(name) => {
            let bytes = write(patient(connect()?)?, name, time)?;
            sample.value = bytes as f64 * 8e-9 / start.elapsed().as_secs_f64();
            sample.cost = cost(before, bytes)?;
        }
        Measure::Send(name) => {
            let bytes = read(patient(connect()?)?, name, time)?;
            sample.value = bytes as f64 * 8e-9 / start.elapsed().as_secs_f64();
            sample.cost = cost(before, bytes)?;
        }
        Measure::PingPong => (sample.value, sample.p99) = ping_pong(patient(connect()?)?, time)?,
        Measure::Connections => {
            let mut made = 0u32;
            while start.elapsed() < time {
                reset(connect()?)?;
                made += 1;
            }
            sample.value = f64::from(made) / start.elapsed().as_secs_f64();
        }
    }
    Ok(sample)
}

fn patient(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn cost(before: Spent, bytes: u64) -> io::Result<(f64, f64)> {
    let (client, rest) = Spent::now()?.since(before);
    let gib = bytes.max(1) as f64 / f64::from(1 << 30);
    Ok((client.as_secs_f64() / gib, rest.as_secs_f64() / gib))
}

/// Writes for `time` and waits until all of it was taken.
fn write(mut stream: TcpStream, congestion_control: &str, time: Duration) -> io::Result<u64> {
    congestion(&stream, congestion_control)?;
    let block = vec![0x5a; BLOCK];
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < time {
        bytes += stream.write(&block)? as u64;
    }
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut [0; 64])? > 0 {}
    Ok(bytes)
}

/// Reads for `time`.
fn read(mut stream: TcpStream, congestion_control: &str, time: Duration) -> io::Result<u64> {
    stream.write_all(&congestion_control.as_bytes()[..1])?;
    let mut buf = vec![0; READ];
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < time {
        match stream.read(&mut buf)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes += n as u64,
        }
    }
    reset(stream)?;
    Ok(bytes)
}

/// The median and the 99th percentile, in microseconds.
fn ping_pong(mut stream: TcpStream, time: Duration) -> io::Result<(f64, f64)> {
    stream.set_nodelay(true)?;
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < time {
        let sent = Instant::now();
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        times.push(sent.elapsed());
    }
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut [0; 64])? > 0 {}
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    Ok((at(50), at(99)))
}

/// Closes with a RST (SO_LINGER of zero).
fn reset(stream: TcpStream) -> io::Result<()> {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, sockopt::Linger, &at_once)?;
    drop(stream);
    Ok(())
}
