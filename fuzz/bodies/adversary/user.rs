//! One end's user: listens, connects, writes and reads in pieces that the input chooses.

use std::cell::RefCell;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use netloom::sim::{App, Cx, Wake};
use netloom::stack::{AcceptError, ListenOptions, SocketId};
use netloom::tcp::{ReadError, TcpFailure, WriteError};
use netloom::{Instant, ListenerId, TcpId};

use super::settings::Settings;
use super::{Tape, at};

const LISTENS: u16 = 80;
/// Who connect to each other at once do so from and to these.
const BOTH: [u16; 2] = [7000, 8000];
/// A piece that is not said otherwise.
const MOST: usize = 70_000;

pub struct User {
    who: usize,
    settings: Rc<Settings>,
    tape: Rc<RefCell<Tape>>,
    pub listener: Option<ListenerId>,
    id: Option<TcpId>,
    pub written: u64,
    pub read: u64,
    shut: bool,
    pub end_seen: bool,
    pub failure: Option<TcpFailure>,
    /// It closed, aborted or gave up before both streams had ended.
    pub left_early: bool,
    done: bool,
    rests_until: Instant,
}

/// The byte at `offset` of the stream that end `from` sends.
fn pattern(from: usize, offset: u64) -> u8 {
    let x = (offset ^ if from == 0 { 0 } else { 1 << 40 }).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x.to_be_bytes()[0]
}

impl App for User {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start => self.start(cx),
            Wake::Event(event) if matches!(event.id, SocketId::Listener(_)) => self.accept(cx),
            _ => {}
        }
        if cx.now() >= self.rests_until {
            self.work(cx);
        }
    }
}

impl User {
    pub fn new(who: usize, settings: &Rc<Settings>, tape: Rc<RefCell<Tape>>) -> Self {
        Self {
            who,
            settings: Rc::clone(settings),
            tape,
            listener: None,
            id: None,
            written: 0,
            read: 0,
            shut: false,
            end_seen: false,
            failure: None,
            left_early: false,
            done: false,
            rests_until: Instant::ZERO,
        }
    }

    pub fn is_done(&self) -> bool {
        self.done
    }

    pub fn is_finished(&self) -> bool {
        self.done && self.end_seen && self.shut && self.failure.is_none()
    }

    pub fn progress(&self) -> String {
        format!(
            "end {}: wrote {} of {}, read {}, shut {}, end seen {}, {:?}, left early {}, done {}",
            self.who,
            self.written,
            self.settings.to_send(self.who),
            self.read,
            self.shut,
            self.end_seen,
            self.failure,
            self.left_early,
            self.done
        )
    }

    /// Waits no longer; returns what is to be aborted.
    pub fn give_up(&mut self) -> Option<TcpId> {
        if self.done {
            return None;
        }
        self.done = true;
        self.left_early = true;
        self.id
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        let options = ListenOptions::new(self.settings.tcp(self.who))
            .syn_cookies(self.settings.cookies(self.who));
        let here = at(&self.settings, self.who, LISTENS);
        self.listener = Some(cx.tcp_listen(here, options).expect("a free port"));
        let both = self.settings.both_connect();
        if self.who == 1 && !both {
            return;
        }
        let (from, port) = match both {
            true => (Some(BOTH[self.who]), BOTH[1 - self.who]),
            false => (None, LISTENS),
        };
        let from = from.map(|port| at(&self.settings, self.who, port));
        let to = at(&self.settings, 1 - self.who, port);
        let id = cx.tcp_connect_from(to, from, self.settings.tcp(self.who));
        self.id = Some(id.expect("it can be tried"));
    }

