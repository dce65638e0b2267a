//! The clock, the two ends and their conversations: one run of a scenario.
//!
//! *Owns* the order of events and the bounds of a run. Whatever is wrong panics, and says how far
//! everything had come. Invariants: the clock never runs back and stands still only while something
//! moves; nothing moves for long without bytes that reach a user.

use core::net::SocketAddr;
use core::time::Duration;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hasher;
use std::rc::Rc;

use netloom::base::DropReason;
use netloom::device::{Capabilities, Medium, Pair};
use netloom::stack::{AcceptError, ConnectError, Counters, ListenOptions};
use netloom::tcp::TcpFailure;
use netloom::{Instant, SocketId, Stack};

use super::end::{End, Watch};
use super::monitor::Monitor;
use super::oracle::Talk;
use super::scenario::{Opener, Sabotage, Scenario};
use super::start;
use super::user::{Actor, Outcome};

// The longest run, and the longest wait for anything to happen to any user. The longest that a
// stack waits for a peer by default is 15 minutes (R2).
const LONGEST: Duration = Duration::from_secs(48 * 3600);
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
// Turns and frames without a byte for any user: more of them turn without moving.
const MOST_TURNS: u64 = 100_000;
const MOST_FRAMES: u64 = 20_000;
const LISTENS: u16 = 80;

pub(crate) struct World {
    scenario: Scenario,
    start: Instant,
    now: Instant,
    ends: [End; 2],
    talks: Vec<Talk>,
    monitor: Rc<RefCell<Monitor>>,
    /// Which conversation a port of the opening end belongs to.
    ports: HashMap<(usize, u16), usize>,
    turns: u64,
    /// What stood when a user last got on.
    progress_at: Instant,
    progress_turns: u64,
    progress_frames: u64,
}

/// What a run comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) took: Duration,
    pub(crate) digest: [u64; 2],
    /// What happened, by name, and how often.
    pub(crate) counts: Vec<(&'static str, u64)>,
}

/// Runs a scenario to its end.
pub(crate) fn run(scenario: &Scenario, watch: &Watch) -> Ran {
    let mut world = World::new(scenario, watch);
    world.run();
    world.wind_up();
    world.ran()
}

impl World {
    fn new(scenario: &Scenario, watch: &Watch) -> Self {
        let medium = if scenario.ethernet {
            Medium::Ethernet
        } else {
            Medium::Ip
        };
        let pair = Pair::new(Capabilities::full(medium, scenario.mtu), scenario.queue);
        let start = start::of(scenario);
        let monitor = Rc::new(RefCell::new(Monitor::new(scenario.stripped.window_scale)));
        let mut ends = [(0, pair.0), (1, pair.1)]
            .map(|(who, device)| End::new(scenario, who, device, start, &monitor, watch));
        for (who, end) in ends.iter_mut().enumerate() {
            let options = ListenOptions::new(scenario.tcp[who].options())
                .backlog(scenario.backlog)
                .syn_cookies(scenario.cookies);
            let at = SocketAddr::new(start::address(scenario, who), LISTENS);
            end.listener = Some(end.stack.tcp_listen(at, options).expect("a free port"));
        }
        let talks = (0..scenario.conversations.len()).map(|at| {
            let lie = |end: usize| match scenario.sabotage {
                Some(Sabotage::Oracle(offset)) if at == 0 && end == 1 => Some(offset),
                _ => None,
            };
            let plan = &scenario.conversations[at];
            let actors =
                [0, 1].map(|end| Actor::new(at, end, plan.users[end], scenario.seed, lie(end)));
            Talk::new(scenario, at, actors)
        });
        Self {
            start,
            now: start,
            ends,
            talks: talks.collect(),
            monitor,
            ports: HashMap::new(),
            turns: 0,
            progress_at: start,
            progress_turns: 0,
            progress_frames: 0,
            scenario: scenario.clone(),
        }
    }

