//! Everything that a host connects to comes to another one, which decides about it: a transparent proxy.

use netloom::host::Requests;
use netloom::stack::Refusal;

use super::*;

const SITE: &str = "192.0.2.7:443";
const SITE6: &str = "[2001:db8::7]:443";

/// A, whose router is B, and B, which takes all that A sends.
pub(super) fn proxied() -> (Host, Host) {
    let (a, b) = pair(Medium::Ethernet, 1500);
    let inner = Host::builder(a)
        .address("10.7.0.1/24".parse().unwrap())
        .address("fd07::1/64".parse().unwrap())
        .gateway(B4.parse().unwrap())
        .gateway(B6.parse().unwrap())
        .dad_transmits(0);
    let outer = Host::builder(b)
        .address("10.7.0.2/24".parse().unwrap())
        .address("fd07::2/64".parse().unwrap())
        .accept_foreign(true)
        .dad_transmits(0);
    let hosts = (inner.spawn().unwrap(), outer.spawn().unwrap());
    hosts.0.wait_ready(LONG).unwrap();
    hosts.1.wait_ready(LONG).unwrap();
    hosts
}

fn next(requests: &Requests) -> netloom::host::ConnectRequest {
    requests.next(Some(LONG)).unwrap()
}

#[test]
fn what_a_host_connects_to_is_somebody_elses_decision() {
    let (a, b) = proxied();
    for (all, site) in [("0.0.0.0:0", SITE), ("[::]:0", SITE6)] {
        let requests = b.tcp_requests(all).unwrap();
        assert_eq!(requests.local_addr(), all.parse().unwrap());
        let site: SocketAddr = site.parse().unwrap();
        thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut stream = a.tcp_connect_timeout(site, LONG).unwrap();
                assert_eq!(stream.peer_addr().unwrap(), site);
                stream.write_all(b"question").unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                (answer, stream.local_addr().unwrap())
            });
            let asked = next(&requests);
            assert_eq!(asked.local(), site);
            let peer = asked.peer();
            let mut stream = asked.accept().unwrap();
            assert_eq!(stream.local_addr().unwrap(), site);
            // Before the handshake is over.
            stream.write_all(b"answer").unwrap();
            let mut question = String::new();
            stream.read_to_string(&mut question).unwrap();
            assert_eq!(question, "question");
            drop(stream);
            assert_eq!(client.join().unwrap(), ("answer".to_owned(), peer));
        });
    }
}

#[test]
fn a_refusal_is_told_as_what_it_is() {
    let (a, b) = proxied();
    let requests = b.tcp_requests("0.0.0.0:0").unwrap();
    let site: SocketAddr = SITE.parse().unwrap();
    for (how, kind) in [
        (Some(Refusal::Reset), ErrorKind::ConnectionRefused),
        (Some(Refusal::Port), ErrorKind::ConnectionRefused),
        (Some(Refusal::Host), ErrorKind::HostUnreachable),
        (Some(Refusal::Net), ErrorKind::NetworkUnreachable),
        (None, ErrorKind::ConnectionRefused),
    ] {
        thread::scope(|scope| {
            let client = scope.spawn(|| a.tcp_connect_timeout(site, LONG));
            let asked = next(&requests);
            match how {
                Some(how) => asked.refuse(how).unwrap(),
                None => drop(asked),
            }
            let error = client.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), kind, "{how:?}");
        });
    }
}

/// Who waits for requests is told of the end, and of having waited long enough; what it was given before is over.
#[test]
fn who_waits_for_requests_is_told_of_the_end() {
    let (a, b) = proxied();
    let requests = b.tcp_requests("0.0.0.0:0").unwrap();
    let error = requests.next(Some(SHORT)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let again = b.tcp_requests("0.0.0.0:0").unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddrInUse);
    let site: SocketAddr = SITE.parse().unwrap();
    thread::scope(|scope| {
        let client = scope.spawn(|| a.tcp_connect_timeout(site, LONG));
        let asked = next(&requests);
        let waiting = scope.spawn(|| requests.next(None));
        b.shutdown(LONG);
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        assert!(asked.accept().is_err());
        assert!(client.join().unwrap().is_err());
    });
}
