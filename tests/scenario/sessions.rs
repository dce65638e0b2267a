//! Scripts with Rust between them: the same text in every variant of a world.
//!
//! *Owns* how tests of this tier and of `tests/congestion` begin, and that each piece holds, strictly if nothing
//! else is said. The notation is that of docs/scripts.md; what needs no Rust is a script in `tests/scripts`.

use core::fmt::Write as _;
use core::time::Duration;

use netloom::drill::{Drill, Profile, Session, Variant};
use netloom::stack::Counters;
use netloom::tcp::congestion::Choice;
use netloom::tcp::{TcpInfo, TcpOptions};

/// Times to the millisecond.
const EXACT: &str = "--tolerance_usecs=1000 --tolerance_percent=0 --tcp_ts_ecr_scaled ";
/// Timestamps too.
const EXACT_STAMPS: &str = "--tcp_ts_tick_usecs=1000 ";

/// How a test starts. The peer's defaults: MSS 1000, window 65535 unscaled, SACK, no timestamps. Ours: those of
/// everybody, but Reno, whose windows are exact, and no quick ACKs, which would hide what scripts are about.
///
/// Its listener is descriptor 3 of a script, its connection 4; neither blocks.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    established: bool,
    mss: u16,
    window: u16,
    sack: bool,
    timestamps: bool,
    ecn: bool,
    wscale: Option<u8>,
    options: TcpOptions,
    congestion: Choice,
    backlog: Option<usize>,
    cookies: bool,
    rtt: Duration,
    below_wrap: u32,
    stamps_below_wrap: Option<u32>,
    exact_stamps: bool,
    offload: bool,
}

