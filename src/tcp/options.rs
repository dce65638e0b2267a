//! TCP options: read one by one, or as the set that a connection works with.
//!
//! RFC 9293 §3.1, §3.2 (EOL, NOP, MSS); RFC 7323 §2.2, §3.2 (window scale, timestamps); RFC 2018
//! §2, §3 (SACK); RFC 7413 §4.1.1 (fast open). *Owns* the options' form. *Does not* judge them:
//! limits on values are `connection`'s. Invariants: reading is total and takes one step per byte at
//! most; what is emitted never exceeds 40 bytes and is a multiple of 4.

use super::sack_blocks::{SackBlocks, pair};

/// The most bytes that options may take: a data offset of 15 words.
const MAX_LEN: usize = 40;

/// Option kinds, IANA "TCP Option Kind Numbers".
mod kind {
    pub(super) const EOL: u8 = 0;
    pub(super) const NOP: u8 = 1;
    pub(super) const MSS: u8 = 2;
    pub(super) const WINDOW_SCALE: u8 = 3;
    pub(super) const SACK_PERMITTED: u8 = 4;
    pub(super) const SACK: u8 = 5;
    pub(super) const TIMESTAMPS: u8 = 8;
    pub(super) const FAST_OPEN: u8 = 34;
}

pub(super) const NOP: u8 = kind::NOP;
pub(super) const FAST_OPEN: u8 = kind::FAST_OPEN;

/// One TCP option; EOL and NOP are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TcpOption<'a> {
    /// The largest segment text that the sender takes, RFC 9293 §3.7.1.
    Mss(u16),
    /// The shift of the sender's windows, RFC 7323 §2.2.
    WindowScale(u8),
    /// The sender takes SACK options, RFC 2018 §2.
    SackPermitted,
    /// What arrived out of order, RFC 2018 §3.
    Sack(SackBlocks),
    /// TSval and TSecr, RFC 7323 §3.2.
    Timestamps {
        /// The sender's clock.
        val: u32,
        /// The clock value that the sender echoes; it counts only with ACK.
        ecr: u32,
    },
    /// A fast open cookie, empty when one is asked for, RFC 7413 §4.1.1.
    FastOpen(&'a [u8]),
    /// Any other kind, or a known one with a length that it cannot have.
    Unknown {
        /// The kind octet.
        kind: u8,
        /// What follows the length octet.
        data: &'a [u8],
    },
}

impl<'a> TcpOption<'a> {
    fn new(kind: u8, data: &'a [u8]) -> Self {
        Self::known(kind, data).unwrap_or(Self::Unknown { kind, data })
    }

    fn known(kind: u8, data: &'a [u8]) -> Option<Self> {
        Some(match (kind, data) {
            (kind::MSS, &[a, b]) => Self::Mss(u16::from_be_bytes([a, b])),
            (kind::WINDOW_SCALE, &[shift]) => Self::WindowScale(shift),
            (kind::SACK_PERMITTED, []) => Self::SackPermitted,
            (kind::SACK, _) => Self::Sack(SackBlocks::parse(data)?),
            (kind::TIMESTAMPS, _) => {
                let (val, ecr) = pair(data.try_into().ok()?);
                Self::Timestamps { val, ecr }
            }
            // RFC 7413 §4.1.1: a cookie of 4 to 16 bytes, an even number.
            (kind::FAST_OPEN, _) if matches!(data.len(), 0 | 4 | 6 | 8 | 10 | 12 | 14 | 16) => {
                Self::FastOpen(data)
            }
            _ => return None,
        })
    }
}

/// Goes through the options of one header.
#[derive(Clone, Debug)]
pub struct OptionIter<'a> {
    rest: &'a [u8],
    malformed: bool,
}

impl<'a> OptionIter<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            malformed: false,
        }
    }

    /// Did the iteration end at a length that cannot be (0, 1, or beyond the header)?
    pub fn malformed(&self) -> bool {
        self.malformed
    }
}

impl<'a> Iterator for OptionIter<'a> {
    type Item = TcpOption<'a>;

