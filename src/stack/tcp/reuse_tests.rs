//! Ports that are in TIME-WAIT and nothing else is left of (RFC 6191, RFC 7323 §5).

use core::net::SocketAddr;
use core::time::Duration;

use super::ConnectError;
use super::tests::{Link, SERVER};
use crate::device::{Capabilities, Medium};
use crate::stack::{Config, ListenOptions, ListenerId, Stack, TcpId, TimeWaitReuse};
use crate::tcp::{State, TcpOptions};

const PORTS: u16 = 300;
const SECOND: Duration = Duration::from_secs(1);

fn link(reuse: TimeWaitReuse) -> Link {
    let config = |config: Config| {
        config
            .ephemeral_ports(5000..=4999 + PORTS)
            .time_wait_reuse(reuse)
    };
    Link::with(&Capabilities::full(Medium::Ip, 1500), config)
}

fn listen(stack: &mut Stack, options: TcpOptions) -> ListenerId {
    let at = SERVER.parse().unwrap();
    stack.tcp_listen(at, ListenOptions::new(options)).unwrap()
}

fn connect(link: &mut Link, end: usize, options: &TcpOptions) -> Result<TcpId, ConnectError> {
    let (to, now) = (SERVER.parse().unwrap(), link.now);
    let stack = &mut link.ends[end].stack;
    stack.tcp_connect(now, to, None, options.clone())
}

fn port(link: &Link, end: usize, id: TcpId) -> u16 {
    let stack = &link.ends[end].stack;
    stack.tcp_local_addr(id).unwrap().port()
}

/// Connects from `end`, closes there first, and returns the port: it is in TIME-WAIT now.
fn use_up(link: &mut Link, end: usize, listener: ListenerId) -> u16 {
    let id = connect(link, end, &TcpOptions::default()).unwrap();
    link.settle();
    let used = port(link, end, id);
    let (now, server) = (link.now, &mut link.ends[0].stack);
    let accepted = server.tcp_accept(now, listener).unwrap();
    link.ends[end].stack.tcp_close(now, id);
    link.settle();
    link.ends[0].stack.tcp_close(now, accepted);
    link.settle();
    used
}

/// With every port in TIME-WAIT: the oldest goes on after a second, and no sooner.
#[test]
fn the_port_that_waited_longest_is_taken_when_no_other_is_left() {
    let mut link = link(TimeWaitReuse::Always);
    let listener = listen(&mut link.ends[0].stack, TcpOptions::default());
    let mut used = Vec::new();
    for _ in 0..PORTS {
        used.push(use_up(&mut link, 1, listener));
        link.now = link.now + Duration::from_micros(10);
    }
    let waiting = |link: &Link| link.ends[1].stack.tcp_time_wait_count();
    assert_eq!(waiting(&link), usize::from(PORTS));
    let options = TcpOptions::default();
    assert_eq!(connect(&mut link, 1, &options), Err(ConnectError::NoPort));
    link.pass(SECOND);
    let plain = options.clone().timestamps(false);
    assert_eq!(connect(&mut link, 1, &plain), Err(ConnectError::NoPort));
    for oldest in used.into_iter().take(10) {
        let local = SocketAddr::from(([10, 0, 0, 2], oldest));
        let peer = SERVER.parse().unwrap();
        assert_eq!(
            link.ends[1].stack.tcp_state_between(local, peer),
            Some(State::TimeWait)
        );
        let id = connect(&mut link, 1, &options).unwrap();
        assert_eq!(port(&link, 1, id), oldest);
        link.settle();
        assert_eq!(link.state(1, id), State::Established);
        link.write(1, id, b"text");
        link.settle();
        let (now, server) = (link.now, &mut link.ends[0].stack);
        let accepted = server.tcp_accept(now, listener).unwrap();
        assert_eq!(server.tcp_read(now, accepted, &mut [0; 9]), Ok(4));
    }
    assert_eq!(waiting(&link), usize::from(PORTS) - 10);
    assert!(link.ends[0].stack.counters().tcp_resets_sent == 0);
}

