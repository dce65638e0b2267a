//! What the stack counts, by name.
//!
//! *Owns* the list. *Does not* own drop reasons, which `base` lists.

use crate::base::DropCounters;
use crate::tcp::Tally;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What happened in a stack since it was made. Every count saturates.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            /// Packets that were not taken, by reason.
            pub drops: DropCounters,
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Counters {
            /// Every count but the drops, with its name, in the order of the declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }
        }
    };
}

counters! {
    /// Frames given to the stack.
    rx_frames,
    /// Their bytes.
    rx_bytes,
    /// Frames that a device took.
    tx_frames,
    /// Their bytes.
    tx_bytes,
    /// ARP requests and announcements sent.
    arp_requests_sent,
    /// ARP replies sent.
    arp_replies_sent,
    /// Neighbour solicitations sent, duplicate detection included.
    neighbour_solicits_sent,
    /// Neighbour advertisements sent.
    neighbour_adverts_sent,
    /// Router solicitations sent.
    router_solicits_sent,
    /// Router advertisements taken.
    router_adverts_received,
    /// Words of routers for which there was no room, or that cannot be heeded: a router, prefix, route, address or
    /// server too many.
    router_words_refused,
    /// Redirects that led somewhere else.
    redirects_followed,
    /// Those that did not, for there were too many.
    redirects_full,
    /// Probes for an address of ours that came back to us (RFC 7527).
    probes_looped,
    /// Neighbours that never answered, or stopped to.
    neighbours_failed,
    /// Another station used one of our addresses.
    address_conflicts,
    /// Addresses given up because duplicate detection found their owner.
    addresses_duplicate,
    /// Reports of our groups sent, by IGMP and MLD.
    group_reports_sent,
    /// Queries for them heard.
    group_queries_received,
    /// Routes of DHCP leases that no route of the interface can be.
    lease_routes_refused,
    /// ICMP echo requests answered.
    echo_replies_sent,
    /// ICMP echo requests sent.
    echo_requests_sent,
    /// ICMP errors sent.
    icmp_errors_sent,
    /// ICMP errors received that quote a flow of ours.
    icmp_errors_received,
    /// Fragments received that may become part of a datagram.
    fragments_received,
    /// Datagrams that came in fragments and became whole.
    datagrams_reassembled,
    /// Times that a path was found to be narrower than it was taken for (RFC 1191, RFC 8201).
    path_mtu_lowered,
    /// Those of them that were not remembered, for there were too many narrow ones.
    path_mtu_full,
    /// Fragments sent.
    fragments_sent,
    /// Packets that came in for other hosts, or pieces of them, that a device took; a super-segment counts as one.
    packets_forwarded,
    /// Packets that were passed on with another address and port (RFC 4787).
    packets_translated,
    /// Those of them that went on in several pieces: as fragments, or as segments that the device does not cut.
    packets_cut,
    /// Neighbours told of a nearer way for what they send.
    redirects_sent,
    /// UDP datagrams given to sockets.
    udp_datagrams_received,
    /// UDP datagrams sent.
    udp_datagrams_sent,
    /// Packets and frames given to raw and packet sockets, once for each that heard it.
    raw_packets_received,
    /// Those that such a socket had no room for.
    raw_packets_dropped,
    /// Packets and frames of such sockets put in line to be sent.
    raw_packets_sent,
    /// TCP segments received; a super-segment counts as one.
    tcp_segments_received,
    /// TCP segments sent; a super-segment counts as one.
    tcp_segments_sent,
    /// TCP segments sent again, for whatever reason.
    tcp_retransmits,
    /// Fast retransmits begun.
    tcp_fast_retransmits,
    /// Retransmission time-outs.
    tcp_rto_fired,
    /// Window probes sent.
    tcp_window_probes,
    /// Keep-alive probes sent.
    tcp_keepalives,
    /// Times that larger segments of a connection did not get through, a smaller one did, and no router had said so
    /// (RFC 4821 §7.7).
    tcp_black_holes,
    /// Larger segments sent to learn what the path carries (RFC 4821 §7.4).
    tcp_mtu_probes,
    /// Challenge ACKs sent (RFC 5961).
    tcp_challenge_acks,
    /// RSTs sent.
    tcp_resets_sent,
    /// RSTs accepted.
    tcp_resets_received,
    /// Connections that `tcp_connect` opened.
    tcp_opened,
    /// Connections that listeners completed.
    tcp_accepted,
    /// SYNs answered with a cookie (RFC 4987 §3.6): the backlog was full.
    tcp_cookies_sent,
    /// Connections that listeners completed by a cookie.
    tcp_cookies_accepted,
    /// ACKs without a connection that brought no valid cookie while some were out.
    tcp_cookies_failed,
    /// Connections that a SYN with text opened at once (RFC 7413).
    tcp_fast_opened,
    /// SYNs with text and a cookie that is none of ours, or an old one.
    tcp_fast_cookies_failed,
    /// SYNs with text and a good cookie that found as many pending as there may be.
    tcp_fast_full,
    /// SYNs of ours whose text the server took.
    tcp_fast_taken,
    /// SYNs of ours that asked for fast open, or had text, for nothing.
    tcp_fast_missed,
    /// Times that two thirds of the memory for sockets came into use.
    memory_short,
    /// Times that all of it did.
    memory_full,
    /// Writes refused, though the send buffer had room, because memory was short.
    tcp_writes_short_of_memory,
    /// Connection attempts refused because all memory was used.
    tcp_connects_short_of_memory,
    /// Connections that ended because their local address was taken away.
    tcp_addresses_gone,
    /// Connections that were given up by a time-out.
    tcp_timed_out,
    /// Connections that ended without a TIME-WAIT or FIN-WAIT-2 record, for there were too many.
    tcp_time_wait_full,
    /// Connection attempts that failed.
    tcp_connect_failed,
    /// SYNs held for their listeners' users.
    tcp_requests_held,
    /// Those that users admitted.
    tcp_requests_admitted,
    /// Those that users refused.
    tcp_requests_refused,
    /// Those whose time was over.
    tcp_requests_expired,
}

impl Counters {
    /// Adds what a connection counted.
    #[cold]
    pub(crate) fn add_tcp(&mut self, tally: &Tally) {
        self.tcp_retransmits += u64::from(tally.retransmits);
        self.tcp_fast_retransmits += u64::from(tally.fast_retransmits);
        self.tcp_rto_fired += u64::from(tally.timeouts);
        self.tcp_challenge_acks += u64::from(tally.challenge_acks);
        self.tcp_window_probes += u64::from(tally.window_probes);
        self.tcp_keepalives += u64::from(tally.keepalives);
        self.tcp_black_holes += u64::from(tally.black_holes);
        self.tcp_mtu_probes += u64::from(tally.mtu_probes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_carry_their_counts() {
        let counters = Counters {
            tx_bytes: 7,
            ..Counters::default()
        };
        let names: std::collections::BTreeSet<_> = counters.iter().map(|(n, _)| n).collect();
        assert_eq!(names.len(), counters.iter().count());
        assert!(counters.iter().any(|pair| pair == ("tx_bytes", 7)));
        assert_eq!(counters.iter().map(|(_, n)| n).sum::<u64>(), 7);
    }
}
