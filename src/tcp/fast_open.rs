//! TCP Fast Open (RFC 7413): text on a SYN, and its answer before the handshake is over.
//!
//! *Owns* the option's bytes, what an active open's SYN asks for and carries, and how a passive one begins with
//! text. *Does not* make, keep or judge cookies: the stack does, for they are a host's.
//! Invariant: text on a SYN is unsent until the answer acknowledges it. What it does not acknowledge leaves at once, as
//! if for the first time; no record, no timer and no window knew of it.

use core::num::NonZeroU16;

use crate::base::Instant;

use super::connection::{Connection, Setup};
use super::header::Header;
use super::opening::Opening;
use super::options::{FAST_OPEN, NOP, TcpOption};
use super::path_size::PathMss;
use super::plan::{Plan, What};
use super::records::{Mark, Record};
use super::segment::{Marks, Segment};
use super::seq::SeqNum;
use super::state::State;

// Of a header: options and all (RFC 9293 §3.1).
const LONGEST_HEADER: usize = 60;
// RFC 7413 §4.1.1.
const LONGEST_COOKIE: usize = 16;

/// A cookie: 4 to 16 bytes, an even number (RFC 7413 §4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FastCookie {
    bytes: [u8; LONGEST_COOKIE],
    len: u8,
}

impl FastCookie {
    /// `None` when it cannot be of this length.
    pub(crate) fn new(cookie: &[u8]) -> Option<Self> {
        let len = u8::try_from(cookie.len()).ok()?;
        if !len.is_multiple_of(2) || !(4..=16).contains(&len) {
            return None;
        }
        let mut bytes = [0; LONGEST_COOKIE];
        bytes[..cookie.len()].copy_from_slice(cookie);
        Some(Self { bytes, len })
    }

    /// One of eight bytes.
    pub(crate) fn of_eight(cookie: [u8; 8]) -> Self {
        let mut bytes = [0; LONGEST_COOKIE];
        bytes[..8].copy_from_slice(&cookie);
        Self { bytes, len: 8 }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What the option of a SYN says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FastWord {
    /// It has no cookie: one is asked for.
    Request,
    Cookie(FastCookie),
}

impl FastWord {
    /// The option of a segment that was found to be one, if it has it.
    pub(crate) fn of(segment: &[u8]) -> Option<Self> {
        let (header, _) = Header::parse(segment).ok()?;
        header.options().find_map(|option| match option {
            TcpOption::FastOpen([]) => Some(Self::Request),
            TcpOption::FastOpen(cookie) => FastCookie::new(cookie).map(Self::Cookie),
            _ => None,
        })
    }

    fn cookie(&self) -> &[u8] {
        match self {
            Self::Request => &[],
            Self::Cookie(cookie) => cookie.as_bytes(),
        }
    }

    /// Bytes that the option takes, with the NOPs behind it.
    fn len(&self) -> usize {
        (2 + self.cookie().len()).next_multiple_of(4)
    }

    /// Appends it to a header of `len` bytes; returns how long that is then. Where there is no room it is left out.
    pub(crate) fn append(&self, header: &mut [u8], len: usize) -> usize {
        let cookie = self.cookie();
        let end = len + self.len();
        let (Some(room), Ok(size), Ok(words)) = (
            header.get_mut(len..end),
            u8::try_from(2 + cookie.len()),
            u8::try_from(end / 4),
        ) else {
            return len;
        };
        if end > LONGEST_HEADER {
            return len;
        }
        room.fill(NOP);
        room[..2].copy_from_slice(&[FAST_OPEN, size]);
        room[2..2 + cookie.len()].copy_from_slice(cookie);
        // The data offset, above the first of the flags.
        header[12] = words << 4 | header[12] & 0xf;
        end
    }
}

/// A connection's part in it, until the handshake is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FastOpen {
    Active {
        word: FastWord,
        /// The largest segment that the server took when it gave the cookie, options included.
        mss: u16,
        /// Text that left on the first SYN.
        text: u16,
        /// The path turned out to be too narrow for that.
        too_big: bool,
    },
    /// Its peer's SYN had text, which was taken.
    Passive,
}

/// What an active open tried by the time its SYN is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FastTry {
    /// A cookie was asked for.
    pub(crate) request: bool,
    /// Text on the SYN.
    pub(crate) text: u16,
    /// The SYN had to be sent again, and was not just too large for the path.
    pub(crate) again: bool,
}