    fn frames(&self) -> u64 {
        self.ends.iter().map(|end| end.tx().frames).sum()
    }

    fn ran(&self) -> Ran {
        let actors = || self.talks.iter().flat_map(|talk| &talk.actors);
        let ended = |outcome| {
            actors()
                .filter(|actor| actor.outcome == Some(outcome))
                .count()
        };
        let sum = |of: fn(&Counters) -> u64| -> u64 {
            self.ends.iter().map(|end| of(end.stack.counters())).sum()
        };
        let both = |talk: &&Talk| {
            let conversation = &self.scenario.conversations[talk.at];
            conversation.opener == Opener::Both && talk.is_finished()
        };
        let both = self.talks.iter().filter(both).count();
        let counts = vec![
            ("frames", self.frames()),
            (
                "super-segments",
                self.ends.iter().map(|end| end.tx().super_segments).sum(),
            ),
            ("simultaneous opens", both as u64),
            ("bytes", actors().map(|actor| actor.read).sum()),
            ("users that finished", ended(Outcome::Finished) as u64),
            ("users that closed", ended(Outcome::Closed) as u64),
            ("users that aborted", ended(Outcome::Aborted) as u64),
            (
                "users that were reset",
                ended(Outcome::Failed(TcpFailure::Reset)) as u64,
            ),
            ("users that gave up", ended(Outcome::GaveUp) as u64),
            ("connections that wrapped", self.monitor.borrow().wraps()),
            ("time-outs", sum(|c| c.tcp_rto_fired)),
            ("fast retransmits", sum(|c| c.tcp_fast_retransmits)),
            ("window probes", sum(|c| c.tcp_window_probes)),
            ("keep-alive probes", sum(|c| c.tcp_keepalives)),
            ("challenge ACKs", sum(|c| c.tcp_challenge_acks)),
            ("connections given up", sum(|c| c.tcp_timed_out)),
            (
                "wrong checksums",
                sum(|c| c.drops.get(DropReason::TcpChecksum)),
            ),
            (
                "full backlogs",
                sum(|c| c.drops.get(DropReason::TcpBacklogFull)),
            ),
            (
                "writes without memory",
                sum(|c| c.tcp_writes_short_of_memory),
            ),
            ("cookies redeemed", sum(|c| c.tcp_cookies_accepted)),
            ("old timestamps", sum(|c| c.drops.get(DropReason::TcpPaws))),
        ];
        Ran {
            took: self.now.since(self.start),
            digest: [0, 1].map(|n| self.ends[n].tx().digest.as_ref().map_or(0, Hasher::finish)),
            counts,
        }
    }

    /// Until all users are done.
    fn run(&mut self) {
        while !self.talks.iter().all(Talk::is_done) {
            self.turn();
            if self.now.since(self.progress_at) > PATIENCE {
                self.on_silence();
            }
        }
    }

    /// Everything that can happen now, then on to the next deadline.
    fn turn(&mut self) {
        self.turns += 1;
        let mut moved = false;
        for end in &mut self.ends {
            moved |= end.turn(self.now);
        }
        if self.work() {
            moved = true;
            self.note_progress();
        }
        assert!(
            self.turns - self.progress_turns < MOST_TURNS,
            "it only turns; {}",
            self.report()
        );
        assert!(
            self.frames() - self.progress_frames < MOST_FRAMES,
            "frames that nobody gains by; {}",
            self.report()
        );
        if !moved {
            // What is spoiled need not be answered, and without a neighbour nothing leaves.
            if !self.scenario.is_corrupting() && !self.scenario.may_be_unreachable() {
                self.monitor.borrow().check_answers(self.now);
            }
            self.advance();
        }
    }

    fn note_progress(&mut self) {
        self.progress_at = self.now;
        self.progress_turns = self.turns;
        self.progress_frames = self.frames();
    }

