//! The windows of all connections of an interface, and the one queue before it.

use core::time::Duration;

use super::ListenOptions;
use super::tests::{Link, SERVER};
use crate::device::{Capabilities, Medium};
use crate::stack::{ListenerId, Readiness, SocketId, TcpId};
use crate::tcp::{TcpOptions, WriteError};

/// Frames that the server's device queues.
const QUEUE: usize = 400;

/// Clients that always have something to send.
struct Clients {
    link: Link,
    listener: ListenerId,
    text: Vec<u8>,
}

/// The client's end and the server's.
type Ends = (TcpId, TcpId);

impl Clients {
    fn new() -> Self {
        let mut link = Link::over(&Capabilities {
            queue_frames: Some(QUEUE),
            ..Capabilities::plain(Medium::Ip, 1500)
        });
        let options = ListenOptions::new(TcpOptions::default());
        let server = &mut link.ends[0].stack;
        let listener = server.tcp_listen(SERVER.parse().unwrap(), options).unwrap();
        let text = vec![7; 1 << 20];
        Self {
            link,
            listener,
            text,
        }
    }

    fn connect(&mut self) -> Ends {
        let link = &mut self.link;
        let (now, to) = (link.now, SERVER.parse().unwrap());
        let options = TcpOptions::default();
        let client = link.ends[1].stack.tcp_connect(now, to, None, options);
        link.settle();
        let server = link.ends[0].stack.tcp_accept(now, self.listener);
        (client.unwrap(), server.unwrap())
    }

    /// How many frames these leave at once, when nothing is delivered.
    fn burst(&mut self, of: &[Ends]) -> usize {
        let (now, client) = (self.link.now, &mut self.link.ends[1]);
        for &(id, _) in of {
            // One whose buffer is full has enough.
            let _ = client.stack.tcp_write(now, id, &self.text);
        }
        client.send(now);
        client.out.len()
    }

    /// Some rounds of bursts that are delivered, read and acknowledged.
    fn flow(&mut self, of: &[Ends]) {
        for _ in 0..60 {
            self.burst(of);
            let link = &mut self.link;
            link.now = link.now + Duration::from_millis(50);
            let now = link.now;
            // By hand: the client's timers, and who is not in `of`, stand still.
            let [server, client] = &mut link.ends;
            for frame in client.out.take() {
                server.stack.handle_frame(now, server.on, frame);
            }
            server.stack.handle_timeout(now);
            for &(_, id) in of {
                while server.stack.tcp_read_chunk(now, id, usize::MAX).is_ok() {}
            }
            server.send(now);
            for frame in server.out.take() {
                client.stack.handle_frame(now, client.on, frame);
            }
        }
    }
}

/// What all clients may send at once fits into the queue of a device without super-segments, however
/// many they are; one that is left alone has the whole share, and a newcomer enough to begin with.
#[test]
fn the_windows_of_all_connections_together_fit_the_devices_queue() {
    let mut clients = Clients::new();
    let mut all: Vec<_> = (0..12).map(|_| clients.connect()).collect();
    clients.flow(&all);
    let at_once = clients.burst(&all);
    assert!(
        (QUEUE / 4..=QUEUE / 2 + all.len()).contains(&at_once),
        "{at_once} frames at once, of a queue of {QUEUE}"
    );
    clients.flow(&all);
    let newcomer = [clients.connect()];
    clients.flow(&newcomer);
    let alone = clients.burst(&newcomer);
    assert!(
        (QUEUE / 2 - 8..=QUEUE / 2 + 1).contains(&alone),
        "{alone} frames of one that is left"
    );
    all.extend(newcomer);
    clients.flow(&all);
    let at_once = clients.burst(&all);
    assert!(at_once <= QUEUE / 2 + all.len(), "{at_once} frames at once");
}

