//! All users of one end: an application of its host that listens, opens and accepts, and lets each
//! user work whenever its connection is ready, or it has rested.

use core::net::SocketAddr;
use core::time::Duration;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use netloom::sim::{App, Cx, Wake};
use netloom::stack::{AcceptError, ConnectError, ListenOptions, ListenerId};
use netloom::{Instant, SocketId};

use super::oracle::Talk;
use super::scenario::{Opener, Scenario};
use super::start;
use super::user::Actor;

const LISTENS: u16 = 80;
/// Alarms of this number and above open the conversation of what is left; others let its user work.
const OPEN: u64 = 1 << 32;

/// What both ends know.
pub(crate) struct Table {
    pub(crate) talks: Vec<Talk>,
    /// Which conversation a port of the opening end belongs to.
    ports: HashMap<(usize, u16), usize>,
    /// A user got on since this was last taken back.
    pub(crate) progress: bool,
}

impl Table {
    pub(crate) fn new(talks: Vec<Talk>) -> Self {
        Self {
            talks,
            ports: HashMap::new(),
            progress: false,
        }
    }
}

pub(crate) struct Users {
    who: usize,
    scenario: Rc<Scenario>,
    start: Instant,
    table: Rc<RefCell<Table>>,
    pub(crate) listener: Option<ListenerId>,
    /// By conversation: when its user is woken, if it will be.
    alarms: Vec<Option<Instant>>,
}

impl App for Users {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start => self.start(cx),
            Wake::Alarm(token) => {
                let at = (token % OPEN) as usize;
                if token >= OPEN {
                    self.open(cx, at);
                } else {
                    self.alarms[at] = self.alarms[at].filter(|&time| time > cx.now());
                    self.work(cx, at);
                }
            }
            Wake::Event(event) => match event.id {
                SocketId::Listener(id) => while self.accept(cx, id) {},
                SocketId::Tcp(id) => {
                    let at = self.actors(
                        |actor| actor.id == Some(id),
                        |actor| {
                            actor.on_event(event.ready);
                        },
                    );
                    self.work(cx, at.expect("it is somebody's"));
                }
                other => panic!("an event for {other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

impl Users {
    pub(crate) fn new(
        who: usize,
        scenario: &Rc<Scenario>,
        start: Instant,
        table: &Rc<RefCell<Table>>,
    ) -> Self {
        Self {
            who,
            scenario: Rc::clone(scenario),
            start,
            table: Rc::clone(table),
            listener: None,
            alarms: vec![None; scenario.conversations.len()],
        }
    }

    /// Does something to the first user here that is meant; returns its conversation.
    fn actors(&self, is: impl Fn(&Actor) -> bool, act: impl FnOnce(&mut Actor)) -> Option<usize> {
        let mut table = self.table.borrow_mut();
        let mut talks = table.talks.iter_mut();
        let talk = talks.find(|talk| is(&talk.actors[self.who]))?;
        act(&mut talk.actors[self.who]);
        Some(talk.at)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        let options = ListenOptions::new(self.scenario.tcp[self.who].options())
            .backlog(self.scenario.backlog)
            .syn_cookies(self.scenario.cookies);
        let at = SocketAddr::new(start::address(&self.scenario, self.who), LISTENS);
        self.listener = Some(cx.tcp_listen(at, options).expect("a free port"));
        for (at, conversation) in self.scenario.conversations.iter().enumerate() {
            let opens_here = match conversation.opener {
                Opener::End(end) => end == self.who,
                Opener::Both => true,
            };
            if opens_here {
                let time = self.start + Duration::from_micros(conversation.opens_at);
                cx.alarm(time, OPEN + at as u64);
            }
        }
    }

    fn open(&mut self, cx: &mut Cx<'_>, at: usize) {
        let who = self.who;
        let (own, theirs) = match self.scenario.conversations[at].opener {
            Opener::End(_) => (None, LISTENS),
            Opener::Both => {
                let ports = [7000 + at as u16, 8000 + at as u16];
                (Some(ports[who]), ports[1 - who])
            }
        };
        let options = self.scenario.tcp[who].options();
        let to = SocketAddr::new(start::address(&self.scenario, 1 - who), theirs);
        let from = own.map(|port| SocketAddr::new(start::address(&self.scenario, who), port));
        let id = match cx.tcp_connect_from(to, from, options) {
            Ok(id) => id,
            Err(error @ ConnectError::Route(_)) => panic!("{error} from end {who}"),
            Err(error) => panic!("{error}"),
        };
        let local = cx.stack().tcp_local_addr(id).expect("the id is live");
        {
            let mut table = self.table.borrow_mut();
            table.ports.insert((who, local.port()), at);
            table.talks[at].actors[who].start(id, false);
            table.progress = true;
        }
        self.work(cx, at);
    }

    /// Accepts one; false when there is none.
    fn accept(&mut self, cx: &mut Cx<'_>, listener: ListenerId) -> bool {
        let id = match cx.tcp_accept(listener) {
            Ok(id) => id,
            Err(AcceptError::WouldBlock) => return false,
            Err(error) => panic!("{error}"),
        };
        let peer = cx.stack().tcp_peer_addr(id).expect("the id is live");
        let at = {
            let mut table = self.table.borrow_mut();
            let at = table.ports[&(1 - self.who, peer.port())];
            table.progress = true;
            let actor = &mut table.talks[at].actors[self.who];
            if actor.is_done() {
                // It had given up on a peer that seemed gone.
                cx.tcp_abort(id);
                return true;
            }
            actor.start(id, true);
            at
        };
        self.work(cx, at);
        true
    }

    /// Lets a user work, and be woken when it has more to do.
    fn work(&mut self, cx: &mut Cx<'_>, at: usize) {
        let mut table = self.table.borrow_mut();
        let talk = &mut table.talks[at];
        let worked = talk.actors[self.who].step(cx);
        let actor = &talk.actors[self.who];
        let rests = actor.rests_until > cx.now();
        if !actor.is_done() && (worked || rests) {
            let time = actor.rests_until.max(cx.now());
            if self.alarms[at].is_none_or(|alarm| alarm > time) {
                self.alarms[at] = Some(time);
                cx.alarm(time, at as u64);
            }
        }
        if worked {
            talk.check();
            table.progress = true;
        }
    }
}
