//! Captures of a run: opened by another program, read back, and cut short by a full disk.

use std::collections::HashMap;
use std::fmt::Debug;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netloom::base::checksum::Sum;
use netloom::capture::{CaptureStats, Direction, Ended, LinkType, Reader};
use netloom::device::Medium;
use netloom::host::{Host, TcpStream};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::Test;
use crate::echo::kernel_ping;
use crate::link::{Link, Offload, PATIENCE, connected, kernel, kernel_counter, kernel_udp, ours};

pub(crate) const TESTS: &[Test] = &[
    ("capture::of_a_tap_opens_elsewhere", of_a_tap),
    ("capture::of_a_tun_opens_elsewhere", of_a_tun),
    ("capture::of_a_plain_device_shows_its_wire", || {
        wire(Link::new(Medium::Ethernet, Offload::None));
        wire(Link::new(Medium::Ip, Offload::None));
    }),
    ("capture::of_super_segments_is_in_order", || wire(Link::TAP)),
    (
        "capture::a_full_disk_ends_it_and_not_the_traffic",
        full_disk,
    ),
];

/// A file of one test's.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// What has no retransmission of its own is asked again: a link may lose one frame in a hundred.
fn asked<T, E: Debug>(mut ask: impl FnMut() -> Result<T, E>) -> T {
    (0..9)
        .find_map(|_| ask().ok())
        .unwrap_or_else(|| ask().unwrap())
}

/// A bit of everything, a super-segment both ways included.
pub(crate) fn traffic(host: &Host) {
    let soon = Some(Duration::from_secs(1));
    for v6 in [false, true] {
        asked(|| kernel_ping(ours(v6), 1, 56));
        asked(|| host.ping(kernel(v6), Duration::from_secs(1)));
        let us = host.udp_bind((ours(v6), 0)).unwrap();
        us.set_read_timeout(soon).unwrap();
        let them = kernel_udp((kernel(v6), 0).into());
        them.set_read_timeout(soon).unwrap();
        let mut buf = [0; 16];
        let (len, from) = asked(|| {
            us.send_to(b"question", them.local_addr().unwrap()).unwrap();
            them.recv_from(&mut buf)
        });
        asked(|| {
            them.send_to(&buf[..len], from).unwrap();
            us.recv_datagram()
        });
        for inward in [false, true] {
            let (mut us, mut them) = connected(host, v6, inward);
            let text = vec![0x5a; 1 << 20];
            thread::scope(|scope| {
                scope.spawn(|| {
                    them.write_all(&text).unwrap();
                    them.shutdown(Shutdown::Write).unwrap();
                    let mut got = Vec::new();
                    them.read_to_end(&mut got).unwrap();
                    assert!(got == text);
                });
                let mut got = Vec::new();
                us.read_to_end(&mut got).unwrap();
                assert!(got == text);
                us.write_all(&text).unwrap();
                us.shutdown(Shutdown::Write).unwrap();
            });
        }
    }
}

fn of_a_tap() {
    opens_elsewhere(Link::TAP, &file("kernel-tap.pcapng"));
}

fn of_a_tun() {
    opens_elsewhere(Link::TUN, &file("kernel-tun.pcapng"));
}

fn opens_elsewhere(link: Link, path: &Path) {
    let started = since_epoch(SystemTime::now());
    let host = link.host_with(Some(path));
    traffic(&host);
    let watch = host.capture().unwrap().clone();
    assert_eq!(host.shutdown(PATIENCE), 0);
    let counters = host.counters();
    // On a busy machine a sender may probe before the acknowledgement comes.
    let again = counters.tcp_retransmits + kernel_counter("snmp", "Tcp:", "RetransSegs");
    drop(host);
    let stats = watch.stats();
    assert_eq!(stats.written, stats.seen, "{stats:?}");
    assert_eq!(stats.seen, counters.rx_frames + counters.tx_frames);
    let ended = since_epoch(SystemTime::now());
    read_back(link, path, &stats, started, ended);
    tshark(path, &stats, again);
    fs::remove_file(path).unwrap();
}

