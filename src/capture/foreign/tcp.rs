//! The connections of a capture: their segments into the stack, the captured end's segments to its application.
//!
//! *Owns* which flow a segment belongs to, and the segments that are made up. *Does not* hold the numbers: `flow`
//! does.

use std::collections::VecDeque;

use bytes::Bytes;

use super::engine::Engine;
use super::flow::{self, Flow, Key};
use super::packet::{Body, Captured, Content, Ip, Segment};
use super::report::{BreachKind, Skipped};
use super::rewrite::{self, Refused};
use super::sides::is_station;
use super::tally::Tally;
use crate::base::Instant;
use crate::tcp::{Fields, Flags, Options};

/// The most text that is made up for one acknowledgement; the next goes on from there.
const MOST_MADE: u64 = 1 << 20;

/// Segments of it that are fed at once: what the stack's smallest window takes.
const MADE_AT_ONCE: usize = 16;

/// Text of a segment that is made up.
const MADE_SEGMENT: u64 = 1400;

/// The window scale of a peer whose SYN was not captured: Linux's for its default of 6 MiB (`tcp_rmem[2]`).
const USUAL_SCALE: u8 = 7;

/// How a SYN was answered in the capture.
enum Answer {
    Accepted(Refused),
    Refused,
    /// Both opened at once: with this number and these options (RFC 9293 §3.5, Figure 7).
    Crossed(u32, Options),
    Unknown,
}

impl Engine {
    // --- their segments -------------------------------------------------------------------

    /// Feeds a segment, its numbers mapped.
    ///
    /// # Errors
    /// When there are too many flows, or the stack refused to open its end.
    pub(super) fn feed_tcp(
        &mut self,
        captured: &Captured,
        ip: &Ip,
        segment: &Segment,
        ahead: &VecDeque<Captured>,
    ) -> Result<(), Skipped> {
        let Some((theirs, ours)) = ip.ends() else {
            return Ok(());
        };
        let key = (ours, theirs);
        let mut bytes = captured.packet.whole(ip.len).into_owned();
        let to_group = captured.packet.to_group || !is_station(ip.dst);
        if captured.is_damaged || to_group {
            // Damaged: nobody knows whose it is. To a group: nobody's (RFC 9293 §3.9.2.3 MUST-57).
            self.give(&captured.packet, &bytes);
            return Ok(());
        }
        let mut refuse = Refused::default();
        if opens(segment) {
            match answer(ahead, key, segment) {
                Answer::Accepted(found) => refuse = found,
                Answer::Refused => {
                    let numbers = rewrite::Mapping::default();
                    rewrite::segment(&mut bytes, ip, &numbers, captured.packet.is_cut);
                    return self.feed_refused(captured, &bytes, key);
                }
                Answer::Crossed(told, offered) if !self.flows.contains_key(&key) => {
                    self.connect(key, told, &offered)?;
                }
                Answer::Crossed(..) => {}
                Answer::Unknown => {}
            }
        }
        self.meet_theirs(key, segment)?;
        self.feed_mapped(captured, ip, segment, bytes, refuse);
        Ok(())
    }

    /// Feeds a segment of a flow that was met, or of none.
    fn feed_mapped(
        &mut self,
        captured: &Captured,
        ip: &Ip,
        segment: &Segment,
        mut bytes: Vec<u8>,
        refuse: Refused,
    ) {
        let Some((theirs, ours)) = ip.ends() else {
            return;
        };
        let key = (ours, theirs);
        if let Some(mut flow) = self.flows.remove(&key) {
            let data = &captured.packet.data;
            self.take_theirs(&mut flow, segment, data);
            self.flows.insert(key, flow);
            // What they acknowledge is written first, and so may have been sent.
            self.serve(key);
            self.settle();
        }
        let mapping = match self.flows.get_mut(&key) {
            Some(flow) => flow.map(self.now, segment, refuse),
            None => rewrite::Mapping::default(),
        };
        rewrite::segment(&mut bytes, ip, &mapping, captured.packet.is_cut);
        let mss = self.flows.get(&key).map_or(u64::MAX, Flow::their_segment);
        let merged = (segment.text_len() > mss)
            .then(|| core::num::NonZeroU16::new(u16::try_from(mss).unwrap_or(u16::MAX)))
            .flatten();
        self.give_merged(&captured.packet, &bytes, merged);
        self.settle();
        self.after(key);
    }

