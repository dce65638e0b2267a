//! Captures that are damaged by chance: the stack keeps what it must whatever it is fed.

use std::path::Path;

use netloom::capture::{Fed, ForeignReplay, LinkType, Reader};

use crate::talk::{LEFT, RIGHT, Raw, edited, write};

/// xorshift64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn damage(frames: &mut Vec<Raw>, chance: &mut Chance) {
    for _ in 0..=chance.below(6) {
        let at = chance.below(frames.len());
        let other = chance.below(frames.len());
        match chance.below(7) {
            0 => frames.swap(at, other),
            1 => frames.insert(at, frames[other].clone()),
            2 if frames.len() > 1 => {
                frames.remove(at);
            }
            3 => frames[at].at = frames[other].at,
            4 => {
                let len = frames[at].data.len();
                frames[at].data.truncate(chance.below(len));
            }
            _ => {
                // The headers are where it matters. No checksum was ever completed then.
                let len = frames[at].data.len().min(80);
                let byte = chance.below(len.max(1));
                if let Some(byte) = frames[at].data.get_mut(byte) {
                    *byte ^= 1 << chance.below(8);
                }
                if len > 52 && chance.below(2) == 0 && frames[at].data[23] == 6 {
                    frames[at].original_len += 1;
                }
            }
        }
    }
}

#[test]
fn damaged_captures_break_nothing() {
    let runs = std::env::var("NETLOOM_RUNS").map_or(60, |runs| runs.parse().unwrap());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pcap");
    for name in [
        "reset.pcap",
        "half_close.pcap",
        "mixed.pcap",
        "zero_window.pcap",
    ] {
        let file = std::fs::read(folder.join(name)).unwrap();
        assert_eq!(
            Reader::new(&file[..]).next().unwrap().link,
            LinkType::ETHERNET
        );
        let mut whole = Vec::new();
        let _ = edited(&file, |frame| {
            whole.push(frame);
            None
        });
        for seed in 1..=runs {
            let mut chance = Chance(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed));
            let mut frames = whole.clone();
            damage(&mut frames, &mut chance);
            let file = write(frames.into_iter());
            for fed in [Fed::From(LEFT), Fed::To(RIGHT), Fed::To(LEFT)] {
                let report = ForeignReplay::new(&file[..], fed).unwrap().finish();
                assert!(report.is_sound(), "{name}, seed {seed}, {fed:?}: {report}");
                let told = report.fed + report.expected + report.skipped_total();
                assert_eq!(report.frames, told, "{name}, seed {seed}, {fed:?}");
            }
        }
    }
}
