//! The few requests of rtnetlink(7) that set up the kernel's side of a TUN or TAP device.
//!
//! linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h. *Owns* one socket in the
//! network namespace of the calling thread. Netlink rather than ioctl: a second address by ioctl
//! replaces the first, and an IPv6 one waits over a second for duplicate detection.

use core::net::IpAddr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use crate::base::{Cidr, MacAddr};

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETROUTE: u16 = 26;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_TXQLEN: u16 = 13;
const IFLA_LINKINFO: u16 = 18;
const IFLA_STATS64: u16 = 23;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_TUN_NUM_QUEUES: u16 = 8;
/// Bits of an attribute's type that are not part of it (`NLA_TYPE_MASK`).
const NLA_FLAGS: u16 = 0xC000;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
/// The type of a route to an address of the machine itself.
const RTN_LOCAL: u8 = 2;

/// No duplicate detection: the address is usable at once.
const IFA_F_NODAD: u32 = 0x02;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IFF_UP: u32 = 1;

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Bytes of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;

/// What the kernel says about an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) up: bool,
    pub(super) mtu: usize,
    pub(super) queue: usize,
    pub(super) mac: Option<MacAddr>,
    /// A TUN or TAP, as opposed to a card, a bridge and so on.
    pub(super) tun_tap: bool,
    /// How many descriptors are attached to a TUN or TAP; `None` when the kernel does not say.
    pub(super) queues: Option<u32>,
}

/// Packets that an interface lost, in its own view: what it transmits is what we receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkCounts {
    pub(super) rx_dropped: u64,
    pub(super) tx_dropped: u64,
}

/// A change to an interface; `None` leaves a thing as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LinkChange {
    pub(super) up: bool,
    pub(super) mtu: Option<u32>,
    pub(super) queue: Option<u32>,
}

/// A socket to the kernel's routing tables.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    pub(super) fn open() -> Result<Self, Errno> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// The interface of this name; ENODEV when there is none.
    pub(super) fn link(&mut self, name: &str) -> Result<Link, Errno> {
        let mut message = Message::new(RTM_GETLINK, 0);
        message.link_header(0, 0, 0);
        let mut terminated = name.as_bytes().to_vec();
        terminated.push(0);
        message.attribute(IFLA_IFNAME, &terminated);
        let answer = self.request(message)?.ok_or(Errno::EPROTO)?;
        parse_link(&answer).ok_or(Errno::EPROTO)
    }

    /// The losses of the interface of this number; ENODEV when there is none.
    pub(super) fn counts(&mut self, index: u32) -> Result<LinkCounts, Errno> {
        let mut message = Message::new(RTM_GETLINK, 0);
        message.link_header(index, 0, 0);
        let answer = self.request(message)?.ok_or(Errno::EPROTO)?;
        parse_counts(&answer).ok_or(Errno::EPROTO)
    }

    pub(super) fn change(&mut self, index: u32, change: LinkChange) -> Result<(), Errno> {
        let mut message = Message::new(RTM_NEWLINK, 0);
        let up = if change.up { IFF_UP } else { 0 };
        message.link_header(index, up, up);
        for (kind, value) in [(IFLA_MTU, change.mtu), (IFLA_TXQLEN, change.queue)] {
            if let Some(value) = value {
                message.attribute(kind, &value.to_ne_bytes());
            }
        }
        self.request(message).map(drop)
    }

    /// Gives the interface an address, beside those it has; one that it has already is no error.
    pub(super) fn add_address(&mut self, index: u32, address: Cidr) -> Result<(), Errno> {
        self.request(address_message(index, address)).map(drop)
    }

    /// Does the kernel take packets to `address` on the interface as its own? It routes to a new IPv6
    /// address a moment after it has acknowledged it.
    pub(super) fn is_local(&mut self, index: u32, address: IpAddr) -> Result<bool, Errno> {
        let mut message = Message::new(RTM_GETROUTE, 0);
        let (family, octets) = match address {
            IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
            IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
        };
        let bits = u8::try_from(octets.len() * 8).unwrap_or(u8::MAX);
        // `struct rtmsg`.
        message.bytes.extend([family, bits, 0, 0, 0, 0, 0, 0]);
        message.bytes.extend([0; 4]);
        message.attribute(RTA_DST, &octets);
        message.attribute(RTA_OIF, &index.to_ne_bytes());
        match self.request(message) {
            Ok(route) => Ok(route.is_some_and(|route| route.get(7) == Some(&RTN_LOCAL))),
            Err(Errno::ENETUNREACH | Errno::EHOSTUNREACH) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Sends a request and reads its answer up to the acknowledgement.
    fn request(&mut self, message: Message) -> Result<Option<Vec<u8>>, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = message.finish(self.sequence);
        retry(|| send(as_raw(&self.socket), &bytes, MsgFlags::empty()))?;
        let mut buffer = vec![0; 32 * 1024];
        let mut answer = None;
        loop {
            let len = retry(|| recv(as_raw(&self.socket), &mut buffer, MsgFlags::empty()))?;
            for (kind, sequence, body) in messages(&buffer[..len]) {
                if sequence != self.sequence {
                    continue;
                }
                if kind != NLMSG_ERROR {
                    answer = Some(body.to_vec());
                    continue;
                }
                return match body
                    .first_chunk::<4>()
                    .map(|code| i32::from_ne_bytes(*code))
                {
                    Some(0) => Ok(answer),
                    Some(code) => Err(Errno::from_raw(code.saturating_neg())),
                    None => Err(Errno::EPROTO),
                };
            }
        }
    }
}

