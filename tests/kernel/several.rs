//! A host of two devices, each with a kernel behind it in a namespace of its own; and `netloom route` between them.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use netloom::capture::Reader;
use netloom::device::Tap;
use netloom::host::Host;
use netloom::stack::InterfaceConfig;
use nix::sys::signal::Signal;

use crate::forwarding::{exchange, told, with};
use crate::link::{PATIENCE, eventually, kernel_accept, kernel_connect};
use crate::namespace::{Case, ip};
use crate::paths::Place;
use crate::programs::{Peer, listening};
use crate::tool::{Tool, count, file};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        with(
            &["ping"],
            "several::two_kernels_reach_one_host",
            two_kernels,
        ),
        Case::new("several::an_interface_that_goes", interface_that_goes),
        with(
            &["ping", "traceroute", "curl"],
            "several::route_passes_on",
            route_passes_on,
        ),
        with(
            &["iperf3"],
            "several::iperf_through_route",
            iperf_through_route,
        ),
        with(&["ping"], "several::route_over_tun", route_over_tun),
        with(
            &["ping", "traceroute", "curl"],
            "several::route_with_nat",
            route_with_nat,
        ),
    ]
}

/// The kernel's side of a network is .2, ours .1.
pub(crate) fn addresses(net: u8, host: u8) -> [String; 2] {
    [
        format!("10.{net}.0.{host}/24"),
        format!("fd0{net}::{host}/64"),
    ]
}

/// A TAP in a namespace, whose kernel sends what is for others to us.
pub(crate) fn tap(place: &Place, net: u8) -> Tap {
    place.run(move || {
        let mut tap = Tap::builder().name("nl0");
        for address in addresses(net, 2) {
            tap = tap.kernel_address(address.parse().unwrap());
        }
        let tap = tap.open().unwrap();
        leads(net);
        tap
    })
}

/// The kernel's default routes lead to us.
fn leads(net: u8) {
    ip(&format!("route add default via 10.{net}.0.1"));
    ip(&format!("-6 route add default via fd0{net}::1"));
}

pub(crate) fn ours(mut config: InterfaceConfig, net: u8) -> InterfaceConfig {
    for address in addresses(net, 1) {
        config = config.address(address.parse().unwrap());
    }
    config.dad_transmits(0)
}

/// A host between two namespaces that passes nothing on.
fn between() -> (Host, [Place; 2]) {
    let places = [Place::new(), Place::new()];
    let host = Host::builder(tap(&places[0], 7))
        .interface(|config| ours(config, 7))
        .attach(tap(&places[1], 8), |config| ours(config, 8))
        .spawn()
        .unwrap();
    host.wait_ready(PATIENCE).unwrap();
    (host, places)
}

/// One connection each way between the host and the kernel of a network, both families.
pub(crate) fn talks(host: &Host, place: &Place, net: u8) {
    for [own, peer] in [
        [format!("10.{net}.0.1"), format!("10.{net}.0.2")],
        [format!("fd0{net}::1"), format!("fd0{net}::2")],
    ] {
        let (own, peer): (IpAddr, IpAddr) = (own.parse().unwrap(), peer.parse().unwrap());
        let listener = host.tcp_listen((own, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let mut kernel = place.run(move || kernel_connect(to));
        let (mut stream, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), peer);
        let listener = place.run(move || TcpListener::bind((peer, 0)).unwrap());
        let to = listener.local_addr().unwrap();
        let mut out = host.tcp_connect_timeout(to, PATIENCE).unwrap();
        assert_eq!(out.local_addr().unwrap().ip(), own);
        let mut accepted = kernel_accept(&listener);
        for (from, to) in [
            (&mut kernel as &mut dyn Write, &mut stream as &mut dyn Read),
            (&mut out, &mut accepted),
        ] {
            from.write_all(b"hello").unwrap();
            let mut heard = [0; 5];
            to.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"hello");
        }
    }
}

