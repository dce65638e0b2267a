//! Values as bytes and back, total on any bytes; the number of the format.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::num::NonZeroU16;
use core::time::Duration;
use std::net::Shutdown;

use bytes::Bytes;
use proptest::prelude::*;

use super::calls::{put_call, take_call};
use super::code::{Code, Take};
use super::entry::{
    FrameHead, Head, OfferedHead, Why, format_of, put_end, put_head, put_input, put_offered,
    put_outcome, take_block,
};
use super::options::FORMAT;
use super::{Recording, RecordingSettings};
use crate::base::{Cidr, Instant, Protocol, Seed};
use crate::device::{Capabilities, DeviceDrop, Medium};
use crate::dhcp::ClientId;
use crate::link::{
    PartialChecksum, RxChecksum, RxFrame, RxMeta, SegmentKind, Segmentation, TxFrame, TxMeta,
};
use crate::stack::{
    AddressOptions, Answer, Call, Config, DhcpOptions, Event, FilterMode, Input, InterfaceConfig,
    InterfaceId, ListenOptions, ListenerId, MulticastOptions, NatFilter, NatOptions, Offered,
    Outcome, Payload, PingId, PingOptions, Readiness, Refusal, RequestCall, RequestId, SendInfo,
    SocketId, TcpId, UdpId, UdpOptions,
};
use crate::tcp::congestion::{Choice, Reno};
use crate::tcp::{Ecn, Keepalive, TcpOptions};

fn options() -> TcpOptions {
    TcpOptions::default()
        .nodelay(true)
        .keepalive(Some(
            Keepalive::after(Duration::from_millis(1500)).probes(3),
        ))
        .linger(Some(Duration::ZERO))
        .congestion(Choice::Bbr3)
        .ecn(Ecn::Ask)
        .mss(Some(1000))
}

fn interface() -> InterfaceConfig {
    InterfaceConfig::new(&Capabilities::full(Medium::Ethernet, 9000))
        .mac("02:00:00:00:00:07".parse().unwrap())
        .vlan(9)
        .over(InterfaceId::from_scope(2).unwrap())
        .vlan_priority(5)
        .optimistic_dad(true)
        .tell_routers(true)
        .vlan_priorities([6; 64])
        .address("10.0.0.1/24".parse().unwrap())
        .address("fd00::1/64".parse().unwrap())
        .gateway("10.0.0.254".parse().unwrap())
        .route(
            "10.1.0.0/16".parse().unwrap(),
            Some("10.0.0.9".parse().unwrap()),
        )
        .route("fd01::/16".parse().unwrap(), None)
        .dad_delay(Duration::from_nanos(1_999_999_999))
        .probe_v4(true)
        .acd_probes(7)
        .acd_unit(Duration::from_millis(3))
        .unreachables(false)
        .stable_link_local(true)
        .link_local_v4(true)
        .stable_secret([9; 16])
        .router_discovery(true)
        .autonomous_addresses(false)
        .temporary_addresses(true)
        .accept_redirects(false)
        .windows_together(7)
        .nat(
            NatOptions::new()
                .filter(NatFilter::Open)
                .per_host(9)
                .udp_idle(Duration::from_secs(121))
                .opening_idle(Duration::from_secs(241))
                .closing_idle(Duration::from_secs(242))
                .established_idle(Duration::from_secs(7441))
                .query_idle(Duration::from_secs(61))
                .forward(Protocol::UDP, 53, "10.0.0.9:5353".parse().unwrap()),
        )
        .dhcp(
            DhcpOptions::new()
                .previous(Some("10.0.0.7".parse().unwrap()))
                .client_id(ClientId::new(&[7; 9]).unwrap())
                .host_name("loom")
                .also_request([42])
                .use_mtu(false)
                .client_with(|client| client.renew_interval = Duration::from_secs(77)),
        )
}

