//! Replays the corpus of every fuzz target on stable Rust, and keeps the seeds as the program that
//! made them says.
//!
//! `NETLOOM_WRITE_CORPUS=1 cargo test --test corpus` writes the seeds.
#![allow(clippy::unwrap_used, clippy::too_many_lines, unreachable_pub)] // tables; also a library

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

// `link`: a file of the library's that one target reads in calls it `crate::link`.
use bodies::{frame, link, seeds};

fn folder(target: &str) -> PathBuf {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    corpus.join(target)
}

/// Names the input that panics.
struct Shown(String);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.0);
        }
    }
}

#[test]
fn every_input_of_the_corpus_passes() {
    for target in seeds::targets() {
        let mut inputs = 0;
        for entry in fs::read_dir(folder(target.name)).unwrap() {
            let path = entry.unwrap().path();
            let _shown = Shown(path.display().to_string());
            (target.run)(&fs::read(path).unwrap());
            inputs += 1;
        }
        let least = target.seeds.len();
        assert!(inputs >= least, "{}: {inputs} of {least}", target.name);
    }
}

#[test]
fn the_corpus_holds_the_seeds() {
    for target in seeds::targets() {
        for (name, input) in target.seeds {
            let path = folder(target.name).join(&name);
            if std::env::var_os("NETLOOM_WRITE_CORPUS").is_some() {
                fs::create_dir_all(folder(target.name)).unwrap();
                fs::write(&path, &input).unwrap();
            }
            let there = fs::read(&path).unwrap_or_default();
            assert!(
                there == input,
                "{} is not what seeds.rs makes",
                path.display()
            );
        }
    }
}

/// Every target in the folder is replayed here.
#[test]
fn no_target_is_forgotten() {
    let replayed: Vec<&str> = seeds::targets().iter().map(|target| target.name).collect();
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    for entry in fs::read_dir(programs).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let without = name == "dns" && !cfg!(feature = "dns");
        assert!(without || replayed.contains(&name), "{name}");
    }
}

/// Cut inputs, and the same damaged, for every target.
#[test]
fn any_prefix_of_a_seed_passes_too() {
    for target in seeds::targets() {
        for (name, mut input) in target.seeds {
            let _shown = Shown(format!("{} {name}", target.name));
            for len in 0..input.len() {
                (target.run)(&input[..len]);
            }
            for at in 0..input.len().min(100) {
                input[at] ^= 1 << (at % 8);
                (target.run)(&input);
                input[at] ^= 0x81;
                (target.run)(&input);
            }
        }
    }
}

/// Other media and other offload claims than the frames were made for.
#[test]
fn any_prefix_and_any_flags_pass_too() {
    for (_, mut input) in seeds::frames() {
        for flags in [1, 2, 5, 0xF6] {
            input[0] = flags;
            for len in 0..input.len() {
                frame::run(&input[..len]);
            }
        }
    }
}

/// A body that fed nothing to the stack would pass anything. Without any input the stack announces
/// itself; on top of that:
#[test]
fn sound_frames_are_answered() {
    let idle = frame::run(&[0]);
    let seeds = seeds::frames();
    let answers = |wanted: &str| {
        let seed = seeds.iter().find(|(name, _)| name == wanted);
        frame::run(&seed.unwrap().1) - idle
    };
    for name in [
        "arp-request",
        "ping4",
        "ping6",
        "udp4",
        "udp6",
        "udp4-closed",
        "neighbour-solicitation",
    ] {
        assert!(answers(name) > 0, "{name} got no answer");
    }
    // SYN-ACK and echo at least; the close in both directions.
    for (name, least) in [
        ("syn4", 2),
        ("syn6", 1),
        ("session-echo", 4),
        ("session-reorder", 4),
    ] {
        let sent = answers(name);
        assert!(sent >= least, "{name} got {sent} answers");
    }
    for name in ["runt", "llc", "arp-reply", "icmp4-unreachable"] {
        assert_eq!(answers(name), 0, "{name} got an answer");
    }
}

