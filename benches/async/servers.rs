//! hyper on both stacks, and readers of bulk on ours.

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use netloom::host::{Host, TcpListener};
use netloom::stack::ListenOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use super::common::pin;
use super::rig::{Rig, SERVER_CPU};

/// Whose sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Net {
    Kernel,
    /// netloom's, driven by a thread of its own.
    Netloom,
    /// netloom's, driven by a task of the runtime that serves.
    Driven,
}

/// What a server's tasks run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    One,
    Two,
}

/// Who reads a stream of bytes from netloom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bulk {
    Thread,
    TaskOfOne,
    TaskOfTwo,
}

impl Net {
    pub(crate) const ALL: [Self; 3] = [Self::Kernel, Self::Netloom, Self::Driven];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "the kernel's",
            Self::Netloom => "netloom, own thread",
            Self::Driven => "netloom, driven",
        }
    }

    /// Where a page is to be had.
    pub(crate) fn web(self, threads: Threads) -> SocketAddr {
        let net = match self {
            Self::Kernel => 0,
            Self::Netloom => 1,
            Self::Driven => 2 + threads as u8,
        };
        (Ipv4Addr::new(10, 8, net, 2), threads.port()).into()
    }
}

impl Threads {
    pub(crate) const ALL: [Self; 2] = [Self::One, Self::Two];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::One => "a runtime of one thread",
            Self::Two => "a runtime of two threads",
        }
    }

    const fn port(self) -> u16 {
        8000 + self as u16
    }

    fn runtime(self) -> io::Result<Runtime> {
        match self {
            Self::One => Builder::new_current_thread().enable_io().build(),
            Self::Two => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(2).enable_io().build()
            }
        }
    }
}

impl Bulk {
    pub(crate) const ALL: [Self; 3] = [Self::Thread, Self::TaskOfOne, Self::TaskOfTwo];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Thread => "a thread, slices",
            Self::TaskOfOne => "a task of one",
            Self::TaskOfTwo => "a task of two",
        }
    }

    pub(crate) fn address(self) -> SocketAddr {
        (Ipv4Addr::new(10, 8, 1, 2), 9000 + self as u16).into()
    }
}

/// All servers, until they are stopped.
pub(crate) struct Servers {
    host: Arc<Host>,
    over: Arc<Notify>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts them all, on their processor.
pub(crate) fn start(rig: &Rig) -> Result<Servers, Box<dyn Error>> {
    pin([SERVER_CPU])?;
    let host = Host::builder(Rig::tap(1)?).address("10.8.1.2/24".parse()?);
    let host = Arc::new(host.spawn()?);
    let over = Arc::new(Notify::new());
    let mut threads = Vec::new();
    for of in Threads::ALL {
        let listener = listen(&host, Net::Netloom.web(of))?;
        let stop = Arc::clone(&over);
        let runtime = of.runtime()?;
        threads.push(thread::spawn(move || {
            runtime.block_on(until(
                &stop,
                serve(async || Ok(listener.accept_async().await?.0)),
            ));
        }));
        threads.push(serve_driven(of, &over)?);
        threads.push(thread::scope(|scope| {
            let far = scope.spawn(|| {
                rig.enter_far()?;
                // Its workers are in that namespace as well.
                let runtime = of.runtime()?;
                let listener = runtime.block_on(kernel_listener(Net::Kernel.web(of)))?;
                let stop = Arc::clone(&over);
                io::Result::Ok(thread::spawn(move || {
                    runtime.block_on(until(
                        &stop,
                        serve(async || {
                            let (stream, _) = listener.accept().await?;
                            stream.set_nodelay(true)?;
                            Ok(stream)
                        }),
                    ));
                }))
            });
            far.join().map_err(|_| "the kernel's server panicked")
        })??);
    }
    threads.extend(start_readers(&host, &over)?);
    Ok(Servers {
        host,
        over,
        threads,
    })
}

impl Servers {
    pub(crate) fn stop(self) {
        self.over.notify_waiters();
        drop(self.host);
        for thread in self.threads {
            // Its panic was printed by itself.
            let _ = thread.join();
        }
    }
}

/// A host of its own, in its runtime alone.
fn serve_driven(of: Threads, over: &Arc<Notify>) -> Result<JoinHandle<()>, Box<dyn Error>> {
    let net = 2 + of as u8;
    let host = Host::builder(Rig::tap(net)?).address(format!("10.8.{net}.2/24").parse()?);
    let (host, driver) = host.build()?;
    let listener = listen(&host, Net::Driven.web(of))?;
    let (stop, runtime) = (Arc::clone(over), of.runtime()?);
    Ok(thread::spawn(move || {
        runtime.block_on(async {
            tokio::spawn(driver.drive());
            until(&stop, serve(async || Ok(listener.accept_async().await?.0))).await;
        });
        drop(host);
    }))
}

fn start_readers(host: &Arc<Host>, over: &Arc<Notify>) -> io::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    for reader in Bulk::ALL {
        let listener = listen(host, reader.address())?;
        let of = match reader {
            Bulk::Thread => {
                threads.push(thread::spawn(move || read_in_a_thread(&listener)));
                continue;
            }
            Bulk::TaskOfOne => Threads::One,
            Bulk::TaskOfTwo => Threads::Two,
        };
        let (stop, runtime) = (Arc::clone(over), of.runtime()?);
        threads.push(thread::spawn(move || {
            runtime.block_on(until(&stop, async move {
                while let Ok((stream, _)) = listener.accept_async().await {
                    // In the runtime's own threads, as a server's connections are.
                    let read = tokio::spawn(read_in_a_task(stream));
                    let _ = read.await;
                }
            }));
        }));
    }
    Ok(threads)
}

/// What is read at once.
const READ: usize = 1 << 20;

fn read_in_a_thread(listener: &TcpListener) {
    let mut buf = vec![0; READ];
    for mut stream in listener.incoming().flatten() {
        while matches!(Read::read(&mut stream, &mut buf), Ok(1..)) {}
    }
}

async fn read_in_a_task(mut stream: impl AsyncRead + Unpin) {
    let mut buf = vec![0; READ];
    while matches!(stream.read(&mut buf).await, Ok(1..)) {}
}

fn listen(host: &Host, on: SocketAddr) -> io::Result<TcpListener> {
    let options = host.tcp_options().clone().nodelay(true);
    host.tcp_listen_with(on, ListenOptions::new(options).backlog(4096))
}

async fn kernel_listener(on: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(on)?;
    socket.listen(4096)
}

/// Runs `served` until it is stopped.
async fn until(stop: &Notify, served: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.notified() => {}
        () = served => {}
    }
}

/// A task for each connection, which answers all that is asked with the same page.
async fn serve<S>(accept: impl AsyncFn() -> io::Result<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    while let Ok(stream) = accept().await {
        tokio::spawn(async move {
            let answer = service_fn(async |_: Request<Incoming>| {
                let page = Full::new(Bytes::from_static(b"hello, world\n"));
                Ok::<_, Infallible>(Response::new(page))
            });
            // A client that is done resets.
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            let _ = served.await;
        });
    }
}
