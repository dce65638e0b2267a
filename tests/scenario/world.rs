//! One world of a scenario: the stack, the clock, and what left that no line has expected yet.

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::net::Shutdown;

use netloom::base::{DropReason, Protocol};
use netloom::bytes::Bytes;
use netloom::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use netloom::link::{RxFrame, RxMeta, TxFrame};
use netloom::stack::{Event, ListenOptions, ListenerId, Port, TcpId};
use netloom::tcp::congestion::Choice;
use netloom::tcp::{Fields, Flags, Header, Keepalive, Options, TcpInfo, TcpOptions};
use netloom::{Config, Instant, InterfaceConfig, Readiness, Seed, SocketId, Stack};
use netloom::{ipv4, ipv6};

use super::device::Inbox;
use super::harness::endpoints;
use super::script::{Action, Line, Opts, Packet};

/// How far a packet may leave from the time that its line gives.
const TOLERANCE: Duration = Duration::from_millis(1);

/// What a world starts with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) v6: bool,
    pub(crate) below_wrap: Option<u32>,
    /// Both timestamp clocks start this many milliseconds before they wrap.
    pub(crate) ts_below_wrap: Option<u32>,
    pub(crate) peer_mss: u16,
    pub(crate) peer_window: u16,
    pub(crate) peer_sack: bool,
    pub(crate) peer_timestamps: bool,
    pub(crate) peer_ecn: bool,
    pub(crate) peer_wscale: Option<u8>,
    /// Which congestion control they ask for does not count.
    pub(crate) options: TcpOptions,
    /// Reno: what scripts count is exact there, and is the window's arithmetic of RFC 5681.
    pub(crate) congestion: Choice,
    pub(crate) backlog: Option<usize>,
    pub(crate) cookies: bool,
    pub(crate) offload: bool,
    pub(crate) rtt: Duration,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            v6: false,
            below_wrap: None,
            ts_below_wrap: None,
            peer_mss: 1000,
            peer_window: 65_535,
            peer_sack: true,
            peer_timestamps: false,
            peer_ecn: false,
            peer_wscale: None,
            // A packet for each first segment would hide what the scripts are about.
            options: TcpOptions::default().quick_acks(0),
            congestion: Choice::Reno,
            backlog: None,
            cookies: true,
            offload: true,
            rtt: Duration::from_millis(50),
        }
    }
}

impl Setting {
    fn options(&self) -> TcpOptions {
        self.options.clone().congestion(self.congestion.clone())
    }

    /// The three-way handshake as a script, up to the accepted connection.
    pub(crate) fn handshake(&self) -> String {
        let mut options = format!("mss {}", self.peer_mss);
        if self.peer_sack {
            options.push_str(",sackOK");
        }
        let mut stamp = "";
        if self.peer_timestamps {
            options.push_str(",TS val 0 ecr 0");
            stamp = " <TS val 50 ecr 0>";
        }
        if let Some(shift) = self.peer_wscale {
            write!(options, ",wscale {shift}").unwrap();
        }
        let (window, rtt) = (self.peer_window, self.rtt.as_secs_f64());
        let (asks, agrees) = if self.peer_ecn {
            ("SEW", "S.E")
        } else {
            ("S", "S.")
        };
        format!(
            "+0 listen
             +0 < {asks} 0:0(0) win {window} <{options}>
             +0 > {agrees} 0:0(0) ack 1
             +{rtt} < . 1:1(0) ack 1 win {window}{stamp}
             +0 accept
             +0 expect-state ESTABLISHED"
        )
    }

    fn start(&self) -> Instant {
        if let Some(below) = self.below_wrap {
            // RFC 6528: the number ticks every 4 microseconds, so the start time chooses it.
            let (isn, _) = self.first_numbers();
            let ticks = 0u32.wrapping_sub(below).wrapping_sub(isn);
            Instant::from_nanos(u64::from(ticks) * 4000)
        } else if let Some(below) = self.ts_below_wrap {
            let (_, timestamp) = self.first_numbers();
            let millis = 0u32.wrapping_sub(below).wrapping_sub(timestamp);
            Instant::from_millis(u64::from(millis))
        } else {
            Instant::from_millis(1_000_000)
        }
    }

