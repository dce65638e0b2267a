//! What a replay of a foreign capture found: what was fed and what was not, where the stack did otherwise than the
//! one whose place it took, and whether it kept its promises.
//!
//! *Owns* the lists of reasons, classes and breaches, and the report. *Does not* compare.

use core::fmt;
use std::collections::BTreeMap;

use super::tally::Example;
use crate::base::{DropCounters, Instant};

macro_rules! named {
    ($(#[doc = $head:literal])+ $list:ident { $($(#[doc = $doc:literal])+ $name:ident => $text:literal,)+ }) => {
        $(#[doc = $head])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $list { $($(#[doc = $doc])+ $name,)+ }

        impl $list {
            /// All of them, in the order of the declaration.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// In words.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }

        impl fmt::Display for $list {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// Why a captured frame was neither fed nor told to the application.
    Skipped {
        /// The capture has a link header that is not known.
        LinkType => "link type not known",
        /// Neither IP nor ARP, or more tags than are taken off.
        LinkProtocol => "neither IP nor ARP",
        /// Its IP header cannot be read, and the link does not say that it was for the stack's station.
        Malformed => "no readable header",
        /// Of an interface that was not asked for.
        OtherInterface => "of another interface",
        /// Between others, or from a side that was not asked for.
        Elsewhere => "between others",
        /// From an address to itself, and no port says which end sent it
        /// ([`Fed::FromSocket`](super::Fed::FromSocket)).
        OneAddress => "both ends have one address",
        /// Cut within its headers: its numbers cannot be mapped.
        Cut => "cut in its headers",
        /// It came before the first packet that tells where the stack stands.
        TooEarly => "before the stack's address was known",
        /// More flows at once than are followed.
        TooManyFlows => "too many flows",
        /// Larger than a frame can be.
        TooLong => "too long",
        /// The stack refused the call that the capture asks for, as to connect from a port that is in use.
        Refused => "the stack refused a call",
    }
}

named! {
    /// In what the stack can differ from the one whose place it took.
    DifferenceClass {
        /// The SYN or its answer: the options that were offered or agreed on.
        Handshake => "options of the handshake",
        /// A SYN was answered otherwise: accepted, refused, or not at all.
        Answer => "answer to the SYN",
        /// How many bytes of the stream were sent.
        Text => "bytes of text sent",
        /// How many segments with text were sent.
        Segments => "segments with text",
        /// How many segments with text were sent again.
        Retransmissions => "segments sent again",
        /// How many segments without text acknowledged.
        Acks => "bare acknowledgements",
        /// How many segments reported text out of order.
        Sacks => "segments with SACK blocks",
        /// How much of the other side's stream was acknowledged.
        Acknowledged => "bytes acknowledged",
        /// Whether it was told that the receive window is closed.
        Window => "windows of zero",
        /// How the connection ended: FIN, RST or neither.
        End => "end of the connection",
        /// How many datagrams were sent.
        Datagrams => "UDP datagrams",
        /// How many echo requests were answered.
        EchoReplies => "ICMP echo replies",
        /// How many pings were sent.
        EchoRequests => "ICMP echo requests",
        /// How many ICMP errors were sent.
        IcmpErrors => "ICMP errors",
        /// How many ARP requests were answered.
        ArpReplies => "ARP replies",
        /// How many neighbour solicitations were answered.
        Advertisements => "neighbour advertisements",
    }
}

named! {
    /// What must hold whatever a capture has.
    BreachKind {
        /// The application read what the other side never sent.
        Received => "what was read is not what was sent",
        /// The stack sent what its application never wrote.
        Sent => "what was sent is not what was written",
        /// The stack sent what is no packet, or one with a wrong checksum.
        Malformed => "a malformed frame was sent",
        /// A frame was fed and neither taken nor counted as dropped.
        Uncounted => "a frame vanished without a count",
        /// After everything ended the stack still held something.
        Growth => "something was left behind",
        /// The stack always had more to do at once.
        Endless => "a turn without end",
    }
}

/// Something that must hold and did not: a fault of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breach {
    /// The captured frame that was dealt with, from 1.
    pub packet: u64,
    /// When.
    pub at: Instant,
    /// What.
    pub kind: BreachKind,
    /// In which flow, and what was expected and came.
    pub detail: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            packet,
            at,
            kind,
            detail,
        } = self;
        write!(f, "packet {packet}, {at:?}: {kind}: {detail}")
    }
}

/// All flows in which the stack differed in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignDifference {
    /// In what.
    pub class: DifferenceClass,
    /// How many flows.
    pub flows: u64,
    /// The first of them; empty for what belongs to no flow.
    pub flow: String,
    /// What the captured end did there.
    pub expected: String,
    /// What the stack did.
    pub got: String,
}

impl fmt::Display for ForeignDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.class)?;
        if !self.flow.is_empty() {
            write!(f, "{} flows, first {}: ", self.flows, self.flow)?;
        }
        write!(f, "captured {}, here {}", self.expected, self.got)
    }
}

