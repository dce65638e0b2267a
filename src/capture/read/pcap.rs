//! The classic format: one header, one link type, then records.
//!
//! draft-ietf-opsawg-pcap §4 (file header), §5 (record), and the "modified" variant of Kuznetzov's
//! libpcap, whose records have eight bytes more.
//!
//! ```text
//!  magic(4) major(2) minor(2) reserved(8) snaplen(4) fcs(4 bits) 0(12) linktype(16)
//!  seconds(4) fraction(4) captured(4) original(4) data...
//! ```

use std::io::Read;

use bytes::Bytes;

use super::source::Source;
use super::{Corrupt, Ended, Fields, Frame, LinkType, MAX_RECORD, Order, corrupt};

/// What the file header said.
#[derive(Debug)]
pub(super) struct File {
    order: Order,
    /// Nanoseconds per unit of the fraction.
    unit: u64,
    link: LinkType,
    /// Bytes of a record header after its first 16.
    extra: u64,
    /// Files before version 2.3 wrote the two lengths the other way round, and some of 2.3 too.
    may_swap_lengths: bool,
}

/// Magic numbers: microseconds, nanoseconds, and Kuznetzov's.
const MICROSECONDS: u32 = 0xA1B2_C3D4;
const NANOSECONDS: u32 = 0xA1B2_3C4D;
const MODIFIED: u32 = 0xA1B2_CD34;

impl File {
    /// Reads the rest of the header; `None` when `magic` is not a pcap file's.
    pub(super) fn after_magic<R: Read>(
        magic: [u8; 4],
        source: &mut Source<R>,
    ) -> Result<Option<Self>, Ended> {
        let known = |number| match number {
            MICROSECONDS => Some((1000, 0)),
            NANOSECONDS => Some((1, 0)),
            MODIFIED => Some((1000, 8)),
            _ => None,
        };
        let orders = [Order::Little, Order::Big];
        let Some((order, (unit, extra))) = orders
            .into_iter()
            .find_map(|order| Some((order, known(order.u32(magic))?)))
        else {
            return Ok(None);
        };
        let rest: [u8; 20] = source.array()?;
        let [major, minor] = [0, 2].map(|at| order.u16([rest[at], rest[at + 1]]));
        if major != 2 {
            return Err(corrupt(0, Corrupt::Version { major, minor }));
        }
        // The upper half holds the length of a frame check sequence, which decoders pass over.
        let link = order.u32([rest[16], rest[17], rest[18], rest[19]]) & 0xFFFF;
        Ok(Some(Self {
            order,
            unit,
            link: LinkType(u16::try_from(link).unwrap_or(u16::MAX)),
            extra,
            may_swap_lengths: minor <= 3,
        }))
    }

    /// The next frame, or how the file ended.
    pub(super) fn next<R: Read>(&self, source: &mut Source<R>) -> Result<Frame, Ended> {
        let start = source.position();
        let header: [u8; 16] = source.array_or_end()?;
        source.skip(self.extra)?;
        let mut fields = Fields {
            order: self.order,
            left: &header,
        };
        let mut number = || fields.u32().unwrap_or(0);
        let (seconds, fraction) = (number(), number());
        let (mut captured, mut original_len) = (number(), number());
        if self.may_swap_lengths && captured > original_len {
            core::mem::swap(&mut captured, &mut original_len);
        }
        let len = u64::from(captured);
        if len > MAX_RECORD {
            let limit = MAX_RECORD;
            return Err(corrupt(start, Corrupt::TooLong { len, limit }));
        }
        let data = source.bytes(len)?;
        Ok(Frame {
            at: Some(u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit),
            link: self.link,
            data: Bytes::from(data),
            original_len: original_len.max(captured),
            direction: None,
            interface: 0,
        })
    }
}
