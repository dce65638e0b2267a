//! Recordings: any bytes are replayed to an end, a difference or an error, and always to the same.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use netloom::capture::{Recording, RecordingSettings, Replay, ReplayEnd};
use netloom::device::{Capabilities, Device, Medium, pair};
use netloom::stack::{Event, ListenOptions, Port, UdpOptions};
use netloom::tcp::TcpOptions;
use netloom::{Config, Instant, InterfaceConfig, Seed, Stack};

/// Input: a recording, a pcapng.
pub fn run(input: &[u8]) {
    assert_eq!(replay(input), replay(input));
}

/// How it ends, in words.
fn replay(input: &[u8]) -> String {
    let mut replay = match Replay::new(input) {
        Ok(replay) => replay,
        Err(error) => return error.to_string(),
    };
    let told = match replay.run() {
        Ok(ReplayEnd::Until) => panic!("nobody asked it to stop"),
        Ok(end) => end.to_string(),
        Err(difference) => difference.to_string(),
    };
    // Behind a difference it goes on.
    while replay.step().unwrap_or(true) {}
    format!(
        "{told}; {} packets, {:?}",
        replay.packet(),
        replay.stack().counters()
    )
}

/// A file in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A short run each, with payload and without: a question over UDP, a listener, a connection. They are what was
/// committed, for what a stack sends and its defaults change; a replay may find that it differs. Only
/// another format makes new ones necessary.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let committed: [(&str, bool, &[u8]); 2] = [
        ("whole", true, include_bytes!("../corpus/replay/whole")),
        ("headers", false, include_bytes!("../corpus/replay/headers")),
    ];
    let anew = std::env::var_os("NETLOOM_WRITE_CORPUS").is_some();
    let seed = |(name, payload, bytes): (&str, bool, &[u8])| {
        let bytes = if anew {
            recording(payload)
        } else {
            bytes.to_vec()
        };
        if let Err(error) = Replay::new(&bytes[..]) {
            panic!("{name}: {error}; write the corpus anew");
        }
        (name.to_owned(), bytes)
    };
    committed.map(seed).into()
}

fn recording(payload: bool) -> Vec<u8> {
    let file = Memory::default();
    let config = Config::new(Seed::from_number(1));
    let settings = RecordingSettings::new(SystemTime::UNIX_EPOCH).payload(payload);
    let journal = Recording::start(file.clone(), &config, &settings).expect("a thread");
    let watch = journal.watch();
    let mut stack = Stack::recorded(config, Box::new(journal));
    let device = Capabilities::full(Medium::Ip, 1500);
    let interface =
        InterfaceConfig::new(&device).address("10.0.0.1/24".parse().expect("it is one"));
    let on = stack
        .add_interface(Instant::ZERO, interface)
        .expect("it can be");
    let (ours, _theirs) = pair(Medium::Ip, 1500);
    let mut port = Port::new(on, ours.split());
    let mut turn = |stack: &mut Stack, at| {
        let turned = port.turn(at, stack, &mut |_: &mut Stack, _: Instant, _: Event| {});
        turned.expect("the other end is there");
    };
    let at = Instant::from_millis;
    let to = |port| SocketAddr::from(([10, 0, 0, 2], port));
    let own = |port| SocketAddr::from(([10, 0, 0, 1], port));
    let udp = stack
        .udp_bind(own(53), UdpOptions::new())
        .expect("it is free");
    let _ = stack.udp_send_to(at(1), udp, Some(to(53)), b"question");
    turn(&mut stack, at(1));
    let _ = stack.tcp_listen(own(7), ListenOptions::default());
    let id = stack.tcp_connect(at(2), to(7), None, TcpOptions::default());
    let _ = id.map(|id| stack.tcp_write(at(2), id, b"hello"));
    turn(&mut stack, at(2));
    let _ = stack.udp_recv(udp);
    turn(&mut stack, at(1500));
    drop(stack);
    watch.wait();
    file.0.lock().expect("nobody panicked").clone()
}
