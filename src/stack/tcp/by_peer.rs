//! TIME-WAIT records by the peer that they are of: which has waited longest.
//!
//! *Owns* lists through the records of one table, one for each pair of our address and the peer's endpoint, in the
//! order in which the records end. *Does not* hold the records, nor judge them. A step costs the logarithm of the
//! number of lists.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::stack::ids::{InterfaceId, make_room};
use crate::stack::tuple::Tuple;

/// What an ephemeral port is looked for between: interface, our address, the peer's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Between {
    on: InterfaceId,
    local: IpAddr,
    remote: SocketAddr,
}

impl Between {
    pub(super) fn new(on: InterfaceId, tuple: &Tuple) -> Self {
        Self {
            on,
            local: tuple.local.ip,
            remote: SocketAddr::new(tuple.remote.ip, tuple.remote.port),
        }
    }
}

const NONE: u32 = u32::MAX;

/// The ends of a list.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

/// A record's neighbours in its list.
#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    /// Is it in a list?
    linked: bool,
}

const UNLINKED: Link = Link {
    previous: NONE,
    next: NONE,
    linked: false,
};

#[derive(Debug, Default)]
pub(super) struct ByPeer {
    lists: BTreeMap<Between, Ends>,
    links: Vec<Link>,
}

impl ByPeer {
    /// Puts the record in this slot, which is in no list, at the end of its list.
    pub(super) fn push(&mut self, between: Between, index: u32) {
        let at = index as usize;
        if at >= self.links.len() {
            let more = at + 1 - self.links.len();
            make_room(&mut self.links, more);
            self.links.resize(at + 1, UNLINKED);
        }
        let previous = match self.lists.entry(between) {
            Entry::Vacant(list) => {
                list.insert(Ends {
                    first: index,
                    last: index,
                });
                NONE
            }
            Entry::Occupied(mut list) => core::mem::replace(&mut list.get_mut().last, index),
        };
        self.links[at] = Link {
            previous,
            next: NONE,
            linked: true,
        };
        if let Some(before) = self.links.get_mut(previous as usize) {
            before.next = index;
        }
    }

    /// Takes the record in this slot out of its list, if it is in one.
    pub(super) fn remove(&mut self, between: &Between, index: u32) {
        let Some(link) = self.links.get_mut(index as usize) else {
            return;
        };
        let Link {
            previous,
            next,
            linked,
        } = core::mem::replace(link, UNLINKED);
        let Some(ends) = self.lists.get_mut(between).filter(|_| linked) else {
            return;
        };
        match self.links.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => ends.first = next,
        }
        match self.links.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => ends.last = previous,
        }
        if ends.first == NONE {
            self.lists.remove(between);
        }
    }

    /// The slots of the records between these, the one that ends first before the others.
    pub(super) fn of(&self, between: &Between) -> impl Iterator<Item = u32> + '_ {
        let first = self.lists.get(between).map(|ends| ends.first);
        core::iter::successors(first, |&index| {
            let link = self.links.get(index as usize)?;
            (link.next != NONE).then_some(link.next)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn between(peer: usize) -> Between {
        let remote = (
            IpAddr::from([10, 0, 0, 2]),
            80 + u16::try_from(peer).unwrap(),
        );
        let local = (IpAddr::from([10, 0, 0, 1]), 1);
        let on = InterfaceId::from_index(1);
        Between::new(on, &Tuple::new(on, local, remote))
    }

    proptest! {
        #[test]
        fn equals_lists_in_order(steps in prop::collection::vec((0usize..3, 0u32..12), 1..200)) {
            let mut lists = ByPeer::default();
            let mut model: [Vec<u32>; 3] = Default::default();
            for (peer, index) in steps {
                match model.iter().position(|list| list.contains(&index)) {
                    Some(of) => {
                        lists.remove(&between(of), index);
                        model[of].retain(|&other| other != index);
                    }
                    None => {
                        lists.push(between(peer), index);
                        model[peer].push(index);
                    }
                }
                for (peer, list) in model.iter().enumerate() {
                    prop_assert_eq!(&lists.of(&between(peer)).collect::<Vec<_>>(), list);
                }
                let live = model.iter().filter(|list| !list.is_empty()).count();
                prop_assert_eq!(lists.lists.len(), live);
                // What is in no list is taken out of none.
                lists.remove(&between(0), 99);
            }
        }
    }
}
