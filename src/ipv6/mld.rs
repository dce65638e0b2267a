//! Multicast listener discovery messages: those of ICMPv6 that tell who is in which group.
//!
//! RFC 2710 §3 (version 1), RFC 3810 §5, §8.1 (version 2). *Owns* the messages. *Does not* decide what is reported or
//! believed: `stack` does. Invariant: [`Message::parse`] is total.
//!
//! ```text
//! query   | 130, 1  | 0, 1 | checksum, 2 | max resp code, 2 | 0, 2 | group, 16 | version 2: flags, 1 | QQIC, 1 | sources, 2 | source, 16 each |
//! older   | type, 1 | 0, 1 | checksum, 2 | 0, 2             | 0, 2 | group, 16 |
//! report  | 143, 1  | 0, 1 | checksum, 2 | 0, 2 | records, 2 | record, each |
//! ```

use core::net::Ipv6Addr;
use core::time::Duration;

use super::header::pseudo_sum;
use crate::base::Protocol;
use crate::base::records::{self, GroupRecord, eight_bits, sixteen_bits};

/// Addresses of senders.
pub type Sources<'a> = records::Sources<'a, Ipv6Addr>;
/// What a version 2 report has.
pub type Records<'a> = records::Records<'a, Ipv6Addr>;

/// ff02::16: version 2 reports go there (RFC 3810 §5.2.14).
pub const REPORTS_TO: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// The hop limit of every message: it stays on the link (RFC 3810 §5).
pub const HOP_LIMIT: u8 = 1;
/// The option of a hop-by-hop header by which routers look at a packet (RFC 2711 §2.1).
pub const ROUTER_ALERT: u8 = 5;
/// A hop-by-hop header with that option and the value that means MLD, before an ICMPv6 message (RFC 3810 §5).
pub const HOP_BY_HOP: [u8; 8] = [Protocol::ICMPV6.0, 0, ROUTER_ALERT, 2, 0, 0, 1, 0];

/// Bytes of a report before its records.
pub const HEADER_LEN: usize = 8;
/// Bytes of a message of version 1.
const V1_LEN: usize = 24;
/// Bytes of a version 2 query before its sources.
const QUERY_LEN: usize = 28;
const CHECKSUM_OFFSET: usize = 2;

mod kind {
    pub(super) const QUERY: u8 = 130;
    pub(super) const REPORT: u8 = 131;
    pub(super) const DONE: u8 = 132;
    pub(super) const REPORT_V2: u8 = 143;
}

/// Why bytes are not an MLD message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Another ICMPv6 type.
    #[error("icmpv6 type {kind} is no mld message")]
    Kind {
        /// The Type field.
        kind: u8,
    },
    /// The message ends before its fixed part or its sources.
    #[error("mld message needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that are needed.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// A query of a length that no version has (RFC 3810 §8.1).
    #[error("mld query of {len} bytes is of no version")]
    QueryLength {
        /// Its bytes.
        len: usize,
    },
}

/// An MLD message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Type 130: who listens to which group?
    Query(Query<'a>),
    /// Type 131: a listener says so, by version 1.
    Report {
        /// To which group.
        group: Ipv6Addr,
    },
    /// Type 132: perhaps the last one leaves.
    Done {
        /// Which group.
        group: Ipv6Addr,
    },
    /// Type 143: what a listener wants, by version 2.
    ReportV2 {
        /// Of each group.
        records: Records<'a>,
    },
}

/// A question of a router's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query<'a> {
    /// The Maximum Response Code field, of version 1 the Maximum Response Delay.
    pub max_resp_code: u16,
    /// About this group; `::` is about all.
    pub group: Ipv6Addr,
    /// What only version 2 asks.
    pub v2: Option<QueryV2<'a>>,
}

/// What only a query of version 2 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryV2<'a> {
    /// The S flag: other routers are to let their timers be.
    pub suppress: bool,
    /// The querier's robustness variable; 0 when it has none to tell.
    pub robustness: u8,
    /// The Querier's Query Interval Code.
    pub interval_code: u8,
    /// About these sources; none: about the group.
    pub sources: Sources<'a>,
}

