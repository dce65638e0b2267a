//! The link between two hosts that most scenarios are about, and one flow over it.
//!
//! *Owns* what a path is in words and what it is as wires: the two cannot differ. *Does not* measure.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use super::ends::Ends;
use super::run::Run;
use crate::base::Instant;
use crate::device::{
    AckAggregation, AckThinning, Chance, Displacement, Pick, QueueLimit, TokenBucket, WireConfig,
};
use crate::sim::app::AppId;
use crate::sim::apps::{Bulk, Sink};
use crate::sim::config::PortConfig;
use crate::sim::error::SimError;
use crate::sim::link::LinkConfig;
use crate::sim::topology::Pair;
use crate::stack::ListenOptions;
use crate::tcp::TcpInfo;

/// The path that data takes, and ACKs back over: rates, delays and queues are the same each way if nothing else
/// is said, harm is done to data only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// Bits per second; `None`: frames take no time.
    rate: Option<u64>,
    /// Propagation both ways, in milliseconds.
    rtt_ms: u64,
    /// What may wait, in bytes; `None`: everything.
    queue: Option<usize>,
    harm: Harm,
    mtu: usize,
    /// Does the sender's device take frames only, no super-segments?
    frames_only: bool,
    /// Milliseconds from the start, and the rate from then on.
    steps: &'static [(u64, u64)],
    /// What passes of the data, whatever the rate.
    policer: Option<TokenBucket>,
    acks: Acks,
    /// The rate and the queue of the way back, where they are not those of the way there.
    back: Option<(u64, usize)>,
}

/// What happens to ACKs on their way back.
#[derive(Clone, Copy, Debug)]
enum Acks {
    Untouched,
    /// They come in bursts of so many bytes, or of all that came in so many milliseconds.
    Bursts(usize, u64),
    /// The newest of so many milliseconds comes.
    OnePer(u64),
}

/// What happens to data on its way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Harm {
    Nothing,
    /// Independent loss of so many frames in a million.
    Loss(u32),
    /// Independent loss of so many frames in 10^9.
    RareLoss(u64),
    /// Every n-th frame with text is lost.
    LossEvery(u64),
    /// The frame with text of this number, from 1 on, is lost.
    LossOf(u64),
    /// So many frames in a million come later by milliseconds.
    HeldBack(u32, u64),
    /// Each frame comes later by up to so many milliseconds, and overtakes.
    Jitter(u64),
}

/// What Ethernet adds to an IP packet.
pub(super) const ETHERNET: u64 = 14;
/// IPv4, TCP and timestamps in front of text.
pub(super) const HEADERS: u64 = 20 + 20 + 12;

impl Path {
    /// A path of this rate, round-trip time and queue, with MTU 1500.
    pub(super) const fn new(rate: Option<u64>, rtt_ms: u64, queue: Option<usize>) -> Self {
        Self {
            rate,
            rtt_ms,
            queue,
            harm: Harm::Nothing,
            mtu: 1500,
            frames_only: false,
            steps: &[],
            policer: None,
            acks: Acks::Untouched,
            back: None,
        }
    }

    pub(super) const fn harm(self, harm: Harm) -> Self {
        Self { harm, ..self }
    }

    /// The sender's device takes frames only: bursts are what one ACK lets go.
    pub(super) const fn frames_only(self) -> Self {
        Self {
            frames_only: true,
            ..self
        }
    }

    pub(super) const fn mtu(self, mtu: usize) -> Self {
        Self { mtu, ..self }
    }

    /// What may wait, in bytes.
    pub(super) const fn queue(self, bytes: usize) -> Self {
        Self {
            queue: Some(bytes),
            ..self
        }
    }

    /// From so many milliseconds on, so many bits per second, there and back.
    pub(super) const fn steps(self, steps: &'static [(u64, u64)]) -> Self {
        Self { steps, ..self }
    }

    /// Data passes a policer in front of the queue.
    pub(super) const fn policer(self, bucket: TokenBucket) -> Self {
        Self {
            policer: Some(bucket),
            ..self
        }
    }

