//! `netloom dump`: one decoded line per packet, from a capture or a live device, or a smaller capture.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Read, StdoutLock, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use netloom::base::Instant;
use netloom::capture::{
    CaptureSettings, Corrupt, Direction, Ended, Frame, InterfaceNumber, LinkType, Reader, Writer,
};
use netloom::decode::{Decoder, Filter, Link};
use netloom::device::{Device, OpenError, Pollable, Receive, RxBatch, Tap, Tun};
use netloom::link::RxChecksum;

use crate::failure::Failure;
use crate::output::note_made;
use crate::signals::Signals;

/// What `netloom dump` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Stop after this many packets.
    #[arg(long, short = 'c', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Write the packets to this pcapng file instead of printing them.
    #[arg(long, short = 'w', value_name = "FILE")]
    write: Option<PathBuf>,
    /// Print the bytes of each packet too, from its link header on.
    #[arg(long, short = 'x', conflicts_with = "write")]
    hex: bool,
    /// Only packets that this takes, such as: host 10.7.0.1 and not port 22.
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

/// Where the packets come from: one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Read a pcap or pcapng file; `-` is standard input.
    #[arg(long, short = 'r', value_name = "FILE")]
    read: Option<PathBuf>,
    /// Print what the kernel sends into this TAP, which is made when it is not there; with %d in
    /// NAME the kernel chooses a number, and the name is told.
    #[arg(long, value_name = "NAME")]
    tap: Option<String>,
    /// The same for a TUN.
    #[arg(long, value_name = "NAME")]
    tun: Option<String>,
}

/// The grammar of filters, for `--help`.
pub(crate) const FILTERS: &str = "Filters: arp, ip, ip6, tcp, udp, icmp, icmp6, host ADDR, net \
    ADDR/LENGTH and port N, the last three after src or dst if one end is meant; joined by `and`, \
    `or` (which binds less), `not` and parentheses. They look behind VLAN tags and extension headers.";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let filter = match args.filter.join(" ") {
        none if none.trim().is_empty() => None,
        text => Some(text.parse::<Filter>().map_err(|error| {
            Failure::usage(format_args!("filter `{text}`: {error}"), "see dump --help")
        })?),
    };
    let goal = Goal {
        filter,
        left: args.count.unwrap_or(u64::MAX),
    };
    let source = &args.source;
    if let (Some(read), Some(write)) = (&source.read, &args.write)
        && read
            .canonicalize()
            .is_ok_and(|read| write.canonicalize().is_ok_and(|it| it == read))
    {
        let cause = format_args!("--read and --write are both {}", read.display());
        return Err(Failure::usage(cause, "give the new capture another name"));
    }
    // What is written is as it would be on a wire.
    let offload = args.write.is_none();
    match (&source.read, &source.tap, &source.tun) {
        (Some(path), ..) if path.as_os_str() == "-" => {
            file(Reader::new(io::stdin().lock()), path, args, goal)
        }
        (Some(path), ..) => {
            let reader = Reader::open(path).map_err(|error| {
                Failure::new(format_args!("cannot open {}: {error}", path.display()))
            })?;
            file(reader, path, args, goal)
        }
        (_, Some(name), _) => live(LinkType::ETHERNET, args, goal, || {
            let tap = Tap::builder().name(name).offload(offload).open()?;
            note_made(name, tap.name());
            Ok(tap)
        }),
        (_, _, Some(name)) => live(LinkType::RAW, args, goal, || {
            let tun = Tun::builder().name(name).offload(offload).open()?;
            note_made(name, tun.name());
            Ok(tun)
        }),
        (None, None, None) => Err(Failure::usage(
            "nothing to read from",
            "name a file, a TAP or a TUN",
        )),
    }
}

/// What `--read` takes.
const CAPTURES: &str = "give a capture as tcpdump, Wireshark or netloom write it, unpacked";

