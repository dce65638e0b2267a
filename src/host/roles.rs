//! Who looks at the device: the driver, or a user's thread that would block otherwise.
//!
//! The thread hop of a blocking read costs more than everything else in it. So a thread that would
//! block *leads*: it waits for the device itself, handles what comes for everyone, and stops when
//! its own socket has something. The driver stands back meanwhile. After a lead nobody looks for a
//! grace time: the thread mostly comes back and leads again, and no other thread was woken. If it
//! does not, the driver looks at the end of that time, and leading is suspended for a while when
//! frames had waited.
//!
//! *Owns* the decision. *Does not* wait, wake or lock: it lives inside the core and is told the
//! time. Invariant: from every state the device is looked at again within the grace time, or when
//! something is due, whichever is earlier.

use std::time::Duration;

use crate::base::Instant;

/// Blocking calls that do not lead after one lead too many, at most.
const MOST_SKIPPED: u32 = 1024;

/// Turns by which a leader serves others only before one of them may replace it: an idle thread,
/// one that accepts for example, shall not lead for a busy one, nor two busy ones take turns.
const SELFLESS: u32 = 8;

/// Who looks at the device, and when.
#[derive(Clone, Debug)]
pub(crate) struct Roles {
    looker: Looker,
    /// Who looks does so again by itself no later than this; who wants it sooner wakes it.
    looks_at: Instant,
    /// How long nobody may look after a lead.
    grace: Duration,
    /// The driver asks for its part again no later than this: FAR_FUTURE when it sleeps until it is
    /// woken, because one lead lasted, and ZERO when it is awake or about to be.
    driver_at: Instant,
    /// Leads begun, and how many of them the driver has seen.
    leads: u64,
    leads_seen: u64,
    /// Turns in a row by which leaders served others only. A lead that ends for another reason, a
    /// wake-up for an earlier timer say, and begins again is the same idle thread's.
    selfless: u32,
    /// Blocking calls that shall not lead, and how many the next offence costs.
    skip: u32,
    penalty: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looker {
    Driver,
    Leader,
    /// A lead ended at this time.
    Nobody(Instant),
}

/// One lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeadId(u64);

/// What a core asks for besides the passing of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// The next deadline.
    pub(crate) due: Instant,
    /// More to send, a full device, a host that ends: the driver's business, at once.
    pub(crate) urgent: bool,
}

/// What the driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It looks at the device.
    Look,
    /// It looks because the thread that led last did not come back.
    StepIn,
    /// It looks once, for a timer; the thread that led last mostly comes back.
    Glance,
    /// It stands back until this time, or until it is woken.
    StandBack(Option<Instant>),
}

/// Whom to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    Nobody,
    Driver,
    Leader,
}

impl Roles {
    /// The driver begins; a grace time of zero never lets anybody else lead.
    pub(crate) const fn new(grace: Duration) -> Self {
        Self {
            looker: Looker::Driver,
            looks_at: Instant::ZERO,
            grace,
            driver_at: Instant::ZERO,
            leads: 0,
            leads_seen: 0,
            selfless: 0,
            skip: 0,
            penalty: 0,
        }
    }

    /// A thread would block: may it lead until `due`? Says which lead this is, and whom to wake
    /// first, because it leads or looks no more.
    pub(crate) fn begin_lead(&mut self, due: Instant) -> Option<(LeadId, Wake)> {
        if self.grace.is_zero() || (self.is_led() && self.selfless < SELFLESS) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        let wake = match self.looker {
            Looker::Nobody(_) => {
                self.penalty /= 2;
                Wake::Nobody
            }
            // It sleeps on the device, or is about to.
            Looker::Driver => {
                self.driver_at = Instant::ZERO;
                Wake::Driver
            }
            Looker::Leader => {
                self.selfless = 0;
                Wake::Leader
            }
        };
        self.looker = Looker::Leader;
        self.looks_at = due;
        self.leads += 1;
        Some((LeadId(self.leads), wake))
    }

    /// The leader took a turn that served others only.
    pub(crate) const fn served_others(&mut self) {
        self.selfless = self.selfless.saturating_add(1);
    }

