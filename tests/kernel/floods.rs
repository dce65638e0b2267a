//! Floods at full speed while a flow of the kernel's runs: three ports of a bridge, one of them the
//! attacker's.
//!
//! The frames are those of `benches/floods`; the bounds in memory are in `docs/limits.md`.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netloom::base::DropReason;
use netloom::host::{Host, TcpListener};
use netloom::stack::{Counters, ListenOptions};

use crate::link::{Hash, PATIENCE, kernel_connect, our_accept};
use crate::namespace::Case;

#[path = "../../benches/floods/attack.rs"]
mod attack;
#[allow(dead_code)] // the benches' too
#[path = "../../benches/common/mod.rs"]
mod common;
#[path = "../../benches/floods/station.rs"]
mod station;

use attack::Flood;

/// Half-open connections that the listener keeps.
const BACKLOG: usize = 256;
/// How long a flood goes on at least; it ends when the host had [`enough`] of it.
const TIME: Duration = Duration::from_secs(1);
/// Frames of a flood at least.
const FRAMES: u64 = 2000;
/// Frames per second, where the machine can.
const RATE: f64 = 1e5;
/// What the process may grow by: far more than the tables of docs/limits.md, and far less than a
/// record for each of 10^5 frames in full would be.
const GROWTH: usize = 48 << 20;

/// One test for each kind.
///
/// Covers: SEC-1, SEC-4, NDP-41, ARP-12.
pub(crate) fn cases() -> Vec<Case> {
    let case = |flood: Flood| {
        Case::with_reason(format!("floods::{}", flood.name()), move || {
            station::bridge().err().or_else(|| {
                endure(flood);
                None
            })
        })
    };
    Flood::ALL.into_iter().map(case).collect()
}

fn endure(flood: Flood) {
    let (ours, theirs) = (
        station::port("nl0", true).unwrap(),
        station::port("atk0", false).unwrap(),
    );
    let host = station::host(ours, Some(flood)).spawn().unwrap();
    let options = ListenOptions::new(host.tcp_options().clone()).backlog(BACKLOG);
    let listener = host.tcp_listen_with((station::OURS, 0), options).unwrap();
    let at = listener.local_addr().unwrap();
    let client = kernel_connect(at);
    let server = our_accept(&listener);
    let attacker = station::attacker(at, client.local_addr().unwrap());
    let (before, memory) = (host.counters(), resident());
    let over = AtomicBool::new(false);
    let is_over = |time, sent| {
        let had = || effect(flood, &before, &host.counters()) >= enough(flood);
        time > PATIENCE || (time > TIME && sent >= FRAMES && had())
    };
    thread::scope(|scope| {
        let guard = Over(&over);
        let sender = scope.spawn(|| send_until(client, &over));
        let receiver = scope.spawn(move || receive(server));
        let (start, is_over) = (Instant::now(), &is_over);
        let sent = scope.spawn(move || station::attack(theirs, attacker, flood, RATE, is_over));
        let hostile = flood.connects().then(|| our_accept(&listener));
        if let (Some(stream), Flood::Sack) = (&hostile, flood) {
            // More than it will ever acknowledge.
            stream.set_nonblocking(true).unwrap();
            let block = vec![0x5a; 256 << 10];
            while stream.send(&block).is_ok() {}
        }
        if flood == Flood::Syn {
            connect_meanwhile(&host, &listener);
        }
        let sent = sent.join().unwrap();
        let seconds = start.elapsed().as_secs() + 1;
        drop(guard);
        let during = host.counters();
        if let Some(stream) = hostile {
            stream.abort().unwrap();
        }
        let (was_sent, was_received) = (sender.join().unwrap(), receiver.join().unwrap());
        assert_eq!(
            was_sent, was_received,
            "(hash, length) as sent and received"
        );
        assert!(was_sent.1 > 256 << 10, "{} bytes", was_sent.1);
        let grown = resident().saturating_sub(memory);
        assert!(grown < GROWTH, "{grown} bytes more");
        println!(
            "{}: {sent} frames, {} bytes, {grown} more resident",
            flood.name(),
            was_sent.1
        );
        judge(flood, seconds, &host, &before, &during);
    });
}

