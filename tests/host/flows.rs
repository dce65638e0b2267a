//! UDP by flows: a handle for each peer and destination.

use netloom::host::{FlowOptions, UdpFlow, UdpSocket};

use super::requests::proxied;
use super::*;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn heard(flow: &UdpFlow) -> Vec<u8> {
    let datagram = flow.recv(Some(LONG)).unwrap().unwrap();
    datagram.data.into_bytes().to_vec()
}

fn answered(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    socket.set_read_timeout(Some(LONG)).unwrap();
    let mut buf = [0; 100];
    let (len, from) = socket.recv_from(&mut buf).unwrap();
    (buf[..len].to_vec(), from)
}

/// As a transparent proxy sees them: each destination of each peer's is one, and answers come from there.
#[test]
fn each_peer_and_destination_is_a_flow() {
    let (a, b) = proxied();
    for (own, all, sites) in [
        ("10.7.0.1:0", "0.0.0.0:0", ["192.0.2.7:53", "192.0.2.8:443"]),
        (
            "[fd07::1]:0",
            "[::]:0",
            ["[2001:db8::7]:53", "[2001:db8::8]:1"],
        ),
    ] {
        let flows = b.udp_flows(all, FlowOptions::new()).unwrap();
        let sockets = [(); 3].map(|()| a.udp_bind(own).unwrap());
        for socket in &sockets {
            for site in sites {
                socket.send_to(site.as_bytes(), site).unwrap();
                let flow = flows.accept(Some(LONG)).unwrap();
                let ends = (socket.local_addr().unwrap(), site.parse().unwrap());
                assert_eq!((flow.peer(), flow.local()), ends);
                assert_eq!(heard(&flow), site.as_bytes());
                flow.send(&bytes("one")).unwrap();
                flow.try_send(&bytes("two")).unwrap();
                for text in ["one", "two"] {
                    assert_eq!(answered(socket), (text.as_bytes().to_vec(), ends.1));
                }
                // What follows is the same one's.
                socket.send_to(b"again", site).unwrap();
                assert_eq!(heard(&flow), b"again");
                let none = flows.accept(Some(Duration::ZERO)).unwrap_err();
                assert_eq!(none.kind(), ErrorKind::TimedOut);
            }
        }
        assert_eq!(flows.refused(), 0);
    }
}

#[test]
fn a_silent_flow_ends_and_the_next_datagram_begins_another() {
    let (a, b) = hosts();
    let idle = Duration::from_millis(300);
    let options = FlowOptions::new().idle(idle);
    let flows = b.udp_flows((B4, 53), options).unwrap();
    let socket = a.udp_bind((A4, 0)).unwrap();
    let begun = Instant::now();
    socket.send_to(b"first", (B4, 53)).unwrap();
    let flow = flows.accept(Some(LONG)).unwrap();
    assert_eq!(heard(&flow), b"first");
    // Who sends is not silent.
    flow.send(&bytes("answer")).unwrap();
    assert!(flow.recv(Some(LONG)).unwrap().is_none());
    let silent = begun.elapsed();
    assert!(silent >= idle && silent < LONG / 2, "{silent:?}");
    socket.send_to(b"second", (B4, 53)).unwrap();
    let other = flows.accept(Some(LONG)).unwrap();
    assert_eq!(
        (other.peer(), heard(&other)),
        (flow.peer(), b"second".to_vec())
    );
    // The old handle takes nothing along.
    drop(flow);
    socket.send_to(b"third", (B4, 53)).unwrap();
    assert_eq!(heard(&other), b"third");
}

#[test]
fn flows_are_bounded_and_those_that_are_dropped_make_room() {
    let (a, b) = hosts();
    let flows = b.udp_flows((B4, 53), FlowOptions::new().flows(2)).unwrap();
    let sockets = [(); 4].map(|()| a.udp_bind((A4, 0)).unwrap());
    let ask = |n: usize| sockets[n].send_to(b"question", (B4, 53)).unwrap();
    ask(0);
    let first = flows.accept(Some(LONG)).unwrap();
    ask(1);
    ask(2);
    let second = flows.accept(Some(LONG)).unwrap();
    let end = Instant::now() + LONG;
    while flows.refused() == 0 {
        assert!(Instant::now() < end);
        thread::yield_now();
    }
    drop(first);
    ask(3);
    let third = flows.accept(Some(LONG)).unwrap();
    assert_eq!(third.peer(), sockets[3].local_addr().unwrap());
    // Those that began go on without it, and no more begin.
    drop(flows);
    ask(1);
    ask(0);
    assert_eq!(
        (heard(&second), heard(&second)),
        (b"question".to_vec(), b"question".to_vec())
    );
    drop((second, third));
    // The port is free again.
    let again = b.udp_bind((B4, 53)).unwrap();
    ask(0);
    assert_eq!(answered(&again).0, b"question");
}

#[test]
fn who_waits_hears_of_the_end_of_the_host() {
    let (a, b) = hosts();
    let flows = b.udp_flows((B4, 53), FlowOptions::new()).unwrap();
    let socket = a.udp_bind((A4, 0)).unwrap();
    socket.send_to(b"question", (B4, 53)).unwrap();
    let flow = flows.accept(Some(LONG)).unwrap();
    assert_eq!(heard(&flow), b"question");
    let flow = Arc::new(flow);
    thread::scope(|scope| {
        let waits = [
            scope.spawn(|| flows.accept(None).unwrap_err().kind()),
            scope.spawn(|| flow.recv(None).unwrap_err().kind()),
            scope.spawn(|| tasks::block_on(flow.recv_async()).unwrap_err().kind()),
        ];
        thread::park_timeout(SHORT);
        b.shutdown(Duration::ZERO);
        for wait in waits {
            assert_eq!(wait.join().unwrap(), ErrorKind::NotConnected);
        }
    });
    let later = tasks::block_on(flows.accept_async());
    assert_eq!(later.unwrap_err().kind(), ErrorKind::NotConnected);
}
