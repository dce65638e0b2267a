//! The first number of a connection, and the last of those whose name is free again.
//!
//! RFC 9293 §3.4.1, RFC 6528. *Owns* nothing: the generator keeps where names ended, TIME-WAIT records do for
//! themselves. Invariant: a name that is given up without TIME-WAIT is noted here, so that a connection shares
//! no number with the last 2^31 octets of the one that had its name before, at one instant neither.

use core::net::SocketAddr;

use super::HalfOpenSlot;
use crate::base::Instant;
use crate::stack::Stack;
use crate::stack::ids::RawId;
use crate::stack::tuple::Tuple;
use crate::tcp::SeqNum;

impl Stack {
    /// Our initial number for the connection between `ends`, ours and the peer's; above `floor`.
    pub(super) fn initial_number(
        &self,
        now: Instant,
        ends: (SocketAddr, SocketAddr),
        floor: Option<SeqNum>,
    ) -> SeqNum {
        let isn = self.tcp.isn.isn(now, ends.0, ends.1);
        floor.map_or(isn, |floor| floor.later(isn))
    }

    /// What had this name is gone, without TIME-WAIT; `nxt` was its SND.NXT.
    pub(super) fn note_end(&mut self, tuple: &Tuple, nxt: SeqNum) {
        let now = self.net.now;
        let until = now + self.config.time_wait;
        let local = SocketAddr::new(tuple.local.ip, tuple.local.port);
        let remote = SocketAddr::new(tuple.remote.ip, tuple.remote.port);
        self.tcp.isn.note_end((now, until), local, remote, nxt);
    }

    /// Removes a half-open record that becomes no connection.
    pub(super) fn end_half_open(&mut self, raw: RawId) -> Option<HalfOpenSlot> {
        let slot = self.remove_half_open(raw)?;
        self.note_end(&slot.tuple, slot.record.iss + 1);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;
    use core::time::Duration;

    use super::super::ListenOptions;
    use super::super::tests::{Link, SERVER};
    use crate::device::{Capabilities, Medium};
    use crate::link::RxFrame;
    use crate::stack::{Config, TcpId, TimeWaitReuse};
    use crate::tcp::{SeqNum, TcpOptions};

    fn connect(link: &mut Link) -> TcpId {
        let (server, client): (SocketAddr, SocketAddr) =
            (SERVER.parse().unwrap(), "10.0.0.2:5000".parse().unwrap());
        let (now, options) = (link.now, TcpOptions::default());
        link.ends[1]
            .stack
            .tcp_connect(now, server, Some(client), options)
            .unwrap()
    }

    /// Both ends of a connection between the same ports, the client's first.
    fn established(link: &mut Link) -> [(usize, TcpId); 2] {
        let client = connect(link);
        link.settle();
        let listener = link.ends[0].stack.tcp.listeners.iter().next().unwrap().0;
        let server = link.ends[0].stack.tcp_accept(link.now, listener).unwrap();
        [(1, client), (0, server)]
    }

    /// Gives each of these what was on the wire once before.
    fn repeat(link: &mut Link, old: &[(usize, RxFrame)]) {
        for (from, frame) in old {
            let end = &mut link.ends[1 - from];
            end.stack.handle_frame(link.now, end.on, frame.clone());
        }
    }

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(60);

    fn listening(time_wait: Duration) -> Link {
        let reuse = TimeWaitReuse::Always;
        let config = |config: Config| config.time_wait(time_wait).time_wait_reuse(reuse);
        let mut link = Link::with(&Capabilities::full(Medium::Ip, 1500), config);
        let server = SERVER.parse().unwrap();
        let stack = &mut link.ends[0].stack;
        stack.tcp_listen(server, ListenOptions::default()).unwrap();
        link
    }

    /// Covers: TCP-10. However the first ended, and at the same instant: no old segment is taken.
    #[test]
    fn two_connections_of_one_name_share_no_numbers() {
        type Ending = fn(&mut Link, TcpId, TcpId);
        let endings: [(&str, Duration, Ending); 4] = [
            ("the client resets", SHORT, |link, client, _| {
                link.ends[1].stack.tcp_abort(link.now, client);
            }),
            ("the server resets", SHORT, |link, _, server| {
                link.ends[0].stack.tcp_abort(link.now, server);
            }),
            ("the client closes first", LONG, |link, client, server| {
                link.ends[1].stack.tcp_close(link.now, client);
                link.settle();
                link.ends[0].stack.tcp_close(link.now, server);
                link.settle();
                // The name is in use till then.
                link.now = link.now + Duration::from_secs(1);
            }),
            (
                "what nobody reads is reset",
                SHORT,
                |link, client, server| {
                    link.ends[0].stack.tcp_close(link.now, server);
                    link.settle();
                    // The record outlives what was noted when it began.
                    link.now = link.now + Duration::from_millis(2);
                    link.write(1, client, b"text");
                },
            ),
        ];
        for (what, time_wait, ending) in endings {
            let mut link = listening(time_wait);
            let ends = established(&mut link);
            let mut old = Vec::new();
            for (end, id) in ends {
                link.write(end, id, &[7; 5000]);
                let sent = link.swallow(end);
                old.extend(sent.into_iter().map(|frame| (end, frame)));
            }
            repeat(&mut link, &old);
            link.settle();
            for (end, id) in ends {
                let read = link.ends[end].stack.tcp_read(link.now, id, &mut [0; 9000]);
                assert_eq!(read, Ok(5000));
            }
            link.settle();
            let last = ends.map(|(end, id)| link.connection(end, id).snd.nxt);
            ending(&mut link, ends[0].1, ends[1].1);
            link.settle();
            let again = established(&mut link);
            for ((end, id), last) in again.into_iter().zip(last) {
                let first = link.connection(end, id).snd.una - 1;
                assert!(!first.before(last), "{what}: {first:?} after {last:?}");
            }
            repeat(&mut link, &old);
            link.settle();
            for (end, id) in again {
                let read = link.ends[end].stack.tcp_read(link.now, id, &mut [0; 9000]);
                assert_eq!(read, Err(crate::tcp::ReadError::WouldBlock), "{what}");
            }
        }
    }

    /// The same where there was half a connection only: an old ACK makes no other.
    #[test]
    fn two_half_open_connections_share_no_numbers() {
        let mut link = listening(SHORT);
        let mut numbers: Vec<SeqNum> = Vec::new();
        for _ in 0..3 {
            let client = connect(&mut link);
            let syn = link.swallow(1);
            repeat(&mut link, &[(1, syn[0].clone())]);
            let half_open = link.ends[0].stack.tcp.half_open.iter().next();
            numbers.push(half_open.unwrap().1.record.iss);
            // The SYN-ACK finds nobody, and is reset.
            let now = link.now;
            link.ends[1].stack.tcp_abort(now, client);
            link.settle();
            assert_eq!(link.ends[0].stack.tcp_open_count(), 0);
        }
        assert!(
            numbers.windows(2).all(|pair| pair[1].after(pair[0])),
            "{numbers:?}"
        );
    }
}
