//! What several segments of one batch are owed: duplicate ACKs, SACK blocks, D-SACKs.

use super::sessions::Scenario;

/// Covers: CC-12 (what was only reordered within a batch is no duplicate, nor more than one ACK)
#[test]
fn a_hole_that_the_batch_itself_fills_owes_one_ack() {
    for sack in [true, false] {
        let scenario = Scenario::established();
        let mut t = if sack {
            scenario
        } else {
            scenario.without_sack()
        }
        .build();
        t.run(
            r"
            +0   `sysctl -w netloom.device_full=1`
            +0   < . 1001:2001(1000) ack 1 win 65535
            +0   < . 2001:3001(1000) ack 1 win 65535
            +0   < . 3001:4001(1000) ack 1 win 65535
            +0   < . 1:1001(1000) ack 1 win 65535
            +0   `sysctl -w netloom.device_full=0`
            +0   > . 1:1(0) ack 4001
            +0   read(4, ..., 4000) = 4000
            +1   %{ assert 1 }%
        ",
        );
    }
}
