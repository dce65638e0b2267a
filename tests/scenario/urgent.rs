//! Urgent data both ways (RFC 9293 §3.8.5, RFC 6093).

use super::sessions::Scenario;

/// Covers: TCP-35 (MUST-30, MUST-62): each segment before SND.UP points to the octet after the last urgent one,
/// whatever is sent again, and none behind it does.
#[test]
fn what_is_urgent_is_pointed_to_until_it_is_acknowledged() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 2500) = 2500
        +0   > . 1:2001(2x1000) ack 1
        +0   > P. 2001:2501(500) ack 1
        // Not even Nagle's algorithm holds it back.
        +0   send(4, ..., 100, MSG_OOB) = 100
        +0   > PU. 2501:2601(100) ack 1 urg 100
        // What is behind it is not urgent.
        +0   write(4, ..., 1000) = 1000
        +0   > P. 2601:3601(1000) ack 1
        // Text in a hole that is sent again is before it.
        +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:3601,nop,nop>
        +0   > U. 1:1001(1000) ack 1 urg 2600
        +.05 < . 1:1(0) ack 3601 win 65535
        +0   write(4, ..., 10) = 10
        +0   > P. 3601:3611(10) ack 1
    ",
    );
}

/// Covers: TCP-35 (MUST-31): of any length. What the field cannot tell is told piece by piece, each in a segment of its
/// own, so that each has its own pointer.
#[test]
fn urgent_data_may_be_longer_than_its_pointer_tells() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   send(4, ..., 70000, MSG_OOB) = 70000
        +0   > U. 1:1001(1000) ack 1 urg 65535
        +0   > U. 1001:2001(1000) ack 1 urg 65535
        +0   > U. 2001:3001(1000) ack 1 urg 65535
        +0   > U. 3001:4001(1000) ack 1 urg 65535
        +0   > U. 4001:5001(1000) ack 1 urg 65535
        +0   > U. 5001:6001(1000) ack 1 urg 65000
        +0   > U. 6001:7001(1000) ack 1 urg 64000
        +0   > U. 7001:8001(1000) ack 1 urg 63000
        +0   > U. 8001:9001(1000) ack 1 urg 62000
        +0   > U. 9001:10001(1000) ack 1 urg 61000
    ",
    );
}

/// Covers: TCP-35 (MUST-30): a peer whose window is shut hears of it at once, and again with each probe.
#[test]
fn a_shut_window_does_not_keep_the_news() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 1000) = 1000
        +0   > P. 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 0
        +0   send(4, ..., 1, MSG_OOB) = 1
        +0   > U. 1001:1001(0) ack 1 urg 1
        +.25 > PU. 1001:1002(1) ack 1 urg 1
        +0   < . 1:1(0) ack 1002 win 65535
        +0   write(4, ..., 10) = 10
        +0   > P. 1002:1012(10) ack 1
    ",
    );
}

/// Covers: TCP-36 (MUST-32, MUST-33), TCP-9 (URG before a window of any size): the user is told when urgent data begins,
/// once for all of it, and learns how much there is to read.
#[test]
fn the_user_is_told_of_urgent_data_and_how_much_is_left() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        // Ahead of its text, in a segment without any.
        +0   < U. 1:1(0) ack 1 win 65535 urg 3000
        +0   %{ assert netloom.event_urgent == 1; assert netloom.urgent == 3000 }%
        // Further on, without a gap: not told again.
        +0   < U. 1:1001(1000) ack 1 win 65535 urg 4000
        +0   %{ assert netloom.event_urgent == 1; assert netloom.urgent == 4000 }%
        +0   read(4, ..., 600) = 600
        +0   %{ assert netloom.urgent == 3400 }%
        // The pointer never moves back.
        +0   < PU. 1001:2001(1000) ack 1 win 65535 urg 500
        +0   > . 1:1(0) ack 2001
        +0   %{ assert netloom.urgent == 3400 }%
        +0   < . 2001:3001(1000) ack 1 win 65535
        +0   < P. 3001:4001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 4001
        +0   read(4, ..., 5000) = 3400
        +0   %{ assert netloom.urgent == 0; assert netloom.event_urgent == 1 }%
        // What was read before it came is not urgent any more.
        +0   < U. 3001:4001(1000) ack 1 win 65535 urg 1000
        +0   > . 1:1(0) ack 4001 <nop,nop,sack 3001:4001>
        +0   < U. 4001:4001(0) ack 1 win 65535 urg 0
        +0   %{ assert netloom.urgent == 0; assert netloom.event_urgent == 1 }%
        // A new one is told anew.
        +0   < PU. 4001:4011(10) ack 1 win 65535 urg 10
        +0   %{ assert netloom.urgent == 10; assert netloom.event_urgent == 2 }%
        +.04 > . 1:1(0) ack 4011
        +0   read(4, ..., 9) = 9
        +0   %{ assert netloom.urgent == 1 }%
        +0   read(4, ..., 9) = 1
        +0   %{ assert netloom.urgent == 0 }%
    ",
    );
}

/// What was announced and never comes is not left to be read.
#[test]
fn the_end_of_the_stream_ends_what_is_urgent() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < PU. 1:11(10) ack 1 win 65535 urg 5000
        +.04 > . 1:1(0) ack 11
        +0   %{ assert netloom.urgent == 5000 }%
        +0   < F. 11:11(0) ack 1 win 65535
        +0   > . 1:1(0) ack 12
        +0   %{ assert netloom.urgent == 10 }%
        +0   read(4, ..., 100) = 10
        +0   %{ assert netloom.urgent == 0; assert netloom.event_urgent == 1 }%
        // Nothing follows a FIN.
        +0   < U. 12:12(0) ack 1 win 65535 urg 7
        +0   %{ assert netloom.urgent == 0; assert netloom.event_urgent == 1 }%
    ",
    );
}

/// A pointer without its flag is none.
#[test]
fn the_pointer_counts_with_its_flag_alone() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < P. 1:11(10) ack 1 win 65535 urg 5
        +.04 > . 1:1(0) ack 11
        +0   %{ assert netloom.urgent == 0; assert netloom.event_urgent == 0 }%
    ",
    );
}
