//! A DHCPv6 message, seen where it lies, and the one that is sent.
//!
//! RFC 8415 §8 (form), §21.1 (options). *Owns* the fields, the codes, and which bytes are options. *Does not* judge a
//! message: `client` does; nor read what relays say to each other (§9). Invariant: [`Message::parse`] is total, and what it
//! returns has whole options only.
//!
//! ```text
//! | msg-type 1 | transaction-id 3 | options ... |
//! | option-code 2 | option-len 2 | option-data |
//! ```

use core::net::Ipv6Addr;

/// The UDP port of servers and relays (RFC 8415 §7.2).
pub const SERVER_PORT: u16 = 547;
/// The UDP port of clients (RFC 8415 §7.2).
pub const CLIENT_PORT: u16 = 546;
/// All_DHCP_Relay_Agents_and_Servers, to which clients speak (RFC 8415 §7.1).
pub(crate) const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// Bytes before the options.
pub const HEADER_LEN: usize = 4;

/// The option codes that the client sends or reads, IANA "Option Codes" of DHCPv6.
pub mod code {
    /// Who the client is: its DUID (RFC 8415 §21.2).
    pub const CLIENT_ID: u16 = 1;
    /// Who the server is (RFC 8415 §21.3).
    pub const SERVER_ID: u16 = 2;
    /// The options that the client wants (RFC 8415 §21.7).
    pub const OPTION_REQUEST: u16 = 6;
    /// For how long the client has tried, hundredths of a second (RFC 8415 §21.9).
    pub const ELAPSED_TIME: u16 = 8;
    /// How it went (RFC 8415 §21.13).
    pub const STATUS: u16 = 13;
    /// Recursive servers of DNS, the best first (RFC 3646 §3).
    pub const DNS_SERVERS: u16 = 23;
    /// Search domains (RFC 3646 §4).
    pub const DOMAIN_LIST: u16 = 24;
    /// When to ask again, seconds (RFC 8415 §21.23).
    pub const REFRESH_TIME: u16 = 32;
    /// The longest time between two questions, seconds (RFC 8415 §21.25).
    pub const INF_MAX_RT: u16 = 83;
}

/// msg-type (RFC 8415 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageType(pub u8);

impl MessageType {
    /// REPLY: a server answers.
    pub const REPLY: Self = Self(7);
    /// INFORMATION-REQUEST: a client asks for parameters alone.
    pub const INFORMATION_REQUEST: Self = Self(11);
    /// RELAY-FORW: between relays and servers.
    pub const RELAY_FORWARD: Self = Self(12);
    /// RELAY-REPL: the same, back.
    pub const RELAY_REPLY: Self = Self(13);
}

/// Why bytes are not a message between a client and a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The header is cut.
    #[error("dhcpv6 message needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that it takes at least.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// It is one of relays, whose form is another.
    #[error("dhcpv6 message of type {kind} is a relay's")]
    Relay {
        /// msg-type.
        kind: u8,
    },
    /// An option goes beyond the message.
    #[error("dhcpv6 option needs {need} bytes, {have} available")]
    Option {
        /// Bytes that it takes, as far as can be told.
        need: usize,
        /// Bytes that are left.
        have: usize,
    },
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DhcpOption<'a> {
    /// option-code.
    pub code: u16,
    /// option-data.
    pub data: &'a [u8],
}

/// A message that parses.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    kind: MessageType,
    transaction: u32,
    options: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a message, the payload of a UDP datagram.
    ///
    /// # Errors
    /// [`ParseError`] when it is cut, a relay's, or an option does not end within it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (&[kind, a, b, c], options) =
            bytes
                .split_first_chunk::<HEADER_LEN>()
                .ok_or(ParseError::Truncated {
                    need: HEADER_LEN,
                    have: bytes.len(),
                })?;
        let kind = MessageType(kind);
        if [MessageType::RELAY_FORWARD, MessageType::RELAY_REPLY].contains(&kind) {
            return Err(ParseError::Relay { kind: kind.0 });
        }
        let mut rest = options;
        while let Some((_, behind)) = split(rest)? {
            rest = behind;
        }
        Ok(Self {
            kind,
            transaction: u32::from_be_bytes([0, a, b, c]),
            options,
        })
    }

    /// msg-type.
    pub const fn kind(&self) -> MessageType {
        self.kind
    }

    /// transaction-id, 24 bits: which exchange it belongs to.
    pub const fn transaction(&self) -> u32 {
        self.transaction
    }

    /// All options, in their order.
    pub const fn options(&self) -> OptionIter<'a> {
        OptionIter(self.options)
    }

    /// The data of the first option with this code. RFC 8415 §21.1: several are not one in pieces.
    pub fn option(&self, code: u16) -> Option<&'a [u8]> {
        let mut all = self.options();
        all.find(|option| option.code == code)
            .map(|option| option.data)
    }

    /// The same of one that is a number of four bytes; `None` too when it is not.
    pub fn number(&self, code: u16) -> Option<u32> {
        let data = self.option(code)?.try_into().ok()?;
        Some(u32::from_be_bytes(data))
    }
}

impl core::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Message")
            .field("kind", &self.kind)
            .field("transaction", &self.transaction)
            .field("options", &self.options().collect::<Vec<_>>())
            .finish()
    }
}

/// Goes through the options of a message.
#[derive(Clone, Debug)]
pub struct OptionIter<'a>(&'a [u8]);

impl<'a> Iterator for OptionIter<'a> {
    type Item = DhcpOption<'a>;

    fn next(&mut self) -> Option<DhcpOption<'a>> {
        let first = split(self.0).ok().flatten();
        let (option, rest) = first.unzip();
        self.0 = rest.unwrap_or_default();
        option
    }
}

/// The first option, and what follows it.
fn split(bytes: &[u8]) -> Result<Option<(DhcpOption<'_>, &[u8])>, ParseError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let cut = |need| ParseError::Option {
        need,
        have: bytes.len(),
    };
    let (&[a, b, c, d], behind) = bytes.split_first_chunk::<4>().ok_or_else(|| cut(4))?;
    let len = usize::from(u16::from_be_bytes([c, d]));
    let (data, rest) = behind.split_at_checked(len).ok_or_else(|| cut(4 + len))?;
    let code = u16::from_be_bytes([a, b]);
    Ok(Some((DhcpOption { code, data }, rest)))
}

/// An INFORMATION-REQUEST (RFC 8415 §18.2.6): the client's DUID, for how many hundredths of a second it has tried, and which options
/// it asks for. Of the transaction-id 24 bits are sent. A DUID has 130 bytes at most (§11.1): what is more is left out.
pub fn information_request(transaction: u32, duid: &[u8], elapsed: u16, wanted: &[u16]) -> Vec<u8> {
    let mut out = transaction.to_be_bytes().to_vec();
    out[0] = MessageType::INFORMATION_REQUEST.0;
    put(&mut out, code::CLIENT_ID, &duid[..duid.len().min(130)]);
    put(&mut out, code::ELAPSED_TIME, &elapsed.to_be_bytes());
    let wanted: Vec<u8> = wanted.iter().flat_map(|code| code.to_be_bytes()).collect();
    put(&mut out, code::OPTION_REQUEST, &wanted);
    out
}

fn put(out: &mut Vec<u8>, code: u16, data: &[u8]) {
    let len = u16::try_from(data.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&data[..len.into()]);
}
