//! A plan written out: the header into a buffer, the text as slices (RFC 9293 §3.1).
//!
//! *Owns* which field says what. *Does not* choose (`plan`), nor change what is sent (`commit`).

use bytes::Bytes;

use super::connection::Connection;
use super::header::{Fields, Flags};
use super::plan::Plan;

impl Connection {
    /// Writes the TCP header into `header`, checksum zero, and adds the text's slices to
    /// `payload`; returns the header's length.
    pub(crate) fn emit(
        &mut self,
        plan: &Plan,
        header: &mut [u8],
        payload: &mut Vec<Bytes>,
    ) -> usize {
        if plan.text > 0 {
            let offset = self.snd.offset(plan.seq);
            let len = usize::try_from(plan.text).unwrap_or(usize::MAX);
            self.snd.queue.slices(offset, len, payload);
        }
        let acks = plan.flags.contains(Flags::ACK);
        let fields = Fields {
            src_port: self.setup.local_port,
            dst_port: self.setup.remote_port,
            seq: plan.seq.get(),
            ack: if acks { self.rcv.nxt.get() } else { 0 },
            flags: plan.flags,
            window: plan.window,
            urgent: plan.urgent,
        };
        let len = fields.emit(&plan.options, header);
        if acks {
            len
        } else {
            self.append_fast_option(plan, header, len)
        }
    }
}
