//! The packets of a trace: how each carries its number, and what came of one by what came back.
//!
//! *Owns* their bytes. *Does not* send, wait or print. A number goes where no router looks that spreads flows over its ways
//! (B. Augustin and others, "Avoiding traceroute anomalies with Paris traceroute", 2006): UDP's checksum, made right by the data; TCP's
//! sequence number; ICMP's sequence number, its checksum kept by the data.

use std::net::IpAddr;

use netloom::base::Protocol;
use netloom::base::checksum::Sum;
use netloom::stack::{RawOptions, RawPacket};
use netloom::tcp::Flags;
use netloom::{ipv4, ipv6, tcp, udp};

/// Bytes of data behind a UDP or an ICMP header: packets of 60 bytes over IPv4, as traceroute sends them.
const DATA: usize = 32;
/// What the checksum of all ICMP probes is, when all are of one flow.
const ICMP_CHECKSUM: u16 = 0xbeef;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Udp { port: u16 },
    Icmp,
    Tcp { port: u16 },
}

/// What came of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A router was its last hop.
    Hop,
    /// It arrived.
    Arrived,
    /// It goes no further: what the code of an ICMP error says of that.
    Stopped(Mark),
}

/// What stands behind the time of a probe that was stopped, as traceroute marks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Network,
    Host,
    Protocol,
    TooBig,
    Prohibited,
    Other(u8),
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network => f.write_str("!N"),
            Self::Host => f.write_str("!H"),
            Self::Protocol => f.write_str("!P"),
            Self::TooBig => f.write_str("!F"),
            Self::Prohibited => f.write_str("!X"),
            Self::Other(code) => write!(f, "!<{code}>"),
        }
    }
}

/// Makes probes and knows them again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prober {
    pub(crate) kind: Kind,
    /// Are all of one flow?
    pub(crate) paris: bool,
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    /// The port that they come from, or their ICMP identifier; without `paris` the first such port of TCP's.
    pub(crate) own: u16,
}

impl Prober {
    const fn protocol(&self) -> Protocol {
        match (self.kind, self.to) {
            (Kind::Udp { .. }, _) => Protocol::UDP,
            (Kind::Tcp { .. }, _) => Protocol::TCP,
            (Kind::Icmp, IpAddr::V4(_)) => Protocol::ICMP,
            (Kind::Icmp, IpAddr::V6(_)) => Protocol::ICMPV6,
        }
    }

    /// The socket that probes leave by.
    pub(crate) const fn options(&self) -> RawOptions {
        match self.to {
            IpAddr::V4(_) => RawOptions::v4(self.protocol()),
            IpAddr::V6(_) => RawOptions::v6(self.protocol()),
        }
    }

    /// Bytes of a probe with its IP header.
    pub(crate) fn len(&self) -> usize {
        let head = match self.to {
            IpAddr::V4(_) => ipv4::MIN_HEADER_LEN,
            IpAddr::V6(_) => ipv6::HEADER_LEN,
        };
        head + self.probe(1).len()
    }

    /// The probe of this number, from 1 on.
    pub(crate) fn probe(&self, number: u16) -> Vec<u8> {
        match self.kind {
            Kind::Udp { port } => self.datagram(port, number),
            Kind::Icmp => self.request(number),
            Kind::Tcp { port } => self.syn(port, number),
        }
    }

