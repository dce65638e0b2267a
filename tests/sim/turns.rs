//! Whoever may send has a turn before the others had theirs twice.
//!
//! *Owns* since when each connection waits for its turn while its device is full. Invariant: a connection with a
//! segment's worth of text, and windows for it, waits in line for no longer than all others have two turns.
//! It is judged at the end of an instant: by then all has left that the device had room for.

use std::collections::HashMap;

use netloom::stack::{InterfaceId, TcpId};
use netloom::tcp::TcpInfo;
use netloom::tcp::congestion::Phase;
use netloom::{Instant, Stack};

/// Frames that a connection sends before the next has its turn.
const TURN: u64 = 4;

/// The name of what is counted.
pub(crate) const WAITED: &str = "times that one waited while others sent";

#[derive(Clone, Copy, Debug)]
struct Wait {
    since: Instant,
    /// How far its text had left.
    sent: u64,
    /// Frames with text that its end had sent.
    frames: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Turns {
    waits: HashMap<(usize, TcpId), Wait>,
    /// How often one that waited was seen to wait still, others having sent.
    pub(crate) waited: u64,
}

/// Would it send text now, were there room? What is sent again, is paced, or waits for a mark's sake, is not judged.
fn may_send(info: &TcpInfo) -> bool {
    let mss = info.snd_mss;
    info.state.is_synchronized()
        && info.phase == Phase::Open
        && info.lost == 0
        && info.pacing_rate.is_none()
        && !info.ecn
        && info.unsent >= mss
        && info.in_flight.saturating_add(mss) <= info.cwnd
        && info.unacked.saturating_add(mss) <= info.snd_wnd
}

impl Turns {
    /// Looks at all connections of an end, which sent so many frames with text so far.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        end: usize,
        stack: &Stack,
        on: InterfaceId,
        frames: u64,
    ) {
        if !stack.wants_transmit(on) {
            return self.waits.retain(|&(whose, _), _| whose != end);
        }
        let others = stack.tcp_open_count().saturating_sub(1) as u64;
        for id in stack.tcp_connections() {
            let may = stack.tcp_info(id).ok().filter(may_send);
            let Some(info) = may else {
                self.waits.remove(&(end, id));
                continue;
            };
            let sent = info.bytes_acked + u64::from(info.unacked);
            let fresh = Wait {
                since: now,
                sent,
                frames,
            };
            let wait = self.waits.entry((end, id)).or_insert(fresh);
            if wait.sent != sent {
                *wait = fresh;
            }
            let ahead = frames - wait.frames;
            self.waited += u64::from(ahead > 0);
            assert!(
                ahead <= 2 * TURN * others,
                "{id:?} of end {end} waits for its turn since {:?}, while {others} others sent {ahead}: {info:?}",
                wait.since
            );
        }
    }
}
