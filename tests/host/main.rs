//! Two hosts over the in-memory pair, through the blocking handles: real threads, real time, no
//! sleeps. Linux only, as the host is.
#![cfg(all(target_os = "linux", feature = "host"))]
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used)]

mod as_std;
#[cfg(feature = "dns")]
mod auto;
mod driven;
mod failing;
mod flows;
mod hung;
mod leading;
#[cfg(feature = "dns")]
mod names;
mod own_packets;
mod packets;
mod poller;
mod raw;
mod recording;
mod requests;
#[cfg(all(feature = "tokio", feature = "futures-io"))]
mod runtimes;
mod several;
mod tasks;
mod within;

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::select;
use netloom::base::{Cidr, MacAddr, Seed};
use netloom::bytes::Bytes;
use netloom::device::{
    Capabilities, Chance, Device, DeviceError, Displacement, Impair, Medium, Pair, PairRx, PairTx,
    Pollable, Receive, RxBatch, WireConfig, pair,
};
use netloom::host::{ConnectOptions, Host, HostBuilder, HostError, TcpStream};
use netloom::stack::{AddressState, ListenOptions};
use netloom::tcp::congestion::Choice;

/// Far longer than anything here takes; only a bug reaches it.
const LONG: Duration = Duration::from_secs(20);
/// Long enough for something that must not happen to happen.
const SHORT: Duration = Duration::from_millis(50);

const A4: &str = "10.7.0.1";
const B4: &str = "10.7.0.2";
const B6: &str = "fd07::2";

/// Host A and host B, joined.
fn hosts_over((a, b): (Pair, Pair)) -> (Host, Host) {
    let spawn = |device, number: u64| {
        Host::builder(device)
            .address(format!("10.7.0.{number}/24").parse().unwrap())
            .address(format!("fd07::{number}/64").parse().unwrap())
            .seed(Seed::from_number(number))
            .dad_transmits(0)
            .spawn()
            .unwrap()
    };
    let hosts = (spawn(a, 1), spawn(b, 2));
    hosts.0.wait_ready(LONG).unwrap();
    hosts.1.wait_ready(LONG).unwrap();
    hosts
}

fn hosts() -> (Host, Host) {
    hosts_over(pair(Medium::Ethernet, 1500))
}

/// A connection from A to B over v4, both ends, with time-outs that end a test that hangs.
fn connected(a: &Host, b: &Host) -> (TcpStream, TcpStream) {
    let listener = b.tcp_listen((B4, 0)).unwrap();
    let to = listener.local_addr().unwrap();
    let near = a.tcp_connect_timeout(to, LONG).unwrap();
    let (far, peer) = listener.accept().unwrap();
    assert_eq!(peer, near.local_addr().unwrap());
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
    }
    (near, far)
}

fn pattern(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn an_echo_over_both_families_and_both_media() {
    for medium in [Medium::Ethernet, Medium::Ip] {
        let (a, b) = hosts_over(pair(medium, 1500));
        for address in [B4, B6] {
            let listener = b.tcp_listen((address, 7)).unwrap();
            let mut near = a.tcp_connect((address, 7)).unwrap();
            let (mut far, _) = listener.accept().unwrap();
            near.set_read_timeout(Some(LONG)).unwrap();
            near.write_all(b"ping").unwrap();
            let mut buf = [0; 4];
            far.read_exact(&mut buf).unwrap();
            far.write_all(&buf).unwrap();
            near.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"ping", "{medium:?} {address}");
            let info = near.info().unwrap();
            assert!(info.rtt.is_some() && info.bytes_acked >= 4, "{info:?}");
        }
    }
}

/// 16 MiB each way at once, written and read in pieces of every kind.
fn bulk(devices: (Pair, Pair)) {
    let (a, b) = hosts_over(devices);
    let (near, far) = connected(&a, &b);
    let (there, back) = (pattern(16 << 20, 1), pattern(16 << 20, 2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = &near;
            let (head, tail) = there.split_at(5 << 20);
            writer.write_all(head).unwrap();
            near.write_all_chunk(Bytes::copy_from_slice(tail)).unwrap();
            near.shutdown(Shutdown::Write).unwrap();
        });
        scope.spawn(|| {
            let mut writer = &far;
            let mut rest = &back[..];
            while !rest.is_empty() {
                let (x, y) = rest.split_at(rest.len().min(3000) / 2);
                let slices = [IoSlice::new(x), IoSlice::new(&y[..y.len().min(1500)])];
                let taken = writer.write_vectored(&slices).unwrap();
                rest = &rest[taken..];
            }
            far.shutdown(Shutdown::Write).unwrap();
        });
        let reader = scope.spawn(|| read_all(&near));
        let mut got = Vec::new();
        loop {
            let chunk = far.read_chunk(usize::MAX).unwrap();
            if chunk.is_empty() {
                break;
            }
            got.extend_from_slice(&chunk);
        }
        assert!(got == there, "{} of {} bytes", got.len(), there.len());
        let got = reader.join().unwrap();
        assert!(got == back, "{} of {} bytes", got.len(), back.len());
    });
}

