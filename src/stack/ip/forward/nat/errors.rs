//! ICMP errors about packets that were translated, translated back, and what they quote as well.
//!
//! RFC 5508 REQ-3 to REQ-7, RFC 3022 §4.3. *Owns* what of an error is believed, and its bytes. *Does not* know whose ends they are: who calls
//! says. Invariant: an error makes, refreshes and ends no session.

use core::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;

use super::edit::Edit;
use super::table::{Kind, Said};
use crate::base::checksum::{checksum, update};
use crate::base::{DropReason, Protocol};
use crate::ipv4;
use crate::link::layout::{put_word, word};

/// Bytes of an error before what it quotes (RFC 792).
const ERROR_LEN: usize = 8;

/// An error, and the packet that it quotes.
#[derive(Debug)]
pub(super) struct Error {
    /// Where the error begins, and in what it quotes the transport's header.
    at: usize,
    quoted_l4: usize,
    pub(super) quoted: Said,
}

/// Is it an error that is told to who sent what it quotes? A redirect is for who hears it alone.
const fn is_error(kind: u8) -> bool {
    matches!(kind, 3 | 11 | 12)
}

/// The kind and the ends of what a packet quotes of itself, whose transport header, or its first 8 bytes, are there.
fn said(header: &ipv4::Header<'_>, segment: &[u8]) -> Option<Said> {
    let kind = match header.protocol() {
        Protocol::TCP => Kind::Tcp,
        Protocol::UDP => Kind::Udp,
        Protocol::ICMP => Kind::Query,
        _ => return None,
    };
    let (src, dst) = match kind {
        Kind::Query if !matches!(segment.first(), Some(0 | 8 | 13 | 14)) => return None,
        Kind::Query => (word(segment, 4)?, word(segment, 4)?),
        _ => (word(segment, 0)?, word(segment, 2)?),
    };
    Some(Said {
        kind,
        src: SocketAddrV4::new(header.src(), src),
        dst: SocketAddrV4::new(header.dst(), dst),
        flags: 0,
    })
}

impl Error {
    /// Reads an ICMP message that begins at `at`; `None`: it is no error.
    ///
    /// # Errors
    /// Why an error is not believed.
    pub(super) fn read(data: &[u8], at: usize) -> Result<Option<Self>, DropReason> {
        let message = &data[at.min(data.len())..];
        if !message.first().is_some_and(|&kind| is_error(kind)) {
            return Ok(None);
        }
        // RFC 5508 REQ-3: its checksum, and that of the header that it quotes.
        if checksum(message) != 0 {
            return Err(DropReason::IcmpChecksum);
        }
        let quote = message.get(ERROR_LEN..).ok_or(DropReason::IcmpMalformed)?;
        let malformed = |_| DropReason::IcmpMalformed;
        let (header, segment) = ipv4::Header::parse_quoted(quote).map_err(malformed)?;
        let quoted_l4 = header.header_len();
        if quote.get(..quoted_l4).is_none_or(|h| checksum(h) != 0) {
            return Err(DropReason::IcmpMalformed);
        }
        if header.fragment_offset() != 0 {
            return Err(DropReason::IcmpUnmatched);
        }
        let quoted = said(&header, segment).ok_or(DropReason::IcmpUnmatched)?;
        Ok(Some(Self {
            at,
            quoted_l4,
            quoted,
        }))
    }

    /// The same packet, of other ends, that quotes another one.
    pub(super) fn with(
        &self,
        data: &[u8],
        edit: &Edit,
        (src, dst): (Option<Ipv4Addr>, Option<Ipv4Addr>),
    ) -> Bytes {
        let mut all = data.to_vec();
        for (address, at) in [(src, 12), (dst, 16)] {
            let Some(address) = address else { continue };
            let [a, b, c, d] = address.octets();
            for (at, new) in [(at, [a, b]), (at + 2, [c, d])] {
                let new = u16::from_be_bytes(new);
                if let (Some(old), Some(sum)) = (word(&all, at), word(&all, 10)) {
                    put_word(&mut all, at, new);
                    put_word(&mut all, 10, update(sum, old, new));
                }
            }
        }
        let message = &mut all[self.at..];
        edit.apply(&mut message[ERROR_LEN..], self.quoted_l4, false);
        put_word(message, 2, 0);
        let sum = checksum(message);
        put_word(message, 2, sum);
        all.into()
    }
}
