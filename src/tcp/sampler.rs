//! The delivery-rate sampler (draft-ietf-ccwg-bbr, "Delivery Rate Samples").
//!
//! *Owns* what was delivered and when, and the stamp that each record carries from its transmission
//! to its acknowledgement. *Does not* know records.

use core::time::Duration;

use crate::base::Instant;

/// What a record remembers of the connection at its transmission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TxStamp {
    pub(crate) sent_at: Instant,
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    app_limited: bool,
}

/// Counts deliveries of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeliverySampler {
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    /// Deliveries up to this count come from a sender that had nothing to send.
    app_limited_until: u64,
    /// The record that this ACK's sample is based on.
    basis: Option<TxStamp>,
    rate: Option<u64>,
    rate_app_limited: bool,
}

impl DeliverySampler {
    /// A record leaves; `inflight` does not count it yet.
    pub(crate) fn on_send(&mut self, now: Instant, inflight: u32) -> TxStamp {
        if inflight == 0 {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        TxStamp {
            sent_at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            app_limited: self.app_limited_until > self.delivered,
        }
    }

    /// A record, or a part of one, was delivered for the first time.
    pub(crate) fn on_delivered(&mut self, now: Instant, stamp: &TxStamp, bytes: u32) {
        self.delivered += u64::from(bytes);
        self.delivered_at = now;
        if self
            .basis
            .is_none_or(|basis| stamp.sent_at >= basis.sent_at)
        {
            self.basis = Some(*stamp);
        }
    }

    /// The ACK is processed: makes its rate sample, unless its interval is below the path's
    /// shortest round trip.
    pub(crate) fn on_ack_end(&mut self, min_rtt: Option<Duration>) {
        let Some(basis) = self.basis.take() else {
            return;
        };
        self.first_sent_at = basis.sent_at;
        let send_elapsed = basis.sent_at.since(basis.first_sent_at);
        let ack_elapsed = self.delivered_at.since(basis.delivered_at);
        let interval = send_elapsed.max(ack_elapsed);
        if interval.is_zero() || min_rtt.is_some_and(|min| interval < min) {
            return;
        }
        let bytes = u128::from(self.delivered - basis.delivered);
        let rate = bytes * 1_000_000_000 / interval.as_nanos();
        self.rate = Some(u64::try_from(rate).unwrap_or(u64::MAX));
        self.rate_app_limited = basis.app_limited;
    }

    /// The sender has nothing to send although the window would allow it.
    pub(crate) fn on_app_limited(&mut self, inflight: u32) {
        self.app_limited_until = (self.delivered + u64::from(inflight)).max(1);
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The latest sample in bytes per second, and whether the application limited it.
    pub(crate) fn rate(&self) -> Option<(u64, bool)> {
        self.rate.map(|rate| (rate, self.rate_app_limited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Instant = Instant::from_millis;

    #[test]
    fn a_flight_delivered_in_one_round_trip_gives_its_rate() {
        let mut sampler = DeliverySampler::default();
        let first = sampler.on_send(MS(0), 0);
        let second = sampler.on_send(MS(0), 1000);
        sampler.on_delivered(MS(100), &first, 1000);
        sampler.on_delivered(MS(100), &second, 1000);
        sampler.on_ack_end(Some(Duration::from_millis(100)));
        assert_eq!(sampler.rate(), Some((20_000, false)));
        assert_eq!(sampler.delivered(), 2000);
    }

    #[test]
    fn a_sample_shorter_than_the_path_is_thrown_away() {
        let mut sampler = DeliverySampler::default();
        let stamp = sampler.on_send(MS(0), 0);
        sampler.on_delivered(MS(1), &stamp, 1000);
        sampler.on_ack_end(Some(Duration::from_millis(5)));
        assert_eq!(sampler.rate(), None);
    }

    #[test]
    fn what_follows_an_idle_sender_is_marked() {
        let mut sampler = DeliverySampler::default();
        sampler.on_app_limited(0);
        let stamp = sampler.on_send(MS(0), 0);
        sampler.on_delivered(MS(10), &stamp, 1000);
        sampler.on_ack_end(None);
        assert_eq!(sampler.rate(), Some((100_000, true)));
        let stamp = sampler.on_send(MS(10), 0);
        sampler.on_delivered(MS(20), &stamp, 1000);
        sampler.on_ack_end(None);
        assert_eq!(sampler.rate(), Some((100_000, false)));
    }
}