fn since_epoch(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

fn read_back(link: Link, path: &Path, stats: &CaptureStats, from: u64, to: u64) {
    let mut reader = Reader::open(path).unwrap();
    let expected = match link.medium {
        Medium::Ethernet => LinkType::ETHERNET,
        Medium::Ip => LinkType::RAW,
    };
    let mut ways = [0u64; 2];
    // The wall clock may be set while the test runs, by a little.
    let slack = 1_000_000_000;
    for frame in reader.by_ref() {
        assert_eq!(frame.link, expected);
        assert!(!frame.is_cut());
        let at = frame.at.unwrap();
        assert!(at + slack > from && at < to + slack, "{from} {at} {to}");
        ways[usize::from(frame.direction.unwrap() == Direction::Inbound)] += 1;
    }
    assert!(matches!(reader.ended(), Some(Ended::Complete)));
    assert_eq!(reader.counts().frames, stats.written);
    assert!(ways[0] > 20 && ways[1] > 20, "out, in: {ways:?}");
}

/// Where tshark is installed it must read every frame, find nothing malformed, and no more sent again
/// than was: it goes by the order of the frames.
fn tshark(path: &Path, stats: &CaptureStats, again: u64) {
    let output = Command::new("tshark")
        .args([
            "-n",
            "-T",
            "fields",
            "-e",
            "frame.number",
            "-e",
            "_ws.malformed",
        ])
        .args([
            "-e",
            "tcp.analysis.retransmission",
            "-e",
            "ip.checksum.status",
        ])
        .args(["-o", "ip.check_checksum:TRUE", "-E", "separator=,", "-r"])
        .arg(path)
        .env("HOME", env!("CARGO_TARGET_TMPDIR")) // no settings of anybody's
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        output => output.unwrap(),
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count() as u64, stats.written, "{errors}");
    let mut found = 0;
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[1], "", "malformed: {line}");
        assert_ne!(fields[3], "0", "a bad header checksum: {line}");
        found += u64::from(!fields[2].is_empty());
    }
    assert!(found <= again, "{found} sent again, {again} counted");
}

/// Without offload every frame is one of the wire, whole, with its checksum; and nothing stands before
/// what it acknowledges, though one thread sends while another reads the answer.
fn wire(link: Link) {
    let path = file("kernel-wire.pcapng");
    let host = link.host_with(Some(&path));
    text_both_ways(&host);
    assert_eq!(host.shutdown(PATIENCE), 0);
    let lost = host.capture().unwrap().stats().lost_queue;
    drop(host);
    assert_eq!(lost, 0, "the rest says nothing then");
    let plain = link.offload == Offload::None;
    let mut sent = Numbers::new();
    let mut last = 0;
    for frame in Reader::open(&path).unwrap() {
        let at = frame.at.unwrap();
        assert!(at >= last, "time runs back");
        last = at;
        let link_header = if link.medium == Medium::Ethernet {
            14
        } else {
            0
        };
        let ip = &frame.data[link_header..];
        if ip[0] >> 4 != 4 || ip[9] != 6 {
            continue;
        }
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let (header, segment) = (&ip[..20], &ip[20..total]);
        let way = if frame.direction == Some(Direction::Inbound) {
            "in"
        } else {
            "out"
        };
        if plain {
            assert!(total <= 1500, "{total} bytes {way}");
            let sum = Sum::new()
                .bytes(&header[12..])
                .word(6)
                .word(segment.len() as u16);
            assert!(
                sum.bytes(segment).is_valid(),
                "a checksum {way} is not the wire's"
            );
        }
        acknowledges_what_was_sent(&mut sent, segment, way);
    }
    assert!(sent.len() >= 8, "{} ends", sent.len());
    fs::remove_file(path).unwrap();
}

