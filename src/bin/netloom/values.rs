//! What stands behind options: ends of connections, times, sizes. Each error names the cure.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use netloom::dns::Name;
use netloom::tcp::Ecn;

use crate::whom::{End, Whom};

/// The longest time that an option takes, in seconds: a day.
const LONGEST: f64 = 86_400.0;

/// `ADDR:PORT` or `NAME:PORT`.
pub(crate) fn end(text: &str) -> Result<End, String> {
    let end = match text.parse::<SocketAddr>() {
        Ok(end) => Some((end.port(), End::Address(end))),
        Err(_) => named_end(text).map(|(name, port)| (port, End::Name(name, port))),
    };
    match end {
        Some((0, _)) => return Err("port 0 is nobody's; give 1 to 65535".to_owned()),
        Some((_, end)) => return Ok(end),
        None => {}
    }
    let bare = text.trim_matches(['[', ']']);
    Err(match bare.parse() {
        Ok(address @ IpAddr::V4(_)) => format!("no port; give one, as in {address}:9"),
        Ok(address @ IpAddr::V6(_)) => format!("no port; give one, as in [{address}]:9"),
        Err(_) => match text.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_err() && host.parse::<Whom>().is_ok() => {
                format!("`{port}` is no port; give a number of 1 to 65535")
            }
            Some((host, _)) if host.parse::<Ipv6Addr>().is_ok() => {
                format!("an IPv6 address with a port needs brackets, as in [{host}]:9")
            }
            None if text.parse::<Name>().is_ok() => format!("no port; give one, as in {text}:9"),
            _ => "give ADDR:PORT, as in 10.7.0.1:9 or [fd07::1]:9".to_owned(),
        },
    })
}

/// A name and a port behind it.
pub(crate) fn named_end(text: &str) -> Option<(Name, u16)> {
    let (name, port) = text.rsplit_once(':')?;
    Some((name.parse().ok()?, port.parse().ok()?))
}

/// An address or a name.
pub(crate) fn whom(text: &str) -> Result<Whom, String> {
    text.parse()
        .map_err(|error| format!("{error}; give an address, as in 10.7.0.1 or fd07::1, or a name"))
}

/// Seconds, with decimals or without, more than none.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let form = || format!("give seconds, as in 5 or 0.5, above 0 and at most {LONGEST}");
    let seconds: f64 = text.parse().map_err(|_| form())?;
    if seconds > 0.0 && seconds <= LONGEST {
        let time = Duration::try_from_secs_f64(seconds).map_err(|_| form())?;
        Some(time).filter(|time| !time.is_zero()).ok_or_else(form)
    } else {
        Err(form())
    }
}

/// Whether connections use ECN.
pub(crate) fn ecn(text: &str) -> Result<Ecn, String> {
    match text {
        "off" => Ok(Ecn::Off),
        "accept" => Ok(Ecn::Accept),
        "ask" => Ok(Ecn::Ask),
        _ => Err("give off, accept or ask".to_owned()),
    }
}

/// A number of bytes, with K, M or G behind it (thousands, as rates have them) or not.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let form = || "give bytes, as in 500, 20K, 3M or 1G, above 0".to_owned();
    let (digits, unit) = match text.bytes().last().map(|last| last.to_ascii_uppercase()) {
        Some(b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(b'G') => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    let number = digits.parse::<u64>().ok().filter(|&number| number > 0);
    number.and_then(|n| n.checked_mul(unit)).ok_or_else(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_connections() {
        let at = End::Address("10.7.0.1:9".parse().unwrap());
        assert_eq!(end("10.7.0.1:9"), Ok(at));
        let named = End::Name("example.org".parse().unwrap(), 9);
        assert_eq!(end("Example.org:9"), Ok(named));
        for (text, cure) in [
            ("10.7.0.1", "no port; give one, as in 10.7.0.1:9"),
            ("fd07::1", "no port; give one, as in [fd07::1]:9"),
            ("[fd07::1]", "no port; give one, as in [fd07::1]:9"),
            ("10.7.0.1:", "`` is no port; give a number of 1 to 65535"),
            (
                "10.7.0.1:99999",
                "`99999` is no port; give a number of 1 to 65535",
            ),
            ("10.7.0.1:0", "port 0 is nobody's; give 1 to 65535"),
            ("localhost:0", "port 0 is nobody's; give 1 to 65535"),
            ("example.org", "no port; give one, as in example.org:9"),
            ("a.b:x", "`x` is no port; give a number of 1 to 65535"),
            ("!", "give ADDR:PORT, as in 10.7.0.1:9 or [fd07::1]:9"),
        ] {
            assert_eq!(end(text), Err(cure.to_owned()), "{text}");
        }
        assert_eq!(
            whom("fd07::1"),
            Ok(Whom::Address("fd07::1".parse().unwrap()))
        );
        assert_eq!(whom("router"), Ok(Whom::Name("router".parse().unwrap())));
        assert!(whom("10.7.0").is_err_and(|text| text.contains("; give an address")));
    }

    #[test]
    fn times_have_decimals() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("5"), Ok(Duration::from_secs(5)));
        for bad in [
            "0", "-1", "nan", "inf", "1e300", "1e-300", "86401", "x", "", "5s",
        ] {
            assert!(
                seconds(bad).is_err_and(|text| text.contains("as in 5 or 0.5")),
                "{bad}"
            );
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("1", 1),
            ("20k", 20_000),
            ("3M", 3_000_000),
            ("1G", 1_000_000_000),
        ] {
            assert_eq!(bytes(text), Ok(expected));
        }
        for bad in ["", "0", "K", "-1", "1.5M", "99999999999999G", "1T"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
