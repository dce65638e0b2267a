//! Neighbour discovery.

use core::fmt::{self, Write};
use core::net::Ipv6Addr;

use super::{MAX_SHOWN, Out};
use crate::ipv6;
use crate::ipv6::ndp::{
    Message, NdpOption, NeighborFlags, Options, Preference, RouterFlags, SearchDomains,
};

/// Prints a neighbour discovery message, and notes what its receiver must discard it for.
pub(super) fn print(
    out: &mut Out<'_, '_>,
    message: &Message<'_>,
    header: &ipv6::Header<'_>,
) -> fmt::Result {
    if let Err(invalid) = message.check(header) {
        out.note(invalid);
    }
    match *message {
        Message::RouterSolicitation { .. } => out.write_str("router solicitation")?,
        Message::RouterAdvertisement {
            hop_limit,
            flags,
            lifetime,
            reachable_time,
            retrans_timer,
            ..
        } => {
            write!(out, "router advertisement, hop limit {hop_limit}, ")?;
            write!(out, "Flags [{}], ", router_flags(flags))?;
            let preference = preference(flags.preference());
            write!(out, "pref {preference}, router lifetime {lifetime}s, ")?;
            write!(out, "reachable time {reachable_time}ms, ")?;
            write!(out, "retrans timer {retrans_timer}ms")?;
        }
        Message::NeighborSolicitation { target, .. } => {
            write!(out, "neighbor solicitation, who has {target}")?;
        }
        Message::NeighborAdvertisement { flags, target, .. } => {
            write!(out, "neighbor advertisement, tgt is {target}")?;
            let names = [
                (NeighborFlags::ROUTER, "router"),
                (NeighborFlags::SOLICITED, "solicited"),
                (NeighborFlags::OVERRIDE, "override"),
            ];
            out.write_str(", Flags [")?;
            let set = names.iter().filter(|(flag, _)| flags.contains(*flag));
            out.list(set, |out, (_, name)| out.write_str(name))?;
            out.write_char(']')?;
        }
        Message::Redirect {
            target,
            destination,
            ..
        } => write!(out, "redirect, {destination} to {target}")?,
    }
    options(out, message.options())
}

fn router_flags(flags: RouterFlags) -> &'static str {
    match (
        flags.contains(RouterFlags::MANAGED),
        flags.contains(RouterFlags::OTHER),
    ) {
        (true, true) => "managed,other",
        (true, false) => "managed",
        (false, true) => "other",
        (false, false) => "none",
    }
}

fn preference(preference: Preference) -> &'static str {
    match preference {
        Preference::High => "high",
        Preference::Medium => "medium",
        Preference::Low => "low",
        Preference::Reserved => "reserved",
    }
}

fn options(out: &mut Out<'_, '_>, options: Options<'_>) -> fmt::Result {
    if options.iter().next().is_none() {
        return Ok(());
    }
    out.write_str(", options [")?;
    out.list(options.iter(), option)?;
    out.write_char(']')
}

fn option(out: &mut Out<'_, '_>, option: NdpOption<'_>) -> fmt::Result {
    match option {
        NdpOption::SourceLinkAddress(mac) => write!(out, "source {mac}"),
        NdpOption::TargetLinkAddress(mac) => write!(out, "target {mac}"),
        NdpOption::PrefixInformation(info) => {
            write!(out, "prefix {}/{}", info.prefix, info.prefix_len)?;
            if info.on_link {
                out.write_str(" onlink")?;
            }
            if info.autonomous {
                out.write_str(" auto")?;
            }
            out.write_str(" valid ")?;
            seconds(out, info.valid_lifetime)?;
            out.write_str(" pref ")?;
            seconds(out, info.preferred_lifetime)
        }
        NdpOption::RedirectedHeader(packet) => write!(out, "redirected {} bytes", packet.len()),
        NdpOption::Mtu(mtu) => write!(out, "mtu {mtu}"),
        NdpOption::Nonce(nonce) => {
            out.write_str("nonce 0x")?;
            let mut shown = nonce.iter().take(MAX_SHOWN);
            shown.try_for_each(|byte| write!(out, "{byte:02x}"))
        }
        NdpOption::RouteInformation {
            prefix_len,
            preference: pref,
            lifetime,
            prefix,
        } => {
            write!(out, "route {prefix}/{prefix_len} {} ", preference(pref))?;
            seconds(out, lifetime)
        }
        NdpOption::RecursiveDns { lifetime, servers } => {
            out.write_str("rdnss ")?;
            seconds(out, lifetime)?;
            out.write_char(' ')?;
            out.list(servers.iter(), |out, server| {
                write!(out, "{}", Ipv6Addr::from(*server))
            })
        }
        NdpOption::DnsSearchList { lifetime, domains } => {
            out.write_str("dnssl ")?;
            seconds(out, lifetime)?;
            let mut names = SearchDomains::new(domains);
            names.try_for_each(|name| write!(out, " {name}"))
        }
        NdpOption::Unknown { kind, data } => {
            write!(out, "unknown-{kind} {} bytes", data.len())
        }
    }
}

/// All ones stand for ever, RFC 4861 §4.6.2.
fn seconds(out: &mut Out<'_, '_>, seconds: u32) -> fmt::Result {
    match seconds {
        u32::MAX => out.write_str("infinity"),
        _ => write!(out, "{seconds}s"),
    }
}
