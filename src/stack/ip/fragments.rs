//! Pieces of datagrams on their way in: what their headers tell, and what becomes of a datagram that is whole, or never will be.
//!
//! RFC 791 §3.2, RFC 1122 §3.3.2; RFC 8200 §4.5, RFC 7112 §5. *Owns* the checks of one piece, and the answers. *Does not* hold any:
//! `reassembly` does.

use core::num::NonZeroU16;

use bytes::Bytes;

use super::reassembly::{Key, Lost, Piece, Taken, Whole};
use super::{Arrival, Judged, Own, skip};
use crate::base::checksum::checksum;
use crate::base::{DropReason, Instant, Protocol};
use crate::ipv6::HEADER_LEN;
use crate::ipv6::extension::{self, Discard, FRAGMENT_LEN, Fragment, Outcome, code};
use crate::link::RxChecksum;
use crate::link::layout::put_word;
use crate::stack::Stack;
use crate::stack::icmp::{Complaint, QUOTED_V4, QUOTED_V6};
use crate::stack::slices::join;
use crate::stack::wheel::TimerKey;
use crate::{ipv4, ipv6};

/// The longest that a datagram may become: RFC 791 §3.1; RFC 8200 §4.5, of the payload.
const LONGEST: usize = 65_535;

/// What the first piece knows of its datagram.
#[derive(Debug)]
pub(crate) struct Head {
    arrival: Arrival,
    judged: Judged,
    /// The piece's packet, as far as an error would quote it.
    cause: Bytes,
    protocol: Protocol,
    /// Where the field lies that names the protocol.
    pointer: u32,
    /// Where the transport's header begins in the first piece.
    upper: usize,
}

/// Where a piece belongs, and how much it is.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: usize,
    more: bool,
    len: usize,
}

/// What is wrong with a piece by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Empty,
    /// Not the last, and its length no multiple of 8 bytes.
    Length,
    TooLong,
}

impl Place {
    /// `before` is what else counts to the datagram's length.
    fn check(self, before: usize) -> Result<(), Fault> {
        if self.len == 0 {
            Err(Fault::Empty)
        } else if self.more && !self.len.is_multiple_of(8) {
            Err(Fault::Length)
        } else if before + self.offset + self.len > LONGEST {
            Err(Fault::TooLong)
        } else {
            Ok(())
        }
    }
}

impl Stack {
    /// Takes a piece of an IPv4 datagram; `packet` is all of it, its header too.
    #[cold]
    pub(super) fn handle_fragment_v4(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        judged: Judged,
        packet: &Bytes,
    ) -> Result<(), DropReason> {
        let malformed = DropReason::Ipv4Malformed;
        let (header, data) = ipv4::Header::parse_quoted(packet).map_err(|_| malformed)?;
        let place = Place {
            offset: header.fragment_offset(),
            more: header.more_fragments(),
            len: data.len(),
        };
        place.check(header.header_len()).map_err(|_| malformed)?;
        let protocol = header.protocol();
        let (src, dst) = judged.ends;
        let key = Key {
            on: arrival.on,
            src,
            dst,
            protocol,
            id: header.id().into(),
        };
        let head = (place.offset == 0).then(|| Head {
            arrival: *arrival,
            judged,
            cause: cause(packet, QUOTED_V4),
            protocol,
            pointer: 9,
            upper: 0,
        });
        let piece = (judged.tos, packet.slice_ref(data));
        self.take_piece((now, arrival.meta.at), key, place, piece, head)
    }

    /// Takes a piece of an IPv6 packet; `packet` is all of it, its header too.
    #[cold]
    pub(super) fn handle_fragment_v6(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        judged: Judged,
        (packet, fragment): (&Bytes, Fragment),
    ) -> Result<(), DropReason> {
        let data = skip(packet.clone(), HEADER_LEN + fragment.at + FRAGMENT_LEN);
        let place = Place {
            offset: fragment.offset,
            more: fragment.more,
            len: data.len(),
        };
        let checked = check_v6(place, &fragment).and_then(|()| match fragment.offset {
            0 => head_v6(arrival, judged, packet, &fragment).map(Some),
            _ => Ok(None),
        });
        let head = match checked {
            Ok(head) => head,
            Err(Refused { reason, told }) => {
                if let Some((code, pointer)) = told {
                    let packet = arrival.inbound(&judged, packet.clone(), Bytes::new());
                    let complaint = Complaint::Parameter { code, pointer };
                    self.net.complain(&packet, complaint);
                }
                return Err(reason);
            }
        };
        let (src, dst) = judged.ends;
        let key = Key {
            on: arrival.on,
            src,
            dst,
            protocol: Protocol(0),
            id: fragment.id,
        };
        let piece = (judged.tos, data);
        self.take_piece((now, arrival.meta.at), key, place, piece, head)
    }

