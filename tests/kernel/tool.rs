//! The command-line tool against the kernel and real programs.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant as Clock};

use netloom::device::{Medium, Tap};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::Pid;

use crate::capture::{Disk, private_disk};
use crate::ecn::ss;
use crate::link::{Link, Offload, PATIENCE, eventually, kernel, kernel_connect, ours};
use crate::namespace::{Case, ip};

pub(crate) const NETLOOM: &str = env!("CARGO_BIN_EXE_netloom");

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("tool::demo_measures_the_kernel", demo),
        Case::with_reason("tool::demo_as_an_ordinary_user", ordinary_user),
        Case::with_reason("tool::demo_without_a_tun_driver", no_driver),
        Case::new("tool::dump_says_busy", dump_says_busy),
        Case::new("tool::dump_sees_what_the_kernel_sends", dump_sees),
        Case::new("tool::clients_survive_a_closed_stdout", closed_stdout),
        Case::new("tool::errors_name_the_cure", cures),
        Case::new("tool::serve_ends_amid_a_transfer", ends_amid_a_transfer),
        Case::new(
            "tool::serve_tells_of_a_deleted_interface",
            serve_without_interface,
        ),
        Case::new("tool::serve_echoes_and_generates", small_services),
        Case::new(
            "tool::serve_answers_from_where_it_was_asked",
            answers_from_where_it_was_asked,
        ),
        Case::new("tool::serve_says_when_it_is_full", full_serve),
        Case::new("tool::clients_end_amid_a_transfer", clients_end),
        Case::new("tool::ecn_is_as_the_option_says", ecn),
        Case::new("tool::get_fetches", get),
        Case::new("tool::get_puts_and_keeps_to_a_rate", put),
        Case::new("tool::send_sends", send),
        Case::new("tool::send_over_several_connections", sends_to_many),
        Case::new("tool::ping_pings", ping),
    ];
    for link in Link::ALL {
        let name = format!("tool::curl_against_serve_on_{}", link.name());
        cases.push(Case::new(name, move || curl_against_serve(link)));
    }
    cases
}

/// A running `netloom`, killed when the test fails.
pub(crate) struct Tool {
    child: Child,
    lines: Receiver<String>,
    errors: ChildStderr,
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Both fail when it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tool {
    fn start<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let mut child = Command::new(NETLOOM)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        let errors = child.stderr.take().unwrap();
        thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|l| sender.send(l))
        });
        Self {
            child,
            lines,
            errors,
        }
    }

    /// `netloom serve` that has said `ready`.
    pub(crate) fn serve(link: Link, more: &[&str]) -> Self {
        let mut args = vec!["serve"];
        args.extend(match link.medium {
            Medium::Ethernet => ["--tap", "nl0"],
            Medium::Ip => ["--tun", "nl0"],
        });
        args.extend(["--kernel-address", "10.7.0.1/24", "--kernel-address"]);
        args.extend([
            "fd07::1/64",
            "--address",
            "10.7.0.2/24",
            "--address",
            "fd07::2/64",
        ]);
        if link.offload == Offload::None {
            args.push("--no-offload");
        }
        args.extend(more);
        Self::ready(args)
    }

    /// A command that has said `ready`.
    pub(crate) fn ready<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let mut tool = Self::start(args);
        match tool.lines.recv_timeout(PATIENCE) {
            Ok(line) => assert_eq!(line, "ready"),
            Err(_) => panic!("not ready: {:?}", tool.end()),
        }
        tool
    }

    /// The next that it says on standard error.
    pub(crate) fn noted(&mut self) -> String {
        let mut text = [0; 1000];
        let len = self.errors.read(&mut text).unwrap();
        String::from_utf8_lossy(&text[..len]).into_owned()
    }

    /// Ends it by a signal: its status, and what it has said on standard error.
    pub(crate) fn ended(mut self, signal: Signal) -> (ExitStatus, String) {
        self.signal(signal);
        let (status, _, errors) = self.end();
        (status, errors)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits until it ends: its status, the rest of its output, its errors.
    fn end(&mut self) -> (ExitStatus, Vec<String>, String) {
        let until = Clock::now() + PATIENCE;
        let mut lines = Vec::new();
        loop {
            match self
                .lines
                .recv_timeout(until.saturating_duration_since(Clock::now()))
            {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; {lines:?}"),
            }
        }
        let status = self.child.wait().unwrap();
        let mut errors = String::new();
        self.errors.read_to_string(&mut errors).unwrap();
        (status, lines, errors)
    }

    /// Ends `serve` by a signal: its counters.
    pub(crate) fn counters(mut self, signal: Signal) -> Vec<(String, u64)> {
        self.signal(signal);
        let (status, lines, errors) = self.end();
        assert!(status.success(), "{status} {errors}");
        assert_eq!(errors, "");
        let counters = lines.iter().map(|line| {
            let (name, value) = line.split_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        counters.collect()
    }
}

pub(crate) fn count(counters: &[(String, u64)], name: &str) -> u64 {
    let found = counters.iter().find(|(other, _)| other == name);
    found.map_or(0, |(_, count)| *count)
}

pub(crate) fn curl(args: &[&str]) -> Output {
    Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--globoff",
            "--max-time",
            "20",
        ])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the `curl` command is there")
}

