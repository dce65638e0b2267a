//! DHCP options: their codes, and how they stand in the fields of a message.
//!
//! RFC 2132 §2 (form), §9.3 (overload); RFC 3396 §5 (long options). *Owns* the form and the codes.
//! *Does not* interpret any but the overload: `lease` and the `on_` files do. Invariant: an [`OptionIter`] goes through
//! fields that [`check_field`] has passed, so it never meets an option that is cut.

use super::message::ParseError;

/// Option codes that the client sends or reads, IANA "BOOTP Vendor Extensions and DHCP Options".
pub mod code {
    /// Nothing, one byte (RFC 2132 §3.1).
    pub const PAD: u8 = 0;
    /// Subnet mask (RFC 2132 §3.3).
    pub const SUBNET_MASK: u8 = 1;
    /// Routers, the best first (RFC 2132 §3.5).
    pub const ROUTERS: u8 = 3;
    /// Name servers, the best first (RFC 2132 §3.8).
    pub const DNS_SERVERS: u8 = 6;
    /// The client's name (RFC 2132 §3.14).
    pub const HOST_NAME: u8 = 12;
    /// The domain that names are looked up in (RFC 2132 §3.17).
    pub const DOMAIN_NAME: u8 = 15;
    /// The interface's MTU (RFC 2132 §5.1).
    pub const INTERFACE_MTU: u8 = 26;
    /// The address that the client would like (RFC 2132 §9.1).
    pub const REQUESTED_ADDRESS: u8 = 50;
    /// How long the address may be used, seconds (RFC 2132 §9.2).
    pub const LEASE_TIME: u8 = 51;
    /// `file`, `sname` or both hold options (RFC 2132 §9.3).
    pub const OVERLOAD: u8 = 52;
    /// What kind of message it is (RFC 2132 §9.6).
    pub const MESSAGE_TYPE: u8 = 53;
    /// Which server is meant or answers (RFC 2132 §9.7).
    pub const SERVER_ID: u8 = 54;
    /// The options that the client wants (RFC 2132 §9.8).
    pub const PARAMETER_REQUEST: u8 = 55;
    /// A text on what went wrong (RFC 2132 §9.9).
    pub const MESSAGE: u8 = 56;
    /// The longest message that the client takes (RFC 2132 §9.10).
    pub const MAX_MESSAGE: u8 = 57;
    /// T1, seconds (RFC 2132 §9.11).
    pub const RENEWAL_TIME: u8 = 58;
    /// T2, seconds (RFC 2132 §9.12).
    pub const REBINDING_TIME: u8 = 59;
    /// Who the client is (RFC 2132 §9.14, RFC 4361).
    pub const CLIENT_ID: u8 = 61;
    /// Routes with their prefix lengths (RFC 3442).
    pub const CLASSLESS_ROUTES: u8 = 121;
    /// The last option of a field, one byte (RFC 2132 §3.2).
    pub const END: u8 = 255;
}

/// One option as it stands on the wire: of a long one, a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DhcpOption<'a> {
    /// The code octet.
    pub code: u8,
    /// What follows the length octet.
    pub data: &'a [u8],
}

/// Goes through the options of a message in the order of RFC 3396 §5: the options field, then `file`, then
/// `sname`, the latter two as far as option 52 says that they hold options. Pad and end are not shown.
#[derive(Clone, Debug)]
pub struct OptionIter<'a> {
    fields: [&'a [u8]; 3],
}

impl<'a> OptionIter<'a> {
    /// `fields` have passed [`check_field`]; one that holds no options is empty.
    pub(super) const fn new(fields: [&'a [u8]; 3]) -> Self {
        Self { fields }
    }
}

impl<'a> Iterator for OptionIter<'a> {
    type Item = DhcpOption<'a>;

    fn next(&mut self) -> Option<DhcpOption<'a>> {
        for field in &mut self.fields {
            if let Ok(Some((option, rest))) = split(field) {
                *field = rest;
                return Some(option);
            }
            *field = &[];
        }
        None
    }
}

/// Do all options of this field lie within it? One that no end option closes ends with its last byte.
pub(super) fn check_field(mut field: &[u8]) -> Result<(), ParseError> {
    while let Some((_, rest)) = split(field)? {
        field = rest;
    }
    Ok(())
}

/// The first option of a field, and what follows it.
fn split(mut field: &[u8]) -> Result<Option<(DhcpOption<'_>, &[u8])>, ParseError> {
    loop {
        match *field {
            [] | [code::END, ..] => return Ok(None),
            [code::PAD, ref rest @ ..] => field = rest,
            [code] => {
                return Err(ParseError::Option {
                    code,
                    need: 1,
                    have: 0,
                });
            }
            [code, len, ref rest @ ..] => {
                let need = usize::from(len);
                let (data, rest) = rest.split_at_checked(need).ok_or(ParseError::Option {
                    code,
                    need: need + 1,
                    have: rest.len() + 1,
                })?;
                return Ok(Some((DhcpOption { code, data }, rest)));
            }
        }
    }
}
