//! A script runs: its lines in their order, in virtual time, against one stack.
//!
//! *Owns* the time line and the verdict. *Does not* read text: `parse` did. Invariant: what has no
//! meaning here ends a script as unsupported, never as passed.
//!
//! | file | owns |
//! |---|---|
//! | `world.rs` | stack, link, time |
//! | `numbers.rs` | the script's numbers and those on the wire |
//! | `arrive.rs`, `inject.rs`, `icmp.rs` | packets in |
//! | `seen.rs`, `compare.rs` | packets out |
//! | `expect.rs` | which packet a line is about, and when it may come |
//! | `sockets.rs`, `calls.rs`, `args.rs`, `transfer.rs`, `sockopts.rs`, `ready.rs` | system calls |
//! | `eval.rs`, `info.rs`, `counts.rs` | assertions |
//! | `settings.rs` | a script's options and shell commands |
//! | `session.rs` | a script in pieces |

mod args;
mod arrive;
mod calls;
mod compare;
mod counts;
mod eval;
mod expect;
mod icmp;
mod info;
mod inject;
mod numbers;
mod ready;
mod seen;
mod session;
mod settings;
mod sockets;
mod sockopts;
#[cfg(test)]
mod tests;
mod transfer;
mod world;

use core::time::Duration;

use self::calls::{Answer, Pending};
pub use self::session::Session;
use self::settings::Settings;
use self::sockets::Sockets;
use self::world::{FirstSyn, Place, World};
use super::ast::{Action, Body, Call, Event, Script, When};
use super::profile::Profile;
use super::verdict::{Cause, Outcome, Verdict};
use crate::base::Instant;
use crate::tcp::{Flags, Shift};

/// When a script without a variant begins.
const START: Instant = Instant::from_millis(1_000_000);

/// Why a script ended before its end.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    Fail(Cause),
    Unsupported(Cause),
}

impl Stop {
    fn fail(line: u32, text: impl Into<String>) -> Self {
        Self::Fail(Cause::new(line, text))
    }

    fn unsupported(line: u32, construct: impl Into<String>) -> Self {
        Self::Unsupported(Cause::new(line, construct))
    }
}

type Step<T> = Result<T, Stop>;

/// How a script is run.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) profile: Profile,
    pub(super) v6: bool,
    /// Over a device with segmentation offload.
    pub(super) offload: bool,
    pub(super) start: Instant,
    /// The peer's first number, and where its clock begins, before the wrap.
    pub(super) below_wrap: Option<u32>,
}

impl Setup {
    pub(super) const fn new(profile: Profile) -> Self {
        Self {
            profile,
            v6: false,
            offload: false,
            start: START,
            below_wrap: None,
        }
    }
}

/// A world in which scripts run, one going on where the other ended.
///
/// # Errors
/// Why this script cannot begin.
pub(super) fn begin(script: &Script, setup: &Setup) -> Result<Runner, Outcome> {
    let made = settings::check(script)
        .and_then(|()| Settings::new(script, setup))
        .and_then(|settings| Runner::new(script, setup, settings));
    made.map_err(|stop| outcome(Err(stop), None, Vec::new()))
}

fn outcome(ended: Step<()>, strict: Option<Cause>, history: Vec<String>) -> Outcome {
    let (verdict, cause) = match ended {
        Ok(()) if strict.is_none() => (Verdict::StrictPass, None),
        Ok(()) => (Verdict::Pass, strict),
        Err(Stop::Fail(cause)) => (Verdict::Fail, Some(cause)),
        Err(Stop::Unsupported(cause)) => (Verdict::Unsupported, Some(cause)),
    };
    let history = if verdict == Verdict::Fail {
        history
    } else {
        Vec::new()
    };
    Outcome {
        verdict,
        cause,
        history,
    }
}

/// Runs scripts in one world.
pub(super) struct Runner {
    settings: Settings,
    world: World,
    sockets: Sockets,
    pending: Option<Pending>,
    /// Names that code gave values.
    names: eval::Names,
    /// Was something closed behind the last line about a packet?
    is_closed_behind: bool,
    /// The end of the event before.
    last: Instant,
    /// Was there an event?
    has_begun: bool,
    /// What the strict verdict would not have let pass, first.
    strict: Option<Cause>,
}

