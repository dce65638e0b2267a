//! `netloom serve`: a host that answers, until SIGINT or SIGTERM; SIGUSR1 asks for its counters.

use std::sync::{Arc, Weak};
use std::time::Duration;

use netloom::host::{Connection, Host};
use serde_json::{Map, Value, json};

use crate::control::ControlArgs;
use crate::failure::Failure;
use crate::interface_args::{InterfaceArgs, Wanted};
use crate::running;
use crate::services::{self, Context, Limits, Served};
use crate::signals::Signals;

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
    #[command(flatten)]
    control: ControlArgs,
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
    let mut control = args.control.bind()?;
    let host = Arc::new(args.interface.ready_host(&signals, Wanted::Nothing)?);
    let seen = Arc::downgrade(&host);
    let context = Context::new(move |served| stats(&seen, served));
    services::start(&host, &context, args.limits())
        .map_err(|error| Failure::new(format_args!("cannot start the services: {error}")))?;
    if let Some(control) = &mut control {
        control.serve(&host)?;
    }
    for interface in host.interfaces() {
        running::tell_conflicts(interface)?;
    }
    let ended = running::until_a_signal(&host, &signals, || print_counters(&host, &context.served));
    args.interface.note_capture(&host);
    ended
}

/// What was counted and is not zero.
fn print_counters(host: &Host, served: &Served) -> Result<(), Failure> {
    running::print_counters(host, served.counts())
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
