//! TAP and TUN themselves, without a stack: what the kernel sends is read, what it is sent it takes.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant as Clock};

use netloom::base::checksum::Sum;
use netloom::base::{Instant, Seed};
use netloom::bytes::Bytes;
use netloom::device::{
    Capabilities, Coalesce, Device, DeviceDrop, DeviceError, DeviceWatch, Impair, Medium,
    OpenError, Receive, RxBatch, Sent, Tap, Transmit, Tun, TunTapTx,
};
use netloom::host::{Host, SpawnError};
use netloom::link::{
    PartialChecksum, RxChecksum, RxFrame, SegmentKind, Segmentation, TxFrame, TxMeta,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Test;
use crate::namespace::ip;

pub(crate) const TESTS: &[Test] = &[
    ("device::a_tap_is_usable_when_open_returns", a_tap_is_usable),
    ("device::a_tun_is_usable_when_open_returns", a_tun_is_usable),
    ("device::the_kernels_arp_request_is_read", arp_is_read),
    (
        "device::settings_reach_the_kernel",
        settings_reach_the_kernel,
    ),
    (
        "device::a_queue_that_somebody_else_made_keeps_its_length",
        queue_of_another,
    ),
    (
        "device::what_the_kernels_queue_does_not_hold_is_counted",
        queue_overflow_is_counted,
    ),
    ("device::r65_names", r65_names),
    (
        "device::r65_refusals_are_typed_and_leave_nothing_open",
        r65_refusals_are_typed_and_leave_nothing_open,
    ),
    ("device::gone_on_drop_unless_persistent", gone_on_drop),
    ("device::r65_from_fd_is_non_blocking", r65_from_fd),
    ("device::from_fd_takes_nothing_of_a_namesake", namesake),
    ("device::queues", queues),
    ("device::r66_a_link_that_is_down_is_survived", r66_link_down),
    ("device::a_deleted_interface_ends_the_device", deleted),
    ("device::super_segments_come_in", super_segments_come_in),
    (
        "device::coalesced_segments_come_in",
        coalesced_segments_come_in,
    ),
    (
        "device::r68_stale_offloads_are_set_anew",
        r68_stale_offloads,
    ),
    (
        "device::tcp_super_segments_go_out",
        tcp_super_segments_go_out,
    ),
    (
        "device::udp_super_segments_go_out",
        udp_super_segments_go_out,
    ),
];

const NOW: Instant = Instant::ZERO;
const PATIENCE: Duration = Duration::from_secs(5);

/// A device on an IP medium or its like, driven by hand.
struct Wire {
    capabilities: Capabilities,
    fd: OwnedFd,
    rx: Box<dyn Receive>,
    tx: TunTapTx,
    pending: Vec<RxFrame>,
}

impl Wire {
    fn new<D: Device<Tx = TunTapTx>>(fd: OwnedFd, device: D) -> Self
    where
        D::Rx: 'static,
    {
        let capabilities = *device.capabilities();
        let (rx, tx) = device.split();
        Self {
            capabilities,
            fd,
            rx: Box::new(rx),
            tx,
            pending: Vec::new(),
        }
    }

    fn of<D: Device<Tx = TunTapTx> + AsFd>(device: D) -> Self
    where
        D::Rx: 'static,
    {
        Self::new(device.as_fd().try_clone_to_owned().unwrap(), device)
    }

    /// The next frame that `wanted` makes something of.
    fn next<T>(&mut self, mut wanted: impl FnMut(&RxFrame) -> Option<T>) -> T {
        let until = Clock::now() + PATIENCE;
        loop {
            while !self.pending.is_empty() {
                if let Some(found) = wanted(&self.pending.remove(0)) {
                    return found;
                }
            }
            assert!(Clock::now() < until, "no such frame came");
            let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(100u8)).unwrap();
            let mut batch = RxBatch::new(16);
            self.rx.receive(NOW, &mut batch).unwrap();
            self.pending.extend(batch.drain());
        }
    }

    fn send(&mut self, frame: &TxFrame<'_>) -> Sent {
        self.tx.transmit(NOW, frame).unwrap()
    }
}

fn tun(offload: bool) -> Wire {
    let builder = Tun::builder()
        .name("nl0")
        .kernel_address("10.7.0.1/24".parse().unwrap())
        .kernel_address("fd00::1/64".parse().unwrap());
    Wire::of(builder.offload(offload).open().unwrap())
}

