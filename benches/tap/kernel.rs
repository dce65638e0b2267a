//! The kernel as a server, over `std::net`.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::sys::socket::{Backlog, listen, setsockopt, sockopt};

use crate::rivals::{BLOCK, PORTS, READ, Service};

/// Listens in the calling thread's namespace and serves in threads that inherit its pinning, each
/// until its listener is shut down.
pub(crate) fn serve() -> io::Result<Vec<(Arc<TcpListener>, JoinHandle<()>)>> {
    let mut served = Vec::new();
    for service in Service::ALL {
        let listener = Arc::new(TcpListener::bind(("0.0.0.0", service.port(PORTS)))?);
        // With less, a lost SYN costs a second.
        listen(&listener, Backlog::MAXCONN)?;
        let accepts = Arc::clone(&listener);
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = accepts.accept() {
                // A client that resets is done.
                let _ = answer(service, stream);
            }
        });
        served.push((listener, thread));
    }
    Ok(served)
}

fn answer(service: Service, mut stream: TcpStream) -> io::Result<()> {
    match service {
        Service::Discard => {
            let mut buf = vec![0; READ];
            while stream.read(&mut buf)? > 0 {}
        }
        Service::Source => {
            // The client's first byte names the congestion control of the answer.
            let mut name = [0; 1];
            stream.read_exact(&mut name)?;
            congestion(&stream, if name == *b"b" { "bbr" } else { "cubic" })?;
            let block = vec![0x5a; BLOCK];
            loop {
                stream.write_all(&block)?;
            }
        }
        Service::Echo => {
            stream.set_nodelay(true)?;
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

/// Tells the kernel's sender its congestion control (TCP_CONGESTION).
pub(crate) fn congestion(stream: &TcpStream, name: &str) -> nix::Result<()> {
    setsockopt(stream, sockopt::TcpCongestion, &name.into())
}
