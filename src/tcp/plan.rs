//! What leaves next (RFC 8985 §6, §7.3, RFC 5681 §2).
//!
//! *Owns* the choice: SYN, then a probe of the tail, then what was lost, then a probe of the window, then new text, then a bare ACK; or none of
//! them, and what for (`gate` says whether text may leave).
//! *Does not* touch bytes: a [`Plan`] holds sequence numbers, and until `commit` nothing changed,
//! so a device that refuses a frame costs nothing (r29).

use core::num::NonZeroU16;

use crate::base::Instant;

use super::connection::Connection;
use super::gate::SendLimit;
use super::header::Flags;
use super::options::Options;
use super::records::Place;
use super::rtt::timestamp;
use super::sack_blocks::SackBlocks;
use super::send::Fin;
use super::seq::SeqNum;
use super::state::State;
use super::timers::Timer;

// RFC 9293 §3.1: the header without options.
const HEADER_LEN: u32 = 20;
// RFC 9293 §3.1: what the data offset leaves for options.
const MOST_OPTIONS: usize = 40;
// r13: options give way until this much text fits a segment.
const MIN_TEXT: u32 = 8;

/// What a plan sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The SYN, for the first time.
    Syn,
    /// The front of a record, again.
    Again {
        /// Where it stands in the scoreboard.
        place: Place,
    },
    /// Text that was never sent, the FIN behind it included when flagged.
    New,
    /// A byte that proves the connection alive (RFC 9293 §3.8.4).
    KeepAlive,
    /// Nothing but an ACK.
    Ack,
}

/// A segment or super-segment to send, by its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) what: What,
    pub(crate) seq: SeqNum,
    /// Text bytes.
    pub(crate) text: u32,
    pub(crate) flags: Flags,
    /// May a router mark it in place of a drop (RFC 3168 §5's ECT)?
    pub(crate) ect: bool,
    pub(crate) options: Options,
    /// Text bytes of each wire segment.
    pub(crate) size: NonZeroU16,
    pub(crate) window: u16,
    /// The right edge that the window promises.
    pub(crate) edge: SeqNum,
    /// SEG.UP, with URG; else 0.
    pub(crate) urgent: u16,
}

impl Plan {
    /// Sequence numbers taken.
    pub(crate) fn len(&self) -> u32 {
        let takes_one = |control| u32::from(self.flags.contains(control));
        self.text + takes_one(Flags::SYN) + takes_one(Flags::FIN)
    }

    /// Wire segments, one at least.
    pub(crate) fn segs(&self) -> u32 {
        match self.segment() {
            None => 1,
            Some(size) => self.text.div_ceil(size.get().into()),
        }
    }

    /// Bytes of options in each of them.
    pub(crate) fn option_bytes(&self) -> u8 {
        u8::try_from(self.options.len()).unwrap_or(u8::MAX)
    }

    /// Does the frame hold more than one wire segment?
    pub(crate) fn segment(&self) -> Option<NonZeroU16> {
        (self.text > u32::from(self.size.get())).then_some(self.size)
    }
}

/// The bounds of one frame of text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Text bytes of a wire segment.
    pub(super) size: u32,
    /// Text bytes of the largest super-segment, a multiple of `size`.
    pub(super) most: u32,
}

/// What one frame may hold at most; but one segment may always leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameLimit {
    /// Bytes of TCP header and text.
    pub(crate) bytes: u32,
    /// Segments of the wire.
    pub(crate) segments: u32,
}

impl Connection {
    /// The next segment to send, or why there is none, and then what changes that is noted and armed.
    /// `most` bounds one frame.
    pub(crate) fn next_segment(
        &mut self,
        now: Instant,
        most: FrameLimit,
    ) -> Result<Plan, SendLimit> {
        let planned = self.plan(now, most);
        if let Err(limit) = planned {
            self.note_stop(limit);
            if limit != SendLimit::Pacing {
                self.arm_persist(now);
            } else if let Some(at) = self.departure_wait(now) {
                self.timers.arm(Timer::Pacing, at);
            }
            self.arm_timers(now);
        }
        planned
    }

