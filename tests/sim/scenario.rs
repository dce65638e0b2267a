//! What a world is made of, as plain data: everything random about a run but the wire's dice.
//!
//! *Owns* the settings, and what follows from them for the oracle. *Does not* draw them (`draw`) or
//! run them (`world`); `shrink` takes things out of it.

use core::time::Duration;

use netloom::tcp::{Ecn, Keepalive, TcpOptions};

use super::controller;

/// One world.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) v6: bool,
    /// Is there a neighbour to be found, or only an IP medium?
    pub(crate) ethernet: bool,
    /// Probes for duplicate addresses (IPv6 on Ethernet).
    pub(crate) probes: u8,
    pub(crate) mtu: usize,
    /// Frames that the pair holds each way.
    pub(crate) queue: usize,
    /// What happens to what end n sends.
    pub(crate) wires: [Wire; 2],
    pub(crate) devices: [DeviceFaults; 2],
    pub(crate) offloads: [Offload; 2],
    /// Does end n merge what it receives?
    pub(crate) coalesce: [bool; 2],
    pub(crate) stripped: Stripped,
    pub(crate) wrap: Wrap,
    pub(crate) tcp: [Tcp; 2],
    /// Frames that one call sends.
    pub(crate) budget: [usize; 2],
    pub(crate) backlog: usize,
    pub(crate) cookies: bool,
    /// Bytes that the sockets of end n may hold.
    pub(crate) memory: [usize; 2],
    pub(crate) conversations: Vec<Conversation>,
    /// A lie that the run must find out; no seed draws one.
    pub(crate) sabotage: Option<Sabotage>,
}

/// Chances in percent, times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) loss: u32,
    pub(crate) duplication: u32,
    pub(crate) corruption: u32,
    pub(crate) truncation: u32,
    pub(crate) reordering: u32,
    pub(crate) reordered_by: u64,
    pub(crate) delay: u64,
    pub(crate) jitter: u64,
    /// Bytes per second and frames that queue for it.
    pub(crate) rate: Option<(u64, usize)>,
    /// Frames with text that may be marked (ECT) and are.
    pub(crate) marks: u32,
    pub(crate) bleach: Bleach,
    pub(crate) asking: Asking,
}

/// What a box on the way does to the ECN field of IP headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bleach {
    Nothing,
    /// All of it becomes zero.
    Field,
    /// Marks are taken back: CE becomes ECT(0).
    Marks,
}

/// What a box on the way does to SYNs that ask for ECN, and to SYN-ACKs that agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    Passes,
    /// They pass as if they neither asked nor agreed.
    Cleared,
    /// SYNs that ask are dropped (RFC 3168 §6.1.1.1).
    Dropped,
}

impl Wire {
    pub(crate) const PERFECT: Self = Self {
        loss: 0,
        duplication: 0,
        corruption: 0,
        truncation: 0,
        reordering: 0,
        reordered_by: 0,
        delay: 0,
        jitter: 0,
        rate: None,
        marks: 0,
        bleach: Bleach::Nothing,
        asking: Asking::Passes,
    };

    /// Frames of a hundred that do not arrive as they were sent.
    fn losses(&self) -> u32 {
        self.loss + self.corruption + self.truncation
    }
}

/// A device that does not take what it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceFaults {
    /// Percent of offers that find it full.
    pub(crate) full: u64,
    /// Percent of frames that it drops.
    pub(crate) dropped: u64,
    /// From when and how long it drops everything, in microseconds from the start.
    pub(crate) outage: Option<(u64, u64)>,
}

impl DeviceFaults {
    pub(crate) const NONE: Self = Self {
        full: 0,
        dropped: 0,
        outage: None,
    };
}

/// What the stack is told that its device can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offload {
    None,
    Checksum,
    Full,
}

/// TCP options that something on the path takes out of SYNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Stripped {
    pub(crate) mss: bool,
    pub(crate) window_scale: bool,
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
}

