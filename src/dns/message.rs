//! The wire: a question out, a reply in.
//!
//! RFC 1035 §4, RFC 6891 §6. *Owns* what of a message is read, and how much. *Does not* encode it, which the crate `simple-dns`
//! does, or judge it (`judge.rs`).
//!
//! The crate reads a message whole, and refuses it for any record in it. So it is shown what is needed and no more: no
//! additional records, and of the others a bounded number, for each costs memory by its name, which can be one of 255 bytes
//! in two; and no names but those that matter, each of as many steps as an honest one has at most, for a pointer may lead
//! to a pointer, thousands of times.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use simple_dns::rdata::{OPT, RData};
use simple_dns::{CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, TYPE};

use super::lookup::Family;
use super::name::Name;

/// Bytes of the header (RFC 1035 §4.1.1).
const HEADER_LEN: usize = 12;
/// Answers that are read; with more, what is behind them is not.
const MAX_ANSWERS: u16 = 256;
/// Records of the authority section that are read: the one that counts is the first as a rule.
const MAX_AUTHORITY: u16 = 16;
/// Labels and pointers of a name: 127 of each are in the longest that can be made of 255 bytes.
const MAX_STEPS: usize = 255;
/// A type of no meaning (RFC 6895 §3.1, private use): the data of such a record are bytes.
const OPAQUE: u16 = 65_280;

/// A question to a server; `name` in the capitals that it goes out in, `payload` as EDNS says it.
pub(super) fn query(id: u16, name: &str, family: Family, payload: Option<u16>) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = simple_dns::Name::new(name).ok()?;
    let question = simple_dns::Question::new(name, kind(family).into(), CLASS::IN.into(), false);
    packet.questions.push(question);
    *packet.opt_mut() = payload.map(|udp_packet_size| OPT {
        opt_codes: Vec::new(),
        udp_packet_size,
        version: 0,
    });
    packet.build_bytes_vec().ok()
}

/// What a message says, as far as it matters.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) id: u16,
    pub(super) is_reply: bool,
    pub(super) is_truncated: bool,
    /// Did it come of who has the zone, or of one who asks for others? One that is neither knows nothing.
    pub(super) is_answer: bool,
    pub(super) code: Code,
    /// The question as it is repeated: its name, letter by letter, and whether it is one for addresses.
    pub(super) questions: Vec<(String, Option<Family>)>,
    pub(super) records: Vec<Record>,
    pub(super) authority: Option<Authority>,
}

/// RFC 1035 §4.1.1, RCODE, as far as they differ here. The upper bits, which are in an additional record (RFC 6891 §6.1.3),
/// are not read: BADVERS (16) looks like no error, and only a server that takes our version 0 for a wrong one says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    NoError,
    /// It does not understand the question: maybe EDNS is why (RFC 6891 §7).
    NotUnderstood,
    /// There is no such name.
    NoName,
    /// The server fails, refuses, or something else.
    Failed,
}

/// A record of the answer.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) owner: Name,
    pub(super) ttl: Duration,
    pub(super) data: Data,
}

#[derive(Debug)]
pub(super) enum Data {
    Address(IpAddr),
    Alias(Name),
}

/// The SOA record that comes with the word that there is nothing.
#[derive(Debug)]
pub(super) struct Authority {
    /// The zone's name; empty is the root.
    pub(super) zone: String,
    /// How long there is nothing (RFC 2308 §5).
    pub(super) ttl: Duration,
}

/// Reads a message; `None` when it does not parse.
pub(super) fn read(bytes: &[u8]) -> Option<Reply> {
    let mut part = bytes.to_vec();
    trim(part.first_chunk_mut()?);
    blind(&mut part)?;
    let packet = Packet::parse(&part).ok()?;
    let is = |flag| packet.has_flags(flag);
    Some(Reply {
        id: packet.id(),
        is_reply: is(PacketFlag::RESPONSE) && packet.opcode() == OPCODE::StandardQuery,
        is_truncated: is(PacketFlag::TRUNCATION),
        is_answer: is(PacketFlag::AUTHORITATIVE_ANSWER) || is(PacketFlag::RECURSION_AVAILABLE),
        code: match packet.rcode() {
            RCODE::NoError => Code::NoError,
            RCODE::FormatError | RCODE::NotImplemented => Code::NotUnderstood,
            RCODE::NameError => Code::NoName,
            _ => Code::Failed,
        },
        questions: packet.questions.iter().map(question).collect(),
        records: packet.answers.iter().filter_map(record).collect(),
        authority: packet.name_servers.iter().find_map(authority),
    })
}

