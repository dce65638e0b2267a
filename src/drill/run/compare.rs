//! Is what left what the line says?
//!
//! *Owns* the semantic and the strict comparison (docs/scripts.md). *Does not* know time: the runner
//! does.

use super::super::ast::{EcnField, IpInfo, Tcp, TcpOption, TcpOptionList};
use super::numbers::Numbers;
use super::seen::{Seen, SeenTcp};
use crate::tcp::Flags;

/// Whether timestamps of ours are looked at, and how exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StampRule {
    /// A tick of the script's clock in microseconds; 0: not checked.
    pub(super) tick_usecs: u32,
    /// How far in ticks beyond one a timestamp may be off.
    pub(super) slack: u32,
}

/// What differs, by weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    /// What makes the packet another one.
    pub(super) semantic: Option<String>,
    /// What only the strict verdict asks for.
    pub(super) strict: Option<String>,
}

impl Differences {
    fn semantic(&mut self, what: impl FnOnce() -> String) {
        self.semantic.get_or_insert_with(what);
    }

    fn strict(&mut self, what: impl FnOnce() -> String) {
        self.strict.get_or_insert_with(what);
    }
}

/// Compares a segment with its line.
pub(super) fn compare_tcp(
    wanted: &Tcp,
    got: &SeenTcp,
    numbers: &Numbers,
    rule: StampRule,
    must_push: bool,
) -> Differences {
    let mut found = Differences::default();
    let script = got.to_script(numbers);
    compare_flags(wanted, got, must_push, &mut found);
    let seq = if wanted.seq.absolute {
        got.fields.seq
    } else {
        script.seq.value
    };
    if wanted.seq.value != seq {
        found.semantic(|| format!("the sequence number is {seq}"));
    }
    if wanted.len != script.len {
        found.semantic(|| format!("{} bytes of text", script.len));
    }
    match (wanted.ack, script.ack) {
        (Some(ack), Some(live)) => {
            let live = if ack.absolute {
                got.fields.ack
            } else {
                live.value
            };
            if ack.value != live {
                found.semantic(|| format!("it acknowledges {live}"));
            }
        }
        // Without its flag the number says nothing.
        (Some(ack), None) if ack.value != got.fields.ack => {
            found.semantic(|| format!("the field of acknowledgments holds {}", got.fields.ack));
        }
        _ => {}
    }
    if let Some(window) = wanted.window {
        let live = got.fields.window;
        if (window == 0) != (live == 0) {
            found.semantic(|| format!("the window is {live}"));
        } else if window != live {
            found.strict(|| format!("the window is {live}"));
        }
        if got.shrunk {
            found.semantic(|| "the window ends before an edge that was promised".into());
        }
    }
    if let Some(urgent) = wanted.urgent
        && urgent != got.fields.urgent
    {
        found.semantic(|| format!("the urgent pointer is {}", got.fields.urgent));
    }
    compare_options(wanted, got, &script, numbers, rule, &mut found);
    found
}

fn compare_flags(wanted: &Tcp, got: &SeenTcp, must_push: bool, found: &mut Differences) {
    let live = got.fields.flags;
    if wanted.flags.difference(Flags::PSH) != live.difference(Flags::PSH) {
        found.semantic(|| "the flags differ".into());
    }
    let pushed = live.contains(Flags::PSH);
    if pushed && got.text.is_empty() {
        found.semantic(|| "PSH without text".into());
    }
    if !pushed && must_push {
        found.semantic(|| "no PSH at the end of what was written".into());
    }
    if wanted.flags.contains(Flags::PSH) != pushed {
        found.strict(|| "PSH differs".into());
    }
}