    /// `at` is when the device had it.
    fn take_piece(
        &mut self,
        (now, at): (Instant, Instant),
        key: Key,
        place: Place,
        (tos, data): (u8, Bytes),
        head: Option<Head>,
    ) -> Result<(), DropReason> {
        let piece = Piece {
            offset: place.offset,
            more: place.more,
            data,
            ecn: tos & 0b11,
            head,
        };
        let received = self.net.counters.rx_bytes;
        let outcome = self.net.reassembly.add(now, received, key, piece);
        let evicted = self.net.reassembly.take_evicted();
        let counters = &mut self.net.counters;
        counters.fragments_received += 1;
        counters.drops.add(DropReason::FragmentLimit, evicted);
        self.set_reassembly_timer();
        match outcome {
            Taken::Held => Ok(()),
            Taken::Dropped { reason, pieces } => {
                // The one that came is counted by who handed it in.
                self.net.counters.drops.add(reason, pieces - 1);
                Err(reason)
            }
            Taken::Whole(whole) => self.handle_whole((now, at), whole),
        }
    }

    /// A datagram is whole, its last piece received `at`: on to its protocol.
    fn handle_whole(
        &mut self,
        (now, at): (Instant, Instant),
        whole: Whole<Head>,
    ) -> Result<(), DropReason> {
        let Whole {
            head,
            mut pieces,
            ecn,
        } = whole;
        self.net.counters.datagrams_reassembled += 1;
        let mut arrival = head.arrival;
        // What the device said of one frame holds for no datagram of several.
        arrival.meta.checksum = RxChecksum::Unknown;
        arrival.meta.segment_size = None;
        // It came when all of it had.
        arrival.meta.at = at;
        let judged = Judged {
            tos: head.judged.tos & !0b11 | ecn,
            ..head.judged
        };
        if self.net.translates() && judged.ends.1.is_ipv4() {
            // RFC 4787 REQ-14: with the ports of its first piece, all of it may be an inside host's.
            let own = Own {
                demux: &self.demux,
                pings: &self.ping,
            };
            let (whole, cut) = put_together(&head.cause, judged.tos, &pieces);
            let arrival = Arrival { cut, ..arrival };
            let taken = self.net.take_v4(now, &arrival, &whole, judged.ends, &own)?;
            if taken.is_none() {
                return Ok(());
            }
        }
        if let Some(first) = pieces.first_mut() {
            *first = skip(core::mem::take(first), head.upper);
        }
        let segment = match head.protocol {
            Protocol::UDP => pieces.first().cloned().unwrap_or_default(),
            // Few datagrams of theirs ever come in pieces.
            _ => join(&pieces),
        };
        let packet = &mut arrival.inbound(&judged, head.cause, segment);
        let v4 = packet.src.is_ipv4();
        let heard = self.raw.hears(!v4, head.protocol)
            && self.deliver_raw(packet, head.protocol, &join(&pieces));
        match head.protocol {
            Protocol::TCP => self.dispatch_tcp(now, packet),
            Protocol::UDP => self.handle_udp_in_pieces(packet, pieces),
            Protocol::ICMP if v4 => self.handle_icmpv4(now, packet),
            // Nobody sends more than fits.
            Protocol::IGMP if v4 => Err(DropReason::IgmpIgnored),
            Protocol::ICMPV6 if !v4 => self.handle_icmpv6(now, packet, true),
            _ if heard => Ok(()),
            // RFC 8200 §4.7: nothing follows, and nothing is wrong with that.
            Protocol::NO_NEXT_HEADER if !v4 => Err(DropReason::IpProtocol),
            _ => {
                let pointer = head.pointer;
                self.net.complain(packet, Complaint::Protocol { pointer });
                Err(DropReason::IpProtocol)
            }
        }
    }

    /// Datagrams whose time is over: RFC 1122 §3.3.2, RFC 8200 §4.5.
    pub(in crate::stack) fn reassembly_timeout(&mut self, now: Instant, steps: &mut usize) {
        while *steps > 0
            && let Some(Lost { head, pieces }) = self.net.reassembly.expire(now)
        {
            *steps -= 1;
            let drops = &mut self.net.counters.drops;
            drops.add(DropReason::FragmentTimeout, pieces);
            // Who only puts it together to translate it tells nobody.
            if let Some(head) = head.filter(|head| self.net.takes(head.judged.ends.1, None)) {
                let packet = head.arrival.inbound(&head.judged, head.cause, Bytes::new());
                self.net.complain(&packet, Complaint::Reassembly);
            }
        }
        self.set_reassembly_timer();
    }

