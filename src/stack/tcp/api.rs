//! What a user asks of a connection (RFC 9293 §3.10.2 to §3.10.6).

use core::net::SocketAddr;
use std::net::Shutdown;

use bytes::{Buf, Bytes};

use super::Owner;
use crate::base::Instant;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::{Id, StaleId, TcpId};
use crate::stack::tuple::Tuple;
use crate::stack::{Call, MOST_AT_ONCE, Stack};
use crate::tcp::{Connection, ReadError, State, TcpFailure, TcpInfo, WriteError};

impl Stack {
    /// Writes a copy of as much of `data` as the send buffer takes, 64 MiB at most; returns how many bytes.
    ///
    /// # Errors
    /// [`WriteError::WouldBlock`] arms the WRITABLE event again.
    pub fn tcp_write(&mut self, now: Instant, id: TcpId, data: &[u8]) -> Result<usize, WriteError> {
        let data = &data[..data.len().min(MOST_AT_ONCE)];
        let room = self.room_to_note(id);
        self.note_call(Some(now), |keep| {
            Call::TcpWrite(id, keep.slice(&data[..room.min(data.len())]))
        });
        let now = self.net.clamp(now);
        let written = self.write_with(now, id, |connection| connection.write(now, data));
        self.note_outcome(written)
    }

    /// Writes a prefix of `chunk` without a copy, 64 MiB at most, and takes it off; returns how many bytes.
    ///
    /// Below 1024 bytes it is copied all the same: a small slice would pin its whole buffer.
    ///
    /// # Errors
    /// [`WriteError::WouldBlock`] arms the WRITABLE event again.
    pub fn tcp_write_chunk(
        &mut self,
        now: Instant,
        id: TcpId,
        chunk: &mut Bytes,
    ) -> Result<usize, WriteError> {
        if chunk.len() > MOST_AT_ONCE {
            let mut first = chunk.slice(..MOST_AT_ONCE);
            let written = self.tcp_write_chunk(now, id, &mut first);
            chunk.advance(MOST_AT_ONCE - first.len());
            return written;
        }
        let room = self.room_to_note(id);
        self.note_call(Some(now), |keep| {
            Call::TcpWriteChunk(id, keep.chunk(&chunk.slice(..room.min(chunk.len()))))
        });
        let now = self.net.clamp(now);
        let written = self.write_with(now, id, |connection| connection.write_chunk(now, chunk));
        self.note_outcome(written)
    }

    /// The same of what is urgent: the peer is told at once, ahead of all that is written before it, how far it is to
    /// read (RFC 9293 §3.8.5); the bytes stay in line (RFC 6093 §3.1). What was taken ends there, until more urgent
    /// data is written. RFC 6093 §5 asks new applications not to use it: boxes on the way clear the flag.
    ///
    /// # Errors
    /// Those of [`tcp_write`](Self::tcp_write).
    pub fn tcp_write_urgent(
        &mut self,
        now: Instant,
        id: TcpId,
        data: &[u8],
    ) -> Result<usize, WriteError> {
        let data = &data[..data.len().min(MOST_AT_ONCE)];
        let room = self.room_to_note(id);
        self.note_call(Some(now), |keep| {
            Call::TcpWriteUrgent(id, keep.slice(&data[..room.min(data.len())]))
        });
        let now = self.net.clamp(now);
        let written = self.write_with(now, id, |connection| connection.write_urgent(now, data));
        self.note_outcome(written)
    }

    /// How many bytes, from the next that is read on, end the urgent data that the peer told of, its last byte
    /// included (RFC 9293 §3.8.5 MUST-33); 0 when none is left and none can come any more. They need not have come: the
    /// peer tells of it ahead. What BSD's `sockatmark` says is whether this is 1. [`TcpInfo::urgent`] says the same and
    /// arms nothing.
    ///
    /// # Errors
    /// [`ReadError::WouldBlock`] while there is none: URGENT tells when it begins, and READABLE, which is armed again,
    /// of the end of the stream.
    pub fn tcp_urgent(&mut self, id: TcpId) -> Result<usize, ReadError> {
        self.note_call(None, |_| Call::TcpUrgent(id));
        let urgent = self.look_for_urgent(id);
        self.note_outcome(urgent)
    }

    fn look_for_urgent(&mut self, id: TcpId) -> Result<usize, ReadError> {
        let (slot, around) = self.live_tcp(id).map_err(|StaleId| ReadError::Stale)?;
        let urgent = slot.connection.urgent();
        if urgent == Err(ReadError::WouldBlock) {
            around.events.rearm(SocketId::Tcp(id), Readiness::READABLE);
        }
        urgent
    }

