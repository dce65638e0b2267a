//! Interface identifiers: stable ones that tell nothing, and ones that nobody sees again.
//!
//! RFC 7217 §5 (stable), RFC 8981 §3.3.1 (temporary), RFC 5453 §3 (reserved ones). *Owns* the keys. *Does not* know
//! addresses. Invariant: a stable one depends on the prefix, the interface, the count of duplicates and the secret alone.

use core::net::Ipv6Addr;

use crate::base::{Key, Random, Seed};

/// What identifiers of one interface are made of.
#[derive(Debug)]
pub(crate) struct Identifiers {
    /// RFC 7217 §5: the secret key.
    stable: Key,
    /// RFC 8981 §3.3.2: another secret than that.
    temporary: Random,
    /// Net_Iface: the number of the interface, which is the same each time a program runs.
    interface: u32,
}

impl Identifiers {
    /// Those of an interface. Without a `secret` it comes from the seed: as long as that is the same, so are they.
    pub(crate) fn new(seed: &Seed, secret: Option<Key>, interface: u32) -> Self {
        let key = |what: &str| seed.key(&format!("{what} {interface}"));
        let stable = secret.unwrap_or_else(|| seed.key("stable identifiers"));
        Self {
            stable,
            temporary: Random::new(key("temporary identifiers")),
            interface,
        }
    }

    /// The stable address in this network of 64 bits, after so many duplicates (RFC 7217 §5).
    pub(crate) fn stable(&self, network: Ipv6Addr, duplicates: u8) -> Ipv6Addr {
        // RFC 7217 §5: a reserved one counts as a duplicate; not with us, for whom that is a count of its own.
        let tries = (0..=u8::MAX).map(|again| self.hash(network, duplicates, again));
        let mut fit = tries.filter(|&id| !is_reserved(id));
        // 256 reserved ones in a row come once in 2^10000 tries.
        address(network, fit.next().unwrap_or(1))
    }

    fn hash(&self, network: Ipv6Addr, duplicates: u8, again: u8) -> u64 {
        let mut input = [0; 14];
        input[..8].copy_from_slice(&network.octets()[..8]);
        input[8..12].copy_from_slice(&self.interface.to_be_bytes());
        input[12..].copy_from_slice(&[duplicates, again]);
        self.stable.hash(&input)
    }

    /// A temporary address in this network, another one each time (RFC 8981 §3.3.1).
    pub(crate) fn temporary(&mut self, network: Ipv6Addr) -> Ipv6Addr {
        loop {
            let id = self.temporary.next_u64();
            if !is_reserved(id) {
                return address(network, id);
            }
        }
    }

    /// A random number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.temporary.below(bound)
    }
}

fn address(network: Ipv6Addr, id: u64) -> Ipv6Addr {
    let high = network.to_bits() >> 64 << 64;
    Ipv6Addr::from_bits(high | u128::from(id))
}

/// RFC 5453 §3 and IANA "Reserved IPv6 Interface Identifiers": the anycast address of a subnet's routers (RFC 4291
/// §2.6.1), IANA's own Ethernet block, and the subnet's other anycast addresses (RFC 2526 §2).
const fn is_reserved(id: u64) -> bool {
    id == 0 || id >> 24 == 0x02_005e_fffe || id >> 7 == 0xfdff_ffff_ffff_ff80 >> 7
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn net(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn of(seed: u64, secret: Option<[u8; 16]>, interface: u32) -> Identifiers {
        Identifiers::new(&Seed::from_number(seed), secret.map(Key::new), interface)
    }

    /// Covers: PRV-1 (each part counts), PRV-2 (the same again, and another elsewhere), PRV-9 (the two secrets differ).
    #[test]
    fn a_stable_one_depends_on_each_of_its_parts_and_nothing_else() {
        let (here, there) = (net("2001:db8:1::"), net("2001:db8:2::"));
        let base = of(1, None, 1).stable(here, 0);
        assert_eq!(of(1, None, 1).stable(here, 0), base, "after a restart");
        assert_eq!(base.octets()[..8], here.octets()[..8]);
        let mut all = BTreeSet::from([base]);
        for other in [
            of(1, None, 1).stable(there, 0),
            of(1, None, 1).stable(here, 1),
            of(1, None, 2).stable(here, 0),
            of(2, None, 1).stable(here, 0),
            of(1, Some([0; 16]), 1).stable(here, 0),
            of(1, Some([1; 16]), 1).stable(here, 0),
            of(1, None, 1).temporary(here),
        ] {
            let id = |a: Ipv6Addr| a.to_bits() << 64;
            assert!(all.iter().all(|&known| id(known) != id(other)), "{other}");
            all.insert(other);
        }
        // A secret stays whatever the seed.
        let kept = |seed| of(seed, Some([7; 16]), 1).stable(here, 0);
        assert_eq!(kept(1), kept(2));
    }

    /// Covers: PRV-8 (another one each time).
    #[test]
    fn a_temporary_one_comes_once() {
        let mut all = of(1, None, 1);
        let many: BTreeSet<_> = (0..1000).map(|_| all.temporary(net("fd00::"))).collect();
        assert_eq!(many.len(), 1000);
        assert!(
            many.iter()
                .all(|a| a.octets()[..8] == net("fd00::").octets()[..8])
        );
    }

    /// Covers: PRV-4.
    #[test]
    fn reserved_ones_are_known() {
        #[rustfmt::skip]
        let rows = [
            (0x0000_0000_0000_0000, true),
            (0x0000_0000_0000_0001, false),
            (0x0200_5eff_fdff_ffff, false),
            (0x0200_5eff_fe00_0000, true),
            (0x0200_5eff_fe00_5213, true),
            (0x0200_5eff_feff_ffff, true),
            (0x0200_5eff_ff00_0000, false),
            (0xfdff_ffff_ffff_ff7f, false),
            (0xfdff_ffff_ffff_ff80, true),
            (0xfdff_ffff_ffff_ffff, true),
            (0xfe00_0000_0000_0000, false),
        ];
        for (id, reserved) in rows {
            assert_eq!(is_reserved(id), reserved, "{id:016x}");
        }
    }
}
