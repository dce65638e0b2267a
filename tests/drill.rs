//! The scripts of `tests/scripts`, and the tool that runs them.
//!
//! Each is named after what it shows, and holds strictly in every variant that it can have: over IPv4 and
//! IPv6, over a device with segmentation offload, with both initial numbers below the wrap, with timestamps below theirs.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use netloom::drill::{Drill, Profile, Variant, Verdict};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// The scripts and their texts, by name.
fn scripts() -> Vec<(String, String)> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "pkt") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            scripts.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    scripts.sort();
    scripts
}

#[test]
fn every_script_holds_in_every_variant() {
    let drill = Drill::default();
    let scripts = scripts();
    assert!(scripts.len() >= 60, "the scripts were not found");
    let mut failed = Vec::new();
    let mut runs = 0;
    for (name, text) in &scripts {
        for variant in Variant::ALL {
            let Some(outcome) = drill.run(text, variant) else {
                // All of them are of no family; without a SYN of ours there are no numbers.
                let without = variant == Variant::Wrap && !text.contains("> S");
                assert!(without || variant == Variant::StampWrap, "{name}");
                continue;
            };
            runs += 1;
            if outcome.verdict != Verdict::StrictPass {
                failed.push(format!("{name}, {}: {outcome:#?}", variant.name()));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(runs >= 3 * scripts.len());
}

/// A line that says something else fails: nothing is passed over. In each script each expected packet is
/// changed in turn.
#[test]
fn no_script_holds_with_an_expected_packet_changed() {
    let drill = Drill::default();
    let mut changed = 0;
    for (name, text) in scripts() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let Some(wrong) = with_another_end(line) else {
                continue;
            };
            let mut lines = lines.clone();
            lines[number] = &wrong;
            let outcome = drill.run(&lines.join("\n"), Variant::Plain).unwrap();
            assert_eq!(outcome.verdict, Verdict::Fail, "{name}: {wrong}");
            changed += 1;
        }
    }
    assert!(changed > 200, "{changed}");
}

/// The same packet with a byte more, or where it cannot have one another number.
fn with_another_end(line: &str) -> Option<String> {
    let (time, packet) = line.split_once(" > ")?;
    let (flags, rest) = packet.trim().split_once(' ')?;
    let (start, rest) = rest.split_once(':')?;
    let (end, rest) = rest.split_once('(')?;
    let (len, rest) = rest.split_once(')')?;
    let (start, end, len): (u32, u32, u32) =
        (start.parse().ok()?, end.parse().ok()?, len.parse().ok()?);
    // A SYN says itself which number it has.
    if flags.contains('S') {
        return Some(format!("{time} > {flags}U {start}:{end}({len}){rest}"));
    }
    Some(format!(
        "{time} > {flags} {}:{}({len}){rest}",
        start + 1,
        end + 1
    ))
}

/// A script says itself which stack it was written for; who runs it may overrule that.
#[test]
fn a_script_names_its_profile_and_the_caller_overrules_it() {
    let syn = |option: &str, scale: &str| {
        format!(
            "{option}\n0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3\n\
             #ifdef FREEBSD\n+0 close(3) = 0\n+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, 0) = 3\n#endif\n\
             +0 connect(3, ..., ...) = -1 EINPROGRESS\n\
             +0 > S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale {scale}>\n"
        )
    };
    let run = |drill: &Drill, text: &str| drill.run(text, Variant::Plain).unwrap();
    let own = Drill::default();
    let overruled = Drill::new(Profile::freebsd());
    for (drill, option, scale) in [
        (&own, "", "8"),
        (&own, "--profile=freebsd", "6"),
        (&overruled, "--profile=linux", "6"),
    ] {
        let outcome = run(drill, &syn(option, scale));
        assert_eq!(outcome.verdict, Verdict::StrictPass, "{outcome:?}");
        // A shift that is another stack's.
        let outcome = run(drill, &syn(option, "7"));
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
    }
    let wrong = run(&own, &syn("--profile=plan9", "8"));
    assert_eq!(wrong.verdict, Verdict::Fail);
    let cause = wrong.cause.unwrap();
    let says = "--profile takes linux, freebsd, rfc or netloom, found `plan9`";
    assert_eq!((cause.line, cause.text.as_str()), (1, says));
}

#[test]
fn a_script_is_named_after_what_it_shows() {
    for (name, text) in scripts() {
        let stem = name.trim_end_matches(".pkt");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(stem.chars().all(plain), "{name}");
        assert!(!text.is_empty() && !text.contains('\t'), "{name}");
    }
}

#[cfg(feature = "cli")]
mod tool {
    use super::folder;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output, Stdio};

    /// A folder of its own, gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("drill-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("sub")).unwrap();
            Self(path)
        }

        fn put(&self, name: &str, text: &str) {
            fs::write(self.0.join(name), text).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn drill(at: &Path, args: &[&str]) -> (i32, String, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_netloom"))
            .arg("drill")
            .args(args)
            .current_dir(at)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    const GOOD: &str = "0 < udp 5000 > 9 (50)\n+0 > icmp unreachable port_unreachable\n";
    const LOOSE: &str = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n\
        +0 listen(3, 1) = 0\n+0 < S 0:0(0) win 1 <mss 1000>\n+0 > S. 0:0(0) ack 1 win 5 <mss 1460>\n";
    const BAD: &str = "0 close(3) = 0\n";
    const FOREIGN: &str = "`tc qdisc add dev tun0 root fq`\n0 close(3) = 0\n";

    #[test]
    fn its_own_scripts_pass_strictly() {
        let (status, out, errors) = drill(
            &folder(),
            &[".", "--strict", "--ipv6", "--offload", "--wrap"],
        );
        assert_eq!((status, errors.as_str()), (0, ""), "{out}");
        assert!(out.contains(" 0 pass, 0 unsupported, 0 fail"), "{out}");
    }

    #[test]
    fn the_status_says_the_worst() {
        let folder = Folder::new("status");
        let table = [
            (GOOD, 0, 0, ""),
            (LOOSE, 0, 1, "passed, but not strictly"),
            (FOREIGN, 3, 3, "unsupported"),
            (BAD, 1, 1, "1 of 1 runs failed"),
            ("0 nonsense", 1, 1, "failed"),
        ];
        for (text, status, strict, says) in table {
            folder.put("a.pkt", text);
            let (got, out, _) = drill(&folder.0, &["a.pkt"]);
            assert_eq!(got, status, "{text}\n{out}");
            let (got, out, errors) = drill(&folder.0, &["a.pkt", "--strict"]);
            assert_eq!(got, strict, "{text}\n{out}");
            assert!(errors.contains(says), "{errors}");
        }
    }

    #[test]
    fn a_folder_is_summed_up_and_reported() {
        let folder = Folder::new("report");
        folder.put("good.pkt", GOOD);
        folder.put("loose.pkt", LOOSE);
        folder.put("sub/bad.pkt", BAD);
        folder.put("sub/foreign.pkt", FOREIGN);
        folder.put("sub/notes.txt", "no script");
        let (status, out, _) = drill(&folder.0, &[".", "--report", "r.tsv"]);
        assert_eq!(status, 1, "{out}");
        assert!(
            out.contains("sub/bad.pkt:1: fail: close returned -1 EBADF and not 0"),
            "{out}"
        );
        assert!(
            out.contains(".: 2 runs, 1 strict pass, 1 pass, 0 unsupported, 0 fail"),
            "{out}"
        );
        assert!(
            out.contains("./sub: 2 runs, 0 strict pass, 0 pass, 1 unsupported, 1 fail"),
            "{out}"
        );
        assert!(out.contains("all: 4 runs"), "{out}");
        let report = fs::read_to_string(folder.0.join("r.tsv")).unwrap();
        let rows: Vec<Vec<&str>> = report
            .lines()
            .map(|line| line.split('\t').collect())
            .collect();
        assert_eq!(rows[0], ["script", "variant", "verdict", "line", "cause"]);
        assert_eq!(rows.len(), 5);
        assert_eq!(
            rows[4][..4],
            ["./sub/foreign.pkt", "plain", "unsupported", "1"]
        );
        drill(&folder.0, &[".", "--report", "r.jsonl"]);
        let report = fs::read_to_string(folder.0.join("r.jsonl")).unwrap();
        for line in report.lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(row["verdict"].is_string() && row["line"].is_u64(), "{line}");
        }
    }

    #[test]
    fn words_and_profiles_of_ones_own() {
        let folder = Folder::new("words");
        folder.put(
            "a.pkt",
            "#ifdef MINE\n0 `sysctl netloom.mtu=BYTES`\n#endif\n+0 socket(..., SOCK_STREAM, 0) = 3\n\
             +0 fcntl(3, F_SETFL, O_NONBLOCK) = 0\n+0 connect(3, ..., ...) = -1 EINPROGRESS\n\
             +0 > S 0:0(0) <mss 960>\n",
        );
        folder.put(
            "mine",
            "timestamps = off\nsack = off\nwindow_scaling = off\n",
        );
        let (status, out, _) = drill(
            &folder.0,
            &["a.pkt", "--profile", "mine", "-D", "BYTES=1000"],
        );
        assert_eq!(status, 0, "{out}");
        folder.put("mine", "colour = red\n");
        let (status, _, errors) = drill(&folder.0, &["a.pkt", "--profile", "mine"]);
        assert_eq!(status, 2);
        assert!(
            errors.contains("line 1: there is no setting `colour`"),
            "{errors}"
        );
    }

    #[test]
    fn wrong_usage_is_told() {
        let folder = Folder::new("usage");
        for (args, says) in [
            (&["nowhere.pkt"][..], "nowhere.pkt"),
            (&["sub"], "no file in sub ends in .pkt"),
            (&["sub", "--profile", "plan9"], "the profile plan9"),
            (&["sub", "-D", "5=6"], "`5` is no word"),
        ] {
            let (status, out, errors) = drill(&folder.0, args);
            assert_eq!((status, out.as_str()), (2, ""), "{args:?}");
            assert!(errors.contains(says), "{errors}");
        }
    }

    /// A thousand scripts on two cores in under twenty seconds, even without optimisation.
    #[test]
    fn a_thousand_scripts_take_seconds() {
        let folder = Folder::new("thousand");
        let text = fs::read_to_string(
            super::folder().join("r42_text_out_of_order_is_held_and_reported.pkt"),
        );
        let text = text.unwrap();
        for number in 0..1000 {
            folder.put(&format!("s{number}.pkt"), &text);
        }
        let start = std::time::Instant::now();
        let (status, out, _) = drill(&folder.0, &["."]);
        assert!(status <= 1, "{out}");
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
