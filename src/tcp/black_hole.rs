//! Paths that drop what is too large and say nothing: found by what a smaller segment shows (RFC 4821 §7.7, RFC 2923 §2.1).
//!
//! *Owns* what a time-out makes of that. *Does not* retransmit, nor know sizes: `plan` and `path_size` do.
//!
//! That segments are lost is no sign: so are they on a dead path, whatever their size. After some time-outs in a row one of
//! what is at the front leaves again in part only. When that gets through, and the next time-out is one of a larger segment that left with it
//! or later, their size is why. An outage ends with either, and the next full segment that arrives ends the doubt.

use crate::base::Instant;

use super::connection::Connection;
use super::path_size::MtuProbing;
use super::plan::Frame;
use super::recovery::Frto;

impl Connection {
    /// A time-out that no window is the reason of: is the size?
    pub(super) fn look_for_black_hole(&mut self, now: Instant) {
        if self.setup.options.mtu_probing == MtuProbing::Off || !self.state.is_synchronized() {
            return;
        }
        let Some(front) = self.scoreboard.first() else {
            return;
        };
        let left = (front.wire_size(), front.stamp.sent_at);
        let steps = &self.setup.steps;
        if let Some(sizes) = self.path.on_time_out(self.retries, left, steps) {
            self.fall_back(now, sizes);
        }
    }

    /// What is out in larger segments leaves again in smaller ones. The window is what the time-out made it.
    fn fall_back(&mut self, now: Instant, sizes: (u16, u16)) {
        let before = self.smss();
        self.path.fall_back(now, sizes);
        // It was none for nothing.
        self.recovery.frto = Frto::Off;
        self.cut_anew();
        self.stats.black_holes += 1;
        self.tell_mtu(now, before);
    }

    /// What is at the front leaves again: all of it, or the part that is to show whether a smaller one gets through.
    pub(super) fn frame_of_front(&self, options_len: usize, frame: Frame) -> Frame {
        let Some(size) = self.path.trial() else {
            return frame;
        };
        let options = u16::try_from(options_len).unwrap_or(u16::MAX);
        let size = u32::from(size.saturating_sub(options).max(1)).min(frame.size);
        Frame { size, most: size }
    }
}
