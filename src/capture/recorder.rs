//! The recording side: a bounded queue that never blocks the traffic, and the thread that drains it.
//!
//! *Owns* the queue, the writer thread and the counters. *Does not* know the file format.
//! Invariants: recording waits for no disk; frames are written in the order in which they were
//! recorded, and their times do not run back; what does
//! not fit is counted; the file is complete when the last [`Recorder`] has been dropped.

use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::format::{Direction, LinkType};
use super::settings::{CaptureError, CaptureSettings, CaptureStats};
use super::writer::{InterfaceNumber, Outside, Packet, Writer, Written};
use crate::base::Instant;
use crate::device::{DeviceDrop, Medium, Sent};
use crate::link::{RxFrame, TxFrame};

/// Gives frames to a capture's writer thread. Clones share it; the last one to be dropped waits
/// until the file is complete.
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
}

/// Looks at a capture's counters, without keeping the file open.
#[derive(Clone, Debug)]
pub struct CaptureWatch {
    counters: Arc<Counters>,
}

impl Recorder {
    /// Starts a capture of one interface into `sink`, with a writer thread of its own.
    ///
    /// # Errors
    /// When the header cannot be written or the thread cannot be started.
    pub fn start<W: Write + Send + 'static>(
        sink: W,
        medium: Medium,
        settings: &CaptureSettings,
    ) -> Result<Self, CaptureError> {
        Self::start_with(sink, medium, settings, |_, _| {})
    }

    /// The same with a way to cut a sink that failed back to so many bytes, a block's end.
    fn start_with<W: Write + Send + 'static>(
        sink: W,
        medium: Medium,
        settings: &CaptureSettings,
        cut: fn(W, u64),
    ) -> Result<Self, CaptureError> {
        let mut writer = Writer::new(sink, settings).map_err(CaptureError::Header)?;
        let interface = writer
            .interface(LinkType::from(medium), &settings.name)
            .map_err(CaptureError::Header)?;
        let counters = Arc::new(Counters::default());
        let (queue, frames) = bounded(settings.queue_frames);
        let (wake, woken) = bounded(1);
        let mut drain = Drain {
            writer,
            interface,
            frames,
            last: Instant::ZERO,
            woken,
            counters: Arc::clone(&counters),
        };
        let thread = thread::Builder::new()
            .name("netloom-capture".to_owned())
            .spawn(move || {
                // A sink may be anybody's; whoever waits for the end is told in any case.
                let outcome = catch_unwind(AssertUnwindSafe(|| drain.run()));
                let panicked = |_| Err(io::Error::other("the capture's sink panicked"));
                drain.end(outcome.unwrap_or_else(panicked), cut);
            })
            .map_err(CaptureError::Thread)?;
        Ok(Self {
            shared: Arc::new(Shared {
                queue: Some((queue, wake)),
                thread: Some(thread),
                counters,
                order: Mutex::new(()),
                snap_len: usize::try_from(settings.snap_len).unwrap_or(usize::MAX),
                wake_at: settings.queue_frames / 4,
                queue_bytes: settings.queue_bytes,
            }),
        })
    }

    /// Starts a capture into a new file; one that is there is overwritten, unless
    /// [`CaptureSettings::only_new`] forbids it.
    ///
    /// # Errors
    /// When the file cannot be created, and as [`start`](Self::start).
    pub fn create(
        path: impl AsRef<Path>,
        medium: Medium,
        settings: &CaptureSettings,
    ) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let created = if settings.only_new {
            File::create_new(path)
        } else {
            File::create(path)
        };
        let file = created.map_err(|source| CaptureError::Create {
            path: path.to_owned(),
            source,
        })?;
        Self::start_with(file, medium, settings, |file, len| {
            // A pipe cannot be cut; there is nothing to mend then.
            let _ = file.set_len(len);
        })
    }

    /// Held from before a frame is sent until it was recorded, and while received ones are recorded.
    pub(super) fn in_order(&self) -> MutexGuard<'_, ()> {
        let order = self.shared.order.lock();
        order.unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a frame that the stack received. The file has frames in the order of these calls and
    /// those of [`sent`](Self::sent); a time before the last one's is written as that.
    pub fn received(&self, frame: &RxFrame) {
        let shared = &*self.shared;
        if !shared.wants_more() {
            return;
        }
        let kept = frame.data.len().min(shared.snap_len);
        let head = if kept <= COPY_UP_TO {
            Bytes::copy_from_slice(&frame.data[..kept])
        } else {
            frame.data.slice(..kept)
        };
        shared.push(Queued {
            at: frame.meta.at,
            direction: Direction::Inbound,
            head,
            rest: Vec::new(),
            kept,
            original_len: frame.data.len(),
            lost_before: 0,
            fate: None,
        });
    }

    /// Records a frame that the stack sent, with what became of it. A frame that the device did not
    /// take ([`Sent::Full`]) was not sent, and is offered again.
    pub fn sent(&self, at: Instant, frame: &TxFrame<'_>, outcome: Sent) {
        let fate = match outcome {
            Sent::Full => return,
            Sent::Taken => None,
            Sent::Dropped(cause) => Some(cause),
        };
        let shared = &*self.shared;
        if !shared.wants_more() {
            return;
        }
        let original_len = frame.len();
        let kept = original_len.min(shared.snap_len);
        let (head, rest) = referenced(frame, kept);
        shared.push(Queued {
            at,
            direction: Direction::Outbound,
            head,
            rest,
            kept,
            original_len,
            lost_before: 0,
            fate,
        });
    }

    /// A view of the counters that outlives the capture.
    pub fn watch(&self) -> CaptureWatch {
        CaptureWatch {
            counters: Arc::clone(&self.shared.counters),
        }
    }
}

