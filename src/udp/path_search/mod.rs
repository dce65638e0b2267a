//! How large may a datagram be, where no router says so? A search for whoever sends datagrams and is told which of them arrived.
//!
//! RFC 8899 (DPLPMTUD). *Owns* the state machine of §5.2: which size is probed when, and what acknowledgments, losses and routers' words mean.
//! *Does not* send, nor know what a probe is made of: who uses it does. Invariants: a size is used only once a datagram of it was
//! acknowledged, BASE_PLPMTU and MIN_PLPMTU aside; one probe is out at a time; a step costs the same whatever happened before.
//!
//! ```
//! use std::time::Duration;
//! use netloom::base::Instant;
//! use netloom::udp::{PathSearch, PathSearchConfig};
//!
//! // For a socket whose datagrams are never cut: `UdpOptions::dont_fragment(DontFragment::Probe)`.
//! let config = PathSearchConfig::v4(1500).probe_timer(Duration::from_secs(1));
//! let mut search = PathSearch::new(config);
//! let mut now = Instant::ZERO;
//! search.on_connected(now);
//! while let Some(at) = search.next_timeout() {
//!     now = now.max(at);
//!     if let Some(size) = search.poll_probe(now) {
//!         // Sent: padding up to `size` bytes that the other end acknowledges. This path carries 1280.
//!         if size <= 1280 - 28 {
//!             search.on_ack(now, size);
//!         }
//!     }
//!     if search.is_complete() {
//!         break;
//!     }
//! }
//! assert_eq!(search.size(), 1252);
//! ```

mod config;
mod steps;

pub use config::PathSearchConfig;

use crate::base::Instant;

/// A state of RFC 8899 §5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathSearchState {
    /// Nobody was heard at the other end.
    Disabled,
    /// Is BASE_PLPMTU carried?
    Base,
    /// Larger sizes are probed.
    Searching,
    /// The size was found.
    SearchComplete,
    /// BASE_PLPMTU is not carried: MIN_PLPMTU is used until it is.
    Error,
}

/// The search for the largest datagram that one path carries.
#[derive(Clone, Debug)]
pub struct PathSearch {
    config: PathSearchConfig,
    state: PathSearchState,
    /// PLPMTU.
    size: u16,
    /// The least that is taken to be too large.
    too_large: u16,
    /// A router said so, and by one byte.
    told: bool,
    /// The largest that was probed since the search began.
    largest: u16,
    /// PROBED_SIZE, of what is out or wanted next.
    probed: u16,
    /// PROBE_COUNT.
    lost: u8,
    /// Is a probe out, until `timer`? Else the next one is due then.
    out: bool,
    timer: Option<Instant>,
    /// When a larger size is looked for again.
    raise: Option<Instant>,
}

impl PathSearch {
    /// A search that waits for the other end.
    pub const fn new(config: PathSearchConfig) -> Self {
        Self {
            config,
            state: PathSearchState::Disabled,
            size: config.base,
            too_large: u16::MAX,
            told: false,
            largest: 0,
            probed: config.base,
            lost: 0,
            out: false,
            timer: None,
            raise: None,
        }
    }

    /// The largest payload to send, probes aside, in bytes: RFC 8899 §4.4's MPS, less whatever the user puts around it.
    pub const fn size(&self) -> usize {
        self.size as usize
    }

    /// The state it is in.
    pub const fn state(&self) -> PathSearchState {
        self.state
    }

