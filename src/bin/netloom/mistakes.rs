//! Addresses that cannot work together, found before a device is opened: the mistake and its cure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netloom::base::Cidr;

use crate::failure::Failure;

/// The addresses that an interface is given.
#[derive(Clone, Copy)]
pub(crate) struct Addresses<'a> {
    /// `--kernel-address`
    pub(crate) kernel: &'a [Cidr],
    /// `--address`
    pub(crate) own: &'a [Cidr],
    /// `--gateway`
    pub(crate) gateways: &'a [IpAddr],
    /// `--dhcp`: an IPv4 address comes later.
    pub(crate) dhcp: bool,
    /// `--auto`: IPv6 addresses may come as well.
    pub(crate) routers: bool,
    /// Is there a link, with link-local addresses of its own?
    pub(crate) ethernet: bool,
}

impl Addresses<'_> {
    /// Finds the first mistake.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for (option, all) in [("--kernel-address", self.kernel), ("--address", self.own)] {
            for (at, &cidr) in all.iter().enumerate() {
                if let Some(why) = no_host(cidr) {
                    return mistake(
                        format_args!("{option} {cidr} is {why}"),
                        format_args!("give a host's address, such as {}", self.free(cidr)),
                    );
                }
                if all[..at]
                    .iter()
                    .any(|other| other.address() == cidr.address())
                {
                    let cause = format_args!("{option} {} is given twice", cidr.address());
                    return mistake(cause, "give it once");
                }
            }
        }
        if self.routers && !self.ethernet {
            return mistake(
                "routers and DHCP servers speak to those who have a MAC address, which a TUN device has not",
                "give --tap in place of --tun, or --address in place of --auto",
            );
        }
        if self.dhcp && !self.ethernet {
            return mistake(
                "DHCP servers know who asks by a MAC address, which a TUN device has not",
                "give --tap in place of --tun, or --address in place of --dhcp",
            );
        }
        let in_both = |own: &&Cidr| self.kernel.iter().any(|k| k.address() == own.address());
        if let Some(&own) = self.own.iter().find(in_both) {
            return mistake(
                format_args!("--address and --kernel-address are both {}", own.address()),
                format_args!(
                    "netloom and the kernel are two hosts: give --address another one, such as {}",
                    self.free(own)
                ),
            );
        }
        self.gateways.iter().try_for_each(|&ip| self.gateway(ip))
    }

    /// Refuses a gateway that nothing could be sent to.
    fn gateway(&self, gateway: IpAddr) -> Result<(), Failure> {
        let same_family = |own: &&Cidr| own.address().is_ipv4() == gateway.is_ipv4();
        if let Some(why) = nobody(gateway) {
            let cure = "give the address of a router on the link, such as --kernel-address";
            return mistake(format_args!("--gateway {gateway} is {why}"), cure);
        }
        if self.own.iter().any(|own| own.address() == gateway) {
            return mistake(
                format_args!("--gateway {gateway} is the netloom host's own address"),
                "give the router's, which is --kernel-address where the kernel is to forward",
            );
        }
        if self.comes(gateway) {
            // Whether it is on the link is known with the lease, or when a router has spoken.
            return Ok(());
        }
        let Some(own) = self.own.iter().find(same_family) else {
            let family = if gateway.is_ipv4() { "IPv4" } else { "IPv6" };
            return mistake(
                format_args!("--gateway {gateway} is of use only with an address of its family"),
                format_args!("add an {family} --address"),
            );
        };
        if self.own.iter().any(|own| own.contains(gateway)) || self.is_link_local(gateway) {
            return Ok(());
        }
        mistake(
            format_args!("--gateway {gateway} is not on the link"),
            format_args!(
                "give a router in the range of {own}, or an --address whose range it is in"
            ),
        )
    }

    fn is_link_local(&self, gateway: IpAddr) -> bool {
        self.ethernet && matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local())
    }

    /// Refuses a peer that no packet can be sent to.
    pub(crate) fn peer(&self, peer: IpAddr) -> Result<(), Failure> {
        if let Some(why) = nobody(peer) {
            let cure = match self
                .kernel
                .iter()
                .find(|k| k.address().is_ipv4() == peer.is_ipv4())
            {
                Some(kernel) => format!("give a host's, as in {}", kernel.address()),
                None => "give a host's, as in --kernel-address".to_owned(),
            };
            return mistake(format_args!("{peer} is {why}"), cure);
        }
        if self.own.iter().any(|own| own.address() == peer) {
            return mistake(
                format_args!("{peer} is the netloom host's own --address"),
                "it speaks to others over the device; the kernel's side is --kernel-address",
            );
        }
        let same_family = |own: &Cidr| own.address().is_ipv4() == peer.is_ipv4();
        if !self.comes(peer) && !self.own.iter().any(same_family) && !self.is_link_local(peer) {
            let family = if peer.is_ipv4() { "IPv4" } else { "IPv6" };
            return mistake(
                format_args!("{peer} cannot be reached without an address of its family"),
                format_args!("add an {family} --address"),
            );
        }
        Ok(())
    }

    /// May an address of this family come later?
    const fn comes(&self, of: IpAddr) -> bool {
        match of {
            IpAddr::V4(_) => self.dhcp,
            IpAddr::V6(_) => self.routers,
        }
    }

    /// A host's address in the network of `cidr` that nobody has yet.
    fn free(&self, cidr: Cidr) -> Cidr {
        let given = |ip: IpAddr| {
            let mut all = self.kernel.iter().chain(self.own);
            all.any(|other| other.address() == ip) || self.gateways.contains(&ip)
        };
        let suits = |other: &Cidr| no_host(*other).is_none() && !given(other.address());
        let near = (1..=64).filter_map(|host| with_host(cidr, host));
        let example = if cidr.address().is_ipv4() {
            (Ipv4Addr::new(10, 7, 0, 2).into(), 24)
        } else {
            (Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 2).into(), 64)
        };
        near.into_iter()
            .find(suits)
            .unwrap_or_else(|| Cidr::new(example.0, example.1).unwrap_or(cidr))
    }
}