impl Query<'_> {
    /// By when answers are wanted: in milliseconds, of version 2 with an exponent.
    pub fn max_response(&self) -> Duration {
        let millis = match self.v2 {
            Some(_) => sixteen_bits(self.max_resp_code),
            None => self.max_resp_code.into(),
        };
        Duration::from_millis(millis.into())
    }
}

impl QueryV2<'_> {
    /// How often the querier asks (RFC 3810 §5.1.9).
    pub fn interval(&self) -> Duration {
        Duration::from_secs(eight_bits(self.interval_code).into())
    }
}

/// Is this ICMPv6 type one of MLD's?
pub(crate) const fn is_kind(kind: u8) -> bool {
    matches!(
        kind,
        kind::QUERY | kind::REPORT | kind::DONE | kind::REPORT_V2
    )
}

impl<'a> Message<'a> {
    /// Reads an ICMPv6 message whose checksum [`icmp::Message::parse`](super::icmp::Message::parse) has verified. What is
    /// behind the known fields is passed over (RFC 3810 §5.1.12, §5.2.11).
    ///
    /// # Errors
    /// [`ParseError`] when it is of another type, cut, or a query of no version.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let have = bytes.len();
        let truncated = |need| ParseError::Truncated { need, have };
        let (&[kind, _, _, _, a, b, c, d], rest) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or_else(|| truncated(HEADER_LEN))?;
        if !is_kind(kind) {
            return Err(ParseError::Kind { kind });
        }
        if kind == kind::REPORT_V2 {
            let records = Records::new(u16::from_be_bytes([c, d]), rest);
            return Ok(Self::ReportV2 { records });
        }
        let (group, rest) = rest
            .split_first_chunk::<16>()
            .ok_or_else(|| truncated(V1_LEN))?;
        let group = Ipv6Addr::from(*group);
        Ok(match kind {
            kind::REPORT => Self::Report { group },
            kind::DONE => Self::Done { group },
            _ => Self::Query(Query {
                max_resp_code: u16::from_be_bytes([a, b]),
                group,
                v2: query_v2(have, rest)?,
            }),
        })
    }

    /// Appends the message from `src` to `dst` with its checksum; of records no auxiliary data (RFC 3810 §5.2.10).
    pub fn emit(&self, src: Ipv6Addr, dst: Ipv6Addr, out: &mut Vec<u8>) {
        let (kind, code, group) = match *self {
            Self::Query(query) => (kind::QUERY, query.max_resp_code, query.group),
            Self::Report { group } => (kind::REPORT, 0, group),
            Self::Done { group } => (kind::DONE, 0, group),
            Self::ReportV2 { records } => {
                let records: Vec<GroupRecord> = records.iter().map(Into::into).collect();
                return emit_report(&records, src, dst, out);
            }
        };
        let start = out.len();
        let [a, b] = code.to_be_bytes();
        out.extend_from_slice(&[kind, 0, 0, 0, a, b, 0, 0]);
        out.extend_from_slice(&group.octets());
        if let Self::Query(Query { v2: Some(v2), .. }) = self {
            let count = u16::try_from(v2.sources.len()).unwrap_or(u16::MAX);
            let [a, b] = count.to_be_bytes();
            let flags = u8::from(v2.suppress) << 3 | v2.robustness & 7;
            out.extend_from_slice(&[flags, v2.interval_code, a, b]);
            out.extend_from_slice(v2.sources.as_bytes());
        }
        fill_checksum(src, dst, &mut out[start..]);
    }
}

/// What a query has behind the group: RFC 3810 §8.1 tells its version by its length.
fn query_v2(len: usize, rest: &[u8]) -> Result<Option<QueryV2<'_>>, ParseError> {
    let Some((&[flags, interval_code, a, b], rest)) = rest.split_first_chunk::<4>() else {
        return if rest.is_empty() {
            Ok(None)
        } else {
            Err(ParseError::QueryLength { len })
        };
    };
    let count = u16::from_be_bytes([a, b]);
    let (sources, _) = Sources::parse(count, rest).ok_or_else(|| ParseError::Truncated {
        need: QUERY_LEN + 16 * usize::from(count),
        have: len,
    })?;
    Ok(Some(QueryV2 {
        suppress: flags & 8 != 0,
        robustness: flags & 7,
        interval_code,
        sources,
    }))
}