    fn next(&mut self) -> Option<TcpOption<'a>> {
        loop {
            match *self.rest {
                [] | [kind::EOL, ..] => {
                    self.rest = &[];
                    return None;
                }
                [kind::NOP, ref rest @ ..] => self.rest = rest,
                [kind, ref tail @ ..] => {
                    // RFC 9293 §3.1 MUST-7: an illegal length must not crash us. What came before
                    // it counts.
                    let option = tail.split_first().and_then(|(&len, data)| {
                        let (data, rest) =
                            data.split_at_checked(usize::from(len).checked_sub(2)?)?;
                        Some((TcpOption::new(kind, data), rest))
                    });
                    self.malformed = option.is_none();
                    let (option, rest) = option.unzip();
                    self.rest = rest.unwrap_or_default();
                    return option;
                }
            }
        }
    }
}

/// The options that a connection works with, as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Options {
    /// The MSS option, SYN only.
    pub mss: Option<u16>,
    /// The window scale option, SYN only.
    pub window_scale: Option<u8>,
    /// The SACK-permitted option, SYN only.
    pub sack_permitted: bool,
    /// The timestamps option: TSval, TSecr.
    pub timestamps: Option<(u32, u32)>,
    /// The blocks of the SACK option; none: no such option.
    pub sack: SackBlocks,
}

impl Options {
    /// No options.
    pub const NONE: Self = Self {
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        sack: SackBlocks::NONE,
    };

    /// Gathers the known options; of one that occurs twice the last counts.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Self {
        // What nearly every segment of an open connection holds (RFC 7323 appendix A).
        if let &[
            kind::NOP,
            kind::NOP,
            kind::TIMESTAMPS,
            10,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
        ] = bytes
        {
            return Self {
                timestamps: Some(pair(&[a, b, c, d, e, f, g, h])),
                ..Self::NONE
            };
        }
        Self::gather(bytes)
    }

    fn gather(bytes: &[u8]) -> Self {
        let mut options = Self::NONE;
        for option in OptionIter::new(bytes) {
            match option {
                TcpOption::Mss(mss) => options.mss = Some(mss),
                TcpOption::WindowScale(shift) => options.window_scale = Some(shift),
                TcpOption::SackPermitted => options.sack_permitted = true,
                TcpOption::Sack(blocks) => options.sack = blocks,
                TcpOption::Timestamps { val, ecr } => options.timestamps = Some((val, ecr)),
                TcpOption::FastOpen(_) | TcpOption::Unknown { .. } => {}
            }
        }
        options
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Bytes that [`emit`](Self::emit) takes: a multiple of 4, at most 40.
    pub fn len(&self) -> usize {
        let others = self.len_without_sack();
        // Most segments carry none.
        if self.sack.is_empty() {
            return others;
        }
        match self.sack_room() {
            0 => others,
            blocks => others + 4 + 8 * blocks,
        }
    }

    /// Writes the options and returns how many bytes they took.
    ///
    /// Packed as Linux does: MSS; SACK-permitted and timestamps together, or each behind two NOPs;
    /// NOP and window scale; two NOPs and the SACK blocks. SACK blocks give way to all others.
    ///
    /// # Panics
    /// When `buf` is shorter than [`len`](Self::len).
    #[inline]
    pub fn emit(&self, buf: &mut [u8]) -> usize {
        // As in `parse`.
        if let Some((val, ecr)) = self.timestamps
            && self.mss.is_none()
            && self.window_scale.is_none()
            && !self.sack_permitted
            && self.sack.is_empty()
        {
            let ([a, b, c, d], [e, f, g, h]) = (val.to_be_bytes(), ecr.to_be_bytes());
            let stamps = [
                kind::NOP,
                kind::NOP,
                kind::TIMESTAMPS,
                10,
                a,
                b,
                c,
                d,
                e,
                f,
                g,
                h,
            ];
            buf[..stamps.len()].copy_from_slice(&stamps);
            return stamps.len();
        }
        self.emit_each(buf)
    }

    fn emit_each(&self, buf: &mut [u8]) -> usize {
        let mut out = Writer { buf, at: 0 };
        if let Some(mss) = self.mss {
            out.put(&[kind::MSS, 4]);
            out.put(&mss.to_be_bytes());
        }
        if self.sack_permitted || self.timestamps.is_some() {
            let lead = if self.sack_permitted {
                [kind::SACK_PERMITTED, 2]
            } else {
                [kind::NOP; 2]
            };
            if self.timestamps.is_none() {
                out.put(&[kind::NOP; 2]);
            }
            out.put(&lead);
        }
        if let Some((val, ecr)) = self.timestamps {
            out.put(&[kind::TIMESTAMPS, 10]);
            out.put(&val.to_be_bytes());
            out.put(&ecr.to_be_bytes());
        }
        if let Some(shift) = self.window_scale {
            out.put(&[kind::NOP, kind::WINDOW_SCALE, 3, shift]);
        }
        let blocks = self.sack_room();
        if let Ok(len @ 10..) = u8::try_from(2 + 8 * blocks) {
            out.put(&[kind::NOP, kind::NOP, kind::SACK, len]);
            for (left, right) in self.sack.iter().take(blocks) {
                out.put(&left.to_be_bytes());
                out.put(&right.to_be_bytes());
            }
        }
        out.at
    }

    /// The same without SACK blocks.
    pub(super) fn len_without_sack(&self) -> usize {
        let mss = if self.mss.is_some() { 4 } else { 0 };
        let window_scale = if self.window_scale.is_some() { 4 } else { 0 };
        let middle = match (self.timestamps.is_some(), self.sack_permitted) {
            (true, _) => 12,
            (false, true) => 4,
            (false, false) => 0,
        };
        mss + window_scale + middle
    }

    /// How many of the SACK blocks fit beside the other options.
    fn sack_room(&self) -> usize {
        let room = MAX_LEN - self.len_without_sack();
        self.sack.len().min(room.saturating_sub(4) / 8)
    }
}