    /// The leader's own socket has something.
    pub(crate) const fn served_itself(&mut self) {
        self.selfless = 0;
    }

    /// Does this leader look at the device, or the driver if it is none?
    pub(crate) fn is_looked_at_by(&self, lead: Option<LeadId>) -> bool {
        match lead {
            Some(id) => self.is_led_by(id),
            None => self.looker == Looker::Driver,
        }
    }

    /// Does this lead still last?
    pub(crate) fn is_led_by(&self, id: LeadId) -> bool {
        id.0 == self.leads && self.is_led()
    }

    /// The lead is over; nothing happens if another one has replaced it.
    pub(crate) fn end_lead(&mut self, id: LeadId, now: Instant, need: Need) -> Wake {
        if !self.is_led_by(id) {
            return Wake::Nobody;
        }
        self.looker = Looker::Nobody(now);
        // A driver that asks in time finds out by itself what is due. A timer that each write arms anew
        // a little later would wake it with each lead otherwise.
        if need.urgent || need.due.min(now + self.grace) < self.driver_at {
            return self.wake_driver();
        }
        self.looks_at = self.driver_at;
        Wake::Nobody
    }

    const fn wake_driver(&mut self) -> Wake {
        (self.driver_at, self.looks_at) = (Instant::ZERO, Instant::ZERO);
        Wake::Driver
    }

    /// The driver asks for its part.
    pub(crate) fn driver(&mut self, now: Instant, need: Need) -> Part {
        match self.looker {
            Looker::Driver => Part::Look,
            Looker::Leader if self.leads == self.leads_seen => {
                self.driver_at = Instant::FAR_FUTURE;
                Part::StandBack(None)
            }
            Looker::Leader => {
                self.leads_seen = self.leads;
                self.driver_at = now + self.grace;
                Part::StandBack(Some(self.driver_at))
            }
            Looker::Nobody(since) => self.driver_alone(now, need, since + self.grace),
        }
    }

    /// Nobody leads, and the thread that did counts as gone at `late`.
    fn driver_alone(&mut self, now: Instant, need: Need, late: Instant) -> Part {
        let at = need.due.min(late);
        if !need.urgent && now < at {
            (self.driver_at, self.looks_at) = (at, at);
            return Part::StandBack(Some(at));
        }
        (self.driver_at, self.looks_at) = (Instant::ZERO, Instant::ZERO);
        if !need.urgent && now < late {
            return Part::Glance;
        }
        self.looker = Looker::Driver;
        if late <= now {
            Part::StepIn
        } else {
            Part::Look
        }
    }

    /// Does a thread lead?
    pub(crate) fn is_led(&self) -> bool {
        self.looker == Looker::Leader
    }

    /// A turn was taken, after which its thread sleeps until `at`; ZERO when it does not sleep.
    pub(crate) fn sleeps_until(&mut self, leads: bool, at: Instant) {
        // The driver may still take a turn when a lead has begun.
        let looks = match self.looker {
            Looker::Driver => !leads,
            Looker::Leader => leads,
            Looker::Nobody(_) => false,
        };
        if looks {
            self.looks_at = at;
        }
    }

    /// Something is due at `due`: whom to wake for it.
    pub(crate) fn wake_for(&mut self, need: Need) -> Wake {
        if need.due >= self.looks_at && !need.urgent {
            return Wake::Nobody;
        }
        // Once is enough: it looks as soon as it can.
        self.looks_at = Instant::ZERO;
        match self.looking() {
            Wake::Driver => self.wake_driver(),
            other => other,
        }
    }

    /// Whom to wake so that somebody looks.
    pub(crate) const fn looking(&self) -> Wake {
        match self.looker {
            Looker::Leader => Wake::Leader,
            Looker::Driver | Looker::Nobody(_) => Wake::Driver,
        }
    }

    /// The driver had to step in after a lead, and frames had waited: others shall not wait again
    /// for a thread that leads and then does something else.
    pub(crate) fn lead_hurt(&mut self) {
        self.penalty = (self.penalty * 2).clamp(1, MOST_SKIPPED);
        // A device in trouble may have suspended leading for longer.
        self.skip = self.skip.max(self.penalty);
    }

