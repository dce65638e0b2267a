//! The chain of extension headers.
//!
//! RFC 8200 §4; RFC 5095 (no routing type 0); RFC 6946 (atomic fragments). *Owns* walking the
//! chain and the verdict on it. *Does not* reassemble, nor know which upper protocols are spoken.
//! Invariant: walking is total and takes at most one step per byte.

use core::net::Ipv6Addr;

use super::header::{HEADER_LEN, Header};
use crate::base::Protocol;

/// ICMPv6 Parameter Problem codes, RFC 4443 §3.4.
pub mod code {
    /// Erroneous header field encountered.
    pub const HEADER_FIELD: u8 = 0;
    /// Unrecognized Next Header type encountered.
    pub const NEXT_HEADER: u8 = 1;
    /// Unrecognized IPv6 option encountered.
    pub const OPTION: u8 = 2;
    /// A first fragment without the whole chain of headers (RFC 7112 §5).
    pub const FIRST_FRAGMENT: u8 = 3;
}

/// Bytes of a fragment header (RFC 8200 §4.5), which has no length field.
pub(crate) const FRAGMENT_LEN: usize = 8;

/// RFC 4302 §2.
const AUTHENTICATION: Protocol = Protocol(51);

/// Where the Next Header field lies in the IPv6 header.
const NEXT_HEADER_AT: usize = 6;

/// One extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extension<'a> {
    /// Which one: hop-by-hop, routing, fragment or destination options.
    pub kind: Protocol,
    /// Where it begins, from the start of the payload.
    pub at: usize,
    /// What follows it.
    pub next_header: Protocol,
    /// All its bytes.
    pub bytes: &'a [u8],
}

impl<'a> Extension<'a> {
    /// Reads the header of this kind that lies `at` bytes into the payload.
    ///
    /// `None` when `kind` is not an extension header; the error when it is cut.
    pub fn parse(kind: Protocol, payload: &'a [u8], at: usize) -> Option<Result<Self, Truncated>> {
        let is_known = matches!(
            kind,
            Protocol::HOP_BY_HOP
                | Protocol::ROUTING
                | Protocol::FRAGMENT
                | Protocol::DESTINATION_OPTIONS
        );
        is_known.then(|| {
            let rest = payload.get(at..).unwrap_or_default();
            let truncated = |need| Truncated {
                need,
                have: rest.len(),
            };
            let &[next_header, units, ..] = rest else {
                return Err(truncated(FRAGMENT_LEN));
            };
            let len = if kind == Protocol::FRAGMENT {
                FRAGMENT_LEN
            } else {
                (usize::from(units) + 1) * 8
            };
            let bytes = rest.get(..len).ok_or_else(|| truncated(len))?;
            Ok(Self {
                kind,
                at,
                next_header: Protocol(next_header),
                bytes,
            })
        })
    }

    /// The options of a hop-by-hop or destination options header.
    pub fn options(&self) -> OptionIter<'a> {
        let has_options = matches!(
            self.kind,
            Protocol::HOP_BY_HOP | Protocol::DESTINATION_OPTIONS
        );
        let bytes = if has_options { &self.bytes[2..] } else { &[] };
        OptionIter {
            bytes,
            at: 0,
            malformed: false,
        }
    }

    /// What a fragment header says.
    pub fn fragment(&self) -> Option<Fragment> {
        let (Protocol::FRAGMENT, [_, _, a, b, id @ ..]) = (self.kind, self.bytes) else {
            return None;
        };
        let offset_flags = u16::from_be_bytes([*a, *b]);
        Some(Fragment {
            next_header: self.next_header,
            at: self.at,
            offset: usize::from(offset_flags & 0xfff8),
            more: offset_flags & 1 == 1,
            id: u32::from_be_bytes(<[u8; 4]>::try_from(id).ok()?),
        })
    }
}

/// An extension header that the packet ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ipv6 extension header needs {need} bytes, {have} available")]
#[non_exhaustive]
pub struct Truncated {
    /// Bytes that the header takes.
    pub need: usize,
    /// Bytes that are there.
    pub have: usize,
}

/// An option of a hop-by-hop or destination options header; padding is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ipv6Option<'a> {
    /// The type octet, whose high bits tell what to do with an unknown one.
    pub kind: u8,
    /// Where the type octet lies, from the start of the extension header.
    pub at: usize,
    /// What follows the length octet.
    pub data: &'a [u8],
}

