//! Calls that read and write.
//!
//! *Owns* their arguments, and that what is read is what was sent, byte by byte. *Does not* compare data
//! of the script: it has none.

use bytes::Bytes;

use super::super::ast::{Arg, Call, Field};
use super::args::{descriptor, number, only_any};
use super::calls::{Answer, Returned, count, done, errno_of, failed};
use super::numbers::{our_byte, their_byte};
use super::ready::has_peer_ended;
use super::sockets::{SocketState, offset};
use super::{Runner, Step, Stop};
use crate::stack::{RecvError, TcpId, UdpId};
use crate::tcp::{ReadError, WriteError};

/// The most that one call moves.
const MOST: usize = 64 << 20;

/// What a call asks for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    len: usize,
    peek: bool,
    dont_wait: bool,
    /// It says that nothing is cut off.
    is_whole: bool,
    /// MSG_OOB of a write.
    urgent: bool,
    /// How many bytes it says wait behind those that it reads.
    waiting: Option<i64>,
}

impl Runner {
    pub(super) fn transfer(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let fd = descriptor(line, call)?;
        let asked = asked(line, call)?;
        if is_null(call.args.get(1)) && asked.len > 0 {
            return Ok(failed("EFAULT"));
        }
        let is_read = call.name.starts_with("re");
        let Some(socket) = self.sockets.socket(fd) else {
            return Ok(failed("EBADF"));
        };
        let wait = !socket.nonblocking && !asked.dont_wait;
        let is_stream = socket.is_stream;
        match (socket.state, is_read) {
            (SocketState::Stream(id), true) => {
                let answer = self.read(line, fd, id, asked, wait)?;
                if let (Some(wanted), Answer::Done(Returned { errno: None, .. })) =
                    (asked.waiting, &answer)
                {
                    self.check_waiting(line, fd, id, wanted)?;
                }
                Ok(answer)
            }
            (SocketState::Stream(id), false) => {
                // Who is connected sends to the peer, whatever address is given.
                if call.name == "sendto" {
                    only_any(line, call, 4, 6)?;
                }
                Ok(self.write(fd, id, asked, wait))
            }
            (SocketState::Datagram(id), true) => self.receive(line, id, asked, wait),
            (SocketState::Datagram(id), false) => self.send(line, call, id, asked.len),
            (_, true) => Ok(failed("ENOTCONN")),
            (SocketState::Fresh, false) if !is_stream => Err(Stop::unsupported(
                line,
                "a datagram of a socket without a name",
            )),
            (_, false) => Ok(failed("EPIPE")),
        }
    }

    /// A blocking write returns when all of it is taken, any other with what there is room for.
    fn write(&mut self, fd: i64, id: TcpId, asked: Asked, wait: bool) -> Answer {
        let len = asked.len;
        let before = self.set_writing(fd, 0);
        let data = self.text_to_write(id, len - before.min(len));
        let (now, stack) = (self.world.now, &mut self.world.stack);
        let written = match asked.urgent {
            true => stack.tcp_write_urgent(now, id, &data),
            false => stack.tcp_write(now, id, &data),
        };
        match written {
            Ok(taken) => {
                let done_now = before + taken;
                let is_whole = done_now >= len || !wait;
                self.sockets.note_written(taken as u64, is_whole);
                if is_whole {
                    return done(count(done_now));
                }
                self.set_writing(fd, done_now);
                Answer::Blocks(None)
            }
            Err(WriteError::WouldBlock) if wait => {
                self.set_writing(fd, before);
                Answer::Blocks(None)
            }
            // What it wrote before counts more than why it ends.
            Err(_) if before > 0 => done(count(before)),
            Err(WriteError::WouldBlock) => failed("EAGAIN"),
            Err(WriteError::Failed(failure)) => {
                if self.tell(fd) {
                    failed(errno_of(failure))
                } else {
                    failed("EPIPE")
                }
            }
            Err(WriteError::ShutDown | WriteError::Stale) => failed("EPIPE"),
        }
    }

