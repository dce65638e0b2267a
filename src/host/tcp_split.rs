//! A [`TcpStream`] in two: [`ReadHalf`], [`WriteHalf`].
//!
//! *Owns* the two handles. *Does not* lock or wait: the stream does.

use std::io;
use std::net::Shutdown;
use std::ops::Deref;

use super::tcp::TcpStream;

/// The half of a connection that is read. It has all that a [`TcpStream`] can.
#[derive(Debug)]
pub struct ReadHalf {
    stream: TcpStream,
}

/// The half of a connection that is written. It has all that a [`TcpStream`] can; when it is dropped, a FIN follows what was written.
#[derive(Debug)]
pub struct WriteHalf {
    stream: TcpStream,
}

impl TcpStream {
    /// Parts the two directions, for two tasks or threads. The connection is closed when both halves are gone.
    ///
    /// # Errors
    /// None today; as in [`try_clone`](Self::try_clone).
    pub fn into_split(self) -> io::Result<(ReadHalf, WriteHalf)> {
        let stream = self.try_clone()?;
        Ok((ReadHalf { stream }, WriteHalf { stream: self }))
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        // One that is over needs none.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

impl Deref for ReadHalf {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl Deref for WriteHalf {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}