    /// The device is in trouble: no lead before the driver has found out.
    pub(crate) const fn suspend(&mut self) {
        self.skip = MOST_SKIPPED;
    }
}

#[cfg(test)]
impl Roles {
    /// Leads begun.
    pub(crate) const fn leads(&self) -> u64 {
        self.leads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_millis(1);

    fn at(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1000)
    }

    fn calm() -> Need {
        Need {
            due: Instant::FAR_FUTURE,
            urgent: false,
        }
    }

    fn begin(roles: &mut Roles) -> Option<Wake> {
        let begun = roles.begin_lead(Instant::FAR_FUTURE);
        begun.map(|(id, wake)| {
            assert_eq!(id.0, roles.leads);
            wake
        })
    }

    fn end(roles: &mut Roles, now: Instant, need: Need) -> Wake {
        roles.end_lead(LeadId(roles.leads), now, need)
    }

    fn leading() -> Roles {
        let mut roles = Roles::new(GRACE);
        assert_eq!(begin(&mut roles), Some(Wake::Driver));
        roles
    }

    #[test]
    fn a_thread_that_comes_back_wakes_nobody() {
        let mut roles = leading();
        assert_eq!(roles.driver(at(0), calm()), Part::StandBack(Some(at(1000))));
        for round in 0..10 {
            let now = at(50 * round);
            assert_eq!(end(&mut roles, now, calm()), Wake::Nobody);
            assert_eq!(begin(&mut roles), Some(Wake::Nobody));
        }
    }

    #[test]
    fn a_thread_that_stays_away_is_replaced_after_the_grace_time() {
        let mut roles = leading();
        roles.driver(at(0), calm());
        assert_eq!(end(&mut roles, at(300), calm()), Wake::Nobody);
        assert_eq!(
            roles.driver(at(1000), calm()),
            Part::StandBack(Some(at(1300)))
        );
        assert_eq!(roles.driver(at(1300), calm()), Part::StepIn);
        assert_eq!(roles.driver(at(1301), calm()), Part::Look);
    }

    #[test]
    fn the_end_of_a_long_lead_wakes_the_driver_that_parked() {
        let mut roles = leading();
        assert_eq!(roles.driver(at(0), calm()), Part::StandBack(Some(at(1000))));
        assert_eq!(roles.driver(at(1000), calm()), Part::StandBack(None));
        assert_eq!(end(&mut roles, at(90_000), calm()), Wake::Driver);
        assert_eq!(
            roles.driver(at(90_010), calm()),
            Part::StandBack(Some(at(91_000)))
        );
        assert_eq!(roles.driver(at(91_000), calm()), Part::StepIn);
    }

    #[test]
    fn what_is_due_or_urgent_does_not_wait_for_the_grace_time() {
        let soon = Need {
            due: at(500),
            urgent: false,
        };
        let urgent = Need {
            urgent: true,
            ..calm()
        };
        for (need, part) in [(soon, Part::StandBack(Some(at(500)))), (urgent, Part::Look)] {
            let mut roles = leading();
            roles.driver(at(0), calm());
            assert_eq!(end(&mut roles, at(100), need), Wake::Driver, "{need:?}");
            assert_eq!(roles.driver(at(100), need), part, "{need:?}");
        }
    }

    /// Each write moves a tail loss probe's timer: a deadline of 2 ms is always near.
    #[test]
    fn a_deadline_that_is_near_with_each_lead_wakes_the_driver_once() {
        let near = |micros| Need {
            due: at(micros),
            urgent: false,
        };
        let mut roles = leading();
        assert_eq!(roles.driver(at(0), calm()), Part::StandBack(Some(at(1000))));
        assert_eq!(end(&mut roles, at(10), near(500)), Wake::Driver);
        assert_eq!(begin(&mut roles), Some(Wake::Nobody));
        assert_eq!(end(&mut roles, at(11), near(500)), Wake::Nobody, "awake");
        assert_eq!(
            roles.driver(at(20), near(500)),
            Part::StandBack(Some(at(500)))
        );
        for micros in 30..400 {
            assert_eq!(begin(&mut roles), Some(Wake::Nobody));
            assert_eq!(end(&mut roles, at(micros), near(500)), Wake::Nobody);
        }
        assert_eq!(end_earlier(&mut roles, at(401), near(499)), Wake::Driver);
    }

