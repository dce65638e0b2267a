//! ICMPv6 messages: what parses emits a message that parses to the same, with a right checksum.

use std::net::Ipv6Addr;

use netloom::base::Protocol;
use netloom::ipv6::icmp::{MAX_HEADER_LEN, Message, ParseError};
use netloom::ipv6::pseudo_sum;

use super::wire::inside;

/// Input: source and destination address, then a message, its checksum right or not.
pub fn run(input: &[u8]) {
    let Some((src, rest)) = input.split_first_chunk::<16>() else {
        return;
    };
    let Some((dst, bytes)) = rest.split_first_chunk::<16>() else {
        return;
    };
    let (src, dst) = (Ipv6Addr::from(*src), Ipv6Addr::from(*dst));
    let message = match Message::parse_unverified(bytes) {
        Ok(message) => message,
        Err(ParseError::Truncated { need, have }) => {
            assert!(need > have && have == bytes.len() && need <= MAX_HEADER_LEN);
            return;
        }
        Err(ParseError::NdpCode { kind, code }) => {
            assert!((133..=137).contains(&kind) && code != 0);
            return;
        }
        Err(other) => panic!("{other}"),
    };
    assert_eq!(message.len(), bytes.len());
    assert!(message.header_len() <= MAX_HEADER_LEN);
    assert!(inside(message.body(), bytes));
    let sum = pseudo_sum(src, dst, Protocol::ICMPV6, bytes.len()).bytes(bytes);
    assert_eq!(Message::parse(bytes, src, dst).is_ok(), sum.is_valid());
    if let Some((_, rest)) = message.quoted() {
        assert_eq!(40 + rest.len(), message.body().len());
        assert!(message.is_error());
    }
    let mut emitted = vec![0xff; message.len()];
    assert_eq!(message.emit(src, dst, &mut emitted), message.len());
    assert_eq!(Message::parse(&emitted, src, dst), Ok(message));
}
