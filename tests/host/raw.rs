//! Raw sockets of hosts.

use netloom::base::Protocol;
use netloom::stack::{RawOptions, SendInfo};

use super::*;

/// A protocol that nobody else speaks.
const SPOKEN: Protocol = Protocol(253);

/// Both ways, with a header of the sender's one way; who hears nothing waits no longer than it said.
#[test]
fn two_hosts_speak_a_protocol_of_their_own() {
    let (a, b) = hosts_over(pair(Medium::Ethernet, 1500));
    let [here, there] = [&a, &b].map(|host| host.raw_socket(RawOptions::v4(SPOKEN)).unwrap());
    for round in 0..100u8 {
        here.send_to(B4.parse().unwrap(), vec![round; 1200])
            .unwrap();
        let packet = there.recv(LONG).unwrap();
        assert_eq!(packet.src, A4.parse::<std::net::IpAddr>().unwrap());
        assert_eq!(packet.payload, vec![round; 1200]);
        let info = SendInfo::new().ttl(9);
        there
            .send_with(Some(packet.src), packet.payload, &info)
            .unwrap();
        let back = here.recv(LONG).unwrap();
        assert_eq!((back.ttl, back.payload.len()), (9, 1200));
    }
    assert_eq!(here.recv(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!((here.dropped(), there.dropped()), (0, 0));
    let own = a.raw_socket(RawOptions::v6(SPOKEN).header_included(true));
    let sent = own.unwrap().send_to(B6.parse().unwrap(), vec![0x60]);
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::InvalidInput);
    let nowhere = here.send_to("192.0.2.1".parse().unwrap(), vec![1]);
    assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::NetworkUnreachable);
}

/// The end of a host wakes who waits, and a socket that outlives it says why.
#[test]
fn the_end_of_a_host_ends_the_wait() {
    let (a, _b) = hosts_over(pair(Medium::Ethernet, 1500));
    let socket = a.raw_socket(RawOptions::v4(SPOKEN)).unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| socket.recv(LONG).unwrap_err().kind());
        a.shutdown(LONG);
        assert_eq!(waits.join().unwrap(), ErrorKind::NotConnected);
    });
    let sent = socket.send_to(B4.parse().unwrap(), vec![1]);
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::NotConnected);
    assert!(a.raw_socket(RawOptions::v4(SPOKEN)).is_err());
}
