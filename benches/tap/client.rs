//! What the client, a kernel socket, does and counts.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use super::kernel::congestion;
use super::machine::Spent;
use super::measure::{Close, Measure, Sample};
use super::rivals::{BLOCK, READ, Rival};

/// No connect, read or write of the client waits longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Measures once, for about `time`.
pub(crate) fn sample(measure: Measure, rival: Rival, time: Duration) -> io::Result<Sample> {
    let endpoint = rival.endpoint(measure.service());
    let connect = || TcpStream::connect_timeout(&endpoint, PATIENCE);
    let before = Spent::now()?;
    let start = Instant::now();
    let mut sample = Sample::default();
    match measure {
        Measure::Receive(name) => {
            let bytes = write(patient(connect()?)?, name, time)?;
            sample.value = bytes as f64 * 8e-9 / start.elapsed().as_secs_f64();
            sample.cost = cost(before, bytes)?;
        }
        Measure::Send(name) => {
            let bytes = read(patient(connect()?)?, name, time)?;
            sample.value = bytes as f64 * 8e-9 / start.elapsed().as_secs_f64();
            sample.cost = cost(before, bytes)?;
        }
        Measure::PingPong(_) => (sample.value, sample.p99) = ping_pong(patient(connect()?)?, time)?,
        Measure::Connections(_, close) => {
            let mut made = 0u32;
            while start.elapsed() < time {
                match close {
                    Close::Reset => reset(connect()?)?,
                    Close::Fin => fin(&connect()?)?,
                }
                made += 1;
            }
            sample.value = f64::from(made) / start.elapsed().as_secs_f64();
        }
    }
    Ok(sample)
}

fn patient(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn cost(before: Spent, bytes: u64) -> io::Result<(f64, f64)> {
    let (client, rest) = Spent::now()?.since(before);
    let gib = bytes.max(1) as f64 / f64::from(1 << 30);
    Ok((client.as_secs_f64() / gib, rest.as_secs_f64() / gib))
}

/// Writes for `time` and waits until all of it was taken.
fn write(mut stream: TcpStream, congestion_control: &str, time: Duration) -> io::Result<u64> {
    congestion(&stream, congestion_control)?;
    let block = vec![0x5a; BLOCK];
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < time {
        bytes += stream.write(&block)? as u64;
    }
    fin(&stream)?;
    Ok(bytes)
}

/// Reads for `time`.
fn read(mut stream: TcpStream, congestion_control: &str, time: Duration) -> io::Result<u64> {
    stream.write_all(&congestion_control.as_bytes()[..1])?;
    let mut buf = vec![0; READ];
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < time {
        match stream.read(&mut buf)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes += n as u64,
        }
    }
    reset(stream)?;
    Ok(bytes)
}

/// The median and the 99th percentile, in microseconds.
fn ping_pong(mut stream: TcpStream, time: Duration) -> io::Result<(f64, f64)> {
    stream.set_nodelay(true)?;
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < time {
        let sent = Instant::now();
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        times.push(sent.elapsed());
    }
    fin(&stream)?;
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    Ok((at(50), at(99)))
}

/// Closes with a RST (SO_LINGER of zero).
fn reset(stream: TcpStream) -> io::Result<()> {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, sockopt::Linger, &at_once)?;
    drop(stream);
    Ok(())
}

/// Closes with a FIN and waits for the other one.
fn fin(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut [0; 64])? > 0 {}
    Ok(())
}
