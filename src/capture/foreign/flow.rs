//! One TCP connection of the capture, and the stack's in its place.
//!
//! *Owns* the numbers of both, what each side sent, and how far the application has come. *Does not* call the
//! stack. "Theirs" is the side that is fed, "ours" the one whose place the stack took; "told" is a
//! number as the capture has it, "live" one on the stack's wire. Their numbers are the same in both.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use super::packet::Segment;
use super::rewrite::{Mapping, Refused};
use super::stream::{Budget, Stream};
use super::tally::Tally;
use crate::base::Instant;
use crate::stack::TcpId;
use crate::tcp::{Fields, Flags, Options, Shift};

/// Our end and theirs.
pub(super) type Key = (SocketAddr, SocketAddr);

/// Timestamps of ours that an echo may name: those of some round trips.
const MOST_STAMPS: usize = 256;

/// No number lies further from those in use than the largest window (RFC 7323 §2.3): what does is no hole of the
/// capture, but wrong.
const FARTHEST: u64 = 1 << 30;

/// Text of a full segment where no SYN told: that of Ethernet (RFC 9293 §3.7.1, RFC 8200 §8.3).
const USUAL_MSS: u64 = 1440;

#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The stack's connection, once the application has it.
    pub(super) id: Option<TcpId>,
    pub(super) their_isn: u32,
    /// Ours as captured.
    pub(super) told_isn: Option<u32>,
    /// Ours as the stack chose it.
    pub(super) live_isn: Option<u32>,
    /// One more than the highest number that the stack sent.
    live_max: u32,
    /// The same as a place in the stream.
    live_end: u64,
    /// Up to where the stack was told that its text arrived.
    fed_ack: Option<u32>,
    /// How far they acknowledged in the capture, where the stack has not sent so far yet.
    owed_ack: Option<u32>,
    /// When an acknowledgement is due that is made up.
    pub(super) ack_due: Option<Instant>,
    pub(super) theirs: Stream,
    pub(super) ours: Stream,
    /// How far the application has read and written.
    pub(super) read: u64,
    pub(super) written: u64,
    /// Where the streams end, as far as it was captured.
    pub(super) their_fin: Option<u64>,
    pub(super) our_fin: Option<u64>,
    their_fin_acked: bool,
    our_fin_acked: bool,
    reset: bool,
    /// How far the captured end's application had read, as its window tells; `None`: nobody knows.
    pub(super) may_read: Option<u64>,
    /// What it told of its window when it had read everything, and the scales of both.
    whole_window: Option<u64>,
    scales: (Option<u8>, Option<u8>),
    /// The application has ended its stream.
    pub(super) shut: bool,
    /// The application has read the end of theirs.
    pub(super) at_end: bool,
    /// The application has given the connection back.
    pub(super) gone: bool,
    pub(super) captured: Tally,
    pub(super) live: Tally,
    stamps: VecDeque<(u32, u32)>,
    live_stamp: Option<u32>,
    /// Their latest: what a segment that is made up says.
    their_next: u32,
    their_window: u16,
    their_stamp: Option<u32>,
    our_mss: Option<u16>,
    their_mss: Option<u16>,
    opened: Option<Instant>,
    round_trip: Duration,
    /// We opened, and their number is not known yet.
    pub(super) awaits_answer: bool,
    /// Is it in the queue of those that are over?
    pub(super) is_queued: bool,
}

impl Flow {
    /// A connection that begins with their number `isn`.
    pub(super) fn new(their_isn: u32) -> Self {
        Self {
            their_isn,
            their_next: their_isn.wrapping_add(1),
            ..Self::default()
        }
    }

    /// A connection that the captured end opened with its number `told`.
    pub(super) fn opened(id: TcpId, told: u32) -> Self {
        Self {
            id: Some(id),
            told_isn: Some(told),
            awaits_answer: true,
            ..Self::default()
        }
    }

    /// The number that their SYN has.
    pub(super) fn begin_theirs(&mut self, isn: u32) {
        self.their_isn = isn;
        self.their_next = isn.wrapping_add(1);
        self.awaits_answer = false;
    }

    /// What their clock said before their first segment that is made up.
    pub(super) fn note_their_stamp(&mut self, seen: &Options) {
        self.their_stamp = seen.timestamps.map(|(val, _)| val);
    }

    /// Has it ended in the capture?
    pub(super) const fn is_over(&self) -> bool {
        self.reset || (self.their_fin_acked && self.our_fin_acked)
    }

    /// Bytes of text in a full segment of theirs: what the captured end told them.
    pub(super) fn their_segment(&self) -> u64 {
        self.our_mss.map_or(USUAL_MSS, u64::from).max(1)
    }

