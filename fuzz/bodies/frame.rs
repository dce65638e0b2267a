//! Any frames into a stack with sockets of each kind open, in virtual time.
//!
//! Input: one byte of flags, then frames, each behind its length in two bytes (network order; the
//! last one may claim more than is there). Flags: bit 0, an IP medium; bit 1, checksums verified by
//! the device; bit 2, a second passes between frames instead of a millisecond; bit 3, acknowledgment
//! numbers count from the end of what the stack sent last, so that a session can be written down;
//! bits 4 to 7, the frames are super-segments of this many times 100 bytes.

use std::num::NonZeroU16;
use std::time::Duration;

use netloom::base::{Instant, MacAddr, Seed};
use netloom::bytes::Bytes;
use netloom::device::{Capabilities, DeviceError, Medium, Receive, RxBatch, Sent, Transmit};
use netloom::link::{MAX_IP_LEN, RxChecksum, RxFrame, RxMeta, TxFrame};
use netloom::stack::{
    Config, InterfaceConfig, ListenOptions, ListenerId, Port, Stack, TcpId, UdpId, UdpOptions,
};

/// The stack's own link address.
pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// The most frames that one received frame may cause: answers to a super-segment of the smallest
/// segments do not come one by one.
const MOST_ANSWERS: usize = 64;

/// Feeds the frames of `input` to a fresh stack and drives everything that follows from them;
/// returns how many frames the stack sent.
pub fn run(input: &[u8]) -> usize {
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
        let Some(next) = rig.due else {
            break;
        };
        rig.now = rig.now.max(next);
        rig.turn();
    }
    rig.port.tx().half().sent
}

struct Rig {
    stack: Stack,
    port: Port<Source, Sink>,
    user: User,
    ethernet: bool,
    now: Instant,
    /// When the next turn is due.
    due: Option<Instant>,
    fed: u64,
}

/// Who has the sockets.
struct User {
    udp: UdpId,
    listener: ListenerId,
    streams: Vec<TcpId>,
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
        let options = ListenOptions::default().dual_stack(true);
        let listener = stack.tcp_listen(any(7), options).expect("the first socket");
        let options = UdpOptions::default().dual_stack(true);
        let udp = stack.udp_bind(any(7), options).expect("the first socket");
        let ethernet = medium == Medium::Ethernet;
        let sink = Sink {
            sent: 0,
            next_seq: 0,
            ethernet,
        };
        let mut rig = Self {
            stack,
            port: Port::new(on, (Source(None), sink)),
            user: User {
                udp,
                listener,
                streams: Vec::new(),
            },
            ethernet,
            now,
            due: None,
            fed: 0,
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
        let mut bytes = frame.to_vec();
        if flags & 8 != 0
            && let Some(tcp) = tcp_header(&bytes, self.ethernet)
            && let Some(ack) = bytes.get_mut(tcp + 8..tcp + 12)
        {
            let relative = u32::from_be_bytes([ack[0], ack[1], ack[2], ack[3]]);
            let next_seq = self.port.tx().half().next_seq;
            ack.copy_from_slice(&next_seq.wrapping_add(relative).to_be_bytes());
        }
        let frame = RxFrame::new(Bytes::from(bytes), meta);
        self.port.rx_mut().half_mut().0 = Some(frame);
        self.fed += 1;
        self.turn();
        assert_eq!(self.stack.counters().rx_frames, self.fed);
    }

    /// Turns, until nothing is left to do at once.
    fn turn(&mut self) {
        let before = self.port.tx().half().sent;
        for turns in 1.. {
            // What was not read to its end is told no second time.
            self.user.echo(&mut self.stack, self.now);
            let user = &mut self.user;
            let mut told = |stack: &mut Stack, now, _| user.echo(stack, now);
            let next = self.port.turn(self.now, &mut self.stack, &mut told);
            let sent = self.port.tx().half().sent - before;
            assert!(sent <= MOST_ANSWERS, "{sent} frames at once");
            assert!(turns < 1000, "{turns} turns, and there is more");
            let next = next.expect("the sink never fails");
            self.due = next.due;
            if !next.again {
                break;
            }
        }
        let counted = self.stack.counters().tx_frames;
        assert_eq!(
            usize::try_from(counted).ok(),
            Some(self.port.tx().half().sent)
        );
    }
}

impl User {
    /// Every socket gives back what it got.
    fn echo(&mut self, stack: &mut Stack, now: Instant) {
        while let Ok(datagram) = stack.udp_recv(self.udp) {
            let to = Some(datagram.from);
            let _ = stack.udp_send_to(now, self.udp, to, &datagram.data.into_bytes());
        }
        while let Ok(stream) = stack.tcp_accept(now, self.listener) {
            self.streams.push(stream);
        }
        self.streams.retain(|stream| {
            for _ in 0..16 {
                match stack.tcp_read_chunk(now, *stream, 65_536) {
                    Ok(mut chunk) if !chunk.is_empty() => {
                        let _ = stack.tcp_write_chunk(now, *stream, &mut chunk);
                    }
                    Err(error) if std::io::Error::from(error).kind() == WOULD_BLOCK => return true,
                    Ok(_) | Err(_) => {
                        stack.tcp_close(now, *stream);
                        return false;
                    }
                }
            }
            true
        });
    }
}

const WOULD_BLOCK: std::io::ErrorKind = std::io::ErrorKind::WouldBlock;

/// Where the TCP header begins, in an IP packet without options or extension headers.
fn tcp_header(frame: &[u8], ethernet: bool) -> Option<usize> {
    let ip = if ethernet { 14 } else { 0 };
    match (frame.get(ip)?, frame.get(ip + 9)?, frame.get(ip + 6)?) {
        (0x45, 6, _) => Some(ip + 20),
        (0x60, _, 6) => Some(ip + 40),
        _ => None,
    }
}

/// Gives one frame.
struct Source(Option<RxFrame>);

impl Receive for Source {
    fn receive(&mut self, _: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let frame = self.0.take();
        let count = usize::from(frame.is_some());
        frame.into_iter().for_each(|frame| batch.push(frame));
        Ok(count)
    }
}

/// Takes every frame and checks what a device relies on.
struct Sink {
    sent: usize,
    next_seq: u32,
    ethernet: bool,
}

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
        if let Some(tcp) = tcp_header(frame.headers, self.ethernet)
            && let Some(header) = frame.headers.get(tcp..tcp + 20)
        {
            let seq = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
            let control = u32::from(header[13] & 1) + u32::from(header[13] >> 1 & 1);
            let len = u32::try_from(frame.payload_len()).expect("at most 64 KiB");
            self.next_seq = seq.wrapping_add(len).wrapping_add(control);
        }
        self.sent += 1;
        Ok(Sent::Taken)
    }
}
