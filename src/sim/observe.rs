//! Looking at a network while it runs: traces of connections, captures of links, counters of wires.
//!
//! *Owns* when rows are taken. *Does not* change what happens: a run that is looked at is the same run.

use std::io::{self, Write};

use super::agenda::Who;
use super::link::{LinkId, WireId};
use super::network::{HostId, Network};
use super::recording::{Log, Recording};
use super::tap::LinkTap;
use super::trace::{Row, Sampling, Trace, TraceId};
use crate::base::Instant;
use crate::device::{Queued, WireConfig, WireCounters};

impl Network {
    /// Takes rows of a host's connections from now on, with what waits on `queue` beside them.
    ///
    /// They are kept until [`take_rows`](Self::take_rows): some 500 bytes each.
    pub fn trace(&mut self, host: HostId, sampling: Sampling, queue: Option<WireId>) -> TraceId {
        let trace = Trace::new(self.now, host, sampling, queue);
        if let Some(due) = trace.due {
            self.agenda.advance(Who::Samples, due);
        }
        self.traces.push(trace);
        TraceId(self.traces.len() - 1)
    }

    /// The rows of a trace since they were last taken, in the order of time.
    pub fn take_rows(&mut self, trace: TraceId) -> Vec<Row> {
        core::mem::take(&mut self.traces[trace.0].rows)
    }

    /// Writes all that is sent and all that arrives at both ends of a link as pcapng, each end an
    /// interface named after its node; times are virtual, from 1970 on. It ends with
    /// [`end_capture`](Self::end_capture), which tells how it went, with the network, or with a second capture
    /// of the link.
    ///
    /// # Errors
    /// The sink's.
    pub fn capture(&mut self, link: LinkId, sink: impl Write + 'static) -> io::Result<()> {
        let ends = [link.back(), link.forth()].map(|wire| &self.cables[wire.0]);
        let names = ends.map(|cable| self.nodes[cable.to.0].name.as_str());
        let medium = ends[0].medium;
        let tap = LinkTap::new(Box::new(sink), medium, names)?;
        self.taps[link.0] = Some(tap);
        Ok(())
    }

    /// Ends the capture of a link, if there is one, and writes what is left of it.
    ///
    /// # Errors
    /// The sink's, be it one that came while the network ran: the capture ended there.
    pub fn end_capture(&mut self, link: LinkId) -> io::Result<()> {
        self.taps[link.0].take().map_or(Ok(()), LinkTap::finish)
    }

    /// All that a host's stack was told so far, if it was configured to be
    /// [recorded](super::HostConfig::record).
    pub fn recording(&self, host: HostId) -> Option<Recording> {
        self.host(host).log.as_ref().map(Log::recording)
    }

    /// What waits for the line of a wire now.
    pub fn queued(&mut self, wire: WireId) -> Queued {
        self.cables[wire.0].wire.queued(self.now)
    }

    /// What a wire has done to frames so far.
    pub fn wire_counters(&self, wire: WireId) -> WireCounters {
        self.cables[wire.0].wire.counters()
    }

    /// Changes what a wire does, from now on.
    pub fn set_wire(&mut self, wire: WireId, config: WireConfig) {
        let cable = &mut self.cables[wire.0];
        cable.wire.set(self.now, config);
        self.agenda.set(Who::Wire(wire.0), cable.wire.next_due());
    }

    /// Frames that were put on a wire while its link was cut.
    pub fn lost_to_cuts(&self, wire: WireId) -> u64 {
        self.cables[wire.0].lost
    }

    /// Takes the rows that are due at their time.
    pub(super) fn sample(&mut self) {
        let now = self.now;
        for at in 0..self.traces.len() {
            if self.traces[at].due.is_some_and(|due| due <= now) {
                self.take_samples(at, |trace, network, queue| {
                    trace.on_time(now, network.stack(trace.host), queue);
                });
            }
        }
        let due = self.traces.iter().filter_map(|trace| trace.due).min();
        self.agenda.set(Who::Samples, due);
    }

    /// Takes the rows of a host's turn.
    pub(super) fn trace_turn(&mut self, host: HostId) {
        let now = self.now;
        for at in 0..self.traces.len() {
            let trace = &self.traces[at];
            if trace.host == host && trace.sampling == Sampling::EachTurn {
                self.take_samples(at, |trace, network, queue| {
                    trace.on_turn(now, network.stack(trace.host), queue);
                });
            }
        }
    }

    fn take_samples(&mut self, at: usize, take: impl FnOnce(&mut Trace, &Self, Option<Queued>)) {
        let blank = Trace::new(Instant::ZERO, HostId(0), Sampling::EachTurn, None);
        let mut trace = core::mem::replace(&mut self.traces[at], blank);
        let queue = trace.wire.map(|wire| self.queued(wire));
        take(&mut trace, self, queue);
        self.traces[at] = trace;
    }
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