    /// What comes next of our text, `len` bytes of it or what there is room for: more is not even made, for a call
    /// that waits is made again and again.
    pub(super) fn text_to_write(&self, id: TcpId, len: usize) -> Vec<u8> {
        let start = self.sockets.written;
        let most = len.min(self.world.stack.tcp_room(id));
        let text = start..start + most as u64;
        text.map(|at| our_byte(offset(at))).collect()
    }

    /// What the call that waits has written; returns what it had.
    fn set_writing(&mut self, fd: i64, bytes: usize) -> usize {
        let socket = self.sockets.socket_mut(fd);
        socket.map_or(0, |socket| core::mem::replace(&mut socket.writing, bytes))
    }

    /// Is a failure told now for the first time? A kernel tells it once.
    pub(super) fn tell(&mut self, fd: i64) -> bool {
        match self.sockets.socket_mut(fd) {
            Some(socket) => !core::mem::replace(&mut socket.told, true),
            None => false,
        }
    }

    fn read(&mut self, line: u32, fd: i64, id: TcpId, asked: Asked, wait: bool) -> Step<Answer> {
        if asked.peek {
            return self.peek(line, fd, id, asked, wait);
        }
        let mut taken = 0;
        while taken < asked.len || asked.len == 0 {
            let chunk = self
                .world
                .stack
                .tcp_read_chunk(self.world.now, id, asked.len - taken);
            match chunk {
                Ok(chunk) if chunk.is_empty() => break,
                Ok(chunk) => {
                    self.check_text(line, &chunk)?;
                    self.sockets.read += chunk.len() as u64;
                    taken += chunk.len();
                }
                Err(_) if taken > 0 => break,
                Err(error) => return Ok(self.read_failed(fd, error, wait)),
            }
        }
        Ok(done(count(taken)))
    }

    /// TCP_INQ: what waits to be read; 1 where nothing does but the end.
    fn check_waiting(&mut self, line: u32, fd: i64, id: TcpId, wanted: i64) -> Step<()> {
        let socket = self.sockets.socket(fd);
        let is_on = socket.is_some_and(|socket| socket.kept.get("TCP_INQ") == Some(&1));
        let found = match self.world.stack.tcp_info(id) {
            _ if !is_on => None,
            Err(_) => None,
            Ok(info) if info.unread == 0 && has_peer_ended(info.state) => Some(1),
            Ok(info) => Some(i64::from(info.unread)),
        };
        if found == Some(wanted) {
            return Ok(());
        }
        let shown = found.map_or_else(|| "absent".to_owned(), |found| found.to_string());
        let text = format!("TCP_CM_INQ is {shown} and not {wanted}");
        self.miss(line, text, self.settings.lenient_calls)
    }

    fn peek(&mut self, line: u32, fd: i64, id: TcpId, asked: Asked, wait: bool) -> Step<Answer> {
        let unread = self.world.stack.tcp_info(id).map_or(0, |info| info.unread);
        let room = asked.len.min(usize::try_from(unread).unwrap_or(0)).max(1);
        let mut buf = vec![0; room];
        match self.world.stack.tcp_peek(id, &mut buf) {
            Ok(len) => {
                buf.truncate(len);
                self.check_text(line, &Bytes::from(buf))?;
                Ok(done(count(len)))
            }
            Err(error) => Ok(self.read_failed(fd, error, wait)),
        }
    }

    fn read_failed(&mut self, fd: i64, error: ReadError, wait: bool) -> Answer {
        match error {
            ReadError::WouldBlock if wait => Answer::Blocks(None),
            ReadError::WouldBlock => failed("EAGAIN"),
            ReadError::NotConnected => failed("ENOTCONN"),
            ReadError::Failed(failure) => {
                if self.tell(fd) {
                    failed(errno_of(failure))
                } else {
                    done(0)
                }
            }
            ReadError::Stale => failed("EBADF"),
        }
    }

