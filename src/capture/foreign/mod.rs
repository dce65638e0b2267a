//! Captures of other stacks, fed to ours.
//!
//! A capture of tcpdump's or Wireshark's holds both ends of what happened. A [`ForeignReplay`] puts a stack in the
//! place of one of them: what the others sent is fed at its times, the stack answers, and what the captured
//! end sent tells what its application did. Nothing of it needs a network or a clock. *Owns* the
//! [`ForeignReplay`], whose packets are fed, and what is read ahead. *Does not* replay our own recordings
//! byte for byte: that is [`Replay`](super::Replay).
//!
//! | file | owns |
//! |---|---|
//! | `link.rs`, `packet.rs` | captured frames as packets, and what they say |
//! | `sides.rs`, `apart.rs` | whose a packet is; two ends with one address |
//! | `rewrite.rs` | packets with the stack's numbers |
//! | `stream.rs` | one direction's text, within a budget |
//! | `flow.rs`, `tally.rs` | a connection's numbers; what an end did, and how two ends differ |
//! | `engine.rs`, `tcp.rs`, `datagrams.rs` | what is done with each packet |
//! | `application.rs` | what the captured end's application did |
//! | `world.rs` | the stack, its link, its neighbours |
//! | `report.rs` | [`ForeignReport`] |

mod apart;
mod application;
mod datagrams;
mod engine;
mod flow;
mod link;
mod packet;
mod report;
mod rewrite;
mod sides;
mod stream;
mod tally;
mod tcp;
mod world;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

pub use report::{
    Breach, BreachKind, DifferenceClass, ForeignDifference, ForeignReport, MadeUp, Skipped,
};

use super::{Ended, LinkType, Reader};
use crate::base::{Instant, Seed};
use crate::decode::{Decoder, Link};
use crate::link::RxChecksum;
use crate::stack::{Config, Event, Stack};
use crate::tcp::TcpOptions;
use apart::Apart;
use engine::{Engine, Setup};
use packet::{Captured, Content};
use sides::{Side, Sides};
use world::World;

/// Frames that are read ahead, to know how the captured end answered a SYN or a datagram.
const AHEAD: usize = 128;

/// How long the stack may go on after the last frame.
const TAIL: Duration = Duration::from_secs(1);

/// Whose packets are fed; the stack stands at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fed {
    /// What this address sent. The stack takes the place of the first that it talks with, for each
    /// family; what it says to others is counted and not fed.
    From(IpAddr),
    /// What was sent to this address, by anybody: the stack takes its place.
    To(IpAddr),
    /// What this socket sent, and no other of its address. Of two ends with one address, as those of a
    /// connection over the loopback, this tells which is which: in the replay they have
    /// 192.0.2.1 (fed) and 192.0.2.2 (the stack), or 2001:db8::1 and 2001:db8::2.
    FromSocket(SocketAddr),
    /// What was sent to this socket, by anybody; likewise.
    ToSocket(SocketAddr),
}

impl Fed {
    /// The address that is named.
    pub const fn address(&self) -> IpAddr {
        match self {
            Self::From(address) | Self::To(address) => *address,
            Self::FromSocket(socket) | Self::ToSocket(socket) => socket.ip(),
        }
    }
}

/// A capture of any origin, whose one end is played by a stack.
///
/// It is an iterator over the captured frames, each with what the stack did until the next; or
/// [`finish`](Self::finish) goes through the rest at once. Times, SEQ, ACK, SACK, timestamps and
/// the numbers in quoted headers and pings are mapped to those that the stack really has; a frame whose
/// checksum was never completed is taken, one that the capture cut is filled up with zeros.
///
/// In a test:
///
/// ```
/// use netloom::capture::{DifferenceClass, Fed, ForeignReplay};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pcap/loss.pcap");
/// let mut replay = ForeignReplay::open(path, Fed::From("10.0.0.1".parse()?))?;
/// let sent: usize = replay.by_ref().map(|step| step.sent.len()).sum();
/// let report = replay.finish();
/// assert!(report.is_sound() && report.flows == 1 && sent > 10, "{report}");
/// assert!(report.difference(DifferenceClass::Text).is_none(), "{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ForeignReplay<R> {
    reader: Reader<R>,
    sides: Sides,
    apart: Option<Apart>,
    config: Config,
    tcp: TcpOptions,
    mtu: usize,
    most_flows: usize,
    memory: usize,
    longest_gap: Duration,
    interface: Option<u32>,
    ahead: VecDeque<Captured>,
    numbered: u64,
    /// The captured time of the last frame, and the stack's.
    last: Option<u64>,
    now: Instant,
    engine: Option<Box<Engine>>,
    /// What is counted before there is an engine.
    before: ForeignReport,
    is_finished: bool,
}

/// What was done with a captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Done {
    /// It was fed to the stack.
    Fed,
    /// The captured end sent it: its application did what it shows.
    Expected,
    /// Neither.
    Skipped(Skipped),
}

