//! `netloom get`: fetch a URL as a netloom host and say how fast it came.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use netloom::bytes::Bytes;
use netloom::host::{Host, TcpStream};

use crate::failure::Failure;
use crate::interface_args::InterfaceArgs;
use crate::output::say;
use crate::rate::Rate;
use crate::signals::{END_WITHIN, Signals};

const PATIENCE: Duration = Duration::from_secs(30);
const HEAD_LIMIT: usize = 64 << 10;
const READ_MAX: usize = 1 << 20;

/// Fetch a URL and print what came and how fast.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// What to fetch: http://ADDR:PORT/PATH, the port 80 when left out.
    #[arg(long)]
    url: Url,
    /// Write the body to this file; without it the body is only counted.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// An http URL whose host is an address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    at: SocketAddr,
    /// As in the URL, for the Host header.
    authority: String,
    path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not http://ADDR:PORT/PATH with a numeric address");
        let rest = text.strip_prefix("http://").ok_or_else(form)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let at = authority
            .parse()
            .or_else(|_| format!("{authority}:80").parse())
            .map_err(|_| form())?;
        if path.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(form());
        }
        Ok(Self {
            at,
            authority: authority.to_owned(),
            path: path.to_owned(),
        })
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut file = match &args.output {
        None => None,
        Some(path) => Some(File::create(path).map_err(|error| {
            Failure::new(format_args!("cannot write {}: {error}", path.display()))
        })?),
    };
    let signals = Signals::block()?;
    let host = args.interface.ready_host()?;
    let outcome = signals.around(&host, || fetch(args, &host, file.as_mut()));
    host.shutdown(END_WITHIN);
    args.interface.note_capture(&host);
    let (head, bytes) = outcome?;
    if head.length.is_some_and(|length| bytes < length) {
        return Err(Failure::new(format_args!(
            "the body ended after {bytes} bytes, cut short"
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

/// Asks, and takes the answer: its head and how many bytes of body came.
fn fetch(args: &Args, host: &Host, mut file: Option<&mut File>) -> Result<(Head, u64), Failure> {
    let from = |error: io::Error| Failure::peer(&args.url.authority, &error);
    let start = Instant::now();
    let mut stream = host
        .tcp_connect_timeout(args.url.at, PATIENCE)
        .map_err(from)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(from)?;
    // HTTP/1.0, so that the body ends with the connection or its length, and is never chunked.
    let request = format!(
        "GET {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: netloom\r\n\r\n",
        args.url.path, args.url.authority
    );
    stream.write_all(request.as_bytes()).map_err(from)?;
    let (head, rest) = read_head(&mut stream).map_err(from)?;
    let mut bytes = 0;
    let mut body = Bytes::from(rest);
    loop {
        bytes += body.len() as u64;
        if let Some(file) = &mut file {
            file.write_all(&body).map_err(Failure::new)?;
        }
        if head.length.is_some_and(|length| bytes >= length) {
            break;
        }
        body = stream.read_chunk(READ_MAX).map_err(from)?;
        if body.is_empty() {
            break;
        }
    }
    let rate = Rate::new(bytes, start.elapsed());
    say(format_args!("{}: {rate}", head.status_line))?;
    Ok((head, bytes))
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
        assert_eq!(url.at, "10.0.0.1:8080".parse().unwrap());
        assert_eq!(
            (url.authority.as_str(), url.path.as_str()),
            ("10.0.0.1:8080", "/a?b")
        );
        let url: Url = "http://[fd00::1]".parse().unwrap();
        assert_eq!(
            (url.at, url.path.as_str()),
            ("[fd00::1]:80".parse().unwrap(), "/")
        );
        for bad in [
            "https://10.0.0.1/",
            "10.0.0.1",
            "http://name/",
            "http://10.0.0.1/a b",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }

    #[test]
    fn heads() {
        let head = parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n").unwrap();
        assert_eq!((head.status, head.length), (200, Some(12)));
        assert_eq!(parse_head(b"HTTP/1.0 404 No\r\n\r\n").unwrap().length, None);
        assert!(parse_head(b"SSH-2.0\r\n\r\n").is_err());
    }
}
