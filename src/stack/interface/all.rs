//! The interfaces of a stack: those that were added, in that order, and the one to itself.
//!
//! *Owns* how an [`InterfaceId`] leads to its interface. *Does not* add any, nor empty one that goes: `Net` does. Invariant: the
//! place of one that was taken away stays, empty, so that its number means no other one.

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
    /// The only one that is there.
    only: Option<usize>,
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
            only: None,
        }
    }

    /// How many were added, those that went included.
    pub(crate) const fn len(&self) -> usize {
        self.added.len()
    }

    pub(crate) fn push(&mut self, interface: Interface) {
        self.added.push(interface);
        self.count();
    }

    /// The one at `index` is there no more: what was its is gone already.
    pub(in crate::stack) fn remove(&mut self, index: usize) {
        if let Some(interface) = self.added.get_mut(index) {
            interface.retire();
            self.count();
        }
    }

    /// Was the one at `index` taken away?
    pub(in crate::stack) fn is_removed(&self, index: usize) -> bool {
        self.added.get(index).is_some_and(|i| i.removed)
    }

    fn count(&mut self) {
        let all = self.added.iter().enumerate();
        let mut there = all.filter(|(_, i)| !i.removed).map(|(index, _)| index);
        let first = there.next();
        self.only = first.filter(|_| there.next().is_none());
    }

    /// The one at `index`, if it was added: what users may change, the one to ourselves is as it is.
    pub(crate) fn added(&self, index: usize) -> Option<&Interface> {
        self.added.get(index).filter(|i| !i.removed)
    }

    pub(crate) fn added_mut(&mut self, index: usize) -> Option<&mut Interface> {
        self.added.get_mut(index).filter(|i| !i.removed)
    }

    /// The one at `index`, if it was added, or is the one to ourselves.
    pub(crate) fn get(&self, index: usize) -> Option<&Interface> {
        self.added(index).or_else(|| self.loopback_at(index))
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Interface> {
        if index == InterfaceId::LOOPBACK.index() {
            return Some(&mut self.loopback);
        }
        self.added_mut(index)
    }

    /// Has the interface `on`, or one that shares its device, anything to send?
    #[inline]
    pub(crate) fn want_transmit(&self, on: InterfaceId) -> bool {
        let wants = |on: InterfaceId| self.wants(on);
        self.get(on.index()).is_some_and(|interface| {
            let shared = || {
                interface
                    .vlans
                    .as_ref()
                    .is_some_and(|v| v.iter().any(wants))
            };
            interface.line.wants_transmit() || shared()
        })
    }

    /// Who of these is the next to send: it changes with each question.
    #[inline]
    pub(crate) fn next_to_send(&mut self, on: InterfaceId) -> Option<InterfaceId> {
        let interface = self.get(on.index())?;
        if interface.vlans.is_some() {
            return self.next_of_vlans(on);
        }
        interface.line.wants_transmit().then_some(on)
    }

    #[cold]
    fn next_of_vlans(&mut self, on: InterfaceId) -> Option<InterfaceId> {
        let mut vlans = self.get_mut(on.index())?.vlans.take()?;
        let next = vlans.next(on, |on| self.wants(on));
        self[on.index()].vlans = Some(vlans);
        next
    }

    /// The turn of the last one is not over: it is the next again.
    pub(crate) fn stay_with_last(&mut self, on: InterfaceId) {
        if let Some(vlans) = self.get_mut(on.index()).and_then(|i| i.vlans.as_mut()) {
            vlans.stay();
        }
    }

    fn wants(&self, on: InterfaceId) -> bool {
        self.get(on.index())
            .is_some_and(|i| i.line.wants_transmit())
    }

    /// Those that were added and are there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.added.iter().filter(|i| !i.removed)
    }

    /// These, and the one to ourselves.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Interface> {
        self.added.iter().chain([&self.loopback])
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Interface> {
        self.added.iter_mut().chain([&mut self.loopback])
    }

    /// The only one that is there.
    pub(crate) fn only(&self) -> Option<&Interface> {
        self.added.get(self.only?)
    }

    /// Are there several?
    pub(crate) fn are_several(&self) -> bool {
        self.only.is_none() && self.iter().next().is_some()
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

/// What is no index of one that was added is the loopback's; that of one that was taken away is its empty place's.
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