fn as_raw(fd: &OwnedFd) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(fd)
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

/// `ifa_scope` of an address that is used on its link only (linux/rtnetlink.h).
const SCOPE_LINK: u8 = 253;

fn address_message(index: u32, cidr: Cidr) -> Message {
    let mut message = Message::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    let scope = match cidr.address() {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => SCOPE_LINK,
        _ => 0,
    };
    let family = if cidr.address().is_ipv4() {
        AF_INET
    } else {
        AF_INET6
    };
    message.bytes.extend([family, cidr.prefix(), 0, scope]);
    message.bytes.extend(index.to_ne_bytes());
    match cidr.address() {
        IpAddr::V4(v4) => {
            message.attribute(IFA_LOCAL, &v4.octets());
            message.attribute(IFA_ADDRESS, &v4.octets());
            if let Some(broadcast) = cidr.broadcast() {
                message.attribute(IFA_BROADCAST, &broadcast.octets());
            }
        }
        IpAddr::V6(v6) => {
            message.attribute(IFA_LOCAL, &v6.octets());
            message.attribute(IFA_ADDRESS, &v6.octets());
            message.attribute(IFA_FLAGS, &IFA_F_NODAD.to_ne_bytes());
        }
    }
    message
}

/// A request under construction.
#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        let flags = flags | NLM_F_REQUEST | NLM_F_ACK;
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        Self { bytes }
    }

    /// `struct ifinfomsg`.
    fn link_header(&mut self, index: u32, flags: u32, change: u32) {
        self.bytes.extend([0; 4]);
        for word in [index, flags, change] {
            self.bytes.extend(word.to_ne_bytes());
        }
    }

    /// `struct rtattr` and its value, padded to four bytes.
    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.bytes.extend(len.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// The messages in what was read: kind, sequence number, body. Ends at the first bad length.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, u32, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let message = bytes.get(..len).filter(|m| m.len() >= HEADER)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16_at(message, 4)?;
        Some((kind, u32_at(message, 8)?, &message[HEADER..]))
    })
}

