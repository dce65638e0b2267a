//! Settings as bytes and back: of the stack, of interfaces, of sockets.
//!
//! *Owns* which fields a recording holds: all of them. Each type is taken apart field by field, so that who
//! adds a setting adds it here, and then raises [`FORMAT`].

use super::code::{Code, Nonsense, Take, unknown};
use crate::device::{Capabilities, Medium};
use crate::dhcp::{ClientId, Config as ClientConfig};
use crate::link::SegmentKinds;
use crate::stack::{
    AddressOptions, Config, DhcpOptions, DontFragment, FilterMode, ForwardOptions, IcmpFilter,
    InterfaceConfig, ListenOptions, MulticastOptions, NatFilter, NatLives, NatOptions,
    PacketOptions, PingOptions, RawOptions, Refusal, RequestCall, ReversePath, SendInfo,
    StaticForward, TimeWaitReuse, UdpOptions,
};
use crate::tcp::{Ecn, Keepalive, MtuProbing, TcpOptions};

/// The number of the format of a recording's own blocks: one more whenever what stands in them changes.
pub(super) const FORMAT: u32 = 7;

/// The same with every setting within the bounds that its method keeps: a file may hold any number.
pub(super) fn within_bounds(config: Config) -> Config {
    let of = config.clone();
    config
        .neighbour_limit(of.neighbour_limit)
        .neighbour_queue(of.neighbour_queue)
        .outbox_limit(of.outbox_limit)
        .transmit_budget(of.transmit_budget)
        .timer_budget(of.timer_budget)
        .ttl(of.ttl)
        .path_mtu_life(of.path_mtu_life)
        .least_path_mtu(of.least_path_mtu)
        .reachable_time(of.reachable_time)
}

/// The same of an interface.
pub(super) fn tellable(config: InterfaceConfig) -> InterfaceConfig {
    let device = config.capabilities;
    config.capabilities(&device)
}

/// A struct as its fields, in this order.
macro_rules! fields {
    ($($type:ident { $($field:ident),+ $(,)? })+) => {$(
        impl Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $($field.put(out);)+
            }

            fn take(from: &mut Take) -> Result<Self, Nonsense> {
                $(let $field = Code::take(from)?;)+
                Ok(Self { $($field),+ })
            }
        }
    )+};
}
pub(super) use fields;

/// An enum without fields as a number.
macro_rules! numbered {
    ($($type:ident, $what:literal { $($number:literal => $variant:ident),+ $(,)? })+) => {$(
        impl Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let number: u8 = match self {
                    $(Self::$variant => $number,)+
                };
                number.put(out);
            }

            fn take(from: &mut Take) -> Result<Self, Nonsense> {
                match u8::take(from)? {
                    $($number => Ok(Self::$variant),)+
                    other => unknown($what, other),
                }
            }
        }
    )+};
}
pub(super) use numbered;

