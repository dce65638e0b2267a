//! What `serve` offers: echo, discard and chargen, and the threads of all services, HTTP's too.
//!
//! RFC 862, RFC 863, RFC 864. *Owns* the accepting threads. *Does not* speak HTTP (`web.rs`,
//! `http.rs`) nor count connections (`slots.rs`), each of which has a thread.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use netloom::bytes::Bytes;
use netloom::host::{Host, TcpListener, TcpStream, UdpSocket};
use netloom::stack::ListenOptions;

use crate::http;
use crate::slots::Slots;
use crate::web;

/// Stack bytes of a connection's thread: 4096 of them reserve 1 GiB of addresses, not of memory.
const THREAD_STACK: usize = 256 << 10;
/// Connections that may wait for a thread, per service.
const BACKLOG: usize = 1024;
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
    pub(crate) http: AtomicU64,
    datagrams: AtomicU64,
    /// Connections that were refused because there were too many.
    pub(crate) turned_away: AtomicU64,
}

/// How many connections each TCP service has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// At once.
    pub(crate) connections: usize,
    /// The same of one peer.
    pub(crate) per_peer: usize,
}

impl Limits {
    fn slots(self) -> Arc<Slots> {
        Slots::new(self.connections, self.per_peer)
    }
}

impl Served {
    /// Each count with its name.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 6] {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("echo_connections", of(&self.echo)),
            ("discard_connections", of(&self.discard)),
            ("chargen_connections", of(&self.chargen)),
            ("http_connections", of(&self.http)),
            ("datagrams", of(&self.datagrams)),
            ("turned_away", of(&self.turned_away)),
        ]
    }
}

