//! That nothing a stack is told is forgotten by its journal, and that a twin which is told the same
//! does the same or is found out.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use std::collections::BTreeSet;
use std::fs;
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::*;
use crate::base::{Cidr, MacAddr, Protocol, Seed};
use crate::device::{Capabilities, Medium};
use crate::link::{RxChecksum, RxMeta};
use crate::stack::ids::{Id, RawId};
use crate::stack::{
    AddressOptions, Difference, FilterMode, ListenOptions, Mismatch, MulticastOptions,
    PacketOptions, PingOptions, PingOutcome, RawOptions, Refusal, RequestCall, RequestId, SendInfo,
    Twin, UdpOptions,
};
use crate::tcp::TcpOptions;

/// A journal that tests read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Entry>>>, bool);

impl Log {
    fn take(&self) -> Vec<Entry> {
        core::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Journal for Log {
    fn input(&mut self, input: &Input) {
        self.0.lock().unwrap().push(Entry::Input(input.clone()));
    }

    fn outcome(&mut self, outcome: &Outcome) {
        let entry = Entry::Outcome(outcome.clone());
        self.0.lock().unwrap().push(entry);
    }

    fn offered(&mut self, at: Instant, on: InterfaceId, frame: &TxFrame<'_>, answer: Answer) {
        let data = Bytes::from(frame.to_vec());
        let offered = Offered::new(at, on, data, frame.meta, answer);
        self.0.lock().unwrap().push(Entry::Offered(offered));
    }

    fn keeps_payload(&self) -> bool {
        !self.1
    }
}

/// The methods by which the world speaks.
const OF_THE_WORLD: [&str; 5] = [
    "add_interface",
    "handle_frame",
    "handle_timeout",
    "poll_event",
    "poll_transmit",
];

/// One call of each kind.
fn samples() -> Vec<Call> {
    let first = RawId {
        index: 0,
        generation: 0,
    };
    let (tcp, listener) = (TcpId::from_raw(first), ListenerId::from_raw(first));
    let request = RequestId::from_raw(first);
    let (udp, ping) = (UdpId::from_raw(first), PingId::from_raw(first));
    let to: SocketAddr = "10.0.0.2:7".parse().unwrap();
    let own: SocketAddr = "10.0.0.1:7".parse().unwrap();
    let data = || Payload::Whole(Bytes::from_static(b"data"));
    let group = IpAddr::from([239, 1, 1, 1]);
    let mut all = vec![
        Call::UdpBind(own, UdpOptions::new()),
        Call::UdpConnect(udp, to),
        Call::UdpSendTo(udp, Some(to), data()),
        Call::UdpSendChunk(udp, Some(to), data()),
        Call::UdpSendSegmented(udp, Some(to), data(), NonZeroU16::MIN),
        Call::UdpSendWith(udp, Some(to), data(), None, SendInfo::new().ttl(9)),
        Call::UdpRecv(udp),
        Call::UdpJoin(udp, group, None, None),
        Call::UdpBlock(udp, group, None, to.ip()),
        Call::UdpUnblock(udp, group, None, to.ip()),
        Call::UdpSetFilter(udp, group, None, FilterMode::Include, vec![to.ip()]),
        Call::UdpLeave(udp, group, None, Some(to.ip())),
        Call::UdpSetMulticast(udp, MulticastOptions::new().loops(false)),
        Call::UdpSetBroadcast(udp, true),
        Call::UdpSetFlowLabel(udp, Some(7)),
        Call::UdpClose(udp),
        Call::PingOpen(PingOptions::new()),
        Call::PingSend(ping, to.ip(), None, 1, Bytes::new()),
        Call::PingSendWith(ping, to.ip(), 2, Bytes::new(), SendInfo::new().tos(4)),
        Call::PingRecv(ping),
        Call::PingClose(ping),
        Call::TcpListen(own, ListenOptions::default()),
        Call::TcpListenerRoom(listener, 3),
        Call::TcpAccept(listener),
        Call::TcpConnect(to, None, TcpOptions::default()),
        Call::TcpConnectOn(InterfaceId::from_index(0), to, None, TcpOptions::default()),
        Call::TcpSetOptions(tcp, TcpOptions::default().nodelay(true)),
        Call::TcpWrite(tcp, data()),
        Call::TcpWriteChunk(tcp, data()),
        Call::TcpWriteUrgent(tcp, data()),
        Call::TcpUrgent(tcp),
        Call::PollReady(tcp.into(), Readiness::READABLE),
        Call::TcpRead(tcp, 9),
        Call::TcpReadChunk(tcp, 9),
        Call::TcpPeek(tcp, 9),
        Call::TcpShutdown(tcp, Shutdown::Write),
        Call::TcpClose(tcp),
        Call::TcpAbort(tcp),
        Call::TcpAbortAll,
        Call::Request(RequestCall::Take(listener)),
        Call::Request(RequestCall::Admit(request)),
        Call::Request(RequestCall::Refuse(request, Refusal::Port)),
        Call::TcpListenerClose(listener),
        Call::ChargeOutside(7),
    ];
    all.extend(samples_of_raw_sockets());
    all.extend(samples_of_interfaces());
    all
}

/// Those of raw and packet sockets.
fn samples_of_raw_sockets() -> Vec<Call> {
    let raw = RawSocketId::from_raw(RawId {
        index: 0,
        generation: 0,
    });
    let packet = PacketSocketId::from_raw(RawId {
        index: 0,
        generation: 0,
    });
    let data = Bytes::from_static(b"raw");
    vec![
        Call::RawOpen(RawOptions::v4(Protocol::TCP)),
        Call::RawSend(raw, Some([10, 0, 0, 2].into()), data, SendInfo::new()),
        Call::RawRecv(raw),
        Call::RawClose(raw),
        Call::PacketOpen(PacketOptions::new(InterfaceId::from_index(0))),
        Call::PacketSend(
            packet,
            MacAddr::BROADCAST,
            0x88b5,
            Bytes::from_static(b"hi"),
        ),
        Call::PacketRecv(packet),
        Call::PacketClose(packet),
    ]
}

/// Those about interfaces.
fn samples_of_interfaces() -> Vec<Call> {
    let on = InterfaceId::from_index(0);
    let (more, net): (Cidr, Cidr) = (
        "10.0.0.9/24".parse().unwrap(),
        "10.9.0.0/16".parse().unwrap(),
    );
    let to: SocketAddr = "10.0.0.2:7".parse().unwrap();
    vec![
        Call::AddAddress(on, more, AddressOptions::new().probe(false)),
        Call::PollChange,
        Call::AddRoute(on, net, Some(to.ip())),
        Call::RemoveRoute(on, net, Some(to.ip())),
        Call::AddGateway(on, to.ip()),
        Call::RemoveGateway(on, to.ip()),
        Call::SetLink(on, false),
        Call::SetMtu(on, 1400),
        Call::SetLifetimes(on, more.address(), None, None),
        Call::RemoveAddress(on, more.address()),
        Call::DhcpRelease(on),
        Call::DhcpStart(on, Some("10.0.0.9".parse().unwrap())),
        Call::RemoveInterface(on),
    ]
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The public methods in these sources that change a `Stack`.
fn changing_methods(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for block in source.split("\nimpl Stack {").skip(1) {
        let block = block.split("\n}\n").next().unwrap_or_default();
        for method in block.split("\n    pub fn ").skip(1) {
            let head = method.split('{').next().unwrap_or_default();
            if head.contains("&mut self") {
                let name = head.split(['(', '<']).next().unwrap_or_default();
                found.push(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_method_that_changes_a_stack_is_an_input() {
    let made_up = "\nimpl Stack {\n    pub fn one(\n        &mut self,\n    ) {\n    }\n\n    \
                   pub fn two<T>(&mut self) {}\n    pub const fn three(&self) {}\n    fn four(&mut self) {}\n}\n";
    assert_eq!(changing_methods(made_up), ["one", "two"]);
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&root, &mut files);
    let methods = files.iter().flat_map(|path| {
        let text = fs::read_to_string(path).unwrap();
        changing_methods(&text)
    });
    let methods: BTreeSet<String> = methods.collect();
    let inputs = samples().into_iter().map(|call| call.name());
    let inputs = inputs.chain(OF_THE_WORLD).map(str::to_owned);
    assert_eq!(methods, inputs.collect());
}

fn config() -> Config {
    Config::new(Seed::from_number(5))
}

fn interface() -> InterfaceConfig {
    InterfaceConfig::new(&Capabilities::full(Medium::Ip, 1500))
        .address("10.0.0.1/24".parse().unwrap())
}

/// A device that takes what it is offered, but for every third frame.
struct Moody(usize);

impl Transmit for Moody {
    fn transmit(&mut self, _: Instant, _: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.0 += 1;
        Ok(match self.0 % 4 {
            2 => Sent::Full,
            3 => Sent::Dropped(DeviceDrop::NoBuffers),
            _ => Sent::Taken,
        })
    }
}

#[test]
fn each_call_is_noted_once_with_what_it_returned() {
    let log = Log::default();
    let mut stack = Stack::recorded(config(), Box::new(log.clone()));
    let now = Instant::from_millis(3);
    stack.add_interface(now, interface()).unwrap();
    log.take();
    for call in samples() {
        let outcome = call.make(now, &mut stack, true);
        let entries = log.take();
        let [Entry::Input(Input::Call(at, noted)), Entry::Outcome(told)] = &entries[..] else {
            panic!("{call}: {entries:?}");
        };
        assert_eq!((*at, told), (now, &outcome), "{call}");
        assert_eq!(format!("{noted:?}"), format!("{call:?}"));
    }
    // What it stands at already is no change.
    stack.charge_outside(7);
    assert!(log.take().is_empty());
}

/// Some of everything, with a device that is full and drops now and then.
fn run(cut: bool) -> Vec<Entry> {
    let log = Log(Arc::default(), cut);
    let mut stack = Stack::recorded(config(), Box::new(log.clone()));
    let on = stack.add_interface(Instant::ZERO, interface()).unwrap();
    let mut device = Moody(0);
    let mut round = 0;
    for call in samples() {
        round += 1;
        let now = Instant::from_millis(round * 400);
        stack.handle_timeout(now);
        let meta = RxMeta::new(now).with_checksum(RxChecksum::Verified);
        stack.handle_frame(now, on, RxFrame::new(Bytes::from_static(b"nonsense"), meta));
        call.make(now, &mut stack, true);
        while stack.poll_event().is_some() {}
        let _ = stack.poll_transmit(now, on, &mut device);
    }
    log.take()
}

fn twin_of(entries: Vec<Entry>, seed: u64) -> Result<Stack, Box<Difference>> {
    let config = Config::new(Seed::from_number(seed));
    let mut twin = Twin::new(Stack::new(config), true);
    let mut entries = (0..).zip(entries);
    while twin.step(&mut entries)? {}
    Ok(twin.into_stack())
}

#[test]
fn a_twin_is_told_the_same_and_does_the_same() {
    let entries = run(false);
    let offered = |e: &&Entry| matches!(e, Entry::Offered(_));
    let full = |e: &&Entry| matches!(e, Entry::Offered(o) if o.answer == Answer::Full);
    assert!(entries.iter().filter(offered).count() > 5);
    assert!(entries.iter().filter(full).count() > 1);
    twin_of(entries, 5).unwrap();
}

#[test]
fn a_twin_that_differs_says_in_what() {
    let entries = run(false);
    // Another seed: other ports, and other times at which groups are reported.
    let wrong = twin_of(entries.clone(), 6).unwrap_err();
    let Mismatch::Frame { expected, got } = wrong.what else {
        panic!("{wrong:?}");
    };
    let data = |frame: Option<Box<Offered>>| frame.map(|offered| offered.data);
    assert_ne!(data(expected), data(got));
    for (at, entry) in entries.iter().enumerate() {
        let mut other = entries.clone();
        match entry {
            Entry::Outcome(_) => other[at] = Entry::Outcome(Outcome::Number(77)),
            Entry::Offered(offered) => {
                let mut changed = offered.clone();
                changed.meta.checksum = None;
                changed.data = changed.data.iter().map(|b| b ^ 1).collect();
                other[at] = Entry::Offered(changed);
            }
            Entry::Input(Input::Event(_)) => other[at] = Entry::Input(Input::Event(None)),
            Entry::Input(_) => continue,
        }
        let told = twin_of(other, 5).unwrap_err();
        let right = match entry {
            Entry::Outcome(_) => matches!(told.what, Mismatch::Outcome { .. }),
            Entry::Offered(_) => matches!(told.what, Mismatch::Frame { .. }),
            Entry::Input(_) => matches!(told.what, Mismatch::Event { .. }),
        };
        assert!(right, "{entry:?}: {told:?}");
        // One frame too many, one too few.
        if matches!(entry, Entry::Offered(_)) {
            let mut more = entries.clone();
            more.insert(at, entry.clone());
            assert!(twin_of(more, 5).is_err(), "{entry:?} twice");
            let mut less = entries.clone();
            less.remove(at);
            // The last of a journal may be missing.
            assert_eq!(twin_of(less, 5).is_err(), at + 1 < entries.len());
        }
    }
}

/// However much more a twin sends in a turn, each input behind that is told.
#[test]
fn a_difference_swallows_no_input() {
    let entries = run(false);
    let is_input = |entry: &&Entry| matches!(entry, Entry::Input(_));
    let is_offer = |entry: Option<&Entry>| matches!(entry, Some(Entry::Offered(_)));
    let mut crowded = 0;
    for at in 0..entries.len() {
        let mut fewer = entries.clone();
        let turn = matches!(entries[at], Entry::Input(Input::Transmit(..)));
        if !turn || !is_offer(entries.get(at + 1)) || !is_offer(entries.get(at + 2)) {
            continue;
        }
        while is_offer(fewer.get(at + 1)) {
            fewer.remove(at + 1);
        }
        crowded += 1;
        let inputs = fewer.iter().filter(is_input).count();
        let mut twin = Twin::new(Stack::new(config()), true);
        let mut entries = (0..).zip(fewer);
        let mut steps = [0, 0];
        loop {
            match twin.step(&mut entries) {
                Ok(false) => break,
                Ok(true) => steps[0] += 1,
                Err(_) => steps[1] += 1,
            }
        }
        assert!(steps[1] > 0, "{steps:?}");
        assert_eq!(steps[0] + steps[1], inputs, "the turn at {at}");
    }
    assert!(crowded > 0);
}

/// Wherever a journal breaks off, what it has is told without a difference.
#[test]
fn what_breaks_off_is_told_up_to_there() {
    let entries = run(false);
    for end in 0..entries.len() {
        if let Err(difference) = twin_of(entries[..end].to_vec(), 5) {
            panic!("cut after {end}: {difference:?}");
        }
    }
}

#[test]
fn without_payload_lengths_stand_for_it() {
    let entries = run(true);
    let mut payloads = 0;
    for entry in &entries {
        if let Entry::Input(Input::Call(_, call)) = entry {
            match &**call {
                Call::TcpWrite(_, data)
                | Call::TcpWriteChunk(_, data)
                | Call::UdpSendTo(_, _, data)
                | Call::UdpSendChunk(_, _, data)
                | Call::UdpSendSegmented(_, _, data, _)
                | Call::UdpSendWith(_, _, data, ..) => {
                    assert_eq!(*data, Payload::Cut(4));
                    assert_eq!(data.to_bytes(), &[0; 4][..]);
                    payloads += 1;
                }
                _ => {}
            }
        }
    }
    assert_eq!(payloads, 6);
    let long = Payload::Cut(100_000);
    assert_eq!((long.len(), long.to_bytes().len()), (100_000, 100_000));
}

/// A checksum over what was not kept counts as equal; nothing beside it does.
#[test]
fn a_loose_checksum_is_two_bytes() {
    let on = InterfaceId::from_index(0);
    let payload = [Bytes::from_static(b"payload")];
    let frame = TxFrame::new(b"headers", &payload, TxMeta::PLAIN);
    let whole = Bytes::from_static(b"headerspayload");
    let offered = Offered::new(Instant::ZERO, on, whole, TxMeta::PLAIN, Answer::Taken);
    assert!(offered.is_of(&frame));
    for at in 0..14 {
        let mut data = offered.data.to_vec();
        data[at] ^= 0x10;
        let data = Bytes::from(data);
        let mut other = Offered {
            data,
            ..offered.clone()
        };
        assert!(!other.is_of(&frame), "{at}");
        other.loose = Some(3);
        assert_eq!(other.is_of(&frame), at == 3 || at == 4, "{at}");
        // Cut before it, it is not compared.
        other.data.truncate(at);
        assert!(other.is_of(&frame), "{at}");
    }
    let short = Offered { len: 13, ..offered };
    assert!(!short.is_of(&frame));
}

/// No packet carries it, and what it is refused for is its length: that is all that is noted and told again.
#[test]
fn a_datagram_beyond_any_packet_is_noted_by_its_length() {
    for cut in [false, true] {
        let log = Log(Arc::default(), cut);
        let mut stack = Stack::recorded(config(), Box::new(log.clone()));
        stack.add_interface(Instant::ZERO, interface()).unwrap();
        let now = Instant::from_millis(3);
        let to = Some("10.0.0.2:7".parse().unwrap());
        let own = "10.0.0.1:7".parse().unwrap();
        let id = stack.udp_bind(own, UdpOptions::new()).unwrap();
        let large = Bytes::from(vec![7; 70_000]);
        let segment = NonZeroU16::new(1000).unwrap();
        assert!(stack.udp_send_to(now, id, to, &large).is_err());
        let sent = stack.udp_send_chunk(now, id, to, large.clone());
        assert!(sent.is_err());
        let sent = stack.udp_send_segmented(now, id, to, large.clone(), segment);
        assert!(sent.is_err());
        let info = SendInfo::new().ttl(7);
        let sent = stack.udp_send_with(now, id, to, large.clone(), Some(segment), &info);
        assert!(sent.is_err());
        // To a port that is none, which is told first.
        let none = Some("10.0.0.2:0".parse().unwrap());
        assert!(stack.udp_send_to(now, id, none, &large).is_err());
        let entries = log.take();
        let noted = entries.iter().filter_map(|entry| match entry {
            Entry::Input(Input::Call(_, call)) => match &**call {
                Call::UdpSendTo(_, _, data)
                | Call::UdpSendChunk(_, _, data)
                | Call::UdpSendSegmented(_, _, data, _)
                | Call::UdpSendWith(_, _, data, ..) => Some(data.clone()),
                _ => None,
            },
            _ => None,
        });
        assert_eq!(
            noted.collect::<Vec<_>>(),
            [(); 5].map(|()| Payload::Cut(70_000))
        );
        twin_of(entries, 5).unwrap();
        // However long it says it was: nothing of that length is made.
        let longest = || Payload::Cut(usize::MAX);
        for call in [
            Call::UdpSendTo(id, to, longest()),
            Call::UdpSendChunk(id, to, longest()),
            Call::UdpSendSegmented(id, to, longest(), segment),
            Call::UdpSendWith(id, to, longest(), None, info),
        ] {
            let outcome = call.make(now, &mut stack, true);
            assert!(matches!(outcome, Outcome::Refused(_)), "{call}: {outcome}");
            let entries = log.take();
            assert_eq!(
                entries.len(),
                2,
                "{call} is noted, as it was made: {entries:?}"
            );
        }
    }
}

/// What is noted of a call has a bound because a call has one.
#[test]
fn one_call_moves_64_mib_at_most() {
    const MOST: usize = 64 << 20;
    let log = Log(Arc::default(), true);
    let mut stack = Stack::recorded(config(), Box::new(log.clone()));
    stack.add_interface(Instant::ZERO, interface()).unwrap();
    let now = Instant::ZERO;
    let to = "10.0.0.2:7".parse().unwrap();
    let options = TcpOptions::default().send_buffer(MOST + 100);
    let [one, other] = [0; 2].map(|_| {
        let opened = stack.tcp_connect(now, to, None, options.clone());
        opened.unwrap()
    });
    let mut data = vec![0; MOST + 7];
    assert_eq!(stack.tcp_write(now, one, &data), Ok(MOST));
    assert_eq!(stack.tcp_write(now, one, &data[MOST..]), Ok(7));
    let mut chunk = Bytes::from(data.clone());
    assert_eq!(stack.tcp_write_chunk(now, other, &mut chunk), Ok(MOST));
    assert_eq!(chunk.len(), 7);
    assert_eq!(stack.tcp_write_chunk(now, other, &mut chunk), Ok(7));
    assert!(chunk.is_empty());
    log.take();
    let _ = stack.tcp_read(now, one, &mut data);
    let _ = stack.tcp_peek(one, &mut data);
    let lens = log.take().into_iter().filter_map(|entry| match entry {
        Entry::Input(Input::Call(_, call)) => match *call {
            Call::TcpRead(_, len) | Call::TcpPeek(_, len) => Some(len),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(lens.collect::<Vec<_>>(), [MOST, MOST]);
}

/// What came with a reply is content too: a twin's with another number or time is another reply.
#[test]
fn all_of_a_reply_counts() {
    let reply = PingReply {
        from: core::net::Ipv4Addr::LOCALHOST.into(),
        seq: 1,
        payload: Bytes::from_static(b"x"),
        ttl: 64,
        at: Instant::from_millis(1),
        outcome: PingOutcome::Reply,
    };
    let told = |change: fn(&mut PingReply)| {
        let mut other = reply.clone();
        change(&mut other);
        other.tell(true)
    };
    let changes: [fn(&mut PingReply); 6] = [
        |it| it.from = core::net::Ipv4Addr::BROADCAST.into(),
        |it| it.seq = 2,
        |it| it.payload = Bytes::from_static(b"y"),
        |it| it.ttl = 63,
        |it| it.at = Instant::from_millis(2),
        |it| it.outcome = PingOutcome::TimeExceeded,
    ];
    let whole = reply.tell(true);
    for change in changes {
        assert_ne!(told(change), whole);
    }
    assert_eq!(told(|_| {}), whole);
}
