//! Super-segments cut into packets of one MTU.
//!
//! RFC 9293 §3.7.1 (what a segment repeats), RFC 3168 §6.1.2 (CWR), Linux
//! Documentation/networking/segmentation-offloads.rst. *Owns* the headers of each segment. *Does not* copy payload, nor send.

use bytes::Bytes;

use super::layout::{Layout, TCP, long, on_the_wire, put_word, word};
use crate::base::checksum::Sum;

/// Of the last segment alone.
pub(crate) const FIN_PSH: u8 = 0x09;
/// Of the first segment alone.
pub(crate) const CWR: u8 = 0x80;

/// A super-segment being cut, segment by segment.
#[derive(Debug)]
pub(crate) struct Cut<'a> {
    payload: &'a [Bytes],
    layout: Layout,
    size: usize,
    total: usize,
    done: usize,
    /// The first slice with payload that is not cut yet, and how much of it is.
    at: (usize, usize),
    first: First,
    /// What was in the field of the checksum.
    field: u16,
    /// The pseudo-header's sum but for the length, where the header does not say it.
    pseudo: Option<Sum>,
}

/// What the header of the super-segment said, from which each segment's is made.
#[derive(Clone, Copy, Debug)]
struct First {
    id: u16,
    seq: u32,
    flags: u8,
}

impl<'a> Cut<'a> {
    /// Begins to cut the super-segment that `template` heads, whose headers are copied to `headers`; `None` when it cannot
    /// be cut.
    pub(crate) fn by(
        layout: Layout,
        template: &[u8],
        payload: &'a [Bytes],
        size: usize,
        headers: &mut Vec<u8>,
    ) -> Option<Self> {
        let total = payload.iter().map(Bytes::len).sum();
        if layout.payload != template.len() || total == 0 || size == 0 {
            return None;
        }
        headers.clear();
        headers.extend_from_slice(template);
        let tcp = layout.protocol == TCP;
        Some(Self {
            payload,
            layout,
            size,
            total,
            done: 0,
            at: (0, 0),
            first: First {
                id: word(template, layout.l3 + 4)?,
                seq: if tcp {
                    long(template, layout.l4 + 4)?
                } else {
                    0
                },
                flags: if tcp { template[layout.l4 + 13] } else { 0 },
            },
            field: word(template, layout.l4 + layout.checksum_offset())?,
            pseudo: None,
        })
    }

    /// Its checksum is partial, and the segments' are made of what is in the field: who put it there may know an end that the header does not
    /// name (RFC 8200 §8.1: the last that a routing header leads to).
    pub(crate) fn keep_pseudo(self) -> Self {
        let Layout { l4, payload, .. } = self.layout;
        let len = wire_len(payload - l4 + self.total);
        let pseudo = Some(Sum::new().word(self.field).word(!len));
        Self { pseudo, ..self }
    }

    /// Writes the next segment's headers over the last one's and its payload into `slices`; false
    /// after the last one.
    pub(crate) fn next(&mut self, headers: &mut [u8], slices: &mut Vec<Bytes>) -> bool {
        if self.done >= self.total {
            return false;
        }
        let len = self.size.min(self.total - self.done);
        self.take(len, slices);
        self.write_transport(headers, len, slices);
        self.done += len;
        true
    }

    fn take(&mut self, mut len: usize, slices: &mut Vec<Bytes>) {
        slices.clear();
        while len > 0 {
            let (index, skip) = self.at;
            let slice = &self.payload[index];
            let part = len.min(slice.len() - skip);
            if part > 0 {
                slices.push(slice.slice(skip..skip + part));
            }
            len -= part;
            self.at = if skip + part == slice.len() {
                (index + 1, 0)
            } else {
                (index, skip + part)
            };
        }
    }

    fn write_transport(&self, headers: &mut [u8], len: usize, slices: &[Bytes]) {
        let Layout { l4, payload, .. } = self.layout;
        let transport = wire_len(payload - l4 + len);
        self.write_ip(headers, transport);
        if self.layout.protocol == TCP {
            let done = u32::try_from(self.done).unwrap_or(u32::MAX);
            let seq = self.first.seq.wrapping_add(done);
            headers[l4 + 4..l4 + 8].copy_from_slice(&seq.to_be_bytes());
            let mut flags = self.first.flags;
            if self.done > 0 {
                flags &= !CWR;
            }
            if self.done + len < self.total {
                flags &= !FIN_PSH;
            }
            headers[l4 + 13] = flags;
        } else {
            put_word(headers, l4 + 4, transport);
        }
        let field = l4 + self.layout.checksum_offset();
        put_word(headers, field, 0);
        let sum = match self.pseudo {
            Some(pseudo) => pseudo.word(transport),
            None => self.layout.pseudo_sum(headers, transport),
        };
        let sum = sum.bytes(&headers[l4..]).slices(slices);
        put_word(headers, field, on_the_wire(sum));
    }

    fn write_ip(&self, headers: &mut [u8], transport: u16) {
        let Layout { l3, l4, v6, .. } = self.layout;
        let network = wire_len(l4 - l3);
        if v6 {
            put_word(headers, l3 + 4, transport.saturating_add(network - 40));
            return;
        }
        put_word(headers, l3 + 2, transport.saturating_add(network));
        let index = wire_len(self.done / self.size);
        put_word(headers, l3 + 4, self.first.id.wrapping_add(index));
        put_word(headers, l3 + 10, 0);
        let sum = Sum::new().bytes(&headers[l3..l4]).finish();
        put_word(headers, l3 + 10, sum);
    }
}

/// A length as a header carries it; what comes here is at most a super-segment's part.
fn wire_len(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}
