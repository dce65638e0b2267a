//! Ports that several listeners have, and TCP of one interface.

use super::tcp::{frame, segment};
use super::*;
use crate::tcp::{Flags, Header, State, TcpOptions};
use std::collections::BTreeSet;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn shared() -> ListenOptions {
    ListenOptions::default().reuse_port(true)
}

/// A handshake from this port of the peer's; whose the connection is.
fn takers(rig: &mut Rig, ids: &[ListenerId], port: u16) -> Vec<usize> {
    let (from, to) = (format!("10.0.0.2:{port}"), "10.0.0.1:7");
    rig.receive(frame(&from, to, 100, 0, Flags::SYN));
    let answer = rig.only();
    let seq = Header::parse(answer.v4().1).unwrap().0.fields().seq;
    rig.receive(frame(&from, to, 101, seq.wrapping_add(1), Flags::ACK));
    rig.drain();
    let heard = |(at, &id): (usize, &ListenerId)| {
        let accepted = rig.stack.tcp_accept(rig.now, id).ok()?;
        rig.stack.tcp_abort(rig.now, accepted);
        Some(at)
    };
    let takers = ids.iter().enumerate().filter_map(heard).collect();
    rig.drain();
    takers
}

/// Each flow is one listener's, and about as many are each's; nobody tells which.
#[test]
fn a_port_is_shared_by_flows() {
    let mut of_keys = BTreeSet::new();
    for seed in 1..4 {
        let mut rig = Rig::configured(Config::new(Seed::from_number(seed)));
        rig.introduce();
        let any = addr("0.0.0.0:7");
        let listen = |rig: &mut Rig| rig.stack.tcp_listen(any, shared()).unwrap();
        let mut ids: Vec<_> = (0..8).map(|_| listen(&mut rig)).collect();
        let flows = |rig: &mut Rig, ids: &[ListenerId]| -> Vec<_> {
            (1000..1400).map(|port| takers(rig, ids, port)).collect()
        };
        let first = flows(&mut rig, &ids);
        assert!(first.iter().all(|takers| takers.len() == 1), "one each");
        for at in 0..8 {
            let count = first.iter().filter(|takers| takers[0] == at).count();
            assert!((25..80).contains(&count), "{count} of 400 are one of 8's");
        }
        assert_eq!(first, flows(&mut rig, &ids));
        of_keys.insert(first);
        rig.stack.tcp_listener_close(rig.now, ids.remove(5));
        let left = flows(&mut rig, &ids);
        assert!(left.iter().all(|takers| takers.len() == 1), "none is lost");
    }
    assert_eq!(of_keys.len(), 3, "each stack has its own key");
}

/// What a crowded one answers with a cookie comes back to it.
#[test]
fn cookies_find_who_sent_them() {
    let mut rig = Rig::new();
    rig.introduce();
    let any = addr("0.0.0.0:7");
    let crowded = || shared().backlog(1);
    let ids: Vec<_> = (0..8)
        .map(|_| rig.stack.tcp_listen(any, crowded()).unwrap())
        .collect();
    for port in 1000..1100 {
        let from = format!("10.0.0.2:{port}");
        rig.receive(frame(&from, "10.0.0.1:7", 100, 0, Flags::SYN));
    }
    rig.drain();
    let cookies = |rig: &Rig| rig.stack.counters().tcp_cookies_accepted;
    let before = cookies(&rig);
    for port in 2000..2050 {
        assert_eq!(takers(&mut rig, &ids, port).len(), 1, "{port}");
    }
    assert_eq!(cookies(&rig) - before, 50);
}

/// Those that share agree to it, and nobody else has the port; 256 share one.
#[test]
fn a_port_is_shared_with_those_who_agree() {
    let mut rig = Rig::new();
    let alone = ListenOptions::default();
    for (at, (first, second, fits)) in [
        (shared(), shared(), true),
        (shared(), alone.clone(), false),
        (alone, shared(), false),
    ]
    .into_iter()
    .enumerate()
    {
        let any = SocketAddr::new([0; 4].into(), 100 + at as u16);
        rig.stack.tcp_listen(any, first).unwrap();
        let listens = rig.stack.tcp_listen(any, second);
        assert_eq!(listens.is_ok(), fits, "row {at}: {listens:?}");
    }
    let any = addr("0.0.0.0:9");
    for _ in 0..256 {
        rig.stack.tcp_listen(any, shared()).unwrap();
    }
    let one_more = rig.stack.tcp_listen(any, shared());
    assert_eq!(one_more, Err(ListenError::Shared));
}

/// A stack with two interfaces, 10.0.0.1/24 and 10.1.0.1/24, each with a gateway.
struct Two {
    stack: Stack,
    on: [InterfaceId; 2],
    now: Instant,
}

