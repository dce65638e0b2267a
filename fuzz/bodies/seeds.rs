//! The corpus that is committed: sound inputs of each target, and the same damaged.

use super::wire::*;

/// Names and inputs, in the form that `frame.rs` reads.
pub fn frames() -> Vec<(String, Vec<u8>)> {
    let mut inputs: Vec<(String, Vec<u8>)> = sound()
        .into_iter()
        .map(|(name, frames)| (name.to_owned(), input(0, &frames)))
        .collect();
    let ip: Vec<Vec<u8>> = vec![v4(6, &tcp(SYN, 1, 0, &[2, 4, 5, 180]), &FROM4, &TO4)];
    inputs.push(("ip-medium".to_owned(), input(1, &ip)));
    inputs.extend(sessions());
    let damaged: Vec<_> = inputs
        .iter()
        .zip(1..)
        .map(|((name, input), seed)| (format!("{name}-damaged"), damage(input, seed)))
        .collect();
    inputs.extend(damaged);
    inputs
}

fn sound() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let eth4 = |protocol, body: &[u8]| ethernet(0x0800, &v4(protocol, body, &FROM4, &TO4));
    let eth6 = |next, body: &[u8]| ethernet(0x86DD, &v6(next, body, &FROM6, &TO6));
    let mss = [
        2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    let quoted = v4(17, &udp(7, b"hello"), &TO4, &FROM4);
    let fragment = {
        let mut packet = v4(17, &[7; 24], &FROM4, &TO4);
        packet[6] = 0x20; // more fragments
        packet[10..12].fill(0);
        let sum = checksum(&[&packet[..20]]);
        packet[10..12].copy_from_slice(&sum);
        packet
    };
    let options = [17, 0, 5, 2, 0, 0, 1, 0]; // hop by hop: router alert, then UDP
    vec![
        ("arp-request", vec![arp(1, [0; 6])]),
        ("arp-reply", vec![arp(2, super::frame::MAC)]),
        (
            "ping4",
            vec![eth4(1, &icmp4(8, 0, &[0, 1, 0, 1, b'h', b'i']))],
        ),
        (
            "ping6",
            vec![eth6(58, &icmp6(128, 0, &[0, 1, 0, 1, b'h', b'i']))],
        ),
        ("syn4", vec![arp(1, [0; 6]), eth4(6, &tcp(SYN, 1, 0, &mss))]),
        ("syn6", vec![eth6(6, &tcp6(SYN, 1, 0, &mss))]),
        (
            "handshake4",
            vec![
                arp(1, [0; 6]),
                eth4(6, &tcp(SYN, 1, 0, &mss)),
                eth4(6, &tcp(ACK, 2, 0x1234_5678, &[])),
                eth4(6, &tcp(ACK | FIN, 2, 0x1234_5678, &[])),
                eth4(6, &tcp(RST, 2, 0, &[])),
            ],
        ),
        (
            "tcp-christmas",
            vec![eth4(6, &tcp(0x3F, 1, 1, &[5, 10, 0, 0, 0, 1, 0, 0, 0, 2]))],
        ),
        (
            "tcp-fast-open",
            vec![eth4(6, &tcp(SYN, 1, 0, &[34, 6, 1, 2, 3, 4]))],
        ),
        ("udp4", vec![eth4(17, &udp4(7, b"hello"))]),
        ("udp4-closed", vec![eth4(17, &udp4(9999, b"hello"))]),
        ("udp6", vec![eth6(17, &udp6(7, b"hello"))]),
        (
            "icmp4-unreachable",
            vec![eth4(1, &icmp4(3, 3, &[&[0; 4][..], &quoted].concat()))],
        ),
        (
            "icmp4-too-big",
            vec![eth4(
                1,
                &icmp4(3, 4, &[&[0, 0, 5, 0][..], &quoted].concat()),
            )],
        ),
        ("icmp6-too-big", vec![eth6(58, &icmp6(2, 0, &[0; 48]))]),
        ("neighbour-solicitation", vec![solicit()]),
        ("neighbour-advertisement", vec![advertise()]),
        (
            "router-advertisement",
            vec![eth6(
                58,
                &icmp6(134, 0, &[64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]),
            )],
        ),
        ("fragment4", vec![ethernet(0x0800, &fragment)]),
        (
            "fragment6",
            vec![eth6(
                44,
                &[&[17, 0, 0, 1, 0, 0, 0, 9][..], &[7; 16]].concat(),
            )],
        ),
        (
            "hop-by-hop6",
            vec![eth6(0, &[&options[..], &udp6(7, b"x")].concat())],
        ),
        (
            "routing6",
            vec![eth6(43, &[&[59, 0, 0, 1, 0, 0, 0, 0][..]].concat())],
        ),
        (
            "vlan",
            vec![ethernet(0x8100, &[&[0, 5, 8, 0][..], &quoted].concat())],
        ),
        ("igmp", vec![eth4(2, &[0x11, 0, 0xEE, 0xFF, 0, 0, 0, 0])]),
        ("llc", vec![ethernet(0x0026, &[0x42; 38])]),
        ("runt", vec![vec![2, 0, 0]]),
    ]
}