impl CaptureWatch {
    /// What the capture has seen and kept so far.
    pub fn stats(&self) -> CaptureStats {
        let of = &*self.counters;
        CaptureStats {
            seen: of.seen.load(Relaxed),
            written: of.written.load(Relaxed),
            cut: of.cut.load(Relaxed),
            lost_queue: of.lost_queue.load(Relaxed),
            lost_limit: of.lost_limit.load(Relaxed),
            lost_error: of.lost_error.load(Relaxed),
        }
    }

    /// Why the capture ended before the traffic did, such as a full disk; `None` while it goes on.
    pub fn failure(&self) -> Option<&io::Error> {
        self.counters.failure.get()
    }

    /// Waits until the capture has ended: because all its recorders were dropped, or before that, as
    /// soon as it fails; why then.
    pub fn wait(&self) -> Option<&io::Error> {
        let counters = &*self.counters;
        let ended = counters.ended.lock();
        let mut ended = ended.unwrap_or_else(PoisonError::into_inner);
        while !*ended {
            let woken = counters.changed.wait(ended);
            ended = woken.unwrap_or_else(PoisonError::into_inner);
        }
        drop(ended);
        self.failure()
    }

    /// Has the file reached its size limit?
    pub fn is_full(&self) -> bool {
        self.counters.full.load(Relaxed)
    }
}

/// What all recorders of one capture share.
#[derive(Debug)]
struct Shared {
    /// The frames, and a nudge for the writer before they fill the queue.
    queue: Option<(Sender<Queued>, Sender<()>)>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
    order: Mutex<()>,
    snap_len: usize,
    wake_at: usize,
    queue_bytes: usize,
}

impl Shared {
    /// Counts a frame as seen; is it still to be recorded?
    fn wants_more(&self) -> bool {
        self.counters.seen.fetch_add(1, Relaxed);
        if self.counters.failed.load(Relaxed) {
            self.counters.lost_error.fetch_add(1, Relaxed);
            return false;
        }
        if self.counters.full.load(Relaxed) {
            self.counters.lost_limit.fetch_add(1, Relaxed);
            return false;
        }
        true
    }

    /// Queues a frame, or counts it as lost.
    fn push(&self, mut frame: Queued) {
        let counters = &*self.counters;
        let (kept, cut) = (frame.kept, frame.kept < frame.original_len);
        let waiting = counters.queued_bytes.fetch_add(kept, Relaxed);
        frame.lost_before = counters.unreported.swap(0, Relaxed);
        let lost_before = frame.lost_before;
        let taken = waiting.saturating_add(kept) <= self.queue_bytes
            && self
                .queue
                .as_ref()
                .is_some_and(|(queue, _)| queue.try_send(frame).is_ok());
        if taken {
            counters.cut.fetch_add(u64::from(cut), Relaxed);
        } else {
            counters.queued_bytes.fetch_sub(kept, Relaxed);
            counters.unreported.fetch_add(lost_before + 1, Relaxed);
            counters.lost_queue.fetch_add(1, Relaxed);
        }
        if let Some((queue, wake)) = &self.queue
            && (!taken || queue.len() >= self.wake_at)
        {
            let _ = wake.try_send(()); // full: the nudge is already there
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic there has already been printed
        }
    }
}