    /// How much of what is to be written a journal needs: no more can be taken, and of a writer that tries
    /// again and again with all that it has, all would be noted each time.
    fn room_to_note(&self, id: TcpId) -> usize {
        if self.is_noted() {
            self.tcp_room(id)
        } else {
            usize::MAX
        }
    }

    /// No more than this is taken of a write now; at least 1, for who writes nothing is told nothing.
    pub(crate) fn tcp_room(&self, id: TcpId) -> usize {
        let slot = self.tcp.slots.get(id);
        slot.map_or(1, |slot| {
            let connection = &slot.connection;
            connection.write_room().max(connection.send_room()).max(1)
        })
    }

    fn write_with(
        &mut self,
        now: Instant,
        id: TcpId,
        write: impl FnOnce(&mut Connection) -> Result<usize, WriteError>,
    ) -> Result<usize, WriteError> {
        let (slot, mut around) = self.live_tcp(id).map_err(|StaleId| WriteError::Stale)?;
        let before = slot.connection.held_written();
        let written = write(&mut slot.connection);
        match written {
            Ok(_) => {
                let after = slot.connection.held_written();
                let counters = &mut around.net.counters;
                slot.charge_change([before, after], around.memory, counters);
                let rest = slot.follow_charged(id, &mut around);
                self.finish(now, id, &rest);
            }
            Err(WriteError::WouldBlock) => {
                around.events.rearm(SocketId::Tcp(id), Readiness::WRITABLE);
                if slot.refuse_writer(&mut around) {
                    self.wait_for_memory(id);
                }
            }
            Err(_) => {}
        }
        written
    }

    /// What of READABLE and WRITABLE is so, as far as `interest` asks; `None` of a connection that is gone.
    pub(in crate::stack) fn tcp_ready(
        &mut self,
        id: TcpId,
        interest: Readiness,
    ) -> Option<Readiness> {
        let (slot, mut around) = self.live_tcp(id).ok()?;
        let mut ready = Readiness::empty();
        if interest.contains(Readiness::READABLE) {
            ready.set(Readiness::READABLE, slot.connection.is_readable());
        }
        if interest.contains(Readiness::WRITABLE) {
            let writable = slot.connection.is_writable();
            ready.set(Readiness::WRITABLE, writable);
            if !writable && slot.refuse_writer(&mut around) {
                self.wait_for_memory(id);
            }
        }
        Some(ready)
    }

    /// Copies received bytes into `buf`, 64 MiB at most; `Ok(0)` is the end of the stream (or an empty `buf`).
    ///
    /// # Errors
    /// [`ReadError::WouldBlock`] arms the READABLE event again.
    pub fn tcp_read(
        &mut self,
        now: Instant,
        id: TcpId,
        buf: &mut [u8],
    ) -> Result<usize, ReadError> {
        let len = buf.len().min(MOST_AT_ONCE);
        let buf = &mut buf[..len];
        self.note_call(Some(now), |_| Call::TcpRead(id, len));
        let read = self.read_into(now, id, buf);
        let _ = self.note_outcome(read.as_ref().map(|&read| &buf[..read]));
        read
    }

