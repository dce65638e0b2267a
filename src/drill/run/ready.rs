//! Calls that wait for readiness: poll and epoll.
//!
//! *Owns* what a socket is ready for. *Does not* know edges: readiness is looked up when it is asked for.

use core::time::Duration;
use std::collections::BTreeMap;

use super::super::ast::{Arg, Call, Field};
use super::args::{descriptor, flags_of, number};
use super::calls::{Answer, count, done, failed};
use super::sockets::{Object, SocketState};
use super::{Runner, Step, Stop};
use crate::base::Instant;
use crate::stack::TcpId;
use crate::tcp::State;

const IN: u32 = 0x1;
const OUT: u32 = 0x4;
const ERR: u32 = 0x8;
const HUP: u32 = 0x10;
const READ_NORMAL: u32 = 0x40;
const WRITE_NORMAL: u32 = 0x100;
const READ_HUP: u32 = 0x2000;
/// Told whether asked for or not.
const ALWAYS: u32 = ERR | HUP;

impl Runner {
    /// `began` is when the call was made first; [`Instant::ZERO`] when its time is over.
    pub(super) fn ready_call(&mut self, line: u32, call: &Call, began: Instant) -> Step<Answer> {
        match call.name.as_str() {
            "poll" => self.poll(line, call, began),
            "epoll_ctl" => self.epoll_ctl(line, call),
            "epoll_wait" => self.epoll_wait(line, call, began),
            _ => self.open(line, call, Object::Epoll(BTreeMap::new())),
        }
    }

    fn poll(&mut self, line: u32, call: &Call, began: Instant) -> Step<Answer> {
        let Some(Arg::List(entries)) = call.args.first() else {
            return Err(Stop::unsupported(line, "a list of this form"));
        };
        if number(line, call.args.get(1))? != count(entries.len()) {
            return Err(Stop::unsupported(line, "a list of another length"));
        }
        let mut ready = 0usize;
        let mut seen = Vec::new();
        for entry in entries {
            let Arg::Record(fields) = entry else {
                return Err(Stop::unsupported(line, "a list of this form"));
            };
            only_fields(line, fields, &["fd", "events", "revents"])?;
            let fd = number(line, field(fields, "fd"))?;
            let asked = mask(line, field(fields, "events"))?;
            let found = match self.readiness(fd) {
                Some(found) => found & (asked | ALWAYS),
                None => 0x20, // POLLNVAL
            };
            ready += usize::from(found != 0);
            let wanted = match field(fields, "revents") {
                None | Some(Arg::Any) => None,
                arg => Some(mask(line, arg)?),
            };
            seen.push((fd, wanted, found));
        }
        let timeout = number(line, call.args.get(2))?;
        if ready == 0 && timeout != 0 && began > Instant::ZERO {
            return Ok(Answer::Blocks(alarm(self.world.now, timeout)));
        }
        for (fd, wanted, found) in seen {
            self.check_mask(line, fd, wanted, found)?;
        }
        Ok(done(count(ready)))
    }

    fn check_mask(&mut self, line: u32, fd: i64, wanted: Option<u32>, found: u32) -> Step<()> {
        match wanted {
            Some(wanted) if wanted != found => {
                let text = format!("{fd} is ready for 0x{found:x} and not 0x{wanted:x}");
                self.miss(line, text, self.settings.lenient_calls)
            }
            _ => Ok(()),
        }
    }

    fn epoll_ctl(&mut self, line: u32, call: &Call) -> Step<Answer> {
        let epoll = descriptor(line, call)?;
        let fd = number(line, call.args.get(2))?;
        let operation = match call.args.get(1) {
            Some(Arg::Name(name)) => name.as_str(),
            _ => return Err(Stop::unsupported(line, "an operation without a name")),
        };
        let watched = match call.args.get(3) {
            Some(Arg::Record(fields)) => {
                let events = mask(line, field(fields, "events"))?;
                (events, data(line, fields)?.unwrap_or(0))
            }
            _ if operation == "EPOLL_CTL_DEL" => (0, 0),
            _ => return Err(Stop::unsupported(line, "an event of this form")),
        };
        if !self.sockets.has(fd) {
            return Ok(failed("EBADF"));
        }
        let Some(all) = self.sockets.epoll_mut(epoll) else {
            return Ok(failed("EBADF"));
        };
        Ok(match operation {
            "EPOLL_CTL_ADD" if all.contains_key(&fd) => failed("EEXIST"),
            "EPOLL_CTL_ADD" => {
                all.insert(fd, watched);
                done(0)
            }
            "EPOLL_CTL_MOD" => match all.get_mut(&fd) {
                Some(entry) => {
                    *entry = watched;
                    done(0)
                }
                None => failed("ENOENT"),
            },
            "EPOLL_CTL_DEL" if all.remove(&fd).is_some() => done(0),
            "EPOLL_CTL_DEL" => failed("ENOENT"),
            other => return Err(Stop::unsupported(line, other)),
        })
    }

    fn epoll_wait(&mut self, line: u32, call: &Call, began: Instant) -> Step<Answer> {
        let epoll = descriptor(line, call)?;
        let Some(all) = self.sockets.epoll_mut(epoll) else {
            return Ok(failed("EBADF"));
        };
        let watched: Vec<_> = all.iter().map(|(&fd, &entry)| (fd, entry)).collect();
        let most = usize::try_from(number(line, call.args.get(2))?).unwrap_or(0);
        let mut found = Vec::new();
        for (fd, (asked, data)) in watched {
            let ready = self.readiness(fd).unwrap_or(0) & (asked | ALWAYS);
            if ready != 0 && found.len() < most {
                found.push((data, ready));
            }
        }
        let timeout = number(line, call.args.get(3))?;
        if found.is_empty() && timeout != 0 && began > Instant::ZERO {
            return Ok(Answer::Blocks(alarm(self.world.now, timeout)));
        }
        self.check_events(line, call.args.get(1), &found)?;
        Ok(done(count(found.len())))
    }

