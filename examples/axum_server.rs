//! An axum server on a TAP device: HTTP/1.1 and HTTP/2, with nothing between hyper and the stack.
//!
//! `sudo cargo run --features tokio --example axum_server`, then in another terminal `curl http://10.7.0.2/hello/you`, or
//! `curl --http2-prior-knowledge` of the same.

#[cfg(target_os = "linux")]
mod server {
    use std::future::pending;
    use std::io;
    use std::net::SocketAddr;

    use axum::Router;
    use axum::extract::Path;
    use axum::routing::get;
    use axum::serve::{Listener, serve};
    use netloom::device::Tap;
    use netloom::host::{Host, TcpListener, TcpStream};

    /// netloom's listener, as axum wants one.
    struct Tcp(TcpListener);

    impl Listener for Tcp {
        type Io = TcpStream;
        type Addr = SocketAddr;

        async fn accept(&mut self) -> (TcpStream, SocketAddr) {
            match self.0.accept_async().await {
                Ok(accepted) => accepted,
                // The host has ended: nobody comes any more.
                Err(_) => pending().await,
            }
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            self.0.local_addr()
        }
    }

    async fn hello(Path(name): Path<String>) -> String {
        format!("hello, {name}\n")
    }

    pub(super) fn main() -> Result<(), netloom::Report> {
        let tap = Tap::builder()
            .name("nl%d")
            .kernel_address("10.7.0.1/24".parse()?)
            .open()?;
        println!("serving 10.7.0.2:80 behind {}", tap.name());
        let host = Host::builder(tap).address("10.7.0.2/24".parse()?).spawn()?;
        let listener = Tcp(host.tcp_listen("0.0.0.0:80")?);
        let app = Router::new().route("/hello/{name}", get(hello));
        // No reactor of tokio's is needed: the host's own thread wakes the tasks.
        let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
        runtime.block_on(async { serve(listener, app).await })?;
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), netloom::Report> {
    server::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("TAP devices are Linux's");
}