    /// Our initial number and timestamp at time zero.
    fn first_numbers(&self) -> (u32, u32) {
        let mut scratch = World::at(Self::default_family(self), Instant::ZERO);
        scratch.listen();
        let syn = Packet {
            flags: "S".into(),
            options: Some(Opts {
                ts: Some((None, None)),
                ..Opts::default()
            }),
            ..Packet::default()
        };
        scratch.inject(&syn);
        scratch.settle();
        let (_, answer) = scratch.out().frames.pop_front().expect("a SYN-ACK");
        let (_, _, header, options) = take_apart(&answer);
        (header.seq, options.timestamps.expect("timestamps").0)
    }

    fn default_family(&self) -> Self {
        Self {
            below_wrap: None,
            ts_below_wrap: None,
            ..self.clone()
        }
    }
}

/// What left the stack, whole, with the size of its segments.
#[derive(Clone, Debug)]
struct Sentence {
    bytes: Vec<u8>,
    size: Option<u16>,
}

#[derive(Default)]
struct Out {
    frames: VecDeque<(Instant, Sentence)>,
    full: bool,
}

impl Transmit for Out {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if self.full {
            return Ok(Sent::Full);
        }
        let sentence = Sentence {
            bytes: frame.to_vec(),
            size: frame.meta.segment.map(|segment| segment.size.get()),
        };
        self.frames.push_back((now, sentence));
        Ok(Sent::Taken)
    }
}

pub(crate) struct World {
    setting: Setting,
    now: Instant,
    stack: Stack,
    port: Port<Inbox, Out>,
    /// When the port's next turn is due.
    due: Option<Instant>,
    listener: Option<ListenerId>,
    id: Option<TcpId>,
    our_isn: Option<u32>,
    peer_isn: u32,
    our_ts: Option<u32>,
    peer_ts: u32,
    peer_window: u16,
    written: u64,
    read: u64,
    events: Readiness,
    /// Our answers to the SYNs of others: their port and our number.
    strangers: Vec<(u16, u32)>,
}

/// The first port of others at the peer's address.
const STRANGER: u16 = 6000;

impl World {
    pub(crate) fn new(setting: Setting) -> Self {
        let start = setting.start();
        Self::at(setting, start)
    }

    fn at(setting: Setting, now: Instant) -> Self {
        // The same largest segment for both families.
        let (mtu, prefix) = if setting.v6 { (1520, 64) } else { (1500, 24) };
        let capabilities = if setting.offload {
            Capabilities::full(Medium::Ip, mtu)
        } else {
            Capabilities::plain(Medium::Ip, mtu)
        };
        let (ours, _) = endpoints(setting.v6);
        let config = InterfaceConfig::new(&capabilities)
            .link_local(false)
            .address(format!("{}/{prefix}", ours.ip()).parse().unwrap());
        let mut stack = Stack::new(Config::new(Seed::from_number(7)));
        let on = stack.add_interface(now, config).unwrap();
        let below = setting.below_wrap.map(|below| 0u32.wrapping_sub(below));
        let mut world = Self {
            now,
            stack,
            port: Port::new(on, (Inbox::default(), Out::default())),
            due: None,
            listener: None,
            id: None,
            our_isn: None,
            peer_isn: below.unwrap_or(100_000),
            our_ts: None,
            peer_ts: below
                .or_else(|| setting.ts_below_wrap.map(|below| 0u32.wrapping_sub(below)))
                .unwrap_or(1_000_000),
            peer_window: setting.peer_window,
            written: 0,
            read: 0,
            events: Readiness::empty(),
            strangers: Vec::new(),
            setting,
        };
        world.settle();
        world
    }