    /// Their SYN was refused: nobody listens.
    fn feed_refused(&mut self, captured: &Captured, bytes: &[u8], key: Key) -> Result<(), Skipped> {
        if let Some(id) = self.listeners.remove(&key.0) {
            self.world.stack.tcp_listener_close(self.now, id);
        }
        self.retire(key);
        self.give(&captured.packet, bytes);
        Ok(())
    }

    /// Finds or makes the flow of their segment.
    fn meet_theirs(&mut self, key: Key, segment: &Segment) -> Result<(), Skipped> {
        let fields = &segment.fields;
        let known = self.flows.get(&key);
        if opens(segment) {
            let is_new = known.is_none_or(|flow| flow.their_isn != fields.seq && flow.is_over());
            if is_new {
                self.retire(key);
                self.make_room()?;
                self.listen(key.0)?;
                self.flows.insert(key, Flow::new(fields.seq));
                self.report.flows += 1;
                return Ok(());
            }
        }
        match self.flows.get_mut(&key) {
            Some(flow) => {
                if flow.awaits_answer && fields.flags.contains(Flags::SYN) {
                    flow.begin_theirs(fields.seq);
                }
                Ok(())
            }
            None if fields.flags.contains(Flags::RST) || !fields.flags.contains(Flags::ACK) => {
                Ok(())
            }
            None if fields.flags.contains(Flags::SYN) => {
                // Our SYN was not captured.
                let told = fields.ack.wrapping_sub(1);
                self.connect(key, told, &segment.options)?;
                if let Some(flow) = self.flows.get_mut(&key) {
                    flow.captured.forget_syn();
                    flow.begin_theirs(fields.seq);
                }
                Ok(())
            }
            None => self.adopt(key, fields.seq, fields.ack, &segment.options),
        }
    }

    /// Notes what they sent and acknowledged.
    fn take_theirs(&mut self, flow: &mut Flow, segment: &Segment, data: &Bytes) {
        let place = flow.on_theirs(segment);
        if let Some(at) = place {
            let text = data.slice(segment.text.clone());
            flow.theirs
                .insert(at, &text, segment.missing, &mut self.budget);
            self.report.made_up.bytes += segment.missing;
        }
        if let Some(acked) = flow.acked_by_them(segment) {
            let most = flow.ours.next().saturating_add(MOST_MADE);
            let gaps = flow.ours.fill_to(acked.min(most), &mut self.budget);
            let made: u64 = gaps.iter().map(|gap| gap.end - gap.start).sum();
            self.report.made_up.bytes += made;
        }
    }

    /// After each segment: what is forgotten, and who is over.
    fn after(&mut self, key: Key) {
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        flow.forget(&mut self.budget);
        if flow.is_over() && !flow.is_queued {
            flow.is_queued = true;
            self.queue_over(key);
        }
        self.schedule(key);
    }

    // --- the captured end's segments ------------------------------------------------------

