//! Redirects: which are believed, and what follows.
//!
//! RFC 1122 §3.2.2.2 (IPv4), RFC 4861 §8.1, §8.3 (IPv6). *Owns* the judgement. *Does not* own what was learned: `path` does.
//! Believed is a redirect of the router that packets to the destination go to at this moment, to a neighbour on the same
//! link that may be one; and over IPv4, where it may come from anywhere, only of a packet that a socket of ours sent.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::{DropReason, Instant, Protocol};
use crate::ipv6::ndp::Options;
use crate::stack::Stack;
use crate::stack::ids::InterfaceId;
use crate::stack::ip::Quoted;
use crate::stack::neighbour::Heard;
use crate::stack::net::Net;
use crate::stack::packet::Inbound;
use crate::stack::path::Learned;

/// RFC 792: for a network or for a host, for all services or for one.
const CODES: core::ops::RangeInclusive<u8> = 0..=3;

impl Stack {
    /// An IPv4 router says that another one is nearer (RFC 1122 §3.2.2.2).
    pub(in crate::stack) fn handle_redirect_v4(
        &mut self,
        now: Instant,
        packet: &Inbound,
        (code, gateway): (u8, Ipv4Addr),
        quoted: Result<Quoted<'_>, DropReason>,
    ) -> Result<(), DropReason> {
        let Quoted {
            src,
            dst,
            protocol,
            segment,
            ..
        } = quoted?;
        let on = packet.on;
        let gateway = IpAddr::V4(gateway);
        // Both kinds are for this host alone (RFC 1122 §3.3.1.2).
        let meant = CODES.contains(&code) && packet.unicast && packet.link_unicast;
        if !meant || !self.net.is_ours(src, Some(on)) {
            return Err(DropReason::RedirectRefused);
        }
        // RFC 5927 §4: what we did not send nobody can have sent on.
        let sent = match protocol {
            Protocol::TCP => self.tcp_may_have_sent(on, (src, dst), segment),
            Protocol::UDP => self.udp_may_have_sent(on, (src, dst), segment),
            Protocol::ICMP => self.ping_may_have_sent(segment),
            _ => false,
        };
        if !sent {
            return Err(DropReason::IcmpUnmatched);
        }
        // A gateway is on the link by its prefix, not because it is one.
        let direct = self.net.paths.routes.lookup(now, gateway, Some(on));
        let is_near = direct == Some((on, gateway));
        if !is_near || !self.net.is_on_link(on, gateway) {
            return Err(DropReason::RedirectRefused);
        }
        self.net.redirect(now, (on, packet.src), dst, gateway)
    }

    /// The same over IPv6; the message was checked (RFC 4861 §8.1), but for who sent it.
    pub(in crate::stack) fn handle_redirect_v6(
        &mut self,
        now: Instant,
        packet: &Inbound,
        (target, destination): (Ipv6Addr, Ipv6Addr),
        options: Options<'_>,
    ) -> Result<(), DropReason> {
        let on = packet.on;
        let (target, dst) = (IpAddr::V6(target), IpAddr::V6(destination));
        self.net.redirect(now, (on, packet.src), dst, target)?;
        if let Some(mac) = options.target_link_address()
            && mac.is_unicast()
        {
            // RFC 4861 §8.3: STALE where it is new, or another.
            let heard = Heard::Asks { mac, create: true };
            self.net.heard(now, (on, target), heard);
        }
        Ok(())
    }
}

impl Net {
    /// `from` says that packets to `dst` should go over `hop`.
    fn redirect(
        &mut self,
        now: Instant,
        (on, from): (InterfaceId, IpAddr),
        dst: IpAddr,
        hop: IpAddr,
    ) -> Result<(), DropReason> {
        let refused = Err(DropReason::RedirectRefused);
        let interface = &self.interfaces[on.index()];
        // RFC 1812 §5.2.7.2, RFC 4861 §8.3: a router knows its ways.
        if !interface.accept_redirects || interface.forwards(dst) {
            return Err(DropReason::IcmpIgnored);
        }
        // To nobody of ours, nor to a group, nor to who says so.
        let able = hop != from && !hop.is_unspecified() && !self.is_ours(hop, Some(on));
        let group = |address| self.interfaces[on.index()].groups.is_group(address);
        if !able || group(hop) || group(dst) {
            return refused;
        }
        // RFC 4861 §8.1, RFC 1122 §3.2.2.2: the current first hop alone may say so.
        let current = self.route(dst, Some(on));
        if !current.is_ok_and(|route| route.next_hop == from && from != dst) {
            return refused;
        }
        if !self.paths.may_redirect(now) {
            return Err(DropReason::RouterFlood);
        }
        match self.paths.redirect(now, (on, dst), hop) {
            Learned::New => self.counters.redirects_followed += 1,
            Learned::Known => {}
            Learned::Full => self.counters.redirects_full += 1,
        }
        self.set_paths_timer();
        Ok(())
    }
}
