//! The captures of `tests/pcap`: each is replayed from both sides, and each can be made anew.
//!
//! `NETLOOM_WRITE_PCAP=1 cargo test --test foreign fixtures` makes those of our own stack in virtual time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netloom::capture::{DifferenceClass as Class, Fed, ForeignReplay, ForeignReport};

use netloom::tcp::{Keepalive, TcpOptions};

use crate::same::SAME;
use crate::talk::{Act, LEFT, RIGHT, Talk, edited, sides};

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

const BULK: [&[(u64, Act)]; 2] = [
    &[(0, Act::Write(40_000)), (300, Act::Shut)],
    &[(1, Act::Write(40_000)), (300, Act::Shut)],
];

fn short(seed: u64) -> Talk {
    Talk::new(seed, SHORT[0], SHORT[1])
}

const FIXTURES: &[Fixture] = &[
    Fixture {
        name: "loss.pcap",
        made: || {
            let mut talk = short(2);
            talk.loss = 50_000;
            talk.captured()
        },
        same: STREAMS,
    },
    Fixture {
        name: "plain_options.pcap",
        made: || {
            let mut talk = short(31);
            let plain = TcpOptions::default().timestamps(false).sack(false);
            talk.right_options = plain.window_scaling(false);
            talk.captured()
        },
        same: STREAMS,
    },
    Fixture {
        name: "late_start.pcap",
        made: || {
            let mut number = 0;
            edited(&short(32).captured(), |frame| {
                number += 1;
                (number > 12).then_some(frame)
            })
        },
        same: &[Class::Text, Class::Acknowledged, Class::End],
    },
    Fixture {
        name: "closed.pcap",
        made: || {
            let mut talk = Talk::new(33, &[(0, Act::Write(100))], &[]);
            talk.listens = false;
            talk.captured()
        },
        same: STREAMS,
    },
    Fixture {
        name: "reset.pcap",
        made: || {
            let acts: [&[(u64, Act)]; 2] = [
                &[(0, Act::Write(300))],
                &[(100, Act::Write(50)), (200, Act::Abort)],
            ];
            Talk::new(34, acts[0], acts[1]).captured()
        },
        same: STREAMS,
    },
    Fixture {
        name: "half_close.pcap",
        made: || {
            let acts: [&[(u64, Act)]; 2] = [
                &[(0, Act::Write(2000)), (50, Act::Shut)],
                &[(500, Act::Write(9000)), (900, Act::Shut)],
            ];
            Talk::new(35, acts[0], acts[1]).captured()
        },
        same: STREAMS,
    },
    Fixture {
        name: "zero_window.pcap",
        made: || {
            let mut talk = Talk::new(
                36,
                &[(0, Act::Write(12_000)), (2000, Act::Shut)],
                &[
                    (5, Act::Read(false)),
                    (1500, Act::Read(true)),
                    (2000, Act::Shut),
                ],
            );
            let small = TcpOptions::default().recv_buffer_initial(4096);
            talk.right_options = small.recv_buffer_max(4096);
            talk.captured()
        },
        same: &[Class::Answer, Class::Text, Class::Acknowledged, Class::End],
    },
    Fixture {
        name: "keep_alive.pcap",
        made: || {
            let acts: [&[(u64, Act)]; 2] = [
                &[(0, Act::Write(300)), (9000, Act::Shut)],
                &[(100, Act::Write(50)), (9500, Act::Shut)],
            ];
            let mut talk = Talk::new(42, acts[0], acts[1]);
            let often = Keepalive::after(Duration::from_secs(2));
            talk.left_options = TcpOptions::default().keepalive(Some(often));
            talk.captured()
        },
        same: STREAMS,
    },
    Fixture {
        name: "both_open.pcap",
        made: || {
            let acts: [&[(u64, Act)]; 2] = [
                &[(50, Act::Write(3000)), (900, Act::Shut)],
                &[(100, Act::Write(2000)), (900, Act::Shut)],
            ];
            let mut talk = Talk::new(43, acts[0], acts[1]);
            talk.crosses = true;
            talk.captured()
        },
        same: STREAMS,
    },
    Fixture {
        name: "super_segments.pcap",
        made: || {
            let mut talk = Talk::new(37, BULK[0], BULK[1]);
            (talk.offload, talk.delay) = (true, 1);
            talk.captured()
        },
        same: STREAMS,
    },
    Fixture {
        name: "vlan.pcap",
        made: || {
            edited(&short(38).captured(), |mut frame| {
                frame.data.splice(12..12, [0x81, 0, 0, 7]);
                frame.original_len = frame.data.len();
                Some(frame)
            })
        },
        same: STREAMS,
    },
    Fixture {
        name: "six.pcap",
        made: || {
            let mut talk = short(39);
            talk.six = true;
            talk.captured()
        },
        same: STREAMS,
    },
    Fixture {
        name: "six_extensions.pcap",
        made: || {
            let mut talk = short(40);
            talk.six = true;
            edited(&talk.captured(), |mut frame| {
                // Destination options of padding in front of TCP (RFC 8200 §4.6).
                if frame.data[12..14] == [0x86, 0xdd] && frame.data[20] == 6 {
                    frame.data[20] = 60;
                    let len = u16::from_be_bytes([frame.data[18], frame.data[19]]) + 8;
                    frame.data[18..20].copy_from_slice(&len.to_be_bytes());
                    frame.data.splice(54..54, [6, 0, 1, 4, 0, 0, 0, 0]);
                    frame.original_len = frame.data.len();
                }
                Some(frame)
            })
        },
        same: STREAMS,
    },
    Fixture {
        name: "mixed.pcap",
        made: crate::others::mixed,
        same: &[Class::Datagrams, Class::EchoReplies, Class::IcmpErrors],
    },
    Fixture {
        name: "broadcasts.pcap",
        made: crate::others::broadcasts,
        same: &[Class::Datagrams, Class::IcmpErrors],
    },
];

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
        let sides = if fixture.name.starts_with("six") {
            sides(true)
        } else {
            [LEFT, RIGHT]
        };
        for fed in sides {
            let mut replay = ForeignReplay::open(&path, Fed::From(fed)).unwrap();
            let report = replay.finish();
            let name = fixture.name;
            let met = report.fed + report.expected > 0;
            assert!(report.is_sound() && met, "{name} {fed}: {report}");
            for &class in fixture.same {
                assert_eq!(report.difference(class), None, "{name} {fed}: {report}");
            }
        }
    }
}

