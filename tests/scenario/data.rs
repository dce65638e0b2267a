//! Text both ways: delayed ACKs, reassembly, Nagle, windows of text, super-segments.

use super::sessions::Scenario;

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
