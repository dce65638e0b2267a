//! What makes netloom behave as the stack that a script was written for: one table of settings.
//!
//! *Owns* [`Profile`], its built-in ones, and the names of the settings. *Does not* know scripts.

use core::time::Duration;

use crate::base::Seed;
use crate::stack::{Config, ListenOptions};
use crate::tcp::congestion::Choice;
use crate::tcp::{Ecn, MtuProbing, TcpOptions};

/// Settings by name. All of them are public options of [`TcpOptions`], [`ListenOptions`] and [`Config`].
#[derive(Clone, Debug)]
pub struct Profile {
    name: String,
    pub(super) tcp: TcpOptions,
    pub(super) backlog: Option<usize>,
    pub(super) syn_cookies: bool,
    pub(super) time_wait: Duration,
    /// Of IPv4; over IPv6 the header's 20 bytes more are added, for the same segments.
    pub(super) mtu: usize,
}

/// Why a file is no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {cause}")]
#[non_exhaustive]
pub struct ProfileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub cause: String,
}

type Set = fn(&mut Profile, &str) -> Option<()>;

/// A setting: its name, what it takes, and how it is set.
const SETTINGS: &[(&str, &str, Set)] = &[
    ("congestion", "reno, cubic, bbr or bbr3", |p, v| {
        let choice = choice(v)?;
        p.with(|tcp| tcp.congestion(choice))
    }),
    ("ecn", "off, accept or ask", |p, v| {
        let ecn = match v {
            "off" | "0" => Ecn::Off,
            "ask" | "1" => Ecn::Ask,
            "accept" | "2" => Ecn::Accept,
            _ => return None,
        };
        p.with(|tcp| tcp.ecn(ecn))
    }),
    ("timestamps", "on or off", |p, v| {
        let on = switch(v)?;
        p.with(|tcp| tcp.timestamps(on))
    }),
    ("sack", "on or off", |p, v| {
        let on = switch(v)?;
        p.with(|tcp| tcp.sack(on))
    }),
    ("window_scaling", "on or off", |p, v| {
        let on = switch(v)?;
        p.with(|tcp| tcp.window_scaling(on))
    }),
    ("window_scale", "a shift of at most 14", |p, v| {
        let shift = v.parse::<u8>().ok().filter(|&shift| shift <= 14)?;
        p.with(|tcp| tcp.window_scale(Some(shift)))
    }),
    ("mtu_probing", "off, black_hole or always", |p, v| {
        let probing = match v {
            "off" | "0" => MtuProbing::Off,
            "black_hole" | "1" => MtuProbing::BlackHole,
            "always" | "2" => MtuProbing::Always,
            _ => return None,
        };
        p.with(|tcp| tcp.mtu_probing(probing))
    }),
    ("recv_buffer_initial", "bytes", |p, v| {
        let bytes = bytes(v)?;
        p.with(|tcp| tcp.recv_buffer_initial(bytes))
    }),
    ("recv_buffer_max", "bytes", |p, v| {
        let bytes = bytes(v)?;
        p.with(|tcp| tcp.recv_buffer_max(bytes))
    }),
    ("send_buffer_initial", "bytes", |p, v| {
        let bytes = bytes(v)?;
        p.with(|tcp| tcp.send_buffer_initial(bytes))
    }),
    ("send_buffer_max", "bytes", |p, v| {
        let bytes = bytes(v)?;
        p.with(|tcp| tcp.send_buffer_max(bytes))
    }),
    ("delayed_ack", "on or off", |p, v| {
        let on = switch(v)?;
        p.with(|tcp| tcp.delayed_ack(on))
    }),
    ("quick_acks", "a number of ACKs", |p, v| {
        let acks = v.parse().ok()?;
        p.with(|tcp| tcp.quick_acks(acks))
    }),
    ("nodelay", "on or off", |p, v| {
        let on = switch(v)?;
        p.with(|tcp| tcp.nodelay(on))
    }),
    ("mss", "bytes", |p, v| {
        let mss = v.parse().ok()?;
        p.with(|tcp| tcp.mss(Some(mss)))
    }),
    ("initial_rto_ms", "milliseconds", |p, v| {
        let time = millis(v)?;
        p.with(|tcp| tcp.initial_rto(time))
    }),
    ("min_rto_ms", "milliseconds", |p, v| {
        let time = millis(v)?;
        p.with(|tcp| tcp.min_rto(time))
    }),
    ("syn_retries", "a number of retries", |p, v| {
        let retries = v.parse().ok()?;
        p.with(|tcp| tcp.syn_retries(retries))
    }),
    ("retries", "a number of retries", |p, v| {
        let retries = v.parse().ok()?;
        p.with(|tcp| tcp.retries(retries))
    }),
    ("orphan_retries", "a number of retries", |p, v| {
        let retries = v.parse().ok()?;
        p.with(|tcp| tcp.orphan_retries(retries))
    }),
    ("fin_timeout_ms", "milliseconds", |p, v| {
        let time = millis(v)?;
        p.with(|tcp| tcp.fin_timeout(time))
    }),
    ("ttl", "1 to 255", |p, v| {
        let ttl = v.parse::<u8>().ok().filter(|&ttl| ttl > 0)?;
        p.with(|tcp| tcp.ttl(ttl))
    }),
    ("time_wait_ms", "milliseconds", |p, v| {
        p.time_wait = millis(v)?;
        Some(())
    }),
    ("backlog", "a number of connections", |p, v| {
        p.backlog = Some(v.parse().ok()?);
        Some(())
    }),
    ("syn_cookies", "on or off", |p, v| {
        p.syn_cookies = switch(v)?;
        Some(())
    }),
    ("mtu", "576 to 65535 bytes", |p, v| {
        p.mtu = v.parse().ok().filter(|mtu| (576..=65_535).contains(mtu))?;
        Some(())
    }),
];

