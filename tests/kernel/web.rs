//! The async world over this library: axum served to curl and h2load, a hyper client at a server of the kernel's.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use axum::serve::{Listener, serve};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use netloom::device::Tap;
use netloom::host::{self, ConnectOptions, Host};
use tokio::runtime::{Builder, Runtime};

use crate::link::PATIENCE;
use crate::namespace::Case;
use crate::programs::{output, path_of};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("web::axum_serves_curl", axum_serves_curl),
        Case::with_reason("web::axum_serves_h2load", || {
            let there = path_of("h2load").is_some();
            if there {
                axum_serves_h2load();
            }
            (!there).then(|| "there is no h2load (nghttp2-client)".to_owned())
        }),
        Case::new("web::hyper_asks_a_server_of_the_kernels", hyper_asks),
    ]
}

/// This library's listener, as axum wants one.
struct Tcp(host::TcpListener);

impl Listener for Tcp {
    type Io = host::TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (host::TcpStream, SocketAddr) {
        match self.0.accept_async().await {
            Ok(accepted) => accepted,
            Err(_) => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// What a program prints that must succeed.
fn said(program: &str, args: &[&str]) -> Vec<u8> {
    output(Command::new(program).args(args)).stdout
}

const LARGE: usize = 3_000_000;

fn large() -> Vec<u8> {
    (0..LARGE).map(|at| (at % 251) as u8).collect()
}

fn our_host() -> Host {
    let device = Tap::builder()
        .name("nl0")
        .kernel_address("10.7.0.1/24".parse().unwrap());
    let host = Host::builder(device.open().unwrap())
        .address("10.7.0.2/24".parse().unwrap())
        .spawn()
        .unwrap();
    host.wait_ready(PATIENCE).unwrap();
    host
}

/// One with a thread, and one with several.
fn runtimes() -> [Runtime; 2] {
    let one = Builder::new_current_thread().build();
    let several = Builder::new_multi_thread().worker_threads(2).build();
    [one.unwrap(), several.unwrap()]
}

/// Serves while `ask` asks, which is not of this thread.
fn served(ask: impl Fn() + Send + Sync) {
    for runtime in runtimes() {
        let host = our_host();
        let listener = Tcp(host.tcp_listen("0.0.0.0:80").unwrap());
        let app = Router::new()
            .route("/", get(|| async { "small" }))
            .route("/large", get(|| async { large() }))
            .route(
                "/len",
                post(|body: Bytes| async move { body.len().to_string() }),
            )
            .layer(axum::extract::DefaultBodyLimit::disable());
        let (over, ended) = tokio::sync::oneshot::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                ask();
                over.send(()).unwrap();
            });
            let until = async { drop(ended.await) };
            let serving = serve(listener, app).with_graceful_shutdown(until);
            runtime.block_on(async { serving.await }).unwrap();
        });
        // Connections that a client left are gone, too.
        drop(runtime);
        assert_eq!(host.shutdown(PATIENCE), 0);
    }
}

fn axum_serves_curl() {
    served(|| {
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let curl = |args: &[&str]| {
                let mut all = vec!["-sS", "--max-time", "20", version];
                all.extend(args);
                said("curl", &all)
            };
            let url = "http://10.7.0.2/";
            assert_eq!(curl(&[url]), b"small");
            if version == "--http1.1" {
                // One connection; curl 7.88 cannot use one of HTTP/2 again that it took for granted.
                assert_eq!(curl(&[url, url, url]), b"smallsmallsmall");
                assert_eq!(curl(&["-Z", url, url, url]), b"smallsmallsmall");
            }
            assert!(curl(&["http://10.7.0.2/large"]) == large(), "{version}");
            let file = std::env::temp_dir().join(format!("web-{}", std::process::id()));
            std::fs::write(&file, large()).unwrap();
            let data = format!("@{}", file.display());
            let len = curl(&["--data-binary", &data, "http://10.7.0.2/len"]);
            assert_eq!(len, LARGE.to_string().as_bytes(), "{version}");
            std::fs::remove_file(&file).unwrap();
        }
    });
}

fn axum_serves_h2load() {
    served(|| {
        for version in ["--h1", "-ph2c"] {
            let args = [
                "-n",
                "5000",
                "-c",
                "50",
                "-m",
                "10",
                version,
                "http://10.7.0.2/",
            ];
            let report = String::from_utf8(said("h2load", &args)).unwrap();
            assert!(report.contains("5000 succeeded, 0 failed"), "{report}");
        }
    });
}

fn hyper_asks() {
    let kernel = |to: SocketAddr| {
        let listener = TcpListener::bind(to).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            assert!(head.starts_with(b"GET /large HTTP/1.1\r\n"));
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
            stream.write_all(text.as_bytes()).unwrap();
            stream.write_all(&large()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        })
    };
    for runtime in runtimes() {
        let host = our_host();
        let to = "10.7.0.1:8080".parse().unwrap();
        let server = kernel(to);
        let body = runtime.block_on(async {
            let stream = host
                .connect_async(to, &ConnectOptions::new())
                .await
                .unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            let request = Request::get("/large").header("host", "kernel");
            let request = request.body(Empty::new()).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            answer.into_body().collect().await.unwrap().to_bytes()
        });
        assert!(body[..] == large()[..]);
        drop(runtime);
        server.join().unwrap();
    }
}
