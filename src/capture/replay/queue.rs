//! Bytes on their way to a file, through a bounded buffer and a thread.
//!
//! *Owns* the buffer, the thread and why writing ended. *Does not* know what the bytes are, but that each
//! piece is whole by itself. Invariants: who gives bytes waits for no disk; a file that failed ends with
//! a whole piece.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long the thread lets bytes gather while they come.
const LINGER: Duration = Duration::from_millis(5);

/// It is woken earlier when there are so many.
const MANY: usize = 1 << 20;

/// Where bytes are given. Dropped, it waits until all are written.
#[derive(Debug)]
pub(super) struct Queue {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    most: usize,
    /// Bytes that were taken so far.
    taken: u64,
    /// Does who gives bytes wait for room?
    waits: bool,
}

/// What both sides see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    failure: OnceLock<io::Error>,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// The thread waits for the first byte.
    idle: bool,
    /// No more bytes come.
    closed: bool,
    /// The thread is through.
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why writing failed, if it did.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.get()
    }

    /// Waits until all is written, or writing has failed.
    pub(super) fn wait(&self) {
        let mut state = self.lock();
        while !state.ended {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes what there is, after a while in which it gathers; nothing at the end.
    fn next(&self, bytes: &mut Vec<u8>) {
        let mut state = self.lock();
        while state.bytes.is_empty() && !state.closed {
            state.idle = true;
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        // The first byte wakes this thread, and each would if it did not wait for more.
        if !state.closed && state.bytes.len() < MANY {
            let woken = self.changed.wait_timeout(state, LINGER);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
        core::mem::swap(&mut state.bytes, bytes);
        drop(state);
        // Who waits for room has it.
        self.changed.notify_all();
    }
}

impl Queue {
    /// Starts the thread that writes to `sink`; `cut` shortens a sink that failed to so many bytes.
    /// At most `most` bytes wait.
    pub(super) fn start<W: Write + Send + 'static>(
        sink: W,
        most: usize,
        cut: fn(W, u64),
    ) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let its = Arc::clone(&shared);
        let write = move || {
            let mut drain = Drain {
                sink,
                whole: 0,
                shared: Arc::clone(&its),
            };
            // A sink may be anybody's; whoever waits for the end is told in any case.
            let outcome = catch_unwind(AssertUnwindSafe(|| drain.run()));
            let panicked = |_| Err(io::Error::other("the recording's sink panicked"));
            if let Err(error) = outcome.unwrap_or_else(panicked) {
                let _ = its.failure.set(error);
                cut(drain.sink, drain.whole);
            }
            its.lock().ended = true;
            its.changed.notify_all();
        };
        let thread = thread::Builder::new().name("netloom-record".to_owned());
        Ok(Self {
            thread: Some(thread.spawn(write)?),
            shared,
            most,
            taken: 0,
            waits: false,
        })
    }

    /// The same, where who gives bytes waits for room.
    pub(super) const fn waiting(mut self) -> Self {
        self.waits = true;
        self
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Bytes that were taken so far.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Lets so many more bytes wait, for the last words.
    pub(super) const fn extend(&mut self, by: usize) {
        self.most = self.most.saturating_add(by);
    }
}

impl Write for Queue {
    /// Takes all or nothing.
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.shared.failure().is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut state = self.shared.lock();
        while self.waits && !state.ended && state.bytes.len() > self.most / 2 {
            let woken = self.shared.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        if state.bytes.len().saturating_add(piece.len()) > self.most {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        state.bytes.extend_from_slice(piece);
        let wakes = core::mem::take(&mut state.idle) || state.bytes.len() >= MANY;
        drop(state);
        if wakes {
            self.shared.changed.notify_all();
        }
        self.taken += u64::try_from(piece.len()).unwrap_or(0);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic there is told as a failure
        }
    }
}

/// The thread's side.
struct Drain<W> {
    sink: W,
    /// Bytes that the sink took, up to the end of a piece.
    whole: u64,
    shared: Arc<Shared>,
}

impl<W: Write> Drain<W> {
    fn run(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            self.shared.next(&mut bytes);
            if bytes.is_empty() {
                return self.sink.flush();
            }
            self.sink.write_all(&bytes)?;
            self.sink.flush()?;
            self.whole += u64::try_from(bytes.len()).unwrap_or(0);
        }
    }
}
