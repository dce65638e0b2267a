//! Loss: fast retransmit with and without SACK, limited transmit, partial ACKs.

use core::time::Duration;

use super::sessions::Scenario;

/// Covers: RTO-9 (an RTO after the segment last left, not after the first of its flight: here 60 ms)
#[test]
fn a_fast_retransmission_restarts_the_timer() {
    for sack in [true, false] {
        let scenario = Scenario::established().rtt(Duration::from_millis(100));
        let mut t = if sack {
            scenario.build()
        } else {
            scenario.without_sack().build()
        };
        let block = |end: u32| {
            if sack {
                format!(" <sack 1001:{end}>")
            } else {
                String::new()
            }
        };
        t.run(&format!(
            r"
            +0    write(4, ..., 5000) = 5000
            +0    > P. 1:5001(5x1000) ack 1
            {}
            +.24  < . 1:1(0) ack 1 win 65535{}
            +0    < . 1:1(0) ack 1 win 65535{}
            +0    < . 1:1(0) ack 1 win 65535{}
            +0    > . 1:1001(1000) ack 1
            +.1   < . 1:1(0) ack 5001 win 65535
            +1    %{{ assert netloom.in_flight == 0 }}%
        ",
            if sack {
                "+.2 > P. 4001:5001(1000) ack 1"
            } else {
                ""
            },
            block(2001),
            block(3001),
            block(4001)
        ));
        t.counters(|c| assert_eq!((c.tcp_fast_retransmits, c.tcp_rto_fired), (1, 0)));
    }
}

/// Twenty segments in flight, 10001 to 30001.
const TWENTY: &str = r"
    +0    write(4, ..., 60000) = 60000
    +0    > . 1:10001(10x1000) ack 1
    +.05  < . 1:1(0) ack 8001 win 65535
    +0    > . 10001:26001(16x1000) ack 1
    +0    < . 1:1(0) ack 10001 win 65535
    +0    > . 26001:30001(4x1000) ack 1
    +0    %{ assert netloom.cwnd_bytes == 20000 }%
";

/// P1: the first of twenty lost, ACK by ACK as in RFC 9937's example: the window glides down by one
/// segment for every second ACK, and new text leaves on the way.
///
/// Covers: PRR-1, PRR-3, PRR-9.
#[test]
fn p1_first_of_twenty_lost() {
    const WINDOWS: [u32; 22] = [
        20, 20, 19, 18, 18, 17, 17, 16, 16, 15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 10,
    ];
    let mut t = Scenario::established().build();
    t.run(TWENTY);
    let mut script = String::new();
    let mut next = 30_001;
    for (ack, window) in (1..).zip(WINDOWS) {
        let (una, sack) = match ack {
            // The retransmission arrives behind all that left before it.
            22 => (32_001, String::new()),
            _ => (10_001, format!(" <sack 11001:{}>", 11_001 + 1000 * ack)),
        };
        let wait = if ack == 1 { ".05" } else { ".001" };
        script += &format!("+{wait} < . 1:1(0) ack {una} win 65535{sack}\n");
        if ack == 3 {
            script += "+0 > . 10001:11001(1000) ack 1\n";
        }
        let new = ack <= 2 || ack == 22 || (ack > 3 && ack % 2 == 1);
        if new {
            script += &format!("+0 > . {next}:{}(1000) ack 1\n", next + 1000);
            next += 1000;
        }
        script += &format!(
            "+0 %{{ assert netloom.cwnd_bytes == {} }}%\n",
            window * 1000
        );
    }
    script += "+0 %{ assert netloom.ssthresh_bytes == 10000 }%\n";
    t.run(&script);
    t.counters(|c| assert_eq!((c.tcp_fast_retransmits, c.tcp_retransmits), (1, 1)));
}

/// m05: six of eleven are acknowledged, and the loss of the next shown, ACK by ACK or in one batch: either
/// way half of the eleven is left, not of what the ACKs before left in flight.
#[test]
fn m05_a_batch_of_acks_is_cut_as_each_alone_is() {
    const ACKS: [&str; 6] = [
        "ack 41001 win 65535",
        "ack 43001 win 65535",
        "ack 45001 win 65535",
        "ack 45001 win 65535 <sack 46001:47001>",
        "ack 45001 win 65535 <sack 46001:48001>",
        "ack 45001 win 65535 <sack 46001:49001>",
    ];
    // What each alone brings forth; of the batch, all that leaves.
    const ANSWERS: [&str; 6] = [
        "+0 > . 50001:52001(2000) ack 1",
        "+0 > . 52001:54001(2000) ack 1",
        "+0 > . 54001:56001(2000) ack 1",
        "+0 > . 56001:57001(1000) ack 1",
        "+0 > . 57001:58001(1000) ack 1",
        "+0 > . 45001:46001(1000) ack 1",
    ];
    const ANSWER: &str = "+0 > . 45001:46001(1000) ack 1\n+0 > . 50001:53001(3000) ack 1";
    for batch in [false, true] {
        let mut t = Scenario::established().build();
        t.run(TWENTY);
        // Twenty become ten and one, in congestion avoidance.
        t.run(
            r"
            +.05 < . 1:1(0) ack 10001 win 65535 <sack 11001:30001>
            +0   > . 10001:11001(1000) ack 1
            +0   > . 30001:39001(9000) ack 1
            +.05 < . 1:1(0) ack 39001 win 65535
            +0   > . 39001:50001(11000) ack 1
            +.05 %{ assert netloom.in_flight == 11000 }%
            +0   %{ assert netloom.ssthresh_bytes == 10000 }%
        ",
        );
        let mut script = String::new();
        for (ack, answer) in ACKS.iter().zip(ANSWERS) {
            script += &match batch {
                true => format!("+0 << . 1:1(0) {ack}\n"),
                false => format!("+0 < . 1:1(0) {ack}\n{answer}\n"),
            };
        }
        if batch {
            script += ANSWER;
        }
        t.run(&script);
        t.run("+0 %{ assert netloom.ssthresh_bytes == 5500 }%");
        t.counters(|c| assert_eq!(c.tcp_fast_retransmits, 2, "{batch}"));
        if batch {
            // What the whole batch took out of flight is put back, up to the threshold.
            t.run("+0 %{ assert netloom.cwnd_bytes == 5500 }%");
        }
    }
}