/// Whole connections, their acknowledgment numbers relative to what the stack sent.
fn sessions() -> Vec<(String, Vec<u8>)> {
    let segment = |flags: u8, seq: u32, text: &[u8]| {
        let body = [&tcp_plain(flags, seq, 0, &[])[..], text].concat();
        ethernet(0x0800, &v4(6, &body, &FROM4, &TO4))
    };
    let open = || vec![arp(1, [0; 6]), segment(SYN, 1, b""), segment(ACK, 2, b"")];
    let with = |rest: &[Vec<u8>]| [open(), rest.to_vec()].concat();
    let rows = [
        (
            "session-echo",
            with(&[
                segment(ACK, 2, b"hello"),
                segment(ACK, 7, b""),
                segment(ACK | FIN, 7, b""),
                segment(ACK, 8, b""),
            ]),
        ),
        (
            "session-reorder",
            with(&[
                segment(ACK, 7, b"world"),
                segment(ACK, 2, b"hello"),
                segment(ACK, 4, b"overlap"),
                segment(RST, 12, b""),
            ]),
        ),
        (
            "session-super-segment",
            with(&[
                segment(ACK, 2, &[b'x'; 350]),
                segment(ACK | FIN, 352, &[b'y'; 120]),
            ]),
        ),
        (
            "session-never-acknowledged",
            with(&[
                segment(ACK, 2, b"hello"),
                segment(SYN, 2, b""),
                segment(RST, 9, b""),
            ]),
        ),
    ];
    let flags = |name: &str| {
        if name.ends_with("super-segment") {
            0x1A
        } else {
            0x0A
        }
    };
    rows.into_iter()
        .map(|(name, frames)| (name.to_owned(), input(flags(name), &frames)))
        .collect()
}

fn input(flags: u8, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut input = vec![flags];
    for frame in frames {
        input.extend(u16::try_from(frame.len()).expect("small").to_be_bytes());
        input.extend(frame);
    }
    input
}

/// Flips a few bytes after the first frame's length, always the same ones.
fn damage(input: &[u8], seed: u32) -> Vec<u8> {
    let mut damaged = input.to_vec();
    let mut state = seed.wrapping_mul(0x9E37_79B9);
    for _ in 0..3 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let span = u32::try_from(damaged.len() - 3).expect("small");
        let at = 3 + usize::try_from((state >> 8) % span).expect("small");
        damaged[at] ^= 1 << (state >> 29);
    }
    damaged
}

