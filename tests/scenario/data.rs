//! Text both ways: delayed ACKs, reassembly, Nagle, windows of text, super-segments.

use super::harness::Scenario;

/// Covers: TCP-43 (SHLD-18, MUST-40, SHLD-19)
#[test]
fn one_segment_is_acknowledged_later_and_two_at_once() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < P. 1:1001(1000) ack 1
        +0   expect-event READABLE
        +.04 > . 1:1(0) ack 1001
        +0   < . 1001:2001(1000) ack 1
        +.01 < . 2001:3001(1000) ack 1
        +0   > . 1:1(0) ack 3001
        +0   read 3000
        +0   read-fails WouldBlock
    ",
    );
}

/// Covers: TCP-43 (a super-segment is several segments), TCP-56 (r35)
#[test]
fn r35_a_super_segment_is_acknowledged_at_once() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < P. 1:5001(5x1000) ack 1
        +0   > . 1:1(0) ack 5001
        +0   read 5000
    ",
    );
}

#[test]
fn without_delay_every_segment_is_acknowledged() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   setopt delayed_ack off
        +0   < P. 1:11(10) ack 1
        +0   > . 1:1(0) ack 11
    ",
    );
}

/// The ACK rides on text.
#[test]
fn a_delayed_ack_rides_on_text() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < P. 1:101(100) ack 1
        +.01 write 50
        +0   > P. 1:51(50) ack 101
        +.05 < . 101:101(0) ack 51
        +1   wait
    ",
    );
}

/// Covers: TCP-57, CC-11, SAK-3, SAK-4, SAK-5 (r42)
#[test]
fn r42_text_out_of_order_is_held_and_reported() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < . 1001:2001(1000) ack 1
        +0   > . 1:1(0) ack 1 <sack 1001:2001>
        +0   < . 3001:4001(1000) ack 1
        +0   > . 1:1(0) ack 1 <sack 3001:4001 1001:2001>
        +0   < . 2001:3001(1000) ack 1
        +0   > . 1:1(0) ack 1 <sack 1001:4001>
        // Once more: reported as a duplicate, once.
        +0   < . 2001:3001(1000) ack 1
        +0   > . 1:1(0) ack 1 <sack 2001:3001 1001:4001>
        +0   < . 1:1001(1000) ack 1
        +0   > . 1:1(0) ack 4001 <>
        +0   < . 1:1001(1000) ack 1
        +0   > . 1:1(0) ack 4001 <sack 1:1001>
        +0   read 4000
    ",
    );
}

/// Covers: SAK-2, CC-11
#[test]
fn without_sack_a_gap_gives_plain_duplicate_acks() {
    let mut t = Scenario::established().without_sack().build();
    t.run(
        r"
        +0   < . 1001:2001(1000) ack 1
        +0   > . 1:1(0) ack 1 <>
        +0   < . 2001:3001(1000) ack 1
        +0   > . 1:1(0) ack 1 <>
        +0   < . 1:1001(1000) ack 1
        +0   > . 1:1(0) ack 3001 <>
        +0   read 3000
    ",
    );
}

/// Covers: TCP-27 (SHLD-7, MUST-17), TCP-47 (MUST-61)
#[test]
fn nagle_holds_a_second_small_segment() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write 100
        +0   > P. 1:101(100) ack 1
        +0   write 100
        +0   write 100
        +.05 < . 1:1(0) ack 101
        +0   > P. 101:301(200) ack 1
        +0   setopt nodelay on
        +0   write 10
        +0   > P. 301:311(10) ack 1
        +0   write 10
        +0   > P. 311:321(10) ack 1
    ",
    );
}

/// Neither a full segment nor the last one before a FIN waits, nor the rest of a large write.
#[test]
fn r46_nagle_never_holds_a_full_segment_nor_the_last() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write 10
        +0   > P. 1:11(10) ack 1
        +0   write 1000
        +0   > P. 11:1011(1000) ack 1
        +0   write 10
        +0   shutdown wr
        +0   > FP. 1011:1021(10) ack 1
    ",
    );
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write 2500
        +0   > P. 1:2501(2x1000+500) ack 1
    ",
    );
}

/// Covers: CC-2, CC-4 (IW10, and slow start by bytes)
#[test]
fn ten_segments_leave_first_and_slow_start_doubles() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write 30000
        +0   > . 1:10001(10x1000) ack 1
        +.05 < . 1:1(0) ack 2001
        +0   > . 10001:14001(4x1000) ack 1
        +0   expect-info cwnd 12000
        +0   < . 1:1(0) ack 10001
        +0   > P. 14001:30001(16x1000) ack 1
    ",
    );
}

/// A device without segmentation gets them one by one.
#[test]
fn without_offload_every_segment_is_a_frame() {
    let mut t = Scenario::established().plain_device().build();
    t.run(
        r"
        +0   write 2500
        +0   > . 1:1001(1000) ack 1
        +0   > . 1001:2001(1000) ack 1
        +0   > P. 2001:2501(500) ack 1
    ",
    );
}

/// Covers: TCP-59 (r06)
#[test]
fn r06_an_old_ack_with_new_text_counts() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write 2000
        +0   > P. 1:2001(2x1000) ack 1
        +.05 < . 1:1(0) ack 2001
        +0   < P. 1:101(100) ack 1001
        +.04 > . 2001:2001(0) ack 101
        +0   read 100
        // Old and new text in one segment.
        +0   < P. 51:151(100) ack 2001
        +0   > . 2001:2001(0) ack 151 <sack 51:101>
        +0   read 50
    ",
    );
}

/// Covers: TCP-59 (an old duplicate is acknowledged)
#[test]
fn an_old_duplicate_is_acknowledged_at_once() {
    let mut t = Scenario::established().without_sack().build();
    t.run(
        r"
        +0   < P. 1:101(100) ack 1
        +.04 > . 1:1(0) ack 101
        +0   < P. 1:101(100) ack 1
        +0   > . 1:1(0) ack 101
        +0   read 100
    ",
    );
}

/// A frame that the device refuses stays first in line (r29, r37).
#[test]
fn r29_a_full_device_loses_nothing() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   device full
        +0   write 2000
        +0   < P. 1:2001(2x1000) ack 1
        +1   device ready
        +0   > P. 1:2001(2x1000) ack 2001
        +0   device full
        +0   < P. 2001:4001(2x1000) ack 2001
        +1   device ready
        +0   > . 2001:2001(0) ack 4001
        +0   read 4000
        +0   device full
        +0   shutdown wr
        +1   device ready
        +0   > F. 2001:2001(0) ack 4001
        +0   device full
        +1   device ready
        +0   > F. 2001:2001(0) ack 4001
    ",
    );
}

/// Covers: TCP-2, TCP-7
#[test]
fn text_and_its_order_survive_sizes_of_one() {
    let mut t = Scenario::established().build();
    let mut script = String::new();
    for n in (2..40u32).rev() {
        script.push_str(&format!("+0 < P. {n}:{}(1) ack 1\n", n + 1));
        script.push_str("+0 > . 1:1(0) ack 1\n");
    }
    script.push_str("+0 < P. 1:2(1) ack 1\n+0 > . 1:1(0) ack 40\n+0 read 39\n");
    t.run(&script);
}
