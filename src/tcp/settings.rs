//! What a user can set on a connection, with the source of every default.
//!
//! *Owns* [`TcpOptions`] and [`Keepalive`]. Names are Linux's socket options where one exists.

use core::time::Duration;

use super::congestion::Choice;
use super::connection::MIN_MSS;
use super::ecn::Ecn;
use super::path_size::MtuProbing;

/// Keep-alive settings (RFC 9293 §3.8.4; Linux's TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// Idle time before the first probe. Default 2 hours (MUST-28); at least a second is used.
    pub idle: Duration,
    /// Time between probes. Default 75 s (Linux); at least a second is used.
    pub interval: Duration,
    /// Unanswered probes before the connection fails. Default 9 (Linux; MUST-29 forbids 1 unasked).
    pub probes: u8,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(7200),
            interval: Duration::from_secs(75),
            probes: 9,
        }
    }
}

impl Keepalive {
    // A probe in flight must have time to be answered; Linux counts whole seconds.
    const FLOOR: Duration = Duration::from_secs(1);

    /// The idle time as used: at least a second.
    pub(crate) fn idle_used(&self) -> Duration {
        self.idle.max(Self::FLOOR)
    }

    /// The time between probes as used: at least a second.
    pub(crate) fn interval_used(&self) -> Duration {
        self.interval.max(Self::FLOOR)
    }

    /// The default, but with this idle time.
    pub fn after(idle: Duration) -> Self {
        Self {
            idle,
            ..Self::default()
        }
    }

    /// The same with this time between probes.
    #[must_use]
    pub const fn interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// The same with this number of probes, at least one.
    #[must_use]
    pub const fn probes(self, probes: u8) -> Self {
        Self {
            probes: if probes == 0 { 1 } else { probes },
            ..self
        }
    }
}