/// What stands in for what the capture lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MadeUp {
    /// Connections that were open when the capture began, or whose SYN it lacks: a handshake was made for them.
    pub handshakes: u64,
    /// Acknowledgements of what the stack sent later than the captured end did.
    pub acks: u64,
    /// Bytes of text that the capture lacks although they were acknowledged, or that it cut off: zeros.
    pub bytes: u64,
}

/// What came of a replay, so far or in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignReport {
    /// Frames of the capture.
    pub frames: u64,
    /// Of them, those that were fed to the stack.
    pub fed: u64,
    /// Those that the captured end sent: what its application did was done, and they were compared.
    pub expected: u64,
    /// Those that were neither, by reason: with `fed` and `expected` they are all.
    pub skipped: BTreeMap<Skipped, u64>,
    /// Frames that had VLAN tags, which were taken off.
    pub tagged: u64,
    /// Frames that the capture cut and that were fed, zeros in place of what is missing.
    pub padded: u64,
    /// Frames whose time was before that of the frame before; they were dealt with at that time.
    pub backwards: u64,
    /// Gaps between frames that were longer than is waited
    /// ([`longest_gap`](super::ForeignReplay::longest_gap)).
    pub gaps_cut: u64,
    /// What stood in for what the capture lacks.
    pub made_up: MadeUp,
    /// Bytes that came twice with different values: neither was held against the stack.
    pub conflicts: u64,
    /// TCP connections.
    pub flows: u64,
    /// UDP datagrams that the stack's application received.
    pub datagrams: u64,
    /// Frames that the stack sent.
    pub sent: u64,
    /// What the stack dropped, by reason.
    pub drops: DropCounters,
    /// How the stack differed from the captured end, by class. Connections are compared when they are over,
    /// the rest at the end.
    pub differences: Vec<ForeignDifference>,
    /// What must hold and did not: the first [`MOST_BREACHES`](Self::MOST_BREACHES).
    pub breaches: Vec<Breach>,
}

impl ForeignReport {
    /// Breaches that are kept.
    pub const MOST_BREACHES: usize = 32;

    /// Did the stack keep its promises?
    pub const fn is_sound(&self) -> bool {
        self.breaches.is_empty()
    }

    /// How many frames were skipped, whatever for.
    pub fn skipped_total(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// The difference of this class.
    pub fn difference(&self, class: DifferenceClass) -> Option<&ForeignDifference> {
        self.differences.iter().find(|it| it.class == class)
    }

    pub(super) fn skip(&mut self, why: Skipped) {
        *self.skipped.entry(why).or_default() += 1;
    }

    pub(super) fn breach(&mut self, breach: Breach) {
        if self.breaches.len() < Self::MOST_BREACHES {
            self.breaches.push(breach);
        }
    }

    pub(super) fn differs(&mut self, flow: &str, example: Example) {
        let class = example.class;
        if let Some(known) = self.differences.iter_mut().find(|it| it.class == class) {
            known.flows += 1;
            return;
        }
        self.differences.push(ForeignDifference {
            class,
            flows: 1,
            flow: flow.to_owned(),
            expected: example.expected,
            got: example.got,
        });
        self.differences.sort_by_key(|it| it.class);
    }
}

impl fmt::Display for ForeignReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} frames: {} fed, {} of the other end, {} skipped",
            self.frames,
            self.fed,
            self.expected,
            self.skipped_total()
        )?;
        for (why, count) in &self.skipped {
            writeln!(f, "  skipped {count}: {why}")?;
        }
        let MadeUp {
            handshakes,
            acks,
            bytes,
        } = self.made_up;
        let notes = [
            (self.tagged, "VLAN tags taken off"),
            (self.padded, "cut frames filled up with zeros"),
            (self.backwards, "times that ran backwards"),
            (self.gaps_cut, "long gaps shortened"),
            (handshakes, "handshakes made up"),
            (acks, "acknowledgements made up"),
            (bytes, "bytes made up"),
            (self.conflicts, "bytes captured twice with different values"),
        ];
        for (count, what) in notes.iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "  {count} {what}")?;
        }
        writeln!(
            f,
            "{} connections, {} datagrams received, {} frames sent, {} packets dropped",
            self.flows,
            self.datagrams,
            self.sent,
            self.drops.total()
        )?;
        for (reason, count) in self.drops.iter() {
            writeln!(f, "  dropped {count}: {reason}")?;
        }
        for difference in &self.differences {
            writeln!(f, "  differs: {difference}")?;
        }
        for breach in &self.breaches {
            writeln!(f, "  BROKEN: {breach}")?;
        }
        Ok(())
    }
}
