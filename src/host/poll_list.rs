//! The sockets of a [`Poller`](super::Poller): who is in it, and who stands in line to be asked what it is ready for.
//!
//! *Owns* the line and its sleepers: a condition variable, and a descriptor once somebody has asked for it. *Does not* ask a socket anything, so
//! that it may be locked under the core's lock, and never the other way round.
//! Invariants: a socket stands in line once; a step costs the same however many sockets there are, but for the logarithm of those in line; the
//! descriptor is readable exactly while somebody stands in line or a notification waits.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd;

use super::poller::{Interest, PollMode, Source};
use super::shared::Shared;
use crate::stack::Readiness;

/// A socket's place in a list; never another's, even when it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token(u64);

/// All that a poller's threads, and those who tell it of news, share.
pub(crate) struct PollList {
    inner: Mutex<Inner>,
    sleepers: Condvar,
    /// Does anybody stand in line, or a notification wait? For a thread that leads.
    pending: AtomicBool,
    event: EventFd,
}

#[derive(Default)]
struct Inner {
    members: BTreeMap<Token, Member>,
    /// Their hosts, and how many are of each: few as a rule.
    hosts: Vec<(Arc<Shared>, usize)>,
    /// Those who are to be asked, in the order of their news.
    line: BTreeMap<u64, Token>,
    next_token: u64,
    next_place: u64,
    notified: bool,
    /// Threads on the condition variable.
    sleeping: usize,
    /// Threads that lead their host meanwhile: they look at the line when they are done.
    leading: usize,
    /// Was the descriptor asked for? It costs system calls from then on.
    exposed: bool,
    /// Is it readable?
    raised: bool,
}

struct Member {
    key: usize,
    source: Arc<Source>,
    interest: Interest,
    mode: PollMode,
    /// How often its user has said what is wanted: what was found before that is no answer to it.
    version: u64,
    place: Option<u64>,
}

/// A socket that is to be asked.
pub(crate) struct Candidate {
    pub(crate) token: Token,
    version: u64,
    pub(crate) key: usize,
    pub(crate) interest: Interest,
    pub(crate) source: Arc<Source>,
}

impl PollList {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self {
            inner: Mutex::default(),
            sleepers: Condvar::new(),
            pending: AtomicBool::new(false),
            event: EventFd::from_flags(flags)?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a place for a socket. It stands in line once [`set`](Self::set) has said what for.
    pub(crate) fn add(&self, source: Arc<Source>) -> Token {
        let mut inner = self.lock();
        let token = Token(inner.next_token);
        inner.next_token += 1;
        inner.count_in(source.shared());
        let member = Member {
            key: 0,
            source,
            interest: Interest::empty(),
            mode: PollMode::Oneshot,
            version: 0,
            place: None,
        };
        inner.members.insert(token, member);
        token
    }

    /// What a socket is asked for from now on; it is to be asked at once. Says whether it is there.
    pub(crate) fn set(&self, token: Token, key: usize, interest: Interest, mode: PollMode) -> bool {
        let mut inner = self.lock();
        let Some(member) = inner.members.get_mut(&token) else {
            return false;
        };
        (member.key, member.interest, member.mode) = (key, interest, mode);
        member.version += 1;
        inner.queue(token);
        self.settle(&mut inner);
        self.wake_one(inner);
        true
    }

    /// Forgets a socket.
    pub(crate) fn remove(&self, token: Token) {
        let mut inner = self.lock();
        let member = inner.members.remove(&token);
        let host = member
            .as_ref()
            .map(|member| inner.count_out(member.source.shared()));
        if let Some(place) = member.as_ref().and_then(|member| member.place) {
            inner.line.remove(&place);
            self.settle(&mut inner);
        }
        drop(inner);
        // It may hold the last of a channel, with handles in it.
        drop((member, host));
    }

    /// A socket has news; is a sleeper to be told, by [`signal`](Self::signal)?
    pub(crate) fn note(&self, token: Token, news: Readiness) -> bool {
        let mut inner = self.lock();
        let wanted = inner.members.get(&token);
        if wanted.is_none_or(|member| !member.interest.is_met_by(news)) {
            return false;
        }
        inner.queue(token);
        self.settle(&mut inner);
        inner.sleeping > 0 && inner.leading == 0
    }

    /// Wakes one who sleeps, if there is something for it.
    pub(crate) fn signal(&self) {
        if self.is_pending() {
            self.sleepers.notify_one();
        }
    }

    /// Has one wait return without an event.
    pub(crate) fn notify(&self) {
        let mut inner = self.lock();
        inner.notified = true;
        self.settle(&mut inner);
        self.wake_one(inner);
    }

    /// Wakes one who sleeps or leads, of whom nobody has told a leader.
    fn wake_one(&self, inner: MutexGuard<'_, Inner>) {
        let leads = inner.leading > 0;
        let hosts = inner.hosts.iter().filter(|_| leads);
        let hosts: Vec<_> = hosts.map(|(host, _)| Arc::clone(host)).collect();
        drop(inner);
        self.signal();
        for host in hosts {
            host.nudge_leader();
        }
    }

