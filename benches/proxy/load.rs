//! The clients: kernel sockets.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::socks5::Service;

/// Nothing here waits longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Threads that connect, one connection after the other.
const THREADS: usize = 8;

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Gbit a second that one stream carries.
pub(crate) fn bytes(to: SocketAddr, service: Service, time: Duration) -> io::Result<f64> {
    let mut stream = connect(to)?;
    let (start, mut bytes) = (Instant::now(), 0);
    if service == Service::Source {
        let mut buf = vec![0; 1 << 20];
        while start.elapsed() < time {
            bytes += stream.read(&mut buf)?;
        }
    } else {
        let block = vec![0x5a; 256 << 10];
        while start.elapsed() < time {
            bytes += stream.write(&block)?;
        }
        stream.shutdown(Shutdown::Write)?;
        // Until all of it was taken.
        while stream.read(&mut [0; 64])? > 0 {}
    }
    Ok(bytes as f64 * 8e-9 / start.elapsed().as_secs_f64())
}

/// Connections a second, each with an answer and its end.
pub(crate) fn connections(to: SocketAddr, time: Duration) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let made = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| -> io::Result<u32> {
                    let mut made = 0;
                    while start.elapsed() < time {
                        let mut said = Vec::new();
                        connect(to)?.read_to_end(&mut said)?;
                        if said != b"hello" {
                            return Err(io::ErrorKind::InvalidData.into());
                        }
                        made += 1;
                    }
                    Ok(made)
                })
            })
            .collect();
        let mut all = 0;
        for thread in threads {
            all += thread
                .join()
                .map_err(|_| "a client panicked".to_owned())??;
        }
        Ok::<_, Box<dyn Error>>(all)
    })?;
    Ok(f64::from(made) / start.elapsed().as_secs_f64())
}

/// Opens so many, then speaks on each: how long that took, and how many had their answer.
pub(crate) fn at_once(to: SocketAddr, many: usize) -> Result<(Duration, usize), Box<dyn Error>> {
    let start = Instant::now();
    let open =
        || -> io::Result<Vec<TcpStream>> { (0..many / THREADS).map(|_| connect(to)).collect() };
    let mut all = Vec::new();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(open)).collect();
        for thread in threads {
            all.extend(
                thread
                    .join()
                    .map_err(|_| "a client panicked".to_owned())??,
            );
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    for (n, stream) in all.iter_mut().enumerate() {
        stream.write_all(&(n as u32).to_be_bytes())?;
    }
    let mut answered = 0;
    for (n, stream) in all.iter_mut().enumerate() {
        let mut said = [0; 4];
        stream.read_exact(&mut said)?;
        answered += usize::from(said == (n as u32).to_be_bytes());
    }
    Ok((start.elapsed(), answered))
}
