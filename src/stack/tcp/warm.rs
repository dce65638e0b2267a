//! Which connections hold more memory than an idle one needs, and when they give it back.
//!
//! A connection that does something keeps its buffers, lists with room to grow, and slices of what
//! the device read into: so a busy one allocates and copies nothing. Such a connection is *warm*,
//! and stands in one line. It leaves the line, and gives up all of that, when 64 others have come
//! after it, or when 512 KiB of frames have come in and it has done nothing meanwhile.
//!
//! The second bounds what unread text pins. A slice keeps a whole chunk of the device's arena alive
//! (256 KiB for 1448 bytes at worst). Text that was there when its connection entered the line, and
//! still is when 512 KiB of frames have come, is copied into memory of its own size, unless it lies
//! in slices worth their chunk (32 KiB). A reader that keeps up is never copied for. So all that is
//! pinned lies within the last 1 MiB of frames, however many connections there are; beside slices
//! of 32 KiB and more, which pin at most eight times their size.
//!
//! The measure is bytes, not time: a result depends on no clock, and an idle stack has nothing to do.
//! *Owns* the line. Invariants: a connection stands in it once at most; constant work per call, and
//! at most 256 KiB copied.

use std::collections::VecDeque;

use crate::stack::Stack;
use crate::stack::ids::TcpId;

/// Connections that may be warm at a time.
const MOST: usize = 64;

/// Bytes of received frames after which a connection is looked at again.
const SPAN: u64 = 512 << 10;

/// Connections that are looked at in one call at most; each call adds one.
const LOOKED_AT: usize = 8;

/// Bytes that are copied in one go: 20 to 50 us.
const COPIED_AT_ONCE: usize = 256 << 10;

/// A connection's place in the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Warmth {
    /// Not in it.
    #[default]
    Cold,
    /// In it, and nothing has happened since.
    Listed,
    /// In it, and busy.
    Busy,
}

/// Is there more to copy?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cooled {
    Wholly,
    InPart,
}

#[derive(Debug)]
struct Entry {
    id: TcpId,
    /// Bytes of frames that had come in when it entered the line.
    entered: u64,
    /// The stream offset of RCV.NXT then.
    offset: u64,
}

#[derive(Debug, Default)]
pub(super) struct WarmLine(VecDeque<Entry>);

impl Stack {
    /// Something happened on this connection.
    pub(super) fn warm_tcp(&mut self, id: TcpId) {
        let clock = self.net.counters.rx_bytes;
        let Some(slot) = self.tcp.slots.get_mut(id) else {
            return;
        };
        if slot.warmth == Warmth::Cold {
            slot.warmth = Warmth::Listed;
            let offset = slot.connection.rcv.offset;
            self.tcp.warm.0.push_back(Entry {
                id,
                entered: clock,
                offset,
            });
        } else {
            slot.warmth = Warmth::Busy;
        }
        for _ in 0..LOOKED_AT {
            let line = &self.tcp.warm.0;
            let crowded = line.len() > MOST;
            let aged = line.front().is_some_and(|e| clock - e.entered > SPAN);
            if !(crowded || aged) || self.cool_first(clock, crowded) == Cooled::InPart {
                break;
            }
        }
    }

    /// Looks at the connection that has been warm for longest.
    fn cool_first(&mut self, clock: u64, crowded: bool) -> Cooled {
        let Some(mut entry) = self.tcp.warm.0.pop_front() else {
            return Cooled::Wholly;
        };
        let Some(slot) = self.tcp.slots.get_mut(entry.id) else {
            return Cooled::Wholly;
        };
        let before = if crowded { u64::MAX } else { entry.offset };
        if !slot.connection.rcv.compact(before, COPIED_AT_ONCE) {
            self.tcp.warm.0.push_front(entry);
            return Cooled::InPart;
        }
        if slot.warmth == Warmth::Busy && !crowded {
            slot.warmth = Warmth::Listed;
            (entry.entered, entry.offset) = (clock, slot.connection.rcv.offset);
            self.tcp.warm.0.push_back(entry);
        } else {
            slot.warmth = Warmth::Cold;
            slot.connection.cool();
        }
        Cooled::Wholly
    }
}