    fn read_into(&mut self, now: Instant, id: TcpId, buf: &mut [u8]) -> Result<usize, ReadError> {
        let mut done = 0;
        while done < buf.len() {
            let chunk = match self.take_chunk(now, id, buf.len() - done) {
                Ok(chunk) if chunk.is_empty() => break,
                Ok(chunk) => chunk,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            buf[done..done + chunk.len()].copy_from_slice(&chunk);
            done += chunk.len();
        }
        Ok(done)
    }

    /// Takes at most `max` received bytes without a copy; an empty slice is the end of the stream.
    ///
    /// # Errors
    /// [`ReadError::WouldBlock`] arms the READABLE event again.
    pub fn tcp_read_chunk(
        &mut self,
        now: Instant,
        id: TcpId,
        max: usize,
    ) -> Result<Bytes, ReadError> {
        self.note_call(Some(now), |_| Call::TcpReadChunk(id, max));
        let chunk = self.take_chunk(now, id, max);
        self.note_outcome(chunk)
    }

    #[inline]
    fn take_chunk(&mut self, now: Instant, id: TcpId, max: usize) -> Result<Bytes, ReadError> {
        self.net.clamp(now);
        let (slot, around) = self.live_tcp(id).map_err(|StaleId| ReadError::Stale)?;
        let before = slot.connection.held_unread();
        let read = slot.connection.read_chunk(max);
        match read {
            // Nothing was taken: what it holds is as it was.
            Err(ReadError::WouldBlock) => {
                around.events.rearm(SocketId::Tcp(id), Readiness::READABLE);
            }
            _ => {
                let after = slot.connection.held_unread();
                let counters = &mut around.net.counters;
                slot.charge_change([before, after], around.memory, counters);
                if slot.connection.owes_ack() {
                    around.net.wake_tcp(slot.path.on, id);
                }
            }
        }
        read
    }

    /// Copies what would be read, 64 MiB at most, without taking it.
    ///
    /// # Errors
    /// As [`tcp_read`](Self::tcp_read).
    pub fn tcp_peek(&mut self, id: TcpId, buf: &mut [u8]) -> Result<usize, ReadError> {
        let len = buf.len().min(MOST_AT_ONCE);
        let buf = &mut buf[..len];
        self.note_call(None, |_| Call::TcpPeek(id, len));
        let peeked = self.look_at(id, buf);
        let _ = self.note_outcome(peeked.as_ref().map(|&peeked| &buf[..peeked]));
        peeked
    }

    fn look_at(&mut self, id: TcpId, buf: &mut [u8]) -> Result<usize, ReadError> {
        let (slot, around) = self.live_tcp(id).map_err(|StaleId| ReadError::Stale)?;
        let peeked = slot.connection.peek(buf);
        if peeked == Err(ReadError::WouldBlock) {
            around.events.rearm(SocketId::Tcp(id), Readiness::READABLE);
        }
        peeked
    }

    /// Ends one direction or both: a FIN after what is queued, or no more reading.
    ///
    /// # Errors
    /// The failure of a connection that has ended, or [`WriteError::Stale`].
    pub fn tcp_shutdown(
        &mut self,
        now: Instant,
        id: TcpId,
        how: Shutdown,
    ) -> Result<(), WriteError> {
        self.note_call(Some(now), |_| Call::TcpShutdown(id, how));
        let now = self.net.clamp(now);
        let shut = self.shut_down(now, id, how);
        self.note_outcome(shut)
    }

    fn shut_down(&mut self, now: Instant, id: TcpId, how: Shutdown) -> Result<(), WriteError> {
        let (slot, mut around) = self.live_tcp(id).map_err(|StaleId| WriteError::Stale)?;
        if let Some(failure) = slot.connection.failure {
            return Err(failure.into());
        }
        slot.connection.shutdown(now, how);
        let rest = slot.follow(id, &mut around);
        self.finish(now, id, &rest);
        Ok(())
    }

    /// Gives the id up; the stack sends what is queued and ends the connection by itself.
    ///
    /// Unread data, or a linger time of zero, make it a reset (RFC 9293 §3.6.1 SHLD-3); so do as many
    /// connections on their way out as [`Config::orphan_limit`](crate::Config::orphan_limit) allows.
    pub fn tcp_close(&mut self, now: Instant, id: TcpId) {
        self.note_call(Some(now), |_| Call::TcpClose(id));
        let now = self.net.clamp(now);
        self.close_tcp(now, id);
        self.note_outcome(());
    }

    fn close_tcp(&mut self, now: Instant, id: TcpId) {
        let full = self.tcp.orphans >= self.config.orphan_limit;
        let Ok((slot, _)) = self.live_tcp(id) else {
            return;
        };
        // In FIN-WAIT-2 it becomes a record at once, and no orphan.
        if full && slot.connection.state != State::FinWait2 {
            return self.abort_tcp(now, id);
        }
        let reset = slot.connection.close(now);
        self.end_of_user(now, id, reset);
    }

    /// Resets the connection and gives the id up (RFC 9293 §3.10.5).
    pub fn tcp_abort(&mut self, now: Instant, id: TcpId) {
        self.note_call(Some(now), |_| Call::TcpAbort(id));
        let now = self.net.clamp(now);
        self.abort_tcp(now, id);
        self.note_outcome(());
    }

    pub(super) fn abort_tcp(&mut self, now: Instant, id: TcpId) {
        let Ok((slot, _)) = self.live_tcp(id) else {
            return;
        };
        slot.connection.orphan = true;
        let reset = slot.connection.abort();
        self.end_of_user(now, id, reset);
    }

    fn end_of_user(&mut self, now: Instant, id: TcpId, reset: Option<crate::tcp::Reset>) {
        self.events.forget(SocketId::Tcp(id));
        self.tcp.orphans += 1;
        self.owe_reset(id, reset);
        self.after_tcp(now, id);
    }

    /// Resets everything (RFC 9293 §3.10.5): connections, those given up by their users too, and
    /// half-open ones. Listeners go on. The ids of connections that users held are given up, but of those that were over
    /// already: no RST concerns them, and what was acknowledged of them is still read.
    pub fn tcp_abort_all(&mut self, now: Instant) {
        self.note_call(Some(now), |_| Call::TcpAbortAll);
        let now = self.net.clamp(now);
        let mut all = Vec::new();
        for listener in self.tcp.listeners.iter_mut() {
            // Nobody holds the ids of these.
            all.extend(listener.complete.drain(..));
        }
        let others = self.tcp.slots.iter();
        let others = others.filter(|(_, slot)| slot.connection.orphan || slot.reachable);
        all.extend(others.map(|(id, _)| id));
        for id in all {
            let Some(slot) = self.tcp.slots.get_mut(id) else {
                continue;
            };
            let reset = slot.connection.abort();
            if slot.connection.orphan {
                self.owe_reset(id, reset);
                self.after_tcp(now, id);
            } else {
                slot.connection.orphan = true;
                self.end_of_user(now, id, reset);
            }
        }
        self.reset_half_open(usize::MAX, |_| true);
        self.reset_fin_waits();
        self.note_outcome(());
    }

    /// A snapshot of the connection.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn tcp_info(&self, id: TcpId) -> Result<TcpInfo, StaleId> {
        Ok(self.tcp.live(id)?.connection.info())
    }

