//! A command whose host runs until a signal: what it prints meanwhile, and at the end.
//!
//! *Owns* the order: `ready`, counters at SIGUSR1 with an empty line behind them, counters at the end. *Does not* serve anybody.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;

use netloom::device::DeviceCounters;
use netloom::host::{Host, Interface};
use nix::sys::signal::Signal;

use crate::failure::Failure;
use crate::output::{note, say};
use crate::signals::{END_WITHIN, Signals};

/// Says `ready`, and `counters` whenever SIGUSR1 comes and at the end: that of the host, or that which another signal asks for.
///
/// # Errors
/// Why the host ended by itself.
pub(crate) fn until_a_signal(
    host: &Arc<Host>,
    signals: &Signals,
    counters: impl Fn() -> Result<(), Failure>,
) -> Result<(), Failure> {
    say("ready")?;
    let mut ended = watch(host)?;
    loop {
        signals.wait_with(&[ended.as_fd()], None)?;
        match signals.take() {
            Some(Signal::SIGUSR1) => {
                // The empty line tells where they end. The host goes on when nobody reads.
                let _ = counters().and_then(|()| say(""));
            }
            Some(_) => break,
            None => {}
        }
        if let Some(why) = host.error() {
            // The watcher says nothing, it only closes its end.
            let _ = ended.read(&mut [0; 1]);
            counters()?;
            return Err(Failure::host(why));
        }
    }
    host.shutdown(END_WITHIN);
    counters()
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
pub(crate) fn tell_conflicts(interface: Interface) -> Result<(), Failure> {
    let teller = thread::Builder::new().name("netloom-conflicts".to_owned());
    teller
        .spawn(move || {
            let mut known = 0;
            while let Ok((address, station)) = interface.wait_conflict(known) {
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

/// What was counted and is not zero, a name and a number a line; `more` as well. What the devices have lost stands there in any case:
/// that of the first as `device_`, that of another with the number of its interface behind that.
pub(crate) fn print_counters<'a>(
    host: &Host,
    more: impl IntoIterator<Item = (&'a str, u64)>,
) -> Result<(), Failure> {
    let counters = host.counters();
    let drops = counters.drops.iter();
    let more = more.into_iter();
    let named = counters
        .iter()
        .map(|(name, count)| (name.to_owned(), count))
        .chain(drops.map(|(reason, count)| (format!("drop_{reason}"), count)))
        .chain(more.map(|(name, count)| (name.to_owned(), count)));
    let mut text = String::new();
    for (name, count) in named.filter(|&(_, count)| count > 0) {
        text.push_str(&format!("{name} {count}\n"));
    }
    let first = host.device_counters();
    for (name, count) in first.iter().flat_map(DeviceCounters::iter) {
        text.push_str(&format!("device_{name} {count}\n"));
    }
    for interface in host.interfaces().iter().skip(1) {
        let (number, counters) = (interface.id().scope(), interface.device_counters());
        for (name, count) in counters.iter().flat_map(DeviceCounters::iter) {
            text.push_str(&format!("device_{number}_{name} {count}\n"));
        }
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