/// What curl got; it must have succeeded.
pub(crate) fn fetched(args: &[&str]) -> Vec<u8> {
    let output = curl(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "curl {args:?}: {} {errors}",
        output.status
    );
    output.stdout
}

const HOSTS: [&str; 2] = ["http://10.7.0.2", "http://[fd07::2]"];

pub(crate) fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn curl_against_serve(link: Link) {
    let serve = Tool::serve(link, &["--txqueuelen", "9000"]);
    assert!(ip("link show nl0").contains("qlen 9000"));
    let upload = file(&format!("kernel-upload-{}", link.name()));
    fs::write(&upload, body(5_000_001)).unwrap();
    for host in HOSTS {
        for len in [0, 1, 1448, 100_000, 20_000_003] {
            let got = fetched(&[&format!("{host}/bytes/{len}")]);
            assert!(got == body(len), "{host} {len}: {} bytes", got.len());
        }
        // Several requests over one connection.
        let url = format!("{host}/bytes/70000");
        let got = fetched(&[&url, &url, &url]);
        assert!(got == body(70_000).repeat(3), "{} bytes", got.len());

        let path = upload.to_str().unwrap();
        let put = fetched(&["--upload-file", path, &format!("{host}/sink")]);
        let put = String::from_utf8(put).unwrap();
        assert!(put.contains("5000001"), "{put}");
        let chunked = ["--header", "Transfer-Encoding: chunked"];
        let put = fetched(&[
            chunked[0],
            chunked[1],
            "--upload-file",
            path,
            &format!("{host}/sink"),
        ]);
        let put = String::from_utf8(put).unwrap();
        assert!(put.contains("5000001"), "{put}");

        let stats = fetched(&[&format!("{host}/stats")]);
        let stats: serde_json::Value = serde_json::from_slice(&stats).unwrap();
        assert!(stats["counters"]["rx_frames"].as_u64().unwrap() > 0);
        assert!(stats["device"]["lost_inbound"].is_u64(), "{stats}");
        let connections = stats["connections"].as_array().unwrap();
        let peer = if host == HOSTS[0] {
            "10.7.0.1:"
        } else {
            "[fd07::1]:"
        };
        let own = |one: &&serde_json::Value| one["peer"].as_str().unwrap().starts_with(peer);
        let own = connections
            .iter()
            .rfind(own)
            .expect("its own connection is listed");
        assert!(own["state"].is_string() && own["rto_us"].is_u64(), "{own}");

        let missing = curl(&[&format!("{host}/nothing")]);
        assert_eq!(missing.status.code(), Some(22), "404 for --fail");
        let closed = curl(&[&format!("{host}:81/")]);
        assert_eq!(closed.status.code(), Some(7), "refused");
    }
    fs::remove_file(upload).unwrap();
    let counters = serve.counters(Signal::SIGTERM);
    assert_eq!(count(&counters, "http_connections"), 20, "{counters:?}");
    assert_eq!(count(&counters, "tcp_rto_fired"), 0, "{counters:?}");
    assert_eq!(count(&counters, "tcp_accepted"), 20, "{counters:?}");
    assert!(!ip("-o link").contains("nl0"), "the device is gone");
}

