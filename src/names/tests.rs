//! A resolver on a simulated host, and servers on another.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, ResourceRecord, TYPE};

use super::*;
use crate::base::{Cidr, Instant, Seed};
use crate::device::WireConfig;
use crate::dns::{Config, Event, Families, LookupError};
use crate::sim::{App, AppId, Cx, HostConfig, HostId, Network, PortConfig, Wake};
use crate::stack::{ListenOptions, SocketId, TcpId, UdpOptions};

const CLIENT: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 1));
const SERVER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 2));

fn ips(text: &str) -> Vec<IpAddr> {
    text.split_whitespace()
        .map(|one| one.parse().unwrap())
        .collect()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Looks for names, one after the other, as soon as it starts.
struct Looker {
    names: Names,
    wanted: &'static [&'static str],
    told: Vec<(Instant, Event)>,
}

impl Looker {
    fn new(config: Config, wanted: &'static [&'static str]) -> Self {
        Self {
            names: Names::new(config, Seed::from_number(5)).unwrap(),
            wanted,
            told: Vec::new(),
        }
    }

    /// How each lookup ended, and when.
    fn ends(&self) -> Vec<(Instant, Result<Vec<IpAddr>, LookupError>)> {
        let ends = self.told.iter().filter_map(|(at, event)| match event {
            Event::Done { result, .. } => Some((*at, result.clone())),
            Event::Addresses { .. } => None,
        });
        ends.collect()
    }
}

impl App for Looker {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start => {
                for name in self.wanted {
                    self.names.lookup(cx, name, Families::Both).unwrap();
                }
            }
            Wake::Event(event) => assert!(self.names.handle_event(cx, event), "{event:?}"),
            Wake::Alarm(_) => self.names.handle_timeout(cx),
        }
        while let Some(event) = self.names.poll_event() {
            self.told.push((cx.now(), event));
        }
        if let Some(due) = self.names.poll_timeout() {
            cx.alarm(due, 0);
        }
    }
}

/// Answers at one port, by UDP and TCP.
struct Server {
    at: SocketAddr,
    /// What it says to a question, and whether that came by TCP.
    answer: fn(&Packet<'_>, bool) -> Option<Vec<u8>>,
    /// Where questions came from.
    from: Vec<SocketAddr>,
    streams: BTreeMap<TcpId, Vec<u8>>,
    by_tcp: usize,
}

impl Server {
    fn new(port: u16, answer: fn(&Packet<'_>, bool) -> Option<Vec<u8>>) -> Self {
        Self {
            at: SocketAddr::new(SERVER, port),
            answer,
            from: Vec::new(),
            streams: BTreeMap::new(),
            by_tcp: 0,
        }
    }

    fn read(&mut self, cx: &mut Cx<'_>, id: TcpId) {
        let stream = self.streams.entry(id).or_default();
        while let Ok(bytes) = cx.tcp_read_chunk(id, usize::MAX) {
            if bytes.is_empty() {
                self.streams.remove(&id);
                return cx.tcp_close(id);
            }
            stream.extend_from_slice(&bytes);
        }
        let Some((length, message)) = stream.split_first_chunk() else {
            return;
        };
        if message.len() == usize::from(u16::from_be_bytes(*length)) {
            self.by_tcp += 1;
            let answer = (self.answer)(&Packet::parse(message).unwrap(), true);
            stream.clear();
            if let Some(answer) = answer {
                let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                let framed = [&length[..], &answer].concat();
                assert_eq!(cx.tcp_write(id, &framed), Ok(framed.len()));
            }
        }
    }
}

impl App for Server {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start => {
                cx.udp_bind(self.at, UdpOptions::new()).unwrap();
                cx.tcp_listen(self.at, ListenOptions::default()).unwrap();
            }
            Wake::Alarm(_) => {}
            Wake::Event(event) => match event.id {
                SocketId::Udp(id) => {
                    while let Ok(datagram) = cx.udp_recv(id) {
                        self.from.push(datagram.from);
                        let bytes = datagram.data.into_bytes();
                        let packet = Packet::parse(&bytes).unwrap();
                        if let Some(answer) = (self.answer)(&packet, false) {
                            cx.udp_send(id, Some(datagram.from), answer.into()).unwrap();
                        }
                    }
                }
                SocketId::Listener(id) => {
                    while let Ok(id) = cx.tcp_accept(id) {
                        self.read(cx, id);
                    }
                }
                SocketId::Tcp(id) => self.read(cx, id),
                SocketId::Ping(_) | SocketId::Raw(_) | SocketId::Packet(_) => {}
            },
        }
    }
}

