//! A path for the unit tests of controllers: one bottleneck, one queue, one way to lose at random.
//!
//! Packets of one segment; what is lost is told when the packet behind it is acknowledged, and is not
//! sent again. The scenarios of whole connections are elsewhere, through real stacks.

use core::time::Duration;
use std::collections::VecDeque;

use crate::base::Instant;

use super::control::CongestionControl;
use super::event::{
    AckSample, CongestionEvent, CongestionKind, Cx, EpisodeKind, LostEvent, Pacing, Phase,
    Response, SendEvent, Start,
};
use super::parts::{Basis, DeliverySampler, Departure, Pacer, Prr, PrrAck, TxStamp, window_rate};

pub(super) const SMSS: u32 = 1448;

/// A packet on its way.
struct Packet {
    told_at: Instant,
    stamp: TxStamp,
    lost: bool,
}

pub(super) struct TestPath {
    pub(super) control: Box<dyn CongestionControl>,
    pub(super) now: Instant,
    /// Bytes per second.
    pub(super) rate: u64,
    pub(super) rtt: Duration,
    /// Bytes of queue.
    pub(super) buffer: u64,
    /// Of a million packets, so many are lost at random.
    pub(super) loss: u64,
    /// While off, nothing is written.
    pub(super) writing: bool,
    pub(super) inflight: u32,
    pub(super) lost_packets: u64,
    pub(super) sampler: DeliverySampler,
    pub(super) max_queue: u64,
    /// Calls in order, when wanted.
    pub(super) min_seen: Option<Duration>,
    srtt: Option<Duration>,
    free_at: Instant,
    pipe: VecDeque<Packet>,
    pacer: Pacer,
    prr: Option<(Prr, u32)>,
    phase: Phase,
    /// The episode is over when so many bytes were told of.
    point: u64,
    sent: u64,
    told: u64,
    was_lost: bool,
    random: u64,
    cwnd_limited: bool,
    limited_until: u64,
}

impl TestPath {
    pub(super) fn new(control: Box<dyn CongestionControl>, rate: u64, rtt: Duration) -> Self {
        let mut this = Self {
            control,
            now: Instant::from_millis(1000),
            rate,
            rtt,
            buffer: 1 << 30,
            loss: 0,
            writing: true,
            inflight: 0,
            lost_packets: 0,
            sampler: DeliverySampler::default(),
            max_queue: 0,
            min_seen: None,
            srtt: None,
            free_at: Instant::ZERO,
            pipe: VecDeque::new(),
            pacer: Pacer::default(),
            prr: None,
            phase: Phase::Open,
            point: 0,
            sent: 0,
            told: 0,
            was_lost: false,
            random: 1,
            cwnd_limited: false,
            limited_until: 0,
        };
        let cx = this.cx();
        this.control.start(&cx, &Start::new(7));
        this
    }

    pub(super) fn bdp(&self) -> u64 {
        u64::try_from(u128::from(self.rate) * self.rtt.as_nanos() / 1_000_000_000).unwrap()
    }

    pub(super) fn get(&self, name: &str) -> i128 {
        let mut found = None;
        self.control.inspect(&mut |n, value| {
            if n == name {
                found = Some(value);
            }
        });
        found.unwrap_or_else(|| panic!("{name} is not inspected"))
    }

    pub(super) fn cx(&self) -> Cx {
        Cx {
            srtt: self.srtt,
            latest_rtt: self.srtt,
            path_min_rtt: self.min_seen,
            inflight: self.inflight,
            delivered: self.sampler.delivered(),
            lost: self.sampler.lost(),
            cwnd_limited: self.cwnd_limited,
            app_limited: self.sampler.is_app_limited(),
            phase: self.phase,
            ..Cx::new(self.now, SMSS)
        }
    }

    /// Bytes that are queued at the bottleneck.
    pub(super) fn queue(&self) -> u64 {
        let wait = self.free_at.since(self.now).as_nanos();
        u64::try_from(wait * u128::from(self.rate) / 1_000_000_000).unwrap()
    }

    /// Runs for so long; returns the bytes delivered.
    pub(super) fn run(&mut self, time: Duration) -> u64 {
        let end = self.now + time;
        let before = self.sampler.delivered();
        while self.step(end) {}
        self.now = end;
        self.sampler.delivered() - before
    }

    /// Runs until the value of `name` is `value`; panics when that takes longer than `most`.
    pub(super) fn run_until(&mut self, name: &str, value: i128, most: Duration) {
        let end = self.now + most;
        while self.get(name) != value {
            assert!(
                self.step(end),
                "{name} is {} after {most:?}",
                self.get(name)
            );
        }
    }

