//! What may leave now, and why not (RFC 5681 §3, RFC 9293 §3.7.4 and §3.8.6.2.1).
//!
//! *Owns* the room that the congestion window and the buffers leave, how much of it is worth a segment,
//! and what stopped the sender last. *Does not* choose what leaves (`plan`) nor know zero windows
//! (`persist`).

use crate::base::{Instant, nanos};

use super::congestion::parts::LOCAL_RTT;
use super::connection::Connection;
use super::plan::Frame;
use super::send::Fin;
use super::seq::SeqNum;

// 2^20 ns are a millisecond, nearly.
const NANOS_SHIFT: u32 = 20;

/// Why a connection that was asked to send stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SendLimit {
    /// Everything that was written has left, and nothing waits to be sent again.
    #[default]
    Nothing,
    /// The congestion window is full.
    Congestion,
    /// It is not time yet at the rate that the congestion control wants, or for the segment after a
    /// congestion mark on a window of one (RFC 3168 §6.1.2).
    Pacing,
    /// What may be in flight beside the receive buffer is: `TcpOptions::both_ways_max`.
    Buffers,
    /// The peer's window is full, or too small for a segment (RFC 9293 §3.8.6.2.1).
    ReceiveWindow,
    /// A small segment waits for more text, or for the ACK of the one before (RFC 9293 §3.7.4).
    SmallSegment,
}

impl SendLimit {
    /// This one, or what else holds when it is none.
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            Self::Nothing => other,
            _ => self,
        }
    }
}

/// What the gate remembers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gate {
    /// Sending stopped because of cwnd, with SND.NXT here.
    limited_at: Option<SeqNum>,
    /// What stopped the sender last.
    pub(crate) last: SendLimit,
    /// RFC 9937's RecoverFS, should the ACK, or the timer, that is being processed start an episode.
    pub(crate) flight_before: u32,
    /// In flight when the sender last sent or stopped.
    pub(crate) stopped: Flight,
}

/// What is in flight, twice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flight {
    /// RFC 5681's FlightSize: sent and not cumulatively acknowledged.
    pub(crate) outstanding: u32,
    /// Of that, what is neither reported nor lost.
    pub(crate) pipe: u32,
}

impl Gate {
    /// Did the window stop the sender in this round?
    pub(crate) fn is_cwnd_limited(&self) -> bool {
        self.limited_at.is_some()
    }

    /// A window's worth was acknowledged since cwnd last stopped the sender: that is over.
    pub(crate) fn on_ack(&mut self, una: SeqNum) {
        if self.limited_at.is_some_and(|at| una.after(at)) {
            self.limited_at = None;
        }
    }

    /// An episode is over: what was reported in it is none of the next one's flight.
    pub(crate) fn on_episode_end(&mut self) {
        self.stopped.outstanding = self.stopped.outstanding.min(self.stopped.pipe);
    }
}

impl Connection {
    /// The sender sent, or stopped. FlightSize is of this moment (RFC 5681 §3.1 (4), §3.2 (2)): several
    /// ACKs may be processed before the sender has its turn, and what each takes out of flight is put back
    /// only then. Of the ACK in the middle, the threshold would be half of whatever was not acknowledged
    /// yet.
    pub(super) fn note_flight(&mut self) {
        self.gate.stopped = Flight {
            outstanding: self.snd.nxt.past(self.snd.una),
            pipe: self.scoreboard.pipe(),
        };
    }

    /// FlightSize of a cut, with so much `outstanding`. RFC 5681 §3.2 (2): without what limited transmit sent. That
    /// is whatever lies beyond cwnd: while a report is taken for reordering, new text leaves in place of all that
    /// is reported, for up to a round trip (Linux cuts cwnd itself).
    pub(super) fn flight_size(&self, outstanding: u32) -> u32 {
        outstanding.min(self.congestion.output().cwnd)
    }

    /// What cwnd and the bound of both directions still allow in flight.
    pub(super) fn cwnd_room(&self) -> u32 {
        let window = self.congestion.window().min(self.flight_bound());
        window.saturating_sub(self.scoreboard.pipe())
    }

    /// What the bound of both directions leaves beside the receive window; below a segment nothing
    /// would ever leave.
    fn flight_bound(&self) -> u32 {
        let both = self.setup.options.both_ways_max;
        let most = both.saturating_sub(self.rcv.limit());
        u32::try_from(most).unwrap_or(u32::MAX).max(self.smss())
    }

    /// Which of the two bounds of `cwnd_room` is the lower.
    pub(super) fn flight_limit(&self) -> SendLimit {
        if self.congestion.window() > self.flight_bound() {
            SendLimit::Buffers
        } else {
            SendLimit::Congestion
        }
    }

    /// How much of the unsent text to send now: what is in all windows and worth a segment.
    pub(super) fn sendable(
        &self,
        now: Instant,
        unsent: u32,
        frame: Frame,
    ) -> Result<u32, SendLimit> {
        let (usable, room) = (self.snd.usable(), self.cwnd_room());
        let allowed = unsent.min(usable).min(room);
        self.worthwhile(now, allowed, unsent, frame).ok_or_else(|| {
            if allowed == unsent {
                SendLimit::SmallSegment
            } else if usable <= room {
                SendLimit::ReceiveWindow
            } else {
                self.flight_limit()
            }
        })
    }

