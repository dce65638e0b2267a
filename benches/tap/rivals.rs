//! Who takes part, and where each answers.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;

use crate::machine::{Namespaces, RIVAL_CPU, pin};
use crate::{by_hand, host, kernel, smol};

/// What a server does on a port, relative to the rival's first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Reads to the end and closes.
    Discard,
    /// Writes until it cannot.
    Source,
    /// Gives back what it reads, without delay.
    Echo,
}

impl Service {
    pub(crate) const ALL: [Self; 3] = [Self::Discard, Self::Source, Self::Echo];

    pub(crate) const fn port(self, first: u16) -> u16 {
        first + self as u16
    }
}

/// The first port of all rivals but one.
pub(crate) const PORTS: u16 = 5000;
/// The first port of the second face of one server.
pub(crate) const MORE_PORTS: u16 = 6000;
/// What is sent at once.
pub(crate) const BLOCK: usize = 256 << 10;
/// The most that is read at once.
pub(crate) const READ: usize = 1 << 20;

/// A server that measurements are made against.
#[derive(Clone, Debug)]
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    address: Ipv4Addr,
    ports: u16,
    /// Does its own sender take the congestion control that is asked for?
    pub(crate) is_kernel: bool,
}

impl Rival {
    const fn new(name: &'static str, net: u8, ports: u16) -> Self {
        Self {
            name,
            address: address(net),
            ports,
            is_kernel: net == VETH,
        }
    }

    pub(crate) fn endpoint(&self, service: Service) -> SocketAddr {
        (self.address, service.port(self.ports)).into()
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

/// The kernel over veth, which ratios are taken to.
pub(crate) const KERNEL: &str = "kernel over veth";
/// The other one that ratios are taken to.
pub(crate) const SMOLTCP: &str = "smoltcp";

const VETH: u8 = 0;

const fn address(net: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 8, net, 2)
}

/// The kernel's end of a rival's network.
pub(crate) fn kernel_cidr(net: u8) -> String {
    format!("10.8.{net}.1/24")
}

/// The rival's own end.
pub(crate) fn own_cidr(net: u8) -> String {
    format!("{}/24", address(net))
}

/// Starts all servers, each in threads of its own on [`RIVAL_CPU`].
pub(crate) fn start(namespaces: &Namespaces) -> Result<Vec<Rival>, Box<dyn Error>> {
    thread::scope(|scope| {
        let started = scope.spawn(|| -> Result<(), String> {
            pin(RIVAL_CPU).map_err(|errno| format!("cannot pin a thread: {errno}"))?;
            namespaces.enter_far().map_err(|errno| errno.to_string())?;
            kernel::serve().map_err(|error| error.to_string())
        });
        started.join().map_err(|_| "the kernel's server panicked")?
    })?;
    apart(|| host::serve(1, true))?;
    apart(|| by_hand::serve(2, true))?;
    apart(|| host::serve(3, false))?;
    apart(|| by_hand::serve(4, false))?;
    apart(|| smol::serve(5))?;
    Ok(vec![
        Rival::new(KERNEL, VETH, PORTS),
        Rival::new("netloom, chunks", 1, PORTS),
        Rival::new("netloom, slices", 1, MORE_PORTS),
        Rival::new("netloom, sans-I/O loop", 2, PORTS),
        Rival::new("netloom, chunks, no offload", 3, PORTS),
        Rival::new("netloom, slices, no offload", 3, MORE_PORTS),
        Rival::new("netloom, loop, no offload", 4, PORTS),
        Rival::new(SMOLTCP, 5, PORTS),
    ])
}

/// Runs `set_up` in a pinned thread, then for ever the loop that it returns, if it returns one.
fn apart<S>(set_up: S) -> Result<(), String>
where
    S: FnOnce() -> Result<Loop, Box<dyn Error>> + Send + 'static,
{
    let (ready, told) = mpsc::channel();
    thread::spawn(move || {
        let done = pin(RIVAL_CPU).map_err(Into::into).and_then(|()| set_up());
        match done {
            Ok(run) => {
                // Nobody waits for a second word.
                let _ = ready.send(Ok(()));
                run();
            }
            Err(error) => drop(ready.send(Err(error.to_string()))),
        }
    });
    told.recv().map_err(|_| "a server panicked".to_owned())?
}

/// What a server's thread goes on with.
pub(crate) type Loop = Box<dyn FnOnce()>;
