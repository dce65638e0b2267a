//! The block format: sections, each with its byte order and interfaces, each with its clock.
//!
//! draft-ietf-opsawg-pcapng §3.1 (blocks), §4.1 to §4.4 (section, interface, enhanced and simple
//! packet), appendix A (the obsolete packet block); blocks of other types are passed over.
//!
//! ```text
//!  type(4) length(4) body(length - 12) length(4)
//! ```

use std::io::Read;

use bytes::Bytes;

use super::source::Source;
use super::{Corrupt, Counts, Ended, Fields, Frame, LinkType, MAX_RECORD, Order, corrupt};
use crate::capture::format::{Direction, block, option};

/// The section that is being read.
#[derive(Debug)]
pub(super) struct File {
    order: Order,
    interfaces: Vec<Interface>,
}

/// What an interface description says that a packet needs.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// Zero: no limit.
    snap_len: u32,
    clock: Clock,
}

/// The fields before a packet's data, whichever block they come from.
#[derive(Clone, Copy, Debug)]
struct Fixed {
    interface: u32,
    time: Option<u64>,
    captured: u32,
    original_len: u32,
}

/// How an interface counts time (§4.2: `if_tsresol`, `if_tsoffset`).
#[derive(Clone, Copy, Debug)]
struct Clock {
    resolution: u8,
    offset_secs: i64,
}

/// The most interfaces that a section may have.
const MAX_INTERFACES: usize = 65_536;

/// Type, length and trailing length.
const OVERHEAD: u32 = 12;

impl File {
    /// Reads the section header that begins the file, its type already read.
    pub(super) fn after_magic<R: Read>(source: &mut Source<R>) -> Result<Self, Ended> {
        let mut file = Self {
            order: Order::Little,
            interfaces: Vec::new(),
        };
        file.section(source)?;
        Ok(file)
    }

    /// Reads one block: a frame, or `None` when it held no packet.
    pub(super) fn next<R: Read>(
        &mut self,
        source: &mut Source<R>,
        counts: &mut Counts,
    ) -> Result<Option<Frame>, Ended> {
        let start = source.position();
        let kind = self.order.u32(source.array_or_end()?);
        if kind == block::SECTION {
            self.section(source)?;
            return Ok(None);
        }
        let total = self.order.u32(source.array()?);
        let bad = |what| corrupt(start, what);
        if total < OVERHEAD || !total.is_multiple_of(4) {
            return Err(bad(Corrupt::BlockLength(total)));
        }
        let len = u64::from(total - OVERHEAD);
        let wanted = matches!(
            kind,
            block::INTERFACE | block::PACKET | block::SIMPLE | block::ENHANCED
        );
        if !wanted {
            source.skip(len)?;
            self.trailer(source, start, total)?;
            counts.skipped += 1;
            return Ok(None);
        }
        if len > MAX_RECORD {
            let limit = MAX_RECORD;
            return Err(bad(Corrupt::TooLong { len, limit }));
        }
        let body = Bytes::from(source.bytes(len)?);
        self.trailer(source, start, total)?;
        if kind == block::INTERFACE {
            self.interface(&body, start)?;
            return Ok(None);
        }
        let frame = self.packet(kind, &body, counts);
        counts.unreadable += u64::from(frame.is_none());
        Ok(frame)
    }