    fn pseudo_sum(&self, len: usize) -> Sum {
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ipv4::pseudo_sum(from, to, self.protocol(), len),
            (IpAddr::V6(from), IpAddr::V6(to)) => ipv6::pseudo_sum(from, to, self.protocol(), len),
            _ => Sum::new(),
        }
    }

    fn datagram(&self, port: u16, number: u16) -> Vec<u8> {
        let mut datagram = vec![0; udp::HEADER_LEN + DATA];
        let port = if self.paris {
            port
        } else {
            port.wrapping_add(number - 1)
        };
        udp::Fields::new(self.own, port).emit(DATA, &mut datagram);
        let (field, rest) = (6, udp::HEADER_LEN);
        let pseudo = self.pseudo_sum(datagram.len());
        if self.paris {
            put(&mut datagram, field, number);
            let fill = pseudo.bytes(&datagram).finish();
            put(&mut datagram, rest, fill);
        } else {
            let sum = udp::checksum_field(pseudo.bytes(&datagram));
            put(&mut datagram, field, sum);
        }
        datagram
    }

    fn request(&self, number: u16) -> Vec<u8> {
        let mut request = vec![0; 8 + DATA];
        request[0] = if self.to.is_ipv4() { 8 } else { 128 };
        put(&mut request, 4, self.own);
        put(&mut request, 6, number);
        // ICMP has no pseudo-header, ICMPv6 has.
        let pseudo = match self.to {
            IpAddr::V4(_) => Sum::new(),
            IpAddr::V6(_) => self.pseudo_sum(request.len()),
        };
        if self.paris {
            put(&mut request, 2, ICMP_CHECKSUM);
            let fill = pseudo.bytes(&request).finish();
            put(&mut request, 8, fill);
        } else {
            let sum = pseudo.bytes(&request).finish();
            put(&mut request, 2, sum);
        }
        request
    }

    fn syn(&self, port: u16, number: u16) -> Vec<u8> {
        // With an MSS, for some firewalls take none without.
        let mut syn = vec![0; 24];
        let own = if self.paris {
            self.own
        } else {
            self.own.wrapping_add(number)
        };
        put(&mut syn, 0, own);
        put(&mut syn, 2, port);
        put(&mut syn, 4, self.own);
        put(&mut syn, 6, number);
        syn[12] = 6 << 4;
        syn[13] = 0x02;
        put(&mut syn, 14, 5840);
        syn[20..24].copy_from_slice(&[2, 4, 0x02, 0x18]);
        let sum = self.pseudo_sum(syn.len()).bytes(&syn).finish();
        put(&mut syn, 16, sum);
        syn
    }

    /// The number of a probe of ours by its first 8 bytes.
    fn number_of(&self, probe: &[u8]) -> Option<u16> {
        let &[a, b, c, d, e, f, g, h, ..] = probe else {
            return None;
        };
        let word = |a, b| u16::from_be_bytes([a, b]);
        let (first, second, third, fourth) = (word(a, b), word(c, d), word(e, f), word(g, h));
        match self.kind {
            Kind::Udp { port } if self.paris => {
                (first == self.own && second == port).then_some(fourth)
            }
            Kind::Udp { port } => {
                (first == self.own).then(|| second.wrapping_sub(port).wrapping_add(1))
            }
            Kind::Icmp => {
                let request = if self.to.is_ipv4() { 8 } else { 128 };
                (a == request && third == self.own).then_some(fourth)
            }
            Kind::Tcp { port } => {
                let own = if self.paris {
                    self.own
                } else {
                    self.own.wrapping_add(fourth)
                };
                (first == own && second == port && third == self.own).then_some(fourth)
            }
        }
    }

    /// Whose answer a packet is, and what it says.
    pub(crate) fn answer(&self, packet: &RawPacket) -> Option<(u16, Answer)> {
        match packet.protocol {
            Protocol::ICMP | Protocol::ICMPV6 => self.icmp_answer(packet),
            Protocol::TCP => self.tcp_answer(packet),
            _ => None,
        }
    }

    fn tcp_answer(&self, packet: &RawPacket) -> Option<(u16, Answer)> {
        let Kind::Tcp { port } = self.kind else {
            return None;
        };
        let (header, _) = tcp::Header::parse(&packet.payload).ok()?;
        // What acknowledges the SYN: of a SYN or a RST.
        let (number, flags) = (header.ack().wrapping_sub(1), header.flags());
        let answers = flags.contains(Flags::ACK) && flags.intersects(Flags::SYN | Flags::RST);
        let same = packet.src == self.to
            && header.src_port() == port
            && number >> 16 == u32::from(self.own);
        let number = (number & 0xffff) as u16;
        (answers && same).then_some((number, Answer::Arrived))
    }

    fn icmp_answer(&self, packet: &RawPacket) -> Option<(u16, Answer)> {
        let message = &packet.payload[..];
        let &[kind, code, ..] = message else {
            return None;
        };
        let v4 = self.to.is_ipv4();
        let reply = if v4 { 0 } else { 129 };
        if kind == reply {
            let &[_, _, _, _, a, b, c, d, ..] = message else {
                return None;
            };
            let words = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let ours = self.kind == Kind::Icmp && packet.src == self.to && words.0 == self.own;
            return ours.then_some((words.1, Answer::Arrived));
        }
        let answer = if v4 {
            said_v4(kind, code)?
        } else {
            said_v6(kind, code)?
        };
        let number = self.quoted(message.get(8..)?)?;
        // Who takes no such port or protocol is there.
        let answer = match answer {
            Answer::Stopped(Mark::Protocol) if packet.src == self.to => Answer::Arrived,
            other => other,
        };
        Some((number, answer))
    }

    /// The number of the probe of ours that an error quotes.
    fn quoted(&self, quote: &[u8]) -> Option<u16> {
        match self.to {
            IpAddr::V4(to) => {
                let (header, rest) = ipv4::Header::parse_quoted(quote).ok()?;
                let ours = header.dst() == to && header.protocol() == self.protocol();
                ours.then(|| self.number_of(rest))?
            }
            IpAddr::V6(to) => {
                let (header, rest) = ipv6::Header::parse_quoted(quote).ok()?;
                let ours = header.dst() == to && header.next_header() == self.protocol();
                ours.then(|| self.number_of(rest))?
            }
        }
    }
}

/// RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1.
const fn said_v4(kind: u8, code: u8) -> Option<Answer> {
    Some(match (kind, code) {
        (11, 0) => Answer::Hop,
        (3, 3) => Answer::Arrived,
        (3, 0 | 6 | 11) => Answer::Stopped(Mark::Network),
        (3, 1 | 7 | 12) => Answer::Stopped(Mark::Host),
        (3, 2) => Answer::Stopped(Mark::Protocol),
        (3, 4) => Answer::Stopped(Mark::TooBig),
        (3, 9 | 10 | 13) => Answer::Stopped(Mark::Prohibited),
        (3, other) => Answer::Stopped(Mark::Other(other)),
        _ => return None,
    })
}

/// RFC 4443 §3.
const fn said_v6(kind: u8, code: u8) -> Option<Answer> {
    Some(match (kind, code) {
        (3, 0) => Answer::Hop,
        (1, 4) => Answer::Arrived,
        (1, 0) => Answer::Stopped(Mark::Network),
        (1, 3) => Answer::Stopped(Mark::Host),
        (4, 1) => Answer::Stopped(Mark::Protocol),
        (2, _) => Answer::Stopped(Mark::TooBig),
        (1, 1 | 5) => Answer::Stopped(Mark::Prohibited),
        (1, other) => Answer::Stopped(Mark::Other(other)),
        _ => return None,
    })
}

fn put(packet: &mut [u8], at: usize, word: u16) {
    packet[at..at + 2].copy_from_slice(&word.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 3] = [
        Kind::Udp { port: 33_434 },
        Kind::Icmp,
        Kind::Tcp { port: 80 },
    ];

    fn probers() -> Vec<Prober> {
        let mut all = Vec::new();
        for (from, to) in [("10.0.0.1", "10.9.0.2"), ("fd07::1", "fd09::2")] {
            for kind in KINDS {
                for paris in [true, false] {
                    all.push(Prober {
                        kind,
                        paris,
                        from: from.parse().unwrap(),
                        to: to.parse().unwrap(),
                        own: 0x8123,
                    });
                }
            }
        }
        all
    }

    /// Each has a right checksum, is known again by its first 8 bytes, and is of the flow of the others if that is asked for.
    #[test]
    fn probes_carry_their_numbers() {
        for prober in probers() {
            let mut flows = std::collections::BTreeSet::new();
            for number in [1, 2, 3, 90, 255, 256, 7000] {
                let probe = prober.probe(number);
                let pseudo = match prober.kind {
                    Kind::Icmp if prober.to.is_ipv4() => Sum::new(),
                    _ => prober.pseudo_sum(probe.len()),
                };
                assert!(pseudo.bytes(&probe).is_valid(), "{prober:?} {number}");
                assert_eq!(prober.number_of(&probe[..8]), Some(number), "{prober:?}");
                flows.insert(probe[..4].to_vec());
            }
            assert_eq!(flows.len() == 1, prober.paris, "{prober:?}");
        }
    }

    #[test]
    fn errors_say_what_traceroute_marks() {
        for (kind, code, marked) in [(3, 0, "!N"), (3, 1, "!H"), (3, 2, "!P"), (3, 13, "!X")] {
            let Some(Answer::Stopped(mark)) = said_v4(kind, code) else {
                panic!("{kind} {code}");
            };
            assert_eq!(mark.to_string(), marked);
        }
        for (kind, code, marked) in [(1, 0, "!N"), (1, 3, "!H"), (1, 1, "!X"), (2, 0, "!F")] {
            let Some(Answer::Stopped(mark)) = said_v6(kind, code) else {
                panic!("{kind} {code}");
            };
            assert_eq!(mark.to_string(), marked);
        }
        assert_eq!(Mark::Other(99).to_string(), "!<99>");
        assert_eq!(
            (said_v4(11, 0), said_v6(3, 0)),
            (Some(Answer::Hop), Some(Answer::Hop))
        );
        assert_eq!((said_v4(11, 1), said_v6(3, 1)), (None, None));
        assert_eq!((said_v4(8, 0), said_v6(135, 0)), (None, None));
    }
}
