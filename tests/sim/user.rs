//! One end's user of one connection: writes and reads at random, and acts on events only.
//!
//! *Owns* what it wrote and read, and the check of each byte. *Does not* judge how a connection may
//! end: `oracle` does.

use core::time::Duration;
use std::net::Shutdown;

use netloom::bytes::Bytes;
use netloom::sim::Cx;
use netloom::stack::TcpId;
use netloom::tcp::{ReadError, TcpFailure, WriteError};
use netloom::{Instant, Readiness};

use super::draw;
use super::rng::Rng;
use super::scenario::{Ending, Tcp, User};

/// The byte at `offset` of the stream that end `from` sends in conversation `talk`.
fn pattern(talk: usize, from: usize, offset: u64) -> u8 {
    let label = ((talk as u64) << 41) | ((from as u64) << 40);
    let x = (offset ^ label).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x >> 56) as u8
}

/// How a user came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Wrote all, read to the end.
    Finished,
    /// Closed before that, as it meant to.
    Closed,
    Aborted,
    Failed(TcpFailure),
    /// Waited for a peer that had gone, in vain.
    GaveUp,
}

pub(crate) struct Actor {
    talk: usize,
    end: usize,
    plan: User,
    rng: Rng,
    pub(crate) id: Option<TcpId>,
    pub(crate) written: u64,
    pub(crate) read: u64,
    /// The end of the stream came.
    pub(crate) end_seen: bool,
    /// It asked for a FIN.
    pub(crate) shut: bool,
    stopped_reading: bool,
    /// It was told of a failure, or may have been.
    failed: bool,
    pub(crate) outcome: Option<Outcome>,
    may_read: bool,
    may_write: bool,
    /// A pause in its work.
    pub(crate) rests_until: Instant,
    /// The oracle's lie: another byte is expected here.
    lie: Option<u64>,
}

impl Actor {
    pub(crate) fn new(talk: usize, end: usize, plan: User, seed: u64, lie: Option<u64>) -> Self {
        Self {
            talk,
            end,
            plan,
            rng: Rng::part(seed, 100 + 2 * talk as u64 + end as u64),
            id: None,
            written: 0,
            read: 0,
            end_seen: false,
            shut: false,
            stopped_reading: false,
            failed: false,
            outcome: None,
            may_read: false,
            may_write: false,
            rests_until: Instant::ZERO,
            lie,
        }
    }

    /// It has a connection: opened by itself, or accepted.
    pub(crate) fn start(&mut self, id: TcpId, accepted: bool) {
        assert!(
            self.id.is_none(),
            "a second connection; {}",
            self.progress()
        );
        self.id = Some(id);
        // What was told before it was accepted went unheard: it tries everything. Writing before the connection is
        // established queues.
        self.failed = accepted;
        self.may_read = accepted;
        self.may_write = accepted || self.rng.chance(50);
    }

    /// Does its end of the stream mean nothing?
    pub(crate) fn has_stopped_reading(&self) -> bool {
        self.stopped_reading
    }

    pub(crate) fn is_done(&self) -> bool {
        self.outcome.is_some()
    }

    pub(crate) fn on_event(&mut self, ready: Readiness) {
        use Readiness as R;
        self.failed |= ready.contains(R::FAILED);
        self.may_read |= ready.intersects(R::READABLE | R::CLOSED | R::FAILED);
        self.may_write |= ready.intersects(R::WRITABLE | R::CONNECTED | R::FAILED);
    }

    pub(crate) fn progress(&self) -> String {
        format!(
            "conversation {} end {}: wrote {} of {}, read {}, end seen {}, shut {}, {:?}, \
             may read {}, may write {}, {:?}",
            self.talk,
            self.end,
            self.written,
            self.plan.to_send,
            self.read,
            self.end_seen,
            self.shut,
            self.outcome,
            self.may_read,
            self.may_write,
            self.plan.ending,
        )
    }

    /// Works until it would block, or for a while; returns whether it did anything.
    pub(crate) fn step(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(id) = self.id else { return false };
        if self.is_done() || cx.now() < self.rests_until {
            return false;
        }
        let retunes = self.plan.retunes && self.rng.chance(2);
        if retunes {
            self.retune(cx, id);
        }
        let mut worked = self.end_early(cx, id) || retunes;
        for _ in 0..1 + self.rng.below(4) {
            if self.is_done() {
                return true;
            }
            worked |= self.write(cx, id);
            worked |= self.read(cx, id);
        }
        if self.is_done() {
            return true;
        }
        self.check(cx, id);
        if self.shut && self.end_seen {
            cx.tcp_close(id);
            self.outcome = Some(Outcome::Finished);
            return true;
        }
        if worked && self.plan.rests > 0 && self.rng.chance(20) {
            let micros = self.rng.below(self.plan.rests);
            self.rests_until = cx.now() + Duration::from_micros(micros);
        }
        worked
    }

    /// Ends otherwise than by both FINs, when it is time.
    fn end_early(&mut self, cx: &mut Cx<'_>, id: TcpId) -> bool {
        let moved = self.written + self.read;
        match self.plan.ending {
            Ending::Abort(at) if moved >= at => {
                cx.tcp_abort(id);
                self.outcome = Some(Outcome::Aborted);
            }
            Ending::Drop(at) if moved >= at => self.close(cx, id),
            Ending::CloseAfterWriting if self.written == self.plan.to_send => {
                self.close(cx, id);
            }
            Ending::StopReading(at) if moved >= at && !self.stopped_reading => {
                match cx.tcp_shutdown(id, Shutdown::Read) {
                    Ok(()) => {}
                    Err(WriteError::Failed(failure)) => self.fail(cx, id, failure),
                    Err(error) => panic!("{error}; {}", self.progress()),
                }
                self.stopped_reading = true;
                self.end_seen = true;
            }
            _ => return false,
        }
        true
    }

