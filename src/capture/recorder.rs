//! The recording side: a bounded queue that never blocks the traffic.
//!
//! *Owns* the queue, the start of the writer thread and the counters. *Does not* know the file format, nor drain the queue: `drain.rs` does.
//! Invariants: recording waits for no disk; frames are written in the order in which they were
//! recorded, and their times do not run back; what does
//! not fit is counted; the file is complete when the last [`Recorder`] has been dropped.

use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::drain::Drain;
use super::format::{Direction, LinkType};
use super::settings::{CaptureError, CaptureSettings, CaptureStats};
use super::writer::Writer;
use crate::base::Instant;
use crate::device::{DeviceDrop, Medium, Sent};
use crate::link::{RxFrame, TxFrame};

/// Gives frames of one interface to a capture's writer thread. Clones share it, and so do those of
/// [other interfaces](Self::interface); the last one to be dropped waits until the file is complete.
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    /// Whose frames it records, among the capture's.
    interface: usize,
    losses: Arc<Losses>,
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
        let (queue, items) = sync_channel(settings.queue_frames);
        let (wake, woken) = sync_channel(1);
        let losses = Arc::<Losses>::default();
        let mut drain = Drain {
            writer,
            interfaces: vec![(interface, Arc::clone(&losses))],
            items,
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
                name: settings.name.clone(),
                interfaces: Mutex::new(1),
                snap_len: usize::try_from(settings.snap_len).unwrap_or(usize::MAX),
                wake_at: settings.queue_frames / 4,
                queue_bytes: settings.queue_bytes,
            }),
            interface: 0,
            losses,
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

    /// One more interface of the same capture: its name is that of the first with a number behind it, from 2. Waits while the queue
    /// is full; a file that has reached its size limit has none of it.
    #[must_use]
    pub fn interface(&self, medium: Medium) -> Self {
        let shared = &self.shared;
        let interfaces = shared.interfaces.lock();
        let mut interfaces = interfaces.unwrap_or_else(PoisonError::into_inner);
        let interface = *interfaces;
        *interfaces += 1;
        let name = format!("{}-{interfaces}", shared.name);
        let losses = Arc::<Losses>::default();
        if let Some((queue, _)) = &shared.queue {
            // It is read until the last recorder is gone.
            let _ = queue.send(Item::Interface(medium, name, Arc::clone(&losses)));
        }
        drop(interfaces);
        Self {
            shared: Arc::clone(shared),
            interface,
            losses,
        }
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
        if !shared.wants_more(&self.losses) {
            return;
        }
        let kept = frame.data.len().min(shared.snap_len);
        let head = if kept <= COPY_UP_TO {
            Bytes::copy_from_slice(&frame.data[..kept])
        } else {
            frame.data.slice(..kept)
        };
        let queued = Queued {
            interface: self.interface,
            at: frame.meta.at,
            direction: Direction::Inbound,
            head,
            rest: Vec::new(),
            kept,
            original_len: frame.data.len(),
            lost_before: 0,
            fate: None,
        };
        shared.push(queued, &self.losses);
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
        if !shared.wants_more(&self.losses) {
            return;
        }
        let original_len = frame.len();
        let kept = original_len.min(shared.snap_len);
        let (head, rest) = referenced(frame, kept);
        let queued = Queued {
            interface: self.interface,
            at,
            direction: Direction::Outbound,
            head,
            rest,
            kept,
            original_len,
            lost_before: 0,
            fate,
        };
        shared.push(queued, &self.losses);
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
    queue: Option<(SyncSender<Item>, SyncSender<()>)>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
    order: Mutex<()>,
    /// The first interface's.
    name: String,
    /// How many there are, in the order of the queue.
    interfaces: Mutex<usize>,
    snap_len: usize,
    wake_at: usize,
    queue_bytes: usize,
}

impl Shared {
    /// Counts a frame as seen; is it still to be recorded?
    fn wants_more(&self, losses: &Losses) -> bool {
        self.counters.seen.fetch_add(1, Relaxed);
        if self.counters.failed.load(Relaxed) {
            self.counters.lost_error.fetch_add(1, Relaxed);
            return false;
        }
        if self.counters.full.load(Relaxed) {
            self.counters.lost_limit.fetch_add(1, Relaxed);
            losses.over_limit.fetch_add(1, Relaxed);
            return false;
        }
        true
    }

    /// Queues a frame, or counts it as lost.
    fn push(&self, mut frame: Queued, losses: &Losses) {
        let counters = &*self.counters;
        let (kept, cut) = (frame.kept, frame.kept < frame.original_len);
        let before = counters.queued_frames.fetch_add(1, Relaxed);
        let waiting = counters.queued_bytes.fetch_add(kept, Relaxed);
        frame.lost_before = losses.unreported.swap(0, Relaxed);
        let lost_before = frame.lost_before;
        let taken = waiting.saturating_add(kept) <= self.queue_bytes
            && self
                .queue
                .as_ref()
                .is_some_and(|(queue, _)| queue.try_send(Item::Frame(frame)).is_ok());
        if taken {
            counters.cut.fetch_add(u64::from(cut), Relaxed);
        } else {
            counters.queued_frames.fetch_sub(1, Relaxed);
            counters.queued_bytes.fetch_sub(kept, Relaxed);
            losses.unreported.fetch_add(lost_before + 1, Relaxed);
            counters.lost_queue.fetch_add(1, Relaxed);
        }
        if let Some((_, wake)) = &self.queue
            && (!taken || before + 1 >= self.wake_at)
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

/// What waits for the writer.
#[derive(Debug)]
pub(super) enum Item {
    Frame(Queued),
    /// Frames behind it may name it.
    Interface(Medium, String, Arc<Losses>),
}

/// What one interface of a capture has lost, and its file does not say yet.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Losses by the queue that no packet block has reported.
    pub(super) unreported: AtomicU64,
    /// All that the size limit left out.
    pub(super) over_limit: AtomicU64,
}

/// A frame that waits for the writer.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) interface: usize,
    pub(super) at: Instant,
    pub(super) direction: Direction,
    pub(super) head: Bytes,
    pub(super) rest: Vec<Bytes>,
    pub(super) kept: usize,
    pub(super) original_len: usize,
    pub(super) lost_before: u64,
    pub(super) fate: Option<DeviceDrop>,
}

/// Counters and end states, written by both sides.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) seen: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) cut: AtomicU64,
    pub(super) lost_queue: AtomicU64,
    pub(super) lost_limit: AtomicU64,
    pub(super) lost_error: AtomicU64,
    pub(super) queued_frames: AtomicUsize,
    pub(super) queued_bytes: AtomicUsize,
    pub(super) full: AtomicBool,
    pub(super) failed: AtomicBool,
    pub(super) failure: OnceLock<io::Error>,
    /// Is the file complete, or will nothing come to it any more?
    pub(super) ended: Mutex<bool>,
    pub(super) changed: Condvar,
}

impl Counters {
    pub(super) fn tell_end(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
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

/// Frames kept up to this many bytes are copied: cheaper than a reference that pins an arena chunk.
const COPY_UP_TO: usize = 256;
