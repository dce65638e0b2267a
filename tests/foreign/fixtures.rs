//! The captures of `tests/pcap`: each is replayed from both sides, and each can be made anew.
//!
//! `NETLOOM_WRITE_PCAP=1 cargo test --test foreign fixtures` makes those of our own stack in virtual time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use netloom::capture::{DifferenceClass as Class, Fed, ForeignReplay};

use crate::talk::{Act, LEFT, RIGHT, Talk};

/// A capture in the folder, and how it was made.
struct Fixture {
    name: &'static str,
    made: fn() -> Vec<u8>,
    /// In what the stack may not differ from who was captured.
    same: &'static [Class],
}

const STREAMS: &[Class] = &[
    Class::Answer,
    Class::Handshake,
    Class::Text,
    Class::Acknowledged,
    Class::End,
];

const SHORT: [&[(u64, Act)]; 2] = [
    &[
        (0, Act::Write(30_000)),
        (500, Act::Write(1)),
        (900, Act::Shut),
    ],
    &[(100, Act::Write(20_000)), (1000, Act::Shut)],
];

const FIXTURES: &[Fixture] = &[Fixture {
    name: "loss.pcap",
    made: || {
        let mut talk = Talk::new(2, SHORT[0], SHORT[1]);
        talk.loss = 50_000;
        talk.captured()
    },
    same: STREAMS,
}];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pcap")
}

#[test]
fn fixtures_replay_from_both_sides() {
    for fixture in FIXTURES {
        let path = folder().join(fixture.name);
        if std::env::var_os("NETLOOM_WRITE_PCAP").is_some() {
            fs::write(&path, (fixture.made)()).unwrap();
        }
        for fed in [LEFT, RIGHT] {
            let mut replay = ForeignReplay::open(&path, Fed::From(fed)).unwrap();
            let report = replay.finish();
            let name = fixture.name;
            assert!(
                report.is_sound() && report.fed > 0,
                "{name} {fed}: {report}"
            );
            for &class in fixture.same {
                assert_eq!(report.difference(class), None, "{name} {fed}: {report}");
            }
        }
    }
}

/// Every file of the folder stands in its README with how it was made, and every row has its file.
#[test]
fn fixtures_are_explained() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let told: BTreeSet<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let files = fs::read_dir(folder()).unwrap();
    let files: Vec<String> = files
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    assert!(
        told.iter()
            .copied()
            .eq(files.iter().map(String::as_str).collect::<BTreeSet<_>>())
    );
    for fixture in FIXTURES {
        assert!(told.contains(fixture.name), "{}", fixture.name);
    }
}