    pub(crate) fn stack(&self) -> &Stack {
        &self.stack
    }

    pub(crate) fn info(&self) -> TcpInfo {
        let id = self.id.expect("a connection");
        self.stack.tcp_info(id).expect("the user still holds it")
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.setting.v6
    }

    /// Our initial number, once a SYN has left.
    pub(crate) fn our_isn(&self) -> Option<u32> {
        self.our_isn
    }

    fn name(&self) -> &'static str {
        match (self.setting.v6, self.setting.below_wrap) {
            (true, _) => "IPv6",
            (_, None) => "IPv4",
            (_, Some(_)) => "IPv4 below the wrap",
        }
    }

    // --- time -----------------------------------------------------------------------------

    /// Lets time pass up to `to`, timer by timer.
    fn advance(&mut self, to: Instant) {
        while let Some(due) = self.due.filter(|&due| due <= to) {
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = to;
    }

    /// All that can happen now.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let (mine, mut ready) = (self.id, Readiness::empty());
            let mut user = |_: &mut Stack, _: Instant, event: Event| {
                if matches!(event.id, SocketId::Tcp(id) if Some(id) == mine)
                    || matches!(event.id, SocketId::Listener(_))
                {
                    ready |= event.ready;
                }
            };
            let next = self.port.turn(self.now, &mut self.stack, &mut user);
            self.events |= ready;
            let next = next.unwrap();
            self.due = next.due;
            if !next.again {
                return;
            }
        }
        panic!("r32: turns without end at {:?}", self.now);
    }

    fn out(&mut self) -> &mut Out {
        self.port.tx_mut().half_mut()
    }

    // --- the script -----------------------------------------------------------------------

    pub(crate) fn step(&mut self, line: &Line) {
        let at = self.now + line.after;
        let place = format!("{}, line {}: {}", self.name(), line.number, line.text);
        match &line.action {
            Action::InjectWithNext(packet) => {
                self.advance(at);
                self.expect_silence(&place);
                self.inject(packet);
                return;
            }
            Action::ExpectAnything => {
                self.advance(at);
                self.out().frames.clear();
            }
            Action::Inject(packet) => {
                self.advance(at);
                self.expect_silence(&place);
                self.inject(packet);
            }
            Action::Expect(packet) => {
                self.advance(at);
                self.expect(packet, &place);
            }
            Action::Command(words) => {
                self.advance(at);
                self.expect_silence(&place);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                self.command(&words, &place);
            }
        }
        self.settle();
    }

    /// Nothing left that no line expected.
    pub(crate) fn expect_silence(&mut self, place: &str) {
        if let Some((at, sentence)) = self.port.tx().half().frames.front().cloned() {
            let got = self.show(&sentence);
            panic!(
                "{place}\n  unexpected at {at:?}: {got}\n  now {:?}",
                self.now
            );
        }
    }

    fn expect(&mut self, expected: &Packet, place: &str) {
        let Some((at, sentence)) = self.out().frames.pop_front() else {
            panic!(
                "{place}\n  nothing was sent by {:?}\n{}",
                self.now,
                self.status()
            );
        };
        let late = self.now.since(at).max(at.since(self.now));
        let got = self.read_packet(&sentence);
        assert!(
            late <= TOLERANCE,
            "{place}\n  got at {at:?} and not at {:?}: {}",
            self.now,
            format_packet(&got)
        );
        let wanted = Packet {
            win: expected.win.or(got.win),
            options: fill(expected.options.clone(), got.options.as_ref()),
            ..expected.clone()
        };
        assert_eq!(
            format_packet(&wanted),
            format_packet(&got),
            "{place}\n  expected and got differ\n{}",
            self.status()
        );
    }

    fn status(&self) -> String {
        let info = self.id.and_then(|id| self.stack.tcp_info(id).ok());
        format!("  {info:?}\n  drops {:?}", self.stack.counters().drops)
    }

    // --- packets --------------------------------------------------------------------------

    fn inject(&mut self, packet: &Packet) {
        let (ours, theirs) = endpoints(self.setting.v6);
        let our_isn = self.our_isn.unwrap_or(0);
        self.peer_window = packet.win.unwrap_or(self.peer_window);
        let mut fields = Fields::default();
        fields.src_port = theirs.port();
        fields.dst_port = ours.port();
        fields.seq = self.peer_isn.wrapping_add(packet.seq);
        fields.ack = packet.ack.map_or(0, |ack| our_isn.wrapping_add(ack));
        fields.flags = flags_of(&packet.flags);
        fields.window = self.peer_window;
        let opts = packet.options.clone().unwrap_or_default();
        let mut options = Options::default();
        options.mss = opts.mss;
        options.sack_permitted = opts.sack_ok;
        options.window_scale = opts.wscale;
        options.timestamps = opts.ts.map(|(val, ecr)| {
            let ecr = ecr.filter(|_| packet.ack.is_some());
            (
                self.peer_ts.wrapping_add(val.unwrap_or(0)),
                ecr.map_or(0, |ecr| self.our_ts.unwrap_or(0).wrapping_add(ecr)),
            )
        });
        let block = |&(l, r): &(u32, u32)| (our_isn.wrapping_add(l), our_isn.wrapping_add(r));
        options.sack = opts.sack.iter().map(block).collect();
        let mut segment = vec![0; 60];
        let header = fields.emit(&options, &mut segment);
        segment.truncate(header);
        segment.extend((0..packet.len).map(|n| theirs_at(packet.seq.wrapping_add(n))));
        let size = packet.size.and_then(|size| u16::try_from(size).ok());
        let meta =
            RxMeta::new(self.now).with_segment_size(size.and_then(core::num::NonZeroU16::new));
        self.give(theirs, packet.ecn, segment, meta);
    }

    /// Leaves a segment from this end for the stack's next turn.
    fn give(&mut self, from: SocketAddr, ecn: u8, segment: Vec<u8>, meta: RxMeta) {
        let (ours, _) = endpoints(self.setting.v6);
        let frame = self.wrap((from, ours), ecn, segment);
        let frame = RxFrame::new(Bytes::from(frame), meta);
        self.port.rx_mut().half_mut().0.push_back(frame);
    }

    /// A segment without text or options from another port of the peer; returns what answers it.
    fn stranger(&mut self, port: u16, seq: u32, ack: u32, flags: Flags) -> Option<Sentence> {
        let (ours, theirs) = endpoints(self.setting.v6);
        let mut fields = Fields::default();
        (fields.src_port, fields.dst_port) = (port, ours.port());
        (fields.seq, fields.ack, fields.flags) = (seq, ack, flags);
        fields.window = 1000;
        let mut segment = vec![0; 60];
        let header = fields.emit(&Options::default(), &mut segment);
        segment.truncate(header);
        let from = SocketAddr::new(theirs.ip(), port);
        self.give(from, 0, segment, RxMeta::new(self.now));
        self.settle();
        self.out().frames.pop_front().map(|(_, answer)| answer)
    }

    /// SYNs from other ports; their answers are noted.
    fn flood(&mut self, syns: u16, place: &str) {
        for _ in 0..syns {
            let port = STRANGER + self.strangers.len() as u16;
            let answer = self.stranger(port, 7000, 0, Flags::SYN).expect(place);
            let (_, _, fields, _) = take_apart(&answer);
            self.strangers.push((port, fields.seq));
        }
    }

    /// ACKs from ports that never sent a SYN, with numbers from a generator of our own.
    fn forge_acks(&mut self, acks: u32, place: &str) {
        let mut word = 0x2545_f491u32;
        for n in 0..acks {
            word ^= word << 13;
            word ^= word >> 17;
            word ^= word << 5;
            let port = 20_000 + (n % 1000) as u16;
            let answer = self.stranger(port, word, word.rotate_left(16), Flags::ACK);
            let (_, _, fields, _) = take_apart(&answer.expect(place));
            assert!(fields.flags.contains(Flags::RST), "{place}");
        }
    }

    /// Completes the checksum and puts the IP header in front.
    fn wrap(&self, (from, to): (SocketAddr, SocketAddr), ecn: u8, mut segment: Vec<u8>) -> Vec<u8> {
        let len = segment.len();
        let mut head = [0; 60];
        let (pseudo, head_len) = match (from.ip(), to.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                (ipv4::pseudo_sum(src, dst, Protocol::TCP, len), {
                    let mut fields = ipv4::Fields::new(src, dst, Protocol::TCP);
                    fields.tos = ecn;
                    fields.emit(len, &mut head)
                })
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                (ipv6::pseudo_sum(src, dst, Protocol::TCP, len), {
                    let mut fields = ipv6::Fields::new(src, dst, Protocol::TCP);
                    fields.traffic_class = ecn;
                    fields.emit(len, &mut head)
                })
            }
            _ => unreachable!("one family"),
        };
        let sum = pseudo.bytes(&segment).finish();
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        let mut frame = head[..head_len].to_vec();
        frame.extend(segment);
        frame
    }

    /// A packet that left, in the script's terms; learns our initial number from a SYN.
    fn read_packet(&mut self, sentence: &Sentence) -> Packet {
        let (_, _, fields, options) = take_apart(sentence);
        if fields.flags.contains(Flags::SYN) {
            self.our_isn = Some(fields.seq);
        }
        if let Some((val, _)) = options.timestamps
            && self.our_ts.is_none()
        {
            self.our_ts = Some(val);
        }
        let packet = self.relative(sentence);
        let text = text_of(sentence);
        let ours = |n: usize| ours_at(packet.seq.wrapping_add(n as u32));
        assert!(
            text.iter().enumerate().all(|(n, &byte)| byte == ours(n)),
            "wrong text in {}",
            format_packet(&packet)
        );
        packet
    }

    fn show(&self, sentence: &Sentence) -> String {
        format_packet(&self.relative(sentence))
    }

    fn relative(&self, sentence: &Sentence) -> Packet {
        let (_, _, fields, options) = take_apart(sentence);
        let our_isn = self.our_isn.unwrap_or(0);
        let opts = Opts {
            mss: options.mss,
            sack_ok: options.sack_permitted,
            wscale: options.window_scale,
            ts: options.timestamps.map(|(val, ecr)| {
                let ecr = if fields.flags.contains(Flags::ACK) {
                    ecr.wrapping_sub(self.peer_ts)
                } else {
                    ecr
                };
                (
                    Some(val.wrapping_sub(self.our_ts.unwrap_or(val))),
                    Some(ecr),
                )
            }),
            sack: options
                .sack
                .iter()
                .map(|(l, r)| (l.wrapping_sub(self.peer_isn), r.wrapping_sub(self.peer_isn)))
                .collect(),
        };
        let acks = fields.flags.contains(Flags::ACK);
        Packet {
            flags: flag_chars(fields.flags),
            seq: fields.seq.wrapping_sub(our_isn),
            len: text_of(sentence).len() as u32,
            size: sentence.size.map(u32::from),
            ack: acks.then(|| fields.ack.wrapping_sub(self.peer_isn)),
            win: Some(fields.window),
            options: Some(opts),
            ecn: ecn_of(sentence),
        }
    }

    // --- commands -------------------------------------------------------------------------

    fn listen(&mut self) {
        let (ours, _) = endpoints(self.setting.v6);
        let mut options =
            ListenOptions::new(self.setting.options()).syn_cookies(self.setting.cookies);
        if let Some(backlog) = self.setting.backlog {
            options = options.backlog(backlog);
        }
        self.listener = Some(self.stack.tcp_listen(ours, options).unwrap());
    }

    fn command(&mut self, words: &[&str], place: &str) {
        let now = self.now;
        match words {
            ["listen"] => self.listen(),
            ["unlisten"] => {
                let listener = self.listener.expect("a listener");
                self.stack.tcp_listener_close(now, listener);
            }
            ["connect"] => {
                let (ours, theirs) = endpoints(self.setting.v6);
                let options = self.setting.options();
                self.id = Some(
                    self.stack
                        .tcp_connect(now, theirs, Some(ours), options)
                        .unwrap(),
                );
            }
            ["accept"] => {
                let listener = self.listener.expect("a listener");
                let accepted = self.stack.tcp_accept(now, listener);
                self.id = Some(accepted.unwrap_or_else(|error| panic!("{place}\n  {error}")));
            }
            ["accept-fails"] => {
                let listener = self.listener.expect("a listener");
                assert!(self.stack.tcp_accept(now, listener).is_err(), "{place}");
            }
            ["wait"] => {}
            ["flood", syns] => self.flood(syns.parse().unwrap(), place),
            ["forge-acks", acks] => self.forge_acks(acks.parse().unwrap(), place),
            // The n-th of the flood goes on, or resets what it began.
            ["stranger", n, what] => {
                let (port, iss) = self.strangers[n.parse::<usize>().unwrap()];
                let (ack, flags) = match *what {
                    "acks" => (iss.wrapping_add(1), Flags::ACK),
                    _ => (0, Flags::RST),
                };
                let answer = self.stranger(port, 7001, ack, flags);
                assert!(answer.is_none(), "{place}");
            }
            ["device", state] => self.out().full = *state == "full",
            ["next-life", by] => {
                self.peer_isn = self.peer_isn.wrapping_add(by.parse().unwrap());
                self.our_isn = None;
                (self.written, self.read) = (0, 0);
            }
            _ => self.user_command(words, place),
        }
    }

    /// What the user does with an open connection.
    fn user_command(&mut self, words: &[&str], place: &str) {
        let now = self.now;
        let id = self.id;
        let id = || id.unwrap_or_else(|| panic!("{place}\n  no connection"));
        match words {
            ["write", n] => self.write(id(), n.parse().unwrap(), place),
            ["write-chunk", n] => self.write_chunk(id(), n.parse().unwrap(), place),
            ["write-fails", kind] => {
                let error = self.stack.tcp_write(now, id(), b"x").expect_err(place);
                assert_eq!(
                    format!("{:?}", std::io::Error::from(error).kind()),
                    *kind,
                    "{place}"
                );
            }
            ["read", n] => self.read(id(), n.parse().unwrap(), place),
            ["read-fails", kind] => {
                let error = self.stack.tcp_read(now, id(), &mut [0]).expect_err(place);
                assert_eq!(
                    format!("{:?}", std::io::Error::from(error).kind()),
                    *kind,
                    "{place}"
                );
            }
            ["close"] => self.stack.tcp_close(now, id()),
            ["abort"] => self.stack.tcp_abort(now, id()),
            ["shutdown", how] => {
                let how = match *how {
                    "wr" => Shutdown::Write,
                    "rd" => Shutdown::Read,
                    _ => Shutdown::Both,
                };
                self.stack.tcp_shutdown(now, id(), how).expect(place);
            }
            ["setopt", name, value] => self.set_option(id(), name, value),
            _ => self.check(words, place),
        }
    }

    fn check(&mut self, words: &[&str], place: &str) {
        match words {
            ["expect-state", name] => {
                let state = self.info().state;
                assert_eq!(state.name(), *name, "{place}");
            }
            ["expect-event", name] => {
                let bit = Readiness::from_name(name).expect("an event's name");
                assert!(
                    self.events.contains(bit),
                    "{place}\n  events: {:?}",
                    self.events
                );
                self.events.remove(bit);
            }
            ["no-event"] => assert!(self.events.is_empty(), "{place}\n  {:?}", self.events),
            ["clear-events"] => self.events = Readiness::empty(),
            ["expect-error", kind] => {
                let failure = self
                    .info()
                    .failure
                    .unwrap_or_else(|| panic!("{place}\n  none"));
                assert_eq!(format!("{failure:?}"), *kind, "{place}");
            }
            ["expect-info", field, value] => {
                let info = self.info();
                let got = match *field {
                    "cwnd" => info.cwnd.to_string(),
                    "ssthresh" => info.ssthresh.to_string(),
                    "in_flight" => info.in_flight.to_string(),
                    "unsent" => info.unsent.to_string(),
                    "snd_wnd" => info.snd_wnd.to_string(),
                    "snd_mss" => info.snd_mss.to_string(),
                    "rto_ms" => info.rto.as_millis().to_string(),
                    "backoff" => info.backoff.to_string(),
                    "srtt_ms" => info.rtt.map_or(0, |rtt| rtt.as_millis()).to_string(),
                    "unread" => info.unread.to_string(),
                    _ => panic!("{place}\n  no such field"),
                };
                assert_eq!(got, *value, "{place}");
            }
            _ => self.check_counts(words, place),
        }
    }

    fn check_counts(&self, words: &[&str], place: &str) {
        match words {
            ["expect-open", n] => {
                assert_eq!(self.stack.tcp_open_count().to_string(), *n, "{place}")
            }
            ["expect-time-wait", n] => {
                assert_eq!(self.stack.tcp_time_wait_count().to_string(), *n, "{place}");
            }
            ["expect-counter", name, n] => {
                let mut counters = self.stack.counters().iter();
                let (_, count) = counters.find(|(known, _)| known == name).expect(place);
                assert_eq!(count.to_string(), *n, "{place}");
            }
            ["expect-drops", reason, n] => {
                let reason = DropReason::ALL
                    .iter()
                    .find(|r| r.name() == *reason)
                    .expect(place);
                let count = self.stack.counters().drops.get(*reason);
                assert_eq!(count.to_string(), *n, "{place}");
            }
            _ => panic!("{place}\n  no such command"),
        }
    }

    fn set_option(&mut self, id: TcpId, name: &str, value: &str) {
        let old = self.stack.tcp_options(id).unwrap().clone();
        let seconds = || Duration::from_secs_f64(value.parse().unwrap());
        let new = match name {
            "nodelay" => old.nodelay(value == "on"),
            "delayed_ack" => old.delayed_ack(value == "on"),
            "user_timeout" => old.user_timeout(Some(seconds())),
            "linger" => old.linger(Some(seconds())),
            // Idle seconds; then every 5 seconds, 3 times.
            "keepalive" => old.keepalive(Some(
                Keepalive::after(seconds())
                    .interval(Duration::from_secs(5))
                    .probes(3),
            )),
            _ => panic!("no such option: {name}"),
        };
        self.stack.tcp_set_options(self.now, id, new).unwrap();
    }

    fn write(&mut self, id: TcpId, n: u64, place: &str) {
        let data = self.next_text(n);
        let wrote = self.stack.tcp_write(self.now, id, &data);
        assert_eq!(wrote, Ok(data.len()), "{place}");
    }

    fn write_chunk(&mut self, id: TcpId, n: u64, place: &str) {
        let mut chunk = Bytes::from(self.next_text(n));
        let wrote = self.stack.tcp_write_chunk(self.now, id, &mut chunk);
        assert_eq!(wrote, Ok(usize::try_from(n).unwrap()), "{place}");
    }

    /// The next bytes of our stream.
    fn next_text(&mut self, n: u64) -> Vec<u8> {
        let text = (1..=n).map(|k| ours_at((self.written + k) as u32));
        let text = text.collect();
        self.written += n;
        text
    }

    /// Reads exactly `n` bytes; 0 is the end of the stream.
    fn read(&mut self, id: TcpId, n: usize, place: &str) {
        let mut buf = vec![0; n.max(1)];
        let got = self.stack.tcp_read(self.now, id, &mut buf);
        assert_eq!(got, Ok(n), "{place}");
        let expected: Vec<u8> = (1..=n as u64)
            .map(|k| theirs_at((self.read + k) as u32))
            .collect();
        assert_eq!(buf[..n], expected, "{place}\n  wrong bytes");
        self.read += n as u64;
    }
}

