//! Interfaces that are taken away while the stack runs.

use super::*;
use crate::tcp::{TcpFailure, TcpOptions};

/// A second way out of the rig's stack, with 10.1.0.1/24 and a router that is known.
struct Second {
    on: InterfaceId,
    device: Recorder,
}

impl Second {
    fn new(rig: &mut Rig) -> Self {
        let config = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
            .mac(OTHER_MAC)
            .link_local(false)
            .address("10.1.0.1/24".parse().unwrap())
            .gateway("10.1.0.2".parse().unwrap());
        let on = rig.stack.add_interface(rig.now, config).unwrap();
        let asked = arp::Packet::request(
            PEER_MAC,
            "10.1.0.2".parse().unwrap(),
            "10.1.0.1".parse().unwrap(),
        );
        let frame = RxFrame::new(arp_frame(&asked).into(), RxMeta::new(rig.now));
        rig.stack.handle_frame(rig.now, on, frame);
        let mut second = Self {
            on,
            device: Recorder::default(),
        };
        second.sent(rig);
        second
    }

    fn sent(&mut self, rig: &mut Rig) -> Vec<Vec<u8>> {
        for _ in 0..1000 {
            rig.stack.handle_timeout(rig.now);
            let progress = rig
                .stack
                .poll_transmit(rig.now, self.on, &mut self.device)
                .unwrap();
            if progress.more == More::Idle && rig.stack.poll_timeout().is_none_or(|at| at > rig.now)
            {
                break;
            }
        }
        let frames = core::mem::take(&mut self.device.frames);
        frames.into_iter().map(|(frame, _)| frame).collect()
    }
}

fn changes(rig: &mut Rig) -> Vec<(InterfaceId, Change)> {
    core::iter::from_fn(|| rig.stack.poll_change()).collect()
}

fn remove(rig: &mut Rig) -> Result<(), LinkError> {
    let (now, on) = (rig.now, rig.on);
    rig.stack.remove_interface(now, on)
}

/// Everything of it goes, and whoever uses its addresses hears of it (r54).
#[test]
fn what_an_interface_has_goes_with_it() {
    let mut rig = Rig::with(|config| config.gateway(PEER.into()));
    rig.introduce();
    let second = Second::new(&mut rig);
    changes(&mut rig);
    let to = "10.0.0.2:7".parse().unwrap();
    let connected = rig
        .stack
        .tcp_connect(rig.now, to, None, TcpOptions::default())
        .unwrap();
    assert_eq!(rig.drain().len(), 1, "a SYN");
    let bound = "10.0.0.1:9".parse().unwrap();
    let bound = rig.stack.udp_bind(bound, UdpOptions::new()).unwrap();
    while rig.event().is_some() {}

    assert_eq!(remove(&mut rig), Ok(()));
    let failed = rig.stack.tcp_failure(connected);
    assert_eq!(failed, Ok(Some(TcpFailure::AddressGone)));
    assert_eq!(rig.stack.udp_recv(bound), Err(RecvError::AddressGone));
    let mut told: Vec<_> = core::iter::from_fn(|| rig.event().map(|event| event.id)).collect();
    told.sort_unstable();
    assert_eq!(told, [SocketId::Tcp(connected), SocketId::Udp(bound)]);
    let gone = |cidr: &str| Change::AddressGone(cidr.parse().unwrap());
    assert_eq!(
        changes(&mut rig),
        [
            (rig.on, gone("10.0.0.1/24")),
            (rig.on, gone("fd00::1/64")),
            (rig.on, Change::Removed)
        ]
    );
    let (stack, on) = (&mut rig.stack, rig.on);
    assert_eq!(stack.interfaces().collect::<Vec<_>>(), [second.on]);
    assert_eq!(stack.routes(on).count() + stack.addresses(on).count(), 0);
    assert_eq!(
        (stack.mtu(on), stack.mac(on), stack.is_link_up(on)),
        (None, None, false)
    );
    let way = stack.resolve_route("10.0.0.2".parse().unwrap());
    assert_eq!(way.map(|(on, _)| on), Some(second.on), "the other's router");
    assert_eq!(stack.resolve_route("fd00::2".parse().unwrap()), None);
}