/// Goes through the options of one extension header.
#[derive(Clone, Debug)]
pub struct OptionIter<'a> {
    /// The bytes behind Next Header and Hdr Ext Len.
    bytes: &'a [u8],
    at: usize,
    malformed: bool,
}

impl OptionIter<'_> {
    /// Did the iteration end at an option that is longer than the header?
    pub fn malformed(&self) -> bool {
        self.malformed
    }
}

impl<'a> Iterator for OptionIter<'a> {
    type Item = Ipv6Option<'a>;

    fn next(&mut self) -> Option<Ipv6Option<'a>> {
        const PAD1: u8 = 0;
        const PADN: u8 = 1;
        loop {
            let at = self.at;
            match *self.bytes.get(at..)? {
                [] => return None,
                [PAD1, ..] => self.at = at + 1,
                [kind, len, ref rest @ ..] if rest.len() >= usize::from(len) => {
                    self.at = at + 2 + usize::from(len);
                    if kind != PADN {
                        let data = &rest[..usize::from(len)];
                        return Some(Ipv6Option {
                            kind,
                            at: at + 2,
                            data,
                        });
                    }
                }
                _ => {
                    self.malformed = true;
                    self.at = self.bytes.len();
                    return None;
                }
            }
        }
    }
}

/// What a fragment header says, RFC 8200 §4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fragment {
    /// What the reassembled packet goes on with.
    pub next_header: Protocol,
    /// Where the fragment header lies, from the start of the payload; 8 bytes on, its data begins.
    pub at: usize,
    /// Where the data belongs, in bytes (r57).
    pub offset: usize,
    /// The M flag.
    pub more: bool,
    /// Identification.
    pub id: u32,
}

impl Fragment {
    /// Is it a whole packet (RFC 6946 §2, §4)?
    pub fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// Why a packet is to be discarded without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discard {
    /// It ends inside an extension header.
    Truncated(Truncated),
    /// An option is longer than the header that holds it.
    Malformed,
    /// An unknown option says so (RFC 8200 §4.2).
    Option {
        /// Its type.
        kind: u8,
    },
}

/// What a chain leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A header that is not an extension header known here; maybe
    /// [`NO_NEXT_HEADER`](Protocol::NO_NEXT_HEADER).
    Upper {
        /// Which one.
        protocol: Protocol,
        /// Where it begins, from the start of the payload.
        offset: usize,
        /// Where the field that names it lies, from the start of the IPv6 header: the pointer of a
        /// Parameter Problem when nobody speaks it (IP6-6).
        pointer: u32,
        /// Was there an atomic fragment's header (RFC 6946)? NDP must not have one (RFC 6980 §5).
        fragmented: bool,
    },
    /// A piece of a packet: reassembly goes on from here.
    Fragment(Fragment),
    /// To be discarded silently.
    Discard(Discard),
    /// To be discarded, and the sender told by an ICMPv6 Parameter Problem.
    ParameterProblem {
        /// Its code.
        code: u8,
        /// Its pointer: the octet, from the start of the IPv6 header.
        pointer: u32,
    },
}

/// Walks the chain of a packet that came to its destination, strictly in order (RFC 8200 §4); in any order
/// that it may have (§4.1). No answer has a routing header of its own (§8.4).
pub fn walk(header: &Header<'_>, payload: &[u8]) -> Outcome {
    walk_from(header, payload, (header.next_header(), 0, NEXT_HEADER_AT))
}

/// The same from behind the header of a first fragment on: what its packet will be.
pub fn walk_behind(header: &Header<'_>, payload: &[u8], fragment: &Fragment) -> Outcome {
    let field = HEADER_LEN + fragment.at;
    let start = (fragment.next_header, fragment.at + FRAGMENT_LEN, field);
    walk_from(header, payload, start)
}

