//! Connections: both roles, both families, and what becomes of loss, holes, cuts and late starts.

use std::time::Duration;

use netloom::base::checksum::Sum;
use netloom::base::{DropReason, Seed};
use netloom::capture::{
    DifferenceClass as Class, Done, Fed, ForeignReplay, ForeignReport, LinkType, Skipped,
};
use netloom::stack::Config;
use netloom::tcp::{Keepalive, TcpOptions};

use crate::talk::{Act, LEFT, RIGHT, Talk, edited, replay, sides};

fn both_ways(seed: u64) -> Talk {
    Talk::new(
        seed,
        &[
            (0, Act::Write(300_000)),
            (500, Act::Write(1)),
            (900, Act::Shut),
        ],
        &[
            (100, Act::Write(200_000)),
            (1200, Act::Write(70_000)),
            (1300, Act::Shut),
        ],
    )
}

/// The stack does what the captured stack did, for that was one of ours: in both roles, captured at both ends.
#[test]
fn a_stack_in_the_place_of_another_does_the_same() {
    for (end, six, offload) in [
        (0, false, false),
        (1, true, true),
        (1, false, true),
        (0, true, false),
    ] {
        let mut talk = both_ways(1);
        (talk.end, talk.six, talk.offload) = (end, six, offload);
        let [left, right] = talk.sides();
        let file = talk.captured();
        for (fed, name) in [(left, "the server's place"), (right, "the client's")] {
            let report = replay(&file, Fed::From(fed));
            assert_eq!(report.flows, 1, "{name}");
            // What a station tells routers of its groups it tells from another address.
            assert!(report.skipped.keys().all(|&why| why == Skipped::Elsewhere));
            assert_eq!(report.flows, 1, "{name}");
            // What a station tells routers of its groups it tells from another address.
            assert!(report.skipped.keys().all(|&why| why == Skipped::Elsewhere));
            for class in [Class::Answer, Class::Handshake, Class::Text, Class::End] {
                assert_eq!(report.difference(class), None, "{name} {end}");
            }
            assert_eq!(report.difference(Class::Acknowledged), None, "{name} {end}");
            assert_eq!(report.made_up.handshakes, 0);
            assert_eq!(report.made_up.bytes, 0);
        }
        let to = replay(&file, Fed::To(right));
        assert_eq!(to.difference(Class::Text), None);
    }
}

/// Loss behind the point of capture: what was lost is sent again, and everything arrives.
#[test]
fn what_was_lost_is_sent_again() {
    for (seed, end) in [(2, 0), (3, 1)] {
        let mut talk = both_ways(seed);
        (talk.end, talk.loss) = (end, 30_000);
        let file = talk.captured();
        for fed in [LEFT, RIGHT] {
            let report = replay(&file, Fed::From(fed));
            for class in [Class::Answer, Class::Handshake, Class::Text, Class::End] {
                assert_eq!(report.difference(class), None, "{seed} {end} {fed}");
            }
            assert_eq!(report.difference(Class::Acknowledged), None, "{seed} {fed}");
        }
    }
}

/// Every k-th frame is missing from the capture, though it was on the wire.
#[test]
fn holes_of_the_capture_are_filled() {
    let whole = both_ways(4).captured();
    for every in [7, 13, 50] {
        let mut number = 0;
        let file = edited(&whole, |frame| {
            number += 1;
            (number % every > 0 || number < 20).then_some(frame)
        });
        for fed in [LEFT, RIGHT] {
            let report = replay(&file, Fed::From(fed));
            assert_eq!(report.difference(Class::Text), None, "{every} {fed}");
            assert_eq!(report.difference(Class::Acknowledged), None, "{every}");
            assert!(report.made_up.bytes > 0);
        }
    }
}

/// `tcpdump -s 96`: text is zeros, and so is what the application gets.
#[test]
fn cut_packets_are_filled_up() {
    let whole = both_ways(5).captured();
    let cut_at = |len: usize| {
        edited(&whole, |mut frame| {
            frame.data.truncate(len);
            Some(frame)
        })
    };
    for fed in [LEFT, RIGHT] {
        let report = replay(&cut_at(96), Fed::From(fed));
        assert!(report.padded > 100);
        for class in [Class::Text, Class::Acknowledged, Class::End] {
            assert_eq!(report.difference(class), None);
        }
        assert_eq!(report.drops.total(), 0);
        // Within the headers nothing is mapped: it is counted, and nothing is fed.
        let report = replay(&cut_at(50), Fed::From(fed));
        assert!(report.skipped[&Skipped::Cut] > 600, "{report}");
        assert_eq!(report.flows, 0);
    }
}

