//! What a batch of segments is told.

use super::tests::{ack, receive, text};
use super::*;
use crate::tcp::window::Carried;
use proptest::prelude::*;

/// The first text byte's number.
const BASE: u32 = 1000;

proptest! {
    /// Whatever comes in whatever order and room: as many bare ACKs as it takes tell every run that
    /// changed and every duplicate, and never more of them than there were segments.
    #[test]
    fn a_batch_is_told_whole_and_never_outnumbered(
        offers in prop::collection::vec((1u32..400, 1usize..30), 1..40), room in 0usize..=4, sack: bool,
    ) {
        let mut rcv = receive(1000);
        rcv.owed.set_sack(sack);
        let mut model = std::collections::BTreeSet::new();
        let (mut changed, mut again) = (std::collections::BTreeSet::new(), false);
        for &(at, len) in &offers {
            rcv.take(&text(BASE + at, len));
            let range = at..at + len as u32;
            again |= range.clone().any(|n| model.contains(&n));
            model.extend(range.clone());
            changed.extend(range);
        }
        let (mut told, mut dsacked) = (Vec::new(), false);
        let mut acks = 0;
        while rcv.wants_ack(true) {
            let report = rcv.report(room);
            prop_assert!(report.blocks.len() <= room);
            for (n, (left, right)) in report.blocks.iter().enumerate() {
                let whole = left..right;
                let held = whole.clone().all(|n| model.contains(&(n - BASE)));
                prop_assert!(held, "{left}..{right}");
                dsacked |= n == 0 && rcv.owed.dsack() == Some((SeqNum::new(left), SeqNum::new(right)));
                told.push(whole);
            }
            let (wire, edge) = rcv.advertise();
            rcv.on_ack_sent(rcv.scale.bytes(wire), edge, Carried::Nothing { room });
            acks += 1;
            prop_assert!(acks <= offers.len(), "{acks} ACKs");
        }
        if sack && room > 1 {
            for at in changed {
                prop_assert!(told.iter().any(|run| run.contains(&(BASE + at))), "{at}");
            }
            prop_assert!(dsacked == again || offers.len() > 16);
        }
        prop_assert!(sack || told.is_empty());
    }
}

/// Whoever never fills the hole has what one turn brings told in full, and then one ACK for each turn.
#[test]
fn r40_a_flood_that_fills_nothing_has_one_ack_a_turn() {
    for (sack, step, len) in [(true, 2, 1), (true, 7, 20), (false, 2, 1)] {
        let mut rcv = receive(100_000);
        rcv.owed.set_sack(sack);
        let (mut acks, turns) = (0, 100);
        for turn in 0..turns {
            for n in 0..64 {
                let at = BASE + 100 + step * ((turn * 64 + n) % 3000);
                rcv.take(&text(at, len));
            }
            while rcv.wants_ack(true) {
                ack(&mut rcv);
                acks += 1;
            }
        }
        assert!(acks <= turns + 3 + 64, "{acks} for {sack} {step} {len}");
    }
}
