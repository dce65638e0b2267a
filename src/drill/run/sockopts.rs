//! Options of sockets, and what fcntl and ioctl know of them.
//!
//! *Owns* the table from their names to netloom's options. *Does not* keep levels apart beyond checking
//! them: no two options share a name here.

use core::time::Duration;

use super::super::ast::{Arg, Call, Field};
use super::super::profile::choice;
use super::args::{NONBLOCK, RDWR, constant, descriptor, flags_of, is_any, said};
use super::calls::{Answer, done, errno_of, failed};
use super::sockets::{Socket, SocketState};
use super::{Runner, Step, Stop};
use crate::stack::{Stack, TcpId};
use crate::tcp::TcpOptions;

/// Options that do something.
const KNOWN: &[&str] = &[
    "TCP_NODELAY",
    "TCP_MAXSEG",
    "TCP_USER_TIMEOUT",
    "TCP_KEEPIDLE",
    "TCP_KEEPINTVL",
    "TCP_KEEPCNT",
    "TCP_SYNCNT",
    "TCP_FASTOPEN",
    "TCP_CONGESTION",
    "TCP_INFO",
    "TCP_LINGER2",
    "SO_KEEPALIVE",
    "SO_LINGER",
    "SO_RCVBUF",
    "SO_SNDBUF",
    "SO_ERROR",
    "IP_TOS",
    "IPV6_TCLASS",
    "IP_TTL",
    "IPV6_UNICAST_HOPS",
];

/// Options that are kept and change no packet here.
const KEPT: &[&str] = &["SO_REUSEADDR", "SO_REUSEPORT", "TCP_INQ"];

/// Options of which one value is what netloom does.
const ONLY: &[(&str, i64)] = &[
    ("TCP_CORK", 0),
    ("TCP_QUICKACK", 1),
    ("IP_MTU_DISCOVER", 1),
    ("IP_MTU_DISCOVER", 2),
];

pub(super) fn check(line: u32, call: &Call) -> Step<()> {
    let name = name_of(line, call)?;
    let is_only = ONLY.iter().any(|(only, _)| *only == name);
    if !(KNOWN.contains(&name) || KEPT.contains(&name) || is_only) {
        return Err(Stop::unsupported(line, format!("the socket option {name}")));
    }
    if !is_of_level(name, call.args.get(1)) {
        return Err(Stop::unsupported(line, format!("{name} at this level")));
    }
    let is_set = call.name == "setsockopt";
    if !is_length_of(name, call.args.get(4), is_set) {
        return Err(Stop::unsupported(line, format!("this length of {name}")));
    }
    Ok(())
}

fn is_of_level(name: &str, level: Option<&Arg>) -> bool {
    let levels: [&str; 2] = match name.split('_').next() {
        Some("TCP") => ["SOL_TCP", "IPPROTO_TCP"],
        Some("IP") => ["SOL_IP", "IPPROTO_IP"],
        Some("IPV6") => ["SOL_IPV6", "IPPROTO_IPV6"],
        _ => ["SOL_SOCKET", "SOL_SOCKET"],
    };
    matches!(level, Some(Arg::Name(level)) if levels.contains(&level.as_str())) || is_any(level)
}

/// A number has four bytes, a pair eight, and what is read says its length in brackets.
fn is_length_of(name: &str, length: Option<&Arg>, is_set: bool) -> bool {
    let wanted = match name {
        "SO_LINGER" => 8,
        // A name is as long as it is written, and TCP_INFO as the kernel has it.
        "TCP_CONGESTION" if is_set => return true,
        "TCP_CONGESTION" => 16,
        "TCP_INFO" => return is_any(length),
        _ => 4,
    };
    match length {
        Some(Arg::Number(length)) if is_set => *length == wanted,
        Some(Arg::List(list)) if !is_set && list.len() == 1 => inner_is(list.first(), wanted),
        length => is_any(length),
    }
}

fn inner_is(arg: Option<&Arg>, wanted: i64) -> bool {
    is_any(arg) || matches!(arg, Some(Arg::Number(number)) if *number == wanted)
}

fn name_of(line: u32, call: &Call) -> Step<&str> {
    match call.args.get(2) {
        Some(Arg::Name(name)) => Ok(name),
        _ => Err(Stop::unsupported(line, "a socket option without a name")),
    }
}

/// The number of `[5]` or `5`.
pub(super) fn inner(arg: &Arg) -> Option<i64> {
    match arg {
        Arg::Number(number) => Some(*number),
        Arg::Name(name) => constant(name),
        Arg::List(list) => list.first().and_then(inner),
        _ => None,
    }
}

fn text(arg: Option<&Arg>) -> Option<&str> {
    match arg? {
        Arg::Text(text) => Some(text),
        Arg::List(list) => text(list.first()),
        _ => None,
    }
}

