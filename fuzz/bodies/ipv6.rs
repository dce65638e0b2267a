//! The IPv6 header and its extension headers: offsets and pointers within the packet, and what parses
//! emits the same bytes.

use netloom::base::Protocol;
use netloom::ipv6::extension::{Discard, Extension, Outcome, walk};
use netloom::ipv6::{HEADER_LEN, Header, ParseError};

use super::wire::inside;

/// Input: a packet.
pub fn run(input: &[u8]) {
    let (header, rest) = match Header::parse_quoted(input) {
        Ok(parsed) => parsed,
        Err(ParseError::Truncated { need, have }) => {
            assert_eq!((need, have), (HEADER_LEN, input.len()));
            return;
        }
        Err(ParseError::Version { version }) => return assert_ne!(version, 6),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(HEADER_LEN + rest.len(), input.len());
    let mut emitted = [0xff; HEADER_LEN];
    let fields = header.fields();
    assert_eq!(fields.emit(header.payload_len(), &mut emitted), HEADER_LEN);
    assert_eq!(emitted, input[..HEADER_LEN]);
    assert_eq!(header.ecn(), header.traffic_class() & 3);
    // A packet that may be cut is walked too: a quoted one.
    chain(&header, rest);
    match Header::parse(input) {
        Ok((same, payload)) => {
            assert_eq!(same.fields(), fields);
            assert_eq!(payload.len(), header.payload_len());
            assert!(inside(payload, input));
            chain(&header, payload);
        }
        Err(ParseError::Truncated { need, have }) => {
            assert_eq!((need, have), (header.total_len(), input.len()));
            assert!(need > have);
        }
        Err(other) => panic!("{other}"),
    }
}

/// Follows the chain step by step beside [`walk`].
fn chain(header: &Header<'_>, payload: &[u8]) {
    let outcome = walk(header, payload);
    let (mut kind, mut at) = (header.next_header(), 0);
    let mut starts = vec![];
    while let Some(Ok(extension)) = Extension::parse(kind, payload, at) {
        assert!(extension.bytes.len() >= 8 && extension.bytes.len() % 8 == 0);
        assert_eq!(extension.bytes, &payload[at..at + extension.bytes.len()]);
        options(&extension);
        starts.push((kind, at));
        kind = extension.next_header;
        at += extension.bytes.len();
    }
    let whole = HEADER_LEN + payload.len();
    let octet = |pointer: u32| {
        let pointer = usize::try_from(pointer).expect("small");
        assert!(pointer < whole, "{outcome:?} points beyond {whole} bytes");
        pointer
    };
    match outcome {
        Outcome::Upper {
            protocol,
            offset,
            pointer,
            fragmented,
        } => {
            assert_eq!((protocol, offset), (kind, at));
            let packet_at = octet(pointer);
            let named = if packet_at < HEADER_LEN {
                header.next_header()
            } else {
                Protocol(payload[packet_at - HEADER_LEN])
            };
            assert_eq!(named, protocol);
            let seen = starts.iter().any(|(kind, _)| *kind == Protocol::FRAGMENT);
            assert_eq!(fragmented, seen);
        }
        Outcome::Fragment(fragment) => {
            assert!(starts.contains(&(Protocol::FRAGMENT, fragment.at)));
            assert!(!fragment.is_atomic());
            assert!(fragment.at + 8 <= payload.len());
            assert!(fragment.offset.is_multiple_of(8) && fragment.offset <= 65_528);
        }
        Outcome::Discard(Discard::Truncated(truncated)) => {
            assert!(truncated.need > truncated.have);
            assert_eq!(truncated.have, payload.len() - at);
        }
        Outcome::Discard(_) => assert!(!starts.is_empty()),
        Outcome::ParameterProblem { pointer, .. } => {
            octet(pointer);
        }
        other => panic!("{other:?}"),
    }
}

fn options(extension: &Extension<'_>) {
    let mut options = extension.options();
    let mut taken = 2;
    for option in options.by_ref() {
        assert!(option.at >= taken && option.kind > 1);
        assert_eq!(extension.bytes[option.at], option.kind);
        assert!(inside(option.data, extension.bytes));
        taken = option.at + 2 + option.data.len();
    }
    assert!(taken <= extension.bytes.len());
    assert!(options.next().is_none());
    if let Some(fragment) = extension.fragment() {
        assert_eq!(fragment.at, extension.at);
        assert_eq!(extension.bytes[4..8], fragment.id.to_be_bytes());
    }
}