    /// Is there anything to look at?
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Takes the first of the line, `most` of them; and was there a notification?
    pub(crate) fn take(&self, most: usize) -> (Vec<Candidate>, bool) {
        let mut inner = self.lock();
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((_, token)) = inner.line.pop_first()
        {
            // Who stands in line is there.
            let Some(member) = inner.members.get_mut(&token) else {
                continue;
            };
            member.place = None;
            taken.push(Candidate {
                token,
                version: member.version,
                key: member.key,
                interest: member.interest,
                source: Arc::clone(&member.source),
            });
        }
        let notified = std::mem::take(&mut inner.notified);
        self.settle(&mut inner);
        let more = !inner.line.is_empty() && inner.sleeping > 0;
        drop(inner);
        if more {
            self.signal();
        }
        (taken, notified)
    }

    /// A socket was found `ready`: what of that its user wants to hear still. One that is told but once is not asked again before its user
    /// says so; another stands in line again. Where its user has said so meanwhile, for another thread was told, what was found is old: it
    /// stands in line anew since then.
    pub(crate) fn tell(&self, of: &Candidate, ready: Interest) -> Interest {
        let (token, mut inner) = (of.token, self.lock());
        let there = inner.members.get_mut(&token);
        let Some(member) = there.filter(|member| member.version == of.version) else {
            return Interest::empty();
        };
        let told = ready & member.interest;
        if told.is_empty() {
            return told;
        }
        match member.mode {
            PollMode::Oneshot => member.interest = Interest::empty(),
            PollMode::Level => {
                inner.queue(token);
                self.settle(&mut inner);
            }
        }
        told
    }

    /// Sleeps until something is there, or for `timeout` at most (`None`: for ever).
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        let mut inner = self.lock();
        if inner.is_pending() {
            return;
        }
        inner.sleeping += 1;
        let mut inner = match timeout {
            None => self
                .sleepers
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let waited = self.sleepers.wait_timeout(inner, timeout);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        inner.sleeping -= 1;
    }

    /// The host whose sockets are all of these, if they are of one: a thread that would sleep may lead it.
    pub(crate) fn host(&self) -> Option<Arc<Shared>> {
        match &self.lock().hosts[..] {
            [(only, _)] => Some(Arc::clone(only)),
            _ => None,
        }
    }

    /// A thread leads a host while `leads` lasts.
    pub(crate) fn while_leading<T>(&self, leads: impl FnOnce() -> T) -> T {
        self.lock().leading += 1;
        let led = leads();
        self.lock().leading -= 1;
        led
    }

    /// Its descriptor, which is readable while a wait would return at once.
    pub(crate) fn expose(&self) -> BorrowedFd<'_> {
        let mut inner = self.lock();
        inner.exposed = true;
        self.settle(&mut inner);
        drop(inner);
        self.event.as_fd()
    }

    /// Makes what is seen without the lock say what is under it.
    fn settle(&self, inner: &mut Inner) {
        let pending = inner.is_pending();
        self.pending.store(pending, Ordering::Release);
        if !inner.exposed || inner.raised == pending {
            return;
        }
        inner.raised = pending;
        // Neither can fail: the counter is 0 or 1.
        let _ = if pending {
            self.event.write(1)
        } else {
            unistd::read(self.event.as_fd(), &mut [0; 8])
        };
    }
}

impl Inner {
    fn is_pending(&self) -> bool {
        self.notified || !self.line.is_empty()
    }

    fn count_in(&mut self, host: &Arc<Shared>) {
        let known = self
            .hosts
            .iter_mut()
            .find(|(known, _)| Arc::ptr_eq(known, host));
        match known {
            Some((_, members)) => *members += 1,
            None => self.hosts.push((Arc::clone(host), 1)),
        }
    }

    /// Gives the host back with its last member.
    fn count_out(&mut self, host: &Arc<Shared>) -> Option<Arc<Shared>> {
        let at = self
            .hosts
            .iter()
            .position(|(known, _)| Arc::ptr_eq(known, host))?;
        let members = &mut self.hosts[at].1;
        *members -= 1;
        (*members == 0).then(|| self.hosts.swap_remove(at).0)
    }

    /// Puts a socket last in line, unless it stands there or nothing is wanted of it.
    fn queue(&mut self, token: Token) {
        let Some(member) = self.members.get_mut(&token) else {
            return;
        };
        if member.place.is_none() && !member.interest.is_empty() {
            member.place = Some(self.next_place);
            self.line.insert(self.next_place, token);
            self.next_place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Medium, pair};
    use crate::host::Host;
    use crate::host::poller::AsSource;

    /// Two threads ask the same socket; the first is told, serves it and asks again, and then the second has its answer: that is old.
    #[test]
    fn what_was_found_before_its_user_asked_again_is_not_told() {
        let host = Host::builder(pair(Medium::Ip, 1500).0);
        let host = host
            .address("10.7.0.1/24".parse().unwrap())
            .spawn()
            .unwrap();
        let socket = host.udp_bind("10.7.0.1:7").unwrap();
        let list = PollList::new().unwrap();
        let token = list.add(Arc::new(socket.as_source()));
        let readable = Interest::READABLE;
        for mode in [PollMode::Oneshot, PollMode::Level] {
            assert!(list.set(token, 7, readable, mode));
            let (first, _) = list.take(9);
            list.note(token, Readiness::READABLE);
            let (second, _) = list.take(9);
            assert_eq!(list.tell(&first[0], readable), readable);
            assert!(list.set(token, 7, readable, mode));
            assert_eq!(list.tell(&second[0], readable), Interest::empty());
            // It is asked anew for that.
            assert_eq!(list.take(9).0.len(), 1);
        }
    }
}
