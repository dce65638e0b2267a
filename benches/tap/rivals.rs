//! Who takes part, what each serves, and where.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

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

    /// Serves one connection until it ends.
    pub(crate) fn answer(self, mut stream: impl Read + Write) -> io::Result<()> {
        match self {
            Self::Discard => {
                let mut buf = vec![0; READ];
                while stream.read(&mut buf)? > 0 {}
            }
            Self::Source => {
                let block = vec![0x5a; BLOCK];
                loop {
                    stream.write_all(&block)?;
                }
            }
            Self::Echo => {
                let mut buf = [0; 4096];
                loop {
                    match stream.read(&mut buf)? {
                        0 => break,
                        n => stream.write_all(&buf[..n])?,
                    }
                }
            }
        }
        Ok(())
    }
}

/// The first port of all rivals but those of [`Api::Slices`].
pub(crate) const PORTS: u16 = 5000;
/// The first port of the second face of one host.
pub(crate) const MORE_PORTS: u16 = 6000;
/// What is sent at once.
pub(crate) const BLOCK: usize = 256 << 10;
/// The most that is read at once.
pub(crate) const READ: usize = 1 << 20;

/// How bytes cross the handles of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Api {
    Chunks,
    Slices,
}

/// What a netloom server stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Base {
    /// A TAP with segmentation and checksum offload.
    Offload,
    /// A TAP opened with `offload(false)`.
    Plain,
    /// Offload, and the host polls busily for a while before it sleeps.
    Busy,
    /// Offload, and the run is recorded without payload; with `--record` only.
    Recorded,
}

impl Base {
    pub(crate) const ALL: [Self; 4] = [Self::Offload, Self::Plain, Self::Busy, Self::Recorded];
}

/// A server that measurements are made against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rival {
    /// The kernel in another namespace, over veth.
    Kernel,
    /// netloom's `Host` and its blocking handles.
    Host(Api, Base),
    /// netloom's stack driven by one thread.
    Loop(Base),
    /// smoltcp over its own TAP device.
    Smoltcp,
    /// smoltcp over netloom's TAP device, from which it gets super-segments.
    SmoltcpOnOurs,
}

impl Rival {
    pub(crate) const ALL: [Self; 13] = [
        Self::Kernel,
        Self::Host(Api::Chunks, Base::Offload),
        Self::Host(Api::Slices, Base::Offload),
        Self::Loop(Base::Offload),
        Self::Host(Api::Chunks, Base::Plain),
        Self::Host(Api::Slices, Base::Plain),
        Self::Loop(Base::Plain),
        Self::Host(Api::Chunks, Base::Busy),
        Self::Host(Api::Slices, Base::Busy),
        Self::Host(Api::Chunks, Base::Recorded),
        Self::Host(Api::Slices, Base::Recorded),
        Self::Smoltcp,
        Self::SmoltcpOnOurs,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel over veth",
            Self::Host(Api::Chunks, Base::Offload) => "netloom, chunks",
            Self::Host(Api::Chunks, Base::Plain) => "netloom, chunks, no offload",
            Self::Host(Api::Chunks, Base::Busy) => "netloom, chunks, busy_poll",
            Self::Host(Api::Slices, Base::Offload) => "netloom, slices",
            Self::Host(Api::Slices, Base::Plain) => "netloom, slices, no offload",
            Self::Host(Api::Slices, Base::Busy) => "netloom, slices, busy_poll",
            Self::Host(Api::Chunks, Base::Recorded) => "netloom, chunks, recorded",
            Self::Host(Api::Slices, Base::Recorded) => "netloom, slices, recorded",
            Self::Loop(Base::Plain) => "netloom, loop, no offload",
            Self::Loop(_) => "netloom, sans-I/O loop",
            Self::Smoltcp => "smoltcp",
            Self::SmoltcpOnOurs => "smoltcp on netloom's TAP",
        }
    }

    /// The number of its network.
    pub(crate) const fn net(self) -> u8 {
        match self {
            Self::Kernel => 0,
            Self::Host(_, Base::Recorded) => 9,
            Self::Host(_, base) => 1 + base as u8,
            Self::Loop(base) => 4 + base as u8,
            Self::Smoltcp => 7,
            Self::SmoltcpOnOurs => 8,
        }
    }

    pub(crate) fn endpoint(self, service: Service) -> SocketAddr {
        let first = match self {
            Self::Host(Api::Slices, _) => MORE_PORTS,
            _ => PORTS,
        };
        (address(self.net()), service.port(first)).into()
    }
}

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