/// The byte with this relative number in our stream.
fn ours_at(seq: u32) -> u8 {
    (seq.wrapping_mul(2_654_435_761) >> 24) as u8
}

/// The same in the peer's.
fn theirs_at(seq: u32) -> u8 {
    (seq.wrapping_mul(2_246_822_519) >> 24) as u8
}

const FLAGS: [(char, Flags); 8] = [
    ('S', Flags::SYN),
    ('F', Flags::FIN),
    ('R', Flags::RST),
    ('P', Flags::PSH),
    ('.', Flags::ACK),
    ('E', Flags::ECE),
    ('W', Flags::CWR),
    ('U', Flags::URG),
];

fn flags_of(chars: &str) -> Flags {
    let one = |c: char| FLAGS.iter().find(|(name, _)| *name == c).expect("a flag").1;
    chars.chars().fold(Flags::empty(), |all, c| all | one(c))
}

fn flag_chars(flags: Flags) -> String {
    let mut chars: Vec<char> = FLAGS
        .iter()
        .filter(|(_, flag)| flags.contains(*flag))
        .map(|(name, _)| *name)
        .collect();
    chars.sort_unstable();
    chars.into_iter().collect()
}

/// Takes over from `got` what the script did not say.
fn fill(expected: Option<Opts>, got: Option<&Opts>) -> Option<Opts> {
    let Some(mut opts) = expected else {
        return got.cloned();
    };
    if let (Some((val, ecr)), Some((got_val, got_ecr))) = (opts.ts, got.and_then(|got| got.ts)) {
        opts.ts = Some((val.or(got_val), ecr.or(got_ecr)));
    }
    Some(opts)
}

