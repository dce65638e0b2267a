//! `netloom dump --read`: what it prints and how it exits, on sound, odd and foreign files.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use netloom::base::Instant;
use netloom::capture::{CaptureSettings, Direction, LinkType, Writer};

/// An ARP request for 10.7.0.2 from 10.7.0.1.
const ARP: &[u8] = &[
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0,
    0, 1, 10, 7, 0, 1, 0, 0, 0, 0, 0, 0, 10, 7, 0, 2,
];

fn netloom(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netloom"));
    command.args(args).stdin(Stdio::null());
    command
}

fn file_name(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A file for one test.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = file_name(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn capture(link: LinkType, frames: usize) -> Vec<u8> {
    let epoch = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_123);
    let mut writer = Writer::new(Vec::new(), &CaptureSettings::new(epoch)).unwrap();
    let on = writer.interface(link, "nl0").unwrap();
    for number in 0..frames {
        let at = Instant::from_millis(u64::try_from(number).unwrap());
        let _ = writer.frame(on, at, Direction::Inbound, ARP, &[]).unwrap();
    }
    writer.finish().unwrap()
}

/// Exit status, standard output's lines, standard error's lines.
fn dump(name: &str, bytes: &[u8]) -> (i32, Vec<String>, Vec<String>) {
    let path = file(name, bytes);
    lines(
        netloom(&["dump", "--read", path.to_str().unwrap()])
            .output()
            .unwrap(),
    )
}

fn lines(output: Output) -> (i32, Vec<String>, Vec<String>) {
    let split = |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    (
        output.status.code().unwrap(),
        split(output.stdout),
        split(output.stderr),
    )
}

#[test]
fn a_capture_is_a_line_per_packet_and_a_count() {
    let (status, out, errors) = dump("sound.pcapng", &capture(LinkType::ETHERNET, 3));
    assert_eq!(
        (status, out.len(), errors.len()),
        (0, 4, 0),
        "{out:?} {errors:?}"
    );
    assert!(out[1].starts_with("22:13:20.001000123 in "), "{}", out[1]);
    for part in ["ARP", "10.7.0.1", "10.7.0.2"] {
        assert!(out[1].contains(part), "{}", out[1]);
    }
    assert!(
        out[3].starts_with("3 packets") && out[3].contains("file complete"),
        "{}",
        out[3]
    );
}

#[test]
fn cut_and_foreign_files_end_in_a_count() {
    let whole = capture(LinkType::ETHERNET, 2);
    // The statistics block is the last one: cut into it, and into the second packet.
    let (status, out, errors) = dump("cut.pcapng", &whole[..whole.len() - 3]);
    assert_eq!((status, out.len(), errors.len()), (0, 3, 0), "{out:?}");
    assert!(
        out[2].starts_with("2 packets") && out[2].contains("3 bytes missing"),
        "{}",
        out[2]
    );
    let (status, out, _) = dump("usb.pcapng", &capture(LinkType(220), 1));
    assert_eq!((status, out.len()), (0, 2));
    assert!(out[0].contains("link type 220, length 42"), "{}", out[0]);
    // A capture without packets is one.
    let (status, out, errors) = dump("none.pcapng", &capture(LinkType::ETHERNET, 0));
    assert_eq!((status, out.len(), errors.len()), (0, 1, 0));
}

#[test]
fn files_shorter_than_a_header_fail_with_one_line() {
    let whole = capture(LinkType::ETHERNET, 1);
    for (bytes, cause) in [
        (&b""[..], "short.pcapng is empty; give a capture"),
        (&whole[..1], "too short for a capture: 1 byte;"),
        (&whole[..20], "too short for a capture: 20 bytes;"),
        (
            b"\xD4\xC3\xB2\xA1\x02\0\x04\0",
            "too short for a capture: 8 bytes;",
        ),
    ] {
        let (status, out, errors) = dump("short.pcapng", bytes);
        assert_eq!((status, out.len(), errors.len()), (1, 0, 1), "{errors:?}");
        assert!(errors[0].contains(cause), "{errors:?}");
    }
    let output = netloom(&["dump", "--read", "/dev/null"]).output().unwrap();
    let (status, _, errors) = lines(output);
    assert_eq!((status, errors.len()), (1, 1), "{errors:?}");
    assert!(errors[0].contains("/dev/null is empty"), "{errors:?}");
}

/// Usage errors are status 2 and name what is missing.
#[test]
fn a_client_without_a_device_is_told_of_both() {
    let rows: [&[&str]; 2] = [
        &["ping", "--address", "10.7.0.2/24", "10.7.0.1"],
        &["serve", "--address", "10.7.0.2/24"],
    ];
    for args in rows {
        let (status, _, errors) = lines(netloom(args).output().unwrap());
        assert_eq!(status, 2);
        let text = errors.join(" ");
        assert!(text.contains("--tap <NAME>|--tun <NAME>"), "{text}");
    }
    let both = [
        "serve",
        "--tap",
        "a",
        "--tun",
        "b",
        "--address",
        "10.7.0.2/24",
    ];
    let (status, _, errors) = lines(netloom(&both).output().unwrap());
    assert_eq!(status, 2, "{errors:?}");
    assert!(errors[0].contains("cannot be used with"), "{errors:?}");
}

#[test]
fn corrupt_files_fail_with_one_line_after_the_count() {
    let mut corrupt = capture(LinkType::ETHERNET, 2);
    corrupt.extend([6, 0, 0, 0, 5, 0, 0, 0]);
    let rows: [(&str, &[u8], &str, &str); 3] = [
        ("corrupt.pcapng", &corrupt, "2 packets", "block length 5"),
        (
            "gzip.pcap.gz",
            &[0x1F, 0x8B, 8, 0, 0, 0, 0, 0],
            "",
            "not a pcap or pcapng file",
        ),
        ("text.txt", b"hello, world", "", "68 65 6c 6c"),
    ];
    for (name, bytes, count, cause) in rows {
        let (status, out, errors) = dump(name, bytes);
        assert_eq!((status, errors.len()), (1, 1), "{name}: {errors:?}");
        let last = out.last().map_or("", |line| line);
        assert!(last.starts_with(count), "{name}: {out:?}");
        // Of what is no capture there is nothing to count.
        assert_eq!(out.is_empty(), count.is_empty(), "{name}: {out:?}");
        assert!(
            errors[0].starts_with("netloom: ") && errors[0].contains(cause),
            "{}",
            errors[0]
        );
    }
    let missing = netloom(&["dump", "--read", "/nonexistent/x"])
        .output()
        .unwrap();
    let (status, _, errors) = lines(missing);
    assert_eq!((status, errors.len()), (1, 1), "{errors:?}");
}

#[test]
fn wrong_usage_is_status_2() {
    for args in [
        &["dump"][..],
        &["dump", "--read", "x", "--tap", "y"],
        &["nonsense"],
        &[],
    ] {
        let (status, out, errors) = lines(netloom(args).output().unwrap());
        assert_eq!((status, out.len()), (2, 0), "{args:?}");
        assert!(!errors.is_empty(), "{args:?}");
    }
}

/// `dump | head` ends without a word, whatever is left to print.
#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let path = file("long.pcapng", &capture(LinkType::ETHERNET, 20_000));
    let mut child = netloom(&["dump", "--read", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap(); // and dropped
    let (status, _, errors) = lines(child.wait_with_output().unwrap());
    assert_eq!((status, errors), (0, Vec::new()));
}

#[test]
fn standard_input_can_be_read() {
    let mut child = netloom(&["dump", "--read", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&capture(LinkType::ETHERNET, 1)).unwrap();
    drop(input);
    let (status, out, _) = lines(child.wait_with_output().unwrap());
    assert_eq!((status, out.len()), (0, 2), "{out:?}");
}

/// A UDP datagram from 10.7.0.2, port 53, to 10.7.0.1, port 1000, in Ethernet.
fn datagram() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([
        0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0x66, 0xbe, 10, 7, 0, 2, 10, 7, 0, 1,
    ]);
    frame.extend([0, 53, 3, 232, 0, 11, 0, 0, b'a', b'b', b'c']);
    frame
}

/// Two ARP packets, and a datagram of which the first 44 bytes were kept, in between.
fn mixed() -> Vec<u8> {
    let settings = CaptureSettings::new(UNIX_EPOCH + Duration::from_secs(3)).snap_len(44);
    let mut writer = Writer::new(Vec::new(), &settings).unwrap();
    let on = writer.interface(LinkType::ETHERNET, "nl0").unwrap();
    for (number, frame) in [ARP, &datagram(), ARP].into_iter().enumerate() {
        let at = Instant::from_millis(u64::try_from(number).unwrap());
        let _ = writer
            .frame(on, at, Direction::Outbound, frame, &[])
            .unwrap();
    }
    writer.finish().unwrap()
}

/// What `dump --read` prints of [`mixed`] with these arguments.
fn mixed_with(name: &str, args: &[&str]) -> (i32, Vec<String>, Vec<String>) {
    let path = file(name, &mixed());
    let mut command = netloom(&["dump", "-r", path.to_str().unwrap()]);
    lines(command.args(args).output().unwrap())
}

#[test]
fn only_what_is_wanted_is_printed() {
    for (args, shown) in [
        (&["udp"][..], 1),
        (&["port 53 and host 10.7.0.1"], 1),
        (&["not", "udp"], 2),
        (&["src", "host", "10.7.0.1"], 2),
        (&["ip6"], 0),
        (&["-c", "2"], 2),
        (&["-c", "1", "arp"], 1),
    ] {
        let (status, out, errors) = mixed_with("filter.pcapng", args);
        assert_eq!(
            (status, out.len(), errors.len()),
            (0, shown + 1, 0),
            "{args:?}: {out:?}"
        );
        let last = &out[shown];
        assert!(last.starts_with(&format!("{shown} packet")), "{last}");
        let others = format!(", {} not wanted", 3 - shown);
        assert_eq!(last.contains(&others), args[0] != "-c", "{last}");
    }
    for (args, cause) in [
        (&["port"][..], "filter `port`: the filter ends where a port"),
        (&["host", "x"], "`x` is not an address"),
        (&["10.7.0.1"], "`10.7.0.1` is no test: give host"),
    ] {
        let (status, out, errors) = mixed_with("filter.pcapng", args);
        assert_eq!((status, out.len(), errors.len()), (2, 0, 1), "{errors:?}");
        assert!(errors[0].contains(cause), "{errors:?}");
    }
}

#[test]
fn a_smaller_capture_says_what_the_larger_did() {
    let part = file("part.pcapng", b"");
    let write = ["-w", part.to_str().unwrap(), "udp"];
    let (status, out, errors) = mixed_with("whole.pcapng", &write);
    assert_eq!((status, out.len(), errors.len()), (0, 1, 0), "{errors:?}");
    let all = mixed_with("whole.pcapng", &[]).1;
    let (_, out, _) = lines(
        netloom(&["dump", "-r", part.to_str().unwrap()])
            .output()
            .unwrap(),
    );
    assert_eq!(out[0], all[1]);
    assert!(out[0].starts_with("00:00:03.001000000 out IP 10.7.0.2.53 > 10.7.0.1.1000: UDP"));
    assert!(out[0].contains("cut, 44 of 45 bytes"), "{out:?}");
    assert_eq!(out.len(), 2, "{out:?}");
    // Onto itself would leave nothing of it.
    let (status, _, errors) = mixed_with(
        "self.pcapng",
        &["-w", file_name("self.pcapng").to_str().unwrap()],
    );
    assert_eq!((status, errors.len()), (2, 1), "{errors:?}");
    assert_eq!(fs::read(file_name("self.pcapng")).unwrap(), mixed());
}

#[test]
fn bytes_are_shown_when_asked_for() {
    let (status, out, _) = mixed_with("hex.pcapng", &["-x", "udp"]);
    assert_eq!((status, out.len()), (0, 5), "{out:?}");
    assert_eq!(
        out[1],
        "\t0x0000:  0200 0000 0001 0200 0000 0002 0800 4500  ..............E."
    );
    assert_eq!(
        out[3],
        "\t0x0020:  0001 0035 03e8 000b 0000 6162            ...5......ab"
    );
}
