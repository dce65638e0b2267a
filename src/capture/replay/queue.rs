//! Bytes on their way to a file, through a bounded buffer and a thread.
//!
//! *Owns* the buffer, the thread and why writing ended. *Does not* know what the bytes are, but that each
//! piece is whole by itself. Invariants: who gives bytes waits for no disk; a file that failed ends with
//! a whole piece; the bound is one on all that is in memory, what is being written included: but for one
//! piece alone that is larger, where who gives bytes waits.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long the thread lets bytes gather while they come.
const LINGER: Duration = Duration::from_millis(5);

/// It is woken earlier when there are so many.
const MANY: usize = 1 << 20;

/// Room that is kept for the last words, in memory and in the file.
pub(super) const LAST_WORDS: usize = 64 << 10;

/// Bytes lie in chunks of this size: a queue that grew in one piece would copy itself, and double.
const CHUNK: usize = 256 << 10;

/// Chunks that are kept to be filled again: what a steady flow needs between two looks of the thread.
const SPARE: usize = 2 * MANY / CHUNK;

/// Where bytes are given. Dropped, it waits until all are written.
#[derive(Debug)]
pub(super) struct Queue {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    most: usize,
    /// The most bytes that are ever taken.
    limit: u64,
    /// What is still kept back of the limit, and comes on top of what is in memory, for the last words.
    reserve: usize,
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
    /// What was taken and not yet fetched: chunks of which all but the last are full.
    chunks: Vec<Vec<u8>>,
    /// The bytes in them.
    waiting: usize,
    /// Bytes that the thread has fetched and the sink has not taken.
    writing: usize,
    /// Empty chunks.
    spare: Vec<Vec<u8>>,
    /// The thread waits for the first byte.
    idle: bool,
    /// No more bytes come.
    closed: bool,
    /// The thread is through.
    ended: bool,
}

impl State {
    /// Bytes in memory.
    const fn held(&self) -> usize {
        self.waiting.saturating_add(self.writing)
    }

    /// Adds a piece behind the others.
    fn push(&mut self, mut piece: &[u8]) {
        self.waiting += piece.len();
        while !piece.is_empty() {
            let last = match self.chunks.pop() {
                Some(chunk) if chunk.len() < CHUNK => Some(chunk),
                full => {
                    self.chunks.extend(full);
                    self.spare.pop()
                }
            };
            let mut chunk = last.unwrap_or_else(|| Vec::with_capacity(CHUNK));
            let (fits, rest) = piece.split_at(piece.len().min(CHUNK - chunk.len()));
            chunk.extend_from_slice(fits);
            self.chunks.push(chunk);
            piece = rest;
        }
    }
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

    /// Fetches what there is, after a while in which it gathers; nothing at the end.
    fn next(&self) -> Vec<Vec<u8>> {
        let mut state = self.lock();
        while state.chunks.is_empty() && !state.closed {
            state.idle = true;
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        // The first byte wakes this thread, and each would if it did not wait for more.
        if !state.closed && state.waiting < MANY {
            let woken = self.changed.wait_timeout(state, LINGER);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.writing += core::mem::take(&mut state.waiting);
        core::mem::take(&mut state.chunks)
    }

    /// The sink has what was in this chunk.
    fn give_back(&self, mut chunk: Vec<u8>) {
        let mut state = self.lock();
        state.writing = state.writing.saturating_sub(chunk.len());
        if state.spare.len() < SPARE {
            chunk.clear();
            state.spare.push(chunk);
        }
        drop(state);
        // Who waits for room has it.
        self.changed.notify_all();
    }
}

impl Queue {
    /// Starts the thread that writes to `sink`; `cut` shortens a sink that failed to so many bytes.
    /// At most `most` bytes are in memory.
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
            limit: u64::MAX,
            reserve: LAST_WORDS,
            taken: 0,
            waits: false,
        })
    }

    /// The same, where who gives bytes waits for room: nothing is refused for lack of it. A piece larger than all
    /// the room waits until it is alone.
    pub(super) const fn waiting(mut self) -> Self {
        self.waits = true;
        self
    }

    /// The same, where no more than so many bytes are ever taken.
    pub(super) const fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Opens what was kept for the last words.
    pub(super) const fn open_reserve(&mut self) {
        self.most = self.most.saturating_add(self.reserve);
        self.reserve = 0;
    }

    /// Bytes that were taken, this piece and what is kept for the last words.
    fn with(&self, piece: &[u8]) -> u64 {
        let more = u64::try_from(piece.len().saturating_add(self.reserve));
        self.taken.saturating_add(more.unwrap_or(u64::MAX))
    }
}

