//! A few addresses that are found without a look into the ordered tables: most packets are for one of them.
//!
//! *Owns* a copy of their states. *Does not* know who is not here: that the tables tell. Invariant: what it holds is what
//! the tables say.

use core::net::IpAddr;

use super::AddressState;
use crate::stack::screen::fold;

/// How many of each family at most.
const NEAR: usize = 8;

/// Numbers, for they are compared with each packet. One that is nobody's has no state, as `::` and 0.0.0.0 never have.
#[derive(Debug, Default)]
pub(super) struct Near {
    v4: [(u32, Option<AddressState>); NEAR],
    v6: [(u128, Option<AddressState>); NEAR],
}

impl Near {
    /// The state of `address`, if it is here.
    #[inline]
    pub(super) fn get(&self, address: IpAddr) -> Option<AddressState> {
        let at = fold(address) % NEAR;
        match address {
            IpAddr::V4(a) => {
                let (near, state) = self.v4[at];
                state.filter(|_| near == u32::from(a))
            }
            IpAddr::V6(a) => {
                let (near, state) = self.v6[at];
                state.filter(|_| near == u128::from(a))
            }
        }
    }

    /// An address is added: it has a place here if no other has that.
    pub(super) fn add(&mut self, address: IpAddr, state: AddressState) {
        if self.state_at(address).is_none() {
            self.put(address, Some(state));
        }
    }

    /// Its state is another.
    pub(super) fn change(&mut self, address: IpAddr, state: AddressState) {
        if self.get(address).is_some() {
            self.put(address, Some(state));
        }
    }

    /// It was taken away.
    pub(super) fn remove(&mut self, address: IpAddr) {
        if self.get(address).is_some() {
            self.put(address, None);
        }
    }

    /// What stands in the place of `address`, whoever's it is.
    fn state_at(&self, address: IpAddr) -> Option<AddressState> {
        let at = fold(address) % NEAR;
        match address {
            IpAddr::V4(_) => self.v4[at].1,
            IpAddr::V6(_) => self.v6[at].1,
        }
    }

    fn put(&mut self, address: IpAddr, state: Option<AddressState>) {
        let at = fold(address) % NEAR;
        match address {
            IpAddr::V4(a) => self.v4[at] = (u32::from(a), state),
            IpAddr::V6(a) => self.v6[at] = (u128::from(a), state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_place_stays_until_it_goes() {
        let at = |text: &str| -> IpAddr { text.parse().unwrap() };
        for [first, second] in
            [["10.0.0.2", "10.9.9.2"], ["fd00::2", "fd09::2"]].map(|two| two.map(at))
        {
            let mut near = Near::default();
            for nobody in ["0.0.0.0", "::"].map(at) {
                assert_eq!(near.get(nobody), None);
            }
            near.add(first, AddressState::Tentative);
            near.add(second, AddressState::Preferred);
            near.change(first, AddressState::Deprecated);
            near.change(second, AddressState::Duplicate);
            near.remove(second);
            assert_eq!(near.get(first), Some(AddressState::Deprecated));
            assert_eq!(near.get(second), None);
            near.remove(first);
            assert_eq!(near.get(first), None);
            near.add(second, AddressState::Preferred);
            assert_eq!(near.get(second), Some(AddressState::Preferred));
        }
    }
}
