//! What a script says before and beside its events: options, and shell commands.
//!
//! *Owns* the table of options, and the look through a script for what netloom has not. *Does not*
//! parse shell commands: `shell` does.

use core::net::IpAddr;
use core::num::NonZeroU16;
use core::time::Duration;

use super::super::ast::{
    Action, Body, Packet, Script, ScriptOption, Shell, TcpOption, TcpOptionList,
};
use super::super::profile::Profile;
use super::super::shell::{self, Effect};
use super::{Runner, Setup, Step, Stop, calls, eval, icmp};

/// What a run goes by.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) profile: Profile,
    pub(super) ours: IpAddr,
    pub(super) theirs: IpAddr,
    pub(super) bind_port: u16,
    pub(super) connect_port: u16,
    pub(super) tolerance: Duration,
    /// Of the time since the event before.
    pub(super) tolerance_per_mille: u32,
    pub(super) stamp_tick_usecs: u32,
    pub(super) scaled_echo: bool,
    pub(super) strict_segments: bool,
    pub(super) mss: Option<NonZeroU16>,
    /// Mismatches of packets, and of calls, do not end the script.
    pub(super) lenient_packets: bool,
    pub(super) lenient_calls: bool,
    mtu: usize,
    /// An IPv4 script that runs over IPv6: its MTU holds the same segments.
    translated: bool,
}

impl Settings {
    pub(super) fn new(script: &Script, setup: &Setup) -> Step<Self> {
        let asks_v6 = asks_ipv6(script);
        let v6 = setup.v6 || asks_v6;
        let mut settings = Self {
            profile: setup.profile.clone(),
            ours: address(v6, true),
            theirs: address(v6, false),
            bind_port: 8080,
            connect_port: 8080,
            tolerance: Duration::from_micros(4000),
            tolerance_per_mille: 125,
            stamp_tick_usecs: 0,
            scaled_echo: false,
            strict_segments: false,
            mss: None,
            lenient_packets: false,
            lenient_calls: false,
            mtu: 0,
            translated: setup.v6 && !asks_v6,
        };
        for option in &script.options {
            settings.set(option)?;
        }
        if settings.ours.is_ipv6() != settings.theirs.is_ipv6() {
            return Err(Stop::fail(0, "local_ip and remote_ip are of two families"));
        }
        if let Some(init) = &script.init {
            settings.apply(init)?;
        }
        // Only what comes before sockets may change the link.
        for event in &script.events {
            if let Action::Shell(shell) = &event.action {
                settings.apply_link(shell)?;
            }
        }
        Ok(settings)
    }

    pub(super) fn mtu(&self) -> usize {
        let mtu = if self.mtu > 0 {
            self.mtu
        } else {
            self.profile.mtu
        };
        if self.translated { mtu + 20 } else { mtu }
    }

    /// Is it an IPv4 script that runs over IPv6?
    pub(super) const fn is_translated(&self) -> bool {
        self.translated
    }

