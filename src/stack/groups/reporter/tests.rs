//! What a reporter says, and when, in virtual time and without packets.

use super::*;
use crate::base::Seed;
use crate::stack::groups::filter::FilterMode;
use crate::stack::groups::members::Members;
use crate::stack::ids::{Id, RawId, UdpId};

/// A family's groups, and a clock.
struct Rig {
    members: Members,
    random: Random,
    now: Instant,
}

impl Rig {
    fn new(seed: u64) -> Self {
        Self {
            members: Members::default(),
            random: Random::new(Seed::from_number(seed).key("test")),
            now: Instant::from_millis(5000),
        }
    }

    fn set(&mut self, group: u8, socket: u32, mode: FilterMode, sources: &[u8]) {
        let sources = sources.iter().map(|&n| source(n)).collect();
        let generation = 0;
        let id = UdpId::from_raw(RawId {
            index: socket,
            generation,
        });
        let filter = Filter { mode, sources };
        self.members.set(at(group), id, filter).unwrap();
    }

    fn join(&mut self, group: u8) {
        self.set(group, 0, FilterMode::Exclude, &[]);
    }

    fn leave(&mut self, group: u8) {
        self.set(group, 0, FilterMode::Include, &[]);
    }

    fn query(&mut self, version: Version, millis: u64, group: Option<u8>, sources: &[u8]) {
        let query = Query {
            version,
            max: Duration::from_millis(millis),
            group: group.map(at),
            sources: sources.iter().map(|&n| source(n)).collect(),
            querier: (version == Version::Full).then_some((2, QUERY_INTERVAL)),
        };
        let random = &mut self.random;
        self.members.on_query(self.now, random, true, &query);
    }

    /// What is told within so many milliseconds, and how many after now.
    fn told(&mut self, within: u64) -> Vec<(u64, String)> {
        let start = self.now;
        let end = start + Duration::from_millis(within);
        let mut told = Vec::new();
        while let Some(due) = self.members.next_due().filter(|&due| due <= end) {
            self.now = due.max(self.now);
            let [v4, v6] = self.members.on_timeout(self.now, &mut self.random);
            assert!(v6.is_empty());
            let after = u64::try_from(self.now.since(start).as_millis()).unwrap();
            told.extend(v4.into_iter().map(|report| (after, words(report))));
        }
        self.now = end;
        told
    }

    /// The same without when.
    fn only_told(&mut self, within: u64) -> Vec<String> {
        let told = self.told(within);
        told.into_iter().map(|(_, words)| words).collect()
    }
}

fn at(group: u8) -> IpAddr {
    IpAddr::from([239, 0, 0, group])
}