fields! {
    Config {
        seed, neighbour_limit, neighbour_queue, neighbour_queue_bytes, outbox_limit, transmit_budget,
        timer_budget, ephemeral_ports, icmp_errors_per_second, icmp_errors_per_peer, ttl, copy_below,
        trust_partial, time_wait, time_wait_limit, orphan_limit, socket_memory,
        reassembly_bytes, reassembly_datagrams,
        path_mtu_limit, path_mtu_life, least_path_mtu, flow_labels, time_wait_reuse, reachable_time,
    }
    InterfaceConfig {
        capabilities, mac, vlan, addresses, routes, gateways, dad_transmits, dad_delay, probe_v4,
        acd_probes, acd_unit, link_local, link_local_v4, stable_link_local, stable_secret, router_discovery,
        autonomous_addresses, temporary_addresses, accept_redirects,
        accept_foreign, unreachables, windows_together, report_own_groups, dhcp, forwarding,
        nat,
        over, vlan_priority, optimistic_dad, vlan_priorities, tell_routers,
    }
    NatOptions { filter, sessions, per_host, forwards, lives }
    NatLives { opening, closing, query, udp, established }
    StaticForward { protocol, port, inside }
    ForwardOptions { v4, v6, redirects, reverse_path, accept_routers }
    DhcpOptions { client, previous, use_routes, use_mtu }
    ClientConfig {
        mac, client_id, host_name, also_request, broadcast, mtu, min_mtu, min_lease, start_delay,
        retransmit_first, retransmit_max, request_tries, reboot_tries, renew_interval, decline_wait,
    }
    Capabilities {
        medium, mtu, checksum, tso4, tso6, uso, cut_in_software, queue_frames, receives_super_segments,
        one_of_several,
    }
    TcpOptions {
        nodelay, send_buffer_initial, send_buffer_max, both_ways_max, recv_buffer_max,
        recv_buffer_initial, congestion, keepalive, user_timeout, linger, ttl, tos, ecn, delayed_ack,
        quick_acks, syn_retries, retries, orphan_retries, mss, min_rto, initial_rto,
        timestamps, sack, window_scaling, window_scale, mtu_probing, min_ttl, fin_timeout, fast_open, flow_label,
    }
    Keepalive { idle, interval, probes }
    ListenOptions {
        backlog, dual_stack, syn_cookies, tcp, fast_open, reuse_port, interface, any_port, hold,
    }
    UdpOptions {
        send_buffer, recv_buffer, ttl, tos, dual_stack, report_errors, dont_fragment, reuse_address,
        reuse_port, broadcast, interface, multicast, any_port, flow_label, send_zero_checksum,
        take_zero_checksum,
    }
    MulticastOptions { ttl, loops, interface }
    PingOptions { ttl, queue, flow_label, broadcast }
    RawOptions {
        v6, protocol, header_included, local, peer, interface, any_source, broadcast, ttl, tos,
        recv_buffer, checksum, icmp, flow_label,
    }
    IcmpFilter { low, second, third, high }
    PacketOptions { interface, ether_type, others, recv_buffer }
    SendInfo { source, interface, ttl, tos, port, flow_label, checksum }
    AddressOptions { probe, preferred, valid, off_link, anycast }
}

numbered! {
    Medium, "medium" { 0 => Ethernet, 1 => Ip }
    FilterMode, "filter mode" { 0 => Include, 1 => Exclude }
    DontFragment, "DF setting" { 0 => Auto, 1 => Off, 2 => On, 3 => Probe }
    MtuProbing, "setting of path MTU probes" { 0 => Off, 1 => BlackHole, 2 => Always }
    ReversePath, "setting of the reverse path" { 0 => Off, 1 => Loose, 2 => Strict }
    NatFilter, "filter of translated packets" { 0 => Address, 1 => Open }
    Ecn, "ECN setting" { 0 => Off, 1 => Accept, 2 => Ask }
    Refusal, "refusal" { 0 => Reset, 1 => Port, 2 => Host, 3 => Net, 4 => Prohibited, 5 => Silence }
    TimeWaitReuse, "reuse of TIME-WAIT" { 0 => Off, 1 => Loopback, 2 => Always }
}

impl Code for RequestCall {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Take(listener) => (0_u8, *listener).put(out),
            Self::Admit(id) => (1_u8, *id).put(out),
            Self::Refuse(id, how) => {
                (2_u8, *id).put(out);
                how.put(out);
            }
        }
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(match u8::take(from)? {
            0 => Self::Take(Code::take(from)?),
            1 => Self::Admit(Code::take(from)?),
            2 => Self::Refuse(Code::take(from)?, Code::take(from)?),
            other => return unknown("call about a request", other),
        })
    }
}

impl Code for ClientId {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_bytes().to_vec().put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let bytes = Vec::<u8>::take(from)?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self::new(&bytes).or_else(|_| unknown("client identifier's length", len))
    }
}

impl Code for SegmentKinds {
    fn put(&self, out: &mut Vec<u8>) {
        self.bits().put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let bits = u8::take(from)?;
        Self::from_bits(bits).map_or_else(|| unknown("kinds of super-segments", bits), Ok)
    }
}
