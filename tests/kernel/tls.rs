//! TLS over this library's streams by rustls: the example's server to curl, a client at openssl's server.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use netloom::host::Host;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::link::{PATIENCE, eventually};
use crate::namespace::Case;
use crate::programs::{Peer, listening, output, path_of};

#[path = "../../examples/tls_server.rs"]
#[allow(dead_code, reason = "its main is for who runs it")]
mod tls_server;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        with("serves_curl", serves_curl),
        with("asks_a_server_of_openssls", asks),
    ]
}

fn with(name: &str, test: fn()) -> Case {
    Case::with_reason(format!("tls::{name}"), move || {
        let there = path_of("openssl").is_some() && path_of("curl").is_some();
        if there {
            test();
        }
        (!there)
            .then(|| "there is no openssl or no curl (Debian packages of these names)".to_owned())
    })
}

/// A certificate for both ends' addresses, and its key; gone with this.
struct Files(PathBuf);

impl Files {
    fn make() -> Self {
        let name = format!(
            "netloom-tls-{}-{:?}",
            std::process::id(),
            thread::current().id()
        );
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let files = Self(folder);
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]);
        openssl.args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=here"]);
        openssl.args(["-addext", "subjectAltName=IP:10.7.0.1,IP:10.7.0.2"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        openssl.arg("-keyout").arg(files.key());
        output(openssl.arg("-out").arg(files.cert()));
        files
    }

    fn cert(&self) -> PathBuf {
        self.0.join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn host() -> Host {
    let tap = netloom::device::Tap::builder()
        .name("nl0")
        .kernel_address("10.7.0.1/24".parse().unwrap())
        .open()
        .unwrap();
    let host = Host::builder(tap).address("10.7.0.2/24".parse().unwrap());
    host.spawn().unwrap()
}

fn serves_curl() {
    let files = Files::make();
    let config = tls_server::config(&files.cert(), &files.key()).unwrap();
    let host = host();
    let listener = host.tcp_listen("0.0.0.0:443").unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        tls_server::serve(stream, &config)
    });
    // Two requests on one connection, the certificate checked.
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--cacert"])
        .arg(files.cert());
    let said = output(curl.args(["https://10.7.0.2/one", "https://10.7.0.2/two"])).stdout;
    assert_eq!(
        String::from_utf8_lossy(&said),
        "GET /one HTTP/1.1\nGET /two HTTP/1.1\n"
    );
    server.join().unwrap().unwrap();
}

/// More than a record, and than a window: `openssl s_server -rev` gives each line back turned round.
fn asks() {
    let files = Files::make();
    let host = host();
    let mut server = Command::new("openssl");
    server.args([
        "s_server",
        "-quiet",
        "-rev",
        "-accept",
        "10.7.0.1:4433",
        "-cert",
    ]);
    server.arg(files.cert()).arg("-key").arg(files.key());
    server
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _server = Peer::of(server.spawn().unwrap());
    eventually("openssl listens", PATIENCE, || listening(false, 4433));

    let mut roots = RootCertStore::empty();
    let cert = rustls::pki_types::CertificateDer::from_pem_file(files.cert()).unwrap();
    roots.add(cert).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = Arc::new(config.with_no_client_auth());
    let name = ServerName::try_from("10.7.0.1").unwrap();
    let session = ClientConnection::new(config, name).unwrap();
    let stream = host.tcp_connect("10.7.0.1:4433").unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut tls = StreamOwned::new(session, stream);
    for n in 0..200_usize {
        let line: String = (0..1 + n * 37)
            .map(|at| char::from(b'a' + (at % 26) as u8))
            .collect();
        tls.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut back = vec![0; line.len() + 1];
        tls.read_exact(&mut back).unwrap();
        let turned: String = line.chars().rev().chain(['\n']).collect();
        assert_eq!(String::from_utf8(back).unwrap(), turned, "line {n}");
    }
}
