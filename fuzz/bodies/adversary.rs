//! Two whole stacks, and between them an adversary: each frame's fate comes from the input.
//!
//! Input: eight bytes of settings (see `Settings`), then a tape: the path takes bytes of its front for each frame,
//! the users of its back for each thing that they do. When it is used up all frames pass and users work without rest. Whatever the path does, what a user reads is what the other wrote,
//! byte for byte; as long as no frame is lost nothing fails; everything ends, and nothing is left
//! behind. Where the path forges (right checksums over changed headers) only the last of these holds.
//! `NETLOOM_TRACE=1` prints frames and their fates.

mod path;
mod settings;
mod user;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use netloom::Instant;
use netloom::device::WireConfig;
use netloom::sim::{AppId, HostConfig, HostId, Network};
use netloom::tcp::TcpFailure;

use path::Path;
use settings::Settings;
use user::User;

/// Frames of one run. A retransmission of everything at every time-out stays far below.
const MOST_FRAMES: u64 = 60_000;
/// The longest run: give-ups of both ends, one after the other, with probes that are answered.
const LONGEST: Duration = Duration::from_secs(48 * 3600);

/// How long users wait for each other when the path forges.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What a run came to: equal inputs give equal ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Of all frames and their times.
    pub digest: u64,
    pub frames: u64,
    /// Frames that were lost, changed or held back.
    pub harmed: u64,
    pub read: u64,
    /// Users that read and wrote to the end.
    pub finished: u64,
}

/// Where the input is taken from.
#[derive(Debug, Default)]
struct Tape {
    left: std::collections::VecDeque<u8>,
}

impl Tape {
    /// The path's next byte, while there is one.
    fn front(&mut self) -> Option<u8> {
        self.left.pop_front()
    }

    /// The users' next byte, while there is one.
    fn back(&mut self) -> Option<u8> {
        self.left.pop_back()
    }

    /// The path's next byte, or zero.
    fn byte(&mut self) -> u8 {
        self.front().unwrap_or(0)
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }
}

/// Runs two stacks as `input` says.
pub fn run(input: &[u8]) -> Outcome {
    let Some((settings, tape)) = input.split_first_chunk::<8>() else {
        return Outcome::default();
    };
    let settings = Rc::new(Settings::of(*settings));
    let left = tape.iter().copied().collect();
    let mut world = World::new(&settings, Rc::new(RefCell::new(Tape { left })));
    world.run();
    world.wind_up();
    world.outcome()
}

struct World {
    settings: Rc<Settings>,
    network: Network,
    hosts: [HostId; 2],
    users: [AppId<User>; 2],
    path: Rc<RefCell<Path>>,
}

impl World {
    fn new(settings: &Rc<Settings>, tape: Rc<RefCell<Tape>>) -> Self {
        let mut network = Network::new(1);
        let hosts = [0, 1].map(|who| {
            let settings = Rc::clone(settings);
            let name = ["a", "b"][who];
            network.add_host(HostConfig::new(name).stack(move |config| settings.stack(config)))
        });
        let path = Rc::new(RefCell::new(Path::new(settings, Rc::clone(&tape))));
        let relay = {
            let path = Rc::clone(&path);
            network.add_relay("path", settings.medium(), move |now, port, frame| {
                path.borrow_mut().pass(now, port, &frame)
            })
        };
        for (who, host) in hosts.into_iter().enumerate() {
            let wire = WireConfig::perfect().delay(settings.delay());
            let ends = (host.port(settings.port(who)), relay.port());
            network.link(ends.0, ends.1, wire).expect("it can work");
        }
        let users = [0, 1].map(|who| {
            let user = User::new(who, settings, Rc::clone(&tape));
            network.add_app(hosts[who], user)
        });
        Self {
            settings: Rc::clone(settings),
            network,
            hosts,
            users,
            path,
        }
    }