/// What every connection's thread may use.
pub(crate) struct Context {
    pub(crate) served: Served,
    /// The JSON text of `/stats`.
    pub(crate) stats: Box<dyn Fn(&Served) -> String + Send + Sync>,
    /// What HTTP's bodies are made of.
    pub(crate) block: Bytes,
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

type Handler = fn(&TcpStream, &Context, &Slots) -> io::Result<()>;
type Answer = fn(&UdpSocket, &netloom::host::Datagram) -> io::Result<()>;

/// Starts all services; they end with the host. On return all of them listen.
pub(crate) fn start(host: &Host, context: &Arc<Context>, limits: Limits) -> io::Result<()> {
    let services: [(u16, Handler); 3] = [(ECHO, echo), (DISCARD, discard), (CHARGEN, chargen)];
    for (port, handler) in services {
        let (listener, slots, context) = (listen(host, port)?, limits.slots(), Arc::clone(context));
        named("netloom-accept").spawn(move || accept(&listener, handler, &slots, &context))?;
    }
    let (listener, slots, web) = (listen(host, HTTP)?, limits.slots(), Arc::clone(context));
    named("netloom-accept").spawn(move || web::accept(&listener, &slots, &web))?;
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

/// Listens on this port of all addresses.
fn listen(host: &Host, port: u16) -> io::Result<TcpListener> {
    let options = ListenOptions::new(host.tcp_options().clone())
        .backlog(BACKLOG)
        .dual_stack(true);
    host.tcp_listen_with((Ipv6Addr::UNSPECIFIED, port), options)
}

/// A thread of this name with a small stack.
pub(crate) fn named(name: &str) -> thread::Builder {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(THREAD_STACK)
}

/// Gives each connection a thread. While all slots are taken the others wait in the listener's queue;
/// who has more than its share is reset.
fn accept(listener: &TcpListener, handler: Handler, slots: &Arc<Slots>, context: &Arc<Context>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        let Ok(slot) = stream.peer_addr().map(|peer| slots.take(peer.ip())) else {
            continue;
        };
        let Ok(slot) = slot else {
            context.served.turned_away.fetch_add(1, Ordering::Relaxed);
            let _ = stream.abort();
            continue;
        };
        let (context, slots) = (Arc::clone(context), Arc::clone(slots));
        // Without a thread the connection is closed and its slot free with the closure.
        let _ = named("netloom-serve").spawn(move || {
            let _slot = slot;
            // How a peer ends its connection is its own business.
            let _ = handler(&stream, &context, &slots);
        });
    }
}

/// RFC 862.
fn echo(stream: &TcpStream, context: &Context, slots: &Slots) -> io::Result<()> {
    context.served.echo.fetch_add(1, Ordering::Relaxed);
    // What comes in small pieces goes out at once: an echo is a request and its answer.
    stream.set_nodelay(true)?;
    loop {
        let chunk = read(stream, slots)?;
        if chunk.is_empty() {
            return stream.shutdown(Shutdown::Write);
        }
        write(stream, chunk, slots)?;
    }
}

/// RFC 863.
fn discard(stream: &TcpStream, context: &Context, slots: &Slots) -> io::Result<()> {
    context.served.discard.fetch_add(1, Ordering::Relaxed);
    while !read(stream, slots)?.is_empty() {}
    Ok(())
}

/// RFC 864: lines of 72 characters until the peer has had enough.
fn chargen(stream: &TcpStream, context: &Context, slots: &Slots) -> io::Result<()> {
    context.served.chargen.fetch_add(1, Ordering::Relaxed);
    loop {
        write(stream, context.lines.clone(), slots)?;
    }
}

/// Reads what comes from a peer that is not silent for too long.
fn read(stream: &TcpStream, slots: &Slots) -> io::Result<Bytes> {
    slots.unless_idle(|time| {
        stream.set_read_timeout(Some(time))?;
        stream.read_chunk(usize::MAX)
    })
}

/// Writes to a peer that does not leave its window closed for too long.
fn write(stream: &TcpStream, mut chunk: Bytes, slots: &Slots) -> io::Result<()> {
    while !chunk.is_empty() {
        slots.unless_idle(|time| {
            stream.set_write_timeout(Some(time))?;
            stream.write_chunk(&mut chunk)
        })?;
    }
    Ok(())
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
    socket.reply(datagram, &datagram.data.clone().into_bytes())
}

fn discard_datagram(_: &UdpSocket, _: &netloom::host::Datagram) -> io::Result<()> {
    Ok(())
}

/// One line of the pattern, however long the request: little to gain for who forges a source.
fn chargen_datagram(socket: &UdpSocket, datagram: &netloom::host::Datagram) -> io::Result<()> {
    socket.reply(datagram, &Bytes::from(line(0)))
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
    use std::io::{Read, Write};
    use std::time::Duration;

    use netloom::device::{Medium, pair};

    use super::*;

    /// Far longer than anything here takes; only a bug reaches it.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A served host and its client.
    struct World {
        _server: Host,
        client: Host,
    }

    impl World {
        fn new(connections: usize, per_peer: usize) -> Self {
            let (ours, theirs) = pair(Medium::Ethernet, 1500);
            let spawn = |device, addresses: &[&str]| {
                let mut builder = Host::builder(device);
                for address in addresses {
                    builder = builder.address(address.parse().unwrap());
                }
                builder.spawn().unwrap()
            };
            let server = spawn(ours, &["10.7.0.2/24"]);
            let client = spawn(theirs, &["10.7.0.1/24", "10.7.0.3/24"]);
            let context = Context::new(|served| format!("{:?}\n", served.counts()));
            let limits = Limits {
                connections,
                per_peer,
            };
            start(&server, &context, limits).unwrap();
            Self {
                _server: server,
                client,
            }
        }

        fn connect(&self, port: u16) -> TcpStream {
            let stream = self.client.tcp_connect(("10.7.0.2", port)).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        }

        /// What HTTP answers to this request, up to its end of the connection.
        fn get(&self, path: &str) -> String {
            let mut web = self.connect(HTTP);
            write!(web, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut page = String::new();
            web.read_to_string(&mut page).unwrap();
            page
        }
    }

    /// Idle connections fill the echo service; HTTP answers, and echo again when one ends.
    #[test]
    fn a_full_service_leaves_the_others_alone() {
        let world = World::new(2, 3);
        let mut idle: Vec<_> = (0..3).map(|_| world.connect(ECHO)).collect();
        let mut web = world.connect(HTTP);
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

    /// Who has its share of a service is turned away at once, and the others are served.
    #[test]
    fn a_peer_with_its_share_is_turned_away() {
        let world = World::new(4, 1);
        let mut first = world.connect(ECHO);
        let second = world.connect(ECHO);
        let error = second.read_chunk(1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        first.write_all(b"echo").unwrap();
        first.read_exact(&mut [0; 4]).unwrap();
    }

    /// All of HTTP's connections are held: others are told so at once, and the counters are there.
    #[test]
    fn a_full_http_says_so_and_shows_its_counters() {
        let world = World::new(3, 3);
        let held: Vec<_> = (0..3).map(|_| world.connect(HTTP)).collect();
        let refused = world.get("/bytes/1");
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
        assert!(refused.contains("\r\nConnection: close\r\n"), "{refused}");
        // More than all that may be heard beyond the slots do not speak: the oldest makes room.
        let silent: Vec<_> = (0..40).map(|_| world.connect(HTTP)).collect();
        let text = silent[0].read_chunk(usize::MAX).unwrap();
        assert!(text.starts_with(b"HTTP/1.1 503 "), "{text:?}");
        let stats = world.get("/stats");
        assert!(stats.starts_with("HTTP/1.1 200 OK"), "{stats}");
        assert!(stats.contains("(\"turned_away\", "), "{stats}");
        drop((silent, held));
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
