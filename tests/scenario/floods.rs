//! Floods in virtual time: a live flow between two stacks on a link with a hostile neighbour.
//!
//! The frames are those of the kernel tier and of `cargo bench --bench floods`.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

use netloom::base::{DropReason, MacAddr};
use netloom::bytes::Bytes;
use netloom::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use netloom::link::{RxFrame, RxMeta, TxFrame};
use netloom::stack::{Counters, DhcpOptions, Event, ListenOptions, ListenerId, Port, TcpId};
use netloom::tcp::TcpOptions;
use netloom::{Config, Instant, InterfaceConfig, Seed, Stack};

use super::attack::{Attacker, Flood, Target};
use super::device::Inbox;

const OURS: &str = "10.0.0.2:80";
const OUR_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);
const PEER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
/// Half-open connections that the listener keeps.
const BACKLOG: usize = 128;
/// Hostile frames in each millisecond: 10^5 in a second.
const IN_A_MILLISECOND: usize = 100;
/// Bytes of the flow in each millisecond.
const BLOCK: usize = 5000;

#[derive(Default)]
struct Out(VecDeque<Vec<u8>>);

impl Transmit for Out {
    fn transmit(&mut self, _: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.0.push_back(frame.to_vec());
        Ok(Sent::Taken)
    }
}

struct End {
    stack: Stack,
    port: Port<Inbox, Out>,
}

impl End {
    fn new(number: u64, mac: MacAddr) -> Self {
        Self::with(number, mac, |config| config)
    }

    /// With these settings of its interface.
    fn with(number: u64, mac: MacAddr, set: fn(InterfaceConfig) -> InterfaceConfig) -> Self {
        let mut stack = Stack::new(Config::new(Seed::from_number(number)));
        let mut config = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
            .mac(mac)
            .address(format!("10.0.0.{number}/8").parse().unwrap())
            .address(format!("fd00::{number}/64").parse().unwrap())
            .dad_transmits(0);
        if number != 1 {
            config = config.gateway("10.0.0.1".parse().unwrap());
        }
        let on = stack.add_interface(Instant::ZERO, set(config)).unwrap();
        let port = Port::new(on, (Inbox::default(), Out::default()));
        Self { stack, port }
    }

    fn take(&mut self, now: Instant, frame: Vec<u8>) {
        let frame = RxFrame::new(Bytes::from(frame), RxMeta::new(now));
        self.port.rx_mut().half_mut().0.push_back(frame);
    }

    /// All that can happen now; what left.
    fn settle(&mut self, now: Instant) -> VecDeque<Vec<u8>> {
        let mut user = |_: &mut Stack, _: Instant, _: Event| {};
        while self
            .port
            .turn(now, &mut self.stack, &mut user)
            .unwrap()
            .again
        {}
        core::mem::take(&mut self.port.tx_mut().half_mut().0)
    }
}

/// The target, the other end of its flow, and the attacker.
struct Street {
    now: Instant,
    ours: End,
    peer: End,
    attacker: Attacker,
    listener: ListenerId,
    flow: (TcpId, TcpId),
    written: u64,
    read: u64,
}

impl Street {
    fn new() -> Self {
        Self::with(|config| config)
    }

    /// With these settings of the target's interface.
    fn with(set: fn(InterfaceConfig) -> InterfaceConfig) -> Self {
        // The addresses have been announced by now.
        let now = Instant::from_millis(10_000);
        let mut peer = End::new(1, PEER_MAC);
        let mut ours = End::with(2, OUR_MAC, set);
        ours.settle(now);
        let at: SocketAddr = OURS.parse().unwrap();
        let options = ListenOptions::default().backlog(BACKLOG);
        let listener = ours.stack.tcp_listen(at, options).unwrap();
        let options = TcpOptions::default();
        let theirs = peer.stack.tcp_connect(now, at, None, options).unwrap();
        let SocketAddr::V4(listener_at) = at else {
            unreachable!()
        };
        let SocketAddr::V4(peer_at) = peer.stack.tcp_local_addr(theirs).unwrap() else {
            unreachable!()
        };
        let attacker = Attacker::new(Target {
            mac: OUR_MAC,
            listener: listener_at,
            v6: "fd00::2".parse().unwrap(),
            peer: peer_at,
        });
        let mut street = Self {
            now,
            ours,
            peer,
            attacker,
            listener,
            flow: (theirs, theirs),
            written: 0,
            read: 0,
        };
        street.settle();
        street.flow.1 = street.ours.stack.tcp_accept(now, listener).unwrap();
        street
    }

