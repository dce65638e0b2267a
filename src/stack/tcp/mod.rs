//! TCP in the stack: not wired yet.

use super::Stack;
use super::icmp::IcmpError;
use super::ids::{Id, InterfaceId, TcpId};
use super::packet::Inbound;
use crate::base::{DropReason, Instant};
use crate::device::{DeviceError, Transmit};

/// How a connection's turn to send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpTurn {
    /// It has nothing more to send.
    Done,
    /// It has more: back to the end of the line.
    More,
    /// The device is full: it stays first in line.
    Full,
    /// It waits for its neighbour, which will put it in line.
    Waiting,
}

/// TCP's tables.
#[derive(Debug, Default)]
pub(crate) struct Tcp;

impl Stack {
    pub(super) fn handle_tcp(&mut self, _now: Instant, _packet: Inbound) {
        self.net.counters.drops.count(DropReason::TcpNoSocket);
    }

    pub(super) fn tcp_icmp_error(&mut self, _now: Instant, _error: &IcmpError) {
        self.net.counters.drops.count(DropReason::IcmpUnmatched);
    }

    pub(super) fn tcp_neighbour_failed(&mut self, _now: Instant, id: TcpId) {
        let _ = id.index();
    }

    pub(super) fn tcp_timeout(&mut self, _now: Instant, _index: u32) {}

    pub(super) fn tcp_half_open_timeout(&mut self, _now: Instant, _index: u32) {}

    pub(super) fn tcp_time_wait_timeout(&mut self, _now: Instant, _index: u32) {}

    /// Lets the connection in this slot send at most `budget` frames, which it takes off.
    pub(super) fn transmit_tcp<T: Transmit + ?Sized>(
        &mut self,
        _now: Instant,
        _on: InterfaceId,
        _index: u32,
        _out: &mut T,
        _budget: &mut usize,
    ) -> Result<TcpTurn, DeviceError> {
        Ok(TcpTurn::Done)
    }
}
