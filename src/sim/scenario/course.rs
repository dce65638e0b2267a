//! Flows over one path, each with its own congestion control, length and start.
//!
//! *Owns* the network that they meet in, and what is read from it while it runs. *Does not* judge.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::ends::{Control, Ends};
use super::path::Path;
use super::run::Run;
use super::unit::Unit;
use crate::base::Instant;
use crate::device::WireConfig;
use crate::sim::app::AppId;
use crate::sim::apps::{Bulk, Sink};
use crate::sim::error::SimError;
use crate::sim::link::LinkId;
use crate::sim::network::{HostId, Network};
use crate::sim::topology::{Dumbbell, Pair};
use crate::stack::ListenOptions;
use crate::tcp::TcpInfo;

/// One who sends; buffers never limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    control: Control,
    /// `None`: without end.
    bytes: Option<u64>,
    after_ms: u64,
    /// What its round trip is longer than the path's.
    farther_ms: u64,
}

impl Sender {
    /// Sends without end from the start on.
    pub(super) const fn of(control: Control) -> Self {
        Self {
            control,
            bytes: None,
            after_ms: 0,
            farther_ms: 0,
        }
    }

    pub(super) const fn bytes(self, bytes: u64) -> Self {
        Self {
            bytes: Some(bytes),
            ..self
        }
    }

    pub(super) const fn after_ms(self, after_ms: u64) -> Self {
        Self { after_ms, ..self }
    }

    pub(super) const fn farther_ms(self, farther_ms: u64) -> Self {
        Self { farther_ms, ..self }
    }

    pub(super) const fn control(&self) -> Control {
        self.control
    }

    pub(super) const fn bytes_setting(&self) -> Option<u64> {
        self.bytes
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.control)?;
        if let Some(bytes) = self.bytes {
            write!(f, " with {}", Unit::Bytes.of(bytes))?;
        }
        if self.farther_ms > 0 {
            write!(f, " {} ms farther away", self.farther_ms)?;
        }
        if self.after_ms > 0 {
            write!(f, " after {} ms", self.after_ms)?;
        }
        Ok(())
    }
}

/// Senders in words.
pub(super) struct Senders<'a>(pub(super) &'a [Sender]);

impl fmt::Display for Senders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, sender) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(" + ")?;
            }
            write!(f, "{sender}")?;
        }
        Ok(())
    }
}

/// One of the flows.
#[derive(Clone, Copy, Debug)]
struct Flow {
    from: HostId,
    bulk: AppId<Bulk>,
    sink: AppId<Sink>,
    bytes: Option<u64>,
}

/// Flows that are on their way.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) network: Network,
    link: LinkId,
    flows: Vec<Flow>,
}

const FIRST_PORT: u16 = 9;
const GLANCE: Duration = Duration::from_millis(10);

impl Course {
    /// Builds the network and has its first sender watched under this name.
    pub(super) fn new(
        run: &mut Run,
        name: &str,
        seed: u64,
        path: &Path,
        senders: &[Sender],
    ) -> Result<Self, SimError> {
        let mut course = if senders.iter().all(|sender| sender.farther_ms == 0) {
            Self::between_two(seed, path, senders)?
        } else {
            Self::between_many(seed, path, senders)?
        };
        if let Some(first) = course.flows.first() {
            run.watch(&mut course.network, name, first.from, course.link);
        }
        Ok(course)
    }

    /// All senders are one host.
    fn between_two(seed: u64, path: &Path, senders: &[Sender]) -> Result<Self, SimError> {
        let Pair {
            network,
            left,
            right,
            link,
        } = path.pair(seed)?;
        let mut course = Self {
            network,
            link,
            flows: Vec::new(),
        };
        for (port, sender) in (FIRST_PORT..).zip(senders) {
            course.add(*sender, left, (right, Pair::RIGHT, port));
        }
        Ok(course)
    }

    /// Each sender is a host of its own distance.
    fn between_many(seed: u64, path: &Path, senders: &[Sender]) -> Result<Self, SimError> {
        let access = senders.iter().map(|sender| {
            let one_way = Duration::from_micros(sender.farther_ms.saturating_mul(500));
            WireConfig::perfect().delay(one_way)
        });
        let bell = Dumbbell::new(seed, path.link(), access)?;
        let mut course = Self {
            network: bell.network,
            link: bell.bottleneck,
            flows: Vec::new(),
        };
        for (sender, (left, right)) in senders.iter().zip(bell.left.iter().zip(&bell.right)) {
            let to = (right.host, right.address, FIRST_PORT);
            course.add(*sender, left.host, to);
        }
        Ok(course)
    }

    fn add(&mut self, sender: Sender, from: HostId, (host, address, port): (HostId, IpAddr, u16)) {
        let to = SocketAddr::new(address, port);
        let (options, receiver) = Ends::of(sender.control).roomy().options();
        let sink = Sink::new(to).options(ListenOptions::new(receiver));
        let sink = self.network.add_app(host, sink);
        let mut bulk = Bulk::new(to)
            .options(options)
            .after(Duration::from_millis(sender.after_ms));
        if let Some(bytes) = sender.bytes {
            bulk = bulk.bytes(bytes);
        }
        let bulk = self.network.add_app(from, bulk);
        self.flows.push(Flow {
            from,
            bulk,
            sink,
            bytes: sender.bytes,
        });
    }

    /// It has run its course.
    pub(super) fn end(mut self, run: &mut Run) {
        run.watched(&mut self.network);
    }

    pub(super) fn run_until_ms(&mut self, ms: u64) -> Result<(), SimError> {
        self.network.run_until(Instant::from_millis(ms))
    }