    /// One is taken. Where the path forges there may be more, and an old SYN that comes again opens one.
    fn accept(&mut self, cx: &mut Cx<'_>) {
        loop {
            match cx.tcp_accept(self.listener.expect("it listens")) {
                Ok(id) if self.id.is_none() && !self.done => self.id = Some(id),
                Ok(id) => cx.tcp_abort(id),
                Err(AcceptError::WouldBlock) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// How much of the next piece of work is done; `None` is a rest.
    fn piece(&mut self, cx: &mut Cx<'_>) -> Option<usize> {
        let Some(choice) = self.tape.borrow_mut().back() else {
            return Some(MOST);
        };
        let size = usize::from(choice >> 2);
        let millis = match choice & 3 {
            0 => return Some(MOST),
            1 => return Some(size + 1),
            2 => return Some((size + 1) * 64),
            _ => 1 << (size % 14),
        };
        self.rests_until = cx.now() + Duration::from_millis(millis);
        cx.alarm(self.rests_until, 0);
        None
    }

    fn work(&mut self, cx: &mut Cx<'_>) {
        let Some(id) = self.id.filter(|_| !self.done) else {
            return;
        };
        if self.leaves(cx, id) {
            return;
        }
        let Some(piece) = self.piece(cx) else { return };
        let mut more = self.write(cx, id, piece);
        if self.done {
            return;
        }
        let Some(piece) = self.piece(cx) else { return };
        more |= self.read(cx, id, piece);
        if self.shut && self.end_seen && !self.done {
            cx.tcp_close(id);
            self.done = true;
        }
        if more && !self.done {
            // No event tells of what was left.
            cx.alarm_in(Duration::from_micros(50), 0);
        }
    }

    /// Ends before both streams have, where the settings say so.
    fn leaves(&mut self, cx: &mut Cx<'_>, id: TcpId) -> bool {
        let to_send = self.settings.to_send(self.who);
        let half = self.written >= to_send / 2;
        match self.settings.ending(self.who) {
            28 => cx.tcp_abort(id),
            29 if self.written == to_send => cx.tcp_close(id),
            30 if half => cx.tcp_close(id),
            31 if half => cx.tcp_abort(id),
            _ => return false,
        }
        self.done = true;
        self.left_early = true;
        true
    }

    fn fail(&mut self, cx: &mut Cx<'_>, id: TcpId, failure: TcpFailure) {
        assert_eq!(cx.stack().tcp_failure(id), Ok(Some(failure)));
        cx.tcp_close(id);
        self.failure = Some(failure);
        self.done = true;
    }

    /// Returns whether there is more that can be written at once.
    fn write(&mut self, cx: &mut Cx<'_>, id: TcpId, most: usize) -> bool {
        let to_send = self.settings.to_send(self.who);
        if self.shut {
            return false;
        }
        let end = to_send.min(self.written + most as u64);
        let bytes: Vec<u8> = (self.written..end)
            .map(|at| pattern(self.who, at))
            .collect();
        let wrote = match bytes.is_empty() {
            true => cx.tcp_shutdown(id, Shutdown::Write).map(|()| 0),
            false => cx.tcp_write(id, &bytes),
        };
        match wrote {
            Ok(count) => {
                assert_eq!(count == 0, bytes.is_empty());
                self.shut = count == 0;
                self.written += count as u64;
                !self.shut
            }
            Err(WriteError::WouldBlock) => false,
            // What came before can still be read, and the reader is told.
            Err(WriteError::Failed(_)) => false,
            Err(error) => panic!("{error}; {}", self.progress()),
        }
    }

    /// Returns whether there is more that can be read at once.
    fn read(&mut self, cx: &mut Cx<'_>, id: TcpId, most: usize) -> bool {
        if self.end_seen {
            if let Ok(Some(failure)) = cx.stack().tcp_failure(id) {
                self.fail(cx, id, failure);
            }
            return false;
        }
        match cx.tcp_read_chunk(id, most) {
            Ok(chunk) => {
                if !self.settings.forges() {
                    for (at, &byte) in (self.read..).zip(&chunk) {
                        assert_eq!(byte, pattern(1 - self.who, at), "{}", self.progress());
                    }
                }
                self.end_seen = chunk.is_empty();
                self.read += chunk.len() as u64;
                !self.end_seen
            }
            Err(ReadError::WouldBlock | ReadError::NotConnected) => false,
            Err(ReadError::Failed(failure)) => {
                self.fail(cx, id, failure);
                false
            }
            Err(error) => panic!("{error}; {}", self.progress()),
        }
    }
}
