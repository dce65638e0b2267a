//! Two stacks in virtual time through an adversary: whatever the wire, the devices and the users
//! do, bytes out equal bytes in, both ends close, and nothing is left behind.
//!
//! `NETLOOM_RUNS=n` runs more or fewer seeds, `NETLOOM_FROM=n` from another one on,
//! `NETLOOM_SEED=n` only that one. A seed that fails is shrunk to the smallest world that still
//! fails, whose packets are written as pcapng; `NETLOOM_TRACE=1` prints them too.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod answers;
mod controller;
mod draw;
mod end;
mod faults;
mod monitor;
mod oracle;
mod report;
mod reports;
mod rng;
mod scenario;
mod segment;
mod shrink;
mod start;
mod turns;
mod user;
mod users;
mod windows;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant as Clock;

use end::Watch;
use netloom::capture::{Ended, Reader};
use scenario::{DeviceFaults, Sabotage, Scenario, Tcp, Wire};

/// The seeds of the default run.
const RUNS: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is a number, not {value:?}")))
}

/// Covers: TCP-65, TCP-66, CC-1 (r05, r10, r24, r27, r29, r32)
#[test]
fn an_adversary_breaks_nothing() {
    let began = Clock::now();
    let (from, runs) = match number("NETLOOM_SEED") {
        Some(seed) => (seed, 1),
        None => (
            number("NETLOOM_FROM").unwrap_or(0),
            number("NETLOOM_RUNS").unwrap_or(RUNS),
        ),
    };
    let (next, failed) = (AtomicU64::new(from), AtomicBool::new(false));
    let counts = Mutex::new(BTreeMap::new());
    let failures = Mutex::new(Vec::new());
    let worker = || {
        while !failed.load(Relaxed) {
            let seed = next.fetch_add(1, Relaxed);
            if seed - from >= runs {
                return;
            }
            let scenario = Scenario::draw(seed);
            match report::attempt(&scenario) {
                Ok(ran) => {
                    let mut counts = counts.lock().unwrap();
                    for (name, n) in ran.counts {
                        *counts.entry(name).or_insert(0) += n;
                    }
                }
                Err(failure) => {
                    failed.store(true, Relaxed);
                    failures.lock().unwrap().push((scenario, failure));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(worker)));
    });
    println!("{runs} runs in {:?}", began.elapsed());
    let mut counts: BTreeMap<&str, u64> = counts.into_inner().unwrap();
    counts
        .iter()
        .for_each(|(name, n)| println!("{n:>12} {name}"));
    let failures = failures.into_inner().unwrap();
    if let Some((scenario, failure)) = failures.iter().min_by_key(|(scenario, _)| scenario.seed) {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
        panic!("{}", report::explain(scenario, failure, dir).text);
    }
    // An adversary that does nothing breaks nothing.
    if runs >= RUNS {
        // Those that are drawn are seldom crowded enough: `crowded` ones judge that.
        counts.remove(turns::WAITED);
        for (name, n) in counts {
            assert!(n >= runs / 1000, "{name}: only {n} in {runs} runs");
        }
    }
}

/// Where nothing is lost, late or short, nothing leaves twice: no time-out, no segment that an ACK on its way would have
/// spoken for. A probe of the tail may (RFC 8985 §7.2: of two segments it waits for two round trips, however long
/// the peer delays its ACK), so in half of the worlds nobody delays one.
#[test]
fn a_calm_world_sends_nothing_twice() {
    for seed in 0..number("NETLOOM_RUNS").unwrap_or(RUNS).div_ceil(10) {
        let mut scenario = Scenario::draw(seed).calmed();
        let probes = seed % 2 == 1;
        if !probes {
            scenario
                .tcp
                .iter_mut()
                .for_each(|tcp| tcp.delayed_ack = false);
        }
        let watch = Watch {
            trace: std::env::var_os("NETLOOM_TRACE").is_some(),
            ..Watch::default()
        };
        for (name, count) in world::run(&scenario, &watch).counts {
            let needless = match name {
                "time-outs" | "fast retransmits" => count,
                "segments sent again" if !probes => count,
                _ => 0,
            };
            assert_eq!(needless, 0, "seed {seed}: {name} in {scenario:?}");
        }
    }
}

/// The same seed gives the same run, frame for frame; another seed gives another. Stacks that are told
/// the same send the same.
#[test]
fn a_run_repeats_itself() {
    let watch = Watch {
        twins: true,
        ..Watch::default()
    };
    let run = |seed| world::run(&Scenario::draw(seed), &watch);
    let runs: Vec<_> = (0..40).map(run).collect();
    for (seed, ran) in (0..40).zip(&runs) {
        assert_eq!(run(seed), *ran, "seed {seed}");
    }
    for (a, b) in runs.iter().zip(&runs[1..]) {
        assert_ne!(a.digest, b.digest);
    }
}