    /// Runs until then, and calls `look` each `every_ms`.
    pub(super) fn look_until_ms(
        &mut self,
        ms: u64,
        every_ms: u64,
        mut look: impl FnMut(&mut Self),
    ) -> Result<(), SimError> {
        let end = Instant::from_millis(ms);
        while self.network.now() < end {
            let next = self.network.now() + Duration::from_millis(every_ms.max(1));
            self.network.run_until(next.min(end))?;
            look(self);
        }
        Ok(())
    }

    /// Runs until all who send a number of bytes are done, at most until then, and calls `look` each 10 ms.
    pub(super) fn look_until_done(
        &mut self,
        at_most_ms: u64,
        mut look: impl FnMut(&mut Self),
    ) -> Result<(), SimError> {
        let limit = Instant::from_millis(at_most_ms);
        while self.network.now() < limit && !self.all_done() {
            let next = self.network.now() + GLANCE;
            self.network.run_until(next.min(limit))?;
            look(self);
        }
        Ok(())
    }

    fn all_done(&self) -> bool {
        (0..self.flows.len())
            .all(|flow| self.flows[flow].bytes.is_none() || self.done_at(flow).is_some())
    }

    /// When the receiver had read all of this flow; `None` if it has not.
    pub(super) fn done_at(&self, flow: usize) -> Option<Instant> {
        let Flow { sink, bytes, .. } = self.flows[flow];
        let sink = self.network.app(sink);
        let (_, last) = sink.times()?;
        (sink.bytes() >= bytes?).then_some(last)
    }

    /// Bytes that the receivers have read, by flow.
    pub(super) fn received(&self) -> Vec<u64> {
        let sinks = self.flows.iter().map(|flow| flow.sink);
        sinks.map(|sink| self.network.app(sink).bytes()).collect()
    }

    /// What a sender knows, while it has a connection.
    pub(super) fn info(&self, flow: usize) -> Option<TcpInfo> {
        let Flow { from, bulk, .. } = self.flows[flow];
        let id = self.network.app(bulk).id()?;
        self.network.stack(from).tcp_info(id).ok()
    }

    /// What a sender's congestion control says of itself, while it has a connection.
    pub(super) fn inspected(&self, flow: usize) -> Vec<(&'static str, i128)> {
        let Flow { from, bulk, .. } = self.flows[flow];
        let mut values = Vec::new();
        if let Some(id) = self.network.app(bulk).id() {
            let visit = &mut |name, value| values.push((name, value));
            // One that is gone says nothing.
            let _ = self.network.stack(from).tcp_inspect(id, visit);
        }
        values
    }

    /// The state that a sender's congestion control says it is in.
    pub(super) fn state(&self, flow: usize) -> Option<i128> {
        let values = self.inspected(flow);
        let found = values.iter().find(|(name, _)| *name == "state");
        found.map(|&(_, state)| state)
    }

    /// A value of what a sender's congestion control says of itself; `None` if it says nothing of that name.
    pub(super) fn value(&self, flow: usize, name: &str) -> Option<u64> {
        let values = self.inspected(flow);
        let found = values.iter().find(|(known, _)| *known == name);
        found.and_then(|&(_, value)| u64::try_from(value).ok())
    }

    /// Bytes that wait on the path.
    pub(super) fn queued(&mut self) -> u64 {
        let queued = self.network.queued(self.link.forth()).bytes;
        u64::try_from(queued).unwrap_or(u64::MAX)
    }

    /// Frames with data that were sent, and those of them that were lost to a queue, a policer or chance.
    pub(super) fn frames(&self) -> (u64, u64) {
        let counters = self.network.wire_counters(self.link.forth());
        let lost = counters.overflowed + counters.policed + counters.lost;
        (counters.texts, lost)
    }
}

/// The one in the middle, the upper of two; 0 of none.
pub(super) fn median(mut of: Vec<u64>) -> u64 {
    of.sort_unstable();
    of.get(of.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::run::Watch;
    use super::*;

    const MB: u64 = 1_000_000;

    #[test]
    fn senders_of_several_distances_meet_in_one_queue_and_are_done_when_all_was_read() {
        let path = Path::new(Some(10 * MB), 10, Some(50_000));
        let near = Sender::of(Control::Bbr3).bytes(MB);
        let far = Sender::of(Control::Cubic).farther_ms(80).bytes(MB / 2);
        for senders in [[near, near.after_ms(500)], [near, far]] {
            let mut run = Run::new(1, Watch::nothing());
            let mut course = Course::new(&mut run, "flows", 1, &path, &senders).unwrap();
            course.run_until_ms(600).unwrap();
            assert!(course.done_at(0).is_none() && !course.all_done());
            let (mut looks, mut longest) = (0, None);
            let look = |course: &mut Course| {
                looks += 1;
                longest = longest.max(course.info(1).and_then(|info| info.rtt));
            };
            course.look_until_done(60_000, look).unwrap();
            assert!(looks > 50, "{looks}");
            let least = Duration::from_millis(10 + senders[1].farther_ms);
            assert!(longest.is_some_and(|rtt| rtt >= least), "{longest:?}");
            assert!(course.all_done(), "{:?}", course.received());
            assert!(course.network.now() < Instant::from_millis(5000));
            assert!(course.frames().0 >= course.received().iter().sum::<u64>() / 1448);
            course.end(&mut run);
        }
        assert_eq!(
            Senders(&[near, far.after_ms(5)]).to_string(),
            "BBRv3 with 1000000 B + CUBIC with 500000 B 80 ms farther away after 5 ms"
        );
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![]), 0);
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![9, 1]), 9);
    }
}
