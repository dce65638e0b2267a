//! ICMP messages: what parses emits a message that parses to the same, with a right checksum.

use netloom::ipv4::icmp::{HEADER_LEN, Message, ParseError};

use super::wire::{checksum, inside};

/// Input: a message, its checksum right or not.
pub fn run(input: &[u8]) {
    let message = match Message::parse_unverified(input) {
        Ok(message) => message,
        Err(ParseError::Truncated { need, have }) => {
            assert_eq!((need, have), (HEADER_LEN, input.len()));
            assert!(Message::parse(input).is_err());
            return;
        }
        Err(other) => panic!("{other}"),
    };
    assert_eq!(message.len(), input.len());
    assert!(inside(message.body(), input));
    let right = checksum(&[input]) == [0, 0];
    assert_eq!(Message::parse(input).is_ok(), right);
    if let Some((header, rest)) = message.quoted() {
        assert_eq!(header.header_len() + rest.len(), message.body().len());
        assert!(message.is_error());
    }
    let mut emitted = vec![0xff; message.len()];
    assert_eq!(message.emit(&mut emitted), message.len());
    assert_eq!(checksum(&[&emitted]), [0, 0]);
    assert_eq!(Message::parse(&emitted), Ok(message));
}
