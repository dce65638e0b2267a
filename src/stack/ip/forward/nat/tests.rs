//! The table alone: who gives way, what a connection's packets make of it.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use super::options::{NatFilter, NatOptions};
use super::table::{Kind, Nat, Said};
use crate::base::{DropReason, Instant, Protocol, Seed};

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const FAR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 2), 80);
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

const fn host(last: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), port)
}

const fn second(n: u64) -> Instant {
    Instant::from_millis(n * 1000)
}

/// With so many ports for each protocol, from 1024 on.
fn nat(ports: u16, options: &NatOptions) -> Nat {
    Nat::new(options, 1024 + ports..=u16::MAX, &Seed::from_number(1))
}

fn leave(
    nat: &mut Nat,
    at: u64,
    kind: Kind,
    src: SocketAddrV4,
    flags: u8,
) -> Result<u16, DropReason> {
    let said = Said {
        kind,
        src,
        dst: FAR,
        flags,
    };
    nat.leave(second(at), &said, |_, _| false)
}

fn come(nat: &mut Nat, at: u64, port: u16, flags: u8) -> Result<(), DropReason> {
    let said = Said {
        kind: Kind::Tcp,
        src: FAR,
        dst: SocketAddrV4::new(OUTSIDE, port),
        flags,
    };
    nat.admit(second(at), &said)
}

fn expire(nat: &mut Nat, at: u64) {
    nat.expire(second(at), &mut 1000);
}

/// Covers: NAT-17 (there are fewer ports than sessions: who has them all, and says no more, keeps nobody out).
#[test]
fn who_is_silent_longest_gives_a_port_up() {
    let mut nat = nat(6, &NatOptions::new());
    let mut first = None;
    for n in 0..6 {
        let port = leave(
            &mut nat,
            n,
            Kind::Tcp,
            host(2, 2000 + u16::try_from(n).unwrap()),
            SYN,
        );
        let port = port.unwrap();
        first = first.or(Some(port));
    }
    // Of what has other ports nobody gives way.
    leave(&mut nat, 0, Kind::Udp, host(2, 2000), 0).unwrap();
    let port = leave(&mut nat, 10, Kind::Tcp, host(3, 2000), SYN);
    assert_eq!(port.ok(), first);
    assert_eq!(nat.held(), (7, 7));
    assert_eq!(nat.port_of(Kind::Tcp, host(2, 2000)), None);
    // Connections do, of who has most of them: 5 and 1, 4 and 2, 3 and 3, and then nobody's for who has as many.
    let establish = |nat: &mut Nat, at| {
        (1024..1030).for_each(|port| come(nat, at, port, SYN | ACK).unwrap());
    };
    for n in 0..2 {
        establish(&mut nat, 11 + n);
        let port = 2001 + u16::try_from(n).unwrap();
        leave(&mut nat, 11 + n, Kind::Tcp, host(3, port), SYN).unwrap();
    }
    establish(&mut nat, 13);
    let refused = leave(&mut nat, 14, Kind::Tcp, host(3, 3000), SYN);
    assert_eq!(refused, Err(DropReason::NatFull));
    assert_eq!(nat.held(), (7, 7));
}

/// Covers: NAT-17 (hosts with friends outside, who hold all there is by established connections, keep nobody else out).
#[test]
fn who_has_most_connections_gives_one_up() {
    let mut nat = nat(1000, &NatOptions::new().sessions(8));
    // Two each, in turn.
    for n in 0..8u16 {
        let src = host(u8::try_from(2 + n % 4).unwrap(), 2000 + n);
        let port = leave(&mut nat, n.into(), Kind::Tcp, src, SYN).unwrap();
        come(&mut nat, n.into(), port, SYN | ACK).unwrap();
    }
    // A fifth host has its first, in place of the one that was silent longest of who has as many as any.
    let first = leave(&mut nat, 9, Kind::Udp, host(6, 2000), 0);
    assert!(first.is_ok());
    assert_eq!(nat.held(), (8, 8));
    assert_eq!(nat.port_of(Kind::Tcp, host(5, 2003)), None);
    assert!(nat.port_of(Kind::Tcp, host(5, 2007)).is_some());
    // What is no connection gives way before.
    leave(&mut nat, 10, Kind::Tcp, host(6, 2001), SYN).unwrap();
    assert_eq!(nat.port_of(Kind::Udp, host(6, 2000)), None);
    // What ends is not counted any more.
    expire(&mut nat, 10_000);
    assert_eq!(nat.held(), (0, 0));
    assert!(nat.counts_nobody());
}

/// Covers: NAT-17 (who floods with datagrams keeps nobody's connection from being established).
#[test]
fn who_was_heard_last_does_not_give_way() {
    let mut nat = nat(1000, &NatOptions::new().sessions(10).per_host(10));
    for n in 0..9 {
        leave(
            &mut nat,
            n,
            Kind::Udp,
            host(2, 2000 + u16::try_from(n).unwrap()),
            0,
        )
        .unwrap();
    }
    let port = leave(&mut nat, 9, Kind::Tcp, host(3, 2000), SYN).unwrap();
    for n in 0..8 {
        leave(&mut nat, 10, Kind::Udp, host(4, 2000 + n), 0).unwrap();
    }
    come(&mut nat, 10, port, SYN | ACK).unwrap();
    assert_eq!(nat.held(), (10, 10));
}

