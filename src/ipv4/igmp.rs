//! IGMP messages.
//!
//! RFC 1112 Appendix I (version 1), RFC 2236 §2 (version 2), RFC 3376 §4, §7.1 (version 3). *Owns* the messages.
//! *Does not* decide what is reported or believed: `stack` does. Invariant: [`Message::parse`] is total.
//!
//! ```text
//! query   | 0x11, 1 | max resp code, 1 | checksum, 2 | group, 4 | version 3: flags, 1 | QQIC, 1 | sources, 2 | source, 4 each |
//! older   | type, 1 | 0, 1             | checksum, 2 | group, 4 |
//! report  | 0x22, 1 | 0, 1             | checksum, 2 | 0, 2 | records, 2 | record, each |
//! ```

use core::net::Ipv4Addr;
use core::time::Duration;

use crate::base::checksum::{Sum, checksum};
use crate::base::records::{self, GroupRecord, eight_bits};

/// Addresses of senders.
pub type Sources<'a> = records::Sources<'a, Ipv4Addr>;
/// What a version 3 report has.
pub type Records<'a> = records::Records<'a, Ipv4Addr>;

/// 224.0.0.1, every system on the link: queries go there, and it is never reported.
pub const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// 224.0.0.2, every router on the link: Leave messages go there (RFC 2236 §9).
pub const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
/// 224.0.0.22: version 3 reports go there (RFC 3376 §4.2.14).
pub const REPORTS_TO: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
/// The IPv4 option that every message has, so that routers look at it (RFC 2113 §2.1, RFC 3376 §4).
pub const ROUTER_ALERT: [u8; 4] = [super::kind::ROUTER_ALERT, 4, 0, 0];

/// Bytes of the messages of versions 1 and 2, and of a report before its records.
pub const HEADER_LEN: usize = 8;
/// Bytes of a version 3 query before its sources.
const QUERY_LEN: usize = 12;
const CHECKSUM_OFFSET: usize = 2;

mod kind {
    pub(super) const QUERY: u8 = 0x11;
    pub(super) const REPORT_V1: u8 = 0x12;
    pub(super) const REPORT_V2: u8 = 0x16;
    pub(super) const LEAVE: u8 = 0x17;
    pub(super) const REPORT_V3: u8 = 0x22;
}

/// Why bytes are not an IGMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The message ends before its fixed part or its sources.
    #[error("igmp message needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that are needed.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// A query of a length that no version has (RFC 3376 §7.1).
    #[error("igmp query of {len} bytes is of no version")]
    QueryLength {
        /// Its bytes.
        len: usize,
    },
    /// The checksum is wrong.
    #[error("igmp checksum 0x{found:04x} is wrong")]
    Checksum {
        /// The Checksum field.
        found: u16,
    },
}

/// An IGMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Type 0x11: who is in which group?
    Query(Query<'a>),
    /// Type 0x12: a member says so, by version 1.
    ReportV1 {
        /// Of which group.
        group: Ipv4Addr,
    },
    /// Type 0x16: a member says so, by version 2.
    ReportV2 {
        /// Of which group.
        group: Ipv4Addr,
    },
    /// Type 0x17: perhaps the last one leaves.
    Leave {
        /// Which group.
        group: Ipv4Addr,
    },
    /// Type 0x22: what a member wants, by version 3.
    ReportV3 {
        /// Of each group.
        records: Records<'a>,
    },
    /// Any other type.
    Unknown {
        /// The Type field.
        kind: u8,
    },
}

/// A question of a router's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query<'a> {
    /// The Max Resp Code field; 0 is version 1.
    pub max_resp_code: u8,
    /// About this group; 0.0.0.0 is about all.
    pub group: Ipv4Addr,
    /// What only version 3 asks.
    pub v3: Option<QueryV3<'a>>,
}

/// What only a query of version 3 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryV3<'a> {
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
    /// By when answers are wanted: in units of 0.1 s, of version 3 with an exponent. Version 1's is 10 s (RFC 2236 §4).
    pub fn max_response(&self) -> Duration {
        let tenths = match (self.v3, self.max_resp_code) {
            (Some(_), code) => eight_bits(code),
            (None, 0) => 100,
            (None, code) => code.into(),
        };
        Duration::from_millis(u64::from(tenths) * 100)
    }
}

impl QueryV3<'_> {
    /// How often the querier asks (RFC 3376 §4.1.7).
    pub fn interval(&self) -> Duration {
        Duration::from_secs(eight_bits(self.interval_code).into())
    }
}