    fn end_earlier(roles: &mut Roles, now: Instant, need: Need) -> Wake {
        begin(roles).unwrap();
        end(roles, now, need)
    }

    #[test]
    fn a_driver_with_a_timer_to_serve_leaves_the_role_to_the_thread_that_comes_back() {
        let soon = Need {
            due: at(500),
            urgent: false,
        };
        let mut roles = leading();
        roles.driver(at(0), calm());
        end(&mut roles, at(100), soon);
        assert_eq!(roles.driver(at(101), soon), Part::StandBack(Some(at(500))));
        assert_eq!(roles.driver(at(500), soon), Part::Glance);
        assert_eq!(begin(&mut roles), Some(Wake::Nobody));
        end(&mut roles, at(510), calm());
        assert_eq!(
            roles.driver(at(511), calm()),
            Part::StandBack(Some(at(1510)))
        );
        assert_eq!(roles.driver(at(1510), calm()), Part::StepIn);
    }

    #[test]
    fn a_call_wakes_who_looks_once_and_only_if_it_would_look_too_late() {
        let due = |micros| Need {
            due: at(micros),
            urgent: false,
        };
        let mut roles = Roles::new(GRACE);
        roles.sleeps_until(false, at(700));
        assert_eq!(roles.wake_for(due(700)), Wake::Nobody);
        assert_eq!(roles.wake_for(due(699)), Wake::Driver);
        assert_eq!(roles.wake_for(due(600)), Wake::Nobody);
        assert_eq!(
            roles.begin_lead(at(600)).map(|(_, wake)| wake),
            Some(Wake::Driver)
        );
        assert_eq!(roles.wake_for(due(599)), Wake::Leader);
    }

    #[test]
    fn each_lead_too_many_costs_twice_the_calls_of_the_one_before() {
        let mut roles = Roles::new(GRACE);
        for expected in [1, 2, 4, 8] {
            roles.lead_hurt();
            let refused = (0..2000)
                .take_while(|_| begin(&mut roles).is_none())
                .count();
            assert_eq!(refused, expected);
            end(&mut roles, at(0), calm());
            assert_eq!(roles.driver(at(1000), calm()), Part::StepIn);
        }
    }

    /// The closes of a busy thread arm timers, each of which wakes the idle leader.
    #[test]
    fn an_idle_leader_that_is_woken_now_and_then_is_replaced_all_the_same() {
        let mut roles = Roles::new(GRACE);
        begin(&mut roles).unwrap();
        for turn in 1..SELFLESS {
            roles.served_others();
            end(&mut roles, at(u64::from(turn)), calm());
            assert_eq!(begin(&mut roles), Some(Wake::Nobody));
            assert_eq!(begin(&mut roles), None, "after {turn} turns");
        }
        roles.served_others();
        assert_eq!(begin(&mut roles), Some(Wake::Leader));
        // Who replaced it begins anew, and so does who served itself.
        assert_eq!(begin(&mut roles), None);
        for _ in 0..SELFLESS {
            roles.served_others();
        }
        roles.served_itself();
        assert_eq!(begin(&mut roles), None);
    }

    #[test]
    fn nobody_leads_beside_a_leader_or_without_a_grace_time() {
        assert_eq!(begin(&mut leading()), None);
        let mut never = Roles::new(Duration::ZERO);
        assert_eq!(begin(&mut never), None);
    }

    #[test]
    fn a_leader_that_serves_only_others_is_replaced_and_ends_nothing_then() {
        let mut roles = Roles::new(GRACE);
        let (idle, _) = roles.begin_lead(Instant::FAR_FUTURE).unwrap();
        for _ in 0..SELFLESS {
            assert_eq!(begin(&mut roles), None);
            roles.served_others();
        }
        assert_eq!(begin(&mut roles), Some(Wake::Leader));
        assert_eq!(begin(&mut roles), None);
        assert_eq!(roles.end_lead(idle, at(1), calm()), Wake::Nobody);
        assert!(roles.is_led());
        end(&mut roles, at(2), calm());
        assert!(!roles.is_led());
    }
}
