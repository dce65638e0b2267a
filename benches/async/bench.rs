//! What is measured, in which order, and what it is to be.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "what several benches have in common")]
mod common;
mod load;
mod rig;
mod servers;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use common::{median, number, pin};
use load::Sample;
use rig::{CLIENT_CPU, Rig};
use servers::{Bulk, Net, Threads};

/// How often, how long, and what.
struct Settings {
    samples: usize,
    time: Duration,
    only: String,
}

/// Of the kernel's requests per second.
const REQUESTS: f64 = 0.8;
/// Of what a thread reads with slices.
const BULK: f64 = 0.9;

pub(crate) fn main() -> ExitCode {
    let settings = match settings(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(why) => {
            eprintln!("async: {why}");
            return ExitCode::from(2);
        }
    };
    match run(&settings) {
        Ok(met) => ExitCode::from(u8::from(!met)),
        Err(why) => {
            eprintln!("async: {why}");
            ExitCode::from(2)
        }
    }
}

fn settings(mut args: impl Iterator<Item = String>) -> Result<Settings, String> {
    let mut settings = Settings {
        samples: 5,
        time: Duration::from_secs(1),
        only: String::new(),
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} takes a value"));
        match arg.as_str() {
            "--samples" => settings.samples = (number(&value()?)? as usize).max(1),
            "--seconds" => settings.time = Duration::from_secs_f64(number(&value()?)?),
            "--only" => settings.only = value()?,
            "--bench" => {}
            _ => return Err(format!("unknown argument {arg}")),
        }
    }
    Ok(settings)
}

fn run(settings: &Settings) -> Result<bool, Box<dyn Error>> {
    let rig = Rig::make()?;
    let servers = servers::start(&rig)?;
    pin([CLIENT_CPU])?;
    println!(
        "client on CPU 0, server on CPU 1; median [least..most] of {} samples of {:?}",
        settings.samples, settings.time
    );
    let mut met = true;
    for threads in Threads::ALL {
        for connections in [1, 64, 1000] {
            let what = format!("requests on {connections} connections, {}", threads.name());
            if what.contains(&settings.only) {
                met &= requests(settings, &what, threads, connections)?;
            }
        }
    }
    let what = "bytes in, one stream";
    if what.contains(&settings.only) {
        met &= bulk(settings, what)?;
    }
    servers.stop();
    Ok(met)
}

fn requests(
    settings: &Settings,
    what: &str,
    threads: Threads,
    connections: usize,
) -> Result<bool, Box<dyn Error>> {
    let mut samples = Net::ALL.map(|_| Vec::new());
    for _ in 0..settings.samples {
        for (of, net) in samples.iter_mut().zip(Net::ALL) {
            let to = net.web(threads);
            of.push(load::requests(to, connections, settings.time)?);
        }
    }
    println!("\n{what}");
    println!("                        k/s                     | sleeps per request, us of CPU");
    for (samples, net) in samples.iter().zip(Net::ALL) {
        show(net.name(), samples);
    }
    let [kernel, ours @ ..] = &samples;
    let mut met = true;
    for (ours, net) in ours.iter().zip(&Net::ALL[1..]) {
        let what = format!("{what}, {}", net.name());
        met &= verdict(&what, rate(ours) / rate(kernel), REQUESTS);
    }
    Ok(met)
}

fn bulk(settings: &Settings, what: &str) -> Result<bool, Box<dyn Error>> {
    let mut samples = Bulk::ALL.map(|_| Vec::new());
    for _ in 0..settings.samples {
        for (of, reader) in samples.iter_mut().zip(Bulk::ALL) {
            of.push(load::bytes(reader.address(), settings.time)?);
        }
    }
    println!("\n{what}");
    println!("                        Gbit/s                  | sleeps per GiB, s of CPU");
    for (samples, reader) in samples.iter().zip(Bulk::ALL) {
        show(reader.name(), samples);
    }
    let [thread, tasks @ ..] = &samples;
    let mut met = true;
    for (task, reader) in tasks.iter().zip(&Bulk::ALL[1..]) {
        let what = format!("{what}, {}", reader.name());
        met &= verdict(&what, rate(task) / rate(thread), BULK);
    }
    Ok(met)
}

fn rate(samples: &[Sample]) -> f64 {
    median(samples.iter().map(|sample| sample.rate)).unwrap_or(0.0)
}

fn show(name: &str, samples: &[Sample]) {
    let rates = || samples.iter().map(|sample| sample.rate);
    let (least, most) = rates().fold((f64::MAX, 0.0_f64), |(least, most), rate| {
        (least.min(rate), most.max(rate))
    });
    let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value)).unwrap_or(0.0);
    println!(
        "  {name:<20} {:>7.1} [{least:.1}..{most:.1}]\t| {:.2}\t{:.2}",
        rate(samples),
        of(|sample| sample.sleeps),
        of(|sample| sample.cpu),
    );
}

/// A ratio beside what it is to be.
fn verdict(what: &str, ratio: f64, least: f64) -> bool {
    let met = ratio >= least;
    let word = if met { "met" } else { "MISSED" };
    println!("{word:<7} {what}: {ratio:.2} (>= {least})");
    met
}