/// `{onoff=1, linger=2}` or `{1, 2}`, in a list or not.
fn linger(arg: Option<&Arg>) -> Option<(i64, i64)> {
    let fields = match arg? {
        Arg::Record(fields) => fields,
        Arg::List(list) if list.len() == 1 => return linger(list.first()),
        _ => return None,
    };
    let [on, time] = fields.as_slice() else {
        return None;
    };
    let value = |field: &Field, names: [&str; 2]| {
        let name = field.name.as_deref();
        let right = name.is_none_or(|name| names.contains(&name));
        inner(&field.value).filter(|_| right)
    };
    let on = value(on, ["onoff", "l_onoff"])?;
    Some((on, value(time, ["linger", "l_linger"])?))
}

impl Runner {
    pub(super) fn setsockopt(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let fd = descriptor(line, call)?;
        let name = name_of(line, call)?;
        let value = call.args.get(3);
        let number = value.and_then(inner);
        let Some(socket) = self.sockets.socket_mut(fd) else {
            return Ok(failed("EBADF"));
        };
        if KEPT.contains(&name) {
            let unknown = || Stop::unsupported(line, format!("this value of {name}"));
            let number = number.ok_or_else(unknown)?;
            socket.kept.insert(name.to_owned(), number);
            return Ok(done(0));
        }
        if let Some(number) = number
            && ONLY.iter().any(|(only, _)| *only == name)
        {
            if ONLY.contains(&(name, number)) {
                return Ok(done(0));
            }
            return Err(Stop::unsupported(line, format!("{name} {number}")));
        }
        if name == "TCP_FASTOPEN" {
            return set_fast_open(line, socket, number);
        }
        let tcp = socket.tcp.clone();
        let changed = match name {
            "TCP_CONGESTION" => match text(value).and_then(choice) {
                Some(choice) => tcp.congestion(choice),
                None => return Err(Stop::unsupported(line, "this congestion control")),
            },
            "SO_LINGER" => {
                let Some((on, seconds)) = linger(value) else {
                    return Err(Stop::unsupported(line, "this value of SO_LINGER"));
                };
                let time = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                tcp.linger(Some(time).filter(|_| on != 0))
            }
            _ => {
                let Some(number) = number else {
                    return Err(Stop::unsupported(line, format!("this value of {name}")));
                };
                match set_number(socket, name, number) {
                    Some(changed) => changed,
                    None => return Ok(failed("EINVAL")),
                }
            }
        };
        socket.tcp = changed.clone();
        if let SocketState::Stream(id) = socket.state {
            let set = self
                .world
                .stack
                .tcp_set_options(self.world.now, id, changed);
            return Ok(set.map_or(failed("EBADF"), |()| done(0)));
        }
        Ok(done(0))
    }

    pub(super) fn getsockopt(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let fd = descriptor(line, call)?;
        let name = name_of(line, call)?;
        let wanted = call.args.get(3);
        let Some(socket) = self.sockets.socket(fd) else {
            return Ok(failed("EBADF"));
        };
        let socket = socket.clone();
        match name {
            "TCP_CONGESTION" => return self.get_congestion(line, &socket, wanted),
            "SO_LINGER" => return self.get_linger(line, &socket, wanted),
            "SO_ERROR" => return self.get_error(line, fd, &socket, wanted),
            _ => {}
        }
        if name == "TCP_INFO" && !matches!(wanted, Some(Arg::Any)) {
            return Err(Stop::unsupported(
                line,
                "TCP_INFO that is compared: use code",
            ));
        }
        let live = get_number(&self.world.stack, &socket, name);
        match live {
            Some(live) => {
                let wanted = said(line, name, wanted, inner)?;
                self.compare(line, name, wanted, live)?;
                Ok(done(0))
            }
            None if is_any(wanted) => Ok(done(0)),
            None => Err(Stop::unsupported(line, format!("the value of {name}"))),
        }
    }

    fn get_congestion(&mut self, line: u32, socket: &Socket, wanted: Option<&Arg>) -> Step<Answer> {
        let name = "TCP_CONGESTION";
        let live = socket.tcp.congestion_setting().name();
        match text(wanted) {
            Some(wanted) if wanted != live => {
                self.miss(
                    line,
                    format!("{name} is {live} and not {wanted}"),
                    self.settings.lenient_calls,
                )?;
                Ok(done(0))
            }
            None if !is_any(wanted) => Err(Stop::unsupported(line, "this value of TCP_CONGESTION")),
            _ => Ok(done(0)),
        }
    }

