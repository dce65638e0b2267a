//! Interfaces that share one device, as VLANs of it.

use std::collections::BTreeSet;

use super::*;

const VLANS: [u16; 2] = [10, 20];

/// The rig's interface, and two VLANs over its device, of which both have 10.7.0.1/24; the second one's frames have priority 5.
fn trunk(device: &Capabilities) -> (Rig, [InterfaceId; 2]) {
    let parent = InterfaceConfig::new(device)
        .mac(OUR_MAC)
        .report_own_groups(false)
        .dad_transmits(0)
        .link_local(false)
        .address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), parent);
    let over = rig.on;
    let vlans = VLANS.map(|vlan| {
        let config = vlan_config(over, vlan).address("10.7.0.1/24".parse().unwrap());
        rig.stack.add_interface(rig.now, config).unwrap()
    });
    rig.advance(Duration::from_secs(3));
    sent(&mut rig);
    (rig, vlans)
}

fn vlan_config(over: InterfaceId, vlan: u16) -> InterfaceConfig {
    InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .over(over)
        .vlan(vlan)
        .vlan_priority(if vlan == 20 { 5 } else { 0 })
        .report_own_groups(false)
        .dad_transmits(0)
        .link_local(false)
}

fn plain() -> (Rig, [InterfaceId; 2]) {
    trunk(&Capabilities::plain(Medium::Ethernet, 1500))
}

/// A frame with this tag put in, before others.
fn tagged(frame: &[u8], kind: EtherType, id: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    let tag = [kind.0.to_be_bytes(), id.to_be_bytes()];
    [addresses, tag.as_flattened(), rest].concat()
}

fn vlan(frame: &[u8], id: u16) -> Vec<u8> {
    tagged(frame, EtherType::VLAN, id)
}

/// The tag of each frame that was sent with its priority, and what it carries.
fn sent(rig: &mut Rig) -> Vec<(Option<(u16, u8)>, EtherType)> {
    rig.poll();
    let frames = core::mem::take(&mut rig.device().frames);
    let apart = |(frame, _): (Vec<u8>, TxMeta)| {
        let (header, _) = ethernet::Header::parse(&frame).unwrap();
        let tag = header.tag().map(|tag| (tag.id(), tag.priority()));
        (tag, header.ether_type())
    };
    frames.into_iter().map(apart).collect()
}

fn question(of: &str) -> Vec<u8> {
    let target = of.parse().unwrap();
    let sender = if of == "10.0.0.1" {
        "10.0.0.2"
    } else {
        "10.7.0.2"
    };
    arp_frame(&arp::Packet::request(
        PEER_MAC,
        sender.parse().unwrap(),
        target,
    ))
}

/// Covers: VLAN-1, VLAN-2, VLAN-4, VLAN-5. Who asks in a VLAN is answered in it; what has no tag, or that of VLAN 0, is of the interface whose device it is.
#[test]
fn frames_go_by_their_tags() {
    let (mut rig, _) = plain();
    for (frame, tag) in [
        (vlan(&question("10.7.0.1"), 10), Some((10, 0))),
        (vlan(&question("10.7.0.1"), 20), Some((20, 5))),
        (question("10.0.0.1"), None),
        (vlan(&question("10.0.0.1"), 0), None),
    ] {
        rig.receive(frame);
        let answers = sent(&mut rig);
        assert_eq!(answers, [(tag, EtherType::ARP)]);
    }
    // Nobody's address in that VLAN.
    for frame in [question("10.7.0.1"), vlan(&question("10.0.0.1"), 10)] {
        rig.receive(frame);
        assert!(sent(&mut rig).is_empty());
    }
    let before = rig.drops(DropReason::LinkProtocol);
    let asked = question("10.7.0.1");
    for frame in [
        vlan(&asked, 11),
        vlan(&asked, 4095),
        tagged(&asked, EtherType::SERVICE_VLAN, 10),
        vlan(&vlan(&asked, 20), 10),
        vlan(&asked, 10)[..18].to_vec(),
    ] {
        rig.receive(frame);
        assert!(sent(&mut rig).is_empty());
    }
    let other = rig.drops(DropReason::ArpMalformed);
    assert_eq!(rig.drops(DropReason::LinkProtocol) + other - before, 5);
    assert_eq!(other, 1, "nothing behind the tag");
}

