//! IPv4 and IPv6.

use etherparse::{Ipv4HeaderSlice, Ipv6ExtensionsSlice, Ipv6HeaderSlice};
use smoltcp::wire::{
    IpProtocol, Ipv4Packet, Ipv6ExtHeader, Ipv6FragmentHeader, Ipv6Packet, checksum,
};

use netloom::base::Protocol;
use netloom::ipv6::extension::{Extension, Outcome, walk};
use netloom::{ipv4, ipv6};

pub fn v4(bytes: &[u8]) {
    let ours = ipv4::Header::parse_quoted(bytes);
    let theirs = Ipv4HeaderSlice::from_slice(bytes);
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} {theirs:?}");
    let (Ok((ours, _)), Ok(theirs)) = (ours, theirs) else {
        return;
    };
    let whole = theirs.to_header();
    assert_eq!(ours.header_len(), usize::from(theirs.ihl()) * 4);
    assert_eq!(ours.total_len(), usize::from(theirs.total_len()));
    assert_eq!(ours.dscp(), theirs.dcp().value());
    assert_eq!(ours.ecn(), theirs.ecn().value());
    assert_eq!(ours.id(), theirs.identification());
    assert_eq!(ours.dont_fragment(), theirs.dont_fragment());
    assert_eq!(ours.more_fragments(), theirs.more_fragments());
    let offset = usize::from(theirs.fragments_offset().value()) * 8;
    assert_eq!(ours.fragment_offset(), offset);
    assert_eq!(ours.is_fragment(), theirs.is_fragmenting_payload());
    assert_eq!(ours.ttl(), theirs.ttl());
    assert_eq!(ours.protocol().0, theirs.protocol().0);
    assert_eq!(ours.checksum(), theirs.header_checksum());
    assert_eq!(ours.src(), theirs.source_addr());
    assert_eq!(ours.dst(), theirs.destination_addr());
    assert_eq!(ours.options_bytes(), theirs.options());
    let header = &bytes[..ours.header_len()];
    // The reserved flag is no part of their value, and of the sum zero there are two forms.
    if bytes[6] & 0x80 == 0 && ours.checksum() != 0xffff {
        let right = whole.calc_header_checksum() == ours.checksum();
        assert_eq!(ours.checksum_is_valid(), right);
    }
    assert_eq!(ours.checksum_is_valid(), checksum::data(header) == !0);
    let smol = Ipv4Packet::new_checked(bytes);
    let parsed = ipv4::Header::parse(bytes);
    let sound = smol.is_ok() && ours.checksum_is_valid();
    assert_eq!(parsed.is_ok(), sound, "{parsed:?} {smol:?}");
    let Ok(smol) = smol else { return };
    assert_eq!(usize::from(smol.header_len()), ours.header_len());
    assert_eq!(usize::from(smol.total_len()), ours.total_len());
    assert_eq!((smol.dscp(), smol.ecn()), (ours.dscp(), ours.ecn()));
    assert_eq!(smol.ident(), ours.id());
    assert_eq!(smol.dont_frag(), ours.dont_fragment());
    assert_eq!(smol.more_frags(), ours.more_fragments());
    assert_eq!(usize::from(smol.frag_offset()), ours.fragment_offset());
    assert_eq!(smol.hop_limit(), ours.ttl());
    assert_eq!(u8::from(smol.next_header()), ours.protocol().0);
    assert_eq!(smol.src_addr(), ours.src());
    assert_eq!(smol.dst_addr(), ours.dst());
    if let Ok((_, payload)) = parsed {
        assert_eq!(smol.payload(), payload);
    }
}

pub fn v6(bytes: &[u8]) {
    let ours = ipv6::Header::parse_quoted(bytes);
    let theirs = Ipv6HeaderSlice::from_slice(bytes);
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} {theirs:?}");
    let (Ok((ours, rest)), Ok(theirs)) = (ours, theirs) else {
        return;
    };
    assert_eq!(ours.traffic_class(), theirs.traffic_class());
    assert_eq!(ours.ecn(), theirs.ecn().value());
    assert_eq!(ours.flow_label(), theirs.flow_label().value());
    assert_eq!(ours.payload_len(), usize::from(theirs.payload_length()));
    assert_eq!(ours.next_header().0, theirs.next_header().0);
    assert_eq!(ours.hop_limit(), theirs.hop_limit());
    assert_eq!(ours.src(), theirs.source_addr());
    assert_eq!(ours.dst(), theirs.destination_addr());
    chain(&ours, rest);
    let smol = Ipv6Packet::new_checked(bytes);
    let parsed = ipv6::Header::parse(bytes);
    assert_eq!(parsed.is_ok(), smol.is_ok(), "{parsed:?} {smol:?}");
    let (Ok(smol), Ok((_, payload))) = (smol, parsed) else {
        return;
    };
    assert_eq!(smol.traffic_class(), ours.traffic_class());
    assert_eq!(smol.flow_label(), ours.flow_label());
    assert_eq!(smol.total_len(), ours.total_len());
    assert_eq!(u8::from(smol.next_header()), ours.next_header().0);
    assert_eq!(smol.hop_limit(), ours.hop_limit());
    assert_eq!(smol.src_addr(), ours.src());
    assert_eq!(smol.dst_addr(), ours.dst());
    assert_eq!(smol.payload(), payload);
}

/// The extension headers: where they end, and what each says.
fn chain(header: &ipv6::Header<'_>, payload: &[u8]) {
    const AUTHENTICATION: u8 = 51;
    let (mut kind, mut at) = (header.next_header(), 0);
    while let Some(Ok(extension)) = Extension::parse(kind, payload, at) {
        one(&extension);
        kind = extension.next_header;
        at += extension.bytes.len();
    }
    let theirs = Ipv6ExtensionsSlice::from_slice(header.next_header().0.into(), payload);
    match walk(header, payload) {
        // Explained: they go on behind it.
        Outcome::Upper { protocol, .. } if protocol.0 == AUTHENTICATION => {}
        Outcome::Upper {
            protocol, offset, ..
        } => {
            let (extensions, next, rest) = theirs.expect("a chain that we walked");
            assert_eq!((next.0, rest), (protocol.0, &payload[offset..]));
            assert!(!extensions.is_fragmenting_payload());
        }
        // Explained: they read what follows the header of any fragment.
        Outcome::Fragment(_) => {
            if let Ok((extensions, ..)) = theirs {
                assert!(extensions.is_fragmenting_payload());
            }
        }
        // Explained: what an option or a routing header asks for. What is cut or out of order is
        // so for both.
        _ => {}
    }
}

fn one(extension: &Extension<'_>) {
    if let Some(fragment) = extension.fragment() {
        let smol = Ipv6FragmentHeader::new_checked(&extension.bytes[2..]).expect("it is whole");
        assert_eq!(usize::from(smol.frag_offset()) * 8, fragment.offset);
        assert_eq!(smol.more_frags(), fragment.more);
        return assert_eq!(smol.ident(), fragment.id);
    }
    let smol = Ipv6ExtHeader::new_checked(extension.bytes).expect("it is whole");
    let next = Protocol(IpProtocol::into(smol.next_header()));
    assert_eq!(next, extension.next_header);
    assert_eq!(smol.payload(), &extension.bytes[2..]);
}
