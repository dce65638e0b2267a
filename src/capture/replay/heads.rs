//! How much of a frame is headers: what a recording without payload keeps of it.
//!
//! *Owns* where TCP's and UDP's payload begins, and what an ICMP error quotes. *Does not* check anything:
//! a frame that it cannot follow counts as headers from end to end, and is kept whole.

use crate::base::Protocol;
use crate::device::Medium;
use crate::link::ethernet::{self, EtherType};
use crate::{ipv4, ipv6, tcp, udp};

/// What to keep of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heads {
    /// So many of its first bytes.
    pub(super) len: usize,
    /// Where the checksum lies that sums up the rest.
    pub(super) checksum: usize,
}

/// The headers of a frame of `len` bytes of which these are the first; `None` when all of it is to be kept,
/// or when more of it has to be seen. ICMP errors are cut only when `quotes` are: those that a stack is
/// given are input in full.
pub(super) fn heads(medium: Medium, front: &[u8], len: usize, quotes: bool) -> Option<Heads> {
    let mut rest = front;
    let ether_type = match medium {
        Medium::Ip => None,
        Medium::Ethernet => {
            let (header, behind) = ethernet::Header::parse(front).ok()?;
            rest = behind;
            Some(header.ether_type())
        }
    };
    let version = rest.first()? >> 4;
    let protocol = match (version, ether_type) {
        (4, None | Some(EtherType::IPV4)) => {
            // Quoted or cut is all the same here: its total length is not compared with what there is.
            let (header, behind) = ipv4::Header::parse_quoted(rest).ok()?;
            if header.is_fragment() {
                return None;
            }
            rest = behind;
            header.protocol()
        }
        (6, None | Some(EtherType::IPV6)) => {
            let (header, behind) = ipv6::Header::parse_quoted(rest).ok()?;
            rest = behind;
            // What has extension headers is kept whole: it is rare.
            header.next_header()
        }
        _ => return None,
    };
    if !quotes && matches!(protocol, Protocol::ICMP | Protocol::ICMPV6) {
        return None;
    }
    let at = front.len() - rest.len();
    let (header, checksum) = transport(protocol, rest)?;
    let heads = Heads {
        len: at + header,
        checksum: at + checksum,
    };
    (heads.len <= front.len() && heads.len < len).then_some(heads)
}

/// How long the transport header is, a quoted one in it included, and where its checksum lies.
fn transport(protocol: Protocol, bytes: &[u8]) -> Option<(usize, usize)> {
    match protocol {
        Protocol::TCP => {
            let words = usize::from(bytes.get(12)? >> 4);
            (words >= 5).then_some((words * 4, tcp::CHECKSUM_OFFSET))
        }
        Protocol::UDP => Some((udp::HEADER_LEN, udp::CHECKSUM_OFFSET)),
        Protocol::ICMP => {
            let error = matches!(bytes.first()?, 3 | 4 | 5 | 11 | 12);
            let quoted = bytes.get(ipv4::icmp::HEADER_LEN..)?;
            let (header, _) = ipv4::Header::parse_quoted(quoted).ok()?;
            error.then_some((ipv4::icmp::HEADER_LEN + header.header_len() + QUOTED, 2))
        }
        Protocol::ICMPV6 => {
            let error = matches!(bytes.first()?, 1..=4);
            let quoted = ipv4::icmp::HEADER_LEN + ipv6::HEADER_LEN + QUOTED;
            error.then_some((quoted, 2))
        }
        _ => None,
    }
}

/// What an error quotes of a transport header at least (RFC 792): the same is compared.
const QUOTED: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn payload_begins_behind_tcp_and_udp() {
        let ethernet = [&[2; 12][..], &[8, 0]].concat();
        let v4 = |protocol: u8| {
            let mut header = [0; 20];
            (header[0], header[9]) = (0x45, protocol);
            header
        };
        let mut tcp = [0; 32];
        tcp[12] = 0x80;
        let payload = [7; 100];
        let whole = frame(&[&ethernet, &v4(6), &tcp, &payload]);
        let found = Heads {
            len: 66,
            checksum: 50,
        };
        let of = |data: &[u8], len| heads(Medium::Ethernet, data, len, true);
        assert_eq!(of(&whole, whole.len()), Some(found));
        assert_eq!(of(&whole[..66], whole.len()), Some(found), "enough of it");
        assert_eq!(of(&whole[..65], whole.len()), None);
        assert_eq!(of(&whole[..67], 67), Some(found), "a byte of payload");
        assert_eq!(of(&whole[..66], 66), None, "none");
        let udp = frame(&[&v4(17), &[0; 8], &payload]);
        let found = Heads {
            len: 28,
            checksum: 26,
        };
        assert_eq!(heads(Medium::Ip, &udp, 128, false), Some(found));
        let mut v6 = [0; 40];
        (v6[0], v6[6]) = (0x60, 6);
        let six = frame(&[&v6, &tcp, &payload]);
        let found = Heads {
            len: 72,
            checksum: 56,
        };
        assert_eq!(heads(Medium::Ip, &six, 172, false), Some(found));
    }

    #[test]
    fn what_is_not_followed_is_kept() {
        let mut fragment = [0; 128];
        (fragment[0], fragment[9], fragment[7]) = (0x45, 17, 1);
        let mut echo = [0; 128];
        (echo[0], echo[9], echo[20]) = (0x45, 1, 8);
        let mut options = [0; 128];
        (options[0], options[6]) = (0x60, 0);
        let mut short = [0; 128];
        (short[0], short[9], short[32]) = (0x45, 6, 0x40);
        for data in [fragment, echo, options, short, [0; 128], [0xff; 128]] {
            for medium in [Medium::Ip, Medium::Ethernet] {
                assert_eq!(heads(medium, &data, 128, true), None, "{data:?}");
            }
        }
        assert_eq!(heads(Medium::Ip, &[], 0, true), None);
    }

    /// An error quotes what was cut: its own checksum is loose, and only where quotes are cut.
    #[test]
    fn an_error_is_kept_up_to_what_it_quotes_of_the_transport() {
        let mut error = [0; 576];
        (error[0], error[9], error[20], error[28]) = (0x45, 1, 3, 0x46);
        let found = Heads {
            len: 20 + 8 + 24 + 8,
            checksum: 22,
        };
        assert_eq!(heads(Medium::Ip, &error, 576, true), Some(found));
        assert_eq!(heads(Medium::Ip, &error, 576, false), None);
    }
}