/// Ends the flow, whatever else happens.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What each flood is there to cause, so often since `before`.
fn effect(flood: Flood, before: &Counters, now: &Counters) -> u64 {
    let drops = |reason| now.drops.get(reason) - before.drops.get(reason);
    match flood {
        Flood::Syn => now.tcp_cookies_sent,
        Flood::Arp | Flood::Solicit => now.arp_replies_sent + now.neighbour_adverts_sent,
        Flood::Rst | Flood::Ack => now.drops.total() - before.drops.total(),
        Flood::OneByte => drops(DropReason::TcpReassemblyFull),
        Flood::Overlap | Flood::Sack => now.tcp_segments_received - before.tcp_segments_received,
        Flood::Icmp => drops(DropReason::IcmpUnmatched),
        Flood::Udp => drops(DropReason::UdpNoSocket),
        Flood::Fragments => drops(DropReason::FragmentLimit) + drops(DropReason::FragmentOverlap),
        Flood::Routers => drops(DropReason::RouterFlood),
        Flood::Redirects => {
            drops(DropReason::RouterFlood)
                + drops(DropReason::RedirectRefused)
                + drops(DropReason::IcmpUnmatched)
        }
        Flood::Leases => drops(DropReason::DhcpIgnored),
        Flood::Queries => now.rx_frames - before.rx_frames,
    }
}

/// How much of its effect a flood goes on for, on a machine of any speed.
const fn enough(flood: Flood) -> u64 {
    match flood {
        // It takes thousands of segments until there is no room for one.
        Flood::OneByte => 1,
        _ => FRAMES / 2,
    }
}

/// What each flood may have done, in so many seconds.
fn judge(flood: Flood, seconds: u64, host: &Host, before: &Counters, during: &Counters) {
    assert!(effect(flood, before, during) >= enough(flood), "{during:?}");
    match flood {
        Flood::Syn => {
            assert!(during.tcp_cookies_accepted > 0, "{during:?}");
            let refused = |counters: &Counters| counters.drops.get(DropReason::TcpBacklogFull);
            assert_eq!(refused(during), refused(before));
        }
        Flood::Arp | Flood::Solicit => {
            // The flow's neighbour was not thrown out: nobody had to be asked for it, but for a probe.
            let asked = during.arp_requests_sent - before.arp_requests_sent;
            assert!(asked <= 4 + seconds, "{during:?}");
            assert_eq!(during.neighbours_failed, 0);
        }
        Flood::Rst | Flood::Ack => {
            assert!(
                during.tcp_challenge_acks <= 30 * (1 + seconds),
                "{during:?}"
            );
        }
        Flood::Udp => {
            assert!(during.icmp_errors_sent < 2500 * (1 + seconds), "{during:?}");
        }
        Flood::Routers => {
            // What was there before is there still, and a few of the others.
            let routes = host.routes().len();
            assert!(routes <= 72, "{routes} routes");
            let addresses = host.addresses().len();
            assert!(addresses <= 24, "{addresses} addresses");
        }
        _ => {}
    }
    assert_eq!(during.tcp_resets_received, 0, "the flow was not reset");
    assert_eq!(host.error().map(|error| error.to_string()), None);
}

/// New connections in the midst of a SYN flood, by cookies, with all their options.
fn connect_meanwhile(host: &Host, listener: &TcpListener) {
    while host.counters().tcp_cookies_sent == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let at = listener.local_addr().unwrap();
    for _ in 0..10 {
        let mut theirs = kernel_connect(at);
        theirs.write_all(b"hello").unwrap();
        let mut ours = our_accept(listener);
        let mut text = [0; 5];
        ours.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
        let info = ours.info().unwrap();
        assert!(
            info.sack && info.timestamps && info.snd_wscale > 0,
            "{info:?}"
        );
        assert_eq!(info.snd_mss, 1448);
    }
}

/// The kernel's end of the flow.
fn send_until(mut stream: TcpStream, over: &AtomicBool) -> (u64, u64) {
    let (mut hash, mut number) = (Hash::default(), 0u64);
    let mut block = vec![0x5a; 64 << 10];
    while !over.load(Ordering::Relaxed) {
        number += 1;
        block[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        hash.update(&block);
        stream.write_all(&block).unwrap();
        // About 2 Gbit/s: on two processors the flood has its share.
        thread::sleep(Duration::from_micros(250));
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "our end");
    hash.finish()
}

/// Our end.
fn receive(stream: netloom::host::TcpStream) -> (u64, u64) {
    let mut hash = Hash::default();
    loop {
        let chunk = stream.read_chunk(usize::MAX).unwrap();
        if chunk.is_empty() {
            return hash.finish();
        }
        hash.update(&chunk);
    }
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<usize>().unwrap() << 10
}
