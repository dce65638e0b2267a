//! Recordings of simulated hosts, and what a replay makes of them: the same bytes, or the first difference.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use netloom::base::{Cidr, Seed};
use netloom::capture::{
    Reader, Recording, RecordingSettings, RecordingWatch, Replay, ReplayEnd, ReplayError, Why,
};
use netloom::device::{Capabilities, Chance, Device, Medium, Receive, Transmit, WireConfig};
use netloom::sim::{Bulk, Cx, HostConfig, Network, PortConfig, Sink, Wake};
use netloom::stack::{Event, Port, SocketId, UdpOptions};
use netloom::tcp::congestion::{Choice, Reno};
use netloom::tcp::{Keepalive, TcpOptions};

/// A file in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn at(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new([10, 0, 0, host].into(), port)
}

fn settings() -> RecordingSettings {
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    RecordingSettings::new(epoch)
}

/// What is asked of a run.
struct Run {
    seed: u64,
    offload: bool,
    settings: RecordingSettings,
    options: TcpOptions,
    time: Duration,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            offload: seed % 2 == 1,
            settings: settings(),
            options: TcpOptions::default(),
            time: Duration::from_millis(1500),
        }
    }

    /// Two hosts whose link loses, reorders and corrupts, of which both are recorded.
    fn run(self) -> [(Vec<u8>, RecordingWatch); 2] {
        let mut net = Network::new(self.seed);
        let wire = WireConfig::perfect()
            .rate(20_000_000)
            .delay(Duration::from_millis(3))
            .jitter(Duration::from_millis(2))
            .loss(Chance::percent(1))
            .corruption(Chance::percent(1));
        let files = [Memory::default(), Memory::default()];
        let watches: Arc<Mutex<Vec<RecordingWatch>>> = Arc::default();
        let hosts = [0, 1].map(|n| {
            let (file, settings) = (files[n].clone(), self.settings.clone());
            let watches = Arc::clone(&watches);
            net.add_host(HostConfig::new(format!("h{n}")).journal(move |config| {
                let recording = Recording::start(file, config, &settings).unwrap();
                watches.lock().unwrap().push(recording.watch());
                Box::new(recording)
            }))
        });
        let port = |n: usize| {
            let v4: Cidr = format!("10.0.0.{}/24", n + 1).parse().unwrap();
            let v6: Cidr = format!("fd00::{}/64", n + 1).parse().unwrap();
            let port = PortConfig::new().address(v4).address(v6);
            hosts[n].port(port.offload(self.offload))
        };
        net.link(port(0), port(1), wire).unwrap();
        net.add_app(hosts[1], Sink::new(at(2, 9)));
        net.add_app(
            hosts[0],
            Bulk::new(at(2, 9)).bytes(300_000).options(self.options),
        );
        net.add_app(hosts[0], everything());
        net.run_for(self.time).unwrap();
        drop(net);
        let mut watches = watches
            .lock()
            .unwrap()
            .drain(..)
            .collect::<Vec<_>>()
            .into_iter();
        files.map(|file| {
            let watch = watches.next().unwrap();
            watch.wait();
            (file.bytes(), watch)
        })
    }
}

