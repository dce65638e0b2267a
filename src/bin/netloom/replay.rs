//! `netloom replay`: a recorded run again, offline, and what is otherwise; or a capture of other stacks, fed to ours.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use netloom::capture::{
    Ended, Fed, ForeignReplay, Replay, ReplayDifference, ReplayEnd, ReplayError,
};
use netloom::sim::{Row, write_json_lines};
use netloom::stack::TcpId;

use crate::failure::Failure;
use crate::output::say;
use crate::values;

/// What `netloom replay` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `--record` wrote; with --from or --to any capture.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Feed a capture of other stacks: what this address sent. Ours stands where the first went that it
    /// talks with. With a port only that socket's: so both ends of the loopback's are told apart.
    #[arg(long, value_name = "ADDRESS[:PORT]", conflicts_with_all = ["to", "until", "trace", "accept", "memory"])]
    from: Option<Named>,
    /// The same with all that was sent to this address: our stack takes its place.
    #[arg(long, value_name = "ADDRESS[:PORT]", conflicts_with_all = ["until", "trace", "accept", "memory"])]
    to: Option<Named>,
    /// Stop behind this packet, as Wireshark numbers them.
    #[arg(long, value_name = "PACKET", value_parser = clap::value_parser!(u64).range(1..))]
    until: Option<u64>,
    /// Write what connections were like to this file, a JSON object to a line: each connection whenever
    /// it had sent or received.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// When anything is otherwise, take it for right from now on: FILE is replaced by a recording of the
    /// same inputs with what came of them now. Until that is whole it is FILE.new, which must not be there.
    #[arg(long, conflicts_with = "until")]
    accept: bool,
    /// How much the recorded host may hold, about: what a file asks for is held here.
    #[arg(long, value_name = "N", default_value = "1G", value_parser = values::bytes)]
    memory: u64,
}

/// An end of a capture.
#[derive(Clone, Copy, Debug)]
enum Named {
    Address(IpAddr),
    Socket(SocketAddr),
}

impl FromStr for Named {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.parse().map(Self::Address);
        let named = address.or_else(|_| text.parse().map(Self::Socket));
        named.map_err(|_| "neither an address nor one with a port, as 10.0.0.1:80 or [fd00::1]:80")
    }
}

/// What a file is told that is no recording.
const RECORDINGS: &str =
    "give what --record wrote, or say with --from or --to whose packets are fed";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let path = args.file.as_path();
    let from = args.from.map(|named| match named {
        Named::Address(address) => Fed::From(address),
        Named::Socket(socket) => Fed::FromSocket(socket),
    });
    let to = args.to.map(|named| match named {
        Named::Address(address) => Fed::To(address),
        Named::Socket(socket) => Fed::ToSocket(socket),
    });
    if let Some(fed) = from.or(to) {
        return foreign(path, fed);
    }
    if args.accept && beside(path).symlink_metadata().is_ok() {
        return Err(in_the_way(path));
    }
    let mut replay = open(path, args.memory)?;
    if let Some(packet) = args.until {
        replay = replay.until(packet);
    }
    if let Some(trace) = args.trace.as_deref().filter(|it| is_same(path, it)) {
        let name = trace.display();
        return Err(Failure::new(format_args!("{name}: it is what is replayed")));
    }
    let trace = args.trace.as_deref().map(Trace::create).transpose()?;
    match tell(&mut replay, trace)? {
        Ok(end) => finish(path, &replay, &end),
        Err(difference) if args.accept => {
            say(&difference)?;
            accept(path, args.memory)
        }
        Err(difference) => {
            say(&difference)?;
            let packet = difference.packet;
            Err(Failure::new(format_args!(
                "{}: packet {packet} is not what was recorded",
                path.display()
            )))
        }
    }
}

/// Feeds a capture of other stacks, and says what came of it.
fn foreign(path: &Path, fed: Fed) -> Result<(), Failure> {
    let name = path.display();
    let failed = |error: &dyn std::fmt::Display| Failure::new(format_args!("{name}: {error}"));
    let mut replay = ForeignReplay::open(path, fed).map_err(|error| failed(&error))?;
    let report = replay.finish();
    match replay.ended() {
        Some(ended) if !replay.has_begun() => return Err(failed(ended)),
        Some(Ended::Complete) | None => {}
        Some(ended) => say(format_args!("{name}: {ended}"))?,
    }
    say(report.to_string().trim_end())?;
    if report.is_sound() {
        return Ok(());
    }
    let count = report.breaches.len();
    Err(Failure::new(format_args!(
        "{name}: {count} of what the stack must keep is broken"
    )))
}

