//! A SOCKS5 server that goes nowhere: it answers for whomever it is asked for, by the port.

use std::io;
use std::net::SocketAddr;
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Builder;

/// What is behind a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Takes all there is.
    Discard,
    /// Gives until it is told to stop.
    Source,
    /// Says hello, and closes.
    Hello,
    /// Gives back what it gets.
    Echo,
}

impl Service {
    const ALL: [Self; 4] = [Self::Discard, Self::Source, Self::Hello, Self::Echo];

    pub(crate) const fn port(self) -> u16 {
        5000 + self as u16
    }
}

/// Serves in the calling thread's namespace, as long as the process lasts.
pub(crate) fn serve(on: SocketAddr) -> io::Result<()> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_io().build()?;
    let listener = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(on)?;
        socket.listen(4096)
    })?;
    thread::spawn(move || {
        runtime.block_on(async {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async {
                    // Who has enough resets.
                    let _ = answer(stream).await;
                });
            }
        });
    });
    Ok(())
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // RFC 1928 §3: its methods, of which none is asked for; §4: CONNECT, IPv4.
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).await?;
    stream.write_all(&[5, 0]).await?;
    let mut request = [0; 10];
    stream.read_exact(&mut request).await?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    let port = u16::from_be_bytes([request[8], request[9]]);
    let service = Service::ALL.into_iter().find(|of| of.port() == port);
    match service.ok_or(io::ErrorKind::InvalidInput)? {
        Service::Discard => {
            let mut buf = vec![0; 1 << 20];
            while stream.read(&mut buf).await? > 0 {}
        }
        Service::Source => {
            let block = vec![0x5a; 256 << 10];
            loop {
                stream.write_all(&block).await?;
            }
        }
        Service::Hello => stream.write_all(b"hello").await?,
        Service::Echo => {
            let mut buf = [0; 64];
            loop {
                match stream.read(&mut buf).await? {
                    0 => break,
                    len => stream.write_all(&buf[..len]).await?,
                }
            }
        }
    }
    Ok(())
}