/// An application that calls everything, some of it in vain.
fn everything() -> impl FnMut(&mut Cx<'_>, Wake) + 'static {
    let mut own = None;
    move |cx, wake| match wake {
        Wake::Start => {
            let id = cx.udp_bind(at(1, 53), UdpOptions::new()).unwrap();
            let segment = 1000.try_into().unwrap();
            let _ = cx.udp_send_segmented(id, Some(at(2, 54)), vec![1; 3000].into(), segment);
            let _ = cx.udp_send(id, Some(at(2, 9)), vec![2; 700].into());
            let ping = cx.ping_open(Default::default()).unwrap();
            let _ = cx.ping_send(ping, at(2, 0).ip(), None, 7, vec![3; 40].into());
            let six = "[fd00::2]:9".parse().unwrap();
            let _ = cx.tcp_connect(six, TcpOptions::default());
            let id = cx.tcp_connect(at(2, 9), TcpOptions::default()).unwrap();
            cx.tcp_write(id, b"hello").unwrap();
            own = Some(id);
            cx.alarm_in(Duration::from_millis(300), 1);
        }
        Wake::Alarm(_) => {
            let id = own.unwrap();
            let _ = cx.tcp_read(id, &mut [0; 100]);
            let _ = cx.tcp_peek(id, &mut [0; 100]);
            cx.tcp_abort(id);
            let _ = cx.tcp_write(id, b"too late");
        }
        Wake::Event(event) => match event.id {
            SocketId::Udp(id) => drop(cx.udp_recv(id)),
            SocketId::Ping(id) => drop(cx.ping_recv(id)),
            _ => {}
        },
        _ => {}
    }
}

fn replay(file: &[u8]) -> Replay<&[u8]> {
    Replay::new(file).unwrap()
}

/// Replays to the end; a difference is a panic.
fn end_of(file: &[u8]) -> ReplayEnd {
    replay(file).run().unwrap_or_else(|found| panic!("{found}"))
}

#[test]
fn a_recording_replays_to_the_last_byte() {
    for seed in 1..=4 {
        for (file, watch) in Run::new(seed).run() {
            assert_eq!(watch.failure(), None);
            let mut replay = replay(&file);
            let end = replay
                .run()
                .unwrap_or_else(|found| panic!("seed {seed}: {found}"));
            assert!(matches!(end, ReplayEnd::Complete), "{end}");
            assert!(
                replay.stack().counters().tcp_opened + replay.stack().counters().rx_frames > 50
            );
            assert!(replay.packet() > 500, "{}", replay.packet());
        }
    }
}

#[test]
fn without_payload_it_is_small_and_replays_with_a_stand_in() {
    for seed in 1..=2 {
        let whole = Run::new(seed).run();
        let run = Run {
            settings: settings().payload(false),
            ..Run::new(seed)
        };
        for ((file, _), (whole, _)) in run.run().iter().zip(&whole) {
            assert!(matches!(end_of(file), ReplayEnd::Complete));
            assert!(!replay(file).has_payload());
            // The 300,000 bytes in frames, and in the writes of who sends them.
            assert!(
                file.len() + 250_000 < whole.len(),
                "{} of {}",
                file.len(),
                whole.len()
            );
            let payload = Reader::new(&file[..]).filter(|f| f.data.ends_with(&[0xb5; 64]));
            assert_eq!(payload.count(), 0);
        }
    }
}

/// Wireshark shows the frames in their interface, and the inputs in one of user link type.
#[test]
fn a_recording_is_a_capture() {
    let [(file, _), _] = Run::new(1).run();
    let mut reader = Reader::new(&file[..]);
    let (mut own, mut frames, mut last) = (0, 0, 0);
    for frame in reader.by_ref() {
        match frame.link.0 {
            147 => {
                own += 1;
                assert!(frame.at.unwrap() >= last, "inputs are in the order of time");
                last = frame.at.unwrap();
                assert!(frame.direction.is_none());
            }
            1 => {
                frames += 1;
                assert!(!frame.is_cut() && frame.direction.is_some());
            }
            other => panic!("link type {other}"),
        }
        assert!(frame.at.unwrap() >= 1_700_000_000_000_000_000);
        assert!(frame.data.len() <= 262_144, "Wireshark takes it");
    }
    assert!(own > 500 && frames > 200, "{own}, {frames}");
    assert_eq!(reader.counts().unreadable, 0);
    assert_eq!(reader.ended().unwrap().to_string(), "complete");
}

#[test]
fn one_that_breaks_off_replays_up_to_there_and_says_so() {
    let [(file, _), _] = Run::new(1).run();
    let step = file.len() / 150 + 1;
    let mut begun = 0;
    for len in (0..file.len() - 1)
        .step_by(step)
        .chain(file.len() - 700..file.len() - 1)
    {
        match Replay::new(&file[..len]) {
            Err(ReplayError::Empty) => assert!(len < 600, "{len}"),
            Err(error) => panic!("{len}: {error}"),
            Ok(mut replay) => {
                let end = replay
                    .run()
                    .unwrap_or_else(|found| panic!("{len}: {found}"));
                assert!(
                    matches!(end, ReplayEnd::Cut { .. } | ReplayEnd::Complete),
                    "{len}: {end}"
                );
                begun += 1;
            }
        }
    }
    assert!(begun > 700);
}

#[test]
fn what_ends_early_has_a_mark_and_a_count() {
    let limited = Run {
        settings: settings().size_limit(Some(400_000)),
        ..Run::new(1)
    };
    let crowded = Run {
        // Less than what one turn brings.
        settings: settings().queue(1),
        ..Run::new(1)
    };
    for (run, reason) in [(limited, Why::SizeLimit), (crowded, Why::QueueFull)] {
        let [(file, watch), _] = run.run();
        let stats = watch.stats();
        match end_of(&file) {
            ReplayEnd::Early { why, lost } => {
                assert_eq!((why, lost), (reason, stats.lost));
                assert!(lost > 10 && lost < stats.entries, "{stats:?}");
                assert_eq!(watch.failure(), Some(why.to_string()));
            }
            // A thread that is fast enough.
            ReplayEnd::Complete => assert_eq!((reason, stats.lost), (Why::QueueFull, 0)),
            other => panic!("{reason}: {other}"),
        }
        assert!(reason == Why::QueueFull || file.len() < 400_000);
    }
}

/// The limit is one on the file, however large the entry that would pass it.
#[test]
fn a_large_entry_does_not_pass_the_size_limit() {
    let device = Capabilities::full(Medium::Ip, 1500);
    let interface = netloom::InterfaceConfig::new(&device).address("10.0.0.1/24".parse().unwrap());
    let now = netloom::Instant::ZERO;
    // Of 900 KB with an entry of 600.
    for limit in (100_000..900_000).step_by(61_000) {
        let file = Memory::default();
        let config = netloom::Config::new(Seed::from_number(1));
        let settings = settings().size_limit(Some(limit as u64));
        let recording = Recording::start(file.clone(), &config, &settings).unwrap();
        let watch = recording.watch();
        let mut stack = netloom::Stack::recorded(config, Box::new(recording));
        stack.add_interface(now, interface.clone()).unwrap();
        let options = TcpOptions::default().send_buffer(1 << 20);
        let id = stack.tcp_connect(now, at(2, 9), None, options).unwrap();
        for len in [1000, 99_000, 600_000, 200_000, 9] {
            assert_eq!(stack.tcp_write(now, id, &vec![7; len]).unwrap(), len);
        }
        drop(stack);
        watch.wait();
        let (file, stats) = (file.bytes(), watch.stats());
        assert!(file.len() <= limit, "{} of {limit}", file.len());
        // What comes first is there: little is kept back.
        assert!(limit < 200_000 || file.len() > 100_000);
        assert!(limit < 800_000 || file.len() > 700_000);
        match end_of(&file) {
            ReplayEnd::Early { why, lost } => {
                assert_eq!((why, lost), (Why::SizeLimit, stats.lost));
                assert!(lost > 0, "{stats:?}");
            }
            other => panic!("{limit}: {other}"),
        }
    }
    // One that does not hold the beginning says so.
    let config = netloom::Config::new(Seed::from_number(1));
    let none = settings().size_limit(Some(60_000));
    assert!(Recording::start(Memory::default(), &config, &none).is_err());
}

/// A recording, without payload, of a stack with any settings to which something was done.
fn hoard(
    config: netloom::Config,
    medium: Medium,
    done: impl FnOnce(&mut netloom::Stack, netloom::stack::InterfaceId),
) -> Vec<u8> {
    let file = Memory::default();
    let settings = settings().payload(false);
    let recording = Recording::start(file.clone(), &config, &settings).unwrap();
    let watch = recording.watch();
    let mut stack = netloom::Stack::recorded(config, Box::new(recording));
    let interface = netloom::InterfaceConfig::new(&Capabilities::full(medium, 65_535));
    let interface = interface.address("10.0.0.1/16".parse().unwrap());
    let on = stack
        .add_interface(netloom::Instant::ZERO, interface)
        .unwrap();
    done(&mut stack, on);
    drop(stack);
    assert_eq!(watch.wait(), None);
    file.bytes()
}

/// A short file may stand for as much memory as it likes: its replay ends before it has taken that.
#[test]
fn a_replay_takes_no_more_memory_than_it_may() {
    let now = netloom::Instant::ZERO;
    let config = || {
        let config = netloom::Config::new(Seed::from_number(1)).socket_memory(usize::MAX);
        config
            .neighbour_queue(usize::MAX)
            .neighbour_queue_bytes(usize::MAX)
            .outbox_limit(usize::MAX)
    };
    let all = usize::MAX;
    let written = hoard(config(), Medium::Ip, |stack, _| {
        let options = TcpOptions::default().send_buffer(all);
        let id = stack.tcp_connect(now, at(2, 9), None, options).unwrap();
        for _ in 0..8 {
            assert_eq!(stack.tcp_write(now, id, &[7; 4 << 20]), Ok(4 << 20));
        }
    });
    let received = hoard(config(), Medium::Ip, |stack, on| {
        let options = UdpOptions::new().recv_buffer(all);
        let _ = stack.udp_bind(at(1, 9), options).unwrap();
        for _ in 0..400 {
            let meta =
                netloom::link::RxMeta::new(now).with_checksum(netloom::link::RxChecksum::Verified);
            let frame = netloom::link::RxFrame::new(datagram(60_000).into(), meta);
            stack.handle_frame(now, on, frame);
        }
        assert!(stack.memory().used > 20 << 20);
    });
    let unresolved = hoard(config(), Medium::Ethernet, |stack, on| {
        let options = UdpOptions::new().send_buffer(all);
        let id = stack.udp_bind(at(1, 9), options).unwrap();
        for _ in 0..400 {
            stack
                .udp_send_to(now, id, Some(at(2, 9)), &[7; 60_000])
                .unwrap();
        }
        let (ours, _theirs) = netloom::device::pair(Medium::Ethernet, 65_535);
        let mut port = Port::new(on, ours.split());
        for _ in 0..10 {
            turn(&mut port, stack, now);
        }
    });
    let opened = hoard(config(), Medium::Ip, |stack, _| {
        for _ in 0..6000 {
            let _ = stack.tcp_connect(now, at(2, 9), None, TcpOptions::default());
        }
    });
    ends_for_lack_of_memory("written", &written);
    ends_for_lack_of_memory("received", &received);
    ends_for_lack_of_memory("unresolved", &unresolved);
    ends_for_lack_of_memory("opened", &opened);
}

/// An interface with a hundred thousand routes is an entry of a few bytes for each: it is not even made. Many with
/// some of them, or with addresses, end like anything that adds up.
#[test]
fn an_interface_is_reckoned_before_it_is_made() {
    type Listed = fn(netloom::InterfaceConfig, u32) -> netloom::InterfaceConfig;
    let routed: Listed = |interface, number| {
        let to = std::net::Ipv4Addr::from_bits(0x0b00_0000 + number * 256);
        let to = Cidr::new(to.into(), 24).unwrap();
        interface.route(to, Some([10, 0, 0, 9].into()))
    };
    let addressed: Listed = |interface, number| {
        let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + number * 256 + 1);
        interface.address(Cidr::new(address.into(), 24).unwrap())
    };
    let many = |interfaces: u32, each: u32, listed: Listed| {
        hoard(
            netloom::Config::new(Seed::from_number(7)),
            Medium::Ip,
            |stack, _| {
                for first in (0..interfaces).map(|number| number * each) {
                    let bare = netloom::InterfaceConfig::new(&Capabilities::full(Medium::Ip, 1500));
                    let interface = (first..first + each).fold(bare, listed);
                    stack
                        .add_interface(netloom::Instant::ZERO, interface)
                        .unwrap();
                }
            },
        )
    };
    ends_for_lack_of_memory("routes", &many(40, 500, routed));
    ends_for_lack_of_memory("addresses", &many(40, 250, addressed));
    for (name, each, listed) in [("routes", 100_000, routed), ("addresses", 8_000, addressed)] {
        let file = many(1, each, listed);
        assert!(file.len() < 3 << 20, "{name}: {}", file.len());
        assert!(matches!(end_of(&file), ReplayEnd::Complete), "{name}");
        let mut replay = replay(&file).memory_limit(16 << 20);
        match replay.run() {
            Ok(ReplayEnd::Memory { held, .. }) => assert!(held > 16 << 20, "{name}: {held}"),
            other => panic!("{name}: {other:?}"),
        }
        // The first, which is the recorder's own, is all that was made.
        let made = |scope: u32| {
            let on = netloom::stack::InterfaceId::from_scope(scope).unwrap();
            replay.stack().addresses(on).count()
        };
        assert_eq!((made(1), made(2)), (1, 0), "{name}");
    }
}

