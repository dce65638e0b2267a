//! How large a segment the path carries: what the stack says, what got through, and what is tried (RFC 4821).
//!
//! RFC 4821 §7.2, §7.3, §7.6, §7.7. *Owns* the size in use, the doubt that time-outs raise, and the search for the largest size that
//! gets through. *Does not* send, nor detect any loss: `black_hole` looks downwards, `size_probe` upwards.
//! All sizes are text and option bytes of a segment, as in an MSS.

use core::time::Duration;

use crate::base::Instant;

use super::seq::SeqNum;

/// How it is found out how large a packet the path carries where no router tells (RFC 4821): Linux's `tcp_mtu_probing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MtuProbing {
    /// Not at all (0): a path that drops what is too large, and says nothing, is a black hole.
    Off,
    /// When larger segments are lost time after time, and a smaller one gets through (1).
    #[default]
    BlackHole,
    /// The same, and a connection begins with packets of 1280 bytes and tries larger ones (2).
    Always,
}

/// RFC 4821 §7.3: five minutes at least, ten are recommended (Linux's `tcp_probe_interval`).
const AGAIN: Duration = Duration::from_secs(600);
/// Sizes so near are one (Linux's `tcp_probe_threshold`).
const NEAR: u16 = 8;
/// Probes of one size that are lost before it is too large: RFC 8899 §5.1.2's MAX_PROBES.
const TRIES: u8 = 3;
/// From a packet of 1280 bytes to one of 1500, which most paths carry.
const TO_ETHERNET: u16 = 220;
/// Time-outs in a row of a segment that is larger than what ever arrived, before a smaller one is tried.
const UNPROVEN: u8 = 2;
/// The same of one that the path did carry: an outage is likelier (Linux's `tcp_retries1` is 3).
const PROVEN: u8 = 4;
/// How long a smaller segment that got through says why larger ones are lost; two time-outs of a minute fit in.
const SHOWN: Duration = Duration::from_secs(120);

/// What the stack says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathMss {
    /// What gets through, as far as is known.
    pub(crate) sure: u16,
    /// What may, by the link and by what routers told: where it is more, somebody found that it does not.
    pub(crate) most: u16,
}

/// Sizes to fall back to, the largest first: packets of 1280 bytes, of 576, and the least (RFC 4821 §7.2, §7.7).
pub(crate) type Steps = [u16; 3];

/// What a connection found of its path, for all to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Larger segments are lost; those of this size get through.
    Narrow(u16),
    /// So do these; maybe larger ones do too.
    Carries(u16),
    /// These do, and those that are larger by more than a few bytes still do not.
    Settled(u16),
    /// What routers told gets through.
    All,
}

/// The sizes of a connection.
#[derive(Debug)]
pub(crate) struct PathSize {
    /// None as long as all is as the stack says.
    doubt: Option<Box<Doubt>>,
    said: PathMss,
    /// In use.
    mss: u16,
    /// The largest that was delivered.
    proven: u16,
}

#[derive(Debug, Default)]
struct Doubt {
    trial: Trial,
    search: Option<Search>,
    news: Option<Found>,
}

/// A smaller segment, tried because larger ones of size `over` were lost time after time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trial {
    #[default]
    None,
    /// It is to leave, or did at some time, up to its end.
    Out {
        size: u16,
        over: u16,
        left: Option<(Instant, SeqNum)>,
    },
    /// It left at this time and arrived, and nothing larger did since.
    Arrived { size: u16, over: u16, at: Instant },
}

/// The search for the largest size (RFC 4821 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Search {
    /// This gets through.
    low: u16,
    /// This does not, or is more than may be tried.
    high: u16,
    probe: Option<Probe>,
    /// Probes of the size in question that were lost alone.
    lost: u8,
    /// The next one leaves no sooner.
    due: Instant,
    /// What did not get through is tried again from then on.
    until: Instant,
}

/// A probe that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) seq: SeqNum,
    pub(crate) len: u32,
    pub(crate) size: u16,
}

impl Probe {
    pub(crate) fn end(&self) -> SeqNum {
        self.seq + self.len
    }
}

impl PathSize {
    /// Of a connection that begins.
    pub(crate) fn new(now: Instant, said: PathMss, probing: MtuProbing, steps: &Steps) -> Self {
        let mut this = Self {
            doubt: None,
            said,
            mss: said.sure,
            proven: 0,
        };
        let base = match said.sure < said.most {
            // Somebody found that much.
            true => said.sure,
            false => steps[0].min(said.sure),
        };
        match probing {
            MtuProbing::Always if base < said.most => {
                this.begin_search(Search::new(now, (base, said.most.saturating_add(1)), now));
            }
            probing => {
                this.set(now, said, probing != MtuProbing::Off);
            }
        }
        this
    }

    /// Text and option bytes of a full segment.
    #[inline]
    pub(crate) const fn mss(&self) -> u16 {
        self.mss
    }

    /// The most that may be tried.
    pub(crate) const fn most(&self) -> u16 {
        self.said.most
    }