/// Appends to a buffer.
struct Writer<'a> {
    buf: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.buf[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> (Vec<TcpOption<'_>>, bool) {
        let mut options = OptionIter::new(bytes);
        let list = options.by_ref().collect();
        (list, options.malformed())
    }

    /// Covers: TCP-3, TCP-4, TCP-6, TS-8.
    #[test]
    fn each_kind_is_read() {
        let unknown = |kind, data| TcpOption::Unknown { kind, data };
        let sack = |pairs: &[(u32, u32)]| TcpOption::Sack(pairs.iter().copied().collect());
        let rows: &[(&[u8], &[TcpOption<'_>])] = &[
            (&[], &[]),
            (&[0, 2, 4, 1, 1], &[]),
            (&[1, 1, 1, 1], &[]),
            (&[2, 4, 0x05, 0xb4], &[TcpOption::Mss(1460)]),
            (&[1, 3, 3, 14], &[TcpOption::WindowScale(14)]),
            (&[4, 2], &[TcpOption::SackPermitted]),
            (
                &[1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
                &[TcpOption::Timestamps { val: 1, ecr: 2 }],
            ),
            (&[5, 10, 0, 0, 0, 1, 0, 0, 0, 9], &[sack(&[(1, 9)])]),
            (&[34, 2], &[TcpOption::FastOpen(&[])]),
            (&[34, 6, 1, 2, 3, 4], &[TcpOption::FastOpen(&[1, 2, 3, 4])]),
            (&[34, 5, 1, 2, 3], &[unknown(34, &[1, 2, 3])]),
            (
                &[253, 3, 7, 4, 2],
                &[unknown(253, &[7]), TcpOption::SackPermitted],
            ),
            // Known kinds whose length is not theirs are passed over.
            (
                &[2, 3, 1, 3, 3, 7],
                &[unknown(2, &[1]), TcpOption::WindowScale(7)],
            ),
            (&[3, 2, 4, 3, 0], &[unknown(3, &[]), unknown(4, &[0])]),
            (
                &[8, 2, 5, 2, 5, 3, 1],
                &[unknown(8, &[]), unknown(5, &[]), unknown(5, &[1])],
            ),
        ];
        for (bytes, options) in rows {
            assert_eq!(read(bytes), (options.to_vec(), false), "{bytes:?}");
        }
    }

    /// Covers: TCP-5. What came before an illegal length counts.
    #[test]
    fn r61_illegal_lengths_end_the_list() {
        let tails: [&[u8]; 6] = [&[2, 0], &[2, 1], &[2], &[2, 4, 5], &[99, 255, 1], &[254]];
        for tail in tails {
            let bytes = [&[4, 2], tail].concat();
            assert_eq!(
                read(&bytes),
                (vec![TcpOption::SackPermitted], true),
                "{tail:?}"
            );
        }
    }

    #[test]
    fn linux_syn_and_ack_packing() {
        let mut buf = [0; 40];
        let syn = Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some((0x0102_0304, 0)),
            ..Options::NONE
        };
        let len = syn.emit(&mut buf);
        let expected = [
            2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
        ];
        assert_eq!(buf[..len], expected);
        let permitted = Options {
            sack_permitted: true,
            ..Options::NONE
        };
        let len = permitted.emit(&mut buf);
        assert_eq!(buf[..len], [1, 1, 4, 2]);
        let ack = Options {
            timestamps: Some((1, 2)),
            sack: [(3, 4)].into_iter().collect(),
            ..Options::NONE
        };
        let len = ack.emit(&mut buf);
        let expected = [
            1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4,
        ];
        assert_eq!(buf[..len], expected);
    }

    /// RFC 2018 §3: four blocks alone, three beside timestamps.
    #[test]
    fn sack_blocks_give_way() {
        let mut options = Options {
            sack: (0..6).map(|n| (n, n + 1)).collect(),
            ..Options::NONE
        };
        assert_eq!((options.sack.len(), options.len()), (4, 36));
        assert!(!options.sack.push(9, 10));
        options.timestamps = Some((1, 2));
        assert_eq!(options.len(), 40);
        options.mss = Some(1);
        options.window_scale = Some(1);
        assert_eq!(options.len(), 40);
        let mut buf = [0; 40];
        assert_eq!(options.emit(&mut buf), 40);
        assert_eq!(Options::parse(&buf).sack.as_slice(), [(0, 1), (1, 2)]);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let (list, malformed) = read(&bytes);
            prop_assert!(list.len() * 2 <= bytes.len());
            prop_assert!(!malformed || !bytes.is_empty());
            let _ = Options::parse(&bytes);
        }

        #[test]
        fn the_fast_path_reads_as_the_slow_one(val: u32, ecr: u32) {
            let options = Options { timestamps: Some((val, ecr)), ..Options::NONE };
            let mut buf = [0; 16];
            let len = options.emit(&mut buf);
            prop_assert_eq!(len, 12);
            prop_assert_eq!(Options::parse(&buf[..len]), options);
            prop_assert_eq!(Options::parse(&buf), options);
        }

        #[test]
        fn what_is_emitted_parses_to_the_same(
            mss: Option<u16>, window_scale: Option<u8>, sack_permitted: bool,
            timestamps: Option<(u32, u32)>,
            pairs in prop::collection::vec(any::<(u32, u32)>(), 0..5),
        ) {
            let options = Options {
                mss, window_scale, sack_permitted, timestamps, sack: pairs.into_iter().collect(),
            };
            let mut buf = [0xff; 40];
            let len = options.emit(&mut buf);
            prop_assert_eq!(len, options.len());
            prop_assert_eq!(len % 4, 0);
            let parsed = Options::parse(&buf[..len]);
            let kept = options.sack.iter().take(parsed.sack.len()).collect();
            prop_assert_eq!(parsed, Options { sack: kept, ..options });
            prop_assert!(parsed.sack == options.sack || len > 32);
        }
    }
}