    /// ACKs come in bursts of so many bytes, or of what came within so many milliseconds.
    pub(super) const fn ack_bursts(self, bytes: usize, ms: u64) -> Self {
        Self {
            acks: Acks::Bursts(bytes, ms),
            ..self
        }
    }

    /// One ACK comes in so many milliseconds.
    pub(super) const fn one_ack_per(self, ms: u64) -> Self {
        Self {
            acks: Acks::OnePer(ms),
            ..self
        }
    }

    /// The way back has so many bits per second, and a queue of so many bytes.
    pub(super) const fn back(self, rate: u64, queue: usize) -> Self {
        Self {
            back: Some((rate, queue)),
            ..self
        }
    }

    /// Propagation both ways.
    pub(super) const fn rtt(&self) -> Duration {
        Duration::from_millis(self.rtt_ms)
    }

    pub(super) const fn rtt_millis(&self) -> u64 {
        self.rtt_ms
    }

    /// Bits per second.
    pub(super) const fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// Text of a full segment.
    pub(super) fn smss(&self) -> u64 {
        u64::try_from(self.mtu).unwrap_or(0).saturating_sub(HEADERS)
    }

    /// The share of the line that so many bits of text each second are, frames counted, in millionths.
    pub(super) fn used(&self, text_bits: u64) -> u64 {
        let smss = u128::from(self.smss());
        let frames = u128::from(text_bits) * 1_000_000 * (smss + u128::from(HEADERS + ETHERNET));
        let share = frames.checked_div(smss * u128::from(self.rate.unwrap_or(0)));
        u64::try_from(share.unwrap_or(0)).unwrap_or(u64::MAX)
    }

    /// The bits of text each second that fill the line at first, frames counted; 0 without a line.
    pub(super) fn text_rate(&self) -> u64 {
        let smss = self.smss();
        self.rate.unwrap_or(0) / (smss + HEADERS + ETHERNET) * smss
    }

    /// How long a full queue takes to empty, in nanoseconds; 0 without a line or a limit.
    pub(super) fn full_queue_nanos(&self) -> u64 {
        let bits = self.queue.unwrap_or(0).saturating_mul(8);
        let nanos = u128::try_from(bits).unwrap_or(0) * 1_000_000_000;
        let nanos = nanos.checked_div(u128::from(self.rate.unwrap_or(0)));
        u64::try_from(nanos.unwrap_or(0)).unwrap_or(u64::MAX)
    }

    /// Two hosts with this path between them.
    pub(super) fn pair(&self, seed: u64) -> Result<Pair, SimError> {
        let port = |offload| PortConfig::new().mtu(self.mtu).offload(offload);
        Pair::with(seed, self.link(), [port(!self.frames_only), port(true)])
    }

    /// Both its wires.
    pub(super) fn link(&self) -> LinkConfig {
        let delay = Duration::from_micros(self.rtt_ms.saturating_mul(500));
        let mut plain = WireConfig::perfect().delay(delay).queue(match self.queue {
            Some(bytes) => QueueLimit::Bytes(bytes),
            None => QueueLimit::Bytes(usize::MAX),
        });
        if let Some(rate) = self.rate {
            plain = plain.rate(rate);
        }
        for &(ms, rate) in self.steps {
            plain = plain.rate_from(Instant::from_millis(ms), rate);
        }
        LinkConfig::from((self.there(plain.clone()), self.back_again(plain)))
    }

