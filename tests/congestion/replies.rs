//! Replies of seven segments over a path that loses: how many wait for a time-out.

use bytes::Bytes;
use netloom::device::Chance;
use netloom::sim::{App, Cx, Wake};
use netloom::stack::{ListenOptions, Readiness, SocketId, TcpId};

use super::path::*;

const REQUEST: usize = 100;
const REPLY: usize = 10_000;

/// Answers each request with a reply.
struct Server {
    at: SocketAddr,
    options: TcpOptions,
    asked: usize,
}

impl App for Server {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start => {
                let options = ListenOptions::new(self.options.clone());
                cx.tcp_listen(self.at, options).unwrap();
            }
            Wake::Event(event) => match event.id {
                SocketId::Listener(listener) => {
                    if let Ok(id) = cx.tcp_accept(listener) {
                        self.answer(cx, id);
                    }
                }
                SocketId::Tcp(id) => self.answer(cx, id),
                _ => {}
            },
            Wake::Alarm(_) | _ => {}
        }
    }
}

impl Server {
    fn answer(&mut self, cx: &mut Cx<'_>, id: TcpId) {
        self.asked += drained(cx, id);
        while self.asked >= REQUEST {
            self.asked -= REQUEST;
            let mut reply = Bytes::from_static(&[0x53; REPLY]);
            assert_eq!(cx.tcp_write_chunk(id, &mut reply), Ok(REPLY));
        }
    }
}

/// Asks for a reply after the other.
struct Client {
    server: SocketAddr,
    id: Option<TcpId>,
    left: usize,
    asked: Instant,
    got: usize,
    /// What each took.
    times: Vec<Duration>,
}

impl App for Client {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start => self.id = cx.tcp_connect(self.server, TcpOptions::default()).ok(),
            Wake::Event(event) => {
                let id = self.id.unwrap();
                if event.ready.contains(Readiness::CONNECTED) {
                    self.ask(cx, id);
                }
                self.got += drained(cx, id);
                if self.got == REPLY {
                    self.got = 0;
                    self.times.push(cx.now().since(self.asked));
                    self.ask(cx, id);
                }
            }
            Wake::Alarm(_) | _ => {}
        }
    }
}

impl Client {
    fn ask(&mut self, cx: &mut Cx<'_>, id: TcpId) {
        if self.left == 0 {
            return cx.tcp_abort(id);
        }
        self.left -= 1;
        self.asked = cx.now();
        assert_eq!(cx.tcp_write(id, &[0x52; REQUEST]), Ok(REQUEST));
    }
}

/// Reads all there is; returns how much that was.
fn drained(cx: &mut Cx<'_>, id: TcpId) -> usize {
    let mut bytes = 0;
    while let Ok(chunk) = cx.tcp_read_chunk(id, usize::MAX) {
        if chunk.is_empty() {
            break;
        }
        bytes += chunk.len();
    }
    bytes
}

/// So many replies in a row over 100 Mbit/s and 20 ms, one segment of a hundred lost, and what each took.
fn replies(seed: u64, choice: Choice, count: usize) -> Vec<Duration> {
    let (forth, back) = wires(100, 20, 250_000);
    let mut pair = Pair::new(seed, (forth.loss(Chance::percent(1)), back)).unwrap();
    let at = SocketAddr::new(Pair::LEFT, 80);
    let server = Server {
        at,
        options: using(choice),
        asked: 0,
    };
    let client = Client {
        server: at,
        id: None,
        left: count,
        asked: Instant::ZERO,
        got: 0,
        times: Vec::new(),
    };
    pair.network.add_app(pair.left, server);
    let client = pair.network.add_app(pair.right, client);
    pair.network.run_for(Duration::from_secs(60)).unwrap();
    let times = core::mem::take(&mut pair.network.app_mut(client).times);
    assert_eq!(times.len(), count, "seed {seed}");
    times
}

/// One reply in a hundred loses its last segment, which nothing but a timer tells of. A time-out is 220 ms here; a prompt
/// peer's probe leaves after two round trips and 60 ms, but for the first replies and those that follow such a loss.
#[test]
fn a_lost_end_of_a_reply_waits_for_a_time_out_only_while_the_peer_is_unknown() {
    for choice in [Choice::Reno, Choice::Cubic] {
        let seeds = 1..=6;
        let times = seeds.flat_map(|seed| replies(seed, choice.clone(), 250));
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        let slow = |millis| {
            let late = |time: &&Duration| **time >= Duration::from_millis(millis);
            times.iter().filter(late).count()
        };
        // With the long wait for all it is fourteen of 1500.
        assert!(slow(200) <= times.len() / 200, "{}", slow(200));
        assert!(slow(130) >= 8, "the losses are there: {}", slow(130));
    }
}
