//! `netloom get`: fetch a URL as a netloom host, or PUT a file there, and say how fast it went.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use netloom::bytes::Bytes;
use netloom::host::{Host, TcpStream};

use crate::failure::Failure;
use crate::interface_args::InterfaceArgs;
use crate::output::note;
use crate::rate::Rate;
use crate::signals::{END_WITHIN, Signals};
use crate::values;
use crate::whom::End;

const HEAD_LIMIT: usize = 64 << 10;
const READ_MAX: usize = 1 << 20;
const UPLOAD_BLOCK: usize = 256 << 10;

/// Fetch a URL, or put a file there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// What to fetch: http://ADDR:PORT/PATH or http://NAME:PORT/PATH, the port 80 when left out; a name
    /// needs a DNS server.
    #[arg(long)]
    url: Url,
    /// Write the body to this file, not to standard output.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// PUT this file there; what is answered is the body.
    #[arg(long, short = 'T', value_name = "FILE")]
    upload_file: Option<PathBuf>,
    /// Read, and upload, at most this many bytes a second; K, M or G stands for thousands.
    #[arg(long, value_name = "RATE", value_parser = values::bytes)]
    limit_rate: Option<u64>,
    /// Give up when nothing moves for this long.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::seconds)]
    timeout: Duration,
}

/// An http URL.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    at: End,
    /// As in the URL, for the Host header.
    authority: String,
    path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            "give http://ADDR:PORT/PATH, as in http://10.7.0.1:80/ or http://example.org/"
                .to_owned()
        };
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => {
                return Err("there is no TLS; give an http:// URL".to_owned());
            }
            _ => return Err(form()),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let at = values::end(authority)
            .or_else(|why| values::end(&format!("{authority}:80")).map_err(|_| why))
            .map_err(|_| form())?;
        if path.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err("a space or control character in a URL is written as %20 or so".to_owned());
        }
        Ok(Self {
            at,
            authority: authority.to_owned(),
            path: path.to_owned(),
        })
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    args.url.at.check(&args.interface)?;
    let mut upload = args.upload_file.as_deref().map(Upload::open).transpose()?;
    let mut body = Body::open(args.output.as_deref())?;
    let signals = Signals::block()?;
    let host = args.interface.ready_host(&signals, args.url.at.wanted())?;
    let outcome = signals.around(&host, || fetch(args, &host, upload.as_mut(), &mut body));
    // Not of one that a signal stopped: a body without a length ends with the connection, however that ends.
    if let Ok((head, Some(rate))) = &outcome {
        note(format_args!("{}: {rate}", head.status_line));
    }
    host.shutdown(END_WITHIN);
    args.interface.note_capture(&host);
    let (head, _) = outcome?;
    if let Some(length) = head.length.filter(|&length| body.bytes < length) {
        let bytes = body.bytes;
        return Err(Failure::new(format_args!(
            "the body ended after {bytes} of {length} bytes, cut short"
        )));
    }
    if !(200..300).contains(&head.status) {
        return Err(Failure::new(format_args!(
            "the server answered {}",
            head.status_line
        )));
    }
    Ok(())
}

/// The file that is put.
struct Upload {
    file: File,
    len: u64,
}

impl Upload {
    fn open(path: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            Failure::new(format_args!("cannot read {}: {error}", path.display()))
        };
        let file = File::open(path).map_err(cannot)?;
        let data = file.metadata().map_err(cannot)?;
        if !data.is_file() {
            let cause = format_args!("{} is no file", path.display());
            return Err(Failure::with_cure(
                cause,
                "its length must be known before it is sent",
            ));
        }
        Ok(Self {
            file,
            len: data.len(),
        })
    }
}

/// Where the body goes, and how many bytes went.
struct Body {
    sink: Box<dyn Write + Send>,
    /// Standard output's end is no failure.
    is_file: bool,
    bytes: u64,
}