#[test]
fn sixteen_mebibytes_each_way_with_offload() {
    bulk(pair(Medium::Ethernet, 1500));
}

#[test]
fn sixteen_mebibytes_each_way_without_offload() {
    let plain = Capabilities::plain(Medium::Ethernet, 1500);
    bulk(Pair::new(plain, 1000));
}

#[test]
fn sixteen_mebibytes_each_way_through_a_queue_of_four_frames() {
    bulk(Pair::new(Capabilities::full(Medium::Ip, 1500), 4));
}

/// A wire that loses, repeats, delays and swaps frames, while both ends have work of their own.
#[test]
fn every_byte_arrives_over_a_bad_wire() {
    let bad = WireConfig::perfect()
        .loss(Chance::percent(1))
        .duplication(Chance::percent(1))
        .corruption(Chance::percent(1))
        .reordering(
            Chance::percent(2),
            Displacement::Time(Duration::from_micros(300)),
        )
        .delay(Duration::from_micros(200));
    let (a, b) = pair(Medium::Ethernet, 1500);
    let a = Impair::new(a, Seed::from_number(9))
        .sending(bad.clone())
        .receiving(bad);
    let spawn = |number: u64| format!("10.7.0.{number}/24").parse().unwrap();
    let a = Host::builder(a).address(spawn(1)).spawn().unwrap();
    let b = Host::builder(b).address(spawn(2)).spawn().unwrap();
    a.wait_ready(LONG).unwrap();
    let (near, far) = connected(&a, &b);
    let data = pattern(1 << 20, 6);
    thread::scope(|scope| {
        let echo = scope.spawn(|| {
            let got = read_all(&far);
            (&far).write_all(&got).unwrap();
            far.shutdown(Shutdown::Write).unwrap();
        });
        (&near).write_all(&data).unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        let back = read_all(&near);
        assert!(back == data, "{} of {} bytes", back.len(), data.len());
        echo.join().unwrap();
    });
    let info = near.info();
    assert!(b.counters().drops.total() > 0, "{info:?}");
}

#[test]
fn one_direction_ends_and_the_other_goes_on() {
    let (a, b) = hosts();
    let (mut near, mut far) = connected(&a, &b);
    near.write_all(b"question").unwrap();
    near.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&far), b"question");
    assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    far.write_all(b"answer").unwrap();
    drop(far);
    assert_eq!(read_all(&near), b"answer");
}

#[test]
fn a_clone_keeps_the_connection_and_the_last_one_closes_it() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    let clone = near.try_clone().unwrap();
    drop(near);
    (&clone).write_all(b"still here").unwrap();
    drop(clone);
    assert_eq!(read_all(&far), b"still here");
}