/// Prints a capture file. What ends it early is said in the last line; only what nobody could read
/// is a failure.
fn file<R: Read>(
    mut reader: Reader<R>,
    path: &Path,
    args: &Args,
    mut goal: Goal,
) -> Result<(), Failure> {
    let name = path.display();
    let first = reader.next();
    let nothing = match reader.ended() {
        Some(Ended::Cut { at, .. }) if !reader.has_begun() => Some(match at {
            0 => format!("{name} is empty"),
            1 => format!("{name} is too short for a capture: 1 byte"),
            at => format!("{name} is too short for a capture: {at} bytes"),
        }),
        Some(Ended::Corrupt {
            what: what @ Corrupt::Magic(_),
            ..
        }) if !reader.has_begun() => Some(format!("{name}: {what}")),
        _ => None,
    };
    if let Some(cause) = nothing {
        return Err(Failure::with_cure(cause, CAPTURES));
    }
    let mut out = Out::new(args)?;
    for frame in first.into_iter().chain(reader.by_ref()) {
        if goal.wants(frame.link, &frame.data) {
            out.packet(&Packet::from(&frame))?;
            if goal.is_met() {
                return out.end(format_args!(""));
            }
        }
    }
    let counts = reader.counts();
    let complete = Ended::Complete;
    let ended = reader.ended().unwrap_or(&complete);
    let of = |number: u64, what: &str| match number {
        0 => String::new(),
        number => format!(", {number} {what}"),
    };
    let others = counts.frames - out.count();
    let extra = [
        of(others, "not wanted"),
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
    match ended {
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
    args: &Args,
    mut goal: Goal,
    open: impl FnOnce() -> Result<D, OpenError>,
) -> Result<(), Failure> {
    let signals = Signals::block()?;
    let mut out = Out::new(args)?;
    let (mut rx, tx) = open().map_err(Failure::new)?.split();
    let readable = rx.descriptor().map_err(Failure::new)?;
    let mut batch = RxBatch::new(64);
    let outcome = loop {
        if signals.came() || goal.is_met() {
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
            if !goal.is_met() && goal.wants(link, &frame.data) {
                out.packet(&Packet {
                    at: Some(now.as_nanos()),
                    direction: None,
                    link,
                    data: &frame.data,
                    original_len: frame.data.len(),
                    checksum: frame.meta.checksum,
                    read: None,
                })?;
            }
        }
    };
    out.end(format_args!(""))?;
    drop((rx, tx)); // the transmitting half keeps the device open
    outcome
}

/// Which packets are wanted, and how many more of them.
struct Goal {
    filter: Option<Filter>,
    left: u64,
}

impl Goal {
    /// Is it wanted? Counts it then.
    fn wants(&mut self, link: LinkType, data: &[u8]) -> bool {
        let flow = |filter: &Filter| filter.matches(&decoder(link).flow(data));
        let wanted = self.filter.as_ref().is_none_or(flow);
        self.left -= u64::from(wanted);
        wanted
    }

    const fn is_met(&self) -> bool {
        self.left == 0
    }
}

const fn decoder(link: LinkType) -> Decoder {
    Decoder::new(Link::from_linktype(link.0))
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
    /// As it was read, when it was.
    read: Option<&'a Frame>,
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
            read: Some(frame),
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
        let line = decoder(self.link).line(self.data, self.original_len, self.checksum);
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

/// Bytes as text, 16 a line: in hexadecimal, and what of them is printable.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (row, bytes) in self.0.chunks(16).enumerate() {
            write!(f, "\n\t0x{:04x}: ", row * 16)?;
            for pair in 0..8 {
                match bytes.get(pair * 2..) {
                    Some([a, b, ..]) => write!(f, " {a:02x}{b:02x}")?,
                    Some([a]) => write!(f, " {a:02x}  ")?,
                    _ => write!(f, "     ")?,
                }
            }
            f.write_str("  ")?;
            for &byte in bytes {
                let shown = byte == b' ' || byte.is_ascii_graphic();
                write!(f, "{}", if shown { char::from(byte) } else { '.' })?;
            }
        }
        Ok(())
    }
}