/// Replayed whole where that much is allowed, and ended where it is not.
fn ends_for_lack_of_memory(name: &str, file: &[u8]) {
    const LIMIT: usize = 16 << 20;
    assert!(file.len() < 2 << 20, "{name}: {}", file.len());
    assert!(matches!(end_of(file), ReplayEnd::Complete), "{name}");
    let mut replay = replay(file).memory_limit(LIMIT);
    match replay.run() {
        Ok(ReplayEnd::Memory { held, limit }) => {
            assert_eq!(limit, LIMIT);
            assert!(held > LIMIT && held < LIMIT * 3 / 2, "{name}: {held}");
        }
        other => panic!("{name}: {other:?}"),
    }
}

/// What is due, received and sent at this time.
fn turn<R: Receive, T: Transmit>(
    port: &mut Port<R, T>,
    stack: &mut netloom::Stack,
    now: netloom::Instant,
) {
    let nobody = &mut |_: &mut netloom::Stack, _: netloom::Instant, _: Event| {};
    port.turn(now, stack, nobody).unwrap();
}

/// A UDP datagram to our port 9 in a packet of so many bytes.
fn datagram(len: u16) -> Vec<u8> {
    let mut packet = vec![0; usize::from(len)];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    (packet[8], packet[9]) = (64, 17);
    packet[12..16].copy_from_slice(&[10, 0, 0, 2]);
    packet[16..20].copy_from_slice(&[10, 0, 0, 1]);
    let sum = netloom::base::checksum::checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet[23] = 9;
    packet[21] = 7;
    packet[24..26].copy_from_slice(&(len - 20).to_be_bytes());
    packet
}