    fn close(&mut self, cx: &mut Cx<'_>, id: TcpId) {
        cx.tcp_close(id);
        self.shut = true;
        self.outcome = Some(Outcome::Closed);
    }

    fn fail(&mut self, cx: &mut Cx<'_>, id: TcpId, failure: TcpFailure) {
        assert_eq!(
            cx.stack().tcp_failure(id),
            Ok(Some(failure)),
            "each call says the same"
        );
        cx.tcp_close(id);
        self.outcome = Some(Outcome::Failed(failure));
    }

    /// Its peer is gone and nothing will ever come.
    pub(crate) fn give_up(&mut self, cx: &mut Cx<'_>) {
        if let Some(id) = self.id {
            cx.tcp_abort(id);
        }
        self.outcome = Some(Outcome::GaveUp);
    }

    fn retune(&mut self, cx: &mut Cx<'_>, id: TcpId) {
        let drawn = draw::tcp(&mut self.rng);
        let tcp = Tcp {
            send_buffer: drawn.send_buffer.max(5000),
            recv_max: drawn.recv_max.max(5000),
            user_timeout: None,
            linger: None,
            impatient: false,
            ..drawn
        };
        cx.tcp_set_options(id, tcp.options())
            .expect("the id is live");
    }

    /// The sums of what the stack says of a connection that lives.
    fn check(&self, cx: &Cx<'_>, id: TcpId) {
        let info = cx.tcp_info(id).expect("the id is live");
        if info.failure.is_some() {
            return;
        }
        let sent = info.bytes_acked + u64::from(info.unacked) + u64::from(info.unsent);
        // A SYN or a FIN that is not acknowledged takes a number.
        let controls = sent.wrapping_sub(self.written);
        assert!(
            controls <= 1,
            "{sent} octets are accounted for, {info:?}; {}",
            self.progress()
        );
        assert!(info.in_flight + info.lost <= info.unacked && info.sacked <= info.unacked);
        if !self.stopped_reading {
            let received = self.read + u64::from(info.unread);
            assert_eq!(info.bytes_received, received, "{}", self.progress());
        }
    }

    fn write(&mut self, cx: &mut Cx<'_>, id: TcpId) -> bool {
        if self.shut || !self.may_write {
            return false;
        }
        let wrote = if self.written == self.plan.to_send {
            cx.tcp_shutdown(id, Shutdown::Write).map(|()| 0)
        } else {
            let len = 1 + self.rng.below(self.plan.write);
            let len = len.min(self.plan.to_send - self.written);
            let data: Vec<u8> = (self.written..self.written + len)
                .map(|at| pattern(self.talk, self.end, at))
                .collect();
            if self.rng.chance(50) {
                cx.tcp_write(id, &data)
            } else {
                cx.tcp_write_chunk(id, &mut Bytes::from(data))
            }
        };
        match wrote {
            Ok(0) => {
                assert_eq!(self.written, self.plan.to_send, "a write of nothing");
                self.shut = true;
                true
            }
            Ok(n) => {
                self.written += n as u64;
                true
            }
            Err(WriteError::WouldBlock) => {
                self.may_write = false;
                false
            }
            Err(WriteError::Failed(_)) => {
                // What came before can still be read; then the reader is told.
                assert!(
                    self.failed,
                    "a failure that no event told; {}",
                    self.progress()
                );
                self.shut = true;
                self.may_read = true;
                if self.end_seen {
                    self.fail_now(cx, id);
                }
                true
            }
            Err(error) => panic!("{error}; {}", self.progress()),
        }
    }

    fn fail_now(&mut self, cx: &mut Cx<'_>, id: TcpId) {
        let failure = cx.stack().tcp_failure(id).expect("the id is live");
        self.fail(cx, id, failure.expect("it failed"));
    }

    fn read(&mut self, cx: &mut Cx<'_>, id: TcpId) -> bool {
        if self.end_seen || !self.may_read || self.is_done() {
            return false;
        }
        let max = 1 + self.rng.below(self.plan.read) as usize;
        let way = self.rng.below(10);
        if way == 0 {
            let mut ahead = [0; 16];
            if let Ok(n) = cx.tcp_peek(id, &mut ahead) {
                self.compare(&ahead[..n]);
            }
        }
        let chunk = if way < 4 {
            let mut buf = vec![0; max.min(70_000)];
            cx.tcp_read(id, &mut buf).map(|n| {
                buf.truncate(n);
                Bytes::from(buf)
            })
        } else {
            cx.tcp_read_chunk(id, max)
        };
        match chunk {
            Ok(chunk) if chunk.is_empty() => {
                self.end_seen = true;
                true
            }
            Ok(chunk) => {
                self.compare(&chunk);
                self.read += chunk.len() as u64;
                true
            }
            Err(ReadError::WouldBlock) => {
                self.may_read = false;
                false
            }
            Err(ReadError::Failed(failure)) => {
                assert!(
                    self.failed,
                    "a failure that no event told; {}",
                    self.progress()
                );
                self.fail(cx, id, failure);
                true
            }
            Err(error) => panic!("{error}; {}", self.progress()),
        }
    }

    /// What comes next in the stream: is it what the peer wrote?
    fn compare(&self, bytes: &[u8]) {
        for (at, &byte) in (self.read..).zip(bytes) {
            let mut expected = pattern(self.talk, 1 - self.end, at);
            if self.lie == Some(at) {
                expected ^= 1;
            }
            assert_eq!(
                byte, expected,
                "byte {at} of the stream that end {} reads",
                self.end
            );
        }
    }
}
