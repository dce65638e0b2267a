//! `netloom trace`: the routers on the way to a host, told as traceroute(8) does.
//!
//! *Owns* the order of probes, and the lines. *Does not* make packets: `probe` does.

mod probe;

use std::fmt::{self, Write};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use netloom::base::Protocol;
use netloom::host::{Host, RawSocket};
use netloom::stack::{IcmpFilter, RawOptions, RawPacket, SendInfo};

use crate::failure::{Failure, UNREACHABLE};
use crate::interface_args::InterfaceArgs;
use crate::output::say;
use crate::signals::{END_WITHIN, Signals};
use crate::values;
use crate::whom::Whom;
use probe::{Answer, Kind, Mark, Prober};

/// Print the routers on the way to a host.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// Who is at the end: an address, or a name, which needs a DNS server.
    #[arg(value_name = "ADDR", value_parser = values::whom)]
    to: Whom,
    /// Send UDP datagrams, which is done unless something else is asked for.
    #[arg(long, conflicts_with_all = ["icmp", "tcp"])]
    udp: bool,
    /// Send ICMP echo requests.
    #[arg(long, conflicts_with = "tcp")]
    icmp: bool,
    /// Send TCP SYNs to this port.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    tcp: Option<u16>,
    /// The port that UDP datagrams go to, which nobody should take; with --no-paris the first of them.
    #[arg(long, short = 'p', value_name = "PORT", default_value_t = 33_434, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// How many hops at most.
    #[arg(long, short = 'm', value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u8).range(1..))]
    max_hops: u8,
    /// How many probes for each hop.
    #[arg(long, short = 'q', value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=10))]
    queries: u8,
    /// Seconds that answers may take, 60 at most.
    #[arg(long, short = 'w', value_name = "SECONDS", default_value = "5", value_parser = wait)]
    wait: Duration,
    /// Let each probe be of a flow of its own, as the first traceroute had it: routers that spread flows then show several ways at once.
    #[arg(long)]
    no_paris: bool,
}

const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long the lookup of a name may take.
const LOOKUP_WITHIN: Duration = Duration::from_secs(30);
/// Answers that wait while lines are printed; more are lost, as on the way.
const WAITING: usize = 64;
/// How often who listens looks whether it is over.
const LOOK_EACH: Duration = Duration::from_millis(100);

fn wait(text: &str) -> Result<Duration, String> {
    let time = values::seconds(text)?;
    if time > LONGEST_WAIT {
        return Err("give seconds, 60 at most".to_owned());
    }
    Ok(time)
}