    /// What is read must be what was sent.
    fn check_text(&self, line: u32, chunk: &Bytes) -> Step<()> {
        let right = chunk
            .iter()
            .zip(self.sockets.read..)
            .all(|(&byte, at)| byte == their_byte(offset(at)));
        if right {
            Ok(())
        } else {
            Err(Stop::fail(line, "what was read is not what was sent"))
        }
    }

    // --- datagrams ------------------------------------------------------------------------

    fn receive(&mut self, line: u32, id: UdpId, asked: Asked, wait: bool) -> Step<Answer> {
        if asked.peek {
            return Err(Stop::unsupported(line, "MSG_PEEK of a datagram"));
        }
        Ok(match self.world.stack.udp_recv(id) {
            Ok(datagram) => {
                let right = datagram
                    .data
                    .iter()
                    .flatten()
                    .zip(0u64..)
                    .all(|(&byte, at)| byte == their_byte(offset(at)));
                if !right {
                    return Err(Stop::fail(line, "what was read is not what was sent"));
                }
                if asked.is_whole && datagram.data.len() > asked.len {
                    let text = "msg_flags is MSG_TRUNC and not 0".to_owned();
                    self.miss(line, text, self.settings.lenient_calls)?;
                }
                done(count(datagram.data.len().min(asked.len)))
            }
            Err(RecvError::WouldBlock) if wait => Answer::Blocks(None),
            Err(RecvError::WouldBlock) => failed("EAGAIN"),
            Err(RecvError::HostUnreachable) => failed("EHOSTUNREACH"),
            Err(RecvError::TooBig { .. }) => failed("EMSGSIZE"),
            Err(_) => failed("ECONNREFUSED"),
        })
    }

    fn send(&mut self, line: u32, call: &Call, id: UdpId, len: usize) -> Step<Answer> {
        let default = self.world.their_end(self.settings.connect_port);
        let to = if call.name == "sendto" {
            self.address(line, call.args.get(4), default)?
        } else {
            None
        };
        let connected = self.world.stack.udp_peer_addr(id).ok().flatten();
        let Some(peer) = to.filter(|_| connected.is_none()).or(connected) else {
            return Ok(failed("EDESTADDRREQ"));
        };
        let target = if connected.is_some() {
            None
        } else {
            Some(peer)
        };
        let data: Vec<u8> = (0..len as u64).map(|at| our_byte(offset(at))).collect();
        if let Ok(local) = self.world.stack.udp_local_addr(id) {
            let ours = core::net::SocketAddr::new(self.world.ours, local.port());
            self.world.begin_flow((ours, peer));
        }
        let sent = self
            .world
            .stack
            .udp_send_to(self.world.now, id, target, &data);
        Ok(sent.map_or(failed("EMSGSIZE"), |len| done(count(len))))
    }
}

fn asked(line: u32, call: &Call) -> Step<Asked> {
    let args = &call.args;
    let (len, flags) = match call.name.as_str() {
        "read" | "write" => (length(line, args.get(2))?, None),
        "recv" | "send" => (length(line, args.get(2))?, args.get(3)),
        "recvfrom" => {
            only_any(line, call, 4, 6)?;
            (length(line, args.get(2))?, args.get(3))
        }
        "sendto" => (length(line, args.get(2))?, args.get(3)),
        "readv" | "writev" => (vector(line, args.get(1), args.get(2))?, None),
        name => (message(line, args.get(1), name == "recvmsg")?, args.get(2)),
    };
    let mut asked = Asked {
        len: len.min(MOST),
        peek: false,
        dont_wait: false,
        is_whole: call.name == "recvmsg" && says_no_flags(args.get(1)),
        urgent: false,
        waiting: match call.name.as_str() {
            "recvmsg" => control(line, args.get(1))?,
            _ => None,
        },
    };
    let flags = match flags {
        None => Vec::new(),
        Some(Arg::Or(all)) => all.iter().collect(),
        Some(one) => vec![one],
    };
    for flag in flags {
        match flag {
            Arg::Number(0) => {}
            Arg::Name(name) => match name.as_str() {
                "MSG_DONTWAIT" => asked.dont_wait = true,
                "MSG_PEEK" => asked.peek = true,
                "MSG_OOB" if call.name.starts_with("send") => asked.urgent = true,
                "MSG_NOSIGNAL" => {}
                other => return Err(Stop::unsupported(line, format!("the flag {other}"))),
            },
            _ => return Err(Stop::unsupported(line, "flags of this form")),
        }
    }
    Ok(asked)
}

