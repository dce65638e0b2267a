//! Wrong usage of the tool: one line with the mistake and its cure, status 2, nothing done.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

/// Status, and the line of standard error that names the mistake.
fn netloom(line: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_netloom"))
        .args(line.split(' '))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.stdout.is_empty(), "{line}");
    let errors = String::from_utf8(output.stderr).unwrap();
    (
        output.status.code().unwrap(),
        errors.lines().next().unwrap_or_default().to_owned(),
    )
}

/// Found before a device is opened: there is none that could be, under this name.
const DEVICE: &str = "--tap a/b";

/// Usage, the mistake, the cure.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "serve --kernel-address 10.7.0.1/24 --address 10.7.0.1/24",
        "--address and --kernel-address are both 10.7.0.1",
        "give --address another one, such as 10.7.0.2/24",
    ),
    (
        "serve --address 10.7.0.2/24 --gateway 10.8.0.1",
        "--gateway 10.8.0.1 is not on the link",
        "give a router in the range of 10.7.0.2/24",
    ),
    (
        "serve --address 10.7.0.2/24 --gateway 10.7.0.2",
        "the netloom host's own address",
        "give the router's",
    ),
    (
        "serve --address 10.7.0.2/24 --gateway fd07::1",
        "only with an address of its family",
        "add an IPv6 --address",
    ),
    (
        "serve --address 10.7.0.255/24",
        "--address 10.7.0.255/24 is the broadcast address",
        "give a host's address, such as 10.7.0.1/24",
    ),
    (
        "ping --address 10.7.0.2/24 127.0.0.1",
        "127.0.0.1 is a loopback address",
        "give a host's",
    ),
    (
        "send --address 10.7.0.2/24 --to 0.0.0.0:9",
        "0.0.0.0 is the address of no host",
        "give a host's",
    ),
    (
        "send --address 10.7.0.2/24 --to 10.7.0.1",
        "invalid value '10.7.0.1' for '--to",
        "no port; give one, as in 10.7.0.1:9",
    ),
    (
        "get --address 10.7.0.2/24 --url http://example.org/",
        "example.org is a name, and there is no DNS server",
        "add --dns IP",
    ),
    (
        "get --address 10.7.0.2/24 --dns 10.7.0.2 --url http://example.org/",
        "10.7.0.2 is the netloom host's own --address",
        "it speaks to others",
    ),
    (
        "ping --address 10.7.0.2/24 10.7.0",
        "it ends in a number",
        "give an address",
    ),
    (
        "send --address 10.7.0.2/24 --to example.org",
        "invalid value 'example.org' for '--to",
        "no port; give one, as in example.org:9",
    ),
    (
        "get --address 10.7.0.2/24 --url https://10.7.0.1/",
        "there is no TLS",
        "give an http:// URL",
    ),
    (
        "get --address 10.7.0.2/24 --url http://10.7.0.2/",
        "own --address",
        "the kernel's side is --kernel-address",
    ),
    (
        "send --address 10.7.0.2/24 --to 10.7.0.1:9 --seconds x",
        "invalid value 'x' for '--seconds",
        "give seconds, as in 5 or 0.5",
    ),
    (
        "ping --address 10.7.0.2/24 10.7.0.1 -i 0",
        "invalid value '0' for '--interval",
        "give seconds",
    ),
    (
        "serve --address 10.7.0.2/24 --ecn on",
        "invalid value 'on' for '--ecn",
        "give off, accept or ask",
    ),
    (
        "send --address 10.7.0.2/24 --to 10.7.0.1:9 --congestion vegas",
        "invalid value 'vegas' for '--congestion",
        "reno, cubic, bbr, bbr3",
    ),
    (
        "serve --address 10.7.0.2/24 --connections 0",
        "nobody is served",
        "give 1 or more",
    ),
    (
        "route --tap nl0 --address 10.7.0.1/24",
        "a/b has no address",
        "give an --address behind it",
    ),
    (
        "route --address 10.7.0.1/24",
        "--address is of no interface",
        "give it behind a --tap or --tun",
    ),
    (
        "route --mtu 9",
        "--mtu is of no interface",
        "behind a --tap",
    ),
];

#[test]
fn mistakes_are_one_line_with_the_cure() {
    for (line, cause, cure) in MISTAKES {
        let (status, error) = netloom(&format!("{line} {DEVICE}"));
        assert_eq!(status, 2, "{line}: {error}");
        assert!(
            error.contains(cause) && error.contains(cure),
            "{line}: {error}"
        );
    }
}

/// Half a second is a time.
#[test]
fn what_is_right_gets_as_far_as_the_device() {
    for line in [
        "send --address 10.7.0.2/24 --to 10.7.0.1:9 --seconds 0.5",
        "serve --kernel-address 10.7.0.1/24 --address 10.7.0.2/24 --gateway 10.7.0.1",
        "ping --address fd07::2/64 --gateway fe80::1 2001:db8::1",
        "serve --dhcp",
        "ping --dhcp --address fd07::2/64 --gateway 10.7.0.1 192.0.2.1",
        "serve --address 10.7.0.2/24 --ecn off --congestion reno",
        "get --address 10.7.0.2/24 --url http://10.7.0.1/ --ecn accept",
        "send --address 10.7.0.2/24 --to 10.7.0.1:9 --ecn ask",
    ] {
        let (status, error) = netloom(&format!("{line} {DEVICE}"));
        assert_eq!(status, 1, "{line}: {error}");
        assert!(error.contains("is no interface name"), "{line}: {error}");
    }
}