/// Covers: VLAN-7 (the same neighbour address is another station in each VLAN).
#[test]
fn the_same_network_is_another_in_each_vlan() {
    let (mut rig, vlans) = plain();
    for (n, id) in VLANS.into_iter().enumerate() {
        let mac = [PEER_MAC, OTHER_MAC][n];
        let peer = "10.7.0.2".parse().unwrap();
        let asked = arp::Packet::request(mac, peer, "10.7.0.1".parse().unwrap());
        rig.receive(vlan(&arp_frame(&asked), id));
    }
    sent(&mut rig);
    for (on, id) in vlans.into_iter().zip(VLANS) {
        let options = UdpOptions::new().interface(Some(on));
        let at = "10.7.0.1:7".parse().unwrap();
        let socket = rig.stack.udp_bind(at, options).unwrap();
        let to = Some("10.7.0.2:9".parse().unwrap());
        rig.stack.udp_send_to(rig.now, socket, to, b"x").unwrap();
        rig.poll();
        let frames = core::mem::take(&mut rig.device().frames);
        let [(frame, _)] = &frames[..] else {
            panic!("{frames:?}")
        };
        let (header, _) = ethernet::Header::parse(frame).unwrap();
        assert_eq!(header.tag().map(|tag| tag.id()), Some(id));
        assert_eq!(header.dst() == PEER_MAC, id == 10);
        let datagram = udp_frame("10.7.0.2:9", "10.7.0.1:7", b"back");
        rig.receive(vlan(&datagram, id));
        let got = rig.stack.udp_recv(socket).unwrap();
        assert_eq!((got.on, &got.data.into_bytes()[..]), (on, &b"back"[..]));
    }
}

/// Covers: VLAN-10. All who share a device have their turns, a device that is full in between or not; what it refused comes first.
#[test]
fn a_device_serves_all_its_vlans() {
    let (mut rig, vlans) = plain();
    rig.receive(question("10.0.0.1"));
    for id in VLANS {
        rig.receive(vlan(&question("10.7.0.1"), id));
    }
    sent(&mut rig);
    for room in [None, Some(1)] {
        for on in [rig.on, vlans[0], vlans[1]] {
            let options = UdpOptions::new().interface(Some(on));
            for _ in 0..30 {
                let any = "0.0.0.0:0".parse().unwrap();
                let socket = rig.stack.udp_bind(any, options).unwrap();
                let to = if on == rig.on {
                    "10.0.0.2:9"
                } else {
                    "10.7.0.2:9"
                };
                let to = Some(to.parse().unwrap());
                rig.stack.udp_send_to(rig.now, socket, to, b"x").unwrap();
            }
        }
        let mut tags = Vec::new();
        while rig.stack.wants_transmit(rig.on) {
            rig.device().room = room;
            let all = sent(&mut rig);
            tags.extend(all.into_iter().map(|(tag, ..)| tag.map(|(id, _)| id)));
        }
        rig.device().room = None;
        assert_eq!(tags.len(), 90);
        for three in tags.chunks(3) {
            let mut three = three.to_vec();
            three.sort_unstable();
            assert_eq!(three, [None, Some(10), Some(20)], "{tags:?}");
        }
    }
}