    /// What to send now, or why nothing: what is written since, an ACK or a timer changes that.
    fn plan(&mut self, now: Instant, most: FrameLimit) -> Result<Plan, SendLimit> {
        match self.state {
            State::Closed | State::Listen => return Err(SendLimit::Nothing),
            State::SynSent | State::SynRcvd if self.snd.nxt == self.snd.iss => {
                return Ok(self.with_fast_text(self.plan_syn(now, What::Syn)));
            }
            _ => {}
        }
        if self.is_at_rest() {
            return Err(SendLimit::Nothing);
        }
        self.restart_after_idle(now);
        let options = self.options(now);
        let frame = self.frame(&options, self.frame_limit(most));
        if self.rcv.owes_duplicate() {
            // RFC 5681 §2 (b): on text it would be none, and the sender counts them now.
            return self.plan_ack(&options).ok_or(self.gate.last);
        }
        match self.plan_text(now, &options, frame) {
            Err(limit) => self.plan_ack(&options).ok_or(limit),
            planned => planned,
        }
    }

    /// Is there nothing to send, whatever the windows say? So ends the turn of all who just sent what they
    /// had: no segment is made up to learn it. A test of a time-out that stands still is none.
    fn is_at_rest(&self) -> bool {
        !self.waits_to_send()
            && self.scoreboard.lost() == 0
            && !self.owes_ack()
            && !self.recovery.tlp.is_due()
            && !self.keepalive_due
            && self.frto_point().is_none()
    }

    /// Everything that is no bare ACK, in the order of what is urgent.
    fn plan_text(
        &mut self,
        now: Instant,
        options: &Options,
        frame: Frame,
    ) -> Result<Plan, SendLimit> {
        if let Some(plan) = self.plan_tail_probe(options, frame) {
            return Ok(plan);
        }
        // Text waits for its time, whether it leaves for the first time or again.
        let held = self.departure_wait(now).is_some();
        match self.plan_frto(now, options, frame)? {
            Some(_) if held => return Err(SendLimit::Pacing),
            Some(plan) => return Ok(plan),
            None => {}
        }
        let again = match self.plan_again(now, options, frame) {
            Ok(_) if held => SendLimit::Pacing,
            Ok(plan) => return Ok(plan),
            Err(limit) => limit,
        };
        if let Some(plan) = self.plan_probe(options, frame) {
            return Ok(plan);
        }
        if let Some(plan) = self.plan_keepalive(options) {
            return Ok(plan);
        }
        match self.plan_new(now, options, frame) {
            Ok(plan) if held && plan.text > 0 => Err(SendLimit::Pacing),
            Err(new) => Err(again.or(new)),
            planned => planned,
        }
    }

    fn plan_syn(&self, now: Instant, what: What) -> Plan {
        let acks = self.state == State::SynRcvd;
        let asked = &self.setup.options;
        let ecr = if acks {
            self.rcv.ts_recent()
        } else {
            asked.timestamps.then_some(0)
        };
        let scales = if acks {
            self.scaling
        } else {
            asked.window_scaling
        };
        let options = Options {
            mss: Some(self.setup.advertised_mss()),
            // RFC 7323 §2.2, RFC 2018 §2: a SYN-ACK offers only what the SYN did.
            window_scale: scales.then_some(self.rcv.scale.shift()),
            sack_permitted: if acks { self.sack } else { asked.sack },
            timestamps: ecr.map(|ecr| (timestamp(now, self.setup.ts_offset), ecr)),
            ..Options::NONE
        };
        let (window, edge) = if acks {
            self.rcv.advertise_unscaled()
        } else {
            let window = self.rcv.own_syn_window();
            (window, self.rcv.nxt + u32::from(window))
        };
        Plan {
            what,
            seq: self.snd.iss,
            text: 0,
            flags: self.ecn_of_syn(what)
                | if acks {
                    Flags::SYN | Flags::ACK
                } else {
                    Flags::SYN
                },
            ect: false,
            options,
            size: self.wire_size(options.len()),
            window,
            edge,
            urgent: 0,
        }
    }

