//! Recorded runs of hosts with threads: whatever order the threads brought about is in the file, and a
//! replay of it says the same bytes.

use std::path::PathBuf;

use netloom::capture::{RecordingSettings, Replay, ReplayEnd};
use netloom::host::UdpSocket;

use super::*;

/// A file of this test run, gone when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let name = format!("netloom-{}-{name}.pcapng", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Both hosts, recorded, B of them without payload.
struct Recorded {
    hosts: (Host, Host),
    files: [Temporary; 2],
}

impl Recorded {
    fn over(name: &str, medium: Medium, wire: Option<WireConfig>) -> Self {
        let files = ["a", "b"].map(|host| Temporary::new(&format!("{name}-{host}")));
        let settings = RecordingSettings::new(std::time::UNIX_EPOCH).queue(1 << 30);
        let (a, b) = pair(medium, 1500);
        let wire = wire.unwrap_or_else(WireConfig::perfect);
        let b = Impair::new(b, Seed::from_number(4))
            .sending(wire.clone())
            .receiving(wire);
        let a = Host::builder(a)
            .address("10.7.0.1/24".parse().unwrap())
            .address("fd07::1/64".parse().unwrap())
            .record_with(&files[0].0, settings.clone());
        let b = Host::builder(b)
            .address("10.7.0.2/24".parse().unwrap())
            .address("fd07::2/64".parse().unwrap())
            .record_with(&files[1].0, settings.payload(false));
        let hosts = (a.spawn().unwrap(), b.spawn().unwrap());
        hosts.0.wait_ready(LONG).unwrap();
        hosts.1.wait_ready(LONG).unwrap();
        Self { hosts, files }
    }

    /// Ends both, and replays what they left behind, ten times.
    fn replays(self) {
        let Self { hosts, files } = self;
        for host in [hosts.0, hosts.1] {
            host.shutdown(LONG);
            let watch = host.recording().unwrap();
            assert_eq!(watch.wait(), None);
            assert_eq!(watch.stats().lost, 0);
        }
        for file in &files {
            for round in 0..10 {
                let mut replay = Replay::open(&file.0).unwrap();
                let end = replay
                    .run()
                    .unwrap_or_else(|found| panic!("{round}: {found}"));
                assert!(matches!(end, ReplayEnd::Complete), "{end}");
                assert!(replay.packet() > 50);
            }
        }
    }
}

#[test]
fn bulk_both_ways_replays() {
    for medium in [Medium::Ethernet, Medium::Ip] {
        let recorded = Recorded::over(&format!("bulk-{medium:?}"), medium, None);
        let (near, far) = connected(&recorded.hosts.0, &recorded.hosts.1);
        let data = pattern(1 << 20, 3);
        thread::scope(|scope| {
            for stream in [&near, &far] {
                let data = &data;
                scope.spawn(move || {
                    (&*stream).write_all(data).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                });
                scope.spawn(move || assert!(read_all(stream) == *data));
            }
        });
        drop((near, far));
        recorded.replays();
    }
}

#[test]
fn a_bad_wire_replays() {
    let bad = WireConfig::perfect()
        .loss(Chance::percent(2))
        .duplication(Chance::percent(1))
        .corruption(Chance::percent(1))
        .delay(Duration::from_micros(300));
    let recorded = Recorded::over("bad", Medium::Ethernet, Some(bad));
    let (near, far) = connected(&recorded.hosts.0, &recorded.hosts.1);
    let data = pattern(300_000, 5);
    thread::scope(|scope| {
        scope.spawn(|| {
            (&near).write_all(&data).unwrap();
            near.shutdown(Shutdown::Write).unwrap();
        });
        assert!(read_all(&far) == data);
    });
    drop((near, far));
    recorded.replays();
}

/// Users in 16 threads, each with connections that come and go, who lead and are led.
#[test]
fn many_users_and_connections_replay() {
    let recorded = Recorded::over("users", Medium::Ethernet, None);
    let (a, b) = (&recorded.hosts.0, &recorded.hosts.1);
    let listener = b.tcp_listen((B4, 7)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for stream in listener.incoming().take(16 * 20) {
                let mut stream = stream.unwrap();
                scope.spawn(move || {
                    let mut buf = [0; 100];
                    while let Ok(len @ 1..) = stream.read(&mut buf) {
                        stream.write_all(&buf[..len]).unwrap();
                    }
                });
            }
        });
        for user in 0..16_usize {
            scope.spawn(move || {
                for round in 0..20 {
                    let mut stream = a.tcp_connect("10.7.0.2:7").unwrap();
                    stream.set_read_timeout(Some(LONG)).unwrap();
                    let said = vec![user as u8; 1 + round * 7];
                    stream.write_all(&said).unwrap();
                    let mut heard = vec![0; said.len()];
                    stream.read_exact(&mut heard).unwrap();
                    assert_eq!(heard, said);
                    if round % 3 == 0 {
                        stream.abort().unwrap();
                    }
                }
            });
        }
    });
    drop(listener);
    recorded.replays();
}

/// UDP both ways, to ports that nobody has too: ICMP errors quote what was sent.
#[test]
fn udp_and_ping_replay() {
    let recorded = Recorded::over("udp", Medium::Ethernet, None);
    let (a, b) = (&recorded.hosts.0, &recorded.hosts.1);
    let ours: UdpSocket = a.udp_bind("10.7.0.1:5000").unwrap();
    let theirs = b.udp_bind("[::]:6000").unwrap();
    ours.set_read_timeout(Some(LONG)).unwrap();
    theirs.set_read_timeout(Some(LONG)).unwrap();
    let six = a.udp_bind("[::]:5001").unwrap();
    for round in 0..50_u8 {
        six.send_to(&[round; 1200], "[fd07::2]:6000".parse().unwrap())
            .unwrap();
        let (_, from) = theirs.recv_from(&mut [0; 2000]).unwrap();
        theirs.send_to(&[round; 10], from).unwrap();
        // Nobody is there.
        let _ = ours.send_to(&[round; 900], "10.7.0.2:6001".parse().unwrap());
    }
    a.ping("10.7.0.2".parse().unwrap(), LONG).unwrap();
    drop((ours, theirs, six));
    recorded.replays();
}