impl Body {
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let sink: Box<dyn Write + Send> = match path {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(File::create(path).map_err(|error| {
                Failure::new(format_args!("cannot write {}: {error}", path.display()))
            })?),
        };
        Ok(Self {
            sink,
            is_file: path.is_some(),
            bytes: 0,
        })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.bytes += bytes.len() as u64;
        self.sink
            .write_all(bytes)
            .and_then(|()| self.sink.flush())
            .map_err(|error| match self.is_file {
                true => Failure::new(format_args!("cannot write the body: {error}")),
                false => Failure::stdout(&error),
            })
    }
}

/// Holds a transfer to a rate, if there is one.
struct Pace {
    rate: Option<u64>,
    begun: Instant,
    moved: u64,
}

impl Pace {
    fn new(rate: Option<u64>) -> Self {
        Self {
            rate,
            begun: Instant::now(),
            moved: 0,
        }
    }

    /// The most to move at once: a twentieth of a second's.
    fn at_most(&self, limit: usize) -> usize {
        let share = self.rate.map_or(u64::MAX, |rate| (rate / 20).max(1));
        usize::try_from(share).map_or(limit, |share| share.min(limit))
    }

    /// So much was moved: waits until that was due.
    fn moved(&mut self, bytes: usize) {
        self.moved += bytes as u64;
        if let Some(rate) = self.rate {
            let due = self.begun + Duration::from_secs_f64(self.moved as f64 / rate as f64);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
}

/// Asks, and takes the answer: its head.
fn fetch(
    args: &Args,
    host: &Host,
    upload: Option<&mut Upload>,
    body: &mut Body,
) -> Result<(Head, Option<Rate>), Failure> {
    let from = |error: io::Error| Failure::peer(&args.url.authority, &error);
    let start = Instant::now();
    let mut stream = args.url.at.connect(host, args.timeout).map_err(from)?;
    stream.set_read_timeout(Some(args.timeout)).map_err(from)?;
    stream.set_write_timeout(Some(args.timeout)).map_err(from)?;
    let put = upload.as_ref().map(|upload| upload.len);
    stream
        .write_all(request(&args.url, put).as_bytes())
        .map_err(from)?;
    if let Some(upload) = upload {
        match send(&stream, upload, Pace::new(args.limit_rate)) {
            Ok(()) => {}
            // A server that wants no more of it may have said why.
            Err(Unsent::Peer(error)) => {
                let (head, rest) = read_head(&mut stream).map_err(|_| from(error))?;
                body.take(&rest)?;
                let head = Head {
                    length: None,
                    ..head
                };
                return Ok((head, None));
            }
            Err(Unsent::File(failure)) => return Err(failure),
        }
    }
    let (head, rest) = read_head(&mut stream).map_err(from)?;
    if let Some(len) = put {
        // It has been taken by now: what was written before may only have been queued.
        note(format_args!("sent: {}", Rate::new(len, start.elapsed())));
    }
    let mut pace = Pace::new(args.limit_rate);
    let mut piece = Bytes::from(rest);
    loop {
        body.take(&piece)?;
        pace.moved(piece.len());
        if head.length.is_some_and(|length| body.bytes >= length) {
            break;
        }
        piece = stream.read_chunk(pace.at_most(READ_MAX)).map_err(from)?;
        if piece.is_empty() {
            break;
        }
    }
    let rate = Rate::new(body.bytes, start.elapsed());
    Ok((head, Some(rate)))
}

/// HTTP/1.0, so that the body ends with the connection or its length, and is never chunked.
fn request(url: &Url, put: Option<u64>) -> String {
    let (method, length) = match put {
        None => ("GET", String::new()),
        Some(length) => ("PUT", format!("Content-Length: {length}\r\n")),
    };
    format!(
        "{method} {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: netloom\r\n{length}\r\n",
        url.path, url.authority
    )
}

/// Why an upload did not get to its end.
enum Unsent {
    Peer(io::Error),
    File(Failure),
}

fn send(stream: &TcpStream, upload: &mut Upload, mut pace: Pace) -> Result<(), Unsent> {
    let file = |cause: &dyn std::fmt::Display| {
        Unsent::File(Failure::new(format_args!(
            "cannot read the file to put: {cause}"
        )))
    };
    let mut left = upload.len;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let mut block = vec![0; pace.at_most(UPLOAD_BLOCK).min(most)];
        let len = upload.file.read(&mut block).map_err(|error| file(&error))?;
        if len == 0 {
            return Err(file(&"it became shorter"));
        }
        block.truncate(len);
        stream.write_all_chunk(block.into()).map_err(Unsent::Peer)?;
        left -= len as u64;
        pace.moved(len);
    }
    Ok(())
}
/// What the response says before its body.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    status_line: String,
    length: Option<u64>,
}

