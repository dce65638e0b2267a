//! Initial sequence numbers and timestamp offsets (RFC 6528 §3, RFC 7323 §7.1).

use core::net::SocketAddr;

use crate::base::{Instant, Key, Seed};

use super::seq::SeqNum;

/// The keyed functions of one stack.
#[derive(Clone, Debug)]
pub(crate) struct IsnGenerator {
    isn: Key,
    timestamp: Key,
}

impl IsnGenerator {
    pub(crate) fn new(seed: &Seed) -> Self {
        Self {
            isn: seed.key("tcp isn"),
            timestamp: seed.key("tcp timestamp offset"),
        }
    }

    /// RFC 6528 §3: `ISN = M + F(localip, localport, remoteip, remoteport, secretkey)`, where M
    /// ticks every 4 microseconds (RFC 9293 §3.4.1 MUST-8).
    pub(crate) fn isn(&self, now: Instant, local: SocketAddr, remote: SocketAddr) -> SeqNum {
        let ticks = now.as_nanos() / 4000;
        let hash = self.isn.hash(&tuple_bytes(local, remote));
        SeqNum::new(low(ticks.wrapping_add(hash)))
    }

    /// An offset per pair of addresses, so that TIME-WAIT reuse keeps its order (RFC 6191 §4).
    pub(crate) fn timestamp_offset(&self, local: SocketAddr, remote: SocketAddr) -> u32 {
        let portless = |a: SocketAddr| SocketAddr::new(a.ip(), 0);
        low(self
            .timestamp
            .hash(&tuple_bytes(portless(local), portless(remote))))
    }
}

/// The low half.
pub(super) fn low(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Both ends as bytes to hash, IPv4 addresses as mapped.
pub(super) fn tuple_bytes(local: SocketAddr, remote: SocketAddr) -> [u8; 36] {
    let mut bytes = [0; 36];
    for (half, address) in bytes.chunks_exact_mut(18).zip([local, remote]) {
        let ip = match address.ip() {
            core::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            core::net::IpAddr::V6(v6) => v6,
        };
        half[..16].copy_from_slice(&ip.octets());
        half[16..].copy_from_slice(&address.port().to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: TCP-10
    #[test]
    fn numbers_tick_with_the_clock_and_differ_by_tuple_and_secret() {
        let make = |seed| IsnGenerator::new(&Seed::from_number(seed));
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (local, remote) = (address("10.0.0.1:80"), address("10.0.0.2:1000"));
        let isn = make(1).isn(Instant::ZERO, local, remote);
        let later = make(1).isn(Instant::from_nanos(4_000_000), local, remote);
        assert_eq!(later.since(isn), 1000);
        assert_ne!(isn, make(2).isn(Instant::ZERO, local, remote));
        assert_ne!(
            isn,
            make(1).isn(Instant::ZERO, local, address("10.0.0.2:1001"))
        );
    }

    /// Covers: TS-16
    #[test]
    fn timestamp_offsets_are_per_host_pair() {
        let generator = IsnGenerator::new(&Seed::from_number(1));
        let offset = |remote: &str| {
            generator.timestamp_offset("10.0.0.1:80".parse().unwrap(), remote.parse().unwrap())
        };
        assert_eq!(offset("10.0.0.2:1"), offset("10.0.0.2:2"));
        assert_ne!(offset("10.0.0.2:1"), offset("10.0.0.3:1"));
    }
}
