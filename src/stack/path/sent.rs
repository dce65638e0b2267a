//! Which large packets a datagram socket sent, or the stack as echo replies: what a packet-too-big has to quote to be believed.
//!
//! RFC 8201 §4, RFC 8085 §5.2. Nothing acknowledges a datagram, so nobody else could tell whether one that is quoted
//! ever left. *Owns* the list, by destination, with the largest length of each; and what it was told of one for whom there is no room where all
//! look. It is empty for who sends no large ones. *Does not* believe anything.

use core::net::IpAddr;
use std::collections::VecDeque;

use crate::base::Instant;

/// Destinations that are remembered: those of a server that answers so many in a round trip.
const MOST: usize = 32;

/// The largest one to each destination, that of the last one last.
#[derive(Debug, Default)]
pub(crate) struct LargeSent {
    list: VecDeque<Large>,
    /// Was anything kept of one of them? The usual answer is no, and is had at once.
    told: bool,
}

#[derive(Clone, Copy, Debug)]
struct Large {
    dst: IpAddr,
    /// IP header and all, of the largest.
    len: usize,
    /// What the path there carries, and until when that holds.
    told: Option<(u16, Instant)>,
}

impl LargeSent {
    /// A packet of `len` bytes left; `least` is what every path carries, and never refuses.
    #[inline]
    pub(crate) fn note(&mut self, dst: IpAddr, len: usize, least: usize) {
        if len <= least {
            return;
        }
        match self.list.back_mut() {
            Some(last) if last.dst == dst => last.len = last.len.max(len),
            _ => {
                let at = self.list.iter().position(|large| large.dst == dst);
                let before = at.and_then(|at| self.list.remove(at));
                let told = before.and_then(|before| before.told);
                let len = before.map_or(len, |before| before.len.max(len));
                self.push(Large { dst, len, told });
            }
        }
    }

    /// Did one as large leave for there?
    pub(crate) fn holds(&self, dst: IpAddr, len: usize) -> bool {
        let mut all = self.list.iter();
        all.any(|large| large.dst == dst && len <= large.len)
    }

    /// The path there carries so much until then, which nobody else remembers.
    pub(crate) fn tell(&mut self, dst: IpAddr, mtu: u16, until: Instant) {
        if let Some(large) = self.list.iter_mut().find(|large| large.dst == dst) {
            large.told = Some((mtu, until));
            self.told = true;
        }
    }

    /// The largest packet that gets there by what was told; `u16::MAX`: nothing was.
    #[inline]
    pub(crate) fn told(&self, now: Instant, dst: IpAddr) -> u16 {
        if !self.told {
            return u16::MAX;
        }
        let large = self.list.iter().find(|large| large.dst == dst);
        let told = large.and_then(|large| large.told);
        let told = told.filter(|&(_, until)| now < until);
        told.map_or(u16::MAX, |(mtu, _)| mtu)
    }

    fn push(&mut self, large: Large) {
        if self.list.len() >= MOST {
            self.list.pop_front();
        }
        self.list.push_back(large);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn what_left_is_known() {
        let mut sent = LargeSent::default();
        sent.note(ip(1), 1000, 552);
        sent.note(ip(1), 1500, 552);
        sent.note(ip(1), 900, 552);
        assert_eq!(sent.list.len(), 1);
        for (last, len, known) in [(1, 1500, true), (1, 1501, false), (2, 1000, false)] {
            assert_eq!(sent.holds(ip(last), len), known, "{last} {len}");
        }
        for last in 2..=32 {
            sent.note(ip(last), 1200, 552);
        }
        assert!(sent.holds(ip(1), 1500) && sent.list.len() == MOST);
        // Destinations in turn are one each.
        for _ in 0..99 {
            sent.note(ip(2), 1200, 552);
            sent.note(ip(3), 1200, 552);
        }
        assert!(sent.holds(ip(1), 1500) && sent.list.len() == MOST);
        sent.note(ip(33), 1200, 552);
        assert!(!sent.holds(ip(1), 1500) && sent.list.len() == MOST);
    }

    /// What was told of one holds for that one until its time is over, or others took its place.
    #[test]
    fn what_was_told_alone_is_kept_for_a_while() {
        let (mut sent, at) = (LargeSent::default(), Instant::from_millis);
        sent.tell(ip(1), 1300, at(9));
        assert_eq!(sent.told(at(1), ip(1)), u16::MAX, "nothing left");
        sent.note(ip(1), 1500, 552);
        sent.tell(ip(1), 1300, at(9));
        sent.note(ip(2), 1500, 552);
        sent.note(ip(1), 1500, 552);
        let told = |ms, last| sent.told(at(ms), ip(last));
        assert_eq!((told(8, 1), told(8, 2)), (1300, u16::MAX));
        assert_eq!(told(9, 1), u16::MAX);
    }

    /// Who asks and answers in small packets remembers nothing.
    #[test]
    fn small_ones_take_no_memory() {
        let mut sent = LargeSent::default();
        sent.note(ip(1), 552, 552);
        assert_eq!(sent.list.capacity(), 0);
    }
}
