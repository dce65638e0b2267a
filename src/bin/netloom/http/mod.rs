//! A small HTTP/1.1 server over any byte stream: `GET /bytes/N`, `GET /stats`, `PUT`.
//!
//! RFC 9110, RFC 9112. *Owns* one connection's requests in turn, `request.rs` their heads. *Does not*
//! know sockets nor time, so that its tests need none: the stream is told what it is read for, and
//! sets the deadlines. Heads, chunk lines and trailers are bounded; a body is never stored; who waits
//! for its peer holds no more than a piece of a line.

mod request;

use std::io::{self, Write};

use netloom::bytes::{Buf, Bytes};

use request::{Framing, Head};

/// The most bytes of a request's head (RFC 9112 §3 asks for 8,000 of a request line at least).
const HEAD_LIMIT: usize = 16 << 10;
/// The most bytes of a chunk's size line and of all trailers together.
const CHUNK_LINE_LIMIT: usize = 4 << 10;
/// Bodies repeat 0..=250, so that a shifted byte shows.
const PERIOD: usize = 251;
/// Bytes of a body that are handed to the stream at once, a multiple of the period.
const BLOCK: usize = PERIOD * 4096;

/// A stream of shared bytes, whose reads and writes fail with `WouldBlock` when the peer takes longer
/// than the phase allows.
pub(crate) trait Stream: Write {
    /// What comes next is this.
    fn enter(&mut self, phase: Phase);

    /// Reads what has come, at least a byte; nothing at the end.
    fn read_bytes(&mut self) -> io::Result<Bytes>;

    /// Writes all of `bytes`.
    fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.write_all(&bytes)
    }
}

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing of a request has come.
    Idle,
    /// A part of a request's head has come.
    Head,
    /// The request's body comes.
    Body,
    /// The answer goes.
    Answer,
}

/// What a server answers with.
pub(crate) struct Pages<'a> {
    /// The JSON text of `/stats`.
    pub(crate) stats: &'a dyn Fn() -> String,
    /// [`body_block`], shared by all connections.
    pub(crate) block: Bytes,
    /// How much room the service has.
    pub(crate) room: &'a dyn Fn() -> Room,
}

/// How much room a service has for one more connection, or for this one to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Enough.
    Plenty,
    /// Little: answer, and end the connection.
    Little,
    /// None: answer with nothing but `/stats`, or that there is none.
    None,
}

/// The bytes that bodies are made of.
pub(crate) fn body_block() -> Bytes {
    (0..BLOCK).map(|at| (at % PERIOD) as u8).collect()
}

/// What is said to a peer that nobody can listen to.
pub(crate) fn turned_away() -> Bytes {
    let status = Status::Unavailable;
    let mut text = head_text(status, &[RETRY], status.text().len() as u64, Reply::CLOSE);
    text.push_str(status.text());
    text.into()
}

/// When to come again, in seconds.
const RETRY: &str = "Retry-After: 5";

/// Serves requests until the peer or the protocol ends the connection.
pub(crate) fn serve<S: Stream>(stream: S, pages: &Pages<'_>) -> io::Result<()> {
    let mut connection = Connection::new(stream);
    loop {
        let outcome = match connection.head() {
            Ok(None) => return Ok(()),
            Ok(Some(head)) => connection.answer(&head, pages),
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(After::KeepAlive) => {}
            Ok(After::Close) => return Ok(()),
            Err(Failure::Io(error)) => return Err(error),
            Err(Failure::Status(status)) => {
                return connection.respond(status, &[], status.text(), Reply::CLOSE);
            }
        }
    }
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    KeepAlive,
    Close,
}

/// How a reply goes out.
#[derive(Clone, Copy)]
struct Reply {
    after: After,
    /// HEAD: the body's length is told, the body is not sent.
    head_only: bool,
}

impl Reply {
    const CLOSE: Self = Self {
        after: After::Close,
        head_only: false,
    };
}

/// Why a request cannot be answered as it wants.
#[derive(Debug)]
enum Failure {
    /// The stream failed: nothing can be said any more.
    Io(io::Error),
    /// Say this and close.
    Status(Status),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    BadRequest,
    NotFound,
    NotAllowed,
    ExpectationFailed,
    Timeout,
    HeadTooLarge,
    NotImplemented,
    Unavailable,
    Version,
}

