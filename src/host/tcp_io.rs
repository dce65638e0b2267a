//! `std::io`'s traits on a [`TcpStream`]: what generic code reads and writes with.
//!
//! *Owns* nothing. *Does not* wait or lock: the stream's own methods do.

use std::io::{self, IoSlice, Read, Write};

use super::tcp::{TcpStream, WRITE_PIECE};
use crate::base::Instant;
use crate::stack::{Stack, TcpId};
use crate::tcp::WriteError;

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv(buf)
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(|stack, now, id| write_slices(stack, now, id, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv(buf)
    }
}

impl Write for TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Queues a prefix of all slices, of one piece at most; how long it was.
pub(super) fn write_slices(
    stack: &mut Stack,
    now: Instant,
    id: TcpId,
    bufs: &[IoSlice<'_>],
) -> Result<usize, WriteError> {
    let mut taken = 0;
    for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
        let piece = &buf[..buf.len().min(WRITE_PIECE.saturating_sub(taken))];
        match stack.tcp_write(now, id, piece) {
            Ok(len) => taken += len,
            Err(_) if taken > 0 => break,
            Err(error) => return Err(error),
        }
        if piece.len() < buf.len() || taken >= WRITE_PIECE {
            break;
        }
    }
    Ok(taken)
}
