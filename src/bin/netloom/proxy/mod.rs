//! `netloom proxy`: whatever comes into a device goes on over a SOCKS5 proxy, TCP by connections and UDP by flows.
//!
//! *Owns* the options, the runtime, and what is counted. *Does not* speak SOCKS5: `socks5` does.

mod carry;
mod socks5;
mod tcp;
mod udp;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use netloom::host::{FlowOptions, Host};
use netloom::stack::ListenOptions;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use self::socks5::Refused;
use crate::failure::Failure;
use crate::interface_args::{InterfaceArgs, Wanted};
use crate::output::note;
use crate::running;
use crate::signals::Signals;
use crate::values;

/// Every address and port of both families.
const ALL: [&str; 2] = ["0.0.0.0:0", "[::]:0"];

/// Send what comes into a device on over a SOCKS5 proxy.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// The SOCKS5 proxy, as ADDR:PORT, reached by the kernel's routes: not by those into the device.
    #[arg(long, value_name = "ADDR:PORT")]
    socks5: SocketAddr,
    /// The name to give the proxy, where it asks for one.
    #[arg(long, value_name = "NAME", requires = "password", value_parser = credential)]
    user: Option<String>,
    /// The password that goes with it.
    #[arg(long, value_name = "TEXT", requires = "user", value_parser = credential)]
    password: Option<String>,
    /// The most TCP connections at once; who comes then waits.
    #[arg(long, value_name = "N", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// The most UDP flows at once; a datagram that would begin one more is dropped.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    flows: u32,
    /// End a UDP flow in which nobody spoke for this long.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = values::seconds)]
    idle: Duration,
    /// Give up a connection that the proxy says nothing of for this long: who asked for it hears nothing either.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::seconds)]
    timeout: Duration,
}

/// RFC 1929 has a byte for their lengths.
fn credential(text: &str) -> Result<String, String> {
    match text.len() {
        1..=255 => Ok(text.to_owned()),
        _ => Err("SOCKS5 takes 1 to 255 bytes".to_owned()),
    }
}

/// Where it goes on, and what was counted.
struct Outside {
    socks5: SocketAddr,
    credentials: Option<(String, String)>,
    timeout: Duration,
    permits: Arc<Semaphore>,
    counts: Counts,
    /// That the proxy cannot be used.
    told: Once,
    /// That there are no more descriptors or ports.
    told_exhausted: Once,
}

impl Outside {
    /// Says once of each that the proxy cannot be used, or that this machine is exhausted; what is the matter with one destination is not
    /// said.
    fn tell(&self, refused: &Refused) {
        let once = match refused {
            Refused::Gone(_) | Refused::Strange(_) => &self.told,
            Refused::Exhausted(_) => &self.told_exhausted,
            Refused::Reply(_) | Refused::Silent => return,
        };
        let text = format_args!("the SOCKS5 proxy {}: {refused}", self.socks5);
        once.call_once(|| note(text));
    }
}

/// What became of connections and flows.
#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    /// The proxy said no.
    refused: AtomicU64,
    /// It said nothing.
    silent: AtomicU64,
    /// It could not be reached, or said what is no SOCKS5.
    failed: AtomicU64,
    /// This machine has no more descriptors or ports.
    exhausted: AtomicU64,
    /// Connections that ended in a reset.
    broken: AtomicU64,
    flows: AtomicU64,
    /// Flows that the proxy did not take.
    flows_refused: AtomicU64,
}

fn count(what: &AtomicU64) {
    what.fetch_add(1, Ordering::Relaxed);
}

impl Counts {
    fn all(&self) -> [(&'static str, u64); 8] {
        [
            ("proxy_connections", &self.connections),
            ("proxy_refused", &self.refused),
            ("proxy_silent", &self.silent),
            ("proxy_failed", &self.failed),
            ("proxy_exhausted", &self.exhausted),
            ("proxy_broken", &self.broken),
            ("proxy_flows", &self.flows),
            ("proxy_flows_refused", &self.flows_refused),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

/// Passes on until a signal comes or the device fails.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let signals = Signals::block_with_user()?;
    raise_descriptors();
    let host = args.interface.ready_host(&signals, Wanted::Everything)?;
    let host = Arc::new(host);
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_name("netloom-proxy")
        .build()
        .map_err(Failure::new)?;
    let credentials = args.user.clone().zip(args.password.clone());
    let outside = Arc::new(Outside {
        socks5: args.socks5,
        credentials,
        timeout: args.timeout,
        permits: Arc::new(Semaphore::new(args.connections as usize)),
        counts: Counts::default(),
        told: Once::new(),
        told_exhausted: Once::new(),
    });
    start(args, &host, &runtime, &outside).map_err(Failure::host)?;
    let counters = || running::print_counters(&host, outside.counts.all());
    let ended = running::until_a_signal(&host, &signals, counters);
    runtime.shutdown_background();
    args.interface.note_capture(&host);
    ended
}

/// Takes in both families, as far as the host has addresses to answer with; accepting needs none.
fn start(
    args: &Args,
    host: &Arc<Host>,
    runtime: &Runtime,
    outside: &Arc<Outside>,
) -> std::io::Result<()> {
    let flows = FlowOptions::new()
        .flows(args.flows as usize)
        .idle(args.idle);
    // A SYN is answered for, or not, when the proxy has answered.
    let held = ListenOptions::default().hold(Some(args.timeout + Duration::from_secs(5)));
    for all in ALL {
        let requests = host.tcp_requests_with(all, held.clone())?;
        runtime.spawn(tcp::serve(requests, Arc::clone(outside)));
        let flows = host.udp_flows(all, flows)?;
        runtime.spawn(udp::serve(flows, Arc::clone(outside)));
    }
    Ok(())
}

/// Each connection takes a descriptor, each flow two.
fn raise_descriptors() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_err() {
        note(format_args!("no more than {soft} descriptors at once"));
    }
}