    /// Does what the captured end's application did.
    ///
    /// # Errors
    /// As [`feed_tcp`](Self::feed_tcp).
    pub(super) fn expect_tcp(
        &mut self,
        ip: &Ip,
        segment: &Segment,
        captured: &Captured,
    ) -> Result<(), Skipped> {
        let Some(key) = ip.ends() else {
            return Ok(());
        };
        self.meet_ours(key, segment)?;
        let Some(mut flow) = self.flows.remove(&key) else {
            return Ok(());
        };
        let at = flow.on_ours(segment);
        let acked = flow.acked_by_us(segment);
        let mss = flow.our_segment();
        flow.captured.note(segment, at.unwrap_or(0), acked, mss);
        if let Some(at) = at {
            let text = captured.packet.data.slice(segment.text.clone());
            flow.ours
                .insert(at, &text, segment.missing, &mut self.budget);
            self.report.made_up.bytes += segment.missing;
        }
        let flags = segment.fields.flags;
        if let Some(acked) = acked {
            flow.on_window(segment, acked);
        }
        let most = flow.theirs.next().saturating_add(MOST_MADE);
        let gaps = acked.map(|end| flow.theirs.fill_to(end.min(most), &mut self.budget));
        self.flows.insert(key, flow);
        for gap in gaps.into_iter().flatten() {
            self.feed_zeros(key, gap);
        }
        if flags.contains(Flags::RST) {
            self.abort(key);
        }
        self.serve(key);
        self.settle();
        if let Some(flow) = self.flows.get_mut(&key) {
            flow.note_stamp(segment);
        }
        self.after(key);
        Ok(())
    }

    /// Finds or makes the flow of the captured end's segment.
    fn meet_ours(&mut self, key: Key, segment: &Segment) -> Result<(), Skipped> {
        let fields = &segment.fields;
        let known = self.flows.get(&key);
        if opens(segment) {
            let same = known.is_some_and(|flow| {
                flow.told_isn.is_none_or(|isn| isn == fields.seq) && !flow.is_over()
            });
            if !same {
                self.retire(key);
                self.connect(key, fields.seq, &segment.options)?;
            }
            return Ok(());
        }
        if known.is_some() || fields.flags.contains(Flags::RST) {
            return Ok(());
        }
        if !fields.flags.contains(Flags::ACK) {
            return Ok(());
        }
        // What is seen are the captured end's options: of the others it tells their clock, by its echo.
        let theirs = Options {
            timestamps: segment.options.timestamps.map(|(val, ecr)| (ecr, val)),
            ..Options::NONE
        };
        self.adopt(key, fields.ack, fields.seq, &theirs)?;
        if fields.flags.contains(Flags::SYN)
            && let Some(flow) = self.flows.get_mut(&key)
        {
            flow.captured = Tally::default();
            flow.told_isn = Some(fields.seq);
        }
        Ok(())
    }

    // --- what the capture lacks ------------------------------------------------------------

    /// A connection that was open before the capture began: a handshake is made for it, so that `theirs` is
    /// their next number and `ours` the captured end's.
    fn adopt(&mut self, key: Key, theirs: u32, ours: u32, seen: &Options) -> Result<(), Skipped> {
        self.make_room()?;
        self.listen(key.0)?;
        let mut flow = Flow::new(theirs.wrapping_sub(1));
        flow.told_isn = Some(ours.wrapping_sub(1));
        flow.captured.forget_syn();
        flow.note_their_stamp(seen);
        self.flows.insert(key, flow);
        self.report.flows += 1;
        self.report.made_up.handshakes += 1;
        let mut fields = Fields::default();
        (fields.flags, fields.window) = (Flags::SYN, u16::MAX);
        fields.seq = theirs.wrapping_sub(1);
        let options = Options {
            mss: Some(seen.mss.unwrap_or(1460)),
            window_scale: Some(seen.window_scale.unwrap_or(USUAL_SCALE)),
            sack_permitted: true,
            timestamps: seen.timestamps.map(|(val, _)| (val, 0)),
            ..Options::NONE
        };
        self.give_made(key, fields, &options, 0);
        self.settle();
        let Some(flow) = self.flows.get_mut(&key) else {
            return Ok(());
        };
        let made = flow::Made {
            window: u16::MAX >> USUAL_SCALE,
            ..flow.now_live()
        };
        let (fields, options) = made.fields();
        self.give_made(key, fields, &options, 0);
        self.settle();
        Ok(())
    }

    fn give_made(&mut self, (ours, theirs): Key, fields: Fields, options: &Options, text: usize) {
        if let Some(packet) = rewrite::make(theirs, ours, fields, options, text) {
            self.world.give_ip(self.now, &packet, None);
        }
    }

