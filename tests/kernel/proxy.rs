//! `netloom proxy` before real SOCKS5 servers: what programs in one namespace ask for is in another, behind the proxy alone.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use netloom::bytes::Bytes;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};

use crate::link::{PATIENCE, eventually};
use crate::namespace::{Case, ip};
use crate::paths::Place;
use crate::programs::{Peer, listening, path_of};
use crate::tool::{Tool, body, count, fetched, file};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("proxy::carries_both_ways_to_each_end", both_ways),
        with("microsocks", "tells_what_the_proxy_says", refusals),
        Case::new("proxy::resets_are_passed_on", resets),
        Case::new("proxy::resets_behind_an_end_are_passed_on", late_resets),
        with("microsocks", "serves_curl_and_iperf", programs),
        with("microsocks", "many_at_once", many),
        with("microsocks", "one_at_a_time_is_of_either_family", one),
        with(
            "microsocks",
            "a_proxy_without_udp_is_asked_once",
            without_udp,
        ),
        with("danted", "passes_on_datagrams", datagrams),
    ]
}

fn with(program: &'static str, name: &str, test: fn()) -> Case {
    Case::with_reason(format!("proxy::{name}"), move || {
        let there = path_of(program).is_some();
        if there {
            test();
        }
        (!there).then(|| format!("there is no {program} (microsocks, dante-server)"))
    })
}

const SITES: [&str; 2] = ["192.0.2.7", "2001:db8::7"];

/// The world outside: a namespace that nothing leads to but its SOCKS5 server.
struct Outside {
    place: Place,
    server: Option<Peer>,
}

/// One without that.
fn bare() -> Outside {
    let place = Place::new();
    ip(&format!(
        "link add v0 type veth peer name v1 netns {}",
        place.thread
    ));
    ip("addr add 10.9.0.1/24 dev v0");
    ip("link set v0 up");
    place.run(move || {
        for words in [
            "link set lo up",
            "addr add 10.9.0.2/24 dev v1",
            "link set v1 up",
            "addr add 192.0.2.7/32 dev lo",
            "addr add 2001:db8::7/128 dev lo nodad",
        ] {
            ip(words);
        }
    });
    Outside {
        place,
        server: None,
    }
}

fn outside(server: fn() -> Command) -> Outside {
    let mut outside = bare();
    let server = outside.place.run(move || {
        let mut server = server();
        server.stdin(Stdio::null()).stdout(Stdio::null());
        server.stderr(Stdio::null()).spawn().unwrap()
    });
    outside.server = Some(Peer::of(server));
    eventually("the SOCKS5 server listens", PATIENCE, || {
        outside.place.run(|| listening(false, 1080))
    });
    outside
}

fn microsocks() -> Command {
    let mut command = Command::new("microsocks");
    command.args(["-i", "10.9.0.2", "-p", "1080"]);
    command
}

fn proxy(more: &[&str]) -> Tool {
    let mut args = vec!["proxy", "--tun", "nl0", "--socks5", "10.9.0.2:1080"];
    args.extend([
        "--kernel-address",
        "10.7.0.1/24",
        "--address",
        "10.7.0.2/24",
    ]);
    args.extend(["--kernel-address", "fd07::1/64", "--address", "fd07::2/64"]);
    args.extend(more);
    let tool = Tool::ready(args);
    ip("route add 192.0.2.0/24 dev nl0");
    ip("route add 203.0.113.0/24 dev nl0");
    ip("route add 2001:db8::/32 dev nl0");
    tool
}

impl Outside {
    /// Accepts so many times there.
    fn served(
        &self,
        at: &str,
        times: usize,
        serve: impl Fn(TcpStream) + Send + 'static,
    ) -> JoinHandle<()> {
        let at = at.to_owned();
        let listener = self.place.run(move || TcpListener::bind(at).unwrap());
        thread::spawn(move || {
            for _ in 0..times {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                serve(stream);
            }
        })
    }
}

