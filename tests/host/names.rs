//! Names: a host that looks them up at another one, and connects to what it finds.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use netloom::Seed;
use netloom::device::{Medium, pair};
use netloom::dns::{Config, Families, Family};
use netloom::host::{ConnectOptions, Host, UdpSocket};

use super::{A4, B4, LONG, SHORT};

/// Of no unique local prefix: those come behind IPv4 (RFC 6724 §2.1).
const B6: &str = "2001:db8:7::2";

/// The addresses of names, in lower case; a name that is not there does not exist.
type Zone = BTreeMap<&'static str, Vec<IpAddr>>;

fn zone(rows: &[(&'static str, &str)]) -> Zone {
    let ips = |text: &str| {
        text.split_whitespace()
            .map(|ip| ip.parse().unwrap())
            .collect()
    };
    rows.iter().map(|(name, all)| (*name, ips(all))).collect()
}

/// What a question asks: the name, the type, and where it ends.
fn asked(message: &[u8]) -> (String, u8, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while message[at] > 0 {
        let label = &message[at + 1..][..usize::from(message[at])];
        labels.push(String::from_utf8(label.to_ascii_lowercase()).unwrap());
        at += 1 + label.len();
    }
    (labels.join("."), message[at + 2], at + 5)
}

/// The answer to a question.
fn answer(zone: &Zone, message: &[u8]) -> Vec<u8> {
    let (name, kind, end) = asked(message);
    let addresses = zone.get(name.as_str());
    let mut records = Vec::new();
    let mut count = 0;
    for address in addresses.into_iter().flatten() {
        let data = match address {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let of = if data.len() == 4 { 1 } else { 28 };
        if of == kind {
            count += 1;
            records.extend([0xc0, 12, 0, of, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            records.extend(data);
        }
    }
    let code = if addresses.is_some() { 0x80 } else { 0x83 };
    let head = [
        message[0], message[1], 0x81, code, 0, 1, 0, count, 0, 0, 0, 0,
    ];
    [&head[..], &message[12..end], &records[..]].concat()
}

/// Answers until the host ends; how many questions.
fn serve(socket: &UdpSocket, zone: &Zone) -> usize {
    let mut questions = 0;
    while let Ok(datagram) = socket.recv_datagram() {
        let message = datagram.data.into_bytes();
        questions += 1;
        let _ = socket.send_to(&answer(zone, &message), datagram.from);
    }
    questions
}

/// Ends a host, and with it who serves there, also when a test fails.
struct End<'a>(&'a Host);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.shutdown(LONG);
    }
}

/// Host A, whose DNS server is host B, at work for as long as `act` takes; how many questions it was asked.
fn with_server(zone: &Zone, act: impl FnOnce(&Host, &Host)) -> usize {
    let (a, b) = pair(Medium::Ethernet, 1500);
    let spawn = |device, number: u8| {
        Host::builder(device)
            .address(format!("10.7.0.{number}/24").parse().unwrap())
            .address(format!("2001:db8:7::{number}/64").parse().unwrap())
            .seed(Seed::from_number(number.into()))
            .dad_transmits(0)
            .dns_server(B4.parse().unwrap())
            .spawn()
            .unwrap()
    };
    let (a, b) = (spawn(a, 1), spawn(b, 2));
    let socket = b.udp_bind((B4, 53)).unwrap();
    thread::scope(|scope| {
        let questions = scope.spawn(|| serve(&socket, zone));
        let end = End(&b);
        act(&a, &b);
        drop(end);
        questions.join().unwrap()
    })
}

#[test]
fn names_are_looked_up_once_and_the_best_address_is_first() {
    let zone = zone(&[
        ("both.example", "10.7.0.9 2001:db8:7::9 2001:db8:7::8"),
        ("bare.example", ""),
    ]);
    let questions = with_server(&zone, |host, _| {
        let all = zone["both.example"].clone();
        let sorted = vec![all[1], all[2], all[0]];
        for _ in 0..3 {
            assert_eq!(host.lookup("both.EXAMPLE.").unwrap(), sorted);
        }
        let v4 = Families::Only(Family::V4);
        let only = host.lookup_within("both.example", v4, Some(LONG)).unwrap();
        assert_eq!(only, all[..1]);
        for name in ["bare.example", "gone.example"] {
            let error = host.lookup(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{name}: {error}");
        }
        assert_eq!(host.lookup(B6).unwrap(), [B6.parse::<IpAddr>().unwrap()]);
        let error = host.lookup("a b").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_eq!(host.dns_counters().cached, 5);
    });
    assert_eq!(questions, 6);
}

#[test]
fn threads_wait_for_one_question() {
    // Of both families: that there is nothing is kept only where a zone says so, and a late thread would ask again.
    let zone = zone(&[("a.example", "2001:db8:7::9 10.7.0.9")]);
    let questions = with_server(&zone, |host, _| {
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| assert_eq!(host.lookup("a.example").unwrap(), zone["a.example"]));
            }
        });
    });
    assert_eq!(questions, 2);
}

