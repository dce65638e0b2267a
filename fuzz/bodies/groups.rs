//! IGMP and MLD messages: what parses emits a message that parses to the same, but for auxiliary data and what is
//! behind the known fields; lists of sources and records lie within the input.

use std::net::Ipv6Addr;

use netloom::base::records::{Address, Records, Sources};
use netloom::ipv4::igmp;
use netloom::ipv6::{icmp, mld};

use super::wire::checksum;

/// Input: a byte, even for IGMP and odd for MLD, then a message, its checksum right or not.
pub fn run(input: &[u8]) {
    match input.split_first() {
        Some((which, bytes)) if which & 1 == 0 => of_v4(bytes),
        Some((_, bytes)) => of_v6(bytes),
        None => {}
    }
}

fn of_v4(bytes: &[u8]) {
    use igmp::Message;
    let Ok(message) = Message::parse_unverified(bytes) else {
        assert!(Message::parse(bytes).is_err());
        return;
    };
    let right = checksum(&[bytes]) == [0, 0];
    assert_eq!(Message::parse(bytes).is_ok(), right);
    let (mut queried, mut reported) = (0, 0);
    match message {
        Message::Query(query) => {
            assert!(query.max_response().as_millis() <= 3_174_400);
            queried = query.v3.map_or(0, |v3| check_sources(&v3.sources, bytes));
        }
        Message::ReportV3 { records } => reported = check_records(&records, bytes),
        _ => {}
    }
    let mut emitted = Vec::new();
    message.emit(&mut emitted);
    assert_eq!(checksum(&[&emitted]), [0, 0]);
    assert!(emitted.len() <= bytes.len().max(8));
    let again = Message::parse(&emitted).unwrap();
    match (message, again) {
        (Message::ReportV3 { .. }, Message::ReportV3 { records }) => {
            assert_eq!(check_records(&records, &emitted), reported);
            assert_eq!(records.count(), reported);
        }
        (Message::Query(query), Message::Query(again)) => {
            assert_eq!(queried, again.v3.map_or(0, |v3| v3.sources.len()));
            assert_eq!(query, again);
        }
        (message, again) => assert_eq!(message, again),
    }
}

fn of_v6(bytes: &[u8]) {
    use mld::Message;
    let Ok(message) = Message::parse(bytes) else {
        return;
    };
    if let Message::Query(query) = message {
        assert!(query.max_response().as_millis() <= 8_387_584);
        if let Some(v2) = query.v2 {
            check_sources(&v2.sources, bytes);
        }
    }
    let (src, dst) = (Ipv6Addr::LOCALHOST, mld::REPORTS_TO);
    let mut emitted = Vec::new();
    message.emit(src, dst, &mut emitted);
    assert!(icmp::Message::parse(&emitted, src, dst).is_ok());
    assert!(emitted.len() <= bytes.len());
    let again = Message::parse(&emitted).unwrap();
    match (message, again) {
        (Message::ReportV2 { records }, Message::ReportV2 { records: again }) => {
            let reported = check_records(&records, bytes);
            assert_eq!(check_records(&again, &emitted), reported);
            assert_eq!(again.count(), reported);
        }
        (message, again) => assert_eq!(message, again),
    }
}

/// As many as there are bytes for; how many.
fn check_sources<A: Address>(sources: &Sources<'_, A>, bytes: &[u8]) -> usize {
    assert!(sources.len() * A::LEN <= bytes.len());
    assert_eq!(sources.iter().count(), sources.len());
    assert_eq!(sources.is_empty(), sources.iter().next().is_none());
    sources.len()
}

fn check_records<A: Address>(records: &Records<'_, A>, bytes: &[u8]) -> usize {
    let mut len = 8;
    let mut count = 0;
    for record in records.iter() {
        check_sources(&record.sources, bytes);
        len += 4 + A::LEN * (1 + record.sources.len()) + record.auxiliary.len();
        count += 1;
    }
    assert!(len <= bytes.len() && count <= records.count());
    count
}

/// Messages of every kind.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let group4 = [224, 0, 0, 251];
    let four = |head: &[u8], rest: &[&[u8]]| {
        let mut message = [head, &rest.concat()].concat();
        let sum = checksum(&[&message]);
        message[2..4].copy_from_slice(&sum);
        [&[0][..], &message].concat()
    };
    let group6 = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb];
    let six = |head: &[u8], rest: &[&[u8]]| [&[1][..], head, &rest.concat()].concat();
    let source6 = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    let rows = vec![
        ("igmp-query-v1", four(&[0x11, 0, 0, 0], &[&[0; 4]])),
        ("igmp-query-v2", four(&[0x11, 100, 0, 0], &[&group4])),
        (
            "igmp-query-v3",
            four(
                &[0x11, 200, 0, 0],
                &[&group4, &[10, 125, 0, 1], &[10, 0, 0, 9]],
            ),
        ),
        ("igmp-report-v1", four(&[0x12, 0, 0, 0], &[&group4])),
        ("igmp-report-v2", four(&[0x16, 0, 0, 0], &[&group4])),
        ("igmp-leave", four(&[0x17, 0, 0, 0], &[&group4])),
        (
            "igmp-report-v3",
            four(
                &[0x22, 0, 0, 0, 0, 0, 0, 2],
                &[
                    &[4, 0, 0, 0],
                    &group4,
                    &[5, 1, 0, 1],
                    &group4,
                    &[10, 0, 0, 9],
                    &[7; 4],
                ],
            ),
        ),
        (
            "mld-query-v1",
            six(&[130, 0, 0, 0, 0x27, 0x10, 0, 0], &[&[0; 16]]),
        ),
        (
            "mld-query-v2",
            six(
                &[130, 0, 0, 0, 0x87, 0x10, 0, 0],
                &[&group6, &[2, 125, 0, 1], &source6],
            ),
        ),
        ("mld-report", six(&[131, 0, 0, 0, 0, 0, 0, 0], &[&group6])),
        ("mld-done", six(&[132, 0, 0, 0, 0, 0, 0, 0], &[&group6])),
        (
            "mld-report-v2",
            six(
                &[143, 0, 0, 0, 0, 0, 0, 2],
                &[
                    &[6, 1, 0, 1],
                    &group6,
                    &source6,
                    &[7; 4],
                    &[4, 0, 0, 0],
                    &group6,
                ],
            ),
        ),
    ];
    rows.into_iter()
        .map(|(name, input)| (name.to_owned(), input))
        .collect()
}
