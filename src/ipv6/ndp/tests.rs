use super::*;
use crate::base::{MacAddr, Protocol};
use crate::ipv6::{ALL_NODES, Fields, HEADER_LEN, icmp};
use proptest::prelude::*;

const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn check(message: Message<'_>, src: &str, dst: &str, hop_limit: u8) -> Result<(), Invalid> {
    let mut fields = Fields::new(ip(src), ip(dst), Protocol::ICMPV6);
    fields.hop_limit = hop_limit;
    let mut bytes = [0; HEADER_LEN];
    fields.emit(0, &mut bytes);
    message.check(&Header::parse(&bytes).unwrap().0)
}

/// Covers: NDP-1, NDP-4, NDP-5, NDP-6, NDP-9, NDP-37.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn validity_as_far_as_one_packet_shows() {
    use Message::*;
    let none = Options::NONE;
    let slla = Options::source_link_address_bytes(MAC);
    let slla = Options::new(&slla);
    let zero = Options::new(&[1, 0, 0, 0, 0, 0, 0, 0]);
    let ns = |target, options| NeighborSolicitation {
        target: ip(target),
        options,
    };
    let na = |target, flags| NeighborAdvertisement {
        target: ip(target),
        flags,
        options: none,
    };
    let redirect = |target, destination| Redirect {
        target: ip(target),
        destination: ip(destination),
        options: none,
    };
    let ra = RouterAdvertisement {
        hop_limit: 64,
        flags: RouterFlags::default(),
        lifetime: 1800,
        reachable_time: 0,
        retrans_timer: 0,
        options: slla,
    };
    let target = |text| Err(Invalid::Target { target: ip(text) });
    let solicited = NeighborFlags::SOLICITED;
    let quiet = NeighborFlags::OVERRIDE;
    for (message, src, dst, result) in [
        (ns("fd00::2", slla), "fd00::1", "ff02::1:ff00:2", Ok(())),
        (ns("fd00::2", none), "::", "ff02::1:ff00:2", Ok(())),
        (
            ns("fd00::2", slla),
            "::",
            "ff02::1:ff00:2",
            Err(Invalid::LinkAddressOfNobody),
        ),
        (
            ns("fd00::2", none),
            "::",
            "fd00::2",
            Err(Invalid::Destination {
                destination: ip("fd00::2"),
            }),
        ),
        (ns("ff02::1", none), "fd00::1", "ff02::1", target("ff02::1")),
        (
            ns("fd00::2", zero),
            "fd00::1",
            "fd00::2",
            Err(Invalid::OptionLength),
        ),
        (na("fd00::2", solicited), "fd00::2", "fd00::1", Ok(())),
        (na("fd00::2", quiet), "fd00::2", "ff02::1", Ok(())),
        (
            na("fd00::2", solicited),
            "fd00::2",
            "ff02::1",
            Err(Invalid::SolicitedMulticast),
        ),
        (
            na("ff02::2", quiet),
            "fd00::2",
            "ff02::1",
            target("ff02::2"),
        ),
        (
            RouterSolicitation { options: slla },
            "fe80::1",
            "ff02::2",
            Ok(()),
        ),
        (
            RouterSolicitation { options: none },
            "::",
            "ff02::2",
            Ok(()),
        ),
        (
            RouterSolicitation { options: slla },
            "::",
            "ff02::2",
            Err(Invalid::LinkAddressOfNobody),
        ),
        (ra, "fe80::1", "ff02::1", Ok(())),
        (
            ra,
            "fd00::1",
            "ff02::1",
            Err(Invalid::Source {
                source_address: ip("fd00::1"),
            }),
        ),
        (redirect("fe80::9", "fd00::9"), "fe80::1", "fd00::2", Ok(())),
        (redirect("fd00::9", "fd00::9"), "fe80::1", "fd00::2", Ok(())),
        (
            redirect("fd00::8", "fd00::9"),
            "fe80::1",
            "fd00::2",
            target("fd00::8"),
        ),
        (
            redirect("fe80::9", "fd00::9"),
            "fd00::1",
            "fd00::2",
            Err(Invalid::Source {
                source_address: ip("fd00::1"),
            }),
        ),
        (
            redirect("fe80::9", "ff0e::9"),
            "fe80::1",
            "fd00::2",
            Err(Invalid::RedirectOfMulticast {
                destination: ip("ff0e::9"),
            }),
        ),
    ] {
        assert_eq!(
            check(message, src, dst, 255),
            result,
            "{message:?} {src} {dst}"
        );
        let found = Err(Invalid::HopLimit { found: 254 });
        assert_eq!(check(message, src, dst, 254), found);
    }
}

