//! VLANs over one TAP: of two hosts that a bridge of the kernel's joins, and where the kernel has interfaces of its own for them,
//! each in a namespace.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::Duration;

use netloom::InterfaceConfig;
use netloom::base::DropReason;
use netloom::device::Tap;
use netloom::host::{Host, Interface};
use netloom::stack::ForwardOptions;

use crate::forwarding::{exchange, told};
use crate::link::{PATIENCE, kernel_accept, kernel_connect};
use crate::namespace::{Case, ip};
use crate::paths::Place;
use crate::programs::path_of;
use crate::several::{addresses, ours, talks};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("vlans::two_hosts_over_a_bridge", over_a_bridge),
        of_the_kernel("each_has_its_host", each_has_its_host),
        of_the_kernel("one_network_twice", one_network_twice),
        of_the_kernel("tcp_goes_from_one_to_the_other", tcp_goes_through),
    ]
}

/// A test that needs VLAN interfaces of the kernel, and ping.
fn of_the_kernel(name: &str, test: fn()) -> Case {
    Case::with_reason(format!("vlans::{name}"), move || {
        if path_of("ping").is_none() {
            return Some("there is no ping".to_owned());
        }
        let tap = Tap::builder().name("nl9").open().unwrap();
        let mut add = Command::new("ip");
        add.args("link add link nl9 name vlan type vlan id 1".split(' '));
        if !add.output().unwrap().status.success() {
            return Some("the kernel has no vlan interfaces (module 8021q)".to_owned());
        }
        drop(tap);
        test();
        None
    })
}

/// One of two hosts at a bridge: what has no tag is network 9.
fn at_bridge(name: &str, host: u8, offload: bool) -> Host {
    let tap = Tap::builder().name(name).offload(offload).open().unwrap();
    ip(&format!("link set {name} master br0"));
    ip(&format!("link set {name} up"));
    let own = |mut config: InterfaceConfig, net| {
        for address in addresses(net, host) {
            config = config.address(address.parse().unwrap());
        }
        config.dad_transmits(0)
    };
    let built = Host::builder(tap).interface(|config| own(config, 9));
    let built = built.spawn().unwrap();
    let first = built.interfaces()[0].id();
    for (vlan, net) in [(10, 7), (20, 8)] {
        let configure = |config| own(config, net).vlan_priority(net - 3);
        built.add_vlan(first, vlan, configure).unwrap();
    }
    built.wait_ready(PATIENCE).unwrap();
    built
}

/// With super-segments and partial checksums behind the tag, and without: the kernel passes on what it takes and gives.
fn over_a_bridge() {
    for offload in [true, false] {
        Place::new().run(move || {
            ip("link add br0 type bridge mcast_snooping 0");
            ip("link set br0 up");
            let hosts = [("nl0", 1), ("nl1", 2)].map(|(name, host)| at_bridge(name, host, offload));
            for net in [7, 8, 9] {
                for at in addresses(net, 2) {
                    let (at, _) = at.split_once('/').unwrap();
                    between_hosts(&hosts, at.parse().unwrap());
                }
            }
            let counters = hosts.each_ref().map(Host::counters);
            for counted in &counters {
                let segments = counted.tcp_segments_received;
                assert!(!offload || segments < 20_000, "super-segments: {counted:?}");
            }
            // A tag that nobody knows there.
            let vlan = hosts[1].interfaces()[1].id();
            hosts[1].detach(vlan).unwrap();
            let to: IpAddr = Ipv4Addr::new(10, 7, 0, 2).into();
            let lost = hosts[0].tcp_connect_timeout((to, 7).into(), Duration::from_millis(300));
            assert!(lost.is_err());
            let drops = hosts[1].counters().drops.get(DropReason::LinkProtocol);
            assert!(drops > 0, "{drops}");
        });
    }
}

/// Ten megabytes each way, from the first host to the second.
fn between_hosts(hosts: &[Host; 2], at: IpAddr) {
    let data: Vec<u8> = (0..10_000_000).map(|n| (n % 251) as u8).collect();
    let listener = hosts[1].tcp_listen((at, 0)).unwrap();
    let to = listener.local_addr().unwrap();
    let mut out = hosts[0].tcp_connect_timeout(to, PATIENCE).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    carry(&mut out, &mut accepted, &data);
    carry(&mut accepted, &mut out, &data);
}

fn carry(from: &mut (dyn Write + Send), to: &mut dyn Read, data: &[u8]) {
    let mut got = vec![0; data.len()];
    thread::scope(|scope| {
        scope.spawn(|| from.write_all(data).unwrap());
        to.read_exact(&mut got).unwrap();
    });
    assert!(got == data, "what arrived is not what was sent");
}