fn mistake(cause: impl std::fmt::Display, cure: impl std::fmt::Display) -> Result<(), Failure> {
    Err(Failure::usage(cause, cure))
}

/// This host of the network of `cidr`, when it is in it.
fn with_host(cidr: Cidr, host: u32) -> Option<Cidr> {
    let prefix = u32::from(cidr.prefix());
    let address: IpAddr = match cidr.address() {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            Ipv4Addr::from_bits(a.to_bits() & mask | host).into()
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            Ipv6Addr::from_bits(a.to_bits() & mask | u128::from(host)).into()
        }
    };
    Cidr::new(address, cidr.prefix())
        .ok()
        .filter(|other| cidr.contains(other.address()))
}

/// Why an address with its prefix is no host's.
fn no_host(cidr: Cidr) -> Option<&'static str> {
    let ip = cidr.address();
    if let Some(why) = nobody(ip) {
        return Some(why);
    }
    let IpAddr::V4(v4) = ip else { return None };
    // RFC 1122 §3.2.1.3; a /31 has neither (RFC 3021).
    let broadcast = cidr.broadcast()?;
    let hosts = u32::MAX.checked_shr(u32::from(cidr.prefix())).unwrap_or(0);
    if v4 == broadcast {
        Some("the broadcast address of its network")
    } else if v4.to_bits() & hosts == 0 {
        Some("the address of the network itself")
    } else {
        None
    }
}

