//! When a sender is found to have had nothing to send: at the start of an ACK, at the start of a timer, and
//! when the user writes (draft-ietf-ccwg-bbr, "Detecting application-limited phases").
//!
//! In each script but the last the window is full when the sender stops, so that nothing is found then. What comes next
//! makes room; only who looks in time sees that the room was there before there was anything to fill it.
//! A device that is full and a segment that must be acknowledged keep the sender from stopping a second
//! time: it has something to send, that ACK.

use std::sync::{Arc, Mutex};

use netloom::bytes::Bytes;
use netloom::drill::Session;
use netloom::tcp::TcpOptions;
use netloom::tcp::congestion::{
    AckSample, Choice, CongestionControl, CongestionEvent, Cx, Output, Reno, Response, SendEvent,
    Start,
};

use super::sessions::{Scenario, Test};

/// What was told, and with which mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Start { app_limited: bool },
    Send { tlp: bool, app_limited: bool },
    Ack { app_limited: bool },
    Congestion { app_limited: bool },
}

/// Reno, and the mark of each call written down.
#[derive(Clone, Debug)]
struct Watch {
    inner: Reno,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Watch {
    fn note(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }
}

impl CongestionControl for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn start(&mut self, cx: &Cx, begin: &Start) {
        self.note(Told::Start {
            app_limited: cx.app_limited,
        });
        self.inner.start(cx, begin);
    }

    fn on_send(&mut self, cx: &Cx, event: &SendEvent) {
        assert_eq!(cx.app_limited, event.app_limited);
        self.note(Told::Send {
            tlp: event.tlp,
            app_limited: event.app_limited,
        });
    }

    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response {
        self.note(Told::Congestion {
            app_limited: cx.app_limited,
        });
        self.inner.on_congestion(cx, event)
    }

    fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        self.note(Told::Ack {
            app_limited: cx.app_limited,
        });
        self.inner.on_ack(cx, sample);
    }

    fn output(&self) -> Output {
        self.inner.output()
    }

    fn boxed_clone(&self) -> Box<dyn CongestionControl> {
        Box::new(self.clone())
    }
}

fn watch(told: &Arc<Mutex<Vec<Told>>>) -> Choice {
    let theirs = Arc::clone(told);
    Choice::custom(move || {
        Box::new(Watch {
            inner: Reno::new(),
            told: Arc::clone(&theirs),
        })
    })
}

/// Ten segments fill the initial window. Each segment is acknowledged at once.
struct Watched {
    test: Test,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Watched {
    fn new() -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let choice = watch(&told);
        let options = TcpOptions::default().quick_acks(0).delayed_ack(false);
        let test = Scenario::established().options(options).congestion(choice);
        Self {
            test: test.build(),
            told,
        }
    }

    /// What the script makes told, the same in each world.
    fn told(&mut self, script: &str) -> Vec<Told> {
        self.told_by(|session| {
            session.run(script);
        })
    }

    /// What is made told, the same in each world. How many frames make a flight is the device's affair: sends
    /// in a row count once.
    fn told_by(&mut self, act: impl Fn(&mut Session)) -> Vec<Told> {
        let mut worlds = Vec::new();
        let told = &self.told;
        self.test.each(|_, session| {
            told.lock().unwrap().clear();
            act(session);
            let mut all = core::mem::take(&mut *told.lock().unwrap());
            all.dedup_by(|a, b| a == b && matches!(a, Told::Send { .. }));
            worlds.push(all);
        });
        let first = worlds.pop().unwrap();
        assert!(worlds.iter().all(|world| *world == first), "{worlds:#?}");
        first
    }
}

/// A sender that wrote so much that its second window is full, and nothing is left. The first one follows
/// the time before the user wrote, and is marked for that.
fn with_a_full_window() -> Watched {
    let mut watched = Watched::new();
    let told = watched.told(
        r"
        +0   write(4, ..., 30000) = 30000
        +0   > . 1:10001(10x1000) ack 1
        +.05 < . 1:1(0) ack 10001 win 65535
        +0   > P. 10001:30001(20x1000) ack 1
        +0   %{ assert netloom.cwnd_bytes == 20000 }%
    ",
    );
    assert_eq!(
        told,
        [sent(true), acked(false), sent(false)],
        "the window is full: nothing is known"
    );
    watched
}

const fn sent(app_limited: bool) -> Told {
    Told::Send {
        tlp: false,
        app_limited,
    }
}

const fn probed(app_limited: bool) -> Told {
    Told::Send {
        tlp: true,
        app_limited,
    }
}

const fn acked(app_limited: bool) -> Told {
    Told::Ack { app_limited }
}

