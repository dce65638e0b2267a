//! `netloom ping`: echo requests as a netloom host, told as ping(8) of iputils does.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use netloom::host::{Host, PingSocket, Pong};
use netloom::stack::PingOutcome;

use crate::failure::{Failure, UNREACHABLE};
use crate::interface_args::InterfaceArgs;
use crate::output::say;
use crate::signals::{END_WITHIN, Signals};
use crate::values;
use crate::whom::Whom;

/// Send echo requests and print the round trips.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// Whom to ask: an address, or a name, which needs a DNS server.
    #[arg(value_name = "ADDR", value_parser = values::whom)]
    to: Whom,
    /// How many requests.
    #[arg(long, short = 'c', value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Seconds from one request to the next, 0.001 or more, whenever the answers come.
    #[arg(long, short = 'i', value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// Bytes of data in a request.
    #[arg(long, short = 's', value_name = "N", default_value_t = 56, value_parser = clap::value_parser!(u16).range(8..=65_507))]
    size: u16,
    /// Seconds that the answer to a request may take, 60 at most.
    #[arg(long, short = 'W', value_name = "SECONDS", default_value = "5", value_parser = wait)]
    wait: Duration,
}

/// The shortest interval and the longest wait, so that fewer requests are under way at once than there
/// are sequence numbers.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long the lookup of a name may take.
const LOOKUP_WITHIN: Duration = Duration::from_secs(30);

fn interval(text: &str) -> Result<Duration, String> {
    let time = values::seconds(text)?;
    if time < LEAST_INTERVAL {
        return Err("give seconds, 0.001 or more".to_owned());
    }
    Ok(time)
}

fn wait(text: &str) -> Result<Duration, String> {
    let time = values::seconds(text)?;
    if time > LONGEST_WAIT {
        return Err("give seconds, 60 at most".to_owned());
    }
    Ok(time)
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    args.to.check(&args.interface)?;
    let signals = Signals::block()?;
    let host = args.interface.ready_host(&signals, args.to.wanted())?;
    let begun = Instant::now();
    // A signal ends the requests, not the summary.
    let (outcome, _) = signals.ending(&host, || {
        let to = args.to.address(&host, LOOKUP_WITHIN)?;
        ask(args, to, &host)
    })?;
    let tally = outcome?;
    let took = begun.elapsed();
    say(format_args!("\n--- {} ping statistics ---", args.to))?;
    say(Summary {
        tally: &tally,
        took,
    })?;
    host.shutdown(END_WITHIN);
    args.interface.note_capture(&host);
    if tally.received == 0 {
        let cause = format_args!("{} did not answer", args.to);
        return Err(Failure::with_cure(cause, UNREACHABLE));
    }
    Ok(())
}

/// Sends the requests on time and prints what comes back.
fn ask(args: &Args, to: IpAddr, host: &Host) -> Result<Tally, Failure> {
    let from = |error: io::Error| Failure::peer(to, &error);
    let head = if to.is_ipv4() { 28 } else { 48 };
    let size = args.size;
    let whom = match &args.to {
        Whom::Address(address) => address.to_string(),
        Whom::Name(name) => format!("{name} ({to})"),
    };
    say(format_args!(
        "PING {whom} {size}({}) bytes of data.",
        u32::from(size) + head
    ))?;
    let socket = host.ping_socket().map_err(from)?;
    let mut requests = Requests::new(args);
    let mut tally = Tally::default();
    loop {
        let now = Instant::now();
        match requests.next(now) {
            Next::Send(seq) => match socket.send(to, seq, usize::from(size)) {
                Ok(()) => tally.sent += 1,
                Err(error) if is_over(&error) => return Ok(tally),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    let cure = "make -s smaller, or --mtu larger";
                    return Err(Failure::with_cure(format_args!("{to}: {error}"), cure));
                }
                // No route, no source address: the next one would meet the same.
                Err(error) => return Err(from(error)),
            },
            Next::Missing(seq) => say(format_args!("no answer to icmp_seq={seq}"))?,
            Next::Receive(time) => match receive(&socket, time) {
                Ok(None) => {}
                Ok(Some(pong)) => {
                    let fresh = requests.answered(pong.reply.seq);
                    say(tally.take(&pong, fresh))?;
                }
                Err(error) if is_over(&error) => return Ok(tally),
                Err(error) => return Err(from(error)),
            },
            Next::Done => return Ok(tally),
        }
    }
}

