//! A router between two TAP devices: one stack, two interfaces, one thread, no lock.
//!
//! `nl0` is 10.7.0.1 and fd07::1, `nl1` 10.8.0.1 and fd08::1. The other ends of the devices belong into namespaces of their own,
//! for the kernel must not be on both sides; what this program prints lays them. Needs CAP_NET_ADMIN, as `echo.rs` does.

#[cfg(all(target_os = "linux", feature = "host"))]
fn main() -> Result<(), netloom::Report> {
    between::run()
}

#[cfg(not(all(target_os = "linux", feature = "host")))]
fn main() {
    println!("this example needs Linux");
}

#[cfg(all(target_os = "linux", feature = "host"))]
mod between {
    use std::os::fd::AsFd;
    use std::time;

    use netloom::base::{Instant, Seed};
    use netloom::device::{Device, Pollable, Tap};
    use netloom::stack::{
        Config, Event, ForwardOptions, InterfaceConfig, Port, ReversePath, Stack, turn_all,
    };
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    pub(crate) fn run() -> Result<(), netloom::Report> {
        let epoch = time::Instant::now();
        let clock = || Instant::from_nanos(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(0));
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let mut stack = Stack::new(Config::new(Seed::new(seed)));

        let (mut ports, mut descriptors) = (Vec::new(), Vec::new());
        for net in [7, 8] {
            let name = format!("nl{}", net - 7);
            let tap = Tap::builder().name(&name).open()?;
            // What comes in from a network must have an address of it.
            let options = ForwardOptions::new().reverse_path(ReversePath::Strict);
            let config = InterfaceConfig::new(tap.capabilities())
                .address(format!("10.{net}.0.1/24").parse()?)
                .address(format!("fd0{net}::1/64").parse()?)
                .forwarding(options);
            let interface = stack.add_interface(clock(), config)?;
            let (rx, tx) = tap.split();
            descriptors.push((rx.descriptor()?, tx.descriptor()?));
            ports.push(Port::new(interface, (rx, tx)));
            print_commands(net, &name);
        }
        println!("ip netns exec n7 ping 10.8.0.2");

        loop {
            // What comes in by one port leaves by the other in the same turn.
            let mut nobody = |_: &mut Stack, _: Instant, _: Event| {};
            let next = turn_all(&mut ports, clock(), &mut stack, &mut nobody)?;

            let timeout = match next.timeout(clock()) {
                None => PollTimeout::NONE,
                // Rounded up: poll(2) counts milliseconds, and too early is a spin.
                Some(wait) if !wait.is_zero() => {
                    PollTimeout::try_from(wait.as_millis() + 1).unwrap_or(PollTimeout::MAX)
                }
                Some(_) => PollTimeout::ZERO,
            };
            let mut fds = Vec::new();
            for (port, (readable, writable)) in ports.iter().zip(&descriptors) {
                fds.push(PollFd::new(readable.as_fd(), PollFlags::POLLIN));
                if port.tx().wants_room() {
                    fds.push(PollFd::new(writable.as_fd(), PollFlags::POLLOUT));
                }
            }
            poll(&mut fds, timeout)?;
        }
    }

    /// How the other end of a device becomes a host's.
    fn print_commands(net: u8, name: &str) {
        println!("ip netns add n{net} && ip link set {name} netns n{net}");
        let inside = format!("ip -n n{net}");
        println!("{inside} addr add 10.{net}.0.2/24 dev {name}");
        println!("{inside} addr add fd0{net}::2/64 dev {name} nodad");
        println!("{inside} link set {name} up");
        println!("{inside} route add default via 10.{net}.0.1");
        println!("{inside} -6 route add default via fd0{net}::1");
    }
}