    /// The clock jumps to the next thing that happens.
    fn advance(&mut self) {
        let resting = |actor: &&Actor| !actor.is_done() && actor.rests_until > self.now;
        let actors = self.talks.iter().flat_map(|talk| &talk.actors);
        let rests = actors.filter(resting).map(|actor| actor.rests_until);
        let opens = self.talks.iter().filter(|talk| !talk.opened);
        let opens = opens.map(|talk| self.opens_at(talk.at));
        let opens = opens.filter(|&at| at > self.now);
        let ends = self.ends.iter().filter_map(End::next);
        let Some(next) = rests.chain(opens).chain(ends).min() else {
            return self.on_silence();
        };
        assert!(
            next > self.now,
            "a deadline in the past: {next:?}; {}",
            self.report()
        );
        self.now = next;
        assert!(
            self.now.since(self.start) < LONGEST,
            "too slow; {}",
            self.report()
        );
        for end in &mut self.ends {
            end.on_later();
        }
    }

    /// Nothing happens any more: whose peer has gone for good gives up, nobody else may wait.
    fn on_silence(&mut self) {
        self.note_progress();
        for at in 0..self.talks.len() {
            if self.talks[at].is_done() {
                continue;
            }
            assert!(
                self.talks[at].may_hang(),
                "nothing will ever happen again; {}",
                self.report()
            );
            for (end, actor) in self.ends.iter_mut().zip(&mut self.talks[at].actors) {
                if !actor.is_done() {
                    actor.give_up(self.now, &mut end.stack);
                }
            }
        }
    }

    // --- the users --------------------------------------------------------------------------

    fn opens_at(&self, talk: usize) -> Instant {
        self.start + Duration::from_micros(self.scenario.conversations[talk].opens_at)
    }

    /// Lets all users work; returns whether any did.
    fn work(&mut self) -> bool {
        let mut worked = false;
        for end in [0, 1] {
            self.hear(end);
            worked |= self.ends[end].acceptable && self.accept(end);
        }
        let ready = self.ends.iter().all(|end| end.stack.is_ready(end.on));
        for at in 0..self.talks.len() {
            if ready && !self.talks[at].opened && self.opens_at(at) <= self.now {
                self.open(at);
                worked = true;
            }
            let mut stepped = false;
            for end in [0, 1] {
                let stack = &mut self.ends[end].stack;
                stepped |= self.talks[at].actors[end].step(self.now, stack);
            }
            if stepped {
                self.talks[at].check();
                worked = true;
            }
        }
        worked
    }

    /// Tells users what the stack tells.
    fn hear(&mut self, who: usize) {
        let end = &mut self.ends[who];
        for event in core::mem::take(&mut end.events) {
            match event.id {
                SocketId::Listener(_) => end.acceptable = true,
                SocketId::Tcp(id) => {
                    let actors = self.talks.iter_mut().map(|talk| &mut talk.actors[who]);
                    // One that was not accepted yet is nobody's.
                    if let Some(actor) = actors.into_iter().find(|actor| actor.id == Some(id)) {
                        actor.on_event(event.ready);
                    }
                }
                other => panic!("an event for {other:?}"),
            }
        }
    }