    /// Is anything tried, or to be? The usual answer is no, and is had at once.
    #[inline]
    pub(crate) const fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// The largest segment that was delivered by an ACK had this size.
    #[inline]
    pub(crate) fn on_delivered(&mut self, size: u32) {
        if size > u32::from(self.proven) {
            self.proven = u16::try_from(size).unwrap_or(u16::MAX);
        }
    }

    /// What got through once does so no more, maybe: whatever others found is heeded.
    pub(crate) const fn doubt_proof(&mut self) {
        self.proven = 0;
    }

    /// The stack says something else of the path; returns the probe that did not fit it. What others found is not heeded by a
    /// connection that saw larger segments arrive.
    pub(crate) fn set(&mut self, now: Instant, said: PathMss, probes: bool) -> Option<Probe> {
        self.said = said;
        let found = said.sure < said.most;
        let proves = self.proven > said.sure;
        let mut refused = None;
        if !probes {
            self.doubt = None;
        } else if let Some(search) = self.search_mut() {
            refused = search.probe.filter(|probe| probe.size > said.most);
            if refused.is_some() {
                search.probe = None;
            }
            let low = match found {
                // Who saw more get through goes on with that.
                true if proves => search.low.max(said.sure),
                true => said.sure,
                false => search.low,
            };
            search.settle_at(low.min(said.most));
            if search.low >= said.most && !found {
                self.end_search();
            }
        } else if found {
            // Who found it looks for more; others do when that is old.
            let low = if proves {
                self.mss.min(said.most)
            } else {
                said.sure
            };
            let bounds = (low, low.saturating_add(1));
            self.begin_search(Search::new(now, bounds, now + AGAIN));
        }
        if found && proves {
            // The path may have changed: as many time-outs as if nothing had got through show that.
            self.proven = said.sure;
        }
        self.settle();
        refused
    }

    /// What was found since the last call, if anything was.
    #[inline]
    pub(crate) fn take_news(&mut self) -> Option<Found> {
        let news = self.doubt.as_deref_mut()?.news.take();
        self.forget_if_clear();
        news
    }

    // --- downwards ------------------------------------------------------------------------

    /// A time-out, one of so many in a row, found a segment of `size` at the front, which left last `at` this time. Returns
    /// the size that the path carries and the one that it does not, when that is shown by it.
    pub(crate) fn on_time_out(
        &mut self,
        retries: u8,
        (front, at): (u32, Instant),
        steps: &Steps,
    ) -> Option<(u16, u16)> {
        let trial = self.doubt.as_ref().map_or(Trial::None, |doubt| doubt.trial);
        if let Trial::Arrived {
            size,
            over,
            at: then,
        } = trial
            && front > u32::from(size)
            && at >= then
            && at < then + SHOWN
        {
            return Some((size, over));
        }
        let unproven = front > u32::from(self.proven);
        let step = retries.checked_sub(if unproven { UNPROVEN } else { PROVEN })?;
        let size = *steps.get(usize::from(step))?;
        if front <= u32::from(size) {
            return None;
        }
        let over = match trial {
            Trial::Out { over, .. } => over,
            _ => u16::try_from(front).unwrap_or(u16::MAX),
        };
        let left = None;
        self.doubt.get_or_insert_default().trial = Trial::Out { size, over, left };
        None
    }

    /// The size of the segment that is to be tried.
    pub(crate) fn trial(&self) -> Option<u16> {
        match self.doubt.as_deref()?.trial {
            Trial::Out {
                size, left: None, ..
            } => Some(size),
            _ => None,
        }
    }

    /// Is, or was, a smaller segment tried, and nothing larger arrived since?
    pub(crate) fn is_tried(&self) -> bool {
        let trial = self.doubt.as_deref().map(|doubt| doubt.trial);
        trial.is_some_and(|trial| trial != Trial::None)
    }

    /// What was at the front left again, up to `end`.
    pub(crate) fn on_front_sent(&mut self, now: Instant, end: SeqNum) {
        if let Some(doubt) = self.doubt.as_deref_mut()
            && let Trial::Out { left, .. } = &mut doubt.trial
        {
            left.get_or_insert((now, end));
        }
    }

    /// An ACK delivered segments, the largest of this size, and left SND.UNA there: did what was tried get through?
    pub(crate) fn look_at_trial(&mut self, una: SeqNum, largest: u32) {
        let Some(doubt) = self.doubt.as_deref_mut() else {
            return;
        };
        doubt.trial = match doubt.trial {
            Trial::Out { size, .. } | Trial::Arrived { size, .. } if largest > u32::from(size) => {
                Trial::None
            }
            Trial::Out {
                size,
                over,
                left: Some((at, end)),
            } if !una.before(end) => Trial::Arrived { size, over, at },
            same => same,
        };
        self.forget_if_clear();
    }

    /// The path carries `low` and not `high`, though nobody said so.
    pub(crate) fn fall_back(&mut self, now: Instant, (low, high): (u16, u16)) {
        self.proven = low;
        self.begin_search(Search::new(now, (low, high), now));
        if let Some(doubt) = self.doubt.as_deref_mut() {
            doubt.trial = Trial::None;
            doubt.news = Some(Found::Narrow(low));
        }
        self.settle();
    }

