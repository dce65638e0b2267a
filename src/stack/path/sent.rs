//! Which large packets a datagram socket sent lately: what a packet-too-big has to quote to be believed.
//!
//! RFC 8201 §4, RFC 8085 §5.2. Nothing acknowledges a datagram, so nobody else could tell whether one that is quoted
//! ever left. *Owns* the list; it is empty for who sends no large ones. *Does not* believe anything.

use core::net::IpAddr;
use std::collections::VecDeque;

/// Destinations that are remembered: those of a server that answers so many in a round trip.
const MOST: usize = 32;

/// The largest one to each destination, that of the last one last.
#[derive(Debug, Default)]
pub(crate) struct LargeSent(VecDeque<Large>);

#[derive(Clone, Copy, Debug)]
struct Large {
    dst: IpAddr,
    /// IP header and all, of the largest.
    len: usize,
}

impl LargeSent {
    /// A packet of `len` bytes left; `least` is what every path carries, and never refuses.
    #[inline]
    pub(crate) fn note(&mut self, dst: IpAddr, len: usize, least: usize) {
        if len <= least {
            return;
        }
        match self.0.back_mut() {
            Some(last) if last.dst == dst => last.len = last.len.max(len),
            _ => {
                let at = self.0.iter().position(|large| large.dst == dst);
                let before = at.and_then(|at| self.0.remove(at));
                let len = before.map_or(len, |before| before.len.max(len));
                self.push(Large { dst, len });
            }
        }
    }

    /// Did one as large leave for there?
    pub(crate) fn holds(&self, dst: IpAddr, len: usize) -> bool {
        let mut all = self.0.iter();
        all.any(|large| large.dst == dst && len <= large.len)
    }

    fn push(&mut self, large: Large) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(large);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn what_left_lately_is_known() {
        let mut sent = LargeSent::default();
        sent.note(ip(1), 1000, 552);
        sent.note(ip(1), 1500, 552);
        sent.note(ip(1), 900, 552);
        assert_eq!(sent.0.len(), 1);
        for (last, len, known) in [(1, 1500, true), (1, 1501, false), (2, 1000, false)] {
            assert_eq!(sent.holds(ip(last), len), known, "{last} {len}");
        }
        for last in 2..=32 {
            sent.note(ip(last), 1200, 552);
        }
        assert!(sent.holds(ip(1), 1500) && sent.0.len() == MOST);
        // Destinations in turn are one each.
        for _ in 0..99 {
            sent.note(ip(2), 1200, 552);
            sent.note(ip(3), 1200, 552);
        }
        assert!(sent.holds(ip(1), 1500) && sent.0.len() == MOST);
        sent.note(ip(33), 1200, 552);
        assert!(!sent.holds(ip(1), 1500) && sent.0.len() == MOST);
    }

    /// Who asks and answers in small packets remembers nothing.
    #[test]
    fn small_ones_take_no_memory() {
        let mut sent = LargeSent::default();
        sent.note(ip(1), 552, 552);
        assert_eq!(sent.0.capacity(), 0);
    }
}
