//! Over TAP devices: one flow of the kernel's TCP that ends in netloom, and one that goes through it.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant as Clock};

use netloom::base::{Instant, Seed};
use netloom::device::{Device, Pollable, Receive, Tap, Transmit};
use netloom::stack::{
    Config, Event, ForwardOptions, InterfaceConfig, ListenOptions, Port, SocketId, Stack, turn_all,
};
use netloom::tcp::TcpOptions;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::gettid;

use super::{Settings, verdict};
use crate::common::{ip, median, new_namespace};

const PORT: u16 = 9;
const BLOCK: usize = 1 << 18;
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs both; is the goal met?
pub(super) fn run(settings: Settings) -> Result<bool, String> {
    thread::spawn(move || measure(settings).map_err(|error| error.to_string()))
        .join()
        .map_err(|_| "it panicked".to_owned())?
}

fn measure(settings: Settings) -> Result<bool, Box<dyn Error>> {
    new_namespace()?;
    let (left, right) = (Place::new()?, Place::new()?);
    let mut taps = Vec::new();
    for (net, place) in [(7, &left), (8, &right)] {
        let name = format!("nl{net}");
        taps.push(Tap::builder().name(&name).open()?);
        ip(&format!("link set {name} netns {}", place.thread))?;
        place.run(move || {
            ip("link set lo up")?;
            ip(&format!("addr add 10.{net}.0.2/24 dev {name}"))?;
            ip(&format!("link set {name} up"))?;
            ip(&format!("route add default via 10.{net}.0.1"))
        })?;
    }
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    let router = thread::spawn(move || route(taps, &told).map_err(|error| error.to_string()));
    right.run(sink)?;
    let (mut ends, mut passes) = (Vec::new(), Vec::new());
    for _ in 0..settings.samples {
        for (to, rates) in [("10.7.0.1", &mut ends), ("10.8.0.2", &mut passes)] {
            let to = SocketAddr::new(to.parse()?, PORT);
            let rate = left.run(move || send(to, settings.time).map_err(|e| e.to_string()))?;
            rates.push(rate);
        }
    }
    over.store(true, Ordering::Relaxed);
    router.join().map_err(|_| "the router panicked")??;
    let of = |rates: Vec<f64>| median(rates.into_iter()).unwrap_or(f64::NAN);
    let (end, pass) = (of(ends), of(passes));
    println!("super-segments of one flow, Gbit/s: to netloom {end:.1}, through it {pass:.1}");
    Ok(verdict("through netloom beside to it", pass / end, 0.5))
}

/// A thread in a network namespace of its own, which does what it is told.
struct Place {
    thread: i32,
    tasks: Sender<Box<dyn FnOnce() + Send>>,
}

impl Place {
    fn new() -> Result<Self, String> {
        let (tasks, list) = channel::<Box<dyn FnOnce() + Send>>();
        let (tell, told) = channel();
        thread::spawn(move || {
            let made = new_namespace().map(|()| gettid().as_raw());
            if tell.send(made).is_ok() {
                list.into_iter().for_each(|task| task());
            }
        });
        let thread = told.recv().map_err(|_| "no thread".to_owned())??;
        Ok(Self { thread, tasks })
    }

    fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (tell, told) = channel();
        let task = Box::new(move || drop(tell.send(task())));
        self.tasks.send(task).map_err(|_| "a place is gone")?;
        told.recv().map_err(|_| "a task panicked".to_owned())?
    }
}

/// Takes connections, one after the other, and what comes by them.
fn sink() -> Result<(), String> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).map_err(|error| error.to_string())?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            discard(stream);
        }
    });
    Ok(())
}

fn discard(mut stream: TcpStream) {
    let mut buf = vec![0; BLOCK];
    while stream.read(&mut buf).is_ok_and(|len| len > 0) {}
}

/// Gbit/s of what is sent for about `time`, and taken.
fn send(to: SocketAddr, time: Duration) -> std::io::Result<f64> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let block = vec![0x5a; BLOCK];
    let (start, mut bytes) = (Clock::now(), 0);
    while start.elapsed() < time {
        bytes += stream.write(&block)?;
    }
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut [0; 64])? > 0 {}
    Ok(bytes as f64 * 8e-9 / start.elapsed().as_secs_f64())
}

/// netloom between both, and as the end of what comes to itself.
fn route(taps: Vec<Tap>, over: &AtomicBool) -> Result<(), Box<dyn Error>> {
    let epoch = Clock::now();
    let clock = || Instant::from_nanos(epoch.elapsed().as_nanos() as u64);
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let (mut ports, mut descriptors) = (Vec::new(), Vec::new());
    for (net, tap) in [7, 8].into_iter().zip(taps) {
        let config = InterfaceConfig::new(tap.capabilities())
            .address(format!("10.{net}.0.1/24").parse()?)
            .forwarding(ForwardOptions::new());
        let on = stack.add_interface(clock(), config)?;
        let (rx, tx) = tap.split();
        descriptors.push((rx.descriptor()?, tx.descriptor()?));
        ports.push(Port::new(on, (rx, tx)));
    }
    let options = ListenOptions::new(TcpOptions::default());
    let listener = stack.tcp_listen(([0, 0, 0, 0], PORT).into(), options)?;
    while !over.load(Ordering::Relaxed) {
        let mut user = |stack: &mut Stack, now, event: Event| match event.id {
            SocketId::Listener(_) => while stack.tcp_accept(now, listener).is_ok() {},
            SocketId::Tcp(id) => {
                while let Ok(chunk) = stack.tcp_read_chunk(now, id, usize::MAX) {
                    if chunk.is_empty() {
                        stack.tcp_close(now, id);
                        break;
                    }
                }
            }
            _ => {}
        };
        let next = turn_all(&mut ports, clock(), &mut stack, &mut user)?;
        if next.received == 0 && !next.again {
            let wait = next.timeout(clock()).unwrap_or(Duration::from_millis(100));
            wait_for(&ports, &descriptors, wait.min(Duration::from_millis(100)))?;
        }
    }
    Ok(())
}

fn wait_for<R: Receive, T: Transmit>(
    ports: &[Port<R, T>],
    descriptors: &[(Arc<OwnedFd>, Arc<OwnedFd>)],
    wait: Duration,
) -> nix::Result<()> {
    let mut fds = Vec::new();
    for (port, (readable, writable)) in ports.iter().zip(descriptors) {
        fds.push(PollFd::new(readable.as_fd(), PollFlags::POLLIN));
        if port.tx().wants_room() {
            fds.push(PollFd::new(writable.as_fd(), PollFlags::POLLOUT));
        }
    }
    let millis = PollTimeout::try_from(wait.as_millis() + 1).unwrap_or(PollTimeout::MAX);
    poll(&mut fds, millis).map(drop)
}