    /// Is a search over?
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, PathSearchState::SearchComplete)
    }

    /// The other end was heard: the search begins, with a probe of BASE_PLPMTU that is due at once. Nothing happens when it is under way.
    pub fn on_connected(&mut self, now: Instant) {
        if self.state == PathSearchState::Disabled {
            self.begin(now);
        }
    }

    /// Nobody is at the other end any more, or the path is another one: all is forgotten.
    pub fn on_disconnected(&mut self) {
        *self = Self::new(self.config);
    }

    /// When [`poll_probe`](Self::poll_probe) has something to do; `None`: not before something happens.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timer.into_iter().chain(self.raise).min()
    }

    /// Counts what is lost by now; the size of a probe to be sent now, if one is. It counts as sent then: a datagram of exactly so many
    /// bytes that no host or router cuts, and that the other end acknowledges. Who has nothing else to send need not ask (RFC 8899
    /// §5.1.1).
    pub fn poll_probe(&mut self, now: Instant) -> Option<usize> {
        if self.raise.is_some_and(|at| at <= now) {
            self.search_on(now);
        }
        if self.timer.is_none_or(|at| at > now) {
            return None;
        }
        if self.out {
            self.on_lost(now);
        }
        if self.timer.is_none_or(|at| at > now) {
            return None;
        }
        self.out = true;
        self.largest = self.largest.max(self.probed);
        self.timer = Some(now + self.config.probe_timer);
        Some(self.probed.into())
    }

    /// A probe of so many bytes was acknowledged. That of one that was taken for lost counts too; of a size that was not probed, it
    /// does not.
    pub fn on_ack(&mut self, now: Instant, size: usize) {
        let Ok(size) = u16::try_from(size) else {
            return;
        };
        let is_news = size > self.size || (self.out && size == self.probed);
        if self.state == PathSearchState::Disabled || size > self.largest || !is_news {
            return;
        }
        self.lost = 0;
        self.out = false;
        self.timer = None;
        self.size = self.size.max(size);
        if size >= self.too_large {
            // It was lost, but not for its size.
            self.forget_too_large();
        }
        match self.state {
            PathSearchState::SearchComplete if size == self.probed => self.complete(now),
            _ => self.search_on(now),
        }
    }

    /// A router said that the path carries no more than so many bytes of payload, in answer to a datagram of the user's, whose quote the
    /// user has checked (RFC 8899 §4.6.1; an MTU less the headers of IP and UDP). Says whether it was of use: what cannot be is passed
    /// over, and nothing is believed beyond a search for what it says (§4.6.2).
    pub fn on_packet_too_big(&mut self, now: Instant, size: usize) -> bool {
        let Ok(told) = u16::try_from(size) else {
            return false;
        };
        let asked = if self.out {
            self.probed.max(self.size)
        } else {
            self.size
        };
        if self.state == PathSearchState::Disabled || told < self.config.least || told >= asked {
            return false;
        }
        if told < self.config.base {
            self.fail(now);
            return true;
        }
        if told < self.size {
            // A black hole, or about to be one.
            self.begin(now);
        }
        (self.too_large, self.told) = (told.saturating_add(1), true);
        if self.state != PathSearchState::Base {
            self.lost = 0;
            self.search_on(now);
        }
        true
    }

    /// What is sent with the size in use does not arrive, while smaller datagrams do, or nothing does (RFC 8899 §4.3): the search begins
    /// anew.
    pub fn on_black_hole(&mut self, now: Instant) {
        if self.state != PathSearchState::Disabled {
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Instant) {
        self.state = PathSearchState::Base;
        self.size = self.config.base;
        self.forget_too_large();
        self.largest = 0;
        self.lost = 0;
        self.raise = None;
        self.want(now, self.config.base);
    }

    /// A probe of this size is due.
    fn want(&mut self, now: Instant, size: u16) {
        self.probed = size;
        self.out = false;
        self.timer = Some(now);
    }

    /// The size in use is carried: on to a larger one, if one is worth it.
    fn search_on(&mut self, now: Instant) {
        if self.raise.take().is_some() {
            // Ten minutes ago it was too large.
            self.forget_too_large();
            self.lost = 0;
        }
        self.state = PathSearchState::Searching;
        let most = self.config.most;
        if self.told {
            return match self.too_large - 1 {
                told if told > self.size => self.want(now, told),
                _ => self.complete(now),
            };
        }
        match steps::between(self.size, self.too_large, most) {
            Some(size) => self.want(now, size),
            // What was lost once may have been lost for another reason: it is too large when MAX_PROBES in a row are.
            None if self.too_large <= most => self.want(now, self.too_large),
            None => self.complete(now),
        }
    }

    fn forget_too_large(&mut self) {
        (self.too_large, self.told) = (u16::MAX, false);
    }

    fn complete(&mut self, now: Instant) {
        self.state = PathSearchState::SearchComplete;
        self.lost = 0;
        self.out = false;
        if self.raise.is_none() && self.size < self.config.most {
            self.raise = Some(now + self.config.raise_timer);
        }
        self.probed = self.size;
        self.timer = self.config.confirmation_timer.map(|time| now + time);
    }

    /// MIN_PLPMTU from now on, and BASE_PLPMTU is probed now and then.
    fn fail(&mut self, now: Instant) {
        self.state = PathSearchState::Error;
        self.size = self.config.least;
        self.forget_too_large();
        self.lost = 0;
        self.raise = None;
        self.probed = self.config.base;
        self.out = false;
        self.timer = Some(now + self.config.probe_timer);
    }

    /// The probe that is out was not acknowledged in time.
    fn on_lost(&mut self, now: Instant) {
        self.lost = self.lost.saturating_add(1);
        let last = self.lost >= self.config.probes;
        match self.state {
            PathSearchState::Disabled => {}
            PathSearchState::Base if last => self.fail(now),
            PathSearchState::SearchComplete if last => self.begin(now),
            PathSearchState::Searching if last => self.complete(now),
            PathSearchState::Searching => {
                if self.probed < self.too_large {
                    (self.too_large, self.told) = (self.probed, false);
                }
                self.search_on(now);
            }
            PathSearchState::Error => self.fail(now),
            PathSearchState::Base | PathSearchState::SearchComplete => self.want(now, self.probed),
        }
    }
}

#[cfg(test)]
mod tests;
