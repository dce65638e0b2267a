//! What a replay did otherwise, in words: the packet, the field, what was expected and what came.
//!
//! *Owns* the names of the fields. *Does not* compare: the twin does.

use core::fmt;

use crate::base::Instant;
use crate::capture::LinkType;
use crate::decode::{Decoder, Link};
use crate::ipv4;
use crate::ipv6;
use crate::link::RxChecksum;
use crate::link::ethernet::{self, EtherType};
use crate::stack::{Difference, Mismatch, Offered};

/// The first thing that a replay did otherwise than the recording says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayDifference {
    /// The packet of the file, as Wireshark numbers them, or the one before it.
    pub packet: u64,
    /// The stack's time.
    pub at: Instant,
    /// What differs.
    pub field: String,
    /// What the recording has; empty when it has nothing there.
    pub expected: String,
    /// What came; empty when nothing did.
    pub got: String,
    /// The packet of the recording, decoded.
    pub expected_line: Option<String>,
    /// The packet that came, decoded.
    pub got_line: Option<String>,
}

impl fmt::Display for ReplayDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_nothing = |text: &str| match text {
            "" => "nothing".to_owned(),
            text => text.to_owned(),
        };
        write!(
            f,
            "packet {}, {:?}: {} differs\n  expected {}\n  got      {}",
            self.packet,
            self.at,
            self.field,
            or_nothing(&self.expected),
            or_nothing(&self.got)
        )?;
        let lines = [
            ("recorded", &self.expected_line),
            ("replayed", &self.got_line),
        ];
        for (whose, line) in lines {
            if let Some(line) = line {
                write!(f, "\n  {whose} {line}")?;
            }
        }
        Ok(())
    }
}

impl ReplayDifference {
    /// Puts it in words; `link`: what frames begin with.
    pub(super) fn new(link: LinkType, found: &Difference) -> Self {
        let mut told = Self {
            packet: found.place,
            at: found.at,
            field: String::new(),
            expected: String::new(),
            got: String::new(),
            expected_line: None,
            got_line: None,
        };
        match &found.what {
            Mismatch::Frame { expected, got } => {
                told.expected_line = expected.as_deref().map(|frame| line(link, frame));
                told.got_line = got.as_deref().map(|frame| line(link, frame));
                match (expected, got) {
                    (Some(expected), Some(got)) => told.frames(link, expected, got),
                    (one, other) => {
                        let bytes = |frame: &Option<Box<Offered>>| {
                            let frame = frame.as_ref();
                            frame.map_or_else(String::new, |f| format!("{} bytes", f.len))
                        };
                        "a frame".clone_into(&mut told.field);
                        (told.expected, told.got) = (bytes(one), bytes(other));
                    }
                }
            }
            Mismatch::Outcome {
                call,
                expected,
                got,
            } => {
                let call = call.as_ref().map(ToString::to_string);
                let call = call.unwrap_or_else(|| "add_interface".to_owned());
                told.field = format!("the result of {call}");
                (told.expected, told.got) = (expected.to_string(), got.to_string());
            }
            Mismatch::Event { expected, got } => {
                "an event".clone_into(&mut told.field);
                let event = |event: &Option<crate::stack::Event>| match event {
                    Some(event) => format!("{:?} {:?}", event.id, event.ready),
                    None => String::new(),
                };
                (told.expected, told.got) = (event(expected), event(got));
            }
        }
        told
    }

    /// The first of two frames' differences.
    fn frames(&mut self, link: LinkType, expected: &Offered, got: &Offered) {
        let facts = [
            (
                "the interface",
                format!("{:?}", expected.on),
                format!("{:?}", got.on),
            ),
            ("the length", expected.len.to_string(), got.len.to_string()),
            (
                "what the device is asked to do",
                format!("{:?}", expected.meta),
                format!("{:?}", got.meta),
            ),
        ];
        let skip = |at: usize| {
            expected
                .loose
                .is_some_and(|loose| at == loose || at == loose + 1)
        };
        let mut bytes = expected.data.iter().zip(&got.data).enumerate();
        if let Some((at, _)) = bytes.find(|&(at, (a, b))| a != b && !skip(at)) {
            let (name, from, len) = field_at(link, &expected.data, at);
            self.field = format!("{name} (byte {at} of the frame)");
            (self.expected, self.got) = (hex(&expected.data, from, len), hex(&got.data, from, len));
        }
        // A length is in a header too; what the device is asked is said nowhere else.
        let fact = facts.into_iter().find(|(_, expected, got)| expected != got);
        if let Some((name, expected, got)) = fact
            && (self.field.is_empty() || name != "the length")
        {
            (self.field, self.expected, self.got) = (name.to_owned(), expected, got);
        }
    }
}

