//! ARP: what parses emits the same bytes again, and an answer is about its question.

use netloom::MacAddr;
use netloom::arp::{Operation, PACKET_LEN, Packet, ParseError};

/// Input: a packet, maybe padded.
pub fn run(input: &[u8]) {
    let packet = match Packet::parse(input) {
        Ok(packet) => packet,
        Err(ParseError::Truncated { need, have }) => {
            assert_eq!((need, have), (PACKET_LEN, input.len()));
            assert!(have < need);
            return;
        }
        Err(ParseError::Hardware { .. }) => {
            assert!(input[..2] != [0, 1] || input[4] != 6);
            return;
        }
        Err(ParseError::Protocol { .. }) => {
            assert!(input[2..4] != [8, 0] || input[5] != 4);
            return;
        }
        Err(other) => panic!("{other}"),
    };
    let mut emitted = [0; PACKET_LEN];
    assert_eq!(packet.emit(&mut emitted), PACKET_LEN);
    assert_eq!(emitted, input[..PACKET_LEN]);
    let ours = MacAddr::new([2, 0, 0, 0, 0, 2]);
    let reply = packet.reply(ours);
    assert_eq!(reply.operation, Operation::REPLY);
    assert_eq!((reply.sender_mac, reply.sender), (ours, packet.target));
    assert_eq!(
        (reply.target_mac, reply.target),
        (packet.sender_mac, packet.sender)
    );
    assert!(!reply.is_probe());
    assert!(!(packet.is_probe() && packet.is_announcement()));
}