const KERNEL: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 7, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
];
const OURS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 7, 0, 2)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
];

/// An IP header from us to the kernel for `transport` bytes, and the sum of its pseudo-header.
fn ip_header(v6: bool, protocol: u8, transport: usize) -> (Vec<u8>, Sum) {
    let transport = u16::try_from(transport).unwrap();
    let mut header = Vec::new();
    let addresses: Vec<u8> = match (OURS[usize::from(v6)], KERNEL[usize::from(v6)]) {
        (IpAddr::V4(a), IpAddr::V4(b)) => [a.octets(), b.octets()].concat(),
        (IpAddr::V6(a), IpAddr::V6(b)) => [a.octets(), b.octets()].concat(),
        _ => unreachable!("both of one family"),
    };
    if v6 {
        header.extend([0x60, 0, 0, 0]);
        header.extend(transport.to_be_bytes());
        header.extend([protocol, 64]);
        header.extend(&addresses);
    } else {
        header.extend([0x45, 0]);
        header.extend((transport + 20).to_be_bytes());
        header.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
        header.extend(&addresses);
        let sum = Sum::new().bytes(&header).finish();
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    let pseudo = Sum::new()
        .bytes(&addresses)
        .word(u16::from(protocol))
        .word(transport);
    (header, pseudo)
}

/// Our end of a TCP connection to the kernel's `port`.
struct Peer {
    v6: bool,
    local: u16,
    remote: u16,
    seq: u32,
    ack: u32,
}

const SYN: u8 = 2;
const PSH_ACK: u8 = 0x18;
const ACK: u8 = 0x10;

impl Peer {
    /// Sends text with a partial checksum, as a super-segment when it is longer than `mss`.
    fn send(&mut self, wire: &mut Wire, flags: u8, text: &[Bytes], mss: u16) -> Sent {
        let len: usize = text.iter().map(Bytes::len).sum();
        let options: &[u8] = if flags & SYN != 0 {
            &[2, 4, 5, 0xb4]
        } else {
            &[]
        };
        let tcp_len = 20 + options.len();
        let (mut headers, pseudo) = ip_header(self.v6, 6, tcp_len + len);
        let start = headers.len() as u16;
        headers.extend(self.local.to_be_bytes());
        headers.extend(self.remote.to_be_bytes());
        headers.extend(self.seq.to_be_bytes());
        headers.extend(self.ack.to_be_bytes());
        headers.extend([(tcp_len * 4) as u8, flags, 0xff, 0xff]);
        headers.extend(pseudo.partial().to_be_bytes());
        headers.extend([0, 0]);
        headers.extend(options);
        let partial = PartialChecksum { start, offset: 16 };
        let kind = if self.v6 {
            SegmentKind::Tcp6
        } else {
            SegmentKind::Tcp4
        };
        let segment = (len > usize::from(mss)).then(|| Segmentation {
            kind,
            size: mss.try_into().unwrap(),
        });
        let sent = wire.send(&TxFrame::new(
            &headers,
            text,
            TxMeta::offload(partial, segment),
        ));
        self.seq = self
            .seq
            .wrapping_add(len as u32 + u32::from(flags & SYN != 0));
        sent
    }

    /// Waits for a segment of this connection; returns its flags and text and remembers its end.
    fn receive(&mut self, wire: &mut Wire) -> (u8, RxFrame, usize) {
        let (v6, local) = (self.v6, self.local);
        let (seq, port, flags, frame, header) = wire.next(|frame| {
            let data = &frame.data;
            let l4 = if v6 { 40 } else { 20 };
            let ours = data[0] >> 4 == if v6 { 6 } else { 4 } && data[if v6 { 6 } else { 9 }] == 6;
            let tcp = data.get(l4..).filter(|_| ours)?;
            let to = u16::from_be_bytes([tcp[2], tcp[3]]);
            let header = l4 + usize::from(tcp[12] >> 4) * 4;
            let seq = u32::from_be_bytes(tcp[4..8].try_into().unwrap());
            let from = u16::from_be_bytes([tcp[0], tcp[1]]);
            (to == local).then(|| (seq, from, tcp[13], frame.clone(), header))
        });
        self.remote = port;
        let text = (frame.data.len() - header) as u32;
        self.ack = seq.wrapping_add(text + u32::from(flags & SYN != 0));
        (flags, frame, header)
    }
}

/// Connects from us to a listener of the kernel's.
fn connect(wire: &mut Wire, v6: bool) -> (Peer, TcpStream) {
    let listener = TcpListener::bind(SocketAddr::new(KERNEL[usize::from(v6)], 0)).unwrap();
    let mut peer = Peer {
        v6,
        local: 5000,
        remote: listener.local_addr().unwrap().port(),
        seq: u32::MAX - 10_000,
        ack: 0,
    };
    assert_eq!(peer.send(wire, SYN, &[], 1460), Sent::Taken);
    assert_eq!(peer.receive(wire).0, SYN | ACK);
    assert_eq!(peer.send(wire, ACK, &[], 1460), Sent::Taken);
    (peer, listener.accept().unwrap().0)
}

fn a_tap_is_usable() {
    let tap = Tap::builder()
        .name("nl0")
        .kernel_address("10.7.0.1/24".parse().unwrap())
        .kernel_address("fd00::1/64".parse().unwrap())
        .open()
        .unwrap();
    // Binding to a tentative IPv6 address would fail.
    for address in KERNEL {
        UdpSocket::bind(SocketAddr::new(address, 0)).unwrap();
    }
    assert_eq!(tap.name(), "nl0");
    let shown = ip("-o link show nl0");
    assert!(
        shown.starts_with(&format!("{}: nl0", tap.index())),
        "{shown}"
    );
    assert!(shown.contains(",UP"), "{shown}");
    assert!(
        shown.contains(&tap.kernel_mac().unwrap().to_string()),
        "{shown}"
    );
    let capabilities = tap.capabilities();
    assert_eq!(
        (capabilities.medium, capabilities.mtu),
        (Medium::Ethernet, 1500)
    );
    assert_eq!(capabilities.queue_frames, Some(10_000));
    assert!(tap.offloads().checksum && tap.offloads().tso);
    assert!(capabilities.receives_super_segments && capabilities.tso4 && capabilities.tso6);
    let mut batch = RxBatch::new(64);
    let (mut rx, _tx) = tap.split();
    while rx.receive(NOW, &mut batch).unwrap() > 0 {
        batch.drain().for_each(drop);
    }
}

fn a_tun_is_usable() {
    for offload in [true, false] {
        let tun = Tun::builder()
            .name("nl0")
            .kernel_address("10.7.0.1/24".parse().unwrap())
            .kernel_address("fd00::1/64".parse().unwrap())
            .offload(offload)
            .open()
            .unwrap();
        let capabilities = *tun.capabilities();
        assert_eq!((capabilities.medium, capabilities.mtu), (Medium::Ip, 1500));
        assert!(capabilities.checksum && capabilities.tso4 && capabilities.uso);
        assert_eq!(tun.offloads().tso, offload);
        assert_eq!(capabilities.receives_super_segments, offload);
        let mut wire = Wire::of(tun);
        for (v6, address) in KERNEL.into_iter().enumerate() {
            let socket = UdpSocket::bind(SocketAddr::new(address, 0)).unwrap();
            socket.send_to(b"over the wire", (OURS[v6], 9)).unwrap();
            let frame = wire.next(|f| f.data.ends_with(b"over the wire").then(|| f.clone()));
            assert_eq!(frame.data[0] >> 4, if v6 == 1 { 6 } else { 4 });
            let partial = matches!(frame.meta.checksum, RxChecksum::Partial(_));
            assert_eq!(partial, offload, "{:?}", frame.meta);
        }
    }
}

fn arp_is_read() {
    for offload in [true, false] {
        let tap = Tap::builder()
            .name("nl0")
            .kernel_address("10.7.0.1/24".parse().unwrap())
            .offload(offload)
            .open()
            .unwrap();
        let mac = tap.kernel_mac().unwrap().octets();
        let mut wire = Wire::of(tap);
        let socket = UdpSocket::bind("10.7.0.1:0").unwrap();
        socket.send_to(b"who has", "10.7.0.2:9").unwrap();
        let asked = wire.next(|f| (f.data[12..14] == [8, 6]).then(|| f.data.clone()));
        assert_eq!(asked[22..28], mac);
        assert_eq!(asked[38..42], [10, 7, 0, 2]);
        let ours = [2, 0, 0, 0, 0, 2];
        let mut answer = [&mac[..], &ours, &asked[12..20], &[0, 2], &ours].concat();
        answer.extend([10, 7, 0, 2]);
        answer.extend(mac);
        answer.extend([10, 7, 0, 1]);
        assert_eq!(
            wire.send(&TxFrame::new(&answer, &[], TxMeta::PLAIN)),
            Sent::Taken
        );
        wire.next(|f| f.data.ends_with(b"who has").then_some(()));
    }
}

fn settings_reach_the_kernel() {
    let tap = Tap::builder()
        .name("nl0")
        .mtu(9000)
        .txqueuelen(77)
        .kernel_address("10.7.0.1/24".parse().unwrap())
        .kernel_address("10.8.0.1/16".parse().unwrap())
        .kernel_address("fd00::1/64".parse().unwrap())
        .kernel_address("fe80::1/64".parse().unwrap())
        .open()
        .unwrap();
    assert_eq!(
        (tap.capabilities().mtu, tap.capabilities().queue_frames),
        (9000, Some(77))
    );
    let shown = ip("-o addr show nl0");
    for address in [
        "10.7.0.1/24 brd 10.7.0.255",
        "10.8.0.1/16",
        "fd00::1/64",
        "fe80::1/64 scope link",
    ] {
        assert!(shown.contains(address), "{address} in {shown}");
    }
    for line in shown.lines().filter(|line| line.contains("nodad")) {
        assert!(!line.contains("tentative"), "{line}");
    }
    assert!(shown.matches("nodad").count() == 2, "{shown}");
}

fn queue_of_another() {
    let frames = |tap: &Tap| tap.capabilities().queue_frames;
    ip("tuntap add nl0 mode tap");
    ip("link set nl0 txqueuelen 300");
    let tap = Tap::builder().name("nl0").open().unwrap();
    assert_eq!(frames(&tap), Some(300));
    drop(tap);
    let tap = Tap::builder().name("nl0").txqueuelen(301).open().unwrap();
    assert_eq!(frames(&tap), Some(301));
    let made = Tap::builder().name("nl%d").open().unwrap();
    assert_eq!((made.name(), frames(&made)), ("nl1", Some(10_000)));
}

/// The count begins with the device, is one of this interface alone, and outlives it.
fn queue_overflow_is_counted() {
    let flood = |to: &str, count: u64| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for _ in 0..count {
            socket.send_to(b"x", to).unwrap();
        }
    };
    let open = |name: &str, address: &str| {
        let tap = Tap::builder().name(name).txqueuelen(4).persist(true);
        let tap = tap.kernel_address(address.parse().unwrap()).open().unwrap();
        ip(&format!(
            "neigh replace 10.{}.0.9 lladdr 02:00:00:00:00:09 dev {name}",
            &address[3..4]
        ));
        tap
    };
    let (first, other) = (open("nl0", "10.7.0.1/24"), open("nl1", "10.8.0.1/24"));
    flood("10.7.0.9:9", 100);
    let lost = |watch: &dyn DeviceWatch| watch.counters().lost_inbound;
    // The kernel may queue a few packets of its own, which are lost or take a place each.
    let at_first = lost(&*first.watch().unwrap());
    assert!((96..=100 + 20).contains(&at_first), "{at_first} lost");
    assert!(lost(&*other.watch().unwrap()) <= 20);
    drop(first);
    let again = open("nl0", "10.7.0.1/24");
    let watch = again.watch().unwrap();
    assert!(lost(&*watch) <= 20, "others' losses");
    flood("10.7.0.9:9", 50);
    let counted = lost(&*watch);
    assert!((46..=50 + 20).contains(&counted), "{counted} lost");
    drop(again);
    ip("link del nl0");
    assert_eq!(lost(&*watch), counted);
}