fn source(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

fn words(report: Report) -> String {
    let last = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(_) => panic!("{ip}"),
    };
    match report {
        Report::Older(version, group) => format!("{version:?} {}", last(group)),
        Report::Leave(group) => format!("leave {}", last(group)),
        Report::Records(records) => {
            let words = records.into_iter().map(|record| {
                let mut sources: Vec<u8> = record.sources.iter().map(|&s| last(s)).collect();
                sources.sort_unstable();
                format!("{} {} {sources:?}", record.kind, last(record.group))
            });
            words.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Covers: IGM-7, MLD-8: at once, and Robustness - 1 times again within a second.
#[test]
fn what_has_changed_is_told_twice() {
    for seed in 0..50 {
        let mut rig = Rig::new(seed);
        rig.join(1);
        let told = rig.told(60_000);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0], (0, "to_ex 1 []".to_owned()));
        assert!(told[1].0 <= 1000 && told[1].1 == told[0].1, "{told:?}");
        rig.leave(1);
        assert_eq!(rig.only_told(60_000), ["to_in 1 []", "to_in 1 []"]);
    }
    // A querier that loses more has it told more often.
    let mut rig = Rig::new(1);
    let query = Query {
        version: Version::Full,
        max: Duration::ZERO,
        group: None,
        sources: Vec::new(),
        querier: Some((5, QUERY_INTERVAL)),
    };
    rig.members.on_query(rig.now, &mut rig.random, true, &query);
    assert_eq!(rig.told(1000), []);
    rig.join(1);
    assert_eq!(rig.told(60_000).len(), 5);
}

/// RFC 3376 §5.1, the table: what one state becomes another by.
#[test]
fn each_change_has_its_record() {
    use FilterMode::{Exclude, Include};
    type List = &'static [u8];
    #[rustfmt::skip]
    let rows: [(FilterMode, List, FilterMode, List, &str); 8] = [
        (Include, &[1, 2], Include, &[2, 3], "allow 1 [3], block 1 [1]"),
        (Exclude, &[1, 2], Exclude, &[2, 3], "allow 1 [1], block 1 [3]"),
        (Include, &[1, 2], Exclude, &[2, 3], "to_ex 1 [2, 3]"),
        (Exclude, &[1, 2], Include, &[2, 3], "to_in 1 [2, 3]"),
        (Include, &[],     Include, &[1],    "allow 1 [1]"),
        (Include, &[1],    Include, &[],     "block 1 [1]"),
        (Include, &[],     Exclude, &[1],    "to_ex 1 [1]"),
        (Exclude, &[1],    Include, &[],     "to_in 1 []"),
    ];
    for (old, sources, new, then, told) in rows {
        let mut rig = Rig::new(3);
        rig.set(1, 0, old, sources);
        rig.told(60_000);
        rig.set(1, 0, new, then);
        assert_eq!(rig.only_told(60_000), [told, told]);
    }
}

/// RFC 3376 §5.1: a change while another is still to be repeated is told at once, with what is left of that; a mode's
/// change tells of all.
#[test]
fn changes_that_meet() {
    use FilterMode::{Exclude, Include};
    let mut rig = Rig::new(4);
    rig.set(1, 0, Include, &[1]);
    assert_eq!(rig.only_told(0), ["allow 1 [1]"]);
    rig.set(1, 0, Include, &[1, 2]);
    assert_eq!(rig.only_told(60_000), ["allow 1 [1, 2]", "allow 1 [2]"]);
    rig.set(1, 0, Exclude, &[]);
    assert_eq!(rig.only_told(0), ["to_ex 1 []"]);
    rig.set(1, 0, Exclude, &[5]);
    assert_eq!(rig.only_told(60_000), ["to_ex 1 [5]", "block 1 [5]"]);
    // Came and went before anybody heard of it.
    rig.join(2);
    rig.leave(2);
    assert_eq!(rig.only_told(60_000), ["to_in 2 []", "to_in 2 []"]);
}

/// Covers: IGM-21 (two sockets: what is told is what they want together).
#[test]
fn sockets_together() {
    use FilterMode::{Exclude, Include};
    let mut rig = Rig::new(5);
    rig.set(1, 0, Include, &[1]);
    rig.told(60_000);
    rig.set(1, 1, Include, &[1, 2]);
    assert_eq!(rig.only_told(60_000), ["allow 1 [2]", "allow 1 [2]"]);
    rig.set(1, 2, Exclude, &[2, 3]);
    assert_eq!(rig.only_told(60_000), ["to_ex 1 [3]", "to_ex 1 [3]"]);
    rig.set(1, 2, Include, &[]);
    assert_eq!(rig.only_told(60_000), ["to_in 1 [1, 2]", "to_in 1 [1, 2]"]);
    rig.set(1, 1, Include, &[]);
    assert_eq!(rig.only_told(60_000), ["block 1 [2]", "block 1 [2]"]);
}

/// Covers: IGM-8, MLD-7: within the time that is given, and never all at once.
#[test]
fn answers_to_a_general_query_are_spread() {
    let mut whens = Vec::new();
    for seed in 0..100 {
        let mut rig = Rig::new(seed);
        rig.join(1);
        rig.set(2, 0, FilterMode::Include, &[7]);
        rig.told(60_000);
        rig.query(Version::Full, 10_000, None, &[]);
        let told = rig.told(60_000);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].1, "is_ex 1 [], is_in 2 [7]");
        assert!(told[0].0 <= 10_000);
        whens.push(told[0].0);
    }
    whens.sort_unstable();
    assert!(
        whens[10] > 200 && whens[50] > 3000 && whens[50] < 7000 && whens[90] > 7000,
        "{whens:?}"
    );
}