    fn accept(&mut self, who: usize) -> bool {
        let end = &mut self.ends[who];
        let Some(listener) = end.listener else {
            return false;
        };
        match end.stack.tcp_accept(self.now, listener) {
            Ok(id) => {
                let port = end.stack.tcp_peer_addr(id).expect("the id is live").port();
                let at = self.ports[&(1 - who, port)];
                let actor = &mut self.talks[at].actors[who];
                if actor.is_done() {
                    // It had given up on a peer that seemed gone.
                    end.stack.tcp_abort(self.now, id);
                } else {
                    actor.start(id, true);
                }
                true
            }
            Err(AcceptError::WouldBlock) => {
                end.acceptable = false;
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn open(&mut self, at: usize) {
        self.talks[at].opened = true;
        let openers = match self.scenario.conversations[at].opener {
            Opener::End(end) => vec![(end, None, LISTENS)],
            Opener::Both => {
                let ports = [7000 + at as u16, 8000 + at as u16];
                vec![(0, Some(ports[0]), ports[1]), (1, Some(ports[1]), ports[0])]
            }
        };
        for (who, own, theirs) in openers {
            let options = self.scenario.tcp[who].options();
            let to = SocketAddr::new(start::address(&self.scenario, 1 - who), theirs);
            let from = own.map(|port| SocketAddr::new(start::address(&self.scenario, who), port));
            let stack: &mut Stack = &mut self.ends[who].stack;
            let id = match stack.tcp_connect(self.now, to, from, options) {
                Ok(id) => id,
                Err(error @ ConnectError::Route(_)) => panic!("{error}; {}", self.report()),
                Err(error) => panic!("{error}"),
            };
            let local = stack.tcp_local_addr(id).expect("the id is live");
            self.ports.insert((who, local.port()), at);
            self.talks[at].actors[who].start(id, false);
        }
    }

    // --- the end ----------------------------------------------------------------------------

    /// What the stacks still hold once the users are gone ends by itself, and leaves nothing.
    fn wind_up(&mut self) {
        for end in &mut self.ends {
            let listener = end.listener.take().expect("it listens");
            end.stack.tcp_listener_close(self.now, listener);
        }
        self.note_progress();
        let holds = |end: &End| end.stack.tcp_open_count() + end.stack.tcp_time_wait_count() > 0;
        while self.ends.iter().any(holds) {
            self.turn();
            assert!(
                self.now.since(self.progress_at) < PATIENCE,
                "a connection never ends; {}",
                self.report()
            );
        }
        let end = self.now;
        let waits = |end: &End| end.stack.wants_transmit(end.on) || end.next().is_some();
        while self.ends.iter().any(waits) {
            self.turn();
            assert!(
                self.now.since(end) < PATIENCE,
                "a timer of nothing; {}",
                self.report()
            );
        }
        for end in &self.ends {
            assert_eq!(end.stack.tcp_connections().count(), 0);
            assert_eq!(end.stack.memory().used, 0, "memory is given back");
            assert!(!end.stack.wants_transmit(end.on));
        }
        if !self.scenario.is_corrupting() {
            self.check_drops();
        }
    }

    /// What nobody changed is in order.
    fn check_drops(&self) {
        use DropReason as R;
        let spoiled = [
            R::LinkMalformed,
            R::ArpMalformed,
            R::Ipv4Malformed,
            R::Ipv4Checksum,
            R::Ipv6Malformed,
            R::IcmpMalformed,
            R::IcmpChecksum,
            R::NdpInvalid,
            R::TcpMalformed,
            R::TcpChecksum,
            R::TcpBadSyn,
            R::DeviceRefused,
            R::TooBig,
        ];
        for end in &self.ends {
            let drops = &end.stack.counters().drops;
            for reason in spoiled {
                assert_eq!(drops.get(reason), 0, "{reason}; {}", self.report());
            }
        }
    }

    fn report(&self) -> String {
        let mut text = format!("at {:?}", self.now);
        for talk in &self.talks {
            text += &format!("\n{}", talk.progress());
            for (end, actor) in self.ends.iter().zip(&talk.actors) {
                if let Some(Ok(info)) = actor.id.map(|id| end.stack.tcp_info(id)) {
                    text += &format!("\n  {info:?}");
                }
            }
        }
        for end in &self.ends {
            text += &format!(
                "\nwants transmit {}, due at {:?}, {} open, {} in time-wait, {:?}",
                end.stack.wants_transmit(end.on),
                end.next(),
                end.stack.tcp_open_count(),
                end.stack.tcp_time_wait_count(),
                end.stack.counters(),
            );
        }
        text
    }
}
