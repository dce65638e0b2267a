//! The client: kernel sockets in the calling thread, and what the servers' threads spend meanwhile.

use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeValLike;
use nix::unistd::gettid;

/// What one sample found.
pub(crate) struct Sample {
    /// Thousands of requests, or Gbit, a second.
    pub(crate) rate: f64,
    /// Times that a server's thread went to sleep, per request or GiB.
    pub(crate) sleeps: f64,
    /// Processor time of the servers' threads, in us per request or s per GiB.
    pub(crate) cpu: f64,
}

/// Nothing here waits longer.
const PATIENCE: Duration = Duration::from_secs(5);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n";

/// Asks on so many connections, each again when it has its answer.
pub(crate) fn requests(
    to: SocketAddr,
    connections: usize,
    time: Duration,
) -> Result<Sample, Box<dyn Error>> {
    let mut streams = Vec::new();
    let mut answer = 0;
    for _ in 0..connections {
        let mut stream = connect(to)?;
        stream.write_all(REQUEST)?;
        answer = read_answer(&mut stream)?;
        streams.push((stream, 0));
    }
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (at, (stream, _)) in streams.iter().enumerate() {
        stream.set_nonblocking(true)?;
        epoll.add(stream, EpollEvent::new(EpollFlags::EPOLLIN, at as u64))?;
    }
    let before = Spent::now()?;
    let start = Instant::now();
    for (stream, _) in &mut streams {
        stream.write_all(REQUEST)?;
    }
    let mut answered = 0_u64;
    let mut events = [EpollEvent::empty(); 256];
    let mut buf = vec![0; answer * 2];
    while start.elapsed() < time {
        let patience = EpollTimeout::try_from(PATIENCE)?;
        let found = epoll.wait(&mut events, patience)?;
        if found == 0 {
            return Err("no answer came".into());
        }
        for event in &events[..found] {
            let (stream, read) = &mut streams[event.data() as usize];
            *read += stream.read(&mut buf)?;
            if *read == answer {
                *read = 0;
                answered += 1;
                stream.write_all(REQUEST)?;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let spent = Spent::now()?.since(&before);
    streams.iter().try_for_each(|(stream, _)| reset(stream))?;
    let answered = answered.max(1) as f64;
    Ok(Sample {
        rate: answered / seconds / 1e3,
        sleeps: spent.sleeps / answered,
        cpu: spent.cpu * 1e6 / answered,
    })
}

/// Writes one stream.
pub(crate) fn bytes(to: SocketAddr, time: Duration) -> Result<Sample, Box<dyn Error>> {
    let mut stream = connect(to)?;
    let block = vec![0x5a; 256 << 10];
    let before = Spent::now()?;
    let (start, mut bytes) = (Instant::now(), 0);
    while start.elapsed() < time {
        bytes += stream.write(&block)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // Until all of it was taken.
    while stream.read(&mut [0; 64])? > 0 {}
    let seconds = start.elapsed().as_secs_f64();
    let spent = Spent::now()?.since(&before);
    let gib = bytes as f64 / f64::from(1 << 30);
    Ok(Sample {
        rate: bytes as f64 * 8e-9 / seconds,
        sleeps: spent.sleeps / gib,
        cpu: spent.cpu / gib,
    })
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads an answer; how long it is, as all are.
fn read_answer(stream: &mut TcpStream) -> io::Result<usize> {
    let (mut got, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buf)?;
        got.extend_from_slice(&buf[..read]);
        if got.ends_with(b"hello, world\n") {
            return Ok(got.len());
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Closes without a TIME-WAIT.
fn reset(stream: &TcpStream) -> nix::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(stream, sockopt::Linger, &linger)
}

/// What all threads but the calling one have spent.
struct Spent {
    sleeps: f64,
    cpu: f64,
}

impl Spent {
    fn now() -> Result<Self, Box<dyn Error>> {
        let mut sleeps = 0.0;
        let own = gettid().to_string();
        for task in fs::read_dir("/proc/self/task")? {
            let task = task?;
            if task.file_name().to_str() == Some(&own) {
                continue;
            }
            let Ok(status) = fs::read_to_string(task.path().join("status")) else {
                continue;
            };
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sleeps += line.map_or(Ok(0.0), |count| count.trim().parse())?;
        }
        let of = |who| getrusage(who).map(|usage| usage.user_time() + usage.system_time());
        let cpu = of(UsageWho::RUSAGE_SELF)? - of(UsageWho::RUSAGE_THREAD)?;
        Ok(Self {
            sleeps,
            cpu: cpu.num_microseconds() as f64 / 1e6,
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            sleeps: self.sleeps - before.sleeps,
            cpu: self.cpu - before.cpu,
        }
    }
}