/// A number that wraps soon after the start: `before` of its units are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrap {
    No,
    /// The sequence numbers of an end.
    Sequence {
        end: usize,
        before: u32,
    },
    /// Its timestamps.
    Timestamp {
        end: usize,
        before: u32,
    },
}

/// An end's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tcp {
    pub(crate) nodelay: bool,
    pub(crate) delayed_ack: bool,
    pub(crate) quick_acks: u8,
    /// At the start; it may grow to four times that.
    pub(crate) send_buffer: usize,
    pub(crate) recv_initial: usize,
    pub(crate) recv_max: usize,
    pub(crate) mss: Option<u16>,
    /// Idle time in seconds.
    pub(crate) keepalive: Option<u64>,
    /// Milliseconds.
    pub(crate) user_timeout: Option<u64>,
    /// Milliseconds.
    pub(crate) linger: Option<u64>,
    /// Milliseconds.
    pub(crate) min_rto: u64,
    /// Few retries of everything.
    pub(crate) impatient: bool,
    /// Which of those in `controller`.
    pub(crate) congestion: usize,
    pub(crate) ecn: Ecn,
}

impl Tcp {
    pub(crate) const DEFAULT: Self = Self {
        nodelay: false,
        delayed_ack: true,
        quick_acks: 16,
        send_buffer: 2 << 20,
        recv_initial: 128 << 10,
        recv_max: 4 << 20,
        mss: None,
        keepalive: None,
        user_timeout: None,
        linger: None,
        min_rto: 200,
        impatient: false,
        congestion: 0,
        ecn: Ecn::Accept,
    };

    pub(crate) fn options(&self) -> TcpOptions {
        let millis = Duration::from_millis;
        let idle = |secs| {
            Keepalive::after(Duration::from_secs(secs)).interval(Duration::from_secs(1 + secs / 2))
        };
        let options = TcpOptions::default()
            .nodelay(self.nodelay)
            .delayed_ack(self.delayed_ack)
            .quick_acks(self.quick_acks)
            .send_buffer_initial(self.send_buffer)
            .send_buffer_max(self.send_buffer.saturating_mul(4))
            .recv_buffer_initial(self.recv_initial)
            .recv_buffer_max(self.recv_max)
            .mss(self.mss)
            .keepalive(self.keepalive.map(idle))
            .user_timeout(self.user_timeout.map(millis))
            .linger(self.linger.map(millis))
            .min_rto(millis(self.min_rto))
            .congestion(controller::choice(self.congestion))
            .ecn(self.ecn);
        if self.impatient {
            options.retries(3).syn_retries(1).orphan_retries(1)
        } else {
            // The probes of an orphan are bounded, answered or not, and users here read slowly.
            options.orphan_retries(15)
        }
    }

    /// May it end a connection that its peer and the path leave alone?
    const fn is_fragile(&self) -> bool {
        self.user_timeout.is_some() || self.linger.is_some() || self.impatient
    }
}

/// One connection and its two users.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conversation {
    pub(crate) opener: Opener,
    /// Microseconds from the start.
    pub(crate) opens_at: u64,
    pub(crate) users: [User; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    /// This end connects, the other listens.
    End(usize),
    /// Both connect at once.
    Both,
}

impl Conversation {
    pub(crate) fn retunes(&self) -> bool {
        self.users.iter().any(|user| user.retunes)
    }
}

/// What a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) to_send: u64,
    /// Its longest pause, in microseconds; none when 0.
    pub(crate) rests: u64,
    /// The most bytes of one write and of one read.
    pub(crate) write: u64,
    pub(crate) read: u64,
    pub(crate) ending: Ending,
    /// Does it change the settings as it goes?
    pub(crate) retunes: bool,
}

/// How a user ends; a number says after how many bytes, both ways together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Writes all, reads to the end, closes.
    Finish,
    /// Writes all, closes without waiting for the peer.
    CloseAfterWriting,
    /// Shuts down reading, goes on writing.
    StopReading(u64),
    /// Closes.
    Drop(u64),
    /// Resets.
    Abort(u64),
}