    fn set_reassembly_timer(&mut self) {
        let due = self.net.reassembly.deadline();
        self.net.timers.set(TimerKey::Reassembly, due);
    }
}

/// An IPv4 packet that came in these pieces, the first of which had this header; and how long the longest was.
fn put_together(first: &[u8], tos: u8, pieces: &[Bytes]) -> (Bytes, Option<NonZeroU16>) {
    let header_len = ipv4::Header::parse_quoted(first).map_or(0, |(header, _)| header.header_len());
    let len = header_len + pieces.iter().map(Bytes::len).sum::<usize>();
    let mut whole = Vec::with_capacity(len);
    whole.extend_from_slice(&first[..header_len.min(first.len())]);
    if whole.len() >= ipv4::MIN_HEADER_LEN {
        whole[1] = tos;
        put_word(&mut whole, 2, u16::try_from(len).unwrap_or(u16::MAX));
        // Neither more nor offset.
        whole[6] &= 0xc0;
        whole[7] = 0;
        put_word(&mut whole, 10, 0);
        let sum = checksum(&whole);
        put_word(&mut whole, 10, sum);
    }
    pieces
        .iter()
        .for_each(|piece| whole.extend_from_slice(piece));
    let longest = pieces.iter().map(Bytes::len).max().unwrap_or_default();
    let cut = u16::try_from(header_len + longest).ok();
    (whole.into(), cut.and_then(NonZeroU16::new))
}

/// Why a piece of an IPv6 packet is not taken, with code and pointer of the Parameter Problem that tells its sender.
struct Refused {
    reason: DropReason,
    told: Option<(u8, u32)>,
}

impl Refused {
    const fn silently(reason: DropReason) -> Self {
        Self { reason, told: None }
    }

    const fn told(reason: DropReason, code: u8, pointer: u32) -> Self {
        let told = Some((code, pointer));
        Self { reason, told }
    }
}

/// RFC 8200 §4.5: what a piece tells by itself.
fn check_v6(place: Place, fragment: &Fragment) -> Result<(), Refused> {
    let malformed = DropReason::Ipv6Malformed;
    place.check(fragment.at).map_err(|fault| {
        let field = match fault {
            Fault::Empty => return Refused::silently(malformed),
            // The Payload Length field.
            Fault::Length => 4,
            // The Fragment Offset field.
            Fault::TooLong => HEADER_LEN + fragment.at + 2,
        };
        let pointer = u32::try_from(field).unwrap_or(u32::MAX);
        Refused::told(malformed, code::HEADER_FIELD, pointer)
    })
}

/// Reads what follows the fragment header of a first piece.
fn head_v6(
    arrival: &Arrival,
    judged: Judged,
    packet: &Bytes,
    fragment: &Fragment,
) -> Result<Head, Refused> {
    let malformed = DropReason::Ipv6Malformed;
    let (header, payload) =
        ipv6::Header::parse(packet).map_err(|_| Refused::silently(malformed))?;
    Err(match extension::walk_behind(&header, payload, fragment) {
        Outcome::Upper {
            protocol,
            offset,
            pointer,
            ..
        } if payload.len() - offset >= least(protocol) => {
            return Ok(Head {
                arrival: *arrival,
                judged,
                cause: cause(packet, QUOTED_V6),
                protocol,
                pointer,
                upper: offset - fragment.at - FRAGMENT_LEN,
            });
        }
        // RFC 7112 §5: the whole chain, the transport's header too.
        Outcome::Upper { .. } | Outcome::Discard(Discard::Truncated(_)) => {
            Refused::told(malformed, code::FIRST_FRAGMENT, 0)
        }
        Outcome::ParameterProblem { code, pointer } => {
            Refused::told(DropReason::Ipv6Option, code, pointer)
        }
        Outcome::Discard(Discard::Option { .. }) => Refused::silently(DropReason::Ipv6Option),
        Outcome::Discard(_) | Outcome::Fragment(_) => Refused::silently(malformed),
    })
}

/// Bytes of a transport's header that the first piece of a packet has to have (RFC 7112 §5).
const fn least(protocol: Protocol) -> usize {
    match protocol {
        Protocol::TCP => 20,
        Protocol::UDP | Protocol::ICMPV6 => 8,
        _ => 0,
    }
}

/// As much of a piece as an error would quote, in memory of its own.
fn cause(packet: &Bytes, most: usize) -> Bytes {
    Bytes::copy_from_slice(&packet[..packet.len().min(most)])
}