fn connect(to: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A SOCKS5 server that keeps what programs made for it do not: half-closed connections, and resets.
fn plain(outside: &Place) {
    let listener = outside.run(|| TcpListener::bind("10.9.0.2:1080").unwrap());
    let namespace = format!("/proc/self/task/{}/ns/net", outside.thread);
    thread::spawn(move || {
        // Its connections are of that namespace.
        let namespace = fs::File::open(namespace).unwrap();
        setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let outer = greet(&stream);
            let pairs = [(&stream, &outer), (&outer, &stream)];
            for (from, to) in pairs.map(|(a, b)| (a.try_clone().unwrap(), b.try_clone().unwrap())) {
                thread::spawn(move || match io::copy(&mut &from, &mut &to) {
                    Ok(_) => drop(to.shutdown(Shutdown::Write)),
                    Err(_) => {
                        [&from, &to].into_iter().for_each(reset_when_closed);
                    }
                });
            }
        }
    });
}

/// Has it go by a RST, when the thread that reads it has found out too.
fn reset_when_closed(stream: &TcpStream) {
    let reset = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(stream, sockopt::Linger, &reset).unwrap();
    let _ = stream.shutdown(Shutdown::Read);
}

/// Answers a CONNECT, when it has done so.
fn greet(stream: &TcpStream) -> TcpStream {
    let outer = TcpStream::connect(asked(stream)).unwrap();
    said_yes(stream);
    outer
}

fn said_yes(mut stream: &TcpStream) {
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
}

/// Whom it is asked to connect to.
fn asked(mut stream: &TcpStream) -> SocketAddr {
    let mut text = [0; 256];
    stream.read_exact(&mut text[..3]).unwrap();
    assert_eq!(text[..3], [5, 1, 0]);
    stream.write_all(&[5, 0]).unwrap();
    stream.read_exact(&mut text[..4]).unwrap();
    let ip: IpAddr = if text[3] == 1 {
        stream.read_exact(&mut text[..4]).unwrap();
        IpAddr::from(<[u8; 4]>::try_from(&text[..4]).unwrap())
    } else {
        stream.read_exact(&mut text[..16]).unwrap();
        IpAddr::from(<[u8; 16]>::try_from(&text[..16]).unwrap())
    };
    stream.read_exact(&mut text[..2]).unwrap();
    let port = u16::from_be_bytes([text[0], text[1]]);
    (ip, port).into()
}

/// Each direction ends by itself, and carries more than all buffers hold.
fn both_ways() {
    const LEN: usize = 30_000_000;
    let outside = bare();
    plain(&outside.place);
    let tool = proxy(&[]);
    for site in SITES.map(|site| SocketAddr::new(site.parse().unwrap(), 80).to_string()) {
        let server = outside.served(&site, 1, |mut stream| {
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            assert!(heard == body(LEN));
            stream.write_all(&heard).unwrap();
        });
        let mut stream = connect(&site).unwrap();
        stream.write_all(&body(LEN)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer == body(LEN), "{}", answer.len());
        server.join().unwrap();
    }
    let counters = tool.counters(Signal::SIGINT);
    assert_eq!(count(&counters, "proxy_connections"), 2);
    assert_eq!(count(&counters, "proxy_broken"), 0);
}

fn resets() {
    let outside = bare();
    plain(&outside.place);
    let tool = proxy(&[]);
    let server = outside.served("192.0.2.7:80", 1, |mut stream| {
        stream.write_all(b"some").unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        reset_when_closed(&stream);
    });
    let mut stream = connect("192.0.2.7:80").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    stream.write_all(b"more").unwrap();
    let broken = stream.read(&mut [0; 4]).unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
    server.join().unwrap();
    // The other way round.
    let server = outside.served("192.0.2.7:82", 1, |mut stream| {
        stream.read_exact(&mut [0; 4]).unwrap();
        let broken = stream.read(&mut [0; 4]).unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
    });
    let mut stream = connect("192.0.2.7:82").unwrap();
    stream.write_all(b"some").unwrap();
    reset_when_closed(&stream);
    drop(stream);
    server.join().unwrap();
    let counters = tool.counters(Signal::SIGINT);
    assert_eq!(count(&counters, "proxy_broken"), 2);
}

