//! How connections leave: what stands in line for a device when its socket is gone, RSTs that are
//! owed in bulk, and what a closed connection still costs.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::Shutdown;

use super::tests::{Link, Wire};
use crate::base::{Instant, Seed};
use crate::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use crate::link::TxFrame;
use crate::stack::{Config, InterfaceConfig, InterfaceId, More, Stack};
use crate::tcp::{Flags, State, TcpOptions};

/// A device that is full until it is told otherwise.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) wire: Wire,
    pub(super) room: usize,
}

impl Transmit for Gate {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if self.room == 0 {
            return Ok(Sent::Full);
        }
        self.room -= 1;
        self.wire.transmit(now, frame)
    }
}

impl Gate {
    /// Destination and flags of each frame that it took, IPv4 without options.
    fn taken(&mut self) -> Vec<([u8; 4], Flags)> {
        let frames = self.wire.0.drain(..);
        let apart = |data: &[u8]| {
            let to = data[16..20].try_into().unwrap();
            (to, Flags::from_bits_retain(u16::from(data[33])))
        };
        frames.map(|frame| apart(&frame.data)).collect()
    }
}

fn interface(stack: &mut Stack, address: &str) -> InterfaceId {
    let config = InterfaceConfig::new(&Capabilities::full(Medium::Ip, 1500));
    let config = config.address(address.parse().unwrap());
    stack.add_interface(Instant::ZERO, config).unwrap()
}

/// What stood in line for one interface is not sent by it when the slot is another's, on another.
#[test]
fn a_segment_leaves_by_the_interface_of_its_connection_only() {
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let (a, b) = (
        interface(&mut stack, "10.0.0.1/24"),
        interface(&mut stack, "10.1.0.1/24"),
    );
    let connect = |stack: &mut Stack, to: &str| {
        let to: SocketAddr = to.parse().unwrap();
        let options = TcpOptions::default();
        stack.tcp_connect(Instant::ZERO, to, None, options).unwrap()
    };
    let (mut device_a, mut device_b) = (Gate::default(), Gate::default());
    let first = connect(&mut stack, "10.0.0.2:80");
    let progress = stack.poll_transmit(Instant::ZERO, a, &mut device_a);
    assert_eq!(progress.unwrap().more, More::DeviceFull);
    stack.tcp_abort(Instant::ZERO, first);
    connect(&mut stack, "10.1.0.2:80");
    (device_a.room, device_b.room) = (9, 9);
    let progress = stack.poll_transmit(Instant::ZERO, a, &mut device_a);
    assert_eq!(progress.unwrap().more, More::Idle);
    assert_eq!(device_a.taken(), [], "nothing of the second's");
    stack
        .poll_transmit(Instant::ZERO, b, &mut device_b)
        .unwrap();
    assert_eq!(device_b.taken(), [([10, 1, 0, 2], Flags::SYN)]);
}

/// A connection that its user holds stands in line when the FIN comes: its turn must not take the
/// end of TIME-WAIT away, nor send for what the record answers for.
#[test]
fn a_held_connection_leaves_time_wait() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let now = link.now;
    let write = Shutdown::Write;
    link.ends[1].stack.tcp_shutdown(now, client, write).unwrap();
    for frame in link.swallow(1) {
        let end = &mut link.ends[0];
        end.stack.handle_frame(now, end.on, frame);
    }
    let mut answers = link.swallow(0);
    link.ends[0].stack.tcp_shutdown(now, server, write).unwrap();
    answers.extend(link.swallow(0));
    assert!(answers.len() >= 2, "an ACK, then a FIN");
    for frame in answers {
        let end = &mut link.ends[1];
        end.stack.handle_frame(now, end.on, frame);
    }
    assert_eq!(link.state(1, client), State::TimeWait);
    assert_eq!(link.swallow(1).len(), 1, "the ACK of the FIN");
    link.pass(Duration::from_secs(61));
    assert_eq!(link.state(1, client), State::Closed);
    assert_eq!(link.ends[1].stack.poll_timeout(), None);
}