/// Covers: VLAN-8 (the tag stands before what the device is to sum up, and to cut).
#[test]
fn what_the_device_completes_lies_behind_the_tag() {
    let (mut rig, vlans) = trunk(&Capabilities::full(Medium::Ethernet, 1500));
    rig.receive(vlan(&question("10.7.0.1"), 20));
    sent(&mut rig);
    let options = UdpOptions::new().interface(Some(vlans[1]));
    let any = "0.0.0.0:0".parse().unwrap();
    let socket = rig.stack.udp_bind(any, options).unwrap();
    let to = Some("10.7.0.2:9".parse().unwrap());
    let size = core::num::NonZeroU16::new(1000).unwrap();
    let data = Bytes::from(vec![7; 3000]);
    let sent = rig
        .stack
        .udp_send_segmented(rig.now, socket, to, data, size);
    sent.unwrap();
    rig.poll();
    let (frame, meta) = &rig.device().frames[0];
    assert_eq!(meta.checksum.unwrap().start, 14 + 4 + 20);
    assert_eq!(meta.segment.map(|segment| segment.size), Some(size));
    assert_eq!(frame.len(), 14 + 4 + 28 + 3000);
}

/// Covers: VLAN-6 (what is sent whole, cut, by a raw socket and as an answer; ARP has the one for all).
#[test]
fn priorities_follow_the_dscp() {
    let (mut rig, _) = plain();
    let mut priorities: [u8; 64] = core::array::from_fn(|dscp| (dscp >> 3) as u8);
    // One that is not that of its class.
    priorities[46] = 6;
    let config = vlan_config(rig.on, 30).address("10.9.0.1/24".parse().unwrap());
    let config = config.vlan_priority(1).vlan_priorities(priorities);
    let on = rig.stack.add_interface(rig.now, config).unwrap();
    rig.advance(Duration::from_secs(3));
    sent(&mut rig);
    let [peer, own] = ["10.9.0.2", "10.9.0.1"].map(|ip| ip.parse().unwrap());
    let asked = arp_frame(&arp::Packet::request(PEER_MAC, peer, own));
    rig.receive(vlan(&asked, 30));
    assert_eq!(sent(&mut rig), [(Some((30, 1)), EtherType::ARP)]);
    let tag = |priority| (Some((30, priority)), EtherType::IPV4);
    let to = "10.9.0.2:9".parse().unwrap();
    for (tos, priority) in [(0, 0), (0x03, 0), (46 << 2, 6), (44 << 2 | 1, 5), (0xff, 7)] {
        for len in [1, 4000] {
            let options = UdpOptions::new().interface(Some(on)).tos(tos);
            let any = "0.0.0.0:0".parse().unwrap();
            let socket = rig.stack.udp_bind(any, options).unwrap();
            let data = vec![0; len];
            rig.stack
                .udp_send_to(rig.now, socket, Some(to), &data)
                .unwrap();
            let frames = sent(&mut rig);
            assert_eq!(frames, vec![tag(priority); 1 + len / 1480], "{tos:#x}");
        }
        let raw = RawOptions::v4(Protocol(253)).header_included(true);
        let raw = rig.stack.raw_open(raw).unwrap();
        let mut packet = ip(own.into(), peer.into(), Protocol(253), b"raw");
        packet[1] = tos;
        let sends = rig.stack.raw_send(
            rig.now,
            raw,
            Some(peer.into()),
            packet.into(),
            &SendInfo::new(),
        );
        sends.unwrap();
        assert_eq!(sent(&mut rig), [tag(priority)], "raw {tos:#x}");
    }
}

