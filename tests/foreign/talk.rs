//! Applications that do what a list says, and networks in virtual time that are captured.

use std::io::{self, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netloom::capture::{Fed, ForeignReplay, ForeignReport, LinkType, Reader};
use netloom::device::{Chance, WireConfig};
use netloom::sim::{App, Cx, LinkId, Network, Pair, PortConfig, Wake};
use netloom::stack::{ListenOptions, SocketId, TcpId};
use netloom::tcp::TcpOptions;

pub(crate) const LEFT: IpAddr = Pair::LEFT;
pub(crate) const RIGHT: IpAddr = Pair::RIGHT;

/// What an application does at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Write(usize),
    /// Ends its stream.
    Shut,
    Abort,
    /// Reads from now on, or not.
    Read(bool),
}

/// One end of a connection.
pub(crate) struct End {
    here: SocketAddr,
    to: Option<SocketAddr>,
    options: TcpOptions,
    plan: Vec<(Duration, Act)>,
    id: Option<TcpId>,
    wanted: usize,
    written: usize,
    shut: bool,
    is_shut: bool,
    reads: bool,
}

impl End {
    /// Connects at the start.
    pub(crate) fn connects(here: SocketAddr, to: SocketAddr, plan: &[(u64, Act)]) -> Self {
        let plan = plan.iter();
        Self {
            here,
            to: Some(to),
            options: TcpOptions::default(),
            plan: plan
                .map(|&(at, act)| (Duration::from_millis(at), act))
                .collect(),
            id: None,
            wanted: 0,
            written: 0,
            shut: false,
            is_shut: false,
            reads: true,
        }
    }

    /// Waits for one connection.
    pub(crate) fn listens(here: SocketAddr, plan: &[(u64, Act)]) -> Self {
        Self {
            to: None,
            ..Self::connects(here, here, plan)
        }
    }

    /// The settings of the connection, or of its listener.
    pub(crate) fn options(self, options: TcpOptions) -> Self {
        Self { options, ..self }
    }

    fn act(&mut self, cx: &mut Cx<'_>, act: Act) {
        match act {
            Act::Write(bytes) => self.wanted += bytes,
            Act::Shut => self.shut = true,
            Act::Read(reads) => self.reads = reads,
            Act::Abort => {
                if let Some(id) = self.id.take() {
                    cx.tcp_abort(id);
                }
            }
        }
        self.serve(cx);
    }

    fn serve(&mut self, cx: &mut Cx<'_>) {
        let Some(id) = self.id else { return };
        while self.reads
            && cx
                .tcp_read_chunk(id, 1 << 16)
                .is_ok_and(|it| !it.is_empty())
        {}
        while self.written < self.wanted {
            let len = (self.wanted - self.written).min(1 << 16);
            let text = text(self.written, len);
            match cx.tcp_write(id, &text) {
                Ok(len) => self.written += len,
                Err(_) => return,
            }
        }
        if self.shut && !self.is_shut {
            self.is_shut = cx.tcp_shutdown(id, Shutdown::Write).is_ok();
        }
    }
}

/// Bytes that say where they belong.
pub(crate) fn text(from: usize, len: usize) -> Vec<u8> {
    let byte = |at: usize| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0];
    (from..from + len).map(byte).collect()
}

impl App for End {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start => {
                for (token, (at, _)) in self.plan.iter().enumerate() {
                    cx.alarm_in(*at, token as u64);
                }
                let options = self.options.clone();
                match self.to {
                    Some(to) => self.id = cx.tcp_connect_from(to, Some(self.here), options).ok(),
                    None => {
                        cx.tcp_listen(self.here, ListenOptions::new(options))
                            .unwrap();
                    }
                }
            }
            Wake::Alarm(token) => {
                let act = self.plan[token as usize].1;
                self.act(cx, act);
            }
            Wake::Event(event) => {
                if let SocketId::Listener(listener) = event.id
                    && let Ok(id) = cx.tcp_accept(listener)
                {
                    self.id = Some(id);
                }
                self.serve(cx);
            }
            _ => {}
        }
    }
}

/// A file in memory that outlives who writes it.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a network and gives what was captured at one end of its link: 0 for the first.
pub(crate) fn captured(mut network: Network, link: LinkId, end: u32, millis: u64) -> Vec<u8> {
    let file = Shared::default();
    network.capture(link, file.clone()).unwrap();
    network.run_for(Duration::from_millis(millis)).unwrap();
    network.end_capture(link).unwrap();
    drop(network);
    let whole = file.0.lock().unwrap().clone();
    edited(&whole, |frame| (frame.interface == end).then_some(frame))
}

/// One frame of a capture, to be altered.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) at: u64,
    pub(crate) link: LinkType,
    pub(crate) interface: u32,
    pub(crate) data: Vec<u8>,
    /// Bytes that the wire had, if more.
    pub(crate) original_len: usize,
}

