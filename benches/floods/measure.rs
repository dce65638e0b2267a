//! The measurement: a paced flow, alone and flooded.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netloom::device::Tap;
use netloom::host::{Host, TcpListener};
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use nix::{setsockopt_impl, sockopt_impl};

use super::attack::Flood;
use super::common::{ip, median, new_namespace, number, pin};
use super::{cost, station};

sockopt_impl!(
    /// SO_MAX_PACING_RATE, in bytes per second.
    MaxPacingRate,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_MAX_PACING_RATE,
    usize
);

/// The sender's pace.
const PACE: f64 = 1e9;
/// What should be left of it.
const GOAL: f64 = 0.8;
const PATIENCE: Duration = Duration::from_secs(20);
/// Where the flow and the flood come from, and where the host is.
const CLIENT_CPU: usize = 0;
const HOST_CPU: usize = 1;

/// What the command line asked for.
pub(crate) struct Settings {
    samples: usize,
    time: Duration,
    rate: f64,
    only: Option<String>,
}

impl Settings {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            samples: 3,
            time: Duration::from_secs(1),
            rate: 1e5,
            only: None,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match &arg[..] {
                "--samples" => settings.samples = number(&value()?)?.max(1.0) as usize,
                "--seconds" => settings.time = Duration::from_secs_f64(number(&value()?)?),
                "--rate" => settings.rate = number(&value()?)?,
                "--only" => settings.only = Some(value()?),
                // Cargo's own word.
                "--bench" => {}
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        Ok(settings)
    }
}

/// Goodput in Gbit/s, frames of the flood per second, and those that reached the host.
#[derive(Clone, Copy)]
struct Sample {
    goodput: f64,
    sent: f64,
    arrived: f64,
}

/// Measures everything and prints the table.
pub(crate) fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    new_namespace()?;
    ip("link set lo up")?;
    station::bridge()?;
    println!(
        "{} CPUs, Linux {}, MTU 1500; a flow paced to 1 Gbit/s and the flood from CPU {CLIENT_CPU}, \
         the host on CPU {HOST_CPU}; median [least..most] of {} samples of {:?}",
        thread::available_parallelism().map_or(0, usize::from),
        std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim(),
        settings.samples,
        settings.time,
    );
    println!(
        "{:<26}{:>8} {:<14}| flooded: Gbit/s {:<12}| ratio, goal {GOAL} | kframes/s sent, arrived | ns/frame in the stack",
        "", "alone", "", ""
    );
    for flood in Flood::ALL {
        if settings
            .only
            .as_ref()
            .is_some_and(|only| !flood.name().contains(only))
        {
            continue;
        }
        let (mut alone, mut flooded) = (Vec::new(), Vec::new());
        for _ in 0..settings.samples {
            alone.push(measure(settings, None)?);
            flooded.push(measure(settings, Some(flood))?);
        }
        print_row(flood, &alone, &flooded)?;
    }
    Ok(())
}

fn print_row(flood: Flood, alone: &[Sample], flooded: &[Sample]) -> nix::Result<()> {
    let (base, base_range) = spread(alone, |sample| sample.goodput);
    let (rate, range) = spread(flooded, |sample| sample.goodput);
    let ratio = rate / base;
    println!(
        "{:<26}{base:>8.3} {base_range:<14}| {rate:>14.3} {range:<14}| {ratio:>5.2} {:<10}| {:>10.0}, {:>11.0} | {:.0}",
        flood.name(),
        if ratio >= GOAL { "met" } else { "MISSED" },
        spread(flooded, |sample| sample.sent / 1e3).0,
        spread(flooded, |sample| sample.arrived / 1e3).0,
        cost::nanos_per_frame(flood)?,
    );
    Ok(())
}

/// The median, and the range as text.
fn spread(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> (f64, String) {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    let range = format!("[{:.3}..{:.3}]", values[0], values[values.len() - 1]);
    (median(values.into_iter()).unwrap_or(f64::NAN), range)
}

fn measure(settings: &Settings, flood: Option<Flood>) -> Result<Sample, Box<dyn Error>> {
    let (ours, theirs) = (port("nl0", true)?, port("atk0", false)?);
    pin([HOST_CPU])?;
    let host = station::host(ours, flood).spawn()?;
    let listener = host.tcp_listen((station::OURS, 0))?;
    serve(&listener, flood);
    pin([CLIENT_CPU])?;
    let at = listener.local_addr()?;
    let stream = TcpStream::connect_timeout(&at, PATIENCE)?;
    let attacker = station::attacker(at, stream.local_addr()?);
    let over = AtomicBool::new(false);
    let sample = thread::scope(|scope| {
        let frames = scope.spawn(|| match flood {
            Some(flood) => {
                let is_over = |_, _| over.load(Ordering::Relaxed);
                let start = Instant::now();
                let sent = station::attack(theirs, attacker, flood, settings.rate, is_over);
                sent as f64 / start.elapsed().as_secs_f64()
            }
            None => 0.0,
        });
        let sample = transfer(stream, settings.time, &host);
        over.store(true, Ordering::Relaxed);
        let sent = frames.join().map_err(|_| "the attacker panicked")?;
        let (goodput, arrived) = sample?;
        Ok::<_, Box<dyn Error>>(Sample {
            goodput,
            sent,
            arrived: if flood.is_some() { arrived } else { 0.0 },
        })
    })?;
    drop(listener);
    drop(host);
    Ok(sample)
}

/// A port of the bridge, once the threads that served the host before have let go of it.
fn port(name: &str, offload: bool) -> Result<Tap, String> {
    let start = Instant::now();
    loop {
        match station::port(name, offload) {
            Err(_) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(10)),
            opened => return opened,
        }
    }
}

/// Discards what comes, except for the attacker that wants much and reads nothing.
fn serve(listener: &TcpListener, flood: Option<Flood>) {
    let listener = listener.clone();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            thread::spawn(move || {
                if flood == Some(Flood::Sack) && number > 0 {
                    let block = vec![0x5a; 64 << 10];
                    while stream.send(&block).is_ok() {}
                } else {
                    while stream
                        .read_chunk(1 << 20)
                        .is_ok_and(|chunk| !chunk.is_empty())
                    {}
                }
            });
        }
    });
}

/// Writes at the pace for a while; returns the goodput, and the frames per second that the host saw.
fn transfer(mut stream: TcpStream, time: Duration, host: &Host) -> io::Result<(f64, f64)> {
    setsockopt(&stream, sockopt::TcpCongestion, &"cubic".into())?;
    setsockopt(&stream, MaxPacingRate, &((PACE / 8.0) as usize))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // The flood has begun, and slow start is over.
    let block = vec![0x5a; 64 << 10];
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_millis(200) {
        let _ = stream.write(&block)?;
    }
    let received = |host: &Host| -> u64 {
        let mut flows = host.connections().into_iter();
        let local = stream.local_addr().ok();
        let flow = flows.find(|flow| Some(flow.peer) == local);
        flow.map_or(0, |flow| flow.info.bytes_received)
    };
    let (bytes, frames, start) = (received(host), host.counters().rx_frames, Instant::now());
    while start.elapsed() < time {
        let _ = (&stream).write(&block)?;
    }
    let elapsed = start.elapsed().as_secs_f64();
    let bytes = received(host) - bytes;
    let frames = host.counters().rx_frames - frames;
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut [0; 64])? > 0 {}
    Ok((bytes as f64 * 8e-9 / elapsed, frames as f64 / elapsed))
}
