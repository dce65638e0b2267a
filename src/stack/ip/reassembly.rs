//! Datagrams that come in pieces: held until the last one is there, within bounds.
//!
//! RFC 791 §3.2, RFC 815, RFC 1122 §3.3.2; RFC 8200 §4.5, RFC 5722 (overlaps), RFC 3168 §5.3 (ECN); RFC 8900 §3.7. *Owns* the
//! pieces of incomplete datagrams and their deadlines. *Does not* parse, nor answer: what is to be told of a datagram stands in
//! what it gives back.
//! Invariants: bytes, datagrams and pieces are bounded, for one sender too, and the oldest gives way, first of
//! those of which nothing more is taken; no two pieces of a datagram
//! overlap; a piece costs a search among its own datagram's, and no walk over others.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;

use super::pieces::{Added, Pieces};
use super::prefix;
use crate::base::{DropReason, Instant, KeyedState, Protocol};
use crate::stack::config::Config;
use crate::stack::ids::InterfaceId;
use crate::stack::tuple::is_link_local;

/// RFC 8200 §4.5: 60 seconds from the piece that came first; RFC 1122 §3.3.2: fixed, 60 to 120 seconds.
const LIFETIME: Duration = Duration::from_secs(60);

/// What a datagram is charged beside its bytes: its entry here and in three indexes, and what an ICMP error would quote of it
/// (`cargo test --test memory`).
const DATAGRAM_COST: usize = 2560;

/// What a piece is charged beside its bytes.
const PIECE_COST: usize = 128;

/// *Fixed*: no link in use has so small an MTU that a datagram comes in more; 64 KiB over 296 bytes are 241.
const PIECES: usize = 256;

/// *Fixed*: one sender has at most this share of everything, but for his only datagram.
const SENDERS: usize = 4;

/// A piece that waits pins the chunk it was received into. When so many bytes of frames have come
/// since, it is copied to its own size.
const PINNED: u64 = 512 << 10;

/// What says that pieces are one datagram's: RFC 791 §3.2; RFC 8200 §4.5, where the protocol is none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) on: InterfaceId,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    /// [`Protocol(0)`](Protocol) for IPv6.
    pub(crate) protocol: Protocol,
    pub(crate) id: u32,
}

impl Key {
    /// Whose share it takes: who has a /64 has all of its addresses, but a link-local one is a neighbour's.
    fn sender(&self) -> IpAddr {
        if is_link_local(self.src) {
            self.src
        } else {
            prefix(self.src)
        }
    }
}

/// One piece, checked for what its own header tells.
#[derive(Clone, Debug)]
pub(crate) struct Piece<H> {
    /// Where it belongs, in bytes.
    pub(crate) offset: usize,
    /// Does another follow?
    pub(crate) more: bool,
    pub(crate) data: Bytes,
    /// The ECN field of its IP header.
    pub(crate) ecn: u8,
    /// What the first piece knows of the whole datagram.
    pub(crate) head: Option<H>,
}

/// A datagram that is complete.
#[derive(Debug)]
pub(crate) struct Whole<H> {
    pub(crate) head: H,
    /// In order, without gaps.
    pub(crate) pieces: Vec<Bytes>,
    /// The ECN field of all of them (RFC 3168 §5.3).
    pub(crate) ecn: u8,
}

/// What became of a piece.
#[derive(Debug)]
pub(crate) enum Taken<H> {
    /// It waits for others.
    Held,
    Whole(Whole<H>),
    /// So many are dropped: it, and those of its datagram that had come before.
    Dropped {
        reason: DropReason,
        pieces: usize,
    },
}

/// A datagram that was given up.
#[derive(Debug)]
pub(crate) struct Lost<H> {
    /// Its first piece, when that had come.
    pub(crate) head: Option<H>,
    /// Pieces that were held for it.
    pub(crate) pieces: usize,
}

