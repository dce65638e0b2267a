//! Loss: fast retransmit with and without SACK, limited transmit, RTO, Karn.

use super::harness::Scenario;

/// Covers: CC-9 (fast retransmit on the third duplicate ACK), SAK-12.
#[test]
fn third_duplicate_ack_resends_the_hole() {
    let mut t = Scenario::established().mss(1000).build();
    t.run(
        r"
        +0    write 5000
        +0    > P. 1:5001(5x1000) ack 1
        +.05  < . 1:1(0) ack 1 win 32768 <sack 1001:2001>
        +0    < . 1:1(0) ack 1 win 32768 <sack 1001:3001>
        +0    < . 1:1(0) ack 1 win 32768 <sack 1001:4001>
        +0    > . 1:1001(1000) ack 1
        +.05  < . 1:1(0) ack 5001 win 32768
    ",
    );
    t.counters(|c| assert_eq!((c.tcp_fast_retransmits, c.tcp_rto_fired), (1, 0)));
}
