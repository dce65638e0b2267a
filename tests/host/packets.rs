//! Packet sockets of hosts.

use netloom::link::ethernet::EtherType;
use netloom::stack::{InterfaceId, PacketOptions};

use super::*;

/// A type that is for experiments.
const TYPE: EtherType = EtherType(0x88b5);

fn options() -> PacketOptions {
    let first = InterfaceId::from_scope(1).unwrap();
    PacketOptions::new(first).ether_type(TYPE)
}

/// Both ways; who hears nothing waits no longer than it said, and the end of the host wakes it.
#[test]
fn two_hosts_speak_a_type_of_their_own() {
    let (a, b) = hosts_over(pair(Medium::Ethernet, 1500));
    let [here, there] = [&a, &b].map(|host| host.packet_socket(options()).unwrap());
    for round in 0..100u8 {
        let data = vec![round; 1200];
        here.send_to(MacAddr::BROADCAST, TYPE, data.clone())
            .unwrap();
        let packet = there.recv(LONG).unwrap();
        assert_eq!(
            (packet.dst, packet.payload),
            (Some(MacAddr::BROADCAST), data.into())
        );
        there.send_to(packet.src.unwrap(), TYPE, vec![9]).unwrap();
        assert_eq!(here.recv(LONG).unwrap().payload[..], [9]);
    }
    assert_eq!(here.recv(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!((here.dropped(), there.dropped()), (0, 0));
    let long = here.send_to(MacAddr::BROADCAST, TYPE, vec![0; 1501]);
    assert_eq!(long.unwrap_err().kind(), ErrorKind::InvalidInput);
    thread::scope(|scope| {
        let waits = scope.spawn(|| here.recv(LONG).unwrap_err().kind());
        a.shutdown(LONG);
        assert_eq!(waits.join().unwrap(), ErrorKind::NotConnected);
    });
    assert!(a.packet_socket(options()).is_err());
}