impl Runner {
    fn new(script: &Script, setup: &Setup, settings: Settings) -> Step<Self> {
        let place = Place {
            ours: settings.ours,
            theirs: settings.theirs,
            mtu: settings.mtu(),
            offload: setup.offload,
            start: setup.start,
        };
        let world = World::new(&settings.profile, place);
        let mut world = world.map_err(|error| Stop::fail(0, error))?;
        world.numbers.scaled_echo = settings.scaled_echo;
        if let Some(below) = setup.below_wrap {
            let first = 0u32.wrapping_sub(below);
            world.numbers.peer_shift = Shift::between(peer_isn(script).unwrap_or(0), first);
            world.numbers.peer_stamp_shift = first;
        }
        let last = world.now;
        Ok(Self {
            settings,
            world,
            sockets: Sockets::default(),
            pending: None,
            names: eval::Names::default(),
            is_closed_behind: false,
            last,
            has_begun: false,
            strict: None,
        })
    }

    /// Runs a script, or what follows the one before; what it comes to with all before it.
    pub(super) fn run(&mut self, script: &Script) -> Outcome {
        let ended = if self.has_begun {
            settings::check_more(script).and_then(|()| self.play(script))
        } else {
            self.play(script)
        };
        outcome(ended, self.strict.clone(), self.world.history())
    }

    /// The first SYN of ours that left: what the variants near the wrap are computed from.
    pub(super) const fn first_syn(&self) -> Option<FirstSyn> {
        self.world.first_syn
    }

    fn play(&mut self, script: &Script) -> Step<()> {
        // What was done to the stack since the piece before.
        self.settle(0)?;
        for event in &script.events {
            let is_first = !core::mem::replace(&mut self.has_begun, true);
            if is_first {
                self.begin(event.when);
            }
            self.event(event, is_first)?;
        }
        let line = script.events.last().map_or(0, |event| event.line);
        self.end(line, ends_with_close(script))?;
        if let Some(cleanup) = &script.cleanup {
            self.shell(cleanup, true)?;
        }
        Ok(())
    }

    /// The first event is now, whatever time it says; the script's times count from there.
    fn begin(&mut self, when: When) {
        let before = match when {
            When::At(time) | When::Between(time, _) => time,
            When::After(_) | When::Any | When::BetweenAfter(..) => Duration::ZERO,
        };
        let nanos = u64::try_from(before.as_nanos()).unwrap_or(0);
        let start = self.world.now.as_nanos().saturating_sub(nanos);
        self.world.start = Instant::from_nanos(start);
        self.last = self.world.now;
    }

    fn event(&mut self, event: &Event, first: bool) -> Step<()> {
        // A batch ends where the next line is not the peer's.
        if self.world.has_input() && !matches!(event.action, Action::Inject(_)) {
            self.settle(event.line)?;
        }
        if let Action::Expect(packet) = &event.action {
            self.expect(event, packet)?;
            self.is_closed_behind = false;
            self.last = self.world.now;
            return Ok(());
        }
        let at = match event.when {
            _ if first => self.world.now,
            When::After(time) => self.last + time,
            When::At(time) => self.world.start + time,
            // The parser lets only expected packets have other times.
            When::Any | When::Between(..) | When::BetweenAfter(..) => self.world.now,
        };
        self.advance(event.line, at)?;
        let late = self.world.now.since(at);
        if late > self.tolerance(at) {
            let now = self.world.elapsed();
            return Err(Stop::fail(
                event.line,
                format!("its time has passed: it is {now:?}"),
            ));
        }
        match &event.action {
            Action::Inject(packet) => {
                self.inject(event.line, packet)?;
                self.is_closed_behind = false;
                if packet.joined {
                    // The stack's turn is when the rest of the batch is there.
                    self.last = self.world.now;
                    return Ok(());
                }
            }
            Action::Call(call) => {
                self.is_closed_behind |= closes(&call.name);
                self.call(event, call)?;
            }
            Action::Shell(shell) => self.shell(shell, false)?,
            Action::Code(statements) => self.code(statements)?,
            Action::ExpectAnything => self.world.sent.clear(),
            Action::Expect(_) => {}
        }
        self.settle(event.line)?;
        self.last = self.world.now;
        Ok(())
    }

    /// The end: nothing is left that a line should have expected, and no call waits.
    fn end(&mut self, line: u32, ended_by_close: bool) -> Step<()> {
        if let Some(until) = self.pending.as_ref().map(|pending| pending.until) {
            self.advance(line, until + self.tolerance(until))?;
        }
        self.settle(line)?;
        if let Some(pending) = &self.pending {
            return Err(Stop::fail(pending.line, "the call has not returned"));
        }
        self.no_surplus(line, ended_by_close)
    }

    // --- time -----------------------------------------------------------------------------

    /// Lets time pass up to `to`, step by step, and tries the call that waits after each.
    fn advance(&mut self, line: u32, to: Instant) -> Step<()> {
        while self.step(line, to)? {}
        Ok(())
    }