impl Scenario {
    /// A connection that the peer opened, accepted by the user.
    pub(crate) fn established() -> Self {
        Self {
            established: true,
            mss: 1000,
            window: 65_535,
            sack: true,
            timestamps: false,
            ecn: false,
            wscale: None,
            options: TcpOptions::default().quick_acks(0),
            congestion: Choice::Reno,
            backlog: None,
            cookies: true,
            rtt: Duration::from_millis(50),
            below_wrap: 700,
            stamps_below_wrap: None,
            exact_stamps: true,
            offload: true,
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
        self.mss = mss;
        self
    }

    /// The window that the peer tells in the handshake, unscaled.
    pub(crate) fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    /// The peer does not know SACK.
    pub(crate) fn without_sack(mut self) -> Self {
        self.sack = false;
        self
    }

    /// The peer offers timestamps.
    pub(crate) fn timestamps(mut self) -> Self {
        self.timestamps = true;
        self
    }

    /// The peer asks for ECN.
    #[allow(dead_code, reason = "only `tests/congestion` has such peers")]
    pub(crate) fn ecn(mut self) -> Self {
        self.ecn = true;
        self
    }

    /// The peer offers a window scale.
    pub(crate) fn wscale(mut self, shift: u8) -> Self {
        self.wscale = Some(shift);
        self
    }

    /// Our settings.
    pub(crate) fn options(mut self, options: TcpOptions) -> Self {
        self.options = options;
        self
    }

    /// The congestion control; that of the options does not count.
    #[allow(dead_code, reason = "only `tests/congestion` asks for another")]
    pub(crate) fn congestion(mut self, congestion: Choice) -> Self {
        self.congestion = congestion;
        self
    }

    /// How many may be half open, and how many wait to be accepted, whatever `listen` says.
    pub(crate) fn backlog(mut self, backlog: usize) -> Self {
        self.backlog = Some(backlog);
        self
    }

    /// A SYN past the backlog is dropped.
    pub(crate) fn without_cookies(mut self) -> Self {
        self.cookies = false;
        self
    }

    /// Only over devices that take no super-segments.
    #[allow(dead_code, reason = "only `tests/congestion` asks for one")]
    pub(crate) fn plain_device(mut self) -> Self {
        self.offload = false;
        self
    }

    /// The time from a packet to its answer in the handshake: the first RTT sample. Default 50 ms.
    pub(crate) fn rtt(mut self, rtt: Duration) -> Self {
        self.rtt = rtt;
        self
    }

    /// How long before the wrap both initial numbers lie in that variant.
    pub(crate) fn below_wrap(mut self, below: u32) -> Self {
        self.below_wrap = below;
        self
    }

    /// There are timestamps, and ours wrap after this many milliseconds in one more variant.
    pub(crate) fn timestamps_wrap_in(mut self, millis: u32) -> Self {
        self.stamps_below_wrap = Some(millis);
        self.timestamps()
    }

    /// What our timestamps are is not looked at, but only that they are there, and what they echo: those of a
    /// cookie are no clock's. Nor is anything else that costs a script its strict verdict only.
    pub(crate) fn whatever_stamps(mut self) -> Self {
        self.exact_stamps = false;
        self
    }

    /// The three-way handshake, up to the accepted connection.
    fn handshake(&self) -> String {
        let mut options = format!("mss {}", self.mss);
        if self.sack {
            options.push_str(",sackOK");
        }
        // The first of our timestamps that a line names is where the script's begin.
        let mut answer = "...";
        let mut stamp = "";
        if self.timestamps {
            options.push_str(",TS val 0 ecr 0");
            answer = match self.sack {
                true => "mss 1460,sackOK,TS val 0 ecr 0",
                false => "mss 1460,nop,nop,TS val 0 ecr 0",
            };
            stamp = " <TS val 50 ecr 0>";
        }
        if let Some(shift) = self.wscale {
            write!(options, ",wscale {shift}").unwrap();
        }
        let (window, rtt) = (self.window, self.rtt.as_secs_f64());
        let (asks, agrees) = if self.ecn {
            ("SEW", "S.E")
        } else {
            ("S", "S.")
        };
        format!(
            "0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
             +0 bind(3, ..., ...) = 0
             +0 listen(3, 4095) = 0
             +0 < {asks} 0:0(0) win {window} <{options}>
             +0 > {agrees} 0:0(0) ack 1 <{answer}>
             +{rtt} < . 1:1(0) ack 1 win {window}{stamp}
             +0 accept4(3, ..., ..., SOCK_NONBLOCK) = 4
             +0 `ss -n | grep -q ESTABLISHED`"
        )
    }

    fn drill(&self) -> Drill {
        let options = self.options.clone().congestion(self.congestion.clone());
        let mut profile = Profile::rfc().with_tcp(options);
        if let Some(backlog) = self.backlog {
            profile.set("backlog", &backlog.to_string()).unwrap();
        }
        if !self.cookies {
            profile.set("syn_cookies", "off").unwrap();
        }
        Drill::new(profile)
            .below_wrap(self.below_wrap)
            .stamps_below_wrap(self.stamps_below_wrap.unwrap_or(0))
    }

    pub(crate) fn build(self) -> Test {
        let mut test = Test {
            sessions: Vec::new(),
            scenario: self,
        };
        if test.scenario.established {
            test.begin(&test.scenario.handshake());
        }
        test
    }
}

/// The same scenario over IPv4 and IPv6, over a device with offload, and near the wrap.
pub(crate) struct Test {
    scenario: Scenario,
    sessions: Vec<(Variant, Session)>,
}

impl Test {
    fn begin(&mut self, text: &str) {
        let drill = self.scenario.drill();
        // On the first line, so that lines are counted as the text has them.
        let stamps = match self.scenario.exact_stamps {
            true => EXACT_STAMPS,
            false => "",
        };
        let text = format!("{EXACT}{stamps}{text}");
        for variant in Variant::ALL {
            let wanted = match variant {
                Variant::Offload => self.scenario.offload,
                Variant::StampWrap => self.scenario.stamps_below_wrap.is_some(),
                _ => true,
            };
            // What has no SYN of ours has no number that could wrap.
            if let Some(begun) = drill.begin(&text, variant).filter(|_| wanted) {
                let session = begun.unwrap_or_else(|outcome| {
                    panic!("{}: {outcome:#?}\n{text}", variant.name());
                });
                assert_held(variant, &session, self.scenario.exact_stamps, &text);
                self.sessions.push((variant, session));
            }
        }
        assert!(self.sessions.len() >= 2);
    }

    /// Runs a script, or goes on with one, in every variant. It must hold.
    pub(crate) fn run(&mut self, text: &str) {
        if self.sessions.is_empty() {
            return self.begin(text);
        }
        for (variant, session) in &mut self.sessions {
            session.run(text);
            assert_held(*variant, session, self.scenario.exact_stamps, text);
        }
    }

    /// Looks at the connection in every variant.
    pub(crate) fn info(&self, check: impl Fn(&TcpInfo)) {
        for (_, session) in &self.sessions {
            check(&session.info().expect("a connection"));
        }
    }

    /// Does something in every variant, after which all lines must still hold.
    pub(crate) fn each(&mut self, mut act: impl FnMut(Variant, &mut Session)) {
        for (variant, session) in &mut self.sessions {
            act(*variant, session);
            assert_held(*variant, session, self.scenario.exact_stamps, "");
        }
    }

    /// Looks at the counters of every variant.
    pub(crate) fn counters(&self, check: impl Fn(&Counters)) {
        for (_, session) in &self.sessions {
            check(session.stack().counters());
        }
    }
}

fn assert_held(variant: Variant, session: &Session, strictly: bool, text: &str) {
    let outcome = session.outcome();
    let holds = match strictly {
        true => session.is_strict(),
        false => outcome.verdict.is_pass(),
    };
    assert!(holds, "{}: {outcome:#?}\n{text}", variant.name());
}