/// The same capture with each frame as `edit` gives it back, on one interface.
pub(crate) fn edited(file: &[u8], mut edit: impl FnMut(Raw) -> Option<Raw>) -> Vec<u8> {
    let frames = Reader::new(file).map(|frame| Raw {
        at: frame.at.unwrap(),
        link: frame.link,
        interface: frame.interface,
        data: frame.data.to_vec(),
        original_len: frame.original_len as usize,
    });
    write(frames.filter_map(&mut edit))
}

/// A file of these frames.
pub(crate) fn write(frames: impl Iterator<Item = Raw>) -> Vec<u8> {
    let mut frames = frames.peekable();
    let link = frames.peek().map_or(LinkType::ETHERNET, |frame| frame.link);
    // The classic format: what most others write. Nanoseconds, little endian.
    let mut file = Vec::new();
    for word in [
        0xa1b2_3c4du32,
        0x0004_0002,
        0,
        0,
        262_144,
        u32::from(link.0),
    ] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        assert_eq!(frame.link, link, "one link type a file");
        let (seconds, nanos) = (frame.at / 1_000_000_000, frame.at % 1_000_000_000);
        let words = [
            seconds as u32,
            nanos as u32,
            frame.data.len() as u32,
            frame.original_len.max(frame.data.len()) as u32,
        ];
        for word in words {
            file.extend(word.to_le_bytes());
        }
        file.extend(&frame.data);
    }
    file
}

/// Two stacks, a wire, and a connection from left to right.
pub(crate) struct Talk {
    pub(crate) seed: u64,
    /// Where it is captured: 0 at the left.
    pub(crate) end: u32,
    /// In milliseconds.
    pub(crate) delay: u64,
    /// Frames lost, per million.
    pub(crate) loss: u32,
    /// Super-segments and partial checksums.
    pub(crate) offload: bool,
    pub(crate) six: bool,
    pub(crate) left: &'static [(u64, Act)],
    pub(crate) right: &'static [(u64, Act)],
    pub(crate) left_options: TcpOptions,
    pub(crate) right_options: TcpOptions,
    /// Does anybody listen?
    pub(crate) listens: bool,
    /// Both connect at once, and nobody listens.
    pub(crate) crosses: bool,
}

impl Talk {
    pub(crate) fn new(
        seed: u64,
        left: &'static [(u64, Act)],
        right: &'static [(u64, Act)],
    ) -> Self {
        Self {
            seed,
            end: 0,
            delay: 10,
            loss: 0,
            offload: false,
            six: false,
            left,
            right,
            left_options: TcpOptions::default(),
            right_options: TcpOptions::default(),
            listens: true,
            crosses: false,
        }
    }

    /// Left and right.
    pub(crate) fn sides(&self) -> [IpAddr; 2] {
        sides(self.six)
    }

    /// Runs it for 20 s.
    pub(crate) fn captured(self) -> Vec<u8> {
        let wire = WireConfig::perfect()
            .rate(100_000_000)
            .delay(Duration::from_millis(self.delay))
            .loss(Chance::per_million(self.loss));
        let sides = self.sides();
        let port = |side: usize| {
            let port = PortConfig::new().offload(self.offload);
            match sides[side] {
                IpAddr::V4(_) => port,
                six => port.address(netloom::Cidr::new(six, 64).unwrap()),
            }
        };
        let mut pair = Pair::with(self.seed, wire, [port(0), port(1)]).unwrap();
        let [here, there] = [
            SocketAddr::new(sides[0], 40_000),
            SocketAddr::new(sides[1], 80),
        ];
        if self.crosses {
            let end = End::connects(there, here, self.right).options(self.right_options);
            let _ = pair.network.add_app(pair.right, end);
        } else if self.listens {
            let end = End::listens(there, self.right).options(self.right_options);
            let _ = pair.network.add_app(pair.right, end);
        }
        let end = End::connects(here, there, self.left).options(self.left_options);
        let _ = pair.network.add_app(pair.left, end);
        captured(pair.network, pair.link, self.end, 20_000)
    }
}

/// The addresses of both hosts.
pub(crate) fn sides(six: bool) -> [IpAddr; 2] {
    if six {
        ["fd00::1", "fd00::2"].map(|address| address.parse().unwrap())
    } else {
        [LEFT, RIGHT]
    }
}

/// What a whole capture comes to: each of its frames is accounted for, and nothing is broken.
pub(crate) fn replay(file: &[u8], fed: Fed) -> ForeignReport {
    let report = ForeignReplay::new(file, fed).unwrap().finish();
    println!("{fed:?}: {report}");
    assert!(report.is_sound());
    let told = report.fed + report.expected + report.skipped_total();
    assert_eq!(report.frames, told);
    report
}