/// The capture begins in the middle of a connection.
#[test]
fn a_connection_without_a_handshake_is_taken_up() {
    let whole = both_ways(6).captured();
    for skip in [5, 8, 9, 10, 40, 200, 400] {
        let mut number = 0;
        let file = edited(&whole, |frame| {
            number += 1;
            (number > skip).then_some(frame)
        });
        for fed in [LEFT, RIGHT] {
            let report = replay(&file, Fed::From(fed));
            assert_eq!(report.flows, 1);
            for class in [Class::Text, Class::Acknowledged, Class::End] {
                assert_eq!(report.difference(class), None, "{skip} {fed}");
            }
        }
    }
}

/// Only one side's packets were captured.
#[test]
fn a_capture_of_one_side_is_fed() {
    let whole = both_ways(7).captured();
    for (side, octet) in [(LEFT, 1), (RIGHT, 2)] {
        let file = edited(&whole, |frame| {
            let from = frame.data[12..14] == [8, 0] && frame.data[29] == octet;
            from.then_some(frame)
        });
        let report = replay(&file, Fed::From(side));
        assert_eq!(report.flows, 1);
        assert_eq!(report.expected, 0);
        assert_eq!(report.drops.total(), 0, "{report}");
        // What they acknowledged was sent, though nobody knows what it was.
        let expected = if side == LEFT { 270_000 } else { 300_001 };
        assert!(report.made_up.bytes >= expected, "{report}");
    }
}

fn same(report: &ForeignReport, classes: &[Class]) {
    for &class in classes {
        assert_eq!(report.difference(class), None, "{report}");
    }
}

/// What both ends agreed on is agreed on again, whatever our options are.
#[test]
fn options_that_were_refused_are_not_offered() {
    let plain = || {
        TcpOptions::default()
            .timestamps(false)
            .sack(false)
            .window_scaling(false)
    };
    for (seed, of_left) in [(1, true), (2, false)] {
        let mut talk = both_ways(seed);
        talk.loss = 20_000;
        if of_left {
            talk.left_options = plain();
        } else {
            talk.right_options = plain();
        }
        let file = talk.captured();
        for fed in [LEFT, RIGHT] {
            let report = replay(&file, Fed::From(fed));
            let unstamped = report.drops.get(DropReason::TcpNoTimestamp);
            assert_eq!(unstamped, 0, "{report}");
            same(
                &report,
                &[
                    Class::Handshake,
                    Class::Text,
                    Class::Acknowledged,
                    Class::Sacks,
                ],
            );
        }
    }
}

/// The checksum of an IPv4 frame of TCP, as who has a card that completes it leaves it.
fn left_to_the_card(frame: &mut [u8]) {
    let len = frame.len() as u16 - 34;
    let sum = Sum::new().bytes(&frame[26..34]).word(6).word(len);
    frame[50..52].copy_from_slice(&sum.partial().to_be_bytes());
}

/// Nobody listens; in the client's place the RST is told to who connects.
#[test]
fn a_port_that_was_closed_is_closed() {
    let mut talk = Talk::new(8, &[(0, Act::Write(1000))], &[]);
    talk.listens = false;
    let whole = talk.captured();
    let partial = edited(&whole, |mut frame| {
        if frame.data[12..14] == [8, 0] && frame.data[23] == 6 {
            left_to_the_card(&mut frame.data);
        }
        Some(frame)
    });
    for (file, fed) in [
        (&whole, LEFT),
        (&whole, RIGHT),
        (&partial, LEFT),
        (&partial, RIGHT),
    ] {
        let mut replay = ForeignReplay::new(&file[..], Fed::From(fed)).unwrap();
        let report = replay.finish();
        assert!(report.is_sound());
        assert_eq!(report.drops.get(DropReason::TcpChecksum), 0, "{report}");
        same(&report, &[Class::Answer, Class::End, Class::Text]);
        let counters = replay.stack().unwrap().counters();
        let resets = (counters.tcp_resets_sent, counters.tcp_resets_received);
        let expected = if fed == LEFT { (1, 0) } else { (0, 1) };
        assert_eq!(resets, expected, "{report}");
    }
}

