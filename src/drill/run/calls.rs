//! System calls: which there are, and how what they return is compared.
//!
//! *Owns* the calls about descriptors and connections. *Does not* read and write (`transfer`), set options
//! (`sockopts`) or wait for readiness (`ready`).
//!
//! Output arguments that a script writes as `...` are not compared; others that no call here compares
//! make the script unsupported.

use core::net::{IpAddr, SocketAddr};
use std::net::Shutdown;

use super::super::ast::{Arg, Call};
use super::args::{NONBLOCK, all_words, descriptor, flags_of, number, only_any};
use super::sockets::{Object, Socket, SocketState};
use super::{Runner, Step, Stop, sockopts};
use crate::base::Instant;
use crate::stack::{AcceptError, ConnectError, ListenError, UdpOptions};
use crate::tcp::{State, TcpFailure};

/// What a call comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done(Returned),
    /// It waits; at this time it may end by itself.
    Blocks(Option<Instant>),
}

/// A value, and the error when that is -1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Returned {
    pub(super) value: i64,
    pub(super) errno: Option<&'static str>,
}

/// A call that waits.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) line: u32,
    pub(super) call: Call,
    pub(super) until: Instant,
    pub(super) alarm: Option<Instant>,
}

pub(super) const fn done(value: i64) -> Answer {
    Answer::Done(Returned { value, errno: None })
}

pub(super) const fn failed(errno: &'static str) -> Answer {
    Answer::Done(Returned {
        value: -1,
        errno: Some(errno),
    })
}

