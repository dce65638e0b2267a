//! `netloom serve`: a host that answers, until SIGINT or SIGTERM; SIGUSR1 asks for its counters.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use netloom::device::DeviceCounters;
use netloom::host::{Connection, Host};
use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::interface_args::{InterfaceArgs, Wanted};
use crate::output::{note, say};
use crate::services::{self, Context, Limits, Served};
use crate::signals::{END_WITHIN, Signals};

/// What `netloom serve` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// The most connections that each TCP service has at once.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = at_least_one)]
    connections: usize,
    /// The most of them from one peer: an IPv4 address, or a /64 of IPv6 addresses [default: a quarter
    /// of --connections].
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    connections_per_peer: Option<usize>,
}

impl Args {
    fn limits(&self) -> Limits {
        let quarter = self.connections.div_ceil(4);
        Limits {
            connections: self.connections,
            per_peer: self.connections_per_peer.unwrap_or(quarter),
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("with none at all nobody is served; give 1 or more".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("give a whole number".to_owned()),
    }
}

/// Serves until a signal comes or the device fails.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let signals = Signals::block_with_user()?;
    let host = Arc::new(args.interface.ready_host(&signals, Wanted::Nothing)?);
    let seen = Arc::downgrade(&host);
    let context = Context::new(move |served| stats(&seen, served));
    services::start(&host, &context, args.limits())
        .map_err(|error| Failure::new(format_args!("cannot start the services: {error}")))?;
    say("ready")?;

    let mut ended = watch(&host)?;
    tell_conflicts(&host)?;
    loop {
        signals.wait_with(&[ended.as_fd()], None)?;
        match signals.take() {
            Some(Signal::SIGUSR1) => {
                // The empty line tells where they end. Who serves goes on when nobody reads.
                let _ = print_counters(&host, &context.served).and_then(|()| say(""));
            }
            Some(_) => break,
            None => {}
        }
        if let Some(why) = host.error() {
            // The watcher says nothing, it only closes its end.
            let _ = ended.read(&mut [0; 1]);
            print_counters(&host, &context.served)?;
            args.interface.note_capture(&host);
            return Err(Failure::host(why));
        }
    }
    host.shutdown(END_WITHIN);
    args.interface.note_capture(&host);
    print_counters(&host, &context.served)
}

/// A pipe that becomes readable when the host ends.
fn watch(host: &Arc<Host>) -> Result<io::PipeReader, Failure> {
    let (reader, writer) = io::pipe().map_err(Failure::new)?;
    let host = Arc::clone(host);
    let watcher = thread::Builder::new().name("netloom-watch".to_owned());
    watcher
        .spawn(move || {
            host.wait(None);
            drop(writer);
        })
        .map_err(Failure::new)?;
    Ok(reader)
}

/// Says once of each IPv4 address that another station claims it; those of IPv6 were settled before.
fn tell_conflicts(host: &Arc<Host>) -> Result<(), Failure> {
    let host = Arc::clone(host);
    let teller = thread::Builder::new().name("netloom-conflicts".to_owned());
    teller
        .spawn(move || {
            let mut known = 0;
            while let Ok((address, station)) = host.wait_conflict(known) {
                known += 1;
                if address.is_ipv4() {
                    let station = station.map_or_else(String::new, |mac| format!(" {mac}"));
                    note(format_args!(
                        "station{station} uses our address {address}; who talks to us may reach it \
                         instead"
                    ));
                }
            }
        })
        .map_err(Failure::new)?;
    Ok(())
}

/// What was counted and is not zero, a name and a number a line.
fn print_counters(host: &Host, served: &Served) -> Result<(), Failure> {
    let counters = host.counters();
    let drops = counters.drops.iter();
    let named = counters
        .iter()
        .map(|(name, count)| (name.to_owned(), count))
        .chain(drops.map(|(reason, count)| (format!("drop_{reason}"), count)))
        .chain(
            served
                .counts()
                .map(|(name, count)| (name.to_owned(), count)),
        );
    let mut text = String::new();
    for (name, count) in named.filter(|&(_, count)| count > 0) {
        text.push_str(&format!("{name} {count}\n"));
    }
    for (name, count) in host.device_counters().iter().flat_map(DeviceCounters::iter) {
        text.push_str(&format!("device_{name} {count}\n"));
    }
    if let Some(capture) = host.capture() {
        let stats = capture.stats();
        text.push_str(&format!(
            "capture_seen {}\ncapture_written {}\ncapture_lost {}\n",
            stats.seen,
            stats.written,
            stats.lost_queue + stats.lost_limit + stats.lost_error
        ));
    }
    if let Some(recording) = host.recording() {
        let stats = recording.stats();
        text.push_str(&format!(
            "recording_entries {}\nrecording_lost {}\n",
            stats.entries, stats.lost
        ));
    }
    say(text.trim_end())
}

/// The JSON text of `/stats`.
fn stats(host: &Weak<Host>, served: &Served) -> String {
    let Some(host) = host.upgrade() else {
        return "{}\n".to_owned();
    };
    let counters = host.counters();
    let object = |pairs: &mut dyn Iterator<Item = (&'static str, u64)>| -> Value {
        let map: Map<String, Value> = pairs.map(|(k, v)| (k.to_owned(), v.into())).collect();
        map.into()
    };
    let drops = counters.drops.iter();
    let capture = host.capture().map(|capture| {
        let stats = capture.stats();
        json!({
            "seen": stats.seen, "written": stats.written, "cut": stats.cut,
            "lost_queue": stats.lost_queue, "lost_limit": stats.lost_limit,
            "lost_error": stats.lost_error,
        })
    });
    let addresses: Vec<_> = host
        .addresses()
        .iter()
        .map(|(a, _)| a.to_string())
        .collect();
    let connections: Vec<_> = host.connections().iter().map(connection).collect();
    let page = json!({
        "addresses": addresses,
        "counters": object(&mut counters.iter()),
        "drops": object(&mut drops.map(|(reason, count)| (reason.name(), count))),
        "served": object(&mut served.counts().into_iter()),
        "device": host.device_counters().map(|counters| object(&mut counters.iter())),
        "capture": capture,
        "connections": connections,
    });
    format!("{page:#}\n")
}

fn connection(connection: &Connection) -> Value {
    let info = &connection.info;
    let micros = |time: Duration| time.as_micros() as u64;
    json!({
        "local": connection.local.to_string(),
        "peer": connection.peer.to_string(),
        "state": info.state.name(),
        "congestion_control": info.congestion_control,
        "rtt_us": info.rtt.map(micros),
        "rttvar_us": micros(info.rttvar),
        "min_rtt_us": info.min_rtt.map(micros),
        "rto_us": micros(info.rto),
        "cwnd": info.cwnd,
        "ssthresh": info.ssthresh,
        "in_flight": info.in_flight,
        "unacked": info.unacked,
        "unsent": info.unsent,
        "unread": info.unread,
        "snd_mss": info.snd_mss,
        "rcv_mss": info.rcv_mss,
        "snd_wnd": info.snd_wnd,
        "rcv_wnd": info.rcv_wnd,
        "segs_out": info.segs_out,
        "segs_in": info.segs_in,
        "bytes_acked": info.bytes_acked,
        "bytes_received": info.bytes_received,
        "retransmits": info.retransmits,
        "bytes_retransmitted": info.bytes_retransmitted,
        "reordering": info.reordering,
        "ecn": info.ecn,
        "ce_received": info.ce_received,
        "ece_received": info.ece_received,
        "ecn_reductions": info.ecn_reductions,
        "delivery_rate": info.delivery_rate,
    })
}
