//! The library's entrance: a script's text in, a verdict out.
//!
//! *Owns* [`Drill`], and how its [`Variant`]s are made of one script. *Does not* read files.

use core::time::Duration;

use super::ast::{Action, Arg, Body, Number, Packet, Script, TcpOption, TcpOptionList};
use super::error::SyntaxError;
use super::profile::Profile;
use super::run::{self, Session, Setup};
use super::source::Defines;
use super::verdict::{Cause, Outcome, Verdict};

/// How far before the wrap both initial numbers are: the first segment crosses it.
const BELOW_WRAP: u32 = 700;
/// How many milliseconds before the wrap our timestamps begin.
const STAMPS_BELOW_WRAP: u32 = 30;

/// A way to run a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Variant {
    /// As it is written.
    Plain,
    /// A script for IPv4 over IPv6.
    Ipv6,
    /// Over a device with segmentation offload: what is sent leaves in super-segments, and is compared as the device cuts them.
    Offload,
    /// Both initial numbers, and the peer's timestamps, lie just below the wrap.
    Wrap,
    /// Our timestamps do.
    StampWrap,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Plain,
        Self::Ipv6,
        Self::Offload,
        Self::Wrap,
        Self::StampWrap,
    ];

    /// The name, as reports have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ipv6 => "ipv6",
            Self::Offload => "offload",
            Self::Wrap => "wrap",
            Self::StampWrap => "stamp-wrap",
        }
    }
}

/// Runs scripts, as the stack that each of them names or under one profile for all.
///
/// ```
/// use netloom::drill::{Drill, Profile, Variant, Verdict};
/// let script = "
///     0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
///    +0 bind(3, ..., ...) = 0
///    +0 listen(3, 1) = 0
///    +0 < S 0:0(0) win 1000 <mss 1000>
///    +0 > S. 0:0(0) ack 1 <mss 1460>
///   +.1 < . 1:1(0) ack 1 win 1000
///    +0 accept(3, ..., ...) = 4
/// ";
/// let outcome = Drill::new(Profile::linux()).run(script, Variant::Plain).unwrap();
/// assert_eq!(outcome.verdict, Verdict::StrictPass, "{outcome:?}");
/// ```
#[derive(Clone, Debug)]
pub struct Drill {
    /// `None`: the one that a script names, [`Profile::linux`] if it names none.
    profile: Option<Profile>,
    defines: Defines,
    below_wrap: u32,
    stamps_below_wrap: u32,
}

impl Default for Drill {
    fn default() -> Self {
        Self {
            profile: None,
            defines: Defines::new(),
            below_wrap: BELOW_WRAP,
            stamps_below_wrap: STAMPS_BELOW_WRAP,
        }
    }
}

impl Drill {
    /// One that runs scripts as if netloom were this stack, whatever stack they name themselves;
    /// [`Drill::default`] heeds their `--profile`. `STANDARD` and the profile's name in capitals are
    /// defined, for conditions.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile: Some(profile),
            ..Self::default()
        }
    }

    /// How far before the wrap both initial numbers are in [`Variant::Wrap`]: 700 by default, so that the
    /// first segment crosses it.
    #[must_use]
    pub fn below_wrap(mut self, numbers: u32) -> Self {
        self.below_wrap = numbers;
        self
    }

    /// How many milliseconds before the wrap our timestamps begin in [`Variant::StampWrap`]: 30 by default.
    #[must_use]
    pub fn stamps_below_wrap(mut self, millis: u32) -> Self {
        self.stamps_below_wrap = millis;
        self
    }

    /// Replaces a word in every script.
    #[must_use]
    pub fn define(mut self, word: &str, value: &str) -> Self {
        self.defines.insert(word.to_owned(), value.to_owned());
        self
    }

    /// Runs a script; `None` when it has no such variant: an IPv4 address that stands in it, a number of
    /// the wire, no SYN of ours.
    ///
    /// Any text gives an outcome, in bounded time and memory.
    pub fn run(&self, text: &str, variant: Variant) -> Option<Outcome> {
        let (script, profile) = match self.parse(text) {
            Ok(parsed) => parsed,
            Err(error) => return (variant == Variant::Plain).then(|| of_syntax(&error)),
        };
        let setup = self.setup(&script, profile, variant)?;
        Some(match run::begin(&script, &setup) {
            Ok(mut runner) => runner.run(&script),
            Err(outcome) => outcome,
        })
    }

    /// Begins a script that Rust goes on with, piece by piece; `None` when what is given of it has no such
    /// variant.
    ///
    /// # Errors
    /// What the beginning comes to, when it does not pass.
    pub fn begin(&self, text: &str, variant: Variant) -> Option<Result<Session, Outcome>> {
        let (script, profile) = match self.parse(text) {
            Ok(parsed) => parsed,
            Err(error) => return Some(Err(of_syntax(&error))),
        };
        let setup = self.setup(&script, profile, variant)?;
        let words = self.words(&setup.profile);
        Some(run::begin(&script, &setup).and_then(|runner| Session::new(runner, words, &script)))
    }

    /// How a script is run in a variant that it has.
    fn setup(&self, script: &Script, profile: Profile, variant: Variant) -> Option<Setup> {
        let mut setup = Setup::new(profile);
        match variant {
            Variant::Plain => {}
            Variant::Ipv6 if is_of_ipv4(script) => return None,
            Variant::Ipv6 => setup.v6 = true,
            Variant::Offload => setup.offload = true,
            Variant::Wrap | Variant::StampWrap if has_absolute(script) => return None,
            Variant::Wrap | Variant::StampWrap => {
                setup = self.below_the_wrap(script, &setup, variant)?;
            }
        }
        Some(setup)
    }

    /// Begins so much later that the number, or the timestamp, of our first SYN is just below the wrap. What
    /// they are at the usual time, a first run tells: both are a keyed value and the clock.
    fn below_the_wrap(&self, script: &Script, setup: &Setup, variant: Variant) -> Option<Setup> {
        let mut runner = run::begin(script, setup).ok()?;
        runner.run(script);
        let syn = runner.first_syn()?;
        let mut setup = setup.clone();
        setup.below_wrap = Some(self.below_wrap);
        let later = if variant == Variant::Wrap {
            // RFC 9293 §3.4.1 MUST-8: a number each 4 microseconds.
            let ticks = 0u32.wrapping_sub(self.below_wrap).wrapping_sub(syn.isn);
            Duration::from_micros(4) * ticks
        } else {
            // RFC 7323 §5.4: a tick each millisecond.
            let ticks = 0u32
                .wrapping_sub(self.stamps_below_wrap)
                .wrapping_sub(syn.stamp?);
            Duration::from_millis(ticks.into())
        };
        setup.start = setup.start + later;
        Some(setup)
    }

    /// The script, and the profile that it is run under.
    fn parse(&self, text: &str) -> Result<(Script, Profile), SyntaxError> {
        let profile = self.profile.clone().unwrap_or_else(Profile::linux);
        let script = Script::parse(text, &self.words(&profile))?;
        let own = own_profile(&script).filter(|_| self.profile.is_none());
        match own {
            // Its conditions see the name of the profile that it asks for.
            Some(own) => Ok((Script::parse(text, &self.words(&own))?, own)),
            None => Ok((script, profile)),
        }
    }

    fn words(&self, profile: &Profile) -> Defines {
        let mut words = self.defines.clone();
        for name in ["STANDARD".to_owned(), profile.name().to_uppercase()] {
            words.entry(name).or_default();
        }
        words
    }
}

