//! Ephemeral ports: RFC 6056 §3.3.3, algorithm 3 (simple hash-based).
//!
//! *Owns* the choice. *Does not* know which ports are taken: the caller says.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use core::ops::RangeInclusive;

use crate::base::{Key, Seed};

/// The generator of ephemeral ports of one stack.
#[derive(Debug)]
pub(crate) struct Ports {
    key: Key,
    next: u16,
    range: RangeInclusive<u16>,
}

impl Ports {
    pub(crate) fn new(seed: &Seed, range: RangeInclusive<u16>) -> Self {
        Self {
            key: seed.key("ephemeral port"),
            next: 0,
            range,
        }
    }

    /// A port for a flow from `local` to `remote` that `is_free`; `None` when none is.
    pub(crate) fn pick(
        &mut self,
        local: IpAddr,
        remote: Option<SocketAddr>,
        mut is_free: impl FnMut(NonZeroU16) -> bool,
    ) -> Option<NonZeroU16> {
        let (min, max) = (*self.range.start(), *self.range.end());
        let count = u64::from(max.checked_sub(min)?) + 1;
        let offset = self.offset(local, remote);
        for _ in 0..count {
            // RFC 6056 §3.3.3: min_ephemeral + (next_ephemeral + offset) % num_ephemeral.
            let step = offset.wrapping_add(u64::from(self.next)) % count;
            self.next = self.next.wrapping_add(1);
            let port = min + u16::try_from(step).unwrap_or(0);
            if let Some(port) = NonZeroU16::new(port)
                && is_free(port)
            {
                return Some(port);
            }
        }
        None
    }

    /// F of RFC 6056 §3.3.3: a keyed hash of the addresses and the remote port.
    fn offset(&self, local: IpAddr, remote: Option<SocketAddr>) -> u64 {
        let mut bytes = [0; 34];
        let mut put = |at: usize, address: IpAddr| match address {
            IpAddr::V4(a) => bytes[at..at + 4].copy_from_slice(&a.octets()),
            IpAddr::V6(a) => bytes[at..at + 16].copy_from_slice(&a.octets()),
        };
        put(0, local);
        if let Some(remote) = remote {
            put(16, remote.ip());
            bytes[32..].copy_from_slice(&remote.port().to_be_bytes());
        }
        // Below 2^63, so that adding the counter cannot wrap and bias the remainder.
        self.key.hash(&bytes) >> 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const LOCAL: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 1));

    /// Covers: SEC-8 (the whole range is used, and only what is free).
    #[test]
    fn every_free_port_is_found_and_then_none() {
        let mut ports = Ports::new(&Seed::from_number(1), 40_000..=40_099);
        let mut taken = BTreeSet::from([40_007]);
        for _ in 0..99 {
            let port = ports
                .pick(LOCAL, None, |p| !taken.contains(&p.get()))
                .unwrap();
            assert!((40_000..=40_099).contains(&port.get()));
            assert!(taken.insert(port.get()));
        }
        assert_eq!(ports.pick(LOCAL, None, |p| !taken.contains(&p.get())), None);
    }

    /// Covers: UDP-13 (one destination's ports tell nothing of another's).
    #[test]
    fn different_remotes_and_seeds_start_at_different_places() {
        let first = |seed, remote: Option<&str>| {
            let mut ports = Ports::new(&Seed::from_number(seed), 32_768..=60_999);
            ports
                .pick(LOCAL, remote.map(|r| r.parse().unwrap()), |_| true)
                .unwrap()
        };
        let a = first(1, Some("10.0.0.2:80"));
        assert_ne!(a, first(1, Some("10.0.0.2:81")));
        assert_ne!(a, first(1, Some("10.0.0.3:80")));
        assert_ne!(a, first(2, Some("10.0.0.2:80")));
        assert_eq!(a, first(1, Some("10.0.0.2:80")));
    }
}
