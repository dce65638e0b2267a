//! The kernel tier: this library against Linux, over TAP and TUN, each test in a network namespace of
//! its own.
//!
//! It has its own `main`, because a process with threads can enter no user namespace, and an
//! unprivileged one needs that first. Rights are found by trying. Where they cannot be had, the tests
//! are ignored and one line says why; with `NETLOOM_REQUIRE_TUN=1` they fail instead.
//!
//! | file | against the kernel |
//! |---|---|
//! | `control.rs` | `netloom ip`, which changes a running host |
//! | `device.rs` | TAP and TUN alone, without a stack |
//! | `echo.rs` | ping both ways |
//! | `bulk.rs` | TCP both ways, every byte hashed, in every combination of device and offload |
//! | `matrix.rs` | every pair of family, device, offload, congestion control, MTU, direction and loss |
//! | `tcp.rs` | ends, refusals, a thousand connections |
//! | `trace.rs` | the routers on a way, as `netloom trace` tells them |
//! | `udp.rs` | datagrams, super-segments, ICMP errors |
//! | `groups.rs` | groups both ways, and a bridge that listens to our reports |
//! | `paths.rs` | kernels as routers with narrow hops |
//! | `forwarding.rs` | a stack that passes packets on between two kernels |
//! | `several.rs` | a host of several devices, and `netloom route` |
//! | `vlans.rs` | VLANs over one device, with a kernel's at the other end |
//! | `web.rs` | axum and hyper, at curl, h2load and a server of the kernel's |
//! | `proxy.rs` | `netloom proxy` before microsocks and dante |
//! | `requests.rs` | a kernel's programs, whose connections this library decides about |
//! | `reconfigure.rs` | addresses, routes, links that change while the host runs |
//! | `routers.rs` | radvd's advertisements, a kernel's redirects |
//! | `dhcp.rs` | leases of dnsmasq |
//! | `capture.rs` | a capture that another program opens; one that fills the disk |
//! | `captures.rs` | captures of the kernel, replayed with a stack in its place and in ours |
//! | `recording.rs` | recorded runs, told again without it |
//! | `floods.rs` | a hostile neighbour on a bridge, while a flow runs |
//! | `failure.rs`, `failure/` | interfaces that go, hosts that are dropped, nothing left to open |
//! | `tool.rs` | the command-line tool: curl against `serve`, `demo`, `dump` |
//! | `names.rs` | names, asked for at dnsmasq |
//! | `programs.rs` | curl, socat, Python and ssh at the other end |
//! | `namespace.rs`, `link.rs`, `source.rs` | what the tests share |
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used)]

#[cfg(all(target_os = "linux", feature = "host"))]
mod auto;
#[cfg(all(target_os = "linux", feature = "host"))]
mod bulk;
#[cfg(all(target_os = "linux", feature = "host"))]
mod capture;
#[cfg(all(target_os = "linux", feature = "host"))]
mod captures;
#[cfg(all(target_os = "linux", feature = "host"))]
#[path = "../foreign/same.rs"]
mod captures_same;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod control;
#[cfg(all(target_os = "linux", feature = "host"))]
mod device;
#[cfg(all(target_os = "linux", feature = "host"))]
mod dhcp;
#[cfg(all(target_os = "linux", feature = "host"))]
mod echo;
#[cfg(all(target_os = "linux", feature = "host"))]
mod ecn;
#[cfg(all(target_os = "linux", feature = "host"))]
mod failure;
mod fast_open;
#[cfg(all(target_os = "linux", feature = "host"))]
mod floods;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod forwarding;
#[cfg(all(target_os = "linux", feature = "host"))]
mod groups;
#[cfg(all(target_os = "linux", feature = "host"))]
mod link;
#[cfg(all(target_os = "linux", feature = "host"))]
mod matrix;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod names;
#[cfg(all(target_os = "linux", feature = "host"))]
mod namespace;
#[cfg(all(target_os = "linux", feature = "host"))]
mod paths;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod programs;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod proxy;
#[cfg(all(target_os = "linux", feature = "host"))]
mod reconfigure;
#[cfg(all(target_os = "linux", feature = "host"))]
mod recording;
#[cfg(all(target_os = "linux", feature = "cli", feature = "tokio"))]
mod redis;
#[cfg(all(target_os = "linux", feature = "host"))]
mod requests;
#[cfg(all(target_os = "linux", feature = "host"))]
mod routers;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod several;
#[cfg(all(target_os = "linux", feature = "host"))]
mod source;
#[cfg(all(target_os = "linux", feature = "host"))]
mod tcp;
#[cfg(all(target_os = "linux", feature = "cli", feature = "tokio"))]
mod tls;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod tool;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod trace;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod translation;
#[cfg(all(target_os = "linux", feature = "host"))]
mod udp;
mod urgent;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod vlans;
#[cfg(all(target_os = "linux", feature = "cli", feature = "tokio"))]
mod web;

/// A test: its name, and what panics when it fails.
#[cfg(all(target_os = "linux", feature = "host"))]
type Test = (&'static str, fn());

#[cfg(all(target_os = "linux", feature = "host"))]
fn main() -> std::process::ExitCode {
    if let Some(code) = failure::descriptors::child() {
        return code;
    }
    let mut args = libtest_mimic::Arguments::from_args();
    // One at a time: a child between fork and exec holds a copy of every descriptor for a moment, and
    // with it the device that another test has just dropped.
    args.test_threads.get_or_insert(1);
    let rights = if args.list {
        Ok(())
    } else {
        namespace::enter()
    };
    let required = std::env::var_os("NETLOOM_REQUIRE_TUN").is_some_and(|value| value == "1");
    let mut tests: Vec<namespace::Case> = [
        device::TESTS,
        echo::TESTS,
        ecn::TESTS,
        tcp::TESTS,
        urgent::TESTS,
        udp::TESTS,
        groups::TESTS,
        paths::TESTS,
        requests::TESTS,
        reconfigure::TESTS,
        capture::TESTS,
        captures::TESTS,
        recording::TESTS,
        &failure::tests(),
    ]
    .concat()
    .into_iter()
    .map(namespace::Case::from)
    .collect();
    tests.extend(bulk::cases());
    tests.extend(matrix::cases());
    tests.extend(floods::cases());
    tests.extend(routers::cases());
    tests.extend(dhcp::cases());
    tests.extend(auto::cases());
    #[cfg(feature = "cli")]
    tests.extend(of_the_tool());
    let trials = tests
        .into_iter()
        .map(|case| case.trial(&rights, required))
        .collect();
    libtest_mimic::run(&args, trials).exit_code()
}

/// What needs the tool.
#[cfg(all(target_os = "linux", feature = "cli"))]
fn of_the_tool() -> Vec<namespace::Case> {
    [
        tool::cases(),
        trace::cases(),
        control::cases(),
        programs::cases(),
        fast_open::cases(),
        names::cases(),
        forwarding::cases(),
        several::cases(),
        translation::cases(),
        vlans::cases(),
        proxy::cases(),
        #[cfg(feature = "tokio")]
        redis::cases(),
        tls::cases(),
        web::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(not(all(target_os = "linux", feature = "host")))]
fn main() {}
