//! Neighbour discovery: validity is total and means what it says; each option emits to itself.

use netloom::ipv6::Header;
use netloom::ipv6::icmp::Message;
use netloom::ipv6::ndp::{self, HOP_LIMIT, Options};

use super::wire::inside;

/// Input: an IPv6 header of 40 bytes, then an ICMPv6 message.
pub fn run(input: &[u8]) {
    let Ok((header, bytes)) = Header::parse_quoted(input) else {
        return;
    };
    let Ok(Message::Ndp(message)) = Message::parse_unverified(bytes) else {
        return;
    };
    let options = message.options();
    assert!(inside(options.as_bytes(), bytes));
    read(options);
    if message.check(&header).is_err() {
        return;
    }
    assert_eq!(header.hop_limit(), HOP_LIMIT);
    assert!(options.is_well_formed());
    match message {
        ndp::Message::NeighborSolicitation { target, .. } => assert!(!target.is_multicast()),
        ndp::Message::NeighborAdvertisement { target, flags, .. } => {
            assert!(!target.is_multicast());
            let solicited = flags.contains(ndp::NeighborFlags::SOLICITED);
            assert!(!(solicited && header.dst().is_multicast()));
        }
        ndp::Message::RouterAdvertisement { flags, .. } => {
            assert!(header.src().is_unicast_link_local());
            let _ = flags.preference();
        }
        ndp::Message::Redirect { destination, .. } => assert!(!destination.is_multicast()),
        _ => {}
    }
}

fn read(options: Options<'_>) {
    let bytes = options.as_bytes();
    let mut iter = options.iter();
    let mut count = 0;
    for option in iter.by_ref() {
        count += 1;
        let mut emitted = vec![0xee];
        option.emit(&mut emitted);
        assert!((emitted.len() - 1).is_multiple_of(8) && emitted.len() <= 1 + 255 * 8);
        let mut again = Options::new(&emitted[1..]).iter();
        assert_eq!(again.next(), Some(option));
        assert_eq!(again.next(), None);
    }
    assert!(count * 8 <= bytes.len());
    assert!(iter.next().is_none());
    assert_eq!(options.is_well_formed(), !iter.malformed());
    let link = (options.source_link_address(), options.target_link_address());
    for (mac, make) in [
        (
            link.0,
            Options::source_link_address_bytes as fn(netloom::MacAddr) -> [u8; 8],
        ),
        (link.1, Options::target_link_address_bytes),
    ] {
        let Some(mac) = mac else { continue };
        let made = make(mac);
        assert!(bytes.windows(8).any(|window| window == made));
    }
}