    /// Text of theirs that the capture lacks and that the captured end acknowledged.
    fn feed_zeros(&mut self, key: Key, gap: core::ops::Range<u64>) {
        let (mut at, mut fed) = (gap.start, 0);
        while at < gap.end {
            let Some(flow) = self.flows.get(&key) else {
                return;
            };
            let (mut fields, options) = flow.now_live().fields();
            fields.seq = flow.their_seq(at);
            let len = MADE_SEGMENT.min(gap.end - at);
            self.give_made(key, fields, &options, usize::try_from(len).unwrap_or(0));
            (at, fed) = (at + len, fed + 1);
            if fed % MADE_AT_ONCE == 0 {
                self.settle();
            }
        }
        self.report.made_up.bytes += gap.end - gap.start;
    }

    // --- what the stack sends -------------------------------------------------------------

    pub(super) fn on_sent_tcp(&mut self, at: Instant, key: Key, segment: &Segment, data: &Bytes) {
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        let place = flow.on_live(at, segment);
        let acked = flow.acked_live(segment);
        let mss = flow.our_segment();
        flow.live.note(segment, place.unwrap_or(0), acked, mss);
        let text = data.get(segment.text.clone()).unwrap_or_default();
        let wrong = place.and_then(|place| flow.ours.check(place, text).err());
        if let Some(wrong) = wrong {
            self.breach(BreachKind::Sent, format!("{} {wrong:?}", flow::show(key)));
        }
        self.schedule(key);
    }

    /// Their acknowledgement of what the stack sent later than the captured end did.
    fn schedule(&mut self, key: Key) {
        let now = self.now;
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        if flow.ack_due.is_none()
            && let Some(due) = flow.owes_ack(now)
        {
            flow.ack_due = Some(due);
            self.agenda.insert((due, key));
        }
    }

    /// Makes those that are due.
    pub(super) fn make_acks(&mut self) {
        while let Some(&(due, key)) = self.agenda.first()
            && due <= self.now
        {
            self.agenda.remove(&(due, key));
            let Some(flow) = self.flows.get_mut(&key) else {
                continue;
            };
            flow.ack_due = None;
            let Some(made) = flow.make_ack() else {
                continue;
            };
            flow.forget(&mut self.budget);
            let (fields, options) = made.fields();
            self.report.made_up.acks += 1;
            self.give_made(key, fields, &options, 0);
            self.schedule(key);
        }
    }
}

fn opens(segment: &Segment) -> bool {
    let flags = segment.fields.flags;
    flags.contains(Flags::SYN) && !flags.intersects(Flags::ACK | Flags::RST)
}

/// How the captured end answered this SYN, as far as frames were read ahead.
fn answer(ahead: &VecDeque<Captured>, (ours, theirs): Key, syn: &Segment) -> Answer {
    let text = u32::try_from(syn.text_len()).unwrap_or(0);
    let next = syn.fields.seq.wrapping_add(1);
    for captured in ahead {
        let Content::Ip(ip) = &captured.content else {
            continue;
        };
        let Body::Tcp(segment) = &ip.body else {
            continue;
        };
        let fields = &segment.fields;
        let is_answer = fields.flags.contains(Flags::ACK)
            && [next, next.wrapping_add(text)].contains(&fields.ack);
        if ip.ends() != Some((ours, theirs)) {
            continue;
        }
        if opens(segment) {
            return Answer::Crossed(fields.seq, segment.options);
        }
        if !is_answer {
            continue;
        }
        if fields.flags.contains(Flags::RST) {
            return Answer::Refused;
        }
        if fields.flags.contains(Flags::SYN) {
            return Answer::Accepted(Refused {
                window_scale: segment.options.window_scale.is_none(),
                sack: !segment.options.sack_permitted,
                timestamps: segment.options.timestamps.is_none(),
                ecn: !fields.flags.contains(Flags::ECE),
            });
        }
    }
    Answer::Unknown
}