/// What a capture of the kernel's must have, or it shows nothing.
fn shows(name: &str, file: &[u8], report: &ForeignReport) -> bool {
    let (mut zero_windows, mut again, mut starts) = (0, 0, BTreeSet::new());
    let _ = edited(file, |frame| {
        let (is_four, is_six) = (frame.data[12] == 8, frame.data[12] == 0x86);
        let at = if is_four { 34 } else { 54 };
        let protocol = frame.data[if is_four { 23 } else { 20 }];
        if protocol == 6 && (is_four || is_six) {
            let segment = &frame.data[at..];
            zero_windows += u32::from(segment[14..16] == [0, 0] && segment[13] & 4 == 0);
            let has_text = segment.len() > usize::from(segment[12] >> 4) * 4;
            again += u32::from(has_text && !starts.insert(segment[..8].to_vec()));
        }
        None
    });
    match name.trim_end_matches("_six") {
        "icmp" => report.datagrams > 0 && report.flows == 0,
        "plain" | "half_close" => report.flows == 2,
        "reset" => report.flows == 4,
        "zero_window" | "our_zero_window" => zero_windows >= 2,
        "loss" => again > 0,
        _ => report.flows == 1,
    }
}

#[test]
fn the_kernels_captures_replay_from_both_sides() {
    for entry in fs::read_dir(folder().join("kernel")).unwrap() {
        let path = entry.unwrap().path();
        let file = fs::read(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let sides: [&str; 2] = match name.ends_with("_six") {
            true => ["fd07::1", "fd07::2"],
            false => ["10.7.0.1", "10.7.0.2"],
        };
        for fed in sides {
            let fed = Fed::From(fed.parse().unwrap());
            let report = ForeignReplay::new(&file[..], fed).unwrap().finish();
            println!("{name} {fed:?}: {report}");
            assert!(report.is_sound(), "{name} {fed:?}: {report}");
            assert!(shows(name, &file, &report), "{name} {fed:?}: {report}");
            for class in SAME {
                assert_eq!(report.difference(class), None, "{name} {fed:?}: {report}");
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
        .filter(|name| name.contains(".pcap"))
        .collect();
    let mut files = BTreeSet::new();
    for inner in ["", "kernel/"] {
        for entry in fs::read_dir(folder().join(inner)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.contains(".pcap") {
                files.insert(format!("{inner}{name}"));
            }
        }
    }
    let files: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(told, files);
    for fixture in FIXTURES {
        assert!(told.contains(fixture.name), "{}", fixture.name);
    }
}