    fn there(&self, mut wire: WireConfig) -> WireConfig {
        if let Some(bucket) = self.policer {
            wire = wire.token_bucket(bucket);
        }
        match self.harm {
            Harm::Nothing => wire,
            Harm::Loss(millionths) => wire.loss(Chance::per_million(millionths)),
            Harm::RareLoss(billionths) => {
                let billionths = u32::try_from(billionths).unwrap_or(u32::MAX);
                wire.loss(Chance::per_billion(billionths))
            }
            Harm::LossEvery(nth) => wire.loss(Pick::every(nth)),
            Harm::LossOf(number) => wire.loss(Pick::numbers([number.saturating_sub(1)])),
            Harm::HeldBack(millionths, ms) => wire.reordering(
                Chance::per_million(millionths),
                Displacement::Time(Duration::from_millis(ms)),
            ),
            Harm::Jitter(ms) => wire.jitter(Duration::from_millis(ms)),
        }
    }

    fn back_again(&self, mut wire: WireConfig) -> WireConfig {
        if let Some((rate, queue)) = self.back {
            wire = wire.rate(rate).queue(QueueLimit::Bytes(queue));
        }
        match self.acks {
            Acks::Untouched => wire,
            Acks::Bursts(bytes, ms) => {
                wire.ack_aggregation(AckAggregation::new(bytes, Duration::from_millis(ms)))
            }
            Acks::OnePer(ms) => wire.ack_thinning(AckThinning::one_per(Duration::from_millis(ms))),
        }
    }

    /// The harm in words, behind all else that the path is.
    fn harm_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.harm {
            Harm::Nothing => Ok(()),
            Harm::Loss(millionths) => write!(f, ", {} % of the data lost", Percent(millionths)),
            Harm::RareLoss(billionths) => write!(f, ", {billionths} in 10^9 of the data lost"),
            Harm::LossEvery(nth) => write!(f, ", every {nth}th data segment lost"),
            Harm::LossOf(number) => write!(f, ", data segment {number} lost"),
            Harm::HeldBack(millionths, ms) => {
                let percent = Percent(millionths);
                write!(f, ", {percent} % of the data held back {ms} ms")
            }
            Harm::Jitter(ms) => write!(f, ", up to {ms} ms of jitter that reorders data"),
        }
    }

    /// The way back in words, where it is another than the way there.
    fn back_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((rate, queue)) = self.back {
            let rate = Thousandths(rate / 1000);
            write!(f, ", back {rate} Mbit/s with a queue of {queue} B")?;
        }
        match self.acks {
            Acks::Untouched => Ok(()),
            Acks::Bursts(bytes, ms) => write!(f, ", ACKs in bursts of {bytes} B or {ms} ms"),
            Acks::OnePer(ms) => write!(f, ", one ACK in {ms} ms"),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rate {
            Some(rate) => write!(f, "{} Mbit/s", Thousandths(rate / 1000))?,
            None => f.write_str("no rate limit")?,
        }
        write!(f, ", {} ms", self.rtt_ms)?;
        match self.queue {
            Some(bytes) => write!(f, ", queue {bytes} B")?,
            None => f.write_str(", unlimited queue")?,
        }
        if self.mtu != 1500 {
            write!(f, ", MTU {}", self.mtu)?;
        }
        if self.frames_only {
            f.write_str(", no super-segments")?;
        }
        for &(ms, rate) in self.steps {
            let (at, rate) = (Thousandths(ms), Thousandths(rate / 1000));
            write!(f, ", {rate} Mbit/s from {at} s on")?;
        }
        if let Some(bucket) = self.policer {
            let (rate, first) = (Thousandths(bucket.rate / 1000), bucket.burst);
            let most = bucket.depth;
            write!(
                f,
                ", policed to {rate} Mbit/s in {first} B at first, {most} B at most"
            )?;
        }
        self.harm_in_words(f)?;
        self.back_in_words(f)
    }
}

/// Thousandths without needless decimals.
struct Thousandths(u64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:03}", self.0 % 1000);
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{}", self.0 / 1000),
            decimals => write!(f, "{}.{decimals}", self.0 / 1000),
        }
    }
}

/// Millionths as a hundredth part.
struct Percent(u32);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:04}", self.0 % 10_000);
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{}", self.0 / 10_000),
            decimals => write!(f, "{}.{decimals}", self.0 / 10_000),
        }
    }
}

