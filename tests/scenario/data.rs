//! Text both ways: delayed ACKs, reassembly, Nagle, windows of text, super-segments.

use netloom::tcp::TcpOptions;

use super::sessions::Scenario;

/// Covers: TCP-43 (SHLD-18, MUST-40, SHLD-19)
#[test]
fn one_segment_is_acknowledged_later_and_two_at_once() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < P. 1:1001(1000) ack 1 win 65535
        +0   %{ assert netloom.event_readable >= 1 }%
        +.04 > . 1:1(0) ack 1001
        +0   < . 1001:2001(1000) ack 1 win 65535
        +.01 < . 2001:3001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 3001
        +0   read(4, ..., 3000) = 3000
        +0   read(4, ..., 1) = -1 EAGAIN
    ",
    );
}

#[test]
fn without_delay_every_segment_is_acknowledged() {
    let options = TcpOptions::default().quick_acks(0).delayed_ack(false);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   < P. 1:11(10) ack 1 win 65535
        +0   > . 1:1(0) ack 11
    ",
    );
}

/// A frame that the device refuses stays first in line (r29, r37).
#[test]
fn r29_a_full_device_loses_nothing() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   `sysctl -w netloom.device_full=1`
        +0   write(4, ..., 2000) = 2000
        +0   < P. 1:2001(2x1000) ack 1 win 65535
        +1   `sysctl -w netloom.device_full=0`
        +0   > P. 1:2001(2x1000) ack 2001
        +0   `sysctl -w netloom.device_full=1`
        +0   < P. 2001:4001(2x1000) ack 2001 win 65535
        +1   `sysctl -w netloom.device_full=0`
        +0   > . 2001:2001(0) ack 4001
        +0   read(4, ..., 4000) = 4000
        +0   `sysctl -w netloom.device_full=1`
        +0   shutdown(4, SHUT_WR) = 0
        +1   `sysctl -w netloom.device_full=0`
        +0   > F. 2001:2001(0) ack 4001
        +0   `sysctl -w netloom.device_full=1`
        +1   `sysctl -w netloom.device_full=0`
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
        script.push_str(&format!("+0 < P. {n}:{}(1) ack 1 win 65535\n", n + 1));
        script.push_str(&format!("+0 > . 1:1(0) ack 1 <nop,nop,sack {n}:40>\n"));
    }
    script.push_str(
        "+0 < P. 1:2(1) ack 1 win 65535\n+0 > . 1:1(0) ack 40\n+0 read(4, ..., 39) = 39\n",
    );
    t.run(&script);
}
