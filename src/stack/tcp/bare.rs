//! Segments without text that no connection sends: those of records, and RSTs.
//!
//! *Owns* their way to the outbox. *Does not* make them: the records do.

use bytes::Bytes;

use crate::base::Protocol;
use crate::stack::Stack;
use crate::stack::ids::InterfaceId;
use crate::stack::packet::{Flow, OwnedPacket};
use crate::stack::tuple::Tuple;
use crate::tcp::{Bare, FastWord, Fields, Flags, Reset, SeqNum};

impl Stack {
    /// Queues a segment without text.
    pub(super) fn queue_bare(&mut self, on: InterfaceId, flow: &Flow, tuple: &Tuple, bare: &Bare) {
        self.queue_bare_with(on, flow, tuple, bare, None);
    }

    /// The same of a SYN-ACK that says a word of fast open.
    pub(super) fn queue_bare_with(
        &mut self,
        on: InterfaceId,
        flow: &Flow,
        tuple: &Tuple,
        bare: &Bare,
        word: Option<FastWord>,
    ) {
        let (mut header, mut len) = bare_header(tuple, bare);
        if let Some(word) = word {
            len = word.append(&mut header, len);
        }
        let packet = OwnedPacket::new(*flow, Protocol::TCP, &header[..len], Bytes::new());
        if self.net.queue_packet(on, packet) {
            self.net.counters.tcp_segments_sent += 1;
            if bare.flags.contains(Flags::RST) {
                self.net.counters.tcp_resets_sent += 1;
            }
        }
    }

    /// Queues a RST that refuses a segment.
    pub(super) fn queue_reset(
        &mut self,
        on: InterfaceId,
        flow: &Flow,
        tuple: &Tuple,
        reset: Reset,
    ) {
        self.queue_bare(on, flow, tuple, &reset.bare(self.net.now));
    }
}

/// The header of a segment without text, and its length.
pub(super) fn bare_header(tuple: &Tuple, bare: &Bare) -> ([u8; 60], usize) {
    let fields = Fields {
        src_port: tuple.local.port,
        dst_port: tuple.remote.port,
        seq: bare.seq.get(),
        ack: bare.ack.map_or(0, SeqNum::get),
        flags: bare.flags,
        window: bare.window,
        urgent: 0,
    };
    let mut header = [0; 60];
    let len = fields.emit(&bare.options, &mut header);
    (header, len)
}
