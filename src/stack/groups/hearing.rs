//! What routers ask and other hosts report: messages of IGMP and MLD that came in.
//!
//! RFC 3376 §4.1.12, §5.2, §7, §9.1, RFC 3810 §5.1.14, §6.2, §8, RFC 2236 §3, RFC 2710 §4, §5. *Owns* which of them are believed. *Does not*
//! answer: reporters do, in their time.

use core::net::IpAddr;

use super::reporter::{Query, Version};
use crate::base::{DropReason, Instant, Protocol};
use crate::ipv4::{self, igmp};
use crate::ipv6::extension::Extension;
use crate::ipv6::{self, mld};
use crate::stack::Stack;
use crate::stack::packet::Inbound;

impl Stack {
    /// An IGMP message came in.
    pub(in crate::stack) fn handle_igmp(
        &mut self,
        now: Instant,
        packet: &Inbound,
    ) -> Result<(), DropReason> {
        // No device sums up IGMP: it is verified here in any case.
        let message =
            igmp::Message::parse(&packet.segment).map_err(|_| DropReason::IgmpMalformed)?;
        match message {
            igmp::Message::Query(asked) => self.handle_igmp_query(now, packet, &asked),
            igmp::Message::ReportV1 { group } | igmp::Message::ReportV2 { group } => {
                self.handle_report(packet, IpAddr::V4(group))
            }
            // RFC 3376 §4: what is not known is passed over in silence; the others are for routers.
            _ => Err(DropReason::IgmpIgnored),
        }
    }

    fn handle_igmp_query(
        &mut self,
        now: Instant,
        packet: &Inbound,
        asked: &igmp::Query<'_>,
    ) -> Result<(), DropReason> {
        let on = packet.on;
        let version = match (asked.v3, asked.max_resp_code) {
            (Some(_), _) => Version::Full,
            (None, 0) => Version::One,
            (None, _) => Version::Two,
        };
        // RFC 3376 §9.1; version 1 is older than the option.
        let forged = version != Version::One && !has_router_alert_v4(packet);
        // A switch that has no address asks from 0.0.0.0 (RFC 4541 §2.1.1).
        let addresses = &self.net.interfaces[on.index()].addresses;
        let far = !packet.src.is_unspecified()
            && addresses.first_v4().is_some()
            && !self.net.is_on_link(on, packet.src);
        if forged || far {
            return Err(DropReason::IgmpIgnored);
        }
        let group = IpAddr::V4(asked.group);
        let sources = asked
            .v3
            .map(|v3| v3.sources.iter().map(IpAddr::V4).collect());
        let query = Query {
            version,
            max: asked.max_response(),
            group: (!group.is_unspecified()).then_some(group),
            sources: sources.unwrap_or_default(),
            querier: asked.v3.map(|v3| (v3.robustness, v3.interval())),
        };
        self.heard_query(now, packet, &query);
        Ok(())
    }

    /// An MLD message came in, whose checksum is right.
    pub(in crate::stack) fn handle_mld(
        &mut self,
        now: Instant,
        packet: &Inbound,
    ) -> Result<(), DropReason> {
        let message =
            mld::Message::parse(&packet.segment).map_err(|_| DropReason::IcmpMalformed)?;
        // RFC 3810 §5.1.14, §5.2.13, §6.2: from this link, which is as far as it goes, and made for routers' eyes.
        let local = matches!(packet.src, IpAddr::V6(src) if src.is_unicast_link_local());
        let near = packet.ttl == mld::HOP_LIMIT && has_router_alert_v6(packet);
        if !local || !near {
            return Err(DropReason::IcmpIgnored);
        }
        match message {
            mld::Message::Query(asked) => {
                let group = IpAddr::V6(asked.group);
                let sources = asked
                    .v2
                    .map(|v2| v2.sources.iter().map(IpAddr::V6).collect());
                let query = Query {
                    version: asked.v2.map_or(Version::Two, |_| Version::Full),
                    max: asked.max_response(),
                    group: (!group.is_unspecified()).then_some(group),
                    sources: sources.unwrap_or_default(),
                    querier: asked.v2.map(|v2| (v2.robustness, v2.interval())),
                };
                self.heard_query(now, packet, &query);
                Ok(())
            }
            mld::Message::Report { group } => self.handle_report(packet, IpAddr::V6(group)),
            _ => Err(DropReason::IcmpIgnored),
        }
    }

    fn heard_query(&mut self, now: Instant, packet: &Inbound, query: &Query) {
        let net = &mut self.net;
        net.counters.group_queries_received += 1;
        let members = &mut net.interfaces[packet.on.index()].groups.members;
        let v4 = packet.src.is_ipv4();
        members.on_query(now, &mut net.report_delays, v4, query);
        net.set_groups_timer(packet.on);
    }

    /// RFC 2236 §3, RFC 2710 §4: sent to the group that it is about.
    fn handle_report(&mut self, packet: &Inbound, group: IpAddr) -> Result<(), DropReason> {
        if packet.dst != group {
            return Err(DropReason::IgmpIgnored);
        }
        let members = &mut self.net.interfaces[packet.on.index()].groups.members;
        members.heard_report(group);
        self.net.set_groups_timer(packet.on);
        Ok(())
    }
}

fn has_router_alert_v4(packet: &Inbound) -> bool {
    let header = ipv4::Header::parse_quoted(&packet.quote);
    header.is_ok_and(|(header, _)| {
        let mut options = header.options();
        options.any(|option| option.kind == ipv4::kind::ROUTER_ALERT)
    })
}

fn has_router_alert_v6(packet: &Inbound) -> bool {
    let Ok((header, rest)) = ipv6::Header::parse_quoted(&packet.quote) else {
        return false;
    };
    let hop_by_hop = header.next_header() == Protocol::HOP_BY_HOP;
    match Extension::parse(header.next_header(), rest, 0) {
        Some(Ok(extension)) if hop_by_hop => {
            let mut options = extension.options();
            options.any(|option| option.kind == mld::ROUTER_ALERT)
        }
        _ => false,
    }
}
