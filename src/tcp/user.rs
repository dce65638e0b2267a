//! What a user asks of a connection (RFC 9293 §3.10.1 to §3.10.6), and how it ends.
//!
//! *Owns* the calls and the events that tell of them. *Does not* send: `plan` does.

use core::time::Duration;
use std::net::Shutdown;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::Instant;

use super::connection::{Connection, Signals};
use super::error::{ReadError, TcpFailure, WriteError};
use super::reset::{Reset, Stamp};
use super::send::Fin;
use super::settings::TcpOptions;
use super::state::{Event, State};
use super::timers::Timer;

impl Connection {
    /// Bytes that the send buffer still takes.
    pub(crate) fn send_room(&self) -> usize {
        self.send_buffer
            .limit()
            .saturating_sub(self.snd.queue.len())
    }

    /// Checks that `write` may queue something, and arms the event when it may not now.
    fn check_writable(&mut self) -> Result<usize, WriteError> {
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        let open = matches!(
            self.state,
            State::SynSent | State::SynRcvd | State::Established | State::CloseWait
        );
        if !open || self.snd.fin != Fin::Open {
            return Err(WriteError::ShutDown);
        }
        match self.write_room() {
            0 => {
                self.write_armed = true;
                self.short_of_memory = self.send_room() > 0;
                Err(WriteError::WouldBlock)
            }
            room => Ok(room),
        }
    }

    /// Would a write say something now? It arms the event when not.
    pub(crate) fn is_writable(&mut self) -> bool {
        self.check_writable() != Err(WriteError::WouldBlock)
    }

    /// Would a read? The same.
    pub(crate) fn is_readable(&mut self) -> bool {
        self.rcv.unread() > 0 || self.check_readable() != Err(ReadError::WouldBlock)
    }

    /// SEND (RFC 9293 §3.10.2) of a copy of `data`, as much as the buffer takes.
    pub(crate) fn write(&mut self, now: Instant, data: &[u8]) -> Result<usize, WriteError> {
        let room = self.check_writable()?;
        let len = room.min(data.len());
        self.look_for_app_limit();
        self.note_pending(now);
        self.snd.queue.copy(&data[..len]);
        self.arm_timers(now);
        Ok(len)
    }

    /// SEND without a copy: takes a prefix off `chunk`.
    pub(crate) fn write_chunk(
        &mut self,
        now: Instant,
        chunk: &mut Bytes,
    ) -> Result<usize, WriteError> {
        let room = self.check_writable()?;
        let len = room.min(chunk.len());
        self.look_for_app_limit();
        self.note_pending(now);
        self.snd.queue.push(chunk.split_to(len));
        self.arm_timers(now);
        Ok(len)
    }

    /// RECEIVE (RFC 9293 §3.10.3); an empty slice is the end of the stream.
    pub(crate) fn read_chunk(&mut self, max: usize) -> Result<Bytes, ReadError> {
        if max == 0 {
            return Ok(Bytes::new());
        }
        if let Some(slice) = self.rcv.read(max) {
            return Ok(slice);
        }
        self.check_readable()?;
        Ok(Bytes::new())
    }

    /// Looks at what would be read.
    pub(crate) fn peek(&mut self, buf: &mut [u8]) -> Result<usize, ReadError> {
        if self.rcv.unread() == 0 && !buf.is_empty() {
            self.check_readable()?;
        }
        Ok(self.rcv.peek(buf))
    }

    /// Nothing is unread: is that the end, a failure, or just not yet?
    fn check_readable(&mut self) -> Result<(), ReadError> {
        if self.rcv.is_finished() || self.rcv.is_shut_down() {
            return Ok(());
        }
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        self.read_armed = true;
        match self.state {
            State::Closed => Err(ReadError::NotConnected),
            _ => Err(ReadError::WouldBlock),
        }
    }