    fn step(&mut self, line: u32, to: Instant) -> Step<bool> {
        // A call may wait for a time.
        let alarm = self.pending.as_ref().and_then(|pending| pending.alarm);
        let bound = alarm.filter(|&alarm| alarm < to).unwrap_or(to);
        let stepped = self
            .world
            .step(bound)
            .map_err(|error| Stop::fail(line, error))?;
        self.retry()?;
        Ok(stepped || bound < to && self.world.now < to)
    }

    fn settle(&mut self, line: u32) -> Step<()> {
        self.world
            .settle()
            .map_err(|error| Stop::fail(line, error))?;
        self.retry()
    }

    /// How far an event at `target` may be off: it grows with the time since the one before.
    fn tolerance(&self, target: Instant) -> Duration {
        let since = target.since(self.last);
        let part = since / 1000 * self.settings.tolerance_per_mille;
        part.max(self.settings.tolerance)
    }

    // --- calls ----------------------------------------------------------------------------

    fn call(&mut self, event: &Event, call: &Call) -> Step<()> {
        let answer = self.make(event.line, call)?;
        match (answer, event.until) {
            (Answer::Done(returned), None) => self.check_returned(event.line, call, &returned),
            (Answer::Done(returned), Some(_)) => {
                // It must not return before its end, give or take.
                let until = self.until(event);
                self.check_time(event.line, until)?;
                self.check_returned(event.line, call, &returned)
            }
            (Answer::Blocks(_), None) => {
                let text = "the call blocks: START...END says until when";
                Err(Stop::fail(event.line, text))
            }
            (Answer::Blocks(alarm), Some(_)) => {
                if let Some(pending) = &self.pending {
                    let text = format!("the call of line {} has not returned", pending.line);
                    return Err(Stop::fail(event.line, text));
                }
                self.pending = Some(Pending {
                    line: event.line,
                    call: call.clone(),
                    until: self.until(event),
                    alarm,
                });
                Ok(())
            }
        }
    }

    /// Start and end count from the same time: the end of the event before when they are relative.
    fn until(&self, event: &Event) -> Instant {
        let end = event.until.unwrap_or_default();
        match event.when {
            When::At(_) => self.world.start + end,
            _ => self.last + end,
        }
    }

    /// Tries the call that waits.
    fn retry(&mut self) -> Step<()> {
        let Some(mut pending) = self.pending.take() else {
            return Ok(());
        };
        match self.make_again(&pending)? {
            Answer::Blocks(alarm) => {
                let tolerance = self.tolerance(pending.until);
                if self.world.now > pending.until + tolerance {
                    return Err(Stop::fail(
                        pending.line,
                        "the call has not returned in time",
                    ));
                }
                pending.alarm = alarm;
                self.pending = Some(pending);
                Ok(())
            }
            Answer::Done(returned) => {
                self.check_time(pending.line, pending.until)?;
                self.check_returned(pending.line, &pending.call, &returned)?;
                // What it freed, or opened, may send at once.
                self.world
                    .settle()
                    .map_err(|error| Stop::fail(pending.line, error))
            }
        }
    }

    fn check_time(&mut self, line: u32, until: Instant) -> Step<()> {
        let off = self.world.now.since(until).max(until.since(self.world.now));
        if off <= self.tolerance(until) {
            return Ok(());
        }
        let text = format!("the call returned at {:?}", self.world.elapsed());
        self.miss(line, text, self.settings.lenient_calls)
    }

    /// A mismatch; one that the script calls not fatal costs the strict verdict alone.
    fn miss(&mut self, line: u32, text: String, lenient: bool) -> Step<()> {
        if !lenient {
            return Err(Stop::fail(line, text));
        }
        self.not_strict(line, text);
        Ok(())
    }

    fn not_strict(&mut self, line: u32, text: impl Into<String>) {
        self.strict.get_or_insert_with(|| Cause::new(line, text));
    }
}

/// Is a connection closed behind the last line about a packet? What that sends a script leaves open.
fn ends_with_close(script: &Script) -> bool {
    let is_packet = |event: &&Event| {
        let Event { action, .. } = event;
        matches!(
            action,
            Action::Inject(_) | Action::Expect(_) | Action::ExpectAnything
        )
    };
    let behind = script
        .events
        .iter()
        .rev()
        .take_while(|event| !is_packet(event));
    behind.into_iter().any(|event| match &event.action {
        Action::Call(call) => closes(&call.name),
        _ => false,
    })
}

/// Does this call end what is sent?
fn closes(call: &str) -> bool {
    matches!(call, "close" | "shutdown")
}

/// The peer's first number in a script.
fn peer_isn(script: &Script) -> Option<u32> {
    script.events.iter().find_map(|event| match &event.action {
        Action::Inject(packet) => match &packet.body {
            Body::Tcp(tcp) if tcp.flags.contains(Flags::SYN) => Some(tcp.seq.value),
            _ => None,
        },
        _ => None,
    })
}
