//! Duplicate detection that knows its own probes (RFC 7527).

use super::*;
use crate::ipv6::ndp::{NdpOption, Options};

fn rig() -> Rig {
    let config = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500));
    let config = config
        .mac(OUR_MAC)
        .report_own_groups(false)
        .link_local(false)
        .dad_transmits(2);
    let config = config.address("fd00::1/64".parse().unwrap());
    Rig::bare(Config::new(Seed::from_number(1)), config)
}

/// The nonce of the only probe that leaves.
fn nonce(rig: &mut Rig) -> Vec<u8> {
    let probe = rig.only();
    let (fields, message) = probe.icmp6();
    assert!(fields.src.is_unspecified());
    let options: Vec<_> = match message {
        Icmpv6::Ndp(Message::NeighborSolicitation { options, .. }) => options.iter().collect(),
        other => panic!("{other:?}"),
    };
    // RFC 7527 §4.1; and no link address (SLA-5).
    let [NdpOption::Nonce(nonce)] = options[..] else {
        panic!("{options:?}");
    };
    assert_eq!(nonce.len(), 6);
    nonce.to_vec()
}

/// A probe for our address, as if another station, or a loop, had sent it.
fn probe(mac: MacAddr, nonce: Option<&[u8]>) -> Vec<u8> {
    let mut options = Vec::new();
    if let Some(nonce) = nonce {
        NdpOption::Nonce(nonce).emit(&mut options);
    }
    let options = Options::new(&options);
    let message = Message::NeighborSolicitation {
        target: OURS6,
        options,
    };
    let group = ipv6::solicited_node(OURS6);
    ndp_frame(mac, Ipv6Addr::UNSPECIFIED, group, message)
}

fn state(rig: &Rig) -> AddressState {
    rig.stack.addresses(rig.on).next().unwrap().1
}

/// Covers: DAD-1: whoever's MAC address it comes from, our own nonce is no conflict; another one is, even from our own.
#[test]
fn only_another_s_nonce_is_a_conflict() {
    let second = |rig: &mut Rig| {
        rig.advance(Duration::from_secs(1));
        nonce(rig)
    };
    let mut one = rig();
    let first = nonce(&mut one);
    let next = second(&mut one);
    assert_ne!(first, next, "each probe has its own");
    #[rustfmt::skip]
    let rows = [
        (OUR_MAC,   Some(0), AddressState::Tentative, "the last one, come back"),
        (OTHER_MAC, Some(0), AddressState::Tentative, "by a loop that changes senders"),
        (OUR_MAC,   Some(1), AddressState::Tentative, "the one before"),
        (OUR_MAC,   None,    AddressState::Tentative, "without one the sender tells"),
        (OTHER_MAC, None,    AddressState::Duplicate, "without one the sender tells"),
        (OTHER_MAC, Some(2), AddressState::Duplicate, "another's"),
        (OUR_MAC,   Some(2), AddressState::Duplicate, "another's, who has our MAC address"),
    ];
    for (mac, which, expected, why) in rows {
        let mut rig = rig();
        let mut nonces = vec![nonce(&mut rig)];
        nonces.insert(0, second(&mut rig));
        nonces.push(vec![1, 2, 3, 4, 5, 6]);
        let nonce = which.map(|which: usize| &nonces[which][..]);
        rig.receive(probe(mac, nonce));
        assert_eq!(state(&rig), expected, "{why}");
        let duplicates = u64::from(expected == AddressState::Duplicate);
        assert_eq!(
            rig.stack.counters().addresses_duplicate,
            duplicates,
            "{why}"
        );
        let looped = u64::from(which.is_some_and(|which| which < 2));
        assert_eq!(rig.stack.counters().probes_looped, looped, "{why}");
    }
}

/// RFC 7527 §4.1: what came back says nothing of who is there: three more probes, once.
#[test]
fn after_a_loop_three_more_probes_are_sent() {
    let mut rig = rig();
    let first = nonce(&mut rig);
    rig.receive(probe(OUR_MAC, Some(&first)));
    let mut last = first;
    for _ in 0..4 {
        rig.advance(Duration::from_secs(1));
        last = nonce(&mut rig);
        assert_eq!(state(&rig), AddressState::Tentative);
        rig.receive(probe(OUR_MAC, Some(&last)));
    }
    rig.advance(Duration::from_secs(1));
    assert!(rig.drain().is_empty());
    assert_eq!(state(&rig), AddressState::Preferred);
    // In use it answers whoever asks, with or without a nonce.
    rig.receive(probe(OTHER_MAC, Some(&last)));
    assert_eq!(rig.drain().len(), 1);
}

/// An advertisement of ours that comes back says nothing of another station; one of that does.
#[test]
fn our_own_advertisement_is_no_claim() {
    let mut rig = Rig::new();
    let flags = ipv6::ndp::NeighborFlags::OVERRIDE;
    for (mac, claims) in [(OUR_MAC, 0), (OTHER_MAC, 1)] {
        rig.receive(advertisement(flags, mac, OURS6, ipv6::ALL_NODES));
        let conflicts = rig.stack.conflicts(rig.on).count();
        let counted = rig.stack.counters().address_conflicts;
        assert_eq!((conflicts, counted), (claims, claims as u64), "{mac}");
    }
    assert_eq!(rig.drops(DropReason::IcmpIgnored), 1);
}
