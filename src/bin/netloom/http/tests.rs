//! Requests in, responses out, over a stream in memory.

use super::request::FIELD_LIMIT;
use super::*;

/// Gives its input in pieces of `piece` bytes.
struct Script<'a> {
    input: &'a [u8],
    piece: usize,
    output: Vec<u8>,
    /// What the stream was told that it is read for.
    phases: Vec<Phase>,
    /// Is the end of the input a peer that says nothing more?
    stalls: bool,
}

impl<'a> Script<'a> {
    fn new(input: &'a [u8], piece: usize) -> Self {
        Self {
            input,
            piece,
            output: Vec::new(),
            phases: Vec::new(),
            stalls: false,
        }
    }

    fn serve(&mut self, room: Room) -> io::Result<()> {
        let pages = Pages {
            stats: &|| "{\"x\":1}".to_owned(),
            block: body_block(),
            room: &|| room,
        };
        serve(self, &pages)
    }

    fn output(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}

impl Write for Script<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for &mut Script<'_> {
    fn enter(&mut self, phase: Phase) {
        self.phases.push(phase);
    }

    fn read_bytes(&mut self) -> io::Result<Bytes> {
        if self.input.is_empty() && self.stalls {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (now, later) = self.input.split_at(self.piece.min(self.input.len()));
        self.input = later;
        Ok(Bytes::copy_from_slice(now))
    }
}

fn exchange(input: &[u8], piece: usize) -> (io::Result<()>, String) {
    let mut script = Script::new(input, piece);
    let result = script.serve(Room::Plenty);
    (result, script.output())
}

/// The status codes that answer `input`, in order, however it is cut.
fn codes(input: &str) -> Vec<String> {
    let whole = exchange(input.as_bytes(), usize::MAX).1;
    assert_eq!(exchange(input.as_bytes(), 1).1, whole, "cut into bytes");
    let line = |part: &str| part.split(' ').next().unwrap_or_default().to_owned();
    whole.split("HTTP/1.1 ").skip(1).map(line).collect()
}

#[test]
fn every_request_gets_its_status() {
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "y".repeat(HEAD_LIMIT)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "A: b\r\n".repeat(FIELD_LIMIT)
    );
    for (input, expected) in [
        ("GET /bytes/3 HTTP/1.1\r\nHost: x\r\n\r\n", vec!["200"]),
        ("GET /stats HTTP/1.0\r\n\r\n", vec!["200"]),
        ("\r\nGET / HTTP/1.1\nHost: x\n\n", vec!["200"]),
        ("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", vec!["404"]),
        (
            "POST / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            vec!["405"],
        ),
        ("GET /bytes/x HTTP/1.1\r\nHost: x\r\n\r\n", vec!["400"]),
        (
            "GET /bytes/99999999999999999999 HTTP/1.1\r\nHost: x\r\n\r\n",
            vec!["400"],
        ),
        ("GET / HTTP/1.1\r\n\r\n", vec!["400"]),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", vec!["400"]),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", vec!["400"]),
        ("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", vec!["400"]),
        ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", vec!["400"]),
        ("nonsense\r\n\r\n", vec!["400"]),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", vec!["505"]),
        (
            "PUT / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n",
            vec!["417"],
        ),
        (
            "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            vec!["501"],
        ),
        (
            "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
            vec!["400"],
        ),
        (
            "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
            vec!["400"],
        ),
        (
            "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            vec!["400"],
        ),
        (&long, vec!["431"]),
        (&many, vec!["431"]),
    ] {
        assert_eq!(codes(input), expected, "{:.80}", input);
    }
}

#[test]
fn a_connection_is_kept_until_somebody_wants_it_closed() {
    let keep = "GET /bytes/0 HTTP/1.1\r\nHost: x\r\n\r\n";
    let close = "GET /bytes/0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let old = "GET /bytes/0 HTTP/1.0\r\n\r\n";
    let old_keep = "GET /bytes/0 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    assert_eq!(codes(&format!("{keep}{old_keep}{close}{keep}")).len(), 3);
    assert_eq!(codes(&format!("{old}{keep}")).len(), 1);
}

