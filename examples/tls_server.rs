//! An HTTPS server on a TAP device, a thread for each connection: TLS by rustls, over the stream as it is.
//!
//! `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=here -keyout key.pem -out cert.pem`, then
//! `sudo cargo run --example tls_server cert.pem key.pem`, and in another terminal `curl -k https://10.7.0.2/`.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;

use netloom::host::TcpStream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server's certificate and key, of PEM files.
pub(crate) fn config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, netloom::Report> {
    let certs = CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let config = ServerConfig::builder().with_no_client_auth();
    Ok(Arc::new(config.with_single_cert(certs, key)?))
}

/// Answers every request on one connection with what it asked for, until its client has enough.
pub(crate) fn serve(stream: TcpStream, config: &Arc<ServerConfig>) -> io::Result<()> {
    let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let mut client = BufReader::new(StreamOwned::new(session, stream));
    loop {
        let mut request = String::new();
        // A request ends with an empty line; what is asked for stands in the first.
        while !request.ends_with("\r\n\r\n") {
            if client.read_line(&mut request)? == 0 {
                return Ok(());
            }
        }
        let asked = request.lines().next().unwrap_or_default();
        let len = asked.len() + 1;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\n\r\n");
        let client = client.get_mut();
        client.write_all(format!("{head}{asked}\n").as_bytes())?;
        client.flush()?;
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), netloom::Report> {
    let mut args = std::env::args().skip(1);
    let usage = || io::Error::other("usage: tls_server CERT KEY");
    let mut file = || args.next().ok_or_else(usage);
    let config = config(file()?.as_ref(), file()?.as_ref())?;
    let tap = netloom::device::Tap::builder()
        .name("nl%d")
        .kernel_address("10.7.0.1/24".parse()?)
        .open()?;
    println!("serving 10.7.0.2:443 behind {}", tap.name());
    let host = netloom::host::Host::builder(tap)
        .address("10.7.0.2/24".parse()?)
        .spawn()?;
    for stream in host.tcp_listen("0.0.0.0:443")?.incoming() {
        let (stream, config) = (stream?, Arc::clone(&config));
        std::thread::spawn(move || {
            let peer = stream.peer_addr();
            if let Err(error) = serve(stream, &config) {
                eprintln!("{peer:?}: {error}");
            }
        });
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
