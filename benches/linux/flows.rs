//! Applications: bulk, rivals and replies, over sockets of the kernel's and of netloom's alike.

use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netloom::host::{self, ConnectOptions};
use netloom::stack::ListenOptions;
use nix::sys::socket::{setsockopt, sockopt};

use super::looks::Looks;
use super::rig::{Failed, Rig, Station};

/// A connection of either kind.
trait Stream: Read + Write + Send {
    /// Ends it with a RST: nothing of it goes on beside the next run.
    fn reset(self: Box<Self>);

    /// Another handle of netloom's, to ask it by.
    fn own(&self) -> Option<host::TcpStream> {
        None
    }
}

impl Stream for net::TcpStream {
    fn reset(self: Box<Self>) {
        let at_once = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let _ = setsockopt(&*self, sockopt::Linger, &at_once);
    }
}

impl Stream for host::TcpStream {
    fn reset(self: Box<Self>) {
        let _ = self.abort();
    }

    fn own(&self) -> Option<host::TcpStream> {
        self.try_clone().ok()
    }
}

/// Connections that are not over before the run is.
type Streams = Vec<Box<dyn Stream>>;

/// A listener of either kind.
enum Listener {
    Kernel(net::TcpListener),
    Own(host::TcpListener),
}

impl Listener {
    fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Kernel(listener) => {
                let stream = listener.accept()?.0;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(NAP))?;
                stream.set_write_timeout(Some(NAP))?;
                Box::new(stream)
            }
            Self::Own(listener) => {
                let stream = listener.accept()?.0;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(NAP))?;
                stream.set_write_timeout(Some(NAP))?;
                Box::new(stream)
            }
        })
    }
}

/// How long a call waits before it looks whether the run is over.
const NAP: Duration = Duration::from_millis(50);
/// A SYN that is lost twice in a row, and more.
const PATIENCE: Duration = Duration::from_secs(20);
const BLOCK: usize = 64 << 10;

fn listen(rig: &Rig, station: Station, port: u16) -> Result<Listener, Failed> {
    let at = station.at(port);
    Ok(match station {
        Station::Own => {
            let options = ListenOptions::new(rig.options());
            Listener::Own(rig.host.tcp_listen_with(at, options)?)
        }
        _ => Listener::Kernel(rig.within(station, || net::TcpListener::bind(at))??),
    })
}

fn connect(rig: &Rig, from: Station, to: SocketAddr) -> Result<Box<dyn Stream>, Failed> {
    if from == Station::Own {
        let options = ConnectOptions::new().tcp(rig.options()).timeout(PATIENCE);
        let stream = rig.host.tcp_connect_with(to, &options)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(NAP))?;
        stream.set_write_timeout(Some(NAP))?;
        return Ok(Box::new(stream));
    }
    let stream = rig.within(from, || net::TcpStream::connect_timeout(&to, PATIENCE))??;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(NAP))?;
    stream.set_write_timeout(Some(NAP))?;
    Ok(Box::new(stream))
}

fn is_a_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// Writes all it can until it is over.
fn pour(stream: &mut dyn Stream, over: &AtomicBool) {
    let block = vec![0x5a; BLOCK];
    while !over.load(Ordering::Relaxed) {
        match stream.write(&block) {
            Ok(_) => {}
            Err(error) if is_a_pause(&error) => {}
            Err(_) => return,
        }
    }
}

/// Reads all that comes until it is over.
fn drink(stream: &mut dyn Stream, taken: &AtomicU64, over: &AtomicBool) {
    let mut block = vec![0; 4 * BLOCK];
    while !over.load(Ordering::Relaxed) {
        match stream.read(&mut block) {
            Ok(0) => return,
            Ok(len) => {
                taken.fetch_add(len as u64, Ordering::Relaxed);
            }
            Err(error) if is_a_pause(&error) => {}
            Err(_) => return,
        }
    }
}

/// Who sends, to whom, and where those listen.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    pub(crate) from: Vec<Station>,
    pub(crate) to: Station,
    /// One for each sender.
    pub(crate) ports: Vec<u16>,
}

/// When what counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// From the start of a flow to that of the next.
    pub(crate) apart: Duration,
    /// From the last start until what counts.
    pub(crate) skip: Duration,
    /// What counts.
    pub(crate) time: Duration,
}

impl Span {
    /// From the first start of so many flows.
    pub(crate) fn whole(&self, flows: usize) -> Duration {
        let apart = self.apart * u32::try_from(flows.saturating_sub(1)).unwrap_or(0);
        apart + self.skip + self.time
    }
}

