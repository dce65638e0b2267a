//! When routers are asked for.
//!
//! RFC 4861 §6.3.7 (the delay of the first question), RFC 7559 §2 (the next ones, without an end). *Owns* the times.
//! *Does not* send. Invariant: while a question waits for the device no other is due.

use core::time::Duration;

use crate::base::Instant;

/// MAX_RTR_SOLICITATION_DELAY, RFC 4861 §10.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// IRT, RFC 7559 §2.
const FIRST: Duration = Duration::from_secs(4);
/// MRT, RFC 7559 §2.
const MOST: Duration = Duration::from_secs(3600);

/// Asks until a router answers.
#[derive(Debug, Default)]
pub(super) struct Solicitor {
    due: Option<Instant>,
    /// RT of RFC 8415 §15, once a question has left.
    interval: Option<Duration>,
    asking: bool,
}

impl Solicitor {
    /// Begins to ask, from the start when it does already.
    pub(super) fn start(&mut self, now: Instant, below: impl FnOnce(u64) -> u64) {
        *self = Self {
            due: Some(now + part(MAX_DELAY, below)),
            interval: None,
            asking: true,
        };
    }

    /// A router has answered, or nobody could.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn is_asking(&self) -> bool {
        self.asking
    }

    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Is a question due? It is sent once.
    pub(super) fn on_timeout(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = None;
        }
        is_due
    }

    /// The question has left: when the next one is due, if nobody answers.
    pub(super) fn on_sent(&mut self, now: Instant, below: impl FnOnce(u64) -> u64) {
        if !self.asking {
            return;
        }
        // RFC 8415 §15: RT = 2*RTprev + RAND*RTprev, RAND being from -0.1 to 0.1; the first is IRT + RAND*IRT.
        let (doubled, base) = match self.interval {
            None => (FIRST, FIRST),
            Some(last) if last * 2 > MOST => (MOST, MOST),
            Some(last) => (last * 2, last),
        };
        let interval = doubled - base / 10 + part(base / 5, below);
        self.interval = Some(interval);
        self.due = Some(now + interval);
    }

    /// It did not leave: again then.
    pub(super) fn again_at(&mut self, at: Instant) {
        if self.asking {
            self.due = Some(at);
        }
    }
}

/// A random part of a time.
fn part(whole: Duration, below: impl FnOnce(u64) -> u64) -> Duration {
    let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(below(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(below: impl Fn(u64) -> u64 + Copy, count: usize) -> Vec<Duration> {
        let mut solicitor = Solicitor::default();
        let mut now = Instant::from_millis(10);
        solicitor.start(now, below);
        let mut gaps = Vec::new();
        for _ in 0..count {
            let due = solicitor.due().unwrap();
            gaps.push(due.since(now));
            assert!(!solicitor.on_timeout(Instant::from_nanos(due.as_nanos() - 1)));
            now = due;
            assert!(solicitor.on_timeout(now));
            assert_eq!(solicitor.due(), None, "it waits for the device");
            assert!(!solicitor.on_timeout(now + MOST), "and is sent once");
            solicitor.on_sent(now, below);
        }
        gaps
    }

    /// Covers: NDP-7 (a delay of up to a second, then four), NDP-8 (twice as long each time, up to an hour, for ever).
    #[test]
    fn it_asks_less_and_less_often_and_never_ends() {
        let secs = |gaps: Vec<Duration>| -> Vec<f64> {
            gaps.iter()
                .map(|gap| (gap.as_secs_f64() * 10.0).round() / 10.0)
                .collect()
        };
        let middle = secs(gaps(|bound| bound / 2, 14));
        assert_eq!(
            middle,
            [
                0.5, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 3600.0,
                3600.0, 3600.0
            ]
        );
        let (least, most) = (secs(gaps(|_| 0, 4)), secs(gaps(|bound| bound - 1, 4)));
        assert_eq!(least, [0.0, 3.6, 6.8, 13.0]);
        assert_eq!(most, [1.0, 4.4, 9.2, 19.4]);
        let late = secs(gaps(|bound| bound - 1, 40));
        assert!(
            late[20..]
                .iter()
                .all(|&gap| (3240.0..=3960.0).contains(&gap)),
            "{late:?}"
        );
    }

    #[test]
    fn an_answer_ends_it_whatever_waits() {
        let mut solicitor = Solicitor::default();
        let now = Instant::from_millis(1);
        solicitor.start(now, |_| 0);
        assert!(solicitor.is_asking() && solicitor.on_timeout(now));
        solicitor.stop();
        // What stood in the outbox leaves all the same.
        solicitor.on_sent(now, |_| 0);
        solicitor.again_at(now);
        assert_eq!((solicitor.due(), solicitor.is_asking()), (None, false));
    }
}
