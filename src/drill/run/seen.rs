//! What left the stack, taken apart.
//!
//! *Owns* the form in which packets wait for their lines, and their text in the script's numbers.
//! *Does not* judge.

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};
use core::num::{NonZeroU16, NonZeroU32};

use super::super::ast::{Number, Tcp, TcpOption, TcpOptionList};
use super::super::letters::LETTERS;
use super::numbers::{Numbers, our_byte};
use crate::base::{Instant, Protocol};
use crate::tcp::{self, Fields, Flags, OptionIter};
use crate::{ipv4, ipv6, udp};

/// A packet that left.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) tos: u8,
    pub(super) ttl: u8,
    pub(super) flow_label: u32,
    /// Why it must not have left like this: a checksum, a header that is none.
    pub(super) broken: Option<&'static str>,
    pub(super) body: SeenBody,
}

#[derive(Clone, Debug)]
pub(super) enum SeenBody {
    Tcp(SeenTcp),
    Udp {
        ports: (u16, u16),
        len: usize,
    },
    /// The whole message.
    Icmp(Vec<u8>),
    Other(Protocol),
}

#[derive(Clone, Debug)]
pub(super) struct SeenTcp {
    pub(super) fields: Fields,
    /// Numbers as on the wire.
    pub(super) options: Vec<TcpOption>,
    pub(super) text: Vec<u8>,
    /// Its right edge of our window lies before one that was promised.
    pub(super) shrunk: bool,
    /// Its last byte was never sent before.
    pub(super) is_new: bool,
}

impl Seen {
    /// An IP packet; its transport's checksum is complete.
    pub(super) fn new(at: Instant, packet: &[u8]) -> Option<Self> {
        let mut seen = Self {
            at,
            src: IpAddr::V4([0; 4].into()),
            dst: IpAddr::V4([0; 4].into()),
            tos: 0,
            ttl: 0,
            flow_label: 0,
            broken: None,
            body: SeenBody::Other(Protocol(0)),
        };
        let (protocol, payload, sum) = if packet.first()? >> 4 == 4 {
            let (header, payload) = ipv4::Header::parse(packet).ok()?;
            seen.src = header.src().into();
            seen.dst = header.dst().into();
            (seen.tos, seen.ttl) = (header.tos(), header.ttl());
            let pseudo =
                ipv4::pseudo_sum(header.src(), header.dst(), header.protocol(), payload.len());
            (header.protocol(), payload, pseudo)
        } else {
            let (header, payload) = ipv6::Header::parse(packet).ok()?;
            seen.src = header.src().into();
            seen.dst = header.dst().into();
            (seen.tos, seen.ttl) = (header.traffic_class(), header.hop_limit());
            seen.flow_label = header.flow_label();
            let pseudo = ipv6::pseudo_sum(
                header.src(),
                header.dst(),
                header.next_header(),
                payload.len(),
            );
            (header.next_header(), payload, pseudo)
        };
        seen.body = body(protocol, payload);
        if let (SeenBody::Udp { .. }, Some(data)) = (&seen.body, payload.get(udp::HEADER_LEN..)) {
            let right = data.iter().zip(0..).all(|(&byte, at)| byte == our_byte(at));
            seen.broken = (!right).then_some("its text is not what was sent");
        }
        let v4_icmp = protocol == Protocol::ICMP;
        let whole = if v4_icmp {
            crate::base::checksum::Sum::new()
        } else {
            sum
        };
        if !matches!(seen.body, SeenBody::Other(_)) && !whole.bytes(payload).is_valid() {
            seen.broken = Some("its checksum is wrong");
        }
        Some(seen)
    }

    /// Bytes of a segment's text.
    pub(super) fn text_len(&self) -> u32 {
        match &self.body {
            SeenBody::Tcp(tcp) => tcp.len(),
            SeenBody::Udp { .. } | SeenBody::Icmp(_) | SeenBody::Other(_) => 0,
        }
    }

    /// Ports from and to, when it has any.
    pub(super) fn ports(&self) -> Option<(u16, u16)> {
        match &self.body {
            SeenBody::Tcp(tcp) => Some((tcp.fields.src_port, tcp.fields.dst_port)),
            SeenBody::Udp { ports, .. } => Some(*ports),
            SeenBody::Icmp(_) | SeenBody::Other(_) => None,
        }
    }

