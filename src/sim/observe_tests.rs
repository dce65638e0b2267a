//! Traces and captures of a small network.

use core::net::SocketAddr;
use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::capture::{Direction, Reader};
use crate::device::{Pick, QueueLimit};
use crate::sim::{Bulk, Pair, Sink, Value, write_csv, write_json_lines};

fn network(bytes: u64) -> Pair {
    let wire = WireConfig::perfect()
        .rate(10_000_000)
        .delay(Duration::from_millis(10))
        .queue(QueueLimit::Bytes(30_000))
        .loss(Pick::every(50));
    let mut pair = Pair::new(1, wire).unwrap();
    let to = SocketAddr::new(Pair::RIGHT, 9);
    pair.network.add_app(pair.right, Sink::new(to));
    pair.network.add_app(pair.left, Bulk::new(to).bytes(bytes));
    pair
}

fn number(row: &Row, name: &str) -> u64 {
    match row.fields().find(|(field, _)| *field == name) {
        Some((_, Value::Number(number))) => number,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn rows_come_at_equal_distances_and_show_the_queue() {
    let mut pair = network(1 << 30);
    let every = Sampling::Every(Duration::from_millis(7));
    let queue = Some(pair.link.forth());
    let trace = pair.network.trace(pair.left, every, queue);
    pair.network.run_for(Duration::from_millis(1000)).unwrap();
    let rows = pair.network.take_rows(trace);
    // The connection is there from the first instant on, whose samples come after the host's turn.
    assert_eq!(rows.len(), 1 + 1000 / 7);
    for (n, row) in (0..).zip(&rows) {
        assert_eq!(row.at, Instant::from_millis(7 * n));
        assert_eq!(number(row, "cwnd"), u64::from(row.info.cwnd));
    }
    let longest = rows.iter().map(|row| number(row, "queue_bytes")).max();
    assert!((20_000..=30_000).contains(&longest.unwrap()), "{longest:?}");
    assert!(pair.network.take_rows(trace).is_empty());
    let mut csv = Vec::new();
    write_csv(&mut csv, &rows).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let commas: Vec<_> = csv.lines().map(|line| line.matches(',').count()).collect();
    assert_eq!(commas.len(), 1 + rows.len());
    assert!(commas.iter().all(|&n| n == commas[0]), "{csv}");
    assert!(csv.starts_with("time_ns,local,remote,state,"), "{csv}");
    let head = csv.lines().next().unwrap();
    assert!(head.contains(",queue_bytes,cc_"), "{head}");
    let mut json = Vec::new();
    write_json_lines(&mut json, &rows[..2]).unwrap();
    let json = String::from_utf8(json).unwrap();
    assert_eq!(json.lines().count(), 2);
    assert!(
        json.starts_with("{\"time_ns\":0,\"local\":\"10.0.0.1:"),
        "{json}"
    );
}

#[test]
fn each_turn_with_a_segment_gives_a_row() {
    let mut pair = network(100_000);
    let trace = pair.network.trace(pair.left, Sampling::EachTurn, None);
    pair.network.run_for(Duration::from_millis(3000)).unwrap();
    let rows = pair.network.take_rows(trace);
    assert!(rows.len() > 20, "{}", rows.len());
    for pair in rows.windows(2) {
        let segments = |row: &Row| (row.info.segs_out, row.info.segs_in);
        assert!(segments(&pair[0]) != segments(&pair[1]), "{pair:?}");
        assert!(pair[0].at <= pair[1].at);
    }
    assert!(rows.iter().any(|row| row.info.retransmits > 0));
    assert!(rows.iter().all(|row| row.queue.is_none()));
}

/// Each congestion control has columns of its own, and a row without them leaves them empty.
#[test]
fn rows_of_two_controls_stand_in_one_table() {
    let mut pair = network(100_000);
    let trace = pair.network.trace(pair.left, Sampling::EachTurn, None);
    pair.network.run_for(Duration::from_millis(100)).unwrap();
    let mut rows = pair.network.take_rows(trace);
    rows.truncate(3);
    rows[0].inspected = vec![("cwnd", -1)];
    rows[1].inspected = vec![("other", 2), ("cwnd", 3)];
    rows[2].inspected = Vec::new();
    let mut csv = Vec::new();
    write_csv(&mut csv, &rows).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let ends = [",cc_cwnd,cc_other", ",-1,", ",3,2", ",,"];
    assert_eq!(csv.lines().count(), 4);
    for (line, end) in csv.lines().zip(ends) {
        assert!(line.ends_with(end), "{line}");
    }
}

/// Looking on changes nothing.
#[test]
fn a_run_that_is_looked_at_is_the_same_run() {
    let run = |look: bool| {
        let mut pair = network(300_000);
        if look {
            let every = Sampling::Every(Duration::from_micros(333));
            let queue = Some(pair.link.forth());
            pair.network.trace(pair.left, every, queue);
            pair.network.trace(pair.right, Sampling::EachTurn, None);
            pair.network.capture(pair.link, io::sink()).unwrap();
        }
        pair.network.run_for(Duration::from_secs(5)).unwrap();
        pair.network.trace_hash()
    };
    assert_eq!(run(false), run(true));
}

/// A sink that can be looked at while it is written to, and refuses more than so many bytes.
#[derive(Clone, Debug, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>, Option<usize>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.borrow_mut();
        if self.1.is_some_and(|most| all.len() + bytes.len() > most) {
            return Err(io::Error::other("no room"));
        }
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_capture_has_what_left_and_what_arrived() {
    let mut pair = network(300_000);
    let file = Shared::default();
    pair.network.capture(pair.link, file.clone()).unwrap();
    pair.network.run_for(Duration::from_secs(5)).unwrap();
    pair.network.end_capture(pair.link).unwrap();
    let file = file.0.borrow();
    let (mut left, mut arrived) = (0, 0);
    for frame in Reader::new(file.as_slice()) {
        assert!(frame.data.len() <= 1514);
        match frame.direction {
            Some(Direction::Outbound) => left += 1,
            Some(Direction::Inbound) => arrived += 1,
            _ => panic!("{frame:?}"),
        }
    }
    let wires = [pair.link.forth(), pair.link.back()];
    let counters = wires.map(|wire| pair.network.wire_counters(wire));
    assert_eq!(left, counters.iter().map(|c| c.frames).sum::<u64>());
    assert_eq!(arrived, counters.iter().map(|c| c.delivered).sum::<u64>());
    assert_eq!(arrived, pair.network.frames());
    assert!(left > arrived + 5, "{left} left, {arrived} arrived");
}

#[test]
fn a_sink_that_refuses_does_not_stop_the_network() {
    let mut pair = network(300_000);
    let file = Shared(Rc::default(), Some(100_000));
    pair.network.capture(pair.link, file).unwrap();
    pair.network.run_for(Duration::from_secs(5)).unwrap();
    let error = pair.network.end_capture(pair.link).unwrap_err();
    assert_eq!(error.to_string(), "no room");
    assert!(pair.network.frames() > 300);
    pair.network.end_capture(pair.link).unwrap();
}

#[test]
fn a_wire_is_changed_while_it_runs() {
    let mut pair = network(1 << 30);
    pair.network.run_for(Duration::from_millis(500)).unwrap();
    let before = pair.network.frames();
    let slow = WireConfig::perfect().rate(0);
    pair.network.set_wire(pair.link.forth(), slow);
    pair.network.run_for(Duration::from_millis(500)).unwrap();
    assert!(pair.network.frames() < before + 20);
    assert!(pair.network.queued(pair.link.forth()).frames > 0);
}

/// A network that is looked at is as idle as one that is not.
#[test]
fn rows_end_when_nothing_else_happens() {
    let run = |traced: bool| {
        let mut pair = network(10_000);
        let every = Sampling::Every(Duration::from_millis(7));
        let trace = traced.then(|| pair.network.trace(pair.left, every, None));
        let idle = pair.network.run_until_idle(Instant::from_millis(1 << 30));
        let rows = trace.map_or(0, |trace| pair.network.take_rows(trace).len());
        (idle.unwrap(), pair.network.trace_hash(), rows > 5)
    };
    let (plain, looked_at) = (run(false), run(true));
    assert!(plain.0 && looked_at.0);
    assert_eq!((plain.1, true), (looked_at.1, looked_at.2));
}

/// Nobody has to end a capture to have its frames.
#[test]
fn a_capture_that_nobody_ends_is_whole() {
    let file = Shared::default();
    let mut pair = network(10_000);
    pair.network.capture(pair.link, file.clone()).unwrap();
    pair.network.run_for(Duration::from_secs(1)).unwrap();
    let frames = pair.network.frames();
    drop(pair);
    let bytes = file.0.borrow().clone();
    let arrived = Reader::new(&bytes[..])
        .filter(|frame| frame.direction == Some(Direction::Inbound))
        .count();
    assert_eq!(u64::try_from(arrived).unwrap(), frames);
}
