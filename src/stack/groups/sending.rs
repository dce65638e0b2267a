//! Reports on their way: what reporters have to tell, in packets.
//!
//! RFC 3376 §4, §4.2.13 to §4.2.16, RFC 3810 §5, §5.2.13 to §5.2.15, RFC 2236 §2, §9, RFC 2710 §3, §4. *Owns* from whom and to
//! whom they go, and what fits into one. *Does not* decide when: reporters do.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::reporter::{Report, Version};
use crate::base::records::GroupRecord;
use crate::base::{Instant, Protocol};
use crate::ipv4::{self, igmp};
use crate::ipv6::{self, mld};
use crate::stack::ids::InterfaceId;
use crate::stack::interface::{Class, Frame, Outgoing};
use crate::stack::net::Net;
use crate::stack::packet::{Flow, Label, OwnedPacket};
use crate::stack::wheel::TimerKey;

/// Internetwork control (RFC 3376 §4).
const PRECEDENCE: u8 = 0xc0;

impl Net {
    /// Tells routers what is due.
    pub(crate) fn on_groups_timeout(&mut self, now: Instant, on: InterfaceId) {
        let members = &mut self.interfaces[on.index()].groups.members;
        let [v4, v6] = members.on_timeout(now, &mut self.report_delays);
        for report in v4 {
            self.send_report_v4(on, report);
        }
        if !v6.is_empty() {
            let src = self.listener_address(on);
            let members = &mut self.interfaces[on.index()].groups.members;
            members.from_nobody |= src.is_unspecified();
            v6.into_iter()
                .for_each(|report| self.send_report_v6(on, src, report));
        }
        self.set_groups_timer(on);
    }

    /// Comes when the next report is due. What went out from `::` is told anew once there is an address (RFC 3810 §5.2.13).
    pub(in crate::stack) fn set_groups_timer(&mut self, on: InterfaceId) {
        let of_address = self.interfaces[on.index()].groups.members.from_nobody
            && !self.listener_address(on).is_unspecified();
        let members = &mut self.interfaces[on.index()].groups.members;
        if of_address {
            members.from_nobody = false;
            members.v6.tell_all();
        }
        let due = members.next_due().map(|at| at.max(self.now));
        let key = TimerKey::Groups(u32::try_from(on.index()).unwrap_or(u32::MAX));
        self.timers.set(key, due);
    }

    /// RFC 3810 §5.2.13: the link-local address, if it is in use.
    pub(in crate::stack) fn listener_address(&self, on: InterfaceId) -> Ipv6Addr {
        let addresses = &self.interfaces[on.index()].addresses;
        let to = IpAddr::V6(mld::REPORTS_TO);
        match addresses.source(to, to) {
            Some(IpAddr::V6(own))
                if own.is_unicast_link_local() && addresses.is_assigned(IpAddr::V6(own)) =>
            {
                own
            }
            _ => Ipv6Addr::UNSPECIFIED,
        }
    }

    fn send_report_v4(&mut self, on: InterfaceId, report: Report) {
        let send = |net: &mut Self, dst: Ipv4Addr, message: &[u8]| {
            // RFC 3376 §4.2.13: from nobody, as long as there is no address.
            let src = net.interfaces[on.index()].addresses.first_v4();
            let src = src.unwrap_or(Ipv4Addr::UNSPECIFIED);
            let ends = (src.into(), dst.into());
            net.queue_report(on, ends, Protocol::IGMP, &[], message);
        };
        let mut message = Vec::new();
        let older = |group: IpAddr| match group {
            IpAddr::V4(group) => group,
            IpAddr::V6(_) => igmp::ALL_SYSTEMS,
        };
        match report {
            Report::Records(records) => {
                let ip = ipv4::MIN_HEADER_LEN + igmp::ROUTER_ALERT.len();
                for records in packed(records, self.report_room(on, ip + igmp::HEADER_LEN)) {
                    message.clear();
                    igmp::emit_report(&records, &mut message);
                    send(self, igmp::REPORTS_TO, &message);
                }
            }
            Report::Older(version, group) => {
                let group = older(group);
                let said = match version {
                    Version::One => igmp::Message::ReportV1 { group },
                    _ => igmp::Message::ReportV2 { group },
                };
                said.emit(&mut message);
                send(self, group, &message);
            }
            Report::Leave(group) => {
                let group = older(group);
                igmp::Message::Leave { group }.emit(&mut message);
                send(self, igmp::ALL_ROUTERS, &message);
            }
        }
    }

    fn send_report_v6(&mut self, on: InterfaceId, src: Ipv6Addr, report: Report) {
        let send = |net: &mut Self, dst: Ipv6Addr, message: &[u8]| {
            let ends = (src.into(), dst.into());
            net.queue_report(on, ends, Protocol::HOP_BY_HOP, &mld::HOP_BY_HOP, message);
        };
        let mut message = Vec::new();
        let older = |group: IpAddr| match group {
            IpAddr::V6(group) => group,
            IpAddr::V4(_) => ipv6::ALL_NODES,
        };
        match report {
            Report::Records(records) => {
                let ip = ipv6::HEADER_LEN + mld::HOP_BY_HOP.len();
                for records in packed(records, self.report_room(on, ip + mld::HEADER_LEN)) {
                    message.clear();
                    mld::emit_report(&records, src, mld::REPORTS_TO, &mut message);
                    send(self, mld::REPORTS_TO, &message);
                }
            }
            Report::Older(_, group) => {
                let group = older(group);
                mld::Message::Report { group }.emit(src, group, &mut message);
                send(self, group, &message);
            }
            Report::Leave(group) => {
                let group = older(group);
                let to = ipv6::ALL_ROUTERS;
                mld::Message::Done { group }.emit(src, to, &mut message);
                send(self, to, &message);
            }
        }
    }