fn compare_options(
    wanted: &Tcp,
    got: &SeenTcp,
    script: &Tcp,
    numbers: &Numbers,
    rule: StampRule,
    found: &mut Differences,
) {
    let TcpOptionList::These(wanted_list) = &wanted.options else {
        return;
    };
    let TcpOptionList::These(live_list) = &script.options else {
        return;
    };
    let counts = |option: &&TcpOption| !matches!(option, TcpOption::Nop | TcpOption::Eol);
    for option in wanted_list.iter().filter(counts) {
        let live = live_list.iter().find(|live| same_kind(option, live));
        match live {
            None => found.semantic(|| format!("no option {}", name_of(option))),
            Some(live) => compare_option(option, live, found),
        }
        if let TcpOption::Sack(blocks) = option
            && blocks.iter().any(|(l, r)| l.absolute || r.absolute)
        {
            found.semantic(|| "blocks are compared in the script's numbers alone".into());
        }
    }
    for option in live_list.iter().filter(counts) {
        if !wanted_list.iter().any(|wanted| same_kind(wanted, option)) {
            found.semantic(|| format!("an option {}", name_of(option)));
        }
    }
    if let (Some((val, _)), Some((live, _))) = (stamps(wanted_list), stamps(&got.options)) {
        compare_stamp(val, live, numbers, rule, found);
    }
    let without_values = |list: &[TcpOption]| -> Vec<TcpOption> {
        let kind = |option: &TcpOption| match option {
            TcpOption::Timestamps { ecr, .. } => TcpOption::Timestamps { val: 0, ecr: *ecr },
            other => other.clone(),
        };
        list.iter().map(kind).collect()
    };
    if without_values(wanted_list) != without_values(live_list) {
        found.strict(|| "the options differ in order, padding or value".into());
    }
}

fn same_kind(a: &TcpOption, b: &TcpOption) -> bool {
    core::mem::discriminant(a) == core::mem::discriminant(b)
}

fn name_of(option: &TcpOption) -> String {
    super::seen::show_option(option)
}

fn compare_option(wanted: &TcpOption, live: &TcpOption, found: &mut Differences) {
    match (wanted, live) {
        // What shift is right depends on the receive buffer: the profile says it.
        (TcpOption::WindowScale(_), _) => {}
        (TcpOption::Timestamps { ecr, .. }, TcpOption::Timestamps { ecr: live, .. })
            if ecr == live => {}
        (TcpOption::Timestamps { .. }, TcpOption::Timestamps { ecr: live, .. }) => {
            found.semantic(|| format!("it echoes {live}"));
        }
        (TcpOption::Sack(wanted), TcpOption::Sack(live)) => {
            let values = |list: &[(super::super::ast::Number, super::super::ast::Number)]| {
                let pair = |&(l, r): &(super::super::ast::Number, super::super::ast::Number)| {
                    (l.value, r.value)
                };
                list.iter().map(pair).collect::<Vec<_>>()
            };
            let (mut a, mut b) = (values(wanted), values(live));
            let first = a.first() == b.first();
            a.sort_unstable();
            b.sort_unstable();
            if !first || a != b {
                found
                    .semantic(|| format!("it reports {}", name_of(&TcpOption::Sack(live.clone()))));
            }
        }
        (wanted, live) if wanted != live => {
            found.semantic(|| format!("{} and not {}", name_of(live), name_of(wanted)));
        }
        _ => {}
    }
}

fn stamps(list: &[TcpOption]) -> Option<(u32, u32)> {
    list.iter().find_map(|option| match option {
        TcpOption::Timestamps { val, ecr } => Some((*val, *ecr)),
        _ => None,
    })
}

/// The timestamps of a segment that left, as on the wire.
pub(super) fn stamps_of(got: &SeenTcp) -> Option<(u32, u32)> {
    stamps(&got.options)
}

/// The cookie that a line wants with our SYN-ACK, and the one that left.
pub(super) fn cookies<'a>(wanted: &'a Tcp, got: &'a SeenTcp) -> Option<(&'a [u8], &'a [u8])> {
    let of = |list: &'a [TcpOption]| {
        list.iter().find_map(|option| match option {
            TcpOption::FastOpen(cookie) => Some(cookie.as_slice()),
            _ => None,
        })
    };
    let TcpOptionList::These(list) = &wanted.options else {
        return None;
    };
    let ours = got.fields.flags.contains(Flags::ACK);
    of(list).zip(of(&got.options)).filter(|_| ours)
}