/// Each setting of a connection at one end of what its type holds.
fn options_at(time: Duration, bytes: usize, number: u8, mss: u16) -> Vec<TcpOptions> {
    let base = TcpOptions::default;
    let keepalive = Keepalive::after(Duration::ZERO).probes(number);
    vec![
        base().user_timeout(Some(time)),
        base().linger(Some(time)),
        base().min_rto(time),
        base().initial_rto(time),
        base().fin_timeout(time),
        base().keepalive(Some(Keepalive::after(time).interval(time))),
        base().send_buffer(bytes),
        base().send_buffer_max(bytes),
        base().both_ways_max(bytes),
        base().recv_buffer_max(bytes),
        base().recv_buffer_initial(bytes),
        base().ttl(number),
        base().tos(number),
        base().window_scale(Some(number)),
        base().quick_acks(number),
        base().retries(number).syn_retries(number),
        base().keepalive(Some(keepalive)).orphan_retries(number),
        base().mss(Some(mss)),
    ]
}

/// A file may hold any value of a setting: what is at its ends is a setting like others.
#[test]
fn settings_at_their_ends_are_replayed() {
    let least = options_at(Duration::ZERO, 0, 0, 0);
    let most = options_at(Duration::MAX, usize::MAX, u8::MAX, u16::MAX);
    for options in least.into_iter().chain(most) {
        let run = Run {
            options: options.clone(),
            time: Duration::from_millis(350),
            ..Run::new(3)
        };
        let [(file, _), _] = run.run();
        let end = end_of(&file);
        assert!(matches!(end, ReplayEnd::Complete), "{options:?}: {end}");
    }
}

