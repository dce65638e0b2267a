//! Closing: every way from ESTABLISHED to CLOSED.

use super::sessions::Scenario;

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
