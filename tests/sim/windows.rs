//! No window grows by what was not delivered, and nothing leaves beyond one; challenges are limited.
//!
//! *Owns* what each connection's stack said of it a moment ago. Invariants, for every congestion control of the
//! library: the highest window so far rises by no more than what was delivered since SND.UNA last moved (RFC 5681 §3.1:
//! by N octets where N are newly acknowledged; what an undo gives back was there before), but for the window that a loss
//! begins with, which is what is in flight and one segment; a time-out leaves a few segments beyond what is in flight
//! (RFC 5681 §3.1, equation 4); new text leaves up to the window and, by two segments (RFC 3042) or a probe of the tail
//! (RFC 8985 §7.3), beyond; the first that leaves again asks no window (RFC 6675 §5 (4.3)). Challenge ACKs: ten a second
//! for a connection (RFC 5961 §7).

use std::collections::HashMap;

use netloom::stack::TcpId;
use netloom::tcp::TcpInfo;
use netloom::tcp::congestion::Phase;
use netloom::{Instant, Stack};

#[derive(Clone, Copy, Debug)]
struct Seen {
    highest: u32,
    cwnd: u32,
    acked: u64,
    /// What was delivered by the latest advance of SND.UNA: in front of a hole it counts when that is filled.
    delivered: u64,
    in_flight: u32,
    sent: u64,
    /// Was something lost being sent again?
    repairs: bool,
    retries: u8,
}

#[derive(Debug, Default)]
pub(crate) struct Windows {
    seen: HashMap<(usize, TcpId), Seen>,
    /// Since the second that runs began: which it is, and the challenges counted until then.
    challenges: [(u64, u64); 2],
    /// How often a window rose above where it had ever been.
    pub(crate) rises: u64,
    /// How often more was in flight than before.
    pub(crate) sends: u64,
    /// How often a time-out found nothing delivered.
    pub(crate) time_outs: u64,
}

/// The longest window that nothing was delivered for: RFC 6928 §2, and the least of BBR.
fn initial(mss: u32) -> u32 {
    (10 * mss).min(14_600.max(2 * mss)).max(4 * mss)
}

/// How far new text left.
fn sent(info: &TcpInfo) -> u64 {
    info.bytes_acked + u64::from(info.unacked)
}

impl Windows {
    /// Looks at all connections of an end; there are `talks` of them at most.
    pub(crate) fn check(&mut self, now: Instant, end: usize, stack: &Stack, talks: usize) {
        for id in stack.tcp_connections() {
            let Ok(info) = stack.tcp_info(id) else {
                continue;
            };
            // The MSS, and with it the first window, comes with the peer's SYN.
            if info.state.is_synchronized() {
                self.check_one((end, id), &info);
            }
        }
        let second = now.as_nanos() / 1_000_000_000;
        let sent = stack.counters().tcp_challenge_acks;
        let (since, before) = &mut self.challenges[end];
        if *since != second {
            (*since, *before) = (second, sent);
        }
        // A half-open connection has a limit of its own, two a second, and becomes one of these.
        let most = 12 * talks as u64;
        let challenges = sent - *before;
        assert!(
            challenges <= most,
            "end {end} sends {challenges} challenges in a second, with {talks} connections"
        );
    }

    fn check_one(&mut self, whose: (usize, TcpId), info: &TcpInfo) {
        let smss = info.snd_mss;
        let seen = self.seen.entry(whose).or_insert_with(|| Seen {
            highest: info.cwnd.max(initial(smss)),
            cwnd: info.cwnd,
            acked: info.bytes_acked,
            delivered: info.delivered,
            in_flight: info.in_flight,
            sent: sent(info),
            repairs: info.phase.repairs(),
            retries: info.retries,
        });
        let delivered = info.delivered - seen.delivered;
        if info.cwnd > seen.highest {
            self.rises += 1;
            let rise = u64::from(info.cwnd - seen.highest);
            let begins = info.cwnd <= info.in_flight.max(seen.in_flight) + smss;
            assert!(
                rise <= delivered || begins,
                "{whose:?}: the window rises by {rise}, {delivered} delivered; before {seen:?}, now {info:?}"
            );
            seen.highest = info.cwnd;
        } else if info.cwnd < seen.cwnd {
            // It may have risen before it fell at the same instant.
            let peak = u64::from(seen.cwnd) + delivered;
            seen.highest = seen.highest.max(u32::try_from(peak).unwrap_or(u32::MAX));
        } else if seen.repairs && !info.phase.repairs() {
            // With the end of a repair the window from before it comes back, and may fall again (ProbeRTT).
            let peak = u64::from(seen.highest) + delivered;
            seen.highest = u32::try_from(peak).unwrap_or(u32::MAX);
        }
        if info.retries > seen.retries && info.phase == Phase::Loss && delivered == 0 {
            self.time_outs += 1;
            let most = info.in_flight.max(seen.in_flight) + 4 * smss;
            assert!(
                info.cwnd <= most,
                "{whose:?}: a time-out leaves a window; before {seen:?}, now {info:?}"
            );
        }
        if info.in_flight > seen.in_flight && sent(info) > seen.sent {
            self.sends += 1;
            let most = info.cwnd.max(seen.cwnd) + 2 * smss;
            assert!(
                info.in_flight <= most,
                "{whose:?}: sent beyond the window; before {seen:?}, now {info:?}"
            );
        }
        *seen = Seen {
            highest: seen.highest,
            cwnd: info.cwnd,
            acked: info.bytes_acked,
            delivered: if info.bytes_acked == seen.acked {
                seen.delivered
            } else {
                info.delivered
            },
            in_flight: info.in_flight,
            sent: sent(info),
            repairs: info.phase.repairs(),
            retries: info.retries,
        };
    }
}