#[test]
fn bodies_have_the_length_asked_for_and_head_has_none() {
    let wanted = BLOCK + 7;
    let request = format!("GET /bytes/{wanted} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut script = Script::new(request.as_bytes(), 99);
    script.serve(Room::Plenty).unwrap();
    let at = script
        .output
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap()
        + 4;
    let body = &script.output[at..];
    assert_eq!(body.len(), wanted);
    assert!(
        body.iter()
            .enumerate()
            .all(|(at, &b)| usize::from(b) == at % PERIOD)
    );
    let (_, head) = exchange(b"HEAD /bytes/5 HTTP/1.1\r\nHost: x\r\n\r\n", 9);
    assert!(
        head.contains("Content-Length: 5\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[test]
fn put_counts_bodies_of_both_framings_and_what_follows_is_the_next_request() {
    let next = "GET /bytes/0 HTTP/1.1\r\nHost: x\r\n\r\n";
    let length = "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;ext=1\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";
    for (request, count) in [(length, "5\n"), (chunked, "15\n")] {
        let text = format!("{request}{next}");
        for piece in [1, 7, usize::MAX] {
            let (result, output) = exchange(text.as_bytes(), piece);
            result.unwrap();
            let first = format!("\r\n\r\n{count}HTTP/1.1 200 OK");
            assert!(output.contains(&first), "{piece}: {output}");
        }
    }
    let bad = "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunk in [
        "x\r\n",
        "\r\n",
        "5\r\nhelloo\r\n",
        "10000000000000000\r\n",
        "+5\r\n",
    ] {
        assert_eq!(codes(&format!("{bad}{chunk}")), ["400"], "{chunk:?}");
    }
}

#[test]
fn continue_is_said_once_and_only_when_asked_for() {
    let ask = "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nab";
    assert_eq!(codes(ask), ["100", "200"]);
    let empty = "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(codes(empty), ["200"]);
}

#[test]
fn a_cut_request_is_an_error_and_no_answer() {
    for cut in [
        "GET / HTT",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ] {
        let (result, output) = exchange(cut.as_bytes(), 3);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(output, "", "{cut}");
    }
    assert!(exchange(b"", 1).0.is_ok());
}

/// A head that does not end is answered and the connection with it; one that never began is not.
#[test]
fn a_peer_that_stalls_is_told_once_it_has_begun() {
    for (input, answer) in [
        ("", ""),
        ("GET / HT", "408"),
        ("\r\n", "408"),
        ("GET / HTTP/1.1\r\nHost: x\r\n", "408"),
    ] {
        let mut script = Script::new(input.as_bytes(), 3);
        script.stalls = true;
        script.serve(Room::Plenty).unwrap();
        let output = script.output();
        let code = output.split(' ').nth(1).unwrap_or_default();
        assert_eq!(code, answer, "{input:?}: {output}");
        let closes = output.contains("\r\nConnection: close\r\n");
        assert!(closes || answer.is_empty(), "{output}");
    }
    // Between two requests it may be silent; within a body the connection fails.
    let mut between = Script::new(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 9);
    between.stalls = true;
    between.serve(Room::Plenty).unwrap();
    assert_eq!(between.output().matches("HTTP/1.1 ").count(), 1);
    let put = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc";
    let mut within = Script::new(put, 9);
    within.stalls = true;
    assert!(
        within
            .serve(Room::Plenty)
            .is_err_and(|error| is_late(&error))
    );
}

#[test]
fn the_stream_is_told_what_it_is_read_for() {
    use Phase::{Answer, Body, Head, Idle};
    let request = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na";
    let mut script = Script::new(request, 10);
    script.serve(Room::Plenty).unwrap();
    assert_eq!(script.phases, [Idle, Head, Body, Answer, Idle]);
    let two = [&request[..], request].concat();
    let mut script = Script::new(&two, usize::MAX);
    script.serve(Room::Plenty).unwrap();
    assert_eq!(
        script.phases,
        [Idle, Head, Body, Answer, Head, Body, Answer, Idle]
    );
}

#[test]
fn without_room_there_are_the_counters_and_a_refusal() {
    let request = |method: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")
    };
    for (method, path, code) in [
        ("GET", "/stats", "200 OK"),
        ("GET", "/bytes/1", "503 Service Unavailable"),
        ("PUT", "/stats", "503 Service Unavailable"),
        ("POST", "/", "503 Service Unavailable"),
    ] {
        let text = request(method, path).repeat(2);
        let mut script = Script::new(text.as_bytes(), usize::MAX);
        script.serve(Room::None).unwrap();
        let output = script.output();
        assert!(
            output.starts_with(&format!("HTTP/1.1 {code}\r\n")),
            "{output}"
        );
        assert!(output.contains("\r\nConnection: close\r\n"), "{output}");
        assert_eq!(output.matches("HTTP/1.1 ").count(), 1, "{output}");
        assert_eq!(output.contains("Retry-After: "), code.starts_with('5'));
    }
    let away = turned_away();
    assert!(away.starts_with(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: "));
    // A little room answers as ever, and ends the connection.
    let text = request("GET", "/bytes/1").repeat(2);
    let mut script = Script::new(text.as_bytes(), usize::MAX);
    script.serve(Room::Little).unwrap();
    let output = script.output();
    assert!(output.starts_with("HTTP/1.1 200 OK"), "{output}");
    assert_eq!(output.matches("HTTP/1.1 ").count(), 1, "{output}");
}