    fn get_linger(&mut self, line: u32, socket: &Socket, wanted: Option<&Arg>) -> Step<Answer> {
        let name = "SO_LINGER";
        let live = socket.tcp.linger_setting();
        let on = i64::from(live.is_some());
        let seconds = live.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(0));
        if is_any(wanted) {
            return Ok(done(0));
        }
        let Some(wanted) = linger(wanted) else {
            return Err(Stop::unsupported(line, "this value of SO_LINGER"));
        };
        self.compare(line, name, Some(wanted.0), on)?;
        self.compare(line, name, Some(wanted.1), seconds)?;
        Ok(done(0))
    }

    fn get_error(
        &mut self,
        line: u32,
        fd: i64,
        socket: &Socket,
        wanted: Option<&Arg>,
    ) -> Step<Answer> {
        let name = "SO_ERROR";
        let errno = self.take_error(fd, socket);
        let live = errno.map_or(Some(0), number_of_errno);
        let wanted = said(line, name, wanted, |arg| match arg {
            Arg::List(list) => list.first().and_then(errno_value),
            other => errno_value(other),
        })?;
        match (live, wanted) {
            (_, None) => Ok(done(0)),
            (Some(live), Some(_)) => {
                self.compare(line, name, wanted, live)?;
                Ok(done(0))
            }
            (None, Some(_)) => Err(Stop::unsupported(line, "this error's number")),
        }
    }

    pub(super) fn fcntl(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let fd = descriptor(line, call)?;
        let Some(socket) = self.sockets.socket_mut(fd) else {
            return Ok(failed("EBADF"));
        };
        match call.args.get(1) {
            Some(Arg::Name(name)) if name == "F_GETFL" => {
                let nonblocking = if socket.nonblocking { NONBLOCK } else { 0 };
                Ok(done(RDWR | nonblocking))
            }
            Some(Arg::Name(name)) if name == "F_SETFL" => {
                let flags = call.args.get(2).map_or(Ok(0), flags_of);
                let unknown = |name: &str| Stop::unsupported(line, format!("the flag {name}"));
                socket.nonblocking = flags.map_err(unknown)? & NONBLOCK != 0;
                Ok(done(0))
            }
            _ => Err(Stop::unsupported(line, "this command of fcntl")),
        }
    }

    pub(super) fn ioctl(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let fd = descriptor(line, call)?;
        let Some(socket) = self.sockets.socket(fd) else {
            return Ok(failed("EBADF"));
        };
        let SocketState::Stream(id) = socket.state else {
            return Ok(failed("EINVAL"));
        };
        let Ok(info) = self.world.stack.tcp_info(id) else {
            return Ok(failed("EBADF"));
        };
        let live = match call.args.get(1) {
            Some(Arg::Name(name)) if ["SIOCINQ", "FIONREAD"].contains(&name.as_str()) => {
                info.unread
            }
            // A FIN that is on its way is no byte.
            Some(Arg::Name(name)) if ["SIOCOUTQ", "TIOCOUTQ"].contains(&name.as_str()) => {
                let total = self.sockets.written;
                u32::try_from(total.saturating_sub(info.bytes_acked)).unwrap_or(u32::MAX)
            }
            _ => return Err(Stop::unsupported(line, "this command of ioctl")),
        };
        match said(line, "ioctl", call.args.get(2), inner)? {
            None => Ok(done(0)),
            Some(wanted) if i64::from(live) == wanted => Ok(done(0)),
            Some(wanted) => {
                let text = format!("ioctl gave {live} and not {wanted}");
                self.miss(line, text, self.settings.lenient_calls)?;
                Ok(done(0))
            }
        }
    }

    fn compare(&mut self, line: u32, name: &str, wanted: Option<i64>, live: i64) -> Step<()> {
        match wanted {
            Some(wanted) if wanted != live => {
                let text = format!("{name} is {live} and not {wanted}");
                self.miss(line, text, self.settings.lenient_calls)
            }
            _ => Ok(()),
        }
    }

    /// SO_ERROR: a failure is told once.
    fn take_error(&mut self, fd: i64, socket: &Socket) -> Option<&'static str> {
        let SocketState::Stream(id) = socket.state else {
            return None;
        };
        let info = self.world.stack.tcp_info(id).ok()?;
        let failure = info.failure?;
        self.tell(fd).then(|| errno_of(failure))
    }
}

/// The numbers of Linux on most machines.
const ERRNOS: &[(&str, i64)] = &[
    ("EPIPE", 32),
    ("ENETUNREACH", 101),
    ("ECONNABORTED", 103),
    ("ECONNRESET", 104),
    ("ETIMEDOUT", 110),
    ("ECONNREFUSED", 111),
    ("EHOSTUNREACH", 113),
];

fn number_of_errno(name: &str) -> Option<i64> {
    let known = ERRNOS.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| *number)
}