    /// CLOSE of one direction or both (RFC 9293 §3.10.4, §3.6.1).
    pub(crate) fn shutdown(&mut self, now: Instant, how: Shutdown) {
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.rcv.shutdown();
            self.signal_readable();
        }
        if matches!(how, Shutdown::Write | Shutdown::Both) && self.snd.fin == Fin::Open {
            self.note_pending(now);
            self.snd.fin = Fin::Queued;
        }
        self.arm_timers(now);
    }

    /// CLOSE for good: returns the RST to send when the connection ends at once instead
    /// (RFC 9293 §3.6.1 SHLD-3: unread data; SO_LINGER of zero).
    pub(crate) fn close(&mut self, now: Instant) -> Option<Reset> {
        self.orphan = true;
        let unread = self.rcv.unread() > 0;
        let hard = self.setup.options.linger == Some(Duration::ZERO);
        if self.state == State::SynSent || unread || hard {
            return self.abort();
        }
        self.shutdown(now, Shutdown::Write);
        None
    }

    /// ABORT (RFC 9293 §3.10.5): ends the connection and returns the RST that the peer is owed.
    pub(crate) fn abort(&mut self) -> Option<Reset> {
        let reset = self.reset();
        self.fail(TcpFailure::Aborted, Event::Abort);
        reset
    }

    /// The RST of an ABORT: in the synchronized states and in SYN-RECEIVED, unless both FINs have
    /// passed.
    pub(crate) fn reset(&self) -> Option<Reset> {
        let owed = matches!(
            self.state,
            State::SynRcvd
                | State::Established
                | State::FinWait1
                | State::FinWait2
                | State::CloseWait
                | State::Closing
                | State::LastAck
        );
        owed.then(|| self.reset_now())
    }

    /// A RST that the peer takes wherever it is within its window (RFC 5961 §3.2).
    pub(crate) fn reset_now(&self) -> Reset {
        Reset {
            seq: self.snd.acceptable(),
            ack: Some(self.rcv.nxt),
            stamp: self.stamp(),
        }
    }

    /// What a RST's timestamps are made of.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        self.rcv.ts_recent().map(|recent| Stamp {
            offset: self.setup.ts_offset,
            recent,
        })
    }

    /// Ends the connection: the user's calls say why from now on.
    pub(crate) fn fail(&mut self, failure: TcpFailure, event: Event) {
        self.transit(event);
        self.state = State::Closed;
        self.failure = Some(failure);
        self.timers.stop_all();
        self.signals |= Signals::FAILED | Signals::CLOSED | Signals::READABLE | Signals::WRITABLE;
    }

    /// Its local address was taken away: it ends without a RST, which would leave from there.
    pub(crate) fn lose_address(&mut self) {
        self.fail(TcpFailure::AddressGone, Event::Abort);
    }

    /// An attempt to connect ends without an answer from the peer's TCP.
    pub(crate) fn refuse_opening(&mut self, failure: TcpFailure) {
        self.fail(failure, Event::GaveUp);
    }

    /// Is an ACK due with the next turn?
    pub(crate) fn owes_ack(&self) -> bool {
        let options = &self.setup.options;
        let quick = options.quick_acks > 0 && self.quick.is_due();
        self.rcv.wants_ack(options.delayed_ack && !quick)
    }

    /// Is an ACK owed at all, now or later? It is taken over by the caller.
    pub(crate) fn take_owed_ack(&mut self) -> bool {
        self.rcv.take_owed_ack()
    }

    /// Both FINs have passed and been acknowledged.
    pub(crate) fn finish(&mut self) {
        self.timers.stop_all();
        self.signals |= Signals::CLOSED;
    }

    /// Changes the settings of a live connection.
    pub(crate) fn set_options(&mut self, now: Instant, options: TcpOptions) {
        // What a SYN says: it may be on its way, and what it offered is what the answer agrees to.
        let said = &self.setup.options;
        let options = TcpOptions {
            mss: said.mss,
            timestamps: said.timestamps,
            sack: said.sack,
            window_scaling: said.window_scaling,
            window_scale: said.window_scale,
            ..options
        };
        self.rtt.set_min_rto(options.min_rto);
        if options.recv_buffer_max != self.setup.options.recv_buffer_max {
            self.rcv.set_limit_max(options.recv_buffer_max);
        }
        if options.keepalive != self.setup.options.keepalive {
            self.keepalive_probes = 0;
            self.timers.stop(Timer::KeepAlive);
        }
        if options.user_timeout != self.setup.options.user_timeout {
            self.timers.stop(Timer::UserTimeout);
        }
        let before = core::mem::replace(&mut self.setup.options, Arc::new(options));
        if self.send_buffer.set(&self.setup.options) && self.state.sends_text() {
            self.signal_writable();
        }
        if before.congestion != self.setup.options.congestion {
            let choice = self.setup.options.congestion.clone();
            self.change_congestion(now, &choice);
        }
        self.arm_timers(now);
    }

    pub(crate) fn signal_readable(&mut self) {
        if self.read_armed {
            self.read_armed = false;
            self.signals |= Signals::READABLE;
        }
    }

    /// Tells a writer that waits, once there is room that is worth it.
    pub(crate) fn signal_writable(&mut self) {
        if !self.write_armed {
            return;
        }
        if self.has_write_room() {
            self.write_armed = false;
            self.signals |= Signals::WRITABLE;
        } else if self.send_room() >= (self.send_buffer.limit() / 3).max(1) {
            // The buffer has it, the budget has not: no ACK tells when that changes.
            self.short_of_memory = true;
        }
    }

    /// Something new is about to wait for the peer: the user time-out counts from here.
    pub(super) fn note_pending(&mut self, now: Instant) {
        if !self.snd.is_pending() {
            self.last_progress = now;
        }
    }
}
