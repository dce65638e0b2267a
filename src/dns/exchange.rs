//! One question at one server.
//!
//! RFC 5452 §9.2 (numbers, ports), RFC 7766 §8 (messages in a stream). *Owns* what a reply must repeat, and what came of a message by TCP.
//! *Does not* judge it.

use core::fmt;
use core::net::SocketAddr;

use bytes::Bytes;

use super::course::Failure;
use super::lookup::Family;
use super::message::{self, Reply};
use super::name::Name;
use super::refusal::Refusal;
use crate::base::{Instant, Random};

/// One question at one server, by one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub(super) u64);

/// How a question is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// One datagram each way.
    Udp,
    /// A connection, each message behind its length in two bytes.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// A question that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Question {
    /// What its answer is handed over under.
    pub exchange: ExchangeId,
    /// Whom to ask.
    pub server: SocketAddr,
    /// How.
    pub transport: Transport,
    /// The datagram, or what the stream begins with.
    pub payload: Bytes,
}

/// What is to be done with sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send this over a socket of its own, from a port that nobody can guess (RFC 5452 §9.2).
    Ask(Question),
    /// Close that socket: the exchange is over.
    Close(ExchangeId),
}

/// What is known of an exchange while it lasts.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) id: ExchangeId,
    pub(super) server: SocketAddr,
    pub(super) transport: Transport,
    pub(super) deadline: Instant,
    /// With what EDNS said it was sent.
    pub(super) payload: Option<u16>,
    number: u16,
    /// The name in the capitals that it was sent in.
    written: Box<str>,
    /// What came of the message, by TCP.
    stream: Vec<u8>,
    /// Messages that were not the answer.
    pub(super) refused: u32,
}

/// What a message is for an exchange.
#[derive(Debug)]
pub(super) enum Heard {
    /// The answer, as far as can be told.
    Reply(Reply),
    /// Not the answer, which may come yet.
    Refused(Refusal),
    /// The server has no answer here.
    Failed(Failure, Refusal),
}

impl Exchange {
    pub(super) fn new(
        id: ExchangeId,
        (server, transport): (SocketAddr, Transport),
        name: &Name,
        (payload, mixed): (Option<u16>, bool),
        deadline: Instant,
        random: &mut Random,
    ) -> Self {
        let [high, low, ..] = random.next_u64().to_be_bytes();
        Self {
            id,
            server,
            transport,
            deadline,
            payload,
            number: u16::from_be_bytes([high, low]),
            written: if mixed {
                mix(name.as_str(), random)
            } else {
                name.as_str().into()
            },
            stream: Vec::new(),
            refused: 0,
        }
    }

    /// What is to be sent.
    pub(super) fn question(&self, family: Family) -> Option<Question> {
        let message = message::query(self.number, &self.written, family, self.payload)?;
        let payload = match self.transport {
            Transport::Udp => message,
            Transport::Tcp => {
                let mut framed = u16::try_from(message.len()).ok()?.to_be_bytes().to_vec();
                framed.extend(message);
                framed
            }
        };
        Some(Question {
            exchange: self.id,
            server: self.server,
            transport: self.transport,
            payload: payload.into(),
        })
    }

    /// Takes bytes of a stream; the message when it is whole. What comes behind it was not asked for.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let room = (2 + usize::from(u16::MAX)).saturating_sub(self.stream.len());
        self.stream
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        let (length, message) = self.stream.split_first_chunk()?;
        let message = message.get(..u16::from_be_bytes(*length).into())?;
        Some(message.to_vec())
    }

    /// Is this the answer? RFC 5452 §9.1: number, name, type and class are those of the question.
    pub(super) fn hear(&self, bytes: &[u8], family: Family) -> Heard {
        match self.check(bytes, family) {
            Ok(reply) => Heard::Reply(reply),
            // Nobody else can have sent it.
            Err(why) if self.transport == Transport::Tcp => Heard::Failed(Failure::Server, why),
            Err(why) => Heard::Refused(why),
        }
    }

    fn check(&self, bytes: &[u8], family: Family) -> Result<Reply, Refusal> {
        let reply = message::read(bytes).ok_or(Refusal::Malformed)?;
        if !reply.is_reply {
            return Err(Refusal::NotReply);
        }
        if reply.id != self.number {
            return Err(Refusal::OtherId);
        }
        let repeated = match &reply.questions[..] {
            [(name, of)] if *of == Some(family) => name,
            // RFC 6891 §7: who does not know EDNS may send the header alone. It is only asked again for that.
            [] if reply.code == message::Code::NotUnderstood && self.payload.is_some() => {
                return Ok(reply);
            }
            _ => return Err(Refusal::OtherQuestion),
        };
        if **repeated == *self.written {
            Ok(reply)
        } else if !repeated.eq_ignore_ascii_case(&self.written) {
            Err(Refusal::OtherQuestion)
        } else if self.transport == Transport::Tcp {
            Ok(reply)
        } else {
            Err(Refusal::OtherCase)
        }
    }
}

/// Each letter large or small, as it falls.
fn mix(name: &str, random: &mut Random) -> Box<str> {
    let mut bits = 0;
    let mut left = 0;
    let letters = name.chars().map(|letter| {
        if left == 0 {
            (bits, left) = (random.next_u64(), u64::BITS);
        }
        let large = bits & 1 == 1;
        bits >>= 1;
        left -= 1;
        if large {
            letter.to_ascii_uppercase()
        } else {
            letter
        }
    });
    letters.collect::<String>().into()
}
