//! ACKs that do not wait: at the start, after an idle time, and only until text answers text.

use netloom::tcp::TcpOptions;

use super::sessions::Scenario;

/// A connection with the settings of everybody; other scenarios have the option off.
fn default_options() -> Scenario {
    Scenario::established().options(TcpOptions::default())
}

/// Covers: TCP-43 (a first window of a full and a short segment does not wait for the delayed ACK)
#[test]
fn the_first_segments_are_acknowledged_at_once() {
    let mut t = default_options().build();
    let mut script = String::new();
    for n in 0..16 {
        let (from, to) = (1 + 1200 * n, 1201 + 1200 * n);
        script +=
            &format!("+.01 < P. {from}:{to}(1x1000+200) ack 1 win 65535\n+0 > . 1:1(0) ack {to}\n");
    }
    // Sixteen of them; then as ever.
    script += "+.01 < P. 19201:20401(1x1000+200) ack 1 win 65535\n+.04 > . 1:1(0) ack 20401\n";
    script += "+0 read(4, ..., 20400) = 20400\n";
    t.run(&script);
}

/// Request and answer pay one ACK at the start, and none in each round.
#[test]
fn an_answer_takes_the_ack_with_it() {
    let mut t = default_options().build();
    t.run(
        r"
        +0   < P. 1:2(1) ack 1 win 65535
        +0   > . 1:1(0) ack 2
        +0   write(4, ..., 1) = 1
        +0   > P. 1:2(1) ack 2
        +.05 < P. 2:3(1) ack 2 win 65535
        +.01 write(4, ..., 1) = 1
        +0   > P. 2:3(1) ack 3
        +.05 < P. 3:4(1) ack 3 win 65535
        +.01 write(4, ..., 1) = 1
        +0   > P. 3:4(1) ack 4
        // One that nothing answers waits as ever, and the next ones need not.
        +.05 < P. 4:5(1) ack 4 win 65535
        +.04 > . 4:4(0) ack 5
        +.01 < P. 5:6(1) ack 4 win 65535
        +0   > . 4:4(0) ack 6
        +0   read(4, ..., 5) = 5
    ",
    );
}

/// The same from the side that asks.
#[test]
fn a_question_takes_the_ack_of_the_last_answer_with_it() {
    let mut t = default_options().build();
    t.run(
        r"
        +0   write(4, ..., 1) = 1
        +0   > P. 1:2(1) ack 1
        +.05 < P. 1:2(1) ack 2 win 65535
        +0   > . 2:2(0) ack 2
        +0   write(4, ..., 1) = 1
        +0   > P. 2:3(1) ack 2
        +.05 < P. 2:3(1) ack 3 win 65535
        +.01 write(4, ..., 1) = 1
        +0   > P. 3:4(1) ack 3
        +.05 < P. 3:4(1) ack 4 win 65535
        +.01 write(4, ..., 1) = 1
        +0   > P. 4:5(1) ack 4
        +.05 < . 4:4(0) ack 5 win 65535
        +0   read(4, ..., 3) = 3
    ",
    );
}

/// A peer that was idle begins with a small window again.
#[test]
fn the_first_after_an_idle_time_is_acknowledged_at_once() {
    let mut t = default_options().build();
    t.run(
        r"
        +0   < P. 1:2(1) ack 1 win 65535
        +0   > . 1:1(0) ack 2
        +0   write(4, ..., 1) = 1
        +0   > P. 1:2(1) ack 2
        +.05 < . 2:2(0) ack 2 win 65535
        // Not yet: the RTO is 250 ms.
        +.19 < P. 2:3(1) ack 2 win 65535
        +.04 > . 2:2(0) ack 3
        +0   write(4, ..., 1) = 1
        +0   > P. 2:3(1) ack 3
        +.05 < . 3:3(0) ack 3 win 65535
        +1   < P. 3:1203(1x1000+200) ack 3 win 65535
        +0   > . 3:3(0) ack 1203
        +0   read(4, ..., 1202) = 1202
    ",
    );
}
