//! What a running host may be asked, in the words of ip(8).
//!
//! *Owns* the words. *Does not* do anything.

use std::net::IpAddr;

use netloom::base::Cidr;

/// A request, of one interface or of all; what changes something is of the first unless another is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The number of the interface.
    pub(crate) on: Option<u32>,
    pub(crate) what: What,
}

/// What is to be told, or done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Addresses,
    Routes,
    Neighbours,
    Leases,
    Links,
    AddAddress(Cidr),
    RemoveAddress(IpAddr),
    AddRoute(Cidr, Option<IpAddr>),
    RemoveRoute(Cidr, Option<IpAddr>),
    SetMtu(usize),
    SetUp(bool),
}

const USAGE: &str = "ask `addr`, `route`, `neigh`, `lease` or `link`, or `addr add CIDR`, `addr del CIDR`, \
    `route add CIDR|default [via IP]`, `route del CIDR|default [via IP]`, `link set mtu N`, `link set up`, `link set down`; \
    `dev N` behind it names an interface";

impl Request {
    /// Reads the words.
    ///
    /// # Errors
    /// What is wrong with them, and what helps.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let (words, on) = match words {
            [rest @ .., "dev", number] => {
                let number = number.parse().ok().filter(|&number: &u32| number > 0);
                let number = number.ok_or("`dev` takes the number of an interface, from 1 on")?;
                (rest, Some(number))
            }
            all => (all, None),
        };
        let what = match words {
            ["addr" | "address" | "a", rest @ ..] => Self::addr(rest)?,
            ["route" | "r", rest @ ..] => Self::route(rest)?,
            ["neigh" | "neighbour" | "n", ..] if is_show(&words[1..]) => What::Neighbours,
            ["lease", ..] if is_show(&words[1..]) => What::Leases,
            ["link" | "l", rest @ ..] => Self::link(rest)?,
            _ => return Err(USAGE.to_owned()),
        };
        Ok(Self { on, what })
    }

    fn addr(words: &[&str]) -> Result<What, String> {
        match words {
            show if is_show(show) => Ok(What::Addresses),
            ["add", cidr] => Ok(What::AddAddress(network(cidr)?)),
            ["del" | "delete", address] => {
                let bare = address.split_once('/').map_or(*address, |(bare, _)| bare);
                Ok(What::RemoveAddress(ip(bare)?))
            }
            _ => Err(USAGE.to_owned()),
        }
    }

    fn route(words: &[&str]) -> Result<What, String> {
        let (doing, to, via) = match words {
            show if is_show(show) => return Ok(What::Routes),
            [doing, to] => (*doing, *to, None),
            [doing, to, "via", via] => (*doing, *to, Some(ip(via)?)),
            _ => return Err(USAGE.to_owned()),
        };
        let to = match (to, via) {
            ("default", None) => return Err("`default` goes `via` somebody".to_owned()),
            ("default", Some(IpAddr::V4(_))) => network("0.0.0.0/0")?,
            ("default", Some(IpAddr::V6(_))) => network("::/0")?,
            (to, _) => network(to)?,
        };
        match doing {
            "add" => Ok(What::AddRoute(to, via)),
            "del" | "delete" => Ok(What::RemoveRoute(to, via)),
            _ => Err(USAGE.to_owned()),
        }
    }

    fn link(words: &[&str]) -> Result<What, String> {
        match words {
            show if is_show(show) => Ok(What::Links),
            ["set", "up"] => Ok(What::SetUp(true)),
            ["set", "down"] => Ok(What::SetUp(false)),
            ["set", "mtu", mtu] => {
                let mtu = mtu.parse();
                Ok(What::SetMtu(
                    mtu.map_err(|_| "an MTU is a number of bytes")?,
                ))
            }
            _ => Err(USAGE.to_owned()),
        }
    }
}

fn is_show(words: &[&str]) -> bool {
    matches!(words, [] | ["show" | "list"])
}

fn network(text: &str) -> Result<Cidr, String> {
    let form = || format!("`{text}` is no address with a prefix, such as 10.7.0.9/24");
    text.parse().map_err(|_| form())
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no IP address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_ip() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (text, on, what) in [
            ("addr", None, What::Addresses),
            ("address show dev 2", Some(2), What::Addresses),
            ("route list", None, What::Routes),
            ("neigh", None, What::Neighbours),
            ("lease", None, What::Leases),
            ("link show", None, What::Links),
            (
                "addr add 10.0.0.1/8",
                None,
                What::AddAddress(cidr("10.0.0.1/8")),
            ),
            (
                "addr del fd00::1/64",
                None,
                What::RemoveAddress(ip("fd00::1")),
            ),
            (
                "addr del 10.0.0.1",
                None,
                What::RemoveAddress(ip("10.0.0.1")),
            ),
            (
                "route add 10.0.0.0/8 via 10.7.0.1 dev 1",
                Some(1),
                What::AddRoute(cidr("10.0.0.0/8"), Some(ip("10.7.0.1"))),
            ),
            (
                "route add fd09::/64",
                None,
                What::AddRoute(cidr("fd09::/64"), None),
            ),
            (
                "route del default via fe80::1",
                None,
                What::RemoveRoute(cidr("::/0"), Some(ip("fe80::1"))),
            ),
            ("link set mtu 1400", None, What::SetMtu(1400)),
            ("link set down", None, What::SetUp(false)),
            ("link set up", None, What::SetUp(true)),
        ] {
            let words: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(Request::parse(&words), Ok(Request { on, what }), "{text}");
        }
    }

    #[test]
    fn what_is_no_request_is_told() {
        for (text, part) in [
            ("", "ask `addr`"),
            ("addr set 10.0.0.1/8", "ask `addr`"),
            ("addr add 10.0.0.300/8", "`10.0.0.300/8` is no address"),
            ("addr add 10.0.0.1/8 dev nl0", "`dev` takes the number"),
            ("addr show dev 0", "`dev` takes the number"),
            ("route add default", "`via` somebody"),
            ("route add 10.0.0.0/8 via home", "`home` is no IP address"),
            ("link set mtu much", "number of bytes"),
            ("neigh add 10.0.0.1", "ask `addr`"),
        ] {
            let words: Vec<&str> = text.split_whitespace().collect();
            let why = Request::parse(&words).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