    /// All that happens next at one instant; false when nothing ever will.
    fn step(&mut self) -> bool {
        let stepped = self.network.step().expect("time passes");
        let frames = self.path.borrow().frames;
        assert!(frames < MOST_FRAMES, "{frames} frames; {}", self.report());
        assert!(self.took() < LONGEST, "too slow; {}", self.report());
        stepped.is_some()
    }

    fn user(&self, who: usize) -> &User {
        self.network.app(self.users[who])
    }

    /// Until both users are done.
    fn run(&mut self) {
        while [0, 1].iter().any(|&who| !self.user(who).is_done()) {
            let goes_on = self.step();
            self.check();
            // Ends that were told lies may talk past each other for ever.
            if goes_on && !(self.settings.forges() && self.took() > PATIENCE) {
                continue;
            }
            // Nothing will ever happen again: whose peer has gone need not be told of it.
            let forgiven = self.is_forgiven();
            assert!(forgiven, "all wait for ever; {}", self.report());
            for (host, id) in self.hosts.into_iter().zip(self.users) {
                if let Some(id) = self.network.app_mut(id).give_up() {
                    self.network.call(host, |cx| cx.tcp_abort(id));
                }
            }
        }
    }

    fn took(&self) -> Duration {
        self.network.now().since(Instant::ZERO)
    }

    /// Did the path or a user do what may end a connection?
    fn is_forgiven(&self) -> bool {
        self.path.borrow().harmed > 0 || [0, 1].iter().any(|&who| self.user(who).left_early)
    }

    fn check(&self) {
        if self.settings.forges() {
            return;
        }
        for who in [0, 1] {
            let (reader, writer) = (self.user(who), self.user(1 - who));
            assert!(reader.read <= writer.written, "{}", self.report());
            if reader.end_seen {
                assert_eq!(reader.read, writer.written, "{}", self.report());
            }
            if let Some(failure) = reader.failure {
                assert!(self.is_forgiven(), "{failure}; {}", self.report());
                assert_ne!(failure, TcpFailure::NetworkUnreachable);
            }
        }
    }

    /// What is left ends by itself, and gives everything back.
    fn wind_up(&mut self) {
        for (host, user) in self.hosts.into_iter().zip(self.users) {
            let listener = self.network.app(user).listener;
            self.network.call(host, |cx| {
                cx.tcp_listener_close(listener.expect("it listens"))
            });
        }
        while self.step() {}
        for host in self.hosts {
            let stack = self.network.stack(host);
            let open = stack.tcp_open_count() + stack.tcp_time_wait_count();
            assert_eq!(open, 0, "{}", self.report());
            assert_eq!(stack.tcp_connections().count(), 0);
            assert_eq!(stack.memory().used, 0, "{}", self.report());
            let on = self.network.interface(host, 0).expect("it has a port");
            assert!(!stack.wants_transmit(on));
        }
    }

    fn outcome(&self) -> Outcome {
        let path = self.path.borrow();
        let users = [0, 1].map(|who| self.user(who));
        Outcome {
            digest: self.network.trace_hash(),
            frames: path.frames,
            harmed: path.harmed,
            read: users.iter().map(|user| user.read).sum(),
            finished: users.iter().map(|user| u64::from(user.is_finished())).sum(),
        }
    }

    fn report(&self) -> String {
        let mut text = format!(
            "at {:?}, {:?}, {:?}",
            self.network.now(),
            self.settings,
            self.path.borrow()
        );
        for who in [0, 1] {
            let stack = self.network.stack(self.hosts[who]);
            text += &format!("\n{}", self.user(who).progress());
            for id in stack.tcp_connections() {
                text += &format!("\n  {:?}", stack.tcp_info(id));
            }
            text += &format!("\n  {:?}", stack.counters());
        }
        text
    }
}

/// Where end `who` is, on this port.
fn at(settings: &Settings, who: usize, port: u16) -> SocketAddr {
    SocketAddr::new(settings.address(who), port)
}