    /// Bytes of text in a full segment of ours.
    pub(super) fn our_segment(&self) -> u64 {
        self.their_mss.map_or(USUAL_MSS, u64::from).max(1)
    }

    // --- what the capture says ------------------------------------------------------------

    /// They sent this; where its text lies.
    pub(super) fn on_theirs(&mut self, segment: &Segment) -> Option<u64> {
        let fields = &segment.fields;
        let syn = u32::from(fields.flags.contains(Flags::SYN));
        if syn > 0 && fields.seq != self.their_isn {
            // Of another connection, or of none.
            return None;
        }
        let at = self.their_place(fields.seq.wrapping_add(syn));
        if !self.awaits_answer && at.is_some_and(|at| is_far(at, self.theirs.next())) {
            return None;
        }
        let fin = fields.flags.contains(Flags::FIN);
        if let (Some(at), true) = (at, fin) {
            self.their_fin
                .get_or_insert_with(|| at + segment.text_len());
        }
        let len = u32::try_from(segment.text_len()).unwrap_or(u32::MAX);
        let end = fields.seq.wrapping_add(len).wrapping_add(syn);
        let end = end.wrapping_add(u32::from(fin));
        if end.wrapping_sub(self.their_next).cast_signed() > 0 {
            self.their_next = end;
        }
        self.their_window = fields.window;
        if syn > 0 {
            self.scales.1 = segment.options.window_scale;
            self.their_mss = segment.options.mss;
        }
        self.reset |= fields.flags.contains(Flags::RST);
        if let Some((val, _)) = segment.options.timestamps {
            self.their_stamp = Some(val);
        }
        at
    }

    /// Up to where they acknowledge our text.
    pub(super) fn acked_by_them(&mut self, segment: &Segment) -> Option<u64> {
        if !segment.fields.flags.contains(Flags::ACK) {
            return None;
        }
        let ack = segment.fields.ack;
        // Our SYN was not captured: whoever opens acknowledges nothing else first.
        self.told_isn.get_or_insert_with(|| ack.wrapping_sub(1));
        let at = self.our_place(ack)?;
        if is_far(at, self.ours.next()) {
            return None;
        }
        match self.our_fin {
            Some(end) if at > end => {
                self.our_fin_acked = true;
                Some(end)
            }
            _ => Some(at),
        }
    }

    /// The captured end sent this; where its text lies.
    pub(super) fn on_ours(&mut self, segment: &Segment) -> Option<u64> {
        let fields = &segment.fields;
        let syn = fields.flags.contains(Flags::SYN);
        if syn {
            self.told_isn = Some(fields.seq);
            self.our_mss = segment.options.mss;
            self.scales.0 = segment.options.window_scale;
        }
        let at = self.our_place(fields.seq.wrapping_add(u32::from(syn)));
        if let (Some(at), true) = (at, fields.flags.contains(Flags::FIN)) {
            self.our_fin.get_or_insert_with(|| at + segment.text_len());
        }
        self.reset |= fields.flags.contains(Flags::RST);
        at
    }

    /// Up to where the captured end acknowledges their text.
    pub(super) fn acked_by_us(&mut self, segment: &Segment) -> Option<u64> {
        if !segment.fields.flags.contains(Flags::ACK) {
            return None;
        }
        let at = self.their_place(segment.fields.ack)?;
        if is_far(at, self.theirs.next()) {
            return None;
        }
        match self.their_fin {
            Some(end) if at > end => {
                self.their_fin_acked = true;
                Some(end)
            }
            _ => Some(at),
        }
    }

    /// The captured end acknowledged up to `acked` and told this window: how far its application had read
    /// by then. Its right edge moves as that reads, from where its first window put it.
    pub(super) fn on_window(&mut self, segment: &Segment, acked: u64) {
        let flags = segment.fields.flags;
        let knows = self.our_mss.is_some() && !flags.intersects(Flags::SYN | Flags::RST);
        if !knows {
            return;
        }
        let shift = match self.scales {
            (Some(ours), Some(_)) => ours.min(14),
            _ => 0,
        };
        let window = u64::from(segment.fields.window) << shift;
        let whole = *self.whole_window.get_or_insert(window);
        let read = (acked + window).saturating_sub(whole);
        // Whoever takes the end has read all that was before it.
        self.may_read = (!self.their_fin_acked).then(|| read.max(self.may_read.unwrap_or(0)));
    }