fn errno_value(arg: &Arg) -> Option<i64> {
    match arg {
        Arg::Name(name) => number_of_errno(name),
        other => inner(other),
    }
}

/// Only of who is going to listen.
fn set_fast_open(line: u32, socket: &mut Socket, number: Option<i64>) -> Step<Answer> {
    let pending = number.and_then(|number| usize::try_from(number).ok());
    let unknown = || Stop::unsupported(line, "TCP_FASTOPEN of who listens already");
    let fresh = pending.filter(|_| socket.state == SocketState::Fresh);
    socket.fast_open = fresh.ok_or_else(unknown)?;
    Ok(done(0))
}

/// The options with a number set; `None` when it cannot be that.
fn set_number(socket: &mut Socket, name: &str, number: i64) -> Option<TcpOptions> {
    let tcp = socket.tcp.clone();
    let positive = u64::try_from(number).ok().filter(|&number| number > 0);
    let octet = u8::try_from(number).ok();
    Some(match name {
        "TCP_NODELAY" => tcp.nodelay(number != 0),
        "TCP_MAXSEG" => tcp.mss(Some(u16::try_from(number).ok().filter(|&mss| mss > 0)?)),
        "TCP_USER_TIMEOUT" => tcp.user_timeout(positive.map(Duration::from_millis)),
        "TCP_SYNCNT" => tcp.syn_retries(octet.filter(|&count| count > 0)?),
        "TCP_LINGER2" => tcp.fin_timeout(Duration::from_secs(positive?)),
        "SO_RCVBUF" => {
            let bytes = usize::try_from(positive?).ok()?;
            // The kernel doubles it, and uses half for windows.
            tcp.recv_buffer_initial(bytes).recv_buffer_max(bytes)
        }
        "SO_SNDBUF" => tcp.send_buffer(usize::try_from(positive?).ok()?),
        "IP_TOS" | "IPV6_TCLASS" => tcp.tos(octet?),
        "IP_TTL" | "IPV6_UNICAST_HOPS" => tcp.ttl(octet.filter(|&ttl| ttl > 0)?),
        _ => return set_keepalive(socket, name, number),
    })
}

fn set_keepalive(socket: &mut Socket, name: &str, number: i64) -> Option<TcpOptions> {
    let seconds = || {
        let seconds = u64::try_from(number).ok().filter(|&number| number > 0);
        seconds.map(Duration::from_secs)
    };
    match name {
        "SO_KEEPALIVE" => socket.keepalive_on = number != 0,
        "TCP_KEEPIDLE" => socket.keepalive.idle = seconds()?,
        "TCP_KEEPINTVL" => socket.keepalive.interval = seconds()?,
        "TCP_KEEPCNT" => {
            socket.keepalive.probes = u8::try_from(number).ok().filter(|&count| count > 0)?;
        }
        _ => return None,
    }
    let keepalive = socket.keepalive_on.then_some(socket.keepalive);
    Some(socket.tcp.clone().keepalive(keepalive))
}

fn get_number(stack: &Stack, socket: &Socket, name: &str) -> Option<i64> {
    if let Some(kept) = socket.kept.get(name) {
        return Some(*kept);
    }
    let seconds = |time: Duration| i64::try_from(time.as_secs()).ok();
    Some(match name {
        "SO_REUSEADDR" | "SO_REUSEPORT" | "TCP_INQ" => 0,
        "TCP_FASTOPEN" => i64::try_from(socket.fast_open).ok()?,
        "TCP_NODELAY" => i64::from(socket.tcp.nodelay_setting()),
        "TCP_USER_TIMEOUT" => {
            let time = socket.tcp.user_timeout_setting();
            i64::try_from(time.map_or(0, |time| time.as_millis())).ok()?
        }
        "SO_KEEPALIVE" => i64::from(socket.keepalive_on),
        "TCP_KEEPIDLE" => seconds(socket.keepalive.idle)?,
        "TCP_KEEPINTVL" => seconds(socket.keepalive.interval)?,
        "TCP_KEEPCNT" => i64::from(socket.keepalive.probes),
        "IP_TOS" | "IPV6_TCLASS" => i64::from(socket.tcp.tos_setting()),
        "IP_TTL" | "IPV6_UNICAST_HOPS" => socket.tcp.ttl_setting().map_or(64, i64::from),
        "TCP_MAXSEG" => match socket.state {
            SocketState::Stream(id) => snd_mss(stack, id)?,
            _ => return None,
        },
        _ => return None,
    })
}

fn snd_mss(stack: &Stack, id: TcpId) -> Option<i64> {
    Some(i64::from(stack.tcp_info(id).ok()?.snd_mss))
}
