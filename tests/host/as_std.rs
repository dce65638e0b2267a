//! What the handles have of std's: getters beside setters, looking at datagrams, names of addresses, writes of nothing.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::Duration;

use netloom::tcp::{Keepalive, TcpOptions};

use super::{A4, B4, LONG, SHORT, hosts};

#[test]
fn what_is_set_on_a_stream_is_told() {
    let (a, b) = hosts();
    let listener = b.tcp_listen("10.7.0.2:80").unwrap();
    let stream = a.tcp_connect("10.7.0.2:80").unwrap();
    drop(listener.accept().unwrap());
    assert_eq!(
        (stream.nodelay().unwrap(), stream.ttl().unwrap()),
        (false, 64)
    );
    assert_eq!(
        (stream.linger().unwrap(), stream.keepalive().unwrap()),
        (None, None)
    );
    stream.set_nodelay(true).unwrap();
    stream.set_ttl(3).unwrap();
    stream.set_linger(Some(Duration::ZERO)).unwrap();
    let probes = Keepalive::after(Duration::from_secs(9));
    stream.set_keepalive(Some(probes)).unwrap();
    assert_eq!(
        (stream.nodelay().unwrap(), stream.ttl().unwrap()),
        (true, 3)
    );
    assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO));
    assert_eq!(stream.keepalive().unwrap(), Some(probes));
}

/// As in std: it waits for no room, and is none of an end's business.
#[test]
fn a_write_of_nothing_is_done_at_once() {
    let (a, b) = hosts();
    let _listener = b.tcp_listen("10.7.0.2:80").unwrap();
    let mut stream = a.tcp_connect("10.7.0.2:80").unwrap();
    stream
        .set_options(TcpOptions::default().send_buffer(4096))
        .unwrap();
    stream.set_nonblocking(true).unwrap();
    let full = loop {
        if let Err(error) = stream.write_all(&[1; 65_536]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert_eq!(stream.write(&[]).unwrap(), 0);
    assert_eq!(stream.write_vectored(&[]).unwrap(), 0);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.write(&[]).unwrap(), 0);
}

#[test]
fn a_datagram_is_looked_at_and_received() {
    let (a, b) = hosts();
    let near = a.udp_bind((A4, 7)).unwrap();
    let far = b.udp_bind((B4, 9)).unwrap();
    assert_eq!(far.read_timeout().unwrap(), None);
    far.set_read_timeout(Some(LONG)).unwrap();
    far.set_write_timeout(Some(SHORT)).unwrap();
    assert_eq!(far.read_timeout().unwrap(), Some(LONG));
    assert_eq!(far.write_timeout().unwrap(), Some(SHORT));
    near.send_to(b"first", (B4, 9)).unwrap();
    near.connect("10.7.0.2:9").unwrap();
    near.send(b"second").unwrap();
    let from = near.local_addr().unwrap();
    let mut buf = [0; 9];
    for _ in 0..2 {
        assert_eq!(far.peek_from(&mut buf).unwrap(), (5, from));
        assert_eq!(&buf[..5], b"first");
    }
    assert_eq!(far.peek(&mut buf[..2]).unwrap(), 2);
    assert_eq!(far.recv_from(&mut buf).unwrap(), (5, from));
    assert_eq!(far.peek(&mut buf).unwrap(), 6);
    assert_eq!(far.recv(&mut buf).unwrap(), 6);
    assert_eq!(&buf[..6], b"second");
    far.set_nonblocking(true).unwrap();
    assert_eq!(
        far.peek(&mut buf).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    far.set_nonblocking(false).unwrap();
    far.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!(
        far.peek(&mut buf).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

/// One thread waits for a datagram while another looks at it: who waits hears that it is there again.
#[test]
fn who_waits_gets_what_another_has_looked_at() {
    let (a, b) = hosts();
    let near = a.udp_bind((A4, 7)).unwrap();
    let far = b.udp_bind((B4, 9)).unwrap();
    far.set_read_timeout(Some(LONG)).unwrap();
    let one = || {
        let mut buf = [0; 1];
        far.recv(&mut buf).map(|_| buf[0]).unwrap()
    };
    for _ in 0..200 {
        thread::scope(|scope| {
            let looked = scope.spawn(|| far.peek(&mut [0; 1]).unwrap());
            let taken = scope.spawn(|| [one(), one()]);
            near.send_to(&[1], (B4, 9)).unwrap();
            near.send_to(&[2], (B4, 9)).unwrap();
            let mut taken = taken.join().unwrap();
            taken.sort_unstable();
            assert_eq!(taken, [1, 2]);
            // Both may have been taken before anybody looked.
            near.send_to(&[3], (B4, 9)).unwrap();
            assert_eq!(looked.join().unwrap(), 1);
            assert_eq!(one(), 3);
        });
    }
}

#[test]
fn a_host_connects_to_itself() {
    let (a, _b) = hosts();
    for own in [
        format!("{A4}:80"),
        "127.0.0.1:81".to_owned(),
        "[::1]:82".to_owned(),
    ] {
        let listener = a.tcp_listen(&*own).unwrap();
        let mut near = a.tcp_connect(&*own).unwrap();
        let (far, peer) = listener.accept().unwrap();
        assert_eq!(peer, near.local_addr().unwrap());
        near.write_all(b"hello").unwrap();
        let mut buf = [0; 9];
        assert_eq!(far.recv(&mut buf).unwrap(), 5);
    }
}
