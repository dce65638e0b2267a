//! What a UDP socket receives, [`Datagram`], and the account that it is charged to.
//!
//! RFC 768. *Owns* the bytes that users have not let go of, by socket and by host. *Does not* bound them: `sockets.rs` does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stack::{self, InterfaceId, SendInfo, Slices, charge_received};

/// A received datagram.
#[derive(Debug)]
#[non_exhaustive]
pub struct Datagram {
    /// Its payload: a slice of the buffer that it arrived in, or several when it came in fragments.
    pub data: Slices,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address of ours that it was sent to, or the group.
    pub to: IpAddr,
    /// The port that it was sent to: the socket's own, unless that takes [every port](crate::stack::UdpOptions::any_port).
    pub to_port: u16,
    /// The interface that it came in on.
    pub on: InterfaceId,
    /// Its TTL or hop limit as it arrived.
    pub ttl: u8,
    /// Its TOS or traffic class: six bits of DSCP, and two of ECN.
    pub tos: u8,
    /// Its flow label, if it came over IPv6 (RFC 6437 §2); 0: none.
    pub flow_label: u32,
    /// Was it sent to one host, not to a group or a broadcast address?
    pub unicast: bool,
    charge: Charge,
}

/// Bytes of datagrams that were handed on and that users have not let go of.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Of one socket.
    own: AtomicUsize,
    /// Of all sockets of the host.
    all: Arc<AtomicUsize>,
}

impl Account {
    /// One more socket's.
    pub(crate) fn within(all: &Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self {
            own: AtomicUsize::new(0),
            all: Arc::clone(all),
        })
    }

    /// What this socket's datagrams are charged.
    pub(crate) fn charged(&self) -> usize {
        self.own.load(Ordering::Relaxed)
    }
}

/// Bytes that count against a socket's buffer, and the host's memory, until this is dropped.
#[derive(Debug)]
struct Charge {
    bytes: usize,
    account: Arc<Account>,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.own.fetch_sub(self.bytes, Ordering::Relaxed);
        self.account.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Datagram {
    /// Charges a datagram to the account of its socket.
    pub(crate) fn charged(datagram: stack::Datagram, account: &Arc<Account>) -> Self {
        let bytes = charge_received(&datagram.data);
        account.own.fetch_add(bytes, Ordering::Relaxed);
        account.all.fetch_add(bytes, Ordering::Relaxed);
        Self {
            data: datagram.data,
            from: datagram.from,
            to: datagram.to,
            to_port: datagram.to_port,
            on: datagram.on,
            ttl: datagram.ttl,
            tos: datagram.tos,
            flow_label: datagram.flow_label,
            unicast: datagram.unicast,
            charge: Charge {
                bytes,
                account: Arc::clone(account),
            },
        }
    }

    /// How an answer to it leaves: by the interface that it came in on, and from the address that it was sent to, if that is one
    /// host's, and that port.
    pub fn answer(&self) -> SendInfo {
        SendInfo::answering(self.unicast.then_some(self.to), self.to_port, self.on)
    }

    /// Bytes that it counts against its socket's buffer: 128 more than its data, and 32 for each fragment
    /// of one that came in several ([`UdpOptions::recv_buffer`](crate::stack::UdpOptions::recv_buffer)).
    pub const fn charged_bytes(&self) -> usize {
        self.charge.bytes
    }
}