/// Bytes that arrived, of each sender, in the time that counts. `end` is called when it is over and
/// nothing has been reset yet. What senders say of themselves goes to `looks`, if it is wanted.
pub(crate) fn bulk<T>(
    rig: &Rig,
    ends: &Ends,
    span: Span,
    looks: Option<&Looks>,
    end: impl FnOnce() -> Result<T, Failed>,
) -> Result<(Vec<u64>, T), Failed> {
    let over = AtomicBool::new(false);
    let taken: Vec<AtomicU64> = ends.from.iter().map(|_| AtomicU64::new(0)).collect();
    let counts = || -> Vec<u64> {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        taken.iter().map(load).collect()
    };
    thread::scope(|scope| {
        let start = |at: usize| -> Result<(), Failed> {
            let (port, over, count) = (ends.ports[at], &over, &taken[at]);
            let listener = listen(rig, ends.to, port)?;
            let mut sender = connect(rig, ends.from[at], ends.to.at(port))?;
            if let Some(looks) = looks {
                let (from, own) = (ends.from[at], sender.own());
                scope.spawn(move || looks.watch(rig, (from, port), own, over));
            }
            // The sender first: its text may stand for a lost ACK of the handshake.
            scope.spawn(move || {
                pour(&mut *sender, over);
                sender.reset();
            });
            scope.spawn(move || {
                if let Ok(mut receiver) = listener.accept() {
                    drink(&mut *receiver, count, over);
                    receiver.reset();
                }
            });
            Ok(())
        };
        let measure = || -> Result<Vec<u64>, Failed> {
            for at in 0..ends.from.len() {
                if at > 0 {
                    thread::sleep(span.apart);
                }
                start(at)?;
            }
            let started = Instant::now();
            thread::sleep(span.skip);
            let before = counts();
            thread::sleep((span.skip + span.time).saturating_sub(started.elapsed()));
            Ok(counts().iter().zip(&before).map(|(a, b)| a - b).collect())
        };
        let bytes = measure();
        let ended = end();
        over.store(true, Ordering::Relaxed);
        Ok((bytes?, ended?))
    })
}

/// A port to listen at, used once, so that what a former run left cannot meet the next one; below those
/// that either end connects from.
pub(crate) fn next_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    10_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 20_000
}

/// The receiver asks the sender for a reply over and over, `rounds` times on each of `connections`; the times it
/// took.
pub(crate) fn replies<T>(
    rig: &Rig,
    ends: &Ends,
    (connections, rounds): (usize, usize),
    end: impl FnOnce() -> Result<T, Failed>,
) -> Result<(Vec<Duration>, T), Failed> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = &over;
        let measure = || -> Result<(Vec<Duration>, Streams), Failed> {
            let (server, client, port) = (ends.from[0], ends.to, ends.ports[0]);
            let listener = listen(rig, server, port)?;
            let mut clients = Vec::new();
            for _ in 0..connections {
                let mut stream = connect(rig, client, server.at(port))?;
                // Its text may stand for a lost ACK of the handshake.
                ask(&mut *stream)?;
                let mut served = listener.accept()?;
                scope.spawn(move || {
                    while answer(&mut *served, over).is_ok() {}
                    served.reset();
                });
                clients.push(scope.spawn(move || asked(stream, rounds)));
            }
            let (mut times, mut streams) = (Vec::new(), Vec::new());
            for client in clients {
                let (own, stream) = client.join().map_err(|_| "a client panicked")??;
                times.extend(own);
                streams.push(stream);
            }
            Ok((times, streams))
        };
        let measured = measure();
        let ended = end();
        over.store(true, Ordering::Relaxed);
        let (times, streams) = measured?;
        streams.into_iter().for_each(Stream::reset);
        Ok((times, ended?))
    })
}

/// Takes the reply that was asked for already, and then asks `rounds` times; the times it took.
fn asked(
    mut stream: Box<dyn Stream>,
    rounds: usize,
) -> io::Result<(Vec<Duration>, Box<dyn Stream>)> {
    take(&mut *stream, REPLY)?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        ask(&mut *stream)?;
        take(&mut *stream, REPLY)?;
        times.push(start.elapsed());
    }
    Ok((times, stream))
}

const REQUEST: usize = 100;
const REPLY: usize = 10_000;

fn ask(stream: &mut dyn Stream) -> io::Result<()> {
    stream.write_all(&[0x52; REQUEST])
}

/// Reads a request and writes the reply.
fn answer(stream: &mut dyn Stream, over: &AtomicBool) -> io::Result<()> {
    let mut request = [0; REQUEST];
    let mut got = 0;
    while got < REQUEST {
        match stream.read(&mut request[got..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => got += len,
            Err(error) if is_a_pause(&error) && !over.load(Ordering::Relaxed) => {}
            Err(error) => return Err(error),
        }
    }
    stream.write_all(&[0x53; REPLY])
}

/// Reads so many bytes, for as long as it takes within reason.
fn take(stream: &mut dyn Stream, bytes: usize) -> io::Result<()> {
    let (mut block, mut left) = (vec![0; BLOCK], bytes);
    let start = Instant::now();
    while left > 0 {
        match stream.read(&mut block[..left.min(BLOCK)]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => left -= len,
            Err(error) if is_a_pause(&error) && start.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
