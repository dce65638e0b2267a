//! The delivery-rate sampler (draft-ietf-ccwg-bbr, "Delivery Rate Samples").
//!
//! *Owns* what was delivered, lost and marked, and the stamp that each record carries from its
//! transmission to its acknowledgement or loss. *Does not* know records.

use core::time::Duration;

use crate::base::{Instant, nanos};

/// What a record remembers of the connection at its transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TxStamp {
    /// When it departed.
    pub sent_at: Instant,
    /// Bytes the connection had delivered.
    pub delivered: u64,
    /// When the last of them was.
    pub delivered_at: Instant,
    /// When the flight began that its rate is taken over.
    pub first_sent_at: Instant,
    /// Bytes the connection had taken for lost.
    pub lost: u64,
    /// Bytes the connection had delivered with a congestion mark.
    pub delivered_ce: u64,
    /// Bytes in flight, this record included.
    pub tx_in_flight: u32,
    /// Had the application nothing more to send?
    pub app_limited: bool,
    /// How often it had left before, at most 255.
    pub attempt: u8,
}

/// The rate at which an ACK shows the path to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RateSample {
    /// Bytes delivered over `interval`.
    pub delivered: u64,
    /// Bytes delivered before the record left that the sample is based on.
    pub prior_delivered: u64,
    /// The longer of `send_elapsed` and `ack_elapsed`; never zero.
    pub interval: Duration,
    /// How long it took to send it.
    pub send_elapsed: Duration,
    /// How long its acknowledgement took.
    pub ack_elapsed: Duration,
    /// Bytes per second.
    pub rate: u64,
    /// Had the application nothing more to send when the record left?
    pub app_limited: bool,
    /// Bytes in flight when it had left, itself included.
    pub tx_in_flight: u32,
    /// Bytes taken for lost since it left.
    pub lost: u64,
    /// Bytes delivered with a congestion mark since it left.
    pub delivered_ce: u64,
    /// Had it been sent before?
    pub from_retransmit: bool,
}

/// A record that leaves.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Departure {
    /// When it departs: the pacer's time, not the time it was planned.
    pub at: Instant,
    /// Its bytes.
    pub bytes: u32,
    /// Bytes in flight without it.
    pub inflight: u32,
    /// How often it left before, at most 255.
    pub attempt: u8,
}

impl Departure {
    /// A record that leaves for the first time.
    pub const fn new(at: Instant, bytes: u32, inflight: u32) -> Self {
        Self {
            at,
            bytes,
            inflight,
            attempt: 0,
        }
    }
}

/// What the sample of one ACK is based on: of the records that it delivered, the one that left last. Whoever processes
/// the ACK keeps it for so long: a connection is not to carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Basis(Option<TxStamp>);

/// Counts deliveries of one connection.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct DeliverySampler {
    delivered: u64,
    /// Until more than so much is delivered, the sender had nothing more to send; 0: it had.
    app_limited_until: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    lost: u64,
    delivered_ce: u64,
    /// The latest sample's rate, and whether the application limited it.
    latest: Option<(u64, bool)>,
}

impl DeliverySampler {
    /// A record leaves.
    pub fn on_send(&mut self, leaving: &Departure) -> TxStamp {
        if leaving.inflight == 0 {
            self.first_sent_at = leaving.at;
            self.delivered_at = leaving.at;
        }
        TxStamp {
            sent_at: leaving.at,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            lost: self.lost,
            delivered_ce: self.delivered_ce,
            tx_in_flight: leaving.inflight.saturating_add(leaving.bytes),
            app_limited: self.is_app_limited(),
            attempt: leaving.attempt,
        }
    }

    /// A record, or a part of one, was delivered for the first time. Of records that left at the same
    /// time the one told last is the basis: SND.UNA's are told in order.
    pub fn on_delivered(&mut self, now: Instant, stamp: &TxStamp, bytes: u32, basis: &mut Basis) {
        self.delivered += u64::from(bytes);
        self.delivered_at = now;
        let later = |basis: &TxStamp| stamp.sent_at >= basis.sent_at;
        if basis.0.as_ref().is_none_or(later) {
            basis.0 = Some(*stamp);
        }
    }

    /// A record was taken for lost.
    pub fn on_lost(&mut self, bytes: u32) {
        self.lost += u64::from(bytes);
    }

    /// Bytes were delivered with a congestion mark.
    pub fn on_marked(&mut self, bytes: u32) {
        self.delivered_ce += u64::from(bytes);
    }

