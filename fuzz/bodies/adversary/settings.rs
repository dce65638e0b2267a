//! What the first bytes of the input say of both ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use netloom::Config;
use netloom::device::Medium;
use netloom::sim::PortConfig;
use netloom::tcp::congestion::Choice;
use netloom::tcp::{Ecn, TcpOptions};

const MTUS: [usize; 4] = [1500, 1280, 576, 9000];
const BUFFERS: [usize; 4] = [1 << 20, 20_000, 3000, 500];
/// Most frames are small ones: a run is to be short.
const LENGTHS: [u64; 8] = [1000, 0, 1, 5000, 20_000, 40_000, 100, 60_000];
const DELAYS_MICROS: [u64; 4] = [1000, 100, 20_000, 150_000];

/// Byte 0, the network: bit 0, IPv6; bit 1, Ethernet; bits 2 and 3, the MTU; bits 4 and 5, the delay;
/// bit 6, both connect at once; bit 7, the path forges. Byte 1, the devices, four bits an end: no
/// offload, merging, a queue of two frames, a budget of two. Bytes 2 and 3, each end's TCP: congestion
/// control, receive buffer, send buffer, ECN. Bytes 4 and 5, the same: no SACK, no timestamps, no window scale,
/// nodelay, no delayed ACKs, an MSS of 100, one congestion control more, cookies. Bytes 6 and 7: what the user sends.
#[derive(Clone, Debug)]
pub struct Settings([u8; 8]);

impl Settings {
    pub fn of(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    fn bit(&self, byte: usize, n: u8) -> bool {
        self.0[byte] >> n & 1 == 1
    }

    /// Two bits of a byte, from `n` on.
    fn two(&self, byte: usize, n: u8) -> usize {
        usize::from(self.0[byte] >> n & 3)
    }

    pub fn is_v6(&self) -> bool {
        self.bit(0, 0)
    }

    pub fn medium(&self) -> Medium {
        match self.bit(0, 1) {
            true => Medium::Ethernet,
            false => Medium::Ip,
        }
    }

    pub fn delay(&self) -> Duration {
        Duration::from_micros(DELAYS_MICROS[self.two(0, 4)])
    }

    pub fn both_connect(&self) -> bool {
        self.bit(0, 6)
    }

    pub fn forges(&self) -> bool {
        self.bit(0, 7)
    }

    pub fn address(&self, who: usize) -> IpAddr {
        let last = [1, 2][who];
        match self.is_v6() {
            true => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into(),
            false => Ipv4Addr::new(10, 0, 0, [1, 2][who]).into(),
        }
    }

    pub fn stack(&self, config: Config) -> Config {
        match self.bit(1, 3) {
            true => config.transmit_budget(2),
            false => config,
        }
    }

    pub fn port(&self, who: usize) -> PortConfig {
        let at = 4 * [0, 1][who];
        let mtu = MTUS[self.two(0, 2)];
        let mtu = if self.is_v6() { mtu.max(1280) } else { mtu };
        let prefix = if self.is_v6() { 64 } else { 24 };
        let address = format!("{}/{prefix}", self.address(who));
        PortConfig::new()
            .medium(self.medium())
            .mtu(mtu)
            .offload(!self.bit(1, at))
            .merge(self.bit(1, at + 1))
            .queue(if self.bit(1, at + 2) { 2 } else { 1000 })
            .address(address.parse().expect("an address"))
            .interface_with(|interface| interface.link_local(false).dad_transmits(0))
    }

    pub fn tcp(&self, who: usize) -> TcpOptions {
        let (sizes, flags) = (2 + who, 4 + who);
        let congestion = match self.bit(flags, 6) {
            true => Choice::NAMED[(self.two(sizes, 0) + 2) % 4].clone(),
            false => Choice::NAMED[self.two(sizes, 0)].clone(),
        };
        let ecn = [Ecn::Accept, Ecn::Ask, Ecn::Off, Ecn::Ask][self.two(sizes, 6)];
        TcpOptions::default()
            .congestion(congestion)
            .recv_buffer_initial(BUFFERS[self.two(sizes, 2)])
            .recv_buffer_max(BUFFERS[self.two(sizes, 2)])
            .send_buffer_initial(BUFFERS[self.two(sizes, 4)])
            .ecn(ecn)
            .sack(!self.bit(flags, 0))
            .timestamps(!self.bit(flags, 1))
            .window_scaling(!self.bit(flags, 2))
            .nodelay(self.bit(flags, 3))
            .delayed_ack(!self.bit(flags, 4))
            .mss(self.bit(flags, 5).then_some(100))
    }

    pub fn cookies(&self, who: usize) -> bool {
        self.bit(4 + who, 7)
    }

    /// What the user of an end sends.
    pub fn to_send(&self, who: usize) -> u64 {
        LENGTHS[usize::from(self.0[6 + who] & 7)]
    }

    /// How it ends: mostly by a FIN, and a read to the end.
    pub fn ending(&self, who: usize) -> u8 {
        self.0[6 + who] >> 3
    }
}