    fn set(&mut self, option: &ScriptOption) -> Step<()> {
        let ScriptOption { line, name, value } = option;
        let value = value.as_deref();
        let wrong = |takes: &str| {
            let found = value.map_or_else(|| "nothing".to_owned(), |value| format!("`{value}`"));
            Stop::fail(*line, format!("--{name} takes {takes}, found {found}"))
        };
        let number = |most: u64| {
            let number = value.and_then(|value| value.parse::<u64>().ok());
            number
                .filter(|&number| number <= most)
                .ok_or_else(|| wrong(&format!("a number of at most {most}")))
        };
        let port = || number(65_535).map(|port| u16::try_from(port).unwrap_or(0));
        let ip = || {
            let ip = value.and_then(|value| value.parse::<IpAddr>().ok());
            ip.ok_or_else(|| wrong("an address"))
        };
        match name.as_str() {
            "tolerance_usecs" => self.tolerance = Duration::from_micros(number(3_600_000_000)?),
            "tolerance_percent" => {
                let per_mille = value.and_then(per_mille);
                self.tolerance_per_mille = per_mille.ok_or_else(|| wrong("a percentage"))?;
            }
            "tcp_ts_tick_usecs" => {
                self.stamp_tick_usecs = u32::try_from(number(1_000_000)?).unwrap_or(0);
            }
            "tcp_ts_ecr_scaled" => self.scaled_echo = true,
            "strict_segments" => self.strict_segments = true,
            "mss" => self.mss = NonZeroU16::new(port()?),
            "mtu" => {
                let mtu = number(65_535)?;
                if mtu < 576 {
                    return Err(wrong("an MTU of 576 to 65535"));
                }
                self.mtu = usize::try_from(mtu).unwrap_or(1500);
            }
            "ip_version" if matches!(value, Some("ipv4" | "ipv6")) => {}
            "ip_version" => {
                let text = format!("--ip_version={}", value.unwrap_or_default());
                return Err(Stop::unsupported(*line, text));
            }
            "local_ip" => self.ours = ip()?,
            "remote_ip" => self.theirs = ip()?,
            // There is one link, and all is on it.
            "gateway_ip" | "netmask_ip" => {}
            "bind_port" => self.bind_port = port()?,
            "connect_port" => self.connect_port = port()?,
            "non_fatal" => {
                let set = self.set_lenient(value.unwrap_or_default());
                set.ok_or_else(|| wrong("packet or syscall"))?;
            }
            // It was chosen before, or overruled.
            "profile" => {
                let known = value.and_then(Profile::by_name);
                known.ok_or_else(|| wrong(Profile::NAMES))?;
            }
            // Its words were replaced before.
            "define" => {}
            // A word of its own: `--CC=CC=cubic` defines one too.
            _ if value.is_some_and(|value| value.contains('=')) => {}
            _ => return Err(Stop::unsupported(*line, format!("--{name}"))),
        }
        Ok(())
    }

    fn set_lenient(&mut self, all: &str) -> Option<()> {
        for what in all.split(',') {
            match what {
                "packet" => self.lenient_packets = true,
                "syscall" => self.lenient_calls = true,
                _ => return None,
            }
        }
        Some(())
    }

    /// What a command sets.
    pub(super) fn apply(&mut self, shell: &Shell) -> Step<()> {
        for effect in effects(shell)? {
            match effect {
                Effect::Set(name, value) => {
                    let set = self.profile.set(name, &value);
                    set.map_err(|error| Stop::unsupported(shell.line, error))?;
                }
                Effect::DeviceFull(_) => {
                    let text = "a device that is full before the first event";
                    return Err(Stop::unsupported(shell.line, text));
                }
                Effect::State(_) | Effect::Restore => {}
            }
        }
        Ok(())
    }

    /// The MTU belongs to the link, which is there before the first event.
    fn apply_link(&mut self, shell: &Shell) -> Step<()> {
        for effect in effects(shell)? {
            if let Effect::Set("mtu", value) = effect {
                let set = self.profile.set("mtu", &value);
                set.map_err(|error| Stop::unsupported(shell.line, error))?;
            }
        }
        Ok(())
    }
}

fn effects(shell: &Shell) -> Step<Vec<Effect>> {
    shell::read(&shell.text).map_err(|unknown| Stop::unsupported(shell.line, unknown))
}

fn asks_ipv6(script: &Script) -> bool {
    script
        .options
        .iter()
        .any(|option| option.name == "ip_version" && option.value.as_deref() == Some("ipv6"))
}

/// The documentation's addresses, which scripts use.
fn address(v6: bool, ours: bool) -> IpAddr {
    match (v6, ours) {
        (false, true) => IpAddr::from([192, 168, 0, 1]),
        (false, false) => IpAddr::from([192, 0, 2, 1]),
        (true, true) => IpAddr::from([0xfd3d, 0xfa7b, 0xd17d, 0, 0, 0, 0, 1]),
        (true, false) => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    }
}

/// A percentage with one decimal at most.
fn per_mille(text: &str) -> Option<u32> {
    let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
    let whole = whole.parse::<u32>().ok().filter(|&whole| whole <= 1000)?;
    let tenth = tenth.chars().next()?.to_digit(10)?;
    Some(whole * 10 + tenth)
}

