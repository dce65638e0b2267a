//! A host that talks to itself: two threads of one process, over its own addresses and the loopback's.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use netloom::device::{Medium, pair};

use super::{A4, LONG, hosts_over, pattern, read_all};

/// 16 MiB to itself and back, while the device's other end reads nothing.
#[test]
fn text_to_itself_needs_no_device() {
    let (a, _silent) = hosts_over(pair(Medium::Ethernet, 1500));
    for at in [A4, "127.0.0.1", "::1"] {
        let listener = a.tcp_listen((at, 7)).unwrap();
        let text = pattern(16 << 20, 3);
        thread::scope(|scope| {
            scope.spawn(|| {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(LONG)).unwrap();
                let all = read_all(&stream);
                (&stream).write_all(&all).unwrap();
            });
            let stream = a.tcp_connect((at, 7)).unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            assert_eq!(
                stream.peer_addr().unwrap().ip(),
                at.parse::<std::net::IpAddr>().unwrap()
            );
            (&stream).write_all(&text).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert!(read_all(&stream) == text, "{at}");
        });
    }
}

/// Small messages back and forth: each is there without a timer.
#[test]
fn an_exchange_within_waits_for_nothing() {
    let (a, _b) = hosts_over(pair(Medium::Ip, 1500));
    let listener = a.tcp_listen("127.0.0.1:7").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            let mut byte = [0];
            while stream.read(&mut byte).unwrap() == 1 {
                stream.write_all(&byte).unwrap();
            }
        });
        let mut stream = a.tcp_connect("127.0.0.1:7").unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        for n in 0..1000u32 {
            let byte = [(n % 251) as u8];
            stream.write_all(&byte).unwrap();
            let mut back = [0];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, byte);
        }
        let info = stream.info().unwrap();
        assert_eq!((info.retransmits, info.tail_probes), (0, 0), "{info:?}");
        stream.shutdown(Shutdown::Write).unwrap();
    });
}