/// Covers: NDP-2, NDP-18, NDP-19, NDP-20, NDP-39.
#[test]
fn each_option_is_read_and_written() {
    let servers = [[1; 16], [2; 16]];
    let list = [
        NdpOption::Mtu(1400),
        NdpOption::TargetLinkAddress(MAC),
        NdpOption::Unknown {
            kind: 99,
            data: &[7; 6],
        },
        NdpOption::SourceLinkAddress(MAC),
        NdpOption::PrefixInformation(PrefixInformation {
            prefix_len: 64,
            on_link: true,
            autonomous: false,
            valid_lifetime: 7200,
            preferred_lifetime: u32::MAX,
            prefix: ip("fd00::"),
        }),
        NdpOption::RedirectedHeader(&[9; 48]),
        NdpOption::Nonce(&[1, 2, 3, 4, 5, 6]),
        NdpOption::RouteInformation {
            prefix_len: 48,
            preference: Preference::Low,
            lifetime: 9,
            prefix: ip("fd00:1::"),
        },
        NdpOption::RecursiveDns {
            lifetime: 5,
            servers: &servers,
        },
        NdpOption::DnsSearchList {
            lifetime: 5,
            domains: &[1, b'a', 0, 0, 0, 0, 0, 0],
        },
    ];
    let mut bytes = Vec::new();
    for option in &list {
        option.emit(&mut bytes);
    }
    let options = Options::new(&bytes);
    assert_eq!(options.iter().collect::<Vec<_>>(), list);
    assert!(options.is_well_formed());
    assert_eq!(options.source_link_address(), Some(MAC));
    assert_eq!(options.target_link_address(), Some(MAC));
    assert_eq!(
        RouterFlags::from_bits_retain(0x08).preference(),
        Preference::High
    );
    assert_eq!(
        RouterFlags::from_bits_retain(0xd0).preference(),
        Preference::Reserved
    );
}

/// r61: zero-length options, options past the end, known ones of a wrong size.
#[test]
fn r61_options_that_cannot_be() {
    let mac = [1, 1, 2, 0, 0, 0, 0, 0xa];
    for (tail, count, well_formed) in [
        (&[][..], 1, true),
        (&[5, 0, 0, 0, 0, 0, 0, 0], 1, false),
        (&[5, 2, 0, 0, 0, 0, 0, 0], 1, false),
        (&[5], 1, false),
        (&[3, 1, 64, 0xc0, 0, 0, 0, 0], 2, true),
        (&[24, 1, 1, 0, 0, 0, 0, 0], 2, true),
        (&[25, 1, 0, 0, 0, 0, 0, 0], 2, true),
        (&[31, 1, 0, 0, 0, 0, 0, 0], 2, true),
    ] {
        let bytes = [&mac, tail].concat();
        let options = Options::new(&bytes);
        assert_eq!(options.iter().count(), count, "{tail:?}");
        assert_eq!(options.is_well_formed(), well_formed, "{tail:?}");
        if let Some(option) = options.iter().nth(1) {
            assert!(matches!(option, NdpOption::Unknown { .. }), "{option:?}");
        }
    }
}

#[test]
fn the_bytes_of_a_neighbor_advertisement() {
    let tlla = Options::target_link_address_bytes(MAC);
    let message = icmp::Message::Ndp(Message::NeighborAdvertisement {
        flags: NeighborFlags::OVERRIDE,
        target: ip("fd00::2"),
        options: Options::new(&tlla),
    });
    let mut bytes = [0xff; 32];
    assert_eq!(message.emit(ip("fd00::2"), ALL_NODES, &mut bytes), 32);
    assert_eq!(bytes[..2], [136, 0]);
    assert_eq!(bytes[4..8], [0x20, 0, 0, 0]);
    assert_eq!(bytes[8..24], ip("fd00::2").octets());
    assert_eq!(bytes[24..], [2, 1, 2, 0, 0, 0, 0, 0xa]);
}

proptest! {
    #[test]
    fn what_is_emitted_parses_to_the_same(
        which in 0usize..5, flags: u8, hop_limit: u8, lifetime: u16, timers: (u32, u32),
        addresses: ([u8; 16], [u8; 16]), data in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let options = Options::new(&data);
        let (target, destination) = (addresses.0.into(), addresses.1.into());
        let message = icmp::Message::Ndp([
            Message::RouterSolicitation { options },
            Message::RouterAdvertisement {
                hop_limit, flags: RouterFlags::from_bits_retain(flags), lifetime,
                reachable_time: timers.0, retrans_timer: timers.1, options,
            },
            Message::NeighborSolicitation { target, options },
            Message::NeighborAdvertisement {
                flags: NeighborFlags::from_bits_retain(flags), target, options,
            },
            Message::Redirect { target, destination, options },
        ][which]);
        let (a, b) = (ip("fe80::1"), ip("fe80::2"));
        let mut bytes = vec![0xff; message.len()];
        prop_assert!(message.header_len() <= icmp::MAX_HEADER_LEN);
        prop_assert_eq!(message.emit(a, b, &mut bytes), message.len());
        prop_assert_eq!(icmp::Message::parse(&bytes, a, b), Ok(message));
    }

    #[test]
    fn any_options_can_be_read(
        mut data in prop::collection::vec(any::<u8>(), 0..120), small: bool,
    ) {
        if small {
            for pair in data.chunks_exact_mut(8) {
                pair[0] %= 32;
                pair[1] %= 5;
            }
        }
        let options = Options::new(&data);
        prop_assert!(options.iter().count() <= data.len() / 8);
        for option in options {
            let mut again = Vec::new();
            option.emit(&mut again);
            prop_assert_eq!(again.len() % 8, 0);
        }
    }
}
