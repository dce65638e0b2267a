//! What the receiving side owes the sender: ACKs, SACK blocks, and a window that opens by
//! worthwhile steps (RFC 9293 §3.8.6.2.2 and §3.8.6.3, RFC 2018 §4, RFC 7323 §2.4).
//!
//! *Owns* what goes into the next ACK. *Does not* take text in: `receive` does.

use super::receive::{AckDue, Receive};
use super::sack_blocks::SackBlocks;
use super::seq::SeqNum;

/// What one ACK tells beside RCV.NXT.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) blocks: SackBlocks,
    /// Of the runs that changed it tells so many.
    runs: usize,
}

/// What an ACK that left had with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carried {
    /// Nothing: a duplicate, for the sender who counts them, with room for so many SACK blocks.
    Nothing { room: usize },
    /// Text or a control, with so many SACK blocks.
    Text { blocks: usize },
}

impl Receive {
    pub(crate) fn ack_now(&mut self) {
        self.ack = AckDue::Now;
    }

    /// Is an ACK due in this turn? RFC 9293 §3.8.6.3 SHLD-19: at least for every second full
    /// segment.
    pub(crate) fn wants_ack(&self, delayed: bool) -> bool {
        match self.ack {
            AckDue::Now => true,
            AckDue::No => self.owes_more(),
            AckDue::Delayed => !delayed || self.unacked >= 2 * self.segment || self.owes_more(),
        }
    }

    /// Is a duplicate ACK due, which rides on nothing?
    pub(crate) fn owes_duplicate(&self) -> bool {
        self.owed.duplicates()
    }

    /// Is something owed that the last ACK could not tell?
    fn owes_more(&self) -> bool {
        let reports = self.assembler.untold() > 0 || self.owed.dsack().is_some();
        self.owed.duplicates() || (self.owed.takes_sack() && reports)
    }

    /// Is an ACK owed? The duty passes to the caller.
    pub(crate) fn take_owed_ack(&mut self) -> bool {
        core::mem::replace(&mut self.ack, AckDue::No) != AckDue::No
    }

    /// Is an ACK owed, now or later?
    pub(crate) fn ack_is_owed(&self) -> bool {
        self.ack != AckDue::No
    }

    pub(crate) fn ack_is_delayed(&self) -> bool {
        self.ack == AckDue::Delayed
    }

    /// What an ACK with room for so many SACK blocks tells: a duplicate first, then the run that holds
    /// it, then what changed last (RFC 2883 §4, RFC 2018 §4).
    pub(crate) fn report(&self, room: usize) -> Report {
        let mut report = Report::default();
        let nothing = self.assembler.is_empty() && self.owed.dsack().is_none();
        if nothing || !self.owed.takes_sack() || room == 0 {
            return report;
        }
        let blocks = &mut report.blocks;
        // RCV.NXT is the number of `offset`, but for a FIN: behind one nothing is held.
        let seq = |offset: u64| {
            let ahead = u32::try_from(offset - self.offset).unwrap_or(u32::MAX);
            (self.nxt + ahead).get()
        };
        let mut holder = None;
        if let Some((left, right)) = self.owed.dsack() {
            blocks.push(left.get(), right.get());
            if room > 1 && !left.before(self.nxt) {
                let offset = self.offset + u64::from(left.past(self.nxt));
                holder = self.assembler.run_with(offset);
            }
        }
        if let Some((left, right)) = holder {
            blocks.push(seq(left), seq(right));
        }
        let (left, untold) = (room - blocks.len(), self.assembler.untold());
        // The holder takes no second place, and is told.
        let mut oldest = self.assembler.blocks(left + 1).take(untold.min(left + 1));
        let runs = left + usize::from(oldest.any(|run| Some(run) == holder));
        for run in self.assembler.blocks(runs) {
            if blocks.len() == room {
                break;
            }
            if Some(run) != holder {
                blocks.push(seq(run.0), seq(run.1));
            }
        }
        report.runs = runs.min(untold);
        report
    }

    /// The window field for the next segment, and the right edge that it promises.
    ///
    /// RFC 9293 §3.8.6.2.2 MUST-39: the edge moves by worthwhile steps only.
    pub(crate) fn advertise(&self) -> (u16, SeqNum) {
        let free = self.free();
        let current = self.wnd();
        let step = self.worthwhile();
        let opened = self.scale.wire(free);
        let wire = if free >= current.saturating_add(step) && self.scale.bytes(opened) >= current {
            opened
        } else {
            self.keep_edge(current)
        };
        (wire, self.edge.later(self.nxt + self.scale.bytes(wire)))
    }

    /// The same for a SYN-ACK, whose window is not scaled (RFC 7323 §2.2): text that came with the SYN takes its part until it is
    /// read, and a limit that was lowered since takes nothing back (r08).
    pub(crate) fn advertise_unscaled(&self) -> (u16, SeqNum) {
        let window = u16::try_from(self.free().max(self.wnd())).unwrap_or(u16::MAX);
        (window, self.edge.later(self.nxt + u32::from(window)))
    }

    /// The window field that leaves the edge where it is: rounded up (r08).
    ///
    /// Each rounding may add up to a unit, and a peer that sends slivers would never see the
    /// window close: a quarter beyond the limit it is rounded down instead, as RFC 7323 §2.4
    /// allows. The bytes so lost from sight stay acceptable.
    fn keep_edge(&self, current: u32) -> u16 {
        let unit = 1u32 << self.scale.shift();
        // By shifts: the unit is a power of two, which a division does not know.
        let down = current >> self.scale.shift();
        let up = down + u32::from(down << self.scale.shift() != current);
        let promised = self.queue.len() + usize::try_from(up * unit).unwrap_or(usize::MAX);
        let limit = self.promise();
        let most = limit + (limit / 4).max(usize::try_from(unit).unwrap_or(0));
        let wire = if promised <= most { up } else { down };
        u16::try_from(wire).unwrap_or(u16::MAX)
    }

    /// An ACK left, with what `advertise` and `report` gave.
    pub(crate) fn on_ack_sent(&mut self, told: u32, edge: SeqNum, carried: Carried) {
        let opened = edge.after(self.edge);
        self.edge = self.edge.later(edge);
        self.told = self.nxt + told;
        self.last_ack_sent = self.nxt;
        self.ack = AckDue::No;
        self.unacked = 0;
        if self.owes_more() {
            self.on_report_sent(opened, carried);
        }
    }

    /// Takes off what the ACK told of what is owed.
    fn on_report_sent(&mut self, opened: bool, carried: Carried) {
        let told = match carried {
            Carried::Text { blocks: 0 } => return,
            Carried::Text { blocks } => self.report(blocks).runs,
            // Where there is no room nothing can ever be told.
            Carried::Nothing { room: 0 } => usize::MAX,
            Carried::Nothing { room } => self.report(room).runs,
        };
        self.assembler.told(told);
        self.owed.told_dsack();
        // RFC 5681 §2 (b) and (e): with text or another window it is no duplicate.
        if matches!(carried, Carried::Nothing { .. }) && !opened {
            self.owed.told_duplicate();
        }
        if self.owes_more() && !self.owed.one_more() {
            // What comes again and again and fills nothing is no news.
            self.assembler.told(usize::MAX);
            self.owed.give_up();
        }
    }

    pub(super) fn worthwhile(&self) -> u32 {
        u32::try_from(self.share() / 2)
            .unwrap_or(u32::MAX)
            .min(self.mss)
            .max(1)
    }
}
