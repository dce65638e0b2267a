//! What several segments of one batch are owed: duplicate ACKs, SACK blocks, D-SACKs.

use netloom::tcp::TcpOptions;

use super::sessions::Scenario;

/// Covers: SAK-3 (RFC 2018 §4: each run is told, the one that changed last first)
#[test]
fn more_runs_than_one_ack_holds_are_told_by_several() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < P. 1:1001(1000) ack 1 win 65535
        +.04 > . 1:1(0) ack 1001
        +0   `sysctl -w netloom.device_full=1`
        +0   < . 2001:3001(1000) ack 1 win 65535
        +0   < . 4001:5001(1000) ack 1 win 65535
        +0   < . 6001:7001(1000) ack 1 win 65535
        +0   < . 8001:9001(1000) ack 1 win 65535
        +0   < . 10001:11001(1000) ack 1 win 65535
        +0   < . 12001:13001(1000) ack 1 win 65535
        +0   `sysctl -w netloom.device_full=0`
        +0   > . 1:1(0) ack 1001 <nop,nop,sack 8001:9001 6001:7001 4001:5001 2001:3001>
        +0   > . 1:1(0) ack 1001 <nop,nop,sack 12001:13001 10001:11001 8001:9001 6001:7001>
        // Who counts duplicates has his three.
        +0   > . 1:1(0) ack 1001 <nop,nop,sack 12001:13001 10001:11001 8001:9001 6001:7001>
        // From then on one ACK tells what a batch changed.
        +0   `sysctl -w netloom.device_full=1`
        +0   < . 13001:14001(1000) ack 1 win 65535
        +0   < . 14001:15001(1000) ack 1 win 65535
        +0   < . 15001:16001(1000) ack 1 win 65535
        +0   `sysctl -w netloom.device_full=0`
        +0   > . 1:1(0) ack 1001 <nop,nop,sack 12001:16001 10001:11001 8001:9001 6001:7001>
        +0   read(4, ..., 1000) = 1000
    ",
    );
}

/// Covers: CC-11 (RFC 5681 §4.2: a peer without SACK counts duplicates, three at least)
#[test]
fn without_sack_each_segment_out_of_order_has_its_duplicate() {
    let mut t = Scenario::established().without_sack().build();
    t.run(
        r"
        +0   `sysctl -w netloom.device_full=1`
        +0   < . 1001:2001(1000) ack 1 win 65535
        +0   < . 2001:3001(1000) ack 1 win 65535
        +0   < . 3001:4001(1000) ack 1 win 65535
        +0   < . 4001:5001(1000) ack 1 win 65535
        +0   `sysctl -w netloom.device_full=0`
        +0   > . 1:1(0) ack 1
        +0   > . 1:1(0) ack 1
        +0   > . 1:1(0) ack 1
        +0   > . 1:1(0) ack 1
        // A super-segment counts its segments.
        +0   < P. 5001:8001(3x1000) ack 1 win 65535
        +0   > . 1:1(0) ack 1
        +0   > . 1:1(0) ack 1
        +0   > . 1:1(0) ack 1
        +0   < . 1:1001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 8001
        +0   read(4, ..., 8000) = 8000
        +1   %{ assert 1 }%
    ",
    );
}

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

/// RFC 5681 §2: a duplicate has no text and the window of the one before; where it rode on text, or
/// told a larger window, another one leaves.
#[test]
fn a_duplicate_rides_on_nothing() {
    let options = TcpOptions::default()
        .recv_buffer_initial(4000)
        .recv_buffer_max(4000);
    let mut t = Scenario::established()
        .options(options)
        .without_sack()
        .build();
    t.run(
        r"
        +0   < P. 1:2001(2x1000) ack 1 win 65535
        +0   > . 1:1(0) ack 2001 win 2000
        +0   `sysctl -w netloom.device_full=1`
        +0   read(4, ..., 1500) = 1500
        +0   write(4, ..., 1000) = 1000
        +0   < . 3001:3501(500) ack 1 win 65535
        +0   < . 3501:4001(500) ack 1 win 65535
        +0   `sysctl -w netloom.device_full=0`
        +0   > . 1:1(0) ack 2001 win 3500
        +0   > . 1:1(0) ack 2001 win 3500
        +0   > . 1:1(0) ack 2001 win 3500
        +0   > P. 1:1001(1000) ack 2001
        +.05 < . 4001:4001(0) ack 1001 win 65535
        +0   read(4, ..., 500) = 500
    ",
    );
}

/// Covers: SAK-9 (RFC 2883 §4: each duplicate is told once, one in each ACK)
#[test]
fn each_duplicate_of_a_batch_is_told() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < P. 1:6001(6x1000) ack 1 win 65535
        +0   > . 1:1(0) ack 6001
        +0   `sysctl -w netloom.device_full=1`
        +0   < . 1:1001(1000) ack 1 win 65535
        +0   < . 2001:3001(1000) ack 1 win 65535
        // What joins on is one duplicate.
        +0   < . 3001:4001(1000) ack 1 win 65535
        +0   `sysctl -w netloom.device_full=0`
        +0   > . 1:1(0) ack 6001 <nop,nop,sack 1:1001>
        +0   > . 1:1(0) ack 6001 <nop,nop,sack 2001:4001>
        +0   read(4, ..., 6000) = 6000
        +1   %{ assert 1 }%
    ",
    );
}