/// A length as a call returns it.
pub(super) fn count(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The calls that there are, and how many arguments each takes at least and at most.
const CALLS: &[(&str, usize, usize)] = &[
    ("socket", 3, 3),
    ("bind", 3, 3),
    ("listen", 2, 2),
    ("accept", 3, 3),
    ("accept4", 4, 4),
    ("connect", 3, 3),
    ("read", 3, 3),
    ("readv", 3, 3),
    ("recv", 4, 4),
    ("recvfrom", 6, 6),
    ("recvmsg", 3, 3),
    ("write", 3, 3),
    ("writev", 3, 3),
    ("send", 4, 4),
    ("sendto", 6, 6),
    ("sendmsg", 3, 3),
    ("shutdown", 2, 2),
    ("close", 1, 1),
    ("poll", 3, 3),
    ("epoll_create", 1, 1),
    ("epoll_create1", 1, 1),
    ("epoll_ctl", 4, 4),
    ("epoll_wait", 4, 4),
    ("fcntl", 2, 3),
    ("ioctl", 3, 3),
    ("getsockopt", 5, 5),
    ("setsockopt", 5, 5),
];

/// Is there such a call, and are its words known?
pub(super) fn check(line: u32, call: &Call) -> Step<()> {
    let known = CALLS.iter().find(|(name, ..)| *name == call.name);
    let Some(&(name, least, most)) = known else {
        return Err(Stop::unsupported(line, format!("the call {}", call.name)));
    };
    let given = call.args.len();
    if !(least..=most).contains(&given) {
        let text = format!("{name} takes {most} arguments, found {given}");
        return Err(Stop::fail(line, text));
    }
    if call.name.ends_with("sockopt") {
        sockopts::check(line, call)?;
    }
    Ok(())
}

impl Runner {
    /// Makes a call.
    pub(super) fn make(&mut self, line: u32, call: &Call) -> Step<Answer> {
        match call.name.as_str() {
            "socket" => self.socket(line, call),
            "bind" => self.bind(line, call),
            "listen" => self.listen(line, call),
            "accept" | "accept4" => self.accept(line, call),
            "connect" => self.connect(line, call),
            "shutdown" => self.shutdown(line, call),
            "close" => self.close(line, call),
            "fcntl" => self.fcntl(line, call),
            "ioctl" => self.ioctl(line, call),
            "getsockopt" => self.getsockopt(line, call),
            "setsockopt" => self.setsockopt(line, call),
            "poll" | "epoll_create" | "epoll_create1" | "epoll_ctl" | "epoll_wait" => {
                self.ready_call(line, call, self.world.now)
            }
            _ => self.transfer(line, call),
        }
    }

    /// Makes a call again that waits.
    pub(super) fn make_again(&mut self, pending: &Pending) -> Step<Answer> {
        match pending.call.name.as_str() {
            "poll" | "epoll_wait" if pending.alarm == Some(self.world.now) => {
                self.ready_call(pending.line, &pending.call, Instant::ZERO)
            }
            "poll" | "epoll_wait" => {
                let answer = self.ready_call(pending.line, &pending.call, self.world.now)?;
                Ok(match answer {
                    Answer::Blocks(_) => Answer::Blocks(pending.alarm),
                    done @ Answer::Done(_) => done,
                })
            }
            _ => self.make(pending.line, &pending.call),
        }
    }

    pub(super) fn check_returned(
        &mut self,
        line: u32,
        call: &Call,
        returned: &Returned,
    ) -> Step<()> {
        let value = match &call.result {
            Arg::Any => return Ok(()),
            Arg::Number(value) => *value,
            Arg::Name(_) | Arg::Or(_) => flags_of(&call.result)
                .map_err(|name| Stop::unsupported(line, format!("the constant {name}")))?,
            _ => return Err(Stop::unsupported(line, "a result that is no number")),
        };
        let wanted = call.errno.as_deref();
        if value == returned.value && (wanted == returned.errno || value >= 0) {
            return Ok(());
        }
        let show = |value: i64, errno: Option<&str>| match errno {
            Some(errno) => format!("{value} {errno}"),
            None => value.to_string(),
        };
        let text = format!(
            "{} returned {} and not {}",
            call.name,
            show(returned.value, returned.errno),
            show(value, wanted)
        );
        self.miss(line, text, self.settings.lenient_calls)
    }

    // --- descriptors and connections ------------------------------------------------------

    fn socket(&mut self, line: u32, call: &Call) -> Step<Answer> {
        self.check_family(line, call.args.first())?;
        let mut is_stream = true;
        let mut nonblocking = false;
        let unknown = |word: &str| Stop::unsupported(line, format!("a socket of {word}"));
        for word in all_words(call.args.get(1)).map_err(unknown)? {
            match word {
                "SOCK_STREAM" => {}
                "SOCK_DGRAM" => is_stream = false,
                "SOCK_CLOEXEC" => {}
                "SOCK_NONBLOCK" => nonblocking = true,
                other => return Err(unknown(other)),
            }
        }
        match call.args.get(2) {
            Some(Arg::Number(0)) => {}
            Some(Arg::Name(name)) if name == "IPPROTO_IP" => {}
            Some(Arg::Name(name)) if name == "IPPROTO_TCP" && is_stream => {}
            Some(Arg::Name(name)) if name == "IPPROTO_UDP" && !is_stream => {}
            Some(Arg::Name(name)) => return Err(unknown(name)),
            _ => return Err(unknown("this protocol")),
        }
        let mut socket = Socket::new(&self.settings.profile, is_stream);
        socket.nonblocking = nonblocking;
        self.open(line, call, Object::Socket(Box::new(socket)))
    }

    /// The family must be the run's: a socket for IPv6 that speaks IPv4 is not to be had.
    fn check_family(&self, line: u32, family: Option<&Arg>) -> Step<()> {
        let v6 = self.world.ours.is_ipv6();
        match family {
            Some(Arg::Any) => Ok(()),
            Some(Arg::Name(name)) if name == "AF_INET6" && v6 => Ok(()),
            // A script for IPv4 that runs over IPv6 means the other one.
            Some(Arg::Name(name))
                if name == "AF_INET" && (!v6 || self.settings.is_translated()) =>
            {
                Ok(())
            }
            Some(Arg::Name(name)) => {
                let ip = if v6 { "IPv6" } else { "IPv4" };
                let text = format!("a socket of {name} over {ip}");
                Err(Stop::unsupported(line, text))
            }
            _ => Err(Stop::unsupported(line, "a socket of this family")),
        }
    }

    /// Gives the descriptor that the script says it gets.
    pub(super) fn open(&mut self, line: u32, call: &Call, object: Object) -> Step<Answer> {
        let Arg::Number(fd) = call.result else {
            return Err(Stop::unsupported(line, "a descriptor that is no number"));
        };
        if fd < 0 {
            return Ok(done(0));
        }
        if self.sockets.insert(fd, object) {
            Ok(done(fd))
        } else {
            Err(Stop::fail(
                line,
                format!("the descriptor {fd} is open already"),
            ))
        }
    }

    fn bind(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let default = self.world.our_end(self.settings.bind_port);
        let Some(address) = self.address(line, call.args.get(1), default)? else {
            return Ok(failed("EINVAL"));
        };
        let fd = descriptor(line, call)?;
        let Some(socket) = self.sockets.socket_mut(fd) else {
            return Ok(failed("EBADF"));
        };
        if socket.local.is_some() {
            return Ok(failed("EINVAL"));
        }
        if !address.ip().is_unspecified() && address.ip() != self.world.ours {
            return Ok(failed("EADDRNOTAVAIL"));
        }
        if !socket.is_stream {
            let bound = self.world.stack.udp_bind(address, UdpOptions::default());
            return Ok(match bound {
                Ok(id) => {
                    socket.state = SocketState::Datagram(id);
                    socket.local = Some(address);
                    done(0)
                }
                Err(_) => failed("EADDRINUSE"),
            });
        }
        socket.local = Some(address);
        Ok(done(0))
    }

    fn listen(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let fd = descriptor(line, call)?;
        let backlog = number(line, call.args.get(1))?;
        let any = self.any(0);
        let Some(socket) = self.sockets.socket_mut(fd) else {
            return Ok(failed("EBADF"));
        };
        if let SocketState::Stream(_) | SocketState::Datagram(_) = socket.state {
            return Ok(failed("EINVAL"));
        }
        if let SocketState::Listener(_) = socket.state {
            return Ok(done(0));
        }
        // A backlog of n lets n + 1 wait, in the kernels that scripts were written for.
        let room = usize::try_from(backlog.max(0))
            .unwrap_or(0)
            .saturating_add(1);
        let options = self
            .settings
            .profile
            .listen_options(socket.tcp.clone(), room)
            .fast_open(socket.fast_open);
        let local = socket.local.unwrap_or(any);
        Ok(match self.world.stack.tcp_listen(local, options) {
            Ok(id) => {
                socket.state = SocketState::Listener(id);
                socket.local = self.world.stack.tcp_listener_addr(id).ok();
                self.world.is_fresh = true;
                done(0)
            }
            Err(ListenError::InUse) => failed("EADDRINUSE"),
            Err(_) => failed("EADDRNOTAVAIL"),
        })
    }

    fn accept(&mut self, line: u32, call: &Call) -> Step<Answer> {
        only_any(line, call, 1, 3)?;
        let fd = descriptor(line, call)?;
        let flags = call.args.get(3).map_or(Ok(0), flags_of);
        let flags = flags.map_err(|name| Stop::unsupported(line, format!("the flag {name}")))?;
        let Some(socket) = self.sockets.socket(fd) else {
            return Ok(failed("EBADF"));
        };
        let SocketState::Listener(listener) = socket.state else {
            return Ok(failed("EINVAL"));
        };
        match self.world.stack.tcp_accept(self.world.now, listener) {
            Ok(id) => {
                let mut child = socket.child(id);
                child.nonblocking = flags & NONBLOCK != 0;
                self.open(line, call, Object::Socket(Box::new(child)))
            }
            Err(AcceptError::WouldBlock) if socket.nonblocking => Ok(failed("EAGAIN")),
            Err(AcceptError::WouldBlock) => Ok(Answer::Blocks(None)),
            Err(_) => Ok(failed("EBADF")),
        }
    }

    fn connect(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let default = self.world.their_end(self.settings.connect_port);
        let Some(to) = self.address(line, call.args.get(1), default)? else {
            return Ok(failed("EINVAL"));
        };
        let fd = descriptor(line, call)?;
        let now = self.world.now;
        let Some(socket) = self.sockets.socket(fd) else {
            return Ok(failed("EBADF"));
        };
        match socket.state {
            SocketState::Fresh if socket.is_stream => {}
            SocketState::Stream(_) => return Ok(self.connected(fd)),
            SocketState::Listener(_) => return Ok(failed("EISCONN")),
            SocketState::Fresh | SocketState::Datagram(_) => return self.connect_datagram(fd, to),
        }
        let (local, options) = (socket.local, socket.tcp.clone());
        let (connected, nonblocking) = (
            self.world.stack.tcp_connect(now, to, local, options),
            socket.nonblocking,
        );
        let id = match connected {
            Ok(id) => id,
            Err(error) => return Ok(failed(connect_errno(error))),
        };
        if let Some(socket) = self.sockets.socket_mut(fd) {
            socket.state = SocketState::Stream(id);
            socket.local = self.world.stack.tcp_local_addr(id).ok();
            socket.connecting = true;
        }
        self.sockets.begin_stream();
        self.world.numbers.on_new_flow();
        if let Ok(local) = self.world.stack.tcp_local_addr(id) {
            self.world.begin_flow((local, to));
        }
        Ok(if nonblocking {
            failed("EINPROGRESS")
        } else {
            Answer::Blocks(None)
        })
    }

    /// `connect` on a socket that has begun to.
    fn connected(&mut self, fd: i64) -> Answer {
        let Some(socket) = self.sockets.socket_mut(fd) else {
            return failed("EBADF");
        };
        let SocketState::Stream(id) = socket.state else {
            return failed("EINVAL");
        };
        let Ok(info) = self.world.stack.tcp_info(id) else {
            return failed("EBADF");
        };
        match (info.failure, info.state) {
            (Some(failure), _) if !socket.told => {
                socket.told = true;
                failed(errno_of(failure))
            }
            (_, State::SynSent | State::SynRcvd) if socket.nonblocking => failed("EALREADY"),
            (_, State::SynSent | State::SynRcvd) => Answer::Blocks(None),
            _ if socket.connecting => {
                socket.connecting = false;
                done(0)
            }
            _ => failed("EISCONN"),
        }
    }

    fn connect_datagram(&mut self, fd: i64, to: SocketAddr) -> Step<Answer> {
        let any = self.any(0);
        let Some(socket) = self.sockets.socket_mut(fd) else {
            return Ok(failed("EBADF"));
        };
        if socket.state == SocketState::Fresh {
            match self.world.stack.udp_bind(any, UdpOptions::default()) {
                Ok(id) => socket.state = SocketState::Datagram(id),
                Err(_) => return Ok(failed("EADDRINUSE")),
            }
        }
        let SocketState::Datagram(id) = socket.state else {
            return Ok(failed("EINVAL"));
        };
        if self.world.stack.udp_connect(id, to).is_err() {
            return Ok(failed("ENETUNREACH"));
        }
        if let Ok(local) = self.world.stack.udp_local_addr(id) {
            socket.local = Some(local);
            let ours = SocketAddr::new(self.world.ours, local.port());
            self.world.begin_flow((ours, to));
        }
        Ok(done(0))
    }

    fn shutdown(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let fd = descriptor(line, call)?;
        let how = match call.args.get(1) {
            Some(Arg::Name(name)) if name == "SHUT_RD" => Shutdown::Read,
            Some(Arg::Name(name)) if name == "SHUT_WR" => Shutdown::Write,
            Some(Arg::Name(name)) if name == "SHUT_RDWR" => Shutdown::Both,
            _ => return Err(Stop::unsupported(line, "this way to shut down")),
        };
        let Some(socket) = self.sockets.socket(fd) else {
            return Ok(failed("EBADF"));
        };
        let SocketState::Stream(id) = socket.state else {
            return Ok(failed("ENOTCONN"));
        };
        let done_with = self.world.stack.tcp_shutdown(self.world.now, id, how);
        Ok(done_with.map_or(failed("ENOTCONN"), |()| done(0)))
    }

    fn close(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let fd = descriptor(line, call)?;
        let now = self.world.now;
        let Some(object) = self.sockets.remove(fd) else {
            return Ok(failed("EBADF"));
        };
        if let Object::Socket(socket) = object {
            match socket.state {
                SocketState::Fresh => {}
                SocketState::Listener(id) => self.world.stack.tcp_listener_close(now, id),
                SocketState::Stream(id) => self.world.stack.tcp_close(now, id),
                SocketState::Datagram(id) => self.world.stack.udp_close(id),
            }
        }
        Ok(done(0))
    }

    fn any(&self, port: u16) -> SocketAddr {
        let ip = if self.world.ours.is_ipv6() {
            IpAddr::from([0u16; 8])
        } else {
            IpAddr::from([0u8; 4])
        };
        SocketAddr::new(ip, port)
    }
}

/// The error that a failed connection's calls return.
pub(super) const fn errno_of(failure: TcpFailure) -> &'static str {
    match failure {
        TcpFailure::Refused => "ECONNREFUSED",
        TcpFailure::Reset => "ECONNRESET",
        TcpFailure::TimedOut => "ETIMEDOUT",
        TcpFailure::HostUnreachable => "EHOSTUNREACH",
        TcpFailure::NetworkUnreachable => "ENETUNREACH",
        TcpFailure::AddressGone => "EADDRNOTAVAIL",
        TcpFailure::Aborted => "ECONNABORTED",
    }
}

const fn connect_errno(error: ConnectError) -> &'static str {
    match error {
        ConnectError::Destination => "EINVAL",
        ConnectError::Route(_) => "ENETUNREACH",
        ConnectError::AddressNotAvailable | ConnectError::NoPort => "EADDRNOTAVAIL",
        ConnectError::InUse => "EADDRINUSE",
        ConnectError::NoMemory => "ENOMEM",
    }
}
