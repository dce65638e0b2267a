//! ICMP and ICMPv6 with neighbour discovery.

use std::net::Ipv6Addr;
use std::time::Duration;

use etherparse::{Icmpv4Slice, Icmpv6Slice};
use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet, NdiscOption, NdiscOptionType, checksum};

use netloom::base::Protocol;
use netloom::ipv6::ndp::{self, NdpOption, Options};
use netloom::{ipv4, ipv6};

pub fn v4(bytes: &[u8]) {
    use ipv4::icmp::Message;
    let ours = Message::parse_unverified(bytes);
    let smol = Icmpv4Packet::new_checked(bytes);
    assert_eq!(ours.is_ok(), smol.is_ok(), "{ours:?} {smol:?}");
    let theirs = Icmpv4Slice::from_slice(bytes);
    let (Ok(ours), Ok(smol)) = (ours, smol) else {
        return assert!(theirs.is_err());
    };
    let sums = checksum::data(bytes) == !0;
    assert_eq!(Message::parse(bytes).is_ok(), sums);
    // Explained: timestamps of another length than theirs.
    let Ok(theirs) = theirs else {
        return assert!(matches!(ours, Message::Unknown { kind: 13 | 14, .. }));
    };
    assert_eq!(theirs.type_u8(), u8::from(smol.msg_type()));
    let rest = theirs.bytes5to8();
    let two = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let (kind, code) = match ours {
        Message::EchoRequest { id, seq, data } | Message::EchoReply { id, seq, data } => {
            assert_eq!((id, seq), (smol.echo_ident(), smol.echo_seq_no()));
            assert_eq!((id, seq), (two(0), two(2)));
            assert_eq!(data, smol.data());
            let request = matches!(ours, Message::EchoRequest { .. });
            (if request { 8 } else { 0 }, theirs.code_u8())
        }
        Message::DestinationUnreachable {
            code,
            next_hop_mtu,
            quoted,
        } => {
            assert_eq!(quoted, theirs.payload());
            let told = if code.0 == 4 { two(2) } else { 0 };
            assert_eq!(next_hop_mtu, told);
            (3, code.0)
        }
        Message::Redirect {
            code,
            gateway,
            quoted,
        } => {
            assert_eq!((gateway.octets(), quoted), (rest, theirs.payload()));
            (5, code)
        }
        Message::TimeExceeded { code, quoted } => {
            assert_eq!(quoted, theirs.payload());
            (11, code.0)
        }
        Message::ParameterProblem {
            code,
            pointer,
            quoted,
        } => {
            assert_eq!((pointer, quoted), (rest[0], theirs.payload()));
            (12, code)
        }
        Message::Unknown {
            kind,
            code,
            rest: ours,
            body,
        } => {
            assert_eq!(ours, rest);
            assert_eq!(body, &bytes[8..]);
            (kind, code)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((kind, code), (theirs.type_u8(), theirs.code_u8()));
    assert_eq!(code, smol.msg_code());
}

const SRC: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const DST: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

pub fn v6(bytes: &[u8]) {
    use ipv6::icmp::Message;
    let ours = Message::parse_unverified(bytes);
    let theirs = Icmpv6Slice::from_slice(bytes);
    let smol = Icmpv6Packet::new_checked(bytes);
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else {
        // NDP that is cut is seen by smoltcp too; a code of NDP's by nobody else.
        let ndp_code = matches!(ours, Err(ipv6::icmp::ParseError::NdpCode { .. }));
        assert!(ours.is_err());
        return assert!(ndp_code || smol.is_err() || bytes.len() < 8, "{ours:?}");
    };
    let sum = ipv6::pseudo_sum(SRC, DST, Protocol::ICMPV6, bytes.len()).bytes(bytes);
    let right = theirs.is_checksum_valid(SRC.octets(), DST.octets());
    assert_eq!(sum.is_valid(), right);
    assert_eq!(Message::parse(bytes, SRC, DST).is_ok(), right);
    let rest = theirs.bytes5to8();
    let long = u32::from_be_bytes(rest);
    let two = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let (kind, code) = match ours {
        Message::EchoRequest { id, seq, data } | Message::EchoReply { id, seq, data } => {
            let smol = smol.expect("it is whole");
            assert_eq!((id, seq), (smol.echo_ident(), smol.echo_seq_no()));
            assert_eq!((id, seq, data), (two(0), two(2), theirs.payload()));
            let request = matches!(ours, Message::EchoRequest { .. });
            (if request { 128 } else { 129 }, theirs.code_u8())
        }
        Message::DestinationUnreachable { code, quoted } => {
            assert_eq!(quoted, theirs.payload());
            (1, code.0)
        }
        Message::PacketTooBig { mtu, quoted } => {
            let smol = smol.expect("it is whole");
            assert_eq!((mtu, quoted), (smol.pkt_too_big_mtu(), smol.payload()));
            assert_eq!((mtu, quoted), (long, theirs.payload()));
            (2, theirs.code_u8())
        }
        Message::TimeExceeded { code, quoted } => {
            assert_eq!(quoted, theirs.payload());
            (3, code.0)
        }
        Message::ParameterProblem {
            code,
            pointer,
            quoted,
        } => {
            let smol = smol.expect("it is whole");
            assert_eq!(pointer, smol.param_problem_ptr());
            assert_eq!((pointer, quoted), (long, theirs.payload()));
            (4, code)
        }
        Message::Ndp(message) => {
            let smol = smol.expect("it is whole");
            (discovery(&message, &smol), 0)
        }
        Message::Unknown {
            kind,
            code,
            rest: ours,
            body,
        } => {
            assert_eq!((ours, body), (rest, &bytes[8..]));
            (kind, code)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((kind, code), (theirs.type_u8(), theirs.code_u8()));
}

/// The fields of a message, and its type.
fn discovery(ours: &ndp::Message<'_>, smol: &Icmpv6Packet<&[u8]>) -> u8 {
    options(ours.options(), smol.payload());
    match *ours {
        ndp::Message::RouterSolicitation { .. } => 133,
        ndp::Message::RouterAdvertisement {
            hop_limit,
            flags,
            lifetime,
            reachable_time,
            retrans_timer,
            ..
        } => {
            assert_eq!(hop_limit, smol.current_hop_limit());
            let known = ndp::RouterFlags::MANAGED | ndp::RouterFlags::OTHER;
            let (ours, theirs) = (flags & known, smol.router_flags());
            assert_eq!(ours.bits(), theirs.bits() & known.bits());
            let secs = Duration::from_secs(lifetime.into());
            assert_eq!(secs, smol.router_lifetime().into());
            let millis = |value: u32| Duration::from_millis(value.into());
            assert_eq!(millis(reachable_time), smol.reachable_time().into());
            assert_eq!(millis(retrans_timer), smol.retrans_time().into());
            134
        }
        ndp::Message::NeighborSolicitation { target, .. } => {
            assert_eq!(target, smol.target_addr());
            135
        }
        ndp::Message::NeighborAdvertisement { flags, target, .. } => {
            assert_eq!(target, smol.target_addr());
            let theirs = smol.neighbor_flags().bits();
            assert_eq!(flags.bits() & 0xe0, theirs & 0xe0);
            136
        }
        ndp::Message::Redirect {
            target,
            destination,
            ..
        } => {
            assert_eq!(target, smol.target_addr());
            assert_eq!(destination, smol.dest_addr());
            137
        }
        ref other => panic!("{other:?}"),
    }
}

/// One after the other, as long as they read on: they end at a known option of a length that it
/// cannot have.
fn options(ours: Options<'_>, mut bytes: &[u8]) {
    assert_eq!(ours.as_bytes(), bytes);
    for option in ours.iter() {
        let Ok(smol) = NdiscOption::new_checked(bytes) else {
            return;
        };
        bytes = &bytes[usize::from(smol.data_len()) * 8..];
        match option {
            NdpOption::Mtu(mtu) => {
                assert_eq!(smol.option_type(), NdiscOptionType::Mtu);
                assert_eq!(mtu, smol.mtu());
            }
            NdpOption::SourceLinkAddress(mac) | NdpOption::TargetLinkAddress(mac) => {
                let theirs = smol.link_layer_addr();
                assert_eq!(theirs.as_bytes(), mac.octets());
            }
            NdpOption::PrefixInformation(prefix) => {
                assert_eq!(prefix.prefix_len, smol.prefix_len());
                assert_eq!(prefix.prefix, smol.prefix());
                let flags = smol.prefix_flags().bits();
                assert_eq!(prefix.on_link, flags & 0x80 != 0);
                assert_eq!(prefix.autonomous, flags & 0x40 != 0);
                let secs = |value: u32| Duration::from_secs(value.into());
                assert_eq!(secs(prefix.valid_lifetime), smol.valid_lifetime().into());
                let preferred = secs(prefix.preferred_lifetime);
                assert_eq!(preferred, smol.preferred_lifetime().into());
            }
            _ => {}
        }
    }
}
