//! What a controller is told, in which order, and what its answers may do.

use std::sync::{Arc, Mutex};

use netloom::device::Pick;
use netloom::tcp::congestion::{
    AckSample, CongestionControl, CongestionEvent, CongestionKind, Cx, EpisodeKind, LossCause,
    LostEvent, Output, Pacing, Phase, Reno, Response, SendEvent, Start, UndoEvent,
};

use super::path::*;
use super::sessions::Scenario;

/// One call, with what the test looks at.
#[derive(Clone, Debug, PartialEq)]
enum Call {
    Start,
    Restart,
    Send {
        inflight: u32,
        told: u32,
        tlp: bool,
    },
    Lost(Told),
    Congestion(CongestionKind, Phase),
    Exit(EpisodeKind),
    Undo,
    Ack {
        delivered: u64,
        rated: bool,
        probe: bool,
        waited: bool,
        /// What stopped the sender last: cwnd, and the peer's window.
        limited: [bool; 2],
    },
}

/// What is told of a record that is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    cause: LossCause,
    first_in_pass: bool,
    starts_new_gap: bool,
    bytes: u32,
    /// Bytes taken for lost since the connection began, these included.
    lost: u64,
}

/// Reno, and every call written down.
#[derive(Clone, Debug)]
struct Recorder {
    inner: Reno,
    hears_sends: bool,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Recorder {
    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }
}

impl CongestionControl for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn start(&mut self, cx: &Cx, begin: &Start) {
        self.note(Call::Start);
        self.inner.start(cx, begin);
    }

    fn on_restart(&mut self, cx: &Cx, idle: Duration) {
        self.note(Call::Restart);
        self.inner.on_restart(cx, idle);
    }

    fn hears_sends(&self) -> bool {
        self.hears_sends
    }

    fn on_send(&mut self, cx: &Cx, event: &SendEvent) {
        self.note(Call::Send {
            inflight: cx.inflight,
            told: event.inflight_before,
            tlp: event.tlp,
        });
        self.inner.on_send(cx, event);
    }

    fn on_lost(&mut self, cx: &Cx, event: &LostEvent) {
        self.note(Call::Lost(Told {
            cause: event.cause,
            first_in_pass: event.first_in_pass,
            starts_new_gap: event.starts_new_gap,
            bytes: event.bytes,
            lost: cx.lost,
        }));
        self.inner.on_lost(cx, event);
    }

    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response {
        self.note(Call::Congestion(event.kind, cx.phase));
        self.inner.on_congestion(cx, event)
    }

    fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        self.note(Call::Ack {
            delivered: cx.delivered,
            rated: sample.rate.is_some(),
            probe: sample.matches_tlp,
            waited: sample.rtt_ack_delayed,
            limited: [cx.cwnd_limited, cx.rwnd_limited],
        });
        self.inner.on_ack(cx, sample);
    }

    fn on_recovery_exit(&mut self, cx: &Cx, kind: EpisodeKind) {
        self.note(Call::Exit(kind));
        self.inner.on_recovery_exit(cx, kind);
    }

    fn on_undo(&mut self, cx: &Cx, event: &UndoEvent) {
        self.note(Call::Undo);
        self.inner.on_undo(cx, event);
    }

    fn output(&self) -> Output {
        self.inner.output()
    }

    fn boxed_clone(&self) -> Box<dyn CongestionControl> {
        Box::new(self.clone())
    }
}

fn recorder() -> (Choice, Arc<Mutex<Vec<Call>>>) {
    recorder_who(true)
}

fn recorder_who(hears_sends: bool) -> (Choice, Arc<Mutex<Vec<Call>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&calls);
    let choice = Choice::custom(move || {
        Box::new(Recorder {
            inner: Reno::new(),
            hears_sends,
            calls: Arc::clone(&theirs),
        })
    });
    (choice, calls)
}

