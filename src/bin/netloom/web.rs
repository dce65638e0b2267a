//! HTTP connections of `serve`: who gets a thread, how long peers may take, who is turned away.
//!
//! *Owns* the deadlines, and the threads that answer when all slots are taken. *Does not* parse
//! (`http.rs`). A peer that is slow in any phase loses its connection: a head has a deadline, bodies
//! and answers a pace, a connection without a request must not be silent for long.

use std::io::{self, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use netloom::bytes::Bytes;
use netloom::host::{TcpListener, TcpStream};

use crate::http::{self, Pages, Phase, Room};
use crate::services::{Context, named};
use crate::slots::{Slot, Slots};

/// How long the whole head of a request may take.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// The same where all slots are taken.
const HEAD_WITHIN_FULL: Duration = Duration::from_secs(2);
/// How long a body or an answer may rest.
const STALL: Duration = Duration::from_secs(60);
/// What a body or an answer has more time for than its bytes take at [`PACE`].
const PACE_GRACE: Duration = Duration::from_secs(60);
/// The least bytes a second of a body or an answer.
const PACE: u64 = 1000;
/// How long and for how many bytes a finished connection waits for the peer's end, so that the last
/// response is not lost to a reset (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// Connections beyond the service's slots that are answered all the same, with `/stats` or that there
/// is no room, and how many of one peer.
const SPARE: usize = 32;
const SPARE_PER_PEER: usize = 8;

/// Gives each connection a thread: to be served while there are slots, to be told so when there are
/// none. Never waits, so that nobody else does.
pub(crate) fn accept(listener: &TcpListener, slots: &Arc<Slots>, context: &Arc<Context>) {
    let spare = Slots::new(SPARE, SPARE_PER_PEER);
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        let Ok(peer) = stream.peer_addr() else {
            continue;
        };
        if let Ok(slot) = slots.try_take(peer.ip()) {
            if start(&stream, slot, Some(Arc::clone(slots)), context) {
                context.served.http.fetch_add(1, Ordering::Relaxed);
                continue;
            }
        } else if let Ok(slot) = spare.try_take(peer.ip())
            && start(&stream, slot, None, context)
        {
            context.served.turned_away.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        context.served.turned_away.fetch_add(1, Ordering::Relaxed);
        // Its first bytes fit into an empty send buffer, and what it asks for is not read.
        let _ = stream.set_nonblocking(true);
        let _ = stream.write_chunk(&mut http::turned_away());
        let _ = stream.shutdown(Shutdown::Write);
    }
}

/// Serves a connection in a thread of its own; without `slots` it is one too many. False when there
/// are no more threads.
fn start(
    stream: &TcpStream,
    slot: Slot,
    slots: Option<Arc<Slots>>,
    context: &Arc<Context>,
) -> bool {
    let Ok(stream) = stream.try_clone() else {
        return false;
    };
    let context = Arc::clone(context);
    let started = named("netloom-serve").spawn(move || {
        let _slot = slot;
        // How a peer ends its connection is its own business.
        let _ = serve(&stream, slots.as_deref(), &context);
    });
    started.is_ok()
}

fn serve(stream: &TcpStream, slots: Option<&Slots>, context: &Context) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let pages = Pages {
        stats: &|| (context.stats)(&context.served),
        block: context.block.clone(),
        room: &|| match slots {
            None => Room::None,
            Some(slots) if slots.are_pressed() => Room::Little,
            Some(_) => Room::Plenty,
        },
    };
    http::serve(Web::new(stream, slots), &pages)?;
    stream.shutdown(Shutdown::Write)?;
    let until = Instant::now() + LINGER;
    let mut left = LINGER_BYTES;
    while left > 0 {
        stream.set_read_timeout(Some(until_then(until)?))?;
        match stream.read_chunk(left)?.len() {
            0 => break,
            len => left -= len,
        }
    }
    Ok(())
}

/// What is left of the time until then.
fn until_then(then: Instant) -> io::Result<Duration> {
    let left = then.saturating_duration_since(Instant::now());
    Some(left)
        .filter(|left| !left.is_zero())
        .ok_or_else(|| io::ErrorKind::WouldBlock.into())
}

const fn head_within(slots: Option<&Slots>) -> Duration {
    match slots {
        Some(_) => HEAD_WITHIN,
        None => HEAD_WITHIN_FULL,
    }
}

/// A connection with the deadlines of what it is at.
struct Web<'a> {
    stream: &'a TcpStream,
    /// Its service's, when it has one of its slots.
    slots: Option<&'a Slots>,
    phase: Phase,
    /// Has a request come? The first one's deadline runs from the connection's begin.
    asked: bool,
    /// When the phase must be over: put off by each byte of a body or an answer.
    until: Instant,
}

impl<'a> Web<'a> {
    fn new(stream: &'a TcpStream, slots: Option<&'a Slots>) -> Self {
        Self {
            stream,
            slots,
            phase: Phase::Idle,
            asked: false,
            until: Instant::now() + head_within(slots),
        }
    }

    /// How long a body or an answer may rest now.
    fn patience(&self) -> io::Result<Duration> {
        Ok(until_then(self.until)?.min(STALL))
    }

    /// So many bytes of a body or an answer came or went.
    fn moved(&mut self, bytes: usize) {
        self.until += Duration::from_nanos(bytes as u64 * (1_000_000_000 / PACE));
    }
}

impl http::Stream for Web<'_> {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        match phase {
            Phase::Idle => {}
            Phase::Head if !self.asked => self.asked = true,
            Phase::Head => self.until = Instant::now() + head_within(self.slots),
            Phase::Body | Phase::Answer => self.until = Instant::now() + PACE_GRACE,
        }
    }

    fn read_bytes(&mut self) -> io::Result<Bytes> {
        let stream = self.stream;
        match (self.phase, self.slots) {
            (Phase::Idle, Some(slots)) if self.asked => {
                return slots.unless_idle(|time| {
                    stream.set_read_timeout(Some(time))?;
                    stream.read_chunk(usize::MAX)
                });
            }
            (Phase::Idle | Phase::Head, _) => {
                stream.set_read_timeout(Some(until_then(self.until)?))?;
            }
            (Phase::Body | Phase::Answer, _) => stream.set_read_timeout(Some(self.patience()?))?,
        }
        let bytes = stream.read_chunk(usize::MAX)?;
        if self.phase == Phase::Body {
            self.moved(bytes.len());
        }
        Ok(bytes)
    }

    fn write_bytes(&mut self, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(self.patience()?))?;
            let taken = self.stream.write_chunk(&mut bytes)?;
            self.moved(taken);
        }
        Ok(())
    }
}

impl Write for Web<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.patience()?))?;
        let taken = self.stream.send(buf)?;
        self.moved(taken);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