impl Write for Queue {
    /// Takes all or nothing: `FileTooLarge` is the limit, `QuotaExceeded` a writer that is behind.
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.shared.failure().is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.with(piece) > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut state = self.shared.lock();
        let fits = |held: usize| held.saturating_add(piece.len()) <= self.most;
        while self.waits && !state.ended && state.held() > 0 && !fits(state.held()) {
            let woken = self.shared.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let is_alone = self.waits && state.held() == 0;
        if !is_alone && !fits(state.held()) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        state.push(piece);
        let wakes = core::mem::take(&mut state.idle) || state.waiting >= MANY;
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
        loop {
            let batch = self.shared.next();
            if batch.is_empty() {
                return self.sink.flush();
            }
            let mut written = 0;
            for chunk in batch {
                self.sink.write_all(&chunk)?;
                written += u64::try_from(chunk.len()).unwrap_or(0);
                self.shared.give_back(chunk);
            }
            self.sink.flush()?;
            // A batch ends with a piece, as its chunks need not.
            self.whole += written;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// A sink that tells what it is given, and waits until it may take that.
    struct Gate {
        told: SyncSender<usize>,
        may: Receiver<()>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.told.send(bytes.len());
            // Nobody there to ask: all may pass.
            let _ = self.may.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A queue, what its sink is given, and the leave to take it.
    fn gated(most: usize) -> (Queue, Receiver<usize>, SyncSender<()>) {
        let (told, is_told) = sync_channel(1 << 12);
        let (leave, may) = sync_channel(1 << 12);
        let queue = Queue::start(Gate { told, may }, most, |_, _| {}).unwrap();
        (queue, is_told, leave)
    }

    fn refused(queue: &mut Queue, len: usize) -> bool {
        match queue.write(&vec![7; len]) {
            Ok(taken) => {
                assert_eq!(taken, len);
                false
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
                true
            }
        }
    }

    /// What the thread has fetched is in memory until the sink has it.
    #[test]
    fn what_is_being_written_counts() {
        let (mut queue, told, leave) = gated(1000);
        assert!(!refused(&mut queue, 600));
        assert_eq!(told.recv(), Ok(600));
        assert!(refused(&mut queue, 401));
        assert!(!refused(&mut queue, 400));
        assert!(refused(&mut queue, 1));
        leave.send(()).unwrap();
        // The next batch is fetched when the first is through.
        assert_eq!(told.recv(), Ok(400));
        assert!(!refused(&mut queue, 600));
        drop(leave);
        assert_eq!(queue.taken, 1600);
    }

    /// The limit is one on whole pieces, and the last words have their room in it.
    #[test]
    fn what_would_pass_the_limit_is_refused_as_that() {
        let (queue, _told, leave) = gated(1 << 20);
        drop(leave);
        let mut queue = queue.limit(200_000);
        let room = 200_000 - LAST_WORDS;
        assert!(!refused(&mut queue, room - 10));
        let kind = |queue: &mut Queue, len| queue.write(&vec![7; len]).map_err(|e| e.kind());
        let too_large = Err(io::ErrorKind::FileTooLarge);
        assert_eq!(kind(&mut queue, 11), too_large);
        assert_eq!(kind(&mut queue, 10), Ok(10));
        assert_eq!(kind(&mut queue, 1), too_large);
        queue.open_reserve();
        queue.open_reserve();
        assert_eq!(kind(&mut queue, LAST_WORDS), Ok(LAST_WORDS));
        assert_eq!(kind(&mut queue, 1), too_large);
    }

    /// Who waits for room waits for the sink, not for the thread to fetch.
    #[test]
    fn who_waits_waits_until_the_sink_has_it() {
        let (queue, told, leave) = gated(1000);
        let mut queue = queue.waiting();
        let shared = queue.shared();
        let giver = thread::spawn(move || {
            for _ in 0..100 {
                queue.write_all(&[7; 500]).unwrap();
            }
        });
        let mut written = 0;
        while written < 50_000 {
            written += told.recv().unwrap();
            let held = shared.lock().held();
            assert!(held <= 1000, "{held}");
            leave.send(()).unwrap();
        }
        giver.join().unwrap();
    }

    /// Room is waited for, not half of it: each of these leaves none for the next, and the last has none even
    /// alone.
    #[test]
    fn who_waits_is_never_refused_for_lack_of_room() {
        let (queue, told, leave) = gated(1000);
        let mut queue = queue.waiting();
        let giver = thread::spawn(move || {
            for len in [450, 600, 999, 1000, 1001, 1] {
                queue.write_all(&vec![7; len])?;
            }
            Ok::<_, io::Error>(())
        });
        let mut written = 0;
        while written < 4051 {
            let Ok(more) = told.recv_timeout(Duration::from_secs(60)) else {
                break;
            };
            written += more;
            leave.send(()).unwrap();
        }
        assert_eq!(giver.join().unwrap().map_err(|error| error.kind()), Ok(()));
        assert_eq!(written, 4051);
    }

    /// What a burst needed is not kept.
    #[test]
    fn room_is_given_back_after_a_burst() {
        let (mut queue, told, leave) = gated(64 << 20);
        let shared = queue.shared();
        for _ in 0..10 {
            assert!(!refused(&mut queue, 3_000_000));
        }
        let in_memory = || {
            let state = shared.lock();
            let all = state.chunks.iter().chain(&state.spare);
            all.map(Vec::capacity).sum::<usize>()
        };
        assert!(shared.lock().held() == 30_000_000);
        let mut written = 0;
        while written < 30_000_000 {
            leave.send(()).unwrap();
            written += told.recv().unwrap();
        }
        drop((leave, queue));
        shared.wait();
        assert_eq!(shared.lock().held(), 0);
        assert!(in_memory() <= SPARE * CHUNK, "{}", in_memory());
    }
}