impl Args {
    const fn kind(&self) -> Kind {
        match (self.icmp, self.tcp) {
            (true, _) => Kind::Icmp,
            (false, Some(port)) => Kind::Tcp { port },
            // --udp says no more.
            (false, None) => Kind::Udp { port: self.port },
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    args.to.check(&args.interface)?;
    let signals = Signals::block()?;
    let host = args.interface.ready_host(&signals, args.to.wanted())?;
    let outcome = signals.around(&host, || {
        let to = args.to.address(&host, LOOKUP_WITHIN)?;
        trace(args, to, &host)
    });
    host.shutdown(END_WITHIN);
    args.interface.note_capture(&host);
    match outcome? {
        End::Arrived => Ok(()),
        End::Stopped => Err(Failure::new(format_args!("{} is not reached", args.to))),
        End::OutOfHops => Err(Failure::with_cure(
            format_args!("{} is not reached in {} hops", args.to, args.max_hops),
            "try --icmp or --tcp 443, which fewer routers drop, or a larger -m",
        )),
        End::Silent => {
            let cause = format_args!("nobody on the way to {} answered", args.to);
            Err(Failure::with_cure(cause, UNREACHABLE))
        }
    }
}

/// How a trace ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Arrived,
    Stopped,
    OutOfHops,
    /// Not even one router told of itself.
    Silent,
}

fn trace(args: &Args, to: IpAddr, host: &Host) -> Result<End, Failure> {
    let failed = |error: io::Error| Failure::peer(to, &error);
    let from = host.source_to(to).map_err(failed)?;
    let prober = Prober {
        kind: args.kind(),
        paris: !args.no_paris,
        from,
        to,
        own: 0x8000 | std::process::id() as u16,
    };
    let errors = host.raw_socket(answers(to)).map_err(failed)?;
    let probes = host.raw_socket(prober.options()).map_err(failed)?;
    let (hops, len) = (args.max_hops, prober.len());
    say(format_args!(
        "traceroute to {} ({to}), {hops} hops max, {len} byte packets",
        args.to
    ))?;
    let over = AtomicBool::new(false);
    let (sender, heard) = sync_channel(WAITING);
    thread::scope(|scope| {
        scope.spawn(|| listen(&errors, &prober, &sender, &over));
        if matches!(prober.kind, Kind::Tcp { .. }) {
            scope.spawn(|| listen(&probes, &prober, &sender, &over));
        }
        let walk = Walk {
            args,
            host,
            prober,
            probes: &probes,
            heard: &heard,
        };
        let outcome = walk.walk();
        over.store(true, Ordering::Relaxed);
        outcome
    })
}

/// What comes back by ICMP.
fn answers(to: IpAddr) -> RawOptions {
    let none = IcmpFilter::none();
    match to {
        IpAddr::V4(_) => {
            let filter = none.pass(0).pass(3).pass(11);
            RawOptions::v4(Protocol::ICMP).icmp_filter(filter)
        }
        IpAddr::V6(_) => {
            let filter = none.pass(1).pass(2).pass(3).pass(4).pass(129);
            RawOptions::v6(Protocol::ICMPV6).icmp_filter(filter)
        }
    }
}

/// What came of a probe, and when.
#[derive(Clone, Copy, Debug)]
struct Heard {
    number: u16,
    from: IpAddr,
    at: netloom::Instant,
    answer: Answer,
}

impl Heard {
    fn of(prober: &Prober, packet: &RawPacket) -> Option<Self> {
        let (number, answer) = prober.answer(packet)?;
        let (from, at) = (packet.src, packet.at);
        Some(Self {
            number,
            from,
            at,
            answer,
        })
    }
}

/// Passes on what a socket hears of probes until it is over.
fn listen(
    socket: &RawSocket,
    prober: &Prober,
    heard: &SyncSender<io::Result<Heard>>,
    over: &AtomicBool,
) {
    while !over.load(Ordering::Relaxed) {
        match socket.recv(LOOK_EACH) {
            Ok(packet) => {
                if let Some(answer) = Heard::of(prober, &packet) {
                    let _ = heard.try_send(Ok(answer));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => {
                let _ = heard.try_send(Err(error));
                return;
            }
        }
    }
}

/// A trace under way.
struct Walk<'a> {
    args: &'a Args,
    host: &'a Host,
    prober: Prober,
    probes: &'a RawSocket,
    heard: &'a Receiver<io::Result<Heard>>,
}

/// A probe of the hop that is asked for.
#[derive(Clone, Copy, Debug)]
struct Query {
    number: u16,
    sent: netloom::Instant,
    answer: Option<(IpAddr, Duration, Answer)>,
}

impl Walk<'_> {
    fn walk(&self) -> Result<End, Failure> {
        let mut anybody = false;
        for hop in 1..=self.args.max_hops {
            let queries = self.ask(hop)?;
            say(Line {
                hop,
                queries: &queries,
            })?;
            let answers = || queries.iter().filter_map(|query| query.answer);
            anybody |= answers().next().is_some();
            if answers().any(|(_, _, answer)| answer == Answer::Arrived) {
                return Ok(End::Arrived);
            }
            if answers().any(|(_, _, answer)| matches!(answer, Answer::Stopped(_))) {
                return Ok(End::Stopped);
            }
        }
        Ok(if anybody { End::OutOfHops } else { End::Silent })
    }

    /// Sends the probes of a hop, and waits for what comes of them.
    fn ask(&self, hop: u8) -> Result<Vec<Query>, Failure> {
        let failed = |error: io::Error| Failure::peer(self.prober.to, &error);
        // Their checksums are of this source.
        let info = SendInfo::new().ttl(hop).source(self.prober.from);
        let mut queries = Vec::new();
        let many = u16::from(self.args.queries);
        for at in 1..=many {
            let number = (u16::from(hop) - 1) * many + at;
            let sent = self.host.now();
            let probe = self.prober.probe(number);
            let to = Some(self.prober.to);
            self.probes.send_with(to, probe, &info).map_err(failed)?;
            queries.push(Query {
                number,
                sent,
                answer: None,
            });
        }
        let until = Instant::now() + self.args.wait;
        wait_for(self.heard, &mut queries, until).map_err(failed)?;
        Ok(queries)
    }
}

/// Waits till all queries are answered, or it is late, however much else comes meanwhile.
fn wait_for(
    heard: &Receiver<io::Result<Heard>>,
    queries: &mut [Query],
    until: Instant,
) -> io::Result<()> {
    while queries.iter().any(|query| query.answer.is_none()) {
        let left = until.saturating_duration_since(Instant::now());
        // What is there would be taken with no time left as well.
        if left.is_zero() {
            break;
        }
        let heard = match heard.recv_timeout(left) {
            Ok(heard) => heard?,
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the host has ended"));
            }
        };
        let open = |query: &&mut Query| query.number == heard.number && query.answer.is_none();
        if let Some(query) = queries.iter_mut().find(open) {
            let took = heard.at.since(query.sent);
            query.answer = Some((heard.from, took, heard.answer));
        }
    }
    Ok(())
}

