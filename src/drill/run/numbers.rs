//! Between the numbers of a script and those on the wire.
//!
//! *Owns* both sides' shifts, and the timestamps and cookies that were seen. *Does not* know packets.
//!
//! Ours are found from the SYNs that leave: the first that a line expects says which number of the script
//! that is. The peer's are the script's and a shift, zero but in the variant below the wrap. A timestamp
//! of ours is known by the line that expected it.

use std::collections::BTreeMap;

use super::super::ast::Number;
use crate::tcp::Shift;

/// How many of our timestamps are remembered: more than lines of the longest script can name.
const MAX_STAMPS: usize = 100_000;
/// Cookies of ours that are remembered: a peer has one, and another after a day.
const MAX_COOKIES: usize = 16;

/// The numbers of one connection after the other.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Our initial number on the wire, and in the script once a line expected it.
    ours: Option<(u32, Option<u32>)>,
    /// Added to what the script says of the peer.
    pub(super) peer_shift: Shift,
    /// The same for the peer's timestamps.
    pub(super) peer_stamp_shift: u32,
    /// The peer's initial number in the script.
    pub(super) peer_isn: u32,
    /// Of ours: in the script, on the wire.
    stamps: BTreeMap<u32, u32>,
    first_stamp: Option<(u32, u32)>,
    /// Our SYN left without timestamps: what the peer echoes means nothing.
    stampless: bool,
    /// The cookies that we gave: in the script, on the wire.
    cookies: Vec<(Vec<u8>, Vec<u8>)>,
    /// Is what a script echoes counted from the first of ours?
    pub(super) scaled_echo: bool,
}

impl Numbers {
    /// A SYN of ours left, with or without timestamps.
    pub(super) fn on_our_syn(&mut self, live: u32, stamped: bool) {
        if self.ours.is_none_or(|(known, _)| known != live) {
            self.on_new_flow();
            self.ours = Some((live, None));
        }
        self.stampless = !stamped;
    }

    /// The peer opens another connection, or we do.
    pub(super) fn on_new_flow(&mut self) {
        self.ours = None;
        self.stamps.clear();
        self.stampless = false;
        self.first_stamp = None;
    }

    /// A line expects our SYN with this number.
    pub(super) fn anchor(&mut self, script: u32) {
        if let Some((_, known)) = &mut self.ours {
            known.get_or_insert(script);
        }
    }

    /// Our initial number on the wire.
    pub(super) fn our_isn(&self) -> Option<u32> {
        self.ours.map(|(live, _)| live)
    }

    fn our_shift(&self) -> Shift {
        self.ours.map_or_else(Shift::default, |(live, script)| {
            Shift::between(script.unwrap_or(0), live)
        })
    }

    pub(super) fn ours_to_wire(&self, number: Number) -> u32 {
        if number.absolute {
            return number.value;
        }
        self.our_shift().to_live(number.value)
    }

    pub(super) fn ours_to_script(&self, live: u32) -> u32 {
        self.our_shift().to_told(live)
    }

    pub(super) fn theirs_to_wire(&self, number: Number) -> u32 {
        if number.absolute {
            return number.value;
        }
        self.peer_shift.to_live(number.value)
    }

    pub(super) fn theirs_to_script(&self, live: u32) -> u32 {
        self.peer_shift.to_told(live)
    }

    /// Where in our stream a number on the wire is, from 0.
    pub(super) fn our_offset(&self, live: u32) -> u32 {
        let isn = self.our_isn().unwrap_or(0);
        live.wrapping_sub(isn).wrapping_sub(1)
    }

    /// Where in the peer's stream a number of the script is, from 0.
    pub(super) fn their_offset(&self, script: u32) -> u32 {
        script.wrapping_sub(self.peer_isn).wrapping_sub(1)
    }

    /// A line expected a timestamp of ours, and this is what it was.
    pub(super) fn note_stamp(&mut self, script: u32, live: u32) {
        self.first_stamp.get_or_insert((script, live));
        if self.stamps.len() < MAX_STAMPS {
            self.stamps.insert(script, live);
        }
    }