/// A lie in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// The oracle expects another byte here in what end 0 sends in the first conversation.
    Oracle(u64),
    /// The wire changes text of this frame of those that end 0 sends, and calls it verified.
    Wire(u64),
}

impl Scenario {
    /// May a connection fail or hang in it for a reason that is none of the stack's?
    pub(crate) fn is_fragile(&self, conversation: usize) -> bool {
        let breaks = |user: &User| {
            matches!(
                user.ending,
                Ending::CloseAfterWriting
                    | Ending::StopReading(_)
                    | Ending::Drop(_)
                    | Ending::Abort(_)
            )
        };
        let dropped: u64 = self.devices.iter().map(|device| device.dropped).sum();
        let losses: u32 = self.wires.iter().map(Wire::losses).sum();
        let outages = self.devices.iter().filter_map(|device| device.outage);
        self.conversations[conversation].users.iter().any(breaks)
            || self.tcp.iter().any(Tcp::is_fragile)
            || u64::from(losses) + dropped > 26
            || outages.map(|(_, len)| len).sum::<u64>() > 2_000_000
            || self.relies_on_cookies()
    }

    /// RFC 4987 §3.6: who was sent a cookie is forgotten. Nothing repeats the SYN-ACK when its ACK is
    /// lost, and a bare ACK that comes before the one with the cookie is refused.
    fn relies_on_cookies(&self) -> bool {
        let disturbs = |wire: &Wire| {
            wire.losses() + wire.duplication + wire.reordering > 0
                || wire.jitter > 0
                || wire.rate.is_some()
        };
        let drops = |device: &DeviceFaults| device.dropped > 0 || device.outage.is_some();
        let clean = !self.wires.iter().any(disturbs) && !self.devices.iter().any(drops);
        self.cookies && self.backlog <= 2 && !clean
    }

    /// May a host be found unreachable? Three packets of neighbour resolution have to be lost.
    pub(crate) fn may_be_unreachable(&self) -> bool {
        let lossy = |wire: &Wire| wire.losses() > 0 || wire.rate.is_some();
        let drops = |device: &DeviceFaults| device.dropped > 0 || device.outage.is_some();
        self.ethernet && (self.wires.iter().any(lossy) || self.devices.iter().any(drops))
    }

    /// The same without a reason to send anything twice: no frame is lost, late or kept waiting, no window
    /// shuts, and each user stays to the end. Whatever else was drawn stays.
    pub(crate) fn calmed(mut self) -> Self {
        for wire in &mut self.wires {
            *wire = Wire {
                delay: wire.delay,
                marks: wire.marks,
                bleach: wire.bleach,
                ..Wire::PERFECT
            };
        }
        for tcp in &mut self.tcp {
            let plain = Tcp::DEFAULT;
            *tcp = Tcp {
                nodelay: tcp.nodelay,
                delayed_ack: tcp.delayed_ack,
                quick_acks: tcp.quick_acks,
                mss: tcp.mss,
                congestion: tcp.congestion,
                ecn: tcp.ecn,
                ..plain
            };
        }
        self.devices = [DeviceFaults::NONE; 2];
        self.memory = [super::draw::PLENTY; 2];
        (self.queue, self.backlog) = (1000, 4096);
        for talk in &mut self.conversations {
            // Who both open send each SYN again, with its answer.
            if talk.opener == Opener::Both {
                talk.opener = Opener::End(0);
            }
        }
        for user in self.conversations.iter_mut().flat_map(|it| &mut it.users) {
            // Below the window, however slowly it is read.
            *user = User {
                to_send: user.to_send.min(60_000),
                ending: Ending::Finish,
                retunes: false,
                ..*user
            };
        }
        self
    }

    /// Can a frame arrive other than it was sent?
    pub(crate) fn is_corrupting(&self) -> bool {
        self.wires
            .iter()
            .any(|wire| wire.corruption + wire.truncation > 0)
            || self.sabotage.is_some()
    }
}
