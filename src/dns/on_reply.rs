//! What a message, a failed socket, and time do to a question.
//!
//! RFC 1035 §7.3, RFC 2181 §9 (cut replies), RFC 5452 §9 (forged ones), RFC 6891 §7 (servers without EDNS), RFC 9520 (failures). *Owns* these rules. Bounded: a server is asked the same
//! question again without EDNS once, and by TCP once.

use core::net::SocketAddr;
use core::time::Duration;

use super::cache::{Kept, Key};
use super::course::{Course, Failure};
use super::exchange::{ExchangeId, Heard, Transport};
use super::judge::{Finding, judge};
use super::message::{Code, Reply};
use super::refusal::Refusal;
use super::resolver::Resolver;
use crate::base::Instant;

/// Messages that are no reply to a question which is waited for: after so many somebody guesses, and it is asked by TCP (RFC 5452 §9.3
/// would have it given up).
const MOST_REFUSED: u32 = 16;

/// How long it is kept that no server could tell: the least that RFC 9520 §3.2 asks for.
const FAILURE_LIFE: Duration = Duration::from_secs(1);

impl Resolver {
    /// A datagram came on the socket of this exchange.
    ///
    /// # Errors
    /// Why it was not taken; that is counted, and nothing else is to be done about it.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        exchange: ExchangeId,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Refusal> {
        let (key, mut course) = self.take(exchange, Transport::Udp)?;
        let server = course.exchange.server;
        // The scope of a link-local address is one thing to who asks and another to who hears.
        let heard = if (from.ip(), from.port()) == (server.ip(), server.port()) {
            course.exchange.hear(datagram, key.1)
        } else {
            Heard::Refused(Refusal::OtherServer)
        };
        match heard {
            Heard::Refused(why) => {
                self.counters.refused.count(why);
                course.exchange.refused += 1;
                if why == Refusal::OtherCase || course.exchange.refused >= MOST_REFUSED {
                    self.counters.doubted += 1;
                    self.again(now, key, course, Transport::Tcp);
                } else {
                    self.courses.insert(key, course);
                }
                Err(why)
            }
            heard => self.conclude(now, key, course, heard),
        }
    }

    /// Bytes came on the connection of this exchange, any number of them.
    ///
    /// # Errors
    /// Why the message that is now whole was not taken; as with [`handle_datagram`](Self::handle_datagram).
    pub fn handle_stream(
        &mut self,
        now: Instant,
        exchange: ExchangeId,
        bytes: &[u8],
    ) -> Result<(), Refusal> {
        let (key, mut course) = self.take(exchange, Transport::Tcp)?;
        match course.exchange.take(bytes) {
            Some(message) => {
                let heard = course.exchange.hear(&message, key.1);
                self.conclude(now, key, course, heard)
            }
            None => {
                self.courses.insert(key, course);
                Ok(())
            }
        }
    }

    /// The socket of this exchange could not be opened, or has failed, or its stream has ended.
    pub fn handle_failure(&mut self, now: Instant, exchange: ExchangeId) {
        let Some((key, course)) = self.find(exchange) else {
            return;
        };
        self.counters.unreachable += 1;
        // Who is asked by TCP has answered by UDP: it can be reached.
        let why = match course.exchange.transport {
            Transport::Udp => Failure::Unreachable,
            Transport::Tcp => Failure::Server,
        };
        self.go_on(now, key, course, why);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, exchange)) = self.deadlines.first()
            && at <= now
        {
            let Some((key, course)) = self.find(exchange) else {
                self.deadlines.pop_first();
                continue;
            };
            self.counters.timeouts += 1;
            self.go_on(now, key, course, Failure::Silent);
        }
    }

    /// The question of an exchange, out of the table, if the exchange is one of this kind.
    fn take(&mut self, exchange: ExchangeId, by: Transport) -> Result<(Key, Course), Refusal> {
        match self.find(exchange) {
            Some((key, course)) if course.exchange.transport == by => Ok((key, course)),
            other => {
                self.courses.extend(other);
                self.counters.refused.count(Refusal::Unexpected);
                Err(Refusal::Unexpected)
            }
        }
    }

    fn find(&mut self, exchange: ExchangeId) -> Option<(Key, Course)> {
        self.courses.remove_entry(self.exchanges.get(&exchange)?)
    }

    /// Goes on with what was heard, which ends the exchange.
    fn conclude(
        &mut self,
        now: Instant,
        key: Key,
        course: Course,
        heard: Heard,
    ) -> Result<(), Refusal> {
        match heard {
            Heard::Reply(reply) => {
                self.counters.replies += 1;
                self.on_reply(now, key, course, &reply);
                Ok(())
            }
            Heard::Failed(failure, why) => {
                self.counters.refused.count(why);
                self.go_on(now, key, course, failure);
                Err(why)
            }
            Heard::Refused(why) => {
                self.counters.refused.count(why);
                self.courses.insert(key, course);
                Err(why)
            }
        }
    }

    /// A server has answered.
    fn on_reply(&mut self, now: Instant, key: Key, mut course: Course, reply: &Reply) {
        let by = course.exchange.transport;
        if reply.is_truncated && by == Transport::Udp {
            // RFC 2181 §9: what is there of it is left alone.
            self.counters.truncated += 1;
            return self.again(now, key, course, Transport::Tcp);
        }
        if reply.code == Code::NotUnderstood && course.exchange.payload.is_some() {
            self.counters.without_edns += 1;
            course.plain = true;
            return self.again(now, key, course, by);
        }
        let found = judge(reply, &key.0, key.1).filter(|_| !reply.is_truncated);
        let Some((finding, life)) = found else {
            self.counters.failures += 1;
            return self.go_on(now, key, course, Failure::Server);
        };
        let longest = match finding {
            Finding::Addresses(_) => self.config.longest_life,
            Finding::NoAddress | Finding::NoName => self.config.longest_nothing,
        };
        self.end(now, &key, course, (Ok(finding), life.min(longest)));
    }

    /// A question has come to this, which is kept for a while; not what servers said that are asked no more, for they may
    /// have been another network's.
    fn end(&mut self, now: Instant, key: &Key, course: Course, (result, life): (Kept, Duration)) {
        if course.is_over(&self.servers) {
            let evicted = self.cache.insert(now, key, result.clone(), now + life);
            self.counters.cache_evicted += u64::from(evicted);
        }
        self.settle(now, course, &result);
    }

    /// Asks the same server again, otherwise.
    fn again(&mut self, now: Instant, key: Key, mut course: Course, by: Transport) {
        self.close(&course.exchange);
        let to = (course.exchange.server, by);
        course.exchange = self.open(now, &key, to, course.plain);
        self.courses.insert(key, course);
    }

    /// Asks the next server, or gives up.
    fn go_on(&mut self, now: Instant, key: Key, mut course: Course, why: Failure) {
        let Some(server) = course.next(why) else {
            let failed = (Err(course.worst), FAILURE_LIFE);
            return self.end(now, &key, course, failed);
        };
        self.close(&course.exchange);
        course.exchange = self.open(now, &key, (server, Transport::Udp), course.plain);
        self.courses.insert(key, course);
    }
}