#[derive(Debug)]
struct Datagram<H> {
    /// Its place in the order of all.
    made: u64,
    charge: usize,
    pieces: Pieces,
    head: Option<H>,
    ecn: Seen,
    /// Why what is still to come is dropped.
    spoiled: Option<DropReason>,
}

impl<H> Datagram<H> {
    fn new(made: u64) -> Self {
        Self {
            made,
            charge: DATAGRAM_COST,
            pieces: Pieces::new(PIECES),
            head: None,
            ecn: Seen::default(),
            spoiled: None,
        }
    }
}

/// What one sender has here.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    bytes: usize,
    datagrams: usize,
}

/// All incomplete datagrams.
#[derive(Debug)]
pub(crate) struct Reassembly<H> {
    datagrams: HashMap<Key, Datagram<H>, KeyedState>,
    /// The oldest first, and until when: all live equally long.
    ages: BTreeMap<u64, (Key, Instant)>,
    /// The same for each sender.
    by_sender: BTreeSet<(IpAddr, u64)>,
    /// Those of which all that is still to come is dropped: they give way first.
    spoiled: BTreeSet<u64>,
    /// The same for each sender.
    spoiled_by_sender: BTreeSet<(IpAddr, u64)>,
    senders: HashMap<IpAddr, Use, KeyedState>,
    /// Pieces that pin a chunk, and how many bytes had come when they did.
    pinning: VecDeque<(u64, Key, u64, usize)>,
    made: u64,
    bytes: usize,
    /// Bytes at most, with what holding them costs.
    most_bytes: usize,
    most_datagrams: usize,
    /// Pieces below this are copied at once.
    copy_below: usize,
    /// Pieces of datagrams that gave way, not yet counted.
    evicted: usize,
}

impl<H> Reassembly<H> {
    pub(crate) fn new(config: &Config) -> Self {
        let seed = &config.seed;
        Self {
            datagrams: HashMap::with_hasher(KeyedState::new(seed.key("reassembly"))),
            ages: BTreeMap::new(),
            by_sender: BTreeSet::new(),
            spoiled: BTreeSet::new(),
            spoiled_by_sender: BTreeSet::new(),
            senders: HashMap::with_hasher(KeyedState::new(seed.key("reassembly senders"))),
            pinning: VecDeque::new(),
            made: 0,
            bytes: 0,
            most_bytes: config.reassembly_bytes,
            most_datagrams: config.reassembly_datagrams,
            copy_below: config.copy_below,
            evicted: 0,
        }
    }