/// Appends a version 2 report of these records.
pub(crate) fn emit_report(
    records: &[GroupRecord],
    src: Ipv6Addr,
    dst: Ipv6Addr,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
    let [a, b] = count.to_be_bytes();
    out.extend_from_slice(&[kind::REPORT_V2, 0, 0, 0, 0, 0, a, b]);
    let all = records.iter().take(usize::from(count));
    all.for_each(|record| record.emit(out));
    fill_checksum(src, dst, &mut out[start..]);
}

fn fill_checksum(src: Ipv6Addr, dst: Ipv6Addr, message: &mut [u8]) {
    let pseudo = pseudo_sum(src, dst, Protocol::ICMPV6, message.len());
    let sum = pseudo.bytes(message).finish();
    message[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipv6::icmp;

    fn query(bytes: &[u8]) -> Query<'_> {
        match Message::parse(bytes).unwrap() {
            Message::Query(query) => query,
            other => panic!("{other:?}"),
        }
    }

    /// Covers: MLD-5, MLD-6 (RFC 3810 §8.1, §5.1.3).
    #[test]
    fn the_length_tells_the_version_of_a_query() {
        let mut bytes = vec![130, 0, 0, 0, 0xff, 0xff, 0, 0];
        bytes.extend([0; 16]);
        assert_eq!(query(&bytes).max_response(), Duration::from_millis(65_535));
        for len in 25..28 {
            bytes.resize(len, 0);
            let refused = Message::parse(&bytes);
            assert_eq!(refused, Err(ParseError::QueryLength { len }));
        }
        bytes.resize(28, 0);
        bytes[24..].copy_from_slice(&[0x0b, 0x8f, 0, 0]);
        let seen = query(&bytes);
        assert_eq!(seen.max_response(), Duration::from_millis(8_387_584));
        let v2 = seen.v2.unwrap();
        assert_eq!((v2.suppress, v2.robustness), (true, 3));
        assert_eq!(v2.interval(), Duration::from_secs(248));
        bytes[27] = 1;
        bytes.extend([9; 15]);
        let cut = ParseError::Truncated { need: 44, have: 43 };
        assert_eq!(Message::parse(&bytes), Err(cut));
        bytes.extend([9, 1, 2, 3]);
        assert_eq!(query(&bytes).v2.unwrap().sources.len(), 1);
    }

    /// Covers: MLD-3 (the checksum is ICMPv6's, over octets behind the known ones too).
    #[test]
    fn messages_go_out_as_they_came_in() {
        let (src, dst) = ("fe80::1".parse().unwrap(), REPORTS_TO);
        let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb];
        let tail = |head: &[u8]| [head, &group[..]].concat();
        let rows = [
            tail(&[130, 0, 0, 0, 0x27, 0x10, 0, 0]),
            [
                &tail(&[130, 0, 0, 0, 0x27, 0x10, 0, 0])[..],
                &[2, 125, 0, 1],
                &group,
            ]
            .concat(),
            tail(&[131, 0, 0, 0, 0, 0, 0, 0]),
            tail(&[132, 0, 0, 0, 0, 0, 0, 0]),
            tail(&[143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0]),
        ];
        for mut row in rows {
            fill_checksum(src, dst, &mut row);
            let message = Message::parse(&row).unwrap();
            let mut out = vec![1];
            message.emit(src, dst, &mut out);
            assert_eq!(out[1..], row, "{message:?}");
            assert!(icmp::Message::parse(&row, src, dst).is_ok());
            row.push(7);
            assert!(
                icmp::Message::parse(&row, src, dst).is_err(),
                "another octet"
            );
        }
    }

    #[test]
    fn r61_messages_that_are_cut() {
        for (kind, need) in [(130, 24), (131, 24), (132, 24), (143, 8)] {
            for have in 0..need {
                let mut bytes = vec![0; have];
                if let Some(first) = bytes.first_mut() {
                    *first = kind;
                }
                let cut = Message::parse(&bytes);
                assert!(matches!(cut, Err(ParseError::Truncated { .. })), "{cut:?}");
            }
        }
        let echo = Message::parse(&[128; 24]);
        assert_eq!(echo, Err(ParseError::Kind { kind: 128 }));
    }
}
