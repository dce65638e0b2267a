//! What somebody who is not on the path can learn from the errors that are sent to him.
//!
//! The attack (CVE-2020-25705): a resolver's socket is connected to a server, and whoever knows its port
//! may forge answers. Datagrams in the server's name to a port that is not it cause ICMP errors to the
//! server, one to the right port none; whatever the server's errors take from what others get, those
//! others can count.

use super::*;

const SERVER: &str = "10.0.0.2:53";
/// The port of the socket that is connected to the server, and one that nobody has.
const OPEN: u16 = 40_000;
const CLOSED: u16 = 40_001;

/// A stack on a medium without neighbours, so that every answer leaves at once.
fn victim(config: Config) -> Rig {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500))
        .address("10.0.0.1/8".parse().unwrap())
        .address("fd00::1/16".parse().unwrap());
    let mut rig = Rig::bare(config.outbox_limit(100_000), interface);
    rig.advance(Duration::from_secs(3));
    let local = SocketAddr::new(OURS.into(), OPEN);
    let id = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
    let server = SERVER.parse().unwrap();
    rig.stack.udp_connect(id, server).unwrap();
    rig.drain();
    rig
}

fn probe(rig: &mut Rig, from: &str, port: u16) {
    let frame = udp_frame(from, &format!("10.0.0.1:{port}"), b"x");
    rig.receive(frame[ethernet::HEADER_LEN..].to_vec());
}

/// The attacker's turn: a burst in the server's name to `port`, then one probe from each address of his;
/// the number of each of those that was answered.
fn attack(rig: &mut Rig, port: u16, forged: usize, own: u32) -> Vec<u32> {
    rig.advance(Duration::from_secs(20));
    rig.drain();
    for _ in 0..forged {
        probe(rig, SERVER, port);
    }
    for n in 0..own {
        let [_, a, b, c] = n.to_be_bytes();
        probe(rig, &format!("10.{}.{b}.{c}:9", 100 + a), CLOSED);
    }
    let answered = rig.drain().into_iter().filter_map(|frame| {
        let [_, a, b, c] = frame.v4().0.dst.octets();
        Some(u32::from_be_bytes([0, a.checked_sub(100)?, b, c]))
    });
    answered.collect()
}

/// Covers: IC4-28. No peer shares its bucket with another: not one of 3,000 addresses of the attacker's
/// is treated otherwise because the server was sent errors.
#[test]
fn what_one_peer_was_sent_is_not_taken_from_another() {
    let config = Config::new(Seed::from_number(1)).icmp_errors_per_second(1_000_000);
    let mut rig = victim(config);
    let all: Vec<u32> = (0..3000).collect();
    for port in [CLOSED, OPEN] {
        let sent = rig.stack.counters().icmp_errors_sent;
        let answered = attack(&mut rig, port, 8, 3000);
        assert!(answered == all, "port {port}: {} answers", answered.len());
        let sent = rig.stack.counters().icmp_errors_sent - sent;
        assert_eq!(sent, if port == CLOSED { 3006 } else { 3000 });
    }
    // Nor with one of the same /64, which is its owner's as little as the next house is.
    let mut answers = |from: &str| {
        let frame = udp_frame(from, "[fd00::1]:9", b"x");
        rig.receive(frame[ethernet::HEADER_LEN..].to_vec());
        rig.drain().len()
    };
    let server: usize = (0..8).map(|_| answers("[fd00::2]:53")).sum();
    let other: usize = (0..8).map(|_| answers("[fd00::3]:9")).sum();
    assert_eq!((server, other), (6, 6));
}

/// Covers: IC4-28. What all share is charged at random: how much of a burst is left tells less than
/// four times in five what a peer's whole allowance was spent on, and an allowance lasts six seconds.
#[test]
fn what_is_left_of_the_common_limit_tells_little() {
    const ROUNDS: usize = 150;
    let mut rig = victim(Config::new(Seed::from_number(1)));
    let mut left = |port| {
        let mut counts = Vec::new();
        for _ in 0..ROUNDS {
            counts.push(attack(&mut rig, port, 6, 120).len());
        }
        counts
    };
    let (closed, open) = (left(CLOSED), left(OPEN));
    // The best that a guess by a threshold can do.
    let right = |threshold: usize| {
        let below = closed.iter().filter(|&&n| n < threshold).count();
        below + open.iter().filter(|&&n| n >= threshold).count()
    };
    let best = (0..130).map(right).max().unwrap();
    let most = 2 * ROUNDS * 4 / 5;
    assert!(best <= most, "{best} of {} guessed", 2 * ROUNDS);
}