fn r65_names() {
    let longest = Tap::builder().name("abcdefghijklmno").open().unwrap();
    assert_eq!(longest.name(), "abcdefghijklmno");
    let numbered = [
        Tun::builder().name("nl%d").open().unwrap(),
        Tun::builder().name("nl%d").open().unwrap(),
    ];
    assert_eq!([numbered[0].name(), numbered[1].name()], ["nl0", "nl1"]);
    assert_eq!(Tap::builder().open().unwrap().name(), "tap0");
}

/// An interface that is not persistent lives as long as its descriptor: none is left, none was leaked.
fn r65_refusals_are_typed_and_leave_nothing_open() {
    let held = Tap::builder().name("nl0").open().unwrap();
    let busy = Tap::builder().name("nl0").open();
    assert!(matches!(busy, Err(OpenError::Busy { .. })), "{busy:?}");
    for (name, deletable) in [("nl0", true), ("lo", false)] {
        let kind = Tun::builder().name(name).open();
        assert!(
            matches!(kind, Err(OpenError::WrongKind { tun_tap, .. }) if tun_tap == deletable),
            "{kind:?}"
        );
    }
    drop(held);
    let mtu = Tap::builder().name("nl1").mtu(70_000).open();
    assert!(
        matches!(mtu, Err(OpenError::Mtu { mtu: 70_000, .. })),
        "{mtu:?}"
    );
    let address = "ff02::1/64".parse().unwrap();
    let refused = Tap::builder()
        .name("nl1")
        .kernel_address(address)
        .persist(true)
        .open();
    assert!(
        matches!(refused, Err(OpenError::Address { .. })),
        "{refused:?}"
    );
    assert!(!ip("-o link").contains("nl1"), "nothing stays behind");
}

