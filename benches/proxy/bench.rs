//! What is measured, in which order, and what it is to be.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "what several benches have in common")]
mod common;
mod load;
mod rig;
mod socks5;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use common::{median, number};
use rig::{Rig, Way};
use socks5::Service;

/// How often, how long, and what.
struct Settings {
    samples: usize,
    time: Duration,
    only: String,
}

/// Of what netloom carries itself.
const BULK: f64 = 0.5;
/// A second.
const CONNECTIONS: f64 = 1000.0;
/// At once.
const MANY: usize = 10_000;

pub(crate) fn main() -> ExitCode {
    let met = settings(std::env::args().skip(1))
        .map_err(Into::into)
        .and_then(|settings| run(&settings));
    match met {
        Ok(met) => ExitCode::from(u8::from(!met)),
        Err(why) => {
            eprintln!("proxy: {why}");
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
    println!(
        "median [least..most] of {} samples of {:?}",
        settings.samples, settings.time
    );
    let mut met = true;
    for (what, service) in [
        ("bytes out, one stream", Service::Discard),
        ("bytes back, one stream", Service::Source),
    ] {
        if what.contains(&settings.only) {
            met &= bulk(settings, what, service)?;
        }
    }
    if "connections".contains(&settings.only) {
        let to = Way::Proxy.to(Service::Hello);
        let samples = (0..settings.samples).map(|_| load::connections(to, settings.time));
        let samples = samples.collect::<Result<Vec<_>, _>>()?;
        show("connections a second", &samples);
        met &= verdict("connections a second", middle(&samples), CONNECTIONS);
    }
    if "at once".contains(&settings.only) {
        let (took, answered) = load::at_once(Way::Proxy.to(Service::Echo), MANY)?;
        println!("\n{MANY} at once: all open and answered after {took:.2?}");
        met &= verdict("answered at once", answered as f64, MANY as f64);
    }
    rig.stop();
    Ok(met)
}

fn bulk(settings: &Settings, what: &str, service: Service) -> Result<bool, Box<dyn Error>> {
    let mut samples = Way::ALL.map(|_| Vec::new());
    for _ in 0..settings.samples {
        for (of, way) in samples.iter_mut().zip(Way::ALL) {
            of.push(load::bytes(way.to(service), service, settings.time)?);
        }
    }
    println!("\n{what}, Gbit/s");
    for (samples, way) in samples.iter().zip(Way::ALL) {
        show(way.name(), samples);
    }
    let [own, proxy] = &samples;
    Ok(verdict(what, middle(proxy) / middle(own), BULK))
}

fn middle(samples: &[f64]) -> f64 {
    median(samples.iter().copied()).unwrap_or(0.0)
}

fn show(name: &str, samples: &[f64]) {
    let least = samples.iter().copied().fold(f64::MAX, f64::min);
    let most = samples.iter().copied().fold(0.0, f64::max);
    println!(
        "  {name:<24} {:>9.2} [{least:.2}..{most:.2}]",
        middle(samples)
    );
}

fn verdict(what: &str, value: f64, least: f64) -> bool {
    let met = value >= least;
    let word = if met { "met" } else { "MISSED" };
    println!("{word:<7} {what}: {value:.2} (>= {least})");
    met
}
