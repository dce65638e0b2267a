//! The stack driven by hand: no thread of netloom's, no lock, one loop that owns everything.
//!
//! A UDP and TCP echo on 10.7.0.2 port 7, over a TAP device. This is all that a host does,
//! without its handles; an event loop of your own would look the same. Needs CAP_NET_ADMIN, as
//! `echo.rs` does.

#[cfg(all(target_os = "linux", feature = "host"))]
fn main() -> Result<(), netloom::Report> {
    by_hand::run()
}

#[cfg(not(all(target_os = "linux", feature = "host")))]
fn main() {
    println!("this example needs Linux");
}

#[cfg(all(target_os = "linux", feature = "host"))]
mod by_hand {
    use std::collections::HashMap;
    use std::os::fd::AsFd;
    use std::time;

    use netloom::base::{Instant, Seed};
    use netloom::bytes::Bytes;
    use netloom::device::{Device, Pollable, Tap};
    use netloom::stack::{
        Config, Event, InterfaceConfig, ListenOptions, Port, SocketId, Stack, TcpId, UdpOptions,
        User,
    };
    use netloom::tcp::{ReadError, WriteError};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    pub(crate) fn run() -> Result<(), netloom::Report> {
        let tap = Tap::builder()
            .name("nl0")
            .kernel_address("10.7.0.1/24".parse()?)
            .open()?;
        let config = InterfaceConfig::new(tap.capabilities()).address("10.7.0.2/24".parse()?);
        let (rx, tx) = tap.split();
        let (readable, writable) = (rx.descriptor()?, tx.descriptor()?);

        // The stack sees time as nanoseconds since an epoch that we choose.
        let epoch = time::Instant::now();
        let clock = || Instant::from_nanos(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(0));

        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let mut stack = Stack::new(Config::new(Seed::new(seed)));
        let interface = stack.add_interface(clock(), config)?;
        stack.tcp_listen("0.0.0.0:7".parse()?, ListenOptions::default())?;
        stack.udp_bind("0.0.0.0:7".parse()?, UdpOptions::default())?;
        println!("echoing: try `nc 10.7.0.2 7` and `nc -u 10.7.0.2 7`");

        let mut echo = Echo::default();
        let mut port = Port::new(interface, (rx, tx));
        loop {
            // Frames come in, time passes, `echo` is told what became ready, frames go out.
            let next = port.turn(clock(), &mut stack, &mut echo)?;

            // Nothing to do before a frame, room, or the next deadline comes.
            let timeout = match next.timeout(clock()) {
                None => PollTimeout::NONE,
                // Rounded up: poll(2) counts milliseconds, and too early is a spin.
                Some(wait) if !wait.is_zero() => {
                    PollTimeout::try_from(wait.as_millis() + 1).unwrap_or(PollTimeout::MAX)
                }
                Some(_) => PollTimeout::ZERO,
            };
            let mut fds = [
                PollFd::new(readable.as_fd(), PollFlags::POLLIN),
                PollFd::new(writable.as_fd(), PollFlags::POLLOUT),
            ];
            let waits_for = if next.wants_room { 2 } else { 1 };
            poll(&mut fds[..waits_for], timeout)?;
        }
    }

    /// What each connection has read and not yet written back.
    #[derive(Default)]
    struct Echo {
        pending: HashMap<TcpId, Bytes>,
    }

    impl User for Echo {
        /// Answers until a call would block: that call re-arms the event.
        fn on_event(&mut self, stack: &mut Stack, now: Instant, event: Event) {
            match event.id {
                SocketId::Listener(id) => {
                    while let Ok(connection) = stack.tcp_accept(now, id) {
                        self.on_stream(stack, now, connection);
                    }
                }
                SocketId::Tcp(id) => self.on_stream(stack, now, id),
                SocketId::Udp(id) => {
                    while let Ok(datagram) = stack.udp_recv(id) {
                        // One without room is lost, as datagrams are.
                        let _ = stack.udp_send_chunk(
                            now,
                            id,
                            Some(datagram.from),
                            datagram.data.into_bytes(),
                        );
                    }
                }
                _ => {}
            }
        }
    }

    impl Echo {
        fn on_stream(&mut self, stack: &mut Stack, now: Instant, id: TcpId) {
            let pending = self.pending.entry(id).or_default();
            loop {
                if pending.is_empty() {
                    match stack.tcp_read_chunk(now, id, usize::MAX) {
                        Ok(chunk) if !chunk.is_empty() => *pending = chunk,
                        Err(ReadError::WouldBlock) => return,
                        // The end of the stream, or of the connection.
                        Ok(_) | Err(_) => break,
                    }
                }
                match stack.tcp_write_chunk(now, id, pending) {
                    Ok(_) => {}
                    Err(WriteError::WouldBlock) => return,
                    Err(_) => break,
                }
            }
            self.pending.remove(&id);
            stack.tcp_close(now, id);
        }
    }
}
