//! Groups in the stack's target: what routers ask, what others report, datagrams to them, and the user's part.

use std::net::IpAddr;

use netloom::link::RxMeta;
use netloom::stack::FilterMode;

use super::super::wire;
use super::{Input, PORTS, Rig, peer};

const GROUPS: [&str; 2] = ["239.1.1.1", "ff02::fb"];
/// Who asks, and sends, in each family.
const OTHERS: [&str; 2] = ["10.7.0.1", "fe80::9"];

fn of(texts: [&str; 2], v4: bool) -> IpAddr {
    texts[usize::from(!v4)].parse().expect("a literal")
}

impl Rig {
    /// The socket that was opened last joins or leaves a group, for all senders or for some.
    pub(super) fn be_in_groups(&mut self, bits: u8) {
        let Some(&id) = self.udps.last().filter(|_| bits > 0) else {
            return;
        };
        let (group, source) = (of(GROUPS, bits & 1 == 0), of(OTHERS, bits & 1 == 0));
        let (stack, now) = (&mut self.stack, self.now);
        let on = stack.interfaces().next();
        let include = FilterMode::Include;
        let _ = match bits >> 1 & 7 {
            0 | 1 => stack.udp_join(now, id, group, on, None),
            2 => stack.udp_join(now, id, group, on, Some(source)),
            3 => stack.udp_block(now, id, group, on, source),
            4 => stack.udp_unblock(now, id, group, on, source),
            5 => stack.udp_leave(now, id, group, on, Some(source)),
            6 => stack.udp_leave(now, id, group, on, None),
            _ => stack.udp_set_filter(now, id, group, on, include, &[source]),
        };
    }

    /// A router asks for groups, another host reports one, or somebody sends to one.
    pub(super) fn of_groups(&mut self, input: &mut Input<'_>) {
        let (what, code, flags) = (input.byte(), input.byte(), input.byte());
        let v4 = what & 1 == 0;
        let (group, from) = (of(GROUPS, v4), of(OTHERS, v4));
        let packet = if what & 2 == 2 {
            let mut body = wire::udp(PORTS[usize::from(code & 3)], b"to many");
            body[..2].copy_from_slice(&[9, flags]);
            peer::packet(from, group, 17, body, Some(6))
        } else {
            let kind = usize::from(what >> 2 & 3);
            match (group, from) {
                (IpAddr::V4(group), IpAddr::V4(from)) => {
                    let head = [[0x11, 0x16, 0x17, 0x22][kind], code, 0, 0];
                    let body = message(&head, &group.octets(), &from.octets(), flags);
                    let body = wire::put_checksum(body, 2);
                    with_alert(wire::v4(2, &body, &from.octets(), &group.octets()))
                }
                (IpAddr::V6(group), IpAddr::V6(from)) => {
                    let head = [[130, 131, 132, 143][kind], 0, 0, 0, code, flags, 0, 0];
                    let (src, dst) = (from.octets(), group.octets());
                    let body = message(&head, &dst, &src, flags);
                    let body = wire::summed(body, 2, &[&src, &dst], 58);
                    let options = [58, 0, 5, 2, 0, 0, 1, 0];
                    let mut packet = wire::v6(0, &[&options[..], &body].concat(), &src, &dst);
                    packet[7] = 1;
                    packet
                }
                _ => return,
            }
        };
        self.feed(0, &packet, RxMeta::new(self.now));
    }
}

/// A message about the group or about all, with what only the newest version has or without it.
fn message(head: &[u8], group: &[u8], source: &[u8], flags: u8) -> Vec<u8> {
    let mut message = head.to_vec();
    if flags & 1 == 0 {
        message.extend(group);
    } else {
        message.extend(vec![0; group.len()]);
    }
    if flags & 2 == 0 {
        message.extend([flags >> 4, flags, 0, flags >> 2 & 1]);
        message.extend(source);
    }
    message
}

/// The same IPv4 packet with the router alert option.
fn with_alert(mut packet: Vec<u8>) -> Vec<u8> {
    packet.splice(20..20, [148, 4, 0, 0]);
    packet[0] = 0x46;
    let len = u16::try_from(packet.len()).expect("a short one");
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet[10..12].fill(0);
    let sum = wire::checksum(&[&packet[..24]]);
    packet[10..12].copy_from_slice(&sum);
    packet
}
