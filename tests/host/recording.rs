//! Recorded runs of hosts with threads: whatever order the threads brought about is in the file, and a
//! replay of it says the same bytes.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use netloom::Instant;
use netloom::base::Protocol;
use netloom::base::checksum::checksum;
use netloom::capture::{RecordingSettings, Replay, ReplayEnd};
use netloom::device::{Device, Receive, RxBatch, Sent, Transmit};
use netloom::host::UdpSocket;
use netloom::ipv4::Fields;
use netloom::link::ethernet::EtherType;
use netloom::link::{TxFrame, TxMeta};
use netloom::stack::{InterfaceId, PacketOptions, RawOptions};

use super::*;

/// A file of this test run, gone when dropped.
pub(super) struct Temporary(pub(super) PathBuf);

impl Temporary {
    pub(super) fn new(name: &str) -> Self {
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
        files.iter().for_each(ten_times_the_same);
    }
}

fn ten_times_the_same(file: &Temporary) {
    for round in 0..10 {
        let mut replay = Replay::open(&file.0).unwrap();
        let end = replay
            .run()
            .unwrap_or_else(|found| panic!("{round}: {found}"));
        assert!(matches!(end, ReplayEnd::Complete), "{end}");
        assert!(replay.packet() > 50);
    }
}

/// A packet from this peer to our port 7, its checksums right.
fn packet(from: u32, protocol: u8, transport: &[u8], checksum_at: usize) -> Vec<u8> {
    let len = u16::try_from(20 + transport.len()).unwrap();
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol];
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend((0x0a07_0000 | from & 0xffff).to_be_bytes());
    packet.extend([10, 7, 0, 1]);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut pseudo = packet[12..20].to_vec();
    pseudo.extend([0, protocol]);
    pseudo.extend((len - 20).to_be_bytes());
    if protocol == 1 {
        pseudo.clear(); // ICMP sums up itself only
    }
    pseudo.extend(transport);
    let sum = checksum(&pseudo).to_be_bytes();
    packet.extend(transport);
    packet[20 + checksum_at..][..2].copy_from_slice(&sum);
    packet
}

/// One packet of a flood, each kind in its turn: SYNs, ACKs and resets out of the blue, UDP and pings, nonsense.
fn of_a_flood(round: u64, random: u64) -> Vec<u8> {
    let [a, b, c, d, ..] = random.to_le_bytes();
    let from = (random >> 32) as u32;
    let tcp = |flags| {
        let mut header = vec![
            a, b, 0, 7, c, d, a, b, d, c, b, a, 0x50, flags, 16, 0, 0, 0, 0, 0,
        ];
        header.extend(&[7; 30][..usize::from(a % 31)]);
        packet(from, 6, &header, 16)
    };
    match round % 7 {
        0 | 1 => tcp(0x02),
        2 => tcp(0x10),
        3 => tcp(0x04),
        4 => packet(from, 17, &[a, b, c, d, 0, 12, 0, 0, 1, 2, 3, 4], 6),
        5 => packet(from, 1, &[8, 0, 0, 0, a, b, c, d, 1, 2, 3, 4], 2),
        _ => {
            let mut nonsense = tcp(d);
            let at = usize::from(a) % nonsense.len();
            nonsense[at] ^= b | 1;
            nonsense.truncate(usize::from(c));
            nonsense
        }
    }
}