/// A hop as traceroute prints it.
struct Line<'a> {
    hop: u8,
    queries: &'a [Query],
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:2} ", self.hop)?;
        let mut last = None;
        for query in self.queries {
            let Some((from, took, answer)) = query.answer else {
                f.write_str(" *")?;
                continue;
            };
            if last.replace(from) != Some(from) {
                write!(f, " {from}")?;
            }
            let micros = (took.as_nanos() + 500) / 1000;
            write!(f, "  {}.{:03} ms", micros / 1000, micros % 1000)?;
            if let Answer::Stopped(mark) = answer {
                f.write_char(' ')?;
                Mark::fmt(&mark, f)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However fast it comes: what is there once it is late keeps nobody waiting.
    #[test]
    fn a_hop_ends_in_time_whatever_comes() {
        let (sender, heard) = sync_channel(WAITING);
        let fill = || {
            for number in [9, 1] {
                let from = IpAddr::from([10, 0, 0, 1]);
                let (at, answer) = (netloom::Instant::ZERO, Answer::Hop);
                let heard = Heard {
                    number,
                    from,
                    at,
                    answer,
                };
                sender.try_send(Ok(heard)).unwrap();
            }
        };
        let now = Instant::now();
        for (until, told) in [(now, false), (now + LONGEST_WAIT, true)] {
            fill();
            let mut queries = [Query {
                number: 1,
                sent: netloom::Instant::ZERO,
                answer: None,
            }];
            wait_for(&heard, &mut queries, until).unwrap();
            assert_eq!(queries[0].answer.is_some(), told);
        }
    }

    #[test]
    fn lines_are_traceroute_s() {
        let query = |answer: Option<(&str, u64, Answer)>| Query {
            number: 1,
            sent: netloom::Instant::ZERO,
            answer: answer.map(|(from, micros, answer)| {
                (from.parse().unwrap(), Duration::from_micros(micros), answer)
            }),
        };
        let (a, b) = ("10.0.0.1", "10.0.0.2");
        let stopped = Answer::Stopped(Mark::Host);
        for (hop, queries, line) in [
            (
                1,
                vec![
                    Some((a, 1_234, Answer::Hop)),
                    Some((a, 56, Answer::Hop)),
                    None,
                ],
                " 1  10.0.0.1  1.234 ms  0.056 ms *",
            ),
            (2, vec![None, None], " 2  * *"),
            (
                11,
                vec![Some((a, 1_000, Answer::Hop)), Some((b, 2_000, stopped))],
                "11  10.0.0.1  1.000 ms 10.0.0.2  2.000 ms !H",
            ),
        ] {
            let queries: Vec<Query> = queries.into_iter().map(query).collect();
            let queries = &queries;
            assert_eq!(Line { hop, queries }.to_string(), line);
        }
    }
}
