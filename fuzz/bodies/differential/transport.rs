//! TCP and UDP.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{TcpHeaderSlice, TcpOptionElement, UdpSlice};
use smoltcp::wire::{
    IpAddress, IpProtocol, TcpOption as SmolOption, TcpPacket, UdpPacket, checksum,
};

use netloom::base::Protocol;
use netloom::tcp::{self, Flags, TcpOption};
use netloom::{ipv4, ipv6, udp};

const A: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
const C: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const D: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0xffff, 2);

/// Is the checksum right, by our sums and by smoltcp's?
fn sums(bytes: &[u8], ours: Protocol, theirs: IpProtocol) {
    let len = u32::try_from(bytes.len()).expect("small");
    let sum = checksum::data(bytes);
    let four = ipv4::pseudo_sum(A, B, ours, bytes.len()).bytes(bytes);
    let (a, b) = (IpAddress::from(A), IpAddress::from(B));
    let pseudo = checksum::pseudo_header(&a, &b, theirs, len);
    let right = checksum::combine(&[pseudo, sum]) == !0;
    assert_eq!(four.is_valid(), right);
    let six = ipv6::pseudo_sum(C, D, ours, bytes.len()).bytes(bytes);
    let (c, d) = (IpAddress::from(C), IpAddress::from(D));
    let pseudo = checksum::pseudo_header(&c, &d, theirs, len);
    let right = checksum::combine(&[pseudo, sum]) == !0;
    assert_eq!(six.is_valid(), right);
}

pub fn tcp(bytes: &[u8]) {
    let ours = tcp::Header::parse(bytes);
    let theirs = TcpHeaderSlice::from_slice(bytes);
    let smol = TcpPacket::new_checked(bytes);
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} {theirs:?}");
    assert_eq!(ours.is_ok(), smol.is_ok(), "{ours:?} {smol:?}");
    let (Ok((ours, text)), Ok(theirs), Ok(smol)) = (ours, theirs, smol) else {
        return;
    };
    assert_eq!(ours.src_port(), theirs.source_port());
    assert_eq!(ours.dst_port(), theirs.destination_port());
    assert_eq!(ours.seq(), theirs.sequence_number());
    assert_eq!(ours.ack(), theirs.acknowledgment_number());
    assert_eq!(ours.len(), usize::from(theirs.data_offset()) * 4);
    assert_eq!(ours.window(), theirs.window_size());
    assert_eq!(ours.checksum(), theirs.checksum());
    assert_eq!(ours.urgent(), theirs.urgent_pointer());
    assert_eq!(ours.options_bytes(), theirs.options());
    let theirs_flags = [
        (Flags::FIN, theirs.fin(), smol.fin()),
        (Flags::SYN, theirs.syn(), smol.syn()),
        (Flags::RST, theirs.rst(), smol.rst()),
        (Flags::PSH, theirs.psh(), smol.psh()),
        (Flags::ACK, theirs.ack(), smol.ack()),
        (Flags::URG, theirs.urg(), smol.urg()),
        (Flags::ECE, theirs.ece(), smol.ece()),
        (Flags::CWR, theirs.cwr(), smol.cwr()),
        // RFC 9768's AE is RFC 3540's NS, which is historic.
        (Flags::from_bits_retain(0x100), theirs.ns(), smol.ns()),
    ];
    for (flag, theirs, smol) in theirs_flags {
        let set = ours.flags().contains(flag);
        assert_eq!((set, set), (theirs, smol), "{flag:?}");
    }
    assert_eq!(ours.src_port(), smol.src_port());
    assert_eq!(ours.dst_port(), smol.dst_port());
    assert_eq!(ours.seq().cast_signed(), smol.seq_number().0);
    assert_eq!(ours.ack().cast_signed(), smol.ack_number().0);
    assert_eq!(ours.len(), usize::from(smol.header_len()));
    assert_eq!(ours.window(), smol.window_len());
    assert_eq!(ours.checksum(), smol.checksum());
    assert_eq!(ours.urgent(), smol.urgent_at());
    assert_eq!(text, smol.payload());
    sums(bytes, Protocol::TCP, IpProtocol::Tcp);
    let value = theirs.calc_checksum_ipv4_raw(A.octets(), B.octets(), text);
    let pseudo = ipv4::pseudo_sum(A, B, Protocol::TCP, bytes.len());
    let is_valid = pseudo.bytes(bytes).is_valid();
    // Of the sum zero there are two forms.
    if ours.checksum() != 0xffff {
        let same = value.expect("it is short") == ours.checksum();
        assert_eq!(is_valid, same);
    }
    options_of_etherparse(&ours, &theirs);
    options_of_smoltcp(&ours, smol.options());
}

