//! What a server's answer grants: read once, checked, and plain data from then on.
//!
//! RFC 2131 §4.4.1, §4.4.5 (times); RFC 2132 (values); RFC 3442 (routes); RFC 950 "A Subnet Mask" (a mask that is
//! missing). *Owns* what of an answer is believed. *Does not* know the phase, or ask whether the answer is the
//! awaited one. A value that does not read is left out and counted; the address, the server and the lease time must be there.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use std::borrow::Cow;

use super::config::Config;
use super::message::Message;
use super::options::code;
use super::refusal::Refusal;
use crate::base::{Cidr, Random};

/// A way that a server tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Route {
    /// Where it leads; host bits are zero.
    pub destination: Cidr,
    /// Over which router; `None`: the destination is on the link itself (RFC 3442 "Local Subnet Routes").
    pub router: Option<Ipv4Addr>,
}

/// An address for a time, and what a host needs to use it. As many bytes as one message has, at most
/// ([`Config::mtu`]), in their parsed form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The address. Kept by the user, it can be given to [`Client::reboot`](super::Client::reboot).
    pub address: Ipv4Addr,
    /// The length of the subnet's prefix, bits, 1 to 32: of option 1, else the one of the lease that is
    /// extended, else that of the address's class.
    pub prefix: u8,
    /// The server that granted it (option 54).
    pub server: Ipv4Addr,
    /// How long it may be used from its request on; `None`: for ever.
    pub lease_time: Option<Duration>,
    /// T1: the server is asked to extend it. As the server says, or half of the lease time, less a random 1/32.
    pub renew_after: Option<Duration>,
    /// T2: any server is asked. As the server says, or 7/8 of the lease time, less a random 1/32.
    pub rebind_after: Option<Duration>,
    /// The classless routes (option 121) if there are any, else a default route over each of the routers
    /// (option 3), the best first.
    pub routes: Vec<Route>,
    /// Name servers, the best first (option 6).
    pub dns_servers: Vec<Ipv4Addr>,
    /// The domain that names are looked up in (option 15).
    pub domain: Option<String>,
    /// The interface's MTU (option 26), bytes: not below [`Config::min_mtu`], not above [`Config::mtu`].
    pub mtu: Option<u16>,
    /// The options of [`Config::also_request`] that the server gave, with their codes, as they are.
    pub others: Vec<(u8, Vec<u8>)>,
}

impl Lease {
    /// Address and prefix.
    pub fn cidr(&self) -> Cidr {
        cidr(self.address, self.prefix)
    }

    /// Reads a lease out of an OFFER or an ACK, and how many options in it do not read. `held` is the lease that an ACK
    /// may extend.
    pub(super) fn read(
        message: &Message<'_>,
        held: Option<&Self>,
        config: &Config,
        random: &mut Random,
    ) -> Result<(Self, u64), Refusal> {
        let server = server_of(message)?;
        let lease_time = lease_time(message, config)?;
        let mut reader = Reader {
            message,
            ignored: 0,
        };
        let address = message.yiaddr();
        if server == address {
            return Err(Refusal::NoServer);
        }
        let held = held.filter(|held| held.address == address);
        let prefix = reader.prefix(address, held.map(|held| held.prefix));
        if !is_host(address) || is_end_of_subnet(address, prefix) {
            return Err(Refusal::Address);
        }
        let (renew_after, rebind_after) = reader.times(lease_time, config, random);
        let lease = Self {
            address,
            prefix,
            server,
            lease_time,
            renew_after,
            rebind_after,
            routes: reader.routes(address, prefix),
            dns_servers: reader.hosts(code::DNS_SERVERS),
            domain: reader.domain(),
            mtu: reader.mtu(config),
            others: others(message, config),
        };
        Ok((lease, reader.ignored))
    }
}

/// The server identifier, which every message of a server has (RFC 2131 §4.3.1, Table 3).
pub(super) fn server_of(message: &Message<'_>) -> Result<Ipv4Addr, Refusal> {
    let server = message.address(code::SERVER_ID);
    server
        .filter(|&server| is_host(server))
        .ok_or(Refusal::NoServer)
}

