//! The captured end's application: it listens, connects, writes, reads and ends as that end's segments show.
//!
//! RFC 9293 §3.10 as its user sees it. *Owns* the calls of the stack. *Does not* read segments: `tcp` does.

use core::net::SocketAddr;
use std::collections::BTreeSet;

use super::engine::Engine;
use super::flow::{self, Flow, Key};
use super::report::{BreachKind, Skipped};
use super::stream::Piece;
use super::world::plain;
use crate::stack::{ListenOptions, ListenerId, TcpId};
use crate::tcp::{Options, ReadError, WriteError};

/// Zeros that stand in for text that the capture lacks.
static ZEROS: [u8; 1 << 14] = [0; 1 << 14];

impl Engine {
    // --- opening --------------------------------------------------------------------------

    pub(super) fn listen(&mut self, ours: SocketAddr) -> Result<(), Skipped> {
        if self.listeners.contains_key(&ours) {
            return Ok(());
        }
        if self.listeners.len() >= self.most_flows {
            return Err(Skipped::TooManyFlows);
        }
        let options = ListenOptions::new(self.tcp.clone());
        let local = self.world.scoped(ours);
        let id = self.world.stack.tcp_listen(local, options);
        let id = id.map_err(|_| Skipped::Refused)?;
        self.listeners.insert(ours, id);
        Ok(())
    }

    pub(super) fn accept(&mut self, listener: ListenerId) {
        while let Ok(id) = self.world.stack.tcp_accept(self.now, listener) {
            let stack = &self.world.stack;
            let ends = (stack.tcp_local_addr(id), stack.tcp_peer_addr(id));
            let (Ok(ours), Ok(theirs)) = ends else {
                continue;
            };
            let key = (plain(ours), plain(theirs));
            match self.flows.get_mut(&key) {
                Some(flow) if flow.id.is_none() && !flow.gone => {
                    flow.id = Some(id);
                    self.ids.insert(id, key);
                    self.serve(key);
                }
                _ => self.world.stack.tcp_abort(self.now, id),
            }
        }
    }

    /// The captured end opens: it offers what it offered there.
    pub(super) fn connect(
        &mut self,
        (ours, theirs): Key,
        told: u32,
        offered: &Options,
    ) -> Result<(), Skipped> {
        self.make_room()?;
        let options = self.tcp.clone();
        let (timestamps, sack) = (options.timestamps, options.sack);
        let scaling = options.window_scaling;
        let options = options
            .timestamps(timestamps && offered.timestamps.is_some())
            .sack(sack && offered.sack_permitted)
            .window_scaling(scaling && offered.window_scale.is_some());
        let (local, remote) = (self.world.scoped(ours), self.world.scoped(theirs));
        let opened = self
            .world
            .stack
            .tcp_connect(self.now, remote, Some(local), options);
        let id = opened.map_err(|_| Skipped::Refused)?;
        let flow = Flow::opened(id, told);
        self.flows.insert((ours, theirs), flow);
        self.ids.insert(id, (ours, theirs));
        self.report.flows += 1;
        self.settle();
        Ok(())
    }

    // --- the application ------------------------------------------------------------------

    /// Reads, writes and ends as far as the captured end had come.
    pub(super) fn serve(&mut self, key: Key) {
        let Some(mut flow) = self.flows.remove(&key) else {
            return;
        };
        if let (Some(id), false) = (flow.id, flow.gone) {
            let failed = !self.read_all(&mut flow, key, id) || !self.write_all(&mut flow, id);
            let ended = flow.shut && flow.at_end;
            if failed || ended {
                self.world.stack.tcp_close(self.now, id);
                self.ids.remove(&id);
                flow.gone = true;
            }
        }
        self.flows.insert(key, flow);
    }

    /// `false`: the connection failed.
    fn read_all(&mut self, flow: &mut Flow, key: Key, id: TcpId) -> bool {
        while !flow.at_end {
            let most = flow
                .may_read
                .map_or(1 << 16, |end| end.saturating_sub(flow.read));
            let most = usize::try_from(most).unwrap_or(usize::MAX).min(1 << 16);
            if most == 0 {
                return true;
            }
            match self.world.stack.tcp_read_chunk(self.now, id, most) {
                Ok(chunk) if chunk.is_empty() => flow.at_end = true,
                Ok(chunk) => {
                    if let Err(wrong) = flow.theirs.check(flow.read, &chunk) {
                        self.breach(
                            BreachKind::Received,
                            format!("{} {wrong:?}", flow::show(key)),
                        );
                    }
                    flow.read += chunk.len() as u64;
                    flow.theirs.forget_to(flow.read, &mut self.budget);
                }
                Err(ReadError::WouldBlock) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// `false`: the connection failed.
    fn write_all(&mut self, flow: &mut Flow, id: TcpId) -> bool {
        while let Some(piece) = flow.ours.chunk(flow.written) {
            let stack = &mut self.world.stack;
            let written = match piece {
                Piece::Known(mut bytes) => stack.tcp_write_chunk(self.now, id, &mut bytes),
                Piece::Unknown(len) => {
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    stack.tcp_write(self.now, id, &ZEROS[..len.min(ZEROS.len())])
                }
            };
            match written {
                Ok(len) => flow.written += len as u64,
                Err(WriteError::WouldBlock) => return true,
                Err(_) => return false,
            }
        }
        if flow.our_fin == Some(flow.written) && !flow.shut {
            flow.shut = true;
            let how = std::net::Shutdown::Write;
            return self.world.stack.tcp_shutdown(self.now, id, how).is_ok();
        }
        true
    }

    pub(super) fn abort(&mut self, key: Key) {
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        if let (Some(id), false) = (flow.id, flow.gone) {
            flow.gone = true;
            self.ids.remove(&id);
            self.world.stack.tcp_abort(self.now, id);
        }
    }

    // --- the end of a flow ----------------------------------------------------------------

    /// Makes room for one more: a flow that is over goes.
    pub(super) fn make_room(&mut self) -> Result<(), Skipped> {
        while self.flows.len() >= self.most_flows {
            let key = self.over.pop_front().ok_or(Skipped::TooManyFlows)?;
            if self.flows.get(&key).is_some_and(Flow::is_over) {
                self.retire(key);
            }
        }
        Ok(())
    }

    /// One that is over makes room when it is wanted. What has gone since is taken off the line before that grows
    /// beyond twice the flows there may be.
    pub(super) fn queue_over(&mut self, key: Key) {
        if self.over.len() >= self.most_flows.saturating_mul(2) {
            let (flows, mut seen) = (&self.flows, BTreeSet::new());
            self.over
                .retain(|key| flows.get(key).is_some_and(Flow::is_over) && seen.insert(*key));
        }
        self.over.push_back(key);
    }

    /// Compares both ends and forgets the flow.
    pub(super) fn retire(&mut self, key: Key) {
        self.abort(key);
        let Some(mut flow) = self.flows.remove(&key) else {
            return;
        };
        if let Some(due) = flow.ack_due {
            self.agenda.remove(&(due, key));
        }
        for example in flow.captured.compare(&flow.live) {
            self.report.differs(&flow::show(key), example);
        }
        self.report.conflicts += flow.theirs.conflicts + flow.ours.conflicts;
        flow.theirs.release(&mut self.budget);
        flow.ours.release(&mut self.budget);
    }
}
