//! The packet that an ICMP error quotes, cut anywhere: read as a packet that comes in is.
//!
//! RFC 1122 §3.2.2, RFC 4443 §2.4. *Owns* what of it is believed to be ours to judge. *Does not* judge.

use core::net::IpAddr;

use crate::base::{DropReason, Protocol};
use crate::ipv6::extension;
use crate::{ipv4, ipv6};

/// What is there of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::stack) struct Quoted<'a> {
    pub(in crate::stack) src: IpAddr,
    pub(in crate::stack) dst: IpAddr,
    pub(in crate::stack) protocol: Protocol,
    /// How long all of it was, IP header included.
    pub(in crate::stack) len: usize,
    /// Could a router have cut it? IPv4 without DF.
    pub(in crate::stack) may_be_cut: bool,
    /// From the transport header on; may be empty.
    pub(in crate::stack) segment: &'a [u8],
}

impl<'a> Quoted<'a> {
    /// Of a header and what follows it; a later fragment shows no transport header.
    pub(in crate::stack) fn v4(
        quoted: Option<(ipv4::Header<'_>, &'a [u8])>,
    ) -> Result<Self, DropReason> {
        let (header, segment) = quoted.ok_or(DropReason::IcmpMalformed)?;
        if header.fragment_offset() != 0 {
            return Err(DropReason::IcmpUnmatched);
        }
        Ok(Self {
            src: IpAddr::V4(header.src()),
            dst: IpAddr::V4(header.dst()),
            protocol: header.protocol(),
            len: header.total_len(),
            may_be_cut: !header.dont_fragment(),
            segment,
        })
    }

    /// The same, behind the extension headers, those of a first fragment too.
    pub(in crate::stack) fn v6(
        quoted: Option<(ipv6::Header<'_>, &'a [u8])>,
    ) -> Result<Self, DropReason> {
        let (header, payload) = quoted.ok_or(DropReason::IcmpMalformed)?;
        let outcome = match extension::walk(&header, payload) {
            extension::Outcome::Fragment(first) if first.offset == 0 => {
                extension::walk_behind(&header, payload, &first)
            }
            other => other,
        };
        let extension::Outcome::Upper {
            protocol, offset, ..
        } = outcome
        else {
            return Err(DropReason::IcmpUnmatched);
        };
        Ok(Self {
            src: IpAddr::V6(header.src()),
            dst: IpAddr::V6(header.dst()),
            protocol,
            len: header.total_len(),
            may_be_cut: false,
            segment: payload.get(offset..).unwrap_or_default(),
        })
    }
}
