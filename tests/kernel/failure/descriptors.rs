//! A process without descriptors left. Limits belong to a process, so each of these runs in a child:
//! this program again, in the namespace of the test.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;

use netloom::capture::CaptureError;
use netloom::device::{Device, HostReceive, HostTransmit, Medium, Tap, pair};
use netloom::host::{Host, SpawnError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::SOON;
use crate::Test;
use crate::link::{Link, PATIENCE, connected, eventually, kernel, ours};

pub(crate) const TESTS: &[Test] = &[
    ("failure::out_of_descriptors_to_begin_with", || {
        in_a_child("begin");
    }),
    ("failure::out_of_descriptors_in_the_middle", || {
        in_a_child("middle");
    }),
    ("failure::out_of_descriptors_to_wait_on", || {
        in_a_child("few");
    }),
];

/// What tells this program that it is such a child, and of which test.
const CHILD: &str = "NETLOOM_KERNEL_TEST_CHILD";

/// What EMFILE says.
const TOO_MANY: &str = "Too many open files";

/// What a child is to do; `None` when this is none.
pub(crate) fn child() -> Option<ExitCode> {
    match env::var(CHILD).ok()?.as_str() {
        "begin" => begin(),
        "middle" => middle(),
        "few" => few(),
        other => panic!("no child of this name: {other}"),
    }
    Some(ExitCode::SUCCESS)
}

fn in_a_child(name: &str) {
    let output = Command::new(env::current_exe().unwrap())
        .env(CHILD, name)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {errors}", output.status);
}

/// Threads and descriptors.
fn held() -> (usize, usize) {
    let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    (count("task"), count("fd") - 1)
}

/// Lets this process open `more` descriptors and no more: the limit is one on their numbers.
fn allow(more: usize) {
    let free = |number: &u64| fs::read_link(format!("/proc/self/fd/{number}")).is_err();
    let limit = (0..).filter(free).nth(more).unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
}

fn allow_all() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(1024), hard).unwrap();
}

/// Where an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Open,
    Capture,
    System,
}

/// The TAP with its address.
fn open() -> Result<Tap, (Step, String)> {
    let tap = Tap::builder()
        .name("nl0")
        .kernel_address("10.7.0.1/24".parse().unwrap());
    tap.open().map_err(|error| (Step::Open, error.to_string()))
}

/// A host with a capture.
fn spawn<D>(device: D, path: &Path) -> Result<Host, (Step, String)>
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    let host = Host::builder(device).address("10.7.0.2/24".parse().unwrap());
    host.capture(path).spawn().map_err(|error| {
        let step = match &error {
            SpawnError::Capture(CaptureError::Create { .. }) => Step::Capture,
            SpawnError::System { .. } => Step::System,
            other => panic!("{other}"),
        };
        (step, error.to_string())
    })
}

/// Makes `attempt` with 0, 1, 2... descriptors left until it succeeds: each failure says why, leaves
/// nothing behind, and the next can do with one more. Where they failed.
fn with_more_and_more<T>(mut attempt: impl FnMut() -> Result<T, (Step, String)>) -> Vec<Step> {
    let before = held();
    let mut steps = vec![];
    loop {
        let more = steps.len();
        assert!(more < 40, "a host needs fewer descriptors than that");
        allow(more);
        let outcome = attempt();
        allow_all();
        let failure = outcome.map(drop).err();
        eventually("nothing stays behind", SOON, || held() == before);
        let Some((step, error)) = failure else {
            return steps;
        };
        assert!(error.contains(TOO_MANY), "with {more} left: {error}");
        steps.push(step);
    }
}

fn begin() {
    let path = file("kernel-descriptors.pcapng");
    let steps = with_more_and_more(|| {
        let host = spawn(open()?, &path)?;
        host.ping(kernel(false), PATIENCE).unwrap();
        Ok(())
    });
    assert!(steps.contains(&Step::Open) && steps.contains(&Step::System));
    // The in-memory pair asks for its descriptors only when a host drives it.
    let steps = with_more_and_more(|| {
        let (device, far) = pair(Medium::Ip, 1500);
        spawn(device, &path).map(|host| (host, far))
    });
    assert!(steps.contains(&Step::Capture) && steps.contains(&Step::System));
    fs::remove_file(path).unwrap();
}

/// A running host needs no more of them: connections begin, carry data and end.
fn middle() {
    allow_all();
    let before = held();
    {
        let host = Link::TAP.host();
        let (us, mut them) = connected(&host, false, true);
        let (listener, at) = crate::link::kernel_listener(false);
        listener.set_nonblocking(true).unwrap();
        allow(0);
        assert!(fs::File::open("/dev/null").is_err());
        let text = vec![7; 300_000];
        thread::scope(|scope| {
            scope.spawn(|| (&us).write_all(&text).unwrap());
            let mut got = vec![0; text.len()];
            them.read_exact(&mut got).unwrap();
            assert!(got == text);
        });
        // Of ours: none of these is a descriptor.
        let udp = host.udp_bind((ours(false), 0)).unwrap();
        udp.send_to(b"nobody", (kernel(false), 9)).unwrap();
        let other = host.tcp_listen((ours(false), 0)).unwrap();
        let more: Vec<_> = (0..20)
            .map(|_| host.tcp_connect_timeout(at, PATIENCE).unwrap())
            .collect();
        assert!(
            listener.accept().is_err(),
            "the kernel's end would need one"
        );
        drop((more, other, udp));
        allow_all();
    }
    eventually("nothing stays behind", SOON, || held() == before);
}

/// poll(2) refuses more descriptors than the limit allows, whatever their numbers.
fn few() {
    allow_all();
    let host = Link::TAP.host();
    let (us, mut them) = connected(&host, false, true);
    us.set_read_timeout(Some(PATIENCE)).unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    for limit in [2, 1, 0] {
        setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
        let text = vec![7; 300_000];
        thread::scope(|scope| {
            scope.spawn(|| {
                (&us).write_all(&text).unwrap();
                (&us).read_exact(&mut vec![0; text.len()]).unwrap();
            });
            them.read_exact(&mut vec![0; text.len()]).unwrap();
            them.write_all(&text).unwrap();
        });
        assert!(host.error().is_none(), "a limit of {limit}");
    }
    allow_all();
    assert!(host.error().is_none());
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