fn small_services() {
    let path = file("kernel-serve.pcapng");
    let serve = Tool::serve(Link::TAP, &["--capture", path.to_str().unwrap()]);
    for v6 in [false, true] {
        let mut echo = kernel_connect((ours(v6), 7).into());
        let text = body(10_000);
        echo.write_all(&text).unwrap();
        let mut got = vec![0; text.len()];
        echo.read_exact(&mut got).unwrap();
        assert!(got == text);
        echo.shutdown(Shutdown::Write).unwrap();
        assert_eq!(echo.read(&mut got).unwrap(), 0);
        kernel_connect((ours(v6), 9).into())
            .write_all(&text)
            .unwrap();
        let mut generated = vec![0; 100_000];
        let mut chargen = kernel_connect((ours(v6), 19).into());
        chargen.read_exact(&mut generated).unwrap();
        assert!(generated.starts_with(b" !\"#$%&'()*+,-./0123456789"));
        drop(chargen);
        let any = if v6 { "[::]:0" } else { "0.0.0.0:0" };
        let udp = UdpSocket::bind(any).unwrap();
        udp.set_read_timeout(Some(PATIENCE)).unwrap();
        udp.send_to(b"echo", (ours(v6), 7)).unwrap();
        let (len, from) = udp.recv_from(&mut got).unwrap();
        assert_eq!((&got[..len], from), (&b"echo"[..], (ours(v6), 7).into()));
    }
    // The counters so far, as often as they are asked for, and an empty line.
    for _ in 0..2 {
        serve.signal(Signal::SIGUSR1);
        let lines: Vec<_> = serve
            .lines
            .iter()
            .take_while(|line| !line.is_empty())
            .collect();
        assert!(
            lines.contains(&"echo_connections 2".to_owned()),
            "{lines:?}"
        );
    }
    let counters = serve.counters(Signal::SIGINT);
    assert_eq!(count(&counters, "echo_connections"), 2, "{counters:?}");
    assert_eq!(count(&counters, "datagrams"), 2, "{counters:?}");
    let seen = count(&counters, "capture_seen");
    assert!(
        seen > 0 && count(&counters, "capture_lost") == 0,
        "{counters:?}"
    );
    let lines = dumped(&path);
    assert_eq!(lines.len() as u64, seen + 1, "a line each, and the count");
    fs::remove_file(path).unwrap();
}