    /// The options of a segment without SYN.
    fn options(&self, now: Instant) -> Options {
        Options {
            timestamps: self.timestamps.then(|| {
                (
                    timestamp(now, self.setup.ts_offset),
                    self.rcv.ts_recent().unwrap_or(0),
                )
            }),
            sack: self.rcv.report(self.sack_room()).blocks,
            ..Options::NONE
        }
    }

    /// How many SACK blocks a segment has room for.
    pub(super) fn sack_room(&self) -> usize {
        // On the smallest MTUs three blocks make an ACK that never arrives.
        let most = usize::from(self.path.mss()).min(MOST_OPTIONS);
        let stamp = if self.timestamps { 12 } else { 0 };
        most.saturating_sub(stamp + 4) / 8
    }

    /// Text bytes of a segment beside options of this length.
    fn wire_size(&self, options_len: usize) -> NonZeroU16 {
        let options = u16::try_from(options_len).unwrap_or(u16::MAX);
        NonZeroU16::new(self.send_mss().saturating_sub(options)).unwrap_or(NonZeroU16::MIN)
    }

    /// The same beside the options that every segment has.
    pub(super) fn wire_size_of_text(&self) -> NonZeroU16 {
        self.wire_size(if self.timestamps { 12 } else { 0 })
    }

    fn frame(&self, options: &Options, most: FrameLimit) -> Frame {
        let mut len = options.len();
        if self.leaves_too_little(len) {
            len = options.len_without_sack();
        }
        let size = u32::from(self.wire_size(len).get());
        let room = most
            .bytes
            .saturating_sub(HEADER_LEN + u32::try_from(len).unwrap_or(40))
            .min(self.pacer.quantum());
        Frame {
            size,
            most: (room / size).min(most.segments).max(1) * size,
        }
    }

    /// Would little else fit beside options of this length? Then SACK blocks give way to text.
    fn leaves_too_little(&self, options_len: usize) -> bool {
        u32::from(self.wire_size(options_len).get()) < MIN_TEXT
    }

    pub(super) fn segment(
        &self,
        what: What,
        seq: SeqNum,
        text: u32,
        flags: Flags,
        options: &Options,
    ) -> Plan {
        let len = options.len();
        if text > 0 && !options.sack.is_empty() && self.leaves_too_little(len) {
            let sack = SackBlocks::NONE;
            return self.segment(what, seq, text, flags, &Options { sack, ..*options });
        }
        let (window, edge) = self.rcv.advertise();
        let (more, urgent) = self.rarely_said(seq);
        Plan {
            what,
            seq,
            text,
            flags: flags | Flags::ACK | more,
            ect: false,
            options: *options,
            size: self.wire_size(len),
            window,
            edge,
            urgent,
        }
    }

    /// What few connections have to say beside: flags, and SEG.UP.
    #[inline]
    fn rarely_said(&self, seq: SeqNum) -> (Flags, u16) {
        if self.rare.is_none() {
            return (Flags::empty(), 0);
        }
        let (urg, up) = self.urgent_words(seq);
        (self.ecn_echo() | urg, up)
    }

    // --- what was lost --------------------------------------------------------------------

    fn plan_again(
        &mut self,
        now: Instant,
        options: &Options,
        frame: Frame,
    ) -> Result<Plan, SendLimit> {
        let place = self.scoreboard.next_lost().ok_or(SendLimit::Nothing)?;
        self.plan_record(now, place, options, frame)
    }