/// The highest number that each end has sent, by its port and the other's.
type Numbers = HashMap<(Vec<u8>, Vec<u8>), u32>;

/// A TCP segment acknowledges nothing that was not sent by then.
fn acknowledges_what_was_sent(sent: &mut Numbers, segment: &[u8], way: &str) {
    let long = |at: usize| u32::from_be_bytes(segment[at..at + 4].try_into().unwrap());
    let (src, dst) = (segment[..2].to_vec(), segment[2..4].to_vec());
    let flags = u32::from(segment[13]);
    let text = segment.len() - 4 * usize::from(segment[12] >> 4);
    let end = long(4).wrapping_add(text as u32 + (flags & 1) + (flags >> 1 & 1));
    if flags & 0x10 != 0 && flags & 4 == 0 {
        let other = *sent
            .get(&(dst.clone(), src.clone()))
            .expect("nothing was sent to it");
        let ahead = long(8).wrapping_sub(other) as i32;
        assert!(
            ahead <= 0,
            "an ACK {way} stands {ahead} bytes before what it acknowledges"
        );
    }
    let highest = sent.entry((src, dst)).or_insert(end);
    if end.wrapping_sub(*highest) as i32 > 0 {
        *highest = end;
    }
}

/// Four connections that are full both ways.
fn text_both_ways(host: &Host) {
    thread::scope(|scope| {
        for inward in [false, true, false, true] {
            let (us, them) = connected(host, false, inward);
            let text = &[0x5a; 400_000];
            for (mut from, mut to) in [
                (
                    Ends::Ours(us.try_clone().unwrap()),
                    Ends::Theirs(them.try_clone().unwrap()),
                ),
                (Ends::Theirs(them), Ends::Ours(us)),
            ] {
                scope.spawn(move || from.write_all(text).unwrap());
                scope.spawn(move || to.read_exact(&mut vec![0; text.len()]).unwrap());
            }
        }
    });
}

/// Either end of a connection.
enum Ends {
    Ours(TcpStream),
    Theirs(std::net::TcpStream),
}

impl Read for Ends {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Ours(stream) => stream.read(buf),
            Self::Theirs(stream) => stream.read(buf),
        }
    }
}

impl Write for Ends {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Ours(stream) => stream.write(buf),
            Self::Theirs(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A disk of one's own: a small tmpfs that only this thread, and those it starts, see.
pub(crate) struct Disk(pub(crate) PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        // Only an empty directory would stay behind.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.0);
    }
}

pub(crate) fn private_disk(at: PathBuf, options: &str) -> Disk {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    fs::create_dir_all(&at).unwrap();
    mount(
        Some("tmpfs"),
        &at,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options),
    )
    .unwrap();
    Disk(at)
}

fn full_disk() {
    let disk = private_disk(file("kernel-full-disk"), "size=128k");
    let path = disk.0.join("run.pcapng");
    let host = Link::TAP.host_with(Some(&path));
    traffic(&host);
    let watch = host.capture().unwrap().clone();
    // Told when it happens, not at the end.
    let failure = watch.wait().unwrap();
    assert_eq!(failure.kind(), ErrorKind::StorageFull, "{failure}");
    // The traffic goes on.
    assert!(host.error().is_none());
    traffic(&host);
    assert_eq!(host.shutdown(PATIENCE), 0);
    drop(host);
    let stats = watch.stats();
    assert!(stats.lost_error > 0, "{stats:?}");
    assert_eq!(
        stats.seen,
        stats.written + stats.lost_error + stats.lost_queue,
        "{stats:?}"
    );
    // What was written before can be read.
    let mut reader = Reader::open(&path).unwrap();
    let frames = reader.by_ref().count() as u64;
    assert_eq!(frames, stats.written, "{stats:?}");
    let ended = reader.ended().unwrap();
    assert!(matches!(ended, Ended::Complete), "a block is cut: {ended}");
}
