//! `netloom ping`: echo requests as a netloom host.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use netloom::stack::PingOutcome;

use crate::failure::{Failure, UNREACHABLE};
use crate::interface_args::InterfaceArgs;
use crate::output::say;
use crate::signals::Signals;

/// Send echo requests and print the round trips.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// Whom to ask.
    to: IpAddr,
    /// How many requests.
    #[arg(long, short = 'c', value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// Milliseconds from one request to the next.
    #[arg(long, short = 'i', value_name = "MS", default_value_t = 1000)]
    interval: u64,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let signals = Signals::block()?;
    let host = args.interface.ready_host()?;
    let interval = Duration::from_millis(args.interval);
    let mut times = Vec::new();
    let mut sent = 0u32;
    for number in 0..args.count {
        let start = Instant::now();
        sent += 1;
        match host.ping(args.to, interval.max(Duration::from_secs(1))) {
            Ok(pong) => match (pong.rtt, pong.reply.outcome) {
                (Some(rtt), PingOutcome::Reply) => {
                    let (from, ttl) = (pong.reply.from, pong.reply.ttl);
                    say(format_args!(
                        "reply from {from}: time {:.1} us, ttl {ttl}",
                        micros(rtt)
                    ))?;
                    times.push(rtt);
                }
                (_, outcome) => say(format_args!("from {}: {outcome}", pong.reply.from))?,
            },
            Err(error) if waits(&error) => say(format_args!("no answer from {}", args.to))?,
            // No route, no source address, no device: the next one would meet the same.
            Err(error) => return Err(Failure::peer(args.to, &error)),
        }
        let last = number + 1 == args.count;
        let rest = interval.saturating_sub(start.elapsed());
        if signals.came() || (!last && signals.wait(Some(rest))?) {
            break;
        }
    }
    say(format_args!(
        "{sent} sent, {} answered{}",
        times.len(),
        summary(&times)
    ))?;
    host.shutdown(Duration::from_secs(1));
    args.interface.note_capture(&host);
    if times.is_empty() {
        let cause = format_args!("{} did not answer", args.to);
        return Err(Failure::with_cure(cause, UNREACHABLE));
    }
    Ok(())
}

fn waits(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

fn summary(times: &[Duration]) -> String {
    let (Some(min), Some(max)) = (times.iter().min(), times.iter().max()) else {
        return String::new();
    };
    let mean = times.iter().sum::<Duration>() / times.len() as u32;
    format!(
        ", min {:.1} mean {:.1} max {:.1} us",
        micros(*min),
        micros(mean),
        micros(*max)
    )
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_all_three() {
        let us = Duration::from_micros;
        assert_eq!(summary(&[us(1), us(3)]), ", min 1.0 mean 2.0 max 3.0 us");
        assert_eq!(summary(&[]), "");
    }
}
