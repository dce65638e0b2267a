//! Our parsers beside etherparse and smoltcp's wire module: every field that both sides read, and
//! whether they take a packet at all.
//!
//! Input: a byte that names the layer, then its bytes. A packet that one takes and another refuses is
//! a finding, but for what stands at the place with its reason ("explained"):
//! - a VLAN tag that is cut: we read it with the Ethernet header, the others by a call of its own;
//! - smoltcp looks at no IP version;
//! - a UDP length of 0: etherparse takes it for a jumbogram's (RFC 2675 §4), which nobody here speaks;
//! - options of TCP with a length that theirs cannot have: both others end the list there, we pass over
//!   the option (RFC 9293 §3.2 asks only for a list that is not walked wrong); smoltcp takes a
//!   timestamps option of any length as unknown; etherparse ends it at the first unknown kind;
//! - SACK: smoltcp reads three blocks of four;
//! - extension headers: the others do not look into options, and etherparse passes over
//!   authentication headers and fragments;
//! - etherparse refuses ICMP timestamps of another length than 20, we do not read them;
//! - smoltcp refuses MLD that is cut, takes other unknown ICMPv6 from four bytes on, and does not look at NDP's code;
//! - in ARP, smoltcp looks at the address lengths only when it makes its value.
//!
//! smoltcp's own checks of checksums are none under `--cfg fuzzing`, so its sums are called instead.

mod icmp;
mod ip;
mod transport;

use etherparse::{ArpEthIpv4Packet, ArpPacketSlice, Ethernet2HeaderSlice, SingleVlanHeaderSlice};
use smoltcp::wire::{ArpPacket, ArpRepr, EthernetFrame};

use netloom::arp::{self, Packet};
use netloom::link::ethernet;

/// A name, and what reads the bytes.
pub type Layer = (&'static str, fn(&[u8]));

/// What the first byte names.
pub const LAYERS: [Layer; 8] = [
    ("ethernet", link),
    ("arp", arps),
    ("ipv4", ip::v4),
    ("ipv6", ip::v6),
    ("tcp", transport::tcp),
    ("udp", transport::udp),
    ("icmpv4", icmp::v4),
    ("icmpv6", icmp::v6),
];

/// Reads the bytes with all three.
pub fn run(input: &[u8]) {
    if let Some((layer, bytes)) = input.split_first() {
        LAYERS[usize::from(*layer) % LAYERS.len()].1(bytes);
    }
}

fn link(bytes: &[u8]) {
    let ours = ethernet::Header::parse(bytes);
    let theirs = Ethernet2HeaderSlice::from_slice(bytes);
    let smol = EthernetFrame::new_checked(bytes);
    assert_eq!(theirs.is_ok(), smol.is_ok());
    let (Ok(theirs), Ok(smol)) = (theirs, smol) else {
        return assert!(ours.is_err(), "{ours:?}");
    };
    let tag = SingleVlanHeaderSlice::from_slice(&bytes[14..]);
    let tagged = theirs.ether_type().0 == 0x8100;
    assert_eq!(ours.is_ok(), !tagged || tag.is_ok());
    let Ok((ours, payload)) = ours else { return };
    assert_eq!(ours.dst().octets(), theirs.destination());
    assert_eq!(ours.src().octets(), theirs.source());
    assert_eq!(ours.dst().octets(), smol.dst_addr().0);
    assert_eq!(ours.src().octets(), smol.src_addr().0);
    if !tagged {
        assert_eq!(ours.tag(), None);
        assert_eq!(ours.ether_type().0, theirs.ether_type().0);
        assert_eq!(ours.ether_type().0, u16::from(smol.ethertype()));
        return assert_eq!(payload, smol.payload());
    }
    let (tag, theirs) = (ours.tag().expect("it is tagged"), tag.expect("it is whole"));
    assert_eq!(tag.id(), theirs.vlan_identifier().value());
    assert_eq!(tag.priority(), theirs.priority_code_point().value());
    assert_eq!(tag.drop_eligible(), theirs.drop_eligible_indicator());
    assert_eq!(ours.ether_type().0, theirs.ether_type().0);
    assert_eq!(payload, &bytes[18..]);
}

fn arps(bytes: &[u8]) {
    let ours = Packet::parse(bytes);
    let theirs = ArpPacketSlice::from_slice(bytes);
    let theirs = theirs.map(|packet| ArpEthIpv4Packet::try_from(packet.to_packet()));
    let smol = ArpPacket::new_checked(bytes);
    let repr = smol.and_then(|packet| ArpRepr::parse(&packet));
    let Ok(ours) = ours else {
        // Explained: which of several faults is told of.
        assert!(!matches!(theirs, Ok(Ok(_))), "{ours:?} {theirs:?}");
        return assert!(repr.is_err(), "{ours:?} {repr:?}");
    };
    let theirs = theirs.expect("it is whole").expect("of IPv4 on Ethernet");
    assert_eq!(ours.operation.0, theirs.operation.0);
    assert_eq!(ours.sender_mac.octets(), theirs.sender_mac);
    assert_eq!(ours.sender.octets(), theirs.sender_ipv4);
    assert_eq!(ours.target_mac.octets(), theirs.target_mac);
    assert_eq!(ours.target.octets(), theirs.target_ipv4);
    let Ok(ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_hardware_addr,
        target_protocol_addr,
    }) = repr
    else {
        panic!("{ours:?} {repr:?}");
    };
    assert_eq!(ours.operation.0, u16::from(operation));
    assert_eq!(ours.sender_mac.octets(), source_hardware_addr.0);
    assert_eq!(ours.sender, source_protocol_addr);
    assert_eq!(ours.target_mac.octets(), target_hardware_addr.0);
    assert_eq!(ours.target, target_protocol_addr);
    assert!(bytes.len() >= arp::PACKET_LEN);
}