/// What `--profile` names; a name that is none, `Settings` tells.
fn own_profile(script: &Script) -> Option<Profile> {
    let option = script.options.iter().find(|o| o.name == "profile")?;
    Profile::by_name(option.value.as_deref()?)
}

/// What a text that is no script comes to.
pub(super) fn of_syntax(error: &SyntaxError) -> Outcome {
    let text = format!(
        "column {}: expected {}, found {}",
        error.column, error.expected, error.found
    );
    Outcome::of(Verdict::Fail, Cause::new(error.line, text))
}

/// Does it name an address, or what only IPv4 has?
fn is_of_ipv4(script: &Script) -> bool {
    let options = [
        "ip_version",
        "local_ip",
        "remote_ip",
        "gateway_ip",
        "netmask_ip",
    ];
    let set = |name: &str| options.contains(&name);
    if script.options.iter().any(|option| set(&option.name)) {
        return true;
    }
    script.events.iter().any(|event| match &event.action {
        Action::Inject(packet) | Action::Expect(packet) => matches!(packet.body, Body::Icmp(_)),
        Action::Call(call) => call.args.iter().any(names_ipv4),
        Action::Shell(_) | Action::Code(_) | Action::ExpectAnything => false,
    })
}

fn names_ipv4(arg: &Arg) -> bool {
    match arg {
        Arg::Record(fields) => fields.iter().any(|field| {
            let family = matches!(&field.value, Arg::Name(name) if name == "AF_INET");
            family || names_ipv4(&field.value)
        }),
        Arg::List(list) | Arg::Or(list) => list.iter().any(names_ipv4),
        // The family of a socket is translated; that of an address, with the address, is not.
        Arg::Function(name, _) => name == "inet_addr",
        Arg::Name(name) => name.starts_with("IP_") || name == "SOL_IP" || name == "IPPROTO_IP",
        Arg::Any | Arg::Number(_) | Arg::Text(_) => false,
    }
}

/// Does it name numbers as they are on the wire? Those cannot be elsewhere.
fn has_absolute(script: &Script) -> bool {
    script.events.iter().any(|event| match &event.action {
        Action::Inject(packet) | Action::Expect(packet) => is_absolute(packet),
        Action::Call(_) | Action::Shell(_) | Action::Code(_) | Action::ExpectAnything => false,
    })
}

fn is_absolute(packet: &Packet) -> bool {
    let Body::Tcp(tcp) = &packet.body else {
        return false;
    };
    let absolute = |number: &Number| number.absolute;
    let in_blocks = |option: &TcpOption| match option {
        TcpOption::Sack(blocks) => blocks.iter().any(|(l, r)| absolute(l) || absolute(r)),
        _ => false,
    };
    let in_options = match &tcp.options {
        TcpOptionList::These(list) => list.iter().any(in_blocks),
        TcpOptionList::Any => false,
    };
    absolute(&tcp.seq) || tcp.ack.as_ref().is_some_and(absolute) || in_options
}
