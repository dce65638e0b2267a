//! Replays the fuzz corpus on stable Rust, and keeps its seeds as the program that made them says.
//!
//! `NETLOOM_WRITE_CORPUS=1 cargo test --test corpus` writes the seeds.
#![allow(clippy::unwrap_used, clippy::too_many_lines)] // tables

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/bodies/frame.rs"]
mod frame;
#[path = "../fuzz/bodies/seeds.rs"]
mod seeds;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/frame")
}

#[test]
fn every_input_of_the_corpus_passes() {
    let mut inputs = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display()); // shown when one fails
        frame::run(&fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(
        inputs >= seeds::frames().len(),
        "only {inputs} inputs were found"
    );
}

#[test]
fn the_corpus_holds_the_seeds() {
    for (name, input) in seeds::frames() {
        let path = folder().join(&name);
        if std::env::var_os("NETLOOM_WRITE_CORPUS").is_some() {
            fs::write(&path, &input).unwrap();
        }
        let there = fs::read(&path).unwrap_or_default();
        assert!(there == input, "{name} is not what seeds.rs makes");
    }
}

/// Cut inputs, other media and other offload claims than the seeds were made for.
#[test]
fn any_prefix_and_any_flags_pass_too() {
    for (_, mut input) in seeds::frames() {
        for flags in [0, 1, 2, 5, 0xF6] {
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