/// Those about groups.
fn group_calls(udp: UdpId, on: Option<InterfaceId>) -> Vec<Call> {
    let [group, one, two] = [[239, 1, 1, 1], [10, 0, 0, 2], [10, 0, 0, 3]].map(IpAddr::from);
    vec![
        Call::UdpJoin(udp, group, on, Some(one)),
        Call::UdpLeave(udp, group, None, None),
        Call::UdpBlock(udp, group, on, one),
        Call::UdpUnblock(udp, group, None, one),
        Call::UdpSetFilter(udp, group, on, FilterMode::Exclude, vec![one, two]),
        Call::UdpSetMulticast(udp, MulticastOptions::new().ttl(9).interface(on)),
        Call::UdpSetBroadcast(udp, true),
        Call::UdpSetFlowLabel(udp, Some(0xf_ffff)),
    ]
}

fn udp_options(on: Option<InterfaceId>) -> UdpOptions {
    let options = UdpOptions::new()
        .ttl(3)
        .dual_stack(true)
        .reuse_address(true);
    options.reuse_port(true).interface(on)
}

fn send_info() -> SendInfo {
    let info = SendInfo::new().source(IpAddr::from([10, 0, 0, 1]));
    info.interface(InterfaceId::from_scope(3).unwrap())
        .ttl(9)
        .tos(0xb8)
        .flow_label(0x12345)
        .checksum()
}

fn calls() -> Vec<Call> {
    let mut all = other_calls();
    all.extend(group_calls(
        UdpId::from_bits(u64::MAX),
        InterfaceId::from_scope(2),
    ));
    let id = RequestId::from_bits(9);
    all.push(Call::Request(RequestCall::Take(ListenerId::from_bits(7))));
    all.push(Call::Request(RequestCall::Admit(id)));
    all.push(Call::Request(RequestCall::Refuse(id, Refusal::Host)));
    all
}

fn listening() -> ListenOptions {
    let options = ListenOptions::new(options()).backlog(9).dual_stack(true);
    options
        .reuse_port(true)
        .interface(InterfaceId::from_scope(2))
        .any_port(true)
        .hold(Some(Duration::from_secs(9)))
}

fn other_calls() -> Vec<Call> {
    let (tcp, listener) = (TcpId::from_bits(3 << 32 | 1), ListenerId::from_bits(7));
    let (udp, ping) = (UdpId::from_bits(u64::MAX), PingId::from_bits(0));
    let to: SocketAddr = "10.0.0.2:7".parse().unwrap();
    let own: SocketAddr = "[fe80::1%2]:65535".parse().unwrap();
    let data = || Payload::Whole(Bytes::from_static(b"data"));
    let on = InterfaceId::from_scope(2);
    let (one, cidr): (_, Cidr) = (on.unwrap(), "10.9.0.1/16".parse().unwrap());
    let lives = AddressOptions::new().valid(Duration::from_secs(1));
    vec![
        Call::TcpConnect(to, Some(own), options()),
        Call::TcpConnectOn(one, to, None, options()),
        Call::TcpListen(own, listening()),
        Call::TcpAccept(listener),
        Call::TcpListenerRoom(listener, usize::MAX),
        Call::TcpListenerClose(listener),
        Call::TcpWrite(tcp, Payload::Cut(100)),
        Call::TcpWriteChunk(tcp, data()),
        Call::TcpWriteUrgent(tcp, data()),
        Call::TcpUrgent(tcp),
        Call::PollReady(tcp.into(), Readiness::READABLE | Readiness::WRITABLE),
        Call::TcpRead(tcp, 9),
        Call::TcpReadChunk(tcp, usize::MAX),
        Call::TcpPeek(tcp, 9),
        Call::TcpShutdown(tcp, Shutdown::Both),
        Call::TcpSetOptions(tcp, TcpOptions::default()),
        Call::TcpClose(tcp),
        Call::TcpAbort(tcp),
        Call::TcpAbortAll,
        Call::UdpBind(own, udp_options(on)),
        Call::UdpConnect(udp, to),
        Call::UdpSendTo(udp, None, data()),
        Call::UdpSendChunk(udp, Some(to), data()),
        Call::UdpSendSegmented(udp, Some(to), data(), NonZeroU16::MAX),
        Call::UdpSendWith(udp, Some(to), data(), Some(NonZeroU16::MIN), send_info()),
        Call::UdpRecv(udp),
        Call::UdpClose(udp),
        Call::PingOpen(PingOptions::new().ttl(9)),
        Call::PingSend(ping, own.ip(), on, 1, Bytes::from_static(b"echo")),
        Call::PingSendWith(ping, to.ip(), 1, Bytes::new(), SendInfo::new()),
        Call::PingRecv(ping),
        Call::PingClose(ping),
        Call::ChargeOutside(7),
        Call::AddAddress(one, cidr, lives.probe(true)),
        Call::RemoveAddress(one, own.ip()),
        Call::SetLifetimes(one, own.ip(), None, Some(Duration::ZERO)),
        Call::AddRoute(one, cidr, Some(to.ip())),
        Call::RemoveRoute(one, cidr, None),
        Call::AddGateway(one, to.ip()),
        Call::RemoveGateway(one, to.ip()),
        Call::SetLink(one, true),
        Call::SetMtu(one, 1400),
        Call::RemoveInterface(one),
        Call::PollChange,
        Call::DhcpRelease(one),
        Call::DhcpStart(one, Some(Ipv4Addr::new(10, 0, 0, 9))),
    ]
}