    /// Does it acknowledge what nobody can have sent by then, or what was acknowledged long ago?
    fn acks_wrongly(&self, segment: &Segment) -> bool {
        let at = self.our_place(segment.fields.ack);
        segment.fields.flags.contains(Flags::ACK)
            && at.is_some_and(|at| is_far(at, self.ours.next()))
    }

    fn their_place(&self, seq: u32) -> Option<u64> {
        place(seq, self.their_isn, self.theirs.next())
    }

    fn our_place(&self, seq: u32) -> Option<u64> {
        place(seq, self.told_isn?, self.ours.next())
    }

    // --- what the stack does --------------------------------------------------------------

    /// The stack sent this at `now`; where its text lies, when it has any that counts.
    pub(super) fn on_live(&mut self, now: Instant, segment: &Segment) -> Option<u64> {
        let fields = &segment.fields;
        if let Some((val, _)) = segment.options.timestamps {
            self.live_stamp = Some(val);
        }
        if fields.flags.contains(Flags::RST) {
            return None;
        }
        let syn = fields.flags.contains(Flags::SYN);
        if syn && self.live_isn != Some(fields.seq) {
            self.live_isn = Some(fields.seq);
            self.live_max = fields.seq;
            self.live_end = 0;
            self.opened = Some(now);
        }
        let len = u32::try_from(segment.text_len()).unwrap_or(u32::MAX);
        let flags = u32::from(syn) + u32::from(fields.flags.contains(Flags::FIN));
        let end = fields.seq.wrapping_add(len).wrapping_add(flags);
        if end.wrapping_sub(self.live_max).cast_signed() > 0 {
            self.live_max = end;
        }
        let at = place(fields.seq, self.live_isn?, self.live_end)?;
        self.live_end = self.live_end.max(at + u64::from(len));
        Some(at)
    }

    /// Up to where the stack acknowledges their text.
    pub(super) fn acked_live(&self, segment: &Segment) -> Option<u64> {
        if !segment.fields.flags.contains(Flags::ACK) {
            return None;
        }
        let at = self.their_place(segment.fields.ack)?;
        Some(self.their_fin.map_or(at, |end| at.min(end)))
    }

    /// What the captured end's timestamp was when the stack's latest was this one.
    pub(super) fn note_stamp(&mut self, segment: &Segment) {
        let (Some((told, _)), Some(live)) = (segment.options.timestamps, self.live_stamp) else {
            return;
        };
        let is_newer = |(last, _): &(u32, u32)| told.wrapping_sub(*last).cast_signed() > 0;
        if self.stamps.back().is_none_or(is_newer) {
            if self.stamps.len() == MOST_STAMPS {
                self.stamps.pop_front();
            }
            self.stamps.push_back((told, live));
        }
    }

    fn echo(&self, told: u32) -> Option<u32> {
        let not_after = |(stamp, _): &(u32, u32)| told.wrapping_sub(*stamp).cast_signed() >= 0;
        let after = self.stamps.partition_point(not_after);
        let known = self.stamps.get(after.saturating_sub(1));
        known.map(|(_, live)| *live).or(self.live_stamp)
    }

    // --- what the stack is fed ------------------------------------------------------------

    /// How their numbers of ours become the stack's.
    pub(super) fn shift(&self) -> Option<Shift> {
        Some(Shift::between(self.told_isn?, self.live_isn?))
    }

    /// How this segment of theirs is mapped; notes what it cannot acknowledge yet.
    pub(super) fn map(&mut self, now: Instant, segment: &Segment, refuse: Refused) -> Mapping {
        let shift = self.shift();
        let mut mapping = Mapping {
            shift: shift.unwrap_or_default(),
            sent: shift
                .and(self.live_isn)
                .map(|isn| (isn.wrapping_add(1), self.live_max)),
            echo: segment
                .options
                .timestamps
                .and_then(|(_, ecr)| self.echo(ecr)),
            refuse,
        };
        if segment.fields.flags.contains(Flags::RST) {
            // It is judged by its number, not by what it acknowledges.
            mapping.sent = None;
        } else if self.acks_wrongly(segment) {
            mapping.sent = None;
        } else if segment.fields.flags.contains(Flags::ACK) && shift.is_some() {
            let live = mapping.shift.to_live(segment.fields.ack);
            if let Some(opened) = self.opened.take() {
                self.round_trip = now.since(opened);
            }
            let is_ahead = live.wrapping_sub(self.live_max).cast_signed() > 0;
            self.owed_ack = is_ahead.then_some(live).or(self.owed_ack);
            let fed = if is_ahead { self.live_max } else { live };
            self.on_fed(fed);
        }
        mapping
    }