/// Nothing that names it finds another in its place, nor wakes it.
#[test]
fn its_number_means_no_interface_ever_after() {
    let mut rig = Rig::with(|config| config.dhcp(DhcpOptions::new()).router_discovery(true));
    let group = UdpOptions::new();
    let member = rig
        .stack
        .udp_bind("0.0.0.0:9".parse().unwrap(), group)
        .unwrap();
    let joined = "239.1.2.3".parse().unwrap();
    let (now, on) = (rig.now, rig.on);
    rig.stack
        .udp_join(now, member, joined, Some(on), None)
        .unwrap();
    remove(&mut rig).unwrap();
    assert_eq!(remove(&mut rig), Err(LinkError::Interface(on)));
    assert_eq!(rig.stack.poll_timeout(), None, "no timer is left");
    let config = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500));
    let other = rig.stack.add_interface(now, config).unwrap();
    assert_ne!(other, on);
    let (cidr, options) = ("10.0.0.1/24".parse().unwrap(), AddressOptions::new());
    let stack = &mut rig.stack;
    assert_eq!(
        stack.add_address(now, on, cidr, options),
        Err(AddressError::Interface(on))
    );
    assert_eq!(
        stack.add_route(now, on, cidr, None),
        Err(RouteChangeError::Interface(on))
    );
    assert_eq!(
        stack.remove_route(now, on, cidr, None),
        Err(RouteChangeError::Interface(on))
    );
    assert_eq!(stack.set_link(now, on, true), Err(LinkError::Interface(on)));
    assert_eq!(stack.set_mtu(now, on, 1400), Err(LinkError::Interface(on)));
    assert_eq!(stack.dhcp_start(now, on, None), Err(DhcpError::NoClient));
    let again = stack.udp_join(now, member, joined, Some(on), None);
    assert_eq!(again, Err(GroupError::Interface(joined)));
    assert!(
        stack
            .udp_bind("0.0.0.0:10".parse().unwrap(), group.interface(Some(on)))
            .is_err()
    );
    assert!(!stack.wants_transmit(on));
    stack.udp_close(member);
    assert_eq!(stack.interfaces().collect::<Vec<_>>(), [other]);

    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    assert_eq!(rig.drops(DropReason::LinkDown), 1);
    let ended = rig.port.tx_mut().send(now, &mut rig.stack, 1);
    assert!(matches!(ended, Err(DeviceError::Removed)), "{ended:?}");
}

/// Who stands in line for it, or waits for a neighbour there, takes another way: ten thousand of them, a few at a time.
#[test]
fn those_in_line_take_another_way() {
    const MANY: usize = 10_000;
    let mut rig = Rig::with(|config| config.gateway(PEER.into()));
    let mut second = Second::new(&mut rig);
    let (now, on) = (rig.now, rig.on);
    let to = Some("192.0.2.1:7".parse().unwrap());
    let mut ids = Vec::new();
    for n in 0..MANY {
        let any = "0.0.0.0:0".parse().unwrap();
        let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
        rig.stack.udp_send_to(now, id, to, b"x").unwrap();
        ids.push(id);
        if n == 9 {
            // These wait for the gateway.
            assert_eq!(rig.asked().len(), 1);
        }
    }
    let line = |rig: &Rig| rig.stack.net.interfaces[on.index()].line.ready.len();
    assert_eq!(line(&rig), MANY - 10);
    remove(&mut rig).unwrap();
    assert!(line(&rig) > MANY / 2, "not all within one call");
    let left = second.sent(&mut rig);
    assert_eq!(line(&rig), 0);
    let gone = &rig.stack.net.interfaces[on.index()].line;
    assert_eq!(gone.ready.capacity(), 0, "its place is empty");
    // What its neighbour's queue held of the first ones was lost, and told.
    let unsent = ids
        .iter()
        .filter(|&&id| rig.stack.udp_recv(id) == Err(RecvError::HostUnreachable));
    assert_eq!(left.len() + unsent.count(), MANY);
    assert!(left.len() >= MANY - 10, "{}", left.len());
    assert_eq!(rig.stack.poll_timeout().filter(|&at| at <= now), None);
}

/// Link-local and group destinations mean the only interface that is there.
#[test]
fn the_one_that_is_left_is_the_only_one() {
    let mut rig = Rig::new();
    let second = Second::new(&mut rig);
    let group = "239.1.2.3".parse().unwrap();
    assert_eq!(rig.stack.resolve_route(group), None);
    remove(&mut rig).unwrap();
    let way = rig.stack.resolve_route(group);
    assert_eq!(way.map(|(on, _)| on), Some(second.on));
    let now = rig.now;
    rig.stack.remove_interface(now, second.on).unwrap();
    assert_eq!(rig.stack.resolve_route(group), None);
    let own = "127.0.0.1".parse().unwrap();
    assert!(rig.stack.resolve_route(own).is_some());
    assert_eq!(
        rig.stack.remove_interface(now, InterfaceId::LOOPBACK),
        Err(LinkError::Interface(InterfaceId::LOOPBACK))
    );
}
