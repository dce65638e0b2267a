//! The options of `netloom route` that say which interfaces there are: each `--tap` or `--tun` begins one, and what follows is its.
//!
//! *Owns* whose option is whose, and the mistakes that can be made with several. *Does not* open a device.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddrV4};
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use netloom::base::{Cidr, Protocol};

use crate::failure::Failure;
use crate::mistakes::Addresses;

/// The interfaces, in the order in which they were given.
#[derive(Clone, Debug)]
pub(crate) struct Sides(pub(crate) Vec<Side>);

/// One interface.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// A TAP device, or a TUN one.
    pub(crate) ethernet: bool,
    pub(crate) name: String,
    pub(crate) netns: Option<String>,
    pub(crate) kernel_address: Vec<Cidr>,
    pub(crate) address: Vec<Cidr>,
    pub(crate) gateway: Vec<IpAddr>,
    pub(crate) route: Vec<(Cidr, IpAddr)>,
    pub(crate) nat: bool,
    pub(crate) forward: Vec<Forward>,
    pub(crate) auto: bool,
    pub(crate) dhcp: bool,
    pub(crate) mtu: Option<u32>,
    pub(crate) txqueuelen: Option<u32>,
    pub(crate) no_offload: bool,
}

/// A port of the outside that leads to a host inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) inside: SocketAddrV4,
}

/// What one option says.
#[derive(Clone, Debug)]
enum Word {
    Begin { ethernet: bool, name: String },
    Netns(String),
    KernelAddress(Cidr),
    Address(Cidr),
    Gateway(IpAddr),
    Route(Cidr, IpAddr),
    Nat,
    Forward(Forward),
    Auto,
    Dhcp,
    Mtu(u32),
    TxQueueLen(u32),
    NoOffload,
}

/// An option: its name, what stands behind it (nothing: a flag), what it means, and its help.
type Spec = (
    &'static str,
    &'static str,
    fn(&str) -> Result<Word, String>,
    &'static str,
);

const OPTIONS: &[Spec] = &[
    (
        "tap",
        "NAME",
        |name| Ok(begin(true, name)),
        "Begin an interface at the TAP device NAME (Ethernet frames), which is made when it does not exist; the options that \
         follow are this interface's",
    ),
    (
        "tun",
        "NAME",
        |name| Ok(begin(false, name)),
        "Begin an interface at the TUN device NAME (IP packets)",
    ),
    (
        "netns",
        "NAME",
        |name| Ok(Word::Netns(name.to_owned())),
        "Open the device in this network namespace, where its other end stays: a name as `ip netns` has it, or a path",
    ),
    (
        "kernel-address",
        "CIDR",
        |text| parsed(text).map(Word::KernelAddress),
        "Give the kernel's side of the device this address. May be repeated",
    ),
    (
        "address",
        "CIDR",
        |text| parsed(text).map(Word::Address),
        "An address of the router on this interface, as in 10.7.0.1/24 or fd07::1/64. May be repeated",
    ),
    (
        "gateway",
        "IP",
        |text| parsed(text).map(Word::Gateway),
        "A default gateway by this interface. May be repeated",
    ),
    (
        "route",
        "CIDR=IP",
        route,
        "A route by this interface, as in 10.9.0.0/16=10.7.0.9. May be repeated",
    ),
    (
        "nat",
        "",
        |_| Ok(Word::Nat),
        "Give IPv4 packets of the other interfaces' hosts that leave here this interface's address, and a port of it (NAPT)",
    ),
    (
        "forward",
        "tcp|udp:PORT=IP:PORT",
        forward,
        "Lead this port of the interface with --nat to a host behind another, as in tcp:8080=10.7.0.2:80. May be repeated",
    ),
    (
        "auto",
        "",
        |_| Ok(Word::Auto),
        "Find out this interface's addresses and routes by the link of a TAP device, from routers and a DHCP server",
    ),
    (
        "dhcp",
        "",
        |_| Ok(Word::Dhcp),
        "Get this interface's IPv4 address and routes from a DHCP server on the link of a TAP device",
    ),
    (
        "mtu",
        "N",
        |text| parsed(text).map(Word::Mtu),
        "The MTU of the device, in bytes [default: 1500, or what a device that exists has]",
    ),
    (
        "txqueuelen",
        "N",
        |text| parsed(text).map(Word::TxQueueLen),
        "How many frames the kernel queues for the device [default: 10000, or what a device that exists has]",
    ),
    (
        "no-offload",
        "",
        |_| Ok(Word::NoOffload),
        "Do without checksum and segmentation offload",
    ),
];