/// The seeds of each target, with what runs them.
pub fn targets() -> Vec<Target> {
    let target = |name, run, seeds| Target { name, run, seeds };
    vec![
        target("adversary", adversary_only as fn(&[u8]), adversaries()),
        target("arp", super::arp::run, arps()),
        target("capture", super::capture::run, captures()),
        target("coalesce", super::coalesce::run, coalesces()),
        target("decode", super::decode::run, decodes()),
        target("dhcp", super::dhcp::run, super::dhcp::seeds()),
        target("dhcp6", super::dhcp6::run, super::dhcp6::seeds()),
        #[cfg(target_os = "linux")]
        target("differential", super::differential::run, differentials()),
        #[cfg(feature = "dns")]
        target("dns", super::dns::run, super::dns::seeds()),
        target("drill", super::drill::run, scripts()),
        target("ethernet", super::ethernet::run, behind(0, 0)),
        target("frame", frame_only, frames()),
        target("groups", super::groups::run, super::groups::seeds()),
        target("icmpv4", super::icmpv4::run, of_protocol(0x0800, 9, 1, 20)),
        target("icmpv6", super::icmpv6::run, icmpv6s()),
        target("ipv4", super::ipv4::run, ipv4s()),
        target("ipv6", super::ipv6::run, behind(0x86dd, 14)),
        target("ndp", super::ndp::run, of_protocol(0x86dd, 6, 58, 0)),
        target("foreign", super::foreign::run, super::foreign::seeds()),
        target("replay", super::replay::run, super::replay::seeds()),
        target("stack", stack_only, stacks()),
        target("tcp", super::tcp::run, tcps()),
        target("udp", super::udp::run, of_protocol(0x0800, 9, 17, 20)),
        target("virtio", super::virtio::run, virtios()),
    ]
}

/// A fuzz target.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: Vec<(String, Vec<u8>)>,
}

/// The sound frames of this EtherType (0: of any), from this offset on.
fn behind(kind: u16, at: usize) -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![];
    for (name, frames) in sound() {
        for (frame, n) in frames.iter().zip(0..) {
            let of_kind = kind == 0 || frame.get(12..14) == Some(&kind.to_be_bytes());
            if of_kind {
                seeds.push((format!("{name}-{n}"), frame[at..].to_vec()));
            }
        }
    }
    seeds
}

/// The payloads of the sound packets of this protocol, whose number lies at `field` of the IP header;
/// of which `skip` bytes are left out.
fn of_protocol(kind: u16, field: usize, protocol: u8, skip: usize) -> Vec<(String, Vec<u8>)> {
    let mut seeds = behind(kind, 14);
    seeds.retain(|(_, packet)| packet[field] == protocol);
    for (_, packet) in &mut seeds {
        packet.drain(..skip);
    }
    seeds
}

fn arps() -> Vec<(String, Vec<u8>)> {
    behind(0x0806, 14)
}

fn ipv4s() -> Vec<(String, Vec<u8>)> {
    let mut seeds = behind(0x0800, 14);
    let options = [7, 7, 4, 10, 7, 0, 1, 1, 148, 4, 0, 0];
    let mut packet = v4(17, &[&options[..], &udp(7, b"x")].concat(), &FROM4, &TO4);
    packet[0] = 0x48;
    seeds.push(("options".to_owned(), packet));
    seeds
}

fn icmpv6s() -> Vec<(String, Vec<u8>)> {
    let mut seeds = of_protocol(0x86dd, 6, 58, 8);
    seeds.push(("empty".to_owned(), [FROM6, TO6].concat()));
    seeds
}

fn tcps() -> Vec<(String, Vec<u8>)> {
    let mut seeds = of_protocol(0x0800, 9, 6, 20);
    let rows: [(&str, &[u8]); 4] = [
        ("timestamps", &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]),
        (
            "sack",
            &[1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4],
        ),
        ("length-zero", &[2, 4, 5, 180, 3, 0, 7, 1]),
        ("beyond", &[253, 4, 1, 2, 30, 40, 1, 1]),
    ];
    for (name, options) in rows {
        seeds.push((name.to_owned(), tcp_plain(ACK, 9, 8, options)));
    }
    seeds
}

fn virtios() -> Vec<(String, Vec<u8>)> {
    let rows: [(&str, [u8; 10]); 3] = [
        ("plain", [0; 10]),
        ("checksum", [1, 0, 0, 0, 0, 0, 34, 0, 16, 0]),
        ("segments", [1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0]),
    ];
    let row = |(name, header): (&str, [u8; 10])| {
        (
            name.to_owned(),
            [&header[..], &[8, 0], &[0x42; 54]].concat(),
        )
    };
    rows.into_iter().map(row).collect()
}

/// A text that would take two gigabytes.
fn doubles() -> String {
    let twice = "+0 %{ x = '%s%s' % (x, x) }%\n".repeat(43);
    format!("0 %{{ x = 'x' }}%\n{twice}")
}