fn gone_on_drop() {
    let there = || ip("-o link").contains("nl0");
    let (rx, tx) = Tap::builder().name("nl0").open().unwrap().split();
    drop(rx);
    assert!(there());
    drop(tx);
    assert!(!there());
    let address = "10.7.0.1/24".parse().unwrap();
    let builder = Tap::builder().name("nl0").mtu(1400).kernel_address(address);
    drop(builder.persist(true).owner(0).open().unwrap());
    assert!(there());
    assert!(
        ip("-d link show nl0").contains(" user "),
        "{}",
        ip("-d link show nl0")
    );
    let again = Tap::builder().name("nl0").open().unwrap();
    assert_eq!(again.capabilities().mtu, 1400, "what is not set stays");
    assert!(ip("-o addr show nl0").contains("10.7.0.1/24"));
    drop(again);
    assert!(there(), "persistence is a thing that is not set");
    drop(Tap::builder().name("nl0").persist(false).open().unwrap());
    assert!(!there());
}

fn r65_from_fd() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let tap = Tap::builder().name("nl0").mtu(1400).open().unwrap();
    fcntl(tap.as_fd(), FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let fd = tap.as_fd().try_clone_to_owned().unwrap();
    let wrong = Tun::from_fd(tap.as_fd().try_clone_to_owned().unwrap());
    assert!(
        matches!(wrong, Err(OpenError::WrongKind { .. })),
        "{wrong:?}"
    );
    let adopted = Tap::from_fd(fd).unwrap();
    assert_eq!((adopted.name(), adopted.capabilities().mtu), ("nl0", 1400));
    assert!(adopted.offloads().tso);
    let (mut rx, _tx) = adopted.split();
    let mut batch = RxBatch::new(100);
    while rx.receive(NOW, &mut batch).unwrap() > 0 {
        batch.drain().for_each(drop);
    }
    let stated = Tap::builder()
        .mtu(1300)
        .from_fd(tap.as_fd().try_clone_to_owned().unwrap());
    assert_eq!(stated.unwrap().capabilities().mtu, 1300);
}

