//! What a stack is told at the start; every limit with its default.
//!
//! *Owns* the settings. Defaults that are choices name their source. *Does not* know interfaces:
//! `interface::config` does.

use core::ops::RangeInclusive;
use core::time::Duration;

use crate::base::Seed;

/// RFC 8201 §4, RFC 1191 §3: no attempt to use a larger one before.
const LEAST_PATH_MTU_LIFE: Duration = Duration::from_secs(300);

/// Which connections in TIME-WAIT give their ports to new ones to the same peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TimeWaitReuse {
    /// None (0 of `tcp_tw_reuse`).
    Off,
    /// Those of the stack with itself (2 of `tcp_tw_reuse`).
    #[default]
    Loopback,
    /// All (1 of `tcp_tw_reuse`).
    Always,
}

/// The settings of a [`Stack`](super::Stack).
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) seed: Seed,
    pub(crate) neighbour_limit: usize,
    pub(crate) neighbour_queue: usize,
    pub(crate) neighbour_queue_bytes: usize,
    pub(crate) outbox_limit: usize,
    pub(crate) transmit_budget: usize,
    pub(crate) timer_budget: usize,
    pub(crate) ephemeral_ports: RangeInclusive<u16>,
    pub(crate) icmp_errors_per_second: u32,
    pub(crate) icmp_errors_per_peer: u32,
    pub(crate) ttl: u8,
    pub(crate) copy_below: usize,
    pub(crate) trust_partial: bool,
    pub(crate) time_wait: Duration,
    pub(crate) time_wait_limit: usize,
    pub(crate) time_wait_reuse: TimeWaitReuse,
    pub(crate) orphan_limit: usize,
    pub(crate) socket_memory: usize,
    pub(crate) reassembly_bytes: usize,
    pub(crate) reassembly_datagrams: usize,
    pub(crate) path_mtu_limit: usize,
    pub(crate) path_mtu_life: Option<Duration>,
    pub(crate) least_path_mtu: u16,
    pub(crate) flow_labels: bool,
    pub(crate) reachable_time: Duration,
}

impl Config {
    /// The defaults, with this seed for every key.
    pub const fn new(seed: Seed) -> Self {
        Self {
            seed,
            neighbour_limit: 1024,
            neighbour_queue: 16,
            neighbour_queue_bytes: 1 << 20,
            outbox_limit: 256,
            transmit_budget: 128,
            timer_budget: 256,
            ephemeral_ports: 32_768..=60_999,
            icmp_errors_per_second: 1000,
            icmp_errors_per_peer: 6,
            ttl: 64,
            copy_below: 1024,
            trust_partial: true,
            time_wait: Duration::from_secs(60),
            time_wait_limit: 16_384,
            time_wait_reuse: TimeWaitReuse::Loopback,
            orphan_limit: 4096,
            socket_memory: 256 << 20,
            reassembly_bytes: 4 << 20,
            reassembly_datagrams: 1024,
            path_mtu_limit: 1024,
            path_mtu_life: Some(Duration::from_secs(600)),
            least_path_mtu: 552,
            flow_labels: true,
            reachable_time: Duration::from_secs(30),
        }
    }

    /// Is a transport checksum that the device calls partial taken for right, as the kernel's own
    /// stack takes it (default yes)? It was never completed, because the frame never left the
    /// machine; without trust such frames are counted drops.
    #[must_use]
    pub fn trust_partial_checksums(self, trust: bool) -> Self {
        Self {
            trust_partial: trust,
            ..self
        }
    }

    /// How long TIME-WAIT lasts: 2 MSL (default 60 s, Linux's `TCP_TIMEWAIT_LEN`; RFC 9293 §3.4.2
    /// says 4 minutes, see docs/deviations.md).
    #[must_use]
    pub fn time_wait(self, time: Duration) -> Self {
        Self {
            time_wait: time,
            ..self
        }
    }

    /// TIME-WAIT records kept, and as many of FIN-WAIT-2 without a user (default 16,384, Linux's
    /// `tcp_max_tw_buckets` for small machines); beyond it connections end without one.
    #[must_use]
    pub fn time_wait_limit(self, records: usize) -> Self {
        Self {
            time_wait_limit: records,
            ..self
        }
    }

    /// May a new connection take the ephemeral port of one to the same peer that is in TIME-WAIT, when no other port is
    /// left, or the port that its user has chosen for it (default [`TimeWaitReuse::Loopback`], as Linux's `tcp_tw_reuse`
    /// 2)? Else such a port is in use till the old one has waited (RFC 9293 §3.10.1). Only if both have timestamps and
    /// the old one has waited for a second: what is left of it on the way is told by its timestamps then (RFC 6191,
    /// RFC 7323 §5), and numbers go on above its own (RFC 9293 §3.6.1 MAY-2). Linux takes one before others are used
    /// up.
    #[must_use]
    pub fn time_wait_reuse(self, reuse: TimeWaitReuse) -> Self {
        Self {
            time_wait_reuse: reuse,
            ..self
        }
    }