/// Scripts in which every part of the notation stands, and what nearly is one.
fn scripts() -> Vec<(String, Vec<u8>)> {
    let texts = [
        ("grammar", include_str!("../../src/drill/parse/sample.pkt")),
        (
            "loss",
            include_str!("../../tests/scripts/r42_text_out_of_order_is_held_and_reported.pkt"),
        ),
        (
            "open",
            include_str!("../../tests/scripts/both_ends_open_at_once.pkt"),
        ),
        (
            "stamps",
            include_str!("../../tests/scripts/timestamps_are_echoed_by_the_rules.pkt"),
        ),
        (
            "datagram",
            "0 < udp 5000 > 9 (50)\n+0 > icmp unreachable port_unreachable\n",
        ),
        ("nearly", "#ifdef X\n0 poll([{fd=3, events=POLLIN"),
        ("doubles", &doubles()),
    ];
    let input = |choice: u8, text: &str| [&[choice], text.as_bytes()].concat();
    let seeds = texts.iter().zip(0..);
    seeds
        .map(|((name, text), choice)| ((*name).to_owned(), input(choice, text)))
        .collect()
}

fn decodes() -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![];
    for (name, frame) in behind(0, 0) {
        seeds.push((name.clone(), [&[0, 0, 0][..], &frame].concat()));
        if ["syn4-1", "syn6-0", "udp6-0", "vlan-0", "icmp4-too-big-0"].contains(&&name[..]) {
            let cut = [&[0, 1, 20][..], &frame[..frame.len() - 20]].concat();
            seeds.push((format!("{name}-cut"), cut));
            let cooked = [&[4, 0, 0][..], &[0; 14], &frame[12..]].concat();
            seeds.push((format!("{name}-cooked"), cooked));
        }
    }
    seeds
}

fn coalesces() -> Vec<(String, Vec<u8>)> {
    let describe = |kind: u8, size: u16, len: u16, flags: u8| {
        let ([a, b], [c, d]) = (size.to_be_bytes(), len.to_be_bytes());
        let front = [kind, a, b, c, d, 0xff, 0xff, 0xff, 0, flags, 1, 2, 5];
        [&front[..], &[0; 11]].concat()
    };
    let mut seeds = vec![];
    for (name, kind) in [
        ("tcp4", 0),
        ("tcp6", 1),
        ("udp4", 2),
        ("udp6", 3),
        ("timestamps", 4),
    ] {
        for (medium, flags) in [("ethernet", 0), ("ip", 2)] {
            let one = describe(kind, 99, 1010, ACK);
            let last = describe(kind, 700, 1000, ACK | FIN | 8 | 0x80);
            let input = [&[flags][..], &one, &last].concat();
            seeds.push((format!("cut-{name}-{medium}"), input));
        }
    }
    let segment = |seq: u32, flags: u8, text: &[u8]| {
        let body = [&tcp_plain(flags, seq, 0, &[])[..], text].concat();
        let body = summed(body, 16, &[&FROM4, &TO4], 6);
        ethernet(0x0800, &v4(6, &body, &FROM4, &TO4))
    };
    let frames = [
        segment(1, ACK, b"one"),
        segment(4, ACK, b"two"),
        segment(7, ACK | FIN, b"3"),
        segment(9, ACK, b"gap"),
        arp(1, [0; 6]),
        segment(12, ACK, b"end"),
        segment(15, ACK, b"end"),
        segment(18, RST, b""),
    ];
    seeds.push(("merge".to_owned(), input(1, &frames)));
    seeds
}