/// A record that waits anew has to wait for its second again.
#[test]
fn a_fin_that_comes_again_makes_its_port_the_last() {
    let mut link = link(TimeWaitReuse::Always);
    let listener = listen(&mut link.ends[0].stack, TcpOptions::default());
    let mut last = Vec::new();
    for n in 0..PORTS {
        let id = connect(&mut link, 1, &TcpOptions::default()).unwrap();
        link.settle();
        let (now, server) = (link.now, &mut link.ends[0].stack);
        let accepted = server.tcp_accept(now, listener).unwrap();
        link.ends[1].stack.tcp_close(now, id);
        link.settle();
        link.ends[0].stack.tcp_close(now, accepted);
        if n == 0 {
            last = link.swallow(0);
            let end = &mut link.ends[1];
            end.stack.handle_frame(now, end.on, last[0].clone());
        }
        link.settle();
    }
    link.pass(SECOND);
    let end = &mut link.ends[1];
    end.stack.handle_frame(link.now, end.on, last[0].clone());
    let options = TcpOptions::default();
    for _ in 1..PORTS {
        connect(&mut link, 1, &options).unwrap();
    }
    assert_eq!(connect(&mut link, 1, &options), Err(ConnectError::NoPort));
    link.now = link.now + SECOND;
    connect(&mut link, 1, &options).unwrap();
}

/// Covers: SEC-9 (what has no timestamps is not told from what is old)
#[test]
fn a_peer_without_timestamps_keeps_its_ports() {
    let mut link = link(TimeWaitReuse::Always);
    let plain = TcpOptions::default().timestamps(false);
    let listener = listen(&mut link.ends[0].stack, plain);
    for _ in 0..PORTS {
        use_up(&mut link, 1, listener);
    }
    link.pass(10 * SECOND);
    let again = connect(&mut link, 1, &TcpOptions::default());
    assert_eq!(again, Err(ConnectError::NoPort));
}

/// By default it is for the stack's own connections to itself.
#[test]
fn each_setting_has_its_reach() {
    for (reuse, beyond, within) in [
        (TimeWaitReuse::Off, false, false),
        (TimeWaitReuse::Loopback, false, true),
        (TimeWaitReuse::Always, true, true),
    ] {
        for (end, goes) in [(1, beyond), (0, within)] {
            let mut link = link(reuse);
            let listener = listen(&mut link.ends[0].stack, TcpOptions::default());
            for _ in 0..PORTS {
                use_up(&mut link, end, listener);
            }
            link.pass(SECOND);
            let again = connect(&mut link, end, &TcpOptions::default());
            assert_eq!(again.is_ok(), goes, "{reuse:?} from {end}: {again:?}");
        }
    }
    assert_eq!(TimeWaitReuse::default(), TimeWaitReuse::Loopback);
}

/// A port that its user has chosen is in use as well, and is had on the same terms.
///
/// Covers: TCP-18 (what is in TIME-WAIT stays there, whoever asks for its name)
#[test]
fn a_chosen_port_waits_as_any_other() {
    let own: SocketAddr = "10.0.0.2:6000".parse().unwrap();
    let terms = [
        (TimeWaitReuse::Always, true, true),
        (TimeWaitReuse::Always, false, false),
        (TimeWaitReuse::Off, true, false),
        (TimeWaitReuse::Loopback, true, false),
    ];
    for (reuse, timestamps, goes) in terms {
        let mut link = link(reuse);
        let options = TcpOptions::default().timestamps(timestamps);
        let listener = listen(&mut link.ends[0].stack, options.clone());
        let open = |link: &mut Link| {
            let (to, now) = (SERVER.parse().unwrap(), link.now);
            let stack = &mut link.ends[1].stack;
            stack.tcp_connect(now, to, Some(own), options.clone())
        };
        let id = open(&mut link).unwrap();
        link.settle();
        let (now, server) = (link.now, &mut link.ends[0].stack);
        let accepted = server.tcp_accept(now, listener).unwrap();
        link.ends[1].stack.tcp_close(now, id);
        link.settle();
        link.ends[0].stack.tcp_close(now, accepted);
        link.settle();
        let waiting = |link: &Link| link.ends[1].stack.tcp_time_wait_count();
        assert_eq!(waiting(&link), 1);
        assert_eq!(open(&mut link), Err(ConnectError::InUse), "at once");
        link.pass(SECOND);
        let what = format!("{reuse:?}, timestamps {timestamps}");
        let again = open(&mut link);
        assert_eq!(again.is_ok(), goes, "{what}: {again:?}");
        assert_eq!(waiting(&link), usize::from(!goes), "{what}");
        if !goes {
            assert_eq!(again, Err(ConnectError::InUse));
            link.pass(60 * SECOND);
            open(&mut link).unwrap();
        }
    }
}