    /// Frames go where they are addressed to, and broadcasts to all, until nothing moves.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            let [ours, theirs] = [&mut self.ours, &mut self.peer].map(|end| end.settle(self.now));
            for frame in theirs {
                self.ours.take(self.now, frame);
                moved = true;
            }
            for frame in ours {
                moved = true;
                if let Some(answer) = self.attacker.heard(&frame) {
                    self.ours.take(self.now, answer.to_vec());
                }
                let group = frame[0] & 1 == 1;
                if group || frame[..6] == PEER_MAC.octets() {
                    self.peer.take(self.now, frame);
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// A millisecond: timers, text both of the flow, and the flood.
    fn millisecond(&mut self, flood: Option<Flood>, check: &mut impl FnMut(&Stack)) {
        self.now = self.now + Duration::from_millis(1);
        let block: Vec<u8> = (self.written..).take(BLOCK).map(byte_at).collect();
        if let Ok(n) = self.peer.stack.tcp_write(self.now, self.flow.0, &block) {
            self.written += n as u64;
        }
        for n in 0..flood.map_or(0, |_| IN_A_MILLISECOND) {
            let frame = self.attacker.next(flood.unwrap()).to_vec();
            self.ours.take(self.now, frame);
            if n.is_multiple_of(64) {
                self.settle();
            }
        }
        self.settle();
        check(&self.ours.stack);
        self.read();
    }

    fn read(&mut self) {
        let mut buf = [0; 2 * BLOCK];
        while let Ok(n) = self.ours.stack.tcp_read(self.now, self.flow.1, &mut buf) {
            let right = buf[..n].iter().copied().zip(self.read..);
            assert!(right.into_iter().all(|(byte, at)| byte == byte_at(at)));
            self.read += n as u64;
            if n == 0 {
                break;
            }
        }
    }

    /// The attacker's own connection, for floods that need one.
    fn connect_attacker(&mut self) -> TcpId {
        let syn = self.attacker.syn().to_vec();
        self.ours.take(self.now, syn);
        self.settle();
        assert!(self.attacker.is_connected());
        self.ours.stack.tcp_accept(self.now, self.listener).unwrap()
    }

    /// A flood of a second, and a quiet one after it; then the flow has lost nothing but time.
    fn endure(&mut self, flood: Flood, mut check: impl FnMut(&Stack)) -> Counters {
        for _ in 0..1000 {
            self.millisecond(Some(flood), &mut check);
        }
        let counters = self.ours.stack.counters().clone();
        for _ in 0..1000 {
            self.millisecond(None, &mut |_| ());
        }
        assert_eq!(self.read, self.written);
        assert!(self.read >= 2000 * BLOCK as u64 * 9 / 10, "{}", self.read);
        assert_eq!(counters.tcp_resets_received, 0);
        counters
    }

    fn connections(&self) -> usize {
        self.ours.stack.tcp_connections().count()
    }
}

fn byte_at(at: u64) -> u8 {
    (at % 251) as u8
}

/// r52: records for the backlog, cookies for the rest, and a new connection in the midst of it.
#[test]
fn r52_a_syn_flood_takes_the_backlog_and_no_more() {
    let mut street = Street::new();
    let at: SocketAddr = OURS.parse().unwrap();
    let mut late = None;
    for n in 0..1000 {
        if n == 500 {
            let options = TcpOptions::default();
            let (now, peer) = (street.now, &mut street.peer.stack);
            late = Some(peer.tcp_connect(now, at, None, options).unwrap());
        }
        street.millisecond(Some(Flood::Syn), &mut |stack| {
            assert!(stack.tcp_open_count() <= BACKLOG + 2);
        });
    }
    let counters = street.ours.stack.counters().clone();
    let syns = 1000 * IN_A_MILLISECOND as u64;
    assert_eq!(counters.tcp_cookies_sent, syns + 1 - BACKLOG as u64);
    assert_eq!(counters.tcp_cookies_accepted, 1);
    let info = street.peer.stack.tcp_info(late.unwrap()).unwrap();
    assert_eq!(info.state.name(), "ESTABLISHED");
    let accepted = street.ours.stack.tcp_accept(street.now, street.listener);
    let info = street.ours.stack.tcp_info(accepted.unwrap()).unwrap();
    assert!(info.sack && info.timestamps && info.snd_wscale > 0);
    assert_eq!(street.read, street.written);
}

/// r59: the flow's neighbour stays; it is never asked for again.
#[test]
fn r59_floods_of_strangers_leave_the_flows_neighbour() {
    for flood in [Flood::Arp, Flood::Solicit] {
        let mut street = Street::new();
        let before = street.ours.stack.counters().clone();
        let counters = street.endure(flood, |stack| assert_eq!(stack.tcp_open_count(), 1));
        assert_eq!(counters.arp_requests_sent, before.arp_requests_sent);
        assert_eq!(counters.neighbours_failed, 0);
        let answered = counters.arp_replies_sent + counters.neighbour_adverts_sent;
        assert!(answered >= 100_000, "{answered}");
    }
}

/// r38, r50: what has random numbers is answered ten times a second at most.
#[test]
fn r38_forged_segments_of_the_flow_do_nothing() {
    for (flood, reasons) in [
        (
            Flood::Rst,
            &[DropReason::TcpOutOfWindow, DropReason::TcpBadRst][..],
        ),
        (
            Flood::Ack,
            &[
                DropReason::TcpPaws,
                DropReason::TcpOutOfWindow,
                DropReason::TcpBadAck,
            ],
        ),
    ] {
        let mut street = Street::new();
        let counters = street.endure(flood, |stack| assert_eq!(stack.tcp_open_count(), 1));
        assert!(counters.tcp_challenge_acks <= 20, "{counters:?}");
        let dropped: u64 = reasons
            .iter()
            .map(|&reason| counters.drops.get(reason))
            .sum();
        assert_eq!(dropped, 100_000);
    }
}

/// r40: held in bounded room, whatever the order and the overlap; nothing of it is ever readable.
#[test]
fn r40_floods_out_of_order_hold_a_bounded_number_of_pieces() {
    for flood in [Flood::OneByte, Flood::Overlap] {
        let mut street = Street::new();
        let hostile = street.connect_attacker();
        let counters = street.endure(flood, |stack| {
            let info = stack.tcp_info(hostile).unwrap();
            assert_eq!((info.unread, stack.tcp_open_count()), (0, 2));
        });
        let full = counters.drops.get(DropReason::TcpReassemblyFull);
        assert_eq!(full > 0, flood == Flood::OneByte, "{full}");
        // Each is answered (RFC 5681 §4.2), in turns of up to 64.
        assert!(counters.tcp_segments_sent < 20_000, "{counters:?}");
    }
}

/// r41: reports at random make no more records than there are segments, and what is sent again is
/// bounded by the congestion window.
#[test]
fn r41_random_sack_blocks_cost_bounded_work() {
    let mut street = Street::new();
    let hostile = street.connect_attacker();
    let (now, ours) = (street.now, &mut street.ours.stack);
    ours.tcp_write(now, hostile, &vec![0x5a; 2 << 20]).unwrap();
    let counters = street.endure(Flood::Sack, |stack| {
        let info = stack.tcp_info(hostile).unwrap();
        assert!(info.sacked + info.lost <= info.unacked);
    });
    assert!(counters.tcp_retransmits < 5000, "{counters:?}");
}

/// r62: the flow is synchronized, so nothing ends it.
#[test]
fn r62_forged_errors_do_nothing() {
    let mut street = Street::new();
    let counters = street.endure(Flood::Icmp, |stack| assert_eq!(stack.tcp_open_count(), 1));
    assert!(counters.drops.get(DropReason::IcmpUnmatched) > 60_000);
    assert_eq!(street.connections(), 1);
}

/// r63: answers to closed ports are limited, and leave room for those who ask for us.
#[test]
fn r63_datagrams_to_closed_ports_are_answered_at_a_limited_rate() {
    let mut street = Street::new();
    let counters = street.endure(Flood::Udp, |stack| assert_eq!(stack.tcp_open_count(), 1));
    // A thousand and a burst of fifty, each charged none to two: four standard deviations above that.
    assert!(counters.icmp_errors_sent <= 1160, "{counters:?}");
    assert_eq!(counters.drops.get(DropReason::UdpNoSocket), 100_000);
}

/// Pieces that never become whole are kept up to a bound, and each fourth contradicts the one before it.
#[test]
fn pieces_of_datagrams_cost_their_bound_and_no_more() {
    let mut street = Street::new();
    let counters = street.endure(Flood::Fragments, |_| ());
    let overlaps = counters.drops.get(DropReason::FragmentOverlap);
    assert!(overlaps >= 25_000, "{counters:?}");
    let limit = counters.drops.get(DropReason::FragmentLimit);
    assert!(limit > 10_000, "{counters:?}");
}

/// Of 10^5 routers the lists hold as many as docs/limits.md says, and most advertisements are not even looked at.
#[test]
fn routers_that_nobody_knows_fill_their_lists_and_no_more() {
    let mut street = Street::with(|config| config.router_discovery(true));
    let on = street.ours.port.interface();
    let counters = street.endure(Flood::Routers, |stack| {
        assert!(stack.routes(on).count() <= 72);
        assert!(stack.addresses(on).count() <= 24);
    });
    assert!(
        counters.drops.get(DropReason::RouterFlood) > 99_000,
        "{counters:?}"
    );
}

/// None is of a packet that a socket of ours has sent.
#[test]
fn redirects_in_the_routers_name_move_nobody() {
    let mut street = Street::new();
    let counters = street.endure(Flood::Redirects, |_| ());
    assert_eq!(counters.redirects_followed, 0);
    let [flood, refused, unmatched] = [
        DropReason::RouterFlood,
        DropReason::RedirectRefused,
        DropReason::IcmpUnmatched,
    ]
    .map(|reason| counters.drops.get(reason));
    assert_eq!(flood + refused + unmatched, 100_000, "{counters:?}");
}

/// A client that waits for an answer takes none with another number.
#[test]
fn leases_that_nobody_asked_for_are_not_taken() {
    let mut street = Street::with(|config| config.dhcp(DhcpOptions::new()));
    let on = street.ours.port.interface();
    let counters = street.endure(Flood::Leases, |stack| assert!(stack.lease(on).is_none()));
    assert_eq!(counters.drops.get(DropReason::DhcpIgnored), 100_000);
}

/// Queries are answered in batches, whoever asks.
#[test]
fn queries_for_groups_are_answered_seldom() {
    let mut street = Street::with(|config| config.report_own_groups(true));
    let before = street.ours.stack.counters().tx_frames;
    let counters = street.endure(Flood::Queries, |_| ());
    // The flow's ACKs among them.
    let sent = counters.tx_frames - before;
    assert!(sent < 4000, "{counters:?}");
}
