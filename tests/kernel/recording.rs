//! Recorded runs against the kernel replay bit for bit, whatever the device, and whatever ended them.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::thread;

use netloom::capture::{Replay, ReplayEnd};

use crate::capture::{file, traffic};
use crate::link::{Link, Offload, PATIENCE, Written, kernel_connect, ours};
use netloom::device::Medium;

pub(crate) const TESTS: &[crate::Test] = &[
    ("recording::of_a_tap_replays", || replays("tap", Link::TAP)),
    ("recording::of_a_tun_replays", || replays("tun", Link::TUN)),
    ("recording::of_a_plain_tap_replays", || {
        replays("plain", Link::new(Medium::Ethernet, Offload::None));
    }),
    ("recording::of_a_coalesced_tun_replays", || {
        replays("coalesced", Link::new(Medium::Ip, Offload::Coalesced));
    }),
    ("recording::of_a_bad_link_replays", || {
        replays("impaired", Link::new(Medium::Ethernet, Offload::Impaired));
    }),
    ("recording::of_a_thousand_connections_replays", connections),
    #[cfg(feature = "cli")]
    ("recording::of_a_killed_serve_replays_up_to_there", killed),
];

fn same(path: &Path) -> ReplayEnd {
    let mut replay = Replay::open(path).unwrap();
    let end = replay.run().unwrap_or_else(|found| panic!("{found}"));
    assert!(replay.packet() > 100, "{} packets: {end}", replay.packet());
    end
}

/// A bit of everything, with payload and without.
fn replays(name: &str, link: Link) {
    for payload in [true, false] {
        let path = file(&format!("kernel-record-{name}.pcapng"));
        let host = link.host_written(Written::Record(&path, payload));
        traffic(&host);
        host.shutdown(PATIENCE);
        let watch = host.recording().unwrap();
        assert_eq!((watch.wait(), watch.stats().lost), (None, 0));
        drop(host);
        let end = same(&path);
        assert!(
            matches!(end, ReplayEnd::Complete),
            "payload {payload}: {end}"
        );
        fs::remove_file(&path).unwrap();
    }
}

/// The kernel's clients in threads, a thousand times.
fn connections() {
    let path = file("kernel-record-connections.pcapng");
    let host = Link::TAP.host_written(Written::Record(&path, true));
    let listener = host.tcp_listen((ours(false), 7)).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for stream in listener.incoming().take(250) {
                    let mut stream = stream.unwrap();
                    let mut buf = [0; 64];
                    while let Ok(len @ 1..) = stream.read(&mut buf) {
                        stream.write_all(&buf[..len]).unwrap();
                    }
                }
            });
        }
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..125 {
                    let mut stream = kernel_connect((ours(false), 7).into());
                    stream.write_all(b"question").unwrap();
                    let mut answer = [0; 8];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(&answer, b"question");
                }
            });
        }
    });
    drop(listener);
    host.shutdown(PATIENCE);
    assert_eq!(host.recording().unwrap().wait(), None);
    drop(host);
    let end = same(&path);
    assert!(matches!(end, ReplayEnd::Complete), "{end}");
    fs::remove_file(&path).unwrap();
}

/// SIGKILL in the middle: what was written is whole up to there. How far that is, is the disk's affair, so
/// the file itself says when it is enough: 8 MiB in frames of at most 64 KiB.
#[cfg(feature = "cli")]
fn killed() {
    let path = file("kernel-record-killed.pcapng");
    let name = path.to_str().unwrap();
    let serve = crate::tool::Tool::serve(Link::TAP, &["--record", name]);
    let mut stream = kernel_connect((ours(false), 19).into());
    let mut got = vec![0; 1 << 16];
    let begun = std::time::Instant::now();
    while fs::metadata(&path).unwrap().len() < 8 << 20 {
        assert!(begun.elapsed() < PATIENCE, "the file does not grow");
        stream.read_exact(&mut got).unwrap();
    }
    drop(serve);
    drop(stream);
    let end = same(&path);
    assert!(matches!(end, ReplayEnd::Cut { .. }), "{end}");
    fs::remove_file(&path).unwrap();
}