impl Runner {
    /// A command between events, or the one behind them.
    pub(super) fn shell(&mut self, shell: &Shell, is_last: bool) -> Step<()> {
        for effect in effects(shell)? {
            match effect {
                Effect::Set("mtu", _) => {}
                Effect::Set(name, value) => {
                    if self.sockets.is_any_connected() {
                        let text =
                            format!("a setting of the system while a connection is there: {name}");
                        return Err(Stop::unsupported(shell.line, text));
                    }
                    let set = self.settings.profile.set(name, &value);
                    set.map_err(|error| Stop::unsupported(shell.line, error))?;
                    self.sockets.apply(&self.settings.profile);
                }
                // The end does it; before that the connections there would be under other settings.
                Effect::Restore if !is_last => {
                    let text = "settings that are restored before the end";
                    return Err(Stop::unsupported(shell.line, text));
                }
                Effect::Restore => {}
                Effect::DeviceFull(is_full) => self.world.set_device_full(is_full),
                Effect::State(wanted) => {
                    let state = self.state_name();
                    if state != wanted {
                        let text = format!("the state is {state} and not {wanted}");
                        return Err(Stop::fail(shell.line, text));
                    }
                }
            }
        }
        Ok(())
    }

    fn state_name(&self) -> String {
        let stack = &self.world.stack;
        let state = self
            .world
            .flow
            .and_then(|(ours, theirs)| stack.tcp_state_between(ours, theirs));
        let name = match state {
            Some(state) => state.name(),
            None if self.sockets.local_port().is_some() && self.world.flow.is_none() => "LISTEN",
            None => "CLOSED",
        };
        shell::state_name(name).unwrap_or_default()
    }
}

// --- what netloom has not -------------------------------------------------------------------

/// Looks through a script for what has no meaning here, before anything runs.
pub(super) fn check(script: &Script) -> Step<()> {
    for shell in script.init.iter().chain(&script.cleanup) {
        effects(shell)?;
    }
    for event in &script.events {
        match &event.action {
            Action::Inject(packet) | Action::Expect(packet) => check_packet(event.line, packet)?,
            Action::Call(call) => calls::check(event.line, call)?,
            Action::Shell(shell) => {
                effects(shell)?;
            }
            Action::Code(statements) => eval::check(statements)?,
            Action::ExpectAnything => {}
        }
    }
    Ok(())
}

/// The same for one that goes on in the world of another: what only its beginning can say must not be there.
pub(super) fn check_more(script: &Script) -> Step<()> {
    if let Some(option) = script.options.first() {
        let text = format!("--{} behind the beginning", option.name);
        return Err(Stop::fail(option.line, text));
    }
    if let Some(init) = &script.init {
        let text = "a command without a time behind the beginning";
        return Err(Stop::fail(init.line, text));
    }
    for event in &script.events {
        if let Action::Shell(shell) = &event.action
            && effects(shell)?
                .iter()
                .any(|effect| matches!(effect, Effect::Set("mtu", _)))
        {
            return Err(Stop::unsupported(shell.line, "an MTU behind the beginning"));
        }
    }
    check(script)
}

fn check_packet(line: u32, packet: &Packet) -> Step<()> {
    match &packet.body {
        Body::Tcp(tcp) => {
            if let TcpOptionList::These(list) = &tcp.options {
                for option in list {
                    if let TcpOption::Unsupported(name) = option {
                        return Err(Stop::unsupported(line, format!("the TCP option {name}")));
                    }
                }
            }
        }
        Body::Icmp(icmp) => {
            if icmp::numbers_of(icmp, false).is_none() && icmp::numbers_of(icmp, true).is_none() {
                let code = icmp.code.as_deref().unwrap_or_default();
                let text = format!("icmp {} {code}", icmp.kind);
                return Err(Stop::unsupported(line, text.trim().to_owned()));
            }
        }
        Body::Udp(_) => {}
        Body::Unsupported(name) => return Err(Stop::unsupported(line, name)),
    }
    Ok(())
}