/// A reset behind the end of what was said, while the other end is silent: it reaches that all the same, either way.
fn late_resets() {
    let outside = bare();
    let listener = outside
        .place
        .run(|| TcpListener::bind("10.9.0.2:1080").unwrap());
    let tool = proxy(&[]);
    let failed = |stream: &TcpStream| {
        eventually("the other end is told of the reset", PATIENCE, || {
            stream.take_error().unwrap().is_some()
        });
    };
    let pair = || {
        let inner = thread::spawn(|| connect("192.0.2.7:80").unwrap());
        let (outer, _) = listener.accept().unwrap();
        assert_eq!(asked(&outer).port(), 80);
        said_yes(&outer);
        (inner.join().unwrap(), outer)
    };
    for way in 0..2 {
        let (inner, outer) = pair();
        let (near, mut far) = if way == 0 {
            (inner, outer)
        } else {
            (outer, inner)
        };
        near.shutdown(Shutdown::Write).unwrap();
        assert_eq!(far.read(&mut [0; 4]).unwrap(), 0);
        reset_when_closed(&near);
        drop(near);
        failed(&far);
    }
    let counters = tool.counters(Signal::SIGINT);
    assert_eq!(count(&counters, "proxy_broken"), 2);
}

fn refusals() {
    let mut outside = outside(microsocks);
    let mut tool = proxy(&["--timeout", "2"]);
    let refused = |to: &str| connect(to).unwrap_err().kind();
    assert_eq!(refused("192.0.2.7:81"), ErrorKind::ConnectionRefused);
    assert_eq!(refused("[2001:db8::7]:81"), ErrorKind::ConnectionRefused);
    // No route leads there.
    assert_eq!(refused("203.0.113.1:80"), ErrorKind::NetworkUnreachable);
    // A proxy that is gone.
    drop(outside.server.take());
    assert_eq!(refused("192.0.2.7:80"), ErrorKind::NetworkUnreachable);
    let text = tool.noted();
    assert!(text.contains("10.9.0.2:1080"), "{text}");
    // One that says nothing.
    let _listener = outside
        .place
        .run(|| TcpListener::bind("10.9.0.2:1080").unwrap());
    let to = "192.0.2.7:80".parse().unwrap();
    let silent = TcpStream::connect_timeout(&to, Duration::from_secs(4)).unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::TimedOut);
    let (status, errors) = tool.ended(Signal::SIGINT);
    assert!(status.success() && errors.is_empty(), "{status} {errors}");
}

fn programs() {
    let outside = outside(microsocks);
    let tool = proxy(&[]);
    let len = 5_000_000;
    let server = outside.served("192.0.2.7:80", 1, move |mut stream| {
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).unwrap() > 0);
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        stream.write_all(&body(len)).unwrap();
    });
    assert!(fetched(&["http://192.0.2.7/"]) == body(len));
    server.join().unwrap();
    if path_of("iperf3").is_some() {
        let server = outside.place.run(|| {
            let mut server = Command::new("iperf3");
            server.args(["-s", "-1", "-B", "192.0.2.7"]);
            server.stdout(Stdio::null()).spawn().unwrap()
        });
        let server = Peer::of(server);
        eventually("iperf3 listens", PATIENCE, || {
            outside.place.run(|| listening(false, 5201))
        });
        let mut client = Command::new("iperf3");
        client.args(["-c", "192.0.2.7", "-P", "4", "-t", "2", "--bidir"]);
        let output = client.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        server.end();
    }
    tool.counters(Signal::SIGINT);
}