/// What `dump --read` prints.
fn dumped(path: &Path) -> Vec<String> {
    let output = Command::new(NETLOOM)
        .args(["dump", "--read"])
        .arg(path)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn ends_amid_a_transfer() {
    let serve = Tool::serve(Link::TAP, &[]);
    let mut stream = kernel_connect((ours(false), 80).into());
    stream
        .write_all(b"GET /bytes/1000000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut buf = vec![0; 1 << 20];
    stream.read_exact(&mut buf).unwrap();
    // A client that goes on reading, and one that does not.
    let mut idle = kernel_connect((ours(true), 80).into());
    idle.write_all(b"GET /bytes/1000000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    idle.read_exact(&mut [0]).unwrap();
    let reader = thread::spawn(move || while stream.read(&mut buf).is_ok_and(|len| len > 0) {});
    let before = Clock::now();
    let counters = serve.counters(Signal::SIGTERM);
    let took = before.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(count(&counters, "http_connections"), 2, "{counters:?}");
    reader.join().unwrap();
}

/// A signal ends `send` and `get` at once: the peer is told, the status says that it is not done.
fn clients_end() {
    for (command, option) in [("send", "--to"), ("get", "--url")] {
        let (listener, at) = waiting_listener(false);
        let url = format!("http://{at}/");
        let to = if command == "get" {
            url
        } else {
            at.to_string()
        };
        let mut args = vec![option, &to];
        if command == "send" {
            args.extend(["--seconds", "100"]);
        }
        let mut tool = start_client(Link::TAP, command, &args);
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || {
            // The client of `get` throws it away; `send` says more than it hears.
            let head = b"HTTP/1.1 200 OK\r\n\r\n";
            writer.write_all(head).unwrap();
            while writer.write(&[0; 65_536]).is_ok() {}
        });
        if command == "send" {
            stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
        }
        let before = Clock::now();
        thread::sleep(Duration::from_millis(100));
        tool.signal(Signal::SIGTERM);
        // Either way the peer hears of an end, by a FIN or a reset.
        let mut buf = vec![0; 1 << 20];
        while stream.read(&mut buf).is_ok_and(|len| len > 0) {}
        stream.shutdown(Shutdown::Both).ok();
        let (status, lines, errors) = tool.end();
        assert!(before.elapsed() < Duration::from_secs(4), "{command}");
        assert_eq!(
            status.code(),
            Some(1),
            "{command}: {status}, {lines:?} {errors}"
        );
        assert_eq!(errors, "netloom: stopped by a signal\n", "{command}");
        writing.join().unwrap();
        assert!(!ip("-o link").contains("nl0"), "the device is gone");
    }
}

fn serve_without_interface() {
    let mut serve = Tool::serve(Link::TUN, &[]);
    ip("link del nl0");
    let before = Clock::now();
    let (status, lines, errors) = serve.end();
    assert!(
        before.elapsed() < Duration::from_secs(1),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.lines().count() == 1 && errors.contains("deleted; leave the interface"),
        "{errors}"
    );
    assert!(!lines.is_empty(), "the counters are printed");
}

/// Covers: UDP-9, UDP-10: who is connected to one of its addresses hears no other.
fn answers_from_where_it_was_asked() {
    let more = ["--address", "10.7.0.3/24", "--address", "fd07::3/64"];
    let serve = Tool::serve(Link::TAP, &more);
    for (any, to) in [
        ("0.0.0.0:0", "10.7.0.2:7"),
        ("0.0.0.0:0", "10.7.0.3:7"),
        ("[::]:0", "[fd07::2]:7"),
        ("[::]:0", "[fd07::3]:7"),
    ] {
        let udp = UdpSocket::bind(any).unwrap();
        udp.set_read_timeout(Some(PATIENCE)).unwrap();
        udp.connect(to).unwrap();
        udp.send(to.as_bytes()).unwrap();
        let mut got = [0; 64];
        let len = udp.recv(&mut got).expect(to);
        assert_eq!(&got[..len], to.as_bytes());
    }
    let counters = serve.counters(Signal::SIGTERM);
    assert_eq!(count(&counters, "datagrams"), 4, "{counters:?}");
}

/// All connections are held: others hear of it, `/stats` is there, and a head that drips in is cut.
fn full_serve() {
    let more = ["--connections", "2", "--connections-per-peer", "2"];
    let serve = Tool::serve(Link::TAP, &more);
    let held = [(); 2].map(|()| kernel_connect((ours(false), 80).into()));
    let refused = curl(&["--include", "http://10.7.0.2/bytes/1"]);
    assert_eq!(refused.status.code(), Some(22), "503 for --fail");
    let put = curl(&["--upload-file", "/etc/hostname", "http://10.7.0.2/x"]);
    assert_eq!(put.status.code(), Some(22), "503 for --fail");
    let stats = fetched(&["http://10.7.0.2/stats"]);
    let stats: serde_json::Value = serde_json::from_slice(&stats).unwrap();
    assert_eq!(stats["served"]["http_connections"], 2, "{stats}");
    let mut slow = kernel_connect((ours(true), 80).into());
    let begun = Clock::now();
    slow.set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut answer = vec![0; 200];
    let len = loop {
        slow.write_all(b"G").unwrap();
        match slow.read(&mut answer) {
            Ok(len) => break len,
            Err(_) => assert!(begun.elapsed() < Duration::from_secs(5), "it may drip"),
        }
    };
    let answer = String::from_utf8_lossy(&answer[..len]);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    drop(held);
    eventually("a slot is free", PATIENCE, || {
        curl(&["http://10.7.0.2/bytes/1"]).status.success()
    });
    let counters = serve.counters(Signal::SIGTERM);
    assert!(count(&counters, "turned_away") >= 4, "{counters:?}");
}

/// The link's options, for a client at 10.7.0.2.
const ON_TAP: [&str; 6] = [
    "--tap",
    "nl%d",
    "--kernel-address",
    "10.7.0.1/24",
    "--address",
    "10.7.0.2/24",
];

/// Whoever reads standard output goes first, as in `| head -0`: no panic, no failure.
fn closed_stdout() {
    let (web, sink) = (TcpListener::bind("[::]:80"), TcpListener::bind("[::]:9"));
    let (web, sink) = (web.unwrap(), sink.unwrap());
    thread::spawn(move || {
        let (mut stream, _) = web.accept().unwrap();
        stream.read_exact(&mut [0; 16]).unwrap();
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    thread::spawn(move || {
        let (mut stream, _) = sink.accept().unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    let rows: [&[&str]; 4] = [
        &["ping", "-i", "0.01", "10.7.0.1"],
        &["get", "--url", "http://10.7.0.1/"],
        &["send", "--to", "10.7.0.1:9", "--bytes", "1000"],
        &["serve"],
    ];
    for row in rows {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(NETLOOM);
        command.args(row).args(ON_TAP).stdin(Stdio::null());
        let output = command.stdout(writer).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{row:?}: {errors}");
        assert_eq!(errors, "netloom: the interface is nl0\n", "{row:?}");
    }
}

fn cures() {
    let rows: [(&[&str], &[&str]); 6] = [
        (
            &["ping", "192.0.2.1"],
            &["192.0.2.1: no route to 192.0.2.1", "add --gateway IP"],
        ),
        (
            &["ping", "-c", "1", "10.7.0.77"],
            &["10.7.0.77 did not answer", "is it up?"],
        ),
        (
            &["get", "--url", "http://10.7.0.1:81/"],
            &["10.7.0.1:81: ", "does anything listen there?"],
        ),
        (
            &["send", "--to", "10.7.0.77:9"],
            &["10.7.0.77:9: ", "is it up?"],
        ),
        (
            &["serve", "--capture", "/nowhere/x.pcapng"],
            &["/nowhere/x.pcapng", "No such file", "may write"],
        ),
        (
            &["serve", "--address", "fd07::2/64", "--mtu", "600"],
            &["fd07::2/64 needs an MTU of at least 1280, the device has 600"],
        ),
    ];
    for (row, parts) in rows {
        let output = Command::new(NETLOOM).args(row).args(ON_TAP).output();
        let output = output.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{row:?}: {errors}");
        let errors = errors
            .strip_prefix("netloom: the interface is nl0\n")
            .unwrap();
        assert_eq!(errors.lines().count(), 1, "{row:?}: {errors}");
        for part in parts {
            assert!(errors.contains(part), "{row:?}: {errors}");
        }
    }
}

/// A command of the client side, whose interface it makes itself; its output and its errors.
pub(crate) fn client(link: Link, command: &str, args: &[&str]) -> (ExitStatus, String, String) {
    let (status, lines, errors) = start_client(link, command, args).end();
    (status, lines.join("\n"), errors)
}

fn start_client(link: Link, command: &str, args: &[&str]) -> Tool {
    let mut all = vec![command];
    all.extend(args);
    all.extend(match link.medium {
        Medium::Ethernet => ["--tap", "nl0"],
        Medium::Ip => ["--tun", "nl0"],
    });
    all.extend(["--kernel-address", "10.7.0.1/24", "--kernel-address"]);
    all.extend([
        "fd07::1/64",
        "--address",
        "10.7.0.2/24",
        "--address",
        "fd07::2/64",
    ]);
    if link.offload == Offload::None {
        all.push("--no-offload");
    }
    Tool::start(all)
}

/// A listener that the client reaches once its interface is there, and where that is.
fn waiting_listener(v6: bool) -> (TcpListener, SocketAddr) {
    let any = if v6 { "[::]:0" } else { "0.0.0.0:0" };
    let listener = TcpListener::bind(any).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, (kernel(v6), port).into())
}

fn get() {
    let path = file("kernel-get");
    for (link, v6) in [(Link::TAP, false), (Link::TUN, true)] {
        let (listener, at) = waiting_listener(v6);
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3000001\r\n\r\n";
            stream.write_all(head).unwrap();
            stream.write_all(&body(3_000_001)).unwrap();
            String::from_utf8(request).unwrap()
        });
        let url = format!("http://{at}/some/thing");
        let output = path.to_str().unwrap();
        let (status, text, errors) = client(link, "get", &["--url", &url, "--output", output]);
        assert!(status.success(), "{errors}");
        assert!(errors.contains("200 OK: 3000001 bytes in"), "{errors}");
        assert_eq!(text, "", "the body is in the file");
        assert!(fs::read(&path).unwrap() == body(3_000_001));
        let request = server.join().unwrap();
        assert!(request.starts_with("GET /some/thing HTTP/1."), "{request}");
    }
    fs::remove_file(path).unwrap();
    let (listener, at) = waiting_listener(false);
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.0 404 No\r\n\r\na line\n")
            .unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    });
    // What it says is standard output's, and no success.
    let (status, text, errors) = client(Link::TAP, "get", &["--url", &format!("http://{at}/")]);
    assert_eq!((status.code(), &text[..]), (Some(1), "a line"));
    assert!(
        errors.contains("the server answered HTTP/1.0 404 No"),
        "{errors}"
    );
    server.join().unwrap();
    let (status, _, errors) = client(Link::TAP, "get", &["--url", "http://10.7.0.1:9/"]);
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.lines().count() == 1 && errors.contains("refused"),
        "{errors}"
    );
}

