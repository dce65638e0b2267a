//! A host's interfaces, as the core knows them: how devices come to them and go, and whether their addresses can be used.
//!
//! *Owns* what is known of each interface beside the stack, what a device's failure means, and the wait for addresses. *Does not* send
//! or read: `devices.rs` and `shared.rs` do.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::clock;
use super::devices::{Inlet, MOST_DEVICES, Outlet, Place};
use super::error::HostError;
use super::open::Opened;
use super::shared::{Rx, Shared};
use super::sockets::After;
use super::state::{Core, Life};
use crate::base::Instant;
use crate::device::{Capabilities, DeviceError, DeviceWatch};
use crate::stack::{AddressState, Change, ConfigError, InterfaceConfig, InterfaceId, Port};

/// Rounds of the stack's frame budget for the leases that are given back before their device goes.
const ROUNDS_OF_A_RELEASE: usize = 8;

/// What its users see of an interface without the lock.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) on: InterfaceId,
    /// Those of the device that was given.
    pub(crate) capabilities: Capabilities,
    /// What the other side of the device has lost.
    pub(crate) watch: Option<Arc<dyn DeviceWatch>>,
    pub(crate) changes: Receiver<Change>,
    pub(crate) changes_missed: Arc<AtomicU64>,
    /// Why it went, if it was its device's failure.
    pub(crate) failure: OnceLock<Arc<DeviceError>>,
}

/// A device that an interface cannot be made of. It is closed without the core's lock.
pub(crate) struct Refused {
    pub(super) why: ConfigError,
    #[expect(dead_code, reason = "dropped with this")]
    opened: Opened,
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refused").field(&self.why).finish()
    }
}

/// The interfaces.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// In the order in which they came.
    all: Vec<Member>,
    /// One has gone, which was not told yet.
    fewer: bool,
}

#[derive(Debug)]
struct Member {
    about: Arc<About>,
    on: InterfaceId,
    /// Whose device it shares.
    over: Option<InterfaceId>,
    /// Its addresses have become usable, which was told.
    was_ready: bool,
    /// Conflicts about addresses that were told.
    conflicts: usize,
}

impl Members {
    pub(crate) fn all(&self) -> Vec<Arc<About>> {
        let all = self.all.iter();
        all.map(|member| Arc::clone(&member.about)).collect()
    }

    pub(crate) fn find(&self, on: InterfaceId) -> Option<&Arc<About>> {
        let mut all = self.all.iter();
        let found = all.find(|member| member.on == on)?;
        Some(&found.about)
    }

    /// Whose device an interface shares.
    fn over(&self, on: InterfaceId) -> Option<InterfaceId> {
        let mut all = self.all.iter();
        all.find(|member| member.on == on)?.over
    }

    /// Why it went, for who asks its handle.
    fn tell_failure(&self, on: InterfaceId, why: Option<&Arc<DeviceError>>) {
        if let (Some(about), Some(why)) = (self.find(on), why) {
            // It goes once.
            let _ = about.failure.set(Arc::clone(why));
        }
    }

    fn remove(&mut self, on: InterfaceId) {
        self.all.retain(|member| member.on != on);
        self.fewer = true;
    }
}

impl Core {
    /// Would an interface be made of a device with this configuration? As far as is known before it is open.
    pub(crate) fn check_attach(&self, config: &InterfaceConfig) -> Result<(), ConfigError> {
        self.free_place()?;
        config.check()
    }

    fn free_place(&self) -> Result<Place, ConfigError> {
        let most = usize::try_from(MOST_DEVICES).unwrap_or(usize::MAX);
        let place = self.devices.free_place();
        place.ok_or(ConfigError::TooManyDevices(most))
    }