macro_rules! options {
    ($($(#[$doc:meta])+ $name:ident $([$get:ident])?: $type:ty = $default:expr;)+
     unset: $($own:ident: $of:ty;)+) => {
        /// The settings of a TCP connection: for a whole stack, a listener, or one connection.
        ///
        /// Accepted connections inherit their listener's.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct TcpOptions { $(pub(crate) $name: $type,)+ $(pub(crate) $own: Option<$of>,)+ }

        impl Default for TcpOptions {
            fn default() -> Self { Self { $($name: $default,)+ $($own: None,)+ } }
        }

        impl TcpOptions {
            $($(#[$doc])+ #[must_use]
            pub fn $name(self, $name: $type) -> Self { Self { $name, ..self } }

            $(#[doc = concat!("What [`", stringify!($name), "`](Self::", stringify!($name), ") is set to.")]
            pub const fn $get(&self) -> $type { self.$name })?)+
        }
    };
}

options! {
    /// Sends small segments at once, without Nagle's algorithm (RFC 9293 §3.7.4 MUST-17).
    /// Default off.
    nodelay [nodelay_setting]: bool = false;
    /// Bytes that may wait to be sent or acknowledged at the start (Linux's `tcp_wmem[1]`). Default
    /// 2 MiB: below it a super-segment path loses rate (measured, docs/choices.md).
    send_buffer_initial [send_buffer_initial_setting]: usize = 2 << 20;
    /// The most bytes that they grow to, as twice the congestion window is more (three times, if the congestion
    /// control sets a rate) and the user would write it (Linux's `tcp_wmem[2]`). Default 16 MiB: a path of 640 Mbit/s and 100 ms (docs/choices.md).
    send_buffer_max [send_buffer_max_setting]: usize = 16 << 20;
    /// The most bytes in flight and in the receive window together; a segment always may be in
    /// flight. Default: no bound (a host sets one for devices with small queues, docs/choices.md).
    both_ways_max [both_ways_max_setting]: usize = usize::MAX;
    /// The most bytes that the receive window grows to. Default 4 MiB (measured, as above).
    recv_buffer_max [recv_buffer_max_setting]: usize = 4 << 20;
    /// The receive window at the start, in bytes. Default 128 KiB (Linux's `tcp_rmem[1]`).
    recv_buffer_initial [recv_buffer_initial_setting]: usize = 128 << 10;
    /// Which congestion control the connection uses. Default CUBIC (RFC 9438 §1; Linux's
    /// `tcp_congestion_control`).
    congestion: Choice = Choice::Cubic;
    /// Probes an idle peer. Default off (RFC 9293 §3.8.4 MUST-25).
    keepalive [keepalive_setting]: Option<Keepalive> = None;
    /// How long something may stay unacknowledged before the connection fails (RFC 9293 §3.10.8,
    /// the meaning of RFC 5482 §2). While it is set, it stands in the place of
    /// [`retries`](Self::retries), shorter or longer; the limits of an opening and of an orphan stay. Default none:
    /// the retry limits decide.
    user_timeout [user_timeout_setting]: Option<Duration> = None;
    /// What `close` does with unsent data (SO_LINGER). `None`: it is sent in the background. Zero: the
    /// connection is reset. Otherwise it is sent in the background too, for as long as it takes: in
    /// Linux the time only bounds how long `close` waits, and here it never does.
    linger [linger_setting]: Option<Duration> = None;
    /// The Type of Service or Traffic Class octet (RFC 9293 §3.9.1.9 MUST-48). Its two low bits, ECN, are
    /// the stack's (RFC 3168 §5), whatever they are set to.
    tos: u8 = 0;
    /// Whether congestion marks in place of drops are asked for, or accepted from who asks (RFC 3168). It
    /// is settled by the SYNs. Default accept (Linux's `tcp_ecn` 2).
    ecn [ecn_setting]: Ecn = Ecn::Accept;
    /// Waits for a second segment before it acknowledges (RFC 9293 §3.8.6.3 SHLD-18). Default on.
    delayed_ack [delayed_ack_setting]: bool = true;
    /// How many ACKs do not wait for that second segment: at the start of a connection, and of what
    /// comes after an idle time, until text of ours answers the peer's. Default 16 (Linux's
    /// `TCP_MAX_QUICKACKS`); 0: none.
    quick_acks [quick_acks_setting]: u8 = 16;
    /// SYN or SYN-ACK retransmissions before the connection fails. Default 7: over 3 minutes in
    /// all (RFC 9293 §3.8.3 MUST-23).
    syn_retries [syn_retries_setting]: u8 = 7;
    /// Retransmissions of one segment before the connection fails: R2 of RFC 9293 §3.8.3.
    /// Default 15 (Linux's `tcp_retries2`; over 100 s, SHLD-11).
    retries [retries_setting]: u8 = 15;
    /// The same for a connection that its user has closed. Default 8 (Linux's
    /// `tcp_orphan_retries`).
    orphan_retries [orphan_retries_setting]: u8 = 8;
    /// An upper bound for the segments in both directions, text bytes and option bytes together
    /// (Linux's TCP_MAXSEG). Default none: the MTU decides. At least 48 is used.
    mss [mss_setting]: Option<u16> = None;
    /// The least that the retransmission time-out lies above the smoothed round-trip time. Default
    /// 200 ms as in Linux; RFC 6298 §2 (2.4) says 1 s in all (docs/deviations.md).
    min_rto [min_rto_setting]: Duration = Duration::from_millis(200);
    /// The retransmission time-out before the first sample: of a SYN, of its answer, and of text that
    /// follows a handshake which gave no sample. Default 1 s (RFC 6298 §2 (2.1)); at least a millisecond
    /// is used, and after a SYN that was lost at least 3 s (§5 (5.7)).
    initial_rto [initial_rto_setting]: Duration = Duration::from_secs(1);
    /// Whether timestamps are offered, and accepted from who offers them (RFC 7323 §3.2; Linux's
    /// `tcp_timestamps`). Default on.
    timestamps [timestamps_setting]: bool = true;
    /// Whether SACK is offered, and accepted from who offers it (RFC 2018 §2; Linux's `tcp_sack`).
    /// Default on.
    sack [sack_setting]: bool = true;
    /// Whether a window scale is offered, and accepted from who offers one (RFC 7323 §2.2; Linux's
    /// `tcp_window_scaling`). Default on; without it no window is above 65,535 bytes.
    window_scaling [window_scaling_setting]: bool = true;
    /// The window scale to offer, at most 14 (RFC 7323 §2.3). Default none: the smallest one that tells
    /// `recv_buffer_max`. With a smaller one the window grows to 65,535 bytes times two to it.
    window_scale [window_scale_setting]: Option<u8> = None;
    /// How it is found out how large a packet the path carries where no router tells (RFC 4821). Default
    /// [`MtuProbing::BlackHole`]; Linux's `tcp_mtu_probing` has 0.
    mtu_probing [mtu_probing_setting]: MtuProbing = MtuProbing::BlackHole;
    /// The least hops that a segment must have left as it arrives, or it is dropped: 255 is for neighbours alone, whom nobody
    /// beyond the link can forge (RFC 5082; Linux's IP_MINTTL and IPV6_MINHOPCOUNT). Of a listener for SYNs as well. ICMP errors about
    /// it must come from as near (§6.1): those of stations that send theirs with 64 hops are not heard by who asks for more. Connections
    /// that only wait for their end do not ask. Default 0: none.
    min_ttl [min_ttl_setting]: u8 = 0;
    /// Fast open as a client (RFC 7413; Linux's `TCP_FASTOPEN_CONNECT`): the SYN asks a server for a cookie, and to one that gave one
    /// before it carries text, as much as was written before it leaves and fits one segment. A server may be given that
    /// text twice (§2.1): it is for requests that may be repeated. Default off. Of a listener it says nothing: that is
    /// [`ListenOptions::fast_open`](crate::stack::ListenOptions::fast_open).
    fast_open [fast_open_setting]: bool = false;
    /// How long a closed connection waits in FIN-WAIT-2 for the peer's FIN. Default 60 s (Linux's
    /// `tcp_fin_timeout`).
    fin_timeout [fin_timeout_setting]: Duration = Duration::from_secs(60);
    unset:
    ttl: u8;
    flow_label: u32;
}

impl TcpOptions {
    /// Sets how many bytes may wait to be sent or acknowledged for good (Linux's SO_SNDBUF): the buffer
    /// is of this size at the start, and does not grow.
    #[must_use]
    pub fn send_buffer(self, bytes: usize) -> Self {
        self.send_buffer_initial(bytes).send_buffer_max(bytes)
    }

    /// The congestion control.
    pub const fn congestion_setting(&self) -> &Choice {
        &self.congestion
    }

    /// The Time To Live or Hop Limit (RFC 9293 §3.9.2 MUST-49); 0 never leaves (RFC 1122 §3.2.1.7): it is 1. Default: what a router
    /// says for IPv6 (RFC 4861 §6.3.4), else the stack's, which is 64 (RFC 1700).
    #[must_use]
    pub fn ttl(self, ttl: u8) -> Self {
        Self {
            ttl: Some(ttl),
            ..self
        }
    }

    /// The Time To Live or Hop Limit, where one is set.
    pub const fn ttl_setting(&self) -> Option<u8> {
        match self.ttl {
            Some(0) => Some(1),
            set => set,
        }
    }

    /// The flow label of its IPv6 packets (RFC 6437; Linux's IPV6_FLOWINFO_SEND), of which the low 20 bits count; 0: they have none.
    /// Default none given: the stack makes one ([`Config::flow_labels`](crate::stack::Config::flow_labels)).
    #[must_use]
    pub fn flow_label(self, label: Option<u32>) -> Self {
        Self {
            flow_label: label,
            ..self
        }
    }

    /// The flow label, where one is set.
    pub const fn flow_label_setting(&self) -> Option<u32> {
        match self.flow_label {
            Some(label) => Some(label & 0xf_ffff),
            none => none,
        }
    }

    /// The MSS that the user allows, `u16::MAX` when any; never below the floor.
    pub(crate) fn mss_limit(&self) -> u16 {
        self.mss.unwrap_or(u16::MAX).max(MIN_MSS)
    }

    /// The first retransmission time-out as used: at least a millisecond.
    pub(crate) fn initial_rto_used(&self) -> Duration {
        self.initial_rto.max(Duration::from_millis(1))
    }

    pub(crate) const fn syn_retry_limit(&self) -> u8 {
        self.syn_retries
    }

    /// The Type of Service or Traffic Class octet without its two bits of ECN.
    pub const fn tos_setting(&self) -> u8 {
        self.tos & !3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_told() {
        let options = TcpOptions::default();
        assert!(!options.nodelay_setting() && options.timestamps_setting());
        let options = options.nodelay(true).mss(Some(1000)).syn_retries(3);
        assert!(options.nodelay_setting());
        assert_eq!(
            (options.mss_setting(), options.syn_retries_setting()),
            (Some(1000), 3)
        );
        assert_eq!(
            options.linger(Some(Duration::ZERO)).linger_setting(),
            Some(Duration::ZERO)
        );
    }
}
