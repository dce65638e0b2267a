//! The interfaces of a stack: those that were added, in that order, and the one to itself.
//!
//! *Owns* how an [`InterfaceId`] leads to its interface. *Does not* add any: `Net` does.

use core::ops::{Index, IndexMut};

use super::{Interface, InterfaceConfig};
use crate::base::{Instant, MacAddr, Random};
use crate::device::{Capabilities, Medium};
use crate::link::MAX_IP_LEN;
use crate::stack::config::Config;
use crate::stack::ids::InterfaceId;

/// RFC 1122 §3.2.1.3 (g), RFC 4291 §2.5.3.
const OWN: [&str; 2] = ["127.0.0.1/8", "::1/128"];

/// All interfaces, by [`InterfaceId::index`].
#[derive(Debug)]
pub(crate) struct Interfaces {
    added: Vec<Interface>,
    loopback: Interface,
}

impl Interfaces {
    pub(crate) fn new(config: &Config) -> Self {
        // What it is made of is drawn by nobody else.
        let mut random = Random::new(config.seed.key("loopback"));
        let settings = loopback();
        let id = InterfaceId::LOOPBACK;
        let limit = config.outbox_limit;
        Self {
            added: Vec::new(),
            loopback: Interface::new(Instant::ZERO, id, &settings, limit, &mut random),
        }
    }

    /// How many were added.
    pub(crate) const fn len(&self) -> usize {
        self.added.len()
    }

    pub(crate) fn push(&mut self, interface: Interface) {
        self.added.push(interface);
    }

    /// The one at `index`, if it was added: what users may change, the one to ourselves is as it is.
    pub(crate) fn added(&self, index: usize) -> Option<&Interface> {
        self.added.get(index)
    }

    pub(crate) fn added_mut(&mut self, index: usize) -> Option<&mut Interface> {
        self.added.get_mut(index)
    }

    /// The one at `index`, if it was added, or is the one to ourselves.
    pub(crate) fn get(&self, index: usize) -> Option<&Interface> {
        self.added.get(index).or_else(|| self.loopback_at(index))
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Interface> {
        if index == InterfaceId::LOOPBACK.index() {
            return Some(&mut self.loopback);
        }
        self.added.get_mut(index)
    }

    /// Those that were added.
    pub(crate) fn iter(&self) -> core::slice::Iter<'_, Interface> {
        self.added.iter()
    }

    /// These, and the one to ourselves.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Interface> {
        self.added.iter().chain([&self.loopback])
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Interface> {
        self.added.iter_mut().chain([&mut self.loopback])
    }

    /// The only one that was added.
    pub(crate) fn only(&self) -> Option<&Interface> {
        match &self.added[..] {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The one to ourselves.
    #[inline]
    pub(crate) const fn loopback(&self) -> &Interface {
        &self.loopback
    }

    fn loopback_at(&self, index: usize) -> Option<&Interface> {
        (index == InterfaceId::LOOPBACK.index()).then_some(&self.loopback)
    }
}

/// What is no index of one that was added is the loopback's.
impl Index<usize> for Interfaces {
    type Output = Interface;

    #[inline]
    fn index(&self, index: usize) -> &Interface {
        debug_assert!(index < self.len() || index == InterfaceId::LOOPBACK.index());
        self.added.get(index).unwrap_or(&self.loopback)
    }
}

impl IndexMut<usize> for Interfaces {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut Interface {
        debug_assert!(index < self.len() || index == InterfaceId::LOOPBACK.index());
        self.added.get_mut(index).unwrap_or(&mut self.loopback)
    }
}

/// A device that takes whatever there is, and whose frames need no checksum: they never leave.
fn loopback() -> InterfaceConfig {
    let device = Capabilities::full(Medium::Ip, MAX_IP_LEN);
    let config = InterfaceConfig::new(&device).mac(MacAddr::ZERO);
    let own = OWN.iter().filter_map(|own| own.parse().ok());
    own.fold(config, InterfaceConfig::address)
}
