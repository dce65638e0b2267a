//! One stack, a scripted peer and a virtual clock; each script runs in several worlds.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use netloom::stack::Counters;
use netloom::tcp::congestion::Choice;
use netloom::tcp::{TcpInfo, TcpOptions};

use super::script;
use super::world::{Setting, World};

/// How long before the wrap both initial numbers lie in the third world (r10).
const BELOW_WRAP: u32 = 700;

/// How a scenario starts. The peer's defaults: MSS 1000, window 65535 unscaled, SACK, no timestamps.
/// Ours: those of everybody, but no quick ACKs.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    established: bool,
    setting: Setting,
    below_wrap: u32,
}

impl Scenario {
    /// A connection that the peer opened, accepted by the user.
    pub(crate) fn established() -> Self {
        Self {
            established: true,
            setting: Setting::default(),
            below_wrap: BELOW_WRAP,
        }
    }

    /// Nothing yet: the script opens it.
    pub(crate) fn closed() -> Self {
        Self {
            established: false,
            ..Self::established()
        }
    }

    /// The MSS that the peer tells.
    pub(crate) fn mss(mut self, mss: u16) -> Self {
        self.setting.peer_mss = mss;
        self
    }

    /// The window that the peer tells, unscaled.
    pub(crate) fn window(mut self, window: u16) -> Self {
        self.setting.peer_window = window;
        self
    }

    /// The peer does not know SACK.
    pub(crate) fn without_sack(mut self) -> Self {
        self.setting.peer_sack = false;
        self
    }

    /// The peer offers timestamps.
    pub(crate) fn timestamps(mut self) -> Self {
        self.setting.peer_timestamps = true;
        self
    }

    /// The peer asks for ECN.
    pub(crate) fn ecn(mut self) -> Self {
        self.setting.peer_ecn = true;
        self
    }

    /// The peer offers a window scale.
    pub(crate) fn wscale(mut self, shift: u8) -> Self {
        self.setting.peer_wscale = Some(shift);
        self
    }

    /// Our settings.
    pub(crate) fn options(mut self, options: TcpOptions) -> Self {
        self.setting.options = options;
        self
    }

    /// The congestion control, Reno otherwise; that of the options does not count.
    #[allow(dead_code, reason = "only `tests/congestion` asks for another")]
    pub(crate) fn congestion(mut self, congestion: Choice) -> Self {
        self.setting.congestion = congestion;
        self
    }

    /// How many may be half open, and how many wait to be accepted.
    pub(crate) fn backlog(mut self, backlog: usize) -> Self {
        self.setting.backlog = Some(backlog);
        self
    }

    /// A SYN past the backlog is dropped.
    pub(crate) fn without_cookies(mut self) -> Self {
        self.setting.cookies = false;
        self
    }

    /// A device that takes no super-segments.
    #[allow(dead_code, reason = "only `tests/congestion` asks for one")]
    pub(crate) fn plain_device(mut self) -> Self {
        self.setting.offload = false;
        self
    }

    /// The time from a packet to its answer in the handshake: the first RTT sample. Default 50 ms.
    pub(crate) fn rtt(mut self, rtt: Duration) -> Self {
        self.setting.rtt = rtt;
        self
    }

    /// How long before the wrap both initial numbers lie in the third world.
    pub(crate) fn below_wrap(mut self, below: u32) -> Self {
        self.below_wrap = below;
        self
    }

    /// Both timestamp clocks wrap after this many milliseconds.
    pub(crate) fn timestamps_wrap_in(mut self, millis: u32) -> Self {
        self.setting.ts_below_wrap = Some(millis);
        self.timestamps()
    }

    pub(crate) fn build(self) -> Test {
        let settings = [
            self.setting.clone(),
            Setting {
                v6: true,
                ..self.setting.clone()
            },
            Setting {
                below_wrap: Some(self.below_wrap),
                ..self.setting.clone()
            },
        ];
        let mut test = Test {
            worlds: settings.map(World::new),
        };
        if self.established {
            test.run(&self.setting.handshake());
        }
        test
    }
}

/// The same scenario over IPv4, over IPv6, and with both sides' numbers about to wrap.
pub(crate) struct Test {
    worlds: [World; 3],
}

impl Test {
    /// Runs a script in every world. A difference fails with the line, the expected and the got.
    pub(crate) fn run(&mut self, text: &str) {
        let lines = script::parse(text);
        for world in &mut self.worlds {
            for line in &lines {
                world.step(line);
            }
            world.expect_silence("the end of the script");
        }
    }

    /// Looks at the connection in every world.
    pub(crate) fn info(&self, check: impl Fn(&TcpInfo)) {
        for world in &self.worlds {
            check(&world.info());
        }
    }

    /// Looks at every world.
    pub(crate) fn worlds(&self, check: impl Fn(&World)) {
        self.worlds.iter().for_each(check);
    }

    /// Looks at the counters of every world.
    pub(crate) fn counters(&self, check: impl Fn(&Counters)) {
        for world in &self.worlds {
            check(world.stack().counters());
        }
    }
}

/// Our address and the peer's.
pub(crate) fn endpoints(v6: bool) -> (SocketAddr, SocketAddr) {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let (ours, theirs) = if v6 {
        (ip("fd00::1"), ip("fd00::2"))
    } else {
        (ip("10.0.0.1"), ip("10.0.0.2"))
    };
    (SocketAddr::new(ours, 80), SocketAddr::new(theirs, 5000))
}