/// So many addresses of the family that was asked for.
fn answer(question: &Packet<'_>, count: u8) -> Vec<u8> {
    let mut packet = Packet::new_reply(question.id());
    packet.set_flags(PacketFlag::RECURSION_AVAILABLE);
    packet.questions.clone_from(&question.questions);
    let asked = &question.questions[0];
    for n in 1..=count {
        let data = if asked.qtype == QTYPE::TYPE(TYPE::A) {
            RData::A(A {
                address: u32::from_be_bytes([10, 9, 9, n]),
            })
        } else {
            RData::AAAA(AAAA {
                address: 0xfd09 << 112 | u128::from(n),
            })
        };
        let record = ResourceRecord::new(asked.qname.clone(), CLASS::IN, 60, data);
        packet.answers.push(record);
    }
    packet.build_bytes_vec_compressed().unwrap()
}

fn one(question: &Packet<'_>, _: bool) -> Option<Vec<u8>> {
    Some(answer(question, 1))
}

/// All of it by TCP; by UDP a word that it is cut.
fn large(question: &Packet<'_>, by_tcp: bool) -> Option<Vec<u8>> {
    let mut bytes = answer(question, if by_tcp { 255 } else { 0 });
    if !by_tcp {
        bytes[2] |= 0x02;
    }
    Some(bytes)
}

/// Two hosts, a client and a server, each way 5 ms.
fn network() -> (Network, HostId, HostId) {
    let mut net = Network::new(3);
    let hosts = ["client", "server"].map(|name| net.add_host(HostConfig::new(name).record(true)));
    let port = |host: HostId, ip| host.port(PortConfig::new().address(Cidr::new(ip, 24).unwrap()));
    let wire = WireConfig::perfect().delay(ms(5));
    net.link(port(hosts[0], CLIENT), port(hosts[1], SERVER), wire)
        .unwrap();
    (net, hosts[0], hosts[1])
}

/// A client of servers at these ports; what it looks for, for so long.
fn run(
    ports: &[u16],
    servers: impl IntoIterator<Item = Server>,
    wanted: &'static [&'static str],
    time: Duration,
) -> (Network, AppId<Looker>, Vec<AppId<Server>>) {
    let (mut net, client, server) = network();
    let servers = servers.into_iter();
    let servers = servers.map(|app| net.add_app(server, app)).collect();
    let to = |config: Config, port: &u16| config.server_at(SocketAddr::new(SERVER, *port));
    let config = ports.iter().fold(Config::new(), to);
    let looker = net.add_app(client, Looker::new(config, wanted));
    net.run_for(time).unwrap();
    let names = &net.app(looker).names;
    assert_eq!((names.open(), names.poll_timeout()), (0, None));
    (net, looker, servers)
}

/// RFC 5452 §9.2: a socket for each question, and no port can be told from another one.
/// Covers: DNS-4.
#[test]
fn each_question_has_a_port_of_its_own() {
    const WANTED: &[&str] = &["a.example", "b.example", "c.example", "d.example"];
    let (net, looker, servers) = run(&[53], [Server::new(53, one)], WANTED, ms(1000));
    let ends = net.app(looker).ends();
    assert_eq!(ends.len(), 4);
    for (at, result) in ends {
        assert_eq!(result, Ok(ips("fd09::1 10.9.9.1")));
        assert!(at < Instant::from_millis(40), "{at:?}");
    }
    let from = &net.app(servers[0]).from;
    let ports: BTreeSet<u16> = from.iter().map(SocketAddr::port).collect();
    assert_eq!((from.len(), ports.len()), (8, 8));
    let steps: BTreeSet<i32> = from
        .windows(2)
        .map(|pair| i32::from(pair[1].port()) - i32::from(pair[0].port()))
        .collect();
    assert!(steps.len() > 4, "{steps:?}");
}