/// Takes out of a header what is not looked at, so that it is not read: the counts of what does not matter, and the reserved
/// bit, which receivers ignore (RFC 1035 §4.1.1).
fn trim(header: &mut [u8; HEADER_LEN]) {
    let [
        _,
        _,
        flags,
        code,
        qd,
        qd_low,
        an,
        an_low,
        ns,
        ns_low,
        ar,
        ar_low,
    ] = header;
    let questions = u16::from_be_bytes([*qd, *qd_low]);
    let truncated = *flags & 0x02 != 0;
    let without = truncated || questions > 1 || !matches!(*code & 0x0f, 0 | 3);
    *code &= !0x40;
    let answers = u16::from_be_bytes([*an, *an_low]);
    let authority = u16::from_be_bytes([*ns, *ns_low]);
    let (answers, authority) = match answers {
        _ if without => (0, 0),
        ..=MAX_ANSWERS => (answers, authority.min(MAX_AUTHORITY)),
        _ => (MAX_ANSWERS, 0),
    };
    [*qd, *qd_low] = questions.min(2).to_be_bytes();
    [*an, *an_low] = answers.to_be_bytes();
    [*ns, *ns_low] = authority.to_be_bytes();
    [*ar, *ar_low] = [0; 2];
}

/// Makes records of bytes of those that are of no use, and judges the names of the others before they are read; `None` when one
/// is none.
fn blind(message: &mut [u8]) -> Option<()> {
    let count = |at: usize| {
        Some(u16::from_be_bytes([
            *message.get(at)?,
            *message.get(at + 1)?,
        ]))
    };
    let (questions, records) = (count(4)?, count(6)? + count(8)?);
    let mut at = HEADER_LEN;
    for _ in 0..questions {
        at = end_of_name(message, at)? + 4;
    }
    for _ in 0..records {
        at = end_of_name(message, at)?;
        let [kind, kind_low, .., len, len_low] = *message.get(at..)?.first_chunk::<10>()?;
        let data = at + 10;
        match TYPE::from(u16::from_be_bytes([kind, kind_low])) {
            TYPE::A | TYPE::AAAA => {}
            TYPE::CNAME => drop(end_of_name(message, data)?),
            TYPE::SOA => drop(end_of_name(message, end_of_name(message, data)?)?),
            _ => message[at..at + 2].copy_from_slice(&OPAQUE.to_be_bytes()),
        }
        at = data + usize::from(u16::from_be_bytes([len, len_low]));
    }
    Some(())
}

/// What is behind the name at `at`; `None` when it is none.
fn end_of_name(message: &[u8], mut at: usize) -> Option<usize> {
    let mut end = None;
    for _ in 0..MAX_STEPS {
        let length = *message.get(at)?;
        match length {
            0 => return Some(end.unwrap_or(at + 1)),
            1..=63 => at += 1 + usize::from(length),
            0xc0.. => {
                let to = u16::from_be_bytes([length & 0x3f, *message.get(at + 1)?]);
                end.get_or_insert(at + 2);
                at = Some(usize::from(to)).filter(|&to| to < at)?;
            }
            _ => return None,
        }
    }
    None
}

fn question(question: &simple_dns::Question<'_>) -> (String, Option<Family>) {
    let labels: Vec<&[u8]> = question.qname.as_bytes().collect();
    // Another character than a host's cannot be of our question, whatever becomes of it here; a dot within a label could.
    let dotted = labels.iter().any(|label| label.contains(&b'.'));
    let name = match dotted {
        true => String::new(),
        false => String::from_utf8_lossy(&labels.join(&b'.')).into_owned(),
    };
    let internet = question.qclass == QCLASS::CLASS(CLASS::IN) && !question.unicast_response;
    let family = match question.qtype {
        QTYPE::TYPE(TYPE::A) if internet => Some(Family::V4),
        QTYPE::TYPE(TYPE::AAAA) if internet => Some(Family::V6),
        _ => None,
    };
    (name, family)
}

fn record(record: &simple_dns::ResourceRecord<'_>) -> Option<Record> {
    if record.class != CLASS::IN || record.cache_flush {
        return None;
    }
    let data = match &record.rdata {
        RData::A(a) => Data::Address(Ipv4Addr::from_bits(a.address).into()),
        RData::AAAA(a) => Data::Address(Ipv6Addr::from_bits(a.address).into()),
        RData::CNAME(name) => Data::Alias(Name::of_labels(name.as_bytes())?),
        _ => return None,
    };
    Some(Record {
        owner: Name::of_labels(record.name.as_bytes())?,
        ttl: ttl(record.ttl),
        data,
    })
}

fn authority(record: &simple_dns::ResourceRecord<'_>) -> Option<Authority> {
    let RData::SOA(soa) = &record.rdata else {
        return None;
    };
    let mut labels = record.name.as_bytes().peekable();
    let zone = match labels.peek() {
        None => String::new(),
        Some(_) => Name::of_labels(labels)?.as_str().to_owned(),
    };
    Some(Authority {
        zone,
        ttl: ttl(record.ttl).min(ttl(soa.minimum)),
    })
}

/// RFC 2181 §8: with the highest bit set it is zero.
fn ttl(seconds: u32) -> Duration {
    let seconds = Some(seconds).filter(|seconds| i32::try_from(*seconds).is_ok());
    Duration::from_secs(seconds.unwrap_or(0).into())
}

const fn kind(family: Family) -> TYPE {
    match family {
        Family::V4 => TYPE::A,
        Family::V6 => TYPE::AAAA,
    }
}