/// `get --upload-file` puts a file; `--limit-rate` holds both ways to a rate.
fn put() {
    let path = file("kernel-put");
    fs::write(&path, body(300_000)).unwrap();
    let (listener, at) = waiting_listener(false);
    let server = thread::spawn(move || {
        let mut got = Vec::new();
        for answer in [0, 100_000] {
            let (mut stream, _) = listener.accept().unwrap();
            let end = b"\r\n\r\n";
            let mut request = Vec::new();
            let head = loop {
                let mut buf = [0; 65_536];
                let len = stream.read(&mut buf).unwrap();
                request.extend(&buf[..len]);
                if let Some(at) = request.windows(4).position(|four| four == end) {
                    break at + 4;
                }
            };
            let text = String::from_utf8_lossy(&request[..head]).into_owned();
            if text.starts_with("PUT /it HTTP/1.") {
                assert!(text.contains("\r\nContent-Length: 300000\r\n"), "{text}");
                let mut rest = vec![0; head + 300_000 - request.len()];
                stream.read_exact(&mut rest).unwrap();
                got = [&request[head..], &rest].concat();
                stream.write_all(b"HTTP/1.0 201 Made\r\n\r\ntaken").unwrap();
            } else {
                let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {answer}\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&vec![b'x'; answer]).unwrap();
            }
        }
        got
    });
    let url = format!("http://{at}/it");
    let rate = ["--limit-rate", "200K"];
    let put = ["--upload-file", path.to_str().unwrap()];
    let rows: [(&[&str], _, _); 2] = [(&put, 1.5, 5), (&[], 0.5, 100_000)];
    for (more, took, len) in rows {
        let args = [&["--url", &url], &rate[..], more].concat();
        let begun = Clock::now();
        let (status, text, errors) = client(Link::TAP, "get", &args);
        assert!(status.success(), "{errors}");
        assert_eq!(text.len(), len, "{errors}");
        let elapsed = begun.elapsed().as_secs_f64();
        assert!(elapsed >= took, "{elapsed} {errors}");
    }
    assert!(server.join().unwrap() == body(300_000));
    fs::remove_file(path).unwrap();
}