/// Covers: VLAN-9. A VLAN is up when it and its device are, and carries no more than that.
#[test]
fn a_vlan_stands_on_its_device() {
    let (mut rig, [ten, twenty]) = plain();
    while rig.stack.poll_change().is_some() {}
    let (now, on) = (rig.now, rig.on);
    let stack = &mut rig.stack;
    let up = |stack: &Stack| [on, ten, twenty].map(|on| stack.is_link_up(on));
    stack.set_link(now, ten, false).unwrap();
    stack.set_link(now, on, false).unwrap();
    assert_eq!(up(stack), [false; 3]);
    stack.set_link(now, twenty, true).unwrap();
    assert_eq!(up(stack), [false; 3], "what it stands on is down");
    stack.set_link(now, on, true).unwrap();
    assert_eq!(up(stack), [true, false, true]);
    let told: Vec<_> = core::iter::from_fn(|| stack.poll_change()).collect();
    let (lost, back) = (Change::LinkDown, Change::LinkUp);
    assert_eq!(
        told,
        [
            (ten, lost.clone()),
            (on, lost.clone()),
            (twenty, lost),
            (on, back.clone()),
            (twenty, back)
        ]
    );
    let mtus = |stack: &Stack| [on, ten, twenty].map(|on| stack.mtu(on).unwrap());
    stack.set_mtu(now, ten, 1300).unwrap();
    stack.set_mtu(now, on, 1400).unwrap();
    assert_eq!(mtus(stack), [1400, 1300, 1400]);
    let refused = stack.set_mtu(now, ten, 1401);
    let (least, most) = (68, 1400);
    let error = LinkError::Mtu {
        mtu: 1401,
        least,
        most,
    };
    assert_eq!(refused, Err(error));
    stack.set_mtu(now, on, 1500).unwrap();
    stack.set_mtu(now, ten, 1500).unwrap();
    assert_eq!(mtus(stack), [1500, 1500, 1400]);
    let v6 = "fd07::1/64".parse().unwrap();
    let options = AddressOptions::new();
    stack.add_address(now, ten, v6, options).unwrap();
    let refused = stack.set_mtu(now, on, 1279);
    assert!(refused.is_err(), "ipv6 stands on it");
    // One that comes while the device is down.
    stack.set_link(now, on, false).unwrap();
    let late = stack.add_interface(now, vlan_config(on, 30)).unwrap();
    assert!(!stack.is_link_up(late));
    stack.set_link(now, on, true).unwrap();
    assert!(stack.is_link_up(late));
    let told = core::iter::from_fn(|| stack.poll_change());
    let told: Vec<_> = told.filter(|&(of, _)| of == late).collect();
    assert_eq!(told, [(late, Change::LinkDown), (late, Change::LinkUp)]);
}

/// It asks nobody on a link that is down: nothing piles up, to leave at once when that is up.
#[test]
fn a_vlan_that_comes_while_its_device_is_down_asks_when_that_is_up() {
    let (mut rig, _) = plain();
    let (now, on) = (rig.now, rig.on);
    rig.stack.set_link(now, on, false).unwrap();
    let config = vlan_config(on, 30).link_local(true).router_discovery(true);
    let late = rig.stack.add_interface(now, config).unwrap();
    rig.advance(Duration::from_secs(30));
    let line = &rig.stack.net.interfaces[late.index()].line;
    let empty = line.outbox.is_empty();
    assert!(empty);
    let now = rig.now;
    rig.stack.set_link(now, on, true).unwrap();
    rig.advance(Duration::from_secs(30));
    let asked = sent(&mut rig);
    assert!(
        asked.contains(&(Some((30, 0)), EtherType::IPV6)),
        "{asked:?}"
    );
}

/// One queue has one share, whatever stands over it.
#[test]
fn the_windows_of_vlans_share_the_queue_of_their_device() {
    let device = Capabilities {
        queue_frames: Some(1000),
        ..Capabilities::plain(Medium::Ethernet, 1500)
    };
    let (rig, vlans) = trunk(&device);
    let share = |on: InterfaceId| &rig.stack.net.interfaces[on.index()].line.share;
    assert!(share(rig.on).is_some());
    for on in vlans {
        assert!(share(on).is_none());
        assert_eq!(rig.stack.net.device_of(on), rig.on);
    }
}

