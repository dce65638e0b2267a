//! One end's user: writes and reads at random, and acts on events only.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::Shutdown;

use netloom::bytes::Bytes;
use netloom::stack::{AcceptError, ListenOptions, ListenerId, TcpId};
use netloom::tcp::{ReadError, TcpOptions, WriteError};
use netloom::{Event, Instant, Readiness, SocketId, Stack};

use super::world::Rng;

/// The byte at `offset` of the stream that end `who` sends.
fn pattern(who: u64, offset: u64) -> u8 {
    let x = (offset ^ (who << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x >> 56) as u8
}

/// What a user wants to do and how far it has come.
pub(crate) struct App {
    who: u64,
    rng: Rng,
    id: Option<TcpId>,
    listener: Option<ListenerId>,
    to_send: u64,
    written: u64,
    expected: u64,
    read: u64,
    end_seen: bool,
    shut: bool,
    pub(crate) done: bool,
    may_read: bool,
    may_write: bool,
    acceptable: bool,
    /// A pause in its work.
    pub(crate) rests_until: Instant,
    rests: u64,
}

impl App {
    pub(crate) fn new(who: u64, seed: u64, to_send: u64, expected: u64, rests: u64) -> Self {
        Self {
            who,
            rng: Rng::new(seed),
            id: None,
            listener: None,
            to_send,
            written: 0,
            expected,
            read: 0,
            end_seen: false,
            shut: false,
            done: false,
            may_read: false,
            may_write: false,
            acceptable: false,
            rests_until: Instant::ZERO,
            rests,
        }
    }

    pub(crate) fn listen(&mut self, stack: &mut Stack, at: SocketAddr, options: TcpOptions) {
        self.listener = Some(stack.tcp_listen(at, ListenOptions::new(options)).unwrap());
    }

    pub(crate) fn connect(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        to: SocketAddr,
        options: TcpOptions,
    ) {
        let id = stack.tcp_connect(now, to, None, options).unwrap();
        self.id = Some(id);
        // Writing before the connection is established queues.
        self.may_write = self.rng.chance(50);
    }

    pub(crate) fn progress(&self) -> String {
        format!(
            "end {}: wrote {} of {}, read {} of {}, end seen {}, shut {}, done {}, may read {}, may write {}",
            self.who,
            self.written,
            self.to_send,
            self.read,
            self.expected,
            self.end_seen,
            self.shut,
            self.done,
            self.may_read,
            self.may_write,
        )
    }

    pub(crate) fn who(&self) -> u64 {
        self.who
    }

    pub(crate) fn id(&self) -> Option<TcpId> {
        self.id
    }

    /// Takes the stack's events in, then works until it would block; returns whether it did
    /// anything.
    pub(crate) fn step(&mut self, now: Instant, stack: &mut Stack) -> bool {
        while let Some(event) = stack.poll_event() {
            self.on_event(event, now, stack);
        }
        if self.done || now < self.rests_until {
            return false;
        }
        if self.acceptable {
            self.accept(now, stack);
        }
        let Some(id) = self.id else { return false };
        let mut worked = false;
        for _ in 0..1 + self.rng.below(4) {
            worked |= self.write(now, stack, id);
            worked |= self.read(now, stack, id);
        }
        if self.shut && self.end_seen {
            assert_eq!(self.read, self.expected, "the stream ended early");
            stack.tcp_close(now, id);
            self.done = true;
            return true;
        }
        if worked && self.rests > 0 && self.rng.chance(20) {
            let micros = self.rng.below(self.rests);
            self.rests_until = now + Duration::from_micros(micros);
        }
        worked
    }

    fn on_event(&mut self, event: Event, now: Instant, stack: &mut Stack) {
        match event.id {
            SocketId::Listener(_) => self.acceptable = true,
            SocketId::Tcp(id) if Some(id) == self.id => {
                let ready = event.ready;
                assert!(
                    !ready.contains(Readiness::FAILED),
                    "{now:?} failed: {:?}; {}",
                    stack.tcp_failure(id),
                    self.progress()
                );
                self.may_read |= ready.intersects(Readiness::READABLE | Readiness::CLOSED);
                self.may_write |= ready.intersects(Readiness::WRITABLE | Readiness::CONNECTED);
            }
            // Told before it was accepted: `accept` tries everything.
            SocketId::Tcp(_) => {}
            other => panic!("an event for {other:?}"),
        }
    }

    fn accept(&mut self, now: Instant, stack: &mut Stack) {
        let listener = self.listener.expect("it listens");
        match stack.tcp_accept(now, listener) {
            Ok(id) => {
                assert!(self.id.is_none(), "a second connection");
                self.id = Some(id);
                self.may_read = true;
                self.may_write = true;
                stack.tcp_listener_close(now, listener);
                self.acceptable = false;
            }
            Err(AcceptError::WouldBlock) => self.acceptable = false,
            Err(error) => panic!("{error}"),
        }
    }

    fn write(&mut self, now: Instant, stack: &mut Stack, id: TcpId) -> bool {
        if self.shut || !self.may_write {
            return false;
        }
        if self.written == self.to_send {
            stack.tcp_shutdown(now, id, Shutdown::Write).unwrap();
            self.shut = true;
            return true;
        }
        let sizes = [1, 10, 600, 1460, 5000, 70_000];
        let most = sizes[self.rng.below(sizes.len() as u64) as usize];
        let len = (1 + self.rng.below(most)).min(self.to_send - self.written);
        let data: Vec<u8> = (self.written..self.written + len)
            .map(|at| pattern(self.who, at))
            .collect();
        let wrote = if self.rng.chance(50) {
            stack.tcp_write(now, id, &data)
        } else {
            stack.tcp_write_chunk(now, id, &mut Bytes::from(data))
        };
        match wrote {
            Ok(n) => {
                assert!(n > 0, "a write of something takes something");
                self.written += n as u64;
                true
            }
            Err(WriteError::WouldBlock) => {
                self.may_write = false;
                false
            }
            Err(error) => panic!("{error}; {}", self.progress()),
        }
    }

    fn read(&mut self, now: Instant, stack: &mut Stack, id: TcpId) -> bool {
        if self.end_seen || !self.may_read {
            return false;
        }
        let max = 1 + self.rng.below(20_000) as usize;
        match stack.tcp_read_chunk(now, id, max) {
            Ok(chunk) if chunk.is_empty() => {
                self.end_seen = true;
                true
            }
            Ok(chunk) => {
                for &byte in &chunk {
                    let expected = pattern(1 - self.who, self.read);
                    assert_eq!(byte, expected, "byte {} of the stream", self.read);
                    self.read += 1;
                }
                assert!(self.read <= self.expected, "more than was written");
                true
            }
            Err(ReadError::WouldBlock) => {
                self.may_read = false;
                false
            }
            Err(error) => panic!("{error}; {}", self.progress()),
        }
    }
}
