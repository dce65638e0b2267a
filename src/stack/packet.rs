//! Packets between the parts of the stack: received ones on their way to a socket, and those that
//! wait to be sent.
//!
//! *Owns* the types, and those of notices. *Does not* hold more than constant memory per packet beside its payload slices.

use core::net::IpAddr;
use core::num::NonZeroU16;

use bytes::Bytes;

use super::address::AddressNews;
use super::ids::{InterfaceId, PingId, RawId, RawSocketId, TcpId, UdpId};
use super::reconfigure::Change;
use crate::base::{Instant, MacAddr, Protocol};
use crate::link::RxChecksum;

/// A received transport packet whose IP header has been judged and taken off.
#[derive(Clone, Debug)]
pub(crate) struct Inbound {
    /// The interface it came in on.
    pub(crate) on: InterfaceId,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    /// Is `dst` one host's address? Else it is a broadcast or multicast one.
    pub(crate) unicast: bool,
    /// TOS or traffic class.
    pub(crate) tos: u8,
    /// TTL or hop limit as it arrived.
    pub(crate) ttl: u8,
    /// IPv6's flow label; 0: none.
    pub(crate) label: u32,
    /// When the frame arrived.
    pub(crate) at: Instant,
    /// What the device knows of the transport checksum.
    pub(crate) checksum: RxChecksum,
    /// Payload bytes of each segment that was merged into this one.
    pub(crate) segment_size: Option<NonZeroU16>,
    /// From the transport header on, shortened to the IP packet's length. TCP takes its text out of it, but of a SYN.
    pub(crate) segment: Bytes,
    /// TCP's source and destination port, once it has read them.
    pub(crate) ports: (u16, u16),
    /// And its FIN bit, of which a [`Segment`](crate::tcp::Segment) with a SYN does not tell.
    pub(crate) fin: bool,
    /// The IP packet as it arrived, for an ICMP error to quote.
    pub(crate) quote: Bytes,
    /// Did the frame come to our own MAC address (or on an IP medium)?
    pub(crate) link_unicast: bool,
    /// The sender's MAC address.
    pub(crate) link_src: Option<MacAddr>,
}

/// Where the packets of one flow go: what is looked up once and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    /// The neighbour that gets them: `dst` itself, or a router.
    pub(crate) next_hop: IpAddr,
    /// TTL or hop limit.
    pub(crate) ttl: u8,
    /// TOS or traffic class.
    pub(crate) tos: u8,
    /// What its packets are labelled with.
    pub(crate) label: Label,
}

/// What the owner of a packet asks of its IP header; what it does not ask for is as the stack has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// TTL or hop limit.
    pub(crate) ttl: Option<u8>,
    /// TOS or traffic class.
    pub(crate) tos: u8,
    pub(crate) label: Label,
}

impl Manner {
    /// Nothing but this TOS or traffic class.
    pub(crate) fn tos(tos: u8) -> Self {
        Self {
            tos,
            ..Self::default()
        }
    }
}

/// The flow label that is asked for (RFC 6437), or by default none in particular: then the stack makes one. Three bytes, for there are
/// many.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Label([u8; 3]);

impl Label {
    /// Beside the 20 bits of the field: it is asked for.
    const ASKED: u32 = 1 << 20;

    /// The low 20 bits of what a user asks for; 0 is asked for as well: no label.
    pub(crate) const fn asked(label: Option<u32>) -> Self {
        match label {
            Some(label) => {
                let [_, bytes @ ..] = (label & (Self::ASKED - 1) | Self::ASKED).to_be_bytes();
                Self(bytes)
            }
            None => Self([0; 3]),
        }
    }

    /// What was asked for.
    pub(crate) const fn given(self) -> Option<u32> {
        let [a, b, c] = self.0;
        match u32::from_be_bytes([0, a, b, c]) {
            0 => None,
            label => Some(label & (Self::ASKED - 1)),
        }
    }
}

impl core::fmt::Debug for Label {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.given().fmt(f)
    }
}

/// A socket that waits for a neighbour or for an address, nothing of it queued there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waiter {
    Tcp(TcpId),
    Udp(UdpId),
    /// The RST that a connection owes which is gone.
    Farewell(RawId),
}

