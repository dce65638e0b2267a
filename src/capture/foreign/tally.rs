//! What one end of a connection did, counted alike for the captured end and for the stack, and in what they
//! differ.
//!
//! *Owns* the counts. *Does not* map numbers: it is told places in the streams.

use super::packet::Segment;
use super::report::DifferenceClass;
use crate::tcp::{Flags, Options};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) class: DifferenceClass,
    pub(super) expected: String,
    pub(super) got: String,
}

/// What an end sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// The options of its SYN, with or without ACK.
    syn: Option<String>,
    /// Its SYN was not captured.
    is_late: bool,
    /// Where its text ends, as far as it sent any.
    text_end: u64,
    segments: u64,
    again: u64,
    acks: u64,
    sacks: u64,
    zero_windows: u64,
    /// How much of the other stream it acknowledged.
    acknowledged: u64,
    fin: bool,
    reset: bool,
}

impl Tally {
    /// It sent this: its text begins at `offset` of its stream, and it acknowledges the other up to `acked`.
    /// A segment of more than `mss` bytes is as many as it takes.
    pub(super) fn note(&mut self, segment: &Segment, offset: u64, acked: Option<u64>, mss: u64) {
        let flags = segment.fields.flags;
        if flags.contains(Flags::RST) {
            self.reset = true;
            return;
        }
        if flags.contains(Flags::SYN) {
            self.syn.get_or_insert_with(|| offered(&segment.options));
            return;
        }
        self.fin |= flags.contains(Flags::FIN);
        let len = segment.text_len();
        if len > 0 {
            let segments = len.div_ceil(mss.max(1));
            self.segments += segments;
            if offset < self.text_end {
                self.again += segments;
            }
            self.text_end = self.text_end.max(offset + len);
        } else if flags.contains(Flags::ACK) && !flags.contains(Flags::FIN) {
            self.acks += 1;
        }
        self.sacks += u64::from(!segment.options.sack.is_empty());
        self.zero_windows += u64::from(segment.fields.window == 0);
        self.acknowledged = self.acknowledged.max(acked.unwrap_or(0));
    }

    /// In what `got` differs from this.
    pub(super) fn compare(&self, got: &Self) -> Vec<Example> {
        use DifferenceClass as Class;
        let mut found = Vec::new();
        let mut differ = |class, expected: String, got: String| {
            if expected != got {
                found.push(Example {
                    class,
                    expected,
                    got,
                });
            }
        };
        differ(Class::Answer, self.opened(), got.opened());
        let known = (&self.syn, &got.syn, self.is_late);
        if let (Some(one), Some(other), false) = known {
            differ(Class::Handshake, one.clone(), other.clone());
        }
        let counts = [
            (Class::Text, self.text_end, got.text_end),
            (Class::Segments, self.segments, got.segments),
            (Class::Retransmissions, self.again, got.again),
            (Class::Acks, self.acks, got.acks),
            (Class::Sacks, self.sacks, got.sacks),
            (Class::Acknowledged, self.acknowledged, got.acknowledged),
            (Class::Window, self.zero_windows, got.zero_windows),
        ];
        for (class, expected, got) in counts {
            differ(class, expected.to_string(), got.to_string());
        }
        if self.opened() == got.opened() {
            differ(Class::End, self.ended(), got.ended());
        }
        found
    }

    fn opened(&self) -> String {
        match (&self.syn, self.reset) {
            (Some(_), _) => "SYN",
            (None, true) => "RST",
            (None, false) => "none",
        }
        .to_owned()
    }

    fn ended(&self) -> String {
        match (self.fin, self.reset) {
            (false, false) => "open",
            (true, false) => "FIN",
            (false, true) => "RST",
            (true, true) => "FIN and RST",
        }
        .to_owned()
    }

    /// It was seen from its middle on: nothing is known of its SYN.
    pub(super) fn forget_syn(&mut self) {
        self.is_late = true;
        self.syn = Some(String::new());
    }
}

/// The options of a SYN that decide how the connection goes on. The window scale is each end's own.
fn offered(options: &Options) -> String {
    let mut text = Vec::new();
    if let Some(mss) = options.mss {
        text.push(format!("MSS {mss}"));
    }
    let flags = [
        (options.window_scale.is_some(), "window scale"),
        (options.sack_permitted, "SACK"),
        (options.timestamps.is_some(), "timestamps"),
    ];
    let flags = flags.iter().filter(|(set, _)| *set);
    text.extend(flags.map(|(_, name)| (*name).to_owned()));
    if text.is_empty() {
        text.push("none".to_owned());
    }
    text.join(", ")
}
