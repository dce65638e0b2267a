//! What a script's shell commands mean. None is ever run.
//!
//! *Owns* the table of system settings, and which other commands are known. *Does not* change
//! anything: the runner does what an [`Effect`] says.

use super::profile::{Profile, choice};

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A setting of the profile gets this value.
    Set(&'static str, String),
    /// The connection, or the listener, must be in this state; a name without signs, such as `FINWAIT1`.
    State(String),
    /// All settings as they were before the script, which is what its end does anyway.
    Restore,
    /// The device takes nothing from now on, or whatever comes.
    DeviceFull(bool),
}

/// How a system setting is understood.
#[derive(Clone, Copy)]
enum Meaning {
    /// The value is one of ours.
    Same(&'static str),
    /// Seconds, ours in milliseconds.
    Seconds(&'static str),
    /// Microseconds, ours in milliseconds.
    Micros(&'static str),
    /// Three values: least, first and most; a window gets half of a buffer.
    Window,
    /// Three values: least, first and most.
    Buffer,
    /// One size for a buffer that does not grow by itself.
    Space(&'static str),
    Congestion,
    /// `net.inet.tcp.rfc1323`: 1 both, 2 window scale alone, 3 timestamps alone.
    Extensions,
    /// netloom has no such setting, and behaves as with one of these values.
    Only(&'static [&'static str]),
    /// It says nothing about packets.
    Nothing,
}

use Meaning as M;

/// System settings of Linux (below `net.ipv4.`) and FreeBSD. Those of netloom are `netloom.` and the
/// name of a profile's setting.
const SETTINGS: &[(&str, Meaning)] = &[
    ("net.ipv4.tcp_congestion_control", M::Congestion),
    ("net.ipv4.tcp_ecn", M::Same("ecn")),
    ("net.ipv4.tcp_sack", M::Same("sack")),
    ("net.ipv4.tcp_timestamps", M::Same("timestamps")),
    ("net.ipv4.tcp_window_scaling", M::Same("window_scaling")),
    ("net.ipv4.tcp_syn_retries", M::Same("syn_retries")),
    ("net.ipv4.tcp_synack_retries", M::Same("syn_retries")),
    ("net.ipv4.tcp_retries2", M::Same("retries")),
    ("net.ipv4.tcp_orphan_retries", M::Same("orphan_retries")),
    ("net.ipv4.tcp_fin_timeout", M::Seconds("fin_timeout_ms")),
    ("net.ipv4.tcp_rto_min_us", M::Micros("min_rto_ms")),
    ("net.ipv4.tcp_syncookies", M::Same("syn_cookies")),
    ("net.ipv4.ip_default_ttl", M::Same("ttl")),
    ("net.ipv4.tcp_mtu_probing", M::Same("mtu_probing")),
    ("net.ipv4.tcp_rmem", M::Window),
    ("net.ipv4.tcp_wmem", M::Buffer),
    ("net.ipv4.tcp_recovery", M::Only(&["1"])),
    ("net.ipv4.tcp_early_retrans", M::Only(&["3", "4"])),
    ("net.ipv4.tcp_frto", M::Only(&["1", "2"])),
    ("net.ipv4.tcp_dsack", M::Only(&["1"])),
    ("net.ipv4.tcp_fack", M::Only(&["0"])),
    ("net.ipv4.tcp_reordering", M::Only(&["3"])),
    ("net.ipv4.tcp_slow_start_after_idle", M::Only(&["1"])),
    ("net.ipv4.tcp_min_tso_segs", M::Nothing),
    ("net.ipv4.tcp_tso_win_divisor", M::Nothing),
    ("net.ipv4.tcp_no_metrics_save", M::Nothing),
    ("net.ipv4.tcp_moderate_rcvbuf", M::Nothing),
    ("net.ipv4.tcp_invalid_ratelimit", M::Nothing),
    ("net.ipv4.tcp_fastopen", M::Nothing),
    ("net.ipv4.tcp_tw_reuse", M::Nothing),
    ("net.ipv4.tcp_low_latency", M::Nothing),
    ("net.ipv4.tcp_workaround_signed_windows", M::Only(&["0"])),
    ("net.core.default_qdisc", M::Nothing),
    ("net.inet.tcp.cc.algorithm", M::Congestion),
    ("net.inet.tcp.ecn.enable", M::Same("ecn")),
    ("net.inet.tcp.sack.enable", M::Same("sack")),
    ("net.inet.tcp.rfc1323", M::Extensions),
    ("net.inet.tcp.delayed_ack", M::Same("delayed_ack")),
    ("net.inet.tcp.recvspace", M::Space("recv_buffer_initial")),
    ("net.inet.tcp.recvbuf_max", M::Space("recv_buffer_max")),
    ("net.inet.tcp.sendspace", M::Space("send_buffer_initial")),
    ("net.inet.tcp.sendbuf_max", M::Space("send_buffer_max")),
    ("net.inet.tcp.rexmit_min", M::Same("min_rto_ms")),
    ("net.inet.tcp.rexmit_initial", M::Same("initial_rto_ms")),
    ("net.inet.tcp.finwait2_timeout", M::Same("fin_timeout_ms")),
    ("net.inet.tcp.syncookies", M::Same("syn_cookies")),
    ("net.inet.ip.ttl", M::Same("ttl")),
    ("net.inet.tcp.initcwnd_segments", M::Only(&["10"])),
    ("net.inet.tcp.functions_default", M::Only(&["freebsd"])),
    ("net.inet.tcp.hostcache.enable", M::Nothing),
    ("net.inet.tcp.hostcache.purgenow", M::Nothing),
    ("net.inet.tcp.log_debug", M::Nothing),
    ("kern.timecounter.alloweddeviation", M::Nothing),
];

/// Of a route, what may stand beside an MTU and a congestion control.
const ROUTE_WORDS: &[&str] = &[
    "ip", "route", "link", "set", "change", "replace", "add", "default", "dev", "via", "proto",
    "kernel", "static", "scope", "src", "table", "local", "main", "up", "lock",
];

/// What a command says.
///
/// # Errors
/// The part of it that is not known.
pub(super) fn read(text: &str) -> Result<Vec<Effect>, String> {
    let mut effects = Vec::new();
    let joined = text.replace("\\\n", " ").replace("&&", "\n");
    for line in joined.split(['\n', ';']) {
        let command = line.split(" #").next().unwrap_or(line).trim();
        if !command.is_empty() && !command.starts_with('#') {
            read_command(command, &mut effects)?;
        }
    }
    Ok(effects)
}

fn read_command(command: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
    let words = without_output(split(command));
    let unknown = || Err(command.to_owned());
    let Some((first, rest)) = words.split_first() else {
        return Ok(());
    };
    let program = first.rsplit('/').next().unwrap_or(first);
    match program {
        "true" | ":" => Ok(()),
        // The suite's own settings, which are what its profile is made of.
        "defaults.sh" if rest.is_empty() => Ok(()),
        _ if is_restore(program) && rest.is_empty() => {
            effects.push(Effect::Restore);
            Ok(())
        }
        // Segmentation offload is the variant's affair, and plain is without.
        "ethtool" => match rest {
            [set, _, features @ ..] if set == "-K" && is_all_off(features) => Ok(()),
            _ => unknown(),
        },
        "sysctl" | "set_sysctls.py" => {
            let mut any = false;
            for word in rest.iter().filter(|word| !word.starts_with('-')) {
                let (name, value) = word.split_once('=').ok_or_else(|| command.to_owned())?;
                set(name, value, effects)?;
                any = true;
            }
            if any { Ok(()) } else { unknown() }
        }
        "echo" => match rest {
            [values @ .., sign, path] if sign == ">" => set(path, &values.join(" "), effects),
            _ => unknown(),
        },
        "ip" => route(command, &words, effects),
        "ifconfig" => match rest {
            [_, mtu, value] if mtu == "mtu" => mtu_of(command, value, effects),
            _ => unknown(),
        },
        "ss" | "sockstat" | "netstat" => state(command, effects),
        _ => unknown(),
    }
}

/// The script that `set_sysctls.py` writes, to be run at the end.
fn is_restore(program: &str) -> bool {
    program.starts_with("sysctl_restore_") && program.ends_with(".sh")
}

/// `tso off gso off`
fn is_all_off(features: &[String]) -> bool {
    let off = |pair: &[String]| matches!(pair, [_, state] if state == "off");
    !features.is_empty() && features.chunks(2).all(off)
}

/// Where a command's own words go is nobody's affair: `> /dev/null`, `2>/dev/null`, `2>&1`.
fn without_output(mut words: Vec<String>) -> Vec<String> {
    loop {
        match words.as_slice() {
            [.., last] if ["2>/dev/null", ">/dev/null", "2>&1"].contains(&last.as_str()) => {
                words.truncate(words.len() - 1);
            }
            [.., sign, path] if [">", "2>"].contains(&sign.as_str()) && path == "/dev/null" => {
                words.truncate(words.len() - 2);
            }
            _ => return words,
        }
    }
}

/// A number, or what the shell would make of `$((32*1024*1024))`.
fn sum(text: &str) -> Option<u64> {
    let inner = text
        .strip_prefix("$((")
        .and_then(|text| text.strip_suffix("))"));
    let Some(inner) = inner else {
        return text.parse().ok();
    };
    let mut product = 1u64;
    for factor in inner.split('*') {
        product = product.checked_mul(factor.trim().parse().ok()?)?;
    }
    Some(product)
}

/// Words, of which those in quotes may have blanks.
fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, _) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(core::mem::take(&mut word));
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn set(name: &str, value: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
    if let Some(ours) = name.strip_prefix("netloom.") {
        let effect = set_ours(ours, value.trim()).ok_or_else(|| format!("{name}={value}"))?;
        effects.push(effect);
        return Ok(());
    }
    let path = name.strip_prefix("/proc/sys/").unwrap_or(name);
    let name = path.trim().replace('/', ".");
    let unknown = || format!("{name}={value}");
    let found = SETTINGS.iter().find(|(known, _)| *known == name);
    let Some((_, meaning)) = found else {
        return Err(unknown());
    };
    let value = value.trim();
    let mut put = |name, value: String| effects.push(Effect::Set(name, value));
    let whole = |text: &str| sum(text).ok_or_else(unknown);
    match *meaning {
        M::Nothing => {}
        M::Only(values) if values.contains(&value) => {}
        M::Only(_) => return Err(unknown()),
        // Offset or not, a timestamp is one.
        M::Same("timestamps") if value == "2" => put("timestamps", "1".into()),
        // Even when nothing overflows: netloom has no such mode.
        M::Same("syn_cookies") if value == "2" => return Err(unknown()),
        M::Same(ours) => put(ours, value.into()),
        M::Seconds(ours) => put(ours, whole(value)?.saturating_mul(1000).to_string()),
        M::Micros(ours) => put(ours, (whole(value)? / 1000).to_string()),
        M::Space(ours) => {
            put(ours, whole(value)?.to_string());
        }
        M::Window | M::Buffer => {
            let numbers: Vec<&str> = value.split_whitespace().collect();
            let [_, first, most] = numbers[..] else {
                return Err(unknown());
            };
            let (first, most) = (whole(first)?, whole(most)?);
            if matches!(meaning, M::Window) {
                // A window is half of the buffer that it is for, as tcp_adv_win_scale had it.
                put("recv_buffer_initial", (first / 2).to_string());
                put("recv_buffer_max", (most / 2).to_string());
            } else {
                put("send_buffer_initial", first.to_string());
                put("send_buffer_max", most.to_string());
            }
        }
        M::Congestion => match choice(value) {
            Some(_) => put("congestion", value.into()),
            None => return Err(unknown()),
        },
        M::Extensions => {
            let on = |values: &[&str]| u8::from(values.contains(&value)).to_string();
            if !["0", "1", "2", "3"].contains(&value) {
                return Err(unknown());
            }
            put("window_scaling", on(&["1", "2"]));
            put("timestamps", on(&["1", "3"]));
        }
    }
    Ok(())
}

/// What is netloom's own: a setting by its name, or the device.
fn set_ours(name: &str, value: &str) -> Option<Effect> {
    match (name, value) {
        ("device_full", "1") => return Some(Effect::DeviceFull(true)),
        ("device_full", "0") => return Some(Effect::DeviceFull(false)),
        _ => {}
    }
    let mut known = Profile::settings().map(|(known, _)| known);
    let ours = known.find(|known| *known == name)?;
    Some(Effect::Set(ours, value.to_owned()))
}

/// A link or a route whose MTU or congestion control is set, and nothing else.
fn route(command: &str, words: &[String], effects: &mut Vec<Effect>) -> Result<(), String> {
    let mut words = words.iter().map(String::as_str).peekable();
    let mut any = false;
    while let Some(word) = words.next() {
        match word {
            "mtu" | "congctl" => {
                words.next_if_eq(&"lock");
                let value = words.next().unwrap_or_default();
                if word == "mtu" {
                    mtu_of(command, value, effects)?;
                } else {
                    choice(value).ok_or_else(|| command.to_owned())?;
                    effects.push(Effect::Set("congestion", value.into()));
                }
                any = true;
            }
            // Where it leads does not matter: there is one link.
            "dev" | "via" | "proto" | "scope" | "src" | "table" => {
                words.next();
            }
            _ if ROUTE_WORDS.contains(&word) => {}
            _ if word.contains(['.', ':', '/']) || word.starts_with("tun") => {}
            _ => return Err(command.to_owned()),
        }
    }
    if any { Ok(()) } else { Err(command.to_owned()) }
}

fn mtu_of(command: &str, value: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
    let mtu = value.parse::<u32>().map_err(|_| command.to_owned())?;
    effects.push(Effect::Set("mtu", mtu.to_string()));
    Ok(())
}

/// `ss -n | grep 8080 | grep -q ESTAB`: the last word names the state.
fn state(command: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
    let unknown = || command.to_owned();
    let mut found = None;
    for stage in command.split('|').skip(1) {
        let words = split(stage);
        let Some(("grep", rest)) = words.split_first().map(|(w, rest)| (w.as_str(), rest)) else {
            return Err(unknown());
        };
        for word in rest {
            match word.as_str() {
                "-q" | "-i" | "-e" | "-w" => {}
                flag if flag.starts_with('-') => return Err(unknown()),
                word => found = state_name(word).or(found),
            }
        }
    }
    effects.push(Effect::State(found.ok_or_else(unknown)?));
    Ok(())
}

/// A state, whatever the program calls it; `None` when it is none.
pub(super) fn state_name(word: &str) -> Option<String> {
    const NAMES: [&str; 11] = [
        "CLOSED",
        "LISTEN",
        "SYNSENT",
        "SYNRECEIVED",
        "ESTABLISHED",
        "FINWAIT1",
        "FINWAIT2",
        "CLOSEWAIT",
        "CLOSING",
        "LASTACK",
        "TIMEWAIT",
    ];
    let plain: String = word
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let name = match plain.as_str() {
        "ESTAB" => "ESTABLISHED",
        "SYNRECV" | "SYNRCVD" => "SYNRECEIVED",
        "UNCONN" => "CLOSED",
        other => NAMES.into_iter().find(|name| *name == other)?,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(text: &str) -> Vec<(&'static str, String)> {
        let effects = read(text).unwrap_or_else(|unknown| panic!("{unknown}"));
        let sets = effects.into_iter().map(|effect| match effect {
            Effect::Set(name, value) => (name, value),
            other => panic!("{other:?}"),
        });
        sets.collect()
    }

    type Settings = &'static [(&'static str, &'static str)];

    const FORMS: &[(&str, Settings)] = &[
        ("sysctl -q net.ipv4.tcp_sack=0", &[("sack", "0")]),
        (
            "sysctl -w net.ipv4.tcp_ecn=1 net.ipv4.tcp_timestamps=2",
            &[("ecn", "1"), ("timestamps", "1")],
        ),
        ("../common/defaults.sh", &[]),
        (
            "./set_sysctls.py /proc/sys/net/ipv4/tcp_fin_timeout=5",
            &[("fin_timeout_ms", "5000")],
        ),
        (
            "sysctl -q net.ipv4.tcp_rmem=\"4096 131072 4194304\"",
            &[
                ("recv_buffer_initial", "65536"),
                ("recv_buffer_max", "2097152"),
            ],
        ),
        (
            "echo 4096 16384 70000 > /proc/sys/net/ipv4/tcp_wmem",
            &[
                ("send_buffer_initial", "16384"),
                ("send_buffer_max", "70000"),
            ],
        ),
        (
            "sysctl net.ipv4.tcp_congestion_control=reno && true\nsysctl net.ipv4.tcp_rto_min_us=5000",
            &[("congestion", "reno"), ("min_rto_ms", "5")],
        ),
        (
            "sysctl net.inet.tcp.rfc1323=2; sysctl net.inet.tcp.cc.algorithm=newreno",
            &[
                ("window_scaling", "1"),
                ("timestamps", "0"),
                ("congestion", "newreno"),
            ],
        ),
        (
            "sysctl netloom.quick_acks=0 netloom.mtu=900",
            &[("quick_acks", "0"), ("mtu", "900")],
        ),
        ("ip link set dev tun0 mtu 1400", &[("mtu", "1400")]),
        (
            "ip route replace 192.0.2.0/24 dev tun0 mtu lock 1300 congctl cubic",
            &[("mtu", "1300"), ("congestion", "cubic")],
        ),
        ("ifconfig tun0 mtu 900", &[("mtu", "900")]),
        ("sysctl net.ipv4.tcp_recovery=1 > /dev/null 2>&1", &[]),
        ("ethtool -K tun0 tso off gso off 2>/dev/null", &[]),
        (
            "sysctl -q net.ipv4.tcp_rmem=\"4096 131072 $((32*1024*1024))\"",
            &[
                ("recv_buffer_initial", "65536"),
                ("recv_buffer_max", "16777216"),
            ],
        ),
        ("# a comment\ntrue", &[]),
    ];

    #[test]
    fn a_device_is_full_or_not() {
        for (value, full) in [("1", true), ("0", false)] {
            let text = format!("sysctl -w netloom.device_full={value}");
            assert_eq!(read(&text), Ok(vec![Effect::DeviceFull(full)]));
        }
        assert!(read("sysctl netloom.device_full=yes").is_err());
    }

    #[test]
    fn settings_of_every_form() {
        for (text, wanted) in FORMS {
            let wanted: Vec<_> = wanted.iter().map(|&(n, v)| (n, v.to_owned())).collect();
            assert_eq!(sets(text), wanted, "{text}");
        }
    }

    #[test]
    fn states_by_every_programs_name() {
        let table = [
            ("ss -nt | grep 8080 | grep -q ESTAB", "ESTABLISHED"),
            ("ss -tan | grep -q 'FIN-WAIT-1'", "FINWAIT1"),
            ("netstat -n -p tcp | grep SYN_RCVD", "SYNRECEIVED"),
            ("sockstat -s | grep -q TIME_WAIT", "TIMEWAIT"),
        ];
        for (text, state) in table {
            assert_eq!(read(text), Ok(vec![Effect::State(state.into())]), "{text}");
        }
    }

    /// Nothing is skipped in silence.
    #[test]
    fn everything_else_is_told() {
        for text in [
            "rm -rf /",
            "sysctl net.ipv4.tcp_sack",
            "sysctl net.ipv4.tcp_nonsense=1",
            "sysctl netloom.nonsense=1",
            "sysctl net.ipv4.tcp_recovery=0",
            "sysctl net.ipv4.tcp_congestion_control=vegas",
            "sysctl net.ipv4.tcp_rmem=1",
            "ip route change default dev tun0 rto_min 5ms",
            "ip addr add 10.0.0.1/8 dev tun0",
            "ss -n",
            "ss -n | wc -l",
            "ss -n | grep -v ESTAB",
            "! ss -n | grep ESTAB",
            "true; tc qdisc add dev tun0 root fq",
            "sysctl net.ipv4.tcp_syncookies=2",
            "ethtool -K tun0 tso on",
            "ethtool -K tun0 tso",
            "sysctl net.ipv4.tcp_rmem=\"1 $((2+3)) 4\"",
            "ss > /dev/null",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    /// The names on the right are settings of a profile.
    #[test]
    fn the_table_leads_to_settings_that_exist() {
        let known: Vec<_> = Profile::settings().map(|(name, _)| name).collect();
        for (name, meaning) in SETTINGS {
            if let M::Same(ours) | M::Seconds(ours) | M::Micros(ours) | M::Space(ours) = meaning {
                assert!(known.contains(ours), "{name}");
            }
        }
    }
}