/// Has the host been shut down?
fn is_over(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotConnected
}

fn receive(socket: &PingSocket, within: Duration) -> io::Result<Option<Pong>> {
    match socket.recv(within) {
        Ok(pong) => Ok(Some(pong)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Send the request of this number.
    Send(u16),
    /// Say that nothing came for this one.
    Missing(u16),
    /// Wait for this long.
    Receive(Duration),
    Done,
}

/// Which requests were sent, and which of them were answered.
struct Requests {
    begun: Instant,
    interval: Duration,
    wait: Duration,
    count: u32,
    sent: u32,
    /// Until when an answer may come, in the order sent.
    open: VecDeque<(Instant, u16)>,
    /// A bit for each sequence number: answered since it was last sent.
    answered: Box<[u64; 1024]>,
}

impl Requests {
    fn new(args: &Args) -> Self {
        Self {
            begun: Instant::now(),
            interval: args.interval,
            wait: args.wait,
            count: args.count,
            sent: 0,
            open: VecDeque::new(),
            answered: Box::new([0; 1024]),
        }
    }

    fn next(&mut self, now: Instant) -> Next {
        while let Some(&(until, seq)) = self.open.front() {
            let answered = self.is_answered(seq);
            if answered || until <= now {
                self.open.pop_front();
            }
            match (answered, until <= now) {
                (true, _) => {}
                (false, true) => return Next::Missing(seq),
                (false, false) => break,
            }
        }
        // From the first one on, so that no delay adds up.
        let due = self.begun + self.interval * self.sent;
        let sends = self.sent < self.count;
        if sends && due <= now {
            self.sent += 1;
            let seq = self.sent as u16;
            self.answered[usize::from(seq / 64)] &= !(1 << (seq % 64));
            self.open.push_back((now + self.wait, seq));
            return Next::Send(seq);
        }
        let late = self.open.front().map(|&(until, _)| until);
        match Some(due).filter(|_| sends).into_iter().chain(late).min() {
            Some(then) => Next::Receive(then - now),
            None => Next::Done,
        }
    }

    fn is_answered(&self, seq: u16) -> bool {
        self.answered[usize::from(seq / 64)] & 1 << (seq % 64) != 0
    }

    /// This one was answered; is that news?
    fn answered(&mut self, seq: u16) -> bool {
        let fresh = !self.is_answered(seq);
        self.answered[usize::from(seq / 64)] |= 1 << (seq % 64);
        fresh
    }
}

/// What was counted.
#[derive(Debug, Default)]
struct Tally {
    sent: u32,
    received: u32,
    duplicates: u32,
    errors: u32,
    times: Times,
}

impl Tally {
    /// Counts what came and tells its line.
    fn take(&mut self, pong: &Pong, fresh: bool) -> String {
        let (from, seq) = (pong.reply.from, pong.reply.seq);
        if pong.reply.outcome != PingOutcome::Reply {
            self.errors += 1;
            return format!("From {from} icmp_seq={seq} {}", pong.reply.outcome);
        }
        let (len, ttl) = (pong.reply.payload.len() + 8, pong.reply.ttl);
        let mut line = format!("{len} bytes from {from}: icmp_seq={seq} ttl={ttl}");
        if let Some(rtt) = pong.rtt {
            line.push_str(&format!(" time={} ms", Millis(rtt.as_nanos())));
        }
        if fresh {
            self.received += 1;
            if let Some(rtt) = pong.rtt {
                self.times.add(rtt);
            }
        } else {
            self.duplicates += 1;
            line.push_str(" (DUP!)");
        }
        line
    }
}

/// Round trips, in nanoseconds.
#[derive(Debug, Default)]
struct Times {
    count: u128,
    min: u128,
    max: u128,
    sum: u128,
    squares: u128,
}

impl Times {
    fn add(&mut self, rtt: Duration) {
        let nanos = rtt.as_nanos();
        self.min = if self.count == 0 {
            nanos
        } else {
            self.min.min(nanos)
        };
        self.max = self.max.max(nanos);
        self.count += 1;
        self.sum += nanos;
        self.squares += nanos * nanos;
    }

    /// The standard deviation.
    fn mdev(&self) -> u128 {
        let mean = self.sum / self.count.max(1);
        (self.squares / self.count.max(1))
            .saturating_sub(mean * mean)
            .isqrt()
    }
}

/// Nanoseconds as milliseconds with three decimals.
struct Millis(u128);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = (self.0 + 500) / 1000;
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

/// The last lines.
struct Summary<'a> {
    tally: &'a Tally,
    took: Duration,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            sent,
            received,
            duplicates,
            errors,
            times,
        } = self.tally;
        write!(f, "{sent} packets transmitted, {received} received")?;
        for (count, what) in [(duplicates, "duplicates"), (errors, "errors")] {
            if *count > 0 {
                write!(f, ", +{count} {what}")?;
            }
        }
        let lost = u64::from(sent.saturating_sub(*received)) * 1000 / u64::from((*sent).max(1));
        write!(f, ", {}", lost / 10)?;
        if lost % 10 > 0 {
            write!(f, ".{}", lost % 10)?;
        }
        write!(f, "% packet loss, time {}ms", self.took.as_millis())?;
        if let Some(mean) = times.sum.checked_div(times.count) {
            let [min, avg, max, mdev] = [times.min, mean, times.max, times.mdev()].map(Millis);
            write!(f, "\nrtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_that_of_iputils() {
        let mut tally = Tally {
            sent: 3,
            received: 2,
            ..Tally::default()
        };
        tally.times.add(Duration::from_micros(1_000));
        tally.times.add(Duration::from_micros(3_000));
        let took = Duration::from_millis(2003);
        let text = Summary {
            tally: &tally,
            took,
        }
        .to_string();
        assert_eq!(
            text,
            "3 packets transmitted, 2 received, 33.3% packet loss, time 2003ms\n\
             rtt min/avg/max/mdev = 1.000/2.000/3.000/1.000 ms"
        );
        let none = Tally {
            sent: 1,
            errors: 1,
            duplicates: 2,
            ..Tally::default()
        };
        let text = Summary { tally: &none, took }.to_string();
        assert_eq!(
            text,
            "1 packets transmitted, 0 received, +2 duplicates, +1 errors, 100% packet loss, time 2003ms"
        );
        let all = Tally {
            sent: 7,
            received: 7,
            ..Tally::default()
        };
        assert!(
            Summary { tally: &all, took }
                .to_string()
                .contains(", 0% packet loss")
        );
        assert_eq!(Millis(45_499).to_string(), "0.045");
    }

    #[test]
    fn requests_go_out_on_time_whatever_comes_back() {
        let second = Duration::from_secs(1);
        let begun = Instant::now();
        let mut requests = Requests {
            begun,
            interval: second,
            wait: second * 3,
            count: 3,
            sent: 0,
            open: VecDeque::new(),
            answered: Box::new([0; 1024]),
        };
        let at = |seconds: f64, requests: &mut Requests| {
            requests.next(begun + Duration::from_secs_f64(seconds))
        };
        assert_eq!(at(0.0, &mut requests), Next::Send(1));
        assert_eq!(at(0.25, &mut requests), Next::Receive(second * 3 / 4));
        assert!(requests.answered(1) && !requests.answered(1));
        // A late look does not put off those that follow.
        assert_eq!(at(1.5, &mut requests), Next::Send(2));
        assert_eq!(at(1.5, &mut requests), Next::Receive(second / 2));
        assert_eq!(at(2.0, &mut requests), Next::Send(3));
        assert_eq!(at(2.0, &mut requests), Next::Receive(second * 5 / 2));
        assert!(requests.answered(3));
        assert_eq!(at(4.5, &mut requests), Next::Missing(2));
        assert_eq!(at(4.5, &mut requests), Next::Done);
        assert!(requests.answered(2), "too late, but it came");
    }

    /// The numbers come again after 65,536: an answer to the first is none to the second.
    #[test]
    fn sequence_numbers_wrap() {
        let begun = Instant::now();
        let mut requests = Requests {
            begun,
            interval: Duration::ZERO,
            wait: LONGEST_WAIT,
            count: u32::MAX,
            sent: 0,
            open: VecDeque::new(),
            answered: Box::new([0; 1024]),
        };
        for number in 1..=65_537u32 {
            assert_eq!(requests.next(begun), Next::Send(number as u16));
            assert!(requests.answered(number as u16), "{number}");
        }
    }
}