    fn plan_record(
        &self,
        now: Instant,
        place: Place,
        options: &Options,
        frame: Frame,
    ) -> Result<Plan, SendLimit> {
        let record = *self.scoreboard.get(place).ok_or(SendLimit::Nothing)?;
        if record.syn {
            return Ok(self.plan_syn(now, What::Again { place }));
        }
        // RFC 9293 §3.8.6 SHLD-16: up to the window's edge; the first one is the probe beyond it.
        let window_end = self.snd.una + self.snd.wnd;
        let in_window = window_end.past(record.seq);
        let beyond = record.end().after(window_end);
        let frame = if place.is_front() {
            self.frame_of_front(options.len(), frame)
        } else {
            frame
        };
        let may_probe = place.is_front() && self.recovery.force_first;
        if beyond && !may_probe && in_window.min(record.text_len()) == 0 {
            return Err(SendLimit::ReceiveWindow);
        }
        let head = record.text_len().min(frame.size);
        let room = self.cwnd_room();
        let forced = self.recovery.force_first || self.scoreboard.pipe() == 0;
        let text = match room / frame.size {
            _ if room >= record.text_len() => record.text_len().min(frame.most),
            0 if forced => head,
            0 => return Err(self.flight_limit()),
            segs => (segs * frame.size).min(frame.most),
        };
        let text = if place.is_front() {
            text.min(in_window.max(head))
        } else {
            text.min(in_window)
        };
        let whole = text == record.text_len();
        let fin = if record.fin && whole && (place.is_front() || !beyond) {
            Flags::FIN
        } else {
            Flags::empty()
        };
        // MUST-61: PSH on what ends the buffer, sent again or not.
        let ends_all = record.end() == self.snd.nxt && self.snd.unsent() == 0;
        let push = if text > 0 && whole && ends_all {
            Flags::PSH
        } else {
            Flags::empty()
        };
        Ok(self.segment(What::Again { place }, record.seq, text, fin | push, options))
    }

    // --- probes ---------------------------------------------------------------------------

    /// RFC 9293 §3.8.4 SHLD-12: no text, SEG.SEQ = SND.NXT - 1.
    fn plan_keepalive(&self, options: &Options) -> Option<Plan> {
        let due = self.keepalive_due && !self.snd.is_outstanding();
        due.then(|| {
            self.segment(
                What::KeepAlive,
                self.snd.nxt - 1,
                0,
                Flags::empty(),
                options,
            )
        })
    }

    // --- new text -------------------------------------------------------------------------

    pub(super) fn plan_new(
        &self,
        now: Instant,
        options: &Options,
        frame: Frame,
    ) -> Result<Plan, SendLimit> {
        if !self.waits_to_send() {
            return Err(SendLimit::Nothing);
        }
        if let Some(probe) = self.plan_size_probe(now, options, frame)? {
            return Ok(probe);
        }
        let unsent = self.snd.unsent();
        let fin_waits = self.snd.fin == Fin::Queued && self.state.sends_text();
        let text = self.sendable(now, unsent, frame)?;
        // The FIN takes a number of its own from the window; cwnd counts text.
        let fin = fin_waits && text == unsent && self.snd.usable() > text;
        if text == 0 && !fin {
            return Err(SendLimit::ReceiveWindow);
        }
        let mut flags = if fin { Flags::FIN } else { Flags::empty() };
        if text > 0 && text == unsent {
            // RFC 9293 §3.9.1.2 MUST-61: PSH on the last buffered segment.
            flags |= Flags::PSH;
        }
        Ok(self.new_text(text, flags, options))
    }

    /// Text that never left, and is no probe of a window.
    pub(super) fn new_text(&self, text: u32, flags: Flags, options: &Options) -> Plan {
        let (ect, cwr) = if text > 0 {
            self.ecn_of_text()
        } else {
            (false, Flags::empty())
        };
        let mut plan = self.segment(What::New, self.snd.nxt, text, flags | cwr, options);
        plan.ect = ect;
        plan
    }

    // --- ACK ------------------------------------------------------------------------------

    fn plan_ack(&self, options: &Options) -> Option<Plan> {
        self.owes_ack()
            .then(|| self.segment(What::Ack, self.snd.acceptable(), 0, Flags::empty(), options))
    }
}