/// Interfaces of one MAC address, at once or one after the other, do not repeat each other's ids, nor choose one address.
#[test]
fn what_vlans_of_one_station_draw_is_not_the_same() {
    let (mut rig, _) = plain();
    let (now, over) = (rig.now, rig.on);
    let mut seen = BTreeSet::new();
    let mut own = BTreeSet::new();
    for number in [30, 31] {
        let config = vlan_config(over, number);
        let config = config.dhcp(DhcpOptions::new()).link_local_v4(true);
        rig.stack.add_interface(now, config).unwrap();
    }
    for _ in 0..200 {
        rig.advance(Duration::from_millis(500));
        rig.poll();
        for (frame, _) in core::mem::take(&mut rig.device().frames) {
            // Behind Ethernet with a tag, IPv4 and UDP: op, htype, hlen, hops, xid.
            if frame.get(41) == Some(&67) {
                seen.insert((frame[15], frame[50..54].to_vec()));
            }
        }
    }
    for on in rig.stack.interfaces().collect::<Vec<_>>() {
        let all = rig.stack.addresses(on).map(|(cidr, _)| cidr.address());
        let local = all.filter(|ip| matches!(ip, IpAddr::V4(ip) if ip.is_link_local()));
        own.extend(local.map(|ip| (on, ip)));
    }
    let ids: BTreeSet<_> = seen.iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), seen.len(), "{seen:?}");
    let addresses: BTreeSet<_> = own.iter().map(|(_, ip)| ip).collect();
    assert_eq!((own.len(), addresses.len()), (2, 2), "{own:?}");
}

/// Covers: VLAN-9. With a device's interface its VLANs go; of one that goes alone the tag is free again.
#[test]
fn vlans_go_with_their_device() {
    let (mut rig, [ten, twenty]) = plain();
    let (now, on) = (rig.now, rig.on);
    rig.stack.remove_interface(now, ten).unwrap();
    let before = rig.drops(DropReason::LinkProtocol);
    rig.receive(vlan(&question("10.7.0.1"), 10));
    assert_eq!(rig.drops(DropReason::LinkProtocol), before + 1);
    let again = rig.stack.add_interface(now, vlan_config(on, 10)).unwrap();
    assert_ne!(again, ten);
    while rig.stack.poll_change().is_some() {}
    rig.stack.remove_interface(now, on).unwrap();
    let told = core::iter::from_fn(|| rig.stack.poll_change());
    let removed = told.filter(|(_, change)| *change == Change::Removed);
    let removed: Vec<_> = removed.map(|(on, _)| on).collect();
    assert_eq!(removed, [again, twenty, on]);
    assert_eq!(rig.stack.interfaces().count(), 0);
    let orphan = rig.stack.add_interface(now, vlan_config(on, 10));
    assert_eq!(orphan, Err(ConfigError::VlanOver(on)));
}

/// Covers: VLAN-3. docs/limits.md: so many share one device; and what cannot be one of them.
#[test]
fn vlans_are_refused_that_cannot_be() {
    let (mut rig, [ten, _]) = plain();
    let (now, on) = (rig.now, rig.on);
    let mut add = |config| rig.stack.add_interface(now, config).map(|_| ());
    let config = |vlan| vlan_config(on, vlan);
    assert_eq!(add(config(10)), Err(ConfigError::VlanTaken(10)));
    for none in [0, 4095] {
        assert_eq!(add(config(none)), Err(ConfigError::Vlan(none)));
    }
    let mut priorities = [0; 64];
    priorities[63] = 9;
    assert_eq!(
        add(config(30).vlan_priorities(priorities)),
        Err(ConfigError::VlanPriority(9))
    );
    assert_eq!(
        add(config(30).vlan_priority(8)),
        Err(ConfigError::VlanPriority(8))
    );
    assert_eq!(
        add(vlan_config(ten, 30)),
        Err(ConfigError::VlanOver(ten)),
        "one within the other"
    );
    let loopback = InterfaceId::LOOPBACK;
    assert_eq!(
        add(vlan_config(loopback, 30)),
        Err(ConfigError::VlanOver(loopback))
    );
    let untagged = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500)).over(on);
    assert_eq!(add(untagged), Err(ConfigError::Vlan(0)));
    for vlan in 100..100 + 254 {
        assert_eq!(add(config(vlan)), Ok(()));
    }
    assert_eq!(add(config(1000)), Err(ConfigError::TooManyVlans(256)));

    let tun = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500));
    let on = rig.stack.add_interface(now, tun).unwrap();
    let refused = rig.stack.add_interface(now, vlan_config(on, 10));
    assert_eq!(refused, Err(ConfigError::Vlan(10)));
}