/// A byte order: its name, and how it writes numbers.
type Order = (&'static str, fn(u32) -> [u8; 4], fn(u16) -> [u8; 2]);

const ORDERS: [Order; 2] = [
    ("little", u32::to_le_bytes, u16::to_le_bytes),
    ("big", u32::to_be_bytes, u16::to_be_bytes),
];

fn captures() -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![];
    let frame = arp(1, [0; 6]);
    let len = u32::try_from(frame.len()).expect("small");
    for (name, magic) in [("micro", 0xa1b2_c3d4u32), ("nano", 0xa1b2_3c4d)] {
        for (end, long, word) in ORDERS {
            let head = [&long(magic)[..], &word(2), &word(4), &[0; 8]].concat();
            let head = [&head[..], &long(65_535), &long(1)].concat();
            let record = [1, 2, len, len + 4].map(long).concat();
            let file = [&head[..], &record, &frame, &record, &frame].concat();
            seeds.push((format!("pcap-{name}-{end}"), file));
        }
    }
    for (end, long, word) in ORDERS {
        let block = |kind: u32, body: &[u8]| {
            let mut body = body.to_vec();
            body.resize(body.len().next_multiple_of(4), 0);
            let len = long(u32::try_from(body.len() + 12).expect("small"));
            [&long(kind)[..], &len, &body, &len].concat()
        };
        let section = [&long(0x1A2B_3C4D)[..], &word(1), &word(0), &[0xff; 8]].concat();
        let options = [&word(9)[..], &word(1), &[9, 0, 0, 0], &[0; 4]].concat();
        let interface = [&word(1)[..], &[0; 2], &long(65_535), &options].concat();
        let enhanced = [&[0, 5, 6, len, len].map(long).concat()[..], &frame].concat();
        let flags = [&word(2)[..], &word(4), &long(2), &[0; 4]].concat();
        let mut flagged = enhanced.clone();
        flagged.resize(flagged.len().next_multiple_of(4), 0);
        flagged.extend(flags);
        let simple = [&long(len)[..], &frame].concat();
        let old = [&word(0)[..], &word(3)].concat();
        let old = [&old[..], &[5, 6, len, len].map(long).concat(), &frame].concat();
        let blocks = [
            block(0x0A0D_0D0A, &section),
            block(1, &interface),
            block(6, &enhanced),
            block(6, &flagged),
            block(3, &simple),
            block(2, &old),
            block(5, &[0; 12]),
        ];
        seeds.push((format!("pcapng-{end}"), blocks.concat()));
    }
    seeds
}

fn frame_only(input: &[u8]) {
    super::frame::run(input);
}

