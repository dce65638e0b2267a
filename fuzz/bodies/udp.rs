//! The UDP header, and the checksum that all transports share beside a plain model of it.

use std::net::{Ipv4Addr, Ipv6Addr};

use netloom::base::Protocol;
use netloom::base::checksum::{Sum, checksum, update};
use netloom::udp::{HEADER_LEN, Header, ParseError, checksum_field};
use netloom::{ipv4, ipv6};

use super::wire::{self, inside};

/// Input: a datagram.
pub fn run(input: &[u8]) {
    sums(input);
    let (quoted, rest) = match Header::parse_quoted(input) {
        Ok(parsed) => parsed,
        Err(ParseError::Truncated { need, have }) => {
            assert_eq!((need, have), (HEADER_LEN, input.len()));
            return;
        }
        Err(other) => panic!("{other}"),
    };
    assert_eq!(HEADER_LEN + rest.len(), input.len());
    let (header, data) = match Header::parse(input) {
        Ok(parsed) => parsed,
        Err(ParseError::Truncated { need, have }) => {
            assert!(need == usize::from(quoted.length()) && need > have);
            return;
        }
        Err(ParseError::Length { length }) => return assert!(length < 8),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(HEADER_LEN + data.len(), usize::from(header.length()));
    assert!(inside(data, input));
    let mut emitted = [0xff; HEADER_LEN];
    assert_eq!(header.fields().emit(data.len(), &mut emitted), HEADER_LEN);
    assert_eq!(emitted[..6], input[..6]);
    assert_eq!(emitted[6..], [0, 0]);

    let (a, b) = (Ipv4Addr::new(10, 7, 0, 1), Ipv4Addr::new(10, 7, 0, 2));
    let (c, d) = (Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED);
    for pseudo in [
        ipv4::pseudo_sum(a, b, Protocol::UDP, HEADER_LEN + data.len()),
        ipv6::pseudo_sum(c, d, Protocol::UDP, HEADER_LEN + data.len()),
    ] {
        let field = checksum_field(pseudo.bytes(&emitted).bytes(data));
        assert_ne!(field, 0);
        let mut sent = emitted;
        sent[6..].copy_from_slice(&field.to_be_bytes());
        assert!(pseudo.bytes(&sent).bytes(data).is_valid());
    }
}

/// The sum in one piece, in two, and after a change.
fn sums(input: &[u8]) {
    let whole = checksum(input);
    assert_eq!(whole.to_be_bytes(), wire::checksum(&[input]));
    let at = input.first().map_or(0, |&byte| usize::from(byte)) % (input.len() + 1);
    let (front, back) = input.split_at(at);
    let pieces = Sum::new().bytes(front).bytes(back);
    assert_eq!(pieces.finish(), whole);
    assert_eq!(Sum::new().slices(&[front, back]), pieces);
    if let [a, b, c, d, rest @ ..] = input {
        // RFC 1624: the checksum of the rest, after its first word changed from `old` to `new`. Of
        // nothing but zeros the sum has a second form.
        let (old, new) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
        let sum = |word: u16| Sum::new().word(word).bytes(&[7, 7]).bytes(rest);
        assert_eq!(update(sum(old).finish(), old, new), sum(new).finish());
    }
}
