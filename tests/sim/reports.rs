//! What an end reports beyond a hole is what it got, and is not kept back.
//!
//! *Owns* the numbers that came to each end of each connection. Invariants: each SACK block, a D-SACK
//! (RFC 2883 §4) included, names octets that came (RFC 2018 §3); a bare ACK of one who holds text beyond a
//! hole has a block (RFC 2018 §4: every ACK while there is any). *Does not* judge which block comes first.

use std::collections::HashMap;

use netloom::tcp::{Flags, Header, Options};

use super::monitor::ahead;

/// Ports of end 0 and end 1, the receiving end, the initial number of what it receives.
pub(crate) type Way = ((u16, u16), usize, u32);

/// Offsets from the initial number: from, to; in order, neither touching nor empty.
#[derive(Debug, Default)]
struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    fn insert(&mut self, mut from: u32, mut to: u32) {
        self.0.retain(|&(start, end)| {
            let apart = end < from || start > to;
            if !apart {
                (from, to) = (from.min(start), to.max(end));
            }
            apart
        });
        let at = self.0.partition_point(|&(start, _)| start < from);
        self.0.insert(at, (from, to));
    }

    fn contains(&self, from: u32, to: u32) -> bool {
        let at = self.0.partition_point(|&(start, _)| start <= from);
        at > 0 && from < to && self.0[at - 1].1 >= to
    }

    /// Does anything lie above this?
    fn is_beyond(&self, offset: u32) -> bool {
        self.0.last().is_some_and(|&(start, _)| start > offset)
    }
}

#[derive(Debug, Default)]
struct Got {
    /// Numbers of text and FINs.
    all: Ranges,
    /// Text that the window had room for, and that no newer timestamp came before: PAWS drops what one
    /// did (RFC 7323 §5.3), and that is not kept.
    fits: Ranges,
    /// The newest timestamp that came.
    newest: Option<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Reports {
    got: HashMap<Way, Got>,
    /// Ends that offered SACK, by their ports, which of them, and its initial number.
    offered: HashMap<Way, bool>,
    pub(crate) blocks: u64,
    pub(crate) acks_with_a_hole: u64,
}

impl Reports {
    /// A segment came with `len` numbers, `text` of them octets. `room`: they lie in the window.
    pub(crate) fn on_arrival(
        &mut self,
        way: Way,
        header: &Header<'_>,
        (len, text): (u32, u32),
        room: bool,
    ) {
        let got = self.got.entry(way).or_default();
        let stamp = Options::parse(header.options_bytes()).timestamps;
        let is_old = |val: u32| got.newest.is_some_and(|newest| ahead(newest, val) > 0);
        let old = stamp.is_some_and(|(val, _)| is_old(val));
        if let (Some((val, _)), false) = (stamp, old) {
            got.newest = Some(val);
        }
        let from = header.seq().wrapping_sub(way.2);
        // An old number that comes again, from before this connection, is none of its own.
        if len == 0 || from > u32::MAX / 2 {
            return;
        }
        got.all.insert(from, from + len);
        if room && !old && text > 0 {
            got.fits.insert(from, from + text);
        }
    }

    /// An end sends a SYN: does it offer SACK?
    pub(crate) fn on_syn(&mut self, way: Way, header: &Header<'_>) {
        let offers = Options::parse(header.options_bytes()).sack_permitted;
        self.offered.insert(way, offers);
    }

    /// The receiving end sends a segment. `keeps`: it can lack neither room nor memory, and nothing that
    /// was spoiled looked whole; `own`: its own initial number.
    pub(crate) fn check(
        &mut self,
        way: Way,
        own: u32,
        header: &Header<'_>,
        (text, keeps): (usize, bool),
    ) {
        let (ports, end, iss) = way;
        let options = Options::parse(header.options_bytes());
        let got = self.got.entry(way).or_default();
        for (left, right) in &options.sack {
            let (from, to) = (left.wrapping_sub(iss), right.wrapping_sub(iss));
            // What came of an earlier connection is a duplicate too.
            let is_older = from > u32::MAX / 2;
            assert!(
                is_older || got.all.contains(from, to),
                "end {end} of {ports:?} reports {from} to {to}, of {:?}",
                got.all
            );
            self.blocks += 1;
        }
        let bare = text == 0 && !header.flags().intersects(Flags::FIN | Flags::RST);
        let agreed = [(end, own), (1 - end, iss)]
            .iter()
            .all(|&(who, iss)| self.offered.get(&(ports, who, iss)) == Some(&true));
        let beyond = got.fits.is_beyond(header.ack().wrapping_sub(iss));
        if bare && agreed && keeps && beyond {
            self.acks_with_a_hole += 1;
            assert!(
                !options.sack.is_empty(),
                "end {end} of {ports:?} acknowledges {} and reports nothing of {:?}",
                header.ack().wrapping_sub(iss),
                got.fits
            );
        }
    }
}