/// A loss in the middle of a flow: what an ACK tells comes before what leaves because of it, episodes
/// before delivered data, and one loss is one event.
#[test]
fn calls_come_in_the_order_of_the_contract() {
    let (choice, calls) = recorder();
    let (forth, back) = wires(10, 20, 1 << 20);
    let forth = forth.loss(Pick::numbers([60]));
    let mut flow = Flow::new(1, (forth, back), using(choice));
    flow.run(Duration::from_secs(1));
    let calls = calls.lock().unwrap();
    let starts = calls.iter().filter(|c| **c == Call::Start).count();
    assert!(starts >= 1 && calls[0] == Call::Start);
    let events: Vec<&Call> = calls
        .iter()
        .filter(|call| matches!(call, Call::Congestion(..)))
        .collect();
    let expected = Call::Congestion(CongestionKind::EnterRecovery, Phase::Disorder);
    assert_eq!(events, [&expected], "one loss, one event");
    let lost: Vec<usize> = (0..calls.len())
        .filter(|&n| matches!(calls[n], Call::Lost(_)))
        .collect();
    let told = calls.iter().position(|call| *call == expected);
    assert_eq!(
        lost.last().map(|n| n + 1),
        told,
        "each record, and then the episode"
    );
    let exits = calls.iter().filter(|c| matches!(c, Call::Exit(_))).count();
    assert_eq!(exits, 1);
    for (n, pair) in calls.windows(2).enumerate() {
        let ok = match (&pair[0], &pair[1]) {
            // What an ACK told is told to its end before anything leaves.
            (
                Call::Undo | Call::Lost(_) | Call::Congestion(..) | Call::Exit(_),
                Call::Send { .. },
            ) => false,
            (Call::Lost(_), Call::Undo) => false,
            (Call::Congestion(..), Call::Lost(_) | Call::Undo) => false,
            (Call::Exit(_), Call::Lost(_) | Call::Undo) => false,
            _ => true,
        };
        assert!(ok, "call {n}: {pair:?}");
    }
    let mut before = 0;
    for call in calls.iter() {
        match call {
            Call::Send { inflight, told, .. } => assert_eq!(inflight, told, "m16"),
            Call::Ack { delivered, .. } => {
                assert!(*delivered > before, "an ACK that moved nothing was told");
                before = *delivered;
            }
            _ => {}
        }
    }
    let rated = calls
        .iter()
        .filter(|c| matches!(c, Call::Ack { rated: true, .. }));
    assert!(rated.count() > 100, "the rate sample is finished before");
}

/// Who does not want to hear of transmissions is told of none of them, and of all else as ever.
#[test]
fn who_hears_no_transmissions_is_told_of_all_else() {
    let run = |hears_sends| {
        let (choice, calls) = recorder_who(hears_sends);
        let (forth, back) = wires(10, 20, 1 << 20);
        let forth = forth.loss(Pick::numbers([60]));
        let mut flow = Flow::new(1, (forth, back), using(choice));
        flow.run(Duration::from_secs(1));
        calls.lock().unwrap().clone()
    };
    let is_send = |call: &Call| matches!(call, Call::Send { .. });
    let (mut all, deaf) = (run(true), run(false));
    assert!(all.iter().filter(|call| is_send(call)).count() > 100);
    all.retain(|call| !is_send(call));
    assert_eq!(all, deaf);
}

