//! Nobody answers more than it was asked, and limits of answers are kept.
//!
//! *Owns* what each end of each connection was sent and what it said to it, and the ICMP errors of each end.
//! Invariants: a bare ACK that tells nothing new, neither a number nor room, was caused by a segment, and each causes
//! one at most (RFC 5681 §4.2, RFC 9293 §3.10.7.4: two ends never go on with it, r39); a RST answers a segment that is
//! none itself (RFC 9293 §3.5.2), or is the end of one connection by its user; ICMP errors are six at once and one a
//! second to a peer (RFC 4443 §2.4 (f); the default). *Does not* judge whether what was due came: `monitor` does.

use std::collections::HashMap;

use netloom::Instant;
use netloom::tcp::{Flags, Header};

/// Ports of end 0 and end 1, and the end that answers.
pub(crate) type Asked = ((u16, u16), usize);

#[derive(Debug, Default)]
struct Account {
    /// Segments that came, and those of them that were no RST.
    came: u64,
    no_resets: u64,
    /// Bare ACKs that told nothing new.
    repeated: u64,
    resets: u64,
    /// Its own initial numbers: connections that a user may reset.
    opened: Vec<u32>,
}

/// A bucket of ICMP errors, in nanoseconds of its filling.
#[derive(Clone, Copy, Debug)]
struct Errors {
    tokens: u64,
    at: Instant,
}

const SECOND: u64 = 1_000_000_000;
const BURST: u64 = 6;

#[derive(Debug, Default)]
pub(crate) struct Answers {
    accounts: HashMap<Asked, Account>,
    errors: [Option<Errors>; 2],
    pub(crate) repeated: u64,
    pub(crate) resets: u64,
    pub(crate) errors_sent: u64,
}

impl Answers {
    /// A segment came, or several in one when it was merged.
    pub(crate) fn on_arrival(&mut self, asked: Asked, flags: Flags, segments: u64) {
        let account = self.accounts.entry(asked).or_default();
        account.came += segments;
        account.no_resets += u64::from(!flags.contains(Flags::RST)) * segments;
    }

    /// The end sends a SYN or SYN-ACK.
    pub(crate) fn on_syn(&mut self, asked: Asked, iss: u32) {
        let account = self.accounts.entry(asked).or_default();
        if !account.opened.contains(&iss) {
            account.opened.push(iss);
        }
    }

    /// The end sends a RST.
    pub(crate) fn on_reset(&mut self, asked: Asked) {
        let account = self.accounts.entry(asked).or_default();
        account.resets += 1;
        self.resets += 1;
        let may = account.no_resets + account.opened.len() as u64;
        assert!(
            account.resets <= may,
            "end {} of {:?} resets for nothing: {account:?}",
            asked.1,
            asked.0
        );
    }

    /// The end sends an ACK without text that tells no news.
    pub(crate) fn on_repeated(&mut self, asked: Asked, header: &Header<'_>) {
        let account = self.accounts.entry(asked).or_default();
        account.repeated += 1;
        self.repeated += 1;
        assert!(
            account.repeated <= account.came,
            "end {} of {:?} says {} again, and nobody asked: {account:?}",
            asked.1,
            asked.0,
            header.ack()
        );
    }

    /// End `from` sends an ICMP error.
    pub(crate) fn on_error(&mut self, now: Instant, from: usize) {
        self.errors_sent += 1;
        let bucket = self.errors[from].get_or_insert(Errors {
            tokens: BURST * SECOND,
            at: now,
        });
        let filled = u64::try_from(now.since(bucket.at).as_nanos()).unwrap_or(u64::MAX);
        bucket.tokens = bucket.tokens.saturating_add(filled).min(BURST * SECOND);
        bucket.at = now;
        let left = bucket.tokens.checked_sub(SECOND);
        bucket.tokens = left.unwrap_or_else(|| panic!("end {from} sends too many ICMP errors"));
    }
}

/// What a judge of rates must not let pass, for no world sends enough ICMP errors to show it.
#[test]
#[should_panic(expected = "too many ICMP errors")]
fn a_seventh_error_at_once_is_found() {
    let mut answers = Answers::default();
    for n in 0..7 {
        answers.on_error(Instant::from_millis(1000 + n), 0);
    }
}

#[test]
fn an_error_a_second_is_none_too_many() {
    let mut answers = Answers::default();
    for n in 0..6 {
        answers.on_error(Instant::from_millis(1000), 1);
        answers.on_error(Instant::from_millis(1000 * (n + 2)), 0);
    }
    answers.on_error(Instant::from_millis(2001), 1);
    assert_eq!(answers.errors_sent, 13);
}
