//! Everything that a kernel's programs connect to comes to this library, which decides about it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use netloom::device::Tun;
use netloom::host::Host;
use netloom::stack::{Refusal, UdpOptions};

use crate::Test;
use crate::link::PATIENCE;
use crate::namespace::ip;

pub(crate) const TESTS: &[Test] = &[
    ("requests::a_program_reaches_whom_it_asks_for", accepted),
    ("requests::a_program_is_told_why_it_is_refused", refused),
    ("requests::datagrams_to_any_port_are_answered", datagrams),
];

const SITES: [&str; 2] = ["192.0.2.7:443", "[2001:db8::7]:443"];

fn proxy() -> Host {
    let device = Tun::builder()
        .name("nl0")
        .kernel_address("10.7.0.1/24".parse().unwrap())
        .kernel_address("fd07::1/64".parse().unwrap());
    let host = Host::builder(device.open().unwrap())
        .address("10.7.0.2/24".parse().unwrap())
        .address("fd07::2/64".parse().unwrap())
        .accept_foreign(true)
        .spawn()
        .unwrap();
    host.wait_ready(PATIENCE).unwrap();
    ip("route add 192.0.2.0/24 dev nl0");
    ip("route add 2001:db8::/32 dev nl0");
    host
}

fn all(site: SocketAddr) -> &'static str {
    if site.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    }
}

fn accepted() {
    let host = proxy();
    for site in SITES {
        let site: SocketAddr = site.parse().unwrap();
        let requests = host.tcp_requests(all(site)).unwrap();
        let client = thread::spawn(move || {
            let mut stream = TcpStream::connect(site).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&[7; 300_000]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            answer
        });
        let asked = requests.next(Some(PATIENCE)).unwrap();
        assert_eq!(asked.local(), site);
        let mut stream = asked.accept().unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        assert!(heard == [7; 300_000]);
        stream.write_all(b"answer").unwrap();
        drop(stream);
        assert_eq!(client.join().unwrap(), b"answer");
    }
}

fn refused() {
    let host = proxy();
    for site in SITES {
        let site: SocketAddr = site.parse().unwrap();
        let requests = host.tcp_requests(all(site)).unwrap();
        for (how, kind) in [
            (Refusal::Reset, ErrorKind::ConnectionRefused),
            (Refusal::Port, ErrorKind::ConnectionRefused),
            (Refusal::Host, ErrorKind::HostUnreachable),
            (Refusal::Net, ErrorKind::NetworkUnreachable),
        ] {
            let client = thread::spawn(move || TcpStream::connect(site));
            let asked = requests.next(Some(PATIENCE)).unwrap();
            asked.refuse(how).unwrap();
            let error = client.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), kind, "{site}, {how:?}");
        }
    }
}

fn datagrams() {
    let host = proxy();
    for site in SITES {
        let site: SocketAddr = site.parse().unwrap();
        let any = UdpOptions::new().any_port(true);
        let socket = host.udp_bind_with(all(site), any).unwrap();
        let client = UdpSocket::bind(all(site)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.connect(site).unwrap();
        client.send(b"question").unwrap();
        let timeout = Some(Duration::from_secs(20));
        socket.set_read_timeout(timeout).unwrap();
        let asked = socket.recv_datagram().unwrap();
        assert_eq!(SocketAddr::new(asked.to, asked.to_port), site);
        socket.reply(&asked, &b"answer"[..].into()).unwrap();
        let mut answer = [0; 20];
        // A connected socket of the kernel takes what is from its peer alone.
        assert_eq!(client.recv(&mut answer).unwrap(), 6);
    }
}
