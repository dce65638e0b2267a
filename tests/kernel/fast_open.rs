//! TCP Fast Open beside the kernel's, in both roles.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::process::{Child, Command, Stdio};

use netloom::host::ConnectOptions;
use netloom::stack::ListenOptions;
use netloom::tcp::State;

use crate::link::{Link, PATIENCE, eventually, kernel, kernel_counter, our_accept, ours};
use crate::namespace::Case;
use crate::programs::with;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        with(
            &["python3"],
            "fast_open_to_a_server_of_the_kernels",
            to_the_kernel,
        ),
        with(
            &["python3"],
            "fast_open_from_a_client_of_the_kernels",
            from_the_kernel,
        ),
    ]
}

/// Both roles, for everybody who asks for it.
fn kernel_does() {
    fs::write("/proc/sys/net/ipv4/tcp_fastopen", "3").expect("this namespace's settings");
}

/// Answers each request with its length, for ever.
const SERVER: &str = r"
import socket, sys
six = ':' in sys.argv[1]
with socket.socket(socket.AF_INET6 if six else socket.AF_INET) as listener:
    listener.bind((sys.argv[1], 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    listener.listen()
    print(listener.getsockname()[1], flush=True)
    while True:
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(10)
            got = b''
            while not got.endswith(b'\n'):
                got += peer.recv(65536)
            peer.sendall(str(len(got)).encode())
";

/// Sends a request as fast as it can, and prints what comes.
const CLIENT: &str = r"
import socket, sys
MSG_FASTOPEN = 0x20000000
to = (sys.argv[1], int(sys.argv[2]))
with socket.socket(socket.AF_INET6 if ':' in to[0] else socket.AF_INET) as peer:
    # With a time-out it would not wait for a handshake.
    peer.sendto(b'request\n', MSG_FASTOPEN, to)
    peer.settimeout(10)
    peer.shutdown(socket.SHUT_WR)
    got = b''
    while more := peer.recv(100):
        got += more
    print(got.decode())
";

struct Server(Child);

impl Server {
    fn start(v6: bool) -> (Self, u16) {
        let mut command = Command::new("python3");
        command.args(["-c", SERVER, &kernel(v6).to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        (Self(child), line.trim().parse().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Covers: TFO-4.
fn to_the_kernel() {
    kernel_does();
    let host = Link::TAP.host();
    for v6 in [false, true] {
        let (_server, port) = Server::start(v6);
        let before = host.counters().tcp_fast_taken;
        let passive = kernel_counter("netstat", "TcpExt:", "TCPFastOpenPassive");
        for (length, fast) in [(8, 0), (8, 1), (1000, 2), (100_000, 3)] {
            let mut request = vec![7; length];
            request[length - 1] = b'\n';
            let to = (kernel(v6), port).into();
            let opened = host.tcp_connect_fast(to, &ConnectOptions::new(), &request);
            let (mut stream, taken) = opened.unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&request[taken..]).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, length.to_string());
            assert_eq!(host.counters().tcp_fast_taken - before, fast);
        }
        let passive = kernel_counter("netstat", "TcpExt:", "TCPFastOpenPassive") - passive;
        assert_eq!(passive, 3, "those of the kernel's count");
    }
}

/// Covers: TFO-7.
fn from_the_kernel() {
    kernel_does();
    let host = Link::TAP.host();
    for v6 in [false, true] {
        let options = ListenOptions::default().fast_open(16);
        let listener = host.tcp_listen_with((ours(v6), 0), options).unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let before = host.counters().tcp_fast_opened;
        for fast in 0..3 {
            let mut command = Command::new("python3");
            command.args(["-c", CLIENT, &ours(v6).to_string(), &port]);
            let client = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut stream = our_accept(&listener);
            let mut request = String::new();
            stream.read_to_string(&mut request).unwrap();
            assert_eq!(request, "request\n");
            stream.write_all(b"answer").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let said = client.wait_with_output().unwrap().stdout;
            assert_eq!(String::from_utf8_lossy(&said).trim(), "answer");
            assert_eq!(host.counters().tcp_fast_opened - before, fast);
            eventually("it is over", PATIENCE, || {
                stream
                    .info()
                    .is_ok_and(|info| matches!(info.state, State::Closed | State::TimeWait))
            });
        }
    }
}