/// The same of a stack and an interface.
#[test]
fn a_stack_whose_settings_are_at_their_ends_is_replayed() {
    let (least, most) = (Duration::ZERO, Duration::MAX);
    let config = || netloom::Config::new(Seed::from_number(1));
    let zeros = config()
        .time_wait(least)
        .time_wait_limit(0)
        .orphan_limit(0)
        .socket_memory(0)
        .icmp_errors_per_second(0)
        .icmp_errors_per_peer(0)
        .copy_below(0);
    let mosts = config()
        .time_wait(most)
        .time_wait_limit(usize::MAX)
        .icmp_errors_per_second(u32::MAX)
        .icmp_errors_per_peer(u32::MAX)
        .timer_budget(usize::MAX)
        .transmit_budget(usize::MAX)
        .neighbour_limit(usize::MAX)
        .copy_below(usize::MAX);
    let (low, high) = (9, 3);
    for config in [zeros, mosts, config().ephemeral_ports(low..=high)] {
        for (probes, delay) in [(0, least), (255, most)] {
            let file = hoard(config.clone(), Medium::Ethernet, |stack, on| {
                let device = Capabilities::full(Medium::Ethernet, usize::MAX);
                let second = netloom::InterfaceConfig::new(&device)
                    .address("fd00::1/64".parse().unwrap())
                    .dad_transmits(probes)
                    .dad_delay(delay);
                let second = stack.add_interface(netloom::Instant::ZERO, second).unwrap();
                let mut ports = [on, second].map(|on| {
                    let (ours, theirs) = netloom::device::pair(Medium::Ethernet, 1500);
                    (Port::new(on, ours.split()), theirs)
                });
                for round in 0..50 {
                    let now = netloom::Instant::from_millis(round * round * round);
                    let _ = stack.tcp_connect(now, at(2, 9), None, TcpOptions::default());
                    let _ = stack.udp_bind(at(1, 0), UdpOptions::new());
                    let meta = netloom::link::RxMeta::new(now);
                    let frame = [&[255; 12][..], &[8, 0], &datagram(100)].concat();
                    stack.handle_frame(now, on, netloom::link::RxFrame::new(frame.into(), meta));
                    for (port, _) in &mut ports {
                        turn(port, stack, now);
                    }
                }
            });
            assert!(matches!(end_of(&file), ReplayEnd::Complete));
        }
    }
}

/// A byte of a frame that was sent, of what a call returned: the difference is told as what it is.
#[test]
fn the_first_difference_is_told_with_packet_and_field() {
    let [(file, _), _] = Run::new(1).run();
    let mut reader = Reader::new(&file[..]);
    let mut number = 0;
    let found = reader.by_ref().find(|frame| {
        number += 1;
        let sent = frame.direction == Some(netloom::capture::Direction::Outbound);
        sent && frame.data.len() > 60 && frame.data[12..14] == [8, 0] && frame.data[23] == 6
    });
    let frame = found.unwrap().data;
    let place = file
        .windows(frame.len())
        .position(|bytes| bytes == &frame[..])
        .unwrap();
    for (offset, name) in [
        (14 + 8, "IPv4 TTL"),
        (34 + 3, "TCP destination port"),
        (34 + 4, "TCP sequence number"),
        (34 + 13, "TCP flags"),
        (34 + 22, "TCP options"),
    ] {
        let mut other = file.clone();
        other[place + offset] ^= 0x01;
        let told = replay(&other).run().unwrap_err();
        assert_eq!(told.packet, number, "{told}");
        assert!(told.field.starts_with(name), "{told}");
        assert_ne!(told.expected, told.got);
        let lines = told.to_string();
        assert!(
            lines.contains("recorded IP 10.0.0.1") || lines.contains("recorded "),
            "{lines}"
        );
        assert!(told.expected_line.is_some() && told.got_line.is_some());
    }
}

/// A file with a recording's mark and nonsense in it: an error that says where.
#[test]
fn nonsense_is_told_with_its_place() {
    let [(file, _), _] = Run::new(2).run();
    for (number, (start, entry)) in own_packets(&file).into_iter().enumerate().step_by(40) {
        let mut other = file.clone();
        // The kind of the entry.
        other[entry + 1] = 200;
        match Replay::new(&other[..]) {
            Err(error) => assert!(number == 0, "{number}: {error}"),
            Ok(mut replay) => match replay.run() {
                Ok(ReplayEnd::Nonsense { offset, what }) => {
                    assert_eq!(offset, start as u64, "{what}");
                    assert_eq!(what.to_string(), "200 stands for no entry");
                }
                other => panic!("{number}: {other:?}"),
            },
        }
    }
}

