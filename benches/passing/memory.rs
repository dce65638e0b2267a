//! Without devices: frames are handed in one by one.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant as Clock;

use netloom::arp;
use netloom::base::checksum::checksum;
use netloom::base::{Instant, MacAddr, Protocol, Seed};
use netloom::bytes::Bytes;
use netloom::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use netloom::link::{EtherType, RxFrame, RxMeta, TxFrame, ethernet};
use netloom::stack::{
    Config, ForwardOptions, InterfaceConfig, InterfaceId, Stack, UdpId, UdpOptions,
};
use smoltcp::iface::{self, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities};
use smoltcp::socket::udp;
use smoltcp::time;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, Ipv4Address};

use super::{Settings, verdict};
use crate::common::median;

const PEER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const OWN_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
const BEHIND: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 1);
const PORT: u16 = 9;
/// The most that one UDP datagram over IPv4 holds.
const LARGEST: usize = 65_507;
const ROUNDS: usize = 200;
const FRAMES: usize = 20_000;

/// Runs all; are the goals met?
pub(super) fn run(settings: Settings) -> bool {
    let [mut reassembly, mut passed, mut received, mut unsummed] = [(); 4].map(|()| Vec::new());
    for _ in 0..settings.samples {
        reassembly.push(reassemble());
        passed.push(pass_on());
        received.push(smoltcp_receives(phy::Checksum::Both));
        unsummed.push(smoltcp_receives(phy::Checksum::None));
    }
    let of = |rows: Vec<f64>| median(rows.into_iter()).unwrap_or(f64::NAN);
    let [reassembly, passed, received, unsummed] = [reassembly, passed, received, unsummed].map(of);
    println!("datagrams of {LARGEST} bytes from 45 fragments: {reassembly:.2} GB/s");
    println!(
        "frames of 1514 bytes, ns each: netloom passes on {passed:.0}, smoltcp receives {received:.0}, {unsummed:.0} without a look \
         at the datagram's checksum ({:.2})",
        unsummed / passed
    );
    let whole = verdict("reassembly, GB/s", reassembly, 1.0);
    let what = "frames passed on beside smoltcp's received ones";
    whole & verdict(what, received / passed, 1.0)
}

/// A stack with an interface in each network.
struct World {
    stack: Stack,
    near: InterfaceId,
    far: InterfaceId,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let mut stack = Stack::new(Config::new(Seed::from_number(1)));
        let now = Instant::from_millis(1);
        let mut interface = |address: &str| {
            let config = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
                .mac(OWN_MAC)
                .address(address.parse().expect("an address"))
                .forwarding(ForwardOptions::new());
            stack.add_interface(now, config).expect("an interface")
        };
        let (near, far) = (interface("10.7.0.2/24"), interface("10.8.0.2/24"));
        let mut world = Self {
            stack,
            near,
            far,
            now,
        };
        world.hear_of(near, PEER, OWN);
        world.hear_of(far, BEHIND, Ipv4Addr::new(10, 8, 0, 2));
        world
    }

    /// A neighbour asks for us, so that it is known.
    fn hear_of(&mut self, on: InterfaceId, peer: Ipv4Addr, own: Ipv4Addr) {
        let mut frame = link(MacAddr::BROADCAST, EtherType::ARP);
        let at = frame.len();
        frame.resize(at + 46, 0);
        arp::Packet::request(PEER_MAC, peer, own).emit(&mut frame[at..]);
        self.hand_in(on, &frame.into());
        self.drain(on);
    }

    fn hand_in(&mut self, on: InterfaceId, frame: &Bytes) {
        let frame = RxFrame::new(frame.clone(), RxMeta::new(self.now));
        self.stack.handle_frame(self.now, on, frame);
    }

    fn drain(&mut self, on: InterfaceId) -> usize {
        let mut null = Null(0);
        let sent = self.stack.poll_transmit(self.now, on, &mut null);
        sent.expect("it does not end");
        null.0
    }

    fn receiver(&mut self) -> UdpId {
        let options = UdpOptions::new().recv_buffer(1 << 20);
        let bound = self.stack.udp_bind((OWN, PORT).into(), options);
        bound.expect("the port is free")
    }
}

/// GB/s of datagrams that come in fragments.
fn reassemble() -> f64 {
    let mut world = World::new();
    let socket = world.receiver();
    let payload = datagram(LARGEST);
    let mut id = 0;
    let clock = Clock::now();
    for _ in 0..ROUNDS {
        id += 1;
        for frame in fragments(&payload, id) {
            world.hand_in(world.near, &frame);
        }
        let datagram = world.stack.udp_recv(socket).expect("it is whole");
        assert_eq!(datagram.data.len(), LARGEST);
        black_box(datagram);
    }
    let all = (ROUNDS * LARGEST) as f64;
    // Frames are cut outside of the stack: their part is taken off.
    let spent = clock.elapsed();
    let cut = Clock::now();
    for id in 0..ROUNDS as u16 {
        black_box(fragments(&payload, id));
    }
    all / (spent.saturating_sub(cut.elapsed())).as_secs_f64() / 1e9
}