/// The TSval that a line wants.
pub(super) fn wanted_stamp(wanted: &Tcp) -> Option<u32> {
    match &wanted.options {
        TcpOptionList::These(list) => stamps(list).map(|(val, _)| val),
        TcpOptionList::Any => None,
    }
}

fn compare_stamp(val: u32, live: u32, numbers: &Numbers, rule: StampRule, found: &mut Differences) {
    let Some((script, first)) = numbers.first_stamp() else {
        return;
    };
    // Ours ticks each millisecond.
    let wanted = i64::from(val.wrapping_sub(script).cast_signed());
    let millis = i64::from(live.wrapping_sub(first).cast_signed());
    if rule.tick_usecs > 0 {
        let ticks = millis * 1000 / i64::from(rule.tick_usecs);
        if (ticks - wanted).unsigned_abs() > u64::from(rule.slack) + 1 {
            found.semantic(|| format!("TSval is {} ticks from the first and not {wanted}", ticks));
        }
    }
    if wanted != millis {
        found.strict(|| format!("TSval is {millis} from the first and not {wanted}"));
    }
}

/// Compares what a line says of the IP header.
pub(super) fn compare_ip(wanted: &IpInfo, got: &Seen) -> Result<(), String> {
    let ecn = got.tos & 3;
    let right = match wanted.ecn {
        None => true,
        Some(EcnField::None) => ecn == 0,
        Some(EcnField::Ect1) => ecn == 1,
        Some(EcnField::Ect0) => ecn == 2,
        Some(EcnField::Ect01) => ecn == 1 || ecn == 2,
        Some(EcnField::Ce) => ecn == 3,
    };
    if !right {
        return Err(format!("its ECN field is {ecn:02b}"));
    }
    if wanted.tos.is_some_and(|tos| tos != got.tos) {
        return Err(format!("its traffic class is 0x{:02x}", got.tos));
    }
    if wanted.ttl.is_some_and(|ttl| ttl != got.ttl) {
        return Err(format!("its hop limit is {}", got.ttl));
    }
    if wanted
        .flow_label
        .is_some_and(|label| label != got.flow_label)
    {
        return Err(format!("its flow label is 0x{:x}", got.flow_label));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::ast::{Action, Body};
    use super::super::super::{Defines, Script};
    use super::*;
    use crate::tcp::Fields;

    fn line(text: &str) -> Tcp {
        let script = Script::parse(&format!("0 > {text}"), &Defines::new()).unwrap();
        match &script.events[0].action {
            Action::Expect(packet) => match &packet.body {
                Body::Tcp(tcp) => tcp.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// The segment that a line describes.
    fn live(text: &str) -> SeenTcp {
        let tcp = line(text);
        let fields = Fields {
            seq: tcp.seq.value,
            ack: tcp.ack.map_or(0, |ack| ack.value),
            flags: tcp.flags,
            window: tcp.window.unwrap_or(500),
            urgent: tcp.urgent.unwrap_or(0),
            ..Fields::default()
        };
        let TcpOptionList::These(options) = tcp.options else {
            panic!("any options");
        };
        SeenTcp {
            fields,
            options,
            text: vec![0; tcp.len as usize],
            shrunk: false,
            is_new: true,
        }
    }

    fn verdict(wanted: &str, got: &str) -> &'static str {
        let mut numbers = Numbers::default();
        numbers.note_stamp(100, 100);
        let rule = StampRule {
            tick_usecs: 1000,
            slack: 0,
        };
        let found = compare_tcp(&line(wanted), &live(got), &numbers, rule, false);
        match (found.semantic, found.strict) {
            (Some(_), _) => "differs",
            (None, Some(_)) => "pass",
            (None, None) => "strict",
        }
    }

    #[test]
    fn each_field_has_its_weight() {
        let table = [
            (". 1:1001(1000) ack 1", ". 1:1001(1000) ack 1", "strict"),
            ("P. 1:1001(1000) ack 1", ". 1:1001(1000) ack 1", "pass"),
            (". 1:1(0) ack 1", "P. 1:1(0) ack 1", "differs"),
            (". 1:1001(1000) ack 1", "F. 1:1001(1000) ack 1", "differs"),
            (". 1:1001(1000) ack 1", "E. 1:1001(1000) ack 1", "differs"),
            (". 1:1001(1000) ack 1", ". 2:1002(1000) ack 1", "differs"),
            (". 1:1001(1000) ack 1", ". 1:1002(1001) ack 1", "differs"),
            (". 1:1(0) ack 1", ". 1:1(0) ack 2", "differs"),
            (". 1:1(0) ack 1 win 9", ". 1:1(0) ack 1 win 8", "pass"),
            (". 1:1(0) ack 1 win 0", ". 1:1(0) ack 1 win 8", "differs"),
            (". 1:1(0) ack 1 win 9", ". 1:1(0) ack 1 win 0", "differs"),
            ("U. 1:1(0) ack 1 urg 5", "U. 1:1(0) ack 1 urg 6", "differs"),
            (
                "S 0:0(0) <mss 9,sackOK>",
                "S 0:0(0) <sackOK,nop,nop,mss 9>",
                "pass",
            ),
            ("S 0:0(0) <mss 9>", "S 0:0(0) <mss 8>", "differs"),
            ("S 0:0(0) <mss 9>", "S 0:0(0) <mss 9,sackOK>", "differs"),
            ("S 0:0(0) <mss 9,sackOK>", "S 0:0(0) <mss 9>", "differs"),
            ("S 0:0(0) <wscale 7>", "S 0:0(0) <wscale 8>", "pass"),
            ("S 0:0(0) <wscale 7>", "S 0:0(0)", "differs"),
            ("S 0:0(0) <...>", "S 0:0(0) <mss 9>", "strict"),
            (". 1:1(0)", ". 1:1(0) <nop,nop,sack 1:2>", "differs"),
            (
                ". 1:1(0) <sack 5:6 1:2 3:4>",
                ". 1:1(0) <sack 5:6 3:4 1:2>",
                "pass",
            ),
            (
                ". 1:1(0) <sack 5:6 1:2>",
                ". 1:1(0) <sack 1:2 5:6>",
                "differs",
            ),
            (". 1:1(0) <sack 5:6>", ". 1:1(0) <sack 5:7>", "differs"),
            (
                ". 1:1(0) <TS val 150 ecr 3>",
                ". 1:1(0) <TS val 150 ecr 3>",
                "strict",
            ),
            (
                ". 1:1(0) <TS val 150 ecr 3>",
                ". 1:1(0) <TS val 151 ecr 3>",
                "pass",
            ),
            (
                ". 1:1(0) <TS val 150 ecr 3>",
                ". 1:1(0) <TS val 152 ecr 3>",
                "differs",
            ),
            (
                ". 1:1(0) ack 9 <TS val 150 ecr 3>",
                ". 1:1(0) ack 9 <TS val 150 ecr 4>",
                "differs",
            ),
        ];
        for (wanted, got, weight) in table {
            assert_eq!(verdict(wanted, got), weight, "{wanted} | {got}");
        }
    }

    #[test]
    fn a_window_that_shrank_and_a_missing_push_are_told() {
        let numbers = Numbers::default();
        let mut got = live(". 1:11(10) ack 1 win 5");
        let wanted = line(". 1:11(10) ack 1 win 5");
        let rule = StampRule::default();
        let found = compare_tcp(&wanted, &got, &numbers, rule, true);
        assert!(found.semantic.unwrap().contains("PSH"));
        got.shrunk = true;
        let found = compare_tcp(&wanted, &got, &numbers, rule, false);
        assert!(found.semantic.unwrap().contains("promised"));
        let untested = line(". 1:11(10) ack 1");
        let found = compare_tcp(&untested, &got, &numbers, rule, false);
        assert_eq!(found, Differences::default());
    }
}
