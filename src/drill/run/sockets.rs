//! The descriptors of a script and what they stand for.
//!
//! *Owns* the table and what a kernel would keep of a socket. *Does not* make calls.

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::super::profile::Profile;
use super::numbers::our_byte;
use crate::stack::{ListenerId, TcpId, UdpId};
use crate::tcp::{Keepalive, TcpOptions};

/// Descriptors that may be open at once.
const MAX_OPEN: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: BTreeMap<i64, Object>,
    /// Bytes that were written to the connection under test, and read of it.
    pub(super) written: u64,
    pub(super) read: u64,
    /// Where writes ended.
    ends: BTreeSet<u32>,
}

#[derive(Debug)]
pub(super) enum Object {
    Socket(Box<Socket>),
    /// What each descriptor is watched for, with the data that it gives back.
    Epoll(BTreeMap<i64, (u32, i64)>),
}

/// A socket, connected or not.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    pub(super) is_stream: bool,
    pub(super) nonblocking: bool,
    pub(super) local: Option<SocketAddr>,
    pub(super) tcp: TcpOptions,
    pub(super) keepalive: Keepalive,
    pub(super) keepalive_on: bool,
    /// TCP_FASTOPEN of who is going to listen.
    pub(super) fast_open: usize,
    pub(super) state: SocketState,
    /// Values that a kernel only keeps, by the name of their option.
    pub(super) kept: BTreeMap<String, i64>,
    /// Its failure was told: after that it is the end of the stream.
    pub(super) told: bool,
    /// Bytes that the call which writes now, and waits for room, has written.
    pub(super) writing: usize,
    /// `connect` was called, and has said that it goes on.
    pub(super) connecting: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketState {
    Fresh,
    Listener(ListenerId),
    Stream(TcpId),
    Datagram(UdpId),
}

impl Socket {
    pub(super) fn new(profile: &Profile, is_stream: bool) -> Self {
        Self {
            is_stream,
            nonblocking: false,
            local: None,
            tcp: profile.tcp.clone(),
            keepalive: Keepalive::default(),
            keepalive_on: false,
            fast_open: 0,
            state: SocketState::Fresh,
            kept: BTreeMap::new(),
            told: false,
            writing: 0,
            connecting: false,
        }
    }

    /// A socket that this listener accepted.
    pub(super) fn child(&self, id: TcpId) -> Self {
        Self {
            nonblocking: false,
            state: SocketState::Stream(id),
            told: false,
            ..self.clone()
        }
    }
}

impl Sockets {
    pub(super) fn socket(&self, fd: i64) -> Option<&Socket> {
        match self.open.get(&fd)? {
            Object::Socket(socket) => Some(socket),
            Object::Epoll(_) => None,
        }
    }

    pub(super) fn socket_mut(&mut self, fd: i64) -> Option<&mut Socket> {
        match self.open.get_mut(&fd)? {
            Object::Socket(socket) => Some(socket),
            Object::Epoll(_) => None,
        }
    }

    pub(super) fn epoll_mut(&mut self, fd: i64) -> Option<&mut BTreeMap<i64, (u32, i64)>> {
        match self.open.get_mut(&fd)? {
            Object::Epoll(watched) => Some(watched),
            Object::Socket(_) => None,
        }
    }

    pub(super) fn has(&self, fd: i64) -> bool {
        self.open.contains_key(&fd)
    }

    /// Opens a descriptor; false when it is open already, or too many are.
    pub(super) fn insert(&mut self, fd: i64, object: Object) -> bool {
        if fd < 0 || self.open.contains_key(&fd) || self.open.len() >= MAX_OPEN {
            return false;
        }
        self.open.insert(fd, object);
        true
    }

    pub(super) fn remove(&mut self, fd: i64) -> Option<Object> {
        self.open.remove(&fd)
    }

    fn all(&self) -> impl Iterator<Item = &Socket> {
        self.open.values().filter_map(|object| match object {
            Object::Socket(socket) => Some(&**socket),
            Object::Epoll(_) => None,
        })
    }

    /// The port of the first socket that has one.
    pub(super) fn local_port(&self) -> Option<u16> {
        self.all().find_map(|socket| Some(socket.local?.port()))
    }

    pub(super) fn listens_on(&self, port: u16) -> bool {
        self.all().any(|socket| {
            matches!(socket.state, SocketState::Listener(_))
                && socket.local.is_some_and(|local| local.port() == port)
        })
    }

    pub(super) fn is_any_connected(&self) -> bool {
        self.all()
            .any(|socket| !matches!(socket.state, SocketState::Fresh))
    }

    /// The profile changed: sockets that do nothing yet begin with it.
    pub(super) fn apply(&mut self, profile: &Profile) {
        for object in self.open.values_mut() {
            if let Object::Socket(socket) = object
                && socket.state == SocketState::Fresh
            {
                socket.tcp = profile.tcp.clone();
            }
        }
    }

    // --- the streams ----------------------------------------------------------------------

    /// Another connection is under test.
    pub(super) fn begin_stream(&mut self) {
        (self.written, self.read) = (0, 0);
        self.ends.clear();
    }

    /// So many bytes more were written; with `is_whole` a write ends there.
    pub(super) fn note_written(&mut self, bytes: u64, is_whole: bool) {
        self.written += bytes;
        if is_whole {
            self.ends.insert(offset(self.written));
        }
    }

    /// What is written next, and counts as written.
    pub(super) fn next_text(&mut self, len: usize) -> Vec<u8> {
        let start = self.written;
        self.note_written(len as u64, true);
        let text = (start..self.written).map(|at| our_byte(offset(at)));
        text.collect()
    }

    /// Does a write end at this offset?
    pub(super) fn is_last_write(&self, end: u32) -> bool {
        self.ends.contains(&end)
    }
}

/// An offset in a stream as its numbers count it, modulo 2^32.
pub(super) fn offset(bytes: u64) -> u32 {
    let [a, b, c, d, ..] = bytes.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
