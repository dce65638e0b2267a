//! A DHCP message, seen where it lies.
//!
//! RFC 2131 §2 (form), §4.1 (reading); RFC 951 for the names of the fields; RFC 3396 for options in pieces.
//! *Owns* the fixed fields and which bytes are options. *Does not* judge a message: `client` does.
//! Invariant: [`Message::parse`] is total, and what it returns has whole options only.
//!
//! ```text
//! | op 1 | htype 1 | hlen 1 | hops 1 |
//! | xid 4 |
//! | secs 2 | flags 2: B, 15 zeros |
//! | ciaddr 4 | yiaddr 4 | siaddr 4 | giaddr 4 |
//! | chaddr 16 | sname 64 | file 128 |
//! | 99 130 83 99 | options ... |
//! ```

use core::net::Ipv4Addr;

use std::borrow::Cow;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::options::{OptionIter, check_field, code};

/// The UDP port of servers and relays (RFC 2131 §4.1).
pub const SERVER_PORT: u16 = 67;
/// The UDP port of clients (RFC 2131 §4.1).
pub const CLIENT_PORT: u16 = 68;

/// Bytes before the options: the fixed fields and the cookie.
pub const FIXED_LEN: usize = size_of::<Wire>();

/// The first four octets of the options field (RFC 2131 §3).
pub(super) const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// htype of Ethernet (RFC 2131 §2; IANA "ARP Parameters").
pub(super) const ETHERNET: u8 = 1;
/// The bit B of the flags (RFC 2131 §2, Figure 2).
pub(super) const BROADCAST: u16 = 0x8000;

/// RFC 2131 §2, Figure 1, and the cookie; network order, no padding.
#[derive(Clone, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Wire {
    pub(super) op: u8,
    pub(super) htype: u8,
    pub(super) hlen: u8,
    pub(super) hops: u8,
    pub(super) xid: U32,
    pub(super) secs: U16,
    pub(super) flags: U16,
    pub(super) ciaddr: [u8; 4],
    pub(super) yiaddr: [u8; 4],
    pub(super) siaddr: [u8; 4],
    pub(super) giaddr: [u8; 4],
    pub(super) chaddr: [u8; 16],
    pub(super) sname: [u8; 64],
    pub(super) file: [u8; 128],
    pub(super) cookie: [u8; 4],
}

/// op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation(pub u8);

impl Operation {
    /// BOOTREQUEST: from a client.
    pub const REQUEST: Self = Self(1);
    /// BOOTREPLY: from a server.
    pub const REPLY: Self = Self(2);
}

/// The DHCP message type, option 53 (RFC 2132 §9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageType(pub u8);

impl MessageType {
    /// DHCPDISCOVER: a client looks for servers.
    pub const DISCOVER: Self = Self(1);
    /// DHCPOFFER: a server offers an address.
    pub const OFFER: Self = Self(2);
    /// DHCPREQUEST: a client takes an offer, confirms an address or extends a lease.
    pub const REQUEST: Self = Self(3);
    /// DHCPDECLINE: the address is in use already.
    pub const DECLINE: Self = Self(4);
    /// DHCPACK: a server commits an address.
    pub const ACK: Self = Self(5);
    /// DHCPNAK: a server refuses.
    pub const NAK: Self = Self(6);
    /// DHCPRELEASE: a client gives an address back.
    pub const RELEASE: Self = Self(7);
    /// DHCPINFORM: a client with an address asks for parameters.
    pub const INFORM: Self = Self(8);
}

/// Why bytes are not a DHCP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The fixed fields or the cookie are cut.
    #[error("dhcp message needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that it takes at least.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The options do not begin with RFC 2131's cookie: plain BOOTP, or something else.
    #[error("cookie {cookie:02x?} is not dhcp's")]
    Cookie {
        /// What stands there.
        cookie: [u8; 4],
    },
    /// hlen is beyond chaddr.
    #[error("hardware address of {len} bytes is above 16")]
    HardwareLen {
        /// hlen.
        len: u8,
    },
    /// An option goes beyond its field.
    #[error("dhcp option {code} needs {need} bytes behind its code, {have} available")]
    Option {
        /// The option's code.
        code: u8,
        /// Its length octet and what that says.
        need: usize,
        /// Bytes that are left in the field.
        have: usize,
    },
    /// Option 52 is none of 1, 2, 3.
    #[error("option overload is not one byte of 1 to 3")]
    Overload,
}

/// A DHCP message that parses.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    wire: &'a Wire,
    /// The options field, `file` and `sname` as far as they hold options.
    fields: [&'a [u8]; 3],
}

