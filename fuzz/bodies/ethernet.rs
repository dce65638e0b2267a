//! The Ethernet header and its VLAN tags: what parses emits the same bytes again.

use netloom::link::VlanTag;
use netloom::link::ethernet::{HEADER_LEN, Header, ParseError, TAG_LEN};

/// Input: a frame.
pub fn run(input: &[u8]) {
    let (header, payload) = match Header::parse(input) {
        Ok(parsed) => parsed,
        Err(ParseError::Truncated { need, have }) => {
            assert!(have == input.len() && need > have);
            assert!(need == HEADER_LEN || need == HEADER_LEN + TAG_LEN);
            return;
        }
        Err(other) => panic!("{other}"),
    };
    assert_eq!(header.len() + payload.len(), input.len());
    assert_eq!(header.tag().is_some(), input[12..14] == [0x81, 0]);
    let fields = header.fields();
    let mut emitted = vec![0; fields.len()];
    assert_eq!(fields.emit(&mut emitted), header.len());
    assert_eq!(emitted, input[..header.len()]);
    assert!(format!("{header:?} {}", header.ether_type()).contains("0x"));
    tags(payload);
}

/// Tags behind the first one, as the decoder walks them.
fn tags(mut rest: &[u8]) {
    while let Some((tag, ether_type, behind)) = VlanTag::parse(rest) {
        assert_eq!(behind.len() + TAG_LEN, rest.len());
        let again = VlanTag::new(tag.id()).with_priority(tag.priority());
        assert_eq!(
            (again.id(), again.priority()),
            (tag.id(), tag.priority()),
            "{tag:?}"
        );
        let control = u16::from_be_bytes([rest[0], rest[1]]);
        let drop_eligible = u16::from(tag.drop_eligible()) << 12;
        let priority = u16::from(tag.priority()) << 13;
        assert_eq!(priority | drop_eligible | tag.id(), control);
        assert_eq!(ether_type.0.to_be_bytes(), rest[2..4]);
        rest = behind;
    }
    assert!(rest.len() < TAG_LEN);
}
