//! The stack of a script, its one link, and virtual time.
//!
//! *Owns* what left and no line has taken yet, the numbers, and what a reader is shown of the last packets.
//! *Does not* know lines. Bounds: turns, packets that wait, and packets remembered.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use super::numbers::{Numbers, our_byte};
use super::seen::{Seen, SeenBody};
use crate::base::Instant;
use crate::base::checksum::checksum;
use crate::device::{Capabilities, DeviceError, Medium, Receive, RxBatch, Sent, Transmit};
use crate::link::{PartialChecksum, RxFrame, RxMeta, TxFrame};
use crate::stack::{Event, InterfaceConfig, Port, Readiness, SocketId, Stack, TcpId};
use crate::tcp::{Flags, TcpInfo};

use super::super::profile::Profile;
use super::inject::Ends;

/// Turns of one script: more than a minute of a connection that sends all the time.
const MAX_TURNS: u32 = 200_000;
/// Packets that no line expected yet.
const MAX_WAITING: usize = 20_000;
/// The peer's first port when a script does not say one.
pub(super) const PEER_PORT: u16 = 40_000;
/// Packets that a reader is shown.
const SHOWN: usize = 10;

/// Frames that are to be read.
#[derive(Debug, Default)]
pub(super) struct Inbox(VecDeque<RxFrame>);

impl Receive for Inbox {
    fn receive(&mut self, _: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let count = batch.room().min(self.0.len());
        self.0.drain(..count).for_each(|frame| batch.push(frame));
        Ok(count)
    }
}

/// Packets that were sent, with the size of the segments of one that is to be cut.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: Vec<(Instant, Vec<u8>, Option<NonZeroU16>)>,
    /// It takes nothing.
    is_full: bool,
}

impl Transmit for Outbox {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if self.is_full {
            return Ok(Sent::Full);
        }
        let mut packet = frame.to_vec();
        if let Some(partial) = frame.meta.checksum {
            complete(&mut packet, partial);
        }
        let size = frame.meta.segment.map(|segment| segment.size);
        self.frames.push((now, packet, size));
        Ok(Sent::Taken)
    }
}

/// What a device with checksum offload does: the sum over all from `start` on, in which lies that of the
/// pseudo-header.
fn complete(packet: &mut [u8], partial: PartialChecksum) {
    let (start, at) = (usize::from(partial.start), usize::from(partial.offset));
    let sum = checksum(packet.get(start..).unwrap_or_default());
    if let Some(field) = packet.get_mut(start + at..start + at + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

pub(super) struct World {
    pub(super) now: Instant,
    /// When the script began.
    pub(super) start: Instant,
    pub(super) stack: Stack,
    port: Port<Inbox, Outbox>,
    due: Option<Instant>,
    turns: u32,
    pub(super) ours: IpAddr,
    pub(super) theirs: IpAddr,
    /// What left and is no line's affair, while somebody asks for it.
    pub(super) others: Option<VecDeque<(Instant, Vec<u8>)>>,
    /// Sent, and not taken by a line.
    pub(super) sent: VecDeque<Seen>,
    pub(super) numbers: Numbers,
    /// The socket under test: our end and the peer's.
    pub(super) flow: Option<Ends>,
    /// Was a listener opened since it began? Its connection comes from another port of the peer.
    pub(super) is_fresh: bool,
    pub(super) peer_port: u16,
    /// Those that lines name by their ports.
    pub(super) named: BTreeSet<Ends>,
    history: VecDeque<String>,
    /// What a turn told, and how often each bit was told of the connection under test.
    events: Vec<Event>,
    event_counts: [u32; 8],
    /// The highest right edge that a window of ours told, and our shift.
    edge: Option<u32>,
    our_shift: Option<u8>,
    peer_shift: bool,
    /// Where what was sent ends in our stream.
    sent_to: u32,
    /// When our first SYN left, its number and its timestamp.
    pub(super) first_syn: Option<FirstSyn>,
}

/// What the variants near the wrap are computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drill) struct FirstSyn {
    pub(in crate::drill) at: Instant,
    pub(in crate::drill) isn: u32,
    pub(in crate::drill) stamp: Option<u32>,
}

/// Where a world is, and when it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) ours: IpAddr,
    pub(super) theirs: IpAddr,
    pub(super) mtu: usize,
    /// Does the device take super-segments, and complete checksums?
    pub(super) offload: bool,
    pub(super) start: Instant,
}

