//! Which connections hold more memory than they need, and when they give it back.
//!
//! A connection that does something keeps its buffers and lists with room to grow: so a busy one allocates
//! nothing. Such a connection is *warm*, and stands in a line. It leaves the line, and gives up all of
//! that, when 64 others have come after it, or when 512 KiB of frames have come in and it has done
//! nothing meanwhile. One that keeps no more than 16 KiB, as with requests and short answers, goes on to a line of 1,024 such.
//!
//! Text that waits to be read, to be sent or to be acknowledged *pins*: a slice keeps a whole chunk of the
//! device's arena alive (256 KiB for 1448 bytes at worst). A connection with such slices stands in a second
//! line. What was there when it entered, and still is when 512 KiB of frames have come, is copied into
//! memory of its own size, unless it lies in slices that pin no more than eight times their size. With
//! those a connection stands in a third line, and they are copied when 8 MiB have come. A reader
//! that keeps up, and a sender whose peer does, is never copied for. So all that is pinned lies
//! within the last 1 MiB of frames, or the last 17 MiB for large slices, however many connections there are.
//!
//! The measure is bytes, not time: a result depends on no clock, and an idle stack has nothing to do.
//! *Owns* the lines. Invariants: a connection stands in each once at most; constant work per call, and
//! at most 1 MiB copied.

use std::collections::VecDeque;

use super::Slot;
use crate::stack::Stack;
use crate::stack::counters::Counters;
use crate::stack::ids::TcpId;
use crate::stack::memory::Memory;
use crate::tcp::{Offsets, Reach};

/// Connections that may be warm at a time.
pub(super) const MOST: usize = 64;

/// The same of those that keep little: what 1,024 at once would allocate anew for each request is a sixth of what it costs.
pub(super) const MOST_SMALL: usize = 1024;

/// What is little, in bytes.
pub(super) const SMALL: usize = 16 << 10;

/// The same of [`MOST`] while memory is short: idle buffers go. With none left all of them do, even those of who
/// is busy: what he keeps to be filled again would leave him four segments to fill.
const MOST_WHEN_SHORT: usize = 4;

/// Bytes of received frames after which a connection is looked at again.
pub(super) const SPAN: u64 = 512 << 10;

/// The same for its large slices. Far above a window, or flows that move would be copied for.
const LARGE_SPAN: u64 = 8 << 20;

/// The span of the line for these slices.
const fn span_of(reach: Reach) -> u64 {
    match reach {
        Reach::Small => SPAN,
        Reach::All => LARGE_SPAN,
    }
}

/// Connections of each line that are looked at in one call at most; each call adds one.
const LOOKED_AT: usize = 8;

/// Bytes that are copied in one go, in each direction and line: 20 to 50 us.
const COPIED_AT_ONCE: usize = 256 << 10;

/// A connection's place in the line of warm ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Warmth {
    /// Not in it.
    #[default]
    Cold,
    /// In it, and nothing has happened since.
    Listed,
    /// In it, and busy.
    Busy,
}

/// Which lines a connection stands in.
#[derive(Debug, Default)]
pub(super) struct Standing {
    warmth: Warmth,
    /// Is it warm in the line of those that keep little?
    small: bool,
    /// Those for small and for large slices, a bit each.
    pinning: u8,
}

impl Standing {
    /// The bit of the line for these slices.
    const fn line(reach: Reach) -> u8 {
        match reach {
            Reach::Small => 1,
            Reach::All => 2,
        }
    }
}

#[derive(Debug)]
struct Warm {
    id: TcpId,
    /// Bytes of frames that had come in when it entered the line.
    entered: u64,
}

#[derive(Debug)]
struct Pinning {
    id: TcpId,
    entered: u64,
    /// Where its streams stood then.
    then: Offsets,
}

#[derive(Debug)]
pub(super) struct Lines {
    /// While no more bytes of frames have come in than these, nobody has stood first in a line for long: all that
    /// each call asks.
    rest: u64,
    warm: VecDeque<Warm>,
    /// Those that keep little. One that has left it for the other, for it keeps more by now, may stand here still.
    small: VecDeque<Warm>,
    pinning: [VecDeque<Pinning>; 2],
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            rest: u64::MAX,
            warm: VecDeque::new(),
            small: VecDeque::new(),
            pinning: Default::default(),
        }
    }
}

impl Lines {
    /// Somebody stands in a line of this span from `clock` on.
    fn expect(&mut self, clock: u64, span: u64) {
        self.rest = self.rest.min(clock + span);
    }

    /// Who is first was looked at.
    fn rest_anew(&mut self) {
        let [small, all] = &self.pinning;
        let warm = self.warm.front().map(|first| first.entered + SPAN);
        let little = self.small.front().map(|first| first.entered + SPAN);
        let small = small.front().map(|first| first.entered + SPAN);
        let all = all.front().map(|first| first.entered + LARGE_SPAN);
        self.rest = [warm, little, small, all]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(u64::MAX);
    }
}

impl Stack {
    /// Looks at who has stood in line for long, a few at a time: mostly at nobody.
    #[inline]
    pub(super) fn look_at_lines(&mut self) {
        let clock = self.net.counters.rx_bytes;
        let lines = &self.tcp.lines;
        let (most, most_small) = self.memory.most_warm();
        if clock > lines.rest || lines.warm.len() > most || lines.small.len() > most_small {
            self.serve_lines(clock);
        }
    }