/// Until they stop: at what they do not know, or a length that they do not like.
fn options_of_etherparse(ours: &tcp::Header<'_>, theirs: &TcpHeaderSlice<'_>) {
    let mut ours = ours.options();
    for element in theirs.options_iterator() {
        let Ok(element) = element else { return };
        if element == TcpOptionElement::Noop {
            continue;
        }
        let option = ours.next().expect("they found one more");
        match element {
            TcpOptionElement::MaximumSegmentSize(mss) => assert_eq!(option, TcpOption::Mss(mss)),
            TcpOptionElement::WindowScale(shift) => {
                assert_eq!(option, TcpOption::WindowScale(shift));
            }
            TcpOptionElement::SelectiveAcknowledgementPermitted => {
                assert_eq!(option, TcpOption::SackPermitted);
            }
            TcpOptionElement::SelectiveAcknowledgement(first, rest) => {
                let blocks = std::iter::once(first).chain(rest.into_iter().flatten());
                sack(&option, blocks, 4);
            }
            TcpOptionElement::Timestamp(val, ecr) => {
                assert_eq!(option, TcpOption::Timestamps { val, ecr });
            }
            TcpOptionElement::Noop => unreachable!(),
        }
    }
    assert_eq!(ours.next(), None, "they found the end");
    assert!(!ours.malformed());
}

/// Our blocks, the first `most` of them, are these.
fn sack(option: &TcpOption<'_>, blocks: impl Iterator<Item = (u32, u32)>, most: usize) {
    let TcpOption::Sack(ours) = option else {
        panic!("they found SACK blocks in {option:?}");
    };
    let ours = ours.as_slice().iter().copied();
    assert!(ours.take(most).eq(blocks));
}

fn options_of_smoltcp(ours: &tcp::Header<'_>, mut bytes: &[u8]) {
    let mut ours = ours.options();
    while !bytes.is_empty() {
        let Ok((rest, option)) = SmolOption::parse(bytes) else {
            return;
        };
        bytes = rest;
        match option {
            SmolOption::EndOfList => break,
            SmolOption::NoOperation => continue,
            _ => {}
        }
        let found = ours.next().expect("they found one more");
        match option {
            SmolOption::MaxSegmentSize(mss) => assert_eq!(found, TcpOption::Mss(mss)),
            SmolOption::WindowScale(shift) => assert_eq!(found, TcpOption::WindowScale(shift)),
            SmolOption::SackPermitted => assert_eq!(found, TcpOption::SackPermitted),
            SmolOption::SackRange(blocks) => sack(&found, blocks.into_iter().flatten(), 3),
            SmolOption::TimeStamp { tsval, tsecr } => {
                let (val, ecr) = (tsval, tsecr);
                assert_eq!(found, TcpOption::Timestamps { val, ecr });
            }
            SmolOption::Unknown { kind, data } => match found {
                TcpOption::FastOpen(cookie) => assert_eq!((kind, data), (34, cookie)),
                found => assert_eq!(found, TcpOption::Unknown { kind, data }),
            },
            SmolOption::EndOfList | SmolOption::NoOperation => unreachable!(),
        }
    }
    assert_eq!(ours.next(), None, "they found the end");
}

pub fn udp(bytes: &[u8]) {
    let ours = udp::Header::parse(bytes);
    let theirs = UdpSlice::from_slice(bytes);
    let smol = UdpPacket::new_checked(bytes);
    assert_eq!(ours.is_ok(), smol.is_ok(), "{ours:?} {smol:?}");
    // Explained: a jumbogram's.
    let jumbo = bytes.get(4..6) == Some(&[0, 0]);
    assert!(
        jumbo || ours.is_ok() == theirs.is_ok(),
        "{ours:?} {theirs:?}"
    );
    let (Ok((ours, data)), Ok(theirs), Ok(smol)) = (ours, theirs, smol) else {
        return;
    };
    assert_eq!(ours.src_port(), theirs.source_port());
    assert_eq!(ours.dst_port(), theirs.destination_port());
    assert_eq!(ours.length(), theirs.length());
    assert_eq!(ours.checksum(), theirs.checksum());
    assert_eq!(data, theirs.payload());
    assert_eq!(ours.src_port(), smol.src_port());
    assert_eq!(ours.dst_port(), smol.dst_port());
    assert_eq!(ours.length(), smol.len());
    assert_eq!(ours.checksum(), smol.checksum());
    assert_eq!(data, smol.payload());
    sums(
        &bytes[..usize::from(ours.length())],
        Protocol::UDP,
        IpProtocol::Udp,
    );
}