/// Hundreds of connections stand, and each still speaks.
fn many() {
    const MANY: usize = 400;
    let outside = outside(microsocks);
    let tool = proxy(&[]);
    let server = outside.served("192.0.2.7:80", MANY, |mut stream| {
        thread::spawn(move || {
            let mut buf = [0; 4];
            stream.read_exact(&mut buf).unwrap();
            stream.write_all(&buf).unwrap();
        });
    });
    let mut all: Vec<_> = (0..MANY)
        .map(|_| connect("192.0.2.7:80").unwrap())
        .collect();
    for (n, stream) in all.iter_mut().enumerate() {
        let said = (n as u32).to_be_bytes();
        stream.write_all(&said).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, said);
    }
    server.join().unwrap();
    let counters = tool.counters(Signal::SIGINT);
    assert_eq!(count(&counters, "proxy_connections"), MANY as u64);
}

/// Neither family keeps the other from being served.
fn one() {
    let outside = outside(microsocks);
    let tool = proxy(&["--connections", "1"]);
    for site in ["[2001:db8::7]:80", "192.0.2.7:80", "[2001:db8::7]:80"] {
        let server = outside.served(site, 1, |mut stream| stream.write_all(b"one").unwrap());
        let mut heard = Vec::new();
        let mut stream = connect(site).unwrap();
        stream.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"one");
        server.join().unwrap();
    }
    tool.counters(Signal::SIGINT);
}

/// microsocks has none; who goes on to send makes no connection to it for each datagram.
fn without_udp() {
    let _outside = outside(microsocks);
    let tool = proxy(&[]);
    let client = UdpSocket::bind("10.7.0.1:0").unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    for _ in 0..40 {
        client.send_to(b"anybody?", "192.0.2.7:53").unwrap();
        client.recv_from(&mut [0; 9]).unwrap_err();
    }
    let counters = tool.counters(Signal::SIGINT);
    assert_eq!(count(&counters, "proxy_flows"), 1);
    assert_eq!(count(&counters, "proxy_flows_refused"), 1);
}

const DANTE: &str = "internal: 10.9.0.2 port = 1080
external: v1
socksmethod: none
clientmethod: none
client pass {
  from: 0.0.0.0/0 to: 0.0.0.0/0
}
socks pass {
  from: 0.0.0.0/0 to: 0.0.0.0/0
  protocol: tcp udp
}
";

fn dante() -> Command {
    let config = file("danted.conf");
    fs::write(&config, DANTE).unwrap();
    let mut command = Command::new(path_of("danted").unwrap());
    command.arg("-f").arg(config);
    command
}

fn datagrams() {
    let outside = outside(dante);
    let tool = proxy(&["--idle", "1"]);
    let server = outside
        .place
        .run(|| UdpSocket::bind("192.0.2.7:53").unwrap());
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let echo = thread::spawn(move || {
        let mut buf = [0; 2000];
        let mut seen = Vec::new();
        for _ in 0..6 {
            let (len, from) = server.recv_from(&mut buf).unwrap();
            server.send_to(&buf[..len], from).unwrap();
            seen.push(from);
        }
        seen
    });
    let clients = [(); 2].map(|()| UdpSocket::bind("10.7.0.1:0").unwrap());
    for (n, client) in clients.iter().enumerate() {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        for len in [4, 1300, 1] {
            let said = Bytes::from(vec![n as u8; len]);
            client.send_to(&said, "192.0.2.7:53").unwrap();
            let mut buf = [0; 2000];
            let (heard, from) = client.recv_from(&mut buf).unwrap();
            assert_eq!(from, "192.0.2.7:53".parse().unwrap());
            assert_eq!(buf[..heard], said);
        }
    }
    let seen = echo.join().unwrap();
    // Each has a port of its own there, and keeps it.
    assert!(seen[..3].iter().all(|from| *from == seen[0]), "{seen:?}");
    assert!(seen[3..].iter().all(|from| *from == seen[3]) && seen[0] != seen[3]);
    let counters = tool.counters(Signal::SIGINT);
    assert_eq!(count(&counters, "proxy_flows"), 2);
    assert_eq!(count(&counters, "proxy_flows_refused"), 0);
}