/// Covers: DNS-7, DNS-8.
#[test]
fn large_answers_come_by_tcp() {
    let (net, looker, servers) = run(&[53], [Server::new(53, large)], &["a.example"], ms(9000));
    let ends = net.app(looker).ends();
    let all = ends[0].1.clone().unwrap();
    assert_eq!(
        (all.len(), all[0], all[63]),
        (64, ips("fd09::1")[0], ips("10.9.9.32")[0])
    );
    assert_eq!(net.app(servers[0]).by_tcp, 2);
    let counters = net.app(looker).names.resolver().counters();
    assert_eq!((counters.truncated, counters.sent_tcp), (2, 2));
    // Both ends have closed in order.
    let stack = net.stack(looker.host());
    assert_eq!(stack.tcp_open_count(), 0);
    assert_eq!(stack.counters().tcp_resets_sent, 0);
}

/// ICMP says that nobody is there: the next one is asked at once.
#[test]
fn a_server_that_is_not_there_is_passed_at_once() {
    let (net, looker, _) = run(&[54, 53], [Server::new(53, one)], &["a.example"], ms(1000));
    let (at, result) = net.app(looker).ends()[0].clone();
    assert_eq!(result, Ok(ips("fd09::1 10.9.9.1")));
    assert!(at < Instant::from_millis(60), "{at:?}");
    let counters = net.app(looker).names.resolver().counters();
    assert_eq!((counters.unreachable, counters.timeouts), (2, 0));
    // And when nobody is.
    let (net, looker, _) = run(&[54], [], &["a.example"], ms(1000));
    let (_, result) = net.app(looker).ends()[0].clone();
    assert_eq!(result, Err(LookupError::Unreachable));
}

#[test]
fn a_silent_server_is_waited_for() {
    let silent = || [Server::new(53, |_, _| None)];
    let (net, looker, servers) = run(&[53], silent(), &["a.example"], ms(30_000));
    let ends = net.app(looker).ends();
    let at = Instant::from_millis(10_000);
    assert_eq!(ends, [(at, Err(LookupError::TimedOut))]);
    assert_eq!(net.app(servers[0]).from.len(), 4);
    // By TCP as well.
    let cut = || {
        [Server::new(53, |q, by_tcp| {
            large(q, by_tcp).filter(|_| !by_tcp)
        })]
    };
    let (net, looker, servers) = run(&[53], cut(), &["a.example"], ms(90_000));
    assert_eq!(net.app(looker).ends()[0].1, Err(LookupError::TimedOut));
    assert_eq!(net.app(servers[0]).by_tcp, 4);
    assert_eq!(net.stack(looker.host()).tcp_open_count(), 0);
}

/// What it does are calls of the stack: a recording holds them, and a twin that is told them sends the same.
#[test]
fn a_recording_holds_its_questions() {
    let (net, looker, _) = run(
        &[54, 53],
        [Server::new(53, large)],
        &["a.example"],
        ms(9000),
    );
    let recording = net.recording(looker.host()).unwrap();
    let twin = recording.twin().unwrap();
    let sent = net.stack(looker.host()).counters();
    assert_eq!(twin.counters().udp_datagrams_sent, sent.udp_datagrams_sent);
    assert_eq!(sent.udp_datagrams_sent, 4);
    assert_eq!(twin.counters().tcp_opened, 2);
}

/// A resolver whose user forgets what he asked for.
#[test]
fn who_cancels_leaves_no_socket() {
    let (mut net, client, server) = network();
    net.add_app(server, Server::new(53, |_, _| None));
    let config = Config::new().server(SERVER);
    let mut names = Names::new(config, Seed::from_number(1)).unwrap();
    let lookup = net.call(client, |cx| names.lookup(cx, "a.example", Families::Both));
    assert_eq!(names.open(), 2);
    net.call(client, |cx| names.cancel(cx, lookup.unwrap()));
    assert_eq!((names.open(), names.poll_event()), (0, None));
}
