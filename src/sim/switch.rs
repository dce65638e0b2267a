//! An Ethernet switch: learns where stations are, sends to where they are, or everywhere.
//!
//! IEEE 802.1D-2004 §7.7 to §7.9: forwarding, learning, ageing. *Owns* the table of stations. *Does
//! not* speak a spanning tree: links that form a circle carry a broadcast for ever, which
//! [`SimError::Stuck`](super::SimError::Stuck) or the wires' queues end.

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::base::{Instant, MacAddr};

/// A station that was not heard for so long may be elsewhere (IEEE 802.1D-2004 §7.9, Table 7-5).
const AGEING: Duration = Duration::from_secs(300);
/// The stations that it remembers; frames to others go everywhere.
const MOST_STATIONS: usize = 8192;

/// How often a full table is searched: a flood of stations costs no walk each.
const SWEEP: Duration = Duration::from_secs(1);

/// A switch.
#[derive(Debug, Default)]
pub(super) struct Switch {
    ports: usize,
    stations: BTreeMap<MacAddr, (usize, Instant)>,
    /// When a full table was last searched for those that were silent.
    swept: Option<Instant>,
    arrived: Vec<(usize, Bytes)>,
    sent: Vec<(usize, Bytes)>,
}

impl Switch {
    /// Adds a port; returns its number.
    pub(super) const fn add_port(&mut self) -> usize {
        self.ports += 1;
        self.ports - 1
    }

    /// A frame has come to a port.
    pub(super) fn arrive(&mut self, port: usize, frame: Bytes) {
        self.arrived.push((port, frame));
    }

    /// Forwards what arrived.
    pub(super) fn turn(&mut self, now: Instant) {
        for (from, frame) in core::mem::take(&mut self.arrived) {
            let Some((to, source)) = addresses(&frame) else {
                continue;
            };
            self.learn(now, source, from);
            match self.find(now, to) {
                // It is where it came from, and has heard it.
                Some(port) if port == from => {}
                Some(port) => self.sent.push((port, frame)),
                None => {
                    let others = (0..self.ports).filter(|&port| port != from);
                    self.sent.extend(others.map(|port| (port, frame.clone())));
                }
            }
        }
    }

    /// Gives away what the last turn sent.
    pub(super) fn drain_sent(&mut self, mut take: impl FnMut(usize, Bytes)) {
        for (port, frame) in self.sent.drain(..) {
            take(port, frame);
        }
    }

    fn learn(&mut self, now: Instant, source: MacAddr, port: usize) {
        if source.is_multicast() {
            return;
        }
        let known = self.stations.contains_key(&source);
        let full = self.stations.len() >= MOST_STATIONS;
        let may_sweep = self.swept.is_none_or(|swept| now.since(swept) >= SWEEP);
        if !known && full && may_sweep {
            self.swept = Some(now);
            self.stations
                .retain(|_, (_, heard)| now.since(*heard) < AGEING);
        }
        if known || self.stations.len() < MOST_STATIONS {
            self.stations.insert(source, (port, now));
        }
    }

    fn find(&self, now: Instant, to: MacAddr) -> Option<usize> {
        let (port, heard) = self.stations.get(&to)?;
        (now.since(*heard) < AGEING).then_some(*port)
    }
}

/// Where an Ethernet frame goes to and where it comes from.
fn addresses(frame: &[u8]) -> Option<(MacAddr, MacAddr)> {
    let address = |at: usize| {
        let bytes: [u8; 6] = frame.get(at..at + 6)?.try_into().ok()?;
        Some(MacAddr::new(bytes))
    };
    Some((address(0)?, address(6)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(to: u8, from: u8) -> Bytes {
        let mut frame = vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from];
        frame.extend([0; 50]);
        frame.into()
    }

    fn sent(switch: &mut Switch, at: u64, port: usize, frame: Bytes) -> Vec<usize> {
        switch.arrive(port, frame);
        switch.turn(Instant::from_millis(at));
        let mut ports = Vec::new();
        switch.drain_sent(|port, _| ports.push(port));
        ports
    }

    #[test]
    fn stations_are_learned_and_forgotten() {
        let mut switch = Switch::default();
        for _ in 0..4 {
            switch.add_port();
        }
        assert_eq!(sent(&mut switch, 0, 0, frame(2, 1)), [1, 2, 3]);
        assert_eq!(sent(&mut switch, 1, 2, frame(1, 2)), [0]);
        assert_eq!(sent(&mut switch, 2, 0, frame(2, 1)), [2]);
        // Two stations behind one port: the switch leaves them to themselves.
        assert_eq!(sent(&mut switch, 3, 2, frame(1, 5)), [0]);
        assert_eq!(sent(&mut switch, 4, 2, frame(2, 5)), [0; 0]);
        // One that has moved.
        assert_eq!(sent(&mut switch, 5, 3, frame(1, 2)), [0]);
        assert_eq!(sent(&mut switch, 6, 0, frame(2, 1)), [3]);
        // One that was silent for five minutes.
        assert_eq!(sent(&mut switch, 300_005, 0, frame(2, 1)), [1, 2, 3]);
        let broadcast = [[255; 6].as_slice(), &[2, 0, 0, 0, 0, 1], &[0; 50]].concat();
        assert_eq!(sent(&mut switch, 300_006, 0, broadcast.into()), [1, 2, 3]);
        assert_eq!(sent(&mut switch, 300_007, 0, vec![1; 9].into()), [0; 0]);
    }

    #[test]
    fn a_flood_of_stations_fills_the_table_and_no_more() {
        let mut switch = Switch::default();
        switch.add_port();
        switch.add_port();
        for n in 0..20_000u32 {
            let [_, _, a, b] = n.to_be_bytes();
            let source = [2, 0, 0, 1, a, b];
            let flood = [&[2, 0, 0, 0, 0, 9], source.as_slice(), &[0; 50]].concat();
            sent(&mut switch, 0, 0, flood.into());
        }
        assert_eq!(switch.stations.len(), MOST_STATIONS);
        assert_eq!(sent(&mut switch, 1, 0, frame(9, 1)), [1]);
        // When they have been silent they give way.
        assert_eq!(sent(&mut switch, 301_000, 0, frame(9, 1)), [1]);
        assert_eq!(switch.stations.len(), 1);
        assert_eq!(sent(&mut switch, 301_000, 1, frame(1, 2)), [0]);
    }
}