/// The descriptor's interface is in one namespace, the thread in another that has its namesake.
fn namesake() {
    let tap = Tap::builder().name("nl0").mtu(1400).open().unwrap();
    let passed = || tap.as_fd().try_clone_to_owned().unwrap();
    let (first, second) = (passed(), passed());
    let elsewhere = thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let namesake = Tap::builder().name("nl0").mtu(9000).txqueuelen(77);
        let _namesake = namesake.open().unwrap();
        let unknown = Tap::from_fd(first);
        assert!(
            matches!(unknown, Err(OpenError::Elsewhere { .. })),
            "{unknown:?}"
        );
        let stated = Tap::builder().mtu(1400).from_fd(second).unwrap();
        let Capabilities {
            mtu, queue_frames, ..
        } = *stated.capabilities();
        assert_eq!((mtu, queue_frames), (1400, None));
        assert!(stated.kernel_mac().is_none() && stated.watch().is_none());
    });
    elsewhere.join().unwrap();
}

fn queues() {
    let two = Tun::builder().name("nl0").open_queues(2).unwrap();
    assert_eq!(two.len(), 2);
    assert!(two.iter().all(|queue| queue.name() == "nl0"));
    assert!(ip("-d link show nl0").contains("multi_queue"));
    let single = Tun::builder().name("nl0").open();
    assert!(
        matches!(single, Err(OpenError::WrongKind { .. })),
        "{single:?}"
    );
    // What answers a host on the one may come by the other, however the queue was come by.
    let spawn = |device| {
        let device = Coalesce::new(Impair::new(device, Seed::from_number(1)));
        let builder = Host::builder(device).address("10.7.0.2/24".parse().unwrap());
        builder.spawn().map(drop)
    };
    let passed = two[0].as_fd().try_clone_to_owned().unwrap();
    let mut all = vec![Tun::from_fd(passed).unwrap()];
    all.extend(two);
    assert!(all.iter().all(|queue| queue.capabilities().one_of_several));
    for queue in all {
        let refused = spawn(queue);
        assert!(
            matches!(refused, Err(SpawnError::OneOfSeveralQueues)),
            "{refused:?}"
        );
    }
    let [one] = &mut Tun::builder().name("nl1").open_queues(1).unwrap()[..] else {
        panic!("one queue was asked for");
    };
    let passed = one.as_fd().try_clone_to_owned().unwrap();
    spawn(Tun::from_fd(passed).unwrap()).expect("one queue is a device as any");
}

