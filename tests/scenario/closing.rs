//! Closing: every way from ESTABLISHED to CLOSED.

use super::sessions::Scenario;

/// Covers: TCP-19, SEC-9 (r53)
#[test]
fn r53_a_new_syn_reopens_from_time_wait() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   shutdown(4, SHUT_WR) = 0
        +0   > F. 1:1(0) ack 1
        +.05 < F. 1:1(0) ack 2 win 65535
        +0   > . 2:2(0) ack 2
        +0   close(4) = 0
        // An old SYN is answered, a new one taken.
        +1   < S 0:0(0) win 1000 <mss 1000>
        +0   > . 2:2(0) ack 2
        +0   < S 100000:100000(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 100001 <...>
        +0   < . 100001:100001(0) ack 1 win 1000
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 5
        +0   `ss -n | grep -q ESTABLISHED`
        +0   %{ assert netloom.time_waiting == 0 }%
    ",
    );
}

/// Resets in every state behind ESTABLISHED.
#[test]
fn a_reset_ends_every_closing_state() {
    for (steps, error) in [
        ("+0 %{ assert 1 }%", true),
        ("+0 < F. 1:1(0) ack 1 win 65535\n+0 > . 1:1(0) ack 2", true),
        ("+0 shutdown(4, SHUT_WR) = 0\n+0 > F. 1:1(0) ack 1", true),
        (
            "+0 shutdown(4, SHUT_WR) = 0\n+0 > F. 1:1(0) ack 1\n+.05 < . 1:1(0) ack 2 win 65535",
            true,
        ),
        (
            "+0 < F. 1:1(0) ack 1 win 65535\n+0 > . 1:1(0) ack 2\n+0 shutdown(4, SHUT_WR) = 0\n+0 > F. 1:1(0) ack 2",
            false,
        ),
        (
            "+0 shutdown(4, SHUT_WR) = 0\n+0 > F. 1:1(0) ack 1\n+0 < F. 1:1(0) ack 1 win 65535\n+0 > . 2:2(0) ack 2",
            false,
        ),
    ] {
        let mut t = Scenario::established().build();
        t.run(steps);
        let fin_came = steps.contains("< F");
        let seq = if fin_came { 2 } else { 1 };
        t.run(&format!(
            "+0 < R {seq}:{seq}(0) win 0
             +0 `ss -n | grep -q CLOSED`
             +0 %{{ assert netloom.open_connections == 0 }}%"
        ));
        t.info(|info| assert_eq!(info.failure.is_some(), error, "{steps}"));
    }
}

/// Covers: ECN-2 (a FIN alone, and an ACK: a router drops them as ever)
#[test]
fn what_has_no_text_is_not_ect() {
    let mut t = Scenario::established().ecn().build();
    t.run(
        "+0 < [ect0] P. 1:1001(1000) ack 1 win 65535
         +.04 > [noecn] . 1:1(0) ack 1001
         +0 read(4, ..., 1000) = 1000
         +0 close(4) = 0
         +0 > [noecn] F. 1:1(0) ack 1001",
    );
}