    /// Rounds of whatever the round trip is, roughly.
    pub(super) fn step(&mut self, end: Instant) -> bool {
        let next_ack = self.pipe.front().map(|p| p.told_at);
        let may = self.writing && self.inflight + SMSS <= self.allowed();
        let next_send = may.then(|| self.pacer.wait(self.now).unwrap_or(self.now));
        self.cwnd_limited |= self.writing && !may;
        if !self.writing && self.inflight + SMSS <= self.allowed() {
            self.sampler.on_app_limited(self.inflight);
        }
        match (next_send, next_ack) {
            (Some(at), ack) if ack.is_none_or(|ack| at <= ack) => {
                if at > end {
                    return false;
                }
                self.now = at.max(self.now);
                self.send();
            }
            (_, Some(ack)) if ack <= end => {
                self.now = ack.max(self.now);
                self.acknowledge();
            }
            _ => return false,
        }
        true
    }

    fn allowed(&self) -> u32 {
        match &self.prr {
            Some((_, gate)) => *gate,
            None => self.control.output().cwnd,
        }
    }

    fn send(&mut self) {
        let mut event = SendEvent::new(SMSS, self.inflight);
        event.app_limited = self.sampler.is_app_limited();
        let cx = self.cx();
        if self.control.hears_sends() {
            self.control.on_send(&cx, &event);
        }
        self.apply();
        let departure = Departure::new(self.now, SMSS, self.inflight);
        let stamp = self.sampler.on_send(&departure);
        self.inflight += SMSS;
        self.sent += u64::from(SMSS);
        self.pacer.on_send(self.now, SMSS);
        if let Some((prr, _)) = &mut self.prr {
            prr.on_send(SMSS);
        }
        self.max_queue = self.max_queue.max(self.queue());
        let lost = self.queue() + u64::from(SMSS) > self.buffer || self.draws_loss();
        if !lost {
            let service = u128::from(SMSS) * 1_000_000_000 / u128::from(self.rate);
            let service = Duration::from_nanos(u64::try_from(service).unwrap());
            self.free_at = self.free_at.max(self.now) + service;
        }
        self.pipe.push_back(Packet {
            told_at: self.free_at.max(self.now) + self.rtt,
            stamp,
            lost,
        });
        self.cwnd_limited |= self.inflight + SMSS > self.allowed();
    }

    fn draws_loss(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 1_000_000 < self.loss
    }

    fn acknowledge(&mut self) {
        let packet = self.pipe.pop_front().unwrap();
        let flight_before = self.inflight;
        self.told += u64::from(SMSS);
        self.inflight -= SMSS;
        if packet.lost {
            self.lost_packets += 1;
            self.sampler.on_lost(SMSS);
            let mut event = LostEvent::new(packet.stamp, SMSS);
            event.starts_new_gap = !self.was_lost;
            self.was_lost = true;
            let cx = self.cx();
            self.control.on_lost(&cx, &event);
            if self.phase == Phase::Open {
                self.enter(flight_before);
            }
            self.apply();
            return;
        }
        self.was_lost = false;
        let rtt = self.now.since(packet.stamp.sent_at);
        self.srtt = Some(self.srtt.map_or(rtt, |srtt| (srtt * 7 + rtt) / 8));
        self.min_seen = Some(self.min_seen.map_or(rtt, |min| min.min(rtt)));
        let mut basis = Basis::default();
        self.sampler
            .on_delivered(self.now, &packet.stamp, SMSS, &mut basis);
        if self.phase == Phase::Recovery && self.told > self.point {
            self.phase = Phase::Open;
            self.prr = None;
            let cx = self.cx();
            self.control.on_recovery_exit(&cx, EpisodeKind::Recovery);
        }
        let sample = AckSample {
            rtt: Some(rtt),
            prior_inflight: flight_before,
            rate: self.sampler.on_ack_end(&basis, self.min_seen),
            ..AckSample::new(SMSS)
        };
        let cx = self.cx();
        self.control.on_ack(&cx, &sample);
        if let Some((prr, gate)) = &mut self.prr {
            *gate = prr.on_ack(&PrrAck::new(SMSS, self.inflight), SMSS);
        }
        if self.told > self.limited_until {
            self.limited_until = self.sent;
            self.cwnd_limited = false;
        }
        self.apply();
    }

    fn enter(&mut self, flight_before: u32) {
        self.point = self.sent;
        let event = CongestionEvent {
            cwnd_before: self.control.output().cwnd,
            ..CongestionEvent::new(CongestionKind::EnterRecovery, flight_before)
        };
        let cx = self.cx();
        if let Response::Prr { target } = self.control.on_congestion(&cx, &event) {
            let mut prr = Prr::new(target, flight_before);
            let gate = prr.on_ack(&PrrAck::new(0, self.inflight), SMSS);
            self.prr = Some((prr, gate));
        }
        self.phase = Phase::Recovery;
    }

    fn apply(&mut self) {
        let out = self.control.output();
        assert!(out.cwnd >= SMSS, "a window of {}", out.cwnd);
        let rate = match out.pacing {
            Pacing::Off => None,
            Pacing::FromWindow => window_rate(out.cwnd, out.ssthresh, self.inflight, self.srtt),
            Pacing::Rate(rate) => Some(rate),
        };
        assert_ne!(rate, Some(0));
        self.pacer.set(rate, out.send_quantum.unwrap_or(SMSS));
    }
}
