//! Any frames into a stack with sockets of each kind open, in virtual time.
//!
//! Input: one byte of flags, then frames, each behind its length in two bytes (network order; the
//! last one may claim more than is there). Flags: bit 0, an IP medium; bit 1, checksums verified by
//! the device; bit 2, a second passes between frames instead of a millisecond; bits 4 to 7, the
//! frames are super-segments of this many times 100 bytes.

use std::num::NonZeroU16;
use std::time::Duration;

use netloom::base::{Instant, MacAddr, Seed};
use netloom::bytes::Bytes;
use netloom::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use netloom::link::{MAX_IP_LEN, RxChecksum, RxFrame, RxMeta, TxFrame};
use netloom::stack::{Config, InterfaceConfig, InterfaceId, Stack, UdpId, UdpOptions};

/// The stack's own link address.
pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// The most frames that one received frame may cause: answers to a super-segment of the smallest
/// segments do not come one by one.
const MOST_ANSWERS: usize = 64;

/// Feeds the frames of `input` to a fresh stack and drives everything that follows from them;
/// returns how many frames the stack sent.
pub(crate) fn run(input: &[u8]) -> usize {
    let Some((&flags, mut rest)) = input.split_first() else {
        return 0;
    };
    let mut rig = Rig::new(if flags & 1 == 0 {
        Medium::Ethernet
    } else {
        Medium::Ip
    });
    let step = if flags & 4 == 0 {
        Duration::from_millis(1)
    } else {
        Duration::from_secs(1)
    };
    while let Some((len, after)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes(*len)).min(after.len());
        let (frame, after) = after.split_at(len);
        rest = after;
        rig.now = rig.now + step;
        rig.feed(frame, flags);
    }
    // Whatever is left to do ends on its own.
    for _ in 0..200 {
        let Some(next) = rig.stack.poll_timeout() else {
            break;
        };
        rig.now = rig.now.max(next);
        rig.turn();
    }
    rig.sent
}

struct Rig {
    stack: Stack,
    on: InterfaceId,
    udp: UdpId,
    now: Instant,
    sent: usize,
}

impl Rig {
    fn new(medium: Medium) -> Self {
        let now = Instant::from_millis(1000);
        let mut stack = Stack::new(Config::new(Seed::new([7; 32])));
        let mut interface = InterfaceConfig::new(&Capabilities::full(medium, 1500))
            .mac(MacAddr::new(MAC))
            .dad_transmits(0);
        for address in ["10.7.0.2/24", "fd07::2/64"] {
            interface = interface.address(address.parse().expect("a literal"));
        }
        for gateway in ["10.7.0.1", "fd07::1"] {
            interface = interface.gateway(gateway.parse().expect("a literal"));
        }
        let on = stack
            .add_interface(now, interface)
            .expect("a sound configuration");
        let any = |port: u16| std::net::SocketAddr::from(([0; 16], port));
        let options = UdpOptions::default().dual_stack(true);
        let udp = stack.udp_bind(any(7), options).expect("the first socket");
        let mut rig = Self {
            stack,
            on,
            udp,
            now,
            sent: 0,
        };
        rig.turn();
        rig
    }

    fn feed(&mut self, frame: &[u8], flags: u8) {
        if frame.len() > 18 + 40 + MAX_IP_LEN {
            return; // no device reads more
        }
        let segment = NonZeroU16::new(u16::from(flags >> 4) * 100);
        let meta = RxMeta::new(self.now).with_segment_size(segment);
        let meta = match flags & 2 {
            0 => meta,
            _ => meta.with_checksum(RxChecksum::Verified),
        };
        let frame = RxFrame::new(Bytes::copy_from_slice(frame), meta);
        self.stack.handle_frame(self.now, self.on, frame);
        self.turn();
    }

    /// Timers, frames out, events, sockets.
    fn turn(&mut self) {
        self.stack.handle_timeout(self.now);
        let mut sink = Sink(0);
        while self.stack.wants_transmit(self.on) {
            let progress = self
                .stack
                .poll_transmit(self.now, self.on, &mut sink)
                .expect("the sink never fails");
            assert!(sink.0 <= MOST_ANSWERS, "{} frames in one turn", sink.0);
            if progress.sent == 0 {
                break;
            }
        }
        self.sent += sink.0;
        while self.stack.poll_event().is_some() {}
        while let Ok(datagram) = self.stack.udp_recv(self.udp) {
            let _ = self
                .stack
                .udp_send_to(self.now, self.udp, Some(datagram.from), &datagram.data);
        }
    }
}

/// Takes every frame and checks what a device relies on.
struct Sink(usize);

impl Transmit for Sink {
    fn transmit(&mut self, _: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        assert!(frame.len() <= MAX_IP_LEN + 18, "{} bytes", frame.len());
        if let Some(checksum) = frame.meta.checksum {
            let field = usize::from(checksum.start) + usize::from(checksum.offset);
            assert!(
                field + 2 <= frame.headers.len(),
                "a checksum outside the headers"
            );
        }
        self.0 += 1;
        Ok(Sent::Taken)
    }
}