const PARTIAL: PartialChecksum = PartialChecksum {
    start: 34,
    offset: 16,
};

/// What `put` appends.
fn bytes_of(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out);
    out
}

/// One of each kind of entry, as bytes.
fn entries() -> Vec<Vec<u8>> {
    let on = InterfaceId::from_scope(1).unwrap();
    let now = Instant::from_millis(9);
    let ends = [Why::Complete, Why::QueueFull, Why::SizeLimit, Why::TooLong];
    let mut all = vec![bytes_of(put_some_head)];
    all.extend(frames(now, on));
    all.extend(other_inputs(now, on));
    all.extend(outcomes());
    all.extend(offers(now, on));
    all.extend(ends.map(|why| bytes_of(|out| put_end(out, why, 7))));
    all
}

fn put_some_head(out: &mut Vec<u8>) {
    let head = Head {
        version: "1.2.3".to_owned(),
        epoch_nanos: 77,
        whole: true,
        config: Config::new(Seed::new([7; 32])).ephemeral_ports(9..=99),
    };
    put_head(out, &head);
}

/// An interface, frames with each kind of checksum, and a time-out.
fn frames(now: Instant, on: InterfaceId) -> Vec<Vec<u8>> {
    let interface = Input::Interface(now, Box::new(interface()));
    let mut all = vec![bytes_of(|out| put_input(out, &interface, None))];
    for checksum in [
        RxChecksum::Unknown,
        RxChecksum::Verified,
        RxChecksum::Partial(PARTIAL),
    ] {
        let meta = RxMeta::new(now)
            .with_checksum(checksum)
            .with_segment_size(Some(NonZeroU16::MIN));
        let frame = Input::Frame(now, on, RxFrame::new(Bytes::new(), meta));
        let sum = Some(5);
        let head = FrameHead { meta, len: 66, sum };
        all.push(bytes_of(|out| put_input(out, &frame, Some(&head))));
    }
    let timeout = Input::Timeout(now);
    all.push(bytes_of(|out| put_input(out, &timeout, None)));
    all
}

/// Events of each kind of socket, what is sent, and calls.
fn other_inputs(now: Instant, on: InterfaceId) -> Vec<Vec<u8>> {
    let ids = [
        SocketId::Tcp(TcpId::from_bits(1)),
        SocketId::Listener(ListenerId::from_bits(2)),
        SocketId::Udp(UdpId::from_bits(3)),
        SocketId::Ping(PingId::from_bits(4)),
    ];
    let ready = Readiness::READABLE | Readiness::FAILED;
    let mut all = Vec::from(ids.map(|id| Input::Event(Some(Event { id, ready }))));
    all.push(Input::Event(None));
    all.push(Input::Transmit(now, on));
    let called = |call| Input::Call(now, Box::new(call));
    all.extend(calls().into_iter().map(called));
    let bytes = |input: &Input| bytes_of(|out| put_input(out, input, None));
    all.iter().map(bytes).collect()
}