impl<'a> Message<'a> {
    /// Reads a message and verifies its checksum, which is over all of the IP payload (RFC 3376 §4.1.2). What is behind
    /// the known fields is passed over (§4.1.10, §4.2.11).
    ///
    /// # Errors
    /// [`ParseError`] when it is cut, a query of no version, or its checksum is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let message = Self::parse_unverified(bytes)?;
        if Sum::new().bytes(bytes).is_valid() {
            Ok(message)
        } else {
            let found = bytes
                .get(CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2)
                .map_or(0, |field| u16::from_be_bytes([field[0], field[1]]));
            Err(ParseError::Checksum { found })
        }
    }

    /// The same without looking at the checksum, for a message that may be cut.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] and [`ParseError::QueryLength`].
    pub fn parse_unverified(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let have = bytes.len();
        let truncated = |need| ParseError::Truncated { need, have };
        let (&[kind, code, _, _, a, b, c, d], rest) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or_else(|| truncated(HEADER_LEN))?;
        let group = Ipv4Addr::new(a, b, c, d);
        Ok(match kind {
            kind::QUERY => Self::Query(Query {
                max_resp_code: code,
                group,
                v3: query_v3(have, rest)?,
            }),
            kind::REPORT_V1 => Self::ReportV1 { group },
            kind::REPORT_V2 => Self::ReportV2 { group },
            kind::LEAVE => Self::Leave { group },
            kind::REPORT_V3 => Self::ReportV3 {
                records: Records::new(u16::from_be_bytes([c, d]), rest),
            },
            kind => Self::Unknown { kind },
        })
    }

    /// Appends the message with its checksum; of records no auxiliary data (RFC 3376 §4.2.10). An unknown one is its type
    /// and zeros.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let of = |kind, group: Ipv4Addr| (kind, 0, group);
        let (kind, code, group) = match *self {
            Self::Query(query) => (kind::QUERY, query.max_resp_code, query.group),
            Self::ReportV1 { group } => of(kind::REPORT_V1, group),
            Self::ReportV2 { group } => of(kind::REPORT_V2, group),
            Self::Leave { group } => of(kind::LEAVE, group),
            Self::ReportV3 { records } => {
                let records: Vec<GroupRecord> = records.iter().map(Into::into).collect();
                return emit_report(&records, out);
            }
            Self::Unknown { kind } => of(kind, Ipv4Addr::UNSPECIFIED),
        };
        let start = out.len();
        out.extend_from_slice(&[kind, code, 0, 0]);
        out.extend_from_slice(&group.octets());
        if let Self::Query(Query { v3: Some(v3), .. }) = self {
            let count = u16::try_from(v3.sources.len()).unwrap_or(u16::MAX);
            let [a, b] = count.to_be_bytes();
            let flags = u8::from(v3.suppress) << 3 | v3.robustness & 7;
            out.extend_from_slice(&[flags, v3.interval_code, a, b]);
            out.extend_from_slice(v3.sources.as_bytes());
        }
        fill_checksum(&mut out[start..]);
    }
}

/// What a query has behind the group: RFC 3376 §7.1 tells its version by its length.
fn query_v3(len: usize, rest: &[u8]) -> Result<Option<QueryV3<'_>>, ParseError> {
    let Some((&[flags, interval_code, a, b], rest)) = rest.split_first_chunk::<4>() else {
        return if rest.is_empty() {
            Ok(None)
        } else {
            Err(ParseError::QueryLength { len })
        };
    };
    let count = u16::from_be_bytes([a, b]);
    let (sources, _) = Sources::parse(count, rest).ok_or_else(|| ParseError::Truncated {
        need: QUERY_LEN + 4 * usize::from(count),
        have: len,
    })?;
    Ok(Some(QueryV3 {
        suppress: flags & 8 != 0,
        robustness: flags & 7,
        interval_code,
        sources,
    }))
}

/// Appends a version 3 report of these records.
pub(crate) fn emit_report(records: &[GroupRecord], out: &mut Vec<u8>) {
    let start = out.len();
    let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
    let [a, b] = count.to_be_bytes();
    out.extend_from_slice(&[kind::REPORT_V3, 0, 0, 0, 0, 0, a, b]);
    let all = records.iter().take(usize::from(count));
    all.for_each(|record| record.emit(out));
    fill_checksum(&mut out[start..]);
}