fn length(line: u32, arg: Option<&Arg>) -> Step<usize> {
    match arg {
        Some(Arg::Number(len)) if *len >= 0 => Ok(usize::try_from(*len).unwrap_or(MOST)),
        _ => Err(Stop::unsupported(line, "a length that is no number")),
    }
}

fn is_null(arg: Option<&Arg>) -> bool {
    matches!(arg, Some(Arg::Name(name)) if name == "NULL")
}

fn says_no_flags(message: Option<&Arg>) -> bool {
    let Some(Arg::Record(fields)) = message else {
        return false;
    };
    fields.iter().any(|field| {
        field.name.as_deref() == Some("msg_flags") && matches!(field.value, Arg::Number(0))
    })
}

/// `msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=9000}]`
fn control(line: u32, message: Option<&Arg>) -> Step<Option<i64>> {
    let Some(Arg::Record(fields)) = message else {
        return Ok(None);
    };
    let named = |fields: &[Field], name: &str| {
        let found = fields.iter().find(|f| f.name.as_deref() == Some(name));
        found.map(|field| field.value.clone())
    };
    let list = match named(fields, "msg_control") {
        None | Some(Arg::Any) => return Ok(None),
        Some(Arg::List(list)) => list,
        Some(_) => return Err(Stop::unsupported(line, "msg_control of this form")),
    };
    let is =
        |value: Option<Arg>, wanted: &str| matches!(value, Some(Arg::Name(name)) if name == wanted);
    match list.as_slice() {
        [Arg::Record(one)]
            if is(named(one, "cmsg_level"), "SOL_TCP")
                && is(named(one, "cmsg_type"), "TCP_CM_INQ") =>
        {
            number(line, named(one, "cmsg_data").as_ref()).map(Some)
        }
        _ => Err(Stop::unsupported(
            line,
            "a control message other than TCP_CM_INQ",
        )),
    }
}

/// `[{..., 1000}, {..., 500}]`: all lengths together; `count` says how many there are.
fn vector(line: u32, arg: Option<&Arg>, count: Option<&Arg>) -> Step<usize> {
    let Some(Arg::List(list)) = arg else {
        return Err(Stop::unsupported(line, "a vector of this form"));
    };
    match count {
        None | Some(Arg::Any) => {}
        Some(Arg::Number(n)) if usize::try_from(*n) == Ok(list.len()) => {}
        Some(_) => return Err(Stop::unsupported(line, "a vector of another length")),
    }
    list.iter().try_fold(0usize, |sum, entry| match entry {
        Arg::Record(fields) => {
            let len = length(line, fields.last().map(|field| &field.value))?;
            Ok(sum.saturating_add(len))
        }
        _ => Err(Stop::unsupported(line, "a vector of this form")),
    })
}

/// `{msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}`
fn message(line: u32, arg: Option<&Arg>, is_read: bool) -> Step<usize> {
    let Some(Arg::Record(fields)) = arg else {
        return Err(Stop::unsupported(line, "a message of this form"));
    };
    let mut len = None;
    for Field {
        name,
        value,
        length,
    } in fields
    {
        match (name.as_deref(), value) {
            (Some("msg_iov"), list) => len = Some(vector(line, Some(list), length.as_ref())?),
            (Some("msg_name"), Arg::Any) | (Some("msg_flags"), Arg::Number(0) | Arg::Any) => {}
            // Looked at by itself.
            (Some("msg_control"), _) if is_read => {}
            (Some(other), _) => return Err(Stop::unsupported(line, other)),
            (None, _) => return Err(Stop::unsupported(line, "a message of this form")),
        }
    }
    len.ok_or_else(|| Stop::unsupported(line, "a message without msg_iov"))
}
