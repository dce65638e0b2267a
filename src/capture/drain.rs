//! The thread that drains a capture's queue into its file.
//!
//! *Owns* the order in which frames and interfaces reach the writer, and what a sink that fails costs. *Does not* decide what is
//! recorded: `recorder.rs` does.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use super::format::LinkType;
use super::recorder::{Counters, Item, Losses, Queued};
use super::writer::{InterfaceNumber, Outside, Packet, Writer, Written};
use crate::base::Instant;
use crate::device::DeviceDrop;

/// The writer thread's side.
pub(super) struct Drain<W> {
    pub(super) writer: Writer<W>,
    /// Those that frames name, by their place here.
    pub(super) interfaces: Vec<(InterfaceNumber, Arc<Losses>)>,
    pub(super) items: Receiver<Item>,
    /// The time of the last frame.
    pub(super) last: Instant,
    pub(super) woken: Receiver<()>,
    pub(super) counters: Arc<Counters>,
}

impl<W: Write> Drain<W> {
    /// Writes until all recorders are gone, and what is to be said then, or until the sink fails.
    pub(super) fn run(&mut self) -> io::Result<()> {
        self.write_all()?;
        let all = self.interfaces.iter();
        let outside = all.map(|(_, losses)| Outside {
            lost: losses.unreported.load(Relaxed),
            over_limit: losses.over_limit.load(Relaxed),
        });
        self.writer.conclude(outside)
    }

    /// Writes until all recorders are gone or the sink fails.
    ///
    /// While traffic flows the thread looks in every [`LINGER`], or when the queue is a quarter
    /// full, so that a frame costs its sender no wake-up; only after an idle round does it sleep
    /// until the next frame.
    fn write_all(&mut self) -> io::Result<()> {
        let mut idle = true;
        loop {
            match self.items.try_recv() {
                Ok(item) => {
                    self.keep(&item)?;
                    idle = false;
                    continue;
                }
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {}
            }
            if idle {
                self.flush()?;
                let Ok(item) = self.items.recv() else {
                    return Ok(());
                };
                self.keep(&item)?;
                idle = false;
            } else {
                let nudge = self.woken.recv_timeout(LINGER);
                idle = nudge == Err(RecvTimeoutError::Timeout);
            }
        }
    }

    /// Writes one frame, or one more interface.
    fn keep(&mut self, item: &Item) -> io::Result<()> {
        match item {
            Item::Frame(frame) => self.keep_frame(frame),
            Item::Interface(medium, name, losses) => {
                let number = self.writer.interface(LinkType::from(*medium), name)?;
                self.interfaces.push((number, Arc::clone(losses)));
                Ok(())
            }
        }
    }

    fn keep_frame(&mut self, frame: &Queued) -> io::Result<()> {
        self.counters.queued_frames.fetch_sub(1, Relaxed);
        self.counters.queued_bytes.fetch_sub(frame.kept, Relaxed);
        // A batch has one time, from before it was read; frames were sent meanwhile.
        self.last = self.last.max(frame.at);
        let Some((interface, losses)) = self.interfaces.get(frame.interface) else {
            return Err(io::Error::other("a frame of no interface of the capture"));
        };
        let outcome = self.writer.packet(
            *interface,
            &Packet {
                at: self.last,
                direction: Some(frame.direction),
                head: &frame.head,
                rest: &frame.rest,
                original_len: frame.original_len,
                lost_before: frame.lost_before,
                comment: frame.fate.map(comment),
            },
        );
        if matches!(outcome, Ok(Written::OverLimit)) {
            losses.over_limit.fetch_add(1, Relaxed);
        }
        self.publish();
        match outcome {
            Ok(Written::Kept) => Ok(()),
            Ok(Written::OverLimit) => {
                self.counters.lost_limit.fetch_add(1, Relaxed);
                self.counters.full.store(true, Relaxed);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let outcome = self.writer.flush();
        self.publish();
        outcome
    }

    fn publish(&self) {
        self.counters.written.store(self.writer.written(), Relaxed);
    }

    /// Closes the file, or reports why it could not be written and counts what is lost by it.
    pub(super) fn end(self, outcome: io::Result<()>, cut: fn(W, u64)) {
        let Self {
            writer,
            items,
            counters,
            ..
        } = self;
        let kept = writer.accepted();
        let before = writer.written();
        match outcome {
            Ok(()) => counters.written.store(kept, Relaxed),
            Err(error) => {
                let (sink, whole) = writer.abandon();
                cut(sink, whole);
                counters.lost_error.fetch_add(kept - before, Relaxed);
                let _ = counters.failure.set(error);
                counters.failed.store(true, Relaxed);
                counters.tell_end();
                for item in items.iter() {
                    let lost = u64::from(matches!(item, Item::Frame(_)));
                    counters.lost_error.fetch_add(lost, Relaxed);
                }
            }
        }
        counters.tell_end();
    }
}

/// What a packet's comment says about a frame that the device lost.
const fn comment(cause: DeviceDrop) -> &'static str {
    match cause {
        DeviceDrop::NoBuffers => "not sent: the device had no buffers",
        DeviceDrop::LinkDown => "not sent: the link is down",
        DeviceDrop::Refused => "not sent: the device refused the frame",
    }
}

/// How long the writer lets frames gather while traffic flows. At 100,000 frames a second a tenth
/// of the queue's default gathers meanwhile.
const LINGER: Duration = Duration::from_millis(5);
