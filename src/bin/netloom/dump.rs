//! `netloom dump`: one decoded line per packet, from a capture or a live device.

use std::fmt;
use std::io::{self, BufWriter, Read, StdoutLock, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use netloom::base::Instant;
use netloom::capture::{Corrupt, Direction, Ended, Frame, LinkType, Reader};
use netloom::decode::{Decoder, Link};
use netloom::device::{Device, OpenError, Pollable, Receive, RxBatch, Tap, Tun};
use netloom::link::RxChecksum;

use crate::failure::Failure;
use crate::output::note_made;
use crate::signals::Signals;

/// What `netloom dump` is told.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Args {
    /// Read a pcap or pcapng file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    read: Option<PathBuf>,
    /// Print what the kernel sends into this TAP, which is made when it is not there; with %d in
    /// NAME the kernel chooses a number, and the name is told.
    #[arg(long, value_name = "NAME")]
    tap: Option<String>,
    /// The same for a TUN.
    #[arg(long, value_name = "NAME")]
    tun: Option<String>,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args {
        Args {
            read: Some(path), ..
        } if path.as_os_str() == "-" => file(Reader::new(io::stdin().lock()), &path),
        Args {
            read: Some(path), ..
        } => {
            let reader = Reader::open(&path).map_err(|error| {
                Failure::new(format_args!("cannot open {}: {error}", path.display()))
            })?;
            file(reader, &path)
        }
        Args {
            tap: Some(name), ..
        } => live(LinkType::ETHERNET, || {
            let tap = Tap::builder().name(&name).open()?;
            note_made(&name, tap.name());
            Ok(tap)
        }),
        Args {
            tun: Some(name), ..
        } => live(LinkType::RAW, || {
            let tun = Tun::builder().name(&name).open()?;
            note_made(&name, tun.name());
            Ok(tun)
        }),
        Args { .. } => Err(Failure::new(
            "nothing to read from; name a file, a TAP or a TUN",
        )),
    }
}

/// What `--read` takes.
const CAPTURES: &str = "give a capture as tcpdump, Wireshark or netloom write it, unpacked";

/// Prints a capture file. What ends it early is said in the last line; only what nobody could read
/// is a failure.
fn file<R: Read>(mut reader: Reader<R>, path: &Path) -> Result<(), Failure> {
    let mut out = Lines::new();
    for frame in reader.by_ref() {
        out.packet(&Packet::from(&frame))?;
    }
    let counts = reader.counts();
    let complete = Ended::Complete;
    let ended = reader.ended().unwrap_or(&complete);
    let of = |number: u64, what: &str| match number {
        0 => String::new(),
        number => format!(", {number} {what}"),
    };
    let extra = [
        of(counts.cut_frames, "cut by the snap length"),
        of(counts.unreadable, "records unreadable"),
        of(counts.lost, "lost while capturing"),
        of(counts.skipped, "other blocks passed over"),
    ]
    .concat();
    out.end(format_args!(
        "{extra}; file {ended}, {} bytes read",
        counts.bytes
    ))?;
    let name = path.display();
    match ended {
        Ended::Cut { at, .. } if !reader.has_begun() => Err(Failure::with_cure(
            match at {
                0 => format!("{name} is empty"),
                1 => format!("{name} is too short for a capture: 1 byte"),
                at => format!("{name} is too short for a capture: {at} bytes"),
            },
            CAPTURES,
        )),
        Ended::Corrupt {
            what: what @ Corrupt::Magic(_),
            ..
        } => Err(Failure::with_cure(format_args!("{name}: {what}"), CAPTURES)),
        Ended::Corrupt { .. } => Err(Failure::with_cure(
            format_args!("{name}: {ended}"),
            "what follows that byte is lost, all packets before it were printed",
        )),
        Ended::Io { .. } => Err(Failure::new(format_args!("{name}: {ended}"))),
        _ => Ok(()),
    }
}

/// Prints what arrives on a device until a signal comes or the device goes.
fn live<D: Device<Rx: Pollable>>(
    link: LinkType,
    open: impl FnOnce() -> Result<D, OpenError>,
) -> Result<(), Failure> {
    let signals = Signals::block()?;
    let (mut rx, tx) = open().map_err(Failure::new)?.split();
    let readable = rx.descriptor().map_err(Failure::new)?;
    let mut batch = RxBatch::new(64);
    let mut out = Lines::new();
    let outcome = loop {
        if signals.came() {
            break Ok(());
        }
        let now = wall_clock();
        if let Err(error) = rx.receive(now, &mut batch) {
            break Err(Failure::new(error));
        }
        if batch.is_empty() {
            out.flush()?;
            signals.wait_with(&[readable.as_fd()], None)?;
            continue;
        }
        for frame in batch.drain() {
            out.packet(&Packet {
                at: Some(now.as_nanos()),
                direction: None,
                link,
                data: &frame.data,
                original_len: frame.data.len(),
                checksum: frame.meta.checksum,
            })?;
        }
    };
    out.end(format_args!(""))?;
    drop((rx, tx)); // the transmitting half keeps the device open
    outcome
}

/// Nanoseconds since the Unix epoch.
fn wall_clock() -> Instant {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Instant::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// A packet to print.
struct Packet<'a> {
    at: Option<u64>,
    direction: Option<Direction>,
    link: LinkType,
    data: &'a [u8],
    original_len: usize,
    checksum: RxChecksum,
}

impl<'a> From<&'a Frame> for Packet<'a> {
    fn from(frame: &'a Frame) -> Self {
        Self {
            at: frame.at,
            direction: frame.direction,
            link: frame.link,
            data: &frame.data,
            original_len: frame.original_len as usize,
            checksum: RxChecksum::Unknown,
        }
    }
}

impl fmt::Display for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(nanos) => write!(f, "{}", TimeOfDay(nanos))?,
            None => f.write_str("--:--:--.---------")?,
        }
        f.write_str(match self.direction {
            Some(Direction::Inbound) => " in  ",
            Some(Direction::Outbound) => " out ",
            None => " ",
        })?;
        let decoder = Decoder::new(Link::from_linktype(self.link.0));
        let line = decoder.line(self.data, self.original_len, self.checksum);
        write!(f, "{line}")
    }
}

/// The time of day, in UTC, of nanoseconds since the Unix epoch.
struct TimeOfDay(u64);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02}.{nanos:09}", seconds % 60)
    }
}

/// Standard output, one line per packet, and their count.
struct Lines {
    out: BufWriter<StdoutLock<'static>>,
    count: u64,
}

impl Lines {
    fn new() -> Self {
        Self {
            out: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
            count: 0,
        }
    }

    fn packet(&mut self, packet: &Packet<'_>) -> Result<(), Failure> {
        self.count += 1;
        writeln!(self.out, "{packet}").map_err(|error| Failure::stdout(&error))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::stdout(&error))
    }

    /// The last line: how many packets there were, and what else is to say.
    fn end(mut self, extra: fmt::Arguments<'_>) -> Result<(), Failure> {
        let count = self.count;
        let packets = if count == 1 { "packet" } else { "packets" };
        writeln!(self.out, "{count} {packets}{extra}").map_err(|error| Failure::stdout(&error))?;
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_the_day() {
        let text = TimeOfDay(1_700_000_000_000_000_123).to_string();
        assert_eq!(text, "22:13:20.000000123");
        assert_eq!(TimeOfDay(u64::MAX).to_string(), "23:34:33.709551615");
    }
}