impl World {
    pub(super) fn new(profile: &Profile, place: Place) -> Result<Self, String> {
        let capabilities = if place.offload {
            Capabilities::full(Medium::Ip, place.mtu)
        } else {
            Capabilities::plain(Medium::Ip, place.mtu)
        };
        let prefix = if place.ours.is_ipv6() { 64 } else { 24 };
        let address = format!("{}/{prefix}", place.ours);
        let everywhere = if place.ours.is_ipv6() {
            "::/0"
        } else {
            "0.0.0.0/0"
        };
        let config = InterfaceConfig::new(&capabilities)
            .link_local(false)
            .address(
                address
                    .parse()
                    .map_err(|_| format!("no address: {address}"))?,
            )
            .route(everywhere.parse().map_err(|_| "no route".to_owned())?, None);
        let mut stack = Stack::new(profile.config(7));
        let on = stack
            .add_interface(place.start, config)
            .map_err(|error| error.to_string())?;
        let mut world = Self {
            now: place.start,
            start: place.start,
            stack,
            port: Port::new(on, (Inbox::default(), Outbox::default())),
            due: None,
            turns: 0,
            ours: place.ours,
            theirs: place.theirs,
            others: None,
            sent: VecDeque::new(),
            numbers: Numbers::default(),
            flow: None,
            is_fresh: false,
            peer_port: PEER_PORT,
            named: BTreeSet::new(),
            history: VecDeque::new(),
            events: Vec::new(),
            event_counts: [0; 8],
            edge: None,
            our_shift: None,
            peer_shift: false,
            sent_to: 0,
            first_syn: None,
        };
        world.settle()?;
        Ok(world)
    }

    // --- time -----------------------------------------------------------------------------

    /// Goes on to the next thing that happens up to `to`; false when nothing does, and it is `to`.
    pub(super) fn step(&mut self, to: Instant) -> Result<bool, String> {
        match self.due.filter(|&due| due <= to) {
            Some(due) => {
                self.now = self.now.max(due);
                self.settle()?;
                Ok(true)
            }
            None => {
                self.now = self.now.max(to);
                Ok(false)
            }
        }
    }

