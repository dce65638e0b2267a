//! The interfaces that share another one's device, by the VLAN of their frames.
//!
//! IEEE 802.1Q §6.9, §9.6. *Owns* which of them a tag means, and whose turn it is to send. *Does not* read tags, nor
//! send. Invariants: a VLAN is one interface's; who has something to send comes before anybody has a second turn.

use crate::stack::ids::InterfaceId;

/// *Fixed*: VLANs that share one device. Whose turn it is is looked for among them.
pub(in crate::stack) const MOST_VLANS: usize = 256;

/// The VLANs of a device.
#[derive(Debug, Default)]
pub(in crate::stack) struct Vlans {
    /// By number.
    all: Vec<(u16, InterfaceId)>,
    /// Who had the last turn: 0 is whose device it is, then they follow.
    last: usize,
    /// That turn goes on.
    stays: bool,
}

impl Vlans {
    /// Whose frames have this tag?
    pub(in crate::stack) fn find(&self, vlan: u16) -> Option<InterfaceId> {
        let found = self.all.binary_search_by_key(&vlan, |&(vlan, _)| vlan);
        found.ok().map(|at| self.all[at].1)
    }

    /// One more, which is not there.
    pub(in crate::stack) fn add(&mut self, vlan: u16, on: InterfaceId) {
        let at = self.all.partition_point(|&(other, _)| other < vlan);
        self.all.insert(at, (vlan, on));
        self.stays = false;
    }

    /// One has gone.
    pub(in crate::stack) fn remove(&mut self, on: InterfaceId) {
        self.all.retain(|&(_, other)| other != on);
        self.stays = false;
    }

    pub(in crate::stack) fn iter(&self) -> impl Iterator<Item = InterfaceId> + '_ {
        self.all.iter().map(|&(_, on)| on)
    }

    pub(in crate::stack) const fn len(&self) -> usize {
        self.all.len()
    }

    /// The next that `wants` to send, `of` whose device it is included.
    pub(super) fn next(
        &mut self,
        of: InterfaceId,
        wants: impl Fn(InterfaceId) -> bool,
    ) -> Option<InterfaceId> {
        let count = self.all.len() + 1;
        let first = self.last + usize::from(!core::mem::take(&mut self.stays));
        for at in (first..first + count).map(|at| at % count) {
            let on = at.checked_sub(1).map_or(of, |at| self.all[at].1);
            if wants(on) {
                self.last = at;
                return Some(on);
            }
        }
        None
    }

    /// The turn of the last one goes on.
    pub(super) const fn stay(&mut self) {
        self.stays = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_and_keeps_it_while_the_device_is_full() {
        let [of, a, b] = [0, 1, 2].map(InterfaceId::from_index);
        let mut vlans = Vlans::default();
        vlans.add(20, b);
        vlans.add(10, a);
        assert_eq!(
            [10, 15, 20].map(|vlan| vlans.find(vlan)),
            [Some(a), None, Some(b)]
        );
        let turns: Vec<_> = (0..4).filter_map(|_| vlans.next(of, |_| true)).collect();
        assert_eq!(turns, [a, b, of, a]);
        vlans.stay();
        assert_eq!(vlans.next(of, |_| true), Some(a));
        assert_eq!(vlans.next(of, |_| true), Some(b));
        assert_eq!(vlans.next(of, |on| on == b), Some(b), "nobody else");
        assert_eq!(vlans.next(of, |_| false), None);
        vlans.remove(b);
        assert_eq!(vlans.find(20), None);
        let turns: Vec<_> = (0..3).filter_map(|_| vlans.next(of, |_| true)).collect();
        assert!(turns == [a, of, a] || turns == [of, a, of], "{turns:?}");
    }
}
