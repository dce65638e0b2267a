//! The client beside RFC 2131, rule by rule, and beside servers that lose, delay, refuse and lie.

mod answers;
mod life;
mod model;
mod wire;

use core::net::Ipv4Addr;
use core::time::Duration;

use super::*;
use crate::base::{Instant, MacAddr, Seed};

pub(super) const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 50);

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The instant this many seconds after the epoch.
pub(super) fn at(seconds: u64) -> Instant {
    Instant::ZERO + secs(seconds)
}

/// A client, its time, and the last message that it sent.
pub(super) struct Bench {
    pub(super) client: Client,
    pub(super) now: Instant,
    pub(super) sent: Option<Transmit>,
}

impl Bench {
    pub(super) fn new(config: Config) -> Self {
        let client = Client::new(config, Seed::from_number(1)).unwrap();
        let now = Instant::ZERO;
        Self {
            client,
            now,
            sent: None,
        }
    }

    pub(super) fn started() -> Self {
        let mut bench = Self::new(Config::new(MAC));
        bench.client.start(bench.now);
        bench
    }

    /// A lease of this many seconds, asked for at 0 and granted at once.
    pub(super) fn bound(lease: u32) -> Self {
        let mut bench = Self::started();
        bench.bind(lease);
        bench
    }

    /// From the DISCOVER on that is due now.
    pub(super) fn bind(&mut self, lease: u32) -> Lease {
        assert_eq!(self.send_one(), MessageType::DISCOVER);
        self.hear(|m| granting(m, MessageType::OFFER, lease))
            .unwrap();
        assert_eq!(self.send_one(), MessageType::REQUEST);
        self.hear(|m| granting(m, MessageType::ACK, lease)).unwrap();
        match self.client.poll_event() {
            Some(Event::Bound(lease)) => lease,
            other => panic!("{other:?}"),
        }
    }

    /// Sends the one message that is due.
    #[track_caller]
    pub(super) fn send_one(&mut self) -> MessageType {
        self.sent = self.client.poll_transmit(self.now);
        assert_eq!(self.client.poll_transmit(self.now), None);
        self.message().kind().unwrap()
    }

    /// Goes to the next time that the client names, and sends the one message that is due then.
    #[track_caller]
    pub(super) fn next_one(&mut self) -> MessageType {
        self.wait();
        self.send_one()
    }

    /// Goes to the next time that the client names.
    #[track_caller]
    pub(super) fn wait(&mut self) {
        let next = self.client.poll_timeout().expect("a deadline");
        assert!(next > self.now, "{next:?} at {:?}", self.now);
        self.now = next;
        self.client.handle_timeout(self.now);
    }

    /// The message that was sent last.
    #[track_caller]
    pub(super) fn message(&self) -> Message<'_> {
        Message::parse(&self.sent.as_ref().expect("a message").payload).unwrap()
    }

    /// Hands the answer to the last message over.
    pub(super) fn hear(
        &mut self,
        answer: impl FnOnce(&Message<'_>) -> Builder,
    ) -> Result<(), Refusal> {
        let answer = answer(&self.message()).finish();
        self.client.handle_datagram(self.now, &answer)
    }
}

/// An answer of `SERVER` to this message.
pub(super) fn answer(to: &Message<'_>, kind: MessageType) -> Builder {
    Builder::new(Operation::REPLY, kind, to.xid(), MAC).address(code::SERVER_ID, SERVER)
}

/// An OFFER or ACK of `ADDRESS` for so many seconds, and a mask.
pub(super) fn granting(to: &Message<'_>, kind: MessageType, lease: u32) -> Builder {
    answer(to, kind)
        .yiaddr(ADDRESS)
        .number(code::LEASE_TIME, lease)
        .number(code::SUBNET_MASK, 0xFFFF_FF00)
}

pub(super) fn nak(to: &Message<'_>) -> Builder {
    answer(to, MessageType::NAK)
}
