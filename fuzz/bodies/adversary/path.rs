//! What happens to frames between the ends.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use netloom::Instant;
use netloom::bytes::Bytes;
use netloom::decode::{Decoder, Link};
use netloom::device::Medium;
use netloom::link::RxChecksum;

use super::super::wire;
use super::Tape;
use super::settings::Settings;

/// Frames that the path knows again.
const MOST_KNOWN: usize = 16;
/// Frames that wait at once.
const MOST_HELD: usize = 64;

#[derive(Debug)]
pub struct Path {
    tape: Rc<RefCell<Tape>>,
    /// Where IP begins in a frame.
    ip: usize,
    v6: bool,
    forges: bool,
    trace: bool,
    /// Frames that came.
    pub frames: u64,
    /// Frames that were lost, changed or held back.
    pub harmed: u64,
    known: VecDeque<(usize, Bytes)>,
    /// Frames that wait for so many others of their direction.
    held: Vec<(u8, usize, Bytes)>,
}

impl Path {
    pub fn new(settings: &Settings, tape: Rc<RefCell<Tape>>) -> Self {
        Self {
            tape,
            ip: match settings.medium() {
                Medium::Ethernet => 14,
                _ => 0,
            },
            v6: settings.is_v6(),
            forges: settings.forges(),
            trace: std::env::var_os("NETLOOM_TRACE").is_some(),
            frames: 0,
            harmed: 0,
            known: VecDeque::new(),
            held: vec![],
        }
    }

    /// What leaves, and at which port, when a frame comes in at `port`.
    pub fn pass(&mut self, now: Instant, port: usize, frame: &Bytes) -> Vec<(usize, Bytes)> {
        self.frames += 1;
        let fate = self.tape.borrow_mut().front();
        if self.trace {
            println!("{now:?} from {port}, fate {fate:?}: {}", self.shown(frame));
        }
        let mut out = vec![];
        if let Some(fate) = fate {
            self.suffer(fate % 16, port, frame, &mut out);
            self.known.push_back((1 - port, frame.clone()));
            if self.known.len() > MOST_KNOWN {
                self.known.pop_front();
            }
        } else {
            out.push((1 - port, frame.clone()));
        }
        self.release(port, &mut out);
        out
    }

    fn suffer(&mut self, fate: u8, port: usize, frame: &Bytes, out: &mut Vec<(usize, Bytes)>) {
        let ahead = 1 - port;
        let mut tape = self.tape.borrow_mut();
        let changed = match fate {
            6 => None,
            7 => {
                out.push((ahead, frame.clone()));
                return out.push((ahead, frame.clone()));
            }
            8 => {
                self.harmed += 1;
                if self.held.len() < MOST_HELD {
                    // One more: this frame's own passing takes one off.
                    let others = tape.byte() % 8 + 2;
                    self.held.push((others, port, frame.clone()));
                }
                return;
            }
            9 => self.flipped(tape.word(), tape.byte(), frame),
            10 => Some(frame.slice(..usize::from(tape.word()) % frame.len().max(1))),
            11 => {
                let known = usize::from(tape.byte()) % self.known.len().max(1);
                out.extend(self.known.get(known).cloned());
                return out.push((ahead, frame.clone()));
            }
            12 => {
                out.push((port, frame.clone()));
                return out.push((ahead, frame.clone()));
            }
            13 => return out.push((ahead, self.marked(frame))),
            14 if self.forges => self.forged(&mut tape, frame),
            _ => return out.push((ahead, frame.clone())),
        };
        self.harmed += 1;
        out.extend(changed.map(|frame| (ahead, frame)));
    }

    /// Lets go of what has waited for enough frames of its direction.
    fn release(&mut self, port: usize, out: &mut Vec<(usize, Bytes)>) {
        self.held.retain_mut(|(others, from, frame)| {
            if *from == port {
                *others -= 1;
            }
            if *others == 0 {
                out.push((1 - *from, frame.clone()));
            }
            *others > 0
        });
    }

    /// The frame with one bit flipped, which a checksum finds. The length in an IPv6 header stands in none but by what
    /// it leaves of the packet, and the sum of that may fit: then the frame is lost instead.
    fn flipped(&self, at: u16, bit: u8, frame: &Bytes) -> Option<Bytes> {
        let at = usize::from(at) % frame.len().max(1);
        if self.v6 && (at == self.ip + 4 || at == self.ip + 5) {
            return None;
        }
        let mut changed = frame.to_vec();
        changed[at] ^= 1 << (bit & 7);
        Some(changed.into())
    }

    /// The frame with the mark of a queue that fills up, where its sender allows one (RFC 3168 §5).
    fn marked(&self, frame: &Bytes) -> Bytes {
        let mut changed = frame.to_vec();
        let Some(packet) = changed.get_mut(self.ip..) else {
            return frame.clone();
        };
        match packet {
            [0x45, tos, ..] if *tos & 3 != 0 && packet.len() >= 20 => {
                packet[1] |= 3;
                let header = wire::put_checksum(packet[..20].to_vec(), 10);
                packet[..20].copy_from_slice(&header);
            }
            [first, class, ..] if *first >> 4 == 6 && *class & 0x30 != 0 => *class |= 0x30,
            _ => {}
        }
        changed.into()
    }

    /// The frame with another number in its TCP header, and right checksums again.
    fn forged(&self, tape: &mut Tape, frame: &Bytes) -> Option<Bytes> {
        let tcp = self.ip + if self.v6 { 40 } else { 20 };
        let protocol = self.ip + if self.v6 { 6 } else { 9 };
        let (at, by) = (usize::from(tape.byte()), tape.byte());
        if frame.get(protocol) != Some(&6) || frame.len() < tcp + 20 {
            return Some(frame.clone());
        }
        let mut segment = frame[tcp..].to_vec();
        let at = at % segment.len().min(60);
        segment[at] ^= by;
        segment[16..18].fill(0);
        let addresses = match self.v6 {
            true => &frame[self.ip + 8..self.ip + 40],
            false => &frame[self.ip + 12..self.ip + 20],
        };
        let segment = wire::summed(segment, 16, &[addresses], 6);
        Some([&frame[..tcp], &segment].concat().into())
    }

    fn shown(&self, frame: &Bytes) -> String {
        let link = match self.ip {
            0 => Link::Ip,
            _ => Link::Ethernet,
        };
        let decoder = Decoder::new(link);
        let line = decoder.line(frame, frame.len(), RxChecksum::Verified);
        line.to_string()
    }
}