/// Nanoseconds for each frame that goes from one interface to the other.
fn pass_on() -> f64 {
    let mut world = World::new();
    let frame = whole(BEHIND);
    let clock = Clock::now();
    for _ in 0..FRAMES / 64 {
        for _ in 0..64 {
            world.hand_in(world.near, &frame);
        }
        let mut sent = 0;
        while sent < 64 {
            let more = world.drain(world.far);
            assert!(more > 0, "{:?}", world.stack.counters());
            sent += more;
        }
    }
    clock.elapsed().as_nanos() as f64 / (FRAMES / 64 * 64) as f64
}

/// Nanoseconds for each frame that smoltcp hands to a UDP socket. It looks at the datagram's checksum unless it is told not to,
/// which who passes datagrams on does not.
fn smoltcp_receives(checksum: phy::Checksum) -> f64 {
    let mut device = Template {
        checksum,
        frame: whole(OWN).to_vec(),
        left: 0,
    };
    let config = iface::Config::new(EthernetAddress(OWN_MAC.octets()).into());
    let mut interface = iface::Interface::new(config, &mut device, time::Instant::ZERO);
    interface.update_ip_addrs(|list| {
        let own = IpCidr::new(IpAddress::Ipv4(Ipv4Address::from(OWN.octets())), 24);
        list.push(own).expect("room for one");
    });
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 128], vec![0; 1 << 18]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(PORT).expect("the port is free");
    let mut sockets = SocketSet::new(Vec::new());
    let handle = sockets.add(socket);
    let clock = Clock::now();
    let mut received = 0;
    for _ in 0..FRAMES / 64 {
        device.left = 64;
        interface.poll(time::Instant::ZERO, &mut device, &mut sockets);
        let socket = sockets.get_mut::<udp::Socket<'_>>(handle);
        while let Ok((payload, _)) = socket.recv() {
            black_box(payload);
            received += 1;
        }
    }
    assert_eq!(received, FRAMES / 64 * 64);
    clock.elapsed().as_nanos() as f64 / received as f64
}

/// Gives one frame again and again.
struct Template {
    checksum: phy::Checksum,
    frame: Vec<u8>,
    left: usize,
}

struct Rx<'a>(&'a [u8]);
struct Tx;

impl phy::RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl phy::TxToken for Tx {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        f(&mut vec![0; len])
    }
}

impl phy::Device for Template {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx;

    fn receive(&mut self, _: time::Instant) -> Option<(Rx<'_>, Tx)> {
        self.left = self.left.checked_sub(1)?;
        Some((Rx(&self.frame), Tx))
    }

    fn transmit(&mut self, _: time::Instant) -> Option<Tx> {
        Some(Tx)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = phy::Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities.checksum.udp = match self.checksum {
            phy::Checksum::None => phy::Checksum::None,
            _ => phy::Checksum::Both,
        };
        capabilities
    }
}

/// Takes everything.
struct Null(usize);

impl Transmit for Null {
    fn transmit(&mut self, _: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        black_box(frame);
        self.0 += 1;
        Ok(Sent::Taken)
    }
}

fn link(dst: MacAddr, ether_type: EtherType) -> Vec<u8> {
    let mut frame = vec![0; 14];
    ethernet::Fields::new(dst, PEER_MAC, ether_type).emit(&mut frame);
    frame
}

/// A UDP datagram with a right checksum.
fn datagram(len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for word in [40_000, PORT, (8 + len) as u16, 0] {
        all.extend_from_slice(&word.to_be_bytes());
    }
    all.extend((0..len).map(|n| n as u8));
    let mut summed = Vec::new();
    summed.extend_from_slice(&PEER.octets());
    summed.extend_from_slice(&OWN.octets());
    summed.extend_from_slice(&[0, Protocol::UDP.0]);
    summed.extend_from_slice(&((8 + len) as u16).to_be_bytes());
    summed.extend_from_slice(&all);
    let sum = checksum(&summed);
    all[6..8].copy_from_slice(&sum.to_be_bytes());
    all
}

/// A frame of 1514 bytes.
fn whole(dst: Ipv4Addr) -> Bytes {
    framed(dst, &datagram(1472), 0x4000, 7)
}

fn fragments(datagram: &[u8], id: u16) -> Vec<Bytes> {
    let pieces = datagram.chunks(1480).enumerate();
    let more = |n: usize| (n + 1) * 1480 < datagram.len();
    pieces
        .map(|(n, piece)| {
            let word = (n * 1480 / 8) as u16 | if more(n) { 0x2000 } else { 0 };
            framed(OWN, piece, word, id)
        })
        .collect()
}

fn framed(dst: Ipv4Addr, payload: &[u8], fragment: u16, id: u16) -> Bytes {
    let mut frame = link(OWN_MAC, EtherType::IPV4);
    let at = frame.len();
    let total = (20 + payload.len()) as u16;
    frame.extend_from_slice(&[0x45, 0]);
    for word in [total, id, fragment] {
        frame.extend_from_slice(&word.to_be_bytes());
    }
    frame.extend_from_slice(&[64, Protocol::UDP.0, 0, 0]);
    frame.extend_from_slice(&PEER.octets());
    frame.extend_from_slice(&dst.octets());
    let sum = checksum(&frame[at..]);
    frame[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
    frame.extend_from_slice(payload);
    frame.into()
}