/// A captured frame, and what came of it until the next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The frame, as Wireshark numbers them, from 1.
    pub packet: u64,
    /// When, on the stack's clock, which begins with the first frame.
    pub at: Instant,
    /// What was done with it.
    pub done: Done,
    /// What the stack sent since the frame before.
    pub sent: Vec<SentFrame>,
    /// What became ready for the application since then; it has dealt with it already.
    pub events: Vec<Event>,
}

/// A frame that the stack sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentFrame {
    /// When.
    pub at: Instant,
    /// Its bytes, from the Ethernet header on, whatever link the capture has.
    pub data: Bytes,
}

impl SentFrame {
    /// In words, as `netloom dump` has it.
    pub fn line(&self) -> String {
        let decoder = Decoder::new(Link::from_linktype(LinkType::ETHERNET.0));
        let unknown = RxChecksum::Unknown;
        decoder
            .line(&self.data, self.data.len(), unknown)
            .to_string()
    }
}

/// Why a capture cannot be replayed at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Open(#[from] io::Error),
    /// The address is a group's, or nobody's.
    #[error("{0} is no station's address")]
    Address(IpAddr),
    /// Both ends may have it, and no port says which is which.
    #[error("{0} is the loopback's, and may be at both ends: name a port too")]
    Loopback(IpAddr),
}

impl ForeignReplay<File> {
    /// Opens a capture, pcap or pcapng.
    ///
    /// # Errors
    /// [`ForeignError`]; what is in the file shows while reading.
    pub fn open(path: impl AsRef<Path>, fed: Fed) -> Result<Self, ForeignError> {
        Self::new(File::open(path)?, fed)
    }
}

impl<R: Read> ForeignReplay<R> {
    /// Reads a capture from any source.
    ///
    /// # Errors
    /// [`ForeignError::Address`], [`ForeignError::Loopback`].
    pub fn new(source: R, fed: Fed) -> Result<Self, ForeignError> {
        let address = fed.address();
        if !sides::is_station(address) {
            return Err(ForeignError::Address(address));
        }
        let apart = Sides::apart(fed);
        if address.is_loopback() && apart.is_none() {
            return Err(ForeignError::Loopback(address));
        }
        Ok(Self {
            reader: Reader::new(source),
            sides: Sides::new(fed),
            apart,
            config: Config::new(Seed::from_number(1)),
            tcp: TcpOptions::default(),
            mtu: 1500,
            most_flows: 4096,
            memory: 64 << 20,
            longest_gap: Duration::from_secs(24 * 3600),
            interface: None,
            ahead: VecDeque::new(),
            numbered: 0,
            last: None,
            now: Instant::ZERO,
            engine: None,
            before: ForeignReport::default(),
            is_finished: false,
        })
    }

    /// The stack's configuration (default: [`Config::new`] with seed 1).
    #[must_use]
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// The options of its connections. What the captured end did not offer or agree to (timestamps, SACK,
    /// window scale) is left out all the same.
    #[must_use]
    pub fn tcp(self, tcp: TcpOptions) -> Self {
        Self { tcp, ..self }
    }

    /// The MTU of the stack's link (default 1500). What is fed may be larger, as super-segments are.
    #[must_use]
    pub fn mtu(self, bytes: usize) -> Self {
        Self { mtu: bytes, ..self }
    }

    /// How many connections are followed at once, and the most ports and pings (default 4096; at least one).
    /// Beyond it those make room that have ended in the capture.
    #[must_use]
    pub fn most_flows(self, flows: usize) -> Self {
        let most_flows = flows.max(1);
        Self { most_flows, ..self }
    }

    /// How many bytes of captured text are kept at once, to be written, or to hold what is read and sent
    /// against (default 64 MiB). Beyond it zeros are written, and nothing is compared.
    #[must_use]
    pub fn memory(self, bytes: usize) -> Self {
        Self {
            memory: bytes,
            ..self
        }
    }

    /// The longest time that the stack waits between two frames (default one day): a gap that is longer is
    /// shortened, and counted.
    #[must_use]
    pub fn longest_gap(self, gap: Duration) -> Self {
        Self {
            longest_gap: gap,
            ..self
        }
    }

    /// Takes frames of this interface of the file only, by its number within its section (default: of all). What is
    /// captured on several interfaces on its way stands in a file as often.
    #[must_use]
    pub fn interface(self, number: u32) -> Self {
        Self {
            interface: Some(number),
            ..self
        }
    }

    /// The stack as it is now; `None` before the first packet that tells where it stands.
    pub fn stack(&self) -> Option<&Stack> {
        self.engine.as_ref().map(|engine| &engine.world.stack)
    }

    /// What came of it so far. What differs is told of connections that are over.
    pub fn report(&self) -> &ForeignReport {
        let engine = self.engine.as_ref();
        engine.map_or(&self.before, |engine| &engine.report)
    }

