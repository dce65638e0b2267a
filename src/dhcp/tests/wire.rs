//! Messages and options on the wire.

use super::*;
use proptest::prelude::*;

/// Where the fields of RFC 2131 Figure 1 stand.
#[test]
fn the_bytes_of_a_message() {
    let bytes = Builder::new(Operation::REPLY, MessageType::ACK, 0x0102_0304, MAC)
        .secs(0x0506)
        .broadcast(true)
        .ciaddr(Ipv4Addr::new(1, 2, 3, 4))
        .yiaddr(Ipv4Addr::new(5, 6, 7, 8))
        .address(code::SERVER_ID, SERVER)
        .finish();
    let start = [
        2, 1, 6, 0, 1, 2, 3, 4, 5, 6, 0x80, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 2,
        0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(bytes[..44], start);
    assert!(bytes[44..236].iter().all(|&b| b == 0), "sname and file");
    let options = [99, 130, 83, 99, 53, 1, 5, 54, 4, 10, 7, 0, 1, 255];
    assert_eq!(bytes[236..250], options);
    // RFC 1542 §2.1.
    assert_eq!(bytes.len(), MIN_LEN);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.operation(), Operation::REPLY);
    assert_eq!((message.hardware_type(), message.hops()), (1, 0));
    assert_eq!((message.xid(), message.secs()), (0x0102_0304, 0x0506));
    assert!(message.is_broadcast());
    assert_eq!(message.ciaddr(), Ipv4Addr::new(1, 2, 3, 4));
    assert_eq!(message.yiaddr(), Ipv4Addr::new(5, 6, 7, 8));
    assert_eq!(message.siaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(message.giaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(message.chaddr(), MAC.octets());
    assert_eq!(message.kind(), Some(MessageType::ACK));
    assert_eq!(message.address(code::SERVER_ID), Some(SERVER));
}

fn with_options(options: &[u8]) -> Vec<u8> {
    let mut bytes = Builder::new(Operation::REPLY, MessageType::ACK, 7, MAC).finish();
    bytes.truncate(FIXED_LEN);
    bytes.extend_from_slice(options);
    bytes
}

#[test]
fn r61_what_is_no_message_is_refused() {
    let good = with_options(&[53, 1, 5, 255]);
    for have in 0..FIXED_LEN {
        let error = ParseError::Truncated { need: 240, have };
        assert_eq!(Message::parse(&good[..have]).unwrap_err(), error);
    }
    let mut bootp = good.clone();
    bootp[236] = 98;
    let cookie = [98, 130, 83, 99];
    assert_eq!(
        Message::parse(&bootp).unwrap_err(),
        ParseError::Cookie { cookie }
    );
    let mut long = good.clone();
    long[2] = 17;
    assert_eq!(
        Message::parse(&long).unwrap_err(),
        ParseError::HardwareLen { len: 17 }
    );
    long[2] = 16;
    assert_eq!(Message::parse(&long).unwrap().chaddr().len(), 16);
    let option = |code, need, have| ParseError::Option { code, need, have };
    for (options, error) in [
        (&[53, 1, 5, 51][..], option(51, 1, 0)),
        (&[51, 4, 0, 0, 0], option(51, 5, 4)),
        (&[0, 0, 51, 1], option(51, 2, 1)),
        (&[52, 1, 0, 255], ParseError::Overload),
        (&[52, 1, 4, 255], ParseError::Overload),
        (&[52, 2, 1, 1, 255], ParseError::Overload),
        (&[52, 0, 255], ParseError::Overload),
    ] {
        let bytes = with_options(options);
        assert_eq!(Message::parse(&bytes).unwrap_err(), error, "{options:?}");
    }
}

/// RFC 2132 §3: pads are skipped, nothing behind the end is an option; a field may lack an end.
#[test]
fn pads_and_ends() {
    for (options, codes) in [
        (&[][..], &[][..]),
        (&[0, 0, 53, 1, 5, 0, 61, 0], &[53, 61]),
        (&[53, 1, 5, 255, 61, 200], &[53]),
        (&[255], &[]),
    ] {
        let bytes = with_options(options);
        let message = Message::parse(&bytes).unwrap();
        let found: Vec<_> = message.options().map(|option| option.code).collect();
        assert_eq!(found, codes, "{options:?}");
    }
}

/// RFC 3396 §5: the options field, then `file`, then `sname`; RFC 2131 §4.1: only where option 52 says so.
/// Covers: DHC-2, DHC-3.
#[test]
fn pieces_in_all_three_fields_are_one_option() {
    for (overload, value) in [
        (None, &b"a"[..]),
        (Some(1), b"ab"),
        (Some(2), b"ac"),
        (Some(3), b"abc"),
    ] {
        let mut bytes = with_options(&[15, 1, b'a']);
        bytes[108..112].copy_from_slice(&[15, 1, b'b', 255]); // file
        bytes[44..48].copy_from_slice(&[15, 1, b'c', 255]); // sname
        if let Some(overload) = overload {
            bytes.extend_from_slice(&[52, 1, overload]);
        }
        let message = Message::parse(&bytes).unwrap();
        let found = message.option(15);
        assert_eq!(found.as_deref(), Some(value), "{overload:?}");
        // An option that lies in one piece is not copied.
        let whole = matches!(found, Some(std::borrow::Cow::Borrowed(_)));
        assert_eq!(whole, overload.is_none());
    }
    // What is cut in a field that holds options is cut; elsewhere it is a name.
    let mut bytes = with_options(&[255]);
    bytes[108..236].fill(15);
    assert!(Message::parse(&bytes).is_ok());
    bytes[240..].copy_from_slice(&[255]);
    bytes.splice(240..240, [52, 1, 1]);
    bytes[234..236].copy_from_slice(&[15, 9]);
    bytes[108..234].fill(0);
    let error = ParseError::Option {
        code: 15,
        need: 10,
        have: 1,
    };
    assert_eq!(Message::parse(&bytes).unwrap_err(), error);
}

/// RFC 3396 §6, §7.
/// Covers: DHC-3.
#[test]
fn a_long_option_is_cut_and_put_together() {
    for len in [0, 1, 254, 255, 256, 510, 511, 1000_usize] {
        let value: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        let bytes = Builder::new(Operation::REPLY, MessageType::ACK, 7, MAC)
            .option(121, &value)
            .finish();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.option(121).as_deref(), Some(&value[..]));
        let pieces = message.options().filter(|option| option.code == 121);
        assert_eq!(pieces.count(), len.div_ceil(255).max(1));
    }
}

#[test]
fn numbers_and_addresses_have_four_bytes() {
    for len in [0, 3, 5, 8_u8] {
        let bytes = with_options(&[&[51, len][..], &[1; 8][..len.into()]].concat());
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.number(51), message.address(51)), (None, None));
    }
    let two_types = with_options(&[53, 2, 5, 5]);
    assert_eq!(Message::parse(&two_types).unwrap().kind(), None);
}

