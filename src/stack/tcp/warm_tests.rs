//! Who keeps its buffers, and what all of them keep.

use super::tests::{Link, SERVER};
use super::warm::{MOST, MOST_SMALL, SMALL, SPAN};
use crate::device::{Capabilities, Medium};
use crate::stack::{ListenOptions, TcpId};
use crate::tcp::TcpOptions;

/// A server with so many connections, seen from both ends.
fn connected(connections: usize) -> (Link, Vec<(TcpId, TcpId)>) {
    let capabilities = Capabilities::full(Medium::Ip, 1500);
    let mut link = Link::with(&capabilities, |config| config);
    let server = SERVER.parse().unwrap();
    let options = TcpOptions::default().nodelay(true);
    let listen = ListenOptions::new(options.clone());
    let listener = link.ends[0].stack.tcp_listen(server, listen).unwrap();
    let both = (0..connections).map(|_| {
        let stack = &mut link.ends[1].stack;
        let client = stack.tcp_connect(link.now, server, None, options.clone());
        link.settle();
        let accepted = link.ends[0].stack.tcp_accept(link.now, listener);
        (accepted.unwrap(), client.unwrap())
    });
    let both = both.collect();
    (link, both)
}

/// A request of 100 bytes, and so many for an answer.
fn serve(link: &mut Link, (server, client): (TcpId, TcpId), len: usize) {
    for (from, id, to, at, len) in [(1, client, 0, server, 100), (0, server, 1, client, len)] {
        let text = vec![7; len];
        let written = link.ends[from].stack.tcp_write(link.now, id, &text);
        assert_eq!(written, Ok(len));
        link.settle();
        let mut got = 0;
        while got < len {
            let chunk = link.ends[to].stack.tcp_read_chunk(link.now, at, len);
            got += chunk.unwrap().len();
            link.settle();
        }
    }
}

/// How many of the server's connections keep more than this, and how much all do.
fn keeping(link: &Link, more_than: usize) -> (usize, usize) {
    let slots = link.ends[0].stack.tcp.slots.iter();
    let held: Vec<_> = slots.map(|(_, slot)| slot.connection.held()).collect();
    let count = held.iter().filter(|&&held| held > more_than).count();
    (count, held.iter().sum())
}

/// More than a connection keeps that has nothing and has given up the rest.
const COLD: usize = 3000;

/// A server of a thousand connections that ask in turn allocates their buffers once.
#[test]
fn those_that_keep_little_keep_it_beside_a_thousand_others() {
    let (mut link, all) = connected(1000);
    for _ in 0..2 {
        for &both in &all {
            serve(&mut link, both, 100);
        }
    }
    let (count, sum) = keeping(&link, COLD);
    assert!(count > 990 && sum <= 1000 * SMALL, "{count} keep {sum}");
}

/// docs/limits.md: the sixty-four that are busiest, and a thousand that keep little.
#[test]
fn what_warm_connections_keep_is_bounded() {
    let (mut link, all) = connected(MOST + MOST_SMALL + 200);
    for &both in &all {
        serve(&mut link, both, 100);
    }
    let (count, _) = keeping(&link, COLD);
    assert!(count <= MOST + MOST_SMALL + 8, "{count}");
    // Those that begin small and grow large are none that keep little.
    for &both in &all[200..500] {
        serve(&mut link, both, 60_000);
    }
    let (count, _) = keeping(&link, SMALL);
    assert!(
        (2..=MOST + 8).contains(&count),
        "{count} keep more than {SMALL}"
    );
    // And what nobody has used for long goes.
    let last = *all.last().unwrap();
    let frames = link.ends[0].stack.counters().rx_bytes;
    while link.ends[0].stack.counters().rx_bytes < frames + 4 * SPAN {
        serve(&mut link, last, 10_000);
    }
    let (count, _) = keeping(&link, COLD);
    assert!(count <= 2, "{count}");
}