    /// The ACK is processed: makes its rate sample, unless it delivered nothing or its interval is below
    /// the path's shortest round trip.
    pub fn on_ack_end(&mut self, basis: &Basis, min_rtt: Option<Duration>) -> Option<RateSample> {
        let basis = basis.0.as_ref()?;
        self.first_sent_at = basis.sent_at;
        let send_elapsed = basis.sent_at.nanos_since(basis.first_sent_at);
        let ack_elapsed = self.delivered_at.nanos_since(basis.delivered_at);
        // The longer one: ACKs that come in a clump, after a hole or held back by the path, would tell
        // a rate that nothing ever had.
        let interval = send_elapsed.max(ack_elapsed);
        if interval == 0 || min_rtt.is_some_and(|min| interval < nanos(min)) {
            return None;
        }
        let delivered = self.delivered - basis.delivered;
        let rate = per_second(delivered, interval);
        let sample = RateSample {
            delivered,
            prior_delivered: basis.delivered,
            interval: Duration::from_nanos(interval),
            send_elapsed: Duration::from_nanos(send_elapsed),
            ack_elapsed: Duration::from_nanos(ack_elapsed),
            rate,
            app_limited: basis.app_limited,
            tx_in_flight: basis.tx_in_flight,
            lost: self.lost - basis.lost,
            delivered_ce: self.delivered_ce - basis.delivered_ce,
            from_retransmit: basis.attempt > 0,
        };
        self.latest = Some((sample.rate, sample.app_limited));
        Some(sample)
    }

    /// The sender has nothing to send although the window would allow it.
    pub fn on_app_limited(&mut self, inflight: u32) {
        // At least 1: 0 says that there is no such mark.
        self.app_limited_until = (self.delivered + u64::from(inflight)).max(1);
    }

    /// Does what leaves now follow a time when there was nothing to send?
    pub const fn is_app_limited(&self) -> bool {
        self.app_limited_until > 0 && self.delivered <= self.app_limited_until
    }

    /// Bytes delivered.
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Bytes taken for lost.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes delivered with a congestion mark.
    pub const fn delivered_ce(&self) -> u64 {
        self.delivered_ce
    }

    /// The latest sample in bytes per second, and whether the application limited it.
    pub const fn rate(&self) -> Option<(u64, bool)> {
        self.latest
    }
}

