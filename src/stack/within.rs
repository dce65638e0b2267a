//! What the stack sends to itself: to 127.0.0.0/8, to `::1`, and to the addresses of its interfaces.
//!
//! RFC 1122 §3.2.1.3 (g), §3.3.4.2; RFC 4291 §2.5.3. *Owns* the way from the loopback's line back in: no device ever
//! sees it, nor a capture. *Does not* know protocols: what is sent within is built and read like all else, in packets of up
//! to 65,535 bytes without a checksum. Invariant: a call moves a bounded number of them; as long as more wait,
//! [`Stack::poll_timeout`] says now.

use core::net::IpAddr;

use bytes::Bytes;

use super::Stack;
use super::ids::InterfaceId;
use super::interface::Destination;
use super::net::Net;
use super::path::Route;
use crate::base::Instant;
use crate::device::{DeviceError, Sent, Transmit};
use crate::link::{RxChecksum, RxFrame, RxMeta, TxFrame};

/// Packets on their way at once: half a mebibyte.
const AT_ONCE: usize = 8;

/// How often a call sends and hears what it sent; with [`AT_ONCE`] about half a millisecond of copying at most.
const ROUNDS: usize = 4;

impl Net {
    /// The way to `dst` when that is an address of ours, or a loopback one. A link-local address is ours on the
    /// interface that it names, or on any if it names none.
    pub(in crate::stack) fn route_within(
        &self,
        dst: IpAddr,
        scope: Option<InterfaceId>,
    ) -> Option<Route> {
        let link_local = match dst {
            IpAddr::V4(a) => a.is_link_local(),
            IpAddr::V6(a) => a.is_unicast_link_local(),
        };
        if !self.is_ours(dst, scope.filter(|_| link_local)) {
            return None;
        }
        let loopback = self.interfaces.loopback();
        // RFC 6724 §5, rule 1: the same address, where it is one that somebody has.
        let source = if dst.is_loopback() {
            loopback.addresses.source(dst, dst)?
        } else {
            dst
        };
        Some(Route {
            on: loopback.id,
            next_hop: dst,
            source,
            mtu: loopback.mtu(),
        })
    }

    /// Is `dst` ours for what came from within: an address in use, whichever interface has it?
    pub(in crate::stack) fn is_within(&self, on: InterfaceId, dst: IpAddr) -> bool {
        let in_use =
            |on: InterfaceId| self.interfaces[on.index()].classify(dst) == Destination::Ours;
        on == InterfaceId::LOOPBACK && (dst.is_loopback() || self.owners_of(dst).any(in_use))
    }
}

impl Stack {
    /// Has it something for itself?
    #[inline]
    pub(in crate::stack) fn speaks_to_itself(&self) -> bool {
        self.net.interfaces.loopback().line.wants_transmit()
    }

    /// Lets what it has for itself arrive, and what that is answered.
    #[inline]
    pub(in crate::stack) fn deliver_within(&mut self, now: Instant) {
        if self.speaks_to_itself() {
            self.deliver_some(now);
        }
    }

    #[cold]
    fn deliver_some(&mut self, now: Instant) {
        let mut frames = core::mem::take(&mut self.within);
        for _ in 0..ROUNDS {
            let sent = self.drain(now, InterfaceId::LOOPBACK, &mut Within(&mut frames));
            debug_assert!(sent.is_ok(), "it is no device, and does not end");
            if frames.is_empty() {
                break;
            }
            for frame in frames.drain(..) {
                self.take_frame(now, InterfaceId::LOOPBACK, frame);
            }
        }
        self.within = frames;
    }
}

/// Takes frames, and keeps them.
struct Within<'a>(&'a mut Vec<RxFrame>);

impl Transmit for Within<'_> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if self.0.len() >= AT_ONCE {
            return Ok(Sent::Full);
        }
        // What was not completed was never damaged.
        let checksum = match frame.meta.checksum {
            Some(_) => RxChecksum::Verified,
            None => RxChecksum::Unknown,
        };
        let size = frame.meta.segment.map(|segment| segment.size);
        let meta = RxMeta::new(now).with_checksum(checksum);
        let data = Bytes::from(frame.to_vec());
        self.0
            .push(RxFrame::new(data, meta.with_segment_size(size)));
        Ok(Sent::Taken)
    }
}