/// Everything that a stack refuses, drops, limits and answers, faster than it can.
#[test]
fn floods_replay() {
    for payload in [true, false] {
        let file = Temporary::new(&format!("floods-{payload}"));
        let settings = RecordingSettings::new(std::time::UNIX_EPOCH).queue(1 << 30);
        let (ours, theirs) = pair(Medium::Ip, 1500);
        let host = Host::builder(ours)
            .address("10.7.0.1/16".parse().unwrap())
            .record_with(&file.0, settings.payload(payload));
        let host = host.spawn().unwrap();
        let options = ListenOptions::default().backlog(64);
        let _listener = host.tcp_listen_with("10.7.0.1:7", options).unwrap();
        let (mut rx, mut tx) = theirs.split();
        let mut batch = RxBatch::new(64);
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..7_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let packet = of_a_flood(round, random);
            let frame = TxFrame::new(&packet, &[], TxMeta::PLAIN);
            while tx.transmit(Instant::ZERO, &frame).unwrap() == Sent::Full {
                thread::yield_now();
            }
            // Its answers are not taken at all for a while: its device is full.
            if round % 2000 < 1500 {
                let _ = rx.receive(Instant::ZERO, &mut batch).unwrap();
                batch.drain().for_each(drop);
            }
        }
        host.shutdown(LONG);
        let watch = host.recording().unwrap();
        assert_eq!((watch.wait(), watch.stats().lost), (None, 0));
        ten_times_the_same(&file);
        let mut replay = Replay::open(&file.0).unwrap();
        let _ = replay.run().unwrap();
        let counters = replay.stack().counters();
        assert!(counters.rx_frames >= 6_000, "{counters:?}");
        let reasons = counters.drops.iter().filter(|(_, count)| *count > 0);
        assert!(reasons.count() >= 5, "{counters:?}");
        assert!(counters.tcp_cookies_sent > 100, "{counters:?}");
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
        six.send_to(&[round; 1200], "[fd07::2]:6000").unwrap();
        let (_, from) = theirs.recv_from(&mut [0; 2000]).unwrap();
        theirs.send_to(&[round; 10], from).unwrap();
        // Nobody is there.
        let _ = ours.send_to(&[round; 900], "10.7.0.2:6001");
    }
    a.ping("10.7.0.2".parse().unwrap(), LONG).unwrap();
    drop((ours, theirs, six));
    recorded.replays();
}

/// The same of packet sockets.
#[test]
fn packet_sockets_are_replayed() {
    let recorded = Recorded::over("packets", Medium::Ethernet, None);
    let (a, b) = &recorded.hosts;
    let (of, first) = (EtherType(0x88b5), InterfaceId::from_scope(1).unwrap());
    let options = PacketOptions::new(first).ether_type(of);
    let [here, there] = [a, b].map(|host| host.packet_socket(options).unwrap());
    for round in 1..30usize {
        here.send_to(MacAddr::BROADCAST, of, vec![7; 50 * round])
            .unwrap();
        let heard = there.recv(LONG).unwrap();
        there
            .send_to(heard.src.unwrap(), of, heard.payload)
            .unwrap();
        assert_eq!(here.recv(LONG).unwrap().payload.len(), 50 * round);
    }
    drop((here, there));
    recorded.replays();
}

/// What raw sockets hear and send is told again, with payload and without, with headers of the user's too.
#[test]
fn raw_sockets_are_replayed() {
    let recorded = Recorded::over("raw", Medium::Ethernet, None);
    let (a, b) = &recorded.hosts;
    for protocol in [Protocol(253), Protocol::UDP] {
        let of = RawOptions::v4(protocol);
        let [here, there] = [a, b].map(|host| host.raw_socket(of).unwrap());
        let whole = a.raw_socket(of.header_included(true)).unwrap();
        for round in 1..40usize {
            let data = vec![7; 50 * round];
            here.send_to(B4.parse().unwrap(), data).unwrap();
            assert_eq!(there.recv(LONG).unwrap().payload.len(), 50 * round);
            let mut packet = vec![0; 20];
            let to = B4.parse().unwrap();
            Fields::new(Ipv4Addr::UNSPECIFIED, to, protocol).emit(0, &mut packet);
            packet.resize(20 + round, 9);
            whole.send_to(to.into(), packet).unwrap();
            let heard = there.recv(LONG).unwrap();
            there.send_to(heard.src, heard.payload).unwrap();
            assert_eq!(here.recv(LONG).unwrap().payload.len(), round);
            drop(whole.recv(LONG).unwrap());
        }
    }
    recorded.replays();
}
