//! Arguments of calls: numbers, names, addresses.
//!
//! *Owns* what names stand for. *Does not* make calls.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use super::super::ast::{Arg, Call, Field};
use super::{Runner, Step, Stop};

impl Runner {
    /// An address argument; `...` is the usual one, `None` one of the other family.
    pub(super) fn address(
        &self,
        line: u32,
        arg: Option<&Arg>,
        default: SocketAddr,
    ) -> Step<Option<SocketAddr>> {
        let fields = match arg {
            None | Some(Arg::Any) => return Ok(Some(default)),
            Some(Arg::Record(fields)) => fields,
            Some(_) => return Err(Stop::unsupported(line, "this form of address")),
        };
        let mut address = default;
        for Field { name, value, .. } in fields {
            match (name.as_deref(), value) {
                (Some("sa_family"), Arg::Name(family)) => {
                    let v6 = match family.as_str() {
                        "AF_INET" => false,
                        "AF_INET6" => true,
                        other => return Err(Stop::unsupported(line, other)),
                    };
                    if v6 != default.is_ipv6() {
                        return Ok(None);
                    }
                }
                (Some("sin_port" | "sin6_port"), Arg::Function(name, args)) if name == "htons" => {
                    let port = number(line, args.first())?;
                    address.set_port(u16::try_from(port).unwrap_or(0));
                }
                (Some("sin_addr"), Arg::Function(name, args)) if name == "inet_addr" => {
                    address.set_ip(literal(line, args.first())?);
                }
                (Some("sin_addr"), Arg::Name(name)) if name == "INADDR_ANY" => {
                    address.set_ip(IpAddr::from([0u8; 4]));
                }
                (Some("sin6_addr" | "inet_pton"), Arg::Function(name, args))
                    if name == "inet_pton" =>
                {
                    address.set_ip(literal(line, args.last())?);
                }
                (Some("sin6_flowinfo" | "sin6_scope_id"), _) => {}
                (None, Arg::Function(name, args)) if name == "inet_pton" => {
                    address.set_ip(literal(line, args.get(1))?);
                }
                (_, Arg::Any) => {}
                _ => return Err(Stop::unsupported(line, "this form of address")),
            }
        }
        Ok(Some(address))
    }
}

fn literal(line: u32, arg: Option<&Arg>) -> Step<IpAddr> {
    match arg {
        Some(Arg::Text(text)) => text
            .parse()
            .map_err(|_| Stop::fail(line, format!("no address: \"{text}\""))),
        Some(Arg::Name(name)) if name == "INADDR_ANY" => Ok(IpAddr::from([0u8; 4])),
        _ => Err(Stop::unsupported(line, "this form of address")),
    }
}

/// The descriptor that a call is about.
pub(super) fn descriptor(line: u32, call: &Call) -> Step<i64> {
    number(line, call.args.first())
}

pub(super) fn number(line: u32, arg: Option<&Arg>) -> Step<i64> {
    match arg {
        Some(Arg::Number(number)) => Ok(*number),
        Some(Arg::Name(name)) => {
            constant(name).ok_or_else(|| Stop::unsupported(line, format!("the constant {name}")))
        }
        _ => Err(Stop::unsupported(line, "an argument that is no number")),
    }
}

/// Output arguments that nothing here compares.
pub(super) fn only_any(line: u32, call: &Call, from: usize, to: usize) -> Step<()> {
    let is_free = |arg: &Arg| match arg {
        Arg::Any => true,
        Arg::Name(name) => name == "NULL",
        Arg::Number(number) => *number == 0,
        _ => false,
    };
    let written = call
        .args
        .iter()
        .take(to)
        .skip(from)
        .any(|arg| !is_free(arg));
    if written {
        let text = format!("an address that {} gives back", call.name);
        return Err(Stop::unsupported(line, text));
    }
    Ok(())
}

/// Flags of a descriptor, as Linux numbers them.
pub(super) const RDWR: i64 = 2;
pub(super) const NONBLOCK: i64 = 0o4000;

/// Names that are set together.
///
/// # Errors
/// What stands there that is no name.
pub(super) fn all_words(arg: Option<&Arg>) -> Result<Vec<&str>, &'static str> {
    match arg {
        Some(Arg::Name(name)) => Ok(vec![name.as_str()]),
        Some(Arg::Or(all)) => {
            let lists: Result<Vec<_>, _> = all.iter().map(|arg| all_words(Some(arg))).collect();
            Ok(lists?.concat())
        }
        _ => Err("what has no name"),
    }
}

/// Does a script say `...`, alone or in a list: whatever it is?
pub(super) fn is_any(arg: Option<&Arg>) -> bool {
    match arg {
        None | Some(Arg::Any) => true,
        Some(Arg::List(list)) => !list.is_empty() && list.iter().all(|arg| is_any(Some(arg))),
        Some(_) => false,
    }
}

/// What a script says that it gets, read by `read`; `None` when it does not look at it.
///
/// # Errors
/// Unsupported, when it says what `read` makes nothing of.
pub(super) fn said(
    line: u32,
    name: &str,
    arg: Option<&Arg>,
    read: impl Fn(&Arg) -> Option<i64>,
) -> Step<Option<i64>> {
    match arg {
        Some(arg) if !is_any(Some(arg)) => {
            let unknown = || Stop::unsupported(line, format!("this value of {name}"));
            read(arg).map(Some).ok_or_else(unknown)
        }
        _ => Ok(None),
    }
}

/// The value of names and numbers that are set together.
///
/// # Errors
/// The first name that is not known.
pub(super) fn flags_of(arg: &Arg) -> Result<i64, &str> {
    match arg {
        Arg::Number(number) => Ok(*number),
        Arg::Name(name) => constant(name).ok_or(name),
        Arg::Or(all) => all.iter().try_fold(0, |sum, arg| Ok(sum | flags_of(arg)?)),
        _ => Err("..."),
    }
}

/// What names stand for, as on Linux; only their being told apart matters.
pub(super) fn constant(name: &str) -> Option<i64> {
    let table: &BTreeMap<&str, i64> = &CONSTANTS;
    table.get(name).copied()
}

static CONSTANTS: std::sync::LazyLock<BTreeMap<&'static str, i64>> =
    std::sync::LazyLock::new(|| {
        BTreeMap::from([
            ("NULL", 0),
            ("O_RDONLY", 0),
            ("O_RDWR", RDWR),
            ("O_NONBLOCK", NONBLOCK),
            ("SOCK_NONBLOCK", NONBLOCK),
            ("SOCK_CLOEXEC", 0),
            ("SOMAXCONN", 4096),
            ("POLLIN", 0x1),
            ("POLLPRI", 0x2),
            ("POLLOUT", 0x4),
            ("POLLERR", 0x8),
            ("POLLHUP", 0x10),
            ("POLLNVAL", 0x20),
            ("POLLRDNORM", 0x40),
            ("POLLWRNORM", 0x100),
            ("POLLRDHUP", 0x2000),
            ("EPOLLIN", 0x1),
            ("EPOLLPRI", 0x2),
            ("EPOLLOUT", 0x4),
            ("EPOLLERR", 0x8),
            ("EPOLLHUP", 0x10),
            ("EPOLLRDHUP", 0x2000),
            ("MSG_PEEK", 0x2),
            ("MSG_DONTWAIT", 0x40),
            ("MSG_NOSIGNAL", 0x4000),
            ("IPTOS_LOWDELAY", 0x10),
            ("IP_PMTUDISC_DONT", 0),
            ("IP_PMTUDISC_WANT", 1),
            ("IP_PMTUDISC_DO", 2),
        ])
    });
