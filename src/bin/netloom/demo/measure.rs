//! The demo's measurements, each between the two sides in one direction.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use netloom::bytes::Bytes;

use super::side::Listen;
use super::world::World;

const PINGS: usize = 5;
const BLOCK: usize = 256 << 10;

/// What is measured; `from` and `v6` say in which direction and over what.
#[derive(Clone, Copy, Debug)]
enum What {
    Ping,
    Bulk,
    PingPong,
    Connections,
}

/// One row of the demo's table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    what: What,
    /// Which side begins: 0 is netloom.
    from: usize,
    v6: bool,
    time: Duration,
    port: u16,
}

impl Measure {
    pub(crate) fn all(time: Duration) -> Vec<Self> {
        let mut all = Vec::new();
        for what in [What::Ping, What::Bulk, What::PingPong, What::Connections] {
            for v6 in [false, true] {
                for from in [1, 0] {
                    let one_way = matches!(what, What::PingPong | What::Connections);
                    if one_way && (v6 || from == 0) {
                        continue;
                    }
                    let port = 5000 + all.len() as u16;
                    all.push(Self {
                        what,
                        from,
                        v6,
                        time,
                        port,
                    });
                }
            }
        }
        all
    }

    pub(crate) fn title(&self, world: &World) -> String {
        let sides = world.sides();
        let (from, to) = (sides[self.from].name(), sides[1 - self.from].name());
        let family = if self.v6 { "IPv6" } else { "IPv4" };
        let what = match self.what {
            What::Ping => "ping",
            What::Bulk => "TCP bulk",
            What::PingPong => "TCP 1-byte ping-pong",
            What::Connections => "TCP connect and reset",
        };
        format!("{what}, {from} to {to}, {family}")
    }

    pub(crate) fn run(&self, world: &World) -> io::Result<String> {
        match self.what {
            What::Ping => self.ping(world),
            What::Bulk => self.bulk(world),
            What::PingPong => self.ping_pong(world),
            What::Connections => self.connections(world),
        }
    }

    fn ping(&self, world: &World) -> io::Result<String> {
        let to = World::address(1 - self.from, self.v6);
        let mut times = Vec::new();
        for _ in 0..PINGS {
            times.push(world.sides()[self.from].ping(to)?);
        }
        times.sort_unstable();
        Ok(format!("{} us", micros(times[PINGS / 2])))
    }

    /// Runs `serve` on the far side's listener in a thread, and `drive` here.
    fn against<T: Send>(
        &self,
        world: &World,
        serve: impl FnOnce(&dyn Listen) -> io::Result<T> + Send,
        drive: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<T> {
        let at = World::endpoint(1 - self.from, self.v6, self.port);
        let listener = world.sides()[1 - self.from].listen(at)?;
        thread::scope(|scope| {
            let server = scope.spawn(move || serve(&*listener));
            let driven = drive();
            let served = server
                .join()
                .map_err(|_| io::Error::other("the server panicked"))?;
            driven.and(served)
        })
    }

    fn bulk(&self, world: &World) -> io::Result<String> {
        let to = World::endpoint(1 - self.from, self.v6, self.port);
        let block = Bytes::from(vec![0x5a; BLOCK]);
        let (bytes, time) = self.against(
            world,
            |listener| {
                let mut stream = listener.accept()?;
                let start = Instant::now();
                let mut bytes = 0u64;
                loop {
                    match stream.receive()? {
                        0 => return Ok((bytes, start.elapsed())),
                        n => bytes += n as u64,
                    }
                }
            },
            || {
                let mut stream = world.sides()[self.from].connect(to)?;
                let start = Instant::now();
                while start.elapsed() < self.time {
                    stream.send(&block)?;
                }
                stream.finish()?;
                while stream.receive()? > 0 {}
                Ok(())
            },
        )?;
        let gbits = bytes as f64 * 8.0 / time.as_secs_f64() / 1e9;
        Ok(format!("{gbits:.1} Gbit/s"))
    }

    fn ping_pong(&self, world: &World) -> io::Result<String> {
        let to = World::endpoint(1 - self.from, self.v6, self.port);
        let byte = Bytes::from_static(b"x");
        let mut times = Vec::new();
        self.against(
            world,
            |listener| {
                let mut stream = listener.accept()?;
                stream.set_nodelay()?;
                while stream.receive()? > 0 {
                    stream.send(&byte)?;
                }
                Ok(())
            },
            || {
                let mut stream = world.sides()[self.from].connect(to)?;
                stream.set_nodelay()?;
                let start = Instant::now();
                while start.elapsed() < self.time {
                    let sent = Instant::now();
                    stream.send(&byte)?;
                    if stream.receive()? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    times.push(sent.elapsed());
                }
                Ok(())
            },
        )?;
        times.sort_unstable();
        let at = |percent: usize| micros(times[(times.len() - 1) * percent / 100]);
        Ok(format!("p50 {} us, p99 {} us", at(50), at(99)))
    }

    fn connections(&self, world: &World) -> io::Result<String> {
        let to = World::endpoint(1 - self.from, self.v6, self.port);
        let mut made = 0u64;
        let start = Instant::now();
        self.against(
            world,
            |listener| {
                // The last connection says with a byte that it is the last.
                loop {
                    let mut stream = listener.accept()?;
                    if stream.receive().is_ok_and(|n| n > 0) {
                        return Ok(());
                    }
                }
            },
            || {
                while start.elapsed() < self.time {
                    world.sides()[self.from].connect(to)?.reset()?;
                    made += 1;
                }
                let mut last = world.sides()[self.from].connect(to)?;
                last.send(&Bytes::from_static(b"x"))?;
                last.finish()
            },
        )?;
        Ok(format!(
            "{:.0} per second",
            made as f64 / start.elapsed().as_secs_f64()
        ))
    }
}

fn micros(time: Duration) -> String {
    format!("{:.1}", time.as_nanos() as f64 / 1000.0)
}