    fn on_fed(&mut self, ack: u32) {
        if self
            .fed_ack
            .is_none_or(|known| ack.wrapping_sub(known).cast_signed() > 0)
        {
            self.fed_ack = Some(ack);
        }
        let is_paid = |owed: u32| ack.wrapping_sub(owed).cast_signed() >= 0;
        self.owed_ack = self.owed_ack.filter(|&owed| !is_paid(owed));
    }

    /// When they would acknowledge what the stack sent late, if it sent anything.
    pub(super) fn owes_ack(&self, now: Instant) -> Option<Instant> {
        self.owed_ack?;
        let fed = self.fed_ack?;
        let sent = self.live_max.wrapping_sub(fed).cast_signed() > 0;
        (sent && !self.reset).then(|| now + self.round_trip)
    }

    /// What is acknowledged then.
    pub(super) fn make_ack(&mut self) -> Option<Made> {
        let owed = self.owed_ack?;
        let ahead = owed.wrapping_sub(self.live_max).cast_signed() > 0;
        let ack = if ahead { self.live_max } else { owed };
        self.on_fed(ack);
        Some(Made {
            ack,
            window: self.their_window,
            ..self.now_live()
        })
    }

    /// What is forgotten: our text that the stack was told arrived.
    pub(super) fn forget(&mut self, budget: &mut Budget) {
        let acked = self.fed_ack.zip(self.live_isn);
        let place = acked.and_then(|(ack, isn)| place(ack, isn, self.live_end));
        if let Some(place) = place {
            self.ours.forget_to(place.min(self.written), budget);
        }
    }

    /// Their text at this place, as a number.
    pub(super) fn their_seq(&self, at: u64) -> u32 {
        let low = u32::try_from(at & u64::from(u32::MAX)).unwrap_or(0);
        self.their_isn.wrapping_add(1).wrapping_add(low)
    }

    /// What a segment of theirs that is made up holds now.
    pub(super) fn now_live(&self) -> Made {
        Made {
            seq: self.their_next,
            ack: self.live_max,
            window: u16::MAX,
            stamps: self.their_stamp.zip(self.live_stamp),
        }
    }
}

/// A segment of theirs that the capture lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) window: u16,
    /// Their clock, and ours as echoed.
    pub(super) stamps: Option<(u32, u32)>,
}

impl Made {
    /// As a header without SYN or FIN.
    pub(super) fn fields(&self) -> (Fields, Options) {
        let mut fields = Fields::default();
        (fields.seq, fields.ack) = (self.seq, self.ack);
        (fields.flags, fields.window) = (Flags::ACK, self.window);
        let options = Options {
            timestamps: self.stamps,
            ..Options::NONE
        };
        (fields, options)
    }
}

/// A flow in words.
pub(super) fn show((ours, theirs): Key) -> String {
    format!("{theirs} to {ours}")
}

const fn is_far(at: u64, next: u64) -> bool {
    at.abs_diff(next) > FARTHEST
}

/// Where in a stream a number is, the one nearest to `near`; `None` before its beginning.
fn place(seq: u32, isn: u32, near: u64) -> Option<u64> {
    let low = u32::try_from(near & u64::from(u32::MAX)).unwrap_or(0);
    let distance = seq.wrapping_sub(isn).wrapping_sub(1).wrapping_sub(low);
    near.checked_add_signed(i64::from(distance.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_on_behind_the_wrap() {
        assert_eq!(place(101, 100, 0), Some(0));
        assert_eq!(place(100, 100, 0), None, "the SYN");
        assert_eq!(place(4, u32::MAX - 5, 0), Some(9));
        let far = 7 << 32;
        assert_eq!(place(100, 99, far), Some(far));
        assert_eq!(place(99, 99, far), Some(far - 1));
        assert_eq!(place(100 + (1 << 30), 99, far), Some(far + (1 << 30)));
    }

    #[test]
    fn an_echo_is_the_last_that_was_not_after_it() {
        let mut flow = Flow::new(1);
        assert_eq!(flow.echo(5), None);
        for (told, live) in [(100, 7000), (200, 7100), (150, 9), (200, 7200), (210, 7210)] {
            let mut segment = Segment::made();
            segment.options.timestamps = Some((told, 0));
            flow.live_stamp = Some(live);
            flow.note_stamp(&segment);
        }
        let echoes = [
            (99, 7000),
            (100, 7000),
            (199, 7000),
            (200, 7100),
            (999, 7210),
        ];
        for (told, live) in echoes {
            assert_eq!(flow.echo(told), Some(live), "{told}");
        }
    }
}