#[test]
fn unread_data_turns_a_close_into_a_reset() {
    let (a, b) = hosts();
    let (mut near, far) = connected(&a, &b);
    near.write_all(b"never read").unwrap();
    let mut byte = [0; 1];
    assert_eq!(far.peek(&mut byte).unwrap(), 1);
    drop(far);
    let error = near.read(&mut byte).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn nobody_listening_means_refused_and_nobody_there_means_timed_out() {
    let (a, _b) = hosts();
    let error = a.tcp_connect((B4, 9)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    let nobody: SocketAddr = "10.7.0.77:9".parse().unwrap();
    let error = a.tcp_connect_timeout(nobody, SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let error = a.tcp_connect("192.0.2.1:9").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{error}");
}

#[test]
fn connect_from_a_chosen_address_and_port() {
    let (a, b) = hosts();
    let listener = b.tcp_listen((B4, 80)).unwrap();
    let from: SocketAddr = "10.7.0.1:12345".parse().unwrap();
    let options = ConnectOptions::new().bind(from).timeout(LONG);
    let near = a.tcp_connect_with((B4, 80), &options).unwrap();
    assert_eq!(listener.accept().unwrap().1, from);
    assert_eq!(near.local_addr().unwrap(), from);
}

#[test]
fn a_port_is_listened_on_once_and_again_after_a_drop() {
    let (a, b) = hosts();
    let first = b.tcp_listen((B4, 80)).unwrap();
    let error = b.tcp_listen((B4, 80)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let error = b.tcp_listen("10.9.9.9:80").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    let near = a.tcp_connect((B4, 80)).unwrap();
    near.set_read_timeout(Some(LONG)).unwrap();
    drop(first);
    let error = (&near).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "never accepted");
    b.tcp_listen((B4, 80)).unwrap();
}

#[test]
fn reads_and_writes_end_at_their_timeouts() {
    let (a, b) = hosts();
    let (mut near, far) = connected(&a, &b);
    assert_eq!(
        near.set_read_timeout(Some(Duration::ZERO))
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidInput
    );
    near.set_read_timeout(Some(SHORT)).unwrap();
    let began = Instant::now();
    let error = near.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(began.elapsed() >= SHORT);
    // Nobody reads: the peer's window and then our buffer fill.
    near.set_write_timeout(Some(SHORT)).unwrap();
    let error = near.write_all(&vec![0; 64 << 20]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(far);
}

#[test]
fn a_non_blocking_stream_never_waits() {
    let (a, b) = hosts();
    let (mut near, mut far) = connected(&a, &b);
    near.set_nonblocking(true).unwrap();
    assert_eq!(
        near.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let piece = vec![7; 1 << 16];
    let mut taken = 0;
    let error = loop {
        match near.write(&piece) {
            Ok(len) => taken += len,
            Err(error) => break error,
        }
        assert!(taken < 1 << 30);
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    near.set_nonblocking(false).unwrap();
    near.shutdown(Shutdown::Write).unwrap();
    let mut got = 0;
    let mut buf = vec![0; 100_000];
    loop {
        match far.read(&mut buf).unwrap() {
            0 => break,
            len => got += len,
        }
    }
    assert_eq!(got, taken);
    let listener = b.tcp_listen((B4, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_shutdown_of_one_thread_wakes_the_reader_of_another() {
    let (a, b) = hosts();
    let (near, _far) = connected(&a, &b);
    let reader = near.try_clone().unwrap();
    thread::scope(|scope| {
        let read = scope.spawn(|| (&reader).read(&mut [0]));
        near.shutdown(Shutdown::Read).unwrap();
        assert_eq!(read.join().unwrap().unwrap(), 0);
    });
}

#[test]
fn an_abort_resets_the_peer() {
    let (a, b) = hosts();
    let (near, mut far) = connected(&a, &b);
    near.abort().unwrap();
    let error = far.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!((&near).write(b"x").is_err());
}

#[test]
fn a_full_listener_channel_is_a_full_backlog_until_somebody_accepts() {
    let (a, b) = hosts();
    let options = ListenOptions::default().backlog(2);
    let listener = b.tcp_listen_with((B4, 80), options).unwrap();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|number: u8| {
                let a = &a;
                scope.spawn(move || {
                    let mut stream = a.tcp_connect((B4, 80))?;
                    stream.set_read_timeout(Some(LONG))?;
                    stream.write_all(&[number])?;
                    let mut back = [0];
                    stream.read_exact(&mut back)?;
                    io::Result::Ok(back[0] == number)
                })
            })
            .collect();
        for _ in 0..6 {
            assert!(listener.receiver().len() <= 2);
            let mut stream = listener.receiver().recv_timeout(LONG).unwrap();
            let mut byte = [0];
            stream.set_read_timeout(Some(LONG)).unwrap();
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
        }
        for client in clients {
            assert!(client.join().unwrap().unwrap());
        }
    });
}

#[test]
fn select_waits_for_sockets_and_channels_alike() {
    let (a, b) = hosts();
    let listener = b.tcp_listen((B4, 80)).unwrap();
    let socket = b.udp_bind((B4, 53)).unwrap();
    let (_keep, never) = crossbeam_channel::bounded::<()>(1);
    let mut seen = Vec::new();
    a.udp_bind((A4, 0))
        .unwrap()
        .send_to(b"x", (B4, 53))
        .unwrap();
    let _near = a.tcp_connect((B4, 80)).unwrap();
    for _ in 0..2 {
        select! {
            recv(listener.receiver()) -> stream => { stream.unwrap(); seen.push("tcp"); }
            recv(socket.receiver()) -> datagram => {
                assert_eq!(datagram.unwrap().data, b"x");
                seen.push("udp");
            }
            recv(never) -> _ => unreachable!("nobody sends"),
            default(LONG) => panic!("nothing came"),
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["tcp", "udp"]);
}

#[test]
fn datagrams_both_ways_connected_and_not() {
    let (a, b) = hosts();
    for address in [B4, B6] {
        let server = b.udp_bind((address, 53)).unwrap();
        let any = if address == B4 { "0.0.0.0:0" } else { "[::]:0" };
        let client = a.udp_bind(any).unwrap();
        server.set_read_timeout(Some(LONG)).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        assert_eq!(client.send(b"question").unwrap(), 8);
        let mut buf = [0; 100];
        let (len, from) = server.recv_from(&mut buf).unwrap();
        assert_eq!(
            (&buf[..len], from),
            (&b"question"[..], client.local_addr().unwrap())
        );
        server.send_to(b"answer", from).unwrap();
        assert_eq!(client.recv(&mut buf).unwrap(), 6);
        client.set_nonblocking(true).unwrap();
        assert_eq!(
            client.recv(&mut buf).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        client.set_nonblocking(false).unwrap();
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(
            client.recv(&mut buf).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    }
}

/// Flow labels as they are set, told again, and told of what comes.
#[test]
fn sockets_have_the_flow_labels_that_they_are_given() {
    let (a, b) = hosts();
    let server = b.udp_bind((B6, 53)).unwrap();
    let client = a.udp_bind("[::]:0").unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(client.flow_label().unwrap(), None);
    let mut told = Vec::new();
    for label in [None, Some(0), Some(0x1_2345)] {
        client.set_flow_label(label).unwrap();
        assert_eq!(client.flow_label().unwrap(), label);
        client.send_to(b"x", server.local_addr().unwrap()).unwrap();
        told.push(server.recv_datagram().unwrap().flow_label);
    }
    assert_ne!(told[0], 0, "the stack's own");
    assert_eq!(told[1..], [0, 0x1_2345]);
    let (near, _far) = connected(&a, &b);
    near.set_flow_label(Some(7)).unwrap();
    assert_eq!(near.options().unwrap().flow_label_setting(), Some(7));
}

#[test]
fn a_datagram_super_segment_arrives_as_its_datagrams() {
    let (a, b) = hosts();
    let server = b.udp_bind((B4, 53)).unwrap();
    let client = a.udp_bind((A4, 0)).unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    let data = Bytes::from(pattern(4100, 3));
    let size = NonZeroU16::new(1000).unwrap();
    let to = Some(server.local_addr().unwrap());
    client.send_segmented(&data, size, to).unwrap();
    for piece in data.chunks(1000) {
        assert_eq!(server.recv_datagram().unwrap().data, *piece);
    }
}

/// What users have not read counts against the memory of all sockets; when that is used up, a queue that
/// is empty still takes a datagram, so that who keeps up has his.
#[test]
fn unread_datagrams_count_against_the_memory() {
    const LIMIT: usize = 1 << 20;
    let (a, b) = pair(Medium::Ethernet, 1500);
    let spawn = |device, number: u64| {
        Host::builder(device)
            .address(format!("10.7.0.{number}/24").parse().unwrap())
            .config(|config| config.socket_memory(LIMIT))
            .seed(Seed::from_number(number))
            .spawn()
            .unwrap()
    };
    let (a, b) = (spawn(a, 1), spawn(b, 2));
    let client = a.udp_bind((A4, 0)).unwrap();
    let sockets: Vec<_> = (0..20)
        .map(|n| b.udp_bind((B4, 100 + n)).unwrap())
        .collect();
    for socket in &sockets {
        let to = socket.local_addr().unwrap();
        for _ in 0..150 {
            client.send_to(&[7; 1000], to).unwrap();
        }
        // Once this is back, all of them have come.
        a.ping(B4.parse().unwrap(), LONG).unwrap();
    }
    let used = b.memory().used;
    let one = 1000 + 128;
    assert!((LIMIT..LIMIT + 21 * one).contains(&used), "{used}");
    for socket in &sockets {
        socket.set_nonblocking(true).unwrap();
        socket.recv_datagram().unwrap();
        while socket.recv_datagram().is_ok() {}
    }
    assert_eq!(b.memory().used, 0);
    assert!(b.memory().most_used < LIMIT + 21 * one);
}

#[test]
fn a_datagram_to_a_closed_port_comes_back_as_refused() {
    let (a, b) = hosts();
    let client = a.udp_bind((A4, 0)).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.connect((B4, 9)).unwrap();
    client.send(b"anybody?").unwrap();
    let error = client.recv(&mut [0; 9]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(b.udp_bind((B4, 9)).unwrap().dropped(), 0);
}

/// Who only sends is told too, and a new peer is not blamed for what the one before refused.
#[test]
fn an_earlier_error_is_told_by_the_next_send_and_not_of_another_peer() {
    let (a, b) = hosts();
    let peer = |port| SocketAddr::new(B4.parse().unwrap(), port);
    let client = a.udp_bind((A4, 0)).unwrap();
    client.connect(peer(9)).unwrap();
    // What answers a later ping comes behind the error.
    let refused = || {
        client.send(b"anybody?").unwrap();
        a.ping(peer(0).ip(), LONG).unwrap();
    };
    refused();
    let error = client.send(b"anybody?").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    refused();
    let server = b.udp_bind((B4, 10)).unwrap();
    client.connect(peer(10)).unwrap();
    client.set_read_timeout(Some(SHORT)).unwrap();
    let error = client.recv(&mut [0; 9]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    client.send(b"hello").unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(server.recv(&mut [0; 9]).unwrap(), 5);
}

#[test]
fn a_ping_comes_back_with_its_time() {
    let (a, _b) = hosts();
    for address in [B4, B6] {
        let pong = a.ping(address.parse().unwrap(), LONG).unwrap();
        assert_eq!(pong.reply.from.to_string(), address);
        assert!(pong.rtt.unwrap() < LONG);
    }
    let error = a.ping("10.7.0.77".parse().unwrap(), SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn many_connections_at_once() {
    let (a, b) = hosts();
    let listener = b.tcp_listen((B4, 80)).unwrap();
    let streams: Vec<_> = (0..300).map(|_| a.tcp_connect((B4, 80)).unwrap()).collect();
    let accepted: Vec<_> = listener.incoming().take(300).map(Result::unwrap).collect();
    for (number, mut stream) in streams.iter().enumerate() {
        stream.write_all(&(number as u32).to_be_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    let mut sum = 0;
    for stream in &accepted {
        stream.set_read_timeout(Some(LONG)).unwrap();
        let bytes = read_all(stream);
        sum += u32::from_be_bytes(bytes.try_into().unwrap());
    }
    assert_eq!(sum, (0..300).sum());
    assert!(b.connections().len() >= 300);
}

#[test]
fn shutdown_lets_connections_finish() {
    let (a, b) = hosts();
    let (mut near, far) = connected(&a, &b);
    let data = pattern(1 << 20, 5);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let got = read_all(&far);
            drop(far.shutdown(Shutdown::Write));
            got
        });
        near.write_all(&data).unwrap();
        assert_eq!(a.shutdown(LONG), 0);
        assert!(reader.join().unwrap() == data);
    });
    let error = near.write(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    let error = a.tcp_connect((B4, 80)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
}

/// Text that came before the last FIN is its user's, though the host was over before it was read.
#[test]
fn what_was_acknowledged_can_be_read_after_the_shutdown() {
    let (a, b) = hosts();
    let (mut near, mut far) = connected(&a, &b);
    let data = pattern(50_000, 7);
    far.write_all(&data).unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    thread::scope(|scope| {
        let ended = scope.spawn(|| read_all(&far));
        assert_eq!(a.shutdown(LONG), 0);
        assert!(ended.join().unwrap().is_empty());
    });
    assert!(read_all(&near) == data);
    assert_eq!(near.read(&mut [0]).unwrap(), 0, "the end of the stream");
    let error = near.write(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
}

#[test]
fn shutdown_resets_what_does_not_finish_in_time() {
    let (a, b) = hosts();
    let (_near, far) = connected(&a, &b);
    let began = Instant::now();
    thread::scope(|scope| {
        let read = scope.spawn(|| (&far).read(&mut [0]));
        assert_eq!(a.shutdown(SHORT), 1);
        assert_eq!(read.join().unwrap().unwrap(), 0, "the FIN comes first");
    });
    assert!(began.elapsed() >= SHORT && began.elapsed() < LONG);
    assert!(b.wait(Some(LONG)).is_some(), "the pair is closed");
}

/// More connections than packets fit into the stack's outbox: every peer hears of the end.
#[test]
fn a_dropped_host_resets_every_peer() {
    const COUNT: usize = 600;
    let (a, b) = hosts();
    let listener = b.tcp_listen((B4, 80)).unwrap();
    let streams: Vec<_> = (0..COUNT)
        .map(|_| a.tcp_connect((B4, 80)).unwrap())
        .collect();
    let accepted: Vec<_> = listener
        .incoming()
        .take(COUNT)
        .map(Result::unwrap)
        .collect();
    drop(a);
    assert!(b.wait(Some(LONG)).is_some(), "the pair is closed");
    assert_eq!(b.counters().tcp_resets_received, COUNT as u64);
    drop((streams, accepted));
}

/// Those that their users have closed are reset too: their peers would wait for nobody.
#[test]
fn a_dropped_host_resets_what_its_users_closed() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    drop(near);
    assert_eq!((&far).read(&mut [0]).unwrap(), 0, "its FIN");
    drop(a);
    assert!(b.wait(Some(LONG)).is_some(), "the pair is closed");
    assert_eq!(b.counters().tcp_resets_received, 1);
    drop(far);
}

#[test]
fn handles_that_outlive_their_host_say_so_and_waiters_wake() {
    let (a, b) = hosts();
    let (near, _far) = connected(&a, &b);
    let listener = a.tcp_listen((A4, 80)).unwrap();
    let socket = a.udp_bind((A4, 53)).unwrap();
    near.set_read_timeout(None).unwrap();
    thread::scope(|scope| {
        let read = scope.spawn(|| (&near).read(&mut [0]));
        let accept = scope.spawn(|| listener.accept().map(drop));
        let recv = scope.spawn(|| socket.recv(&mut [0]).map(drop));
        drop(a);
        let errors = [
            read.join().unwrap().unwrap_err(),
            accept.join().unwrap().unwrap_err(),
            recv.join().unwrap().unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
        }
    });
    assert_eq!(
        (&near).write(b"x").unwrap_err().kind(),
        ErrorKind::NotConnected
    );
    assert!(near.info().is_err());
    assert_eq!(
        socket
            .send_to(b"x", near.peer_addr().unwrap())
            .unwrap_err()
            .kind(),
        ErrorKind::NotConnected
    );
}

#[test]
fn a_device_that_goes_ends_the_host_with_an_error() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    drop((far, b));
    let why = a.wait(Some(LONG)).expect("the host ends");
    assert!(why.to_string().contains("closed"), "{why}");
    assert!(a.error().is_some());
    let error = (&near).write(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkDown, "{error}");
}

/// A device with a bug: it panics at the first frame.
struct Bomb(Pair);

struct BombRx(PairRx);

impl Device for Bomb {
    type Rx = BombRx;
    type Tx = PairTx;

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn split(self) -> (BombRx, PairTx) {
        let (rx, tx) = self.0.split();
        (BombRx(rx), tx)
    }
}

impl Receive for BombRx {
    fn receive(
        &mut self,
        now: netloom::Instant,
        batch: &mut RxBatch,
    ) -> Result<usize, DeviceError> {
        let received = self.0.receive(now, batch)?;
        assert_eq!(received, 0, "the bug of this test");
        Ok(received)
    }
}

impl Pollable for BombRx {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.0.descriptor()
    }
}

#[test]
fn a_panic_in_the_driver_ends_the_host_for_those_who_wait() {
    let (a, b) = pair(Medium::Ip, 1500);
    let address = |text: &str| text.parse().unwrap();
    let a = Host::builder(a)
        .address(address("10.7.0.1/24"))
        .spawn()
        .unwrap();
    let b = Host::builder(Bomb(b))
        .address(address("10.7.0.2/24"))
        .spawn()
        .unwrap();
    let listener = b.tcp_listen((B4, 80)).unwrap();
    thread::scope(|scope| {
        let accept = scope.spawn(|| listener.accept().map(drop));
        // Whether the connection is refused, or its device is gone: it must end.
        assert!(
            a.tcp_connect_timeout("10.7.0.2:80".parse().unwrap(), LONG)
                .is_err()
        );
        let error = accept.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    });
    assert!(matches!(b.wait(Some(LONG)), Some(HostError::Panicked)));
    assert!(b.tcp_connect((A4, 80)).is_err());
}

#[test]
fn a_driver_that_spins_and_takes_one_frame_a_turn_does_the_same() {
    let (a, b) = pair(Medium::Ethernet, 1500);
    let spawn = |device, address: &str| {
        Host::builder(device)
            .address(address.parse().unwrap())
            .busy_poll(Duration::from_micros(50))
            .turn_frames(1)
            .spawn()
            .unwrap()
    };
    let (a, b) = (spawn(a, "10.7.0.1/24"), spawn(b, "10.7.0.2/24"));
    let (near, far) = connected(&a, &b);
    let data = pattern(1 << 20, 8);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_all(&far));
        (&near).write_all(&data).unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        assert!(reader.join().unwrap() == data);
    });
}

#[test]
fn a_duplicate_address_is_reported() {
    let (a, b) = pair(Medium::Ethernet, 1500);
    let first = Host::builder(a)
        .address("fd07::1/64".parse().unwrap())
        .dad_transmits(0)
        .spawn()
        .unwrap();
    first.wait_ready(LONG).unwrap();
    let second = Host::builder(b)
        .address("fd07::1/64".parse().unwrap())
        .spawn()
        .unwrap();
    let error = second.wait_ready(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
}

/// Another host, and one whose link-local address and fd07::2 the other has already.
fn host_with_namesakes(given: &[&str]) -> (Host, Host) {
    let (a, b) = pair(Medium::Ethernet, 1500);
    let taken = ["fe80::ff:fe00:7/64", "fd07::2/64", "10.7.0.1/24"];
    let other = taken.iter().fold(Host::builder(a), |host, address| {
        host.address(address.parse().unwrap())
    });
    let other = other.dad_transmits(0).spawn().unwrap();
    other.wait_ready(LONG).unwrap();
    let host = given.iter().fold(Host::builder(b), |host, address| {
        host.address(address.parse().unwrap())
    });
    let mac = MacAddr::new([2, 0, 0, 0, 0, 7]);
    (other, host.mac(mac).spawn().unwrap())
}

/// One forged advertisement for the address that the host forms itself is enough for this.
#[test]
fn a_host_goes_on_without_the_link_local_address_that_it_formed() {
    let (other, host) = host_with_namesakes(&["10.7.0.2/24"]);
    host.wait_ready(LONG).unwrap();
    host.wait_all_ready(LONG).unwrap();
    let duplicate = |(cidr, state): (Cidr, _)| {
        (state == AddressState::Duplicate).then(|| cidr.address().to_string())
    };
    let duplicates: Vec<_> = host.addresses().into_iter().filter_map(duplicate).collect();
    assert_eq!(duplicates, ["fe80::ff:fe00:7"]);
    connected(&other, &host);
}

#[test]
fn which_duplicates_are_fatal_is_the_users_choice() {
    let (other, host) = host_with_namesakes(&["10.7.0.2/24", "fd07::2/64"]);
    host.wait_ready(LONG).unwrap();
    let error = host.wait_all_ready(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
    assert!(error.to_string().contains("fd07::2"), "{error}");
    connected(&other, &host);
}

/// An IPv4 address is not probed for: who else has it is told when it is seen.
#[test]
fn a_duplicate_ipv4_address_is_told_and_kept() {
    let (other, host) = host_with_namesakes(&["10.7.0.1/24"]);
    for claimed in [&other, &host] {
        // The link-local address may be claimed first.
        let mut claims = (0..).map(|known| claimed.wait_conflict(known).unwrap());
        let (address, station) = claims.find(|(address, _)| address.is_ipv4()).unwrap();
        assert_eq!(address.to_string(), "10.7.0.1");
        assert!(station.is_some());
    }
    let state = host
        .addresses()
        .into_iter()
        .find(|a| a.0.address().is_ipv4());
    assert_eq!(state.unwrap().1, AddressState::Preferred);
}

/// Threads of this process whose name is `name`.
fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|comm| comm.trim_end() == name)
        .count()
}

/// A file that goes with the test, whether it passes or not.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is not there when the test failed before it was made.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_dropped_host_leaves_no_thread_and_no_file_open() {
    // Re-run this test in a process of its own, where nobody else makes hosts.
    if std::env::var_os("NETLOOM_HOST_ALONE").is_none() {
        let me = std::env::current_exe().unwrap();
        let name = "a_dropped_host_leaves_no_thread_and_no_file_open";
        let status = std::process::Command::new(me)
            .args(["--exact", name, "--test-threads=1"])
            .env("NETLOOM_HOST_ALONE", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let tasks = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let capture = Scratch::new("host.pcapng");
    let before = (tasks(), files());
    for _ in 0..3 {
        let (a, b) = pair(Medium::Ethernet, 1500);
        let a = Host::builder(a)
            .address("10.7.0.1/24".parse().unwrap())
            .capture(&capture.0)
            .spawn()
            .unwrap();
        let b = Host::builder(b)
            .address("10.7.0.2/24".parse().unwrap())
            .spawn()
            .unwrap();
        a.wait_ready(LONG).unwrap();
        b.wait_ready(LONG).unwrap();
        assert_eq!(threads_named("netloom-driver"), 2);
        let (near, far) = connected(&a, &b);
        (&near).write_all(&[1; 100_000]).unwrap();
        let watch = a.capture().unwrap().clone();
        drop((a, b));
        assert_eq!(tasks(), before.0);
        let stats = watch.stats();
        assert!(stats.seen > 0 && stats.seen == stats.written, "{stats:?}");
        drop((near, far));
        assert_eq!(files(), before.1);
    }
    assert!(capture.0.exists());
}

/// A line that stands still is set going by another thread, while every thread of the host waits.
#[test]
fn an_impaired_wire_is_changed_under_a_running_host() {
    let (a, b) = pair(Medium::Ethernet, 1500);
    let a = Impair::new(a, Seed::from_number(9)).sending(WireConfig::perfect().rate(0));
    let control = a.control();
    let address = |number: u64| format!("10.7.0.{number}/24").parse().unwrap();
    let a = Host::builder(a).address(address(1)).spawn().unwrap();
    let b = Host::builder(b).address(address(2)).spawn().unwrap();
    let listener = b.tcp_listen(("10.7.0.2", 80)).unwrap();
    thread::scope(|scope| {
        let stream = scope.spawn(|| a.tcp_connect(("10.7.0.2", 80)));
        thread::yield_now();
        control.set_sending(WireConfig::perfect());
        let (_accepted, from) = listener.accept().unwrap();
        assert_eq!(stream.join().unwrap().unwrap().local_addr().unwrap(), from);
    });
}

/// A route and a gateway of the builder's lead where they say: to an address that is on no link of the host's.
#[test]
fn routes_and_gateways_of_the_builder_lead_somewhere() {
    const FAR: &str = "10.9.0.1";
    let via = "10.7.0.2".parse().unwrap();
    type Change = fn(HostBuilder<Pair>, std::net::IpAddr) -> HostBuilder<Pair>;
    let changes: [(&str, Change, bool); 3] = [
        ("nothing", |host, _| host, false),
        (
            "a route",
            |host, via| host.route("10.9.0.0/24".parse().unwrap(), Some(via)),
            true,
        ),
        ("a gateway", HostBuilder::gateway, true),
    ];
    for (what, change, leads) in changes {
        let (a, b) = pair(Medium::Ethernet, 1500);
        let near = change(
            Host::builder(a).address("10.7.0.1/24".parse().unwrap()),
            via,
        );
        let near = near.spawn().unwrap();
        let far = Host::builder(b)
            .address("10.7.0.2/24".parse().unwrap())
            .address(format!("{FAR}/24").parse().unwrap())
            .spawn()
            .unwrap();
        near.wait_ready(LONG).unwrap();
        far.wait_ready(LONG).unwrap();
        let listener = far.tcp_listen((FAR, 7)).unwrap();
        let to = listener.local_addr().unwrap();
        match near.tcp_connect_timeout(to, LONG) {
            Ok(stream) => {
                assert!(leads, "{what}");
                assert_eq!(stream.peer_addr().unwrap(), to);
            }
            Err(error) => {
                assert!(!leads, "{what}: {error}");
                assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
            }
        }
    }
}

/// The builder's congestion control is that of connections which are given none.
#[test]
fn the_congestion_control_of_the_builder_is_used() {
    for choice in [Choice::Reno, Choice::Bbr3] {
        let (a, b) = pair(Medium::Ip, 1500);
        let spawn = |device, address: &str| {
            let host = Host::builder(device).address(address.parse().unwrap());
            host.congestion(choice.clone()).spawn().unwrap()
        };
        let (near, far) = (spawn(a, "10.7.0.1/24"), spawn(b, "10.7.0.2/24"));
        for stream in <[TcpStream; 2]>::from(connected(&near, &far)) {
            assert_eq!(stream.info().unwrap().congestion_control, choice.name());
        }
    }
}

/// While the last connections of a shutdown end, nobody gets a new one: neither a user, nor a peer.
#[test]
fn nothing_new_begins_once_a_shutdown_began() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    let listener = a.tcp_listen((A4, 0)).unwrap();
    let to = listener.local_addr().unwrap();
    let elsewhere = b.tcp_listen((B4, 0)).unwrap().local_addr().unwrap();
    thread::scope(|scope| {
        let ending = scope.spawn(|| a.shutdown(LONG));
        // The FIN of the shutdown: from here on it has begun.
        assert_eq!(read_all(&far), b"");
        let refused = b.tcp_connect_timeout(to, LONG).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(a.tcp_connect_timeout(elsewhere, LONG).is_err());
        assert!(a.tcp_listen((A4, 0)).is_err());
        assert!(a.udp_bind((A4, 0)).is_err());
        assert!(!ending.is_finished(), "a connection is still open");
        (&far).write_all(b"late").unwrap();
        let mut late = [0; 4];
        (&near).read_exact(&mut late).unwrap();
        assert_eq!(&late, b"late");
        far.shutdown(Shutdown::Write).unwrap();
        assert_eq!(ending.join().unwrap(), 0);
    });
}