/// A busy world in which the first conversation lets end 0 send `len` bytes.
fn busy(seed: u64, len: u64) -> Scenario {
    let mut scenario = Scenario::draw(seed);
    scenario.wires = [Wire {
        loss: 3,
        duplication: 5,
        corruption: 1,
        reordering: 10,
        reordered_by: 5000,
        delay: 3000,
        ..Wire::PERFECT
    }; 2];
    scenario.devices[0].full = 20;
    scenario.devices[1] = DeviceFaults {
        dropped: 2,
        ..DeviceFaults::NONE
    };
    scenario.tcp = [Tcp {
        recv_max: 9000,
        recv_initial: 9000,
        nodelay: true,
        ..Tcp::DEFAULT
    }; 2];
    scenario.conversations[0].users = [scenario::User {
        to_send: len,
        rests: 1000,
        write: 3000,
        read: 3000,
        ending: scenario::Ending::Finish,
        retunes: false,
    }; 2];
    scenario
}

/// Many at once on both ends, whose devices are full nearly always.
fn crowded(seed: u64) -> Scenario {
    let mut scenario = Scenario::draw(seed);
    scenario.mtu = 1500;
    scenario.wires = [Wire {
        delay: 50,
        ..Wire::PERFECT
    }; 2];
    scenario.devices = [DeviceFaults {
        full: 80,
        ..DeviceFaults::NONE
    }; 2];
    scenario.stripped = scenario::Stripped::default();
    let congestion = scenario.tcp[0].congestion;
    scenario.tcp = [Tcp {
        congestion,
        ..Tcp::DEFAULT
    }; 2];
    (scenario.backlog, scenario.memory) = (4096, [draw::PLENTY; 2]);
    let conversation = |at: u64| scenario::Conversation {
        opener: scenario::Opener::End((at % 2) as usize),
        opens_at: 1000 * at,
        users: [scenario::User {
            to_send: 100_000,
            rests: 0,
            write: 70_000,
            read: 1 << 20,
            ending: scenario::Ending::Finish,
            retunes: false,
        }; 2],
    };
    scenario.conversations = (0..6).map(conversation).collect();
    scenario
}

/// Nobody waits for longer than all others have two turns; the worlds that are drawn are seldom crowded enough to
/// show it.
#[test]
fn whoever_may_send_has_a_turn_with_the_others() {
    let mut waited = 0;
    for seed in 0..6 {
        match report::attempt(&crowded(seed)) {
            Ok(ran) => {
                let counted = ran.counts.iter().find(|(name, _)| *name == turns::WAITED);
                waited += counted.unwrap().1;
            }
            Err(failure) => panic!("seed {seed}: {}", failure.message),
        }
    }
    assert!(waited > 1000, "{waited}");
}

/// A lie is found out, shrunk to nothing but itself, and its packets can be read.
fn is_found_out(sabotage: Sabotage, name: &str, fits: impl Fn(&Scenario)) {
    let mut scenario = busy(11, 40_000);
    assert!(
        report::attempt(&scenario).is_ok(),
        "it is the lie that fails"
    );
    scenario.sabotage = Some(sabotage);
    let failure = report::attempt(&scenario).unwrap_err();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    let report = report::explain(&scenario, &failure, &dir);
    assert!(
        failure.message.contains("of the stream that end 1 reads"),
        "{}",
        report.text
    );
    assert!(
        report.text.contains("NETLOOM_SEED=11 cargo test"),
        "{}",
        report.text
    );
    assert!(!report.text.contains("DID NOT FAIL"), "{}", report.text);
    let small = &report.smallest;
    assert_eq!(small.conversations.len(), 1, "{}", report.text);
    assert_eq!(
        (small.wires, small.devices),
        ([Wire::PERFECT; 2], [DeviceFaults::NONE; 2])
    );
    assert_eq!(small.tcp, [Tcp::DEFAULT; 2]);
    assert_eq!(small.conversations[0].users[1].to_send, 0);
    fits(small);
    for path in &report.captures {
        assert!(report.text.contains(path.to_str().unwrap()));
        let mut capture = Reader::open(path).unwrap();
        let frames = capture.by_ref().count();
        assert!(frames >= 3, "{frames} frames in {}", path.display());
        assert!(
            matches!(capture.ended(), Some(Ended::Complete)),
            "{:?}",
            capture.ended()
        );
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_wrong_oracle_is_found_out_shrunk_and_captured() {
    is_found_out(Sabotage::Oracle(5000), "wrong-oracle", |small| {
        assert_eq!(small.conversations[0].users[0].to_send, 5001);
    });
}

#[test]
fn a_wire_that_lies_is_found_out_shrunk_and_captured() {
    is_found_out(Sabotage::Wire(1), "lying-wire", |small| {
        assert_eq!(small.conversations[0].users[0].to_send, 1);
    });
}
