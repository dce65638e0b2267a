//! Captures of others: any bytes are fed to a stack from both sides, and it keeps what it must.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use netloom::capture::{Fed, ForeignReplay};

/// Input: a capture, pcap or pcapng, of what 10.0.0.1 (from port 40000) and 10.0.0.2 said, or 10.0.0.1 to itself.
pub fn run(input: &[u8]) {
    let [one, other] = [1, 2].map(|host| IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)));
    let socket = SocketAddr::new(one, 40_000);
    for fed in [
        Fed::From(one),
        Fed::To(one),
        Fed::From(other),
        Fed::FromSocket(socket),
        Fed::ToSocket(socket),
    ] {
        // Small bounds are reached by small inputs.
        let replay = ForeignReplay::new(input, fed).expect("a station's address");
        let mut replay = replay
            .most_flows(4)
            .memory(1 << 16)
            .longest_gap(Duration::from_secs(10));
        let report = replay.finish();
        assert!(report.is_sound(), "{fed:?} {report}");
        let told = report.fed + report.expected + report.skipped_total();
        assert_eq!(report.frames, told, "{fed:?} {report}");
    }
}

/// Captures of the tests.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let files: [(&str, &[u8]); 3] = [
        ("closed", include_bytes!("../../tests/pcap/closed.pcap")),
        ("reset", include_bytes!("../../tests/pcap/reset.pcap")),
        ("mixed", include_bytes!("../../tests/pcap/mixed.pcap")),
    ];
    files
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .into()
}
