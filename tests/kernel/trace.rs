//! `netloom trace` over kernels as routers, and a raw socket against the kernel's.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

use crate::namespace::{Case, ip};
use crate::paths::{Place, lay_all};
use crate::tool::NETLOOM;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("trace::routers_are_told_in_order", in_order),
        Case::new("trace::what_goes_no_further_is_marked", marked),
    ]
}

/// A kernel that tells of each probe.
pub(crate) fn tell_all() {
    for limit in ["ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"] {
        fs::write(format!("/proc/sys/net/{limit}"), "0").expect("this namespace's settings");
    }
}

fn trace(to: &str, more: &[&str]) -> Output {
    let mut command = Command::new(NETLOOM);
    command.args(["trace", "--tap", "nl0", "--kernel-address", "10.7.0.1/24"]);
    command.args(["--kernel-address", "fd07::1/64", "--address", "10.7.0.2/24"]);
    command.args(["--address", "fd07::2/64", "--gateway", "10.7.0.1"]);
    command.args(["--gateway", "fd07::1", "-q", "2", to]);
    command.args(more).output().unwrap()
}

fn routers(v6: bool) -> (Place, Place) {
    ip("link set lo up");
    let (between, far) = lay_all(v6, [1500, 1500]);
    tell_all();
    between.run(tell_all);
    far.run(tell_all);
    (between, far)
}

/// Each kind of probe, of one flow and of many, to a port that is open and to one that is not.
fn in_order() {
    for (v6, hops) in [
        (false, ["10.7.0.1", "10.9.0.2", "10.8.0.2"]),
        (true, ["fd07::1", "fd09::2", "fd08::2"]),
    ] {
        Place::new().run(move || {
            let (_between, far) = routers(v6);
            let _open = far.run(|| TcpListener::bind("[::]:9").unwrap());
            let rows: [&[&str]; 7] = [
                &[],
                &["--udp", "-p", "40000"],
                &["--no-paris"],
                &["--icmp"],
                &["--icmp", "--no-paris"],
                &["--tcp", "9"],
                &["--tcp", "8", "--no-paris"],
            ];
            for row in rows {
                let output = trace(hops[2], row);
                let text = String::from_utf8(output.stdout).unwrap();
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{row:?}: {text}{errors}");
                let mut lines = text.lines();
                let head = format!("traceroute to {0} ({0}), 30 hops max, ", hops[2]);
                assert!(lines.next().unwrap().starts_with(&head), "{text}");
                let lines: Vec<&str> = lines.collect();
                assert_eq!(lines.len(), 3, "{row:?}: {text}");
                for ((line, hop), number) in lines.into_iter().zip(hops).zip(1..) {
                    let begin = format!(" {number}  {hop}  ");
                    assert!(line.starts_with(&begin), "{row:?}: {text}");
                    assert_eq!(line.matches(" ms").count(), 2, "{row:?}: {text}");
                }
            }
        });
    }
}

/// What a router refuses ends the trace; who is silent has stars.
fn marked() {
    let (between, far) = routers(true);
    for words in [
        "route add 10.8.1.0/24 via 10.9.0.2",
        "route add fd0a::/64 via fd09::2",
        "route add 10.8.2.0/24 via 10.9.0.2",
    ] {
        ip(words);
    }
    between.run(|| {
        ip("route add prohibit 10.8.1.0/24");
        ip("route add unreachable fd0a::/64");
        ip("route add blackhole 10.8.2.0/24");
    });
    for (to, mark) in [("10.8.1.1", "!X"), ("fd0a::1", "!N")] {
        let output = trace(to, &["-w", "10"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let last = text.lines().last().unwrap();
        assert!(last.ends_with(mark) && last.starts_with(" 2  "), "{text}");
    }
    let output = trace("10.8.2.1", &["-m", "3", "-w", "0.3"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.ends_with("\n 2  * *\n 3  * *\n"), "{text}");
    assert!(errors.contains("not reached in 3 hops"), "{errors}");
    drop(far);
}