/// Both open at once, and so does the stack: whichever SYN was captured first.
#[test]
fn both_may_open() {
    for end in [0, 1] {
        let mut talk = Talk::new(
            43,
            &[(50, Act::Write(3000)), (900, Act::Shut)],
            &[(100, Act::Write(2000)), (900, Act::Shut)],
        );
        (talk.crosses, talk.end) = (true, end);
        let file = talk.captured();
        for fed in [LEFT, RIGHT] {
            let mut replay = ForeignReplay::new(&file[..], Fed::From(fed)).unwrap();
            let sent = replay.by_ref().flat_map(|step| step.sent);
            let bare = sent.filter(|frame| frame.data.len() > 47 && frame.data[47] == 2);
            assert_eq!(bare.count(), 1, "{end} {fed}");
            let report = replay.finish();
            assert!(report.is_sound(), "{report}");
            assert_eq!(report.flows, 1, "{report}");
            same(
                &report,
                &[Class::Answer, Class::Handshake, Class::Text, Class::End],
            );
        }
    }
}

/// Probes of the other side are answered as they were.
#[test]
fn keep_alives_are_answered() {
    let mut talk = Talk::new(42, &[(0, Act::Write(300)), (9000, Act::Shut)], &[]);
    let often = Keepalive::after(Duration::from_secs(2));
    talk.left_options = TcpOptions::default().keepalive(Some(often));
    let report = replay(&talk.captured(), Fed::From(LEFT));
    // Each is of before the window.
    assert!(
        report.drops.get(DropReason::TcpOutOfWindow) >= 4,
        "{report}"
    );
    same(&report, &[Class::Acks, Class::Text, Class::End]);
}

/// RST in the middle, from either end.
#[test]
fn a_reset_ends_it_here_too() {
    const ENDS: [&[(u64, Act)]; 2] = [
        &[(0, Act::Write(50_000)), (700, Act::Write(10))],
        &[(50, Act::Write(3000)), (600, Act::Abort)],
    ];
    for (one, other) in [(0, 1), (1, 0)] {
        let file = Talk::new(9, ENDS[one], ENDS[other]).captured();
        for fed in [LEFT, RIGHT] {
            same(
                &replay(&file, Fed::From(fed)),
                &[Class::End, Class::Text, Class::Acknowledged],
            );
        }
    }
}

/// The application of the captured end stops to read, and so does ours.
#[test]
fn a_window_that_closed_closes() {
    let mut talk = Talk::new(
        10,
        &[(0, Act::Write(400_000)), (3000, Act::Shut)],
        &[
            (50, Act::Read(false)),
            (2000, Act::Read(true)),
            (3000, Act::Shut),
        ],
    );
    let small = TcpOptions::default()
        .recv_buffer_initial(32_768)
        .recv_buffer_max(32_768);
    talk.right_options = small.clone();
    let file = talk.captured();
    let mut replay = ForeignReplay::new(&file[..], Fed::From(LEFT))
        .unwrap()
        .tcp(small);
    let report = replay.finish();
    assert!(report.is_sound(), "{report}");
    same(&report, &[Class::Text, Class::Acknowledged, Class::End]);
    // Zero was told here too, as often or not.
    let told = report.difference(Class::Window);
    assert!(told.is_none_or(|it| it.got != "0"), "{report}");
}

/// Every k-th checksum is wrong: the stack finds it, for it stays wrong though numbers are mapped.
#[test]
fn a_wrong_checksum_stays_wrong() {
    let whole = both_ways(11).captured();
    let mut wrong = 0;
    let file = edited(&whole, |mut frame| {
        let is_text = frame.data[12..14] == [8, 0] && frame.data[29] == 1 && frame.data.len() > 500;
        if is_text && frame.at % 5 == 0 {
            frame.data[200] ^= 0x40;
            wrong += 1;
        }
        Some(frame)
    });
    assert!(wrong > 5);
    let report = replay(&file, Fed::From(LEFT));
    let found = report.drops.get(DropReason::TcpChecksum);
    assert_eq!(found, wrong);
    // What they said is not known: what was acknowledged of it is made up, and no two values are held against
    // each other.
    assert!(report.made_up.bytes >= wrong * 400, "{report}");
    assert_eq!(report.conflicts, 0, "{report}");
}