fn r66_link_down() {
    let mut wire = tun(true);
    let (header, _) = ip_header(false, 253, 0);
    let frame = TxFrame::new(&header, &[], TxMeta::PLAIN);
    assert_eq!(wire.send(&frame), Sent::Taken);
    ip("link set nl0 down");
    assert_eq!(wire.send(&frame), Sent::Dropped(DeviceDrop::LinkDown));
    let mut batch = RxBatch::new(64);
    while wire.rx.receive(NOW, &mut batch).unwrap() > 0 {
        batch.drain().for_each(drop);
    }
    let mut fds = [PollFd::new(wire.fd.as_fd(), PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::ZERO).unwrap();
    assert_eq!(
        fds[0].revents(),
        Some(PollFlags::empty()),
        "no spin on writability"
    );
    ip("link set nl0 up");
    assert_eq!(wire.send(&frame), Sent::Taken);
    let nonsense = TxFrame::new(&[0x15; 20], &[], TxMeta::PLAIN);
    assert_eq!(wire.send(&nonsense), Sent::Dropped(DeviceDrop::Refused));
}

fn deleted() {
    let mut wire = tun(true);
    let (header, _) = ip_header(false, 253, 0);
    ip("link del nl0");
    let mut fds = [PollFd::new(wire.fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(1000u16)).unwrap();
    assert!(fds[0].revents().unwrap().contains(PollFlags::POLLERR));
    let received = wire.rx.receive(NOW, &mut RxBatch::new(1));
    assert!(matches!(received, Err(DeviceError::Gone)), "{received:?}");
    let sent = wire
        .tx
        .transmit(NOW, &TxFrame::new(&header, &[], TxMeta::PLAIN));
    assert!(matches!(sent, Err(DeviceError::Gone)), "{sent:?}");
}

/// A kernel sender writes 100 kB to us; returns the frames that carried text.
fn kernel_sends(wire: &mut Wire, v6: bool) -> Vec<(RxFrame, usize)> {
    let to = SocketAddr::new(OURS[usize::from(v6)], 80);
    let sender = thread::spawn(move || {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.write_all(&[0x5a; 100_000]).unwrap();
        stream
    });
    let mut peer = Peer {
        v6,
        local: 80,
        remote: 0,
        seq: 1,
        ack: 0,
    };
    assert_eq!(peer.receive(wire).0, SYN);
    assert_eq!(peer.send(wire, SYN | ACK, &[], 1460), Sent::Taken);
    let (mut frames, mut total) = (Vec::new(), 0);
    while total < 100_000 {
        let (_, frame, header) = peer.receive(wire);
        total += frame.data.len() - header;
        if frame.data.len() > header {
            assert!(frame.data[header..].iter().all(|&b| b == 0x5a));
            frames.push((frame, header));
        }
        assert_eq!(peer.send(wire, ACK, &[], 1460), Sent::Taken);
    }
    assert_eq!(total, 100_000);
    sender.join().unwrap();
    frames
}

fn super_segments_come_in() {
    let mut wire = tun(true);
    for v6 in [false, true] {
        let frames = kernel_sends(&mut wire, v6);
        let mss = |frame: &RxFrame| frame.meta.segment_size.map_or(0, |size| size.get());
        let (largest, _) = frames
            .iter()
            .max_by_key(|(frame, _)| frame.data.len())
            .unwrap();
        assert!(largest.data.len() > 8000, "{} bytes", largest.data.len());
        assert_eq!(mss(largest), if v6 { 1440 } else { 1460 });
        assert!(matches!(largest.meta.checksum, RxChecksum::Partial(_)));
    }
}

/// Without offload the kernel sends small frames, and what merges them has super-segments again.
fn coalesced_segments_come_in() {
    let tun = Tun::builder()
        .name("nl0")
        .kernel_address("10.7.0.1/24".parse().unwrap())
        .kernel_address("fd00::1/64".parse().unwrap())
        .offload(false)
        .open()
        .unwrap();
    let fd = tun.as_fd().try_clone_to_owned().unwrap();
    let mut wire = Wire::new(fd, Coalesce::new(tun));
    for v6 in [false, true] {
        let frames = kernel_sends(&mut wire, v6);
        let merged = frames
            .iter()
            .filter(|(frame, _)| frame.meta.segment_size.is_some());
        for (frame, _) in merged.clone() {
            assert_eq!(frame.meta.checksum, RxChecksum::Verified);
        }
        assert!(merged.count() > 0, "{} frames, none merged", frames.len());
    }
}

fn r68_stale_offloads() {
    let builder = || {
        Tun::builder()
            .name("nl0")
            .kernel_address("10.7.0.1/24".parse().unwrap())
            .kernel_address("fd00::1/64".parse().unwrap())
    };
    drop(builder().persist(true).open().unwrap());
    let mut wire = Wire::of(builder().offload(false).open().unwrap());
    for v6 in [false, true] {
        for (frame, _) in kernel_sends(&mut wire, v6) {
            assert!(
                frame.data.len() <= wire.capabilities.mtu,
                "{}",
                frame.data.len()
            );
            assert_eq!(frame.meta.checksum, RxChecksum::Unknown);
            assert_eq!(frame.meta.segment_size, None);
        }
    }
    drop(wire);
    drop(builder().persist(false).open().unwrap());
}

fn tcp_super_segments_go_out() {
    for offload in [true, false] {
        let mut wire = tun(offload);
        for v6 in [false, true] {
            let (mut peer, mut stream) = connect(&mut wire, v6);
            let text: Vec<u8> = (0..40_001u32).map(|i| (i % 251) as u8).collect();
            let whole = Bytes::from(text.clone());
            let slices = [
                whole.slice(..7),
                whole.slice(7..20_000),
                whole.slice(20_000..),
            ];
            let mss = if v6 { 1440 } else { 1460 };
            assert_eq!(peer.send(&mut wire, PSH_ACK, &slices, mss), Sent::Taken);
            let mut got = vec![0; text.len()];
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.read_exact(&mut got).unwrap();
            assert!(
                got == text,
                "offload {offload}, IPv6 {v6}: the text differs"
            );
        }
    }
}

fn udp_super_segments_go_out() {
    for offload in [true, false] {
        let mut wire = tun(offload);
        for v6 in [false, true] {
            let socket = UdpSocket::bind(SocketAddr::new(KERNEL[usize::from(v6)], 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let port = socket.local_addr().unwrap().port();
            let text = [Bytes::from(
                (0..4500u32).map(|i| (i / 1000) as u8).collect::<Vec<u8>>(),
            )];
            let (mut headers, pseudo) = ip_header(v6, 17, 8 + 4500);
            let start = headers.len() as u16;
            headers.extend(6000u16.to_be_bytes());
            headers.extend(port.to_be_bytes());
            headers.extend(4508u16.to_be_bytes());
            headers.extend(pseudo.partial().to_be_bytes());
            let segment = Segmentation {
                kind: SegmentKind::Udp,
                size: 1000.try_into().unwrap(),
            };
            let meta = TxMeta::offload(PartialChecksum { start, offset: 6 }, Some(segment));
            assert_eq!(wire.send(&TxFrame::new(&headers, &text, meta)), Sent::Taken);
            for i in 0..5u8 {
                let mut datagram = [0; 2000];
                let (len, from) = socket.recv_from(&mut datagram).unwrap_or_else(|error| {
                    panic!("datagram {i}, offload {offload}, IPv6 {v6}: {error}")
                });
                assert_eq!(len, if i == 4 { 500 } else { 1000 });
                assert!(datagram[..len].iter().all(|&b| b == i));
                assert_eq!(from, SocketAddr::new(OURS[usize::from(v6)], 6000));
            }
        }
    }
}
