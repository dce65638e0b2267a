//! The kernel as an end of the link, in the calling thread's namespace.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use netloom::base::checksum::checksum;
use netloom::bytes::Bytes;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::side::{Listen, PATIENCE, READ_MAX, Side, Stream};

/// The kernel's congestion control for the demo: a pacing one is capped by the missing fq queue.
const CONGESTION: &str = "cubic";

/// The kernel's own TCP/IP.
pub(crate) struct Kernel;

struct KernelStream {
    stream: TcpStream,
    buf: Vec<u8>,
}

impl KernelStream {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // Where CUBIC is missing the default does.
        let _ = setsockopt(&stream, sockopt::TcpCongestion, &CONGESTION.into());
        Ok(Self {
            stream,
            buf: Vec::new(),
        })
    }
}

impl Side for Kernel {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn listen(&self, on: SocketAddr) -> io::Result<Box<dyn Listen + '_>> {
        Ok(Box::new(TcpListener::bind(on)?))
    }

    fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Stream + '_>> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        Ok(Box::new(KernelStream::new(stream)?))
    }

    fn ping(&self, to: IpAddr) -> io::Result<Duration> {
        ping(to)
    }
}

impl Listen for TcpListener {
    fn accept(&self) -> io::Result<Box<dyn Stream + '_>> {
        let (stream, _) = Self::accept(self)?;
        Ok(Box::new(KernelStream::new(stream)?))
    }
}

impl Stream for KernelStream {
    fn send(&mut self, block: &Bytes) -> io::Result<()> {
        self.stream.write_all(block)
    }

    fn receive(&mut self) -> io::Result<usize> {
        self.buf.resize(READ_MAX, 0);
        self.stream.read(&mut self.buf)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)
    }

    fn reset(self: Box<Self>) -> io::Result<()> {
        let now = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&self.stream, sockopt::Linger, &now)?;
        Ok(())
    }
}

/// One echo request from the kernel's side, by a raw socket.
fn ping(to: IpAddr) -> io::Result<Duration> {
    let (family, protocol, kind, reply) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8, 0),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128, 129),
    };
    let fd: OwnedFd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(1, 0))?;
    let mut request = [kind, 0, 0, 0, 0x6e, 0x6c, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8];
    if to.is_ipv4() {
        // The kernel fills ICMPv6's checksum, not ICMPv4's.
        let sum = checksum(&request).to_be_bytes();
        request[2..4].copy_from_slice(&sum);
    }
    let address = SockaddrStorage::from(SocketAddr::new(to, 0));
    let sent = Instant::now();
    sendto(fd.as_raw_fd(), &request, &address, MsgFlags::empty())?;
    let mut buf = [0; 2048];
    while sent.elapsed() < PATIENCE {
        let len = recv(fd.as_raw_fd(), &mut buf, MsgFlags::empty())?;
        // A raw IPv4 socket gives the IP header as well.
        let start = if to.is_ipv4() {
            usize::from(buf[0] & 0xf) * 4
        } else {
            0
        };
        let message = buf.get(start..len).unwrap_or(&[]);
        if message.first() == Some(&reply) && message.get(4..) == Some(&request[4..]) {
            return Ok(sent.elapsed());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}