/// Covers: IGM-9 (RFC 3376 §5.2, the five rules).
#[test]
fn an_answer_that_is_pending_serves_later_queries() {
    let mut rig = Rig::new(6);
    rig.set(1, 0, FilterMode::Include, &[1, 2, 3, 4]);
    rig.join(2);
    rig.told(60_000);
    // (1): what comes sooner answers.
    rig.query(Version::Full, 100, None, &[]);
    rig.query(Version::Full, 60_000, Some(1), &[]);
    rig.query(Version::Full, 60_000, None, &[]);
    assert_eq!(rig.only_told(90_000), ["is_in 1 [1, 2, 3, 4], is_ex 2 []"]);
    // (2): what comes sooner takes the place of the other.
    rig.query(Version::Full, 60_000, None, &[]);
    rig.query(Version::Full, 10, None, &[]);
    assert_eq!(rig.told(50).len(), 1);
    assert_eq!(rig.told(90_000), []);
    // (3), (5): sources are asked for together, of those that are wanted.
    rig.query(Version::Full, 10_000, Some(1), &[1, 9]);
    rig.query(Version::Full, 10_000, Some(1), &[3]);
    assert_eq!(rig.only_told(90_000), ["is_in 1 [1, 3]"]);
    rig.query(Version::Full, 10_000, Some(1), &[8, 9]);
    assert_eq!(rig.told(90_000), [], "nothing to say");
    // (4): the group's query takes in that of its sources, before and behind it.
    rig.query(Version::Full, 10_000, Some(1), &[1]);
    rig.query(Version::Full, 10_000, Some(1), &[]);
    rig.query(Version::Full, 10_000, Some(1), &[2]);
    assert_eq!(rig.only_told(90_000), ["is_in 1 [1, 2, 3, 4]"]);
    // Of what is excluded, the sources that are wanted; of what nobody is in, nothing.
    rig.set(2, 0, FilterMode::Exclude, &[5]);
    rig.told(60_000);
    rig.query(Version::Full, 1000, Some(2), &[5, 6]);
    rig.query(Version::Full, 1000, Some(3), &[]);
    assert_eq!(rig.only_told(60_000), ["is_in 2 [6]"]);
}

/// Covers: IGM-14, IGM-16, IGM-17, MLD-11 (RFC 2236 §3, RFC 3376 §7.2.1): the words of the older one for as long as it may be there.
#[test]
fn a_router_of_version_2_has_everybody_speak_so() {
    let mut rig = Rig::new(7);
    rig.join(1);
    rig.told(60_000);
    rig.query(Version::Two, 10_000, None, &[]);
    let told = rig.told(30_000);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0 <= 10_000 && told[0].1 == "Two 1");
    // A newer one changes nothing as long as the older may be there.
    rig.query(Version::Full, 1000, None, &[]);
    assert_eq!(rig.only_told(10_000), ["Two 1"]);
    rig.join(2);
    let told = rig.told(30_000);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0] == (0, "Two 2".to_owned()) && told[1].0 <= 10_000,
        "{told:?}"
    );
    rig.leave(2);
    assert_eq!(rig.only_told(10_000), ["leave 2"]);
    // Whose report another's made needless was not the last, and need not say that he leaves.
    rig.query(Version::Two, 10_000, Some(1), &[]);
    rig.members.heard_report(at(1));
    assert_eq!(rig.told(20_000), []);
    rig.leave(1);
    assert_eq!(rig.told(10_000), []);
    // RFC 3376 §8.12: 2 times 125 s and 10 s after its last query.
    rig.told(240_000);
    rig.join(3);
    assert_eq!(rig.only_told(60_000), ["to_ex 3 []", "to_ex 3 []"]);
}

/// Covers: IGM-14, IGM-15: one of version 1 waits 10 s, and knows no leaving.
#[test]
fn a_router_of_version_1_hears_no_one_leave() {
    let mut last = 0;
    for seed in 0..20 {
        let mut rig = Rig::new(seed);
        rig.join(1);
        rig.told(60_000);
        rig.query(Version::One, 100, None, &[]);
        let told = rig.told(30_000);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].0 <= 10_000 && told[0].1 == "One 1");
        last = last.max(told[0].0);
        rig.leave(1);
        assert_eq!(rig.told(30_000), []);
    }
    assert!(last > 5000, "{last}");
}

/// RFC 2236 §3: a time that runs is set anew only when it is later than is asked for; and each group has its own.
#[test]
fn older_reports_of_many_groups() {
    let mut rig = Rig::new(8);
    (1..=20).for_each(|group| rig.join(group));
    rig.told(60_000);
    rig.query(Version::Two, 10_000, None, &[]);
    rig.query(Version::Two, 500, Some(7), &[]);
    let mut told = rig.told(60_000);
    let seven = told.iter().position(|(_, words)| words == "Two 7");
    assert!(told.remove(seven.unwrap()).0 <= 500);
    assert_eq!(told.len(), 19, "{told:?}");
    let whens: BTreeSet<u64> = told.iter().map(|told| told.0).collect();
    assert!(whens.len() > 15, "{told:?}");
}

/// Covers: IGM-6, MLD-9. RFC 4604 §2.2.3 has more for older versions.
#[test]
fn groups_that_nobody_is_told_of() {
    for (group, told, older) in [
        ("224.0.0.1", false, false),
        ("224.0.0.2", true, true),
        ("232.1.2.3", true, false),
        ("ff02::1", false, false),
        ("ff01::5", false, false),
        ("ff00::5", false, false),
        ("ff02::2", true, true),
        ("ff12::5", true, true),
        ("ff35::8000:1", true, false),
        ("ff35:20::8000:1", true, true),
    ] {
        let group: IpAddr = group.parse().unwrap();
        assert_eq!(is_reported(group), told, "{group}");
        assert_eq!(told && !is_source_specific(group), older, "{group}");
    }
    let mut rig = Rig::new(9);
    let all = IpAddr::V4(crate::ipv4::igmp::ALL_SYSTEMS);
    let id = UdpId::from_raw(RawId {
        index: 0,
        generation: 0,
    });
    rig.members.set(all, id, Filter::ALL).unwrap();
    for version in [Version::Full, Version::Two] {
        rig.query(version, 1000, None, &[]);
        rig.query(version, 1000, Some(1), &[]);
        assert_eq!(rig.told(60_000), [], "{version:?}");
    }
}