/// Several connections, a line each second; a peer that never reads is told of as one.
fn sends_to_many() {
    let (listener, at) = waiting_listener(false);
    let to = at.to_string();
    let server = thread::spawn(move || {
        let each = (0..3).map(|_| {
            let (mut stream, _) = listener.accept().unwrap();
            thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()).unwrap())
        });
        let each: Vec<_> = each.collect();
        let all: u64 = each.into_iter().map(|one| one.join().unwrap()).sum();
        (all, listener)
    });
    let args = ["--to", &to, "--seconds", "1.5", "--parallel", "3"];
    let (status, text, errors) = client(Link::TAP, "send", &args);
    assert!(status.success(), "{errors}");
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("   1 s: ") && lines[0].ends_with("bit/s"),
        "{text}"
    );
    let (all, listener) = server.join().unwrap();
    assert!(lines[1].starts_with(&format!("{all} bytes in ")), "{text}");

    let args = ["--to", &to, "--bytes", "1G", "--timeout", "1"];
    let (status, text, errors) = client(Link::TAP, "send", &args);
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(errors.lines().count() == 1, "{errors}");
    assert!(
        errors.contains(" bytes and nothing more for 1s; its window is closed"),
        "{errors}"
    );
    drop(listener);
}

fn send() {
    for link in Link::ALL {
        let (listener, at) = waiting_listener(false);
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap()
        });
        let (to, bytes) = (at.to_string(), "20000001");
        let (status, text, errors) = client(link, "send", &["--to", &to, "--bytes", bytes]);
        assert!(status.success(), "{errors}");
        assert!(text.contains("20000001 bytes in"), "{text}");
        assert!(
            text.contains("rtt") && text.contains(" 0 retransmits"),
            "{text}"
        );
        assert_eq!(server.join().unwrap(), 20_000_001);
    }
}

