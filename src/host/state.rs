//! The core of a host: the stack, the transmitting half, the sockets, and where it stands in life.
//!
//! *Owns* what is behind the core's lock. *Does not* lock, wait or wake: `shared.rs` does.

use std::sync::Arc;

use super::clock;
use super::devices::{Closers, Devices, Offer, Places};
use super::error::HostError;
use super::members::Members;
use super::names::Names;
use super::roles::{LeadId, Need, Roles, Wake};
use super::shared::{Rx, Turn};
use super::sockets::{After, Sockets};
use super::waits::Waits;
use crate::base::Instant;
use crate::stack::{InterfaceId, Journal, More, Stack};

/// Rounds of the stack's frame budget that a user's call sends itself; the rest is for who looks.
const ROUNDS_OF_A_CALL: usize = 2;

/// Rounds for what else waits when the host ends, so that an unwilling device cannot hold it up.
const ROUNDS_AT_THE_END: usize = 1024;

/// The stack and its ways out.
pub(crate) struct Core {
    pub(crate) stack: Stack,
    pub(crate) sockets: Sockets,
    pub(crate) names: Names,
    /// The ways out. One that is full only who looks offers again. None at the end of the host.
    pub(super) devices: Devices,
    /// The interfaces that somebody may wait for.
    pub(super) members: Members,
    pub(super) roles: Roles,
    pub(super) life: Life,
    /// Connections that a shutdown found still open at its end.
    aborted: usize,
    /// The lease outlives the host.
    pub(super) keeps_lease: bool,
}

/// Where a host stands in its life.
#[derive(Debug)]
pub(super) enum Life {
    Running,
    /// No new sockets; ends when no connection is left, or at this time.
    Draining(Instant),
    /// The driver ends the host for this reason in its next turn.
    Ending(HostError),
    Ended(HostError),
}

/// What who looks does after a turn.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// There is more to do: look at the device and come back.
    Again,
    /// Nothing to do before `until`; wait too until one of those that are `full` can be written.
    Sleep { until: Instant, full: Places },
    /// The host is over.
    End(HostError),
}

impl Core {
    pub(super) fn new(stack: Stack, sockets: Sockets, roles: Roles, closers: Arc<Closers>) -> Self {
        Self {
            stack,
            sockets,
            names: Names::default(),
            devices: Devices::closed_by(closers),
            members: Members::default(),
            roles,
            life: Life::Running,
            aborted: 0,
            keeps_lease: false,
        }
    }