    /// All that can happen now.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        loop {
            self.turns += 1;
            if self.turns > MAX_TURNS {
                return Err(format!("more than {MAX_TURNS} turns of the stack"));
            }
            let events = &mut self.events;
            let mut note = |_: &mut Stack, _: Instant, event: Event| events.push(event);
            let next = self
                .port
                .turn(self.now, &mut self.stack, &mut note)
                .map_err(|error| error.to_string())?;
            self.count_events();
            self.due = next.due;
            self.take_sent()?;
            if !next.again {
                return Ok(());
            }
        }
    }

    fn count_events(&mut self) {
        for event in core::mem::take(&mut self.events) {
            let SocketId::Tcp(id) = event.id else {
                continue;
            };
            let ends = (self.stack.tcp_local_addr(id), self.stack.tcp_peer_addr(id));
            let is_ours = match (self.flow, ends) {
                (Some((ours, theirs)), ends) => ends == (Ok(ours), Ok(theirs)),
                (None, _) => false,
            };
            for (place, count) in self.event_counts.iter_mut().enumerate() {
                let told = event.ready.bits() >> place & 1;
                *count += u32::from(told) * u32::from(is_ours);
            }
        }
    }

    /// How often this was told of the connection under test.
    pub(super) fn event_count(&self, bit: Readiness) -> u32 {
        let place = usize::try_from(bit.bits().trailing_zeros()).unwrap_or(0);
        self.event_counts.get(place).copied().unwrap_or(0)
    }

    /// Hands the stack a packet of the peer; what it answers leaves when the world settles.
    pub(super) fn give(&mut self, packet: Vec<u8>, segment: Option<NonZeroU16>) {
        let meta = RxMeta::new(self.now).with_segment_size(segment);
        let frame = RxFrame::new(Bytes::from(packet), meta);
        self.port.rx_mut().half_mut().0.push_back(frame);
    }

    /// Are there packets that the stack has not read yet?
    pub(super) fn has_input(&self) -> bool {
        !self.port.rx().half().0.is_empty()
    }

    fn take_sent(&mut self) -> Result<(), String> {
        let frames = core::mem::take(&mut self.port.tx_mut().half_mut().frames);
        for (at, frame, size) in frames {
            let Some(seen) = Seen::new(at, &frame) else {
                return Err("the stack sent what is no packet".into());
            };
            if !self.is_ours(&seen) {
                if let Some(others) = &mut self.others {
                    others.push_back((at, frame));
                    if others.len() > MAX_WAITING {
                        others.pop_front();
                    }
                }
                continue;
            }
            for seen in seen.cut(size) {
                self.keep(seen)?;
            }
        }
        Ok(())
    }

    /// A packet waits for its line.
    fn keep(&mut self, mut seen: Seen) -> Result<(), String> {
        self.look_at(&mut seen)?;
        let line = seen.show(&self.numbers);
        self.note(&format!("> {line}"));
        self.sent.push_back(seen);
        if self.sent.len() > MAX_WAITING {
            return Err(format!(
                "more than {MAX_WAITING} packets that no line expected"
            ));
        }
        Ok(())
    }

    /// From now on the device takes nothing, or whatever comes.
    pub(super) fn set_device_full(&mut self, is_full: bool) {
        self.port.tx_mut().half_mut().is_full = is_full;
    }

    /// Packets of other flows are not the script's.
    fn is_ours(&self, seen: &Seen) -> bool {
        match (&seen.body, seen.ends()) {
            (_, Some(ends)) => self.flow == Some(ends) || self.named.contains(&ends),
            (SeenBody::Icmp(_), None) => seen.dst == self.theirs,
            (_, None) => false,
        }
    }

    /// What a packet tells about numbers and windows, and whether its text is what was written.
    fn look_at(&mut self, seen: &mut Seen) -> Result<(), String> {
        let (at, SeenBody::Tcp(tcp)) = (seen.at, &mut seen.body) else {
            return Ok(());
        };
        let flags = tcp.fields.flags;
        if flags.contains(Flags::SYN) {
            let stamp = super::compare::stamps_of(tcp).map(|(val, _)| val);
            self.numbers.on_our_syn(tcp.fields.seq, stamp.is_some());
            self.sent_to = 0;
            self.edge = None;
            self.our_shift = tcp.options.iter().find_map(|option| match option {
                super::super::ast::TcpOption::WindowScale(shift) => Some(*shift),
                _ => None,
            });
            self.first_syn.get_or_insert(FirstSyn {
                at,
                isn: tcp.fields.seq,
                stamp,
            });
        }
        if flags.contains(Flags::ACK) && !flags.contains(Flags::RST) {
            let scaled = self.peer_shift && !flags.contains(Flags::SYN);
            let shift = self.our_shift.filter(|_| scaled).unwrap_or(0).min(14);
            let edge = tcp
                .fields
                .ack
                .wrapping_add(u32::from(tcp.fields.window) << shift);
            let ahead = |edge: u32, known: u32| edge.wrapping_sub(known).cast_signed() >= 0;
            tcp.shrunk = self.edge.is_some_and(|known| !ahead(edge, known));
            if !tcp.shrunk {
                self.edge = Some(edge);
            }
        }
        let first = self.numbers.our_offset(tcp.fields.seq);
        let end = first.wrapping_add(tcp.len());
        tcp.is_new = end.wrapping_sub(self.sent_to).cast_signed() > 0;
        if tcp.is_new {
            self.sent_to = end;
        }
        let mut offsets = (0u32..).map(|n| first.wrapping_add(n));
        let right = tcp.text.iter().all(|&byte| {
            offsets
                .next()
                .is_some_and(|offset| byte == our_byte(offset))
        });
        if right {
            Ok(())
        } else {
            Err(format!(
                "the stack sent wrong text: {}",
                seen.show(&self.numbers)
            ))
        }
    }

    /// A SYN of the peer says whether windows will be scaled.
    pub(super) fn note_peer_syn(&mut self, scales: bool) {
        self.peer_shift = scales;
    }

    /// Another connection begins.
    pub(super) fn begin_flow(&mut self, flow: Ends) {
        self.flow = Some(flow);
        self.is_fresh = false;
        self.event_counts = [0; 8];
        self.edge = None;
    }

    // --- what is known --------------------------------------------------------------------

    /// The connection under test, accepted or not; `None` when it is gone or given up. One that failed, and
    /// whose descriptor is open, is there only while there is no other between the same ends.
    pub(super) fn connection(&self) -> Option<TcpId> {
        let (ours, theirs) = self.flow?;
        let stack = &self.stack;
        let mut all = stack.tcp_connections().filter(|&id| {
            stack.tcp_local_addr(id) == Ok(ours) && stack.tcp_peer_addr(id) == Ok(theirs)
        });
        let first = all.next()?;
        let failed = |id: TcpId| stack.tcp_info(id).is_ok_and(|info| info.failure.is_some());
        if failed(first) {
            return Some(all.find(|&id| !failed(id)).unwrap_or(first));
        }
        Some(first)
    }

    pub(super) fn info(&self) -> Option<TcpInfo> {
        self.stack.tcp_info(self.connection()?).ok()
    }

    /// Since the script began.
    pub(super) fn elapsed(&self) -> Duration {
        self.now.since(self.start)
    }

    /// What the last packets were.
    pub(super) fn history(&self) -> Vec<String> {
        self.history.iter().cloned().collect()
    }

    /// A packet passed.
    pub(super) fn note(&mut self, line: &str) {
        if self.history.len() == SHOWN {
            self.history.pop_front();
        }
        let elapsed = self.elapsed();
        let (seconds, micros) = (elapsed.as_secs(), elapsed.subsec_micros());
        self.history
            .push_back(format!("{seconds}.{micros:06} {line}"));
    }

    /// An address of ours with a port.
    pub(super) fn our_end(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ours, port)
    }

    /// The peer's with a port.
    pub(super) fn their_end(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.theirs, port)
    }
}