    /// The socket that it comes from and the one that it goes to.
    pub(super) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        let (from, to) = self.ports()?;
        Some((
            SocketAddr::new(self.src, from),
            SocketAddr::new(self.dst, to),
        ))
    }

    /// A super-segment as the device cuts it; anything else as it is. What is wrong with the whole is wrong with each.
    pub(super) fn cut(mut self, size: Option<NonZeroU16>) -> Vec<Self> {
        let (Some(size), SeenBody::Tcp(tcp)) = (size, &mut self.body) else {
            return vec![self];
        };
        let text = core::mem::take(&mut tcp.text);
        let whole = tcp.clone();
        let count = text.len().div_ceil(size.get().into()).max(1);
        let mut seq = whole.fields.seq;
        let mut pieces = Vec::with_capacity(count);
        for (number, part) in text.chunks(size.get().into()).enumerate() {
            let mut tcp = whole.clone();
            tcp.fields.seq = seq;
            // The last one ends what was pushed or closed; what is told once, the first one tells (RFC 3168 §6.1.2).
            if number + 1 < count {
                tcp.fields.flags.remove(Flags::PSH | Flags::FIN);
            }
            if number > 0 {
                tcp.fields.flags.remove(Flags::CWR);
            }
            tcp.text = part.to_vec();
            seq = seq.wrapping_add(tcp.len());
            let body = SeenBody::Tcp(tcp);
            pieces.push(Self {
                body,
                ..self.clone()
            });
        }
        pieces
    }

    /// As a script would have it.
    pub(super) fn show(&self, numbers: &Numbers) -> String {
        let mut line = match &self.body {
            SeenBody::Tcp(tcp) => show_tcp(&tcp.to_script(numbers)),
            SeenBody::Udp { ports, len } => format!("udp {} > {} ({len})", ports.0, ports.1),
            SeenBody::Icmp(message) => {
                let head = message.get(..2).unwrap_or_default();
                format!("icmp type and code {head:?}, {} bytes", message.len())
            }
            SeenBody::Other(protocol) => format!("protocol {}", protocol.0),
        };
        let ecn = ["", "[ect1] ", "[ect0] ", "[ce] "][usize::from(self.tos & 3)];
        line.insert_str(0, ecn);
        if let Some(broken) = self.broken {
            line.push_str(", ");
            line.push_str(broken);
        }
        line
    }
}

fn body(protocol: Protocol, payload: &[u8]) -> SeenBody {
    match protocol {
        Protocol::TCP => match tcp::Header::parse(payload) {
            Ok((header, text)) => SeenBody::Tcp(SeenTcp {
                fields: header.fields(),
                options: options(header.options_bytes()),
                text: text.to_vec(),
                shrunk: false,
                is_new: false,
            }),
            Err(_) => SeenBody::Other(protocol),
        },
        Protocol::UDP => match udp::Header::parse(payload) {
            Ok((header, data)) => SeenBody::Udp {
                ports: (header.src_port(), header.dst_port()),
                len: data.len(),
            },
            Err(_) => SeenBody::Other(protocol),
        },
        Protocol::ICMP | Protocol::ICMPV6 => SeenBody::Icmp(payload.to_vec()),
        other => SeenBody::Other(other),
    }
}

/// All options in their order, with NOP and EOL.
fn options(mut bytes: &[u8]) -> Vec<TcpOption> {
    let mut list = Vec::new();
    while let Some((&kind, rest)) = bytes.split_first() {
        let len = match kind {
            0 => {
                list.push(TcpOption::Eol);
                break;
            }
            1 => {
                list.push(TcpOption::Nop);
                bytes = rest;
                continue;
            }
            _ => rest.first().map_or(0, |&len| usize::from(len)),
        };
        let Some(option) = bytes.get(..len).filter(|_| len >= 2) else {
            list.push(TcpOption::Unsupported("malformed".into()));
            break;
        };
        list.push(known(option));
        bytes = bytes.get(len..).unwrap_or_default();
    }
    list
}

fn known(option: &[u8]) -> TcpOption {
    let number = |value| Number {
        value,
        absolute: true,
    };
    match OptionIter::new(option).next() {
        Some(tcp::TcpOption::Mss(mss)) => TcpOption::Mss(mss),
        Some(tcp::TcpOption::WindowScale(shift)) => TcpOption::WindowScale(shift),
        Some(tcp::TcpOption::SackPermitted) => TcpOption::SackOk,
        Some(tcp::TcpOption::Sack(blocks)) => {
            let blocks = blocks.iter().map(|(l, r)| (number(l), number(r)));
            TcpOption::Sack(blocks.collect())
        }
        Some(tcp::TcpOption::Timestamps { val, ecr }) => TcpOption::Timestamps { val, ecr },
        Some(tcp::TcpOption::FastOpen(cookie)) => TcpOption::FastOpen(cookie.to_vec()),
        _ => TcpOption::Unsupported(format!("kind {}", option.first().unwrap_or(&0))),
    }
}