fn outcomes() -> Vec<Vec<u8>> {
    let all = [
        Outcome::Done,
        Outcome::Number(7),
        Outcome::Content(7, Some(9)),
        Outcome::Content(7, None),
        Outcome::Refused("no".to_owned()),
        Outcome::Told("yes".to_owned()),
    ];
    let bytes = |outcome: &Outcome| bytes_of(|out| put_outcome(out, outcome));
    all.iter().map(bytes).collect()
}

/// A frame with each answer of a device.
fn offers(now: Instant, on: InterfaceId) -> Vec<Vec<u8>> {
    let (kind, size) = (SegmentKind::Tcp6, NonZeroU16::MIN);
    let head = |answer| OfferedHead {
        at: now,
        on,
        len: 99,
        loose: Some(50),
        meta: TxMeta::offload(PARTIAL, Some(Segmentation { kind, size })),
        answer,
    };
    let answers = [
        Answer::Taken,
        Answer::Full,
        Answer::Failed,
        Answer::Dropped(DeviceDrop::LinkDown),
    ];
    let bytes = |answer| bytes_of(|out| put_offered(out, &head(answer)));
    answers.into_iter().map(bytes).collect()
}

fn take(bytes: &[u8]) -> Result<super::entry::Block, super::Nonsense> {
    let mut from = Take::new(Bytes::copy_from_slice(bytes), None);
    let block = take_block(&mut from)?;
    from.end()?;
    Ok(block)
}

/// When this fails, what recordings hold has changed: give `FORMAT` its next number, and put the lengths
/// that are told here, so that older recordings are refused in words.
#[test]
fn the_format_has_the_number_that_it_had_when_it_was_this() {
    let lengths: Vec<usize> = entries().iter().map(Vec::len).collect();
    let expected = [
        226, 492, 36, 36, 40, 9, 12, 12, 12, 12, 2, 13, 193, 170, 223, 18, 26, 18, 27, 31, 31, 18,
        20, 26, 26, 26, 19, 128, 18, 18, 10, 74, 25, 32, 39, 41, 64, 18, 18, 22, 54, 40, 18, 18,
        18, 38, 31, 45, 26, 21, 19, 19, 15, 22, 14, 10, 14, 19, 34, 25, 33, 29, 47, 25, 19, 23, 19,
        19, 20, 2, 10, 19, 11, 12, 13, 40, 40, 40, 41, 10, 10, 10, 10,
    ];
    assert_eq!((FORMAT, &lengths[..]), (7, &expected[..]));
}

