//! What `serve` offers: echo, discard, chargen and HTTP, a bounded number of threads in all.
//!
//! RFC 862, RFC 863, RFC 864. *Owns* the accepting threads and the bound. *Does not* speak HTTP
//! (`http.rs`).

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use netloom::bytes::Bytes;
use netloom::host::{Host, TcpListener, TcpStream, UdpSocket};
use netloom::stack::ListenOptions;

use crate::http;

/// The most connections that one service serves at once, so that a full one leaves the others
/// alone; more wait in its listener's queue.
const CONNECTIONS: usize = 4096;
/// Stack bytes of a connection's thread: 4096 of them reserve 1 GiB of addresses, not of memory.
const THREAD_STACK: usize = 256 << 10;
/// Connections that may wait for a thread, per service.
const BACKLOG: usize = 1024;
/// How long a peer may be silent before its connection is closed.
const IDLE: Duration = Duration::from_secs(300);
/// How long and for how many bytes a finished HTTP connection waits for the peer's end, so that
/// the last response is not lost to a reset (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

const ECHO: u16 = 7;
const DISCARD: u16 = 9;
const CHARGEN: u16 = 19;
const HTTP: u16 = 80;

/// What was served, by service.
#[derive(Debug, Default)]
pub(crate) struct Served {
    echo: AtomicU64,
    discard: AtomicU64,
    chargen: AtomicU64,
    http: AtomicU64,
    datagrams: AtomicU64,
}

impl Served {
    /// Each count with its name.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 5] {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("echo_connections", of(&self.echo)),
            ("discard_connections", of(&self.discard)),
            ("chargen_connections", of(&self.chargen)),
            ("http_connections", of(&self.http)),
            ("datagrams", of(&self.datagrams)),
        ]
    }
}

/// What every connection's thread may use.
pub(crate) struct Context {
    pub(crate) served: Served,
    /// The JSON text of `/stats`.
    pub(crate) stats: Box<dyn Fn(&Served) -> String + Send + Sync>,
    block: Bytes,
    /// The chargen pattern, many times over: as large as a write is worth making.
    lines: Bytes,
}

impl Context {
    pub(crate) fn new(stats: impl Fn(&Served) -> String + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            served: Served::default(),
            stats: Box::new(stats),
            block: http::body_block(),
            lines: pattern().repeat(PATTERNS).into(),
        })
    }
}

type Handler = fn(&TcpStream, &Context) -> io::Result<()>;
type Answer = fn(&UdpSocket, &netloom::host::Datagram) -> io::Result<()>;

/// Starts all services; they end with the host. On return all of them listen.
pub(crate) fn start(host: &Host, context: &Arc<Context>) -> io::Result<()> {
    start_with(host, context, CONNECTIONS)
}

/// The same with this many connections for each service at once.
fn start_with(host: &Host, context: &Arc<Context>, connections: usize) -> io::Result<()> {
    let services: [(u16, Handler); 4] = [
        (ECHO, echo),
        (DISCARD, discard),
        (CHARGEN, chargen),
        (HTTP, web),
    ];
    for (port, handler) in services {
        let options = ListenOptions::new(host.tcp_options().clone())
            .backlog(BACKLOG)
            .dual_stack(true);
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let listener = host.tcp_listen_with(any, options)?;
        let context = Arc::clone(context);
        named("netloom-accept").spawn(move || accept(&listener, handler, connections, &context))?;
    }
    let datagrams: [(u16, Answer); 3] = [
        (ECHO, echo_datagram),
        (DISCARD, discard_datagram),
        (CHARGEN, chargen_datagram),
    ];
    for any in [
        IpAddr::from(Ipv4Addr::UNSPECIFIED),
        Ipv6Addr::UNSPECIFIED.into(),
    ] {
        for (port, answer) in datagrams {
            let socket = host.udp_bind((any, port))?;
            let context = Arc::clone(context);
            named("netloom-udp").spawn(move || serve_datagrams(&socket, answer, &context))?;
        }
    }
    Ok(())
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(THREAD_STACK)
}

/// Gives each connection a thread, as long as there are slots.
fn accept(listener: &TcpListener, handler: Handler, connections: usize, context: &Arc<Context>) {
    let (take, free): (Sender<()>, Receiver<()>) = bounded(connections);
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        if take.send(()).is_err() {
            return;
        }
        let (worker, slot) = (Arc::clone(context), free.clone());
        let started = named("netloom-serve").spawn(move || {
            // How a peer ends its connection is its own business.
            let _ = serve(&stream, handler, &worker);
            drop(stream);
            let _ = slot.recv();
        });
        if started.is_err() {
            // No more threads: the connection was closed with the closure; its slot is free again.
            let _ = free.recv();
        }
    }
}

fn serve(stream: &TcpStream, handler: Handler, context: &Context) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    handler(stream, context)
}