/// P2: fifteen of twenty lost, as in RFC 9937's example: one for one, then a segment more for each ACK
/// that shows the repair to go well, up to ssthresh.
///
/// Covers: PRR-4, PRR-7.
#[test]
fn p2_most_of_a_flight_lost() {
    let mut t = Scenario::established().build();
    t.run(TWENTY);
    t.run(
        r"
        +.05  < . 1:1(0) ack 10001 win 65535 <sack 25001:26001>
        +0    > . 30001:31001(1000) ack 1
        +0    %{ assert netloom.cwnd_bytes == 20000 }%
        +.001 < . 1:1(0) ack 10001 win 65535 <sack 25001:27001>
        +0    > . 31001:32001(1000) ack 1
        +0    %{ assert netloom.cwnd_bytes == 20000 }%
        // Three reported: all fifteen below them are lost. In flight: four.
        +.001 < . 1:1(0) ack 10001 win 65535 <sack 25001:28001>
        +0    > . 10001:11001(1000) ack 1
        +0    %{ assert netloom.cwnd_bytes == 5000 }%
        +.001 < . 1:1(0) ack 10001 win 65535 <sack 25001:29001>
        +0    > . 11001:12001(1000) ack 1
        +0    %{ assert netloom.cwnd_bytes == 5000 }%
        +.001 < . 1:1(0) ack 10001 win 65535 <sack 25001:30001>
        +0    > . 12001:13001(1000) ack 1
        +0    %{ assert netloom.cwnd_bytes == 5000 }%
        +.001 < . 1:1(0) ack 10001 win 65535 <sack 25001:31001>
        +0    > . 13001:14001(1000) ack 1
        +.001 < . 1:1(0) ack 10001 win 65535 <sack 25001:32001>
        +0    > . 14001:15001(1000) ack 1
        +0    %{ assert netloom.cwnd_bytes == 5000 }%
        +.001 < . 1:1(0) ack 11001 win 65535 <sack 25001:32001>
        +0    > . 15001:17001(2x1000) ack 1
        +0    %{ assert netloom.cwnd_bytes == 6000 }%
        +.001 < . 1:1(0) ack 12001 win 65535 <sack 25001:32001>
        +0    > . 17001:19001(2x1000) ack 1
        +.001 < . 1:1(0) ack 13001 win 65535 <sack 25001:32001>
        +0    > . 19001:21001(2x1000) ack 1
        +.001 < . 1:1(0) ack 14001 win 65535 <sack 25001:32001>
        +0    > . 21001:23001(2x1000) ack 1
        +.001 < . 1:1(0) ack 15001 win 65535 <sack 25001:32001>
        +0    > . 23001:25001(2x1000) ack 1
        +0    %{ assert netloom.cwnd_bytes == 10000 }%
        +.001 < . 1:1(0) ack 16001 win 65535 <sack 25001:32001>
        +0    > . 32001:33001(1000) ack 1
        +0    %{ assert netloom.cwnd_bytes == 10000 }%
    ",
    );
    t.counters(|c| assert_eq!((c.tcp_fast_retransmits, c.tcp_rto_fired), (1, 0)));
}

/// m03: what was reported and is then acknowledged cumulatively leaves flight once, and is delivered once.
#[test]
fn m03_what_was_reported_and_then_acknowledged_counts_once() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 10000) = 10000
        +0   > P. 1:10001(10x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535 <sack 2001:3001>
        +0   < . 1:1(0) ack 1 win 65535 <sack 2001:3001 4001:5001>
        +0   %{ assert netloom.in_flight == 8000 }%
        +.005 < . 1:1(0) ack 3001 win 65535 <sack 4001:5001>
        +0   %{ assert netloom.in_flight == 6000 }%
        +.005 < . 1:1(0) ack 6001 win 65535
        +0   %{ assert netloom.in_flight == 4000 }%
        +.005 < . 1:1(0) ack 10001 win 65535
        +0   %{ assert netloom.in_flight == 0 }%
    ",
    );
    t.info(|info| assert_eq!((info.delivered, info.sacked), (10_000, 0)));
}
