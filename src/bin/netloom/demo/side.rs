//! One end of the demo's link: a netloom host or the kernel, behind the same calls.

use std::io::{self, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::time::Duration;

use netloom::bytes::Bytes;
use netloom::host::{Host, TcpListener, TcpStream};

/// What no measurement waits longer for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The most that one read takes.
pub(crate) const READ_MAX: usize = 1 << 20;

/// An end of the link.
pub(crate) trait Side: Sync {
    fn name(&self) -> &'static str;
    fn listen(&self, on: SocketAddr) -> io::Result<Box<dyn Listen + '_>>;
    fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Stream + '_>>;
    /// The round trip of one echo request.
    fn ping(&self, to: IpAddr) -> io::Result<Duration>;
}

/// A listener.
pub(crate) trait Listen: Send {
    fn accept(&self) -> io::Result<Box<dyn Stream + '_>>;
}

/// A connection.
pub(crate) trait Stream: Send {
    /// Sends all of `block`.
    fn send(&mut self, block: &Bytes) -> io::Result<()>;
    /// Receives something; 0 is the end.
    fn receive(&mut self) -> io::Result<usize>;
    fn finish(&mut self) -> io::Result<()>;
    fn set_nodelay(&mut self) -> io::Result<()>;
    /// Ends the connection with a RST.
    fn reset(self: Box<Self>) -> io::Result<()>;
}

impl Side for Host {
    fn name(&self) -> &'static str {
        "netloom"
    }

    fn listen(&self, on: SocketAddr) -> io::Result<Box<dyn Listen + '_>> {
        Ok(Box::new(self.tcp_listen(on)?))
    }

    fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Stream + '_>> {
        let stream = self.tcp_connect_timeout(to, PATIENCE)?;
        prepare(&stream)?;
        Ok(Box::new(stream))
    }

    fn ping(&self, to: IpAddr) -> io::Result<Duration> {
        let pong = Self::ping(self, to, PATIENCE)?;
        pong.rtt
            .ok_or_else(|| io::Error::other(format!("no echo: {}", pong.reply.outcome)))
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

impl Listen for TcpListener {
    fn accept(&self) -> io::Result<Box<dyn Stream + '_>> {
        let stream = self
            .receiver()
            .recv_timeout(PATIENCE)
            .map_err(|error| io::Error::new(io::ErrorKind::TimedOut, error))?;
        prepare(&stream)?;
        Ok(Box::new(stream))
    }
}

impl Stream for TcpStream {
    fn send(&mut self, block: &Bytes) -> io::Result<()> {
        if block.len() < 1024 {
            self.write_all(block)
        } else {
            self.write_all_chunk(block.clone())
        }
    }

    fn receive(&mut self) -> io::Result<usize> {
        Ok(self.read_chunk(READ_MAX)?.len())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        Self::set_nodelay(self, true)
    }

    fn reset(self: Box<Self>) -> io::Result<()> {
        self.abort()
    }
}
