//! Two stacks over a link, in virtual time: whatever the link does, bytes out equal bytes in, both
//! ends close, and nothing is left behind.
//!
//! `NETLOOM_SEED=n` repeats one run, and a failing one prints its number; `NETLOOM_TRACE=1` prints
//! its packets. `NETLOOM_RUNS=n` makes more of them.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod app;
mod world;

use std::time::Instant as Clock;

use world::World;

/// Prints the seed when the run it belongs to panics.
struct Report(u64);

impl Drop for Report {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with NETLOOM_SEED={}", self.0);
        }
    }
}

fn run(seed: u64) {
    let _report = Report(seed);
    let mut world = World::random(seed);
    world.run();
    world.check_end();
}

/// The seeds of one test: as many as `NETLOOM_RUNS` says, or the one that `NETLOOM_SEED` names.
fn seeds(runs: u64) -> Vec<u64> {
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(
            value
                .parse()
                .unwrap_or_else(|_| panic!("{name} is a number")),
        )
    };
    match number("NETLOOM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("NETLOOM_RUNS").unwrap_or(runs)).collect(),
    }
}

/// Covers: TCP-65, TCP-66, CC-1 (r05, r10, r24, r27, r29, r32)
#[test]
fn bytes_out_equal_bytes_in_on_any_link() {
    let start = Clock::now();
    let seeds = seeds(400);
    let count = seeds.len();
    std::thread::scope(|scope| {
        let halves = seeds.chunks(count.div_ceil(2));
        for half in halves {
            scope.spawn(move || half.iter().for_each(|&seed| run(seed)));
        }
    });
    println!("{count} runs in {:?}", start.elapsed());
}

/// The same seed gives the same run, frame for frame.
#[test]
fn a_run_repeats_itself() {
    let trace = |seed| {
        let mut world = World::random(seed);
        world.run();
        (world.now(), world.frames(), world.digest())
    };
    for seed in [3, 77] {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
}
