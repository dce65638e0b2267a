//! The notation: one line is a time and what happens then.
//!
//! ```text
//! +.05 < . 1:1(0) ack 1001 win 500 <sack 2001:3001>     the peer sends
//! +0   > P. 1001:4001(3x1000) ack 1                     we send: here one super-segment
//! +0   write 4000                                       the user calls
//! +0   << . 1:1(0) ack 1001                             the peer sends, in one batch with the next line
//! +0   > *                                              we send whatever we do
//! +0   > P. 1:1001(1000) ack 1 [ect0]                   its IP header says so; without: [noecn]
//! ```
//!
//! `+t` counts seconds from the line before. Sequence numbers are relative to the initial number of
//! the side that they belong to: the SYN is 0, the first byte 1. Windows are as on the wire.
//! Timestamps count milliseconds from each side's first. What an expected packet leaves out
//! (window, options) is not compared; `<>` means no options.

use core::time::Duration;

/// A whole script.
pub(crate) fn parse(text: &str) -> Vec<Line> {
    text.lines()
        .enumerate()
        .filter_map(|(n, line)| {
            let code = line.split("//").next().unwrap_or("").trim();
            (!code.is_empty()).then(|| Line::parse(n + 1, code))
        })
        .collect()
}

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) text: String,
    pub(crate) after: Duration,
    pub(crate) action: Action,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Inject(Packet),
    /// In one batch with what the next line injects.
    InjectWithNext(Packet),
    Expect(Packet),
    /// Whatever was sent, if anything.
    ExpectAnything,
    Command(Vec<String>),
}

/// A packet as written; `None` is what the script left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Sorted characters of `SFRP.EWU`.
    pub(crate) flags: String,
    pub(crate) seq: u32,
    pub(crate) len: u32,
    /// Text bytes of each wire segment, when there is more than one.
    pub(crate) size: Option<u32>,
    pub(crate) ack: Option<u32>,
    pub(crate) win: Option<u16>,
    pub(crate) options: Option<Opts>,
    /// The ECN field of the IP header, always compared.
    pub(crate) ecn: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opts {
    pub(crate) mss: Option<u16>,
    pub(crate) sack_ok: bool,
    pub(crate) wscale: Option<u8>,
    /// `None` inside is `*`.
    pub(crate) ts: Option<(Option<u32>, Option<u32>)>,
    pub(crate) sack: Vec<(u32, u32)>,
}

impl Line {
    fn parse(number: usize, text: &str) -> Self {
        let (time, rest) = text
            .split_once(char::is_whitespace)
            .unwrap_or_else(|| panic!("line {number}: {text}"));
        let seconds: f64 = time
            .strip_prefix('+')
            .and_then(|t| t.parse().ok())
            .unwrap_or_else(|| panic!("line {number}: no time: {text}"));
        let rest = rest.trim();
        let action = match rest.split_at(1) {
            ("<", packet) => match packet.strip_prefix('<') {
                Some(packet) => Action::InjectWithNext(packet_of(number, packet)),
                None => Action::Inject(packet_of(number, packet)),
            },
            (">", any) if any.trim() == "*" => Action::ExpectAnything,
            (">", packet) => Action::Expect(packet_of(number, packet)),
            _ => Action::Command(rest.split_whitespace().map(String::from).collect()),
        };
        Self {
            number,
            text: text.to_string(),
            after: Duration::from_nanos((seconds * 1e9).round() as u64),
            action,
        }
    }
}

fn packet_of(number: usize, text: &str) -> Packet {
    let bad = || -> ! { panic!("line {number}: not a packet: {text}") };
    let (main, options) = match text.split_once('<') {
        Some((main, options)) => (main, Some(options.trim_end().trim_end_matches('>'))),
        None => (text, None),
    };
    let mut words = main.split_whitespace();
    let mut flags: Vec<char> = words.next().unwrap_or_else(|| bad()).chars().collect();
    flags.retain(|&c| c != '-');
    flags.sort_unstable();
    let (seq, len, size) = range_of(words.next().unwrap_or_else(|| bad())).unwrap_or_else(|| bad());
    let mut packet = Packet {
        flags: flags.into_iter().collect(),
        seq,
        len,
        size,
        options: options.map(|list| options_of(number, list)),
        ..Packet::default()
    };
    while let Some(word) = words.next() {
        if let Some(field) = ecn_of(word) {
            packet.ecn = field;
            continue;
        }
        let value = words.next().unwrap_or_else(|| bad());
        match word {
            "ack" => packet.ack = Some(value.parse().unwrap_or_else(|_| bad())),
            "win" => packet.win = Some(value.parse().unwrap_or_else(|_| bad())),
            _ => bad(),
        }
    }
    packet
}

/// The ECN field of an IP header in brackets.
fn ecn_of(word: &str) -> Option<u8> {
    let names = ["[noecn]", "[ect1]", "[ect0]", "[ce]"];
    let place = names.iter().position(|name| *name == word)?;
    u8::try_from(place).ok()
}

/// `seq:end(len)`, where len may be `5x1000` or `5x1000+200`.
fn range_of(text: &str) -> Option<(u32, u32, Option<u32>)> {
    let (seq, rest) = text.split_once(':')?;
    let (end, len) = rest.strip_suffix(')')?.split_once('(')?;
    let (seq, end): (u32, u32) = (seq.parse().ok()?, end.parse().ok()?);
    let (len, size) = match len.split_once('x') {
        None => (len.parse().ok()?, None),
        Some((times, size)) => {
            let (size, more) = size.split_once('+').unwrap_or((size, "0"));
            let (times, size, more): (u32, u32, u32) =
                (times.parse().ok()?, size.parse().ok()?, more.parse().ok()?);
            (times * size + more, Some(size))
        }
    };
    (seq + len == end).then_some((seq, len, size))
}

fn options_of(number: usize, list: &str) -> Opts {
    let bad = |option: &str| -> ! { panic!("line {number}: unknown option: {option}") };
    let mut opts = Opts::default();
    for option in list.split(',').map(str::trim).filter(|o| !o.is_empty()) {
        let words: Vec<&str> = option.split_whitespace().collect();
        let star = |text: &str| match text {
            "*" => None,
            number => Some(number.parse().unwrap_or_else(|_| bad(option))),
        };
        match words.as_slice() {
            ["mss", n] => opts.mss = n.parse().ok(),
            ["sackOK"] => opts.sack_ok = true,
            ["wscale", n] => opts.wscale = n.parse().ok(),
            ["TS", "val", val, "ecr", ecr] => opts.ts = Some((star(val), star(ecr))),
            ["sack", blocks @ ..] => {
                opts.sack = blocks
                    .iter()
                    .map(|block| {
                        let (l, r) = block.split_once(':').unwrap_or_else(|| bad(option));
                        (l.parse().unwrap(), r.parse().unwrap())
                    })
                    .collect();
            }
            _ => bad(option),
        }
    }
    opts
}