impl Profile {
    /// The names of the built-in ones, for a reader.
    pub(super) const NAMES: &str = "linux, freebsd, rfc or netloom";

    /// By the book, for scripts about what the RFCs say: netloom's defaults, but Reno (RFC 5681) and
    /// no quick ACKs, which no RFC has.
    pub fn rfc() -> Self {
        Self {
            name: "rfc".into(),
            tcp: TcpOptions::default().congestion(Choice::Reno).quick_acks(0),
            ..Self::netloom()
        }
    }

    /// netloom's defaults.
    pub fn netloom() -> Self {
        Self {
            name: "netloom".into(),
            tcp: TcpOptions::default(),
            backlog: None,
            syn_cookies: true,
            time_wait: Duration::from_secs(60),
            mtu: 1500,
        }
    }

    /// As Linux with its defaults: initial window 10, MSS 1460, window scale 8, receive window 64 KiB at
    /// first, initial RTO 1 s, least RTO 200 ms, quick ACKs at first, CUBIC, ECN off, no path MTU probes.
    pub fn linux() -> Self {
        let tcp = TcpOptions::default()
            .congestion(Choice::Cubic)
            .ecn(Ecn::Off)
            .mtu_probing(MtuProbing::Off)
            .window_scale(Some(8))
            .recv_buffer_initial(64 << 10)
            .initial_rto(Duration::from_secs(1))
            .min_rto(Duration::from_millis(200))
            .syn_retries(6)
            .quick_acks(16);
        Self {
            name: "linux".into(),
            tcp,
            ..Self::netloom()
        }
    }

    /// As FreeBSD with its defaults: receive buffer 65,536, window scale 6, delayed ACKs from the
    /// first segment on, CUBIC, initial RTO 1 s, least RTO 230 ms (`tcp_rexmit_min` and its slop), no path MTU probes.
    pub fn freebsd() -> Self {
        let tcp = TcpOptions::default()
            .congestion(Choice::Cubic)
            .ecn(Ecn::Accept)
            .mtu_probing(MtuProbing::Off)
            .window_scale(Some(6))
            .recv_buffer_initial(64 << 10)
            .send_buffer_initial(32 << 10)
            .send_buffer_max(2 << 20)
            .initial_rto(Duration::from_secs(1))
            .min_rto(Duration::from_millis(230))
            .syn_retries(3)
            .retries(12)
            .quick_acks(0);
        Self {
            name: "freebsd".into(),
            tcp,
            ..Self::netloom()
        }
    }