/// A frame that waits for the writer.
#[derive(Debug)]
struct Queued {
    at: Instant,
    direction: Direction,
    head: Bytes,
    rest: Vec<Bytes>,
    kept: usize,
    original_len: usize,
    lost_before: u64,
    fate: Option<DeviceDrop>,
}

/// Counters and end states, written by both sides.
#[derive(Debug, Default)]
struct Counters {
    seen: AtomicU64,
    written: AtomicU64,
    cut: AtomicU64,
    lost_queue: AtomicU64,
    lost_limit: AtomicU64,
    lost_error: AtomicU64,
    /// Losses by the queue that no packet block has reported yet.
    unreported: AtomicU64,
    queued_bytes: AtomicUsize,
    full: AtomicBool,
    failed: AtomicBool,
    failure: OnceLock<io::Error>,
    /// Is the file complete, or will nothing come to it any more?
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Counters {
    fn tell_end(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

/// The writer thread's side.
struct Drain<W> {
    writer: Writer<W>,
    interface: InterfaceNumber,
    frames: Receiver<Queued>,
    /// The time of the last frame.
    last: Instant,
    woken: Receiver<()>,
    counters: Arc<Counters>,
}

impl<W: Write> Drain<W> {
    /// Writes until all recorders are gone, and what is to be said then, or until the sink fails.
    fn run(&mut self) -> io::Result<()> {
        self.write_all()?;
        self.writer.conclude(Outside {
            lost: self.counters.unreported.load(Relaxed),
            over_limit: self.counters.lost_limit.load(Relaxed),
        })
    }

    /// Writes until all recorders are gone or the sink fails.
    ///
    /// While traffic flows the thread looks in every [`LINGER`], or when the queue is a quarter
    /// full, so that a frame costs its sender no wake-up; only after an idle round does it sleep
    /// until the next frame.
    fn write_all(&mut self) -> io::Result<()> {
        let mut idle = true;
        loop {
            match self.frames.try_recv() {
                Ok(frame) => {
                    self.keep(&frame)?;
                    idle = false;
                    continue;
                }
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {}
            }
            if idle {
                self.flush()?;
                let Ok(frame) = self.frames.recv() else {
                    return Ok(());
                };
                self.keep(&frame)?;
                idle = false;
            } else {
                let nudge = self.woken.recv_timeout(LINGER);
                idle = nudge == Err(RecvTimeoutError::Timeout);
            }
        }
    }

    /// Writes one frame.
    fn keep(&mut self, frame: &Queued) -> io::Result<()> {
        self.counters.queued_bytes.fetch_sub(frame.kept, Relaxed);
        // A batch has one time, from before it was read; frames were sent meanwhile.
        self.last = self.last.max(frame.at);
        let outcome = self.writer.packet(
            self.interface,
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
    fn end(self, outcome: io::Result<()>, cut: fn(W, u64)) {
        let Self {
            writer,
            frames,
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
                for _ in frames.iter() {
                    counters.lost_error.fetch_add(1, Relaxed);
                }
            }
        }
        counters.tell_end();
    }
}

/// The first `kept` bytes of a frame: copied when they are few, so that they pin no buffer, else
/// the headers copied and the payload referenced.
fn referenced(frame: &TxFrame<'_>, kept: usize) -> (Bytes, Vec<Bytes>) {
    let in_head = frame.headers.len().min(kept);
    let mut head = Vec::with_capacity(if kept <= COPY_UP_TO { kept } else { in_head });
    head.extend_from_slice(&frame.headers[..in_head]);
    let mut left = kept - in_head;
    let mut rest = Vec::new();
    for slice in frame.payload {
        let take = slice.len().min(left);
        if take == 0 {
            break;
        }
        left -= take;
        if kept <= COPY_UP_TO {
            head.extend_from_slice(&slice[..take]);
        } else {
            rest.push(slice.slice(..take));
        }
    }
    (Bytes::from(head), rest)
}

/// What a packet's comment says about a frame that the device lost.
const fn comment(cause: DeviceDrop) -> &'static str {
    match cause {
        DeviceDrop::NoBuffers => "not sent: the device had no buffers",
        DeviceDrop::LinkDown => "not sent: the link is down",
        DeviceDrop::Refused => "not sent: the device refused the frame",
    }
}

/// Frames kept up to this many bytes are copied: cheaper than a reference that pins an arena chunk.
const COPY_UP_TO: usize = 256;

/// How long the writer lets frames gather while traffic flows. At 100,000 frames a second a tenth
/// of the queue's default gathers meanwhile.
const LINGER: Duration = Duration::from_millis(5);