/// A damaged copy before each of their segments, in any field: it is dropped and counted, and nothing else is as it
/// would not have been without.
#[test]
fn what_is_damaged_moves_nothing() {
    const ALTERS: [fn(&mut [u8]); 9] = [
        |f| f[38] ^= 0x40, // far away
        |f| f[40] ^= 2,    // close by
        |f| f[42] ^= 0x20, // what was never sent
        |f| f[44] ^= 4,
        |f| f[47] ^= 1, // FIN
        |f| f[47] ^= 2,
        |f| f[47] ^= 4,
        |f| f[35] ^= 1, // another port
        |f| f[22] ^= 1, // the header's own checksum
    ];
    let mut talk = both_ways(16);
    talk.loss = 10_000;
    let whole = talk.captured();
    for (fed, octet) in [(LEFT, 1), (RIGHT, 2)] {
        let (mut frames, mut damaged) = (Vec::new(), 0);
        let _ = edited(&whole, |frame| {
            if frame.data[12..14] == [8, 0] && frame.data[23] == 6 && frame.data[29] == octet {
                let mut copy = frame.clone();
                ALTERS[damaged % ALTERS.len()](&mut copy.data);
                damaged += 1;
                frames.push(copy);
            }
            frames.push(frame);
            None
        });
        let with = replay(&crate::talk::write(frames.into_iter()), Fed::From(fed));
        let without = replay(&whole, Fed::From(fed));
        let found = [DropReason::TcpChecksum, DropReason::Ipv4Checksum];
        let found: u64 = found.iter().map(|&why| with.drops.get(why)).sum();
        assert_eq!(found, damaged as u64);
        assert_eq!(with.drops.total(), without.drops.total() + found);
        let mut alike = with.clone();
        (alike.frames, alike.fed, alike.drops) =
            (without.frames, without.fed, without.drops.clone());
        assert_eq!(alike, without, "{fed}");
    }
}

/// A damaged packet in front does not tell where the stack stands.
#[test]
fn what_is_damaged_names_no_side() {
    let whole = both_ways(17).captured();
    let mut is_first = true;
    let mut frames = Vec::new();
    let _ = edited(&whole, |frame| {
        let is_tcp = frame.data[12..14] == [8, 0] && frame.data[23] == 6;
        if is_tcp && std::mem::take(&mut is_first) {
            let mut copy = frame.clone();
            copy.data[33] ^= 0x10; // to another station
            frames.push(copy);
        }
        frames.push(frame);
        None
    });
    let report = replay(&crate::talk::write(frames.into_iter()), Fed::From(LEFT));
    assert_eq!(report.flows, 1);
    same(&report, &[Class::Answer, Class::Text, Class::Acknowledged]);
}

/// A card that completes checksums completes those of IPv4's headers too.
#[test]
fn header_checksums_that_were_never_completed_are() {
    let file = edited(&both_ways(18).captured(), |mut frame| {
        if frame.data[12..14] == [8, 0] {
            frame.data[24..26].fill(0);
        }
        Some(frame)
    });
    for fed in [LEFT, RIGHT] {
        let report = replay(&file, Fed::From(fed));
        assert_eq!(report.drops.total(), 0);
        same(&report, &[Class::Answer, Class::Text, Class::Acknowledged]);
    }
}

/// Links of all kinds, tags, and times that jump.
#[test]
fn links_tags_and_times() {
    let whole = both_ways(13).captured();
    let on = |link: LinkType, header: fn(&[u8]) -> Vec<u8>| {
        edited(&whole, |mut frame| {
            frame.link = link;
            frame.data = [&header(&frame.data)[..], &frame.data[14..]].concat();
            frame.original_len = frame.data.len();
            Some(frame)
        })
    };
    let files = [
        on(LinkType::LINUX_SLL, |frame| {
            [&[0, 0, 0, 1, 0, 6], &frame[6..12], &[0, 0], &frame[12..14]].concat()
        }),
        on(LinkType::LINUX_SLL2, |frame| {
            [&frame[12..14], &[0; 9], &[6], &frame[6..12], &[0; 2]].concat()
        }),
        on(LinkType::ETHERNET, |frame| {
            [&frame[..12], &[0x81, 0, 0, 7], &frame[12..14]].concat()
        }),
        on(LinkType::RAW, |_| Vec::new()),
    ];
    for file in files {
        for fed in [LEFT, RIGHT] {
            let report = replay(&file, Fed::From(fed));
            same(
                &report,
                &[Class::Answer, Class::Text, Class::Acknowledged, Class::End],
            );
        }
    }
    // A clock that was set in the middle, by a week and back by an hour.
    let mut number = 0;
    let file = edited(&whole, |mut frame| {
        number += 1;
        frame.at += 10 * 3_600_000_000_000;
        if number == 100 {
            frame.at += 7 * 24 * 3_600_000_000_000;
        }
        Some(frame)
    });
    let report = replay(&file, Fed::From(LEFT));
    assert_eq!(report.gaps_cut, 1);
    // One frame steps back: those behind it follow each other as they did.
    assert_eq!(report.backwards, 1);
}

