//! Requirements on connections that no other file of this tier shows.

use core::time::Duration;

use super::harness::Scenario;

/// Covers: TCP-1 (MUST-1: the window has 16 bits and no sign)
#[test]
fn a_window_above_32767_is_a_large_window() {
    let mut t = Scenario::established().window(65_535).build();
    t.run(
        r"
        +0   < . 1:1(0) ack 1 win 32768
        +0   expect-info snd_wnd 32768
        +0   < . 1:1(0) ack 1 win 65535
        +0   expect-info snd_wnd 65535
        +0   write 1000
        +0   > P. 1:1001(1000) ack 1
    ",
    );
}

/// Covers: TCP-22 (MUST-65: the MSS option is on SYNs only), TS-7 (an echo on a segment without ACK
/// is zero, and one that is not means nothing)
#[test]
fn options_of_the_handshake_stay_in_the_handshake() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   connect
        +0   > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,wscale 7>
        +.05 < S. 0:0(0) ack 1 win 5000 <mss 1000,sackOK,TS val 9 ecr 0,wscale 2>
        +0   > . 1:1(0) ack 1 <TS val 50 ecr 9>
        +0   write 10
        +0   > P. 1:11(10) ack 1 <TS val 50 ecr 9>
        // An MSS, a window scale and a SACK permission outside of a SYN change nothing.
        +0   < . 1:1(0) ack 11 win 5000 <mss 100,sackOK,wscale 9,TS val 10 ecr 50>
        +0   expect-info snd_mss 988
        +0   expect-info snd_wnd 20000
        +0   shutdown wr
        +0   > F. 11:11(0) ack 1 <TS val 50 ecr 10>
    ",
    );
}

/// Covers: CC-12 (never more than one ACK for a segment, whatever is to be told)
#[test]
fn one_segment_gets_one_ack() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < P. 1:1001(1000) ack 1
        +.04 > . 1:1(0) ack 1001
        +0   read 1000
        // Old, beyond, out of order, and a FIN: one each.
        +0   < P. 1:1001(1000) ack 1
        +0   > . 1:1(0) ack 1001
        +0   < P. 900001:901001(1000) ack 1
        +0   > . 1:1(0) ack 1001
        +0   < . 2001:3001(1000) ack 1
        +0   > . 1:1(0) ack 1001
        +0   < F. 3001:3001(0) ack 1
        +0   > . 1:1(0) ack 1001
        +0   < P. 1001:2001(1000) ack 1
        +0   > . 1:1(0) ack 3002
        +1   wait
    ",
    );
}

/// Covers: RTO-9, RTO-5, RTO-10 (a record that is sent again waits a whole RTO from then on)
#[test]
fn every_transmission_has_a_whole_time_out() {
    let mut t = Scenario::established()
        .rtt(Duration::from_millis(300))
        .build();
    t.run(
        r"
        +0   expect-info rto_ms 900
        +0   write 3000
        +0   > P. 1:3001(3x1000) ack 1
        +.6  > P. 2001:3001(1000) ack 1
        +.9  > . 1:1001(1000) ack 1
        +0   expect-info cwnd 1000
        // The ACK of what was sent twice is no sample: 1.8 s stay.
        +.3  < . 1:1(0) ack 1001
        +0   > . 1001:2001(1000) ack 1
        +0   > P. 2001:3001(1000) ack 1
        +0   expect-info rto_ms 1800
        +1.8 > . 1001:2001(1000) ack 1
    ",
    );
}

/// Covers: TS-14 (the clock ticks a millisecond)
#[test]
fn the_timestamp_clock_ticks_by_the_millisecond() {
    let mut t = Scenario::established().timestamps().build();
    t.run(
        r"
        +0    setopt nodelay on
        +0    write 1
        +0    > P. 1:2(1) ack 1 <TS val 50 ecr 50>
        +.001 write 1
        +0    > P. 2:3(1) ack 1 <TS val 51 ecr 50>
        +.1   write 1
        +0    > P. 3:4(1) ack 1 <TS val 151 ecr 50>
    ",
    );
}