    /// Connections that their users have closed and the stack still ends (default 4096, Linux's least
    /// `tcp_max_orphans`); a close beyond it is a reset. A peer that acknowledges nothing keeps each of
    /// them, with what it has to send, until the retries are used up. One whose FIN is acknowledged is
    /// a record of FIN-WAIT-2, with a limit of its own as large as TIME-WAIT's.
    #[must_use]
    pub fn orphan_limit(self, connections: usize) -> Self {
        Self {
            orphan_limit: connections,
            ..self
        }
    }

    /// Bytes that the buffers of all sockets hold together (default 256 MiB, which is the middle one of
    /// Linux's `tcp_mem` on a machine of 4 GiB; docs/choices.md). From half of it on windows grow no more,
    /// from two thirds on they and what may be written shrink to a share of what is left, and when all is
    /// used, new connections and text that was not acknowledged are refused. Each connection may hold four
    /// segments in each direction beyond it.
    #[must_use]
    pub fn socket_memory(self, bytes: usize) -> Self {
        Self {
            socket_memory: bytes,
            ..self
        }
    }

    /// Bytes that datagrams which come in fragments hold until they are whole, with what holding them costs (default 4 MiB,
    /// Linux's `ipfrag_high_thresh`); one sender has a quarter of it at most in several of them, and the oldest give way.
    #[must_use]
    pub fn reassembly_bytes(self, bytes: usize) -> Self {
        Self {
            reassembly_bytes: bytes,
            ..self
        }
    }

    /// Datagrams that come in fragments at one time (default 1024, docs/choices.md); one sender has a quarter of them at most, one at least,
    /// and the oldest give way. With 0 each fragment is dropped.
    #[must_use]
    pub fn reassembly_datagrams(self, datagrams: usize) -> Self {
        Self {
            reassembly_datagrams: datagrams,
            ..self
        }
    }

    /// Neighbour entries kept over all interfaces (default 1024, Linux's `gc_thresh3`); at least 8.
    #[must_use]
    pub fn neighbour_limit(self, entries: usize) -> Self {
        Self {
            neighbour_limit: entries.max(8),
            ..self
        }
    }

    /// BaseReachableTime (RFC 4861 §6.3.2, RFC 1122 §2.3.2.1; default 30 s, REACHABLE_TIME of RFC 4861 §10 and Linux's
    /// `base_reachable_time`): neighbours of both families count as reachable for half as long to half as long again after an answer,
    /// and are asked again when something is sent to them later. 1 s to an hour; over IPv6 a router's word goes before it.
    #[must_use]
    pub fn reachable_time(self, time: Duration) -> Self {
        Self {
            reachable_time: time.clamp(Duration::from_secs(1), Duration::from_secs(3600)),
            ..self
        }
    }

    /// Packets that wait for one unresolved neighbour (default 16; RFC 4861 §7.2.2 asks for one); at
    /// least 1, the oldest gives way.
    #[must_use]
    pub fn neighbour_queue(self, packets: usize) -> Self {
        Self {
            neighbour_queue: packets.max(1),
            ..self
        }
    }

    /// Payload bytes that wait for all unresolved neighbours together (default 1 MiB, docs/limits.md);
    /// beyond it each of them keeps only its last packet.
    #[must_use]
    pub fn neighbour_queue_bytes(self, bytes: usize) -> Self {
        Self {
            neighbour_queue_bytes: bytes,
            ..self
        }
    }

    /// Packets of the stack's own (replies, ICMP, ARP) that wait per interface (default 256), an eighth of
    /// it kept for each class of them; as many again that waited for neighbours.
    #[must_use]
    pub fn outbox_limit(self, packets: usize) -> Self {
        Self {
            outbox_limit: packets.max(1),
            ..self
        }
    }

    /// Frames on the wire that one `poll_transmit` writes at most (default 128, docs/choices.md). A
    /// super-segment costs its frames where software cuts it, and by its bytes, 8 KiB being a frame,
    /// where the device does ([`Capabilities::cost`](crate::device::Capabilities::cost)); the last one may overdraw the budget by what it
    /// costs, which is less than 64 frames, and none where TCP's are cut in software.
    #[must_use]
    pub fn transmit_budget(self, frames: usize) -> Self {
        Self {
            transmit_budget: frames.max(1),
            ..self
        }
    }

    /// Timers that one `handle_timeout` fires, or puts elsewhere, at most (default 256, docs/choices.md).
    #[must_use]
    pub fn timer_budget(self, timers: usize) -> Self {
        Self {
            timer_budget: timers.max(1),
            ..self
        }
    }

    /// Destinations whose path is known to be narrower than the interface (default 1024, docs/choices.md). With
    /// as many no further one is remembered: who is told by a router heeds that alone, a connection for as long as it lives, a
    /// datagram or ping socket for [`path_mtu_life`](Self::path_mtu_life).
    #[must_use]
    pub fn path_mtu_limit(self, destinations: usize) -> Self {
        Self {
            path_mtu_limit: destinations,
            ..self
        }
    }