fn format_packet(packet: &Packet) -> String {
    let Packet {
        flags,
        seq,
        len,
        size,
        ack,
        win,
        options,
        ecn,
    } = packet;
    let mut line = format!("{flags} {seq}:{}(", seq.wrapping_add(*len));
    match size {
        Some(size) => write!(line, "{}x{size}+{})", len / size, len % size),
        None => write!(line, "{len})"),
    }
    .unwrap();
    if let Some(ack) = ack {
        write!(line, " ack {ack}").unwrap();
    }
    if let Some(win) = win {
        write!(line, " win {win}").unwrap();
    }
    if let Some(options) = options {
        write!(line, " {options:?}").unwrap();
    }
    if *ecn > 0 {
        write!(line, " ecn {ecn:02b}").unwrap();
    }
    line
}

fn segment_of(sentence: &Sentence) -> &[u8] {
    match sentence.bytes[0] >> 4 {
        4 => {
            ipv4::Header::parse(&sentence.bytes)
                .expect("an IPv4 packet")
                .1
        }
        _ => {
            ipv6::Header::parse(&sentence.bytes)
                .expect("an IPv6 packet")
                .1
        }
    }
}

fn ecn_of(sentence: &Sentence) -> u8 {
    match sentence.bytes[0] >> 4 {
        4 => ipv4::Header::parse(&sentence.bytes)
            .expect("an IPv4 packet")
            .0
            .ecn(),
        _ => ipv6::Header::parse(&sentence.bytes)
            .expect("an IPv6 packet")
            .0
            .ecn(),
    }
}

fn text_of(sentence: &Sentence) -> &[u8] {
    Header::parse(segment_of(sentence)).expect("a segment").1
}

fn take_apart(sentence: &Sentence) -> (u16, u16, Fields, Options) {
    let (header, _) = Header::parse(segment_of(sentence)).expect("a segment");
    let fields = header.fields();
    let options = Options::parse(header.options_bytes());
    (fields.src_port, fields.dst_port, fields, options)
}
