//! The IPv4 header and its options: lengths within the input, and what parses emits the same bytes.

use netloom::ipv4::{Header, MIN_HEADER_LEN, OptionIter, ParseError};

use super::wire::{checksum, inside};

/// Input: a packet. It is read as it is and with its header checksum completed.
pub fn run(input: &[u8]) {
    quoted(input);
    whole(input);
    if let Some(completed) = completed(input) {
        let error = Header::parse(&completed).err();
        assert!(!matches!(error, Some(ParseError::Checksum { .. })));
        whole(&completed);
    }
}

/// The same packet with a right checksum, when it has a header.
fn completed(input: &[u8]) -> Option<Vec<u8>> {
    let len = usize::from(input.first()? & 0xf) * 4;
    let mut packet = input.to_vec();
    packet.get_mut(10..12)?.fill(0);
    let sum = checksum(&[packet.get(..len)?]);
    packet[10..12].copy_from_slice(&sum);
    Some(packet)
}

fn quoted(input: &[u8]) {
    let (header, rest) = match Header::parse_quoted(input) {
        Ok(parsed) => parsed,
        Err(ParseError::Truncated { need, have }) => {
            assert!(need > have && have == input.len());
            return;
        }
        Err(ParseError::Version { version }) => return assert_ne!(version, 4),
        Err(ParseError::HeaderLength { words }) => return assert!(words < 5),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(header.header_len() + rest.len(), input.len());
    assert_eq!(header.dscp() << 2 | header.ecn(), header.tos());
    assert!(header.fragment_offset() <= 0x1fff * 8);
    assert_eq!(
        header.is_fragment(),
        header.more_fragments() || header.fragment_offset() > 0
    );
    options(header.options(), header.options_bytes());
    let whole = checksum(&[&input[..header.header_len()]]) == [0, 0];
    assert_eq!(header.checksum_is_valid(), whole);
}

fn options(mut options: OptionIter<'_>, bytes: &[u8]) {
    let mut taken = 0;
    for option in options.by_ref() {
        assert!(option.kind > 1);
        assert!(inside(option.data, bytes));
        taken += 2 + option.data.len();
    }
    assert!(taken <= bytes.len());
    assert!(options.next().is_none());
    assert!(!options.malformed() || taken < bytes.len());
}

fn whole(input: &[u8]) {
    let Ok((header, payload)) = Header::parse(input) else {
        return;
    };
    let len = header.header_len();
    assert_eq!(len + payload.len(), header.total_len());
    assert!(inside(payload, input));
    assert!(header.checksum_is_valid());
    let mut emitted = [0xff; 60];
    let fields = header.fields();
    let wrote = fields.emit_with_options(header.options_bytes(), payload.len(), &mut emitted);
    assert_eq!(wrote, len);
    let again = [&emitted[..len], payload].concat();
    let (second, rest) = Header::parse(&again).expect("it was just written");
    assert_eq!((second.fields(), rest), (fields, payload));
    // The reserved flag is not kept, and a checksum of zero has two forms.
    if input[6] & 0x80 == 0 && header.checksum() != 0xffff {
        assert_eq!(emitted[..len], input[..len]);
    }
    if len == MIN_HEADER_LEN {
        let mut plain = [0; MIN_HEADER_LEN];
        assert_eq!(fields.emit(payload.len(), &mut plain), len);
        assert_eq!(plain, emitted[..len]);
    }
}
