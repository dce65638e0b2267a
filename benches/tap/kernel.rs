//! The kernel as a server, over `std::net`.

use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::sys::socket::{Backlog, listen, setsockopt, sockopt};

use super::rivals::{PORTS, Service};

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
    if service == Service::Source {
        // The client's first byte names the congestion control of the answer.
        let mut name = [0; 1];
        stream.read_exact(&mut name)?;
        congestion(&stream, if name == *b"b" { "bbr" } else { "cubic" })?;
    }
    stream.set_nodelay(service == Service::Echo)?;
    service.answer(stream)
}

/// Tells the kernel's sender its congestion control (TCP_CONGESTION).
pub(crate) fn congestion(stream: &TcpStream, name: &str) -> nix::Result<()> {
    setsockopt(stream, sockopt::TcpCongestion, &name.into())
}