/// `kind` is what lies `at` bytes into the payload, by the field that lies so far into the packet.
fn walk_from(
    header: &Header<'_>,
    payload: &[u8],
    (mut kind, mut at, mut field): (Protocol, usize, usize),
) -> Outcome {
    let mut fragmented = false;
    loop {
        // RFC 8200 §4: hop-by-hop options directly behind the IPv6 header only.
        if kind == Protocol::HOP_BY_HOP && field != NEXT_HEADER_AT {
            return problem(code::NEXT_HEADER, field);
        }
        let extension = match Extension::parse(kind, payload, at) {
            None => {
                return Outcome::Upper {
                    protocol: kind,
                    offset: at,
                    pointer: pointer(field),
                    fragmented,
                };
            }
            Some(Err(truncated)) => return Outcome::Discard(Discard::Truncated(truncated)),
            Some(Ok(extension)) => extension,
        };
        if let Some(fragment) = extension.fragment() {
            if !fragment.is_atomic() {
                return Outcome::Fragment(fragment);
            }
            fragmented = true;
        }
        if let Err(outcome) = check(&extension, header.dst()) {
            return outcome;
        }
        kind = extension.next_header;
        field = HEADER_LEN + at;
        at += extension.bytes.len();
    }
}

/// May the chain lead to an ICMPv6 error or to a redirect, about which nothing is ever said?
///
/// RFC 4443 §2.4 (e.1), (e.2): also when what stands before it is what is wrong, so no header is
/// judged here, and of what cannot be seen the worst is thought.
pub(crate) fn may_lead_to_error(header: &Header<'_>, payload: &[u8]) -> bool {
    let mut kind = header.next_header();
    let mut at = 0;
    while is_passed_over(kind) {
        let (next, len) = match Extension::parse(kind, payload, at) {
            Some(Ok(extension)) => {
                if let Some(fragment) = extension.fragment()
                    && fragment.offset != 0
                {
                    let next = fragment.next_header;
                    return next == Protocol::ICMPV6 || is_passed_over(next);
                }
                (extension.next_header, extension.bytes.len())
            }
            None => match *payload.get(at..).unwrap_or_default() {
                // RFC 4302 §2.2: the length in words of 32 bits, less two.
                [next, words, ..] => (Protocol(next), (usize::from(words) + 2) * 4),
                _ => return true,
            },
            // The chain ends here, and one more name may stand in what there is of it.
            Some(Err(_)) => {
                let named = payload.get(at).map(|&next| Protocol(next));
                return named.is_none_or(|next| next == Protocol::ICMPV6 || is_passed_over(next));
            }
        };
        kind = next;
        at += len;
    }
    // RFC 4443 §2.1: types below 128 are errors; RFC 4861 §4.5: 137 is a redirect.
    kind == Protocol::ICMPV6
        && payload
            .get(at)
            .is_none_or(|&kind| kind < 128 || kind == 137)
}

/// Is it a header behind which another may stand whose place is known? The authentication header is
/// one, though nobody here reads it.
fn is_passed_over(kind: Protocol) -> bool {
    kind == AUTHENTICATION || Extension::parse(kind, &[], 0).is_some()
}

/// Is there something in this header that ends the walk?
fn check(extension: &Extension<'_>, dst: Ipv6Addr) -> Result<(), Outcome> {
    let start = HEADER_LEN + extension.at;
    if extension.kind == Protocol::ROUTING {
        // RFC 8200 §4.4, RFC 5095 §3: no routing type is known; the header is passed over once no
        // segments are left.
        return match extension.bytes.get(3) {
            Some(0) => Ok(()),
            _ => Err(problem(code::HEADER_FIELD, start + 2)),
        };
    }
    let mut options = extension.options();
    for option in options.by_ref() {
        // RFC 8200 §4.2: what to do with an unknown option stands in its two highest bits.
        match option.kind >> 6 {
            0 => {}
            2 => return Err(problem(code::OPTION, start + option.at)),
            3 if !dst.is_multicast() => return Err(problem(code::OPTION, start + option.at)),
            _ => {
                let kind = option.kind;
                return Err(Outcome::Discard(Discard::Option { kind }));
            }
        }
    }
    if options.malformed() {
        Err(Outcome::Discard(Discard::Malformed))
    } else {
        Ok(())
    }
}

fn problem(code: u8, at: usize) -> Outcome {
    Outcome::ParameterProblem {
        code,
        pointer: pointer(at),
    }
}

