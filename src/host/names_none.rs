//! Where there is no resolver: what the core asks one for.

use super::sockets::After;
use crate::base::Instant;
use crate::stack::{Event, Stack};

/// Takes the place of the resolver's settings.
#[derive(Debug, Default)]
pub(super) struct Settings {}

/// Takes the place of the resolver.
#[derive(Debug, Default)]
pub(crate) struct Names {}

impl Settings {
    pub(super) const fn names(self, _seed: crate::base::Seed) -> std::io::Result<Names> {
        Ok(Names {})
    }
}

impl Names {
    pub(super) const fn on_event(&mut self, _: &mut Stack, _: Instant, _: Event) -> bool {
        false
    }

    pub(super) const fn learn(&mut self, _: &Stack) {}

    pub(super) const fn has_acted(&mut self) -> bool {
        false
    }

    pub(super) const fn handle_timeout(&mut self, _: &mut Stack, _: Instant) {}

    pub(super) const fn tell(&mut self, _: &mut After) {}

    pub(super) const fn due(&self) -> Instant {
        Instant::FAR_FUTURE
    }

    pub(super) const fn notify_all(&self) {}
}
