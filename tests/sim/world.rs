//! The clock, the two ends and their conversations: one run of a scenario.
//!
//! *Owns* the order of events and the bounds of a run. Whatever is wrong panics, and says how far
//! everything had come. Invariants: the clock never runs back and stands still only while something
//! moves; nothing moves for long without bytes that reach a user.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use netloom::base::DropReason;
use netloom::sim::{AppId, HostId, Network};
use netloom::stack::Counters;
use netloom::tcp::TcpFailure;
use netloom::{Instant, Stack};

use super::end::{self, Watch, Watched};
use super::monitor::Monitor;
use super::oracle::Talk;
use super::rng::Rng;
use super::scenario::{Opener, Sabotage, Scenario};
use super::start;
use super::turns::{self, Turns};
use super::user::{Actor, Outcome};
use super::users::{Table, Users};
use super::windows::Windows;

// The longest run, and the longest wait for anything to happen to any user. The longest that a
// stack waits for a peer by default is 15 minutes (R2).
const LONGEST: Duration = Duration::from_secs(48 * 3600);
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
// Frames without a byte for any user: more of them turn without moving.
const MOST_FRAMES: u64 = 20_000;
// Duplicate address detection takes a second for each probe.
const SETTLES: Duration = Duration::from_millis(10);

pub(crate) struct World {
    scenario: Rc<Scenario>,
    network: Network,
    hosts: [HostId; 2],
    users: [AppId<Users>; 2],
    table: Rc<RefCell<Table>>,
    watched: Watched,
    windows: Windows,
    turns: Turns,
    twins: bool,
    /// What stood when a user last got on.
    progress_at: Instant,
    progress_frames: u64,
}