    /// How the file ended; `None` while there may be more frames.
    pub fn ended(&self) -> Option<&Ended> {
        self.reader.ended()
    }

    /// Was the header read that every capture begins with?
    pub const fn has_begun(&self) -> bool {
        self.reader.has_begun()
    }

    /// Goes through what is left, ends everything, and looks what the stack holds on to.
    pub fn finish(&mut self) -> ForeignReport {
        while self.next().is_some() {}
        if let Some(engine) = &mut self.engine
            && !core::mem::replace(&mut self.is_finished, true)
        {
            engine.finish(TAIL);
            engine.sent.clear();
            engine.events.clear();
        }
        self.report().clone()
    }

    // --- one frame after the other --------------------------------------------------------

    fn refill(&mut self) {
        while self.ahead.len() <= AHEAD {
            let Some(frame) = self.reader.next() else {
                return;
            };
            self.numbered += 1;
            let mut captured = Captured::new(self.numbered, &frame, self.apart);
            if self.interface.is_some_and(|it| it != frame.interface) {
                captured = captured.without(Skipped::OtherInterface);
            }
            self.ahead.push_back(captured);
        }
    }

    /// The stack's time of a frame: the captured times as far as they go on, and not for ever.
    fn time(&mut self, at: Option<u64>) -> Instant {
        let Some(at) = at else { return self.now };
        let Some(last) = self.last else {
            self.last = Some(at);
            return self.now;
        };
        // Who was ahead of all others, for a frame, does not stop the clock for them.
        self.last = Some(at);
        if at < last {
            self.count(|report| report.backwards += 1);
            return self.now;
        }
        let mut gap = Duration::from_nanos(at - last);
        if gap > self.longest_gap {
            gap = self.longest_gap;
            self.count(|report| report.gaps_cut += 1);
        }
        self.now = self.now + gap;
        self.now
    }

    fn count(&mut self, count: impl FnOnce(&mut ForeignReport)) {
        match &mut self.engine {
            Some(engine) => count(&mut engine.report),
            None => count(&mut self.before),
        }
    }

    /// Makes the engine, once it is known where the stack stands.
    ///
    /// # Errors
    /// Why this packet is skipped.
    fn begin(&mut self, captured: &Captured) -> Result<(), Skipped> {
        if self.engine.is_none() {
            // Who resolves a neighbour first says nothing; what follows does.
            let mut known = core::iter::once(captured).chain(&self.ahead);
            let _ = known.find(|captured| self.sides.learn(captured));
            let address = self.sides.ours.ok_or(Skipped::TooEarly)?;
            let stack = Stack::new(self.config.clone());
            let mac = self.sides.mac();
            let world = World::new(stack, self.now, mac, self.mtu, &[address]);
            let setup = Setup {
                world: world.map_err(|_| Skipped::Refused)?,
                now: self.now,
                report: core::mem::take(&mut self.before),
                tcp: self.tcp.clone(),
                most_flows: self.most_flows,
                memory: self.memory,
                records_last: self.config.time_wait.max(self.tcp.fin_timeout_setting()),
            };
            let engine = self.engine.insert(Box::new(Engine::new(setup)));
            engine.packet = captured.number;
        }
        Ok(())
    }

    /// Does what is to be done with a frame.
    fn take(&mut self, captured: &Captured) -> Result<Done, Skipped> {
        if let Some(why) = captured.unread {
            return Err(why);
        }
        self.count(|report| report.tagged += u64::from(captured.packet.tags > 0));
        if matches!(&captured.content, Content::Ip(ip) if ip.src == ip.dst) {
            return Err(Skipped::OneAddress);
        }
        self.begin(captured)?;
        let side = self.sides.side(captured)?;
        let engine = self.engine.as_mut().ok_or(Skipped::TooEarly)?;
        match side {
            Side::Theirs => engine.feed(captured, &self.ahead).map(|()| Done::Fed),
            Side::Ours => engine.expect(captured).map(|()| Done::Expected),
        }
    }
}

impl<R: Read> Iterator for ForeignReplay<R> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.refill();
        let captured = self.ahead.pop_front()?;
        let at = self.time(captured.at);
        if let Some(engine) = &mut self.engine {
            engine.packet = captured.number;
            engine.advance(at);
        }
        let done = self.take(&captured).unwrap_or_else(Done::Skipped);
        self.count(|report| {
            report.frames += 1;
            match done {
                Done::Fed => report.fed += 1,
                Done::Expected => report.expected += 1,
                Done::Skipped(why) => report.skip(why),
            }
        });
        let (mut sent, mut events) = (Vec::new(), Vec::new());
        if let Some(engine) = &mut self.engine {
            sent = core::mem::take(&mut engine.sent);
            events = core::mem::take(&mut engine.events);
            let drops = &engine.world.stack.counters().drops;
            engine.report.drops.clone_from(drops);
        }
        Some(Step {
            packet: captured.number,
            at,
            done,
            sent,
            events,
        })
    }
}
