//! What a sender's TCP says of itself while it runs.
//!
//! *Owns* when it is asked, and how: netloom's by its handle, a kernel's by ss(8). *Does not* draw it.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netloom::host::TcpStream;

use super::rig::{Rig, Station};

/// From one question to the next: ss(8) takes a few milliseconds of a processor.
const EVERY: Duration = Duration::from_millis(40);

/// A sender at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    /// Since it was connected.
    pub(crate) at: Duration,
    /// The congestion window, in segments.
    pub(crate) window: f64,
    /// Segments that were sent again by then.
    pub(crate) again: f64,
}

/// What senders said, each in the order of time.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    senders: Mutex<Vec<(Station, Vec<Look>)>>,
}

impl Looks {
    /// Asks a sender until it is over; `own` is netloom's handle of it.
    pub(crate) fn watch(
        &self,
        rig: &Rig,
        (station, port): (Station, u16),
        own: Option<TcpStream>,
        over: &AtomicBool,
    ) {
        let watch = || {
            let (start, mut seen) = (Instant::now(), Vec::new());
            while !over.load(Ordering::Relaxed) {
                let at = start.elapsed();
                let said = match &own {
                    Some(stream) => of_own(stream),
                    None => of_kernel(port),
                };
                seen.extend(said.map(|(window, again)| Look { at, window, again }));
                thread::sleep(EVERY);
            }
            seen
        };
        if let Ok(seen) = rig.within(station, watch) {
            let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
            senders.push((station, seen));
        }
    }

    pub(crate) fn into_senders(self) -> Vec<(Station, Vec<Look>)> {
        let senders = self.senders.into_inner();
        senders.unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_own(stream: &TcpStream) -> Option<(f64, f64)> {
    let info = stream.info().ok()?;
    let window = f64::from(info.cwnd) / f64::from(info.snd_mss.max(1));
    Some((window, info.retransmits as f64))
}

/// Asks the kernel of the calling thread's namespace.
fn of_kernel(port: u16) -> Option<(f64, f64)> {
    let words = ["-tinH", "dport", "=", &port.to_string()].map(str::to_owned);
    let output = Command::new("ss").args(words).output().ok()?;
    said(&String::from_utf8_lossy(&output.stdout))
}

/// The congestion window and what was sent again, of ss(8)'s line.
pub(crate) fn said(line: &str) -> Option<(f64, f64)> {
    let words = || line.split_whitespace();
    let window = words().find_map(|word| word.strip_prefix("cwnd:")?.parse().ok())?;
    let again = words().find_map(|word| {
        word.strip_prefix("retrans:")?
            .split('/')
            .nth(1)?
            .parse()
            .ok()
    });
    Some((window, again.unwrap_or(0.0)))
}