#[test]
fn a_scenario_that_cannot_be_run_is_one_line() {
    for (line, status, cause) in [
        ("sim nope", 2, "there is no scenario `nope`"),
        (
            "sim clean --seed x",
            2,
            "`x` is no seed; give a whole number",
        ),
        ("sim clean --seed -1", 2, "`-1` is no seed"),
        (
            "sim clean --plot x.svg --trace x.svg",
            2,
            "cannot go to the same file",
        ),
        (
            "sim clean --plot /nobody/x.svg",
            1,
            "cannot write /nobody/x.svg",
        ),
        (
            "sim clean --trace /nobody/x.csv",
            1,
            "cannot write /nobody/x.csv",
        ),
        (
            "sim clean --pcap /dev/null/x",
            1,
            "cannot write /dev/null/x",
        ),
    ] {
        let (got, error) = netloom(line);
        assert_eq!(got, status, "{line}: {error}");
        assert!(error.contains(cause), "{line}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{line}: {error}");
    }
}

/// What a scenario is asked to leave is there: a picture, rows in both forms, a capture.
#[test]
fn a_scenario_is_run_and_leaves_what_was_asked_for() {
    let folder = std::env::temp_dir().join(format!("netloom-sim-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let run = |options: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_netloom"))
            .args(["sim", "i2-1448", "--seed", "7"])
            .args(options)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = run(&[]);
    let hash = plain.lines().last().unwrap();
    assert!(hash.starts_with("trace hash "), "{plain}");
    let watched = run(&["--plot", "p.svg", "--trace", "t.csv", "--pcap", "caps"]);
    assert!(watched.starts_with(&plain), "to look is to change nothing");
    run(&["--trace", "t.jsonl"]);
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let text = |name: &str| String::from_utf8(read(name)).unwrap();
    assert!(text("p.svg").starts_with("<svg "));
    assert!(text("t.csv").starts_with("time_ns,local,remote,"));
    assert!(text("t.jsonl").starts_with("{\"time_ns\":"));
    let capture = read("caps/I2-1448-flow.pcapng");
    let capture = netloom::capture::Reader::new(&capture[..]);
    assert!(
        capture.count() > 20,
        "a handshake and a flight, at both ends"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn scenarios_are_listed() {
    let output = Command::new(env!("CARGO_BIN_EXE_netloom"))
        .args(["sim", "--list"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let ids: Vec<_> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let all: Vec<_> = netloom::sim::scenario::all().map(|it| it.id).collect();
    assert_eq!(ids, all);
}

/// A capture of other stacks: fed from either side, or it is said how.
#[test]
fn a_foreign_capture_is_fed_or_it_is_said_how() {
    let run = |options: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_netloom"))
            .args(["replay"])
            .args(options)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    };
    let ends = ["10.0.0.1", "10.0.0.1:40000"];
    for side in [["--from", ends[0]], ["--to", ends[0]], ["--from", ends[1]]] {
        let (status, text) = run(&[&["tests/pcap/loss.pcap"], &side[..]].concat());
        assert_eq!(status, 0, "{text}");
        let is_fed = text.contains(" fed, ") && text.contains("1 connections");
        assert!(is_fed && !text.contains("BROKEN"), "{text}");
    }
    let mistakes: [(&[&str], i32, &str); 8] = [
        (&["tests/pcap/loss.pcap"], 1, "--from or --to"),
        (
            &["tests/pcap/loss.pcap", "--from", "127.0.0.1"],
            1,
            "name a port",
        ),
        (
            &["tests/pcap/loss.pcap", "--from", "10.0.0"],
            2,
            "neither an address nor one with a port",
        ),
        (
            &["Cargo.toml", "--from", "10.0.0.1"],
            1,
            "not a pcap or pcapng",
        ),
        (&["nowhere.pcap", "--to", "10.0.0.1"], 1, "No such file"),
        (&["tests", "--to", "10.0.0.1"], 1, "directory"),
        (
            &["tests/pcap/loss.pcap", "--to", "ff02::1"],
            1,
            "no station's address",
        ),
        (
            &["tests/pcap/loss.pcap", "--to", "10.0.0.1", "--accept"],
            2,
            "cannot be used with",
        ),
    ];
    for (options, expected, cause) in mistakes {
        let (status, text) = run(options);
        assert_eq!(status, expected, "{text}");
        assert!(text.contains(cause), "{text}");
    }
}

/// What stands where the new recording would be written is somebody's.
#[test]
fn accepting_overwrites_nothing_else() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("usage.record");
    let new = file.with_extension("record.new");
    std::fs::write(&file, "no recording").unwrap();
    let accept = || {
        let mut run = Command::new(env!("CARGO_BIN_EXE_netloom"));
        let output = run
            .arg("replay")
            .arg(&file)
            .arg("--accept")
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    std::fs::write(&new, "kept").unwrap();
    let (status, told) = accept();
    assert!(
        status == Some(1) && told.contains("is there already"),
        "{told}"
    );
    assert_eq!(std::fs::read_to_string(&new).unwrap(), "kept");
    std::fs::remove_file(&new).unwrap();
    // Without it the file is looked at, and nothing is left behind.
    let (status, told) = accept();
    assert!(
        status == Some(1) && !told.contains("is there already"),
        "{told}"
    );
    assert!(!new.exists());
    std::fs::remove_file(&file).unwrap();
}