    /// Puts a device at an interface of its own.
    pub(crate) fn attach(
        &mut self,
        now: Instant,
        (opened, config): (Opened, InterfaceConfig),
        turn_frames: usize,
    ) -> Result<Arc<About>, Box<Refused>> {
        let config = config.capabilities(&opened.offered);
        let place = self.free_place();
        let added = place.and_then(|place| Ok((place, self.stack.add_interface(now, config)?)));
        let (place, on) = match added {
            Ok(added) => added,
            Err(why) => return Err(Box::new(Refused { why, opened })),
        };
        let port = Port::new(on, (opened.rx, opened.tx)).batch_frames(turn_frames);
        let (way, tx) = port.into_halves();
        let inlet = Inlet {
            on,
            place,
            way,
            readable: opened.readable,
            writable: opened.writable,
            gave: false,
        };
        self.devices.come(tx, inlet);
        Ok(self.enter(on, None, opened.native, opened.watch))
    }

    /// Adds an interface that shares the device of another one.
    pub(crate) fn add_vlan(
        &mut self,
        now: Instant,
        config: InterfaceConfig,
        below: Capabilities,
    ) -> Result<Arc<About>, ConfigError> {
        let over = config.over;
        let on = self.stack.add_interface(now, config)?;
        Ok(self.enter(on, over, below, None))
    }

    fn enter(
        &mut self,
        on: InterfaceId,
        over: Option<InterfaceId>,
        capabilities: Capabilities,
        watch: Option<Arc<dyn DeviceWatch>>,
    ) -> Arc<About> {
        let (changes, changes_missed) = self.sockets.open_changes(on);
        let about = Arc::new(About {
            on,
            capabilities,
            watch,
            changes,
            changes_missed,
            failure: OnceLock::new(),
        });
        self.members.all.push(Member {
            about: Arc::clone(&about),
            on,
            over,
            was_ready: false,
            conflicts: 0,
        });
        about
    }

    /// Takes the interface away, leases given back, and its device if it has one of its own; the way in follows with the next turn,
    /// to who is named.
    pub(crate) fn detach(
        &mut self,
        now: Instant,
        on: InterfaceId,
        to: Sender<Inlet>,
    ) -> Option<(Arc<About>, Option<Outlet>)> {
        let about = Arc::clone(self.members.find(on)?);
        // Those that share the device go with it.
        let all = self.members.all.iter();
        let goes = |member: &&Member| member.on == on || member.over == Some(on);
        let going: Vec<_> = all.filter(goes).map(|member| member.on).collect();
        self.release(now, |on| going.contains(&on));
        let device = self.members.over(on).unwrap_or(on);
        self.devices
            .send_over(now, &mut self.stack, device, ROUNDS_OF_A_RELEASE);
        let outlet = self.devices.go(on, Some(to));
        self.lose_interface(now, on, None);
        Some((about, outlet))
    }

    /// The interface has no device any more, nor have those that shared it: it has failed, or it was taken away.
    fn lose_interface(&mut self, now: Instant, on: InterfaceId, why: Option<&Arc<DeviceError>>) {
        // It is the stack's.
        let _ = self.stack.remove_interface(now, on);
        self.sockets
            .tell_changes(&mut self.stack, &mut After::default());
        let there: Vec<_> = self.stack.interfaces().collect();
        let all = self.members.all.iter().map(|member| member.on);
        let gone: Vec<_> = all.filter(|on| !there.contains(on)).collect();
        for on in gone {
            self.members.tell_failure(on, why);
            self.members.remove(on);
            self.sockets.close_changes(on);
        }
        self.names.learn(&self.stack);
    }

    /// Devices that have failed go, and their interfaces with them; with the last one the host ends.
    pub(super) fn lose_failed(&mut self, now: Instant) {
        if self.devices.failed.is_empty() {
            return;
        }
        for (on, why) in std::mem::take(&mut self.devices.failed) {
            // A way in is read once more behind the failure of its way out.
            if !self.devices.has(on) {
                continue;
            }
            let why = Arc::new(why);
            if self.devices.len() <= 1 {
                for of in self.members.all() {
                    self.members.tell_failure(of.on, Some(&why));
                }
                self.life = Life::Ending(HostError::Device(why));
                return;
            }
            let about = self.members.find(on).cloned();
            if let Some(outlet) = self.devices.go(on, None) {
                self.devices.closers.run(move || {
                    last_words(about.as_deref());
                    drop(outlet);
                });
                self.lose_interface(now, on, Some(&why));
            }
        }
    }