/// RFC 4361 §6.1, RFC 8415 §11.4.
#[test]
fn client_identifiers() {
    let mac = MacAddr::new([2, 1, 3, 4, 5, 6]);
    let of_link = [255, 3, 4, 5, 6, 0, 3, 0, 1, 2, 1, 3, 4, 5, 6];
    assert_eq!(ClientId::of_link(mac).as_bytes(), of_link);
    let duid = ClientId::from_duid(0x0304_0506, &of_link[5..]).unwrap();
    assert_eq!(duid, ClientId::of_link(mac));
    assert_eq!(ClientId::of_hardware(mac).as_bytes(), [1, 2, 1, 3, 4, 5, 6]);
    for len in [0, 1, 256] {
        assert_eq!(ClientId::new(&vec![1; len]), Err(ClientIdError { len }));
    }
    assert!(ClientId::new(&[1; 2]).is_ok() && ClientId::new(&[1; 255]).is_ok());
    assert!(ClientId::from_duid(1, &[]).is_err());
    assert!(ClientId::from_duid(1, &[0; 250]).is_ok());
    assert!(ClientId::from_duid(1, &[0; 251]).is_err());
}

proptest! {
    #[test]
    fn what_is_built_parses_to_the_same(
        options in prop::collection::vec((1..255_u8, prop::collection::vec(any::<u8>(), 0..600)), 0..6),
        xid: u32, broadcast: bool,
    ) {
        let fit =
            |option: &&(u8, Vec<u8>)| ![code::OVERLOAD, code::MESSAGE_TYPE].contains(&option.0);
        let mut builder = Builder::new(Operation::REQUEST, MessageType::INFORM, xid, MAC).broadcast(broadcast);
        let mut expected = std::collections::BTreeMap::<u8, Vec<u8>>::new();
        for (code, value) in options.iter().filter(fit) {
            builder = builder.option(*code, value);
            expected.entry(*code).or_default().extend_from_slice(value);
        }
        let bytes = builder.finish();
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!((message.xid(), message.is_broadcast()), (xid, broadcast));
        for (code, value) in &expected {
            let found = message.option(*code);
            prop_assert_eq!(found.as_deref(), Some(&value[..]));
        }
    }

    #[test]
    fn any_options_parse_or_fail(options in prop::collection::vec(any::<u8>(), 0..80)) {
        let bytes = with_options(&options);
        if let Ok(message) = Message::parse(&bytes) {
            // An overload adds sname and file, 192 bytes.
            let held: usize = message.options().map(|option| option.data.len() + 2).sum();
            prop_assert!(held <= options.len() + 192);
        }
    }
}