impl Status {
    /// The status line's code and reason.
    const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::NotAllowed => "405 Method Not Allowed",
            Self::ExpectationFailed => "417 Expectation Failed",
            Self::Timeout => "408 Request Timeout",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::NotImplemented => "501 Not Implemented",
            Self::Unavailable => "503 Service Unavailable",
            Self::Version => "505 HTTP Version Not Supported",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Ok => "netloom: GET /bytes/N, GET /stats, PUT anything\n",
            Self::BadRequest => "bad request\n",
            Self::NotFound => "not found: try /bytes/N or /stats\n",
            Self::NotAllowed => "method not allowed: GET, HEAD or PUT\n",
            Self::ExpectationFailed => "the only expectation is 100-continue\n",
            Self::Timeout => "the request's head took too long\n",
            Self::HeadTooLarge => "request head too large\n",
            Self::NotImplemented => "transfer coding not implemented: only chunked\n",
            Self::Unavailable => "too many connections: try again later\n",
            Self::Version => "only HTTP/1.0 and HTTP/1.1\n",
        }
    }
}

/// A stream and what was read of it but not used.
struct Connection<S> {
    stream: S,
    unread: Bytes,
}

impl<S: Stream> Connection<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            unread: Bytes::new(),
        }
    }

    /// Reads more where all was used; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.unread.is_empty() {
            // While this waits it holds no slice of what came before.
            self.unread = Bytes::new();
            self.unread = self.stream.read_bytes()?;
        }
        Ok(!self.unread.is_empty())
    }

    /// Takes a line without its end, of at most `limit` bytes with it; `None` at the end of the
    /// stream. A bare LF ends a line too (RFC 9112 §2.2).
    fn line(&mut self, limit: usize, over: Status) -> Result<Option<Vec<u8>>, Failure> {
        let mut line = Vec::new();
        loop {
            let end = self.unread.iter().take(limit).position(|&b| b == b'\n');
            let len = end.map_or(self.unread.len(), |at| at + 1);
            if line.len() + len > limit || end.is_none() && line.len() + len == limit {
                return Err(over.into());
            }
            line.extend_from_slice(&self.unread.split_to(len));
            if end.is_some() {
                line.pop();
                line.pop_if(|&mut last| last == b'\r');
                return Ok(Some(line));
            }
            if !self.fill()? {
                return if line.is_empty() {
                    Ok(None)
                } else {
                    Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                };
            }
        }
    }

    /// Reads a request's head; `None` when the peer has finished, or had nothing to ask for long.
    fn head(&mut self) -> Result<Option<Head>, Failure> {
        if self.unread.is_empty() {
            self.stream.enter(Phase::Idle);
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) if is_late(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        self.stream.enter(Phase::Head);
        match self.rest_of_head() {
            Err(Failure::Io(error)) if is_late(&error) => Err(Status::Timeout.into()),
            result => result,
        }
    }

    fn rest_of_head(&mut self) -> Result<Option<Head>, Failure> {
        let mut text = String::new();
        let mut room = HEAD_LIMIT;
        loop {
            let line = self.line(room, Status::HeadTooLarge)?;
            let Some(line) = line else {
                return if text.is_empty() {
                    Ok(None)
                } else {
                    Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                };
            };
            room = room.saturating_sub(line.len() + 2);
            match (line.is_empty(), text.is_empty()) {
                // RFC 9112 §2.2: an empty line in front of a request is skipped.
                (true, true) => continue,
                (true, false) => return Ok(Some(Head::parse(&text)?)),
                (false, _) => {}
            }
            text.push_str(std::str::from_utf8(&line).map_err(|_| Status::BadRequest)?);
            text.push('\n');
        }
    }

    fn answer(&mut self, head: &Head, pages: &Pages<'_>) -> Result<After, Failure> {
        let path = head.target.split('?').next().unwrap_or_default();
        let room = (pages.room)();
        if room == Room::None && (path != "/stats" || head.method == "PUT") {
            let status = Status::Unavailable;
            self.respond(status, &[RETRY], status.text(), Reply::CLOSE)?;
            return Ok(After::Close);
        }
        let reply = Reply {
            after: match room {
                Room::Plenty => head.after,
                Room::Little | Room::None => After::Close,
            },
            head_only: head.method == "HEAD",
        };
        match head.method.as_str() {
            "PUT" => {
                let got = self.swallow(head)?;
                self.respond(Status::Ok, &[], &format!("{got}\n"), reply)?;
                return Ok(reply.after);
            }
            "GET" | "HEAD" => {}
            _ => {
                let allow = ["Allow: GET, HEAD, PUT"];
                let text = Status::NotAllowed.text();
                self.respond(Status::NotAllowed, &allow, text, Reply::CLOSE)?;
                return Ok(After::Close);
            }
        }
        self.swallow(head)?;
        if let Some(count) = path.strip_prefix("/bytes/") {
            let count = count.parse().map_err(|_| Status::BadRequest)?;
            self.send_bytes(count, &pages.block, reply)?;
        } else if path == "/stats" {
            let json = ["Content-Type: application/json"];
            self.respond(Status::Ok, &json, &(pages.stats)(), reply)?;
        } else if path == "/" {
            self.respond(Status::Ok, &[], Status::Ok.text(), reply)?;
        } else {
            self.respond(Status::NotFound, &[], Status::NotFound.text(), reply)?;
        }
        Ok(reply.after)
    }

    /// Reads a request's body and counts it.
    fn swallow(&mut self, head: &Head) -> Result<u64, Failure> {
        if head.expects_continue && head.framing != Framing::Length(0) {
            self.stream.enter(Phase::Answer);
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        self.stream.enter(Phase::Body);
        match head.framing {
            Framing::Length(length) => {
                self.skip(length)?;
                Ok(length)
            }
            Framing::Chunked => self.chunks(),
        }
    }

    fn skip(&mut self, mut length: u64) -> Result<(), Failure> {
        while length > 0 {
            if !self.fill()? {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let have = self.unread.len();
            let used = usize::try_from(length).map_or(have, |length| length.min(have));
            self.unread.advance(used);
            length -= used as u64;
        }
        Ok(())
    }

    /// RFC 9112 §7.1.
    fn chunks(&mut self) -> Result<u64, Failure> {
        let bad = Status::BadRequest;
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut total = 0u64;
        loop {
            let line = self.line(CHUNK_LINE_LIMIT, bad)?.ok_or_else(ended)?;
            let digits = line.split(|&b| b == b';').next().unwrap_or_default();
            let size = chunk_size(digits.trim_ascii_end()).ok_or(bad)?;
            if size == 0 {
                break;
            }
            self.skip(size)?;
            total = total.checked_add(size).ok_or(bad)?;
            if !self.line(2, bad)?.ok_or_else(ended)?.is_empty() {
                return Err(bad.into());
            }
        }
        let mut room = CHUNK_LINE_LIMIT;
        loop {
            let trailer = self.line(room, Status::HeadTooLarge)?.ok_or_else(ended)?;
            if trailer.is_empty() {
                return Ok(total);
            }
            room = room.saturating_sub(trailer.len() + 2);
        }
    }

    fn respond(
        &mut self,
        status: Status,
        fields: &[&str],
        body: &str,
        reply: Reply,
    ) -> io::Result<()> {
        let mut text = head_text(status, fields, body.len() as u64, reply);
        if !reply.head_only {
            text.push_str(body);
        }
        self.stream.enter(Phase::Answer);
        self.stream.write_all(text.as_bytes())
    }

    fn send_bytes(&mut self, count: u64, block: &Bytes, reply: Reply) -> io::Result<()> {
        let kind = ["Content-Type: application/octet-stream"];
        let text = head_text(Status::Ok, &kind, count, reply);
        self.stream.enter(Phase::Answer);
        self.stream.write_all(text.as_bytes())?;
        let mut left = if reply.head_only { 0 } else { count };
        while left > 0 {
            let len = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
            self.stream.write_bytes(block.slice(..len))?;
            left -= len as u64;
        }
        Ok(())
    }
}

fn head_text(status: Status, fields: &[&str], length: u64, reply: Reply) -> String {
    let mut text = format!("HTTP/1.1 {}\r\nContent-Length: {length}\r\n", status.line());
    for field in fields {
        text.push_str(field);
        text.push_str("\r\n");
    }
    text.push_str(match reply.after {
        After::KeepAlive => "Connection: keep-alive\r\n\r\n",
        After::Close => "Connection: close\r\n\r\n",
    });
    text
}

/// Did the peer take too long?
fn is_late(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// A chunk's size: hexadecimal digits only, within 64 bits.
fn chunk_size(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;
