//! The catalogue is what it says, and its runs are repeatable.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::sim::Sampling;

#[test]
fn ids_are_told_apart_and_found() {
    let mut ids = BTreeSet::new();
    let mut hashes = BTreeSet::new();
    for scenario in all() {
        assert!(ids.insert(scenario.id.to_ascii_lowercase()));
        assert!(hashes.insert(scenario.definition_hash()));
        assert!(!scenario.title.is_empty() && !scenario.definition().is_empty());
        assert!(scenario.seeds > 0, "{}", scenario.id);
        let found = find(&scenario.id.to_ascii_uppercase()).unwrap();
        assert_eq!(found.id, scenario.id);
    }
    assert!(find("no such scenario").is_none());
}

#[test]
fn a_run_is_repeatable_whether_it_is_watched_or_not() {
    let scenario = find("loss-1").unwrap();
    let plain = scenario.run(5, Watch::nothing()).unwrap();
    let names = Rc::new(RefCell::new(Vec::new()));
    let asked = Rc::clone(&names);
    let watch = Watch::nothing()
        .rows(Sampling::Every(Duration::from_millis(100)))
        .captures(move |name| {
            asked.borrow_mut().push(name.to_owned());
            Ok(Box::new(io::sink()) as Box<dyn Write>)
        });
    let watched = scenario.run(5, watch).unwrap();
    assert_eq!(plain.verdicts, watched.verdicts);
    assert_eq!(plain.trace_hash, watched.trace_hash);
    assert!(plain.watched.is_empty());
    assert_eq!(watched.watched[0].rows.len(), 101);
    for row in &watched.watched[0].rows {
        // What definitions call it.
        assert_eq!(row.info.congestion_control, "cubic");
    }
    assert_eq!(*names.borrow(), ["flow"]);
    let other = scenario.run(6, Watch::nothing()).unwrap();
    assert_ne!(plain.trace_hash, other.trace_hash);
}

#[test]
fn a_capture_that_cannot_be_made_is_told_and_the_run_goes_on() {
    let watch = Watch::nothing().captures(|_| Err(io::Error::other("no room")));
    let outcome = find("I2-1448").unwrap().run(1, watch).unwrap();
    assert_eq!(outcome.capture_error.unwrap().to_string(), "no room");
    assert!(outcome.verdicts.iter().all(Verdict::is_met));
}

#[test]
fn a_verdict_tells_what_was_expected_and_a_miss_is_loud() {
    let verdict = |measured, expected| Verdict {
        what: "goodput".to_owned(),
        measured,
        unit: Unit::BitsPerSec,
        expected,
    };
    for (verdict, met, text) in [
        (verdict(1_000_000, None), true, "goodput: 1.00 Mbit/s"),
        (
            verdict(1_000_000, Some(1_000_000..=1_000_000)),
            true,
            "goodput: 1.00 Mbit/s, as expected (1.00 Mbit/s)",
        ),
        (
            verdict(999_999, Some(1_000_000..=u64::MAX)),
            false,
            "goodput: 1.00 Mbit/s, MISSED (at least 1.00 Mbit/s)",
        ),
        (
            verdict(3_000_000, Some(1_000_000..=2_000_000)),
            false,
            "goodput: 3.00 Mbit/s, MISSED (1.00 Mbit/s to 2.00 Mbit/s)",
        ),
        (
            verdict(0, Some(0..=2_000_000)),
            true,
            "goodput: 0.00 Mbit/s, as expected (at most 2.00 Mbit/s)",
        ),
    ] {
        assert_eq!(
            (verdict.is_met(), verdict.to_string()),
            (met, text.to_owned())
        );
    }
}