    /// Takes a piece. `received` is how many bytes of frames have come up to now.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        received: u64,
        key: Key,
        piece: Piece<H>,
    ) -> Taken<H> {
        // A piece costs two look-ups, its datagram's and its sender's, however it goes on.
        let datagram = match self.datagrams.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                self.made += 1;
                self.ages.insert(self.made, (key, now + LIFETIME));
                self.by_sender.insert((key.sender(), self.made));
                let sender = self.senders.entry(key.sender()).or_default();
                sender.datagrams += 1;
                sender.bytes += DATAGRAM_COST;
                self.bytes += DATAGRAM_COST;
                place.insert(Datagram::new(self.made))
            }
        };
        if let Some(reason) = datagram.spoiled {
            return Self::dropped(reason, 1);
        }
        let len = piece.data.len();
        let small = len < self.copy_below;
        let data = if small {
            Bytes::copy_from_slice(&piece.data)
        } else {
            piece.data
        };
        match datagram.pieces.add(piece.offset, data, piece.more) {
            Added::New => {}
            Added::Again => return Self::dropped(DropReason::FragmentDuplicate, 1),
            Added::Overlap => return self.give_up(key, DropReason::FragmentOverlap),
            Added::TooMany => return self.give_up(key, DropReason::FragmentLimit),
        }
        datagram.ecn.add(piece.ecn);
        datagram.head = datagram.head.take().or(piece.head);
        if datagram.pieces.is_whole() {
            return self.complete(key);
        }
        let cost = len + PIECE_COST;
        datagram.charge += cost;
        self.bytes += cost;
        if !small {
            let made = datagram.made;
            self.pinning.push_back((received, key, made, piece.offset));
        }
        let sender = self.senders.get_mut(&key.sender()).map(|sender| {
            sender.bytes += cost;
            *sender
        });
        self.make_room(key, sender.unwrap_or_default());
        Taken::Held
    }

    /// When the oldest one is given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (_, &(_, until)) = self.ages.first_key_value()?;
        Some(until)
    }

    /// Gives up the oldest datagram if its time is over.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Lost<H>> {
        if self.deadline()? > now {
            return None;
        }
        let (_, &(key, _)) = self.ages.first_key_value()?;
        let datagram = self.remove(key)?;
        Some(Lost {
            pieces: datagram.pieces.count(),
            head: datagram.head,
        })
    }

    /// How many pieces were dropped since the last call because there was no room for them.
    pub(crate) fn take_evicted(&mut self) -> usize {
        core::mem::take(&mut self.evicted)
    }

    /// Bytes held, with what holding them costs.
    pub(crate) const fn held(&self) -> usize {
        self.bytes
    }

    /// Drops what there is of a datagram, and the piece that came; of IPv6's it remembers to drop the rest.
    ///
    /// RFC 5722 §4, RFC 8200 §4.5: "including those not yet received" is IPv6's. In IPv4 what comes with its Identification is as
    /// likely the next one's: 16 bits come round within the lifetime (RFC 4963).
    fn give_up(&mut self, key: Key, reason: DropReason) -> Taken<H> {
        if key.src.is_ipv6() {
            return self.spoil(key, reason);
        }
        let removed = self.remove(key);
        let pieces = removed.map_or(0, |datagram| datagram.pieces.count());
        Self::dropped(reason, 1 + pieces)
    }

    fn spoil(&mut self, key: Key, reason: DropReason) -> Taken<H> {
        let Some(datagram) = self.datagrams.get_mut(&key) else {
            return Self::dropped(reason, 1);
        };
        datagram.spoiled = Some(reason);
        datagram.head = None;
        let pieces = 1 + datagram.pieces.clear();
        let given_back = datagram.charge - DATAGRAM_COST;
        datagram.charge = DATAGRAM_COST;
        self.bytes -= given_back;
        self.spoiled.insert(datagram.made);
        self.spoiled_by_sender.insert((key.sender(), datagram.made));
        if let Some(sender) = self.senders.get_mut(&key.sender()) {
            sender.bytes -= given_back;
        }
        Self::dropped(reason, pieces)
    }

    const fn dropped(reason: DropReason, pieces: usize) -> Taken<H> {
        Taken::Dropped { reason, pieces }
    }

    fn complete(&mut self, key: Key) -> Taken<H> {
        let Some(datagram) = self.remove(key) else {
            return Self::dropped(DropReason::FragmentLimit, 1);
        };
        let pieces = datagram.pieces.count();
        match (datagram.head, datagram.ecn.together()) {
            (Some(head), Some(ecn)) => Taken::Whole(Whole {
                head,
                pieces: datagram.pieces.take(),
                ecn,
            }),
            (_, None) => Self::dropped(DropReason::FragmentEcn, pieces),
            (None, Some(_)) => {
                debug_assert!(false, "the piece at 0 had no head");
                Self::dropped(DropReason::FragmentOverlap, pieces)
            }
        }
    }

    /// The oldest give way, those first of which nothing more is taken: of this sender while it has more than its share in several, else
    /// of all.
    fn make_room(&mut self, newest: Key, mut sender: Use) {
        let (bytes, datagrams) = (self.most_bytes, self.most_datagrams);
        loop {
            let has_others = sender.datagrams > 1;
            let oldest = if has_others && sender.bytes > bytes / SENDERS
                || sender.datagrams > (datagrams / SENDERS).max(1)
            {
                let spoiled = first_of(&self.spoiled_by_sender, newest.sender());
                spoiled.or_else(|| first_of(&self.by_sender, newest.sender()))
            } else if self.bytes > bytes || self.datagrams.len() > datagrams {
                let spoiled = self.spoiled.first();
                spoiled.or_else(|| self.ages.keys().next()).copied()
            } else {
                return;
            };
            let removed = oldest
                .and_then(|made| self.ages.get(&made).copied())
                .and_then(|(key, _)| self.remove(key));
            let Some(removed) = removed else { return };
            self.evicted += removed.pieces.count();
            let left = self.senders.get(&newest.sender());
            sender = left.copied().unwrap_or_default();
        }
    }

    fn remove(&mut self, key: Key) -> Option<Datagram<H>> {
        let datagram = self.datagrams.remove(&key)?;
        self.ages.remove(&datagram.made);
        self.by_sender.remove(&(key.sender(), datagram.made));
        if datagram.spoiled.is_some() {
            self.spoiled.remove(&datagram.made);
            self.spoiled_by_sender
                .remove(&(key.sender(), datagram.made));
        }
        self.bytes -= datagram.charge;
        if let Some(sender) = self.senders.get_mut(&key.sender()) {
            sender.bytes -= datagram.charge;
            sender.datagrams -= 1;
            if sender.datagrams == 0 {
                self.senders.remove(&key.sender());
            }
        }
        if self.datagrams.is_empty() {
            self.give_back();
        }
        Some(datagram)
    }

    /// Nothing is held: nor is the room for it.
    fn give_back(&mut self) {
        self.pinning = VecDeque::new();
        self.datagrams.shrink_to_fit();
        self.senders.shrink_to_fit();
    }

    /// Copies the pieces that have kept a chunk from being used again for long: so many bytes of frames have come up to now.
    #[inline]
    pub(crate) fn unpin(&mut self, received: u64) {
        while let Some(&(at, key, made, offset)) = self.pinning.front() {
            if received.saturating_sub(at) < PINNED {
                return;
            }
            self.pinning.pop_front();
            let datagram = self.datagrams.get_mut(&key);
            if let Some(datagram) = datagram.filter(|datagram| datagram.made == made) {
                datagram.pieces.copy(offset);
            }
        }
    }
}