/// Where the packets go, and their count on standard output.
struct Out {
    lines: BufWriter<StdoutLock<'static>>,
    hex: bool,
    /// Takes the packets instead.
    copy: Option<Copy>,
    count: u64,
}

/// A capture that is written.
struct Copy {
    path: PathBuf,
    writer: Writer<File>,
    interfaces: HashMap<u16, InterfaceNumber>,
}

impl Copy {
    fn create(path: &Path) -> Result<Self, Failure> {
        // Times in a capture are since the Unix epoch.
        let settings = CaptureSettings::new(UNIX_EPOCH);
        let writer = File::create(path).and_then(|file| Writer::new(file, &settings));
        Ok(Self {
            writer: writer.map_err(|error| cannot_write(path, &error))?,
            path: path.to_owned(),
            interfaces: HashMap::new(),
        })
    }

    fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let on = match self.interfaces.get(&packet.link.0) {
            Some(&on) => on,
            None => {
                let on = self.writer.interface(packet.link, "dump")?;
                self.interfaces.insert(packet.link.0, on);
                on
            }
        };
        let _ = match packet.read {
            Some(frame) => self.writer.copy(on, frame)?,
            None => {
                let at = Instant::from_nanos(packet.at.unwrap_or(0));
                let direction = packet.direction.unwrap_or(Direction::Inbound);
                self.writer.frame(on, at, direction, packet.data, &[])?
            }
        };
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let cause = format_args!("cannot write {}: {error}", path.display());
    Failure::with_cure(
        cause,
        "name a file in a directory that you may write to, on a disk with room",
    )
}

impl Out {
    fn new(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            lines: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
            hex: args.hex,
            copy: args.write.as_deref().map(Copy::create).transpose()?,
            count: 0,
        })
    }

    const fn count(&self) -> u64 {
        self.count
    }

    fn packet(&mut self, packet: &Packet<'_>) -> Result<(), Failure> {
        self.count += 1;
        if let Some(copy) = &mut self.copy {
            let written = copy.packet(packet);
            return written.map_err(|error| cannot_write(&copy.path, &error));
        }
        let hex = Hex(if self.hex { packet.data } else { &[] });
        writeln!(self.lines, "{packet}{hex}").map_err(|error| Failure::stdout(&error))
    }

    /// What came so far is to be seen.
    fn flush(&mut self) -> Result<(), Failure> {
        if let Some(copy) = &mut self.copy {
            let flushed = copy.writer.flush();
            return flushed.map_err(|error| cannot_write(&copy.path, &error));
        }
        self.lines.flush().map_err(|error| Failure::stdout(&error))
    }

    /// The last line: how many packets there were, and what else is to say.
    fn end(mut self, extra: fmt::Arguments<'_>) -> Result<(), Failure> {
        if let Some(copy) = self.copy {
            let finished = copy.writer.finish();
            finished.map_err(|error| cannot_write(&copy.path, &error))?;
        }
        let count = self.count;
        let packets = if count == 1 { "packet" } else { "packets" };
        writeln!(self.lines, "{count} {packets}{extra}")
            .and_then(|()| self.lines.flush())
            .map_err(|error| Failure::stdout(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_text() {
        assert_eq!(Hex(&[]).to_string(), "");
        let text = Hex(b"0123456789abcdef\n~ ").to_string();
        assert_eq!(
            text,
            "\n\t0x0000:  3031 3233 3435 3637 3839 6162 6364 6566  0123456789abcdef\
             \n\t0x0010:  0a7e 20                                  .~ "
        );
    }

    #[test]
    fn times_are_of_the_day() {
        let text = TimeOfDay(1_700_000_000_000_000_123).to_string();
        assert_eq!(text, "22:13:20.000000123");
        assert_eq!(TimeOfDay(u64::MAX).to_string(), "23:34:33.709551615");
    }
}