    /// Compares what a script says that it gets with what there is: data, and what it is ready for.
    fn check_events(&mut self, line: u32, said: Option<&Arg>, found: &[(i64, u32)]) -> Step<()> {
        let wanted: Vec<&Arg> = match said {
            Some(Arg::List(list)) => list.iter().collect(),
            Some(record @ Arg::Record(_)) => vec![record],
            // Not looked at; or nothing comes.
            None | Some(Arg::Any) => return Ok(()),
            Some(_) => return Err(Stop::unsupported(line, "events of this form")),
        };
        // Of a call that returns none, the record is only where they would be.
        if !found.is_empty() && wanted.len() != found.len() {
            let text = format!("{} events and not {}", found.len(), wanted.len());
            self.miss(line, text, self.settings.lenient_calls)?;
        }
        for (entry, &(data_found, ready)) in wanted.iter().zip(found) {
            let Arg::Record(fields) = entry else {
                return Err(Stop::unsupported(line, "an event of this form"));
            };
            if field(fields, "events").is_some() {
                let asked = mask(line, field(fields, "events"))?;
                self.check_mask(line, data_found, Some(asked), ready)?;
            }
            let wanted_data = data(line, fields)?;
            if wanted_data.is_some_and(|wanted| wanted != data_found) {
                let wanted = wanted_data.unwrap_or(0);
                let text = format!("the event is of {data_found} and not {wanted}");
                self.miss(line, text, self.settings.lenient_calls)?;
            }
        }
        Ok(())
    }

    /// What a descriptor is ready for; `None` when there is none.
    fn readiness(&self, fd: i64) -> Option<u32> {
        let socket = self.sockets.socket(fd)?;
        Some(match socket.state {
            SocketState::Fresh => OUT | HUP,
            SocketState::Listener(id) => {
                let waiting = self.world.stack.tcp_listener_waiting(id).unwrap_or(0);
                if waiting > 0 { IN | READ_NORMAL } else { 0 }
            }
            SocketState::Stream(id) => self.stream_readiness(id, socket.told),
            SocketState::Datagram(_) => OUT | WRITE_NORMAL,
        })
    }

    fn stream_readiness(&self, id: TcpId, told: bool) -> u32 {
        let Ok(info) = self.world.stack.tcp_info(id) else {
            return HUP;
        };
        if info.failure.is_some() {
            let error = if told { 0 } else { ERR };
            return error | IN | OUT | HUP | READ_HUP | READ_NORMAL | WRITE_NORMAL;
        }
        let mut ready = 0;
        let peer_ended = has_peer_ended(info.state);
        let we_ended = !matches!(info.state, State::Established | State::CloseWait);
        if matches!(info.state, State::SynSent | State::SynRcvd) {
            return 0;
        }
        if info.unread > 0 || peer_ended {
            ready |= IN | READ_NORMAL;
        }
        if peer_ended {
            ready |= READ_HUP;
        }
        if peer_ended && we_ended {
            ready |= HUP;
        }
        // A third of the buffer must be free before a writer is told.
        let queued = info.unacked.saturating_add(info.unsent);
        if we_ended || queued < info.snd_buffer / 3 * 2 {
            ready |= OUT | WRITE_NORMAL;
        }
        ready
    }
}

/// Has the peer's FIN come?
pub(super) const fn has_peer_ended(state: State) -> bool {
    matches!(
        state,
        State::CloseWait | State::Closing | State::LastAck | State::TimeWait | State::Closed
    )
}

fn alarm(now: Instant, millis: i64) -> Option<Instant> {
    let millis = u64::try_from(millis).ok()?;
    Some(now + Duration::from_millis(millis))
}

fn field<'a>(fields: &'a [Field], name: &str) -> Option<&'a Arg> {
    let found = fields.iter().find(|f| f.name.as_deref() == Some(name));
    found.map(|field| &field.value)
}

fn mask(line: u32, arg: Option<&Arg>) -> Step<u32> {
    let bits = arg.map_or(Ok(0), flags_of);
    let bits = bits.map_err(|name| Stop::unsupported(line, format!("the constant {name}")))?;
    Ok(u32::try_from(bits).unwrap_or(0))
}

/// What an event gives back, if the script says it: `fd=4`, `ptr=4`, `u32=4`, `u64=4`.
fn data(line: u32, fields: &[Field]) -> Step<Option<i64>> {
    const NAMES: [&str; 4] = ["fd", "ptr", "u32", "u64"];
    only_fields(line, fields, &["events", "fd", "ptr", "u32", "u64"])?;
    let found = NAMES.iter().find_map(|name| field(fields, name));
    found.map(|arg| number(line, Some(arg))).transpose()
}

/// A field that nothing here knows would not be compared.
fn only_fields(line: u32, fields: &[Field], known: &[&str]) -> Step<()> {
    let stranger = fields.iter().find(|field| {
        let name = field.name.as_deref();
        name.is_none_or(|name| !known.contains(&name))
    });
    match stranger {
        None => Ok(()),
        Some(field) => {
            let name = field.name.as_deref().unwrap_or("without a name");
            Err(Stop::unsupported(line, format!("the field {name}")))
        }
    }
}
