//! The handles under `tokio`, with one thread and with several.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use netloom::host::TcpListener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;

fn runtimes() -> [Runtime; 2] {
    let one = Builder::new_current_thread().enable_all().build();
    let several = Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build();
    [one.unwrap(), several.unwrap()]
}

/// Gives back all that comes, connection by connection.
async fn echo(listener: TcpListener) -> io::Result<()> {
    let mut tasks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept_async().await?;
        tasks.spawn(async move {
            let (mut from, mut to) = stream.try_clone()?.into_split()?;
            tokio::io::copy(&mut from, &mut to).await?;
            stream.shutdown(Shutdown::Write)
        });
    }
}

#[test]
fn a_hundred_connections_at_once_carry_both_ways() {
    for runtime in runtimes() {
        let (a, b) = hosts();
        carry_both_ways(&runtime, a, &b);
    }
}

/// The same where the runtime drives both hosts: every wake-up is a task's.
#[test]
fn a_runtime_drives_hosts() {
    for runtime in runtimes() {
        let (a, b) = pair(Medium::Ip, 1500);
        let build = |device, address: &str| {
            let builder = Host::builder(device).address(format!("{address}/24").parse().unwrap());
            builder.build().unwrap()
        };
        let ((a, drives_a), (b, drives_b)) = (build(a, A4), build(b, B4));
        let drivers = [
            runtime.spawn(drives_a.drive()),
            runtime.spawn(drives_b.drive()),
        ];
        let end = Instant::now();
        carry_both_ways(&runtime, a, &b);
        drop(b);
        runtime.block_on(async {
            for driver in drivers {
                let ended = timeout(LONG, driver).await.unwrap().unwrap().unwrap();
                // The one whose peer's device went first, or the other.
                let expected = matches!(ended, HostError::Closed | HostError::Device(_));
                assert!(expected, "{ended}");
            }
        });
        assert!(end.elapsed() < LONG);
    }
}

/// A driver that goes with its runtime ends its host: who waits is told.
#[test]
fn a_runtime_that_ends_ends_the_host_that_it_drove() {
    for runtime in runtimes() {
        let (a, b) = pair(Medium::Ip, 1500);
        let near = Host::builder(a).address(format!("{A4}/24").parse().unwrap());
        let (near, driver) = near.build().unwrap();
        let far = Host::builder(b).address(format!("{B4}/24").parse().unwrap());
        let far = far.spawn().unwrap();
        let listener = near.tcp_listen((A4, 7)).unwrap();
        runtime.spawn(driver.drive());
        thread::scope(|scope| {
            let client = scope.spawn(|| far.tcp_connect((A4, 7)).unwrap());
            let accepted = runtime.block_on(listener.accept_async()).unwrap().0;
            let client = client.join().unwrap();
            let waits = scope.spawn(move || accepted.recv(&mut [0; 9]));
            drop(runtime);
            let told = waits.join().unwrap().unwrap_err();
            assert_eq!(told.kind(), ErrorKind::NotConnected);
            let reset = client.recv(&mut [0; 9]).unwrap_err();
            assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
        });
    }
}

fn carry_both_ways(runtime: &Runtime, a: Host, b: &Host) {
    const LEN: usize = 100_000;
    {
        let a = Arc::new(a);
        let listener = b.tcp_listen((B4, 7)).unwrap();
        let to = listener.local_addr().unwrap();
        runtime.block_on(async {
            let server = tokio::spawn(echo(listener));
            let mut clients = JoinSet::new();
            for n in 0..100 {
                let a = Arc::clone(&a);
                clients.spawn(async move {
                    let stream = a.connect_async(to, &ConnectOptions::new()).await.unwrap();
                    let (mut from, mut into) = stream.into_split().unwrap();
                    let sent = pattern(LEN, n);
                    let copy = sent.clone();
                    let writer = tokio::spawn(async move { into.write_all(&copy).await });
                    let mut got = Vec::new();
                    from.read_to_end(&mut got).await.unwrap();
                    writer.await.unwrap().unwrap();
                    assert!(
                        got == sent,
                        "connection {n}: {} bytes, or others",
                        got.len()
                    );
                });
            }
            let all = async {
                while let Some(done) = clients.join_next().await {
                    done.unwrap();
                }
            };
            timeout(LONG, all).await.unwrap();
            // The host ends while its listener is waited for.
            b.shutdown(Duration::ZERO);
            let ended = timeout(LONG, server).await.unwrap().unwrap().unwrap_err();
            assert_eq!(ended.kind(), ErrorKind::NotConnected);
        });
    }
}

#[test]
fn a_runtime_that_ends_closes_what_its_tasks_held() {
    for runtime in runtimes() {
        let (a, b) = hosts();
        let (near, far) = connected(&a, &b);
        runtime.spawn(async move {
            let mut near = near;
            let mut buf = [0; 9];
            AsyncReadExt::read(&mut near, &mut buf).await
        });
        runtime.block_on(tokio::task::yield_now());
        drop(runtime);
        assert_eq!(read_all(&far), b"");
    }
}

#[test]
fn connections_are_a_stream_that_ends_with_its_host() {
    use futures_core::Stream;
    let (a, b) = hosts();
    let listener = b.tcp_listen((B4, 7)).unwrap();
    let near = a.tcp_connect((B4, 7)).unwrap();
    runtimes()[0].block_on(async {
        let mut all = pin!(listener.into_stream());
        let mut next = || {
            let polled = std::future::poll_fn(|cx: &mut Context<'_>| all.as_mut().poll_next(cx));
            let mut polled = Box::pin(timeout(LONG, polled));
            // So that it is borrowed no longer than this.
            let mut cx = Context::from_waker(Waker::noop());
            loop {
                if let Poll::Ready(done) = polled.as_mut().poll(&mut cx) {
                    break done.unwrap();
                }
                thread::yield_now();
            }
        };
        let far = next().unwrap().unwrap();
        assert_eq!(far.peer_addr().unwrap(), near.local_addr().unwrap());
        b.shutdown(Duration::ZERO);
        assert_eq!(next().unwrap().unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(next().is_none());
    });
}

/// The traits of `futures-io` do what tokio's do.
#[test]
fn both_families_of_traits_say_the_same() {
    let (a, b) = hosts();
    let (mut near, far) = connected(&a, &b);
    let mut cx = Context::from_waker(Waker::noop());
    let wrote = futures_io::AsyncWrite::poll_write(pin!(&mut near), &mut cx, b"by futures-io");
    assert!(matches!(wrote, Poll::Ready(Ok(13))));
    let closed = futures_io::AsyncWrite::poll_close(pin!(&mut near), &mut cx);
    assert!(matches!(closed, Poll::Ready(Ok(()))));
    assert_eq!(read_all(&far), b"by futures-io");
    (&far).write_all(b"back").unwrap();
    let mut buf = [0; 9];
    let end = Instant::now() + LONG;
    let read = loop {
        match futures_io::AsyncRead::poll_read(pin!(&mut near), &mut cx, &mut buf) {
            Poll::Ready(read) => break read.unwrap(),
            Poll::Pending => assert!(Instant::now() < end),
        }
    };
    assert_eq!(&buf[..read], b"back");
}