    /// One of the built-in ones: `linux`, `freebsd`, `rfc`, `netloom`.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "linux" => Some(Self::linux()),
            "freebsd" => Some(Self::freebsd()),
            "rfc" => Some(Self::rfc()),
            "netloom" => Some(Self::netloom()),
            _ => None,
        }
    }

    /// One of a text: a setting a line, `name = value`; `base = linux` in the first says where to begin
    /// (`netloom` otherwise), `#` begins a comment.
    ///
    /// # Errors
    /// The first line that is no setting.
    pub fn parse(name: &str, text: &str) -> Result<Self, ProfileError> {
        let mut profile = Self::netloom();
        let mut first = true;
        for (number, line) in text.lines().enumerate() {
            let error = |cause: String| ProfileError {
                line: number + 1,
                cause,
            };
            let code = line.split('#').next().unwrap_or(line).trim();
            if code.is_empty() {
                continue;
            }
            let Some((key, value)) = code.split_once('=') else {
                return Err(error(format!("expected `name = value`, found `{code}`")));
            };
            let (key, value) = (key.trim(), value.trim());
            if key == "base" && first {
                profile = Self::by_name(value)
                    .ok_or_else(|| error(format!("expected {}, found `{value}`", Self::NAMES)))?;
            } else {
                profile.set(key, value).map_err(error)?;
            }
            first = false;
        }
        profile.name = name.to_owned();
        Ok(profile)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options of its sockets.
    pub const fn tcp(&self) -> &TcpOptions {
        &self.tcp
    }

    /// The same with other options of sockets: what no setting can say, Rust can.
    #[must_use]
    pub fn with_tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// The names of all settings, and what each takes.
    pub fn settings() -> impl Iterator<Item = (&'static str, &'static str)> {
        SETTINGS.iter().map(|(name, takes, _)| (*name, *takes))
    }

    /// Changes one setting.
    ///
    /// # Errors
    /// What is wrong with the name or the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Some((_, takes, set)) = SETTINGS.iter().find(|(known, ..)| *known == name) else {
            return Err(format!("there is no setting `{name}`"));
        };
        set(self, value).ok_or_else(|| format!("`{name}` takes {takes}, found `{value}`"))
    }

    fn with(&mut self, change: impl FnOnce(TcpOptions) -> TcpOptions) -> Option<()> {
        self.tcp = change(self.tcp.clone());
        Some(())
    }

    pub(super) fn config(&self, seed: u64) -> Config {
        Config::new(Seed::from_number(seed)).time_wait(self.time_wait)
    }

    /// How a socket with these options listens; `backlog` is what the script says.
    pub(super) fn listen_options(&self, tcp: TcpOptions, backlog: usize) -> ListenOptions {
        ListenOptions::new(tcp)
            .syn_cookies(self.syn_cookies)
            .backlog(self.backlog.unwrap_or(backlog))
    }
}

/// A congestion control by one of the names that it goes by.
pub(super) fn choice(name: &str) -> Option<Choice> {
    let name = if name == "newreno" { "reno" } else { name };
    Choice::NAMED
        .into_iter()
        .find(|choice| choice.name() == name)
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "on" | "1" => Some(true),
        "off" | "0" => Some(false),
        _ => None,
    }
}

fn bytes(value: &str) -> Option<usize> {
    value.parse().ok()
}

fn millis(value: &str) -> Option<Duration> {
    value.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_a_base_and_changes_it() {
        let text = "# mine\nbase = linux\nwindow_scale = 7 # fewer\ntimestamps = off\n\nmtu=9000\n";
        let profile = Profile::parse("mine", text).unwrap();
        let linux = Profile::linux();
        assert_eq!(profile.name(), "mine");
        assert_eq!(profile.mtu, 9000);
        let wanted = linux.tcp.window_scale(Some(7)).timestamps(false);
        assert_eq!(profile.tcp, wanted);
    }

    #[test]
    fn what_is_no_setting_is_told_with_its_line() {
        let table = [
            ("a", 1, "expected `name = value`, found `a`"),
            ("\ncolour = red", 2, "there is no setting `colour`"),
            ("mtu = 5", 1, "`mtu` takes 576 to 65535 bytes, found `5`"),
            (
                "base = windows",
                1,
                "expected linux, freebsd, rfc or netloom, found `windows`",
            ),
            ("mtu = 600\nbase = linux", 2, "there is no setting `base`"),
        ];
        for (text, line, cause) in table {
            let error = Profile::parse("x", text).unwrap_err();
            assert_eq!((error.line, error.cause.as_str()), (line, cause));
        }
    }

    /// A setting that changes nothing is none.
    #[test]
    fn every_setting_takes_a_value_and_changes_something() {
        let values = ["off", "on", "reno", "ask", "3", "700", "70000", "1"];
        for (name, ..) in SETTINGS {
            let before = format!("{:?}", Profile::netloom());
            let changed = values.iter().any(|value| {
                let mut profile = Profile::netloom();
                profile.set(name, value).is_ok() && format!("{profile:?}") != before
            });
            assert!(changed, "{name}");
            let mut profile = Profile::netloom();
            assert!(profile.set(name, "nonsense").is_err(), "{name}");
        }
    }

    /// The page for users has all of them.
    #[test]
    fn the_settings_are_documented() {
        let page = include_str!("../../docs/scripts.md");
        for (name, ..) in SETTINGS {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn the_built_in_ones_are_found_by_name() {
        for name in ["linux", "freebsd", "rfc", "netloom"] {
            assert!(Profile::NAMES.contains(name));
            assert_eq!(Profile::by_name(name).unwrap().name(), name);
        }
        assert!(Profile::by_name("plan9").is_none());
    }
}