/// A host with VLANs 10 and 20 over one TAP; the second one's frames have a priority on both sides.
struct Trunk {
    host: Host,
    vlans: Vec<Interface>,
    /// VLAN 10 is in the first, with what has no tag, and VLAN 20 in the second.
    places: [Place; 2],
}

impl Trunk {
    /// What has no tag is network 9.
    fn new(offload: bool, nets: [u8; 2]) -> Self {
        let places = [Place::new(), Place::new()];
        let other = places[1].thread;
        let tap = places[0].run(move || {
            let mut tap = Tap::builder().name("nl0").offload(offload);
            for address in addresses(9, 2) {
                tap = tap.kernel_address(address.parse().unwrap());
            }
            let tap = tap.open().unwrap();
            ip("link add link nl0 name vlan type vlan id 20 egress-qos-map 0:5");
            ip(&format!("link set vlan netns {other}"));
            ip("link add link nl0 name vlan type vlan id 10");
            tap
        });
        for (place, net) in places.iter().zip(nets) {
            place.run(move || {
                ip("link set vlan up");
                for address in addresses(net, 2) {
                    let nodad = if address.contains(':') { "nodad" } else { "" };
                    ip(&format!("addr add {address} dev vlan {nodad}"));
                }
                ip(&format!("route add default via 10.{net}.0.1"));
                ip(&format!("-6 route add default via fd0{net}::1"));
            });
        }
        let host = Host::builder(tap)
            .interface(|config| ours(config, 9))
            .spawn()
            .unwrap();
        let first = host.interfaces()[0].id();
        let vlans = [(10, nets[0], 0), (20, nets[1], 5)].map(|(vlan, net, priority)| {
            let added = host.add_vlan(first, vlan, |config| {
                let config = ours(config, net).vlan_priority(priority);
                config.forwarding(ForwardOptions::new())
            });
            added.unwrap()
        });
        host.wait_ready(PATIENCE).unwrap();
        Self {
            host,
            vlans: vlans.into(),
            places,
        }
    }
}

/// What has no tag, and each VLAN, both families; and one goes while the host runs.
fn each_has_its_host() {
    let Trunk {
        host,
        vlans,
        places,
    } = Trunk::new(true, [7, 8]);
    talks(&host, &places[0], 9);
    for (place, net) in places.iter().zip([7, 8]) {
        talks(&host, place, net);
    }
    for (place, to) in [
        (0, "ping -c 2 -i 0.2 -W 5 10.9.0.1"),
        (0, "ping -c 2 -i 0.2 -W 5 -s 4000 10.7.0.1"),
        (1, "ping -c 2 -i 0.2 -W 5 -s 4000 fd08::1"),
    ] {
        told(&places[place], to);
    }
    bulk(&host, &places[1], Ipv4Addr::new(10, 8, 0, 1).into());
    host.detach(vlans[0].id()).unwrap();
    assert!(vlans[0].addresses().is_empty());
    assert_eq!(host.interfaces().len(), 2);
    talks(&host, &places[1], 8);
    host.detach(host.interfaces()[0].id()).unwrap();
    assert_eq!(host.interfaces().len(), 0, "a vlan goes with its device");
}

/// Ten megabytes each way between the kernel and the host itself.
fn bulk(host: &Host, place: &Place, at: IpAddr) {
    let data: Vec<u8> = (0..10_000_000).map(|n| (n % 251) as u8).collect();
    let listener = host.tcp_listen((at, 0)).unwrap();
    let to = listener.local_addr().unwrap();
    let mut kernel = place.run(move || kernel_connect(to));
    let (mut stream, _) = listener.accept().unwrap();
    carry(&mut kernel, &mut stream, &data);
    carry(&mut stream, &mut kernel, &data);
}

/// The same addresses in both VLANs are other hosts.
fn one_network_twice() {
    let trunk = Trunk::new(true, [7, 7]);
    for place in &trunk.places {
        told(place, "ping -c 3 -i 0.2 -W 5 10.7.0.1");
        told(place, "ping -c 3 -i 0.2 -W 5 fd07::1");
    }
}

/// From one kernel's VLAN to the other's over the same device twice: with super-segments and partial checksums, and without.
fn tcp_goes_through() {
    for offload in [true, false] {
        Place::new().run(move || {
            let trunk = Trunk::new(offload, [7, 8]);
            for at in addresses(8, 2) {
                let (at, _) = at.split_once('/').unwrap();
                let at: IpAddr = at.parse().unwrap();
                let listener = trunk.places[1].run(move || TcpListener::bind((at, 0)).unwrap());
                let to = listener.local_addr().unwrap();
                let left = trunk.places[0].run(move || kernel_connect(to));
                let right = kernel_accept(&listener);
                exchange(&left, &right, 20_000_000);
            }
            let counters = trunk.host.counters();
            assert!(counters.packets_forwarded > 500, "{counters:?}");
            assert_eq!(counters.packets_cut, 0);
        });
    }
}