    /// The first timestamp of ours that a line expected.
    pub(super) const fn first_stamp(&self) -> Option<(u32, u32)> {
        self.first_stamp
    }

    /// A timestamp of ours as the script would count it.
    pub(super) fn stamp_to_script(&self, live: u32) -> u32 {
        self.first_stamp.map_or(live, |(script, first)| {
            live.wrapping_sub(first).wrapping_add(script)
        })
    }

    /// What the peer echoes; `None` when no line expected it.
    pub(super) fn echo_to_wire(&self, script: u32) -> Option<u32> {
        if let Some(live) = self.stamps.get(&script) {
            return Some(*live);
        }
        if self.stampless {
            return Some(script);
        }
        let (first, live) = self.first_stamp.filter(|_| self.scaled_echo)?;
        Some(script.wrapping_sub(first).wrapping_add(live))
    }
}

/// Fast-open cookies: ours are drawn, and a script's are those of another key.
impl Numbers {
    /// A line expects a cookie of ours, and this is what it was; of another length it is another.
    pub(super) fn note_cookie(&mut self, script: &[u8], live: &[u8]) {
        let is_known = |(a, b): &(Vec<u8>, Vec<u8>)| a == script || b == live;
        let fits = script.len() == live.len() && !self.cookies.iter().any(is_known);
        if fits && self.cookies.len() < MAX_COOKIES {
            self.cookies.push((script.to_vec(), live.to_vec()));
        }
    }

    pub(super) fn cookie_to_wire(&self, script: &[u8]) -> Vec<u8> {
        let found = self.cookies.iter().find(|(known, _)| known == script);
        found.map_or(script, |(_, live)| live).to_vec()
    }

    pub(super) fn cookie_to_script(&self, live: &[u8]) -> Vec<u8> {
        let found = self.cookies.iter().find(|(_, known)| known == live);
        found.map_or(live, |(script, _)| script).to_vec()
    }
}

/// A byte of our stream. Both streams repeat after 2^32 bytes, as their numbers do.
pub(super) const fn our_byte(offset: u32) -> u8 {
    offset.wrapping_mul(2_654_435_761).to_be_bytes()[0]
}

/// A byte of the peer's.
pub(super) const fn their_byte(offset: u32) -> u8 {
    offset.wrapping_mul(2_246_822_519).to_be_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u32) -> Number {
        Number {
            value,
            absolute: false,
        }
    }

    #[test]
    fn ours_follow_the_syn_and_the_line_that_expects_it() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.ours_to_wire(number(5)), 5);
        numbers.on_our_syn(u32::MAX, true);
        assert_eq!(
            numbers.ours_to_wire(number(1)),
            0,
            "before a line says more"
        );
        numbers.anchor(100);
        numbers.on_our_syn(u32::MAX, true);
        numbers.anchor(7);
        assert_eq!(numbers.ours_to_wire(number(101)), 0, "it came again");
        assert_eq!(numbers.ours_to_script(9), 110);
        assert_eq!(numbers.our_offset(0), 0);
        let absolute = Number {
            value: 3,
            absolute: true,
        };
        assert_eq!(numbers.ours_to_wire(absolute), 3);
    }

    #[test]
    fn an_echo_names_what_was_expected() {
        let mut numbers = Numbers::default();
        numbers.note_stamp(100, 5000);
        numbers.note_stamp(200, 5100);
        assert_eq!(numbers.echo_to_wire(200), Some(5100));
        assert_eq!(numbers.echo_to_wire(150), None);
        assert_eq!(numbers.stamp_to_script(5150), 250);
        numbers.scaled_echo = true;
        assert_eq!(numbers.echo_to_wire(150), Some(5050));
        numbers.on_new_flow();
        assert_eq!(numbers.echo_to_wire(150), None);
        numbers.on_our_syn(1, false);
        assert_eq!(numbers.echo_to_wire(150), Some(150), "nobody reads it");
    }
}
