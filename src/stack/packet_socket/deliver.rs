//! Who hears a frame that came in.
//!
//! packet(7) of Linux. *Owns* the copies: slices, but of what is small. *Does not* judge frames, nor count what nobody hears.

use bytes::Bytes;

use super::socket::LinkPacket;
use crate::base::MacAddr;
use crate::link::RxMeta;
use crate::link::ethernet::EtherType;
use crate::stack::Stack;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::InterfaceId;

/// What the link header of a frame says, where there is one.
#[derive(Clone, Copy, Debug)]
pub(in crate::stack) struct Came {
    pub(in crate::stack) on: InterfaceId,
    /// To whom, and from whom.
    pub(in crate::stack) ends: Option<(MacAddr, MacAddr)>,
    pub(in crate::stack) ether_type: EtherType,
    /// Is it for this host, or a group?
    pub(in crate::stack) to_us: bool,
}

impl Stack {
    /// Gives what a frame carries to each socket that hears it; did any?
    #[cold]
    pub(in crate::stack) fn deliver_packet(
        &mut self,
        came: &Came,
        payload: &Bytes,
        meta: &RxMeta,
    ) -> bool {
        let mut shared = None;
        let small = payload.len() < self.config.copy_below;
        let places = u32::try_from(self.packets.sockets.places()).unwrap_or(u32::MAX);
        for index in 0..places {
            let Some((id, socket)) = self.packets.sockets.at_mut(index) else {
                continue;
            };
            if !socket.hears(came) {
                continue;
            }
            let payload = shared.get_or_insert_with(|| match small {
                true => Bytes::copy_from_slice(payload),
                false => payload.clone(),
            });
            let packet = LinkPacket {
                on: came.on,
                src: came.ends.map(|(_, src)| src),
                dst: came.ends.map(|(dst, _)| dst),
                ether_type: came.ether_type,
                at: meta.at,
                payload: payload.clone(),
                segment_size: meta.segment_size,
            };
            // Who keeps up has an empty queue, which always takes one.
            let full = self.memory.is_full() && !socket.is_empty();
            let counters = &mut self.net.counters;
            if full || !socket.push(packet) {
                socket.dropped += 1;
                counters.raw_packets_dropped += 1;
                continue;
            }
            counters.raw_packets_received += 1;
            let held = socket.held();
            self.memory.charge(&mut socket.charged, held, counters);
            self.events.raise(SocketId::Packet(id), Readiness::READABLE);
        }
        shared.is_some()
    }
}