/// Is what shall be written what is read?
fn is_same(read: &Path, written: &Path) -> bool {
    matches!((read.canonicalize(), written.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn open(path: &Path, memory: u64) -> Result<Replay<File>, Failure> {
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    let opened = Replay::open(path).map(|replay| replay.memory_limit(memory));
    opened.map_err(|error| {
        let cause = format_args!("{}: {error}", path.display()).to_string();
        match error {
            ReplayError::Open(_) => Failure::new(cause),
            ReplayError::Format { .. } => {
                Failure::with_cure(cause, "replay it with the version that wrote it")
            }
            _ => Failure::with_cure(cause, RECORDINGS),
        }
    })
}

/// Tells all of it, with a look at the connections after each input.
fn tell(
    replay: &mut Replay<File>,
    mut trace: Option<Trace>,
) -> Result<Result<ReplayEnd, Box<ReplayDifference>>, Failure> {
    let told = loop {
        let step = replay.step();
        if let Some(trace) = &mut trace {
            trace.look(replay)?;
        }
        match step {
            Ok(true) => {}
            Ok(false) => break replay.run(),
            Err(difference) => break Err(difference),
        }
    };
    trace.map_or(Ok(()), Trace::finish)?;
    Ok(told)
}

/// Says that nothing differs, and how the recording ended.
fn finish(path: &Path, replay: &Replay<File>, end: &ReplayEnd) -> Result<(), Failure> {
    let name = path.display();
    if !end.is_sound() {
        let cause = format_args!(
            "{name}: {end}; the same up to there, {} packets",
            replay.packet()
        );
        return Err(match end {
            ReplayEnd::Memory { .. } => Failure::with_cure(cause, "allow it more with --memory"),
            _ => Failure::new(cause),
        });
    }
    let stand_in = if replay.has_payload() {
        ""
    } else {
        "; zeros stood in for payload, which was not recorded"
    };
    say(format_args!(
        "{name}: the same for {} packets and {:?}; {end}{stand_in}",
        replay.packet(),
        replay.at()
    ))
}

/// Where the new recording is written until it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn in_the_way(path: &Path) -> Failure {
    let new = beside(path);
    Failure::new(format_args!(
        "{} is there already, where the new recording would be written: move it away",
        new.display()
    ))
}

/// Puts a recording of the same inputs in the place of the file.
fn accept(path: &Path, memory: u64) -> Result<(), Failure> {
    let new = beside(path);
    match File::create_new(&new) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(in_the_way(path)),
        Err(error) => return Err(not_written(&new, &error)),
    }
    let accepted = rewritten(path, &new, memory);
    if accepted.is_err() {
        let _ = fs::remove_file(&new);
    }
    say(format_args!("{}: accepted; {}", path.display(), accepted?))
}

fn rewritten(path: &Path, new: &Path, memory: u64) -> Result<ReplayEnd, Failure> {
    let written = open(path, memory)?.accept(new);
    let end = written.map_err(|error| Failure::new(format_args!("{}: {error}", new.display())))?;
    if !end.is_sound() {
        return Err(Failure::new(format_args!("{}: {end}", path.display())));
    }
    fs::rename(new, path).map_err(|error| {
        Failure::new(format_args!("cannot replace {}: {error}", path.display()))
    })?;
    Ok(end)
}

/// Rows of connections on their way to a file.
struct Trace {
    path: PathBuf,
    out: BufWriter<File>,
    /// Frames in and out when it was last looked.
    frames: (u64, u64),
    /// Segments out and in of each connection then.
    seen: std::collections::HashMap<TcpId, (u64, u64)>,
}

impl Trace {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| not_written(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            out: BufWriter::new(file),
            frames: (0, 0),
            seen: Default::default(),
        })
    }

    fn look(&mut self, replay: &Replay<File>) -> Result<(), Failure> {
        let stack = replay.stack();
        let frames = (stack.counters().rx_frames, stack.counters().tx_frames);
        if core::mem::replace(&mut self.frames, frames) == frames {
            return Ok(());
        }
        self.seen.retain(|&id, _| stack.tcp_info(id).is_ok());
        for id in stack.tcp_connections() {
            let Some(row) = Row::of(replay.at(), stack, id) else {
                continue;
            };
            let segments = (row.info.segs_out, row.info.segs_in);
            if self.seen.insert(id, segments) != Some(segments) {
                write_json_lines(&mut self.out, &[row])
                    .map_err(|error| not_written(&self.path, &error))?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.out
            .flush()
            .map_err(|error| not_written(&self.path, &error))
    }
}

fn not_written(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format_args!("cannot write {}: {error}", path.display()))
}