/// Routes say by which device a packet leaves; nobody is reached at, or through, the other one.
fn two_kernels() {
    let (host, places) = between();
    for (net, place) in [7, 8].into_iter().zip(&places) {
        let own = [format!("10.{net}.0.1"), format!("fd0{net}::1")];
        for to in own {
            place.run(move || pings(&to)).unwrap();
        }
        host.ping(format!("10.{net}.0.2").parse().unwrap(), PATIENCE)
            .unwrap();
        talks(&host, place, net);
    }
    for to in ["10.8.0.1", "10.8.0.2", "fd08::1", "fd08::2"] {
        assert!(places[0].run(|| pings(to)).is_err(), "{to}");
    }
    assert_eq!(host.counters().packets_forwarded, 0);
}

/// Two pings, as ping(8) sends them.
fn pings(to: &str) -> Result<(), String> {
    let mut ping = Command::new("ping");
    ping.args(["-c", "2", "-i", "0.2", "-W", "1", to]);
    let output = ping.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(())
    } else {
        Err(text)
    }
}

/// The host goes on with the other; and one that is taken away in order leaves nothing behind.
fn interface_that_goes() {
    let (host, places) = between();
    let second = host.interfaces()[1].clone();
    places[1].run(|| ip("link del nl0"));
    // Until its end.
    second.changes().iter().for_each(drop);
    assert_eq!(host.interfaces().len(), 1);
    let error = host.on(second.id()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    talks(&host, &places[0], 7);
    let third = host.attach(tap(&places[1], 8), |config| ours(config, 8));
    let third = third.unwrap();
    talks(&host, &places[1], 8);
    host.detach(third.id()).unwrap();
    eventually("its interface is gone", PATIENCE, || {
        let links = places[1].run(|| ip("-o link show"));
        !links.contains("nl0")
    });
    talks(&host, &places[0], 7);
    assert!(host.error().is_none());
}

/// `netloom route` between two namespaces, whose kernels both have it as their router.
fn route(kind: &str, more: &[&str]) -> (Tool, [Place; 2]) {
    let (tool, places) = route_between(kind, [&[], more]);
    for (net, place) in [7, 8].into_iter().zip(&places) {
        place.run(move || leads(net));
    }
    (tool, places)
}

/// The same with options of either side, and no routes yet.
fn route_between(kind: &str, options: [&[&str]; 2]) -> (Tool, [Place; 2]) {
    let places = [Place::new(), Place::new()];
    let mut args = vec!["route".to_owned()];
    for ((net, place), more) in [7, 8].into_iter().zip(&places).zip(options) {
        let pid = std::process::id();
        args.extend([format!("--{kind}"), "nl0".to_owned()]);
        args.extend([
            "--netns".to_owned(),
            format!("/proc/{pid}/task/{}/ns/net", place.thread),
        ]);
        for (kernel, own) in addresses(net, 2).into_iter().zip(addresses(net, 1)) {
            args.extend(["--kernel-address".to_owned(), kernel]);
            args.extend(["--address".to_owned(), own]);
        }
        args.extend(more.iter().map(|&word| word.to_owned()));
    }
    (Tool::ready(args), places)
}

fn route_passes_on() {
    let capture = file("kernel-route.pcapng");
    let (tool, [left, right]) = route("tap", &["--capture", capture.to_str().unwrap()]);
    for to in ["10.8.0.2", "fd08::2", "10.8.0.1", "fd08::1"] {
        left.run(move || pings(to)).unwrap();
    }
    for (command, hop) in [
        ("traceroute -n -q 1 -w 2 10.8.0.2", "10.7.0.1"),
        ("traceroute -6 -n -q 1 -w 2 fd08::2", "fd07::1"),
    ] {
        let text = told(&left, command);
        let hops: Vec<&str> = text.lines().skip(1).collect();
        assert!(hops.len() == 2 && hops[0].contains(hop), "{text}");
    }
    for at in ["10.8.0.2:0", "[fd08::2]:0"] {
        let at: SocketAddr = at.parse().unwrap();
        let listener = right.run(move || TcpListener::bind(at).unwrap());
        let to = listener.local_addr().unwrap();
        let near = left.run(move || kernel_connect(to));
        exchange(&near, &kernel_accept(&listener), 5_000_000);
    }
    let page = page_at(&right, "10.8.0.2:80");
    assert_eq!(told(&left, "curl -sS http://10.8.0.2/page"), "hello");
    page.join().unwrap();
    let counters = tool.counters(Signal::SIGTERM);
    assert!(count(&counters, "packets_forwarded") > 500, "{counters:?}");
    let lost = ["device_lost_inbound", "device_2_lost_inbound"];
    for name in lost {
        assert!(counters.iter().any(|(other, _)| other == name), "{name}");
    }
    let frames = Reader::open(&capture).unwrap();
    let seen: Vec<u32> = frames.map(|frame| frame.interface).collect();
    assert!(seen.contains(&0) && seen.contains(&1));
}

/// A server of one page, and who asked for it.
fn page_at(place: &Place, at: &'static str) -> JoinHandle<IpAddr> {
    let page = place.run(move || TcpListener::bind(at).unwrap());
    thread::spawn(move || {
        let (mut stream, from) = page.accept().unwrap();
        let mut asked = [0; 1000];
        let len = stream.read(&mut asked).unwrap();
        assert!(asked[..len].starts_with(b"GET /page "));
        let answer = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).unwrap();
        from.ip()
    })
}

