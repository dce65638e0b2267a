//! Why the stack did not take a packet that it could read, and how often.
//!
//! *Owns* the closed list of reasons. Every drop anywhere in the stack adds one to exactly one of
//! them, so `received = delivered + sum of drops` can be checked.

use core::fmt;

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal,)+) => {
        /// What the stack did with a packet that it could read but did not take.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DropReason { $($(#[doc = $doc])+ $name,)+ }

        impl DropReason {
            /// Every reason, in the order of the declaration.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// A stable name for logs and JSON, lower case with underscores.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

drop_reasons! {
    /// The link header does not parse.
    LinkMalformed => "link_malformed",
    /// An EtherType or VLAN that this interface does not speak.
    LinkProtocol => "link_protocol",
    /// The frame's destination MAC is another station's.
    LinkNotOurs => "link_not_ours",
    /// A frame that came in while the link was set down.
    LinkDown => "link_down",
    /// The ARP packet does not parse or breaks RFC 826.
    ArpMalformed => "arp_malformed",
    /// An ARP packet that claims our own address, or our own packet come back.
    ArpIgnored => "arp_ignored",
    /// The IPv4 header or its options do not parse.
    Ipv4Malformed => "ipv4_malformed",
    /// The IPv4 header checksum is wrong.
    Ipv4Checksum => "ipv4_checksum",
    /// An IPv4 packet that asks for a way of its own (RFC 7126 §4.3, §4.4).
    Ipv4SourceRoute => "ipv4_source_route",
    /// The IPv6 header or its extension headers do not parse.
    Ipv6Malformed => "ipv6_malformed",
    /// An IPv6 extension header or option asks for the packet to be discarded.
    Ipv6Option => "ipv6_option",
    /// The source address cannot be a sender's (RFC 1122 §3.2.1.3, RFC 4291 §2.7).
    IpSource => "ip_source",
    /// The destination is not one of ours.
    IpNotOurs => "ip_not_ours",
    /// A unicast packet in a link-layer broadcast or multicast frame (RFC 1122 §3.3.6).
    IpLinkBroadcast => "ip_link_broadcast",
    /// The destination is our own, but tentative (RFC 4862 §5.4).
    IpTentative => "ip_tentative",
    /// A packet to send from an address that another station has (RFC 4862 §5.4.5).
    IpDuplicate => "ip_duplicate",
    /// A packet to send from an address that was taken away meanwhile.
    IpSourceGone => "ip_source_gone",
    /// A packet for another host, not passed on: it had no hops left (RFC 1812 §5.3.1, RFC 8200 §3).
    ForwardExpired => "forward_expired",
    /// A packet for another host, not passed on: longer than the next link carries, and not to be cut (RFC 1191 §3, RFC 8200 §4.5).
    ForwardTooBig => "forward_too_big",
    /// A packet for another host, not passed on: from or to an address of one link, or to all of a network (RFC 2644 §4, RFC 3927
    /// §2.7, RFC 4291 §2.5.6).
    ForwardRefused => "forward_refused",
    /// A packet for another host, not passed on: no route leads back to its sender by where it came from (RFC 3704 §2).
    ForwardReversePath => "forward_reverse_path",
    /// A packet for another host, not passed on: too many wait for the device.
    ForwardFull => "forward_full",
    /// A packet for another host, not passed on: by where it leaves addresses are translated, and it has no port to be told by.
    NatProtocol => "nat_protocol",
    /// A packet for another host, not passed on: there is no port, or no room to remember its session (RFC 5508 REQ-8).
    NatFull => "nat_full",
    /// For the port of an inside host, from outside, and nobody has asked; or a SYN for a port that is nobody's (RFC 5382 REQ-4), or from inside a RST
    /// of no connection (RFC 7857 §7.1).
    NatUnsolicited => "nat_unsolicited",
    /// A fragment that is there already.
    FragmentDuplicate => "fragment_duplicate",
    /// A fragment of a datagram two of whose fragments contradict each other (RFC 5722 §4).
    FragmentOverlap => "fragment_overlap",
    /// A fragment for which there was no room, or that gave way to newer ones.
    FragmentLimit => "fragment_limit",
    /// A fragment whose datagram did not come whole in time.
    FragmentTimeout => "fragment_timeout",
    /// A fragment of a datagram of which some say that they met congestion, others that they cannot (RFC 3168 §5.3).
    FragmentEcn => "fragment_ecn",
    /// A protocol that nothing here speaks.
    IpProtocol => "ip_protocol",
    /// The ICMP message does not parse.
    IcmpMalformed => "icmp_malformed",
    /// The ICMP checksum is wrong.
    IcmpChecksum => "icmp_checksum",
    /// An ICMP type that is ignored.
    IcmpIgnored => "icmp_ignored",
    /// An ICMP error that quotes nothing of ours (RFC 5927 §4).
    IcmpUnmatched => "icmp_unmatched",
    /// A packet-too-big that is not believed: it says that something did not fit which does, or less than any link
    /// carries (RFC 5927 §7.2).
    IcmpTooBig => "icmp_too_big",
    /// A redirect that is not believed: not from the first hop, or not to a neighbour that may be one (RFC 4861 §8.1, RFC
    /// 1122 §3.2.2.2).
    RedirectRefused => "redirect_refused",
    /// A router advertisement or a redirect: there were more of them than are looked at.
    RouterFlood => "router_flood",
    /// The IGMP message does not parse, or its checksum is wrong.
    IgmpMalformed => "igmp_malformed",
    /// An IGMP message that is not for hosts, of an unknown type, or forged by its looks (RFC 3376 §9.1).
    IgmpIgnored => "igmp_ignored",
    /// An NDP message that RFC 4861 §6.1, §7.1 tells us to discard.
    NdpInvalid => "ndp_invalid",
    /// The UDP header does not parse.
    UdpMalformed => "udp_malformed",
    /// The UDP checksum is wrong, or missing over IPv6.
    UdpChecksum => "udp_checksum",
    /// A message of a DHCP server that is no answer to what this interface has asked, or not one to be believed
    /// ([`Refusal`](crate::dhcp::Refusal)).
    DhcpIgnored => "dhcp_ignored",
    /// No UDP socket takes this datagram.
    UdpNoSocket => "udp_no_socket",
    /// The UDP socket's receive buffer is full.
    UdpBufferFull => "udp_buffer_full",
    /// The ping socket's receive buffer is full, or no ping socket waits for it.
    PingUnclaimed => "ping_unclaimed",
    /// The TCP header or its options do not parse.
    TcpMalformed => "tcp_malformed",
    /// The TCP checksum is wrong.
    TcpChecksum => "tcp_checksum",
    /// No connection and no listener takes this segment.
    TcpNoSocket => "tcp_no_socket",
    /// A SYN from or to an address that must not open connections (RFC 9293 §3.9.2.3).
    TcpBadSyn => "tcp_bad_syn",
    /// The listener's queue of half-open or of unaccepted connections is full.
    TcpBacklogFull => "tcp_backlog_full",
    /// The sequence number is outside the receive window (RFC 9293 §3.10.7.4).
    TcpOutOfWindow => "tcp_out_of_window",
    /// An old timestamp (PAWS, RFC 7323 §5.3).
    TcpPaws => "tcp_paws",
    /// A segment without the timestamp that was negotiated (RFC 7323 §3.2).
    TcpNoTimestamp => "tcp_no_timestamp",
    /// An ACK of data that was never sent, or far below the window (RFC 5961 §5.2).
    TcpBadAck => "tcp_bad_ack",
    /// A RST that does not sit exactly at RCV.NXT (RFC 5961 §3.2).
    TcpBadRst => "tcp_bad_rst",
    /// A SYN in a synchronized state (RFC 5961 §4.2).
    TcpUnexpectedSyn => "tcp_unexpected_syn",
    /// A segment without ACK where one is needed.
    TcpNoAck => "tcp_no_ack",
    /// Text in a state that takes none, or after the peer's FIN.
    TcpTextRefused => "tcp_text_refused",
    /// Out-of-order text for which there is no room.
    TcpReassemblyFull => "tcp_reassembly_full",
    /// A SYN, or text that was not acknowledged: all memory for sockets is used.
    TcpMemory => "tcp_memory",
    /// From further away than is taken ([`TcpOptions::min_ttl`](crate::tcp::TcpOptions::min_ttl)).
    TcpTooFar => "tcp_too_far",
    /// A datagram: all memory for sockets is used.
    UdpMemory => "udp_memory",
    /// A packet that waited for a neighbour that never answered, or whose queue was full.
    NeighbourUnresolved => "neighbour_unresolved",
    /// A packet to send for which there is no route.
    NoRoute => "no_route",
    /// A reply that was not sent because of a rate limit.
    RateLimited => "rate_limited",
    /// The bounded queue of packets the stack itself answers with was full.
    OutboxFull => "outbox_full",
    /// The device dropped a frame for a lack of memory or buffers (ENOBUFS, ENOMEM).
    DeviceNoBuffers => "device_no_buffers",
    /// The device dropped a frame because the link is down (EIO).
    DeviceLinkDown => "device_link_down",
    /// The device refused the frame (EINVAL, EMSGSIZE).
    DeviceRefused => "device_refused",
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often each [`DropReason`] happened.
#[derive(Clone, PartialEq, Eq)]
pub struct DropCounters([u64; DropReason::ALL.len()]);

impl Default for DropCounters {
    fn default() -> Self {
        Self([0; DropReason::ALL.len()])
    }
}

impl DropCounters {
    /// Adds one to `reason`.
    pub(crate) fn count(&mut self, reason: DropReason) {
        let slot = &mut self.0[reason as usize];
        *slot = slot.saturating_add(1);
    }

    /// Adds so many.
    pub(crate) fn add(&mut self, reason: DropReason, many: usize) {
        let slot = &mut self.0[reason as usize];
        *slot = slot.saturating_add(many as u64);
    }

    /// How often `reason` happened.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Drops for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that happened at all, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL
            .iter()
            .map(|&r| (r, self.get(r)))
            .filter(|&(_, n)| n > 0)
    }
}

impl fmt::Debug for DropCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(r, n)| (r.name(), n)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_slot_and_a_name_of_its_own() {
        let mut counters = DropCounters::default();
        let mut names = std::collections::BTreeSet::new();
        for &reason in DropReason::ALL {
            assert!(names.insert(reason.name()), "{reason} twice");
            counters.count(reason);
            assert_eq!(counters.get(reason), 1);
        }
        assert_eq!(counters.total(), DropReason::ALL.len() as u64);
    }
}
