//! HTTP connections of `serve`: who gets a thread, how long peers may take, who is turned away.
//!
//! *Owns* the deadlines, and the threads that answer when all slots are taken. *Does not* parse
//! (`http.rs`). A peer that is slow in any phase loses its connection: a head has a deadline, bodies
//! and answers a pace, a connection without a request must not be silent for long.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, Shutdown};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// Connections beyond the service's slots that are heard all the same, to be answered with `/stats` or
/// that there is no room. One more takes the place of the oldest.
const SPARE: usize = 32;
/// How long a connection that is displaced keeps the next one waiting, before one more has to go.
const DISPLACE_WITHIN: Duration = Duration::from_millis(100);

/// Gives each connection a thread: to be served while there are slots, to be told so when there are
/// none. Waits for nobody but a thread whose peer was just told to go.
pub(crate) fn accept(listener: &TcpListener, slots: &Arc<Slots>, context: &Arc<Context>) {
    let spare = Arc::new(Spare::new());
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        let Ok(peer) = stream.peer_addr() else {
            continue;
        };
        let served = &context.served;
        if let Ok(slot) = slots.try_take(peer.ip()) {
            served.http.fetch_add(1, Ordering::Relaxed);
            let slots = Arc::clone(slots);
            start(stream, context, move |stream, context| {
                let _slot = slot;
                serve(stream, Some(&slots), context)
            });
        } else {
            served.turned_away.fetch_add(1, Ordering::Relaxed);
            let Ok(place) = spare.take(&stream, peer.ip()) else {
                continue;
            };
            start(stream, context, move |stream, context| {
                let _place = place;
                serve(stream, None, context)
            });
        }
    }
}

/// Serves a connection in a thread of its own; says that there is no room where there are no more
/// threads.
fn start(
    stream: TcpStream,
    context: &Arc<Context>,
    serve: impl FnOnce(&TcpStream, &Context) -> io::Result<()> + Send + 'static,
) {
    let Ok(again) = stream.try_clone() else {
        return;
    };
    let context = Arc::clone(context);
    let started = named("netloom-serve").spawn(move || {
        // How a peer ends its connection is its own business.
        let _ = serve(&stream, &context);
    });
    if started.is_err() {
        turn_away(&again);
    }
}

/// Says that there is no room, without having heard what is wanted.
fn turn_away(stream: &TcpStream) {
    // It fits into a send buffer that is empty, or else nobody reads it.
    let _ = stream.set_nonblocking(true);
    let _ = stream.write_chunk(&mut http::turned_away());
    let _ = stream.shutdown(Shutdown::Both);
}

/// The connections that have no slot and are heard all the same.
struct Spare {
    slots: Arc<Slots>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    /// In the order that they came.
    streams: BTreeMap<u64, TcpStream>,
}

/// The place of one of them, free again when this is dropped.
struct Place {
    spare: Arc<Spare>,
    number: u64,
    _slot: Slot,
}

impl Spare {
    fn new() -> Self {
        Self {
            slots: Slots::new(SPARE, SPARE),
            open: Mutex::default(),
        }
    }

    /// A place for this connection: that of the oldest one, when all are taken.
    fn take(self: &Arc<Self>, stream: &TcpStream, from: IpAddr) -> io::Result<Place> {
        let slot = loop {
            match self.slots.try_take(from) {
                Ok(slot) => break slot,
                Err(_) => self.displace(),
            }
        };
        let stream = stream.try_clone()?;
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        open.streams.insert(number, stream);
        drop(open);
        Ok(Place {
            spare: Arc::clone(self),
            number,
            _slot: slot,
        })
    }

    /// Sends the oldest one away and waits until its thread has noticed.
    fn displace(&self) {
        let oldest = self.lock().streams.pop_first();
        if let Some((_, oldest)) = oldest {
            turn_away(&oldest);
        }
        self.slots.wait_for_room(DISPLACE_WITHIN);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.spare.lock().streams.remove(&self.number);
    }
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