/// Step numbers and arguments, as `stack.rs` reads them.
pub fn stacks() -> Vec<(String, Vec<u8>)> {
    // Listen on port 7 for both versions; a SYN; its ACK; accept.
    let open = [5, 0, 0, 30, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 6];
    let open6 = [5, 0, 0, 30, 1, 0, 0, 0, 0, 0, 32, 0, 0, 0, 6];
    // Connect to a neighbour; SYN-ACK (which `^ ACK` makes of 2); writes before and after.
    let connect = [4, 0, 0, 0, 7, 0, 3, 32, 0, 2, 0, 7, 0, 4];
    let rows: [(&str, u8, Vec<u8>); 31] = [
        ("listen", 0, open.to_vec()),
        ("listen6", 0, open6.to_vec()),
        ("listen-ip", 1, open.to_vec()),
        ("listen-plain", 4, open.to_vec()),
        ("connect", 0, connect.to_vec()),
        ("connect-plain", 5, connect.to_vec()),
        (
            "echo",
            0,
            [
                &open[..],
                &[32, 0, 0, 3, 9, 0, 3, 7, 0, 3, 32, 0, 0, 0, 12, 0, 0],
                &[32, 0, 1, 0, 32, 0, 0, 0, 13, 0],
            ]
            .concat(),
        ),
        (
            "lease",
            0x40,
            [
                // An offer, its ACK to all, the address's probes; half of the lease, and it is extended; a NAK.
                &[33, 0, 0, 0, 0, 33, 0, 0x41, 0, 0][..],
                &[3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
                &[
                    2, 17, 2, 15, 33, 0, 0x40, 0, 0, 2, 17, 2, 15, 33, 1, 1, 0, 0, 3,
                ],
            ]
            .concat(),
        ),
        (
            "fragments",
            0,
            [
                // A socket; a datagram in order, one of version 6 in reverse, an echo request without its second fragment.
                &[
                    16, 0, 0, 0, 29, 0, 0, 0x45, 1, 9, 0, 0, 29, 1, 0, 0x85, 2, 99, 0, 0,
                ][..],
                &[29, 0, 0, 0x4d, 3, 49, 2, 0, 2, 16],
            ]
            .concat(),
        ),
        (
            "bulk",
            0,
            [
                &open[..],
                &[8, 0, 7, 32, 0, 0, 0, 32, 0, 0, 0, 2, 4, 32, 0, 0, 0],
                &[32, 0, 0, 7, 10, 0, 7, 10, 0, 7],
            ]
            .concat(),
        ),
        (
            "reorder",
            0x10,
            [
                &open[..],
                &[32, 0, 0, 0x0a, 10, 0, 32, 0, 0, 2, 9, 0, 5, 14, 0],
            ]
            .concat(),
        ),
        (
            "loss",
            0,
            [
                &open[..],
                &[8, 0, 6, 32, 0, 0, 0x80, 100, 3, 127, 3, 3, 3, 3],
                &[32, 0, 0, 0x80, 100, 3, 127, 3, 25, 9, 3, 3],
            ]
            .concat(),
        ),
        (
            "probes",
            0x90,
            vec![
                8, 0, 4, 32, 0, 0, 0x20, 0, 0, 8, 0, 4, 3, 3, 3, 32, 0, 0, 0x20, 0, 9, 3, 3,
            ],
        ),
        (
            "overlap",
            0x80,
            vec![32, 0, 0, 0x0b, 10, 0, 32, 0, 0, 3, 9, 0, 5],
        ),
        (
            "half-closed",
            0x80,
            vec![
                32, 0, 1, 0, 9, 0, 3, 8, 0, 3, 32, 0, 0, 0, 12, 0, 0, 32, 0, 0, 0, 3, 3,
            ],
        ),
        (
            "fast-retransmit",
            0x84,
            vec![
                8, 0, 7, 32, 0, 0, 0, 8, 0, 7, 32, 0, 0, 0x90, 200, 3, 220, 3, 250, 3, 32, 0, 0,
                0x90, 200, 3, 220, 3, 252, 3, 32, 0, 0, 0x90, 200, 3, 220, 3, 254, 3, 32, 0, 0, 0,
            ],
        ),
        (
            "datagrams",
            0,
            vec![
                16, 0, 0, 29, 0, 0, 3, 18, 0, 17, 0, 0, 0, 3, 17, 0, 1, 0, 0x27, 20, 0, 29, 0, 2, 0,
            ],
        ),
        (
            "pings",
            0,
            vec![
                21, 0, 0, 0, 21, 0, 0, 3, 1, 0, 0, 0, 0, 22, 0, 0, 0, 29, 0, 0, 8, 29, 1, 0, 8,
            ],
        ),
        (
            "errors",
            2,
            [
                &connect[..8],
                &[28, 3, 0, 3, 0, 0, 0, 17, 0, 28, 0, 1, 0, 5],
            ]
            .concat(),
        ),
        (
            "routers",
            0x40,
            [
                // All that one may tell, of a prefix, an MTU, a route, DNS; a second one; a redirect to it.
                &[35, 0, 0x60, 2, 64, 8, 0, 0, 1, 0, 1, 0, 0xc0, 3, 2, 2, 0][..],
                &[3, 4, 0, 2, 8, 3, 4, 0, 0, 0, 3, 5, 1, 3, 2, 10, 2, 12],
                &[35, 1, 0x10, 2, 64, 0, 0, 0, 35, 0, 1, 1, 1, 0, 2, 20, 3, 3],
            ]
            .concat(),
        ),
        // A VLAN, a connection in it, its end by that of the VLAN; another VLAN, and the device goes.
        (
            "vlan",
            0,
            [
                &[
                    37, 0x33, 0, 4, 2, 0, 0, 7, 0, 3, 32, 0, 2, 0, 7, 0, 4, 37, 0, 1,
                ][..],
                &[37, 0xb3, 0, 4, 2, 0, 0, 37, 1, 0, 37, 2, 0, 37, 0, 0],
            ]
            .concat(),
        ),
        // Of the second interface alone, which goes.
        (
            "removed",
            2,
            vec![
                38, 0, 2, 1, 39, 2, 0, 2, 1, 30, 2, 0, 0, 0, 0, 0, 32, 1, 0, 0, 6, 37, 0, 1, 6, 3,
            ],
        ),
        // A cookie is asked for; it comes back with text, which is read and answered; a client's request, and its cookie.
        (
            "fast-open",
            0,
            [
                &[38, 0, 9, 0, 40, 0, 0, 0, 0, 0, 0, 40, 0, 0, 3, 1, 9, 0, 6][..],
                &[
                    9, 0, 3, 7, 0, 3, 32, 1, 0, 0, 39, 0, 1, 0, 0, 41, 2, 4, 0, 0, 5, 0,
                ],
            ]
            .concat(),
        ),
        ("packets", 0, PACKETS.to_vec()),
        ("packets-ip", 1, PACKETS.to_vec()),
        // Held, admitted, written to; a second one that is refused in each way.
        (
            "held",
            0,
            [
                &[
                    253, 0, 2, 30, 0, 0, 0, 0, 0, 0, 254, 0, 32, 0, 0, 3, 9, 0, 3, 7, 0, 3,
                ][..],
                &[30, 0, 0, 1, 0, 0, 0, 254, 2, 30, 0, 0, 2, 0, 0, 0, 254, 3],
                &[30, 0, 0, 3, 0, 0, 0, 254, 7, 30, 0, 0, 4, 0, 0, 0, 2, 23],
            ]
            .concat(),
        ),
        // Of every port, held or not, of both versions; its interface goes.
        (
            "every-port",
            2,
            vec![
                253, 0, 0x81, 30, 0, 1, 0, 0, 0, 0, 32, 0, 0, 0, 6, 24, 0, 1, 253, 0, 0x83, 30, 0,
                2, 1, 0, 0, 0, 254, 0, 30, 2, 2, 1, 0, 0, 0, 37, 0, 1, 254, 0, 3,
            ],
        ),
        (
            "every-port-datagrams",
            0,
            vec![
                255, 0, 29, 0, 1, 3, 29, 1, 2, 3, 18, 0, 255, 0x61, 0, 0, 1, 255, 0x61, 1, 0, 3,
                20, 0,
            ],
        ),
        ("transit", 0x0a, TRANSIT.to_vec()),
        ("transit-plain", 0x0e, TRANSIT.to_vec()),
        (
            "small-and-full",
            0x36,
            [
                &[25, 5][..],
                &open,
                &[26, 2, 8, 0, 7, 32, 0, 0, 0, 27, 1, 24, 0, 0, 15, 0, 0x18],
                &[1, 0, 0, 0, 0, 11, 0, 3],
            ]
            .concat(),
        ),
    ];
    let row = |(name, settings, steps): (&str, u8, Vec<u8>)| {
        (name.to_owned(), [&[settings][..], &steps].concat())
    };
    rows.into_iter().map(row).collect()
}

/// A socket that hears a datagram, and sends: what fits, what does not, what is none; another one, of all stations; both are closed.
const PACKETS: [u8; 50] = [
    252, 0, 0, 0, 29, 0, 0, 3, 252, 2, 0, 0, 252, 1, 0, 3, 252, 1, 1, 3, 252, 1, 0, 6, 252, 0x11,
    0, 3, 252, 0xc0, 0, 0, 29, 0, 0, 3, 252, 6, 0, 0, 252, 3, 0, 0, 252, 3, 0, 0, 2, 10,
];

/// Packets of both families there and back, fragments, one to be cut, a last hop, one too long, merged ones.
const TRANSIT: [u8; 63] = [
    36, 0, 0, 2, 64, 0, 5, 36, 1, 2, 0, 64, 0, 3, 36, 0, 1, 4, 64, 0, 3, 36, 0, 0, 2, 64, 0x0b, 3,
    36, 0, 0, 2, 64, 1, 6, 36, 0, 1, 4, 1, 0, 3, 36, 0, 1, 4, 64, 0, 6, 36, 0, 0, 2, 64, 0xc4, 7,
    36, 1, 4, 1, 64, 0xc4, 7,
];

fn stack_only(input: &[u8]) {
    assert_eq!(super::stack::run(input), super::stack::run(input));
}

/// Settings of each kind by name, and tapes.
type Adversaries = (
    [(&'static str, [u8; 8]); 8],
    [(&'static str, &'static [u8]); 9],
);

const ADVERSARIES: Adversaries = (
    [
        ("plain4", [0, 0, 0, 0, 0, 0, 4, 0]),
        ("plain6", [0x1, 0, 0x11, 0x11, 0, 0, 3, 3]),
        ("ethernet", [0x2, 0x33, 0x42, 0x42, 0, 0, 4, 0]),
        ("simultaneous", [0x48, 0x11, 0x1, 0x3, 0x8, 0x10, 3, 6]),
        ("small", [0x18, 0xee, 0x34, 0x38, 0x24, 0x8, 4, 3]),
        ("bare", [0x20, 0x11, 0, 0, 0x87, 0x87, 5, 4]),
        ("leaving", [0x1, 0, 0, 0, 0, 0, 0xe4, 0xfc]),
        ("forging", [0x80, 0, 0x42, 0x80, 0, 0, 4, 3]),
    ],
    [
        ("quiet", &[]),
        ("loss", &[0, 0, 0, 6, 0, 6, 0, 6, 0, 0, 6, 6]),
        ("doubles", &[7; 30]),
        ("reorder", &[0, 0, 0, 0, 8, 1, 0, 8, 3, 0, 8, 2, 0, 0, 8, 7]),
        (
            "damage",
            &[0, 0, 0, 0, 9, 0, 30, 2, 9, 0, 9, 1, 10, 0, 50, 10, 0, 25],
        ),
        (
            "again",
            &[0, 0, 0, 0, 11, 0, 11, 1, 11, 2, 11, 3, 12, 12, 11, 0],
        ),
        ("marks", &[13; 30]),
        (
            "pieces",
            &[1, 1, 5, 2, 9, 3, 3, 7, 66, 130, 61, 23, 3, 129, 3, 27, 1],
        ),
        (
            "forgery",
            &[0, 0, 0, 0, 14, 4, 1, 14, 8, 1, 14, 13, 4, 14, 14, 255],
        ),
    ],
);

/// Each of the settings with a quiet path, and each tape with one of them.
fn adversaries() -> Vec<(String, Vec<u8>)> {
    let (settings, tapes) = ADVERSARIES;
    let settings = settings.iter().map(|(name, _)| *name);
    let quiet = settings.clone().zip(std::iter::repeat("quiet"));
    let others = tapes[1..].iter().map(|(name, _)| *name);
    let seed = |(name, tape)| (format!("{name}-{tape}"), adversary(name, tape));
    quiet.chain(settings.zip(others)).map(seed).collect()
}

/// Settings and a tape by their names.
pub fn adversary(settings: &str, tape: &str) -> Vec<u8> {
    let bytes = ADVERSARIES.0.iter().find(|(name, _)| *name == settings);
    let fates = ADVERSARIES.1.iter().find(|(name, _)| *name == tape);
    // The users' part: work without rest, but in `pieces`.
    let users: &[u8] = if tape == "pieces" { &[] } else { &[0; 12] };
    let (_, bytes) = bytes.expect("a name of the table");
    let (_, fates) = fates.expect("a name of the table");
    [&bytes[..], fates, users].concat()
}

fn adversary_only(input: &[u8]) {
    super::adversary::run(input);
}

/// The seeds of each layer's own target.
#[cfg(target_os = "linux")]
fn differentials() -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![];
    for ((layer, _), number) in super::differential::LAYERS.iter().zip(0u8..) {
        let own = match *layer {
            "ethernet" => behind(0, 0),
            "arp" => arps(),
            "ipv4" => ipv4s(),
            "ipv6" => behind(0x86dd, 14),
            "tcp" => tcps(),
            "udp" => of_protocol(0x0800, 9, 17, 20),
            "icmpv4" => of_protocol(0x0800, 9, 1, 20),
            // Behind the addresses.
            _ => of_protocol(0x86dd, 6, 58, 40),
        };
        for (name, bytes) in own {
            seeds.push((format!("{layer}-{name}"), [&[number][..], &bytes].concat()));
        }
    }
    seeds
}