#[test]
fn each_entry_is_bytes_and_back() {
    for bytes in entries() {
        let block = take(&bytes).unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
        let mut again = Vec::new();
        match &block {
            super::entry::Block::Head(head) => put_head(&mut again, head),
            super::entry::Block::Entry(crate::stack::Entry::Input(input)) => {
                put_input(&mut again, input, None);
            }
            super::entry::Block::Entry(crate::stack::Entry::Outcome(outcome)) => {
                put_outcome(&mut again, outcome);
            }
            super::entry::Block::Entry(crate::stack::Entry::Offered(_)) => unreachable!(),
            super::entry::Block::Frame(now, on, head) => {
                let frame = RxFrame::new(Bytes::new(), head.meta);
                put_input(&mut again, &Input::Frame(*now, *on, frame), Some(head));
            }
            super::entry::Block::Offered(head) => put_offered(&mut again, head),
            super::entry::Block::End(why, lost) => put_end(&mut again, *why, *lost),
        }
        assert_eq!(again, bytes, "{block:?}");
        // And nothing is one that ends earlier or goes on.
        for len in 0..bytes.len() {
            assert!(take(&bytes[..len]).is_err(), "{block:?} cut to {len}");
        }
        assert!(take(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn calls_keep_what_they_are() {
    for call in calls() {
        let mut out = Vec::new();
        put_call(&mut out, &call);
        let back = take_call(&mut Take::new(Bytes::from(out), None)).unwrap();
        assert_eq!(format!("{back:?}"), format!("{call:?}"));
    }
}

#[test]
fn a_congestion_control_of_the_users_own_is_asked_for() {
    let own = Choice::custom(|| Box::new(Reno::new()));
    let mut out = Vec::new();
    own.put(&mut out);
    let bytes = Bytes::from(out);
    let error = Choice::take(&mut Take::new(bytes.clone(), None)).unwrap_err();
    assert_eq!(error, super::Nonsense::OwnCongestion);
    let taken = Choice::take(&mut Take::new(bytes, Some(own.clone()))).unwrap();
    assert_eq!(taken, own);
}

/// A file may say that a device takes packets whose length no header tells.
#[test]
fn an_interface_is_within_the_bounds_that_its_methods_keep() {
    let mut config = interface();
    config.capabilities.mtu = usize::MAX;
    let input = Input::Interface(Instant::ZERO, Box::new(config));
    let bytes = bytes_of(|out| put_input(out, &input, None));
    match take(&bytes) {
        Ok(super::entry::Block::Entry(crate::stack::Entry::Input(Input::Interface(_, config)))) => {
            assert_eq!(config.capabilities.mtu, 65_535);
        }
        other => panic!("{other:?}"),
    }
}

/// What no journal notes is nonsense: to make it again takes memory.
#[test]
fn a_call_that_moves_more_than_one_may_is_nonsense() {
    const MOST: usize = 64 << 20;
    let id = TcpId::from_bits(1);
    let calls = |len| {
        [
            Call::TcpRead(id, len),
            Call::TcpPeek(id, len),
            Call::TcpWrite(id, Payload::Cut(len)),
            Call::TcpWriteChunk(id, Payload::Cut(len)),
        ]
    };
    for (len, is_one) in [(MOST, true), (MOST + 1, false), (usize::MAX, false)] {
        for call in calls(len) {
            let bytes = bytes_of(|out| put_call(out, &call));
            let taken = take_call(&mut Take::new(Bytes::from(bytes), None));
            assert_eq!(taken.is_ok(), is_one, "{call}: {taken:?}");
        }
    }
}

#[test]
fn a_head_tells_who_wrote_it() {
    let head = Bytes::from(entries().remove(0));
    assert_eq!(format_of(&head), Some(("1.2.3".to_owned(), FORMAT)));
    assert_eq!(format_of(&head.slice(1..)), None);
    assert_eq!(format_of(&Bytes::new()), None);
}

/// A recording holds keys: nobody else reads it, even where a file was before that everybody could read.
#[cfg(unix)]
#[test]
fn a_recording_is_its_owners_whatever_was_there() {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("netloom-record-{}", std::process::id()));
    let config = Config::new(Seed::from_number(1));
    let settings = RecordingSettings::new(std::time::SystemTime::UNIX_EPOCH);
    std::fs::write(&path, "older").unwrap();
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&path, mode).unwrap();
    for _ in 0..2 {
        drop(Recording::create(&path, &config, &settings).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(mode & 0o777, 0o600);
    }
    let of_null = || std::fs::metadata("/dev/null").unwrap().permissions().mode();
    let before = of_null();
    drop(Recording::create("/dev/null", &config, &settings).unwrap());
    assert_eq!(of_null(), before, "everybody's");
}

/// The place of a checksum may be any number in a file.
#[test]
fn a_checksum_at_the_end_of_all_numbers_is_in_no_frame() {
    let meta = TxMeta::default();
    let data = Bytes::from_static(&[1, 2, 3]);
    let id = InterfaceId::from_scope(1).unwrap();
    let offered = Offered::new(Instant::ZERO, id, data, meta, Answer::Taken);
    let offered = offered.cut(3, Some(usize::MAX));
    assert!(offered.is_of(&TxFrame::new(&[1, 2, 3], &[], meta)));
    assert!(!offered.is_of(&TxFrame::new(&[1, 2, 4], &[], meta)));
}

proptest! {
    #[test]
    fn any_bytes_are_an_entry_or_not(
        which in 0usize..40,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let all = entries();
        let mut bytes = all[which % all.len()].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = take(&bytes);
        let _ = format_of(&Bytes::from(bytes));
    }
}