/// Whose packets are neither fed nor expected is counted, and nothing is fed of them.
#[test]
fn others_are_counted() {
    let whole = both_ways(14).captured();
    let nobody = "192.0.2.9".parse().unwrap();
    let report = replay(&whole, Fed::From(nobody));
    assert_eq!(report.skipped[&Skipped::TooEarly], report.frames);
    let report = replay(&whole, Fed::To(nobody));
    assert_eq!((report.expected, report.flows), (0, 0));
    let mut replay = ForeignReplay::new(&whole[..], Fed::From(LEFT))
        .unwrap()
        .interface(5);
    assert!(replay.all(|step| step.done == Done::Skipped(Skipped::OtherInterface)));
    for wrong in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"] {
        let fed = Fed::To(wrong.parse().unwrap());
        assert!(ForeignReplay::new(&whole[..], fed).is_err(), "{wrong}");
    }
    assert_eq!(sides(false), [LEFT, RIGHT]);
}

/// Ten thousand connections at once: the first are followed, the rest counted, and nothing is left behind.
#[test]
fn connections_beyond_the_limit_are_counted() {
    let whole = Talk::new(15, &[(0, Act::Write(10))], &[]).captured();
    let mut frames = Vec::new();
    let _ = edited(&whole, |frame| {
        frames.push(frame.clone());
        None
    });
    let syn = frames
        .iter()
        .find(|it| it.data.len() > 60 && it.data[47] == 2)
        .unwrap()
        .clone();
    let file = crate::talk::write((0..10_000u32).map(|n| {
        let mut frame = syn.clone();
        frame.data[34..36].copy_from_slice(&(n as u16 % 50_000 + 1024).to_be_bytes());
        left_to_the_card(&mut frame.data);
        frame.at += u64::from(n) * 1000;
        frame
    }));
    let fed = Fed::From(LEFT);
    let report = ForeignReplay::new(&file[..], fed)
        .unwrap()
        .most_flows(100)
        .finish();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.frames, report.flows), (10_000, 100));
    assert_eq!(report.skipped[&Skipped::TooManyFlows], 9900);
}

/// A capture that begins behind the handshake, with either side's segment, whichever of their clocks is ahead: PAWS
/// finds nothing old.
#[test]
fn clocks_of_connections_that_were_open_are_told_apart() {
    let whole = both_ways(19).captured();
    for (ahead, late) in [
        (0x1000_0000_u32, 1),
        (0xF000_0000, 1),
        (0x1000_0000, 2),
        (0xF000_0000, 2),
    ] {
        let mut begun = false;
        let file = edited(&whole, |mut frame| {
            if frame.data[12..14] != [8, 0] || frame.data[23] != 6 {
                return Some(frame);
            }
            let has_text = frame.data.len() > 500;
            begun |= has_text && frame.data[29] == late;
            // NOP, NOP, timestamps: LEFT's clock is so much ahead.
            if frame.data.len() >= 66 && frame.data[54..58] == [1, 1, 8, 10] {
                let at = if frame.data[29] == 1 { 58 } else { 62 };
                let clock = u32::from_be_bytes(frame.data[at..at + 4].try_into().unwrap());
                frame.data[at..at + 4].copy_from_slice(&clock.wrapping_add(ahead).to_be_bytes());
                left_to_the_card(&mut frame.data);
            }
            begun.then_some(frame)
        });
        for fed in [LEFT, RIGHT] {
            let report = replay(&file, Fed::From(fed));
            assert_eq!(
                report.drops.get(DropReason::TcpPaws),
                0,
                "{ahead:#x} {fed}: {report}"
            );
            assert_eq!(report.made_up.handshakes, 1, "{report}");
        }
    }
}

/// Without room for text what comes late is not held against the capture.
#[test]
fn what_found_no_room_is_not_compared() {
    let mut talk = both_ways(20);
    talk.loss = 20_000;
    let file = talk.captured();
    for fed in [LEFT, RIGHT] {
        let mut replay = ForeignReplay::new(&file[..], Fed::From(fed))
            .unwrap()
            .memory(0);
        let report = replay.finish();
        assert!(report.is_sound(), "{fed}: {report}");
    }
}

/// TIME-WAIT as long as a setting says is nothing that was left behind.
#[test]
fn a_long_time_wait_is_no_leak() {
    let file = both_ways(21).captured();
    for fed in [LEFT, RIGHT] {
        let config = Config::new(Seed::from_number(21)).time_wait(Duration::from_secs(7200));
        let mut replay = ForeignReplay::new(&file[..], Fed::From(fed))
            .unwrap()
            .config(config);
        assert!(replay.finish().is_sound());
    }
}
