//! Who waits and who tells, in every order: the core of a task's waiting (`src/host/news.rs`) under a scheduler that runs one thread at a
//! time and chooses which.
//!
//! Small worlds are tried in all orders, larger ones in random orders, whose seed a failure prints. `NETLOOM_SCHEDULES=N` tries N random ones.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use shuttle::scheduler::{DfsScheduler, RandomScheduler};
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::thread;
use shuttle::{Config, Runner};

use news::News;
use sync::{AtomicU32, Ordering};

#[path = "../../src/host/news.rs"]
mod news;

/// The same names as the host's, of the other scheduler.
mod sync {
    pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    pub(super) use shuttle::sync::{Mutex, PoisonError};
}

/// Random orders of each world, without the environment's word.
const SCHEDULES: usize = 20_000;

fn in_random_orders(world: impl Fn() + Send + Sync + 'static) {
    let set = std::env::var("NETLOOM_SCHEDULES");
    let schedules = set.map_or(SCHEDULES, |set| set.parse().expect("a number"));
    let mut config = Config::new();
    config.stack_size = 64 * 1024;
    Runner::new(RandomScheduler::new(schedules), config).run(world);
}

fn in_all_orders(world: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 64 * 1024;
    let tried = Runner::new(DfsScheduler::new(None, false), config).run(world);
    assert!(tried > 10, "{tried} orders");
}

/// A task that sleeps on a channel: nothing else wakes it.
struct Task(Sender<()>);

impl Task {
    fn new() -> (Arc<Self>, Receiver<()>) {
        let (sender, receiver) = channel();
        (Arc::new(Self(sender)), receiver)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        // It may be over.
        let _ = self.0.send(());
    }
}

/// Something that comes, and those who are told.
#[derive(Default)]
struct World {
    come: AtomicU32,
    news: News,
}

impl World {
    /// As a turn does: it is true, it is told, and who is marked is woken.
    fn happen(&self) {
        self.come.fetch_add(1, Ordering::SeqCst);
        self.news.tell();
        if self.news.is_watched() {
            self.news.wake();
        }
    }

    fn poll(&self, waker: &Waker, wanted: u32) -> Poll<()> {
        let cx = Context::from_waker(waker);
        let come = || (self.come.load(Ordering::SeqCst) >= wanted).then_some(());
        self.news.poll(&cx, come)
    }

    /// As an executor does; a wake-up that is lost leaves it asleep, which the scheduler reports.
    fn wait_for(&self, wanted: u32) {
        let (task, woken) = Task::new();
        let waker = Waker::from(task);
        while self.poll(&waker, wanted).is_pending() {
            woken.recv().unwrap();
        }
    }
}

#[test]
fn no_order_of_one_who_tells_and_one_who_waits_loses_a_wake_up() {
    in_all_orders(|| {
        let world = Arc::new(World::default());
        let telling = Arc::clone(&world);
        let teller = thread::spawn(move || telling.happen());
        world.wait_for(1);
        teller.join().unwrap();
    });
}

#[test]
fn several_who_tell_again_and_again_lose_none() {
    in_random_orders(|| {
        let world = Arc::new(World::default());
        let tellers: Vec<_> = (0..3)
            .map(|_| {
                let world = Arc::clone(&world);
                thread::spawn(move || (0..3).for_each(|_| world.happen()))
            })
            .collect();
        for wanted in 1..=9 {
            world.wait_for(wanted);
        }
        tellers
            .into_iter()
            .for_each(|teller| teller.join().unwrap());
    });
}

/// A task moves between threads, so that wakers replace each other: the last that polled is woken.
#[test]
fn a_task_that_goes_elsewhere_is_woken_there() {
    in_random_orders(|| {
        let world = Arc::new(World::default());
        let telling = Arc::clone(&world);
        let teller = thread::spawn(move || (0..2).for_each(|_| telling.happen()));
        let first = Arc::clone(&world);
        let before = thread::spawn(move || {
            let waker = Waker::from(Task::new().0);
            let _ = first.poll(&waker, 2);
        });
        before.join().unwrap();
        world.wait_for(2);
        teller.join().unwrap();
    });
}

/// Given up at any moment: nothing of a task stays behind, and another that waits is woken still.
#[test]
fn a_task_that_gives_up_leaves_nothing_and_takes_nothing_from_others() {
    in_random_orders(|| {
        let world = Arc::new(World::default());
        let (telling, giving_up) = (Arc::clone(&world), Arc::clone(&world));
        let teller = thread::spawn(move || telling.happen());
        let quitter = thread::spawn(move || {
            let (task, _woken) = Task::new();
            let waker = Waker::from(Arc::clone(&task));
            if giving_up.poll(&waker, 1).is_pending() {
                giving_up.news.forget(Some(&waker));
            }
            (task, waker)
        });
        let (task, waker) = quitter.join().unwrap();
        teller.join().unwrap();
        drop(waker);
        assert_eq!(Arc::strong_count(&task), 1, "a waker stayed");
        world.wait_for(1);
    });
    in_random_orders(|| {
        let world = Arc::new(World::default());
        let (telling, giving_up) = (Arc::clone(&world), Arc::clone(&world));
        let others = Waker::from(Task::new().0);
        giving_up.news.register(&others, 0);
        let quitter =
            thread::spawn(move || giving_up.news.forget(Some(&Waker::from(Task::new().0))));
        let teller = thread::spawn(move || telling.happen());
        world.wait_for(1);
        quitter.join().unwrap();
        teller.join().unwrap();
    });
}

/// What one poll found, no waker of an earlier one waits for any more.
#[test]
fn a_poll_that_is_ready_leaves_no_waker() {
    in_all_orders(|| {
        let world = Arc::new(World::default());
        let telling = Arc::clone(&world);
        let teller = thread::spawn(move || {
            // It comes true, and who tells of it never gets there.
            telling.come.fetch_add(1, Ordering::SeqCst);
        });
        let (task, _woken) = Task::new();
        let waker = Waker::from(Arc::clone(&task));
        let _ = world.poll(&waker, 1);
        teller.join().unwrap();
        assert!(world.poll(&waker, 1).is_ready());
        drop(waker);
        assert_eq!(Arc::strong_count(&task), 1, "a waker stayed");
    });
}