/// Who is told when a packet cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The stack itself: nobody.
    Stack,
    /// A DHCP client that gives an address back: nobody is told, and it leaves though the address is not ours any more.
    Parting,
    Udp(UdpId),
    /// A ping socket and the sequence number of its request.
    Ping(PingId, u16),
    /// A raw socket: its payload is all behind the IP header.
    Raw(RawSocketId),
    /// A raw socket that wrote the IP header: its payload begins with that, and is the whole packet.
    Whole(RawSocketId),
    /// Its sender, by way of the interface that it came in on: it is passed on, and waits for its neighbour, whole
    /// in its payload.
    Transit(InterfaceId),
}

/// What the layers below tell the stack, its sockets and its user after their turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The neighbour that this socket waited for does not answer, or its address is a duplicate.
    Failed(Waiter),
    /// A packet of this owner was dropped because its neighbour does not answer.
    Unreachable(Owner, IpAddr),
    /// Something became of an address.
    Address(AddressNews),
    /// The user may want to know.
    Change(InterfaceId, Change),
    /// A datagram went to a group that sockets of this host hear.
    Looped,
}

/// May a packet leave, or go on, in fragments? Above the path's MTU, that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragmenting {
    /// No: DF is set.
    Never,
    /// By us alone: what fits leaves with DF.
    Here,
    /// By routers too: DF is never set.
    Anywhere,
}

impl Fragmenting {
    /// May a router say of a packet of `len` bytes that it is too large, whose path carries `mtu`? IPv6's cut nothing; an
    /// IPv4 packet leaves without DF when it is cut here, or may be there.
    pub(crate) const fn may_be_refused(self, dst: IpAddr, len: usize, mtu: usize) -> bool {
        match self {
            Self::Never => true,
            Self::Here => len <= mtu || dst.is_ipv6(),
            Self::Anywhere => dst.is_ipv6(),
        }
    }
}

/// Is a datagram covered by a checksum? UDP's over IPv6 need not be, where both ends say so (RFC 6936).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summed {
    Yes,
    No,
}

/// A transport header of up to 60 bytes, held without allocation.
#[derive(Clone, Copy)]
pub(crate) struct HeaderBytes {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl HeaderBytes {
    /// A TCP header with all its options.
    pub(crate) const CAPACITY: usize = 60;

    /// A copy of `header`.
    ///
    /// # Panics
    /// When it is longer than 60 bytes: no transport header is.
    pub(crate) fn new(header: &[u8]) -> Self {
        let mut bytes = [0; Self::CAPACITY];
        bytes[..header.len()].copy_from_slice(header);
        Self {
            bytes,
            len: u8::try_from(header.len()).unwrap_or(0),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl core::fmt::Debug for HeaderBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// A packet that waits to be sent, complete but for IP and link header and the checksum.
#[derive(Clone, Debug)]
pub(crate) struct OwnedPacket {
    pub(crate) flow: Flow,
    pub(crate) protocol: Protocol,
    /// The transport header, its checksum field 0: it is filled on the way out.
    pub(crate) header: HeaderBytes,
    pub(crate) payload: Bytes,
    /// Payload bytes of each segment, when it is a super-segment.
    pub(crate) segment: Option<NonZeroU16>,
    pub(crate) fragmenting: Fragmenting,
    pub(crate) summed: Summed,
    /// What its owner alone was told that the path carries, in bytes of a packet; `u16::MAX`: nothing.
    pub(crate) mtu: u16,
    /// The receiver's MAC address when no look-up is wanted: probes and answers.
    pub(crate) link_dst: Option<MacAddr>,
    pub(crate) owner: Owner,
}

impl OwnedPacket {
    /// Is it passed on?
    pub(crate) const fn is_transit(&self) -> bool {
        matches!(self.owner, Owner::Transit(_))
    }

    /// A packet of the stack's own.
    pub(crate) fn new(flow: Flow, protocol: Protocol, header: &[u8], payload: Bytes) -> Self {
        Self {
            flow,
            protocol,
            header: HeaderBytes::new(header),
            payload,
            segment: None,
            fragmenting: Fragmenting::Never,
            summed: Summed::Yes,
            mtu: u16::MAX,
            link_dst: None,
            owner: Owner::Stack,
        }
    }
}

/// What became of a packet that was offered for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Delivery {
    /// The device has it.
    Taken,
    /// The device is full: nothing has changed.
    Full,
    /// Lost as on the wire, and counted.
    Dropped,
    /// The neighbour is not known yet, or the source address is tentative: nothing was sent or
    /// queued, the waiter is made ready when that changes.
    Unresolved,
}