fn begin(ethernet: bool, name: &str) -> Word {
    let name = name.to_owned();
    Word::Begin { ethernet, name }
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn route(text: &str) -> Result<Word, String> {
    let (to, via) = text
        .split_once('=')
        .ok_or("give a network and who leads there, as in 10.9.0.0/16=10.7.0.9")?;
    Ok(Word::Route(parsed(to)?, parsed(via)?))
}

fn forward(text: &str) -> Result<Word, String> {
    let whole = || {
        let (outside, inside) = text.split_once('=')?;
        let (protocol, port) = outside.split_once(':')?;
        let protocol = match protocol {
            "tcp" => Protocol::TCP,
            "udp" => Protocol::UDP,
            _ => return None,
        };
        let port = port.parse().ok().filter(|&port| port > 0)?;
        let inside: SocketAddrV4 = inside.parse().ok()?;
        (inside.port() > 0).then_some(Forward {
            protocol,
            port,
            inside,
        })
    };
    let forward = whole().ok_or("give a port and who gets it, as in tcp:8080=10.7.0.2:80")?;
    Ok(Word::Forward(forward))
}

impl clap::Args for Sides {
    fn augment_args(command: Command) -> Command {
        let option = |&(name, value, word, help): &Spec| {
            let arg = Arg::new(name).long(name).help(help);
            let arg = arg.action(ArgAction::Append).value_parser(word);
            if value.is_empty() {
                arg.num_args(0).default_missing_value("")
            } else {
                arg.value_name(value)
            }
        };
        command.args(OPTIONS.iter().map(option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Sides {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut words = Vec::new();
        for &(name, ..) in OPTIONS {
            let places = matches.indices_of(name).into_iter().flatten();
            let values = matches.get_many::<Word>(name).into_iter().flatten();
            words.extend(
                places
                    .zip(values)
                    .map(|(at, word)| (at, name, word.clone())),
            );
        }
        words.sort_by_key(|&(at, ..)| at);
        let mut sides = Self(Vec::new());
        for (_, name, word) in words {
            sides.hear(word).map_err(|why| {
                clap::Error::raw(ErrorKind::ValueValidation, format!("--{name} {why}\n"))
            })?;
        }
        Ok(sides)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Sides {
    fn hear(&mut self, word: Word) -> Result<(), &'static str> {
        if let Word::Begin { ethernet, name } = word {
            self.0.push(Side {
                ethernet,
                name,
                ..Side::default()
            });
            return Ok(());
        }
        let side = self.0.last_mut();
        let side = side.ok_or("is of no interface; give it behind a --tap or --tun")?;
        match word {
            Word::Begin { .. } => {}
            Word::Netns(name) => once(&mut side.netns, name)?,
            Word::KernelAddress(cidr) => side.kernel_address.push(cidr),
            Word::Address(cidr) => side.address.push(cidr),
            Word::Gateway(ip) => side.gateway.push(ip),
            Word::Route(to, via) => side.route.push((to, via)),
            Word::Nat => side.nat = true,
            Word::Forward(forward) => side.forward.push(forward),
            Word::Auto => side.auto = true,
            Word::Dhcp => side.dhcp = true,
            Word::Mtu(bytes) => once(&mut side.mtu, bytes)?,
            Word::TxQueueLen(frames) => once(&mut side.txqueuelen, frames)?,
            Word::NoOffload => side.no_offload = true,
        }
        Ok(())
    }

    /// Finds the first mistake.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.0.len() < 2 {
            return Err(Failure::usage(
                "a router stands between interfaces, two or more",
                "give another --tap NAME, or --tun NAME, and its --address",
            ));
        }
        for (at, side) in self.0.iter().enumerate() {
            side.check()?;
            let earlier = &self.0[..at];
            let chosen = side.name.contains('%');
            if !chosen && earlier.iter().any(|other| other.is_at(side)) {
                let cause = format_args!("the device {} is given twice", side.name);
                return Err(Failure::usage(cause, "give each interface its own"));
            }
            for own in &side.address {
                let same = |other: &Cidr| other.address() == own.address();
                if let Some(other) = earlier.iter().find(|other| other.address.iter().any(same)) {
                    return Err(Failure::usage(
                        format_args!(
                            "--address {} is given to {} and {}",
                            own.address(),
                            other.name,
                            side.name
                        ),
                        "give each interface addresses of its own network",
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Side {
    /// The same device of the same namespace?
    fn is_at(&self, other: &Self) -> bool {
        (&self.name, &self.netns) == (&other.name, &other.netns)
    }

    fn check(&self) -> Result<(), Failure> {
        if self.auto && self.dhcp {
            let cause = "--auto asks DHCP servers as well";
            return Err(Failure::usage(cause, "give one of --auto and --dhcp"));
        }
        if self.address.is_empty() && !self.asks() {
            return Err(Failure::usage(
                format_args!("{} has no address", self.name),
                "give an --address behind it, as in 10.7.0.1/24, or --auto",
            ));
        }
        if !self.forward.is_empty() && !self.nat {
            let cause = "--forward is of interfaces with --nat";
            return Err(Failure::usage(cause, "add --nat behind the same device"));
        }
        let addresses = Addresses {
            kernel: &self.kernel_address,
            own: &self.address,
            gateways: &self.gateway,
            dhcp: self.asks(),
            routers: self.auto,
            ethernet: self.ethernet,
        };
        addresses.check()
    }

    /// Do others say what it is to use?
    pub(crate) const fn asks(&self) -> bool {
        self.dhcp || self.auto
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err("is given twice; give it once for each interface"),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn told(line: &str) -> Result<Sides, String> {
        let command = Sides::augment_args(Command::new("route").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace());
        let matches = matches.map_err(|error| error.to_string())?;
        Sides::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn each_device_has_the_options_behind_it() {
        let line = "--tap a --no-offload --address 10.7.0.1/24 --address fd07::1/64 --mtu 1400 \
            --tun b --address 10.8.0.1/24 --gateway 10.8.0.2 --route 10.9.0.0/16=10.8.0.3 \
            --nat --forward tcp:80=10.7.0.2:8080 --tap c --netns x --dhcp --kernel-address 10.1.0.1/24 --txqueuelen 7";
        let Sides(sides) = told(line).unwrap();
        let [a, b, c] = &sides[..] else {
            panic!("{sides:?}");
        };
        assert!(a.ethernet && !b.ethernet && c.ethernet);
        assert_eq!([&a.name, &b.name, &c.name], ["a", "b", "c"]);
        assert_eq!(
            (a.address.len(), b.address.len(), c.address.len()),
            (2, 1, 0)
        );
        assert_eq!(
            [a.no_offload, b.no_offload, c.no_offload],
            [true, false, false]
        );
        assert_eq!((a.mtu, b.mtu), (Some(1400), None));
        assert_eq!((b.gateway.len(), b.route.len()), (1, 1));
        assert_eq!([a.nat, b.nat, c.nat], [false, true, false]);
        let forward = Forward {
            protocol: Protocol::TCP,
            port: 80,
            inside: "10.7.0.2:8080".parse().unwrap(),
        };
        assert_eq!(b.forward, [forward]);
        assert_eq!((a.gateway.len(), a.route.len()), (0, 0));
        assert!(!a.dhcp && !b.dhcp && c.dhcp && !c.auto);
        assert_eq!((c.netns.as_deref(), &a.netns), (Some("x"), &None));
        assert_eq!((c.kernel_address.len(), c.txqueuelen), (1, Some(7)));
        assert!(Sides(sides).check().is_ok());
        let Sides(auto) = told("--tap a --tap b --auto").unwrap();
        assert!(!auto[0].auto && auto[1].auto);
    }

    /// Options, the mistake, the cure.
    const MISTAKES: &[(&str, &str, &str)] = &[
        (
            "--tap a --address 10.7.0.1/24",
            "two or more",
            "give another --tap",
        ),
        (
            "--tap a --tap b --auto",
            "a has no address",
            "--address behind it",
        ),
        (
            "--tap a --auto --dhcp --tap b --auto",
            "DHCP servers as well",
            "one of",
        ),
        (
            "--tap a --auto --tap a --auto",
            "the device a is given twice",
            "its own",
        ),
        (
            "--tap a --address 10.7.0.1/24 --tun b --address 10.7.0.1/16",
            "--address 10.7.0.1 is given to a and b",
            "of its own network",
        ),
        (
            "--tap a --auto --tun b --auto",
            "a TUN device has not",
            "give --tap",
        ),
        (
            "--tap a --auto --tap b --address 10.7.0.1/24 --gateway 10.8.0.1",
            "not on the link",
            "in the range of 10.7.0.1/24",
        ),
    ];

    #[test]
    fn mistakes_name_their_cure() {
        for (line, cause, cure) in [
            (
                "--address 10.7.0.1/24 --tap a",
                "--address is of no interface",
                "behind a --tap",
            ),
            (
                "--tap a --mtu 9 --mtu 8",
                "--mtu is given twice",
                "once for each",
            ),
            (
                "--tap a --route 10.9.0.0/16",
                "give a network and who leads there",
                "as in",
            ),
            (
                "--tap a --nat --forward sctp:1=1.1.1.1:1",
                "a port and who gets it",
                "as in",
            ),
            (
                "--tap a --nat --forward tcp:0=1.1.1.1:1",
                "a port and who gets it",
                "as in",
            ),
            ("--tap a --mtu x", "invalid digit", "--mtu"),
        ] {
            let text = told(line).unwrap_err();
            assert!(text.contains(cause) && text.contains(cure), "{text}");
        }
        for (line, cause, cure) in MISTAKES {
            let Err(Failure::Usage(text)) = told(line).unwrap().check() else {
                panic!("{line}");
            };
            assert!(text.contains(cause) && text.contains(cure), "{text}");
        }
        // Names that the kernel chooses, and namespaces, are others'.
        for line in [
            "--tap n%d --address 10.7.0.1/24 --tap n%d --address 10.8.0.1/24",
            "--tap a --netns x --address 10.7.0.1/24 --tap a --netns y --address 10.8.0.1/24",
        ] {
            assert!(told(line).unwrap().check().is_ok(), "{line}");
        }
    }
}