    /// The connection's state (RFC 9293 §3.3.2).
    ///
    /// # Errors
    /// [`StaleId`] when it was closed: [`tcp_state_between`](Self::tcp_state_between) still finds it.
    pub fn tcp_state(&self, id: TcpId) -> Result<State, StaleId> {
        Ok(self.tcp.live(id)?.connection.state)
    }

    /// The RFC 9293 state of the connection between `local` and `remote`, be it half open, given up by
    /// its user or in TIME-WAIT; `None` when there is none.
    pub fn tcp_state_between(&self, local: SocketAddr, remote: SocketAddr) -> Option<State> {
        let ends = ((local.ip(), local.port()), (remote.ip(), remote.port()));
        let mut interfaces = self.net.interfaces.all();
        interfaces.find_map(|interface| {
            let tuple = Tuple::new(interface.id, ends.0, ends.1);
            Some(match self.tcp.owner(&self.demux.tcp.flows, &tuple)? {
                Owner::Connection(id) => self.tcp.slots.get(id)?.connection.state,
                Owner::HalfOpen(_) => State::SynRcvd,
                Owner::FinWait(_) => State::FinWait2,
                Owner::TimeWait(_) => State::TimeWait,
            })
        })
    }

    /// Names and values of what the connection's congestion control knows, for tests and traces.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn tcp_inspect(
        &self,
        id: TcpId,
        visit: &mut dyn FnMut(&'static str, i128),
    ) -> Result<(), StaleId> {
        self.tcp.live(id)?.connection.congestion.inspect(visit);
        Ok(())
    }

    /// The connection's local endpoint.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn tcp_local_addr(&self, id: TcpId) -> Result<SocketAddr, StaleId> {
        Ok(self.tcp.live(id)?.local())
    }

    /// The connection's remote endpoint.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn tcp_peer_addr(&self, id: TcpId) -> Result<SocketAddr, StaleId> {
        Ok(self.tcp.live(id)?.remote())
    }

    /// Why the connection failed, if it did.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn tcp_failure(&self, id: TcpId) -> Result<Option<TcpFailure>, StaleId> {
        Ok(self.tcp.live(id)?.connection.failure)
    }

    /// The connections that users hold, in the order of their slots.
    pub fn tcp_connections(&self) -> impl Iterator<Item = TcpId> + '_ {
        self.tcp_connections_after(None)
    }

    /// Those that come after `id` in that order, be it stale or not: for whoever looks at them a few at
    /// a time.
    pub fn tcp_connections_after(&self, id: Option<TcpId>) -> impl Iterator<Item = TcpId> + '_ {
        self.tcp
            .slots
            .iter_from(id.map_or(0, |id| id.index() as usize + 1))
            .filter(|(_, slot)| !slot.connection.orphan)
            .map(|(id, _)| id)
    }

    /// Connections, half-open and FIN-WAIT-2 records that still have something to do with a peer, those given
    /// up by their users included; TIME-WAIT records are not.
    pub fn tcp_open_count(&self) -> usize {
        self.tcp.reachable + self.tcp.half_open.len() + self.tcp.fin_wait.len()
    }

    /// RSTs that connections which are gone owe their peers, and that no device took yet.
    pub fn tcp_owed_resets(&self) -> usize {
        self.tcp.farewells.len()
    }

    /// TIME-WAIT records.
    pub fn tcp_time_wait_count(&self) -> usize {
        self.tcp.time_wait.len()
    }
}