impl<'a> Message<'a> {
    /// Reads a message, the payload of a UDP datagram.
    ///
    /// # Errors
    /// [`ParseError`] when it is cut, is no DHCP, or an option does not end where its field does.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (wire, options) = Wire::ref_from_prefix(bytes).map_err(|_| ParseError::Truncated {
            need: FIXED_LEN,
            have: bytes.len(),
        })?;
        if wire.cookie != COOKIE {
            let cookie = wire.cookie;
            return Err(ParseError::Cookie { cookie });
        }
        if usize::from(wire.hlen) > wire.chaddr.len() {
            return Err(ParseError::HardwareLen { len: wire.hlen });
        }
        check_field(options)?;
        // RFC 2131 §4.1: the options field is read first, so that an overload in it is known. One in
        // `file` or `sname` would say nothing.
        let mut fields = [options, &[][..], &[][..]];
        let overload = OptionIter::new(fields).find(|option| option.code == code::OVERLOAD);
        if let Some(overload) = overload {
            let &[which @ 1..=3] = overload.data else {
                return Err(ParseError::Overload);
            };
            if which & 1 != 0 {
                fields[1] = &wire.file;
            }
            if which & 2 != 0 {
                fields[2] = &wire.sname;
            }
            check_field(fields[1])?;
            check_field(fields[2])?;
        }
        Ok(Self { wire, fields })
    }

    /// op: a client's or a server's message.
    pub const fn operation(&self) -> Operation {
        Operation(self.wire.op)
    }

    /// htype: the kind of link; 1 is Ethernet.
    pub const fn hardware_type(&self) -> u8 {
        self.wire.htype
    }

    /// hops: how many relays have passed it on.
    pub const fn hops(&self) -> u8 {
        self.wire.hops
    }

    /// xid: which exchange it belongs to.
    pub const fn xid(&self) -> u32 {
        self.wire.xid.get()
    }

    /// secs: how long the client has been at it, seconds.
    pub const fn secs(&self) -> u16 {
        self.wire.secs.get()
    }

    /// Does the client ask for answers by broadcast (bit B of flags)?
    pub const fn is_broadcast(&self) -> bool {
        self.wire.flags.get() & BROADCAST != 0
    }

    /// ciaddr: the address that the client uses already.
    pub const fn ciaddr(&self) -> Ipv4Addr {
        address(self.wire.ciaddr)
    }

    /// yiaddr: the address that the server gives.
    pub const fn yiaddr(&self) -> Ipv4Addr {
        address(self.wire.yiaddr)
    }

    /// siaddr: the server to boot from next. Not the server that answers: that is option 54.
    pub const fn siaddr(&self) -> Ipv4Addr {
        address(self.wire.siaddr)
    }

    /// giaddr: the relay, if any.
    pub const fn giaddr(&self) -> Ipv4Addr {
        address(self.wire.giaddr)
    }

    /// chaddr: the client's link address, hlen bytes.
    pub fn chaddr(&self) -> &'a [u8] {
        &self.wire.chaddr[..usize::from(self.wire.hlen)]
    }

    /// Option 53; `None` when there is none, or it is not one byte.
    pub fn kind(&self) -> Option<MessageType> {
        match *self.option(code::MESSAGE_TYPE)? {
            [kind] => Some(MessageType(kind)),
            _ => None,
        }
    }

    /// All options, long ones in pieces, in the order in which they are put together.
    pub const fn options(&self) -> OptionIter<'a> {
        OptionIter::new(self.fields)
    }

    /// An option's value, put together of all its pieces (RFC 3396 §7); copied only if there are several.
    /// Each call walks the message once.
    pub fn option(&self, code: u8) -> Option<Cow<'a, [u8]>> {
        let mut pieces = self.options().filter(|option| option.code == code);
        let mut value = Cow::Borrowed(pieces.next()?.data);
        for piece in pieces {
            value.to_mut().extend_from_slice(piece.data);
        }
        Some(value)
    }

    /// An option that is one address, such as the server's.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        let value = self.option(code)?;
        Some(<[u8; 4]>::try_from(&*value).ok()?.into())
    }

    /// An option that is a number of four bytes, such as a time.
    pub fn number(&self, code: u8) -> Option<u32> {
        let value = self.option(code)?;
        Some(u32::from_be_bytes((&*value).try_into().ok()?))
    }
}

impl core::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Message")
            .field("operation", &self.operation())
            .field("xid", &self.xid())
            .field("secs", &self.secs())
            .field("is_broadcast", &self.is_broadcast())
            .field("ciaddr", &self.ciaddr())
            .field("yiaddr", &self.yiaddr())
            .field("chaddr", &self.chaddr())
            .field("options", &self.options().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

const fn address([a, b, c, d]: [u8; 4]) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}
