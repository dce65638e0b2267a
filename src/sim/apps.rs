//! Applications that most experiments need: one that sends in bulk, one that takes all it is sent.
//!
//! *Owns* their counts. *Does not* look at what the bytes are.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::Shutdown;

use bytes::Bytes;

use super::app::{App, Wake};
use super::cx::Cx;
use crate::base::Instant;
use crate::stack::{ConnectError, ListenError, ListenOptions, Readiness, SocketId, TcpId};
use crate::tcp::{ReadError, TcpFailure, TcpOptions, WriteError};

/// Bytes that are written at once; the same ones every time, and never copied.
const CHUNK: usize = 64 * 1024;

/// Sends over one connection as fast as the stack takes it: a number of bytes and then a FIN, or
/// without end.
#[derive(Debug)]
pub struct Bulk {
    to: SocketAddr,
    options: TcpOptions,
    bytes: Option<u64>,
    after: Duration,
    chunk: Bytes,
    id: Option<TcpId>,
    written: u64,
    ended: Option<Instant>,
    refused: Option<ConnectError>,
    failure: Option<TcpFailure>,
}

impl Bulk {
    /// Sends to `to` without end, from the start on.
    pub fn new(to: SocketAddr) -> Self {
        Self {
            to,
            options: TcpOptions::default(),
            bytes: None,
            after: Duration::ZERO,
            chunk: Bytes::from(vec![0x5a; CHUNK]),
            id: None,
            written: 0,
            ended: None,
            refused: None,
            failure: None,
        }
    }

    /// The connection's settings.
    #[must_use]
    pub fn options(self, options: TcpOptions) -> Self {
        Self { options, ..self }
    }

    /// Ends after so many bytes.
    #[must_use]
    pub fn bytes(self, bytes: u64) -> Self {
        Self {
            bytes: Some(bytes),
            ..self
        }
    }

    /// Connects when it has run for so long.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// Its connection, once it has one.
    pub const fn id(&self) -> Option<TcpId> {
        self.id
    }

    /// Bytes that the stack has taken.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// When both directions had ended: all was acknowledged, and the peer had closed too.
    pub const fn ended(&self) -> Option<Instant> {
        self.ended
    }

    /// Why it could not connect.
    pub const fn refused(&self) -> Option<&ConnectError> {
        self.refused.as_ref()
    }

    /// How the connection failed, if it did.
    pub const fn failure(&self) -> Option<TcpFailure> {
        self.failure
    }

    fn connect(&mut self, cx: &mut Cx<'_>) {
        match cx.tcp_connect(self.to, self.options.clone()) {
            Ok(id) => {
                self.id = Some(id);
                self.write(cx, id);
            }
            Err(error) => self.refused = Some(error),
        }
    }

    fn write(&mut self, cx: &mut Cx<'_>, id: TcpId) {
        loop {
            let left = self.bytes.map_or(u64::MAX, |all| all - self.written);
            if left == 0 {
                // One that failed says so by an event.
                let _ = cx.tcp_shutdown(id, Shutdown::Write);
                return;
            }
            let len = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let mut chunk = self.chunk.slice(..len);
            match cx.tcp_write_chunk(id, &mut chunk) {
                Ok(written) => self.written += u64::try_from(written).unwrap_or(0),
                Err(WriteError::WouldBlock) => return,
                Err(_) => return self.fail(cx, id),
            }
        }
    }

    fn fail(&mut self, cx: &mut Cx<'_>, id: TcpId) {
        self.failure = cx.stack().tcp_failure(id).ok().flatten();
    }
}

impl App for Bulk {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start if self.after > Duration::ZERO => cx.alarm_in(self.after, 0),
            Wake::Start | Wake::Alarm(_) => self.connect(cx),
            Wake::Event(event) => {
                let Some(id) = self.id else { return };
                if event.ready.contains(Readiness::FAILED) {
                    return self.fail(cx, id);
                }
                if event.ready.contains(Readiness::CLOSED) {
                    self.ended = Some(cx.now());
                    return cx.tcp_close(id);
                }
                if event
                    .ready
                    .intersects(Readiness::WRITABLE | Readiness::CONNECTED)
                {
                    self.write(cx, id);
                }
            }
        }
    }
}

/// Takes all connections to one port, reads all that comes and closes when the peer does.
#[derive(Debug)]
pub struct Sink {
    at: SocketAddr,
    options: ListenOptions,
    bytes: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    accepted: u64,
    ended: u64,
    refused: Option<ListenError>,
}

impl Sink {
    /// Listens at `at`.
    pub fn new(at: SocketAddr) -> Self {
        Self {
            at,
            options: ListenOptions::default(),
            bytes: 0,
            first: None,
            last: None,
            accepted: 0,
            ended: 0,
            refused: None,
        }
    }

    /// The settings of the listener and its connections.
    #[must_use]
    pub fn options(self, options: ListenOptions) -> Self {
        Self { options, ..self }
    }

    /// Bytes read so far, over all connections.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When the first bytes were read, and the last.
    pub fn times(&self) -> Option<(Instant, Instant)> {
        self.first.zip(self.last)
    }

    /// Connections accepted, and those of them whose stream ended.
    pub const fn connections(&self) -> (u64, u64) {
        (self.accepted, self.ended)
    }

    /// Why it could not listen.
    pub const fn refused(&self) -> Option<&ListenError> {
        self.refused.as_ref()
    }

    fn read(&mut self, cx: &mut Cx<'_>, id: TcpId) {
        loop {
            match cx.tcp_read_chunk(id, usize::MAX) {
                Ok(chunk) if !chunk.is_empty() => {
                    self.bytes += u64::try_from(chunk.len()).unwrap_or(0);
                    let now = cx.now();
                    self.first.get_or_insert(now);
                    self.last = Some(now);
                }
                Err(ReadError::WouldBlock) => return,
                // The end of the stream, or of the connection.
                Ok(_) | Err(_) => {
                    self.ended += 1;
                    return cx.tcp_close(id);
                }
            }
        }
    }
}

impl App for Sink {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start => {
                let listening = cx.tcp_listen(self.at, self.options.clone());
                self.refused = listening.err();
            }
            Wake::Alarm(_) => {}
            Wake::Event(event) => match event.id {
                SocketId::Listener(id) => {
                    while let Ok(id) = cx.tcp_accept(id) {
                        self.accepted += 1;
                        self.read(cx, id);
                    }
                }
                SocketId::Tcp(id) => self.read(cx, id),
                _ => {}
            },
        }
    }
}