/// Can a single host have this address, anywhere?
pub(super) const fn is_host(address: Ipv4Addr) -> bool {
    // Not groups, and not what lies above them: class E and the broadcast address.
    let first = address.octets()[0];
    first != 0 && first != 127 && first < 224
}

/// `None`: for ever. RFC 2131 §4.3.1, Table 3: OFFER and ACK have a lease time.
fn lease_time(message: &Message<'_>, config: &Config) -> Result<Option<Duration>, Refusal> {
    // RFC 2131 §3.3: 0xffffffff is infinity.
    let seconds = message.number(code::LEASE_TIME).ok_or(Refusal::LeaseTime)?;
    if seconds == u32::MAX {
        return Ok(None);
    }
    let time = Duration::from_secs(seconds.into());
    if time < config.min_lease {
        return Err(Refusal::LeaseTime);
    }
    Ok(Some(time))
}

/// The subnet's own address or its broadcast address; a prefix of 31 or 32 has neither (RFC 3021 §2.1).
fn is_end_of_subnet(address: Ipv4Addr, prefix: u8) -> bool {
    let ends = cidr(address, prefix).broadcasts();
    ends.is_some_and(|ends| ends.contains(&address))
}

/// `prefix` is at most 32 wherever this is called.
fn cidr(address: Ipv4Addr, prefix: u8) -> Cidr {
    let address = IpAddr::V4(address);
    Cidr::new(address, prefix.min(32)).expect("32 bits at most")
}

fn others(message: &Message<'_>, config: &Config) -> Vec<(u8, Vec<u8>)> {
    let value = |code| Some((code, message.option(code)?.into_owned()));
    config.also().filter_map(value).collect()
}

/// Reads the values that a lease can do without.
struct Reader<'m, 'a> {
    message: &'m Message<'a>,
    /// Options that do not read, or say what cannot be.
    ignored: u64,
}

