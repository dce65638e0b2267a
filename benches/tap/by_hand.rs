//! netloom's stack driven by hand: one loop, one thread, no lock, as in `examples/sans_io.rs`.

use std::collections::HashMap;
use std::error::Error;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time;

use netloom::base::{Instant, Seed};
use netloom::bytes::Bytes;
use netloom::device::{Device, Pollable, Receive, Transmit};
use netloom::stack::{
    Config, Event, InterfaceConfig, ListenOptions, ListenerId, Port, SocketId, Stack, TcpId, User,
};
use netloom::tcp::{ReadError, TcpOptions, WriteError};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::host::tap;
use super::rivals::{BLOCK, Base, PORTS, READ, Service, own_cidr};
use super::servers::{Control, Loop, NAP};

/// The receive window without super-segments: half of what the device's queue holds.
const PLAIN_WINDOW: usize = 750_000;
/// Frames read at once.
const BATCH_FRAMES: usize = 256;

/// Makes the stack and its listeners.
pub(crate) fn serve(net: u8, base: Base) -> Result<Loop, Box<dyn Error>> {
    let offload = base != Base::Plain;
    let tap = tap(net, offload)?;
    let config = InterfaceConfig::new(tap.capabilities()).address(own_cidr(net).parse()?);
    let (rx, tx) = tap.split();
    let mut stack = Stack::new(Config::new(Seed::from_number(u64::from(net))));
    let epoch = time::Instant::now();
    let on = stack.add_interface(Instant::ZERO, config)?;
    let mut server = Server::default();
    for service in Service::ALL {
        let mut tcp = TcpOptions::default().nodelay(service == Service::Echo);
        if !offload {
            tcp = tcp.recv_buffer_max(PLAIN_WINDOW);
        }
        let at = ([0, 0, 0, 0], service.port(PORTS)).into();
        let listener = stack.tcp_listen(at, ListenOptions::new(tcp))?;
        server.listeners.insert(listener, service);
    }
    let (readable, writable) = (rx.descriptor()?, tx.descriptor()?);
    Ok(Box::new(move |control| {
        let wait = Wait {
            readable,
            writable,
            epoch,
            control,
        };
        let mut port = Port::new(on, (rx, tx)).batch_frames(BATCH_FRAMES);
        drive(&mut stack, &mut port, &mut server, &wait);
    }))
}

fn drive(
    stack: &mut Stack,
    port: &mut Port<impl Receive, impl Transmit>,
    server: &mut Server,
    wait: &Wait<'_>,
) {
    while !wait.control.is_over() {
        let next = port
            .turn(wait.clock(), stack, server)
            .expect("the device stays");
        // Sleep only after a look at the device that found nothing.
        if next.received == 0 && !next.again && !wait.control.spins() {
            let timeout = next.timeout(wait.clock());
            let timeout = timeout.map_or(NAP, |timeout| timeout.min(NAP));
            wait.until_ready(next.wants_room, timeout);
        }
    }
}

struct Wait<'a> {
    readable: Arc<OwnedFd>,
    writable: Arc<OwnedFd>,
    epoch: time::Instant,
    control: &'a Control,
}

impl Wait<'_> {
    fn clock(&self) -> Instant {
        Instant::from_nanos(self.epoch.elapsed().as_nanos() as u64)
    }

    fn until_ready(&self, full: bool, timeout: time::Duration) {
        let mut fds = [
            PollFd::new(self.readable.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.writable.as_fd(), PollFlags::POLLOUT),
        ];
        let used = if full { 2 } else { 1 };
        // A signal ends it early, which is as good as a frame.
        let _ = ppoll(&mut fds[..used], Some(TimeSpec::from(timeout)), None);
    }
}

/// The services and who uses them.
#[derive(Default)]
struct Server {
    listeners: HashMap<ListenerId, Service>,
    streams: HashMap<TcpId, (Service, Bytes)>,
}

impl User for Server {
    fn on_event(&mut self, stack: &mut Stack, now: Instant, event: Event) {
        match event.id {
            SocketId::Listener(listener) => {
                let service = self.listeners[&listener];
                while let Ok(id) = stack.tcp_accept(now, listener) {
                    self.streams.insert(id, (service, Bytes::new()));
                    self.on_stream(stack, now, id);
                }
            }
            SocketId::Tcp(id) => self.on_stream(stack, now, id),
            _ => {}
        }
    }
}

impl Server {
    /// Goes on until a call would block.
    fn on_stream(&mut self, stack: &mut Stack, now: Instant, id: TcpId) {
        let Some((service, pending)) = self.streams.get_mut(&id) else {
            return;
        };
        let blocked = match service {
            Service::Discard => discard(stack, now, id),
            Service::Source => source(stack, now, id, pending),
            Service::Echo => echo(stack, now, id, pending),
        };
        if !blocked {
            self.streams.remove(&id);
            stack.tcp_close(now, id);
        }
    }
}

fn discard(stack: &mut Stack, now: Instant, id: TcpId) -> bool {
    loop {
        match stack.tcp_read_chunk(now, id, READ) {
            Ok(chunk) if !chunk.is_empty() => {}
            other => return other == Err(ReadError::WouldBlock),
        }
    }
}

fn source(stack: &mut Stack, now: Instant, id: TcpId, pending: &mut Bytes) -> bool {
    thread_local! {
        static DATA: Bytes = Bytes::from(vec![0x5a; BLOCK]);
    }
    loop {
        if pending.is_empty() {
            *pending = DATA.with(Bytes::clone);
        }
        if let Err(error) = stack.tcp_write_chunk(now, id, pending) {
            return error == WriteError::WouldBlock;
        }
    }
}

fn echo(stack: &mut Stack, now: Instant, id: TcpId, pending: &mut Bytes) -> bool {
    loop {
        if pending.is_empty() {
            match stack.tcp_read_chunk(now, id, READ) {
                Ok(chunk) if !chunk.is_empty() => *pending = chunk,
                other => return other == Err(ReadError::WouldBlock),
            }
        }
        if let Err(error) = stack.tcp_write_chunk(now, id, pending) {
            return error == WriteError::WouldBlock;
        }
    }
}