/// Against a kernel that asks, and agrees with who asks.
fn ecn() {
    fs::write("/proc/sys/net/ipv4/tcp_ecn", "1").expect("this namespace's settings");
    for (more, agreed) in [
        (&["--ecn", "off"][..], false),
        (&["--ecn", "accept"], true),
        (&[], true),
    ] {
        let serve = Tool::serve(Link::TAP, more);
        let stats = fetched(&["http://10.7.0.2/stats"]);
        let stats: serde_json::Value = serde_json::from_slice(&stats).unwrap();
        assert_eq!(stats["connections"][0]["ecn"], agreed, "{more:?} {stats}");
        serve.counters(Signal::SIGTERM);
    }
    for (how, agreed) in [("ask", true), ("accept", false)] {
        let (listener, at) = waiting_listener(false);
        let args = ["--to", &at.to_string(), "--seconds", "10", "--ecn", how];
        let sender = start_client(Link::TAP, "send", &args);
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap();
        let known = ss();
        let ecn = known.split_whitespace().any(|word| word == "ecn");
        assert_eq!(ecn, agreed, "{how}: {known}");
        drop((stream, sender));
    }
}

fn ping() {
    for (link, to) in [(Link::TAP, "10.7.0.1"), (Link::TUN, "fd07::1")] {
        let args = [to, "-c", "3", "-i", "0.2", "-s", "1000", "-W", "2"];
        let begun = Clock::now();
        let (status, text, errors) = client(link, "ping", &args);
        assert!(status.success(), "{errors}");
        assert!(begun.elapsed() >= Duration::from_millis(400), "{text}");
        for seq in 1..=3 {
            let reply = format!("\n1008 bytes from {to}: icmp_seq={seq} ttl=64 time=");
            assert!(text.contains(&reply), "{text}");
        }
        let summary = "\n3 packets transmitted, 3 received, 0% packet loss, time ";
        assert!(text.contains(summary), "{text}");
        assert!(text.contains("\nrtt min/avg/max/mdev = "), "{text}");
    }
    let (status, text, errors) = client(Link::TAP, "ping", &["192.0.2.1", "-c", "1"]);
    assert_eq!(status.code(), Some(1), "{text}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let args = ["10.7.0.77", "-c", "2", "-i", "0.1", "-W", "0.5"];
    let (status, text, _) = client(Link::TAP, "ping", &args);
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("\nno answer to icmp_seq=2\n"), "{text}");
    assert!(
        text.contains("\n2 packets transmitted, 0 received, 100% packet loss"),
        "{text}"
    );
    // A signal ends the requests; the summary comes all the same.
    let mut long = start_client(Link::TAP, "ping", &["10.7.0.1", "-c", "1000"]);
    let first = long.lines.iter().take(2).last().unwrap();
    assert!(first.contains("icmp_seq=1 "), "{first}");
    long.signal(Signal::SIGINT);
    let (status, lines, errors) = long.end();
    assert!(status.success(), "{errors}");
    assert!(
        lines.iter().any(|line| line.contains(" 0% packet loss")),
        "{lines:?}"
    );
}

fn dump_says_busy() {
    let _host = Link::TAP.host();
    let output = Command::new(NETLOOM)
        .args(["dump", "--tap", "nl0"])
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors.lines().count() == 1 && errors.contains("nl0 is busy"),
        "{errors}"
    );
}