/// What was sent again is lost too, twice as much of it as one ACK tells: the controller hears that the
/// episode is worse, once a round trip.
#[test]
fn a_lost_retransmission_is_told_once_a_round_trip() {
    let (choice, calls) = recorder();
    let mut t = Scenario::established().congestion(choice).build();
    calls.lock().unwrap().clear();
    t.run(
        r"
        +0   write(4, ..., 10000) = 10000
        +0   > P. 1:10001(10x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535 <sack 4001:10001>
        +0   > . 1:4001(4x1000) ack 1
        // The first two are lost again, as the others show.
        +.05 < . 1:1(0) ack 1 win 65535 <sack 2001:10001>
        +0   > . 1:2001(2x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:10001>
        +0   > . 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 10001 win 65535
    ",
    );
    let calls = calls.lock().unwrap();
    let told: Vec<&Call> = calls
        .iter()
        .filter(|call| matches!(call, Call::Congestion(..)))
        .collect();
    let entered = Call::Congestion(CongestionKind::EnterRecovery, Phase::Disorder);
    let worse = Call::Congestion(CongestionKind::FurtherLossInRecovery, Phase::Recovery);
    // In each of the script's worlds.
    assert!(!told.is_empty());
    for told in told.chunks(3) {
        assert_eq!(told, [&entered, &worse, &worse]);
    }
}

/// What was told of losses, in as many worlds as the script has.
fn losses(calls: &[Call], of_world: usize) -> Vec<Vec<Told>> {
    let told = calls.iter().filter_map(|call| match call {
        Call::Lost(told) => Some(*told),
        _ => None,
    });
    let told: Vec<Told> = told.collect();
    assert!(!told.is_empty());
    told.chunks(of_world).map(<[Told]>::to_vec).collect()
}

/// What tells of a loss, how much there is by then, where a hole begins, and where an ACK's losses do.
#[test]
fn a_loss_is_told_with_its_cause_and_its_place() {
    let (choice, calls) = recorder();
    let mut t = Scenario::established().congestion(choice).build();
    calls.lock().unwrap().clear();
    // Each a record of its own, on every device.
    for n in 0..8 {
        t.run(&format!(
            "+0 write(4, ..., 1000) = 1000
             +0 > P. {}:{}(1000) ack 1",
            n * 1000 + 1,
            n * 1000 + 1001
        ));
    }
    t.run(
        r"
        // Two records are a hole, and one is.
        +.05 < . 1:1(0) ack 1 win 65535 <sack 2001:3001 4001:8001>
        +0   > ...
        // The first is lost again; the others came.
        +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:8001>
        +0   > ...
        // And again, which nothing but the timer shows.
        +.3  > ...
        +.01 < . 1:1(0) ack 8001 win 65535
    ",
    );
    let row = |cause, first_in_pass, starts_new_gap, lost| Told {
        cause,
        first_in_pass,
        starts_new_gap,
        bytes: 1000,
        lost,
    };
    let calls = calls.lock().unwrap();
    for told in losses(&calls, 5) {
        assert_eq!(
            told,
            [
                row(LossCause::Rack, true, true, 1000),
                row(LossCause::Rack, false, false, 2000),
                row(LossCause::Rack, false, true, 3000),
                row(LossCause::LostRetransmit, true, true, 4000),
                row(LossCause::Rto, true, true, 5000),
            ]
        );
    }
    drop(calls);
    let (choice, calls) = recorder();
    let scenario = Scenario::established().without_sack();
    let mut t = scenario.congestion(choice).build();
    calls.lock().unwrap().clear();
    t.run(
        r"
        +0   write(4, ..., 5000) = 5000
        +0   > P. 1:5001(5x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535
        +0   < . 1:1(0) ack 1 win 65535
        +0   < . 1:1(0) ack 1 win 65535
        +0   > . 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 5001 win 65535
    ",
    );
    for told in losses(&calls.lock().unwrap(), 1) {
        assert_eq!(told, [row(LossCause::DupThresh, true, true, 1000)]);
    }
}

/// What a transmission is, and what an ACK answers.
#[test]
fn a_tail_probe_is_told_as_one() {
    let (choice, calls) = recorder();
    let mut t = Scenario::established().congestion(choice).build();
    t.run(
        r"
        +0   write(4, ..., 4000) = 4000
        +0   > P. 1:4001(4x1000) ack 1
        +.1  > P. 3001:4001(1000) ack 1
        +.05 < . 1:1(0) ack 4001 win 65535 <sack 3001:4001>
        +0   write(4, ..., 1000) = 1000
        +0   > P. 4001:5001(1000) ack 1
        +.05 < . 1:1(0) ack 5001 win 65535
    ",
    );
    let calls = calls.lock().unwrap();
    let count = |wanted: fn(&Call) -> bool| calls.iter().filter(|call| wanted(call)).count();
    // In each of the script's worlds.
    let worlds = count(|c| matches!(c, Call::Send { tlp: true, .. }));
    assert!(worlds > 0);
    assert_eq!(
        count(|c| matches!(c, Call::Ack { probe: true, .. })),
        worlds
    );
    // A single last segment: its ACK may have waited.
    assert_eq!(
        count(|c| matches!(c, Call::Ack { waited: true, .. })),
        worlds
    );
}

/// m16: nothing in flight, and the RTO passed: the controller hears of it before anything is planned.
#[test]
fn m16_an_idle_restart_is_told_before_the_first_transmission() {
    let (choice, calls) = recorder();
    let mut pair = Pair::new(3, wires(10, 20, 1 << 20)).unwrap();
    let to = SocketAddr::new(Pair::RIGHT, 9);
    pair.network.add_app(pair.right, Sink::new(to));
    let id = pair
        .network
        .call(pair.left, |cx| cx.tcp_connect(to, using(choice)).unwrap());
    pair.network.run_until(at(1000)).unwrap();
    for _ in 0..2 {
        pair.network.call(pair.left, |cx| {
            assert_eq!(cx.tcp_write(id, &[7; 5000]).unwrap(), 5000);
        });
        pair.network.run_for(Duration::from_secs(5)).unwrap();
    }
    let calls = calls.lock().unwrap();
    let restart = calls.iter().rposition(|c| *c == Call::Restart).unwrap();
    let next = calls[restart + 1..]
        .iter()
        .find(|c| **c != Call::Restart)
        .unwrap();
    assert_eq!(
        *next,
        Call::Send {
            inflight: 0,
            told: 0,
            tlp: false,
        }
    );
}

/// m17: after an ACK there always is room in the window. Whether it was what stopped the sender is decided
/// when it stops: a sender with enough to send doubles it each round, one that writes little never does.
#[test]
fn m17_the_window_limits_who_is_stopped_by_it() {
    let mut flow = Flow::new(1, wires(100, 40, 1 << 20), using(Choice::Reno));
    // A round trip for the neighbour, one for the handshake, and then four.
    flow.run(Duration::from_millis(6 * 40 + 20));
    let cwnd = flow.info().cwnd;
    assert!(cwnd >= 15 * 14_480, "{cwnd} after four rounds");
    let mut pair = Pair::new(1, wires(100, 40, 1 << 20)).unwrap();
    let to = SocketAddr::new(Pair::RIGHT, 9);
    pair.network.add_app(pair.right, Sink::new(to));
    let connect = |cx: &mut netloom::sim::Cx<'_>| cx.tcp_connect(to, using(Choice::Reno));
    let id = pair.network.call(pair.left, connect).unwrap();
    pair.network.run_until(at(200)).unwrap();
    for _ in 0..20 {
        let write = |cx: &mut netloom::sim::Cx<'_>| cx.tcp_write(id, &[7; 10_000]);
        assert_eq!(pair.network.call(pair.left, write), Ok(10_000));
        pair.network.run_for(Duration::from_millis(50)).unwrap();
    }
    let info = pair.network.stack(pair.left).tcp_info(id).unwrap();
    assert_eq!(info.cwnd, 14_480);
}

/// A window that is full of all there was is used, as RFC 7661 §4.3 and Linux have it: ten segments of ten double it,
/// nine do not, and the end of a reply that a time-out repeated leaves more than one segment to the next one.
#[test]
fn a_full_window_is_a_used_one() {
    for (segments, cwnd) in [(10, 20_000), (9, 10_000)] {
        let bytes = segments * 1000;
        let mut t = Scenario::established().build();
        t.run(&format!(
            "+0   write(4, ..., {bytes}) = {bytes}
             +0   > P. 1:{end}({segments}x1000) ack 1
             +.05 < . 1:1(0) ack {end} win 65535
             +0   %{{ assert netloom.cwnd_bytes == {cwnd} }}%",
            end = bytes + 1
        ));
    }
    for choice in [Choice::Reno, Choice::Cubic] {
        let mut t = Scenario::established().congestion(choice).build();
        t.run(
            r"
            +0   write(4, ..., 1000) = 1000
            +0   > P. 1:1001(1000) ack 1
            // The tail's probe, and the time-out.
            +.25 > P. 1:1001(1000) ack 1
            +.25 > P. 1:1001(1000) ack 1
            +0   %{ assert netloom.cwnd_bytes == 1000 }%
            +.05 < . 1:1(0) ack 1001 win 65535
            +0   %{ assert netloom.cwnd_bytes == 2000 }%
        ",
        );
    }
}

/// m17: a sender that the peer's window stops has not filled its own.
#[test]
fn m17_the_peers_window_is_no_reason_to_grow() {
    let (choice, calls) = recorder();
    let scenario = Scenario::established().window(5000);
    let mut t = scenario.congestion(choice).build();
    calls.lock().unwrap().clear();
    t.run(
        r"
        +0   write(4, ..., 15000) = 15000
        +0   > . 1:5001(5x1000) ack 1
        +.05 < . 1:1(0) ack 5001 win 5000
        +0   > . 5001:10001(5x1000) ack 1
        +.05 < . 1:1(0) ack 10001 win 5000
        +0   > P. 10001:15001(5x1000) ack 1
        +.05 < . 1:1(0) ack 15001 win 5000
        +0   %{ assert netloom.cwnd_bytes == 10000 }%
    ",
    );
    let told = limits(&calls.lock().unwrap());
    assert!(!told.is_empty());
    // The last of them had nothing more behind it.
    for told in told.chunks(3) {
        assert_eq!(told, [[false, true], [false, true], [false, false]]);
    }
}

/// What stopped the sender, as each ACK told it: cwnd, and the peer's window.
fn limits(calls: &[Call]) -> Vec<[bool; 2]> {
    let limits = calls.iter().filter_map(|call| match call {
        Call::Ack { limited, .. } => Some(*limited),
        _ => None,
    });
    limits.collect()
}

/// What a shut window refuses is no loss, however often it is asked.
#[test]
fn what_a_window_refuses_is_told_to_no_controller() {
    let (choice, calls) = recorder();
    let mut t = Scenario::established().congestion(choice).build();
    t.run(
        r"
        +0   write(4, ..., 1000) = 1000
        +0   > P. 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 0
        +0   write(4, ..., 3000) = 3000
        +.25 > P. 1001:1002(1) ack 1
        +.5  > . 1001:1002(1) ack 1
        +1   > . 1001:1002(1) ack 1
        +.1  < . 1:1(0) ack 1001 win 5000
        +0   > . 1001:1002(1) ack 1
        +0   > . 1002:3002(2x1000) ack 1
        +.05 < . 1:1(0) ack 3002 win 5000
        +0   > P. 3002:4001(999) ack 1
        +.05 < . 1:1(0) ack 4001 win 5000
    ",
    );
    let calls = calls.lock().unwrap();
    let told = |call: &&Call| matches!(call, Call::Lost(_) | Call::Congestion(..));
    assert_eq!(calls.iter().find(told), None);
}

/// A SYN that crosses the peer's leaves again, with an ACK, and was not lost; what is lost later is told alone.
#[test]
fn a_syn_that_crossed_another_is_told_to_no_controller() {
    let (choice, calls) = recorder();
    let mut t = Scenario::closed().congestion(choice).build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
        +0   connect(4, ..., ...) = -1 EINPROGRESS
        +0   > S 0:0(0) <...>
        +.05 < S 0:0(0) win 60000 <mss 1000,sackOK>
        +0   > S. 0:0(0) ack 1 <...>
        +.05 < . 1:1(0) ack 1 win 60000
        +0   write(4, ..., 4000) = 4000
        +0   > P. 1:4001(4x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 60000 <sack 1001:4001>
        +0   > . 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 4001 win 60000
    ",
    );
    for told in losses(&calls.lock().unwrap(), 1) {
        let expected = Told {
            cause: LossCause::Rack,
            first_in_pass: true,
            starts_new_gap: true,
            bytes: 1000,
            lost: 1000,
        };
        assert_eq!(told, [expected]);
    }
}

/// A controller that always says the same, and may write down whether the window is what limits its sender.
#[derive(Clone, Debug)]
struct Says(Output, Option<Arc<Mutex<Vec<bool>>>>);

impl CongestionControl for Says {
    fn name(&self) -> &'static str {
        "says"
    }

    fn start(&mut self, _cx: &Cx, _begin: &Start) {}

    fn on_congestion(&mut self, _cx: &Cx, _event: &CongestionEvent) -> Response {
        Response::Prr { target: 0 }
    }

    fn on_ack(&mut self, cx: &Cx, _sample: &AckSample) {
        if let Some(limited) = &self.1 {
            limited.lock().unwrap().push(cx.cwnd_limited);
        }
    }

    fn output(&self) -> Output {
        self.0
    }

    fn boxed_clone(&self) -> Box<dyn CongestionControl> {
        Box::new(self.clone())
    }
}

fn says(output: Output) -> Choice {
    Choice::custom(move || Box::new(Says(output, None)))
}

/// m17: whom the rate stops, or the memory of both directions, his window does not, though he has more to send.
#[test]
fn m17_neither_the_rate_nor_the_buffers_are_a_reason_to_grow() {
    let options = |choice| {
        using(choice)
            .recv_buffer_initial(64 << 10)
            .recv_buffer_max(64 << 10)
    };
    let small = Output::window(20 * 1448, u32::MAX);
    let large = Output::window(1 << 20, u32::MAX);
    // A fourth of what the small window carries in a round trip of 20 ms.
    let paced = small.paced(Pacing::Rate(20 * 1448 * 50 / 4));
    for (output, both_ways, expected) in [
        (small, usize::MAX, true),
        (paced, usize::MAX, false),
        (large, (64 << 10) + 20 * 1448, false),
    ] {
        let limited = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&limited);
        let choice = Choice::custom(move || Box::new(Says(output, Some(Arc::clone(&theirs)))));
        let options = options(choice).both_ways_max(both_ways);
        let mut flow = Flow::new(1, wires(100, 20, 1 << 20), options);
        assert!(flow.run(Duration::from_secs(1)) > 100_000);
        let limited = limited.lock().unwrap();
        assert!(limited.len() > 50, "{output:?}");
        let often = limited.iter().filter(|&&it| it).count();
        let ok = if expected {
            2 * often > limited.len()
        } else {
            often == 0
        };
        assert!(ok, "{output:?}: {often} of {}", limited.len());
    }
}

/// Whatever a controller answers, text goes on, and the fault is counted.
#[test]
fn nonsense_is_clamped_and_counted() {
    let rows = [
        Output::window(0, 0),
        Output::window(u32::MAX, 0),
        Output::window(100_000, 0).paced(Pacing::Rate(0)),
        Output::window(100_000, 0).quantum(1),
        Output::window(0, 0).paced(Pacing::Rate(0)).quantum(0),
    ];
    for output in rows {
        let (forth, back) = wires(10, 20, 30_000);
        let forth = forth.loss(Pick::numbers([5, 40]));
        let mut flow = Flow::new(2, (forth, back), using(says(output)));
        let bytes = flow.run(Duration::from_secs(5));
        // A segment a second is the least rate there is.
        assert!(bytes >= 3 * 1448, "{output:?}: {bytes} bytes");
        let info = flow.info();
        assert!(info.congestion_clamped > 0, "{output:?}");
        assert!(
            (1448..=1 << 30).contains(&info.cwnd),
            "{output:?}: {}",
            info.cwnd
        );
    }
    // What is absurd but within the bounds is done as it is said.
    for output in [
        Output::window(30_000, u32::MAX).paced(Pacing::Rate(u64::MAX)),
        Output::window(30_000, 0)
            .paced(Pacing::FromWindow)
            .quantum(u32::MAX),
    ] {
        let mut flow = Flow::new(2, wires(10, 20, 60_000), using(says(output)));
        let bytes = flow.run(Duration::from_secs(1));
        assert!(bytes >= 600_000, "{output:?}: {bytes} bytes");
        assert_eq!(flow.info().congestion_clamped, 0, "{output:?}");
    }
    let mut flow = Flow::new(2, wires(10, 20, 30_000), using(Choice::Reno));
    flow.run(Duration::from_secs(1));
    assert_eq!(flow.info().congestion_clamped, 0);
}

/// m27: a rate is kept to within a percent, and the link never sees more than the pacer's credit at once.
#[test]
fn m27_what_is_paced_leaves_at_its_rate() {
    let rate = 500_000;
    let output = Output::window(1 << 20, u32::MAX).paced(Pacing::Rate(rate));
    // A link ten times as fast, with a queue of four segments: two pieces of two at once.
    let mut flow = Flow::new(5, wires(40, 20, 4 * 1514), using(says(output)));
    flow.run(Duration::from_secs(1));
    let bytes = flow.run(Duration::from_secs(4));
    assert!(bytes.abs_diff(4 * rate) * 100 <= 4 * rate, "{bytes} bytes");
    let info = flow.info();
    assert_eq!((info.pacing_rate, info.retransmits), (Some(rate), 0));
}

/// On a live connection a controller takes the window over, and the flow goes on.
#[test]
fn a_change_on_a_live_connection_keeps_the_window() {
    let mut flow = Flow::new(4, wires(10, 40, 100_000), using(Choice::Reno));
    flow.run(Duration::from_secs(2));
    for choice in [Choice::Cubic, Choice::Bbr3, Choice::Bbr, Choice::Reno] {
        let before = flow.info().cwnd;
        flow.change(choice.clone());
        let info = flow.info();
        assert_eq!(info.congestion_control, choice.name());
        assert_eq!(info.cwnd, before, "{choice}");
        let bytes = flow.run(Duration::from_secs(2));
        assert!(bytes >= 2 * 1_250_000 * 90 / 100, "{choice}: {bytes}");
    }
}

/// In an episode the reduction goes on under the new controller.
#[test]
fn a_change_in_recovery_keeps_the_episode() {
    let (forth, back) = wires(10, 200, 1 << 20);
    let mut flow = Flow::new(
        4,
        (forth.loss(Pick::numbers([100])), back),
        using(Choice::Reno),
    );
    for _ in 0..10_000 {
        flow.run(Duration::from_millis(1));
        if flow.pair.network.app(flow.bulk).id().is_some() && flow.info().phase == Phase::Recovery {
            break;
        }
    }
    let before = flow.info();
    assert_eq!(before.phase, Phase::Recovery, "nothing was lost");
    flow.change(Choice::Cubic);
    let after = flow.info();
    assert_eq!((after.phase, after.cwnd), (before.phase, before.cwnd));
    flow.run(Duration::from_secs(1));
    let end = flow.info();
    assert_eq!(end.phase, Phase::Open);
    assert!(
        end.cwnd >= before.ssthresh,
        "{} after {}",
        end.cwnd,
        before.ssthresh
    );
    assert_eq!(end.retransmits, 1);
}