    /// A section header, from its length on: sets the byte order, forgets the interfaces.
    fn section<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), Ended> {
        let start = source.position() - 4;
        let total: [u8; 4] = source.array()?;
        let order: [u8; 4] = source.array()?;
        self.order = match u32::from_le_bytes(order) {
            block::ORDER => Order::Little,
            number if number.swap_bytes() == block::ORDER => Order::Big,
            number => return Err(corrupt(start, Corrupt::ByteOrder(number))),
        };
        self.interfaces.clear();
        let total = self.order.u32(total);
        // Order, version and section length at least.
        if total < OVERHEAD + 16 || !total.is_multiple_of(4) {
            return Err(corrupt(start, Corrupt::BlockLength(total)));
        }
        let [a, b, c, d] = source.array()?;
        let (major, minor) = (self.order.u16([a, b]), self.order.u16([c, d]));
        if major != 1 {
            return Err(corrupt(start, Corrupt::Version { major, minor }));
        }
        source.skip(u64::from(total - OVERHEAD - 8))?;
        self.trailer(source, start, total)
    }

    /// The length that closes a block must be the one that opened it.
    fn trailer<R: Read>(
        &self,
        source: &mut Source<R>,
        start: u64,
        before: u32,
    ) -> Result<(), Ended> {
        let after = self.order.u32(source.array()?);
        if after != before {
            return Err(corrupt(start, Corrupt::Trailer { before, after }));
        }
        Ok(())
    }

    /// An interface description (§4.2). Its number is its place, so it must not be passed over.
    fn interface(&mut self, body: &[u8], start: u64) -> Result<(), Ended> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(corrupt(start, Corrupt::Interfaces(MAX_INTERFACES)));
        }
        let mut fields = self.fields(body);
        let (Some(link), Some(_), Some(snap_len)) = (fields.u16(), fields.u16(), fields.u32())
        else {
            let total = u32::try_from(body.len()).unwrap_or(u32::MAX) + OVERHEAD;
            return Err(corrupt(start, Corrupt::BlockLength(total)));
        };
        let mut clock = Clock::DEFAULT;
        for (code, value) in options(fields) {
            match code {
                option::IF_TSRESOL => {
                    clock.resolution = value.first().copied().unwrap_or(clock.resolution);
                }
                option::IF_TSOFFSET => {
                    if let Ok(bytes) = <[u8; 8]>::try_from(value) {
                        clock.offset_secs = self.order.u64(bytes).cast_signed();
                    }
                }
                _ => {}
            }
        }
        self.interfaces.push(Interface {
            link: LinkType(link),
            snap_len,
            clock,
        });
        Ok(())
    }

    /// A packet of any of the three kinds; `None` when its fields contradict each other.
    fn packet(&self, kind: u32, body: &Bytes, counts: &mut Counts) -> Option<Frame> {
        let mut fields = self.fields(body);
        let fixed = self.fixed(kind, &mut fields, counts)?;
        let index = usize::try_from(fixed.interface).ok()?;
        let interface = self.interfaces.get(index)?;
        let len = usize::try_from(fixed.captured).ok()?;
        let data = fields.take(len)?;
        fields.take_padding(len);
        let direction = match kind {
            block::SIMPLE => None,
            _ => self.packet_options(fields, counts),
        };
        Some(Frame {
            at: fixed.time.map(|ticks| interface.clock.nanos(ticks)),
            link: interface.link,
            data: body.slice_ref(data),
            original_len: fixed.original_len.max(fixed.captured),
            direction,
            interface: fixed.interface,
        })
    }

    /// The fields before a packet's data.
    fn fixed(&self, kind: u32, fields: &mut Fields<'_>, counts: &mut Counts) -> Option<Fixed> {
        if kind == block::SIMPLE {
            let original_len = fields.u32()?;
            let snap_len = match self.interfaces.first()?.snap_len {
                0 => u32::MAX,
                limit => limit,
            };
            let there = u32::try_from(fields.left.len()).ok()?;
            return Some(Fixed {
                interface: 0,
                time: None,
                captured: original_len.min(snap_len).min(there),
                original_len,
            });
        }
        let interface = if kind == block::ENHANCED {
            fields.u32()?
        } else {
            let interface = u32::from(fields.u16()?);
            match fields.u16()? {
                u16::MAX => {} // not known
                drops => counts.lost = counts.lost.saturating_add(u64::from(drops)),
            }
            interface
        };
        Some(Fixed {
            interface,
            time: Some(fields.split_u64()?),
            captured: fields.u32()?,
            original_len: fields.u32()?,
        })
    }

    /// The options after a packet's data: its direction, and what was lost before it.
    fn packet_options(&self, fields: Fields<'_>, counts: &mut Counts) -> Option<Direction> {
        let mut direction = None;
        for (code, value) in options(fields) {
            if code == option::EPB_FLAGS
                && let Ok(flags) = value.try_into()
            {
                direction = Direction::from_flags(self.order.u32(flags));
            }
            if code == option::EPB_DROPCOUNT
                && let Ok(lost) = value.try_into()
            {
                counts.lost = counts.lost.saturating_add(self.order.u64(lost));
            }
        }
        direction
    }

    const fn fields<'a>(&self, left: &'a [u8]) -> Fields<'a> {
        Fields {
            order: self.order,
            left,
        }
    }
}

impl Clock {
    /// Microseconds since the Unix epoch.
    const DEFAULT: Self = Self {
        resolution: 6,
        offset_secs: 0,
    };

    /// Nanoseconds since the Unix epoch, saturating at both ends.
    fn nanos(self, ticks: u64) -> u64 {
        const NANOS: u128 = 1_000_000_000;
        let exponent = u32::from(self.resolution & 0x7F);
        let scaled = u128::from(ticks) * NANOS;
        let nanos = if self.resolution & 0x80 == 0 {
            let per_second = 10u128.checked_pow(exponent);
            per_second.map_or(0, |per_second| scaled / per_second)
        } else {
            scaled >> exponent
        };
        let offset = i128::from(self.offset_secs) * 1_000_000_000;
        let sum = i128::try_from(nanos)
            .unwrap_or(i128::MAX)
            .saturating_add(offset);
        u64::try_from(sum.max(0)).unwrap_or(u64::MAX)
    }
}

/// The options of a block, up to the first that does not fit.
fn options(mut fields: Fields<'_>) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let code = fields.u16()?;
        let len = usize::from(fields.u16()?);
        if code == option::END {
            return None;
        }
        let value = fields.take(len)?;
        fields.take_padding(len);
        Some((code, value))
    })
}