impl Two {
    fn new() -> Self {
        let now = Instant::from_millis(1000);
        let mut stack = Stack::new(Config::new(Seed::from_number(1)));
        let on = ["10.0.0.1/24", "10.1.0.1/24"].map(|own| {
            let config = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500));
            let config = config.address(own.parse().unwrap());
            let config = config.gateway(own.replace("1/24", "254").parse().unwrap());
            stack.add_interface(now, config).unwrap()
        });
        Self { stack, on, now }
    }

    /// The TCP segments that leave by each, with their ends and what they acknowledge.
    fn sent(&mut self) -> [Vec<(IpAddr, Flags, u32)>; 2] {
        let (now, stack) = (self.now, &mut self.stack);
        self.on.map(|on| {
            let mut device = Recorder::default();
            stack.poll_transmit(now, on, &mut device).unwrap();
            let apart = |(packet, _): (Vec<u8>, TxMeta)| {
                let (header, payload) = ipv4::Header::parse(&packet).unwrap();
                let fields = Header::parse(payload).unwrap().0.fields();
                (header.fields().src.into(), fields.flags, fields.seq)
            };
            device.frames.into_iter().map(apart).collect()
        })
    }

    fn receive(&mut self, side: usize, (from, to): (&str, &str), seq: u32, ack: u32, flags: Flags) {
        let (from, to) = (addr(from), addr(to));
        let bytes = segment(from, to, seq, ack, flags);
        let packet = ip(from.ip(), to.ip(), Protocol::TCP, &bytes);
        let frame = RxFrame::new(packet.into(), RxMeta::new(self.now));
        self.stack.handle_frame(self.now, self.on[side], frame);
    }
}

/// A connection by one interface asks its routes and addresses alone.
#[test]
fn a_connection_by_one_interface() {
    let mut two = Two::new();
    let (now, far) = (two.now, addr("192.0.2.9:80"));
    let options = TcpOptions::default;
    two.stack.tcp_connect(now, far, None, options()).unwrap();
    let [left, right] = two.sent();
    assert!(right.is_empty() && left[0].0 == IpAddr::from([10, 0, 0, 1]));
    let by = two.on[1];
    let id = two.stack.tcp_connect_on(now, by, far, None, options());
    let [left, right] = two.sent();
    assert!(left.is_empty() && right[0].0 == IpAddr::from([10, 1, 0, 1]));
    let own = two.stack.tcp_local_addr(id.unwrap()).map(|own| own.ip());
    assert_eq!(own, Ok([10, 1, 0, 1].into()));
    let none = InterfaceId::from_scope(9).unwrap();
    let elsewhere = Some(addr("10.0.0.1:0"));
    #[rustfmt::skip]
    let rows = [
        (by, addr("10.1.0.1:80"), None, RouteError::NoRoute([10, 1, 0, 1].into()).into()),
        (none, far, None, RouteError::NoRoute(far.ip()).into()),
        (by, far, elsewhere, ConnectError::AddressNotAvailable),
    ];
    for (on, to, from, error) in rows {
        let refused = two.stack.tcp_connect_on(now, on, to, from, options());
        assert_eq!(refused, Err(error), "{to} by {on:?}");
    }
}

/// A listener of one interface hears there alone, those of two have one port, and it ends with its interface.
#[test]
fn a_listener_of_one_interface() {
    let mut two = Two::new();
    let any = addr("0.0.0.0:7");
    let of = |on| ListenOptions::default().interface(Some(on));
    let ids = two.on.map(|on| two.stack.tcp_listen(any, of(on)).unwrap());
    for options in [ListenOptions::default(), of(two.on[0])] {
        let taken = two.stack.tcp_listen(any, options);
        assert_eq!(taken, Err(ListenError::InUse));
    }
    let none = InterfaceId::from_scope(9).unwrap();
    let nowhere = two.stack.tcp_listen(addr("0.0.0.0:8"), of(none));
    assert_eq!(nowhere, Err(ListenError::Interface(none)));
    for (at, to) in [(0, "10.0.0.1:7"), (1, "10.1.0.1:7")] {
        let ends = ("192.0.2.9:9", to);
        two.receive(at, ends, 100, 0, Flags::SYN);
        let sent = two.sent();
        assert!(sent[1 - at].is_empty(), "{to}");
        let seq = sent[at][0].2;
        two.receive(at, ends, 101, seq.wrapping_add(1), Flags::ACK);
        let accepted = ids.map(|id| two.stack.tcp_accept(two.now, id).is_ok());
        assert_eq!(accepted, [at == 0, at == 1]);
        let state = two.stack.tcp_state_between(addr(to), addr(ends.0));
        assert_eq!(state, Some(State::Established));
    }
    let (now, first) = (two.now, two.on[0]);
    two.stack.remove_interface(now, first).unwrap();
    let told = ids.map(|id| two.stack.tcp_accept(now, id));
    let [gone, waits] = [AcceptError::AddressGone, AcceptError::WouldBlock].map(Err);
    assert_eq!(told, [gone, waits]);
}