impl Connection {
    // --- active open ----------------------------------------------------------------------

    /// The SYN asks for a cookie, or has one and text, of which a segment held `mss` bytes with its options.
    pub(crate) fn try_fast_open(&mut self, word: FastWord, mss: u16) {
        self.rare.set_fast(Some(FastOpen::Active {
            word,
            mss,
            text: 0,
            too_big: false,
        }));
    }

    /// What was tried, of a connection whose SYN is out.
    pub(crate) fn fast_try(&self) -> Option<FastTry> {
        match self.rare.fast() {
            Some(FastOpen::Active {
                word,
                text,
                too_big,
                ..
            }) if self.state == State::SynSent => Some(FastTry {
                request: word == FastWord::Request,
                text,
                again: self.retries > 0 && !too_big,
            }),
            _ => None,
        }
    }

    /// Bytes of the first SYN that no record tells of: its option, and its text.
    pub(crate) fn fast_len(&self) -> usize {
        match self.rare.fast() {
            Some(FastOpen::Active { word, text, .. }) => word.len() + usize::from(text),
            _ => 0,
        }
    }

    /// The path has become narrower: the SYN that is out may have been too large, which is no fault of the server's.
    pub(super) fn note_fast_too_big(&mut self) {
        if let Some(FastOpen::Active {
            word, mss, text, ..
        }) = self.rare.fast()
        {
            self.rare.set_fast(Some(FastOpen::Active {
                word,
                mss,
                text,
                too_big: text > 0,
            }));
        }
    }

    /// The first SYN with what it may carry beside: text that fits one segment (RFC 7413 §4.2.1). Not urgent data, which is
    /// told of from the first segment on (RFC 9293 §3.8.5), and servers look for that behind the SYN.
    pub(super) fn with_fast_text(&self, plan: Plan) -> Plan {
        let Some(FastOpen::Active { word, mss, .. }) = self.rare.fast() else {
            return plan;
        };
        if plan.what != What::Syn || word == FastWord::Request || self.sends_urgent() {
            return plan;
        }
        let own = self.setup.advertised_mss().min(self.path.mss());
        let options = u16::try_from(plan.options.len() + word.len()).unwrap_or(u16::MAX);
        let room = own.min(mss).saturating_sub(options);
        let text = self.snd.unsent().min(room.into());
        let whole = u16::try_from(text).ok().and_then(NonZeroU16::new);
        Plan {
            text,
            // One segment, whatever is assumed of a peer that has told nothing.
            size: whole.map_or(plan.size, |whole| whole.max(plan.size)),
            ..plan
        }
    }

    /// The header of our SYN with its option, if it has one.
    #[cold]
    pub(super) fn append_fast_option(&self, plan: &Plan, header: &mut [u8], len: usize) -> usize {
        match self.rare.fast() {
            Some(FastOpen::Active { word, .. }) if plan.what == What::Syn => {
                word.append(header, len)
            }
            // RFC 7413 §4.1.3: what drops it is not asked again.
            _ => len,
        }
    }

    /// The first SYN left, with this text.
    pub(super) fn note_fast_text(&mut self, left: u32) {
        if let Some(FastOpen::Active {
            word, mss, too_big, ..
        }) = self.rare.fast()
        {
            self.rare.set_fast(Some(FastOpen::Active {
                word,
                mss,
                text: u16::try_from(left).unwrap_or(0),
                too_big,
            }));
        }
    }

    /// Does an ACK answer our SYN, and no more than what that carried?
    pub(super) fn answers_syn(&self, ack: SeqNum) -> bool {
        let text = match self.rare.fast() {
            Some(FastOpen::Active { text, .. }) => text,
            _ => 0,
        };
        !ack.before(self.snd.nxt) && !ack.after(self.snd.nxt + u32::from(text))
    }

