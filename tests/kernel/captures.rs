//! The captures of `tests/pcap/kernel`: the kernel over our TAP, each made anew and replayed from both sides.
//!
//! With `NETLOOM_WRITE_PCAP=1` what was made takes the place of what is in the folder; `tests/foreign` replays that
//! without a kernel. What is expected of a capture holds however fast it was made.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use netloom::base::Seed;
use netloom::capture::{Fed, ForeignReplay};
use netloom::device::{Chance, Impair, Tap, WireConfig};
use netloom::host::{self, Host};
use netloom::stack::ListenOptions;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use crate::Test;
use crate::capture::file;
use crate::captures_same::SAME;
use crate::echo::kernel_ping;
use crate::link::{
    PATIENCE, connected, eventually, kernel, kernel_accept, kernel_connect, kernel_counter,
    kernel_listener, kernel_udp, our_accept, our_connect, ours,
};

pub(crate) const TESTS: &[Test] = &[
    ("captures::of_a_handshake_of_the_kernels", || {
        made("in", false, 0, |host| {
            exchange(connected(host, false, true), 3000)
        });
    }),
    ("captures::of_a_handshake_of_ours_over_six", || {
        made("out_six", true, 0, |host| {
            exchange(connected(host, true, false), 3000)
        });
    }),
    ("captures::of_a_handshake_without_options", || {
        made("plain", false, 0, without_options);
    }),
    ("captures::of_loss_and_repair", || {
        made("loss", false, 5, |host| {
            exchange(connected(host, false, true), 60_000)
        });
        made("loss_six", true, 5, |host| {
            exchange(connected(host, true, false), 60_000)
        });
    }),
    ("captures::of_the_kernels_zero_window", || {
        made("zero_window", false, 0, their_zero_window);
    }),
    ("captures::of_our_zero_window", || {
        made("our_zero_window", false, 0, our_zero_window);
    }),
    ("captures::of_half_closes", || {
        made("half_close", false, 0, half_closes)
    }),
    ("captures::of_resets", || made("reset", false, 0, resets)),
    ("captures::of_refusals", || {
        made("refused", false, 0, |host| refusals(host, false));
        made("refused_six", true, 0, |host| refusals(host, true));
    }),
    ("captures::of_icmp_errors_and_pings", || {
        made("icmp", false, 0, |host| errors_and_pings(host, false));
        made("icmp_six", true, 0, |host| errors_and_pings(host, true));
    }),
    ("captures::of_the_kernels_keep_alive", || {
        made("keep_alive", false, 0, keep_alive);
    }),
];

/// Makes a capture of a host and the kernel, and replays it from both sides.
fn made(name: &str, six: bool, loss_percent: u32, run: fn(&Host)) {
    let path = file(&format!("kernel-made-{name}.pcapng"));
    let host = host_captured(&path, loss_percent);
    run(&host);
    let open = host.shutdown(PATIENCE);
    assert!(open == 0 || loss_percent > 0, "{open} still open");
    drop(host);
    for fed in [kernel(six), ours(six)] {
        replayed(&path, fed);
    }
    if std::env::var_os("NETLOOM_WRITE_PCAP").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pcap/kernel");
        fs::copy(&path, folder.join(format!("{name}.pcapng"))).unwrap();
    }
    fs::remove_file(&path).unwrap();
}

fn replayed(path: &PathBuf, fed: IpAddr) {
    let mut replay = ForeignReplay::open(path, Fed::From(fed)).unwrap();
    let report = replay.finish();
    assert!(report.is_sound(), "{fed}: {report}");
    assert!(report.fed > 0 && report.expected > 0, "{fed}: {report}");
    for class in SAME {
        assert_eq!(report.difference(class), None, "{fed}: {report}");
    }
}

fn host_captured(path: &Path, loss_percent: u32) -> Host {
    let mut tap = Tap::builder().name("nl0").offload(loss_percent == 0);
    for v6 in [false, true] {
        let address = format!("{}/{}", kernel(v6), if v6 { 64 } else { 24 });
        tap = tap.kernel_address(address.parse().unwrap());
    }
    let wire = || WireConfig::perfect().loss(Chance::percent(loss_percent));
    let device = Impair::new(tap.open().unwrap(), Seed::from_number(1));
    let mut builder = Host::builder(device.sending(wire()).receiving(wire()));
    for v6 in [false, true] {
        let address = format!("{}/{}", ours(v6), if v6 { 64 } else { 24 });
        builder = builder.address(address.parse().unwrap());
    }
    let host = builder.dad_transmits(0).capture(path).spawn().unwrap();
    host.wait_ready(PATIENCE).unwrap();
    host
}

/// So many bytes both ways, each told from the others, and an orderly end by us.
fn exchange((mut us, mut them): (host::TcpStream, TcpStream), len: usize) {
    let text: Vec<u8> = (0..len).map(|at| ((at * 31) >> 3) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut got = vec![0; len];
            them.read_exact(&mut got).unwrap();
            assert!(got == text);
            them.write_all(&got).unwrap();
            assert_eq!(them.read(&mut got).unwrap(), 0);
            them.shutdown(Shutdown::Write).unwrap();
        });
        us.write_all(&text).unwrap();
        let mut got = vec![0; len];
        us.read_exact(&mut got).unwrap();
        assert!(got == text);
        us.shutdown(Shutdown::Write).unwrap();
        assert_eq!(us.read(&mut got).unwrap(), 0);
    });
}

/// The kernel offers neither timestamps nor SACK nor a window scale.
fn without_options(host: &Host) {
    for name in ["timestamps", "sack", "window_scaling"] {
        let path = format!("/proc/sys/net/ipv4/tcp_{name}");
        fs::write(path, "0").expect("this namespace's settings");
    }
    exchange(connected(host, false, true), 10_000);
    exchange(connected(host, false, false), 10_000);
}