/// docs/limits.md: what a router can have us keep, and how often it is answered.
#[test]
fn a_flood_of_queries_is_answered_now_and_then() {
    let mut rig = Rig::new(10);
    (1..=200).for_each(|group| rig.join(group));
    rig.told(60_000);
    let mut answers = 0;
    for n in 0..10_000_u64 {
        let sources: Vec<u8> = (0..=255).collect();
        let group = u8::try_from(n % 200).unwrap() + 1;
        rig.query(Version::Full, 0, None, &[]);
        rig.query(Version::Full, 0, Some(group), &sources);
        answers += rig.told(0).len();
        if n % 10 == 0 {
            answers += rig.told(1).len();
        }
    }
    // A second.
    assert!((50..=102).contains(&answers), "{answers}");
    let kept = |rig: &Rig| {
        let reporter = rig.members.v4.reporter();
        let asked = reporter.pending.values().map(|pending| pending.asked.len());
        (reporter.pending.len(), asked.max().unwrap_or(0))
    };
    let (groups, sources) = kept(&rig);
    assert!(
        groups <= 200 && sources <= MOST_SOURCES,
        "{groups} {sources}"
    );
    rig.told(60_000);
    assert_eq!(kept(&rig), (0, 0), "all is given back");
}

/// The same of an older version, which wants it all at once: 10 ms of each group at least.
#[test]
fn a_flood_of_older_queries_is_answered_over_time() {
    let mut rig = Rig::new(12);
    (1..=200).for_each(|group| rig.join(group));
    rig.told(60_000);
    let mut answers = 0;
    for _ in 0..2000 {
        rig.query(Version::Two, 0, None, &[]);
        answers += rig.told(1).len();
    }
    // Two seconds: each once as a rule, twice as long as it was drawn early.
    assert!((150..600).contains(&answers), "{answers}");
    rig.told(60_000);
    rig.query(Version::Two, 0, Some(7), &[]);
    assert_eq!(rig.only_told(0), ["Two 7"], "one that is asked for alone");
}

/// docs/limits.md: who joins and leaves all the time has the oldest of it told no more.
#[test]
fn groups_that_were_left_are_forgotten_when_they_are_many() {
    let mut rig = Rig::new(11);
    let id = UdpId::from_raw(RawId {
        index: 0,
        generation: 0,
    });
    for n in 0..5000_u32 {
        let group = IpAddr::V4((0xef00_0000 + n).into());
        rig.members.set(group, id, Filter::ALL).unwrap();
        rig.members.set(group, id, Filter::NOTHING).unwrap();
    }
    let reporter = rig.members.v4.reporter();
    assert_eq!(reporter.changed.len(), 2 * MOST_GROUPS);
    assert_eq!(reporter.pending.len(), 2 * MOST_GROUPS);
    rig.told(60_000);
    assert!(rig.members.v4.reporter().pending.is_empty());
}

/// Sources that come and go faster than they are told: the whole list is told in their place.
#[test]
fn sources_that_are_too_many_are_told_as_a_list() {
    let mut reporter = Reporter::default();
    let source = |n: u32| IpAddr::V4(n.into());
    let of = |from: u32| Filter {
        mode: FilterMode::Include,
        sources: (from..from + 600).map(source).collect(),
    };
    reporter.changed(at(1), &Filter::NOTHING, &of(0));
    reporter.changed(at(1), &of(0), &of(10_000));
    let pending = &reporter.pending[&at(1)];
    assert_eq!((pending.modes, pending.sources.len()), (ROBUSTNESS, 0));
}

/// Who comes and goes while a router asks with all the time in the world leaves nothing to answer for.
#[test]
fn nothing_is_kept_of_a_group_that_was_left() {
    let mut rig = Rig::new(1);
    for group in 0..200 {
        rig.join(group);
        rig.query(Version::Full, 3_000_000, Some(group), &[7]);
        rig.leave(group);
    }
    rig.told(10_000);
    let reporter = rig.members.v4.reporter();
    assert_eq!((reporter.pending.len(), reporter.due.len()), (0, 0));
}
