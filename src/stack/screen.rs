//! Who is certainly not in a set of addresses, for the questions that each packet asks and whose answer
//! is nearly always no: is the source one of ours, is it a broadcast address?
//!
//! *Owns* a few bits. *Does not* own the set: who may be in it is looked up there. Invariant: what was
//! added may be in it, for ever: a set that many have left has another made. A screen of many addresses screens nothing, and costs a bit's
//! test; a peer who picks its address by it costs himself what the look-up costs.

use core::net::IpAddr;

/// 256 of them: a network's host part, where addresses of one link differ, has eight bits as a rule.
const WORDS: usize = 4;

/// Has a bit for each address that was added, and others share it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Screen([u64; WORDS]);

impl FromIterator<IpAddr> for Screen {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(all: I) -> Self {
        let mut screen = Self::default();
        all.into_iter().for_each(|address| screen.add(address));
        screen
    }
}

impl Screen {
    /// Adds an address to the set.
    pub(crate) fn add(&mut self, address: IpAddr) {
        let (word, bit) = Self::place(address);
        self.0[word] |= bit;
    }

    /// May it be in the set? What was never added seldom is.
    #[inline]
    pub(crate) fn may_hold(&self, address: IpAddr) -> bool {
        let (word, bit) = Self::place(address);
        self.0[word] & bit != 0
    }

    #[inline]
    fn place(address: IpAddr) -> (usize, u64) {
        let fold = fold(address);
        ((fold >> 6) % WORDS, 1 << (fold % 64))
    }
}

/// An address in few bits: those of one link differ in the low eight. One bit is turned round in one of the
/// families, for a station often has the same number in both.
#[inline]
pub(crate) fn fold(address: IpAddr) -> usize {
    let last = match address {
        IpAddr::V4(a) => a.octets()[3],
        IpAddr::V6(a) => a.octets()[15] ^ 0b100,
    };
    usize::from(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_may_be_in_it_and_a_neighbour_is_not() {
        let mut screen = Screen::default();
        let at = |text: &str| -> IpAddr { text.parse().unwrap() };
        assert!(!screen.may_hold(at("10.0.0.1")));
        for text in ["10.0.0.2", "10.0.0.255", "fd00::7"] {
            screen.add(at(text));
            assert!(screen.may_hold(at(text)), "{text}");
        }
        assert!(!screen.may_hold(at("10.0.0.1")));
        assert!(!screen.may_hold(at("fd00::1")));
        assert!(screen.may_hold(at("10.9.9.2")), "others share its bit");
    }
}