/// Bytes per second. What a path delivers in a round trip is reckoned with in 64 bits, which a division of 128
/// takes many times as long for.
fn per_second(bytes: u64, nanos: u64) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let nanos = nanos.max(1);
    match bytes.checked_mul(SECOND) {
        Some(bytes) => bytes / nanos,
        None => {
            let rate = u128::from(bytes) * u128::from(SECOND) / u128::from(nanos);
            u64::try_from(rate).unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Instant = Instant::from_millis;

    fn send(sampler: &mut DeliverySampler, at: u64, bytes: u32, inflight: u32) -> TxStamp {
        sampler.on_send(&Departure::new(MS(at), bytes, inflight))
    }

    /// m26: the first flight delivered nothing before it, and is a sample all the same.
    #[test]
    fn m26_the_first_flight_gives_its_rate() {
        let mut sampler = DeliverySampler::default();
        let mut basis = Basis::default();
        let first = send(&mut sampler, 0, 1000, 0);
        let second = send(&mut sampler, 0, 1000, 1000);
        assert_eq!((first.tx_in_flight, second.tx_in_flight), (1000, 2000));
        sampler.on_delivered(MS(100), &first, 1000, &mut basis);
        sampler.on_delivered(MS(100), &second, 1000, &mut basis);
        let sample = sampler.on_ack_end(
            &core::mem::take(&mut basis),
            Some(Duration::from_millis(100)),
        );
        let expected = RateSample {
            delivered: 2000,
            prior_delivered: 0,
            interval: Duration::from_millis(100),
            send_elapsed: Duration::ZERO,
            ack_elapsed: Duration::from_millis(100),
            rate: 20_000,
            app_limited: false,
            tx_in_flight: 2000,
            lost: 0,
            delivered_ce: 0,
            from_retransmit: false,
        };
        assert_eq!(sample, Some(expected));
        assert_eq!(sampler.rate(), Some((20_000, false)));
    }

    #[test]
    fn the_record_sent_last_is_the_basis_whatever_the_order_of_delivery() {
        let mut sampler = DeliverySampler::default();
        let mut basis = Basis::default();
        let old = send(&mut sampler, 0, 1000, 0);
        let again = sampler.on_send(&Departure {
            attempt: 1,
            ..Departure::new(MS(50), 1000, 1000)
        });
        sampler.on_delivered(MS(100), &again, 1000, &mut basis);
        sampler.on_delivered(MS(100), &old, 1000, &mut basis);
        let sample = sampler
            .on_ack_end(&core::mem::take(&mut basis), None)
            .unwrap();
        assert!(sample.from_retransmit);
        assert_eq!(sample.tx_in_flight, 2000);
    }

    #[test]
    fn a_sample_shorter_than_the_path_is_thrown_away() {
        let mut sampler = DeliverySampler::default();
        let mut basis = Basis::default();
        let stamp = send(&mut sampler, 0, 1000, 0);
        sampler.on_delivered(MS(1), &stamp, 1000, &mut basis);
        assert_eq!(
            sampler.on_ack_end(&core::mem::take(&mut basis), Some(Duration::from_millis(5))),
            None
        );
        assert_eq!(sampler.rate(), None);
        // Nothing delivered, or in no time: no sample either.
        assert_eq!(sampler.on_ack_end(&core::mem::take(&mut basis), None), None);
        let stamp = send(&mut sampler, 1, 1000, 0);
        sampler.on_delivered(MS(1), &stamp, 1000, &mut basis);
        assert_eq!(sampler.on_ack_end(&core::mem::take(&mut basis), None), None);
    }

    #[test]
    fn what_follows_an_idle_sender_is_marked() {
        let mut sampler = DeliverySampler::default();
        let mut basis = Basis::default();
        sampler.on_app_limited(0);
        let stamp = send(&mut sampler, 0, 1000, 0);
        sampler.on_delivered(MS(10), &stamp, 1000, &mut basis);
        assert!(
            sampler
                .on_ack_end(&core::mem::take(&mut basis), None)
                .unwrap()
                .app_limited
        );
        // With nothing in flight the mark lasts until something is delivered.
        sampler.on_app_limited(0);
        let stamp = send(&mut sampler, 10, 1000, 0);
        assert!(stamp.app_limited);
        sampler.on_delivered(MS(10), &stamp, 1000, &mut basis);
        sampler.on_ack_end(&core::mem::take(&mut basis), None);
        let stamp = send(&mut sampler, 10, 1000, 0);
        sampler.on_delivered(MS(20), &stamp, 1000, &mut basis);
        assert_eq!(
            sampler
                .on_ack_end(&core::mem::take(&mut basis), None)
                .unwrap()
                .rate,
            100_000
        );
        assert_eq!(sampler.rate(), Some((100_000, false)));
    }

    #[test]
    fn losses_and_marks_are_counted_since_the_record_left() {
        let mut sampler = DeliverySampler::default();
        let mut basis = Basis::default();
        sampler.on_lost(500);
        sampler.on_marked(70);
        let stamp = send(&mut sampler, 0, 1000, 0);
        assert_eq!((stamp.lost, stamp.delivered_ce), (500, 70));
        sampler.on_lost(300);
        sampler.on_marked(20);
        sampler.on_delivered(MS(10), &stamp, 1000, &mut basis);
        let sample = sampler
            .on_ack_end(&core::mem::take(&mut basis), None)
            .unwrap();
        assert_eq!((sample.lost, sample.delivered_ce), (300, 20));
    }

    /// m30: a hole holds up the cumulative ACK, which then tells a whole flight at once, soon after the ACK
    /// before it. It was not delivered in an instant.
    #[test]
    fn m30_an_ack_after_a_hole_tells_no_huge_rate() {
        let mut sampler = DeliverySampler::default();
        let mut basis = Basis::default();
        // 10 segments, a millisecond apart.
        let stamps: Vec<TxStamp> = (0..10)
            .map(|n| send(&mut sampler, n, 1000, 1000 * n as u32))
            .collect();
        // The second was lost, and sent again at 110; the ACK of the first is late, and everything is told
        // 10 ms after it.
        sampler.on_delivered(MS(200), &stamps[0], 1000, &mut basis);
        sampler.on_ack_end(&core::mem::take(&mut basis), None);
        let again = sampler.on_send(&Departure {
            attempt: 1,
            ..Departure::new(MS(201), 1000, 8000)
        });
        sampler.on_delivered(MS(210), &again, 1000, &mut basis);
        for stamp in &stamps[2..] {
            sampler.on_delivered(MS(210), stamp, 1000, &mut basis);
        }
        // 9000 bytes in 200 ms.
        let sample = sampler
            .on_ack_end(&core::mem::take(&mut basis), None)
            .unwrap();
        assert!(sample.rate <= 45_000, "{} bytes per second", sample.rate);
    }

    /// Of one path with a constant rate no sample exceeds it by more than the burst it began with.
    #[test]
    fn clumped_acks_tell_no_more_than_what_was_sent() {
        let mut sampler = DeliverySampler::default();
        let mut basis = Basis::default();
        let stamps: Vec<TxStamp> = (0..100)
            .map(|n| send(&mut sampler, n, 1000, (1000 * n as u32).min(50_000)))
            .collect();
        // ACKs of 20 segments each, all at once every 20 ms.
        for (clump, stamps) in stamps.chunks(20).enumerate() {
            let at = MS(150 + 20 * clump as u64);
            for stamp in stamps {
                sampler.on_delivered(at, stamp, 1000, &mut basis);
            }
            let sample = sampler
                .on_ack_end(&core::mem::take(&mut basis), None)
                .unwrap();
            assert!(sample.rate <= 1_100_000, "{sample:?}");
        }
    }
}