/// A frame's line.
fn line(link: LinkType, frame: &Offered) -> String {
    let decoder = Decoder::new(Link::from_linktype(link.0));
    // What the device was to complete is not wrong.
    let checksum = match frame.meta.checksum {
        Some(partial) => RxChecksum::Partial(partial),
        None => RxChecksum::Unknown,
    };
    decoder.line(&frame.data, frame.len, checksum).to_string()
}

/// Up to so many bytes as hexadecimal digits.
fn hex(data: &[u8], from: usize, len: usize) -> String {
    let bytes = data.get(from..).unwrap_or_default().iter().take(len);
    let digits: Vec<String> = bytes.map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

/// A field of a header: from which byte on, and its name.
type Table = &'static [(usize, &'static str)];

const ETHERNET: Table = &[
    (0, "Ethernet destination"),
    (6, "Ethernet source"),
    (12, "EtherType"),
];
const ARP: Table = &[
    (0, "ARP header"),
    (6, "ARP operation"),
    (8, "ARP sender"),
    (18, "ARP target"),
];
const IPV4: Table = &[
    (0, "IPv4 version"),
    (1, "IPv4 TOS"),
    (2, "IPv4 total length"),
    (4, "IPv4 identification"),
    (6, "IPv4 fragmentation"),
    (8, "IPv4 TTL"),
    (9, "IPv4 protocol"),
    (10, "IPv4 checksum"),
    (12, "IPv4 source"),
    (16, "IPv4 destination"),
    (20, "IPv4 options"),
];
const IPV6: Table = &[
    (0, "IPv6 traffic class and flow label"),
    (4, "IPv6 payload length"),
    (6, "IPv6 next header"),
    (7, "IPv6 hop limit"),
    (8, "IPv6 source"),
    (24, "IPv6 destination"),
];
const TCP: Table = &[
    (0, "TCP source port"),
    (2, "TCP destination port"),
    (4, "TCP sequence number"),
    (8, "TCP acknowledgment number"),
    (12, "TCP data offset"),
    (13, "TCP flags"),
    (14, "TCP window"),
    (16, "TCP checksum"),
    (18, "TCP urgent pointer"),
    (20, "TCP options"),
];
const UDP: Table = &[
    (0, "UDP source port"),
    (2, "UDP destination port"),
    (4, "UDP length"),
    (6, "UDP checksum"),
];
const ICMP: Table = &[
    (0, "ICMP type"),
    (1, "ICMP code"),
    (2, "ICMP checksum"),
    (4, "ICMP rest of header"),
];

/// The field of a frame that the byte `at` is in: its name, where it begins and how long it is.
fn field_at(link: LinkType, data: &[u8], at: usize) -> (&'static str, usize, usize) {
    let mut layers: Vec<(usize, usize, Table)> = Vec::new();
    let mut start = 0;
    let mut arp = false;
    if link == LinkType::ETHERNET
        && let Ok((header, _)) = ethernet::Header::parse(data)
    {
        layers.push((0, header.len(), ETHERNET));
        start = header.len();
        arp = header.ether_type() == EtherType::ARP;
    }
    let ip = data.get(start..).unwrap_or_default();
    if arp {
        layers.push((start, 28, ARP));
    } else if let Ok((header, _)) = ipv4::Header::parse_quoted(ip) {
        layers.push((start, header.header_len(), IPV4));
        transport(
            &mut layers,
            header.protocol().0,
            start + header.header_len(),
            data,
        );
    } else if let Ok((header, _)) = ipv6::Header::parse_quoted(ip) {
        layers.push((start, ipv6::HEADER_LEN, IPV6));
        transport(
            &mut layers,
            header.next_header().0,
            start + ipv6::HEADER_LEN,
            data,
        );
    }
    let layer = layers
        .iter()
        .find(|&&(from, len, _)| (from..from + len).contains(&at));
    let Some(&(from, len, table)) = layer else {
        return ("the payload", at, SHOWN);
    };
    let field = table.iter().rposition(|&(offset, _)| from + offset <= at);
    let (offset, name) = field.map_or((0, "a header"), |field| table[field]);
    let next = field
        .and_then(|field| table.get(field + 1))
        .map_or(len, |&(next, _)| next);
    (name, from + offset, next.saturating_sub(offset))
}

/// Bytes of payload that are shown.
const SHOWN: usize = 16;

fn transport(layers: &mut Vec<(usize, usize, Table)>, protocol: u8, start: usize, data: &[u8]) {
    match protocol {
        6 => {
            let words = data
                .get(start + 12)
                .map_or(5, |byte| usize::from(byte >> 4));
            layers.push((start, words * 4, TCP));
        }
        17 => layers.push((start, 8, UDP)),
        1 | 58 => layers.push((start, 8, ICMP)),
        _ => {}
    }
}