    /// How much of what is `allowed` to send now: Nagle's algorithm, the sender's side of the
    /// silly-window rule, and what is held back for a full super-segment.
    fn worthwhile(&self, now: Instant, allowed: u32, unsent: u32, frame: Frame) -> Option<u32> {
        let text = allowed.min(frame.most);
        let all = text == unsent;
        if text < frame.size {
            let idle = !self.snd.is_outstanding();
            let half_window = text > 0 && text >= self.snd.max_wnd / 2 && idle;
            let ok = if all {
                self.may_send_small()
            } else {
                half_window
            };
            return ok.then_some(text);
        }
        if !all && text < frame.most && self.is_held_back(now, text, frame.most) {
            return None;
        }
        let whole = text / frame.size * frame.size;
        if whole == text || (all && self.may_send_small()) {
            Some(text)
        } else {
            Some(whole)
        }
    }

    /// Does less than a super-segment wait for an ACK that makes more room soon? So bulk leaves in full
    /// ones, and the window never idles for it: two are in flight, the oldest of what is for half a round
    /// trip and more, and nothing is missing, so that the next ACK is for it (as Linux's
    /// `tcp_tso_should_defer`); on a local path any ACK is near. Behind the last ACK of a train all that is in flight is young, and what was
    /// held back would wait for a round trip.
    fn is_held_back(&self, now: Instant, text: u32, most: u32) -> bool {
        let board = &self.scoreboard;
        let (Some(oldest), Some(srtt)) = (board.first(), self.rtt.srtt_nanos()) else {
            return false;
        };
        let worth = most.min(worth_waiting_for(
            self.congestion.window(),
            self.smss(),
            srtt,
        ));
        let age = now.nanos_since(oldest.stamp.sent_at);
        let ack_is_near = srtt < nanos(LOCAL_RTT) || age >= srtt.div_ceil(2);
        let all_well = board.lost() == 0 && board.sacked() == 0;
        text < worth && board.pipe() >= 2 * worth && all_well && ack_is_near
    }

    /// RFC 9293 §3.7.4 with Minshall's variation: a small segment waits only for another small
    /// one, and never before a FIN (r46) nor with urgent data (as Linux).
    fn may_send_small(&self) -> bool {
        self.setup.options.nodelay
            || self.snd.fin == Fin::Queued
            || !self.snd.small_end.after(self.snd.una)
            || self.sends_urgent()
    }

    /// Nothing more can leave now: notes why.
    pub(super) fn note_stop(&mut self, limit: SendLimit) {
        self.gate.last = limit;
        self.note_flight();
        let lost = self.scoreboard.lost();
        if limit == SendLimit::Pacing {
            // Neither the window nor the application.
        } else if self.waits_to_send() || lost > 0 {
            self.note_cwnd_limited(lost);
        } else {
            self.note_app_limited();
            // A window that is full of all there was is used as much as one that text waits for (RFC 7661 §4.3): the end
            // of a reply, sent again after a time-out, would leave a window of one segment to the next reply.
            let pipe = self.scoreboard.pipe();
            if pipe.saturating_add(self.smss()) > self.congestion.output().cwnd {
                self.note_cwnd_limited(0);
            }
        }
    }

    /// Is there text, or a FIN, that never left and may?
    pub(super) fn waits_to_send(&self) -> bool {
        match self.snd.unsent() > 0 {
            true => self.state.sends_text() || self.answers_early(),
            false => self.snd.fin == Fin::Queued && self.state.sends_text(),
        }
    }

    /// Decided when sending stops: after the next ACK there always is room.
    fn note_cwnd_limited(&mut self, lost: u32) {
        if self.flight_limit() == SendLimit::Buffers {
            // That bound is no reason to let cwnd grow.
            return;
        }
        let room = self.cwnd_room();
        let wanted = self.snd.unsent().saturating_add(lost).max(self.smss());
        // What is lost lies in the window; what is new may be held back by it.
        if room < wanted && (lost > 0 || room <= self.snd.usable()) {
            self.gate.limited_at = Some(self.snd.nxt);
        }
    }

    /// Could the sender have sent, and had nothing? Asked when an ACK, a timer or more text comes, before
    /// that changes anything (draft-ietf-ccwg-bbr, "Detecting application-limited phases"): when it stopped, the
    /// window may have been full.
    pub(super) fn look_for_app_limit(&mut self) {
        if !self.waits_to_send() && self.scoreboard.lost() == 0 {
            self.note_app_limited();
        }
    }

    fn note_app_limited(&mut self) {
        let pipe = self.scoreboard.pipe();
        if pipe < self.congestion.output().cwnd {
            self.sampler.on_app_limited(pipe);
        }
    }
}

/// One to two milliseconds of the rate cwnd/SRTT, two segments at least: more is not gathered for one piece,
/// or it would come as a burst to the bottleneck, whose queue may be short (Linux's `tcp_tso_autosize` takes
/// one). Powers of two stand for a millisecond and for SRTT, so that nothing is divided. Below two
/// milliseconds, as on local paths, there is no bound.
fn worth_waiting_for(cwnd: u32, smss: u32, srtt: u64) -> u32 {
    match (srtt >> NANOS_SHIFT).checked_ilog2() {
        None | Some(0) => u32::MAX,
        Some(shift) => (cwnd >> shift.min(31)).max(2 * smss),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_gathered_for_a_millisecond_or_two_of_the_rate() {
        // (SRTT in microseconds, cwnd, what is waited for)
        let rows = [
            (0, 4 << 20, u32::MAX),
            (2_000, 4 << 20, u32::MAX),
            (10_000, 80_000, 10_000),
            (40_000, 320_000, 10_000),
            (60_000, 320_000, 10_000),
            (100_000, 14_480, 2896),
            (100_000, 12_500_000, 195_312),
            (u64::MAX / 1000, u32::MAX, 2896),
        ];
        for (micros, cwnd, bytes) in rows {
            let srtt = micros * 1000;
            assert_eq!(worth_waiting_for(cwnd, 1448, srtt), bytes, "{srtt} ns");
        }
    }
}