/// Why an address is no host's on any link.
fn nobody(ip: IpAddr) -> Option<&'static str> {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    let zero = matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 0);
    if ip.is_unspecified() || zero {
        Some("the address of no host")
    } else if ip.is_loopback() {
        Some("a loopback address, which never leaves a host")
    } else if ip.is_multicast() {
        Some("a group's address, not a host's")
    } else if broadcast {
        Some("the broadcast address, not a host's")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(result: Result<(), Failure>) -> String {
        match result {
            Err(Failure::Usage(line)) => line,
            other => panic!("{other:?}"),
        }
    }

    fn cidrs(text: &str) -> Vec<Cidr> {
        text.split_whitespace()
            .map(|one| one.parse().unwrap())
            .collect()
    }

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split_whitespace()
            .map(|one| one.parse().unwrap())
            .collect()
    }

    fn checked(kernel: &str, own: &str, gateways: &str) -> Result<(), Failure> {
        let (kernel, own, gateways) = (cidrs(kernel), cidrs(own), ips(gateways));
        let addresses = Addresses {
            kernel: &kernel,
            own: &own,
            gateways: &gateways,
            dhcp: false,
            routers: false,
            ethernet: true,
        };
        addresses.check()
    }

    /// Kernel's addresses, own ones, gateways; the mistake, the cure.
    const MISTAKES: &[[&str; 5]] = &[
        [
            "10.7.0.1/24",
            "10.7.0.1/24",
            "",
            "both 10.7.0.1;",
            "such as 10.7.0.2/24",
        ],
        [
            "fd07::1/64",
            "fd07::1/64",
            "",
            "both fd07::1;",
            "such as fd07::2/64",
        ],
        [
            "10.7.0.1/24",
            "10.7.0.255/24",
            "",
            "--address 10.7.0.255/24 is the broadcast",
            "10.7.0.2/24",
        ],
        [
            "10.7.0.1/24",
            "10.7.0.0/24",
            "",
            "of the network itself",
            "10.7.0.2/24",
        ],
        [
            "",
            "127.0.0.1/8",
            "",
            "a loopback address",
            "such as 10.7.0.2/24",
        ],
        [
            "",
            "224.0.0.1/24",
            "",
            "a group's address",
            "such as 10.7.0.2/24",
        ],
        [
            "",
            "ff02::1/64",
            "",
            "a group's address",
            "such as fd07::2/64",
        ],
        ["", "0.0.0.0/0", "", "the address of no host", "such as"],
        [
            "10.7.0.0/24",
            "10.7.0.2/24",
            "",
            "--kernel-address 10.7.0.0/24 is",
            "10.7.0.1/24",
        ],
        [
            "",
            "10.7.0.2/24 10.7.0.2/16",
            "",
            "10.7.0.2 is given twice",
            "give it once",
        ],
        [
            "",
            "10.7.0.2/24",
            "10.8.0.1",
            "10.8.0.1 is not on the link",
            "range of 10.7.0.2/24",
        ],
        ["", "10.7.0.2/24", "10.7.0.2", "own address", "the router's"],
        [
            "",
            "10.7.0.2/24",
            "fd07::1",
            "an address of its family",
            "add an IPv6 --address",
        ],
        [
            "",
            "fd07::2/64",
            "10.7.0.1",
            "an address of its family",
            "add an IPv4 --address",
        ],
        [
            "",
            "10.7.0.2/24",
            "0.0.0.0",
            "--gateway 0.0.0.0 is the address of no host",
            "a router",
        ],
        [
            "",
            "10.7.0.2/24",
            "224.0.0.1",
            "a group's address",
            "a router",
        ],
    ];

    #[test]
    fn mistakes_name_their_cure() {
        for [kernel, own, gateways, cause, cure] in MISTAKES {
            let text = line(checked(kernel, own, gateways));
            assert!(text.contains(cause) && text.contains("; "), "{text}");
            assert!(text.split_once("; ").unwrap().1.contains(cure), "{text}");
        }
    }

    #[test]
    fn what_works_is_no_mistake() {
        for (kernel, own, gateways) in [
            ("10.7.0.1/24", "10.7.0.2/24", "10.7.0.1"),
            ("10.7.0.0/31", "10.7.0.1/31", "10.7.0.0"),
            ("", "10.7.0.0/32", ""),
            ("fd07::1/64", "fd07::2/64 10.7.0.2/8", "fe80::1 10.9.9.9"),
        ] {
            assert!(
                checked(kernel, own, gateways).is_ok(),
                "{kernel} {own} {gateways}"
            );
        }
        let own = cidrs("fd07::2/64");
        let addresses = Addresses {
            kernel: &[],
            own: &own,
            gateways: &ips("fe80::1"),
            dhcp: false,
            routers: false,
            ethernet: false,
        };
        assert!(line(addresses.check()).contains("fe80::1 is not on the link"));
    }

    /// The address is not known before a server gives it.
    #[test]
    fn with_dhcp_any_host_of_its_family_may_be_right() {
        let gateways = ips("10.8.0.1");
        let leased = Addresses {
            kernel: &[],
            own: &[],
            gateways: &gateways,
            dhcp: true,
            routers: false,
            ethernet: true,
        };
        assert!(leased.check().is_ok());
        assert!(leased.peer("192.0.2.1".parse().unwrap()).is_ok());
        let text = line(leased.peer("fd07::1".parse().unwrap()));
        assert!(text.contains("add an IPv6 --address"), "{text}");
        let tun = Addresses {
            ethernet: false,
            ..leased
        };
        assert!(line(tun.check()).contains("in place of --dhcp"));
        let auto = Addresses {
            routers: true,
            gateways: &ips("10.8.0.1 fd08::1"),
            ..leased
        };
        assert!(auto.check().is_ok());
        assert!(auto.peer("fd07::1".parse().unwrap()).is_ok());
        let tun = Addresses {
            ethernet: false,
            ..auto
        };
        assert!(line(tun.check()).contains("in place of --auto"));
    }

    #[test]
    fn peers_that_are_nobody() {
        let (kernel, own) = (cidrs("10.7.0.1/24"), cidrs("10.7.0.2/24"));
        let addresses = Addresses {
            kernel: &kernel,
            own: &own,
            gateways: &[],
            dhcp: false,
            routers: false,
            ethernet: true,
        };
        for (peer, cause, cure) in [
            ("0.0.0.0", "the address of no host", "as in 10.7.0.1"),
            ("127.0.0.1", "a loopback address", "as in 10.7.0.1"),
            ("::1", "a loopback address", "as in --kernel-address"),
            ("239.1.1.1", "a group's address", "as in 10.7.0.1"),
            ("255.255.255.255", "the broadcast address", "as in 10.7.0.1"),
            ("10.7.0.2", "own --address", "--kernel-address"),
            (
                "fd07::1",
                "without an address of its family",
                "add an IPv6 --address",
            ),
        ] {
            let text = line(addresses.peer(peer.parse().unwrap()));
            assert!(text.contains(cause), "{text}");
            assert!(text.split_once("; ").unwrap().1.contains(cure), "{text}");
        }
        assert!(addresses.peer("10.7.0.1".parse().unwrap()).is_ok());
        assert!(addresses.peer("192.0.2.1".parse().unwrap()).is_ok());
        assert!(addresses.peer("fe80::1".parse().unwrap()).is_ok());
    }
}
