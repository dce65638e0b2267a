//! The user's raw sockets: what they hear, and packets of a protocol that nobody else speaks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netloom::base::Protocol;
use netloom::bytes::Bytes;
use netloom::stack::{IcmpFilter, RawOptions, RecvError, SendError, SendInfo, StaleId};
use netloom::{ipv4, ipv6};

use super::peer::outbound;
use super::{LENGTHS, Rig};

/// What is sent: the peer judges all else.
pub(super) const SPOKEN: Protocol = Protocol(253);
/// What a socket sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// Nothing: others speak its protocol.
    Nothing,
    Payload,
    Whole,
}

/// Raw sockets that are open at once.
const MOST: usize = 4;

impl Rig {
    /// A step of a raw socket: opened, sent by, read or closed.
    pub(super) fn raw_socket(&mut self, step: u8, host: IpAddr, bits: u8) {
        let which = usize::from(bits >> 3 & 3);
        let held = self.raws.get(which).copied();
        match held.map(|(id, _)| id) {
            None => self.open_raw(host, bits),
            Some(id) if step == 21 => {
                let header = match held {
                    Some((_, Speaks::Nothing)) | None => return,
                    Some((_, Speaks::Payload)) => Vec::new(),
                    Some((_, Speaks::Whole)) => header(host, 0),
                };
                let payload = outbound(0, LENGTHS[usize::from(bits & 7)]);
                let data = Bytes::from([&header[..], payload].concat());
                let info = SendInfo::new().ttl(bits);
                let sent = self.stack.raw_send(self.now, id, Some(host), data, &info);
                assert_ne!(sent, Err(SendError::Stale(StaleId)));
            }
            Some(id) if step == 22 => loop {
                match self.stack.raw_recv(id) {
                    Ok(packet) => {
                        assert!(packet.at <= self.now && packet.payload.len() <= 65_535);
                        self.outcome.delivered += 1;
                    }
                    Err(RecvError::Stale(_)) => panic!("it is held"),
                    Err(RecvError::WouldBlock | RecvError::AddressGone) => break,
                    Err(_) => {}
                }
            },
            Some(id) => {
                self.stack.raw_close(id);
                self.raws.swap_remove(which);
                assert!(self.stack.raw_recv(id).is_err());
            }
        }
    }

    fn open_raw(&mut self, host: IpAddr, bits: u8) {
        if self.raws.len() >= MOST {
            return;
        }
        let (icmp, of): (_, fn(Protocol) -> RawOptions) = match host {
            IpAddr::V4(_) => (Protocol::ICMP, RawOptions::v4),
            IpAddr::V6(_) => (Protocol::ICMPV6, RawOptions::v6),
        };
        let (options, speaks) = match bits & 3 {
            0 if bits & 4 == 4 => (of(SPOKEN).header_included(true), Speaks::Whole),
            0 => (of(SPOKEN), Speaks::Payload),
            1 => (of(SPOKEN).peer(Some(host)), Speaks::Payload),
            2 => {
                let filter = IcmpFilter::none().pass(bits);
                (of(icmp).icmp_filter(filter), Speaks::Nothing)
            }
            _ => (of(Protocol::UDP).recv_buffer(1000), Speaks::Nothing),
        };
        let id = self.stack.raw_open(options);
        self.raws.push((id.expect("few are open"), speaks));
    }
}

/// An IP header from nobody in particular, of so many bytes.
pub(super) fn header(to: IpAddr, bytes: usize) -> Vec<u8> {
    let mut header = vec![0; 60];
    let len = match to {
        IpAddr::V4(to) => {
            ipv4::Fields::new(Ipv4Addr::UNSPECIFIED, to, SPOKEN).emit(bytes, &mut header)
        }
        IpAddr::V6(to) => {
            ipv6::Fields::new(Ipv6Addr::UNSPECIFIED, to, SPOKEN).emit(bytes, &mut header)
        }
    };
    header.truncate(len);
    header
}
