//! Initial sequence numbers and timestamp offsets (RFC 6528 §3, RFC 7323 §7.1).
//!
//! *Owns* what numbers a new connection starts at, and where the last one of its name ended, for as long as
//! that matters. *Does not* know TIME-WAIT, whose records say that themselves.

use core::net::SocketAddr;

use crate::base::{Instant, Key, Seed};

use super::seq::SeqNum;

// Names that ended lately, each in the place that its hash names: 16 KiB, from the first on.
const ENDS: usize = 1024;

/// The keyed functions of one stack, and what their values must not meet.
#[derive(Clone, Debug)]
pub(crate) struct IsnGenerator {
    isn: Key,
    timestamp: Key,
    /// Where connections ended that the clock had not caught up with. A later one may take an
    /// earlier one's place: then the clock alone keeps their numbers apart.
    ends: Vec<End>,
}

/// Where the last connection of a name ended.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    /// Of the name.
    tag: u32,
    /// SND.NXT.
    nxt: SeqNum,
    /// From then on nothing of it is on its way any more.
    until: Instant,
}

impl IsnGenerator {
    pub(crate) fn new(seed: &Seed) -> Self {
        Self {
            isn: seed.key("tcp isn"),
            timestamp: seed.key("tcp timestamp offset"),
            ends: Vec::new(),
        }
    }

    /// RFC 6528 §3: `ISN = M + F(localip, localport, remoteip, remoteport, secretkey)`, where M
    /// ticks every 4 microseconds (RFC 9293 §3.4.1 MUST-8); but above all numbers of the last connection
    /// of this name, when that was faster than the clock.
    pub(crate) fn isn(&self, now: Instant, local: SocketAddr, remote: SocketAddr) -> SeqNum {
        let hash = self.isn.hash(&tuple_bytes(local, remote));
        let isn = by_clock(now, hash);
        match self.ends.get(place_of(hash)) {
            Some(end) if end.tag == tag_of(hash) && now <= end.until => end.nxt.later(isn),
            _ => isn,
        }
    }

    /// A connection of this name ended at SND.NXT `nxt`, without TIME-WAIT. RFC 9293 §3.4.1: until `until`,
    /// old segments of it must not be taken for those of the next.
    pub(crate) fn note_end(
        &mut self,
        (now, until): (Instant, Instant),
        local: SocketAddr,
        remote: SocketAddr,
        nxt: SeqNum,
    ) {
        let hash = self.isn.hash(&tuple_bytes(local, remote));
        if !nxt.after(by_clock(now, hash)) {
            return;
        }
        if self.ends.is_empty() {
            self.ends.resize(ENDS, End::default());
        }
        if let Some(end) = self.ends.get_mut(place_of(hash)) {
            let tag = tag_of(hash);
            *end = End { tag, nxt, until };
        }
    }

    /// An offset per pair of addresses, so that TIME-WAIT reuse keeps its order (RFC 6191 §4).
    pub(crate) fn timestamp_offset(&self, local: SocketAddr, remote: SocketAddr) -> u32 {
        let portless = |a: SocketAddr| SocketAddr::new(a.ip(), 0);
        low(self
            .timestamp
            .hash(&tuple_bytes(portless(local), portless(remote))))
    }
}

/// RFC 6528 §3's M + F.
fn by_clock(now: Instant, hash: u64) -> SeqNum {
    let ticks = now.as_nanos() / 4000;
    SeqNum::new(low(ticks.wrapping_add(hash)))
}

/// What names are told apart by: the half of the hash that no number shows.
fn tag_of(hash: u64) -> u32 {
    low(hash >> 32)
}

fn place_of(hash: u64) -> usize {
    usize::try_from(tag_of(hash)).unwrap_or(0) % ENDS
}

/// The low half.
pub(super) fn low(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Both ends as bytes to hash, IPv4 addresses as mapped.
pub(super) fn tuple_bytes(local: SocketAddr, remote: SocketAddr) -> [u8; 36] {
    let mut bytes = [0; 36];
    for (half, address) in bytes.chunks_exact_mut(18).zip([local, remote]) {
        let ip = match address.ip() {
            core::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            core::net::IpAddr::V6(v6) => v6,
        };
        half[..16].copy_from_slice(&ip.octets());
        half[16..].copy_from_slice(&address.port().to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: TCP-10
    #[test]
    fn numbers_tick_with_the_clock_and_differ_by_tuple_and_secret() {
        let make = |seed| IsnGenerator::new(&Seed::from_number(seed));
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (local, remote) = (address("10.0.0.1:80"), address("10.0.0.2:1000"));
        let isn = make(1).isn(Instant::ZERO, local, remote);
        let later = make(1).isn(Instant::from_nanos(4_000_000), local, remote);
        assert_eq!(later.since(isn), 1000);
        assert_ne!(isn, make(2).isn(Instant::ZERO, local, remote));
        assert_ne!(
            isn,
            make(1).isn(Instant::ZERO, local, address("10.0.0.2:1001"))
        );
    }

    /// Covers: TCP-10 (RFC 9293 §3.4.1: the clock does not meet the numbers of a faster predecessor)
    #[test]
    fn numbers_begin_where_a_faster_predecessor_ended() {
        let mut generator = IsnGenerator::new(&Seed::from_number(1));
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (local, remote) = (address("10.0.0.1:80"), address("10.0.0.2:1000"));
        let other = address("10.0.0.2:1001");
        let at = Instant::from_millis;
        let [first, of_other] = [remote, other].map(|to| generator.isn(at(5), local, to));
        generator.note_end((at(5), at(65_005)), local, remote, first + 1_000_000);
        let isn = |ms, to| generator.isn(at(ms), local, to);
        assert_eq!(isn(5, remote), first + 1_000_000);
        assert_eq!(isn(5, other), of_other);
        assert_eq!(isn(3_005, remote), first + 1_000_000);
        // Four seconds are a million ticks.
        assert_eq!(isn(5_005, remote), first + 1_250_000);
        // What no longer matters says nothing, half a turn of the numbers later neither.
        for ms in [65_006, 5 + 4 * (1 << 31) / 1000] {
            let plain = IsnGenerator::new(&Seed::from_number(1));
            assert_eq!(isn(ms, remote), plain.isn(at(ms), local, remote));
        }
        // A slower one leaves nothing.
        let mut generator = IsnGenerator::new(&Seed::from_number(1));
        generator.note_end((at(5), at(65_005)), local, remote, first);
        generator.note_end((at(9), at(65_005)), local, remote, first + 1000);
        assert!(generator.ends.is_empty());
    }

    /// Covers: TS-16
    #[test]
    fn timestamp_offsets_are_per_host_pair() {
        let generator = IsnGenerator::new(&Seed::from_number(1));
        let offset = |remote: &str| {
            generator.timestamp_offset("10.0.0.1:80".parse().unwrap(), remote.parse().unwrap())
        };
        assert_eq!(offset("10.0.0.2:1"), offset("10.0.0.2:2"));
        assert_ne!(offset("10.0.0.2:1"), offset("10.0.0.3:1"));
    }
}