/// A sender without end on the left, and who reads all on the right.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) pair: Pair,
    sink: AppId<Sink>,
    bulk: AppId<Bulk>,
}

impl Flow {
    /// Builds the network of a run and has it watched.
    pub(super) fn new(run: &mut Run, path: &Path, ends: Ends) -> Result<Self, SimError> {
        let mut pair = path.pair(run.seed())?;
        let to = SocketAddr::new(Pair::RIGHT, 9);
        let (sender, receiver) = ends.options();
        let sink = Sink::new(to).options(ListenOptions::new(receiver));
        let sink = pair.network.add_app(pair.right, sink);
        let bulk = Bulk::new(to).options(sender);
        let bulk = pair.network.add_app(pair.left, bulk);
        run.watch(&mut pair.network, "flow", pair.left, pair.link);
        Ok(Self { pair, sink, bulk })
    }

    /// Bytes that the receiver has read.
    pub(super) fn received(&self) -> u64 {
        self.pair.network.app(self.sink).bytes()
    }

    /// What the sender knows, once it has a connection.
    pub(super) fn info(&self) -> Option<TcpInfo> {
        let id = self.pair.network.app(self.bulk).id()?;
        self.pair.network.stack(self.pair.left).tcp_info(id).ok()
    }

    /// Runs until the receiver has read something, at most for a minute; tells when that was.
    pub(super) fn run_until_first(&mut self) -> Result<Option<Instant>, SimError> {
        let limit = self.pair.network.now() + Duration::from_secs(60);
        loop {
            if let Some((first, _)) = self.pair.network.app(self.sink).times() {
                return Ok(Some(first));
            }
            match self.pair.network.step()? {
                Some(now) if now < limit => {}
                _ => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_it_is() {
        let path = Path::new(Some(100_000_000), 20, Some(250_000));
        for (path, text) in [
            (path, "100 Mbit/s, 20 ms, queue 250000 B"),
            (
                path.harm(Harm::Loss(1000)),
                "100 Mbit/s, 20 ms, queue 250000 B, 0.1 % of the data lost",
            ),
            (
                Path::new(None, 100, None).harm(Harm::LossEvery(100)),
                "no rate limit, 100 ms, unlimited queue, every 100th data segment lost",
            ),
            (
                Path::new(Some(2_500_000), 1, None).harm(Harm::HeldBack(10_000, 5)),
                "2.5 Mbit/s, 1 ms, unlimited queue, 1 % of the data held back 5 ms",
            ),
            (
                path.mtu(9052).frames_only().harm(Harm::Jitter(3)),
                "100 Mbit/s, 20 ms, queue 250000 B, MTU 9052, no super-segments, up to 3 ms of jitter that reorders data",
            ),
            (
                path.queue(1000)
                    .steps(&[(1500, 100_000)])
                    .policer(TokenBucket::new(1_000_000, 5, 7)),
                "100 Mbit/s, 20 ms, queue 1000 B, 0.1 Mbit/s from 1.5 s on, policed to 1 Mbit/s in \
                 5 B at first, 7 B at most",
            ),
            (
                path.harm(Harm::RareLoss(10))
                    .back(3_000_000, 500)
                    .one_ack_per(5),
                "100 Mbit/s, 20 ms, queue 250000 B, 10 in 10^9 of the data lost, back 3 Mbit/s with a \
                 queue of 500 B, one ACK in 5 ms",
            ),
            (
                path.ack_bursts(10_240, 144),
                "100 Mbit/s, 20 ms, queue 250000 B, ACKs in bursts of 10240 B or 144 ms",
            ),
        ] {
            assert_eq!(path.to_string(), text);
        }
        // 1448 of 1514 bytes are text.
        assert_eq!(path.used(100_000_000 / 1514 * 1448), 999_997);
        assert_eq!(path.full_queue_nanos(), 20_000_000);
        assert_eq!(path.text_rate(), 95_640_400);
        assert_eq!(Path::new(None, 1, None).used(5), 0, "no line, no share");
    }
}