    #[inline(never)]
    fn serve_lines(&mut self, clock: u64) {
        let (most, most_small) = self.memory.most_warm();
        let aged = |first: &Warm| clock - first.entered > SPAN;
        for _ in 0..LOOKED_AT {
            let line = &self.tcp.lines.warm;
            let crowded = line.len() > most;
            if !crowded && !line.front().is_some_and(aged) {
                break;
            }
            self.cool_first(clock, crowded);
        }
        for _ in 0..LOOKED_AT {
            let line = &self.tcp.lines.small;
            let crowded = line.len() > most_small;
            if !crowded && !line.front().is_some_and(aged) {
                break;
            }
            self.cool_first_small(clock, crowded);
        }
        for reach in [Reach::Small, Reach::All] {
            let first = self.tcp.lines.pinning[reach as usize].front();
            if first.is_some_and(|first| clock - first.entered > span_of(reach)) {
                self.copy_aged(clock, reach);
            }
        }
        self.tcp.lines.rest_anew();
    }

    /// Is there no memory for another connection, even if idle ones, a few of them, give theirs back?
    pub(super) fn has_no_memory(&mut self) -> bool {
        let clock = self.net.counters.rx_bytes;
        for _ in 0..LOOKED_AT {
            if !self.memory.is_full() {
                break;
            }
            self.cool_first_small(clock, true);
            self.cool_first(clock, true);
        }
        self.memory.is_full()
    }

    /// Looks at the connection that has been warm for longest.
    fn cool_first(&mut self, clock: u64, crowded: bool) {
        let line = &mut self.tcp.lines.warm;
        let Some(Warm { id, .. }) = line.pop_front() else {
            return;
        };
        let Some(slot) = self.tcp.slots.get_mut(id) else {
            return;
        };
        if slot.standing.warmth == Warmth::Busy && !crowded {
            slot.standing.warmth = Warmth::Listed;
            line.push_back(Warm { id, entered: clock });
            self.tcp.lines.expect(clock, SPAN);
        } else if crowded && !self.memory.is_short() && slot.connection.held() <= SMALL {
            slot.standing.small = true;
            let line = &mut self.tcp.lines.small;
            line.push_back(Warm { id, entered: clock });
            self.tcp.lines.expect(clock, SPAN);
        } else {
            slot.cool(&mut self.memory, &mut self.net.counters);
        }
    }

    /// Looks at the connection that has kept little for longest.
    fn cool_first_small(&mut self, clock: u64, crowded: bool) {
        let line = &mut self.tcp.lines.small;
        let Some(Warm { id, .. }) = line.pop_front() else {
            return;
        };
        let there = self.tcp.slots.get_mut(id);
        let Some(slot) = there.filter(|slot| slot.standing.small) else {
            return;
        };
        if slot.standing.warmth == Warmth::Busy && !crowded {
            slot.standing.warmth = Warmth::Listed;
            line.push_back(Warm { id, entered: clock });
            self.tcp.lines.expect(clock, SPAN);
        } else {
            slot.cool(&mut self.memory, &mut self.net.counters);
        }
    }

    /// Copies what has been in a line for longer than its span.
    fn copy_aged(&mut self, clock: u64, reach: Reach) {
        let lines = &mut self.tcp.lines;
        for _ in 0..LOOKED_AT {
            let line = &mut lines.pinning[reach as usize];
            let aged = |first: &&Pinning| clock - first.entered > span_of(reach);
            let entry = match line.front().filter(aged) {
                Some(_) => line.pop_front(),
                None => None,
            };
            let Some(entry) = entry else {
                return;
            };
            let Some(slot) = self.tcp.slots.get_mut(entry.id) else {
                continue;
            };
            let copied = slot.connection.compact(entry.then, reach, COPIED_AT_ONCE);
            slot.charge(&mut self.memory, &mut self.net.counters);
            if !copied {
                line.push_front(entry);
                return;
            }
            slot.standing.pinning &= !Standing::line(reach);
            slot.list_pinning(entry.id, reach, clock, lines);
        }
    }
}

impl Memory {
    /// How many connections may be warm now, and how many more that keep little.
    fn most_warm(&self) -> (usize, usize) {
        if self.is_full() {
            (0, 0)
        } else if self.is_short() {
            (MOST_WHEN_SHORT, 0)
        } else {
            (MOST, MOST_SMALL)
        }
    }
}

impl Slot {
    /// Something happened on this connection, when `clock` bytes of frames had come.
    pub(super) fn warm(&mut self, id: TcpId, clock: u64, lines: &mut Lines) {
        let outgrown = self.standing.small && self.connection.held() > SMALL;
        if self.standing.warmth == Warmth::Cold || outgrown {
            self.standing.warmth = Warmth::Listed;
            self.standing.small = false;
            lines.warm.push_back(Warm { id, entered: clock });
            lines.expect(clock, SPAN);
        } else {
            self.standing.warmth = Warmth::Busy;
        }
        if self.connection.may_pin() {
            for reach in [Reach::Small, Reach::All] {
                self.list_pinning(id, reach, clock, lines);
            }
        }
    }

    /// Gives up what it keeps to be busy with.
    fn cool(&mut self, memory: &mut Memory, counters: &mut Counters) {
        self.standing.warmth = Warmth::Cold;
        self.standing.small = false;
        self.connection.cool();
        self.charge(memory, counters);
    }

    /// Puts the connection in line, if it has what pins and does not stand there.
    fn list_pinning(&mut self, id: TcpId, reach: Reach, clock: u64, lines: &mut Lines) {
        let line = Standing::line(reach);
        if self.standing.pinning & line == 0 && self.connection.pins(reach) {
            self.standing.pinning |= line;
            lines.pinning[reach as usize].push_back(Pinning {
                id,
                entered: clock,
                then: self.connection.offsets(),
            });
            lines.expect(clock, span_of(reach));
        }
    }
}