/// Any bytes may be changed: an end, a difference, an error, no panic.
#[test]
fn a_recording_that_was_tampered_with_ends_somehow() {
    let [(file, _), _] = Run::new(2).run();
    let mut seed = 1_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let packets = own_packets(&file);
    let (mut ends, mut differences, mut errors) = (0, 0, 0);
    for round in 0..300 {
        // Of the first ones, or what is behind them is read each time.
        let (_, entry) = packets[next(packets.len().min(if round % 2 == 0 { 4 } else { 80 }))];
        let mut other = file.clone();
        other[entry + next(64)] = next(256) as u8;
        match Replay::new(&other[..]).map(|mut replay| replay.run()) {
            Err(_) => errors += 1,
            Ok(Ok(_)) => ends += 1,
            Ok(Err(_)) => differences += 1,
        }
    }
    assert!(
        ends.min(differences).min(errors) > 2,
        "{ends} {differences} {errors}"
    );
}

/// Where each packet of the recording's own interface begins, and its data.
fn own_packets(file: &[u8]) -> Vec<(usize, usize)> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut found = Vec::new();
    let mut at = 0;
    while at < file.len() {
        if (word(at), word(at + 8)) == (6, 0) {
            found.push((at, at + 28));
        }
        at += word(at + 4) as usize;
    }
    found
}

#[test]
fn what_is_no_recording_is_refused_in_words() {
    let [(file, _), _] = Run::new(1).run();
    let error = |bytes: &[u8]| Replay::new(bytes).err().unwrap();
    assert!(matches!(error(b""), ReplayError::Empty));
    assert!(matches!(
        error(b"something else"),
        ReplayError::NotACapture(_)
    ));
    assert!(matches!(error(&file[..40]), ReplayError::Empty));
    // A capture of frames.
    let settings = netloom::capture::CaptureSettings::new(SystemTime::UNIX_EPOCH);
    let mut writer = netloom::capture::Writer::new(Vec::new(), &settings).unwrap();
    let wire = writer
        .interface(netloom::capture::LinkType::ETHERNET, "wire")
        .unwrap();
    let outbound = netloom::capture::Direction::Outbound;
    let _ = writer
        .frame(wire, netloom::Instant::ZERO, outbound, &[0; 60], &[])
        .unwrap();
    let frames = writer.finish().unwrap();
    assert!(matches!(error(&frames), ReplayError::NotARecording));
    // Another format: one line that names both.
    let mark = file
        .windows(8)
        .position(|bytes| bytes == b"netloom\x01")
        .unwrap();
    let mut other = file;
    other[mark + 8] = 99;
    let told = error(&other).to_string();
    assert!(told.contains("format 99, written by netloom 0."), "{told}");
    assert!(
        told.contains("reads format ") && !told.contains('\n'),
        "{told}"
    );
}

#[test]
fn a_replay_stops_at_a_packet() {
    let [(file, _), _] = Run::new(1).run();
    let mut frames = 0;
    for packet in [1, 2, 50, 51, 52, 53, 400] {
        let mut replay = replay(&file).until(packet);
        let end = replay
            .run()
            .unwrap_or_else(|found| panic!("{packet}: {found}"));
        assert!(matches!(end, ReplayEnd::Until), "{end}");
        assert!(replay.packet() >= packet && replay.packet() <= packet + 2);
        assert!(replay.stack().counters().rx_frames >= frames);
        frames = replay.stack().counters().rx_frames;
    }
    assert!(frames > 10);
}

#[test]
fn a_congestion_control_of_the_users_own_is_given_to_the_replay() {
    let own = || Choice::custom(|| Box::new(Reno::new()));
    let run = Run {
        options: TcpOptions::default().congestion(own()),
        ..Run::new(1)
    };
    let [(file, _), _] = run.run();
    let end = end_of(&file);
    assert!(end.to_string().contains("congestion control"), "{end}");
    let mut replay = replay(&file).congestion(own());
    assert!(matches!(replay.run().unwrap(), ReplayEnd::Complete));
    // Another one sends otherwise.
    let mut replay = self::replay(&file).congestion(Choice::Bbr);
    assert!(replay.run().is_err());
}