impl<'a> Reader<'_, 'a> {
    fn prefix(&mut self, address: Ipv4Addr, held: Option<u8>) -> u8 {
        let mask = self.value(code::SUBNET_MASK, |value| {
            let mask = u32::from_be_bytes(value.try_into().ok()?);
            let ones = mask.leading_ones();
            // RFC 950 allows holes; no prefix length says them.
            (ones > 0 && mask.count_ones() == ones).then_some(ones)
        });
        let prefix = mask.and_then(|ones| u8::try_from(ones).ok());
        // RFC 950 "A Subnet Mask": without one, that of the class; who extends a lease need not say it again.
        prefix
            .or(held)
            .unwrap_or_else(|| match address.octets()[0] {
                ..128 => 8,
                128..192 => 16,
                192.. => 24,
            })
    }

    /// T1 and T2. RFC 2131 §4.4.5: T1 before T2 before the end, each with some fuzz.
    fn times(
        &mut self,
        lease_time: Option<Duration>,
        config: &Config,
        random: &mut Random,
    ) -> (Option<Duration>, Option<Duration>) {
        let Some(lease_time) = lease_time else {
            return (None, None);
        };
        let mut fuzz = || Duration::from_nanos(random.below(crate::base::nanos(lease_time / 32)));
        let (half, most) = (lease_time / 2 - fuzz(), lease_time / 8 * 7 - fuzz());
        let (t1, t2) = (
            self.time(code::RENEWAL_TIME),
            self.time(code::REBINDING_TIME),
        );
        let (renew, rebind) = (t1.unwrap_or(half), t2.unwrap_or(most));
        if config.min_lease / 2 <= renew && renew < rebind && rebind < lease_time {
            return (Some(renew), Some(rebind));
        }
        if t1.is_some() || t2.is_some() {
            self.ignored += 1;
        }
        (Some(half), Some(most))
    }

    fn time(&mut self, code: u8) -> Option<Duration> {
        self.value(code, |value| {
            let seconds = u32::from_be_bytes(value.try_into().ok()?);
            Some(Duration::from_secs(seconds.into()))
        })
    }

    /// RFC 3442 "DHCP Client Behavior": classless routes take the routers' place.
    fn routes(&mut self, own: Ipv4Addr, prefix: u8) -> Vec<Route> {
        let classless = self.value(code::CLASSLESS_ROUTES, classless_routes);
        let mut routes = classless.unwrap_or_else(|| {
            let routers = self.hosts(code::ROUTERS).into_iter();
            let all = cidr(Ipv4Addr::UNSPECIFIED, 0);
            let default = |router| Route {
                destination: all,
                router: Some(router),
            };
            routers.map(default).collect()
        });
        let told = routes.len();
        // RFC 1122 §3.3.1: a router is another host.
        let ends = cidr(own, prefix).broadcasts();
        let is_router = |router: Ipv4Addr| {
            is_host(router) && router != own && ends.is_none_or(|ends| !ends.contains(&router))
        };
        let leads = |route: &Route| route.router.is_none_or(is_router);
        routes.retain(leads);
        routes.shrink_to_fit();
        if routes.len() < told {
            self.ignored += 1;
        }
        routes
    }

    /// A list of addresses, without those that no host can have.
    fn hosts(&mut self, code: u8) -> Vec<Ipv4Addr> {
        let listed = self.value(code, |value| {
            let (addresses, rest) = value.as_chunks::<4>();
            let addresses = addresses.iter().map(|&octets| octets.into());
            (rest.is_empty()).then(|| addresses.collect::<Vec<Ipv4Addr>>())
        });
        let mut hosts = listed.unwrap_or_default();
        let told = hosts.len();
        hosts.retain(|&host| is_host(host));
        if hosts.len() < told {
            self.ignored += 1;
        }
        hosts
    }

    /// Letters, digits, hyphens, underscores and dots: the name goes into files and on screens.
    fn domain(&mut self) -> Option<String> {
        self.value(code::DOMAIN_NAME, |value| {
            // RFC 2132 §2: a text may end in NULs, and they are no part of it.
            let name = core::str::from_utf8(value).ok()?.trim_end_matches('\0');
            let sound = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
            let whole = (1..=253).contains(&name.len()) && name.bytes().all(sound);
            whole.then(|| name.to_owned())
        })
    }

    fn mtu(&mut self, config: &Config) -> Option<u16> {
        let (least, most) = (config.min_mtu, config.mtu);
        self.value(code::INTERFACE_MTU, |value| {
            let mtu = u16::from_be_bytes(value.try_into().ok()?);
            (mtu >= least).then_some(mtu.min(most))
        })
    }

    /// What `read` makes of an option that is there; what it makes nothing of is counted.
    fn value<T>(&mut self, code: u8, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let value: Cow<'a, [u8]> = self.message.option(code)?;
        let read = read(&value);
        if read.is_none() {
            self.ignored += 1;
        }
        read
    }
}

/// RFC 3442 "Classless Route Option Format": a prefix length, its significant octets, a router; again and again.
fn classless_routes(mut value: &[u8]) -> Option<Vec<Route>> {
    let mut routes = Vec::new();
    while let Some((&prefix, rest)) = value.split_first() {
        if prefix > 32 {
            return None;
        }
        let (significant, rest) = rest.split_at_checked(usize::from(prefix).div_ceil(8))?;
        let (router, rest) = rest.split_first_chunk::<4>()?;
        let mut octets = [0; 4];
        octets[..significant.len()].copy_from_slice(significant);
        // RFC 3442 "DHCP Client Behavior": bits of the subnet number that its mask has not are zeroed.
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let subnet = Ipv4Addr::from_bits(u32::from_be_bytes(octets) & mask);
        let router = Ipv4Addr::from(*router);
        routes.push(Route {
            destination: cidr(subnet, prefix),
            router: Some(router).filter(|router| !router.is_unspecified()),
        });
        value = rest;
    }
    // RFC 3442 "Classless Route Option Format": 5 bytes at least.
    (!routes.is_empty()).then_some(routes)
}
