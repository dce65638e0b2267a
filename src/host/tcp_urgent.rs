//! Urgent data on a [`TcpStream`] (RFC 9293 §3.8.5, RFC 6093).
//!
//! *Owns* nothing. *Does not* take it out of the stream: it is read in line, as with Linux's `SO_OOBINLINE`.

use std::io;

use super::tcp::{TcpStream, WRITE_PIECE};

impl TcpStream {
    /// Queues bytes to be sent, and tells the peer ahead of all that was written before that they are urgent, up
    /// to the last one that was taken (`MSG_OOB`, of any length); returns how many were taken. RFC 6093 §5 asks new
    /// applications not to use it.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn send_urgent(&self, buf: &[u8]) -> io::Result<usize> {
        let piece = &buf[..buf.len().min(WRITE_PIECE)];
        self.write_with(|stack, now, id| stack.tcp_write_urgent(now, id, piece))
    }

    /// How many bytes from the next read on end the peer's urgent data, its last byte included; 0 when there is
    /// none. They need not have come yet. What BSD's `sockatmark` tells is whether this is 1: a read that is to stop
    /// there asks for no more than one byte less.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more, or the host was shut down.
    pub fn urgent(&self) -> io::Result<usize> {
        let urgent = self.info()?.urgent;
        Ok(usize::try_from(urgent).unwrap_or(usize::MAX))
    }

    /// Waits until the peer tells of urgent data, as `poll` with `POLLPRI` does, and as long as a read would; how much,
    /// as [`urgent`](Self::urgent) has it, or 0 when none can come any more. Another thread may read meanwhile.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv).
    pub fn wait_urgent(&self) -> io::Result<usize> {
        self.read_with(|stack, _, id| stack.tcp_urgent(id))
    }
}