/// Two ACKs in one batch. The first makes room; when the second is processed, the room was there and
/// nothing to fill it.
#[test]
fn an_ack_looks_before_it_changes_anything() {
    let mut watched = with_a_full_window();
    let told = watched.told(
        r"
        +.05 << . 1:1(0) ack 12001 win 65535
        +0   < . 1:1(0) ack 14001 win 65535
    ",
    );
    assert_eq!(told, [acked(false), acked(true)]);
    // With more to send than the window holds it is the window.
    let mut watched = Watched::new();
    let told = watched.told(
        r"
        +0   write(4, ..., 60000) = 60000
        +0   > . 1:10001(10x1000) ack 1
        +.05 < . 1:1(0) ack 10001 win 65535
        +0   > . 10001:30001(20x1000) ack 1
        +.05 << . 1:1(0) ack 12001 win 65535
        +0   < . 1:1(0) ack 14001 win 65535
        +0   > . 30001:38001(8x1000) ack 1
    ",
    );
    let told = &told[3..];
    assert_eq!(told, [acked(false), acked(false), sent(false)]);
    // And when something is lost, that waits to be sent again.
    let mut watched = with_a_full_window();
    let told = watched.told(
        r"
        +0   `sysctl -w netloom.device_full=1`
        +.05 < . 1:1(0) ack 10001 win 65535 <sack 14001:25001>
        +0   < . 1:1(0) ack 10001 win 65535 <sack 13001:25001>
        +0   `sysctl -w netloom.device_full=0`
        +0   > ...
    ",
    );
    let entered = Told::Congestion { app_limited: false };
    let expected = [entered, acked(false), acked(false)];
    assert_eq!(told[..3], expected, "{told:?}");
}

/// What is written after room was made leaves with the mark, however it is written.
#[test]
fn a_write_looks_before_it_fills_the_room() {
    for chunk in [false, true] {
        let mut watched = with_a_full_window();
        let told = watched.told_by(|session| {
            session.run(
                "+0   `sysctl -w netloom.device_full=1`
                 +.05 < P. 1:101(100) ack 14001 win 65535",
            );
            write(session, 500, chunk);
            session.run(
                "+0   `sysctl -w netloom.device_full=0`
                 +0   > P. 30001:30501(500) ack 101",
            );
        });
        let wanted = [acked(false), sent(true)];
        assert_eq!(told, wanted, "{chunk}: the reader was slow");
        // The window is still full: the user is not the one who was late.
        let mut watched = with_a_full_window();
        let told = watched.told_by(|session| {
            write(session, 2000, chunk);
            session.run(
                "+.05 < . 1:1(0) ack 11001 win 65535
                 +0   > P. 30001:32001(2x1000) ack 1",
            );
        });
        assert_eq!(told, [acked(false), sent(false)], "{chunk}: in time");
    }
}

/// Writes by either of the two calls.
fn write(session: &mut Session, len: usize, chunk: bool) {
    let text = session.next_text(len);
    let (now, id) = (session.now(), session.connection().unwrap());
    let wrote = if chunk {
        let mut chunk = Bytes::from(text);
        session.stack_mut().tcp_write_chunk(now, id, &mut chunk)
    } else {
        session.stack_mut().tcp_write(now, id, &text)
    };
    assert_eq!(wrote, Ok(len));
}

/// A timer finds what nobody looked at since the ACK: its probe leaves with the mark.
#[test]
fn a_timer_looks_before_it_changes_anything() {
    let mut watched = with_a_full_window();
    let told = watched.told(
        r"
        +0   `sysctl -w netloom.device_full=1`
        +.05 < P. 1:101(100) ack 14001 win 65535
        +.2  `sysctl -w netloom.device_full=0`
        +0   > P. 29001:30001(1000) ack 101
    ",
    );
    assert_eq!(told, [acked(false), probed(true)]);
    // While the window is full, nothing is known.
    let mut watched = with_a_full_window();
    let told = watched.told("+.1 > P. 29001:30001(1000) ack 1");
    assert_eq!(told, [probed(false)]);
}

/// It is known when the sender stops, and not with what comes next only: a controller that takes over at that moment
/// is told.
#[test]
fn who_takes_over_is_told_that_nothing_was_left_to_send() {
    for (text, app_limited) in [(25_000, true), (30_000, false)] {
        let mut watched = Watched::new();
        let next = watch(&watched.told);
        let told = watched.told_by(|session| {
            session.run(&format!(
                "+0   write(4, ..., {text}) = {text}
                 +0   > . 1:10001(10x1000) ack 1
                 +.05 < . 1:1(0) ack 10001 win 65535
                 +0   > P. 10001:{}({}) ack 1",
                text + 1,
                text - 10_000
            ));
            let (now, id) = (session.now(), session.connection().unwrap());
            let options = TcpOptions::default().congestion(next.clone());
            let set = session.stack_mut().tcp_set_options(now, id, options);
            assert_eq!(set, Ok(()));
        });
        let start = Told::Start { app_limited };
        assert_eq!(told, [sent(true), acked(false), sent(false), start]);
    }
}