fn dump_sees() {
    for kind in ["--tap", "--tun"] {
        let mut dump = Tool::start(["dump", kind, "nl0"]);
        eventually("the interface is there", PATIENCE, || {
            let shown = Command::new("ip")
                .args(["-o", "link", "show", "up", "nl0"])
                .output();
            shown.is_ok_and(|shown| shown.status.success() && !shown.stdout.is_empty())
        });
        ip("addr add 10.7.0.1/24 dev nl0");
        let socket = UdpSocket::bind("10.7.0.1:0").unwrap();
        let mut seen = Vec::new();
        let wanted = match kind {
            "--tap" => "10.7.0.2",
            _ => "10.7.0.2.7",
        };
        while !seen.iter().any(|line: &String| line.contains(wanted)) {
            // The next one in case the first went before the route was there.
            socket.send_to(b"anybody", "10.7.0.2:7").unwrap();
            let line = dump.lines.recv_timeout(PATIENCE);
            seen.push(line.unwrap_or_else(|_| panic!("{seen:?} {:?}", dump.end())));
        }
        dump.signal(Signal::SIGINT);
        let (status, lines, errors) = dump.end();
        assert!(status.success(), "{errors}");
        let total = lines.last().and_then(|line| line.split(' ').next());
        let expected = (seen.len() + lines.len() - 1).to_string();
        assert_eq!(total, Some(&expected[..]), "{seen:?} {lines:?}");
    }
}

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The table of a demo that has measured something in each row.
fn assert_table(output: &Output, first: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{} {errors} {text}", output.status);
    assert!(
        text.lines().next().is_some_and(|line| line.contains(first)),
        "{text}"
    );
    for unit in [(" us", 5), (" Gbit/s", 4), (" per second", 1)] {
        let rows = text.lines().filter(|line| line.contains(unit.0)).count();
        assert_eq!(rows, unit.1, "rows in{}: {text}", unit.0);
    }
    assert!(!text.contains(" 0.0 Gbit/s"), "{text}");
}

fn demo() {
    let path = file("kernel-demo.pcapng");
    let output = Command::new(NETLOOM)
        .args(["demo", "--seconds", "1", "--capture"])
        .arg(&path)
        .output()
        .unwrap();
    assert_table(&output, "over TAP");
    let lines = dumped(&path);
    let last = lines.last().unwrap();
    assert!(
        last.starts_with(&format!("{} packets", lines.len() - 1)),
        "{last}"
    );
    assert!(lines.len() > 1000, "{last}");
    fs::remove_file(path).unwrap();
}

/// A disk of one's own with the tool on it, for any user to run; `None` where that cannot be made.
fn for_all_users(name: &str) -> Option<(Disk, PathBuf)> {
    if fs::metadata("/proc/self/uid_map").is_err() || !owns_the_machine() {
        return None;
    }
    let disk = Path::new("/tmp").join(format!("netloom-{name}-{}", std::process::id()));
    let disk = private_disk(disk, "mode=0777");
    let tool = disk.0.join("netloom");
    fs::copy(NETLOOM, &tool).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    Some((disk, tool))
}

/// Is user 0 the machine's, and not that of a user namespace of one's own?
pub(crate) fn owns_the_machine() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let mut words = map.split_whitespace();
    words.next() == Some("0") && words.next() == Some("0")
}

fn demo_as_nobody(disk: &Path, tool: &Path) -> Output {
    Command::new("setpriv")
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
        ])
        .arg(tool)
        .args(["demo", "--seconds", "1", "--capture"])
        .arg(disk.join("run.pcapng"))
        .current_dir("/")
        .output()
        .unwrap()
}

/// Where everybody may open the node, as on most systems, an ordinary user needs no more rights.
fn ordinary_user() -> Option<String> {
    let Some((disk, tool)) = for_all_users("user") else {
        return Some("the tests run as an ordinary user already".to_owned());
    };
    let node = disk.0.join("tun");
    let mode = Mode::from_bits_truncate(0o666);
    if let Err(errno) = mknod(&node, SFlag::S_IFCHR, mode, makedev(10, 200)) {
        return Some(format!("no device node of its own: {errno}"));
    }
    fs::set_permissions(&node, fs::Permissions::from_mode(0o666)).unwrap();
    drop(Tap::builder().path(&node).name("nl1").open().unwrap());
    let bind = MsFlags::MS_BIND;
    mount(
        Some(&node),
        "/dev/net/tun",
        None::<&str>,
        bind,
        None::<&str>,
    )
    .unwrap();
    let output = demo_as_nobody(&disk.0, &tool);
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("no user namespace") {
        return Some("ordinary users may make no user namespace here".to_owned());
    }
    assert_table(&output, "over TAP");
    None
}

/// Without a driver the demo runs over the in-memory pair, and says why in one line.
fn no_driver() -> Option<String> {
    let Some((disk, tool)) = for_all_users("no-driver") else {
        return Some("the tests run as an ordinary user".to_owned());
    };
    let bind = MsFlags::MS_BIND;
    mount(
        Some("/dev/null"),
        "/dev/net/tun",
        None::<&str>,
        bind,
        None::<&str>,
    )
    .unwrap();
    assert_table(&demo_as_nobody(&disk.0, &tool), "in-memory pair");
    None
}
