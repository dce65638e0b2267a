//! A small HTTP/1.1 server over any byte stream: `GET /bytes/N`, `GET /stats`, `PUT`.
//!
//! RFC 9110, RFC 9112. *Owns* one connection's requests in turn. *Does not* know sockets, so that
//! its tests need none. Heads, chunk lines and trailers are bounded; a body is never stored.

use std::io::{self, Read, Write};

use netloom::bytes::Bytes;

/// The most bytes of a request's head (RFC 9112 §3 asks for 8,000 of a request line at least).
const HEAD_LIMIT: usize = 16 << 10;
/// The most header fields of a request.
const FIELD_LIMIT: usize = 100;
/// The most bytes of a chunk's size line and of all trailers together.
const CHUNK_LINE_LIMIT: usize = 4 << 10;
/// Bodies repeat 0..=250, so that a shifted byte shows.
const PERIOD: usize = 251;
/// Bytes of a body that are handed to the stream at once, a multiple of the period.
const BLOCK: usize = PERIOD * 4096;

/// A stream that may take shared bytes without a copy.
pub(crate) trait Stream: Read + Write {
    /// Writes all of `bytes`.
    fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.write_all(&bytes)
    }
}

/// What a server answers with.
pub(crate) struct Pages<'a> {
    /// The JSON text of `/stats`.
    pub(crate) stats: &'a dyn Fn() -> String,
    /// [`body_block`], shared by all connections.
    pub(crate) block: Bytes,
}

/// The bytes that bodies are made of.
pub(crate) fn body_block() -> Bytes {
    (0..BLOCK).map(|at| (at % PERIOD) as u8).collect()
}

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
    HeadTooLarge,
    NotImplemented,
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
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::NotImplemented => "501 Not Implemented",
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
            Self::HeadTooLarge => "request head too large\n",
            Self::NotImplemented => "transfer coding not implemented: only chunked\n",
            Self::Version => "only HTTP/1.0 and HTTP/1.1\n",
        }
    }
}

/// How a request's body is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
}

/// What matters of a request's head.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    method: String,
    target: String,
    framing: Framing,
    expects_continue: bool,
    after: After,
}

impl Head {
    fn parse(text: &str) -> Result<Self, Status> {
        let mut lines = text.lines();
        let request = lines.next().unwrap_or_default();
        let mut words = request.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Status::BadRequest);
        };
        let persistent = match version {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            other if other.starts_with("HTTP/") => return Err(Status::Version),
            _ => return Err(Status::BadRequest),
        };
        if method.is_empty() || target.is_empty() {
            return Err(Status::BadRequest);
        }
        let fields = Fields::parse(lines)?;
        if persistent && fields.hosts != 1 {
            // RFC 9112 §3.2: a request without exactly one Host is refused.
            return Err(Status::BadRequest);
        }
        let framing = match (fields.chunked, fields.length) {
            // RFC 9112 §6.1: both at once is an attempt at request smuggling.
            (true, Some(_)) => return Err(Status::BadRequest),
            (true, None) => Framing::Chunked,
            (false, length) => Framing::Length(length.unwrap_or(0)),
        };
        let keep = !fields.close && (persistent || fields.keep_alive);
        Ok(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            framing,
            expects_continue: persistent && fields.expects_continue,
            after: if keep { After::KeepAlive } else { After::Close },
        })
    }
}

#[derive(Default)]
struct Fields {
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
}

impl Fields {
    fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Self, Status> {
        let mut fields = Self::default();
        for (at, line) in lines.enumerate() {
            if at >= FIELD_LIMIT {
                return Err(Status::HeadTooLarge);
            }
            let (name, value) = line.split_once(':').ok_or(Status::BadRequest)?;
            // RFC 9112 §5.1, §5.2: no white space before the colon, no folding.
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err(Status::BadRequest);
            }
            fields.take(&name.to_ascii_lowercase(), value.trim_matches([' ', '\t']))?;
        }
        Ok(fields)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Status> {
        let has = |token: &str| {
            value
                .split(',')
                .any(|one| one.trim().eq_ignore_ascii_case(token))
        };
        match name {
            "host" => self.hosts += 1,
            "content-length" => {
                let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let length = value.parse().ok().filter(|_| digits);
                let length = length.ok_or(Status::BadRequest)?;
                if self.length.is_some_and(|other| other != length) {
                    return Err(Status::BadRequest);
                }
                self.length = Some(length);
            }
            "transfer-encoding" if self.chunked => return Err(Status::BadRequest),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => self.chunked = true,
            "transfer-encoding" => return Err(Status::NotImplemented),
            "connection" => {
                self.close |= has("close");
                self.keep_alive |= has("keep-alive");
            }
            "expect" if value.eq_ignore_ascii_case("100-continue") => self.expects_continue = true,
            "expect" => return Err(Status::ExpectationFailed),
            _ => {}
        }
        Ok(())
    }
}

/// A stream and what was read of it but not used.
struct Connection<S> {
    stream: S,
    buf: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<S: Stream> Connection<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            buf: vec![0; 4 * HEAD_LIMIT].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// Reads more; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buf.len() {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let read = self.stream.read(&mut self.buf[self.end..])?;
        self.end += read;
        Ok(read > 0)
    }

    /// Takes a line without its end, of at most `limit` bytes with it; `None` at the end of the
    /// stream. A bare LF ends a line too (RFC 9112 §2.2).
    fn line(&mut self, limit: usize, over: Status) -> Result<Option<Vec<u8>>, Failure> {
        let mut looked = 0;
        loop {
            let waiting = &self.buf[self.start..self.end];
            if let Some(at) = waiting[looked..].iter().position(|&b| b == b'\n') {
                let len = looked + at + 1;
                if len > limit {
                    return Err(over.into());
                }
                let line = &waiting[..len - 1];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.start += len;
                return Ok(Some(line));
            }
            looked = waiting.len();
            if looked >= limit {
                return Err(over.into());
            }
            if !self.fill()? {
                return if looked == 0 {
                    Ok(None)
                } else {
                    Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                };
            }
        }
    }

    /// Reads a request's head; `None` when the peer has finished.
    fn head(&mut self) -> Result<Option<Head>, Failure> {
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
        let reply = Reply {
            after: head.after,
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
        let path = head.target.split('?').next().unwrap_or_default();
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
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
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
            if self.start == self.end && !self.fill()? {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let have = self.end - self.start;
            let used = usize::try_from(length).map_or(have, |length| length.min(have));
            self.start += used;
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
        let mut text = self.head_text(status, fields, body.len() as u64, reply);
        if !reply.head_only {
            text.push_str(body);
        }
        self.stream.write_all(text.as_bytes())
    }

    fn send_bytes(&mut self, count: u64, block: &Bytes, reply: Reply) -> io::Result<()> {
        let kind = ["Content-Type: application/octet-stream"];
        let text = self.head_text(Status::Ok, &kind, count, reply);
        self.stream.write_all(text.as_bytes())?;
        let mut left = if reply.head_only { 0 } else { count };
        while left > 0 {
            let len = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
            self.stream.write_bytes(block.slice(..len))?;
            left -= len as u64;
        }
        Ok(())
    }

    fn head_text(&self, status: Status, fields: &[&str], length: u64, reply: Reply) -> String {
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
}

/// A chunk's size: hexadecimal digits only, within 64 bits.
fn chunk_size(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