/// Nobody outside knows of the network inside, nor reaches more of it than the port that leads there.
fn route_with_nat() {
    let nat = ["--nat", "--forward", "tcp:8080=10.7.0.2:80"];
    let (tool, [inside, outside]) = route_between("tap", [&[], &nat]);
    inside.run(|| leads(7));
    inside.run(|| pings("10.8.0.2")).unwrap();
    let text = told(&inside, "traceroute -n -q 1 -w 2 10.8.0.2");
    assert!(text.lines().nth(1).unwrap().contains("10.7.0.1"), "{text}");
    assert!(text.lines().nth(2).unwrap().contains("10.8.0.2"), "{text}");
    let page = page_at(&outside, "10.8.0.2:80");
    assert_eq!(told(&inside, "curl -sS http://10.8.0.2/page"), "hello");
    let us: IpAddr = "10.8.0.1".parse().unwrap();
    assert_eq!(page.join().unwrap(), us);
    let page = page_at(&inside, "10.7.0.2:80");
    assert_eq!(
        told(&outside, "curl -sS http://10.8.0.1:8080/page"),
        "hello"
    );
    assert_eq!(page.join().unwrap(), "10.8.0.2".parse::<IpAddr>().unwrap());
    outside.run(|| leads(8));
    assert!(outside.run(|| pings("10.7.0.2")).is_err());
    drop(tool.counters(Signal::SIGTERM));
}

fn iperf_through_route() {
    let (tool, [left, right]) = route("tap", &[]);
    let server = right.run(|| {
        let mut server = Command::new("iperf3");
        server.args(["-s", "-1", "-B", "10.8.0.2"]);
        server.stdout(Stdio::null()).spawn().unwrap()
    });
    let server = Peer::of(server);
    eventually("iperf3 listens", PATIENCE, || {
        right.run(|| listening(false, 5201))
    });
    told(&left, "iperf3 -c 10.8.0.2 -P 4 -t 2 --bidir");
    server.end();
    let counters = tool.counters(Signal::SIGINT);
    assert!(count(&counters, "packets_forwarded") > 1000, "{counters:?}");
}

/// Without link addresses, and when one of the devices goes.
fn route_over_tun() {
    let (mut tool, [left, right]) = route("tun", &["--no-offload"]);
    for to in ["10.8.0.2", "fd08::2"] {
        left.run(move || pings(to)).unwrap();
    }
    right.run(|| ip("link del nl0"));
    let text = tool.noted();
    assert!(text.contains("the device nl0 is gone"), "{text}");
    left.run(|| pings("10.7.0.1")).unwrap();
    let (status, errors) = tool.ended(Signal::SIGTERM);
    assert!(status.success() && errors.is_empty(), "{status} {errors}");
}