/// The kernel does not read, and we ask whether it does.
fn their_zero_window(host: &Host) {
    let (listener, at) = kernel_listener(false);
    setsockopt(&listener, sockopt::RcvBuf, &4096).unwrap();
    let mut us = our_connect(host, at);
    let mut them = kernel_accept(&listener);
    thread::scope(|scope| {
        let mut writer = us.try_clone().unwrap();
        scope.spawn(move || {
            writer.write_all(&[7; 40_000]).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        eventually("two probes", PATIENCE, || {
            let info = us.info().unwrap();
            info.snd_wnd == 0 && info.retransmits >= 2
        });
        let mut got = Vec::new();
        them.read_to_end(&mut got).unwrap();
        assert_eq!(got, [7; 40_000]);
    });
    drop(them);
    assert_eq!(us.read(&mut [0]).unwrap(), 0);
}

/// We do not read, and the kernel asks.
fn our_zero_window(host: &Host) {
    let options = netloom::tcp::TcpOptions::default();
    let options = options.recv_buffer_initial(8192).recv_buffer_max(8192);
    let listener = host.tcp_listen_with((ours(false), 0), ListenOptions::new(options));
    let listener = listener.unwrap();
    let mut them = kernel_connect(listener.local_addr().unwrap());
    let mut us = our_accept(&listener);
    thread::scope(|scope| {
        let mut writer = them.try_clone().unwrap();
        scope.spawn(move || {
            writer.write_all(&[7; 40_000]).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        eventually("two probes", PATIENCE, || {
            kernel_counter("netstat", "TcpExt:", "TCPWinProbe") >= 2
        });
        let mut got = Vec::new();
        us.read_to_end(&mut got).unwrap();
        assert_eq!(got, [7; 40_000]);
    });
    us.shutdown(Shutdown::Write).unwrap();
    assert_eq!(them.read(&mut [0]).unwrap(), 0);
}

/// One ends its stream and receives for longer: the kernel, then we.
fn half_closes(host: &Host) {
    let (mut us, mut them) = connected(host, false, true);
    them.write_all(&[1; 2000]).unwrap();
    them.shutdown(Shutdown::Write).unwrap();
    let mut got = Vec::new();
    us.read_to_end(&mut got).unwrap();
    us.write_all(&[2; 9000]).unwrap();
    us.shutdown(Shutdown::Write).unwrap();
    them.read_to_end(&mut got).unwrap();
    let (mut us, mut them) = connected(host, false, false);
    us.write_all(&[1; 2000]).unwrap();
    us.shutdown(Shutdown::Write).unwrap();
    them.read_to_end(&mut got).unwrap();
    them.write_all(&[2; 9000]).unwrap();
    drop(them);
    us.read_to_end(&mut got).unwrap();
    assert_eq!(got.len(), 22_000);
}

/// Either resets in the middle.
fn resets(host: &Host) {
    let now = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    for inward in [true, false] {
        let (mut us, mut them) = connected(host, false, inward);
        us.write_all(&[1; 500]).unwrap();
        them.read_exact(&mut [0; 500]).unwrap();
        setsockopt(&them, sockopt::Linger, &now).unwrap();
        drop(them);
        us.read(&mut [0]).unwrap_err();
        let (mut us, mut them) = connected(host, false, inward);
        them.write_all(&[1; 500]).unwrap();
        us.read_exact(&mut [0; 500]).unwrap();
        us.set_linger(Some(Duration::ZERO)).unwrap();
        drop(us);
        them.read(&mut [0]).unwrap_err();
    }
}

fn refusals(host: &Host, v6: bool) {
    TcpStream::connect_timeout(&(ours(v6), 9).into(), PATIENCE).unwrap_err();
    host.tcp_connect((kernel(v6), 9)).unwrap_err();
}

/// Datagrams to closed ports and questions that are answered, and pings, both ways.
fn errors_and_pings(host: &Host, v6: bool) {
    let us = host.udp_bind((ours(v6), 0)).unwrap();
    us.set_read_timeout(Some(PATIENCE)).unwrap();
    let them = kernel_udp((kernel(v6), 0).into());
    let mut buf = [0; 16];
    us.send_to(b"question", them.local_addr().unwrap()).unwrap();
    let (len, from) = them.recv_from(&mut buf).unwrap();
    them.send_to(&buf[..len], from).unwrap();
    us.recv_datagram().unwrap();
    let refused = host.udp_bind((ours(v6), 0)).unwrap();
    refused.set_read_timeout(Some(PATIENCE)).unwrap();
    refused.connect((kernel(v6), 9)).unwrap();
    refused.send(b"nobody").unwrap();
    refused.recv_datagram().unwrap_err();
    let refused = kernel_udp((kernel(v6), 0).into());
    refused.connect((ours(v6), 9)).unwrap();
    refused.send(b"nobody").unwrap();
    refused.recv(&mut buf).unwrap_err();
    kernel_ping(ours(v6), 1, 56).unwrap();
    host.ping(kernel(v6), PATIENCE).unwrap();
}

/// The kernel asks twice whether we are still there.
fn keep_alive(host: &Host) {
    let (us, them) = connected(host, false, true);
    setsockopt(&them, sockopt::TcpKeepIdle, &1).unwrap();
    setsockopt(&them, sockopt::TcpKeepInterval, &1).unwrap();
    setsockopt(&them, sockopt::KeepAlive, &true).unwrap();
    let asked = || kernel_counter("netstat", "TcpExt:", "TCPKeepAlive");
    eventually("two probes", PATIENCE, || asked() >= 2);
    exchange((us, them), 10);
}