/// After a change of what is sent, a new recording of the same inputs is what is expected.
#[test]
fn a_new_expectation_is_accepted() {
    let [(file, _), _] = Run::new(1).run();
    // Another seed stands for a change of the code.
    let seed = file
        .windows(32)
        .position(|bytes| bytes[..8] != [0; 8] && bytes == seed_of(&file));
    let mut other = file;
    other[seed.unwrap()] ^= 1;
    let before = replay(&other).run().unwrap_err();
    let path = temporary("accepted.pcapng");
    let end = replay(&other).accept(&path).unwrap();
    assert!(matches!(end, ReplayEnd::Complete), "{end}");
    let accepted = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(end_of(&accepted), ReplayEnd::Complete));
    assert!(before.packet > 1);
    // And one of what was the same all along is the same.
    let path = temporary("same.pcapng");
    replay(&accepted).accept(&path).unwrap();
    let same = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(same == accepted);
}

/// What ended early or was cut off has not become complete by being accepted.
#[test]
fn what_is_accepted_ends_as_it_did() {
    let limited = Run {
        settings: settings().size_limit(Some(300_000)),
        ..Run::new(1)
    };
    let [(early, watch), _] = limited.run();
    let [(whole, _), _] = Run::new(1).run();
    let lost = watch.stats().lost;
    assert!(lost > 0);
    for (name, file) in [("early", &early[..]), ("cut", &whole[..whole.len() / 2])] {
        let path = temporary(name);
        let was = end_of(file).to_string();
        let end = replay(file).accept(&path).unwrap();
        assert_eq!(end.to_string(), was);
        let accepted = fs::read(&path).unwrap();
        match (name, end_of(&accepted)) {
            ("early", ReplayEnd::Early { why, lost: told }) => {
                assert_eq!((why, told), (Why::SizeLimit, lost));
            }
            ("cut", ReplayEnd::Cut { offset }) => assert_eq!(offset, accepted.len() as u64),
            (_, other) => panic!("{name}: {other}"),
        }
        // And again the same.
        replay(&accepted).accept(&path).unwrap();
        let again = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(again == accepted, "{name}");
    }
}

/// The seed stands behind the mark, the format, the version, the epoch and whether payload is kept.
fn seed_of(file: &[u8]) -> &[u8] {
    let mark = file
        .windows(8)
        .position(|bytes| bytes == b"netloom\x01")
        .unwrap();
    let version = env!("CARGO_PKG_VERSION").len();
    let seed = mark + 8 + 4 + 8 + version + 8 + 1;
    &file[seed..seed + 32]
}

fn temporary(name: &str) -> PathBuf {
    let name = format!("netloom-{}-{name}", std::process::id());
    std::env::temp_dir().join(name)
}

/// What our own stack sent, as it was captured, is what another one takes: its checksums were never completed.
#[test]
fn a_capture_of_our_own_is_taken_by_another_stack() {
    let [(file, _), _] = Run::new(1).run();
    let outbound = Some(netloom::capture::Direction::Outbound);
    let sent = || Reader::new(&file[..]).filter(|frame| frame.direction == outbound);
    let ip = sent().find(|frame| frame.data[12..14] == [8, 0]).unwrap();
    let mac: [u8; 6] = ip.data[..6].try_into().unwrap();
    let device = Capabilities::full(Medium::Ethernet, 1500);
    let interface = netloom::InterfaceConfig::new(&device)
        .mac(netloom::MacAddr::new(mac))
        .address("10.0.0.2/24".parse().unwrap());
    let mut stack = netloom::Stack::new(netloom::Config::new(Seed::from_number(1)));
    let on = stack
        .add_interface(netloom::Instant::ZERO, interface)
        .unwrap();
    let mut partial = 0;
    for frame in sent() {
        let at = netloom::Instant::from_nanos(frame.at.unwrap());
        let frame = frame.to_rx(at).unwrap();
        let unknown = netloom::link::RxChecksum::Unknown;
        partial += u64::from(frame.meta.checksum != unknown);
        stack.handle_frame(at, on, frame);
    }
    assert!(partial > 50, "{partial}");
    let drops = stack.counters().drops.iter();
    let wrong = drops.filter(|(reason, _)| reason.name().contains("checksum"));
    assert_eq!(wrong.map(|(_, count)| count).sum::<u64>(), 0);
}

/// Whoever reads a recording has the keys of its run.
#[cfg(unix)]
#[test]
fn a_recordings_file_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let path = temporary("private.pcapng");
    let config = netloom::Config::new(Seed::from_number(1));
    drop(Recording::create(&path, &config, &settings()).unwrap());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    let again = Recording::create(&path, &config, &settings().only_new(true));
    fs::remove_file(&path).unwrap();
    assert_eq!(mode & 0o777, 0o600);
    assert!(again.is_err());
}

/// A sink that fails: the traffic goes on, and what it took replays.
#[test]
fn a_full_disk_ends_the_recording_only() {
    #[derive(Clone)]
    struct Disk(Memory, usize);
    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.saturating_sub(self.0.bytes().len());
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write(&bytes[..room.min(bytes.len())])
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let disk = Disk(Memory::default(), 100_000);
    let config = netloom::Config::new(Seed::from_number(1));
    let recording = Recording::start(disk.clone(), &config, &settings()).unwrap();
    let watch = recording.watch();
    let mut stack = netloom::Stack::recorded(config, Box::new(recording));
    for round in 0..20_000 {
        stack.charge_outside(round);
    }
    drop(stack);
    assert!(watch.wait().is_some());
    assert!(watch.stats().entries >= 20_000);
    let file = disk.0.bytes();
    assert_eq!(file.len(), 100_000);
    assert!(matches!(end_of(&file), ReplayEnd::Cut { .. }));
}

