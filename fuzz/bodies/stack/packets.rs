//! The user's packet sockets in the stack's target: what they hear, and frames of a type that nobody else speaks.

use std::net::IpAddr;

use netloom::MacAddr;
use netloom::bytes::Bytes;
use netloom::device::Medium;
use netloom::link::EtherType;
use netloom::stack::{PacketOptions, RecvError, SendError};

use super::super::wire::PEER;
use super::peer::outbound;
use super::{Input, LENGTHS, Rig, raw};

/// IEEE 802's local experimental type 1: the peer judges all else.
pub(super) const SPOKEN: EtherType = EtherType(0x88b5);
/// Packet sockets that are open at once.
const MOST: usize = 4;

impl Rig {
    /// A step of a packet socket: opened where there is none, else sent by, read or closed.
    pub(super) fn packet_socket(&mut self, input: &mut Input<'_>) {
        let (what, host) = (input.byte(), input.host());
        let len = LENGTHS[input.below(LENGTHS.len())];
        let Some(&(id, on)) = self.packets.get(usize::from(what >> 2 & 3)) else {
            return self.open_packets(what);
        };
        match what & 3 {
            0 => self.open_packets(what),
            1 => self.send_packet(what, host, len),
            2 => loop {
                match self.stack.packet_recv(id) {
                    Ok(packet) => {
                        assert!(packet.at <= self.now && packet.on == self.on[on]);
                        assert!(packet.payload.len() <= 65_535 + 18);
                        self.outcome.delivered += 1;
                    }
                    Err(RecvError::WouldBlock) => break,
                    Err(error) => {
                        assert_eq!(
                            (error, self.peer.there[on]),
                            (RecvError::AddressGone, false)
                        );
                        break;
                    }
                }
            },
            _ => {
                self.stack.packet_close(id);
                self.packets.retain(|(other, _)| *other != id);
                assert!(self.stack.packet_recv(id).is_err());
                assert!(self.stack.packet_dropped(id).is_err());
            }
        }
    }

    fn open_packets(&mut self, what: u8) {
        if self.packets.len() >= MOST {
            return;
        }
        let on = usize::from(what >> 4 & 3) % self.on.len();
        let mut options = PacketOptions::new(self.on[on]).others(what & 0x40 == 0x40);
        if what & 0x80 == 0x80 {
            options = options.ether_type(EtherType::IPV4);
        }
        if self.small {
            options = options.recv_buffer(2000);
        }
        let opened = self.stack.packet_open(options);
        assert_eq!(opened.is_ok(), self.peer.there[on]);
        self.packets.extend(opened.map(|id| (id, on)));
    }

    /// A frame to the peer; on a medium without link headers a packet of a protocol that nobody else speaks, or none of IP.
    fn send_packet(&mut self, what: u8, host: IpAddr, len: usize) {
        let Some(&(id, on)) = self.packets.get(usize::from(what >> 2 & 3)) else {
            return;
        };
        // What says that it is longer is never sent.
        let len = if len == 1460 { 1200 } else { len };
        let ethernet = self.peer.capabilities[on].medium == Medium::Ethernet;
        let malformed = !ethernet && what & 0x10 == 0x10;
        let header = match ethernet || malformed {
            true => Vec::new(),
            false => raw::header(host, len),
        };
        let data = Bytes::from([&header[..], outbound(0, len)].concat());
        let (to, len) = (MacAddr::new(PEER), data.len());
        let sent = self.stack.packet_send(self.now, id, to, SPOKEN, data);
        match sent {
            Ok(()) => assert!(self.peer.there[on] && !malformed && len <= 1500),
            Err(SendError::AddressGone) => assert!(!self.peer.there[on]),
            Err(SendError::TooBig { .. }) => assert!(len > 1280),
            Err(SendError::Malformed { .. }) => assert!(malformed),
            Err(error) => assert_eq!(error, SendError::WouldBlock),
        }
    }
}