fn fill_checksum(message: &mut [u8]) {
    let sum = checksum(message);
    message[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::records::RecordKind;

    /// The bytes with a right checksum.
    fn summed(bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        fill_checksum(&mut bytes);
        bytes
    }

    fn query(bytes: &[u8]) -> Query<'_> {
        match Message::parse_unverified(bytes).unwrap() {
            Message::Query(query) => query,
            other => panic!("{other:?}"),
        }
    }

    /// Covers: IGM-4, IGM-15 (RFC 3376 §7.1; RFC 2236 §4). r61: a response code of 0.
    #[test]
    fn r61_the_length_tells_the_version_of_a_query() {
        let mut bytes = vec![0x11, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(query(&bytes).max_response(), Duration::from_secs(10));
        bytes[1] = 255;
        assert_eq!(query(&bytes).max_response(), Duration::from_millis(25_500));
        for len in 9..12 {
            bytes.resize(len, 0);
            let refused = Message::parse_unverified(&bytes);
            assert_eq!(refused, Err(ParseError::QueryLength { len }));
        }
        bytes.resize(12, 0);
        bytes[8..].copy_from_slice(&[0xfa, 125, 0, 0]);
        let seen = query(&bytes);
        assert_eq!(seen.max_response(), Duration::from_millis(3_174_400));
        let v3 = seen.v3.unwrap();
        assert_eq!((v3.suppress, v3.robustness), (true, 2));
        assert_eq!(v3.interval(), Duration::from_secs(125));
        // Version 3 has no response time of its own for 0.
        bytes[1] = 0;
        assert_eq!(query(&bytes).max_response(), Duration::ZERO);
        bytes[11] = 2;
        bytes.extend([10, 0, 0, 1, 10, 0, 0]);
        let cut = ParseError::Truncated { need: 20, have: 19 };
        assert_eq!(Message::parse_unverified(&bytes), Err(cut));
        bytes.push(2);
        let sources = query(&bytes).v3.unwrap().sources;
        assert!(
            sources
                .iter()
                .eq([[10, 0, 0, 1], [10, 0, 0, 2]].map(Ipv4Addr::from))
        );
    }

    /// Covers: IGM-2, IGM-3 (octets behind the known ones count for the checksum alone).
    #[test]
    fn the_checksum_is_over_all_of_it() {
        let report = [0x16, 0, 0, 0, 224, 1, 1, 1, 7, 7];
        let whole = summed(&report);
        let group = Ipv4Addr::new(224, 1, 1, 1);
        assert_eq!(Message::parse(&whole), Ok(Message::ReportV2 { group }));
        for at in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[at] ^= 0x40;
            assert!(
                matches!(Message::parse(&wrong), Err(ParseError::Checksum { .. })),
                "{at}"
            );
        }
        let short = summed(&report[..8]);
        assert!(Message::parse(&[&short[..], &[1]].concat()).is_err());
    }

    /// Covers: IGM-12 (unknown types and records are read, for who passes them over).
    #[test]
    fn messages_go_out_as_they_came_in() {
        #[rustfmt::skip]
        let rows: [&[u8]; 7] = [
            &[0x11, 0, 0, 0, 0, 0, 0, 0],
            &[0x11, 100, 0, 0, 224, 1, 1, 1, 0x0a, 125, 0, 1, 10, 0, 0, 9],
            &[0x12, 0, 0, 0, 224, 1, 1, 1],
            &[0x16, 0, 0, 0, 224, 1, 1, 1],
            &[0x17, 0, 0, 0, 224, 1, 1, 1],
            &[0x22, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 224, 1, 1, 1, 9, 0, 0, 1, 224, 1, 1, 2, 10, 0, 0, 9],
            &[0x99, 0, 0, 0, 0, 0, 0, 0],
        ];
        for row in rows {
            let bytes = summed(row);
            let message = Message::parse(&bytes).unwrap();
            let mut out = vec![1];
            message.emit(&mut out);
            assert_eq!(out[1..], bytes, "{message:?}");
        }
        let bytes = summed(rows[5]);
        let Ok(Message::ReportV3 { records }) = Message::parse(&bytes) else {
            panic!("no report");
        };
        let kinds: Vec<RecordKind> = records.iter().map(|record| record.kind).collect();
        assert_eq!(kinds, [RecordKind::TO_EXCLUDE, RecordKind(9)]);
    }

    #[test]
    fn r61_messages_that_are_cut() {
        for len in 0..HEADER_LEN {
            let cut = ParseError::Truncated { need: 8, have: len };
            assert_eq!(Message::parse(&vec![0x16; len]), Err(cut));
        }
    }
}