/// The same for DHCP's: leases are bound, extended, lost and bound again.
#[test]
fn answers_reach_leases() {
    let seeds = bodies::dhcp::seeds();
    for (name, least) in [
        ("life", 6),
        ("refused", 1),
        ("silence", 0),
        ("damaged", 1),
        ("ends", 2),
    ] {
        let seed = seeds.iter().find(|(seed, _)| seed == name);
        let bound = bodies::dhcp::bound(&seed.unwrap().1);
        assert!(bound >= least, "{name} bound {bound}");
    }
}

/// The same for the resolver.
#[cfg(feature = "dns")]
#[test]
fn answers_reach_lookups() {
    for (name, input) in bodies::dns::seeds() {
        let wanted = match name.as_str() {
            "answered" => 2,
            "nothing" | "silence" | "special" | "raw" => 0,
            _ => 1,
        };
        assert_eq!(bodies::dns::found(&input), wanted, "{name}");
    }
}

/// The same for the stack's target: its steps reach what they are for.
#[test]
fn steps_reach_connections() {
    let outcome = |wanted: &str| {
        let seeds = seeds::stacks();
        let seed = seeds.iter().find(|(name, _)| name == wanted);
        bodies::stack::run(&seed.unwrap().1)
    };
    for name in ["listen", "listen6", "listen-ip", "listen-plain"] {
        assert_eq!(outcome(name).accepted, 1, "{name}");
    }
    for name in ["connect", "connect-plain"] {
        assert_eq!(outcome(name).connected, 1, "{name}");
    }
    assert_eq!(outcome("echo").read, 100);
    assert_eq!(outcome("reorder").read, 20);
    assert_eq!(outcome("overlap").read, 110);
    assert!(outcome("bulk").read >= 20_000);
    assert!(outcome("datagrams").delivered >= 1);
    assert!(outcome("pings").delivered >= 1);
    assert!(outcome("packets").delivered >= 2);
    assert!(outcome("packets-ip").delivered >= 2);
    assert_eq!(outcome("held").accepted, 1);
    assert_eq!(outcome("held").read, 100);
    assert_eq!(outcome("every-port").accepted, 2);
    assert!(outcome("every-port-datagrams").delivered >= 2);
    assert!(outcome("lease").leased >= 2);
    assert!(outcome("transit").forwarded >= 8);
    assert!(outcome("transit-plain").forwarded >= 30);
    assert!(outcome("vlan").tagged >= 4);
    assert_eq!(outcome("removed").accepted, 1);
    assert_eq!(outcome("fast-open").opened_fast, 1);
    assert_eq!(outcome("fast-open").read, 100);
    for name in ["probes", "half-closed", "fast-retransmit"] {
        assert_eq!(outcome(name).accepted, 1, "{name}");
    }
    assert!(outcome("fast-retransmit").sent > outcome("bulk").sent);
}

/// The adversary's runs go through to both ends of the streams, and the path does what it is told to.
#[test]
fn adversaries_let_streams_through() {
    let outcome = |settings: &str, tape: &str| {
        let input = seeds::adversary(settings, tape);
        let outcome = bodies::adversary::run(&input);
        assert_eq!(bodies::adversary::run(&input), outcome, "{settings} {tape}");
        outcome
    };
    for (settings, bytes) in [
        ("plain4", 21_000),
        ("plain6", 10_000),
        ("ethernet", 21_000),
        ("simultaneous", 5100),
        ("small", 25_000),
        ("bare", 60_000),
    ] {
        let quiet = ["quiet", "doubles", "again", "marks"];
        let harms = ["loss", "reorder", "damage"];
        for tape in [&quiet[..], &harms, &["pieces"]].concat() {
            let ran = outcome(settings, tape);
            assert_eq!((ran.read, ran.finished), (bytes, 2), "{settings} {tape}");
            let harmed = ran.harmed > 0 || tape == "pieces";
            assert_eq!(harmed, !quiet.contains(&tape), "{settings} {tape}");
        }
    }
    assert_eq!(outcome("leaving", "quiet").finished, 0);
    assert!(outcome("forging", "forgery").harmed > 0);
}