    /// After what time a path is taken to be as wide as the interface again (default 10 minutes, RFC 1191
    /// §6.3, RFC 8201 §5.3; Linux's `mtu_expires`); five minutes at least (RFC 8201 §4), `None`: never,
    /// and the places of [`path_mtu_limit`](Self::path_mtu_limit) are never free again.
    #[must_use]
    pub fn path_mtu_life(self, time: Option<Duration>) -> Self {
        Self {
            path_mtu_life: time.map(|time| time.max(LEAST_PATH_MTU_LIFE)),
            ..self
        }
    }

    /// Bytes of the smallest path MTU that is believed over IPv4 (default 552, Linux's `min_pmtu`); 68 at
    /// least (RFC 1191 §3). Over IPv6 it is 1280 (RFC 8201 §4).
    #[must_use]
    pub fn least_path_mtu(self, bytes: u16) -> Self {
        Self {
            least_path_mtu: bytes.max(68),
            ..self
        }
    }

    /// Do the IPv6 packets of a flow, TCP's or UDP's, have a label made of its ends (RFC 6437 §3)? Default yes, as Linux's
    /// `net.ipv6.auto_flowlabels`; else it is 0.
    #[must_use]
    pub fn flow_labels(self, labels: bool) -> Self {
        Self {
            flow_labels: labels,
            ..self
        }
    }

    /// The ephemeral ports (default 32768..=60999, Linux's `ip_local_port_range`; RFC 6056 §3.2).
    #[must_use]
    pub fn ephemeral_ports(self, range: RangeInclusive<u16>) -> Self {
        Self {
            ephemeral_ports: range,
            ..self
        }
    }

    /// ICMP errors sent per second to all peers together, with a burst of about a twentieth (default
    /// 1000, Linux's `icmp_msgs_per_sec`; RFC 4443 §2.4(f), RFC 1812 §4.3.2.8). Each is charged none,
    /// one or two at random, so that nobody can count what others were sent.
    #[must_use]
    pub fn icmp_errors_per_second(self, errors: u32) -> Self {
        Self {
            icmp_errors_per_second: errors,
            ..self
        }
    }

    /// ICMP errors sent to one peer in a burst (default 6, Linux's `icmp_ratelimit`); one more each
    /// second.
    #[must_use]
    pub fn icmp_errors_per_peer(self, errors: u32) -> Self {
        Self {
            icmp_errors_per_peer: errors,
            ..self
        }
    }

    /// The TTL or hop limit of packets whose socket sets none (default 64, RFC 1700); never 0.
    #[must_use]
    pub fn ttl(self, ttl: u8) -> Self {
        Self {
            ttl: ttl.max(1),
            ..self
        }
    }

    /// Received payloads below this length are copied, so that they do not pin the buffer they came
    /// in (default 1024 bytes, docs/choices.md).
    #[must_use]
    pub fn copy_below(self, bytes: usize) -> Self {
        Self {
            copy_below: bytes,
            ..self
        }
    }
}

/// What is set, a method for each setting, named after it.
macro_rules! settings {
    ($($name:ident [$get:ident]: $type:ty;)+) => {
        impl Config {
            $(#[doc = concat!("What [`", stringify!($name), "`](Self::", stringify!($name), ") is set to.")]
            pub const fn $get(&self) -> $type { self.$name })+
        }
    };
}

settings! {
    time_wait [time_wait_setting]: Duration;
    time_wait_limit [time_wait_limit_setting]: usize;
    time_wait_reuse [time_wait_reuse_setting]: TimeWaitReuse;
    orphan_limit [orphan_limit_setting]: usize;
    socket_memory [socket_memory_setting]: usize;
    reassembly_bytes [reassembly_bytes_setting]: usize;
    reassembly_datagrams [reassembly_datagrams_setting]: usize;
    reachable_time [reachable_time_setting]: Duration;
    neighbour_limit [neighbour_limit_setting]: usize;
    neighbour_queue [neighbour_queue_setting]: usize;
    neighbour_queue_bytes [neighbour_queue_bytes_setting]: usize;
    outbox_limit [outbox_limit_setting]: usize;
    transmit_budget [transmit_budget_setting]: usize;
    timer_budget [timer_budget_setting]: usize;
    path_mtu_limit [path_mtu_limit_setting]: usize;
    path_mtu_life [path_mtu_life_setting]: Option<Duration>;
    least_path_mtu [least_path_mtu_setting]: u16;
    flow_labels [flow_labels_setting]: bool;
    icmp_errors_per_second [icmp_errors_per_second_setting]: u32;
    icmp_errors_per_peer [icmp_errors_per_peer_setting]: u32;
    ttl [ttl_setting]: u8;
    copy_below [copy_below_setting]: usize;
}

impl Config {
    /// Are the device's partial checksums taken for right?
    pub const fn trust_partial_checksums_setting(&self) -> bool {
        self.trust_partial
    }

    /// The ports that are chosen where the user names none.
    pub const fn ephemeral_ports_setting(&self) -> &RangeInclusive<u16> {
        &self.ephemeral_ports
    }
}