fn parse_link(body: &[u8]) -> Option<Link> {
    let mut link = Link {
        index: u32_at(body, 4)?,
        up: u32_at(body, 8)? & IFF_UP != 0,
        ..Link::default()
    };
    for attribute in attributes(body.get(LINK_HEADER..)?) {
        let (kind, value) = attribute?;
        let number = || usize::try_from(u32_at(value, 0)?).ok();
        match kind {
            IFLA_MTU => link.mtu = number()?,
            IFLA_TXQLEN => link.queue = number()?,
            IFLA_ADDRESS => link.mac = value.try_into().ok().map(MacAddr::new),
            IFLA_LINKINFO => {
                let is_tun = |(kind, value)| kind == IFLA_INFO_KIND && value == b"tun\0";
                link.tun_tap = attributes(value).flatten().any(is_tun);
                link.queues = tun_queues(value).filter(|_| link.tun_tap);
            }
            _ => {}
        }
    }
    Some(link)
}

/// `struct rtnl_link_stats64`: `rx_dropped` and `tx_dropped` are its seventh and eighth numbers.
fn parse_counts(body: &[u8]) -> Option<LinkCounts> {
    let stats = attribute_of(body.get(LINK_HEADER..)?, IFLA_STATS64)?;
    Some(LinkCounts {
        rx_dropped: u64_at(stats, 6 * 8)?,
        tx_dropped: u64_at(stats, 7 * 8)?,
    })
}

/// The number of queues in the link information of a TUN or TAP.
fn tun_queues(info: &[u8]) -> Option<u32> {
    let data = attribute_of(info, IFLA_INFO_DATA)?;
    u32_at(attribute_of(data, IFLA_TUN_NUM_QUEUES)?, 0)
}

/// The value of the first attribute of this kind.
fn attribute_of(rest: &[u8], kind: u16) -> Option<&[u8]> {
    let mut all = attributes(rest).flatten();
    all.find_map(|(found, value)| (found == kind).then_some(value))
}

/// The attributes in `rest`: kind and value. `None` is one whose length is wrong, the last.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = Option<(u16, &[u8])>> {
    std::iter::from_fn(move || {
        let (len, kind) = (usize::from(u16_at(rest, 0)?), u16_at(rest, 2)?);
        let value = rest.get(4..len);
        let next = len.next_multiple_of(4);
        rest = value.and_then(|_| rest.get(next..)).unwrap_or_default();
        Some(value.map(|value| (kind & !NLA_FLAGS, value)))
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_ne_bytes(*two))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_ne_bytes(*four))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_ne_bytes(*eight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_have_the_kernels_form() {
        let message = address_message(7, "10.7.0.1/24".parse().unwrap()).finish(9);
        assert_eq!(message.len() % 4, 0);
        let (kind, sequence, body) = messages(&message).next().unwrap();
        assert_eq!((kind, sequence), (RTM_NEWADDR, 9));
        let index = 7u32.to_ne_bytes();
        assert_eq!(body[..8], [&[AF_INET, 24, 0, 0], &index[..]].concat());
        assert!(body.ends_with(&[10, 7, 0, 255]));
    }

    #[test]
    fn the_kind_of_an_interface_is_read() {
        let link = |kind: &[u8]| {
            let mut info = Message { bytes: Vec::new() };
            info.attribute(IFLA_INFO_KIND, kind);
            let mut message = Message { bytes: Vec::new() };
            message.link_header(3, IFF_UP, 0);
            message.attribute(IFLA_MTU, &1400u32.to_ne_bytes());
            message.attribute(IFLA_LINKINFO, &info.bytes);
            parse_link(&message.bytes).unwrap()
        };
        let tun = link(b"tun\0");
        assert_eq!((tun.index, tun.mtu, tun.tun_tap), (3, 1400, true));
        assert!(!link(b"veth\0").tun_tap);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(messages(&bytes).count() <= bytes.len());
            let _ = (parse_link(&bytes), parse_counts(&bytes));
        }
    }
}