/// `netloom replay`: what it prints and how it exits.
#[cfg(feature = "cli")]
mod tool {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Exit status, standard output, standard error.
    fn netloom(args: &[&str], file: &Path) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_netloom"))
            .arg("replay")
            .args(args)
            .arg(file)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let status = output.status.code().unwrap();
        (status, text(output.stdout), text(output.stderr))
    }

    /// A file for one test.
    fn file(name: &str, bytes: &[u8]) -> PathBuf {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn what_is_the_same_is_said_to_be() {
        let [(bytes, _), _] = Run::new(1).run();
        let path = file("same.pcapng", &bytes);
        let (status, out, errors) = netloom(&[], &path);
        assert_eq!((status, &errors[..]), (0, ""));
        assert!(
            out.contains("the same for ") && out.ends_with("; complete\n"),
            "{out}"
        );
        let (status, out, _) = netloom(&["--until", "100"], &path);
        assert_eq!(status, 0);
        assert!(out.contains("stopped where it was asked to"), "{out}");
        let (status, out, errors) = netloom(&["--memory", "1K"], &path);
        assert_eq!((status, &out[..]), (1, ""));
        assert!(
            errors.contains("and 1000 are allowed") && errors.contains("--memory"),
            "{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
        // Cut off, it says so and is no failure.
        let path = file("cut.pcapng", &bytes[..bytes.len() / 2]);
        let (status, out, _) = netloom(&[], &path);
        assert_eq!(status, 0);
        assert!(out.contains("breaks off after byte"), "{out}");
        let run = Run {
            settings: settings().payload(false),
            ..Run::new(1)
        };
        let [(bytes, _), _] = run.run();
        let (status, out, _) = netloom(&[], &file("headers.pcapng", &bytes));
        assert_eq!(status, 0);
        assert!(out.contains("zeros stood in for payload"), "{out}");
    }

    #[test]
    fn a_difference_is_shown_and_accepted() {
        let [(mut bytes, _), _] = Run::new(1).run();
        let seed = seed_of(&bytes)[0];
        let place = bytes
            .windows(32)
            .position(|window| window == seed_of(&bytes));
        bytes[place.unwrap()] = seed ^ 1;
        let path = file("differs.pcapng", &bytes);
        let (status, out, errors) = netloom(&[], &path);
        assert_eq!(status, 1);
        assert!(
            out.contains(" differs\n  expected ") && out.contains("\n  got "),
            "{out}"
        );
        assert!(errors.contains("is not what was recorded") && errors.lines().count() == 1);
        let (status, out, _) = netloom(&["--accept"], &path);
        assert_eq!(status, 0, "{out}");
        assert!(out.ends_with(": accepted; complete\n"), "{out}");
        let (status, _, errors) = netloom(&[], &path);
        assert_eq!((status, &errors[..]), (0, ""));
    }

    #[test]
    fn rows_of_connections_are_written() {
        let [(bytes, _), _] = Run::new(1).run();
        let rows = file("rows.jsonl", b"");
        let path = file("traced.pcapng", &bytes);
        let (status, ..) = netloom(&["--trace", rows.to_str().unwrap()], &path);
        assert_eq!(status, 0);
        let text = fs::read_to_string(rows).unwrap();
        assert!(text.lines().count() > 50);
        assert!(
            text.lines()
                .all(|row| row.starts_with("{\"time_ns\":") && row.ends_with('}'))
        );
    }

    #[test]
    fn what_cannot_be_replayed_is_one_line() {
        let [(bytes, _), _] = Run::new(1).run();
        let mut other = bytes.clone();
        let mark = bytes
            .windows(8)
            .position(|window| window == b"netloom\x01")
            .unwrap();
        other[mark + 8] = 99;
        let mut nonsense = bytes.clone();
        let (_, entry) = own_packets(&bytes)[60];
        nonsense[entry + 1] = 200;
        for (bytes, said) in [
            (&b""[..], "give what --record wrote"),
            (b"no capture", "give what --record wrote"),
            (&other, "replay it with the version that wrote it"),
            (&nonsense, "stands for no entry"),
        ] {
            let (status, out, errors) = netloom(&[], &file("refused", bytes));
            assert_eq!((status, &out[..]), (1, ""));
            assert!(
                errors.contains(said) && errors.lines().count() == 1,
                "{errors}"
            );
        }
        let (status, ..) = netloom(&[], Path::new("/nowhere/at/all"));
        assert_eq!(status, 1);
        let (status, ..) = netloom(&["--until", "0"], Path::new("x"));
        assert_eq!(status, 2);
    }
}