/// Covers: NAT-31 (RFC 7857 §2.1, RFC 5508 REQ-2 (a): each time can be set by itself, and is none below what is demanded).
#[test]
fn each_idle_time_can_be_set() {
    let seconds = Duration::from_secs;
    let kinds = [Kind::Udp, Kind::Query, Kind::Tcp, Kind::Tcp, Kind::Tcp];
    // A datagram, a query, a SYN alone, a connection that was reset, and one that is established.
    let lasts = |options: &NatOptions, case: usize, least: u64| {
        let mut nat = nat(6, options);
        let port = leave(&mut nat, 0, kinds[case], host(2, 2000), SYN).unwrap();
        if case > 2 {
            come(&mut nat, 0, port, SYN | ACK).unwrap();
        }
        if case == 3 {
            leave(&mut nat, 0, Kind::Tcp, host(2, 2000), RST).unwrap();
        }
        expire(&mut nat, least - 1);
        assert_eq!(nat.held(), (1, 1), "case {case}");
        expire(&mut nat, least);
        assert_eq!(nat.held(), (0, 0), "case {case}");
    };
    let set = |case: usize, time: u64| {
        let options = NatOptions::new();
        match case {
            0 => options.udp_idle(seconds(time)),
            1 => options.query_idle(seconds(time)),
            2 => options.opening_idle(seconds(time)),
            3 => options.closing_idle(seconds(time)),
            _ => options.established_idle(seconds(time)),
        }
    };
    let defaults = [300, 60, 240, 240, 7440];
    for case in 0..5 {
        lasts(&set(case, 9000), case, 9000);
        let least = if case == 0 { 120 } else { defaults[case] };
        lasts(&set(case, 1), case, least);
        for (other, time) in defaults.into_iter().enumerate() {
            if other != case {
                lasts(&set(case, 9000), other, time);
            }
        }
    }
}

/// Covers: NAT-10 (RFC 7857 §2.2, §7.1: a RST leaves by the mapping that there is, and makes none).
#[test]
fn a_reset_opens_nothing() {
    let mut nat = nat(6, &NatOptions::new().filter(NatFilter::Open));
    let own = host(2, 2000);
    let refused = leave(&mut nat, 0, Kind::Tcp, own, RST);
    assert_eq!(refused, Err(DropReason::NatUnsolicited));
    let port = leave(&mut nat, 0, Kind::Tcp, own, SYN).unwrap();
    let other = Said {
        kind: Kind::Tcp,
        src: own,
        dst: SocketAddrV4::new(*FAR.ip(), 81),
        flags: RST | ACK,
    };
    assert_eq!(nat.leave(second(0), &other, |_, _| false), Ok(port));
    assert_eq!(nat.held(), (1, 1));
}

/// Covers: NAT-10 (RFC 7857 §2: a SYN of the server's alone makes what a SYN began established).
#[test]
fn a_connection_is_established_by_both_syns() {
    let own = host(2, 2000);
    for (flags, stays) in [
        (ACK, false),
        (ACK | FIN, false),
        (SYN | ACK, true),
        (SYN, true),
    ] {
        let mut nat = nat(6, &NatOptions::new());
        let port = leave(&mut nat, 0, Kind::Tcp, own, SYN).unwrap();
        come(&mut nat, 1, port, flags).unwrap();
        expire(&mut nat, 500);
        assert_eq!(nat.held().1, usize::from(stays), "{flags}");
    }
    // What began before we did is known by its packets.
    let mut nat = nat(6, &NatOptions::new());
    let port = leave(&mut nat, 0, Kind::Tcp, own, ACK).unwrap();
    come(&mut nat, 1, port, ACK).unwrap();
    expire(&mut nat, 500);
    assert_eq!(nat.held().1, 1);
}

/// Covers: NAT-10 (the next connection of the same ends lives, whoever begins it).
#[test]
fn a_connection_that_is_opened_again_from_outside_lives() {
    let mut nat = nat(6, &NatOptions::new());
    let own = host(2, 2000);
    let port = leave(&mut nat, 0, Kind::Tcp, own, SYN).unwrap();
    come(&mut nat, 0, port, SYN | ACK).unwrap();
    leave(&mut nat, 1, Kind::Tcp, own, FIN | ACK).unwrap();
    come(&mut nat, 1, port, FIN | ACK).unwrap();
    come(&mut nat, 100, port, SYN).unwrap();
    assert_eq!(leave(&mut nat, 100, Kind::Tcp, own, SYN | ACK), Ok(port));
    come(&mut nat, 100, port, ACK).unwrap();
    expire(&mut nat, 1000);
    assert_eq!(nat.held(), (1, 1));
}

/// Covers: NAT-18 (all but what is forwarded by hand is forgotten, and its ports are free).
#[test]
fn what_is_forgotten_leaves_nothing() {
    let options = NatOptions::new().forward(Protocol::TCP, 1024, host(2, 80));
    let mut nat = nat(7, &options);
    for _ in 0..2 {
        for n in 0..6 {
            let port = leave(&mut nat, 0, Kind::Tcp, host(3, 2000 + n), SYN).unwrap();
            come(&mut nat, 0, port, SYN | ACK).unwrap();
        }
        assert_eq!(nat.held(), (7, 6));
        nat.forget_all();
        assert_eq!((nat.held(), nat.deadline()), ((1, 0), None));
        assert_eq!(nat.port_of(Kind::Tcp, host(2, 80)), Some(1024));
    }
}