    /// Bytes for records in one packet.
    fn report_room(&self, on: InterfaceId, headers: usize) -> usize {
        self.interfaces[on.index()].mtu().saturating_sub(headers)
    }

    /// Queues a report, which is of no more use when there is no room: what matters is said again.
    fn queue_report(
        &mut self,
        on: InterfaceId,
        (src, dst): (IpAddr, IpAddr),
        protocol: Protocol,
        extension: &[u8],
        message: &[u8],
    ) {
        let flow = Flow {
            src,
            dst,
            next_hop: dst,
            // RFC 3376 §4, RFC 3810 §5: it stays on the link.
            ttl: mld::HOP_LIMIT,
            tos: if dst.is_ipv4() { PRECEDENCE } else { 0 },
            label: Label::default(),
        };
        let (head, records) = message.split_at(message.len().min(igmp::HEADER_LEN));
        let header = [extension, head].concat();
        let packet = OwnedPacket::new(flow, protocol, &header, Bytes::copy_from_slice(records));
        let (frame, asks) = (Frame::Packet(packet), None);
        let queued = self.queue(on, Class::Ask, Outgoing { frame, asks });
        self.counters.group_reports_sent += u64::from(queued);
    }
}

/// Records in messages of so many bytes of them. A list of sources that is too long goes on in another record; one of sources
/// that are not wanted is cut, which asks for more than is wanted (RFC 3376 §4.2.16, RFC 3810 §5.2.15).
fn packed(records: Vec<GroupRecord>, room: usize) -> Vec<Vec<GroupRecord>> {
    let mut messages = Vec::new();
    let (mut message, mut used) = (Vec::new(), 0);
    for mut record in records {
        let alone = GroupRecord::len(record.group, 0);
        let each = GroupRecord::len(record.group, 1) - alone;
        let most = room.saturating_sub(alone) / each;
        loop {
            let len = GroupRecord::len(record.group, record.sources.len());
            if used + len > room && !message.is_empty() {
                messages.push(core::mem::take(&mut message));
                used = 0;
            }
            if record.sources.len() <= most || most == 0 {
                used += len;
                message.push(record);
                break;
            }
            let rest = record.sources.split_off(most);
            if record.kind.is_exclude() {
                continue;
            }
            let (kind, group) = (record.kind, record.group);
            messages.push(vec![record]);
            record = GroupRecord {
                kind,
                group,
                sources: rest,
            };
        }
    }
    if !message.is_empty() {
        messages.push(message);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::records::RecordKind;

    fn record(kind: RecordKind, n: u8, sources: u16) -> GroupRecord {
        let source = |n: u16| {
            let [a, b] = n.to_be_bytes();
            IpAddr::from([10, 0, a, b])
        };
        GroupRecord {
            kind,
            group: IpAddr::from([239, 0, 0, n]),
            sources: (0..sources).map(source).collect(),
        }
    }

    /// RFC 3376 §4.2.16: nothing is longer than a packet, all that is wanted is asked for, and of what is not wanted what
    /// there is room for is said.
    #[test]
    fn records_that_are_too_many_for_one_packet() {
        use RecordKind as Kind;
        const ROOM: usize = 100;
        let records = vec![
            record(Kind::TO_EXCLUDE, 1, 3),
            record(Kind::ALLOW, 2, 60),
            record(Kind::IS_EXCLUDE, 3, 60),
            record(Kind::TO_INCLUDE, 4, 0),
        ];
        let messages = packed(records, ROOM);
        let mut of: Vec<(u8, Vec<IpAddr>)> =
            vec![(1, vec![]), (2, vec![]), (3, vec![]), (4, vec![])];
        for message in &messages {
            let len = |r: &GroupRecord| GroupRecord::len(r.group, r.sources.len());
            assert!(message.iter().map(len).sum::<usize>() <= ROOM && !message.is_empty());
            for record in message {
                let IpAddr::V4(group) = record.group else {
                    panic!("{record:?}");
                };
                let n = usize::from(group.octets()[3]) - 1;
                of[n].1.extend(&record.sources);
            }
        }
        let counts: Vec<usize> = of.iter().map(|(_, sources)| sources.len()).collect();
        assert_eq!(counts, [3, 60, 23, 0]);
        assert_eq!(of[1].1, record(Kind::ALLOW, 2, 60).sources);
        // The first; the second in three; the third, cut; the last.
        assert_eq!(messages.len(), 6, "{messages:?}");
        assert!(packed(Vec::new(), ROOM).is_empty());
    }
}