/// RFC 862.
fn echo(stream: &TcpStream, context: &Context) -> io::Result<()> {
    context.served.echo.fetch_add(1, Ordering::Relaxed);
    // What comes in small pieces goes out at once: an echo is a request and its answer.
    stream.set_nodelay(true)?;
    loop {
        let chunk = stream.read_chunk(usize::MAX)?;
        if chunk.is_empty() {
            return stream.shutdown(Shutdown::Write);
        }
        stream.write_all_chunk(chunk)?;
    }
}

/// RFC 863.
fn discard(stream: &TcpStream, context: &Context) -> io::Result<()> {
    context.served.discard.fetch_add(1, Ordering::Relaxed);
    while !stream.read_chunk(usize::MAX)?.is_empty() {}
    Ok(())
}

/// RFC 864: lines of 72 characters until the peer has had enough.
fn chargen(stream: &TcpStream, context: &Context) -> io::Result<()> {
    context.served.chargen.fetch_add(1, Ordering::Relaxed);
    loop {
        stream.write_all_chunk(context.lines.clone())?;
    }
}

fn web(stream: &TcpStream, context: &Context) -> io::Result<()> {
    context.served.http.fetch_add(1, Ordering::Relaxed);
    stream.set_nodelay(true)?;
    let pages = http::Pages {
        stats: &|| (context.stats)(&context.served),
        block: context.block.clone(),
    };
    http::serve(Web(stream), &pages)?;
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LINGER))?;
    let mut left = LINGER_BYTES;
    while left > 0 {
        match stream.read_chunk(left)?.len() {
            0 => break,
            len => left -= len,
        }
    }
    Ok(())
}

/// A connection whose bodies are written without a copy.
struct Web<'a>(&'a TcpStream);

impl io::Read for Web<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Web<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl http::Stream for Web<'_> {
    fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0.write_all_chunk(bytes)
    }
}

fn serve_datagrams(socket: &UdpSocket, answer: Answer, context: &Context) {
    loop {
        match socket.recv_datagram() {
            Ok(datagram) => {
                context.served.datagrams.fetch_add(1, Ordering::Relaxed);
                // Two such services must not keep each other busy for ever.
                if datagram.from.port() >= 1024 {
                    let _ = answer(socket, &datagram);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return,
            Err(error) if error.kind() == io::ErrorKind::NetworkDown => return,
            // A peer's ICMP error for an answer of ours.
            Err(_) => {}
        }
    }
}

fn echo_datagram(socket: &UdpSocket, datagram: &netloom::host::Datagram) -> io::Result<()> {
    socket.send_chunk(&datagram.data, Some(datagram.from))
}

fn discard_datagram(_: &UdpSocket, _: &netloom::host::Datagram) -> io::Result<()> {
    Ok(())
}

/// One line of the pattern, however long the request: little to gain for who forges a source.
fn chargen_datagram(socket: &UdpSocket, datagram: &netloom::host::Datagram) -> io::Result<()> {
    socket.send_chunk(&Bytes::from(line(0)), Some(datagram.from))
}

/// How often the chargen pattern is repeated in one write: about 0.9 MB.
const PATTERNS: usize = 128;
/// Characters of a line (RFC 864).
const LINE: usize = 72;
/// The printable characters, from the space to the tilde.
const PRINTABLE: u8 = 95;

/// The pattern from its first line until it repeats.
fn pattern() -> Vec<u8> {
    (0..PRINTABLE).flat_map(line).collect()
}

/// One line, which begins with this printable character.
fn line(first: u8) -> Vec<u8> {
    let printable = (b' '..=b'~').cycle().skip(usize::from(first));
    printable.take(LINE).chain(*b"\r\n").collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use netloom::device::{Medium, pair};

    use super::*;

    /// Far longer than anything here takes; only a bug reaches it.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Idle connections fill the echo service; HTTP answers, and echo again when one ends.
    #[test]
    fn a_full_service_leaves_the_others_alone() {
        let (ours, theirs) = pair(Medium::Ethernet, 1500);
        let spawn = |device, address: &str| {
            let address = address.parse().unwrap();
            Host::builder(device).address(address).spawn().unwrap()
        };
        let server = spawn(ours, "10.7.0.2/24");
        let client = spawn(theirs, "10.7.0.1/24");
        let context = Context::new(|_| "{}\n".to_owned());
        start_with(&server, &context, 2).unwrap();
        let connect = |port| {
            let stream = client.tcp_connect(("10.7.0.2", port)).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        };
        let mut idle: Vec<_> = (0..3).map(|_| connect(ECHO)).collect();
        let mut web = connect(HTTP);
        web.write_all(b"GET /stats HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        web.read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        idle.remove(0);
        for stream in &mut idle {
            stream.write_all(b"echo").unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
        }
    }

    #[test]
    fn the_pattern_turns_by_one_character_a_line_and_repeats() {
        let text = pattern();
        let lines: Vec<&[u8]> = text.chunks(LINE + 2).collect();
        assert_eq!(lines.len(), 95);
        assert!(lines.iter().all(|line| line.ends_with(b"\r\n")));
        assert!(lines[0].starts_with(b" !\"#") && lines[1].starts_with(b"!\"#$"));
        assert!(lines[94].starts_with(b"~ !"));
    }
}
