//! `netloom ip` against `netloom serve --control`, and what the kernel sees of it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::link::{Link, PATIENCE, eventually};
use crate::namespace::{Case, ip};
use crate::tool::{NETLOOM, Tool, file};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("control::a_host_is_asked_and_changed", asked_and_changed),
        Case::new("control::clients_are_bounded", bounded),
    ]
}

/// What `netloom ip` says, and whether it succeeded.
fn told(path: &Path, words: &str) -> (bool, String) {
    let mut command = Command::new(NETLOOM);
    command.args(["ip", "--control"]).arg(path);
    let output = command.args(words.split(' ')).output().unwrap();
    let out = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(out).unwrap())
}

fn done(path: &Path, words: &str) -> String {
    let (done, text) = told(path, words);
    assert!(done, "{words}: {text}");
    text
}

fn refused(path: &Path, words: &str, part: &str) {
    let (done, text) = told(path, words);
    assert!(!done && text.contains(part), "{words}: {text}");
}

fn answers(to: &str) -> bool {
    let mut ping = Command::new("ping");
    let output = ping.args(["-c", "1", "-W", "1", to]).output();
    output
        .expect("the `ping` command is there")
        .status
        .success()
}

fn asked_and_changed() {
    let path = file("kernel-control.sock");
    let _ = fs::remove_file(&path);
    let serve = Tool::serve(Link::TAP, &["--control", path.to_str().unwrap()]);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    ip("addr add 10.9.0.1/24 dev nl0");
    assert!(answers("10.7.0.2") && !answers("10.9.0.2"));
    assert_eq!(done(&path, "addr add 10.9.0.2/24"), "");
    eventually("the new address answers", PATIENCE, || answers("10.9.0.2"));
    let text = done(&path, "addr");
    assert!(
        text.contains("1: inet 10.9.0.2/24 preferred given "),
        "{text}"
    );
    refused(&path, "addr add 10.9.0.2/24", "already");
    let text = done(&path, "neigh");
    assert!(text.contains("10.9.0.1 dev 1 lladdr "), "{text}");
    let value: Value = serde_json::from_str(&done(&path, "--json neigh")).unwrap();
    assert!(value.as_array().unwrap().len() >= 2, "{value}");
    // A way to a network behind the kernel.
    ip("addr add 192.0.2.1/32 dev lo");
    done(&path, "route add 192.0.2.0/24 via 10.9.0.1");
    let text = done(&path, "route show");
    assert!(
        text.contains("192.0.2.0/24 via 10.9.0.1 dev 1 given"),
        "{text}"
    );
    let mut ping = Command::new("ping");
    let from = ping.args(["-c", "1", "-W", "5", "-I", "192.0.2.1", "10.9.0.2"]);
    assert!(from.output().unwrap().status.success());
    done(&path, "route del 192.0.2.0/24 via 10.9.0.1");
    refused(
        &path,
        "route del 192.0.2.0/24 via 10.9.0.1",
        "no such route",
    );
    done(&path, "addr del 10.9.0.2");
    assert!(!answers("10.9.0.2"));
    assert_eq!(done(&path, "lease"), "");
    done(&path, "link set mtu 1400");
    assert!(done(&path, "link").starts_with("1: mtu 1400 state UP link/ether "));
    done(&path, "link set down dev 1");
    assert!(!answers("10.7.0.2"));
    done(&path, "link set up");
    eventually("the link is up", PATIENCE, || answers("10.7.0.2"));
    refused(&path, "link set down dev 7", "no interface 7");
    refused(&path, "addr add", "ask `addr`");
    serve.counters(Signal::SIGTERM);
    assert!(!path.exists());
    refused(&path, "addr", "does a host run");
}

/// Who says nothing keeps nobody out for long, and what is too long is told so.
fn bounded() {
    let path = file("kernel-clients.sock");
    let _ = fs::remove_file(&path);
    let serve = Tool::serve(Link::TAP, &["--control", path.to_str().unwrap()]);
    let silent: Vec<UnixStream> = (0..8)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    // They are taken in order.
    refused(&path, "addr", "8 others are asking");
    eventually("the silent ones are let go of", PATIENCE, || {
        told(&path, "addr").0
    });
    for mut one in silent {
        one.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(one.read(&mut [0; 9]).unwrap(), 0);
    }
    let mut long = UnixStream::connect(&path).unwrap();
    long.set_read_timeout(Some(Duration::from_secs(9))).unwrap();
    long.write_all(&[b'a'; 5000]).unwrap();
    let mut rest = String::new();
    long.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("512 bytes at most"), "{rest}");
    done(&path, "link");
    serve.counters(Signal::SIGINT);
}