fn pointer(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipv6::Fields;
    use proptest::prelude::*;

    fn walk_bytes(first: Protocol, payload: &[u8], dst: &str) -> Outcome {
        let fields = Fields::new("fd00::1".parse().unwrap(), dst.parse().unwrap(), first);
        let mut bytes = vec![0; HEADER_LEN];
        fields.emit(payload.len(), &mut bytes);
        bytes.extend_from_slice(payload);
        let (header, payload) = Header::parse(&bytes).unwrap();
        // Ends, whatever the bytes.
        may_lead_to_error(&header, payload);
        walk(&header, payload)
    }

    fn upper(protocol: u8, offset: usize, pointer: u32) -> Outcome {
        Outcome::Upper {
            protocol: Protocol(protocol),
            offset,
            pointer,
            fragmented: false,
        }
    }

    fn discard(kind: u8) -> Outcome {
        Outcome::Discard(Discard::Option { kind })
    }

    fn param(code: u8, pointer: u32) -> Outcome {
        Outcome::ParameterProblem { code, pointer }
    }

    /// An options header of 8 bytes with one option of two data bytes in it.
    fn with_option(next: u8, kind: u8) -> [u8; 8] {
        [next, 0, kind, 2, 0, 0, 0, 0]
    }

    /// Covers: IP6-9, IP6-10 (as many as there are), IP6-3, IP6-4, IP6-5, IP6-6, IP6-11, IP6-12, IP6-13.
    #[test]
    fn chains() {
        let pad = |next| [next, 0, 1, 4, 0, 0, 0, 0];
        let join = |parts: &[&[u8]]| parts.concat();
        let rows: &[(u8, Vec<u8>, Outcome)] = &[
            (6, vec![], upper(6, 0, 6)),
            (17, vec![1, 2], upper(17, 0, 6)),
            (59, vec![1, 2], upper(59, 0, 6)),
            (253, vec![], upper(253, 0, 6)),
            (51, vec![0; 8], upper(51, 0, 6)),
            (0, join(&[&pad(6), b"x"]), upper(6, 8, 40)),
            (0, join(&[&pad(60), &pad(60), &pad(17)]), upper(17, 24, 56)),
            (60, join(&[&pad(60), &pad(59)]), upper(59, 16, 48)),
            (60, join(&[&pad(0), &pad(6)]), param(1, 40)),
            (0, join(&[&pad(0), &pad(6)]), param(1, 40)),
            (43, vec![6, 0, 0, 0, 0, 0, 0, 0], upper(6, 8, 40)),
            (43, vec![6, 0, 0, 1, 0, 0, 0, 0], param(0, 42)),
            (43, vec![6, 0, 4, 3, 0, 0, 0, 0], param(0, 42)),
            (
                60,
                join(&[&pad(43), &[6, 0, 9, 1, 0, 0, 0, 0]]),
                param(0, 50),
            ),
            // Two bytes of Pad1 and a PadN without data.
            (60, vec![6, 0, 0, 0, 1, 2, 0, 0], upper(6, 8, 40)),
            (60, join(&[&[6, 1], &[0; 14]]), upper(6, 16, 40)),
        ];
        for (first, payload, outcome) in rows {
            let got = walk_bytes(Protocol(*first), payload, "fd00::2");
            assert_eq!(got, *outcome, "{first} {payload:?}");
        }
    }

    /// Covers: IP6-7, IP6-2 (the jumbo payload option, 0xc2, is not known).
    #[test]
    fn unknown_options_by_their_high_bits() {
        for (kind, unicast, multicast) in [
            (0x05, upper(6, 8, 40), upper(6, 8, 40)),
            (0x1e, upper(6, 8, 40), upper(6, 8, 40)),
            (0x3e, upper(6, 8, 40), upper(6, 8, 40)),
            (0x45, discard(0x45), discard(0x45)),
            (0x85, param(2, 42), param(2, 42)),
            (0xc2, param(2, 42), discard(0xc2)),
        ] {
            for first in [Protocol::HOP_BY_HOP, Protocol::DESTINATION_OPTIONS] {
                let payload = with_option(6, kind);
                assert_eq!(walk_bytes(first, &payload, "fd00::2"), unicast, "{kind}");
                assert_eq!(walk_bytes(first, &payload, "ff02::1"), multicast, "{kind}");
            }
        }
    }

    /// Covers: IP6-8. Padding of each length is no option, and what follows it is one.
    #[test]
    fn padding_is_passed_over() {
        let found = |options: &[u8]| {
            let mut bytes = vec![6, 0];
            bytes.extend_from_slice(options);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes[1] = u8::try_from(bytes.len() / 8 - 1).unwrap();
            let kind = Protocol::DESTINATION_OPTIONS;
            let extension = Extension::parse(kind, &bytes, 0).unwrap().unwrap();
            let mut options = extension.options();
            let found: Vec<_> = options.by_ref().map(|o| (o.kind, o.at)).collect();
            assert!(!options.malformed(), "{bytes:?}");
            found
        };
        assert_eq!(found(&[0; 6]), []);
        assert_eq!(found(&[1, 4, 0, 0, 0, 0]), []);
        assert_eq!(found(&[1, 0, 0, 1, 1, 9]), []);
        // What is padded with is no option, whatever its bytes say.
        assert_eq!(found(&[1, 2, 0xc2, 0xc2, 0x1e, 0]), [(0x1e, 6)]);
        assert_eq!(
            found(&[0, 0x1e, 1, 7, 1, 0, 0x3e, 0]),
            [(0x1e, 3), (0x3e, 8)]
        );
    }

    /// Covers: IP6-23, IP6-27.
    #[test]
    fn fragments() {
        let header = |offset: u16, more: u16| {
            let [a, b] = (offset | more).to_be_bytes();
            [17, 0xff, a, b, 1, 2, 3, 4, 0, 0]
        };
        let fragment = |offset, more| {
            Outcome::Fragment(Fragment {
                next_header: Protocol::UDP,
                at: 0,
                offset,
                more,
                id: 0x0102_0304,
            })
        };
        let first = Protocol::FRAGMENT;
        let walk = |offset, more| walk_bytes(first, &header(offset, more), "fd00::2");
        assert_eq!(walk(0, 1), fragment(0, true));
        assert_eq!(walk(1448, 1), fragment(1448, true));
        assert_eq!(walk(0xfff8, 0), fragment(0xfff8, false));
        let atomic = Outcome::Upper {
            protocol: Protocol::UDP,
            offset: 8,
            pointer: 40,
            fragmented: true,
        };
        assert_eq!(walk(0, 0), atomic);
    }

    /// r61: headers and options that end before they should.
    #[test]
    fn r61_cut_chains() {
        let truncated = |need, have| Outcome::Discard(Discard::Truncated(Truncated { need, have }));
        let rows: &[(u8, &[u8], Outcome)] = &[
            (0, &[], truncated(8, 0)),
            (60, &[6], truncated(8, 1)),
            (60, &[6, 0, 0, 0, 0, 0, 0], truncated(8, 7)),
            (60, &[6, 255, 0, 0, 0, 0, 0, 0], truncated(2048, 8)),
            (44, &[6, 0, 0, 0, 0, 0, 0], truncated(8, 7)),
            (43, &[6, 1, 0, 0, 0, 0, 0, 0], truncated(16, 8)),
            (
                60,
                &[6, 0, 5, 5, 0, 0, 0, 0],
                Outcome::Discard(Discard::Malformed),
            ),
            (
                60,
                &[6, 0, 1, 255, 0, 0, 0, 0],
                Outcome::Discard(Discard::Malformed),
            ),
            (
                60,
                &[6, 0, 0, 0, 0, 0, 0, 5],
                Outcome::Discard(Discard::Malformed),
            ),
            (
                60,
                &[6, 0, 1, 3, 0, 0, 0, 5],
                Outcome::Discard(Discard::Malformed),
            ),
        ];
        for (first, payload, outcome) in rows {
            let got = walk_bytes(Protocol(*first), payload, "fd00::2");
            assert_eq!(got, *outcome, "{first} {payload:?}");
        }
    }

    proptest! {
        #[test]
        fn any_chain_ends_inside_the_packet(
            first in prop::sample::select(vec![0u8, 43, 44, 51, 60, 6]),
            mut payload in prop::collection::vec(any::<u8>(), 0..400), likely: bool,
        ) {
            if likely {
                for byte in &mut payload {
                    *byte = [0, 1, 60, 43, 44, 6, 51][usize::from(*byte % 7)];
                }
            }
            match walk_bytes(Protocol(first), &payload, "fd00::2") {
                Outcome::Upper { offset, pointer, .. } => {
                    prop_assert!(offset <= payload.len());
                    prop_assert!(usize::try_from(pointer).unwrap() < HEADER_LEN + offset.max(1));
                }
                Outcome::Fragment(fragment) => prop_assert!(fragment.at + 8 <= payload.len()),
                Outcome::ParameterProblem { pointer, .. } => {
                    prop_assert!(usize::try_from(pointer).unwrap() < HEADER_LEN + payload.len());
                }
                Outcome::Discard(_) => {}
            }
        }
    }
}