/// The oldest of one sender's.
fn first_of(all: &BTreeSet<(IpAddr, u64)>, sender: IpAddr) -> Option<u64> {
    let mut own = all.range((sender, 0)..=(sender, u64::MAX));
    own.next().map(|&(_, made)| made)
}

/// Which ECN code points were seen, a bit for each.
#[derive(Clone, Copy, Debug, Default)]
struct Seen(u8);

impl Seen {
    const NOT_ECT: u8 = 1 << 0b00;
    const ECT1: u8 = 1 << 0b01;
    const ECT0: u8 = 1 << 0b10;
    const CE: u8 = 1 << 0b11;

    fn add(&mut self, ecn: u8) {
        self.0 |= 1 << (ecn & 0b11);
    }

    /// RFC 3168 §5.3: CE of one is CE of all, but not where one cannot be marked. What it leaves open: not ECT if one is not.
    fn together(self) -> Option<u8> {
        let has = |bit: u8| self.0 & bit != 0;
        match (has(Self::CE), has(Self::NOT_ECT)) {
            (true, true) => None,
            (true, false) => Some(0b11),
            (false, true) => Some(0b00),
            (false, false) if has(Self::ECT0) => Some(0b10),
            (false, false) => {
                debug_assert!(has(Self::ECT1), "nothing was seen");
                Some(0b01)
            }
        }
    }
}

#[cfg(test)]
#[path = "reassembly_tests.rs"]
mod tests;