/// Reads up to the empty line; returns the head and what came of the body.
fn read_head(stream: &mut TcpStream) -> io::Result<(Head, Vec<u8>)> {
    let mut all = Vec::new();
    let mut buf = [0; 4096];
    loop {
        if let Some(at) = all.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = all.split_off(at + 4);
            return Ok((parse_head(&all)?, body));
        }
        if all.len() > HEAD_LIMIT {
            return Err(io::Error::other("the response's head has no end"));
        }
        match stream.read(&mut buf)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

fn parse_head(head: &[u8]) -> io::Result<Head> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap_or_default().to_owned();
    let status = status_line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::other("the answer is not HTTP/1"))?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok());
    Ok(Head {
        status,
        status_line,
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url: Url = "http://10.0.0.1:8080/a?b".parse().unwrap();
        assert_eq!(url.at, End::Address("10.0.0.1:8080".parse().unwrap()));
        assert_eq!(
            (url.authority.as_str(), url.path.as_str()),
            ("10.0.0.1:8080", "/a?b")
        );
        let url: Url = "http://[fd00::1]".parse().unwrap();
        assert_eq!(
            (url.at.to_string().as_str(), url.path.as_str()),
            ("[fd00::1]:80", "/")
        );
        for (text, at) in [
            ("http://name/", "name:80"),
            ("http://Example.org:8080/x", "example.org:8080"),
        ] {
            assert_eq!(text.parse::<Url>().unwrap().at.to_string(), at);
        }
        for (bad, cure) in [
            ("https://10.0.0.1/", "there is no TLS; give an http:// URL"),
            ("10.0.0.1", "give http://ADDR:PORT/PATH"),
            ("http://example.org:port/", "give http://ADDR:PORT/PATH"),
            ("http://10.0.0/", "give http://ADDR:PORT/PATH"),
            ("http://fd00::1/", "give http://ADDR:PORT/PATH"),
            ("http://10.0.0.1/a b", "is written as %20"),
        ] {
            let error = bad.parse::<Url>().unwrap_err();
            assert!(error.contains(cure), "{bad}: {error}");
        }
    }

    #[test]
    fn requests() {
        let url: Url = "http://10.0.0.1/a".parse().unwrap();
        let text = "GET /a HTTP/1.0\r\nHost: 10.0.0.1\r\nUser-Agent: netloom\r\n\r\n";
        assert_eq!(request(&url, None), text);
        assert!(request(&url, Some(0)).contains("\r\nContent-Length: 0\r\n\r\n"));
    }

    #[test]
    fn a_rate_bounds_each_step() {
        assert_eq!(Pace::new(None).at_most(100), 100);
        assert_eq!(Pace::new(Some(1000)).at_most(100), 50);
        assert_eq!(Pace::new(Some(3)).at_most(100), 1);
    }

    #[test]
    fn heads() {
        let head = parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n").unwrap();
        assert_eq!((head.status, head.length), (200, Some(12)));
        assert_eq!(parse_head(b"HTTP/1.0 404 No\r\n\r\n").unwrap().length, None);
        assert!(parse_head(b"SSH-2.0\r\n\r\n").is_err());
    }
}