/// Of a server that says nothing of IPv6 what it said is told when the time is over.
#[test]
fn what_is_known_is_told_when_the_time_is_over() {
    let zone = zone(&[("a.example", "10.7.0.9 2001:db8:7::9")]);
    with_server(&zone, |host, b| {
        let silent = b.udp_bind((B6, 53)).unwrap();
        host.set_dns_servers(&[B6.parse().unwrap()]).unwrap();
        thread::scope(|scope| {
            let looks = scope.spawn(|| {
                let time = Some(Duration::from_secs(1));
                host.lookup_within("a.example", Families::Both, time)
            });
            for _ in 0..2 {
                let question = silent.recv_datagram().unwrap();
                let message = question.data.into_bytes();
                if asked(&message).1 == 1 {
                    silent
                        .send_to(&answer(&zone, &message), question.from)
                        .unwrap();
                }
            }
            assert_eq!(looks.join().unwrap().unwrap(), zone["a.example"][..1]);
        });
    });
}

#[test]
fn servers_may_change_and_may_be_silent() {
    with_server(&zone(&[]), |host, b| {
        host.set_dns_servers(&[]).unwrap();
        let error = host.lookup("a.example").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(host.set_dns_servers(&[IpAddr::from([0; 4])]).is_err());
        // One that says nothing.
        host.set_dns_servers(&[B6.parse().unwrap()]).unwrap();
        assert_eq!(
            host.dns_servers(),
            [(B6.parse::<IpAddr>().unwrap(), 53).into()]
        );
        let silent = b.udp_bind((B6, 53)).unwrap();
        let error = host
            .lookup_within("a.example", Families::Both, Some(SHORT))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        let short = ConnectOptions::new().timeout(SHORT);
        let error = host
            .tcp_connect_host_with("a.example", 80, &short)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        // A host that ends does not leave its users waiting.
        silent.receiver().try_iter().for_each(drop);
        thread::scope(|scope| {
            let waits = scope.spawn(|| host.lookup("a.example").unwrap_err().kind());
            silent.recv_datagram().unwrap();
            host.shutdown(LONG);
            assert_eq!(waits.join().unwrap(), ErrorKind::NotConnected);
        });
    });
}

/// RFC 8305: addresses that do not answer cost 250 ms each, and those that refuse nothing.
#[test]
fn the_first_address_that_answers_is_connected_to() {
    // 10.7.0.9 and 2001:db8:7::9 are nobody's: the link says so only after seconds.
    let zone = zone(&[
        ("dead6.example", "10.7.0.2 2001:db8:7::9"),
        (
            "dead.example",
            "10.7.0.2 2001:db8:7::9 10.7.0.9 2001:db8:7::8",
        ),
        ("fine.example", "10.7.0.9 2001:db8:7::2"),
        ("closed.example", "2001:db8:7::2 10.7.0.2"),
    ]);
    with_server(&zone, |host, b| {
        let v4 = b.tcp_listen((B4, 80)).unwrap();
        let v6 = b.tcp_listen((B6, 81)).unwrap();
        let any = b.tcp_listen((B6, 82)).unwrap();
        for (name, port, to, least, most) in [
            ("dead6.example", 80, B4, 250, 5_000),
            ("dead.example", 80, B4, 250, 5_000),
            ("fine.example", 81, B6, 0, 2_000),
            // The best one refuses.
            ("closed.example", 80, B4, 0, 2_000),
            (B6, 82, B6, 0, 2_000),
        ] {
            let begun = Instant::now();
            let mut stream = host.tcp_connect_host(name, port).unwrap();
            let took = begun.elapsed().as_millis();
            assert!((least..most).contains(&took), "{name}: {took} ms");
            assert_eq!(
                stream.peer_addr().unwrap(),
                (to.parse::<IpAddr>().unwrap(), port).into()
            );
            let listener = [&v4, &v6, &any][usize::from(port) - 80];
            let (mut far, _) = listener.accept().unwrap();
            stream.write_all(b"hello").unwrap();
            let mut got = [0; 5];
            far.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"hello");
        }
        // Nothing is left of those that lost.
        assert_eq!(host.connections().len(), 0);
        let error = host.tcp_connect_host("closed.example", 83).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        // From an address of one family to the other's.
        let from = ConnectOptions::new().bind((A4.parse::<IpAddr>().unwrap(), 0).into());
        let stream = host
            .tcp_connect_host_with("dead6.example", 80, &from)
            .unwrap();
        assert_eq!(stream.local_addr().unwrap().ip().to_string(), A4);
    });
}

#[test]
fn settings_that_are_none_are_refused() {
    let config = (0..9).fold(Config::new(), |config, _| {
        config.server(B4.parse().unwrap())
    });
    let host = Host::builder(pair(Medium::Ip, 1500).0).dns(config).spawn();
    assert!(
        host.unwrap_err()
            .to_string()
            .contains("9 DNS servers, 8 at most")
    );
}