    /// Handles a batch and all timers that are due, and sends one budget of frames.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        rx: &mut Rx,
        after: &mut After,
        turn: &Turn<'_>,
    ) -> More {
        if self.devices.has_moves() || rx.has_failed() {
            self.follow(now, rx);
        }
        self.sockets.refresh_rooms(&mut self.stack);
        self.sockets.charge_unread(&mut self.stack);
        let (sockets, names) = (&mut self.sockets, &mut self.names);
        rx.deliver(now, &mut self.stack, |stack| {
            // Queues in front of the stack take what came before the next frame finds no room.
            dispatch((sockets, names), stack, now, after);
        });
        self.stack.handle_timeout(now);
        self.names.handle_timeout(&mut self.stack, now);
        self.sockets.handle_timeout(now, after);
        if let Turn::Lead(_, until) = turn
            && until.sends
            && (until.ready)()
        {
            self.poll_device(now);
            return More::Idle;
        }
        let more = self.transmit(now, 1, Offer::All);
        self.dispatch(now, after);
        // What the resolver sends for an event of this turn shall not wait for the next one, nor for a full device beside it.
        let goes_on = match more {
            More::DeviceFull => self.devices.can_send(&self.stack),
            more => more == More::Idle,
        };
        if goes_on && self.names.has_acted() {
            More::Budget
        } else {
            more
        }
    }

    /// What comes after a turn; `None` when that was the last one of a lead. And whom to wake for it.
    pub(super) fn end_turn(
        &mut self,
        now: Instant,
        more: More,
        turn: &Turn<'_>,
        served_others: bool,
    ) -> (Option<Next>, Wake) {
        let leads = match turn {
            Turn::Lead(id, until) if (until.ready)() || !self.roles.is_led_by(*id) => {
                if self.roles.is_led_by(*id) {
                    self.roles.served_itself();
                }
                return (None, self.end_lead(*id, now, until.sends));
            }
            Turn::Lead(..) => true,
            Turn::Drive => false,
        };
        if leads && served_others {
            self.roles.served_others();
        }
        let next = self.next(now, more);
        self.sleeps(leads, &next);
        (Some(next), Wake::Nobody)
    }

    /// Ends the host at once, or when no connection is left, but by `deadline`; whose listeners ended is to be told.
    pub(super) fn begin_end(&mut self, now: Instant, deadline: Option<Instant>) -> Vec<Arc<Waits>> {
        let mut ended = Vec::new();
        if !matches!(self.life, Life::Running | Life::Draining(_)) {
            return ended;
        }
        self.life = match deadline {
            None => Life::Ending(HostError::Closed),
            Some(deadline) => {
                ended = self.shutdown_all(now);
                Life::Draining(deadline)
            }
        };
        ended
    }

    /// The end: resets what is open; what is left to be dropped and told without the lock.
    pub(super) fn end(&mut self, why: HostError) -> (Devices, Sockets, Option<Box<dyn Journal>>) {
        if !matches!(why, HostError::Panicked) {
            self.reset_all(matches!(why, HostError::Closed));
        }
        self.life = Life::Ended(why);
        // What comes now is of handles that outlive the host: nobody answers it.
        let journal = self.stack.end_journal();
        let devices = std::mem::take(&mut self.devices);
        (devices, self.sockets.take(), journal)
    }

    /// How many connections the end found open.
    pub(super) const fn aborted(&self) -> usize {
        self.aborted
    }

    /// May the sockets that exist still be used?
    pub(crate) fn check(&self) -> Result<(), HostError> {
        match &self.life {
            Life::Running | Life::Draining(_) => Ok(()),
            Life::Ending(why) | Life::Ended(why) => Err(why.clone()),
        }
    }

    /// May new sockets be made?
    pub(crate) fn check_open(&self) -> Result<(), HostError> {
        match self.life {
            Life::Draining(_) => Err(HostError::Closed),
            _ => self.check(),
        }
    }

    /// Has the driver finished?
    pub(crate) fn ended(&self) -> Option<HostError> {
        match &self.life {
            Life::Ended(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// After a user's call: sends, or leaves that to who looks, if it `defers`; what is to be told, and what is to be done by whom looks.
    pub(super) fn after_call(&mut self, now: Instant, defers: bool) -> (After, Need) {
        let mut after = After::default();
        let mut urgent = false;
        if self.devices.can_send(&self.stack) {
            urgent = defers || self.transmit(now, ROUNDS_OF_A_CALL, Offer::WithRoom) != More::Idle;
        }
        // A device that was lost with that.
        urgent |= self.devices.has_moves();
        // A thread that leads does not sleep on its socket.
        urgent |= self.dispatch(now, &mut after) && self.roles.is_led();
        urgent |= self.names.has_acted();
        urgent |= match self.life {
            Life::Running | Life::Ended(_) => false,
            // The last connection may have ended with this call.
            Life::Draining(_) => self.stack.tcp_open_count() == 0,
            Life::Ending(_) => true,
        };
        let due = self.due();
        (after, Need { due, urgent })
    }

    pub(super) fn wake_for(&mut self, need: Need) -> Wake {
        self.roles.wake_for(need)
    }

    /// Whom to wake so that somebody looks at once.
    pub(super) fn wake_at_once(&mut self) -> Wake {
        let due = self.due();
        self.roles.wake_for(Need { due, urgent: true })
    }

    /// What whoever looks at the device has to do without any frame.
    pub(super) fn need(&self) -> Need {
        let running = matches!(self.life, Life::Running);
        Need {
            due: self.due(),
            urgent: !running || self.devices.wants_turn(&self.stack),
        }
    }

    /// Takes the role of who looks, when it is to be had: whom to wake, and how to begin.
    pub(super) fn begin_lead(&mut self) -> Option<(LeadId, Wake, Next)> {
        if !matches!(self.life, Life::Running) {
            return None;
        }
        let Need { due, urgent } = self.need();
        let (id, wake) = self.roles.begin_lead(due)?;
        let sleep = Next::Sleep {
            until: due,
            full: self.devices.full(),
        };
        Some((id, wake, if urgent { Next::Again } else { sleep }))
    }

    pub(super) fn end_lead(&mut self, id: LeadId, now: Instant, sends: bool) -> Wake {
        let mut need = self.need();
        if sends && !self.devices.has_filled() && matches!(self.life, Life::Running) {
            need.urgent = false;
        }
        self.roles.end_lead(id, now, need)
    }

    /// Ends the host for what went wrong.
    pub(super) fn fail(&mut self, why: HostError) {
        if self.check().is_ok() {
            self.life = Life::Ending(why);
        }
    }

    /// Sends up to `rounds` budgets of frames, and lets the devices send what they have themselves.
    fn transmit(&mut self, now: Instant, rounds: usize, offer: Offer) -> More {
        let more = self.devices.send(now, &mut self.stack, rounds, offer);
        self.lose_failed(now);
        more
    }

    /// Lets the devices send what they have themselves.
    fn poll_device(&mut self, now: Instant) {
        self.devices.poll(now);
        self.lose_failed(now);
    }

    /// The same when there is nothing else to do; what is next for who asks, a leader or the driver.
    /// Who looks no more leaves the device alone, for what it wants then would be told to nobody else.
    pub(super) fn poll_idle(&mut self, now: Instant, lead: Option<LeadId>) -> Next {
        if !self.roles.is_looked_at_by(lead) {
            return Next::Again;
        }
        if self.check().is_ok() {
            self.poll_device(now);
        }
        let next = self.next(now, More::Idle);
        self.sleeps(lead.is_some(), &next);
        next
    }

    /// Who asked for what is next does that.
    fn sleeps(&mut self, leads: bool, next: &Next) {
        let sleeps_until = match next {
            Next::Sleep { until, .. } => *until,
            Next::Again | Next::End(_) => Instant::ZERO,
        };
        self.roles.sleeps_until(leads, sleeps_until);
    }

    /// Passes events on; were there any?
    fn dispatch(&mut self, now: Instant, after: &mut After) -> bool {
        let changed = self.sockets.tell_changes(&mut self.stack, after);
        let Self {
            sockets,
            names,
            stack,
            ..
        } = self;
        if changed {
            names.learn(stack);
        }
        dispatch((sockets, names), stack, now, after)
    }

    /// When something is due without any frame or call.
    fn due(&self) -> Instant {
        let deadline = match self.life {
            Life::Draining(deadline) => deadline,
            _ => Instant::FAR_FUTURE,
        };
        let devices_due = self.devices.due();
        self.stack
            .poll_timeout()
            .unwrap_or(Instant::FAR_FUTURE)
            .min(devices_due.unwrap_or(Instant::FAR_FUTURE))
            .min(self.names.due())
            .min(self.sockets.due())
            .min(deadline)
    }

    /// What who looks does next.
    fn next(&self, now: Instant, more: More) -> Next {
        match &self.life {
            Life::Ending(why) | Life::Ended(why) => return Next::End(why.clone()),
            Life::Draining(deadline) if *deadline <= now || self.stack.tcp_open_count() == 0 => {
                return Next::End(HostError::Closed);
            }
            Life::Running | Life::Draining(_) => {}
        }
        // What a device that went leaves behind is the next turn's to tell.
        if more == More::Budget || self.devices.has_moves() {
            return Next::Again;
        }
        Next::Sleep {
            until: self.due(),
            full: self.devices.full(),
        }
    }

    /// Resets every connection, those that their users have closed too, and tells the peers as long
    /// as the device takes it.
    fn reset_all(&mut self, device_works: bool) {
        let now = clock::now();
        self.aborted = self.stack.tcp_open_count();
        self.stack.tcp_abort_all(now);
        if device_works {
            self.release(now, |_| true);
            // Nothing new comes from here on: each round sends some of what is owed.
            let rounds = ROUNDS_AT_THE_END.saturating_add(self.stack.tcp_owed_resets());
            self.transmit(now, rounds, Offer::All);
        }
    }

    /// Gives leases of these interfaces back, behind what connections owe.
    pub(super) fn release(&mut self, now: Instant, of: impl Fn(InterfaceId) -> bool) {
        if self.keeps_lease {
            return;
        }
        let leased = |&on: &_| of(on) && self.stack.lease(on).is_some();
        let leased: Vec<_> = self.stack.interfaces().filter(leased).collect();
        for on in leased {
            // There is a client, for it has a lease.
            let _ = self.stack.dhcp_release(now, on);
        }
    }

    /// Sends a FIN on every connection and closes every listener, whose users are to be told.
    fn shutdown_all(&mut self, now: Instant) -> Vec<Arc<Waits>> {
        let ended = self.sockets.close_listeners(&mut self.stack, now);
        let open: Vec<_> = self.stack.tcp_connections().collect();
        for id in open {
            // One that is not connected yet, or closing already, needs nothing.
            let _ = self.stack.tcp_shutdown(now, id, std::net::Shutdown::Write);
        }
        ended
    }
}

/// Passes events on; were there any?
fn dispatch(
    (sockets, names): (&mut Sockets, &mut Names),
    stack: &mut Stack,
    now: Instant,
    after: &mut After,
) -> bool {
    let mut any = false;
    while let Some(event) = stack.poll_event() {
        if !names.on_event(stack, now, event) {
            sockets.on_event(stack, now, event, after);
        }
        any = true;
    }
    names.tell(after);
    any
}