/// What a run comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) took: Duration,
    /// A hash of all frames and their times.
    pub(crate) digest: u64,
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
        let scenario = Rc::new(scenario.clone());
        let start = start::of(&scenario);
        let mut network = Network::new(Rng::part(scenario.seed, 20).next());
        network.run_until(start).expect("it is empty");
        let monitor = Monitor::new(&scenario);
        let watched = Watched {
            monitor: Rc::new(RefCell::new(monitor)),
            taken: Default::default(),
            start,
        };
        let hosts = [0, 1].map(|who| network.add_host(end::host(&scenario, who, watch)));
        let port = |who: usize| hosts[who].port(end::port(&scenario, who, &watched, watch));
        let wires = (end::wire(&scenario.wires[0]), end::wire(&scenario.wires[1]));
        network.link(port(0), port(1), wires).expect("it can work");
        settle(&mut network, hosts);
        let table = Rc::new(RefCell::new(Table::new(talks(&scenario))));
        let users = [0, 1].map(|who| {
            let users = Users::new(who, &scenario, start, &table);
            network.add_app(hosts[who], users)
        });
        Self {
            windows: Windows::default(),
            turns: Turns::default(),
            progress_at: start,
            progress_frames: 0,
            twins: watch.twins,
            scenario,
            network,
            hosts,
            users,
            table,
            watched,
        }
    }

    fn now(&self) -> Instant {
        self.network.now()
    }

    fn stacks(&self) -> [&Stack; 2] {
        self.hosts.map(|host| self.network.stack(host))
    }

    fn frames(&self) -> u64 {
        self.watched.taken.iter().map(|it| it.frames.get()).sum()
    }

    fn ran(&self) -> Ran {
        let table = self.table.borrow();
        let actors = || table.talks.iter().flat_map(|talk| &talk.actors);
        let ended = |outcome| {
            actors()
                .filter(|actor| actor.outcome == Some(outcome))
                .count()
        };
        let both = |talk: &&Talk| {
            let conversation = &self.scenario.conversations[talk.at];
            conversation.opener == Opener::Both && talk.is_finished()
        };
        let both = table.talks.iter().filter(both).count();
        let taken = &self.watched.taken;
        let mut counts = vec![
            ("frames", self.frames()),
            (
                "super-segments",
                taken.iter().map(|it| it.super_segments.get()).sum(),
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
            (
                "connections that wrapped",
                self.watched.monitor.borrow().wraps(),
            ),
        ];
        counts.extend(self.watched.monitor.borrow().marks());
        counts.extend(self.watched.monitor.borrow().reported());
        counts.push(("windows that rose", self.windows.rises));
        counts.push(("times that more was in flight", self.windows.sends));
        counts.push(("time-outs with nothing delivered", self.windows.time_outs));
        counts.push((turns::WAITED, self.turns.waited));
        counts.extend(self.stack_counts());
        Ran {
            took: self.now().since(self.watched.start),
            digest: self.network.trace_hash(),
            counts,
        }
    }

    /// What the two stacks counted together.
    fn stack_counts(&self) -> Vec<(&'static str, u64)> {
        let sum = |of: fn(&Counters) -> u64| -> u64 {
            self.stacks().iter().map(|it| of(it.counters())).sum()
        };
        vec![
            ("segments sent again", sum(|c| c.tcp_retransmits)),
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
        ]
    }

    fn is_done(&self) -> bool {
        self.table.borrow().talks.iter().all(Talk::is_done)
    }

    /// Until all users are done.
    fn run(&mut self) {
        while !self.is_done() {
            if !self.step() || self.now().since(self.progress_at) > PATIENCE {
                self.on_silence();
            }
        }
    }

    /// All that happens at the next instant at which anything does; false when nothing ever will.
    fn step(&mut self) -> bool {
        match self.network.step() {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(error) => panic!("{error}; {}", self.report()),
        }
        if core::mem::take(&mut self.table.borrow_mut().progress) {
            self.note_progress();
        }
        let (now, talks) = (self.now(), self.scenario.conversations.len());
        for (end, host) in self.hosts.into_iter().enumerate() {
            let stack = self.network.stack(host);
            self.windows.check(now, end, stack, talks);
            let on = self.network.interface(host, 0).expect("it has a port");
            let frames = self.watched.monitor.borrow().text_frames[end];
            self.turns.check(now, end, stack, on, frames);
        }
        assert!(
            self.frames() - self.progress_frames < MOST_FRAMES,
            "frames that nobody gains by; {}",
            self.report()
        );
        let took = self.now().since(self.watched.start);
        assert!(took < LONGEST, "too slow; {}", self.report());
        // What is spoiled need not be answered, and without a neighbour nothing leaves.
        if !self.scenario.is_corrupting() && !self.scenario.may_be_unreachable() {
            self.watched.monitor.borrow().check_answers(self.now());
        }
        true
    }

    fn note_progress(&mut self) {
        self.progress_at = self.now();
        self.progress_frames = self.frames();
    }

    /// Nothing happens any more: whose peer has gone for good gives up, nobody else may wait.
    fn on_silence(&mut self) {
        self.note_progress();
        for at in 0..self.scenario.conversations.len() {
            let (done, may_hang) = {
                let talk = &self.table.borrow().talks[at];
                (talk.is_done(), talk.may_hang())
            };
            assert!(
                done || may_hang,
                "nothing will ever happen again; {}",
                self.report()
            );
            for (who, host) in self.hosts.into_iter().enumerate() {
                let mut table = self.table.borrow_mut();
                let actor = &mut table.talks[at].actors[who];
                if !actor.is_done() {
                    self.network.call(host, |cx| actor.give_up(cx));
                }
            }
        }
    }

    // --- the end ----------------------------------------------------------------------------

    /// What the stacks still hold once the users are gone ends by itself, and leaves nothing.
    fn wind_up(&mut self) {
        for (host, users) in self.hosts.into_iter().zip(self.users) {
            let listener = self.network.app(users).listener.expect("it listens");
            self.network
                .call(host, |cx| cx.tcp_listener_close(listener));
        }
        self.note_progress();
        let holds = |stack: &&Stack| stack.tcp_open_count() + stack.tcp_time_wait_count() > 0;
        while self.stacks().iter().any(holds) {
            let goes_on = self.step();
            assert!(
                goes_on && self.now().since(self.progress_at) < PATIENCE,
                "a connection never ends; {}",
                self.report()
            );
        }
        let end = self.now();
        while self.step() {
            assert!(
                self.now().since(end) < PATIENCE,
                "a timer of nothing; {}",
                self.report()
            );
        }
        for (stack, host) in self.stacks().into_iter().zip(self.hosts) {
            assert_eq!(stack.tcp_connections().count(), 0);
            assert_eq!(stack.memory().used, 0, "memory is given back");
            let on = self.network.interface(host, 0).expect("it has a port");
            assert!(!stack.wants_transmit(on));
        }
        if !self.scenario.is_corrupting() {
            self.check_drops();
        }
        if self.twins {
            self.check_twins();
        }
    }

    /// Stacks that are told the same send the same.
    fn check_twins(&self) {
        for host in self.hosts {
            let recording = self.network.recording(host).expect("it is recorded");
            if let Err(error) = recording.twin() {
                panic!("a twin of {}: {error}", self.network.name(host));
            }
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
        ];
        for stack in self.stacks() {
            let drops = &stack.counters().drops;
            for reason in spoiled {
                assert_eq!(drops.get(reason), 0, "{reason}; {}", self.report());
            }
        }
    }

    fn report(&self) -> String {
        let mut text = format!("at {:?}, next at {:?}", self.now(), self.network.next());
        for talk in &self.table.borrow().talks {
            text += &format!("\n{}", talk.progress());
            for (stack, actor) in self.stacks().iter().zip(&talk.actors) {
                if let Some(Ok(info)) = actor.id.map(|id| stack.tcp_info(id)) {
                    text += &format!("\n  {info:?}");
                }
            }
        }
        for stack in self.stacks() {
            text += &format!(
                "\n{} open, {} in time-wait, {:?}",
                stack.tcp_open_count(),
                stack.tcp_time_wait_count(),
                stack.counters(),
            );
        }
        text
    }
}

fn talks(scenario: &Scenario) -> Vec<Talk> {
    let talk = |at: usize| {
        let lie = |end: usize| match scenario.sabotage {
            Some(Sabotage::Oracle(offset)) if at == 0 && end == 1 => Some(offset),
            _ => None,
        };
        let plan = &scenario.conversations[at];
        let actors =
            [0, 1].map(|end| Actor::new(at, end, plan.users[end], scenario.seed, lie(end)));
        Talk::new(scenario, at, actors)
    };
    (0..scenario.conversations.len()).map(talk).collect()
}

/// Waits until both hosts may use their addresses.
fn settle(network: &mut Network, hosts: [HostId; 2]) {
    let is_ready = |network: &Network, host: HostId| {
        let on = network.interface(host, 0).expect("it has a port");
        network.stack(host).is_ready(on)
    };
    let until = network.now() + PATIENCE;
    while !hosts.iter().all(|&host| is_ready(network, host)) {
        network.run_for(SETTLES).expect("time passes");
        assert!(network.now() < until, "an address that is never ready");
    }
}