    // --- upwards --------------------------------------------------------------------------

    /// The size of the probe that may leave now; `most` is what both ends and the path may carry.
    pub(crate) fn wanted(&self, now: Instant, most: u16, steps: &Steps) -> Option<u16> {
        let search = self.search()?;
        let may = search.probe.is_none() && search.due <= now;
        may.then(|| search.next(now, most, steps[0].saturating_add(TO_ETHERNET)))?
    }

    /// The probe that is out.
    pub(crate) fn probe(&self) -> Option<Probe> {
        self.search()?.probe
    }

    pub(crate) fn on_probe_sent(&mut self, probe: Probe, most: u16) {
        if let Some(search) = self.search_mut() {
            search.high = search.high.min(most.saturating_add(1));
            search.probe = Some(probe);
        }
    }

    /// The probe got through.
    pub(crate) fn on_probe_arrived(&mut self, now: Instant, most: u16) {
        // What this connection may send is no bound of the path's.
        let all = self.said.most;
        let Some(search) = self.search_mut() else {
            return;
        };
        let Some(probe) = search.probe.take() else {
            return;
        };
        search.due = now;
        if probe.size >= search.high {
            // It was too large once: all is tried anew.
            search.high = most.saturating_add(1);
        }
        if probe.size > search.low {
            search.settle_at(probe.size);
        }
        let done = search.is_done(most);
        if done {
            search.due = search.until;
        }
        let news = match probe.size {
            size if size >= all => {
                self.end_search();
                Found::All
            }
            size if done => Found::Settled(size),
            size => Found::Carries(size),
        };
        self.doubt.get_or_insert_default().news = Some(news);
        self.settle();
    }

    /// The probe is lost; `alone`: and nothing else, so that its size is why, maybe. No other leaves for so long.
    pub(crate) fn on_probe_lost(&mut self, now: Instant, wait: Duration, alone: bool) {
        let most = self.said.most;
        let Some(search) = self.search_mut() else {
            return;
        };
        let Some(probe) = search.probe.take() else {
            return;
        };
        search.due = now + wait;
        search.lost += u8::from(alone);
        if search.lost < TRIES {
            return;
        }
        (search.high, search.lost) = (search.high.min(probe.size), 0);
        search.until = now + AGAIN;
        if search.is_done(most) {
            search.due = search.until;
            // Who comes next need not find it out again.
            let settled = Found::Settled(search.low);
            self.doubt.get_or_insert_default().news = Some(settled);
        }
    }

    // --- the rest -------------------------------------------------------------------------

    fn search(&self) -> Option<&Search> {
        self.doubt.as_deref()?.search.as_ref()
    }

    fn search_mut(&mut self) -> Option<&mut Search> {
        self.doubt.as_deref_mut()?.search.as_mut()
    }

    fn begin_search(&mut self, search: Search) {
        self.doubt.get_or_insert_default().search = Some(search);
        self.settle();
    }

    fn end_search(&mut self) {
        if let Some(doubt) = self.doubt.as_deref_mut() {
            doubt.search = None;
        }
        self.forget_if_clear();
    }

    fn settle(&mut self) {
        let most = self.said.most;
        let low = self.search().map_or(self.said.sure, |search| search.low);
        self.mss = low.min(most);
    }

    fn forget_if_clear(&mut self) {
        let clear = |doubt: &Doubt| {
            doubt.trial == Trial::None && doubt.search.is_none() && doubt.news.is_none()
        };
        if self.doubt.as_deref().is_some_and(clear) {
            self.doubt = None;
        }
    }
}

impl Search {
    fn new(now: Instant, (low, high): (u16, u16), due: Instant) -> Self {
        Self {
            low,
            high,
            probe: None,
            lost: 0,
            due,
            until: now + AGAIN,
        }
    }

    /// Segments of this size get through.
    fn settle_at(&mut self, low: u16) {
        if low != self.low {
            (self.low, self.lost) = (low, 0);
            self.high = self.high.max(low.saturating_add(1));
        }
    }

    /// Is what is known near enough to what is not so?
    const fn is_done(&self, most: u16) -> bool {
        self.high <= most && self.high.saturating_sub(self.low) <= NEAR
    }

    /// RFC 4821 §7.3: what most paths carry, then halves, and at the end what may be at all. What was found before is looked at
    /// again by a little more than that: it is all that is lost where the path is as narrow as ever.
    fn next(&self, now: Instant, most: u16, common: u16) -> Option<u16> {
        let more = Some(self.low).filter(|&low| low < most)?;
        if self.is_done(most) {
            let again = more.saturating_add(NEAR + 1).min(most);
            return (now >= self.until).then_some(again);
        }
        let high = self.high.min(most.saturating_add(1));
        let gap = high.checked_sub(more).filter(|&gap| gap > 1)?;
        let untried = high > most;
        Some(if untried && gap <= 2 * NEAR {
            most
        } else if more < common && common < high.min(most) {
            common
        } else {
            more + gap / 2
        })
    }
}

#[cfg(test)]
#[path = "path_size_tests.rs"]
mod tests;