impl SeenTcp {
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }

    /// Neither text nor anything but ACK.
    pub(super) fn is_bare_ack(&self) -> bool {
        let rest = Flags::SYN | Flags::FIN | Flags::RST;
        self.text.is_empty() && !self.fields.flags.intersects(rest)
    }

    /// In the script's numbers.
    pub(super) fn to_script(&self, numbers: &Numbers) -> Tcp {
        let relative = |value| Number {
            value,
            absolute: false,
        };
        let acks = self.fields.flags.contains(Flags::ACK);
        let option = |option: &TcpOption| match option {
            TcpOption::Sack(blocks) => {
                let theirs = |n: Number| relative(numbers.theirs_to_script(n.value));
                let blocks = blocks.iter().map(|&(l, r)| (theirs(l), theirs(r)));
                TcpOption::Sack(blocks.collect())
            }
            TcpOption::Timestamps { val, ecr } => TcpOption::Timestamps {
                val: numbers.stamp_to_script(*val),
                ecr: if acks {
                    ecr.wrapping_sub(numbers.peer_stamp_shift)
                } else {
                    *ecr
                },
            },
            TcpOption::FastOpen(cookie) if acks => {
                TcpOption::FastOpen(numbers.cookie_to_script(cookie))
            }
            other => other.clone(),
        };
        Tcp {
            ports: Some((self.fields.src_port, self.fields.dst_port)),
            flags: self.fields.flags,
            seq: relative(numbers.ours_to_script(self.fields.seq)),
            len: self.len(),
            size: None,
            ack: acks.then(|| relative(numbers.theirs_to_script(self.fields.ack))),
            window: Some(self.fields.window),
            urgent: Some(self.fields.urgent).filter(|&urgent| urgent > 0),
            options: TcpOptionList::These(self.options.iter().map(option).collect()),
        }
    }
}

/// `3x1000+200`
fn show_cut(len: u32, size: NonZeroU32) -> String {
    let (times, rest) = (len / size, len % size);
    match rest {
        0 => format!("{times}x{size}"),
        rest => format!("{times}x{size}+{rest}"),
    }
}

/// A segment as a script would have it.
pub(super) fn show_tcp(tcp: &Tcp) -> String {
    let set = LETTERS.iter().filter(|(_, flag)| tcp.flags.contains(*flag));
    let mut line: String = set.map(|(letter, _)| *letter).collect();
    if line.is_empty() {
        line.push('-');
    }
    let number = |n: Number| format!("{}{}", n.value, if n.absolute { "!" } else { "" });
    let end = tcp.seq.value.wrapping_add(tcp.len);
    // Writing to a string never fails.
    let _ = write!(line, " {}:{end}(", number(tcp.seq));
    let _ = match tcp.size {
        Some(size) => write!(line, "{}", show_cut(tcp.len, size.into())),
        None => write!(line, "{}", tcp.len),
    };
    line.push(')');
    if let Some(ack) = tcp.ack {
        let _ = write!(line, " ack {}", number(ack));
    }
    if let Some(window) = tcp.window {
        let _ = write!(line, " win {window}");
    }
    if let Some(urgent) = tcp.urgent {
        let _ = write!(line, " urg {urgent}");
    }
    match &tcp.options {
        TcpOptionList::Any => line.push_str(" <...>"),
        TcpOptionList::These(list) if list.is_empty() => {}
        TcpOptionList::These(list) => {
            let list: Vec<String> = list.iter().map(show_option).collect();
            let _ = write!(line, " <{}>", list.join(","));
        }
    }
    line
}

pub(super) fn show_option(option: &TcpOption) -> String {
    match option {
        TcpOption::Eol => "eol".into(),
        TcpOption::Nop => "nop".into(),
        TcpOption::Mss(mss) => format!("mss {mss}"),
        TcpOption::WindowScale(shift) => format!("wscale {shift}"),
        TcpOption::SackOk => "sackOK".into(),
        TcpOption::Sack(blocks) => {
            let show = |(l, r): &(Number, Number)| format!(" {}:{}", l.value, r.value);
            let blocks: String = blocks.iter().map(show).collect();
            format!("sack{blocks}")
        }
        TcpOption::Timestamps { val, ecr } => format!("TS val {val} ecr {ecr}"),
        TcpOption::FastOpen(cookie) => {
            let digits = cookie.iter().map(|byte| format!("{byte:02x}"));
            format!("FO {}", digits.collect::<String>())
        }
        TcpOption::Unsupported(name) => name.clone(),
    }
}