/// A writer whose buffer was full is told too when the room that its peer made since is to be had.
#[test]
fn a_writer_whose_buffer_drained_while_memory_was_short_is_told_when_it_is_not() {
    let full = Capabilities::full(Medium::Ip, 1500);
    let mut link = Link::with(&full, |config| config.socket_memory(1 << 20));
    let listener = link.ends[0]
        .stack
        .tcp_listen(SERVER.parse().unwrap(), ListenOptions::default())
        .unwrap();
    let connect = |link: &mut Link, send_buffer| {
        let (now, to) = (link.now, SERVER.parse().unwrap());
        let options = TcpOptions::default().send_buffer(send_buffer);
        let client = link.ends[1].stack.tcp_connect(now, to, None, options);
        link.settle();
        let server = link.ends[0].stack.tcp_accept(now, listener);
        (client.unwrap(), server.unwrap())
    };
    let (patient, reader) = connect(&mut link, 100_000);
    let (greedy, _) = connect(&mut link, 4 << 20);
    let fill = |link: &mut Link, id| {
        let now = link.now;
        loop {
            match link.ends[1].stack.tcp_write(now, id, &[7; 5000]) {
                Ok(_) => link.settle(),
                Err(error) => return assert_eq!(error, WriteError::WouldBlock),
            }
        }
    };
    fill(&mut link, patient);
    let info = link.ends[1].stack.tcp_info(patient).unwrap();
    assert_eq!(info.unacked + info.unsent, 100_000);
    fill(&mut link, greedy);
    let told = |link: &mut Link| {
        core::iter::from_fn(|| link.ends[1].told.pop_front())
            .filter(|e| e.id == SocketId::Tcp(patient) && e.ready.contains(Readiness::WRITABLE))
            .count()
    };
    told(&mut link);
    let now = link.now;
    while link.ends[0].stack.tcp_read_chunk(now, reader, 5000).is_ok() {
        link.settle();
        let info = link.ends[1].stack.tcp_info(patient).unwrap();
        if info.unacked + info.unsent < 60_000 {
            break;
        }
    }
    let info = link.ends[1].stack.tcp_info(patient).unwrap();
    assert!(
        (20_000..60_000).contains(&(info.unacked + info.unsent)),
        "{info:?}"
    );
    assert_eq!(told(&mut link), 0, "memory is short");
    link.ends[1].stack.tcp_abort(now, greedy);
    link.settle();
    assert_eq!(told(&mut link), 1);
}

/// Buffers that an idle connection keeps to be filled again keep nobody out.
#[test]
fn buffers_of_an_idle_connection_keep_no_other_out() {
    let full = Capabilities::full(Medium::Ip, 1500);
    let mut link = Link::with(&full, |config| config.socket_memory(1 << 20));
    let to = SERVER.parse().unwrap();
    let listener = link.ends[0]
        .stack
        .tcp_listen(to, ListenOptions::default())
        .unwrap();
    let connect = |link: &mut Link| {
        let options = TcpOptions::default();
        let client = link.ends[1].stack.tcp_connect(link.now, to, None, options);
        link.pass(Duration::from_secs(5));
        let server = link.ends[0].stack.tcp_accept(link.now, listener);
        (client.unwrap(), server.unwrap())
    };
    let (client, server) = connect(&mut link);
    let now = link.now;
    let written = link.ends[0].stack.tcp_write(now, server, &vec![7; 2 << 20]);
    let mut left = written.unwrap();
    while left > 0 {
        link.pass(Duration::from_millis(50));
        while let Ok(text) = link.ends[1]
            .stack
            .tcp_read_chunk(link.now, client, usize::MAX)
        {
            left -= text.len();
        }
    }
    link.pass(Duration::from_secs(1));
    let info = link.ends[0].stack.tcp_info(server).unwrap();
    assert_eq!(info.unacked + info.unsent, 0);
    connect(&mut link);
    let now = link.now;
    let again = link.ends[0].stack.tcp_write(now, server, &vec![7; 2 << 20]);
    assert!(again.unwrap() > 500_000, "nor what has it");
    let options = TcpOptions::default();
    let other = "10.0.0.2:81".parse().unwrap();
    link.ends[0]
        .stack
        .tcp_connect(now, other, None, options)
        .unwrap();
}