    /// The SYN is answered: what of its text is acknowledged was sent with it (RFC 7413 §4.2.1).
    pub(super) fn take_fast_answer(&mut self, ack: SeqNum) {
        let len = ack.past(self.snd.nxt);
        self.rare.set_fast(None);
        let Some(syn) = self.scoreboard.first().copied().filter(|_| len > 0) else {
            return;
        };
        self.scoreboard.push(Record {
            seq: self.snd.nxt,
            len,
            syn: false,
            fin: false,
            mark: Mark::InFlight,
            segs: 1,
            ..syn
        });
        self.snd.nxt = self.snd.nxt + len;
    }

    // --- passive open ---------------------------------------------------------------------

    /// A passive OPEN by a SYN whose cookie is right: it answers by itself, and takes the text at once.
    pub(crate) fn accept_fast(
        now: Instant,
        setup: Setup,
        said: PathMss,
        (opening, seg): (&Opening, &Segment),
    ) -> Self {
        let mut this = Self::accept(now, setup, said, opening);
        this.snd.nxt = this.snd.iss;
        this.snd.start_window(seg, false);
        this.rare.set_fast(Some(FastOpen::Passive));
        this
    }

    /// A passive OPEN by a SYN that was held: it answers by itself too, and sends nothing else before the handshake is over.
    pub(crate) fn accept_held(
        now: Instant,
        setup: Setup,
        said: PathMss,
        opening: &Opening,
    ) -> Self {
        let mut this = Self::accept(now, setup, said, opening);
        this.snd.nxt = this.snd.iss;
        this
    }

    /// Takes the text of that SYN in.
    pub(crate) fn take_fast_text(&mut self, now: Instant, seg: &Segment) {
        if seg.marks.contains(Marks::URG) {
            self.hear_urgent(seg);
        }
        let before = self.rcv.nxt;
        let arrived = self.rcv.take(seg);
        self.stats.segs_in += 1;
        self.stats.bytes_received += u64::from(self.rcv.nxt.past(before));
        if arrived.readable {
            self.signal_readable();
        }
        self.signal_writable();
        self.arm_timers(now);
    }

    /// Does its text leave before the handshake is over (RFC 7413 §4.2.2)? Its FIN waits for that.
    pub(super) fn answers_early(&self) -> bool {
        self.state == State::SynRcvd && self.is_fast()
    }

    /// Was it opened by a SYN with text, and its peer has not been heard of again?
    pub(crate) fn is_fast(&self) -> bool {
        self.rare.fast() == Some(FastOpen::Passive)
    }

    /// The handshake is over.
    pub(super) fn end_fast_open(&mut self) {
        self.rare.set_fast(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::{Fields, Flags, Options};

    fn cookies() -> impl Iterator<Item = FastCookie> {
        let all = [7_u8; 20];
        (0..20).filter_map(move |len| FastCookie::new(&all[..len]))
    }

    #[test]
    fn cookies_have_4_to_16_bytes_an_even_number() {
        let lengths: Vec<usize> = cookies().map(|c| c.as_bytes().len()).collect();
        assert_eq!(lengths, [4, 6, 8, 10, 12, 14, 16]);
    }

    /// Beside the options of any SYN of ours, and nowhere else.
    #[test]
    fn what_is_appended_is_read_again() {
        let full = Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some((1, 2)),
            ..Options::NONE
        };
        let words = cookies().map(FastWord::Cookie).chain([FastWord::Request]);
        for word in words {
            for options in [Options::NONE, full] {
                let mut header = [0xee; 60];
                let fields = Fields {
                    flags: Flags::SYN | Flags::AE,
                    ..Fields::default()
                };
                let len = fields.emit(&options, &mut header);
                let end = word.append(&mut header, len);
                let (read, text) = Header::parse(&header).unwrap();
                assert_eq!((read.len(), text.len()), (end, 60 - end));
                assert_eq!(FastWord::of(&header), Some(word));
                assert_eq!(read.flags(), fields.flags);
                assert_eq!(Options::parse(read.options_bytes()), options);
                // There is no room for another one of the longest.
                let longest = FastWord::Cookie(cookies().last().unwrap());
                let mut header = [0; 60];
                header[12] = 15 << 4;
                assert_eq!(longest.append(&mut header, 60), 60);
                assert_eq!(header[12], 15 << 4);
            }
        }
        assert_eq!(FastWord::of(&[0; 10]), None);
    }
}