    /// The ways in follow the ways out.
    #[cold]
    pub(super) fn follow(&mut self, now: Instant, rx: &mut Rx) {
        self.devices.failed.extend(rx.take_failed());
        self.lose_failed(now);
        rx.follow(std::mem::take(&mut self.devices.moves));
    }

    /// Have addresses become usable with this turn, has another station claimed one, or has an interface gone?
    pub(super) fn addresses_changed(&mut self) -> bool {
        let mut changed = std::mem::take(&mut self.members.fewer);
        for member in &mut self.members.all {
            let is_ready = self.stack.is_ready(member.on);
            changed |= is_ready && !member.was_ready;
            member.was_ready = is_ready;
            let conflicts = self.stack.conflict_count(member.on);
            changed |= conflicts > member.conflicts;
            member.conflicts = conflicts;
        }
        changed
    }

    /// The interfaces: the one that is meant, or all.
    fn meant(&self, on: Option<InterfaceId>) -> impl Iterator<Item = InterfaceId> + Clone + '_ {
        let all = self.members.all.iter().map(|member| member.on);
        all.filter(move |&other| on.is_none_or(|on| on == other))
    }

    /// Who was to give an address and has not, if that is what is waited for.
    fn awaited(&self, on: Option<InterfaceId>) -> Option<&'static str> {
        let stack = &self.stack;
        let on = self.meant(on).find(|&on| stack.awaits_address(on))?;
        match (stack.awaits_lease(on), stack.awaits_router(on)) {
            (true, true) => Some("neither a router nor a dhcp server"),
            (true, false) => Some("no dhcp server"),
            (false, _) => Some("no router"),
        }
    }

    /// Are the addresses usable, or will they never be? `too_many` says of how many that were given to an interface and how many of
    /// these another station has whether that is too bad.
    fn readiness(
        &self,
        on: Option<InterfaceId>,
        too_many: impl Fn(usize, usize) -> bool,
    ) -> Option<io::Result<()>> {
        if let Err(why) = self.check() {
            return Some(Err(why.into()));
        }
        if on.is_some_and(|on| self.members.find(on).is_none()) {
            return Some(Err(gone()));
        }
        for on in self.meant(on) {
            let given = || self.stack.given_addresses(on);
            let duplicates = || given().filter(|&(_, state)| state == AddressState::Duplicate);
            if let Some((cidr, _)) = duplicates().next()
                && too_many(given().count(), duplicates().count())
            {
                let text = format!("another station has the address {}", cidr.address());
                return Some(Err(io::Error::new(io::ErrorKind::AddrInUse, text)));
            }
        }
        let mut meant = self.meant(on);
        meant.all(|on| self.stack.is_ready(on)).then_some(Ok(()))
    }
}

impl Shared {
    /// Waits until the addresses of an interface, or of all, can be used.
    pub(super) fn wait_ready(
        &self,
        on: Option<InterfaceId>,
        timeout: Duration,
        too_many: impl Fn(usize, usize) -> bool,
    ) -> io::Result<()> {
        let deadline = clock::now() + timeout;
        let settled = self.wait_until(Some(deadline), |core| core.readiness(on, &too_many));
        settled.unwrap_or_else(|| {
            let text = match self.lock().awaited(on) {
                Some(who) => format!("{who} has given an address within {timeout:?}"),
                None => format!("addresses not usable within {timeout:?}"),
            };
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }
}

/// Asks a device once more what its other side has lost: an interface that does not stay takes its counters with it.
pub(super) fn last_words(about: Option<&About>) {
    if let Some(watch) = about.and_then(|about| about.watch.as_ref()) {
        watch.counters();
    }
}

/// The interface has gone.
pub(super) fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        "the host has no such interface, or has it no more",
    )
}

#[cfg(test)]
#[path = "several_tests.rs"]
mod tests;
