//! A DHCP message, put together field by field.
//!
//! RFC 2131 §2; RFC 3396 §6 (long options are cut). *Owns* how a message is written. *Does not* know which
//! options belong into which message: `transmit` does. Invariant: what is built parses.

use core::net::Ipv4Addr;

use zerocopy::{FromZeros, IntoBytes};

use super::message::{BROADCAST, COOKIE, ETHERNET, MessageType, Operation, Wire};
use super::options::code;
use crate::base::MacAddr;

/// RFC 1542 §2.1: a BOOTP message has 300 bytes at least; relays and servers drop shorter ones.
pub const MIN_LEN: usize = 300;

/// Writes a message.
///
/// ```
/// use netloom::dhcp::{Builder, Message, MessageType, Operation, code};
///
/// let mac = netloom::MacAddr::new([2, 0, 0, 0, 0, 1]);
/// let bytes = Builder::new(Operation::REQUEST, MessageType::DISCOVER, 7, mac)
///     .option(code::HOST_NAME, b"loom")
///     .finish();
/// let message = Message::parse(&bytes)?;
/// assert_eq!(message.kind(), Some(MessageType::DISCOVER));
/// assert_eq!(message.option(code::HOST_NAME).as_deref(), Some(&b"loom"[..]));
/// # Ok::<(), netloom::dhcp::ParseError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Builder {
    options: Vec<u8>,
    wire: Box<Wire>,
}

impl Builder {
    /// A message of this kind about the client with this link address, for the exchange `xid`. Every other
    /// field is zero.
    pub fn new(operation: Operation, kind: MessageType, xid: u32, mac: MacAddr) -> Self {
        let mut wire = Box::new(Wire::new_zeroed());
        (wire.op, wire.htype, wire.hlen) = (operation.0, ETHERNET, 6);
        wire.xid = xid.into();
        wire.chaddr[..6].copy_from_slice(&mac.octets());
        wire.cookie = COOKIE;
        let empty = Self {
            options: Vec::new(),
            wire,
        };
        empty.option(code::MESSAGE_TYPE, &[kind.0])
    }

    /// Sets secs.
    pub fn secs(mut self, secs: u16) -> Self {
        self.wire.secs = secs.into();
        self
    }

    /// Sets the bit B of flags: answers by broadcast, please.
    pub fn broadcast(mut self, broadcast: bool) -> Self {
        self.wire.flags = if broadcast { BROADCAST } else { 0 }.into();
        self
    }

    /// Sets ciaddr, the address that the client uses already.
    pub fn ciaddr(mut self, address: Ipv4Addr) -> Self {
        self.wire.ciaddr = address.octets();
        self
    }

    /// Sets yiaddr, the address that the server gives.
    pub fn yiaddr(mut self, address: Ipv4Addr) -> Self {
        self.wire.yiaddr = address.octets();
        self
    }

    /// Adds an option. One of more than 255 bytes is cut into pieces (RFC 3396 §6).
    pub fn option(mut self, code: u8, data: &[u8]) -> Self {
        let mut rest = data;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(255));
            self.options.push(code);
            self.options
                .push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
            self.options.extend_from_slice(piece);
            rest = after;
            if rest.is_empty() {
                return self;
            }
        }
    }

    /// Adds an option that is one address.
    pub fn address(self, code: u8, address: Ipv4Addr) -> Self {
        self.option(code, &address.octets())
    }

    /// Adds an option that is a number of four bytes.
    pub fn number(self, code: u8, number: u32) -> Self {
        self.option(code, &number.to_be_bytes())
    }

    /// The bytes, closed by the end option and filled up to [`MIN_LEN`].
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = self.wire.as_bytes().to_vec();
        bytes.extend_from_slice(&self.options);
        bytes.push(code::END);
        if bytes.len() < MIN_LEN {
            bytes.resize(MIN_LEN, code::PAD);
        }
        bytes
    }
}

impl core::fmt::Debug for Builder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let bytes = self.clone().finish();
        match super::Message::parse(&bytes) {
            Ok(message) => message.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}
